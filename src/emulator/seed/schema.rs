//! The members of a seed. Lists are read item by item, so that each message can name its place.

use serde::Deserialize;
use serde_json::Value;

/// A seed as a whole.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Tenant {
    pub(crate) users: Value,
    pub(crate) groups: Value,
    pub(crate) plans: Value,
}

/// A user.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct User {
    pub(crate) upn: String,
    pub(crate) name: String,
    pub(crate) title: Option<String>,
    pub(crate) id: Option<String>,
}

/// A Microsoft 365 group.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) id: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) created: Option<String>,
    #[serde(default)]
    pub(crate) members: Vec<String>,
    /// The first member, if absent.
    pub(crate) owners: Option<Vec<String>>,
}

/// A plan; its creator is the group's first member if nobody is named.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    pub(crate) title: String,
    pub(crate) group: String,
    pub(crate) created: Option<String>,
    pub(crate) created_by: Option<String>,
    /// The principal names; all members of the group, if absent.
    pub(crate) shared_with: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) labels: Vec<Option<String>>,
    #[serde(default)]
    pub(crate) buckets: Vec<String>,
    #[serde(default)]
    pub(crate) tasks: Value,
}

/// A task with its details.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Task {
    pub(crate) title: String,
    pub(crate) bucket: Option<String>,
    pub(crate) created: Option<String>,
    pub(crate) created_by: Option<String>,
    #[serde(default)]
    pub(crate) assignees: Vec<String>,
    pub(crate) start: Option<String>,
    pub(crate) due: Option<String>,
    pub(crate) percent: Option<i64>,
    pub(crate) priority: Option<i64>,
    /// The names of the plan's labels, or their numbers.
    #[serde(default)]
    pub(crate) labels: Vec<Value>,
    pub(crate) completed: Option<String>,
    pub(crate) completed_by: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) preview: Option<String>,
    /// A list of titles or objects.
    #[serde(default)]
    pub(crate) checklist: Value,
    #[serde(default)]
    pub(crate) references: Value,
    pub(crate) conversation_thread_id: Option<String>,
}

/// An item of a checklist.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Item {
    pub(crate) title: String,
    #[serde(default)]
    pub(crate) checked: bool,
    pub(crate) id: Option<String>,
}

/// A reference.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reference {
    pub(crate) url: String,
    pub(crate) alias: Option<String>,
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
}
