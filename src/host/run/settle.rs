//! The settling of an earlier run's requests in doubt, before the rest is carried out.

use crate::change::apply::{End, Machine};
use crate::host::apply::outcome::ChangeStatus;
use crate::host::apply::{Driver, Outcome, drive};
use crate::host::failure::Failure;
use crate::host::failure::interrupted;
use crate::host::record::Record;
use crate::host::recover::resume::Restored;
use crate::host::report::{ChangeReport, Status};
use crate::host::run::Run;
use crate::host::run::outcome::cuts_off;
use crate::host::run::rounds::{locks_of, rules_of};
use crate::policy::Verdict;

impl Run<'_> {
    /// Drives the machine over the requests in doubt, under the locks of their plans, so that no
    /// other run searches for the same entities at once.
    pub(super) async fn settle(&self, restored: &mut Restored) -> Result<(), Failure> {
        // Updates and deletes in doubt are settled by sending them again, which a dry run must not.
        if self.start.dry_run || !restored.ledger.has_doubts() {
            return Ok(());
        }
        let Some(record) = &self.record else { return Ok(()) };
        let _held = self.lock(&locks_of(&restored.set)).await?.ok_or_else(interrupted)?;
        let host = self.host;
        let driver = Driver {
            client: &host.client,
            clock: &*host.clock,
            now: self.session.facts().now,
            actor: &self.session.facts().me.id,
            // The attempts are on record under the run that sent them, and their outcomes go there.
            record: None,
            claims: Some(Record::claims(record)),
            settles: Some(&restored.unsettled),
            stop: &host.interrupt,
            watch: &host.watch,
        };
        let (changes, ledger) = (restored.set.changes(), restored.ledger.clone());
        let driven = drive(&driver, Machine::settling(changes, ledger, rules_of(host))).await;
        // Even if it was cut short: the report must not call in doubt what is settled by now.
        restored.ledger = driven.machine.ledger().clone();
        match driven.broken {
            Some(failure) => Err(failure),
            None if host.interrupt.is_set() => Err(interrupted()),
            None => Ok(()),
        }
    }

    /// Keeps a run open that could not be carried on for now, so that it can be tried again.
    pub(super) fn stay_unfinished(&mut self) {
        // Policies are those in force now, so what they refuse today may pass another time.
        let is_refused = matches!(self.report.status, Status::Denied | Status::Held);
        let is_cut_off = self.report.error.as_ref().is_some_and(|error| cuts_off(&error.code));
        self.report.unfinished |= is_refused || is_cut_off;
    }

    /// Shows in the report what is still in doubt, for a person to decide.
    pub(super) fn report_in_doubt(&mut self, restored: &Restored) {
        for (change, is_gone) in restored
            .withheld
            .iter()
            .map(|change| (change, false))
            .chain(restored.gone.iter().map(|change| (change, true)))
        {
            let mut shown = ChangeReport::planned(change, Verdict::Allow);
            shown.status = ChangeStatus::Skipped;
            shown.error = is_gone.then(|| Outcome::of_end(&End::Gone, None).error).flatten();
            self.report.changes.push(shown);
        }
        let mut any = false;
        for change in restored.in_doubt() {
            any = true;
            if self.report.changes.iter().any(|shown| shown.n == change.n) {
                continue;
            }
            let mut shown = ChangeReport::planned(change, Verdict::Allow);
            shown.status = ChangeStatus::Unknown;
            shown.candidates = restored.candidates(change);
            shown.error = Some(shown.parked(&self.report.run_id));
            self.report.changes.push(shown);
        }
        self.report.changes.sort_by_key(|change| change.n);
        if !any {
            return;
        }
        let parked =
            self.report.changes.iter().find(|change| change.status == ChangeStatus::Unknown);
        let error = parked.and_then(|change| change.error.clone());
        self.report.error = self.report.error.take().or(error);
        // A change in doubt may be missing on the board, so the run must not be taken for done.
        if matches!(self.report.status, Status::Applied | Status::NoChanges) {
            self.report.status = Status::Partial;
        }
        self.report.unfinished = true;
    }
}
