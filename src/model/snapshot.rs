//! What a run has read so far.
//!
//! Each entity is kept as it was first read: a snapshot only grows, so a script never sees a
//! board change under its hands. It knows nothing of what the run wants to write; that is the
//! draft's.

use std::collections::BTreeMap;

use crate::model::{
    Board, BoardPlace, Bucket, BucketId, Group, GroupId, Plan, PlanDetails, PlanId, Task,
    TaskDetails, TaskId, User, UserId, Versioned,
};

/// Everything a run has read, each entity once.
#[derive(Debug, Default, Clone)]
pub struct Snapshot {
    plans: BTreeMap<PlanId, Versioned<Plan>>,
    buckets: BTreeMap<BucketId, Versioned<Bucket>>,
    tasks: BTreeMap<TaskId, Versioned<Task>>,
    details: BTreeMap<TaskId, Versioned<TaskDetails>>,
    plan_details: BTreeMap<PlanId, Versioned<PlanDetails>>,
    places: BTreeMap<(TaskId, Board), Versioned<BoardPlace>>,
    users: BTreeMap<UserId, User>,
    user_lookups: BTreeMap<String, UserId>,
    all_plans: Option<Vec<PlanId>>,
    my_tasks: Option<Vec<TaskId>>,
    groups: Option<Vec<Group>>,
    members: BTreeMap<GroupId, Vec<UserId>>,
    plan_buckets: BTreeMap<PlanId, Vec<BucketId>>,
    plan_tasks: BTreeMap<PlanId, Vec<TaskId>>,
}

macro_rules! entity {
    ($get:ident, $add:ident, $renew:ident, $field:ident, $id:ty, $value:ty, $what:literal) => {
        #[doc = concat!("Returns ", $what, ", if it was read.")]
        #[must_use]
        pub fn $get(&self, id: &$id) -> Option<&Versioned<$value>> {
            self.$field.get(id)
        }

        #[doc = concat!("Keeps ", $what, " unless it was read before.")]
        pub fn $add(&mut self, id: $id, value: Versioned<$value>) {
            self.$field.entry(id).or_insert(value);
        }

        #[doc = concat!("Puts ", $what, " as it is now in the place of what was read.")]
        pub fn $renew(&mut self, id: $id, value: Versioned<$value>) {
            self.$field.insert(id, value);
        }
    };
}

impl Snapshot {
    entity!(plan, add_plan, renew_plan, plans, PlanId, Plan, "a plan");
    entity!(bucket, add_bucket, renew_bucket, buckets, BucketId, Bucket, "a bucket");
    entity!(task, add_task, renew_task, tasks, TaskId, Task, "a task");
    entity!(
        details,
        add_details,
        renew_details,
        details,
        TaskId,
        TaskDetails,
        "the details of a task"
    );
    entity!(
        plan_details,
        add_plan_details,
        renew_plan_details,
        plan_details,
        PlanId,
        PlanDetails,
        "the details of a plan"
    );

    /// Returns the details that were read of tasks which say that they have none.
    pub fn details_of_bare(&self) -> impl Iterator<Item = (&TaskId, &Versioned<TaskDetails>)> {
        let is_bare = |id: &TaskId| self.task(id).is_some_and(|it| it.value.has_bare_details());
        self.details.iter().filter(move |(id, _)| is_bare(id))
    }

    /// Returns what was read of people and groups, and nothing else.
    #[must_use]
    pub fn people(&self) -> Self {
        Self {
            users: self.users.clone(),
            user_lookups: self.user_lookups.clone(),
            groups: self.groups.clone(),
            members: self.members.clone(),
            ..Self::default()
        }
    }

    /// Returns the place of a task on a board, if it was read.
    #[must_use]
    pub fn place(&self, task: &TaskId, board: Board) -> Option<&Versioned<BoardPlace>> {
        self.places.get(&(task.clone(), board))
    }

    /// Keeps the place of a task on a board unless it was read before.
    pub fn add_place(&mut self, task: TaskId, board: Board, place: Versioned<BoardPlace>) {
        self.places.entry((task, board)).or_insert(place);
    }

    /// Puts the place of a task as it is now in the place of what was read.
    pub fn renew_place(&mut self, task: TaskId, board: Board, place: Versioned<BoardPlace>) {
        self.places.insert((task, board), place);
    }

    /// Forgets a task that is gone.
    pub fn forget_task(&mut self, id: &TaskId) {
        self.tasks.remove(id);
        self.details.remove(id);
        self.places.retain(|(task, _), _| task != id);
        self.plan_tasks.values_mut().for_each(|list| list.retain(|it| it != id));
        self.my_tasks.iter_mut().for_each(|list| list.retain(|it| it != id));
    }

    /// Forgets a bucket that is gone.
    pub fn forget_bucket(&mut self, id: &BucketId) {
        self.buckets.remove(id);
        self.plan_buckets.values_mut().for_each(|list| list.retain(|it| it != id));
    }

    /// Forgets a plan that is gone.
    pub fn forget_plan(&mut self, id: &PlanId) {
        self.plans.remove(id);
        self.plan_details.remove(id);
        self.all_plans.iter_mut().for_each(|list| list.retain(|it| it != id));
    }

    /// Returns the tasks of a plan that were read, listed or not.
    #[must_use]
    pub fn tasks_in(&self, plan: &PlanId) -> Vec<TaskId> {
        let of_plan = self.tasks.iter().filter(|(_, it)| it.value.plan == *plan);
        of_plan.map(|(id, _)| id.clone()).collect()
    }

    /// Returns the buckets of a plan that were read, listed or not.
    #[must_use]
    pub fn buckets_in(&self, plan: &PlanId) -> Vec<BucketId> {
        let of_plan = self.buckets.iter().filter(|(_, it)| it.value.plan == *plan);
        of_plan.map(|(id, _)| id.clone()).collect()
    }

    /// Puts a list of tasks as it is now in the place of the one that was read; each of them is
    /// known.
    pub fn renew_tasks_of(&mut self, plan: PlanId, mut ids: Vec<TaskId>) {
        let hint = |id: &TaskId| self.tasks.get(id).map(|it| it.value.order_hint.clone());
        ids.sort_by_cached_key(|id| (hint(id), id.clone()));
        ids.dedup();
        self.plan_tasks.insert(plan, ids);
    }

    /// The same for the buckets of a plan.
    pub fn renew_buckets_of(&mut self, plan: PlanId, mut ids: Vec<BucketId>) {
        let hint = |id: &BucketId| self.buckets.get(id).map(|it| it.value.order_hint.clone());
        ids.sort_by_cached_key(|id| (hint(id), id.clone()));
        ids.dedup();
        self.plan_buckets.insert(plan, ids);
    }

    /// The same for the tasks assigned to the actor.
    pub fn renew_my_tasks(&mut self, ids: Vec<TaskId>) {
        self.my_tasks = Some(ids);
    }

    /// Returns the ids of all that was read in plans.
    pub fn known_ids(&self) -> impl Iterator<Item = &str> {
        let plans = self.plans.keys().map(PlanId::as_str);
        let buckets = self.buckets.keys().map(BucketId::as_str);
        plans.chain(buckets).chain(self.tasks.keys().map(TaskId::as_str))
    }

    /// Returns the plans within reach, in the order to show them, if they were listed.
    #[must_use]
    pub fn all_plans(&self) -> Option<&[PlanId]> {
        self.all_plans.as_deref()
    }

    /// Keeps the list of plans within reach.
    pub fn set_all_plans(&mut self, plans: Vec<Versioned<Plan>>) {
        let ids = plans
            .into_iter()
            .map(|plan| {
                let id = plan.value.id.clone();
                self.add_plan(id.clone(), plan);
                id
            })
            .collect();
        self.all_plans.get_or_insert(ids);
    }

    /// Returns the buckets of a plan in board order, if they were listed.
    #[must_use]
    pub fn buckets_of(&self, plan: &PlanId) -> Option<&[BucketId]> {
        self.plan_buckets.get(plan).map(Vec::as_slice)
    }

    /// Keeps the buckets of a plan, sorted by order hint.
    pub fn set_buckets(&mut self, plan: PlanId, mut buckets: Vec<Versioned<Bucket>>) {
        buckets.sort_by(|a, b| {
            (&a.value.order_hint, &a.value.id).cmp(&(&b.value.order_hint, &b.value.id))
        });
        let mut ids: Vec<BucketId> = Vec::new();
        for bucket in buckets {
            let id = bucket.value.id.clone();
            if !ids.contains(&id) {
                ids.push(id.clone());
            }
            self.add_bucket(id, bucket);
        }
        self.plan_buckets.entry(plan).or_insert(ids);
    }

    /// Returns the tasks of a plan in list order, if they were listed.
    #[must_use]
    pub fn tasks_of(&self, plan: &PlanId) -> Option<&[TaskId]> {
        self.plan_tasks.get(plan).map(Vec::as_slice)
    }

    /// Keeps the tasks of a plan.
    pub fn set_tasks(&mut self, plan: PlanId, tasks: Vec<Versioned<Task>>) {
        let ids = self.take_tasks(tasks);
        self.plan_tasks.entry(plan).or_insert(ids);
    }

    /// Returns the tasks assigned to the actor, if they were listed.
    #[must_use]
    pub fn my_tasks(&self) -> Option<&[TaskId]> {
        self.my_tasks.as_deref()
    }

    /// Keeps the tasks assigned to the actor.
    pub fn set_my_tasks(&mut self, tasks: Vec<Versioned<Task>>) {
        let ids = self.take_tasks(tasks);
        self.my_tasks.get_or_insert(ids);
    }

    /// Sorts by order hint and keeps each task once, the newer one where a list was read while
    /// it changed.
    fn take_tasks(&mut self, tasks: Vec<Versioned<Task>>) -> Vec<TaskId> {
        let mut newest: BTreeMap<TaskId, Versioned<Task>> = BTreeMap::new();
        for task in tasks {
            match newest.get(&task.value.id) {
                Some(known) if !task.etag.is_newer_than(&known.etag) => {}
                _ => {
                    newest.insert(task.value.id.clone(), task);
                }
            }
        }
        let mut sorted: Vec<_> = newest.into_values().collect();
        sorted.sort_by(|a, b| {
            (&a.value.order_hint, &a.value.id).cmp(&(&b.value.order_hint, &b.value.id))
        });
        sorted
            .into_iter()
            .map(|task| {
                let id = task.value.id.clone();
                self.add_task(id.clone(), task);
                id
            })
            .collect()
    }

    /// Returns a user by id, if read.
    #[must_use]
    pub fn user(&self, id: &UserId) -> Option<&User> {
        self.users.get(id)
    }

    /// Returns a user by id, sign-in name or mail address, if one such was read.
    #[must_use]
    pub fn find_user(&self, text: &str) -> Option<&User> {
        match self.user_lookups.get(&text.to_lowercase()) {
            Some(id) => self.users.get(id),
            None => self.users.values().find(|user| user.answers_to(text)),
        }
    }

    /// Keeps a user.
    pub fn add_user(&mut self, user: User) {
        self.users.entry(user.id.clone()).or_insert(user);
    }

    /// Keeps a user and the text that the service found it by.
    pub fn add_user_found_by(&mut self, text: &str, user: User) {
        self.user_lookups.insert(text.to_lowercase(), user.id.clone());
        self.add_user(user);
    }

    /// Returns the groups of the actor, if they were listed.
    #[must_use]
    pub fn groups(&self) -> Option<&[Group]> {
        self.groups.as_deref()
    }

    /// Keeps the groups of the actor.
    pub fn set_groups(&mut self, groups: Vec<Group>) {
        self.groups.get_or_insert(groups);
    }

    /// Returns the members of a group, if they were listed.
    #[must_use]
    pub fn members_of(&self, group: &GroupId) -> Option<&[UserId]> {
        self.members.get(group).map(Vec::as_slice)
    }

    /// Keeps the members of a group.
    pub fn set_members(&mut self, group: GroupId, users: Vec<User>) {
        let ids = users
            .into_iter()
            .map(|user| {
                let id = user.id.clone();
                self.add_user(user);
                id
            })
            .collect();
        self.members.entry(group).or_insert(ids);
    }
}
