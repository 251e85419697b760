//! The edits that a board file makes to one task.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::Date;

use crate::host::board_file::{BoardEdits, Meant};
use crate::host::error::Error;
use crate::host::failure::Failure;
use crate::host::session::edits::KEY_ALIAS;
use crate::host::session::edits::{NewItem, NewTask};
use crate::model::board_file::{
    BucketEntry, ItemEntry, LinkEntry, Marks, TaskEntry, alias_text, checked_text, day_text,
    day_text_of, priority_text, with_plain_lines,
};
use crate::model::details::distinct;
use crate::model::progress::Completion;
use crate::model::time::moment_of_day;
use crate::model::{BucketId, Category, Reference, Task, TaskDetails, TaskId, UserId, link};

/// The section that a task is in, with the bucket that it stands for.
type Place<'a> = Option<(&'a BucketEntry, &'a Meant<BucketId>)>;

/// The items to add to a list, and those to remove.
struct Listed<T> {
    add: Vec<T>,
    remove: Vec<T>,
}

impl<'a> BoardEdits<'a> {
    /// Records the edits of an existing task.
    pub(crate) fn task(
        &mut self,
        id: &TaskId,
        entry: &TaskEntry,
        place: Place<'_>,
    ) -> Result<(), Failure> {
        let session = self.session;
        let (task, base) = (session.peek_task(id)?, self.base(id.as_str()));
        self.fields(&task, entry, base)?;
        self.lists(&task, entry, base)?;
        self.bucket(&task, place, base)?;
        // Details cost a request, so only a file that mentions them reads them.
        if entry.description.is_some()
            || entry.checklist.is_some()
            || entry.references.is_some()
            || entry.key.is_some()
        {
            let details = session.peek_details(id)?;
            self.description(&task, &details, entry, base)?;
            self.checklist(&task, &details, entry, base)?;
            self.references(&task, &details, entry, base)?;
        }
        Ok(())
    }

    fn fields(
        &mut self,
        task: &Task,
        entry: &TaskEntry,
        base: Option<&Marks>,
    ) -> Result<(), Failure> {
        let session = self.session;
        let (zone, at) = (&session.facts().zone, named(task));
        let mut wants = |field: &str, ours: Option<String>, theirs: &str| {
            ours.is_some_and(|ours| self.wants(base, &at, (field, &ours, theirs)))
        };
        let there = |it: Completion| it.text_of(task.percent_complete);
        let there = entry.progress.map(there).unwrap_or_default();
        let title = wants("title", Some(entry.title.clone()), &task.title);
        let progress = wants("progress", entry.progress.map(Completion::text), &there);
        let priority = wants("priority", entry.priority.map(priority_text), task.priority.name());
        let start = wants("start", entry.start.map(day_text), &day_text_of(task.start, zone));
        let due = wants("due", entry.due.map(day_text), &day_text_of(task.due, zone));
        let mut wanted = task.clone();
        if title {
            wanted.title.clone_from(&entry.title);
        }
        if let Some(progress) = entry.progress.filter(|_| progress) {
            wanted.percent_complete = progress.percent();
        }
        if let Some(priority) = entry.priority.filter(|_| priority) {
            wanted.priority = priority;
        }
        if let Some(day) = entry.start.filter(|_| start) {
            wanted.start = moment(day)?;
        }
        if let Some(day) = entry.due.filter(|_| due) {
            wanted.due = moment(day)?;
        }
        if title || progress || priority || start || due {
            session.editor()?.edit_task(&task.id, |task| *task = wanted)?;
        }
        Ok(())
    }

    /// Edits people and labels.
    fn lists(
        &mut self,
        task: &Task,
        entry: &TaskEntry,
        base: Option<&Marks>,
    ) -> Result<(), Failure> {
        let people: BTreeSet<UserId> = task.assignments.keys().cloned().collect();
        let wanted =
            entry.assignees.as_ref().map(|names| self.people(names, &people)).transpose()?;
        let people = self.listed(base, "assignee", wanted, &people, UserId::to_string);
        let wanted = entry.labels.as_ref().map(|names| self.resolve_labels(names)).transpose()?;
        let labels = self.listed(base, "label", wanted, &task.categories, Category::to_string);
        if people.is_some() || labels.is_some() {
            self.session.editor()?.edit_task(&task.id, |task| {
                if let Some(people) = people {
                    task.assignments.extend(people.add.into_iter().map(|id| (id, String::new())));
                    task.assignments.retain(|id, _| !people.remove.contains(id));
                }
                if let Some(labels) = labels {
                    task.categories.extend(labels.add);
                    task.categories.retain(|slot| !labels.remove.contains(slot));
                }
            })?;
        }
        Ok(())
    }

    /// Compares a list; returns `None` if nothing is to be written.
    fn listed<T: Ord + Clone>(
        &mut self,
        base: Option<&Marks>,
        field: &str,
        ours: Option<Vec<T>>,
        theirs: &BTreeSet<T>,
        text: impl Fn(&T) -> String,
    ) -> Option<Listed<T>> {
        let (ours, mut listed) = (ours?, Listed { add: Vec::new(), remove: Vec::new() });
        for one in &ours {
            if theirs.contains(one) || listed.add.contains(one) {
                continue;
            }
            // The base has it, the board does not: somebody has removed it since the pull.
            if base.is_some_and(|base| base.has(field, &text(one))) {
                self.n_theirs += 1;
            } else {
                listed.add.push(one.clone());
            }
        }
        for one in theirs.iter().filter(|one| !ours.contains(one)) {
            let known = base.map(|base| base.has(field, &text(one)));
            match (self.prune, known) {
                (true, Some(false)) => self.n_newer += 1,
                (true, _) => listed.remove.push(one.clone()),
                (false, known) => self.n_unlisted += usize::from(known == Some(true)),
            }
        }
        Some(listed).filter(|listed| !listed.add.is_empty() || !listed.remove.is_empty())
    }

    fn bucket(
        &mut self,
        task: &Task,
        place: Place<'_>,
        base: Option<&Marks>,
    ) -> Result<(), Failure> {
        let Some((section, meant)) = place else { return Ok(()) };
        let theirs = task.bucket.as_ref().map(ToString::to_string).unwrap_or_default();
        let ours = match (meant, &section.id) {
            (Meant::Here(id), _) => id.to_string(),
            (_, id) => id.as_ref().map(ToString::to_string).unwrap_or_default(),
        };
        let name = |id: &str| {
            let id = BucketId::parse(id).ok()?;
            Some(self.session.peek_bucket(&id).ok()?.name)
        };
        let (ours_named, theirs_named) = (section.name.clone(), name(&theirs).unwrap_or_default());
        let n_conflicts = self.conflicts.len();
        let wanted = self.wants(base, &named(task), ("bucket", &ours, &theirs));
        if self.conflicts.len() > n_conflicts {
            // The comparison goes by ids; people know buckets by their names.
            self.conflicts.truncate(n_conflicts);
            self.conflict(&named(task), "bucket", &ours_named, &theirs_named);
        }
        match meant {
            Meant::Here(bucket) if wanted => {
                Ok(self.session.editor()?.move_task(&task.id, bucket)?)
            }
            Meant::Gone if wanted => {
                self.conflicts.push(no_bucket(&named(task), section));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn description(
        &mut self,
        task: &Task,
        details: &TaskDetails,
        entry: &TaskEntry,
        base: Option<&Marks>,
    ) -> Result<(), Failure> {
        let Some(text) = &entry.description else { return Ok(()) };
        let sides = (&*with_plain_lines(text), &*with_plain_lines(&details.description));
        if self.wants(base, &named(task), ("description", sides.0, sides.1)) {
            self.session
                .editor()?
                .edit_details(&task.id, |details| details.description.clone_from(text))?;
        }
        Ok(())
    }

    fn checklist(
        &mut self,
        task: &Task,
        details: &TaskDetails,
        entry: &TaskEntry,
        base: Option<&Marks>,
    ) -> Result<(), Failure> {
        let Some(items) = &entry.checklist else { return Ok(()) };
        let items = named_items(items);
        let there = details.items_by_name();
        let names = items.iter().map(|item| item.0.clone()).collect();
        let titles = there.keys().cloned().collect();
        let listed = self.listed(base, "item", Some(names), &titles, String::clone);
        let mut wanted = details.clone();
        for (name, item) in &items {
            let old = there.get(name).and_then(|key| wanted.checklist.get_mut(key));
            if let (Some(checked), Some(old)) = (item.checked, old) {
                let (ours, theirs) = (checked_text(name, checked), checked_text(name, old.checked));
                if self.wants(base, &named(task), ("checked", &ours, &theirs)) {
                    old.checked = checked;
                }
            }
        }
        if let Some(Listed { add, remove }) = listed {
            for name in remove {
                there.get(&name).map(|key| wanted.checklist.remove(key));
            }
            for (_, item) in items.iter().filter(|item| add.contains(&item.0)) {
                let key = self.session.new_item_key();
                wanted.add_item(key.clone(), item.title.clone());
                let checked = item.checked.unwrap_or_default();
                wanted.checklist.entry(key).and_modify(|item| item.checked = checked);
            }
        }
        if wanted != *details {
            self.session
                .editor()?
                .edit_details(&task.id, |details| details.checklist = wanted.checklist)?;
        }
        Ok(())
    }

    fn references(
        &mut self,
        task: &Task,
        details: &TaskDetails,
        entry: &TaskEntry,
        base: Option<&Marks>,
    ) -> Result<(), Failure> {
        let mut wanted = details.references.clone();
        if let Some(links) = &entry.references {
            let there = details.references.keys().filter(|url| link::key_of(url).is_none());
            let there: BTreeMap<String, &String> =
                there.map(|key| (link::decode(key), key)).collect();
            // A link of the board may have blanks; one that the file adds is written without them.
            let written = |link: &LinkEntry| {
                if there.contains_key(&link.url) {
                    return link.clone();
                }
                LinkEntry { url: link::without_blanks(&link.url), alias: link.alias.clone() }
            };
            let links: Vec<LinkEntry> = links.iter().map(written).collect();
            let urls = links.iter().map(|link| link.url.clone()).collect();
            let theirs = there.keys().cloned().collect();
            let listed = self.listed(base, "reference", Some(urls), &theirs, String::clone);
            for LinkEntry { url, alias } in &links {
                let old = there.get(url).and_then(|key| wanted.get_mut(*key));
                if let (Some(alias), Some(old)) = (alias, old) {
                    let ours = alias_text(url, Some(alias));
                    let theirs = alias_text(url, old.alias.as_deref());
                    if self.wants(base, &named(task), ("alias", &ours, &theirs)) {
                        old.alias = Some(alias.clone());
                    }
                }
            }
            if let Some(Listed { add, remove }) = listed {
                for url in remove {
                    there.get(&url).map(|key| wanted.remove(*key));
                }
                for link in links.iter().filter(|link| add.contains(&link.url)) {
                    let (key, reference) = reference(link)?;
                    wanted.insert(key, reference);
                }
            }
        }
        // A key in the file makes the task findable by it from now on.
        let keyed = |key: &String| wanted.keys().any(|url| link::key_of(url).as_ref() == Some(key));
        if let Some(key) = entry.key.as_ref().filter(|key| !keyed(key)) {
            let alias = Some(KEY_ALIAS.to_owned());
            wanted.insert(link::of_key(key), Reference { alias, kind: None });
        }
        if wanted != details.references {
            self.session.editor()?.edit_details(&task.id, |details| details.references = wanted)?;
        }
        Ok(())
    }

    /// Leaves a task deleted that was deleted since the pull; an edit of it in the file is a
    /// conflict.
    pub(crate) fn task_gone(&mut self, entry: &TaskEntry, place: Place<'_>) -> Result<(), Failure> {
        let id = entry.id.as_ref().map(TaskId::as_str).unwrap_or_default();
        let Some(base) = self.base(id) else { return Ok(()) };
        let progress = entry.progress.map(Completion::text);
        let bucket = place.map(|(section, meant)| match (meant, &section.id) {
            (Meant::Here(id), _) | (_, Some(id)) => id.to_string(),
            _ => String::new(),
        });
        let mut values: Vec<(&str, String)> = vec![("title", entry.title.clone())];
        values.extend(progress.map(|text| ("progress", text)));
        values.extend(bucket.map(|name| ("bucket", name)));
        values.extend(entry.priority.map(|priority| ("priority", priority_text(priority))));
        values.extend(entry.start.map(|day| ("start", day_text(day))));
        values.extend(entry.due.map(|day| ("due", day_text(day))));
        values
            .extend(entry.description.as_ref().map(|text| ("description", with_plain_lines(text))));
        for (name, item) in named_items(entry.checklist.as_deref().unwrap_or_default()) {
            values.extend(item.checked.map(|checked| ("checked", checked_text(&name, checked))));
            values.push(("item", name));
        }
        for link in entry.references.iter().flatten() {
            values.push(("reference", link.url.clone()));
        }
        for name in entry.labels.iter().flatten() {
            values.push(("label", self.labels.find(name)?.to_string()));
        }
        let there = BTreeSet::new();
        for name in entry.assignees.iter().flatten() {
            for id in self.people(std::slice::from_ref(name), &there)? {
                values.push(("assignee", id.to_string()));
            }
        }
        if let Some((field, _)) = values.iter().find(|(field, value)| !base.has(field, value)) {
            let title = &entry.title;
            let message =
                format!("the task `{title}`, {field}: changed in the file, deleted on the board");
            self.conflicts.push(message);
        }
        Ok(())
    }

    /// Creates a task that does not exist yet.
    pub(crate) fn new_task(&mut self, entry: &TaskEntry, place: Place<'_>) -> Result<(), Failure> {
        let bucket = match place {
            Some((_, Meant::Here(bucket))) => Some(bucket.clone()),
            Some((section, _)) => {
                self.conflicts.push(no_bucket(&format!("the task `{}`", entry.title), section));
                return Ok(());
            }
            None => None,
        };
        let people = entry.assignees.as_deref().unwrap_or_default();
        let items = entry.checklist.as_deref().unwrap_or_default();
        let links = entry.references.as_deref().unwrap_or_default();
        let new = NewTask {
            title: entry.title.clone(),
            bucket,
            start: moment(entry.start.flatten())?,
            due: moment(entry.due.flatten())?,
            priority: entry.priority,
            percent_complete: entry.progress.map_or(0, Completion::percent),
            description: entry.description.clone().unwrap_or_default(),
            key: entry.key.clone(),
            assignees: self.people(people, &BTreeSet::new())?,
            labels: self.resolve_labels(entry.labels.as_deref().unwrap_or_default())?,
            checklist: items
                .iter()
                .map(|item| NewItem {
                    title: item.title.clone(),
                    checked: item.checked.unwrap_or_default(),
                })
                .collect(),
            references: links.iter().map(reference).collect::<Result<_, _>>()?,
            ..NewTask::default()
        };
        self.session.editor()?.create_task(&self.plan, new)?;
        Ok(())
    }

    /// Finds people; those already on the task need not be found in the directory.
    fn people(&self, names: &[String], there: &BTreeSet<UserId>) -> Result<Vec<UserId>, Failure> {
        let find = |name: &String| match UserId::parse(name) {
            Ok(id) if there.contains(&id) => Ok(id),
            _ => Ok(self.session.find_user(name)?.id),
        };
        names.iter().map(find).collect()
    }

    fn resolve_labels(&self, names: &[String]) -> Result<Vec<Category>, Failure> {
        names.iter().map(|name| self.labels.find(name)).collect()
    }
}

fn named(task: &Task) -> String {
    format!("the task `{}`", task.title)
}

fn no_bucket(task: &str, section: &BucketEntry) -> String {
    format!("{task}, bucket: `{}` in the file, which was deleted on the board", section.name)
}

fn moment(day: Option<Date>) -> Result<Option<Timestamp>, Failure> {
    let Some(day) = day else { return Ok(None) };
    let far = || Error::Invalid(format!("{day} cannot be written: too far away"));
    Ok(Some(moment_of_day(day).ok_or_else(far)?))
}

fn reference(link: &LinkEntry) -> Result<(String, Reference), Failure> {
    let key = link::encode(&link::without_blanks(&link.url));
    let key = key.map_err(|error| Error::Invalid(error.to_string()))?;
    Ok((key, Reference { alias: link.alias.clone(), kind: None }))
}

/// Returns the lines of a checklist under names like those of the board's items.
fn named_items(items: &[ItemEntry]) -> Vec<(String, &ItemEntry)> {
    distinct(items.iter().map(|item| item.title.as_str())).into_iter().zip(items).collect()
}
