//! Changes of groups: creating, changing and deleting one, adding and removing members
//! (planner-api.md 2.5).
//!
//! Only an owner changes or deletes a group; for the rest the scope is enough. Administrators are
//! not modelled.

use rusqlite::params;
use serde_json::{Map, Value, json};

use crate::emulator::body::json;
use crate::emulator::body::known::Type;
use crate::emulator::body::schema;
use crate::emulator::entity::directory;
use crate::emulator::state::call::Call;
use crate::emulator::state::graph_error::GraphError;
use crate::emulator::state::id;
use crate::emulator::state::members;
use crate::emulator::state::members::Who;
use crate::emulator::state::object::{self, Scope};

/// The length of the longest name, nickname and description of a group.
const MAX_NAME: usize = 256;
const MAX_NICKNAME: usize = 64;
const MAX_DESCRIPTION: usize = 1024;

/// Creates a group, of which the caller becomes an owner but not a member (planner-api.md 11).
pub(crate) fn create(
    call: &Call<'_>,
    body: &Map<String, Value>,
) -> Result<Map<String, Value>, GraphError> {
    let text = |name: &str| match body.get(name) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text.as_str()),
        _ => Err(required(name)),
    };
    let flag = |name: &str| body.get(name).and_then(Value::as_bool).ok_or_else(|| required(name));
    let types = match body.get("groupTypes") {
        // Without `Unified` the group cannot hold plans (planner-api.md 1.15).
        None => json!([]),
        Some(Value::Array(types)) if types.iter().all(Value::is_string) => json!(types),
        Some(_) => return Err(required("groupTypes")),
    };
    let (name, nickname) = (text("displayName")?, text("mailNickname")?);
    let mail = flag("mailEnabled")?.then(|| format!("{nickname}@{}", domain(call)));
    let id = id::new_guid();
    let doc = json!({
        "id": id,
        "deletedDateTime": null,
        "createdDateTime": call.moment(),
        "description": body.get("description").filter(|text| text.is_string()),
        "displayName": name,
        "groupTypes": types,
        "mail": mail,
        "mailEnabled": mail.is_some(),
        "mailNickname": nickname,
        "proxyAddresses": mail.iter().map(|mail| format!("SMTP:{mail}")).collect::<Vec<_>>(),
        "renewedDateTime": call.moment(),
        "resourceProvisioningOptions": [],
        "securityEnabled": flag("securityEnabled")?,
        "visibility": body.get("visibility").and_then(Value::as_str).unwrap_or("Public"),
    });
    insert(call, &id, &doc)?;
    if !call.is_app {
        insert_owner(call, &id, &call.caller)?;
    }
    Ok(json::into_map(doc))
}

/// Changes a group.
pub(crate) fn update(
    call: &Call<'_>,
    id: &str,
    body: &Map<String, Value>,
) -> Result<(), GraphError> {
    let group = owned(call, id)?;
    let mut doc = members::group_doc(call.conn, &group)?;
    for (name, value) in body.iter().filter(|(name, _)| !schema::is_annotation(name)) {
        let is_text = |text: &str, limit: usize| (1..=limit).contains(&text.chars().count());
        let is_valid = match (name.as_str(), value) {
            ("displayName", Value::String(text)) => is_text(text, MAX_NAME),
            ("mailNickname", Value::String(text)) => is_text(text, MAX_NICKNAME),
            ("description", Value::String(text)) => {
                text.is_empty() || is_text(text, MAX_DESCRIPTION)
            }
            ("description", Value::Null) | ("securityEnabled", Value::Bool(_)) => true,
            ("visibility", Value::String(text)) => ["Public", "Private"].contains(&text.as_str()),
            _ => doc.get(name) == Some(value),
        };
        if !is_valid {
            let reason = if Type::Group.has(name) {
                format!("Invalid value specified for property '{name}' of resource 'Group'.")
            } else {
                format!("Invalid property '{name}'.")
            };
            return Err(GraphError::new(400, "Request_BadRequest", reason));
        }
        doc.insert(name.clone(), value.clone());
    }
    call.conn.execute(
        "UPDATE directory_group SET doc = ?2 WHERE id = ?1",
        params![group, Value::Object(doc).to_string()],
    )?;
    Ok(())
}

/// Deletes a group with its plans (planner-api.md 11).
pub(crate) fn delete(call: &Call<'_>, id: &str) -> Result<(), GraphError> {
    let group = owned(call, id)?;
    // The plans first: their rows refer to that of the group.
    for plan in object::list(call.conn, Scope::PlansOfGroup(&group), 0, usize::MAX)? {
        object::delete(call.conn, &plan)?;
    }
    call.conn.execute("DELETE FROM directory_group WHERE id = ?1", [&group])?;
    Ok(())
}

/// Returns the id of a group that the caller may change; an application may change all.
fn owned(call: &Call<'_>, id: &str) -> Result<String, GraphError> {
    let group = directory::group_id(call.conn, id)?;
    if call.is_app || members::is_owner(call.conn, &group, &call.caller)? {
        return Ok(group);
    }
    Err(GraphError::insufficient())
}

/// Makes a user an owner.
pub(crate) fn insert_owner(call: &Call<'_>, group: &str, user: &str) -> rusqlite::Result<()> {
    call.conn.execute(
        "INSERT OR IGNORE INTO group_owner (group_id, user_id) VALUES (?1, ?2)",
        [group, user],
    )?;
    Ok(())
}

/// Stores a group.
pub(crate) fn insert(call: &Call<'_>, id: &str, doc: &Value) -> rusqlite::Result<()> {
    call.conn.execute(
        "INSERT INTO directory_group (id, doc) VALUES (?1, ?2)",
        params![id, doc.to_string()],
    )?;
    Ok(())
}

/// Adds the user to whom the body's `@odata.id` refers.
pub(crate) fn add_member(
    call: &Call<'_>,
    group: &str,
    body: &Map<String, Value>,
) -> Result<(), GraphError> {
    let group = directory::group_id(call.conn, group)?;
    let address =
        body.get("@odata.id").and_then(Value::as_str).ok_or_else(|| required("@odata.id"))?;
    // The key alone counts: clients send `/directoryObjects/{id}` as well as `/users/{id}`.
    let key = id::key_of_address(address).ok_or_else(|| required("@odata.id"))?;
    let user = directory::resolve(call, &Who::User(key))?;
    // Before the insert, which would fail as a 500; the service answers 400 (planner-api.md 2.5).
    if members::is_member(call.conn, &group, &user)? {
        return Err(GraphError::new(
            400,
            "Request_BadRequest",
            "One or more added object references already exist for the following modified \
             properties: 'members'.",
        ));
    }
    insert_member(call, &group, &user)?;
    Ok(())
}

/// Makes a user a member.
pub(crate) fn insert_member(call: &Call<'_>, group: &str, user: &str) -> rusqlite::Result<()> {
    call.conn
        .execute("INSERT INTO group_member (group_id, user_id) VALUES (?1, ?2)", [group, user])?;
    Ok(())
}

/// Removes a member.
pub(crate) fn remove_member(call: &Call<'_>, group: &str, user: &str) -> Result<(), GraphError> {
    let group = directory::group_id(call.conn, group)?;
    // A key that is not a GUID matches nobody and gets the 404 of an unknown member.
    let member = id::guid(user).unwrap_or_default();
    let removed = call.conn.execute(
        "DELETE FROM group_member WHERE group_id = ?1 AND user_id = ?2",
        [&group, &member],
    )?;
    if removed == 0 { Err(GraphError::no_resource(user)) } else { Ok(()) }
}

/// Returns the mail domain of the tenant, taken from its first user.
pub(crate) fn domain(call: &Call<'_>) -> String {
    let upn: rusqlite::Result<String> =
        call.conn
            .query_row("SELECT upn FROM directory_user ORDER BY seq LIMIT 1", [], |row| row.get(0));
    let upn = upn.unwrap_or_default();
    upn.split_once('@').map_or_else(|| "tenant.example".to_owned(), |(_, domain)| domain.to_owned())
}

fn required(name: &str) -> GraphError {
    GraphError::new(
        400,
        "Request_BadRequest",
        format!("A value is required for property '{name}' of resource 'Group', or it is invalid."),
    )
}
