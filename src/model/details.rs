//! What Planner keeps beside a task and beside a plan, each with an ETag of its own.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::model::{Category, UserId};

/// The details of a task (planner-api.md 1.7).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TaskDetails {
    /// Plain text; empty when there is none.
    pub description: String,
    /// Which detail the card shows: `automatic`, `noPreview`, `checklist`, `description` or
    /// `reference`; empty where the service said nothing.
    pub preview_type: String,
    /// The checklist, by item id.
    pub checklist: BTreeMap<String, ChecklistItem>,
    /// The references, by encoded URL (planner-api.md 5.4).
    pub references: BTreeMap<String, Reference>,
}

/// One line of a checklist (planner-api.md 1.10).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChecklistItem {
    /// What is to be done.
    pub title: String,
    /// Whether it is done.
    pub checked: bool,
    /// Its place, in *descending* ordinal order (planner-api.md 4.6); empty for an item that
    /// does not exist yet.
    pub order_hint: String,
}

/// One attachment of a task, a link (planner-api.md 1.11).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// The text shown for it.
    pub alias: Option<String>,
    /// The kind of icon, such as `Word` or `Other`.
    pub kind: Option<String>,
}

/// The details of a plan (planner-api.md 1.4).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PlanDetails {
    /// The names of the labels; a label without a name is absent.
    pub labels: BTreeMap<Category, String>,
    /// Whom the plan is shared with.
    pub shared_with: BTreeSet<UserId>,
}
