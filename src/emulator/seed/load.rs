//! The creation of what a seed describes, through the rules that also answer requests.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use rusqlite::OptionalExtension as _;
use serde_json::{Map, Value, json};

use crate::emulator::body::json::into_map;
use crate::emulator::body::open_type;
use crate::emulator::entity::buckets;
use crate::emulator::entity::directory;
use crate::emulator::entity::groups;
use crate::emulator::entity::plans;
use crate::emulator::entity::tasks;
use crate::emulator::seed::day::Day;
use crate::emulator::seed::location::{Location, SeedError};
use crate::emulator::seed::schema::{Group, Item, Plan, Reference, Task, Tenant, User};
use crate::emulator::state::call::Call;
use crate::emulator::state::id;
use crate::emulator::state::members;
use crate::emulator::state::object::{Object, ObjectKind};
use crate::emulator::state::order_hint::Places;
use crate::emulator::state::timestamp;

/// Creates everything in a text, in addition to what is there.
pub(crate) fn plant(call: &Call<'_>, text: &str) -> Result<(), SeedError> {
    let places = Places::counted();
    let call = &Call { places: &places, ..call.clone() };
    let value = parse(text)?;
    let root = Location::root();
    let tenant: Tenant = root.read(&value)?;
    for (spot, user) in root.items("users", &tenant.users)? {
        add_user(call, &spot, spot.read(user)?)?;
    }
    // The members of the new groups in the order of the text, which the database does not keep:
    // the first one creates the group's plans if nobody else is named.
    let mut members = HashMap::new();
    for (spot, group) in root.items("groups", &tenant.groups)? {
        let (id, own) = add_group(call, &spot, spot.read(group)?)?;
        members.insert(id, own);
    }
    for (spot, plan) in root.items("plans", &tenant.plans)? {
        add_plan(call, &spot, &members, &spot.read(plan)?)?;
    }
    Ok(())
}

/// The most values in a seed.
const MAX_VALUES: usize = 1_000_000;

/// Reads JSON if the text begins with a brace, or else YAML.
fn parse(text: &str) -> Result<Value, SeedError> {
    // An empty object of three bytes takes more than a hundred of memory.
    let n_values = text.bytes().filter(|byte| matches!(byte, b'{' | b'[' | b',')).count();
    if n_values > MAX_VALUES {
        return Err(SeedError::TooMany(MAX_VALUES));
    }
    if text.trim_start().starts_with('{') {
        serde_json::from_str(text).map_err(SeedError::Syntax)
    } else {
        let options = serde_saphyr::options! { with_snippet: false };
        serde_saphyr::from_str_with_options(text, options)
            .map_err(|error| SeedError::Yaml(Box::new(error)))
    }
}

fn add_user(call: &Call<'_>, spot: &Location, user: User) -> Result<(), SeedError> {
    let User { upn, name, title, id } = user;
    if !upn.split_once('@').is_some_and(|(name, domain)| !name.is_empty() && !domain.is_empty()) {
        return Err(spot.member("upn").wrong("expected a principal name, `name@domain`"));
    }
    if members::user_id(call.conn, &upn)?.is_some() {
        return Err(spot.member("upn").wrong("a user with this name already exists"));
    }
    let id = directory_id(call, &spot.member("id"), id, &upn)?;
    Ok(directory::add_user(call.conn, &id, &upn, &name, title.as_deref())?)
}

/// Returns the id that is given, or one derived from the name, the same in every copy.
fn directory_id(
    call: &Call<'_>,
    spot: &Location,
    given: Option<String>,
    name: &str,
) -> Result<String, SeedError> {
    let id = match given {
        None => id::guid_of(name),
        Some(text) => id::guid(&text).ok_or_else(|| spot.wrong("expected a GUID"))?,
    };
    if members::has_id(call.conn, &id)? {
        return Err(spot.wrong(format!("the id {id} is already in use")));
    }
    Ok(id)
}

/// Returns the id of a user who is named in full or by the part before the `@`.
fn user(call: &Call<'_>, spot: &Location, name: &str) -> Result<String, SeedError> {
    if let Some(id) = members::user_id(call.conn, name)? {
        return Ok(id);
    }
    let mut statement = call.conn.prepare_cached(
        "SELECT id FROM directory_user WHERE substr(upn, 1, instr(upn, '@') - 1) = ?1",
    )?;
    let ids: Vec<String> =
        statement.query_map([name], |row| row.get(0))?.collect::<Result<_, _>>()?;
    match ids.as_slice() {
        [id] => Ok(id.clone()),
        [] => Err(spot.wrong(format!("no user is called `{name}`"))),
        _ => Err(spot.wrong(format!("several users are called `{name}`; use the full name"))),
    }
}

fn users(call: &Call<'_>, spot: &Location, names: &[String]) -> Result<Vec<String>, SeedError> {
    names.iter().enumerate().map(|(at, name)| user(call, &spot.item(at), name)).collect()
}

fn day(spot: &Location, text: &str) -> Result<Day, SeedError> {
    let expected = "expected a date such as `2026-03-31`, `+3d` or `-2d`, or a timestamp";
    Day::parse(text).ok_or_else(|| spot.wrong(expected))
}

/// Returns the call as a user made it some time ago, or now if no date is given.
fn at<'a>(
    call: &Call<'a>,
    spot: &Location,
    caller: String,
    when: Option<&str>,
    apart: SignedDuration,
) -> Result<Call<'a>, SeedError> {
    let when = when.map_or(Ok(Day::Relative(0)), |text| day(spot, text))?;
    Ok(Call { caller, now: when.as_done(call.now, apart), ..call.clone() })
}

fn add_group(
    call: &Call<'_>,
    spot: &Location,
    group: Group,
) -> Result<(String, Vec<String>), SeedError> {
    let created = group.created.as_deref();
    let call = at(call, &spot.member("created"), String::new(), created, SignedDuration::ZERO)?;
    let id = directory_id(&call, &spot.member("id"), group.id, &group.name)?;
    let nickname = group.name.to_lowercase().replace(' ', "-");
    let mail = format!("{nickname}@{}", groups::domain(&call));
    let doc = json!({
        "id": id,
        "deletedDateTime": null,
        "createdDateTime": call.moment(),
        "description": group.description,
        "displayName": group.name,
        "groupTypes": ["Unified"],
        "mail": mail,
        "mailEnabled": true,
        "mailNickname": nickname,
        "proxyAddresses": [format!("SMTP:{mail}")],
        "renewedDateTime": call.moment(),
        "resourceProvisioningOptions": [],
        "securityEnabled": false,
        "visibility": "Private",
    });
    groups::insert(&call, &id, &doc)?;
    let owners = match &group.owners {
        Some(owners) => users(&call, &spot.member("owners"), owners)?,
        None => Vec::new(),
    };
    let spot = spot.member("members");
    let members = users(&call, &spot, &group.members)?;
    for (at, member) in members.iter().enumerate() {
        if members::is_member(call.conn, &id, member)? {
            return Err(spot.item(at).wrong("is already a member"));
        }
        groups::insert_member(&call, &id, member)?;
    }
    let first = members.first().filter(|_| group.owners.is_none());
    for owner in owners.iter().chain(first) {
        groups::insert_owner(&call, &id, owner)?;
    }
    Ok((id, members))
}

fn add_plan(
    call: &Call<'_>,
    spot: &Location,
    members: &HashMap<String, Vec<String>>,
    plan: &Plan,
) -> Result<(), SeedError> {
    let group: Option<String> = call
        .conn
        .query_row(
            "SELECT id FROM directory_group WHERE id = ?1 OR doc ->> 'displayName' = ?1",
            [&plan.group],
            |row| row.get(0),
        )
        .optional()?;
    let group = group.ok_or_else(|| {
        spot.member("group").wrong(format!("no group is called `{}`", plan.group))
    })?;
    let members = match members.get(&group) {
        Some(members) => members.clone(),
        None => members::members(call.conn, &group)?,
    };
    let founder = match &plan.created_by {
        Some(name) => user(call, &spot.member("created_by"), name)?,
        None => members
            .first()
            .cloned()
            .ok_or_else(|| spot.member("group").wrong("the group has no members"))?,
    };
    let shared = match &plan.shared_with {
        Some(names) => users(call, &spot.member("shared_with"), names)?,
        None => members,
    };
    let created = plan.created.as_deref();
    let founder = at(call, &spot.member("created"), founder, created, SignedDuration::ZERO)?;
    let body =
        json!({ "title": plan.title, "container": { "containerId": group, "type": "group" } });
    let made = spot.refused(plans::create(&founder, "", &into_map(body)))?;

    // A plan is shared with its creator (planner-api.md 7.6), who may not be in the list: `false`
    // removes them, and a later `true` wins.
    let mut sharing = Map::from_iter([(founder.caller.clone(), false.into())]);
    sharing.extend(shared.into_iter().map(|user| (user, true.into())));
    let labels: Map<String, Value> = (1..)
        .zip(&plan.labels)
        .map(|(at, label)| (format!("category{at}"), json!(label)))
        .collect();
    let mut details = spot.refused(founder.open(ObjectKind::PlanDetails, &made.id))?;
    let body = json!({ "sharedWith": sharing, "categoryDescriptions": labels });
    spot.refused(plans::update(&founder, &mut details, &into_map(body)))?;

    let mut buckets: Vec<(&str, Object)> = Vec::new();
    for (at, name) in plan.buckets.iter().enumerate() {
        let last = buckets.last().and_then(|(_, bucket)| bucket.doc.get("orderHint")?.as_str());
        let hint = format!("{} !", last.unwrap_or_default());
        let body = json!({ "planId": made.id, "name": name, "orderHint": hint });
        let bucket = buckets::create(&founder, &into_map(body));
        buckets.push((name, spot.member("buckets").item(at).refused(bucket)?));
    }
    let board = Board { id: &made.id, plan, founder: &founder.caller, buckets: &buckets };
    for (at, (spot, task)) in (0..).zip(spot.items("tasks", &plan.tasks)?) {
        // A few minutes apart, so that no two tasks share a place in the order.
        let apart = SignedDuration::from_mins(7 * at);
        add_task(call, &spot, &board, &spot.read(task)?, apart)?;
    }
    Ok(())
}

/// The plan that tasks are added to.
struct Board<'a> {
    id: &'a str,
    plan: &'a Plan,
    founder: &'a str,
    buckets: &'a [(&'a str, Object)],
}

fn add_task(
    call: &Call<'_>,
    spot: &Location,
    board: &Board<'_>,
    task: &Task,
    apart: SignedDuration,
) -> Result<(), SeedError> {
    let creator = match &task.created_by {
        Some(name) => user(call, &spot.member("created_by"), name)?,
        None => board.founder.to_owned(),
    };
    let finisher = match &task.completed_by {
        Some(name) => Some(user(call, &spot.member("completed_by"), name)?),
        None => task.completed.as_ref().map(|_| creator.clone()),
    };
    if finisher.is_some() && task.percent.is_some_and(|percent| percent != 100) {
        return Err(spot.member("percent").wrong("a completed task must be at 100"));
    }
    let bucket = task.bucket.as_deref().map(|name| {
        let found = board.buckets.iter().find(|(bucket, _)| *bucket == name);
        let missing = || spot.member("bucket").wrong(format!("no bucket is called `{name}`"));
        found.map(|(_, bucket)| bucket.id.as_str()).ok_or_else(missing)
    });
    let due = |name: &str, text: &Option<String>| -> Result<Option<String>, SeedError> {
        let Some(text) = text else { return Ok(None) };
        Ok(Some(timestamp::format(day(&spot.member(name), text)?.as_due(call.now, &call.zone))))
    };
    let assignees = users(call, &spot.member("assignees"), &task.assignees)?;
    let assignments: Map<String, Value> = assignees
        .into_iter()
        .map(|user| {
            let value =
                json!({ "@odata.type": "#microsoft.graph.plannerAssignment", "orderHint": " !" });
            (user, value)
        })
        .collect();
    let mut body = json!({
        "planId": board.id,
        "bucketId": bucket.transpose()?,
        "title": task.title,
        // The update below completes it, as the user who is named.
        "percentComplete": if finisher.is_some() { 0 } else { task.percent.unwrap_or(0) },
        "priority": task.priority.unwrap_or(5),
        "startDateTime": due("start", &task.start)?,
        "dueDateTime": due("due", &task.due)?,
        "conversationThreadId": task.conversation_thread_id,
        "appliedCategories": labels(&spot.member("labels"), board.plan, &task.labels)?,
        "assignments": assignments,
    });
    if let Some(details) = details(spot, task)? {
        body["details"] = details;
    }
    let creator = at(call, &spot.member("created"), creator, task.created.as_deref(), apart)?;
    let made: Timestamp = creator.now;
    let mut object = spot.refused(tasks::create(&creator, &into_map(body)))?;
    if let Some(finisher) = finisher {
        let when = task.completed.as_deref();
        let finisher = match when {
            Some(_) => at(call, &spot.member("completed"), finisher, when, apart)?,
            None => Call { caller: finisher, now: made, ..call.clone() },
        };
        let body = into_map(json!({ "percentComplete": 100 }));
        spot.refused(tasks::update(&finisher, &mut object, &body))?;
    }
    Ok(())
}

/// Returns the categories of a task, whose labels are named or numbered.
fn labels(spot: &Location, plan: &Plan, labels: &[Value]) -> Result<Map<String, Value>, SeedError> {
    let mut out = Map::new();
    for (at, label) in labels.iter().enumerate() {
        let number = match label {
            Value::Number(number) => number.as_u64().filter(|number| (1..=25).contains(number)),
            Value::String(name) => {
                let is_named = |label: &Option<String>| label.as_ref() == Some(name);
                plan.labels.iter().position(is_named).map(|at| at as u64 + 1)
            }
            _ => None,
        };
        let expected = "expected one of the plan's labels, or a number from 1 to 25";
        let number = number.ok_or_else(|| spot.item(at).wrong(expected))?;
        out.insert(format!("category{number}"), true.into());
    }
    Ok(out)
}

/// Returns the details of a task, if the seed describes any.
fn details(spot: &Location, task: &Task) -> Result<Option<Value>, SeedError> {
    let items = spot.items("checklist", &task.checklist)?;
    let links = spot.items("references", &task.references)?;
    if task.description.is_none() && task.preview.is_none() && items.is_empty() && links.is_empty()
    {
        return Ok(None);
    }
    // Checklists are shown in descending order (planner-api.md 4.6), so each item is placed before
    // the one above it.
    let mut place = " !".to_owned();
    let mut checklist = Map::new();
    for (key, (spot, item)) in (20_001..).zip(items) {
        let item = match item {
            Value::String(title) => Item { title: title.clone(), checked: false, id: None },
            item => spot.read(item)?,
        };
        let key = item.id.unwrap_or_else(|| format!("{key}"));
        let value = json!({
            "@odata.type": "#microsoft.graph.plannerChecklistItem",
            "title": item.title,
            "isChecked": item.checked,
            "orderHint": place,
        });
        if checklist.insert(key, value).is_some() {
            return Err(spot.member("id").wrong("is already in use"));
        }
        place = format!(" {place}!");
    }
    let mut references = Map::new();
    for (spot, link) in links {
        let link: Reference = spot.read(link)?;
        let value = json!({
            "@odata.type": "#microsoft.graph.plannerExternalReference",
            "alias": link.alias,
            "type": link.kind,
            "previewPriority": " !",
        });
        if references.insert(open_type::encode_url(&link.url), value).is_some() {
            return Err(spot.member("url").wrong("is already listed"));
        }
    }
    Ok(Some(json!({
        "description": task.description,
        "previewType": task.preview.as_deref().unwrap_or("automatic"),
        "checklist": checklist,
        "references": references,
    })))
}
