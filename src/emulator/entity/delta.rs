//! Delta queries of the beta: the changes since the last query.
//!
//! planner-api.md 2.9, 2.10 and 13.20. A token is the number of a change. Deltas of single
//! collections work like the one of everything.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use crate::emulator::body::schema;
use crate::emulator::body::view;
use crate::emulator::entity::tasks;
use crate::emulator::message::request::Request;
use crate::emulator::message::response::Handled;
use crate::emulator::state::call::Call;
use crate::emulator::state::change_log::{self, Extent, Row, What};
use crate::emulator::state::etag;
use crate::emulator::state::graph_error::GraphError;
use crate::emulator::state::object::{self, ObjectKind};

/// The objects that a delta query covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Feed {
    /// Everything that the caller may see.
    All,
    Tasks,
    /// The tasks to which a user is assigned.
    TasksOf(String),
    BucketsOfPlan(String),
    PlansOfGroup(String),
    PlansOfRoster(String),
}

/// An item of a page under construction: an object, and the nature of its change.
type Item = (ObjectKind, String, What);

/// Answers a round. The first one is empty and has a link to the changes that follow it.
pub(crate) fn answer(
    call: &Call<'_>,
    request: &Request,
    feed: &Feed,
) -> Result<Handled, GraphError> {
    let extent = Extent {
        // An application sees the plans of all groups and is a member of none (planner-api.md 11).
        user: (!call.is_app).then_some(call.caller.as_str()),
        plan: match feed {
            Feed::BucketsOfPlan(plan) => Some(plan),
            _ => None,
        },
        group: match feed {
            Feed::PlansOfGroup(group) | Feed::PlansOfRoster(group) => Some(group),
            _ => None,
        },
        kind: match feed {
            Feed::All => None,
            Feed::Tasks | Feed::TasksOf(_) => Some(ObjectKind::Task),
            Feed::BucketsOfPlan(_) => Some(ObjectKind::Bucket),
            Feed::PlansOfGroup(_) | Feed::PlansOfRoster(_) => Some(ObjectKind::Plan),
        },
    };
    let latest = change_log::latest(call.conn)?;
    let Some(after) = token(request, latest)? else {
        // The client reads the ordinary lists after this answer, so the link starts here: what
        // changes meanwhile must not be lost (planner-api.md 2.10).
        let link = link(request, "$skiptoken", latest);
        return Ok(page(request, Vec::new(), "@odata.nextLink", link));
    };
    // By number and not by what is stored: old rows are deleted some time after they count.
    // 410 makes the client read everything again (planner-api.md 2.10).
    if after < latest - call.kept_changes {
        let reason = "The delta token is too old. Read everything again and start a new round.";
        return Err(GraphError::new(410, "", reason));
    }
    let size = call.page_size.max(1);
    let mut rows = change_log::since(call.conn, extent, after, size.saturating_add(1))?;
    let has_more = rows.len() > size;
    rows.truncate(size);
    // The last page also skips the changes of other feeds, or they would be read every time.
    let end = rows.last().filter(|_| has_more).map_or(latest, |row| row.seq);
    let mut items = Vec::new();
    for item in merged(rows) {
        items.extend(match feed {
            Feed::TasksOf(user) => shown_to_assignee(call, item, user)?,
            _ => shown(call, item)?,
        });
    }
    Ok(if has_more {
        page(request, items, "@odata.nextLink", link(request, "$skiptoken", end))
    } else {
        page(request, items, "@odata.deltaLink", link(request, "$deltatoken", end))
    })
}

/// Returns the change after which the round begins; `None` without a token.
fn token(request: &Request, latest: i64) -> Result<Option<i64>, GraphError> {
    let mut token = None;
    for (name, value) in request.options() {
        if !["$skiptoken", "$deltatoken"].contains(&name) || token.is_some() {
            return Err(GraphError::bad_request("Delta queries accept no query options."));
        }
        let bytes = URL_SAFE_NO_PAD.decode(value).ok();
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        let seq = text.and_then(|text| text.strip_prefix("delta:")?.parse::<i64>().ok());
        // A number beyond the latest change was never given out: malformed, so 400, and not too
        // old, which would be 410 (planner-api.md 2.10).
        let seq = seq.filter(|seq| (0..=latest).contains(seq));
        token = Some(seq.ok_or_else(|| GraphError::bad_request("The delta token is not valid."))?);
    }
    Ok(token)
}

fn link(request: &Request, name: &str, seq: i64) -> String {
    let token = URL_SAFE_NO_PAD.encode(format!("delta:{seq}"));
    format!("{}{}?{name}={token}", request.origin(), request.uri.path())
}

fn page(request: &Request, items: Vec<Value>, link_name: &str, link: String) -> Handled {
    let mut body = view::envelope(request, "Collection(microsoft.graph.plannerDelta)", &[]);
    body.insert(link_name.to_owned(), link.into());
    body.insert("value".to_owned(), items.into());
    Handled::json(200, body).with("preference-applied", "odata.track-changes")
}

/// Merges changes into one item an object, in the order of the first change.
fn merged(rows: Vec<Row>) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    for row in rows {
        let place = items.iter_mut().find(|(kind, id, _)| *kind == row.kind && *id == row.id);
        let Some((_, _, what)) = place else {
            items.push((row.kind, row.id, row.what));
            continue;
        };
        match (&mut *what, row.what) {
            // A new object is shown whole, with whatever changed since.
            (What::Created, What::Changed(_)) => (),
            (What::Changed(names), What::Changed(more)) => names.extend(more),
            (_, newer) => *what = newer,
        }
    }
    items
}

/// Returns an item as it is answered; `None` for an object that has been deleted since.
fn shown(call: &Call<'_>, (kind, id, what): Item) -> Result<Option<Value>, GraphError> {
    if what == What::Deleted {
        return Ok(Some(removed(kind, &id, "deleted")));
    }
    let mut out = typed(kind);
    // Present values, however old the change is: the deletion follows as an item of its own.
    let Some(object) = object::find(call.conn, kind, &id)? else { return Ok(None) };
    let tag = etag::format(kind, object.version);
    out.insert("@odata.etag".to_owned(), tag.into());
    out.insert("id".to_owned(), id.into());
    let doc = schema::shown(kind, &object.doc, call.beta);
    let is_shown = |name: &String| match &what {
        What::Changed(names) => names.contains(name),
        // Whole: clients recognise a new object by its `createdBy` (planner-api.md 2.10).
        _ => name != "id",
    };
    out.extend(doc.into_iter().filter(|(name, _)| is_shown(name)));
    Ok(Some(Value::Object(out)))
}

/// Returns an item as the feed of a user's own tasks shows it: whole where the task may have become
/// theirs, removed where it is no longer theirs.
fn shown_to_assignee(
    call: &Call<'_>,
    (kind, id, what): Item,
    user: &str,
) -> Result<Option<Value>, GraphError> {
    let found = if what == What::Deleted { None } else { object::find(call.conn, kind, &id)? };
    let is_theirs = found.as_ref().is_some_and(|task| tasks::assignees(&task.doc).contains(user));
    let was_reassigned = match &what {
        What::Changed(names) => names.contains("assignments"),
        _ => false,
    };
    match (is_theirs, was_reassigned) {
        (true, true) => shown(call, (kind, id, What::Created)),
        (true, false) => shown(call, (kind, id, what)),
        (false, true) => Ok(Some(removed(kind, &id, "changed"))),
        // The assignees of a deleted task are not recorded, so every feed shows the deletion.
        (false, false) if what == What::Deleted => shown(call, (kind, id, what)),
        (false, false) => Ok(None),
    }
}

fn typed(kind: ObjectKind) -> Map<String, Value> {
    let type_name = format!("#microsoft.graph.planner{}", kind.token());
    Map::from_iter([("@odata.type".to_owned(), Value::from(type_name))])
}

fn removed(kind: ObjectKind, id: &str, reason: &str) -> Value {
    let mut out = typed(kind);
    out.insert("id".to_owned(), id.into());
    out.insert("@removed".to_owned(), json!({ "reason": reason }));
    Value::Object(out)
}
