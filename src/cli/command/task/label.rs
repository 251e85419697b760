//! `planwright task label`: labels put on a task or taken off it.

use clap::Args;

use crate::app::error::AppError;
use crate::cli::command::task::target::TaskTarget;
use crate::cli::context::Context;
use crate::cli::exit::Exit;

#[derive(Debug, Args)]
pub(crate) struct LabelArgs {
    /// Task title or id
    task: String,
    /// Labels of the plan
    #[arg(required = true)]
    labels: Vec<String>,
    /// Remove them from the task instead
    #[arg(long)]
    remove: bool,
    #[command(flatten)]
    common: TaskTarget,
}

pub(crate) fn label(context: &Context<'_>, args: &LabelArgs) -> Result<Exit, AppError> {
    let (labels, remove) = (args.labels.clone(), args.remove);
    args.common.edit(context, "task label", &args.task, move |session, id| {
        let plan = session.task_field(id, crate::change::TaskField::PLAN)?;
        for label in &labels {
            let label = session.find_label(&plan, label)?;
            session.editor()?.edit_task(id, |task| {
                if remove {
                    task.categories.remove(&label);
                } else {
                    task.categories.insert(label);
                }
            })?;
        }
        Ok(())
    })
}
