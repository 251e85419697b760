//! Requests of an apply: each write on the wire, the read of its object, and the meaning of an
//! answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::change::apply::{Answer, Job, Look, Seen, Target};
use crate::graph::{Attempt, Client, Error};
use crate::model::{
    BoardPlace, Bucket, Comment, ETag, Group, GroupId, Plan, PlanDetails, PlanId, RosterId, Task,
    TaskDetails, UserId, Versioned,
};
use crate::wire::entity::{Any, Made, Tag};
use crate::wire::{DecodeError, Decoded, Json, Request, body, request};

/// The age, in seconds, from which Planner surely knows a group.
const GROUP_IS_NEW: i64 = 15 * 60;
/// The waits for Planner to know a new group, in milliseconds.
const GROUP_WAITS: [u64; 8] = [500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000];
/// The waits for Planner to know what this run has created, in milliseconds.
const MADE_WAITS: [u64; 5] = [200, 400, 800, 1600, 3200];

/// Returns the request of a write; `None` if there is nothing to send.
pub(crate) fn of_job(job: &Job, tag: Option<ETag>) -> Option<Request> {
    Some(match job {
        Job::CreateRoster => request::create_roster(),
        Job::AddMember(roster, user) => request::add_roster_member(roster, user),
        Job::CreatePlan(plan, Some(roster)) => request::create_roster_plan(roster, &plan.title),
        Job::CreatePlan(plan, None) => request::create_plan(plan.group.as_ref()?, &plan.title),
        Job::RenamePlan(id, title) => request::update_plan(id, title, tag?),
        Job::ArchivePlan(id, archival) => request::archive_plan(id, archival, tag?),
        Job::DeletePlan(id) => request::delete_plan(id, tag?),
        Job::UpdatePlanDetails(id, states) => {
            request::update_plan_details(id, body::plan_details_patch(&states.0, &states.1)?, tag?)
        }
        Job::CreateBucket(bucket) => {
            request::create_bucket(&bucket.plan, &bucket.name, &bucket.order_hint)
        }
        Job::UpdateBucket(states) => {
            let body = body::bucket_patch(&states.0, &states.1)?;
            request::update_bucket(&states.0.id, body, tag?)
        }
        Job::DeleteBucket(id) => request::delete_bucket(id, tag?),
        Job::CreateTask(task) => request::create_task(body::new_task(task)),
        Job::UpdateTask(states) => {
            let body = body::task_patch(&states.0, &states.1)?;
            request::update_task(&states.0.id, body, tag?)
        }
        Job::DeleteTask(id) => request::delete_task(id, tag?),
        Job::UpdateDetails(id, states) => {
            request::update_task_details(id, body::details_patch(&states.0, &states.1)?, tag?)
        }
        Job::AddComment(task, text) => request::post_message(task, text),
        Job::Resend(resend) => {
            Request::again(&resend.method, &resend.path, tag, resend.body.clone())?
        }
        Job::UpdatePlace(id, board, states) => {
            let body = body::place_patch(*board, &states.0, &states.1)?;
            request::update_board_place(id, *board, body, tag?)
        }
    })
}

/// Returns the read of the object of a request.
pub(crate) fn read_of(target: &Target) -> Request {
    match target {
        Target::Plan(id) => request::plan(id),
        Target::PlanDetails(id) => request::plan_details(id),
        Target::Bucket(id) => request::bucket(id),
        Target::Task(id) => request::task(id),
        Target::Details(id) => request::task_details(id),
        Target::Place(id, board) => request::board_place(id, *board),
    }
}

/// Decodes the answer to that read.
///
/// # Errors
/// It does not decode as the expected object.
pub(crate) fn seen(client: &Client, target: &Target, json: &Json) -> Result<Seen, Error> {
    fn of<T>(json: &Json) -> Result<Versioned<T>, DecodeError>
    where
        Versioned<T>: Decoded,
    {
        Versioned::<T>::decode(json.as_str())
    }
    let read = || -> Result<Seen, DecodeError> {
        Ok(match target {
            Target::Plan(_) => Seen::Plan(Box::new(of::<Plan>(json)?)),
            Target::PlanDetails(_) => Seen::PlanDetails(of::<PlanDetails>(json)?),
            Target::Bucket(_) => Seen::Bucket(Box::new(of::<Bucket>(json)?)),
            Target::Task(_) => Seen::Task(Box::new(of::<Task>(json)?)),
            Target::Details(_) => Seen::Details(Box::new(of::<TaskDetails>(json)?)),
            Target::Place(..) => Seen::Place(of::<BoardPlace>(json)?),
        })
    };
    read().map_err(|source| {
        let request = format!("GET {} at {}", read_of(target).path(), client.base().origin());
        Error::Decode { request, source }
    })
}

/// Reads the objects of some requests, in one round trip.
pub(crate) async fn look(
    client: &Client,
    targets: Vec<(usize, Target)>,
) -> Vec<(usize, Look, Option<Arc<Error>>)> {
    let client = &client.patient();
    let reads: Vec<Request> = targets.iter().map(|(_, target)| read_of(target)).collect();
    let answers: Vec<Result<Any, Arc<Error>>> = match reads.as_slice() {
        [one] => vec![client.read::<Any>(one).await.map_err(Arc::new)],
        many => match client.read_many::<Any>(many).await {
            Ok(answers) => answers.into_iter().map(|answer| answer.map_err(Arc::new)).collect(),
            Err(error) => {
                let error = Arc::new(error);
                many.iter().map(|_| Err(Arc::clone(&error))).collect()
            }
        },
    };
    let mut looks = Vec::with_capacity(targets.len());
    for ((no, target), answer) in targets.into_iter().zip(answers) {
        looks.push(match answer {
            Ok(Any(json)) => match seen(client, &target, &json) {
                Ok(seen) => (no, Look::There(Box::new(seen)), None),
                Err(error) => (no, Look::Failed, Some(Arc::new(error))),
            },
            Err(error) if error.is_not_found() => (no, Look::Gone, Some(error)),
            Err(error) => (no, Look::Failed, Some(error)),
        });
    }
    looks
}

/// Classifies an answer. `made` has the ids that this run has created.
pub(crate) async fn answer_of(
    client: &Client,
    job: &Job,
    attempt: &Attempt,
    made: &BTreeMap<String, String>,
    now: Timestamp,
) -> Answer {
    let error = match &attempt.result {
        Ok(body) => return done(job, body.as_ref()),
        Err(error) => error,
    };
    let is_new = matches!(
        job,
        Job::CreateRoster
            | Job::AddMember(..)
            | Job::CreatePlan(..)
            | Job::CreateBucket(_)
            | Job::CreateTask(_)
            | Job::AddComment(..)
    );
    // On a create Planner does not say whether the parent is missing or forbidden
    // (planner-api.md 6.2), so both may mean that it is only too new.
    let refusal = error.refusal();
    if is_new && refusal.is_some_and(|refusal| refusal.is_forbidden() || refusal.is_not_found()) {
        let waits = patience(client, job, made, now).await;
        return if waits.is_empty() { Answer::Refused } else { Answer::NotYet(waits) };
    }
    match refusal {
        Some(refusal) if refusal.is_conflict() => Answer::Conflict,
        Some(refusal) if refusal.is_not_found() => Answer::NotFound,
        // 424: an earlier request of the same batch failed (planner-api.md 8.4).
        Some(refusal) if refusal.status == 424 => Answer::NotTried,
        // Before the next arm, which would take it in: only this answer makes the machine send more
        // slowly.
        Some(refusal) if refusal.is_throttled() => Answer::Throttled(attempt.retry_after),
        _ if error.is_unavailable() || error.leaves_doubt() => {
            let (wait, in_doubt) = (attempt.retry_after, error.leaves_doubt());
            Answer::Unavailable { wait, in_doubt }
        }
        _ => Answer::Refused,
    }
}

fn done(job: &Job, body: Option<&Json>) -> Answer {
    fn id_of<T: Decoded>(body: Option<&Json>) -> Answer {
        match decoded::<T>(body) {
            // An empty or unreadable answer to a create leaves it in doubt.
            None => Answer::Unavailable { wait: None, in_doubt: true },
            Some(made) => Answer::Done { id: made.id(), tag: None },
        }
    }
    match job {
        Job::CreateRoster => id_of::<Made<RosterId>>(body),
        Job::AddMember(..) => id_of::<Made<UserId>>(body),
        Job::CreatePlan(..) => id_of::<Versioned<Plan>>(body),
        Job::CreateBucket(_) => id_of::<Versioned<Bucket>>(body),
        Job::CreateTask(_) => id_of::<Versioned<Task>>(body),
        Job::AddComment(..) => id_of::<Comment>(body),
        // A 204 has no body and so no tag (planner-api.md 3.7); the write is done all the same.
        _ => Answer::Done { id: None, tag: decoded::<Tag>(body).and_then(|tag| tag.0) },
    }
}

fn decoded<T: Decoded>(body: Option<&Json>) -> Option<T> {
    T::decode(body?.as_str()).ok()
}

/// Returns how long to wait, each time, for the parent of a new entity. A parent that was created a
/// moment ago is not known everywhere at once: Planner then answers as if the actor were no member
/// (planner-api.md 6.1, trap 14). The host has checked that they are. A refusal is no lost answer:
/// nothing was created.
async fn patience(
    client: &Client,
    job: &Job,
    made: &BTreeMap<String, String>,
    now: Timestamp,
) -> Vec<Duration> {
    let in_plan = |plan: &PlanId| made.values().any(|id| id == plan.as_str());
    let waits: &[u64] = match job {
        Job::AddMember(..) | Job::CreatePlan(_, Some(_)) => &MADE_WAITS,
        Job::CreatePlan(plan, None) => match &plan.group {
            Some(group) if is_new(client, group, now).await => &GROUP_WAITS,
            _ => &[],
        },
        Job::CreateBucket(bucket) if in_plan(&bucket.plan) => &MADE_WAITS,
        Job::CreateTask(task) if in_plan(&task.plan) => &MADE_WAITS,
        Job::AddComment(task, _) if made.values().any(|id| id == task.as_str()) => &MADE_WAITS,
        _ => &[],
    };
    waits.iter().copied().map(Duration::from_millis).collect()
}

async fn is_new(client: &Client, group: &GroupId, now: Timestamp) -> bool {
    let group = client.patient().read::<Group>(&request::group(group)).await.ok();
    let age =
        group.and_then(|group| group.created_at).map(|created_at| now.duration_since(created_at));
    age.is_some_and(|age| age.as_secs() < GROUP_IS_NEW)
}
