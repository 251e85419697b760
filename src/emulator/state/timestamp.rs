//! Moments in Planner's formats.
//!
//! planner-api.md 7.3 and 9.1. All are UTC, with the precision of .NET ticks of 100 ns.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Ticks from the year 1 to the Unix epoch.
const EPOCH_TICKS: i128 = 621_355_968_000_000_000;
const NANOS_PER_TICK: i128 = 100;

/// Returns the .NET ticks of a moment, counted from the year 1.
pub(crate) fn ticks(moment: Timestamp) -> i128 {
    moment.as_nanosecond().div_euclid(NANOS_PER_TICK) + EPOCH_TICKS
}

/// Formats a moment with seven fraction digits, or none when the fraction is zero
/// (planner-api.md 7.3).
pub(crate) fn format(moment: Timestamp) -> String {
    let ticks = i128::from(moment.to_zoned(TimeZone::UTC).subsec_nanosecond()) / NANOS_PER_TICK;
    let seconds = seconds(moment);
    if ticks == 0 { format!("{seconds}Z") } else { format!("{seconds}.{ticks:07}Z") }
}

/// Formats a moment as in `innerError.date`: seconds, without a zone designator
/// (planner-api.md 9.1).
pub(crate) fn seconds(moment: Timestamp) -> String {
    let utc = moment.to_zoned(TimeZone::UTC).datetime();
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
        utc.year(),
        utc.month(),
        utc.day(),
        utc.hour(),
        utc.minute(),
        utc.second()
    )
}

/// Reads a moment with its offset; a bare date is not one (planner-api.md 7.3).
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    if !text.contains('T') || text.contains('[') {
        return None;
    }
    let moment: Timestamp = text.parse().ok()?;
    let year = moment.to_zoned(TimeZone::UTC).year();
    (1..=9999).contains(&year).then_some(moment)
}

#[cfg(test)]
mod tests {
    use super::{format, parse};

    #[test]
    fn moments_are_read_with_an_offset_and_written_in_utc() {
        let cases = [
            ("2026-03-31T10:00:00Z", Some("2026-03-31T10:00:00Z")),
            ("2026-03-31T10:00:00.000Z", Some("2026-03-31T10:00:00Z")),
            ("2026-03-31T10:00:00+02:00", Some("2026-03-31T08:00:00Z")),
            ("2026-03-31T10:00:00.5Z", Some("2026-03-31T10:00:00.5000000Z")),
            ("2026-03-31T10:00:00.123456789Z", Some("2026-03-31T10:00:00.1234567Z")),
            ("2026-03-31", None),
            ("2026-03-31T10:00:00", None),
            ("2026-03-31T10:00:00+02:00[Europe/Berlin]", None),
            ("-000001-03-31T10:00:00Z", None),
            ("tomorrow", None),
        ];
        for (input, expected) in cases {
            assert_eq!(parse(input).map(format).as_deref(), expected, "{input}");
        }
    }
}
