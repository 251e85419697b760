//! `commit()`: applying what a program has drafted so far, and letting it go on (design.md 2.2).
//!
//! A segment is judged and applied like a run. A segment that could not be applied in full ends the
//! run; what was applied stays in the report, and counts for limits and policies from then on.

use std::sync::Arc;

use crate::change::ChangeSet;
use crate::host::failure::Failure;
use crate::host::query::{PendingQuery, Response};
use crate::host::report::Status;
use crate::host::run::Run;
use crate::host::stop::StopReason;
use crate::policy::Verdict;

impl Run<'_> {
    /// Applies the draft so far, and answers the program.
    pub(super) async fn commit(&mut self, question: PendingQuery) {
        let session = self.session.clone();
        if self.start.dry_run {
            let told = "commit(): a dry run goes on as if it had been applied; everything after it is a guess";
            if !session.state().warnings.iter().any(|warning| warning == told) {
                session.warn(told);
            }
            drop(question.reply.send(Ok(Response::Committed(None))));
            return;
        }
        let set = session.change_set();
        if !set.is_empty() {
            // If this segment ends the run, nobody takes its output afterwards.
            self.take_output();
            self.committing = true;
            match self.begin_record(true).await {
                // The program goes on from here with the values it has seen, so it cannot run again
                // on fresh ones.
                Ok(()) => Box::pin(self.review_and_apply(None)).await,
                Err(failure) => self.fail(failure),
            }
            self.committing = false;
            if self.report.status != Status::Applied {
                // The reply is dropped, so that no `catch` in the script lets it go on.
                self.ended = true;
                session.stop().set(StopReason::Ended);
                return;
            }
            // Before `begin_segment` drops the board on which these reads were answered.
            self.keep_grounds(&set);
            self.keep_segment();
            let frozen = session.frozen();
            session.state().segments.push((frozen, Arc::new(set)));
        }
        session.begin_segment(self.made.clone());
        drop(question.reply.send(Ok(Response::Committed(Some(self.made.clone())))));
    }

    /// Sets aside what was applied, for the final report.
    fn keep_segment(&mut self) {
        self.earlier.add(&self.shown);
        // The session keeps the program's own warnings, and reports them again.
        let n_own = self.session.state().warnings.len().min(self.report.warnings.len());
        self.remarks.extend(self.report.warnings.split_off(n_own));
        let offset = self.done.0.len();
        let mut changes = std::mem::take(&mut self.report.changes);
        // Numbers are unique in a report, and each segment counts from one.
        changes.iter_mut().for_each(|change| change.n += offset);
        let mut verdicts = std::mem::take(&mut self.report.verdicts);
        verdicts.iter_mut().for_each(|ruling| ruling.change = ruling.change.map(|n| n + offset));
        self.done.0.append(&mut changes);
        self.done.1.append(&mut verdicts);
        self.shown = ChangeSet::default();
        // The program may draft nothing more; then what was committed decides the status.
        self.report.status = Status::NoChanges;
    }

    /// Warns, if the run carries on another, that the program of that one would have gone on.
    pub(super) fn tell_cut_short(&mut self) {
        let report = &mut self.report;
        let is_over = matches!(report.status, Status::Applied | Status::NoChanges);
        if !self.origin.cut_short || self.start.dry_run || !is_over {
            return;
        }
        report.status = Status::Partial;
        let skill = &report.skill;
        let failure = Failure {
            code: "cut_off".into(),
            message: format!(
                "`{skill}` was cut off after a commit(): what it committed is on the board, what it would have done next is unknown"
            ),
            hint: Some("look at the board, then run it again".into()),
            ..Failure::default()
        };
        report.error = Some(failure);
    }

    /// Puts what was applied in earlier segments into the report, before the last one.
    pub(super) fn join_segments(&mut self) {
        if self.done.0.is_empty() {
            return;
        }
        // Determined first: `keep_segment` resets the status of the report.
        let status = match self.report.status {
            Status::Applied | Status::NoChanges => Status::Applied,
            // Something was written, whatever the outcome of the rest.
            _ => Status::Partial,
        };
        self.keep_segment();
        let (changes, mut verdicts) = std::mem::take(&mut self.done);
        verdicts.sort_by_key(|ruling| std::cmp::Reverse(ruling.verdict));
        let is_refused = verdicts.iter().any(|ruling| ruling.verdict >= Verdict::Hold);
        let report = &mut self.report;
        report.warnings.append(&mut self.remarks);
        (report.changes, report.verdicts, report.status) = (changes, verdicts, status);
        if is_refused && report.error.is_none() {
            let text = "what came after a commit() was refused; what was committed stays";
            report.warnings.push(text.to_owned());
        }
        // The output was taken from the session as the program wrote it, with the provisional ids
        // of every segment.
        let ids = self.made.clone();
        self.with_real_ids(&ids);
    }
}
