//! The decoding of Graph's JSON into the model (planner-api.md 1).

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::model::recurrence::Pattern;
use crate::model::{
    Archival, BoardPlace, Bucket, Category, ChecklistItem, Comment, CommentId, ETag, Group,
    GroupId, InvalidId, Plan, PlanDetails, PlanId, Priority, Recurrence, Reference, RosterId, Task,
    TaskBeta, TaskDetails, User, UserId, Versioned,
};
use crate::wire::json::Json;
use crate::wire::json::{Members, text};
use crate::wire::page::MAX_LINK;

/// The reason why an answer could not be decoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// It does not have the shape that the protocol promises.
    #[error("the answer does not have the form that Graph documents")]
    Shape(#[from] serde_json::Error),
    /// An id in it is not valid.
    #[error("the answer has an invalid id")]
    Id(#[from] InvalidId),
    /// An entity came without its tag.
    #[error("the answer has no `@odata.etag`")]
    NoETag,
    /// The address of a page is longer than any that Graph gives.
    #[error("a list continues at an address of more than {MAX_LINK} bytes")]
    LongLink,
    /// A group or user, but not one that matters here.
    #[error("an object of another kind")]
    OtherKind,
}

/// A value that can be decoded from an answer.
pub trait Decoded: Sized {
    /// Decodes one object from its JSON.
    ///
    /// # Errors
    /// The object lacks what it must have.
    fn decode(json: &str) -> Result<Self, DecodeError>;

    /// Returns its id, if it has one.
    fn id(&self) -> Option<String> {
        None
    }
}

/// An identity set: a user, or an application that acted as itself (planner-api.md 1.14, 11).
#[derive(Deserialize)]
struct IdentitySet {
    user: Option<Identity>,
    application: Option<Identity>,
}

#[derive(Deserialize)]
struct Identity {
    id: Option<String>,
}

/// Returns who acted. An application without a user goes by its client id, as it does where it is
/// the actor of a run.
fn user_of(set: Option<IdentitySet>) -> Option<UserId> {
    let set = set?;
    let id = set.user.and_then(|user| user.id).or_else(|| set.application?.id)?;
    UserId::parse(&id).ok()
}

fn tag(text: Option<String>) -> Result<ETag, DecodeError> {
    text.filter(|tag| !tag.is_empty()).map(ETag::new).ok_or(DecodeError::NoETag)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PlanJson {
    #[serde(rename = "@odata.etag")]
    etag: Option<String>,
    id: String,
    title: String,
    owner: Option<String>,
    container: Option<ContainerJson>,
    is_archived: Option<bool>,
    archival_info: Option<ArchivalJson>,
    created_date_time: Option<Timestamp>,
    created_by: Option<IdentitySet>,
}

#[derive(Deserialize)]
struct ArchivalJson {
    justification: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContainerJson {
    container_id: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

impl Decoded for Versioned<Plan> {
    fn decode(json: &str) -> Result<Self, DecodeError> {
        let json: PlanJson = serde_json::from_str(json)?;
        let (group, roster) = match json.container {
            Some(ContainerJson { container_id, kind: Some(kind) }) => match kind.as_str() {
                "group" => (container_id, None),
                "roster" => (None, container_id),
                _ => (None, None),
            },
            // `owner` is deprecated, and not a group's id if the container is something else
            // (planner-api.md 1.3).
            Some(_) => (None, None),
            None => (json.owner, None),
        };
        let justification = json.archival_info.and_then(|archival| archival.justification);
        let plan = Plan {
            id: PlanId::parse(&json.id)?,
            title: json.title,
            group: group.and_then(|id| GroupId::parse(&id).ok()),
            created_at: json.created_date_time,
            created_by: user_of(json.created_by),
            roster: roster.and_then(|id| RosterId::parse(&id).ok()),
            new_members: BTreeSet::new(),
            archival: Archival {
                is_archived: json.is_archived.unwrap_or(false),
                justification: justification.unwrap_or_default(),
            },
        };
        Ok(Self::new(plan, tag(json.etag)?))
    }

    fn id(&self) -> Option<String> {
        Some(self.value.id.to_string())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PlanDetailsJson<'a> {
    #[serde(rename = "@odata.etag")]
    etag: Option<String>,
    #[serde(default, borrow)]
    shared_with: Members<'a>,
    #[serde(default, borrow)]
    category_descriptions: Members<'a>,
}

impl Decoded for Versioned<PlanDetails> {
    fn decode(json: &str) -> Result<Self, DecodeError> {
        let json: PlanDetailsJson<'_> = serde_json::from_str(json)?;
        let labels = json
            .category_descriptions
            .0
            .into_iter()
            .filter_map(|(key, name)| {
                Some((Category::parse(&key)?, text(name).filter(|name| !name.is_empty())?))
            })
            .collect();
        let shared_with = json
            .shared_with
            .0
            .into_iter()
            .filter(|(_, shared)| shared.get() == "true")
            .filter_map(|(id, _)| UserId::parse(&id).ok())
            .collect();
        Ok(Self::new(PlanDetails { labels, shared_with }, tag(json.etag)?))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BucketJson {
    #[serde(rename = "@odata.etag")]
    etag: Option<String>,
    id: String,
    plan_id: String,
    name: String,
    #[serde(default)]
    order_hint: Option<String>,
}

impl Decoded for Versioned<Bucket> {
    fn decode(json: &str) -> Result<Self, DecodeError> {
        let json: BucketJson = serde_json::from_str(json)?;
        let bucket = Bucket {
            id: json.id.parse()?,
            plan: json.plan_id.parse()?,
            name: json.name,
            order_hint: json.order_hint.unwrap_or_default(),
        };
        Ok(Self::new(bucket, tag(json.etag)?))
    }

    fn id(&self) -> Option<String> {
        Some(self.value.id.to_string())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TaskJson<'a> {
    #[serde(rename = "@odata.etag")]
    etag: Option<String>,
    id: String,
    plan_id: String,
    bucket_id: Option<String>,
    title: String,
    order_hint: Option<String>,
    percent_complete: Option<i64>,
    priority: Option<i64>,
    start_date_time: Option<Timestamp>,
    due_date_time: Option<Timestamp>,
    created_date_time: Option<Timestamp>,
    created_by: Option<IdentitySet>,
    completed_date_time: Option<Timestamp>,
    completed_by: Option<IdentitySet>,
    has_description: Option<bool>,
    preview_type: Option<String>,
    checklist_item_count: Option<u32>,
    reference_count: Option<u32>,
    conversation_thread_id: Option<String>,
    #[serde(borrow)]
    applied_categories: Option<Members<'a>>,
    #[serde(borrow)]
    assignments: Option<Members<'a>>,
    last_modified_date_time: Option<Timestamp>,
    last_modified_by: Option<IdentitySet>,
    is_archived: Option<bool>,
    #[serde(borrow)]
    recurrence: Option<RecurrenceJson<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AssignmentJson {
    order_hint: Option<String>,
}

#[derive(Deserialize)]
struct RecurrenceJson<'a> {
    #[serde(borrow)]
    schedule: Option<ScheduleJson<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScheduleJson<'a> {
    #[serde(borrow)]
    pattern: &'a RawValue,
    pattern_start_date_time: Option<Timestamp>,
    next_occurrence_date_time: Option<Timestamp>,
}

/// Decodes a recurrence; `None` for one of an unknown kind, which is no reason to refuse the task.
fn recurrence(json: Option<RecurrenceJson<'_>>) -> Option<Recurrence> {
    let schedule = json?.schedule?;
    Some(Recurrence {
        pattern: serde_json::from_str::<Pattern>(schedule.pattern.get()).ok()?,
        start: schedule.pattern_start_date_time?,
        next: schedule.next_occurrence_date_time,
    })
}

impl TaskJson<'_> {
    /// Returns the properties that v1.0 does not have.
    fn beta(&mut self) -> Option<Box<TaskBeta>> {
        let there = self.is_archived.is_some() || self.last_modified_date_time.is_some();
        there.then(|| {
            Box::new(TaskBeta {
                last_modified_at: self.last_modified_date_time,
                last_modified_by: user_of(self.last_modified_by.take()),
                is_archived: self.is_archived.unwrap_or(false),
                recurrence: recurrence(self.recurrence.take()),
            })
        })
    }
}

impl Decoded for Versioned<Task> {
    fn decode(json: &str) -> Result<Self, DecodeError> {
        let mut json: TaskJson<'_> = serde_json::from_str(json)?;
        let beta = json.beta();
        // A single value out of range must not fail a whole list.
        let percent = json.percent_complete.unwrap_or(0).clamp(0, 100);
        let priority = u8::try_from(json.priority.unwrap_or(5)).ok().and_then(Priority::new);
        let categories: BTreeSet<Category> = json
            .applied_categories
            .unwrap_or_default()
            .0
            .into_iter()
            .filter(|(_, applied)| applied.get() == "true")
            .filter_map(|(key, _)| Category::parse(&key))
            .collect();
        let mut assignments = BTreeMap::new();
        // An assignee who is lost here would later be taken for unassigned, so a bad id is an
        // error.
        for (id, assignment) in json.assignments.unwrap_or_default().0 {
            if assignment.get() != "null" {
                let hint = serde_json::from_str::<AssignmentJson>(assignment.get()).ok();
                let hint = hint.and_then(|assignment| assignment.order_hint).unwrap_or_default();
                assignments.insert(UserId::parse(&id)?, hint);
            }
        }
        let task = Task {
            id: json.id.parse()?,
            plan: json.plan_id.parse()?,
            bucket: json.bucket_id.as_deref().map(str::parse).transpose()?,
            title: json.title,
            percent_complete: u8::try_from(percent).unwrap_or(100),
            priority: priority.unwrap_or(Priority::DEFAULT),
            start: json.start_date_time,
            due: json.due_date_time,
            created_at: json.created_date_time,
            created_by: user_of(json.created_by),
            completed_at: json.completed_date_time,
            completed_by: user_of(json.completed_by),
            assignments,
            categories,
            conversation_thread: json.conversation_thread_id,
            has_description: json.has_description.unwrap_or(false),
            checklist_count: json.checklist_item_count.unwrap_or(0),
            reference_count: json.reference_count.unwrap_or(0),
            has_preview: json.preview_type.is_some_and(|preview| preview != TaskDetails::AUTOMATIC),
            order_hint: json.order_hint.unwrap_or_default(),
            beta,
        };
        Ok(Self::new(task, tag(json.etag)?))
    }

    fn id(&self) -> Option<String> {
        Some(self.value.id.to_string())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TaskDetailsJson<'a> {
    #[serde(rename = "@odata.etag")]
    etag: Option<String>,
    description: Option<String>,
    preview_type: Option<String>,
    #[serde(borrow)]
    checklist: Option<Members<'a>>,
    #[serde(borrow)]
    references: Option<Members<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChecklistItemJson {
    title: Option<String>,
    is_checked: Option<bool>,
    order_hint: Option<String>,
}

#[derive(Deserialize)]
struct ReferenceJson {
    alias: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

impl Decoded for Versioned<TaskDetails> {
    fn decode(json: &str) -> Result<Self, DecodeError> {
        let json: TaskDetailsJson<'_> = serde_json::from_str(json)?;
        let mut checklist = BTreeMap::new();
        for (key, item) in json.checklist.unwrap_or_default().0 {
            let item: ChecklistItemJson = serde_json::from_str(item.get())?;
            let item = ChecklistItem {
                title: item.title.unwrap_or_default(),
                checked: item.is_checked.unwrap_or(false),
                order_hint: item.order_hint.unwrap_or_default(),
            };
            checklist.insert(key, item);
        }
        let mut references = BTreeMap::new();
        for (key, link) in json.references.unwrap_or_default().0 {
            let link: ReferenceJson = serde_json::from_str(link.get())?;
            references.insert(key, Reference { alias: link.alias, kind: link.kind });
        }
        let details = TaskDetails {
            description: json.description.unwrap_or_default(),
            preview_type: json.preview_type.unwrap_or_else(|| TaskDetails::AUTOMATIC.to_owned()),
            checklist,
            references,
        };
        Ok(Self::new(details, tag(json.etag)?))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BoardPlaceJson<'a> {
    #[serde(rename = "@odata.etag")]
    etag: Option<String>,
    order_hint: Option<String>,
    unassigned_order_hint: Option<String>,
    #[serde(borrow)]
    order_hints_by_assignee: Option<Members<'a>>,
}

/// A place on any of the boards (planner-api.md 1.12).
impl Decoded for Versioned<BoardPlace> {
    fn decode(json: &str) -> Result<Self, DecodeError> {
        let json: BoardPlaceJson<'_> = serde_json::from_str(json)?;
        let mut by_user = BTreeMap::new();
        for (id, hint) in json.order_hints_by_assignee.unwrap_or_default().0 {
            // Annotations are not people.
            if let (false, Some(hint)) = (id.starts_with('@'), text(hint)) {
                by_user.insert(UserId::parse(&id)?, hint);
            }
        }
        let hint = json.order_hint.or(json.unassigned_order_hint).unwrap_or_default();
        Ok(Self::new(BoardPlace { hint, by_user }, tag(json.etag)?))
    }
}

/// An answer of any kind, to be decoded later.
#[derive(Debug, Clone)]
pub struct Any(pub Json);

impl Decoded for Any {
    fn decode(json: &str) -> Result<Self, DecodeError> {
        Ok(Self(Json::parse(json.to_owned())?))
    }
}

/// The tag of an answer, if it holds one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag(pub Option<ETag>);

impl Decoded for Tag {
    fn decode(json: &str) -> Result<Self, DecodeError> {
        #[derive(Deserialize)]
        struct TagJson {
            #[serde(rename = "@odata.etag")]
            etag: Option<String>,
        }
        // Lenient, since the write that it answers was carried out.
        let tag = serde_json::from_str::<TagJson>(json).ok().and_then(|json| json.etag);
        Ok(Self(tag.map(ETag::new)))
    }
}

/// The id of an entity without a tag, as a create or list of the beta gives it: a roster, or the
/// user behind a roster member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made<T>(pub T);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MadeJson {
    id: Option<String>,
    user_id: Option<String>,
}

impl Decoded for Made<RosterId> {
    fn decode(json: &str) -> Result<Self, DecodeError> {
        let json: MadeJson = serde_json::from_str(json)?;
        Ok(Self(RosterId::parse(&json.id.unwrap_or_default())?))
    }

    fn id(&self) -> Option<String> {
        Some(self.0.to_string())
    }
}

impl Decoded for Made<UserId> {
    fn decode(json: &str) -> Result<Self, DecodeError> {
        let json: MadeJson = serde_json::from_str(json)?;
        Ok(Self(UserId::parse(&json.user_id.unwrap_or_default())?))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CommentJson {
    id: String,
    content: Option<String>,
    message_type: Option<String>,
    created_by: Option<IdentitySet>,
    created_date_time: Option<Timestamp>,
    edited_date_time: Option<Timestamp>,
    deleted_date_time: Option<Timestamp>,
}

impl Decoded for Comment {
    fn decode(json: &str) -> Result<Self, DecodeError> {
        let json: CommentJson = serde_json::from_str(json)?;
        Ok(Self {
            id: CommentId::parse(&json.id)?,
            content: json.content.unwrap_or_default(),
            is_html: json.message_type.is_some_and(|kind| kind == "richTextHtml"),
            by: user_of(json.created_by),
            at: json.created_date_time,
            edited_at: json.edited_date_time,
            is_deleted: json.deleted_date_time.is_some(),
        })
    }

    fn id(&self) -> Option<String> {
        Some(self.id.to_string())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UserJson {
    #[serde(rename = "@odata.type")]
    kind: Option<String>,
    id: String,
    display_name: Option<String>,
    user_principal_name: Option<String>,
    mail: Option<String>,
}

impl Decoded for User {
    fn decode(json: &str) -> Result<Self, DecodeError> {
        let json: UserJson = serde_json::from_str(json)?;
        if json.kind.is_some_and(|kind| kind != "#microsoft.graph.user") {
            return Err(DecodeError::OtherKind);
        }
        Ok(Self {
            id: json.id.parse()?,
            name: json.display_name.unwrap_or_default(),
            upn: json.user_principal_name.unwrap_or_default(),
            mail: json.mail,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GroupJson {
    #[serde(rename = "@odata.type")]
    kind: Option<String>,
    id: String,
    display_name: Option<String>,
    mail: Option<String>,
    group_types: Option<Vec<String>>,
    created_date_time: Option<Timestamp>,
}

/// A group that can hold plans; security groups, roles and the like are another kind. With few
/// permissions `groupTypes` comes as `null` (planner-api.md 2.5): then it may be such a group.
impl Decoded for Group {
    fn decode(json: &str) -> Result<Self, DecodeError> {
        let json: GroupJson = serde_json::from_str(json)?;
        let is_group = json.kind.is_none_or(|kind| kind == "#microsoft.graph.group");
        let unified =
            json.group_types.is_none_or(|types| types.iter().any(|kind| kind == "Unified"));
        if !is_group || !unified {
            return Err(DecodeError::OtherKind);
        }
        Ok(Self {
            id: json.id.parse()?,
            name: json.display_name.unwrap_or_default(),
            mail: json.mail,
            created_at: json.created_date_time,
        })
    }
}

#[cfg(test)]
mod tests;
