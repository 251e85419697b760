//! What earlier runs did, and taking it back.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::change::Change;
use crate::host::apply::replace_markers;
use crate::host::record::{Origin, blocking, failure, real_ids};
use crate::host::undo::undo;
use crate::host::{Failure, Finished, Host, Session, Start};
use crate::journal::{Outcome, Purpose, Run, RunId, RunStatus, Standing};

impl Host {
    /// Takes back what a run has written, given by its id or the beginning of it: the inverse is
    /// reviewed and applied like any other change set.
    ///
    /// # Errors
    /// The journal can not be read, there is no such run, or it is not finished.
    pub async fn undo(&self, id: &str, mut start: Start) -> Result<Finished, Failure> {
        let run = self.recorded(id).await?;
        self.check_same_service(&run)?;
        let doubt = |it: &crate::journal::Round| {
            it.trails.iter().any(|it| it.standing() == Standing::InDoubt)
        };
        if run.rounds.iter().any(doubt) {
            return Err(Failure {
                code: "unfinished".into(),
                message: "it is not known of all its changes whether they were written".into(),
                hint: Some(format!("find out with `planwright resume {}`", run.start.id)),
                ..Failure::default()
            });
        }
        if let Some(by) = self.undone_by(run.start.id.clone()).await? {
            return Err(Failure {
                code: "undone".into(),
                message: format!("the run was taken back already, by {by}"),
                hint: Some(format!("to have it again: `planwright undo {by}`")),
                ..Failure::default()
            });
        }
        let changes = applied_changes(&run);
        start.params = json!({ "run": run.start.id.to_string() });
        let parent = Some(run.start.id);
        start.purpose = Purpose::Undo;
        let origin = Origin { parent, takes_up: None };
        let program = move |session: &Session| {
            undo(session, &changes)?;
            Ok(Value::Null)
        };
        Ok(self.run_for(origin, start, Box::new(program)).await)
    }

    /// Returns the run that has taken a run back, unless it was taken back itself.
    async fn undone_by(&self, id: RunId) -> Result<Option<RunId>, Failure> {
        let Some(ledger) = self.ledger.clone() else { return Err(no_journal()) };
        blocking(move || {
            let journal = ledger.open_to_read()?.ok_or_else(no_journal)?;
            let all = journal.runs(usize::MAX, None).map_err(|error| failure(&error))?;
            let mut undone: BTreeMap<RunId, RunId> = BTreeMap::new();
            // The newest first: what took something back is known to stand or not by then.
            for run in all {
                let whole = run.status == Some(RunStatus::Applied);
                if let (Purpose::Undo, Some(parent), true) = (run.purpose, run.parent, whole)
                    && !undone.contains_key(&run.id)
                {
                    undone.insert(parent, run.id);
                }
            }
            Ok(undone.remove(&id))
        })
        .await
    }

    pub(crate) fn check_same_service(&self, run: &Run) -> Result<(), Failure> {
        if run.start.service == self.service {
            return Ok(());
        }
        Err(Failure {
            code: "other_service".into(),
            message: format!("the run was on {}, this is {}", run.start.service, self.service),
            hint: Some("name that service: --graph-url or --profile".into()),
            ..Failure::default()
        })
    }

    pub(crate) async fn recorded(&self, id: &str) -> Result<Run, Failure> {
        let Some(ledger) = self.ledger.clone() else { return Err(no_journal()) };
        let id = id.trim().to_owned();
        blocking(move || {
            let journal = ledger.open_to_read()?.ok_or_else(no_journal)?;
            journal.run(&id).map_err(|error| failure(&error))
        })
        .await
    }
}

pub(crate) fn no_journal() -> Failure {
    Failure {
        code: "journal".into(),
        message: "no run was recorded yet".into(),
        ..Failure::default()
    }
}

/// Returns the changes of a run of which anything was written, with the ids that they became.
fn applied_changes(run: &Run) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut ids = BTreeMap::new();
    for round in &run.rounds {
        ids.extend(real_ids(round));
        for (change, trail) in round.change_set.changes().iter().zip(&round.trails) {
            let written = |it: &crate::journal::Attempt| it.outcome() == Some(Outcome::Applied);
            if !trail.attempts.iter().any(written) {
                continue;
            }
            let value = serde_json::to_value(change).unwrap_or_default();
            if let Ok(change) = serde_json::from_value(replace_markers(value, &ids)) {
                changes.push(change);
            }
        }
    }
    changes
}
