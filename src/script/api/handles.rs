//! Handles: the objects that scripts hold. Each is a session and an id; its functions are in the
//! file of its type, which may use any other handle.

use std::sync::Arc;

use crate::change::ChangeSet;
use crate::host::{Session, Start};
use crate::model::{self, BucketId, PlanId, TaskId, UserId};

/// A plan.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) session: Session,
    pub(crate) id: PlanId,
}

/// A task with its details.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) session: Session,
    pub(crate) id: TaskId,
}

/// A bucket.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    pub(crate) session: Session,
    pub(crate) id: BucketId,
}

/// A user; looked up in the directory when a name is asked for.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) session: Session,
    pub(crate) id: UserId,
}

/// A group of the signed-in user.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) session: Session,
    pub(crate) group: model::Group,
}

/// One line of a task's checklist.
#[derive(Debug, Clone)]
pub(crate) struct ChecklistItem {
    pub(crate) session: Session,
    pub(crate) task: TaskId,
    pub(crate) key: String,
}

/// A comment on a task (beta).
#[derive(Debug, Clone)]
pub(crate) struct Comment {
    pub(crate) session: Session,
    pub(crate) comment: Arc<model::Comment>,
}

/// A change, for a policy.
#[derive(Debug, Clone)]
pub(crate) struct ChangeView {
    pub(crate) session: Session,
    /// The board as it was when the run began, where it is not that of the session.
    pub(crate) origin: Option<Session>,
    pub(crate) set: Arc<ChangeSet>,
    pub(crate) at: usize,
}

/// All changes of the run, for a policy: those of earlier segments first, each with the board of
/// its time.
#[derive(Debug, Clone)]
pub(crate) struct Changes {
    pub(crate) parts: Vec<(Session, Arc<ChangeSet>)>,
    pub(crate) origin: Option<Session>,
}

/// The run, for a policy.
#[derive(Debug, Clone)]
pub(crate) struct RunView {
    pub(crate) session: Session,
    pub(crate) start: Arc<Start>,
}
