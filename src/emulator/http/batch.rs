//! `$batch`: several requests in one, each dispatched on its own.
//!
//! planner-api.md 8.4. Nothing is atomic: every inner request has its own transaction. Requests are
//! carried out in order and answered in reverse order, since the service promises no order and a
//! client must not rely on one.

use std::collections::HashMap;

use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::{HeaderName, HeaderValue, Method, Request as HttpRequest, Response, Uri};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::emulator::http::route;
use crate::emulator::message::request::Request;
use crate::emulator::message::response::Handled;
use crate::emulator::state::graph_error::GraphError;

const MAX_REQUESTS: usize = 20;
/// The headers of an inner answer, as they are spelled there.
const INNER_HEADERS: [&str; 9] = [
    "Allow",
    "Cache-Control",
    "Content-Type",
    "ETag",
    "Location",
    "OData-Version",
    "Preference-Applied",
    "Retry-After",
    "WWW-Authenticate",
];

/// One request of a batch.
#[derive(Debug)]
struct Part {
    id: String,
    request: HttpRequest<Vec<u8>>,
    depends_on: Vec<String>,
}

/// Carries out a batch; the outer answer is 200 whatever the inner ones are.
///
/// # Errors
///
/// 400 for a malformed batch, of which nothing is carried out.
pub(crate) fn run(
    outer: &Request,
    dispatch: impl Fn(HttpRequest<Vec<u8>>) -> Response<Vec<u8>>,
) -> Result<Handled, GraphError> {
    let parts = parse(outer)?;
    let mut statuses: HashMap<String, u16> = HashMap::new();
    let mut responses = Vec::with_capacity(parts.len());
    for part in parts {
        // A failure passes on: 424 is one itself, so the rest of a chain is not carried out either.
        let has_failed = |id: &String| statuses.get(id).is_none_or(|status| *status >= 400);
        let (status, response) = if part.depends_on.iter().any(has_failed) {
            (424, failed_dependency(&part.id))
        } else {
            let response = dispatch(part.request);
            (response.status().as_u16(), inner(&part.id, &response))
        };
        statuses.insert(part.id.to_lowercase(), status);
        responses.push(response);
    }
    responses.reverse();
    Ok(Handled::json(200, Map::from_iter([("responses".to_owned(), responses.into())])))
}

fn parse(outer: &Request) -> Result<Vec<Part>, GraphError> {
    let body = outer.json()?;
    let Some(Value::Array(requests)) = body.get("requests") else {
        return malformed("The batch payload must have an array 'requests'.");
    };
    if requests.is_empty() || requests.len() > MAX_REQUESTS {
        return malformed(format!(
            "The number of batch request steps must be between 1 and {MAX_REQUESTS}."
        ));
    }
    let mut parts: Vec<Part> = Vec::new();
    for request in requests {
        let Value::Object(request) = request else {
            return malformed("Every batch request must be an object.");
        };
        let id = match request.get("id") {
            Some(Value::String(id)) if !id.is_empty() => id,
            _ => return malformed("Every batch request must have an id, a non-empty string."),
        };
        // Unique without case (planner-api.md 8.4).
        let same = |other: &str| other.to_lowercase() == id.to_lowercase();
        if parts.iter().any(|part| same(&part.id)) {
            return malformed(format!("Request Id {id} is used more than once."));
        }
        let depends_on = dependencies(id, request, &parts)?;
        parts.push(Part { id: id.clone(), request: http_request(outer, id, request)?, depends_on });
    }
    check_pattern(&parts)?;
    Ok(parts)
}

/// Returns the ids, in lower case, on which a request depends; they must come earlier.
fn dependencies(
    id: &str,
    request: &Map<String, Value>,
    earlier: &[Part],
) -> Result<Vec<String>, GraphError> {
    let ids = match request.get("dependsOn") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(ids)) => ids,
        Some(_) => return malformed(format!("Invalid dependency for request Id {id}.")),
    };
    let known = |wanted: &Value| {
        let wanted = wanted.as_str()?.to_lowercase();
        earlier.iter().any(|part| part.id.to_lowercase() == wanted).then_some(wanted)
    };
    let found: Option<Vec<String>> = ids.iter().map(known).collect();
    found.map_or_else(|| malformed(format!("Invalid dependency for request Id {id}.")), Ok)
}

/// Checks the pattern of dependencies. Only three exist: none, each on its predecessor, all on the
/// same request.
fn check_pattern(parts: &[Part]) -> Result<(), GraphError> {
    let mut dependent = parts.iter().filter(|part| !part.depends_on.is_empty());
    let Some(first) = dependent.next() else { return Ok(()) };
    let same =
        first.depends_on.len() == 1 && dependent.all(|part| part.depends_on == first.depends_on);
    let serial = parts.iter().zip(parts.iter().skip(1)).all(|(before, part)| {
        matches!(part.depends_on.as_slice(), [id] if *id == before.id.to_lowercase())
    });
    if same || serial {
        return Ok(());
    }
    malformed("Requests must all depend on their predecessor, or all on the same request.")
}

fn http_request(
    outer: &Request,
    id: &str,
    request: &Map<String, Value>,
) -> Result<HttpRequest<Vec<u8>>, GraphError> {
    let method = request.get("method").and_then(Value::as_str).map(str::to_uppercase);
    let method = method.and_then(|name| match name.as_str() {
        "GET" => Some(Method::GET),
        "POST" => Some(Method::POST),
        "PUT" => Some(Method::PUT),
        "PATCH" => Some(Method::PATCH),
        "DELETE" => Some(Method::DELETE),
        _ => None,
    });
    let Some(method) = method else {
        return malformed(format!("Request Id {id} has no valid method."));
    };
    let uri = request
        .get("url")
        .and_then(Value::as_str)
        .and_then(|url| relative_uri(outer.version(), url));
    let Some(uri) = uri else {
        return malformed(format!("Request Id {id} has no valid relative url."));
    };
    if route::is_batch(uri.path()) {
        return malformed(format!("Request Id {id} is itself a batch."));
    }

    let mut inner = HttpRequest::new(Vec::new());
    *inner.method_mut() = method;
    *inner.uri_mut() = uri;
    match request.get("headers") {
        None | Some(Value::Null) => (),
        Some(Value::Object(headers)) => {
            for (name, value) in headers {
                let name = HeaderName::try_from(name.as_str()).ok();
                let value = value.as_str().and_then(|text| HeaderValue::from_str(text).ok());
                let (Some(name), Some(value)) = (name, value) else {
                    return malformed(format!("Request Id {id} has invalid headers."));
                };
                inner.headers_mut().append(name, value);
            }
        }
        Some(_) => return malformed(format!("Request Id {id} has invalid headers.")),
    }
    // Identity and address are the batch's own: an inner header must not sign in as somebody else.
    for name in [AUTHORIZATION, HOST, HeaderName::from_static("x-forwarded-proto")] {
        inner.headers_mut().remove(&name);
        if let Some(value) = outer.headers.get(&name) {
            inner.headers_mut().insert(name, value.clone());
        }
    }
    if let Some(body) = request.get("body").filter(|body| !body.is_null()) {
        let media = inner.headers().get("content-type").and_then(|value| value.to_str().ok());
        let Some(media) = media else {
            return malformed(format!("Request Id {id} has a body but no Content-Type header."));
        };
        let is_json = media.to_lowercase().contains("json");
        *inner.body_mut() = match body {
            Value::String(text) if !is_json => match STANDARD.decode(text) {
                Ok(bytes) => bytes,
                Err(_) => return malformed(format!("The body of request Id {id} is not base64.")),
            },
            body => body.to_string().into_bytes(),
        };
    }
    Ok(inner)
}

/// Returns the address of an inner request, which is relative to the service root.
fn relative_uri(root: &str, url: &str) -> Option<Uri> {
    let is_absolute = url.starts_with("//") || url.split('?').next()?.contains("://");
    if url.is_empty() || is_absolute {
        return None;
    }
    format!("{root}/{}", url.strip_prefix('/').unwrap_or(url)).parse().ok()
}

fn inner(id: &str, response: &Response<Vec<u8>>) -> Value {
    let header = |name: &str| {
        let value = response.headers().get(name.to_lowercase())?.to_str().ok()?;
        Some((name.to_owned(), Value::from(value)))
    };
    let headers: Map<String, Value> =
        INNER_HEADERS.iter().filter_map(|name| header(name)).collect();
    let mut out = Map::new();
    out.insert("id".to_owned(), id.into());
    out.insert("status".to_owned(), response.status().as_u16().into());
    out.insert("headers".to_owned(), headers.into());
    if let Ok(body) = serde_json::from_slice(response.body()) {
        out.insert("body".to_owned(), body);
    }
    Value::Object(out)
}

fn failed_dependency(id: &str) -> Value {
    json!({
        "id": id,
        "status": 424,
        "headers": { "Content-Type": "application/json" },
        "body": { "error": {
            "code": "FailedDependency",
            "message": "A request that this one depends on has failed.",
        } },
    })
}

fn malformed<T>(message: impl Into<String>) -> Result<T, GraphError> {
    Err(GraphError::bad_request(message))
}
