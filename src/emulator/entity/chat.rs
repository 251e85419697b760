//! The chat of a task (planner-api.md 2.9; beta): messages without tags, from the oldest to the
//! newest.
//!
//! Whoever sees the task reads and writes there; a message is changed and deleted by its author
//! only. What the reference leaves open is the emulator's choice: how long a message may be, and that
//! a deleted one leaves nothing behind.

use rusqlite::{OptionalExtension as _, params};
use serde_json::{Map, Value, json};

use crate::emulator::body::json::into_map;
use crate::emulator::body::patch;
use crate::emulator::body::schema;
use crate::emulator::body::view;
use crate::emulator::message::request::Request;
use crate::emulator::message::response::Handled;
use crate::emulator::state::call::Call;
use crate::emulator::state::graph_error::GraphError;
use crate::emulator::state::id;
use crate::emulator::state::members::parse;
use crate::emulator::state::object::Object;

/// The longest message, in characters.
const MAX_CONTENT: usize = 28_000;

/// Answers with a page of the messages of a task.
pub(crate) fn list(
    call: &Call<'_>,
    request: &Request,
    task: &Object,
) -> Result<Handled, GraphError> {
    let after = view::skip_token(request)?;
    let size = call.page_size.max(1);
    let mut statement = call.conn.prepare_cached(
        "SELECT seq, doc FROM task_message WHERE task_seq = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
    )?;
    // One more than a page, to know whether there is another.
    let limit = i64::try_from(size.saturating_add(1)).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![task.seq, after, limit], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
    })?;
    let mut found = rows.collect::<Result<Vec<_>, _>>()?;
    let has_more = found.len() > size;
    found.truncate(size);
    let context = format!("planner/tasks('{}')/messages", task.id);
    let mut body = view::envelope(request, &context, &[]);
    body.insert("@odata.count".to_owned(), found.len().into());
    if let Some((last, _)) = found.last().filter(|_| has_more) {
        let link = request.next_link(&view::page_token(*last));
        body.insert("@odata.nextLink".to_owned(), link.into());
    }
    let items: Vec<Value> =
        found.iter().map(|(_, doc)| parse(doc).map(Value::Object)).collect::<Result<_, _>>()?;
    body.insert("value".to_owned(), items.into());
    Ok(Handled::json(200, body))
}

/// Adds a message.
pub(crate) fn post(
    call: &Call<'_>,
    request: &Request,
    task: &Object,
) -> Result<Handled, GraphError> {
    let body = request.json()?;
    let content = content_of(&body, &["content", "messageType", "mentions"])?;
    let id = id::new_guid();
    let mentions = body.get("mentions").filter(|mentions| mentions.is_array());
    let doc = json!({
        "id": id,
        "content": content,
        "createdBy": call.user(),
        "createdDateTime": call.moment(),
        "editedDateTime": null,
        "deletedDateTime": null,
        "parentEntityId": task.id,
        "messageType": body.get("messageType").cloned().unwrap_or_else(|| "plainText".into()),
        "mentions": mentions.cloned().unwrap_or_else(|| json!([])),
        "reactions": [],
    });
    call.conn.execute(
        "INSERT INTO task_message (id, task_seq, author, doc) VALUES (?1, ?2, ?3, ?4)",
        params![id, task.seq, call.caller, doc.to_string()],
    )?;
    // Shown on the task, whose tag stays: no field of it was changed.
    call.conn.execute(
        "UPDATE object SET doc = json_set(doc, '$.hasChat', json('true')) WHERE seq = ?1",
        [task.seq],
    )?;
    Ok(single(request, task, doc, 201))
}

/// Changes the text of a message.
pub(crate) fn edit(
    call: &Call<'_>,
    request: &Request,
    task: &Object,
    id: &str,
) -> Result<Handled, GraphError> {
    let (id, mut doc) = own(call, task, id)?;
    let content = content_of(&request.json()?, &["content", "mentions"])?;
    doc.insert("content".to_owned(), content.into());
    doc.insert("editedDateTime".to_owned(), call.moment());
    let doc = Value::Object(doc);
    call.conn
        .execute("UPDATE task_message SET doc = ?2 WHERE id = ?1", params![id, doc.to_string()])?;
    Ok(single(request, task, doc, 200))
}

/// Deletes a message.
pub(crate) fn delete(call: &Call<'_>, task: &Object, id: &str) -> Result<Handled, GraphError> {
    let (id, _) = own(call, task, id)?;
    call.conn.execute("DELETE FROM task_message WHERE id = ?1", [&id])?;
    Ok(Handled::empty(204))
}

/// Finds a message of a task, which must be the caller's own.
fn own(
    call: &Call<'_>,
    task: &Object,
    id: &str,
) -> Result<(String, Map<String, Value>), GraphError> {
    let found: Option<(String, String, String)> = call
        .conn
        .prepare_cached("SELECT id, author, doc FROM task_message WHERE id = ?1 AND task_seq = ?2")?
        .query_row(params![id.to_lowercase(), task.seq], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let (id, author, doc) = found.ok_or_else(GraphError::not_found)?;
    if author == call.caller { Ok((id, parse(&doc)?)) } else { Err(GraphError::forbidden()) }
}

fn content_of(body: &Map<String, Value>, known: &[&str]) -> Result<String, GraphError> {
    let is_unknown =
        |name: &&String| !known.contains(&name.as_str()) && !schema::is_annotation(name);
    if let Some(name) = body.keys().find(is_unknown) {
        return Err(patch::unknown("plannerTaskChatMessage", name));
    }
    match body.get("content") {
        Some(Value::String(text)) if text.trim().is_empty() => {
            Err(GraphError::invalid("The content of a message must not be empty."))
        }
        Some(Value::String(text)) if text.chars().count() > MAX_CONTENT => {
            Err(GraphError::invalid("The content of the message is too long."))
        }
        Some(Value::String(text)) => Ok(text.clone()),
        None | Some(Value::Null) => Err(GraphError::null_field("TaskChatMessage", "content")),
        Some(_) => Err(patch::wrong_type("content")),
    }
}

fn single(request: &Request, task: &Object, doc: Value, status: u16) -> Handled {
    let of = format!("planner/tasks('{}')/messages/$entity", task.id);
    let mut body = view::envelope(request, &of, &[]);
    body.append(&mut into_map(doc));
    Handled::json(status, body)
}
