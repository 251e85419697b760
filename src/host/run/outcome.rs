//! The outcome of applying, in the report.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::change::Op;
use crate::change::provisional::replace_markers;
use crate::host::apply::outcome::ChangeStatus;
use crate::host::failure::Failure;
use crate::host::failure::interrupted;
use crate::host::report::{ChangeReport, Status};
use crate::host::run::Run;
use crate::host::run::rounds::Tally;
use crate::host::stop::StopReason;

/// Returns whether a failure cuts a run off without anything being wrong with its changes: they
/// can be applied once the sign-in, the service or the disk is back.
pub(super) fn cuts_off(code: &str) -> bool {
    matches!(code, "stopped" | "paused" | "not_signed_in" | "unavailable" | "unfinished" | "lock")
        || code.starts_with("journal")
}

impl Run<'_> {
    /// Enters the outcome of the set that the report shows.
    pub(super) fn conclude(&mut self, tally: &Tally, failure: Option<Failure>) {
        let mut wrote = false;
        // `show` has made both lists from one set, so they are in the same order.
        for (change, shown) in self.shown.changes().iter().zip(&mut self.report.changes) {
            if let Some(outcome) = tally.outcome(change) {
                wrote |= outcome.wrote;
                shown.set_outcome(outcome);
            }
        }
        self.count(tally);
        self.made.extend(tally.ledger.ids().clone());
        self.with_real_ids(tally.ledger.ids());
        let report = &mut self.report;
        // A stop that left nothing undone is no error.
        let stopped = self.host.interrupt.is_set()
            && report.changes.iter().any(|change| change.status != ChangeStatus::Applied);
        // The nearest cause first: that of a change, then of a round, then of what came around it.
        report.error = report
            .changes
            .iter()
            .find(|change| matches!(change.status, ChangeStatus::Failed | ChangeStatus::Unknown))
            .and_then(|change| change.error.clone())
            .or_else(|| tally.broken.clone())
            .or(failure);
        let run = report.run_id.clone();
        for change in report.changes.iter_mut().filter(|change| !change.candidates.is_empty()) {
            change.error = Some(change.parked(&run));
        }
        // It goes before every other error, since only a person can settle it (design.md 2.4).
        if let Some(parked) = report.changes.iter().find(|change| !change.candidates.is_empty()) {
            report.error.clone_from(&parked.error);
        }
        let unsent = |change: &ChangeReport| {
            matches!(change.status, ChangeStatus::Planned | ChangeStatus::Skipped)
                && change.error.is_none()
        };
        let conflict = report.count(ChangeStatus::Conflict) > 0;
        if stopped && report.error.is_none() {
            report.error = Some(interrupted());
        }
        if report.error.is_none() && !conflict && report.changes.iter().any(unsent) {
            // Nobody may be told that all is done when something was not sent, whatever the reason.
            report.error = Some(Failure {
                code: "unfinished".into(),
                message: "not all of it was sent".into(),
                ..Failure::default()
            });
        }
        let failed = report.error.is_some();
        let in_doubt = report.count(ChangeStatus::Unknown) > 0;
        // A create in doubt is not "nothing was written": repeating it could create a second one.
        // An update or delete in doubt can be repeated.
        let maybe_made = |change: &ChangeReport| {
            change.status == ChangeStatus::Unknown && change.op == Op::Create
        };
        let wrote = wrote || report.changes.iter().any(maybe_made);
        report.status = match (conflict, failed, wrote) {
            (false, false, _) => Status::Applied,
            (_, _, true) => Status::Partial,
            (true, _, false) => Status::Conflict,
            (false, true, false) => Status::Failed,
        };
        // A run that was cut off can be carried on; what the service refuses for good, or somebody else
        // has changed, would be the same the next time.
        let cut_off = report.error.as_ref().is_some_and(|error| cuts_off(&error.code));
        let is_withdrawn = self.host.interrupt.reason() == Some(StopReason::Withdrawn);
        report.unfinished = (wrote && cut_off && !is_withdrawn) || in_doubt;
        let is_recorded = self.record.is_some();
        if let (true, Status::Partial, Some(error)) =
            (is_recorded, report.status, &mut report.error)
            && report.changes.iter().all(|change| change.candidates.is_empty())
        {
            // In doubt, the other hint would be to look at the board by hand, which `resume` does
            // better. A parked change names its own command.
            let how = format!("`planwright resume {run}` carries it on");
            error.hint = Some(match error.hint.take().filter(|_| !in_doubt) {
                Some(hint) => format!("{hint}; then {how}"),
                None => how,
            });
        } else if let (true, true, Some(error)) = (is_recorded, in_doubt, &mut report.error)
            && report.changes.iter().all(|change| change.candidates.is_empty())
        {
            error.hint = Some(format!(
                "it may have been written all the same: find out with `planwright resume {run}`"
            ));
        }
    }

    /// Enters the counts of conflicts, replays and retries.
    pub(super) fn count(&mut self, tally: &Tally) {
        let stats = &mut self.report.stats;
        (stats.conflicts, stats.replays) = (tally.conflicts, tally.replays);
        stats.retries = tally.retries;
    }

    /// Replaces provisional ids by real ones, in all that the program could put them into.
    pub(super) fn with_real_ids(&mut self, ids: &BTreeMap<String, String>) {
        if ids.is_empty() {
            return;
        }
        let text = |text: &mut String| {
            if let Value::String(real) = replace_markers(Value::String(std::mem::take(text)), ids) {
                *text = real;
            }
        };
        let report = &mut self.report;
        for change in &mut report.changes {
            text(&mut change.id);
            text(&mut change.plan);
            text(&mut change.title);
            for field in change.fields.values_mut() {
                field.after = replace_markers(field.after.take(), ids);
            }
        }
        report.output.iter_mut().for_each(text);
        report.result = replace_markers(report.result.take(), ids);
        report.names = std::mem::take(&mut report.names)
            .into_iter()
            .map(|(mut id, name)| {
                text(&mut id);
                (id, name)
            })
            .collect();
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::journal::Error;

    /// The failures of the journal have codes of their own, and each of them cuts a run off.
    #[test]
    fn a_full_disk_cuts_a_run_off_and_a_refusal_does_not() {
        let path = PathBuf::from("journal.db");
        let full = Error::Full { path: path.clone() };
        let busy = Error::Busy { path };
        for code in [full.code(), busy.code(), "not_signed_in", "stopped", "paused"] {
            assert!(cuts_off(code), "{code}");
        }
        for code in ["service", "not_permitted", "conflict", "invalid"] {
            assert!(!cuts_off(code), "{code}");
        }
    }
}
