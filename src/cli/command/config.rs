//! `planwright config`: what holds for the user, whatever the workspace.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::app::error::AppError;
use crate::app::settings::Settings;
use crate::app::trust;
use crate::cli::exit::Exit;
use crate::cli::render::text::visible;
use crate::cli::ui::Ui;

/// See and set what holds for you in every workspace
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Use a workspace that belongs to somebody else, or that others can write
    Trust(TrustArgs),
}

/// Use a workspace that belongs to somebody else, or that others can write
#[derive(Debug, Args)]
#[command(
    after_help = "What is in a workspace decides what agents may do, and which scripts run under a name. So one that\nsomebody else can write is not used unless you trust them. Without a folder the trusted ones are listed.\n\nExample:\n  planwright config trust /srv/planwright"
)]
pub(crate) struct TrustArgs {
    /// Folder with the planwright.toml
    dir: Option<PathBuf>,
    /// Trust it no longer
    #[arg(long, requires = "dir")]
    forget: bool,
}

/// Runs without a workspace: the one that it is about may not be used yet.
pub(crate) fn run(settings: &Settings, ui: &Ui, command: &ConfigCommand) -> Result<Exit, AppError> {
    let ConfigCommand::Trust(args) = command;
    if let Some(dir) = &args.dir {
        let name = trust::set(settings, dir, !args.forget)?;
        let done = if args.forget { "Not trusted any more" } else { "Trusted" };
        ui.note(&format!("{done}: {name}."));
    }
    let all = trust::trusted(settings)?;
    if ui.json() {
        ui.json_value(&json!({ "trusted": all }));
    } else if args.dir.is_none() {
        for name in &all {
            ui.answer(&visible(name));
        }
    }
    Ok(Exit::Done)
}
