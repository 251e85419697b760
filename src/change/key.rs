//! Keys: the fields that programs read, each with its type and the way to its value, so that no
//! value can be had without the read that it counts as.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::change::field::Field;
use crate::model::{
    Bucket, BucketId, Category, ChecklistItem, GroupId, Plan, PlanDetails, PlanId, Priority,
    Progress, Recurrence, Reference, Task, TaskDetails, UserId,
};

/// A field with the way to its value.
#[derive(Debug, Clone, Copy)]
pub struct Key<F> {
    /// The field that counts as read.
    pub field: Field,
    /// The function that returns its value.
    pub get: F,
}

/// A field of a task; the details are those of the task where the field is in them.
pub type TaskKey<T> = Key<fn(&Task, &TaskDetails) -> T>;
/// A field of a plan.
pub type PlanKey<T> = Key<fn(&Plan) -> T>;
/// A field of the details of a plan.
pub type PlanDetailsKey<T> = Key<fn(&PlanDetails) -> T>;
/// A field of a bucket.
pub type BucketKey<T> = Key<fn(&Bucket) -> T>;

macro_rules! keys {
    ($doc:literal, $fields:ident, $key:ident { $($name:ident: $type:ty = $field:ident, $get:expr;)* }) => {
        #[doc = $doc]
        #[derive(Debug, Clone, Copy)]
        pub enum $fields {}

        impl $fields {
            $(
                #[doc = concat!("`", stringify!($field), "`.")]
                pub const $name: $key<$type> = Key { field: Field::$field, get: $get };
            )*
        }
    };
}

keys!("Fields of a task.", TaskField, TaskKey {
    TITLE: String = Title, |task: &Task, _: &TaskDetails| task.title.clone();
    PLAN: PlanId = PlanId, |task: &Task, _: &TaskDetails| task.plan.clone();
    BUCKET: Option<BucketId> = BucketId, |task: &Task, _: &TaskDetails| task.bucket.clone();
    PERCENT: u8 = PercentComplete, |task: &Task, _: &TaskDetails| task.percent_complete;
    PROGRESS: Progress = PercentComplete, |task: &Task, _: &TaskDetails| task.progress();
    PRIORITY: Priority = Priority, |task: &Task, _: &TaskDetails| task.priority;
    START: Option<Timestamp> = StartDateTime, |task: &Task, _: &TaskDetails| task.start;
    DUE: Option<Timestamp> = DueDateTime, |task: &Task, _: &TaskDetails| task.due;
    ASSIGNEES: Vec<UserId> = Assignments, |task: &Task, _: &TaskDetails| task.assignments.keys().cloned().collect();
    CATEGORIES: BTreeSet<Category> = AppliedCategories, |task: &Task, _: &TaskDetails| task.categories.clone();
    THREAD: Option<String> = ConversationThreadId, |task: &Task, _: &TaskDetails| task.conversation_thread.clone();
    CREATED_AT: Option<Timestamp> = CreatedDateTime, |task: &Task, _: &TaskDetails| task.created_at;
    CREATED_BY: Option<UserId> = CreatedBy, |task: &Task, _: &TaskDetails| task.created_by.clone();
    COMPLETED_AT: Option<Timestamp> = CompletedDateTime, |task: &Task, _: &TaskDetails| task.completed_at;
    COMPLETED_BY: Option<UserId> = CompletedBy, |task: &Task, _: &TaskDetails| task.completed_by.clone();
    MODIFIED_AT: Option<Timestamp> = LastModifiedDateTime, |task: &Task, _: &TaskDetails| task.beta.as_ref().and_then(|beta| beta.last_modified_at);
    MODIFIED_BY: Option<UserId> = LastModifiedBy, |task: &Task, _: &TaskDetails| task.beta.as_ref().and_then(|beta| beta.last_modified_by.clone());
    IS_ARCHIVED: bool = IsArchived, |task: &Task, _: &TaskDetails| task.beta.as_ref().is_some_and(|beta| beta.is_archived);
    RECURRENCE: Option<Recurrence> = Recurrence, |task: &Task, _: &TaskDetails| task.recurrence().cloned();
    DESCRIPTION: String = Description, |_: &Task, details: &TaskDetails| details.description.clone();
    PREVIEW_TYPE: String = PreviewType, |_: &Task, details: &TaskDetails| details.preview_type.clone();
    CHECKLIST_ORDER: Vec<String> = Checklist, |_: &Task, details: &TaskDetails| details.checklist_order();
    CHECKLIST: BTreeMap<String, ChecklistItem> = Checklist, |_: &Task, details: &TaskDetails| details.checklist.clone();
    REFERENCES: BTreeMap<String, Reference> = References, |_: &Task, details: &TaskDetails| details.references.clone();
});

keys!("Fields of a plan.", PlanField, PlanKey {
    TITLE: String = Title, |plan: &Plan| plan.title.clone();
    GROUP: Option<GroupId> = Container, |plan: &Plan| plan.group.clone();
    CREATED_AT: Option<Timestamp> = CreatedDateTime, |plan: &Plan| plan.created_at;
    CREATED_BY: Option<UserId> = CreatedBy, |plan: &Plan| plan.created_by.clone();
    IS_ARCHIVED: bool = IsArchived, |plan: &Plan| plan.archival.is_archived;
});

keys!("Fields of the details of a plan.", PlanDetailsField, PlanDetailsKey {
    LABELS: BTreeMap<Category, String> = CategoryDescriptions, |details: &PlanDetails| details.labels.clone();
});

keys!("Fields of a bucket.", BucketField, BucketKey {
    NAME: String = Name, |bucket: &Bucket| bucket.name.clone();
    PLAN: PlanId = PlanId, |bucket: &Bucket| bucket.plan.clone();
    ORDER_HINT: String = OrderHint, |bucket: &Bucket| bucket.order_hint.clone();
});
