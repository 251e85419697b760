//! One entity in full, prepared once for all formats.

use serde_json::{Value, json};

use crate::app::shown::entity;
use crate::app::shown::tasks::Names;
use crate::cli::render::text::visible;
use crate::host::{Failure, Session};
use crate::model::time::{day_of_date, day_of_moment};
use crate::model::{BucketId, TaskId, UserId};

/// An entity, ready to be shown in any format.
#[derive(Debug)]
pub(crate) struct Card {
    pub(crate) title: String,
    /// Names and values, those without a value included.
    pub(crate) lines: Vec<(&'static str, String)>,
    pub(crate) body: String,
    /// The same as JSON, with the names of Graph.
    pub(crate) value: Value,
}

/// Puts each line of a text from the board behind a margin, so that none can pass for a line of the
/// program.
fn quoted(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    text.trim_end().split('\n').map(|line| format!("│ {line}\n")).collect()
}

pub(crate) fn plan(session: &Session, name: &str) -> Result<Card, Failure> {
    let plan = session.plan(&session.find_plan(name)?)?;
    let mut buckets = Vec::new();
    for id in session.buckets(&plan.id)? {
        buckets.push(session.bucket(&id)?.name);
    }
    let details = session.plan_details(&plan.id)?;
    let groups = session.groups().unwrap_or_default();
    let group = groups.into_iter().find(|group| Some(&group.id) == plan.group.as_ref());
    let mut value = entity::plan(&plan);
    if let Some(map) = value.as_object_mut() {
        let labels = details
            .labels
            .iter()
            .map(|(slot, name)| (slot.to_string(), Value::from(name.as_str())));
        map.insert("categoryDescriptions".into(), Value::Object(labels.collect()));
        let shared = details.shared_with.iter().map(|user| Value::from(user.as_str()));
        map.insert("sharedWith".into(), Value::Array(shared.collect()));
    }
    let n_tasks = session.tasks(&plan.id)?.len();
    Ok(Card {
        lines: vec![
            ("id", plan.id.to_string()),
            ("group", group.map(|group| group.name).unwrap_or_default()),
            ("buckets", buckets.join(", ")),
            ("labels", details.labels.into_values().collect::<Vec<_>>().join(", ")),
            ("tasks", n_tasks.to_string()),
            ("archived", if plan.archival.is_archived { "yes" } else { "" }.to_owned()),
        ],
        title: plan.title,
        body: String::new(),
        value,
    })
}

pub(crate) fn plan_details(session: &Session, name: &str) -> Result<Card, Failure> {
    let plan = session.plan(&session.find_plan(name)?)?;
    let details = session.plan_details(&plan.id)?;
    let person =
        |id| session.user_by_id(id).map_or_else(|| id.to_string(), |user| user.label().to_owned());
    let shared: Vec<_> = details.shared_with.iter().map(person).collect();
    let labels = details.labels.iter().map(|(slot, name)| format!("{slot}  {name}"));
    Ok(Card {
        lines: vec![("id", plan.id.to_string()), ("shared with", shared.join(", "))],
        body: labels.collect::<Vec<_>>().join("\n"),
        value: entity::plan_details(&plan.id, &details),
        title: plan.title,
    })
}

pub(crate) fn bucket(session: &Session, id: &BucketId) -> Result<Card, Failure> {
    let bucket = session.bucket(id)?;
    let plan = session.plan(&bucket.plan)?;
    let mut titles = Vec::new();
    let mut tasks = Vec::new();
    for id in session.tasks_in_order(id)? {
        let task = session.task(&id)?;
        let percent = task.percent_complete;
        tasks.push(json!({ "id": task.id, "title": task.title, "percentComplete": percent }));
        let mark = if task.percent_complete == 100 { "[x]" } else { "[ ]" };
        // A title on several lines must not look like several tasks.
        titles.push(format!("{mark} {}", visible(&task.title)));
    }
    Ok(Card {
        lines: vec![
            ("id", bucket.id.to_string()),
            ("plan", plan.title),
            ("tasks", titles.len().to_string()),
        ],
        body: titles.join("\n"),
        value: {
            let mut value = entity::bucket(&bucket);
            value["tasks"] = Value::Array(tasks);
            value
        },
        title: bucket.name,
    })
}

pub(crate) fn user(session: &Session, id: &UserId) -> Card {
    let user = session.user_by_id(id);
    let text = |of: fn(&crate::model::User) -> String| user.as_ref().map(of).unwrap_or_default();
    let (name, upn) = (text(|user| user.name.clone()), text(|user| user.upn.clone()));
    Card {
        value: json!({ "id": id, "displayName": name, "userPrincipalName": upn }),
        lines: vec![("id", id.to_string()), ("sign-in name", upn)],
        title: if name.is_empty() { id.to_string() } else { name },
        body: String::new(),
    }
}

pub(crate) fn task(session: &Session, id: &TaskId) -> Result<Card, Failure> {
    let task = session.task(id)?;
    let details = session.details(id)?;
    let plan = session.plan(&task.plan)?;
    let of_plan = plan.clone();
    let bucket = task.bucket.as_ref().map(|id| session.bucket(id)).transpose()?;
    let person =
        |id| session.user_by_id(id).map_or_else(|| id.to_string(), |user| user.label().to_owned());
    let assignees: Vec<_> = task.assignments.keys().map(person).collect();
    let mut labels = Vec::new();
    for category in &task.categories {
        labels.push(session.label_name(&task.plan, *category)?);
    }
    let zone = &session.facts().zone;
    let date = |date: Option<jiff::Timestamp>| {
        date.map(|date| day_of_date(date, zone).to_string()).unwrap_or_default()
    };
    let day = |moment: Option<jiff::Timestamp>| {
        moment.map(|moment| day_of_moment(moment, zone).to_string()).unwrap_or_default()
    };
    let completed_by = task.completed_by.as_ref().map(|id| format!(" by {}", person(id)));
    let order = details.checklist_order();
    let checklist: Vec<_> = order.iter().filter_map(|key| details.checklist.get(key)).collect();
    let mut body = String::new();
    if !details.description.is_empty() {
        body.push_str(&quoted(&details.description));
        body.push('\n');
    }
    for item in checklist {
        let mark = if item.checked { "[x]" } else { "[ ]" };
        body.extend([mark, " ", &visible(&item.title), "\n"]);
    }
    for (key, reference) in &details.references {
        let url = crate::model::link::decode(key);
        let alias = reference.alias.as_deref().unwrap_or("link");
        body.extend([&visible(alias), ": ", &visible(&url), "\n"]);
    }
    Ok(Card {
        lines: vec![
            ("id", task.id.to_string()),
            ("plan", plan.title),
            ("bucket", bucket.map(|bucket| bucket.name).unwrap_or_default()),
            (
                "progress",
                format!(
                    "{} ({} %)",
                    task.progress().name().replace('_', " "),
                    task.percent_complete
                ),
            ),
            ("priority", format!("{} ({})", task.priority.name(), task.priority.level())),
            ("start", date(task.start)),
            ("due", date(task.due)),
            (
                "completed",
                task.completed_at
                    .map(|moment| day(Some(moment)) + completed_by.as_deref().unwrap_or_default())
                    .unwrap_or_default(),
            ),
            ("assigned to", assignees.join(", ")),
            ("labels", labels.join(", ")),
            ("created", day(task.created_at)),
            ("repeats", task.recurrence().map(entity::recurrence).unwrap_or_default()),
        ],
        value: Names::new(session, true).row(task.clone(), of_plan).value(Some(&details)),
        title: task.title,
        body,
    })
}
