//! Rosters: people who share one plan without a group (planner-api.md 2.9; beta).
//!
//! Rosters and their members have no ETags. The creator of one is its first member. Unlike the real
//! service, the emulator never deletes a roster because it has been empty for a while.

use rusqlite::{OptionalExtension as _, params};
use serde_json::{Map, Value, json};

use crate::emulator::body::json::into_map;
use crate::emulator::body::patch;
use crate::emulator::body::schema;
use crate::emulator::body::view;
use crate::emulator::entity::directory;
use crate::emulator::entity::groups;
use crate::emulator::entity::plans;
use crate::emulator::message::request::Request;
use crate::emulator::message::response::Handled;
use crate::emulator::state::call::Call;
use crate::emulator::state::graph_error::GraphError;
use crate::emulator::state::id;
use crate::emulator::state::id::TENANT;
use crate::emulator::state::members;
use crate::emulator::state::members::Who;
use crate::emulator::state::object::{self, Scope};

/// Creates a roster, which has no properties to set.
pub(crate) fn create(call: &Call<'_>, request: &Request) -> Result<Handled, GraphError> {
    let body = request.json()?;
    if let Some(name) = body.keys().find(|name| !schema::is_annotation(name)) {
        return Err(patch::unknown("plannerRoster", name));
    }
    let id = id::new_guid();
    let doc = json!({ "id": id, "displayName": null, "createdDateTime": call.moment() });
    call.conn.execute(
        "INSERT INTO directory_group (id, doc, roster) VALUES (?1, ?2, 1)",
        params![id, doc.to_string()],
    )?;
    // Only members may open a roster: without this, its creator could not add any.
    if !call.is_app {
        groups::insert_member(call, &id, &call.caller)?;
    }
    Ok(single(request, "planner/rosters/$entity", json!({ "id": id }), 201))
}

/// Checks that a roster exists and that the caller may see it.
pub(crate) fn open(call: &Call<'_>, raw: &str) -> Result<String, GraphError> {
    let id = id::guid(raw).ok_or_else(|| GraphError::malformed_id(raw))?;
    let found: Option<i64> = call
        .conn
        .prepare_cached("SELECT seq FROM directory_group WHERE id = ?1 AND roster = 1")?
        .query_row([&id], |row| row.get(0))
        .optional()?;
    if found.is_none() {
        return Err(GraphError::not_found());
    }
    if call.may_enter(&id)? { Ok(id) } else { Err(GraphError::forbidden()) }
}

/// Answers with a roster.
pub(crate) fn show(call: &Call<'_>, request: &Request, id: &str) -> Result<Handled, GraphError> {
    let id = open(call, id)?;
    Ok(single(request, "planner/rosters/$entity", json!({ "id": id }), 200))
}

/// Deletes a roster with its plan.
pub(crate) fn delete(call: &Call<'_>, id: &str) -> Result<Handled, GraphError> {
    // No tag is asked for: rosters are not versioned (planner-api.md 3.1).
    let id = open(call, id)?;
    // The plan first: its row refers to that of the roster.
    for plan in object::list(call.conn, Scope::PlansOfGroup(&id), 0, usize::MAX)? {
        object::delete(call.conn, &plan)?;
    }
    call.conn.execute("DELETE FROM directory_group WHERE id = ?1", [&id])?;
    Ok(Handled::empty(204))
}

/// Answers with the members of a roster.
pub(crate) fn members(call: &Call<'_>, request: &Request, id: &str) -> Result<Handled, GraphError> {
    let id = open(call, id)?;
    let members = members::members(call.conn, &id)?;
    let items: Vec<Value> = members.iter().map(|user| member(user)).collect();
    let context = "Collection(microsoft.graph.plannerRosterMember)";
    let mut body = view::envelope(request, context, &[]);
    body.insert("@odata.count".to_owned(), items.len().into());
    body.insert("value".to_owned(), items.into());
    Ok(Handled::json(200, body))
}

/// Answers with one member.
pub(crate) fn show_member(
    call: &Call<'_>,
    request: &Request,
    id: &str,
    user: &str,
) -> Result<Handled, GraphError> {
    let id = open(call, id)?;
    let user = user.to_lowercase();
    if !members::is_member(call.conn, &id, &user)? {
        return Err(no_member());
    }
    let of = format!("planner/rosters('{id}')/members/$entity");
    Ok(single(request, &of, member(&user), 200))
}

/// Adds a member.
pub(crate) fn add_member(
    call: &Call<'_>,
    request: &Request,
    id: &str,
) -> Result<Handled, GraphError> {
    let id = open(call, id)?;
    let body = request.json()?;
    let known = ["userId", "tenantId", "roles"];
    let is_unknown =
        |name: &&String| !known.contains(&name.as_str()) && !schema::is_annotation(name);
    if let Some(name) = body.keys().find(is_unknown) {
        return Err(patch::unknown("plannerRosterMember", name));
    }
    let Some(Value::String(user)) = body.get("userId") else {
        return Err(GraphError::null_field("RosterMember", "userId"));
    };
    let user = directory::resolve(call, &Who::User(user.clone()))?;
    if members::is_member(call.conn, &id, &user)? {
        return Err(GraphError::invalid("The user is already a member of the roster."));
    }
    groups::insert_member(call, &id, &user)?;
    let of = format!("planner/rosters('{id}')/members/$entity");
    Ok(single(request, &of, member(&user), 201))
}

/// Removes a member.
pub(crate) fn remove_member(call: &Call<'_>, id: &str, user: &str) -> Result<Handled, GraphError> {
    let id = open(call, id)?;
    let removed = call.conn.execute(
        "DELETE FROM group_member WHERE group_id = ?1 AND user_id = ?2",
        [&id, &user.to_lowercase()],
    )?;
    if removed == 0 { Err(no_member()) } else { Ok(Handled::empty(204)) }
}

/// Moves a roster out of a new plan's body, if it names one; a second plan in a roster is refused.
pub(crate) fn container(
    call: &Call<'_>,
    body: &mut Map<String, Value>,
) -> Result<Option<String>, GraphError> {
    let paths = ["/beta/planner/rosters/", "/v1.0/planner/rosters/"];
    let Some(named) = plans::named_container(body, "roster", &paths)? else { return Ok(None) };
    // On create, unknown and inaccessible get one refusal (planner-api.md 6.2).
    let id = open(call, &named).map_err(|_| GraphError::forbidden_or_missing())?;
    // A roster holds one plan; a second one was seen to be refused like this
    // (planner-api.md 2.9).
    if object::count(call.conn, Scope::PlansOfGroup(&id))? > 0 {
        return Err(GraphError::forbidden_or_missing());
    }
    Ok(Some(id))
}

fn member(user: &str) -> Value {
    json!({ "id": user, "userId": user, "tenantId": TENANT, "roles": [] })
}

fn no_member() -> GraphError {
    GraphError::new(404, "", "The roster member cannot be found.")
}

fn single(request: &Request, of: &str, doc: Value, status: u16) -> Handled {
    let mut body = view::envelope(request, of, &[]);
    body.append(&mut into_map(doc));
    Handled::json(status, body)
}
