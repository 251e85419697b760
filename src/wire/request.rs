//! Requests as values: method, path, condition and body (planner-api.md 2).
//!
//! The constructors take an [`ETag`] for every PATCH and DELETE, so none can be made without one.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::model::{Archival, Board, BucketId, ETag, GroupId, PlanId, RosterId, TaskId, UserId};

/// The verbs of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Creates.
    Post,
    /// Updates.
    Patch,
    /// Deletes.
    Delete,
}

impl Method {
    /// Returns the verb.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// One request to Graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    method: Method,
    path: String,
    if_match: Option<ETag>,
    body: Option<Value>,
    is_read: bool,
}

impl Request {
    /// Returns the verb.
    #[must_use]
    pub const fn method(&self) -> Method {
        self.method
    }

    /// Returns path and query, relative to the base URL, with a leading slash.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the tag that it is conditional on; always present for PATCH and DELETE, and for a
    /// POST that changes an existing entity.
    #[must_use]
    pub const fn if_match(&self) -> Option<&ETag> {
        self.if_match.as_ref()
    }

    /// Returns the body.
    #[must_use]
    pub const fn body(&self) -> Option<&Value> {
        self.body.as_ref()
    }

    /// Returns whether it changes nothing: a GET, or a batch of GETs.
    #[must_use]
    pub const fn is_read(&self) -> bool {
        self.is_read
    }

    /// Makes a batch of reads; the caller guarantees that there are no writes in it.
    pub(crate) fn batch_of_reads(body: Value) -> Self {
        Self { is_read: true, ..Self::post("/$batch", body) }
    }

    /// Makes a batch with writes in it.
    pub(crate) fn batch_of_writes(body: Value) -> Self {
        Self::post("/$batch", body)
    }

    /// Rebuilds a conditional write from the journal; `None` for any other request, since only the
    /// tag keeps a write from happening twice.
    #[must_use]
    pub fn again(
        method: &str,
        path: &str,
        if_match: Option<ETag>,
        body: Option<Value>,
    ) -> Option<Self> {
        let tag = if_match?;
        let path = path.to_owned();
        match (method, body) {
            ("PATCH", Some(body)) => Some(Self::patch(path, tag, body)),
            ("DELETE", None) => Some(Self::delete(path, tag)),
            ("POST", Some(body)) => Some(Self { if_match: Some(tag), ..Self::post(&path, body) }),
            _ => None,
        }
    }

    fn get(path: String) -> Self {
        Self { method: Method::Get, path, if_match: None, body: None, is_read: true }
    }

    fn post(path: &str, body: Value) -> Self {
        let (path, body) = (path.to_owned(), Some(body));
        Self { method: Method::Post, path, if_match: None, body, is_read: false }
    }

    fn patch(path: String, etag: ETag, body: Value) -> Self {
        let (if_match, body) = (Some(etag), Some(body));
        Self { method: Method::Patch, path, if_match, body, is_read: false }
    }

    fn delete(path: String, etag: ETag) -> Self {
        Self { method: Method::Delete, path, if_match: Some(etag), body: None, is_read: false }
    }
}

/// Reads the signed-in user (planner-api.md 2.5).
#[must_use]
pub fn me() -> Request {
    Request::get("/me?$select=id,displayName,userPrincipalName,mail".to_owned())
}

/// Reads a user by id or sign-in name; one that begins with `$` needs the key syntax
/// (planner-api.md 2.5).
#[must_use]
pub fn user(id_or_upn: &str) -> Request {
    const FIELDS: &str = "$select=id,displayName,userPrincipalName,mail";
    if id_or_upn.starts_with('$') {
        let quoted = escape(&id_or_upn.replace('\'', "''"));
        Request::get(format!("/users('{quoted}')?{FIELDS}"))
    } else {
        Request::get(format!("/users/{}?{FIELDS}", escape(id_or_upn)))
    }
}

/// Reads the users with a mail address (planner-api.md 2.5).
#[must_use]
pub fn users_by_mail(mail: &str) -> Request {
    let filter = escape(&format!("mail eq '{}'", mail.replace('\'', "''")));
    Request::get(format!("/users?$filter={filter}&$select=id,displayName,userPrincipalName,mail"))
}

/// Reads the groups that the signed-in user is a member of, roles among them (planner-api.md 2.5).
#[must_use]
pub fn my_groups() -> Request {
    Request::get("/me/memberOf?$select=id,displayName,mail,groupTypes".to_owned())
}

/// Reads every group that can hold plans, for an application, which is a member of none
/// (planner-api.md 2.5, 11).
#[must_use]
pub fn all_groups() -> Request {
    let filter = escape("groupTypes/any(c:c eq 'Unified')");
    Request::get(format!(
        "/groups?$filter={filter}&$select=id,displayName,mail,groupTypes&$top=999"
    ))
}

/// Reads one of the groups that can hold plans, if there is any: whether an application is answered.
#[must_use]
pub fn any_group() -> Request {
    let filter = escape("groupTypes/any(c:c eq 'Unified')");
    Request::get(format!("/groups?$filter={filter}&$select=id&$top=1"))
}

/// Reads a group (planner-api.md 2.5).
#[must_use]
pub fn group(id: &GroupId) -> Request {
    Request::get(format!("/groups/{id}?$select=id,displayName,mail,groupTypes,createdDateTime"))
}

/// Reads the members of a group (planner-api.md 2.5).
#[must_use]
pub fn members(group: &GroupId) -> Request {
    Request::get(format!(
        "/groups/{group}/members?$select=id,displayName,userPrincipalName,mail&$top=999"
    ))
}

/// Reads the plans shared with the signed-in user, which are not all they can reach
/// (planner-api.md 2.1 P6, planner-api.md 7.6).
#[must_use]
pub fn my_plans() -> Request {
    Request::get("/me/planner/plans".to_owned())
}

/// Reads the plans of a group (planner-api.md 2.1 P5).
#[must_use]
pub fn group_plans(group: &GroupId) -> Request {
    Request::get(format!("/groups/{group}/planner/plans"))
}

/// Reads the tasks assigned to the signed-in user (planner-api.md 2.3 T13).
#[must_use]
pub fn my_tasks() -> Request {
    Request::get("/me/planner/tasks".to_owned())
}

/// Reads the tasks assigned to a user (planner-api.md 2.3 T14). Planner shows those of others to
/// applications only (planner-api.md trap 35).
#[must_use]
pub fn user_tasks(id: &UserId) -> Request {
    Request::get(format!("/users/{id}/planner/tasks"))
}

/// Reads a plan (planner-api.md 2.1 P2).
#[must_use]
pub fn plan(id: &PlanId) -> Request {
    Request::get(format!("/planner/plans/{id}"))
}

/// Reads the details of a plan (planner-api.md 2.1 P11).
#[must_use]
pub fn plan_details(id: &PlanId) -> Request {
    Request::get(format!("/planner/plans/{id}/details"))
}

/// Reads the buckets of a plan (planner-api.md 2.1 P9).
#[must_use]
pub fn plan_buckets(id: &PlanId) -> Request {
    Request::get(format!("/planner/plans/{id}/buckets"))
}

/// Reads the tasks of a plan, including completed ones (planner-api.md 2.1 P10).
#[must_use]
pub fn plan_tasks(id: &PlanId) -> Request {
    Request::get(format!("/planner/plans/{id}/tasks"))
}

/// Reads a bucket (planner-api.md 2.2 B2).
#[must_use]
pub fn bucket(id: &BucketId) -> Request {
    Request::get(format!("/planner/buckets/{id}"))
}

/// Reads a task (planner-api.md 2.3 T2).
#[must_use]
pub fn task(id: &TaskId) -> Request {
    Request::get(format!("/planner/tasks/{id}"))
}

/// Reads the details of a task (planner-api.md 2.3 T5).
#[must_use]
pub fn task_details(id: &TaskId) -> Request {
    Request::get(format!("/planner/tasks/{id}/details"))
}

/// Reads the place of a task on a board (planner-api.md 2.3 T7, T9, T11).
#[must_use]
pub fn board_place(id: &TaskId, board: Board) -> Request {
    Request::get(format!("/planner/tasks/{id}/{board}"))
}

/// Creates a plan in a group (planner-api.md 2.1 P1).
#[must_use]
pub fn create_plan(group: &GroupId, title: &str) -> Request {
    let container = json!({ "containerId": group.as_str(), "type": "group" });
    Request::post("/planner/plans", json!({ "container": container, "title": title }))
}

/// Creates a plan in a roster (beta, planner-api.md 2.9).
#[must_use]
pub fn create_roster_plan(roster: &RosterId, title: &str) -> Request {
    let container = json!({ "containerId": roster.as_str(), "type": "roster" });
    Request::post("/planner/plans", json!({ "container": container, "title": title }))
}

/// Creates a roster, with the signed-in user as its first member (beta, planner-api.md 2.9).
#[must_use]
pub fn create_roster() -> Request {
    let kind = "#microsoft.graph.plannerRoster";
    Request::post("/planner/rosters", json!({ "@odata.type": kind }))
}

/// Reads the members of a roster (beta, planner-api.md 2.9).
#[must_use]
pub fn roster_members(roster: &RosterId) -> Request {
    Request::get(format!("/planner/rosters/{roster}/members"))
}

/// Reads the chat of a task (beta, planner-api.md 2.9).
#[must_use]
pub fn messages(task: &TaskId) -> Request {
    Request::get(format!("/planner/tasks/{task}/messages"))
}

/// Adds a message to the chat of a task (beta, planner-api.md 2.9). The service takes the content
/// for HTML, so the text is escaped: a comment is what was written, and never a link or a picture.
#[must_use]
pub fn post_message(task: &TaskId, text: &str) -> Request {
    let content = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    Request::post(&format!("/planner/tasks/{task}/messages"), json!({ "content": content }))
}

/// Reads the list that a create adds to, by the path of the create.
#[must_use]
pub fn listed(path: &str) -> Request {
    Request::get(path.to_owned())
}

/// Adds a person to a roster (beta, planner-api.md 2.9).
#[must_use]
pub fn add_roster_member(roster: &RosterId, user: &UserId) -> Request {
    let kind = "#microsoft.graph.plannerRosterMember";
    let body = json!({ "@odata.type": kind, "userId": user.as_str() });
    Request::post(&format!("/planner/rosters/{roster}/members"), body)
}

/// Reads the plans of the rosters that the signed-in user is a member of (beta,
/// planner-api.md 2.9).
#[must_use]
pub fn my_roster_plans() -> Request {
    Request::get("/me/planner/rosterPlans".to_owned())
}

/// Archives or unarchives a plan (beta, planner-api.md 2.9).
#[must_use]
pub fn archive_plan(id: &PlanId, archival: &Archival, etag: ETag) -> Request {
    let verb = if archival.is_archived { "archive" } else { "unarchive" };
    let body = json!({ "justification": archival.justification });
    Request { if_match: Some(etag), ..Request::post(&format!("/planner/plans/{id}/{verb}"), body) }
}

/// Begins a round of changes, over everything that the signed-in user can see
/// (beta, planner-api.md 2.10).
#[must_use]
pub fn delta() -> Request {
    Request::get("/me/planner/all/delta".to_owned())
}

/// Renames a plan (planner-api.md 2.1 P3).
#[must_use]
pub fn update_plan(id: &PlanId, title: &str, etag: ETag) -> Request {
    Request::patch(format!("/planner/plans/{id}"), etag, json!({ "title": title }))
}

/// Deletes a plan with everything in it (planner-api.md 2.1 P4).
#[must_use]
pub fn delete_plan(id: &PlanId, etag: ETag) -> Request {
    Request::delete(format!("/planner/plans/{id}"), etag)
}

/// Updates the details of a plan under their own tag (planner-api.md 2.1 P12); the body comes from
/// [`crate::wire::body::plan_details_patch`].
#[must_use]
pub fn update_plan_details(id: &PlanId, body: Value, etag: ETag) -> Request {
    Request::patch(format!("/planner/plans/{id}/details"), etag, body)
}

/// Creates a bucket at the place that the hint describes (planner-api.md 2.2 B1,
/// planner-api.md 4.2).
#[must_use]
pub fn create_bucket(plan: &PlanId, name: &str, order_hint: &str) -> Request {
    let body = json!({ "name": name, "planId": plan.as_str(), "orderHint": order_hint });
    Request::post("/planner/buckets", body)
}

/// Updates a bucket (planner-api.md 2.2 B3); the body comes from
/// [`crate::wire::body::bucket_patch`].
#[must_use]
pub fn update_bucket(id: &BucketId, body: Value, etag: ETag) -> Request {
    Request::patch(format!("/planner/buckets/{id}"), etag, body)
}

/// Deletes a bucket with its tasks (planner-api.md 2.2 B4).
#[must_use]
pub fn delete_bucket(id: &BucketId, etag: ETag) -> Request {
    Request::delete(format!("/planner/buckets/{id}"), etag)
}

/// Creates a task (planner-api.md 2.3 T1); the body comes from [`crate::wire::body::new_task`].
#[must_use]
pub fn create_task(body: Value) -> Request {
    Request::post("/planner/tasks", body)
}

/// Updates a task (planner-api.md 2.3 T3); the body comes from [`crate::wire::body::task_patch`].
#[must_use]
pub fn update_task(id: &TaskId, body: Value, etag: ETag) -> Request {
    Request::patch(format!("/planner/tasks/{id}"), etag, body)
}

/// Updates the details of a task under their own tag (planner-api.md 2.3 T6); the body comes from
/// [`crate::wire::body::details_patch`].
#[must_use]
pub fn update_task_details(id: &TaskId, body: Value, etag: ETag) -> Request {
    Request::patch(format!("/planner/tasks/{id}/details"), etag, body)
}

/// Moves a task on a board, under the tag of its place there (planner-api.md 2.3 T8, T10, T12); the
/// body comes from
/// [`crate::wire::body::place_patch`].
#[must_use]
pub fn update_board_place(id: &TaskId, board: Board, body: Value, etag: ETag) -> Request {
    Request::patch(format!("/planner/tasks/{id}/{board}"), etag, body)
}

/// Deletes a task (planner-api.md 2.3 T4).
#[must_use]
pub fn delete_task(id: &TaskId, etag: ETag) -> Request {
    Request::delete(format!("/planner/tasks/{id}"), etag)
}

/// Percent-encodes one path segment or query value.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _infallible = write!(out, "%{byte:02X}");
        }
    }
    out
}
