//! ETags of Planner objects: what they are made of, and what a conditional header decides.
//!
//! planner-api.md sections 3.2 and 3.3. A tag carries the kind of its object and its version, so
//! that a tag of one kind is refused on another, and a stale tag still says how stale it is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::emulator::state::graph_error::Fault;
use crate::emulator::state::object::Kind;

/// The version of a new object, and the distance between two versions (3.2).
pub(crate) const STEP: u64 = 4;
/// The characters of a version, six bits each, most significant first.
const DIGITS: usize = 16;

/// Returns the tag of an object at a version (the generator of 3.2).
pub(crate) fn format(kind: Kind, version: u64) -> String {
    let mut digits = [0x40_u8; DIGITS];
    let mut rest = version;
    for digit in digits.iter_mut().rev() {
        *digit += (rest & 0x3F) as u8;
        rest >>= 6;
    }
    let mut text = prefix(kind).into_bytes();
    text.extend_from_slice(&digits);
    text.push(b'\'');
    format!("W/\"{}\"", STANDARD.encode(text))
}

/// What precedes the version: the type token is padded to a multiple of three characters.
fn prefix(kind: Kind) -> String {
    let token = kind.token();
    let width = token.len().next_multiple_of(3);
    format!("'1-{token:<width$}")
}

/// Returns the version that a tag of this kind carries; `None` if it is no such tag.
fn version_of(kind: Kind, tag: &str) -> Option<u64> {
    let body = opaque(tag)?;
    let text = STANDARD.decode(body).ok()?;
    let digits = text.strip_prefix(prefix(kind).as_bytes())?.strip_suffix(b"'")?;
    if digits.len() != DIGITS {
        return None;
    }
    digits.iter().try_fold(0_u64, |version, digit| {
        let value = digit.checked_sub(0x40).filter(|value| *value < 64)?;
        version.checked_mul(64)?.checked_add(u64::from(value))
    })
}

/// The text between the quotes, of the weak or the strong form.
fn opaque(tag: &str) -> Option<&str> {
    let tag = tag.trim();
    tag.strip_prefix("W/").unwrap_or(tag).strip_prefix('"')?.strip_suffix('"')
}

/// Decides `If-Match` and returns the version that the client has seen, which may be an old one:
/// whether that matters is decided by what it changes (3.4).
///
/// # Errors
///
/// The rows of table 3.3: 412 when missing, unparsable, of another kind or of no known version;
/// 400 for `*`.
pub(crate) fn seen_version(kind: Kind, current: u64, headers: &[&str]) -> Result<u64, Fault> {
    const INVALID: &str = "The If-Match header contains an invalid value.";
    match headers {
        [] => Err(Fault::new(
            412,
            "",
            "The If-Match header must be specified for this kind of request.",
        )),
        [tag] if tag.trim() == "*" => Err(Fault::new(400, "", INVALID)),
        [tag] => version_of(kind, tag)
            .filter(|version| *version <= current && *version >= STEP && version % STEP == 0)
            .ok_or_else(|| Fault::new(412, "", INVALID)),
        _ => Err(Fault::new(412, "", INVALID)),
    }
}

/// Says whether `If-None-Match` names the current tag (3.6), by weak comparison.
pub(crate) fn names(headers: &[&str], tag: &str) -> bool {
    headers
        .iter()
        .flat_map(|header| header.split(','))
        .any(|one| one.trim() == "*" || opaque(one).is_some_and(|body| opaque(tag) == Some(body)))
}

#[cfg(test)]
mod tests {
    use super::{format, seen_version, version_of};
    use crate::emulator::state::object::Kind;

    #[test]
    fn tags_equal_the_vectors_of_the_reference() {
        let vectors = [
            (Kind::Task, 4, "JzEtVGFzayAgQEBAQEBAQEBAQEBAQEBARCc="),
            (Kind::Task, 8, "JzEtVGFzayAgQEBAQEBAQEBAQEBAQEBASCc="),
            (Kind::Plan, 4, "JzEtUGxhbiAgQEBAQEBAQEBAQEBAQEBARCc="),
            (Kind::Bucket, 12, "JzEtQnVja2V0QEBAQEBAQEBAQEBAQEBATCc="),
            (Kind::TaskDetails, 4, "JzEtVGFza0RldGFpbHMgQEBAQEBAQEBAQEBAQEBARCc="),
            (Kind::PlanDetails, 24, "JzEtUGxhbkRldGFpbHMgQEBAQEBAQEBAQEBAQEBAWCc="),
            (
                Kind::BucketBoard,
                4,
                "JzEtQnVja2V0VGFza0JvYXJkVGFza0Zvcm1hdCAgQEBAQEBAQEBAQEBAQEBARCc=",
            ),
            (
                Kind::ProgressBoard,
                4,
                "JzEtUHJvZ3Jlc3NUYXNrQm9hcmRUYXNrRm9ybWF0QEBAQEBAQEBAQEBAQEBARCc=",
            ),
            (
                Kind::AssignedBoard,
                4,
                "JzEtQXNzaWduZWRUb1Rhc2tCb2FyZFRhc2tGb3JtYXQgQEBAQEBAQEBAQEBAQEBARCc=",
            ),
        ];
        for (kind, version, body) in vectors {
            assert_eq!(format(kind, version), format!("W/\"{body}\""));
        }
    }

    #[test]
    fn a_newer_tag_compares_greater() {
        let mut last = String::new();
        for version in [4, 8, 252, 256, 4096, 1 << 40, u64::MAX - 3] {
            let tag = format(Kind::Task, version);
            assert!(tag > last);
            assert_eq!(version_of(Kind::Task, &tag), Some(version));
            last = tag;
        }
    }

    #[test]
    fn if_match_is_decided_by_table_3_3() {
        let task = |version| format(Kind::Task, version);
        let bare = task(8).replace("W/", "").replace('"', "");
        let strong = task(8).replace("W/", "");
        let cases = [
            (vec![task(8)], Ok(8)),
            (vec![task(4)], Ok(4)),
            (vec![strong], Ok(8)),
            (vec![], Err(412)),
            (vec!["*".to_owned()], Err(400)),
            (vec![bare], Err(412)),
            (vec![task(12)], Err(412)),
            (vec![task(0)], Err(412)),
            (vec![task(6)], Err(412)),
            (vec![format(Kind::TaskDetails, 8)], Err(412)),
            (vec![task(8), task(8)], Err(412)),
            (vec![format!("{}, {}", task(4), task(8))], Err(412)),
            (vec!["W/\"\"".to_owned()], Err(412)),
            (vec!["W/\"".to_owned()], Err(412)),
        ];
        for (headers, expected) in cases {
            let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
            let result = seen_version(Kind::Task, 8, &headers).map_err(|fault| fault.status);
            assert_eq!(result, expected, "{headers:?}");
        }
    }
}
