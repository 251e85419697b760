//! `planwright task checklist`: the items of a checklist.

use clap::{Args, Subcommand};

use crate::app::error::AppError;
use crate::cli::command::task::target::TaskTarget;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::resolve::resolve_item;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  planwright task checklist \"Order toner\" add \"Ask for a quote\"\n  planwright task checklist \"Order toner\" check \"Ask for a quote\""
)]
pub(crate) struct ChecklistArgs {
    /// Task title or id
    task: String,
    #[command(subcommand)]
    action: ChecklistAction,
    #[command(flatten)]
    common: TaskTarget,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum ChecklistAction {
    /// Add an item
    Add {
        /// Text of the item
        title: String,
    },
    /// Tick an item
    Check {
        /// Title or id of the item
        item: String,
    },
    /// Untick an item
    Uncheck {
        /// Title or id of the item
        item: String,
    },
    /// Remove an item
    Remove {
        /// Title or id of the item
        item: String,
    },
}

pub(crate) fn checklist(context: &Context<'_>, args: &ChecklistArgs) -> Result<Exit, AppError> {
    let action = args.action.clone();
    args.common.edit(context, "task checklist", &args.task, move |session, id| {
        let details = session.details(id)?;
        let key = match &action {
            ChecklistAction::Add { .. } => session.new_item_key(),
            ChecklistAction::Check { item }
            | ChecklistAction::Uncheck { item }
            | ChecklistAction::Remove { item } => resolve_item(&details, item)?,
        };
        session.editor()?.edit_details(id, |details| match action {
            ChecklistAction::Add { title } => details.add_item(key, title),
            ChecklistAction::Check { .. } => {
                details.checklist.entry(key).and_modify(|item| item.checked = true);
            }
            ChecklistAction::Uncheck { .. } => {
                details.checklist.entry(key).and_modify(|item| item.checked = false);
            }
            ChecklistAction::Remove { .. } => {
                details.checklist.remove(&key);
            }
        })?;
        Ok(())
    })
}
