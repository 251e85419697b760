//! `planwright task assign`: people put on a task or taken off it.

use clap::Args;

use crate::app::error::AppError;
use crate::cli::command::task::target::TaskTarget;
use crate::cli::context::Context;
use crate::cli::exit::Exit;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  planwright task assign \"Order toner\" me\n  planwright task assign \"Order toner\" ana@bos.example --remove"
)]
pub(crate) struct AssignArgs {
    /// Task title or id
    task: String,
    /// People: name, address, id or `me`
    #[arg(required = true)]
    users: Vec<String>,
    /// Remove them from the task instead
    #[arg(long)]
    remove: bool,
    #[command(flatten)]
    common: TaskTarget,
}

pub(crate) fn assign(context: &Context<'_>, args: &AssignArgs) -> Result<Exit, AppError> {
    let (users, remove) = (args.users.clone(), args.remove);
    args.common.edit(context, "task assign", &args.task, move |session, id| {
        for user in &users {
            let user = session.find_user(user)?.id;
            session.editor()?.edit_task(id, |task| {
                if remove {
                    task.assignments.remove(&user);
                } else {
                    task.assignments.entry(user).or_default();
                }
            })?;
        }
        Ok(())
    })
}
