//! What a line came to, for a person or a program: the same cards and lists as the commands show.

use serde_json::{Value, json};

use crate::cli::options::Format;
use crate::cli::render::table::Column;
use crate::cli::render::text::{DIM, count, paint, visible_lines};
use crate::cli::render::{card, entity, task_list};
use crate::cli::repl::host::Desk;
use crate::cli::ui::Ui;
use crate::host::{Failure, Session};
use crate::model::{Bucket, BucketId, Plan, PlanId, TaskId, UserId};
use crate::script::console::Shown;

/// The most lines of a value that a person is shown.
const MAX_LINES: usize = 40;
/// The most characters of a text.
const MAX_TEXT: usize = 4000;
/// The most rows of a list.
const MAX_ROWS: usize = 200;

/// Shows the result of a line.
pub(crate) fn show(ui: &Ui, desk: &Desk, shown: Shown) -> Result<(), Failure> {
    match shown {
        Shown::Nothing => {}
        Shown::Task(id) => {
            crate::cli::show::card(ui, &desk.peek(move |session| card::task(session, &id))?);
        }
        Shown::Bucket(id) => {
            crate::cli::show::card(ui, &desk.peek(move |session| card::bucket(session, &id))?);
        }
        Shown::Plan(id) => {
            crate::cli::show::card(
                ui,
                &desk.peek(move |session| card::plan(session, id.as_str()))?,
            );
        }
        Shown::User(id) => {
            crate::cli::show::card(ui, &desk.peek(move |session| Ok(card::user(session, &id)))?);
        }
        Shown::Tasks(ids) => tasks(ui, desk, ids)?,
        Shown::Buckets(ids) => buckets(ui, desk, ids)?,
        Shown::Plans(ids) => plans(ui, desk, ids)?,
        Shown::Users(ids) => users(ui, desk, ids)?,
        Shown::Text(text) if ui.json() => ui.json_value(&text),
        Shown::Text(text) => ui.script_text(&shortened(ui, text.trim_end())),
        Shown::Data(data) => value(ui, &data),
        Shown::Other(what) => ui.note(&paint(DIM, &format!("({what})"))),
    }
    Ok(())
}

/// Shows data.
pub(crate) fn value(ui: &Ui, value: &Value) {
    match value {
        _ if ui.json() => ui.json_value(value),
        Value::Null => {}
        Value::String(text) => ui.script_text(&shortened(ui, text.trim_end())),
        other => {
            let text = serde_json::to_string_pretty(other).unwrap_or_default();
            // No text of a board breaks a line of JSON.
            ui.answer(&visible_lines(&shortened(ui, &text)));
        }
    }
}

/// Leaves off the lines that nobody would read, and says so.
fn shortened(ui: &Ui, text: &str) -> String {
    let lines: Vec<&str> = text.split('\n').collect();
    match lines.get(..MAX_LINES) {
        _ if !is_cut(ui) => text.to_owned(),
        Some(first) if lines.len() > MAX_LINES => {
            let more = count(lines.len() - MAX_LINES, "more line");
            format!("{}\n… {more}; after `:json` all is shown", first.join("\n"))
        }
        _ if text.chars().count() > MAX_TEXT => {
            let first: String = text.chars().take(MAX_TEXT).collect();
            format!("{first}… (after `:json` all is shown)")
        }
        _ => text.to_owned(),
    }
}

/// Tells whether what is long is cut: for a person, not for a file.
fn is_cut(ui: &Ui) -> bool {
    ui.format == Format::Human && Ui::is_terminal()
}

/// Leaves off what nobody would read.
fn first<T>(ui: &Ui, mut items: Vec<T>) -> Vec<T> {
    let n = items.len();
    if is_cut(ui) && n > MAX_ROWS {
        items.truncate(MAX_ROWS);
        let text = format!("{MAX_ROWS} of {n}; after `:json` all are shown");
        ui.note(&paint(DIM, &text));
    }
    items
}

fn tasks(ui: &Ui, desk: &Desk, ids: Vec<TaskId>) -> Result<(), Failure> {
    let ids = first(ui, ids);
    let (rows, zone) = desk.peek(move |session| {
        let mut rows = Vec::new();
        for id in &ids {
            let task = session.task(id)?;
            let plan = session.plan(&task.plan)?;
            session.buckets(&plan.id)?;
            rows.push(task_list::row(session, task, plan));
        }
        Ok((rows, session.zone()))
    })?;
    crate::cli::show::tasks(ui, &rows, &zone);
    Ok(())
}

fn buckets(ui: &Ui, desk: &Desk, ids: Vec<BucketId>) -> Result<(), Failure> {
    let found: Vec<Bucket> = each(ui, desk, ids, |session, id| Ok(session.bucket(id)?))?;
    let rows: Vec<_> = found.iter().map(|it| vec![it.name.clone(), it.id.to_string()]).collect();
    let values: Vec<_> = found.iter().map(entity::bucket).collect();
    crate::cli::show::list(ui, &["NAME", "ID"].map(Column::new), &rows, &values, "No buckets.");
    Ok(())
}

fn plans(ui: &Ui, desk: &Desk, ids: Vec<PlanId>) -> Result<(), Failure> {
    let found: Vec<Plan> = each(ui, desk, ids, |session, id| Ok(session.plan(id)?))?;
    let rows: Vec<_> = found.iter().map(|it| vec![it.title.clone(), it.id.to_string()]).collect();
    let values: Vec<_> = found.iter().map(entity::plan).collect();
    crate::cli::show::list(ui, &["TITLE", "ID"].map(Column::new), &rows, &values, "No plans.");
    Ok(())
}

fn users(ui: &Ui, desk: &Desk, ids: Vec<UserId>) -> Result<(), Failure> {
    let found: Vec<Vec<String>> = each(ui, desk, ids, |session, id| {
        let user = session.user_by_id(id);
        let name = user.as_ref().map_or_else(|| id.to_string(), |it| it.name.clone());
        Ok(vec![name, user.map(|it| it.upn).unwrap_or_default(), id.to_string()])
    })?;
    let value =
        |it: &Vec<String>| json!({ "id": it[2], "displayName": it[0], "userPrincipalName": it[1] });
    let values: Vec<_> = found.iter().map(value).collect();
    crate::cli::show::list(
        ui,
        &["NAME", "SIGN-IN NAME", "ID"].map(Column::new),
        &found,
        &values,
        "Nobody.",
    );
    Ok(())
}

fn each<K: Send + 'static, T: Send + 'static>(
    ui: &Ui,
    desk: &Desk,
    ids: Vec<K>,
    read: impl Fn(&Session, &K) -> Result<T, Failure> + Send + 'static,
) -> Result<Vec<T>, Failure> {
    let ids = first(ui, ids);
    desk.peek(move |session| ids.iter().map(|id| read(session, id)).collect())
}
