//! Arrays in scripts. What sorts, reverses, pads or cuts returns the new list, so it works in a
//! chain and on the lists of the board.
//!
//! The engine's own `filter`, `find`, `some` and `all` take whatever a function returns but `true`
//! for false: `filter(|t| t.due)` would be empty. Here that is an error of the script.

use std::collections::{BTreeMap, BTreeSet};

use rhai::plugin::{
    Dynamic, EvalAltResult, ImmutableString, Module, NativeCallContext, Position,
    combine_with_exported_module, export_module,
};
use rhai::{Array, FnPtr, Map};

use crate::script::api::compare::{is_same, refuse};
use crate::script::api::list_order::{Each, keys_of, outermost, sorted, sorted_with};
use crate::script::api::value::{ExclusiveRange, Fallible, InclusiveRange, kind_of};
use crate::script::budget::{ARRAY_LIMIT, STRING_LIMIT};

pub(crate) fn add(module: &mut Module) {
    combine_with_exported_module!(module, "lists", functions);
    combine_with_exported_module!(module, "pairs", pairs);
}

/// Returns the text of a key, by which groups and counts are kept.
fn key_text(ctx: &NativeCallContext, key: &Dynamic) -> Fallible<ImmutableString> {
    if let Ok(text) = key.as_immutable_string_ref() {
        return Ok(text.clone());
    }
    if key.is_unit() {
        return Ok("".into());
    }
    ctx.call_native_fn::<ImmutableString>("to_string", (key.clone(),))
}

/// Adds two numbers.
fn added(ctx: &NativeCallContext, sum: &Dynamic, more: &Dynamic) -> Fallible<Dynamic> {
    if let (Ok(a), Ok(b)) = (sum.as_int(), more.as_int()) {
        return match a.checked_add(b) {
            Some(sum) => Ok(sum.into()),
            None => refuse(ctx, "the sum is too large"),
        };
    }
    #[expect(clippy::cast_precision_loss, reason = "a sum with fractions is no whole number")]
    let float = |value: &Dynamic| value.as_float().or_else(|_| value.as_int().map(|n| n as f64));
    match (float(sum), float(more)) {
        (Ok(a), Ok(b)) => Ok((a + b).into()),
        _ => refuse(ctx, &format!("only numbers can be added, not {}", kind_of(more))),
    }
}

/// Returns the items from one place to before another; places below 0 count from the end.
fn cut(array: &[Dynamic], from: i64, to: i64) -> Array {
    let n = i64::try_from(array.len()).unwrap_or(i64::MAX);
    let place = |at: i64| usize::try_from(if at < 0 { (n + at).max(0) } else { at.min(n) });
    let (from, to) = (place(from).unwrap_or_default(), place(to).unwrap_or_default());
    array.get(from..to).map(<[_]>::to_vec).unwrap_or_default()
}

fn without_repeats(
    array: &[Dynamic],
    mut repeats: impl FnMut(&Dynamic, &Dynamic) -> Fallible<bool>,
) -> Fallible<Array> {
    let mut kept: Array = Vec::new();
    for item in array {
        let is_one = match kept.last() {
            Some(last) => repeats(last, item)?,
            None => false,
        };
        if !is_one {
            kept.push(item.clone());
        }
    }
    Ok(kept)
}

#[export_module]
mod functions {
    /// The first item; `()` if there is none.
    /// → any?
    #[rhai_fn(name = "first", pure)]
    pub fn first(array: &mut Array) -> Dynamic {
        array.first().cloned().unwrap_or(Dynamic::UNIT)
    }

    /// The last item; `()` if there is none.
    /// → any?
    #[rhai_fn(name = "last", pure)]
    pub fn last(array: &mut Array) -> Dynamic {
        array.last().cloned().unwrap_or(Dynamic::UNIT)
    }

    /// Returns the first `n` items.
    /// → [any]
    #[rhai_fn(name = "take", name = "truncate", pure)]
    pub fn take(array: &mut Array, n: i64) -> Array {
        cut(array, 0, n.max(0))
    }

    /// Returns all but the first `n` items.
    /// → [any]
    #[rhai_fn(name = "skip", pure)]
    pub fn skip(array: &mut Array, n: i64) -> Array {
        cut(array, n.max(0), i64::MAX)
    }

    /// Returns the last `n` items.
    /// → [any]
    #[rhai_fn(name = "chop", pure)]
    pub fn chop(array: &mut Array, n: i64) -> Array {
        let n = usize::try_from(n).unwrap_or(0);
        array.get(array.len().saturating_sub(n)..).map(<[_]>::to_vec).unwrap_or_default()
    }

    /// Returns the items from a place on; below 0 it counts from the end.
    /// → [any]
    #[rhai_fn(name = "slice", name = "extract", pure)]
    pub fn slice_from(array: &mut Array, from: i64) -> Array {
        cut(array, from, i64::MAX)
    }

    /// Returns the items from one place to before another; below 0 they count from the end.
    /// → [any]
    #[rhai_fn(name = "slice", pure)]
    pub fn slice(array: &mut Array, from: i64, to: i64) -> Array {
        cut(array, from, to)
    }

    /// Returns `len` items from a place on.
    /// → [any]
    #[rhai_fn(name = "extract", pure)]
    pub fn extract(array: &mut Array, from: i64, len: i64) -> Array {
        let n = i64::try_from(array.len()).unwrap_or(i64::MAX);
        let from = if from < 0 { (n + from).max(0) } else { from };
        cut(array, from, from.saturating_add(len.max(0)))
    }

    /// Returns the items of a range: `list.extract(0..3)`, or `list[0..3]`.
    /// → [any]
    #[rhai_fn(name = "extract", name = "slice", pure)]
    pub fn extract_range(array: &mut Array, range: ExclusiveRange) -> Array {
        cut(array, range.start, range.end)
    }

    /// Returns the items of a range with its end: `list.extract(0..=3)`, or `list[0..=3]`.
    /// → [any]
    #[rhai_fn(name = "extract", name = "slice", pure)]
    pub fn extract_inclusive(array: &mut Array, range: InclusiveRange) -> Array {
        cut(array, *range.start(), range.end().saturating_add(1))
    }

    /// Returns the item at a place; `()` if there is none. Below 0 it counts from the end.
    /// → any?
    #[rhai_fn(name = "get", pure)]
    pub fn get(array: &mut Array, at: i64) -> Dynamic {
        let n = i64::try_from(array.len()).unwrap_or(i64::MAX);
        let at = usize::try_from(if at < 0 { n + at } else { at });
        at.ok().and_then(|at| array.get(at)).cloned().unwrap_or(Dynamic::UNIT)
    }

    /// Returns the items the other way round.
    /// → [any]
    #[rhai_fn(name = "reverse", pure)]
    pub fn reverse(array: &mut Array) -> Array {
        array.iter().rev().cloned().collect()
    }

    /// Returns the list made as long as `len` with an item.
    /// → [any]
    #[rhai_fn(name = "pad", pure, return_raw)]
    pub fn pad(array: &mut Array, len: i64, item: Dynamic) -> Fallible<Array> {
        let len = usize::try_from(len).unwrap_or(0);
        if len > ARRAY_LIMIT {
            let what = "Size of array/BLOB".to_owned();
            return Err(EvalAltResult::ErrorDataTooLarge(what, Position::NONE).into());
        }
        let mut padded = array.clone();
        if len > padded.len() {
            padded.resize(len, item);
        }
        Ok(padded)
    }

    /// Returns the list sorted: by what a function of an item gives (`|t| t.due`; what is `()` comes
    /// last), or by one that compares two items.
    /// → [any]
    #[rhai_fn(name = "sort", name = "sort_by", name = "order", name = "order_by", pure, return_raw)]
    pub fn sort_by(ctx: NativeCallContext, array: &mut Array, by: FnPtr) -> Fallible<Array> {
        sorted_with(&ctx, array, &by)
    }

    /// Returns the list sorted.
    /// → [any]
    #[rhai_fn(name = "sort", name = "order", pure, return_raw)]
    pub fn sort(ctx: NativeCallContext, array: &mut Array) -> Fallible<Array> {
        sorted(&ctx, array, false)
    }

    /// Returns the list sorted, the largest first.
    /// → [any]
    #[rhai_fn(name = "sort_desc", name = "order_desc", pure, return_raw)]
    pub fn sort_desc(ctx: NativeCallContext, array: &mut Array) -> Fallible<Array> {
        sorted(&ctx, array, true)
    }

    /// Returns the list without items that are the same as the one before them.
    /// → [any]
    #[rhai_fn(name = "dedup", pure, return_raw)]
    pub fn dedup(ctx: NativeCallContext, array: &mut Array) -> Fallible<Array> {
        without_repeats(array, |a, b| is_same(&ctx, a, b))
    }

    /// Returns the list without items that a function calls the same as the one before them.
    /// → [any]
    #[rhai_fn(name = "dedup", pure, return_raw)]
    pub fn dedup_by(ctx: NativeCallContext, array: &mut Array, same: FnPtr) -> Fallible<Array> {
        without_repeats(array, |a, b| {
            let said = same.call_raw(&ctx, None, [a.clone(), b.clone()])?;
            let wrong = "a function to compare by returns true or false";
            said.as_bool().or_else(|_| refuse(&ctx, wrong))
        })
    }

    /// Returns the first item for each value that a function gives.
    /// → [any]
    #[rhai_fn(name = "unique_by", pure, return_raw)]
    pub fn unique_by(ctx: NativeCallContext, array: &mut Array, by: FnPtr) -> Fallible<Array> {
        let mut seen = BTreeSet::new();
        let mut kept = Array::new();
        for (key, at) in keys_of(&ctx, array, &by)? {
            if seen.insert(key_text(&ctx, &key)?) {
                kept.push(array[at].clone());
            }
        }
        Ok(kept)
    }

    /// Returns the items in groups: a map from the text of what a function gives to its items.
    #[rhai_fn(name = "group_by", pure, return_raw)]
    pub fn group_by(ctx: NativeCallContext, array: &mut Array, by: FnPtr) -> Fallible<Map> {
        let mut groups: BTreeMap<ImmutableString, Array> = BTreeMap::new();
        for (key, at) in keys_of(&ctx, array, &by)? {
            groups.entry(key_text(&ctx, &key)?).or_default().push(array[at].clone());
        }
        Ok(groups.into_iter().map(|(key, items)| (key.as_str().into(), items.into())).collect())
    }

    /// Returns the number of items for the text of what a function gives, as a map.
    #[rhai_fn(name = "count_by", pure, return_raw)]
    pub fn count_by(ctx: NativeCallContext, array: &mut Array, by: FnPtr) -> Fallible<Map> {
        let mut counts: BTreeMap<ImmutableString, i64> = BTreeMap::new();
        for (key, _) in keys_of(&ctx, array, &by)? {
            *counts.entry(key_text(&ctx, &key)?).or_default() += 1;
        }
        Ok(counts.into_iter().map(|(key, n)| (key.as_str().into(), n.into())).collect())
    }

    /// Returns the sum of what a function gives for each item.
    /// → int
    #[rhai_fn(name = "sum_by", name = "sum", pure, return_raw)]
    pub fn sum_by(ctx: NativeCallContext, array: &mut Array, by: FnPtr) -> Fallible<Dynamic> {
        let keys = keys_of(&ctx, array, &by)?;
        keys.iter().try_fold(Dynamic::from_int(0), |sum, (key, _)| added(&ctx, &sum, key))
    }

    /// Returns the sum of the numbers.
    /// → int
    #[rhai_fn(name = "sum", pure, return_raw)]
    pub fn sum(ctx: NativeCallContext, array: &mut Array) -> Fallible<Dynamic> {
        array.iter().try_fold(Dynamic::from_int(0), |sum, item| added(&ctx, &sum, item))
    }

    /// Returns the item for which a function gives the least; `()` if there is none.
    /// → any?
    #[rhai_fn(name = "min_by", pure, return_raw)]
    pub fn min_by(ctx: NativeCallContext, array: &mut Array, by: FnPtr) -> Fallible<Dynamic> {
        outermost(&ctx, array, &by, false)
    }

    /// Returns the item for which a function gives the most; `()` if there is none.
    /// → any?
    #[rhai_fn(name = "max_by", pure, return_raw)]
    pub fn max_by(ctx: NativeCallContext, array: &mut Array, by: FnPtr) -> Fallible<Dynamic> {
        outermost(&ctx, array, &by, true)
    }

    /// Returns the items for which a function holds: `tasks.filter(|t| t.due == ())`.
    /// → [any]
    #[rhai_fn(name = "filter", pure, return_raw)]
    pub fn filter(ctx: NativeCallContext, array: &mut Array, holds: FnPtr) -> Fallible<Array> {
        let (each, mut kept) = (Each::new(&ctx, &holds), Array::new());
        for (at, item) in array.iter().enumerate() {
            if each.holds((at, item))? {
                kept.push(item.clone());
            }
        }
        Ok(kept)
    }

    /// Returns the first item for which a function holds; `()` if there is none.
    /// → any?
    #[rhai_fn(name = "find", pure, return_raw)]
    pub fn find(ctx: NativeCallContext, array: &mut Array, holds: FnPtr) -> Fallible<Dynamic> {
        let each = Each::new(&ctx, &holds);
        for (at, item) in array.iter().enumerate() {
            if each.holds((at, item))? {
                return Ok(item.clone());
            }
        }
        Ok(Dynamic::UNIT)
    }

    /// Returns whether a function holds for every item.
    #[rhai_fn(name = "all", pure, return_raw)]
    pub fn all(ctx: NativeCallContext, array: &mut Array, holds: FnPtr) -> Fallible<bool> {
        let each = Each::new(&ctx, &holds);
        for item in array.iter().enumerate() {
            if !each.holds(item)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Returns whether a function holds for any item.
    #[rhai_fn(name = "any", name = "some", pure, return_raw)]
    pub fn any(ctx: NativeCallContext, array: &mut Array, holds: FnPtr) -> Fallible<bool> {
        let each = Each::new(&ctx, &holds);
        for item in array.iter().enumerate() {
            if each.holds(item)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns the number of items for which a function holds.
    #[rhai_fn(name = "count", pure, return_raw)]
    pub fn count(ctx: NativeCallContext, array: &mut Array, holds: FnPtr) -> Fallible<i64> {
        let (each, mut n) = (Each::new(&ctx, &holds), 0);
        for item in array.iter().enumerate() {
            n += i64::from(each.holds(item)?);
        }
        Ok(n)
    }

    /// Calls a function for each item.
    #[rhai_fn(name = "for_each", pure, return_raw)]
    pub fn for_each(ctx: NativeCallContext, array: &mut Array, each: FnPtr) -> Fallible<()> {
        let each = Each::new(&ctx, &each);
        for item in array.iter().enumerate() {
            let _result = each.call(item)?;
        }
        Ok(())
    }

    /// Returns whether an item is in the list.
    #[rhai_fn(name = "includes", pure, return_raw)]
    pub fn includes(ctx: NativeCallContext, array: &mut Array, item: Dynamic) -> Fallible<bool> {
        for other in array.iter() {
            if is_same(&ctx, other, &item)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns the lists in the list as one.
    /// → [any]
    #[rhai_fn(name = "flatten", pure)]
    pub fn flatten(array: &mut Array) -> Array {
        let mut flat = Array::new();
        for item in array.iter() {
            match item.read_lock::<Array>() {
                Some(items) => flat.extend(items.iter().cloned()),
                None => flat.push(item.clone()),
            }
        }
        flat
    }

    /// Returns what a function gives for each item, joined with a text between.
    #[rhai_fn(name = "join", pure, return_raw)]
    pub fn join_by(
        ctx: NativeCallContext,
        array: &mut Array,
        by: FnPtr,
        between: &str,
    ) -> Fallible<ImmutableString> {
        let (each, mut texts) = (Each::new(&ctx, &by), Vec::with_capacity(array.len()));
        for item in array.iter().enumerate() {
            texts.push(each.call(item)?);
        }
        joined(&ctx, &texts, between)
    }

    /// Returns the items as text, joined with a text between.
    #[rhai_fn(name = "join", pure, return_raw)]
    pub fn join(
        ctx: NativeCallContext,
        array: &mut Array,
        between: &str,
    ) -> Fallible<ImmutableString> {
        joined(&ctx, array, between)
    }
}

/// A key of a map with its value, as `for (key, value) in map` gets them.
#[derive(Debug, Clone)]
pub(crate) struct Pair(ImmutableString, Dynamic);

#[export_module]
mod pairs {
    /// What `for (a, b) in …` goes over: the entries of a map, or what was given.
    #[rhai_fn(name = "_entries")]
    pub fn entries(of: Dynamic) -> Dynamic {
        let entries = of.read_lock::<Map>().map(|map| {
            let pairs = map.iter();
            pairs
                .map(|(key, value)| Dynamic::from(Pair(key.as_str().into(), value.clone())))
                .collect::<Array>()
        });
        entries.map_or(of, Dynamic::from)
    }

    /// A value of its own, while the variable that had it is used elsewhere.
    #[rhai_fn(name = "_own")]
    pub fn own(value: Dynamic) -> Dynamic {
        value
    }

    #[rhai_fn(name = "_key")]
    pub fn key(item: Dynamic, _place: Dynamic) -> Dynamic {
        let key = item.read_lock::<Pair>().map(|pair| Dynamic::from(pair.0.clone()));
        key.unwrap_or(item)
    }

    #[rhai_fn(name = "_value")]
    pub fn value(item: Dynamic, place: Dynamic) -> Dynamic {
        let value = item.read_lock::<Pair>().map(|pair| pair.1.clone());
        value.unwrap_or(place)
    }
}

fn joined(ctx: &NativeCallContext, items: &[Dynamic], between: &str) -> Fallible<ImmutableString> {
    let mut text = String::new();
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            text.push_str(between);
        }
        text.push_str(&key_text(ctx, item)?);
        if text.len() > STRING_LIMIT {
            let what = "Length of string".to_owned();
            return Err(EvalAltResult::ErrorDataTooLarge(what, Position::NONE).into());
        }
    }
    Ok(text.into())
}
