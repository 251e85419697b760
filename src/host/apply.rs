//! Carrying out a cleared set: validate, then write, each change on the tag it rests on.
//!
//! Before the first write every entity that is to change is read again and compared by value
//! (design.md 2.3): Planner accepts a stale tag when the fields do not collide, so a tag alone
//! protects no decision. What the run read of *other* entities, and which lists they were on, is
//! not compared yet. After a 409 or 412 the entity is compared once more; only where
//! nothing that the run read or writes has moved does the change go out on the newer tag.

pub(crate) mod images;
mod markers;
mod now;
pub mod outcome;
mod plan;
mod send;
mod task;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use serde_json::Value;

use crate::change::{
    Change, ChangeSet, Edit, EntityId, Field, Fields, Merge, TaskState, Write, holds, merge,
};
use crate::graph::{Client, Error, WriteError};
use crate::host::apply::markers::find_marker;
use crate::host::apply::now::{Now, rebase, rebase_task, takes_only};
use crate::host::apply::outcome::{Trouble, failure};
use crate::host::record::Record;
use crate::host::report::ChangeStatus;
use crate::host::stop::Stop;
use crate::journal::{self, Judgement};
use crate::model::{Bucket, ETag, Group, GroupId, PlanDetails, PlanId, Task, TaskId, Versioned};
use crate::policy::Cleared;
use crate::wire::{Decoded, Request, body, request};

pub(crate) use crate::host::apply::markers::replace_markers;
pub use crate::host::apply::outcome::{Applied, Outcome};

/// How often one change is rebased before it counts as a conflict.
const MAX_REBASES: u32 = 8;
/// How often a just created object is looked for (planner-api.md trap 14).
const MAX_LOOKS: u32 = 5;
/// How old a group is, in seconds, when Planner knows it for sure.
const GROUP_IS_NEW: i64 = 15 * 60;
/// How long to wait for Planner to know a new group, in milliseconds, each time.
const GROUP_WAITS: [u64; 8] = [500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000];
/// The same for what this run has made.
const MADE_WAITS: [u64; 5] = [200, 400, 800, 1600, 3200];

/// Applies a set. Stops at the first change that can not be written; those after it are
/// skipped. What is sent is recorded first, if there is a record.
///
/// `now` is the moment of the run: it tells whether a group is so new that Planner may not know
/// it yet.
pub(crate) async fn apply(
    client: &Client,
    cleared: &Cleared,
    now: Timestamp,
    record: Option<&Record>,
    stop: &Stop,
) -> Applied {
    let mut changes = cleared.set().changes().to_vec();
    let mut work = Work::new(client, now, record, stop);
    work.pending =
        changes.iter().filter(|it| is_create(it)).map(|it| it.id().to_string()).collect();
    let valid = tokio::select! {
        biased;
        () = stop.wait() => false,
        valid = work.validate(&mut changes) => valid,
    };
    if !valid || !work.record_set(&changes).await {
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
    // What was created gets its details, whatever stopped the rest.
    work.write_later().await;
    work.done
}

/// Rests a set that was drafted a while ago on what is there now.
///
/// # Errors
/// What it read or writes has moved, or could not be read: the outcomes, none of them written.
pub(crate) async fn refresh(
    client: &Client,
    set: &ChangeSet,
    now: Timestamp,
    stop: &Stop,
) -> Result<ChangeSet, Applied> {
    let mut changes = set.changes().to_vec();
    let mut work = Work::new(client, now, None, stop);
    if work.validate(&mut changes).await {
        Ok(ChangeSet::in_order(changes))
    } else {
        Err(work.done)
    }
}

fn is_create(change: &Change) -> bool {
    change.op() == crate::change::Op::Create
}

struct Work<'a> {
    client: &'a Client,
    now: Timestamp,
    record: Option<&'a Record>,
    stop: &'a Stop,
    /// The round that the journal has given the set.
    round: u32,
    /// The change that is being written, and how often each of its steps was sent.
    current: usize,
    sent: BTreeMap<(usize, String), u32>,
    done: Applied,
    /// New tasks whose details and places are written once everything they may mention exists.
    later: Vec<(usize, Task, TaskState)>,
    /// Provisional ids of everything that the set makes.
    pending: BTreeSet<String>,
}

impl<'a> Work<'a> {
    fn new(client: &'a Client, now: Timestamp, record: Option<&'a Record>, stop: &'a Stop) -> Self {
        Self {
            client,
            now,
            record,
            stop,
            round: 0,
            current: 0,
            sent: BTreeMap::new(),
            done: Applied::default(),
            later: Vec::new(),
            pending: BTreeSet::new(),
        }
    }
}

impl Work<'_> {
    /// Records the set as it is about to be applied; returns whether it could be.
    async fn record_set(&mut self, changes: &[Change]) -> bool {
        let Some(record) = self.record else { return true };
        let set = ChangeSet::in_order(changes.to_vec());
        match record.judged(set, Judgement::Cleared).await {
            Ok(round) => {
                self.round = round;
                true
            }
            Err(failure) => {
                self.done.broken = Some(failure);
                false
            }
        }
    }

    /// Compares everything that is to change with what is there now. Advances the tags of what
    /// has not moved; if anything has, records the conflicts and returns false.
    async fn validate(&mut self, changes: &mut [Change]) -> bool {
        let now = match Now::read(self.client, changes).await {
            Ok(now) => now,
            Err(error) => return self.can_not_read(changes, &error),
        };
        let mut valid = true;
        let own: BTreeSet<TaskId> = changes
            .iter()
            .filter_map(|it| match it.id() {
                EntityId::Task(id) => Some(id),
                _ => None,
            })
            .collect();
        for change in &mut *changes {
            let takes_more = !takes_only(change, &now, &own);
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
            let mut outcome = match result {
                Err(fields) => Outcome::conflict(fields),
                Ok(()) if takes_more => Outcome::conflict(Vec::new()),
                Ok(()) => continue,
            };
            if takes_more && let Some(error) = outcome.error.as_mut() {
                error.message = "someone else has put tasks into it since it was read".into();
            }
            self.done.conflicts += 1;
            self.done.outcomes.insert(change.n, outcome);
            valid = false;
        }
        if valid
            && self.record.is_some()
            && let Err(error) = images::keep(self.client, changes, &now).await
        {
            return self.can_not_read(changes, &error);
        }
        valid
    }

    fn can_not_read(&mut self, changes: &[Change], error: &Error) -> bool {
        if let Some(first) = changes.first() {
            let mut outcome = Outcome::new(ChangeStatus::Failed);
            outcome.error = Some(failure(error));
            self.done.outcomes.insert(first.n, outcome);
        }
        false
    }

    /// Writes one change and records its outcome; returns whether to go on.
    async fn write(&mut self, change: &Change) -> bool {
        let mut attempts = 0;
        let mut wrote = false;
        self.current = change.n;
        let result = match &change.write {
            Write::Plan(edit) => {
                self.write_plan(edit, &change.reads, &mut attempts, &mut wrote).await
            }
            Write::PlanDetails { plan, edit, .. } => {
                self.write_plan_details(plan, edit, &change.reads, &mut attempts).await
            }
            Write::Bucket(edit) => self.write_bucket(edit, &change.reads, &mut attempts).await,
            Write::Task(edit) => self.write_task(change, edit, &mut attempts, &mut wrote).await,
        };
        let mut outcome = match result {
            Ok(()) => Outcome { wrote: true, ..Outcome::new(ChangeStatus::Applied) },
            Err(trouble) => Outcome::from(trouble),
        };
        outcome.attempts = attempts;
        outcome.wrote |= wrote;
        let go_on = matches!(outcome.status, ChangeStatus::Applied | ChangeStatus::Skipped);
        self.done.conflicts += u64::from(outcome.status == ChangeStatus::Conflict);
        self.done.outcomes.insert(change.n, outcome);
        go_on && self.done.broken.is_none()
    }

    /// Replaces the markers of new entities in a request's body (design.md 2.2).
    fn resolved(&self, value: Value) -> Result<Value, Trouble> {
        let resolved = replace_markers(value, &self.done.ids);
        match find_marker(&resolved, &self.pending) {
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

    fn resolved_text(&self, text: &str) -> Result<String, Trouble> {
        match self.resolved(Value::String(text.to_owned()))? {
            Value::String(text) => Ok(text),
            _ => Ok(text.to_owned()),
        }
    }

    fn real_plan(&self, id: &PlanId) -> Result<PlanId, Trouble> {
        let text = self.real_text(id.as_str());
        PlanId::parse(&text)
            .ok()
            .filter(|it| !it.is_provisional())
            .ok_or_else(|| Trouble::Unresolved(id.to_string()))
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
                let name = self.resolved_text(&after.name)?;
                let create = request::create_bucket(&plan, &name, &after.order_hint);
                let made: Versioned<Bucket> =
                    self.create(&create, Within::Plan(&plan), attempts).await?;
                self.done.ids.insert(after.id.to_string(), made.value.id.to_string());
                Ok(())
            }
            Edit::Update { before, after, basis } => {
                let Some(patch) = body::bucket_patch(before, after) else { return Ok(()) };
                let patch = self.resolved(patch)?;
                let send = |etag| request::update_bucket(&after.id, patch.clone(), etag);
                let mut part = Part { base: before, ours: after, reads, attempts };
                let read = request::bucket(&after.id);
                self.update_part(&mut part, basis, &read, |it: Bucket| it, send).await
            }
            Edit::Delete { before, basis } => {
                self.delete(&request::delete_bucket(&before.id, basis.clone()), attempts).await
            }
        }
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
                    tokio::time::sleep(Duration::from_millis(100 << look)).await;
                    look += 1;
                }
                other => return other,
            }
        }
    }

    /// Creates something in a group or plan. What was just made itself is not known everywhere
    /// at once: Planner then answers as if the actor were no member (planner-api.md 6.1, trap
    /// 14). The host has checked that they are, so it is asked again for a while. A refusal is
    /// no lost answer: nothing was made.
    async fn create<T: Decoded>(
        &mut self,
        create: &Request,
        within: Within<'_>,
        attempts: &mut u32,
    ) -> Result<T, Trouble> {
        let mut waits = None;
        loop {
            *attempts += 1;
            let failed = match self.send::<T>(create).await.0 {
                Ok(Some(made)) => return Ok(made),
                Ok(None) => {
                    let origin = self.client.base().origin();
                    let got = "an empty answer to a create".into();
                    let error = Error::NotGraph { origin, got };
                    return Err(Trouble::Write(WriteError { error, in_doubt: true }));
                }
                Err(failed) => failed,
            };
            let is_refused = |error: &Error| {
                error.refusal().is_some_and(|it| it.is_forbidden() || it.is_not_found())
            };
            if !failed.is(is_refused) {
                return Err(failed.into());
            }
            let waits = match &mut waits {
                Some(waits) => waits,
                none => none.insert(self.patience(within).await.iter()),
            };
            let Some(wait) = waits.next() else { return Err(failed.into()) };
            tokio::select! {
                () = self.stop.wait() => return Err(failed.into()),
                () = tokio::time::sleep(Duration::from_millis(*wait)) => {}
            }
        }
    }

    /// Returns how long to wait for a container to be known, each time, in milliseconds.
    async fn patience(&self, within: Within<'_>) -> &'static [u64] {
        match within {
            Within::Plan(id) if self.done.ids.values().any(|it| it == id.as_str()) => &MADE_WAITS,
            Within::Made => &MADE_WAITS,
            Within::Plan(_) | Within::Nothing => &[],
            Within::Group(id) => {
                let group = self.client.read::<Group>(&request::group(id)).await.ok();
                let age = group.and_then(|it| it.created_at).map(|it| self.now.duration_since(it));
                if age.is_some_and(|it| it.as_secs() < GROUP_IS_NEW) { &GROUP_WAITS } else { &[] }
            }
        }
    }

    async fn delete(&mut self, delete: &Request, attempts: &mut u32) -> Result<(), Trouble> {
        *attempts += 1;
        let (result, ticket) = self.send::<Versioned<Task>>(delete).await;
        let Err(failed) = result else { return Ok(()) };
        let in_doubt = failed.as_write().is_some_and(|it| it.in_doubt);
        if failed.is(Error::is_not_found) {
            if !in_doubt {
                return Err(Trouble::Gone);
            }
            // It was there when this was decided: an attempt whose answer was lost has done it.
            self.found_out(ticket.as_ref(), journal::Outcome::Applied).await;
            return Ok(());
        }
        if failed.is(Error::is_conflict) {
            if in_doubt {
                self.found_out(ticket.as_ref(), journal::Outcome::Conflict).await;
            }
            return Err(Trouble::Conflict(Vec::new()));
        }
        Err(failed.into())
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
            let (result, ticket) = self.send::<Versioned<S>>(&send(etag.clone())).await;
            let Err(failed) = result else { return Ok(()) };
            let in_doubt = failed.as_write().is_some_and(|it| it.in_doubt);
            if failed.is(Error::is_not_found) {
                return Err(Trouble::Conflict(Vec::new()));
            }
            if !failed.is(Error::is_conflict) {
                return Err(failed.into());
            }
            let now = match self.client.read::<Versioned<S>>(read).await {
                Ok(now) => now,
                Err(error) if error.is_not_found() => return Err(Trouble::Conflict(Vec::new())),
                Err(error) => return Err(Trouble::Read(error)),
            };
            let theirs = whole(now.value);
            if in_doubt && holds(part.base, part.ours, &theirs) {
                // The conflict was with our own earlier attempt, whose answer was lost.
                self.found_out(ticket.as_ref(), journal::Outcome::Applied).await;
                return Ok(());
            }
            if in_doubt {
                self.found_out(ticket.as_ref(), journal::Outcome::Conflict).await;
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

/// Where something is created.
#[derive(Clone, Copy)]
enum Within<'a> {
    Nothing,
    /// In what this run has made.
    Made,
    Group(&'a GroupId),
    Plan(&'a PlanId),
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
