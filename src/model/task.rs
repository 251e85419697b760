//! A task, without its details.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::category::Category;
use crate::model::id::{BucketId, PlanId, TaskId, UserId};
use crate::model::progress::{Priority, Progress};
use crate::model::recurrence::Recurrence;

/// A Planner task without its details (planner-api.md 1.6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Its id, provisional while the task is to be created.
    pub id: TaskId,
    /// The plan it belongs to.
    pub plan: PlanId,
    /// Its bucket; with `None` it shows in no column.
    pub bucket: Option<BucketId>,
    /// Its title.
    pub title: String,
    /// Completion from 0 to 100; 50 is what "in progress" means.
    pub percent_complete: u8,
    /// From 0 (most urgent) to 10.
    pub priority: Priority,
    /// The moment it begins.
    pub start: Option<Timestamp>,
    /// The moment it is due.
    pub due: Option<Timestamp>,
    /// The moment of its creation; set by the service.
    pub created_at: Option<Timestamp>,
    /// The person who created it; `None` for an application.
    pub created_by: Option<UserId>,
    /// The moment of its completion.
    pub completed_at: Option<Timestamp>,
    /// The person who completed it.
    pub completed_by: Option<UserId>,
    /// The people who work on it, with the place of each among the assignees (read only).
    pub assignments: BTreeMap<UserId, String>,
    /// The labels applied.
    pub categories: BTreeSet<Category>,
    /// The thread in the group's mailbox that holds its comments (planner-api.md 7.7).
    pub conversation_thread: Option<String>,
    /// True if its details hold a description; computed by the service.
    pub has_description: bool,
    /// Number of checklist items; computed by the service.
    pub checklist_count: u32,
    /// Number of references; computed by the service.
    pub reference_count: u32,
    /// True if a detail was chosen for its card to show; computed by the service.
    #[serde(default)]
    pub has_preview: bool,
    /// Its place in the plan's flat list; computed by the service.
    pub order_hint: String,
    /// The fields that only the beta has; `None` if it was read through v1.0.
    #[serde(default)]
    pub beta: Option<Box<TaskBeta>>,
}

/// The fields of a task that only Graph's beta has (planner-api.md 1.13).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TaskBeta {
    /// The moment of the last change.
    pub last_modified_at: Option<Timestamp>,
    /// The person who changed it last; `None` for an application.
    pub last_modified_by: Option<UserId>,
    /// True if it is archived with its plan.
    pub is_archived: bool,
    /// The schedule of its series, if it holds one.
    pub recurrence: Option<Recurrence>,
}

impl Task {
    /// Returns a task that does not exist yet, with all other fields as Planner would set them.
    #[must_use]
    pub const fn new(id: TaskId, plan: PlanId, title: String) -> Self {
        Self {
            id,
            plan,
            bucket: None,
            title,
            percent_complete: 0,
            priority: Priority::DEFAULT,
            start: None,
            due: None,
            created_at: None,
            created_by: None,
            completed_at: None,
            completed_by: None,
            assignments: BTreeMap::new(),
            categories: BTreeSet::new(),
            conversation_thread: None,
            has_description: false,
            checklist_count: 0,
            reference_count: 0,
            has_preview: false,
            order_hint: String::new(),
            beta: None,
        }
    }

    /// Returns the schedule of its series, if it holds one.
    #[must_use]
    pub fn recurrence(&self) -> Option<&Recurrence> {
        self.beta.as_ref()?.recurrence.as_ref()
    }

    /// Returns whether its details, as far as its counts show, are those of a new task.
    #[must_use]
    pub const fn has_bare_details(&self) -> bool {
        !self.has_description
            && !self.has_preview
            && self.checklist_count == 0
            && self.reference_count == 0
    }

    /// Returns the state that its completion stands for.
    #[must_use]
    pub const fn progress(&self) -> Progress {
        Progress::of_percent(self.percent_complete)
    }
}

/// A message in the chat of a task (beta, planner-api.md 1.13).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comment {
    /// The id of the message.
    pub id: String,
    /// The text.
    pub content: String,
    /// The author.
    pub by: Option<UserId>,
    /// The moment it was written.
    pub at: Option<Timestamp>,
    /// The moment it was last changed.
    pub edited_at: Option<Timestamp>,
    /// True for one that was deleted and left its place behind.
    pub is_deleted: bool,
}
