//! ETags of Planner objects: their format, and the decisions of conditional headers.
//!
//! planner-api.md 3.2 and 3.3. A tag contains the kind of its object and the version, so that a tag
//! of one kind is refused on another, and a stale tag still tells how stale it is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::emulator::state::graph_error::GraphError;
use crate::emulator::state::object::ObjectKind;

/// The version of a new object, and the step between two versions (planner-api.md 3.2).
pub(crate) const STEP: u64 = 4;
/// The characters of a version, six bits each, most significant first.
const DIGITS: usize = 16;

/// Returns the tag of an object at a version (the generator of planner-api.md 3.2).
pub(crate) fn format(kind: ObjectKind, version: u64) -> String {
    // Of fixed width, so that a newer tag compares greater as a string: clients may rely on that.
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

/// Returns the part before the version, where the type token is padded to a multiple of three
/// characters.
fn prefix(kind: ObjectKind) -> String {
    let token = kind.token();
    let width = token.len().next_multiple_of(3);
    format!("'1-{token:<width$}")
}

/// Returns the version in a tag of this kind; `None` if it is not one.
fn version_of(kind: ObjectKind, tag: &str) -> Option<u64> {
    let body = opaque(tag)?;
    let text = STANDARD.decode(body).ok()?;
    // The kind is in the tag: that of a task is refused on its details (planner-api.md trap 1).
    let digits = text.strip_prefix(prefix(kind).as_bytes())?.strip_suffix(b"'")?;
    // With another width, one version would have several tags.
    if digits.len() != DIGITS {
        return None;
    }
    digits.iter().try_fold(0_u64, |version, digit| {
        let value = digit.checked_sub(0x40).filter(|value| *value < 64)?;
        version.checked_mul(64)?.checked_add(u64::from(value))
    })
}

/// Returns the text between the quotes of the weak or the strong form; a bare tag has none.
fn opaque(tag: &str) -> Option<&str> {
    let tag = tag.trim();
    tag.strip_prefix("W/").unwrap_or(tag).strip_prefix('"')?.strip_suffix('"')
}

/// Checks `If-Match` and returns the version that the client has seen. It may be an old one:
/// whether that matters depends on the fields that the client changes (planner-api.md 3.4).
///
/// # Errors
///
/// By the table of planner-api.md 3.3: 412 when missing, unparsable, of another kind or of no known
/// version; 400 for `*`.
pub(crate) fn seen_version(
    kind: ObjectKind,
    current: u64,
    headers: &[&str],
) -> Result<u64, GraphError> {
    const INVALID: &str = "The If-Match header contains an invalid value.";
    match headers {
        [] => Err(GraphError::new(
            412,
            "",
            "The If-Match header must be specified for this kind of request.",
        )),
        // The only 400 among the invalid values, because it was reported so (planner-api.md 3.3).
        [tag] if tag.trim() == "*" => Err(GraphError::new(400, "", INVALID)),
        // A version that is not a multiple of the step never existed. All others are known: the
        // changes of an object are kept for its whole life.
        [tag] => version_of(kind, tag)
            .filter(|version| *version <= current && *version >= STEP && version % STEP == 0)
            .ok_or_else(|| GraphError::new(412, "", INVALID)),
        _ => Err(GraphError::new(412, "", INVALID)),
    }
}

/// Returns whether `If-None-Match` names the current tag, by weak comparison (planner-api.md 3.6).
pub(crate) fn names(headers: &[&str], tag: &str) -> bool {
    headers
        .iter()
        .flat_map(|header| header.split(','))
        .any(|one| one.trim() == "*" || opaque(one).is_some_and(|body| opaque(tag) == Some(body)))
}

#[cfg(test)]
mod tests {
    use super::{format, seen_version, version_of};
    use crate::emulator::state::object::ObjectKind;

    #[test]
    fn tags_equal_the_vectors_of_the_reference() {
        let vectors = [
            (ObjectKind::Task, 4, "JzEtVGFzayAgQEBAQEBAQEBAQEBAQEBARCc="),
            (ObjectKind::Task, 8, "JzEtVGFzayAgQEBAQEBAQEBAQEBAQEBASCc="),
            (ObjectKind::Plan, 4, "JzEtUGxhbiAgQEBAQEBAQEBAQEBAQEBARCc="),
            (ObjectKind::Bucket, 12, "JzEtQnVja2V0QEBAQEBAQEBAQEBAQEBATCc="),
            (ObjectKind::TaskDetails, 4, "JzEtVGFza0RldGFpbHMgQEBAQEBAQEBAQEBAQEBARCc="),
            (ObjectKind::PlanDetails, 24, "JzEtUGxhbkRldGFpbHMgQEBAQEBAQEBAQEBAQEBAWCc="),
            (
                ObjectKind::BucketBoard,
                4,
                "JzEtQnVja2V0VGFza0JvYXJkVGFza0Zvcm1hdCAgQEBAQEBAQEBAQEBAQEBARCc=",
            ),
            (
                ObjectKind::ProgressBoard,
                4,
                "JzEtUHJvZ3Jlc3NUYXNrQm9hcmRUYXNrRm9ybWF0QEBAQEBAQEBAQEBAQEBARCc=",
            ),
            (
                ObjectKind::AssignedBoard,
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
            let tag = format(ObjectKind::Task, version);
            assert!(tag > last);
            assert_eq!(version_of(ObjectKind::Task, &tag), Some(version));
            last = tag;
        }
    }

    #[test]
    fn if_match_is_decided_by_table_3_3() {
        let task = |version| format(ObjectKind::Task, version);
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
            (vec![format(ObjectKind::TaskDetails, 8)], Err(412)),
            (vec![task(8), task(8)], Err(412)),
            (vec![format!("{}, {}", task(4), task(8))], Err(412)),
            (vec!["W/\"\"".to_owned()], Err(412)),
            (vec!["W/\"".to_owned()], Err(412)),
        ];
        for (headers, expected) in cases {
            let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
            let result = seen_version(ObjectKind::Task, 8, &headers).map_err(|fault| fault.status);
            assert_eq!(result, expected, "{headers:?}");
        }
    }
}
