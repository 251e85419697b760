//! Carrying out a cleared set: validate, then write, each change on the tag it rests on.
//!
//! Before the first write everything that is to change is read again and compared by value
//! (design.md 2.3): Planner accepts a stale tag when the fields do not collide, so a tag alone
//! protects no decision. After a 409 or 412 the entity is compared once more; only where
//! nothing that the run read or writes has moved does the change go out on the newer tag.

mod markers;
mod now;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::change::{
    Change, Edit, Field, FieldConflict, Fields, Merge, TaskBasis, TaskState, Write, merge,
};
use crate::graph::{Client, Error, WriteError};
use crate::host::Failure;
use crate::host::apply::markers::find_marker;
use crate::host::apply::now::{Now, rebase, rebase_task};
use crate::host::report::ChangeStatus;
use crate::host::stop::Stop;
use crate::model::{Bucket, ETag, Plan, PlanDetails, PlanId, Task, TaskDetails, TaskId, Versioned};
use crate::policy::Cleared;

use crate::wire::{Request, body, request};

pub(crate) use crate::host::apply::markers::replace_markers;

/// How often one change is rebased before it counts as a conflict.
const MAX_REBASES: u32 = 8;
/// How often a just created object is looked for (planner-api.md trap 14).
const MAX_LOOKS: u32 = 5;

/// What became of a change.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The status to report.
    pub status: ChangeStatus,
    /// How often it was sent.
    pub attempts: u32,
    /// Both sides of each field in conflict.
    pub conflict: Vec<FieldConflict>,
    /// Why it was not written.
    pub error: Option<Failure>,
    /// Whether any part of it was written.
    pub wrote: bool,
}

impl Outcome {
    const fn new(status: ChangeStatus) -> Self {
        Self { status, attempts: 0, conflict: Vec::new(), error: None, wrote: false }
    }

    fn conflict(fields: Vec<FieldConflict>) -> Self {
        let mut outcome = Self::new(ChangeStatus::Conflict);
        let message = if fields.is_empty() {
            "someone else changed or deleted it since it was read".to_owned()
        } else {
            let names: Vec<_> = fields.iter().map(|it| it.field.name()).collect();
            format!("someone else changed {} since it was read", names.join(", "))
        };
        outcome.conflict = fields;
        outcome.error = Some(Failure {
            code: "conflict".into(),
            message,
            hint: Some("run it again: it will start from what is there now".into()),
            ..Failure::default()
        });
        outcome
    }
}

/// What became of a set.
#[derive(Debug, Default)]
pub struct Applied {
    /// By the change's number.
    pub outcomes: BTreeMap<usize, Outcome>,
    /// Real ids of new entities, by their markers.
    pub ids: BTreeMap<String, String>,
    /// Conflicts met, those resolved included.
    pub conflicts: u64,
}

/// A failure of one step of a change.
enum Trouble {
    Conflict(Vec<FieldConflict>),
    /// Gone already: nothing to do.
    Gone,
    Write(WriteError),
    Read(Error),
    /// A marker that nothing has resolved.
    Unresolved(String),
}

/// Applies a set. Stops at the first change that can not be written; those after it are
/// skipped.
pub async fn apply(client: &Client, cleared: &Cleared, stop: &Stop) -> Applied {
    let mut work = Work { client, done: Applied::default(), later: Vec::new() };
    let mut changes = cleared.set().changes().to_vec();
    if !work.validate(&mut changes).await {
        return work.done;
    }
    let mut going = true;
    for at in 0..changes.len() {
        let change = &changes[at];
        if going && stop.reason().is_some() {
            going = false;
        }
        if !going {
            work.done.outcomes.insert(change.n, Outcome::new(ChangeStatus::Skipped));
            continue;
        }
        going = work.write(change).await;
        let creates_end = changes.get(at + 1).is_none_or(|next| !is_create(next));
        if is_create(change) && creates_end {
            going &= work.write_later().await;
        }
    }
    work.done
}

fn is_create(change: &Change) -> bool {
    change.op() == crate::change::Op::Create
}

struct Work<'a> {
    client: &'a Client,
    done: Applied,
    /// Details of new tasks, written once everything they may mention exists.
    later: Vec<(usize, TaskId, TaskDetails)>,
}

impl Work<'_> {
    /// Compares everything that is to change with what is there now. Advances the tags of what
    /// has not moved; if anything has, records the conflicts and returns false.
    async fn validate(&mut self, changes: &mut [Change]) -> bool {
        let now = match Now::read(self.client, changes).await {
            Ok(now) => now,
            Err(error) => {
                if let Some(first) = changes.first() {
                    let mut outcome = Outcome::new(ChangeStatus::Failed);
                    outcome.error = Some(failure(&error));
                    self.done.outcomes.insert(first.n, outcome);
                }
                return false;
            }
        };
        let mut valid = true;
        for change in changes {
            let result = match &mut change.write {
                Write::Plan(edit) => rebase(edit, now.plans.get(&edit.known().id), &change.reads),
                Write::PlanDetails { plan, edit, .. } => {
                    rebase(edit, now.plan_details.get(plan), &change.reads)
                }
                Write::Bucket(edit) => {
                    rebase(edit, now.buckets.get(edit.known().id.as_str()), &change.reads)
                }
                Write::Task(edit) => rebase_task(edit, &now, &change.reads),
            };
            if let Err(fields) = result {
                self.done.conflicts += 1;
                self.done.outcomes.insert(change.n, Outcome::conflict(fields));
                valid = false;
            }
        }
        valid
    }

    /// Writes one change and records its outcome; returns whether to go on.
    async fn write(&mut self, change: &Change) -> bool {
        let mut attempts = 0;
        let mut wrote = false;
        let result = match &change.write {
            Write::Plan(edit) => self.write_plan(edit, &change.reads, &mut attempts).await,
            Write::PlanDetails { plan, edit, .. } => {
                self.write_plan_details(plan, edit, &change.reads, &mut attempts).await
            }
            Write::Bucket(edit) => self.write_bucket(edit, &change.reads, &mut attempts).await,
            Write::Task(edit) => self.write_task(change, edit, &mut attempts, &mut wrote).await,
        };
        let mut outcome = match result {
            Ok(()) => Outcome { wrote: true, ..Outcome::new(ChangeStatus::Applied) },
            Err(trouble) => Self::trouble(trouble),
        };
        outcome.attempts = attempts;
        outcome.wrote |= wrote;
        let go_on = matches!(outcome.status, ChangeStatus::Applied | ChangeStatus::Skipped);
        self.done.conflicts += u64::from(outcome.status == ChangeStatus::Conflict);
        self.done.outcomes.insert(change.n, outcome);
        go_on
    }

    fn trouble(trouble: Trouble) -> Outcome {
        match trouble {
            Trouble::Conflict(fields) => Outcome::conflict(fields),
            Trouble::Gone => {
                let mut outcome = Outcome::new(ChangeStatus::Skipped);
                outcome.error = Some(Failure {
                    code: "gone".into(),
                    message: "it was deleted already".into(),
                    ..Failure::default()
                });
                outcome
            }
            Trouble::Read(error) => {
                let mut outcome = Outcome::new(ChangeStatus::Failed);
                outcome.error = Some(failure(&error));
                outcome
            }
            Trouble::Write(WriteError { error, in_doubt }) => {
                let status = if in_doubt { ChangeStatus::Unknown } else { ChangeStatus::Failed };
                let mut outcome = Outcome::new(status);
                let mut failure = failure(&error);
                if in_doubt {
                    failure.hint = Some(
                        "it may have been written all the same: look at the board before you run it again"
                            .into(),
                    );
                }
                outcome.error = Some(failure);
                outcome
            }
            Trouble::Unresolved(marker) => {
                let mut outcome = Outcome::new(ChangeStatus::Failed);
                outcome.error = Some(Failure {
                    code: "invalid".into(),
                    message: format!("it mentions {marker}, which does not exist yet"),
                    ..Failure::default()
                });
                outcome
            }
        }
    }

    /// Replaces the markers of new entities in a request's body (design.md 2.2).
    fn resolved(&self, value: Value) -> Result<Value, Trouble> {
        let resolved = replace_markers(value, &self.done.ids);
        match find_marker(&resolved) {
            Some(marker) => Err(Trouble::Unresolved(marker)),
            None => Ok(resolved),
        }
    }

    fn real_text(&self, text: &str) -> String {
        match replace_markers(Value::String(text.to_owned()), &self.done.ids) {
            Value::String(text) => text,
            _ => text.to_owned(),
        }
    }

    fn real_plan(&self, id: &PlanId) -> Result<PlanId, Trouble> {
        let text = self.real_text(id.as_str());
        PlanId::parse(&text)
            .ok()
            .filter(|it| !it.is_provisional())
            .ok_or_else(|| Trouble::Unresolved(id.to_string()))
    }

    async fn write_plan(
        &mut self,
        edit: &Edit<Plan, ETag>,
        reads: &Reads,
        attempts: &mut u32,
    ) -> Result<(), Trouble> {
        match edit {
            Edit::Create { after } => {
                let Some(group) = &after.group else {
                    return Err(Trouble::Unresolved("a group".to_owned()));
                };
                let title = self.real_text(&after.title);
                let made =
                    self.create::<Plan>(&request::create_plan(group, &title), attempts).await?;
                self.done.ids.insert(after.id.to_string(), made.value.id.to_string());
                Ok(())
            }
            Edit::Update { before, after, basis } => {
                let title = self.real_text(&after.title);
                let send = |etag| request::update_plan(&after.id, &title, etag);
                let mut part = Part { base: before, ours: after, reads, attempts };
                let read = request::plan(&after.id);
                self.update_part(&mut part, basis, &read, |it: Plan| it, send).await
            }
            Edit::Delete { before, basis } => {
                self.delete(&request::delete_plan(&before.id, basis.clone()), attempts).await
            }
        }
    }

    async fn write_plan_details(
        &mut self,
        plan: &PlanId,
        edit: &Edit<PlanDetails, ETag>,
        reads: &Reads,
        attempts: &mut u32,
    ) -> Result<(), Trouble> {
        let id = self.real_plan(plan)?;
        let read = request::plan_details(&id);
        // Those of a new plan are read first, for their tag; they may take a moment to appear.
        let (made, wanted);
        let (before, after, basis) = match edit {
            Edit::Update { before, after, basis } => (before, after, basis),
            Edit::Create { after } => {
                made = self.look_for::<PlanDetails>(&read).await.map_err(Trouble::Read)?;
                wanted = over_made(&made.value, after);
                (&made.value, &wanted, &made.etag)
            }
            Edit::Delete { .. } => return Ok(()),
        };
        let Some(patch) = body::plan_details_patch(before, after) else { return Ok(()) };
        let patch = self.resolved(patch)?;
        let send = |etag| request::update_plan_details(&id, patch.clone(), etag);
        let mut part = Part { base: before, ours: after, reads, attempts };
        self.update_part(&mut part, basis, &read, |it: PlanDetails| it, send).await
    }

    async fn write_bucket(
        &mut self,
        edit: &Edit<Bucket, ETag>,
        reads: &Reads,
        attempts: &mut u32,
    ) -> Result<(), Trouble> {
        match edit {
            Edit::Create { after } => {
                let plan = self.real_plan(&after.plan)?;
                let name = self.real_text(&after.name);
                let create = request::create_bucket(&plan, &name, &after.order_hint);
                let made = self.create::<Bucket>(&create, attempts).await?;
                self.done.ids.insert(after.id.to_string(), made.value.id.to_string());
                Ok(())
            }
            Edit::Update { before, after, basis } => {
                let name = self.real_text(&after.name);
                let send = |etag| request::update_bucket(&after.id, &name, etag);
                let mut part = Part { base: before, ours: after, reads, attempts };
                let read = request::bucket(&after.id);
                self.update_part(&mut part, basis, &read, |it: Bucket| it, send).await
            }
            Edit::Delete { before, basis } => {
                self.delete(&request::delete_bucket(&before.id, basis.clone()), attempts).await
            }
        }
    }

    async fn write_task(
        &mut self,
        change: &Change,
        edit: &Edit<TaskState, TaskBasis>,
        attempts: &mut u32,
        wrote: &mut bool,
    ) -> Result<(), Trouble> {
        match edit {
            Edit::Create { after } => {
                let create = request::create_task(self.resolved(body::new_task(&after.task))?);
                let made = self.create::<Task>(&create, attempts).await?;
                self.done.ids.insert(after.task.id.to_string(), made.value.id.to_string());
                if let Some(details) = &after.details
                    && body::details_patch(&TaskDetails::default(), details).is_some()
                {
                    self.later.push((change.n, made.value.id, details.clone()));
                }
                Ok(())
            }
            Edit::Delete { before, basis } => {
                let delete = request::delete_task(&before.task.id, basis.task.clone());
                self.delete(&delete, attempts).await
            }
            Edit::Update { before, after, basis } => {
                let id = &before.task.id;
                if let Some(patch) = body::task_patch(&before.task, &after.task) {
                    let patch = self.resolved(patch)?;
                    let task_of = |task: Task| TaskState { task, details: before.details.clone() };
                    let send = |etag| request::update_task(id, patch.clone(), etag);
                    let mut part =
                        Part { base: before, ours: after, reads: &change.reads, attempts };
                    self.update_part(&mut part, &basis.task, &request::task(id), task_of, send)
                        .await?;
                    *wrote = true;
                }
                let (Some(old), Some(new), Some(tag)) =
                    (&before.details, &after.details, &basis.details)
                else {
                    return Ok(());
                };
                let Some(patch) = body::details_patch(old, new) else { return Ok(()) };
                let patch = self.resolved(patch)?;
                let task_of =
                    |details| TaskState { task: before.task.clone(), details: Some(details) };
                let send = |etag| request::update_task_details(id, patch.clone(), etag);
                let read = request::task_details(id);
                // The task's own part is written: only the details can still collide.
                let base = TaskState { task: before.task.clone(), details: before.details.clone() };
                let ours = TaskState { task: before.task.clone(), details: after.details.clone() };
                let mut part = Part { base: &base, ours: &ours, reads: &change.reads, attempts };
                self.update_part(&mut part, tag, &read, task_of, send).await
            }
        }
    }

    /// Writes the details of new tasks; returns whether all went well.
    async fn write_later(&mut self) -> bool {
        let mut all_well = true;
        for (n, id, details) in std::mem::take(&mut self.later) {
            let result = self.write_new_details(&id, &details).await;
            if let Err(trouble) = result {
                let mut outcome = Self::trouble(trouble);
                outcome.wrote = true;
                if let Some(error) = outcome.error.as_mut() {
                    error.message =
                        format!("the task was created, its details were not: {}", error.message);
                }
                self.done.outcomes.insert(n, outcome);
                all_well = false;
            }
        }
        all_well
    }

    async fn write_new_details(&self, id: &TaskId, details: &TaskDetails) -> Result<(), Trouble> {
        let read = request::task_details(id);
        let read = self.look_for::<TaskDetails>(&read).await.map_err(Trouble::Read)?;
        let Some(patch) = body::details_patch(&read.value, &wanted_over(&read.value, details))
        else {
            return Ok(());
        };
        let patch = self.resolved(patch)?;
        let update = request::update_task_details(id, patch, read.etag);
        self.client.write::<Versioned<TaskDetails>>(&update).await.map_err(Trouble::Write)?;
        Ok(())
    }

    /// Reads the details of something that was just created and may not be visible yet.
    async fn look_for<T>(&self, read: &Request) -> Result<Versioned<T>, Error>
    where
        Versioned<T>: crate::wire::Decoded,
    {
        let mut look = 1;
        loop {
            match self.client.read(read).await {
                Err(error) if error.is_not_found() && look < MAX_LOOKS => {
                    tokio::time::sleep(std::time::Duration::from_millis(100 << look)).await;
                    look += 1;
                }
                other => return other,
            }
        }
    }

    async fn create<T>(&self, create: &Request, attempts: &mut u32) -> Result<Versioned<T>, Trouble>
    where
        Versioned<T>: crate::wire::Decoded,
    {
        *attempts += 1;
        let made = self.client.write::<Versioned<T>>(create).await.map_err(Trouble::Write)?;
        made.ok_or_else(|| {
            let error = Error::NotGraph {
                origin: self.client.base().origin(),
                got: "an empty answer to a create".into(),
            };
            Trouble::Write(WriteError { error, in_doubt: true })
        })
    }

    async fn delete(&self, delete: &Request, attempts: &mut u32) -> Result<(), Trouble> {
        *attempts += 1;
        match self.client.write::<Versioned<Task>>(delete).await {
            Ok(_) => Ok(()),
            Err(failed) if failed.error.is_not_found() => {
                if failed.in_doubt {
                    Ok(())
                } else {
                    Err(Trouble::Gone)
                }
            }
            Err(failed) if failed.error.is_conflict() => Err(Trouble::Conflict(Vec::new())),
            Err(failed) => Err(Trouble::Write(failed)),
        }
    }

    /// Sends a conditional write, and after a conflict decides whether it may go out again on
    /// the newer tag.
    async fn update_part<S, T: Fields>(
        &mut self,
        part: &mut Part<'_, T>,
        basis: &ETag,
        read: &Request,
        whole: impl Fn(S) -> T,
        send: impl Fn(ETag) -> Request,
    ) -> Result<(), Trouble>
    where
        Versioned<S>: crate::wire::Decoded,
    {
        let mut etag = basis.clone();
        let mut rebases = 0;
        loop {
            *part.attempts += 1;
            let result = self.client.write::<Versioned<S>>(&send(etag.clone())).await;
            let Err(failed) = result else { return Ok(()) };
            if failed.error.is_not_found() {
                return Err(Trouble::Conflict(Vec::new()));
            }
            if !failed.error.is_conflict() {
                return Err(Trouble::Write(failed));
            }
            let now = match self.client.read::<Versioned<S>>(read).await {
                Ok(now) => now,
                Err(error) if error.is_not_found() => return Err(Trouble::Conflict(Vec::new())),
                Err(error) => return Err(Trouble::Read(error)),
            };
            let theirs = whole(now.value);
            if failed.in_doubt && holds(part.base, part.ours, &theirs) {
                // The conflict was with our own earlier attempt, whose answer was lost.
                return Ok(());
            }
            match merge(part.base, part.ours, &theirs, part.reads) {
                Merge::Rebase if rebases < MAX_REBASES => {
                    rebases += 1;
                    self.done.conflicts += 1;
                    etag = now.etag;
                }
                Merge::Rebase => return Err(Trouble::Conflict(Vec::new())),
                Merge::Conflict(fields) => return Err(Trouble::Conflict(fields)),
            }
        }
    }
}

/// The fields of an entity that the program looked at.
pub(crate) type Reads = BTreeSet<Field>;

/// The states that an update is about.
struct Part<'a, T> {
    base: &'a T,
    ours: &'a T,
    reads: &'a Reads,
    attempts: &'a mut u32,
}

/// What is wanted of a new plan's details, over what the service made of them: it shares the
/// plan with its creator (planner-api.md 7.6).
fn over_made(made: &PlanDetails, wanted: &PlanDetails) -> PlanDetails {
    let mut over = made.clone();
    over.labels.extend(wanted.labels.iter().map(|(it, name)| (*it, name.clone())));
    over.shared_with.extend(wanted.shared_with.iter().cloned());
    over
}

/// Tells whether everything that `ours` sets is there.
fn holds<T: Fields>(base: &T, ours: &T, theirs: &T) -> bool {
    base.differing(ours).into_iter().all(|field| ours.value(field) == theirs.value(field))
}

/// What is wanted of new details, over what the service made of them.
fn wanted_over(made: &TaskDetails, wanted: &TaskDetails) -> TaskDetails {
    let mut over = wanted.clone();
    if over.preview_type.is_empty() {
        over.preview_type.clone_from(&made.preview_type);
    }
    over
}

fn failure(error: &Error) -> Failure {
    // One code and one hint for an error, whether a read or a write met it.
    let code = match error {
        error if error.is_permission() => "not_permitted",
        error if error.is_unavailable() => "unavailable",
        error if error.is_not_found() => "not_found",
        _ => "service",
    };
    Failure::of(code, error, crate::host::error::graph_hint(error))
}
