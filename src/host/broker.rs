//! The async end of a session, which fetches what programs ask for.
//!
//! A program waits on its own thread; here one task answers it. When the run is stopped, the reply
//! is dropped, which wakes the waiting program at once.

use std::collections::BTreeMap;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use crate::graph::{Client, Error};
use crate::host::query::{PendingQuery, Query, Response};
use crate::model::{
    Board, BoardPlace, Group, Plan, PlanId, TaskDetails, TaskId, UserId, Versioned,
};
use crate::wire::entity::Made;
use crate::wire::{Decoded, Request, request};

/// Reads that go out at once; Planner throttles bursts (planner-api.md 8.3).
const LANES: usize = 6;
/// The number of details from which they are read in batches.
const BATCH_FROM: usize = 4;

/// Answers queries until nobody is left to ask.
///
/// A commit is the run's own business: `commits` leads there.
pub(crate) async fn serve(
    client: Client,
    mut queries: mpsc::Receiver<PendingQuery>,
    commits: mpsc::Sender<PendingQuery>,
) {
    while let Some(PendingQuery { ask, stop, reply }) = queries.recv().await {
        if let Query::Commit(_) = ask {
            if let Err(unsent) = commits.send(PendingQuery { ask, stop, reply }).await {
                // A session that only reads has no run to commit.
                drop(unsent.0.reply.send(Err(crate::host::error::Error::ReadOnly)));
            }
            continue;
        }
        tokio::select! {
            // The stop first: a stopped program must not go on with an answer.
            biased;
            () = stop.wait() => drop(reply),
            answer = fetch(&client, ask) => drop(reply.send(answer.map_err(Into::into))),
        }
    }
}

/// Reads from the service what a query asks for.
pub(crate) async fn fetch(client: &Client, ask: Query) -> Result<Response, Error> {
    Ok(match ask {
        Query::AllPlans => Response::AllPlans(all_plans(client).await?),
        Query::Plan(id) => Response::Plan(client.read(&request::plan(&id)).await?),
        Query::PlanDetails(id) => {
            Response::PlanDetails(client.read(&request::plan_details(&id)).await?)
        }
        Query::Buckets(plan) => {
            Response::Buckets(client.list(&request::plan_buckets(&plan)).await?)
        }
        Query::Bucket(id) => Response::Bucket(client.read(&request::bucket(&id)).await?),
        Query::Tasks(plan) => Response::Tasks(client.list(&request::plan_tasks(&plan)).await?),
        Query::Task(id) => Response::Task(Box::new(client.read(&request::task(&id)).await?)),
        Query::MyTasks => Response::Tasks(client.list(&request::my_tasks()).await?),
        Query::UserTasks(id) => Response::Tasks(client.list(&request::user_tasks(&id)).await?),
        Query::Details(ids) => Response::Details(details(client, ids).await?),
        Query::Places(board, ids) => Response::Places(places(client, board, ids).await?),
        Query::User(text) => Response::User(client.read(&request::user(&text)).await?),
        Query::UserByMail(mail) => {
            Response::Users(client.list(&request::users_by_mail(&mail)).await?)
        }
        Query::Groups => Response::Groups(client.list(&groups_of(client)).await?),
        Query::RosterMembers(roster) => {
            let members = client.list::<Made<UserId>>(&request::roster_members(&roster)).await?;
            Response::MemberIds(members.into_iter().map(|member| member.0).collect())
        }
        Query::Comments(task) => Response::Comments(client.list(&request::messages(&task)).await?),
        // The run and the journal answer these, not the service.
        Query::Commit(_) | Query::Keys(_) | Query::MadeByAgent(_) | Query::CountToday(..) => {
            Response::Kept
        }
        Query::Members(group) => Response::Members(client.list(&request::members(&group)).await?),
    })
}

/// Returns every plan within reach: those shared with the actor, which are not all (planner-api.md
/// 7.6), and those of each group of the actor. Plans that may not be listed are left out.
pub(crate) async fn all_plans(client: &Client) -> Result<Vec<Versioned<Plan>>, Error> {
    let mut plans: BTreeMap<PlanId, Versioned<Plan>> = BTreeMap::new();
    // An application has no plans of its own: it reaches those of every group.
    let is_app = client.application().is_some();
    let shared = if is_app {
        Vec::new()
    } else {
        client.list::<Versioned<Plan>>(&request::my_plans()).await?
    };
    let groups = match client.list::<Group>(&groups_of(client)).await {
        Ok(groups) => groups,
        Err(error) if error.refusal().is_some_and(|refusal| refusal.is_forbidden()) => Vec::new(),
        Err(error) => return Err(error),
    };
    let lists = in_lanes(
        groups,
        |client, group: Group| async move {
            match client.list::<Versioned<Plan>>(&request::group_plans(&group.id)).await {
                // A group that Planner does not know yet, or hides.
                Err(error) if error.is_not_found() || error.is_permission() => Ok(Vec::new()),
                other => other,
            }
        },
        client,
    )
    .await?;
    let rosters = if client.base().is_beta() && !is_app {
        client.list::<Versioned<Plan>>(&request::my_roster_plans()).await?
    } else {
        Vec::new()
    };
    let lists = lists.into_iter().flatten();
    for plan in shared.into_iter().chain(lists).chain(rosters) {
        plans.entry(plan.value.id.clone()).or_insert(plan);
    }
    let mut plans: Vec<_> = plans.into_values().collect();
    plans.sort_by(|a, b| (&a.value.title, &a.value.id).cmp(&(&b.value.title, &b.value.id)));
    Ok(plans)
}

/// Returns the request for the groups of whoever is signed in: an application is a member of none,
/// and reaches all (planner-api.md 11).
fn groups_of(client: &Client) -> Request {
    if client.application().is_some() { request::all_groups() } else { request::my_groups() }
}

/// Fetches the details of tasks; deleted ones are left out.
pub(crate) async fn details(
    client: &Client,
    ids: Vec<TaskId>,
) -> Result<Vec<(TaskId, Versioned<TaskDetails>)>, Error> {
    of_tasks(client, ids, request::task_details).await
}

/// Fetches the places of tasks on a board; deleted ones are left out.
pub(crate) async fn places(
    client: &Client,
    board: Board,
    ids: Vec<TaskId>,
) -> Result<Vec<(TaskId, Versioned<BoardPlace>)>, Error> {
    of_tasks(client, ids, |id| request::board_place(id, board)).await
}

/// Fetches one object for each task, in batches if there are many.
async fn of_tasks<T>(
    client: &Client,
    ids: Vec<TaskId>,
    request: impl Fn(&TaskId) -> Request,
) -> Result<Vec<(TaskId, T)>, Error>
where
    T: Decoded + Send + 'static,
{
    let requests: Vec<Request> = ids.iter().map(request).collect();
    let answers = if ids.len() >= BATCH_FROM {
        client.read_many::<T>(&requests).await?
    } else {
        let read = |client: Client, request: Request| async move {
            Ok::<_, Error>(client.read::<T>(&request).await)
        };
        in_lanes(requests, read, client).await?
    };
    let mut found = Vec::with_capacity(ids.len());
    for (id, answer) in ids.into_iter().zip(answers) {
        match answer {
            Ok(value) => found.push((id, value)),
            // Deleted since the list was read: a query for this very task will say so.
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Runs one job for each item, a few at a time, and returns the results in the items' order.
pub(crate) async fn in_lanes<I, T, F, Fut>(
    items: Vec<I>,
    job: F,
    client: &Client,
) -> Result<Vec<T>, Error>
where
    T: Send + 'static,
    F: Fn(Client, I) -> Fut,
    Fut: Future<Output = Result<T, Error>> + Send + 'static,
{
    let mut results: BTreeMap<usize, T> = BTreeMap::new();
    let mut jobs = JoinSet::new();
    let mut waiting = items.into_iter().enumerate();
    loop {
        while jobs.len() < LANES {
            let Some((at, item)) = waiting.next() else { break };
            let work = job(client.clone(), item);
            let work = async move { (at, work.await) };
            jobs.spawn(work.in_current_span());
        }
        match jobs.join_next().await {
            None => return Ok(results.into_values().collect()),
            Some(Ok((at, result))) => {
                results.insert(at, result?);
            }
            Some(Err(failed)) => std::panic::resume_unwind(failed.into_panic()),
        }
    }
}
