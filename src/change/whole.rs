//! A run as a whole: the changes of all its steps joined, entity by entity, on the board as it was
//! before the first.
//!
//! Policies must not see less of a run because it writes in small steps: a task that is moved out
//! of its bucket and deleted in the next step was deleted from that bucket.

use std::collections::{BTreeMap, BTreeSet};

use crate::change::edit::{Change, Edit, Op, TaskBasis, TaskState, Write};
use crate::change::entity_id::EntityId;
use crate::change::field::{Entity, Fields};
use crate::change::provisional;
use crate::change::set::ChangeSet;
use crate::model::snapshot::Own;
use crate::model::{Board, BucketId, PlanId, Task, TaskId};

/// One step of a run: the set that it wrote, with the real ids of its new entities.
#[derive(Debug)]
pub struct Step {
    /// The set that it wrote.
    pub set: ChangeSet,
    made: BTreeSet<String>,
    wrote: BTreeSet<EntityId>,
    took: BTreeSet<TaskId>,
}

impl Step {
    /// Takes a set that was written; `ids` holds the real ids of its provisional ones.
    ///
    /// # Errors
    /// A real id is not valid.
    pub fn new(set: &ChangeSet, ids: &BTreeMap<String, String>) -> Result<Self, serde_json::Error> {
        let changes: Vec<Change> = set
            .changes()
            .iter()
            .map(|change| provisional::with_ids(change, ids))
            .collect::<Result<_, _>>()?;
        let made = changes.iter().filter(|change| change.op() == Op::Create);
        Ok(Self {
            made: made.map(|change| change.id().as_str().to_owned()).collect(),
            wrote: changes.iter().map(Change::id).collect(),
            took: changes.iter().flat_map(|change| change.takes_along.iter().cloned()).collect(),
            set: ChangeSet::in_this_order(changes),
        })
    }

    /// Returns the plans whose lists changed, because the step created, deleted or moved something.
    pub fn relisted(&self) -> impl Iterator<Item = &PlanId> {
        let lists = |change: &&Change| {
            let is_listed = change.entity() != Entity::Comment;
            is_listed && (change.op() != Op::Update || change.moves_to().is_some())
        };
        let changes = self.set.changes().iter().filter(lists);
        changes.flat_map(|change| [Some(change.plan()), change.moves_to()]).flatten()
    }
}

impl Own for Step {
    fn made(&self, id: &str) -> bool {
        self.made.contains(id)
    }

    fn plan(&self, id: &PlanId) -> bool {
        self.wrote.contains(&EntityId::Plan(id.clone()))
    }

    fn plan_details(&self, id: &PlanId) -> bool {
        self.wrote.contains(&EntityId::PlanDetails(id.clone()))
    }

    fn bucket(&self, id: &BucketId) -> bool {
        self.wrote.contains(&EntityId::Bucket(id.clone()))
    }

    fn task(&self, id: &TaskId) -> bool {
        self.wrote.contains(&EntityId::Task(id.clone()))
    }

    fn took(&self, task: &Task) -> bool {
        self.took.contains(&task.id)
    }

    fn details(&self, id: &TaskId) -> bool {
        self.task(id)
    }

    fn place(&self, id: &TaskId, _board: Board) -> bool {
        self.task(id)
    }
}

/// Returns all steps joined into one set. The last is `now`, whose changes keep their numbers;
/// changes of entities that it does not touch get 0.
#[must_use]
pub fn whole(steps: &[Step], now: &ChangeSet) -> ChangeSet {
    let mut all: BTreeMap<EntityId, Change> = BTreeMap::new();
    let of_all = || {
        let earlier = steps.iter().flat_map(|step| step.set.changes()).map(|change| (0, change));
        earlier.chain(now.changes().iter().map(|change| (change.n, change)))
    };
    for (n, change) in of_all() {
        let id = change.id();
        let together = match all.remove(&id) {
            None => Some(change.clone()),
            Some(first) => joined(first, change),
        };
        if let Some(together) = together {
            all.insert(id, Change { n, ..together });
        }
    }
    // A task that was moved and then deleted with its new bucket was deleted by the run, from where it
    // was at first: else a bucket would be the way around every rule about deletions.
    for (n, change) in of_all() {
        for id in &change.takes_along {
            let id = EntityId::Task(id.clone());
            if let Some(Change { write: Write::Task(edit), .. }) = all.get(&id)
                && let Some(write) = deleted(edit)
            {
                all.insert(id, Change { n, ..Change::from_write(write) });
            } else {
                all.remove(&id);
            }
        }
    }
    // Earlier changes come first; those of `now` keep their order.
    let order: BTreeMap<EntityId, usize> =
        now.changes().iter().enumerate().map(|(at, change)| (change.id(), at)).collect();
    let mut changes: Vec<Change> = all.into_values().collect();
    changes.sort_by_key(|change| order.get(&change.id()).map_or(0, |at| at + 1));
    ChangeSet::in_this_order(changes)
}

/// Returns the deletion of a task in the state before the run; `None` if the run created it.
fn deleted(edit: &Edit<TaskState, TaskBasis>) -> Option<Write> {
    match edit {
        Edit::Create { .. } => None,
        Edit::Update { before, basis, .. } | Edit::Delete { before, basis } => {
            let (before, basis) = (before.clone(), basis.clone());
            Some(Write::Task(Box::new(Edit::Delete { before, basis })))
        }
    }
}

/// Joins two changes of one entity; `None` if they cancel out.
fn joined(mut first: Change, then: &Change) -> Option<Change> {
    let write = match (first.write, &then.write) {
        (Write::Plan(a), Write::Plan(b)) => {
            Write::Plan(Box::new(edits(*a, b, |_, _| {}, |_, _| {})?))
        }
        (Write::PlanDetails { plan, title, edit }, Write::PlanDetails { edit: b, .. }) => {
            Write::PlanDetails { plan, title, edit: edits(edit, b, |_, _| {}, |_, _| {})? }
        }
        (Write::Bucket(a), Write::Bucket(b)) => Write::Bucket(edits(a, b, |_, _| {}, |_, _| {})?),
        (Write::Task(a), Write::Task(b)) => Write::Task(Box::new(edits(*a, b, fill, fill_basis)?)),
        // Both are changes of one entity, so the kinds never differ.
        (_, other) => other.clone(),
    };
    if then.op() == Op::Delete {
        first.takes_along.clone_from(&then.takes_along);
    }
    first.reads.extend(then.reads.iter().copied());
    Some(Change { write, ..first })
}

/// Joins two edits of one entity. Edits by others between them are left out: only the run's own are
/// grafted onto the state that was there first.
fn edits<T: Fields + Clone, B: Clone>(
    first: Edit<T, B>,
    then: &Edit<T, B>,
    fill: impl Fn(&mut T, &T),
    fill_basis: impl Fn(&mut B, &B),
) -> Option<Edit<T, B>> {
    match (first, then) {
        (Edit::Create { mut after }, Edit::Update { before, after: wanted, .. }) => {
            fill(&mut after, before);
            after.graft(before, wanted);
            Some(Edit::Create { after })
        }
        // Created and deleted by the run itself: the board is as it was.
        (Edit::Create { .. }, Edit::Delete { .. }) => None,
        (
            Edit::Update { mut before, mut after, mut basis },
            Edit::Update { before: read, after: wanted, basis: newer },
        ) => {
            fill(&mut before, read);
            fill(&mut after, read);
            fill_basis(&mut basis, newer);
            after.graft(read, wanted);
            // A later step may have taken back what an earlier one did.
            let is_change = !before.differing(&after).is_empty();
            is_change.then_some(Edit::Update { before, after, basis })
        }
        (
            Edit::Update { mut before, mut basis, .. },
            Edit::Delete { before: read, basis: newer },
        ) => {
            fill(&mut before, read);
            fill_basis(&mut basis, newer);
            Some(Edit::Delete { before, basis })
        }
        // Nothing is edited after its deletion or created twice, so these do not occur.
        (_, then) => Some(then.clone()),
    }
}

/// Adds the parts of a task that only the later step had read; the earlier ones left them alone.
fn fill(state: &mut TaskState, read: &TaskState) {
    if state.details.is_none() {
        state.details.clone_from(&read.details);
    }
    for (board, place) in &read.places {
        state.places.entry(*board).or_insert_with(|| place.clone());
    }
}

fn fill_basis(basis: &mut TaskBasis, newer: &TaskBasis) {
    if basis.details.is_none() {
        basis.details.clone_from(&newer.details);
    }
    for (board, tag) in &newer.places {
        basis.places.entry(*board).or_insert_with(|| tag.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Bucket, ETag, Plan};

    fn tag(n: u32) -> ETag {
        ETag::new(format!("W/\"{n}\""))
    }

    fn bucket(name: &str) -> Bucket {
        Bucket {
            id: "b".parse().unwrap(),
            plan: "p".parse().unwrap(),
            name: name.to_owned(),
            order_hint: String::new(),
        }
    }

    fn renamed(from: &str, to: &str) -> Write {
        Write::Bucket(Edit::Update { before: bucket(from), after: bucket(to), basis: tag(1) })
    }

    fn removed(name: &str) -> Write {
        Write::Bucket(Edit::Delete { before: bucket(name), basis: tag(2) })
    }

    fn step(writes: Vec<Write>) -> Step {
        let set = ChangeSet::numbered(writes.into_iter().map(Change::from_write).collect());
        Step::new(&set, &BTreeMap::new()).unwrap()
    }

    fn of(steps: &[Step], now: Vec<Write>) -> Vec<Write> {
        let now = ChangeSet::numbered(now.into_iter().map(Change::from_write).collect());
        whole(steps, &now).changes().iter().map(|change| change.write.clone()).collect()
    }

    #[test]
    fn what_was_changed_and_deleted_was_deleted_as_it_was_first() {
        let steps = [step(vec![renamed("Done", "x")]), step(vec![renamed("x", "y")])];
        let [Write::Bucket(Edit::Delete { before, .. })] = &of(&steps, vec![removed("y")])[..]
        else {
            panic!()
        };
        assert_eq!(before.name, "Done");
    }

    #[test]
    fn what_is_as_it_was_or_was_made_and_deleted_is_no_change() {
        let there = [step(vec![renamed("Done", "x")])];
        assert_eq!(of(&there, vec![renamed("x", "Done")]), []);
        let made = [step(vec![Write::Bucket(Edit::Create { after: bucket("a") })])];
        assert_eq!(of(&made, vec![removed("a")]), []);
        let [Write::Bucket(Edit::Create { after })] = &of(&made, vec![renamed("a", "b")])[..]
        else {
            panic!()
        };
        assert_eq!(after.name, "b");
    }

    #[test]
    fn what_others_did_between_two_steps_is_not_the_runs_doing() {
        let plan = |title: &str, archived: bool| {
            let mut plan = Plan::new("p".parse().unwrap(), title.to_owned());
            plan.archival.is_archived = archived;
            plan
        };
        let update =
            |before, after| Write::Plan(Box::new(Edit::Update { before, after, basis: tag(1) }));
        let steps = [step(vec![update(plan("a", false), plan("a", true))])];
        // Somebody has renamed it since.
        let now = of(&steps, vec![update(plan("theirs", true), plan("ours", true))]);
        let [Write::Plan(edit)] = &now[..] else { panic!() };
        assert_eq!(edit.before().map(|plan| plan.title.as_str()), Some("a"));
        let after = edit.after().unwrap();
        assert_eq!((after.title.as_str(), after.archival.is_archived), ("ours", true));
        let now = of(&steps, vec![update(plan("theirs", true), plan("theirs", false))]);
        assert_eq!(now, []);
    }
}
