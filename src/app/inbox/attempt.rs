//! One attempt at an entry of the inbox: what a run of it came to, and what that means for the entry.

use serde_json::Value;

use crate::app::error::AppError;
use crate::app::inbox::failed;
use crate::host::Failure;
use crate::journal::inbox::{EntryState, InboxEntry};
use crate::journal::kept::KeptState;
use crate::journal::{Journal, RunId, RunStatus};

/// The most runs that carried on one another and are followed.
const MAX_CHAIN: usize = 100;

/// The end of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct End {
    /// The state of the entry then: queued if it is worth another attempt.
    pub(crate) state: EntryState,
    /// The status of the run, if it began.
    pub(crate) outcome: Option<RunStatus>,
    /// The code of the error.
    pub(crate) code: Option<String>,
    /// The reason, for whoever submitted it.
    pub(crate) reason: Option<String>,
}

/// The traces that an attempt before has left.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Earlier {
    /// Nothing was written, so a new run can begin.
    Nothing,
    /// The run of this id was cut off in the middle: it is carried on.
    CutOff(RunId),
    /// It came to its end; only the entry does not say so yet.
    Ended(End),
}

/// Returns whether a failure may be over the next time: nothing was wrong with what was asked for.
fn passes(code: &str) -> bool {
    matches!(
        code,
        "stopped"
            | "paused"
            | "lost_lock"
            | "not_signed_in"
            | "unavailable"
            | "unfinished"
            | "lock"
            | "at_work"
    ) || code.starts_with("journal")
}

impl End {
    /// Makes the end of a run, from its report.
    pub(crate) fn of_report(status: RunStatus, report: &Value) -> Self {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let (error, code) = (&report["error"], text(&report["error"]["code"]));
        let state = match (status, code.as_deref()) {
            (
                RunStatus::Applied | RunStatus::NoChanges | RunStatus::Previewed | RunStatus::Held,
                _,
            ) => EntryState::Done,
            // Only a person can tell whether something was created.
            (RunStatus::Denied, _) | (_, Some("in_doubt")) => EntryState::Failed,
            (RunStatus::Conflict, _) => EntryState::Queued,
            _ if report["unfinished"] == true => EntryState::Queued,
            // Of a run that wrote a part and cannot be carried on, the rest would not come either.
            (RunStatus::Failed, Some(code)) if passes(code) => EntryState::Queued,
            (RunStatus::Failed | RunStatus::Partial, _) => EntryState::Failed,
        };
        let reason = match status {
            RunStatus::Held => {
                let id = text(&report["pending"]).or_else(|| text(&report["run_id"]));
                Some(format!("a person must approve it: {}", id.unwrap_or_default()))
            }
            RunStatus::Denied => text(&report["verdicts"][0]["reason"]),
            RunStatus::Conflict => text(&error["message"])
                .or_else(|| Some("somebody else has changed the same".to_owned())),
            _ => text(&error["message"]),
        };
        Self { state, outcome: Some(status), code, reason }
    }

    /// Makes the end of an attempt that did not come to a run.
    pub(crate) fn of_failure(failure: &Failure) -> Self {
        let state = if passes(&failure.code) { EntryState::Queued } else { EntryState::Failed };
        let (code, reason) = (Some(failure.code.clone()), Some(failure.message.clone()));
        Self { state, outcome: None, code, reason }
    }

    /// Returns whether the attempt counts: one that a person has stopped or paused does not.
    pub(crate) fn counts(&self) -> bool {
        !matches!(self.code.as_deref(), Some("stopped" | "paused"))
    }

    /// Makes what it means for a run that was asked for. Whoever asked learns how it ended, and must not
    /// find later that it has begun again: only one that was stopped with its server does.
    pub(crate) fn of_asked(self) -> Self {
        let is_over = self.state == EntryState::Queued && self.code.as_deref() != Some("stopped");
        if is_over { Self { state: EntryState::Failed, ..self } } else { self }
    }

    fn held(run: &RunId) -> Self {
        let reason = Some(format!("a person must approve it: {run}"));
        Self { state: EntryState::Done, outcome: Some(RunStatus::Held), code: None, reason }
    }
}

/// Finds out what became of the attempt before.
///
/// An entry notes the id of its run before the run begins, and whoever looks here holds the lock of
/// the entry, so that no process is at work on it. A run is on record before it sends anything, so one
/// that is not there has written nothing, and never will: another can begin. One that is there and has
/// written is never begun again: it is carried on like any run that was cut off, which first finds out
/// what became of each unanswered request. So an entry has one effect, wherever a worker is killed.
///
/// # Errors
/// The journal cannot be read.
pub(crate) fn earlier(journal: &Journal, entry: &InboxEntry) -> Result<Earlier, AppError> {
    let Some(first) = &entry.run else { return Ok(Earlier::Nothing) };
    let mut id = first.clone();
    for _ in 0..MAX_CHAIN {
        if !journal.has_run(&id).map_err(|error| failed(&error))? {
            return Ok(Earlier::Nothing);
        }
        let run = journal.run(id.as_str()).map_err(|error| failed(&error))?;
        let Some(finish) = &run.finish else {
            if run.wrote() || id != *first {
                return Ok(Earlier::CutOff(first.clone()));
            }
            // Killed after its set was put before a person: another run would put it there twice.
            let kept = journal.kept_set(id.as_str()).map_err(|error| failed(&error))?;
            let waits = kept.is_some_and(|set| set.state != KeptState::Previewed);
            return Ok(if waits { Earlier::Ended(End::held(&id)) } else { Earlier::Nothing });
        };
        // A person has carried it on: what that came to counts.
        if let Some(next) = finish.report["resumed_by"].as_str().map(RunId::parse) {
            id = next.map_err(|error| failed(&error))?;
            continue;
        }
        if finish.report["unfinished"] == true && finish.report["error"]["code"] != "in_doubt" {
            return Ok(Earlier::CutOff(first.clone()));
        }
        let end = End::of_report(finish.status, &finish.report);
        let end = if entry.asked.is_some() { end.of_asked() } else { end };
        let is_over = end.state.is_over();
        return Ok(if is_over { Earlier::Ended(end) } else { Earlier::Nothing });
    }
    Ok(Earlier::CutOff(first.clone()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_may_be_over_the_next_time_is_tried_again() {
        let of = |status, code: &str| {
            End::of_report(status, &json!({ "error": { "code": code, "message": "m" } }))
        };
        assert_eq!(of(RunStatus::Failed, "unavailable").state, EntryState::Queued);
        assert_eq!(of(RunStatus::Failed, "journal_full").state, EntryState::Queued);
        assert_eq!(of(RunStatus::Failed, "fail").state, EntryState::Failed);
        assert_eq!(of(RunStatus::Partial, "not_permitted").state, EntryState::Failed);
        assert!(!of(RunStatus::Failed, "stopped").counts());
        assert!(of(RunStatus::Failed, "unavailable").counts());
        // Whoever asked for a run was told that it failed.
        let of = |code: &str| End::of_failure(&AppError::new(code, "m").failure).of_asked().state;
        assert_eq!((of("unavailable"), of("stopped")), (EntryState::Failed, EntryState::Queued));
        let cut_off = json!({ "unfinished": true, "error": { "code": "unavailable" } });
        assert_eq!(End::of_report(RunStatus::Partial, &cut_off).state, EntryState::Queued);
        let in_doubt = json!({ "unfinished": true, "error": { "code": "in_doubt" } });
        assert_eq!(End::of_report(RunStatus::Partial, &in_doubt).state, EntryState::Failed);
    }

    #[test]
    fn a_denial_is_final_and_what_is_held_says_under_which_id() {
        let denied = json!({ "verdicts": [{ "reason": "not on a Friday" }] });
        let end = End::of_report(RunStatus::Denied, &denied);
        assert_eq!(
            (end.state, end.reason.as_deref()),
            (EntryState::Failed, Some("not on a Friday"))
        );
        let end = End::of_report(RunStatus::Held, &json!({ "pending": "0199" }));
        assert!(end.state == EntryState::Done && end.reason.unwrap().contains("0199"));
    }
}
