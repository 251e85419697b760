//! Reading tasks and their details.

use crate::change::{EntityId, Read, TaskKey, TaskState};
use crate::host::error::Error;
use crate::host::query::Query;
use crate::host::session::core::Session;
use crate::host::session::core::not_found;
use crate::model::{BucketId, PlanId, Task, TaskDetails, TaskId, User, Versioned};

/// The most details that are read at once.
const MANY: usize = 1000;

impl Session {
    /// Returns the ids of a plan's tasks in list order, new ones first as Planner shows them.
    ///
    /// # Errors
    /// The plan does not exist or the service cannot be reached.
    pub fn tasks(&self, plan: &PlanId) -> Result<Vec<TaskId>, Error> {
        let plan = &*self.real(plan);
        let ids = self.peek_tasks(plan)?;
        self.count(Read::Tasks(plan.clone()));
        Ok(ids)
    }

    /// Lists tasks for the host's own use: no decision rests on it, so it does not count as read.
    pub(crate) fn peek_tasks(&self, plan: &PlanId) -> Result<Vec<TaskId>, Error> {
        let plan = &*self.real(plan);
        self.list_tasks(plan)?;
        let state = self.state();
        let ids = state.snapshot.tasks_of(plan).unwrap_or_default();
        if !self.overlaid() {
            return Ok(ids.to_vec());
        }
        let new = state.draft.new_tasks(plan).map(|task| task.id.clone());
        let listed = |id: &TaskId| {
            // The entity itself says whether it is listed: searching the list would be quadratic.
            state.snapshot.task(id).is_some_and(|read| read.value.plan == *plan)
        };
        let moved_here = state.draft.changed_tasks().filter(|task| task.plan == *plan);
        let moved_here: Vec<TaskId> =
            moved_here.map(|task| task.id.clone()).filter(|id| !listed(id)).collect();
        let stays = |id: &TaskId| match state.draft.task(id) {
            Some(drafted) => drafted.is_some_and(|state| state.task.plan == *plan),
            None => true,
        };
        let stay = ids.iter().filter(|id| stays(id)).cloned();
        Ok(new.chain(moved_here).chain(stay).collect())
    }

    /// Makes sure that the tasks of a plan have been listed.
    pub(crate) fn list_tasks(&self, plan: &PlanId) -> Result<(), Error> {
        self.peek_plan(plan)?;
        if !plan.is_provisional() && self.state().snapshot.tasks_of(plan).is_none() {
            self.fetch(&Query::Tasks(plan.clone()))?;
        }
        Ok(())
    }

    /// Returns the ids of a bucket's tasks.
    ///
    /// # Errors
    /// The bucket does not exist or the service cannot be reached.
    pub fn tasks_in(&self, bucket: &BucketId) -> Result<Vec<TaskId>, Error> {
        let bucket = &*self.real(bucket);
        let plan = self.peek_bucket(bucket)?.plan;
        let ids = self.peek_tasks_in(bucket)?;
        self.count(Read::TasksIn(plan, bucket.clone()));
        Ok(ids)
    }

    pub(crate) fn peek_tasks_in(&self, bucket: &BucketId) -> Result<Vec<TaskId>, Error> {
        let bucket = &*self.real(bucket);
        let plan = self.peek_bucket(bucket)?.plan;
        let mut ids = Vec::new();
        for id in self.peek_tasks(&plan)? {
            if self.with_task(&id, |task| task.bucket.as_ref() == Some(bucket))? {
                ids.push(id);
            }
        }
        Ok(ids)
    }

    /// Returns the ids of the tasks assigned to the signed-in user.
    ///
    /// # Errors
    /// The service cannot be reached.
    pub fn my_tasks(&self) -> Result<Vec<TaskId>, Error> {
        if self.facts().is_application {
            return Err(Error::NeedsUser("`my_tasks()`"));
        }
        self.tasks_of_user(&self.facts().me.clone())
    }

    /// Returns the ids of the tasks assigned to a person, as Planner lists them.
    ///
    /// # Errors
    /// Planner shows only one's own, except to an application; or it cannot be reached.
    pub fn tasks_of_user(&self, user: &User) -> Result<Vec<TaskId>, Error> {
        let ids = self.peek_tasks_of_user(user)?;
        self.count(Read::AssignedTo(user.id.clone()));
        Ok(ids)
    }

    pub(crate) fn peek_tasks_of_user(&self, user: &User) -> Result<Vec<TaskId>, Error> {
        if self.state().snapshot.assigned_to(&user.id).is_none() {
            let is_me = user.id == self.facts().me.id;
            let query = if is_me { Query::MyTasks } else { Query::UserTasks(user.id.clone()) };
            match self.fetch(&query) {
                Err(error) if error.is_permission() && !is_me => {
                    return Err(Error::TasksOfOthers(user.label().to_owned()));
                }
                other => other?,
            }
        }
        let state = self.state();
        let ids = state.snapshot.assigned_to(&user.id).unwrap_or_default().to_vec();
        if !self.overlaid() {
            return Ok(ids);
        }
        let is_theirs = |id: &TaskId| match state.draft.task(id) {
            Some(drafted) => {
                drafted.is_some_and(|state| state.task.assignments.contains_key(&user.id))
            }
            None => true,
        };
        let mut theirs: Vec<TaskId> = ids.into_iter().filter(is_theirs).collect();
        for task in state.draft.touched_states().map(|state| &state.task) {
            if task.assignments.contains_key(&user.id) && !theirs.contains(&task.id) {
                theirs.push(task.id.clone());
            }
        }
        Ok(theirs)
    }

    /// Returns a whole task; every field of it counts as read.
    ///
    /// # Errors
    /// It does not exist, is out of scope, or was deleted in this run.
    pub fn task(&self, id: &TaskId) -> Result<Task, Error> {
        let id = &*self.real(id);
        let task = self.peek_task(id)?;
        self.count(Read::Entity(EntityId::Task(id.clone())));
        Ok(task)
    }

    /// Returns a field of a task.
    ///
    /// # Errors
    /// As [`Session::task`].
    pub fn task_field<T>(&self, id: &TaskId, key: TaskKey<T>) -> Result<T, Error> {
        let id = &*self.real(id);
        self.check_stop()?;
        let value = if key.field.is_in_details() {
            let details = self.peek_details(id)?;
            self.with_task(id, |task| (key.get)(task, &details))?
        } else {
            // None of these is in the details.
            self.with_task(id, |task| (key.get)(task, &TaskDetails::default()))?
        };
        self.count(Read::Field(EntityId::Task(id.clone()), key.field));
        Ok(value)
    }

    /// Passes a task to `look` without copying it.
    pub(crate) fn with_task<T>(
        &self,
        id: &TaskId,
        look: impl FnOnce(&Task) -> T,
    ) -> Result<T, Error> {
        // The lock must be free while the broker is asked.
        let known = {
            let state = self.state();
            (self.overlaid() && state.draft.task(id).is_some()) || state.snapshot.task(id).is_some()
        };
        if !known {
            self.read_task(id)?;
        }
        let state = self.state();
        if self.overlaid()
            && let Some(drafted) = state.draft.task(id)
        {
            return drafted.map(|state| look(&state.task)).ok_or(Error::Gone { what: "task" });
        }
        let read = state.snapshot.task(id);
        read.map(|task| look(&task.value)).ok_or_else(|| not_found("task", id.as_str()))
    }

    pub(crate) fn peek_task(&self, id: &TaskId) -> Result<Task, Error> {
        self.with_task(&self.real(id), Clone::clone)
    }

    /// Returns a task as it was read, with its tag.
    pub(crate) fn read_task(&self, id: &TaskId) -> Result<Versioned<Task>, Error> {
        let entity = EntityId::Task(id.clone());
        self.read_one("task", &entity, &Query::Task(id.clone()), |snapshot| snapshot.task(id))
    }

    /// Returns the details of a task; every field of them counts as read.
    ///
    /// # Errors
    /// As [`Session::task`].
    pub fn details(&self, id: &TaskId) -> Result<TaskDetails, Error> {
        let id = &*self.real(id);
        let details = self.peek_details(id)?;
        let fields = crate::change::Field::IN_DETAILS;
        let entity = EntityId::Task(id.clone());
        fields.into_iter().for_each(|field| self.count(Read::Field(entity.clone(), field)));
        Ok(details)
    }

    pub(crate) fn peek_details(&self, id: &TaskId) -> Result<TaskDetails, Error> {
        let id = &*self.real(id);
        self.with_task(id, |_| ())?;
        if self.overlaid()
            && let Some(Some(TaskState { details: Some(details), .. })) =
                self.state().draft.task(id)
        {
            return Ok(details.clone());
        }
        if let Some(details) = self.state().snapshot.known_details(id) {
            return Ok(details);
        }
        let window = {
            let mut state = self.state();
            let window = state.readahead;
            state.readahead = (window * 3).min(MANY);
            window
        };
        Ok(self.read_details_with(id, window, false)?.value)
    }

    /// Fetches the details of a task, for writing: also empty ones, for their tag. From the second
    /// time on it also fetches those that follow, as for a read.
    pub(crate) fn read_details(&self, id: &TaskId) -> Result<Versioned<TaskDetails>, Error> {
        if let Some(details) = self.state().snapshot.details(id) {
            return Ok(details.clone());
        }
        let window = {
            let mut state = self.state();
            let window = state.writeahead;
            state.writeahead = if window == 1 { 20 } else { (window * 3).min(MANY) };
            window
        };
        self.read_details_with(id, window, true)
    }

    /// Reads the details of tasks, as far as they are not known; deleted ones are left out.
    pub(crate) fn read_many_details(&self, mut ids: Vec<TaskId>) -> Result<(), Error> {
        ids.retain(|id| self.state().snapshot.details(id).is_none());
        for some in ids.chunks(MANY) {
            self.fetch(&Query::Details(some.to_vec()))?;
        }
        Ok(())
    }

    /// Fetches the details of a task and of those that follow it in the plan's list: a program that
    /// reads one often reads the next.
    fn read_details_with(
        &self,
        id: &TaskId,
        window: usize,
        bare_too: bool,
    ) -> Result<Versioned<TaskDetails>, Error> {
        let wanted: Vec<TaskId> = {
            let state = self.state();
            let snapshot = &state.snapshot;
            let list = snapshot
                .task(id)
                .and_then(|task| snapshot.tasks_of(&task.value.plan))
                .unwrap_or_default();
            let following = list.iter().skip_while(|other| *other != id).skip(1).filter(|other| {
                snapshot.details(other).is_none()
                    && snapshot
                        .task(other)
                        .is_some_and(|task| bare_too || !task.value.has_bare_details())
            });
            std::iter::once(id).chain(following).take(window).cloned().collect()
        };
        self.fetch(&Query::Details(wanted))?;
        let read = self.state().snapshot.details(id).cloned();
        read.ok_or_else(|| not_found("task", id.as_str()))
    }
}
