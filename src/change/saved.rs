//! A change set as a file.
//!
//! `run --out FILE` writes one, `apply FILE` reads it. The file carries everything that applying
//! needs, states and tags included, and a seal over it, so that what was previewed is what is
//! applied. The seal needs a key: anyone who can edit the file could compute a plain digest again,
//! and remove the agent whose limits apply to it.

use std::collections::BTreeSet;
use std::fmt;

use hmac::{Hmac, Mac as _};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::change::read::Read;
use crate::change::set::ChangeSet;
use crate::model::{UserId, in_words};

/// The version of the format; a reader refuses any other.
pub const FORMAT: u32 = 3;

/// The skill that policies see for an unsealed set, in place of the one the file names.
const UNKNOWN: &str = "apply";
const SEAL: &str = "hmac-sha256:";

/// The key that seals saved sets.
#[derive(Clone, PartialEq, Eq)]
pub struct SealKey([u8; 32]);

impl SealKey {
    /// Takes the bytes of a key, which must be random.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    fn mac(&self, text: &str) -> Hmac<Sha256> {
        // HMAC pads a key that is shorter than a block with zeros.
        let mut block = [0; 64];
        block[..self.0.len()].copy_from_slice(&self.0);
        let mut mac = Hmac::new(&block.into());
        mac.update(text.as_bytes());
        mac
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A saved change set.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    /// The version of the format.
    pub format: u32,
    /// The run that drafted it.
    pub run_id: String,
    /// The moment of drafting.
    pub created_at: Timestamp,
    /// The service that it was drafted against (base URL).
    pub service: String,
    /// The identity that drafted it.
    pub actor: UserId,
    /// The agent that drafted it, if any.
    pub agent: Option<String>,
    /// The plans that the agent was confined to at that time, by title or id.
    pub agent_plans: Option<BTreeSet<String>>,
    /// True if the agent was allowed to apply at that time.
    pub agent_may_apply: bool,
    /// The name of the skill or command that drafted it.
    pub skill: String,
    /// The digest of the skill.
    pub skill_digest: Option<String>,
    /// True if deletions were granted.
    pub force: bool,
    /// The changes.
    pub change_set: ChangeSet,
    /// The reads that the changes were decided on, each with the digest of its answer.
    pub reads: Vec<(Read, String)>,
    /// `sha256:…` over everything else; the name of the set in the journal.
    pub digest: String,
    /// `hmac-sha256:…` over everything above; empty until it is sealed.
    pub seal: String,
}

/// The reason why a file is not a saved change set, or not a trusted one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SavedError {
    /// It is something else.
    #[error("not a saved change set: {0}")]
    Malformed(String),
    /// It comes from another version.
    #[error("saved in format {0}, this version reads format {FORMAT}")]
    Format(u64),
    /// It was not saved like this with this key.
    #[error("changed since it was saved, or saved with another state folder")]
    Seal,
}

impl Saved {
    /// Reads a saved change set, whatever its seal.
    ///
    /// # Errors
    /// The text is something else, or from another version.
    pub fn parse(text: &str) -> Result<Self, SavedError> {
        // Nothing else is known about the format of another version, so the number comes first.
        #[derive(Deserialize)]
        struct Head {
            format: Option<u64>,
        }
        let wrong = |error: serde_json::Error| {
            let told = in_words(&error.to_string());
            SavedError::Malformed(format!("line {}: {told}", error.line()))
        };
        let head: Head = serde_json::from_str(text).map_err(wrong)?;
        match head.format {
            Some(format) if format != u64::from(FORMAT) => Err(SavedError::Format(format)),
            _ => serde_json::from_str(text).map_err(wrong),
        }
    }

    /// Returns the set with its digest filled in.
    #[must_use]
    pub fn with_digest(mut self) -> Self {
        let open = Self { digest: String::new(), seal: String::new(), ..self };
        let text = serde_json::to_string(&open).unwrap_or_default();
        self = open;
        self.digest = format!("sha256:{:x}", Sha256::digest(text.as_bytes()));
        self
    }

    /// Returns the set, sealed.
    #[must_use]
    pub fn sealed(self, key: &SealKey) -> Self {
        let saved = self.with_digest();
        let tag = key.mac(&saved.text_to_seal()).finalize().into_bytes();
        Self { seal: format!("{SEAL}{tag:x}"), ..saved }
    }

    /// Checks the seal.
    ///
    /// # Errors
    /// The set was changed since it was sealed, or was sealed with another key, or never.
    pub fn verify(&self, key: &SealKey) -> Result<(), SavedError> {
        let tag = self.seal.strip_prefix(SEAL).and_then(bytes_of_hex).ok_or(SavedError::Seal)?;
        // Compared in constant time, so that timing does not reveal a valid seal.
        key.mac(&self.text_to_seal()).verify_slice(&tag).map_err(|_| SavedError::Seal)
    }

    /// Returns the changes as a person's own, whoever the file says drafted them. Nothing else in
    /// the file counts, except for the service it names.
    #[must_use]
    pub fn as_own(self) -> Self {
        // The digest stays that of the file, so that a set applied with its seal is not applied
        // again without it.
        let read = self.with_digest();
        Self {
            run_id: String::new(),
            agent: None,
            agent_plans: None,
            agent_may_apply: true,
            skill: UNKNOWN.to_owned(),
            skill_digest: None,
            force: false,
            seal: String::new(),
            ..read
        }
    }

    fn text_to_seal(&self) -> String {
        let open = Self { seal: String::new(), ..self.clone() };
        serde_json::to_string(&open).unwrap_or_default()
    }

    /// Returns the text of the file.
    #[must_use]
    pub fn to_text(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

fn bytes_of_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    if rest.is_empty() { bytes.collect() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved() -> Saved {
        Saved {
            format: FORMAT,
            run_id: "run".into(),
            created_at: Timestamp::UNIX_EPOCH,
            service: "embedded".into(),
            actor: UserId::parse("me").unwrap(),
            agent: Some("viewer".into()),
            agent_plans: Some(BTreeSet::from(["One".to_owned()])),
            agent_may_apply: false,
            skill: "triage".into(),
            skill_digest: Some("sha256:1".into()),
            force: true,
            change_set: ChangeSet::default(),
            reads: Vec::new(),
            digest: String::new(),
            seal: String::new(),
        }
    }

    #[test]
    fn only_what_was_sealed_with_the_key_verifies() {
        let (key, other) = (SealKey::new([1; 32]), SealKey::new([2; 32]));
        let sealed = saved().sealed(&key);
        let read = Saved::parse(&sealed.to_text()).unwrap();
        assert!(read.verify(&key).is_ok());
        assert!(read.verify(&other).is_err());
        assert!(saved().sealed(&other).verify(&key).is_err());
        // Anyone who edits the file can compute the digest again, but not the seal.
        let without_agent = Saved { agent: None, ..read.clone() }.with_digest();
        for seal in [read.seal.clone(), String::new(), SEAL.to_owned(), format!("{SEAL}0")] {
            assert!(Saved { seal, ..without_agent.clone() }.verify(&key).is_err());
        }
        let digest = "sha256:another".to_owned();
        assert!(Saved { digest, ..read }.verify(&key).is_err());
        assert_eq!(format!("{key:?}"), "[redacted]");
    }

    #[test]
    fn what_is_not_sealed_grants_nothing() {
        let sealed = saved().sealed(&SealKey::new([1; 32]));
        let own = sealed.clone().as_own();
        assert_eq!((own.agent, own.agent_plans, own.force), (None, None, false));
        assert!(own.agent_may_apply);
        assert_eq!(
            (own.skill.as_str(), own.skill_digest, own.run_id.as_str()),
            ("apply", None, "")
        );
        assert_eq!(own.digest, sealed.digest, "applied once, with a seal or without");
    }
}
