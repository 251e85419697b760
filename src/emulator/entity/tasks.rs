//! Tasks, their details and their board formats: creation, and the consequences of a change.
//!
//! planner-api.md 1.6, 1.7, 1.12, 3.5 and 7.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::emulator::body::json::into_map;
use crate::emulator::body::{notes, patch};
use crate::emulator::entity::{archive, recurrence};
use crate::emulator::state::call::Call;
use crate::emulator::state::graph_error::GraphError;
use crate::emulator::state::object::{self, Object, ObjectKind, Scope};
use crate::emulator::state::{change_log, field_versions, id, limits, timestamp};

/// Creates a task with its details and board formats (planner-api.md 2.3 T1).
pub(crate) fn create(call: &Call<'_>, body: &Map<String, Value>) -> Result<Object, GraphError> {
    let mut body = body.clone();
    let plan = plan_of(call, "Task", &mut body)?;
    // Inline details are accepted and applied (planner-api.md 14).
    let details = body.shift_remove("details");
    let recurrence = take_recurrence(call, &mut body);
    if body.get("title").is_none_or(Value::is_null) {
        return Err(GraphError::null_field("Task", "title"));
    }
    let id = call.ids.planner();
    let mut task = Object {
        kind: ObjectKind::Task,
        doc: blank(call, &id, &plan),
        id,
        plan,
        version: 0,
        changes: field_versions::Changes::default(),
        seq: 0,
    };
    let mut changed = patch::apply(call, &mut task, &without_nulls(&body))?;
    if let Some(recurrence) = recurrence {
        recurrence::write(&mut task, &recurrence, &mut changed)?;
    }
    // Compared with an empty document: a task that is created as completed gets the fields of
    // completion (planner-api.md 7.1), and all its assignees are new.
    settle(call, &Map::new(), &mut task, &mut changed)?;
    check_limits_of_new(call, &task)?;
    let task = object::insert(call.conn, ObjectKind::Task, &task.id, &task.plan, task.doc)?;
    let users = assignees(&task.doc);
    object::set_users(call.conn, ObjectKind::Task, task.seq, users.iter())?;
    for kind in ObjectKind::OF_TASK {
        let doc = blank_part(call, kind, &task.id, &users);
        object::insert(call.conn, kind, &task.id, &task.plan, doc)?;
    }
    match details {
        None | Some(Value::Null) => Ok(task),
        Some(Value::Object(details)) => {
            // Like a PATCH, which changes the task's counts and tag (planner-api.md 3.5): so the
            // task is read again.
            let mut part = call.open(ObjectKind::TaskDetails, &task.id)?;
            update(call, &mut part, &details)?;
            call.open(ObjectKind::Task, &task.id)
        }
        Some(_) => Err(patch::wrong_type("details")),
    }
}

/// Moves the recurrence out of a body in the beta; in v1.0 it stays, an unknown property.
fn take_recurrence(call: &Call<'_>, body: &mut Map<String, Value>) -> Option<Value> {
    if call.beta { body.shift_remove("recurrence") } else { None }
}

/// Returns a body without the nulls in its open types: in a new task they have nothing to remove
/// and are ignored (planner-api.md 5.2).
fn without_nulls(body: &Map<String, Value>) -> Map<String, Value> {
    let mut body = body.clone();
    for entries in body.values_mut().filter_map(Value::as_object_mut) {
        entries.retain(|_, entry| !entry.is_null());
    }
    body
}

/// Moves `planId` out of the body of a new bucket or task and checks access to the plan
/// (planner-api.md 2.8 and 6.2).
pub(crate) fn plan_of(
    call: &Call<'_>,
    entity: &str,
    body: &mut Map<String, Value>,
) -> Result<String, GraphError> {
    match body.shift_remove("planId") {
        None | Some(Value::Null) => Err(GraphError::null_field(entity, "planId")),
        Some(Value::String(plan)) if id::is_planner(&plan) => {
            call.container_plan(&plan)?;
            archive::check_plan(call.conn, &plan)?;
            Ok(plan)
        }
        Some(Value::String(plan)) => Err(GraphError::malformed_id(&plan)),
        Some(_) => Err(patch::wrong_type("planId")),
    }
}

/// Returns a task without the client's members yet, in the order in which it is answered
/// (planner-api.md 1.6).
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

/// Returns a new sub-object (planner-api.md 1.7 and 1.12).
fn blank_part(
    call: &Call<'_>,
    kind: ObjectKind,
    id: &str,
    users: &BTreeSet<String>,
) -> Map<String, Value> {
    let hint = call.default_hint();
    into_map(match kind {
        ObjectKind::TaskDetails => json!({
            "description": "",
            "previewType": "automatic",
            "id": id,
            "references": {},
            "checklist": {},
        }),
        ObjectKind::AssignedBoard => {
            let hints: Map<String, Value> =
                users.iter().map(|user| (user.clone(), hint.clone())).collect();
            json!({ "unassignedOrderHint": hint, "id": id, "orderHintsByAssignee": hints })
        }
        _ => json!({ "orderHint": hint, "id": id }),
    })
}

/// Changes a task or one of its parts, with all consequences. A body that changes nothing leaves
/// the version as it is (planner-api.md 3.4).
pub(crate) fn update(
    call: &Call<'_>,
    object: &mut Object,
    body: &Map<String, Value>,
) -> Result<(), GraphError> {
    let before = object.doc.clone();
    let mut changed = Vec::new();
    let mut body = body.clone();
    // The move comes first: the bucket in the body is one of the new plan.
    if call.beta && object.kind == ObjectKind::Task {
        changed = move_to_plan(call, object, &body)?;
        if let Some(recurrence) = take_recurrence(call, &mut body) {
            recurrence::write(object, &recurrence, &mut changed)?;
        }
    }
    let is_details = object.kind == ObjectKind::TaskDetails;
    let written = if call.beta && is_details { notes::take(&mut body)? } else { None };
    // A move has already changed the bucket, which the body may set as well.
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
        ObjectKind::Task => {
            sign(call, object, &mut changed);
            settle(call, &before, object, &mut changed)?;
            // A reopened task counts as active again (planner-api.md 7.1).
            if is_done(&before) && !is_done(&object.doc) {
                // The task is not saved yet, so it is not among those that are counted.
                let active = object::count_active(call.conn, &object.plan)? + 1;
                let limit = call.limits.active_tasks_in_plan;
                limits::check(active, limit, "MaximumActiveTasksInProject")?;
            }
            update_assignees(call, &before, object)?;
            // After `settle`, which computes the date that the next task of a series is due.
            if !is_done(&before) && is_done(&object.doc) {
                recurrence::succeed(call, object, &mut changed)?;
            }
        }
        ObjectKind::TaskDetails => settle_details(call, &before, object, &changed)?,
        _ => (),
    }
    object::save(call.conn, object, &changed)?;
    Ok(())
}

/// Moves a task to the plan that a body names (planner-api.md 2.9, beta). The task leaves its
/// bucket, unless the body names one of the new plan.
fn move_to_plan(
    call: &Call<'_>,
    task: &mut Object,
    body: &Map<String, Value>,
) -> Result<Vec<String>, GraphError> {
    let plan = match body.get("planId") {
        Some(Value::String(plan)) if *plan != task.plan => plan,
        _ => return Ok(Vec::new()),
    };
    if !id::is_planner(plan) {
        return Err(GraphError::malformed_id(plan));
    }
    // On a move as on a create, the refusal does not tell whether the plan exists
    // (planner-api.md 6.2).
    call.container_plan(plan)?;
    archive::check_plan(call.conn, plan)?;
    let tasks = object::count(call.conn, Scope::TasksOfPlan(plan))? + 1;
    limits::check(tasks, call.limits.tasks_in_plan, "MaximumTasksInProject")?;
    if !is_done(&task.doc) {
        let active = object::count_active(call.conn, plan)? + 1;
        limits::check(active, call.limits.active_tasks_in_plan, "MaximumActiveTasksInProject")?;
    }
    // Before the move: readers of the old plan's changes see the task leave.
    change_log::left(call.conn, task)?;
    task.plan.clone_from(plan);
    task.doc.insert("planId".to_owned(), plan.as_str().into());
    task.doc.insert("bucketId".to_owned(), Value::Null);
    object::move_parts(call.conn, task)?;
    Ok(["planId", "bucketId"].map(|name| field_versions::path(&[name])).to_vec())
}

/// Records who changed a task, which only the beta shows (planner-api.md 1.13).
fn sign(call: &Call<'_>, task: &mut Object, changed: &mut Vec<String>) {
    let signature = vec![("lastModifiedBy", call.actor()), ("lastModifiedDateTime", call.moment())];
    set_all(&mut task.doc, signature, changed);
}

/// Checks the rules about several fields of a task and computes the read-only fields
/// (planner-api.md 7.4).
fn settle(
    call: &Call<'_>,
    before: &Map<String, Value>,
    task: &mut Object,
    changed: &mut Vec<String>,
) -> Result<(), GraphError> {
    let date = |name: &str| task.doc.get(name).and_then(Value::as_str).and_then(timestamp::parse);
    if let (Some(start), Some(due)) = (date("startDateTime"), date("dueDateTime"))
        && start > due
    {
        let reason = "The start date must not be later than the due date.";
        return Err(GraphError::schema("Task", "startDateTime", reason));
    }
    // Limits apply to additions only: a task above a limit that was lowered stays editable.
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
    // The place among "my tasks" exists only while the task is assigned; otherwise it is the
    // empty string (planner-api.md trap 27).
    if !new.is_empty() && text(&task.doc, "assigneePriority").is_empty() {
        computed.push(("assigneePriority", call.default_hint()));
    } else if new.is_empty() && !old.is_empty() {
        computed.push(("assigneePriority", "".into()));
    }
    set_all(&mut task.doc, computed, changed);
    recurrence::settle(task)
}

/// Updates the lists of the assignees and the board format by assignee, whose version changes as
/// well (planner-api.md 3.5).
fn update_assignees(
    call: &Call<'_>,
    before: &Map<String, Value>,
    task: &Object,
) -> Result<(), GraphError> {
    let (old, new) = (assignees(before), assignees(&task.doc));
    if old == new {
        return Ok(());
    }
    object::set_users(call.conn, ObjectKind::Task, task.seq, new.iter())?;
    let mut board = call.open(ObjectKind::AssignedBoard, &task.id)?;
    let mut changed = Vec::new();
    if let Some(Value::Object(hints)) = board.doc.get_mut("orderHintsByAssignee") {
        for user in old.difference(&new) {
            // Here, because a client cannot remove it (planner-api.md trap 56).
            hints.shift_remove(user);
        }
        for user in new.difference(&old) {
            hints.insert(user.clone(), call.default_hint());
        }
        let users = old.symmetric_difference(&new);
        changed.extend(users.map(|user| field_versions::path(&["orderHintsByAssignee", user])));
    }
    object::save(call.conn, &mut board, &changed)?;
    Ok(())
}

/// Computes the task's properties from its details. The task's version changes with them, and with
/// every change of the description (planner-api.md 3.5).
fn settle_details(
    call: &Call<'_>,
    before: &Map<String, Value>,
    details: &Object,
    changed: &[String],
) -> Result<(), GraphError> {
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
    let mut task = call.open(ObjectKind::Task, &details.id)?;
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
    // The service changes the task's tag even for a description that leaves `hasDescription` as
    // it is: a DELETE with the older tag was seen to get 409.
    if !of_task.is_empty() || changed.contains(&field_versions::path(&["description"])) {
        sign(call, &mut task, &mut of_task);
        object::save(call.conn, &mut task, &of_task)?;
    }
    Ok(())
}

fn check_limits_of_new(call: &Call<'_>, task: &Object) -> Result<(), GraphError> {
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
        // Recorded as a change, an equal value would make edits with older tags collide.
        if doc.get(name) != Some(&value) {
            doc.insert(name.to_owned(), value);
            changed.push(field_versions::path(&[name]));
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
