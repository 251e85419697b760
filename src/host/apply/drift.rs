//! Validate, then write: what a run rests on, compared by value with what is there now
//! (design.md 2.3).
//!
//! Planner accepts a stale tag when the fields do not collide, so a tag alone protects no
//! decision: everything that the run read counts, of what it changes and of what it does not. No
//! I/O here.

use std::collections::{BTreeMap, BTreeSet};

use crate::change::apply::Progress;
use crate::change::{
    Change, ChangeSet, Edit, EntityId, Field, FieldConflict, Fields, Merge, Op, TaskBasis,
    TaskState, Write, merge,
};
use crate::host::apply::current::{Now, ReadSet, Reads};
use crate::host::apply::outcome::Outcome;
use crate::host::session::read_set::ListRead;
use crate::model::snapshot::Snapshot;
use crate::model::{Bucket, BucketId, ETag, Task, TaskDetails, TaskId, Versioned};

/// What comes of comparing what a run rests on with what is there now.
#[derive(Debug)]
pub(crate) struct Check {
    /// The set, resting on what is there now wherever nothing has moved that it read or writes.
    pub(crate) set: ChangeSet,
    /// What has moved of what it changes, by the number of the change.
    pub(crate) moved: BTreeMap<usize, Moved>,
    /// What has moved of what it only read.
    pub(crate) elsewhere: Vec<Elsewhere>,
    /// Whether anything at all is another, if only a field that nobody looked at.
    pub(crate) is_same: bool,
}

/// A change whose entity has moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Moved {
    /// Both sides of each field; empty if it is gone.
    pub(crate) fields: Vec<FieldConflict>,
    /// What there is to say, if it is not about fields.
    pub(crate) message: Option<String>,
    /// Whether the program may decide anew: not of a deletion that did not look at what moved.
    pub(crate) may_replay: bool,
}

impl Moved {
    /// What the change comes to, unless it is drafted anew.
    pub(crate) fn outcome(self) -> Outcome {
        let mut outcome = Outcome::conflict(self.fields);
        if let (Some(message), Some(error)) = (self.message, outcome.error.as_mut()) {
            error.message = message;
        }
        outcome
    }
}

/// Something read that has moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Elsewhere {
    /// What counts its replays.
    pub(crate) key: String,
    /// What there is to say.
    pub(crate) message: String,
    /// Both sides of each field.
    pub(crate) fields: Vec<FieldConflict>,
}

/// Compares. What the run has written itself is left out.
pub(crate) fn check(
    set: &ChangeSet,
    reads: &ReadSet,
    old: &Snapshot,
    now: &Now,
    progress: &Progress,
) -> Check {
    let mut changes = set.changes().to_vec();
    let own: BTreeSet<TaskId> = changes
        .iter()
        .filter_map(|it| match it.id() {
            EntityId::Task(id) => Some(id),
            _ => None,
        })
        .collect();
    let (mut moved, mut is_same) = (BTreeMap::new(), true);
    let mut compared = BTreeSet::new();
    for change in &mut changes {
        compared.insert(change.id());
        if progress.has_written(&change.id()) {
            continue;
        }
        let before = change.clone();
        let takes_more = !takes_only(change, now, &own);
        let result = match &mut change.write {
            Write::Plan(edit) => rebase(edit, now.plans.get(&edit.known().id), &change.reads),
            Write::PlanDetails { plan, edit, .. } => {
                rebase(edit, now.plan_details.get(plan), &change.reads)
            }
            Write::Bucket(edit) => rebase(edit, now.buckets.get(&edit.known().id), &change.reads),
            Write::Task(edit) => rebase_task(edit, now, &change.reads),
        };
        is_same &= before.wants_same(change) && before.rests_on_same(change);
        let is_delete = change.op() == Op::Delete;
        match result {
            Err(fields) => {
                // Who deletes without a look at what has moved since is not asked twice.
                let looked = fields.iter().any(|it| change.reads.contains(&it.field));
                let may_replay = !is_delete || looked;
                moved.insert(change.n, Moved { fields, message: None, may_replay });
            }
            Ok(()) if takes_more => {
                let message = "someone else has put tasks into it since it was read".to_owned();
                let (fields, may_replay) = (Vec::new(), false);
                moved.insert(change.n, Moved { fields, message: Some(message), may_replay });
            }
            Ok(()) => {}
        }
    }
    let mut elsewhere = Vec::new();
    for (entity, fields) in &reads.fields {
        if !compared.contains(entity) && !progress.has_written(entity) {
            elsewhere.extend(read_moved(entity, fields, old, now));
        }
    }
    for list in &reads.lists {
        if list_moved(list, old, now, progress) {
            let message = format!("someone else changed {} since it was read", list.says());
            elsewhere.push(Elsewhere { key: format!("{list:?}"), message, fields: Vec::new() });
        }
    }
    Check { set: ChangeSet::numbered(changes), moved, elsewhere, is_same }
}

/// Compares what was read of an entity that the run does not change.
fn read_moved(entity: &EntityId, fields: &Reads, old: &Snapshot, now: &Now) -> Option<Elsewhere> {
    fn of<T: Fields>(old: &T, now: &T, fields: &Reads) -> Vec<FieldConflict> {
        // Nothing is written there: only what was read can collide.
        match merge(old, old, now, fields) {
            Merge::Rebase => Vec::new(),
            Merge::Conflict(fields) => fields,
        }
    }
    let (moved, is_gone, title) = match entity {
        EntityId::Plan(id) => {
            let (old, new) = (old.plan(id)?, now.plans.get(id));
            let moved = new.map_or(Vec::new(), |it| of(&old.value, &it.value, fields));
            (moved, new.is_none(), old.value.title.clone())
        }
        EntityId::PlanDetails(id) => {
            let (old, new) = (old.plan_details(id)?, now.plan_details.get(id)?);
            (of(&old.value, &new.value, fields), false, "the details of the plan".to_owned())
        }
        EntityId::Bucket(id) => {
            let (old, new) = (old.bucket(id)?, now.buckets.get(id));
            let moved = new.map_or(Vec::new(), |it| of(&old.value, &it.value, fields));
            (moved, new.is_none(), old.value.name.clone())
        }
        EntityId::Task(id) => {
            let (before, after) = (old.task(id)?, now.tasks.get(id));
            let title = before.value.title.clone();
            let Some(after) = after else {
                let (key, message) = (format!("{entity:?}"), gone(&title));
                return Some(Elsewhere { key, message, fields: Vec::new() });
            };
            let looked_into = fields.iter().any(|it| it.is_in_details());
            let was_bare = looked_into && old.details(id).is_none();
            let state = |task: &Task, details: Option<&TaskDetails>| TaskState {
                task: task.clone(),
                details: details.cloned(),
                places: BTreeMap::new(),
            };
            let (there, here) = (old.details(id), now.details.get(id));
            let before = state(&before.value, there.map(|it| &it.value));
            // Details that can not be compared have not been read.
            let now_details = there.and(here).map(|it| &it.value).or(there.map(|it| &it.value));
            let mut moved = of(&before, &state(&after.value, now_details), fields);
            if was_bare && !after.value.has_bare_details() {
                moved.push(FieldConflict {
                    field: Field::Description,
                    base: serde_json::Value::Null,
                    theirs: serde_json::Value::Null,
                    ours: serde_json::Value::Null,
                });
            }
            (moved, false, title)
        }
    };
    if is_gone {
        let (key, message) = (format!("{entity:?}"), gone(&title));
        return Some(Elsewhere { key, message, fields: Vec::new() });
    }
    if moved.is_empty() {
        return None;
    }
    let names: Vec<_> = moved.iter().map(|it| it.field.name()).collect();
    let message =
        format!("someone else changed {} of `{title}` since it was read", names.join(", "));
    Some(Elsewhere { key: format!("{entity:?}"), message, fields: moved })
}

fn gone(title: &str) -> String {
    format!("someone else deleted `{title}` since it was read")
}

/// Answers a question from what was read and from what is there now. What the run itself has made
/// is not there for it, and what it has changed is as it was.
fn list_moved(list: &ListRead, old: &Snapshot, now: &Now, progress: &Progress) -> bool {
    let made: BTreeSet<&str> = progress.ids().values().map(String::as_str).collect();
    if let Some(plan) = list.tasks_of() {
        let Some(before) = old.tasks_of(plan) else { return false };
        let Some(after) = now.task_lists.get(plan) else { return !before.is_empty() };
        let of_old = |id: &TaskId| old.task(id).map(|it| it.value.clone());
        let written = |id: &TaskId| old.task(id).is_some_and(|it| progress.has_touched(&it.value));
        let was: Vec<Task> = before.iter().filter_map(of_old).collect();
        let deleted = before.iter().filter(|id| written(id) && !after.contains(id));
        let is: Vec<Task> = after
            .iter()
            .filter(|id| !made.contains(id.as_str()))
            .filter_map(|id| match written(id) {
                true => of_old(id),
                false => now.tasks.get(id).map(|it| it.value.clone()),
            })
            .chain(deleted.filter_map(of_old))
            .collect();
        return list.in_tasks(&was) != list.in_tasks(&is);
    }
    if let Some(plan) = list.buckets_of() {
        let Some(before) = old.buckets_of(plan) else { return false };
        let Some(after) = now.bucket_lists.get(plan) else { return !before.is_empty() };
        let of_old = |id: &BucketId| old.bucket(id).map(|it| it.value.clone());
        let written = |id: &BucketId| progress.has_written(&EntityId::Bucket(id.clone()));
        if before.iter().any(written) {
            // Its own changes of their order would be taken for another's.
            return false;
        }
        let was: Vec<Bucket> = before.iter().filter_map(of_old).collect();
        let is = after.iter().filter(|id| !made.contains(id.as_str()));
        let is: Vec<Bucket> =
            is.filter_map(|id| now.buckets.get(id).map(|it| it.value.clone())).collect();
        return list.in_buckets(&was) != list.in_buckets(&is);
    }
    match (old.my_tasks(), &now.mine) {
        (Some(before), Some(after)) => {
            let other = |id: &&TaskId| {
                !made.contains(id.as_str()) && !progress.has_written(&EntityId::Task((*id).clone()))
            };
            let was: BTreeSet<&TaskId> = before.iter().filter(other).collect();
            let is: BTreeSet<&TaskId> = after.iter().filter(other).collect();
            was != is
        }
        _ => false,
    }
}

/// Rests an edit on the present state if nothing that it read or writes has moved.
fn rebase<T: Fields + Clone>(
    edit: &mut Edit<T, ETag>,
    now: Option<&Versioned<T>>,
    reads: &Reads,
) -> Result<(), Vec<FieldConflict>> {
    match edit {
        // The service tells of a deletion whether the entity moved on.
        Edit::Create { .. } | Edit::Delete { .. } => Ok(()),
        Edit::Update { before, after, basis } => {
            let now = now.ok_or_else(Vec::new)?;
            rebase_values(before, after, now.value.clone(), reads)?;
            basis.clone_from(&now.etag);
            Ok(())
        }
    }
}

/// The same for a task and its details.
fn rebase_task(
    edit: &mut Edit<TaskState, TaskBasis>,
    now: &Now,
    reads: &Reads,
) -> Result<(), Vec<FieldConflict>> {
    match edit {
        Edit::Create { .. } => Ok(()),
        Edit::Delete { before, basis } => match now.tasks.get(&before.task.id) {
            // Anything at all that happened to it since is a reason not to delete it.
            Some(task) if task.etag != basis.task => {
                let theirs = TaskState { task: task.value.clone(), ..before.clone() };
                let all = TaskState::FIELDS.iter().copied().collect();
                match merge(before, before, &theirs, &all) {
                    Merge::Rebase => Err(Vec::new()),
                    Merge::Conflict(fields) => Err(fields),
                }
            }
            _ => Ok(()),
        },
        Edit::Update { before, after, basis } => {
            let id = &before.task.id;
            let task = now.tasks.get(id).ok_or_else(Vec::new)?;
            let details = match &before.details {
                Some(_) => Some(now.details.get(id).ok_or_else(Vec::new)?),
                None => None,
            };
            let mut places = BTreeMap::new();
            for board in before.places.keys() {
                let place = now.places.get(&(id.clone(), *board)).ok_or_else(Vec::new)?;
                places.insert(*board, place.clone());
            }
            let theirs = TaskState {
                task: task.value.clone(),
                details: details.map(|it| it.value.clone()),
                places: places.iter().map(|(board, it)| (*board, it.value.clone())).collect(),
            };
            rebase_values(before, after, theirs, reads)?;
            basis.task = task.etag.clone();
            basis.details = details.map(|it| it.etag.clone());
            basis.places = places.into_iter().map(|(board, it)| (board, it.etag)).collect();
            Ok(())
        }
    }
}

fn rebase_values<T: Fields + Clone>(
    before: &mut T,
    after: &mut T,
    theirs: T,
    reads: &Reads,
) -> Result<(), Vec<FieldConflict>> {
    match merge(before, after, &theirs, reads) {
        Merge::Conflict(fields) => Err(fields),
        Merge::Rebase => {
            let mut wanted = theirs.clone();
            wanted.graft(before, after);
            (*before, *after) = (theirs, wanted);
            Ok(())
        }
    }
}

/// Tells whether a deletion would take along only what it was to take along, or what the same
/// set moves or deletes itself.
fn takes_only(change: &Change, now: &Now, own: &BTreeSet<TaskId>) -> bool {
    let goes = |task: &Task| match &change.write {
        Write::Bucket(Edit::Delete { before, .. }) => task.bucket.as_ref() == Some(&before.id),
        Write::Plan(edit) => edit.after().is_none() && task.plan == edit.known().id,
        _ => false,
    };
    let mut tasks = now.tasks.values().map(|it| &it.value).filter(|it| goes(it));
    tasks.all(|it| change.takes_along.contains(&it.id) || own.contains(&it.id))
}
