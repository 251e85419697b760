//! Applying the pending changes, resuming a part that was left over, and undoing: each is a run of
//! its own in the journal.

use crate::app::error::AppError;
use crate::cli::exit::Exit;
use crate::cli::render::text::{DIM, YELLOW, paint};
use crate::cli::repl::{Ask, Flow, How, Repl, resolve_conflicts};
use crate::host::apply::outcome::ChangeStatus;
use crate::host::{Decisions, Report, Status};

impl Repl<'_> {
    /// Reviews the pending changes and applies them; on a conflict the person decides, and it is
    /// tried again.
    pub(super) fn apply(&mut self, how: How, ask: &mut dyn Ask) -> Result<Flow, AppError> {
        self.check_grants()?;
        let dry_run = how.dry_run;
        loop {
            let start = self.start(how)?;
            let set = self.desk.draft.pending();
            // Empties the log, so that `:explain` shows only the requests of this apply.
            drop(self.connection.client.take_log());
            let finished = self.desk.wait(async |host, draft| host.apply_open(draft, start).await);
            self.log = self.connection.client.take_log();
            let report = finished.report;
            if report.changes.iter().any(|change| change.status == ChangeStatus::Applied) {
                self.applied.push(report.run_id.clone());
            }
            self.show_report(&report);
            if report.status == Status::Partial {
                let text = "what was not written is no longer pending: `:resume` finishes it";
                self.ui.say(&paint(YELLOW, text));
                self.left = Some(report.run_id.clone());
            }
            if report.status != Status::Conflict || dry_run || !ask.is_anyone() {
                return Ok(flow_of(&report));
            }
            let zone = self.zone();
            let Some(choices) = resolve_conflicts::choices(&self.ui, ask, &report, &set, &zone)
            else {
                self.ui.note(&paint(DIM, "nothing was decided; everything is still pending"));
                return Ok(flow_of(&report));
            };
            self.desk.wait(async |host, draft| host.decide(draft, choices).await)?;
            self.ui.note(&paint(DIM, "decided; trying again"));
        }
    }

    /// Resumes what the last apply left over.
    pub(super) fn resume(&mut self, force: bool) -> Result<Flow, AppError> {
        let Some(run) = self.left.clone() else {
            return Err(AppError::new("not_found", "nothing is left over in this session")
                .hint("`planwright resume` resumes runs that were cut off"));
        };
        let start = self.start(How { force, dry_run: false })?;
        let finished =
            self.desk.wait(async |host, _| host.resume(&run, Decisions::default(), start).await)?;
        // The run has changed the board under the draft.
        self.desk.draft.refresh();
        if matches!(finished.report.status, Status::Applied | Status::NoChanges) {
            self.left = None;
        }
        if finished.report.changes.iter().any(|change| change.status == ChangeStatus::Applied) {
            self.applied.push(finished.report.run_id.clone());
        }
        self.show_report(&finished.report);
        Ok(flow_of(&finished.report))
    }

    /// Undoes the run that was applied last.
    pub(super) fn undo(&mut self, force: bool) -> Result<Flow, AppError> {
        let Some(run) = self.applied.last().cloned() else {
            return Err(AppError::new("not_found", "nothing is left to undo in this session")
                .hint("`planwright undo last` undoes the last run that wrote something"));
        };
        let start = self.start(How { force, dry_run: false })?;
        let finished = self.desk.wait(async |host, _| host.undo(&run, start).await)?;
        // The run has changed the board under the draft.
        self.desk.draft.refresh();
        if matches!(finished.report.status, Status::Applied | Status::NoChanges | Status::Partial) {
            self.applied.pop();
        }
        self.show_report(&finished.report);
        self.note(":undo");
        if finished.report.status == Status::Denied && !force {
            self.ui.note(&paint(DIM, "`:undo --force` deletes what was created"));
        }
        Ok(flow_of(&finished.report))
    }

    fn show_report(&self, report: &Report) {
        self.ui.note_run();
        if self.ui.json() {
            self.ui.json_report(report);
        } else {
            let is_shown = self.context.was_shown(report);
            crate::cli::show::report(&self.ui, report, None, &self.zone(), is_shown);
        }
    }
}

fn flow_of(report: &Report) -> Flow {
    match Exit::of_report(report) {
        Exit::Done => Flow::Go,
        other => Flow::Refused(other),
    }
}
