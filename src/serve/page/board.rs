//! The board: columns by bucket, each card with who, when and how far, and what a set that waits would
//! change of it.

use std::collections::BTreeMap;

use askama::Template;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::app::error::AppError;
use crate::app::shown::pending::saved;
use crate::app::shown::visible;
use crate::host::SystemClock;
use crate::journal::kept::KeptState;
use crate::model::Clock as _;
use crate::model::time::day_of_date;
use crate::serve::api::boards;
use crate::serve::call::{Call, Reply};
use crate::serve::desk::Work;
use crate::serve::page::changes::{FieldView, fields};
use crate::serve::page::layout::{Frame, Times, page, path, text};

/// The most completed tasks of a column that are shown.
const MAX_DONE: usize = 20;
/// The most sets, and changes of each, that are looked for on the cards.
const MAX_SETS: usize = 50;
const MAX_CHANGES: usize = 200;

/// A person on a card.
struct Person {
    name: String,
    initials: String,
    /// One of eight colours, always the same for a person.
    hue: u32,
}

/// A change of a task by a set that waits.
#[derive(Clone)]
struct Proposal {
    who: String,
    op: String,
    fields: Vec<FieldView>,
}

struct Card {
    id: String,
    title: String,
    progress: String,
    due: String,
    due_kind: &'static str,
    priority: &'static str,
    people: Vec<Person>,
    labels: Vec<String>,
    checklist: u64,
    has_notes: bool,
    url: String,
    proposals: Vec<Proposal>,
}

/// A task that a set that waits would create.
struct Coming {
    title: String,
    who: String,
}

struct Column {
    id: String,
    name: String,
    n_open: usize,
    cards: Vec<Card>,
    done: Vec<Card>,
    n_done: usize,
    coming: Vec<Coming>,
}

struct PlanLink {
    id: String,
    title: String,
    is_here: bool,
}

#[derive(Template)]
#[template(path = "board.html")]
struct BoardPage {
    frame: Frame,
    plans: Vec<PlanLink>,
    plan: String,
    columns: Vec<Column>,
    left_out: u64,
    n_tasks: usize,
    n_overdue: usize,
}

fn initials(name: &str) -> String {
    let mut words = name.split_whitespace().filter_map(|word| word.chars().next());
    let (first, last) = (words.next(), words.next_back());
    first.into_iter().chain(last).flat_map(char::to_uppercase).collect()
}

fn person(value: &Value) -> Person {
    let name = [&value["displayName"], &value["upn"], &value["id"]];
    let name = name.iter().find_map(|name| name.as_str()).unwrap_or_default();
    let hue =
        name.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
    Person { name: visible(name), initials: visible(&initials(name)), hue: hue % 8 }
}

/// Returns a due date as people say it, and how near it is.
fn due(times: &Times, task: &Value) -> (String, &'static str) {
    let at = task["dueDateTime"].as_str().and_then(|text| text.parse::<Timestamp>().ok());
    let Some(at) = at else { return (String::new(), "") };
    let day = day_of_date(at, &times.zone);
    let days = (day - times.today()).get_days();
    let told = match days {
        0 => "today".to_owned(),
        1 => "tomorrow".to_owned(),
        -1 => "yesterday".to_owned(),
        2..=6 => day.strftime("%A").to_string(),
        _ if day.year() == times.today().year() => day.strftime("%-d %b").to_string(),
        _ => day.strftime("%-d %b %Y").to_string(),
    };
    let is_done = task["percentComplete"].as_u64() == Some(100);
    let kind = match days {
        _ if is_done => "done",
        _ if days < 0 => "late",
        0..=1 => "soon",
        _ => "",
    };
    (told, kind)
}

fn card(times: &Times, task: &Value, proposals: &BTreeMap<String, Vec<Proposal>>) -> Card {
    let (due, due_kind) = due(times, task);
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let id = text(&task["id"]);
    Card {
        title: text(&task["title"]),
        progress: text(&task["progress"]),
        due,
        due_kind,
        priority: match task["priority"].as_u64() {
            Some(0..=1) => "urgent",
            Some(2..=4) => "important",
            _ => "",
        },
        people: list(&task["assignees"]).iter().map(person).take(5).collect(),
        labels: list(&task["labels"]).iter().map(text).take(6).collect(),
        checklist: task["checklistItemCount"].as_u64().unwrap_or(0),
        has_notes: task["hasDescription"] == true,
        // The program has made it itself, of the ids.
        url: text(&task["url"]),
        proposals: proposals.get(&id).cloned().unwrap_or_default(),
        id,
    }
}

/// Everything that the sets that wait would do to tasks.
#[derive(Default)]
struct Proposed {
    /// Changes, by the ids of the tasks.
    changed: BTreeMap<String, Vec<Proposal>>,
    /// New tasks, by the ids of their buckets.
    made: BTreeMap<String, Vec<(String, String)>>,
}

fn proposed(work: &Work, times: &Times) -> Result<Proposed, AppError> {
    let mut all = Proposed::default();
    let mut held = work.app.held_sets(false, SystemClock.now())?;
    held.retain(|set| set.state == KeptState::Pending);
    for set in held.iter().rev().take(MAX_SETS) {
        let saved = saved(set)?;
        let who = visible(saved.agent.as_deref().unwrap_or(&saved.skill));
        for change in saved.change_set.changes().iter().take(MAX_CHANGES) {
            let mut values = Map::new();
            for (field, change) in change.fields() {
                let both = json!({ "before": change.before, "after": change.after });
                values.insert(field.to_string(), both);
            }
            let op = change.op().name();
            if op == "create" && change.entity().name() == "task" {
                let bucket = values.get("bucketId").and_then(|field| field["after"].as_str());
                let bucket = bucket.unwrap_or_default().to_owned();
                let made = (visible(change.title()), who.clone());
                all.made.entry(bucket).or_default().push(made);
            } else {
                let fields = fields(&work.desk, times, &Value::Object(values));
                let proposal = Proposal { who: who.clone(), op: op.to_owned(), fields };
                all.changed.entry(change.id().to_string()).or_default().push(proposal);
            }
        }
    }
    Ok(all)
}

fn column(times: &Times, bucket: &Value, proposed: &Proposed) -> Column {
    let tasks = bucket["tasks"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_done = |task: &&Value| task["percentComplete"].as_u64() == Some(100);
    let (done, open): (Vec<&Value>, Vec<&Value>) = tasks.iter().partition(is_done);
    let id = bucket["id"].as_str().unwrap_or_default();
    let coming = proposed.made.get(id).into_iter().flatten();
    let card = |task: &&Value| card(times, task, &proposed.changed);
    Column {
        id: visible(id),
        name: text(&bucket["name"]),
        n_open: open.len(),
        cards: open.iter().map(card).collect(),
        n_done: done.len(),
        done: done.iter().take(MAX_DONE).map(card).collect(),
        coming: coming
            .map(|(title, who)| Coming { title: title.clone(), who: who.clone() })
            .collect(),
    }
}

/// Answers `/`.
pub(crate) fn show(work: &Work, call: &Call) -> Result<Reply, AppError> {
    let times = Times::of(work)?;
    let frame = Frame::live(work, call, ("Board", "/", "run pending board"))?;
    let plans = boards::plans(work)?;
    let wanted = call.asked("plan").map(str::to_owned);
    let Some(wanted) = wanted.or_else(|| plans.first().map(|(id, _)| id.clone())) else {
        return page(&BoardPage {
            frame,
            plans: Vec::new(),
            plan: String::new(),
            columns: Vec::new(),
            left_out: 0,
            n_tasks: 0,
            n_overdue: 0,
        });
    };
    let board = boards::board(work, &wanted)?;
    let proposed = proposed(work, &times)?;
    let buckets = board["buckets"].as_array().map(Vec::as_slice).unwrap_or_default();
    let tasks = || buckets.iter().flat_map(|bucket| bucket["tasks"].as_array()).flatten();
    let plan_id = text(&board["id"]);
    let link = |(id, title): (String, String)| PlanLink {
        is_here: id == plan_id,
        title: visible(&title),
        id: path(&[&id]).trim_start_matches('/').to_owned(),
    };
    page(&BoardPage {
        frame,
        plans: plans.into_iter().map(link).collect(),
        plan: text(&board["title"]),
        left_out: board["left_out"].as_u64().unwrap_or(0),
        n_tasks: tasks().count(),
        n_overdue: tasks().filter(|task| task["isOverdue"] == true).count(),
        columns: buckets.iter().map(|bucket| column(&times, bucket, &proposed)).collect(),
    })
}
