//! The mark that a saved set was applied: what it creates must not be created twice.

use std::path::PathBuf;

use crate::app::error::AppError;
use crate::app::settings::Settings;
use crate::app::state_dir;
use crate::change::Saved;

/// The mark of one set, made before it is applied.
pub(crate) struct Once(Option<PathBuf>);

impl Once {
    /// Marks a set as applied; a dry run marks nothing. `shown` is its name in messages.
    ///
    /// # Errors
    /// It was applied already, or the state folder cannot be written.
    pub(crate) fn take(
        settings: &Settings,
        saved: &Saved,
        shown: &str,
        dry_run: bool,
    ) -> Result<Self, AppError> {
        if dry_run {
            return Ok(Self(None));
        }
        let folder = settings.state_dir()?.join("applied");
        state_dir::make_private(&folder)?;
        let path = folder.join(saved.digest.replace(':', "-"));
        match crate::files::create(&path, b"") {
            Ok(true) => Ok(Self(Some(path))),
            Ok(false) => {
                let message = format!("`{shown}` was already applied");
                Err(AppError::new("saved", message)
                    .hint("run the skill again: it starts from what is there now"))
            }
            Err(error) => {
                let message = format!("cannot write `{}`", path.display());
                Err(AppError::new("io", message).caused_by(&error))
            }
        }
    }

    /// Removes the mark again if nothing was written.
    pub(crate) fn keep_if(self, written: bool) {
        if let Some(path) = self.0
            && !written
        {
            // If the mark cannot be removed, the set counts as applied, which is the safe side.
            let _left_there = std::fs::remove_file(path);
        }
    }
}
