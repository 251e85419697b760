//! The ordered set of changes: preview, journal and apply agree on its order.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::change::edit::{Change, Op};
use crate::change::entity_id::EntityId;
use crate::change::field::Entity;

/// The changes of a run, in the order to apply them. It cannot be applied before it is reviewed
/// (see [`crate::policy::Cleared`]).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ChangeSet {
    changes: Vec<Change>,
}

impl ChangeSet {
    /// Sorts and numbers changes.
    pub(crate) fn in_order(mut changes: Vec<Change>) -> Self {
        changes.sort_by_cached_key(|change| {
            // The id breaks ties, so that preview, journal and replay agree (design.md 2.2).
            (level(change), ordinal(change.id().as_str()), change.id())
        });
        for (at, change) in changes.iter_mut().enumerate() {
            change.n = at + 1;
        }
        Self { changes }
    }

    /// Numbers changes in the given order.
    pub(crate) fn numbered(mut changes: Vec<Change>) -> Self {
        for (at, change) in changes.iter_mut().enumerate() {
            change.n = at + 1;
        }
        Self { changes }
    }

    /// Takes changes in the given order, with the numbers that they have: the remaining changes of
    /// a set keep theirs.
    pub(crate) const fn in_this_order(changes: Vec<Change>) -> Self {
        Self { changes }
    }

    /// Gives the changes the known numbers of their entities.
    #[must_use]
    pub(crate) fn numbered_as(mut self, numbers: &BTreeMap<EntityId, usize>) -> Self {
        for change in &mut self.changes {
            if let Some(n) = numbers.get(&change.id()) {
                change.n = *n;
            }
        }
        self
    }

    /// Returns the change with a number.
    #[must_use]
    pub fn change(&self, n: usize) -> Option<&Change> {
        // Nearly always a change stands at its number; only a partial set has gaps.
        let there = n.checked_sub(1).and_then(|at| self.changes.get(at));
        there
            .filter(|change| change.n == n)
            .or_else(|| self.changes.iter().find(|change| change.n == n))
    }

    /// Returns the changes in the order to apply them.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Returns whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Counts the tasks that deletions of buckets and plans take along.
    #[must_use]
    pub fn taken_along(&self) -> usize {
        self.changes.iter().map(|change| change.takes_along.len()).sum()
    }

    /// Counts the changes of a kind.
    #[must_use]
    pub fn count(&self, op: Op) -> usize {
        self.changes.iter().filter(|change| change.op() == op).count()
    }

    /// Returns `sha256:…` over the set's canonical form: two sets with one digest are the same
    /// to the letter.
    #[must_use]
    pub fn digest(&self) -> String {
        let text = serde_json::to_string(self).unwrap_or_default();
        format!("sha256:{:x}", Sha256::digest(text.as_bytes()))
    }
}

/// Returns the level of a change: each level begins when the lower ones are done.
pub(crate) fn level(change: &Change) -> u8 {
    match (change.op(), change.entity()) {
        (Op::Update, _) if !change.mentions_new() => 0,
        (Op::Create, Entity::Plan) => 1,
        (Op::Create, Entity::PlanDetails | Entity::Bucket) => 2,
        (Op::Create, Entity::Task) => 3,
        (Op::Update, _) => 4,
        // After everything that a comment may speak of, and before its task can be deleted.
        (_, Entity::Comment) => 5,
        // From the inside out: a bucket or plan takes its contents along, and a later deletion of a
        // task in it would find nothing.
        (Op::Delete, Entity::Task) => 6,
        (Op::Delete, Entity::Bucket) => 7,
        (Op::Delete, Entity::Plan | Entity::PlanDetails) => 8,
    }
}

/// Returns the count inside a provisional id, by which new entities keep the order in which the
/// script created them. Zero for a real id.
pub(crate) fn ordinal(id: &str) -> usize {
    id.strip_prefix("⟦new:")
        .and_then(|rest| rest.split(':').next())
        .and_then(|n| n.parse().ok())
        .unwrap_or(0)
}
