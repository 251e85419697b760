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
use crate::host::apply::check::{Check, check};
use crate::host::apply::now::{Needs, Now, ReadSet};
use crate::host::apply::outcome::{Outcome, failure};
use crate::host::apply::{Driven, Driver, VALID_FOR, drive, images};
use crate::host::progress::Progress;
use crate::host::report::{ChangeStatus, Status};
use crate::host::run::{Program, Run, interrupted};
use crate::journal::{Guard, Judgement};
use crate::model::{BucketId, PlanId};
use crate::policy::{Cleared, ClearedRest, Verdict};

/// How often one entity may have moved before it counts as a conflict.
const MAX_REPLAYS: u32 = 8;
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
    anew: u32,
    pub(super) conflicts: u64,
    pub(super) retries: u64,
    pub(super) replays: u64,
    /// Whether anything was sent at all.
    pub(super) began: bool,
    /// Why nothing more was sent.
    pub(super) broken: Option<Failure>,
}

/// How a round goes on.
enum Next {
    /// The set is cleared as it is now.
    Go(Box<Cleared>),
    /// It is over; the report says what has come of it.
    Over,
}

/// How a validation goes on.
enum Valid {
    /// Nothing that counts has moved.
    Fine(ClearedRest),
    /// It was drafted or judged anew, on what is there now.
    Anew(Box<Cleared>),
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
    fn moved(&mut self, key: String) -> bool {
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
fn whole<'a>(set: &'a ChangeSet, rest: &ClearedRest, n: usize) -> Option<&'a Change> {
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
        let mut tally = Tally::default();
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
            if self.host.interrupt.reason().is_some() {
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
                let valid = self.validate(&mut tally, rest, program).await;
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
            let driven = match self.write(&cleared, &rest, &mut tally).await {
                Ok(driven) => driven,
                Err(failure) => return self.conclude(&tally, Some(failure)),
            };
            if driven.paused {
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

    // Validate

    async fn validate(
        &mut self,
        tally: &mut Tally,
        rest: ClearedRest,
        program: Option<&Arc<dyn Program>>,
    ) -> Valid {
        let reads = self.session.read_set();
        let needs = Needs::of(rest.set().changes(), &reads, &self.session.state().snapshot);
        let mut now = match Now::fetch(&self.host.client, needs).await {
            Ok(now) => now,
            Err(error) => {
                self.conclude(tally, Some(failure(&error)));
                return Valid::Over;
            }
        };
        let checked = {
            let old = &self.session.state().snapshot;
            if self.session.facts().scope.is_some() {
                let known =
                    |id: &PlanId| old.plan(id).is_some_and(|it| self.session.in_scope(&it.value));
                now.keep_in_scope(known);
            }
            now.no_older_than(old);
            check(rest.set(), &reads, old, &now, &tally.written)
        };
        if checked.moved.is_empty() && checked.elsewhere.is_empty() {
            return self.rest_on(tally, rest, checked, now).await;
        }
        tally.conflicts += u64::try_from(checked.moved.len().max(1)).unwrap_or(1);
        let whole_set = self.session.change_set();
        let id = |n: usize| whole(&whole_set, &rest, n).map(Change::id);
        let final_ones = checked.moved.values().any(|it| !it.may_replay);
        let mut too_often = false;
        for n in checked.moved.keys() {
            too_often |= id(*n).is_some_and(|it| tally.moved(format!("{it:?}")));
        }
        for it in &checked.elsewhere {
            too_often |= tally.moved(it.key.clone());
        }
        let program = program.filter(|_| !final_ones && !too_often);
        let nothing_moved = checked.moved.is_empty();
        too_often |= tally.anew > MAX_REPLAYS;
        if nothing_moved && program.is_none() && !too_often && tally.written.is_nothing() {
            // What a set rests on that was drafted before stands in it; the rest is what policies
            // looked at, and they look again.
            self.session.renew(now, &tally.written);
            self.session.forget_other_reads(&whole_set);
            return match self.review_again(tally).await {
                Next::Over => Valid::Over,
                Next::Go(cleared) => Valid::Anew(cleared),
            };
        }
        let Some(program) = program.filter(|_| !too_often) else {
            for (n, moved) in checked.moved {
                if let Some(id) = id(n) {
                    tally.outcomes.insert(id, moved.outcome());
                }
            }
            if let (true, Some(it)) = (nothing_moved, checked.elsewhere.into_iter().next())
                && let Some(id) = id(1)
            {
                let mut outcome = Outcome::conflict(it.fields);
                if let Some(error) = outcome.error.as_mut() {
                    error.message = it.message;
                }
                tally.outcomes.insert(id, outcome);
            }
            self.conclude(tally, None);
            return Valid::Over;
        };
        let conflicts: Vec<(Change, Vec<FieldConflict>)> = checked
            .moved
            .into_iter()
            .filter_map(|(n, it)| Some((whole(&whole_set, &rest, n)?.clone(), it.fields)))
            .collect();
        self.session.renew(now, &tally.written);
        match self.replay(tally, program, &conflicts).await {
            Next::Over => Valid::Over,
            Next::Go(cleared) => Valid::Anew(cleared),
        }
    }

    /// Rests the set on what is there now, where nothing that counts has moved.
    async fn rest_on(
        &mut self,
        tally: &mut Tally,
        rest: ClearedRest,
        checked: Check,
        now: Now,
    ) -> Valid {
        // What no one looked at has moved: nothing is against it, but it is judged as it is now.
        if !checked.is_same && tally.written.is_nothing() && tally.anew <= MAX_REPLAYS {
            self.session.renew(now, &tally.written);
            self.session.rest_on(&checked.set);
            return match self.review_again(tally).await {
                Next::Over => Valid::Over,
                Next::Go(cleared) => Valid::Anew(cleared),
            };
        }
        // In the middle of writing it goes out on the tags that its parts rest on.
        let set = if checked.is_same { checked.set } else { rest.set().clone() };
        let mut changes = set.changes().to_vec();
        if self.record.is_some()
            && let Err(error) = images::keep(&self.host.client, &mut changes, &now).await
        {
            self.conclude(tally, Some(failure(&error)));
            return Valid::Over;
        }
        let fallback = rest.clone();
        Valid::Fine(rest.advanced(ChangeSet::numbered(changes)).unwrap_or(fallback))
    }

    /// Rests a set that was drafted a while ago on what is there now.
    ///
    /// # Errors
    /// What it read or writes has moved, or could not be read: what there is to say of it.
    pub(super) async fn refresh(
        &self,
        set: &ChangeSet,
    ) -> Result<ChangeSet, Box<(Tally, Option<Failure>)>> {
        let mut tally = Tally::default();
        let none = ReadSet::default();
        let needs = Needs::of(set.changes(), &none, &self.session.state().snapshot);
        let read = tokio::select! {
            biased;
            () = self.host.interrupt.wait() => return Err(Box::new((tally, Some(interrupted())))),
            read = Now::fetch(&self.host.client, needs) => read,
        };
        let now = match read {
            Ok(now) => now,
            Err(error) => return Err(Box::new((tally, Some(failure(&error))))),
        };
        let checked = {
            let old = &self.session.state().snapshot;
            check(set, &none, old, &now, &tally.written)
        };
        if checked.moved.is_empty() {
            self.session.renew(now, &tally.written);
            return Ok(checked.set);
        }
        tally.conflicts = u64::try_from(checked.moved.len()).unwrap_or(u64::MAX);
        for (n, moved) in checked.moved {
            if let Some(change) = set.changes().get(n.saturating_sub(1)) {
                tally.outcomes.insert(change.id(), moved.outcome());
            }
        }
        Err(Box::new((tally, None)))
    }

    // Write

    async fn write(
        &mut self,
        cleared: &Cleared,
        rest: &ClearedRest,
        tally: &mut Tally,
    ) -> Result<Driven, Failure> {
        let host = self.host;
        let rest = &self.with_twins(rest);
        let round = match &self.record {
            None => None,
            Some(record) => {
                Some((record, record.judged(rest.set().clone(), Judgement::Cleared).await?))
            }
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
            spread: spread(),
        };
        let driven = drive(&driver, rest.set(), tally.written.ids().clone(), rules).await;
        tally.take(cleared.set(), rest, &driven);
        tally.anew = 0;
        Ok(driven)
    }

    /// Notes which buckets have the names of those that are to be made.
    fn with_twins(&self, rest: &ClearedRest) -> ClearedRest {
        let mut changes = rest.set().changes().to_vec();
        let snapshot = &self.session.state().snapshot;
        for change in &mut changes {
            let Write::Bucket(Edit::Create { after }) = &change.write else { continue };
            let siblings = snapshot.buckets_in(&after.plan);
            let named =
                |it: &BucketId| snapshot.bucket(it).is_some_and(|it| it.value.name == after.name);
            change.twins = siblings.into_iter().filter(named).map(|it| it.to_string()).collect();
        }
        let same = rest.clone();
        rest.clone().advanced(ChangeSet::numbered(changes)).unwrap_or(same)
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
        let stopped = self.host.interrupt.reason().is_some();
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
        if movers.is_empty() && driven.paused && !failed && !stopped && driven.broken.is_none() {
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
        let times = movers.iter().filter_map(|it| tally.moves.get(&key(&it.change))).max();
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
            too_often |= tally.moved(key(&mover.change));
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
    async fn replay(
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
    async fn review_again(&mut self, tally: &mut Tally) -> Next {
        let reviewed = self.review(self.session.change_set()).await;
        if self.host.interrupt.reason().is_some() {
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

fn key(change: &Change) -> String {
    format!("{:?}", change.id())
}
