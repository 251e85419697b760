//! Tasks in scripts.

use rhai::plugin::{Dynamic, ImmutableString, Module, combine_with_exported_module, export_module};
use rhai::{Array, Map};

use crate::change::{TaskField, TaskKey};
use crate::host::{Column, Error, Session};
use crate::model::order::Side;
use crate::model::{Progress, link};
use crate::script::api::arguments::{
    new_reference_key, parse_bucket, parse_label, parse_priority, parse_progress, parse_text,
    reference_key,
};
use crate::script::api::date::Date;
use crate::script::api::handles::{Bucket, ChecklistItem, Plan, Task, User};
use crate::script::api::value::{Fallible, OrRaise as _, frozen, frozen_list, invalid};

impl Task {
    /// Reads a field, which joins the read set.
    pub(super) fn get<T>(&self, key: TaskKey<T>) -> Fallible<T> {
        self.session.task_field(&self.id, key).or_raise(&self.session)
    }

    fn edit(&self, edit: impl FnOnce(&mut crate::model::Task)) -> Fallible<()> {
        self.session.setter().edit_task(&self.id, edit).or_raise(&self.session)
    }

    fn move_next_to(&self, other: &Self, side: Side, column: &Dynamic) -> Fallible<()> {
        let session = &self.session;
        let (text, person);
        let column = if column.is_unit() {
            Column::Bucket
        } else {
            text =
                column.as_immutable_string_ref().map(|name| name.to_string()).unwrap_or_default();
            match text.as_str() {
                "progress" => Column::Progress,
                "unassigned" => Column::AssignedTo(None),
                _ => {
                    person = User::given(column, session)?;
                    Column::AssignedTo(Some(&person))
                }
            }
        };
        session
            .editor()
            .or_raise(session)?
            .move_task_next_to(&self.id, &other.id, side, column)
            .or_raise(session)
    }

    /// Reads a label of the task's plan.
    pub(super) fn parse_label(&self, label: &Dynamic) -> Fallible<crate::model::Category> {
        let session = &self.session;
        let plan = self.get(TaskField::PLAN)?;
        parse_label(label, session, &plan)
    }

    /// Reads a field that only the service computes, which is an error for a new task.
    fn computed<T>(&self, key: TaskKey<T>) -> Fallible<T> {
        let value = self.get(key)?;
        if self.session.real(&self.id).is_provisional() {
            let field = key.field.script_name();
            return Err(Error::NotYetKnown { what: "task", field }).or_raise(&self.session);
        }
        Ok(value)
    }

    fn day_or_unit(&self, date: Option<jiff::Timestamp>) -> Dynamic {
        date.map_or(Dynamic::UNIT, |date| Dynamic::from(Date::of_date(date, &self.session)))
    }

    fn date_or_unit(&self, moment: Option<jiff::Timestamp>) -> Dynamic {
        moment.map_or(Dynamic::UNIT, |moment| Dynamic::from(Date::of_moment(moment, &self.session)))
    }

    /// Returns the days by which an open task is past its due day; `None` if it is not.
    pub(super) fn days_overdue(&self) -> Fallible<Option<i64>> {
        let (percent, due) = (self.get(TaskField::PERCENT)?, self.get(TaskField::DUE)?);
        let Some(due) = due.filter(|_| percent < 100) else { return Ok(None) };
        let due = Date::of_date(due, &self.session).day;
        let span = due.until(self.session.today());
        Ok(span.ok().map(|span| i64::from(span.get_days())).filter(|days| *days > 0))
    }
}

pub(crate) fn add(module: &mut Module) {
    combine_with_exported_module!(module, "task", functions);
}

#[export_module]
pub(super) mod functions {
    /// Its id; while the task is new a provisional one, which apply replaces by the real one.
    /// → text
    #[rhai_fn(get = "id", pure)]
    pub fn id(task: &mut Task) -> Dynamic {
        frozen(task.session.real(&task.id).to_string())
    }

    /// Its title.
    /// → text
    #[rhai_fn(get = "title", pure, volatile, return_raw)]
    pub fn title(task: &mut Task) -> Fallible<Dynamic> {
        Ok(task.get(TaskField::TITLE)?.into())
    }

    /// Renames the task.
    #[rhai_fn(set = "title", pure, volatile, return_raw)]
    pub fn set_title(task: &mut Task, title: &str) -> Fallible<()> {
        let title = title.to_owned();
        task.edit(|task| task.title = title)
    }

    /// Its completion, 0 to 100.
    #[rhai_fn(get = "percent_complete", pure, volatile, return_raw)]
    pub fn percent_complete(task: &mut Task) -> Fallible<i64> {
        Ok(i64::from(task.get(TaskField::PERCENT)?))
    }

    /// Sets its completion, 0 to 100.
    #[rhai_fn(set = "percent_complete", pure, volatile, return_raw)]
    pub fn set_percent_complete(task: &mut Task, percent: i64) -> Fallible<()> {
        match u8::try_from(percent) {
            Ok(percent @ 0..=100) => task.edit(|task| task.percent_complete = percent),
            _ => invalid(&task.session, format!("percent_complete is 0 to 100, not {percent}")),
        }
    }

    /// Its progress.
    /// → "not_started" | "in_progress" | "completed"
    #[rhai_fn(get = "progress", pure, volatile, return_raw)]
    pub fn progress(task: &mut Task) -> Fallible<Dynamic> {
        Ok(frozen(task.get(TaskField::PROGRESS)?.name()))
    }

    /// Sets its progress; a percentage that stands for it already is kept.
    #[rhai_fn(set = "progress", pure, volatile, return_raw)]
    pub fn set_progress(task: &mut Task, name: &str) -> Fallible<()> {
        let progress = parse_progress(name, &task.session)?;
        task.edit(|task| {
            if task.progress() != progress {
                task.percent_complete = progress.percent();
            }
        })
    }

    /// Its priority, 0 (most urgent) to 10.
    #[rhai_fn(get = "priority", pure, volatile, return_raw)]
    pub fn priority(task: &mut Task) -> Fallible<i64> {
        Ok(i64::from(task.get(TaskField::PRIORITY)?.level()))
    }

    /// Sets its priority: 0 to 10, or `urgent`, `important`, `medium`, `low`.
    #[rhai_fn(set = "priority", pure, volatile, return_raw)]
    pub fn set_priority(task: &mut Task, priority: Dynamic) -> Fallible<()> {
        let priority = parse_priority(&priority, &task.session)?;
        task.edit(|task| task.priority = priority)
    }

    /// The day it begins, `()` if none is set.
    /// → Date?
    #[rhai_fn(get = "start", pure, volatile, return_raw)]
    pub fn start(task: &mut Task) -> Fallible<Dynamic> {
        let start = task.get(TaskField::START)?;
        Ok(task.day_or_unit(start))
    }

    /// Sets the day it begins: a Date, a text like "2026-12-24", or `()` for none.
    #[rhai_fn(set = "start", pure, volatile, return_raw)]
    pub fn set_start(task: &mut Task, day: Dynamic) -> Fallible<()> {
        let day = Date::given(&day, &task.session, "start")?;
        let old = task.get(TaskField::START)?;
        let new = same_day_or(old, day.as_ref(), &task.session)?;
        task.edit(|task| task.start = new)
    }

    /// The day it is due, `()` if none is set.
    /// → Date?
    #[rhai_fn(get = "due", pure, volatile, return_raw)]
    pub fn due(task: &mut Task) -> Fallible<Dynamic> {
        let due = task.get(TaskField::DUE)?;
        Ok(task.day_or_unit(due))
    }

    /// Sets the day it is due: a Date, a text like "2026-12-24", or `()` for none.
    #[rhai_fn(set = "due", pure, volatile, return_raw)]
    pub fn set_due(task: &mut Task, day: Dynamic) -> Fallible<()> {
        let day = Date::given(&day, &task.session, "due")?;
        let old = task.get(TaskField::DUE)?;
        let new = same_day_or(old, day.as_ref(), &task.session)?;
        task.edit(|task| task.due = new)
    }

    /// The bucket it is in, `()` if in none.
    /// → Bucket?
    #[rhai_fn(get = "bucket", pure, volatile, return_raw)]
    pub fn bucket(task: &mut Task) -> Fallible<Dynamic> {
        let id = task.get(TaskField::BUCKET)?;
        let session = &task.session;
        Ok(id.map_or(Dynamic::UNIT, |id| Dynamic::from(Bucket { session: session.clone(), id })))
    }

    /// Moves the task to a bucket: a Bucket, or its name.
    #[rhai_fn(set = "bucket", pure, volatile, return_raw)]
    pub fn set_bucket(task: &mut Task, bucket: Dynamic) -> Fallible<()> {
        move_to(task, bucket)
    }

    /// Moves the task to a bucket of its plan: a Bucket, or its name.
    #[rhai_fn(volatile, pure, return_raw)]
    pub fn move_to(task: &mut Task, bucket: Dynamic) -> Fallible<()> {
        let session = &task.session;
        let plan = task.get(TaskField::PLAN)?;
        let bucket = parse_bucket(&bucket, session, &plan)?;
        session.setter().move_task(&task.id, &bucket).or_raise(session)
    }

    /// Moves the task right before another of its plan, in the other's bucket.
    #[rhai_fn(name = "move_before", volatile, pure, return_raw)]
    pub fn task_before(task: &mut Task, other: Task) -> Fallible<()> {
        task.move_next_to(&other, Side::Before, &Dynamic::UNIT)
    }

    /// Moves the task right after another of its plan, in the other's bucket.
    #[rhai_fn(name = "move_after", volatile, pure, return_raw)]
    pub fn task_after(task: &mut Task, other: Task) -> Fallible<()> {
        task.move_next_to(&other, Side::After, &Dynamic::UNIT)
    }

    /// Moves the task right before another in the same column of a board: `"progress"`, a person
    /// both are assigned to, or `"unassigned"`.
    #[rhai_fn(name = "move_before", volatile, pure, return_raw)]
    pub fn task_before_on(task: &mut Task, other: Task, column: Dynamic) -> Fallible<()> {
        task.move_next_to(&other, Side::Before, &column)
    }

    /// Moves the task right after another in the same column of a board: `"progress"`, a person
    /// both are assigned to, or `"unassigned"`.
    #[rhai_fn(name = "move_after", volatile, pure, return_raw)]
    pub fn task_after_on(task: &mut Task, other: Task, column: Dynamic) -> Fallible<()> {
        task.move_next_to(&other, Side::After, &column)
    }

    /// The description; empty if there is none.
    /// → text
    #[rhai_fn(get = "description", pure, volatile, return_raw)]
    pub fn description(task: &mut Task) -> Fallible<Dynamic> {
        Ok(task.get(TaskField::DESCRIPTION)?.into())
    }

    /// Sets the description.
    #[rhai_fn(set = "description", pure, volatile, return_raw)]
    pub fn set_description(task: &mut Task, text: &str) -> Fallible<()> {
        let session = &task.session;
        let text = text.to_owned();
        let set = |details: &mut crate::model::TaskDetails| details.description = text;
        session.setter().edit_details(&task.id, set).or_raise(session)
    }

    /// The plan it belongs to.
    #[rhai_fn(get = "plan", pure, volatile, return_raw)]
    pub fn plan_of_task(task: &mut Task) -> Fallible<Plan> {
        let session = task.session.clone();
        let id = task.get(TaskField::PLAN)?;
        Ok(Plan { session, id })
    }

    /// The people assigned to it.
    /// → [User]
    #[rhai_fn(get = "assignees", pure, volatile, return_raw)]
    pub fn assignees(task: &mut Task) -> Fallible<Dynamic> {
        let session = &task.session;
        let ids = task.get(TaskField::ASSIGNEES)?.into_iter();
        Ok(frozen_list(ids.map(|id| User { session: session.clone(), id })))
    }

    /// Returns whether a person is assigned to it: a User, or a name, address or id.
    #[rhai_fn(volatile, pure, return_raw)]
    pub fn assigned_to(task: &mut Task, user: Dynamic) -> Fallible<bool> {
        let user = User::given(&user, &task.session)?;
        Ok(task.get(TaskField::ASSIGNEES)?.contains(&user))
    }

    /// Assigns a person: a User, or a name, address or id.
    #[rhai_fn(volatile, pure, return_raw)]
    pub fn assign(task: &mut Task, user: Dynamic) -> Fallible<()> {
        let user = User::given(&user, &task.session)?;
        task.edit(|task| {
            task.assignments.entry(user).or_default();
        })
    }

    /// Takes a person off the task: a User, or a name, address or id.
    #[rhai_fn(volatile, pure, return_raw)]
    pub fn unassign(task: &mut Task, user: Dynamic) -> Fallible<()> {
        let user = User::given(&user, &task.session)?;
        task.edit(|task| {
            task.assignments.remove(&user);
        })
    }

    /// The names of its labels.
    /// → [text]
    #[rhai_fn(get = "labels", pure, volatile, return_raw)]
    pub fn labels(task: &mut Task) -> Fallible<Dynamic> {
        let (plan, labels) = (task.get(TaskField::PLAN)?, task.get(TaskField::CATEGORIES)?);
        let mut names = Vec::new();
        for category in labels {
            let name = task.session.label_name(&plan, category).or_raise(&task.session)?;
            names.push(ImmutableString::from(name));
        }
        Ok(frozen_list(names))
    }

    /// Puts a label of its plan on the task: the label's name or number (1 to 25).
    #[rhai_fn(volatile, pure, return_raw)]
    pub fn add_label(task: &mut Task, label: Dynamic) -> Fallible<()> {
        let label = task.parse_label(&label)?;
        task.edit(|task| {
            task.categories.insert(label);
        })
    }

    /// Takes a label off the task: the label's name or number (1 to 25).
    #[rhai_fn(volatile, pure, return_raw)]
    pub fn remove_label(task: &mut Task, label: Dynamic) -> Fallible<()> {
        let label = task.parse_label(&label)?;
        task.edit(|task| {
            task.categories.remove(&label);
        })
    }

    /// Its checklist, top down.
    /// → [ChecklistItem]
    #[rhai_fn(get = "checklist", pure, volatile, return_raw)]
    pub fn checklist(task: &mut Task) -> Fallible<Dynamic> {
        let session = &task.session;
        let handle = |key| ChecklistItem { session: session.clone(), task: task.id.clone(), key };
        Ok(frozen_list(task.get(TaskField::CHECKLIST_ORDER)?.into_iter().map(handle)))
    }

    /// Adds a line to its checklist.
    #[rhai_fn(volatile, pure, return_raw)]
    pub fn add_checklist_item(task: &mut Task, title: &str) -> Fallible<ChecklistItem> {
        let session = task.session.clone();
        let key = session.new_item_key();
        let change = |details: &mut crate::model::TaskDetails| {
            details.add_item(key.clone(), title.to_owned());
        };
        session.editor().or_raise(&session)?.edit_details(&task.id, change).or_raise(&session)?;
        Ok(ChecklistItem { session, task: task.id.clone(), key })
    }

    /// Its references: maps with `url`, `alias` and `type`.
    /// → [map]
    #[rhai_fn(get = "references", pure, volatile, return_raw)]
    pub fn references(task: &mut Task) -> Fallible<Dynamic> {
        let text = |value: Option<String>| value.map_or(Dynamic::UNIT, Dynamic::from);
        let map = |(key, reference): (String, crate::model::Reference)| {
            let mut map = Map::new();
            map.insert("url".into(), link::decode(&key).into());
            map.insert("alias".into(), text(reference.alias));
            map.insert("type".into(), text(reference.kind));
            Dynamic::from(map)
        };
        Ok(frozen(task.get(TaskField::REFERENCES)?.into_iter().map(map).collect::<Array>()))
    }

    /// Attaches a link, shown as its alias; one that is already there gets the new alias.
    #[rhai_fn(volatile, pure, return_raw)]
    pub fn add_reference(task: &mut Task, url: &str, alias: &str) -> Fallible<()> {
        let session = &task.session;
        let key = new_reference_key(session, url, Some(alias))?;
        let change = |details: &mut crate::model::TaskDetails| {
            let empty = crate::model::Reference { alias: None, kind: None };
            details.references.entry(key).or_insert(empty).alias = Some(alias.to_owned());
        };
        session.editor().or_raise(session)?.edit_details(&task.id, change).or_raise(session)
    }

    /// Takes a link off the task.
    #[rhai_fn(volatile, pure, return_raw)]
    pub fn remove_reference(task: &mut Task, url: &str) -> Fallible<()> {
        let session = &task.session;
        let key = reference_key(session, url)?;
        let change = |details: &mut crate::model::TaskDetails| {
            // The service's own key may differ from ours in the case of its digits.
            let decoded = link::decode(&key);
            let written = link::without_blanks(&decoded);
            details.references.retain(|other, _| {
                let other = link::decode(other);
                other != decoded && other != written
            });
        };
        session.editor().or_raise(session)?.edit_details(&task.id, change).or_raise(session)
    }

    /// The detail that its card shows: `automatic`, `noPreview`, `checklist`, `description` or
    /// `reference`.
    /// → text
    #[rhai_fn(get = "preview_type", pure, volatile, return_raw)]
    pub fn preview_type(task: &mut Task) -> Fallible<Dynamic> {
        Ok(frozen(task.get(TaskField::PREVIEW_TYPE)?))
    }

    /// Sets which detail its card shows.
    #[rhai_fn(set = "preview_type", pure, volatile, return_raw)]
    pub fn set_preview_type(task: &mut Task, kind: &str) -> Fallible<()> {
        const KINDS: [&str; 5] =
            ["automatic", "noPreview", "checklist", "description", "reference"];
        let session = &task.session;
        if !KINDS.contains(&kind) {
            let kinds = KINDS.join(", ");
            return invalid(
                session,
                format!("`{kind}` is not a preview type; it is one of {kinds}"),
            );
        }
        let change =
            |details: &mut crate::model::TaskDetails| kind.clone_into(&mut details.preview_type);
        session.setter().edit_details(&task.id, change).or_raise(session)
    }

    /// The id of the thread in the group's mailbox that holds its comments, `()` if there is none.
    /// → text?
    #[rhai_fn(get = "conversation_thread_id", pure, volatile, return_raw)]
    pub fn conversation_thread_id(task: &mut Task) -> Fallible<Dynamic> {
        let thread = task.get(TaskField::THREAD)?;
        Ok(thread.map_or(Dynamic::UNIT, frozen))
    }

    /// Names the thread that holds its comments; `()` for none.
    #[rhai_fn(set = "conversation_thread_id", pure, volatile, return_raw)]
    pub fn set_conversation_thread_id(task: &mut Task, thread: Dynamic) -> Fallible<()> {
        let given = || parse_text(&thread, &task.session, "a thread id");
        let thread = if thread.is_unit() { None } else { Some(given()?) };
        task.edit(|task| task.conversation_thread = thread)
    }

    /// The time it was created; an error for a new one.
    /// → Date?
    #[rhai_fn(get = "created_at", pure, volatile, return_raw)]
    pub fn created_at(task: &mut Task) -> Fallible<Dynamic> {
        let moment = task.computed(TaskField::CREATED_AT)?;
        Ok(task.date_or_unit(moment))
    }

    /// The person who created it, `()` for an application; an error for a new one.
    /// → User?
    #[rhai_fn(get = "created_by", pure, volatile, return_raw)]
    pub fn created_by(task: &mut Task) -> Fallible<Dynamic> {
        let user = task.computed(TaskField::CREATED_BY)?;
        Ok(User::or_unit(&task.session, user))
    }

    /// The time it was completed, `()` if it was not.
    /// → Date?
    #[rhai_fn(get = "completed_at", pure, volatile, return_raw)]
    pub fn completed_at(task: &mut Task) -> Fallible<Dynamic> {
        let moment = task.computed(TaskField::COMPLETED_AT)?;
        Ok(task.date_or_unit(moment))
    }

    /// The person who completed it, `()` if nobody did.
    /// → User?
    #[rhai_fn(get = "completed_by", pure, volatile, return_raw)]
    pub fn completed_by(task: &mut Task) -> Fallible<Dynamic> {
        let user = task.computed(TaskField::COMPLETED_BY)?;
        Ok(User::or_unit(&task.session, user))
    }

    /// True if it is completed.
    #[rhai_fn(get = "is_completed", pure, volatile, return_raw)]
    pub fn is_completed(task: &mut Task) -> Fallible<bool> {
        Ok(task.get(TaskField::PERCENT)? == 100)
    }

    /// True if it has a description.
    #[rhai_fn(get = "has_description", pure, volatile, return_raw)]
    pub fn has_description(task: &mut Task) -> Fallible<bool> {
        Ok(!task.get(TaskField::DESCRIPTION)?.is_empty())
    }

    /// Its address in Planner's own client.
    /// → text
    #[rhai_fn(get = "url", pure, volatile, return_raw)]
    pub fn url(task: &mut Task) -> Fallible<Dynamic> {
        let plan = task.get(TaskField::PLAN)?;
        Ok(frozen(link::of_task(&plan, &task.session.real(&task.id))))
    }

    /// Returns whether it is open and its due day is past.
    #[rhai_fn(volatile, pure, return_raw)]
    pub fn is_overdue(task: &mut Task) -> Fallible<bool> {
        Ok(task.days_overdue()?.is_some())
    }

    /// Returns whether it is open and its due day is past by at least so many days.
    #[rhai_fn(name = "is_overdue", volatile, pure, return_raw)]
    pub fn is_overdue_by(task: &mut Task, days: i64) -> Fallible<bool> {
        Ok(task.days_overdue()?.is_some_and(|overdue| overdue >= days))
    }

    /// Marks the task completed.
    #[rhai_fn(volatile, pure, return_raw)]
    pub fn complete(task: &mut Task) -> Fallible<()> {
        task.edit(|task| task.percent_complete = 100)
    }

    /// Opens a completed task again, as not started: what Planner makes of it when its tick is taken away.
    #[rhai_fn(volatile, pure, return_raw)]
    pub fn reopen(task: &mut Task) -> Fallible<()> {
        task.edit(|task| {
            if task.percent_complete == 100 {
                task.percent_complete = Progress::NotStarted.percent();
            }
        })
    }

    /// Records the deletion of the task.
    #[rhai_fn(name = "delete", volatile, pure, return_raw)]
    pub fn delete_task(task: &mut Task) -> Fallible<()> {
        task.session.editor().or_raise(&task.session)?.delete_task(&task.id).or_raise(&task.session)
    }

    /// Returns whether they are the same task.
    #[rhai_fn(name = "==")]
    pub fn eq(a: Task, b: Task) -> bool {
        a.session.real(&a.id) == b.session.real(&b.id)
    }

    /// Returns whether they are different tasks.
    #[rhai_fn(name = "!=")]
    pub fn ne(a: Task, b: Task) -> bool {
        a.session.real(&a.id) != b.session.real(&b.id)
    }

    /// Its title, for texts.
    #[rhai_fn(name = "to_string", name = "to_debug", pure, volatile, return_raw)]
    pub fn task_to_string(task: &mut Task) -> Fallible<String> {
        task.get(TaskField::TITLE)
    }
}

/// Returns the moment to write for a day: the old one if it falls on that day already, so that
/// setting a date to what it is changes nothing.
fn same_day_or(
    old: Option<jiff::Timestamp>,
    day: Option<&Date>,
    session: &Session,
) -> Fallible<Option<jiff::Timestamp>> {
    let Some(day) = day else { return Ok(None) };
    match old.filter(|date| Date::of_date(*date, session).day == day.day) {
        Some(kept) => Ok(Some(kept)),
        None => day.to_write().map(Some),
    }
}
