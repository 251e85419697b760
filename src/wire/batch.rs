//! JSON batching: several requests as one (planner-api.md 8.4), to save round trips.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::wire::entity::DecodeError;
use crate::wire::json::Json;
use crate::wire::json::{Headers, Items};
use crate::wire::request::{Method, Request};

/// The most requests that one batch takes.
pub const MAX_REQUESTS: usize = 20;

/// One answer of a batch.
#[derive(Debug, Clone)]
pub struct Part {
    /// The HTTP status.
    pub status: u16,
    /// The wait that the service asks for, as it wrote it.
    pub retry_after: Option<String>,
    /// The service's id of this part, for its support, if there is one.
    pub request_id: Option<String>,
    /// The `WWW-Authenticate` of a refused token.
    pub challenge: Option<String>,
    /// The body, if there is one.
    pub body: Option<Json>,
}

/// The order in which the writes of a batch are carried out: the two patterns of planner-api.md 8.4
/// that are useful here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Any order, or all at once.
    Any,
    /// Each after the one before it, and only if that succeeded; otherwise it gets a 424.
    OneByOne,
}

/// Joins writes into one request; their places in the slice are their ids. At most
/// [`MAX_REQUESTS`]. Each keeps its own condition.
#[must_use]
pub fn of_writes(requests: &[&Request], order: Order) -> Request {
    let list: Vec<Value> = requests
        .iter()
        .enumerate()
        .map(|(at, request)| {
            let mut headers = Map::new();
            if let Some(tag) = request.if_match() {
                headers.insert("If-Match".to_owned(), json!(tag.as_str()));
            }
            if request.method() == Method::Patch {
                headers.insert("Prefer".to_owned(), json!("return=representation"));
            }
            let (id, method) = (at.to_string(), request.method().as_str());
            let mut part = json!({ "id": id, "method": method, "url": request.path() });
            if let Some(body) = request.body() {
                headers.insert("Content-Type".to_owned(), json!("application/json"));
                part["body"] = body.clone();
            }
            part["headers"] = headers.into();
            if order == Order::OneByOne && at > 0 {
                part["dependsOn"] = json!([(at - 1).to_string()]);
            }
            part
        })
        .collect();
    Request::batch_of_writes(json!({ "requests": list }))
}

/// Joins reads into one request; their places in the slice are their ids. At most [`MAX_REQUESTS`].
/// Each carries the `Prefer` header that it would have alone: the outer one does not apply to the
/// parts.
#[must_use]
pub fn of_reads(requests: &[&Request], prefer: Option<&str>) -> Request {
    let part = |(id, request): (usize, &&Request)| {
        let mut part = json!({ "id": id.to_string(), "method": "GET", "url": request.path() });
        if let Some(prefer) = prefer {
            part["headers"] = json!({ "Prefer": prefer });
        }
        part
    };
    let reads = requests.iter().enumerate().filter(|(_, request)| request.method() == Method::Get);
    let list: Vec<Value> = reads.map(part).collect();
    Request::batch_of_reads(json!({ "requests": list }))
}

#[derive(Deserialize)]
struct Answers<'a> {
    #[serde(borrow)]
    responses: Items<'a, MAX_REQUESTS>,
}

#[derive(Deserialize)]
struct PartAnswer<'a> {
    id: String,
    status: u16,
    headers: Option<Headers>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

/// Splits the answer to a batch by the ids of its requests, which come in any order
/// (planner-api.md trap 44).
///
/// # Errors
/// The answer has no list of responses, or one of more than a batch has requests.
pub fn split(json: &str) -> Result<BTreeMap<usize, Part>, DecodeError> {
    let answers: Answers<'_> = serde_json::from_str(json)?;
    let mut parts = BTreeMap::new();
    // Two answers to one request are as good as none: nobody knows which of them holds.
    let mut repeated = BTreeSet::new();
    for answer in answers.responses.0 {
        let answer: PartAnswer<'_> = serde_json::from_str(answer.get())?;
        let Ok(id) = answer.id.parse::<usize>() else { continue };
        // `+2` and `02` parse as well, but no request has such an id.
        if id.to_string() != answer.id {
            continue;
        }
        if parts.contains_key(&id) {
            repeated.insert(id);
        }
        let Headers { retry_after, request_id, challenge } = answer.headers.unwrap_or_default();
        let (status, body) = (answer.status, answer.body.map(Json::from));
        parts.insert(id, Part { status, retry_after, request_id, challenge, body });
    }
    parts.retain(|id, _| !repeated.contains(id));
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TaskId;
    use crate::wire::request;

    #[test]
    fn reads_are_joined_by_their_paths() {
        let ids = ["a", "b"].map(|id| TaskId::parse(id).unwrap());
        let reads = ids.each_ref().map(request::task_details);
        let batch = of_reads(&[&reads[0], &reads[1]], None);
        assert_eq!((batch.method(), batch.path()), (Method::Post, "/$batch"));
        assert!(batch.is_read());
        let expected = json!({ "requests": [
            { "id": "0", "method": "GET", "url": "/planner/tasks/a/details" },
            { "id": "1", "method": "GET", "url": "/planner/tasks/b/details" },
        ] });
        assert_eq!(batch.body(), Some(&expected));
    }

    #[test]
    fn writes_are_joined_with_their_conditions() {
        let id = TaskId::parse("a").unwrap();
        let tag = || crate::model::ETag::new("W/\"x\"".into());
        let update = request::update_task(&id, json!({ "title": "T" }), tag());
        let delete = request::delete_task(&id, tag());
        let batch = of_writes(&[&update, &delete], Order::OneByOne);
        assert!(!batch.is_read());
        let expected = json!({ "requests": [
            { "id": "0", "method": "PATCH", "url": "/planner/tasks/a", "body": { "title": "T" },
              "headers": { "If-Match": "W/\"x\"", "Prefer": "return=representation",
                           "Content-Type": "application/json" } },
            { "id": "1", "method": "DELETE", "url": "/planner/tasks/a",
              "headers": { "If-Match": "W/\"x\"" }, "dependsOn": ["0"] },
        ] });
        assert_eq!(batch.body(), Some(&expected));
        let any = of_writes(&[&update, &delete], Order::Any);
        assert!(!any.body().unwrap().to_string().contains("dependsOn"));
    }

    /// planner-api.md 13.17: any order, a status for each, waits inside.
    #[test]
    fn answers_are_matched_by_id() {
        let answer = json!({ "responses": [
            { "id": "1", "status": 204, "headers": { "Cache-Control": "no-cache" } },
            { "id": "0", "status": 429, "headers": { "retry-After": "6" }, "body": { "error": {} } },
            { "id": "x", "status": 200 },
        ] });
        let parts = split(&answer.to_string()).unwrap();
        assert_eq!(parts.len(), 2);
        assert_eq!((parts[&0].status, parts[&0].retry_after.as_deref()), (429, Some("6")));
        assert_eq!((parts[&1].status, parts[&1].body.is_none()), (204, true));
        assert!(split("{}").is_err());
        let twice = |id: &str| json!({ "id": id, "status": 201 });
        let answer = json!({ "responses": [twice("0"), twice("1"), twice("0"), twice("+2")] });
        assert_eq!(split(&answer.to_string()).unwrap().into_keys().collect::<Vec<_>>(), [1]);
    }
}
