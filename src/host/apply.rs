//! Carrying out a cleared set: the driver of the apply state machine.
//!
//! The machine decides; here its effects are carried out: each write is recorded before it leaves
//! and again when it is known what came of it, both in one go for all that go together. Nothing
//! here sends anything that the machine has not asked for.

pub(crate) mod before_images;
pub(crate) mod current;
pub(crate) mod drift;
pub mod outcome;
pub(crate) mod probe;
pub(crate) mod request;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::change::ChangeSet;
use crate::change::apply::{Answer, Effect, End, Job, Look, Machine, Part, Probed, Rules, StepNo};
use crate::graph::{Attempt, Client, Error, Order};
use crate::host::Failure;
use crate::host::apply::outcome::failure;
use crate::host::apply::probe::{Lost, candidates};
use crate::host::apply::request::{answer_of, look, of_job};
use crate::host::progress::Watch;
use crate::host::recover::record::Record;
use crate::host::stop::Stop;
use crate::journal::{Intent, Outcome as Settlement, Settled, StepId};
use crate::model::{Clock, UserId};
use crate::wire::Request;

pub use crate::host::apply::outcome::Outcome;

/// How long a round may go on before what is left of it is validated again.
pub(crate) const VALID_FOR: Duration = Duration::from_secs(30);
/// How often in a row nothing may be done although something is due.
const MAX_IDLE: u32 = 100;

/// What a driver works with.
pub(crate) struct Driver<'a> {
    pub(crate) client: &'a Client,
    pub(crate) clock: &'a dyn Clock,
    /// The moment of the run.
    pub(crate) now: Timestamp,
    pub(crate) actor: &'a UserId,
    /// Where it is recorded, and as which round.
    pub(crate) record: Option<(&'a Record, u32)>,
    pub(crate) stop: &'a Stop,
    pub(crate) watch: &'a Watch,
    /// The ids of what was there before: none of them can be what a create has made.
    pub(crate) known: BTreeSet<String>,
}

/// What came of a round.
pub(crate) struct Driven {
    pub(crate) machine: Machine,
    /// Why requests were not done.
    pub(crate) errors: BTreeMap<StepNo, Arc<Error>>,
    /// Why nothing more was sent: what was done could not be recorded.
    pub(crate) broken: Option<Failure>,
}

/// Something under way that has come back.
enum Flight {
    Wrote(Vec<(StepNo, Answer, Attempt)>),
    Looked(Vec<(StepNo, Look, Option<Arc<Error>>)>),
    Probed(StepNo, Probed),
}

/// A write with its request.
struct Outgoing {
    no: StepNo,
    job: Job,
    request: Request,
    id: String,
}

struct Work<'a> {
    driver: &'a Driver<'a>,
    machine: Machine,
    errors: BTreeMap<StepNo, Arc<Error>>,
    broken: Option<Failure>,
    flights: JoinSet<Flight>,
    settled: Vec<Settled>,
    sent_at: BTreeMap<StepNo, (Timestamp, String)>,
    began: Instant,
    /// When the machine was asked last what is to be done.
    looked_at: Duration,
}

/// Carries out a set, numbered from 1, until nothing of it is left to be done for now.
pub(crate) async fn drive(
    driver: &Driver<'_>,
    set: &ChangeSet,
    ids: BTreeMap<String, String>,
    rules: Rules,
) -> Driven {
    let mut work = Work {
        driver,
        machine: Machine::new(set.changes(), ids, rules),
        errors: BTreeMap::new(),
        broken: None,
        flights: JoinSet::new(),
        settled: Vec::new(),
        sent_at: BTreeMap::new(),
        began: Instant::now(),
        looked_at: Duration::ZERO,
    };
    let mut idle = 0;
    loop {
        let stopped = driver.stop.is_set();
        if stopped {
            work.machine.halt();
        } else if work.began.elapsed() > VALID_FOR && work.machine.can_pause() {
            work.machine.pause();
        }
        work.carry_out().await;
        let (done, total) = work.machine.count();
        driver.watch.applied(done, total);
        if work.flights.is_empty() {
            if work.machine.is_done() {
                break;
            }
            // What has become due meanwhile is done at once.
            if work.machine.wakes_at(None).is_none_or(|it| it <= work.now()) {
                idle += 1;
                if idle > MAX_IDLE {
                    // Nothing can happen any more: what is left is ended rather than waited for.
                    tracing::error!("the apply machine is stuck");
                    work.machine.give_up();
                }
                continue;
            }
        }
        idle = 0;
        let since = (!work.flights.is_empty()).then_some(work.looked_at);
        let wake = work.machine.wakes_at(since).map(|it| work.began + it);
        tokio::select! {
            biased;
            Some(flight) = work.flights.join_next() => {
                work.landed(flight);
                while let Some(flight) = work.flights.try_join_next() {
                    work.landed(flight);
                }
            }
            () = sleep_until(wake) => {}
            () = driver.stop.wait(), if !stopped => {}
        }
    }
    let Work { machine, errors, mut broken, .. } = work;
    if machine.is_hopeless() {
        broken.get_or_insert_with(|| Failure {
            code: "unavailable".into(),
            message: "the service fails one request after another: nothing more was sent".into(),
            hint: Some("try again later; `planwright resume` carries on what was begun".into()),
            ..Failure::default()
        });
    }
    Driven { machine, errors, broken }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

impl Work<'_> {
    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Carries out what is to be done now. What goes out is on record before.
    async fn carry_out(&mut self) {
        loop {
            self.looked_at = self.now();
            let effects = self.machine.next(self.looked_at);
            let mut sends = Vec::new();
            for effect in effects {
                match effect {
                    Effect::Send { steps, in_order } => sends.push(self.outgoing(steps, in_order)),
                    Effect::Look(steps) => self.look(steps),
                    Effect::Probe(no) => self.probe(no),
                }
            }
            let intents = sends.iter().flat_map(|(all, _)| self.intents(all)).collect();
            if let Err(failure) = self.record(intents).await {
                // Not on record, so not sent; and nothing after it.
                self.broken.get_or_insert(failure);
                for (outgoing, _) in sends {
                    let refused = outgoing.iter().map(|it| (it.no, Answer::Refused)).collect();
                    self.machine.answered(self.now(), refused);
                }
                self.machine.halt();
                continue;
            }
            for (outgoing, in_order) in sends {
                self.send(outgoing, in_order);
            }
            return;
        }
    }

    fn outgoing(&mut self, steps: Vec<StepNo>, in_order: bool) -> (Vec<Outgoing>, bool) {
        let mut all = Vec::with_capacity(steps.len());
        for no in steps {
            let job = self.machine.job(no);
            let request = job.as_ref().and_then(|(job, tag)| of_job(job, tag.clone()));
            match (job, request) {
                (Some((job, _)), Some(request)) => {
                    let id = uuid::Uuid::now_v7().to_string();
                    all.push(Outgoing { no, job, request, id });
                }
                // Nothing differs on the wire.
                (Some(_), None) => {
                    let done = Answer::Done { id: None, tag: None };
                    self.machine.answered(self.now(), vec![(no, done)]);
                }
                (None, _) => self.machine.answered(self.now(), vec![(no, Answer::Refused)]),
            }
        }
        (all, in_order)
    }

    fn intents(&self, outgoing: &[Outgoing]) -> Vec<Intent> {
        let intent = |it: &Outgoing| Intent {
            step: self.step_id(it.no),
            attempt: self.machine.sent(it.no),
            method: it.request.method().as_str().to_owned(),
            path: it.request.path().to_owned(),
            if_match: it.request.if_match().map(|it| it.as_str().to_owned()),
            body: it.request.body().cloned(),
            request_id: it.id.clone(),
        };
        outgoing.iter().map(intent).collect()
    }

    fn step_id(&self, no: StepNo) -> StepId {
        let (n, part) = self.machine.step(no);
        let round = self.driver.record.map_or(0, |(_, round)| round);
        StepId { round, n, step: part.to_string() }
    }

    async fn record(&mut self, intents: Vec<Intent>) -> Result<(), Failure> {
        let settled = std::mem::take(&mut self.settled);
        let Some((record, _)) = self.driver.record else { return Ok(()) };
        if self.broken.is_some() && intents.is_empty() {
            // What was written is written, whether it can be recorded or not.
            return Ok(());
        }
        record.go_on(settled, intents).await
    }

    // What goes out

    fn send(&mut self, outgoing: Vec<Outgoing>, in_order: bool) {
        if outgoing.is_empty() {
            return;
        }
        let at = self.driver.clock.now();
        for it in &outgoing {
            self.sent_at.insert(it.no, (at, it.request.path().to_owned()));
        }
        let client = self.driver.client.clone();
        let (made, now) = (self.machine.ids().clone(), self.driver.now);
        let order = if in_order { Order::OneByOne } else { Order::Any };
        self.flights.spawn(async move {
            let attempts = match outgoing.as_slice() {
                [one] => vec![client.attempt(&one.request, &one.id).await],
                many => {
                    let requests: Vec<&Request> = many.iter().map(|it| &it.request).collect();
                    let id = uuid::Uuid::now_v7().to_string();
                    client.attempt_many(&requests, order, &id).await
                }
            };
            let mut answers = Vec::with_capacity(outgoing.len());
            for (it, attempt) in outgoing.iter().zip(attempts) {
                let answer = answer_of(&client, &it.job, &attempt, &made, now).await;
                answers.push((it.no, answer, attempt));
            }
            Flight::Wrote(answers)
        });
    }

    fn look(&mut self, steps: Vec<StepNo>) {
        let mut targets = Vec::with_capacity(steps.len());
        for no in steps {
            match self.machine.target(no) {
                Some(target) => targets.push((no, target)),
                None => self.machine.looked(self.now(), vec![(no, Look::Failed)]),
            }
        }
        let client = self.driver.client.clone();
        self.flights.spawn(async move { Flight::Looked(look(&client, targets).await) });
    }

    fn probe(&mut self, no: StepNo) {
        let (_, part) = self.machine.step(no);
        let Some((at, path)) = self.sent_at.get(&no).cloned() else {
            self.machine.probed(self.now(), no, Probed::CanNotTell);
            return;
        };
        let mut known = self.driver.known.clone();
        known.extend(self.machine.ids().values().cloned());
        let lost = Lost {
            change: self.machine.change_of(no).into_owned(),
            part: part.clone(),
            path,
            at,
            actor: self.driver.actor.clone(),
            known,
        };
        let (client, claims) =
            (self.driver.client.clone(), self.driver.record.map(|(record, _)| record.claims()));
        self.flights.spawn(async move {
            let Ok(mut found) = candidates(&client, &lost).await else {
                return Flight::Probed(no, Probed::Failed);
            };
            // The same person may be added by many; what is created is made by one.
            if let (Some(claims), false) = (claims, matches!(lost.part, Part::Member(_))) {
                let Ok(free) = claims.unclaimed(found).await else {
                    return Flight::Probed(no, Probed::CanNotTell);
                };
                found = free;
            }
            let probed = match found.as_slice() {
                [] => Probed::Nothing,
                [one] => Probed::Found(one.clone()),
                // Which of them is ours is for a person to say.
                _ => Probed::CanNotTell,
            };
            Flight::Probed(no, probed)
        });
    }

    // What comes back

    fn landed(&mut self, flight: Result<Flight, tokio::task::JoinError>) {
        let flight = match flight {
            Ok(flight) => flight,
            Err(failed) => std::panic::resume_unwind(failed.into_panic()),
        };
        let now = self.now();
        match flight {
            Flight::Wrote(answers) => {
                for (no, answer, attempt) in &answers {
                    let settled = self.settled_by(*no, answer, attempt);
                    self.settled.push(settled);
                    match &attempt.result {
                        Err(error) => _ = self.errors.insert(*no, Arc::clone(error)),
                        Ok(_) => _ = self.errors.remove(no),
                    }
                }
                let answers = answers.into_iter().map(|(no, answer, _)| (no, answer)).collect();
                self.machine.answered(now, answers);
            }
            Flight::Looked(looks) => {
                for (no, look, error) in looks {
                    if let Some(error) = error {
                        self.errors.insert(no, error);
                    }
                    let in_doubt = self.machine.in_doubt(no);
                    self.machine.looked(now, vec![(no, look)]);
                    self.found_out(no, in_doubt, None);
                }
            }
            Flight::Probed(no, probed) => {
                let id = match &probed {
                    Probed::Found(id) => Some(id.clone()),
                    _ => None,
                };
                let in_doubt = self.machine.in_doubt(no);
                self.machine.probed(now, no, probed);
                self.found_out(no, in_doubt, id);
            }
        }
    }

    fn settled_by(&self, no: StepNo, answer: &Answer, attempt: &Attempt) -> Settled {
        let in_doubt = self.machine.in_doubt(no);
        let outcome = match answer {
            Answer::Done { .. } => Settlement::Applied,
            Answer::NotFound if in_doubt && self.machine.deletes(no) => Settlement::Applied,
            // What it conflicts with may be an attempt of our own.
            Answer::Conflict if in_doubt => Settlement::Unknown,
            Answer::Conflict => Settlement::Conflict,
            Answer::NotFound if in_doubt => Settlement::Conflict,
            Answer::Unavailable { in_doubt: true, .. } => Settlement::Unknown,
            // An attempt before this one may have done it.
            _ if in_doubt => Settlement::Unknown,
            Answer::Unavailable { .. }
            | Answer::NotFound
            | Answer::NotYet(_)
            | Answer::Throttled(_)
            | Answer::NotTried
            | Answer::Refused => Settlement::Refused,
        };
        let (id, tag) = match answer {
            Answer::Done { id, tag } => (id.clone(), tag.as_ref().map(|it| it.as_str().to_owned())),
            _ => (None, None),
        };
        let error = attempt.result.as_ref().err();
        let refusal = error.and_then(|it| it.refusal());
        Settled {
            step: self.step_id(no),
            attempt: self.machine.sent(no),
            outcome,
            status: refusal.map(|it| it.status),
            entity_id: id,
            etag: tag,
            service_request_id: refusal.and_then(|it| it.request_id.clone()),
            message: error.map(ToString::to_string),
        }
    }

    /// Records what was found out about a write whose answer did not tell.
    fn found_out(&mut self, no: StepNo, was_in_doubt: bool, entity_id: Option<String>) {
        let outcome = match self.machine.end_of(no) {
            Some(End::Done) => Settlement::Applied,
            Some(End::Moved(_) | End::Clash(_) | End::Gone) => Settlement::Conflict,
            None if !self.machine.in_doubt(no) => Settlement::Refused,
            _ => return,
        };
        if !was_in_doubt {
            return;
        }
        self.settled.push(Settled {
            step: self.step_id(no),
            attempt: self.machine.sent(no),
            outcome,
            status: None,
            entity_id,
            etag: None,
            service_request_id: None,
            message: None,
        });
    }
}

impl Driven {
    /// Returns what came of each change that was to be carried out, by its number.
    pub(crate) fn outcomes(&self) -> BTreeMap<usize, Outcome> {
        let mut by_change: BTreeMap<usize, Vec<(StepNo, u32, End)>> = BTreeMap::new();
        for (no, (n, _, sent, end)) in self.machine.ends().enumerate() {
            by_change.entry(n).or_default().push((no, sent, end.clone()));
        }
        by_change.into_iter().map(|(n, ends)| (n, self.outcome(&ends))).collect()
    }

    fn outcome(&self, ends: &[(StepNo, u32, End)]) -> Outcome {
        let of = |it: &(StepNo, u32, End)| Outcome::of_end(&it.2, self.error_of(it.0));
        // The worst of its requests is what it came to.
        let mut outcome =
            ends.iter().map(of).max_by_key(Outcome::weight).unwrap_or_else(Outcome::applied);
        outcome.attempts = ends.iter().map(|it| it.1).sum();
        outcome.wrote = ends.iter().any(|it| it.2 == End::Done);
        outcome.in_part()
    }

    fn error_of(&self, no: StepNo) -> Option<Failure> {
        self.errors.get(&no).map(|it| failure(it)).or_else(|| self.broken.clone())
    }
}
