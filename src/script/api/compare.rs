//! Comparisons. What has no order or equality with something else is an error, never silently
//! false.
//!
//! Rhai answers `percent_complete < "50"` with false, and `due > "2030-01-01"` too if no such
//! operator is registered: a policy that compares so would let everything through, and nobody would
//! know. So every comparison of a script comes here (the engine's own shortcut is switched off by
//! [`install`]), also those inside `contains`, `in` and of lists. Two sides of one type are
//! compared as in Rhai; a Date with a text like "2026-12-24", a User with an e-mail, a Plan or
//! Bucket with its name; anything with `()` for equality only.

use std::cmp::Ordering;

use rhai::Engine;
use rhai::plugin::{
    Dynamic, Module, NativeCallContext, combine_with_exported_module, export_module,
};

use crate::host::Error;
use crate::model::id::looks_like_guid;
use crate::script::api::date::{Date, Days};
use crate::script::api::handles::{Bucket, ChecklistItem, Group, Plan, User};
use crate::script::api::value::{Fallible, kind_of, raise, run_of};

/// The comparison operators, each with its precedence.
const SIGNS: [(&str, u8); 6] =
    [("==", 90), ("!=", 90), ("<", 130), ("<=", 130), (">", 130), (">=", 130)];

/// Makes every comparison of an engine's scripts go through the functions of this file.
///
/// For two values of Rhai's own types the engine takes a shortcut past any function registered for
/// the operator. A custom operator has no shortcut. Arithmetic and texts keep theirs: to switch
/// them all off would make every `+` twice as slow.
pub(crate) fn install(engine: &mut Engine) {
    for (sign, binds) in SIGNS {
        engine.disable_symbol(sign);
        let registered = engine.register_custom_operator(sign, binds);
        debug_assert!(registered.is_ok(), "{registered:?}");
    }
}

pub(crate) fn add(module: &mut Module) {
    combine_with_exported_module!(module, "compare", functions);
}

/// A comparison operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Equal,
    Unequal,
    Less,
    NotGreater,
    Greater,
    NotLess,
}

impl Sign {
    const fn written(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::Unequal => "!=",
            Self::Less => "<",
            Self::NotGreater => "<=",
            Self::Greater => ">",
            Self::NotLess => ">=",
        }
    }

    const fn is_order(self) -> bool {
        !matches!(self, Self::Equal | Self::Unequal)
    }

    /// Returns whether it holds for two values in this order; `None` is for numbers that have none.
    fn holds(self, order: Option<Ordering>) -> bool {
        match self {
            Self::Equal => order == Some(Ordering::Equal),
            Self::Unequal => order != Some(Ordering::Equal),
            Self::Less => order.is_some_and(Ordering::is_lt),
            Self::NotGreater => order.is_some_and(Ordering::is_le),
            Self::Greater => order.is_some_and(Ordering::is_gt),
            Self::NotLess => order.is_some_and(Ordering::is_ge),
        }
    }

    /// Returns whether it holds for two values that are the same, or are not.
    fn of_same(self, same: bool) -> bool {
        same == (self == Self::Equal)
    }
}

fn compare(ctx: &NativeCallContext, sign: Sign, a: &Dynamic, b: &Dynamic) -> Fallible<bool> {
    // Loops compare whole numbers most, so these come first.
    if let (Ok(a), Ok(b)) = (a.as_int(), b.as_int()) {
        return Ok(sign.holds(Some(a.cmp(&b))));
    }
    if a.is_shared() || b.is_shared() {
        return compare(ctx, sign, &a.flatten_clone(), &b.flatten_clone());
    }
    if (a.is_unit() || b.is_unit()) && !sign.is_order() {
        return Ok(sign.of_same(a.is_unit() && b.is_unit()));
    }
    if let Some(order) = plain_order(a, b) {
        return Ok(sign.holds(order));
    }
    if let Some(order) = date_order(ctx, a, b)? {
        return Ok(sign.holds(Some(order)));
    }
    if !sign.is_order()
        && let Some(same) = same(ctx, a, b)?
    {
        return Ok(sign.of_same(same));
    }
    refuse(
        ctx,
        &format!(
            "`{}` cannot compare {} with {}{}",
            sign.written(),
            kind_of(a),
            kind_of(b),
            advice(a, b)
        ),
    )
}

/// Returns the order of two values of Rhai's own types; `None` if their types differ.
fn plain_order(a: &Dynamic, b: &Dynamic) -> Option<Option<Ordering>> {
    if let (Ok(a), Ok(b)) = (a.as_immutable_string_ref(), b.as_immutable_string_ref()) {
        return Some(Some(a.as_str().cmp(b.as_str())));
    }
    if let (Ok(a), Ok(b)) = (a.as_bool(), b.as_bool()) {
        return Some(Some(a.cmp(&b)));
    }
    if let (Some(a), Some(b)) = (number(a), number(b)) {
        return Some(float_order(a, b));
    }
    if let (Some(a), Some(b)) = (letters(a), letters(b)) {
        return Some(Some(a.cmp(&b)));
    }
    None
}

fn number(value: &Dynamic) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "Rhai compares the two this way")]
    let of_int = value.as_int().ok().map(|n| n as f64);
    of_int.or_else(|| value.as_float().ok())
}

/// Compares two numbers; those that differ by no more than arithmetic loses are the same, as in
/// Rhai.
fn float_order(a: f64, b: f64) -> Option<Ordering> {
    let larger = a.abs().max(b.abs());
    if larger.is_finite() && (a - b).abs() <= f64::EPSILON * larger {
        return Some(Ordering::Equal);
    }
    a.partial_cmp(&b)
}

/// Returns a text or a character as a text.
fn letters(value: &Dynamic) -> Option<String> {
    let of_char = value.as_char().ok().map(String::from);
    of_char.or_else(|| value.as_immutable_string_ref().ok().map(|text| text.to_string()))
}

/// Compares a Date with another, or with a text that is one.
fn date_order(ctx: &NativeCallContext, a: &Dynamic, b: &Dynamic) -> Fallible<Option<Ordering>> {
    if let (Some(a), Some(b)) = (a.read_lock::<Days>(), b.read_lock::<Days>()) {
        return Ok(Some(a.0.cmp(&b.0)));
    }
    let read = |value: &Dynamic| -> Fallible<Option<Date>> {
        let Ok(text) = value.as_immutable_string_ref() else {
            return Ok(value.read_lock::<Date>().map(|date| date.clone()));
        };
        match Date::parse(&text, &run_of(ctx)?.session) {
            Some(date) => Ok(Some(date)),
            None => refuse(
                ctx,
                &format!(
                    "a Date is compared with a text like \"2026-12-24\", not \"{}\"",
                    start_of(&text)
                ),
            ),
        }
    };
    if !a.is::<Date>() && !b.is::<Date>() {
        return Ok(None);
    }
    Ok(match (read(a)?, read(b)?) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => None,
    })
}

/// Returns whether two values are the same; `None` if they are of types that never are.
fn same(ctx: &NativeCallContext, a: &Dynamic, b: &Dynamic) -> Fallible<Option<bool>> {
    if let (Some(a), Some(b)) = (a.read_lock::<Group>(), b.read_lock::<Group>()) {
        return Ok(Some(a.group.id == b.group.id));
    }
    if let (Some(a), Some(b)) = (a.read_lock::<ChecklistItem>(), b.read_lock::<ChecklistItem>()) {
        return Ok(Some(a.is(&b)));
    }
    let (object, text) = match (a.as_immutable_string_ref(), b.as_immutable_string_ref()) {
        (Ok(text), Err(_)) => (b, text.to_string()),
        (Err(_), Ok(text)) => (a, text.to_string()),
        _ => return Ok(None),
    };
    if let Some(plan) = object.read_lock::<Plan>() {
        return plan.goes_by(&text).map(Some);
    }
    if let Some(bucket) = object.read_lock::<Bucket>() {
        return bucket.goes_by(&text).map(Some);
    }
    if let Some(user) = object.read_lock::<User>() {
        let is_address = text.contains('@') || looks_like_guid(&text) || text == user.id.as_str();
        if !is_address {
            let message = format!(
                "a User is compared with another User or an e-mail, not \"{}\"",
                start_of(&text)
            );
            return refuse(ctx, &message);
        }
        return user.answers_to(&text).map(Some);
    }
    Ok(None)
}

/// Returns advice on what to write instead, where there is some.
fn advice(a: &Dynamic, b: &Dynamic) -> String {
    if a.is_unit() || b.is_unit() {
        return ": check first that it is set (`!= ()`)".to_owned();
    }
    let has_text = a.is_string() || b.is_string();
    let kinds = [kind_of(a), kind_of(b)];
    let text = match (has_text, kinds) {
        (true, ["a Task", _] | [_, "a Task"]) => ": a title is `task.title`",
        (true, ["a Group", _] | [_, "a Group"]) => ": a name is `group.name`",
        (true, ["a checklist item", _] | [_, "a checklist item"]) => ": a title is `item.title`",
        (true, ["a whole number" | "a number", _] | [_, "a whole number" | "a number"]) => {
            ": write a number without quotes"
        }
        _ => "",
    };
    text.to_owned()
}

fn start_of(text: &str) -> String {
    text.chars().take(60).collect()
}

/// Returns the natural order of two values.
pub(crate) fn natural_order(
    ctx: &NativeCallContext,
    a: &Dynamic,
    b: &Dynamic,
) -> Fallible<Ordering> {
    if a.is_shared() || b.is_shared() {
        return natural_order(ctx, &a.flatten_clone(), &b.flatten_clone());
    }
    if a.is_unit() && b.is_unit() {
        return Ok(Ordering::Equal);
    }
    let order = match plain_order(a, b) {
        Some(order) => order,
        None => date_order(ctx, a, b)?,
    };
    let message = || format!("{} and {} have no order", kind_of(a), kind_of(b));
    order.map_or_else(|| refuse(ctx, &message()), Ok)
}

/// Returns whether two values are the same, as `==` does, whatever they are.
pub(crate) fn is_same(ctx: &NativeCallContext, a: &Dynamic, b: &Dynamic) -> Fallible<bool> {
    let mut sides = [a.clone(), b.clone()];
    let [a, b] = &mut sides;
    let same = ctx.call_native_fn_raw("==", true, &mut [a, b])?;
    Ok(same.as_bool().unwrap_or(false))
}

/// Raises an error that a policy cannot pass over by catching it.
pub(crate) fn refuse<T>(ctx: &NativeCallContext, message: &str) -> Fallible<T> {
    Err(match run_of(ctx) {
        Ok(run) => raise(&run.session, &Error::Invalid(message.to_owned())),
        // The top level of a library runs before there is a board.
        Err(_) => message.to_owned().into(),
    })
}

#[export_module]
mod functions {
    /// Returns whether two values are the same.
    #[rhai_fn(name = "==", pure, volatile, return_raw)]
    pub fn equal(ctx: NativeCallContext, a: &mut Dynamic, b: Dynamic) -> Fallible<bool> {
        compare(&ctx, Sign::Equal, a, &b)
    }

    /// Returns whether two values differ.
    #[rhai_fn(name = "!=", pure, volatile, return_raw)]
    pub fn unequal(ctx: NativeCallContext, a: &mut Dynamic, b: Dynamic) -> Fallible<bool> {
        compare(&ctx, Sign::Unequal, a, &b)
    }

    /// Returns whether the first comes before the second.
    #[rhai_fn(name = "<", pure, volatile, return_raw)]
    pub fn less(ctx: NativeCallContext, a: &mut Dynamic, b: Dynamic) -> Fallible<bool> {
        compare(&ctx, Sign::Less, a, &b)
    }

    /// Returns whether the first does not come after the second.
    #[rhai_fn(name = "<=", pure, volatile, return_raw)]
    pub fn not_greater(ctx: NativeCallContext, a: &mut Dynamic, b: Dynamic) -> Fallible<bool> {
        compare(&ctx, Sign::NotGreater, a, &b)
    }

    /// Returns whether the first comes after the second.
    #[rhai_fn(name = ">", pure, volatile, return_raw)]
    pub fn greater(ctx: NativeCallContext, a: &mut Dynamic, b: Dynamic) -> Fallible<bool> {
        compare(&ctx, Sign::Greater, a, &b)
    }

    /// Returns whether the first does not come before the second.
    #[rhai_fn(name = ">=", pure, volatile, return_raw)]
    pub fn not_less(ctx: NativeCallContext, a: &mut Dynamic, b: Dynamic) -> Fallible<bool> {
        compare(&ctx, Sign::NotLess, a, &b)
    }
}
