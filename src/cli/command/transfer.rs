//! `planwright plan copy|export|import`: the transfer of whole plans.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::json;

use crate::app::error::AppError;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::files::{self, Access};
use crate::cli::options::{LongArgs, WriteArgs};
use crate::cli::render::markdown;
use crate::cli::render::text::{count, json_safe};
use crate::cli::resolve::resolve_plan;
use crate::cli::sheet::columns::{self, Mapping};
use crate::cli::sheet::dates::DateFormat;
use crate::cli::sheet::table::utf8;
use crate::cli::sheet::tasks::{self, Options, SheetTasks};
use crate::cli::sheet::{delimited, people, workbook, write};
use crate::host::{Failure, Session};
use crate::model::document::FORMAT;
use crate::model::{PlanDocument, PlanId, in_words};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  planwright plan copy \"BOS Operations\" --title \"BOS Operations 2027\"\n  planwright plan copy Onboarding --title \"Onboarding Ana\" --keep dates --group Website\n\nRules and policies judge it like any run: for more than ten tasks you are asked, or say `--yes`."
)]
pub(crate) struct CopyArgs {
    /// Plan title or id
    plan: String,
    /// Title of the copy
    #[arg(long)]
    title: String,
    /// Group that will contain it: name or id (default: that of the plan)
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
    after_help = "Examples:\n  planwright plan export \"BOS Operations\" > plan.json\n  planwright plan export \"BOS Operations\" --out plan.xlsx"
)]
pub(crate) struct ExportArgs {
    /// Plan title or id
    plan: String,
    /// JSON keeps everything, XLSX and CSV are for spreadsheets, Markdown for people; decided by the
    /// name of the file if absent
    #[arg(long)]
    format: Option<Format>,
    /// File to write instead of standard output
    #[arg(long, visible_alias = "to", value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Formats of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Everything, to be imported again
    Json,
    /// One line per task
    Csv,
    /// A workbook, one row per task
    Xlsx,
    /// A list to read
    Md,
}

/// Formats of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FileFormat {
    /// File that `plan export` wrote
    Json,
    /// One line per task, with any separator
    Csv,
    /// A workbook, one row per task: Planner's own export, too
    Xlsx,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  planwright plan import plan.json --title \"A new plan\" --group BOS\n  planwright plan import \"Website Relaunch.xlsx\" --title Website --group BOS\n  planwright plan import tasks.csv --plan \"BOS Operations\" --map \"Status=bucket\" --dry-run\n\nRules and policies judge it like any run: for more than ten tasks you are asked, or say `--yes`."
)]
pub(crate) struct ImportArgs {
    /// File that `plan export`, Planner or a spreadsheet wrote, or `-` for standard input
    file: PathBuf,
    /// Format of the file (default: by its name)
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
    /// Meaning of a column of a sheet: title, bucket, progress, priority, start, due, assignees,
    /// labels, description, checklist, checked, references, key or ignore
    #[arg(long, value_name = "COLUMN=FIELD", value_parser = Mapping::parse)]
    map: Vec<Mapping>,
    /// Format of the dates in a sheet, such as DD/MM/YYYY or %d/%m/%Y (default: detected)
    #[arg(long, value_name = "FORMAT", value_parser = DateFormat::parse)]
    date_format: Option<DateFormat>,
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

/// Returns the format that the name of a file stands for.
fn export_format(file: &Path) -> Option<Format> {
    let extension = file.extension()?.to_str()?.to_lowercase();
    match extension.as_str() {
        "json" => Some(Format::Json),
        "csv" => Some(Format::Csv),
        "xlsx" => Some(Format::Xlsx),
        "md" => Some(Format::Md),
        _ => None,
    }
}

pub(crate) fn export(context: &Context<'_>, args: &ExportArgs) -> Result<Exit, AppError> {
    let format = match (args.format, args.out.as_deref()) {
        (Some(format), _) => format,
        (None, None) => Format::Json,
        (None, Some(file)) => export_format(file).ok_or_else(|| {
            AppError::usage(format!("the name `{}` tells no format", file.display()))
                .hint("end it with .xlsx, .csv, .md or .json, or add `--format`")
        })?,
    };
    if format == Format::Xlsx && args.out.is_none() {
        return Err(AppError::usage("a workbook is written to a file only")
            .hint("name one: `--out plan.xlsx`"));
    }
    let name = args.plan.clone();
    let (document, zone) = context.look(move |session| {
        let plan = resolve_plan(session, Some(&name))?;
        Ok((session.document(&plan.id)?, session.facts().zone.clone()))
    })?;
    let text = match format {
        Format::Json => {
            json_safe(&serde_json::to_string_pretty(&document).unwrap_or_default()) + "\n"
        }
        Format::Csv => write::csv(&document, &zone),
        Format::Md => markdown::write(&document, &zone),
        Format::Xlsx => String::new(),
    };
    let Some(file) = &args.out else {
        context.ui.document(&text);
        return Ok(Exit::Done);
    };
    let bytes = match format {
        Format::Xlsx => write::xlsx(&document, &zone).map_err(|error| {
            AppError::new("invalid", "the plan does not fit into a workbook").caused_by(&error)
        })?,
        // Without the mark, Excel takes a file for one in the system's old encoding.
        Format::Csv => format!("\u{feff}{text}").into_bytes(),
        Format::Json | Format::Md => text.into_bytes(),
    };
    files::write_bytes(file, &bytes, Access::OwnerUnlessShared)?;
    let tasks = count(document.all_tasks().count(), "task");
    context.ui.note(&format!("Wrote {tasks} to {}.", file.display()));
    Ok(Exit::Done)
}

/// The tasks of a file.
#[derive(Debug, Clone)]
enum Source {
    /// A document, as `plan export` writes it.
    Document(PlanDocument),
    /// A sheet, in which people may have any of their names.
    Sheet(PathBuf, SheetTasks),
}

impl Source {
    /// Returns it as a document, with every person found.
    fn document(self, session: &Session) -> Result<PlanDocument, Failure> {
        let (file, mut sheet) = match self {
            Self::Document(document) => return Ok(document),
            Self::Sheet(file, sheet) => (file, sheet),
        };
        let problems = people::resolve(session, &mut sheet)?;
        if !problems.is_empty() {
            return Err(sheet.failure(&file, problems));
        }
        sheet.warnings.iter().for_each(|warning| session.warn(warning));
        Ok(sheet.document())
    }
}

pub(crate) fn import(context: &Context<'_>, args: &ImportArgs) -> Result<Exit, AppError> {
    let mut source = read(context, args)?;
    if args.no_assignees {
        match &mut source {
            Source::Document(document) => {
                document.all_tasks_mut().for_each(|task| task.assignees.clear());
            }
            Source::Sheet(_, sheet) => {
                sheet.rows.iter_mut().for_each(|row| row.task.assignees.clear());
            }
        }
    }
    if let Source::Sheet(file, sheet) = &source
        && !sheet.problems.is_empty()
    {
        return Err(all_problems(context, file, sheet).into());
    }
    let (plan, title, group) = (args.plan.clone(), args.title.clone(), args.group.clone());
    context.edit(&args.write, "plan import", move |session| {
        let document = source.document(session)?;
        if let (Some(title), Some(group)) = (title, group) {
            return planted(session, &group, &title, &document);
        }
        let plan = resolve_plan(session, plan.as_deref())?;
        session.plant(&plan.id, &document)?;
        Ok(json!({ "id": plan.id }))
    })
}

/// Makes one failure of everything that is wrong with a sheet, people included, if somebody can be
/// asked about them.
fn all_problems(context: &Context<'_>, file: &Path, sheet: &SheetTasks) -> Failure {
    let mut asked = sheet.clone();
    let people = context.look(move |session| people::resolve(session, &mut asked));
    let mut problems = sheet.problems.clone();
    problems.extend(people.unwrap_or_default());
    sheet.failure(file, problems)
}

/// Returns the format that a file has by its name.
fn import_format(file: &Path) -> Option<FileFormat> {
    let extension = file.extension()?.to_str()?.to_lowercase();
    match extension.as_str() {
        "json" => Some(FileFormat::Json),
        "csv" | "tsv" => Some(FileFormat::Csv),
        "xlsx" => Some(FileFormat::Xlsx),
        _ => None,
    }
}

fn read(context: &Context<'_>, args: &ImportArgs) -> Result<Source, AppError> {
    let file = args.file.as_path();
    let shown = file.display();
    let format = args.format.or_else(|| import_format(file)).ok_or_else(|| {
        AppError::usage(format!("the format of `{shown}` is not clear"))
            .hint("add `--format json`, `--format csv` or `--format xlsx`")
    })?;
    let wrong = |failure: Failure| {
        let message = format!("`{shown}`: {}", failure.message);
        AppError { failure: Failure { message, ..failure } }
    };
    if format == FileFormat::Json {
        if !args.map.is_empty() || args.date_format.is_some() {
            return Err(AppError::usage(
                "`--map` and `--date-format` are for sheets, not for JSON",
            ));
        }
        return document(&files::read_or_stdin(file)?).map(Source::Document).map_err(wrong);
    }
    let bytes = files::read_bytes_or_stdin(file)?;
    let sheet = if format == FileFormat::Csv {
        utf8(bytes).and_then(|text| delimited::read(&text, &args.map))
    } else {
        workbook::read(bytes, |rows| columns::recognised(rows, &args.map) > 0)
    };
    let options = Options {
        maps: args.map.clone(),
        dates: args.date_format.clone(),
        limits: context.app.workspace.config.planner,
    };
    let tasks = sheet.and_then(|sheet| tasks::read(&sheet, &options)).map_err(wrong)?;
    Ok(Source::Sheet(file.to_owned(), tasks))
}

/// Returns what is wrong with JSON, and where.
fn json_fault(error: &serde_json::Error) -> String {
    format!("line {}: {}", error.line(), in_words(&error.to_string()))
}

fn document(text: &str) -> Result<PlanDocument, Failure> {
    let wrong = |message: String| Failure { code: "invalid".into(), message, ..Failure::default() };
    let document: PlanDocument =
        serde_json::from_str(text).map_err(|error| wrong(json_fault(&error)))?;
    match document.format {
        FORMAT => Ok(document),
        other => Err(wrong(format!("its format is {other}, but this version reads {FORMAT}"))),
    }
}
