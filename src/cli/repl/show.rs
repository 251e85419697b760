//! The result of a line, for a person or a program: the same cards and lists as those of the
//! commands, so that both look alike.

use serde_json::{Value, json};

use crate::cli::options::Format;
use crate::cli::render::table::Column;
use crate::cli::render::text::{DIM, count, paint, visible_lines};
use crate::cli::render::{card, entity, task_list};
use crate::cli::repl::host::ReplHost;
use crate::cli::ui::Ui;
use crate::host::{Failure, Session};
use crate::model::{Bucket, BucketId, Plan, PlanId, TaskId, UserId};
use crate::script::line_order::Shown;

/// Most lines of a value that are shown to a person.
const MAX_LINES: usize = 40;
/// Most characters of a text.
const MAX_TEXT: usize = 4000;
/// Most rows of a list.
const MAX_ROWS: usize = 200;

/// Shows the result of a line.
pub(crate) fn show(ui: &Ui, desk: &ReplHost, shown: Shown) -> Result<(), Failure> {
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
            // JSON escapes line ends, so no text of the board can fake a line of it.
            ui.answer(&visible_lines(&shortened(ui, &text)));
        }
    }
}

/// Cuts a text that is too long for a person to read, with a note of what is missing.
fn shortened(ui: &Ui, text: &str) -> String {
    let lines: Vec<&str> = text.split('\n').collect();
    match lines.get(..MAX_LINES) {
        _ if !is_cut(ui) => text.to_owned(),
        Some(first) if lines.len() > MAX_LINES => {
            let more = count(lines.len() - MAX_LINES, "more line");
            format!("{}\n… {more}; `:json` shows everything", first.join("\n"))
        }
        _ if text.chars().count() > MAX_TEXT => {
            let first: String = text.chars().take(MAX_TEXT).collect();
            format!("{first}… (`:json` shows everything)")
        }
        _ => text.to_owned(),
    }
}

/// Returns whether long output is cut: for a person, not for a file.
fn is_cut(ui: &Ui) -> bool {
    ui.format == Format::Human && Ui::is_terminal()
}

/// Cuts a list that is too long for a person to read, with a note of it.
fn first<T>(ui: &Ui, mut items: Vec<T>) -> Vec<T> {
    let n = items.len();
    if is_cut(ui) && n > MAX_ROWS {
        items.truncate(MAX_ROWS);
        let text = format!("{MAX_ROWS} of {n} shown; `:json` shows all");
        ui.note(&paint(DIM, &text));
    }
    items
}

fn tasks(ui: &Ui, desk: &ReplHost, ids: Vec<TaskId>) -> Result<(), Failure> {
    let ids = first(ui, ids);
    let labels_too = ui.json();
    let (rows, zone) = desk.peek(move |session| {
        let mut rows = Vec::new();
        let mut names = task_list::Names::new(session, labels_too);
        for id in &ids {
            let task = session.task(id)?;
            let plan = session.plan(&task.plan)?;
            // Lists the buckets at once, or each name would be a read of its own.
            session.buckets(&plan.id)?;
            rows.push(names.row(task, plan));
        }
        Ok((rows, session.zone()))
    })?;
    crate::cli::show::tasks(ui, &rows, &zone, None);
    Ok(())
}

fn buckets(ui: &Ui, desk: &ReplHost, ids: Vec<BucketId>) -> Result<(), Failure> {
    let found: Vec<Bucket> = each(ui, desk, ids, |session, id| Ok(session.bucket(id)?))?;
    let rows: Vec<_> =
        found.iter().map(|bucket| vec![bucket.name.clone(), bucket.id.to_string()]).collect();
    let values: Vec<_> = found.iter().map(entity::bucket).collect();
    crate::cli::show::list(
        ui,
        &[Column::title("NAME"), Column::optional("ID")],
        &rows,
        &values,
        "No buckets.",
    );
    Ok(())
}

fn plans(ui: &Ui, desk: &ReplHost, ids: Vec<PlanId>) -> Result<(), Failure> {
    let found: Vec<Plan> = each(ui, desk, ids, |session, id| Ok(session.plan(id)?))?;
    let rows: Vec<_> =
        found.iter().map(|plan| vec![plan.title.clone(), plan.id.to_string()]).collect();
    let values: Vec<_> = found.iter().map(entity::plan).collect();
    crate::cli::show::list(
        ui,
        &[Column::title("TITLE"), Column::optional("ID")],
        &rows,
        &values,
        "No plans.",
    );
    Ok(())
}

fn users(ui: &Ui, desk: &ReplHost, ids: Vec<UserId>) -> Result<(), Failure> {
    let found: Vec<Vec<String>> = each(ui, desk, ids, |session, id| {
        let user = session.user_by_id(id);
        let name = user.as_ref().map_or_else(|| id.to_string(), |user| user.name.clone());
        Ok(vec![name, user.map(|user| user.upn).unwrap_or_default(), id.to_string()])
    })?;
    let value = |row: &Vec<String>| json!({ "id": row[2], "displayName": row[0], "userPrincipalName": row[1] });
    let values: Vec<_> = found.iter().map(value).collect();
    crate::cli::show::list(
        ui,
        &[Column::title("NAME"), Column::title("SIGN-IN NAME"), Column::optional("ID")],
        &found,
        &values,
        "No users.",
    );
    Ok(())
}

fn each<K: Send + 'static, T: Send + 'static>(
    ui: &Ui,
    desk: &ReplHost,
    ids: Vec<K>,
    read: impl Fn(&Session, &K) -> Result<T, Failure> + Send + 'static,
) -> Result<Vec<T>, Failure> {
    let ids = first(ui, ids);
    desk.peek(move |session| ids.iter().map(|id| read(session, id)).collect())
}
