//! Pages in a browser: what they may ask, and see of the answers, as with Graph and Entra ID.
//!
//! planner-api.md 9.5. The control API is never open to them.

use axum::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN,
};
use axum::http::{HeaderValue, Method, Response};

use crate::emulator::message::request::{self, Request};
use crate::emulator::message::response::Handled;
use crate::emulator::sign_in::Endpoint;

/// The verbs that a page may use with Graph, and the headers that it may read.
const OF_GRAPH: &str = "GET, POST, PATCH, PUT, DELETE, OPTIONS";
const EXPOSED: &str = "ETag, Location, Preference-Applied, Retry-After, request-id, \
                       client-request-id, WWW-Authenticate";
/// The time for which a browser need not ask again, in seconds.
const MAX_AGE: &str = "600";

/// Returns the verbs that a page of another site may use at an address; `None` if it may not ask
/// there at all.
fn verbs(path: &str) -> Option<&'static str> {
    match Endpoint::from_path(path) {
        Some((_, endpoint)) => endpoint.verbs_for_pages(),
        None => request::root_of(path).map(|_| OF_GRAPH),
    }
}

/// Answers a browser that asks, before a request of a page, whether it may send that; `None` for
/// any other request.
pub(crate) fn preflight(request: &Request) -> Option<Handled> {
    let asks = request.method == Method::OPTIONS
        && request.headers.contains_key(ORIGIN)
        && request.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let verbs = verbs(request.uri.path()).filter(|_| asks)?;
    let mut answer = Handled::empty(200)
        .with("access-control-allow-methods", verbs)
        .with("access-control-max-age", MAX_AGE);
    if let Some(headers) = request.header(ACCESS_CONTROL_REQUEST_HEADERS.as_str()) {
        answer = answer.with("access-control-allow-headers", headers);
    }
    Some(answer)
}

/// Lets the page that sent a request see the answer.
pub(crate) fn open<T>(request: &Request, response: &mut Response<T>) {
    if !request.headers.contains_key(ORIGIN) || verbs(request.uri.path()).is_none() {
        return;
    }
    let headers = response.headers_mut();
    // For any page, as Graph does: who may ask is decided by the token.
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
}
