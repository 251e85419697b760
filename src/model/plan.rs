//! A plan.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{GroupId, PlanId, UserId};

/// A Planner plan (planner-api.md 1.3). Its sharing and its labels are in
/// [`PlanDetails`](crate::model::PlanDetails).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Its id, provisional while the plan is to be created.
    pub id: PlanId,
    /// Its title.
    pub title: String,
    /// The group that contains it; `None` for other containers (a roster, for one).
    pub group: Option<GroupId>,
    /// When it was created; the service knows.
    pub created_at: Option<Timestamp>,
    /// Who created it; `None` for an application.
    pub created_by: Option<UserId>,
}
