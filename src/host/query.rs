//! Queries of a session and the responses that it gets.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::change::{ChangeSet, Entity, Op, ReadSet};
use crate::host::error::Relayed;
use crate::host::stop::Stop;
use crate::model::{
    Board, BoardPlace, Bucket, BucketId, Comment, Group, GroupId, Plan, PlanDetails, PlanId,
    RosterId, Task, TaskDetails, TaskId, User, UserId, Versioned,
};

/// A question that a program can ask.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Query {
    AllPlans,
    Plan(PlanId),
    PlanDetails(PlanId),
    Buckets(PlanId),
    Bucket(BucketId),
    Tasks(PlanId),
    Task(TaskId),
    MyTasks,
    UserTasks(UserId),
    Details(Vec<TaskId>),
    Places(Board, Vec<TaskId>),
    User(String),
    UserByMail(String),
    Groups,
    Members(GroupId),
    RosterMembers(RosterId),
    /// The chat of a task (beta).
    Comments(TaskId),
    /// The tasks of a plan that the journal knows by a key which is not on them yet.
    Keys(PlanId),
    /// The agent for which a task was created, as the journal has it.
    MadeByAgent(TaskId),
    /// The number of changes of a kind that the journal has of today.
    CountToday(Entity, Op),
    /// Apply what is drafted so far; from another process, this draft.
    Commit(Option<Box<RemoteDraft>>),
}

/// The response to a query.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Response {
    AllPlans(Vec<Versioned<Plan>>),
    Plan(Versioned<Plan>),
    PlanDetails(Versioned<PlanDetails>),
    Buckets(Vec<Versioned<Bucket>>),
    Bucket(Versioned<Bucket>),
    Tasks(Vec<Versioned<Task>>),
    Task(Box<Versioned<Task>>),
    Details(Vec<(TaskId, Versioned<TaskDetails>)>),
    Places(Vec<(TaskId, Versioned<BoardPlace>)>),
    User(User),
    Users(Vec<User>),
    Groups(Vec<Group>),
    Members(Vec<User>),
    MemberIds(Vec<UserId>),
    Comments(Vec<Comment>),
    /// Tasks by the key that stands for them, as references are keyed.
    Keys(BTreeMap<String, TaskId>),
    /// An agent's name.
    Agent(Option<String>),
    /// A number of changes.
    Count(u64),
    /// The result is in the snapshot.
    Kept,
    /// The ids that provisional ones have become; nothing in a dry run, which goes on as it is.
    Committed(Option<BTreeMap<String, String>>),
}

/// A query with the channel for its response.
#[derive(Debug)]
pub(crate) struct PendingQuery {
    pub(crate) ask: Query,
    pub(crate) stop: Arc<Stop>,
    pub(crate) reply: oneshot::Sender<Result<Response, crate::host::error::Error>>,
}

/// The draft of a program in another process, with its reads.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RemoteDraft {
    pub(crate) set: ChangeSet,
    pub(crate) counts: Counts,
    pub(crate) reads: ReadSet,
    pub(crate) output: Vec<String>,
    pub(crate) warnings: Vec<String>,
}

impl RemoteDraft {
    /// Returns the size of its output and warnings, in bytes.
    pub(crate) fn said(&self) -> usize {
        self.output.iter().chain(&self.warnings).map(|line| line.len() + 1).sum()
    }
}

/// The response to a query from another process.
pub(crate) type QueryResult = Result<Response, Relayed>;

/// Counters of what was handed out so far: provisional ids, keys of checklist items, random
/// numbers.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) created: usize,
    pub(crate) keys: usize,
    pub(crate) draws: u64,
}
