//! What a run has read of lists and names: part of what its decisions rest on (design.md 2.1).

use serde::{Deserialize, Serialize};

use crate::host::session::lookup::pick;
use crate::model::{Bucket, BucketId, PlanId, Task};

/// A question that a list answered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum ListRead {
    /// Which tasks a plan has.
    Tasks(PlanId),
    /// Which tasks a bucket of a plan has.
    TasksIn(PlanId, BucketId),
    /// Which tasks of a plan have a title.
    TasksNamed(PlanId, String),
    /// Which buckets a plan has, in their order.
    Buckets(PlanId),
    /// Which buckets of a plan have a name.
    BucketsNamed(PlanId, String),
    /// Which tasks are assigned to the actor.
    Mine,
}

impl ListRead {
    /// Tells whether it is about something that the run makes itself.
    pub(crate) fn is_of_new(&self) -> bool {
        match self {
            Self::TasksIn(plan, bucket) => plan.is_provisional() || bucket.is_provisional(),
            Self::Tasks(plan)
            | Self::TasksNamed(plan, _)
            | Self::Buckets(plan)
            | Self::BucketsNamed(plan, _) => plan.is_provisional(),
            Self::Mine => false,
        }
    }

    /// Returns the plan whose tasks it is about.
    pub(crate) const fn tasks_of(&self) -> Option<&PlanId> {
        match self {
            Self::Tasks(plan) | Self::TasksIn(plan, _) | Self::TasksNamed(plan, _) => Some(plan),
            Self::Buckets(_) | Self::BucketsNamed(..) | Self::Mine => None,
        }
    }

    /// Returns the plan whose buckets it is about.
    pub(crate) const fn buckets_of(&self) -> Option<&PlanId> {
        match self {
            Self::Buckets(plan) | Self::BucketsNamed(plan, _) => Some(plan),
            _ => None,
        }
    }

    /// Answers it from the tasks of the plan.
    pub(crate) fn in_tasks(&self, tasks: &[Task]) -> Vec<String> {
        let mut found: Vec<String> = match self {
            Self::TasksIn(_, bucket) => tasks
                .iter()
                .filter(|it| it.bucket.as_ref() == Some(bucket))
                .map(|it| it.id.to_string())
                .collect(),
            Self::TasksNamed(_, title) => {
                named_tasks(tasks, title).into_iter().map(|it| it.id.to_string()).collect()
            }
            _ => tasks.iter().map(|it| it.id.to_string()).collect(),
        };
        found.sort_unstable();
        found
    }

    /// Answers it from the buckets of the plan, in board order.
    pub(crate) fn in_buckets(&self, buckets: &[Bucket]) -> Vec<String> {
        match self {
            Self::BucketsNamed(_, name) => {
                let found = pick(buckets, name, |it| &it.name);
                found.into_iter().map(|it| it.id.to_string()).collect()
            }
            _ => buckets.iter().map(|it| it.id.to_string()).collect(),
        }
    }

    /// Says what has changed if the answer is another now.
    pub(crate) fn says(&self) -> String {
        match self {
            Self::Tasks(_) => "which tasks the plan has".to_owned(),
            Self::TasksIn(..) => "which tasks the bucket has".to_owned(),
            Self::TasksNamed(_, title) => format!("which tasks are named `{title}`"),
            Self::Buckets(_) => "which buckets the plan has".to_owned(),
            Self::BucketsNamed(_, name) => format!("which buckets are named `{name}`"),
            Self::Mine => "which tasks are yours".to_owned(),
        }
    }
}

/// The tasks that a title means: where it repeats, an open one goes before completed ones.
pub(crate) fn named_tasks<'a>(tasks: &'a [Task], title: &str) -> Vec<&'a Task> {
    let found = pick(tasks, title, |it| &it.title);
    if found.len() > 1 {
        let open: Vec<_> = found.iter().copied().filter(|it| it.percent_complete < 100).collect();
        if open.len() == 1 {
            return open;
        }
    }
    found
}
