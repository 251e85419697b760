//! Tasks with the names of what they belong to, so that nobody has to look an id up.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::app::shown::entity;
use crate::host::Session;
use crate::model::time::day_of_date;
use crate::model::{Category, Plan, PlanId, Task, TaskDetails, User, UserId, link};

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
    pub(crate) task: Task,
    pub(crate) plan: Plan,
    pub(crate) bucket: Option<String>,
    assignees: Vec<Assignee>,
    pub(crate) labels: Vec<String>,
    pub(crate) overdue: bool,
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
    /// Returns the people it is assigned to, by name.
    pub(crate) fn assigned_to(&self) -> String {
        self.assignees.iter().map(Assignee::label).collect::<Vec<_>>().join(", ")
    }

    /// Returns the task as JSON: as Graph has it, with names beside the ids.
    pub(crate) fn value(&self, details: Option<&TaskDetails>) -> Value {
        let mut value = entity::task(&self.task, details);
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
