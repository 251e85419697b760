//! The order of lists in scripts, and the keys that their items are ordered and grouped by.
//!
//! The engine's own sorting ignores an error of the comparing function and goes on in any order,
//! and Rust's panics if a comparer contradicts itself. Here both are errors of the script.

use std::cmp::Ordering;

use jiff::{Timestamp, civil};
use rhai::plugin::{Dynamic, ImmutableString, NativeCallContext};
use rhai::{Array, FnPtr, Map};

use crate::script::api::compare::{natural_order, refuse};
use crate::script::api::date::Date;
use crate::script::api::handles::Task;
use crate::script::api::task::functions as of_task;
use crate::script::api::value::{Fallible, kind_of, run_of};

/// A comparer's answer about two items.
enum Said {
    /// A number: their order.
    Order(Ordering),
    /// True if the first may stand before the second.
    Before(bool),
}

fn ask(ctx: &NativeCallContext, comparer: &FnPtr, a: &Dynamic, b: &Dynamic) -> Fallible<Said> {
    let said = comparer.call_raw(ctx, None, [a.clone(), b.clone()])?;
    if let Ok(n) = said.as_int() {
        return Ok(Said::Order(n.cmp(&0)));
    }
    match said.as_bool() {
        Ok(before) => Ok(Said::Before(before)),
        Err(_) => refuse(
            ctx,
            "a function to sort by returns a number (below 0, 0, above 0), or whether the first comes before the second",
        ),
    }
}

/// Returns whether the second of two items has to stand before the first.
fn is_behind(
    ctx: &NativeCallContext,
    comparer: &FnPtr,
    a: &Dynamic,
    b: &Dynamic,
) -> Fallible<bool> {
    Ok(match ask(ctx, comparer, a, b)? {
        Said::Order(order) => order.is_gt(),
        Said::Before(before) => !before,
    })
}

/// Returns whether a function of the script takes a number of arguments.
pub(super) fn takes(ctx: &NativeCallContext, function: &FnPtr, n: usize) -> bool {
    let n = n + function.curry().len();
    let library = &ctx.global_runtime_state().lib;
    library.iter().any(|module| module.get_script_fn(function.fn_name(), n).is_some())
}

/// Returns a property of a task as its getter reads it, for the properties that lists are ordered
/// and grouped by.
fn property_of(task: &mut Task, name: &str) -> Option<Fallible<Dynamic>> {
    Some(match name {
        "assignees" => of_task::assignees(task),
        "bucket" => of_task::bucket(task),
        "completed_at" => of_task::completed_at(task),
        "created_at" => of_task::created_at(task),
        "due" => of_task::due(task),
        "is_completed" => of_task::is_completed(task).map(Dynamic::from),
        "percent_complete" => of_task::percent_complete(task).map(Dynamic::from),
        "priority" => of_task::priority(task).map(Dynamic::from),
        "progress" => of_task::progress(task),
        "start" => of_task::start(task),
        "title" => of_task::title(task),
        _ => return None,
    })
}

/// Returns what a function gives for each item, with the item's place.
pub(super) fn keys_of(
    ctx: &NativeCallContext,
    array: &[Dynamic],
    by: &FnPtr,
) -> Fallible<Vec<(Dynamic, usize)>> {
    // Most functions only ask for a property, and then the engine need not be entered for each item.
    let only = if by.is_curried() {
        None
    } else {
        run_of(ctx).ok().and_then(|run| run.asks_only(by.fn_name()))
    };
    let key = |item: &Dynamic| -> Fallible<Dynamic> {
        if let Some(name) = &only {
            if let Some(task) = item.read_lock::<Task>() {
                if let Some(value) = property_of(&mut task.clone(), name) {
                    return value;
                }
            } else if let Some(map) = item.read_lock::<Map>() {
                return Ok(map.get(name.as_str()).cloned().unwrap_or(Dynamic::UNIT));
            }
        }
        by.call_raw(ctx, None, [item.clone()])
    };
    array.iter().enumerate().map(|(at, item)| Ok((key(item)?, at))).collect()
}

/// Keys that can be ordered without the engine.
enum Keys {
    Ints(Vec<(Option<i64>, usize)>),
    Flags(Vec<(Option<bool>, usize)>),
    Texts(Vec<(Option<ImmutableString>, usize)>),
    Days(Vec<(Option<civil::Date>, usize)>),
    Moments(Vec<(Option<Timestamp>, usize)>),
}

impl Keys {
    /// Reads keys that are all of one type, but for those that are nothing.
    fn new(keys: &[(Dynamic, usize)]) -> Option<Self> {
        fn all<T>(
            keys: &[(Dynamic, usize)],
            read: impl Fn(&Dynamic) -> Option<T>,
        ) -> Option<Vec<(Option<T>, usize)>> {
            let one = |(key, at): &(Dynamic, usize)| {
                if key.is_unit() { Some((None, *at)) } else { Some((Some(read(key)?), *at)) }
            };
            keys.iter().map(one).collect()
        }
        let (first, _) = keys.iter().find(|(key, _)| !key.is_unit())?;
        let day = |key: &Dynamic| key.read_lock::<Date>().and_then(|date| date.only_day());
        let moment = |key: &Dynamic| key.read_lock::<Date>().and_then(|date| date.moment());
        if first.is_int() {
            all(keys, |key| key.as_int().ok()).map(Self::Ints)
        } else if first.is_bool() {
            all(keys, |key| key.as_bool().ok()).map(Self::Flags)
        } else if first.is_string() {
            let text = |key: &Dynamic| key.as_immutable_string_ref().ok().map(|text| text.clone());
            all(keys, text).map(Self::Texts)
        } else if day(first).is_some() {
            all(keys, day).map(Self::Days)
        } else {
            all(keys, moment).map(Self::Moments)
        }
    }

    /// Returns the places in order; what is nothing comes last, and like keys keep their order.
    fn in_order(self) -> Vec<usize> {
        fn sorted<T: Ord>(mut keys: Vec<(Option<T>, usize)>) -> Vec<usize> {
            keys.sort_by(|(a, _), (b, _)| match (a, b) {
                (Some(a), Some(b)) => a.cmp(b),
                (a, b) => a.is_none().cmp(&b.is_none()),
            });
            keys.into_iter().map(|(_, at)| at).collect()
        }
        match self {
            Self::Ints(keys) => sorted(keys),
            Self::Flags(keys) => sorted(keys),
            Self::Texts(keys) => sorted(keys),
            Self::Days(keys) => sorted(keys),
            Self::Moments(keys) => sorted(keys),
        }
    }
}

/// Returns the array sorted by a function of the script: one of two items compares them, one of an
/// item gives what to sort by.
pub(super) fn sorted_with(
    ctx: &NativeCallContext,
    array: &[Dynamic],
    by: &FnPtr,
) -> Fallible<Array> {
    if !takes(ctx, by, 2) {
        let keys = keys_of(ctx, array, by)?;
        if let Some(keys) = Keys::new(&keys) {
            return Ok(keys.in_order().into_iter().map(|at| array[at].clone()).collect());
        }
        let order = merged(&keys, |(a, _), (b, _)| {
            // What has no date or name comes last, whatever the rest is.
            Ok(match (a.is_unit(), b.is_unit()) {
                (true, false) => true,
                (_, true) => false,
                _ => natural_order(ctx, a, b)?.is_gt(),
            })
        })?;
        return Ok(order.into_iter().map(|(_, at)| array[at].clone()).collect());
    }
    let sorted = merged(array, |a, b| is_behind(ctx, by, a, b))?;
    // A comparer that contradicts itself leaves an order that it does not call sorted itself.
    for pair in sorted.windows(2) {
        let [a, b] = pair else { continue };
        let wrong = match ask(ctx, by, a, b)? {
            Said::Order(order) => order.is_gt(),
            // Neither before the other: they are alike.
            Said::Before(true) => false,
            Said::Before(false) => matches!(ask(ctx, by, b, a)?, Said::Before(true)),
        };
        if wrong {
            return refuse(ctx, "the function to sort by contradicts itself");
        }
    }
    Ok(sorted)
}

/// Returns the array in its natural order, or the other way round.
pub(super) fn sorted(ctx: &NativeCallContext, array: &[Dynamic], back: bool) -> Fallible<Array> {
    merged(array, |a, b| {
        let order = natural_order(ctx, a, b)?;
        Ok(if back { order.is_lt() } else { order.is_gt() })
    })
}

/// Returns the item whose key is the smallest, or the largest; the first of several.
pub(super) fn outermost(
    ctx: &NativeCallContext,
    array: &[Dynamic],
    by: &FnPtr,
    largest: bool,
) -> Fallible<Dynamic> {
    let mut best: Option<(Dynamic, usize)> = None;
    for (key, at) in keys_of(ctx, array, by)? {
        if key.is_unit() {
            continue;
        }
        let is_better = match &best {
            None => true,
            Some((other, _)) => {
                let order = natural_order(ctx, &key, other)?;
                if largest { order.is_gt() } else { order.is_lt() }
            }
        };
        if is_better {
            best = Some((key, at));
        }
    }
    Ok(best.map_or(Dynamic::UNIT, |(_, at)| array[at].clone()))
}

/// Returns the items in order; equal ones keep theirs. A merge sort: it ends whatever `is_behind`
/// says.
fn merged<T: Clone>(
    items: &[T],
    mut is_behind: impl FnMut(&T, &T) -> Fallible<bool>,
) -> Fallible<Vec<T>> {
    let mut order: Vec<&T> = items.iter().collect();
    let mut width = 1;
    while width < order.len() {
        let mut next = Vec::with_capacity(order.len());
        for both in order.chunks(2 * width) {
            let (mut left, mut right) = both.split_at(width.min(both.len()));
            while let ([first, more @ ..], [second, rest @ ..]) = (left, right) {
                if is_behind(first, second)? {
                    next.push(*second);
                    right = rest;
                } else {
                    next.push(*first);
                    left = more;
                }
            }
            next.extend(left.iter().chain(right));
        }
        order = next;
        width *= 2;
    }
    Ok(order.into_iter().cloned().collect())
}

/// A function of the script that is called for each item of a list.
pub(super) struct Each<'a> {
    ctx: &'a NativeCallContext<'a>,
    function: &'a FnPtr,
    /// True if it takes the place of the item, too.
    takes_place: bool,
}

impl<'a> Each<'a> {
    pub(super) fn new(ctx: &'a NativeCallContext<'a>, function: &'a FnPtr) -> Self {
        Self { ctx, function, takes_place: takes(ctx, function, 2) }
    }

    pub(super) fn call(&self, (at, item): (usize, &Dynamic)) -> Fallible<Dynamic> {
        if self.takes_place {
            let at = i64::try_from(at).unwrap_or(i64::MAX);
            return self.function.call_raw(self.ctx, None, [item.clone(), at.into()]);
        }
        self.function.call_raw(self.ctx, None, [item.clone()])
    }

    pub(super) fn holds(&self, item: (usize, &Dynamic)) -> Fallible<bool> {
        let said = self.call(item)?;
        said.as_bool().or_else(|_| {
            let kind = kind_of(&said);
            refuse(self.ctx, &format!("this function must return true or false, not {kind}"))
        })
    }
}
