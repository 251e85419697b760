//! The mark that a saved set was applied: what it creates must not be created twice.

use std::path::PathBuf;

use crate::app::App;
use crate::app::error::AppError;
use crate::app::pending::failed;
use crate::app::state_dir;
use crate::change::Saved;
use crate::journal::{Guard, Lockable, RunId};

/// The mark of one set, made before it is applied, and the lock under which that is done.
pub(crate) struct AppliedMark {
    mark: Option<PathBuf>,
    _alone: Option<Guard>,
}

impl AppliedMark {
    /// Marks a set as applied; a dry run marks nothing. `shown` is its name in messages.
    ///
    /// # Errors
    /// It was applied already, another process applies it, or the state folder cannot be written.
    pub(crate) fn take(
        app: &App,
        saved: &Saved,
        shown: &str,
        dry_run: bool,
    ) -> Result<Self, AppError> {
        if dry_run {
            return Ok(Self { mark: None, _alone: None });
        }
        let Self { _alone: alone, .. } = Self::alone(app, saved, shown)?;
        let folder = app.settings.state_dir()?.join("applied");
        state_dir::make_private(&folder)?;
        let path = folder.join(saved.digest.replace(':', "-"));
        match crate::files::create(&path, b"") {
            Ok(true) => {}
            Ok(false) => app.check_not_taken_up(saved, shown)?,
            Err(error) => {
                let message = format!("cannot write `{}`", path.display());
                return Err(AppError::new("io", message).caused_by(&error));
            }
        }
        Ok(Self { mark: Some(path), _alone: alone })
    }

    /// Locks a set without a mark: the run that it carries on has one.
    ///
    /// # Errors
    /// Another process applies it, or the state folder cannot be written.
    pub(crate) fn alone(app: &App, saved: &Saved, shown: &str) -> Result<Self, AppError> {
        let locks = app.state_folder()?.locks()?;
        let locked = locks.try_lock(&Lockable::Saved(saved.digest.clone()));
        let Some(alone) = locked.map_err(|error| failed(&error))? else {
            let message = format!("another process is applying `{shown}`");
            return Err(AppError::new("at_work", message));
        };
        Ok(Self { mark: None, _alone: Some(alone) })
    }

    /// Removes the mark again if nothing was written. The lock goes on: until this is dropped nobody
    /// else begins.
    pub(crate) fn keep_if(&self, written: bool) {
        if let Some(path) = &self.mark
            && !written
        {
            // If the mark cannot be removed, the set counts as applied, which is the safe side.
            let _left_there = std::fs::remove_file(path);
        }
    }
}

impl App {
    /// Fails if a set that is marked as applied was. A process that was killed between the mark and its
    /// first write has left the mark, and nothing else.
    fn check_not_taken_up(&self, saved: &Saved, shown: &str) -> Result<(), AppError> {
        let message = format!("`{shown}` was already applied");
        let applied = AppError::new("saved", message)
            .hint("run the skill again: it starts from what is there now");
        let Some(journal) = self.state_folder()?.open_to_read()? else { return Err(applied) };
        let by = journal.taken_up_by(&saved.digest).map_err(|error| failed(&error))?;
        if let Some(by) = by {
            let run = journal.run(by.as_str()).map_err(|error| failed(&error))?;
            if run.finish.as_ref().is_none_or(|finish| finish.report["unfinished"] == true) {
                return Err(applied.hint(format!("`planwright resume {by}` carries it on")));
            }
            return Err(applied);
        }
        // Only the journal in which it was drafted knows what became of it.
        let drafted = RunId::parse(&saved.run_id).ok();
        match drafted.map(|run| journal.has_run(&run)) {
            Some(Ok(true)) => Ok(()),
            _ => Err(applied),
        }
    }
}
