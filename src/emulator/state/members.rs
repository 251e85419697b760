//! Users, groups and memberships: the queries that every rule may need.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _};
use serde_json::{Map, Value};

use crate::emulator::state::graph_error::GraphError;
use crate::emulator::state::timestamp;

/// Finds the id of the user with a principal name.
pub(crate) fn user_id(conn: &Connection, upn: &str) -> rusqlite::Result<Option<String>> {
    conn.prepare_cached("SELECT id FROM directory_user WHERE upn = ?1")?
        .query_row([upn], |row| row.get(0))
        .optional()
}

/// Returns the id and principal name of the user who was added first.
pub(crate) fn first_user(conn: &Connection) -> rusqlite::Result<Option<(String, String)>> {
    conn.prepare_cached("SELECT id, upn FROM directory_user ORDER BY seq LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

/// Returns the principal name and display name of a user.
pub(crate) fn display_name(
    conn: &Connection,
    id: &str,
) -> rusqlite::Result<Option<(String, String)>> {
    conn.prepare_cached(
        "SELECT upn, coalesce(doc ->> 'displayName', upn) FROM directory_user WHERE id = ?1",
    )?
    .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
    .optional()
}

/// Returns whether a user is a member of a group; an owner need not be one (planner-api.md 11).
pub(crate) fn is_member(conn: &Connection, group: &str, user: &str) -> rusqlite::Result<bool> {
    conn.prepare_cached("SELECT 1 FROM group_member WHERE group_id = ?1 AND user_id = ?2")?
        .exists([group, user])
}

/// Returns whether a user owns a group, which does not make them a member (planner-api.md 11).
pub(crate) fn is_owner(conn: &Connection, group: &str, user: &str) -> rusqlite::Result<bool> {
    conn.prepare_cached("SELECT 1 FROM group_owner WHERE group_id = ?1 AND user_id = ?2")?
        .exists([group, user])
}

/// Returns the time at which a group was created.
pub(crate) fn created(conn: &Connection, group: &str) -> rusqlite::Result<Option<Timestamp>> {
    let text: Option<Option<String>> = conn
        .prepare_cached("SELECT doc ->> 'createdDateTime' FROM directory_group WHERE id = ?1")?
        .query_row([group], |row| row.get(0))
        .optional()?;
    Ok(text.flatten().and_then(|text| timestamp::parse(&text)))
}

/// Returns whether a group is a Microsoft 365 group, the only kind that contains plans
/// (planner-api.md 1.15).
pub(crate) fn is_unified(conn: &Connection, group: &str) -> Result<bool, GraphError> {
    let doc = group_doc(conn, group)?;
    let types = doc.get("groupTypes").and_then(Value::as_array);
    Ok(types.is_some_and(|types| types.iter().any(|one| one == "Unified")))
}

/// Returns whether a user or group has this id.
pub(crate) fn has_id(conn: &Connection, id: &str) -> rusqlite::Result<bool> {
    conn.prepare_cached(
        "SELECT 1 FROM directory_user WHERE id = ?1 \
         UNION ALL SELECT 1 FROM directory_group WHERE id = ?1",
    )?
    .exists([id])
}

/// Returns the ids of a group's members, in the order in which they joined the tenant.
pub(crate) fn members(conn: &Connection, group: &str) -> rusqlite::Result<Vec<String>> {
    conn.prepare_cached(
        "SELECT m.user_id FROM group_member m JOIN directory_user u ON u.id = m.user_id \
         WHERE m.group_id = ?1 ORDER BY u.seq",
    )?
    .query_map([group], |row| row.get(0))?
    .collect()
}

/// Returns whether there are no users yet.
pub(crate) fn is_empty(conn: &Connection) -> rusqlite::Result<bool> {
    Ok(!conn.prepare_cached("SELECT 1 FROM directory_user")?.exists([])?)
}

/// A user in a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Who {
    Me,
    /// By id or user principal name.
    User(String),
}

pub(crate) fn group_doc(conn: &Connection, group: &str) -> Result<Map<String, Value>, GraphError> {
    let text: Option<String> = conn
        .prepare_cached("SELECT doc FROM directory_group WHERE id = ?1 AND roster = 0")?
        .query_row([group], |row| row.get(0))
        .optional()?;
    parse(&text.ok_or_else(|| GraphError::no_resource(group))?)
}

pub(crate) fn parse(text: &str) -> Result<Map<String, Value>, GraphError> {
    serde_json::from_str(text).map_err(|error| {
        tracing::error!(%error, "the emulator's directory is damaged");
        GraphError::internal()
    })
}
