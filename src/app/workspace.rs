//! The workspace that a process works with, once its owner is known to be trusted.

pub(crate) mod trust;

use std::path::PathBuf;

use jiff::tz::TimeZone;

use crate::app::error::AppError;
use crate::app::settings::Settings;
use crate::script::reload::bundle::Problem;
use crate::script::reload::{Options, Watcher};
use crate::script::{Bundle, Workspace};

/// Reads the workspace: the one named, the nearest at or above the working directory, or the
/// one inside the program.
///
/// # Errors
/// It cannot be read, or somebody who is not trusted can write it.
pub(crate) fn load(settings: &Settings) -> Result<Workspace, AppError> {
    Ok(match root(settings) {
        Some(root) => {
            trust::check(settings, &root)?;
            Workspace::load(&root)?
        }
        None => Workspace::shipped(),
    })
}

/// Returns the folder of the workspace: the one named, or the nearest at or above the working
/// directory.
pub(crate) fn root(settings: &Settings) -> Option<PathBuf> {
    match &settings.workspace {
        Some(root) => Some(root.clone()),
        None => std::env::current_dir().ok().and_then(|dir| Workspace::find(&dir)),
    }
}

/// Watches a workspace, so that what is saved in it is in force; the one inside the program stays.
///
/// # Errors
/// Its files cannot be read.
pub(crate) fn watched(workspace: &Workspace) -> Result<Watcher, AppError> {
    Ok(match &workspace.root {
        Some(root) => Watcher::start(root, Options::default())?,
        None => Watcher::still(Bundle::new(workspace.clone())),
    })
}

/// Logs what is broken in a workspace, now and after each edit: nobody sits at a face that serves.
pub(crate) fn log_problems(watcher: &Watcher) {
    let log = |problems: &[Problem]| {
        for problem in problems {
            tracing::error!("the last good version stays in force: {problem}");
        }
    };
    log(&watcher.current().problems);
    watcher.subscribe(move |reloaded| log(&reloaded.problems));
}

/// Returns what stands for a workspace in records: its folder, by whichever way it was reached; empty for
/// the one inside the program.
pub(crate) fn place(workspace: &Workspace) -> String {
    let Some(root) = &workspace.root else { return String::new() };
    let whole = root.canonicalize().or_else(|_| std::path::absolute(root));
    whole.unwrap_or_else(|_| root.clone()).display().to_string()
}

/// Checks the zone that a workspace names, if it does. The system's own is there, and takes a while to
/// look up: all zones that the system knows are listed for it.
///
/// # Errors
/// The workspace names none that exists.
pub(crate) fn check_time_zone(workspace: &Workspace) -> Result<(), AppError> {
    let is_named = workspace.config.time_zone.is_some();
    if is_named { time_zone(workspace).map(|_| ()) } else { Ok(()) }
}

/// Returns the zone that decides what today is.
///
/// # Errors
/// The workspace names none that exists.
pub(crate) fn time_zone(workspace: &Workspace) -> Result<TimeZone, AppError> {
    match &workspace.config.time_zone {
        None => Ok(TimeZone::system()),
        Some(name) => TimeZone::get(name).map_err(|error| {
            AppError::new("config", format!("`{name}` is not a time zone"))
                .caused_by(&error)
                .hint("time_zone in planwright.toml is a name like \"Pacific/Auckland\"")
        }),
    }
}
