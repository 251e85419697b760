//! What is recorded: runs, what was judged, what was sent, what came of it.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde_json::Value;

use crate::journal::error::Error;
use crate::model::{UserId, id::looks_like_guid};

/// The id of a run: a UUID, of version 7, so that ids sort by time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(String);

impl RunId {
    /// Takes an id.
    ///
    /// # Errors
    /// The text is no UUID in small letters.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if looks_like_guid(text) && text == text.to_ascii_lowercase() {
            Ok(Self(text.to_owned()))
        } else {
            Err(Error::InvalidRunId(text.chars().take(60).collect()))
        }
    }

    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A closed set of words, each with its name in the journal.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
        )]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// Every one of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Returns its name in the journal.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }

            /// Finds it by its name.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|word| word.name() == text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

words!(
    /// What a run is for.
    Purpose {
        /// A skill or a command.
        Run = "run",
        /// A saved or approved change set is applied.
        Apply = "apply",
        /// Another run is carried on.
        Resume = "resume",
        /// Another run is taken back.
        Undo = "undo",
    }
);

words!(
    /// What a review came to.
    Judgement {
        /// It may be applied.
        Cleared = "cleared",
        /// The same of what a program commits on its way: it goes on after it.
        Segment = "segment",
        /// A rule or policy refused.
        Denied = "denied",
        /// A person must approve.
        Held = "held",
        /// It may be, and is not: a dry run.
        Previewed = "previewed",
        /// There is nothing to apply.
        NoChanges = "no_changes",
        /// Drafting or judging went wrong.
        Failed = "failed",
    }
);

impl Judgement {
    /// Tells whether it may be applied.
    #[must_use]
    pub const fn is_clear(self) -> bool {
        matches!(self, Self::Cleared | Self::Segment)
    }
}

words!(
    /// What came of an attempt to write.
    Outcome {
        /// It is on the board.
        Applied = "applied",
        /// It was not sent at all, or definitely not applied.
        Refused = "refused",
        /// Someone else changed the same.
        Conflict = "conflict",
        /// No answer tells.
        Unknown = "unknown",
    }
);

impl Outcome {
    /// Tells whether nothing can be added to it.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Unknown)
    }
}

words!(
    /// What a whole run came to.
    RunStatus {
        /// Everything wanted was written.
        Applied = "applied",
        /// Nothing was written, on purpose.
        Previewed = "previewed",
        /// Nothing was wanted.
        NoChanges = "no_changes",
        /// A rule or policy refused.
        Denied = "denied",
        /// A person must approve.
        Held = "held",
        /// Someone else changed the same; nothing was written.
        Conflict = "conflict",
        /// Some was written, some not.
        Partial = "partial",
        /// It failed; nothing was written.
        Failed = "failed",
    }
);

words!(
    /// What else the audit log records, without a part in a run's own course.
    NoteKind {
        /// A person approved what was held.
        Approved = "approved",
        /// A person rejected what was held.
        Rejected = "rejected",
        /// The configuration in force changed.
        Config = "config",
        /// An unfinished run was looked after.
        Recovered = "recovered",
    }
);

/// A run that begins.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRun {
    /// Its id.
    pub id: RunId,
    /// When.
    pub at: Timestamp,
    /// The service that it is about.
    pub service: String,
    /// Who is signed in.
    pub actor: UserId,
    /// Their sign-in name.
    pub upn: String,
    /// The agent that acts in their name.
    pub agent: Option<String>,
    /// What it is for.
    pub purpose: Purpose,
    /// The run that it carries on, takes back, or whose set it applies.
    pub parent: Option<RunId>,
    /// The digest of the saved set that it takes up.
    pub takes_up: Option<String>,
    /// The skill's name, or the command's.
    pub skill: String,
    /// The digest of the skill with all it imports.
    pub skill_digest: Option<String>,
    /// The parameters.
    pub params: Value,
    /// The digests of the policies in force, by name.
    pub policies: BTreeMap<String, String>,
}

/// An attempt to write one step of a change, before it leaves.
#[derive(Debug, Clone, PartialEq)]
pub struct Intent {
    /// Which step of which change.
    pub step: StepId,
    /// Which attempt at it, from 1.
    pub attempt: u32,
    /// The method: POST, PATCH or DELETE.
    pub method: String,
    /// The path with the query, below the service's address.
    pub path: String,
    /// The tag it rests on.
    pub if_match: Option<String>,
    /// The body.
    pub body: Option<Value>,
    /// The id that the request carries.
    pub request_id: String,
}

/// A step of a change: one entity of Planner may take several requests.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepId {
    /// The round: which judged set of the run, from 1.
    pub round: u32,
    /// The number of the change in it, from 1.
    pub n: usize,
    /// The step: `task`, `details` and the like.
    pub step: String,
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "change {} of round {}, {}", self.n, self.round, self.step)
    }
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// Which step of which change.
    pub step: StepId,
    /// Which attempt at it.
    pub attempt: u32,
    /// What came of it.
    pub outcome: Outcome,
    /// The status of the answer, if one came.
    pub status: Option<u16>,
    /// The id of the entity afterwards.
    pub entity_id: Option<String>,
    /// Its tag afterwards.
    pub etag: Option<String>,
    /// The service's own id of the request.
    pub service_request_id: Option<String>,
    /// What there is to say about it.
    pub message: Option<String>,
}

/// Something for the audit log alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    /// What it is.
    pub kind: NoteKind,
    /// When.
    pub at: Timestamp,
    /// The run that it is about; it must be in the journal.
    pub run: Option<RunId>,
    /// Who did it: an id, if it is known.
    pub actor: Option<UserId>,
    /// Their sign-in name, or another name.
    pub name: String,
    /// More about it.
    pub detail: Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_ids_are_uuids_in_small_letters() {
        let id = "0199f3c2-7a51-7cc3-98b1-4f0c3a5d2e11";
        assert_eq!(RunId::parse(id).unwrap().as_str(), id);
        for text in ["", "x", &id.to_uppercase(), "⟦new:1:a⟧"] {
            assert!(RunId::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn words_come_back() {
        for word in Outcome::ALL {
            assert_eq!(Outcome::parse(word.name()), Some(*word));
        }
        assert_eq!(Outcome::parse("done"), None);
        assert!(!Outcome::Unknown.is_final());
    }
}
