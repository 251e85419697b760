//! How much may be under way at once, and when: the window of writes, the patience that the
//! service asks for, the pace that a person asks for, and when to give up on all of it.

use std::time::Duration;

/// The most writes that one batch takes (planner-api.md 8.4).
pub(crate) const BATCH: usize = 20;
/// So many batches are under way in the beginning (planner-api.md 8.3: at most four at a time
/// have been seen to do well).
const FIRST_BATCHES: u32 = 4;
/// And so many at most.
const MAX_BATCHES: u32 = 16;
/// What a run may spend on requests that fail for the service's sake, in shares of a success.
const CREDIT: u32 = 100;
/// What such a failure costs.
const COST: u32 = 5;

/// What limits the sending of writes.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    /// How many writes may be under way; grows by a batch for each window that went well, is
    /// halved when the service asks for patience.
    window: f64,
    under_way: usize,
    /// When the window was halved: what was sent before that says nothing new.
    halved: Option<Duration>,
    /// Nothing goes out before.
    closed_until: Duration,
    /// How many writes may go out in a second, and when the next one may.
    pace: Option<(f64, Duration)>,
    credit: u32,
}

impl Window {
    pub(crate) fn new(writes_per_second: Option<u32>) -> Self {
        Self {
            window: f64::from(FIRST_BATCHES) * f64::from(u32::try_from(BATCH).unwrap_or(20)),
            under_way: 0,
            halved: None,
            closed_until: Duration::ZERO,
            pace: writes_per_second.filter(|it| *it > 0).map(|it| (f64::from(it), Duration::ZERO)),
            credit: CREDIT,
        }
    }

    /// Returns how many writes may go out now.
    pub(crate) fn free(&self, now: Duration) -> usize {
        if now < self.opens_at() {
            return 0;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 320")]
        let window = self.window as usize;
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
        window.max(1).saturating_sub(self.under_way).min(paced)
    }

    /// Returns when writes may go out again.
    pub(crate) fn opens_at(&self) -> Duration {
        self.closed_until.max(self.pace.map_or(Duration::ZERO, |(_, at)| at))
    }

    pub(crate) fn sent(&mut self, now: Duration, writes: usize) {
        self.under_way += writes;
        if let Some((rate, at)) = &mut self.pace {
            let writes = u32::try_from(writes).unwrap_or(u32::MAX);
            *at = now.max(*at) + Duration::from_secs_f64(f64::from(writes) / *rate);
        }
    }

    /// Notes that a request of so many writes is answered, however.
    pub(crate) fn answered(&mut self, writes: usize) {
        self.under_way = self.under_way.saturating_sub(writes);
    }

    /// Notes that a write was done.
    pub(crate) fn done(&mut self) {
        let batch = f64::from(u32::try_from(BATCH).unwrap_or(20));
        // Below one batch it grows by a tenth of one for each window.
        let step = if self.window < batch { batch / 10.0 } else { batch };
        self.window = (self.window + step / self.window).min(batch * f64::from(MAX_BATCHES));
        self.credit = (self.credit + 1).min(CREDIT);
    }

    /// Notes that the service asked for patience, in answer to what was sent at a moment.
    pub(crate) fn throttled(&mut self, now: Duration, sent_at: Duration, wait: Duration) {
        self.closed_until = self.closed_until.max(now + wait);
        if self.halved.is_none_or(|it| it <= sent_at) {
            self.window = (self.window / 2.0).max(1.0);
            self.halved = Some(now);
        }
    }

    /// Notes that a request failed for the service's sake; returns whether to go on at all.
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
    fn the_window_grows_by_a_batch_and_is_halved_once_for_one_reason() {
        let mut window = Window::new(None);
        assert_eq!(window.free(ms(0)), 80);
        window.sent(ms(0), 80);
        assert_eq!(window.free(ms(0)), 0);
        for _ in 0..80 {
            window.done();
        }
        window.answered(80);
        assert!((97..=100).contains(&window.free(ms(50))), "{}", window.free(ms(50)));
        let before = window.free(ms(50));
        window.throttled(ms(60), ms(50), ms(1000));
        // The rest of the same window.
        window.throttled(ms(61), ms(50), ms(900));
        assert_eq!(window.free(ms(1059)), 0);
        assert_eq!(window.opens_at(), ms(1060));
        assert_eq!(window.free(ms(1060)), before / 2);
        for at in 0..20 {
            window.throttled(ms(2000 + at), ms(2000 + at), ms(0));
        }
        assert_eq!(window.free(ms(3000)), 1, "never none");
    }

    #[test]
    fn a_pace_is_kept() {
        let mut window = Window::new(Some(10));
        assert_eq!(window.free(ms(0)), 10);
        window.sent(ms(0), 10);
        window.answered(10);
        assert_eq!(window.free(ms(999)), 0);
        assert_eq!(window.free(ms(1000)), 10);
    }

    #[test]
    fn a_service_that_only_fails_is_left_alone() {
        let mut window = Window::new(None);
        assert_eq!((0..100).position(|_| !window.failed()), Some(19));
        let mut window = Window::new(None);
        // One failure in ten is lived with for ever.
        let all_well = (0..1000).all(|at| {
            window.done();
            at % 10 != 0 || window.failed()
        });
        assert!(all_well);
    }
}
