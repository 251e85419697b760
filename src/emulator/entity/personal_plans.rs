//! Plans of one user, and their move into a group (planner-api.md 1.3 and 2.9; beta).
//!
//! For access checks, a user's container is a group whose only member is the user, and which the
//! directory does not show: `roster` is 2 in its row. It is created with its first plan.

use rusqlite::Connection;
use serde_json::{Map, Value};

use crate::emulator::body::patch;
use crate::emulator::body::schema;
use crate::emulator::entity::archive;
use crate::emulator::entity::groups;
use crate::emulator::entity::plans;
use crate::emulator::message::request::Request;
use crate::emulator::state::call::Call;
use crate::emulator::state::etag;
use crate::emulator::state::field_versions;
use crate::emulator::state::graph_error::GraphError;
use crate::emulator::state::id;
use crate::emulator::state::limits;
use crate::emulator::state::members;
use crate::emulator::state::object::{self, Object, ObjectKind, Scope};

/// Moves the caller's own container out of a new plan's body, if it names that container.
pub(crate) fn container(
    call: &Call<'_>,
    body: &mut Map<String, Value>,
) -> Result<Option<String>, GraphError> {
    // v1.0 has no containers of this type (planner-api.md 1.3).
    if !call.beta {
        return Ok(None);
    }
    let Some(named) = plans::named_container(body, "user", &["/beta/users/"])? else {
        return Ok(None);
    };
    // A user can name only their own, and an application has none.
    let user = id::guid(&named).filter(|user| *user == call.caller && !call.is_app);
    let user = user.ok_or_else(GraphError::forbidden_or_missing)?;
    // It exists already when this is not the first plan of the user.
    call.conn.execute(
        "INSERT OR IGNORE INTO directory_group (id, doc, roster) VALUES (?1, '{}', 2)",
        [&user],
    )?;
    if !members::is_member(call.conn, &user, &user)? {
        groups::insert_member(call, &user, &user)?;
    }
    Ok(Some(user))
}

/// Moves a user's plan into a group.
pub(crate) fn move_to_group(
    call: &Call<'_>,
    request: &Request,
    id: &str,
) -> Result<Object, GraphError> {
    let mut plan = call.open(ObjectKind::Plan, id)?;
    let seen = etag::seen_version(ObjectKind::Plan, plan.version, &request.if_match())?;
    // Before the body, by steps 6 and 7 of planner-api.md 2.8.
    if seen < plan.version {
        return Err(GraphError::conflict());
    }
    archive::check(call.conn, &plan)?;
    let mut body = request.json()?;
    let is_unknown = |name: &&String| *name != "container" && !schema::is_annotation(name);
    if let Some(name) = body.keys().find(is_unknown) {
        return Err(patch::unknown("plannerPlan", name));
    }
    let group = plans::container_group(&request.origin(), &mut body)?;
    // No other move between containers exists (planner-api.md 2.9).
    if !is_personal(call.conn, &plan)? {
        return Err(GraphError::invalid("Only a plan of a user can be moved to a group."));
    }
    // Before the type of the group is looked up: a user must not learn from a 404 whether the
    // group exists (planner-api.md 6.2).
    if !call.may_enter(&group)? {
        return Err(GraphError::forbidden_or_missing());
    }
    if !members::is_unified(call.conn, &group)? {
        return Err(GraphError::invalid("The container must be a Microsoft 365 group."));
    }
    let plans = object::count(call.conn, Scope::PlansOfGroup(&group))? + 1;
    limits::check(plans, call.limits.plans_of_group, "MaximumProjectsOwnedByUser")?;
    plan.doc.insert("container".to_owned(), plans::container_doc("group", &group));
    // The older name of the container's id (planner-api.md 1.3); access to the plan goes by it.
    plan.doc.insert("owner".to_owned(), group.into());
    let changed = ["container", "owner"].map(|name| field_versions::path(&[name]));
    object::save(call.conn, &mut plan, &changed)?;
    Ok(plan)
}

fn is_personal(conn: &Connection, plan: &Object) -> rusqlite::Result<bool> {
    conn.prepare_cached(
        "SELECT 1 FROM object o JOIN directory_group g ON g.id = o.group_id \
         WHERE o.seq = ?1 AND g.roster = 2",
    )?
    .exists([plan.seq])
}
