//! The board for a model: a compact table, with counts of what is left out.
//!
//! Texts of a board are data: whatever a title says, it stays in its cell.

use std::collections::BTreeMap;

use jiff::Span;
use jiff::civil::Date;
use serde_json::{Map, Value, json};

use crate::app::error::AppError;
use crate::app::params::arguments::Arguments;
use crate::app::shown::{shortened, visible};
use crate::host::{Error, Failure, Session};
use crate::mcp::answer::Answer;
use crate::mcp::desk::Work;
use crate::model::id::MIN_SHORT_ID;
use crate::model::snapshot::folded;
use crate::model::time::{Calendar, DATE_FORMS, day_of_date};
use crate::model::{BucketId, Category, Plan, PlanId, Progress, Task, User, UserId};

/// Tasks in an answer, where nothing is said, and at most.
const LIMIT: u64 = 50;
const MAX_LIMIT: u64 = 200;
/// The most characters of a cell of the table.
const MAX_CELL: usize = 80;

/// What is asked for.
#[derive(Debug, Clone, Default)]
struct Wanted {
    plan: Option<String>,
    bucket: Option<String>,
    label: Option<String>,
    assigned_to: Option<String>,
    text: Option<String>,
    due: Option<String>,
    progress: Option<Progress>,
    is_completed: Option<bool>,
    overdue: bool,
    /// True if all plans are searched where none is named.
    everywhere: bool,
    from: usize,
    limit: usize,
    ids: bool,
}

/// A task in an answer.
struct Row {
    task: Task,
    reference: String,
    plan: String,
    bucket: String,
    due: Option<Date>,
    overdue: bool,
    assigned: Vec<String>,
    labels: Vec<String>,
}

/// The tasks that were found.
struct Found {
    /// The one plan that was looked at.
    plan: Option<Plan>,
    rows: Vec<Row>,
    n_all: usize,
}

fn wrong(message: String, hint: &str) -> Failure {
    let hint = Some(hint.to_owned()).filter(|hint| !hint.is_empty());
    Failure { code: "parameter".into(), message, hint, ..Failure::default() }
}

/// Answers `board`.
pub(crate) fn board(work: &Work, mut arguments: Arguments) -> Result<Answer, AppError> {
    let mut wanted = filter(arguments.map("filter")?)?;
    wanted.plan = arguments.text("plan")?;
    wanted.bucket = arguments.text("bucket")?.or(wanted.bucket);
    wanted.limit = limit(&mut arguments)?;
    wanted.ids = arguments.flag("ids")?.unwrap_or(false);
    if let Some(cursor) = arguments.text("cursor")? {
        wanted.from = cursor.parse().map_err(|_| {
            wrong("the cursor is none of ours".into(), "take next_cursor of the answer before")
        })?;
    }
    arguments.end()?;
    show(work, &wanted)
}

/// Answers `find_tasks`.
pub(crate) fn find(work: &Work, mut arguments: Arguments) -> Result<Answer, AppError> {
    let wanted = Wanted {
        text: arguments.text("text")?,
        assigned_to: arguments.text("assigned_to")?,
        due: arguments.text("due")?,
        plan: arguments.text("plan")?,
        limit: limit(&mut arguments)?,
        ids: arguments.flag("ids")?.unwrap_or(false),
        everywhere: true,
        ..Wanted::default()
    };
    arguments.end()?;
    show(work, &wanted)
}

fn limit(arguments: &mut Arguments) -> Result<usize, Failure> {
    let limit = arguments.number("limit", MAX_LIMIT)?.unwrap_or(LIMIT);
    Ok(usize::try_from(limit).unwrap_or(usize::MAX).max(1))
}

/// Reads a filter, in the form of `where` in scripts.
fn filter(map: Map<String, Value>) -> Result<Wanted, Failure> {
    let mut filter = Arguments::new(Some(map));
    let progress = filter.text("progress")?;
    let progress = progress.map(|name| {
        let known = || format!("progress is one of {}", Progress::NAMES.join(", "));
        Progress::parse(&name).ok_or_else(|| wrong(known(), ""))
    });
    let wanted = Wanted {
        bucket: filter.text("bucket")?,
        label: filter.text("label")?,
        assigned_to: filter.text("assigned_to")?,
        text: filter.text("text")?,
        due: filter.text("due")?,
        progress: progress.transpose()?,
        is_completed: filter.flag("is_completed")?,
        overdue: filter.flag("overdue")?.unwrap_or(false),
        ..Wanted::default()
    };
    filter.end()?;
    Ok(wanted)
}

fn show(work: &Work, wanted: &Wanted) -> Result<Answer, AppError> {
    let asked = wanted.clone();
    let found = work.look(move |session| read(session, &asked))?;
    Ok(drawn(wanted, &found))
}

/// Returns the table of a plan, as a resource.
pub(crate) fn of_plan(session: &Session, plan: &str) -> Result<String, Failure> {
    let limit = usize::try_from(MAX_LIMIT).unwrap_or(usize::MAX);
    let wanted = Wanted { plan: Some(plan.to_owned()), ids: true, limit, ..Wanted::default() };
    let found = read(session, &wanted)?;
    Ok(drawn(&wanted, &found).text)
}

/// Returns the plans within reach, with their titles.
pub(crate) fn plans(session: &Session) -> Result<Vec<Plan>, Failure> {
    let mut plans = Vec::new();
    for id in session.plans()? {
        plans.push(session.plan(&id)?);
    }
    Ok(plans)
}

fn read(session: &Session, wanted: &Wanted) -> Result<Found, Failure> {
    let plans = match &wanted.plan {
        Some(name) => vec![session.plan(&session.find_plan(name)?)?],
        None => plans(session)?,
    };
    let only = match plans.as_slice() {
        [plan] => Some(plan.clone()),
        several if !wanted.everywhere => {
            let titles: Vec<_> = several.iter().map(|plan| visible(&plan.title)).collect();
            let hint = format!("the plans are {}", titles.join(", "));
            let hint: &str =
                if titles.is_empty() { "there is no plan within reach" } else { &hint };
            return Err(wrong("name a plan".into(), hint));
        }
        _ => None,
    };
    let due = wanted.due.as_ref().map(|text| days(session, text)).transpose()?;
    let text = wanted.text.as_deref().map(folded);
    let (mut names, mut rows, mut n_all) = (Names::default(), Vec::new(), 0);
    for plan in &plans {
        let buckets = session.buckets(&plan.id)?;
        // What one plan does not have, another may.
        let bucket = named(wanted.bucket.as_ref(), only.is_some(), |name| {
            session.find_bucket(&plan.id, name)
        })?;
        let label = named(wanted.label.as_ref(), only.is_some(), |name| {
            session.find_label(&plan.id, name)
        })?;
        let person = named(wanted.assigned_to.as_ref(), only.is_some(), |name| {
            session.find_user_for(&plan.id, name)
        })?;
        let (Wish::Of(bucket), Wish::Of(label), Wish::Of(person)) = (bucket, label, person) else {
            continue;
        };
        let wishes = (bucket, label, person);
        let (mut tasks, mut ids) = (Vec::new(), Vec::new());
        for id in session.tasks(&plan.id)? {
            let task = session.task(&id)?;
            ids.push(id.to_string());
            let overdue = is_overdue(session, &task);
            if is_wanted(wanted, &task, &wishes)
                && text.as_ref().is_none_or(|text| folded(&task.title).contains(text))
                && (overdue || !wanted.overdue)
                && due.is_none_or(|due| due.holds(session, &task, overdue))
            {
                tasks.push((task, overdue));
            }
        }
        // What is open comes first, then the order of the board.
        tasks.sort_by_key(|(task, _)| {
            let at = buckets.iter().position(|bucket| Some(bucket) == task.bucket.as_ref());
            (task.percent_complete >= 100, at)
        });
        ids.sort_unstable();
        for (task, overdue) in tasks {
            n_all += 1;
            // Names are read for what is shown only.
            if n_all > wanted.from && rows.len() < wanted.limit {
                rows.push(names.row(session, (task, overdue), plan, &ids));
            }
        }
    }
    Ok(Found { plan: only, rows, n_all })
}

/// A wish for something by its name: what it came to in a plan, if the plan has it at all.
enum Wish<T> {
    Of(Option<T>),
    Nothing,
}

fn named<T>(
    name: Option<&String>,
    is_only: bool,
    find: impl FnOnce(&str) -> Result<T, Error>,
) -> Result<Wish<T>, Failure> {
    let Some(name) = name else { return Ok(Wish::Of(None)) };
    match find(name) {
        Ok(found) => Ok(Wish::Of(Some(found))),
        Err(Error::NotFound { .. }) if !is_only => Ok(Wish::Nothing),
        Err(error) => Err(Failure::from(&error)),
    }
}

type Wishes = (Option<BucketId>, Option<Category>, Option<User>);

fn is_wanted(wanted: &Wanted, task: &Task, (bucket, label, person): &Wishes) -> bool {
    let is_done = task.percent_complete >= 100;
    bucket.as_ref().is_none_or(|bucket| task.bucket.as_ref() == Some(bucket))
        && label.as_ref().is_none_or(|label| task.categories.contains(label))
        && person.as_ref().is_none_or(|person| is_assigned(task, person))
        && wanted.progress.is_none_or(|progress| task.progress() == progress)
        && wanted.is_completed.is_none_or(|is_completed| is_completed == is_done)
}

fn is_assigned(task: &Task, person: &User) -> bool {
    let mut there = task.assignments.keys();
    there.any(|id| id.as_str().eq_ignore_ascii_case(person.id.as_str()))
}

fn is_overdue(session: &Session, task: &Task) -> bool {
    let is_past = |due| day_of_date(due, &session.zone()) < session.today();
    task.percent_complete < 100 && task.due.is_some_and(is_past)
}

/// The due dates that are asked for.
#[derive(Debug, Clone, Copy)]
enum Due {
    Overdue,
    Between(Option<Date>, Option<Date>),
}

impl Due {
    fn holds(self, session: &Session, task: &Task, overdue: bool) -> bool {
        match self {
            Self::Overdue => overdue,
            Self::Between(from, to) => task.due.is_some_and(|due| {
                let day = day_of_date(due, &session.zone());
                from.is_none_or(|from| from <= day) && to.is_none_or(|to| day <= to)
            }),
        }
    }
}

fn days(session: &Session, text: &str) -> Result<Due, Failure> {
    let calendar = Calendar::at(session.now(), session.zone());
    let day = |text: &str| {
        let day = calendar.day(text);
        day.map_err(|error| {
            let more = "; `due` also takes overdue, this-week and today..+2w";
            wrong(error.to_string(), &format!("{DATE_FORMS}{more}"))
        })
    };
    let side = |text: &str| match text.trim() {
        "" => Ok(None),
        text => day(text).map(Some),
    };
    match text.trim().to_lowercase().as_str() {
        "overdue" => Ok(Due::Overdue),
        "this-week" | "this week" => {
            let today = session.today();
            let gone = i64::from(today.weekday().to_monday_zero_offset());
            let monday = today.checked_sub(Span::new().days(gone)).unwrap_or(today);
            let sunday = monday.checked_add(Span::new().days(6)).unwrap_or(today);
            Ok(Due::Between(Some(monday), Some(sunday)))
        }
        _ => match text.split_once("..") {
            Some((from, to)) => Ok(Due::Between(side(from)?, side(to)?)),
            None => {
                let day = day(text)?;
                Ok(Due::Between(Some(day), Some(day)))
            }
        },
    }
}

/// Names that were read already.
#[derive(Default)]
struct Names {
    people: BTreeMap<UserId, String>,
    buckets: BTreeMap<BucketId, String>,
    labels: BTreeMap<PlanId, BTreeMap<Category, String>>,
}

impl Names {
    fn row(
        &mut self,
        session: &Session,
        (task, overdue): (Task, bool),
        plan: &Plan,
        ids: &[String],
    ) -> Row {
        let bucket = task.bucket.as_ref().map(|id| {
            let read = || session.bucket(id).map_or_else(|_| id.to_string(), |found| found.name);
            self.buckets.entry(id.clone()).or_insert_with(read).clone()
        });
        let people = &mut self.people;
        let assigned = task.assignments.keys().map(|id| {
            let read = || {
                let user = session.user_by_id(id);
                user.map_or_else(|| id.to_string(), |user| user.label().to_owned())
            };
            people.entry(id.clone()).or_insert_with(read).clone()
        });
        let assigned = assigned.collect();
        let labels = if task.categories.is_empty() {
            Vec::new()
        } else {
            let of_plan = self.labels.entry(plan.id.clone()).or_insert_with(|| {
                session.plan_details(&plan.id).map(|details| details.labels).unwrap_or_default()
            });
            let name =
                |label: &Category| of_plan.get(label).cloned().unwrap_or_else(|| label.to_string());
            task.categories.iter().map(name).collect()
        };
        Row {
            reference: short(task.id.as_str(), ids).to_owned(),
            plan: plan.title.clone(),
            bucket: bucket.unwrap_or_default(),
            due: task.due.map(|due| day_of_date(due, &session.zone())),
            overdue,
            assigned,
            labels,
            task,
        }
    }
}

/// Returns the shortest beginning of an id, of four characters at least, that no other of these
/// (in their order) begins with.
fn short<'a>(id: &'a str, ids: &[String]) -> &'a str {
    let common = |other: Option<&String>| {
        let other = other.map(String::as_str).unwrap_or_default();
        id.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count()
    };
    let at = ids.partition_point(|other| other.as_str() < id);
    let before = at.checked_sub(1).and_then(|before| ids.get(before));
    // In their order, those beside an id have the most in common with it.
    let n = common(before).max(common(ids.get(at + 1))) + 1;
    id.get(..n.max(MIN_SHORT_ID)).unwrap_or(id)
}

/// Returns a text as a cell: on one line, within its borders.
fn cell(text: &str) -> String {
    shortened(&visible(text), MAX_CELL).replace('|', "\\|")
}

fn drawn(wanted: &Wanted, found: &Found) -> Answer {
    let shown = found.rows.len();
    let left_out = found.n_all.saturating_sub(wanted.from + shown);
    let next = (left_out > 0).then(|| (wanted.from + shown).to_string());
    let mut heads = vec!["ref", "title", "bucket", "progress", "due", "assigned", "labels"];
    if found.plan.is_none() {
        heads.push("plan");
    }
    if wanted.ids {
        heads.push("id");
    }
    let mut lines = Vec::new();
    match &found.plan {
        Some(plan) => {
            lines.push(format!(
                "plan \"{}\" (id {}): {} tasks",
                cell(&plan.title),
                plan.id,
                found.n_all
            ));
        }
        None => lines.push(format!("{} tasks in all plans", found.n_all)),
    }
    lines.push(heads.join(" | "));
    lines.extend(found.rows.iter().map(|row| {
        let due = row.due.map(|due| due.to_string()).unwrap_or_default();
        let mut cells = vec![
            cell(&row.reference),
            cell(&row.task.title),
            cell(&row.bucket),
            row.task.progress().name().to_owned(),
            if row.overdue { format!("{due} overdue") } else { due },
            cell(&row.assigned.join(", ")),
            cell(&row.labels.join(", ")),
        ];
        cells.extend(found.plan.is_none().then(|| cell(&row.plan)));
        cells.extend(wanted.ids.then(|| row.task.id.to_string()));
        cells.join(" | ")
    }));
    if left_out > 0 {
        let how = if wanted.everywhere { "ask for less" } else { "go on with next_cursor" };
        lines.push(format!("… {left_out} more are left out; {how}"));
    }
    let next = next.filter(|_| !wanted.everywhere);
    if let Some(next) = &next {
        lines.push(format!("next_cursor: {next}"));
    }
    let tasks: Vec<Value> = found.rows.iter().map(|row| value(row, wanted.ids, found)).collect();
    let data = json!({
        "plan": found.plan.as_ref().map(|plan| plan.title.as_str()),
        "tasks": tasks,
        "left_out": left_out,
        "next_cursor": next,
    });
    Answer::new(lines.join("\n"), data)
}

fn value(row: &Row, ids: bool, found: &Found) -> Value {
    let mut value = json!({
        "ref": row.reference,
        "title": row.task.title,
        "bucket": row.bucket,
        "progress": row.task.progress().name(),
        "due": row.due.map(|due| due.to_string()),
        "assigned": row.assigned,
        "labels": row.labels,
    });
    if found.plan.is_none() {
        value["plan"] = json!(row.plan);
    }
    if ids {
        value["id"] = json!(row.task.id.as_str());
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_id_is_that_of_one_task() {
        let ids = ["abcdef1x", "abcdef2x", "zzzzzz00"].map(str::to_owned);
        assert_eq!(short("abcdef1x", &ids), "abcdef1");
        assert_eq!(short("abcdef2x", &ids), "abcdef2");
        assert_eq!(short("zzzzzz00", &ids), "zzzzzz");
    }

    #[test]
    fn a_title_stays_in_its_cell() {
        assert_eq!(cell("a | b\nc\u{202e}"), "a \\| b⏎c<U+202E>");
    }
}
