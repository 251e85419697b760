//! The demo tenant: a small company with a board that needs attention.
//!
//! It is built by the code that answers requests, on behalf of the people in it and at moments
//! before now, so that counts, completion and history are what they would be had they worked.
//! What it contains is in `board`.

mod board;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use crate::emulator::buckets;
use crate::emulator::call::Call;
use crate::emulator::demo::board::{Board, Group, Person, Task};
use crate::emulator::directory;
use crate::emulator::fault::Fault;
use crate::emulator::group;
use crate::emulator::moment;
use crate::emulator::object::{Kind, Object};
use crate::emulator::plans;
use crate::emulator::store::Error;
use crate::emulator::tasks::{self, into_map};

const DOMAIN: &str = "bos.example";
/// When Planner's own interface says a task is due (planner-api.md 7.3).
const DUE_HOUR: i64 = 10;
/// How long ago plans and groups were made.
const PLAN_AGE_DAYS: i64 = 120;

/// Fills an empty database.
pub(crate) fn seed(call: &Call<'_>) -> Result<(), Error> {
    for person in board::PEOPLE {
        let upn = format!("{}@{DOMAIN}", person.name);
        directory::add_user(call.conn, person.id, &upn, person.display_name, Some(person.title))?;
    }
    for group in board::GROUPS {
        refused(group.name, found_group(call, group))?;
        for board in board::BOARDS.iter().filter(|board| board.group == group.name) {
            refused(board.title, found_plan(call, group, board))?;
        }
    }
    Ok(())
}

/// A refusal here is a mistake in the demo's own tables.
fn refused<T>(subject: &str, result: Result<T, Fault>) -> Result<T, Error> {
    result.map_err(|fault| Error::Refused { subject: subject.to_owned(), message: fault.message })
}

fn found_group(call: &Call<'_>, group: &Group) -> Result<(), Fault> {
    let call = at(call, "", days(-PLAN_AGE_DAYS));
    let nickname = group.name.to_lowercase().replace(' ', "-");
    let mail = format!("{nickname}@{DOMAIN}");
    let doc = json!({
        "id": group.id,
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
    group::insert(&call, group.id, &doc)?;
    for member in group.members {
        group::insert_member(&call, group.id, user_id(member))?;
    }
    Ok(())
}

fn found_plan(call: &Call<'_>, group: &Group, board: &Board) -> Result<(), Fault> {
    let founder =
        at(call, group.members.first().copied().unwrap_or_default(), days(-PLAN_AGE_DAYS));
    let body = json!({
        "title": board.title,
        "container": { "containerId": group.id, "type": "group" },
    });
    let plan = plans::create(&founder, "", &into_map(body))?;

    let shared: Map<String, Value> =
        group.members.iter().map(|name| (user_id(name).to_owned(), true.into())).collect();
    let labels: Map<String, Value> = (1..)
        .zip(board.labels)
        .map(|(at, label)| (format!("category{at}"), (*label).into()))
        .collect();
    let mut details = founder.open(Kind::PlanDetails, &plan.id)?;
    let body = json!({ "sharedWith": shared, "categoryDescriptions": labels });
    plans::update(&founder, &mut details, &into_map(body))?;

    let mut buckets: Vec<(&str, Object)> = Vec::new();
    for name in board.buckets {
        let last = buckets.last().and_then(|(_, bucket)| bucket.doc.get("orderHint")?.as_str());
        let hint = format!("{} !", last.unwrap_or_default());
        let body = json!({ "planId": plan.id, "name": name, "orderHint": hint });
        buckets.push((name, buckets::create(&founder, &into_map(body))?));
    }
    for (at, task) in (0..).zip(board.tasks()) {
        let bucket = buckets.iter().find(|(name, _)| *name == task.bucket);
        let bucket = bucket.map(|(_, bucket)| bucket.id.as_str());
        add_task(call, &plan.id, bucket, at, &task)?;
    }
    Ok(())
}

fn add_task(
    call: &Call<'_>,
    plan: &str,
    bucket: Option<&str>,
    at_index: i64,
    task: &Task,
) -> Result<(), Fault> {
    // A few minutes apart, so that no two tasks share a place in the order.
    let apart = SignedDuration::from_mins(7 * at_index);
    let creator = at(call, task.creator, days(-task.age) - apart);
    let assignments: Map<String, Value> = task
        .assignees
        .iter()
        .map(|name| {
            let value =
                json!({ "@odata.type": "#microsoft.graph.plannerAssignment", "orderHint": " !" });
            (user_id(name).to_owned(), value)
        })
        .collect();
    let labels: Map<String, Value> =
        task.labels.iter().map(|at| (format!("category{at}"), true.into())).collect();
    let is_done = task.done_by.is_some();
    let mut body = json!({
        "planId": plan,
        "bucketId": bucket,
        "title": task.title,
        "percentComplete": if is_done { 0 } else { task.percent },
        "priority": task.priority,
        "startDateTime": task.start.map(|day| day_at(call.now, day)),
        "dueDateTime": task.due.map(|day| day_at(call.now, day)),
        "appliedCategories": labels,
        "assignments": assignments,
    });
    if let Some(details) = details_of(task) {
        body["details"] = details;
    }
    let mut object = tasks::create(&creator, &into_map(body))?;
    if let Some(name) = task.done_by {
        let finisher = at(call, name, days(-task.age / 2) - apart);
        tasks::update(&finisher, &mut object, &into_map(json!({ "percentComplete": 100 })))?;
    }
    Ok(())
}

/// The details of a task that has any.
fn details_of(task: &Task) -> Option<Value> {
    if task.description.is_empty() && task.checklist.is_empty() && task.references.is_empty() {
        return None;
    }
    // Checklists are shown in descending order (4.6), so each item goes before the one above it.
    let mut place = " !".to_owned();
    let mut checklist = Map::new();
    for (key, (title, is_checked)) in (20_001..).zip(task.checklist) {
        checklist.insert(
            format!("{key}"),
            json!({
                "@odata.type": "#microsoft.graph.plannerChecklistItem",
                "title": title,
                "isChecked": is_checked,
                "orderHint": place,
            }),
        );
        place = format!(" {place}!");
    }
    let references: Map<String, Value> = task
        .references
        .iter()
        .map(|(key, alias, kind)| {
            let value = json!({
                "@odata.type": "#microsoft.graph.plannerExternalReference",
                "alias": alias,
                "type": kind,
                "previewPriority": " !",
            });
            ((*key).to_owned(), value)
        })
        .collect();
    let preview = if checklist.is_empty() { "automatic" } else { "checklist" };
    Some(json!({
        "description": task.description,
        "previewType": preview,
        "checklist": checklist,
        "references": references,
    }))
}

/// The call as somebody makes it, some time from now.
fn at<'a>(call: &Call<'a>, name: &str, offset: SignedDuration) -> Call<'a> {
    let now = call.now.checked_add(offset).unwrap_or(call.now);
    Call { caller: user_id(name).to_owned(), now, ..call.clone() }
}

fn days(count: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * count)
}

/// Ten o'clock of a day relative to today.
fn day_at(now: Timestamp, day: i64) -> Value {
    let midnight =
        now.to_zoned(TimeZone::UTC).start_of_day().map_or(now, |start| start.timestamp());
    let offset = days(day) + SignedDuration::from_hours(DUE_HOUR);
    Value::String(moment::format(midnight.checked_add(offset).unwrap_or(now)))
}

fn user_id(name: &str) -> &'static str {
    let find = |person: &&Person| person.name == name;
    board::PEOPLE.iter().find(find).map_or("", |person| person.id)
}
