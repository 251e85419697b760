//! What is there now of all that a run rests on: read again in as few round trips as will do.

use std::collections::{BTreeMap, BTreeSet};

use crate::change::apply::{Seen, Target};
use crate::change::{Change, Entity, EntityId, Field, Op, Write};
use crate::graph::{Client, Error};
use crate::host::apply::request::{read_of, seen};
use crate::host::broker::in_lanes;
use crate::host::session::read_set::ListRead;
use crate::model::snapshot::Snapshot;
use crate::model::{
    Board, BoardPlace, Bucket, BucketId, Plan, PlanDetails, PlanId, Task, TaskDetails, TaskId,
    Versioned,
};
use crate::wire::entity::Any;
use crate::wire::{Request, request};

/// From so many entities of one plan on, the plan's list is one read for all of them.
const LIST_FROM: usize = 4;

/// The fields of an entity that the run looked at.
pub(crate) type Reads = BTreeSet<Field>;

/// What a run has read.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReadSet {
    pub(crate) fields: BTreeMap<EntityId, Reads>,
    pub(crate) lists: BTreeSet<ListRead>,
}

/// What is to be read again.
#[derive(Default)]
pub(crate) struct Needs {
    singles: Vec<Target>,
    tasks: BTreeMap<PlanId, BTreeSet<TaskId>>,
    buckets: BTreeMap<PlanId, BTreeSet<BucketId>>,
    task_lists: BTreeSet<PlanId>,
    bucket_lists: BTreeSet<PlanId>,
    mine: bool,
}

/// The present state of it.
#[derive(Default)]
pub(crate) struct Now {
    pub(crate) plans: BTreeMap<PlanId, Versioned<Plan>>,
    pub(crate) plan_details: BTreeMap<PlanId, Versioned<PlanDetails>>,
    pub(crate) buckets: BTreeMap<BucketId, Versioned<Bucket>>,
    pub(crate) tasks: BTreeMap<TaskId, Versioned<Task>>,
    pub(crate) details: BTreeMap<TaskId, Versioned<TaskDetails>>,
    pub(crate) places: BTreeMap<(TaskId, Board), Versioned<BoardPlace>>,
    /// The tasks of plans that were listed, and the buckets, in board order.
    pub(crate) task_lists: BTreeMap<PlanId, Vec<TaskId>>,
    pub(crate) bucket_lists: BTreeMap<PlanId, Vec<BucketId>>,
    pub(crate) mine: Option<Vec<TaskId>>,
    /// What was asked for by itself and is gone.
    pub(crate) gone: BTreeSet<EntityId>,
}

impl Needs {
    /// Collects what changes are about, and what a run has read.
    pub(crate) fn of(changes: &[Change], reads: &ReadSet, old: &Snapshot) -> Self {
        let mut needs = Self::default();
        needs.of_changes(changes);
        needs.of_reads(reads, old);
        needs.settle()
    }

    fn of_changes(&mut self, changes: &[Change]) {
        for change in changes {
            // What goes with a bucket or plan is known from the plan's list only.
            if change.op() == Op::Delete && change.entity() != Entity::Task {
                self.task_lists.insert(change.plan().clone());
            }
            if change.op() == Op::Create {
                continue;
            }
            match &change.write {
                Write::Plan(edit) => self.singles.push(Target::Plan(edit.known().id.clone())),
                Write::PlanDetails { plan, .. } => {
                    self.singles.push(Target::PlanDetails(plan.clone()));
                }
                Write::Bucket(edit) => {
                    let bucket = edit.known();
                    self.buckets.entry(bucket.plan.clone()).or_default().insert(bucket.id.clone());
                }
                Write::Task(edit) => {
                    let task = &edit.known().task;
                    self.tasks.entry(task.plan.clone()).or_default().insert(task.id.clone());
                    if edit.known().details.is_some() {
                        self.singles.push(Target::Details(task.id.clone()));
                    }
                    for board in edit.known().places.keys() {
                        self.singles.push(Target::Place(task.id.clone(), *board));
                    }
                }
            }
        }
    }

    fn of_reads(&mut self, reads: &ReadSet, old: &Snapshot) {
        for (entity, fields) in &reads.fields {
            match entity {
                EntityId::Plan(id) if old.plan(id).is_some() => {
                    self.singles.push(Target::Plan(id.clone()));
                }
                EntityId::PlanDetails(id) if old.plan_details(id).is_some() => {
                    self.singles.push(Target::PlanDetails(id.clone()));
                }
                EntityId::Bucket(id) => {
                    if let Some(bucket) = old.bucket(id) {
                        let plan = bucket.value.plan.clone();
                        self.buckets.entry(plan).or_default().insert(id.clone());
                    }
                }
                EntityId::Task(id) => {
                    let Some(task) = old.task(id) else { continue };
                    let plan = task.value.plan.clone();
                    self.tasks.entry(plan).or_default().insert(id.clone());
                    let looked_into = fields.iter().any(|it| it.is_in_details());
                    if looked_into && old.details(id).is_some() {
                        self.singles.push(Target::Details(id.clone()));
                    }
                    for board in fields.iter().filter_map(|it| it.board()) {
                        if old.place(id, board).is_some() {
                            self.singles.push(Target::Place(id.clone(), board));
                        }
                    }
                }
                EntityId::Plan(_) | EntityId::PlanDetails(_) => {}
            }
        }
        for list in &reads.lists {
            // What was asked for and did not come has no answer to compare.
            let tasks = list.tasks_of().filter(|it| old.tasks_of(it).is_some());
            self.task_lists.extend(tasks.cloned());
            let buckets = list.buckets_of().filter(|it| old.buckets_of(it).is_some());
            self.bucket_lists.extend(buckets.cloned());
            self.mine |= *list == ListRead::Mine && old.my_tasks().is_some();
        }
    }

    /// Lists instead of many single reads.
    fn settle(mut self) -> Self {
        for (plan, ids) in &self.tasks {
            if ids.len() >= LIST_FROM {
                self.task_lists.insert(plan.clone());
            } else if !self.task_lists.contains(plan) {
                self.singles.extend(ids.iter().cloned().map(Target::Task));
            }
        }
        for (plan, ids) in &self.buckets {
            if ids.len() >= LIST_FROM {
                self.bucket_lists.insert(plan.clone());
            } else if !self.bucket_lists.contains(plan) {
                self.singles.extend(ids.iter().cloned().map(Target::Bucket));
            }
        }
        self.singles.sort();
        self.singles.dedup();
        self
    }
}

impl Now {
    /// Reads it: lists for many entities of a plan, the rest in batches, all at once.
    pub(crate) async fn fetch(client: &Client, needs: Needs) -> Result<Self, Error> {
        let tasks = in_lanes(
            needs.task_lists.into_iter().collect(),
            |client: Client, plan: PlanId| async move {
                let read = client.list::<Versioned<Task>>(&request::plan_tasks(&plan)).await;
                Ok(found(read)?.map(|it| (plan, it)))
            },
            client,
        );
        let buckets = in_lanes(
            needs.bucket_lists.into_iter().collect(),
            |client: Client, plan: PlanId| async move {
                let read = client.list::<Versioned<Bucket>>(&request::plan_buckets(&plan)).await;
                Ok(found(read)?.map(|it| (plan, it)))
            },
            client,
        );
        let mine = async {
            if needs.mine {
                client.list::<Versioned<Task>>(&request::my_tasks()).await.map(Some)
            } else {
                Ok(None)
            }
        };
        let singles = read_singles(client, &needs.singles);
        let (tasks, buckets, mine, singles) = tokio::join!(tasks, buckets, mine, singles);
        let mut now = Self::default();
        for (plan, list) in tasks?.into_iter().flatten() {
            let ids = list.iter().map(|it| it.value.id.clone()).collect();
            now.task_lists.insert(plan, ids);
            now.tasks.extend(list.into_iter().map(|it| (it.value.id.clone(), it)));
        }
        for (plan, mut list) in buckets?.into_iter().flatten() {
            list.sort_by(|a, b| {
                (&a.value.order_hint, &a.value.id).cmp(&(&b.value.order_hint, &b.value.id))
            });
            now.bucket_lists.insert(plan, list.iter().map(|it| it.value.id.clone()).collect());
            now.buckets.extend(list.into_iter().map(|it| (it.value.id.clone(), it)));
        }
        if let Some(list) = mine? {
            now.mine = Some(list.iter().map(|it| it.value.id.clone()).collect());
            now.tasks.extend(list.into_iter().map(|it| (it.value.id.clone(), it)));
        }
        for (single, value) in needs.singles.into_iter().zip(singles?) {
            now.keep(client, single, value)?;
        }
        Ok(now)
    }

    fn keep(&mut self, client: &Client, it: Target, value: Option<Any>) -> Result<(), Error> {
        let Some(Any(value)) = value else {
            self.gone.extend(match it {
                Target::Plan(id) => Some(EntityId::Plan(id)),
                Target::Bucket(id) => Some(EntityId::Bucket(id)),
                Target::Task(id) => Some(EntityId::Task(id)),
                Target::PlanDetails(_) | Target::Details(_) | Target::Place(..) => None,
            });
            return Ok(());
        };
        match (seen(client, &it, value)?, it) {
            (Seen::Plan(read), Target::Plan(id)) => _ = self.plans.insert(id, *read),
            (Seen::PlanDetails(read), Target::PlanDetails(id)) => {
                self.plan_details.insert(id, read);
            }
            (Seen::Bucket(read), Target::Bucket(id)) => _ = self.buckets.insert(id, *read),
            (Seen::Task(read), Target::Task(id)) => _ = self.tasks.insert(id, *read),
            (Seen::Details(read), Target::Details(id)) => _ = self.details.insert(id, *read),
            (Seen::Place(read), Target::Place(id, board)) => {
                self.places.insert((id, board), read);
            }
            _ => {}
        }
        Ok(())
    }

    /// Leaves out what an agent may not see (rule R4).
    pub(crate) fn keep_in_scope(&mut self, sees: impl Fn(&PlanId) -> bool) {
        self.tasks.retain(|_, it| sees(&it.value.plan));
        if let Some(mine) = self.mine.as_mut() {
            mine.retain(|it| self.tasks.contains_key(it));
        }
    }

    /// Puts what a copy of the service shows that lags behind in its place: a fetched entity
    /// never replaces one with a greater tag (design.md 2.1).
    pub(crate) fn no_older_than(&mut self, old: &Snapshot) {
        fn keep_newer<T: Clone>(now: &mut Versioned<T>, old: Option<&Versioned<T>>) {
            if let Some(old) = old.filter(|it| it.etag.is_newer_than(&now.etag)) {
                now.clone_from(old);
            }
        }
        self.plans.iter_mut().for_each(|(id, it)| keep_newer(it, old.plan(id)));
        self.plan_details.iter_mut().for_each(|(id, it)| keep_newer(it, old.plan_details(id)));
        self.buckets.iter_mut().for_each(|(id, it)| keep_newer(it, old.bucket(id)));
        self.tasks.iter_mut().for_each(|(id, it)| keep_newer(it, old.task(id)));
        self.details.iter_mut().for_each(|(id, it)| keep_newer(it, old.details(id)));
        let places = self.places.iter_mut();
        places.for_each(|((id, board), it)| keep_newer(it, old.place(id, *board)));
    }
}

async fn read_singles(client: &Client, singles: &[Target]) -> Result<Vec<Option<Any>>, Error> {
    let requests: Vec<Request> = singles.iter().map(read_of).collect();
    if let [one] = requests.as_slice() {
        return Ok(vec![found(client.read::<Any>(one).await)?]);
    }
    client.read_many::<Any>(&requests).await?.into_iter().map(found).collect()
}

fn found<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
