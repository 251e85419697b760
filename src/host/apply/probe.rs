//! The list in which a lost create would show, read for a probe (design.md 2.4).

use crate::change::apply::{Candidate, Parent};
use crate::graph::{Client, Error};
use crate::model::{Bucket, Comment, Plan, Task, UserId, Versioned};
use crate::wire::entity::Made;
use crate::wire::request;

/// Returns the entities in the list where creates of one parent would show.
pub(crate) async fn candidates(client: &Client, parent: &Parent) -> Result<Vec<Candidate>, Error> {
    let client = &client.patient();
    // Whole lists: the service ignores every filter on them (planner-api.md 8.1).
    Ok(match parent {
        Parent::Tasks(plan) => {
            let all = client.list::<Versioned<Task>>(&request::plan_tasks(plan)).await?;
            all.into_iter().map(|task| Candidate::Task(Box::new(task.value))).collect()
        }
        Parent::Buckets(plan) => {
            let all = client.list::<Versioned<Bucket>>(&request::plan_buckets(plan)).await?;
            all.into_iter().map(|bucket| Candidate::Bucket(bucket.value)).collect()
        }
        Parent::Plans(group) => {
            let read = match group {
                Some(group) => request::group_plans(group),
                // A plan without a group lives in a roster, and shows in the actor's list of those.
                None => request::my_roster_plans(),
            };
            let all = client.list::<Versioned<Plan>>(&read).await?;
            all.into_iter().map(|plan| Candidate::Plan(Box::new(plan.value))).collect()
        }
        Parent::Members(roster) => {
            let all = client.list::<Made<UserId>>(&request::roster_members(roster)).await?;
            all.into_iter().map(|member| Candidate::Member(member.0)).collect()
        }
        Parent::Comments(task) => {
            let all = client.list::<Comment>(&request::messages(task)).await?;
            let there = all.into_iter().filter(|comment| !comment.is_deleted);
            there.map(|comment| Candidate::Comment(Box::new(comment))).collect()
        }
        Parent::Nowhere => Vec::new(),
    })
}
