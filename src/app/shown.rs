//! Foreign text, made safe to be shown: on a terminal, and in what a model reads.

pub(crate) mod agents;
pub(crate) mod entity;
pub(crate) mod pending;
pub(crate) mod runs;
pub(crate) mod scripts;
pub(crate) mod tasks;

use std::fmt::Write as _;

/// Writes out control characters, escapes, and characters that are invisible or change the
/// direction of writing, so that no title can move the cursor, change colours or fake a line of
/// output.
pub(crate) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(ch) = rest.next() {
        match ch {
            '\n' => out.push('⏎'),
            '\t' => out.push(' '),
            // One that stands alone ends a line for some readers: a comment of a script, for one.
            '\r' if rest.peek() == Some(&'\n') => {}
            // The control pictures show C0 controls as one character each.
            '\0'..='\u{1f}' => out.push(char::from_u32(0x2400 + u32::from(ch)).unwrap_or('�')),
            '\u{7f}' => out.push('␡'),
            _ if is_hidden(ch) => {
                let _infallible = write!(out, "<U+{:04X}>", u32::from(ch));
            }
            _ => out.push(ch),
        }
    }
    out
}

/// Escapes in JSON the characters that a terminal would obey or hide; the value stays the same.
pub(crate) fn json_safe(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for ch in json.chars() {
        if is_hidden(ch) || ch == '\u{7f}' {
            for unit in ch.encode_utf16(&mut [0; 2]) {
                let _infallible = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(ch);
        }
    }
    out
}

/// Returns whether a character is a C1 control, a bidirectional control, zero-width or another
/// invisible format character. Emoji need the joiner and the variation selectors: those are shown.
const fn is_hidden(ch: char) -> bool {
    matches!(
        ch,
        '\u{80}'..='\u{9f}'
            | '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'
            | '\u{200c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Shortens a text to `limit` characters.
pub(crate) fn shortened(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    text.chars().take(limit.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_title_cannot_speak_to_the_terminal() {
        assert_eq!(visible("a\u{1b}[31mred\u{7}"), "a␛[31mred␇");
        assert_eq!(visible("two\nlines\r\n"), "two⏎lines⏎");
        assert_eq!(visible("abc\u{202e}fed"), "abc<U+202E>fed");
        assert_eq!(visible("\u{9b}31m"), "<U+009B>31m");
        assert_eq!(visible("Café ☕ 👩‍🔧 日本"), "Café ☕ 👩‍🔧 日本");
    }

    #[test]
    fn json_says_the_same_and_does_nothing() {
        let value = serde_json::json!("a\u{9b}5m\u{202e}\u{e0001}\u{7f} Café 👩‍🔧");
        let safe = json_safe(&value.to_string());
        assert!(safe.contains("\\u009b5m\\u202e\\udb40\\udc01\\u007f"), "{safe}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap(), value);
    }

    proptest! {
        #[test]
        fn nothing_shown_is_a_control_character(text in any::<String>()) {
            prop_assert!(!visible(&text).chars().any(|ch| ch.is_control() || is_hidden(ch)));
        }
    }
}
