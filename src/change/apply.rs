//! Carrying out a change set, as a state machine: events in, effects out.
//!
//! It knows the order in which requests may go out, which go together, what the answer to each
//! means, when it is sent again and on which tag, and when something is looked at first. It does
//! no I/O and has no clock: the moment is given to it, counted from any beginning. The driver
//! (in `host`) carries out the effects and records them.
//!
//! What someone else has moved is never sent again from here: it ends as [`End::Moved`], with what
//! is there now, and the caller drafts and judges anew (design.md 2.3).

pub mod compare;
pub mod event;
pub mod progress;
mod react;
pub mod step;
mod window;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub use crate::change::apply::compare::Seen;
use crate::change::apply::compare::job;
pub use crate::change::apply::compare::rebase;
pub use crate::change::apply::event::{Answer, Effect, End, Look, Probed, StepNo};
pub use crate::change::apply::progress::{Progress, Rest};
pub use crate::change::apply::react::PROBES;
use crate::change::apply::step::{Basis, parts, target};
pub use crate::change::apply::step::{Job, Part, Target, only_written, take_off};
pub use crate::change::apply::window::Learned;
use crate::change::apply::window::{BATCH, Window};
use crate::change::markers::{mentioned, with_ids};
use crate::change::set::level;
use crate::change::{Change, Entity, Op};
use crate::model::{ETag, PlanId, RosterId};

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// For others to be done.
    Waiting,
    /// To be sent, once it is time.
    Ready,
    /// Sent, not answered.
    Sent,
    /// What it is about is to be read, once it is time.
    ToLook,
    Looking,
    /// What it may have made is to be looked for, once it is time.
    ToProbe,
    Probing,
    Ended(End),
}

#[derive(Debug, Clone)]
struct Step {
    /// Its change, from 0.
    at: usize,
    part: Part,
    level: u8,
    /// It completes what its change has made.
    completes: bool,
    op: Op,
    /// The request of the same change before it.
    previous: Option<StepNo>,
    /// Creates of one plan go out one after another, so that they stand in their order.
    in_line: Option<PlanId>,
    mentions: BTreeSet<String>,
    basis: Basis,
    state: State,
    tag: Option<ETag>,
    made: Option<String>,
    first: Option<Seen>,
    not_before: Duration,
    sent_at: Duration,
    sent: u32,
    /// How often it failed, in all.
    tries: u32,
    /// How often in a row it was put off or failed while nothing at all was done, and how much was
    /// done by then.
    in_vain: (u32, u64),
    in_doubt: bool,
    looks: u32,
    rebases: u32,
    probes: usize,
    patience: Option<std::vec::IntoIter<Duration>>,
}

/// How a set is to be carried out.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// How long a create without an answer is waited for before it is sent again.
    pub quarantine: Duration,
    /// How many writes may go out in a second; `None` for as many as the service takes.
    pub writes_per_second: Option<u32>,
    /// What was learned of the service before.
    pub learned: Option<Learned>,
    /// A number in 0..1 that differs between runs, to spread those that failed together.
    pub spread: f64,
}

/// The state of applying a set.
#[derive(Debug, Clone)]
pub struct Machine {
    changes: Vec<Change>,
    /// Whether a change mentions what is made, or makes it itself.
    has_markers: Vec<bool>,
    /// The changes that make something, by its marker.
    makers: BTreeMap<String, usize>,
    steps: Vec<Step>,
    ids: BTreeMap<String, String>,
    window: Window,
    rules: Rules,
    /// Nothing new is begun.
    halted: bool,
    /// The service fails too often: nothing is sent any more.
    hopeless: bool,
    /// What was not sent yet is left for another time.
    paused: bool,
    done: u64,
    retries: u64,
    conflicts: u64,
}

impl Machine {
    /// Takes up changes; markers that are known already stand in `ids`.
    #[must_use]
    pub fn new(changes: &[Change], ids: BTreeMap<String, String>, rules: Rules) -> Self {
        let creates = changes.iter().enumerate().filter(|(_, it)| it.op() == Op::Create);
        let makers: BTreeMap<String, usize> =
            creates.map(|(at, it)| (it.id().to_string(), at)).collect();
        let made: BTreeSet<String> = makers.keys().cloned().collect();
        let mut has_markers: Vec<bool> = changes.iter().map(|it| it.op() == Op::Create).collect();
        let mut steps: Vec<Step> = Vec::new();
        for (at, change) in changes.iter().enumerate() {
            let mut previous = None;
            for (part, basis) in parts(change) {
                let is_new = basis == Basis::New;
                // What is new gets its details once everything is there that they may mention.
                let later = change.op() == Op::Create && part != Part::Itself && !is_new;
                let mut mentions = BTreeSet::new();
                mentioned(&step::written(change, &part), &made, &mut mentions);
                if matches!(part, Part::Details) && change.op() == Op::Create {
                    mentioned(&change.plan().as_str().into(), &made, &mut mentions);
                }
                mentions.remove(change.id().as_str());
                has_markers[at] |= !mentions.is_empty();
                steps.push(Step {
                    at,
                    level: level(change) * 2 + u8::from(later),
                    completes: change.op() == Op::Create && previous.is_some(),
                    op: change.op(),
                    previous,
                    in_line: is_new.then(|| change.plan().clone()),
                    mentions,
                    tag: match &basis {
                        Basis::Read(tag) => Some(tag.clone()),
                        Basis::New | Basis::Made | Basis::Moved => None,
                    },
                    part,
                    basis,
                    state: State::Waiting,
                    made: None,
                    first: None,
                    not_before: Duration::ZERO,
                    sent_at: Duration::ZERO,
                    sent: 0,
                    tries: 0,
                    in_vain: (0, 0),
                    in_doubt: false,
                    looks: 0,
                    rebases: 0,
                    probes: 0,
                    patience: None,
                });
                previous = Some(steps.len() - 1);
            }
        }
        let window = Window::new(rules.writes_per_second, rules.learned);
        Self {
            changes: changes.to_vec(),
            has_markers,
            makers,
            steps,
            ids,
            window,
            rules,
            halted: false,
            hopeless: false,
            paused: false,
            done: 0,
            retries: 0,
            conflicts: 0,
        }
    }

    // What the driver asks

    /// Returns the number of a request's change (from 1), and its part.
    #[must_use]
    pub fn step(&self, no: StepNo) -> (usize, &Part) {
        let step = &self.steps[no];
        (self.changes[step.at].n, &step.part)
    }

    /// Returns what a request does, with the tag that it is conditional on. `None` if what it
    /// needs is not there.
    #[must_use]
    pub fn job(&self, no: StepNo) -> Option<(Job, Option<ETag>)> {
        let step = &self.steps[no];
        let change = self.change(step.at);
        let tag = step.tag.clone();
        if step.basis != Basis::New && tag.is_none() {
            return None;
        }
        Some((job(&change, &step.part, self.roster(step), step.first.as_ref())?, tag))
    }

    /// Returns what is to be read of a request's object.
    #[must_use]
    pub fn target(&self, no: StepNo) -> Option<Target> {
        let step = &self.steps[no];
        target(&self.change(step.at), &step.part)
    }

    /// Returns a request's change, with the ids that are known by now.
    #[must_use]
    pub fn change_of(&self, no: StepNo) -> Cow<'_, Change> {
        self.change(self.steps[no].at)
    }

    /// Returns how often a request was sent.
    #[must_use]
    pub fn sent(&self, no: StepNo) -> u32 {
        self.steps[no].sent
    }

    /// Tells whether a request may have been done without anyone knowing.
    #[must_use]
    pub fn in_doubt(&self, no: StepNo) -> bool {
        self.steps[no].in_doubt
    }

    /// Tells whether a request deletes something.
    #[must_use]
    pub fn deletes(&self, no: StepNo) -> bool {
        self.steps[no].op == Op::Delete
    }

    /// Returns how a request ended, if it has.
    #[must_use]
    pub fn end_of(&self, no: StepNo) -> Option<&End> {
        match &self.steps[no].state {
            State::Ended(end) => Some(end),
            _ => None,
        }
    }

    /// Tells whether something was left for another time.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        let left = |it: &Step| {
            let entity = self.changes[it.at].entity();
            it.op == Op::Delete && entity != Entity::Task && it.state == State::Ended(End::NotSent)
        };
        let all_well = self.steps.iter().all(|it| match &it.state {
            State::Ended(end) => end.is_well() || left(it),
            _ => false,
        });
        self.paused || (!self.halted && all_well && self.steps.iter().any(left))
    }

    /// Tells whether it was given up since the service fails too often.
    #[must_use]
    pub const fn is_hopeless(&self) -> bool {
        self.hopeless
    }

    /// Tells whether the rest could as well be taken up later: something is left to be sent, and
    /// nothing is in doubt.
    #[must_use]
    pub fn can_pause(&self) -> bool {
        let waits = |it: &Step| matches!(it.state, State::Waiting | State::Ready) && it.sent == 0;
        self.done > 0
            && self.steps.iter().any(waits)
            && !self.steps.iter().any(|it| it.basis == Basis::New && it.in_doubt)
    }

    /// Returns the ids that markers have become.
    #[must_use]
    pub const fn ids(&self) -> &BTreeMap<String, String> {
        &self.ids
    }

    /// Returns how many requests are done, and how many there are.
    #[must_use]
    pub fn count(&self) -> (usize, usize) {
        let ended = self.steps.iter().filter(|it| matches!(it.state, State::Ended(_))).count();
        (ended, self.steps.len())
    }

    /// Returns how many requests were sent again, and how many conflicts were met.
    #[must_use]
    pub const fn counts(&self) -> (u64, u64) {
        (self.retries, self.conflicts)
    }

    /// Returns what was learned of the service, to go on with it.
    #[must_use]
    pub fn learned(&self) -> Option<Learned> {
        self.window.learned()
    }

    /// Tells whether everything has ended.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.steps.iter().all(|it| matches!(it.state, State::Ended(_)))
    }

    /// Returns how each request ended, with how often it was sent.
    pub fn ends(&self) -> impl Iterator<Item = (usize, &Part, u32, &End)> {
        self.steps.iter().filter_map(|it| match &it.state {
            State::Ended(end) => Some((self.changes[it.at].n, &it.part, it.sent, end)),
            _ => None,
        })
    }

    /// Returns when there is something to do if nothing happens before. What is due `since` that
    /// moment waits for something that is under way.
    #[must_use]
    pub fn wakes_at(&self, since: Option<Duration>) -> Option<Duration> {
        let due = |it: &Step| match it.state {
            State::Ready => Some(it.not_before.max(self.window.opens_at())),
            State::ToLook => Some(it.not_before.max(self.window.closed_until())),
            State::ToProbe => Some(it.not_before),
            _ => None,
        };
        self.steps.iter().filter_map(due).filter(|it| since.is_none_or(|since| *it > since)).min()
    }

    fn change(&self, at: usize) -> Cow<'_, Change> {
        let change = &self.changes[at];
        if self.ids.is_empty() || !self.has_markers[at] {
            return Cow::Borrowed(change);
        }
        with_ids(change, &self.ids).map_or(Cow::Borrowed(change), Cow::Owned)
    }

    fn roster(&self, step: &Step) -> Option<RosterId> {
        use crate::change::Write;
        let Write::Plan(edit) = &self.changes[step.at].write else { return None };
        let mut own = self.steps.iter().filter(|it| it.at == step.at && it.part == Part::Roster);
        match own.next() {
            Some(roster) => RosterId::parse(roster.made.as_deref()?).ok(),
            None => edit.known().roster.clone(),
        }
    }

    // Effects

    /// Returns what is to be done now.
    pub fn next(&mut self, now: Duration) -> Vec<Effect> {
        self.promote();
        let mut effects = Vec::new();
        for no in self.due(&State::ToProbe, now) {
            self.steps[no].state = State::Probing;
            effects.push(Effect::Probe(no));
        }
        if now >= self.window.closed_until() {
            let looks = self.due(&State::ToLook, now);
            for no in &looks {
                self.steps[*no].state = State::Looking;
            }
            effects.extend(looks.chunks(BATCH).map(|it| Effect::Look(it.to_vec())));
        }
        self.send_in_line(now, &mut effects);
        self.send_together(now, &mut effects);
        effects
    }

    fn due(&self, state: &State, now: Duration) -> Vec<StepNo> {
        let due = |it: &Step| it.state == *state && it.not_before <= now;
        let steps = self.steps.iter().enumerate();
        steps.filter(|(_, it)| due(it)).map(|(no, _)| no).collect()
    }

    /// Creates of one plan: one request at a time, in their order.
    fn send_in_line(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        let busy: BTreeSet<PlanId> = self
            .steps
            .iter()
            .filter(|it| it.state == State::Sent)
            .filter_map(|it| it.in_line.clone())
            .collect();
        let mut lines: BTreeMap<PlanId, Vec<StepNo>> = BTreeMap::new();
        // One with the title of another that is in doubt could be taken for it.
        let in_doubt = self.steps.iter().filter(|it| {
            it.in_line.is_some() && matches!(it.state, State::ToProbe | State::Probing)
        });
        let looked_for: Vec<_> = in_doubt.map(|it| self.looks_like(it)).collect();
        let mut held_up = busy;
        for (no, step) in self.steps.iter().enumerate() {
            let (Some(plan), State::Ready) = (&step.in_line, &step.state) else { continue };
            if step.not_before > now {
                // Nobody overtakes.
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

    /// What a create is known by when it is looked for.
    fn looks_like<'a>(&'a self, step: &'a Step) -> (Entity, &'a PlanId, &'a str, &'a Part) {
        let change = &self.changes[step.at];
        (change.entity(), change.plan(), change.title(), &step.part)
    }

    /// All else: as few requests as will do, of about equal size.
    fn send_together(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        let ready: Vec<StepNo> = self
            .due(&State::Ready, now)
            .into_iter()
            .filter(|no| self.steps[*no].in_line.is_none())
            .collect();
        let ready: Vec<StepNo> = match self.window.free(now) {
            free if free < ready.len() && free > BATCH => {
                // Whole batches: a part of one would cost as much as a full one.
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
            step.sent += 1;
            step.sent_at = now;
        }
        to.push(Effect::Send { steps, in_order });
    }

    /// Lets those go on whose turn has come, and ends those whose turn never will.
    fn promote(&mut self) {
        loop {
            // By level: whether something is open, and whether something did not end well.
            let mut levels: BTreeMap<u8, (bool, bool)> = BTreeMap::new();
            for step in &self.steps {
                let (open, bad) = levels.entry(step.level).or_default();
                match &step.state {
                    State::Ended(end) => *bad |= !end.is_well(),
                    _ => *open = true,
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
            // What ends may end what waits for it.
            if !moved {
                return;
            }
        }
    }

    /// Returns the state to go to, if it is another.
    fn turn(&self, no: StepNo, levels: &BTreeMap<u8, (bool, bool)>) -> Option<State> {
        let step = &self.steps[no];
        let previous = step.previous.map(|it| &self.steps[it].state);
        let after_own = match previous {
            None => true,
            Some(State::Ended(end)) if end.is_well() => true,
            Some(State::Ended(_)) => return Some(State::Ended(End::NotSent)),
            Some(_) => false,
        };
        // What was created gets its details, whatever stopped the rest.
        let completes = step.completes;
        let asks = step.in_doubt || (step.state == State::ToLook && step.sent > 0);
        if self.hopeless && (step.in_doubt || step.sent > 0) {
            let end = if step.in_doubt { End::Unknown } else { End::Failed };
            return Some(State::Ended(end));
        }
        if self.hopeless || (self.halted && !completes && !asks) {
            return Some(State::Ended(End::NotSent));
        }
        // What goes with a bucket or plan is looked at right before it goes.
        let takes_along = step.op == Op::Delete && self.changes[step.at].entity() != Entity::Task;
        if takes_along && self.done > 0 && step.state == State::Waiting && !self.is_busy(levels, no)
        {
            return Some(State::Ended(End::NotSent));
        }
        if self.paused && step.sent == 0 && !completes && step.state != State::ToLook {
            return Some(State::Ended(End::NotSent));
        }
        if step.state != State::Waiting {
            return None;
        }
        for (_, (open, bad)) in levels.range(..step.level) {
            if *open {
                return None;
            }
            if *bad && !completes {
                return Some(State::Ended(End::NotSent));
            }
        }
        if !after_own {
            return None;
        }
        if let Some(missing) = step.mentions.iter().find(|it| !self.ids.contains_key(*it)) {
            let maker = self.makers.get(missing);
            let mut of_maker =
                self.steps.iter().filter(|it| Some(&it.at) == maker && it.part == Part::Itself);
            return match of_maker.next().map(|it| &it.state) {
                // Two that mention each other in what they are made with wait for ever.
                Some(State::Waiting) if self.is_stuck() => {
                    Some(State::Ended(End::Mentions(missing.clone())))
                }
                // It was not begun; nor is what needs it.
                Some(State::Ended(End::NotSent)) => Some(State::Ended(End::NotSent)),
                Some(State::Ended(_)) | None => Some(State::Ended(End::Mentions(missing.clone()))),
                Some(_) => None,
            };
        }
        Some(match step.basis {
            Basis::New | Basis::Read(_) => State::Ready,
            Basis::Made | Basis::Moved => State::ToLook,
        })
    }

    /// Tells whether something of a lower level is still open, or did not end well.
    fn is_busy(&self, levels: &BTreeMap<u8, (bool, bool)>, no: StepNo) -> bool {
        levels.range(..self.steps[no].level).any(|(_, (open, bad))| *open || *bad)
    }

    /// Nothing is under way and nothing will be.
    fn is_stuck(&self) -> bool {
        self.steps.iter().all(|it| matches!(it.state, State::Waiting | State::Ended(_)))
    }
}

#[cfg(test)]
mod tests;
