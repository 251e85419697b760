//! What became of a change, and of a set.

use std::collections::BTreeMap;

use crate::change::FieldConflict;
use crate::graph::{Error, WriteError};
use crate::host::Failure;
use crate::host::apply::send::SendError;
use crate::host::error::graph_hint;
use crate::host::report::ChangeStatus;

/// What became of a change.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The status to report.
    pub status: ChangeStatus,
    /// How often it was sent.
    pub attempts: u32,
    /// Both sides of each field in conflict.
    pub conflict: Vec<FieldConflict>,
    /// Why it was not written.
    pub error: Option<Failure>,
    /// Whether any part of it was written.
    pub wrote: bool,
}

impl Outcome {
    pub(crate) const fn new(status: ChangeStatus) -> Self {
        Self { status, attempts: 0, conflict: Vec::new(), error: None, wrote: false }
    }

    pub(crate) fn conflict(fields: Vec<FieldConflict>) -> Self {
        let mut outcome = Self::new(ChangeStatus::Conflict);
        let message = if fields.is_empty() {
            "someone else changed or deleted it since it was read".to_owned()
        } else {
            let names: Vec<_> = fields.iter().map(|it| it.field.name()).collect();
            format!("someone else changed {} since it was read", names.join(", "))
        };
        outcome.conflict = fields;
        outcome.error = Some(Failure {
            code: "conflict".into(),
            message,
            hint: Some("run it again: it will start from what is there now".into()),
            ..Failure::default()
        });
        outcome
    }
}

/// What became of a set.
#[derive(Debug, Default)]
pub struct Applied {
    /// By the change's number.
    pub outcomes: BTreeMap<usize, Outcome>,
    /// Real ids of new entities, by their markers.
    pub ids: BTreeMap<String, String>,
    /// Conflicts met, those resolved included.
    pub conflicts: u64,
    /// Why nothing more was sent: what was done could not be recorded.
    pub broken: Option<Failure>,
}

/// A failure of one step of a change.
pub(crate) enum Trouble {
    Conflict(Vec<FieldConflict>),
    /// Gone already: nothing to do.
    Gone,
    Write(WriteError),
    Read(Error),
    /// It could not be recorded, so it was not sent.
    Journal(Failure),
    /// A marker that nothing has resolved.
    Unresolved(String),
}

impl From<SendError> for Trouble {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Write(failed) => Self::Write(failed),
            SendError::Journal(failure) => Self::Journal(failure),
        }
    }
}

impl From<Trouble> for Outcome {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Conflict(fields) => Self::conflict(fields),
            Trouble::Gone => {
                let mut outcome = Self::new(ChangeStatus::Skipped);
                outcome.error = Some(Failure {
                    code: "gone".into(),
                    message: "it was deleted already".into(),
                    ..Failure::default()
                });
                outcome
            }
            Trouble::Journal(failure) => {
                let mut outcome = Self::new(ChangeStatus::Failed);
                outcome.error = Some(failure);
                outcome
            }
            Trouble::Read(error) => {
                let mut outcome = Self::new(ChangeStatus::Failed);
                outcome.error = Some(failure(&error));
                outcome
            }
            Trouble::Write(WriteError { error, in_doubt }) => {
                let status = if in_doubt { ChangeStatus::Unknown } else { ChangeStatus::Failed };
                let mut outcome = Self::new(status);
                let mut failure = failure(&error);
                if in_doubt {
                    failure.hint = Some(
                        "it may have been written all the same: look at the board before you run it again"
                            .into(),
                    );
                }
                outcome.error = Some(failure);
                outcome
            }
            Trouble::Unresolved(marker) => {
                let mut outcome = Self::new(ChangeStatus::Failed);
                outcome.error = Some(Failure {
                    code: "invalid".into(),
                    message: format!("it mentions {marker}, which does not exist yet"),
                    ..Failure::default()
                });
                outcome
            }
        }
    }
}

pub(crate) fn failure(error: &Error) -> Failure {
    // One code and one hint for an error, whether a read or a write met it.
    let code = match error {
        error if error.is_permission() => "not_permitted",
        error if error.is_unavailable() => "unavailable",
        error if error.is_not_found() => "not_found",
        _ => "service",
    };
    Failure::of(code, error, graph_hint(error))
}
