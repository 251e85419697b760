//! Earlier runs, and undoing them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::change::apply::{Part, only_written};
use crate::change::{Change, Edit, Entity, EntityId, Fields, Op, Write, provisional};
use crate::host::failure::Failure;
use crate::host::failure::interrupted;
use crate::host::record::{Origin, blocking, failure, lock_all, real_ids};
use crate::host::recover::inverse::undo;
use crate::host::recover::resume::{chain_of, leaves_doubt};
use crate::host::report::Status;
use crate::host::session::core::Session;
use crate::host::start::{Finished, Host, Start};
use crate::journal::{Error, Lockable, Purpose, Run, RunId, RunStatus, RunSummary};

/// The most runs that are passed over because nothing of them is left.
const MAX_PASSED: usize = 20;

impl Host {
    /// Undoes what a run has written, given by its id, the beginning or end of it, or `last`: the inverse
    /// is reviewed and applied like any other change set.
    ///
    /// # Errors
    /// The journal cannot be read, there is no such run, it is not finished, or it was undone
    /// already, if only in part.
    pub async fn undo(&self, id: &str, start: Start) -> Result<Finished, Failure> {
        if id.trim() != "last" {
            return self.undo_of(id, start).await;
        }
        let standing = self.written(&start).await?.0;
        self.latest(standing, "undo", start).await
    }

    /// Undoes the latest of some runs of which anything is left: what was deleted and restored since
    /// has other ids, and what somebody else has deleted is gone.
    async fn latest(
        &self,
        runs: Vec<RunId>,
        what: &str,
        start: Start,
    ) -> Result<Finished, Failure> {
        let mut last = None;
        for run in runs.iter().rev().take(MAX_PASSED) {
            let finished = self.undo_of(run.as_str(), start.clone()).await?;
            if finished.report.status != Status::NoChanges {
                return Ok(finished);
            }
            last = Some(finished);
        }
        last.ok_or_else(|| nothing(what))
    }

    async fn undo_of(&self, id: &str, mut start: Start) -> Result<Finished, Failure> {
        let run = self.own(id, &start).await?;
        self.check_same_service(&run)?;
        let id = run.start.id.clone();
        // The locks first, then the decision whether there is anything to undo: of two undos at
        // once the second finds that it was done.
        let state_folder = self.state_folder.clone().ok_or_else(no_journal)?;
        let locks = state_folder.locks()?;
        let what = BTreeSet::from([Lockable::UndoOf(id.clone())]);
        let _one_at_a_time = if start.dry_run {
            None
        } else {
            let held = lock_all(&locks, &what, &self.interrupt).await?;
            Some(held.ok_or_else(interrupted)?)
        };
        let Some(_not_at_work) = locks.try_lock_run(&id).map_err(|error| failure(&error))? else {
            return Err(Failure {
                code: "at_work".into(),
                message: format!("the run {id} is still at work"),
                hint: Some("wait until it ends, or stop it with Ctrl-C".into()),
                ..Failure::default()
            });
        };
        if let Some(failure) = self.undone(id.clone()).await? {
            return Err(failure);
        }
        // Recorded again: it may have written more while this waited for the lock.
        let mut runs = vec![self.recorded(id.as_str()).await?];
        // A run that carried it on has written what was left of it.
        for summary in chain_of(&id, &self.runs().await?) {
            if summary.id != id && summary.purpose == Purpose::Resume {
                runs.push(self.recorded(summary.id.as_str()).await?);
            }
        }
        let changes = applied_changes(&runs)?;
        let is_comment = |change: &Change| change.entity() == Entity::Comment;
        if !changes.is_empty() && changes.iter().all(is_comment) {
            // Not "nothing to undo": `undo last` would pass it over and take back the run before.
            return Err(Failure {
                code: "invalid".into(),
                message: format!("the run {id} wrote only comments, which cannot be taken back"),
                hint: Some("delete them in Planner; `planwright runs` has the earlier runs".into()),
                ..Failure::default()
            });
        }
        let in_doubt = runs.last().is_some_and(leaves_doubt);
        start.params = json!({ "run": id.to_string() });
        start.purpose = Purpose::Undo;
        let created: BTreeSet<EntityId> =
            changes.iter().filter(|change| change.op() == Op::Create).map(Change::id).collect();
        let origin = Origin { parent: Some(id.clone()), takes_back: created, ..Origin::default() };
        let program = move |session: &Session| {
            if in_doubt {
                session.warn(&format!(
                    "part of the run may remain: some of its changes are in doubt; settle them with `planwright resume {id}` before an undo"
                ));
            }
            undo(session, &changes)?;
            Ok(Value::Null)
        };
        Ok(self.run_for(origin, start, Arc::new(program)).await)
    }

    /// Takes an undo back: the last one if none is named, as long as nothing else was written since.
    ///
    /// # Errors
    /// There is no such undo, or as [`Host::undo`].
    pub async fn redo(&self, id: Option<&str>, start: Start) -> Result<Finished, Failure> {
        let undo = match id {
            Some(id) => {
                let run = self.own(id, &start).await?;
                if run.start.purpose != Purpose::Undo {
                    return Err(Failure {
                        code: "undone".into(),
                        message: format!("the run {} is no undo", run.start.id),
                        hint: Some("`planwright redo` takes the last undo back".into()),
                        ..Failure::default()
                    });
                }
                run.start.id
            }
            None => {
                let undone = self.written(&start).await?.1;
                return self.latest(undone, "redo", start).await;
            }
        };
        self.undo_of(undo.as_str(), start).await
    }

    /// Returns the runs of an actor that have written and stand, and the undos that can be taken
    /// back, each in the order of their time.
    async fn written(&self, start: &Start) -> Result<(Vec<RunId>, Vec<RunId>), Failure> {
        let me = self.me().await?;
        let agent = start.agent.as_ref().map(|agent| agent.name.as_str());
        let is_own = |run: &RunSummary| {
            run.upn == me.upn && run.agent.as_deref() == agent && may_have_written(run)
        };
        let mut runs = self.runs().await?;
        runs.retain(is_own);
        let (mut standing, mut undone) = (Vec::new(), Vec::new());
        for run in runs.into_iter().rev() {
            match (run.purpose, run.parent) {
                // Part of the run that it carries on.
                (Purpose::Resume, _) => {}
                (Purpose::Undo, Some(of)) => {
                    if let Some(at) = undone.iter().rposition(|undo| *undo == of) {
                        undone.remove(at);
                        standing.push(run.id);
                    } else {
                        standing.retain(|id| *id != of);
                        undone.push(run.id);
                    }
                }
                _ => {
                    undone.clear();
                    standing.push(run.id);
                }
            }
        }
        Ok((standing, undone))
    }

    /// Returns a failure if a run was undone, naming the undo, unless that was undone itself. An
    /// undo that has written only a part counts: a second one would recreate twice what was
    /// deleted.
    pub(crate) async fn undone(&self, id: RunId) -> Result<Option<Failure>, Failure> {
        let all = self.runs().await?;
        let mut cleared = BTreeSet::new();
        // Newest first, so that it is known of each undo whether it was undone itself.
        for run in
            all.into_iter().filter(|run| run.purpose == Purpose::Undo && may_have_written(run))
        {
            let (Some(parent), false) = (run.parent, cleared.contains(&run.id)) else { continue };
            let (by, whole) = (run.id, run.status == Some(RunStatus::Applied));
            if parent == id {
                let (message, hint) = if whole {
                    (
                        "the run was undone already, by",
                        format!("to restore it: `planwright undo {by}`"),
                    )
                } else {
                    (
                        "the run was undone in part, by",
                        format!("`planwright resume {by}` finishes that"),
                    )
                };
                return Ok(Some(Failure {
                    code: "undone".into(),
                    message: format!("{message} {by}"),
                    hint: Some(hint),
                    ..Failure::default()
                }));
            }
            // An undo that was undone in full no longer counts.
            if whole {
                cleared.insert(parent);
            }
        }
        Ok(None)
    }

    /// Returns all runs, the newest first.
    pub(crate) async fn runs(&self) -> Result<Vec<RunSummary>, Failure> {
        let Some(state_folder) = self.state_folder.clone() else { return Err(no_journal()) };
        blocking(move || {
            let journal = state_folder.open_to_read()?.ok_or_else(no_journal)?;
            journal.runs(usize::MAX, None).map_err(|error| failure(&error))
        })
        .await
    }

    pub(crate) fn check_same_service(&self, run: &Run) -> Result<(), Failure> {
        if run.start.service == self.service {
            return Ok(());
        }
        Err(Failure {
            code: "other_service".into(),
            message: format!("the run was on {}, but this is {}", run.start.service, self.service),
            hint: Some("name that service: --graph-url or --profile".into()),
            ..Failure::default()
        })
    }

    /// Finds the run that is meant: for an agent, among those of its own. Of others it does not even learn
    /// how many there are.
    async fn own(&self, id: &str, start: &Start) -> Result<Run, Failure> {
        let Some(agent) = &start.agent else { return self.recorded(id).await };
        let Some(state_folder) = self.state_folder.clone() else { return Err(no_journal()) };
        let (id, agent) = (id.trim().to_owned(), agent.name.clone());
        blocking(move || {
            let journal = state_folder.open_to_read()?.ok_or_else(no_journal)?;
            let own = journal.run_of_agent(&id, &agent).map_err(|error| match error {
                Error::NoRun(_) => Failure {
                    code: "not_found".into(),
                    message: format!("the agent has no run `{id}`"),
                    ..Failure::default()
                },
                error => failure(&error),
            })?;
            journal.run(own.as_str()).map_err(|error| failure(&error))
        })
        .await
    }

    pub(crate) async fn recorded(&self, id: &str) -> Result<Run, Failure> {
        let Some(state_folder) = self.state_folder.clone() else { return Err(no_journal()) };
        let id = id.trim().to_owned();
        blocking(move || {
            let journal = state_folder.open_to_read()?.ok_or_else(no_journal)?;
            journal.run(&id).map_err(|error| failure(&error))
        })
        .await
    }
}

/// Returns whether something of a run may be on the board.
pub(crate) fn may_have_written(run: &RunSummary) -> bool {
    // A run without an end was killed, or is still at work: a request may have gone out.
    let may = matches!(run.status, None | Some(RunStatus::Applied | RunStatus::Partial));
    may && run.attempts > 0
}

fn nothing(what: &str) -> Failure {
    Failure {
        code: "not_found".into(),
        message: format!("there is nothing to {what}"),
        hint: Some("`planwright runs` lists what was done".into()),
        ..Failure::default()
    }
}

pub(crate) fn no_journal() -> Failure {
    Failure {
        code: "journal".into(),
        message: "no run has been recorded yet".into(),
        ..Failure::default()
    }
}

/// Returns the changes that a run and those that carried it on have written, at least in part, with
/// real ids.
fn applied_changes(runs: &[Run]) -> Result<Vec<Change>, Failure> {
    let mut changes = Vec::new();
    let mut ids = BTreeMap::new();
    for round in runs.iter().flat_map(|run| &run.rounds) {
        ids.extend(real_ids(round));
        for (change, trail) in round.change_set.changes().iter().zip(&round.trails) {
            let written = |part: &Part| trail.has_written(&part.to_string());
            if let Some(change) = only_written(change, written) {
                changes.push(with_ids(&change, &ids)?);
            }
        }
    }
    Ok(folded(changes))
}

/// Folds the changes to entities that the run deleted in the end: one that it created itself is as
/// if it had never been, and one that it changed was deleted in the state from before.
fn folded(changes: Vec<Change>) -> Vec<Change> {
    let mut kept: Vec<Change> = Vec::new();
    for mut change in changes {
        if change.op() != Op::Delete {
            kept.push(change);
            continue;
        }
        let id = change.id();
        let went = |earlier: &Change| match earlier.id() {
            EntityId::Task(task) if change.takes_along.contains(&task) => true,
            other => other == id,
        };
        let (earlier, others): (Vec<Change>, Vec<Change>) = kept.into_iter().partition(went);
        kept = others;
        // The latest first: each change is taken back from the state that it left.
        for before in earlier.iter().rev() {
            as_before(&mut change, before);
        }
        // Entities that the run itself made and deleted are wanted back only for the sake of tasks from
        // before that went with it.
        let is_made = earlier.iter().any(|change| change.op() == Op::Create && change.id() == id);
        if !is_made || !change.lost.tasks.is_empty() {
            kept.push(change);
        }
    }
    // A task that was deleted by itself comes back once, not with its bucket as well.
    let alone: BTreeSet<EntityId> =
        kept.iter().filter(|change| change.op() == Op::Delete).map(Change::id).collect();
    for change in &mut kept {
        change.lost.tasks.retain(|state| !alone.contains(&EntityId::Task(state.task.id.clone())));
    }
    kept
}

/// Sets a deletion back to the state before an earlier change.
fn as_before(deletion: &mut Change, earlier: &Change) {
    fn back<T: Fields, B>(before: &mut T, earlier: &Edit<T, B>) {
        if let Edit::Update { before: base, after, .. } = earlier {
            before.graft(after, base);
        }
    }
    let is_itself = deletion.id() == earlier.id();
    match (&mut deletion.write, &earlier.write) {
        (Write::Task(edit), Write::Task(other)) if is_itself => {
            if let Edit::Delete { before, .. } = &mut **edit {
                back(before, other);
            }
        }
        (Write::Bucket(Edit::Delete { before, .. }), Write::Bucket(other)) if is_itself => {
            back(before, other);
        }
        (Write::Plan(edit), Write::Plan(other)) if is_itself => {
            if let Edit::Delete { before, .. } = &mut **edit {
                back(before, other);
            }
        }
        (_, Write::Task(other)) => {
            let id = &other.known().task.id;
            if let Edit::Create { .. } = **other {
                deletion.lost.tasks.retain(|state| state.task.id != *id);
            }
            let lost = deletion.lost.tasks.iter_mut().find(|state| state.task.id == *id);
            if let Some(lost) = lost {
                back(lost, other);
            }
        }
        _ => {}
    }
}

/// Returns a change with the ids that the journal has for provisional ones.
pub(crate) fn with_ids(change: &Change, ids: &BTreeMap<String, String>) -> Result<Change, Failure> {
    provisional::with_ids(change, ids).map_err(|error| Failure {
        code: "journal".into(),
        message: format!("the recorded change of `{}` cannot be read: {error}", change.title()),
        ..Failure::default()
    })
}
