//! `planwright task label`: labels put on tasks or taken off them.

use clap::Args;

use crate::app::error::AppError;
use crate::change::TaskField;
use crate::cli::command::task::target::{Parted, TaskTarget};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::resolve::resolve_task;
use crate::host::{Failure, Session};

const HELP: &str = "\
Between the first task and the last label, a word that names a label of the first task's plan is one, \
and any other is a task.

Examples:
  planwright task label \"Order toner\" Finance IT
  planwright task label \"Order toner\" \"Check the fire extinguishers\" IT
  planwright task label \"Order toner\" \"Check the fire extinguishers\" --label Finance --label IT
  planwright task label \"Order toner\" IT --remove";

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct LabelArgs {
    /// Task title or id
    task: String,
    /// More tasks, then labels of the plan
    #[arg(value_name = "TASK|LABEL", required_unless_present = "label")]
    rest: Vec<String>,
    /// Label to put on them; then all other arguments are tasks; may be repeated
    #[arg(long)]
    label: Vec<String>,
    /// Remove them from the tasks instead
    #[arg(long)]
    remove: bool,
    #[command(flatten)]
    common: TaskTarget,
}

pub(crate) fn label(context: &Context<'_>, args: &LabelArgs) -> Result<Exit, AppError> {
    let words = Parted::new(&args.task, &args.rest, &args.label);
    let (first, remove) = (args.task.clone(), args.remove);
    args.common.edit_some(context, "task label", move |session, plan| {
        let first = resolve_task(session, plan, &first)?;
        let of_first = session.task_field(&first, TaskField::PLAN)?;
        let is_label = |session: &Session, word: &str| -> Result<bool, Failure> {
            Ok(session.find_label(&of_first, word).is_ok())
        };
        let (tasks, labels) = words.part(session, plan, is_label, |_, _| false)?;
        for task in &tasks {
            let id = resolve_task(session, plan, task)?;
            let plan = session.task_field(&id, TaskField::PLAN)?;
            for label in &labels {
                let label = session.find_label(&plan, label)?;
                session.editor()?.edit_task(&id, |task| {
                    if remove {
                        task.categories.remove(&label);
                    } else {
                        task.categories.insert(label);
                    }
                })?;
            }
        }
        Ok(())
    })
}
