//! Tasks as a list, with names instead of ids wherever they can be read.

use std::collections::BTreeMap;

use clap::ValueEnum;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::cli::render::entity;
use crate::cli::render::table::Column;
use crate::host::Session;
use crate::model::snapshot::folded;
use crate::model::time::{day_of_date, day_of_moment};
use crate::model::{Category, Plan, PlanId, Task, User, UserId, link};

/// A column of a list of tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TaskColumn {
    Title,
    Plan,
    Bucket,
    Progress,
    Priority,
    Start,
    Due,
    Assigned,
    Labels,
    Created,
    Completed,
    Id,
}

impl TaskColumn {
    /// Returns the columns that are shown unless others are asked for; with the plan if there are
    /// several.
    fn usual(several: bool) -> Vec<Self> {
        let rest = [Self::Title, Self::Bucket, Self::Progress, Self::Due, Self::Assigned, Self::Id];
        let plan = several.then_some(Self::Plan);
        plan.into_iter().chain(rest).collect()
    }

    const fn head(self) -> &'static str {
        match self {
            Self::Title => "TITLE",
            Self::Plan => "PLAN",
            Self::Bucket => "BUCKET",
            Self::Progress => "PROGRESS",
            Self::Priority => "PRIORITY",
            Self::Start => "START",
            Self::Due => "DUE",
            Self::Assigned => "ASSIGNED TO",
            Self::Labels => "LABELS",
            Self::Created => "CREATED",
            Self::Completed => "COMPLETED",
            Self::Id => "ID",
        }
    }
}

/// A value by which tasks are sorted. Values of one column are all of one kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SortKey {
    Text(String),
    Number(u8),
    Day(Date),
    Moment(Timestamp),
}

/// A person on a task: an entry of the directory, or only an id.
#[derive(Debug)]
struct Assignee {
    id: UserId,
    user: Option<User>,
}

impl Assignee {
    fn label(&self) -> &str {
        self.user.as_ref().map_or(self.id.as_str(), User::label)
    }

    fn value(&self) -> Value {
        let user = self.user.as_ref();
        json!({
            "id": self.id,
            "displayName": user.map(|user| &user.name),
            "upn": user.map(|user| &user.upn),
        })
    }
}

/// A task with the names of what it belongs to.
#[derive(Debug)]
pub(crate) struct Row {
    task: Task,
    plan: Plan,
    bucket: Option<String>,
    assignees: Vec<Assignee>,
    labels: Vec<String>,
    overdue: bool,
}

/// Returns whether a task is open and past its due date.
pub(crate) fn is_overdue(session: &Session, task: &Task) -> bool {
    let zone = session.zone();
    let is_past = |due| day_of_date(due, &zone) < session.today();
    task.percent_complete < 100 && task.due.is_some_and(is_past)
}

/// The names in a list of tasks. Each person and the labels of each plan are read once, however many
/// tasks have them, and also if they cannot be read.
#[derive(Debug)]
pub(crate) struct Names<'s> {
    session: &'s Session,
    /// True if labels are shown, which costs a request for each plan.
    labels_too: bool,
    people: BTreeMap<UserId, Option<User>>,
    labels: BTreeMap<PlanId, BTreeMap<Category, String>>,
}

impl<'s> Names<'s> {
    pub(crate) fn new(session: &'s Session, labels_too: bool) -> Self {
        Self { session, labels_too, people: BTreeMap::new(), labels: BTreeMap::new() }
    }

    /// Returns a task with the names of what it belongs to; ids if they cannot be read.
    pub(crate) fn row(&mut self, task: Task, plan: Plan) -> Row {
        let bucket = task.bucket.as_ref().and_then(|id| self.session.bucket(id).ok());
        let mut assignees = Vec::new();
        for id in task.assignments.keys() {
            assignees.push(Assignee { id: id.clone(), user: self.person(id) });
        }
        Row {
            bucket: bucket.map(|bucket| bucket.name),
            assignees,
            labels: if self.labels_too { self.labels_of(&task) } else { Vec::new() },
            overdue: is_overdue(self.session, &task),
            plan,
            task,
        }
    }

    fn person(&mut self, id: &UserId) -> Option<User> {
        let session = self.session;
        let known = self.people.entry(id.clone());
        known.or_insert_with(|| session.user_by_id(id)).clone()
    }

    fn labels_of(&mut self, task: &Task) -> Vec<String> {
        if task.categories.is_empty() {
            return Vec::new();
        }
        let session = self.session;
        let named = self.labels.entry(task.plan.clone()).or_insert_with(|| {
            session.plan_details(&task.plan).map(|details| details.labels).unwrap_or_default()
        });
        let name =
            |label: &Category| named.get(label).cloned().unwrap_or_else(|| label.to_string());
        task.categories.iter().map(name).collect()
    }
}

impl Row {
    /// Returns the value by which a column sorts the task; `None` if it has none.
    pub(crate) fn sort_key(&self, column: TaskColumn, zone: &TimeZone) -> Option<SortKey> {
        let task = &self.task;
        let text = |text: &str| (!text.is_empty()).then(|| SortKey::Text(folded(text)));
        let day = |date: Timestamp| SortKey::Day(day_of_date(date, zone));
        match column {
            TaskColumn::Title => text(&task.title),
            TaskColumn::Plan => text(&self.plan.title),
            TaskColumn::Bucket => text(self.bucket.as_deref().unwrap_or_default()),
            TaskColumn::Progress => Some(SortKey::Number(task.percent_complete)),
            TaskColumn::Priority => Some(SortKey::Number(task.priority.level())),
            TaskColumn::Start => task.start.map(day),
            TaskColumn::Due => task.due.map(day),
            TaskColumn::Assigned => text(&self.assigned_to()),
            TaskColumn::Labels => text(&self.labels.join(", ")),
            TaskColumn::Created => task.created_at.map(SortKey::Moment),
            TaskColumn::Completed => task.completed_at.map(SortKey::Moment),
            TaskColumn::Id => Some(SortKey::Text(task.id.to_string())),
        }
    }

    fn assigned_to(&self) -> String {
        self.assignees.iter().map(Assignee::label).collect::<Vec<_>>().join(", ")
    }

    fn cell(&self, column: TaskColumn, zone: &TimeZone, plain: bool) -> String {
        let task = &self.task;
        let date = |date: Option<Timestamp>| {
            date.map(|date| day_of_date(date, zone).to_string()).unwrap_or_default()
        };
        let day = |moment: Option<Timestamp>| {
            moment.map(|moment| day_of_moment(moment, zone).to_string()).unwrap_or_default()
        };
        match column {
            TaskColumn::Title => task.title.clone(),
            TaskColumn::Plan => self.plan.title.clone(),
            TaskColumn::Bucket => self.bucket.clone().unwrap_or_default(),
            TaskColumn::Progress => task.progress().name().replace('_', " "),
            TaskColumn::Priority => task.priority.name().to_owned(),
            TaskColumn::Start => date(task.start),
            TaskColumn::Due if self.overdue && !plain => format!("{} !", date(task.due)),
            TaskColumn::Due => date(task.due),
            TaskColumn::Assigned => self.assigned_to(),
            TaskColumn::Labels => self.labels.join(", "),
            TaskColumn::Created => day(task.created_at),
            TaskColumn::Completed => day(task.completed_at),
            TaskColumn::Id => task.id.to_string(),
        }
    }

    /// Returns the task as JSON: as Graph has it, with names beside the ids.
    pub(crate) fn value(&self) -> Value {
        let mut value = entity::task(&self.task, None);
        if let Some(map) = value.as_object_mut() {
            let assignees: Vec<Value> = self.assignees.iter().map(Assignee::value).collect();
            map.insert("planTitle".into(), json!(self.plan.title));
            map.insert("bucketName".into(), json!(self.bucket));
            map.insert("assignees".into(), Value::Array(assignees));
            map.insert("labels".into(), json!(self.labels));
            map.insert("url".into(), json!(link::of_task(&self.task.plan, &self.task.id)));
        }
        value
    }
}

/// A list of tasks: its columns, its cells row by row, and those that are marked as overdue.
#[derive(Debug)]
pub(crate) struct TaskTable {
    pub(crate) columns: Vec<Column>,
    pub(crate) cells: Vec<Vec<String>>,
    /// The number of the column with the due dates, if it is shown.
    due: Option<usize>,
    overdue: Vec<bool>,
}

impl TaskTable {
    /// Returns whether a cell is the due date of a task that is overdue.
    pub(crate) fn is_overdue(&self, row: usize, column: usize) -> bool {
        self.due == Some(column) && self.overdue.get(row) == Some(&true)
    }

    /// Returns whether any cell is marked as overdue.
    pub(crate) fn has_marks(&self) -> bool {
        self.due.is_some() && self.overdue.contains(&true)
    }
}

/// Returns the list of tasks with the columns asked for, or the usual ones; for programs (`plain`)
/// or for people.
pub(crate) fn table(
    rows: &[Row],
    zone: &TimeZone,
    asked: Option<&[TaskColumn]>,
    plain: bool,
) -> TaskTable {
    // Programs need the same columns every time.
    let several = plain || rows.windows(2).any(|pair| pair[0].plan.id != pair[1].plan.id);
    let columns = asked.map_or_else(|| TaskColumn::usual(several), <[TaskColumn]>::to_vec);
    let column = |column: &TaskColumn| match column {
        TaskColumn::Id if asked.is_none() => Column::optional(column.head()),
        TaskColumn::Id => Column::whole(column.head()),
        TaskColumn::Title => Column::title(column.head()),
        _ => Column::new(column.head()),
    };
    let cells = |row: &Row| -> Vec<String> {
        columns.iter().map(|column| row.cell(*column, zone, plain)).collect()
    };
    TaskTable {
        cells: rows.iter().map(cells).collect(),
        due: columns.iter().position(|column| *column == TaskColumn::Due),
        overdue: rows.iter().map(|row| row.overdue && !plain).collect(),
        columns: columns.iter().map(column).collect(),
    }
}
