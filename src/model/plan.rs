//! A plan, without its details.

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
    /// The moment of its creation; set by the service.
    pub created_at: Option<Timestamp>,
    /// The person who created it; `None` for an application.
    pub created_by: Option<UserId>,
    /// The roster that contains it, where one does (beta).
    #[serde(default)]
    pub roster: Option<RosterId>,
    /// People that this run adds to its roster (beta).
    #[serde(default)]
    pub new_members: BTreeSet<UserId>,
    /// Its archival state, and the reason for it (beta).
    #[serde(default)]
    pub archival: Archival,
}

/// The archival state of a plan: an archived one is read only and out of sight
/// (planner-api.md 2.9).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Archival {
    /// True if it is archived.
    pub is_archived: bool,
    /// The reason given for archiving or unarchiving it.
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
