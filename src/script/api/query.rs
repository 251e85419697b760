//! `where` on lists of tasks, and `update` on everything that can be set: both take a map.

use rhai::plugin::{
    Dynamic, Module, NativeCallContext, combine_with_exported_module, export_module,
};
use rhai::{Array, Map};

use crate::change::TaskField;
use crate::host::similar::nearest;
use crate::model::Progress;
use crate::model::snapshot::folded;
use crate::script::api::arguments::{
    each, parse_bucket, parse_label, parse_priority, parse_progress, parse_reference, parse_text,
};
use crate::script::api::checklist::functions as of_item;
use crate::script::api::compare::refuse;
use crate::script::api::date::Date;
use crate::script::api::handles::{Bucket, ChecklistItem, Plan, Task, User};
use crate::script::api::task::functions as of_task;
use crate::script::api::value::{Fallible, OrRaise as _, invalid, kind_of};

pub(crate) fn add_reads(module: &mut Module) {
    combine_with_exported_module!(module, "where", reads);
}

pub(crate) fn add_effects(module: &mut Module) {
    combine_with_exported_module!(module, "update", effects);
}

/// The conditions of `where`.
const CONDITIONS: [&str; 12] = [
    "assigned_to",
    "bucket",
    "due",
    "is_completed",
    "label",
    "overdue",
    "plan",
    "priority",
    "progress",
    "start",
    "text",
    "title",
];

/// Returns whether a task meets a condition.
fn meets(task: &Task, name: &str, wanted: &Dynamic) -> Fallible<bool> {
    let session = &task.session;
    let flag = || {
        let kind = kind_of(wanted);
        wanted
            .as_bool()
            .or_else(|_| invalid(session, format!("`{name}` is true or false, not {kind}")))
    };
    Ok(match name {
        "is_completed" => (task.get(TaskField::PERCENT)? >= 100) == flag()?,
        "overdue" => match wanted.as_int() {
            Ok(days) => task.days_overdue()?.is_some_and(|overdue| overdue >= days),
            Err(_) => task.days_overdue()?.is_some() == flag()?,
        },
        "bucket" => {
            let bucket = task.get(TaskField::BUCKET)?;
            if wanted.is_unit() {
                return Ok(bucket.is_none());
            }
            if wanted.read_lock::<Bucket>().is_some() {
                let plan = task.get(TaskField::PLAN)?;
                return Ok(bucket == Some(parse_bucket(wanted, session, &plan)?));
            }
            // By its name, since the tasks may be of several plans.
            let name = parse_text(wanted, session, "a bucket")?;
            match bucket {
                Some(id) => {
                    id.as_str() == name
                        || folded(&session.bucket(&id).or_raise(session)?.name) == folded(&name)
                }
                None => false,
            }
        }
        "assigned_to" => {
            let people = task.get(TaskField::ASSIGNEES)?;
            if wanted.is_unit() {
                people.is_empty()
            } else {
                people.contains(&User::given(wanted, session)?)
            }
        }
        "label" => {
            let plan = task.get(TaskField::PLAN)?;
            let label = match wanted.as_immutable_string_ref() {
                // The tasks may be of several plans, not all of which have it.
                Ok(name) => match session.find_label(&plan, &name) {
                    Err(error) if error.is_not_found() => return Ok(false),
                    found => found.or_raise(session)?,
                },
                Err(_) => parse_label(wanted, session, &plan)?,
            };
            task.get(TaskField::CATEGORIES)?.contains(&label)
        }
        "text" => {
            let wanted = parse_text(wanted, session, "the text")?.to_lowercase();
            task.get(TaskField::TITLE)?.to_lowercase().contains(&wanted)
        }
        "title" => task.get(TaskField::TITLE)? == parse_text(wanted, session, "a title")?,
        "progress" => {
            let name = parse_text(wanted, session, "progress")?;
            let progress: Progress = parse_progress(&name, session)?;
            task.get(TaskField::PROGRESS)? == progress
        }
        "priority" => {
            let (own, given) = (task.get(TaskField::PRIORITY)?, parse_priority(wanted, session)?);
            // A name stands for several numbers.
            if wanted.is_int() { own == given } else { own.name() == given.name() }
        }
        "plan" => {
            let plan = task.get(TaskField::PLAN)?;
            match wanted.read_lock::<Plan>() {
                Some(other) => *session.real(&other.id) == plan,
                None => {
                    let name = parse_text(wanted, session, "a plan")?;
                    plan.as_str() == name
                        || folded(&session.plan(&plan).or_raise(session)?.title) == folded(&name)
                }
            }
        }
        _ => {
            let key = if name == "due" { TaskField::DUE } else { TaskField::START };
            let day = task.get(key)?.map(|moment| Date::of_date(moment, session).day);
            day == Date::given(wanted, session, name)?.map(|date| date.day)
        }
    })
}

/// Fails for a name that is not among those known.
fn check_known(ctx: &NativeCallContext, map: &Map, known: &[&str], what: &str) -> Fallible<()> {
    let Some(name) = map.keys().find(|name| !known.contains(&name.as_str())) else { return Ok(()) };
    let near = nearest(name, known.iter().copied()).into_iter().next();
    let all = known.join(", ");
    refuse(
        ctx,
        &match near {
            Some(near) => {
                format!("{what} knows no `{name}`; did you mean `{near}`? It knows {all}")
            }
            None => format!("{what} knows no `{name}`; it knows {all}"),
        },
    )
}

#[export_module]
mod reads {
    /// Returns the tasks that meet all conditions: `tasks.where(#{ bucket: "Inbox", is_completed:
    /// false, assigned_to: me(), overdue: true, label: "IT", text: "ink" })`; also `progress`,
    /// `priority`, `due`, `start`, `title` and `plan`.
    /// → [Task]
    #[rhai_fn(name = "where", pure, volatile, return_raw)]
    pub fn where_all(
        ctx: NativeCallContext,
        array: &mut Array,
        conditions: Map,
    ) -> Fallible<Array> {
        check_known(&ctx, &conditions, &CONDITIONS, "where")?;
        let mut kept = Array::new();
        'tasks: for item in array.iter() {
            let Some(task) = item.read_lock::<Task>() else {
                return refuse(
                    &ctx,
                    &format!("where is for lists of tasks, not of {}", kind_of(item)),
                );
            };
            for (name, wanted) in &conditions {
                if !meets(&task, name, wanted)? {
                    continue 'tasks;
                }
            }
            kept.push(item.clone());
        }
        Ok(kept)
    }
}

#[export_module]
mod effects {
    /// Sets several fields at once, with the names of `create_task`: `update(#{ due: "2026-12-24",
    /// priority: "low" })`. `assign`, `labels`, `checklist` and `references` add to what is there.
    #[rhai_fn(name = "update", pure, volatile, return_raw)]
    pub fn update_task(ctx: NativeCallContext, task: &mut Task, fields: Map) -> Fallible<()> {
        const KNOWN: [&str; 12] = [
            "assign",
            "bucket",
            "checklist",
            "description",
            "due",
            "labels",
            "percent_complete",
            "priority",
            "progress",
            "references",
            "start",
            "title",
        ];
        check_known(&ctx, &fields, &KNOWN, "update")?;
        for (name, value) in fields {
            let session = task.session.clone();
            match name.as_str() {
                "title" => of_task::set_title(task, &parse_text(&value, &session, "a title")?)?,
                "description" => {
                    let text = parse_text(&value, &session, "a description")?;
                    of_task::set_description(task, &text)?;
                }
                "progress" => {
                    of_task::set_progress(task, &parse_text(&value, &session, "progress")?)?;
                }
                "percent_complete" => match value.as_int() {
                    Ok(percent) => of_task::set_percent_complete(task, percent)?,
                    Err(_) => return invalid(&session, "percent_complete is 0 to 100".to_owned()),
                },
                "priority" => of_task::set_priority(task, value)?,
                "due" => of_task::set_due(task, value)?,
                "start" => of_task::set_start(task, value)?,
                "bucket" => of_task::move_to(task, value)?,
                "assign" => {
                    each(value).into_iter().try_for_each(|user| of_task::assign(task, user))?;
                }
                "labels" => {
                    each(value)
                        .into_iter()
                        .try_for_each(|label| of_task::add_label(task, label))?;
                }
                "checklist" => {
                    for item in each(value) {
                        let title = parse_text(&item, &session, "a checklist item")?;
                        of_task::add_checklist_item(task, &title)?;
                    }
                }
                _ => {
                    for item in each(value) {
                        let (key, reference) = parse_reference(&item, &session)?;
                        let url = crate::model::link::decode(&key);
                        let alias = reference.alias.unwrap_or_else(|| url.clone());
                        of_task::add_reference(task, &url, &alias)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Sets several fields at once: `update(#{ title: "…" })`.
    #[rhai_fn(name = "update", pure, volatile, return_raw)]
    pub fn update_plan(ctx: NativeCallContext, plan: &mut Plan, fields: Map) -> Fallible<()> {
        check_known(&ctx, &fields, &["title"], "update")?;
        let session = plan.session.clone();
        for value in fields.values() {
            let title = parse_text(value, &session, "a title")?;
            let editor = session.editor().or_raise(&session)?;
            editor.edit_plan(&plan.id, |plan| plan.title = title).or_raise(&session)?;
        }
        Ok(())
    }

    /// Sets several fields at once: `update(#{ name: "…" })`.
    #[rhai_fn(name = "update", pure, volatile, return_raw)]
    pub fn update_bucket(ctx: NativeCallContext, bucket: &mut Bucket, fields: Map) -> Fallible<()> {
        check_known(&ctx, &fields, &["name"], "update")?;
        let session = bucket.session.clone();
        for value in fields.values() {
            let name = parse_text(value, &session, "a name")?;
            let editor = session.editor().or_raise(&session)?;
            editor.edit_bucket(&bucket.id, |bucket| bucket.name = name).or_raise(&session)?;
        }
        Ok(())
    }

    /// Sets several fields at once: `update(#{ title: "…", checked: true })`.
    #[rhai_fn(name = "update", pure, volatile, return_raw)]
    pub fn update_item(
        ctx: NativeCallContext,
        item: &mut ChecklistItem,
        fields: Map,
    ) -> Fallible<()> {
        check_known(&ctx, &fields, &["checked", "title"], "update")?;
        for (name, value) in fields {
            if name == "title" {
                let title = parse_text(&value, &item.session, "a title")?;
                of_item::set_title(item, &title)?;
            } else {
                match value.as_bool() {
                    Ok(checked) => of_item::set_checked(item, checked)?,
                    Err(_) => {
                        let message = "`checked` is true or false".to_owned();
                        return invalid(&item.session, message);
                    }
                }
            }
        }
        Ok(())
    }
}
