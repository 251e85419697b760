//! The limits that Planner enforces, as settings, so that a test can reach them.
//!
//! planner-api.md 6.4 and 6.5. Exceeding one is answered with 403 and its own code.

use crate::emulator::state::graph_error::GraphError;

/// The limits of the service; the default is the newer column of planner-api.md 6.5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// `MaximumActiveTasksInProject`: tasks of a plan that are not completed.
    pub active_tasks_in_plan: usize,
    /// `MaximumTasksInProject`: tasks of a plan, completed ones included.
    pub tasks_in_plan: usize,
    /// `MaximumBucketsInProject`: buckets of a plan.
    pub buckets_in_plan: usize,
    /// `MaximumAssigneesInTasks`: assignees of a task.
    pub assignees_of_task: usize,
    /// `MaximumChecklistItemsOnTask`: checklist items of a task.
    pub checklist_items_of_task: usize,
    /// `MaximumReferencesOnTask`: references of a task.
    pub references_of_task: usize,
    /// `MaximumProjectsOwnedByUser`: plans of one group.
    pub plans_of_group: usize,
    /// `MaximumProjectsSharedWithUser`: plans shared with one user.
    pub plans_shared_with_user: usize,
    /// `MaximumTasksAssignedToUser`: tasks assigned to one user.
    pub tasks_assigned_to_user: usize,
    /// `MaximumTasksCreatedByUser`: tasks created by one user.
    pub tasks_created_by_user: usize,
    /// `MaximumUsersSharedWithProject`: users a plan is shared with.
    pub users_shared_with_plan: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            active_tasks_in_plan: 3_000,
            tasks_in_plan: 9_000,
            buckets_in_plan: 200,
            assignees_of_task: 20,
            checklist_items_of_task: 20,
            references_of_task: 15,
            plans_of_group: 400,
            plans_shared_with_user: 300,
            tasks_assigned_to_user: 9_000,
            tasks_created_by_user: 20_000,
            users_shared_with_plan: 100,
        }
    }
}

/// Refuses a number above its limit.
pub(crate) fn check(count: usize, limit: usize, code: &'static str) -> Result<(), GraphError> {
    if count > limit { Err(GraphError::limit(code)) } else { Ok(()) }
}
