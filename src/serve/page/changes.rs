//! Changes as people read them: what, of what, from what to what.

use jiff::Timestamp;
use serde_json::Value;

use crate::app::shown::{entity, shortened, visible};
use crate::model::time::day_of_date;
use crate::model::{Priority, Progress};
use crate::serve::desk::Desk;
use crate::serve::page::layout::{Times, text, words};

/// The most characters of a value, and the most changes that a page shows.
const MAX_VALUE: usize = 300;
const MAX_CHANGES: usize = 300;

/// A field that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldView {
    pub(crate) name: String,
    pub(crate) before: String,
    pub(crate) after: String,
}

/// A change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChangeView {
    pub(crate) op: String,
    pub(crate) entity: String,
    pub(crate) title: String,
    pub(crate) plan: String,
    pub(crate) status: String,
    pub(crate) fields: Vec<FieldView>,
    /// Why it was not allowed as it is.
    pub(crate) reasons: Vec<String>,
    pub(crate) error: String,
}

/// Returns the name of a field as people say it.
fn field_name(name: &str) -> String {
    let known = match name {
        "percentComplete" => "progress",
        "bucketId" => "bucket",
        "planId" => "plan",
        "dueDateTime" => "due",
        "startDateTime" => "start",
        "assignments" => "assigned",
        "appliedCategories" => "labels",
        other => other,
    };
    visible(known)
}

/// Returns a value of a field as people read it.
fn value_text(desk: &Desk, times: &Times, name: &str, value: &Value) -> String {
    let named = |id: &str| desk.name_of(id).unwrap_or_else(|| id.to_owned());
    let told = match (name, value) {
        (_, Value::Null) => String::new(),
        ("percentComplete", Value::Number(n)) => {
            let percent = n.as_u64().and_then(|n| u8::try_from(n).ok()).unwrap_or(0);
            Progress::of_percent(percent).name().replace('_', " ")
        }
        ("priority", Value::Number(n)) => {
            let level = n.as_u64().and_then(|n| u8::try_from(n).ok()).and_then(Priority::new);
            level.map_or_else(|| n.to_string(), |level| level.name().to_owned())
        }
        ("startDateTime" | "dueDateTime", Value::String(text)) => match text.parse::<Timestamp>() {
            Ok(at) => day_of_date(at, &times.zone).to_string(),
            Err(_) => text.clone(),
        },
        ("bucketId" | "planId", Value::String(id)) => named(id),
        ("recurrence", schedule @ Value::Object(_)) => entity::recurrence_in_words(schedule),
        (_, Value::Array(items)) => {
            let item = |item: &Value| item.as_str().map_or_else(|| item.to_string(), named);
            items.iter().map(item).collect::<Vec<_>>().join(", ")
        }
        ("assignments", Value::Object(map)) => {
            map.keys().map(|id| named(id)).collect::<Vec<_>>().join(", ")
        }
        (_, Value::String(text)) => text.clone(),
        (_, other) => other.to_string(),
    };
    shortened(&visible(&told), MAX_VALUE)
}

/// Returns the fields of a change in JSON.
pub(crate) fn fields(desk: &Desk, times: &Times, value: &Value) -> Vec<FieldView> {
    let one = |(name, change): (&String, &Value)| FieldView {
        name: field_name(name),
        before: value_text(desk, times, name, &change["before"]),
        after: value_text(desk, times, name, &change["after"]),
    };
    value.as_object().into_iter().flatten().map(one).collect()
}

/// Returns the changes of a report in JSON, with what rules and policies said of each.
pub(crate) fn changes(desk: &Desk, times: &Times, report: &Value) -> Vec<ChangeView> {
    let of_change = |n: &Value| -> Vec<String> {
        let all = report["verdicts"].as_array().into_iter().flatten();
        let own = all.filter(|verdict| verdict["change"] == *n && verdict["verdict"] != "allow");
        own.map(|verdict| text(&verdict["reason"])).take(20).collect()
    };
    let one = |change: &Value| {
        let plan = change["plan"].as_str().unwrap_or_default();
        ChangeView {
            op: text(&change["op"]),
            entity: words(&change["entity"]),
            title: text(&change["title"]),
            plan: visible(&desk.name_of(plan).unwrap_or_default()),
            status: match words(&change["status"]).as_str() {
                "planned" => String::new(),
                other => other.to_owned(),
            },
            fields: fields(desk, times, &change["fields"]),
            reasons: of_change(&change["n"]),
            error: text(&change["error"]["message"]),
        }
    };
    report["changes"].as_array().into_iter().flatten().take(MAX_CHANGES).map(one).collect()
}

/// Returns what rules and policies said of a run as a whole.
pub(crate) fn verdicts(report: &Value) -> Vec<String> {
    let all = report["verdicts"].as_array().into_iter().flatten();
    let of_run = all.filter(|verdict| verdict["change"].is_null() && verdict["verdict"] != "allow");
    let one = |verdict: &Value| {
        let (what, why, by) = (&verdict["verdict"], &verdict["reason"], &verdict["source"]);
        format!("{}: {} ({})", text(what), text(why), text(by))
    };
    of_run.map(one).take(50).collect()
}
