//! The exit codes, a contract with scripts that call the program (design.md 5).

use std::process::ExitCode;

use crate::host::{Failure, Report, Status};
use crate::journal::RunStatus;

/// The end of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done, or nothing to do.
    Done,
    /// An error in a script or in the input.
    Input,
    /// Wrong usage.
    Usage,
    /// Denied by a rule or policy.
    Denied,
    /// A conflict was not resolved.
    Conflict,
    /// Not signed in, or not permitted.
    NotPermitted,
    /// The service is unavailable or throttles past the budget.
    Unavailable,
    /// Held for approval.
    Held,
    /// Applied in part.
    Partial,
    /// A bug.
    Bug,
    /// Interrupted.
    Interrupted,
}

impl Exit {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Input => 1,
            Self::Usage => 2,
            Self::Denied => 3,
            Self::Conflict => 4,
            Self::NotPermitted => 5,
            Self::Unavailable => 6,
            Self::Held => 7,
            Self::Partial => 8,
            Self::Bug => 70,
            Self::Interrupted => 130,
        }
    }

    /// Returns the exit of a failure.
    pub(crate) fn of_failure(failure: &Failure) -> Self {
        match failure.code.as_str() {
            "not_permitted" | "not_signed_in" | "app_only" | "no_key" => Self::NotPermitted,
            "unavailable" => Self::Unavailable,
            "conflict" => Self::Conflict,
            "denied" | "paused" => Self::Denied,
            "stopped" => Self::Interrupted,
            "bug" => Self::Bug,
            "usage" => Self::Usage,
            _ => Self::Input,
        }
    }

    /// Returns the exit of a run, by what is kept of it: its status, and the code of its error.
    pub(crate) fn of_outcome(status: Option<RunStatus>, code: Option<&str>) -> Self {
        match (status, code) {
            (Some(RunStatus::Applied | RunStatus::Previewed | RunStatus::NoChanges), _) => {
                Self::Done
            }
            (Some(RunStatus::Denied), _) => Self::Denied,
            (Some(RunStatus::Held), _) => Self::Held,
            (Some(RunStatus::Conflict), _) => Self::Conflict,
            (Some(RunStatus::Partial), Some("not_signed_in")) => Self::NotPermitted,
            (Some(RunStatus::Partial), _) => Self::Partial,
            (Some(RunStatus::Failed) | None, code) => {
                let code = code.unwrap_or_default().to_owned();
                Self::of_failure(&Failure { code, ..Failure::default() })
            }
        }
    }

    /// Returns the exit of a run.
    pub(crate) fn of_report(report: &Report) -> Self {
        match report.status {
            Status::Applied | Status::Previewed | Status::NoChanges => Self::Done,
            Status::Denied => Self::Denied,
            Status::Held => Self::Held,
            Status::Conflict => Self::Conflict,
            // Signing in again is enough to resume it, so the caller should learn that.
            Status::Partial
                if report.error.as_ref().is_some_and(|error| error.code == "not_signed_in") =>
            {
                Self::NotPermitted
            }
            Status::Partial => Self::Partial,
            Status::Failed => report.error.as_ref().map_or(Self::Input, Self::of_failure),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Error, StopReason};

    #[test]
    fn only_a_person_interrupts() {
        let exit = |reason| Exit::of_failure(&Failure::from(&Error::Stopped(reason)));
        assert_eq!(exit(StopReason::Cancelled), Exit::Interrupted);
        assert_eq!(exit(StopReason::Budget("time", "60 s".into())), Exit::Input);
        assert_eq!(exit(StopReason::Fail("no such board".into())), Exit::Input);
    }
}
