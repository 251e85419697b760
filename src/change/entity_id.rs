//! The id of an entity of any kind: the subject of a change.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::{BucketId, CommentId, PlanId, TaskId};

/// An entity, by its kind and id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntityId {
    /// A plan.
    Plan(PlanId),
    /// The details of a plan, by the plan's id.
    PlanDetails(PlanId),
    /// A bucket.
    Bucket(BucketId),
    /// A task.
    Task(TaskId),
    /// A comment.
    Comment(CommentId),
}

impl EntityId {
    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Plan(id) | Self::PlanDetails(id) => id.as_str(),
            Self::Bucket(id) => id.as_str(),
            Self::Task(id) => id.as_str(),
            Self::Comment(id) => id.as_str(),
        }
    }

    /// Returns whether it stands for an entity that the run creates.
    #[must_use]
    pub fn is_provisional(&self) -> bool {
        match self {
            Self::Plan(id) | Self::PlanDetails(id) => id.is_provisional(),
            Self::Bucket(id) => id.is_provisional(),
            Self::Task(id) => id.is_provisional(),
            Self::Comment(id) => id.is_provisional(),
        }
    }
}

impl fmt::Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
