//! The comparison, by value, of what a run rests on with the board as it is now (design.md 2.3).
//!
//! Planner accepts a stale tag when the fields do not collide, so a tag alone protects no decision:
//! everything that the run read counts, of the entities that it changes and of all others. No I/O
//! here.

use std::collections::{BTreeMap, BTreeSet};

use crate::change::apply::compare::rest_on;
use crate::change::apply::{Ledger, Part};
use crate::change::{
    Change, ChangeSet, Edit, EntityId, Field, FieldConflict, Fields, Merge, Op, Read, ReadSet,
    TaskBasis, TaskState, Write, holds, merge,
};
use crate::host::apply::outcome::Outcome;
use crate::model::snapshot::{Own as _, Snapshot};
use crate::model::{ETag, NewComment, Task, TaskId, Versioned};

/// The difference between the board that a set rests on and the board as it is now.
#[derive(Debug)]
pub(crate) struct Drift {
    /// The set, rebased on the present board wherever nothing has moved that it read or writes.
    pub(crate) set: ChangeSet,
    /// The entities that it changes and that have moved, by the number of the change.
    pub(crate) moved: BTreeMap<usize, Moved>,
    /// The reads that have moved, of entities that it does not change.
    pub(crate) elsewhere: Vec<Elsewhere>,
    /// True if nothing at all is different, not even a field that nobody read.
    pub(crate) is_same: bool,
}

/// A change whose entity has moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Moved {
    /// Both sides of each field; empty if the entity was deleted.
    pub(crate) fields: Vec<FieldConflict>,
    /// The message, if it is not about fields.
    pub(crate) message: Option<String>,
    /// True if the program may decide again: it may not for a deletion that did not read what
    /// moved.
    pub(crate) may_replay: bool,
}

impl Moved {
    /// Returns the outcome of the change if it is not drafted again.
    pub(crate) fn outcome(self) -> Outcome {
        let mut outcome = Outcome::conflict(self.fields);
        if let (Some(message), Some(error)) = (self.message, outcome.error.as_mut()) {
            error.message = message;
        }
        outcome
    }
}

/// A read that has moved, of an entity that the set does not change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Elsewhere {
    /// The read.
    pub(crate) read: Read,
    /// The message.
    pub(crate) message: String,
    /// Both sides, if it is a field.
    pub(crate) fields: Vec<FieldConflict>,
}

impl Drift {
    /// Compares two boards. What the run has written itself has been set back in `now`.
    pub(crate) fn from_boards(
        set: &ChangeSet,
        reads: &ReadSet,
        old: &Snapshot,
        now: &Snapshot,
        ledger: &Ledger,
    ) -> Self {
        let mut changes = set.changes().to_vec();
        let own: BTreeSet<TaskId> = changes
            .iter()
            .filter_map(|change| match change.id() {
                EntityId::Task(id) => Some(id),
                _ => None,
            })
            .collect();
        let (mut moved, mut is_same) = (BTreeMap::new(), true);
        // A change that is written in full needs no validation.
        for change in changes.iter_mut().filter(|change| ledger.leaves(change)) {
            let before = change.clone();
            if let Err(drifted) = rest_on_now(change, now, ledger) {
                moved.insert(change.n, drifted);
            } else if !takes_only(change, now, &own) {
                // A replay would only want the same again, unless the program has read the list
                // (below).
                let message = "someone else has put tasks into it since it was read".to_owned();
                let drifted =
                    Moved { fields: Vec::new(), message: Some(message), may_replay: false };
                moved.insert(change.n, drifted);
            }
            // A newer tag alone is no difference: policies judge values.
            is_same &= before.wants_same(change) && before.rests_on_same(change);
        }
        let numbers: BTreeMap<EntityId, usize> =
            changes.iter().map(|change| (change.id(), change.n)).collect();
        let mut elsewhere = Vec::new();
        for read in reads.iter().filter(|read| read.moved(old, now)) {
            let fields: Vec<FieldConflict> = read.conflict(old, now).into_iter().collect();
            match read.entity().and_then(|entity| numbers.get(entity)) {
                Some(n) => {
                    let drifted = moved.entry(*n).or_insert_with(|| Moved {
                        fields: Vec::new(),
                        message: fields.is_empty().then(|| read.describe(old, now)),
                        may_replay: true,
                    });
                    // The program has read what moved, so it can decide otherwise.
                    drifted.may_replay = true;
                    let known: BTreeSet<Field> =
                        drifted.fields.iter().map(|conflict| conflict.field).collect();
                    drifted.fields.extend(
                        fields.into_iter().filter(|conflict| !known.contains(&conflict.field)),
                    );
                }
                None => {
                    let message = read.describe(old, now);
                    elsewhere.push(Elsewhere { read: read.clone(), message, fields });
                }
            }
        }
        Self { set: ChangeSet::in_this_order(changes), moved, elsewhere, is_same }
    }

    /// Returns whether nothing that counts has moved.
    pub(crate) fn is_none(&self) -> bool {
        self.moved.is_empty() && self.elsewhere.is_empty()
    }
}

/// Rebases a change on the present board if nothing that it writes has moved.
fn rest_on_now(change: &mut Change, now: &Snapshot, ledger: &Ledger) -> Result<(), Moved> {
    let written = |part: Part| ledger.has(&change.id(), &part);
    let done = (written(Part::Itself), written(Part::Details));
    match &mut change.write {
        Write::Plan(edit) => {
            let id = edit.known().id.clone();
            rest_edit_on(edit, now.plan(&id))
        }
        Write::PlanDetails { plan, edit, .. } => rest_edit_on(edit, now.plan_details(plan)),
        Write::Bucket(edit) => {
            let id = edit.known().id.clone();
            rest_edit_on(edit, now.bucket(&id))
        }
        Write::Task(edit) => rest_task_on(edit, now, done, &change.reads),
        Write::Comment(edit) => stay_on(edit.known(), now, ledger),
    }
}

/// Checks that the task of a comment is still where the comment was judged: in the same plan, and in
/// sight of the actor (rule R4).
fn stay_on(comment: &NewComment, now: &Snapshot, ledger: &Ledger) -> Result<(), Moved> {
    let task = &comment.task;
    // The board was read before this run created the task.
    if task.is_provisional() || ledger.made(task.as_str()) {
        return Ok(());
    }
    if now.task(task).is_some_and(|task| task.value.plan == comment.plan) {
        return Ok(());
    }
    let message = "someone else deleted its task, or moved it to another plan, since it was read";
    Err(Moved { fields: Vec::new(), message: Some(message.to_owned()), may_replay: true })
}

const GONE: Moved = Moved { fields: Vec::new(), message: None, may_replay: true };

fn moved(fields: Vec<FieldConflict>) -> Moved {
    Moved { fields, message: None, may_replay: true }
}

fn conflicts<T: Fields>(
    base: &T,
    ours: &T,
    theirs: &T,
    reads: &BTreeSet<Field>,
) -> Result<(), Moved> {
    match merge(base, ours, theirs, reads) {
        Merge::Rebase => Ok(()),
        Merge::Conflict(fields) => Err(moved(fields)),
    }
}

fn rest_edit_on<T: Fields + Clone>(
    edit: &mut Edit<T, ETag>,
    now: Option<&Versioned<T>>,
) -> Result<(), Moved> {
    // For a deletion the tag decides at the service, for every field (design.md 2.3).
    let Edit::Update { before, after, .. } = edit else { return Ok(()) };
    let now = now.ok_or(GONE)?;
    // No reads here: `from_boards` compares them one by one, with those of other entities.
    conflicts(before, after, &now.value, &BTreeSet::new())?;
    rest_on(edit, &now.value, &now.etag);
    Ok(())
}

/// Rebases a task with its details and positions, but for the parts that are written.
fn rest_task_on(
    edit: &mut Edit<TaskState, TaskBasis>,
    now: &Snapshot,
    (has_itself, has_details): (bool, bool),
    reads: &BTreeSet<Field>,
) -> Result<(), Moved> {
    match edit {
        Edit::Create { .. } => Ok(()),
        Edit::Delete { before, basis } => match now.task(&before.task.id) {
            // Any change since the read is a reason not to delete the task.
            // Its tag moves even when only the description is edited (planner-api.md 3.5).
            Some(task) if task.etag != basis.task => {
                let theirs = TaskState { task: task.value.clone(), ..before.clone() };
                let all = TaskState::FIELDS.iter().copied().collect();
                let fields = match merge(before, before, &theirs, &all) {
                    Merge::Rebase => Vec::new(),
                    Merge::Conflict(fields) => fields,
                };
                // A program that did not read the field that moved would only decide the same
                // again.
                let may_replay = fields.iter().any(|conflict| reads.contains(&conflict.field));
                Err(Moved { fields, message: None, may_replay })
            }
            // If it is gone already, the service's 404 ends the deletion, and there is no conflict.
            _ => Ok(()),
        },
        Edit::Update { before, after, basis } => {
            let id = before.task.id.clone();
            let task = now.task(&id).ok_or(GONE)?;
            let (mut theirs, mut tags) = (before.clone(), basis.clone());
            // A part that is written is not compared again.
            if !has_itself {
                theirs.task.clone_from(&task.value);
                tags.task.clone_from(&task.etag);
            }
            if before.details.is_some() && !has_details {
                let details = now.details(&id).ok_or(GONE)?;
                theirs.details = Some(details.value.clone());
                tags.details = Some(details.etag.clone());
            }
            for board in before.places.keys() {
                let place = now.place(&id, *board).ok_or(GONE)?;
                theirs.places.insert(*board, place.value.clone());
                tags.places.insert(*board, place.etag.clone());
            }
            conflicts(before, after, &theirs, &BTreeSet::new())?;
            rest_on(edit, &theirs, &tags);
            Ok(())
        }
    }
}

/// Returns whether all that a set would write is there already, by whoever's doing: what it sets
/// is set, and what it deletes is gone. What is to be created never is.
pub(crate) fn is_there(set: &ChangeSet, now: &Snapshot) -> bool {
    set.changes().iter().all(|change| match &change.write {
        Write::Plan(edit) => edit_is_there(edit, now.plan(&edit.known().id)),
        Write::PlanDetails { plan, edit, .. } => edit_is_there(edit, now.plan_details(plan)),
        Write::Bucket(edit) => edit_is_there(edit, now.bucket(&edit.known().id)),
        Write::Comment(_) => false,
        Write::Task(edit) => {
            let id = &edit.known().task.id;
            match (&**edit, now.task(id)) {
                (Edit::Create { .. }, _) | (Edit::Update { .. }, None) => false,
                (Edit::Delete { .. }, task) => task.is_none(),
                (Edit::Update { before, after, .. }, Some(task)) => {
                    let place = |board| Some((board, now.place(id, board)?.value.clone()));
                    let theirs = TaskState {
                        task: task.value.clone(),
                        details: now.details(id).map(|details| details.value.clone()),
                        places: before.places.keys().copied().filter_map(place).collect(),
                    };
                    let is_known = before.details.is_some() == theirs.details.is_some()
                        && before.places.len() == theirs.places.len();
                    is_known && holds(before, after, &theirs)
                }
            }
        }
    })
}

fn edit_is_there<T: Fields, B>(edit: &Edit<T, B>, now: Option<&Versioned<T>>) -> bool {
    match (edit, now) {
        (Edit::Create { .. }, _) | (Edit::Update { .. }, None) => false,
        (Edit::Delete { .. }, now) => now.is_none(),
        (Edit::Update { before, after, .. }, Some(now)) => holds(before, after, &now.value),
    }
}

/// Returns whether a deletion takes along only the tasks it was judged with, apart from those that
/// the same set moves or deletes itself.
fn takes_only(change: &Change, now: &Snapshot, own: &BTreeSet<TaskId>) -> bool {
    let mut tasks = now.tasks().map(|task| &task.value).filter(|task| goes_with(change, task));
    tasks.all(|task| change.takes_along.contains(&task.id) || own.contains(&task.id))
}

/// Returns whether a task is taken along when a change deletes its bucket or plan.
pub(crate) fn goes_with(change: &Change, task: &Task) -> bool {
    match &change.write {
        _ if change.op() != Op::Delete => false,
        Write::Bucket(edit) => task.bucket.as_ref() == Some(&edit.known().id),
        Write::Plan(edit) => task.plan == edit.known().id,
        Write::PlanDetails { .. } | Write::Task(_) | Write::Comment(_) => false,
    }
}
