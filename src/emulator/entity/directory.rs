//! Users and groups: finding and showing them.
//!
//! planner-api.md 1.15 and 2.5. Directory objects have no ETags and their own errors. Changes of
//! groups are in `groups`, lists in `listing`.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::{Map, Value, json};

use crate::emulator::body::known::Type;
use crate::emulator::body::view;
use crate::emulator::message::request::Request;
use crate::emulator::message::response::Handled;
use crate::emulator::state::call::Call;
use crate::emulator::state::graph_error::GraphError;
use crate::emulator::state::id;
use crate::emulator::state::members::{Who, group_doc, parse};

/// The number of ids that are asked for at once (planner-api.md 2.5).
const MAX_IDS: usize = 1000;

/// Returns the id of the user that a path names.
pub(crate) fn resolve(call: &Call<'_>, who: &Who) -> Result<String, GraphError> {
    match who {
        // An application has no `/me` and was refused before this point (planner-api.md trap 34).
        Who::Me => Ok(call.caller.clone()),
        Who::User(key) => {
            let lower = key.to_lowercase();
            let found: Option<String> = call
                .conn
                .prepare_cached("SELECT id FROM directory_user WHERE id = ?1 OR upn = ?2")?
                .query_row([&lower, key], |row| row.get(0))
                .optional()?;
            found.ok_or_else(|| GraphError::no_resource(key))
        }
    }
}

/// Checks a group's id and that the group exists; returns the id in lower case.
pub(crate) fn group_id(conn: &Connection, raw: &str) -> Result<String, GraphError> {
    let group = id::guid(raw).ok_or_else(|| {
        GraphError::new(400, "Request_BadRequest", format!("Invalid object identifier '{raw}'."))
    })?;
    group_doc(conn, &group)?;
    Ok(group)
}

/// Answers with one user.
pub(crate) fn user(call: &Call<'_>, request: &Request, who: &Who) -> Result<Handled, GraphError> {
    let id = resolve(call, who)?;
    let text: String = call
        .conn
        .prepare_cached("SELECT doc FROM directory_user WHERE id = ?1")?
        .query_row([id], |row| row.get(0))?;
    single(request, "users", &parse(&text)?, 200)
}

/// Answers with one group.
pub(crate) fn group(call: &Call<'_>, request: &Request, id: &str) -> Result<Handled, GraphError> {
    let group = group_id(call.conn, id)?;
    single(request, "groups", &group_doc(call.conn, &group)?, 200)
}

/// Answers with a directory object.
pub(crate) fn single(
    request: &Request,
    collection: &str,
    doc: &Map<String, Value>,
    status: u16,
) -> Result<Handled, GraphError> {
    let select: Vec<&str> = select(request);
    let of = if collection == "users" { Type::User } else { Type::Group };
    of.check_selection(&select)?;
    let entity = format!("{collection}{}/$entity", view::selection(&select));
    let mut body = view::envelope(request, &entity, &[]);
    body.append(&mut view::selected(doc, &select));
    Ok(Handled::json(status, body))
}

/// Returns the names of a request's `$select`.
pub(crate) fn select(request: &Request) -> Vec<&str> {
    let list = request.option("$select").unwrap_or_default();
    view::split(list).filter(|name| !name.is_empty() && *name != "*").collect()
}

/// Returns a document as an item of a list, with its type where several types could occur.
pub(crate) fn item(doc: &Map<String, Value>, of: Option<&str>, select: &[&str]) -> Value {
    let mut item = Map::new();
    if let Some(of) = of {
        item.insert("@odata.type".to_owned(), of.into());
    }
    item.append(&mut view::selected(doc, select));
    Value::Object(item)
}

/// Answers with the users and groups that a body names by id; unknown ids are left out
/// (planner-api.md 2.5).
pub(crate) fn by_ids(call: &Call<'_>, request: &Request) -> Result<Handled, GraphError> {
    let body = request.json()?;
    let invalid = |message: String| GraphError::new(400, "Request_BadRequest", message);
    let texts = |name: &str| match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(items)) => {
            items.iter().map(Value::as_str).collect::<Option<Vec<_>>>().map_or_else(
                || Err(invalid(format!("'{name}' must be a list of texts."))),
                |texts| Ok(Some(texts)),
            )
        }
        Some(_) => Err(invalid(format!("'{name}' must be a list of texts."))),
    };
    let ids = texts("ids")?.unwrap_or_default();
    if ids.is_empty() || ids.len() > MAX_IDS {
        return Err(invalid(format!("'ids' must have between 1 and {MAX_IDS} ids.")));
    }
    let types = texts("types")?;
    let wants = |name: &str| {
        let is = |one: &&str| one.eq_ignore_ascii_case(name) || *one == "directoryObject";
        types.as_ref().is_none_or(|types| types.iter().any(is))
    };
    let select = select(request);
    Type::DirectoryObject.check_selection(&select)?;
    let tables = [
        ("user", "#microsoft.graph.user", "SELECT doc FROM directory_user WHERE id = ?1"),
        (
            "group",
            "#microsoft.graph.group",
            "SELECT doc FROM directory_group WHERE id = ?1 AND roster = 0",
        ),
    ];
    let (mut items, mut seen) = (Vec::new(), BTreeSet::new());
    for raw in ids {
        let id =
            id::guid(raw).ok_or_else(|| invalid(format!("Invalid object identifier '{raw}'.")))?;
        // An id that is named twice is answered once.
        if !seen.insert(id.clone()) {
            continue;
        }
        for (name, of, sql) in tables {
            let found: Option<String> =
                call.conn.prepare_cached(sql)?.query_row([&id], |row| row.get(0)).optional()?;
            if let Some(text) = found.filter(|_| wants(name)) {
                items.push(item(&parse(&text)?, Some(of), &select));
            }
        }
    }
    let mut body = view::envelope(request, "directoryObjects", &select);
    body.insert("value".to_owned(), items.into());
    Ok(Handled::json(200, body))
}

/// Adds a user, whose document has the members that a real one shows without `$select`
/// (planner-api.md 1.15).
pub(crate) fn add_user(
    conn: &Connection,
    id: &str,
    upn: &str,
    display_name: &str,
    job_title: Option<&str>,
) -> rusqlite::Result<()> {
    let (given, surname) = match display_name.split_once(' ') {
        Some((given, surname)) => (given, Some(surname)),
        None => (display_name, None),
    };
    let doc = json!({
        "businessPhones": [],
        "displayName": display_name,
        "givenName": given,
        "jobTitle": job_title,
        "mail": upn,
        "mobilePhone": null,
        "officeLocation": null,
        "preferredLanguage": null,
        "surname": surname,
        "userPrincipalName": upn,
        "id": id,
    });
    conn.execute(
        "INSERT INTO directory_user (id, upn, doc) VALUES (?1, ?2, ?3)",
        params![id, upn, doc.to_string()],
    )?;
    Ok(())
}
