//! Moves of buckets and tasks: into other columns, and next to their siblings.
//!
//! A place is described by the hints of the neighbours that stay (see [`crate::model::order`]). A
//! task has a place on each of three boards; each is read only when it is needed.

use std::cmp::Reverse;

use crate::change::{EntityId, Field, Read};
use crate::host::error::Error;
use crate::host::query::Query;
use crate::host::session::core::Session;
use crate::host::session::core::not_found;
use crate::host::session::edits::Editor;
use crate::model::order::{self, Side};
use crate::model::{Board, BoardPlace, BucketId, PlanId, Task, TaskId, UserId, Versioned};

/// A column of one of the boards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column<'a> {
    /// The bucket of a task.
    Bucket,
    /// The state of progress of a task.
    Progress,
    /// The tasks assigned to a person, or to nobody.
    AssignedTo(Option<&'a UserId>),
}

impl<'a> Column<'a> {
    const fn board(self) -> Board {
        match self {
            Self::Bucket => Board::Bucket,
            Self::Progress => Board::Progress,
            Self::AssignedTo(_) => Board::AssignedTo,
        }
    }

    const fn person(self) -> Option<&'a UserId> {
        match self {
            Self::Bucket | Self::Progress => None,
            Self::AssignedTo(person) => person,
        }
    }

    /// Returns whether two tasks are in the same column.
    fn shared(self, a: &Task, b: &Task) -> bool {
        match self {
            Self::Bucket => a.bucket == b.bucket,
            Self::Progress => a.progress() == b.progress(),
            Self::AssignedTo(Some(user)) => {
                a.assignments.contains_key(user) && b.assignments.contains_key(user)
            }
            Self::AssignedTo(None) => a.assignments.is_empty() && b.assignments.is_empty(),
        }
    }
}

impl Session {
    /// Returns the ids of a bucket's tasks from top to bottom of its board, new ones first as
    /// Planner shows them. It costs a request for every twenty tasks.
    ///
    /// # Errors
    /// The bucket does not exist or the service cannot be reached.
    pub fn tasks_in_order(&self, bucket: &BucketId) -> Result<Vec<TaskId>, Error> {
        let ids = self.peek_tasks_in_order(bucket)?;
        let bucket = &*self.real(bucket);
        let plan = self.peek_bucket(bucket)?.plan;
        self.count(Read::TasksIn(plan, bucket.clone()));
        for id in &ids {
            self.count(Read::Field(EntityId::Task(id.clone()), Field::BucketBoard));
        }
        Ok(ids)
    }

    fn peek_tasks_in_order(&self, bucket: &BucketId) -> Result<Vec<TaskId>, Error> {
        let bucket = &*self.real(bucket);
        let plan = self.peek_bucket(bucket)?.plan;
        let mut tasks = self.tasks_where(&plan, |task| task.bucket.as_ref() == Some(bucket))?;
        self.sort_column(&mut tasks, Column::Bucket)?;
        Ok(tasks.into_iter().map(|task| task.id).collect())
    }

    fn tasks_where(&self, plan: &PlanId, keep: impl Fn(&Task) -> bool) -> Result<Vec<Task>, Error> {
        let all = self.peek_tasks(plan)?.into_iter().map(|id| self.peek_task(&id));
        all.filter(|task| task.as_ref().map_or(true, &keep)).collect()
    }

    /// Sorts tasks in the order of their column: by hint, then the newest first, then by id
    /// (planner-api.md 4.5). Those without a place yet come first.
    fn sort_column(&self, tasks: &mut [Task], column: Column<'_>) -> Result<(), Error> {
        let old = tasks.iter().filter(|task| !task.id.is_provisional());
        self.read_places(column.board(), old.map(|task| task.id.clone()).collect())?;
        let hint = |task: &Task| self.hint_in(&task.id, column);
        tasks.sort_by_cached_key(|task| (hint(task), Reverse(task.created_at), task.id.clone()));
        Ok(())
    }

    fn hint_in(&self, id: &TaskId, column: Column<'_>) -> String {
        let state = self.state();
        let (board, person) = (column.board(), column.person());
        let drafted = state.draft.task(id).flatten().filter(|_| self.overlaid());
        let drafted = drafted.and_then(|state| state.places.get(&board));
        let read = || state.snapshot.place(id, board).map(|place| &place.value);
        drafted.or_else(read).map_or("", |place| place.hint_of(person)).to_owned()
    }

    /// Reads the places of tasks on a board, as far as they are not known.
    pub(crate) fn read_places(&self, board: Board, mut ids: Vec<TaskId>) -> Result<(), Error> {
        {
            let state = self.state();
            ids.retain(|id| state.snapshot.place(id, board).is_none());
        }
        if !ids.is_empty() {
            self.fetch(&Query::Places(board, ids))?;
        }
        Ok(())
    }

    pub(crate) fn read_place(
        &self,
        id: &TaskId,
        board: Board,
    ) -> Result<Versioned<BoardPlace>, Error> {
        self.read_places(board, vec![id.clone()])?;
        let read = self.state().snapshot.place(id, board).cloned();
        read.ok_or_else(|| not_found("task", id.as_str()))
    }
}

impl Editor<'_> {
    /// Moves a bucket next to another of its plan.
    ///
    /// # Errors
    /// They belong to different plans, or as [`Self::edit_bucket`].
    pub fn move_bucket(self, id: &BucketId, next_to: &BucketId, side: Side) -> Result<(), Error> {
        let id = &*self.real(id);
        let next_to = &*self.real(next_to);
        let plan = self.peek_bucket(id)?.plan;
        if self.peek_bucket(next_to)?.plan != plan {
            return Err(Error::Invalid("the two buckets belong to different plans".into()));
        }
        if id == next_to {
            return Ok(());
        }
        let mut ids = self.peek_buckets(&plan)?;
        let before = ids.clone();
        order::put_next_to(&mut ids, id.clone(), next_to, side);
        if ids == before {
            return Ok(());
        }
        let mut hints = Vec::with_capacity(ids.len());
        for sibling in &ids {
            let hint = self.peek_bucket(sibling)?.order_hint;
            // Only hints from the service can be built on: a drafted one is described again with
            // the others.
            hints.push(Some(hint).filter(|hint| sibling != id && !order::is_wanted(hint)));
        }
        let stays: Vec<Option<&str>> = hints.iter().map(Option::as_deref).collect();
        for (sibling, place) in ids.iter().zip(order::describe(&stays)) {
            if let Some(hint) = place {
                self.edit_bucket(sibling, |bucket| bucket.order_hint = hint)?;
            }
        }
        Ok(())
    }

    /// Moves a task to a bucket of its plan.
    ///
    /// # Errors
    /// The bucket belongs to another plan (planner-api.md trap 17), or as [`Self::edit_task`].
    pub fn move_task(self, id: &TaskId, bucket: &BucketId) -> Result<(), Error> {
        let id = &*self.real(id);
        let bucket = &*self.real(bucket);
        let (task, bucket) = (self.peek_task(id)?, self.peek_bucket(bucket)?);
        if task.plan != bucket.plan {
            return Err(Error::Invalid(format!(
                "the bucket `{}` belongs to another plan than the task `{}`",
                bucket.name, task.title
            )));
        }
        if task.bucket.as_ref() == Some(&bucket.id) {
            return Ok(());
        }
        let into = bucket.id.clone();
        self.edit_task(id, |task| task.bucket = Some(into))?;
        // A place drafted in the old column means nothing in the new one.
        self.state().draft.forget_place(id, Board::Bucket);
        self.settle_arrival(&bucket.id)
    }

    /// Describes the drafted places of a bucket again, once a task has arrived. Otherwise only the
    /// service could say where the task, with its old hint, ends up among them.
    fn settle_arrival(self, bucket: &BucketId) -> Result<(), Error> {
        let column = Column::Bucket;
        let has_wanted = {
            let state = self.state();
            state.draft.touched_states().any(|state| {
                let place = state.places.get(&Board::Bucket);
                state.task.bucket.as_ref() == Some(bucket)
                    && place.is_some_and(|place| order::is_wanted(&place.hint))
            })
        };
        if !has_wanted {
            return Ok(());
        }
        let mut ids = self.peek_tasks_in_order(bucket)?;
        ids.retain(|id| !self.hint_in(id, column).is_empty());
        self.describe_column(&ids, None, column)
    }

    /// Puts buckets of a plan back in their places, each given with its former hint.
    pub fn put_buckets_back(self, wanted: &[(BucketId, String)]) -> Result<(), Error> {
        let Some((first, _)) = wanted.first() else { return Ok(()) };
        let mut hints = Vec::new();
        for id in self.peek_buckets(&self.peek_bucket(first)?.plan)? {
            let old = wanted.iter().find(|pair| pair.0 == id).map(|pair| pair.1.clone());
            let stays = old.is_none();
            hints.push((old.unwrap_or(self.peek_bucket(&id)?.order_hint), stays, id));
        }
        // Former and present hints compare as text, so sorting restores the former order.
        hints.sort();
        let stays: Vec<_> =
            hints.iter().map(|hint| Some(hint.0.as_str()).filter(|_| hint.1)).collect();
        for ((_, _, id), place) in hints.iter().zip(order::describe(&stays)) {
            if let Some(hint) = place {
                self.edit_bucket(id, |bucket| bucket.order_hint = hint)?;
            }
        }
        Ok(())
    }

    /// Puts tasks of a bucket back in their places, each given with its former hint.
    pub fn put_tasks_back(self, wanted: &[(TaskId, String)]) -> Result<(), Error> {
        let Some((first, _)) = wanted.first() else { return Ok(()) };
        let (task, column) = (self.peek_task(first)?, Column::Bucket);
        let mut siblings = self.tasks_where(&task.plan, |other| other.bucket == task.bucket)?;
        self.sort_column(&mut siblings, column)?;
        let mut hints = Vec::new();
        for task in siblings {
            let old = wanted.iter().find(|pair| pair.0 == task.id).map(|pair| pair.1.clone());
            let (stays, there) = (old.is_none(), self.hint_in(&task.id, column));
            hints.push((old.unwrap_or(there), stays, task.id));
        }
        hints.retain(|hint| !hint.0.is_empty());
        hints.sort();
        let stays: Vec<_> =
            hints.iter().map(|hint| Some(hint.0.as_str()).filter(|_| hint.1)).collect();
        for ((_, _, id), place) in hints.iter().zip(order::describe(&stays)) {
            if let Some(hint) = place {
                self.edit_place(id, column, hint)?;
            }
        }
        Ok(())
    }

    /// Describes the places of what is moved in a column, given in the order that it is to have.
    fn describe_column(
        self,
        ids: &[TaskId],
        moved: Option<&TaskId>,
        column: Column<'_>,
    ) -> Result<(), Error> {
        let mut hints = Vec::with_capacity(ids.len());
        for sibling in ids {
            let hint = self.hint_in(sibling, column);
            let stays = Some(sibling) != moved && !hint.is_empty() && !order::is_wanted(&hint);
            hints.push(Some(hint).filter(|_| stays));
        }
        let stays: Vec<Option<&str>> = hints.iter().map(Option::as_deref).collect();
        for (sibling, place) in ids.iter().zip(order::describe(&stays)) {
            if let Some(hint) = place {
                self.edit_place(sibling, column, hint)?;
            }
        }
        Ok(())
    }

    /// Puts a task right before or after another, in the column of a board that they share. In the
    /// column of a bucket, the task is moved to the other's bucket first.
    ///
    /// # Errors
    /// They do not share a column, or as [`Self::edit_task`].
    pub fn move_task_next_to(
        self,
        id: &TaskId,
        next_to: &TaskId,
        side: Side,
        column: Column<'_>,
    ) -> Result<(), Error> {
        let id = &*self.real(id);
        let next_to = &*self.real(next_to);
        let (mut task, other) = (self.peek_task(id)?, self.peek_task(next_to)?);
        if task.plan != other.plan {
            return Err(Error::Invalid("the two tasks belong to different plans".into()));
        }
        if id == next_to {
            return Ok(());
        }
        if column == Column::Bucket && task.bucket != other.bucket {
            let Some(bucket) = &other.bucket else {
                let message =
                    format!("the task `{}` is in no bucket, so it has no place", other.title);
                return Err(Error::Invalid(message));
            };
            self.move_task(id, bucket)?;
            task = self.peek_task(id)?;
        }
        // The place depends on the other's bucket: if that moves the task elsewhere, this one must
        // follow or conflict.
        if column == Column::Bucket {
            self.count(Read::Field(EntityId::Task(next_to.clone()), Field::BucketId));
        }
        if !column.shared(&task, &other) {
            return Err(Error::Invalid(format!(
                "the tasks `{}` and `{}` are not in one column of that board",
                task.title, other.title
            )));
        }
        let mut siblings =
            self.tasks_where(&task.plan, |sibling| column.shared(sibling, &other))?;
        self.sort_column(&mut siblings, column)?;
        let mut ids: Vec<TaskId> = siblings.into_iter().map(|task| task.id).collect();
        let before = ids.clone();
        order::put_next_to(&mut ids, id.clone(), next_to, side);
        // Without a hint of its own the task stands there by chance, so its place is written all
        // the same.
        if ids == before && !self.hint_in(id, column).is_empty() {
            return Ok(());
        }
        // A new task that was never moved has no hint to describe another place by.
        ids.retain(|other| {
            other == id || other == next_to || !self.hint_in(other, column).is_empty()
        });
        self.describe_column(&ids, Some(id), column)
    }

    fn edit_place(self, id: &TaskId, column: Column<'_>, hint: String) -> Result<(), Error> {
        let board = column.board();
        let (read, place) = if id.is_provisional() {
            (None, None)
        } else {
            (Some(self.read_task(id)?), Some(self.read_place(id, board)?))
        };
        let set = |place: &mut BoardPlace| place.set_hint(column.person(), hint);
        self.state().draft.edit_place(read.as_ref(), place.as_ref(), (id, board), set);
        Ok(())
    }
}
