//! What of a run's set is on the board already, over the rounds in which it is carried out.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::change::apply::step::{parts, take_off, written};
use crate::change::apply::{End, Machine, Part};
use crate::change::provisional::{replace_markers, with_ids};
use crate::change::{Change, ChangeSet, EntityId, Op};
use crate::model::Task;

/// What was carried out so far.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// What each part has written, by the entity as the draft names it.
    done: BTreeMap<(EntityId, Part), (Op, Value)>,
    /// What markers have become.
    ids: BTreeMap<String, String>,
}

/// What is left of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rest {
    /// The changes, with the ids known by now, numbered anew.
    pub set: ChangeSet,
    /// The number of each in the whole set.
    pub numbers: Vec<usize>,
}

impl Progress {
    /// Begins with what the markers of earlier segments have become.
    #[must_use]
    pub fn knowing(ids: BTreeMap<String, String>) -> Self {
        Self { ids, ..Self::default() }
    }

    /// Returns the ids that markers have become.
    #[must_use]
    pub const fn ids(&self) -> &BTreeMap<String, String> {
        &self.ids
    }

    /// Tells whether nothing was written yet.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.done.is_empty()
    }

    /// Tells whether any part of an entity was written.
    #[must_use]
    pub fn has_written(&self, entity: &EntityId) -> bool {
        // Its parts stand together, and none comes before a roster.
        let mut from = self.done.range((entity.clone(), Part::Roster)..);
        from.next().is_some_and(|((it, _), _)| it == entity)
    }

    /// Tells whether an entity was deleted.
    #[must_use]
    pub fn has_deleted(&self, entity: &EntityId) -> bool {
        let itself = self.done.get(&(entity.clone(), Part::Itself));
        itself.is_some_and(|(op, _)| *op == Op::Delete)
    }

    /// Tells whether a task was written, or went with its bucket or plan.
    #[must_use]
    pub fn has_touched(&self, task: &Task) -> bool {
        let bucket = task.bucket.clone().map(EntityId::Bucket);
        self.has_written(&EntityId::Task(task.id.clone()))
            || bucket.is_some_and(|it| self.has_deleted(&it))
            || self.has_deleted(&EntityId::Plan(task.plan.clone()))
    }

    /// Takes up what came of a round, in which the rest of `set` was carried out.
    pub fn take(&mut self, set: &ChangeSet, rest: &Rest, machine: &Machine) {
        for (n, part, _, end) in machine.ends() {
            if !matches!(end, End::Done | End::Gone) {
                continue;
            }
            let whole = rest.numbers.get(n - 1).and_then(|n| set.changes().get(n - 1));
            if let Some(change) = whole {
                let done = (change.op(), written(change, part));
                self.done.insert((change.id(), part.clone()), done);
            }
        }
        self.ids.extend(machine.ids().clone());
    }

    /// Returns what is left of a set that was drafted anew.
    ///
    /// # Errors
    /// It wants something else where something was written already: of these entities.
    pub fn rest_of(&self, set: &ChangeSet) -> Result<Rest, Vec<EntityId>> {
        // What was written and is not yet found in the set as it is wanted now.
        let mut unlike: BTreeSet<&(EntityId, Part)> = self.done.keys().collect();
        let (mut changes, mut numbers) = (Vec::new(), Vec::new());
        for change in set.changes() {
            let (mut done, mut left) = (Vec::new(), false);
            for (part, _) in parts(change) {
                let key = (change.id(), part);
                if self.is_done(change, &key) {
                    unlike.remove(&key);
                    done.push(key.1);
                } else {
                    left = true;
                }
            }
            // What was made is completed in the round that made it, or not at all: never made again.
            let is_made = change.op() == Op::Create && done.contains(&Part::Itself);
            if !left || is_made {
                continue;
            }
            let mut own = if self.ids.is_empty() {
                change.clone()
            } else {
                with_ids(change, &self.ids).unwrap_or_else(|_| change.clone())
            };
            done.iter().for_each(|it| take_off(&mut own, it));
            numbers.push(change.n);
            changes.push(own);
        }
        if !unlike.is_empty() {
            let mut unlike: Vec<EntityId> = unlike.into_iter().map(|it| it.0.clone()).collect();
            unlike.dedup();
            return Err(unlike);
        }
        Ok(Rest { set: ChangeSet::numbered(changes), numbers })
    }

    fn is_done(&self, change: &Change, key: &(EntityId, Part)) -> bool {
        // The one may have been drafted before the ids were known, the other after.
        let known = |value: Value| replace_markers(value, &self.ids);
        self.done.get(key).is_some_and(|(op, value)| {
            *op == change.op() && known(value.clone()) == known(written(change, &key.1))
        })
    }
}
