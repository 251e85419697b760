//! The edits of a session, recorded in the draft. Nothing is sent from here.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

use jiff::Timestamp;

use crate::change::{EntityId, Field, Read, TaskField};
use crate::host::error::Error;
use crate::host::query::{Query, Response};
use crate::host::session::core::Session;
use crate::host::stop::StopReason;
use crate::model::link;
use crate::model::{
    Bucket, BucketId, Category, Plan, PlanDetails, PlanId, Priority, Reference, Task, TaskDetails,
    TaskId, UserId,
};
use crate::policy::limits::{
    assignees_over, details_bytes, details_over, json_bytes, task_over, title_over,
};

/// The alias under which people see a key among the references of a task.
pub(crate) const KEY_ALIAS: &str = "Planwright key";

/// A task to be created.
#[derive(Debug, Clone, Default)]
pub struct NewTask {
    /// Its title.
    pub title: String,
    /// Its bucket.
    pub bucket: Option<BucketId>,
    /// Its assignees.
    pub assignees: Vec<UserId>,
    /// Its start.
    pub start: Option<Timestamp>,
    /// Its due date.
    pub due: Option<Timestamp>,
    /// Its priority.
    pub priority: Option<Priority>,
    /// Its completion, 0 to 100.
    pub percent_complete: u8,
    /// Its labels.
    pub labels: Vec<Category>,
    /// The thread of its comments.
    pub conversation_thread: Option<String>,
    /// Its description.
    pub description: String,
    /// The detail that its card shows; left to the viewer if absent.
    pub preview_type: Option<String>,
    /// Its checklist, top down.
    pub checklist: Vec<NewItem>,
    /// The key under which it is created only once; see [`Editor::create_task`].
    pub key: Option<String>,
    /// Its references, by encoded key (see [`crate::model::link`]).
    pub references: Vec<(String, Reference)>,
}

/// A line of the checklist of a task to be created.
#[derive(Debug, Clone, Default)]
pub struct NewItem {
    /// Its text.
    pub title: String,
    /// True if it is checked.
    pub checked: bool,
}

/// How many times more bytes the details that edits change may have than text that edits may add.
const BEFORE_TO_AFTER: usize = 8;

/// The editing half of a session, with which only one that drafts changes anything: what it records, the
/// session's own reads see.
#[derive(Debug, Clone, Copy)]
pub struct Editor<'a> {
    session: &'a Session,
}

impl Deref for Editor<'_> {
    type Target = Session;

    fn deref(&self) -> &Session {
        self.session
    }
}

impl Session {
    /// Returns the editing half.
    ///
    /// # Errors
    /// The board is read only here, or the program has edited all it may.
    pub fn editor(&self) -> Result<Editor<'_>, Error> {
        self.check_writable()?;
        Ok(Editor { session: self })
    }

    /// Returns the editing half for a property that is set. The script engine writes a property back after
    /// each method on its value, `task.due.format(…)`: where that changes nothing it is no edit, wherever
    /// it happens. What does change something is checked then.
    pub(crate) fn setter(&self) -> Editor<'_> {
        Editor { session: self }
    }

    /// Returns the tasks of a plan whose key only the journal has so far, by the key's address.
    fn keys(&self, plan: &PlanId) -> Result<BTreeMap<String, TaskId>, Error> {
        if plan.is_provisional() {
            return Ok(BTreeMap::new());
        }
        if let Some(keys) = self.state().keys.get(plan) {
            return Ok(keys.clone());
        }
        let keys = match self.facts().remote {
            true => match self.ask(Query::Keys(plan.clone()))? {
                Response::Keys(keys) => keys,
                _ => BTreeMap::new(),
            },
            false => self.keys_on_record(plan)?,
        };
        self.state().keys.insert(plan.clone(), keys.clone());
        Ok(keys)
    }

    /// Returns the task of a plan that was created with a key (design.md 2.2).
    ///
    /// # Errors
    /// The plan does not exist, or its tasks cannot be read.
    pub fn task_with_key(&self, plan: &PlanId, key: &str) -> Result<Option<TaskId>, Error> {
        let plan = &*self.real(plan);
        self.peek_plan(plan)?;
        self.task_with_reference(plan, &link::of_key(key))
    }

    /// Finds the task of a plan that has a reference, given as its key. Until the details of a new
    /// task are written, the journal stands in for its key.
    fn task_with_reference(&self, plan: &PlanId, key: &str) -> Result<Option<TaskId>, Error> {
        let url = link::decode(key);
        for id in self.tasks(plan)? {
            let may_have =
                self.with_task(&id, |task| task.reference_count > 0 || id.is_provisional())?;
            if !may_have {
                // It was passed over because it has no such reference, so that counts as read.
                self.count(Read::Field(EntityId::Task(id), Field::References));
                continue;
            }
            let references = self.task_field(&id, TaskField::REFERENCES)?;
            if references.keys().any(|key| link::decode(key) == url) {
                return Ok(Some(id));
            }
        }
        let on_record = self.keys(plan)?.get(&url).cloned();
        // Somebody may have deleted it since.
        Ok(on_record.filter(|id| self.with_task(id, |task| task.plan == *plan).unwrap_or(false)))
    }
}

/// The keys of the tasks of a plan, read at once: whoever makes many tasks must not go through all of
/// them for each.
#[derive(Debug, Default)]
pub(crate) struct KnownKeys {
    /// The addresses of the references that tasks have.
    on_board: BTreeSet<String>,
    /// The addresses of keys that only the journal has so far.
    on_record: BTreeSet<String>,
    /// The ids of the tasks.
    ids: BTreeSet<String>,
}

impl KnownKeys {
    /// Returns whether a task has the key, or is the one whose id it is, and nothing of it is left
    /// to be written.
    pub(crate) fn has(&self, key: &str) -> bool {
        let url = link::decode(&link::of_key(key));
        let is_there = self.on_board.contains(&url) || self.ids.contains(key);
        is_there && !self.on_record.contains(&url)
    }

    /// Returns whether no task has the key, as far as is known.
    pub(crate) fn is_free(&self, key: &str) -> bool {
        let url = link::decode(&link::of_key(key));
        !self.on_board.contains(&url) && !self.on_record.contains(&url) && !self.ids.contains(key)
    }
}

impl Session {
    /// Returns the keys of the tasks of a plan; all of them count as read.
    pub(crate) fn known_keys(&self, plan: &PlanId) -> Result<KnownKeys, Error> {
        let plan = &*self.real(plan);
        let mut known = KnownKeys::default();
        for id in self.tasks(plan)? {
            let may_have =
                self.with_task(&id, |task| task.reference_count > 0 || id.is_provisional())?;
            known.ids.insert(id.to_string());
            if !may_have {
                self.count(Read::Field(EntityId::Task(id), Field::References));
                continue;
            }
            let references = self.task_field(&id, TaskField::REFERENCES)?;
            known.on_board.extend(references.keys().map(|key| link::decode(key)));
        }
        known.on_record = self.keys(plan)?.into_keys().collect();
        Ok(known)
    }
}

impl Editor<'_> {
    /// Drafts a new plan in a group of which the actor is a member (rule R6); returns its
    /// provisional id.
    ///
    /// # Errors
    /// The board is read only here, or the actor is no member of such a group.
    pub fn create_plan(self, group: &str, title: &str) -> Result<PlanId, Error> {
        let group = self.find_group(group)?;
        let (group, title) = (Some(group.id), title.to_owned());
        let make = |id| Plan { group, ..Plan::new(id, title) };
        Ok(self.state().draft.create_plan(make))
    }

    /// Refuses an edit that exceeds Planner's limits.
    pub(super) fn refuse(over: Option<String>) -> Result<(), Error> {
        over.map_or(Ok(()), |over| Err(Error::Invalid(over)))
    }

    /// Counts the bytes of text that an edit adds, as JSON writes them, so that no number of edits makes a set too large
    /// to be kept, shown or sent.
    pub(super) fn count_text(self, bytes: usize) -> Result<(), Error> {
        let limit = self.facts().edit_bytes;
        let n = {
            let mut state = self.state();
            state.edit_bytes = state.edit_bytes.saturating_add(bytes);
            state.edit_bytes
        };
        if n > limit {
            self.stop.set(StopReason::Budget("text of edits", format!("{} KiB", limit >> 10)));
        }
        self.check_stop()
    }

    /// Edits a copy; returns it if it is another one, which the board must not be read only for.
    fn changed<T: Clone + PartialEq>(
        self,
        before: &T,
        edit: impl FnOnce(&mut T),
    ) -> Result<Option<T>, Error> {
        let mut wanted = before.clone();
        edit(&mut wanted);
        if wanted == *before {
            return Ok(None);
        }
        self.check_writable()?;
        Ok(Some(wanted))
    }

    /// Counts the bytes of the details of a task that is edited, once a segment: a change is kept with what
    /// it replaces. What the run itself has committed, and writes again, counts as its own text.
    fn count_before(self, id: &TaskId, bytes: usize) -> Result<(), Error> {
        let limit = self.facts().edit_bytes.saturating_mul(BEFORE_TO_AFTER);
        let (n, is_again) = {
            let mut state = self.state();
            let is_first = state.edited.insert(id.clone());
            if is_first {
                state.before_bytes = state.before_bytes.saturating_add(bytes);
            }
            (state.before_bytes, is_first && state.edited_earlier.contains(id))
        };
        if is_again {
            self.count_text(bytes)?;
        }
        if n > limit {
            self.stop
                .set(StopReason::Budget("text that edits replace", format!("{} KiB", limit >> 10)));
        }
        self.check_stop()
    }

    /// Renames a plan.
    ///
    /// # Errors
    /// The board is read only here, or the plan does not exist.
    pub fn edit_plan(self, id: &PlanId, edit: impl FnOnce(&mut Plan)) -> Result<(), Error> {
        let id = &*self.real(id);
        let before = self.peek_plan(id)?;
        let Some(wanted) = self.changed(&before, edit)? else { return Ok(()) };
        Self::refuse(title_over("title", &before.title, &wanted.title, &self.facts().limits))?;
        let read = if id.is_provisional() { None } else { Some(self.read_plan(id)?) };
        self.state().draft.edit_plan(read.as_ref(), id, |plan| *plan = wanted);
        Ok(())
    }

    /// Changes the labels of a plan, or its sharing.
    ///
    /// # Errors
    /// The board is read only here, or the plan does not exist.
    pub fn edit_plan_details(
        self,
        id: &PlanId,
        edit: impl FnOnce(&mut PlanDetails),
    ) -> Result<(), Error> {
        let id = &*self.real(id);
        // The title of the board, not a drafted one: it names the plan in the diff.
        let title = match id.is_provisional() {
            true => self.peek_plan(id)?.title,
            false => self.read_plan(id)?.value.title,
        };
        let read = if id.is_provisional() { None } else { Some(self.read_plan_details(id)?) };
        let before = self.peek_plan_details(id)?;
        let mut wanted = before.clone();
        edit(&mut wanted);
        for (category, name) in &wanted.labels {
            let old = before.labels.get(category).map_or("", String::as_str);
            Self::refuse(title_over("name of the label", old, name, &self.facts().limits))?;
        }
        self.state()
            .draft
            .edit_plan_details(read.as_ref(), (id, &title), |details| *details = wanted);
        Ok(())
    }

    /// Deletes a plan with everything in it.
    ///
    /// # Errors
    /// The board is read only here, or the plan does not exist.
    pub fn delete_plan(self, id: &PlanId) -> Result<(), Error> {
        let id = &*self.real(id);
        let tasks: BTreeSet<TaskId> = self.peek_tasks(id)?.into_iter().collect();
        let (new, old): (BTreeSet<_>, BTreeSet<_>) =
            tasks.into_iter().partition(TaskId::is_provisional);
        // A new task is simply not created; only existing ones count as taken along.
        new.iter().try_for_each(|task| self.delete_task(task))?;
        for bucket in self.peek_buckets(id)?.iter().filter(|bucket| bucket.is_provisional()) {
            self.delete_bucket(bucket)?;
        }
        let read = if id.is_provisional() { None } else { Some(self.read_plan(id)?) };
        self.state().draft.delete_plan(read.as_ref(), id, old);
        Ok(())
    }

    /// Adds a bucket to a plan, after its siblings; returns its provisional id.
    ///
    /// # Errors
    /// The board is read only here, or the plan does not exist.
    pub fn create_bucket(self, plan: &PlanId, name: &str) -> Result<BucketId, Error> {
        let plan = &*self.real(plan);
        Self::refuse(title_over("name", "", name, &self.facts().limits))?;
        let siblings = self.peek_buckets(plan)?;
        let (n, limit) = (siblings.len(), self.facts().limits.buckets);
        Self::refuse(
            (n >= limit).then(|| format!("the plan has {n} buckets; Planner allows {limit}")),
        )?;
        let last = siblings
            .iter()
            .filter_map(|id| self.peek_bucket(id).ok())
            .map(|bucket| bucket.order_hint)
            .max()
            .unwrap_or_default();
        Ok(self.state().draft.create_bucket(|id| Bucket {
            id,
            plan: plan.clone(),
            name: name.to_owned(),
            // The place after its last sibling, new ones included (planner-api.md 4.2).
            order_hint: format!("{last} !"),
        }))
    }

    /// Renames a bucket.
    ///
    /// # Errors
    /// The board is read only here, or the bucket does not exist.
    pub fn edit_bucket(self, id: &BucketId, edit: impl FnOnce(&mut Bucket)) -> Result<(), Error> {
        let id = &*self.real(id);
        let before = self.peek_bucket(id)?;
        let Some(wanted) = self.changed(&before, edit)? else { return Ok(()) };
        Self::refuse(title_over("name", &before.name, &wanted.name, &self.facts().limits))?;
        let read = if id.is_provisional() { None } else { Some(self.read_bucket(id)?) };
        self.state().draft.edit_bucket(read.as_ref(), id, |bucket| *bucket = wanted);
        Ok(())
    }

    /// Deletes a bucket with its tasks.
    ///
    /// # Errors
    /// The board is read only here, or the bucket does not exist.
    pub fn delete_bucket(self, id: &BucketId) -> Result<(), Error> {
        let id = &*self.real(id);
        let (new, old): (BTreeSet<_>, BTreeSet<_>) =
            self.peek_tasks_in(id)?.into_iter().partition(TaskId::is_provisional);
        if id.is_provisional() && !old.is_empty() {
            return Err(Error::Invalid(
                "the bucket is new and holds tasks that were moved into it: move them on first"
                    .into(),
            ));
        }
        new.iter().try_for_each(|task| self.delete_task(task))?;
        let read = if id.is_provisional() { None } else { Some(self.read_bucket(id)?) };
        self.state().draft.delete_bucket(read.as_ref(), id, old);
        Ok(())
    }

    /// Changes fields of a task itself.
    ///
    /// # Errors
    /// The board is read only here, or the task does not exist.
    pub fn edit_task(self, id: &TaskId, edit: impl FnOnce(&mut Task)) -> Result<(), Error> {
        let id = &*self.real(id);
        let before = self.peek_task(id)?;
        let Some(wanted) = self.changed(&before, edit)? else { return Ok(()) };
        Self::refuse(task_over(&before, &wanted, &self.facts().limits))?;
        let read = if id.is_provisional() { None } else { Some(self.read_task(id)?) };
        self.state().draft.edit_task(read.as_ref(), None, id, |state| state.task = wanted);
        Ok(())
    }

    /// Changes fields of a task's details.
    ///
    /// # Errors
    /// The board is read only here, or the task does not exist.
    pub fn edit_details(
        self,
        id: &TaskId,
        edit: impl FnOnce(&mut TaskDetails),
    ) -> Result<(), Error> {
        let id = &*self.real(id);
        self.with_task(id, |_| ())?;
        let before = self.peek_details(id)?;
        let Some(wanted) = self.changed(&before, edit)? else { return Ok(()) };
        let (read, details) = if id.is_provisional() {
            (None, None)
        } else {
            (Some(self.read_task(id)?), Some(self.read_details(id)?))
        };
        Self::refuse(details_over(&before, &wanted, &self.facts().limits))?;
        self.count_text(details_bytes(&wanted).saturating_sub(details_bytes(&before)))?;
        self.count_before(id, details_bytes(&before))?;
        self.state().draft.edit_task(read.as_ref(), details.as_ref(), id, |state| {
            if state.details.is_some() {
                state.details = Some(wanted);
            }
        });
        Ok(())
    }

    /// Adds a task to a plan; returns its provisional id. With a key, an existing task that was
    /// created with the same key is returned instead, as it is; the key is kept as a reference on
    /// the task.
    ///
    /// # Errors
    /// The board is read only here, or the plan does not exist.
    pub fn create_task(self, plan: &PlanId, mut new: NewTask) -> Result<TaskId, Error> {
        let plan = &*self.real(plan);
        self.peek_plan(plan)?;
        if let Some(bucket) = &new.bucket
            && self.peek_bucket(bucket)?.plan != *plan
        {
            return Err(Error::Invalid("the bucket belongs to another plan".to_owned()));
        }
        if new.key.as_ref().is_some_and(|key| key.trim().is_empty()) {
            return Err(Error::Invalid("the key of a task is empty".to_owned()));
        }
        if let Some(key) = new.key.clone() {
            let reference = link::of_key(&key);
            if let Some(id) = self.task_with_reference(plan, &reference)? {
                if self.keys(plan)?.contains_key(&link::decode(&reference)) {
                    self.finish_details(&id, &reference, new)?;
                }
                return Ok(id);
            }
            let alias = Some(KEY_ALIAS.to_owned());
            new.references.push((reference, Reference { alias, kind: None }));
        }
        let keys: Vec<String> = new.checklist.iter().map(|_| self.new_item_key()).collect();
        let limits = self.facts().limits;
        let mut details = TaskDetails { description: new.description, ..TaskDetails::default() };
        if let Some(kind) = new.preview_type {
            details.preview_type = kind;
        }
        for (key, item) in keys.into_iter().zip(new.checklist) {
            details.add_item(key.clone(), item.title);
            details.checklist.entry(key).and_modify(|entry| entry.checked = item.checked);
        }
        details.references.extend(new.references);
        Self::refuse(title_over("title", "", &new.title, &limits))?;
        Self::refuse(assignees_over(new.assignees.len(), &limits))?;
        Self::refuse(details_over(&TaskDetails::default(), &details, &limits))?;
        self.count_text(details_bytes(&details) + json_bytes(&new.title))?;
        let mut state = self.state();
        let id = state.draft.create_task(|id| {
            let mut task = Task::new(id, plan.clone(), new.title);
            task.bucket = new.bucket;
            task.start = new.start;
            task.due = new.due;
            task.percent_complete = new.percent_complete;
            task.priority = new.priority.unwrap_or(Priority::DEFAULT);
            task.assignments =
                new.assignees.into_iter().map(|user| (user, String::new())).collect();
            task.categories = new.labels.into_iter().collect();
            task.conversation_thread = new.conversation_thread;
            task
        });
        state.draft.edit_task(None, None, &id, |state| state.details = Some(details));
        Ok(id)
    }

    /// Adds the details, with the key among them, to a task whose earlier run was stopped before it
    /// wrote them.
    fn finish_details(self, id: &TaskId, key: &str, new: NewTask) -> Result<(), Error> {
        let alias = Some(KEY_ALIAS.to_owned());
        let keys: Vec<String> = new.checklist.iter().map(|_| self.new_item_key()).collect();
        self.edit_details(id, |details| {
            if *details == TaskDetails::default() {
                details.description = new.description;
                for (key, item) in keys.into_iter().zip(new.checklist) {
                    details.add_item(key.clone(), item.title);
                    details.checklist.entry(key).and_modify(|entry| entry.checked = item.checked);
                }
                details.references.extend(new.references);
            }
            details.references.insert(key.to_owned(), Reference { alias, kind: None });
        })
    }

    /// Deletes a task.
    ///
    /// # Errors
    /// The board is read only here, or the task does not exist.
    pub fn delete_task(self, id: &TaskId) -> Result<(), Error> {
        let id = &*self.real(id);
        self.with_task(id, |_| ())?;
        let read = if id.is_provisional() { None } else { Some(self.read_task(id)?) };
        self.state().draft.delete_task(read.as_ref(), id);
        Ok(())
    }
}
