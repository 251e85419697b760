//! Locks between processes: one run at a time commits to a plan.
//!
//! They are locks on files, so that they end with the process that holds them, however it ends. The
//! files are never deleted: two processes could then each lock a file of the same name.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use crate::files;
use crate::journal::canonical::digest;
use crate::journal::entry::RunId;
use crate::journal::error::Error;
use crate::model::{GroupId, PlanId};

/// The locks of a state directory.
#[derive(Debug, Clone)]
pub struct PlanLocks {
    folder: PathBuf,
}

/// Something that one run at a time may write.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lockable {
    /// A plan with everything in it.
    Plan(PlanId),
    /// The plans of a group; without one, those in the rosters of the actor.
    Container(Option<GroupId>),
    /// A run, while it is undone.
    UndoOf(RunId),
    /// A saved set, by its digest, while it is applied.
    Saved(String),
    /// A proposed skill, by its id, while it is decided on.
    Proposal(String),
}

impl Lockable {
    fn name(&self) -> (&'static str, &str) {
        match self {
            Self::Plan(id) => ("plan", id.as_str()),
            Self::Container(id) => ("container", id.as_ref().map_or("", GroupId::as_str)),
            Self::UndoOf(id) => ("undo", id.as_str()),
            Self::Saved(digest) => ("saved", digest),
            Self::Proposal(id) => ("proposal", id),
        }
    }
}

/// A lock that is held until this is dropped.
#[derive(Debug)]
#[must_use = "the lock ends when this is dropped"]
pub struct Guard {
    _file: File,
}

impl PlanLocks {
    /// Opens the folder `locks` in a state directory; creates it if necessary.
    ///
    /// # Errors
    /// The folder cannot be created.
    pub fn open(state: &Path) -> Result<Self, Error> {
        let folder = state.join("locks");
        files::make_private(&folder)
            .map_err(|source| Error::Create { path: folder.clone(), source })?;
        Ok(Self { folder })
    }

    /// Locks something; `None` if another process holds the lock.
    ///
    /// # Errors
    /// The system cannot lock files here.
    pub fn try_lock(&self, what: &Lockable) -> Result<Option<Guard>, Error> {
        let (kind, id) = what.name();
        self.try_name(kind, id)
    }

    /// Locks a run, as its process does while it works on it. Whoever gets the lock of an
    /// unfinished run knows that the process that began it has ended.
    ///
    /// # Errors
    /// The system cannot lock files here.
    pub fn try_lock_run(&self, run: &RunId) -> Result<Option<Guard>, Error> {
        self.try_name("run", run.as_str())
    }

    /// Locks an entry of the inbox, as a worker does from before it takes the entry until what came
    /// of it is noted. Whoever gets the lock of an entry at work knows that its worker has ended.
    ///
    /// # Errors
    /// The system cannot lock files here.
    pub fn try_lock_entry(&self, id: &str) -> Result<Option<Guard>, Error> {
        self.try_name("inbox", id)
    }

    fn try_name(&self, kind: &str, id: &str) -> Result<Option<Guard>, Error> {
        // Ids are case-sensitive, file names are not everywhere.
        let name = digest(id).replace("sha256:", "");
        let path = self.folder.join(format!("{kind}-{name}.lock"));
        let failed = |source| Error::Lock { path: path.clone(), source };
        let file = files::open_to_write(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Guard { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(id: &str) -> Lockable {
        Lockable::Plan(PlanId::parse(id).unwrap())
    }

    #[test]
    fn a_lock_is_held_by_one_until_it_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let locks = PlanLocks::open(dir.path()).unwrap();
        let guard = locks.try_lock(&plan("abc")).unwrap();
        assert!(guard.is_some());
        assert!(locks.try_lock(&plan("abc")).unwrap().is_none());
        assert!(locks.try_lock(&plan("ABC")).unwrap().is_some());
        drop(guard);
        assert!(locks.try_lock(&plan("abc")).unwrap().is_some());
    }
}
