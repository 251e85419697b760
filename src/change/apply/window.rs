//! The window of writes: the number that may be under way, their rate, and the point at which to
//! give up. Pure, so that a service that throttles can be tested as a value.

mod rate;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

pub use crate::change::apply::window::rate::Learned;
use crate::change::apply::window::rate::{Rate, Refusal};

/// The most writes that one batch takes (planner-api.md 8.4).
pub(crate) const BATCH: usize = 20;
/// The first window. Each that goes well is followed by one that is a batch larger, so that five
/// hundred writes take five round trips; a larger step would have more writes under way, and
/// refused, when the service's allowance runs out.
const FIRST: usize = 3 * BATCH;
/// The largest window.
const MAX: usize = 16 * BATCH;
/// The window while the rate is only guessed, which bounds the cost of a bad guess.
const GUESSING: usize = 15;
/// The credit of a run for requests that fail on the service's side; a success earns one back.
const CREDIT: u32 = 100;
/// The credit that such a failure costs.
const COST: u32 = 5;

/// The limits on sending writes.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    /// The number of writes that may be under way.
    size: usize,
    /// The number that went through since the window grew.
    grown_by: usize,
    /// The writes under way, by the moment they were sent.
    under_way: BTreeMap<Duration, usize>,
    /// The number of writes that went through before the first refusal.
    taken: f64,
    /// The moment of the first write.
    began: Option<Duration>,
    /// The rate of the service, once it has refused something.
    rate: Option<Rate>,
    /// The moment the last refusal arrived. Refusals of earlier writes are no news.
    heard_at: Option<Duration>,
    /// The moment before which nothing is sent.
    closed_until: Duration,
    /// A person's own limit in writes a second, and the moment the next write may leave.
    pace: Option<(f64, Duration)>,
    credit: u32,
}

impl Window {
    pub(crate) fn new(writes_per_second: Option<u32>, learned: Option<Learned>) -> Self {
        Self {
            size: if learned.is_some() { MAX } else { FIRST },
            grown_by: 0,
            under_way: BTreeMap::new(),
            taken: 0.0,
            began: None,
            rate: learned.map(Rate::known),
            heard_at: None,
            closed_until: Duration::ZERO,
            pace: writes_per_second
                .filter(|rate| *rate > 0)
                .map(|rate| (f64::from(rate), Duration::ZERO)),
            credit: CREDIT,
        }
    }

    /// Returns the knowledge of the service's rate.
    pub(crate) fn learned(&self) -> Option<Learned> {
        self.rate.as_ref().map(Rate::learned)
    }

    /// Returns the number of writes that may go out now.
    pub(crate) fn free(&self, now: Duration) -> usize {
        if now < self.opens_at() {
            return 0;
        }
        let paced = match self.pace {
            // A second's worth at once, so that batches fill.
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a rate is positive and small"
            )]
            Some((rate, _)) => (rate as usize).max(1),
            None => usize::MAX,
        };
        let learned = self.rate.as_ref().map_or(usize::MAX, |rate| rate.free(now));
        let under_way = self.under_way.values().sum();
        self.size.saturating_sub(under_way).min(paced).min(learned)
    }

    /// Returns the moment at which writes may go out again.
    pub(crate) fn opens_at(&self) -> Duration {
        let paced = self.pace.map_or(Duration::ZERO, |(_, at)| at);
        let learned = self.rate.as_ref().map_or(Duration::ZERO, Rate::opens_at);
        self.closed_until.max(paced).max(learned)
    }

    /// Returns the moment from which the service accepts any request again.
    pub(crate) const fn closed_until(&self) -> Duration {
        self.closed_until
    }

    pub(crate) fn sent(&mut self, now: Duration, writes: usize) {
        *self.under_way.entry(now).or_default() += writes;
        self.began.get_or_insert(now);
        if let Some((rate, at)) = &mut self.pace {
            let writes = u32::try_from(writes).unwrap_or(u32::MAX);
            *at = now.max(*at) + Duration::from_secs_f64(f64::from(writes) / *rate);
        }
        if let Some(rate) = &mut self.rate {
            rate.sent(now, writes);
        }
    }

    /// Records that writes sent at a moment were answered, one way or another.
    pub(crate) fn answered(&mut self, sent_at: Duration, writes: usize) {
        let Some(left) = self.under_way.get_mut(&sent_at) else { return };
        *left = left.saturating_sub(writes);
        if *left == 0 {
            self.under_way.remove(&sent_at);
        }
    }

    /// Records that the service processed a write sent at a moment, whatever the outcome.
    pub(crate) fn taken(&mut self, now: Duration, sent_at: Duration) {
        let Some(rate) = &mut self.rate else {
            self.taken += 1.0;
            self.grown_by += 1;
            if self.grown_by >= self.size {
                (self.size, self.grown_by) = ((self.size + BATCH).min(MAX), 0);
            }
            return;
        };
        rate.taken(now, sent_at);
        // One more for each write doubles the window in a round trip.
        self.size = (self.size + 1).min(MAX);
    }

    /// Records that a write succeeded.
    pub(crate) fn done(&mut self) {
        self.credit = (self.credit + 1).min(CREDIT);
    }

    /// Records that the service refused writes sent at a moment, and asked to wait.
    pub(crate) fn throttled(&mut self, now: Duration, sent_at: Duration, wait: Duration) {
        self.closed_until = self.closed_until.max(now + wait);
        // A write sent before the last refusal arrived was refused for the same reason, so this
        // refusal measures nothing new.
        let is_new = self.heard_at.is_none_or(|heard_at| heard_at <= sent_at);
        let later = (Bound::Excluded(sent_at), Bound::Unbounded);
        let sent_since = self.under_way.range(later).map(|(_, writes)| writes).sum();
        let refusal = Refusal { sent_at, heard_at: now, wait, sent_since };
        match &mut self.rate {
            Some(rate) if is_new => {
                // A refusal without a trial means that the rate has fallen, nobody knows how far.
                let is_sure = !rate.is_guess() && rate.is_on_trial();
                rate.refused(refusal);
                self.size = if is_sure { MAX } else { GUESSING };
            }
            Some(_) => return,
            None => {
                let began = self.began.unwrap_or(sent_at);
                let seconds = sent_at.saturating_sub(began).as_secs_f64();
                self.rate = Some(Rate::guess((self.taken, seconds), refusal));
                self.size = GUESSING;
            }
        }
        self.heard_at = Some(now);
    }

    /// Records that a request failed on the service's side; returns whether to go on at all.
    pub(crate) fn failed(&mut self) -> bool {
        self.credit = self.credit.saturating_sub(COST);
        self.credit > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_window_grows_by_a_batch() {
        let mut window = Window::new(None, None);
        assert_eq!(window.free(ms(0)), 60);
        window.sent(ms(0), 60);
        assert_eq!(window.free(ms(0)), 0);
        for _ in 0..60 {
            window.taken(ms(50), ms(0));
        }
        window.answered(ms(0), 60);
        assert_eq!(window.free(ms(50)), 80);
    }

    #[test]
    fn a_pace_is_kept() {
        let mut window = Window::new(Some(10), None);
        assert_eq!(window.free(ms(0)), 10);
        window.sent(ms(0), 10);
        window.answered(ms(0), 10);
        assert_eq!(window.free(ms(999)), 0);
        assert_eq!(window.free(ms(1000)), 10);
    }

    #[test]
    fn a_service_that_only_fails_is_left_alone() {
        let mut window = Window::new(None, None);
        assert_eq!((0..100).position(|_| !window.failed()), Some(19));
        let mut window = Window::new(None, None);
        // One failure in ten is tolerated for ever.
        let all_well = (0..1000).all(|at| {
            window.done();
            at % 10 != 0 || window.failed()
        });
        assert!(all_well);
    }
}
