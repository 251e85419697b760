//! Reads: the things that a decision can rest on (design.md 2.1). Pure, so that what answers a
//! program and what compares two boards is the same code.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::change::entity_id::EntityId;
use crate::change::field::{Field, Fields as _};
use crate::change::field::{details_value, hints, task_value};
use crate::change::merge::FieldConflict;
use crate::model::snapshot::{Snapshot, folded};
use crate::model::{Bucket, BucketId, GroupId, Plan, PlanId, RosterId, Task, TaskId, UserId};

/// One thing on which a decision can rest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Read {
    /// A field of an entity.
    Field(EntityId, Field),
    /// Every field of an entity but those of its details and board positions.
    Entity(EntityId),
    /// The existence of an entity.
    Exists(EntityId),
    /// The tasks of a plan.
    Tasks(PlanId),
    /// The tasks of a bucket of a plan.
    TasksIn(PlanId, BucketId),
    /// The tasks of a plan to which a title resolves: none, one, or several.
    TasksNamed(PlanId, String),
    /// The buckets of a plan, in board order.
    Buckets(PlanId),
    /// The buckets of a plan to which a name resolves.
    BucketsNamed(PlanId, String),
    /// The tasks assigned to a person, in all plans.
    AssignedTo(UserId),
    /// The plans within reach.
    Plans,
    /// The plans within reach to which a title resolves.
    PlansNamed(String),
    /// The groups of the actor.
    Groups,
    /// The members of a group.
    Members(GroupId),
    /// The members of a roster.
    RosterMembers(RosterId),
    /// The comments on a task.
    Comments(TaskId),
    /// The person to whom an id, a sign-in name or a mail address resolves.
    Person(String),
}

/// All reads of a run.
pub type ReadSet = BTreeSet<Read>;

/// The answer to a read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadValue {
    /// Nothing of the kind exists, or it was not read.
    Absent,
    /// The members of a list, by id.
    Ids(Vec<String>),
    /// A value.
    Value(Value),
}

impl ReadValue {
    /// Returns a short digest, equal for equal values. `None` if there is no value.
    #[must_use]
    pub fn digest(&self) -> Option<String> {
        let text = match self {
            Self::Absent => return None,
            Self::Ids(ids) => json!(ids).to_string(),
            Self::Value(value) => value.to_string(),
        };
        let mut digest = format!("{:x}", Sha256::digest(text.as_bytes()));
        digest.truncate(32);
        Some(digest)
    }
}

impl Read {
    /// Returns the answer that a snapshot holds.
    #[must_use]
    pub fn answer(&self, on: &Snapshot) -> ReadValue {
        let listed = |ids: Option<Vec<String>>| ids.map_or(ReadValue::Absent, ReadValue::Ids);
        match self {
            Self::Field(entity, field) => value_of(entity, *field, on),
            Self::Entity(entity) => whole_of(entity, on),
            Self::Exists(entity) => match whole_of(entity, on) {
                ReadValue::Absent => ReadValue::Absent,
                _ => ReadValue::Value(Value::Bool(true)),
            },
            // A set: the position of a task in the service's list decides nothing.
            Self::Tasks(plan) => listed(on.tasks_of(plan).map(sorted)),
            Self::TasksIn(plan, bucket) => {
                let is_in = |id: &&TaskId| {
                    on.task(id).is_some_and(|task| task.value.bucket.as_ref() == Some(bucket))
                };
                let tasks = on.tasks_of(plan);
                listed(tasks.map(|all| sorted(all.iter().filter(is_in).collect::<Vec<_>>())))
            }
            Self::TasksNamed(plan, title) => {
                let there = on.tasks_titled(plan, title).iter().filter_map(|id| on.task(id));
                let there: Vec<&Task> = there.map(|task| &task.value).collect();
                let found = resolve_tasks(&there, title);
                // Without the list of the plan there is no answer, not even "none".
                listed(on.tasks_of(plan).map(|_| sorted(found.iter().map(|task| &task.id))))
            }
            Self::Buckets(plan) => {
                // Not sorted: scripts see the buckets in board order.
                listed(on.buckets_of(plan).map(|all| all.iter().map(ToString::to_string).collect()))
            }
            Self::BucketsNamed(plan, name) => listed(on.buckets_of(plan).map(|all| {
                let all: Vec<&Bucket> =
                    all.iter().filter_map(|id| on.bucket(id)).map(|bucket| &bucket.value).collect();
                sorted(pick(&all, name, |bucket| &bucket.name).iter().map(|bucket| &bucket.id))
            })),
            Self::AssignedTo(user) => listed(on.assigned_to(user).map(sorted)),
            Self::Plans => listed(on.all_plans().map(sorted)),
            Self::PlansNamed(title) => listed(on.all_plans().map(|all| {
                let all: Vec<&Plan> =
                    all.iter().filter_map(|id| on.plan(id)).map(|plan| &plan.value).collect();
                sorted(pick(&all, title, |plan| &plan.title).iter().map(|plan| &plan.id))
            })),
            Self::Groups => {
                let groups = on.groups();
                groups.map_or(ReadValue::Absent, |groups| {
                    let mut all: Vec<_> =
                        groups.iter().map(|group| (&group.id, &group.name)).collect();
                    all.sort();
                    ReadValue::Value(json!(all))
                })
            }
            Self::Members(group) => on.members_of(group).map_or(ReadValue::Absent, |ids| {
                let mut people: Vec<_> = ids.iter().filter_map(|id| on.user(id)).collect();
                // The people themselves are compared, since scripts find them by name and address.
                people.sort_by_key(|user| &user.id);
                ReadValue::Value(json!(people))
            }),
            Self::RosterMembers(roster) => listed(on.members_of_roster(roster).map(sorted)),
            Self::Comments(task) => on
                .comments_on(task)
                .map_or(ReadValue::Absent, |comments| ReadValue::Value(json!(comments))),
            Self::Person(text) => {
                on.find_user(text).map_or(ReadValue::Absent, |user| ReadValue::Value(json!(user)))
            }
        }
    }

    /// Returns whether two snapshots answer it differently.
    #[must_use]
    pub fn moved(&self, old: &Snapshot, new: &Snapshot) -> bool {
        self.answer(old) != self.answer(new)
    }

    /// Returns whether it concerns an entity that the run creates itself: nobody else can change
    /// that.
    #[must_use]
    pub fn is_of_new(&self) -> bool {
        match self {
            Self::Field(entity, _) | Self::Entity(entity) | Self::Exists(entity) => {
                entity.is_provisional()
            }
            Self::TasksIn(plan, bucket) => plan.is_provisional() || bucket.is_provisional(),
            Self::Tasks(plan)
            | Self::TasksNamed(plan, _)
            | Self::Buckets(plan)
            | Self::BucketsNamed(plan, _) => plan.is_provisional(),
            Self::RosterMembers(roster) => roster.is_provisional(),
            Self::Comments(task) => task.is_provisional(),
            Self::AssignedTo(_)
            | Self::Plans
            | Self::PlansNamed(_)
            | Self::Groups
            | Self::Members(_)
            | Self::Person(_) => false,
        }
    }

    /// Returns the entities that it led to, each with the field by which it selected them.
    #[must_use]
    pub fn led_to(&self, on: &Snapshot) -> Vec<(EntityId, Field)> {
        let (entity, field): (fn(&str) -> Option<EntityId>, Field) = match self {
            Self::TasksIn(..) => (task_id, Field::BucketId),
            Self::TasksNamed(..) => (task_id, Field::Title),
            Self::AssignedTo(_) => (task_id, Field::Assignments),
            Self::BucketsNamed(..) => {
                (|id| BucketId::parse(id).ok().map(EntityId::Bucket), Field::Name)
            }
            Self::PlansNamed(_) => (|id| PlanId::parse(id).ok().map(EntityId::Plan), Field::Title),
            _ => return Vec::new(),
        };
        let ReadValue::Ids(ids) = self.answer(on) else { return Vec::new() };
        ids.iter().filter_map(|id| Some((entity(id)?, field))).collect()
    }

    /// Returns the entity that it concerns, if it concerns one.
    #[must_use]
    pub const fn entity(&self) -> Option<&EntityId> {
        match self {
            Self::Field(entity, _) | Self::Entity(entity) | Self::Exists(entity) => Some(entity),
            _ => None,
        }
    }

    /// Returns a text about what somebody else did, for a read that two snapshots answer
    /// differently.
    #[must_use]
    pub fn describe(&self, old: &Snapshot, new: &Snapshot) -> String {
        let changed = |what: String| format!("someone else changed {what} since it was read");
        match self {
            Self::Field(entity, field) => {
                let title = title_of(entity, old);
                match whole_of(entity, new) {
                    ReadValue::Absent => gone(&title),
                    _ => changed(format!("{} of `{title}`", field.name())),
                }
            }
            Self::Entity(entity) | Self::Exists(entity) => {
                let title = title_of(entity, old);
                match whole_of(entity, new) {
                    ReadValue::Absent => gone(&title),
                    _ => changed(format!("`{title}`")),
                }
            }
            Self::Tasks(_) => changed("the list of the plan's tasks".into()),
            Self::TasksIn(..) => changed("the list of the bucket's tasks".into()),
            Self::TasksNamed(_, title) => changed(format!("which tasks are named `{title}`")),
            Self::Buckets(_) => changed("the list of the plan's buckets".into()),
            Self::BucketsNamed(_, name) => changed(format!("which buckets are named `{name}`")),
            Self::AssignedTo(_) => changed("the tasks assigned to the person".into()),
            Self::Plans => changed("the list of plans".into()),
            Self::PlansNamed(title) => changed(format!("which plans are named `{title}`")),
            Self::Groups => changed("the list of groups".into()),
            Self::Members(_) | Self::RosterMembers(_) => changed("the members of the group".into()),
            Self::Comments(task) => {
                let title = title_of(&EntityId::Task(task.clone()), old);
                changed(format!("the comments on `{title}`"))
            }
            Self::Person(text) => changed(format!("the directory entry of `{text}`")),
        }
    }

    /// Returns both sides of a field that somebody else has changed; `None` for any other read.
    #[must_use]
    pub fn conflict(&self, old: &Snapshot, new: &Snapshot) -> Option<FieldConflict> {
        let Self::Field(_, field) = self else { return None };
        let (ReadValue::Value(base), ReadValue::Value(theirs)) =
            (self.answer(old), self.answer(new))
        else {
            return None;
        };
        Some(FieldConflict { field: *field, ours: base.clone(), base, theirs })
    }
}

fn task_id(id: &str) -> Option<EntityId> {
    TaskId::parse(id).ok().map(EntityId::Task)
}

fn gone(title: &str) -> String {
    format!("someone else deleted `{title}` since it was read")
}

fn sorted<T: ToString>(ids: impl IntoIterator<Item = T>) -> Vec<String> {
    let mut ids: Vec<String> = ids.into_iter().map(|id| id.to_string()).collect();
    ids.sort_unstable();
    ids
}

fn value_of(entity: &EntityId, field: Field, on: &Snapshot) -> ReadValue {
    if field.is_fixed() {
        // Such a field can change only by the deletion of the entity.
        return Read::Exists(entity.clone()).answer(on);
    }
    let value = match entity {
        EntityId::Plan(id) => on.plan(id).map(|plan| plan.value.value(field)),
        EntityId::PlanDetails(id) => on.plan_details(id).map(|details| details.value.value(field)),
        EntityId::Bucket(id) => on.bucket(id).map(|bucket| bucket.value.value(field)),
        EntityId::Task(id) => match field.board() {
            Some(board) => on.place(id, board).map(|place| hints(board, &place.value)),
            // A task whose counts say that it has no details answers for them.
            None if field.is_in_details() => {
                on.known_details(id).map(|details| details_value(&details, field))
            }
            None => on.task(id).map(|task| task_value(&task.value, field)),
        },
        // Comments are read as the list that a task has.
        EntityId::Comment(_) => None,
    };
    value.map_or(ReadValue::Absent, ReadValue::Value)
}

fn whole_of(entity: &EntityId, on: &Snapshot) -> ReadValue {
    let value = match entity {
        EntityId::Plan(id) => on.plan(id).map(|plan| json!(plan.value)),
        EntityId::PlanDetails(id) => on.plan_details(id).map(|details| json!(details.value)),
        EntityId::Bucket(id) => on.bucket(id).map(|bucket| json!(bucket.value)),
        // The service reorders the flat list on its own, and nobody sees that order.
        EntityId::Task(id) => {
            on.task(id).map(|task| json!(Task { order_hint: String::new(), ..task.value.clone() }))
        }
        EntityId::Comment(_) => None,
    };
    value.map_or(ReadValue::Absent, ReadValue::Value)
}

fn title_of(entity: &EntityId, on: &Snapshot) -> String {
    let title = match entity {
        EntityId::Plan(id) | EntityId::PlanDetails(id) => on.plan(id).map(|plan| &plan.value.title),
        EntityId::Bucket(id) => on.bucket(id).map(|bucket| &bucket.value.name),
        EntityId::Task(id) => on.task(id).map(|task| &task.value.title),
        EntityId::Comment(_) => None,
    };
    title.map_or_else(|| entity.to_string(), Clone::clone)
}

/// Picks the items with a name: those that match exactly, or else those that match regardless of
/// case.
pub fn pick<'a, T>(items: &[&'a T], name: &str, name_of: impl Fn(&T) -> &str) -> Vec<&'a T> {
    let exact: Vec<_> = items.iter().copied().filter(|item| name_of(item) == name).collect();
    if !exact.is_empty() {
        return exact;
    }
    let wanted = folded(name);
    items.iter().copied().filter(|item| folded(name_of(item)) == wanted).collect()
}

/// Picks the tasks with a title: if it repeats and exactly one of them is open, that one alone.
pub fn resolve_tasks<'a>(tasks: &[&'a Task], title: &str) -> Vec<&'a Task> {
    let found = pick(tasks, title, |task| &task.title);
    let open: Vec<_> = found.iter().copied().filter(|task| task.percent_complete < 100).collect();
    if found.len() > 1 && open.len() == 1 { open } else { found }
}
