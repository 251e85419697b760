//! Cron patterns, and the moments at which they are due in a zone.
//!
//! A pattern names times of the clock on the wall, and that clock jumps. So the times are listed as the
//! wall shows them, and each is then placed once: a time that the clock skips is due right after the
//! gap, and one that comes twice is due the first time only. The listing is done by the library, in a
//! zone that never jumps.

use std::fmt;

use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp, Zoned};
use serde::{Deserialize, Serialize};

/// The most characters of a pattern.
const MAX_PATTERN: usize = 100;
/// The lateness from which a time counts as missed. Below it, a process was merely restarted.
pub const LATE: SignedDuration = SignedDuration::from_mins(5);
/// The most times that are due at once; there are five minutes to be late in.
const MAX_DUE: usize = 10;

/// A cron pattern of five fields: minute, hour, day of the month, month, day of the week.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Cron {
    text: String,
    times: Box<croner::Cron>,
}

impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cron").field(&self.text).finish()
    }
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Cron {}

/// The reason that a text is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a cron pattern: {why}; five fields (minute, hour, day of the month, month, day of the week) are needed, as in `0 9 * * MON-FRI`"
)]
pub struct BadCron {
    text: String,
    why: String,
}

/// The rule for the times at which nothing ran that could have fired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// One run stands for all that were missed.
    #[default]
    RunOnce,
    /// They are left out.
    Skip,
}

impl Missed {
    /// Returns it as it is written in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RunOnce => "run_once",
            Self::Skip => "skip",
        }
    }
}

impl TryFrom<String> for Cron {
    type Error = BadCron;

    fn try_from(text: String) -> Result<Self, BadCron> {
        Self::parse(&text)
    }
}

impl Cron {
    /// Reads a pattern.
    ///
    /// # Errors
    /// It is none, or it never comes, such as the 30th of February.
    pub fn parse(text: &str) -> Result<Self, BadCron> {
        let short: String = text.chars().take(MAX_PATTERN).collect();
        let bad = |why: String| BadCron { text: short.clone(), why };
        if short.len() < text.len() {
            return Err(bad(format!("it is longer than {MAX_PATTERN} characters")));
        }
        let n = text.split_whitespace().count();
        if !text.trim_start().starts_with('@') && n != 5 {
            let fields = if n == 1 { "field" } else { "fields" };
            return Err(bad(format!("it has {n} {fields}")));
        }
        let parser =
            CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let times = parser.parse(text).map_err(|error| bad(why(parser, text, &error)))?;
        let cron = Self { text: text.trim().to_owned(), times: Box::new(times) };
        if cron.following(DateTime::constant(2000, 1, 1, 0, 0, 0, 0)).is_none() {
            return Err(bad("there is no such day".to_owned()));
        }
        Ok(cron)
    }

    /// Returns it as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the next time on the wall after another.
    fn following(&self, after: DateTime) -> Option<DateTime> {
        let after = after.to_zoned(TimeZone::UTC).ok()?;
        let next: Zoned = self.times.find_next_occurrence(&after, false).ok()?;
        Some(next.datetime())
    }

    /// Returns the moments at which it is due in a zone, after one moment and up to another, in order
    /// and each once; the first `most` of them.
    #[must_use]
    pub fn due(
        &self,
        zone: &TimeZone,
        after: Timestamp,
        until: Timestamp,
        most: usize,
    ) -> Vec<Timestamp> {
        let mut all: Vec<Timestamp> = Vec::new();
        // Nothing is lost by beginning at what the wall shows: times are placed in their order, so
        // none that the wall showed before is due later.
        let mut wall = zone.to_datetime(after);
        while all.len() < most {
            let Some(next) = self.following(wall) else { break };
            let Some(moment) = placed(zone, next) else { break };
            if moment > until {
                break;
            }
            // Several times of one gap are due at the same moment.
            if moment > after && all.last() != Some(&moment) {
                all.push(moment);
            }
            wall = next;
        }
        all
    }

    /// Returns the next moment at which it is due.
    #[must_use]
    pub fn next(&self, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
        self.due(zone, after, Timestamp::MAX, 1).pop()
    }

    /// Returns the last moment at which it was due, after one moment and up to another.
    #[must_use]
    pub fn last(&self, zone: &TimeZone, after: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let wall = zone.to_datetime(until).to_zoned(TimeZone::UTC).ok()?;
        let before: Zoned = self.times.find_previous_occurrence(&wall, true).ok()?;
        let moment = placed(zone, before.datetime())?;
        // While the clock shows an hour for the second time, later times of it are over already.
        let later = self.due(zone, moment, until, 24 * 60).pop();
        Some(later.unwrap_or(moment)).filter(|moment| *moment > after && *moment <= until)
    }

    /// Returns the times that fire now, where all up to `after` have been seen to: those that are due,
    /// and one for those that were missed, if the rule says so.
    #[must_use]
    pub fn fires(
        &self,
        zone: &TimeZone,
        missed: Missed,
        after: Timestamp,
        now: Timestamp,
    ) -> Vec<Timestamp> {
        let late = now.checked_sub(LATE).unwrap_or(Timestamp::MIN);
        let due = self.due(zone, after.max(late), now, MAX_DUE);
        if due.is_empty() && missed == Missed::RunOnce && after < late {
            return self.last(zone, after, late).into_iter().collect();
        }
        due
    }
}

/// The fields of a pattern in their order: the name of one, and its least and greatest number.
const FIELDS: [(&str, u8, u8); 5] = [
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of the month", 1, 31),
    ("month", 1, 12),
    ("day of the week", 0, 7),
];

/// Returns why a pattern is refused. The library does not say which field it means, so each is tried
/// alone.
fn why(parser: CronParser, text: &str, error: &CronError) -> String {
    let fields = FIELDS.iter().zip(text.split_whitespace()).enumerate();
    let wrong = fields.into_iter().find_map(|(n, (field, given))| {
        let mut alone = ["*"; FIELDS.len()];
        *alone.get_mut(n)? = given;
        let error = parser.parse(&alone.join(" ")).err()?;
        Some((field, given, error))
    });
    let Some(((name, least, greatest), given, error)) = wrong else { return said(error) };
    match error {
        CronError::ComponentError(what) if what.contains("out of bounds") => {
            if given.bytes().all(|byte| byte.is_ascii_digit()) {
                format!("the {name} {given} is not {least} to {greatest}")
            } else {
                format!("the {name} `{given}` is not within {least} to {greatest}")
            }
        }
        CronError::IllegalCharacters(_) => {
            format!("the {name} `{given}` has characters that no {name} has")
        }
        other => format!("the {name} `{given}`: {}", said(&other)),
    }
}

/// Returns what the library says, without the kind of its error in front.
fn said(error: &CronError) -> String {
    let said = error.to_string();
    let said = said.split_once(": ").map_or(said.as_str(), |(_, what)| what);
    said.trim_end_matches(['.', ' ']).to_owned()
}

/// Places a time of the wall: right after the gap if it is skipped, and at its first if it comes twice.
fn placed(zone: &TimeZone, wall: DateTime) -> Option<Timestamp> {
    match zone.to_ambiguous_timestamp(wall).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(wall).ok(),
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(wall).ok(),
        AmbiguousOffset::Gap { before, .. } => {
            // By the old offset the time lies behind the jump, less than the gap is long.
            let behind = before.to_timestamp(wall).ok()?;
            let next = behind.checked_add(SignedDuration::from_secs(1)).ok()?;
            let jump = zone.preceding(next).next();
            Some(jump.map_or(behind, |jump| jump.timestamp()))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn due(cron: &str, name: &str, after: &str, until: &str) -> Vec<String> {
        let cron = Cron::parse(cron).unwrap();
        let all = cron.due(&zone(name), at(after), at(until), 1000);
        all.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_skipped_time_is_due_right_after_the_gap() {
        let spring =
            |cron: &str| due(cron, "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z");
        assert_eq!(spring("30 2 * * *"), ["2026-03-29T01:00:00Z"]);
        assert_eq!(spring("0,30 2 * * *"), ["2026-03-29T01:00:00Z"]);
        assert_eq!(spring("0 2,3 * * *"), ["2026-03-29T01:00:00Z"]);
        assert_eq!(spring("30 1 * * *"), ["2026-03-29T00:30:00Z"]);
        // A whole day was skipped here.
        let samoa =
            due("0 9 * * *", "Pacific/Apia", "2011-12-29T19:30:00Z", "2011-12-31T00:00:00Z");
        assert_eq!(samoa, ["2011-12-30T10:00:00Z", "2011-12-30T19:00:00Z"]);
    }

    #[test]
    fn a_time_that_comes_twice_is_due_once() {
        let autumn =
            |cron: &str, after: &str| due(cron, "Europe/Berlin", after, "2026-10-25T12:00:00Z");
        assert_eq!(autumn("30 2 * * *", "2026-10-24T12:00:00Z"), ["2026-10-25T00:30:00Z"]);
        // Between the two, and in the second hour.
        assert_eq!(autumn("30 2 * * *", "2026-10-25T00:30:00Z"), Vec::<String>::new());
        assert_eq!(autumn("30 2 * * *", "2026-10-25T01:10:00Z"), Vec::<String>::new());
        assert_eq!(autumn("0 3 * * *", "2026-10-25T01:10:00Z"), ["2026-10-25T02:00:00Z"]);
    }

    #[test]
    fn a_pattern_that_means_nothing_says_why() {
        let why = |text: &str| Cron::parse(text).unwrap_err().to_string();
        assert!(why("0 9 * *").contains("it has 4 fields"), "{}", why("0 9 * *"));
        assert!(why("* * * * * *").contains("it has 6 fields"));
        for (text, says) in [
            ("61 * * * *", "the minute 61 is not 0 to 59;"),
            ("0 25 * * *", "the hour 25 is not 0 to 23;"),
            ("0 0 32 * *", "the day of the month 32 is not 1 to 31;"),
            ("0 0 * 13 *", "the month 13 is not 1 to 12;"),
            ("0 0 * * 8", "the day of the week 8 is not 0 to 7;"),
            ("0 9-25 * * *", "the hour `9-25` is not within 0 to 23;"),
            ("0 9,25 * * *", "the hour `9,25` is not within 0 to 23;"),
            ("*/0 9 * * *", "the minute `*/0`: "),
            ("0 9 * * XYZ", "the day of the week `XYZ` "),
        ] {
            assert!(why(text).contains(says), "{}", why(text));
        }
        assert!(why("0 0 30 2 *").contains("there is no such day"));
        assert!(why(&"1,".repeat(80)).contains("longer than 100"));
        assert!(why("0 9 * * XYZ").contains('X') && Cron::parse("").is_err());
        assert!(Cron::parse("@daily").is_ok() && Cron::parse("@never").is_err());
    }

    #[test]
    fn what_was_missed_fires_once_or_not_at_all() {
        let cron = Cron::parse("0 9 * * *").unwrap();
        let fires = |missed, after: &str, now: &str| -> Vec<String> {
            let all = cron.fires(&TimeZone::UTC, missed, at(after), at(now));
            all.iter().map(ToString::to_string).collect()
        };
        let week = ("2026-01-01T00:00:00Z", "2026-01-08T12:00:00Z");
        assert_eq!(fires(Missed::RunOnce, week.0, week.1), ["2026-01-08T09:00:00Z"]);
        assert!(fires(Missed::Skip, week.0, week.1).is_empty());
        // A little late is not missed; what was seen to already is not either.
        for missed in [Missed::RunOnce, Missed::Skip] {
            let late = fires(missed, "2026-01-08T08:59:00Z", "2026-01-08T09:04:59Z");
            assert_eq!(late, ["2026-01-08T09:00:00Z"]);
            assert!(fires(missed, "2026-01-08T09:00:00Z", "2026-01-08T12:00:00Z").is_empty());
        }
    }

    const ZONES: [&str; 6] = [
        "Europe/Berlin",
        "America/New_York",
        "Pacific/Auckland",
        "Australia/Lord_Howe",
        "Asia/Kolkata",
        "UTC",
    ];
    const CRONS: [&str; 7] = [
        "30 2 * * *",
        "*/15 * * * *",
        "0 9 * * MON-FRI",
        "0 0 L * *",
        "59 1-3 * * *",
        "0 */6 * * SUN",
        "@hourly",
    ];

    proptest! {
        #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

        /// However the time is cut into pieces, the pieces have what the whole has.
        #[test]
        fn no_time_is_lost_or_doubled_between_two_looks(
            zone_at in 0..ZONES.len(),
            cron_at in 0..CRONS.len(),
            day in 0_i64..365,
            cuts in proptest::collection::btree_set(0_i64..3 * 86_400, 1..12),
        ) {
            let (zone, cron) = (zone(ZONES[zone_at]), Cron::parse(CRONS[cron_at]).unwrap());
            let begin = at("2026-01-01T00:00:00Z") + SignedDuration::from_hours(24 * day);
            let end = begin + SignedDuration::from_hours(72);
            let whole = cron.due(&zone, begin, end, 10_000);
            prop_assert!(whole.windows(2).all(|pair| pair[0] < pair[1]));
            let mut pieces = Vec::new();
            let mut from = begin;
            let cuts = cuts.into_iter().map(|cut| begin + SignedDuration::from_secs(cut));
            for to in cuts.chain([end]) {
                let piece = cron.due(&zone, from, to, 10_000);
                prop_assert_eq!(cron.last(&zone, from, to), piece.last().copied());
                prop_assert_eq!(cron.next(&zone, from).filter(|at| *at <= to), piece.first().copied());
                pieces.extend(piece);
                from = to;
            }
            prop_assert_eq!(pieces, whole);
        }

        #[test]
        fn no_text_is_too_strange(text in ".{0,60}") {
            let _any = Cron::parse(&text);
        }
    }
}
