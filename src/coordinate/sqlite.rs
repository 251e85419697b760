//! The journal's file as what processes of one machine share.

use jiff::Timestamp;

use crate::coordinate::{Changes, Coordinate, Submission, Topic};
use crate::journal::inbox::{InboxEntry, Queue};
use crate::journal::kept::{KeptSet, KeptStep};
use crate::journal::paused::Paused;
use crate::journal::{Claim, Error, Fence, Journal, Note, Pruned, Shared, SharedWrite, Written};

impl Coordinate for Journal {
    fn submit(&self, submission: &Submission<'_>) -> Result<InboxEntry, Error> {
        Self::submit(self, submission)
    }

    fn entry(&self, id: &str) -> Result<Option<InboxEntry>, Error> {
        self.inbox_entry(id)
    }

    fn open_entries(
        &self,
        of: (&str, &str, Option<Queue>),
        after: Option<&InboxEntry>,
        limit: u32,
    ) -> Result<Vec<InboxEntry>, Error> {
        Self::open_entries(self, of, after, limit)
    }

    fn move_entry(
        &self,
        from: &InboxEntry,
        entry: &InboxEntry,
        note: &Note,
    ) -> Result<bool, Error> {
        Self::move_entry(self, from, entry, note)
    }

    fn renew_lease(&self, id: &str, worker: &str, until: Timestamp) -> Result<bool, Error> {
        Self::renew_lease(self, id, worker, until)
    }

    fn claim(&self, name: &str, owner: &str, at: Timestamp) -> Result<bool, Error> {
        Self::claim(self, name, owner, at)
    }

    fn claimed(&self, name: &str) -> Result<Option<Claim>, Error> {
        Self::claimed(self, name)
    }

    fn forget_claims(&self, before: Timestamp) -> Result<usize, Error> {
        Self::forget_claims(self, before)
    }

    fn prune(&self, before: Timestamp, note: &Note) -> Result<Pruned, Error> {
        Self::prune(self, before, note)
    }

    fn lock(
        &self,
        name: &str,
        owner: &str,
        time: (Timestamp, Timestamp),
    ) -> Result<Option<Fence>, Error> {
        Self::lock(self, name, owner, time)
    }

    fn extend_lock(&self, fence: &Fence, until: Timestamp) -> Result<bool, Error> {
        Self::extend_lock(self, fence, until)
    }

    fn unlock(&self, fence: &Fence) -> Result<bool, Error> {
        Self::unlock(self, fence)
    }

    fn value(&self, key: &str) -> Result<Shared, Error> {
        self.shared(key)
    }

    fn compare_and_set(&self, write: &SharedWrite<'_>) -> Result<Written, Error> {
        self.write_shared(write)
    }

    fn changes(&self) -> Result<Changes, Error> {
        let counts = self.change_counts()?;
        let topic = |name: &str| match name {
            "queue" => Some(Topic::Queue),
            "pending" => Some(Topic::Pending),
            "pauses" => Some(Topic::Pauses),
            "values" => Some(Topic::Values),
            "runs" => Some(Topic::Runs),
            _ => None,
        };
        let known = counts.iter().filter_map(|(name, n)| Some((topic(name)?, *n)));
        Ok(Changes(known.collect()))
    }

    fn held_sets(&self, all: bool) -> Result<Vec<KeptSet>, Error> {
        Self::held_sets(self, all)
    }

    fn move_kept(&self, steps: &[KeptStep<'_>]) -> Result<bool, Error> {
        Self::move_kept(self, steps)
    }

    fn pause(&self, paused: &Paused, note: &Note) -> Result<(), Error> {
        Self::pause(self, paused, note)
    }

    fn unpause(&self, agent: Option<&str>, note: &Note) -> Result<bool, Error> {
        Self::unpause(self, agent, note)
    }

    fn paused(&self) -> Result<Vec<Paused>, Error> {
        Self::paused(self)
    }
}
