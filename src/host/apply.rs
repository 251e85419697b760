//! The driver of the apply state machine, which carries out a cleared set.
//!
//! The machine decides; the driver carries out its effects. Each write is recorded before it
//! leaves, and its outcome once that is known, both in one go for all that go together. Nothing
//! here sends anything that the machine has not asked for.

pub(crate) mod before_images;
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
use tracing::Instrument as _;

use crate::change::apply::{
    Answer, Attempted, Effect, End, Job, Look, Lost, Machine, Parent, Probed, StepNo, match_lost,
};
use crate::graph::{Attempt, Client, Error, Order};
use crate::host::apply::outcome::failure;
use crate::host::apply::probe::candidates;
use crate::host::apply::request::{answer_of, look, of_job};
use crate::host::failure::Failure;
use crate::host::progress::Watch;
use crate::host::record::{Claims, Record};
use crate::host::stop::Stop;
use crate::journal::{Intent, Outcome as Settlement, RunId, Settled, StepId};
use crate::model::{Clock, UserId};
use crate::wire::Request;

pub use crate::host::apply::outcome::Outcome;

/// The time that a round may go on before what is left of it is validated again.
pub(crate) const VALID_FOR: Duration = Duration::from_secs(30);
/// The times in a row that nothing may come of asking the machine, although something is due.
const MAX_IDLE: u32 = 100;

/// The surroundings of a driver.
pub(crate) struct Driver<'a> {
    pub(crate) client: &'a Client,
    pub(crate) clock: &'a dyn Clock,
    /// The moment of the run.
    pub(crate) now: Timestamp,
    pub(crate) actor: &'a UserId,
    /// The record, with the number of the round; `None` where nothing is recorded.
    pub(crate) record: Option<(&'a Record, u32)>,
    /// The register of what other runs have created.
    pub(crate) claims: Option<Claims>,
    /// The attempts of an earlier run that are in doubt, while they are being settled: nothing else
    /// is recorded then.
    pub(crate) settles: Option<&'a BTreeMap<PartNo, Unsettled>>,
    pub(crate) stop: &'a Stop,
    pub(crate) watch: &'a Watch,
}

/// A part of a change, by the number of the change and the part's name in the journal.
pub(crate) type PartNo = (usize, String);

/// An attempt of an earlier run whose answer was lost.
#[derive(Debug, Clone)]
pub(crate) struct Unsettled {
    pub(crate) run: RunId,
    pub(crate) step: StepId,
    pub(crate) attempt: u32,
    /// The moment right before it was sent, by the service's clock.
    pub(crate) since: Timestamp,
    /// The entities that, by a person's word, it has not created; `None` if no person has decided.
    pub(crate) ruled_out: Option<BTreeSet<String>>,
    /// The entities that a person was shown as its possible result, and has not decided about.
    pub(crate) undecided: BTreeSet<String>,
}

/// The outcome of a round.
pub(crate) struct Driven {
    pub(crate) machine: Machine,
    /// The reasons of failed requests.
    pub(crate) errors: BTreeMap<StepNo, Arc<Error>>,
    /// The reason that nothing more was sent: the outcomes could not be recorded.
    pub(crate) broken: Option<Failure>,
}

/// Something under way that has come back.
enum Flight {
    Wrote(Vec<(StepNo, Answer, Attempt)>),
    Looked(Vec<(StepNo, Look, Option<Arc<Error>>)>),
    Probed(Vec<(StepNo, Probed)>),
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
    /// The moments right before sending, by the service's clock.
    sent_at: BTreeMap<StepNo, Timestamp>,
    began: Instant,
    /// The moment of the last question to the machine.
    looked_at: Duration,
}

/// Carries out what a machine asks for, until nothing is left to do for now.
pub(crate) async fn drive(driver: &Driver<'_>, machine: Machine) -> Driven {
    let mut work = Work {
        driver,
        machine,
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
            // Something became due while the last effects were carried out.
            if work.machine.wakes_at(None).is_none_or(|at| at <= work.now()) {
                idle += 1;
                if idle > MAX_IDLE {
                    // Nothing can happen any more: better an end than an endless wait.
                    tracing::error!("the apply machine is stuck");
                    work.machine.give_up();
                }
                continue;
            }
        }
        idle = 0;
        // With requests under way only what falls due later wakes the loop: what was due already
        // waits for them.
        let since = (!work.flights.is_empty()).then_some(work.looked_at);
        let wake = work.machine.wakes_at(since).map(|at| work.began + at);
        tokio::select! {
            biased;
            Some(flight) = work.flights.join_next() => {
                work.landed(flight);
                // All that has landed is recorded in one transaction with the next intents.
                while let Some(flight) = work.flights.try_join_next() {
                    work.landed(flight);
                }
            }
            () = sleep_until(wake) => {}
            () = driver.stop.wait(), if !stopped => {}
        }
    }
    // The last outcomes have no further intent to travel with.
    if let Err(failure) = work.record(Vec::new()).await {
        work.broken.get_or_insert(failure);
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

    /// Carries out what is due now. A write is on record before it goes out.
    async fn carry_out(&mut self) {
        loop {
            self.looked_at = self.now();
            let effects = self.machine.next(self.looked_at);
            let mut sends = Vec::new();
            for effect in effects {
                match effect {
                    Effect::Send { steps, in_order } => sends.push(self.outgoing(steps, in_order)),
                    Effect::Look(steps) => self.look(steps),
                    Effect::Probe { parent, steps } => self.probe(parent, steps),
                }
            }
            let intents = sends.iter().flat_map(|(all, _)| self.intents(all)).collect();
            if let Err(failure) = self.record(intents).await {
                // An unrecorded write could not be recovered after a crash: neither it nor anything
                // after it is sent.
                self.broken.get_or_insert(failure);
                for (outgoing, _) in sends {
                    let refused = outgoing.iter().map(|one| (one.no, Answer::Refused)).collect();
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
                // The change makes no difference on the wire: done without a request.
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
        let intent = |one: &Outgoing| Intent {
            step: self.step_id(one.no),
            attempt: self.machine.sent(one.no),
            method: one.request.method().as_str().to_owned(),
            path: one.request.path().to_owned(),
            if_match: one.request.if_match().map(|tag| tag.as_str().to_owned()),
            body: one.request.body().cloned(),
            request_id: one.id.clone(),
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
        if let (Some(of), Some(claims)) = (self.driver.settles, &self.driver.claims) {
            // These attempts are on record already, under the run that sent them.
            let settled = settled.into_iter().filter_map(|entry| {
                let of = of.get(&(entry.step.n, entry.step.step.clone()))?;
                let (step, attempt) = (of.step.clone(), of.attempt);
                Some((of.run.clone(), Settled { step, attempt, ..entry }))
            });
            return claims.settle(settled.collect(), self.driver.clock.now()).await;
        }
        let Some((record, _)) = self.driver.record else { return Ok(()) };
        if self.broken.is_some() && intents.is_empty() {
            // The journal has failed before; the writes have happened all the same.
            return Ok(());
        }
        let recorded = record.go_on(settled.clone(), intents).await;
        if recorded.is_err() {
            // The outcomes are kept even if the new intents could not be recorded.
            let _kept = record.go_on(settled, Vec::new()).await;
        }
        recorded
    }

    // What goes out

    fn send(&mut self, outgoing: Vec<Outgoing>, in_order: bool) {
        if outgoing.is_empty() {
            return;
        }
        // A lost create is searched for by its creation time, which the service's clock gives.
        let at = self.driver.client.service_time(self.driver.clock.now());
        self.sent_at.extend(outgoing.iter().map(|one| (one.no, at)));
        let client = self.driver.client.clone();
        let (made, now) = (self.machine.ids().clone(), self.driver.now);
        let order = if in_order { Order::OneByOne } else { Order::Any };
        let writing = async move {
            let attempts = match outgoing.as_slice() {
                [one] => vec![client.attempt(&one.request, &one.id).await],
                many => {
                    let requests: Vec<&Request> = many.iter().map(|one| &one.request).collect();
                    let id = uuid::Uuid::now_v7().to_string();
                    client.attempt_many(&requests, order, &id).await
                }
            };
            let mut answers = Vec::with_capacity(outgoing.len());
            for (one, attempt) in outgoing.iter().zip(attempts) {
                // Within the flight, since the meaning of a refusal may take a further read.
                let answer = answer_of(&client, &one.job, &attempt, &made, now).await;
                answers.push((one.no, answer, attempt));
            }
            Flight::Wrote(answers)
        };
        self.flights.spawn(writing.in_current_span());
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
        let looking = async move { Flight::Looked(look(&client, targets).await) };
        self.flights.spawn(looking.in_current_span());
    }

    /// Searches one list for the entities of all lost creates, in one sweep.
    fn probe(&mut self, parent: Parent, steps: Vec<StepNo>) {
        let own: Vec<String> = self.machine.ids().values().cloned().collect();
        let lost = steps.iter().filter_map(|no| {
            let mut known = self.machine.change_of(*no).same_name.clone();
            known.extend(own.iter().cloned());
            let doubt = self.unsettled(*no);
            let ruled_out = doubt.and_then(|doubt| doubt.ruled_out.clone());
            let is_denied = ruled_out.is_some();
            known.extend(ruled_out.into_iter().flatten());
            let undecided = doubt.map(|doubt| doubt.undecided.clone()).unwrap_or_default();
            // Entities that had that name before, those this run has created itself and those a person
            // has ruled out are no candidates.
            let (job, since) = (self.machine.job(*no)?.0, self.since(*no)?);
            Some(Lost { no: *no, job, since, known, is_denied, undecided })
        });
        let mut lost: Vec<Lost> = lost.collect();
        // No other create may take what a person will be asked about.
        lost.extend(self.parked(&parent));
        let (client, actor) = (self.driver.client.clone(), self.driver.actor.clone());
        let claims = self.driver.claims.clone();
        let probing = async move {
            // A list that could not be read is no proof: taken for "not there", it would have the
            // create sent a second time.
            let failed = || Flight::Probed(steps.iter().map(|no| (*no, Probed::Failed)).collect());
            let Ok(found) = candidates(&client, &parent).await else { return failed() };
            let ids: BTreeSet<String> = found.iter().map(|one| one.id().to_owned()).collect();
            let Ok(free) = unclaimed(claims, found, &parent).await else { return failed() };
            for one in &mut lost {
                // A candidate that another change has claimed since is no longer in question.
                let is_free = |id: &String| free.iter().any(|candidate| candidate.id() == id);
                one.undecided
                    .retain(|id| !one.known.contains(id) && (!ids.contains(id) || is_free(id)));
            }
            let matched = match_lost(&lost, &free, &actor);
            let matched = matched.into_iter().filter(|(no, _)| steps.contains(no));
            Flight::Probed(matched.map(|(no, id)| (no, Probed::Matched(id))).collect())
        };
        self.flights.spawn(probing.in_current_span());
    }

    /// Returns the creates of this run below one parent that only a person can settle.
    fn parked(&self, parent: &Parent) -> Vec<Lost> {
        let parked = self.machine.ends().filter_map(|(no, end)| {
            let End::Parked(ids) = end else { return None };
            let job = self.machine.job(no)?.0;
            let undecided = ids.iter().cloned().collect();
            (job.parent().as_ref() == Some(parent)).then_some(())?;
            let known = BTreeSet::new();
            Some(Lost { no, job, since: self.since(no)?, known, is_denied: false, undecided })
        });
        parked.collect()
    }

    fn since(&self, no: StepNo) -> Option<Timestamp> {
        self.sent_at.get(&no).copied().or(self.unsettled(no).map(|doubt| doubt.since))
    }

    /// Returns the attempt of an earlier run that a request settles.
    fn unsettled(&self, no: StepNo) -> Option<&Unsettled> {
        let (n, part) = self.machine.step(no);
        self.driver.settles?.get(&(n, part.to_string()))
    }

    // What comes back

    fn landed(&mut self, flight: Result<Flight, tokio::task::JoinError>) {
        let flight = match flight {
            Ok(flight) => flight,
            // Flights are never aborted, so a failed join is a panic.
            Err(failed) => std::panic::resume_unwind(failed.into_panic()),
        };
        let now = self.now();
        match flight {
            Flight::Wrote(answers) => {
                for (no, _, attempt) in &answers {
                    match &attempt.result {
                        Err(error) => _ = self.errors.insert(*no, Arc::clone(error)),
                        // The error of an earlier attempt explains nothing any more.
                        Ok(_) => _ = self.errors.remove(no),
                    }
                }
                let taken = answers.iter().map(|(no, answer, _)| (*no, answer.clone())).collect();
                self.machine.answered(now, taken);
                // The outcome of an attempt is read from the machine after the fact, so that
                // journal and machine cannot disagree.
                for (no, answer, attempt) in answers {
                    let settled = self.settled_by(no, &answer, &attempt);
                    self.settled.push(settled);
                }
            }
            Flight::Looked(looks) => {
                for (no, look, error) in looks {
                    if let Some(error) = error {
                        self.errors.insert(no, error);
                    }
                    // Only a step from unknown to known is news for the journal.
                    let before = self.machine.attempted(no);
                    self.machine.looked(now, vec![(no, look)]);
                    self.found_out(no, before);
                }
            }
            Flight::Probed(probed) => {
                let before: Vec<_> =
                    probed.iter().map(|(no, _)| (*no, self.machine.attempted(*no))).collect();
                self.machine.probed(now, probed);
                before.into_iter().for_each(|(no, before)| self.found_out(no, before));
            }
        }
    }

    fn settled_by(&self, no: StepNo, answer: &Answer, attempt: &Attempt) -> Settled {
        let tag = match answer {
            Answer::Done { tag, .. } => tag.as_ref().map(|tag| tag.as_str().to_owned()),
            _ => None,
        };
        let error = attempt.result.as_ref().err();
        let refusal = error.and_then(|error| error.refusal());
        Settled {
            status: refusal.map(|refusal| refusal.status),
            etag: tag,
            service_request_id: refusal.and_then(|refusal| refusal.request_id.clone()),
            message: error.map(ToString::to_string),
            ..self.settled_as(no)
        }
    }

    fn settled_as(&self, no: StepNo) -> Settled {
        let outcome = match self.machine.attempted(no) {
            Attempted::Applied => Settlement::Applied,
            Attempted::Refused => Settlement::Refused,
            Attempted::Conflict => Settlement::Conflict,
            Attempted::Unknown => Settlement::Unknown,
        };
        // The id of a creation is recorded with its outcome: another run that probes must not claim
        // it.
        let made = self.machine.made(no).filter(|_| outcome == Settlement::Applied);
        Settled {
            step: self.step_id(no),
            attempt: self.machine.sent(no),
            outcome,
            status: None,
            entity_id: made.map(str::to_owned),
            etag: None,
            service_request_id: None,
            message: None,
        }
    }

    /// Records what was learned about an attempt whose answer left it in doubt.
    fn found_out(&mut self, no: StepNo, before: Attempted) {
        if before == Attempted::Unknown && self.machine.attempted(no) != Attempted::Unknown {
            let settled = self.settled_as(no);
            self.settled.push(settled);
        }
    }
}

/// Leaves out what other changes are known to have created. A person may be added to a roster by
/// several changes; an entity is created by one.
async fn unclaimed(
    claims: Option<Claims>,
    found: Vec<crate::change::apply::Candidate>,
    parent: &Parent,
) -> Result<Vec<crate::change::apply::Candidate>, Failure> {
    match claims {
        Some(claims) if !matches!(parent, Parent::Members(_)) => claims.unclaimed(found).await,
        _ => Ok(found),
    }
}

impl Driven {
    /// Returns the outcome of each change that was to be carried out, by its number.
    pub(crate) fn outcomes(&self) -> BTreeMap<usize, Outcome> {
        let mut by_change: BTreeMap<usize, Vec<(StepNo, &End)>> = BTreeMap::new();
        for (no, end) in self.machine.ends() {
            by_change.entry(self.machine.step(no).0).or_default().push((no, end));
        }
        by_change.into_iter().map(|(n, ends)| (n, self.outcome(&ends))).collect()
    }

    fn outcome(&self, ends: &[(StepNo, &End)]) -> Outcome {
        let of = |(no, end): &(StepNo, &End)| Outcome::of_end(end, self.error_of(*no));
        // The worst outcome of its requests is the outcome of the change.
        let mut outcome =
            ends.iter().map(of).max_by_key(Outcome::weight).unwrap_or_else(Outcome::applied);
        outcome.wrote = ends.iter().any(|(_, end)| **end == End::Done);
        outcome.in_part()
    }

    fn error_of(&self, no: StepNo) -> Option<Failure> {
        // A request that the journal held back has no error of its own.
        self.errors.get(&no).map(|error| failure(error)).or_else(|| self.broken.clone())
    }
}
