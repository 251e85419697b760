//! Planner's published limits (planner-api.md 6.5), checked before anything is sent (rule R10).

use serde::{Deserialize, Serialize};

/// The limits of the service by which a change set is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Assignees on a task.
    pub assignees: usize,
    /// Buckets in a plan.
    pub buckets: usize,
    /// Items on a checklist.
    pub checklist_items: usize,
    /// References on a task.
    pub references: usize,
    /// Characters in a title or name; unofficial.
    pub title_chars: usize,
    /// Characters in the title of a checklist item; unofficial.
    pub checklist_title_chars: usize,
    /// Characters in a description; unofficial.
    pub description_chars: usize,
    /// Characters in a comment; unofficial.
    pub comment_chars: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            assignees: 20,
            buckets: 200,
            checklist_items: 20,
            references: 15,
            title_chars: 255,
            checklist_title_chars: 100,
            description_chars: 32_000,
            comment_chars: 28_000,
        }
    }
}
