//! A plan.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::id::{GroupId, PlanId, RosterId, UserId};

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
    /// The roster that contains it, where one does (beta).
    #[serde(default)]
    pub roster: Option<RosterId>,
    /// People that this run adds to its roster (beta).
    #[serde(default)]
    pub new_members: BTreeSet<UserId>,
    /// Whether it is put away, and why (beta).
    #[serde(default)]
    pub archival: Archival,
}

/// Whether a plan is put away: read only, and out of sight (planner-api.md 2.9).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Archival {
    /// Whether it is.
    pub is_archived: bool,
    /// Why it was put away, or taken back.
    pub justification: String,
}

impl Plan {
    /// Returns a plan that does not exist yet.
    #[must_use]
    pub const fn new(id: PlanId, title: String) -> Self {
        Self {
            id,
            title,
            group: None,
            created_at: None,
            created_by: None,
            roster: None,
            new_members: BTreeSet::new(),
            archival: Archival { is_archived: false, justification: String::new() },
        }
    }
}
