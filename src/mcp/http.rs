//! The protocol on HTTP, for clients on this machine that bring the token.
//!
//! A page in a browser can reach a port of this machine too: so the names that it may be called by
//! and the origins of requests are checked, and nothing is answered without the token.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;

use crate::app::error::AppError;
use crate::app::faces::door::{self, Bounds};
use crate::app::token;
use crate::files::{self, Access};
use crate::mcp::desk::Desk;
use crate::mcp::server::Server;

/// The path of the protocol.
const PATH: &str = "/mcp";
/// The most bytes of a request.
const MAX_BODY: usize = 1 << 20;
/// The bounds on connections.
const BOUNDS: Bounds = Bounds::of(64);
/// The longest wait for the body of a request.
const MAX_REST: Duration = Duration::from_secs(20);
/// The most sessions at once of clients that have them; one that is idle ends after five minutes.
const MAX_SESSIONS: usize = 32;
/// The header with the id of a session.
const SESSION: &str = "mcp-session-id";

/// Serves clients that bring the token, until the program is asked to end.
///
/// # Errors
/// The address or the file for the token cannot be used.
pub(crate) async fn serve(
    desk: &Arc<Desk>,
    addr: SocketAddr,
    token_file: Option<&Path>,
    announce: fn(&str),
) -> Result<(), AppError> {
    let listener = TcpListener::bind(addr).await.map_err(|error| {
        AppError::new("io", format!("cannot listen on {addr}"))
            .caused_by(&error)
            .hint("is another program using the port? `--http 127.0.0.1:0` takes a free one")
    })?;
    let local = listener.local_addr()?;
    let token = token::random()?;
    if let Some(file) = token_file {
        files::replace(file, format!("{token}\n").as_bytes(), Access::Owner)?;
    }
    announce(&format!("http://{local}{PATH}"));
    if token_file.is_none() {
        announce(&format!("Authorization: Bearer {token}"));
    }
    let router = router(desk, local, &token);
    let asked_to_end = async {
        let _signal = tokio::signal::ctrl_c().await;
    };
    door::serve(listener, None, (router, BOUNDS), (asked_to_end, Duration::ZERO)).await;
    Ok(())
}

/// Makes the router for a server that has checked already who asks, and by which name.
pub(crate) fn mounted(desk: &Arc<Desk>) -> Router {
    let config = StreamableHttpServerConfig::default()
        .disable_allowed_hosts()
        .disable_allowed_origins()
        .with_max_request_body_bytes(MAX_BODY);
    route(desk, config)
}

fn route(desk: &Arc<Desk>, config: StreamableHttpServerConfig) -> Router {
    let desk = Arc::clone(desk);
    let make = move || Ok(Server::new(Arc::clone(&desk)));
    let sessions = Arc::new(LocalSessionManager::default());
    let service = StreamableHttpService::new(make, Arc::clone(&sessions), config);
    Router::new().route_service(PATH, service).layer(from_fn_with_state(sessions, bound))
}

fn router(desk: &Arc<Desk>, local: SocketAddr, token: &str) -> Router {
    let port = local.port();
    let hosts = [format!("127.0.0.1:{port}"), format!("localhost:{port}"), format!("[::1]:{port}")];
    let origins: Vec<String> = hosts.iter().map(|host| format!("http://{host}")).collect();
    let config = StreamableHttpServerConfig::default()
        .with_allowed_hosts(hosts)
        .with_allowed_origins(origins)
        .with_max_request_body_bytes(MAX_BODY);
    let wanted = Wanted(digest(token));
    route(desk, config).layer(from_fn_with_state(wanted, admit))
}

/// Bounds what a client with the token can take: a request comes whole within a time, and there are only
/// so many sessions.
async fn bound(
    State(sessions): State<Arc<LocalSessionManager>>,
    request: Request,
    next: Next,
) -> Response {
    let (head, body) = request.into_parts();
    let Ok(read) = tokio::time::timeout(MAX_REST, to_bytes(body, MAX_BODY)).await else {
        return refusal(StatusCode::REQUEST_TIMEOUT, "usage", "the request came too slowly");
    };
    let Ok(body) = read else {
        let message = format!("the request is larger than {} KiB, or broken", MAX_BODY >> 10);
        return refusal(StatusCode::PAYLOAD_TOO_LARGE, "too_large", &message);
    };
    if !head.headers.contains_key(SESSION)
        && begins_session(&body)
        && sessions.sessions.read().await.len() >= MAX_SESSIONS
    {
        let message = "there are too many sessions";
        return refusal(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message);
    }
    next.run(Request::from_parts(head, Body::from(body))).await
}

/// Returns whether a message begins a session, as in the protocol's revisions before 2026-07-28.
fn begins_session(body: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Message<'a> {
        #[serde(borrow)]
        method: Option<std::borrow::Cow<'a, str>>,
    }
    let message: Result<Message<'_>, _> = serde_json::from_slice(body);
    message.is_ok_and(|message| message.method.as_deref() == Some("initialize"))
}

/// The digest of the token that a request must bring.
#[derive(Clone)]
struct Wanted([u8; 32]);

/// Returns a digest: comparing two of them tells nothing of how much of a guess was right.
fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// Lets requests through that bring the token, once.
async fn admit(State(wanted): State<Wanted>, request: Request, next: Next) -> Response {
    let mut given = request.headers().get_all(AUTHORIZATION).iter();
    let first = given.next().and_then(|value| value.to_str().ok());
    let first = first.and_then(token::bearer).map(digest);
    let is_only = given.next().is_none();
    if first == Some(wanted.0) && is_only {
        return next.run(request).await;
    }
    let message = "the bearer token is missing or wrong";
    let refused = refusal(StatusCode::UNAUTHORIZED, "unauthorized", message);
    ([(WWW_AUTHENTICATE, "Bearer")], refused).into_response()
}

/// Makes the answer to a request that does not get as far as the protocol, in the form that `serve` has.
fn refusal(status: StatusCode, code: &str, message: &str) -> Response {
    let body = json!({ "error": { "code": code, "message": message } }).to_string();
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_message_of_a_session_begins_one() {
        assert!(begins_session(br#"{"jsonrpc":"2.0","id":1,"method":"initialize"}"#));
        assert!(begins_session(br#"{"method":"initi\u0061lize"}"#));
        assert!(!begins_session(br#"{"method":"tools/list","params":{"method":"initialize"}}"#));
        assert!(!begins_session(b"[]"));
    }
}
