//! The before-images of deletions, read right before them so that they can be undone.

use std::collections::{BTreeMap, BTreeSet};

use crate::change::{Change, Edit, Op, TakenAlong, TaskState, Write};
use crate::graph::{Client, Error};
use crate::host::apply::drift::goes_with;
use crate::host::broker;
use crate::model::snapshot::Snapshot;
use crate::model::{Board, Bucket, PlanDetails, Task, TaskDetails, TaskId, Versioned};
use crate::wire::request;

/// Completes the images of everything that is to be deleted: the details and the place of each
/// task, and all that a bucket or plan takes along.
pub(crate) async fn keep(
    client: &Client,
    changes: &mut [&mut Change],
    now: &Snapshot,
) -> Result<(), Error> {
    let tasks: BTreeSet<TaskId> = changes
        .iter()
        .flat_map(|change| match &change.write {
            Write::Task(edit) if edit.after().is_none() => vec![edit.known().task.id.clone()],
            _ => lost_tasks(change, now).map(|task| task.id.clone()).collect(),
        })
        .collect();
    let client = &client.patient();
    let parts = Parts::read(client, &tasks, now).await?;
    for change in changes.iter_mut().filter(|change| change.op() == Op::Delete) {
        let mut lost = TakenAlong {
            tasks: lost_tasks(change, now).map(|task| parts.state(task)).collect(),
            ..TakenAlong::default()
        };
        match &mut change.write {
            Write::Task(edit) => {
                if let Edit::Delete { before, .. } = &mut **edit {
                    // The image is the state that is deleted, newer than the one that the run read.
                    let task = now.task(&before.task.id).map(|read| read.value.clone());
                    *before = parts.state(&task.unwrap_or_else(|| before.task.clone()));
                }
            }
            Write::Plan(edit) if edit.after().is_none() => {
                let plan = &edit.known().id;
                // Labels and buckets vanish with the plan (planner-api.md 7.8), and the run need
                // not have read them.
                let read = request::plan_details(plan);
                let details = client.read::<Versioned<PlanDetails>>(&read).await?;
                let read = request::plan_buckets(plan);
                let buckets = client.list::<Versioned<Bucket>>(&read).await?;
                lost.details = Some(details.value);
                lost.buckets = buckets.into_iter().map(|bucket| bucket.value).collect();
            }
            Write::Plan(_) | Write::PlanDetails { .. } | Write::Bucket(_) | Write::Comment(_) => {}
        }
        change.lost = lost;
    }
    Ok(())
}

/// Returns the tasks that a deleted bucket or plan takes along.
fn lost_tasks<'a>(change: &Change, now: &'a Snapshot) -> impl Iterator<Item = &'a Task> {
    now.tasks().map(|task| &task.value).filter(move |task| goes_with(change, task))
}

/// The parts of tasks that are read separately.
struct Parts {
    details: BTreeMap<TaskId, TaskDetails>,
    places: BTreeMap<TaskId, crate::model::BoardPlace>,
}

impl Parts {
    async fn read(client: &Client, ids: &BTreeSet<TaskId>, now: &Snapshot) -> Result<Self, Error> {
        let bare = |id: &&TaskId| now.task(id).is_some_and(|task| task.value.has_bare_details());
        // Details known to be empty cost no request.
        let full = ids.iter().filter(|id| !bare(id)).cloned().collect();
        let details = broker::details(client, full).await?;
        let places = broker::places(client, Board::Bucket, ids.iter().cloned().collect()).await?;
        Ok(Self {
            details: details.into_iter().map(|(id, details)| (id, details.value)).collect(),
            places: places.into_iter().map(|(id, place)| (id, place.value)).collect(),
        })
    }

    fn state(&self, task: &Task) -> TaskState {
        let place = self.places.get(&task.id).cloned();
        TaskState {
            task: task.clone(),
            // Left out by `read`: known to be empty, or deleted with the task in the meantime.
            details: Some(self.details.get(&task.id).cloned().unwrap_or_default()),
            places: place.into_iter().map(|place| (Board::Bucket, place)).collect(),
        }
    }
}
