//! Changes of groups: creating one, adding and removing members (planner-api.md 2.5).
//!
//! The scope is enough for these; administrators are not modelled.

use rusqlite::params;
use serde_json::{Map, Value, json};

use crate::emulator::body::json;
use crate::emulator::entity::directory;
use crate::emulator::state::call::Call;
use crate::emulator::state::graph_error::GraphError;
use crate::emulator::state::id;
use crate::emulator::state::members;
use crate::emulator::state::members::Who;

/// Creates a group, of which the caller does not become a member (planner-api.md 11).
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
    Ok(json::into_map(doc))
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
