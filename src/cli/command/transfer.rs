//! `planwright plan copy|export|import`: the transfer of whole plans.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::json;

use crate::app::error::AppError;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::files::{self, Access};
use crate::cli::options::{LongArgs, WriteArgs};
use crate::cli::render::text::{count, json_safe};
use crate::cli::render::{csv, markdown};
use crate::cli::resolve::resolve_plan;
use crate::host::{Failure, Session};
use crate::model::document::FORMAT;
use crate::model::{PlanDocument, PlanId};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  planwright plan copy \"BOS Operations\" --title \"BOS Operations 2027\"\n  planwright plan copy Onboarding --title \"Onboarding Ana\" --keep dates --group Website\n\nPolicies judge it like any run, and the one in force by default allows ten tasks at once.\nFor more, choose your own: `[policies]` in planwright.toml; see docs/guides/workspace.md."
)]
pub(crate) struct CopyArgs {
    /// Plan title or id
    plan: String,
    /// Title of the copy
    #[arg(long)]
    title: String,
    /// Group that will contain it: name or id; that of the plan if absent
    #[arg(long)]
    group: Option<String>,
    /// Keep these as well as buckets, labels, tasks, checklists and links
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    keep: Vec<Keep>,
    #[command(flatten)]
    write: WriteArgs,
    #[command(flatten)]
    pub(crate) long: LongArgs,
}

/// Parts that a copy can keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Keep {
    /// People who are assigned to the tasks
    Assignees,
    /// Start and due dates
    Dates,
    /// Progress of tasks, and ticks of checklists
    Progress,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  planwright plan export \"BOS Operations\" > plan.json\n  planwright plan export \"BOS Operations\" --format csv --to plan.csv"
)]
pub(crate) struct ExportArgs {
    /// Plan title or id
    plan: String,
    /// JSON keeps everything, CSV is for spreadsheets, Markdown for people
    #[arg(long, default_value = "json")]
    format: Format,
    /// File to write instead of standard output
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

/// Formats of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Everything, to be imported again
    Json,
    /// One line per task
    Csv,
    /// A list to read
    Md,
}

/// Formats of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FileFormat {
    /// File that `plan export` wrote
    Json,
    /// One line per task
    Csv,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  planwright plan import plan.json --title \"A new plan\" --group BOS\n  planwright plan import tasks.csv --plan \"BOS Operations\" --dry-run\n\nPolicies judge it like any run, and the one in force by default allows ten tasks at once.\nFor more, choose your own: `[policies]` in planwright.toml; see docs/guides/workspace.md."
)]
pub(crate) struct ImportArgs {
    /// File that `plan export` or a spreadsheet wrote, or `-` for standard input
    file: PathBuf,
    /// Format of the file; decided by its name if absent
    #[arg(long)]
    format: Option<FileFormat>,
    /// Plan to add the tasks to: title or id
    #[arg(long, required_unless_present = "title", conflicts_with_all = ["title", "group"])]
    plan: Option<String>,
    /// Title of a new plan
    #[arg(long, requires = "group")]
    title: Option<String>,
    /// Group that will contain the new plan: name or id
    #[arg(long)]
    group: Option<String>,
    /// Assign nobody
    #[arg(long)]
    no_assignees: bool,
    #[command(flatten)]
    write: WriteArgs,
    #[command(flatten)]
    pub(crate) long: LongArgs,
}

pub(crate) fn copy(context: &Context<'_>, args: &CopyArgs) -> Result<Exit, AppError> {
    let (name, title, group) = (args.plan.clone(), args.title.clone(), args.group.clone());
    let keep = args.keep.clone();
    context.edit(&args.write, "plan copy", move |session| {
        let plan = resolve_plan(session, Some(&name))?;
        let mut document = session.document(&plan.id)?;
        for task in document.all_tasks_mut() {
            if !keep.contains(&Keep::Assignees) {
                task.assignees.clear();
            }
            if !keep.contains(&Keep::Dates) {
                (task.start, task.due) = (None, None);
            }
            if !keep.contains(&Keep::Progress) {
                task.percent_complete = 0;
                task.checklist.iter_mut().for_each(|item| item.checked = false);
            }
        }
        let group = match (group, &plan.group) {
            (Some(group), _) => group,
            (None, Some(group)) => group.to_string(),
            (None, None) => {
                return Err(Failure {
                    code: "invalid".into(),
                    message: format!("the plan `{}` is not in a group", plan.title),
                    hint: Some("name one for the copy with `--group GROUP`".into()),
                    ..Failure::default()
                });
            }
        };
        planted(session, &group, &title, &document)
    })
}

/// Creates a plan from a document; returns its id.
fn planted(
    session: &Session,
    group: &str,
    title: &str,
    document: &PlanDocument,
) -> Result<serde_json::Value, Failure> {
    let id: PlanId = session.editor()?.create_plan(group, title)?;
    session.plant(&id, document)?;
    Ok(json!({ "id": id }))
}

pub(crate) fn export(context: &Context<'_>, args: &ExportArgs) -> Result<Exit, AppError> {
    let name = args.plan.clone();
    let (document, zone) = context.look(move |session| {
        let plan = resolve_plan(session, Some(&name))?;
        Ok((session.document(&plan.id)?, session.facts().zone.clone()))
    })?;
    let text = match args.format {
        Format::Json => {
            json_safe(&serde_json::to_string_pretty(&document).unwrap_or_default()) + "\n"
        }
        Format::Csv => csv::write(&document, &zone),
        Format::Md => markdown::write(&document, &zone),
    };
    match &args.to {
        None => context.ui.document(&text),
        Some(file) => {
            files::write(file, &text, Access::OwnerUnlessShared)?;
            let n = document.all_tasks().count();
            let tasks = count(n, "task");
            context.ui.note(&format!("Wrote {tasks} to {}.", file.display()));
        }
    }
    Ok(Exit::Done)
}

pub(crate) fn import(context: &Context<'_>, args: &ImportArgs) -> Result<Exit, AppError> {
    let mut document = read(&args.file, args.format)?;
    if args.no_assignees {
        document.all_tasks_mut().for_each(|task| task.assignees.clear());
    }
    let (plan, title, group) = (args.plan.clone(), args.title.clone(), args.group.clone());
    context.edit(&args.write, "plan import", move |session| {
        if let (Some(title), Some(group)) = (title, group) {
            return planted(session, &group, &title, &document);
        }
        let plan = resolve_plan(session, plan.as_deref())?;
        session.plant(&plan.id, &document)?;
        Ok(json!({ "id": plan.id }))
    })
}

fn read(file: &Path, format: Option<FileFormat>) -> Result<PlanDocument, AppError> {
    let shown = file.display();
    let by_name = || match file.extension().and_then(|extension| extension.to_str()) {
        Some(extension) if extension.eq_ignore_ascii_case("json") => Some(FileFormat::Json),
        Some(extension) if extension.eq_ignore_ascii_case("csv") => Some(FileFormat::Csv),
        _ => None,
    };
    let format = format.or_else(by_name).ok_or_else(|| {
        AppError::usage(format!("the format of `{shown}` is not clear"))
            .hint("add `--format json` or `--format csv`")
    })?;
    let text = files::read_or_stdin(file)?;
    let wrong = |message: String| AppError::new("invalid", format!("`{shown}`: {message}"));
    match format {
        FileFormat::Json => {
            let document: PlanDocument =
                serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
            match document.format {
                FORMAT => Ok(document),
                other => {
                    Err(wrong(format!("its format is {other}, but this version reads {FORMAT}")))
                }
            }
        }
        FileFormat::Csv => csv::read(&text).map_err(|failure| {
            let message = format!("`{shown}`: {}", failure.message);
            AppError { failure: Failure { message, ..failure } }
        }),
    }
}
