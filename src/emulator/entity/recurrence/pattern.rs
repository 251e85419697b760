//! Patterns of recurrence: their checks, and the days on which they fall.
//!
//! planner-api.md 1.13. `firstDayOfWeek` and `index` have Graph's defaults; every other member that
//! a type uses must be given.

use jiff::ToSpan as _;
use jiff::civil::{Date, Weekday};
use serde_json::{Map, Value, json};

use crate::emulator::body::patch;
use crate::emulator::state::graph_error::GraphError;
use crate::model::time::WEEKDAYS as DAYS;

/// The longest interval, and the days among which the next one is searched, which are more.
const MAX_INTERVAL: i64 = 99;
const MAX_DAYS: i32 = 366 * (99 + 2);
const INDEXES: [&str; 5] = ["first", "second", "third", "fourth", "last"];

/// A `recurrencePattern`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    kind: PatternKind,
    interval: i64,
    month: i64,
    day: i64,
    days: Vec<Weekday>,
    week_begins: Weekday,
    index: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PatternKind {
    Daily,
    Weekly,
    AbsoluteMonthly,
    RelativeMonthly,
    AbsoluteYearly,
    RelativeYearly,
}

impl PatternKind {
    const ALL: [(&str, Self); 6] = [
        ("daily", Self::Daily),
        ("weekly", Self::Weekly),
        ("absoluteMonthly", Self::AbsoluteMonthly),
        ("relativeMonthly", Self::RelativeMonthly),
        ("absoluteYearly", Self::AbsoluteYearly),
        ("relativeYearly", Self::RelativeYearly),
    ];

    fn is_relative(self) -> bool {
        matches!(self, Self::RelativeMonthly | Self::RelativeYearly)
    }

    fn is_yearly(self) -> bool {
        matches!(self, Self::AbsoluteYearly | Self::RelativeYearly)
    }

    fn has_day_of_month(self) -> bool {
        matches!(self, Self::AbsoluteMonthly | Self::AbsoluteYearly)
    }

    fn has_days_of_week(self) -> bool {
        self == Self::Weekly || self.is_relative()
    }
}

impl Pattern {
    /// Reads a pattern; members that its type does not use are ignored.
    pub(crate) fn read(members: &Map<String, Value>) -> Result<Self, GraphError> {
        let wrong = patch::wrong_type;
        let find = |list: &[(&str, Weekday)], value: &Value| {
            list.iter().find(|(name, _)| value == name).map(|(_, day)| *day)
        };
        let kind = members.get("type").ok_or_else(|| missing("type"))?;
        let kind = PatternKind::ALL.iter().find(|(name, _)| kind == name);
        let (_, kind) = *kind.ok_or_else(|| wrong("type"))?;
        let whole = |name: &str, max: i64| -> Result<i64, GraphError> {
            let value = members.get(name).ok_or_else(|| missing(name))?;
            value.as_i64().filter(|number| (1..=max).contains(number)).ok_or_else(|| wrong(name))
        };
        let days = match members.get("daysOfWeek") {
            _ if !kind.has_days_of_week() => Vec::new(),
            None => return Err(missing("daysOfWeek")),
            Some(Value::Array(days)) if !days.is_empty() => days
                .iter()
                .map(|day| find(&DAYS, day).ok_or_else(|| wrong("daysOfWeek")))
                .collect::<Result<Vec<_>, _>>()?,
            Some(_) => return Err(wrong("daysOfWeek")),
        };
        let week_begins = match members.get("firstDayOfWeek") {
            Some(day) if kind == PatternKind::Weekly => {
                find(&DAYS, day).ok_or_else(|| wrong("firstDayOfWeek"))?
            }
            // The value that an unused member is answered with (planner-api.md 1.13), and the default.
            _ => Weekday::Sunday,
        };
        let index = match members.get("index") {
            Some(index) if kind.is_relative() => {
                let place = INDEXES.iter().position(|name| index == name);
                place.ok_or_else(|| wrong("index"))?
            }
            _ => 0,
        };
        let interval = whole("interval", MAX_INTERVAL)?;
        // A rule of the service (planner-api.md 1.13); `falls_on` could count such weeks.
        if kind == PatternKind::Weekly && days.len() > 1 && interval > 1 {
            let reason = "More than one day of the week needs an interval of 1.";
            return Err(GraphError::invalid(reason));
        }
        if kind.is_relative() && days.len() != 1 {
            return Err(GraphError::invalid(
                "A relative pattern needs exactly one day of the week.",
            ));
        }
        Ok(Self {
            kind,
            interval,
            // Read only where used: the 0 of an unused number is outside of the range.
            month: if kind.is_yearly() { whole("month", 12)? } else { 0 },
            day: if kind.has_day_of_month() { whole("dayOfMonth", 31)? } else { 0 },
            days,
            week_begins,
            index,
        })
    }

    /// Returns the pattern as it is answered: members that its type does not use have the values
    /// for that (planner-api.md 1.13).
    pub(crate) fn json(&self) -> Value {
        let name = |day: &Weekday| DAYS.iter().find(|(_, own)| own == day).map(|(name, _)| *name);
        let kind =
            PatternKind::ALL.iter().find(|(_, kind)| *kind == self.kind).map(|(name, _)| *name);
        json!({
            "type": kind,
            "interval": self.interval,
            "month": self.month,
            "dayOfMonth": self.day,
            "daysOfWeek": self.days.iter().filter_map(name).collect::<Vec<_>>(),
            "firstDayOfWeek": name(&self.week_begins),
            "index": INDEXES.get(self.index),
        })
    }

    /// Returns the first day after `after` on which the pattern falls, counted from `start`.
    pub(crate) fn next(&self, start: Date, after: Date) -> Option<Date> {
        // The start itself is a candidate, but never a day before it.
        let first = after.max(start.yesterday().unwrap_or(start));
        (1..=MAX_DAYS)
            .map_while(|days| first.checked_add(days.days()).ok())
            .find(|day| self.falls_on(start, *day))
    }

    fn falls_on(&self, start: Date, day: Date) -> bool {
        let months = i64::from(day.year() - start.year()) * 12 + i64::from(day.month())
            - i64::from(start.month());
        let is_turn = |count: i64| count >= 0 && count % self.interval == 0;
        match self.kind {
            PatternKind::Daily => is_turn(days_between(start, day)),
            PatternKind::Weekly => {
                // By whole weeks: with an interval of 2, every second one has its days.
                let week = |day: Date| {
                    let since = day.weekday().since(self.week_begins);
                    day.checked_sub(i32::from(since).days()).unwrap_or(day)
                };
                self.days.contains(&day.weekday())
                    && is_turn(days_between(week(start), week(day)) / 7)
            }
            PatternKind::AbsoluteMonthly => is_turn(months) && self.is_day(day),
            PatternKind::RelativeMonthly => is_turn(months) && self.is_weekday(day),
            PatternKind::AbsoluteYearly | PatternKind::RelativeYearly => {
                let years = i64::from(day.year() - start.year());
                let is_day = if self.kind == PatternKind::AbsoluteYearly {
                    self.is_day(day)
                } else {
                    self.is_weekday(day)
                };
                is_turn(years) && i64::from(day.month()) == self.month && is_day
            }
        }
    }

    /// Returns whether a day is the pattern's day of the month. The last day of a month stands for
    /// those that the month does not have (planner-api.md 1.13).
    fn is_day(&self, day: Date) -> bool {
        i64::from(day.day()) == self.day.min(i64::from(day.days_in_month()))
    }

    fn is_weekday(&self, day: Date) -> bool {
        // The last one is the fourth in some months and the fifth in others.
        let is_last = day.day() > day.days_in_month() - 7;
        let place = usize::from(day.day().unsigned_abs() - 1) / 7;
        self.days.contains(&day.weekday())
            && if self.index == 4 { is_last } else { place == self.index }
    }
}

fn days_between(start: Date, day: Date) -> i64 {
    day.since(start).map_or(0, |span| i64::from(span.get_days()))
}

/// Returns the refusal of an incomplete pattern, which a PATCH cannot change in part
/// (planner-api.md 1.13).
fn missing(name: &str) -> GraphError {
    GraphError::invalid(format_args!("The recurrence pattern must specify '{name}'."))
}

#[cfg(test)]
mod tests {
    use jiff::civil::Date;
    use serde_json::{Value, json};

    use super::Pattern;

    fn days(pattern: &Value, start: &str, count: usize) -> Vec<String> {
        let pattern = Pattern::read(pattern.as_object().unwrap()).unwrap();
        let start: Date = start.parse().unwrap();
        let mut day = start.yesterday().unwrap();
        (0..count)
            .map(|_| {
                day = pattern.next(start, day).unwrap();
                day.to_string()
            })
            .collect()
    }

    #[test]
    fn patterns_fall_on_the_days_that_they_say() {
        for (pattern, start, expected) in [
            (
                json!({ "type": "daily", "interval": 3 }),
                "2026-02-26",
                ["2026-02-26", "2026-03-01", "2026-03-04"],
            ),
            (
                json!({ "type": "weekly", "interval": 1, "daysOfWeek": ["monday", "friday"] }),
                "2026-03-03",
                ["2026-03-06", "2026-03-09", "2026-03-13"],
            ),
            (
                json!({ "type": "weekly", "interval": 2, "daysOfWeek": ["sunday"],
                        "firstDayOfWeek": "monday" }),
                "2026-03-03",
                ["2026-03-08", "2026-03-22", "2026-04-05"],
            ),
            (
                json!({ "type": "absoluteMonthly", "interval": 1, "dayOfMonth": 31 }),
                "2026-01-31",
                ["2026-01-31", "2026-02-28", "2026-03-31"],
            ),
            (
                json!({ "type": "relativeMonthly", "interval": 3, "daysOfWeek": ["tuesday"],
                        "index": "second" }),
                "2026-01-01",
                ["2026-01-13", "2026-04-14", "2026-07-14"],
            ),
            (
                json!({ "type": "relativeMonthly", "interval": 1, "daysOfWeek": ["friday"],
                        "index": "last" }),
                "2026-01-01",
                ["2026-01-30", "2026-02-27", "2026-03-27"],
            ),
            (
                json!({ "type": "absoluteYearly", "interval": 1, "dayOfMonth": 29, "month": 2 }),
                "2027-06-01",
                ["2028-02-29", "2029-02-28", "2030-02-28"],
            ),
            (
                json!({ "type": "relativeYearly", "interval": 2, "daysOfWeek": ["monday"],
                        "month": 9 }),
                "2026-01-01",
                ["2026-09-07", "2028-09-04", "2030-09-02"],
            ),
        ] {
            assert_eq!(days(&pattern, start, 3), expected, "{pattern}");
        }
    }

    #[test]
    fn a_pattern_without_what_its_type_uses_is_refused() {
        for pattern in [
            json!({}),
            json!({ "type": "hourly", "interval": 1 }),
            json!({ "type": "daily" }),
            json!({ "type": "daily", "interval": 0 }),
            json!({ "type": "daily", "interval": "1" }),
            json!({ "type": "weekly", "interval": 1 }),
            json!({ "type": "weekly", "interval": 1, "daysOfWeek": [] }),
            json!({ "type": "weekly", "interval": 1, "daysOfWeek": ["Montag"] }),
            json!({ "type": "weekly", "interval": 2, "daysOfWeek": ["monday", "friday"] }),
            json!({ "type": "absoluteMonthly", "interval": 1 }),
            json!({ "type": "absoluteMonthly", "interval": 1, "dayOfMonth": 32 }),
            json!({ "type": "relativeMonthly", "interval": 1, "daysOfWeek": ["monday", "friday"] }),
            json!({ "type": "absoluteYearly", "interval": 1, "dayOfMonth": 1 }),
            json!({ "type": "relativeYearly", "interval": 1, "daysOfWeek": ["monday"], "month": 13 }),
        ] {
            assert!(Pattern::read(pattern.as_object().unwrap()).is_err(), "{pattern}");
        }
    }

    #[test]
    fn what_a_type_does_not_use_has_the_value_that_says_so() {
        let pattern = json!({ "type": "daily", "interval": 2, "month": 3, "index": "last" });
        let pattern = Pattern::read(pattern.as_object().unwrap()).unwrap();
        let expected = json!({
            "type": "daily", "interval": 2, "month": 0, "dayOfMonth": 0, "daysOfWeek": [],
            "firstDayOfWeek": "sunday", "index": "first",
        });
        assert_eq!(pattern.json(), expected);
        assert_eq!(Pattern::read(expected.as_object().unwrap()).unwrap(), pattern);
    }
}
