//! Reading into the snapshot: the one place where an answer is confined to what the actor may see
//! (rule R4) and kept.

use std::collections::BTreeSet;

use crate::host::broker::{Query, Response};
use crate::host::session::not_found;
use crate::host::{Error, Session};
use crate::model::{PlanId, Task, TaskId, User, Versioned};

impl Session {
    /// Asks the service, and keeps what it answers as far as the actor may see it. What is looked up
    /// in the snapshot afterwards is not returned as well: a list can be long.
    pub(crate) fn fetch(&self, query: &Query) -> Result<Response, Error> {
        let response = self.ask(query.clone())?;
        Ok(match (query, response) {
            (_, Response::AllPlans(plans)) => {
                let visible: Vec<_> =
                    plans.into_iter().filter(|it| self.in_scope(&it.value)).collect();
                self.state().snapshot.set_all_plans(visible);
                Response::Kept
            }
            (Query::Plan(id), Response::Plan(plan)) => {
                if !self.in_scope(&plan.value) {
                    return Err(not_found("plan", id.as_str()));
                }
                self.state().snapshot.add_plan(id.clone(), plan.clone());
                Response::Plan(plan)
            }
            (Query::PlanDetails(id), Response::PlanDetails(details)) => {
                self.state().snapshot.add_plan_details(id.clone(), details.clone());
                Response::PlanDetails(details)
            }
            (Query::Buckets(plan), Response::Buckets(buckets)) => {
                self.state().snapshot.set_buckets(plan.clone(), buckets);
                Response::Kept
            }
            (Query::Bucket(id), Response::Bucket(bucket)) => {
                let missing = |_| not_found("bucket", id.as_str());
                self.peek_plan(&bucket.value.plan).map_err(missing)?;
                self.state().snapshot.add_bucket(id.clone(), bucket.clone());
                Response::Bucket(bucket)
            }
            (Query::Tasks(plan), Response::Tasks(tasks)) => {
                self.state().snapshot.set_tasks(plan, tasks);
                Response::Kept
            }
            (Query::MyTasks, Response::Tasks(tasks)) => {
                let visible = self.visible(tasks);
                self.state().snapshot.set_assigned(self.facts().me.id.clone(), visible);
                Response::Kept
            }
            (Query::UserTasks(user), Response::Tasks(tasks)) => {
                let visible = self.visible(tasks);
                self.state().snapshot.set_assigned(user.clone(), visible);
                Response::Kept
            }
            (Query::Task(id), Response::Task(task)) => {
                if self.facts().scope.is_some() {
                    let missing = |_| not_found("task", id.as_str());
                    self.peek_plan(&task.value.plan).map_err(missing)?;
                }
                self.state().snapshot.add_task(id.clone(), (*task).clone());
                Response::Task(task)
            }
            (_, Response::Details(list)) => {
                let mut state = self.state();
                for (id, details) in list {
                    state.snapshot.add_details(id, details);
                }
                Response::Kept
            }
            (Query::Places(board, _), Response::Places(places)) => {
                let mut state = self.state();
                for (id, place) in places {
                    state.snapshot.add_place(id, *board, place);
                }
                Response::Kept
            }
            (Query::User(text), Response::User(user)) => {
                self.state().snapshot.add_user_found_by(text, user.clone());
                Response::User(user)
            }
            (Query::UserByMail(mail), Response::Users(users)) => {
                if let [user] = users.as_slice() {
                    self.state().snapshot.add_user_found_by(mail, user.clone());
                }
                Response::Users(users)
            }
            (Query::RosterMembers(roster), Response::MemberIds(ids)) => {
                self.state().snapshot.set_roster_members(roster.clone(), ids.clone());
                Response::MemberIds(ids)
            }
            (_, Response::Groups(groups)) => {
                self.state().snapshot.set_groups(groups);
                Response::Kept
            }
            (Query::Members(group), Response::Members(users)) => {
                self.state().snapshot.set_members(group.clone(), users.clone());
                Response::Members(users)
            }
            (_, other) => other,
        })
    }

    fn visible(&self, tasks: Vec<Versioned<Task>>) -> Vec<Versioned<Task>> {
        if self.facts().scope.is_none() {
            return tasks;
        }
        tasks.into_iter().filter(|it| self.peek_plan(&it.value.plan).is_ok()).collect()
    }

    /// Answers what a program in another process asks: from what was read, or else by reading.
    /// Whatever it asks for, it sees no more than this session.
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
            Query::Task(id) => self.read_task(id).map(|it| Response::Task(Box::new(it))),
            Query::MyTasks => {
                let ids = self.peek_tasks_of_user(&self.facts().me.clone())?;
                Ok(Response::Tasks(self.known_tasks(&ids)))
            }
            Query::UserTasks(id) => {
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
                let known = self.state().snapshot.find_user(text).cloned();
                known.map_or_else(|| self.fetch(query), |user| Ok(Response::User(user)))
            }
            Query::Groups => self.peek_groups().map(Response::Groups),
            Query::Commit(_) => {
                self.count_commit()?;
                self.ask(query.clone())
            }
            Query::Members(group) => {
                // Those of other groups are shown to nobody else either.
                if !self.peek_groups()?.iter().any(|it| it.id == *group) {
                    return Err(not_found("group", group.as_str()));
                }
                self.fetch(query)
            }
            Query::UserByMail(_) | Query::RosterMembers(_) => self.fetch(query),
        }
    }

    /// Makes sure that a task is one that the actor may see.
    fn reach(&self, id: &TaskId) -> Result<(), Error> {
        let plan: Option<PlanId> = self.state().snapshot.task(id).map(|it| it.value.plan.clone());
        match plan {
            Some(plan) if self.facts().scope.is_none() => drop(plan),
            Some(plan) => drop(self.read_plan(&plan)?),
            None => drop(self.read_task(id)?),
        }
        Ok(())
    }

    fn known_tasks(&self, ids: &[TaskId]) -> Vec<Versioned<Task>> {
        let state = self.state();
        ids.iter().filter_map(|id| state.snapshot.task(id)).cloned().collect()
    }
}

/// How many tasks one question may be about.
const MAX_ASKED: usize = 1000;

/// Each id once; a program here never asks for more at a time.
fn each_once(ids: &[TaskId]) -> Result<Vec<TaskId>, Error> {
    if ids.len() > MAX_ASKED {
        return Err(Error::Invalid(format!("more than {MAX_ASKED} tasks are asked for at once")));
    }
    let once: BTreeSet<&TaskId> = ids.iter().collect();
    Ok(once.into_iter().cloned().collect())
}
