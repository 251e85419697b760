//! `planwright undo`: a run taken back, as a run of its own.

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
    /// Run id, the beginning of one, or `last`
    run: String,
    #[command(flatten)]
    write: WriteArgs,
    #[command(flatten)]
    pub(crate) long: LongArgs,
}

pub(crate) fn undo(context: &Context<'_>, args: &UndoArgs) -> Result<Exit, AppError> {
    let write = &args.write;
    let start = Start {
        purpose: Purpose::Undo,
        skill: "undo".into(),
        skill_digest: None,
        params: Value::Null,
        agent: context.agent()?,
        force: write.force,
        dry_run: write.dry_run || write.out.is_some(),
    };
    let id = args.run.clone();
    let finished =
        context.with_host(context.agent_name(), async |host| host.undo(&id, start).await)??;
    context.show_or_save(&finished, write)
}
