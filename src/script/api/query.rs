//! `where` on lists of tasks, and `update` on everything that can be set: both take a map.

use std::collections::{BTreeSet, HashMap};

use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};
use rhai::plugin::{
    Dynamic, Module, NativeCallContext, combine_with_exported_module, export_module,
};
use rhai::{Array, Map};

use crate::change::TaskField;
use crate::host::Session;
use crate::host::similar::nearest;
use crate::model::snapshot::folded;
use crate::model::time::day_of_date;
use crate::model::{BucketId, Category, PlanId, Priority, Progress, UserId};
use crate::script::api::arguments::{
    each, parse_label_number, parse_priority, parse_progress, parse_reference, parse_text,
};
use crate::script::api::checklist::functions as of_item;
use crate::script::api::compare::refuse;
use crate::script::api::date::Date;
use crate::script::api::handles::{Bucket, ChecklistItem, Plan, Task, User};
use crate::script::api::task::functions as of_task;
use crate::script::api::value::{Fallible, OrRaise as _, invalid, kind_of, raise};

pub(crate) fn add_reads(module: &mut Module) {
    combine_with_exported_module!(module, "where", reads);
}

pub(crate) fn add_effects(module: &mut Module) {
    combine_with_exported_module!(module, "update", effects);
}

/// The conditions of `where`.
pub(crate) const CONDITIONS: [&str; 12] = [
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

/// The fields that `update` sets of a task.
pub(crate) const OF_TASK: [&str; 12] = [
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
/// The same of a plan.
pub(crate) const OF_PLAN: [&str; 1] = ["title"];
/// The same of a bucket.
pub(crate) const OF_BUCKET: [&str; 1] = ["name"];
/// The same of a checklist item.
pub(crate) const OF_ITEM: [&str; 2] = ["checked", "title"];

/// A condition, read once for all tasks.
enum Condition {
    AssignedTo(UserId),
    Bucket(BucketId),
    BucketNamed(String),
    Completed(bool),
    Due(Option<civil::Date>),
    Label(Category),
    LabelNamed(String),
    NoBucket,
    Overdue(bool),
    OverdueBy(i64),
    Plan(PlanId),
    PlanNamed(String),
    Priority(Priority),
    PriorityNamed(&'static str),
    Progress(Progress),
    Start(Option<civil::Date>),
    Text(String),
    Title(String),
    Unassigned,
}

impl Condition {
    fn new(session: &Session, name: &str, wanted: &Dynamic) -> Fallible<Self> {
        let text = |what: &str| parse_text(wanted, session, what);
        let flag = || {
            let kind = kind_of(wanted);
            let message = format!("`{name}` is true or false, not {kind}");
            wanted.as_bool().or_else(|_| invalid(session, message))
        };
        Ok(match name {
            "is_completed" => Self::Completed(flag()?),
            "overdue" => match wanted.as_int() {
                Ok(days) => Self::OverdueBy(days),
                Err(_) => Self::Overdue(flag()?),
            },
            "bucket" if wanted.is_unit() => Self::NoBucket,
            "bucket" => match wanted.read_lock::<Bucket>() {
                Some(bucket) => Self::Bucket(session.real(&bucket.id).into_owned()),
                // By its name, since the tasks may be of several plans.
                None => Self::BucketNamed(text("a bucket")?),
            },
            "assigned_to" if wanted.is_unit() => Self::Unassigned,
            "assigned_to" => Self::AssignedTo(User::given(wanted, session)?),
            "label" => match wanted.as_int() {
                Ok(n) => Self::Label(parse_label_number(n, session)?),
                Err(_) => Self::LabelNamed(text("a label")?),
            },
            "text" => Self::Text(text("the text")?.to_lowercase()),
            "title" => Self::Title(text("a title")?),
            "progress" => Self::Progress(parse_progress(&text("progress")?, session)?),
            "priority" => {
                let priority = parse_priority(wanted, session)?;
                // A name stands for several numbers.
                if wanted.is_int() {
                    Self::Priority(priority)
                } else {
                    Self::PriorityNamed(priority.name())
                }
            }
            "plan" => match wanted.read_lock::<Plan>() {
                Some(plan) => Self::Plan(session.real(&plan.id).into_owned()),
                None => Self::PlanNamed(text("a plan")?),
            },
            _ => {
                let day = Date::given(wanted, session, name)?.map(|date| date.day);
                if name == "due" { Self::Due(day) } else { Self::Start(day) }
            }
        })
    }
}

/// The conditions of one `where`, and what is known of the names in them.
struct Conditions<'a> {
    session: &'a Session,
    zone: TimeZone,
    today: civil::Date,
    /// Each condition, and whether a task was found that meets it.
    all: Vec<(Condition, bool)>,
    /// The buckets and plans seen, each with whether it goes by the wanted name.
    buckets: HashMap<BucketId, bool>,
    plans: HashMap<PlanId, bool>,
    /// The label of the wanted name in each plan.
    labels: HashMap<PlanId, Option<Category>>,
}

impl<'a> Conditions<'a> {
    fn new(session: &'a Session, given: &Map) -> Fallible<Self> {
        let all = given
            .iter()
            .map(|(name, wanted)| Ok((Condition::new(session, name, wanted)?, false)))
            .collect::<Fallible<Vec<_>>>()?;
        Ok(Self {
            session,
            zone: session.zone(),
            today: session.today(),
            all,
            buckets: HashMap::new(),
            plans: HashMap::new(),
            labels: HashMap::new(),
        })
    }

    /// Returns whether a task meets all of them.
    fn hold(&mut self, task: &Task) -> Fallible<bool> {
        let mut all = std::mem::take(&mut self.all);
        let mut holds = Ok(true);
        for (condition, is_met) in &mut all {
            holds = self.holds(task, condition);
            match holds {
                Ok(true) => *is_met = true,
                _ => break,
            }
        }
        self.all = all;
        holds
    }

    fn holds(&mut self, task: &Task, condition: &Condition) -> Fallible<bool> {
        Ok(match condition {
            Condition::AssignedTo(user) => task.get(TaskField::ASSIGNEES)?.contains(user),
            Condition::Unassigned => task.get(TaskField::ASSIGNEES)?.is_empty(),
            Condition::Bucket(wanted) => task.get(TaskField::BUCKET)?.as_ref() == Some(wanted),
            Condition::NoBucket => task.get(TaskField::BUCKET)?.is_none(),
            Condition::BucketNamed(name) => match task.get(TaskField::BUCKET)? {
                Some(bucket) => self.goes_by(bucket, name)?,
                None => false,
            },
            Condition::Completed(wanted) => (task.get(TaskField::PERCENT)? >= 100) == *wanted,
            Condition::Due(day) => self.day(task.get(TaskField::DUE)?) == *day,
            Condition::Start(day) => self.day(task.get(TaskField::START)?) == *day,
            Condition::Label(label) => task.get(TaskField::CATEGORIES)?.contains(label),
            Condition::LabelNamed(name) => match self.label(task.get(TaskField::PLAN)?, name)? {
                Some(label) => task.get(TaskField::CATEGORIES)?.contains(&label),
                None => false,
            },
            Condition::Overdue(wanted) => self.days_overdue(task)?.is_some() == *wanted,
            Condition::OverdueBy(days) => {
                self.days_overdue(task)?.is_some_and(|overdue| overdue >= *days)
            }
            Condition::Plan(plan) => task.get(TaskField::PLAN)? == *plan,
            Condition::PlanNamed(name) => self.is_plan(task.get(TaskField::PLAN)?, name)?,
            Condition::Priority(priority) => task.get(TaskField::PRIORITY)? == *priority,
            Condition::PriorityNamed(name) => task.get(TaskField::PRIORITY)?.name() == *name,
            Condition::Progress(progress) => task.get(TaskField::PROGRESS)? == *progress,
            Condition::Text(text) => task.get(TaskField::TITLE)?.to_lowercase().contains(text),
            Condition::Title(title) => task.get(TaskField::TITLE)? == *title,
        })
    }

    fn day(&self, moment: Option<Timestamp>) -> Option<civil::Date> {
        moment.map(|moment| day_of_date(moment, &self.zone))
    }

    fn days_overdue(&self, task: &Task) -> Fallible<Option<i64>> {
        let (percent, due) = (task.get(TaskField::PERCENT)?, task.get(TaskField::DUE)?);
        let span = self.day(due.filter(|_| percent < 100)).map(|due| due.until(self.today));
        let days = span.and_then(Result::ok).map(|span| i64::from(span.get_days()));
        Ok(days.filter(|days| *days > 0))
    }

    fn goes_by(&mut self, bucket: BucketId, name: &str) -> Fallible<bool> {
        if let Some(known) = self.buckets.get(&bucket) {
            return Ok(*known);
        }
        let found = self.session.bucket(&bucket).or_raise(self.session)?.name;
        let goes_by = bucket.as_str() == name || folded(&found) == folded(name);
        self.buckets.insert(bucket, goes_by);
        Ok(goes_by)
    }

    fn is_plan(&mut self, plan: PlanId, name: &str) -> Fallible<bool> {
        if let Some(known) = self.plans.get(&plan) {
            return Ok(*known);
        }
        let found = self.session.plan(&plan).or_raise(self.session)?.title;
        let goes_by = plan.as_str() == name || folded(&found) == folded(name);
        self.plans.insert(plan, goes_by);
        Ok(goes_by)
    }

    /// Returns the label of a name in a plan: the tasks may be of several plans, not all of which
    /// have it.
    fn label(&mut self, plan: PlanId, name: &str) -> Fallible<Option<Category>> {
        if let Some(known) = self.labels.get(&plan) {
            return Ok(*known);
        }
        let found = match self.session.find_label(&plan, name) {
            Err(error) if error.is_not_found() => None,
            found => Some(found.or_raise(self.session)?),
        };
        self.labels.insert(plan, found);
        Ok(found)
    }

    /// Fails if a name that no task met is the name of nothing: "no tasks" would be as good as an
    /// answer.
    fn check_names(&self, array: &[Dynamic]) -> Fallible<()> {
        let unmet = self.all.iter().filter(|(_, is_met)| !is_met).map(|(condition, _)| condition);
        let mut plans: Option<BTreeSet<PlanId>> = None;
        for condition in unmet {
            let session = self.session;
            let find = |plan: &PlanId| match condition {
                Condition::BucketNamed(name) => session.find_bucket(plan, name).map(drop),
                Condition::LabelNamed(name) => session.find_label(plan, name).map(drop),
                Condition::PlanNamed(name) => session.find_plan(name).map(drop),
                _ => Ok(()),
            };
            let is_name = matches!(
                condition,
                Condition::BucketNamed(_) | Condition::LabelNamed(_) | Condition::PlanNamed(_)
            );
            if !is_name {
                continue;
            }
            let plans = match &plans {
                Some(plans) => plans,
                None => plans.insert(plans_of(session, array)?),
            };
            let mut missing = None;
            for plan in plans {
                match find(plan) {
                    Err(error) if error.is_not_found() => missing = missing.or(Some(error)),
                    // One of several of that name will do.
                    _ => {
                        missing = None;
                        break;
                    }
                }
            }
            if let Some(error) = missing {
                return Err(raise(session, &error));
            }
        }
        Ok(())
    }
}

/// Returns the plans that tasks belong to.
fn plans_of(session: &Session, array: &[Dynamic]) -> Fallible<BTreeSet<PlanId>> {
    let tasks = array.iter().filter_map(|item| item.read_lock::<Task>().map(|task| task.clone()));
    tasks
        .map(|task| {
            // A task does not change its plan, so nothing rests on it.
            let id = session.real(&task.id);
            session.with_task(&id, |task| task.plan.clone()).or_raise(session)
        })
        .collect()
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
        let Some(first) = array.first() else { return Ok(Array::new()) };
        let Some(session) = first.read_lock::<Task>().map(|task| task.session.clone()) else {
            let kind = kind_of(first);
            return refuse(&ctx, &format!("where is for lists of tasks, not of {kind}"));
        };
        let mut conditions = Conditions::new(&session, &conditions)?;
        let mut kept = Array::new();
        for item in array.iter() {
            let Some(task) = item.read_lock::<Task>() else {
                let kind = kind_of(item);
                return refuse(&ctx, &format!("where is for lists of tasks, not of {kind}"));
            };
            if conditions.hold(&task)? {
                kept.push(item.clone());
            }
        }
        if kept.is_empty() {
            conditions.check_names(array)?;
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
        check_known(&ctx, &fields, &OF_TASK, "update")?;
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
        check_known(&ctx, &fields, &OF_PLAN, "update")?;
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
        check_known(&ctx, &fields, &OF_BUCKET, "update")?;
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
        check_known(&ctx, &fields, &OF_ITEM, "update")?;
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
