//! `planwright task assign`: people put on tasks or taken off them.

use clap::Args;

use crate::app::error::AppError;
use crate::cli::command::task::target::{Parted, TaskTarget};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::resolve::{resolve_assignee, resolve_task};
use crate::host::{Failure, Session};
use crate::model::id::looks_like_guid;
use crate::model::snapshot::folded;

const HELP: &str = "\
Between the first task and the last person, a word that names a person is one, and any other is a task.

Examples:
  planwright task assign \"Order toner\" me
  planwright task assign \"Order toner\" \"Check the fire extinguishers\" ana
  planwright task assign \"Order toner\" \"Check the fire extinguishers\" --to ana --to me
  planwright task assign \"Order toner\" ana@bos.example --remove";

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct AssignArgs {
    /// Task title or id
    task: String,
    /// More tasks, then people: name or part of it, address, id or `me`
    #[arg(value_name = "TASK|PERSON", required_unless_present = "to")]
    rest: Vec<String>,
    /// Person to assign; then all other arguments are tasks; may be repeated
    #[arg(long, value_name = "PERSON")]
    to: Vec<String>,
    /// Remove them from the tasks instead
    #[arg(long)]
    remove: bool,
    #[command(flatten)]
    common: TaskTarget,
}

pub(crate) fn assign(context: &Context<'_>, args: &AssignArgs) -> Result<Exit, AppError> {
    let words = Parted::new(&args.task, &args.rest, &args.to);
    let remove = args.remove;
    args.common.edit_some(context, "task assign", move |session, plan| {
        let (tasks, people) = words
            .part(session, plan, is_person, |session, word| session.find_user(word).is_ok())?;
        for task in &tasks {
            let id = resolve_task(session, plan, task)?;
            for person in &people {
                let user = if remove {
                    resolve_assignee(session, &id, person)?
                } else {
                    let plan = session.task_field(&id, crate::change::TaskField::PLAN)?;
                    session.find_user_for(&plan, person)?.id
                };
                session.editor()?.edit_task(&id, |task| {
                    if remove {
                        task.assignments.remove(&user);
                    } else {
                        task.assignments.entry(user).or_default();
                    }
                })?;
            }
        }
        Ok(())
    })
}

/// Returns whether a word names a person in full.
fn is_person(session: &Session, word: &str) -> Result<bool, Failure> {
    let word = word.trim();
    if word.eq_ignore_ascii_case("me") || looks_like_guid(word) {
        return Ok(true);
    }
    if word.contains('@') {
        return Ok(session.find_user(word).is_ok());
    }
    Ok(session.colleagues()?.iter().any(|user| folded(&user.name) == folded(word)))
}
