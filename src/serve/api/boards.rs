//! A board: a plan, its buckets in order, and their tasks: what is due first, and last what is done.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::app::error::AppError;
use crate::app::shown::entity;
use crate::app::shown::tasks::Names;
use crate::host::{Failure, Session};
use crate::model::{BucketId, Task};
use crate::serve::call::{Call, Reply};
use crate::serve::desk::Work;

/// The most tasks of a board that are shown.
const MAX_TASKS: usize = 2_000;

/// Returns the plans within reach: id and title.
///
/// # Errors
/// The service cannot be read.
pub(crate) fn plans(work: &Work) -> Result<Vec<(String, String)>, AppError> {
    // Kept like a board, under a name that no plan has.
    if let Some(kept) = work.desk.fresh_board("") {
        return Ok(serde_json::from_value(kept).unwrap_or_default());
    }
    let read = |session: &Session| -> Result<Vec<(String, String)>, Failure> {
        let mut plans = Vec::new();
        for id in session.plans()? {
            let plan = session.plan(&id)?;
            plans.push((plan.id.to_string(), plan.title));
        }
        Ok(plans)
    };
    let mut plans = work.look(read)?;
    plans.sort_by_key(|(_, title)| title.to_lowercase());
    work.desk.keep_board("", &json!(plans));
    Ok(plans)
}

/// Reads a board.
///
/// # Errors
/// There is no such plan, or the service cannot be read.
pub(crate) fn board(work: &Work, plan: &str) -> Result<Value, AppError> {
    if plan.is_empty() {
        return Err(AppError::new("not_found", "there is no plan of that name"));
    }
    if let Some(board) = work.desk.fresh_board(plan) {
        return Ok(board);
    }
    let name = plan.to_owned();
    let board = work.look(move |session| read(session, &name))?;
    work.desk.keep_board(plan, &board);
    work.desk.learn(names_in(&board).into_iter());
    Ok(board)
}

fn read(session: &Session, name: &str) -> Result<Value, Failure> {
    let plan = session.plan(&session.find_plan(name)?)?;
    let mut names = Names::new(session, true);
    let ids = session.tasks(&plan.id)?;
    let left_out = ids.len().saturating_sub(MAX_TASKS);
    let mut by_bucket: BTreeMap<Option<BucketId>, Vec<Task>> = BTreeMap::new();
    // One list has them all; the order on Planner's own board would cost a request for every twenty.
    for id in ids.iter().take(MAX_TASKS) {
        let task = session.task(id)?;
        by_bucket.entry(task.bucket.clone()).or_default().push(task);
    }
    let mut buckets = Vec::new();
    for id in session.buckets(&plan.id)? {
        let bucket = session.bucket(&id)?;
        let mut tasks = by_bucket.remove(&Some(id)).unwrap_or_default();
        tasks.sort_by_cached_key(|task| {
            let is_done = task.percent_complete >= 100;
            (is_done, task.due.is_none(), task.due, task.title.to_lowercase())
        });
        let mut shown = entity::bucket(&bucket);
        let row = |task| {
            let row = names.row(task, plan.clone());
            let mut shown = row.value(None);
            shown["isOverdue"] = json!(row.overdue);
            shown["progress"] = json!(row.task.progress().name());
            shown
        };
        shown["tasks"] = tasks.into_iter().map(row).collect();
        buckets.push(shown);
    }
    let mut shown = entity::plan(&plan);
    shown["buckets"] = Value::Array(buckets);
    shown["left_out"] = json!(left_out);
    Ok(shown)
}

/// Returns the names on a board, by id.
fn names_in(board: &Value) -> Vec<(String, String)> {
    let named = |value: &Value, name: &str| {
        let (id, name) = (value["id"].as_str()?, value[name].as_str()?);
        Some((id.to_owned(), name.to_owned()))
    };
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut names: Vec<(String, String)> = named(board, "title").into_iter().collect();
    for bucket in list(&board["buckets"]) {
        names.extend(named(&bucket, "name"));
        for task in list(&bucket["tasks"]) {
            names.extend(
                list(&task["assignees"]).iter().filter_map(|who| named(who, "displayName")),
            );
        }
    }
    names
}

/// Answers `GET boards/{plan}`.
pub(crate) fn show(work: &Work, call: &Call) -> Result<Reply, AppError> {
    Ok(Reply::Data(board(work, call.part("plan"))?))
}
