//! Resolution of typed text to the entity or value that it names: a plan, a task, a checklist item,
//! a date, a priority. All commands accept the same forms because they share it.

use jiff::Timestamp;
use jiff::civil::Date;

use crate::change::TaskField;
use crate::host::similar::similar;
use crate::host::{Error, Failure, Session};
use crate::model::id::{looks_like_guid, looks_like_planner_id};
use crate::model::order::Side;
use crate::model::time::{Calendar, DATE_FORMS, moment_of_day};
use crate::model::{Plan, Priority, Progress, TaskDetails, TaskId, UserId};

/// Resolves a plan: the one named, or the only one there is.
pub(crate) fn resolve_plan(session: &Session, name: Option<&str>) -> Result<Plan, Failure> {
    if let Some(name) = name {
        let id = session.find_plan(name)?;
        return session.plan(&id).map_err(|error| Failure::from(&error));
    }
    let plans: Vec<Plan> =
        session.plans().and_then(|ids| ids.iter().map(|id| session.plan(id)).collect())?;
    match plans.as_slice() {
        [plan] => Ok(plan.clone()),
        [] => Err(Failure {
            code: "not_found".into(),
            message: "there is no plan you can access".into(),
            hint: Some("create one with `planwright plan create TITLE --group GROUP`".into()),
            ..Failure::default()
        }),
        several => {
            let titles: Vec<_> = several.iter().map(|plan| format!("`{}`", plan.title)).collect();
            Err(Failure {
                code: "usage".into(),
                message: "there are several plans; which one?".into(),
                hint: Some(format!("add `--plan PLAN`; the plans are {}", titles.join(", "))),
                ..Failure::default()
            })
        }
    }
}

/// Resolves a task: in the plan named, or by id anywhere, or by title in all plans.
pub(crate) fn resolve_task(
    session: &Session,
    plan: Option<&str>,
    text: &str,
) -> Result<TaskId, Failure> {
    if let Some(plan) = plan {
        let plan = resolve_plan(session, Some(plan))?;
        return session.find_task(&plan.id, text).map_err(|error| Failure::from(&error));
    }
    // A text in the form of an id may still be a title, so a miss is no error yet.
    if looks_like_planner_id(text) {
        match session.task_by_id(text) {
            Ok(id) => return Ok(id),
            Err(Error::NotFound { .. }) => {}
            Err(error) => return Err(Failure::from(&error)),
        }
    }
    let mut found = Vec::new();
    let mut near = Vec::new();
    for plan in session.plans()? {
        match session.find_task(&plan, text) {
            Ok(id) => found.push(id),
            Err(Error::NotFound { nearest, .. }) => near.extend(nearest),
            Err(error) => return Err(Failure::from(&error)),
        }
    }
    match found.as_slice() {
        [id] => Ok(id.clone()),
        [] => Err(Failure::from(&Error::NotFound {
            what: "task",
            name: text.to_owned(),
            place: None,
            nearest: crate::host::similar::similar(text, near.iter().map(String::as_str)),
        })),
        several => Err(Failure::from(&Error::Ambiguous {
            what: "task",
            name: text.to_owned(),
            candidates: several.iter().map(ToString::to_string).collect(),
        })),
    }
}

/// Resolves a checklist item by title or id.
pub(crate) fn resolve_item(details: &TaskDetails, text: &str) -> Result<String, Failure> {
    if details.checklist.contains_key(text) {
        return Ok(text.to_owned());
    }
    let folded = text.trim().to_lowercase();
    let found: Vec<&String> = details
        .checklist
        .iter()
        .filter(|(_, item)| item.title.to_lowercase() == folded)
        .map(|(key, _)| key)
        .collect();
    match found.as_slice() {
        [key] => Ok((*key).clone()),
        [] => Err(Failure::from(Error::NotFound {
            what: "checklist item",
            name: text.to_owned(),
            place: None,
            nearest: similar(text, details.checklist.values().map(|item| item.title.as_str())),
        })),
        several => Err(Failure::from(Error::Ambiguous {
            what: "checklist item",
            name: text.to_owned(),
            candidates: several.iter().map(ToString::to_string).collect(),
        })),
    }
}

/// Parses a due or start date as a person types it; `None` for `none`.
pub(crate) fn parse_date(session: &Session, text: &str) -> Result<Option<Timestamp>, Failure> {
    if matches!(text.trim().to_lowercase().as_str(), "none" | "") {
        return Ok(None);
    }
    let day = parse_day(session, text).map_err(|mut failure| {
        failure.hint = failure.hint.map(|hint| format!("{hint}; `none` clears it"));
        failure
    })?;
    match moment_of_day(day) {
        Some(moment) => Ok(Some(moment)),
        None => Err(wrong(format!("{day} is out of range"))),
    }
}

/// Parses a day as a person types it.
pub(crate) fn parse_day(session: &Session, text: &str) -> Result<Date, Failure> {
    let calendar = Calendar::at(session.now(), session.zone());
    calendar
        .day(text)
        .map_err(|error| Failure { hint: Some(DATE_FORMS.to_owned()), ..wrong(error.to_string()) })
}

/// Returns the person of a text among those on a task, by id, or else in the directory: who has
/// left the directory can still be taken off a task.
pub(crate) fn resolve_assignee(
    session: &Session,
    task: &TaskId,
    text: &str,
) -> Result<UserId, Failure> {
    // Only an id can be that of somebody who has left, and what is not read cannot conflict.
    if looks_like_guid(text.trim()) {
        let there = session.task_field(task, TaskField::ASSIGNEES)?;
        let is_meant = |id: &&UserId| id.as_str().eq_ignore_ascii_case(text.trim());
        if let Some(id) = there.iter().find(is_meant) {
            return Ok(id.clone());
        }
    }
    let plan = session.task_field(task, TaskField::PLAN)?;
    Ok(session.find_user_for(&plan, text)?.id)
}

pub(crate) fn parse_priority(text: &str) -> Result<Priority, Failure> {
    Priority::read(text).ok_or_else(|| Failure {
        hint: Some(format!("a priority is one of {}, or 0 to 10", Priority::NAMES.join(", "))),
        ..wrong(format!("`{text}` is not a priority"))
    })
}

pub(crate) fn parse_progress(text: &str) -> Result<u8, Failure> {
    Progress::read_percent(text).ok_or_else(|| Failure {
        hint: Some(format!("progress is one of {}, or 0 to 100", Progress::NAMES.join(", "))),
        ..wrong(format!("`{text}` is not a progress value"))
    })
}

/// Returns the neighbour that something is moved next to, and the side.
pub(crate) fn parse_neighbour(
    before: Option<&String>,
    after: Option<&String>,
) -> Option<(String, Side)> {
    let before = before.map(|name| (name.clone(), Side::Before));
    before.or_else(|| after.map(|name| (name.clone(), Side::After)))
}

fn wrong(message: String) -> Failure {
    Failure { code: "invalid".into(), message, ..Failure::default() }
}
