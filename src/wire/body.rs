//! The bodies of creates and updates: changed, writable properties and nothing else.
//!
//! Order hints are never echoed (planner-api.md trap 7), open maps carry only the keys that change,
//! `null` or `false` for a removed one (planner-api.md 5.2), and each complex value names its type
//! first (planner-api.md 5.1).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::model::order::is_wanted;
use crate::model::{
    Board, BoardPlace, Bucket, Category, ChecklistItem, PlanDetails, Reference, Task, TaskDetails,
    UserId,
};

/// The hint for "anywhere" (planner-api.md 4.2).
const ANYWHERE: &str = " !";

/// Returns the body that creates a task. Its details are set afterwards (planner-api.md 2.3 T1).
#[must_use]
pub fn new_task(task: &Task) -> Value {
    let mut body = Map::new();
    body.insert("planId".into(), json!(task.plan.as_str()));
    body.insert("title".into(), json!(task.title));
    // Only what differs from a blank task is sent; the service sets the defaults.
    let blank = Task::new(task.id.clone(), task.plan.clone(), task.title.clone());
    body.extend(changed_properties(&blank, task));
    Value::Object(body)
}

/// Returns the body that turns one task into the other; `None` if they do not differ in a writable
/// property.
#[must_use]
pub fn task_patch(before: &Task, after: &Task) -> Option<Value> {
    let body = changed_properties(before, after);
    if body.is_empty() { None } else { Some(Value::Object(body)) }
}

fn changed_properties(before: &Task, after: &Task) -> Map<String, Value> {
    let mut body = Map::new();
    let mut set = |name: &str, differs: bool, value: Value| {
        if differs {
            body.insert(name.to_owned(), value);
        }
    };
    set("title", before.title != after.title, json!(after.title));
    set("planId", before.plan != after.plan, json!(after.plan.as_str()));
    set("bucketId", before.bucket != after.bucket, json!(after.bucket));
    set(
        "percentComplete",
        before.percent_complete != after.percent_complete,
        json!(after.percent_complete),
    );
    set("priority", before.priority != after.priority, json!(after.priority.level()));
    set("startDateTime", before.start != after.start, json!(after.start));
    set("dueDateTime", before.due != after.due, json!(after.due));
    set(
        "conversationThreadId",
        before.conversation_thread != after.conversation_thread,
        json!(after.conversation_thread),
    );
    let schedule = after.recurrence().map(|recurrence| {
        let start = recurrence.start;
        json!({ "pattern": recurrence.pattern, "patternStartDateTime": start })
    });
    let differs = before.recurrence() != after.recurrence();
    set("recurrence", differs, json!({ "schedule": schedule }));
    let assignments = changed_assignments(&before.assignments, &after.assignments);
    set("assignments", !assignments.is_empty(), Value::Object(assignments));
    let categories = changed_flags(&before.categories, &after.categories);
    set("appliedCategories", !categories.is_empty(), Value::Object(categories));
    body
}

fn changed_assignments(
    before: &BTreeMap<UserId, String>,
    after: &BTreeMap<UserId, String>,
) -> Map<String, Value> {
    // Assignees that stay are left out: their hints are the service's (planner-api.md trap 7).
    let gone = before.keys().filter(|id| !after.contains_key(id));
    let new = after.keys().filter(|id| !before.contains_key(id));
    gone.map(|id| (id.to_string(), Value::Null))
        .chain(new.map(|id| {
            (id.to_string(), typed("plannerAssignment", [("orderHint", json!(ANYWHERE))]))
        }))
        .collect()
}

fn changed_flags(before: &BTreeSet<Category>, after: &BTreeSet<Category>) -> Map<String, Value> {
    before
        .symmetric_difference(after)
        .map(|category| (category.to_string(), Value::Bool(after.contains(category))))
        .collect()
}

/// Returns the body that turns one bucket into the other; `None` if they do not differ in a
/// writable property. A hint is sent only if it describes a wanted place.
#[must_use]
pub fn bucket_patch(before: &Bucket, after: &Bucket) -> Option<Value> {
    let mut body = Map::new();
    if before.name != after.name {
        body.insert("name".into(), json!(after.name));
    }
    if before.order_hint != after.order_hint && is_wanted(&after.order_hint) {
        body.insert("orderHint".into(), json!(after.order_hint));
    }
    if body.is_empty() { None } else { Some(Value::Object(body)) }
}

/// Returns the body that turns one plan's details into the other; `None` if they do not differ. A
/// label without a name is `null`, a person no longer shared with is `false` (planner-api.md 5.2).
#[must_use]
pub fn plan_details_patch(before: &PlanDetails, after: &PlanDetails) -> Option<Value> {
    let mut body = Map::new();
    let names: Map<String, Value> = Category::all()
        .filter(|label| before.labels.get(label) != after.labels.get(label))
        .map(|label| (label.to_string(), json!(after.labels.get(&label))))
        .collect();
    if !names.is_empty() {
        body.insert("categoryDescriptions".into(), Value::Object(names));
    }
    let shared: Map<String, Value> = before
        .shared_with
        .symmetric_difference(&after.shared_with)
        .map(|id| (id.to_string(), Value::Bool(after.shared_with.contains(id))))
        .collect();
    if !shared.is_empty() {
        body.insert("sharedWith".into(), Value::Object(shared));
    }
    if body.is_empty() { None } else { Some(Value::Object(body)) }
}

/// Returns the body that turns one task's details into the other; `None` if they do not differ.
#[must_use]
pub fn details_patch(before: &TaskDetails, after: &TaskDetails) -> Option<Value> {
    let mut body = Map::new();
    if before.description != after.description {
        body.insert("description".into(), json!(after.description));
    }
    if before.preview_type != after.preview_type {
        body.insert("previewType".into(), json!(after.preview_type));
    }
    let checklist = changed_entries(&before.checklist, &after.checklist, checklist_item);
    if !checklist.is_empty() {
        body.insert("checklist".into(), Value::Object(checklist));
    }
    let references = changed_entries(&before.references, &after.references, reference);
    if !references.is_empty() {
        body.insert("references".into(), Value::Object(references));
    }
    if body.is_empty() { None } else { Some(Value::Object(body)) }
}

/// Returns the body that moves a task on a board; `None` if its place does not change. The service
/// removes a person's entry with their assignment, and a client cannot (planner-api.md trap 56).
#[must_use]
pub fn place_patch(board: Board, before: &BoardPlace, after: &BoardPlace) -> Option<Value> {
    let mut body = Map::new();
    if before.hint != after.hint && is_wanted(&after.hint) {
        body.insert(board.hint_name().into(), json!(after.hint));
    }
    let people: Map<String, Value> = after
        .by_user
        .iter()
        .filter(|(user, hint)| is_wanted(hint) && before.by_user.get(*user) != Some(*hint))
        .map(|(user, hint)| (user.to_string(), json!(hint)))
        .collect();
    if !people.is_empty() {
        body.insert("orderHintsByAssignee".into(), Value::Object(people));
    }
    if body.is_empty() { None } else { Some(Value::Object(body)) }
}

fn changed_entries<T: PartialEq>(
    before: &BTreeMap<String, T>,
    after: &BTreeMap<String, T>,
    encode: impl Fn(Option<&T>, &T) -> Value,
) -> Map<String, Value> {
    let mut out = Map::new();
    for key in before.keys().filter(|key| !after.contains_key(*key)) {
        out.insert(key.clone(), Value::Null);
    }
    for (key, wanted) in after {
        let old = before.get(key);
        if old != Some(wanted) {
            out.insert(key.clone(), encode(old, wanted));
        }
    }
    out
}

fn checklist_item(before: Option<&ChecklistItem>, after: &ChecklistItem) -> Value {
    let mut members = Vec::new();
    if before.is_none_or(|old| old.title != after.title) {
        members.push(("title", json!(after.title)));
    }
    if before.is_none_or(|old| old.checked != after.checked) {
        members.push(("isChecked", json!(after.checked)));
    }
    let moved = before.is_none_or(|old| old.order_hint != after.order_hint);
    if moved && is_wanted(&after.order_hint) {
        members.push(("orderHint", json!(after.order_hint)));
    }
    typed("plannerChecklistItem", members)
}

fn reference(before: Option<&Reference>, after: &Reference) -> Value {
    let mut members = Vec::new();
    if before.is_none_or(|old| old.alias != after.alias) {
        members.push(("alias", json!(after.alias)));
    }
    if after.kind.is_some() && before.is_none_or(|old| old.kind != after.kind) {
        members.push(("type", json!(after.kind)));
    }
    typed("plannerExternalReference", members)
}

fn typed<'a>(kind: &str, members: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    let mut map = Map::new();
    // OData readers need annotations early, so the type comes first (planner-api.md 5.1).
    map.insert("@odata.type".into(), json!(format!("#microsoft.graph.{kind}")));
    map.extend(members.into_iter().map(|(name, value)| (name.to_owned(), value)));
    Value::Object(map)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{BucketId, PlanId, Priority, TaskId};

    fn task() -> Task {
        let mut task = Task::new(
            TaskId::parse("t").unwrap(),
            PlanId::parse("p").unwrap(),
            "Order anodes".into(),
        );
        task.assignments.insert(UserId::parse("bo").unwrap(), "8584PB".into());
        task.categories.insert(Category::new(3).unwrap());
        task.due = Some("2026-03-31T10:00:00Z".parse().unwrap());
        task.order_hint = "8584".into();
        task
    }

    /// The example of planner-api.md 13.7, without the hint that need not be sent.
    #[test]
    fn a_new_task_names_what_is_wanted_and_nothing_else() {
        let mut wanted = task();
        wanted.priority = Priority::new(3).unwrap();
        wanted.bucket = Some(BucketId::parse("b").unwrap());
        let expected = json!({
            "planId": "p",
            "title": "Order anodes",
            "bucketId": "b",
            "priority": 3,
            "dueDateTime": "2026-03-31T10:00:00Z",
            "assignments": {
                "bo": { "@odata.type": "#microsoft.graph.plannerAssignment", "orderHint": " !" }
            },
            "appliedCategories": { "category3": true }
        });
        assert_eq!(new_task(&wanted), expected);
    }

    /// The example of planner-api.md 13.10: reassign, complete, move, clear a date, swap a label.
    #[test]
    fn a_patch_holds_only_what_differs() {
        let before = task();
        let mut after = before.clone();
        assert_eq!(task_patch(&before, &after), None);
        after.assignments = BTreeMap::from([(UserId::parse("ana").unwrap(), String::new())]);
        after.categories = BTreeSet::from([Category::new(7).unwrap()]);
        after.bucket = Some(BucketId::parse("done").unwrap());
        after.percent_complete = 100;
        after.due = None;
        let expected = json!({
            "bucketId": "done",
            "percentComplete": 100,
            "dueDateTime": null,
            "assignments": {
                "bo": null,
                "ana": { "@odata.type": "#microsoft.graph.plannerAssignment", "orderHint": " !" }
            },
            "appliedCategories": { "category3": false, "category7": true }
        });
        assert_eq!(task_patch(&before, &after), Some(expected));
    }

    /// The example of planner-api.md 13.4: share, label two, clear one.
    #[test]
    fn a_plan_details_patch_clears_with_null_and_false() {
        let label = |n| Category::new(n).unwrap();
        let user = |id| UserId::parse(id).unwrap();
        let mut before = PlanDetails::default();
        before.labels.insert(label(1), "Hull".into());
        before.labels.insert(label(2), "Kept".into());
        before.shared_with.insert(user("ana"));
        let mut after = before.clone();
        after.labels.remove(&label(1));
        after.labels.insert(label(3), "Blocked".into());
        after.shared_with = BTreeSet::from([user("bo")]);
        let expected = json!({
            "categoryDescriptions": { "category1": null, "category3": "Blocked" },
            "sharedWith": { "ana": false, "bo": true }
        });
        assert_eq!(plan_details_patch(&before, &after), Some(expected));
        assert_eq!(plan_details_patch(&after, &after), None);
    }

    /// Properties that the service computes are never written, whatever their values.
    #[test]
    fn computed_properties_never_reach_a_body() {
        let before = task();
        let mut after = before.clone();
        after.order_hint = "other".into();
        after.has_description = true;
        after.checklist_count = 7;
        after.completed_at = Some("2026-03-31T10:00:00Z".parse().unwrap());
        after.assignments.insert(UserId::parse("bo").unwrap(), "moved".into());
        assert_eq!(task_patch(&before, &after), None);
    }

    /// The example of planner-api.md 13.9: check one item, delete another.
    #[test]
    fn a_checklist_patch_names_the_touched_items() {
        let item = |title: &str, checked| ChecklistItem {
            title: title.into(),
            checked,
            order_hint: "85".into(),
        };
        let mut before = TaskDetails::default();
        before.checklist.insert("a".into(), item("Quote", false));
        before.checklist.insert("b".into(), item("Measure", true));
        before.checklist.insert("c".into(), item("Same", true));
        let mut after = before.clone();
        after.checklist.insert("a".into(), item("Quote", true));
        after.checklist.remove("b");
        after.checklist.insert("d".into(), item("New", false));
        after.description = "Zinc".into();
        let kind = "#microsoft.graph.plannerChecklistItem";
        let expected = json!({
            "description": "Zinc",
            "checklist": {
                "b": null,
                "a": { "@odata.type": kind, "isChecked": true },
                "d": { "@odata.type": kind, "title": "New", "isChecked": false }
            }
        });
        assert_eq!(details_patch(&before, &after), Some(expected));
    }
}
