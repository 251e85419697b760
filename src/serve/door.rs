//! The door: the listener, TLS, and how many may come in and how slow they may be.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;

use crate::app::error::AppError;
use crate::app::faces::TlsFiles;

/// The most connections at once; others wait.
const MAX_CONNECTIONS: usize = 256;
/// The longest time for a handshake, and for the head of a request.
const HANDSHAKE: Duration = Duration::from_secs(10);
const HEAD: Duration = Duration::from_secs(10);
/// The most bytes of a head.
const MAX_HEAD: usize = 32 << 10;
const MAX_HEADERS: usize = 64;

/// Reads a certificate and its key.
///
/// # Errors
/// They cannot be read, or do not belong together.
pub(crate) fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, AppError> {
    let wrong = |what: &str, path: &std::path::Path, error: &dyn std::error::Error| {
        if let Err(error) = std::fs::metadata(path) {
            let message = format!("cannot read `{}`", path.display());
            return AppError::new("io", message).caused_by(&error);
        }
        let message = format!("`{}` is not {what}", path.display());
        AppError::new("invalid", message).caused_by(error).hint("both are files in the PEM format")
    };
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(|found| found.collect::<Result<Vec<_>, _>>())
        .map_err(|error| wrong("a certificate", &files.certificate, &error))?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| wrong("a key", &files.key, &error))?;
    // The provider is named, since a program may have compiled several.
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| wrong("the certificate of the key", &files.certificate, &error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Serves connections until `ended`, then lets what is under way end, at most so long.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    (ended, at_most): (impl Future<Output = ()>, Duration),
) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    tokio::pin!(ended);
    loop {
        // It is never closed; were it, connections would come without a limit.
        let permit = tokio::select! {
            permit = Arc::clone(&room).acquire_owned() => permit,
            () = &mut ended => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut ended => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "a connection could not be accepted");
                // Too many files are open, perhaps: give others time to end.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let watcher = graceful.watcher();
        let (router, tls) = (router.clone(), tls.clone());
        tokio::spawn(async move {
            let _permit = permit;
            let Some(tls) = tls else {
                return ended_well(watcher.watch(connection(stream, router)).await);
            };
            match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
                Ok(Ok(stream)) => ended_well(watcher.watch(connection(stream, router)).await),
                Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                Err(_) => tracing::debug!("a TLS handshake took too long"),
            }
        });
    }
    drop(listener);
    let _in_time = tokio::time::timeout(at_most, graceful.shutdown()).await;
}

fn ended_well(ended: Result<(), hyper::Error>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection was broken off");
    }
}

type Served<S> = http1::Connection<TokioIo<S>, TowerToHyperService<Router>>;

fn connection<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    router: Router,
) -> Served<S> {
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
}
