//! The archiving of plans, with everything in them (planner-api.md 2.9 and 13.21; beta).
//!
//! An archived object can be read and deleted but not changed, through either version of the API.

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::emulator::body::patch;
use crate::emulator::entity::tasks;
use crate::emulator::message::request::Request;
use crate::emulator::state::call::Call;
use crate::emulator::state::etag;
use crate::emulator::state::field_versions;
use crate::emulator::state::graph_error::GraphError;
use crate::emulator::state::object::{self, Object, ObjectKind, Scope};

/// The direction of the change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Move {
    Archive,
    Unarchive,
}

/// Archives or unarchives a plan.
pub(crate) fn turn(
    call: &Call<'_>,
    id: &str,
    request: &Request,
    direction: Move,
) -> Result<(), GraphError> {
    let plan = call.open(ObjectKind::Plan, id)?;
    // A POST, but it needs If-Match as a PATCH does (planner-api.md 2.9).
    let seen = etag::seen_version(ObjectKind::Plan, plan.version, &request.if_match())?;
    // The plan changes as a whole, so any newer change collides, as in a deletion.
    if seen < plan.version {
        return Err(GraphError::conflict());
    }
    let body = request.json()?;
    let justification = match body.get("justification") {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => return Err(GraphError::null_field("Plan", "justification")),
        Some(_) => return Err(patch::wrong_type("justification")),
    };
    let is_archived = direction == Move::Archive;
    if is_archived == holds(&plan) {
        let reason = if is_archived { "is already archived" } else { "is not archived" };
        return Err(GraphError::invalid(format_args!("The plan {reason}.")));
    }
    let info = json!({
        "justification": justification,
        "statusChangedBy": call.user(),
        "statusChangedDateTime": call.moment(),
    });
    // The buckets and tasks are archived with their plan (planner-api.md 2.9).
    let inner = [Scope::BucketsOfPlan(id), Scope::TasksOfPlan(id)];
    let mut objects = vec![plan];
    for scope in inner {
        objects.extend(object::list(call.conn, scope, 0, usize::MAX)?);
    }
    for mut object in objects {
        object.doc.insert("isArchived".to_owned(), is_archived.into());
        object.doc.insert("archivalInfo".to_owned(), info.clone());
        let changed = ["isArchived", "archivalInfo"].map(|name| field_versions::path(&[name]));
        object::save(call.conn, &mut object, &changed)?;
        if object.kind == ObjectKind::Task {
            // Archived tasks vanish from the lists of their assignees.
            let users =
                if is_archived { Default::default() } else { tasks::assignees(&object.doc) };
            object::set_users(call.conn, ObjectKind::Task, object.seq, users.iter())?;
        }
    }
    Ok(())
}

/// Refuses changes of archived objects and of their parts.
pub(crate) fn check(conn: &Connection, object: &Object) -> Result<(), GraphError> {
    // Sub-objects have no flag of their own; their owner has the same id (planner-api.md 1.1).
    let owner = match object.kind {
        ObjectKind::Plan | ObjectKind::Bucket | ObjectKind::Task => return refuse(holds(object)),
        ObjectKind::PlanDetails => object::find(conn, ObjectKind::Plan, &object.id)?,
        _ => object::find(conn, ObjectKind::Task, &object.id)?,
    };
    refuse(owner.as_ref().is_some_and(holds))
}

/// Refuses new buckets and tasks in an archived plan.
pub(crate) fn check_plan(conn: &Connection, plan: &str) -> Result<(), GraphError> {
    refuse(object::find(conn, ObjectKind::Plan, plan)?.as_ref().is_some_and(holds))
}

fn refuse(is_archived: bool) -> Result<(), GraphError> {
    // 403 and not 400: an archived plan refuses as missing access does (planner-api.md 2.4.1).
    if is_archived { Err(GraphError::forbidden()) } else { Ok(()) }
}

fn holds(object: &Object) -> bool {
    object.doc.get("isArchived") == Some(&Value::Bool(true))
}
