//! The decision whether to send a request again, and when. Pure, so that it can be tested as a
//! value.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;

use crate::graph::error::Error;

/// The most times one request is sent.
pub(crate) const MAX_ATTEMPTS: u32 = 5;
/// The longest single wait that is worth it; a service that asks for more gets a clear error
/// instead of a program that seems to hang.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(60);

/// The time for which reads are waited for, over all their attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// A person waits for the answer, and can ask again.
    Short,
    /// A run that has begun to write depends on it.
    Long,
}

impl Patience {
    /// Returns the time for which one object or page is waited for.
    pub(crate) const fn of_one(self) -> Duration {
        match self {
            Self::Short => Duration::from_secs(30),
            Self::Long => Duration::from_secs(300),
        }
    }

    /// Returns the time for which a list is waited for, whatever the number of its pages.
    pub(crate) const fn of_list(self) -> Duration {
        self.of_one().saturating_mul(4)
    }
}

/// The harm that a repeat of a request can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// None: a read, or a conditional write, whose tag keeps it from happening twice.
    Harmless,
    /// A duplicate: a create that was carried out must not be sent again (planner-api.md trap 13).
    OnlyIfNotDone,
}

/// A request that has failed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failed<'a> {
    pub(crate) error: &'a Error,
    pub(crate) repeat: Repeat,
    /// The number of times it was sent.
    pub(crate) attempt: u32,
    /// The wait that the service asks for.
    pub(crate) retry_after: Option<Duration>,
    /// The time left until its deadline.
    pub(crate) left: Duration,
}

/// Returns the wait before the next attempt; `None` to give up.
///
/// `spread` in 0..1 spreads clients that failed together.
pub(crate) fn next_wait(failed: Failed<'_>, spread: f64) -> Option<Duration> {
    let Failed { error, repeat, attempt, retry_after, left } = failed;
    let may_repeat = match repeat {
        Repeat::Harmless => error.is_unavailable(),
        Repeat::OnlyIfNotDone => error.is_unavailable() && !error.leaves_doubt(),
    };
    if !may_repeat || attempt >= MAX_ATTEMPTS {
        return None;
    }
    let backoff = Duration::from_millis(200 << attempt.min(6)).mul_f64(0.5 + spread / 2.0);
    // `Retry-After: 0` must not become a busy loop.
    let wait = retry_after.map_or(backoff, |asked| asked.max(Duration::from_millis(1)));
    (wait <= MAX_WAIT && wait < left).then_some(wait)
}

/// Reads `Retry-After` (planner-api.md 8.3): seconds, possibly fractional, rounded up to the
/// millisecond; or an HTTP date, counted from the answer's own `Date`, so that the two clocks need
/// not agree. Without that `Date` a date means nothing, and the backoff applies.
pub(crate) fn parse_retry_after(text: &str, date: Option<&str>) -> Option<Duration> {
    let Ok(seconds) = text.trim().parse::<f64>() else {
        let sent = http_date(date?)?;
        let wait = u64::try_from(http_date(text)?.duration_since(sent).as_secs()).ok()?;
        // Both dates are cut to the second, so the difference may be up to a second too short.
        return Some(Duration::from_secs(wait.saturating_add(1)));
    };
    if !seconds.is_finite() || !(0.0..=86_400.0).contains(&seconds) {
        return None;
    }
    Duration::try_from_secs_f64((seconds * 1000.0).ceil() / 1000.0).ok()
}

/// Reads an HTTP date, which has the form of RFC 2822 with the zone `GMT`.
pub(crate) fn http_date(text: &str) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ApiError;

    fn refused(status: u16) -> Error {
        Error::Refused(ApiError::read(status, None, b""))
    }

    #[test]
    fn retry_after_may_be_fractional() {
        assert_eq!(parse_retry_after("2.128", None), Some(Duration::from_millis(2128)));
        assert_eq!(parse_retry_after(" 7 ", None), Some(Duration::from_secs(7)));
        for text in ["", "soon", "-1", "NaN", "inf", "1e300"] {
            assert_eq!(parse_retry_after(text, None), None, "{text}");
        }
    }

    #[test]
    fn retry_after_may_be_a_date() {
        let now = "Sun, 22 Nov 2026 23:59:55 GMT";
        let sent = Some(now);
        let wait = |text, date| parse_retry_after(text, date);
        let next_day = "Mon, 23 Nov 2026 00:00:03 GMT";
        assert_eq!(wait(next_day, sent), Some(Duration::from_secs(9)));
        assert_eq!(wait(now, sent), Some(Duration::from_secs(1)));
        for (text, date) in [
            (next_day, None),
            (next_day, Some("yesterday")),
            ("Sun, 22 Nov 2026 23:59:54 GMT", sent),
            ("Sun, 22 Nov", sent),
            ("2026-11-23T00:00:03Z", sent),
        ] {
            assert_eq!(wait(text, date), None, "{text}, {date:?}");
        }
    }

    #[test]
    fn a_create_is_repeated_only_if_it_was_not_done() {
        let again = |status, repeat| {
            let (error, left) = (&refused(status), Duration::MAX);
            next_wait(Failed { error, repeat, attempt: 1, retry_after: None, left }, 0.5).is_some()
        };
        assert!(again(429, Repeat::OnlyIfNotDone));
        assert!(!again(503, Repeat::OnlyIfNotDone));
        assert!(again(503, Repeat::Harmless));
        for status in [400, 401, 403, 404, 409, 412] {
            assert!(!again(status, Repeat::Harmless), "{status}");
        }
    }

    #[test]
    fn the_budget_ends_and_long_waits_are_not_sat_out() {
        let busy = refused(429);
        let within = |attempt, retry_after, left| {
            let repeat = Repeat::Harmless;
            next_wait(Failed { error: &busy, repeat, attempt, retry_after, left }, 0.0)
        };
        let wait = |attempt, asked| within(attempt, asked, Duration::MAX);
        let seconds = Duration::from_secs;
        assert!(wait(MAX_ATTEMPTS, None).is_none());
        assert!(wait(1, Some(seconds(61))).is_none());
        assert_eq!(wait(1, Some(seconds(6))), Some(seconds(6)));
        assert_eq!(within(1, Some(seconds(6)), seconds(7)), Some(seconds(6)));
        assert!(within(1, Some(seconds(6)), seconds(6)).is_none());
    }
}
