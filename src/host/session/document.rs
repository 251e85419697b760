//! A plan as a document, and a document as edits: for copying, exporting, importing.

use std::collections::BTreeMap;

use crate::host::error::Error;
use crate::host::failure::Failure;
use crate::host::session::core::Session;
use crate::host::session::edits::{KEY_ALIAS, KnownKeys, NewItem, NewTask};
use crate::model::document::FORMAT;
use crate::model::id::looks_like_guid;
use crate::model::{
    BucketDocument, BucketId, Category, ItemDocument, LinkDocument, PlanDocument, PlanId, Priority,
    Reference, TaskDocument, TaskId, UserId, link,
};

impl Session {
    /// Returns a plan with everything in it, in the order of the board.
    ///
    /// # Errors
    /// The plan does not exist or the service cannot be reached.
    pub fn document(&self, plan: &PlanId) -> Result<PlanDocument, Error> {
        let title = self.peek_plan(plan)?.title;
        let names = self.peek_plan_details(plan)?.labels;
        let mut document = PlanDocument {
            format: FORMAT,
            title,
            labels: names.iter().map(|(slot, name)| (slot.to_string(), name.clone())).collect(),
            ..PlanDocument::default()
        };
        for id in self.buckets(plan)? {
            let mut tasks = Vec::new();
            for task in self.tasks_in_order(&id)? {
                tasks.push(self.task_document(&task, &names)?);
            }
            document.buckets.push(BucketDocument { name: self.peek_bucket(&id)?.name, tasks });
        }
        for id in self.tasks(plan)? {
            if self.peek_task(&id)?.bucket.is_none() {
                document.tasks.push(self.task_document(&id, &names)?);
            }
        }
        Ok(document)
    }

    fn task_document(
        &self,
        id: &TaskId,
        names: &BTreeMap<Category, String>,
    ) -> Result<TaskDocument, Error> {
        let task = self.peek_task(id)?;
        let details = self.peek_details(id)?;
        let label = |slot: &Category| match names.get(slot) {
            Some(name) if names.values().filter(|other| *other == name).count() == 1 => {
                name.clone()
            }
            _ => slot.to_string(),
        };
        let person = |id| self.user_by_id(id).map(|user| user.upn).filter(|upn| !upn.is_empty());
        let items = details.checklist_order();
        Ok(TaskDocument {
            percent_complete: task.percent_complete,
            priority: Some(task.priority.level()),
            start: task.start,
            due: task.due,
            assignees: task
                .assignments
                .keys()
                .map(|id| person(id).unwrap_or_else(|| id.to_string()))
                .collect(),
            labels: task.categories.iter().map(label).collect(),
            title: task.title,
            checklist: items
                .iter()
                .filter_map(|key| details.checklist.get(key))
                .map(|item| ItemDocument { title: item.title.clone(), checked: item.checked })
                .collect(),
            references: details
                .references
                .iter()
                .filter(|(key, _)| link::key_of(key).is_none())
                .map(|(key, reference)| LinkDocument {
                    url: link::decode(key),
                    alias: reference.alias.clone(),
                    kind: reference.kind.clone(),
                })
                .collect(),
            key: details.references.keys().find_map(|key| link::key_of(key)),
            id: Some(id.to_string()),
            description: details.description,
        })
    }

    /// Adds the contents of a document to a plan. Existing buckets and labels of the same name are
    /// used, the others created; nothing that exists is changed. A person given by an id that the
    /// directory does not have (any more) is kept out, with a warning.
    ///
    /// # Errors
    /// A task of the document names a person or label that cannot be found, or something in it
    /// cannot be written; the error says which.
    pub fn plant(&self, plan: &PlanId, document: &PlanDocument) -> Result<(), Failure> {
        unique_keys(document)?;
        let has_keys = document.all_tasks().any(|(_, task)| task.key.is_some());
        let keys = if has_keys { self.known_keys(plan)? } else { KnownKeys::default() };
        let mut planter = Planter {
            session: self,
            plan,
            labels: Labels::from_plan(self, plan)?,
            people: BTreeMap::new(),
            keys,
        };
        let mut known = 0;
        for (slot, name) in &document.labels {
            let category = Category::parse(slot).ok_or_else(|| {
                Error::Invalid(format!("`{slot}` is not a label; they are category1 to category25"))
            })?;
            planter.labels.name(category, name)?;
        }
        for bucket in &document.buckets {
            let id = self.bucket_named(plan, &bucket.name)?;
            // Planner shows the newest task first, so the last one is created first.
            for task in bucket.tasks.iter().rev() {
                known += usize::from(!planter.plant(Some(&id), task)?);
            }
        }
        for task in document.tasks.iter().rev() {
            known += usize::from(!planter.plant(None, task)?);
        }
        if known > 0 {
            self.warn(&match known {
                1 => "1 task was left as it is, since its key exists already".to_owned(),
                _ => format!("{known} tasks were left as they are, since their keys exist already"),
            });
        }
        planter.warn_of_people();
        Ok(())
    }

    fn bucket_named(&self, plan: &PlanId, name: &str) -> Result<BucketId, Error> {
        // In a plan that this run creates, each section gets a bucket of its own, whatever its
        // name.
        let ids = if plan.is_provisional() { Vec::new() } else { self.buckets(plan)? };
        let mut alike = None;
        for id in ids {
            let other = self.peek_bucket(&id)?.name;
            if other == name {
                return Ok(id);
            }
            if alike.is_none() && other.to_lowercase() == name.to_lowercase() {
                alike = Some(id);
            }
        }
        alike.map_or_else(|| self.editor()?.create_bucket(plan, name), Ok)
    }
}

/// The state of adding a document to a plan.
struct Planter<'a> {
    session: &'a Session,
    plan: &'a PlanId,
    labels: Labels<'a>,
    /// The people looked up so far, with the number of tasks that name them; without an id, those
    /// that are not in the directory.
    people: BTreeMap<String, (Option<UserId>, usize)>,
    keys: KnownKeys,
}

impl Planter<'_> {
    /// Adds one task; returns whether it is new.
    fn plant(&mut self, bucket: Option<&BucketId>, task: &TaskDocument) -> Result<bool, Failure> {
        if self.knows(task) {
            return Ok(false);
        }
        self.new_task_of(bucket, task)
            .and_then(|mut new| {
                // Nobody has it, so it need not be looked for among all tasks.
                if let Some(key) =
                    new.key.take_if(|key| !key.trim().is_empty() && self.keys.is_free(key))
                {
                    let alias = Some(KEY_ALIAS.to_owned());
                    new.references.push((link::of_key(&key), Reference { alias, kind: None }));
                }
                self.session.editor()?.create_task(self.plan, new)
            })
            .map(|id| id.is_provisional())
            .map_err(|error| {
                let failure = Failure::from(error);
                let message = format!("the task `{}`: {}", task.title, failure.message);
                Failure { message, ..failure }
            })
    }

    /// Returns whether a task of the document is there already: by its key, or by its id where its
    /// key was removed from the board.
    fn knows(&self, task: &TaskDocument) -> bool {
        let is_free = task.key.as_deref().is_none_or(|key| self.keys.is_free(key));
        task.key.as_deref().is_some_and(|key| self.keys.has(key))
            || (is_free && task.id.as_deref().is_some_and(|id| self.keys.has(id)))
    }

    /// Finds a person; `None` for an id that the directory does not have.
    fn person(&mut self, text: &str) -> Result<Option<UserId>, Error> {
        if let Some((id, n)) = self.people.get_mut(text) {
            *n += 1;
            return Ok(id.clone());
        }
        let id = match self.session.find_user(text) {
            Ok(user) => Some(user.id),
            Err(error) if error.is_not_found() && looks_like_guid(text) => None,
            Err(error) => return Err(error),
        };
        self.people.insert(text.to_owned(), (id.clone(), 1));
        Ok(id)
    }

    fn warn_of_people(&self) {
        for (text, (id, n)) in &self.people {
            if id.is_none() {
                let tasks = if *n == 1 { "1 task".to_owned() } else { format!("{n} tasks") };
                self.session.warn(&format!(
                    "the user `{text}` is not in the directory, so {tasks} came without that person"
                ));
            }
        }
    }

    fn new_task_of(
        &mut self,
        bucket: Option<&BucketId>,
        task: &TaskDocument,
    ) -> Result<NewTask, Error> {
        let invalid = |message: String| Error::Invalid(message);
        if task.title.trim().is_empty() {
            return Err(invalid("it has no title".to_owned()));
        }
        if task.percent_complete > 100 {
            return Err(invalid(format!(
                "{} is not a completion between 0 and 100",
                task.percent_complete
            )));
        }
        let priority =
            match task.priority {
                None => None,
                Some(level) => Some(Priority::new(level).ok_or_else(|| {
                    invalid(format!("{level} is not a priority between 0 and 10"))
                })?),
            };
        let mut new = NewTask {
            title: task.title.clone(),
            bucket: bucket.cloned(),
            start: task.start,
            due: task.due,
            priority,
            percent_complete: task.percent_complete,
            description: task.description.clone(),
            key: task.key.clone(),
            ..NewTask::default()
        };
        for person in &task.assignees {
            new.assignees.extend(self.person(person)?);
        }
        for label in &task.labels {
            new.labels.push(self.labels.meant(label)?);
        }
        for item in &task.checklist {
            new.checklist.push(NewItem { title: item.title.clone(), checked: item.checked });
        }
        for reference in &task.references {
            let key = link::encode(&link::without_blanks(&reference.url));
            let key = key.map_err(|error| invalid(error.to_string()))?;
            new.references.push((
                key,
                Reference { alias: reference.alias.clone(), kind: reference.kind.clone() },
            ));
        }
        Ok(new)
    }
}

/// The labels of a plan, with the meaning that a document gives them.
struct Labels<'a> {
    session: &'a Session,
    plan: &'a PlanId,
    there: BTreeMap<Category, String>,
    /// The slots of the document whose names are elsewhere in the plan.
    moved: BTreeMap<Category, Category>,
}

impl<'a> Labels<'a> {
    fn from_plan(session: &'a Session, plan: &'a PlanId) -> Result<Self, Error> {
        let there = session.plan_details(plan)?.labels;
        Ok(Self { session, plan, there, moved: BTreeMap::new() })
    }

    fn named(&self, name: &str) -> Option<Category> {
        let alike = |other: &&String| other.to_lowercase() == name.to_lowercase();
        let exact = self.there.iter().find(|(_, other)| *other == name);
        exact.or_else(|| self.there.iter().find(|(_, other)| alike(other))).map(|(slot, _)| *slot)
    }

    /// Finds a slot for a label of the document: the one that has the name already, or else the
    /// same slot, or else a free one.
    fn name(&mut self, slot: Category, name: &str) -> Result<(), Error> {
        if self.there.get(&slot).is_some_and(|old| old == name) {
            return Ok(());
        }
        let category = match self.named(name) {
            Some(category) => category,
            None => self.add(Some(slot), name)?,
        };
        if category != slot {
            self.moved.insert(slot, category);
        }
        Ok(())
    }

    fn add(&mut self, preferred: Option<Category>, name: &str) -> Result<Category, Error> {
        let free = |slot: &Category| !self.there.contains_key(slot);
        let slot =
            preferred.filter(free).or_else(|| Category::all().find(free)).ok_or_else(|| {
                Error::Invalid(format!(
                    "the plan has no free label for `{name}`: all 25 have names"
                ))
            })?;
        let text = name.to_owned();
        self.session.editor()?.edit_plan_details(self.plan, |details| {
            details.labels.insert(slot, text);
        })?;
        self.there.insert(slot, name.to_owned());
        Ok(slot)
    }

    /// Returns the label that a task of the document refers to.
    fn meant(&mut self, text: &str) -> Result<Category, Error> {
        if let Some(category) = self.named(text) {
            return Ok(category);
        }
        match Category::parse(text) {
            Some(slot) => Ok(self.moved.get(&slot).copied().unwrap_or(slot)),
            None => self.add(None, text),
        }
    }
}

/// Checks that no two tasks have the same key: they would become one.
fn unique_keys(document: &PlanDocument) -> Result<(), Failure> {
    let mut titles: BTreeMap<&str, &str> = BTreeMap::new();
    for (_, task) in document.all_tasks() {
        let Some(key) = &task.key else { continue };
        if let Some(other) = titles.insert(key, &task.title) {
            let title = &task.title;
            let message = format!("the tasks `{other}` and `{title}` have the same key `{key}`");
            return Err(Failure { code: "invalid".into(), message, ..Failure::default() });
        }
    }
    Ok(())
}
