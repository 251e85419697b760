//! Looking for what a create may have made whose answer was lost (design.md 2.4): Planner keeps no
//! idempotency key, so it is known by its place, its title, its maker and its time.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::change::apply::Part;
use crate::change::{Change, Write};
use crate::graph::{Client, Error};
use crate::model::{Bucket, Plan, Task, UserId, Versioned};
use crate::wire::entity::Made;
use crate::wire::request;

/// By how much our clock may be ahead of the service's, in seconds.
const SKEW: i64 = 120;

/// What is known of a create.
#[derive(Debug, Clone)]
pub(crate) struct Lost {
    /// The change, with real ids.
    pub(crate) change: Change,
    /// Which part of it.
    pub(crate) part: Part,
    /// The path it was sent to.
    pub(crate) path: String,
    /// When it was about to be sent.
    pub(crate) at: Timestamp,
    /// By whom.
    pub(crate) actor: UserId,
    /// What was there before.
    pub(crate) known: BTreeSet<String>,
}

/// Returns what it may have made: entities in the same place with the same title, by the same
/// person, made since.
pub(crate) async fn candidates(client: &Client, lost: &Lost) -> Result<Vec<String>, Error> {
    let since = lost.at - SignedDuration::from_secs(SKEW);
    let fresh = |by: Option<&UserId>, at: Option<Timestamp>| {
        by == Some(&lost.actor) && at.is_some_and(|it| it >= since)
    };
    if let Part::Member(user) = &lost.part {
        let members = client.list::<Made<UserId>>(&request::listed(&lost.path)).await?;
        return Ok(members
            .into_iter()
            .filter(|it| it.0 == *user)
            .map(|it| it.0.to_string())
            .collect());
    }
    if lost.part == Part::Roster {
        // It has no name to know it by; an empty one goes by itself (planner-api.md 2.9).
        return Ok(Vec::new());
    }
    let found: Vec<String> = match &lost.change.write {
        Write::Task(edit) => {
            let task = &edit.known().task;
            let all = client.list::<Versioned<Task>>(&request::plan_tasks(&task.plan)).await?;
            let all = all.into_iter().map(|it| it.value).filter(|it| it.title == task.title);
            let mine = all.filter(|it| fresh(it.created_by.as_ref(), it.created_at));
            mine.map(|it| it.id.to_string()).collect()
        }
        Write::Bucket(edit) => {
            let bucket = edit.known();
            let read = request::plan_buckets(&bucket.plan);
            let all = client.list::<Versioned<Bucket>>(&read).await?.into_iter();
            // Planner does not say who made a bucket, or when.
            let same = all.filter(|it| it.value.name == bucket.name);
            same.map(|it| it.value.id.to_string()).collect()
        }
        Write::Plan(edit) => {
            let plan = edit.known();
            let read = match &plan.group {
                Some(group) => request::group_plans(group),
                None => request::my_roster_plans(),
            };
            let all = client.list::<Versioned<Plan>>(&read).await?;
            let all = all.into_iter().map(|it| it.value).filter(|it| it.title == plan.title);
            let mine = all.filter(|it| fresh(it.created_by.as_ref(), it.created_at));
            mine.map(|it| it.id.to_string()).collect()
        }
        Write::PlanDetails { .. } => Vec::new(),
    };
    let mut found: BTreeSet<String> = found.into_iter().collect();
    found.retain(|it| !lost.known.contains(it) && !lost.change.twins.contains(it));
    Ok(found.into_iter().collect())
}
