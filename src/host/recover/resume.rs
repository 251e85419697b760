//! Carrying on a run that was cut off: first finding out what became of each write whose answer
//! is not on record (design.md 2.4), then applying what is left.
//!
//! A conditional write is sent again with the same tag, so that the service decides. A create is
//! looked for; where it is not found, it counts as not made only after a while.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::change::apply::compare::compare;
use crate::change::apply::step::{parts, target};
use crate::change::apply::{PROBES, Part, take_off};
use crate::change::{Change, ChangeSet, Edit, Fields as _, Op, TaskBasis, TaskState, Write};
use crate::graph::Error;
use crate::host::apply::probe::{Lost, candidates};
use crate::host::apply::request::{read_of, seen};
use crate::host::recover::history::{may_have_written, no_journal, with_ids};
use crate::host::recover::record::{Claims, Origin, blocking, failure, real_ids};
use crate::host::{Failure, Finished, Host, Start};
use crate::journal::{
    Attempt, Judgement, Outcome, Purpose, Run, RunId, RunStatus, RunSummary, Settled, Standing,
    Trail,
};
use crate::model::{BoardPlace, ETag, Plan, Task, TaskDetails, UserId, Versioned};
use crate::wire::entity::Any;
use crate::wire::{Request, request};

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
        let (mut cut_off, mut cut_short) = (Vec::new(), false);
        loop {
            let id = run.start.id.clone();
            // What its program would have wanted after a commit, nobody knows.
            cut_short |= run.rounds.last().is_some_and(|it| it.outcome == Judgement::Segment)
                && run.finish.as_ref().is_none_or(|it| it.status != RunStatus::Applied);
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
        let origin = Origin { parent: Some(id.clone()), takes_up: None, cut_short };
        let done = set.is_empty() && !cut_short;
        let finished = self.apply_set(origin, start, set, None).await;
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
        let part = Part::parse(step);
        let Some((part, target)) = part.and_then(|it| Some((it.clone(), target(change, &it)?)))
        else {
            return Ok(false);
        };
        let Any(value) = match self.client.read(&read_of(&target)).await {
            Err(error) if error.is_not_found() => return Ok(false),
            other => other?,
        };
        Ok(compare(change, &part, None, &seen(&self.client, &target, value)?).holds)
    }

    /// Looks for what a create may have made; where it is not found, again and again until it
    /// would have shown.
    async fn created(
        &self,
        change: &Change,
        attempt: &Attempt,
        actor: &UserId,
    ) -> Result<(Outcome, Option<String>), Failure> {
        let mut probes = PROBES.iter();
        loop {
            let found = self.candidates(change, attempt, actor).await?;
            match found.as_slice() {
                [one] => return Ok((Outcome::Applied, Some(one.clone()))),
                [] => {}
                // Which of them is ours is for a person to say.
                _ => return Ok((Outcome::Unknown, None)),
            }
            let age = self.clock.now().duration_since(attempt.at);
            let age = Duration::try_from(age).unwrap_or_default();
            if age >= self.quarantine {
                return Ok((Outcome::Refused, None));
            }
            let next = probes.find(|it| **it > age).copied().unwrap_or(self.quarantine);
            let wait = next.min(self.quarantine) - age;
            tokio::select! {
                () = self.interrupt.wait() => return Ok((Outcome::Unknown, None)),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// What may be it: what no other change is known to have made.
    async fn candidates(
        &self,
        change: &Change,
        attempt: &Attempt,
        actor: &UserId,
    ) -> Result<Vec<String>, Failure> {
        let part = Part::parse(&attempt.intent.step.step).unwrap_or(Part::Itself);
        let lost = Lost {
            change: change.clone(),
            part,
            path: attempt.intent.path.clone(),
            at: attempt.at,
            actor: actor.clone(),
            known: BTreeSet::new(),
        };
        let found = candidates(&self.client, &lost).await.map_err(from_graph)?;
        // The same person may be added by many; what is created is made by one.
        if matches!(lost.part, Part::Member(_)) {
            return Ok(found);
        }
        let ledger = self.ledger.clone().ok_or_else(no_journal)?;
        let journal = blocking(move || ledger.open_to_read()?.ok_or_else(no_journal)).await?;
        Claims::new(Arc::new(journal)).unclaimed(found).await
    }

    // What is left

    /// Returns what of a run is not on the board yet, by what is on record.
    async fn left_over(&self, run: &Run) -> Result<ChangeSet, Failure> {
        let mut changes = Vec::new();
        // Each round takes up what the one before it has left over.
        if let Some(round) = run.rounds.iter().rfind(|it| it.outcome.is_clear()) {
            let ids = real_ids(round);
            for (change, trail) in round.change_set.changes().iter().zip(&round.trails) {
                let mut change = with_ids(change, &ids)?;
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
        let written = |part: &Part| trail.has_written(&part.to_string());
        if change.op() == Op::Create && written(&Part::Itself) {
            let Some(write) = self.as_update(change, &written).await? else { return Ok(false) };
            change.write = write;
            return Ok(!parts(change).is_empty());
        }
        // A roster alone goes by itself; then the plan is still to be made.
        let mut left = false;
        for (part, _) in parts(change) {
            if written(&part) {
                take_off(change, &part);
            } else {
                left = true;
            }
        }
        Ok(left)
    }

    /// What is left of something new once it is there: the details and places of a task, the
    /// members of a roster's plan.
    async fn as_update(
        &self,
        change: &Change,
        written: &impl Fn(&Part) -> bool,
    ) -> Result<Option<Write>, Error> {
        Ok(match &change.write {
            Write::Plan(edit) => match &**edit {
                Edit::Create { after } if after.group.is_none() => {
                    let read = request::plan(&after.id);
                    let made = self.client.read::<Versioned<Plan>>(&read).await?;
                    let mut wanted = made.value.clone();
                    wanted.new_members.clone_from(&after.new_members);
                    wanted.new_members.retain(|it| !written(&Part::Member(it.clone())));
                    let (before, basis) = (made.value, made.etag);
                    Some(Write::Plan(Box::new(Edit::Update { before, after: wanted, basis })))
                }
                _ => None,
            },
            Write::Task(edit) => match &**edit {
                Edit::Create { after } => {
                    Some(Write::Task(Box::new(self.task_as_update(after, written).await?)))
                }
                _ => None,
            },
            Write::PlanDetails { .. } | Write::Bucket(_) => None,
        })
    }

    async fn task_as_update(
        &self,
        wanted: &TaskState,
        written: &impl Fn(&Part) -> bool,
    ) -> Result<Edit<TaskState, TaskBasis>, Error> {
        let (client, id) = (&self.client, &wanted.task.id);
        let task = client.read::<Versioned<Task>>(&request::task(id)).await?;
        let details = client.read::<Versioned<TaskDetails>>(&request::task_details(id)).await?;
        let mut before =
            TaskState { task: task.value, details: Some(details.value), places: [].into() };
        let mut basis =
            TaskBasis { task: task.etag, details: Some(details.etag), places: [].into() };
        let mut after = before.clone();
        if !written(&Part::Details) {
            let state = |details: Option<TaskDetails>| TaskState { details, ..before.clone() };
            let (none, ours) = (state(Some(TaskDetails::default())), state(wanted.details.clone()));
            after.graft(&none, &ours);
        }
        for (board, place) in &wanted.places {
            let read = request::board_place(id, *board);
            let now = client.read::<Versioned<BoardPlace>>(&read).await?;
            before.places.insert(*board, now.value.clone());
            basis.places.insert(*board, now.etag);
            let is_written = written(&Part::Place(*board));
            after.places.insert(*board, if is_written { now.value } else { place.clone() });
        }
        Ok(Edit::Update { before, after, basis })
    }
}

fn told(code: &str, message: String) -> Failure {
    Failure { code: code.to_owned(), message, ..Failure::default() }
}

fn from_graph(error: Error) -> Failure {
    Failure::from(crate::host::Error::from(error))
}
