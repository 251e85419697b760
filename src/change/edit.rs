//! One change: its entity, the states before and after, and the tags that it rests on.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::change::entity_id::EntityId;
use crate::change::field::{Entity, Field, FieldChange, Fields};
use crate::model::{
    Board, BoardPlace, Bucket, ETag, NewComment, Plan, PlanDetails, PlanId, Priority, Task,
    TaskDetails, TaskId,
};

/// A task and its details, one thing to a script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskState {
    /// The task.
    pub task: Task,
    /// Its details, if they were needed.
    pub details: Option<TaskDetails>,
    /// Its places on the boards on which it is moved.
    #[serde(default)]
    pub places: BTreeMap<Board, BoardPlace>,
}

/// The tags that a change of a task rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskBasis {
    /// The tag of the task itself.
    pub task: ETag,
    /// The tag of its details, where they were read.
    pub details: Option<ETag>,
    /// The tags of its places on the boards on which it is moved.
    #[serde(default)]
    pub places: BTreeMap<Board, ETag>,
}

/// The edit of one entity `T`, resting on the tags `B`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edit<T, B> {
    /// It is created.
    Create {
        /// The state to write.
        after: T,
    },
    /// It is changed.
    Update {
        /// The state that was read.
        before: T,
        /// The state to write.
        after: T,
        /// The tags that were read.
        basis: B,
    },
    /// It is deleted.
    Delete {
        /// The state that was read.
        before: T,
        /// The tags that were read.
        basis: B,
    },
}

impl<T, B> Edit<T, B> {
    /// Returns the kind of the edit.
    pub const fn op(&self) -> Op {
        match self {
            Self::Create { .. } => Op::Create,
            Self::Update { .. } => Op::Update,
            Self::Delete { .. } => Op::Delete,
        }
    }

    /// Returns the state that was read; `None` for a new entity.
    pub const fn before(&self) -> Option<&T> {
        match self {
            Self::Create { .. } => None,
            Self::Update { before, .. } | Self::Delete { before, .. } => Some(before),
        }
    }

    /// Returns the state to write; `None` for a deletion.
    pub const fn after(&self) -> Option<&T> {
        match self {
            Self::Create { after } | Self::Update { after, .. } => Some(after),
            Self::Delete { .. } => None,
        }
    }

    /// Returns the state that names the entity best: the one that was read, or else the new one.
    pub const fn known(&self) -> &T {
        match self {
            Self::Create { after } => after,
            Self::Update { before, .. } | Self::Delete { before, .. } => before,
        }
    }
}

/// The kind of a change (design.md 4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// An entity is created.
    Create,
    /// An entity is changed.
    Update,
    /// An entity is deleted.
    Delete,
}

impl Op {
    /// Returns its name in reports and policies.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// An edit of one of the entities that Planner has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Write {
    /// An edit of a plan.
    Plan(Box<Edit<Plan, ETag>>),
    /// An edit of the details of a plan, which exist as long as the plan does.
    PlanDetails {
        /// The plan.
        plan: PlanId,
        /// Its title, as it was read.
        title: String,
        /// An update; or, for a new plan, a "create" that is applied as the first update.
        edit: Edit<PlanDetails, ETag>,
    },
    /// An edit of a bucket.
    Bucket(Edit<Bucket, ETag>),
    /// An edit of a task with its details.
    Task(Box<Edit<TaskState, TaskBasis>>),
    /// A comment, which is only ever created.
    Comment(Edit<NewComment, Never>),
}

/// The basis of an edit that cannot be: the beta takes no `If-Match` for comments, and nothing is
/// changed or deleted without one (rule R3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Never {}

/// One change of a set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Its number in the set, from 1, in the order of applying.
    pub n: usize,
    /// The entity and the edit of it.
    pub write: Write,
    /// The fields of this entity that the script read before it decided.
    pub reads: BTreeSet<Field>,
    /// The tasks that are deleted with it: those of a deleted bucket or plan.
    pub takes_along: BTreeSet<TaskId>,
    /// For a create: the ids of what had the same name before, so that none of it is taken for the
    /// result of a request whose answer was lost.
    #[serde(default, alias = "twins", skip_serializing_if = "BTreeSet::is_empty")]
    pub same_name: BTreeSet<String>,
    /// The entities that are deleted with it, as they were right before, so that an undo can
    /// recreate them.
    #[serde(default, skip_serializing_if = "TakenAlong::is_nothing")]
    pub lost: TakenAlong,
}

/// The entities that a deletion takes along.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TakenAlong {
    /// The details of a plan.
    pub details: Option<PlanDetails>,
    /// The buckets of a plan.
    pub buckets: Vec<Bucket>,
    /// The tasks of a bucket or plan, with their details.
    pub tasks: Vec<TaskState>,
}

impl TakenAlong {
    /// Returns whether nothing is known to be deleted along.
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        self.details.is_none() && self.buckets.is_empty() && self.tasks.is_empty()
    }
}

/// Calls `$body` with `$edit` bound to the edit, whatever entity it is of.
macro_rules! each_edit {
    ($write:expr, $edit:ident => $body:expr) => {
        match $write {
            Write::Plan($edit) => $body,
            Write::PlanDetails { edit: $edit, .. } => $body,
            Write::Bucket($edit) => $body,
            Write::Task($edit) => $body,
            Write::Comment($edit) => $body,
        }
    };
}

/// Compares two edits of the same kind of entity; false for edits of different kinds.
macro_rules! each_pair {
    ($one:expr, $other:expr, $a:ident, $b:ident => $body:expr) => {
        match (&$one.write, &$other.write) {
            (Write::Plan($a), Write::Plan($b)) => $body,
            (Write::PlanDetails { edit: $a, .. }, Write::PlanDetails { edit: $b, .. }) => $body,
            (Write::Bucket($a), Write::Bucket($b)) => $body,
            (Write::Task($a), Write::Task($b)) => $body,
            (Write::Comment($a), Write::Comment($b)) => $body,
            _ => false,
        }
    };
}

impl Change {
    /// Makes a change without a number, without reads, and without anything that is deleted along.
    pub(crate) const fn from_write(write: Write) -> Self {
        Self {
            n: 0,
            write,
            reads: BTreeSet::new(),
            takes_along: BTreeSet::new(),
            same_name: BTreeSet::new(),
            lost: TakenAlong { details: None, buckets: Vec::new(), tasks: Vec::new() },
        }
    }

    /// Returns the kind of the change.
    #[must_use]
    pub fn op(&self) -> Op {
        each_edit!(&self.write, edit => edit.op())
    }

    /// Returns the kind of its entity.
    #[must_use]
    pub const fn entity(&self) -> Entity {
        match self.write {
            Write::Plan(_) => Entity::Plan,
            Write::PlanDetails { .. } => Entity::PlanDetails,
            Write::Bucket(_) => Entity::Bucket,
            Write::Task(_) => Entity::Task,
            Write::Comment(_) => Entity::Comment,
        }
    }

    /// Returns the id of the entity, provisional for a new one.
    #[must_use]
    pub fn id(&self) -> EntityId {
        match &self.write {
            Write::Plan(edit) => EntityId::Plan(edit.known().id.clone()),
            Write::PlanDetails { plan, .. } => EntityId::PlanDetails(plan.clone()),
            Write::Bucket(edit) => EntityId::Bucket(edit.known().id.clone()),
            Write::Task(edit) => EntityId::Task(edit.known().task.id.clone()),
            Write::Comment(edit) => EntityId::Comment(edit.known().id.clone()),
        }
    }

    /// Returns a name for each thing that it touches: the id of the entity and of each task deleted
    /// with it. Each label and each share of a plan counts by itself, as it does for people.
    #[must_use]
    pub fn touches(&self) -> BTreeSet<String> {
        let along = self.takes_along.iter().map(ToString::to_string);
        let Write::PlanDetails { plan, edit: Edit::Update { before, after, .. }, .. } = &self.write
        else {
            return along.chain([self.id().as_str().to_owned()]).collect();
        };
        let labels = before.labels.keys().chain(after.labels.keys());
        let labels = labels.filter(|label| before.labels.get(label) != after.labels.get(label));
        let shares = before.shared_with.symmetric_difference(&after.shared_with);
        let labels = labels.map(|label| format!("{plan} {label}"));
        labels.chain(shares.map(|user| format!("{plan} {user}"))).collect()
    }

    /// Returns the plan that it touches.
    #[must_use]
    pub fn plan(&self) -> &PlanId {
        match &self.write {
            Write::Plan(edit) => &edit.known().id,
            Write::PlanDetails { plan, .. } => plan,
            Write::Bucket(edit) => &edit.known().plan,
            Write::Task(edit) => &edit.known().task.plan,
            Write::Comment(edit) => &edit.known().plan,
        }
    }

    /// Returns the plan to which it moves a task, if that is another.
    #[must_use]
    pub fn moves_to(&self) -> Option<&PlanId> {
        let Write::Task(edit) = &self.write else { return None };
        edit.after().map(|state| &state.task.plan).filter(|plan| *plan != self.plan())
    }

    /// Returns the title or name that the entity is known by: the one that was read, or the one of
    /// a new entity. A comment is known by the task that it is on.
    #[must_use]
    pub fn title(&self) -> &str {
        match &self.write {
            Write::Plan(edit) => &edit.known().title,
            Write::PlanDetails { title, .. } => title,
            Write::Bucket(edit) => &edit.known().name,
            Write::Task(edit) => &edit.known().task.title,
            Write::Comment(edit) => &edit.known().title,
        }
    }

    /// Returns the value of a field as it was read, or as it is set in a new entity. `null` where
    /// the entity has no such field.
    #[must_use]
    pub fn known_value(&self, field: Field) -> Value {
        each_edit!(&self.write, edit => edit.known().value(field))
    }

    /// Returns the fields that it sets, with both values. Empty for a deletion.
    #[must_use]
    pub fn fields(&self) -> BTreeMap<Field, FieldChange> {
        fn of<T: Fields, B>(edit: &Edit<T, B>) -> BTreeMap<Field, FieldChange> {
            let change =
                |field, before: Value, after: Value| (field, FieldChange { before, after });
            match edit {
                Edit::Delete { .. } => BTreeMap::new(),
                Edit::Update { before, after, .. } => before
                    .differing(after)
                    .into_iter()
                    .map(|field| change(field, before.value(field), after.value(field)))
                    .collect(),
                Edit::Create { after } => T::FIELDS
                    .iter()
                    .map(|&field| change(field, Value::Null, after.value(field)))
                    .filter(|(field, change)| !is_blank(*field, &change.after))
                    .collect(),
            }
        }
        each_edit!(&self.write, edit => of(edit))
    }

    /// Returns whether the change sets a field.
    #[must_use]
    pub fn sets(&self, field: Field) -> bool {
        self.fields().contains_key(&field)
    }

    /// Returns whether it sets something that only the beta of Graph has.
    #[must_use]
    pub fn needs_beta(&self) -> bool {
        let of_beta = |field: &Field| {
            matches!(
                field,
                Field::PlanId
                    | Field::Recurrence
                    | Field::IsArchived
                    | Field::Members
                    | Field::Content
            )
        };
        self.fields().keys().any(of_beta)
    }

    /// Returns whether another change writes the same to the same entity, on whatever tag.
    #[must_use]
    pub fn wants_same(&self, other: &Self) -> bool {
        let same = each_pair!(self, other, a, b => a.op() == b.op() && a.after() == b.after());
        same && self.id() == other.id()
    }

    /// Returns whether another change rests on the same values, on whatever tag.
    #[must_use]
    pub fn rests_on_same(&self, other: &Self) -> bool {
        each_pair!(self, other, a, b => a.before() == b.before())
    }

    /// Returns whether it mentions an entity that does not exist yet, as its place or in a text.
    #[must_use]
    pub fn mentions_new(&self) -> bool {
        let in_place = match &self.write {
            Write::Plan(_) => false,
            Write::PlanDetails { plan, .. } => plan.is_provisional(),
            Write::Bucket(edit) => edit.known().plan.is_provisional(),
            Write::Task(edit) => edit.after().is_some_and(|after| {
                after.task.plan.is_provisional()
                    || after
                        .task
                        .bucket
                        .as_ref()
                        .is_some_and(crate::model::BucketId::is_provisional)
            }),
            Write::Comment(edit) => edit.known().task.is_provisional(),
        };
        in_place || self.fields().values().any(|field| mentions_marker(&field.after))
    }
}

/// Returns whether a value of a new entity is the one that it would have anyway.
pub(crate) fn is_blank(field: Field, value: &Value) -> bool {
    // A new bucket has a place in any case, and a new task has a plan.
    if matches!(field, Field::OrderHint | Field::PlanId) {
        return true;
    }
    match value {
        Value::Null => true,
        Value::String(text) => {
            text.is_empty() || (field == Field::PreviewType && text == TaskDetails::AUTOMATIC)
        }
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Number(n) => match field {
            Field::PercentComplete => n.as_u64() == Some(0),
            Field::Priority => n.as_u64() == Some(u64::from(Priority::DEFAULT.level())),
            _ => false,
        },
        Value::Bool(value) => !value,
    }
}

/// Returns whether a text anywhere in a value holds a provisional id.
fn mentions_marker(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("⟦new:"),
        Value::Array(items) => items.iter().any(mentions_marker),
        Value::Object(map) => {
            map.iter().any(|(key, value)| key.contains("⟦new:") || mentions_marker(value))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
