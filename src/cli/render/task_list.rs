//! Tasks as a list, with names instead of ids wherever they can be read.

use jiff::tz::TimeZone;
use serde_json::Value;

use crate::cli::render::entity;
use crate::cli::render::table::Column;
use crate::host::Session;
use crate::model::time::day_of_date;
use crate::model::{Plan, Task};

/// A task with the names of what it belongs to.
#[derive(Debug)]
pub(crate) struct Row {
    task: Task,
    plan: Plan,
    bucket: String,
    assignees: Vec<String>,
    overdue: bool,
}

/// Returns whether a task is open and past its due date.
pub(crate) fn is_overdue(session: &Session, task: &Task) -> bool {
    let zone = session.zone();
    let is_past = |due| day_of_date(due, &zone) < session.today();
    task.percent_complete < 100 && task.due.is_some_and(is_past)
}

/// Returns a task with the names of what it belongs to; ids if they cannot be read.
pub(crate) fn row(session: &Session, task: Task, plan: Plan) -> Row {
    let bucket = task.bucket.as_ref().and_then(|id| session.bucket(id).ok());
    let person =
        |id| session.user_by_id(id).map_or_else(|| id.to_string(), |user| user.label().to_owned());
    let assignees = task.assignments.keys().map(person).collect();
    let overdue = is_overdue(session, &task);
    Row {
        plan,
        bucket: bucket.map(|bucket| bucket.name).unwrap_or_default(),
        assignees,
        overdue,
        task,
    }
}

/// The columns of a list, its cells row by row, and each row as JSON.
pub(crate) type TaskTable = (Vec<Column>, Vec<Vec<String>>, Vec<Value>);

/// Returns the list of tasks, for programs (`plain`) or for people.
pub(crate) fn table(rows: &[Row], zone: &TimeZone, plain: bool) -> TaskTable {
    let several = plain || rows.windows(2).any(|pair| pair[0].plan.id != pair[1].plan.id);
    let mut columns = vec![
        Column::new("TITLE"),
        Column::new("BUCKET"),
        Column::new("PROGRESS"),
        Column::new("DUE"),
        Column::new("ASSIGNED TO"),
        Column::new("ID"),
    ];
    if several {
        columns.insert(0, Column::new("PLAN"));
    }
    let cells: Vec<_> = rows
        .iter()
        .map(|row| {
            let due =
                row.task.due.map(|due| day_of_date(due, zone).to_string()).unwrap_or_default();
            let mut cells = vec![
                row.task.title.clone(),
                row.bucket.clone(),
                row.task.progress().name().replace('_', " "),
                if row.overdue && !plain { format!("{due} !") } else { due },
                row.assignees.join(", "),
                row.task.id.to_string(),
            ];
            if several {
                cells.insert(0, row.plan.title.clone());
            }
            cells
        })
        .collect();
    let values: Vec<_> = rows.iter().map(|row| entity::task(&row.task, None)).collect();
    (columns, cells, values)
}
