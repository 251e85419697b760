//! Reading into the snapshot: the one place where an answer is confined to what the actor may see
//! (rule R4) and kept.

use std::collections::BTreeSet;

use crate::change::EntityId;
use crate::host::error::Error;
use crate::host::query::{Query, Response};
use crate::host::session::core::Session;
use crate::host::session::core::not_found;
use crate::model::snapshot::Snapshot;
use crate::model::{Plan, PlanId, RosterId, Task, TaskId, User, UserId, Versioned};

impl Session {
    /// Asks the service, and keeps the part of its answer that the actor may see.
    pub(crate) fn fetch(&self, query: &Query) -> Result<(), Error> {
        let response = self.confined(query, self.ask(query.clone())?)?;
        keep(&mut self.state().snapshot, &self.facts().me.id, query, response);
        Ok(())
    }

    /// Returns an entity as it was read, reading it if it was not.
    pub(crate) fn read_one<T>(
        &self,
        what: &'static str,
        id: &EntityId,
        query: &Query,
        known: impl Fn(&Snapshot) -> Option<&Versioned<T>>,
    ) -> Result<Versioned<T>, Error>
    where
        T: Clone,
    {
        if let Some(known) = known(&self.state().snapshot) {
            return Ok(known.clone());
        }
        let missing = || not_found(what, id.as_str());
        // The service has never heard of a provisional id.
        if id.is_provisional() {
            return Err(missing());
        }
        match self.fetch(query) {
            Err(error) if error.is_not_found() => return Err(missing()),
            other => other?,
        }
        known(&self.state().snapshot).cloned().ok_or_else(missing)
    }

    /// Keeps the list of plans that was read before there was a session, as far as the actor may
    /// see it.
    pub(crate) fn keep_plans(&self, mut plans: Vec<Versioned<Plan>>) {
        plans.retain(|plan| self.in_scope(&plan.value));
        self.state().snapshot.set_all_plans(plans);
    }

    fn confined(&self, query: &Query, response: Response) -> Result<Response, Error> {
        Ok(match (query, response) {
            (_, Response::AllPlans(mut plans)) => {
                plans.retain(|plan| self.in_scope(&plan.value));
                Response::AllPlans(plans)
            }
            (Query::Plan(id), Response::Plan(plan)) if !self.in_scope(&plan.value) => {
                return Err(not_found("plan", id.as_str()));
            }
            (Query::Bucket(id), Response::Bucket(bucket)) => {
                let missing = |_| not_found("bucket", id.as_str());
                self.peek_plan(&bucket.value.plan).map_err(missing)?;
                Response::Bucket(bucket)
            }
            (Query::MyTasks | Query::UserTasks(_), Response::Tasks(tasks)) => {
                Response::Tasks(self.visible(tasks))
            }
            (Query::Task(id), Response::Task(task)) if self.facts().scope.is_some() => {
                let missing = |_| not_found("task", id.as_str());
                self.peek_plan(&task.value.plan).map_err(missing)?;
                Response::Task(task)
            }
            (Query::Groups, Response::Groups(groups)) if self.facts().scope.is_some() => {
                // An agent sees its plans, their groups and the people in them (R4).
                let plans = self.peek_plans()?;
                let state = self.state();
                let read = plans.iter().filter_map(|id| state.snapshot.plan(id));
                let own: BTreeSet<_> = read.filter_map(|plan| plan.value.group.clone()).collect();
                Response::Groups(
                    groups.into_iter().filter(|group| own.contains(&group.id)).collect(),
                )
            }
            (_, other) => other,
        })
    }

    fn visible(&self, tasks: Vec<Versioned<Task>>) -> Vec<Versioned<Task>> {
        if self.facts().scope.is_none() {
            return tasks;
        }
        tasks.into_iter().filter(|task| self.peek_plan(&task.value.plan).is_ok()).collect()
    }

    /// Answers a query of a program in another process: from what was read, or else by reading. It
    /// sees no more than this session, whatever it asks for.
    pub(crate) fn answer(&self, query: &Query) -> Result<Response, Error> {
        match query {
            Query::AllPlans => {
                self.peek_plans()?;
                let state = self.state();
                let ids = state.snapshot.all_plans().unwrap_or_default().iter();
                Ok(Response::AllPlans(
                    ids.filter_map(|id| state.snapshot.plan(id)).cloned().collect(),
                ))
            }
            Query::Plan(id) => self.read_plan(id).map(Response::Plan),
            Query::PlanDetails(id) => {
                self.read_plan(id)?;
                self.read_plan_details(id).map(Response::PlanDetails)
            }
            Query::Buckets(plan) => {
                self.read_plan(plan)?;
                let ids = self.peek_buckets(plan)?;
                let state = self.state();
                let all = ids.iter().filter_map(|id| state.snapshot.bucket(id));
                Ok(Response::Buckets(all.cloned().collect()))
            }
            Query::Bucket(id) => self.read_bucket(id).map(Response::Bucket),
            Query::Tasks(plan) => {
                self.read_plan(plan)?;
                let ids = self.peek_tasks(plan)?;
                Ok(Response::Tasks(self.known_tasks(&ids)))
            }
            Query::Task(id) => self.read_task(id).map(|task| Response::Task(Box::new(task))),
            Query::MyTasks => {
                let ids = self.peek_tasks_of_user(&self.facts().me.clone())?;
                Ok(Response::Tasks(self.known_tasks(&ids)))
            }
            Query::UserTasks(id) => {
                // Only the id counts here: the list is asked for by it.
                let user = User { id: id.clone(), ..self.facts().me.clone() };
                let ids = self.peek_tasks_of_user(&user)?;
                Ok(Response::Tasks(self.known_tasks(&ids)))
            }
            Query::Keys(plan) => {
                self.peek_plan(plan)?;
                self.keys_on_record(plan).map(Response::Keys)
            }
            Query::Details(ids) => {
                let ids = &each_once(ids)?;
                for id in ids {
                    self.reach(id)?;
                }
                let known = |id: &TaskId| self.state().snapshot.details(id).is_some();
                let missing: Vec<TaskId> = ids.iter().filter(|id| !known(id)).cloned().collect();
                if !missing.is_empty() {
                    self.fetch(&Query::Details(missing))?;
                }
                let state = self.state();
                let of = |id: &TaskId| Some((id.clone(), state.snapshot.details(id)?.clone()));
                Ok(Response::Details(ids.iter().filter_map(of).collect()))
            }
            Query::Places(board, ids) => {
                let ids = &each_once(ids)?;
                for id in ids {
                    self.reach(id)?;
                }
                self.read_places(*board, ids.clone())?;
                let state = self.state();
                let of =
                    |id: &TaskId| Some((id.clone(), state.snapshot.place(id, *board)?.clone()));
                Ok(Response::Places(ids.iter().filter_map(of).collect()))
            }
            Query::User(text) => {
                let known = || self.state().snapshot.find_user(text).cloned();
                if known().is_none() {
                    self.fetch(query)?;
                }
                known().map(Response::User).ok_or_else(|| not_found("user", text))
            }
            Query::Comments(id) => {
                self.reach(id)?;
                self.read_comments(id).map(Response::Comments)
            }
            Query::MadeByAgent(id) => {
                self.reach(id)?;
                self.made_by_agent(id).map(Response::Agent)
            }
            Query::CountToday(entity, op) => self.count_today(*entity, *op).map(Response::Count),
            Query::Groups => self.peek_groups().map(Response::Groups),
            Query::Commit(_) => {
                self.count_commit()?;
                self.ask_to_commit(query.clone())
            }
            Query::Members(group) => {
                // Groups of others are not shown to a person either.
                if !self.peek_groups()?.iter().any(|own| own.id == *group) {
                    return Err(not_found("group", group.as_str()));
                }
                self.fetch(query)?;
                let state = self.state();
                let ids = state.snapshot.members_of(group).unwrap_or_default().iter();
                let users = ids.filter_map(|id| state.snapshot.user(id));
                Ok(Response::Members(users.cloned().collect()))
            }
            Query::UserByMail(mail) => {
                self.fetch(query)?;
                let found = self.state().snapshot.find_user(mail).cloned();
                Ok(Response::Users(found.into_iter().collect()))
            }
            Query::RosterMembers(roster) => {
                // A roster is within reach through its plan, which has been read by then.
                if !self.reaches_roster(roster) {
                    return Err(not_found("roster", roster.as_str()));
                }
                self.fetch(query)?;
                let ids = self.state().snapshot.members_of_roster(roster).map(<[_]>::to_vec);
                Ok(Response::MemberIds(ids.unwrap_or_default()))
            }
        }
    }

    /// Checks that a task is one that the actor may see.
    fn reach(&self, id: &TaskId) -> Result<(), Error> {
        let plan: Option<PlanId> =
            self.state().snapshot.task(id).map(|task| task.value.plan.clone());
        match plan {
            Some(plan) if self.facts().scope.is_none() => drop(plan),
            Some(plan) => drop(self.read_plan(&plan)?),
            None => drop(self.read_task(id)?),
        }
        Ok(())
    }

    fn reaches_roster(&self, roster: &RosterId) -> bool {
        let state = self.state();
        let mut read = state.snapshot.plans_of_all().into_iter();
        read.any(|id| {
            let plan = state.snapshot.plan(&id).map(|plan| &plan.value);
            plan.is_some_and(|plan| plan.roster.as_ref() == Some(roster) && self.in_scope(plan))
        })
    }

    fn known_tasks(&self, ids: &[TaskId]) -> Vec<Versioned<Task>> {
        let state = self.state();
        ids.iter().filter_map(|id| state.snapshot.task(id)).cloned().collect()
    }
}

/// Keeps an answer in a snapshot.
pub(crate) fn keep(snapshot: &mut Snapshot, me: &UserId, query: &Query, response: Response) {
    match (query.clone(), response) {
        (_, Response::AllPlans(plans)) => snapshot.set_all_plans(plans),
        (Query::Plan(id), Response::Plan(plan)) => snapshot.add_plan(id, plan),
        (Query::PlanDetails(id), Response::PlanDetails(details)) => {
            snapshot.add_plan_details(id, details);
        }
        (Query::Buckets(plan), Response::Buckets(list)) => snapshot.set_buckets(plan, list),
        (Query::Bucket(id), Response::Bucket(bucket)) => snapshot.add_bucket(id, bucket),
        (Query::Tasks(plan), Response::Tasks(tasks)) => snapshot.set_tasks(&plan, tasks),
        (Query::MyTasks, Response::Tasks(tasks)) => snapshot.set_assigned(me.clone(), tasks),
        (Query::UserTasks(user), Response::Tasks(tasks)) => snapshot.set_assigned(user, tasks),
        (Query::Task(id), Response::Task(task)) => snapshot.add_task(id, *task),
        (_, Response::Details(list)) => {
            list.into_iter().for_each(|(id, details)| snapshot.add_details(id, details));
        }
        (Query::Places(board, _), Response::Places(list)) => {
            list.into_iter().for_each(|(id, place)| snapshot.add_place(id, board, place));
        }
        (Query::User(text), Response::User(user)) => snapshot.add_user_found_by(&text, user),
        (Query::UserByMail(mail), Response::Users(users)) => {
            if let Ok([user]) = <[User; 1]>::try_from(users) {
                snapshot.add_user_found_by(&mail, user);
            }
        }
        (_, Response::Groups(groups)) => snapshot.set_groups(groups),
        (Query::Members(group), Response::Members(users)) => snapshot.set_members(group, users),
        (Query::RosterMembers(roster), Response::MemberIds(ids)) => {
            snapshot.set_roster_members(roster, ids);
        }
        (Query::Comments(task), Response::Comments(list)) => snapshot.set_comments(task, list),
        _ => {}
    }
}

/// The most tasks that one query may be about.
const MAX_ASKED: usize = 1000;

/// Returns each id once; a program of ours never asks for more at a time.
fn each_once(ids: &[TaskId]) -> Result<Vec<TaskId>, Error> {
    if ids.len() > MAX_ASKED {
        return Err(Error::Invalid(format!("more than {MAX_ASKED} tasks were asked for at once")));
    }
    let once: BTreeSet<&TaskId> = ids.iter().collect();
    Ok(once.into_iter().cloned().collect())
}
