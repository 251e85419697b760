//! Locks between processes: one run at a time commits to a plan.
//!
//! They are locks on files, so that they end with the process that holds them, however it ends.
//! The files stay: to delete one that another is about to lock would give the lock to both.

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::journal::canonical::digest;
use crate::journal::store::{private_file, private_folder};
use crate::journal::{Error, RunId};
use crate::model::{GroupId, PlanId};

/// How long to wait before a lock is tried again, at first and at most.
const NAPS: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(50));

/// The locks of a state directory.
#[derive(Debug, Clone)]
pub struct PlanLocks {
    folder: PathBuf,
}

/// Something that one run at a time may write.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lockable {
    /// A plan with all that is in it.
    Plan(PlanId),
    /// The plans of a group; those in rosters of the actor's without one.
    Container(Option<GroupId>),
    /// A run, while it is taken back.
    UndoOf(RunId),
}

impl Lockable {
    fn name(&self) -> (&'static str, &str) {
        match self {
            Self::Plan(id) => ("plan", id.as_str()),
            Self::Container(id) => ("container", id.as_ref().map_or("", GroupId::as_str)),
            Self::UndoOf(id) => ("undo", id.as_str()),
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
    /// Opens the folder `locks` in a state directory; makes it if need be.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn open(state: &Path) -> Result<Self, Error> {
        let folder = state.join("locks");
        private_folder(&folder).map_err(|source| Error::Create { path: folder.clone(), source })?;
        Ok(Self { folder })
    }

    /// Locks something if nobody else has.
    ///
    /// # Errors
    /// The system cannot lock files here.
    pub fn try_lock(&self, what: &Lockable) -> Result<Option<Guard>, Error> {
        let (kind, id) = what.name();
        self.try_name(kind, id)
    }

    /// Locks something; waits for whoever has. `wait` is asked before each wait whether to go on;
    /// once it says no, the answer is `None`. Blocks the thread.
    ///
    /// # Errors
    /// The system cannot lock files here.
    pub fn lock(
        &self,
        what: &Lockable,
        wait: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Guard>, Error> {
        let mut nap = NAPS.0;
        loop {
            if let Some(guard) = self.try_lock(what)? {
                return Ok(Some(guard));
            }
            if !wait() {
                return Ok(None);
            }
            std::thread::sleep(nap);
            nap = (nap * 2).min(NAPS.1);
        }
    }

    /// Locks several things, in an order which all share: two that want the same never wait for
    /// each other.
    ///
    /// # Errors
    /// As of [`lock`](Self::lock). What was locked by then is free again.
    pub fn lock_all(
        &self,
        all: &BTreeSet<Lockable>,
        wait: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Vec<Guard>>, Error> {
        all.iter().map(|it| self.lock(it, wait)).collect()
    }

    /// Locks a run: its process does so while it works on it. Who gets the lock of an unfinished
    /// run knows that the process that began it is gone.
    ///
    /// # Errors
    /// The system cannot lock files here.
    pub fn try_lock_run(&self, run: &RunId) -> Result<Option<Guard>, Error> {
        self.try_name("run", run.as_str())
    }

    fn try_name(&self, kind: &str, id: &str) -> Result<Option<Guard>, Error> {
        // Ids differ by case, file names do not everywhere.
        let name = digest(id).replace("sha256:", "");
        let path = self.folder.join(format!("{kind}-{name}.lock"));
        let failed = |source| Error::Lock { path: path.clone(), source };
        let file = private_file(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Guard { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

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
        let mut asked = 0;
        let mut twice = || {
            asked += 1;
            asked < 3
        };
        assert!(locks.lock(&plan("abc"), &mut twice).unwrap().is_none());
        assert_eq!(asked, 3);
        drop(guard);
        assert!(locks.lock(&plan("abc"), &mut || false).unwrap().is_some());
    }

    #[test]
    fn several_who_want_several_never_wait_for_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let locks = PlanLocks::open(dir.path()).unwrap();
        let (inside, rounds) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..25 {
                        let plans = ["b", "a", "c"].map(plan).into();
                        let guards = locks.lock_all(&plans, &mut || true).unwrap();
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        rounds.fetch_add(1, Ordering::SeqCst);
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(guards);
                    }
                });
            }
        });
        assert_eq!(rounds.into_inner(), 100);
    }
}
