//! A change set as a file.
//!
//! `run --out FILE` writes one, `apply FILE` reads it. The file carries everything that applying
//! needs, states and tags included, and a digest over it, so that what was looked at is what
//! is applied.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::change::ChangeSet;
use crate::model::UserId;

/// The version of the format; a reader refuses any other.
pub const FORMAT: u32 = 1;

/// A saved change set.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    /// The version of the format.
    pub format: u32,
    /// The run that drafted it.
    pub run_id: String,
    /// When.
    pub created_at: Timestamp,
    /// The service that it was drafted against (base URL).
    pub service: String,
    /// Who drafted it.
    pub actor: UserId,
    /// For which agent.
    pub agent: Option<String>,
    /// The plans that the agent was confined to then, by title or id.
    pub agent_plans: Option<BTreeSet<String>>,
    /// Whether the agent might apply then.
    pub agent_may_apply: bool,
    /// What drafted it: a skill's name, or the command.
    pub skill: String,
    /// The digest of the skill.
    pub skill_digest: Option<String>,
    /// Whether deletions were granted.
    pub force: bool,
    /// The changes.
    pub change_set: ChangeSet,
    /// `sha256:…` over everything else.
    pub digest: String,
}

/// Why a file is no saved change set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SavedError {
    /// It is something else.
    #[error("not a saved change set")]
    Malformed(#[source] serde_json::Error),
    /// It comes from another version.
    #[error("saved in format {0}, this version reads format {FORMAT}")]
    Format(u64),
    /// It was changed after it was saved.
    #[error("changed since it was saved: its digest does not match")]
    Digest,
}

impl Saved {
    /// Reads a saved change set and checks its digest.
    ///
    /// # Errors
    /// The text is something else, from another version, or was altered.
    pub fn parse(text: &str) -> Result<Self, SavedError> {
        let value: serde_json::Value = serde_json::from_str(text).map_err(SavedError::Malformed)?;
        match value.get("format").and_then(serde_json::Value::as_u64) {
            Some(format) if format != u64::from(FORMAT) => return Err(SavedError::Format(format)),
            _ => {}
        }
        let saved: Self = serde_json::from_value(value).map_err(SavedError::Malformed)?;
        if saved.digest == saved.digest_now() { Ok(saved) } else { Err(SavedError::Digest) }
    }

    /// Returns the set with its digest filled in.
    #[must_use]
    pub fn sealed(mut self) -> Self {
        self.digest = self.digest_now();
        self
    }

    fn digest_now(&self) -> String {
        let open = Self { digest: String::new(), ..self.clone() };
        let text = serde_json::to_string(&open).unwrap_or_default();
        format!("sha256:{:x}", Sha256::digest(text.as_bytes()))
    }

    /// Returns the text of the file.
    #[must_use]
    pub fn to_text(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}
