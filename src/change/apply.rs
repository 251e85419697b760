//! The apply state machine. Pure, so that every fault can be tested as a value.
//!
//! It decides in which order requests go out and which go together, what the answer to each means,
//! when one is sent again and on which tag, and when its object is read first. It does no I/O and
//! has no clock: the moment is given to it, counted from any beginning. The driver (in `host`)
//! carries out the effects and records them. One request goes through these states:
//!
//! ```text
//!              its turn            Send                 Done
//!   Waiting ─────────────► Ready ───────► Sent ─────────────────────────────► Ended(Done)
//!      │ made or moved       ▲              │ refused for good ─────────────► Ended(Failed)
//!      │ by this run         │ throttled,   │ 404 ──────────────────────────► Ended(Gone, Moved)
//!      ▼                     │ unavailable  │ 409, 412
//!   ToLook ◄─────────────────┼──────────────┤
//!      │ Look                │              │ a create whose answer was lost
//!      ▼                     │              ▼                  Unclear ─────► Ended(Parked)
//!   Looking ── ours, again ──┤           ToProbe ──Probe──► Probing ─Found──► Ended(Done)
//!      │                     │              ▲                 │ Nothing
//!      │                     └──────────────┼── quarantine ───┤
//!      │                                    └──── before ─────┘
//!      └── somebody else has moved it ──────────────────────────────────────► Ended(Moved)
//! ```
//!
//! A request that is still open when the run is stopped ends as `Unknown` if it may have been
//! written, else as `NotSent`. The state of each part is kept in the [`Ledger`], which outlives the
//! rounds.
//!
//! A change that conflicts with somebody else's edit is never sent again from here: it ends as
//! [`End::Moved`], with the present state, and the caller drafts and reviews again (design.md 2.3).

pub mod answer;
pub mod compare;
pub mod event;
pub mod ledger;
pub mod lost;
mod pending;
pub mod step;
mod window;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub use crate::change::apply::answer::PROBES;
pub use crate::change::apply::compare::Seen;
use crate::change::apply::compare::job;
pub use crate::change::apply::compare::rebase;
pub use crate::change::apply::event::{Answer, Attempted, Effect, End, Look, Probed, StepNo};
pub use crate::change::apply::ledger::{Doubt, Ledger, PartState};
pub use crate::change::apply::lost::{Candidate, Lost, Match, Parent, match_lost};
use crate::change::apply::pending::{State, Step};
use crate::change::apply::step::{Basis, parts, target};
pub use crate::change::apply::step::{Job, Part, Resend, Target, left_of, only_written};
pub use crate::change::apply::window::Learned;
use crate::change::apply::window::{BATCH, Window};
use crate::change::edit::{Change, Op};
use crate::change::field::Entity;
use crate::change::provisional::{mentioned, with_ids};
use crate::model::{ETag, PlanId, RosterId};

/// The rules by which a set is applied.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// The time for which a create without an answer is searched for before it is sent again.
    pub quarantine: Duration,
    /// The most writes in a second; `None` for as many as the service takes.
    pub writes_per_second: Option<u32>,
    /// The knowledge of the service from earlier rounds.
    pub learned: Option<Learned>,
    /// A number in 0..1 that differs between runs, to spread those that failed together.
    pub spread: f64,
}

/// The state of applying a set.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each says something of its own")]
pub struct Machine {
    changes: Vec<Change>,
    /// True for a change that mentions or creates a new entity, by its place in `changes`.
    has_provisional: Vec<bool>,
    /// The changes that create an entity, by its provisional id.
    makers: BTreeMap<String, usize>,
    steps: Vec<Step>,
    ledger: Ledger,
    window: Window,
    rules: Rules,
    /// Nothing new is begun.
    halted: bool,
    /// The service fails too often: nothing is sent any more.
    hopeless: bool,
    /// Whatever was not sent yet is left for another time.
    paused: bool,
    /// It only finds out what became of the requests that an earlier process has sent.
    settling: bool,
    done: u64,
    retries: u64,
    conflicts: u64,
}

/// The outcome of the requests of one level.
#[derive(Debug, Clone, Copy, Default)]
struct Level {
    is_open: bool,
    has_failed: bool,
    has_parked: bool,
}

impl Machine {
    /// Makes a machine that applies the parts of some changes that the ledger leaves open.
    #[must_use]
    pub fn new(changes: &[Change], ledger: Ledger, rules: Rules) -> Self {
        Self::with(changes, ledger, rules, false)
    }

    /// Makes a machine that finds out what became of the parts in doubt, and begins nothing.
    #[must_use]
    pub fn settling(changes: &[Change], ledger: Ledger, rules: Rules) -> Self {
        Self::with(changes, ledger, rules, true)
    }

    fn with(changes: &[Change], ledger: Ledger, rules: Rules, settling: bool) -> Self {
        let creates = changes.iter().enumerate().filter(|(_, change)| change.op() == Op::Create);
        let makers: BTreeMap<String, usize> =
            creates.map(|(at, change)| (change.id().to_string(), at)).collect();
        // Ids of earlier segments are known already, but this segment's texts may still hold them.
        let known: BTreeSet<String> = makers.keys().chain(ledger.ids().keys()).cloned().collect();
        let window = Window::new(rules.writes_per_second, rules.learned);
        let mut machine = Self {
            changes: changes.to_vec(),
            has_provisional: changes.iter().map(|change| change.op() == Op::Create).collect(),
            makers,
            steps: Vec::new(),
            ledger,
            window,
            rules,
            halted: false,
            hopeless: false,
            paused: false,
            settling,
            done: 0,
            retries: 0,
            conflicts: 0,
        };
        for (at, change) in changes.iter().enumerate() {
            let mut previous = None;
            for (part, basis) in parts(change) {
                let mut mentions = BTreeSet::new();
                mentioned(&step::written(change, &part), &known, &mut mentions);
                if matches!(part, Part::Details) && change.op() == Op::Create {
                    mentioned(&change.plan().as_str().into(), &known, &mut mentions);
                }
                mentions.remove(change.id().as_str());
                machine.has_provisional[at] |= !mentions.is_empty();
                mentions.retain(|id| machine.makers.contains_key(id));
                let state = machine.ledger.state(change, &part).cloned();
                if settling != matches!(state, Some(PartState::InDoubt(_)))
                    || matches!(
                        state,
                        Some(PartState::Written | PartState::Gone | PartState::Parked(_))
                    )
                {
                    continue;
                }
                let mut step = Step::new(at, change, part, basis, previous);
                step.mentions = mentions;
                step.sent = machine.ledger.sent(change, &step.part);
                if let Some(PartState::InDoubt(doubt)) = state {
                    step.restore(*doubt, machine.rules.quarantine);
                }
                machine.steps.push(step);
                previous = Some(machine.steps.len() - 1);
            }
        }
        machine
    }

    // Queries of the driver

    /// Returns the number of a request's change (from 1), and its part.
    #[must_use]
    pub fn step(&self, no: StepNo) -> (usize, &Part) {
        let step = &self.steps[no];
        (self.changes[step.at].n, &step.part)
    }

    /// Returns the operation of a request, with the tag that it is conditional on. `None` if
    /// something that it needs is missing.
    #[must_use]
    pub fn job(&self, no: StepNo) -> Option<(Job, Option<ETag>)> {
        let step = &self.steps[no];
        if let Some(resend) = &step.resend {
            return Some((Job::Resend(resend.clone()), step.tag.clone()));
        }
        let change = self.change(step.at);
        let tag = step.tag.clone();
        if step.basis != Basis::New && tag.is_none() {
            return None;
        }
        Some((job(&change, &step.part, self.roster(step), step.first.as_ref())?, tag))
    }

    /// Returns the object to read for a request.
    #[must_use]
    pub fn target(&self, no: StepNo) -> Option<Target> {
        let step = &self.steps[no];
        target(&self.change(step.at), &step.part)
    }

    /// Returns a request's change, with the real ids that are known by now.
    #[must_use]
    pub fn change_of(&self, no: StepNo) -> Cow<'_, Change> {
        self.change(self.steps[no].at)
    }

    /// Returns how often a request was sent.
    #[must_use]
    pub fn sent(&self, no: StepNo) -> u32 {
        self.steps[no].sent
    }

    /// Returns the state of the last attempt at a request, as the journal records it.
    #[must_use]
    pub fn attempted(&self, no: StepNo) -> Attempted {
        let step = &self.steps[no];
        match &step.state {
            State::Ended(End::Done) => Attempted::Applied,
            State::Ended(End::Unknown | End::Parked(_)) => Attempted::Unknown,
            State::Ended(End::Moved(_) | End::Clash(_)) => Attempted::Conflict,
            State::Ended(_) => Attempted::Refused,
            // An earlier attempt may have been carried out, whatever came of the last one.
            _ if step.in_doubt => Attempted::Unknown,
            State::ToLook | State::Looking => Attempted::Conflict,
            _ => Attempted::Refused,
        }
    }

    /// Returns the id of the entity that a request has created.
    #[must_use]
    pub fn made(&self, no: StepNo) -> Option<&str> {
        self.steps[no].made.as_deref()
    }

    /// Returns how a request ended, if it has.
    #[must_use]
    pub fn end_of(&self, no: StepNo) -> Option<&End> {
        match &self.steps[no].state {
            State::Ended(end) => Some(end),
            _ => None,
        }
    }

    /// Returns whether something was left for another time.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        let left = |step: &Step| step.op == Op::Delete && step.state == State::Ended(End::NotSent);
        let all_well = self.steps.iter().all(|step| match &step.state {
            State::Ended(end) => end.is_well() || left(step),
            _ => false,
        });
        self.paused || (!self.halted && all_well && self.steps.iter().any(left))
    }

    /// Returns whether it gave up because the service fails too often.
    #[must_use]
    pub const fn is_hopeless(&self) -> bool {
        self.hopeless
    }

    /// Returns whether the remaining requests could as well be sent in a later round: some are
    /// left, and no create is in doubt.
    #[must_use]
    pub fn can_pause(&self) -> bool {
        let waits =
            |step: &Step| matches!(step.state, State::Waiting | State::Ready) && step.sent == 0;
        self.done > 0
            && self.steps.iter().any(waits)
            && !self.steps.iter().any(|step| step.basis == Basis::New && step.in_doubt)
    }

    /// Returns the real ids of provisional ones.
    #[must_use]
    pub const fn ids(&self) -> &BTreeMap<String, String> {
        self.ledger.ids()
    }

    /// Returns the state of each part, over all rounds.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Returns the number of requests that have ended, and of all requests.
    #[must_use]
    pub fn count(&self) -> (usize, usize) {
        let ended = self.steps.iter().filter(|step| matches!(step.state, State::Ended(_))).count();
        (ended, self.steps.len())
    }

    /// Returns the number of requests sent again, and of conflicts met.
    #[must_use]
    pub const fn counts(&self) -> (u64, u64) {
        (self.retries, self.conflicts)
    }

    /// Returns the knowledge of the service's rate, for the next round.
    #[must_use]
    pub fn learned(&self) -> Option<Learned> {
        self.window.learned()
    }

    /// Returns whether all requests have ended.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.steps.iter().all(|step| matches!(step.state, State::Ended(_)))
    }

    /// Returns how each request ended.
    pub fn ends(&self) -> impl Iterator<Item = (StepNo, &End)> {
        self.steps.iter().enumerate().filter_map(|(no, step)| match &step.state {
            State::Ended(end) => Some((no, end)),
            _ => None,
        })
    }

    /// Returns the next moment at which something is due, if no answer comes before. Requests that
    /// were due by `since` are left out: they wait for an answer that is under way.
    #[must_use]
    pub fn wakes_at(&self, since: Option<Duration>) -> Option<Duration> {
        let due = |step: &Step| match step.state {
            State::Ready => Some(step.not_before.max(self.window.opens_at())),
            State::ToLook => Some(step.not_before.max(self.window.closed_until())),
            State::ToProbe => Some(step.not_before),
            _ => None,
        };
        self.steps
            .iter()
            .filter_map(due)
            .filter(|wake| since.is_none_or(|since| *wake > since))
            .min()
    }

    fn change(&self, at: usize) -> Cow<'_, Change> {
        let change = &self.changes[at];
        if self.ids().is_empty() || !self.has_provisional[at] {
            return Cow::Borrowed(change);
        }
        with_ids(change, self.ids()).map_or(Cow::Borrowed(change), Cow::Owned)
    }

    fn roster(&self, step: &Step) -> Option<RosterId> {
        use crate::change::edit::Write;
        let Write::Plan(edit) = &self.changes[step.at].write else { return None };
        let mut own =
            self.steps.iter().filter(|other| other.at == step.at && other.part == Part::Roster);
        match own.next() {
            Some(roster) => RosterId::parse(roster.made.as_deref()?).ok(),
            None => edit.known().roster.clone(),
        }
    }

    // Effects

    /// Returns the effects to carry out now.
    pub fn next(&mut self, now: Duration) -> Vec<Effect> {
        self.promote();
        let mut effects = Vec::new();
        // One sweep of a list serves all creates in doubt of that parent, and they must be matched
        // together: one by one, two equal creates would both claim the same candidate.
        let mut sweeps: BTreeMap<Parent, Vec<StepNo>> = BTreeMap::new();
        for no in self.due(&State::ToProbe, now) {
            self.steps[no].state = State::Probing;
            let parent = self.job(no).and_then(|(job, _)| job.parent());
            sweeps.entry(parent.unwrap_or(Parent::Nowhere)).or_default().push(no);
        }
        effects.extend(sweeps.into_iter().map(|(parent, steps)| Effect::Probe { parent, steps }));
        if now >= self.window.closed_until() {
            let looks = self.due(&State::ToLook, now);
            for no in &looks {
                self.steps[*no].state = State::Looking;
            }
            effects.extend(looks.chunks(BATCH).map(|batch| Effect::Look(batch.to_vec())));
        }
        self.send_in_line(now, &mut effects);
        self.send_together(now, &mut effects);
        effects
    }

    fn due(&self, state: &State, now: Duration) -> Vec<StepNo> {
        let due = |step: &Step| step.state == *state && step.not_before <= now;
        let steps = self.steps.iter().enumerate();
        steps.filter(|(_, step)| due(step)).map(|(no, _)| no).collect()
    }

    /// Sends the creates of each plan: one request at a time, so that they keep their order.
    fn send_in_line(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        let busy: BTreeSet<PlanId> = self
            .steps
            .iter()
            .filter(|step| step.state == State::Sent)
            .filter_map(|step| step.in_line.clone())
            .collect();
        let mut lines: BTreeMap<PlanId, Vec<StepNo>> = BTreeMap::new();
        // A create that looks like one in doubt waits: its result could be taken for the other's.
        let in_doubt = self.steps.iter().filter(|step| {
            step.in_line.is_some() && matches!(step.state, State::ToProbe | State::Probing)
        });
        let looked_for: Vec<_> = in_doubt.map(|step| self.looks_like(step)).collect();
        let mut held_up = busy;
        for (no, step) in self.steps.iter().enumerate() {
            let (Some(plan), State::Ready) = (&step.in_line, &step.state) else { continue };
            if step.not_before > now {
                // The next ones must not overtake it, or the order would be lost.
                held_up.insert(plan.clone());
            }
            if !held_up.contains(plan) && !looked_for.contains(&self.looks_like(step)) {
                lines.entry(plan.clone()).or_default().push(no);
            }
        }
        for line in lines.into_values() {
            let steps: Vec<StepNo> =
                line.into_iter().take(BATCH.min(self.window.free(now))).collect();
            self.send(now, steps, true, effects);
        }
    }

    /// Returns the traits by which the result of a create is recognised.
    fn looks_like<'a>(&'a self, step: &'a Step) -> (Entity, &'a PlanId, &'a str, &'a Part) {
        let change = &self.changes[step.at];
        (change.entity(), change.plan(), change.title(), &step.part)
    }

    /// Sends everything else: in as few requests as possible, of about equal size.
    fn send_together(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        let ready: Vec<StepNo> = self
            .due(&State::Ready, now)
            .into_iter()
            .filter(|no| self.steps[*no].in_line.is_none())
            .collect();
        let ready: Vec<StepNo> = match self.window.free(now) {
            free if free < ready.len() && free > BATCH => {
                // Whole batches only: a partial one costs as much as a full one.
                ready.into_iter().take(free / BATCH * BATCH).collect()
            }
            free => ready.into_iter().take(free).collect(),
        };
        let size = ready.len().div_ceil(ready.len().div_ceil(BATCH).max(1)).max(1);
        for steps in ready.chunks(size) {
            self.send(now, steps.to_vec(), false, effects);
        }
    }

    fn send(&mut self, now: Duration, steps: Vec<StepNo>, in_order: bool, to: &mut Vec<Effect>) {
        if steps.is_empty() {
            return;
        }
        self.window.sent(now, steps.len());
        for no in &steps {
            let step = &mut self.steps[*no];
            step.state = State::Sent;
            self.retries += u64::from(step.sent > 0);
            step.sent = self.ledger.count_sent(&self.changes[step.at], &step.part);
            step.sent_at = now;
        }
        to.push(Effect::Send { steps, in_order });
    }

    /// Moves on the requests whose turn has come, and ends those whose turn never will.
    fn promote(&mut self) {
        loop {
            // Recounted in each pass, since an end in the last one may have closed a level.
            let mut levels: BTreeMap<u8, Level> = BTreeMap::new();
            for step in &self.steps {
                let level = levels.entry(step.level).or_default();
                match &step.state {
                    State::Ended(End::Parked(_)) => level.has_parked = true,
                    State::Ended(end) => level.has_failed |= !end.is_well(),
                    _ => level.is_open = true,
                }
            }
            let mut moved = false;
            for no in 0..self.steps.len() {
                if !matches!(self.steps[no].state, State::Waiting | State::Ready | State::ToLook) {
                    continue;
                }
                if let Some(state) = self.turn(no, &levels) {
                    moved |= matches!(state, State::Ended(_));
                    self.halted |= matches!(state, State::Ended(End::Mentions(_)));
                    self.steps[no].state = state;
                }
            }
            // An end may end others that wait for it, so this goes on until nothing moves.
            if !moved {
                return;
            }
        }
    }

    /// Returns the state to go to, if it is a different one.
    fn turn(&self, no: StepNo, levels: &BTreeMap<u8, Level>) -> Option<State> {
        let step = &self.steps[no];
        let previous = step.previous.map(|previous| &self.steps[previous].state);
        let after_own = match previous {
            None => true,
            Some(State::Ended(end)) if end.is_well() => true,
            Some(State::Ended(_)) => return Some(State::Ended(End::NotSent)),
            Some(_) => false,
        };
        // A created entity gets its details even if the rest is stopped: half a task helps nobody.
        let completes = step.completes;
        let asks = step.in_doubt || (step.state == State::ToLook && step.sent > 0);
        if self.hopeless && (step.in_doubt || step.sent > 0) {
            let end = if step.in_doubt { End::Unknown } else { End::Failed };
            return Some(State::Ended(end));
        }
        if self.hopeless || (self.halted && !completes && !asks) {
            return Some(State::Ended(End::NotSent));
        }
        // After other writes a deletion is left for the next round, which validates again first:
        // the reads it was decided on would be too old by now.
        let deletes = step.op == Op::Delete;
        if deletes && self.done > 0 && step.state == State::Waiting && !self.is_busy(levels, no) {
            return Some(State::Ended(End::NotSent));
        }
        if self.paused && step.sent == 0 && !completes && step.state != State::ToLook {
            return Some(State::Ended(End::NotSent));
        }
        if step.state != State::Waiting {
            return None;
        }
        for (_, level) in levels.range(..step.level) {
            if level.is_open {
                return None;
            }
            // A parked create holds up the changes that need it, and deletions, which cannot be
            // taken back.
            if (level.has_failed || (level.has_parked && deletes)) && !completes {
                return Some(State::Ended(End::NotSent));
            }
        }
        if !after_own {
            return None;
        }
        if let Some(missing) = step.mentions.iter().find(|id| !self.ids().contains_key(*id)) {
            let maker = self.makers.get(missing);
            let mut of_maker = self
                .steps
                .iter()
                .filter(|step| Some(&step.at) == maker && step.part == Part::Itself);
            return match of_maker.next().map(|step| &step.state) {
                // Two creates that mention each other in their bodies would wait for ever.
                Some(State::Waiting) if self.is_stuck() => {
                    Some(State::Ended(End::Mentions(missing.clone())))
                }
                // Its creator was not begun or is parked, so this is not begun either.
                Some(State::Ended(End::NotSent | End::Parked(_))) => {
                    Some(State::Ended(End::NotSent))
                }
                Some(State::Ended(_)) | None => Some(State::Ended(End::Mentions(missing.clone()))),
                Some(_) => None,
            };
        }
        Some(match step.basis {
            Basis::New | Basis::Read(_) => State::Ready,
            Basis::Made | Basis::Moved => State::ToLook,
        })
    }

    /// Returns whether a lower level is still open, or did not end well.
    fn is_busy(&self, levels: &BTreeMap<u8, Level>, no: StepNo) -> bool {
        let mut lower = levels.range(..self.steps[no].level).map(|(_, level)| level);
        lower.any(|level| level.is_open || level.has_failed || level.has_parked)
    }

    /// Returns whether nothing is under way and nothing will be.
    fn is_stuck(&self) -> bool {
        self.steps.iter().all(|step| matches!(step.state, State::Waiting | State::Ended(_)))
    }
}

#[cfg(test)]
mod tests;
