//! Archiving of plans, with everything in them (planner-api.md 2.9 and 13.21; beta).
//!
//! What is archived can be read and deleted and not changed, through either version.

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::emulator::body::patch;
use crate::emulator::entity::tasks;
use crate::emulator::message::request::Request;
use crate::emulator::state::call::Call;
use crate::emulator::state::changes;
use crate::emulator::state::etag;
use crate::emulator::state::graph_error::Fault;
use crate::emulator::state::object::{self, Kind, Object, Scope};

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Move {
    Archive,
    Unarchive,
}

/// Archives a plan or takes it back.
pub(crate) fn turn(
    call: &Call<'_>,
    id: &str,
    request: &Request,
    direction: Move,
) -> Result<(), Fault> {
    let plan = call.open(Kind::Plan, id)?;
    let seen = etag::seen_version(Kind::Plan, plan.version, &request.if_match())?;
    if seen < plan.version {
        return Err(Fault::conflict());
    }
    let body = request.json()?;
    let justification = match body.get("justification") {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => return Err(Fault::null_field("Plan", "justification")),
        Some(_) => return Err(patch::wrong_type("justification")),
    };
    let is_archived = direction == Move::Archive;
    if is_archived == holds(&plan) {
        let reason = if is_archived { "is archived already" } else { "is not archived" };
        return Err(Fault::invalid(format_args!("The plan {reason}.")));
    }
    let info = json!({
        "justification": justification,
        "statusChangedBy": call.user(),
        "statusChangedDateTime": call.moment(),
    });
    let inner = [Scope::BucketsOfPlan(id), Scope::TasksOfPlan(id)];
    let mut objects = vec![plan];
    for scope in inner {
        objects.extend(object::list(call.conn, scope, 0, usize::MAX)?);
    }
    for mut object in objects {
        object.doc.insert("isArchived".to_owned(), is_archived.into());
        object.doc.insert("archivalInfo".to_owned(), info.clone());
        let changed = ["isArchived", "archivalInfo"].map(|name| changes::path(&[name]));
        object::save(call.conn, &mut object, &changed)?;
        if object.kind == Kind::Task {
            // Archived tasks vanish from the lists of their assignees.
            let users =
                if is_archived { Default::default() } else { tasks::assignees(&object.doc) };
            object::set_users(call.conn, Kind::Task, object.seq, users.iter())?;
        }
    }
    Ok(())
}

/// Refuses changes of what is archived, and of its parts.
pub(crate) fn check(conn: &Connection, object: &Object) -> Result<(), Fault> {
    let owner = match object.kind {
        Kind::Plan | Kind::Bucket | Kind::Task => return refuse(holds(object)),
        Kind::PlanDetails => object::find(conn, Kind::Plan, &object.id)?,
        _ => object::find(conn, Kind::Task, &object.id)?,
    };
    refuse(owner.as_ref().is_some_and(holds))
}

/// Refuses new buckets and tasks in an archived plan.
pub(crate) fn check_plan(conn: &Connection, plan: &str) -> Result<(), Fault> {
    refuse(object::find(conn, Kind::Plan, plan)?.as_ref().is_some_and(holds))
}

fn refuse(is_archived: bool) -> Result<(), Fault> {
    if is_archived { Err(Fault::forbidden()) } else { Ok(()) }
}

fn holds(object: &Object) -> bool {
    object.doc.get("isArchived") == Some(&Value::Bool(true))
}
