//! The refresh: reading again what a run rests on, before it writes (design.md 2.3). Many entities
//! of a plan are read as its list, the rest in batches, all at once. The result is a snapshot of
//! its own, confined to what the actor may see like every other (rule R4), which is then compared
//! with the one that the run was drafted on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::change::apply::{Ledger, Part, Seen, Target};
use crate::change::read::ReadValue;
use crate::change::{Change, ChangeSet, Entity, EntityId, Field, Op, Read, ReadSet, Write};
use crate::graph::{Client, Error};
use crate::host::apply::request::{read_of, seen};
use crate::host::broker::{fetch, in_lanes};
use crate::host::query::Query;
use crate::host::session::core::Session;
use crate::host::session::fetch::keep;
use crate::model::snapshot::Snapshot;
use crate::model::{Board, BucketId, Plan, PlanId, TaskId, User, UserId, Versioned};
use crate::wire::entity::Any;
use crate::wire::{Decoded as _, Request, request};

/// The number of entities of one plan from which its list is read instead of each.
const LIST_FROM: usize = 4;

/// The lists and objects to read again.
#[derive(Debug, Default)]
struct Needs {
    lists: BTreeSet<Read>,
    singles: BTreeSet<Target>,
    people: BTreeSet<String>,
    tasks: BTreeMap<PlanId, BTreeSet<TaskId>>,
    buckets: BTreeMap<PlanId, BTreeSet<BucketId>>,
}

/// A read from another time, to be repeated.
#[derive(Debug, Clone)]
pub(crate) struct Reread {
    /// The read.
    pub(crate) read: Read,
    /// The board that it was answered on, if that is known.
    pub(crate) board: Option<Arc<Snapshot>>,
}

/// The board as it is now, as far as a run rests on it.
#[derive(Debug, Default)]
pub(crate) struct Refreshed {
    /// The board as it was read.
    pub(crate) snapshot: Snapshot,
    /// The entities that were read by themselves and do not exist.
    pub(crate) gone: BTreeSet<EntityId>,
}

impl Needs {
    fn from_reads(changes: &[Change], reads: &ReadSet, old: &Snapshot) -> Self {
        let mut needs = Self::default();
        changes.iter().for_each(|change| needs.add_change(change));
        reads.iter().for_each(|read| needs.add_read(read, Some(old)));
        needs
    }

    fn add_change(&mut self, change: &Change) {
        // Only the plan's list shows what a bucket or plan takes along.
        if change.op() == Op::Delete && change.entity() != Entity::Task {
            self.lists.insert(Read::Tasks(change.plan().clone()));
        }
        // It is only ever created, on a task that must still be where it was.
        if let Write::Comment(edit) = &change.write {
            let comment = edit.known();
            if !comment.task.is_provisional() {
                self.tasks.entry(comment.plan.clone()).or_default().insert(comment.task.clone());
            }
            return;
        }
        if change.op() == Op::Create {
            return;
        }
        match &change.write {
            Write::Plan(edit) => _ = self.singles.insert(Target::Plan(edit.known().id.clone())),
            Write::PlanDetails { plan, .. } => {
                self.singles.insert(Target::PlanDetails(plan.clone()));
            }
            Write::Bucket(edit) => {
                let bucket = edit.known();
                self.buckets.entry(bucket.plan.clone()).or_default().insert(bucket.id.clone());
            }
            Write::Task(edit) => {
                let task = &edit.known().task;
                self.tasks.entry(task.plan.clone()).or_default().insert(task.id.clone());
                if edit.known().details.is_some() {
                    self.singles.insert(Target::Details(task.id.clone()));
                }
                let boards = edit.known().places.keys();
                self.singles.extend(boards.map(|board| Target::Place(task.id.clone(), *board)));
            }
            Write::Comment(_) => {}
        }
    }

    /// Adds what answers a read; `old` is the board that it was answered on, if that is known.
    fn add_read(&mut self, read: &Read, old: Option<&Snapshot>) {
        match read {
            Read::Field(EntityId::Task(id), field) => {
                self.add_task(id, old);
                // Details and places that were never fetched were known to be empty without a
                // request.
                if field.is_in_details() && old.is_none_or(|old| old.details(id).is_some()) {
                    self.singles.insert(Target::Details(id.clone()));
                }
                let known = |board: &Board| old.is_none_or(|old| old.place(id, *board).is_some());
                if let Some(board) = field.board().filter(known) {
                    self.singles.insert(Target::Place(id.clone(), board));
                }
            }
            Read::Field(entity, _) | Read::Entity(entity) | Read::Exists(entity) => match entity {
                EntityId::Plan(id) => _ = self.singles.insert(Target::Plan(id.clone())),
                EntityId::PlanDetails(id) => {
                    self.singles.insert(Target::PlanDetails(id.clone()));
                }
                EntityId::Bucket(id) => match old.map(|old| old.bucket(id)) {
                    Some(Some(bucket)) => {
                        let plan = bucket.value.plan.clone();
                        self.buckets.entry(plan).or_default().insert(id.clone());
                    }
                    Some(None) => {}
                    None => _ = self.singles.insert(Target::Bucket(id.clone())),
                },
                EntityId::Task(id) => self.add_task(id, old),
                EntityId::Comment(_) => {}
            },
            Read::TasksIn(plan, _) | Read::TasksNamed(plan, _) => {
                // The service ignores `$filter` (planner-api.md 8.1), so the plan's list answers
                // these.
                self.lists.insert(Read::Tasks(plan.clone()));
            }
            Read::BucketsNamed(plan, _) => _ = self.lists.insert(Read::Buckets(plan.clone())),
            Read::PlansNamed(_) => {
                // "No plan has that title" needs the whole list again; a plan that has it can be
                // asked itself.
                let answer = old.map(|old| read.answer(old));
                let Some(ReadValue::Ids(ids)) = answer else {
                    self.lists.insert(Read::Plans);
                    return;
                };
                if ids.is_empty() {
                    self.lists.insert(Read::Plans);
                }
                let ids = ids.iter().filter_map(|id| PlanId::parse(id).ok());
                self.singles.extend(ids.map(Target::Plan));
            }
            Read::Comments(task) => {
                // The task itself tells whether the actor may still see them.
                self.add_task(task, old);
                self.lists.insert(read.clone());
            }
            Read::Person(text) => _ = self.people.insert(text.clone()),
            Read::Tasks(_)
            | Read::Buckets(_)
            | Read::AssignedTo(_)
            | Read::Plans
            | Read::Groups
            | Read::Members(_)
            | Read::RosterMembers(_) => _ = self.lists.insert(read.clone()),
        }
    }

    fn add_task(&mut self, id: &TaskId, old: Option<&Snapshot>) {
        match old.map(|old| old.task(id)) {
            Some(Some(task)) => {
                self.tasks.entry(task.value.plan.clone()).or_default().insert(id.clone());
            }
            Some(None) => {}
            None => _ = self.singles.insert(Target::Task(id.clone())),
        }
    }

    /// Chooses lists instead of many single reads.
    fn settle(mut self) -> Self {
        for (plan, ids) in std::mem::take(&mut self.tasks) {
            self.list_or_single(Read::Tasks(plan), ids.into_iter().map(Target::Task));
        }
        for (plan, ids) in std::mem::take(&mut self.buckets) {
            self.list_or_single(Read::Buckets(plan), ids.into_iter().map(Target::Bucket));
        }
        self
    }

    fn list_or_single(&mut self, list: Read, singles: impl ExactSizeIterator<Item = Target>) {
        if singles.len() >= LIST_FROM {
            self.lists.insert(list);
        } else if !self.lists.contains(&list) {
            self.singles.extend(singles);
        }
    }
}

/// Returns the query for a list.
fn query_of(list: Read, me: &UserId) -> Option<Query> {
    Some(match list {
        Read::Tasks(plan) => Query::Tasks(plan),
        Read::Buckets(plan) => Query::Buckets(plan),
        Read::AssignedTo(user) if user == *me => Query::MyTasks,
        Read::AssignedTo(user) => Query::UserTasks(user),
        Read::Plans => Query::AllPlans,
        Read::Groups => Query::Groups,
        Read::Members(group) => Query::Members(group),
        Read::RosterMembers(roster) => Query::RosterMembers(roster),
        Read::Comments(task) => Query::Comments(task),
        _ => return None,
    })
}

impl Refreshed {
    async fn read(
        client: &Client,
        me: &UserId,
        needs: Needs,
        old: &Snapshot,
    ) -> Result<Self, Error> {
        let queries = needs.lists.into_iter().filter_map(|list| query_of(list, me)).collect();
        let lists = in_lanes(
            queries,
            |client: Client, query: Query| async move {
                Ok(found(fetch(&client, query.clone()).await)?.map(|response| (query, response)))
            },
            client,
        );
        let singles: Vec<Target> = needs.singles.into_iter().collect();
        let people: Vec<String> = needs.people.into_iter().collect();
        let (lists, answers) = tokio::join!(lists, read_singles(client, &singles, &people, old));
        let mut read = Self::default();
        for (query, response) in lists?.into_iter().flatten() {
            keep(&mut read.snapshot, me, &query, response);
        }
        let mut answers = answers?.into_iter();
        for (single, answer) in singles.into_iter().zip(answers.by_ref()) {
            match (single, answer) {
                (single, Some(Any(json))) => {
                    let seen = seen(client, &single, &json)?;
                    put(&mut read.snapshot, single, seen);
                }
                (Target::Plan(id), None) => _ = read.gone.insert(EntityId::Plan(id)),
                (Target::Bucket(id), None) => _ = read.gone.insert(EntityId::Bucket(id)),
                (Target::Task(id), None) => _ = read.gone.insert(EntityId::Task(id)),
                _ => {}
            }
        }
        for (text, answer) in people.iter().zip(answers) {
            // A person whom the directory no longer shows stays as known.
            let user = answer.and_then(|Any(json)| User::decode(json.as_str()).ok());
            if let Some(user) = user {
                read.snapshot.add_user_found_by(text, user);
            }
        }
        read.snapshot.carry_plans(old, |id| read.gone.contains(&EntityId::Plan(id.clone())));
        Ok(read)
    }
}

/// Reads some objects; deleted ones are left out.
pub(crate) async fn read_targets(client: &Client, targets: Vec<Target>) -> Result<Snapshot, Error> {
    let needs = Needs { singles: targets.into_iter().collect(), ..Needs::default() };
    let nobody = Snapshot::default();
    // These reads include no list of anybody's own tasks.
    let me = UserId::parse("nobody")
        .map_err(|error| Error::Decode { request: String::new(), source: error.into() })?;
    let client = client.patient().rationed();
    Ok(Refreshed::read(&client, &me, needs, &nobody).await?.snapshot)
}

/// Returns whether a snapshot holds an object.
pub(crate) fn is_there(now: &Snapshot, target: &Target) -> bool {
    match target {
        Target::Plan(id) => now.plan(id).is_some(),
        Target::PlanDetails(id) => now.plan_details(id).is_some(),
        Target::Bucket(id) => now.bucket(id).is_some(),
        Target::Task(id) => now.task(id).is_some(),
        Target::Details(id) => now.details(id).is_some(),
        Target::Place(id, board) => now.place(id, *board).is_some(),
    }
}

fn put(snapshot: &mut Snapshot, target: Target, seen: Seen) {
    match (target, seen) {
        (Target::Plan(id), Seen::Plan(read)) => snapshot.put_plan(id, *read),
        (Target::PlanDetails(id), Seen::PlanDetails(read)) => snapshot.put_plan_details(id, read),
        (Target::Bucket(id), Seen::Bucket(read)) => snapshot.put_bucket(id, *read),
        (Target::Task(id), Seen::Task(read)) => snapshot.put_task(id, *read),
        (Target::Details(id), Seen::Details(read)) => snapshot.put_details(id, *read),
        (Target::Place(id, board), Seen::Place(read)) => snapshot.put_place(id, board, read),
        _ => {}
    }
}

async fn read_singles(
    client: &Client,
    singles: &[Target],
    people: &[String],
    old: &Snapshot,
) -> Result<Vec<Option<Any>>, Error> {
    let person = |text: &String| {
        let known = old.find_user(text).map(|user| user.id.to_string());
        request::user(&known.unwrap_or_else(|| text.clone()))
    };
    let requests: Vec<Request> =
        singles.iter().map(read_of).chain(people.iter().map(person)).collect();
    let answers = match requests.as_slice() {
        [one] => vec![client.read::<Any>(one).await],
        _ => client.read_many::<Any>(&requests).await?,
    };
    let n_entities = singles.len();
    let answer = |(at, answer): (usize, Result<Any, Error>)| match answer {
        // A person whom the directory does not show is no error.
        Err(error) if at >= n_entities && error.refusal().is_some() => Ok(None),
        other => found(other),
    };
    answers.into_iter().enumerate().map(answer).collect()
}

fn found<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

impl Session {
    /// Reads again what changes are about and what the run has read, as far as the actor may see
    /// it; never older than what is known.
    pub(crate) async fn refreshed(
        &self,
        client: &Client,
        changes: &[Change],
        others: Vec<Reread>,
    ) -> Result<Refreshed, Error> {
        // A run that is about to write, or has written, depends on the answer.
        let client = &client.patient().rationed();
        let (mut needs, old) = {
            let state = self.state();
            (Needs::from_reads(changes, &state.reads, &state.snapshot), state.snapshot.clone())
        };
        others.iter().for_each(|reread| needs.add_read(&reread.read, reread.board.as_deref()));
        let needs = needs.settle();
        let mut read = Refreshed::read(client, &self.facts().me.id, needs, &old).await?;
        if self.facts().scope.is_some() {
            self.confine(client, &mut read, &old).await?;
        }
        // A copy of the service may lag behind and answer with an older state.
        read.snapshot.keep_newer(&old);
        Ok(read)
    }

    /// Leaves out what is in plans that the actor may not see, whatever plan a change claims to be
    /// about (rule R4).
    async fn confine(
        &self,
        client: &Client,
        read: &mut Refreshed,
        old: &Snapshot,
    ) -> Result<(), Error> {
        let now = &mut read.snapshot;
        let unknown: Vec<PlanId> = now
            .plans_of_all()
            .into_iter()
            .filter(|id| old.plan(id).is_none() && now.plan(id).is_none())
            .collect();
        let reads: Vec<Request> = unknown.iter().map(request::plan).collect();
        let answers = client.read_many::<Versioned<Plan>>(&reads).await?;
        for (id, answer) in unknown.into_iter().zip(answers) {
            // A plan that may not be read may not be seen.
            if let Ok(plan) = answer {
                now.add_plan(id, plan);
            }
        }
        let visible: BTreeSet<PlanId> = now
            .plans_of_all()
            .into_iter()
            .filter(|id| {
                old.plan(id).or(now.plan(id)).is_some_and(|plan| self.in_scope(&plan.value))
            })
            .collect();
        // An entity that was moved out of the actor's sight counts as deleted.
        let tasks = now.tasks().filter(|task| !visible.contains(&task.value.plan));
        let tasks = tasks.map(|task| EntityId::Task(task.value.id.clone()));
        let buckets = now.buckets().filter(|bucket| !visible.contains(&bucket.value.plan));
        let buckets = buckets.map(|bucket| EntityId::Bucket(bucket.value.id.clone()));
        let plans = now.plans_of_all().into_iter().filter(|id| !visible.contains(id));
        let gone = tasks.chain(buckets).chain(plans.map(EntityId::Plan));
        read.gone.extend(gone.collect::<Vec<_>>());
        now.confine(|id| visible.contains(id));
        // The groups that were read are those of visible plans.
        let known: BTreeSet<_> =
            old.groups().into_iter().flatten().map(|group| &group.id).collect();
        now.confine_groups(|id| known.contains(id));
        Ok(())
    }

    /// Adopts a refreshed snapshot: the only way in which what a run has read ever changes. The
    /// run's own writes were set back in it before.
    pub(crate) fn adopt(&self, now: Refreshed, written: &Ledger) {
        let mut state = self.state();
        // An entity that this run has written keeps its state from before, even if it deleted it.
        for gone in now.gone.iter().filter(|id| !written.has_written(id)) {
            forget(&mut state.snapshot, gone);
        }
        state.snapshot.adopt(now.snapshot);
    }

    /// Adopts the moved states that single requests have met.
    pub(crate) fn adopt_parts<'a>(
        &self,
        parts: impl Iterator<Item = (&'a Change, &'a Part, Option<&'a Seen>)>,
    ) {
        let mut state = self.state();
        for (change, part, seen) in parts {
            match (seen, crate::change::apply::step::target(change, part)) {
                (Some(seen), Some(target)) => put(&mut state.snapshot, target, seen.clone()),
                // It was not found, so a program that runs again must not meet it.
                _ => forget(&mut state.snapshot, &change.id()),
            }
        }
    }

    /// Replaces the draft by a set: the same edits, resting on newer states.
    pub(crate) fn rest_on(&self, set: &ChangeSet) {
        self.state().draft.rest_on(set);
    }

    /// Forgets all reads but these: whoever made the others reads again.
    pub(crate) fn keep_reads(&self, reads: &ReadSet) {
        self.state().reads.retain(|read| reads.contains(read));
    }

    /// Counts as read the fields that the changes of a set have read.
    pub(crate) fn count_reads_of(&self, set: &ChangeSet) {
        for change in set.changes() {
            let field = |field: &Field| Read::Field(change.id(), *field);
            change.reads.iter().for_each(|read| self.count(field(read)));
        }
    }
}

fn forget(snapshot: &mut Snapshot, id: &EntityId) {
    match id {
        EntityId::Plan(id) => snapshot.forget_plan(id),
        EntityId::PlanDetails(_) => {}
        EntityId::Bucket(id) => snapshot.forget_bucket(id),
        EntityId::Task(id) => snapshot.forget_task(id),
        EntityId::Comment(_) => {}
    }
}
