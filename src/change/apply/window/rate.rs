//! The rate of a service that throttles: first guessed, then measured at every refusal.
//!
//! The service is modelled as a bucket that fills at a steady rate, holds a burst, and loses one
//! token for each write. Its level is known at only one moment: when it refuses a write, it is
//! empty. The writes that went through between two such moments therefore equal the tokens that
//! came in, which gives the rate. A service that counts in fixed windows of time fits the model
//! too: a window is a burst, and the wait that the service asks for says when the next one begins.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::change::apply::window::BATCH;

/// The share of the rate that is used. The level then rises slowly, which absorbs small errors.
const SHARE: f64 = 0.97;
/// The size of a request, in seconds' worth of writes. Smaller requests cost more round trips,
/// larger ones more refusals when the level is lower than assumed.
const QUANTUM: f64 = 0.25;
/// The highest rate considered, in writes a second.
const MAX_RATE: f64 = 10_000.0;
/// The number of moments kept of the history since the last refusal.
const MAX_MOMENTS: usize = 1000;
/// The largest relative change with which a measurement still confirms the rate.
const TOLERANCE: f64 = 0.05;

/// The knowledge of a service that one round hands to the next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Learned {
    per_second: f64,
    burst: f64,
    is_guess: bool,
}

/// The plan for exceeding the rate, to see whether the service takes more by now.
///
/// Each raise is twice the one before, up to a half, so that a much higher rate is found soon.
struct Trial {
    /// The delay before the first raise.
    after: Duration,
    /// The number of writes that must go through before it.
    writes: u32,
    /// The first raise, as a share of the rate.
    step: f64,
}

/// A guess may be far too low.
const GUESSED: Trial = Trial { after: Duration::from_millis(500), writes: 4, step: 0.2 };
/// A corrected rate has not proved itself yet.
const CORRECTED: Trial = Trial { after: Duration::from_millis(500), writes: 8, step: 0.04 };
/// A confirmed rate is tried rarely, since every trial ends with refusals.
const CONFIRMED: Trial = Trial { after: Duration::from_secs(5), writes: 60, step: 0.02 };
/// The delay and the number of writes between two raises.
const AGAIN: (Duration, u32) = (Duration::from_millis(500), 8);

/// A refusal: the one observation of the service's level.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refusal {
    /// The moment the refused write was sent.
    pub(super) sent_at: Duration,
    /// The moment the refusal arrived.
    pub(super) heard_at: Duration,
    /// The wait that the service asks for.
    pub(super) wait: Duration,
    /// The number of writes sent after the refused one that are still unanswered.
    pub(super) sent_since: usize,
}

/// The rate of a service, and the allowance that follows from it.
#[derive(Debug, Clone)]
pub(super) struct Rate {
    per_second: f64,
    /// The writes that went through before the first refusal, and the seconds they took.
    before: (f64, f64),
    /// The first wait asked for, in seconds, while the rate is only a guess.
    guessed_by: Option<f64>,
    /// The moment the bucket was last known to be empty, given as the moment at which the refused
    /// write was sent. Only moments of sending are compared, so latency cancels out.
    empty_at: Duration,
    /// The moment after which the service could be asked again.
    reopens_at: Duration,
    /// The writes that went through since then, by the moment they were sent.
    taken: BTreeMap<Duration, u32>,
    /// The number of writes that could be sent at `credited_at`; negative if too many were.
    credit: f64,
    credited_at: Duration,
    /// The factor by which a trial exceeds the rate, and the next raise of it.
    gain: f64,
    step: f64,
    raised_at: Duration,
    /// The next raise waits for a write sent this late to go through, and for so many since the
    /// last.
    raises_after: Duration,
    raises_in: u32,
}

impl Rate {
    /// Guesses the rate at the first refusal, from the writes that went through before it and the
    /// seconds they took.
    pub(super) fn guess(before: (f64, f64), refusal: Refusal) -> Self {
        let mut rate = Self::new(1.0, before, refusal.sent_at);
        rate.guessed_by = Some(refusal.wait.as_secs_f64());
        rate.take_guess();
        rate.begin(refusal, &GUESSED);
        rate
    }

    /// Continues with the knowledge of an earlier round.
    pub(super) fn known(learned: Learned) -> Self {
        let mut rate = Self::new(learned.per_second, (learned.burst, 0.0), Duration::ZERO);
        rate.credit = rate.quantum();
        let trial = if learned.is_guess { GUESSED } else { CONFIRMED };
        rate.try_again(&trial, Duration::ZERO);
        rate
    }

    const fn new(per_second: f64, before: (f64, f64), at: Duration) -> Self {
        Self {
            per_second,
            before,
            guessed_by: None,
            empty_at: at,
            reopens_at: at,
            taken: BTreeMap::new(),
            credit: 0.0,
            credited_at: at,
            gain: 1.0,
            step: 0.0,
            raised_at: at,
            raises_after: at,
            raises_in: 0,
        }
    }

    pub(super) fn learned(&self) -> Learned {
        let is_guess = self.is_guess();
        Learned { per_second: self.per_second, burst: self.burst(), is_guess }
    }

    pub(super) const fn is_guess(&self) -> bool {
        self.guessed_by.is_some()
    }

    /// Returns whether the rate is exceeded on purpose.
    pub(super) fn is_on_trial(&self) -> bool {
        self.gain > 1.0
    }

    fn take_guess(&mut self) {
        let Some(wait) = self.guessed_by else { return };
        let (taken, seconds) = self.before;
        // Most limits are a number of writes a second, or in the window that the wait ends. A wait
        // of up to a second may have been rounded up, so it is taken for a second.
        let guess = taken.max(1.0) / (seconds + wait.max(1.0));
        // A shorter wait is the time to at most one token. It is believed up to four times the
        // guess: close to a full token it is short by chance.
        self.per_second = (1.0 / wait.max(1e-3)).clamp(guess, 4.0 * guess);
    }

    /// Returns the number of writes that the service takes at once after a rest.
    fn burst(&self) -> f64 {
        let (taken, seconds) = self.before;
        (taken - self.per_second * seconds).max(1.0)
    }

    fn pace(&self) -> f64 {
        self.per_second * SHARE * self.gain
    }

    /// Returns the number of writes worth a request: at most half a burst, since a full bucket
    /// spills over.
    fn quantum(&self) -> f64 {
        (self.pace() * QUANTUM).min(BATCH as f64).min(self.burst() / 2.0).max(1.0)
    }

    fn credit_at(&self, now: Duration) -> f64 {
        let passed = now.saturating_sub(self.credited_at).as_secs_f64();
        // The bucket holds no more than a burst.
        (self.credit + passed * self.pace()).min(self.burst().max(self.quantum()))
    }

    /// Returns the number of writes that may go out now.
    pub(super) fn free(&self, now: Duration) -> usize {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a burst")]
        // Fractions of seconds do not add up exactly.
        let free = (self.credit_at(now) + 1e-6) as usize;
        free
    }

    /// Returns the moment at which a request is worth sending again.
    pub(super) fn opens_at(&self) -> Duration {
        let missing = (self.quantum() - self.credit).max(0.0);
        self.credited_at + Duration::from_secs_f64(missing / self.pace())
    }

    pub(super) fn sent(&mut self, now: Duration, writes: usize) {
        self.credit = self.credit_at(now) - writes as f64;
        self.credited_at = now;
    }

    /// Records that the service took a write sent at a moment.
    pub(super) fn taken(&mut self, now: Duration, sent_at: Duration) {
        if sent_at <= self.empty_at {
            // The refusal has overtaken this answer.
            if self.is_guess() {
                self.before.0 += 1.0;
                self.take_guess();
            }
            return;
        }
        *self.taken.entry(sent_at).or_default() += 1;
        if self.taken.len() > MAX_MOMENTS {
            // The distant past says little; it counts as if the bucket had been empty then.
            self.empty_at = self.taken.pop_first().map_or(sent_at, |(at, _)| at);
            self.reopens_at = self.empty_at;
        }
        // Writes sent before a raise say nothing about it, however long they are under way.
        if sent_at >= self.raised_at {
            self.raises_in = self.raises_in.saturating_sub(1);
        }
        if sent_at >= self.raises_after && self.raises_in == 0 {
            self.sent(now, 0);
            self.gain = (self.gain * (1.0 + self.step)).min(MAX_RATE / self.per_second);
            self.step = (self.step * 2.0).min(0.5);
            self.raised_at = now;
            (self.raises_after, self.raises_in) = (now + AGAIN.0, AGAIN.1);
        }
    }

    /// Measures the rate at a further refusal.
    pub(super) fn refused(&mut self, refusal: Refusal) {
        let trial = self.measure(refusal);
        self.begin(refusal, &trial);
    }

    /// Starts counting from a moment at which the bucket was empty.
    fn begin(&mut self, refusal: Refusal, trial: &Trial) {
        self.empty_at = refusal.sent_at;
        self.reopens_at = refusal.heard_at + refusal.wait;
        self.taken.retain(|sent_at, _| *sent_at > refusal.sent_at);
        self.gain = 1.0;
        // Tokens that came in since, less the writes on their way.
        let passed = refusal.heard_at.saturating_sub(refusal.sent_at).as_secs_f64();
        let credit = passed * self.pace() - refusal.sent_since as f64;
        (self.credit, self.credited_at) = (credit.clamp(0.0, self.burst()), refusal.heard_at);
        self.try_again(trial, self.reopens_at);
    }

    fn try_again(&mut self, trial: &Trial, reopens_at: Duration) {
        self.step = trial.step;
        self.raised_at = reopens_at;
        self.raises_after = reopens_at + trial.after;
        self.raises_in = trial.writes;
    }

    /// Moves the rate no further than the writes since the last refusal demand, so that a good rate
    /// stays as it is; returns the trial that is due.
    fn measure(&mut self, refusal: Refusal) -> Trial {
        let (empty_at, reopens_at) = (refusal.sent_at, refusal.heard_at + refusal.wait);
        let writes: u32 = self.taken.range(..=empty_at).map(|(_, writes)| writes).sum();
        if writes == 0 {
            // A service that takes nothing at all is closed, which says nothing about its rate.
            return CORRECTED;
        }
        // At rates between these, the level comes out between 0 and 1 token: too little for a
        // write.
        let (low, mut high) = (self.rate_for(empty_at, 0.0), self.rate_for(empty_at, 1.0));
        // A fixed window may be used up early, and closes until its end.
        let window = reopens_at.saturating_sub(self.reopens_at).as_secs_f64();
        if window > 0.0 {
            high = high.max(f64::from(writes) / window);
        }
        let old = self.per_second;
        self.per_second = old.clamp(low.min(high), high);
        self.guessed_by = None;
        let holds = (self.per_second / old - 1.0).abs() <= TOLERANCE;
        let trial = if holds { CONFIRMED } else { CORRECTED };
        // Tokens that come in during the wait and do not fit are lost: a trial costs more where
        // waits are long and bursts small.
        let lost = (refusal.wait.as_secs_f64() - self.burst() / self.per_second).max(0.0);
        Trial { after: trial.after + Duration::from_secs_f64(lost * 10.0), ..trial }
    }

    /// Returns the rate at which the level would be `level` at a moment, given the writes since the
    /// bucket was empty. By bisection: a bucket that spills over has no closed form.
    fn rate_for(&self, at: Duration, level: f64) -> f64 {
        let burst = self.burst();
        let level_with = |rate: f64| {
            let (mut level, mut last) = (0.0_f64, self.empty_at);
            let filled = |level: f64, last: Duration, at: Duration| {
                (level + rate * at.saturating_sub(last).as_secs_f64()).min(burst)
            };
            for (sent_at, writes) in self.taken.range(..=at) {
                level = filled(level, last, *sent_at) - f64::from(*writes);
                last = *sent_at;
            }
            filled(level, last, at)
        };
        let (mut low, mut high) = (0.0, MAX_RATE);
        // 10,000 / 2^32: far finer than needed.
        for _ in 0..32 {
            let middle = f64::midpoint(low, high);
            if level_with(middle) < level { low = middle } else { high = middle }
        }
        high
    }
}
