//! Plans and their details: creation, containers, sharing.
//!
//! planner-api.md 1.3, 1.4, 2.1 and 7.6. Groups contain plans, and so do rosters and users.

use serde_json::{Map, Value, json};

use crate::emulator::body::json;
use crate::emulator::body::patch;
use crate::emulator::body::schema;
use crate::emulator::entity::personal_plans;
use crate::emulator::entity::rosters;
use crate::emulator::state::call::Call;
use crate::emulator::state::field_versions::Changes;
use crate::emulator::state::graph_error::GraphError;
use crate::emulator::state::id;
use crate::emulator::state::limits;
use crate::emulator::state::members;
use crate::emulator::state::object::{self, Object, ObjectKind, Scope};

/// The root of the addresses that identify containers, whatever address the request came to.
const GRAPH: &str = "https://graph.microsoft.com";

/// Creates a plan with its details, shared with its creator (planner-api.md 2.1 P1, in the order of
/// 2.1.2).
///
/// `origin` is the address the request came to, which a container's URL may name as well.
pub(crate) fn create(
    call: &Call<'_>,
    origin: &str,
    body: &Map<String, Value>,
) -> Result<Object, GraphError> {
    let mut body = body.clone();
    // Before the container, by steps 2 and 3 of planner-api.md 2.1.2.
    if body.get("title").is_none_or(Value::is_null) {
        return Err(GraphError::null_field("Plan", "title"));
    }
    let (kind, group) = if let Some(roster) = rosters::container(call, &mut body)? {
        ("roster", roster)
    } else if let Some(user) = personal_plans::container(call, &mut body)? {
        ("user", user)
    } else {
        ("group", container_group(origin, &mut body)?)
    };
    // Nobody is a member of an unknown group, so both cases get one refusal
    // (planner-api.md 6.2).
    // An application is a member of nothing, so for it the group is looked up (planner-api.md 2.1.2).
    let is_known = kind != "group" || members::has_id(call.conn, &group)?;
    if !is_known || !call.may_enter(&group)? {
        return Err(GraphError::forbidden_or_missing());
    }
    if kind == "group" && !members::is_unified(call.conn, &group)? {
        return Err(GraphError::invalid("The container must be a Microsoft 365 group."));
    }
    let id = call.ids.planner();
    let doc = json!({
        "createdDateTime": call.moment(),
        "owner": group,
        "title": null,
        "id": id,
        "createdBy": call.actor(),
        "container": container_doc(kind, &group),
    });
    let (doc, plan, changes) = (json::into_map(doc), id.clone(), Changes::default());
    let mut plan = Object { kind: ObjectKind::Plan, id, plan, version: 0, doc, changes, seq: 0 };
    patch::apply(call, &mut plan, &body)?;
    let plans = object::count(call.conn, Scope::PlansOfGroup(&group))? + 1;
    limits::check(plans, call.limits.plans_of_group, "MaximumProjectsOwnedByUser")?;

    let plan = object::insert(call.conn, ObjectKind::Plan, &plan.id, &plan.id, plan.doc)?;
    // All 25 labels are always shown, unset ones as null (planner-api.md 1.4).
    let labels: Map<String, Value> =
        (1..=25).map(|at| (format!("category{at}"), Value::Null)).collect();
    // `sharedWith` decides what `/me/planner/plans` lists (planner-api.md 7.6).
    // An application shares a plan explicitly (planner-api.md 11).
    let sharers: Vec<&String> = (!call.is_app).then_some(&call.caller).into_iter().collect();
    let shared: Map<String, Value> =
        sharers.iter().map(|user| ((*user).clone(), true.into())).collect();
    let details = json!({
        "id": plan.id,
        "sharedWith": shared,
        "categoryDescriptions": labels,
    });
    let details = json::into_map(details);
    object::insert(call.conn, ObjectKind::PlanDetails, &plan.id, &plan.id, details)?;
    object::set_users(call.conn, ObjectKind::Plan, plan.seq, sharers.into_iter())?;
    Ok(plan)
}

/// Returns a container as a plan shows it (planner-api.md 1.3).
pub(crate) fn container_doc(kind: &str, id: &str) -> Value {
    // The address of a roster is one of the beta even in v1.0 (planner-api.md 1.3).
    let path = match kind {
        "roster" => "beta/planner/rosters",
        "user" => "beta/users",
        _ => "v1.0/groups",
    };
    json!({ "containerId": id, "type": kind, "url": format!("{GRAPH}/{path}/{id}") })
}

/// Moves a container of a kind out of a body, whether it is named by its URL, by id and type or by
/// all three; returns `None` if the body names another kind.
pub(crate) fn named_container(
    body: &mut Map<String, Value>,
    kind: &str,
    paths: &[&str],
) -> Result<Option<String>, GraphError> {
    let text = |name: &str| body.get("container")?.get(name)?.as_str();
    let of_url = paths.iter().find_map(|path| text("url")?.split_once(path));
    let named = match (of_url, text("containerId"), text("type")) {
        (Some((_, id)), None, given) if given.is_none_or(|given| given == kind) => id.to_owned(),
        (Some((_, id)), Some(other), Some(given)) if given == kind && id == other => id.to_owned(),
        (None, Some(id), Some(given)) if given == kind => id.to_owned(),
        // The container stays in the body, for whoever reads the next kind.
        (None, _, given) if given != Some(kind) => return Ok(None),
        _ => {
            let reason = "The parts of the container contradict each other.";
            return Err(GraphError::schema("Plan", "container", reason));
        }
    };
    body.shift_remove("container");
    Ok(Some(named))
}

/// Moves the container out of a new plan's body: `container` by URL, by id and type or by all
/// three, or the older `owner` (planner-api.md 1.3). Several of these must agree.
pub(crate) fn container_group(
    origin: &str,
    body: &mut Map<String, Value>,
) -> Result<String, GraphError> {
    let refuse = |reason| Err(GraphError::schema("Plan", "container", reason));
    // Every way in which the body names the group; `None` for one that names no group.
    let mut named = Vec::new();
    match body.shift_remove("container") {
        None | Some(Value::Null) => (),
        Some(Value::Object(container)) => {
            let text = |name: &str| container.get(name).filter(|value| !value.is_null());
            if let Some(url) = text("url") {
                named.push(url.as_str().and_then(|url| group_of_url(origin, url)));
            }
            match (text("containerId"), text("type")) {
                (None, None) => (),
                (Some(id), Some(kind)) if kind == "group" => {
                    named.push(id.as_str().and_then(id::guid));
                }
                (None, Some(kind)) if kind == "group" && !named.is_empty() => (),
                (_, Some(kind)) if kind != "group" => {
                    return refuse("Only groups are supported as containers.");
                }
                _ => return refuse("containerId and type must be specified together."),
            }
            let known = ["url", "containerId", "type"];
            let is_unknown =
                |name: &&String| !known.contains(&name.as_str()) && !schema::is_annotation(name);
            if let Some(name) = container.keys().find(is_unknown) {
                return Err(patch::unknown("plannerPlanContainer", name));
            }
        }
        Some(_) => return Err(patch::wrong_type("container")),
    }
    match body.shift_remove("owner") {
        None | Some(Value::Null) => (),
        Some(Value::String(owner)) => named.push(id::guid(&owner)),
        Some(_) => return Err(patch::wrong_type("owner")),
    }
    let Some(first) = named.first().cloned() else {
        return Err(GraphError::null_field("Plan", "container"));
    };
    if named.iter().any(|other| *other != first) {
        return refuse("The parts of the container contradict each other.");
    }
    first.map_or_else(|| refuse("The container is not a group."), Ok)
}

/// Returns the group that a container URL names, in the v1.0 or the beta form (planner-api.md 1.3).
fn group_of_url(origin: &str, url: &str) -> Option<String> {
    let rest = url.strip_prefix(GRAPH).or_else(|| url.strip_prefix(origin))?;
    let rest = rest.strip_prefix("/v1.0/").or_else(|| rest.strip_prefix("/beta/"))?;
    id::guid(rest.strip_prefix("groups/")?)
}

/// Changes a plan or its details, and the users it is shared with (planner-api.md 1.4).
pub(crate) fn update(
    call: &Call<'_>,
    object: &mut Object,
    body: &Map<String, Value>,
) -> Result<(), GraphError> {
    let before = shared_with(object);
    let changed = patch::apply(call, object, body)?;
    if changed.is_empty() {
        return Ok(());
    }
    let after = shared_with(object);
    if after != before {
        // Only growth is checked: a plan above a limit that was lowered can still shrink.
        if after.len() > before.len() {
            let limit = call.limits.users_shared_with_plan;
            limits::check(after.len(), limit, "MaximumUsersSharedWithProject")?;
        }
        for user in after.iter().filter(|user| !before.contains(user)) {
            let plans = object::count(call.conn, Scope::PlansSharedWith(user))? + 1;
            let limit = call.limits.plans_shared_with_user;
            limits::check(plans, limit, "MaximumProjectsSharedWithUser")?;
        }
        // The lists of users join the row of the plan, not that of its details.
        let plan = call.open(ObjectKind::Plan, &object.id)?;
        object::set_users(call.conn, ObjectKind::Plan, plan.seq, after.iter())?;
    }
    object::save(call.conn, object, &changed)?;
    Ok(())
}

fn shared_with(details: &Object) -> Vec<String> {
    let users = details.doc.get("sharedWith").and_then(Value::as_object);
    users.map(|users| users.keys().cloned().collect()).unwrap_or_default()
}
