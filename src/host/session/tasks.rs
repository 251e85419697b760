//! Reading tasks and their details through a session.

use crate::change::{EntityId, Field, TaskState};
use crate::host::broker::{Query, Response};
use crate::host::session::not_found;
use crate::host::session::read_set::ListRead;
use crate::host::{Error, Session};
use crate::model::{BucketId, PlanId, Task, TaskDetails, TaskId, User, Versioned};

impl Session {
    /// Returns the ids of a plan's tasks in list order, new ones first as Planner shows them.
    ///
    /// # Errors
    /// The plan does not exist or the service can not be asked.
    pub fn tasks(&self, plan: &PlanId) -> Result<Vec<TaskId>, Error> {
        let plan = &*self.real(plan);
        self.note_list(ListRead::Tasks(plan.clone()));
        self.listed_tasks(plan)
    }

    /// The same where the caller says what of it counts as read.
    pub(crate) fn listed_tasks(&self, plan: &PlanId) -> Result<Vec<TaskId>, Error> {
        let plan = &*self.real(plan);
        self.plan(plan)?;
        let read = self.state().snapshot.tasks_of(plan).map(<[_]>::to_vec);
        let ids = match read {
            Some(ids) => ids,
            None if plan.is_provisional() => Vec::new(),
            None => {
                self.fetch(&Query::Tasks(plan.clone()))?;
                self.state().snapshot.tasks_of(plan).unwrap_or_default().to_vec()
            }
        };
        if !self.overlaid() {
            return Ok(ids);
        }
        let state = self.state();
        let new = state.draft.new_tasks(plan).map(|it| it.id.clone());
        let moved_here = state.draft.touched_tasks().filter(|it| it.plan == *plan);
        let moved_here = moved_here.map(|it| it.id.clone()).filter(|id| !id.is_provisional());
        let moved_here: Vec<TaskId> = moved_here.filter(|id| !ids.contains(id)).collect();
        let stays = |id: &TaskId| match state.draft.task(id) {
            Some(wanted) => wanted.is_some_and(|it| it.task.plan == *plan),
            None => true,
        };
        Ok(new.chain(moved_here).chain(ids.iter().filter(|it| stays(it)).cloned()).collect())
    }

    /// Returns the ids of a bucket's tasks; that they are in it counts as read.
    ///
    /// # Errors
    /// The bucket does not exist or the service can not be asked.
    pub fn tasks_in(&self, bucket: &BucketId) -> Result<Vec<TaskId>, Error> {
        let bucket = &*self.real(bucket);
        let plan = self.bucket(bucket)?.plan;
        self.note_list(ListRead::TasksIn(plan.clone(), bucket.clone()));
        let mut ids = Vec::new();
        for id in self.listed_tasks(&plan)? {
            if self.task(&id)?.bucket.as_ref() == Some(bucket) {
                self.note_read(EntityId::Task(id.clone()), Field::BucketId);
                ids.push(id);
            }
        }
        Ok(ids)
    }

    /// Returns the ids of the tasks assigned to the signed-in user.
    ///
    /// # Errors
    /// The service can not be asked.
    pub fn my_tasks(&self) -> Result<Vec<TaskId>, Error> {
        self.note_list(ListRead::Mine);
        if self.state().snapshot.my_tasks().is_none() {
            self.fetch(&Query::MyTasks)?;
        }
        let ids = self.state().snapshot.my_tasks().unwrap_or_default().to_vec();
        if !self.overlaid() {
            return Ok(ids);
        }
        let state = self.state();
        let me = &self.facts().me.id;
        let is_mine = |id: &TaskId| match state.draft.task(id) {
            Some(wanted) => wanted.is_some_and(|it| it.task.assignments.contains_key(me)),
            None => true,
        };
        let mut mine: Vec<TaskId> = ids.into_iter().filter(is_mine).collect();
        for task in state.draft.touched_tasks() {
            if task.assignments.contains_key(me) && !mine.contains(&task.id) {
                mine.push(task.id.clone());
            }
        }
        Ok(mine)
    }

    /// Returns the ids of the tasks assigned to a person, as Planner lists them.
    ///
    /// # Errors
    /// Planner shows only one's own, unless an application asks; or it can not be asked.
    pub fn tasks_of_user(&self, user: &User) -> Result<Vec<TaskId>, Error> {
        if user.id == self.facts().me.id {
            return self.my_tasks();
        }
        let tasks = match self.fetch(&Query::UserTasks(user.id.clone())) {
            Ok(Response::Tasks(tasks)) => tasks,
            Err(error) if error.is_permission() => {
                return Err(Error::TasksOfOthers(user.label().to_owned()));
            }
            other => other.map(|_| Vec::new())?,
        };
        let mut ids = Vec::new();
        for task in tasks {
            if self.facts().scope.is_none() || self.plan(&task.value.plan).is_ok() {
                ids.push(task.value.id.clone());
                self.state().snapshot.add_task(task.value.id.clone(), task);
            }
        }
        Ok(ids)
    }

    /// Returns a task.
    ///
    /// # Errors
    /// It does not exist, is out of scope, or was deleted in this run.
    pub fn task(&self, id: &TaskId) -> Result<Task, Error> {
        let id = &*self.real(id);
        if self.overlaid()
            && let Some(wanted) = self.state().draft.task(id)
        {
            return wanted.map(|it| it.task.clone()).ok_or(Error::Gone { what: "task" });
        }
        Ok(self.read_task(id)?.value)
    }

    /// Returns a task and notes which field of it is looked at.
    ///
    /// # Errors
    /// As [`Session::task`].
    pub fn look(&self, id: &TaskId, field: Field) -> Result<Task, Error> {
        let id = &*self.real(id);
        self.check_stop()?;
        let task = self.task(id)?;
        self.note_read(EntityId::Task(id.clone()), field);
        Ok(task)
    }

    /// Notes that a decision may rest on a field.
    pub fn note_read(&self, entity: EntityId, field: Field) {
        self.note_seen(&entity, field);
        self.state().draft.note_read(entity, field);
    }

    pub(crate) fn read_task(&self, id: &TaskId) -> Result<Versioned<Task>, Error> {
        if let Some(task) = self.state().snapshot.task(id) {
            return Ok(task.clone());
        }
        let missing = || not_found("task", id.as_str());
        if id.is_provisional() {
            return Err(missing());
        }
        match self.fetch(&Query::Task(id.clone())) {
            Ok(Response::Task(task)) => Ok(*task),
            Ok(_) => Err(missing()),
            Err(error) if error.is_not_found() => Err(missing()),
            Err(error) => Err(error),
        }
    }

    /// Returns the details of a task, and notes which field of them is looked at.
    ///
    /// # Errors
    /// As [`Session::task`].
    pub fn details(&self, id: &TaskId, field: Field) -> Result<TaskDetails, Error> {
        let id = &*self.real(id);
        let task = self.look(id, field)?;
        if self.overlaid()
            && let Some(Some(TaskState { details: Some(details), .. })) =
                self.state().draft.task(id)
        {
            return Ok(details.clone());
        }
        if task.has_bare_details() {
            let mut state = self.state();
            if state.snapshot.details(id).is_none() {
                state.seen_bare.insert(id.clone());
            }
            if state.seen_bare.contains(id) {
                return Ok(TaskDetails::default());
            }
        }
        Ok(self.read_details_ahead(id)?.value)
    }

    /// Fetches the details of a task, for writing: empty ones too, for their tag. From the second
    /// time on also those that follow, as for a look.
    pub(crate) fn read_details(&self, id: &TaskId) -> Result<Versioned<TaskDetails>, Error> {
        if let Some(details) = self.state().snapshot.details(id) {
            return Ok(details.clone());
        }
        let window = {
            let mut state = self.state();
            let window = state.writeahead;
            state.writeahead = if window == 1 { 20 } else { (window * 3).min(1000) };
            window
        };
        self.read_details_with(id, window, true)
    }

    /// Fetches the details of a task and of those that follow it in the plan's list: a program
    /// that looks into one often looks into the next.
    fn read_details_ahead(&self, id: &TaskId) -> Result<Versioned<TaskDetails>, Error> {
        if let Some(details) = self.state().snapshot.details(id) {
            return Ok(details.clone());
        }
        let window = {
            let mut state = self.state();
            let window = state.readahead;
            state.readahead = (window * 3).min(1000);
            window
        };
        self.read_details_with(id, window, false)
    }

    fn read_details_with(
        &self,
        id: &TaskId,
        window: usize,
        bare_too: bool,
    ) -> Result<Versioned<TaskDetails>, Error> {
        if let Some(details) = self.state().snapshot.details(id) {
            return Ok(details.clone());
        }
        let wanted = {
            let state = self.state();
            let snapshot = &state.snapshot;
            let list = snapshot
                .task(id)
                .and_then(|task| snapshot.tasks_of(&task.value.plan))
                .unwrap_or_default();
            let following = list.iter().skip_while(|it| *it != id).skip(1).filter(|it| {
                snapshot.details(it).is_none()
                    && snapshot
                        .task(it)
                        .is_some_and(|task| bare_too || !task.value.has_bare_details())
            });
            std::iter::once(id).chain(following).take(window).cloned().collect()
        };
        self.fetch(&Query::Details(wanted))?;
        let read = self.state().snapshot.details(id).cloned();
        read.ok_or_else(|| not_found("task", id.as_str()))
    }
}
