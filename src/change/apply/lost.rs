//! The search for the entities made by creates whose answers were lost (design.md 2.4). Planner
//! keeps no idempotency key, so an entity is recognised by its parent, its creator, the time of its
//! creation and its contents. All lost creates of one parent and all candidates are matched
//! together: one by one, two creates of one title would take each other's.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::change::apply::event::StepNo;
use crate::change::apply::step::Job;
use crate::change::edit::TaskState;
use crate::change::edit::is_blank;
use crate::change::field::task_value;
use crate::change::field::{Field, Fields as _};
use crate::model::{Bucket, Comment, Plan, Task, UserId};

/// The time by which an entity may seem older than the intent of its create: the service tells its
/// time in whole seconds.
const CLOCK_GRAIN: SignedDuration = SignedDuration::from_secs(1);

/// The time by which the clocks of the service may differ: the server that answers need not be the
/// one that stores the tasks.
const CLOCK_DOUBT: SignedDuration = SignedDuration::from_mins(10);

/// The list in which the result of a create is looked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Parent {
    /// The tasks of a plan.
    Tasks(crate::model::PlanId),
    /// The buckets of a plan.
    Buckets(crate::model::PlanId),
    /// The plans of a group; without one, those in the actor's rosters.
    Plans(Option<crate::model::GroupId>),
    /// The members of a roster.
    Members(crate::model::RosterId),
    /// The comments on a task.
    Comments(crate::model::TaskId),
    /// No list: a roster has no name by which it could be found, and an empty one is deleted by the
    /// service (planner-api.md 2.9).
    Nowhere,
}

/// A create whose answer was lost.
#[derive(Debug, Clone)]
pub struct Lost {
    /// The number of its request.
    pub no: StepNo,
    /// The operation.
    pub job: Job,
    /// The moment at which it was about to be sent, by the service's clock.
    pub since: Timestamp,
    /// The ids of entities that had the same name before, and of those that a person has ruled out.
    pub known: BTreeSet<String>,
    /// True if a person says that nothing was created. A candidate that fits is then shown to them,
    /// as it may have appeared after they checked.
    pub is_denied: bool,
    /// The ids of the entities that a person was shown as its possible result and has not decided
    /// about yet. They stay with that person: what made two of them alike may have been edited away
    /// since, and then a later look at the board would tell apart what an earlier one could not.
    pub undecided: BTreeSet<String>,
}

/// Something on the board that a lost create may have made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Candidate {
    /// A task.
    Task(Box<Task>),
    /// A bucket.
    Bucket(Bucket),
    /// A plan.
    Plan(Box<Plan>),
    /// A member of a roster.
    Member(UserId),
    /// A comment.
    Comment(Box<Comment>),
}

/// The result of matching a lost create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    /// It created this entity.
    Found(String),
    /// It created nothing that can be seen.
    Nothing,
    /// It may have created one of these: they could be somebody else's, or ours and edited since.
    Unclear(Vec<String>),
}

impl Job {
    /// Returns the list in which the result of a create is searched for; `None` if it creates
    /// nothing.
    #[must_use]
    pub fn parent(&self) -> Option<Parent> {
        Some(match self {
            Self::CreateTask(task) => Parent::Tasks(task.plan.clone()),
            Self::CreateBucket(bucket) => Parent::Buckets(bucket.plan.clone()),
            Self::CreatePlan(plan, _) => Parent::Plans(plan.group.clone()),
            Self::AddMember(roster, _) => Parent::Members(roster.clone()),
            Self::AddComment(task, _) => Parent::Comments(task.clone()),
            Self::CreateRoster => Parent::Nowhere,
            _ => return None,
        })
    }

    fn title(&self) -> &str {
        match self {
            Self::CreateTask(task) => &task.title,
            Self::CreateBucket(bucket) => &bucket.name,
            Self::CreatePlan(plan, _) => &plan.title,
            Self::AddMember(_, user) => user.as_str(),
            Self::AddComment(_, text) => text,
            _ => "",
        }
    }

    /// Returns the fields that are sent, with their values, without those that Planner would set to
    /// the same value anyway.
    fn fields(&self) -> Vec<(Field, Value)> {
        match self {
            Self::CreateTask(task) => TaskState::FIELDS
                .iter()
                // Details and places are sent later, by requests of their own.
                .filter(|field| !field.is_in_details() && field.board().is_none())
                .map(|field| (*field, task_value(task, *field)))
                .filter(|(field, value)| !is_blank(*field, value))
                .collect(),
            _ => vec![(Field::Title, self.title().into())],
        }
    }
}

impl Candidate {
    /// Returns its id.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Task(task) => task.id.as_str(),
            Self::Bucket(bucket) => bucket.id.as_str(),
            Self::Plan(plan) => plan.id.as_str(),
            Self::Member(user) => user.as_str(),
            Self::Comment(comment) => comment.id.as_str(),
        }
    }

    fn title(&self) -> &str {
        match self {
            Self::Task(task) => &task.title,
            Self::Bucket(bucket) => &bucket.name,
            Self::Plan(plan) => &plan.title,
            Self::Member(user) => user.as_str(),
            Self::Comment(comment) => &comment.content,
        }
    }

    fn has_title_of(&self, job: &Job) -> bool {
        match self {
            Self::Comment(comment) => comment.says(job.title()),
            _ => self.title() == job.title(),
        }
    }

    /// Returns whether it can be the result of a create, judged by everything but its contents.
    fn can_be(&self, lost: &Lost, actor: &UserId) -> bool {
        self.can_be_since(lost, actor, CLOCK_GRAIN)
    }

    /// Returns the same for clocks that may differ by `doubt`.
    fn can_be_since(&self, lost: &Lost, actor: &UserId, doubt: SignedDuration) -> bool {
        let ours = |by: Option<&UserId>, at: Option<Timestamp>| {
            by == Some(actor) && at.is_some_and(|at| at >= lost.since - doubt)
        };
        let fits = match self {
            Self::Task(task) => ours(task.created_by.as_ref(), task.created_at),
            Self::Plan(plan) => ours(plan.created_by.as_ref(), plan.created_at),
            Self::Comment(comment) => ours(comment.by.as_ref(), comment.at),
            // Planner does not tell who created a bucket or when, and adding a member twice is
            // harmless.
            Self::Bucket(_) | Self::Member(_) => true,
        };
        fits && self.has_title_of(&lost.job) && !lost.known.contains(self.id())
    }

    fn value(&self, field: Field) -> Value {
        match self {
            Self::Task(task) => task_value(task, field),
            _ => self.title().into(),
        }
    }

    /// Returns whether it equals the create in every field sent.
    fn equals(&self, fields: &[(Field, Value)]) -> bool {
        // A comment is nothing but its text, by which it was found.
        if let Self::Comment(_) = self {
            return true;
        }
        fields.iter().all(|(field, value)| self.value(*field) == *value)
    }

    /// Returns whether all fields that were not sent are blank, except the bucket: the service puts
    /// a task that is sent without one into a bucket.
    fn has_no_more(&self, fields: &[(Field, Value)]) -> bool {
        let Self::Task(task) = self else { return true };
        let all = TaskState::FIELDS
            .iter()
            .filter(|field| !field.is_in_details() && field.board().is_none());
        let mut others = all.filter(|field| fields.iter().all(|(sent, _)| sent != *field));
        others.all(|field| *field == Field::BucketId || is_blank(*field, &task_value(task, *field)))
    }
}

/// Matches the lost creates of one parent with the candidates in its list. The caller leaves out
/// the entities that other changes are known to have created.
#[must_use]
pub fn match_lost(lost: &[Lost], candidates: &[Candidate], actor: &UserId) -> Vec<(StepNo, Match)> {
    type Open<'a> = Vec<(&'a Lost, Vec<(Field, Value)>)>;
    let all = lost.iter().map(|lost| (lost, lost.job.fields()));
    let (asked, mut open): (Open<'_>, Open<'_>) =
        all.partition(|(lost, _)| lost.is_denied || !lost.undecided.is_empty());
    // The create with the most fields chooses first: one with a title alone would take anything.
    open.sort_by_key(|(lost, fields)| (std::cmp::Reverse(fields.len()), lost.no));
    // The candidates of which one is a certain create's, and nobody can tell which. A create with
    // fewer fields must not take them: that certain one would look as if it had made nothing.
    let (mut disputed, mut free): (Vec<&Candidate>, Vec<&Candidate>) =
        candidates.iter().partition(|candidate| {
            asked.iter().any(|(lost, _)| lost.undecided.contains(candidate.id()))
        });
    let mut found = Vec::new();
    // Exact matches first: an edited entity must not be taken while an untouched one fits better.
    for exact in [true, false] {
        let mut at = 0;
        while let Some((first, fields)) = open.get(at) {
            // Creates that are equal in everything are interchangeable.
            let alike: Vec<usize> =
                (at..open.len()).filter(|other| open[*other].1 == *fields).collect();
            let fits = |candidate: &Candidate, lost: &Lost| {
                candidate.can_be(lost, actor)
                    && candidate.equals(fields)
                    && (!exact || candidate.has_no_more(fields))
            };
            let here: Vec<&Candidate> =
                free.iter().copied().filter(|candidate| fits(candidate, first)).collect();
            // With more candidates than lost creates, only a person can tell which of them are
            // ours.
            let is_in_dispute = disputed.iter().any(|candidate| fits(candidate, first));
            if here.is_empty() || here.len() > alike.len() || is_in_dispute {
                if here.len() > alike.len() {
                    free.retain(|candidate| !here.contains(candidate));
                    disputed.extend(here);
                }
                at += 1;
                continue;
            }
            free.retain(|candidate| !here.contains(candidate));
            let taken: Vec<usize> = alike.into_iter().take(here.len()).collect();
            for (index, candidate) in taken.iter().zip(here) {
                found.push((open[*index].0.no, Match::Found(candidate.id().to_owned())));
            }
            // From behind, so that the other indexes stay valid.
            for index in taken.into_iter().rev() {
                open.remove(index);
            }
        }
    }
    let is_left = |candidate: &&Candidate| free.contains(candidate) || disputed.contains(candidate);
    let left: Vec<&Candidate> = candidates.iter().filter(is_left).collect();
    for (lost, fields) in open.into_iter().chain(asked) {
        // A candidate that is equal in everything but seems a little too old is also left to a
        // person.
        let is_near = |candidate: &&&Candidate| {
            candidate.can_be(lost, actor)
                || (candidate.can_be_since(lost, actor, CLOCK_DOUBT)
                    && candidate.equals(&fields)
                    && candidate.has_no_more(&fields))
        };
        let mut near: Vec<String> =
            left.iter().filter(is_near).map(|candidate| candidate.id().to_owned()).collect();
        // Those that are gone or look different by now, too.
        let others = lost.undecided.iter().filter(|id| !near.contains(id));
        let others: Vec<String> = others.cloned().collect();
        near.extend(others);
        let result = if near.is_empty() { Match::Nothing } else { Match::Unclear(near) };
        found.push((lost.no, result));
    }
    found.sort_by_key(|(no, _)| *no);
    found
}

#[cfg(test)]
mod tests;
