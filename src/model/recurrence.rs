//! Recurring tasks, which only Graph's beta knows (planner-api.md 1.13).

use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The schedule that a task of a series holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recurrence {
    /// The days on which it falls.
    pub pattern: Pattern,
    /// The start of the series.
    pub start: Timestamp,
    /// The due date of the next task of the series; set by the service.
    pub next: Option<Timestamp>,
}

/// The days on which a series falls: Graph's `recurrencePattern`. Fields that a kind does not use
/// have Graph's defaults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pattern {
    /// The unit in which it counts.
    #[serde(rename = "type")]
    pub kind: PatternKind,
    /// The number of units from one task to the next, from 1.
    pub interval: u32,
    /// The month of a yearly one, 1 to 12; else 0.
    pub month: u32,
    /// The day of an absolute one, 1 to 31; else 0. Beyond the end of a month it is its last day.
    pub day_of_month: u32,
    /// The days of a weekly one; exactly one of a relative one.
    pub days_of_week: Vec<DayOfWeek>,
    /// The day on which a week begins.
    pub first_day_of_week: DayOfWeek,
    /// The position of the day in the month, for a relative one.
    pub index: WeekIndex,
}

/// The unit of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PatternKind {
    /// Days.
    Daily,
    /// Weeks.
    Weekly,
    /// Months, on a day of the month.
    AbsoluteMonthly,
    /// Months, on a day of the week.
    RelativeMonthly,
    /// Years, on a day of a month.
    AbsoluteYearly,
    /// Years, on a day of the week in a month.
    RelativeYearly,
}

/// A day of the week, by Graph's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum DayOfWeek {
    Sunday,
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
}

impl DayOfWeek {
    const fn from_weekday(day: Weekday) -> Self {
        match day {
            Weekday::Sunday => Self::Sunday,
            Weekday::Monday => Self::Monday,
            Weekday::Tuesday => Self::Tuesday,
            Weekday::Wednesday => Self::Wednesday,
            Weekday::Thursday => Self::Thursday,
            Weekday::Friday => Self::Friday,
            Weekday::Saturday => Self::Saturday,
        }
    }
}

/// The position of a day of the week in a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum WeekIndex {
    First,
    Second,
    Third,
    Fourth,
    Last,
}

impl PatternKind {
    /// Returns whether it falls on a day of the week in a month.
    #[must_use]
    pub const fn is_relative(self) -> bool {
        matches!(self, Self::RelativeMonthly | Self::RelativeYearly)
    }

    /// Returns whether it falls on a day of the month.
    #[must_use]
    pub const fn is_absolute(self) -> bool {
        matches!(self, Self::AbsoluteMonthly | Self::AbsoluteYearly)
    }

    /// Returns whether it counts in years.
    #[must_use]
    pub const fn is_yearly(self) -> bool {
        matches!(self, Self::AbsoluteYearly | Self::RelativeYearly)
    }
}

impl Pattern {
    /// Returns a pattern of a kind with Graph's defaults in all other fields.
    #[must_use]
    pub const fn from_kind(kind: PatternKind) -> Self {
        Self {
            kind,
            interval: 1,
            month: 0,
            day_of_month: 0,
            days_of_week: Vec::new(),
            first_day_of_week: DayOfWeek::Sunday,
            index: WeekIndex::First,
        }
    }

    /// Checks it by the rules of the beta (planner-api.md 1.13).
    ///
    /// # Errors
    /// The text says which rule it breaks.
    pub fn check(&self) -> Result<(), String> {
        let n_days = self.days_of_week.len();
        if !(1..=99).contains(&self.interval) {
            return Err(format!("an interval is 1 to 99, not {}", self.interval));
        }
        if self.kind == PatternKind::Weekly && n_days == 0 {
            return Err("a weekly task needs days of the week".to_owned());
        }
        if self.kind == PatternKind::Weekly && n_days > 1 && self.interval > 1 {
            return Err("several days of the week need an interval of 1".to_owned());
        }
        if self.kind.is_relative() && n_days != 1 {
            return Err(
                "a task that recurs on a day of the week in a month needs exactly one such day"
                    .to_owned(),
            );
        }
        if self.kind.is_absolute() && !(1..=31).contains(&self.day_of_month) {
            return Err(format!("a day of a month is 1 to 31, not {}", self.day_of_month));
        }
        if self.kind.is_yearly() && !(1..=12).contains(&self.month) {
            return Err(format!("a month is 1 to 12, not {}", self.month));
        }
        Ok(())
    }
}

/// A recurrence as people state it: omitted parts follow from the day on which it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// `daily`, `weekly`, `monthly` or `yearly`, or Graph's own name of a kind.
    pub kind: String,
    /// The number of units from one task to the next; 1 if absent.
    pub interval: Option<u32>,
    /// Days of the week, by name.
    pub days: Vec<String>,
    /// Day of the month.
    pub day_of_month: Option<u32>,
    /// Month.
    pub month: Option<u32>,
    /// The position of the day in the month: `first` to `fourth`, or `last`.
    pub index: Option<String>,
    /// The start of the series.
    pub start: Timestamp,
}

impl Given {
    /// Returns one with only the start set.
    #[must_use]
    pub const fn starting(start: Timestamp) -> Self {
        Self {
            kind: String::new(),
            interval: None,
            days: Vec::new(),
            day_of_month: None,
            month: None,
            index: None,
            start,
        }
    }

    /// Returns the complete recurrence.
    ///
    /// # Errors
    /// A name is unknown, or the parts contradict each other.
    pub fn recurrence(&self) -> Result<Recurrence, String> {
        let day = self.start.to_zoned(TimeZone::UTC).date();
        let relative = !self.days.is_empty() || self.index.is_some();
        let kind = match (self.kind.as_str(), relative) {
            ("monthly", false) => PatternKind::AbsoluteMonthly,
            ("monthly", true) => PatternKind::RelativeMonthly,
            ("yearly", false) => PatternKind::AbsoluteYearly,
            ("yearly", true) => PatternKind::RelativeYearly,
            (name, _) => named(name).ok_or_else(|| {
                format!("`{name}` is not a recurrence; it is daily, weekly, monthly or yearly")
            })?,
        };
        let mut pattern = Pattern::from_kind(kind);
        pattern.interval = self.interval.unwrap_or(1);
        let number = |n: i8| u32::try_from(n).unwrap_or(0);
        if kind.is_absolute() {
            pattern.day_of_month = self.day_of_month.unwrap_or_else(|| number(day.day()));
        }
        if kind.is_yearly() {
            pattern.month = self.month.unwrap_or_else(|| number(day.month()));
        }
        if kind == PatternKind::Weekly || kind.is_relative() {
            for name in &self.days {
                let day = named(&name.trim().to_lowercase());
                pattern
                    .days_of_week
                    .push(day.ok_or_else(|| format!("`{name}` is not a day of the week"))?);
            }
            if self.days.is_empty() {
                pattern.days_of_week.push(DayOfWeek::from_weekday(day.weekday()));
            }
        }
        if let Some(index) = &self.index {
            pattern.index = named(index)
                .ok_or_else(|| format!("`{index}` is not first, second, third, fourth or last"))?;
        }
        pattern.check()?;
        Ok(Recurrence { pattern, start: self.start, next: None })
    }
}

/// Reads a value by Graph's name of it.
fn named<T: DeserializeOwned>(name: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::from(name)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_follows_from_the_start() {
        let given = |kind: &str| Given {
            kind: kind.to_owned(),
            ..Given::starting("2026-12-24T10:00:00Z".parse().unwrap())
        };
        let pattern = |given: Given| given.recurrence().map(|recurrence| recurrence.pattern);
        assert_eq!(pattern(given("weekly")).unwrap().days_of_week, [DayOfWeek::Thursday]);
        let monthly = pattern(given("monthly")).unwrap();
        assert_eq!((monthly.kind, monthly.day_of_month), (PatternKind::AbsoluteMonthly, 24));
        let mut last = given("yearly");
        last.index = Some("last".into());
        let last = pattern(last).unwrap();
        let seen = (last.kind, last.month, last.index, last.days_of_week);
        let friday = vec![DayOfWeek::Thursday];
        assert_eq!(seen, (PatternKind::RelativeYearly, 12, WeekIndex::Last, friday));
        for kind in ["", "hourly", "Weekly"] {
            assert!(pattern(given(kind)).is_err(), "{kind}");
        }
    }

    #[test]
    fn the_rules_of_the_beta() {
        let mut weekly = Pattern::from_kind(PatternKind::Weekly);
        assert!(weekly.check().is_err());
        weekly.days_of_week = vec![DayOfWeek::Monday, DayOfWeek::Friday];
        assert_eq!(weekly.check(), Ok(()));
        weekly.interval = 2;
        assert!(weekly.check().is_err());
        let mut yearly = Pattern::from_kind(PatternKind::RelativeYearly);
        yearly.days_of_week = vec![DayOfWeek::Monday];
        assert!(yearly.check().is_err());
        yearly.month = 12;
        assert_eq!(yearly.check(), Ok(()));
        yearly.days_of_week.push(DayOfWeek::Friday);
        assert!(yearly.check().is_err());
        assert!(Pattern::from_kind(PatternKind::AbsoluteMonthly).check().is_err());
        assert_eq!(Pattern::from_kind(PatternKind::Daily).check(), Ok(()));
    }
}
