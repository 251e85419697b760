//! The board as a file: the desired state of a plan, written and read by people.
//!
//! A field that is present is set, one that is absent is left alone, so every field but the names
//! is an `Option`. Values that are empty or as Planner would set them are not written. The base at
//! the end records the state of the board when the file was pulled; see [`Marks`].

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::category::Category;
use crate::model::id::{BucketId, PlanId, TaskId};
use crate::model::in_words::in_words;
use crate::model::progress::{Completion, Priority};

mod base;
mod entry;
mod yaml;

pub use base::{Decision, Marks, decide, with_plain_lines};
pub use base::{alias_text, checked_text, day_text, day_text_of, label_text, priority_text};
pub use entry::{ItemEntry, LinkEntry};

/// The version of the format; a reader refuses any newer.
pub const FORMAT: u32 = 1;

/// The deepest nesting that is read: a valid file has six levels.
const MAX_DEPTH: usize = 16;
/// The most YAML aliases that are followed.
const MAX_ALIASES: usize = 1_000;
/// The most values that aliases may stand for, all together.
const MAX_REPEATED: usize = 100_000;

/// The desired state of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoardFile {
    /// The version of the format.
    pub format: u32,
    /// The title of the plan: it identifies the plan, or, with an id, is the title to set.
    pub plan: String,
    /// The id of the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<PlanId>,
    /// The names of its labels; an empty one clears the name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[serde(deserialize_with = "entry::labels", serialize_with = "entry::write_labels")]
    pub labels: BTreeMap<Category, String>,
    /// Its buckets, in board order when pulled.
    #[serde(default, deserialize_with = "entry::or_empty", skip_serializing_if = "Vec::is_empty")]
    pub buckets: Vec<BucketEntry>,
    /// Tasks that are in no bucket.
    #[serde(default, deserialize_with = "entry::or_empty", skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<TaskEntry>,
    /// The state of the board when it was pulled, by the ids of plan, buckets and tasks. Without
    /// it the file is plain desired state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<BTreeMap<String, Marks>>,
}

/// A bucket and the tasks that belong in it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BucketEntry {
    /// The name: it identifies the bucket, or, with an id, is the name to set.
    pub name: String,
    /// Its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<BucketId>,
    /// Its tasks, from top to bottom when pulled.
    #[serde(default, deserialize_with = "entry::or_empty", skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<TaskEntry>,
}

/// A task, with the fields to set.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskEntry {
    /// The title: it identifies the task, or, with an id or a key, is the title to set.
    pub title: String,
    /// Its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<TaskId>,
    /// A key that makes it the same task each time; kept as a reference on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Its progress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(deserialize_with = "entry::progress", serialize_with = "entry::write_progress")]
    pub progress: Option<Completion>,
    /// Its priority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(deserialize_with = "entry::priority", serialize_with = "entry::write_priority")]
    pub priority: Option<Priority>,
    /// The date it begins, in the configured zone; `Some(None)` for none.
    #[serde(default, deserialize_with = "entry::day", skip_serializing_if = "Option::is_none")]
    pub start: Option<Option<Date>>,
    /// The date it is due, in the configured zone; `Some(None)` for none.
    #[serde(default, deserialize_with = "entry::day", skip_serializing_if = "Option::is_none")]
    pub due: Option<Option<Date>>,
    /// The people to assign, by sign-in name.
    #[serde(default, deserialize_with = "entry::given", skip_serializing_if = "Option::is_none")]
    pub assignees: Option<Vec<String>>,
    /// The labels to apply, by name or as `category7`.
    #[serde(default, deserialize_with = "entry::given", skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    /// Its description; an empty text clears it.
    #[serde(default, deserialize_with = "entry::given", skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The items of its checklist, top down.
    #[serde(default, deserialize_with = "entry::given", skip_serializing_if = "Option::is_none")]
    pub checklist: Option<Vec<ItemEntry>>,
    /// The links to add.
    #[serde(default, deserialize_with = "entry::given", skip_serializing_if = "Option::is_none")]
    pub references: Option<Vec<LinkEntry>>,
}

/// The reason why a text is not a board file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NotABoard {
    /// The fault.
    pub message: String,
    /// The place: line and column, from 1; `None` if the fault has no single place.
    pub at: Option<(usize, usize)>,
    /// The way to mend it.
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
    /// The text is neither, has a newer format, has an unknown name or value, or names one thing
    /// twice.
    pub fn parse(text: &str) -> Result<Self, NotABoard> {
        // Editors on Windows may begin a file with a byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        // The version alone comes first: a newer format may hold anything else.
        let version: Version = read(text).map_err(|error| {
            error.hint("a board file begins with `format: 1` and `plan: TITLE`; `planwright pull PLAN` writes one")
        })?;
        if version.format != FORMAT {
            let message = format!(
                "the file has format {}; this version reads format {FORMAT}",
                version.format
            );
            return Err(NotABoard::new(message));
        }
        let file: Self = read(text)?;
        file.check()?;
        Ok(file)
    }

    /// Writes it as YAML, after a comment that explains its use.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let mut board = self.to_json();
        // The base goes last, under a comment of its own: people edit what is above it.
        let base = board.as_object_mut().and_then(|board| board.remove("base"));
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

    /// Returns every task with the bucket it belongs in, in order.
    pub fn all_tasks(&self) -> impl Iterator<Item = (Option<&BucketEntry>, &TaskEntry)> {
        let inside = self
            .buckets
            .iter()
            .flat_map(|bucket| bucket.tasks.iter().map(move |t| (Some(bucket), t)));
        inside.chain(self.tasks.iter().map(|task| (None, task)))
    }

    /// Refuses a file that names one thing twice, or names nothing: it is ambiguous.
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
                    error.hint("give each a `key` of its own to tell them apart; any text will do")
                })?,
                None => {}
            }
        }
        self.id.as_ref().map_or(Ok(()), |id| real(id.as_str()).map(drop))
    }
}

/// Refuses provisional ids: they mean something only inside one run.
fn real(id: &str) -> Result<&str, NotABoard> {
    if id.is_ascii() { Ok(id) } else { Err(NotABoard::new(format!("`{id}` is not an id"))) }
}

const HEAD: &str = "\
# A Planner board, pulled by planwright. Edit it, then
#   planwright diff FILE          shows what would change
#   planwright run --from FILE    changes it
# Whatever is not in this file stays as it is on the board.
";

const BASE: &str = "\
# The state of the board when it was pulled, for planwright. Do not edit it.
";

fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, NotABoard> {
    let wrong = |message: String, line: u64, column: u64| {
        // Both parsers end the message with the place, which is reported by itself.
        let end = message.rfind(" at line ").unwrap_or(message.len());
        let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        let at = Some((number(line), number(column.max(1)))).filter(|place| place.0 > 0);
        let list = "a list is written `[one, two]`, or with `- ` before each entry";
        let hint = message.contains("expected sequence").then(|| list.to_owned());
        NotABoard { message: in_words(message.get(..end).unwrap_or_default()), at, hint }
    };
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).map_err(|error| {
            let number = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
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
        let at = error.location().map_or((0, 0), |location| (location.line(), location.column()));
        wrong(error.to_string(), at.0, at.1)
    })
}

#[cfg(test)]
mod tests;
