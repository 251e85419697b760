//! The places of tasks on the three boards of a plan (planner-api.md 1.12).
//!
//! A task has a place on each board, kept apart from the task under an ETag of its own. The
//! board that people see first is the one of buckets (planner-api.md trap 9).

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::id::UserId;

/// One of the ways in which Planner lays a plan out in columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Board {
    /// A column for each bucket.
    Bucket,
    /// A column for each state of progress.
    Progress,
    /// A column for each person, and one for unassigned tasks.
    AssignedTo,
}

impl Board {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Bucket, Self::Progress, Self::AssignedTo];

    /// Returns Graph's name of a task's place on it, a segment of its path.
    #[must_use]
    pub const fn format_name(self) -> &'static str {
        match self {
            Self::Bucket => "bucketTaskBoardFormat",
            Self::Progress => "progressTaskBoardFormat",
            Self::AssignedTo => "assignedToTaskBoardFormat",
        }
    }

    /// Returns Graph's name of the hint that belongs to no person's column.
    #[must_use]
    pub const fn hint_name(self) -> &'static str {
        match self {
            Self::Bucket | Self::Progress => "orderHint",
            Self::AssignedTo => "unassignedOrderHint",
        }
    }
}

impl fmt::Display for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.format_name())
    }
}

/// The place of a task on one board: what Graph calls a task board format.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BoardPlace {
    /// The hint in its column; on the board of people, in the column of unassigned tasks. Empty
    /// where the service has given none yet.
    pub hint: String,
    /// The hints in the columns of the assignees, on the board of people.
    pub by_user: BTreeMap<UserId, String>,
}

impl BoardPlace {
    /// Returns the hint in the column of a person, or in the only other column.
    #[must_use]
    pub fn hint_of(&self, person: Option<&UserId>) -> &str {
        match person {
            Some(user) => self.by_user.get(user).map_or("", String::as_str),
            None => &self.hint,
        }
    }

    /// Sets the hint in a column.
    pub fn set_hint(&mut self, person: Option<&UserId>, hint: String) {
        match person {
            Some(user) => drop(self.by_user.insert(user.clone(), hint)),
            None => self.hint = hint,
        }
    }
}
