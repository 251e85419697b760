//! `planwright config`: the settings of a user, out of reach of any workspace.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::app::error::AppError;
use crate::app::settings::Settings;
use crate::app::trust;
use crate::cli::exit::Exit;
use crate::cli::render::text::visible;
use crate::cli::ui::Ui;

/// Show and change your settings for all workspaces
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Trust a workspace that belongs to somebody else, or that others can write to
    Trust(TrustArgs),
}

/// Trust a workspace that belongs to somebody else, or that others can write to
#[derive(Debug, Args)]
#[command(
    after_help = "A workspace decides what agents may do, and which scripts run under a name. So one that somebody\nelse can write to is not used unless you trust it. Without DIR, the trusted ones are listed.\n\nExample:\n  planwright config trust /srv/planwright"
)]
pub(crate) struct TrustArgs {
    /// Folder with the planwright.toml
    dir: Option<PathBuf>,
    /// Stop trusting it
    #[arg(long, requires = "dir")]
    forget: bool,
}

/// Runs the command without a workspace: the one that it is about may not be used yet.
pub(crate) fn run(settings: &Settings, ui: &Ui, command: &ConfigCommand) -> Result<Exit, AppError> {
    let ConfigCommand::Trust(args) = command;
    if let Some(dir) = &args.dir {
        let name = trust::set(settings, dir, !args.forget)?;
        let done = if args.forget { "No longer trusted" } else { "Trusted" };
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
