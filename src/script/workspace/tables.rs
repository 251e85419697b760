//! The tables of what runs by itself: schedules and triggers, as `planwright.toml` has them.

use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::model::{Cron, Missed};

/// The bounds of the interval at which a plan is looked at, in seconds.
const INTERVALS: (u64, u64) = (5, 86_400);

/// One `[schedules.NAME]` table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleConfig {
    /// The skill to run.
    pub skill: String,
    /// Its times.
    pub cron: Cron,
    /// The zone in which they are meant; that of the workspace if absent.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// The parameters of the skill.
    #[serde(default, deserialize_with = "json_table")]
    pub params: Map<String, Value>,
    /// The agent that it runs as; `schedule` if absent.
    #[serde(default, rename = "as")]
    pub agent: Option<String>,
    /// The rule for times at which nothing ran.
    #[serde(default)]
    pub missed: Missed,
    /// True if a run begins although the one before is not over.
    #[serde(default)]
    pub overlap: bool,
    /// The most seconds by which a run begins late, so that not everything begins at once.
    #[serde(default)]
    pub jitter_seconds: u32,
}

/// One `[triggers.NAME]` table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TriggerConfig {
    /// The event that it waits for.
    pub on: TriggerEvent,
    /// The title or id of the plan.
    pub plan: String,
    /// The skill to run.
    pub skill: String,
    /// Further parameters of the skill.
    #[serde(default, deserialize_with = "json_table")]
    pub params: Map<String, Value>,
    /// The agent that it runs as; `schedule` if absent.
    #[serde(default, rename = "as")]
    pub agent: Option<String>,
    /// The interval at which the plan is looked at.
    #[serde(default)]
    pub every: Every,
}

/// An event on a board.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum TriggerEvent {
    /// A task is new.
    #[serde(rename = "task.created")]
    Created,
    /// A task was completed.
    #[serde(rename = "task.completed")]
    Completed,
    /// A task is in another bucket.
    #[serde(rename = "task.moved")]
    Moved,
    /// Somebody was assigned.
    #[serde(rename = "task.assigned")]
    Assigned,
    /// A task that is not completed is due today or tomorrow.
    #[serde(rename = "task.due_soon")]
    DueSoon,
}

impl TriggerEvent {
    /// Returns its name, as it is written and as skills get it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Created => "task.created",
            Self::Completed => "task.completed",
            Self::Moved => "task.moved",
            Self::Assigned => "task.assigned",
            Self::DueSoon => "task.due_soon",
        }
    }
}

/// An interval, as `"60s"`, `"5m"` or `"1h"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Every(pub Duration);

impl Default for Every {
    fn default() -> Self {
        Self(Duration::from_secs(60))
    }
}

impl TryFrom<String> for Every {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let shown: String = text.chars().take(20).collect();
        let wrong = || format!("`{shown}` is not an interval from 5s to 24h, such as \"60s\"");
        let text = text.trim();
        let unit = text.chars().last().ok_or_else(wrong)?;
        let factor = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            _ => return Err(wrong()),
        };
        let number = text.strip_suffix(unit).and_then(|number| number.parse::<u64>().ok());
        let seconds = number.and_then(|number| number.checked_mul(factor)).ok_or_else(wrong)?;
        if (INTERVALS.0..=INTERVALS.1).contains(&seconds) {
            Ok(Self(Duration::from_secs(seconds)))
        } else {
            Err(wrong())
        }
    }
}

/// Reads a TOML table as JSON; dates become their text.
fn json_table<'de, D: Deserializer<'de>>(from: D) -> Result<Map<String, Value>, D::Error> {
    fn json(value: toml::Value) -> Value {
        match value {
            toml::Value::String(text) => text.into(),
            toml::Value::Integer(number) => number.into(),
            toml::Value::Float(number) => number.into(),
            toml::Value::Boolean(flag) => flag.into(),
            toml::Value::Datetime(date) => date.to_string().into(),
            toml::Value::Array(items) => items.into_iter().map(json).collect(),
            toml::Value::Table(table) => {
                table.into_iter().map(|(name, value)| (name, json(value))).collect()
            }
        }
    }
    let table = toml::Table::deserialize(from)?;
    Ok(table.into_iter().map(|(name, value)| (name, json(value))).collect())
}

#[cfg(test)]
mod tests {
    use crate::script::Config;

    #[test]
    fn what_a_table_says_by_itself_is_an_error_of_the_configuration() {
        let error = |text: &str| Config::parse(text).unwrap_err().to_string();
        let cron = error("[schedules.x]\nskill = \"a\"\ncron = \"0 9 * *\"");
        assert!(cron.contains("it has 4 fields"), "{cron}");
        assert!(error("[schedules.x]\nskill = \"a\"\ncorn = \"@daily\"").contains("`corn`"));
        let on = error("[triggers.x]\non = \"task.create\"\nplan = \"P\"\nskill = \"a\"");
        assert!(on.contains("task.created"), "{on}");
        for every in ["1s", "2 days", "", "99999999999999999999h", "é", "25h"] {
            let text = format!(
                "[triggers.x]\non = \"task.moved\"\nplan = \"P\"\nskill = \"a\"\nevery = \"{every}\""
            );
            assert!(error(&text).contains("is not an interval"), "{every}");
        }
    }
}
