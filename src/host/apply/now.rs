//! What is there now, and whether a change may rest on it.

use std::collections::{BTreeMap, BTreeSet};

use crate::change::{
    Change, Edit, Entity, FieldConflict, Fields, Merge, Op, TaskBasis, TaskState, Write, merge,
};
use crate::graph::{Client, Error};
use crate::host::apply::Reads;
use crate::host::broker::{self, in_lanes};
use crate::model::{
    Board, BoardPlace, Bucket, ETag, Plan, PlanDetails, PlanId, Task, TaskDetails, TaskId,
    Versioned,
};
use crate::wire::{Request, request};

/// From so many tasks of one plan on, the plan's list is one read for all of them.
const LIST_FROM: usize = 4;

/// The present state of everything that a set changes.
#[derive(Default)]
pub(crate) struct Now {
    pub(crate) plans: BTreeMap<PlanId, Versioned<Plan>>,
    pub(crate) plan_details: BTreeMap<PlanId, Versioned<PlanDetails>>,
    pub(crate) buckets: BTreeMap<String, Versioned<Bucket>>,
    pub(crate) tasks: BTreeMap<TaskId, Versioned<Task>>,
    pub(crate) details: BTreeMap<TaskId, Versioned<TaskDetails>>,
    pub(crate) places: BTreeMap<(TaskId, Board), Versioned<BoardPlace>>,
}

impl Now {
    /// Reads it: one list for many tasks of a plan, single reads for few.
    pub(crate) async fn read(client: &Client, changes: &[Change]) -> Result<Self, Error> {
        let mut now = Self::default();
        let mut by_plan: BTreeMap<PlanId, Vec<TaskId>> = BTreeMap::new();
        // What goes with a bucket or plan is known from the plan's list only.
        let mut to_list: BTreeSet<PlanId> = changes
            .iter()
            .filter(|it| it.op() == Op::Delete && it.entity() != Entity::Task)
            .map(|it| it.plan().clone())
            .collect();
        let (mut plans, mut plan_details) = (Vec::new(), Vec::new());
        let (mut buckets, mut details) = (Vec::new(), Vec::new());
        let mut places: BTreeMap<Board, Vec<TaskId>> = BTreeMap::new();
        for change in changes.iter().filter(|it| it.op() != Op::Create) {
            match &change.write {
                Write::Plan(edit) => plans.push(edit.known().id.clone()),
                Write::PlanDetails { plan, .. } => plan_details.push(plan.clone()),
                Write::Bucket(edit) => buckets.push(edit.known().id.clone()),
                Write::Task(edit) => {
                    let task = &edit.known().task;
                    by_plan.entry(task.plan.clone()).or_default().push(task.id.clone());
                    if edit.known().details.is_some() {
                        details.push(task.id.clone());
                    }
                    for board in edit.known().places.keys() {
                        places.entry(*board).or_default().push(task.id.clone());
                    }
                }
            }
        }
        let mut singles = Vec::new();
        for (plan, ids) in by_plan {
            if to_list.contains(&plan) {
                continue;
            }
            if ids.len() < LIST_FROM {
                singles.extend(ids);
            } else {
                to_list.insert(plan);
            }
        }
        for plan in to_list {
            let list = match client.list::<Versioned<Task>>(&request::plan_tasks(&plan)).await {
                Err(error) if error.is_not_found() => continue,
                other => other?,
            };
            now.tasks.extend(list.into_iter().map(|it| (it.value.id.clone(), it)));
        }
        let requests = singles.iter().map(request::task).collect();
        for task in read_all::<Task>(client, requests).await? {
            now.tasks.insert(task.value.id.clone(), task);
        }
        let requests = plans.iter().map(request::plan).collect();
        for plan in read_all::<Plan>(client, requests).await? {
            now.plans.insert(plan.value.id.clone(), plan);
        }
        let read = |client: Client, id: PlanId| async move {
            let read = client.read::<Versioned<PlanDetails>>(&request::plan_details(&id)).await;
            Ok(found(read)?.map(|it| (id, it)))
        };
        let read = in_lanes(plan_details, read, client).await?;
        now.plan_details.extend(read.into_iter().flatten());
        let requests = buckets.iter().map(request::bucket).collect();
        for bucket in read_all::<Bucket>(client, requests).await? {
            now.buckets.insert(bucket.value.id.to_string(), bucket);
        }
        now.details.extend(broker::details(client, details).await?);
        for (board, tasks) in places {
            let read = broker::places(client, board, tasks).await?;
            now.places.extend(read.into_iter().map(|(id, place)| ((id, board), place)));
        }
        Ok(now)
    }
}

fn found<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

async fn read_all<T>(client: &Client, requests: Vec<Request>) -> Result<Vec<Versioned<T>>, Error>
where
    Versioned<T>: crate::wire::Decoded + Send + 'static,
{
    let read = |client: Client, request: Request| async move {
        found(client.read::<Versioned<T>>(&request).await)
    };
    Ok(in_lanes(requests, read, client).await?.into_iter().flatten().collect())
}

/// Rests an edit on the present state if nothing that it read or writes has moved.
pub(crate) fn rebase<T: Fields + Clone>(
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
pub(crate) fn rebase_task(
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
pub(crate) fn takes_only(change: &Change, now: &Now, own: &BTreeSet<TaskId>) -> bool {
    let goes = |task: &Task| match &change.write {
        Write::Bucket(Edit::Delete { before, .. }) => task.bucket.as_ref() == Some(&before.id),
        Write::Plan(edit) => edit.after().is_none() && task.plan == edit.known().id,
        _ => false,
    };
    let mut tasks = now.tasks.values().map(|it| &it.value).filter(|it| goes(it));
    tasks.all(|it| change.takes_along.contains(&it.id) || own.contains(&it.id))
}
