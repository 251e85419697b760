//! Writing a task: itself, its details and its places on the boards, each on its own tag.

use std::collections::BTreeMap;

use crate::change::{Change, Edit, Merge, Placed, TaskBasis, TaskState, merge};
use crate::host::apply::outcome::{Outcome, Trouble};
use crate::host::apply::{Part, Reads, Within, Work};
use crate::model::{Board, BoardPlace, ETag, Task, TaskDetails, TaskId, Versioned};
use crate::wire::{body, request};

impl Work<'_> {
    pub(super) async fn write_task(
        &mut self,
        change: &Change,
        edit: &Edit<TaskState, TaskBasis>,
        attempts: &mut u32,
        wrote: &mut bool,
    ) -> Result<(), Trouble> {
        match edit {
            Edit::Create { after } => {
                let plan = self.real_plan(&after.task.plan)?;
                let create = request::create_task(self.resolved(body::new_task(&after.task))?);
                let made: Versioned<Task> =
                    self.create(&create, Within::Plan(&plan), attempts).await?;
                self.done.ids.insert(after.task.id.to_string(), made.value.id.to_string());
                let details = after.details.as_ref();
                if !after.places.is_empty()
                    || details.is_some_and(|it| *it != TaskDetails::default())
                {
                    self.later.push((change.n, made.value, after.clone()));
                }
                Ok(())
            }
            Edit::Delete { before, basis } => {
                let delete = request::delete_task(&before.task.id, basis.task.clone());
                self.delete(&delete, attempts).await
            }
            Edit::Update { before, after, basis } => {
                let reads = &change.reads;
                *wrote |= self.write_itself(before, after, &basis.task, reads, attempts).await?;
                if let Some(tag) = &basis.details {
                    *wrote |= self.write_details(before, after, tag, reads, attempts).await?;
                }
                for (board, tag) in &basis.places {
                    *wrote |=
                        self.write_place(before, after, (*board, tag), reads, attempts).await?;
                }
                Ok(())
            }
        }
    }

    /// Writes the fields of the task itself; returns whether there were any.
    async fn write_itself(
        &mut self,
        before: &TaskState,
        after: &TaskState,
        tag: &ETag,
        reads: &Reads,
        attempts: &mut u32,
    ) -> Result<bool, Trouble> {
        let Some(patch) = body::task_patch(&before.task, &after.task) else { return Ok(false) };
        let (id, patch) = (&before.task.id, self.resolved(patch)?);
        // Its other parts have tags of their own: here only its own fields can collide.
        let state = |task| TaskState { task, ..before.clone() };
        let ours = state(after.task.clone());
        let mut part = Part { base: before, ours: &ours, reads, attempts };
        let send = |etag| request::update_task(id, patch.clone(), etag);
        self.update_part(&mut part, tag, &request::task(id), state, send).await?;
        Ok(true)
    }

    /// Writes the details; returns whether there were any to write.
    async fn write_details(
        &mut self,
        before: &TaskState,
        after: &TaskState,
        tag: &ETag,
        reads: &Reads,
        attempts: &mut u32,
    ) -> Result<bool, Trouble> {
        let (Some(old), Some(new)) = (&before.details, &after.details) else { return Ok(false) };
        let Some(patch) = body::details_patch(old, new) else { return Ok(false) };
        let (id, patch) = (&before.task.id, self.resolved(patch)?);
        let state = |details| TaskState { details: Some(details), ..before.clone() };
        let ours = state(new.clone());
        let mut part = Part { base: before, ours: &ours, reads, attempts };
        let send = |etag| request::update_task_details(id, patch.clone(), etag);
        self.update_part(&mut part, tag, &request::task_details(id), state, send).await?;
        Ok(true)
    }

    /// Writes the place on a board; returns whether there was one to write.
    async fn write_place(
        &mut self,
        before: &TaskState,
        after: &TaskState,
        (board, tag): (Board, &ETag),
        reads: &Reads,
        attempts: &mut u32,
    ) -> Result<bool, Trouble> {
        let (Some(old), Some(new)) = (before.places.get(&board), after.places.get(&board)) else {
            return Ok(false);
        };
        if body::place_patch(board, old, new).is_none() {
            return Ok(false);
        }
        let id = &before.task.id;
        let assigned = before.task.assignments.keys().eq(after.task.assignments.keys());
        if board == Board::AssignedTo && !assigned {
            // Assigning made and removed columns of this place (planner-api.md 3.5, trap 56).
            self.write_made_place(id, board, old, new, attempts).await?;
        } else {
            self.send_place((id, board), (old, tag), new, reads, attempts).await?;
        }
        Ok(true)
    }

    /// Moves a task in columns that the service has made during this run: what it gave there is
    /// the base. A column that was there before must be as it was read.
    async fn write_made_place(
        &mut self,
        id: &TaskId,
        board: Board,
        old: &BoardPlace,
        new: &BoardPlace,
        attempts: &mut u32,
    ) -> Result<(), Trouble> {
        let read = request::board_place(id, board);
        let made = self.look_for::<BoardPlace>(&read).await.map_err(Trouble::Read)?;
        let mut base = made.value.clone();
        for (user, hint) in &old.by_user {
            if base.by_user.contains_key(user) {
                base.by_user.insert(user.clone(), hint.clone());
            }
        }
        if !old.hint.is_empty() {
            base.hint.clone_from(&old.hint);
        }
        let mut wanted = made.value.clone();
        for (user, hint) in &new.by_user {
            if old.by_user.get(user) != Some(hint) {
                wanted.by_user.insert(user.clone(), hint.clone());
            }
        }
        if new.hint != old.hint {
            wanted.hint.clone_from(&new.hint);
        }
        let state = |place| Placed { board, place };
        let (base, ours, theirs) = (state(base), state(wanted), state(made.value));
        if let Merge::Conflict(fields) = merge(&base, &ours, &theirs, &Reads::new()) {
            return Err(Trouble::Conflict(fields));
        }
        let now = (&theirs.place, &made.etag);
        self.send_place((id, board), now, &ours.place, &Reads::new(), attempts).await
    }

    async fn send_place(
        &mut self,
        (id, board): (&TaskId, Board),
        (old, tag): (&BoardPlace, &ETag),
        new: &BoardPlace,
        reads: &Reads,
        attempts: &mut u32,
    ) -> Result<(), Trouble> {
        let Some(patch) = body::place_patch(board, old, new) else { return Ok(()) };
        let state = |place| Placed { board, place };
        let (base, ours) = (state(old.clone()), state(new.clone()));
        let mut part = Part { base: &base, ours: &ours, reads, attempts };
        let send = |etag| request::update_board_place(id, board, patch.clone(), etag);
        self.update_part(&mut part, tag, &request::board_place(id, board), state, send).await
    }

    /// Writes the details and places of new tasks; returns whether all went well.
    pub(super) async fn write_later(&mut self) -> bool {
        let mut all_well = true;
        for (n, task, wanted) in std::mem::take(&mut self.later) {
            let mut attempts = 0;
            self.current = n;
            if let Err(trouble) = self.write_parts_of_new(task, wanted, &mut attempts).await {
                let mut outcome = Outcome::from(trouble);
                outcome.wrote = true;
                outcome.attempts = attempts + 1;
                if let Some(error) = outcome.error.as_mut() {
                    let why = &error.message;
                    error.message = format!("the task was created, but not all of it: {why}");
                }
                self.done.outcomes.insert(n, outcome);
                all_well = false;
            }
        }
        all_well
    }

    async fn write_parts_of_new(
        &mut self,
        task: Task,
        wanted: TaskState,
        attempts: &mut u32,
    ) -> Result<(), Trouble> {
        let id = task.id.clone();
        if let Some(details) = wanted.details {
            self.write_new_details(task, details, attempts).await?;
        }
        for (board, place) in &wanted.places {
            let none = BoardPlace::default();
            self.write_made_place(&id, *board, &none, place, attempts).await?;
        }
        Ok(())
    }

    /// Adds details to a new task. Whatever someone else has put there meanwhile stays: only
    /// what is wanted is sent, and only if it does not collide.
    async fn write_new_details(
        &mut self,
        task: Task,
        details: TaskDetails,
        attempts: &mut u32,
    ) -> Result<(), Trouble> {
        let Some(patch) = body::details_patch(&TaskDetails::default(), &details) else {
            return Ok(());
        };
        let patch = self.resolved(patch)?;
        let details = self.resolved_details(details)?;
        let id = task.id.clone();
        let read = request::task_details(&id);
        let made = self.look_for::<TaskDetails>(&read).await.map_err(Trouble::Read)?;
        let state = |details| TaskState {
            task: task.clone(),
            details: Some(details),
            places: BTreeMap::new(),
        };
        let (base, ours) = (state(TaskDetails::default()), state(details));
        let reads = Reads::new();
        if let Merge::Conflict(fields) = merge(&base, &ours, &state(made.value), &reads) {
            return Err(Trouble::Conflict(fields));
        }
        let send = |etag| request::update_task_details(&id, patch.clone(), etag);
        let mut part = Part { base: &base, ours: &ours, reads: &reads, attempts };
        self.update_part(&mut part, &made.etag, &read, state, send).await
    }

    /// The texts of details with real ids, to be compared with what is there.
    fn resolved_details(&self, mut details: TaskDetails) -> Result<TaskDetails, Trouble> {
        details.description = self.resolved_text(&details.description)?;
        for item in details.checklist.values_mut() {
            item.title = self.resolved_text(&item.title)?;
        }
        for reference in details.references.values_mut() {
            if let Some(alias) = reference.alias.as_mut() {
                *alias = self.resolved_text(alias)?;
            }
        }
        Ok(details)
    }
}
