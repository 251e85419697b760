//! The rounds of carrying out a cleared set: validate, write, and where someone else has moved
//! something in between, redraft and judge again before anything more is sent (design.md 2.3).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::change::apply::{End, Ledger, Machine, Part, Rules, Seen, rebase};
use crate::change::{Change, ChangeSet, Edit, EntityId, FieldConflict, Op, Write};
use crate::graph::spread;
use crate::host::apply::outcome::ChangeStatus;
use crate::host::apply::outcome::Outcome;
use crate::host::apply::{Driven, Driver, VALID_FOR, drive};
use crate::host::failure::Failure;
use crate::host::failure::interrupted;
use crate::host::progress::RunProgress;
use crate::host::record::Record;
use crate::host::report::Status;
use crate::host::run::Run;
use crate::host::run::validate::Validation;
use crate::host::start::Program;
use crate::journal::kept::KeptState;
use crate::journal::{Guard, Judgement, Lockable};
use crate::model::snapshot::Snapshot;
use crate::model::{Task, TaskId, Versioned};
use crate::policy::Cleared;

/// The times that one entity may move before it counts as a conflict.
pub(super) const MAX_REPLAYS: u32 = 8;
/// The age up to which a read may be written on without a further validation.
const MOMENT: Duration = Duration::from_secs(1);
/// The longest pause before a replay, to let others pass; doubled each time.
const PAUSE: Duration = Duration::from_millis(20);

/// The outcome of a set so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// The state of each part.
    pub(super) ledger: Ledger,
    /// The outcomes of the changes that were tried last, by their entities.
    pub(super) outcomes: BTreeMap<EntityId, Outcome>,
    /// The number of times that each was found moved.
    moves: BTreeMap<String, u32>,
    /// The number of times it was redrafted or judged again since something was written.
    pub(super) redrafts: u32,
    pub(super) conflicts: u64,
    pub(super) retries: u64,
    pub(super) replays: u64,
    /// True if anything was sent at all.
    pub(super) began: bool,
    /// The reason that nothing more was sent.
    pub(super) broken: Option<Failure>,
    /// The round of the journal that carries it out, with the digest of its set.
    round: Option<(u32, String)>,
}

/// The continuation of a round.
pub(super) enum Next {
    /// The set, as it is cleared now.
    Continue(Box<Cleared>),
    /// The end; the report has the outcome.
    Done,
}

/// A change whose entity has moved during a round.
struct MovedChange {
    change: Change,
    part: Part,
    seen: Option<Box<Seen>>,
}

impl Tally {
    pub(super) fn knowing(made: BTreeMap<String, String>) -> Self {
        Self { ledger: Ledger::knowing(made), ..Self::default() }
    }

    pub(super) fn outcome(&self, change: &Change) -> Option<Outcome> {
        let id = change.id();
        let mut outcome = match self.outcomes.get(&id) {
            Some(outcome) => outcome.clone(),
            None if self.began => Outcome::new(ChangeStatus::Skipped),
            None => return None,
        };
        outcome.attempts = self.ledger.attempts(&id);
        // An earlier round may have written a part of what the last one could not.
        outcome.wrote |= self.ledger.has_written(&id);
        Some(outcome)
    }

    /// Counts that something has moved; returns whether that was too often.
    pub(super) fn moved(&mut self, key: String) -> bool {
        let times = self.moves.entry(key).or_insert(0);
        *times += 1;
        *times > MAX_REPLAYS
    }

    fn take(&mut self, set: &ChangeSet, driven: &Driven) {
        let (retries, conflicts) = driven.machine.counts();
        self.retries += retries;
        self.conflicts += conflicts;
        self.began = true;
        self.ledger = driven.machine.ledger().clone();
        for (n, outcome) in driven.outcomes() {
            if let Some(change) = set.change(n) {
                // By its entity, since a redraft gives its changes new numbers.
                self.outcomes.insert(change.id(), outcome);
            }
        }
        if let Some(failure) = &driven.broken {
            self.broken.get_or_insert_with(|| failure.clone());
        }
    }
}

/// Returns the locks that a set needs while it is carried out: the plans it touches, and for a new
/// plan its group, so that two runs which find no plan of that title do not create two.
pub(super) fn locks_of(set: &ChangeSet) -> BTreeSet<Lockable> {
    let plans = set.changes().iter().flat_map(|change| [Some(change.plan()), change.moves_to()]);
    let plans = plans.flatten().filter(|id| !id.is_provisional()).cloned().map(Lockable::Plan);
    let containers = set.changes().iter().filter_map(|change| match &change.write {
        Write::Plan(edit) => match &**edit {
            Edit::Create { after } => Some(Lockable::Container(after.group.clone())),
            _ => None,
        },
        _ => None,
    });
    plans.chain(containers).collect()
}

impl Run<'_> {
    /// Carries out a set; with a program, what has moved in between is drafted again.
    pub(super) async fn carry_out(
        &mut self,
        mut cleared: Box<Cleared>,
        program: Option<&Arc<dyn Program>>,
    ) {
        // This segment may mention what earlier ones have created.
        let mut tally = Tally::knowing(self.made.clone());
        let (mut guards, mut locked): (Vec<Guard>, BTreeSet<Lockable>) = Default::default();
        let (mut validated, mut slow): (Option<Instant>, u32) = (None, 0);
        loop {
            let locks = locks_of(cleared.set());
            if !locks.is_subset(&locked) {
                // All locks are taken in one order, or two runs could wait for each other: so the
                // held ones are released first.
                drop(std::mem::take(&mut guards));
                match self.lock(&locks).await {
                    Ok(Some(held)) => (guards, locked) = (held, locks),
                    Ok(None) => return self.conclude(&tally, Some(interrupted())),
                    Err(failure) => return self.conclude(&tally, Some(failure)),
                }
                // Whoever held the locks until now may have written what this set rests on.
                validated = None;
            }
            if self.host.interrupt.is_set() {
                return self.conclude(&tally, Some(interrupted()));
            }
            // A change that is written cannot be written otherwise: that is the end, not a further round.
            let diverging = tally.ledger.diverging(cleared.set());
            if !diverging.is_empty() {
                return self.report_divergence(&mut tally, &diverging);
            }
            if !cleared.set().changes().iter().any(|change| tally.ledger.leaves(change)) {
                return self.conclude(&tally, None);
            }
            // A deletion is validated right before it: its before-image must be the state that is
            // deleted.
            let is_left = |change: &Change| tally.ledger.leaves(change);
            let deletes = cleared
                .set()
                .changes()
                .iter()
                .any(|change| change.op() == Op::Delete && is_left(change));
            let outdated = self.session.state().snapshot.has_outdated();
            if deletes || outdated || validated.is_none_or(|at| at.elapsed() > VALID_FOR) {
                let at = Instant::now();
                let validation = self.validate(&mut tally, &mut cleared, program).await;
                match validation {
                    Validation::Unchanged => validated = Some(at),
                    Validation::Ended => return,
                    Validation::Redrafted(set) => {
                        // A fresh redraft rests on what was read a moment ago. If it took long it
                        // is validated again, but not for ever.
                        let is_fresh = at.elapsed() <= MOMENT;
                        slow += u32::from(!is_fresh);
                        if slow > MAX_REPLAYS {
                            return self.conclude(&tally, Some(too_slow()));
                        }
                        validated = is_fresh.then_some(at);
                        cleared = set;
                        tally.redrafts += 1;
                        self.pause(tally.redrafts.saturating_sub(1)).await;
                        continue;
                    }
                }
            }
            self.note_same_names(&mut cleared);
            let driven = match self.write(&cleared, &mut tally).await {
                Ok(driven) => driven,
                Err(failure) => return self.conclude(&tally, Some(failure)),
            };
            // It paused because its validation had become too old.
            if driven.machine.is_paused() {
                validated = None;
            }
            match self.after(&mut tally, &cleared, &driven, program).await {
                Next::Done => return,
                Next::Continue(set) => cleared = set,
            }
        }
    }

    /// Waits until no other run of this host works on the same plans.
    pub(super) async fn lock(
        &self,
        locks: &BTreeSet<Lockable>,
    ) -> Result<Option<Vec<Guard>>, Failure> {
        match &self.record {
            None => Ok(Some(Vec::new())),
            Some(record) => record.lock(locks, &self.host.interrupt).await,
        }
    }

    // Write

    async fn write(&mut self, cleared: &Cleared, tally: &mut Tally) -> Result<Driven, Failure> {
        let host = self.host;
        let digest = cleared.set().digest();
        if tally.round.as_ref().is_none_or(|(_, of)| *of != digest)
            && let Some(record) = &self.record
        {
            // A set that goes on unchanged is on record already, and is not written down twice.
            let clear = if self.committing { Judgement::Segment } else { Judgement::Cleared };
            tally.round = Some((record.judged(cleared.set().clone(), clear).await?, digest));
            tally.ledger.begin_round();
        }
        let round = tally.round.as_ref().map(|(round, _)| *round);
        let driver = Driver {
            client: &host.client,
            clock: &*host.clock,
            now: self.session.facts().now,
            actor: &self.session.facts().me.id,
            record: self.record.as_ref().zip(round),
            claims: self.record.as_ref().map(Record::claims),
            settles: None,
            stop: &host.interrupt,
            watch: &host.watch,
        };
        let rules = Rules { learned: self.learned, ..rules_of(host) };
        let machine = Machine::new(cleared.set().changes(), tally.ledger.clone(), rules);
        let driven = drive(&driver, machine).await;
        self.learned = driven.machine.learned();
        tally.take(cleared.set(), &driven);
        tally.redrafts = 0;
        Ok(driven)
    }

    /// Notes which entities already have the name of a new one, so that none of them is taken for
    /// it if an answer is lost.
    fn note_same_names(&self, cleared: &mut Cleared) {
        let is_new = |change: &Change| change.op() == Op::Create && change.same_name.is_empty();
        if !cleared.set().changes().iter().any(is_new) {
            return;
        }
        let mut changes = cleared.set().changes().to_vec();
        let state = self.session.state();
        for change in changes.iter_mut().filter(|change| change.op() == Op::Create) {
            change.same_name = same_named(change, &state.snapshot);
        }
        cleared.advance(ChangeSet::in_this_order(changes));
    }

    /// Decides how to go on after a round.
    async fn after(
        &mut self,
        tally: &mut Tally,
        cleared: &Cleared,
        driven: &Driven,
        program: Option<&Arc<dyn Program>>,
    ) -> Next {
        let bad = |end: &End| {
            matches!(
                end,
                End::Failed | End::Unknown | End::Parked(_) | End::Clash(_) | End::Mentions(_)
            )
        };
        let failed = driven.machine.ends().any(|(_, end)| bad(end));
        let stopped = self.host.interrupt.is_set();
        let moved: Vec<MovedChange> = driven
            .machine
            .ends()
            .filter_map(|(no, end)| match end {
                End::Moved(seen) => {
                    let (n, part) = driven.machine.step(no);
                    let change = cleared.set().change(n)?.clone();
                    Some(MovedChange { change, part: part.clone(), seen: seen.clone() })
                }
                _ => None,
            })
            .collect();
        if moved.is_empty()
            && driven.machine.is_paused()
            && !failed
            && !stopped
            && driven.broken.is_none()
        {
            return Next::Continue(Box::new(cleared.clone()));
        }
        if moved.is_empty() {
            self.conclude(tally, None);
            return Next::Done;
        }
        let (rebased, conflicts, too_often) = Self::rebase(tally, cleared.set(), &moved);
        // A deletion that did not read what moved would only be decided the same again.
        let may_replay = |(change, fields): &(Change, Vec<FieldConflict>)| {
            change.op() != Op::Delete
                || fields.iter().any(|conflict| change.reads.contains(&conflict.field))
        };
        let program = program.filter(|_| conflicts.iter().all(may_replay));
        let over = failed || stopped || too_often || driven.broken.is_some();
        if over || (program.is_none() && !conflicts.is_empty()) {
            for (change, fields) in conflicts {
                tally.outcomes.insert(change.id(), Outcome::conflict(fields));
            }
            self.conclude(tally, None);
            return Next::Done;
        }
        // Runs that collide wait for random times, or they would collide again.
        let times = moved.iter().filter_map(|one| tally.moves.get(&key(&one.change.id()))).max();
        self.pause(times.copied().unwrap_or(1)).await;
        self.session
            .adopt_parts(moved.iter().map(|one| (&one.change, &one.part, one.seen.as_deref())));
        match program {
            Some(program) if !conflicts.is_empty() => self.replay(tally, program, &conflicts).await,
            _ => {
                self.session.rest_on(&rebased);
                self.review_again(tally).await
            }
        }
    }

    /// Rebases what has moved on the present state, as far as nothing that counts has moved.
    fn rebase(
        tally: &mut Tally,
        set: &ChangeSet,
        moved: &[MovedChange],
    ) -> (ChangeSet, Vec<(Change, Vec<FieldConflict>)>, bool) {
        let mut changes = set.changes().to_vec();
        let (mut conflicts, mut too_often) = (Vec::new(), false);
        for one in moved {
            too_often |= tally.moved(key(&one.change.id()));
            let change = changes.iter_mut().find(|change| change.n == one.change.n);
            let result = match (&one.seen, change) {
                (Some(seen), Some(change)) => rebase(change, &one.part, seen),
                _ => Err(Vec::new()),
            };
            if let Err(fields) = result {
                conflicts.push((one.change.clone(), fields));
            } else if too_often {
                conflicts.push((one.change.clone(), Vec::new()));
            }
        }
        (ChangeSet::in_this_order(changes), conflicts, too_often)
    }

    async fn pause(&self, times: u32) {
        let most = PAUSE * 2u32.saturating_pow(times.min(MAX_REPLAYS));
        tokio::select! {
            () = tokio::time::sleep(most.mul_f64(spread())) => {}
            () = self.host.interrupt.wait() => {}
        }
    }

    /// Redrafts: runs the program again, on the present board.
    pub(super) async fn replay(
        &mut self,
        tally: &mut Tally,
        program: &Arc<dyn Program>,
        conflicts: &[(Change, Vec<FieldConflict>)],
    ) -> Next {
        tally.replays += 1;
        self.host.watch.tell(RunProgress::Replaying { times: tally.replays });
        let before = self.change_set();
        // From the start, with the same ids and random numbers, so that what is written comes out
        // the same.
        self.session.begin_again();
        let drafted = self.draft(program).await;
        self.drafted_on = self.session.reads();
        let set = self.change_set();
        let failed = drafted.err();
        let diverging = match &failed {
            Some(_) => Vec::new(),
            None => tally.ledger.diverging(&set),
        };
        if failed.is_some() || !diverging.is_empty() {
            // The report keeps showing the set of which something may be on the board.
            self.session.rest_on(&before);
            for (change, fields) in conflicts {
                tally.outcomes.insert(change.id(), Outcome::conflict(fields.clone()));
            }
            match failed {
                Some(failure) if conflicts.is_empty() => self.conclude(tally, Some(failure)),
                Some(failure) => {
                    let text = format!(
                        "run again after a conflict, the program failed: {}",
                        failure.message
                    );
                    self.report.warnings.push(text);
                    self.conclude(tally, None);
                }
                None => self.report_divergence(tally, &diverging),
            }
            return Next::Done;
        }
        if set.is_empty() {
            self.show(&set, None);
            if tally.ledger.is_blank() {
                self.report.status = Status::NoChanges;
                self.judged(&set, Judgement::NoChanges).await;
                self.count(tally);
            } else {
                self.conclude(tally, None);
            }
            return Next::Done;
        }
        self.review_again(tally).await
    }

    /// Reports that a replay drafts something else where something was written already.
    fn report_divergence(&mut self, tally: &mut Tally, entities: &[EntityId]) {
        let names: Vec<String> = entities.iter().map(ToString::to_string).collect();
        self.report.warnings.push(format!(
            "run again after a conflict, the program would change what it has already written: {}",
            names.join(", ")
        ));
        let left: Vec<EntityId> = tally
            .outcomes
            .iter()
            .filter(|(_, outcome)| outcome.status == ChangeStatus::Conflict)
            .map(|(id, _)| id.clone())
            .collect();
        // With no conflict in it, the report could read as if the run were applied.
        if left.is_empty()
            && let Some(id) = entities.first()
        {
            let outcome = Outcome::conflict(Vec::new());
            tally.outcomes.insert(id.clone(), Outcome { wrote: true, ..outcome });
        }
        self.conclude(tally, None);
    }

    /// Has the whole set judged again.
    pub(super) async fn review_again(&mut self, tally: &mut Tally) -> Next {
        let reviewed = self.review(self.change_set()).await;
        if self.host.interrupt.is_set() {
            self.conclude(tally, Some(interrupted()));
            return Next::Done;
        }
        self.show_reviewed(&reviewed);
        if let Some(cleared) = reviewed.clear() {
            return Next::Continue(Box::new(cleared));
        }
        let (status, judgement) = match self.decide(&reviewed) {
            Ok((cleared, decision)) => match self.approved(decision, reviewed.set()).await {
                Ok(()) => return Next::Continue(Box::new(cleared)),
                Err(failure) => {
                    self.conclude(tally, Some(failure));
                    return Next::Done;
                }
            },
            Err(end) => end,
        };
        self.judged(reviewed.set(), judgement).await;
        if tally.ledger.is_blank() {
            self.report.status = status;
            if judgement == Judgement::Held {
                let saved = self.to_save(reviewed.set());
                self.keep(&saved, KeptState::Pending).await;
            }
            self.count(tally);
        } else {
            self.conclude(tally, None);
            // Last, since `conclude` knows nothing of the refusal.
            self.report.status = Status::Partial;
        }
        Next::Done
    }
}

/// Returns the rules of carrying out a set on this host.
pub(super) fn rules_of(host: &crate::host::start::Host) -> Rules {
    Rules {
        quarantine: host.quarantine,
        writes_per_second: host.writes_per_second,
        learned: None,
        spread: spread(),
    }
}

fn too_slow() -> Failure {
    Failure {
        code: "conflict".into(),
        message: "the board changes faster than it can be read".into(),
        hint: Some("run it again when fewer people are working on it".into()),
        ..Failure::default()
    }
}

/// Returns the ids of existing entities with the name of a new one, where it is to be created.
fn same_named(change: &Change, snapshot: &Snapshot) -> BTreeSet<String> {
    let (plan, title) = (change.plan(), change.title());
    match &change.write {
        Write::Task(_) => {
            let here =
                |task: &Versioned<Task>| task.value.plan == *plan && task.value.title == title;
            let titled = |id: &&TaskId| snapshot.task(id).is_some_and(here);
            // Only listed tasks are in the index of titles; others were read one by one.
            if snapshot.tasks_of(plan).is_some() {
                let all = snapshot.tasks_titled(plan, title).iter().filter(titled);
                return all.map(ToString::to_string).collect();
            }
            let all = snapshot.tasks().filter(|task| here(task));
            all.map(|task| task.value.id.to_string()).collect()
        }
        Write::Bucket(_) => {
            let all = snapshot.buckets().map(|bucket| &bucket.value);
            let here = all.filter(|bucket| bucket.plan == *plan && bucket.name == title);
            here.map(|bucket| bucket.id.to_string()).collect()
        }
        Write::Plan(_) => {
            let all = snapshot.all_plans().unwrap_or_default().iter();
            let all = all.filter_map(|id| snapshot.plan(id)).map(|plan| &plan.value);
            all.filter(|plan| plan.title == title).map(|plan| plan.id.to_string()).collect()
        }
        Write::Comment(edit) => {
            let new = edit.known();
            let all = snapshot.comments_on(&new.task).unwrap_or_default().iter();
            all.filter(|comment| comment.says(&new.text))
                .map(|comment| comment.id.to_string())
                .collect()
        }
        Write::PlanDetails { .. } => BTreeSet::new(),
    }
}

/// Returns the key under which the moves of an entity are counted.
pub(super) fn key(id: &EntityId) -> String {
    format!("{id:?}")
}
