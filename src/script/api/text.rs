//! Texts in scripts: `as_read`, and a `replace` that keeps its limit.
//!
//! The engine's own `replace` allocates the result before it checks the size: a text of 40 KB in
//! which each letter was replaced by the text itself took gigabytes.

use std::cell::RefCell;
use std::collections::HashMap;

use rhai::plugin::{
    EvalAltResult, ImmutableString, Module, Position, combine_with_exported_module, export_module,
};

use crate::model::as_read;
use crate::script::api::value::Fallible;
use crate::script::budget::STRING_LIMIT;

pub(crate) fn add(module: &mut Module) {
    combine_with_exported_module!(module, "text", functions);
}

/// The most texts remembered as people read them.
const MAX_REMEMBERED: usize = 10_000;

/// Returns a text as people read it. A policy asks for every task of a plan, for every task that a
/// run creates, so the thread remembers the results.
pub(crate) fn read_as(text: &str) -> String {
    thread_local! {
        static READ: RefCell<HashMap<String, String>> = RefCell::default();
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

fn replaced(text: &mut ImmutableString, find: &str, with: &str) -> Fallible<()> {
    if text.is_empty() || find.is_empty() {
        return Ok(());
    }
    let n = text.matches(find).count();
    let size = text.len() - n * find.len() + n.saturating_mul(with.len());
    if size > STRING_LIMIT {
        let what = "Length of string".to_owned();
        return Err(EvalAltResult::ErrorDataTooLarge(what, Position::NONE).into());
    }
    *text = text.replace(find, with).into();
    Ok(())
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

    /// Replaces every occurrence of a text in this one, in place.
    #[rhai_fn(name = "replace", return_raw)]
    pub fn replace(text: &mut ImmutableString, find: &str, with: &str) -> Fallible<()> {
        replaced(text, find, with)
    }

    /// Replaces every occurrence of a text in this one by a character, in place.
    #[rhai_fn(name = "replace", return_raw)]
    pub fn replace_by_char(text: &mut ImmutableString, find: &str, with: char) -> Fallible<()> {
        replaced(text, find, &with.to_string())
    }

    /// Replaces every occurrence of a character in this text by a text, in place.
    #[rhai_fn(name = "replace", return_raw)]
    pub fn replace_char(text: &mut ImmutableString, find: char, with: &str) -> Fallible<()> {
        replaced(text, &find.to_string(), with)
    }

    /// Replaces every occurrence of a character in this text by another, in place.
    #[rhai_fn(name = "replace", return_raw)]
    pub fn replace_char_by_char(
        text: &mut ImmutableString,
        find: char,
        with: char,
    ) -> Fallible<()> {
        replaced(text, &find.to_string(), &with.to_string())
    }
}
