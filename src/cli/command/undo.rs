//! `planwright undo` and `redo`: a run taken back, and an undo taken back, each as a run of its own.

use clap::Args;
use serde_json::Value;

use crate::app::error::AppError;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::options::{LongArgs, WriteArgs};
use crate::host::Start;
use crate::journal::Purpose;

/// Undo what a run wrote
#[derive(Debug, Args)]
#[command(
    after_help = "What someone else has changed since is kept and reported. A restored task gets a new id.\nRemoving what a run created needs `--force`.\n\nExamples:\n  planwright undo last --dry-run\n  planwright undo 0199f3c2"
)]
pub(crate) struct UndoArgs {
    /// Run id, the end of one, or `last`: the last run of yours that wrote and still stands
    run: String,
    #[command(flatten)]
    write: WriteArgs,
    #[command(flatten)]
    pub(crate) long: LongArgs,
}

/// Redo what an undo took back
#[derive(Debug, Args)]
#[command(
    after_help = "Without a run it takes the last undo back, as long as nothing else was written since.\n\nExamples:\n  planwright redo\n  planwright redo 0199f3c2 --dry-run"
)]
pub(crate) struct RedoArgs {
    /// Run id of an undo, or the end of one
    run: Option<String>,
    #[command(flatten)]
    write: WriteArgs,
    #[command(flatten)]
    pub(crate) long: LongArgs,
}

pub(crate) fn undo(context: &Context<'_>, args: &UndoArgs) -> Result<Exit, AppError> {
    let start = start(context, "undo", &args.write)?;
    let id = args.run.clone();
    let finished =
        context.with_host(context.agent_name(), async |host| host.undo(&id, start).await)??;
    context.show_or_save(&finished, &args.write)
}

pub(crate) fn redo(context: &Context<'_>, args: &RedoArgs) -> Result<Exit, AppError> {
    let start = start(context, "redo", &args.write)?;
    let id = args.run.clone();
    let finished = context
        .with_host(context.agent_name(), async |host| host.redo(id.as_deref(), start).await)??;
    context.show_or_save(&finished, &args.write)
}

fn start(context: &Context<'_>, name: &str, write: &WriteArgs) -> Result<Start, AppError> {
    Ok(Start {
        purpose: Purpose::Undo,
        skill: name.to_owned(),
        skill_digest: None,
        params: Value::Null,
        agent: context.agent()?,
        force: write.force,
        dry_run: write.dry_run || write.out.is_some(),
    })
}
