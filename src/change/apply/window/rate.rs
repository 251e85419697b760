//! The rate of a service that has asked for patience: guessed, measured, kept to, tried again.
//!
//! Such a service is taken for a bucket: it fills at a steady rate, holds a burst at most, and each
//! write takes one out. Its level is known at one moment only, when it refuses a write: it is dry.
//! So what it took between two such moments is what came in, and that is the rate. A service that
//! counts in windows of time fits in: a window is a burst, and it says when the next one begins.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::change::apply::window::BATCH;

/// The share of the rate that is used: the level rises a little, and small errors do no harm.
const SHARE: f64 = 0.97;
/// What goes out at once, in seconds of writing. Less would cost more requests, more would cost
/// more refusals when the level is lower than thought.
const QUANTUM: f64 = 0.25;
/// The highest rate that is thought possible, in writes a second.
const MAX_RATE: f64 = 10_000.0;
/// So many moments are remembered at which the service took something.
const MAX_MOMENTS: usize = 1000;
/// A measurement that changes the rate by no more than this confirms it.
const TOLERANCE: f64 = 0.05;

/// What a round has learned of a service, for the rounds after it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Learned {
    per_second: f64,
    burst: f64,
    is_guess: bool,
}

/// When a rate is tried again: so long after it was set, once so many writes have gone through,
/// and by which share more at first. Each raise is twice the one before, up to a half, so that a
/// rate that has grown much is found soon.
struct Trial {
    after: Duration,
    writes: u32,
    step: f64,
}

/// A guess can be far off.
const GUESSED: Trial = Trial { after: Duration::from_millis(500), writes: 4, step: 0.2 };
/// A rate that was just corrected has not been kept to yet.
const CORRECTED: Trial = Trial { after: Duration::from_millis(500), writes: 8, step: 0.04 };
/// One that has held is seldom tried: it ends with refusals each time.
const CONFIRMED: Trial = Trial { after: Duration::from_secs(5), writes: 60, step: 0.02 };
/// The next raise, if there was no refusal.
const AGAIN: (Duration, u32) = (Duration::from_millis(500), 8);

/// That the service had no more to give.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refusal {
    /// When that was sent which it refused, and when the answer came.
    pub(super) sent_at: Duration,
    pub(super) heard_at: Duration,
    /// How long it asks to wait.
    pub(super) wait: Duration,
    /// How many writes went out after that one, and are not answered.
    pub(super) sent_since: usize,
}

/// What limits the writes once the service has asked for patience.
#[derive(Debug, Clone)]
pub(super) struct Rate {
    per_second: f64,
    /// What the service took before it refused for the first time, and in how many seconds.
    before: (f64, f64),
    /// The wait that it asked for then, in seconds, while the rate is a guess.
    guessed_by: Option<f64>,
    /// When it was dry: the moment at which a write was sent that it refused. Moments of sending
    /// are compared with each other only, so the way to the service and back does not count.
    dry_at: Duration,
    /// When it was to be asked again after that.
    reopens_at: Duration,
    /// What it took since, by the moment of sending.
    taken: BTreeMap<Duration, u32>,
    /// How much might go out at a moment, and which moment that was.
    credit: f64,
    credited_at: Duration,
    /// By how much the rate is exceeded, to see whether it still holds; by how much more next time.
    gain: f64,
    step: f64,
    raised_at: Duration,
    /// What must have been sent at the earliest, and gone through, before the next raise.
    raises_after: Duration,
    raises_in: u32,
}

impl Rate {
    /// Guesses the rate of a service that has refused something for the first time: it had taken
    /// so many writes in so many seconds before.
    pub(super) fn guess(before: (f64, f64), refusal: Refusal) -> Self {
        let mut rate = Self::new(1.0, before, refusal.sent_at);
        rate.guessed_by = Some(refusal.wait.as_secs_f64());
        rate.take_guess();
        rate.begin(refusal, &GUESSED);
        rate
    }

    /// Takes up what an earlier round has learned.
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
            dry_at: at,
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

    /// Tells whether more is sent than the service is known to take.
    pub(super) fn is_on_trial(&self) -> bool {
        self.gain > 1.0
    }

    fn take_guess(&mut self) {
        let Some(wait) = self.guessed_by else { return };
        let (taken, seconds) = self.before;
        // A limit is mostly so much in a second, or in the time after which the service begins
        // again. Its waits are often rounded up to a second, so a second says nothing.
        let guess = taken.max(1.0) / (seconds + wait.max(1.0));
        // A shorter wait is that for one write, or for the rest of one: up to so much is believed.
        self.per_second = (1.0 / wait.max(1e-3)).clamp(guess, 4.0 * guess);
    }

    /// Returns how much the service takes at once after a rest.
    fn burst(&self) -> f64 {
        let (taken, seconds) = self.before;
        (taken - self.per_second * seconds).max(1.0)
    }

    fn pace(&self) -> f64 {
        self.per_second * SHARE * self.gain
    }

    /// Returns how many writes are worth a request: at most half a burst, for while one waits for
    /// the level to be just full, it spills over.
    fn quantum(&self) -> f64 {
        (self.pace() * QUANTUM).min(BATCH as f64).min(self.burst() / 2.0).max(1.0)
    }

    fn credit_at(&self, now: Duration) -> f64 {
        let passed = now.saturating_sub(self.credited_at).as_secs_f64();
        // The service keeps no more for us than a burst.
        (self.credit + passed * self.pace()).min(self.burst().max(self.quantum()))
    }

    /// Returns how many writes may go out now.
    pub(super) fn free(&self, now: Duration) -> usize {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a burst")]
        // Fractions of seconds do not add up exactly.
        let free = (self.credit_at(now) + 1e-6) as usize;
        free
    }

    /// Returns when a request is worth sending again.
    pub(super) fn opens_at(&self) -> Duration {
        let missing = (self.quantum() - self.credit).max(0.0);
        self.credited_at + Duration::from_secs_f64(missing / self.pace())
    }

    pub(super) fn sent(&mut self, now: Duration, writes: usize) {
        self.credit = self.credit_at(now) - writes as f64;
        self.credited_at = now;
    }

    /// Notes that the service took a write, sent at a moment.
    pub(super) fn taken(&mut self, now: Duration, sent_at: Duration) {
        if sent_at <= self.dry_at {
            // An answer that has been overtaken by the refusal.
            if self.is_guess() {
                self.before.0 += 1.0;
                self.take_guess();
            }
            return;
        }
        *self.taken.entry(sent_at).or_default() += 1;
        if self.taken.len() > MAX_MOMENTS {
            // What is long past says little; as if it had been dry then.
            self.dry_at = self.taken.pop_first().map_or(sent_at, |(at, _)| at);
            self.reopens_at = self.dry_at;
        }
        // Only what was sent after a raise says anything about it.
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

    /// Notes that the service refused something again, and takes it for the measurement it is.
    pub(super) fn refused(&mut self, refusal: Refusal) {
        let trial = self.measure(refusal);
        self.begin(refusal, &trial);
    }

    /// Begins to count at a moment at which the service was dry.
    fn begin(&mut self, refusal: Refusal, trial: &Trial) {
        self.dry_at = refusal.sent_at;
        self.reopens_at = refusal.heard_at + refusal.wait;
        self.taken.retain(|sent_at, _| *sent_at > refusal.sent_at);
        self.gain = 1.0;
        // What has come in since, less what is on its way to it.
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

    /// Corrects the rate by what the service took since it was dry last, now that it is again.
    fn measure(&mut self, refusal: Refusal) -> Trial {
        let (dry_at, reopens_at) = (refusal.sent_at, refusal.heard_at + refusal.wait);
        let writes: u32 = self.taken.range(..=dry_at).map(|(_, writes)| writes).sum();
        if writes == 0 {
            // It takes nothing at all for a while, which is no rate.
            return CORRECTED;
        }
        // Between these two the level came out below one write, which is what dry means.
        let (low, mut high) = (self.dry_rate(dry_at, 0.0), self.dry_rate(dry_at, 1.0));
        // A window of time is used up early and paid for until its end.
        let window = reopens_at.saturating_sub(self.reopens_at).as_secs_f64();
        if window > 0.0 {
            high = high.max(f64::from(writes) / window);
        }
        let old = self.per_second;
        self.per_second = old.clamp(low.min(high), high);
        self.guessed_by = None;
        let holds = (self.per_second / old - 1.0).abs() <= TOLERANCE;
        let trial = if holds { CONFIRMED } else { CORRECTED };
        // What came in during a wait and did not fit is lost: where waits are long and bursts are
        // small, a trial costs more.
        let lost = (refusal.wait.as_secs_f64() - self.burst() / self.per_second).max(0.0);
        Trial { after: trial.after + Duration::from_secs_f64(lost * 10.0), ..trial }
    }

    /// Returns the rate at which the level would be so high at a moment, given what was taken.
    fn dry_rate(&self, dry_at: Duration, level: f64) -> f64 {
        let burst = self.burst();
        let level_with = |rate: f64| {
            let (mut level, mut last) = (0.0_f64, self.dry_at);
            let filled = |level: f64, last: Duration, at: Duration| {
                (level + rate * at.saturating_sub(last).as_secs_f64()).min(burst)
            };
            for (at, writes) in self.taken.range(..=dry_at) {
                level = filled(level, last, *at) - f64::from(*writes);
                last = *at;
            }
            filled(level, last, dry_at)
        };
        let (mut low, mut high) = (0.0, MAX_RATE);
        // To a thousandth of a write a second and finer.
        for _ in 0..32 {
            let middle = f64::midpoint(low, high);
            if level_with(middle) < level { low = middle } else { high = middle }
        }
        high
    }
}
