//! The source of the time, and the conversion between dates and moments.
//!
//! The core never asks for the time itself: code that needs it takes a [`Clock`], so that tests can
//! pin it and a run keeps one moment from beginning to end.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// A source of the current time.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Returns the current moment in UTC.
    fn now(&self) -> Timestamp;
}

/// Returns the moment that stands for a date in a due or start field: 10:00 UTC, as Planner's own
/// client writes it, which falls on that date in nearly every zone (planner-api.md 7.3).
///
/// `None` only at the very ends of the calendar.
#[must_use]
pub fn moment_of_day(day: Date) -> Option<Timestamp> {
    let midnight = day.to_zoned(TimeZone::UTC).ok()?.timestamp();
    midnight.checked_add(SignedDuration::from_hours(10)).ok()
}

/// Returns the date that a due or start field stands for in `zone`: the inverse of
/// [`moment_of_day`].
///
/// A date is written as 10:00 UTC, so 10:00 UTC is read as that date everywhere, even in zones at
/// the edge such as `Pacific/Kiritimati`, where it falls on the day before or after.
#[must_use]
pub fn day_of_date(date: Timestamp, zone: &TimeZone) -> Date {
    let day = day_of_moment(date, &TimeZone::UTC);
    if moment_of_day(day) == Some(date) { day } else { day_of_moment(date, zone) }
}

/// Returns the date on which a moment falls in `zone`.
#[must_use]
pub fn day_of_moment(moment: Timestamp, zone: &TimeZone) -> Date {
    zone.to_datetime(moment).date()
}

/// Tells whether a text has the form `YYYY-MM-DD` and nothing behind it.
pub(crate) fn is_date_only(text: &str) -> bool {
    text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_comes_back_as_itself_in_every_zone() {
        let day: Date = "2026-03-27".parse().unwrap();
        let moment = moment_of_day(day).unwrap();
        assert_eq!(moment.to_string(), "2026-03-27T10:00:00Z");
        for name in [
            "Pacific/Pago_Pago",
            "Pacific/Honolulu",
            "America/New_York",
            "UTC",
            "Asia/Tokyo",
            "Pacific/Auckland",
            "Pacific/Kiritimati",
        ] {
            let zone = TimeZone::get(name).unwrap();
            assert_eq!(day_of_date(moment, &zone), day, "{name}");
        }
    }

    #[test]
    fn a_date_of_another_hour_is_the_day_it_falls_on() {
        let zone = TimeZone::get("Pacific/Kiritimati").unwrap();
        for (moment, day) in [
            ("2026-03-27T10:00:00Z", "2026-03-27"),
            ("2026-03-27T10:00:01Z", "2026-03-28"),
            ("2026-03-27T09:59:59Z", "2026-03-27"),
            ("2026-03-27T22:00:00Z", "2026-03-28"),
        ] {
            let moment = moment.parse().unwrap();
            assert_eq!(day_of_date(moment, &zone).to_string(), day, "{moment}");
        }
    }
}
