//! Answers: status, headers and body, with the envelope that every answer needs.
//!
//! planner-api.md 9.1, 9.3 and 9.4.

use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use serde_json::{Map, Value, json};

use crate::emulator::message::request::Request;
use crate::emulator::state::graph_error::GraphError;
use crate::emulator::state::timestamp;

/// An answer as a handler returns it.
#[derive(Debug)]
pub(crate) struct Handled {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Option<Value>,
}

impl Handled {
    pub(crate) fn json(status: u16, body: Map<String, Value>) -> Self {
        Self { status, headers: Vec::new(), body: Some(Value::Object(body)) }
    }

    /// Makes an answer that is not one of Graph's and has none of its annotations.
    pub(crate) fn plain(status: u16, body: Value) -> Self {
        Self { status, headers: Vec::new(), body: Some(body) }
            .with("content-type", "application/json; charset=utf-8")
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: None }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// Adds the headers that every answer has and turns it into bytes.
pub(crate) fn finish(
    request: &Request,
    now: Timestamp,
    result: Result<Handled, GraphError>,
) -> Response<Vec<u8>> {
    let client_id = request.header("client-request-id").unwrap_or(&request.id);
    let mut answer = result.map_or_else(
        |fault| refusal(fault, &request.id, client_id, now),
        |mut answer| {
            if let Some(body) = answer.body.as_mut().filter(|_| request.wants_no_metadata()) {
                strip_metadata(body);
            }
            answer
        },
    );
    let is_graph = !answer.headers.iter().any(|(name, _)| *name == "content-type");
    if answer.body.is_some() && is_graph {
        let level = if request.wants_no_metadata() { "none" } else { "minimal" };
        let media = format!(
            "application/json;odata.metadata={level};odata.streaming=true;\
             IEEE754Compatible=false;charset=utf-8"
        );
        answer = answer.with("content-type", media).with("odata-version", "4.0");
    }
    let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&now).unwrap_or_default();
    answer = answer
        .with("cache-control", "no-cache")
        .with("request-id", request.id.clone())
        .with("client-request-id", client_id)
        .with("x-ms-ags-diagnostic", DIAGNOSTIC)
        .with("date", date);

    let body = answer.body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in answer.headers {
        // A value that no header can hold came from the request's own host; it is left out.
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}

const DIAGNOSTIC: &str = r#"{"ServerInfo":{"DataCenter":"Emulator","Slice":"E","Ring":"0","ScaleUnit":"000","RoleInstance":"EMULATOR"}}"#;

/// Returns the answer to a refusal, with the error body of planner-api.md 9.1.
fn refusal(fault: GraphError, id: &str, client_id: &str, now: Timestamp) -> Handled {
    let mut inner = Map::new();
    if fault.status == 429 {
        // As in planner-api.md 13.16; other refusals have no such members.
        inner.insert("code".to_owned(), "429".into());
        inner.insert("status".to_owned(), "429".into());
    }
    if let Some(message) = fault.inner {
        inner.insert("message".to_owned(), message.into());
    }
    inner.insert("date".to_owned(), timestamp::seconds(now).into());
    inner.insert("request-id".to_owned(), id.into());
    inner.insert("client-request-id".to_owned(), client_id.into());
    let body = json!({
        "error": { "code": fault.code, "message": fault.message, "innerError": inner }
    });
    Handled { status: fault.status, headers: fault.header.into_iter().collect(), body: Some(body) }
}

/// Drops annotations, including ETags, except those that paging needs (planner-api.md 9.4).
fn strip_metadata(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|name, _| {
                !name.starts_with("@odata.")
                    || ["@odata.nextLink", "@odata.count"].contains(&&**name)
            });
            members.values_mut().for_each(strip_metadata);
        }
        Value::Array(items) => items.iter_mut().for_each(strip_metadata),
        _ => (),
    }
}
