//! `planwright pull`, `planwright diff` and `planwright run --from`: the board as a file, which
//! people can edit and keep in version control.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::app::error::{AppError, did_you_mean};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::files::{self, Access};
use crate::cli::options::{LongArgs, WriteArgs};
use crate::cli::render::text::{count, json_safe};
use crate::cli::resolve::resolve_plan;
use crate::host::failure::Place;
use crate::host::{Failure, Session};
use crate::model::BoardFile;

/// Write a plan to a file for editing
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  planwright pull \"BOS Operations\" > board.yaml\n  planwright pull \"BOS Operations\" --to board.yaml\n\nThen edit it: `planwright diff board.yaml` shows what would change, and\n`planwright run --from board.yaml` makes the changes. See docs/guides/board-file.md."
)]
pub(crate) struct PullArgs {
    /// Plan title or id
    plan: String,
    /// File to write instead of standard output
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

/// Show what a board file would change
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  planwright diff board.yaml\n  planwright diff board.yaml --prune --force\n\nThis is `planwright run --from FILE --dry-run`: rules and policies judge it, and nothing is written."
)]
pub(crate) struct DiffArgs {
    /// Board file, written by `pull` or by hand; `-` for standard input
    file: PathBuf,
    /// Also delete what the file does not list
    #[arg(long)]
    prune: bool,
    /// Allow deletions
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    pub(crate) long: LongArgs,
}

pub(crate) fn pull(context: &Context<'_>, args: &PullArgs) -> Result<Exit, AppError> {
    let name = args.plan.clone();
    let file = context.look(move |session| {
        let plan = resolve_plan(session, Some(&name))?;
        Ok(session.board_file(&plan.id)?)
    })?;
    let text = if context.ui.json() {
        json_safe(&serde_json::to_string_pretty(&file.to_json()).unwrap_or_default()) + "\n"
    } else {
        file.to_yaml()
    };
    match &args.to {
        None => context.ui.document(&text),
        Some(path) => {
            files::write(path, &text, Access::OwnerUnlessShared)?;
            let tasks = count(file.all_tasks().count(), "task");
            context.ui.note(&format!("Wrote {tasks} to {}.", path.display()));
        }
    }
    Ok(Exit::Done)
}

pub(crate) fn diff(context: &Context<'_>, args: &DiffArgs) -> Result<Exit, AppError> {
    let force = args.force;
    let write = WriteArgs { dry_run: true, force, out: None };
    run_from(context, &args.file, args.prune, &write, "diff")
}

/// Runs a board file as a program, under the name of a command.
pub(crate) fn run_from(
    context: &Context<'_>,
    path: &Path,
    prune: bool,
    write: &WriteArgs,
    command: &str,
) -> Result<Exit, AppError> {
    let text = files::read_or_stdin(path)?;
    let name = match path.file_name() {
        Some(name) if name != "-" => name.to_string_lossy().into_owned(),
        _ => "stdin".to_owned(),
    };
    let file = Arc::new(parse(&text, &name)?);
    let digest = format!("sha256:{:x}", Sha256::digest(&text));
    let params = json!({ "file": name, "digest": digest, "prune": prune });
    let program = move |session: &Session| {
        session.want_board(&file, prune)?;
        Ok(serde_json::Value::Null)
    };
    context.write(write, (command.to_owned(), None), params, Arc::new(program))
}

fn parse(text: &str, name: &str) -> Result<BoardFile, Failure> {
    BoardFile::parse(text).map_err(|error| Failure {
        code: "invalid".into(),
        hint: error.hint.or_else(|| did_you_mean(&error.message)),
        message: format!("`{name}`: {}", error.message),
        at: error.at.map(|(line, column)| Place {
            file: name.to_owned(),
            line,
            column,
            source: text.lines().nth(line - 1).unwrap_or_default().to_owned(),
        }),
        ..Failure::default()
    })
}
