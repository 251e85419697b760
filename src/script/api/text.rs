//! Texts in scripts. What trims, replaces, pads or cuts returns the new text, and each keeps the
//! limit on its size before it allocates.
//!
//! The engine's own functions change the text in place: `task.title.trim()` would rename the task
//! and return nothing, and a `replace` allocates the result before it checks the size.

use std::cell::RefCell;
use std::collections::HashMap;

use rhai::Array;
use rhai::plugin::{
    Dynamic, EvalAltResult, ImmutableString, Module, Position, combine_with_exported_module,
    export_module,
};

use crate::model::as_read;
use crate::script::api::value::{ExclusiveRange, Fallible, InclusiveRange};
use crate::script::budget::STRING_LIMIT;

pub(crate) fn add(module: &mut Module) {
    combine_with_exported_module!(module, "text", functions);
}

/// The most texts remembered as people read them.
const MAX_REMEMBERED: usize = 10_000;
/// The most bytes of a text that is remembered.
const MAX_REMEMBERED_TEXT: usize = 1_024;
/// The most places behind the point of a number.
const MAX_PLACES: i64 = 15;

/// Returns a text as people read it. A policy asks for every task of a plan, for every task that a
/// run creates, so the thread remembers the results.
pub(crate) fn read_as(text: &str) -> String {
    thread_local! {
        static READ: RefCell<HashMap<String, String>> = RefCell::default();
    }
    // What is remembered must stay small, and nobody titles a task like that.
    if text.len() > MAX_REMEMBERED_TEXT {
        return as_read(text);
    }
    READ.with_borrow_mut(|read| {
        if let Some(known) = read.get(text) {
            return known.clone();
        }
        if read.len() >= MAX_REMEMBERED {
            read.clear();
        }
        let plain = as_read(text);
        read.insert(text.to_owned(), plain.clone());
        plain
    })
}

fn check_size(size: usize) -> Fallible<()> {
    if size <= STRING_LIMIT {
        return Ok(());
    }
    let what = "Length of string".to_owned();
    Err(EvalAltResult::ErrorDataTooLarge(what, Position::NONE).into())
}

fn replaced(text: &ImmutableString, find: &str, with: &str) -> Fallible<ImmutableString> {
    if text.is_empty() || find.is_empty() {
        return Ok(text.clone());
    }
    let n = text.matches(find).count();
    check_size(text.len() - n * find.len() + n.saturating_mul(with.len()))?;
    Ok(text.replace(find, with).into())
}

/// Returns as many repeats of a text as bring `now` characters up to `len`.
fn padding(now: usize, size: usize, len: i64, with: &str) -> Fallible<String> {
    let len = usize::try_from(len).unwrap_or(0);
    let n_with = with.chars().count();
    if len <= now || n_with == 0 {
        return Ok(String::new());
    }
    let missing = len - now;
    check_size(missing.saturating_mul(with.len()).div_ceil(n_with).saturating_add(size))?;
    Ok(with.chars().cycle().take(missing).collect())
}

/// Returns the characters from one place to before another; places below 0 count from the end.
fn cut(text: &str, from: i64, to: i64) -> ImmutableString {
    let n = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
    let place = |at: i64| if at < 0 { (n + at).max(0) } else { at.min(n) };
    let (from, to) = (place(from), place(to));
    let take = usize::try_from(to - from).unwrap_or(0);
    text.chars().skip(usize::try_from(from).unwrap_or(0)).take(take).collect::<String>().into()
}

#[export_module]
mod functions {
    /// Returns a text as people read it, for comparing: without invisible characters, and the same
    /// whatever the case, the spaces and the alphabet of letters that look alike. It is not for
    /// display.
    #[rhai_fn(name = "as_read")]
    pub fn as_people_read(text: &str) -> String {
        read_as(text)
    }

    /// Returns the text without blanks at both ends.
    #[rhai_fn(name = "trim", pure)]
    pub fn trim(text: &mut ImmutableString) -> ImmutableString {
        text.trim().into()
    }

    /// Returns the text without blanks at its start.
    #[rhai_fn(name = "trim_start", pure)]
    pub fn trim_start(text: &mut ImmutableString) -> ImmutableString {
        text.trim_start().into()
    }

    /// Returns the text without blanks at its end.
    #[rhai_fn(name = "trim_end", pure)]
    pub fn trim_end(text: &mut ImmutableString) -> ImmutableString {
        text.trim_end().into()
    }

    /// Returns the text with every occurrence of a part replaced.
    #[rhai_fn(name = "replace", pure, return_raw)]
    pub fn replace(
        text: &mut ImmutableString,
        find: &str,
        with: &str,
    ) -> Fallible<ImmutableString> {
        replaced(text, find, with)
    }

    /// Returns the text with every occurrence of a part replaced by a character.
    #[rhai_fn(name = "replace", pure, return_raw)]
    pub fn replace_by_char(
        text: &mut ImmutableString,
        find: &str,
        with: char,
    ) -> Fallible<ImmutableString> {
        replaced(text, find, &with.to_string())
    }

    /// Returns the text with every occurrence of a character replaced by a text.
    #[rhai_fn(name = "replace", pure, return_raw)]
    pub fn replace_char(
        text: &mut ImmutableString,
        find: char,
        with: &str,
    ) -> Fallible<ImmutableString> {
        replaced(text, &find.to_string(), with)
    }

    /// Returns the text with every occurrence of a character replaced by another.
    #[rhai_fn(name = "replace", pure, return_raw)]
    pub fn replace_char_by_char(
        text: &mut ImmutableString,
        find: char,
        with: char,
    ) -> Fallible<ImmutableString> {
        replaced(text, &find.to_string(), &with.to_string())
    }

    /// Returns the text without any occurrence of a part.
    #[rhai_fn(name = "remove", pure, return_raw)]
    pub fn remove(text: &mut ImmutableString, part: &str) -> Fallible<ImmutableString> {
        replaced(text, part, "")
    }

    /// Returns the text without any occurrence of a character.
    #[rhai_fn(name = "remove", pure, return_raw)]
    pub fn remove_char(text: &mut ImmutableString, part: char) -> Fallible<ImmutableString> {
        replaced(text, &part.to_string(), "")
    }

    /// Returns the text made as long as `len` characters, with a text at its end.
    #[rhai_fn(name = "pad", name = "pad_end", pure, return_raw)]
    pub fn pad(text: &mut ImmutableString, len: i64, with: &str) -> Fallible<ImmutableString> {
        let more = padding(text.chars().count(), text.len(), len, with)?;
        Ok(format!("{text}{more}").into())
    }

    /// Returns the text made as long as `len` characters, with a character at its end.
    #[rhai_fn(name = "pad", name = "pad_end", pure, return_raw)]
    pub fn pad_by_char(
        text: &mut ImmutableString,
        len: i64,
        with: char,
    ) -> Fallible<ImmutableString> {
        let more = padding(text.chars().count(), text.len(), len, &with.to_string())?;
        Ok(format!("{text}{more}").into())
    }

    /// Returns the text made as long as `len` characters, with a text at its start.
    #[rhai_fn(name = "pad_start", pure, return_raw)]
    pub fn pad_start(
        text: &mut ImmutableString,
        len: i64,
        with: &str,
    ) -> Fallible<ImmutableString> {
        let more = padding(text.chars().count(), text.len(), len, with)?;
        Ok(format!("{more}{text}").into())
    }

    /// Returns the text made as long as `len` characters, with a character at its start.
    #[rhai_fn(name = "pad_start", pure, return_raw)]
    pub fn pad_start_by_char(
        text: &mut ImmutableString,
        len: i64,
        with: char,
    ) -> Fallible<ImmutableString> {
        let more = padding(text.chars().count(), text.len(), len, &with.to_string())?;
        Ok(format!("{more}{text}").into())
    }

    /// Returns the text cut to at most `len` characters.
    #[rhai_fn(name = "truncate", pure)]
    pub fn truncate(text: &mut ImmutableString, len: i64) -> ImmutableString {
        cut(text, 0, len.max(0))
    }

    /// Returns the text from a place on; below 0 it counts from the end.
    #[rhai_fn(name = "slice", name = "crop", pure)]
    pub fn slice_from(text: &mut ImmutableString, from: i64) -> ImmutableString {
        cut(text, from, i64::MAX)
    }

    /// Returns the text from one place to before another; below 0 they count from the end.
    #[rhai_fn(name = "slice", pure)]
    pub fn slice(text: &mut ImmutableString, from: i64, to: i64) -> ImmutableString {
        cut(text, from, to)
    }

    /// Returns `len` characters of the text from a place on.
    #[rhai_fn(name = "crop", pure)]
    pub fn crop(text: &mut ImmutableString, from: i64, len: i64) -> ImmutableString {
        let from = if from < 0 {
            let n = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
            (n + from).max(0)
        } else {
            from
        };
        cut(text, from, from.saturating_add(len.max(0)))
    }

    /// Returns a range of the text: `text.extract(0..3)`, or `text[0..3]`.
    #[rhai_fn(name = "extract", name = "slice", name = "crop", pure)]
    pub fn extract(text: &mut ImmutableString, range: ExclusiveRange) -> ImmutableString {
        cut(text, range.start, range.end)
    }

    /// Returns a range of the text with its end: `text.extract(0..=3)`, or `text[0..=3]`.
    #[rhai_fn(name = "extract", name = "slice", name = "crop", pure)]
    pub fn extract_inclusive(text: &mut ImmutableString, range: InclusiveRange) -> ImmutableString {
        cut(text, *range.start(), range.end().saturating_add(1))
    }

    /// Returns whether the text contains another.
    #[rhai_fn(name = "includes", pure)]
    pub fn includes(text: &mut ImmutableString, part: &str) -> bool {
        text.contains(part)
    }

    /// Returns the text `n` times in a row.
    #[rhai_fn(name = "repeat", pure, return_raw)]
    pub fn repeat(text: &mut ImmutableString, n: i64) -> Fallible<ImmutableString> {
        let n = usize::try_from(n).unwrap_or(0);
        check_size(text.len().saturating_mul(n))?;
        Ok(text.repeat(n).into())
    }

    /// Returns the lines of the text.
    /// → [text]
    #[rhai_fn(name = "lines", pure)]
    pub fn lines(text: &mut ImmutableString) -> Array {
        text.lines().map(|line| Dynamic::from(ImmutableString::from(line))).collect()
    }

    /// Returns the number with as many places behind its point, as text.
    #[rhai_fn(name = "to_fixed")]
    pub fn to_fixed(number: f64, places: i64) -> String {
        let places = usize::try_from(places.clamp(0, MAX_PLACES)).unwrap_or_default();
        format!("{number:.places$}")
    }

    /// Returns the whole number with as many places behind a point, as text.
    #[rhai_fn(name = "to_fixed")]
    pub fn whole_to_fixed(number: i64, places: i64) -> String {
        let places = usize::try_from(places.clamp(0, MAX_PLACES)).unwrap_or_default();
        let zeros = "0".repeat(places);
        if places == 0 { number.to_string() } else { format!("{number}.{zeros}") }
    }
}
