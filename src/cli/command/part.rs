//! `planwright task assign|move|repeat|label|checklist|reference` and `plan
//! label|share|add-member`: commands on the parts of a task and of a plan, which have their own
//! words on the command line.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::app::error::AppError;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::options::WriteArgs;
use crate::cli::resolve::resolve_plan;
use crate::cli::resolve::{parse_date, parse_neighbour, resolve_item, resolve_task};
use crate::host::{Column, Error, Failure, Session};
use crate::model::recurrence::Given;
use crate::model::time::moment_of_day;
use crate::model::{Reference, TaskId, link};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  planwright task assign \"Order toner\" me\n  planwright task assign \"Order toner\" ana@bos.example --remove"
)]
pub(crate) struct AssignArgs {
    /// Task title or id
    task: String,
    /// People: name, address, id or `me`
    #[arg(required = true)]
    users: Vec<String>,
    /// Remove them from the task instead
    #[arg(long)]
    remove: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  planwright task move \"Order toner\" Done\n  planwright task move \"Order toner\" --before \"Renew the domain\""
)]
pub(crate) struct MoveArgs {
    /// Task title or id
    task: String,
    /// Bucket name or id
    #[arg(required_unless_present_any = ["before", "after", "to_plan"])]
    bucket: Option<String>,
    /// Put it right before this task, in its bucket
    #[arg(long, value_name = "TASK", conflicts_with_all = ["bucket", "after"])]
    before: Option<String>,
    /// Put it right after this task, in its bucket
    #[arg(long, value_name = "TASK", conflicts_with = "bucket")]
    after: Option<String>,
    /// Move it to this plan, into the bucket if one is named (beta)
    #[arg(long, value_name = "PLAN", conflicts_with_all = ["before", "after"])]
    to_plan: Option<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  planwright --beta task repeat \"Order toner\" monthly\n  planwright --beta task repeat \"Order toner\" weekly --on monday --on friday\n  planwright --beta task repeat \"Order toner\" --stop"
)]
pub(crate) struct RepeatArgs {
    /// Task title or id
    task: String,
    /// Frequency: daily, weekly, monthly or yearly
    #[arg(required_unless_present = "stop")]
    how: Option<String>,
    /// Repeat every N days, weeks, months or years
    #[arg(long, value_name = "N")]
    interval: Option<u32>,
    /// Day of the week; may be repeated
    #[arg(long, value_name = "DAY")]
    on: Vec<String>,
    /// Occurrence of the day in the month: first, second, third, fourth or last
    #[arg(long, value_name = "WHICH")]
    index: Option<String>,
    /// Day of the month
    #[arg(long, value_name = "N")]
    day: Option<u32>,
    /// First day; if absent, the start or due date of the task, or today
    #[arg(long, value_name = "DAY")]
    from: Option<String>,
    /// Stop the recurrence
    #[arg(long, conflicts_with_all = ["how", "interval", "on", "index", "day", "from"])]
    stop: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub(crate) struct LabelArgs {
    /// Task title or id
    task: String,
    /// Labels of the plan
    #[arg(required = true)]
    labels: Vec<String>,
    /// Remove them from the task instead
    #[arg(long)]
    remove: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  planwright task checklist \"Order toner\" add \"Ask for a quote\"\n  planwright task checklist \"Order toner\" check \"Ask for a quote\""
)]
pub(crate) struct ChecklistArgs {
    /// Task title or id
    task: String,
    #[command(subcommand)]
    action: ChecklistAction,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum ChecklistAction {
    /// Add an item
    Add {
        /// Text of the item
        title: String,
    },
    /// Tick an item
    Check {
        /// Title or id of the item
        item: String,
    },
    /// Untick an item
    Uncheck {
        /// Title or id of the item
        item: String,
    },
    /// Remove an item
    Remove {
        /// Title or id of the item
        item: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ReferenceArgs {
    /// Task title or id
    task: String,
    #[command(subcommand)]
    action: ReferenceAction,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum ReferenceAction {
    /// Attach a link
    Add {
        /// Address of the link, http:// or https://
        url: String,
        /// Text to show for the link
        #[arg(long)]
        alias: Option<String>,
    },
    /// Remove a link
    Remove {
        /// Address of the link
        url: String,
    },
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Common {
    /// Plan to look for the task in: title or id
    #[arg(long, global = true)]
    plan: Option<String>,
    #[command(flatten)]
    write: WriteArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  planwright plan label \"BOS Operations\" 7 Legal")]
pub(crate) struct PlanLabelArgs {
    /// Plan title or id
    plan: String,
    /// Label: its number, 1 to 25, or current name
    label: String,
    /// New name; an empty one removes the name
    name: String,
    #[command(flatten)]
    write: WriteArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ShareArgs {
    /// Plan title or id
    plan: String,
    /// Person: name, address or id
    user: String,
    /// Stop sharing instead
    #[arg(long)]
    remove: bool,
    #[command(flatten)]
    write: WriteArgs,
}

#[derive(Debug, Args)]
pub(crate) struct MemberArgs {
    /// Plan title or id
    plan: String,
    /// Person: name, address or id
    user: String,
    #[command(flatten)]
    write: WriteArgs,
}

impl Common {
    /// Resolves a task and runs an edit of it.
    fn edit(
        &self,
        context: &Context<'_>,
        command: &str,
        task: &str,
        body: impl FnOnce(&Session, &TaskId) -> Result<(), Failure> + Clone + Send + Sync + 'static,
    ) -> Result<Exit, AppError> {
        let (task, plan) = (task.to_owned(), self.plan.clone());
        context.edit(&self.write, command, move |session| {
            let id = resolve_task(session, plan.as_deref(), &task)?;
            body(session, &id)?;
            Ok(Value::Null)
        })
    }
}

pub(crate) fn assign(context: &Context<'_>, args: &AssignArgs) -> Result<Exit, AppError> {
    let (users, remove) = (args.users.clone(), args.remove);
    args.common.edit(context, "task assign", &args.task, move |session, id| {
        for user in &users {
            let user = session.find_user(user)?.id;
            session.edit_task(id, |task| {
                if remove {
                    task.assignments.remove(&user);
                } else {
                    task.assignments.entry(user).or_default();
                }
            })?;
        }
        Ok(())
    })
}

pub(crate) fn move_to(context: &Context<'_>, args: &MoveArgs) -> Result<Exit, AppError> {
    let bucket = args.bucket.clone();
    let neighbour = parse_neighbour(args.before.as_ref(), args.after.as_ref());
    let to_plan = args.to_plan.clone();
    args.common.edit(context, "task move", &args.task, move |session, id| {
        if let Some(plan) = to_plan {
            let plan = session.find_plan(&plan)?;
            let bucket = bucket.map(|name| session.find_bucket(&plan, &name)).transpose()?;
            return Ok(session.move_task_to_plan(id, &plan, bucket.as_ref())?);
        }
        let plan = session.task_field(id, crate::change::TaskField::PLAN)?;
        // The report needs the names of the buckets.
        session.buckets(&plan)?;
        if let Some((other, side)) = neighbour {
            let other = session.find_task(&plan, &other)?;
            session.move_task_next_to(id, &other, side, Column::Bucket)?;
        }
        if let Some(bucket) = bucket {
            let bucket = session.find_bucket(&plan, &bucket)?;
            session.move_task(id, &bucket)?;
        }
        Ok(())
    })
}

pub(crate) fn repeat(context: &Context<'_>, args: &RepeatArgs) -> Result<Exit, AppError> {
    let (how, interval, on) = (args.how.clone(), args.interval, args.on.clone());
    let (index, day_of_month, from) = (args.index.clone(), args.day, args.from.clone());
    args.common.edit(context, "task repeat", &args.task, move |session, id| {
        let Some(kind) = how else { return Ok(session.set_recurrence(id, None)?) };
        let task = session.task(id)?;
        let from = from.map(|day| parse_date(session, &day)).transpose()?.flatten();
        let today = moment_of_day(session.today()).unwrap_or(session.facts().now);
        let start = from.or(task.start).or(task.due).unwrap_or(today);
        let given = Given { kind, interval, days: on, index, day_of_month, month: None, start };
        let recurrence = given.recurrence().map_err(Error::Invalid)?;
        Ok(session.set_recurrence(id, Some(recurrence))?)
    })
}

pub(crate) fn label(context: &Context<'_>, args: &LabelArgs) -> Result<Exit, AppError> {
    let (labels, remove) = (args.labels.clone(), args.remove);
    args.common.edit(context, "task label", &args.task, move |session, id| {
        let plan = session.task_field(id, crate::change::TaskField::PLAN)?;
        for label in &labels {
            let label = session.find_label(&plan, label)?;
            session.edit_task(id, |task| {
                if remove {
                    task.categories.remove(&label);
                } else {
                    task.categories.insert(label);
                }
            })?;
        }
        Ok(())
    })
}

pub(crate) fn checklist(context: &Context<'_>, args: &ChecklistArgs) -> Result<Exit, AppError> {
    let action = args.action.clone();
    args.common.edit(context, "task checklist", &args.task, move |session, id| {
        let details = session.details(id)?;
        let key = match &action {
            ChecklistAction::Add { .. } => session.new_item_key(),
            ChecklistAction::Check { item }
            | ChecklistAction::Uncheck { item }
            | ChecklistAction::Remove { item } => resolve_item(&details, item)?,
        };
        session.edit_details(id, |details| match action {
            ChecklistAction::Add { title } => details.add_item(key, title),
            ChecklistAction::Check { .. } => {
                details.checklist.entry(key).and_modify(|item| item.checked = true);
            }
            ChecklistAction::Uncheck { .. } => {
                details.checklist.entry(key).and_modify(|item| item.checked = false);
            }
            ChecklistAction::Remove { .. } => {
                details.checklist.remove(&key);
            }
        })?;
        Ok(())
    })
}

pub(crate) fn reference(context: &Context<'_>, args: &ReferenceArgs) -> Result<Exit, AppError> {
    let action = args.action.clone();
    let key = match &args.action {
        ReferenceAction::Add { url, alias } => link::encode_new(url, alias.as_deref()),
        ReferenceAction::Remove { url } => link::encode(url),
    };
    let key = key.map_err(|error| AppError::new("invalid", error.to_string()))?;
    args.common.edit(context, "task reference", &args.task, move |session, id| {
        let there = session.details(id)?;
        let url = link::decode(&key);
        // A key on the board may encode the same address in another way.
        let key =
            there.references.keys().find(|key| link::decode(key) == url).cloned().unwrap_or(key);
        if matches!(action, ReferenceAction::Remove { .. }) && !there.references.contains_key(&key)
        {
            return Err(Failure::from(Error::NotFound {
                what: "reference",
                name: url,
                place: None,
                nearest: there.references.keys().map(|key| link::decode(key)).collect(),
            }));
        }
        session.edit_details(id, |details| match action {
            ReferenceAction::Add { alias, .. } => {
                let empty = Reference { alias: None, kind: None };
                let reference = details.references.entry(key).or_insert(empty);
                reference.alias = alias.or_else(|| reference.alias.take()).or(Some(url));
            }
            ReferenceAction::Remove { .. } => {
                details.references.remove(&key);
            }
        })?;
        Ok(())
    })
}

pub(crate) fn plan_label(context: &Context<'_>, args: &PlanLabelArgs) -> Result<Exit, AppError> {
    let (plan, label, name) = (args.plan.clone(), args.label.clone(), args.name.clone());
    context.edit(&args.write, "plan label", move |session| {
        let plan = resolve_plan(session, Some(&plan))?;
        let category = session.find_label(&plan.id, &label)?;
        session.edit_plan_details(&plan.id, |details| {
            if name.is_empty() {
                details.labels.remove(&category);
            } else {
                details.labels.insert(category, name);
            }
        })?;
        Ok(json!({ "id": plan.id }))
    })
}

pub(crate) fn share(context: &Context<'_>, args: &ShareArgs) -> Result<Exit, AppError> {
    let (plan, user, remove) = (args.plan.clone(), args.user.clone(), args.remove);
    context.edit(&args.write, "plan share", move |session| {
        let plan = resolve_plan(session, Some(&plan))?;
        let user = session.find_user(&user)?.id;
        session.edit_plan_details(&plan.id, |details| {
            if remove {
                details.shared_with.remove(&user);
            } else {
                details.shared_with.insert(user);
            }
        })?;
        Ok(json!({ "id": plan.id }))
    })
}

pub(crate) fn add_member(context: &Context<'_>, args: &MemberArgs) -> Result<Exit, AppError> {
    let (plan, user) = (args.plan.clone(), args.user.clone());
    context.edit(&args.write, "plan add-member", move |session| {
        let plan = resolve_plan(session, Some(&plan))?;
        let user = session.find_user(&user)?;
        session.add_member(&plan.id, &user)?;
        Ok(json!({ "id": plan.id }))
    })
}
