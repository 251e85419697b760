//! The board as a file: what a plan is to look like, written and read by people.
//!
//! A field that is present is wanted, one that is absent is left alone, so every field but the
//! names is an `Option`. What is empty or as Planner would set it is not written. The base at
//! the end says what the board was when the file was pulled; see [`Marks`].

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::category::Category;
use crate::model::id::{BucketId, PlanId, TaskId};
use crate::model::progress::{Priority, Progress};

mod base;
mod entry;
mod yaml;

pub use base::{Decision, Marks, decide, with_plain_lines};
pub use base::{alias_text, checked_text, day_text, day_text_of, label_text, priority_text};
pub use entry::{ItemEntry, LinkEntry};

/// The version of the format; a reader refuses any newer.
pub const FORMAT: u32 = 1;

/// The deepest nesting that is read: a file has six levels.
const MAX_DEPTH: usize = 16;
/// The most YAML aliases that are followed.
const MAX_ALIASES: usize = 1_000;
/// The most values that aliases may stand for, all together.
const MAX_REPEATED: usize = 100_000;

/// What a plan is to look like.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoardFile {
    /// The version of the format.
    pub format: u32,
    /// The title of the plan: the name to find it by, or, with an id, the title wanted.
    pub plan: String,
    /// The id of the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<PlanId>,
    /// The names of its labels; an empty one takes the name away.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[serde(deserialize_with = "entry::labels", serialize_with = "entry::write_labels")]
    pub labels: BTreeMap<Category, String>,
    /// Its buckets, in board order when pulled.
    #[serde(default, deserialize_with = "entry::or_empty", skip_serializing_if = "Vec::is_empty")]
    pub buckets: Vec<BucketEntry>,
    /// Tasks that are in no bucket.
    #[serde(default, deserialize_with = "entry::or_empty", skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<TaskEntry>,
    /// What the board was when it was pulled, by the ids of plan, buckets and tasks; plain
    /// desired state if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<BTreeMap<String, Marks>>,
}

/// A bucket and the tasks that are to be in it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BucketEntry {
    /// The name to find it by, or, with an id, the name wanted.
    pub name: String,
    /// Its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<BucketId>,
    /// Its tasks, from top to bottom when pulled.
    #[serde(default, deserialize_with = "entry::or_empty", skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<TaskEntry>,
}

/// A task, and what of it is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskEntry {
    /// The title: the name to find it by, or, with an id or a key, the title wanted.
    pub title: String,
    /// Its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<TaskId>,
    /// What makes it the same task each time; kept as a reference on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// How far it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(deserialize_with = "entry::progress", serialize_with = "entry::write_progress")]
    pub progress: Option<Progress>,
    /// How urgent it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(deserialize_with = "entry::priority", serialize_with = "entry::write_priority")]
    pub priority: Option<Priority>,
    /// The day it begins, in the configured zone; `Some(None)` for none.
    #[serde(default, deserialize_with = "entry::day", skip_serializing_if = "Option::is_none")]
    pub start: Option<Option<Date>>,
    /// The day it is due, in the configured zone; `Some(None)` for none.
    #[serde(default, deserialize_with = "entry::day", skip_serializing_if = "Option::is_none")]
    pub due: Option<Option<Date>>,
    /// Who is to work on it, by sign-in name.
    #[serde(default, deserialize_with = "entry::given", skip_serializing_if = "Option::is_none")]
    pub assignees: Option<Vec<String>>,
    /// Labels to be on it, by name or as `category7`.
    #[serde(default, deserialize_with = "entry::given", skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    /// Its description; `Some` of an empty text for none.
    #[serde(default, deserialize_with = "entry::given", skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Lines to be on its checklist, top down.
    #[serde(default, deserialize_with = "entry::given", skip_serializing_if = "Option::is_none")]
    pub checklist: Option<Vec<ItemEntry>>,
    /// Links to be on it.
    #[serde(default, deserialize_with = "entry::given", skip_serializing_if = "Option::is_none")]
    pub references: Option<Vec<LinkEntry>>,
}

/// Why a text is no board file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NotABoard {
    /// What is wrong with it.
    pub message: String,
    /// Where: line and column, from 1; `None` if that is not one place.
    pub at: Option<(usize, usize)>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl NotABoard {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), at: None, hint: None }
    }

    fn hint(self, hint: &str) -> Self {
        Self { hint: Some(hint.to_owned()), ..self }
    }
}

/// The one field that every version of the format has.
#[derive(Deserialize)]
struct Version {
    format: u32,
}

impl BoardFile {
    /// Reads a file: YAML, or JSON if it begins with a brace.
    ///
    /// # Errors
    /// It is neither, of a newer format, has a name or value that is not known, or names one
    /// thing twice.
    pub fn parse(text: &str) -> Result<Self, NotABoard> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let version: Version = read(text).map_err(|error| {
            error.hint("a board file begins with `format: 1` and `plan: TITLE`; `planwright pull PLAN` writes one")
        })?;
        if version.format != FORMAT {
            let message =
                format!("of format {}; this version reads format {FORMAT}", version.format);
            return Err(NotABoard::new(message));
        }
        let file: Self = read(text)?;
        file.check()?;
        Ok(file)
    }

    /// Writes it as YAML, after a comment that says what it is for.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let mut board = self.to_json();
        let base = board.as_object_mut().and_then(|it| it.remove("base"));
        let mut text = yaml::write(HEAD, &board);
        if let Some(base) = base {
            text.push('\n');
            text.push_str(&yaml::write(BASE, &serde_json::json!({ "base": base })));
        }
        text
    }

    /// Returns the same data as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Returns every task with the bucket it is to be in, in order.
    pub fn all_tasks(&self) -> impl Iterator<Item = (Option<&BucketEntry>, &TaskEntry)> {
        let inside = self.buckets.iter().flat_map(|it| it.tasks.iter().map(move |t| (Some(it), t)));
        inside.chain(self.tasks.iter().map(|it| (None, it)))
    }

    /// What names one thing twice, or nothing, can not be meant.
    fn check(&self) -> Result<(), NotABoard> {
        let mut seen = BTreeSet::new();
        let mut once = |what: &str, name: &str| {
            if name.trim().is_empty() {
                return Err(NotABoard::new(format!("a {what} is empty")));
            }
            if seen.insert(format!("{what} {name}")) {
                return Ok(());
            }
            Err(NotABoard::new(format!("two entries have the {what} `{name}`")))
        };
        for bucket in &self.buckets {
            match &bucket.id {
                Some(id) => once("bucket id", real(id.as_str())?)?,
                None => once("bucket name", &bucket.name)?,
            }
            if bucket.name.trim().is_empty() {
                return Err(NotABoard::new("a bucket has no name"));
            }
        }
        for (_, task) in self.all_tasks() {
            if task.title.trim().is_empty() {
                return Err(NotABoard::new("a task has no title"));
            }
            if let Some(key) = &task.key {
                once("task key", key)?;
            }
            match &task.id {
                Some(id) => once("task id", real(id.as_str())?)?,
                None if task.key.is_none() => once("task title", &task.title).map_err(|error| {
                    error.hint("tell them apart: give each a `key` of its own, any text will do")
                })?,
                None => {}
            }
        }
        self.id.as_ref().map_or(Ok(()), |id| real(id.as_str()).map(drop))
    }
}

/// A marker of what does not exist yet is an id only inside of a run.
fn real(id: &str) -> Result<&str, NotABoard> {
    if id.is_ascii() { Ok(id) } else { Err(NotABoard::new(format!("`{id}` is not an id"))) }
}

const HEAD: &str = "\
# A Planner board, pulled by planwright. Edit it, then
#   planwright diff FILE          shows what would change
#   planwright run --from FILE    changes it
# What is not in here stays as it is on the board.
";

const BASE: &str = "\
# What the board was like when it was pulled, in marks. Leave it to planwright.
";

fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, NotABoard> {
    let wrong = |message: String, line: u64, column: u64| {
        let end = message.rfind(" at line ").unwrap_or(message.len());
        let number = |it: u64| usize::try_from(it).unwrap_or(usize::MAX);
        let at = Some((number(line), number(column.max(1)))).filter(|it| it.0 > 0);
        let list = "a list is written `[one, two]`, or with `- ` before each entry";
        let hint = message.contains("expected sequence").then(|| list.to_owned());
        NotABoard { message: message.get(..end).unwrap_or_default().to_owned(), at, hint }
    };
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).map_err(|error| {
            let number = |it: usize| u64::try_from(it).unwrap_or(u64::MAX);
            wrong(error.to_string(), number(error.line()), number(error.column()))
        });
    }
    let options = serde_saphyr::options! {
        with_snippet: false,
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            max_aliases: MAX_ALIASES,
            max_documents: 1,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_REPEATED },
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let at = error.location().map_or((0, 0), |it| (it.line(), it.column()));
        wrong(error.to_string(), at.0, at.1)
    })
}

#[cfg(test)]
mod tests;
