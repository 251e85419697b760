//! The ledger of a run: the state of each part of each change, over all rounds in which its set is
//! applied. It is the only record of what is left, what was written, what is in doubt and where a
//! resume starts, so that these answers cannot contradict each other.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use serde_json::Value;

use crate::change::apply::step::{Part, Resend};
use crate::change::apply::step::{parts, written};
use crate::change::edit::{Change, Op};
use crate::change::entity_id::EntityId;
use crate::change::provisional::{replace_markers, with_ids};
use crate::change::set::ChangeSet;
use crate::model::snapshot::Own;
use crate::model::{Board, BucketId, ETag, PlanId, Task, TaskId};

/// The state of one part of a change.
#[derive(Debug, Clone, PartialEq)]
pub enum PartState {
    /// It is on the board.
    Written,
    /// Somebody else had already deleted its object: nothing is left to send.
    Gone,
    /// It may have been written; the answer was lost.
    InDoubt(Box<Doubt>),
    /// It may have created one of these, and only a person can tell which.
    Parked(Vec<String>),
}

/// A request whose answer was lost before this run began.
#[derive(Debug, Clone, PartialEq)]
pub struct Doubt {
    /// The request, to be sent again unchanged; `None` for a create, which is searched for instead.
    pub resend: Option<Resend>,
    /// The tag that it was conditional on.
    pub tag: Option<ETag>,
    /// The time since its answer was given up; negative while it may still come.
    pub age: SignedDuration,
}

#[derive(Debug, Clone, PartialEq)]
struct Entry {
    op: Op,
    /// The value that it writes, for comparison with that of a redraft.
    value: Value,
    state: PartState,
}

/// The states of the parts of a run's changes, by the entity as the draft names it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ledger {
    entries: BTreeMap<(EntityId, Part), Entry>,
    /// The number of times each part was sent in the present round, and in all.
    sent: BTreeMap<(EntityId, Part), (u32, u32)>,
    /// The real ids of provisional ones.
    ids: BTreeMap<String, String>,
    /// The real ids created by this segment; entities of earlier segments are part of the board.
    made: BTreeSet<String>,
}

impl Ledger {
    /// Makes a ledger that knows the real ids of earlier segments.
    #[must_use]
    pub fn knowing(ids: BTreeMap<String, String>) -> Self {
        Self { ids, ..Self::default() }
    }

    /// Returns the real ids of provisional ones.
    #[must_use]
    pub const fn ids(&self) -> &BTreeMap<String, String> {
        &self.ids
    }

    /// Records the real id of a provisional one.
    pub fn enter_id(&mut self, provisional: String, id: String) {
        self.made.insert(id.clone());
        self.ids.insert(provisional, id);
    }

    /// Records the state of a part.
    pub fn enter(&mut self, change: &Change, part: &Part, state: PartState) {
        // The value is kept because a redraft must write the same again, or the run has diverged.
        let entry = Entry { op: change.op(), value: written(change, part), state };
        self.entries.insert((change.id(), part.clone()), entry);
    }

    /// Records that a part is known not to be on the board.
    pub fn clear(&mut self, change: &Change, part: &Part) {
        self.entries.remove(&(change.id(), part.clone()));
    }

    /// Counts one sending of a part; returns the number of them in this round.
    pub(crate) fn count_sent(&mut self, change: &Change, part: &Part) -> u32 {
        let sent = self.sent.entry((change.id(), part.clone())).or_default();
        (sent.0, sent.1) = (sent.0 + 1, sent.1 + 1);
        sent.0
    }

    pub(crate) fn sent(&self, change: &Change, part: &Part) -> u32 {
        self.sent.get(&(change.id(), part.clone())).map_or(0, |sent| sent.0)
    }

    /// Returns the number of times the requests of an entity were sent, over all rounds.
    #[must_use]
    pub fn attempts(&self, entity: &EntityId) -> u32 {
        Self::of(&self.sent, entity).map(|(_, sent)| sent.1).sum()
    }

    /// Begins a round of the journal, in which attempts count from 1.
    pub fn begin_round(&mut self) {
        self.sent.values_mut().for_each(|sent| sent.0 = 0);
    }

    /// Returns the state of a part, if it has one.
    #[must_use]
    pub fn state(&self, change: &Change, part: &Part) -> Option<&PartState> {
        self.entries.get(&(change.id(), part.clone())).map(|entry| &entry.state)
    }

    /// Returns whether a part is on the board.
    #[must_use]
    pub fn has(&self, entity: &EntityId, part: &Part) -> bool {
        let entry = self.entries.get(&(entity.clone(), part.clone()));
        entry.is_some_and(|entry| entry.state == PartState::Written)
    }

    /// Returns whether nothing was written yet.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.entries.values().all(|entry| entry.state != PartState::Written)
    }

    /// Returns whether any part is in doubt.
    #[must_use]
    pub fn has_doubts(&self) -> bool {
        self.entries.values().any(|entry| matches!(entry.state, PartState::InDoubt(_)))
    }

    /// Returns whether any part of an entity was written.
    #[must_use]
    pub fn has_written(&self, entity: &EntityId) -> bool {
        Self::of(&self.entries, entity).any(|(_, entry)| entry.state == PartState::Written)
    }

    fn of<'a, T>(
        map: &'a BTreeMap<(EntityId, Part), T>,
        entity: &EntityId,
    ) -> impl Iterator<Item = (&'a (EntityId, Part), &'a T)> {
        let entity = entity.clone();
        // The entries of an entity are adjacent, and `Roster` is the first of its parts.
        map.range((entity.clone(), Part::Roster)..).take_while(move |((id, _), _)| *id == entity)
    }

    fn has_deleted(&self, entity: &EntityId) -> bool {
        let itself = self.entries.get(&(entity.clone(), Part::Itself));
        let is_done = |state: &PartState| matches!(state, PartState::Written | PartState::Gone);
        itself.is_some_and(|entry| entry.op == Op::Delete && is_done(&entry.state))
    }

    /// Returns whether a part of a change is left to be sent. A parked one is not: a person decides
    /// about it.
    #[must_use]
    pub fn leaves(&self, change: &Change) -> bool {
        let is_left = |part: &Part| self.state(change, part).is_none();
        parts(change).iter().any(|(part, _)| is_left(part))
    }

    /// Returns the entities for which a redrafted set writes something else than what was written
    /// already.
    #[must_use]
    pub fn diverging(&self, set: &ChangeSet) -> Vec<EntityId> {
        // One of the two may have been drafted before the real ids were known.
        let known = |value: Value| replace_markers(value, &self.ids);
        // Everything that the redraft confirms is struck off; the remaining parts diverge.
        let mut missing: BTreeSet<&(EntityId, Part)> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.state == PartState::Written)
            .map(|(key, _)| key)
            .collect();
        for change in set.changes() {
            for (part, _) in parts(change) {
                let key = (change.id(), part);
                let same = self.entries.get(&key).is_some_and(|entry| {
                    entry.op == change.op()
                        && known(entry.value.clone()) == known(written(change, &key.1))
                });
                if same {
                    missing.remove(&key);
                }
            }
        }
        let mut entities: Vec<EntityId> = missing.into_iter().map(|key| key.0.clone()).collect();
        entities.dedup();
        entities
    }

    /// Returns a change with the real ids that are known by now.
    #[must_use]
    pub fn with_ids(&self, change: &Change) -> Change {
        if self.ids.is_empty() {
            return change.clone();
        }
        with_ids(change, &self.ids).unwrap_or_else(|_| change.clone())
    }
}

impl Own for Ledger {
    fn made(&self, id: &str) -> bool {
        self.made.contains(id)
    }

    fn plan(&self, id: &PlanId) -> bool {
        self.has_written(&EntityId::Plan(id.clone()))
    }

    fn plan_details(&self, id: &PlanId) -> bool {
        self.has(&EntityId::PlanDetails(id.clone()), &Part::Details)
            // The details are deleted with their plan.
            || self.has_deleted(&EntityId::Plan(id.clone()))
    }

    fn bucket(&self, id: &BucketId) -> bool {
        self.has_written(&EntityId::Bucket(id.clone()))
    }

    fn task(&self, id: &TaskId) -> bool {
        self.has(&EntityId::Task(id.clone()), &Part::Itself)
    }

    fn took(&self, task: &Task) -> bool {
        let bucket = task.bucket.clone().map(EntityId::Bucket);
        self.has_deleted(&EntityId::Task(task.id.clone()))
            || bucket.is_some_and(|bucket| self.has_deleted(&bucket))
            || self.has_deleted(&EntityId::Plan(task.plan.clone()))
    }

    fn details(&self, id: &TaskId) -> bool {
        self.has(&EntityId::Task(id.clone()), &Part::Details)
    }

    fn place(&self, id: &TaskId, board: Board) -> bool {
        self.has(&EntityId::Task(id.clone()), &Part::Place(board))
    }
}
