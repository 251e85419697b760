//! A model of Planner with strict tags, in virtual time, and a run of the machine against it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use jiff::Timestamp;

use crate::change::apply::compare::Seen;
use crate::change::apply::event::{Answer, Effect, End, Look, Probed, StepNo};
use crate::change::apply::ledger::Ledger;
use crate::change::apply::lost::{Candidate, Lost, match_lost};
use crate::change::apply::step::{Job, Target};
use crate::change::apply::tests::tag;
use crate::change::apply::{Machine, Rules, State};
use crate::change::set::ChangeSet;
use crate::model::{ETag, Priority, Task, TaskDetails, TaskId, UserId, Versioned};

/// Numbers that look random and are the same in every run.
pub(in crate::change::apply) struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn one_in(&mut self, sides: u64) -> bool {
        self.roll(sides) == 0
    }
}

fn actor() -> UserId {
    UserId::parse("actor").unwrap()
}

/// The behaviour of the model.
#[derive(Clone, Copy, Default)]
pub(in crate::change::apply) struct Weather {
    /// One request in so many: refused with a 503, carried out and its answer lost, lost before.
    pub(in crate::change::apply) unavailable: u64,
    pub(in crate::change::apply) lost_after: u64,
    pub(in crate::change::apply) lost_before: u64,
    /// The limit on writes.
    pub(in crate::change::apply) limit: Option<Limit>,
    /// If `Retry-After` is rounded up to whole seconds.
    pub(in crate::change::apply) whole_seconds: bool,
    /// Another rate, after a number of writes.
    pub(in crate::change::apply) later: Option<(u32, f64)>,
    /// A single refusal without a limit behind it, after a number of writes.
    pub(in crate::change::apply) hiccup: Option<u32>,
    /// If latency varies by half in either direction.
    pub(in crate::change::apply) jitter: bool,
    /// Someone else edits what is about to be written, one time in so many.
    pub(in crate::change::apply) others: u64,
}

/// The way in which a service counts writes.
#[derive(Clone, Copy, Debug)]
pub(in crate::change::apply) enum Limit {
    /// A bucket of tokens.
    Bucket { per_second: f64, burst: f64 },
    /// A number of writes in each fixed window of time.
    Stretch { writes: u32, seconds: f64 },
}

impl Limit {
    pub(in crate::change::apply) const fn per_second(rate: f64) -> Self {
        Self::Bucket { per_second: rate, burst: rate }
    }
}

/// The used part of a limit.
#[derive(Clone, Copy, Default)]
pub(in crate::change::apply) struct Used {
    /// The tokens left at `since`.
    tokens: Option<f64>,
    /// The last update of the tokens, or the beginning of the window.
    since: Duration,
    in_stretch: u32,
    taken: u32,
    had_hiccup: bool,
}

impl Used {
    /// Takes a write, or returns the seconds to wait.
    fn take(&mut self, weather: &Weather, now: Duration) -> Result<(), f64> {
        // A request that overtakes another does not turn time back.
        let now = now.max(self.since);
        let passed = now.saturating_sub(self.since).as_secs_f64();
        if weather.hiccup == Some(self.taken) && !std::mem::replace(&mut self.had_hiccup, true) {
            return Err(1.0);
        }
        match weather.limit {
            None => {}
            Some(Limit::Bucket { mut per_second, burst }) => {
                if let Some((after, rate)) = weather.later
                    && self.taken >= after
                {
                    per_second = rate;
                }
                let tokens =
                    self.tokens.map_or(burst, |left| (left + passed * per_second).min(burst));
                (self.tokens, self.since) = (Some(tokens), now);
                if tokens < 1.0 - 1e-6 {
                    return Err((1.0 - tokens) / per_second);
                }
                self.tokens = Some(tokens - 1.0);
            }
            Some(Limit::Stretch { writes, seconds }) => {
                if self.taken == 0 {
                    self.since = now;
                } else if passed >= seconds - 1e-6 {
                    self.since += Duration::from_secs_f64((passed / seconds).floor() * seconds);
                    self.in_stretch = 0;
                }
                if self.in_stretch == writes {
                    return Err(seconds - now.saturating_sub(self.since).as_secs_f64());
                }
                self.in_stretch += 1;
            }
        }
        self.taken += 1;
        Ok(())
    }
}

/// A task in the model: what was written to it, one after another.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::change::apply) struct Kept {
    pub(in crate::change::apply) task: Task,
    pub(in crate::change::apply) version: u64,
    pub(in crate::change::apply) details: TaskDetails,
    pub(in crate::change::apply) details_version: u64,
    pub(in crate::change::apply) writes: Vec<String>,
}

/// A model of Planner with strict tags.
pub(in crate::change::apply) struct Model {
    pub(in crate::change::apply) weather: Weather,
    pub(in crate::change::apply) dice: Dice,
    pub(in crate::change::apply) tasks: BTreeMap<String, Kept>,
    pub(in crate::change::apply) used: Used,
    pub(in crate::change::apply) n_made: usize,
    /// In the order in which they were carried out.
    pub(in crate::change::apply) log: Vec<String>,
}

impl Model {
    pub(in crate::change::apply) fn new(
        seed: u64,
        weather: Weather,
        tasks: &[Versioned<Task>],
    ) -> Self {
        let kept = |read: &Versioned<Task>| Kept {
            task: read.value.clone(),
            version: 1,
            details: TaskDetails::default(),
            details_version: 1,
            writes: Vec::new(),
        };
        Self {
            weather,
            dice: Dice(seed),
            tasks: tasks.iter().map(|read| (read.value.id.to_string(), kept(read))).collect(),
            used: Used::default(),
            n_made: 0,
            log: Vec::new(),
        }
    }

    fn candidates(&self) -> Vec<Candidate> {
        let task = |kept: &Kept| Candidate::Task(Box::new(kept.task.clone()));
        self.tasks.values().map(task).collect()
    }

    /// Takes one write; returns its answer.
    fn write(&mut self, now: Duration, job: &Job, tag_given: Option<&ETag>) -> Answer {
        if let Err(wait) = self.used.take(&self.weather, now) {
            let wait = if self.weather.whole_seconds { wait.ceil() } else { wait + 0.001 };
            return Answer::Throttled(Some(Duration::from_secs_f64(wait)));
        }
        match job {
            Job::CreateTask(task) => {
                self.n_made += 1;
                let id = format!("made{}", self.n_made);
                self.log.push(format!("create {}", task.title));
                let made = Kept {
                    task: Task {
                        id: TaskId::parse(&id).unwrap(),
                        created_by: Some(actor()),
                        created_at: Some(Timestamp::UNIX_EPOCH),
                        ..(**task).clone()
                    },
                    version: 1,
                    details: TaskDetails::default(),
                    details_version: 1,
                    writes: Vec::new(),
                };
                self.tasks.insert(id.clone(), made);
                Answer::Done { id: Some(id), tag: None }
            }
            Job::UpdateTask(states) => {
                let Some(kept) = self.tasks.get_mut(states.0.id.as_str()) else {
                    return Answer::NotFound;
                };
                if tag_given != Some(&tag(kept.version)) {
                    return Answer::Conflict;
                }
                kept.task.title.clone_from(&states.1.title);
                kept.version += 1;
                kept.writes.push(states.1.title.clone());
                self.log.push(format!("update {}", states.0.id));
                Answer::Done { id: None, tag: Some(tag(kept.version)) }
            }
            Job::UpdateDetails(id, states) => {
                let Some(kept) = self.tasks.get_mut(id.as_str()) else { return Answer::NotFound };
                if tag_given != Some(&tag(kept.details_version)) {
                    return Answer::Conflict;
                }
                kept.details.description.clone_from(&states.1.description);
                kept.details_version += 1;
                kept.writes.push(states.1.description.clone());
                self.log.push(format!("details {id}"));
                Answer::Done { id: None, tag: Some(tag(kept.details_version)) }
            }
            Job::DeleteTask(id) => {
                let Some(kept) = self.tasks.get(id.as_str()) else { return Answer::NotFound };
                if tag_given != Some(&tag(kept.version)) {
                    return Answer::Conflict;
                }
                self.tasks.remove(id.as_str());
                self.log.push(format!("delete {id}"));
                Answer::Done { id: None, tag: None }
            }
            other => panic!("{other:?}"),
        }
    }

    /// Takes one request; `None` for an answer that does not come.
    fn request(
        &mut self,
        now: Duration,
        jobs: &[(Job, Option<ETag>)],
        in_order: bool,
    ) -> Vec<Answer> {
        let doubt = |in_doubt| vec![Answer::Unavailable { wait: None, in_doubt }; jobs.len()];
        let w = self.weather;
        if w.unavailable > 0 && self.dice.one_in(w.unavailable) {
            return doubt(true);
        }
        if w.lost_before > 0 && self.dice.one_in(w.lost_before) {
            return doubt(true);
        }
        if w.others > 0 && self.dice.one_in(w.others) {
            let at = self.dice.roll(jobs.len() as u64) as usize;
            if let Job::UpdateTask(states) = &jobs[at].0
                && let Some(kept) = self.tasks.get_mut(states.0.id.as_str())
            {
                kept.version += 1;
                kept.task.priority = Priority::new(1).unwrap();
            }
        }
        let mut answers: Vec<Answer> = Vec::new();
        for (job, tag) in jobs {
            let stopped = in_order
                && answers.last().is_some_and(|answer| !matches!(answer, Answer::Done { .. }));
            let answer =
                if stopped { Answer::NotTried } else { self.write(now, job, tag.as_ref()) };
            answers.push(answer);
        }
        if w.lost_after > 0 && self.dice.one_in(w.lost_after) { doubt(true) } else { answers }
    }
}

/// The outcome of a simulated round.
pub(in crate::change::apply) struct Outcome {
    pub(in crate::change::apply) machine: Machine,
    pub(in crate::change::apply) model: Model,
    pub(in crate::change::apply) took: Duration,
    pub(in crate::change::apply) requests: usize,
    /// Requests that left before the service had asked to come back.
    pub(in crate::change::apply) early: usize,
    pub(in crate::change::apply) largest: usize,
    /// Writes refused before the first refusal was known.
    pub(in crate::change::apply) unwarned: usize,
    /// The number of refusals, those that were under way together counted as one.
    pub(in crate::change::apply) refusals: usize,
}

/// Carries out a set against the model, an answer taking so long.
pub(in crate::change::apply) fn simulate(
    set: &ChangeSet,
    mut model: Model,
    latency: Duration,
    rules: Rules,
) -> Outcome {
    let mut machine = Machine::new(set.changes(), Ledger::default(), rules);
    let mut now = Duration::ZERO;
    let mut coming: VecDeque<(Duration, Event)> = VecDeque::new();
    let (mut requests, mut early, mut largest) = (0, 0, 0);
    let (mut unwarned, mut refusals, mut warned_at) = (0, 0, None);
    let mut closed_until = Duration::ZERO;
    enum Event {
        Answered(Duration, Vec<(StepNo, Answer)>),
        Looked(Vec<(StepNo, Look)>),
        Probed(Vec<(StepNo, Probed)>),
    }
    for _ in 0..1_000_000 {
        for effect in machine.next(now) {
            match effect {
                Effect::Send { steps, in_order } => {
                    requests += 1;
                    largest = largest.max(steps.len());
                    early += usize::from(now < closed_until);
                    check_order(&machine, &steps);
                    let jobs: Vec<_> = steps.iter().map(|no| machine.job(*no).unwrap()).collect();
                    let mut latency = latency;
                    if model.weather.jitter {
                        latency = latency * (50 + model.dice.roll(100) as u32) / 100;
                    }
                    let answers = model.request(now + latency / 2, &jobs, in_order);
                    let answers = steps.into_iter().zip(answers).collect();
                    coming.push_back((now + latency, Event::Answered(now, answers)));
                }
                Effect::Look(steps) => {
                    let look = |no: &StepNo| {
                        let seen = match machine.target(*no).unwrap() {
                            Target::Task(id) => model.tasks.get(id.as_str()).map(|kept| {
                                Seen::Task(Box::new(Versioned::new(
                                    kept.task.clone(),
                                    tag(kept.version),
                                )))
                            }),
                            Target::Details(id) => model.tasks.get(id.as_str()).map(|kept| {
                                let now =
                                    Versioned::new(kept.details.clone(), tag(kept.details_version));
                                Seen::Details(Box::new(now))
                            }),
                            other => panic!("{other:?}"),
                        };
                        (*no, seen.map_or(Look::Gone, |seen| Look::There(Box::new(seen))))
                    };
                    let looks = steps.iter().map(look).collect();
                    coming.push_back((now + latency, Event::Looked(looks)));
                }
                Effect::Probe { steps, .. } => {
                    let lost: Vec<Lost> = steps
                        .iter()
                        .map(|no| Lost {
                            no: *no,
                            job: machine.job(*no).unwrap().0,
                            since: Timestamp::UNIX_EPOCH,
                            known: machine.ids().values().cloned().collect(),
                            is_denied: false,
                            undecided: BTreeSet::new(),
                        })
                        .collect();
                    let candidates: Vec<Candidate> = model.candidates();
                    let matched = match_lost(&lost, &candidates, &actor());
                    let probed = matched
                        .into_iter()
                        .map(|(no, result)| (no, Probed::Matched(result)))
                        .collect();
                    coming.push_back((now + latency, Event::Probed(probed)));
                }
            }
        }
        if machine.is_done() && coming.is_empty() {
            return Outcome {
                machine,
                model,
                took: now,
                requests,
                early,
                largest,
                unwarned,
                refusals,
            };
        }
        let next = coming.iter().map(|event| event.0).chain(machine.wakes_at(Some(now))).min();
        now = next.expect("nothing will ever happen again");
        while let Some(at) = coming.iter().position(|event| event.0 <= now) {
            match coming.remove(at).unwrap().1 {
                Event::Answered(sent_at, answers) => {
                    for (_, answer) in &answers {
                        if let Answer::Throttled(Some(wait)) = answer {
                            closed_until = closed_until.max(now + *wait);
                            if warned_at.is_none_or(|at| sent_at >= at) {
                                (refusals, warned_at) = (refusals + 1, Some(now));
                            }
                            unwarned += usize::from(refusals == 1);
                        }
                    }
                    machine.answered(now, answers);
                }
                Event::Looked(looks) => machine.looked(now, looks),
                Event::Probed(probed) => machine.probed(now, probed),
            }
        }
    }
    panic!("it never ends");
}

/// Checks that nothing goes out before its predecessors have ended, and no object twice in one
/// request.
pub(in crate::change::apply) fn check_order(machine: &Machine, steps: &[StepNo]) {
    for no in steps {
        let step = &machine.steps[*no];
        let before = machine.steps.iter().filter(|other| other.level < step.level);
        assert!(before.into_iter().all(|other| matches!(other.state, State::Ended(_))), "levels");
        if let Some(previous) = step.previous {
            assert!(matches!(machine.steps[previous].state, State::Ended(End::Done)), "parts");
        }
    }
    let objects: BTreeSet<_> = steps.iter().map(|no| machine.steps[*no].at).collect();
    assert_eq!(objects.len(), steps.len(), "one request of a change at a time");
}
