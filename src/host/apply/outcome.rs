//! The outcome of one change, and its status in a report.

use serde::Serialize;

use crate::change::FieldConflict;
use crate::change::apply::End;
use crate::graph::Error;
use crate::host::error::graph_hint;
use crate::host::failure::Failure;

/// The outcome of a change.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The status to report.
    pub status: ChangeStatus,
    /// The number of times that it was sent.
    pub attempts: u32,
    /// Both sides of each field in conflict.
    pub conflict: Vec<FieldConflict>,
    /// The reason that it was not written.
    pub error: Option<Failure>,
    /// The ids of candidates for what it created, if only a person can tell.
    pub candidates: Vec<String>,
    /// True if any part of it was written.
    pub wrote: bool,
}

impl Outcome {
    pub(crate) const fn new(status: ChangeStatus) -> Self {
        Self {
            status,
            attempts: 0,
            conflict: Vec::new(),
            error: None,
            candidates: Vec::new(),
            wrote: false,
        }
    }

    pub(crate) fn conflict(fields: Vec<FieldConflict>) -> Self {
        let mut outcome = Self::new(ChangeStatus::Conflict);
        let message = if fields.is_empty() {
            "someone else changed or deleted it since it was read".to_owned()
        } else {
            let names: Vec<_> = fields.iter().map(|conflict| conflict.field.name()).collect();
            format!("someone else changed {} since it was read", names.join(", "))
        };
        outcome.conflict = fields;
        outcome.error = Some(Failure {
            code: "conflict".into(),
            message,
            hint: Some("run it again: it starts from what is there now".into()),
            ..Failure::default()
        });
        outcome
    }

    pub(crate) fn applied() -> Self {
        Self { wrote: true, ..Self::new(ChangeStatus::Applied) }
    }

    /// Returns the outcome of a request that ended this way.
    pub(crate) fn of_end(end: &End, error: Option<Failure>) -> Self {
        let failed = |failure: Option<Failure>| Self {
            error: failure.or_else(|| {
                Some(Failure {
                    code: "service".into(),
                    message: "the service gave no answer that tells the outcome".into(),
                    ..Failure::default()
                })
            }),
            ..Self::new(ChangeStatus::Failed)
        };
        match end {
            End::Done => Self::applied(),
            End::Gone => {
                let mut outcome = Self::new(ChangeStatus::Skipped);
                outcome.error = Some(Failure {
                    code: "gone".into(),
                    message: "it was already deleted".into(),
                    ..Failure::default()
                });
                outcome
            }
            // The fields come from the comparison with the present state, if one follows.
            End::Moved(_) => Self::conflict(Vec::new()),
            End::Clash(fields) => Self::conflict(fields.clone()),
            End::Failed => failed(error),
            End::Unknown => {
                let mut outcome = Self { status: ChangeStatus::Unknown, ..failed(error) };
                if let Some(failure) = outcome.error.as_mut() {
                    failure.hint = Some(
                        "it may have been written all the same: check the board before you run it again"
                            .into(),
                    );
                }
                outcome
            }
            End::Parked(ids) => {
                Self { candidates: ids.clone(), ..Self::of_end(&End::Unknown, error) }
            }
            End::NotSent => Self::new(ChangeStatus::Skipped),
            End::Mentions(marker) => failed(Some(Failure {
                code: "invalid".into(),
                message: format!("it mentions {marker}, which does not exist yet"),
                ..Failure::default()
            })),
        }
    }

    /// Orders the outcomes of the requests of one change, the worst last.
    pub(crate) const fn weight(&self) -> u8 {
        match self.status {
            ChangeStatus::Planned => 0,
            ChangeStatus::Applied => 1,
            ChangeStatus::Skipped => 2,
            ChangeStatus::Conflict => 3,
            ChangeStatus::Failed => 4,
            ChangeStatus::Unknown => 5,
        }
    }

    /// Adds that only a part was written, if so.
    pub(crate) fn in_part(mut self) -> Self {
        if !self.wrote || self.status == ChangeStatus::Applied {
            return self;
        }
        match self.error.as_mut() {
            Some(error) => {
                error.message = format!("it was written, but not all of it: {}", error.message);
            }
            None => {
                // Nothing went wrong with it, but "skipped" would hide that a part of it is on the
                // board.
                self.status = ChangeStatus::Failed;
                self.error = Some(Failure {
                    code: "stopped".into(),
                    message: "it was written, but not all of it: the run ended first".into(),
                    ..Failure::default()
                });
            }
        }
        self
    }
}

pub(crate) fn failure(error: &Error) -> Failure {
    // An error has one code and one hint, whether a read or a write met it.
    let code = match error {
        // First, since whoever is not signed in counts as lacking the permission, too.
        error if error.is_unauthorized() => "not_signed_in",
        error if error.needs_user() => "app_only",
        error if error.is_permission() => "not_permitted",
        error if error.is_unavailable() => "unavailable",
        error if error.is_not_found() => "not_found",
        _ => "service",
    };
    Failure::from_error(code, error, graph_hint(error))
}

/// The status of one change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeStatus {
    /// Not sent.
    Planned,
    /// Written.
    Applied,
    /// No longer needed, or not tried after an earlier failure.
    Skipped,
    /// Changed by someone else as well.
    Conflict,
    /// Refused by the service.
    Failed,
    /// In doubt: sent, but no answer tells the outcome.
    Unknown,
}
