//! Entity tags: the versions that conditional requests rest on.

use serde::{Deserialize, Serialize};

/// The version of one Planner object, as the service wrote it: kept byte for byte and never
/// parsed. Tags of different objects, even of a task and its details, are not comparable.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ETag(String);

impl ETag {
    /// Takes a tag as it stands in a decoded answer (unescaped, quotes included).
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// Returns the tag as it goes into an `If-Match` header.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether this tag of an object is newer than `other` of the *same* object, by the
    /// documented ordinal comparison (planner-api.md 3.2).
    #[must_use]
    pub fn is_newer_than(&self, other: &Self) -> bool {
        self.0 > other.0
    }
}

/// A value and the tag it was read with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versioned<T> {
    /// The value that was read.
    pub value: T,
    /// Its version at that time.
    pub etag: ETag,
}

impl<T> Versioned<T> {
    /// Joins a value and its tag.
    #[must_use]
    pub const fn new(value: T, etag: ETag) -> Self {
        Self { value, etag }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_tag_compares_greater() {
        let four = ETag::new("W/\"JzEtVGFzayAgQEBAQEBAQEBAQEBAQEBARCc=\"".into());
        let eight = ETag::new("W/\"JzEtVGFzayAgQEBAQEBAQEBAQEBAQEBASCc=\"".into());
        assert!(eight.is_newer_than(&four));
        assert!(!four.is_newer_than(&eight));
        assert!(!four.is_newer_than(&four));
    }
}
