//! The reactions of the apply machine to answers, to objects read again, and to searches.

use std::time::Duration;

use crate::change::apply::compare::compare;
use crate::change::apply::event::{Answer, End, Look, Probed, StepNo};
use crate::change::apply::ledger::PartState;
use crate::change::apply::lost::Match;
use crate::change::apply::step::{Basis, Part};
use crate::change::apply::{Machine, State};
use crate::change::edit::Op;
use crate::change::merge::Merge;
use crate::model::ETag;

/// The number of times a request that fails on the service's side is sent.
const MAX_TRIES: u32 = 5;
/// The same while other requests succeed.
const MAX_TRIES_ALIVE: u32 = 12;
/// The number of times a just created object is read until it appears (planner-api.md trap 14).
const MAX_LOOKS: u32 = 5;
/// The number of times an object is read again if it shows no more than was known.
const MAX_LAGS: u32 = 2;
/// The number of times a part of a just created entity goes out on a newer tag.
const MAX_REBASES: u32 = 8;
/// The longest single wait that is worth it.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// The times, after the answer was given up, at which the result of a create is searched for
/// (design.md 2.4).
pub const PROBES: [Duration; 4] = [
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(60),
];

/// The golden ratio's fraction: its multiples are spread evenly over 0..1.
const GOLDEN: f64 = 0.618_033_988_75;

impl Machine {
    /// Begins nothing more; requests under way end, and created entities get their details.
    pub fn halt(&mut self) {
        self.halted = true;
        for step in &mut self.steps {
            if matches!(step.state, State::ToProbe) {
                step.state = State::Ended(End::Unknown);
            }
        }
    }

    /// Leaves unsent requests for another time; the others go on to their end, and created entities
    /// get their details.
    pub fn pause(&mut self) {
        self.paused = true;
    }

    /// Ends every request that has not ended.
    pub fn give_up(&mut self) {
        self.halted = true;
        for step in &mut self.steps {
            if !matches!(step.state, State::Ended(_)) {
                let end = if step.in_doubt { End::Unknown } else { End::NotSent };
                step.state = State::Ended(end);
            }
        }
    }

    /// Takes the answers to the writes of one request.
    pub fn answered(&mut self, now: Duration, answers: Vec<(StepNo, Answer)>) {
        let sent_at = answers.first().map_or(now, |(no, _)| self.steps[*no].sent_at);
        self.window.answered(sent_at, answers.len());
        // Counted before the refusals beside them: the answers of a batch have no order, and a
        // refusal begins a new measurement.
        for _ in answers.iter().filter(|(_, answer)| answer.is_taken()) {
            self.window.taken(now, sent_at);
        }
        let all_failed = answers
            .iter()
            .all(|(_, answer)| matches!(answer, Answer::Unavailable { .. } | Answer::NotTried));
        if all_failed && !self.window.failed() {
            self.halt();
            self.hopeless = true;
        }
        for (no, answer) in answers {
            self.answer(now, no, answer);
        }
    }

    fn answer(&mut self, now: Duration, no: StepNo, answer: Answer) {
        let (op, is_new) = (self.steps[no].op, self.steps[no].basis == Basis::New);
        let in_doubt = self.steps[no].in_doubt;
        match answer {
            Answer::Done { id, tag } => self.finish(no, id, tag),
            Answer::Conflict if is_new => self.refuse(no),
            Answer::Conflict => {
                self.conflicts += 1;
                self.steps[no].state = State::ToLook;
                self.steps[no].not_before = now;
            }
            Answer::NotFound if is_new => self.refuse(no),
            // It existed when this was decided, so the attempt whose answer was lost has deleted
            // it.
            Answer::NotFound if op == Op::Delete && in_doubt => self.finish(no, None, None),
            Answer::NotFound if op == Op::Delete => self.end(no, End::Gone),
            // An entity created a moment ago is not known everywhere yet (planner-api.md trap 14).
            Answer::NotFound if matches!(self.steps[no].basis, Basis::Made | Basis::Moved) => {
                self.look(now, no, Look::Gone);
            }
            Answer::NotFound => {
                self.conflicts += 1;
                self.end(no, End::Moved(None));
            }
            Answer::NotYet(waits) => {
                let step = &mut self.steps[no];
                let wait = step.patience.get_or_insert_with(|| waits.into_iter()).next();
                match wait {
                    Some(wait) if !self.halted => {
                        step.not_before = now + wait;
                        step.state = State::Ready;
                    }
                    _ => self.refuse(no),
                }
            }
            Answer::Throttled(wait) => self.put_off(now, no, wait),
            Answer::Unavailable { wait, in_doubt } => self.fail(now, no, wait, in_doubt),
            Answer::NotTried => self.steps[no].state = State::Ready,
            Answer::Refused => self.refuse(no),
        }
    }

    fn put_off(&mut self, now: Duration, no: StepNo, wait: Option<Duration>) {
        let (spread, times) = (self.spread(no), self.once_more_in_vain(no));
        let wait = wait.unwrap_or_else(|| backoff(times, spread));
        if wait > MAX_WAIT || times >= MAX_TRIES {
            return self.refuse(no);
        }
        let step = &mut self.steps[no];
        let sent_at = step.sent_at;
        step.state = State::Ready;
        step.not_before = now + wait;
        self.window.throttled(now, sent_at, wait);
    }

    fn fail(&mut self, now: Duration, no: StepNo, wait: Option<Duration>, in_doubt: bool) {
        let (spread, times) = (self.spread(no), self.once_more_in_vain(no));
        let step = &mut self.steps[no];
        step.tries += 1;
        let first_doubt = in_doubt && !step.in_doubt;
        step.in_doubt |= in_doubt;
        if step.basis == Basis::New && step.in_doubt {
            step.state = State::ToProbe;
            step.not_before = now;
            step.given_up_at = now;
            step.not_before_resend = now + self.rules.quarantine;
            step.probes = 0;
            if self.halted {
                self.end(no, End::Unknown);
            }
            return;
        }
        let wait = match wait {
            Some(wait) => wait,
            // The sooner the same tag is sent again, the less can have changed in between.
            None if first_doubt => Duration::ZERO,
            None => backoff(step.tries, spread),
        };
        if times >= MAX_TRIES || step.tries >= MAX_TRIES_ALIVE || wait > MAX_WAIT {
            return self.refuse(no);
        }
        step.state = State::Ready;
        step.not_before = now + wait;
    }

    /// Counts a failed attempt; returns the number in a row during which nothing else succeeded.
    fn once_more_in_vain(&mut self, no: StepNo) -> u32 {
        let (step, done) = (&mut self.steps[no], self.done);
        let before = if step.in_vain.1 == done { step.in_vain.0 } else { 0 };
        step.in_vain = (before + 1, done);
        before + 1
    }

    fn finish(&mut self, no: StepNo, id: Option<String>, tag: Option<ETag>) {
        let step = &mut self.steps[no];
        step.in_doubt = false;
        step.made.clone_from(&id);
        let next = no + 1;
        let (at, makes) = (step.at, step.part == Part::Itself && step.op == Op::Create);
        if let (true, Some(id)) = (makes, id) {
            self.ledger.enter_id(self.changes[at].id().to_string(), id);
        }
        self.done += 1;
        self.window.done();
        self.end(no, End::Done);
        // The next request for the same object rests on the tag that this one produced.
        if let Some(after) = self.steps.get_mut(next)
            && after.previous == Some(no)
            && after.basis == Basis::Moved
            && let Some(tag) = tag
        {
            after.basis = Basis::Read(tag.clone());
            after.tag = Some(tag);
        }
    }

    fn refuse(&mut self, no: StepNo) {
        // An earlier attempt may have been carried out, so a refusal does not settle the doubt.
        let end = if self.steps[no].in_doubt { End::Unknown } else { End::Failed };
        self.end(no, end);
        self.halt();
    }

    fn end(&mut self, no: StepNo, end: End) {
        let step = &mut self.steps[no];
        let change = &self.changes[step.at];
        match &end {
            End::Done => self.ledger.enter(change, &step.part, PartState::Written),
            End::Gone => self.ledger.enter(change, &step.part, PartState::Gone),
            End::Parked(ids) => {
                self.ledger.enter(change, &step.part, PartState::Parked(ids.clone()));
            }
            End::Unknown => {}
            _ => self.ledger.clear(change, &step.part),
        }
        step.state = State::Ended(end);
    }

    /// Returns the spread of a repeat: the same for all requests that went out together, so that
    /// they stay in one batch.
    fn spread(&self, no: StepNo) -> f64 {
        (self.rules.spread + self.steps[no].sent_at.as_secs_f64() * 1000.0 * GOLDEN).fract()
    }

    /// Takes the objects that were read again.
    pub fn looked(&mut self, now: Duration, looks: Vec<(StepNo, Look)>) {
        for (no, look) in looks {
            self.look(now, no, look);
        }
    }

    fn look(&mut self, now: Duration, no: StepNo, look: Look) {
        let is_ours = matches!(self.steps[no].basis, Basis::Made | Basis::Moved);
        let seen = match look {
            Look::There(seen) => *seen,
            Look::Gone if is_ours && self.steps[no].looks + 1 < MAX_LOOKS => {
                let step = &mut self.steps[no];
                step.looks += 1;
                step.not_before = now + Duration::from_millis(100 << step.looks);
                step.state = State::ToLook;
                return;
            }
            Look::Gone if is_ours => return self.refuse(no),
            Look::Gone if self.steps[no].op == Op::Delete && self.steps[no].in_doubt => {
                return self.finish(no, None, None);
            }
            Look::Gone if self.steps[no].op == Op::Delete => return self.end(no, End::Gone),
            Look::Gone => return self.end(no, End::Moved(None)),
            Look::Failed => return self.refuse(no),
        };
        // The tag that was refused a moment ago comes from a copy of the service that lags behind.
        let lags = self.steps[no].tag.as_ref().is_some_and(|tag| seen.etag() == tag);
        if lags && self.steps[no].sent > 0 && self.steps[no].looks < MAX_LAGS {
            let step = &mut self.steps[no];
            step.looks += 1;
            step.not_before = now + Duration::from_millis(50 << step.looks);
            step.state = State::ToLook;
            return;
        }
        let compared = {
            let step = &self.steps[no];
            compare(&self.change(step.at), &step.part, step.first.as_ref(), &seen)
        };
        let step = &mut self.steps[no];
        if step.in_doubt && compared.holds {
            // The conflict was with our own earlier attempt, whose answer was lost.
            let tag = Some(seen.etag().clone());
            return self.finish(no, None, tag);
        }
        step.in_doubt = false;
        if !is_ours {
            return self.end(no, End::Moved(Some(Box::new(seen))));
        }
        if self.settling {
            // It is known by now that it was not written; the resumed run sends it.
            return self.end(no, End::NotSent);
        }
        let step = &mut self.steps[no];
        let clash = match compared.merge {
            Merge::Conflict(fields) => fields,
            Merge::Rebase if step.rebases >= MAX_REBASES => Vec::new(),
            Merge::Rebase => {
                step.rebases += 1;
                step.tag = Some(seen.etag().clone());
                if step.basis == Basis::Made {
                    step.first.get_or_insert(seen);
                }
                step.state = State::Ready;
                step.not_before = now;
                return;
            }
        };
        self.end(no, End::Clash(clash));
        self.halt();
    }

    /// Takes the results of a search for lost creates.
    pub fn probed(&mut self, now: Duration, probed: Vec<(StepNo, Probed)>) {
        for (no, probed) in probed {
            self.probe(now, no, probed);
        }
    }

    fn probe(&mut self, now: Duration, no: StepNo, probed: Probed) {
        let step = &mut self.steps[no];
        let is_over = now >= step.not_before_resend;
        match probed {
            Probed::Matched(Match::Found(id)) => self.finish(no, Some(id), None),
            Probed::Matched(Match::Unclear(ids)) => self.end(no, End::Parked(ids)),
            Probed::Matched(Match::Nothing) => {
                step.probes += 1;
                // A single search may come too early: the service shows new entities late.
                if is_over && step.probes > 1 {
                    step.in_doubt = false;
                    if self.settling {
                        // It is known by now that it was not created; the resumed run sends it.
                        self.end(no, End::NotSent);
                    } else if step.tries >= MAX_TRIES || self.halted {
                        self.refuse(no);
                    } else {
                        step.state = State::Ready;
                        step.not_before = now;
                    }
                } else if self.halted {
                    self.end(no, End::Unknown);
                } else {
                    self.probe_later(now, no);
                }
            }
            Probed::Failed if is_over || self.halted => self.end(no, End::Unknown),
            Probed::Failed => {
                step.probes += 1;
                self.probe_later(now, no);
            }
        }
    }

    fn probe_later(&mut self, now: Duration, no: StepNo) {
        let step = &mut self.steps[no];
        // At the end of the quarantine it is looked for a last time, and then sent again.
        let end = step.not_before_resend.max(now);
        let next = PROBES.get(step.probes - 1).map_or(end, |after| step.given_up_at + *after);
        step.not_before = next.clamp(now, end);
        step.state = State::ToProbe;
    }
}

/// Returns the wait before the n-th repeat.
fn backoff(n: u32, spread: f64) -> Duration {
    Duration::from_millis(200 << n.min(6)).mul_f64(0.5 + spread / 2.0)
}
