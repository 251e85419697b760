//! A snapshot of the board: each entity that was read, with its tag.
//!
//! A run has one that only grows while it drafts, so a script never sees the board change under its
//! hands. Before the run writes, a second one is read and the two are compared; only then may the
//! first adopt newer values ([`Snapshot::adopt`]). Neither knows anything of the run's draft.

use std::collections::{BTreeMap, BTreeSet};

pub use compare::Own;

use crate::model::board::{Board, BoardPlace};
use crate::model::bucket::Bucket;
use crate::model::details::{PlanDetails, TaskDetails};
use crate::model::etag::Versioned;
use crate::model::id::{BucketId, GroupId, PlanId, RosterId, TaskId, UserId};
use crate::model::person::{Group, User};
use crate::model::plan::Plan;
use crate::model::task::{Comment, Task};

mod compare;

/// The entities and lists that were read, each once.
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
    assigned: BTreeMap<UserId, Vec<TaskId>>,
    groups: Option<Vec<Group>>,
    members: BTreeMap<GroupId, Vec<UserId>>,
    roster_members: BTreeMap<RosterId, Vec<UserId>>,
    comments: BTreeMap<TaskId, Vec<Comment>>,
    plan_buckets: BTreeMap<PlanId, Vec<BucketId>>,
    plan_tasks: BTreeMap<PlanId, Vec<TaskId>>,
    has_outdated: bool,
    /// The listed tasks of a plan by title, folded: a thousand lookups cost about what one loop
    /// does.
    titles: BTreeMap<PlanId, BTreeMap<String, Vec<TaskId>>>,
}

macro_rules! entity {
    ($get:ident, $add:ident, $put:ident, $field:ident, $id:ty, $value:ty, $what:literal) => {
        #[doc = concat!("Returns ", $what, ", if it was read.")]
        #[must_use]
        pub fn $get(&self, id: &$id) -> Option<&Versioned<$value>> {
            self.$field.get(id)
        }

        #[doc = concat!("Keeps ", $what, " unless it was read before.")]
        pub fn $add(&mut self, id: $id, value: Versioned<$value>) {
            self.$field.entry(id).or_insert(value);
        }

        #[doc = concat!("Replaces ", $what, " by a newer state.")]
        pub fn $put(&mut self, id: $id, value: Versioned<$value>) {
            put(&mut self.$field, id, value);
        }
    };
}

/// Replaces an entity unless the known one has a greater tag: a copy of the service may lag behind
/// (design.md 2.1).
fn put<K: Ord, T>(map: &mut BTreeMap<K, Versioned<T>>, id: K, value: Versioned<T>) {
    match map.get(&id) {
        Some(known) if known.etag.is_newer_than(&value.etag) => {}
        _ => drop(map.insert(id, value)),
    }
}

impl Snapshot {
    entity!(plan, add_plan, put_plan, plans, PlanId, Plan, "a plan");
    entity!(bucket, add_bucket, put_bucket, buckets, BucketId, Bucket, "a bucket");
    entity!(
        plan_details,
        add_plan_details,
        put_plan_details,
        plan_details,
        PlanId,
        PlanDetails,
        "the details of a plan"
    );

    /// Returns a task, if it was read.
    #[must_use]
    pub fn task(&self, id: &TaskId) -> Option<&Versioned<Task>> {
        self.tasks.get(id)
    }

    /// Keeps a task unless it was read before.
    pub fn add_task(&mut self, id: TaskId, value: Versioned<Task>) {
        self.tasks.entry(id).or_insert(value);
    }

    /// Replaces a task by a newer state.
    pub fn put_task(&mut self, id: TaskId, value: Versioned<Task>) {
        // A move between plans changes the index of both.
        let before = self.tasks.get(&id).map(|task| task.value.plan.clone());
        let plans: BTreeSet<PlanId> =
            before.into_iter().chain([value.value.plan.clone()]).collect();
        put(&mut self.tasks, id, value);
        for plan in
            plans.iter().filter(|plan| self.titles.contains_key(plan)).cloned().collect::<Vec<_>>()
        {
            self.index(&plan);
        }
    }

    /// Returns the details of a task, if they were read.
    #[must_use]
    pub fn details(&self, id: &TaskId) -> Option<&Versioned<TaskDetails>> {
        self.details.get(id)
    }

    /// Returns the known details of a task: read, or empty because the task's counts say so.
    #[must_use]
    pub fn known_details(&self, id: &TaskId) -> Option<TaskDetails> {
        match self.details.get(id) {
            Some(read) => Some(read.value.clone()),
            None => {
                let bare = self.tasks.get(id).is_some_and(|task| task.value.has_bare_details());
                bare.then(TaskDetails::default)
            }
        }
    }

    /// Keeps the details of a task unless they were read before. For a task whose counts say that
    /// it has none they are kept empty, even if some were added before they were fetched: decisions
    /// may already rest on the counts.
    pub fn add_details(&mut self, id: TaskId, mut value: Versioned<TaskDetails>) {
        if self.tasks.get(&id).is_some_and(|task| task.value.has_bare_details())
            && value.value != TaskDetails::default()
        {
            value.value = TaskDetails::default();
            self.has_outdated = true;
        }
        self.details.entry(id).or_insert(value);
    }

    /// Replaces the details of a task by a newer state.
    pub fn put_details(&mut self, id: TaskId, value: Versioned<TaskDetails>) {
        put(&mut self.details, id, value);
    }

    /// Returns whether a part is known to be outdated: a task that said it had no details has some
    /// by now.
    #[must_use]
    pub const fn has_outdated(&self) -> bool {
        self.has_outdated
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

    /// Replaces the place of a task on a board by a newer state.
    pub fn put_place(&mut self, task: TaskId, board: Board, place: Versioned<BoardPlace>) {
        put(&mut self.places, (task, board), place);
    }

    /// Returns the details that were read of tasks whose counts say that they have none.
    pub fn details_of_bare(&self) -> impl Iterator<Item = (&TaskId, &Versioned<TaskDetails>)> {
        let is_bare = |id: &TaskId| self.task(id).is_some_and(|task| task.value.has_bare_details());
        self.details.iter().filter(move |(id, _)| is_bare(id))
    }

    /// Returns a snapshot with the people and groups alone.
    #[must_use]
    pub fn people(&self) -> Self {
        Self {
            users: self.users.clone(),
            user_lookups: self.user_lookups.clone(),
            groups: self.groups.clone(),
            members: self.members.clone(),
            roster_members: self.roster_members.clone(),
            ..Self::default()
        }
    }

    /// Forgets a deleted task.
    pub fn forget_task(&mut self, id: &TaskId) {
        let plan = self.tasks.remove(id).map(|task| task.value.plan);
        self.details.remove(id);
        self.comments.remove(id);
        self.places.retain(|(task, _), _| task != id);
        self.plan_tasks.values_mut().for_each(|list| list.retain(|other| other != id));
        self.assigned.values_mut().for_each(|list| list.retain(|other| other != id));
        if let Some(plan) = plan.filter(|plan| self.titles.contains_key(plan)) {
            self.index(&plan);
        }
    }

    /// Forgets a deleted bucket.
    pub fn forget_bucket(&mut self, id: &BucketId) {
        self.buckets.remove(id);
        self.plan_buckets.values_mut().for_each(|list| list.retain(|other| other != id));
    }

    /// Forgets a deleted plan.
    pub fn forget_plan(&mut self, id: &PlanId) {
        self.plans.remove(id);
        self.plan_details.remove(id);
        self.all_plans.iter_mut().for_each(|list| list.retain(|other| other != id));
    }

    // Lists

    /// Returns the tasks that were read, listed or not.
    pub fn tasks(&self) -> impl Iterator<Item = &Versioned<Task>> {
        self.tasks.values()
    }

    /// Returns the buckets that were read, listed or not.
    pub fn buckets(&self) -> impl Iterator<Item = &Versioned<Bucket>> {
        self.buckets.values()
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
        // The first list stays: a run sees one board from beginning to end (design.md 2.1).
        self.all_plans.get_or_insert(ids);
    }

    /// Returns the buckets of a plan in board order, if they were listed.
    #[must_use]
    pub fn buckets_of(&self, plan: &PlanId) -> Option<&[BucketId]> {
        self.plan_buckets.get(plan).map(Vec::as_slice)
    }

    /// Keeps the buckets of a plan, sorted by order hint.
    pub fn set_buckets(&mut self, plan: PlanId, buckets: Vec<Versioned<Bucket>>) {
        let mut ids = Vec::with_capacity(buckets.len());
        for bucket in newest(buckets, |bucket| bucket.id.clone()) {
            ids.push(bucket.value.id.clone());
            self.add_bucket(bucket.value.id.clone(), bucket);
        }
        if !self.plan_buckets.contains_key(&plan) {
            self.set_bucket_list(plan, ids);
        }
    }

    fn set_bucket_list(&mut self, plan: PlanId, mut ids: Vec<BucketId>) {
        let hint =
            |id: &BucketId| self.buckets.get(id).map(|bucket| bucket.value.order_hint.clone());
        ids.sort_by_cached_key(|id| (hint(id), id.clone()));
        ids.dedup();
        self.plan_buckets.insert(plan, ids);
    }

    /// Returns the tasks of a plan in list order, if they were listed.
    #[must_use]
    pub fn tasks_of(&self, plan: &PlanId) -> Option<&[TaskId]> {
        self.plan_tasks.get(plan).map(Vec::as_slice)
    }

    /// Keeps the tasks of a plan.
    pub fn set_tasks(&mut self, plan: &PlanId, tasks: Vec<Versioned<Task>>) {
        let ids = self.take_tasks(tasks);
        if !self.plan_tasks.contains_key(plan) {
            self.set_task_list(plan, ids);
        }
    }

    fn set_task_list(&mut self, plan: &PlanId, ids: Vec<TaskId>) {
        // Graph does not promise an order of its lists (planner-api.md 4.6).
        let ids = self.in_list_order(ids);
        self.plan_tasks.insert(plan.clone(), ids);
        self.index(plan);
    }

    fn in_list_order(&self, mut ids: Vec<TaskId>) -> Vec<TaskId> {
        let hint = |id: &TaskId| self.tasks.get(id).map(|task| task.value.order_hint.clone());
        ids.sort_by_cached_key(|id| (hint(id), id.clone()));
        ids.dedup();
        ids
    }

    fn index(&mut self, plan: &PlanId) {
        let mut index: BTreeMap<String, Vec<TaskId>> = BTreeMap::new();
        for id in self.plan_tasks.get(plan).into_iter().flatten() {
            if let Some(task) = self.tasks.get(id) {
                index.entry(folded(&task.value.title)).or_default().push(id.clone());
            }
        }
        self.titles.insert(plan.clone(), index);
    }

    /// Returns the listed tasks of a plan with a title, regardless of case.
    #[must_use]
    pub fn tasks_titled(&self, plan: &PlanId, title: &str) -> &[TaskId] {
        let found = self.titles.get(plan).and_then(|index| index.get(&folded(title)));
        found.map(Vec::as_slice).unwrap_or_default()
    }

    /// Returns the tasks assigned to a person, if they were listed.
    #[must_use]
    pub fn assigned_to(&self, user: &UserId) -> Option<&[TaskId]> {
        self.assigned.get(user).map(Vec::as_slice)
    }

    /// Keeps the tasks assigned to a person.
    pub fn set_assigned(&mut self, user: UserId, tasks: Vec<Versioned<Task>>) {
        let ids = self.take_tasks(tasks);
        let ids = self.in_list_order(ids);
        self.assigned.entry(user).or_insert(ids);
    }

    fn take_tasks(&mut self, tasks: Vec<Versioned<Task>>) -> Vec<TaskId> {
        let mut ids = Vec::with_capacity(tasks.len());
        for task in newest(tasks, |task| task.id.clone()) {
            ids.push(task.value.id.clone());
            self.add_task(task.value.id.clone(), task);
        }
        ids
    }

    /// Returns the comments on a task, the oldest first, if they were listed.
    #[must_use]
    pub fn comments_on(&self, task: &TaskId) -> Option<&[Comment]> {
        self.comments.get(task).map(Vec::as_slice)
    }

    /// Keeps the comments on a task in the order in which they were written, without those that
    /// were deleted.
    pub fn set_comments(&mut self, task: TaskId, mut comments: Vec<Comment>) {
        comments.retain(|comment| !comment.is_deleted);
        // The service promises no order, and one that changes would look like somebody's doing.
        comments.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
        self.comments.entry(task).or_insert(comments);
    }

    // People

    /// Returns a user by id, if read.
    #[must_use]
    pub fn user(&self, id: &UserId) -> Option<&User> {
        self.users.get(id)
    }

    /// Returns a user by id, sign-in name or mail address, if one such was read.
    #[must_use]
    pub fn find_user(&self, text: &str) -> Option<&User> {
        // The service may have resolved a text that the entry itself does not show.
        match self.user_lookups.get(&text.to_lowercase()) {
            Some(id) => self.users.get(id),
            None => self.users.values().find(|user| user.answers_to(text)),
        }
    }

    /// Keeps a user.
    pub fn add_user(&mut self, user: User) {
        self.users.entry(user.id.clone()).or_insert(user);
    }

    /// Keeps a user and the text by which the service found them.
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
        let ids = users.iter().map(|user| user.id.clone()).collect();
        users.into_iter().for_each(|user| self.add_user(user));
        self.members.entry(group).or_insert(ids);
    }

    /// Returns the members of a roster, if they were listed.
    #[must_use]
    pub fn members_of_roster(&self, roster: &RosterId) -> Option<&[UserId]> {
        self.roster_members.get(roster).map(Vec::as_slice)
    }

    /// Keeps the members of a roster.
    pub fn set_roster_members(&mut self, roster: RosterId, ids: Vec<UserId>) {
        self.roster_members.entry(roster).or_insert(ids);
    }
}

/// Returns the form of a title under which it is indexed.
#[must_use]
pub fn folded(title: &str) -> String {
    title.to_lowercase()
}

/// Keeps each entity of a list once, in its newest state: the list may have changed while its pages
/// were read, and a page may come twice.
fn newest<K: Ord, T>(list: Vec<Versioned<T>>, id: impl Fn(&T) -> K) -> Vec<Versioned<T>> {
    let mut newest: BTreeMap<K, Versioned<T>> = BTreeMap::new();
    for entity in list {
        put(&mut newest, id(&entity.value), entity);
    }
    newest.into_values().collect()
}
