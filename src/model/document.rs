//! A plan as a document: everything that a person expects in a copy of it.
//!
//! People are named by sign-in name, labels and buckets by name, so that a document means the
//! same in another tenant. What only the service knows (ids, tags, who created what) is left out.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The version of the format; a reader refuses any other.
pub const FORMAT: u32 = 1;

/// A plan.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanDocument {
    /// The version of the format.
    pub format: u32,
    /// Its title.
    pub title: String,
    /// The names of its labels, by slot: `category1` to `category25`.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Its buckets in board order.
    #[serde(default)]
    pub buckets: Vec<BucketDocument>,
    /// The tasks that are in no bucket.
    #[serde(default)]
    pub tasks: Vec<TaskDocument>,
}

/// A bucket with its tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BucketDocument {
    /// Its name.
    pub name: String,
    /// Its tasks from top to bottom.
    #[serde(default)]
    pub tasks: Vec<TaskDocument>,
}

/// A task with its details.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskDocument {
    /// Its title.
    pub title: String,
    /// Its completion, 0 to 100.
    #[serde(default, rename = "percentComplete")]
    pub percent_complete: u8,
    /// Its priority, 0 to 10; medium if absent.
    #[serde(default)]
    pub priority: Option<u8>,
    /// The moment it begins.
    #[serde(default, rename = "startDateTime")]
    pub start: Option<Timestamp>,
    /// The moment it is due.
    #[serde(default, rename = "dueDateTime")]
    pub due: Option<Timestamp>,
    /// The people who work on it, by sign-in name.
    #[serde(default)]
    pub assignees: Vec<String>,
    /// Its labels: by name, or `category7` where the name is missing or not unique.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Its description.
    #[serde(default)]
    pub description: String,
    /// Its checklist, top down.
    #[serde(default)]
    pub checklist: Vec<ItemDocument>,
    /// Its links.
    #[serde(default)]
    pub references: Vec<LinkDocument>,
    /// A key that makes it the same task each time it is imported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Its id where it was read. Sheets have it, so that one which comes back makes no copies; a
    /// document itself means the same in another tenant, and is written without.
    #[serde(skip)]
    pub id: Option<String>,
}

/// An item of a checklist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemDocument {
    /// The text of the item.
    pub title: String,
    /// True once it is done.
    #[serde(default, rename = "isChecked")]
    pub checked: bool,
}

/// A link of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkDocument {
    /// Its address.
    pub url: String,
    /// The text shown for it.
    #[serde(default)]
    pub alias: Option<String>,
    /// The kind of icon, such as `Word`.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
}

impl PlanDocument {
    /// Returns every task with the name of its bucket, in order.
    pub fn all_tasks(&self) -> impl Iterator<Item = (Option<&str>, &TaskDocument)> {
        let inside = self
            .buckets
            .iter()
            .flat_map(|bucket| bucket.tasks.iter().map(|task| (Some(bucket.name.as_str()), task)));
        inside.chain(self.tasks.iter().map(|task| (None, task)))
    }

    /// Returns every task for modification.
    pub fn all_tasks_mut(&mut self) -> impl Iterator<Item = &mut TaskDocument> {
        self.buckets
            .iter_mut()
            .flat_map(|bucket| bucket.tasks.iter_mut())
            .chain(self.tasks.iter_mut())
    }
}
