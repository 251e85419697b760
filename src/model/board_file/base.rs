//! The base of a board file: the state of the board when it was pulled, for a three-way decision
//! field by field.
//!
//! The base keeps a mark of each value that `pull` writes: a short digest that shows whether
//! another value is the same, and nothing more. So a field of the file whose mark is in the base
//! was not edited there, and a field of the board whose mark is missing was changed since.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::model::bucket::Bucket;
use crate::model::category::Category;
use crate::model::details::{PlanDetails, TaskDetails};
use crate::model::link;
use crate::model::plan::Plan;
use crate::model::progress::Priority;
use crate::model::task::Task;
use crate::model::time::day_of_date;

/// The marks of one plan, bucket or task; in a file, one line.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Marks(BTreeSet<String>);

/// The way to treat a field that is in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The board has the same value.
    Same,
    /// Only the board was changed since the pull: its value stays.
    Theirs,
    /// The file was edited: its value is set.
    Ours,
    /// Both were changed, and differ.
    Conflict,
}

/// Decides about a field from its value in the file, on the board, and in the base, if there is
/// one.
#[must_use]
pub fn decide(base: Option<&Marks>, field: &str, ours: &str, theirs: &str) -> Decision {
    match base {
        _ if ours == theirs => Decision::Same,
        // Without a base the file is plain desired state.
        None => Decision::Ours,
        // The file still has the value that was pulled.
        Some(base) if base.has(field, ours) => Decision::Theirs,
        // The board still has the value that was pulled.
        Some(base) if base.has(field, theirs) => Decision::Ours,
        Some(_) => Decision::Conflict,
    }
}

/// Returns the text of a date for comparison; empty for none.
#[must_use]
pub fn day_text(day: Option<Date>) -> String {
    day.map(|day| day.to_string()).unwrap_or_default()
}

/// Returns the text of the date that a start or due time stands for; empty for none.
#[must_use]
pub fn day_text_of(moment: Option<Timestamp>, zone: &TimeZone) -> String {
    day_text(moment.map(|moment| day_of_date(moment, zone)))
}

/// Returns the name of a priority, or its number where the name stands for another level.
#[must_use]
pub fn priority_text(priority: Priority) -> String {
    if Priority::parse(priority.name()) == Some(priority) {
        priority.name().to_owned()
    } else {
        priority.level().to_string()
    }
}

/// Returns a description with the line ends of a file: Planner keeps `\r\n`, a file has `\n`.
#[must_use]
pub fn with_plain_lines(description: &str) -> String {
    description.replace("\r\n", "\n")
}

/// Returns the state of a checklist item as text.
#[must_use]
pub fn checked_text(name: &str, checked: bool) -> String {
    format!("{name}: {checked}")
}

/// Returns a link with the text shown for it.
#[must_use]
pub fn alias_text(url: &str, alias: Option<&str>) -> String {
    format!("{url} {}", alias.unwrap_or_default())
}

/// Returns a label with its name; empty for none.
#[must_use]
pub fn label_text(slot: Category, name: &str) -> String {
    format!("{slot} {name}")
}

impl Marks {
    fn of<'a>(values: impl IntoIterator<Item = (&'a str, String)>) -> Self {
        Self(values.into_iter().map(|(field, value)| mark(field, &value)).collect())
    }

    /// Takes the marks of a plan.
    #[must_use]
    pub fn of_plan(plan: &Plan, details: &PlanDetails) -> Self {
        let name = |slot: &Category| details.labels.get(slot).map_or("", String::as_str);
        let labels = Category::all().map(|slot| ("label", label_text(slot, name(&slot))));
        Self::of(labels.chain([("title", plan.title.clone())]))
    }

    /// Takes the marks of a bucket.
    #[must_use]
    pub fn of_bucket(bucket: &Bucket) -> Self {
        Self::of([("name", bucket.name.clone())])
    }

    /// Takes the marks of a task; dates are those of the zone.
    #[must_use]
    pub fn of_task(task: &Task, details: &TaskDetails, zone: &TimeZone) -> Self {
        let bucket = task.bucket.as_ref().map(ToString::to_string);
        let mut values = vec![
            ("title", task.title.clone()),
            ("bucket", bucket.unwrap_or_default()),
            ("progress", task.progress().name().to_owned()),
            ("priority", task.priority.name().to_owned()),
            ("start", day_text_of(task.start, zone)),
            ("due", day_text_of(task.due, zone)),
            ("description", with_plain_lines(&details.description)),
        ];
        values.extend(task.assignments.keys().map(|id| ("assignee", id.to_string())));
        values.extend(task.categories.iter().map(|slot| ("label", slot.to_string())));
        for (name, key) in details.items_by_name() {
            let checked = details.checklist.get(&key).is_some_and(|item| item.checked);
            values.push(("checked", checked_text(&name, checked)));
            values.push(("item", name));
        }
        for (key, reference) in &details.references {
            let url = link::decode(key);
            values.push(("alias", alias_text(&url, reference.alias.as_deref())));
            values.push(("reference", url));
        }
        Self::of(values)
    }

    /// Returns whether a field had this value.
    #[must_use]
    pub fn has(&self, field: &str, value: &str) -> bool {
        self.0.contains(&mark(field, value))
    }
}

/// Returns forty bits of a digest as eight letters and digits: enough that among a million edits
/// none is likely to look like the value that was there before.
fn mark(field: &str, value: &str) -> String {
    const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let digest = Sha256::digest(format!("{field}\0{value}"));
    let bits = digest.iter().take(5).fold(0_u64, |bits, byte| (bits << 8) | u64::from(*byte));
    (0..8).rev().map(|at| char::from(DIGITS[((bits >> (at * 5)) & 31) as usize])).collect()
}

impl From<String> for Marks {
    fn from(line: String) -> Self {
        Self(line.split_whitespace().map(str::to_owned).collect())
    }
}

impl From<Marks> for String {
    fn from(marks: Marks) -> Self {
        Vec::from_iter(marks.0).join(" ")
    }
}
