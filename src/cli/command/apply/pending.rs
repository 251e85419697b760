//! `planwright pending`, `approve` and `reject`: what waits for a person, and their word on it.

use clap::{Args, Subcommand};

use crate::app::error::AppError;
use crate::cli::approvals;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::options::LongArgs;

/// List what waits for approval
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  planwright pending\n  planwright pending show 0199f3c2\n  planwright approve 0199f3c2"
)]
pub(crate) struct PendingArgs {
    #[command(subcommand)]
    command: Option<PendingCommand>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PendingCommand {
    /// List what waits for approval
    List(ListArgs),
    /// Show all changes of one set, and why it is held
    Show {
        /// Id of the set, or the end of it
        id: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Also list what was decided
    #[arg(long)]
    all: bool,
}

/// Approve a set that is held, and apply it
///
/// It is compared with the board and judged again. If what would be applied is no longer what was
/// held, you are asked again; without a terminal it goes on waiting.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  planwright approve 0199f3c2\n  planwright approve 0199f3c2 --note \"As agreed on Monday\""
)]
pub(crate) struct ApproveArgs {
    /// Id of the set, or the end of it
    id: String,
    /// Reason, for the record
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Approve exactly the set with this digest
    #[arg(long, value_name = "DIGEST")]
    digest: Option<String>,
    #[command(flatten)]
    pub(crate) long: LongArgs,
}

/// Reject a set that is held
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  planwright reject 0199f3c2 --reason \"Ask Ana first: it is her task\""
)]
pub(crate) struct RejectArgs {
    /// Id of the set, or the end of it
    id: String,
    /// Reason, which the one who drafted it can read
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

pub(crate) fn pending(context: &Context<'_>, args: &PendingArgs) -> Result<Exit, AppError> {
    match &args.command {
        None => approvals::list(context, args.list.all),
        Some(PendingCommand::List(args)) => approvals::list(context, args.all),
        Some(PendingCommand::Show { id }) => approvals::show_one(context, id),
    }
}

pub(crate) fn approve(context: &Context<'_>, args: &ApproveArgs) -> Result<Exit, AppError> {
    approvals::approve(context, &args.id, args.note.as_deref(), args.digest.as_deref())
}

pub(crate) fn reject(context: &Context<'_>, args: &RejectArgs) -> Result<Exit, AppError> {
    approvals::reject(context, &args.id, &args.reason)
}
