//! The HTTP server: a thin shell around [`Emulator::dispatch`], so that tests need no socket.
//!
//! It asks [`Access`](crate::emulator::Access) which requests to admit, limits the size of bodies
//! and turns a panic into a 500. It knows no rule of Planner.

use axum::Router;
use axum::body::{Body, HttpBody as _, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, Response};
use tokio::net::TcpListener;

use crate::emulator::control::Origin;
use crate::emulator::http::connection::{Arrival, Listener};
use crate::emulator::http::delivery::{Delivery, Reply};
use crate::emulator::http::tls::Tls;
use crate::emulator::service::Emulator;
use crate::emulator::state::graph_error::GraphError;

/// The size of the largest body that is read, as in Graph.
const MAX_BODY: usize = 4 * 1024 * 1024;

impl Emulator {
    /// Serves requests until `shutdown` completes; requests in flight are answered first.
    ///
    /// # Errors
    ///
    /// If the listener fails.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        let listener = Listener::new(listener, None, &self.under_way());
        self.serve_on(listener, shutdown).await
    }

    /// Serves requests through TLS, and otherwise as [`Emulator::serve`] does.
    ///
    /// # Errors
    ///
    /// If the listener fails.
    pub async fn serve_tls(
        self,
        listener: TcpListener,
        tls: &Tls,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        let tls = Some(tls.acceptor.clone());
        let listener = Listener::new(listener, tls, &self.under_way());
        self.serve_on(listener, shutdown).await
    }

    async fn serve_on(
        self,
        listener: Listener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        let router = Router::new().fallback(respond).with_state(self);
        let service = router.into_make_service_with_connect_info::<Arrival>();
        axum::serve(listener, service).with_graceful_shutdown(shutdown).await
    }
}

async fn respond(
    State(emulator): State<Emulator>,
    ConnectInfo(Arrival { switch, local, secure }): ConnectInfo<Arrival>,
    request: Request,
) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    // Before the body is read, so that a stranger's body takes no memory.
    if let Err(fault) = emulator.access().admit(&mut parts, local) {
        return emulator.refuse(fault).map(Body::from);
    }
    if secure {
        // As a proxy that ends TLS would say it, so that links in answers lead back.
        parts.headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
    }
    // A body that is announced as too large is refused without waiting for it.
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let bytes = if announced > MAX_BODY { None } else { to_bytes(body, MAX_BODY).await.ok() };
    let Some(bytes) = bytes else {
        let fault = GraphError::new(413, "RequestEntityTooLarge", "The request body is too large.");
        return emulator.refuse(fault).map(Body::from);
    };
    let request = axum::http::Request::from_parts(parts, bytes.to_vec());
    // SQLite blocks, and so may an observer: never on the threads that hold the sockets.
    let worker = emulator.clone();
    let job = tokio::task::spawn_blocking(move || {
        // It goes on if the client leaves.
        let _until_done = worker.under_way();
        worker.perform(request, Origin::Client)
    });
    let reply = job.await.unwrap_or_else(|error| {
        tracing::error!(%error, "a request handler panicked");
        Reply::from(emulator.refuse(GraphError::internal()))
    });
    if !reply.delay.is_zero() {
        tokio::time::sleep(reply.delay).await;
    }
    match reply.fate {
        Delivery::Whole => (),
        Delivery::Cut => switch.cut_body(reply.response.body().len() / 2),
        Delivery::Dropped => switch.close(),
    }
    reply.response.map(Body::from)
}
