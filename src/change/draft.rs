//! The draft: the edits of a run, while it runs.
//!
//! It is an overlay: for each entity touched it keeps the state that was read and the edited state.
//! Only [`Draft::finish`] decides what is a change, by comparing the two, so a field set back to
//! its old value is none.

use std::collections::{BTreeMap, BTreeSet};

use crate::change::edit::{Change, Edit, TaskBasis, TaskState, Write};
use crate::change::entity_id::EntityId;
use crate::change::field::{Field, Fields};
use crate::change::read::{Read, ReadSet};
use crate::change::set::ChangeSet;
use crate::change::set::ordinal;
use crate::model::snapshot::{Snapshot, folded};
use crate::model::{
    Board, BoardPlace, Bucket, BucketId, CommentId, ETag, NewComment, Plan, PlanDetails, PlanId,
    Task, TaskDetails, TaskId, Versioned,
};

#[derive(Debug, Clone)]
struct Tracked<T, B> {
    /// The state that was read, with its tags; `None` for an entity that this run creates.
    read: Option<(T, B)>,
    /// The edited state; `None` once the entity is deleted.
    wanted: Option<T>,
    /// The tasks that are deleted with it.
    takes_along: BTreeSet<TaskId>,
}

impl<T: Clone, B> Tracked<T, B> {
    fn new(value: T) -> Self {
        Self { read: None, wanted: Some(value), takes_along: BTreeSet::new() }
    }

    fn read(value: &T, basis: B) -> Self {
        Self { read: Some((value.clone(), basis)), ..Self::new(value.clone()) }
    }
}

impl<T: Fields, B> Tracked<T, B> {
    fn into_edit(self) -> Option<Edit<T, B>> {
        match (self.read, self.wanted) {
            // Created and deleted in the same draft.
            (None, None) => None,
            (None, Some(after)) => Some(Edit::Create { after }),
            (Some((before, basis)), None) => Some(Edit::Delete { before, basis }),
            (Some((before, basis)), Some(after)) => {
                if before.differing(&after).is_empty() {
                    None
                } else {
                    Some(Edit::Update { before, after, basis })
                }
            }
        }
    }
}

/// The edits of a run so far.
#[derive(Debug, Default, Clone)]
pub struct Draft {
    nonce: String,
    n_created: usize,
    plans: BTreeMap<PlanId, Tracked<Plan, ETag>>,
    plan_details: BTreeMap<PlanId, (String, Tracked<PlanDetails, ETag>)>,
    buckets: BTreeMap<BucketId, Tracked<Bucket, ETag>>,
    tasks: BTreeMap<TaskId, Tracked<TaskState, TaskBasis>>,
    comments: Vec<NewComment>,
    /// The touched tasks of a plan by title, folded, without the deleted ones.
    titles: BTreeMap<(PlanId, String), BTreeSet<TaskId>>,
}

impl Draft {
    /// Starts an empty draft; the `nonce` (letters and digits) goes into provisional ids.
    #[must_use]
    pub fn new(nonce: String) -> Self {
        Self { nonce, ..Self::default() }
    }

    /// Returns an empty draft whose count of provisional ids goes on.
    #[must_use]
    pub fn next_segment(&self) -> Self {
        Self { nonce: self.nonce.clone(), n_created: self.n_created, ..Self::default() }
    }

    /// Returns the number of provisional ids given so far.
    #[must_use]
    pub const fn n_created(&self) -> usize {
        self.n_created
    }

    /// Continues the count after provisional ids that were given elsewhere.
    pub fn count_from(&mut self, n_created: usize) {
        self.n_created = self.n_created.max(n_created);
    }

    /// Returns the text that makes the run's provisional ids unguessable.
    #[must_use]
    pub fn nonce(&self) -> &str {
        &self.nonce
    }

    fn next(&mut self) -> usize {
        self.n_created += 1;
        self.n_created
    }

    /// Returns the number of entities touched so far: an upper bound for that of changes.
    #[must_use]
    pub fn touched(&self) -> usize {
        let tracked = self.plans.len() + self.plan_details.len() + self.buckets.len();
        tracked + self.tasks.len() + self.comments.len()
    }

    /// Replaces the edits by those of a set: the same edits, resting on newer states.
    pub fn rest_on(&mut self, set: &ChangeSet) {
        let nonce = std::mem::take(&mut self.nonce);
        *self = Self { nonce, n_created: self.n_created, ..Self::of_set(set) };
    }

    // Plans

    /// Returns the edited plan: `None` if untouched, `Some(None)` if deleted.
    #[must_use]
    pub fn plan(&self, id: &PlanId) -> Option<Option<&Plan>> {
        self.plans.get(id).map(|plan| plan.wanted.as_ref())
    }

    /// Adds a plan; returns its provisional id.
    pub fn create_plan(&mut self, make: impl FnOnce(PlanId) -> Plan) -> PlanId {
        let n = self.next();
        let id = PlanId::provisional(&self.nonce, n);
        self.plans.insert(id.clone(), Tracked::new(make(id.clone())));
        id
    }

    /// Edits a plan; `read` is needed if it was not touched before.
    pub fn edit_plan(
        &mut self,
        read: Option<&Versioned<Plan>>,
        id: &PlanId,
        edit: impl FnOnce(&mut Plan),
    ) {
        change(&mut self.plans, read, id, edit);
    }

    /// Deletes a plan, with the `tasks` in it.
    pub fn delete_plan(
        &mut self,
        read: Option<&Versioned<Plan>>,
        id: &PlanId,
        tasks: BTreeSet<TaskId>,
    ) {
        delete(&mut self.plans, read, id, tasks);
    }

    /// Returns the edited details of a plan, if they were touched.
    #[must_use]
    pub fn plan_details(&self, id: &PlanId) -> Option<&PlanDetails> {
        self.plan_details.get(id).and_then(|(_, details)| details.wanted.as_ref())
    }

    /// Edits the details of a plan with this title. Those of a new plan are not `read`: they start
    /// empty, and are written once the plan exists.
    pub fn edit_plan_details(
        &mut self,
        read: Option<&Versioned<PlanDetails>>,
        (id, title): (&PlanId, &str),
        edit: impl FnOnce(&mut PlanDetails),
    ) {
        let (_, tracked) = self.plan_details.entry(id.clone()).or_insert_with(|| {
            let tracked = match read {
                Some(read) => Tracked::read(&read.value, read.etag.clone()),
                None => Tracked::new(PlanDetails::default()),
            };
            (title.to_owned(), tracked)
        });
        if let Some(wanted) = tracked.wanted.as_mut() {
            edit(wanted);
        }
    }

    // Buckets

    /// Returns the edited bucket: `None` if untouched, `Some(None)` if deleted.
    #[must_use]
    pub fn bucket(&self, id: &BucketId) -> Option<Option<&Bucket>> {
        self.buckets.get(id).map(|bucket| bucket.wanted.as_ref())
    }

    /// Returns the buckets that this run creates in a plan, in the order of creation.
    pub fn new_buckets<'a>(&'a self, plan: &'a PlanId) -> impl Iterator<Item = &'a Bucket> {
        let new = self.buckets.values().filter(|bucket| bucket.read.is_none());
        let mut found: Vec<_> = new
            .filter_map(|bucket| bucket.wanted.as_ref())
            .filter(|bucket| bucket.plan == *plan)
            .collect();
        // By the count in the id, not by its text: the tenth comes after the ninth.
        found.sort_by_key(|bucket| ordinal(bucket.id.as_str()));
        found.into_iter()
    }

    /// Adds a bucket; returns its provisional id.
    pub fn create_bucket(&mut self, make: impl FnOnce(BucketId) -> Bucket) -> BucketId {
        let n = self.next();
        let id = BucketId::provisional(&self.nonce, n);
        self.buckets.insert(id.clone(), Tracked::new(make(id.clone())));
        id
    }

    /// Edits a bucket; `read` is needed if it was not touched before.
    pub fn edit_bucket(
        &mut self,
        read: Option<&Versioned<Bucket>>,
        id: &BucketId,
        edit: impl FnOnce(&mut Bucket),
    ) {
        change(&mut self.buckets, read, id, edit);
    }

    /// Deletes a bucket, with the `tasks` in it.
    pub fn delete_bucket(
        &mut self,
        read: Option<&Versioned<Bucket>>,
        id: &BucketId,
        tasks: BTreeSet<TaskId>,
    ) {
        delete(&mut self.buckets, read, id, tasks);
    }

    // Tasks

    /// Returns the edited task: `None` if untouched, `Some(None)` if deleted.
    #[must_use]
    pub fn task(&self, id: &TaskId) -> Option<Option<&TaskState>> {
        self.tasks.get(id).map(|task| task.wanted.as_ref())
    }

    /// Returns the tasks that this run creates in a plan, in the order of creation.
    pub fn new_tasks<'a>(&'a self, plan: &'a PlanId) -> impl Iterator<Item = &'a Task> {
        let new = self.tasks.values().filter(|task| task.read.is_none());
        let wanted = new.filter_map(|task| task.wanted.as_ref()).map(|state| &state.task);
        let mut found: Vec<_> = wanted.filter(|task| task.plan == *plan).collect();
        found.sort_by_key(|task| ordinal(task.id.as_str()));
        found.into_iter()
    }

    /// Returns the touched tasks that existed before the run, without the deleted ones.
    pub fn changed_tasks(&self) -> impl Iterator<Item = &Task> {
        let read = self.tasks.values().filter(|tracked| tracked.read.is_some());
        read.filter_map(|tracked| tracked.wanted.as_ref()).map(|state| &state.task)
    }

    /// Returns the states of all touched tasks, without the deleted ones.
    pub fn touched_states(&self) -> impl Iterator<Item = &TaskState> {
        self.tasks.values().filter_map(|task| task.wanted.as_ref())
    }

    /// Returns the plans that this run creates, in the order of creation.
    pub fn new_plans(&self) -> impl Iterator<Item = &Plan> {
        let new = self.plans.values().filter(|plan| plan.read.is_none());
        let mut found: Vec<_> = new.filter_map(|plan| plan.wanted.as_ref()).collect();
        found.sort_by_key(|plan| ordinal(plan.id.as_str()));
        found.into_iter()
    }

    /// Adds a task, with empty details; returns its provisional id.
    pub fn create_task(&mut self, make: impl FnOnce(TaskId) -> Task) -> TaskId {
        let n = self.next();
        let id = TaskId::provisional(&self.nonce, n);
        let state = TaskState {
            task: make(id.clone()),
            details: Some(TaskDetails::default()),
            places: BTreeMap::new(),
        };
        self.tasks.insert(id.clone(), Tracked::new(state));
        self.index(&id);
        id
    }

    /// Returns the touched tasks of a plan with a title, regardless of case.
    pub fn tasks_titled(&self, plan: &PlanId, title: &str) -> impl Iterator<Item = &TaskId> {
        self.titles.get(&(plan.clone(), folded(title))).into_iter().flatten()
    }

    fn key_of(&self, id: &TaskId) -> Option<(PlanId, String)> {
        let wanted = self.tasks.get(id)?.wanted.as_ref()?;
        Some((wanted.task.plan.clone(), folded(&wanted.task.title)))
    }

    fn index(&mut self, id: &TaskId) {
        if let Some(key) = self.key_of(id) {
            self.titles.entry(key).or_default().insert(id.clone());
        }
    }

    fn unindex(&mut self, id: &TaskId) {
        if let Some(key) = self.key_of(id)
            && let Some(ids) = self.titles.get_mut(&key)
        {
            ids.remove(id);
        }
    }

    /// Edits a task; `read` and `details` are its states as read, as far as they were.
    ///
    /// A deleted task stays deleted.
    pub fn edit_task(
        &mut self,
        read: Option<&Versioned<Task>>,
        details: Option<&Versioned<TaskDetails>>,
        id: &TaskId,
        edit: impl FnOnce(&mut TaskState),
    ) {
        // The edit may change the title or the plan, under which the task is indexed.
        self.unindex(id);
        if let Some(wanted) =
            self.track_task(read, details, id).and_then(|task| task.wanted.as_mut())
        {
            edit(wanted);
        }
        self.index(id);
    }

    /// Edits the place of a task on a board; `read` and `place` are the states as read, if they
    /// were. The places of a new task are not: they are written once the task exists.
    pub fn edit_place(
        &mut self,
        read: Option<&Versioned<Task>>,
        place: Option<&Versioned<BoardPlace>>,
        (id, board): (&TaskId, Board),
        edit: impl FnOnce(&mut BoardPlace),
    ) {
        // Without an edit of its own the task is only tracked, which is no change.
        self.edit_task(read, None, id, |_| {});
        let Some(tracked) = self.tasks.get_mut(id) else { return };
        // The first state that was read stays the base of all later moves.
        if let (Some(place), Some((before, basis))) = (place, tracked.read.as_mut())
            && !before.places.contains_key(&board)
        {
            before.places.insert(board, place.value.clone());
            basis.places.insert(board, place.etag.clone());
            if let Some(wanted) = tracked.wanted.as_mut() {
                wanted.places.insert(board, place.value.clone());
            }
        }
        if let Some(wanted) = tracked.wanted.as_mut() {
            edit(wanted.places.entry(board).or_default());
        }
    }

    /// Takes back all edits of the place of a task on a board.
    pub fn forget_place(&mut self, id: &TaskId, board: Board) {
        let Some(tracked) = self.tasks.get_mut(id) else { return };
        let read = tracked.read.as_ref().and_then(|(read, _)| read.places.get(&board)).cloned();
        if let Some(wanted) = tracked.wanted.as_mut() {
            match read {
                Some(read) => wanted.places.insert(board, read),
                None => wanted.places.remove(&board),
            };
        }
    }

    /// Deletes a task.
    pub fn delete_task(&mut self, read: Option<&Versioned<Task>>, id: &TaskId) {
        self.unindex(id);
        if let Some(task) = self.track_task(read, None, id) {
            task.wanted = None;
        }
    }

    // Comments

    /// Adds a comment.
    pub fn add_comment(&mut self, make: impl FnOnce(CommentId) -> NewComment) {
        let n = self.next();
        self.comments.push(make(CommentId::provisional(&self.nonce, n)));
    }

    /// Returns the comments that this run adds to a task, in their order.
    pub fn comments_on<'a>(&'a self, task: &'a TaskId) -> impl Iterator<Item = &'a NewComment> {
        self.comments.iter().filter(move |comment| comment.task == *task)
    }

    fn track_task(
        &mut self,
        read: Option<&Versioned<Task>>,
        details: Option<&Versioned<TaskDetails>>,
        id: &TaskId,
    ) -> Option<&mut Tracked<TaskState, TaskBasis>> {
        if !self.tasks.contains_key(id) {
            let read = read?;
            let (task, places) = (read.value.clone(), BTreeMap::new());
            let state = TaskState { task, details: None, places };
            let (task, places) = (read.etag.clone(), BTreeMap::new());
            let basis = TaskBasis { task, details: None, places };
            self.tasks.insert(id.clone(), Tracked::read(&state, basis));
        }
        let tracked = self.tasks.get_mut(id)?;
        // Details that are read later join the basis, so that a change of them rests on their own
        // tag.
        if let (Some(details), Some((before, basis))) = (details, tracked.read.as_mut())
            && before.details.is_none()
        {
            before.details = Some(details.value.clone());
            basis.details = Some(details.etag.clone());
            if let Some(wanted) = tracked.wanted.as_mut() {
                wanted.details = Some(details.value.clone());
            }
        }
        Some(tracked)
    }

    /// Restores the draft that a set was made from.
    #[must_use]
    pub fn of_set(set: &ChangeSet) -> Self {
        fn tracked<T: Clone, B: Clone>(
            edit: &Edit<T, B>,
            takes_along: &BTreeSet<TaskId>,
        ) -> Tracked<T, B> {
            let (read, wanted) = match edit {
                Edit::Create { after } => (None, Some(after)),
                Edit::Update { before, after, basis } => (Some((before, basis)), Some(after)),
                Edit::Delete { before, basis } => (Some((before, basis)), None),
            };
            Tracked {
                read: read.map(|(before, basis)| (before.clone(), basis.clone())),
                wanted: wanted.cloned(),
                takes_along: takes_along.clone(),
            }
        }
        let mut draft = Self::default();
        for change in set.changes() {
            let n = &change.takes_along;
            match &change.write {
                Write::Plan(edit) => {
                    draft.plans.insert(edit.known().id.clone(), tracked(edit, n));
                }
                Write::PlanDetails { plan, title, edit } => {
                    draft.plan_details.insert(plan.clone(), (title.clone(), tracked(edit, n)));
                }
                Write::Bucket(edit) => {
                    draft.buckets.insert(edit.known().id.clone(), tracked(edit, n));
                }
                Write::Task(edit) => {
                    draft.tasks.insert(edit.known().task.id.clone(), tracked(edit, n));
                }
                Write::Comment(edit) => draft.comments.push(edit.known().clone()),
            }
            if let EntityId::Task(id) = change.id() {
                draft.index(&id);
            }
        }
        draft
    }

    /// Adds the details to tasks whose details were read but not edited, so that a merge compares
    /// the reads with the state that the change rests on. `known` returns them with their tag, if
    /// any.
    fn attach_details(
        &mut self,
        reads: &BTreeMap<EntityId, BTreeSet<Field>>,
        known: impl Fn(&TaskId) -> Option<(TaskDetails, Option<ETag>)>,
    ) {
        for (id, tracked) in &mut self.tasks {
            let reads = reads.get(&EntityId::Task(id.clone()));
            let looked = reads.is_some_and(|all| all.iter().any(|field| field.is_in_details()));
            if let Some((before, basis)) = tracked.read.as_mut()
                && looked
                && before.details.is_none()
                && let Some((details, tag)) = known(id)
            {
                if let Some(wanted) = tracked.wanted.as_mut() {
                    wanted.details = Some(details.clone());
                }
                before.details = Some(details);
                basis.details = tag;
            }
        }
    }

    /// Returns the edits that really differ, in the order to apply them: updates of existing
    /// entities, then creates from the plan down, then updates that need those, deletions last
    /// (design.md 2.2); by id inside each level.
    #[must_use]
    pub fn finish(mut self, reads: &ReadSet, snapshot: &Snapshot) -> ChangeSet {
        let mut reads = fields_read(reads, snapshot);
        self.attach_details(&reads, |id| {
            let tag = snapshot.details(id).map(|read| read.etag.clone());
            snapshot.known_details(id).map(|details| (details, tag))
        });
        let Self { plans, plan_details, buckets, tasks, mut comments, .. } = self;
        // A comment on a task that is deleted in the end would only announce nothing.
        let is_deleted = |id: &TaskId| tasks.get(id).is_some_and(|task| task.wanted.is_none());
        comments.retain(|comment| !is_deleted(&comment.task));
        let mut changes = Vec::new();
        let mut push = |write: Option<Write>, takes_along: BTreeSet<TaskId>| {
            if let Some(write) = write {
                changes.push(Change { takes_along, ..Change::from_write(write) });
            }
        };
        for mut plan in plans.into_values() {
            let takes_along = std::mem::take(&mut plan.takes_along);
            push(plan.into_edit().map(|edit| Write::Plan(Box::new(edit))), takes_along);
        }
        for (plan, (title, details)) in plan_details {
            // The service creates the details with the plan, so blank ones need no request.
            let is_blank = |edit: &Edit<PlanDetails, _>| matches!(edit, Edit::Create { after } if *after == PlanDetails::default());
            let edit = details.into_edit().filter(|edit| !is_blank(edit));
            push(edit.map(|edit| Write::PlanDetails { plan, title, edit }), BTreeSet::new());
        }
        for mut bucket in buckets.into_values() {
            let takes_along = std::mem::take(&mut bucket.takes_along);
            push(bucket.into_edit().map(Write::Bucket), takes_along);
        }
        for task in tasks.into_values() {
            push(task.into_edit().map(|edit| Write::Task(Box::new(edit))), BTreeSet::new());
        }
        for after in comments {
            push(Some(Write::Comment(Edit::Create { after })), BTreeSet::new());
        }
        for change in &mut changes {
            change.reads = reads.remove(&change.id()).unwrap_or_default();
        }
        ChangeSet::in_order(changes)
    }
}

/// Returns the fields that were read of each entity, including those by which a list or a name led
/// to it.
fn fields_read(reads: &ReadSet, snapshot: &Snapshot) -> BTreeMap<EntityId, BTreeSet<Field>> {
    let mut fields: BTreeMap<EntityId, BTreeSet<Field>> = BTreeMap::new();
    for read in reads {
        for (entity, field) in read.led_to(snapshot) {
            fields.entry(entity).or_default().insert(field);
        }
        match read {
            Read::Field(entity, field) => {
                fields.entry(entity.clone()).or_default().insert(*field);
            }
            Read::Entity(entity) => {
                let all: &[Field] = match entity {
                    EntityId::Plan(_) => Plan::FIELDS,
                    EntityId::PlanDetails(_) => PlanDetails::FIELDS,
                    EntityId::Bucket(_) => Bucket::FIELDS,
                    EntityId::Task(_) => TaskState::FIELDS,
                    EntityId::Comment(_) => NewComment::FIELDS,
                };
                // Details and places are objects of their own, with reads of their own.
                let own = |field: &&Field| !field.is_in_details() && field.board().is_none();
                fields.entry(entity.clone()).or_default().extend(all.iter().filter(own));
            }
            _ => {}
        }
    }
    fields
}

type Tracks<K, T> = BTreeMap<K, Tracked<T, ETag>>;

fn track<'a, K: Ord + Clone, T: Clone>(
    map: &'a mut Tracks<K, T>,
    read: Option<&Versioned<T>>,
    id: &K,
) -> Option<&'a mut Tracked<T, ETag>> {
    if !map.contains_key(id) {
        let read = read?;
        map.insert(id.clone(), Tracked::read(&read.value, read.etag.clone()));
    }
    map.get_mut(id)
}

fn change<K: Ord + Clone, T: Clone>(
    map: &mut Tracks<K, T>,
    read: Option<&Versioned<T>>,
    id: &K,
    edit: impl FnOnce(&mut T),
) {
    if let Some(wanted) = track(map, read, id).and_then(|tracked| tracked.wanted.as_mut()) {
        edit(wanted);
    }
}

fn delete<K: Ord + Clone, T: Clone>(
    map: &mut Tracks<K, T>,
    read: Option<&Versioned<T>>,
    id: &K,
    tasks: BTreeSet<TaskId>,
) {
    if let Some(tracked) = track(map, read, id) {
        tracked.wanted = None;
        tracked.takes_along = tasks;
    }
}

#[cfg(test)]
mod tests;
