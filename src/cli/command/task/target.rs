//! The task that a command is about.

use clap::Args;
use serde_json::Value;

use crate::app::error::AppError;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::options::WriteArgs;
use crate::cli::resolve::resolve_task;
use crate::host::{Failure, Session};
use crate::model::TaskId;

#[derive(Debug, Clone, Args)]
pub(crate) struct TaskTarget {
    /// Plan to look for the task in: title or id
    #[arg(long, global = true)]
    plan: Option<String>,
    #[command(flatten)]
    write: WriteArgs,
}

impl TaskTarget {
    /// Resolves a task and runs an edit of it.
    pub(crate) fn edit(
        &self,
        context: &Context<'_>,
        command: &str,
        task: &str,
        body: impl FnOnce(&Session, &TaskId) -> Result<(), Failure> + Clone + Send + Sync + 'static,
    ) -> Result<Exit, AppError> {
        let (task, plan) = (task.to_owned(), self.plan.clone());
        context.edit(&self.write, command, move |session| {
            let id = resolve_task(session, plan.as_deref(), &task)?;
            body(session, &id)?;
            Ok(Value::Null)
        })
    }
}
