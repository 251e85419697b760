//! The properties of each kind and who may write them: the tables of planner-api.md 1.
//!
//! Only data, so that it can be compared with the tables: `patch` reads the values by these rules,
//! and `open_type` merges the open types.

use serde_json::{Map, Value};

use crate::emulator::body::notes;
use crate::emulator::state::object::ObjectKind;
use Rule::{
    Boolean, Description, Entries, Flags, Hint, Hints, Labels, OptionalText, Preview, ReadOnly,
    Text,
};

/// A property of an entity, or a member of an entry in an open type.
#[derive(Debug)]
pub(crate) struct Property {
    pub(crate) name: &'static str,
    pub(crate) rule: Rule,
}

/// The values that a property accepts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rule {
    /// Computed by the service; accepted only when equal to the present value
    /// (planner-api.md 5.6).
    ReadOnly,
    /// A string that is neither null nor empty.
    Text,
    /// A string or null.
    OptionalText,
    /// A string; null means the empty one.
    Description,
    Boolean,
    /// A whole number; null means the default, if there is one.
    Whole {
        min: i64,
        max: i64,
        default: Option<i64>,
    },
    /// A moment with its offset, or null.
    Moment,
    /// The id of a bucket of the same plan, or null.
    Bucket,
    /// A position, resolved on write.
    Hint,
    /// `plannerPreviewType`.
    Preview,
    /// An open type of booleans, where `false` removes.
    Flags(Keys),
    /// An open type of hints, from which a client cannot remove.
    Hints,
    /// `plannerCategoryDescriptions`.
    Labels,
    /// An open type of objects, where null removes.
    Entries(&'static EntryType),
}

/// The form of the keys of an open type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keys {
    /// GUIDs; `me` stands for the caller.
    User,
    /// `category1` to `category25`.
    Category,
    /// Anything.
    Any,
    /// URLs with five characters encoded (planner-api.md 5.4).
    Url,
}

/// A type of objects inside an open type.
#[derive(Debug)]
pub(crate) struct EntryType {
    /// `@odata.type` without `#microsoft.graph.`; every value must name it
    /// (planner-api.md 5.1).
    pub(crate) name: &'static str,
    pub(crate) keys: Keys,
    pub(crate) members: &'static [Property],
    /// The member that a new entry must have.
    pub(crate) required: Option<&'static str>,
    /// True if each change is signed with `lastModifiedBy` and `lastModifiedDateTime`.
    pub(crate) signed: bool,
}

const fn property(name: &'static str, rule: Rule) -> Property {
    Property { name, rule }
}

/// planner-api.md 1.8.
static ASSIGNMENT: EntryType = EntryType {
    name: "plannerAssignment",
    keys: Keys::User,
    members: &[
        property("orderHint", Hint),
        property("assignedBy", ReadOnly),
        property("assignedDateTime", ReadOnly),
    ],
    required: None,
    signed: false,
};

/// planner-api.md 1.10.
static CHECKLIST_ITEM: EntryType = EntryType {
    name: "plannerChecklistItem",
    keys: Keys::Any,
    members: &[
        property("title", Text),
        property("isChecked", Boolean),
        property("orderHint", Hint),
        property("lastModifiedBy", ReadOnly),
        property("lastModifiedDateTime", ReadOnly),
    ],
    required: Some("title"),
    signed: true,
};

/// planner-api.md 1.11.
static REFERENCE: EntryType = EntryType {
    name: "plannerExternalReference",
    keys: Keys::Url,
    members: &[
        property("alias", OptionalText),
        property("type", OptionalText),
        property("previewPriority", Hint),
        property("lastModifiedBy", ReadOnly),
        property("lastModifiedDateTime", ReadOnly),
    ],
    required: None,
    signed: true,
};

/// planner-api.md 1.3.
static PLAN: &[Property] = &[
    property("id", ReadOnly),
    property("title", Text),
    property("container", ReadOnly),
    property("owner", ReadOnly),
    property("createdBy", ReadOnly),
    property("createdDateTime", ReadOnly),
];

/// planner-api.md 1.4.
static PLAN_DETAILS: &[Property] = &[
    property("id", ReadOnly),
    property("sharedWith", Flags(Keys::User)),
    property("categoryDescriptions", Labels),
];

/// planner-api.md 1.5.
static BUCKET: &[Property] = &[
    property("id", ReadOnly),
    property("name", Text),
    property("planId", ReadOnly),
    property("orderHint", Hint),
];

/// planner-api.md 1.6.
static TASK: &[Property] = &[
    property("id", ReadOnly),
    property("planId", ReadOnly),
    property("bucketId", Rule::Bucket),
    property("title", Text),
    property("orderHint", Hint),
    property("assigneePriority", Hint),
    property("percentComplete", Rule::Whole { min: 0, max: 100, default: None }),
    property("priority", Rule::Whole { min: 0, max: 10, default: Some(5) }),
    property("startDateTime", Rule::Moment),
    property("dueDateTime", Rule::Moment),
    property("createdDateTime", ReadOnly),
    property("createdBy", ReadOnly),
    property("completedDateTime", ReadOnly),
    property("completedBy", ReadOnly),
    property("hasDescription", ReadOnly),
    property("previewType", ReadOnly),
    property("referenceCount", ReadOnly),
    property("checklistItemCount", ReadOnly),
    property("activeChecklistItemCount", ReadOnly),
    property("conversationThreadId", OptionalText),
    property("appliedCategories", Flags(Keys::Category)),
    property("assignments", Entries(&ASSIGNMENT)),
];

/// planner-api.md 1.7.
static TASK_DETAILS: &[Property] = &[
    property("id", ReadOnly),
    property("description", Description),
    property("previewType", Preview),
    property("checklist", Entries(&CHECKLIST_ITEM)),
    property("references", Entries(&REFERENCE)),
];

/// planner-api.md 1.12.
static ASSIGNED_BOARD: &[Property] = &[
    property("id", ReadOnly),
    property("unassignedOrderHint", Hint),
    property("orderHintsByAssignee", Hints),
];

/// planner-api.md 1.12.
static BOARD: &[Property] = &[property("id", ReadOnly), property("orderHint", Hint)];

/// Returns the properties of a kind.
pub(crate) fn properties(kind: ObjectKind) -> &'static [Property] {
    match kind {
        ObjectKind::Plan => PLAN,
        ObjectKind::PlanDetails => PLAN_DETAILS,
        ObjectKind::Bucket => BUCKET,
        ObjectKind::Task => TASK,
        ObjectKind::TaskDetails => TASK_DETAILS,
        ObjectKind::AssignedBoard => ASSIGNED_BOARD,
        ObjectKind::BucketBoard | ObjectKind::ProgressBoard => BOARD,
    }
}

/// Returns the properties that the beta adds, each with its value where nothing is stored
/// (planner-api.md 1.13). An unchanged task was last modified by its creation.
fn additions(kind: ObjectKind, doc: &Map<String, Value>) -> Vec<(&'static str, Value)> {
    let archive = [("archivalInfo", Value::Null), ("isArchived", false.into())];
    let of = |name: &str| doc.get(name).cloned().unwrap_or_default();
    match kind {
        ObjectKind::Plan | ObjectKind::Bucket => archive.to_vec(),
        ObjectKind::Task => [
            ("hasChat", false.into()),
            ("lastModifiedBy", of("createdBy")),
            ("lastModifiedDateTime", of("createdDateTime")),
            ("recurrence", Value::Null),
            ("specifiedCompletionRequirements", "none".into()),
        ]
        .into_iter()
        .chain(archive)
        .collect(),
        ObjectKind::TaskDetails => vec![("notes", notes::plain(doc))],
        _ => Vec::new(),
    }
}

/// Returns a document as a version of the API shows it.
pub(crate) fn shown(kind: ObjectKind, doc: &Map<String, Value>, beta: bool) -> Map<String, Value> {
    let mut out = doc.clone();
    for (name, default) in additions(kind, doc) {
        if beta {
            out.entry(name).or_insert(default);
        } else {
            out.shift_remove(name);
        }
    }
    out
}

/// Finds a property by its exact name.
pub(crate) fn find(properties: &'static [Property], name: &str) -> Option<&'static Property> {
    properties.iter().find(|property| property.name == name)
}

/// Returns whether a member of a body is an annotation, which carries no value of its own.
pub(crate) fn is_annotation(name: &str) -> bool {
    name.contains("@odata.")
}
