//! YAML for people: block style, a blank line between tasks, texts quoted where needed.
//!
//! The writer is our own, so that the same board gives the same bytes in every version: the files
//! are kept in version control. A text is written plain only if no reader could take it for
//! anything else; the property test reads everything back.

use std::fmt::Write as _;

use serde_json::Value;

/// Lists that have a blank line between their entries.
const AIRY: [&str; 2] = ["buckets", "tasks"];
/// The longest list that is written in one line.
const MAX_FLOW: usize = 80;
/// Words that some version of YAML does not take for text.
const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];

/// Writes an object after a comment.
pub(crate) fn write(head: &str, value: &Value) -> String {
    let mut out = head.to_owned();
    members(&mut out, value, 0, false);
    out
}

/// Writes the members of an object; with `in_line`, the first goes on the line already begun.
fn members(out: &mut String, value: &Value, indent: usize, mut in_line: bool) {
    for (at, (name, value)) in value.as_object().into_iter().flatten().enumerate() {
        if !std::mem::take(&mut in_line) {
            if indent == 0 && at > 0 && (value.is_array() || value.is_object()) {
                out.push('\n');
            }
            push_indent(out, indent);
        }
        out.push_str(&scalar(name, false));
        out.push(':');
        member(out, name, value, indent);
    }
}

fn member(out: &mut String, name: &str, value: &Value, indent: usize) {
    match value {
        Value::Object(map) if map.is_empty() => out.push_str(" {}\n"),
        Value::Object(_) => {
            out.push('\n');
            members(out, value, indent + 2, false);
        }
        Value::Array(items) => match flow(items) {
            Some(line) => _ = writeln!(out, " {line}"),
            None => {
                out.push('\n');
                entries(out, items, indent + 2, AIRY.contains(&name));
            }
        },
        Value::String(text) => match block(text, indent + 2) {
            Some(lines) => _ = writeln!(out, " {lines}"),
            None => _ = writeln!(out, " {}", scalar(text, false)),
        },
        other => _ = writeln!(out, " {}", simple(other)),
    }
}

fn entries(out: &mut String, items: &[Value], indent: usize, airy: bool) {
    for (at, item) in items.iter().enumerate() {
        if airy && at > 0 {
            out.push('\n');
        }
        push_indent(out, indent);
        out.push_str("- ");
        match item {
            Value::Object(map) if !map.is_empty() => members(out, item, indent + 2, true),
            Value::String(text) => _ = writeln!(out, "{}", scalar(text, false)),
            other => _ = writeln!(out, "{}", simple(other)),
        }
    }
}

fn push_indent(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

/// Writes a list of short texts on one line; `None` if it holds anything else or gets too long.
fn flow(items: &[Value]) -> Option<String> {
    let texts: Option<Vec<String>> =
        items.iter().map(|item| item.as_str().map(|text| scalar(text, true))).collect();
    let line = format!("[{}]", texts?.join(", "));
    Some(line).filter(|line| line.chars().count() <= MAX_FLOW)
}

/// Writes a value that is not a text; JSON writes those as YAML does.
fn simple(value: &Value) -> String {
    if value.is_null() { "~".to_owned() } else { value.to_string() }
}

/// Writes several lines as a block, if reading gives exactly the same text back.
fn block(text: &str, indent: usize) -> Option<String> {
    let (lines, style) = match text.strip_suffix('\n') {
        Some(lines) => (lines, "|"),
        None => (text, "|-"),
    };
    let safe = |line: &str| {
        line.chars().all(is_shown) && (line.is_empty() || !line.trim_start().is_empty())
    };
    // Leading blanks would be taken for indentation, and further line ends would be stripped.
    let begins_and_ends = !lines.starts_with([' ', '\n']) && !lines.ends_with('\n');
    if !lines.contains('\n') || !begins_and_ends || !lines.split('\n').all(safe) {
        return None;
    }
    let mut out = style.to_owned();
    for line in lines.split('\n') {
        out.push('\n');
        if !line.is_empty() {
            push_indent(&mut out, indent);
            out.push_str(line);
        }
    }
    Some(out)
}

/// Writes a text on one line: plain if nobody can misread it, else in quotes.
fn scalar(text: &str, in_flow: bool) -> String {
    if is_plain(text, in_flow) { text.to_owned() } else { quoted(text) }
}

fn is_plain(text: &str, in_flow: bool) -> bool {
    let Some(first) = text.chars().next() else { return false };
    // A text that begins with a digit may be read as a number or a time. A phrase with a space and
    // a letter cannot, and a date is what it looks like.
    let starts = if first.is_ascii_digit() {
        is_date(text) || (text.contains(' ') && text.chars().any(char::is_alphabetic))
    } else {
        first.is_alphabetic()
    };
    let special = text.contains(": ")
        || text.contains(" #")
        || text.ends_with([':', ' '])
        || (in_flow && text.contains([',', ':', '[', ']', '{', '}', '"', '\'']));
    starts && !special && text.chars().all(is_shown) && !WORDS.contains(&&*text.to_lowercase())
}

fn is_date(text: &str) -> bool {
    text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok()
}

/// Returns whether a character can be written as it is: visible, and what it seems to be.
fn is_shown(ch: char) -> bool {
    let hidden = matches!(ch,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff0}'..='\u{ffff}' | '\u{e0000}'..);
    !ch.is_control() && !hidden && (ch == ' ' || !ch.is_whitespace())
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for ch in text.chars() {
        match ch {
            '"' | '\\' => out.extend(['\\', ch]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if is_shown(ch) => out.push(ch),
            _ => _ = write!(out, "\\U{:08x}", u32::from(ch)),
        }
    }
    out.push('"');
    out
}
