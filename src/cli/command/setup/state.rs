//! `planwright state`: a backup of what is kept between runs, its restoration, and what is pruned of it.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::app::error::AppError;
use crate::app::{upkeep, workspace};
use crate::cli::context::for_people;
use crate::cli::exit::Exit;
use crate::cli::options::Global;
use crate::cli::render::text::count;
use crate::cli::ui::Ui;
use crate::host::SystemClock;
use crate::model::Clock as _;
use crate::script::workspace::config::MIN_KEEP_DAYS;

/// Back up, restore and prune the state folder
#[derive(Debug, Subcommand)]
pub(crate) enum StateCommand {
    /// Write a backup of the state folder, also while it is in use
    #[command(
        after_help = "One file that only you can read: the journal with the audit log, what waits, tokens of `serve` as\ndigests, the key of saved sets, the demo board. Sign-ins are not in it.\n\nExample:\n  planwright state backup planwright-2026-12-01.zip"
    )]
    Backup {
        /// File to write
        file: PathBuf,
    },
    /// Put a backup in the place of what is in the state folder
    #[command(
        after_help = "The backup is proved whole first. What was in the folder is moved aside, into `before-restore-…`.\n\nExamples:\n  planwright state restore planwright-2026-12-01.zip --state-dir /srv/planwright\n  planwright state restore planwright-2026-12-01.zip --replace"
    )]
    Restore(RestoreArgs),
    /// Delete what old runs have left
    #[command(
        after_help = "What is unfinished or waits stays, and so do the last runs of each actor, the keys of what was submitted,\nand the audit log. `[state] keep_runs_days` in planwright.toml has `serve` do it once a day.\n\nExamples:\n  planwright state prune --older-than 90d --dry-run\n  planwright state prune"
    )]
    Prune(PruneArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// Backup to restore
    file: PathBuf,
    /// Move aside what is in the state folder
    #[arg(long)]
    replace: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    /// Age from which on runs are deleted, in days; what planwright.toml says if absent
    #[arg(long, value_name = "DAYS", value_parser = days)]
    older_than: Option<u32>,
    /// Show what would be deleted
    #[arg(long)]
    dry_run: bool,
}

/// Reads a number of days, as `90d` or `90`.
fn days(text: &str) -> Result<u32, String> {
    let number = text.strip_suffix('d').unwrap_or(text).parse::<u32>();
    let number = number.map_err(|_| "it is a number of days, such as 90d".to_owned())?;
    if number < MIN_KEEP_DAYS {
        return Err(format!("the runs of the last {MIN_KEEP_DAYS} days are always kept"));
    }
    Ok(number)
}

pub(crate) fn run(global: &Global, ui: &Ui, command: &StateCommand) -> Result<Exit, AppError> {
    for_people(global.agent.as_deref(), "state")?;
    let (settings, now) = (global.settings(), SystemClock.now());
    match command {
        StateCommand::Backup { file } => {
            let made = upkeep::backup(&settings, file, now)?;
            let (files, bytes, records) = (made.files, made.bytes, made.records);
            if ui.json() {
                let file = file.display().to_string();
                let made = json!({
                    "file": file, "files": files, "bytes": bytes, "records": records,
                });
                ui.json_value(&made);
            } else {
                let records = usize::try_from(records).unwrap_or(usize::MAX);
                ui.note(&format!(
                    "Backed up {} with {} of the audit log. Keep it as you keep the state folder.",
                    count(files, "file"),
                    count(records, "record"),
                ));
            }
        }
        StateCommand::Restore(RestoreArgs { file, replace }) => {
            let done = upkeep::restore(&settings, file, *replace, now)?;
            let before = done.before.as_ref().map(|before| before.display().to_string());
            if ui.json() {
                ui.json_value(&json!({
                    "made_at": done.made_at, "files": done.files, "before": before,
                }));
            } else {
                let files = count(done.files, "file");
                let made_at = done.made_at.strftime("%Y-%m-%d %H:%M:%S UTC");
                ui.note(&format!("Restored {files} of the backup of {made_at}."));
                if let Some(before) = before {
                    ui.note(&format!("What was there before is in {before}"));
                }
            }
        }
        StateCommand::Prune(args) => {
            let of_file = || -> Result<u32, AppError> {
                let config = workspace::load(&settings)?.config;
                config.state.keep_runs_days.ok_or_else(|| {
                    AppError::usage("nothing says how old runs must be")
                        .hint("add `--older-than 90d`, or `[state] keep_runs_days = 90` in planwright.toml")
                })
            };
            let days = args.older_than.map_or_else(of_file, Ok)?;
            let pruned = upkeep::prune(&settings, days, args.dry_run, now)?;
            if ui.json() {
                ui.json_value(&json!({
                    "older_than_days": days, "dry_run": args.dry_run,
                    "runs": pruned.runs, "entries": pruned.entries,
                }));
            } else {
                let done = if args.dry_run { "Would delete" } else { "Deleted" };
                let (runs, entries) = (count(pruned.runs, "run"), pruned.entries);
                let word = if entries == 1 { "entry" } else { "entries" };
                ui.note(&format!("{done} {runs} and {entries} {word} of the inbox."));
            }
        }
    }
    Ok(Exit::Done)
}
