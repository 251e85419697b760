//! Recurring tasks of the beta (planner-api.md 1.13).
//!
//! Only the schedule is writable. When the task that holds the active schedule is completed or
//! deleted, the next task of the series is created and takes the schedule over.

mod pattern;

use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use crate::emulator::body::json::into_map;
use crate::emulator::body::patch;
use crate::emulator::body::schema;
use crate::emulator::entity::recurrence::pattern::Pattern;
use crate::emulator::entity::tasks;
use crate::emulator::state::call::Call;
use crate::emulator::state::field_versions;
use crate::emulator::state::graph_error::GraphError;
use crate::emulator::state::id;
use crate::emulator::state::object::{self, Object, ObjectKind};
use crate::emulator::state::timestamp;

const NAME: &str = "recurrence";
/// The members that a client must not set.
const READ_ONLY: [&str; 5] = [
    "seriesId",
    "occurrenceId",
    "previousInSeriesTaskId",
    "nextInSeriesTaskId",
    "recurrenceStartDateTime",
];

/// Sets, replaces or stops the schedule of a task.
pub(crate) fn write(
    task: &mut Object,
    value: &Value,
    changed: &mut Vec<String>,
) -> Result<(), GraphError> {
    let present = task.doc.get(NAME).cloned().unwrap_or_default();
    // Null is refused for an existing series: a null schedule stops it (planner-api.md 1.13).
    let members = match value {
        Value::Null if present.is_null() => return Ok(()),
        Value::Object(members) => members,
        _ => return Err(patch::wrong_type(NAME)),
    };
    let mut new = match &present {
        Value::Object(present) => present.clone(),
        _ => begin(),
    };
    for (name, value) in members.iter().filter(|(name, _)| !schema::is_annotation(name)) {
        match name.as_str() {
            "schedule" => {
                let schedule = schedule(value)?;
                // The start of the series stays when a later PATCH replaces the schedule.
                if let Some(start) = schedule.get("patternStartDateTime")
                    && new.get("recurrenceStartDateTime").is_none_or(Value::is_null)
                {
                    new.insert("recurrenceStartDateTime".to_owned(), start.clone());
                }
                new.insert(name.clone(), schedule);
            }
            name if READ_ONLY.contains(&name) => {
                if present.get(name) != Some(value) {
                    return Err(GraphError::read_only("Task", name));
                }
            }
            name => return Err(patch::unknown("plannerTaskRecurrence", name)),
        }
    }
    if present != Value::Object(new.clone()) {
        task.doc.insert(NAME.to_owned(), Value::Object(new));
        changed.push(field_versions::path(&[NAME]));
    }
    Ok(())
}

fn begin() -> Map<String, Value> {
    into_map(json!({
        "seriesId": id::new_guid(),
        "occurrenceId": 1,
        "previousInSeriesTaskId": null,
        "nextInSeriesTaskId": null,
        "recurrenceStartDateTime": null,
        "schedule": null,
    }))
}

/// Reads a schedule; [`settle`] computes its next occurrence.
fn schedule(value: &Value) -> Result<Value, GraphError> {
    let members = match value {
        Value::Null => return Ok(Value::Null),
        Value::Object(members) => members,
        _ => return Err(patch::wrong_type("schedule")),
    };
    let known = ["pattern", "patternStartDateTime", "nextOccurrenceDateTime"];
    let is_unknown =
        |name: &&String| !known.contains(&name.as_str()) && !schema::is_annotation(name);
    if let Some(name) = members.keys().find(is_unknown) {
        return Err(patch::unknown("plannerRecurrenceSchedule", name));
    }
    let pattern = members.get("pattern").and_then(Value::as_object);
    let pattern = Pattern::read(pattern.ok_or_else(|| patch::wrong_type("pattern"))?)?;
    let start = members.get("patternStartDateTime").and_then(Value::as_str);
    let start = start.and_then(timestamp::parse);
    let start = start.ok_or_else(|| patch::wrong_type("patternStartDateTime"))?;
    Ok(json!({
        "pattern": pattern.json(),
        "patternStartDateTime": timestamp::format(start),
        "nextOccurrenceDateTime": null,
    }))
}

/// Computes the next occurrence of a task with a schedule: after its due date or, if it has none,
/// after the start of the pattern.
pub(crate) fn settle(task: &mut Object) -> Result<(), GraphError> {
    let due = task.doc.get("dueDateTime").and_then(Value::as_str).and_then(timestamp::parse);
    let recurrence = task.doc.get_mut(NAME);
    let Some(schedule) = recurrence.and_then(|recurrence| recurrence.get_mut("schedule")) else {
        return Ok(());
    };
    let Some(pattern) = schedule.get("pattern").and_then(Value::as_object) else { return Ok(()) };
    let pattern = Pattern::read(pattern)?;
    let start = schedule.get("patternStartDateTime").and_then(Value::as_str);
    let Some(start) = start.and_then(timestamp::parse) else { return Ok(()) };
    // Dates in Planner are UTC (planner-api.md 7.3), and so are the days of a pattern.
    let start = start.to_zoned(TimeZone::UTC).datetime();
    let after = due.map_or(start.date(), |due| due.to_zoned(TimeZone::UTC).date());
    let next = pattern.next(start.date(), after);
    let next = next.and_then(|day| day.to_datetime(start.time()).to_zoned(TimeZone::UTC).ok());
    schedule["nextOccurrenceDateTime"] =
        next.map_or(Value::Null, |next| timestamp::format(next.timestamp()).into());
    Ok(())
}

/// Creates the next task of a series, if this one holds the schedule, and hands the schedule on.
pub(crate) fn succeed(
    call: &Call<'_>,
    task: &mut Object,
    changed: &mut Vec<String>,
) -> Result<(), GraphError> {
    let recurrence = task.doc.get(NAME);
    let schedule = recurrence.and_then(|recurrence| recurrence.get("schedule")).cloned();
    let Some(schedule) = schedule.filter(|schedule| !schedule.is_null()) else { return Ok(()) };
    let next = schedule.get("nextOccurrenceDateTime").filter(|next| next.is_string());
    let Some(next) = next else { return Ok(()) };
    let of = |name: &str| task.doc.get(name).cloned().unwrap_or_default();
    // A stored hint cannot be sent back (planner-api.md 4.4), and who assigned whom starts afresh.
    let mut assignments = of("assignments");
    for assignment in assignments.as_object_mut().into_iter().flat_map(Map::values_mut) {
        *assignment = json!({ "@odata.type": assignment["@odata.type"], "orderHint": " !" });
    }
    let mut body = json!({
        "planId": task.plan,
        "bucketId": of("bucketId"),
        "title": of("title"),
        "priority": of("priority"),
        "dueDateTime": next,
        "appliedCategories": of("appliedCategories"),
        "assignments": assignments,
    });
    if let Some(details) = object::find(call.conn, ObjectKind::TaskDetails, &task.id)? {
        body["details"] = again(&details.doc);
    }
    // The same way as a POST, so that limits and board formats are those of any new task.
    let mut heir = tasks::create(call, &into_map(body))?;
    // Written into the document, since a body must not set the ids of a series.
    let mut inherited = of(NAME);
    let count = inherited["occurrenceId"].as_i64().unwrap_or_default();
    inherited["occurrenceId"] = (count + 1).into();
    inherited["previousInSeriesTaskId"] = task.id.as_str().into();
    heir.doc.insert(NAME.to_owned(), inherited);
    settle(&mut heir)?;
    object::save(call.conn, &mut heir, &[field_versions::path(&[NAME])])?;
    // Without a schedule, this task cannot continue the series a second time.
    if let Some(own) = task.doc.get_mut(NAME) {
        own["schedule"] = Value::Null;
        own["nextInSeriesTaskId"] = heir.id.as_str().into();
    }
    changed.push(field_versions::path(&[NAME]));
    Ok(())
}

/// Returns the details for the next occurrence, with an unchecked checklist.
fn again(details: &Map<String, Value>) -> Value {
    let of = |name: &str| details.get(name).cloned().unwrap_or_default();
    let strip = |entries: Value, names: &[&str]| -> Map<String, Value> {
        let keep = |(key, entry): (String, Value)| {
            let kept = into_map(entry).into_iter().filter(|(name, _)| names.contains(&&**name));
            let mut kept: Map<String, Value> = kept.collect();
            for hint in ["orderHint", "previewPriority"] {
                // A stored hint describes no position; "after this hint" is one.
                if let Some(Value::String(hint)) = kept.get_mut(hint) {
                    hint.push_str(" !");
                }
            }
            (key, Value::Object(kept))
        };
        into_map(entries).into_iter().map(keep).collect()
    };
    json!({
        "description": of("description"),
        "previewType": of("previewType"),
        "checklist": strip(of("checklist"), &["@odata.type", "title", "orderHint"]),
        "references": strip(of("references"), &["@odata.type", "alias", "type", "previewPriority"]),
    })
}
