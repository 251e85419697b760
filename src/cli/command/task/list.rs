//! `planwright task list`: the tasks of one plan or of all, filtered, sorted and cut.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum as _};
use jiff::Span;
use jiff::civil::Date;

use crate::app::error::AppError;
use crate::app::shown::tasks::{Names, Row, is_overdue};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::options::Format;
use crate::cli::render::task_list::{SortKey, TaskColumn};
use crate::cli::resolve::{parse_day, resolve_plan};
use crate::cli::show;
use crate::host::similar::nearest;
use crate::host::{Error, Failure, Session};
use crate::model::id::looks_like_guid;
use crate::model::snapshot::folded;
use crate::model::time::{DATE_FORMS, day_of_date};
use crate::model::{BucketId, Category, Plan, PlanId, Progress, Task, UserId};

const EXAMPLES: &str = "\
Examples:
  planwright task list --plan \"BOS Operations\" --bucket Inbox --open
  planwright task list --assigned-to ana --due this-week --sort due
  planwright task list --due today..+2w --columns title,due,labels,assigned
  planwright task list --text invoice --sort -created --limit 5";

#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ListArgs {
    /// Plan title or id (default: all plans)
    #[arg(long)]
    plan: Option<String>,
    /// Show only tasks in this bucket; plans without one of that name are passed over
    #[arg(long)]
    bucket: Option<String>,
    /// Show only tasks assigned to this person: name or part of it, address, id or `me`
    #[arg(long, value_name = "PERSON")]
    assigned_to: Option<String>,
    /// Show only tasks assigned to me
    #[arg(long)]
    mine: bool,
    /// Show only tasks that are not completed
    #[arg(long)]
    open: bool,
    /// Show only open tasks that are overdue
    #[arg(long)]
    overdue: bool,
    /// Show only tasks due then: today, overdue, this-week, a date, or DATE..DATE
    #[arg(long, value_name = "WHEN")]
    due: Option<String>,
    /// Show only tasks with this label; plans without one of that name are passed over
    #[arg(long)]
    label: Option<String>,
    /// Show only tasks with this progress: not_started, in_progress or completed
    #[arg(long, value_parser = parse_progress)]
    progress: Option<Progress>,
    /// Show only tasks with this text in their titles
    #[arg(long)]
    text: Option<String>,
    /// Column to sort by, `-due` for descending; tasks without a value come last
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true, value_parser = parse_sort)]
    sort: Option<Sort>,
    /// Columns to show, separated by commas; `--json` always has all
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    columns: Option<Vec<TaskColumn>>,
    /// Show at most N tasks
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

/// An order of the list.
#[derive(Debug, Clone, Copy)]
struct Sort {
    column: TaskColumn,
    descending: bool,
}

fn parse_sort(text: &str) -> Result<Sort, String> {
    let (name, descending) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
    let values = TaskColumn::value_variants().iter();
    let names: Vec<String> = values
        .filter_map(|column| Some(column.to_possible_value()?.get_name().to_owned()))
        .collect();
    TaskColumn::from_str(name, true)
        .map(|column| Sort { column, descending })
        .map_err(|_| format!("there is no column `{name}`; the columns are {}", names.join(", ")))
}

fn parse_progress(text: &str) -> Result<Progress, String> {
    Progress::parse(text)
        .ok_or_else(|| format!("progress is one of {}", Progress::NAMES.join(", ")))
}

/// The due dates that are asked for.
#[derive(Debug, Clone, Copy)]
enum Due {
    Overdue,
    /// From a day to a day, both included; open where there is none.
    Between(Option<Date>, Option<Date>),
}

/// The tasks that are asked for, as the board names them.
#[derive(Debug)]
struct Filter {
    /// The bucket of each plan that has one of that name.
    buckets: Option<BTreeMap<PlanId, BucketId>>,
    /// The label of each plan that has one of that name.
    labels: Option<BTreeMap<PlanId, Category>>,
    assignees: Vec<UserId>,
    due: Vec<Due>,
    progress: Option<Progress>,
    text: Option<String>,
    open: bool,
}

pub(crate) fn list(context: &Context<'_>, args: &ListArgs) -> Result<Exit, AppError> {
    let sorts_by = |column: TaskColumn| args.sort.is_some_and(|sort| sort.column == column);
    let shows =
        |column: TaskColumn| args.columns.as_ref().is_some_and(|columns| columns.contains(&column));
    let labels_too = context.ui.format == Format::Json
        || sorts_by(TaskColumn::Labels)
        || shows(TaskColumn::Labels);
    let asked = args.clone();
    let (mut rows, zone) = context.look(move |session| {
        let mut rows = find(session, &asked, labels_too)?;
        let zone = session.zone();
        if let Some(sort) = asked.sort {
            rows = sorted(rows, sort.descending, |row| row.sort_key(sort.column, &zone));
        }
        Ok((rows, zone))
    })?;
    let n_found = rows.len();
    rows.truncate(args.limit.unwrap_or(usize::MAX));
    show::tasks(context.ui, &rows, &zone, args.columns.as_deref());
    if rows.len() < n_found {
        context.ui.note(&format!("{} of {n_found} tasks shown.", rows.len()));
    }
    Ok(Exit::Done)
}

/// Sorts tasks by a key; those without one stay last, whichever way the others go.
fn sorted(rows: Vec<Row>, descending: bool, key: impl Fn(&Row) -> Option<SortKey>) -> Vec<Row> {
    let mut keyed: Vec<(Option<SortKey>, Row)> =
        rows.into_iter().map(|row| (key(&row), row)).collect();
    keyed.sort_by(|(a, _), (b, _)| match (a, b) {
        (Some(a), Some(b)) if descending => b.cmp(a),
        (Some(a), Some(b)) => a.cmp(b),
        (a, b) => a.is_none().cmp(&b.is_none()),
    });
    keyed.into_iter().map(|(_, row)| row).collect()
}

/// Finds the tasks that are asked for, plan by plan in the order of the buckets.
fn find(session: &Session, args: &ListArgs, labels_too: bool) -> Result<Vec<Row>, Failure> {
    let plans: Vec<Plan> = match &args.plan {
        Some(name) => vec![resolve_plan(session, Some(name))?],
        None => {
            let ids = session.plans()?;
            ids.iter().map(|id| session.plan(id)).collect::<Result<_, _>>()?
        }
    };
    let filter = Filter::resolve(session, &plans, args)?;
    let mut names = Names::new(session, labels_too);
    let mut rows = Vec::new();
    for plan in plans {
        if filter.passes_over(&plan.id) {
            continue;
        }
        let buckets = session.buckets(&plan.id)?;
        let mut of_plan = Vec::new();
        for id in session.tasks(&plan.id)? {
            let task = session.task(&id)?;
            if filter.wants(session, &task) {
                of_plan.push(task);
            }
        }
        of_plan.sort_by_cached_key(|task| {
            buckets.iter().position(|bucket| Some(bucket) == task.bucket.as_ref())
        });
        rows.extend(of_plan.into_iter().map(|task| names.row(task, plan.clone())));
    }
    Ok(rows)
}

impl Filter {
    fn resolve(session: &Session, plans: &[Plan], args: &ListArgs) -> Result<Self, Failure> {
        let bucket =
            |name: &String| in_plans(plans, "bucket", name, |plan| session.find_bucket(plan, name));
        let label =
            |name: &String| in_plans(plans, "label", name, |plan| session.find_label(plan, name));
        let mut assignees = Vec::new();
        if args.mine {
            assignees.push(session.myself()?.id.clone());
        }
        if let Some(text) = &args.assigned_to {
            assignees.push(assignee(session, plans, text)?);
        }
        let mut due = Vec::new();
        if args.overdue {
            due.push(Due::Overdue);
        }
        if let Some(text) = &args.due {
            due.push(parse_due(session, text)?);
        }
        Ok(Self {
            buckets: args.bucket.as_ref().map(bucket).transpose()?,
            labels: args.label.as_ref().map(label).transpose()?,
            assignees,
            due,
            progress: args.progress,
            text: args.text.as_deref().map(folded),
            open: args.open,
        })
    }

    /// Returns whether no task of a plan can be wanted, so that its tasks need not be read.
    fn passes_over(&self, plan: &PlanId) -> bool {
        self.buckets.as_ref().is_some_and(|buckets| !buckets.contains_key(plan))
            || self.labels.as_ref().is_some_and(|labels| !labels.contains_key(plan))
    }

    fn wants(&self, session: &Session, task: &Task) -> bool {
        let is_assigned = |wanted: &UserId| {
            let mut there = task.assignments.keys();
            there.any(|id| id.as_str().eq_ignore_ascii_case(wanted.as_str()))
        };
        let in_bucket = self.buckets.as_ref().is_none_or(|buckets| {
            task.bucket.as_ref().is_some_and(|id| buckets.get(&task.plan) == Some(id))
        });
        let has_label = self.labels.as_ref().is_none_or(|labels| {
            labels.get(&task.plan).is_some_and(|label| task.categories.contains(label))
        });
        in_bucket
            && has_label
            && self.assignees.iter().all(is_assigned)
            && self.due.iter().all(|due| is_due(session, task, *due))
            && self.progress.is_none_or(|progress| task.progress() == progress)
            && self.text.as_ref().is_none_or(|text| folded(&task.title).contains(text))
            && (!self.open || task.percent_complete < 100)
    }
}

fn is_due(session: &Session, task: &Task, due: Due) -> bool {
    let day = task.due.map(|due| day_of_date(due, &session.zone()));
    match due {
        Due::Overdue => is_overdue(session, task),
        Due::Between(from, to) => day.is_some_and(|day| {
            from.is_none_or(|from| from <= day) && to.is_none_or(|to| day <= to)
        }),
    }
}

/// Finds something by its name in each plan. A plan without it is passed over; if none has it, the
/// error suggests the nearest name.
fn in_plans<T>(
    plans: &[Plan],
    what: &'static str,
    name: &str,
    find: impl Fn(&PlanId) -> Result<T, Error>,
) -> Result<BTreeMap<PlanId, T>, Failure> {
    let (mut found, mut near) = (BTreeMap::new(), Vec::new());
    for plan in plans {
        match find(&plan.id) {
            Ok(one) => _ = found.insert(plan.id.clone(), one),
            // In a single plan, the error names the plan, too.
            Err(Error::NotFound { nearest, .. }) if plans.len() > 1 => near.extend(nearest),
            Err(error) => return Err(Failure::from(&error)),
        }
    }
    if found.is_empty() && !plans.is_empty() {
        let nearest = nearest(name, near.iter().map(String::as_str));
        let name = name.to_owned();
        return Err(Failure::from(&Error::NotFound { what, name, place: None, nearest }));
    }
    Ok(found)
}

/// Resolves a person; who has left the directory, and is still on tasks, by id.
fn assignee(session: &Session, plans: &[Plan], text: &str) -> Result<UserId, Failure> {
    if looks_like_guid(text.trim())
        && let Ok(id) = UserId::parse(text.trim())
    {
        return Ok(id);
    }
    let user = match plans {
        [plan] => session.find_user_for(&plan.id, text)?,
        _ => session.find_user(text)?,
    };
    Ok(user.id)
}

fn parse_due(session: &Session, text: &str) -> Result<Due, Failure> {
    let hint = |mut failure: Failure| {
        failure.hint =
            Some(format!("{DATE_FORMS}; --due also takes overdue, this-week and today..+2w"));
        failure
    };
    let side = |text: &str| -> Result<Option<Date>, Failure> {
        if text.trim().is_empty() {
            return Ok(None);
        }
        parse_day(session, text).map(Some).map_err(hint)
    };
    match text.trim().to_lowercase().as_str() {
        "overdue" => Ok(Due::Overdue),
        "this-week" => {
            let today = session.today();
            let gone = i64::from(today.weekday().to_monday_zero_offset());
            let monday = today.checked_sub(Span::new().days(gone)).unwrap_or(today);
            let sunday = monday.checked_add(Span::new().days(6)).unwrap_or(today);
            Ok(Due::Between(Some(monday), Some(sunday)))
        }
        // Two points alone name no day, and are refused as a date.
        typed => {
            match typed.split_once("..").filter(|(from, to)| !(from.is_empty() && to.is_empty())) {
                Some((from, to)) => Ok(Due::Between(side(from)?, side(to)?)),
                None => {
                    let day = parse_day(session, text).map_err(hint)?;
                    Ok(Due::Between(Some(day), Some(day)))
                }
            }
        }
    }
}
