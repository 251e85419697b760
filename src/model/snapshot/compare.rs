//! Two snapshots of one board, the second read later. The run's own writes are taken out before
//! they are compared, or each would look like somebody else's; newer values are adopted afterwards.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::board::Board;
use crate::model::etag::Versioned;
use crate::model::id::{BucketId, GroupId, PlanId, RosterId, TaskId, UserId};
use crate::model::snapshot::Snapshot;
use crate::model::task::Task;

/// The writes of a run itself, so that they are not taken for somebody else's.
pub trait Own {
    /// Returns whether the run created the entity with this id.
    fn made(&self, id: &str) -> bool;
    /// Returns whether the run wrote the plan itself.
    fn plan(&self, id: &PlanId) -> bool;
    /// Returns whether the run wrote the details of the plan.
    fn plan_details(&self, id: &PlanId) -> bool;
    /// Returns whether the run wrote the bucket.
    fn bucket(&self, id: &BucketId) -> bool;
    /// Returns whether the run wrote the task itself.
    fn task(&self, id: &TaskId) -> bool;
    /// Returns whether the run deleted the task, by itself or with its bucket or plan.
    fn took(&self, task: &Task) -> bool;
    /// Returns whether the run wrote the details of the task.
    fn details(&self, id: &TaskId) -> bool;
    /// Returns whether the run wrote the place of the task on a board.
    fn place(&self, id: &TaskId, board: Board) -> bool;
}

impl Snapshot {
    /// Replaces whatever is older here than in `old`: a copy of the service may lag behind.
    pub fn keep_newer(&mut self, old: &Self) {
        keep_newer(&mut self.plans, &old.plans);
        keep_newer(&mut self.plan_details, &old.plan_details);
        keep_newer(&mut self.buckets, &old.buckets);
        keep_newer(&mut self.tasks, &old.tasks);
        keep_newer(&mut self.details, &old.details);
        keep_newer(&mut self.places, &old.places);
    }

    /// Takes out of a snapshot that was read later what the run itself has done since `old`:
    /// entities it wrote are as before, entities it created are absent, and entities it deleted are
    /// present.
    pub fn without(&mut self, own: &impl Own, old: &Self) {
        restore(&mut self.plans, &old.plans, |id, _| own.plan(id));
        restore(&mut self.plan_details, &old.plan_details, |id, _| own.plan_details(id));
        restore(&mut self.buckets, &old.buckets, |id, _| own.bucket(id));
        let took = |id: &TaskId| old.tasks.get(id).is_some_and(|task| own.took(&task.value));
        restore(&mut self.tasks, &old.tasks, |id, _| own.task(id) || took(id));
        restore(&mut self.details, &old.details, |id, _| own.details(id) || took(id));
        restore(&mut self.places, &old.places, |(id, board), _| own.place(id, *board) || took(id));
        let shared = |roster: &RosterId| {
            let mut plans = old.plans.iter();
            plans.any(|(id, plan)| plan.value.roster.as_ref() == Some(roster) && own.plan(id))
        };
        restore(&mut self.roster_members, &old.roster_members, |roster, _| shared(roster));
        self.plans.retain(|id, _| !own.made(id.as_str()));
        self.buckets.retain(|id, _| !own.made(id.as_str()));
        self.tasks.retain(|id, _| !own.made(id.as_str()));
        for comments in self.comments.values_mut() {
            comments.retain(|comment| !own.made(comment.id.as_str()));
        }
        // The lists are restored as well: a task that the run moved or deleted stands where it did.
        let tasks_here = &self.tasks;
        let listed = |list: &[TaskId], old: Option<&Vec<TaskId>>| -> Vec<TaskId> {
            let here: BTreeSet<&TaskId> = list.iter().collect();
            let ours = |id: &TaskId| tasks_here.contains_key(id) && (own.task(id) || took(id));
            let back = old.into_iter().flatten().filter(|id| !here.contains(id) && ours(id));
            list.iter().filter(|id| !own.made(id.as_str())).chain(back).cloned().collect()
        };
        let tasks: Vec<(PlanId, Vec<TaskId>)> = self
            .plan_tasks
            .iter()
            .map(|(plan, list)| (plan.clone(), listed(list, old.plan_tasks.get(plan))))
            .collect();
        let assigned: Vec<(UserId, Vec<TaskId>)> = self
            .assigned
            .iter()
            .map(|(user, list)| (user.clone(), listed(list, old.assigned.get(user))))
            .collect();
        self.assigned = assigned.into_iter().collect();
        for (plan, list) in tasks {
            self.set_task_list(&plan, list);
        }
        for plan in self.plan_buckets.keys().cloned().collect::<Vec<_>>() {
            let mut list = self.plan_buckets.remove(&plan).unwrap_or_default();
            list.retain(|id| !own.made(id.as_str()));
            let before = old.plan_buckets.get(&plan).into_iter().flatten();
            let back: Vec<BucketId> =
                before.filter(|id| own.bucket(id) && !list.contains(id)).cloned().collect();
            list.extend(back);
            self.set_bucket_list(plan, list);
        }
        if let Some(plans) = &mut self.all_plans {
            plans.retain(|id| !own.made(id.as_str()));
            let before = old.all_plans.iter().flatten();
            let back: Vec<PlanId> =
                before.filter(|id| own.plan(id) && !plans.contains(id)).cloned().collect();
            plans.extend(back);
        }
    }

    /// Carries over the list of plans within reach from `old` if it was not fetched again, without
    /// the plans that are `gone`.
    pub fn carry_plans(&mut self, old: &Self, gone: impl Fn(&PlanId) -> bool) {
        let Some(listed) = old.all_plans.as_ref().filter(|_| self.all_plans.is_none()) else {
            return;
        };
        let there: Vec<PlanId> = listed.iter().filter(|id| !gone(id)).cloned().collect();
        for id in &there {
            if let Some(plan) = old.plans.get(id) {
                self.add_plan(id.clone(), plan.clone());
            }
        }
        self.all_plans = Some(there);
    }

    /// Adopts the values of a later snapshot. A task or bucket that is missing from one of its
    /// lists was deleted.
    pub fn adopt(&mut self, later: Self) {
        self.has_outdated = later.has_outdated;
        for (plan, list) in &later.plan_tasks {
            let gone = |task: &Versioned<Task>| task.value.plan == *plan;
            let there: BTreeSet<&TaskId> = list.iter().collect();
            let gone: Vec<TaskId> = self
                .tasks
                .iter()
                .filter(|task| gone(task.1))
                .map(|task| task.0.clone())
                .filter(|id| !there.contains(id) && !later.tasks.contains_key(id))
                .collect();
            for id in &gone {
                self.tasks.remove(id);
                self.details.remove(id);
                self.assigned.values_mut().for_each(|list| list.retain(|other| other != id));
            }
            self.places.retain(|(id, _), _| self.tasks.contains_key(id));
        }
        for (plan, list) in &later.plan_buckets {
            self.buckets.retain(|id, bucket| bucket.value.plan != *plan || list.contains(id));
        }
        self.plans.extend(later.plans);
        self.plan_details.extend(later.plan_details);
        self.buckets.extend(later.buckets);
        self.tasks.extend(later.tasks);
        self.details.extend(later.details);
        self.places.extend(later.places);
        self.users.extend(later.users);
        self.user_lookups.extend(later.user_lookups);
        self.members.extend(later.members);
        self.roster_members.extend(later.roster_members);
        self.comments.extend(later.comments);
        self.assigned.extend(later.assigned);
        self.groups = later.groups.or(self.groups.take());
        self.all_plans = later.all_plans.or(self.all_plans.take());
        // Only lists that the run has read are replaced: a refresh lists a whole plan even if
        // single tasks of it were read.
        for (plan, list) in later.plan_tasks {
            if self.plan_tasks.contains_key(&plan) {
                self.set_task_list(&plan, list);
            }
        }
        for (plan, list) in later.plan_buckets {
            if self.plan_buckets.contains_key(&plan) {
                self.set_bucket_list(plan, list);
            }
        }
        for plan in self.titles.keys().cloned().collect::<Vec<_>>() {
            self.index(&plan);
        }
    }

    /// Removes everything in plans that must not be seen (rule R4).
    pub fn confine(&mut self, sees: impl Fn(&PlanId) -> bool) {
        self.tasks.retain(|_, task| sees(&task.value.plan));
        self.buckets.retain(|_, bucket| sees(&bucket.value.plan));
        self.plans.retain(|id, _| sees(id));
        self.plan_details.retain(|id, _| sees(id));
        let Self { tasks, details, places, comments, assigned, plan_tasks, plan_buckets, .. } =
            self;
        comments.retain(|id, _| tasks.contains_key(id));
        details.retain(|id, _| tasks.contains_key(id));
        places.retain(|(id, _), _| tasks.contains_key(id));
        assigned.values_mut().for_each(|list| list.retain(|id| tasks.contains_key(id)));
        plan_tasks.retain(|id, _| sees(id));
        plan_buckets.retain(|id, _| sees(id));
        self.all_plans.iter_mut().for_each(|list| list.retain(&sees));
    }

    /// Removes the groups that must not be seen (rule R4).
    pub fn confine_groups(&mut self, sees: impl Fn(&GroupId) -> bool) {
        self.groups.iter_mut().for_each(|list| list.retain(|group| sees(&group.id)));
    }

    /// Returns the plans of everything that was read.
    #[must_use]
    pub fn plans_of_all(&self) -> BTreeSet<PlanId> {
        let tasks = self.tasks.values().map(|task| &task.value.plan);
        let buckets = self.buckets.values().map(|bucket| &bucket.value.plan);
        tasks
            .chain(buckets)
            .chain(self.plan_details.keys())
            .chain(self.plans.keys())
            .cloned()
            .collect()
    }
}

fn keep_newer<K: Ord, T: Clone>(
    map: &mut BTreeMap<K, Versioned<T>>,
    old: &BTreeMap<K, Versioned<T>>,
) {
    for (id, value) in map {
        if let Some(old) = old.get(id).filter(|old| old.etag.is_newer_than(&value.etag)) {
            value.clone_from(old);
        }
    }
}

/// Restores the entries that `ours` picks as they were in `old`.
fn restore<K: Ord + Clone, T: Clone>(
    map: &mut BTreeMap<K, T>,
    old: &BTreeMap<K, T>,
    ours: impl Fn(&K, &T) -> bool,
) {
    for (id, value) in old.iter().filter(|(id, value)| ours(id, value)) {
        map.insert(id.clone(), value.clone());
    }
}
