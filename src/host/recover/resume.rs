//! Resuming a run that was cut off: by a crash, Ctrl-C, an expired token or a spent budget.
//!
//! Nothing happens here that does not happen in a run: the ledger is restored from the journal, the
//! apply machine finds out what became of each unanswered request (design.md 2.4), and the rest is
//! reviewed and carried out like any other set.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::change::apply::step::target;
use crate::change::apply::{Doubt, Ledger, Parent, Part, PartState, Resend, Target, left_of};
use crate::change::{Change, ChangeSet, Edit, EntityId, Op, Write};
use crate::graph::{Client, Error};
use crate::host::apply::probe::candidates as candidates_in;
use crate::host::apply::{PartNo, Unsettled};
use crate::host::failure::Failure;
use crate::host::record::{Claims, Origin, blocking, failure};
use crate::host::recover::undo::no_journal;
use crate::host::report::Status;
use crate::host::session::refresh::{is_there, read_targets};
use crate::host::start::{Finished, Host, Start};
use crate::journal::{
    Attempt, Judgement, Outcome, Purpose, Run, RunId, RunStatus, RunSummary, Settled, Standing,
};
use crate::model::ETag;
use crate::model::snapshot::Snapshot;

/// The longest wait for an answer: a lost one was given up by then at the latest.
const GIVEN_UP_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// The times by which a run is restored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// The present, by the clock of this machine.
    now: Timestamp,
    /// How far that clock is ahead of the service's.
    ahead: SignedDuration,
    /// The longest time that the answer to a request was waited for.
    longest_wait: SignedDuration,
}

/// A person's decisions about creates in doubt, which nobody else can settle.
#[derive(Debug, Clone, Default)]
pub struct Decisions {
    /// The ids of what was created, by the number of the change.
    pub made: BTreeMap<usize, String>,
    /// The changes that have created none of the entities that were shown to the person.
    pub not_made: BTreeSet<usize>,
}

/// A run as the journal has it, with the runs that carried it on.
pub(crate) struct Restored {
    /// The set that was last to be carried out.
    pub(crate) set: ChangeSet,
    /// The states of its parts.
    pub(crate) ledger: Ledger,
    /// The attempts that are in doubt.
    pub(crate) unsettled: BTreeMap<PartNo, Unsettled>,
    /// True if a process was cut off before it could record the end.
    pub(crate) cut_off: bool,
    /// True if its program would have gone on after a commit: with what, nobody knows.
    pub(crate) cut_short: bool,
    /// The changes that need something which is in doubt.
    pub(crate) withheld: Vec<Change>,
    /// The changes whose entity somebody else has deleted since it was created.
    pub(crate) gone: Vec<Change>,
}

impl Host {
    /// Returns the ids of the actor's runs on this service that were cut off before they were done,
    /// the oldest first: those that no process is working on and nobody has undone.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn unfinished(&self) -> Result<Vec<RunId>, Failure> {
        let Some(state_folder) = self.state_folder.clone() else { return Err(no_journal()) };
        if blocking({
            let state_folder = state_folder.clone();
            move || Ok(state_folder.open_to_read()?.is_none())
        })
        .await?
        {
            return Ok(Vec::new());
        }
        let all = self.runs().await?;
        let (mut open, mut me) = (Vec::new(), None);
        for root in all.iter().rev().filter(|run| run.purpose != Purpose::Resume) {
            let chain = chain_of(&root.id, &all);
            let last = chain.last().copied().unwrap_or(root);
            let began = chain.iter().any(|run| run.attempts > 0);
            if began && last.is_unfinished && self.undone(root.id.clone()).await?.is_none() {
                let start = self.recorded(root.id.as_str()).await?.start;
                // Asked for late: with nothing to carry on, the service need not be within reach.
                if me.is_none() {
                    me = Some(self.me().await?.id);
                }
                if me.as_ref() == Some(&start.actor) && start.service == self.service {
                    open.push(start.id);
                }
            }
        }
        blocking(move || {
            let locks = state_folder.locks()?;
            let mut free = Vec::new();
            for id in open {
                // Given back at once: it only shows that no living process is at work.
                if locks.try_lock_run(&id).map_err(|error| failure(&error))?.is_some() {
                    free.push(id);
                }
            }
            Ok(free)
        })
        .await
    }

    /// Carries on a run, given by its id, or the beginning or end of it. A person's decisions about its
    /// creates cover only what was shown to them: a request that is still under way may create an
    /// entity later.
    ///
    /// # Errors
    /// There is no such run, another process works on it, it was undone, it is another person's or
    /// on another service, or a decision does not fit it.
    pub async fn resume(
        &self,
        id: &str,
        decided: Decisions,
        mut start: Start,
    ) -> Result<Finished, Failure> {
        let mut root = self.recorded(id).await?;
        while let (Purpose::Resume, Some(parent)) = (root.start.purpose, root.start.parent.clone())
        {
            root = self.recorded(parent.as_str()).await?;
        }
        self.check_same_service(&root)?;
        let id = root.start.id.clone();
        let state_folder = self.state_folder.clone().ok_or_else(no_journal)?;
        let locks = state_folder.locks()?;
        // A process at work on the run holds this lock until its end, even if it dies.
        let Some(_at_work) = locks.try_lock_run(&id).map_err(|error| failure(&error))? else {
            return Err(told("at_work", format!("another process is at work on the run {id}")));
        };
        // Under the lock, which an undo takes as well, so that none can begin in between.
        if let Some(failure) = self.undone(id.clone()).await? {
            return Err(failure);
        }
        let me = self.me().await?;
        if me.id != root.start.actor {
            let whose = &root.start.upn;
            return Err(told("not_permitted", format!("the run is {whose}'s, not {}'s", me.upn)));
        }
        let mut chain = vec![root];
        for run in chain_of(&id, &self.runs().await?) {
            if run.id != id {
                chain.push(self.recorded(run.id.as_str()).await?);
            }
        }
        let now = self.clock.now();
        let ahead = now.duration_since(self.client.service_time(now));
        // Without a quarantine nothing comes late, so nothing is waited for either.
        let longest_wait =
            if self.quarantine.is_zero() { SignedDuration::ZERO } else { GIVEN_UP_AFTER };
        let mut restored = Restored::from_chain(&chain, Times { now, ahead, longest_wait });
        let is_beta = self.client.base().is_beta();
        if !is_beta && restored.set.changes().iter().any(Change::needs_beta) {
            return Err(Failure::from(crate::host::error::Error::NeedsBeta("this run")));
        }
        if !start.dry_run {
            let journal = blocking({
                let state_folder = state_folder.clone();
                move || state_folder.open()
            })
            .await?;
            let claims = Claims::new(journal.into());
            self.decide_creates(&mut restored, decided, &chain, &claims).await?;
        }
        let root = &chain[0].start;
        start.skill.clone_from(&root.skill);
        start.skill_digest.clone_from(&root.skill_digest);
        start.params.clone_from(&root.params);
        start.purpose = Purpose::Resume;
        let dry_run = start.dry_run;
        let cut_short = restored.cut_short;
        let origin = Origin { parent: Some(id.clone()), cut_short, ..Origin::default() };
        let finished = Box::pin(self.resume_restored(origin, start, restored)).await;
        if !dry_run {
            // A run that was killed could not record its own end.
            let cut_off: Vec<RunId> = chain
                .iter()
                .filter(|run| run.finish.is_none())
                .map(|run| run.start.id.clone())
                .collect();
            let report = serde_json::json!({ "resumed_by": finished.report.run_id });
            let now = self.clock.now();
            let nothing_left = finished.report.changes.is_empty()
                && matches!(finished.report.status, Status::Applied | Status::NoChanges);
            let by = finished.report.run_id.clone();
            blocking(move || {
                let journal = state_folder.open()?;
                // A run that could not even begin has carried nothing on.
                if cut_off.is_empty() || journal.run(&by).is_err() {
                    return Ok(());
                }
                cut_off.iter().try_for_each(|run| {
                    let status = if nothing_left { RunStatus::Applied } else { RunStatus::Partial };
                    journal.finish(run, now, status, &report).map_err(|error| failure(&error))
                })
            })
            .await?;
        }
        Ok(finished)
    }

    /// Applies the decisions of a person about creates in doubt.
    async fn decide_creates(
        &self,
        restored: &mut Restored,
        decided: Decisions,
        chain: &[Run],
        claims: &Claims,
    ) -> Result<(), Failure> {
        let made = decided.made.into_iter().map(|(n, id)| (n, Some(id)));
        let not_made = decided.not_made.into_iter().map(|n| (n, None));
        // All decisions are checked before any of them is recorded.
        let mut creates = BTreeMap::new();
        for (n, id) in made.chain(not_made) {
            let n = meant_by(chain, &restored.set, n);
            let key = (n, Part::Itself.to_string());
            let change = restored.set.change(n).cloned();
            let change = change.filter(|change| change.op() == Op::Create);
            let (Some(change), Some(of)) = (change, restored.unsettled.get(&key).cloned()) else {
                return Err(Failure {
                    code: "invalid".into(),
                    message: format!("change {n} is not a creation in doubt"),
                    hint: Some("`planwright runs show RUN` lists the changes of a run".into()),
                    ..Failure::default()
                });
            };
            if let Some(id) = &id {
                self.check_made(&restored.ledger.with_ids(&change), id).await?;
            }
            if creates.insert(n, (key, change, of, id)).is_some() {
                return Err(Failure {
                    code: "invalid".into(),
                    message: format!("change {n} is decided twice"),
                    hint: Some("give each change one `--made N=ID` or one `--not-made N`".into()),
                    ..Failure::default()
                });
            }
        }
        for (key, change, of, id) in creates.into_values() {
            let Some(id) = id else {
                if let Some(of) = restored.unsettled.get_mut(&key) {
                    // Only those: the request may still be under way, and create another
                    // (design.md 2.4).
                    let shown = chain.iter().flat_map(|run| candidates(run, &change));
                    of.ruled_out = Some(shown.collect());
                    of.undecided.clear();
                }
                continue;
            };
            let settled = Settled {
                step: of.step.clone(),
                attempt: of.attempt,
                outcome: Outcome::Applied,
                status: None,
                entity_id: Some(id.clone()),
                etag: None,
                service_request_id: None,
                message: Some("decided by a person".to_owned()),
            };
            // On record before it is used, so that a crash does not lose a person's decision.
            claims.settle(vec![(of.run, settled)], self.clock.now()).await?;
            restored.unsettled.remove(&key);
            restored.ledger.enter_id(change.id().to_string(), id);
            restored.ledger.enter(&change, &Part::Itself, PartState::Written);
        }
        Ok(())
    }

    /// Checks that an entity exists, and is of the kind and in the plan that a change creates.
    async fn check_made(&self, change: &Change, id: &str) -> Result<(), Failure> {
        let wrong = |what: String| Failure {
            code: "invalid".into(),
            message: format!("change {}: {what}", change.n),
            ..Failure::default()
        };
        let bad_id = |_| wrong(format!("`{id}` is not an id"));
        let target = match change.id() {
            EntityId::Plan(_) => Target::Plan(id.parse().map_err(bad_id)?),
            EntityId::Bucket(_) => Target::Bucket(id.parse().map_err(bad_id)?),
            EntityId::Task(_) => Target::Task(id.parse().map_err(bad_id)?),
            EntityId::PlanDetails(_) => return Err(wrong("it creates nothing".into())),
            EntityId::Comment(_) => return self.check_commented(change, id).await,
        };
        let there = read_targets(&self.client, vec![target]).await.map_err(from_graph)?;
        let entity = change.entity();
        let plan = there.plans_of_all().into_iter().next();
        match plan {
            None => Err(wrong(format!("there is no {entity} `{id}`"))),
            Some(plan) if entity != crate::change::Entity::Plan && plan != *change.plan() => {
                Err(wrong(format!("the {entity} `{id}` is in another plan")))
            }
            Some(_) => Ok(()),
        }
    }

    /// Checks that a comment is among those on the task of a change.
    async fn check_commented(&self, change: &Change, id: &str) -> Result<(), Failure> {
        let Write::Comment(edit) = &change.write else { return Ok(()) };
        let on = Parent::Comments(edit.known().task.clone());
        let there = candidates_in(&self.client, &on).await.map_err(from_graph)?;
        if there.iter().any(|comment| comment.id() == id) {
            return Ok(());
        }
        Err(Failure {
            code: "invalid".into(),
            message: format!("change {}: there is no comment `{id}` on the task", change.n),
            ..Failure::default()
        })
    }
}

impl Restored {
    /// Restores the ledger of a run from the journal, with those that carried it on.
    pub(crate) fn from_chain(chain: &[Run], times: Times) -> Self {
        let mut restored = Self {
            set: ChangeSet::default(),
            ledger: Ledger::default(),
            unsettled: BTreeMap::new(),
            cut_off: chain.iter().any(|run| run.finish.is_none()),
            cut_short: false,
            withheld: Vec::new(),
            gone: Vec::new(),
        };
        let Some(root) = chain.first() else { return restored };
        // Each redraft has replaced the set before it, so the last one that was cleared counts.
        let last = |run: &Run| run.rounds.iter().rfind(|round| round.outcome.is_clear()).cloned();
        if let Some(round) = last(root) {
            restored.set = round.change_set;
        }
        for run in chain {
            let is_done =
                run.finish.as_ref().is_some_and(|finish| finish.status == RunStatus::Applied);
            restored.cut_short |= !is_done
                && run.rounds.last().is_some_and(|round| round.outcome == Judgement::Segment);
            for round in run.rounds.iter().filter(|round| round.outcome.is_clear()) {
                for (change, trail) in round.change_set.changes().iter().zip(&round.trails) {
                    // A run that carries another on keeps the numbers of its changes.
                    let own = match run.start.purpose {
                        Purpose::Resume => restored.set.change(change.n).cloned(),
                        _ => Some(change.clone()),
                    };
                    let Some(own) = own else { continue };
                    for attempt in trail.last_attempts() {
                        restored.add(run, &own, attempt, times);
                    }
                }
            }
        }
        for ((n, _), of) in &mut restored.unsettled {
            // From the run on whose attempt is in doubt: what was shown earlier was of another one.
            let since = chain.iter().skip_while(|run| run.start.id != of.run);
            let change = restored.set.change(*n);
            let shown = |run| change.map(|change| candidates(run, change)).unwrap_or_default();
            of.undecided = since.flat_map(shown).collect();
        }
        restored
    }

    fn add(&mut self, run: &Run, change: &Change, attempt: &Attempt, times: Times) {
        let intent = &attempt.intent;
        let Some(part) = Part::parse(&intent.step.step) else { return };
        let ledger = &mut self.ledger;
        match attempt.outcome() {
            Some(Outcome::Applied) => {
                let id =
                    attempt.settled.iter().rev().find_map(|(_, settled)| settled.entity_id.clone());
                if let (Op::Create, Part::Itself, Some(id)) = (change.op(), &part, id) {
                    ledger.enter_id(change.id().to_string(), id);
                }
                ledger.enter(change, &part, PartState::Written);
            }
            Some(Outcome::Refused | Outcome::Conflict) => {
                // A refusal of a repeated attempt does not unmake what an earlier one has written.
                if ledger.state(change, &part) != Some(&PartState::Written) {
                    ledger.clear(change, &part);
                }
            }
            Some(Outcome::Unknown) | None => {
                // Given up when that was recorded, or else when the longest wait was over: the service
                // does not notice that the process which waits is dead.
                let given_up = attempt.settled.last().map(|(at, _)| *at);
                let at = given_up.unwrap_or(attempt.at + times.longest_wait);
                // A clock that was set back lengthens the quarantine by no more than that wait.
                let age = times.now.duration_since(at).max(-times.longest_wait);
                // Only its tag makes it safe to send a request again; a create has none.
                let resend = intent.if_match.is_some().then(|| Resend {
                    method: intent.method.clone(),
                    path: intent.path.clone(),
                    body: intent.body.clone(),
                });
                let tag = intent.if_match.clone().map(ETag::new);
                let doubt = Doubt { resend, tag, age };
                ledger.enter(change, &part, PartState::InDoubt(Box::new(doubt)));
                let of = Unsettled {
                    run: run.start.id.clone(),
                    step: intent.step.clone(),
                    attempt: intent.attempt,
                    // By the service's clock, since the age of candidates is compared with it.
                    since: attempt.at.checked_sub(times.ahead).unwrap_or(attempt.at),
                    ruled_out: None,
                    undecided: BTreeSet::new(),
                };
                self.unsettled.insert((change.n, intent.step.step.clone()), of);
            }
        }
    }

    /// Returns the rest of the set, rebased on the present board, without the changes in doubt and
    /// those that depend on them. Each change keeps its number.
    pub(crate) async fn left(&mut self, client: &Client) -> Result<ChangeSet, Error> {
        let targets = self.incomplete();
        let mut now = read_targets(client, targets.clone()).await?;
        // A new entity is not known everywhere at once (planner-api.md trap 14).
        for wait in [100, 300, 900, 2700].map(Duration::from_millis) {
            if targets.iter().all(|target| is_there(&now, target)) {
                break;
            }
            tokio::time::sleep(wait).await;
            now = read_targets(client, targets.clone()).await?;
        }
        Ok(self.left_on(&now))
    }

    /// Returns the objects to read in order to complete entities that were created in part.
    fn incomplete(&self) -> Vec<Target> {
        let mut targets = Vec::new();
        for change in self.set.changes() {
            if change.op() != Op::Create || !self.ledger.has(&change.id(), &Part::Itself) {
                continue;
            }
            let change = self.ledger.with_ids(change);
            let parts = [Part::Itself, Part::Details];
            targets.extend(parts.iter().filter_map(|part| target(&change, part)));
            if let Write::Task(edit) = &change.write {
                let boards = edit.known().places.keys();
                targets.extend(boards.filter_map(|board| target(&change, &Part::Place(*board))));
            }
        }
        targets
    }

    /// Returns the rest of the set on a board that holds everything incomplete.
    fn left_on(&mut self, now: &Snapshot) -> ChangeSet {
        // An entity whose create is in doubt may not exist; then what depends on it cannot be
        // written.
        let creates = self.in_doubt().filter(|change| change.op() == Op::Create);
        let mut unknown: BTreeSet<String> = creates.map(|change| change.id().to_string()).collect();
        let doubts: BTreeSet<usize> = self.in_doubt().map(|change| change.n).collect();
        let mut left = Vec::new();
        for change in self.set.changes() {
            let mut with_ids = self.ledger.with_ids(change);
            self.follow_move(&mut with_ids);
            // As text, because a description may mention a new entity, not only a field with an id.
            let text = serde_json::to_string(&with_ids).unwrap_or_default();
            let needs_unknown = unknown.iter().any(|id| text.contains(id.as_str()));
            if needs_unknown || doubts.contains(&change.n) {
                if change.op() == Op::Create {
                    // Its own creation is missing in turn for the changes after it.
                    unknown.insert(change.id().to_string());
                }
                if !doubts.contains(&change.n) {
                    self.withheld.push(change.clone());
                }
                continue;
            }
            let written = |part: &Part| self.ledger.has(&change.id(), part);
            match left_of(&with_ids, written, now) {
                Some(rest) => left.push(rest),
                None if self.ledger.leaves(change) => self.gone.push(with_ids),
                None => {}
            }
        }
        ChangeSet::in_this_order(left)
    }

    /// Has a comment rest on the plan to which the run itself has moved its task.
    fn follow_move(&self, change: &mut Change) {
        let Write::Comment(Edit::Create { after: comment }) = &mut change.write else { return };
        let id = EntityId::Task(comment.task.clone());
        if !self.ledger.has(&id, &Part::Itself) {
            return;
        }
        let written = self.set.changes().iter().find(|change| change.id() == id);
        if let Some(Write::Task(edit)) = written.map(|change| &change.write)
            && let Some(after) = edit.after()
        {
            comment.plan.clone_from(&after.task.plan);
        }
    }

    /// Returns the changes of which a part is in doubt.
    pub(crate) fn in_doubt(&self) -> impl Iterator<Item = &Change> {
        self.set.changes().iter().filter(|change| {
            let parts = crate::change::apply::step::parts(change);
            parts.iter().any(|(part, _)| {
                matches!(
                    self.ledger.state(change, part),
                    Some(PartState::InDoubt(_) | PartState::Parked(_))
                )
            })
        })
    }

    /// Returns the ids of the candidates for a parked create.
    pub(crate) fn candidates(&self, change: &Change) -> Vec<String> {
        match self.ledger.state(change, &Part::Itself) {
            Some(PartState::Parked(ids)) => ids.clone(),
            _ => Vec::new(),
        }
    }
}

/// Returns the ids of the candidates for a parked create, as the run's report has them. It goes by the
/// id of the change: its number in the report counts the segments before its own as well.
#[must_use]
pub fn candidates(run: &Run, change: &Change) -> Vec<String> {
    let id = change.id().to_string();
    reported(run).find(|shown| shown["id"] == id).map(may_be).unwrap_or_default()
}

/// Returns the changes of a run's report.
fn reported(run: &Run) -> impl Iterator<Item = &Value> {
    let changes = run.finish.as_ref().and_then(|finish| finish.report["changes"].as_array());
    changes.into_iter().flatten()
}

/// Returns the ids of what a reported change may have made.
fn may_be(shown: &Value) -> Vec<String> {
    let ids = shown["candidates"].as_array().into_iter().flatten();
    ids.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Returns the number, in the set that is carried on, of the change that a person means by a number: that
/// of the last report in which something is asked about it.
fn meant_by(chain: &[Run], set: &ChangeSet, n: usize) -> usize {
    let asked = |run: &Run| {
        let shown = reported(run).find(|shown| shown["n"] == n && !may_be(shown).is_empty())?;
        let change = set.changes().iter().find(|change| shown["id"] == change.id().to_string())?;
        Some(change.n)
    };
    chain.iter().rev().find_map(asked).unwrap_or(n)
}

/// Returns a run and those that carried it on, in the order in which they began.
pub(crate) fn chain_of<'a>(root: &RunId, all: &'a [RunSummary]) -> Vec<&'a RunSummary> {
    let mut ids: BTreeSet<&RunId> = BTreeSet::new();
    let mut chain = Vec::new();
    for run in all.iter().rev() {
        let carries_on = run.purpose == Purpose::Resume
            && run.parent.as_ref().is_some_and(|parent| ids.contains(parent));
        if run.id == *root || carries_on {
            ids.insert(&run.id);
            chain.push(run);
        }
    }
    chain
}

/// Returns whether any part of a run is in doubt.
pub(crate) fn leaves_doubt(run: &Run) -> bool {
    let mut trails = run.rounds.iter().flat_map(|round| &round.trails);
    trails.any(|trail| trail.standing() == Standing::InDoubt)
}

fn told(code: &str, message: String) -> Failure {
    Failure { code: code.to_owned(), message, ..Failure::default() }
}

fn from_graph(error: Error) -> Failure {
    Failure::from(crate::host::error::Error::from(error))
}
