//! Several requests as one: JSON batching (planner-api.md 8.4).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::wire::{DecodeError, Method, Request};

/// The most requests that one batch takes.
pub const MAX_REQUESTS: usize = 20;

/// One answer of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The HTTP status.
    pub status: u16,
    /// How long to wait, as the service wrote it.
    pub retry_after: Option<String>,
    /// The body.
    pub body: Value,
}

/// Joins reads to one request; their places in the slice are their ids. At most
/// [`MAX_REQUESTS`].
#[must_use]
pub fn of_reads(requests: &[&Request]) -> Request {
    let list: Vec<Value> = requests
        .iter()
        .enumerate()
        .filter(|(_, it)| it.method() == Method::Get)
        .map(|(id, it)| json!({ "id": id.to_string(), "method": "GET", "url": it.path() }))
        .collect();
    Request::batch_of_reads(json!({ "requests": list }))
}

#[derive(Deserialize)]
struct Answers {
    responses: Vec<Answer>,
}

#[derive(Deserialize)]
struct Answer {
    id: String,
    status: u16,
    #[serde(default)]
    headers: Option<Map<String, Value>>,
    #[serde(default)]
    body: Value,
}

/// Splits the answer to a batch by the ids of its requests, in whatever order they came
/// (trap 44).
///
/// # Errors
/// The answer has no list of responses.
pub fn split(answer: Value) -> Result<BTreeMap<usize, Part>, DecodeError> {
    let answers: Answers = serde_json::from_value(answer)?;
    let mut parts = BTreeMap::new();
    for it in answers.responses {
        let Ok(id) = it.id.parse() else { continue };
        let retry_after = it
            .headers
            .iter()
            .flatten()
            .find(|(name, _)| name.eq_ignore_ascii_case("retry-after"))
            .map(|(_, value)| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        parts.insert(id, Part { status: it.status, retry_after, body: it.body });
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TaskId;
    use crate::wire::request;

    #[test]
    fn reads_are_joined_by_their_paths() {
        let ids = ["a", "b"].map(|it| TaskId::parse(it).unwrap());
        let reads = ids.each_ref().map(request::task_details);
        let batch = of_reads(&[&reads[0], &reads[1]]);
        assert_eq!((batch.method(), batch.path()), (Method::Post, "/$batch"));
        assert!(batch.is_read());
        let expected = json!({ "requests": [
            { "id": "0", "method": "GET", "url": "/planner/tasks/a/details" },
            { "id": "1", "method": "GET", "url": "/planner/tasks/b/details" },
        ] });
        assert_eq!(batch.body(), Some(&expected));
    }

    /// planner-api.md 13.17: any order, a status for each, waits inside.
    #[test]
    fn answers_are_matched_by_id() {
        let answer = json!({ "responses": [
            { "id": "1", "status": 204, "headers": { "Cache-Control": "no-cache" } },
            { "id": "0", "status": 429, "headers": { "retry-After": "6" }, "body": { "error": {} } },
            { "id": "x", "status": 200 },
        ] });
        let parts = split(answer).unwrap();
        assert_eq!(parts.len(), 2);
        assert_eq!((parts[&0].status, parts[&0].retry_after.as_deref()), (429, Some("6")));
        assert_eq!((parts[&1].status, &parts[&1].body), (204, &Value::Null));
        assert!(split(json!({})).is_err());
    }
}
