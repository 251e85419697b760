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
/// The most characters of all values of a set that somebody decides on: within that, each is whole.
const MAX_WHOLE: usize = 100_000;

/// The room for values.
struct Room {
    /// The characters of one that is shown whole.
    of_one: usize,
    /// The characters that are left for all of them.
    left: usize,
    /// True if one was cut.
    is_cut: bool,
}

impl Room {
    const fn of_each(of_one: usize, left: usize) -> Self {
        Self { of_one, left, is_cut: false }
    }

    fn take(&mut self, told: &str) -> String {
        let told = visible(told);
        let n = told.chars().count();
        match self.left.checked_sub(n) {
            Some(left) if n <= self.of_one => {
                self.left = left;
                told
            }
            _ => {
                self.is_cut = true;
                shortened(&told, MAX_VALUE)
            }
        }
    }
}

/// The changes of a set that somebody decides on.
pub(crate) struct Shown {
    pub(crate) changes: Vec<ChangeView>,
    /// Why what is shown is not all of it; empty if it is.
    pub(crate) left_out: String,
}

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
fn value_text(
    (desk, times): (&Desk, &Times),
    name: &str,
    value: &Value,
    room: &mut Room,
) -> String {
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
    room.take(&told)
}

/// Returns the fields of a change in JSON.
pub(crate) fn fields(desk: &Desk, times: &Times, value: &Value) -> Vec<FieldView> {
    fields_in((desk, times), value, &mut Room::of_each(MAX_VALUE, usize::MAX))
}

fn fields_in(by: (&Desk, &Times), value: &Value, room: &mut Room) -> Vec<FieldView> {
    let one = |(name, change): (&String, &Value)| FieldView {
        name: field_name(name),
        before: value_text(by, name, &change["before"], room),
        after: value_text(by, name, &change["after"], room),
    };
    value.as_object().into_iter().flatten().map(one).collect()
}

/// Returns the changes of a set that somebody decides on, each whole as long as there is room.
pub(crate) fn to_decide_on(desk: &Desk, times: &Times, set: &Value) -> Shown {
    let mut room = Room::of_each(MAX_WHOLE, MAX_WHOLE);
    let shown = changes_in((desk, times), set, &mut room);
    let n = set["changes"].as_array().map_or(0, Vec::len).saturating_sub(shown.len());
    let left_out = match n {
        0 if room.is_cut => "Values that are too long for a page are cut.".to_owned(),
        0 => String::new(),
        1 => "1 more change is not shown.".to_owned(),
        n => format!("{n} more changes are not shown."),
    };
    Shown { changes: shown, left_out }
}

/// Returns the changes of a report in JSON, with what rules and policies said of each.
pub(crate) fn changes(desk: &Desk, times: &Times, report: &Value) -> Vec<ChangeView> {
    changes_in((desk, times), report, &mut Room::of_each(MAX_VALUE, usize::MAX))
}

fn changes_in((desk, times): (&Desk, &Times), report: &Value, room: &mut Room) -> Vec<ChangeView> {
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
            fields: fields_in((desk, times), &change["fields"], room),
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
