//! The state folder, which is kept between runs and belongs to its owner alone: with its contents,
//! others could forge runs.

use std::path::{Path, PathBuf};

use crate::app::error::AppError;
use crate::files::{self, Exposure};

/// Returns the state folder: the one named, or the user's own.
///
/// # Errors
/// There is none, or others can write to it.
pub(crate) fn choose(named: Option<&Path>) -> Result<PathBuf, AppError> {
    let dir = match named {
        Some(dir) => dir.to_owned(),
        None => directories::ProjectDirs::from("", "", "planwright")
            .map(|dirs| dirs.data_local_dir().to_owned())
            .ok_or_else(|| {
                AppError::new("io", "there is no home directory to keep state in")
                    .hint("name a folder with `--state-dir DIR`")
            })?,
    };
    check_private(&dir)?;
    Ok(dir)
}

/// Refuses a folder that others can write to: they could replace the journal, the key of saved sets
/// and the board.
fn check_private(dir: &Path) -> Result<(), AppError> {
    let refused =
        |what: &str| AppError::new("io", format!("the state folder `{}` {what}", dir.display()));
    match files::exposure(dir) {
        None => Ok(()),
        Some(Exposure::Foreign) => Err(refused("belongs to somebody else")
            .hint("name a folder of your own with `--state-dir DIR`")),
        Some(Exposure::Writable) => Err(refused("can be written by others")
            .hint(format!("if everything in it is yours: chmod go-w '{}'", dir.display()))),
    }
}

/// Creates a folder that only its owner can open.
///
/// # Errors
/// It cannot be created, or others can write to it.
pub(crate) fn make_private(dir: &Path) -> Result<(), AppError> {
    files::make_private(dir).map_err(|error| {
        AppError::new("io", format!("cannot create the folder `{}`", dir.display()))
            .caused_by(&error)
            .hint("name another with `--state-dir DIR`")
    })?;
    check_private(dir)
}
