//! `planwright task reference`: the links on a task.

use clap::{Args, Subcommand};

use crate::app::error::AppError;
use crate::cli::command::task::target::TaskTarget;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::host::{Error, Failure};
use crate::model::{Reference, link};

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  planwright task reference \"Order toner\" add \"https://x.example/Shared Documents/Plan.docx\" --alias Plan"
)]
pub(crate) struct ReferenceArgs {
    /// Task title or id
    task: String,
    #[command(subcommand)]
    action: ReferenceAction,
    #[command(flatten)]
    common: TaskTarget,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum ReferenceAction {
    /// Attach a link
    Add {
        /// Address of the link, http:// or https://
        url: String,
        /// Text to show for the link
        #[arg(long)]
        alias: Option<String>,
    },
    /// Remove a link
    Remove {
        /// Address of the link
        url: String,
    },
}

pub(crate) fn reference(context: &Context<'_>, args: &ReferenceArgs) -> Result<Exit, AppError> {
    let action = args.action.clone();
    let key = match &args.action {
        ReferenceAction::Add { url, alias } => link::encode_new(url, alias.as_deref()),
        ReferenceAction::Remove { url } => link::encode(url),
    };
    let key = key.map_err(|error| AppError::new("invalid", error.to_string()))?;
    args.common.edit(context, "task reference", &args.task, move |session, id| {
        let there = session.details(id)?;
        let url = link::decode(&key);
        // A key on the board may encode the same address in another way, and have blanks or not.
        let written = link::without_blanks(&url);
        let is_same = |key: &&String| {
            let other = link::decode(key);
            other == url || other == written
        };
        let key = there.references.keys().find(is_same).cloned().unwrap_or(key);
        if matches!(action, ReferenceAction::Remove { .. }) && !there.references.contains_key(&key)
        {
            return Err(Failure::from(Error::NotFound {
                what: "reference",
                name: url,
                place: None,
                nearest: there.references.keys().map(|key| link::decode(key)).collect(),
            }));
        }
        session.editor()?.edit_details(id, |details| match action {
            ReferenceAction::Add { alias, .. } => {
                let empty = Reference { alias: None, kind: None };
                let reference = details.references.entry(key).or_insert(empty);
                reference.alias = alias.or_else(|| reference.alias.take()).or(Some(url));
            }
            ReferenceAction::Remove { .. } => {
                details.references.remove(&key);
            }
        })?;
        Ok(())
    })
}
