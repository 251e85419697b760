//! The board as a file: written by `pull`, and turned into edits once somebody has changed it.
//!
//! Everything is compared three ways, by field: with the board, and with the base that the pull
//! left in the file. So a field that nobody edited in the file never sets back an edit made on the
//! board since.

use std::collections::{BTreeMap, BTreeSet};

use crate::change::Read;
use crate::change::read::pick;
use crate::host::error::Error;
use crate::host::failure::Failure;
use crate::host::session::core::Session;
use crate::model::board_file::{
    BucketEntry, Decision, FORMAT, ItemEntry, LinkEntry, Marks, TaskEntry, decide, label_text,
    with_plain_lines,
};
use crate::model::progress::Completion;
use crate::model::time::day_of_date;
use crate::model::{
    BoardFile, Bucket, BucketId, PlanId, Priority, Task, TaskDetails, TaskId, link,
};

mod labels;
mod task;

use labels::LabelNames;

/// The most conflicts that are listed one by one.
const MAX_TOLD: usize = 20;

impl Session {
    /// Returns a plan as a file to be edited, in the order of the board, with its base.
    ///
    /// # Errors
    /// The plan does not exist or the service cannot be reached.
    pub fn board_file(&self, plan: &PlanId) -> Result<BoardFile, Error> {
        let (entity, details) = (self.peek_plan(plan)?, self.peek_plan_details(plan)?);
        let names = LabelNames::there(&details.labels);
        let mut base = BTreeMap::from([(plan.to_string(), Marks::of_plan(&entity, &details))]);
        let mut file = BoardFile {
            format: FORMAT,
            plan: entity.title,
            id: Some(plan.clone()),
            labels: details.labels,
            ..BoardFile::default()
        };
        let mut written = |id: &TaskId| {
            let (task, details) = (self.peek_task(id)?, self.peek_details(id)?);
            let marks = Marks::of_task(&task, &details, &self.facts().zone);
            base.insert(id.to_string(), marks);
            Ok::<_, Error>(self.task_entry(&task, &details, &names))
        };
        let mut buckets = Vec::new();
        for id in self.buckets(plan)? {
            let tasks = self.tasks_in_order(&id)?;
            let tasks = tasks.iter().map(&mut written).collect::<Result<_, _>>()?;
            buckets.push((self.peek_bucket(&id)?, tasks));
        }
        // A task without a bucket shows in none of the columns above.
        for id in self.tasks(plan)? {
            if self.peek_task(&id)?.bucket.is_none() {
                file.tasks.push(written(&id)?);
            }
        }
        for (bucket, tasks) in buckets {
            base.insert(bucket.id.to_string(), Marks::of_bucket(&bucket));
            file.buckets.push(BucketEntry { name: bucket.name, id: Some(bucket.id), tasks });
        }
        file.base = Some(base);
        Ok(file)
    }

    fn task_entry(&self, task: &Task, details: &TaskDetails, names: &LabelNames) -> TaskEntry {
        let zone = &self.facts().zone;
        let upn = |id| self.user_by_id(id).map(|user| user.upn).filter(|upn| !upn.is_empty());
        let some = |list: Vec<String>| Some(list).filter(|list| !list.is_empty());
        let mut people: Vec<String> =
            task.assignments.keys().map(|id| upn(id).unwrap_or_else(|| id.to_string())).collect();
        people.sort();
        let items = details.checklist_order().into_iter().filter_map(|key| {
            let item = details.checklist.get(&key)?;
            Some(ItemEntry { title: item.title.clone(), checked: item.checked.then_some(true) })
        });
        let links = details.references.iter().filter(|(key, _)| link::key_of(key).is_none());
        let links = links.map(|(key, reference)| LinkEntry {
            url: link::decode(key),
            alias: reference.alias.clone().filter(|alias| !alias.is_empty()),
        });
        let priority = Priority::parse(task.priority.name());
        TaskEntry {
            title: task.title.clone(),
            id: Some(task.id.clone()),
            key: details.references.keys().find_map(|key| link::key_of(key)),
            progress: Some(task.progress().into()).filter(|it: &Completion| it.percent() > 0),
            priority: priority.filter(|priority| *priority != Priority::DEFAULT),
            start: task.start.map(|start| Some(day_of_date(start, zone))),
            due: task.due.map(|due| Some(day_of_date(due, zone))),
            assignees: some(people),
            labels: some(task.categories.iter().map(|slot| names.name_of(*slot)).collect()),
            description: Some(with_plain_lines(&details.description))
                .filter(|text| !text.is_empty()),
            checklist: Some(items.collect()).filter(|list: &Vec<_>| !list.is_empty()),
            references: Some(links.collect()).filter(|list: &Vec<_>| !list.is_empty()),
        }
    }

    /// Records the edits that a file makes to its plan; with `prune`, also deletions of what it
    /// does not list.
    ///
    /// # Errors
    /// The file names something that cannot be found, or that is not unique; or a thing in it was
    /// changed both there and on the board since it was pulled (code `conflict`).
    pub fn want_board(&self, file: &BoardFile, prune: bool) -> Result<(), Failure> {
        let plan = match &file.id {
            Some(id) => self.plan(id)?.id,
            None => self.find_plan(&file.plan)?,
        };
        let mut edits = BoardEdits {
            session: self,
            plan,
            file,
            prune,
            labels: LabelNames::default(),
            conflicts: Vec::new(),
            n_theirs: 0,
            n_unlisted: 0,
            n_newer: 0,
            gone: Vec::new(),
        };
        edits.plan()?;
        let buckets = edits.buckets()?;
        let tasks = edits.resolve_tasks()?;
        edits.tasks(&buckets, &tasks)?;
        edits.tasks_unlisted(&tasks)?;
        edits.buckets_unlisted(&buckets)?;
        edits.end()
    }
}

/// The bucket or task that an entry of the file stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Meant<I> {
    /// An existing one.
    Here(I),
    /// One to be created.
    New,
    /// One that existed when the file was pulled and was deleted since.
    Gone,
}

/// The comparison of a file with the board, under way.
struct BoardEdits<'a> {
    session: &'a Session,
    plan: PlanId,
    file: &'a BoardFile,
    prune: bool,
    labels: LabelNames,
    /// The changes made on both sides, as sentences.
    conflicts: Vec<String>,
    /// The number of fields that keep the values of others.
    n_theirs: usize,
    /// The number of things removed from the file that stay on the board.
    n_unlisted: usize,
    /// The number of things on the board that are newer than the file and stay.
    n_newer: usize,
    /// The titles of tasks and names of buckets that were deleted since the pull.
    gone: Vec<String>,
}

impl<'a> BoardEdits<'a> {
    /// Returns the state of an entity when the file was pulled.
    fn base(&self, id: &str) -> Option<&'a Marks> {
        self.file.base.as_ref()?.get(id)
    }

    /// Returns whether a field is to be written; `place` names its entity in a conflict.
    fn wants(
        &mut self,
        base: Option<&Marks>,
        place: &str,
        (field, ours, theirs): Sides<'_>,
    ) -> bool {
        match decide(base, field, ours, theirs) {
            Decision::Same => false,
            Decision::Ours => true,
            Decision::Theirs => {
                self.n_theirs += 1;
                false
            }
            Decision::Conflict => {
                self.conflict(place, field, ours, theirs);
                false
            }
        }
    }

    fn conflict(&mut self, place: &str, field: &str, ours: &str, theirs: &str) {
        let (ours, theirs) = (shown(ours), shown(theirs));
        let message = format!("{place}, {field}: {ours} in the file, {theirs} on the board");
        self.conflicts.push(message);
    }

    /// Edits the plan's own title and the names of its labels.
    fn plan(&mut self) -> Result<(), Failure> {
        let (session, file, id) = (self.session, self.file, self.plan.clone());
        let base = self.base(id.as_str());
        let title = session.peek_plan(&id)?.title;
        // Without an id the plan was found by this very title.
        if file.id.is_some() && self.wants(base, "the plan", ("title", &file.plan, &title)) {
            session.editor()?.edit_plan(&id, |plan| plan.title.clone_from(&file.plan))?;
        }
        let there = session.peek_plan_details(&id)?.labels;
        for (slot, name) in &file.labels {
            let theirs = there.get(slot).map_or("", String::as_str);
            let (ours, theirs) = (label_text(*slot, name), label_text(*slot, theirs));
            if self.wants(base, "the plan", ("label", &ours, &theirs)) {
                session.editor()?.edit_plan_details(&id, |details| {
                    if name.is_empty() {
                        details.labels.remove(slot);
                    } else {
                        details.labels.insert(*slot, name.clone());
                    }
                })?;
            }
        }
        let wanted = session.peek_plan_details(&id)?.labels;
        self.labels = LabelNames::meant(&wanted, &file.labels, base);
        Ok(())
    }

    /// Finds the bucket of each section, creates the new ones, renames those whose names differ.
    fn buckets(&mut self) -> Result<Vec<Meant<BucketId>>, Failure> {
        let (session, file) = (self.session, self.file);
        let mut there: Vec<Bucket> = Vec::new();
        for id in session.peek_buckets(&self.plan)? {
            there.push(session.peek_bucket(&id)?);
        }
        let listed: BTreeSet<&BucketId> =
            file.buckets.iter().filter_map(|entry| entry.id.as_ref()).collect();
        let unclaimed: Vec<Bucket> =
            there.iter().filter(|bucket| !listed.contains(&bucket.id)).cloned().collect();
        let mut buckets = Vec::new();
        for entry in &file.buckets {
            let Some(id) = &entry.id else {
                buckets.push(self.bucket_named(&entry.name, &unclaimed)?);
                continue;
            };
            let base = self.base(id.as_str());
            match there.iter().find(|bucket| bucket.id == *id) {
                Some(bucket) => {
                    let place = format!("the bucket `{}`", bucket.name);
                    if self.wants(base, &place, ("name", &entry.name, &bucket.name)) {
                        session
                            .editor()?
                            .edit_bucket(id, |bucket| bucket.name.clone_from(&entry.name))?;
                    }
                    buckets.push(Meant::Here(id.clone()));
                }
                None if base.is_some() => {
                    self.gone.push(entry.name.clone());
                    buckets.push(Meant::Gone);
                }
                None => return Err(no_such("bucket", id.as_str(), &entry.name)),
            }
        }
        let mut claimed = BTreeSet::new();
        for (meant, entry) in buckets.iter_mut().zip(&file.buckets) {
            match meant {
                Meant::Here(id) if !claimed.insert(id.clone()) => {
                    let message =
                        format!("two sections of the file stand for the bucket `{}`", entry.name);
                    return Err(invalid(message, "keep one of them, with the tasks of both"));
                }
                // Created in the order of the file, so that they end up in that order behind the
                // existing ones.
                Meant::New => {
                    *meant = Meant::Here(session.editor()?.create_bucket(&self.plan, &entry.name)?);
                }
                Meant::Here(_) | Meant::Gone => {}
            }
        }
        Ok(buckets)
    }

    fn bucket_named(&self, name: &str, there: &[Bucket]) -> Result<Meant<BucketId>, Failure> {
        self.session.count(Read::BucketsNamed(self.plan.clone(), name.to_owned()));
        let there: Vec<&Bucket> = there.iter().collect();
        match pick(&there, name, |bucket| &bucket.name).as_slice() {
            [bucket] => Ok(Meant::Here(bucket.id.clone())),
            [] => Ok(Meant::New),
            several => Err(Failure::from(Error::Ambiguous {
                what: "bucket",
                name: name.to_owned(),
                candidates: several.iter().map(|bucket| bucket.id.to_string()).collect(),
            })),
        }
    }

    /// Finds the task of each entry, in the order of the file: by its id, else by its key, else by
    /// its title among those that no other entry means.
    fn resolve_tasks(&mut self) -> Result<Vec<Meant<TaskId>>, Failure> {
        let (session, file) = (self.session, self.file);
        let mut there: BTreeMap<TaskId, Task> = BTreeMap::new();
        for id in session.peek_tasks(&self.plan)? {
            there.insert(id.clone(), session.peek_task(&id)?);
        }
        let keys = self.keys(&there)?;
        let mut claimed: BTreeMap<TaskId, &str> = BTreeMap::new();
        let mut meant = Vec::new();
        for (_, entry) in file.all_tasks() {
            let found = match (&entry.id, &entry.key) {
                (Some(id), _) if there.contains_key(id) => Some(id),
                (Some(id), _) if self.base(id.as_str()).is_some() => {
                    self.gone.push(entry.title.clone());
                    meant.push(Meant::Gone);
                    continue;
                }
                (Some(id), _) => return Err(no_such("task", id.as_str(), &entry.title)),
                (None, Some(key)) => keys.get(key),
                (None, None) => None,
            };
            if let Some(id) = found
                && let Some(other) = claimed.insert(id.clone(), &entry.title)
            {
                let message = format!("`{other}` and `{}` are the same task", entry.title);
                return Err(invalid(
                    message,
                    "one is given by its id, the other by its key: keep one of them",
                ));
            }
            meant.push(found.map_or(Meant::New, |id| Meant::Here(id.clone())));
        }
        there.retain(|id, _| !claimed.contains_key(id));
        for (meant, (_, entry)) in meant.iter_mut().zip(file.all_tasks()) {
            if entry.id.is_none() && entry.key.is_none() {
                *meant = self.task_titled(&entry.title, &there)?;
            }
        }
        Ok(meant)
    }

    /// Returns the tasks of the plan by their keys, if the file uses any.
    fn keys(&self, there: &BTreeMap<TaskId, Task>) -> Result<BTreeMap<String, TaskId>, Failure> {
        let mut keys = BTreeMap::new();
        if self.file.all_tasks().all(|(_, entry)| entry.key.is_none() || entry.id.is_some()) {
            return Ok(keys);
        }
        self.session.count(Read::Tasks(self.plan.clone()));
        for (id, task) in there {
            if task.reference_count > 0 {
                let references = self.session.peek_details(id)?.references;
                keys.extend(
                    references
                        .keys()
                        .filter_map(|url| link::key_of(url))
                        .map(|key| (key, id.clone())),
                );
            }
        }
        Ok(keys)
    }

    /// Finds the task with exactly this title: if it is not unique, open tasks win over completed
    /// ones.
    fn task_titled(
        &self,
        title: &str,
        there: &BTreeMap<TaskId, Task>,
    ) -> Result<Meant<TaskId>, Failure> {
        // A task of that title that appears later must not be created twice.
        self.session.count(Read::TasksNamed(self.plan.clone(), title.to_owned()));
        let mut found: Vec<&Task> = there.values().filter(|task| task.title == title).collect();
        if found.iter().any(|task| task.percent_complete < 100) {
            found.retain(|task| task.percent_complete < 100);
        }
        match found.as_slice() {
            [] => Ok(Meant::New),
            [task] => Ok(Meant::Here(task.id.clone())),
            several => Err(Failure::from(Error::Ambiguous {
                what: "task",
                name: title.to_owned(),
                candidates: several.iter().map(|task| task.id.to_string()).collect(),
            })),
        }
    }

    /// Edits the tasks: existing ones first, then the new ones from last to first, since Planner
    /// shows the newest on top.
    fn tasks(
        &mut self,
        buckets: &[Meant<BucketId>],
        tasks: &[Meant<TaskId>],
    ) -> Result<(), Failure> {
        let file = self.file;
        let sections = file.buckets.iter().zip(buckets).map(Some);
        let places = sections.flat_map(|section| {
            section.map_or(0..0, |(entry, _)| 0..entry.tasks.len()).map(move |_| section)
        });
        let places = places.chain(file.tasks.iter().map(|_| None));
        let all: Vec<_> = file.all_tasks().map(|pair| pair.1).zip(places).zip(tasks).collect();
        for ((entry, place), meant) in &all {
            let done = match meant {
                Meant::Here(id) => self.task(id, entry, *place),
                Meant::Gone => self.task_gone(entry, *place),
                Meant::New => Ok(()),
            };
            done.map_err(|failure| of_task(&entry.title, failure))?;
        }
        for ((entry, place), _) in all.iter().rev().filter(|one| *one.1 == Meant::New) {
            self.new_task(entry, *place).map_err(|failure| of_task(&entry.title, failure))?;
        }
        Ok(())
    }

    /// Handles tasks of the board that the file does not list.
    fn tasks_unlisted(&mut self, listed: &[Meant<TaskId>]) -> Result<(), Failure> {
        let session = self.session;
        let listed: BTreeSet<&TaskId> = listed
            .iter()
            .filter_map(|meant| if let Meant::Here(id) = meant { Some(id) } else { None })
            .collect();
        let ids =
            if self.prune { session.tasks(&self.plan)? } else { session.peek_tasks(&self.plan)? };
        for id in ids.iter().filter(|id| !id.is_provisional() && !listed.contains(id)) {
            let base = self.base(id.as_str());
            match (self.prune, base) {
                (false, None) => {}
                (false, Some(_)) => self.n_unlisted += 1,
                // The file could not know it: created after the pull.
                (true, None) if self.file.base.is_some() => self.n_newer += 1,
                (true, None) => session.editor()?.delete_task(id)?,
                (true, Some(base)) => {
                    let (task, details) = (session.peek_task(id)?, session.peek_details(id)?);
                    // A deletion must not take somebody's edit since the pull with it.
                    if *base == Marks::of_task(&task, &details, &session.facts().zone) {
                        session.editor()?.delete_task(id)?;
                    } else {
                        self.conflicts.push(format!(
                            "the task `{}`: removed from the file, but changed on the board",
                            task.title
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    /// Handles buckets of the board that the file does not list: an empty one is deleted.
    fn buckets_unlisted(&mut self, listed: &[Meant<BucketId>]) -> Result<(), Failure> {
        let session = self.session;
        for id in session.peek_buckets(&self.plan)? {
            let known = self.base(id.as_str()).is_some();
            if id.is_provisional() || listed.contains(&Meant::Here(id.clone())) {
                continue;
            }
            if !self.prune {
                self.n_unlisted += usize::from(known);
            } else if self.file.base.is_some() && !known {
                self.n_newer += 1;
            } else if session.tasks_in(&id)?.is_empty() {
                session.editor()?.delete_bucket(&id)?;
            } else {
                let name = session.peek_bucket(&id)?.name;
                session.warn(&format!(
                    "the bucket `{name}` is not in the file, but was kept for the tasks in it"
                ));
            }
        }
        Ok(())
    }

    /// Warns of everything left as it is, or fails with the conflicts.
    fn end(mut self) -> Result<(), Failure> {
        let n = self.conflicts.len();
        if n > 0 {
            self.conflicts.truncate(MAX_TOLD);
            if n > MAX_TOLD {
                self.conflicts.push(format!("… and {} more", n - MAX_TOLD));
            }
            let things = if n == 1 { "one thing was" } else { "several things were" };
            return Err(Failure {
                code: "conflict".into(),
                message: format!("{things} changed both in the file and on the board since it was pulled"),
                problems: self.conflicts,
                hint: Some(
                    "to keep the board's value, put it in the file; to insist on the file's, delete the line of the task, bucket or plan from `base`"
                        .into(),
                ),
                ..Failure::default()
            });
        }
        let remark = |n: usize, one: &str, many: &str| match n {
            0 => {}
            1 => self.session.warn(&format!("1 {one}")),
            _ => self.session.warn(&format!("{n} {many}")),
        };
        remark(
            self.n_theirs,
            "change on the board since the file was pulled was left alone",
            "changes on the board since the file was pulled were left alone",
        );
        remark(
            self.n_newer,
            "item was added to the board since the file was pulled, and left there",
            "items were added to the board since the file was pulled, and left there",
        );
        remark(
            self.n_unlisted,
            "item was removed from the file but is still on the board; `--prune` deletes it",
            "items were removed from the file but are still on the board; `--prune` deletes them",
        );
        if !self.gone.is_empty() {
            let names: Vec<String> = self.gone.iter().take(5).map(|name| shown(name)).collect();
            let more = if self.gone.len() > 5 { " and others" } else { "" };
            let names = names.join(", ");
            self.session
                .warn(&format!("deleted on the board since the file was pulled: {names}{more}"));
        }
        Ok(())
    }
}

/// A field, its value in the file and its value on the board.
type Sides<'a> = (&'a str, &'a str, &'a str);

/// Quotes a value for a message, shortened.
fn shown(value: &str) -> String {
    const MAX: usize = 60;
    if value.is_empty() {
        return "nothing".to_owned();
    }
    let short: String = value.chars().take(MAX).collect();
    let more = if value.chars().nth(MAX).is_some() { "…" } else { "" };
    format!("`{short}{more}`")
}

fn invalid(message: String, hint: &str) -> Failure {
    Failure { hint: Some(hint.to_owned()), ..Failure::from(Error::Invalid(message)) }
}

fn no_such(what: &str, id: &str, name: &str) -> Failure {
    Failure {
        code: "not_found".into(),
        message: format!("the plan has no {what} with the id `{id}` (`{name}` in the file)"),
        hint: Some(format!("delete the line with the id to create the {what} again")),
        ..Failure::default()
    }
}

fn of_task(title: &str, failure: Failure) -> Failure {
    Failure { message: format!("the task `{title}`: {}", failure.message), ..failure }
}
