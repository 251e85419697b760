//! `planwright task comment` and `task comments`: the chat of a task (beta).

use std::collections::BTreeMap;

use clap::Args;
use serde_json::{Value, json};

use crate::app::error::AppError;
use crate::app::workspace::time_zone;
use crate::cli::command::task::TaskArg;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::options::{Format, WriteArgs};
use crate::cli::render::table::Column;
use crate::cli::render::text::{BOLD, DIM, paint, visible_lines};
use crate::cli::resolve::resolve_task;
use crate::cli::show;
use crate::model::{User, UserId};

#[derive(Debug, Args)]
#[command(
    after_help = "A comment is plain text, and cannot be undone.\n\nExample:\n  planwright task comment \"Order toner\" \"Ordered; it arrives on Friday\" --beta"
)]
pub(crate) struct CommentArgs {
    #[command(flatten)]
    task: TaskArg,
    /// Text of the comment
    text: String,
    #[command(flatten)]
    write: WriteArgs,
}

pub(super) fn comment(context: &Context<'_>, args: &CommentArgs) -> Result<Exit, AppError> {
    let TaskArg { task, plan } = &args.task;
    let (task, plan, text) = (task.clone(), plan.clone(), args.text.clone());
    context.edit(&args.write, "task comment", move |session| {
        let id = resolve_task(session, plan.as_deref(), &task)?;
        session.editor()?.add_comment(&id, &text)?;
        Ok(Value::Null)
    })
}

pub(super) fn comments(context: &Context<'_>, args: &TaskArg) -> Result<Exit, AppError> {
    let (task, plan) = (args.task.clone(), args.plan.clone());
    let (comments, people) = context.look(move |session| {
        let id = resolve_task(session, plan.as_deref(), &task)?;
        let comments = session.comments(&id)?;
        let mut people: BTreeMap<UserId, Option<User>> = BTreeMap::new();
        for by in comments.iter().filter_map(|comment| comment.by.as_ref()) {
            people.entry(by.clone()).or_insert_with(|| session.user_by_id(by));
        }
        Ok((comments, people))
    })?;
    let zone = time_zone(&context.app.workspace)?;
    let author = |by: Option<&UserId>| by.and_then(|by| people.get(by)).and_then(Option::as_ref);
    let values: Vec<Value> = comments
        .iter()
        .map(|comment| {
            let user = author(comment.by.as_ref());
            json!({
                "id": comment.id,
                "content": comment.text(),
                "createdDateTime": comment.at,
                "editedDateTime": comment.edited_at,
                "createdBy": {
                    "id": comment.by,
                    "displayName": user.map(|user| &user.name),
                    "upn": user.map(|user| &user.upn),
                },
            })
        })
        .collect();
    let rows: Vec<Vec<String>> = comments
        .iter()
        .map(|comment| {
            let id = comment.by.as_ref().map(ToString::to_string).unwrap_or_default();
            let name = author(comment.by.as_ref()).map_or(id, |user| user.label().to_owned());
            let at = comment.at.map(|at| show::moment(at, &zone));
            vec![at.unwrap_or_default(), name, comment.text()]
        })
        .collect();
    let ui = context.ui;
    if ui.format == Format::Human && !rows.is_empty() {
        // They are there to be read: whole, and with their lines.
        for row in &rows {
            let [at, name, content] = row.as_slice() else { continue };
            ui.answer(&format!("{} {}", paint(BOLD, name), paint(DIM, at)));
            for line in visible_lines(content.trim_end()).lines() {
                ui.answer(&format!("  {line}"));
            }
        }
        return Ok(Exit::Done);
    }
    let columns = [Column::whole("WHEN"), Column::new("WHO"), Column::title("TEXT")];
    show::list(ui, &columns, &rows, &values, "No comments.");
    Ok(Exit::Done)
}
