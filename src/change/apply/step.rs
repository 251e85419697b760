//! The requests of a change, one for each object that it writes, each with the tag that it rests
//! on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::change::edit::{Change, Edit, TaskBasis, TaskState, Write};
use crate::change::field::{Field, Fields as _};
use crate::model::snapshot::Snapshot;
use crate::model::{
    Archival, Board, BoardPlace, Bucket, BucketId, ETag, Plan, PlanDetails, PlanId, RosterId, Task,
    TaskDetails, TaskId, UserId,
};

/// The part of a change that one request carries out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The roster that holds a new plan (beta).
    Roster,
    /// The unarchiving of a plan, before anything else of it can change (beta).
    Unarchive,
    /// The entity itself.
    Itself,
    /// Its details, an object of their own.
    Details,
    /// The place of a task on a board, an object of its own.
    Place(Board),
    /// The archiving of a plan (beta).
    Archive,
    /// A person to add to the roster of a plan (beta).
    Member(UserId),
}

impl fmt::Display for Part {
    /// Writes its name in the journal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Roster => f.write_str("rosters"),
            Self::Unarchive => f.write_str("unarchive"),
            Self::Itself => f.write_str("itself"),
            Self::Details => f.write_str("details"),
            Self::Place(board) => f.write_str(board.format_name()),
            Self::Archive => f.write_str("archive"),
            Self::Member(user) => write!(f, "members/{user}"),
        }
    }
}

impl Part {
    /// Reads its name in the journal.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let fixed =
            [Self::Roster, Self::Unarchive, Self::Itself, Self::Details, Self::Archive].into_iter();
        let mut named = fixed.chain(Board::ALL.map(Self::Place));
        let member = || Some(Self::Member(UserId::parse(name.strip_prefix("members/")?).ok()?));
        named.find(|part| part.to_string() == name).or_else(member)
    }

    /// Returns whether this part writes a field of a task, so that its tag protects the field.
    #[must_use]
    pub fn holds(&self, field: Field) -> bool {
        match self {
            Self::Details => field.is_in_details(),
            Self::Place(board) => field.board() == Some(*board),
            _ => !field.is_in_details() && field.board().is_none(),
        }
    }
}

/// The source of a request's tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Basis {
    /// None: it creates something.
    New,
    /// The object was read.
    Read(ETag),
    /// The object is created during the run; it is read when its turn has come.
    Made,
    /// The request before it changes the same object.
    Moved,
}

/// The operation of one request, with real ids.
#[derive(Debug, Clone, PartialEq)]
pub enum Job {
    /// Creates a roster.
    CreateRoster,
    /// Adds a person to a roster.
    AddMember(RosterId, UserId),
    /// Creates a plan, in a roster if there is one, else in its group.
    CreatePlan(Box<Plan>, Option<RosterId>),
    /// Renames a plan.
    RenamePlan(PlanId, String),
    /// Archives or unarchives a plan.
    ArchivePlan(PlanId, Archival),
    /// Deletes a plan.
    DeletePlan(PlanId),
    /// Updates the details of a plan from one state to another.
    UpdatePlanDetails(PlanId, Box<(PlanDetails, PlanDetails)>),
    /// Creates a bucket.
    CreateBucket(Bucket),
    /// Updates a bucket.
    UpdateBucket(Box<(Bucket, Bucket)>),
    /// Deletes a bucket.
    DeleteBucket(BucketId),
    /// Creates a task.
    CreateTask(Box<Task>),
    /// Updates a task.
    UpdateTask(Box<(Task, Task)>),
    /// Deletes a task.
    DeleteTask(TaskId),
    /// Updates the details of a task.
    UpdateDetails(TaskId, Box<(TaskDetails, TaskDetails)>),
    /// Updates the place of a task on a board.
    UpdatePlace(TaskId, Board, Box<(BoardPlace, BoardPlace)>),
    /// Adds a comment to a task.
    AddComment(TaskId, String),
    /// Sends a conditional request of an earlier process again, unchanged.
    Resend(Resend),
}

/// A conditional request, as an earlier process has sent it.
#[derive(Debug, Clone, PartialEq)]
pub struct Resend {
    /// The method: PATCH or DELETE.
    pub method: String,
    /// The path below the service's address.
    pub path: String,
    /// The body.
    pub body: Option<serde_json::Value>,
}

/// The object of a request, which is read again after a conflict.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// A plan.
    Plan(PlanId),
    /// The details of a plan.
    PlanDetails(PlanId),
    /// A bucket.
    Bucket(BucketId),
    /// A task.
    Task(TaskId),
    /// The details of a task.
    Details(TaskId),
    /// The place of a task on a board.
    Place(TaskId, Board),
}

/// Returns the parts of a change, in the order to send them.
pub(crate) fn parts(change: &Change) -> Vec<(Part, Basis)> {
    match &change.write {
        Write::Plan(edit) => plan_parts(edit),
        Write::PlanDetails { edit, .. } => match edit {
            // The service creates them with the plan; they are read first, for their tag.
            Edit::Create { .. } => vec![(Part::Details, Basis::Made)],
            Edit::Update { basis, .. } => vec![(Part::Details, Basis::Read(basis.clone()))],
            Edit::Delete { .. } => Vec::new(),
        },
        Write::Bucket(edit) => vec![(
            Part::Itself,
            match edit {
                Edit::Create { .. } => Basis::New,
                Edit::Update { basis, .. } | Edit::Delete { basis, .. } => {
                    Basis::Read(basis.clone())
                }
            },
        )],
        Write::Comment(_) => vec![(Part::Itself, Basis::New)],
        Write::Task(edit) => match &**edit {
            Edit::Create { after } => {
                let mut parts = vec![(Part::Itself, Basis::New)];
                // A POST cannot carry them reliably (planner-api.md 2.3 T1).
                if after.details.as_ref().is_some_and(|details| *details != TaskDetails::default())
                {
                    parts.push((Part::Details, Basis::Made));
                }
                parts.extend(after.places.keys().map(|board| (Part::Place(*board), Basis::Made)));
                parts
            }
            Edit::Delete { basis, .. } => vec![(Part::Itself, Basis::Read(basis.task.clone()))],
            Edit::Update { before, after, basis } => {
                let mut parts = Vec::new();
                let moved: BTreeSet<Field> = before.differing(after).into_iter().collect();
                if moved.iter().any(|field| !field.is_in_details() && field.board().is_none()) {
                    parts.push((Part::Itself, Basis::Read(basis.task.clone())));
                }
                if let Some(tag) = &basis.details
                    && moved.iter().any(|field| field.is_in_details())
                {
                    parts.push((Part::Details, Basis::Read(tag.clone())));
                }
                for (board, tag) in &basis.places {
                    if before.places.get(board) == after.places.get(board) {
                        continue;
                    }
                    // Assigning creates and removes columns there (planner-api.md 3.5).
                    let same = before.task.assignments.keys().eq(after.task.assignments.keys());
                    let made = *board == Board::AssignedTo && !same;
                    let basis = if made { Basis::Made } else { Basis::Read(tag.clone()) };
                    parts.push((Part::Place(*board), basis));
                }
                parts
            }
        },
    }
}

/// Returns the parts of a change of a plan. An archived plan is read only, so it is unarchived
/// before it is renamed, and archived after it.
fn plan_parts(edit: &Edit<Plan, ETag>) -> Vec<(Part, Basis)> {
    let mut parts = Vec::new();
    match edit {
        Edit::Create { after } => {
            // A plan without a group lives in a roster of its own, which must exist first.
            if after.group.is_none() {
                parts.push((Part::Roster, Basis::New));
            }
            parts.push((Part::Itself, Basis::New));
            if after.group.is_none() {
                let members = after.new_members.iter();
                parts.extend(members.map(|user| (Part::Member(user.clone()), Basis::New)));
            }
        }
        Edit::Delete { basis, .. } => parts.push((Part::Itself, Basis::Read(basis.clone()))),
        Edit::Update { before, after, basis } => {
            let archives = before.archival.is_archived != after.archival.is_archived;
            if archives && !after.archival.is_archived {
                parts.push((Part::Unarchive, Basis::Read(basis.clone())));
            }
            if before.title != after.title {
                parts.push((Part::Itself, Basis::Read(basis.clone())));
            }
            if archives && after.archival.is_archived {
                parts.push((Part::Archive, Basis::Read(basis.clone())));
            }
            // Each of these changes the plan's tag, so only the first can rest on the one that was
            // read.
            for (_, basis) in parts.iter_mut().skip(1) {
                *basis = Basis::Moved;
            }
            let new = after.new_members.difference(&before.new_members);
            parts.extend(new.map(|user| (Part::Member(user.clone()), Basis::New)));
        }
    }
    parts
}

/// Returns the object of a part; `None` for one that can only create.
pub(crate) fn target(change: &Change, part: &Part) -> Option<Target> {
    Some(match (&change.write, part) {
        (_, Part::Roster | Part::Member(_)) | (Write::Comment(_), _) => return None,
        (Write::Plan(edit), _) => Target::Plan(edit.known().id.clone()),
        (Write::PlanDetails { plan, .. }, _) => Target::PlanDetails(plan.clone()),
        (Write::Bucket(edit), _) => Target::Bucket(edit.known().id.clone()),
        (Write::Task(edit), part) => {
            let id = edit.known().task.id.clone();
            match part {
                Part::Details => Target::Details(id),
                Part::Place(board) => Target::Place(id, *board),
                _ => Target::Task(id),
            }
        }
    })
}

/// Returns the values that a part writes, for comparison with those of a redraft.
pub(crate) fn written(change: &Change, part: &Part) -> serde_json::Value {
    let of_task = |state: &TaskState| match part {
        Part::Details => serde_json::to_value(&state.details),
        Part::Place(board) => serde_json::to_value(state.places.get(board)),
        _ => serde_json::to_value(&state.task),
    };
    let value = match &change.write {
        Write::Plan(edit) => match (edit.after(), part) {
            (Some(after), Part::Itself) => serde_json::to_value(&after.title),
            (Some(after), Part::Archive | Part::Unarchive) => serde_json::to_value(&after.archival),
            _ => Ok(serde_json::Value::Null),
        },
        Write::PlanDetails { edit, .. } => serde_json::to_value(edit.after()),
        Write::Bucket(edit) => serde_json::to_value(edit.after()),
        Write::Task(edit) => edit.after().map_or(Ok(serde_json::Value::Null), of_task),
        // Not the title of the task, which may change in the meantime.
        Write::Comment(edit) => serde_json::to_value((&edit.known().task, &edit.known().text)),
    };
    value.unwrap_or_default()
}

/// Reduces a change to those of its parts that were written, as if it had nothing else. `None` if
/// there are none.
#[must_use]
pub fn only_written(change: &Change, written: impl Fn(&Part) -> bool) -> Option<Change> {
    let all = parts(change);
    if !all.iter().any(|(part, _)| written(part)) {
        return None;
    }
    let mut change = change.clone();
    for (part, _) in all.into_iter().filter(|(part, _)| !written(part)) {
        match &mut change.write {
            Write::Plan(edit) => match &mut **edit {
                Edit::Update { before, after, .. } => match part {
                    Part::Itself => after.title.clone_from(&before.title),
                    Part::Archive | Part::Unarchive => after.archival.clone_from(&before.archival),
                    Part::Member(user) => _ = after.new_members.remove(&user),
                    Part::Roster | Part::Details | Part::Place(_) => {}
                },
                Edit::Create { after } => {
                    if let Part::Member(user) = &part {
                        after.new_members.remove(user);
                    }
                }
                Edit::Delete { .. } => {}
            },
            Write::Task(edit) => match &mut **edit {
                Edit::Update { before, after, .. } => match part {
                    Part::Itself => after.task.clone_from(&before.task),
                    Part::Details => after.details.clone_from(&before.details),
                    Part::Place(board) => match before.places.get(&board) {
                        Some(place) => _ = after.places.insert(board, place.clone()),
                        None => _ = after.places.remove(&board),
                    },
                    _ => {}
                },
                Edit::Create { after } => match part {
                    Part::Details => after.details = Some(TaskDetails::default()),
                    Part::Place(board) => _ = after.places.remove(&board),
                    _ => {}
                },
                Edit::Delete { .. } => {}
            },
            Write::PlanDetails { .. } | Write::Bucket(_) | Write::Comment(_) => {}
        }
    }
    Some(change)
}

/// Returns the unwritten parts of a change, with real ids and resting on a snapshot of the present
/// board. For an entity that was created but is not complete they form an update. `None` if nothing
/// is left, or the entity was deleted.
#[must_use]
pub fn left_of(change: &Change, written: impl Fn(&Part) -> bool, now: &Snapshot) -> Option<Change> {
    let left: Vec<Part> =
        parts(change).into_iter().map(|part| part.0).filter(|part| !written(part)).collect();
    if left.is_empty() {
        return None;
    }
    let mut rest = change.clone();
    match &mut rest.write {
        Write::Task(edit) => match &mut **edit {
            Edit::Create { after } if written(&Part::Itself) => {
                **edit = rest_of_created(after, &left, now)?;
            }
            Edit::Update { before, after, .. } => {
                // Written values become the base, so that the update sends only the others.
                if written(&Part::Itself) {
                    before.task.clone_from(&after.task);
                }
                if written(&Part::Details) {
                    before.details.clone_from(&after.details);
                }
                for (board, place) in &after.places {
                    if written(&Part::Place(*board)) {
                        before.places.insert(*board, place.clone());
                    }
                }
            }
            Edit::Create { .. } | Edit::Delete { .. } => {}
        },
        Write::Plan(edit) => match &mut **edit {
            Edit::Create { after } if written(&Part::Itself) => {
                let made = now.plan(&after.id)?;
                let mut wanted = made.value.clone();
                wanted.new_members.clone_from(&after.new_members);
                wanted.new_members.retain(|user| left.contains(&Part::Member(user.clone())));
                let (before, basis) = (made.value.clone(), made.etag.clone());
                **edit = Edit::Update { before, after: wanted, basis };
            }
            Edit::Update { before, after, .. } => {
                if written(&Part::Itself) {
                    before.title.clone_from(&after.title);
                }
                if written(&Part::Archive) || written(&Part::Unarchive) {
                    before.archival.clone_from(&after.archival);
                }
                after.new_members.retain(|user| left.contains(&Part::Member(user.clone())));
            }
            Edit::Create { .. } | Edit::Delete { .. } => {}
        },
        Write::PlanDetails { .. } | Write::Bucket(_) | Write::Comment(_) => {}
    }
    // The reads in a written part were settled when it was written; only the others still count.
    if matches!(rest.write, Write::Task(_)) {
        rest.reads.retain(|field| {
            !parts(change).iter().any(|(part, _)| written(part) && part.holds(*field))
        });
    }
    Some(rest)
}

fn rest_of_created(
    wanted: &TaskState,
    left: &[Part],
    now: &Snapshot,
) -> Option<Edit<TaskState, TaskBasis>> {
    let id = &wanted.task.id;
    // If somebody has deleted the task, there is nothing left to complete.
    let task = now.task(id)?;
    let details = now.details(id)?;
    // The details rest on those of a new task, so anything that somebody else has put there since
    // is a conflict.
    let mut before = TaskState {
        task: task.value.clone(),
        details: Some(TaskDetails::default()),
        places: BTreeMap::new(),
    };
    if !left.contains(&Part::Details) {
        before.details = Some(details.value.clone());
    }
    let mut basis = TaskBasis {
        task: task.etag.clone(),
        details: Some(details.etag.clone()),
        places: BTreeMap::new(),
    };
    let mut after = before.clone();
    if left.contains(&Part::Details) {
        let state = |details| TaskState { details, ..before.clone() };
        after.graft(&state(Some(TaskDetails::default())), &state(wanted.details.clone()));
    }
    for (board, place) in &wanted.places {
        let there = now.place(id, *board)?;
        before.places.insert(*board, there.value.clone());
        basis.places.insert(*board, there.etag.clone());
        // A written place keeps the hint that the service has given it.
        let is_left = left.contains(&Part::Place(*board));
        after.places.insert(*board, if is_left { place.clone() } else { there.value.clone() });
    }
    Some(Edit::Update { before, after, basis })
}
