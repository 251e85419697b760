//! The events of a board: what has happened between two lists of the tasks of a plan.
//!
//! Copies of the service lag. A list that shows an older version of a task than one before it shows
//! nothing new, and a task that is missing is remembered for a day, so that it is not new when the next
//! list has it again.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::model::time::{day_of_date, day_of_moment};
use crate::model::{ETag, Task, Versioned};
use crate::script::workspace::tables::TriggerEvent;

/// A task as it was seen last. The names are short: there is one for each task of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    #[serde(rename = "e")]
    etag: String,
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    bucket: Option<String>,
    #[serde(rename = "d", default, skip_serializing_if = "std::ops::Not::not")]
    is_done: bool,
    #[serde(rename = "p", default, skip_serializing_if = "BTreeSet::is_empty")]
    people: BTreeSet<String>,
    /// The day that it was noticed to be due on soon.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    soon: Option<Date>,
    /// The moment from which lists have lacked it.
    #[serde(rename = "g", default, skip_serializing_if = "Option::is_none")]
    gone: Option<Timestamp>,
}

/// The time for which a task that lists lack is remembered.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);

/// An event, with what makes it this one and no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    /// The task.
    pub(crate) task: String,
    /// The kind.
    pub(crate) on: TriggerEvent,
    /// The version of the task that it came after, or the day that it is about.
    pub(crate) since: String,
}

/// Returns the tasks as they are seen now, and what has happened to them.
pub(crate) fn events(
    before: &BTreeMap<String, Seen>,
    tasks: &[Versioned<Task>],
    (now, zone): (Timestamp, &TimeZone),
) -> (BTreeMap<String, Seen>, Vec<Event>) {
    let today = day_of_moment(now, zone);
    let (mut after, mut found) = (BTreeMap::new(), Vec::new());
    for task in tasks {
        let id = task.value.id.to_string();
        let known = before.get(&id);
        let since = known.map_or_else(|| "new".to_owned(), |seen| digest(&seen.etag));
        let mut add = |on, since: &str| {
            found.push(Event { task: id.clone(), on, since: since.to_owned() });
        };
        let mut seen = match known {
            Some(known) if !task.etag.is_newer_than(&ETag::new(known.etag.clone())) => {
                Seen { gone: None, ..known.clone() }
            }
            _ => as_seen(task, known.and_then(|known| known.soon)),
        };
        match known {
            None => add(TriggerEvent::Created, &since),
            Some(known) if known.bucket != seen.bucket => add(TriggerEvent::Moved, &since),
            Some(_) => {}
        }
        if seen.is_done && !known.is_some_and(|known| known.is_done) {
            add(TriggerEvent::Completed, &since);
        }
        let nobody = BTreeSet::new();
        let people = known.map_or(&nobody, |known| &known.people);
        if seen.people.difference(people).next().is_some() {
            add(TriggerEvent::Assigned, &since);
        }
        let due = task.value.due.map(|due| day_of_date(due, zone));
        let soon = due.filter(|due| !seen.is_done && is_soon(*due, today));
        if let Some(day) = soon.filter(|day| seen.soon != Some(*day)) {
            add(TriggerEvent::DueSoon, &day.to_string());
            seen.soon = Some(day);
        }
        after.insert(id, seen);
    }
    for (id, seen) in before {
        let gone = seen.gone.unwrap_or(now);
        if !after.contains_key(id) && now.duration_since(gone) < REMEMBERED {
            after.insert(id.clone(), Seen { gone: Some(gone), ..seen.clone() });
        }
    }
    (after, found)
}

fn is_soon(due: Date, today: Date) -> bool {
    due >= today && today.checked_add(1.day()).is_ok_and(|tomorrow| due <= tomorrow)
}

fn as_seen(task: &Versioned<Task>, soon: Option<Date>) -> Seen {
    Seen {
        etag: task.etag.as_str().to_owned(),
        bucket: task.value.bucket.as_ref().map(ToString::to_string),
        is_done: task.value.percent_complete == 100,
        people: task.value.assignments.keys().map(ToString::to_string).collect(),
        soon,
        gone: None,
    }
}

/// Returns what stands for a version in a key.
fn digest(etag: &str) -> String {
    let digest = Sha256::digest(etag.as_bytes());
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
