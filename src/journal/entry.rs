//! The entries of the journal: runs, judged sets, attempts to write, outcomes. Plain values, so
//! that nothing outside depends on the tables.

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
    /// Parses an id.
    ///
    /// # Errors
    /// The text is not a UUID in lower case.
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
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Returns its name in the journal.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }

            /// Finds a word by its name.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|word| word.name() == text)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

pub(crate) use words;

words!(
    /// The purpose of a run.
    Purpose {
        /// A skill or a command.
        Run = "run",
        /// A saved or approved change set is applied.
        Apply = "apply",
        /// Another run is resumed.
        Resume = "resume",
        /// Another run is undone.
        Undo = "undo",
    }
);

words!(
    /// The outcome of a review.
    Judgement {
        /// It may be applied.
        Cleared = "cleared",
        /// It may be applied, and the program goes on after it: a commit on the way.
        Segment = "segment",
        /// A rule or policy refused.
        Denied = "denied",
        /// A person must approve.
        Held = "held",
        /// It may be applied, but is not: a dry run.
        Previewed = "previewed",
        /// There is nothing to apply.
        NoChanges = "no_changes",
        /// Drafting or judging went wrong.
        Failed = "failed",
    }
);

impl Judgement {
    /// Returns whether it may be applied.
    #[must_use]
    pub const fn is_clear(self) -> bool {
        matches!(self, Self::Cleared | Self::Segment)
    }
}

words!(
    /// The outcome of an attempt to write.
    Outcome {
        /// It is on the board.
        Applied = "applied",
        /// It was not sent, or certainly not applied.
        Refused = "refused",
        /// Someone else made a conflicting change.
        Conflict = "conflict",
        /// It is in doubt: the response was lost.
        Unknown = "unknown",
    }
);

impl Outcome {
    /// Returns whether no other outcome can follow.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Unknown)
    }
}

words!(
    /// The status of a whole run.
    RunStatus {
        /// All changes were written.
        Applied = "applied",
        /// Nothing was written, on purpose.
        Previewed = "previewed",
        /// There were no changes.
        NoChanges = "no_changes",
        /// A rule or policy refused.
        Denied = "denied",
        /// A person must approve.
        Held = "held",
        /// Someone else made a conflicting change; nothing was written.
        Conflict = "conflict",
        /// Some changes were written, some not.
        Partial = "partial",
        /// It failed; nothing was written.
        Failed = "failed",
    }
);

words!(
    /// The other events of the audit log, which are not steps of a run.
    NoteKind {
        /// A person approved what was held.
        Approved = "approved",
        /// A person rejected what was held.
        Rejected = "rejected",
        /// Nobody decided in time on what was held.
        Expired = "expired",
        /// What was approved was applied.
        CarriedOut = "carried_out",
        /// What was approved could not be applied, and waits again.
        Reopened = "reopened",
        /// Another set has taken the place of one that was kept.
        Replaced = "replaced",
        /// An agent proposed a skill.
        Proposed = "proposed",
        /// An agent asked for what it may not have.
        TurnedAway = "turned_away",
        /// The configuration in force changed.
        Config = "config",
        /// An unfinished run was recovered.
        Recovered = "recovered",
        /// An agent was paused, or all of them.
        Paused = "paused",
        /// A pause was lifted.
        Unpaused = "unpaused",
        /// A token of `serve` was made.
        TokenCreated = "token_created",
        /// A token of `serve` was taken away.
        TokenRevoked = "token_revoked",
        /// A skill was submitted to an inbox.
        Submitted = "submitted",
        /// A worker has taken an entry of an inbox.
        Taken = "taken",
        /// An entry of an inbox waits again, or is over.
        Settled = "settled",
        /// An entry of an inbox was cancelled.
        Cancelled = "cancelled",
        /// Old runs were deleted; it names them.
        Pruned = "pruned",
        /// The state folder was replaced by a backup of it.
        Restored = "restored",
    }
);

/// A run that begins.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRun {
    /// Its id.
    pub id: RunId,
    /// The moment.
    pub at: Timestamp,
    /// The service that it works on.
    pub service: String,
    /// The user who is signed in.
    pub actor: UserId,
    /// Their sign-in name.
    pub upn: String,
    /// The agent that acts in their name.
    pub agent: Option<String>,
    /// Its purpose.
    pub purpose: Purpose,
    /// The run that it resumes, undoes, or whose set it applies.
    pub parent: Option<RunId>,
    /// The digest of the saved set that it applies.
    pub takes_up: Option<String>,
    /// The skill's name, or the command's.
    pub skill: String,
    /// The digest of the skill with all its imports.
    pub skill_digest: Option<String>,
    /// The parameters.
    pub params: Value,
    /// The digests of the policies in force, by name.
    pub policies: BTreeMap<String, String>,
}

/// An attempt to write one step of a change, before it is sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Intent {
    /// The step of the change.
    pub step: StepId,
    /// The number of the attempt at it, from 1.
    pub attempt: u32,
    /// The method: POST, PATCH or DELETE.
    pub method: String,
    /// The path with the query, below the address of the service.
    pub path: String,
    /// The etag that it must match.
    pub if_match: Option<String>,
    /// The body.
    pub body: Option<Value>,
    /// The id that the request carries.
    pub request_id: String,
}

/// A step of a change: one entity of Planner may take several requests.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepId {
    /// The round: the number of the judged set in the run, from 1.
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

/// The outcome of an attempt, with the details of the response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The step of the change.
    pub step: StepId,
    /// The number of the attempt at it.
    pub attempt: u32,
    /// The outcome.
    pub outcome: Outcome,
    /// The HTTP status of the response, if one came.
    pub status: Option<u16>,
    /// The id of the entity afterwards.
    pub entity_id: Option<String>,
    /// Its etag afterwards.
    pub etag: Option<String>,
    /// The service's own id of the request.
    pub service_request_id: Option<String>,
    /// A message about it.
    pub message: Option<String>,
}

/// Something for the audit log alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    /// The kind of event.
    pub kind: NoteKind,
    /// The moment.
    pub at: Timestamp,
    /// The run that it is about; it must be in the journal.
    pub run: Option<RunId>,
    /// The id of the actor, if it is known.
    pub actor: Option<UserId>,
    /// Their sign-in name, or another name.
    pub name: String,
    /// Further details.
    pub detail: Value,
}

/// What was pruned, or would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pruned {
    /// Runs.
    pub runs: usize,
    /// Entries of the inbox, and runs that were asked for.
    pub entries: usize,
}

/// Returns the end of an id, which tells it from those of the same minute.
#[must_use]
pub fn short_id(id: &str) -> &str {
    id.len().checked_sub(8).and_then(|at| id.get(at..)).unwrap_or(id)
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
