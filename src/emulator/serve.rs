//! The HTTP shell: sockets in, [`Emulator::dispatch`] behind, nothing in between.
//!
//! It bounds the size of bodies and turns a panic into a 500. No rule of Planner is known here.

use axum::Router;
use axum::body::{Body, HttpBody as _, to_bytes};
use axum::extract::{Request, State};
use axum::http::Response;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;

use crate::emulator::fault::Fault;
use crate::emulator::service::Emulator;

/// The largest body that is read, as in Graph.
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
        // Answers are small and awaited one by one: no reason to collect them.
        let listener = listener.tap_io(|stream| {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "cannot set TCP_NODELAY");
            }
        });
        let router = Router::new().fallback(respond).with_state(self);
        axum::serve(listener, router).with_graceful_shutdown(shutdown).await
    }
}

async fn respond(State(emulator): State<Emulator>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    // A body announced as too large is not waited for.
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let bytes = if announced > MAX_BODY { None } else { to_bytes(body, MAX_BODY).await.ok() };
    let Some(bytes) = bytes else {
        let fault = Fault::new(413, "RequestEntityTooLarge", "The request body is too large.");
        return emulator.refuse(fault).map(Body::from);
    };
    let request = axum::http::Request::from_parts(parts, bytes.to_vec());
    let worker = emulator.clone();
    let job = tokio::task::spawn_blocking(move || worker.dispatch(request));
    let response = job.await.unwrap_or_else(|error| {
        tracing::error!(%error, "a request handler panicked");
        emulator.refuse(Fault::internal())
    });
    response.map(Body::from)
}
