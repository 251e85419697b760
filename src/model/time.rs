//! The source of the time, and the conversion between dates and moments.
//!
//! The core never asks for the time itself: code that needs it takes a [`Clock`], so that tests can
//! pin it and a run keeps one moment from beginning to end.

pub mod cron;

use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};

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

/// The forms of a date that a person may type, for hints.
pub const DATE_FORMS: &str = "a date is 2026-12-24, today, tomorrow, yesterday, a weekday such as \
     friday, +3d, +2w, or a time such as 2026-12-24T09:00:00Z";

/// A text that is not a date.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a date")]
pub struct NotADate(String);

/// The day and the zone by which a date is read that a person types.
#[derive(Debug, Clone)]
pub struct Calendar {
    today: Date,
    zone: TimeZone,
}

impl Calendar {
    /// Returns the calendar of a moment in a zone.
    #[must_use]
    pub fn at(now: Timestamp, zone: TimeZone) -> Self {
        Self { today: day_of_moment(now, &zone), zone }
    }

    /// Reads a date as a person types it ([`DATE_FORMS`]). A weekday is the next one after today.
    ///
    /// # Errors
    /// It has none of the forms, or is beyond the calendar.
    pub fn day(&self, text: &str) -> Result<Date, NotADate> {
        let text = text.trim();
        self.read(text).ok_or_else(|| NotADate(text.chars().take(80).collect()))
    }

    fn read(&self, text: &str) -> Option<Date> {
        let lower = text.to_lowercase();
        match lower.as_str() {
            "today" => return Some(self.today),
            "tomorrow" => return self.today.tomorrow().ok(),
            "yesterday" => return self.today.yesterday().ok(),
            _ => {}
        }
        if let Some(ahead) = lower.strip_prefix('+') {
            return self.ahead(ahead.trim());
        }
        if let Some(weekday) = weekday_named(lower.strip_prefix("next ").unwrap_or(&lower)) {
            return self.today.nth_weekday(1, weekday).ok();
        }
        // The parser takes other forms, too; only this one is documented.
        if is_date_only(text) { text.parse().ok() } else { self.day_of_time(text) }
    }

    /// Reads a number of days or weeks from today, such as `3d`.
    fn ahead(&self, text: &str) -> Option<Date> {
        let weeks = text.strip_suffix('w');
        let number = weeks.or_else(|| text.strip_suffix('d'))?.trim();
        // The parser of numbers would take a second sign.
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number: i64 = number.parse().ok()?;
        let span = match weeks {
            Some(_) => Span::new().try_weeks(number),
            None => Span::new().try_days(number),
        };
        self.today.checked_add(span.ok()?).ok()
    }

    /// Reads an ISO time; one without an offset is in the zone.
    fn day_of_time(&self, text: &str) -> Option<Date> {
        if !text.get(..10).is_some_and(is_date_only) {
            return None;
        }
        match text.parse::<Timestamp>() {
            Ok(moment) => Some(day_of_date(moment, &self.zone)),
            Err(_) => text.parse::<DateTime>().ok().map(|time| time.date()),
        }
    }
}

/// The days of the week, by their names in English.
pub(crate) const WEEKDAYS: [(&str, Weekday); 7] = [
    ("sunday", Weekday::Sunday),
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
];

/// Returns the weekday of a name, or of the first three letters of one or more.
pub(crate) fn weekday_named(name: &str) -> Option<Weekday> {
    let name = name.trim().to_lowercase();
    WEEKDAYS
        .into_iter()
        .find(|(full, _)| name.len() >= 3 && full.starts_with(&name))
        .map(|(_, weekday)| weekday)
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
    fn a_date_is_read_as_people_type_it() {
        // A Friday, which is a Saturday in the zone already.
        let now: Timestamp = "2026-03-27T12:00:00Z".parse().unwrap();
        let calendar = |zone: &str| Calendar::at(now, TimeZone::get(zone).unwrap());
        let (utc, far) = (calendar("UTC"), calendar("Pacific/Auckland"));
        for (text, day) in [
            ("2026-12-24", "2026-12-24"),
            (" Today ", "2026-03-27"),
            ("tomorrow", "2026-03-28"),
            ("yesterday", "2026-03-26"),
            ("saturday", "2026-03-28"),
            ("Friday", "2026-04-03"),
            ("next friday", "2026-04-03"),
            ("thu", "2026-04-02"),
            ("+0d", "2026-03-27"),
            ("+3d", "2026-03-30"),
            ("+2w", "2026-04-10"),
            ("2026-03-27T23:00:00Z", "2026-03-27"),
            ("2026-03-27T23:00", "2026-03-27"),
        ] {
            assert_eq!(utc.day(text).map(|day| day.to_string()).as_deref(), Ok(day), "{text}");
        }
        assert_eq!(far.day("today").unwrap().to_string(), "2026-03-28");
        assert_eq!(far.day("2026-03-27T23:00:00Z").unwrap().to_string(), "2026-03-28");
        for text in ["", "soon", "24.12.2026", "2026-02-30", "+", "+d", "++3d", "+-3d", "3d", "fr"]
        {
            assert!(utc.day(text).is_err(), "{text}");
        }
        assert!(utc.day("+99999999999w").is_err() && utc.day("+9999999d").is_err());
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
