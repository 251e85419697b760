//! The ledger of a run: what became of each part of each change, over all rounds in which its set
//! is carried out. What is left, what was written, what is in doubt and what a resume starts from
//! are questions to it.

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
    /// Somebody else had deleted what it was to delete: nothing is left to be sent.
    Gone,
    /// It may have been written; the answer was lost.
    InDoubt(Box<Doubt>),
    /// It may have been created as one of these, and only a person can tell.
    Parked(Vec<String>),
}

/// A request whose answer was lost before this run began.
#[derive(Debug, Clone, PartialEq)]
pub struct Doubt {
    /// The request, to be sent again as it was; `None` for a create, which is looked for.
    pub resend: Option<Resend>,
    /// The tag that it was conditional on.
    pub tag: Option<ETag>,
    /// The time since its answer was given up; negative while it may still come.
    pub age: SignedDuration,
}

#[derive(Debug, Clone, PartialEq)]
struct Entry {
    op: Op,
    /// The value that it writes, to compare it with what a redraft wants.
    value: Value,
    state: PartState,
}

/// The states of the parts of a run's changes, by the entity as the draft names it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ledger {
    entries: BTreeMap<(EntityId, Part), Entry>,
    /// The number of times each part was sent in the present round, and in all.
    sent: BTreeMap<(EntityId, Part), (u32, u32)>,
    /// The ids that provisional ones have become.
    ids: BTreeMap<String, String>,
    /// Those of this segment's making; what earlier ones have made is a part of the board.
    made: BTreeSet<String>,
}

impl Ledger {
    /// Begins with the ids that provisional ones of earlier segments have become.
    #[must_use]
    pub fn knowing(ids: BTreeMap<String, String>) -> Self {
        Self { ids, ..Self::default() }
    }

    /// Returns the ids that provisional ones have become.
    #[must_use]
    pub const fn ids(&self) -> &BTreeMap<String, String> {
        &self.ids
    }

    /// Enters the id that a provisional one has become.
    pub fn enter_id(&mut self, provisional: String, id: String) {
        self.made.insert(id.clone());
        self.ids.insert(provisional, id);
    }

    /// Enters what became of a part.
    pub fn enter(&mut self, change: &Change, part: &Part, state: PartState) {
        let entry = Entry { op: change.op(), value: written(change, part), state };
        self.entries.insert((change.id(), part.clone()), entry);
    }

    /// Enters that a part is known not to be on the board.
    pub fn clear(&mut self, change: &Change, part: &Part) {
        self.entries.remove(&(change.id(), part.clone()));
    }

    /// Counts that a part was sent; returns how often in this round.
    pub(crate) fn count_sent(&mut self, change: &Change, part: &Part) -> u32 {
        let sent = self.sent.entry((change.id(), part.clone())).or_default();
        (sent.0, sent.1) = (sent.0 + 1, sent.1 + 1);
        sent.0
    }

    pub(crate) fn sent(&self, change: &Change, part: &Part) -> u32 {
        self.sent.get(&(change.id(), part.clone())).map_or(0, |sent| sent.0)
    }

    /// Returns how often the requests of an entity were sent, over all rounds.
    #[must_use]
    pub fn attempts(&self, entity: &EntityId) -> u32 {
        Self::of(&self.sent, entity).map(|(_, sent)| sent.1).sum()
    }

    /// Begins a round of the journal, in which attempts count from 1.
    pub fn begin_round(&mut self) {
        self.sent.values_mut().for_each(|sent| sent.0 = 0);
    }

    /// Returns what became of a part, if anything did.
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

    /// Returns whether it is open of any part whether it was written.
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
        // The parts of an entity stand together, and none comes before a roster.
        map.range((entity.clone(), Part::Roster)..).take_while(move |((id, _), _)| *id == entity)
    }

    fn has_deleted(&self, entity: &EntityId) -> bool {
        let itself = self.entries.get(&(entity.clone(), Part::Itself));
        let is_done = |state: &PartState| matches!(state, PartState::Written | PartState::Gone);
        itself.is_some_and(|entry| entry.op == Op::Delete && is_done(&entry.state))
    }

    /// Returns whether something of a change is left to be sent. A part that is parked is not:
    /// a person decides.
    #[must_use]
    pub fn leaves(&self, change: &Change) -> bool {
        let is_left = |part: &Part| self.state(change, part).is_none();
        parts(change).iter().any(|(part, _)| is_left(part))
    }

    /// Returns the entities of which a set that was drafted again wants something else than what
    /// was written already.
    #[must_use]
    pub fn diverging(&self, set: &ChangeSet) -> Vec<EntityId> {
        // The one may have been drafted before the ids were known, the other after.
        let known = |value: Value| replace_markers(value, &self.ids);
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

    /// Returns a change with the ids that are known by now.
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
            || bucket.is_some_and(|it| self.has_deleted(&it))
            || self.has_deleted(&EntityId::Plan(task.plan.clone()))
    }

    fn details(&self, id: &TaskId) -> bool {
        self.has(&EntityId::Task(id.clone()), &Part::Details)
    }

    fn place(&self, id: &TaskId, board: Board) -> bool {
        self.has(&EntityId::Task(id.clone()), &Part::Place(board))
    }
}
