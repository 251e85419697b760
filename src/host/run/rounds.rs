//! Carrying out a cleared set, round by round: validate, write, and where someone else has moved
//! something meanwhile, decide anew and have it judged anew before anything more is sent
//! (design.md 2.3).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::change::apply::{End, Part, Progress as Written, Rules, Seen, rebase};
use crate::change::{Change, ChangeSet, Edit, EntityId, FieldConflict, Op, Write};
use crate::graph::spread;
use crate::host::Failure;
use crate::host::apply::outcome::Outcome;
use crate::host::apply::{Driven, Driver, VALID_FOR, drive};
use crate::host::progress::Progress;
use crate::host::report::{ChangeStatus, Status};
use crate::host::run::valid::Valid;
use crate::host::run::{Program, Run, interrupted};
use crate::journal::{Guard, Judgement};
use crate::model::{BucketId, PlanId};
use crate::policy::{Cleared, ClearedRest, Verdict};

/// How often one entity may have moved before it counts as a conflict.
pub(super) const MAX_REPLAYS: u32 = 8;
/// How long ago something may have been read that is written without another look.
const MOMENT: Duration = Duration::from_secs(1);
/// The longest pause before a replay, to let others pass; doubled each time.
const PAUSE: Duration = Duration::from_millis(20);

/// What has come of a set so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// What is on the board.
    pub(super) written: Written,
    /// What came of the changes that were tried last, by their entities.
    pub(super) outcomes: BTreeMap<EntityId, Outcome>,
    /// How often each entity's requests were sent.
    attempts: BTreeMap<EntityId, u32>,
    /// How often each was found moved.
    moves: BTreeMap<String, u32>,
    /// How often it was drafted or judged anew since something was written.
    pub(super) anew: u32,
    pub(super) conflicts: u64,
    pub(super) retries: u64,
    pub(super) replays: u64,
    /// Whether anything was sent at all.
    pub(super) began: bool,
    /// Why nothing more was sent.
    pub(super) broken: Option<Failure>,
}

/// How a round goes on.
pub(super) enum Next {
    /// The set is cleared as it is now.
    Go(Box<Cleared>),
    /// It is over; the report says what has come of it.
    Over,
}

/// Something that has moved during a round.
struct Mover {
    change: Change,
    part: Part,
    seen: Option<Box<Seen>>,
}

impl Tally {
    pub(super) fn outcome(&self, change: &Change) -> Option<Outcome> {
        let id = change.id();
        let mut outcome = match self.outcomes.get(&id) {
            Some(outcome) => outcome.clone(),
            None if self.began => Outcome::new(ChangeStatus::Skipped),
            None => return None,
        };
        outcome.attempts = self.attempts.get(&id).copied().unwrap_or(0);
        outcome.wrote |= self.written.has_written(&id);
        Some(outcome)
    }

    /// Counts that something has moved; tells whether that was too often.
    pub(super) fn moved(&mut self, key: String) -> bool {
        let times = self.moves.entry(key).or_insert(0);
        *times += 1;
        *times > MAX_REPLAYS
    }

    fn take(&mut self, set: &ChangeSet, rest: &ClearedRest, driven: &Driven) {
        let (retries, conflicts) = driven.machine.counts();
        self.retries += retries;
        self.conflicts += conflicts;
        self.began = true;
        self.written.take(set, rest.rest(), &driven.machine);
        for (n, outcome) in driven.outcomes() {
            let Some(change) = whole(set, rest, n) else { continue };
            *self.attempts.entry(change.id()).or_insert(0) += outcome.attempts;
            self.outcomes.insert(change.id(), outcome);
        }
        if let Some(failure) = &driven.broken {
            self.broken.get_or_insert_with(|| failure.clone());
        }
    }
}

/// The change of the whole set that one of the rest is.
pub(super) fn whole<'a>(set: &'a ChangeSet, rest: &ClearedRest, n: usize) -> Option<&'a Change> {
    let n = rest.rest().numbers.get(n.checked_sub(1)?)?;
    set.changes().get(n.checked_sub(1)?)
}

fn plans_of(set: &ChangeSet) -> BTreeSet<PlanId> {
    let plans = set.changes().iter().flat_map(|it| [Some(it.plan()), it.moves_to()]).flatten();
    plans.cloned().collect()
}

impl Run<'_> {
    /// Carries out a set; with a program, what has moved meanwhile is drafted anew.
    pub(super) async fn carry_out(
        &mut self,
        mut cleared: Box<Cleared>,
        program: Option<&Arc<dyn Program>>,
    ) {
        let written = Written::knowing(self.made.clone());
        let mut tally = Tally { written, ..Tally::default() };
        let (mut locks, mut locked): (Vec<Guard>, BTreeSet<PlanId>) = Default::default();
        let (mut validated, mut slow): (Option<Instant>, u32) = (None, 0);
        loop {
            let plans = plans_of(cleared.set());
            if !plans.is_subset(&locked) {
                drop(std::mem::take(&mut locks));
                match self.lock(&plans).await {
                    Ok(Some(guards)) => (locks, locked) = (guards, plans),
                    Ok(None) => return self.conclude(&tally, Some(interrupted())),
                    Err(failure) => return self.conclude(&tally, Some(failure)),
                }
                validated = None;
            }
            if self.host.interrupt.is_set() {
                return self.conclude(&tally, Some(interrupted()));
            }
            let mut rest = match cleared.rest(&tally.written) {
                Ok(rest) => rest,
                Err(entities) => return self.unlike(&mut tally, &entities),
            };
            if rest.set().is_empty() {
                return self.conclude(&tally, None);
            }
            // What a deletion takes away is read right before it.
            let deletes = rest.set().count(Op::Delete) > 0;
            if deletes || validated.is_none_or(|it| it.elapsed() > VALID_FOR) {
                let at = Instant::now();
                let valid = self.validate(&mut tally, &cleared, rest, program).await;
                // What is drafted anew rests on what was read a moment ago; unless that took long.
                slow += u32::from(at.elapsed() > MOMENT && matches!(valid, Valid::Anew(_)));
                let is_fresh = at.elapsed() <= MOMENT || slow > MAX_REPLAYS;
                let is_fine = matches!(valid, Valid::Fine(_));
                validated = (is_fresh || is_fine).then_some(at);
                match valid {
                    Valid::Fine(valid) => rest = valid,
                    Valid::Over => return,
                    Valid::Anew(anew) => {
                        cleared = anew;
                        tally.anew += 1;
                        self.pause(tally.anew.saturating_sub(1)).await;
                        continue;
                    }
                }
            }
            self.note_twins(&mut rest);
            let driven = match self.write(&cleared, &rest, &mut tally).await {
                Ok(driven) => driven,
                Err(failure) => return self.conclude(&tally, Some(failure)),
            };
            if driven.machine.is_paused() {
                validated = None;
            }
            match self.after(&mut tally, &cleared, &rest, &driven, program).await {
                Next::Over => return,
                Next::Go(anew) => cleared = anew,
            }
        }
    }

    /// Waits until no other run of this host is at work on the plans.
    async fn lock(&self, plans: &BTreeSet<PlanId>) -> Result<Option<Vec<Guard>>, Failure> {
        match &self.record {
            None => Ok(Some(Vec::new())),
            Some(record) => record.lock(plans.clone(), Arc::clone(&self.host.interrupt)).await,
        }
    }

    // Write

    async fn write(
        &mut self,
        cleared: &Cleared,
        rest: &ClearedRest,
        tally: &mut Tally,
    ) -> Result<Driven, Failure> {
        let host = self.host;
        let clear = if self.committing { Judgement::Segment } else { Judgement::Cleared };
        let round = match &self.record {
            None => None,
            Some(record) => Some((record, record.judged(rest.set().clone(), clear).await?)),
        };
        let known = self.session.state().snapshot.known_ids().map(str::to_owned).collect();
        let driver = Driver {
            client: &host.client,
            clock: &*host.clock,
            now: self.session.facts().now,
            actor: &self.session.facts().me.id,
            record: round,
            stop: &host.interrupt,
            watch: &host.watch,
            known,
        };
        let rules = Rules {
            quarantine: host.quarantine,
            writes_per_second: host.writes_per_second,
            learned: self.learned,
            spread: spread(),
        };
        let driven = drive(&driver, rest.set(), tally.written.ids().clone(), rules).await;
        self.learned = driven.machine.learned();
        tally.take(cleared.set(), rest, &driven);
        tally.anew = 0;
        Ok(driven)
    }

    /// Notes which buckets have the names of those that are to be made.
    fn note_twins(&self, rest: &mut ClearedRest) {
        let is_new = |it: &Change| matches!(it.write, Write::Bucket(Edit::Create { .. }));
        if !rest.set().changes().iter().any(is_new) {
            return;
        }
        let mut changes = rest.set().changes().to_vec();
        let snapshot = &self.session.state().snapshot;
        for change in &mut changes {
            let Write::Bucket(Edit::Create { after }) = &change.write else { continue };
            let siblings = snapshot.buckets_in(&after.plan);
            let named =
                |it: &BucketId| snapshot.bucket(it).is_some_and(|it| it.value.name == after.name);
            change.twins = siblings.into_iter().filter(named).map(|it| it.to_string()).collect();
        }
        rest.advance(ChangeSet::numbered(changes));
    }

    /// Decides what comes after a round.
    async fn after(
        &mut self,
        tally: &mut Tally,
        cleared: &Cleared,
        rest: &ClearedRest,
        driven: &Driven,
        program: Option<&Arc<dyn Program>>,
    ) -> Next {
        let bad = |end: &End| {
            matches!(end, End::Failed | End::Unknown | End::Clash(_) | End::Mentions(_))
        };
        let failed = driven.machine.ends().any(|(_, _, _, end)| bad(end));
        let stopped = self.host.interrupt.is_set();
        let movers: Vec<Mover> = driven
            .machine
            .ends()
            .filter_map(|(n, part, _, end)| match end {
                End::Moved(seen) => {
                    let change = whole(cleared.set(), rest, n)?.clone();
                    Some(Mover { change, part: part.clone(), seen: seen.clone() })
                }
                _ => None,
            })
            .collect();
        if movers.is_empty()
            && driven.machine.is_paused()
            && !failed
            && !stopped
            && driven.broken.is_none()
        {
            return Next::Go(Box::new(cleared.clone()));
        }
        if movers.is_empty() {
            self.conclude(tally, None);
            return Next::Over;
        }
        let (rebased, conflicts, too_often) = Self::rebase(tally, cleared.set(), &movers);
        let may_replay = |(change, fields): &(Change, Vec<FieldConflict>)| {
            change.op() != Op::Delete || fields.iter().any(|it| change.reads.contains(&it.field))
        };
        let program = program.filter(|_| conflicts.iter().all(may_replay));
        let over = failed || stopped || too_often || driven.broken.is_some();
        if over || (program.is_none() && !conflicts.is_empty()) {
            for (change, fields) in conflicts {
                tally.outcomes.insert(change.id(), Outcome::conflict(fields));
            }
            self.conclude(tally, None);
            return Next::Over;
        }
        let times = movers.iter().filter_map(|it| tally.moves.get(&key(&it.change.id()))).max();
        self.pause(times.copied().unwrap_or(1)).await;
        self.session
            .renew_parts(movers.iter().map(|it| (&it.change, &it.part, it.seen.as_deref())));
        match program {
            Some(program) if !conflicts.is_empty() => self.replay(tally, program, &conflicts).await,
            _ => {
                self.session.rest_on(&rebased);
                self.review_again(tally).await
            }
        }
    }

    /// Rests what has moved on what is there now, as far as nothing that counts has moved.
    fn rebase(
        tally: &mut Tally,
        set: &ChangeSet,
        movers: &[Mover],
    ) -> (ChangeSet, Vec<(Change, Vec<FieldConflict>)>, bool) {
        let mut changes = set.changes().to_vec();
        let (mut conflicts, mut too_often) = (Vec::new(), false);
        for mover in movers {
            too_often |= tally.moved(key(&mover.change.id()));
            let at = mover.change.n.saturating_sub(1);
            let result = match (&mover.seen, changes.get_mut(at)) {
                (Some(seen), Some(change)) => rebase(change, &mover.part, seen),
                _ => Err(Vec::new()),
            };
            if let Err(fields) = result {
                conflicts.push((mover.change.clone(), fields));
            } else if too_often {
                conflicts.push((mover.change.clone(), Vec::new()));
            }
        }
        (ChangeSet::numbered(changes), conflicts, too_often)
    }

    async fn pause(&self, times: u32) {
        let most = PAUSE * 2u32.saturating_pow(times.min(MAX_REPLAYS));
        tokio::select! {
            () = tokio::time::sleep(most.mul_f64(spread())) => {}
            () = self.host.interrupt.wait() => {}
        }
    }

    /// Runs the program again, on what is there now.
    pub(super) async fn replay(
        &mut self,
        tally: &mut Tally,
        program: &Arc<dyn Program>,
        conflicts: &[(Change, Vec<FieldConflict>)],
    ) -> Next {
        tally.replays += 1;
        self.host.watch.tell(Progress::Replaying { times: tally.replays });
        let before = self.session.change_set();
        self.session.begin_again();
        let drafted = self.draft(program).await;
        let set = self.session.change_set();
        let failed = drafted.err();
        let unlike = match &failed {
            Some(_) => Vec::new(),
            None => tally.written.rest_of(&set).err().unwrap_or_default(),
        };
        if failed.is_some() || !unlike.is_empty() {
            // The report stays that of the set of which something may be on the board.
            self.session.rest_on(&before);
            for (change, fields) in conflicts {
                tally.outcomes.insert(change.id(), Outcome::conflict(fields.clone()));
            }
            match failed {
                Some(failure) if conflicts.is_empty() => self.conclude(tally, Some(failure)),
                Some(failure) => {
                    let text =
                        format!("run again after a conflict, it failed: {}", failure.message);
                    self.report.warnings.push(text);
                    self.conclude(tally, None);
                }
                None => self.unlike(tally, &unlike),
            }
            return Next::Over;
        }
        if set.is_empty() {
            self.show(&set, None);
            if tally.written.is_nothing() {
                self.report.status = Status::NoChanges;
                self.judged(&set, Judgement::NoChanges).await;
                self.count(tally);
            } else {
                self.conclude(tally, None);
            }
            return Next::Over;
        }
        self.review_again(tally).await
    }

    /// A replay wants something else where something was written already.
    fn unlike(&mut self, tally: &mut Tally, entities: &[EntityId]) {
        let names: Vec<String> = entities.iter().map(ToString::to_string).collect();
        self.report.warnings.push(format!(
            "run again after a conflict, the program wants something else of what it has written already: {}",
            names.join(", ")
        ));
        let left: Vec<EntityId> = tally
            .outcomes
            .iter()
            .filter(|(_, it)| it.status == ChangeStatus::Conflict)
            .map(|(id, _)| id.clone())
            .collect();
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
        let reviewed = self.review(self.session.change_set()).await;
        if self.host.interrupt.is_set() {
            self.conclude(tally, Some(interrupted()));
            return Next::Over;
        }
        self.show_reviewed(&reviewed);
        if let Some(cleared) = reviewed.clear() {
            return Next::Go(Box::new(cleared));
        }
        let (status, judgement) = match reviewed.verdict() {
            Verdict::Hold => (Status::Held, Judgement::Held),
            _ => (Status::Denied, Judgement::Denied),
        };
        self.judged(reviewed.set(), judgement).await;
        if tally.written.is_nothing() {
            self.report.status = status;
            self.count(tally);
        } else {
            self.conclude(tally, None);
            self.report.status = Status::Partial;
        }
        Next::Over
    }
}

/// What counts how often an entity has moved.
pub(super) fn key(id: &EntityId) -> String {
    format!("{id:?}")
}
