//! The protocol on HTTP, for clients on this machine that bring the token.
//!
//! A page in a browser can reach a port of this machine too: so the names that it may be called by
//! and the origins of requests are checked, and nothing is answered without the token.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

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
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let listener = Limited { listener, room };
    let serving = async move { axum::serve(listener, router).await };
    tokio::select! {
        served = serving => Ok(served?),
        _signal = tokio::signal::ctrl_c() => Ok(()),
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
    let service =
        StreamableHttpService::new(make, Arc::new(LocalSessionManager::default()), config);
    Router::new().route_service(PATH, service)
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

/// A listener with room for so many connections.
struct Limited {
    listener: TcpListener,
    room: Arc<Semaphore>,
}

impl axum::serve::Listener for Limited {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        // It is never closed; were it, connections would come without a limit.
        let permit = Arc::clone(&self.room).acquire_owned().await.ok();
        let (stream, addr) = axum::serve::Listener::accept(&mut self.listener).await;
        (Connection { stream, _permit: permit }, addr)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection, which takes room as long as it lives.
struct Connection {
    stream: TcpStream,
    _permit: Option<OwnedSemaphorePermit>,
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
