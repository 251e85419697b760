//! Entities as JSON with the names of Graph, so that programs that know Graph can read it.

use serde_json::{Map, Value, json};

use crate::model::{
    Bucket, Category, Plan, PlanDetails, PlanId, Recurrence, Task, TaskDetails, UserId,
};

fn ids<'a>(users: impl Iterator<Item = &'a UserId>) -> Vec<&'a str> {
    users.map(UserId::as_str).collect()
}

pub(crate) fn plan(plan: &Plan) -> Value {
    json!({
        "id": plan.id,
        "title": plan.title,
        "owner": plan.group,
        "createdDateTime": plan.created_at,
        "createdBy": plan.created_by,
        "rosterId": plan.roster,
        "isArchived": plan.archival.is_archived,
    })
}

/// Returns a recurrence in words: `weekly on monday, friday from 2026-12-01`.
pub(crate) fn recurrence(recurrence: &Recurrence) -> String {
    let schedule =
        json!({ "pattern": recurrence.pattern, "patternStartDateTime": recurrence.start });
    recurrence_in_words(&schedule)
}

/// Returns the same for a recurrence in the JSON of Graph.
pub(crate) fn recurrence_in_words(schedule: &Value) -> String {
    let pattern = schedule.get("pattern").unwrap_or(schedule);
    let text = |name: &str| pattern.get(name).and_then(Value::as_str).unwrap_or_default();
    let number = |name: &str| pattern.get(name).and_then(Value::as_u64).unwrap_or(0);
    let kind = text("type");
    let (how_often, unit) = match kind {
        "daily" => ("daily", "days"),
        "weekly" => ("weekly", "weeks"),
        "absoluteMonthly" | "relativeMonthly" => ("monthly", "months"),
        "absoluteYearly" | "relativeYearly" => ("yearly", "years"),
        other => (other, "times"),
    };
    let mut words = match number("interval") {
        0 | 1 => vec![how_often.to_owned()],
        every => vec![format!("every {every} {unit}")],
    };
    let days = pattern.get("daysOfWeek").and_then(Value::as_array);
    let days: Vec<&str> = days.into_iter().flatten().filter_map(Value::as_str).collect();
    if !days.is_empty() {
        let which = if kind.starts_with("relative") { text("index") } else { "" };
        let days = days.join(", ");
        words.push(if which.is_empty() {
            format!("on {days}")
        } else {
            format!("on {which} {days}")
        });
    }
    if number("dayOfMonth") > 0 {
        words.push(format!("on day {}", number("dayOfMonth")));
    }
    if number("month") > 0 {
        words.push(format!("of month {}", number("month")));
    }
    let start = schedule.get("patternStartDateTime").and_then(Value::as_str).unwrap_or_default();
    let start = start.split('T').next().unwrap_or_default();
    if !start.is_empty() {
        words.push(format!("from {start}"));
    }
    words.join(" ")
}

/// Returns the details of a plan in the form of Graph, with `null` for labels without a name.
pub(crate) fn plan_details(plan: &PlanId, details: &PlanDetails) -> Value {
    let labels = Category::all()
        .map(|category| (category.to_string(), json!(details.labels.get(&category))));
    let shared = details.shared_with.iter().map(|user| (user.to_string(), Value::Bool(true)));
    json!({
        "id": plan,
        "categoryDescriptions": labels.collect::<Map<_, _>>(),
        "sharedWith": shared.collect::<Map<_, _>>(),
    })
}

pub(crate) fn bucket(bucket: &Bucket) -> Value {
    json!({
        "id": bucket.id,
        "name": bucket.name,
        "planId": bucket.plan,
        "orderHint": bucket.order_hint,
    })
}

pub(crate) fn task(task: &Task, details: Option<&TaskDetails>) -> Value {
    let mut value = json!({
        "id": task.id,
        "planId": task.plan,
        "bucketId": task.bucket,
        "title": task.title,
        "percentComplete": task.percent_complete,
        "priority": task.priority.level(),
        "startDateTime": task.start,
        "dueDateTime": task.due,
        "createdDateTime": task.created_at,
        "createdBy": task.created_by,
        "completedDateTime": task.completed_at,
        "completedBy": task.completed_by,
        "assignments": ids(task.assignments.keys()),
        "appliedCategories": task.categories.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "conversationThreadId": task.conversation_thread,
        "hasDescription": task.has_description,
        "checklistItemCount": task.checklist_count,
        "referenceCount": task.reference_count,
    });
    if let (Some(beta), Some(map)) = (&task.beta, value.as_object_mut()) {
        map.insert("lastModifiedDateTime".into(), json!(beta.last_modified_at));
        map.insert("lastModifiedBy".into(), json!(beta.last_modified_by));
        map.insert("isArchived".into(), json!(beta.is_archived));
        let schedule = beta.recurrence.as_ref().map(|recurrence| {
            let (start, next) = (recurrence.start, recurrence.next);
            json!({ "pattern": recurrence.pattern, "patternStartDateTime": start, "nextOccurrenceDateTime": next })
        });
        map.insert("recurrence".into(), json!(schedule));
    }
    if let (Some(details), Some(map)) = (details, value.as_object_mut()) {
        map.insert("description".into(), json!(details.description));
        let checklist = details.checklist.iter().map(|(key, item)| {
            (key.clone(), json!({ "title": item.title, "isChecked": item.checked }))
        });
        map.insert("checklist".into(), Value::Object(checklist.collect::<Map<_, _>>()));
        let references = details
            .references
            .iter()
            .map(|(key, link)| (key.clone(), json!({ "alias": link.alias, "type": link.kind })));
        map.insert("references".into(), Value::Object(references.collect::<Map<_, _>>()));
    }
    value
}
