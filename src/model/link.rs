//! Links: addresses in Planner's own client, and the keys of references, which are URLs encoded so
//! that they can be property names.
//!
//! Exactly five characters are encoded, `%` first (planner-api.md 5.4). A key encoded differently
//! is another key to the service, and deleting it deletes nothing.

use std::fmt::Write as _;

use crate::model::id::{PlanId, TaskId};

/// The reason why a text cannot be a reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotALink {
    /// It is not a web address.
    #[error("`{0}` is not a link: it must begin with http:// or https://")]
    Scheme(String),
    /// It could be taken for several lines, or for a command to a terminal.
    #[error("a link and its text must be one line, without control characters")]
    Control,
}

const ENCODED: [(char, &str); 5] =
    [('%', "%25"), ('.', "%2E"), (':', "%3A"), ('@', "%40"), ('#', "%23")];

/// Encodes a URL as the key of a reference.
///
/// # Errors
/// The text does not begin with `http://` or `https://`.
pub fn encode(url: &str) -> Result<String, NotALink> {
    let scheme = url.split_once("://").map(|(scheme, rest)| (scheme.to_ascii_lowercase(), rest));
    match scheme {
        Some((scheme, rest)) if (scheme == "http" || scheme == "https") && !rest.is_empty() => {}
        _ => return Err(NotALink::Scheme(url.chars().take(80).collect())),
    }
    let mut key = String::with_capacity(url.len() + 16);
    for ch in url.chars() {
        match ENCODED.iter().find(|(plain, _)| *plain == ch) {
            Some((_, encoded)) => key.push_str(encoded),
            None => key.push(ch),
        }
    }
    Ok(key)
}

/// Returns the address of a task in Planner's own client.
#[must_use]
pub fn of_task(plan: &PlanId, task: &TaskId) -> String {
    format!("https://planner.cloud.microsoft/webui/plan/{plan}/view/board/task/{task}")
}

/// Returns a URL as it may be sent: no URL has blanks, but people paste the names of files.
#[must_use]
pub fn without_blanks(url: &str) -> String {
    url.trim().replace(' ', "%20")
}

/// Encodes the URL of a new reference, shown as `alias`; its blanks are written `%20`. References
/// already on a board may break these rules.
///
/// # Errors
/// The URL is not a web address, or one of the two is not a single line of text.
pub fn encode_new(url: &str, alias: Option<&str>) -> Result<String, NotALink> {
    let is_control = |ch: char| ch.is_control() || matches!(ch, '\u{2028}' | '\u{2029}');
    if [url, alias.unwrap_or_default()].iter().any(|text| text.contains(is_control)) {
        return Err(NotALink::Control);
    }
    encode(&without_blanks(url))
}

/// The address under which the keys of tasks are kept: a name that nobody can own (RFC 2606).
const KEYS: &str = "https://planwright.invalid/key/";

/// Encodes the key that identifies a task (design.md 2.2) as the key of a reference.
#[must_use]
pub fn of_key(key: &str) -> String {
    let mut url = KEYS.to_owned();
    for byte in key.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            let _infallible = write!(url, "%{byte:02X}");
        }
    }
    encode(&url).unwrap_or_default()
}

/// Returns the key that identifies a task, if this is the key of the reference that keeps it.
#[must_use]
pub fn key_of(reference: &str) -> Option<String> {
    let url = decode(reference);
    let mut rest = url.strip_prefix(KEYS)?.as_bytes();
    let mut bytes = Vec::with_capacity(rest.len());
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%' {
            let (digits, after) = rest.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = after;
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// Decodes the key of a reference; hexadecimal digits of either case are read.
#[must_use]
pub fn decode(key: &str) -> String {
    let mut url = String::with_capacity(key.len());
    let mut rest = key;
    while let Some(at) = rest.find('%') {
        let (before, from) = rest.split_at(at);
        url.push_str(before);
        let code = from.get(..3).map(str::to_ascii_uppercase).unwrap_or_default();
        match ENCODED.iter().find(|(_, encoded)| *encoded == code) {
            Some((plain, _)) => {
                url.push(*plain);
                rest = from.get(3..).unwrap_or_default();
            }
            None => {
                url.push('%');
                rest = from.get(1..).unwrap_or_default();
            }
        }
    }
    url + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The examples of planner-api.md 5.4; see planner-api.md trap 19.
    #[test]
    fn the_five_characters_are_encoded_and_no_others() {
        for (url, key) in [
            (
                "https://wiki.example.org/a.b?x=1#top",
                "https%3A//wiki%2Eexample%2Eorg/a%2Eb?x=1%23top",
            ),
            (
                "http://u@files.example.org/100%25.docx",
                "http%3A//u%40files%2Eexample%2Eorg/100%2525%2Edocx",
            ),
        ] {
            assert_eq!(encode(url).as_deref(), Ok(key));
            assert_eq!(decode(key), url);
        }
        assert_eq!(decode("http%3a//a%2eb"), "http://a.b");
        assert_eq!(decode("%2F%zz%"), "%2F%zz%");
        for text in ["", "ftp://x", "javascript:alert(1)", "//x", "https://", "x"] {
            assert!(encode(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_new_link_and_its_text_are_one_line() {
        let url = "https://a.example";
        assert_eq!(encode_new(url, Some("Café 👩‍🔧")), encode(url));
        for bad in ["\n", "\r", "\t", "\0", "\u{1b}[31m", "\u{85}", "\u{2028}", "\u{7f}"] {
            let (link, alias) = (format!("{url}/{bad}x"), format!("a{bad}b"));
            assert_eq!(encode_new(&link, None), Err(NotALink::Control), "{bad:?}");
            assert_eq!(encode_new(url, Some(&alias)), Err(NotALink::Control), "{bad:?}");
        }
    }

    #[test]
    fn a_new_link_has_no_blanks() {
        let key = encode_new("https://x.example/Shared Documents/Plan.docx", None).unwrap();
        assert_eq!(decode(&key), "https://x.example/Shared%20Documents/Plan.docx");
        assert_eq!(encode_new("https://x.example/a%20b ", None), encode("https://x.example/a%20b"));
    }

    #[test]
    fn what_identifies_a_task_is_a_link_of_its_own() {
        assert_eq!(decode(&of_key("inv 7/é")), "https://planwright.invalid/key/inv%207%2F%C3%A9");
        assert_ne!(of_key("a b"), of_key("a%20b"));
    }

    proptest! {
        #[test]
        fn every_key_comes_back(key in any::<String>()) {
            prop_assert_eq!(key_of(&of_key(&key)), Some(key));
        }

        #[test]
        fn every_link_comes_back(rest in "\\PC{1,60}") {
            let url = format!("https://{rest}");
            let key = encode(&url).unwrap();
            prop_assert!(!key.contains(['.', ':', '@', '#']));
            prop_assert_eq!(decode(&key), url);
        }
    }
}
