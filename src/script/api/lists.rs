//! Arrays in scripts: sorting, and removing repeats.
//!
//! The engine's own functions ignore an error of the comparing function and go on in any order, and
//! Rust's sort panics if a comparer contradicts itself. Here both are errors of the script.

use std::cmp::Ordering;

use rhai::plugin::{
    Dynamic, Module, NativeCallContext, combine_with_exported_module, export_module,
};
use rhai::{Array, FnPtr};

use crate::script::api::compare::{is_same, natural_order, refuse};
use crate::script::api::value::Fallible;

pub(crate) fn add(module: &mut Module) {
    combine_with_exported_module!(module, "lists", functions);
}

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

/// Sorts by a function of the script; if that fails, the array stays as it was.
fn sort_with(ctx: &NativeCallContext, array: &mut Array, comparer: &FnPtr) -> Fallible<()> {
    let sorted = merged(array, |a, b| is_behind(ctx, comparer, a, b))?;
    // A comparer that contradicts itself leaves an order that it does not call sorted itself.
    for pair in sorted.windows(2) {
        let [a, b] = pair else { continue };
        let wrong = match ask(ctx, comparer, a, b)? {
            Said::Order(order) => order.is_gt(),
            // Neither before the other: they are alike.
            Said::Before(true) => false,
            Said::Before(false) => matches!(ask(ctx, comparer, b, a)?, Said::Before(true)),
        };
        if wrong {
            return refuse(ctx, "the function to sort by contradicts itself");
        }
    }
    *array = sorted;
    Ok(())
}

fn sort_naturally(ctx: &NativeCallContext, array: &mut Array, back: bool) -> Fallible<()> {
    *array = merged(array, |a, b| {
        let order = natural_order(ctx, a, b)?;
        Ok(if back { order.is_lt() } else { order.is_gt() })
    })?;
    Ok(())
}

/// Returns the items in order; equal ones keep theirs. A merge sort: it ends whatever `is_behind`
/// says.
fn merged(
    items: &[Dynamic],
    mut is_behind: impl FnMut(&Dynamic, &Dynamic) -> Fallible<bool>,
) -> Fallible<Array> {
    let mut order: Vec<&Dynamic> = items.iter().collect();
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

fn without_repeats(
    array: &mut Array,
    mut repeats: impl FnMut(&Dynamic, &Dynamic) -> Fallible<bool>,
) -> Fallible<()> {
    let mut kept: Array = Vec::new();
    for item in array.iter() {
        let is_one = match kept.last() {
            Some(last) => repeats(last, item)?,
            None => false,
        };
        if !is_one {
            kept.push(item.clone());
        }
    }
    *array = kept;
    Ok(())
}

#[export_module]
mod functions {
    #[rhai_fn(name = "sort", name = "sort_by", return_raw)]
    pub fn sort_by(ctx: NativeCallContext, array: &mut Array, comparer: FnPtr) -> Fallible<()> {
        sort_with(&ctx, array, &comparer)
    }

    #[rhai_fn(name = "sort", return_raw)]
    pub fn sort(ctx: NativeCallContext, array: &mut Array) -> Fallible<()> {
        sort_naturally(&ctx, array, false)
    }

    #[rhai_fn(name = "sort_desc", return_raw)]
    pub fn sort_desc(ctx: NativeCallContext, array: &mut Array) -> Fallible<()> {
        sort_naturally(&ctx, array, true)
    }

    #[rhai_fn(name = "order", name = "order_by", return_raw)]
    pub fn order_by(ctx: NativeCallContext, array: Array, comparer: FnPtr) -> Fallible<Array> {
        let mut array = array;
        sort_with(&ctx, &mut array, &comparer)?;
        Ok(array)
    }

    #[rhai_fn(name = "order", return_raw)]
    pub fn order(ctx: NativeCallContext, array: Array) -> Fallible<Array> {
        let mut array = array;
        sort_naturally(&ctx, &mut array, false)?;
        Ok(array)
    }

    #[rhai_fn(name = "order_desc", return_raw)]
    pub fn order_desc(ctx: NativeCallContext, array: Array) -> Fallible<Array> {
        let mut array = array;
        sort_naturally(&ctx, &mut array, true)?;
        Ok(array)
    }

    #[rhai_fn(name = "dedup", return_raw)]
    pub fn dedup(ctx: NativeCallContext, array: &mut Array) -> Fallible<()> {
        without_repeats(array, |a, b| is_same(&ctx, a, b))
    }

    #[rhai_fn(name = "dedup", return_raw)]
    pub fn dedup_by(ctx: NativeCallContext, array: &mut Array, same: FnPtr) -> Fallible<()> {
        without_repeats(array, |a, b| {
            let said = same.call_raw(&ctx, None, [a.clone(), b.clone()])?;
            let wrong = "a function to compare by returns true or false";
            said.as_bool().or_else(|_| refuse(&ctx, wrong))
        })
    }
}
