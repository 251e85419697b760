//! Identifiers as types of their own.
//!
//! An id is opaque text given by the service (planner-api.md 1.2). It goes into URLs, so only
//! characters that need no escaping are accepted. An entity that does not exist yet has a
//! *provisional* id, which the host replaces by the real one at apply, wherever a script has put
//! it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The reason why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a valid {kind} id")]
pub struct InvalidId {
    /// The kind of id expected, as a word: `plan`, `task` …
    pub kind: &'static str,
    /// The offending text, shortened.
    pub text: String,
}

const MAX_LEN: usize = 128;
const OPEN: char = '⟦';
const CLOSE: char = '⟧';

fn check(kind: &'static str, text: &str) -> Result<(), InvalidId> {
    let plain = !text.is_empty()
        && text.len() <= MAX_LEN
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        // `.` and `..` would change the path of a URL.
        && text.bytes().any(|b| b != b'.');
    if plain || is_marker(text) {
        Ok(())
    } else {
        Err(InvalidId { kind, text: text.chars().take(60).collect() })
    }
}

/// Returns whether a text is a provisional id, and nothing else.
pub(crate) fn is_marker(text: &str) -> bool {
    text.strip_prefix(OPEN)
        .and_then(|rest| rest.strip_suffix(CLOSE))
        .and_then(|inner| inner.strip_prefix("new:"))
        .is_some_and(|rest| {
            rest.len() <= 40 && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b':')
        })
}

/// Returns the provisional id of the `n`th entity that the run with this `nonce` creates.
///
/// The nonce makes it unguessable, so that a text from the board is never taken for one.
fn marker(nonce: &str, n: usize) -> String {
    format!("{OPEN}new:{n}:{nonce}{CLOSE}")
}

/// Checks the id of a comment, which is never part of a URL: Planner says nothing of its form.
fn check_opaque(kind: &'static str, text: &str) -> Result<(), InvalidId> {
    let is_plain = !text.is_empty()
        && text.len() <= 2 * MAX_LEN
        && text.chars().all(|c| !c.is_control() && c != OPEN && c != CLOSE);
    if is_plain || is_marker(text) {
        Ok(())
    } else {
        Err(InvalidId { kind, text: text.chars().take(60).collect() })
    }
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        id_type!($(#[$doc])* $name, $kind, check);
    };
    ($(#[$doc:meta])* $name:ident, $kind:literal, $check:path) => {
        $(#[$doc])*
        ///
        /// ```compile_fail
        /// use planwright::model::{GroupId, PlanId, TaskId};
        /// let task: TaskId = PlanId::parse("a").unwrap();
        /// ```
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks a text and makes it an id.
            ///
            /// # Errors
            /// The text is empty, too long, or has characters that no id has.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                $check($kind, text)?;
                Ok(Self(text.to_owned()))
            }

            /// Returns the provisional id of the `n`th entity that a run creates.
            #[must_use]
            pub fn provisional(nonce: &str, n: usize) -> Self {
                Self(marker(nonce, n))
            }

            /// Returns whether the entity does not exist yet.
            #[must_use]
            pub fn is_provisional(&self) -> bool {
                self.0.starts_with(OPEN)
            }

            /// Returns the id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                $check($kind, &text)?;
                Ok(Self(text))
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    };
}

id_type!(
    /// The id of a plan: 28 characters, case-sensitive.
    PlanId,
    "plan"
);
id_type!(
    /// The id of a bucket: 28 characters, case-sensitive.
    BucketId,
    "bucket"
);
id_type!(
    /// The id of a task: 28 characters, case-sensitive.
    TaskId,
    "task"
);
id_type!(
    /// The id of a user: a GUID.
    UserId,
    "user"
);
id_type!(
    /// The id of a group: a GUID.
    GroupId,
    "group"
);

id_type!(
    /// The id of a roster, a container of the beta for one plan: a GUID.
    RosterId,
    "roster"
);
id_type!(
    /// The id of a comment, a message in the chat of a task (beta).
    CommentId,
    "comment",
    check_opaque
);

/// Characters of a Planner id.
const LEN: usize = 28;

/// Returns whether a text has the form of a Planner id: 28 characters of its alphabet
/// (planner-api.md 1.2). A title can have that form too, so this only decides which is tried first.
#[must_use]
pub fn looks_like_planner_id(text: &str) -> bool {
    text.len() == LEN && text.bytes().all(is_of_planner_id)
}

/// The fewest characters at the beginning of a Planner id that stand for it. There are 64 to choose from,
/// so hardly any title begins an id by chance.
pub const MIN_SHORT_ID: usize = 6;

/// Returns whether a text has the form of the beginning of a Planner id.
#[must_use]
pub fn is_short_id(text: &str) -> bool {
    (MIN_SHORT_ID..LEN).contains(&text.len()) && text.bytes().all(is_of_planner_id)
}

fn is_of_planner_id(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'-' || b == b'_'
}

/// Returns whether a text has the form of a GUID, as user and group ids have.
#[must_use]
pub fn looks_like_guid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_would_change_a_url_is_refused() {
        for text in ["", "a/b", "a?b", "a b", "..", ".", "a%2fb", "ä", "a\nb", &"x".repeat(129)] {
            assert!(TaskId::parse(text).is_err(), "{text:?}");
        }
        assert!(TaskId::parse("lDvoHiAzbFPeLIq0CZGDnGQAT4VP").is_ok());
    }

    #[test]
    fn a_provisional_id_survives_parsing_and_says_what_it_is() {
        let id = TaskId::provisional("9f2c", 3);
        assert_eq!(id.as_str(), "⟦new:3:9f2c⟧");
        assert_eq!(TaskId::parse(id.as_str()), Ok(id.clone()));
        assert!(id.is_provisional());
        assert!(!TaskId::parse("abc").unwrap().is_provisional());
    }
}
