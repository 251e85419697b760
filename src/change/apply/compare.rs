//! The comparison of a part of a change with the present state of its object.

use crate::change::apply::step::{Job, Part};
use crate::change::edit::{Change, Edit, Op, TaskState, Write};
use crate::change::field::{Fields, Placed};
use crate::change::merge::{FieldConflict, Merge, holds, merge};
use crate::model::{
    Board, BoardPlace, Bucket, ETag, Plan, PlanDetails, RosterId, Task, TaskDetails, Versioned,
};

/// The present state of a request's object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// A plan.
    Plan(Box<Versioned<Plan>>),
    /// The details of a plan.
    PlanDetails(Versioned<PlanDetails>),
    /// A bucket.
    Bucket(Box<Versioned<Bucket>>),
    /// A task.
    Task(Box<Versioned<Task>>),
    /// The details of a task.
    Details(Box<Versioned<TaskDetails>>),
    /// The place of a task on a board.
    Place(Versioned<BoardPlace>),
}

impl Seen {
    /// Returns its tag.
    #[must_use]
    pub const fn etag(&self) -> &ETag {
        match self {
            Self::Plan(plan) => &plan.etag,
            Self::PlanDetails(details) => &details.etag,
            Self::Bucket(bucket) => &bucket.etag,
            Self::Task(task) => &task.etag,
            Self::Details(details) => &details.etag,
            Self::Place(place) => &place.etag,
        }
    }
}

/// The result of a comparison.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Compared {
    /// True if everything that was to be set is there.
    pub(crate) holds: bool,
    /// The result of the merge with the present state.
    pub(crate) merge: Merge,
}

impl Compared {
    fn of<T: Fields>(base: &T, ours: &T, theirs: &T, change: &Change) -> Self {
        Self { holds: holds(base, ours, theirs), merge: merge(base, ours, theirs, &change.reads) }
    }

    const fn diverged() -> Self {
        Self { holds: false, merge: Merge::Conflict(Vec::new()) }
    }
}

/// Compares a part of a change with the present state. `first` is the state in which an object
/// created during the run was seen first.
pub(crate) fn compare(change: &Change, part: &Part, first: Option<&Seen>, now: &Seen) -> Compared {
    match (&change.write, part, now) {
        (Write::Plan(edit), part, Seen::Plan(now)) => {
            let Edit::Update { before, after, .. } = &**edit else { return Compared::diverged() };
            let (mut base, mut ours) = (before.clone(), before.clone());
            match part {
                // An archived plan is read only, so it is unarchived before the rename and archived
                // after it: at this point the base has the state in between.
                Part::Itself => {
                    if before.archival.is_archived && !after.archival.is_archived {
                        base.archival.clone_from(&after.archival);
                    }
                    ours = Plan { title: after.title.clone(), ..base.clone() };
                }
                Part::Archive => {
                    base.title.clone_from(&after.title);
                    ours = Plan { archival: after.archival.clone(), ..base.clone() };
                }
                _ => ours.archival.clone_from(&after.archival),
            }
            Compared::of(&base, &ours, &now.value, change)
        }
        (Write::PlanDetails { edit, .. }, _, Seen::PlanDetails(now)) => match edit {
            Edit::Update { before, after, .. } => Compared::of(before, after, &now.value, change),
            Edit::Create { after } => {
                // The details of a new plan have no state before. The first one seen stands for it,
                // so that edits by others after it count.
                let base = match first {
                    Some(Seen::PlanDetails(first)) => &first.value,
                    _ => &now.value,
                };
                Compared::of(base, &over_made(base, after), &now.value, change)
            }
            Edit::Delete { .. } => Compared::diverged(),
        },
        (Write::Bucket(Edit::Update { before, after, .. }), _, Seen::Bucket(now)) => {
            Compared::of(before, after, &now.value, change)
        }
        (Write::Task(edit), _, now) => match &**edit {
            Edit::Update { before, after, .. } => {
                of_task(change, (before, after), part, first, now)
            }
            Edit::Create { after } => {
                // The task itself is not compared after a create; its details begin as those of a
                // new task.
                let before = TaskState {
                    task: after.task.clone(),
                    details: Some(TaskDetails::default()),
                    places: [].into(),
                };
                of_task(change, (&before, after), part, first, now)
            }
            Edit::Delete { .. } => Compared::diverged(),
        },
        _ => Compared::diverged(),
    }
}

/// Rests a part of a change on the present state.
///
/// # Errors
/// A field that the run read or writes has changed; returns both sides of each, and leaves the
/// change as it was.
pub fn rebase(change: &mut Change, part: &Part, now: &Seen) -> Result<(), Vec<FieldConflict>> {
    if change.op() == Op::Delete {
        // Any change of it since is a reason not to delete it.
        return Err(moved_under_delete(change, now));
    }
    if let Merge::Conflict(fields) = compare(change, part, None, now).merge {
        return Err(fields);
    }
    match (&mut change.write, now) {
        (Write::Plan(edit), Seen::Plan(now)) => rest_on(edit, &now.value, &now.etag),
        (Write::PlanDetails { edit, .. }, Seen::PlanDetails(now)) => {
            rest_on(edit, &now.value, &now.etag);
        }
        (Write::Bucket(edit), Seen::Bucket(now)) => rest_on(edit, &now.value, &now.etag),
        (Write::Task(edit), now) => {
            let Edit::Update { before, basis, .. } = &**edit else { return Ok(()) };
            // Only the part that was read again moves on: the others keep their own tags.
            let (mut theirs, mut basis) = (before.clone(), basis.clone());
            match (part, now) {
                (_, Seen::Task(now)) => {
                    theirs.task.clone_from(&now.value);
                    basis.task.clone_from(&now.etag);
                }
                (_, Seen::Details(now)) => {
                    theirs.details = Some(now.value.clone());
                    basis.details = Some(now.etag.clone());
                }
                (Part::Place(board), Seen::Place(now)) => {
                    theirs.places.insert(*board, now.value.clone());
                    basis.places.insert(*board, now.etag.clone());
                }
                _ => return Ok(()),
            }
            rest_on(edit, &theirs, &basis);
        }
        _ => {}
    }
    Ok(())
}

/// Rests an update on a newer state that does not conflict with it.
pub(crate) fn rest_on<T: Fields + Clone, B: Clone>(edit: &mut Edit<T, B>, theirs: &T, tag: &B) {
    if let Edit::Update { before, after, basis } = edit {
        let mut wanted = theirs.clone();
        wanted.graft(before, after);
        before.clone_from(theirs);
        *after = wanted;
        basis.clone_from(tag);
    }
}

fn moved_under_delete(change: &Change, now: &Seen) -> Vec<FieldConflict> {
    fn of<T: Fields>(before: &T, now: &T) -> Vec<FieldConflict> {
        match merge(before, before, now, &T::FIELDS.iter().copied().collect()) {
            Merge::Rebase => Vec::new(),
            Merge::Conflict(fields) => fields,
        }
    }
    match (&change.write, now) {
        (Write::Task(edit), Seen::Task(now)) => {
            let Some(before) = edit.before() else { return Vec::new() };
            // Only the task itself was read again, so its details count as unchanged.
            of(before, &TaskState { task: now.value.clone(), ..before.clone() })
        }
        (Write::Bucket(edit), Seen::Bucket(now)) => {
            edit.before().map_or(Vec::new(), |before| of(before, &now.value))
        }
        (Write::Plan(edit), Seen::Plan(now)) => {
            edit.before().map_or(Vec::new(), |before| of(before, &now.value))
        }
        _ => Vec::new(),
    }
}

/// Compares a part of a task. The parts have tags of their own, so in each only its own fields can
/// collide.
fn of_task(
    change: &Change,
    (before, after): (&TaskState, &TaskState),
    part: &Part,
    first: Option<&Seen>,
    now: &Seen,
) -> Compared {
    match (part, now) {
        (Part::Itself, Seen::Task(now)) => {
            let state = |task: &Task| TaskState { task: task.clone(), ..before.clone() };
            Compared::of(before, &state(&after.task), &state(&now.value), change)
        }
        (Part::Details, Seen::Details(now)) => {
            let state = |details: &TaskDetails| TaskState {
                details: Some(details.clone()),
                ..before.clone()
            };
            let ours = after.details.clone().unwrap_or_default();
            Compared::of(before, &state(&ours), &state(&now.value), change)
        }
        (Part::Place(board), Seen::Place(now)) => {
            let state = |place: &BoardPlace| Placed { board: *board, place: place.clone() };
            let of = |state: &TaskState| state.places.get(board).cloned().unwrap_or_default();
            let (old, new) = (of(before), of(after));
            // A column that existed before rests on the hint that was read.
            if !is_made_place(change, *board) {
                return Compared::of(&state(&old), &state(&new), &state(&now.value), change);
            }
            match first {
                // Columns that the service itself has created are part of the base, not a conflict.
                Some(Seen::Place(first)) => {
                    let wanted = over_place(&first.value, &old, &new);
                    let (base, ours) = (state(&first.value), state(&wanted));
                    Compared::of(&base, &ours, &state(&now.value), change)
                }
                _ => {
                    let ours = over_place(&now.value, &old, &new);
                    let base = state(&known_place(&now.value, &old));
                    Compared {
                        holds: holds(&state(&old), &state(&new), &state(&now.value)),
                        merge: merge(&base, &state(&ours), &state(&now.value), &change.reads),
                    }
                }
            }
        }
        _ => Compared::diverged(),
    }
}

/// Returns whether the run's own change creates the columns of a place, or adds and removes some.
fn is_made_place(change: &Change, board: Board) -> bool {
    match &change.write {
        Write::Task(edit) => match &**edit {
            Edit::Create { .. } => true,
            Edit::Update { before, after, .. } => {
                let same = before.task.assignments.keys().eq(after.task.assignments.keys());
                // Assigning creates and removes columns there (planner-api.md 3.5).
                board == Board::AssignedTo && !same
            }
            Edit::Delete { .. } => false,
        },
        _ => false,
    }
}

/// Returns the base for a place that the service has extended: columns that were known before must
/// still be as they were read.
fn known_place(made: &BoardPlace, old: &BoardPlace) -> BoardPlace {
    let mut base = made.clone();
    for (user, hint) in &old.by_user {
        if base.by_user.contains_key(user) {
            base.by_user.insert(user.clone(), hint.clone());
        }
    }
    if !old.hint.is_empty() {
        base.hint.clone_from(&old.hint);
    }
    base
}

/// Returns the wanted place on top of the one that the service has made.
fn over_place(made: &BoardPlace, old: &BoardPlace, new: &BoardPlace) -> BoardPlace {
    let mut wanted = made.clone();
    for (user, hint) in &new.by_user {
        if old.by_user.get(user) != Some(hint) {
            wanted.by_user.insert(user.clone(), hint.clone());
        }
    }
    if new.hint != old.hint {
        wanted.hint.clone_from(&new.hint);
    }
    wanted
}

/// Returns the wanted details of a new plan on top of those that the service has made: it shares
/// the plan with its creator (planner-api.md 7.6).
fn over_made(made: &PlanDetails, wanted: &PlanDetails) -> PlanDetails {
    let mut over = made.clone();
    over.labels.extend(wanted.labels.iter().map(|(label, name)| (*label, name.clone())));
    over.shared_with.extend(wanted.shared_with.iter().cloned());
    over
}

/// Returns the operation of a part's request; `None` if something that it needs is missing.
pub(crate) fn job(
    change: &Change,
    part: &Part,
    roster: Option<RosterId>,
    first: Option<&Seen>,
) -> Option<Job> {
    Some(match (&change.write, part) {
        (_, Part::Roster) => Job::CreateRoster,
        // A new roster has no id before its own request is done.
        (_, Part::Member(user)) => Job::AddMember(roster?, user.clone()),
        (Write::Plan(edit), part) => match (&**edit, part) {
            (Edit::Create { after }, _) => Job::CreatePlan(Box::new(after.clone()), roster),
            (Edit::Delete { before, .. }, _) => Job::DeletePlan(before.id.clone()),
            (Edit::Update { after, .. }, Part::Archive | Part::Unarchive) => {
                Job::ArchivePlan(after.id.clone(), after.archival.clone())
            }
            (Edit::Update { after, .. }, _) => {
                Job::RenamePlan(after.id.clone(), after.title.clone())
            }
        },
        (Write::PlanDetails { plan, edit, .. }, _) => {
            let states = match edit {
                Edit::Update { before, after, .. } => (before.clone(), after.clone()),
                Edit::Create { after } => {
                    // They cannot be updated before they were read once: there is no tag yet.
                    let Some(Seen::PlanDetails(made)) = first else { return None };
                    (made.value.clone(), over_made(&made.value, after))
                }
                Edit::Delete { .. } => return None,
            };
            Job::UpdatePlanDetails(plan.clone(), Box::new(states))
        }
        (Write::Bucket(edit), _) => match edit {
            Edit::Create { after } => Job::CreateBucket(after.clone()),
            Edit::Update { before, after, .. } => {
                Job::UpdateBucket(Box::new((before.clone(), after.clone())))
            }
            Edit::Delete { before, .. } => Job::DeleteBucket(before.id.clone()),
        },
        (Write::Comment(edit), _) => {
            let comment = edit.known();
            Job::AddComment(comment.task.clone(), comment.text.clone())
        }
        (Write::Task(edit), part) => {
            let id = edit.known().task.id.clone();
            match (part, edit.before(), edit.after()) {
                (Part::Details, before, Some(after)) => {
                    let of = |state: &TaskState| state.details.clone();
                    let old = before.and_then(of).unwrap_or_default();
                    Job::UpdateDetails(id, Box::new((old, of(after).unwrap_or_default())))
                }
                (Part::Place(board), before, Some(after)) => {
                    let of = |state: &TaskState| state.places.get(board).cloned();
                    let old = before.and_then(of).unwrap_or_default();
                    let new = of(after).unwrap_or_default();
                    let states = match first {
                        Some(Seen::Place(made)) => {
                            (made.value.clone(), over_place(&made.value, &old, &new))
                        }
                        _ => (old, new),
                    };
                    Job::UpdatePlace(id, *board, Box::new(states))
                }
                (_, None, Some(after)) => Job::CreateTask(Box::new(after.task.clone())),
                (_, Some(before), Some(after)) => {
                    Job::UpdateTask(Box::new((before.task.clone(), after.task.clone())))
                }
                (_, _, None) => Job::DeleteTask(id),
            }
        }
    })
}
