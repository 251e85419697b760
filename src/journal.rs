//! The journal: the changes, requests and outcomes of all runs, kept so that a killed run can be
//! resumed and the history can be proved.
//!
//! It is one SQLite file, with an anchor beside it. Nothing in it is ever changed: a run, a judged
//! set, an attempt to write, its outcome and the end of a run are rows that are added, each
//! together with its record in the audit log, in one transaction. When a function that writes
//! returns, all of it is on the disk; when it fails, none of it is.
//!
//! Everything here blocks the thread. Moments come from the caller, so that tests can set them.

// The vocabulary.
pub mod entry;
pub mod error;

// The file.
mod row;
mod store;

// The audit log: its form, its chain, its mark outside.
pub mod anchor;
mod audit;
mod canonical;
pub mod export;
pub mod verify;

// In and out.
pub mod read;
mod write;

// What waits: sets, what was submitted or proposed, and agents.
pub mod inbox;
pub mod kept;
pub mod paused;
pub mod proposal;

// Between processes.
pub mod lock;
pub mod shared;

// Beside it.

pub mod named_plans;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Transaction;

pub use crate::journal::anchor::Anchor;
pub use crate::journal::entry::{
    Intent, Judgement, NewRun, Note, NoteKind, Outcome, Pruned, Purpose, RunId, RunStatus, Settled,
    StepId, short_id,
};
pub use crate::journal::error::Error;
pub use crate::journal::lock::{Guard, Lockable, PlanLocks};
pub use crate::journal::named_plans::{Named, NamedPlans, NamesFile};
pub use crate::journal::read::{Attempt, Finish, Round, Run, RunSummary, Standing, Trail};
pub use crate::journal::shared::{Claim, Fence, Shared, SharedWrite, Written};
pub use crate::journal::store::snapshot::{Alone, copy as copy_database};
pub use crate::journal::verify::{ExportCheck, Problem, Verification, verify_export};

use crate::journal::anchor::{AnchorFile, Reading};
use crate::journal::error::Fault;
use crate::journal::row::Core;
use crate::journal::store::Store;

/// The journal of a state directory. Several threads and processes may have it open.
#[derive(Debug)]
pub struct Journal {
    store: Store,
    anchor: AnchorFile,
    /// True if the log was found without an anchor to vouch for its end.
    anchor_lost: AtomicBool,
}

impl Journal {
    /// Opens the journal for writing; creates it, and its folder, if there is none.
    ///
    /// # Errors
    /// It cannot be written, is not a journal, is damaged, comes from a newer version, or the end
    /// of its audit log is missing.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let anchor = AnchorFile::beside(path);
        // The anchor exists from the beginning: otherwise nobody could notice its removal.
        let begin = || {
            if anchor.read() != Reading::Missing {
                return Ok(());
            }
            let failed = |source| Error::Create { path: anchor.path().to_owned(), source };
            anchor.advance(&Anchor::start()).map_err(failed)
        };
        let store = Store::open(path, &begin)?;
        let journal = Self { store, anchor, anchor_lost: AtomicBool::new(false) };
        journal.check_anchor()?;
        Ok(journal)
    }

    /// Opens a journal for reading only, even where nothing can be written.
    ///
    /// # Errors
    /// There is none, it is not a journal, or it comes from another version.
    pub fn open_to_read(path: &Path) -> Result<Self, Error> {
        let store = Store::open_to_read(path)?;
        let anchor = AnchorFile::beside(path);
        Ok(Self { store, anchor, anchor_lost: AtomicBool::new(false) })
    }

    /// Compares the end of the log with the anchor; advances the anchor if it is behind.
    fn check_anchor(&self) -> Result<(), Error> {
        // The anchor is read before the log: a writer adds to the log first, so in the other order
        // a record written in between would look cut off.
        let reading = self.anchor.read();
        let altered = |what: String| {
            let (path, anchor) = (self.store.path().to_owned(), self.anchor.path().to_owned());
            Err(Error::Altered { path, anchor, what })
        };
        let anchor = match reading {
            Reading::At(anchor) => anchor,
            Reading::Unreadable => return altered("its anchor cannot be read".into()),
            Reading::Missing => {
                let last = self.store.read(audit::last)?;
                self.anchor_lost.store(last.seq > 0, Ordering::SeqCst);
                return Ok(());
            }
        };
        let (last, there) =
            self.store.read(|on| Ok((audit::last(on)?, audit::place_of(on, anchor.seq)?)))?;
        if anchor.seq > last.seq {
            return altered(format!("it ends at record {}, but once had {}", last.seq, anchor.seq));
        }
        if anchor.seq > 0 && there.as_ref() != Some(&anchor) {
            return altered(format!("record {} is not the one that was written", anchor.seq));
        }
        if anchor.seq < last.seq {
            self.move_anchor(&last);
        }
        Ok(())
    }

    /// Advances the anchor. If that fails, only a warning is logged: the records are safe, and the
    /// anchor advances with the next ones, or when the journal is opened.
    fn move_anchor(&self, to: &Anchor) {
        if let Err(error) = self.anchor.advance(to) {
            tracing::warn!(%error, "the anchor of the audit log stays behind");
        }
    }

    /// Runs `job`, which adds records, all of them or none.
    fn add<T>(&self, job: impl FnOnce(&mut Adding<'_>) -> Result<T, Fault>) -> Result<T, Error> {
        let anchor_lost = self.anchor_lost.load(Ordering::SeqCst);
        let (result, last) = self.store.write(|on| {
            let mut adding = Adding { on, last: audit::last(on)?, anchor_lost };
            let result = job(&mut adding)?;
            Ok((result, adding.last))
        })?;
        if anchor_lost && last.seq > 0 {
            self.anchor_lost.store(false, Ordering::SeqCst);
        }
        // Only after the commit: an anchor ahead of the log would look like a log that was cut off.
        self.move_anchor(&last);
        Ok(result)
    }
}

/// A transaction that adds records.
struct Adding<'a> {
    on: &'a Transaction<'a>,
    last: Anchor,
    anchor_lost: bool,
}

impl Adding<'_> {
    /// Adds a record to the audit log; returns its number, which becomes that of its row.
    fn record(&mut self, core: Core) -> Result<i64, Fault> {
        let (text, place) = audit::sealed(core, &self.last, self.anchor_lost);
        let sql = "INSERT INTO audit (seq, record) VALUES (?1, ?2)";
        self.on.prepare_cached(sql)?.execute((place.seq, text))?;
        self.anchor_lost = false;
        self.last = place;
        Ok(self.last.seq)
    }
}
