//! The tasks that a command is about.

use clap::Args;
use serde_json::Value;

use crate::app::error::AppError;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::options::WriteArgs;
use crate::cli::resolve::resolve_task;
use crate::host::{Failure, Session};
use crate::model::TaskId;

/// Words of which the first are tasks, and the last are what is done with them. In the middle both
/// are possible: what was always read as a person or label stays one, and any other is a task.
#[derive(Debug, Clone)]
pub(crate) struct Parted {
    words: Vec<String>,
    /// The persons or labels that an option names; then all words are tasks.
    named: Vec<String>,
}

impl Parted {
    pub(crate) fn new(task: &str, rest: &[String], named: &[String]) -> Self {
        let words = std::iter::once(task.to_owned()).chain(rest.iter().cloned());
        Self { words: words.collect(), named: named.to_vec() }
    }

    /// Parts the words. `is_target` decides before a task of that name does, `may_be` after it.
    pub(crate) fn part(
        &self,
        session: &Session,
        plan: Option<&str>,
        is_target: impl Fn(&Session, &str) -> Result<bool, Failure>,
        may_be: impl Fn(&Session, &str) -> bool,
    ) -> Result<(Vec<String>, Vec<String>), Failure> {
        if !self.named.is_empty() {
            return Ok((self.words.clone(), self.named.clone()));
        }
        let mut tasks = self.words.clone();
        let mut n_tasks = tasks.len().saturating_sub(1);
        for (at, word) in tasks.iter().enumerate().take(n_tasks).skip(1) {
            if is_target(session, word)? {
                n_tasks = at;
                break;
            }
            match resolve_task(session, plan, word) {
                Ok(_) => {}
                Err(failure) if failure.code == "not_found" && may_be(session, word) => {
                    n_tasks = at;
                    break;
                }
                Err(failure) => return Err(failure),
            }
        }
        let targets = tasks.split_off(n_tasks);
        Ok((tasks, targets))
    }
}

#[derive(Debug, Clone, Args)]
pub(crate) struct TaskTarget {
    /// Plan to look for the task in: title or id
    #[arg(long, global = true)]
    plan: Option<String>,
    #[command(flatten)]
    write: WriteArgs,
}

impl TaskTarget {
    /// Runs an edit of one or more tasks, as one run. It gets the plan to look for them in.
    pub(crate) fn edit_some(
        &self,
        context: &Context<'_>,
        command: &str,
        body: impl FnOnce(&Session, Option<&str>) -> Result<(), Failure> + Clone + Send + Sync + 'static,
    ) -> Result<Exit, AppError> {
        let plan = self.plan.clone();
        context.edit(&self.write, command, move |session| {
            body(session, plan.as_deref())?;
            Ok(Value::Null)
        })
    }

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
