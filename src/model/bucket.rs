//! A bucket: a column of a plan.

use serde::{Deserialize, Serialize};

use crate::model::id::{BucketId, PlanId};

/// A column of a plan (planner-api.md 1.5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// Its id, provisional while the bucket is to be created.
    pub id: BucketId,
    /// The plan it belongs to; buckets never change their plan.
    pub plan: PlanId,
    /// Its name.
    pub name: String,
    /// Its place among its siblings, by ordinal comparison; computed by the service.
    pub order_hint: String,
}
