//! Bringing a run's snapshot up to date, where a conflict asks for it: the only way in which what a
//! run has read ever changes (design.md 2.3).

use std::collections::BTreeSet;

use crate::change::apply::{Part, Progress, Seen};
use crate::change::{Change, ChangeSet, EntityId};
use crate::host::Session;
use crate::host::apply::current::Now;
use crate::model::TaskId;
use crate::model::snapshot::Snapshot;

impl Session {
    /// Puts a set in the place of what is wanted: the same wishes, resting on newer states.
    pub(crate) fn rest_on(&self, set: &ChangeSet) {
        self.state().draft.rest_on(set);
    }

    /// Forgets what was looked at beside what a set rests on: those who look are to look again.
    pub(crate) fn forget_other_reads(&self, set: &ChangeSet) {
        let mut state = self.state();
        state.lists.clear();
        state.draft.forget_reads_but_of(set);
    }

    /// Takes up everything that was read again. What the run has written keeps the state it was in
    /// before, and what it has made is not there.
    pub(crate) fn renew(&self, now: Now, written: &Progress) {
        let all_made: BTreeSet<&str> = written.ids().values().map(String::as_str).collect();
        let made = |id: &str| all_made.contains(id);
        let touched = |id: EntityId| written.has_written(&id);
        let state = &mut *self.state();
        let snapshot = &mut state.snapshot;
        for (id, plan) in now.plans {
            if !touched(EntityId::Plan(id.clone())) {
                snapshot.renew_plan(id, plan);
            }
        }
        for (id, details) in now.plan_details {
            if !touched(EntityId::PlanDetails(id.clone())) {
                snapshot.renew_plan_details(id, details);
            }
        }
        for (id, bucket) in now.buckets {
            if !touched(EntityId::Bucket(id.clone())) && !made(id.as_str()) {
                snapshot.renew_bucket(id, bucket);
            }
        }
        let other = |id: &TaskId| !touched(EntityId::Task(id.clone())) && !made(id.as_str());
        for (id, task) in now.tasks {
            if other(&id) {
                snapshot.renew_task(id, task);
            }
        }
        for (id, details) in now.details {
            if other(&id) {
                snapshot.renew_details(id, details);
            }
        }
        for ((id, board), place) in now.places {
            if other(&id) {
                snapshot.renew_place(id, board, place);
            }
        }
        for gone in now.gone {
            if !touched(gone.clone()) {
                forget(snapshot, &gone);
            }
        }
        for (plan, mut ids) in now.task_lists {
            ids.retain(|it| !made(it.as_str()));
            // One that the run has moved or deleted is where it was; others that left are gone.
            let was_listed = snapshot.tasks_of(&plan).is_some();
            let there: BTreeSet<TaskId> = ids.iter().cloned().collect();
            for id in snapshot.tasks_in(&plan) {
                if there.contains(&id) || made(id.as_str()) {
                    continue;
                }
                let went = snapshot.task(&id).is_some_and(|it| written.has_touched(&it.value));
                if went {
                    ids.push(id);
                } else {
                    snapshot.forget_task(&id);
                }
            }
            if was_listed {
                snapshot.renew_tasks_of(plan, ids);
            }
        }
        for (plan, mut ids) in now.bucket_lists {
            ids.retain(|it| !made(it.as_str()));
            let was_listed = snapshot.buckets_of(&plan).is_some();
            for id in snapshot.buckets_in(&plan) {
                if ids.contains(&id) || made(id.as_str()) {
                    continue;
                }
                if touched(EntityId::Bucket(id.clone())) {
                    ids.push(id);
                } else {
                    snapshot.forget_bucket(&id);
                }
            }
            if was_listed {
                snapshot.renew_buckets_of(plan, ids);
            }
        }
        if let Some(mut ids) = now.mine {
            ids.retain(|it| !made(it.as_str()));
            for id in snapshot.my_tasks().unwrap_or_default() {
                if touched(EntityId::Task(id.clone())) && !ids.contains(id) {
                    ids.push(id.clone());
                }
            }
            snapshot.renew_my_tasks(ids);
        }
    }

    /// Takes up what single requests were found to have moved.
    pub(crate) fn renew_parts<'a>(
        &self,
        parts: impl Iterator<Item = (&'a Change, &'a Part, Option<&'a Seen>)>,
    ) {
        let state = &mut *self.state();
        let snapshot = &mut state.snapshot;
        for (change, part, seen) in parts {
            let id = change.id();
            match (seen, id, part) {
                (None, id, _) => forget(snapshot, &id),
                (Some(Seen::Plan(it)), EntityId::Plan(id), _) => {
                    snapshot.renew_plan(id, (**it).clone());
                }
                (Some(Seen::PlanDetails(it)), EntityId::PlanDetails(id), _) => {
                    snapshot.renew_plan_details(id, it.clone());
                }
                (Some(Seen::Bucket(it)), EntityId::Bucket(id), _) => {
                    snapshot.renew_bucket(id, (**it).clone());
                }
                (Some(Seen::Task(it)), EntityId::Task(id), _) => {
                    snapshot.renew_task(id, (**it).clone());
                }
                (Some(Seen::Details(it)), EntityId::Task(id), _) => {
                    snapshot.renew_details(id, (**it).clone());
                }
                (Some(Seen::Place(it)), EntityId::Task(id), Part::Place(board)) => {
                    snapshot.renew_place(id, *board, it.clone());
                }
                _ => {}
            }
        }
    }
}

fn forget(snapshot: &mut Snapshot, id: &EntityId) {
    match id {
        EntityId::Plan(id) => snapshot.forget_plan(id),
        EntityId::PlanDetails(_) => {}
        EntityId::Bucket(id) => snapshot.forget_bucket(id),
        EntityId::Task(id) => snapshot.forget_task(id),
    }
}
