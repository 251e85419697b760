//! The users and groups of the directory.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::id::{GroupId, UserId};

/// A person in the directory (planner-api.md 1.15).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The directory's id.
    pub id: UserId,
    /// The name to show; may be empty.
    pub name: String,
    /// The sign-in name (user principal name).
    pub upn: String,
    /// The mail address.
    pub mail: Option<String>,
}

impl User {
    /// Returns whether `text` is this user's id, sign-in name or mail address.
    #[must_use]
    pub fn answers_to(&self, text: &str) -> bool {
        self.id.as_str().eq_ignore_ascii_case(text)
            || self.upn.eq_ignore_ascii_case(text)
            || self.mail.as_deref().is_some_and(|mail| mail.eq_ignore_ascii_case(text))
    }

    /// Returns the name to show, or the sign-in name, or the id.
    #[must_use]
    pub fn label(&self) -> &str {
        [self.name.as_str(), self.upn.as_str()]
            .into_iter()
            .find(|text| !text.is_empty())
            .unwrap_or(self.id.as_str())
    }
}

/// A group that can hold plans (planner-api.md 1.15).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// The directory's id.
    pub id: GroupId,
    /// The name to show.
    pub name: String,
    /// The mail address.
    pub mail: Option<String>,
    /// The moment of its creation, where the directory gives it.
    pub created_at: Option<Timestamp>,
}
