//! The journal as a source of answers for a session.

use std::sync::{Arc, OnceLock};

use crate::host::error::Error;
use crate::host::failure::Failure;
use crate::host::record::StateFolder;
use crate::journal::Journal;

/// The journal, as far as it is about one service.
#[derive(Debug, Clone)]
pub(crate) struct History {
    pub(crate) state_folder: StateFolder,
    pub(crate) service: String,
    /// The run that reads it.
    pub(crate) run: String,
    /// The journal, once there is one to open: kept, since a policy may ask about each change.
    pub(crate) opened: Arc<OnceLock<Journal>>,
}

impl History {
    pub(crate) fn journal(&self) -> Result<Option<&Journal>, Error> {
        if self.opened.get().is_none()
            && let Some(journal) = self.state_folder.open_to_read().map_err(unreadable)?
        {
            // Another thread may have been first: it is the same file.
            let _same = self.opened.set(journal);
        }
        Ok(self.opened.get())
    }
}

pub(crate) fn unreadable(failure: Failure) -> Error {
    Error::Journal(failure.message)
}
