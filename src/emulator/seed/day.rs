//! Dates and timestamps in a seed: `2026-03-31`, `2026-03-31T12:00:00Z`, `+3d`, `-2d`.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::emulator::state::timestamp;
use crate::model::time::{day_of_moment, moment_of_day};

/// The largest number of days in a relative date: a century.
const MAX_DAYS: i64 = 36_525;

/// A moment, fixed or relative to the present one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Day {
    Fixed(Timestamp),
    /// A number of days from now.
    Relative(i64),
}

impl Day {
    /// Reads a date or timestamp.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Some(count) = text.strip_suffix('d') {
            let has_sign = count.starts_with(['+', '-']) || count == "0";
            let days: i64 = count.parse().ok().filter(|_| has_sign)?;
            return (-MAX_DAYS..=MAX_DAYS).contains(&days).then_some(Self::Relative(days));
        }
        if let Some(moment) = timestamp::parse(text) {
            return Some(Self::Fixed(moment));
        }
        moment_of_day(text.parse::<Date>().ok()?).map(Self::Fixed)
    }

    /// Returns the moment at which something is due. A relative date counts from today in `zone`
    /// and means ten o'clock UTC, as Planner's web client writes it (planner-api.md 7.3).
    pub(crate) fn as_due(self, now: Timestamp, zone: &TimeZone) -> Timestamp {
        match self {
            Self::Fixed(moment) => moment,
            Self::Relative(days) => {
                let day = day_of_moment(now, zone);
                let day = day.checked_add(SignedDuration::from_hours(24 * days)).ok();
                day.and_then(moment_of_day).unwrap_or(now)
            }
        }
    }

    /// Returns the moment at which something was done. A relative date counts whole times 24 hours
    /// from now, less `apart`, so that not everything was done at once.
    pub(crate) fn as_done(self, now: Timestamp, apart: SignedDuration) -> Timestamp {
        match self {
            Self::Fixed(moment) => moment,
            Self::Relative(days) => {
                let offset = SignedDuration::from_hours(24 * days) - apart;
                now.checked_add(offset).unwrap_or(now)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use jiff::tz::TimeZone;

    use super::Day;

    #[test]
    fn the_zone_decides_from_which_day_is_counted() {
        let now = "2026-03-02T21:14:58Z".parse().unwrap();
        for (zone, due) in [
            ("Pacific/Honolulu", "2026-03-02T10:00:00Z"),
            ("Pacific/Auckland", "2026-03-03T10:00:00Z"),
        ] {
            let zone = TimeZone::get(zone).unwrap();
            assert_eq!(Day::parse("0d").unwrap().as_due(now, &zone).to_string(), due);
        }
    }

    #[test]
    fn days_are_fixed_or_counted_from_today() {
        let now = "2026-03-02T21:14:58Z".parse().unwrap();
        for (text, due, done) in [
            ("2026-03-31", "2026-03-31T10:00:00Z", "2026-03-31T10:00:00Z"),
            ("2026-03-31T12:30:00+02:00", "2026-03-31T10:30:00Z", "2026-03-31T10:30:00Z"),
            ("+3d", "2026-03-05T10:00:00Z", "2026-03-05T21:13:58Z"),
            ("-2d", "2026-02-28T10:00:00Z", "2026-02-28T21:13:58Z"),
            ("0d", "2026-03-02T10:00:00Z", "2026-03-02T21:13:58Z"),
        ] {
            let day = Day::parse(text).unwrap();
            assert_eq!(day.as_due(now, &TimeZone::UTC).to_string(), due);
            assert_eq!(day.as_done(now, SignedDuration::from_mins(1)).to_string(), done);
        }
        for text in ["3d", "d", "+d", "+3", "+99999d", "tomorrow", "", "2026-13-01", "+3.5d"] {
            assert_eq!(Day::parse(text), None, "{text}");
        }
    }
}
