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
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::app::error::AppError;
use crate::app::token;
use crate::files::{self, Access};
use crate::mcp::desk::Desk;
use crate::mcp::server::Server;

/// The path of the protocol.
const PATH: &str = "/mcp";
/// The most bytes of a request.
const MAX_BODY: usize = 1 << 20;
/// The most connections at once; others wait.
const MAX_CONNECTIONS: usize = 64;
/// The longest wait for the head of a request, and for the rest of it.
const MAX_HEAD: Duration = Duration::from_secs(10);
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
    tokio::select! {
        () = accept(listener, router) => Ok(()),
        _signal = tokio::signal::ctrl_c() => Ok(()),
    }
}

/// Serves connections, a limited number at once. Whoever sends a head too slowly, or none, is cut off,
/// so that nobody keeps others out.
async fn accept(listener: TcpListener, router: Router) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        // It is never closed.
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                // Out of descriptors, it would be the same at once.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(MAX_HEAD)
                .max_headers(64)
                .serve_connection(TokioIo::new(stream), service);
            // However it ends, it is the client's own affair.
            let _ended = served.await;
            drop(permit);
        });
    }
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
    let wanted = Wanted(digest(&format!("Bearer {token}")));
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
        return (StatusCode::REQUEST_TIMEOUT, "the request came too slowly\n").into_response();
    };
    let Ok(body) = read else {
        let text = "the request is too large\n";
        return (StatusCode::PAYLOAD_TOO_LARGE, text).into_response();
    };
    if !head.headers.contains_key(SESSION)
        && begins_session(&body)
        && sessions.sessions.read().await.len() >= MAX_SESSIONS
    {
        let text = "there are too many sessions\n";
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
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

/// The digest of the header that a request must bring.
#[derive(Clone)]
struct Wanted([u8; 32]);

/// Returns a digest: comparing two of them tells nothing of how much of a guess was right.
fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// Lets requests through that bring the token, once.
async fn admit(State(wanted): State<Wanted>, request: Request, next: Next) -> Response {
    let mut given = request.headers().get_all(AUTHORIZATION).iter();
    let first = given.next().and_then(|value| value.to_str().ok()).map(digest);
    let is_only = given.next().is_none();
    if first == Some(wanted.0) && is_only {
        return next.run(request).await;
    }
    let head = [(WWW_AUTHENTICATE, "Bearer")];
    (StatusCode::UNAUTHORIZED, head, "the bearer token is missing or wrong\n").into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    async fn serving() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let router = Router::new().route("/", axum::routing::get(|| async { "here" }));
        tokio::spawn(accept(listener, router));
        addr
    }

    async fn half_a_head(addr: SocketAddr) -> TcpStream {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ").await.unwrap();
        stream
    }

    async fn get(addr: SocketAddr) -> String {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// The clock stands still but for what is waited for, so nothing here takes its time.
    #[tokio::test(start_paused = true)]
    async fn whoever_sends_too_slowly_is_cut_off_and_keeps_nobody_out() {
        let addr = serving().await;
        let mut slow = half_a_head(addr).await;
        let mut rest = Vec::new();
        let began = tokio::time::Instant::now();
        // Whatever it is told, it is not kept.
        let _reset = slow.read_to_end(&mut rest).await;
        assert!(began.elapsed() >= MAX_HEAD && began.elapsed() < 2 * MAX_HEAD);
        let mut idle = Vec::new();
        for _ in 0..200 {
            idle.push(half_a_head(addr).await);
        }
        assert!(get(addr).await.ends_with("here"));
        drop(idle);
    }

    #[test]
    fn only_the_first_message_of_a_session_begins_one() {
        assert!(begins_session(br#"{"jsonrpc":"2.0","id":1,"method":"initialize"}"#));
        assert!(begins_session(br#"{"method":"initi\u0061lize"}"#));
        assert!(!begins_session(br#"{"method":"tools/list","params":{"method":"initialize"}}"#));
        assert!(!begins_session(b"[]"));
    }
}
