//! The inverse of a run's changes, as edits like any others.
//!
//! Fields that someone else has changed since are left alone and reported (design.md 2.5). What was
//! deleted is created again, under a new id.

use std::collections::{BTreeMap, BTreeSet};

use crate::change::{
    Change, Edit, Entity, FieldConflict, Fields, TakenAlong, TaskState, Write, merged,
};
use crate::host::error::Error;
use crate::host::session::core::Session;
use crate::host::session::edits::{NewItem, NewTask};
use crate::model::order;
use crate::model::{Board, Bucket, BucketId, Plan, PlanDetails, PlanId, Task, TaskDetails, TaskId};

/// Records the inverse of applied changes, given with real ids, the last one first.
///
/// # Errors
/// The board cannot be read.
pub fn undo(session: &Session, changes: &[Change]) -> Result<(), Error> {
    let mut undo = Undo {
        session,
        plans: BTreeMap::new(),
        buckets: BTreeMap::new(),
        bucket_hints: Vec::new(),
        task_hints: Vec::new(),
    };
    if !session.facts().beta && changes.iter().any(needs_beta) {
        return Err(Error::NeedsBeta("undoing this run"));
    }
    undo.read_ahead(changes)?;
    // Deleted containers are created again before what was in them is moved back; what the run
    // created is deleted after it was emptied.
    for change in changes.iter().rev().filter(|change| change.op() == crate::change::Op::Delete) {
        undo.recreate(change)?;
    }
    for change in changes.iter().rev().filter(|change| change.op() == crate::change::Op::Update) {
        undo.revert_update(change)?;
    }
    // Comments last: those on a task that is deleted go with it.
    let creates = changes.iter().rev().filter(|change| change.op() == crate::change::Op::Create);
    let (comments, creates): (Vec<_>, Vec<_>) =
        creates.partition(|change| change.entity() == Entity::Comment);
    for change in creates.into_iter().chain(comments) {
        undo.revert_create(change)?;
    }
    undo.put_back()?;
    undo.learn_names(changes);
    Ok(())
}

/// Returns whether a change has set something that only the beta knows.
fn needs_beta(change: &Change) -> bool {
    let recurs = |state: &TaskState| state.task.recurrence().is_some();
    let recurrence = match &change.write {
        Write::Task(edit) => edit.after().is_none() && recurs(edit.known()),
        _ => false,
    };
    // A comment is only left as it is.
    recurrence || (change.entity() != Entity::Comment && change.needs_beta())
}

struct Undo<'a> {
    session: &'a Session,
    /// The new ids of what was deleted, by the old ones.
    plans: BTreeMap<PlanId, PlanId>,
    buckets: BTreeMap<BucketId, BucketId>,
    /// The former places of buckets and tasks.
    bucket_hints: Vec<(BucketId, String)>,
    task_hints: Vec<(TaskId, String)>,
}

/// The number of tasks of one plan from which its list is read instead of each.
const LIST_FROM: usize = 4;

impl Undo<'_> {
    /// Reads what it needs of many tasks together: one by one, each would cost a request.
    fn read_ahead(&self, changes: &[Change]) -> Result<(), Error> {
        let mut tasks: BTreeMap<&PlanId, usize> = BTreeMap::new();
        let mut details = Vec::new();
        for change in changes {
            let Write::Task(edit) = &change.write else { continue };
            let Some(after) = edit.after() else { continue };
            *tasks.entry(change.plan()).or_default() += 1;
            if edit.before().is_none_or(|before| before.details != after.details) {
                details.push(after.task.id.clone());
            }
        }
        for (plan, n) in tasks {
            if n >= LIST_FROM && !gone(self.session.peek_plan(plan))? {
                self.session.list_tasks(plan)?;
            }
        }
        self.session.read_many_details(details)
    }

    /// Warns that something is left as it is.
    fn leave(&self, what: &str, title: &str, why: &str) {
        self.session.warn(&format!("left as it is: the {what} `{title}`, {why}"));
    }

    fn leave_fields(&self, what: &str, title: &str, fields: &[FieldConflict]) {
        let names: Vec<_> = fields.iter().map(|conflict| conflict.field.script_name()).collect();
        let why = format!("whose {} changed since", names.join(", "));
        self.leave(what, title, &why);
    }

    // Deletions

    fn recreate(&mut self, change: &Change) -> Result<(), Error> {
        match &change.write {
            Write::Plan(edit) => self.make_plan(edit.known(), &change.lost),
            Write::Bucket(edit) => {
                let bucket = edit.known();
                if gone(self.session.peek_plan(&self.plan(&bucket.plan)))? {
                    self.leave("bucket", &bucket.name, "whose plan no longer exists");
                    return Ok(());
                }
                self.make_bucket(bucket)?;
                self.make_tasks(&change.lost.tasks)
            }
            Write::Task(edit) => self.make_tasks(std::slice::from_ref(edit.known())),
            Write::PlanDetails { .. } | Write::Comment(_) => Ok(()),
        }
    }

    fn plan(&self, id: &PlanId) -> PlanId {
        self.plans.get(id).unwrap_or(id).clone()
    }

    fn bucket(&self, id: &BucketId) -> BucketId {
        self.buckets.get(id).unwrap_or(id).clone()
    }

    fn make_plan(&mut self, plan: &Plan, lost: &TakenAlong) -> Result<(), Error> {
        let id = match &plan.group {
            Some(group) => self.session.editor()?.create_plan(group.as_str(), &plan.title)?,
            None => self.session.editor()?.create_roster_plan(&plan.title)?,
        };
        self.plans.insert(plan.id.clone(), id.clone());
        if let Some(details) = &lost.details {
            self.session.editor()?.edit_plan_details(&id, |now| now.clone_from(details))?;
        }
        let mut buckets: Vec<&Bucket> = lost.buckets.iter().collect();
        buckets.sort_by(|a, b| a.order_hint.cmp(&b.order_hint));
        for bucket in buckets {
            self.make_bucket(bucket)?;
        }
        self.make_tasks(&lost.tasks)
    }

    fn make_bucket(&mut self, bucket: &Bucket) -> Result<(), Error> {
        let id = self.session.editor()?.create_bucket(&self.plan(&bucket.plan), &bucket.name)?;
        // In a plan that is created again, the order of creation gives the places.
        if !self.plans.contains_key(&bucket.plan) {
            self.bucket_hints.push((id.clone(), bucket.order_hint.clone()));
        }
        self.buckets.insert(bucket.id.clone(), id);
        Ok(())
    }

    /// Creates tasks again; the lowest on the board first, since Planner shows the newest on top.
    fn make_tasks(&mut self, tasks: &[TaskState]) -> Result<(), Error> {
        let hint =
            |state: &TaskState| state.places.get(&Board::Bucket).map(|place| place.hint.clone());
        let mut tasks: Vec<&TaskState> = tasks.iter().collect();
        tasks.sort_by_key(|state| std::cmp::Reverse(hint(state)));
        for state in tasks {
            let task = &state.task;
            let plan = self.plan(&task.plan);
            let bucket = task.bucket.as_ref().map(|bucket| self.bucket(bucket));
            let bucket_gone = match &bucket {
                Some(bucket) => gone(self.session.peek_bucket(bucket))?,
                None => false,
            };
            if gone(self.session.peek_plan(&plan))? || bucket_gone {
                self.leave("task", &task.title, "whose bucket or plan no longer exists");
                continue;
            }
            let id = self.session.editor()?.create_task(&plan, again(state, bucket.clone()))?;
            if let Some(recurrence) = task.recurrence() {
                self.session.editor()?.set_recurrence(&id, Some(recurrence.clone()))?;
            }
            // In a bucket that is created again, the order of creation gives the places.
            let stays = bucket.filter(|bucket| !bucket.is_provisional());
            if let (Some(_), Some(hint)) = (stays, hint(state)) {
                self.task_hints.push((id, hint));
            }
        }
        Ok(())
    }

    /// Puts everything back in its former place, all of a column at once.
    fn put_back(&self) -> Result<(), Error> {
        let mut columns: BTreeMap<PlanId, Vec<(BucketId, String)>> = BTreeMap::new();
        for (id, hint) in &self.bucket_hints {
            let plan = self.session.peek_bucket(id)?.plan;
            columns.entry(plan).or_default().push((id.clone(), hint.clone()));
        }
        columns.values().try_for_each(|column| self.session.editor()?.put_buckets_back(column))?;
        let mut columns: BTreeMap<BucketId, Vec<(TaskId, String)>> = BTreeMap::new();
        for (id, hint) in &self.task_hints {
            if let Some(bucket) = self.session.peek_task(id)?.bucket {
                columns.entry(bucket).or_default().push((id.clone(), hint.clone()));
            }
        }
        columns.values().try_for_each(|column| self.session.editor()?.put_tasks_back(column))
    }

    fn learn_names(&self, changes: &[Change]) {
        for change in changes {
            self.session.learn_names(change, &self.plan(change.plan()));
        }
    }

    // Updates

    fn revert_update(&mut self, change: &Change) -> Result<(), Error> {
        match &change.write {
            Write::Plan(edit) => match &**edit {
                Edit::Update { before, after, .. } => self.plan_back(before, after),
                _ => Ok(()),
            },
            Write::PlanDetails { plan, title, edit: Edit::Update { before, after, .. } } => {
                self.plan_details_back(plan, title, before, after)
            }
            Write::Bucket(Edit::Update { before, after, .. }) => self.bucket_back(before, after),
            Write::Task(edit) => match &**edit {
                Edit::Update { before, after, .. } => self.task_back(before, after),
                _ => Ok(()),
            },
            Write::PlanDetails { .. } | Write::Bucket(_) | Write::Comment(_) => Ok(()),
        }
    }

    fn plan_back(&self, before: &Plan, after: &Plan) -> Result<(), Error> {
        let now = match self.session.peek_plan(&after.id) {
            Err(Error::NotFound { .. }) => {
                self.leave("plan", &after.title, "which no longer exists");
                return Ok(());
            }
            other => other?,
        };
        if !after.new_members.is_empty() {
            self.leave("plan", &after.title, "whose new members cannot be removed");
        }
        let none = |plan: &Plan| Plan { new_members: [].into(), ..plan.clone() };
        let (wanted, left) = back(&none(before), &none(after), &now);
        self.leave_fields_of("plan", &after.title, &left);
        self.session.editor()?.edit_plan(&after.id, |plan| {
            plan.title = wanted.title;
            plan.archival = wanted.archival;
        })
    }

    fn leave_fields_of(&self, what: &str, title: &str, left: &[FieldConflict]) {
        if !left.is_empty() {
            self.leave_fields(what, title, left);
        }
    }

    fn plan_details_back(
        &self,
        plan: &PlanId,
        title: &str,
        before: &PlanDetails,
        after: &PlanDetails,
    ) -> Result<(), Error> {
        if gone(self.session.peek_plan(plan))? {
            self.leave("plan", title, "which no longer exists");
            return Ok(());
        }
        let now = self.session.peek_plan_details(plan)?;
        let (wanted, left) = back(before, after, &now);
        self.leave_fields_of("plan", title, &left);
        self.session.editor()?.edit_plan_details(plan, |details| *details = wanted)
    }

    fn bucket_back(&mut self, before: &Bucket, after: &Bucket) -> Result<(), Error> {
        let now = match self.session.peek_bucket(&after.id) {
            Err(Error::NotFound { .. }) => {
                self.leave("bucket", &after.name, "which no longer exists");
                return Ok(());
            }
            other => other?,
        };
        if before.name != after.name {
            if now.name == after.name {
                self.session
                    .editor()?
                    .edit_bucket(&after.id, |bucket| bucket.name.clone_from(&before.name))?;
            } else {
                self.leave("bucket", &now.name, "whose name changed since");
            }
        }
        if before.order_hint != after.order_hint {
            self.bucket_hints.push((after.id.clone(), before.order_hint.clone()));
        }
        Ok(())
    }

    fn task_back(&mut self, before: &TaskState, after: &TaskState) -> Result<(), Error> {
        let id = &after.task.id;
        let now = match self.session.peek_task(id) {
            Err(Error::NotFound { .. }) => {
                self.leave("task", &after.task.title, "which no longer exists");
                return Ok(());
            }
            other => other?,
        };
        let touches_details = before.details != after.details;
        let details = if touches_details { Some(self.session.peek_details(id)?) } else { None };
        // Positions are put back by `put_back`, a column at once; here the hints that the service
        // has rewritten (planner-api.md 4.3) would look like somebody's edits.
        let strip = |state: &TaskState| TaskState {
            details: state.details.clone().filter(|_| touches_details).map(without_places),
            places: BTreeMap::new(),
            task: state.task.clone(),
        };
        let here =
            strip(&TaskState { task: now, details: details.clone(), places: BTreeMap::new() });
        let (wanted, left) = back(&strip(before), &strip(after), &here);
        self.leave_fields_of("task", &after.task.title, &left);
        let task = wanted.task;
        self.session.editor()?.edit_task(id, |there| set_fields(there, &task))?;
        if let (Some(wanted), Some(old), Some(there)) = (wanted.details, &before.details, details) {
            let wanted = in_order_of(wanted, &there, old);
            self.session.editor()?.edit_details(id, |details| *details = wanted)?;
        }
        let hint =
            |state: &TaskState| state.places.get(&Board::Bucket).map(|place| place.hint.clone());
        // A former place means something only in the former bucket.
        if let (Some(old), Some(new)) = (hint(before), hint(after))
            && old != new
            && before.task.bucket == task.bucket
        {
            self.task_hints.push((id.clone(), old));
        }
        Ok(())
    }

    // Creations

    fn revert_create(&self, change: &Change) -> Result<(), Error> {
        match &change.write {
            Write::Task(edit) => edit.after().map_or(Ok(()), |task| self.take_task(task)),
            Write::Bucket(edit) => edit.after().map_or(Ok(()), |bucket| self.take_bucket(bucket)),
            Write::Plan(edit) => edit.after().map_or(Ok(()), |plan| self.take_plan(plan)),
            Write::PlanDetails { .. } => Ok(()),
            Write::Comment(edit) => {
                let comment = edit.known();
                // A comment on a task that is deleted now goes with it.
                if !gone(self.session.peek_task(&comment.task))? {
                    self.leave("comment on", &comment.title, "which cannot be taken back");
                }
                Ok(())
            }
        }
    }

    fn take_task(&self, made: &TaskState) -> Result<(), Error> {
        let id = &made.task.id;
        if gone(self.session.peek_task(id))? {
            return Ok(());
        }
        // Any edit since its creation is a reason to keep it, so every field counts as read.
        let task = self.session.task(id)?;
        let details = self.session.details(id)?;
        let now =
            TaskState { task, details: Some(without_places(details)), places: BTreeMap::new() };
        let as_made = TaskState {
            task: made.task.clone(),
            details: Some(without_places(made.details.clone().unwrap_or_default())),
            places: BTreeMap::new(),
        };
        if now.differing(&as_made).is_empty() {
            self.session.editor()?.delete_task(id)
        } else {
            self.leave("task", &now.task.title, "which was changed since it was created");
            Ok(())
        }
    }

    fn take_bucket(&self, made: &Bucket) -> Result<(), Error> {
        let id = &made.id;
        if gone(self.session.peek_bucket(id))? {
            return Ok(());
        }
        // These reads count, so that a task put in before the deletion goes out is a conflict.
        if self.session.bucket(id)?.name != made.name || !self.session.tasks_in(id)?.is_empty() {
            self.leave("bucket", &made.name, "which was renamed or filled since it was created");
            return Ok(());
        }
        self.session.editor()?.delete_bucket(id)
    }

    fn take_plan(&self, made: &Plan) -> Result<(), Error> {
        let id = &made.id;
        if gone(self.session.peek_plan(id))? {
            return Ok(());
        }
        let is_empty = self.session.tasks(id)?.is_empty() && self.session.buckets(id)?.is_empty();
        if self.session.plan(id)?.title != made.title || !is_empty {
            self.leave("plan", &made.title, "which was renamed or filled since it was created");
            return Ok(());
        }
        self.session.editor()?.delete_plan(id)
    }
}

/// Returns the present state with everything set back that is still as the run left it, and the
/// fields that are not.
fn back<T: Fields + Clone>(before: &T, after: &T, now: &T) -> (T, Vec<FieldConflict>) {
    merged(after, before, now, &BTreeSet::new())
}

/// Returns whether something no longer exists.
fn gone<T>(result: Result<T, Error>) -> Result<bool, Error> {
    match result {
        Ok(_) => Ok(false),
        Err(Error::NotFound { .. } | Error::Gone { .. }) => Ok(true),
        Err(error) => Err(error),
    }
}

fn set_fields(task: &mut Task, wanted: &Task) {
    let computed = task.clone();
    *task = wanted.clone();
    // Fields that only the service sets stay as they are.
    task.id = computed.id;
    task.created_at = computed.created_at;
    task.created_by = computed.created_by;
    task.order_hint = computed.order_hint;
}

/// Returns the details without order hints, which the service rewrites and which say nothing about
/// content.
fn without_places(mut details: TaskDetails) -> TaskDetails {
    details.checklist.values_mut().for_each(|item| item.order_hint.clear());
    details
}

/// Restores the former order of a checklist: `wanted` has no places, `there` the present ones,
/// `old` the order.
fn in_order_of(mut wanted: TaskDetails, there: &TaskDetails, old: &TaskDetails) -> TaskDetails {
    let mut keys: Vec<String> = old
        .checklist_order()
        .into_iter()
        .filter(|key| wanted.checklist.contains_key(key))
        .collect();
    keys.extend(wanted.checklist.keys().filter(|key| !old.checklist.contains_key(*key)).cloned());
    // Hints ascend from the last item shown to the first.
    keys.reverse();
    let kept = |key: &String| {
        let hint = there.checklist.get(key).map(|item| item.order_hint.as_str())?;
        let same = old.checklist.get(key).is_some_and(|item| item.order_hint == hint);
        Some(hint).filter(|_| same)
    };
    let hints: Vec<Option<&str>> = keys.iter().map(kept).collect();
    for (key, place) in keys.iter().zip(order::describe(&hints)) {
        let hint = place.or_else(|| kept(key).map(str::to_owned)).unwrap_or_default();
        if let Some(item) = wanted.checklist.get_mut(key) {
            item.order_hint = hint;
        }
    }
    wanted
}

/// Returns a former task as one to create.
fn again(state: &TaskState, bucket: Option<BucketId>) -> NewTask {
    let task = &state.task;
    let details = state.details.clone().unwrap_or_default();
    let items = details.checklist_order();
    NewTask {
        title: task.title.clone(),
        bucket,
        assignees: task.assignments.keys().cloned().collect(),
        start: task.start,
        due: task.due,
        priority: Some(task.priority),
        percent_complete: task.percent_complete,
        labels: task.categories.iter().copied().collect(),
        description: details.description,
        preview_type: Some(details.preview_type),
        conversation_thread: task.conversation_thread.clone(),
        checklist: items
            .iter()
            .filter_map(|key| details.checklist.get(key))
            .map(|item| NewItem { title: item.title.clone(), checked: item.checked })
            .collect(),
        key: None,
        references: details.references.into_iter().collect(),
    }
}
