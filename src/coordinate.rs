//! Everything durable that processes share, behind one trait: the queue with its leases, claims, locks
//! with a fence, values, what waits for a person, and who is paused.
//!
//! SQLite is behind it today, in the file of the journal; processes on several machines need something
//! that all of them reach. Whatever is behind it passes the same tests, `tests/it/coordinate.rs`, and
//! nobody above may rest on more than they say.
//!
//! All of it blocks the thread. Moments come from the caller.

mod sqlite;

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;

use crate::journal::inbox::{InboxEntry, Queue};
use crate::journal::kept::{KeptSet, KeptStep};
use crate::journal::paused::Paused;

pub use crate::journal::inbox::Submission;
pub use crate::journal::{Claim, Error, Fence, Note, Pruned, Shared, SharedWrite, Written};

/// A thing that can change, for whoever watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// An entry was submitted, or has moved on.
    Queue,
    /// A set waits, or was decided on.
    Pending,
    /// An agent was paused, or a pause lifted.
    Pauses,
    /// A shared value was written.
    Values,
    /// A run has begun or ended.
    Runs,
}

/// Counters of changes. Two that are equal mean that nothing has happened in between.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes(pub BTreeMap<Topic, i64>);

impl Changes {
    /// Returns what has changed since an earlier look.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Vec<Topic> {
        let differs = |topic: &&Topic| self.0.get(topic) != earlier.0.get(topic);
        self.0.keys().filter(differs).copied().collect()
    }
}

/// The part of the world that all processes see alike.
pub trait Coordinate: fmt::Debug + Send + Sync {
    /// Adds an entry to the queue; or returns the one that the same sender has added under its key.
    ///
    /// # Errors
    /// Too much of the sender or in the queue waits, or it has submitted too much, or the lock that it names is
    /// somebody else's, or it cannot be written.
    fn submit(&self, submission: &Submission<'_>) -> Result<InboxEntry, Error>;

    /// Returns an entry by its whole id.
    ///
    /// # Errors
    /// It cannot be read.
    fn entry(&self, id: &str) -> Result<Option<InboxEntry>, Error>;

    /// Returns the entries for a workspace at a service that are not over, of one queue or of both, the
    /// oldest first, without their parameters: at most `limit` of those after the entry `after`.
    ///
    /// # Errors
    /// They cannot be read.
    fn open_entries(
        &self,
        of: (&str, &str, Option<Queue>),
        after: Option<&InboxEntry>,
        limit: u32,
    ) -> Result<Vec<InboxEntry>, Error>;

    /// Moves an entry on from where it stood, and records the step. Returns false, and does nothing,
    /// if it stands elsewhere by now, or another worker or another attempt has it: of several that try,
    /// one succeeds, and whoever has lost an entry settles nothing.
    ///
    /// # Errors
    /// It cannot be written.
    fn move_entry(&self, from: &InboxEntry, entry: &InboxEntry, note: &Note)
    -> Result<bool, Error>;

    /// Says that a worker is still at an entry. Returns false if it has it no more.
    ///
    /// # Errors
    /// It cannot be written.
    fn renew_lease(&self, id: &str, worker: &str, until: Timestamp) -> Result<bool, Error>;

    /// Claims a name, once and for all. Returns false if it was claimed before, by whomever.
    ///
    /// # Errors
    /// It cannot be written.
    fn claim(&self, name: &str, owner: &str, at: Timestamp) -> Result<bool, Error>;

    /// Returns the claim on a name.
    ///
    /// # Errors
    /// It cannot be read.
    fn claimed(&self, name: &str) -> Result<Option<Claim>, Error>;

    /// Forgets the claims made before a day. Returns how many there were.
    ///
    /// # Errors
    /// They cannot be written.
    fn forget_claims(&self, before: Timestamp) -> Result<usize, Error>;

    /// Deletes what runs have left that ended before a moment, but for what anything can still rest on.
    /// Returns how much there was.
    ///
    /// # Errors
    /// It cannot be written.
    fn prune(&self, before: Timestamp, note: &Note) -> Result<Pruned, Error>;

    /// Takes a lock from now until a moment, if nobody holds it. Each holder gets a greater number
    /// than all before, by which a write of one who has lost it is refused.
    ///
    /// # Errors
    /// It cannot be written.
    fn lock(
        &self,
        name: &str,
        owner: &str,
        time: (Timestamp, Timestamp),
    ) -> Result<Option<Fence>, Error>;

    /// Holds a lock for longer. Returns false if it is somebody else's, or was given back.
    ///
    /// # Errors
    /// It cannot be written.
    fn extend_lock(&self, fence: &Fence, until: Timestamp) -> Result<bool, Error>;

    /// Gives a lock back. Returns false if it is somebody else's, or was given back.
    ///
    /// # Errors
    /// It cannot be written.
    fn unlock(&self, fence: &Fence) -> Result<bool, Error>;

    /// Returns a value.
    ///
    /// # Errors
    /// It cannot be read.
    fn value(&self, key: &str) -> Result<Shared, Error>;

    /// Writes a value, if it stands where the writer has read it, and the writer still holds the lock
    /// that it names.
    ///
    /// # Errors
    /// It cannot be written.
    fn compare_and_set(&self, write: &SharedWrite<'_>) -> Result<Written, Error>;

    /// Returns the counters of changes, in all processes.
    ///
    /// # Errors
    /// They cannot be read.
    fn changes(&self) -> Result<Changes, Error>;

    /// Returns the sets that wait for a person or are being carried out, the oldest first; with `all`,
    /// also those that were decided on.
    ///
    /// # Errors
    /// They cannot be read.
    fn held_sets(&self, all: bool) -> Result<Vec<KeptSet>, Error>;

    /// Takes steps of kept sets, all of them or none, each with its record. Returns false, and does
    /// nothing, if one of the sets stands elsewhere by now: each step is taken once.
    ///
    /// # Errors
    /// It cannot be written.
    fn move_kept(&self, steps: &[KeptStep<'_>]) -> Result<bool, Error>;

    /// Pauses an agent, or all of them.
    ///
    /// # Errors
    /// It cannot be written.
    fn pause(&self, paused: &Paused, note: &Note) -> Result<(), Error>;

    /// Lifts a pause. Returns false if there was none.
    ///
    /// # Errors
    /// It cannot be written.
    fn unpause(&self, agent: Option<&str>, note: &Note) -> Result<bool, Error>;

    /// Returns the pauses in force.
    ///
    /// # Errors
    /// They cannot be read.
    fn paused(&self) -> Result<Vec<Paused>, Error>;
}
