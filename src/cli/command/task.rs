//! `planwright task`: commands on tasks, run like skills, so that the same rules hold for them.

mod assign;
mod checklist;
mod comments;
mod label;
mod list;
mod move_task;
mod reference;
mod repeat;
mod target;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::json;

use crate::app::error::AppError;
use crate::change::TaskField;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::options::WriteArgs;
use crate::cli::render::card;
use crate::cli::resolve::{
    parse_date, parse_priority, parse_progress, resolve_assignee, resolve_plan, resolve_task,
};
use crate::cli::show;
use crate::host::{Editor, Error, Failure, NewTask};
use crate::model::time::day_of_date;
use crate::model::{TaskId, UserId, link};

/// List and change tasks
#[derive(Debug, Subcommand)]
pub(crate) enum TaskCommand {
    /// List the tasks of one plan or of all
    List(list::ListArgs),
    /// Show a task with its details
    Get(TaskArg),
    /// Create a task
    Create(CreateArgs),
    /// Change fields of a task
    Update(UpdateArgs),
    /// Assign people to tasks
    Assign(assign::AssignArgs),
    /// Move tasks to a bucket of their plan
    Move(move_task::MoveArgs),
    /// Make a task recur (beta)
    Repeat(repeat::RepeatArgs),
    /// Put labels on tasks
    Label(label::LabelArgs),
    /// Change the checklist of a task
    Checklist(checklist::ChecklistArgs),
    /// Comment on a task (beta)
    Comment(comments::CommentArgs),
    /// List the comments on a task (beta)
    Comments(TaskArg),
    /// Attach links to a task
    Reference(reference::ReferenceArgs),
    /// Mark tasks completed
    Complete(ManyArgs),
    /// Set completed tasks back to not started
    Reopen(ManyArgs),
    /// Print the address of a task in Planner
    Open(TaskArg),
    /// Delete tasks
    Delete(ManyArgs),
}

#[derive(Debug, Args)]
pub(crate) struct TaskArg {
    /// Task title or id
    task: String,
    /// Plan to look for the task in: title or id
    #[arg(long)]
    plan: Option<String>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  planwright task create \"Order toner\" --plan \"BOS Operations\" --bucket Inbox --due friday"
)]
pub(crate) struct CreateArgs {
    /// Title of the task
    #[arg(required_unless_present = "title_option")]
    title: Option<String>,
    /// Title of the task
    #[arg(long = "title", id = "title_option", value_name = "TITLE", conflicts_with = "title")]
    title_option: Option<String>,
    /// Plan title or id; not needed if there is only one
    #[arg(long)]
    plan: Option<String>,
    /// Bucket name or id
    #[arg(long)]
    bucket: Option<String>,
    /// Key that identifies the task: if one with this key exists, none is created
    #[arg(long)]
    key: Option<String>,
    #[command(flatten)]
    fields: FieldArgs,
    #[command(flatten)]
    write: WriteArgs,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  planwright task update \"Order toner\" --priority urgent --due +2w"
)]
pub(crate) struct UpdateArgs {
    #[command(flatten)]
    task: TaskArg,
    /// New title
    #[arg(long)]
    title: Option<String>,
    /// Bucket to move it to: name or id
    #[arg(long)]
    bucket: Option<String>,
    /// Person to unassign; may be repeated
    #[arg(long, value_name = "USER")]
    unassign: Vec<String>,
    /// Label to remove; may be repeated
    #[arg(long, value_name = "LABEL")]
    unlabel: Vec<String>,
    #[command(flatten)]
    fields: FieldArgs,
    #[command(flatten)]
    write: WriteArgs,
}

impl UpdateArgs {
    /// Returns whether no field was given.
    fn says_nothing(&self) -> bool {
        self.title.is_none()
            && self.bucket.is_none()
            && self.unassign.is_empty()
            && self.unlabel.is_empty()
            && self.fields.is_empty()
    }
}

/// Fields that a new task and a changed one have in common.
#[derive(Debug, Clone, Args)]
pub(crate) struct FieldArgs {
    /// Person to assign: name or part of it, address, id or `me`; may be repeated
    #[arg(long, value_name = "USER")]
    assign: Vec<String>,
    /// Due date: 2026-12-24, today, friday, +3d, +2w … or none
    #[arg(long, value_name = "DAY")]
    due: Option<String>,
    /// Start date: 2026-12-24, today, friday, +3d, +2w … or none
    #[arg(long, value_name = "DAY")]
    start: Option<String>,
    /// Priority: urgent, important, medium, low, or 0 to 10
    #[arg(long, allow_hyphen_values = true)]
    priority: Option<String>,
    /// Progress: not_started, in_progress, completed, or 0 to 100
    #[arg(long)]
    progress: Option<String>,
    /// Label to add; may be repeated
    #[arg(long)]
    label: Vec<String>,
    /// Description
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
}

impl FieldArgs {
    fn is_empty(&self) -> bool {
        let texts = [&self.due, &self.start, &self.priority, &self.progress, &self.description];
        self.assign.is_empty() && self.label.is_empty() && texts.iter().all(|text| text.is_none())
    }
}

#[derive(Debug, Args)]
#[command(
    after_help = "Several tasks are one run: all of them, or none.\n\nExample:\n  planwright task complete \"Order toner\" \"Check the fire extinguishers\" --dry-run"
)]
pub(crate) struct ManyArgs {
    /// Task titles or ids
    #[arg(required = true)]
    tasks: Vec<String>,
    /// Plan to look for the tasks in: title or id
    #[arg(long)]
    plan: Option<String>,
    #[command(flatten)]
    write: WriteArgs,
}

pub(crate) fn run(context: &Context<'_>, command: &TaskCommand) -> Result<Exit, AppError> {
    match command {
        TaskCommand::List(args) => list::list(context, args),
        TaskCommand::Get(TaskArg { task, plan }) => {
            let (task, plan) = (task.clone(), plan.clone());
            let shown = context.look(move |session| {
                let id = resolve_task(session, plan.as_deref(), &task)?;
                card::task(session, &id)
            })?;
            show::card(context.ui, &shown);
            Ok(Exit::Done)
        }
        TaskCommand::Create(args) => create(context, args),
        TaskCommand::Update(args) => update(context, args),
        TaskCommand::Assign(args) => assign::assign(context, args),
        TaskCommand::Move(args) => move_task::move_to(context, args),
        TaskCommand::Repeat(args) => repeat::repeat(context, args),
        TaskCommand::Label(args) => label::label(context, args),
        TaskCommand::Checklist(args) => checklist::checklist(context, args),
        TaskCommand::Comment(args) => comments::comment(context, args),
        TaskCommand::Comments(args) => comments::comments(context, args),
        TaskCommand::Reference(args) => reference::reference(context, args),
        TaskCommand::Complete(args) => each(context, args, "task complete", |editor, id| {
            editor.edit_task(id, |task| task.percent_complete = 100)
        }),
        TaskCommand::Reopen(args) => each(context, args, "task reopen", |editor, id| {
            editor.edit_task(id, |task| {
                // A task in progress is open as it is.
                if task.percent_complete == 100 {
                    task.percent_complete = 0;
                }
            })
        }),
        TaskCommand::Open(args) => open(context, args),
        TaskCommand::Delete(args) => {
            each(context, args, "task delete", |editor, id| editor.delete_task(id))
        }
    }
}

/// Prints the address of a task. No browser is started: there may be none where this runs.
fn open(context: &Context<'_>, args: &TaskArg) -> Result<Exit, AppError> {
    let (task, plan) = (args.task.clone(), args.plan.clone());
    let (id, url) = context.look(move |session| {
        let id = resolve_task(session, plan.as_deref(), &task)?;
        let plan = session.task_field(&id, TaskField::PLAN)?;
        let url = link::of_task(&plan, &id);
        Ok((id, url))
    })?;
    if context.ui.json() {
        context.ui.json_value(&json!({ "id": id, "url": url }));
    } else {
        context.ui.answer(&url);
    }
    Ok(Exit::Done)
}

fn each(
    context: &Context<'_>,
    args: &ManyArgs,
    command: &str,
    body: impl Fn(Editor<'_>, &TaskId) -> Result<(), Error> + Clone + Send + Sync + 'static,
) -> Result<Exit, AppError> {
    let (tasks, plan) = (args.tasks.clone(), args.plan.clone());
    context.edit(&args.write, command, move |session| {
        for text in &tasks {
            let id = resolve_task(session, plan.as_deref(), text)?;
            body(session.editor()?, &id)?;
        }
        Ok(serde_json::Value::Null)
    })
}

fn create(context: &Context<'_>, args: &CreateArgs) -> Result<Exit, AppError> {
    let title = args.title.clone().or_else(|| args.title_option.clone()).unwrap_or_default();
    let (plan, bucket, fields) = (args.plan.clone(), args.bucket.clone(), args.fields.clone());
    let key = args.key.clone();
    context.edit(&args.write, "task create", move |session| {
        let plan = resolve_plan(session, plan.as_deref())?;
        let mut new = NewTask { title, key, ..NewTask::default() };
        if let Some(name) = &bucket {
            new.bucket = Some(session.find_bucket(&plan.id, name)?);
        }
        for user in &fields.assign {
            new.assignees.push(session.find_user_for(&plan.id, user)?.id);
        }
        for label in &fields.label {
            new.labels.push(session.find_label(&plan.id, label)?);
        }
        new.due = fields.due.as_deref().map(|day| parse_date(session, day)).transpose()?.flatten();
        new.start =
            fields.start.as_deref().map(|day| parse_date(session, day)).transpose()?.flatten();
        new.priority = fields.priority.as_deref().map(parse_priority).transpose()?;
        new.percent_complete = fields.progress.as_deref().map_or(Ok(0), parse_progress)?;
        new.description = fields.description.unwrap_or_default();
        let id = session.editor()?.create_task(&plan.id, new)?;
        Ok(json!({ "id": id }))
    })
}

fn update(context: &Context<'_>, args: &UpdateArgs) -> Result<Exit, AppError> {
    let TaskArg { task, plan } = &args.task;
    let (task, plan, fields) = (task.clone(), plan.clone(), args.fields.clone());
    let (title, bucket) = (args.title.clone(), args.bucket.clone());
    let (unassign, unlabel) = (args.unassign.clone(), args.unlabel.clone());
    if args.says_nothing() {
        let hint = "say what is to change: `--title`, `--due`, `--priority`, `--assign` …; `planwright task update --help` lists all";
        return Err(AppError::usage("nothing is said that would change the task").hint(hint));
    }
    context.edit(&args.write, "task update", move |session| {
        let id = resolve_task(session, plan.as_deref(), &task)?;
        let plan = session.task_field(&id, TaskField::PLAN)?;
        let labels = |names: &[String]| -> Result<Vec<_>, Failure> {
            names.iter().map(|name| Ok(session.find_label(&plan, name)?)).collect()
        };
        let person = |name: &String| -> Result<UserId, Failure> {
            Ok(session.find_user_for(&plan, name)?.id)
        };
        let add: Vec<UserId> = fields.assign.iter().map(person).collect::<Result<_, _>>()?;
        let remove = unassign.iter().map(|name| resolve_assignee(session, &id, name));
        let remove: Vec<UserId> = remove.collect::<Result<_, _>>()?;
        let (label, unlabel) = (labels(&fields.label)?, labels(&unlabel)?);
        let due = fields.due.as_deref().map(|day| parse_date(session, day)).transpose()?;
        let start = fields.start.as_deref().map(|day| parse_date(session, day)).transpose()?;
        let priority = fields.priority.as_deref().map(parse_priority).transpose()?;
        let percent = fields.progress.as_deref().map(parse_progress).transpose()?;
        // The same day at another hour is no edit: commands set days, not hours.
        let same_day = |old: Option<Timestamp>, new: Option<Timestamp>| {
            let zone = &session.facts().zone;
            let day = |moment: Timestamp| day_of_date(moment, zone);
            if old.map(day) == new.map(day) { old } else { new }
        };
        session.editor()?.edit_task(&id, |task| {
            if let Some(title) = title {
                task.title = title;
            }
            if let Some(due) = due {
                task.due = same_day(task.due, due);
            }
            if let Some(start) = start {
                task.start = same_day(task.start, start);
            }
            task.priority = priority.unwrap_or(task.priority);
            task.percent_complete = percent.unwrap_or(task.percent_complete);
            task.assignments.extend(add.into_iter().map(|user| (user, String::new())));
            task.assignments.retain(|id, _| !remove.contains(id));
            task.categories.extend(label);
            task.categories.retain(|category| !unlabel.contains(category));
        })?;
        if let Some(name) = &bucket {
            let bucket = session.find_bucket(&plan, name)?;
            session.editor()?.move_task(&id, &bucket)?;
        }
        if let Some(text) = fields.description {
            session.editor()?.edit_details(&id, |details| details.description = text)?;
        }
        Ok(json!({ "id": id }))
    })
}
