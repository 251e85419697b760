//! Tasks, their details and their board formats: creation, and what follows from a change.
//!
//! planner-api.md sections 1.6, 1.7, 1.12, 3.5 and 7.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::emulator::body::json::into_map;
use crate::emulator::body::{notes, patch};
use crate::emulator::entity::{archive, recurrence};
use crate::emulator::state::call::Call;
use crate::emulator::state::graph_error::Fault;
use crate::emulator::state::object::{self, Kind, Object, Scope};
use crate::emulator::state::{changes, history, id, limits, timestamp};

/// Creates a task with its details and board formats (2.3 T1).
pub(crate) fn create(call: &Call<'_>, body: &Map<String, Value>) -> Result<Object, Fault> {
    let mut body = body.clone();
    let plan = plan_of(call, "Task", &mut body)?;
    // Inline details are accepted and applied (14).
    let details = body.shift_remove("details");
    let recurrence = take_recurrence(call, &mut body);
    if body.get("title").is_none_or(Value::is_null) {
        return Err(Fault::null_field("Task", "title"));
    }
    let id = call.ids.planner();
    let mut task = Object {
        kind: Kind::Task,
        doc: blank(call, &id, &plan),
        id,
        plan,
        version: 0,
        changes: changes::Changes::default(),
        seq: 0,
    };
    let mut changed = patch::apply(call, &mut task, &without_nulls(&body))?;
    if let Some(recurrence) = recurrence {
        recurrence::write(&mut task, &recurrence, &mut changed)?;
    }
    settle(call, &Map::new(), &mut task, &mut changed)?;
    check_limits_of_new(call, &task)?;
    let task = object::insert(call.conn, Kind::Task, &task.id, &task.plan, task.doc)?;
    let users = assignees(&task.doc);
    object::set_users(call.conn, Kind::Task, task.seq, users.iter())?;
    for kind in Kind::OF_TASK {
        let doc = blank_part(call, kind, &task.id, &users);
        object::insert(call.conn, kind, &task.id, &task.plan, doc)?;
    }
    match details {
        None | Some(Value::Null) => Ok(task),
        Some(Value::Object(details)) => {
            let mut part = call.open(Kind::TaskDetails, &task.id)?;
            update(call, &mut part, &details)?;
            call.open(Kind::Task, &task.id)
        }
        Some(_) => Err(patch::wrong_type("details")),
    }
}

/// Takes out of a body what only the beta knows; in v1.0 it is an unknown property.
fn take_recurrence(call: &Call<'_>, body: &mut Map<String, Value>) -> Option<Value> {
    if call.beta { body.shift_remove("recurrence") } else { None }
}

/// In the open types of a new task null removes nothing and is ignored (5.2).
fn without_nulls(body: &Map<String, Value>) -> Map<String, Value> {
    let mut body = body.clone();
    for entries in body.values_mut().filter_map(Value::as_object_mut) {
        entries.retain(|_, entry| !entry.is_null());
    }
    body
}

/// Takes `planId` out of the body of a new bucket or task and checks access to it (2.8, 6.2).
pub(crate) fn plan_of(
    call: &Call<'_>,
    entity: &str,
    body: &mut Map<String, Value>,
) -> Result<String, Fault> {
    match body.shift_remove("planId") {
        None | Some(Value::Null) => Err(Fault::null_field(entity, "planId")),
        Some(Value::String(plan)) if id::is_planner(&plan) => {
            call.container_plan(&plan)?;
            archive::check_plan(call.conn, &plan)?;
            Ok(plan)
        }
        Some(Value::String(plan)) => Err(Fault::malformed_id(&plan)),
        Some(_) => Err(patch::wrong_type("planId")),
    }
}

/// A task before the client's members, in the order in which it is answered (1.6).
fn blank(call: &Call<'_>, id: &str, plan: &str) -> Map<String, Value> {
    let doc = json!({
        "planId": plan,
        "bucketId": null,
        "title": null,
        "orderHint": call.default_hint(),
        "assigneePriority": "",
        "percentComplete": 0,
        "startDateTime": null,
        "createdDateTime": call.moment(),
        "dueDateTime": null,
        "hasDescription": false,
        "previewType": "automatic",
        "completedDateTime": null,
        "completedBy": null,
        "referenceCount": 0,
        "checklistItemCount": 0,
        "activeChecklistItemCount": 0,
        "conversationThreadId": null,
        "priority": 5,
        "id": id,
        "createdBy": call.actor(),
        "appliedCategories": {},
        "assignments": {},
    });
    into_map(doc)
}

/// A new sub-object (1.7, 1.12).
fn blank_part(
    call: &Call<'_>,
    kind: Kind,
    id: &str,
    users: &BTreeSet<String>,
) -> Map<String, Value> {
    let hint = call.default_hint();
    into_map(match kind {
        Kind::TaskDetails => json!({
            "description": "",
            "previewType": "automatic",
            "id": id,
            "references": {},
            "checklist": {},
        }),
        Kind::AssignedBoard => {
            let hints: Map<String, Value> =
                users.iter().map(|user| (user.clone(), hint.clone())).collect();
            json!({ "unassignedOrderHint": hint, "id": id, "orderHintsByAssignee": hints })
        }
        _ => json!({ "orderHint": hint, "id": id }),
    })
}

/// Changes a task or one of its parts, with everything that follows; nothing if nothing changed.
pub(crate) fn update(
    call: &Call<'_>,
    object: &mut Object,
    body: &Map<String, Value>,
) -> Result<(), Fault> {
    let before = object.doc.clone();
    let mut changed = Vec::new();
    let mut body = body.clone();
    if call.beta && object.kind == Kind::Task {
        changed = move_to_plan(call, object, &body)?;
        if let Some(recurrence) = take_recurrence(call, &mut body) {
            recurrence::write(object, &recurrence, &mut changed)?;
        }
    }
    let is_details = object.kind == Kind::TaskDetails;
    let written = if call.beta && is_details { notes::take(&mut body)? } else { None };
    for path in patch::apply(call, object, &body)? {
        if !changed.contains(&path) {
            changed.push(path);
        }
    }
    if is_details {
        notes::settle(&mut object.doc, written, &mut changed);
    }
    if changed.is_empty() {
        return Ok(());
    }
    match object.kind {
        Kind::Task => {
            sign(call, object, &mut changed);
            settle(call, &before, object, &mut changed)?;
            if is_done(&before) && !is_done(&object.doc) {
                let active = object::count_active(call.conn, &object.plan)? + 1;
                let limit = call.limits.active_tasks_in_plan;
                limits::check(active, limit, "MaximumActiveTasksInProject")?;
            }
            update_assignees(call, &before, object)?;
            if !is_done(&before) && is_done(&object.doc) {
                recurrence::succeed(call, object, &mut changed)?;
            }
        }
        Kind::TaskDetails => settle_details(call, &before, object, &changed)?,
        _ => (),
    }
    object::save(call.conn, object, &changed)?;
    Ok(())
}

/// Moves a task to the plan that a body names (2.9, beta). The task leaves its bucket, unless the
/// body names one of the new plan.
fn move_to_plan(
    call: &Call<'_>,
    task: &mut Object,
    body: &Map<String, Value>,
) -> Result<Vec<String>, Fault> {
    let plan = match body.get("planId") {
        Some(Value::String(plan)) if *plan != task.plan => plan,
        _ => return Ok(Vec::new()),
    };
    if !id::is_planner(plan) {
        return Err(Fault::malformed_id(plan));
    }
    call.container_plan(plan)?;
    archive::check_plan(call.conn, plan)?;
    let tasks = object::count(call.conn, Scope::TasksOfPlan(plan))? + 1;
    limits::check(tasks, call.limits.tasks_in_plan, "MaximumTasksInProject")?;
    if !is_done(&task.doc) {
        let active = object::count_active(call.conn, plan)? + 1;
        limits::check(active, call.limits.active_tasks_in_plan, "MaximumActiveTasksInProject")?;
    }
    history::left(call.conn, task)?;
    task.plan.clone_from(plan);
    task.doc.insert("planId".to_owned(), plan.as_str().into());
    task.doc.insert("bucketId".to_owned(), Value::Null);
    object::move_parts(call.conn, task)?;
    Ok(["planId", "bucketId"].map(|name| changes::path(&[name])).to_vec())
}

/// Notes who changed a task, which only the beta shows (1.13).
fn sign(call: &Call<'_>, task: &mut Object, changed: &mut Vec<String>) {
    let signature = vec![("lastModifiedBy", call.actor()), ("lastModifiedDateTime", call.moment())];
    set_all(&mut task.doc, signature, changed);
}

/// Checks what concerns several fields of a task and computes the read-only ones (7.4).
fn settle(
    call: &Call<'_>,
    before: &Map<String, Value>,
    task: &mut Object,
    changed: &mut Vec<String>,
) -> Result<(), Fault> {
    let date = |name: &str| task.doc.get(name).and_then(Value::as_str).and_then(timestamp::parse);
    if let (Some(start), Some(due)) = (date("startDateTime"), date("dueDateTime"))
        && start > due
    {
        let reason = "The start date must not be later than the due date.";
        return Err(Fault::schema("Task", "startDateTime", reason));
    }
    let (old, new) = (assignees(before), assignees(&task.doc));
    if new.len() > old.len() {
        limits::check(new.len(), call.limits.assignees_of_task, "MaximumAssigneesInTasks")?;
    }
    for user in new.difference(&old) {
        let assigned = object::count(call.conn, Scope::TasksAssignedTo(user))? + 1;
        limits::check(assigned, call.limits.tasks_assigned_to_user, "MaximumTasksAssignedToUser")?;
    }
    let mut computed: Vec<(&str, Value)> = Vec::new();
    match (is_done(before), is_done(&task.doc)) {
        (false, true) => {
            computed.push(("completedDateTime", call.moment()));
            computed.push(("completedBy", call.actor()));
        }
        (true, false) => {
            computed.push(("completedDateTime", Value::Null));
            computed.push(("completedBy", Value::Null));
        }
        _ => (),
    }
    // The place among "my tasks" exists only while somebody has the task.
    if !new.is_empty() && text(&task.doc, "assigneePriority").is_empty() {
        computed.push(("assigneePriority", call.default_hint()));
    } else if new.is_empty() && !old.is_empty() {
        computed.push(("assigneePriority", "".into()));
    }
    set_all(&mut task.doc, computed, changed);
    recurrence::settle(task)
}

/// Keeps what hangs on the assignees in step: the user's lists and the board by assignee, whose
/// version moves as well (3.5).
fn update_assignees(
    call: &Call<'_>,
    before: &Map<String, Value>,
    task: &Object,
) -> Result<(), Fault> {
    let (old, new) = (assignees(before), assignees(&task.doc));
    if old == new {
        return Ok(());
    }
    object::set_users(call.conn, Kind::Task, task.seq, new.iter())?;
    let mut board = call.open(Kind::AssignedBoard, &task.id)?;
    let mut changed = Vec::new();
    if let Some(Value::Object(hints)) = board.doc.get_mut("orderHintsByAssignee") {
        for user in old.difference(&new) {
            hints.shift_remove(user);
        }
        for user in new.difference(&old) {
            hints.insert(user.clone(), call.default_hint());
        }
        let users = old.symmetric_difference(&new);
        changed.extend(users.map(|user| changes::path(&["orderHintsByAssignee", user])));
    }
    object::save(call.conn, &mut board, &changed)?;
    Ok(())
}

/// Computes the task's properties from its details. The task's version moves with them, and with
/// every change of the description (3.5).
fn settle_details(
    call: &Call<'_>,
    before: &Map<String, Value>,
    details: &Object,
    changed: &[String],
) -> Result<(), Fault> {
    let entries = |doc: &Map<String, Value>, name: &str| {
        doc.get(name).and_then(Value::as_object).map_or(0, Map::len)
    };
    for (name, limit, code) in [
        ("checklist", call.limits.checklist_items_of_task, "MaximumChecklistItemsOnTask"),
        ("references", call.limits.references_of_task, "MaximumReferencesOnTask"),
    ] {
        let count = entries(&details.doc, name);
        if count > entries(before, name) {
            limits::check(count, limit, code)?;
        }
    }
    let mut task = call.open(Kind::Task, &details.id)?;
    let open_items = details.doc.get("checklist").and_then(Value::as_object).map_or(0, |items| {
        items.values().filter(|item| item.get("isChecked") == Some(&Value::Bool(false))).count()
    });
    let computed = vec![
        ("hasDescription", (!text(&details.doc, "description").is_empty()).into()),
        ("previewType", text(&details.doc, "previewType").into()),
        ("referenceCount", entries(&details.doc, "references").into()),
        ("checklistItemCount", entries(&details.doc, "checklist").into()),
        ("activeChecklistItemCount", open_items.into()),
    ];
    let mut of_task = Vec::new();
    set_all(&mut task.doc, computed, &mut of_task);
    if !of_task.is_empty() || changed.contains(&changes::path(&["description"])) {
        sign(call, &mut task, &mut of_task);
        object::save(call.conn, &mut task, &of_task)?;
    }
    Ok(())
}

fn check_limits_of_new(call: &Call<'_>, task: &Object) -> Result<(), Fault> {
    let (conn, plan, limits) = (call.conn, task.plan.as_str(), &call.limits);
    let tasks = object::count(conn, Scope::TasksOfPlan(plan))? + 1;
    limits::check(tasks, limits.tasks_in_plan, "MaximumTasksInProject")?;
    if !is_done(&task.doc) {
        let active = object::count_active(conn, plan)? + 1;
        limits::check(active, limits.active_tasks_in_plan, "MaximumActiveTasksInProject")?;
    }
    let created = object::count_created(conn, &call.caller)? + 1;
    limits::check(created, limits.tasks_created_by_user, "MaximumTasksCreatedByUser")
}

fn set_all(doc: &mut Map<String, Value>, values: Vec<(&str, Value)>, changed: &mut Vec<String>) {
    for (name, value) in values {
        if doc.get(name) != Some(&value) {
            doc.insert(name.to_owned(), value);
            changed.push(changes::path(&[name]));
        }
    }
}

pub(crate) fn assignees(doc: &Map<String, Value>) -> BTreeSet<String> {
    let assignments = doc.get("assignments").and_then(Value::as_object);
    assignments.map(|entries| entries.keys().cloned().collect()).unwrap_or_default()
}

fn is_done(doc: &Map<String, Value>) -> bool {
    doc.get("percentComplete").and_then(Value::as_i64) == Some(100)
}

fn text<'a>(doc: &'a Map<String, Value>, name: &str) -> &'a str {
    doc.get(name).and_then(Value::as_str).unwrap_or_default()
}
