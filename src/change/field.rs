//! The fields that a change can set, by Graph's names, and their values as JSON.
//!
//! The values are for people, reports and comparison. What goes over the wire is made by the
//! `wire` layer from the typed states.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::change::edit::TaskState;
use crate::change::merge::FieldConflict;
use crate::model::order::{is_wanted, lies_in};
use crate::model::{Board, BoardPlace, Bucket, NewComment, Plan, PlanDetails, Task, TaskDetails};

/// The kind of entity that a change concerns (design.md 4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entity {
    /// A plan.
    Plan,
    /// The details of a plan: its labels and the people it is shared with.
    PlanDetails,
    /// A bucket.
    Bucket,
    /// A task with its details.
    Task,
    /// A comment on a task (beta).
    Comment,
}

impl Entity {
    /// Returns its name in reports and policies.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::PlanDetails => "plan_details",
            Self::Bucket => "bucket",
            Self::Task => "task",
            Self::Comment => "comment",
        }
    }
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

macro_rules! fields {
    ($($variant:ident $graph:literal $script:literal $doc:literal;)*) => {
        /// A field, settable unless marked read only. One enum serves all entities, as Graph's
        /// names do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Field {
            $(#[doc = $doc] #[serde(rename = $graph)] $variant,)*
        }

        impl Field {
            /// Returns Graph's name, the one in reports.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $graph,)* }
            }

            /// Returns the name that scripts use.
            #[must_use]
            pub const fn script_name(self) -> &'static str {
                match self { $(Self::$variant => $script,)* }
            }

            /// Returns every field.
            pub fn all() -> impl Iterator<Item = Self> {
                [$(Self::$variant,)*].into_iter()
            }

            /// Reads a name, Graph's or a script's.
            #[must_use]
            pub fn parse(name: &str) -> Option<Self> {
                match name {
                    $($graph => Some(Self::$variant),)*
                    "progress" => Some(Self::PercentComplete),
                    _ => Self::all().find(|field| field.script_name() == name),
                }
            }
        }
    };
}

fields! {
    Title "title" "title" "Title of a plan or a task.";
    Name "name" "name" "Name of a bucket.";
    OrderHint "orderHint" "order_hint" "The place of a bucket among its siblings.";
    CategoryDescriptions "categoryDescriptions" "label_names" "The names of a plan's labels.";
    SharedWith "sharedWith" "shared_with" "The people a plan is shared with.";
    BucketId "bucketId" "bucket" "The bucket of a task.";
    PercentComplete "percentComplete" "percent_complete" "Completion of a task, 0 to 100.";
    Priority "priority" "priority" "Priority of a task, 0 to 10.";
    StartDateTime "startDateTime" "start" "The moment a task begins.";
    DueDateTime "dueDateTime" "due" "The moment a task is due.";
    Assignments "assignments" "assignees" "The people who work on a task.";
    AppliedCategories "appliedCategories" "labels" "The labels of a task.";
    ConversationThreadId "conversationThreadId" "conversation_thread_id" "The thread of a task's comments.";
    Description "description" "description" "The description of a task (in its details).";
    PreviewType "previewType" "preview_type" "The detail that a task's card shows (in its details).";
    Checklist "checklist" "checklist" "The checklist of a task (in its details).";
    References "references" "references" "The references of a task (in its details).";
    PlanId "planId" "plan" "The plan of a task (beta).";
    Recurrence "recurrence" "recurrence" "The schedule of a recurring task (beta).";
    IsArchived "isArchived" "is_archived" "The archival state of a plan (beta).";
    Members "members" "members" "The members of a plan's roster (beta).";
    BucketBoard "bucketTaskBoardFormat" "bucket_board" "The place of a task in its bucket.";
    ProgressBoard "progressTaskBoardFormat" "progress_board" "The place of a task on the board of progress.";
    AssignedToBoard "assignedToTaskBoardFormat" "assigned_to_board" "The place of a task on the board of people.";
    Content "content" "text" "The text of a comment (beta).";
    Container "container" "group" "The group or roster that contains a plan (read only).";
    CreatedDateTime "createdDateTime" "created_at" "The moment an entity was created (read only).";
    CreatedBy "createdBy" "created_by" "The person who created an entity (read only).";
    CompletedDateTime "completedDateTime" "completed_at" "The moment a task was completed (read only).";
    CompletedBy "completedBy" "completed_by" "The person who completed a task (read only).";
    LastModifiedDateTime "lastModifiedDateTime" "last_modified_at" "The moment of a task's last change (read only, beta).";
    LastModifiedBy "lastModifiedBy" "last_modified_by" "The person who changed a task last (read only, beta).";
}

impl Field {
    /// The fields that are kept in the task's details.
    pub const IN_DETAILS: [Self; 4] =
        [Self::Description, Self::PreviewType, Self::Checklist, Self::References];

    /// Returns whether the field never changes as long as the entity exists.
    #[must_use]
    pub const fn is_fixed(self) -> bool {
        matches!(self, Self::Container | Self::CreatedDateTime | Self::CreatedBy)
    }

    /// Returns whether the field is kept in the task's details, under their own ETag.
    #[must_use]
    pub const fn is_in_details(self) -> bool {
        matches!(self, Self::Description | Self::PreviewType | Self::Checklist | Self::References)
    }
}

impl Field {
    /// Returns the board whose place the field is; `None` for any other field.
    #[must_use]
    pub const fn board(self) -> Option<Board> {
        match self {
            Self::BucketBoard => Some(Board::Bucket),
            Self::ProgressBoard => Some(Board::Progress),
            Self::AssignedToBoard => Some(Board::AssignedTo),
            _ => None,
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One field before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// The value as it was read; `null` where there was none.
    pub before: Value,
    /// The value to write.
    pub after: Value,
}

/// An entity as fields with values.
pub trait Fields {
    /// The fields it has, in the order to show them.
    const FIELDS: &'static [Field];

    /// Returns the value of one of them; maps are JSON objects, so that they can be compared
    /// key by key. `null` for a field that the entity does not have or that was not read.
    fn value(&self, field: Field) -> Value;

    /// Sets in this state everything in which `ours` differs from `base`; the rest stays.
    fn graft(&mut self, base: &Self, ours: &Self);

    /// Takes the values of some fields from another state.
    fn copy_fields(&mut self, from: &Self, fields: &[FieldConflict]);

    /// Returns whether the positions that this state sets inside of fields, against `base`, lie in
    /// `theirs` where they were wanted.
    fn holds_places(&self, _base: &Self, _theirs: &Self) -> bool {
        true
    }

    /// Returns the fields in which `after` differs from this state.
    fn differing(&self, after: &Self) -> Vec<Field> {
        Self::FIELDS
            .iter()
            .copied()
            .filter(|&field| self.value(field) != after.value(field))
            .collect()
    }
}

fn graft_value<T: PartialEq + Clone>(theirs: &mut T, base: &T, ours: &T) {
    if base != ours {
        theirs.clone_from(ours);
    }
}

fn graft_map<K: Ord + Clone, V: PartialEq + Clone>(
    theirs: &mut BTreeMap<K, V>,
    base: &BTreeMap<K, V>,
    ours: &BTreeMap<K, V>,
) {
    for key in base.keys().chain(ours.keys()).filter(|key| base.get(key) != ours.get(key)) {
        match ours.get(key) {
            Some(value) => theirs.insert(key.clone(), value.clone()),
            None => theirs.remove(key),
        };
    }
}

fn graft_set<T: Ord + Clone>(theirs: &mut BTreeSet<T>, base: &BTreeSet<T>, ours: &BTreeSet<T>) {
    // Only the members that `ours` adds or removes: those that somebody else added stay.
    theirs.extend(ours.difference(base).cloned());
    theirs.retain(|item| !base.contains(item) || ours.contains(item));
}

impl Fields for Plan {
    fn copy_fields(&mut self, from: &Self, fields: &[FieldConflict]) {
        for conflict in fields {
            match conflict.field {
                Field::Title => self.title.clone_from(&from.title),
                Field::IsArchived => self.archival.clone_from(&from.archival),
                Field::Members => self.new_members.clone_from(&from.new_members),
                _ => {}
            }
        }
    }

    const FIELDS: &'static [Field] = &[Field::Title, Field::IsArchived, Field::Members];

    fn graft(&mut self, base: &Self, ours: &Self) {
        graft_value(&mut self.title, &base.title, &ours.title);
        graft_value(&mut self.archival, &base.archival, &ours.archival);
        graft_set(&mut self.new_members, &base.new_members, &ours.new_members);
    }

    fn value(&self, field: Field) -> Value {
        match field {
            Field::Title => json!(self.title),
            Field::IsArchived => json!(self.archival.is_archived),
            Field::Members => flags(self.new_members.iter().map(ToString::to_string)),
            Field::Container => json!([self.group, self.roster]),
            Field::CreatedDateTime => json!(self.created_at),
            Field::CreatedBy => json!(self.created_by),
            _ => Value::Null,
        }
    }
}

impl Fields for PlanDetails {
    fn copy_fields(&mut self, from: &Self, fields: &[FieldConflict]) {
        for conflict in fields {
            match conflict.field {
                Field::CategoryDescriptions => self.labels.clone_from(&from.labels),
                Field::SharedWith => self.shared_with.clone_from(&from.shared_with),
                _ => {}
            }
        }
    }

    const FIELDS: &'static [Field] = &[Field::CategoryDescriptions, Field::SharedWith];

    fn graft(&mut self, base: &Self, ours: &Self) {
        graft_map(&mut self.labels, &base.labels, &ours.labels);
        graft_set(&mut self.shared_with, &base.shared_with, &ours.shared_with);
    }

    fn value(&self, field: Field) -> Value {
        match field {
            Field::CategoryDescriptions => {
                let names = self.labels.iter();
                names
                    .map(|(label, name)| (label.to_string(), json!(name)))
                    .collect::<Map<_, _>>()
                    .into()
            }
            Field::SharedWith => flags(self.shared_with.iter().map(ToString::to_string)),
            _ => Value::Null,
        }
    }
}

impl Fields for Bucket {
    fn copy_fields(&mut self, from: &Self, fields: &[FieldConflict]) {
        for conflict in fields {
            match conflict.field {
                Field::Name => self.name.clone_from(&from.name),
                Field::OrderHint => self.order_hint.clone_from(&from.order_hint),
                _ => {}
            }
        }
    }

    const FIELDS: &'static [Field] = &[Field::Name, Field::OrderHint];

    fn graft(&mut self, base: &Self, ours: &Self) {
        graft_value(&mut self.name, &base.name, &ours.name);
        graft_value(&mut self.order_hint, &base.order_hint, &ours.order_hint);
    }

    fn value(&self, field: Field) -> Value {
        match field {
            Field::Name => json!(self.name),
            Field::OrderHint => json!(self.order_hint),
            _ => Value::Null,
        }
    }
}

impl Fields for NewComment {
    fn copy_fields(&mut self, _from: &Self, _fields: &[FieldConflict]) {}

    const FIELDS: &'static [Field] = &[Field::Content];

    fn graft(&mut self, _base: &Self, _ours: &Self) {}

    fn value(&self, field: Field) -> Value {
        match field {
            Field::Content => json!(self.text),
            _ => Value::Null,
        }
    }
}

impl Fields for TaskState {
    fn holds_places(&self, base: &Self, theirs: &Self) -> bool {
        let items = |of: &Self| of.details.as_ref().map(|details| details.checklist.clone());
        let (Some(ours), base, Some(theirs)) =
            (items(self), items(base).unwrap_or_default(), items(theirs))
        else {
            return true;
        };
        ours.iter().filter(|(_, item)| is_wanted(&item.order_hint)).all(|(key, item)| {
            let before = base.get(key).map(|item| item.order_hint.as_str());
            let now = theirs.get(key).map(|item| item.order_hint.as_str());
            // A new item is known by its key, wherever it stands by now.
            before.is_none()
                || now.is_some_and(|now| before != Some(now) && lies_in(now, &item.order_hint))
        })
    }

    fn copy_fields(&mut self, from: &Self, fields: &[FieldConflict]) {
        for conflict in fields {
            self.copy_field(from, conflict.field);
        }
    }

    const FIELDS: &'static [Field] = &[
        Field::Title,
        Field::PlanId,
        Field::BucketId,
        Field::PercentComplete,
        Field::Priority,
        Field::StartDateTime,
        Field::DueDateTime,
        Field::Assignments,
        Field::AppliedCategories,
        Field::ConversationThreadId,
        Field::Recurrence,
        Field::Description,
        Field::PreviewType,
        Field::Checklist,
        Field::References,
        Field::BucketBoard,
        Field::ProgressBoard,
        Field::AssignedToBoard,
    ];

    fn graft(&mut self, base: &Self, ours: &Self) {
        let (task, from, to) = (&mut self.task, &base.task, &ours.task);
        graft_value(&mut task.title, &from.title, &to.title);
        graft_value(&mut task.plan, &from.plan, &to.plan);
        graft_value(&mut task.bucket, &from.bucket, &to.bucket);
        if from.recurrence() != to.recurrence() {
            task.beta.get_or_insert_default().recurrence = to.recurrence().cloned();
        }
        graft_value(&mut task.percent_complete, &from.percent_complete, &to.percent_complete);
        graft_value(&mut task.priority, &from.priority, &to.priority);
        graft_value(&mut task.start, &from.start, &to.start);
        graft_value(&mut task.due, &from.due, &to.due);
        graft_map(&mut task.assignments, &from.assignments, &to.assignments);
        graft_set(&mut task.categories, &from.categories, &to.categories);
        let (thread, from, to) =
            (&mut task.conversation_thread, &from.conversation_thread, &to.conversation_thread);
        graft_value(thread, from, to);
        if let (Some(details), Some(from), Some(to)) =
            (&mut self.details, &base.details, &ours.details)
        {
            graft_value(&mut details.description, &from.description, &to.description);
            graft_value(&mut details.preview_type, &from.preview_type, &to.preview_type);
            graft_map(&mut details.checklist, &from.checklist, &to.checklist);
            graft_map(&mut details.references, &from.references, &to.references);
        }
        for (board, to) in &ours.places {
            let from = base.places.get(board).cloned().unwrap_or_default();
            graft_place(self.places.entry(*board).or_default(), &from, to);
        }
    }

    fn value(&self, field: Field) -> Value {
        if let Some(board) = field.board() {
            return self.places.get(&board).map_or(Value::Null, |place| hints(board, place));
        }
        if field.is_in_details() {
            return self
                .details
                .as_ref()
                .map_or(Value::Null, |details| details_value(details, field));
        }
        task_value(&self.task, field)
    }
}

/// Returns the value of a field of a task itself; `null` for any other.
pub(crate) fn task_value(task: &Task, field: Field) -> Value {
    let beta = task.beta.as_deref();
    match field {
        Field::PlanId => json!(task.plan),
        Field::Recurrence => task.recurrence().map_or(
            Value::Null,
            |recurrence| json!({ "pattern": recurrence.pattern, "patternStartDateTime": recurrence.start }),
        ),
        Field::Title => json!(task.title),
        Field::BucketId => json!(task.bucket),
        Field::PercentComplete => json!(task.percent_complete),
        Field::Priority => json!(task.priority.level()),
        Field::StartDateTime => json!(task.start),
        Field::DueDateTime => json!(task.due),
        Field::Assignments => flags(task.assignments.keys().map(ToString::to_string)),
        Field::AppliedCategories => flags(task.categories.iter().map(ToString::to_string)),
        Field::ConversationThreadId => json!(task.conversation_thread),
        Field::CreatedDateTime => json!(task.created_at),
        Field::CreatedBy => json!(task.created_by),
        Field::CompletedDateTime => json!(task.completed_at),
        Field::CompletedBy => json!(task.completed_by),
        Field::LastModifiedDateTime => json!(beta.and_then(|beta| beta.last_modified_at)),
        Field::LastModifiedBy => json!(beta.and_then(|beta| beta.last_modified_by.as_ref())),
        Field::IsArchived => json!(beta.is_some_and(|beta| beta.is_archived)),
        _ => Value::Null,
    }
}

/// Returns the value of a field of the details of a task; `null` for any other.
pub(crate) fn details_value(details: &TaskDetails, field: Field) -> Value {
    match field {
        Field::Description => json!(details.description),
        Field::PreviewType => json!(details.preview_type),
        // In the order in which people see the items: keys are random.
        Field::Checklist => details
            .checklist_order()
            .into_iter()
            .filter_map(|key| details.checklist.get_key_value(&key))
            .map(|(key, item)| {
                let mut value = json!({ "title": item.title, "isChecked": item.checked });
                // Final hints are left out: the service rewrites them, and a rewritten hint is no
                // change.
                if is_wanted(&item.order_hint) {
                    value["orderHint"] = json!(item.order_hint);
                }
                (key.clone(), value)
            })
            .collect::<Map<_, _>>()
            .into(),
        Field::References => details
            .references
            .iter()
            .map(|(key, link)| (key.clone(), json!({ "alias": link.alias, "type": link.kind })))
            .collect::<Map<_, _>>()
            .into(),
        _ => Value::Null,
    }
}

impl TaskState {
    fn copy_field(&mut self, from: &Self, field: Field) {
        let (task, other) = (&mut self.task, &from.task);
        match field {
            Field::Title => task.title.clone_from(&other.title),
            Field::PlanId => task.plan.clone_from(&other.plan),
            Field::BucketId => task.bucket.clone_from(&other.bucket),
            Field::PercentComplete => task.percent_complete = other.percent_complete,
            Field::Priority => task.priority = other.priority,
            Field::StartDateTime => task.start = other.start,
            Field::DueDateTime => task.due = other.due,
            Field::Assignments => task.assignments.clone_from(&other.assignments),
            Field::AppliedCategories => task.categories.clone_from(&other.categories),
            Field::ConversationThreadId => {
                task.conversation_thread.clone_from(&other.conversation_thread);
            }
            Field::Recurrence => task.beta.clone_from(&other.beta),
            _ => {}
        }
        if let (Some(details), Some(other)) = (&mut self.details, &from.details) {
            match field {
                Field::Description => details.description.clone_from(&other.description),
                Field::PreviewType => details.preview_type.clone_from(&other.preview_type),
                Field::Checklist => details.checklist.clone_from(&other.checklist),
                Field::References => details.references.clone_from(&other.references),
                _ => {}
            }
        }
        if let Some(board) = field.board()
            && let Some(place) = from.places.get(&board)
        {
            self.places.insert(board, place.clone());
        }
    }
}

/// The place of a task on one board, as an entity of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The board.
    pub board: Board,
    /// The place.
    pub place: BoardPlace,
}

impl Fields for Placed {
    fn copy_fields(&mut self, from: &Self, fields: &[FieldConflict]) {
        if fields.iter().any(|conflict| conflict.field.board() == Some(self.board)) {
            self.place.clone_from(&from.place);
        }
    }

    const FIELDS: &'static [Field] =
        &[Field::BucketBoard, Field::ProgressBoard, Field::AssignedToBoard];

    fn graft(&mut self, base: &Self, ours: &Self) {
        graft_place(&mut self.place, &base.place, &ours.place);
    }

    fn value(&self, field: Field) -> Value {
        if field.board() == Some(self.board) { hints(self.board, &self.place) } else { Value::Null }
    }
}

fn graft_place(theirs: &mut BoardPlace, base: &BoardPlace, ours: &BoardPlace) {
    graft_value(&mut theirs.hint, &base.hint, &ours.hint);
    graft_map(&mut theirs.by_user, &base.by_user, &ours.by_user);
}

/// Returns a place as an object of hints, by the names of the columns.
pub(crate) fn hints(board: Board, place: &BoardPlace) -> Value {
    let mut hints = Map::new();
    if !place.hint.is_empty() {
        hints.insert(board.hint_name().to_owned(), json!(place.hint));
    }
    let people = place.by_user.iter();
    hints.extend(people.map(|(user, hint)| (user.to_string(), json!(hint))));
    Value::Object(hints)
}

fn flags(keys: impl Iterator<Item = String>) -> Value {
    keys.map(|key| (key, Value::Bool(true))).collect::<Map<_, _>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_known_by_both_its_names() {
        assert_eq!(Field::parse("due"), Some(Field::DueDateTime));
        assert_eq!(Field::parse("dueDateTime"), Some(Field::DueDateTime));
        assert_eq!(Field::parse("progress"), Some(Field::PercentComplete));
        assert_eq!(Field::parse("percent_complete"), Some(Field::PercentComplete));
        assert_eq!(Field::parse("duedatetime"), None);
    }
}
