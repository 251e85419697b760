//! Throttling: a bucket of tokens that fills with time, of which each write takes one.
//!
//! planner-api.md 8.3. Planner's own numbers are not published, so a test sets them. A refused
//! request costs no token.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use crate::emulator::control::rule::InvalidRule;

/// The rate at which clients may write.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Throttle {
    /// The number of writes a second that are let through in the long run.
    pub writes_per_s: f64,
    /// The number at once after a pause; `writes_per_s` rounded up if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
}

impl Throttle {
    /// Checks that the values are in range.
    ///
    /// # Errors
    ///
    /// If one is not.
    pub(crate) fn check(&self) -> Result<(), InvalidRule> {
        if (0.001..=1e6).contains(&self.writes_per_s) && self.burst != Some(0) {
            return Ok(());
        }
        Err(InvalidRule("`writes_per_s` must be from 0.001 to 1000000, and `burst` at least 1"))
    }

    fn capacity(&self) -> f64 {
        self.burst.map_or_else(|| self.writes_per_s.ceil(), f64::from)
    }
}

/// The bucket, if writes are throttled.
#[derive(Debug, Default)]
pub(crate) struct Bucket(Mutex<Option<Level>>);

#[derive(Debug, Clone, Copy)]
struct Level {
    throttle: Throttle,
    tokens: f64,
    at: Option<Timestamp>,
}

impl Bucket {
    /// Starts with a full bucket, or ends throttling.
    pub(crate) fn set(&self, throttle: Option<Throttle>) {
        let level =
            throttle.map(|throttle| Level { throttle, tokens: throttle.capacity(), at: None });
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = level;
    }

    pub(crate) fn get(&self) -> Option<Throttle> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).map(|level| level.throttle)
    }

    /// Takes a token, or returns the seconds until there is one, as `Retry-After` states them.
    pub(crate) fn take(&self, now: Timestamp) -> Result<(), String> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(level) = slot.as_mut() else { return Ok(()) };
        if let Some(at) = level.at {
            // A test's clock may go back; tokens are not lost by that.
            let passed = now.duration_since(at).as_secs_f64().max(0.0);
            let filled = level.tokens + passed * level.throttle.writes_per_s;
            level.tokens = filled.min(level.throttle.capacity());
        }
        level.at = Some(now);
        // Floating-point fractions do not add up exactly: a client that waited just long enough
        // would be refused.
        if level.tokens >= 1.0 - 1e-6 {
            level.tokens -= 1.0;
            return Ok(());
        }
        let wait = (1.0 - level.tokens) / level.throttle.writes_per_s;
        // Fractional, as the service has been seen to send it (planner-api.md trap 45).
        Err(format!("{}", (wait * 1000.0).ceil() / 1000.0))
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::{Bucket, Throttle};

    #[test]
    fn tokens_come_back_with_time_and_no_sooner() {
        let bucket = Bucket::default();
        let at = |ms| Timestamp::UNIX_EPOCH + SignedDuration::from_millis(ms);
        assert_eq!(bucket.take(at(0)), Ok(()));
        bucket.set(Some(Throttle { writes_per_s: 0.8, burst: Some(2) }));
        assert_eq!(bucket.take(at(0)), Ok(()));
        assert_eq!(bucket.take(at(0)), Ok(()));
        assert_eq!(bucket.take(at(0)), Err("1.25".to_owned()));
        assert_eq!(bucket.take(at(1000)), Err("0.25".to_owned()));
        assert_eq!(bucket.take(at(1250)), Ok(()));
        // A clock that goes back takes nothing away.
        assert!(bucket.take(at(0)).is_err());
        assert_eq!(bucket.take(at(100_000)), Ok(()));
        assert_eq!(bucket.take(at(100_000)), Ok(()));
        assert!(bucket.take(at(100_000)).is_err());
        bucket.set(None);
        assert_eq!(bucket.take(at(100_000)), Ok(()));
    }
}
