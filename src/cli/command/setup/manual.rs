//! `planwright man`: the manual pages, from the same description as the help.

use std::path::PathBuf;

use clap::Args;
use clap_mangen::Man;
use serde_json::json;

use crate::app::error::AppError;
use crate::cli::exit::Exit;
use crate::cli::files::{self, Access};
use crate::cli::ui::Ui;

/// Print the manual page
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  planwright man | man -l -              read it\n  planwright man --out ~/.local/share/man/man1\n\nWith --out, each command has a page of its own: man planwright-run."
)]
pub(crate) struct ManArgs {
    /// Write a page for each command into a folder, instead of printing that of the program
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(crate) fn run(command: clap::Command, ui: &Ui, args: &ManArgs) -> Result<Exit, AppError> {
    // Its pages would only repeat the others.
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let Some(folder) = &args.out else {
        let (_, page) = page(command)?;
        if ui.json() {
            ui.json_value(&json!({ "page": page }));
        } else {
            ui.document(&page);
        }
        return Ok(Exit::Done);
    };
    files::make_folder(folder)?;
    let mut commands = Vec::new();
    collect(&command, &mut commands);
    let mut written = Vec::new();
    for command in commands {
        let (name, page) = page(command)?;
        files::write(&folder.join(&name), &page, Access::Usual)?;
        written.push(name);
    }
    if ui.json() {
        ui.json_value(&json!({ "folder": folder.display().to_string(), "files": written }));
    } else {
        written.iter().for_each(|name| ui.answer(name));
    }
    Ok(Exit::Done)
}

/// Collects a command and those below it, but for the hidden ones.
fn collect(command: &clap::Command, commands: &mut Vec<clap::Command>) {
    commands.push(command.clone());
    for below in command.get_subcommands().filter(|command| !command.is_hide_set()) {
        collect(below, commands);
    }
}

/// Renders the page of a command; returns its file name and its text.
fn page(command: clap::Command) -> Result<(String, String), AppError> {
    let man = Man::new(command);
    let mut text = Vec::new();
    man.render(&mut text)?;
    Ok((man.get_filename(), String::from_utf8_lossy(&text).into_owned()))
}
