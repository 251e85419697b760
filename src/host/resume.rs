//! Carrying on a run that was cut off: first finding out what became of each write whose answer
//! is not on record (design.md 2.4), then applying what is left.
//!
//! A conditional write is sent again with the same tag, so that the service decides. A create is
//! looked for; where it is not found, it counts as not made only after a while.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::change::apply::{Part, take_off};
use crate::change::{Change, ChangeSet, Edit, Fields as _, Placed, TaskState, Write, holds};
use crate::graph::Error;
use crate::host::apply::probe::{Lost, candidates};
use crate::host::history::{may_have_written, no_journal, with_ids};
use crate::host::record::{Claims, ITSELF, Origin, blocking, failure, real_ids};
use crate::host::{Failure, Finished, Host, Start};
use crate::journal::{
    Attempt, Outcome, Purpose, Round, Run, RunId, RunStatus, RunSummary, Settled, Standing, Trail,
};
use crate::model::{
    Board, BoardPlace, Bucket, ETag, Plan, PlanDetails, Task, TaskDetails, UserId, Versioned,
};
use crate::wire::entity::Any;
use crate::wire::{Request, request};

/// When a create is looked for again, in seconds after it was sent (design.md 2.4).
const PROBES: [i64; 4] = [2, 5, 15, 60];
/// How the steps begin that add a member to a roster.
const MEMBERS: &str = "members/";

impl Host {
    /// Returns the ids of the runs that began to write and did not end, and that no process is
    /// at work on.
    ///
    /// # Errors
    /// The journal can not be read.
    pub async fn unfinished(&self) -> Result<Vec<RunId>, Failure> {
        let Some(ledger) = self.ledger.clone() else { return Err(no_journal()) };
        blocking(move || {
            let Some(journal) = ledger.open_to_read()? else { return Ok(Vec::new()) };
            let locks = ledger.locks()?;
            let mut free = Vec::new();
            for run in journal.unfinished().map_err(|error| failure(&error))? {
                let id = run.start.id;
                if locks.try_lock_run(&id).map_err(|error| failure(&error))?.is_some() {
                    free.push(id);
                }
            }
            Ok(free)
        })
        .await
    }

    /// Carries on a run, given by its id or the beginning of it.
    ///
    /// # Errors
    /// There is no such run, it is at work, it is another's or on another service, or the
    /// service can not be asked.
    pub async fn resume(&self, id: &str, mut start: Start) -> Result<Finished, Failure> {
        let mut run = self.recorded(id).await?;
        self.check_same_service(&run)?;
        let mut cut_off = Vec::new();
        loop {
            let id = run.start.id.clone();
            let next = self.carried_on_by(&id).await?;
            if run.finish.is_none() {
                cut_off.push(id);
            }
            let Some(next) = next else { break };
            run = self.recorded(next.as_str()).await?;
        }
        let id = run.start.id.clone();
        let ledger = self.ledger.clone().ok_or_else(no_journal)?;
        let locks = ledger.locks()?;
        let Some(_at_work) = locks.try_lock_run(&id).map_err(|error| failure(&error))? else {
            return Err(told("at_work", format!("another process is at work on the run {id}")));
        };
        let me = self.me().await?;
        if me.id != run.start.actor {
            let whose = &run.start.upn;
            return Err(told("not_permitted", format!("the run is {whose}'s, not {}'s", me.upn)));
        }
        if !start.dry_run {
            self.find_out(&run).await?;
        }
        let run = self.recorded(id.as_str()).await?;
        let set = self.left_over(&run).await?;
        start.skill.clone_from(&run.start.skill);
        start.skill_digest.clone_from(&run.start.skill_digest);
        start.params.clone_from(&run.start.params);
        let dry_run = start.dry_run;
        start.purpose = Purpose::Resume;
        let origin = Origin { parent: Some(id.clone()), takes_up: None };
        let done = set.is_empty();
        let finished = self.apply_set(origin, start, set).await;
        if !dry_run {
            let report = serde_json::json!({ "resumed_by": finished.report.run_id });
            let now = self.clock.now();
            blocking(move || {
                if cut_off.is_empty() {
                    return Ok(());
                }
                let journal = ledger.open()?;
                cut_off.iter().try_for_each(|it| {
                    let status =
                        if done && *it == id { RunStatus::Applied } else { RunStatus::Partial };
                    journal.finish(it, now, status, &report).map_err(|error| failure(&error))
                })
            })
            .await?;
        }
        Ok(finished)
    }

    /// Returns the run that took up what another had left over, if it may have written of it:
    /// then what is left is what is left of that one. To take it up from the first again would
    /// make twice what was created meanwhile.
    async fn carried_on_by(&self, id: &RunId) -> Result<Option<RunId>, Failure> {
        let takes_up = |it: &RunSummary| {
            it.purpose == Purpose::Resume && it.parent.as_ref() == Some(id) && may_have_written(it)
        };
        Ok(self.runs().await?.into_iter().find(takes_up).map(|it| it.id))
    }

    // What became of what was sent

    async fn find_out(&self, run: &Run) -> Result<(), Failure> {
        for round in &run.rounds {
            for (change, trail) in round.change_set.changes().iter().zip(&round.trails) {
                for attempt in trail.last_attempts() {
                    if attempt.is_in_doubt() {
                        let change = with_ids(change, &real_ids(round))?;
                        let settled = self.outcome_of(&change, attempt, &run.start.actor).await?;
                        self.settle(&run.start.id, settled).await?;
                    }
                }
            }
        }
        Ok(())
    }

    async fn settle(&self, run: &RunId, settled: Settled) -> Result<(), Failure> {
        let (ledger, run, now) = (self.ledger.clone(), run.clone(), self.clock.now());
        blocking(move || {
            let journal = ledger.ok_or_else(no_journal)?.open()?;
            journal.settle(&run, now, &[settled]).map_err(|error| failure(&error))
        })
        .await
    }

    async fn outcome_of(
        &self,
        change: &Change,
        attempt: &Attempt,
        actor: &UserId,
    ) -> Result<Settled, Failure> {
        let intent = &attempt.intent;
        let (outcome, entity_id) = if intent.if_match.is_some() {
            (self.conditional(change, attempt).await?, None)
        } else {
            self.created(change, attempt, actor).await?
        };
        Ok(Settled {
            step: intent.step.clone(),
            attempt: intent.attempt,
            outcome,
            status: None,
            entity_id,
            etag: None,
            service_request_id: None,
            message: Some("found out when the run was carried on".to_owned()),
        })
    }

    /// The same body with the same tag again.
    async fn conditional(&self, change: &Change, attempt: &Attempt) -> Result<Outcome, Failure> {
        let it = &attempt.intent;
        let tag = it.if_match.clone().map(ETag::new);
        let Some(again) = Request::again(&it.method, &it.path, tag, it.body.clone()) else {
            return Ok(Outcome::Unknown);
        };
        match self.client.write::<Any>(&again).await {
            Ok(_) => Ok(Outcome::Applied),
            Err(failed) if failed.error.is_not_found() => {
                let gone = it.method == "DELETE";
                Ok(if gone { Outcome::Applied } else { Outcome::Conflict })
            }
            Err(failed) if failed.error.is_conflict() => {
                let there = self.is_there(change, &it.step.step).await.map_err(from_graph)?;
                Ok(if there { Outcome::Applied } else { Outcome::Conflict })
            }
            Err(failed) if failed.in_doubt || failed.error.is_unavailable() => {
                Err(from_graph(failed.error))
            }
            Err(_) => Ok(Outcome::Refused),
        }
    }

    /// Tells whether what a step was to set is there.
    async fn is_there(&self, change: &Change, step: &str) -> Result<bool, Error> {
        let client = &self.client;
        match &change.write {
            Write::Plan(edit) => {
                let Edit::Update { before, after, .. } = &**edit else { return Ok(false) };
                let now = client.read::<Versioned<Plan>>(&request::plan(&after.id)).await?.value;
                Ok(if step == ITSELF {
                    now.title == after.title
                } else {
                    before.archival.is_archived != now.archival.is_archived
                })
            }
            Write::PlanDetails { plan, edit: Edit::Update { before, after, .. }, .. } => {
                let read = request::plan_details(plan);
                let now = client.read::<Versioned<PlanDetails>>(&read).await?.value;
                Ok(holds(before, after, &now))
            }
            Write::Bucket(Edit::Update { before, after, .. }) => {
                let now = client.read::<Versioned<Bucket>>(&request::bucket(&after.id)).await?;
                Ok(holds(before, after, &now.value))
            }
            Write::Task(edit) => {
                let (before, after) = match &**edit {
                    Edit::Update { before, after, .. } => (before.clone(), after),
                    Edit::Create { after } => (bare(after), after),
                    Edit::Delete { .. } => return Ok(false),
                };
                self.task_is_there(&before, after, step).await
            }
            Write::PlanDetails { .. } | Write::Bucket(_) => Ok(false),
        }
    }

    async fn task_is_there(
        &self,
        before: &TaskState,
        after: &TaskState,
        step: &str,
    ) -> Result<bool, Error> {
        let (client, id) = (&self.client, &after.task.id);
        if step == ITSELF {
            let task = client.read::<Versioned<Task>>(&request::task(id)).await?.value;
            let now = TaskState { task, ..before.clone() };
            let ours = TaskState { task: after.task.clone(), ..before.clone() };
            return Ok(holds(before, &ours, &now));
        }
        if step == "details" {
            let read = request::task_details(id);
            let details = client.read::<Versioned<TaskDetails>>(&read).await?.value;
            let now = TaskState { details: Some(details), ..before.clone() };
            let ours = TaskState { details: after.details.clone(), ..before.clone() };
            return Ok(holds(before, &ours, &now));
        }
        let Some(board) = Board::ALL.into_iter().find(|it| it.format_name() == step) else {
            return Ok(false);
        };
        let place = client.read::<Versioned<BoardPlace>>(&request::board_place(id, board)).await?;
        let of = |state: &TaskState| Placed {
            board,
            place: state.places.get(&board).cloned().unwrap_or_default(),
        };
        Ok(holds(&of(before), &of(after), &Placed { board, place: place.value }))
    }

    /// Looks for what a create may have made; where it is not found, again and again until it
    /// would have shown.
    async fn created(
        &self,
        change: &Change,
        attempt: &Attempt,
        actor: &UserId,
    ) -> Result<(Outcome, Option<String>), Failure> {
        let mut probes = PROBES.iter().filter(|it| **it <= self.quarantine_seconds());
        loop {
            let found = self.candidates(change, attempt, actor).await.map_err(from_graph)?;
            // The same person may be added by many; what is created is made by one.
            let found = if attempt.intent.step.step.starts_with(MEMBERS) {
                found
            } else {
                self.unclaimed(found).await?
            };
            match found.as_slice() {
                [one] => return Ok((Outcome::Applied, Some(one.clone()))),
                [] => {}
                // Which of them is ours is for a person to say.
                _ => return Ok((Outcome::Unknown, None)),
            }
            let age = self.clock.now().duration_since(attempt.at).as_secs();
            if age >= self.quarantine_seconds() {
                return Ok((Outcome::Refused, None));
            }
            let until = probes.find(|it| **it > age).copied().unwrap_or(self.quarantine_seconds());
            let wait = u64::try_from(until - age).unwrap_or(1).max(1);
            tokio::select! {
                () = self.interrupt.wait() => return Ok((Outcome::Unknown, None)),
                () = tokio::time::sleep(Duration::from_secs(wait)) => {}
            }
        }
    }

    fn quarantine_seconds(&self) -> i64 {
        i64::try_from(self.quarantine.as_secs()).unwrap_or(i64::MAX)
    }

    /// What may be it.
    async fn candidates(
        &self,
        change: &Change,
        attempt: &Attempt,
        actor: &UserId,
    ) -> Result<Vec<String>, Error> {
        let step = &attempt.intent.step.step;
        let part = match step.strip_prefix(MEMBERS).map(UserId::parse) {
            Some(Ok(user)) => Part::Member(user),
            _ if *step == Part::Roster.to_string() => Part::Roster,
            _ => Part::Itself,
        };
        let lost = Lost {
            change: change.clone(),
            part,
            path: attempt.intent.path.clone(),
            at: attempt.at,
            actor: actor.clone(),
            known: BTreeSet::new(),
        };
        candidates(&self.client, &lost).await
    }

    /// Leaves those that no other change is known to have made.
    async fn unclaimed(&self, ids: Vec<String>) -> Result<Vec<String>, Failure> {
        let ledger = self.ledger.clone().ok_or_else(no_journal)?;
        let journal = blocking(move || ledger.open_to_read()?.ok_or_else(no_journal)).await?;
        Claims::new(Arc::new(journal)).unclaimed(ids).await
    }

    // What is left

    /// Returns what of a run is not on the board yet, by what is on record.
    async fn left_over(&self, run: &Run) -> Result<ChangeSet, Failure> {
        let mut changes = Vec::new();
        let cleared = |it: &&Round| it.outcome == crate::journal::Judgement::Cleared;
        // Each round takes up what the one before it has left over.
        if let Some(round) = run.rounds.iter().rfind(cleared) {
            for (change, trail) in round.change_set.changes().iter().zip(&round.trails) {
                let mut change = with_ids(change, &real_ids(round))?;
                if trail.standing() == Standing::InDoubt {
                    return Err(told(
                        "in_doubt",
                        format!(
                            "it is not known whether the {} `{}` was made: look at the board",
                            change.entity(),
                            change.title()
                        ),
                    ));
                }
                if self.take_off(&mut change, trail).await.map_err(from_graph)? {
                    changes.push(change);
                }
            }
        }
        Ok(ChangeSet::in_order(changes))
    }

    /// Takes what was written off a change; returns whether anything is left of it.
    async fn take_off(&self, change: &mut Change, trail: &Trail) -> Result<bool, Error> {
        let written = |step: &str| {
            let mut of_step = trail.attempts.iter().filter(|it| it.intent.step.step == step);
            of_step.any(|it| it.outcome() == Some(Outcome::Applied))
        };
        if !trail.attempts.iter().any(|it| it.outcome() == Some(Outcome::Applied)) {
            return Ok(true);
        }
        Ok(match &mut change.write {
            Write::PlanDetails { .. } | Write::Bucket(_) => false,
            Write::Plan(edit) => match &mut **edit {
                // A roster alone goes by itself; then the plan is still to be made.
                Edit::Create { .. } if !written(ITSELF) => true,
                Edit::Create { after } => {
                    let mut left = after.new_members.clone();
                    left.retain(|it| !written(&format!("{MEMBERS}{it}")));
                    if after.group.is_some() || left.is_empty() {
                        return Ok(false);
                    }
                    let read = request::plan(&after.id);
                    let made = self.client.read::<Versioned<Plan>>(&read).await?;
                    let after = Plan { new_members: left, ..made.value.clone() };
                    **edit = Edit::Update { before: made.value, after, basis: made.etag };
                    true
                }
                Edit::Delete { .. } => false,
                Edit::Update { before, after, .. } => {
                    if written(ITSELF) {
                        before.title.clone_from(&after.title);
                    }
                    if written("archive") || written("unarchive") {
                        before.archival.clone_from(&after.archival);
                    }
                    after.new_members.retain(|it| !written(&format!("{MEMBERS}{it}")));
                    !before.differing(after).is_empty()
                }
            },
            Write::Task(edit) => {
                if let Edit::Create { after } = &**edit {
                    let made = self.as_update(after, &written).await?;
                    **edit = made;
                }
                let all = [Part::Itself, Part::Details].into_iter();
                let all = all.chain(Board::ALL.map(Part::Place));
                for part in all.filter(|it| written(&it.to_string())) {
                    take_off(change, &part);
                }
                let Write::Task(edit) = &change.write else { return Ok(false) };
                let Edit::Update { before, after, .. } = &**edit else { return Ok(false) };
                !before.differing(after).is_empty()
            }
        })
    }

    /// What is left of a new task once it is there: its details and places.
    async fn as_update(
        &self,
        wanted: &TaskState,
        written: &impl Fn(&str) -> bool,
    ) -> Result<Edit<TaskState, crate::change::TaskBasis>, Error> {
        let (client, id) = (&self.client, &wanted.task.id);
        let task = client.read::<Versioned<Task>>(&request::task(id)).await?;
        let details = client.read::<Versioned<TaskDetails>>(&request::task_details(id)).await?;
        let mut before =
            TaskState { task: task.value, details: Some(details.value), places: [].into() };
        let mut basis = crate::change::TaskBasis {
            task: task.etag,
            details: Some(details.etag),
            places: [].into(),
        };
        let mut after = before.clone();
        if !written("details") {
            let state = |details: Option<TaskDetails>| TaskState { details, ..before.clone() };
            let (none, ours) = (state(Some(TaskDetails::default())), state(wanted.details.clone()));
            after.graft(&none, &ours);
        }
        for (board, place) in &wanted.places {
            let read = request::board_place(id, *board);
            let now = client.read::<Versioned<BoardPlace>>(&read).await?;
            before.places.insert(*board, now.value.clone());
            basis.places.insert(*board, now.etag);
            let place = if written(board.format_name()) { now.value } else { place.clone() };
            after.places.insert(*board, place);
        }
        Ok(Edit::Update { before, after, basis })
    }
}

/// A task of which nothing is set but what it must have.
fn bare(state: &TaskState) -> TaskState {
    let task = &state.task;
    TaskState {
        task: Task::new(task.id.clone(), task.plan.clone(), task.title.clone()),
        details: Some(TaskDetails::default()),
        places: state.places.keys().map(|it| (*it, BoardPlace::default())).collect(),
    }
}

fn told(code: &str, message: String) -> Failure {
    Failure { code: code.to_owned(), message, ..Failure::default() }
}

fn from_graph(error: Error) -> Failure {
    Failure::from(crate::host::Error::from(error))
}
