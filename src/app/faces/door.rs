//! The door of every face that is reached over HTTP: TLS, how many may come in, and how slow they may be.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;

use crate::app::error::AppError;
use crate::app::faces::TlsFiles;
use crate::files;

/// The bounds on those who come in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// The most connections at once. Those that have asked nothing give way, then others wait.
    pub(crate) connections: usize,
    /// The longest time in which a client takes nothing of what is written to it.
    pub(crate) stalled: Duration,
}

impl Bounds {
    /// Returns the bounds for so many connections.
    pub(crate) const fn of(connections: usize) -> Self {
        Self { connections, stalled: Duration::from_secs(30) }
    }
}

/// The longest time for a handshake, and for the head of a request.
const HANDSHAKE: Duration = Duration::from_secs(10);
const HEAD: Duration = Duration::from_secs(10);
/// The time that a connection has to ask something, when there is no room for others.
const GRACE: Duration = Duration::from_millis(500);
/// The most bytes of a head.
const MAX_HEAD: usize = 32 << 10;
const MAX_HEADERS: usize = 64;
/// The most bytes of a certificate with its chain, and of a key.
const MAX_PEM: u64 = 1 << 20;

/// Reads a certificate and its key.
///
/// # Errors
/// They cannot be read, or do not belong together.
pub(crate) fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, AppError> {
    let wrong = |what: &str, path: &std::path::Path, error: &dyn std::error::Error| {
        let message = format!("`{}` is not {what}", path.display());
        AppError::new("invalid", message).caused_by(error).hint("both are files in the PEM format")
    };
    let read = |path: &std::path::Path| files::read(path, MAX_PEM).map_err(AppError::from);
    let (certificate, key) = (read(&files.certificate)?, read(&files.key)?);
    let chain = CertificateDer::pem_slice_iter(certificate.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| wrong("a certificate", &files.certificate, &error))?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
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
    (router, bounds): (Router, Bounds),
    (ended, at_most): (impl Future<Output = ()>, Duration),
) {
    let room = Arc::new(Semaphore::new(bounds.connections));
    let graceful = GracefulShutdown::new();
    let mut inside: Vec<Guest> = Vec::new();
    tokio::pin!(ended);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut ended => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => while_read(stream, bounds.stalled),
            Err(error) => {
                tracing::debug!(%error, "a connection could not be accepted");
                // Too many files are open, perhaps: give others time to end.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        inside.retain(|guest| !guest.task.is_finished());
        // It is never closed; were it, connections would come without a limit.
        let permit = tokio::select! {
            permit = Arc::clone(&room).acquire_owned() => permit,
            () = make_room(&mut inside) => Arc::clone(&room).acquire_owned().await,
            () = &mut ended => break,
        };
        let watcher = graceful.watcher();
        let is_welcome = Arc::new(AtomicBool::new(false));
        let asked = Asked { router: router.clone(), is_welcome: Arc::clone(&is_welcome) };
        let tls = tls.clone();
        let task = tokio::spawn(async move {
            let _permit = permit;
            let Some(tls) = tls else {
                return ended_well(watcher.watch(connection(stream, asked)).await);
            };
            match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
                Ok(Ok(stream)) => ended_well(watcher.watch(connection(stream, asked)).await),
                Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                Err(_) => tracing::debug!("a TLS handshake took too long"),
            }
        });
        inside.push(Guest { task: task.abort_handle(), since: Instant::now(), is_welcome });
    }
    drop(listener);
    let _in_time = tokio::time::timeout(at_most, graceful.shutdown()).await;
}

/// A connection. While it is not welcome, it gives way to others when there is no room.
struct Guest {
    task: AbortHandle,
    since: Instant,
    is_welcome: Arc<AtomicBool>,
}

/// Ends the oldest connection that is not welcome, once it has had time to ask: whoever comes and asks is not
/// kept out by those who only stand in the door. Waits for ever if all are welcome.
async fn make_room(inside: &mut Vec<Guest>) {
    loop {
        let at = inside.iter().position(|guest| !guest.is_welcome.load(Relaxed));
        let Some(at) = at else { return std::future::pending().await };
        tokio::time::sleep_until(inside[at].since + GRACE).await;
        if !inside[at].is_welcome.load(Relaxed) {
            inside.remove(at).task.abort();
            return;
        }
    }
}

/// The service of one connection, which is welcome while it is asked, and once it was asked well.
struct Asked {
    router: Router,
    is_welcome: Arc<AtomicBool>,
}

impl Service<Request<Incoming>> for Asked {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let was_welcome = self.is_welcome.swap(true, Relaxed);
        let is_welcome = Arc::clone(&self.is_welcome);
        let answer = TowerToHyperService::new(self.router.clone()).call(request);
        Box::pin(async move {
            let answer = answer.await?;
            let is_refused = answer.status().is_client_error();
            is_welcome.store(was_welcome || !is_refused, Relaxed);
            Ok(answer)
        })
    }
}

/// Bounds how long a client may take nothing of what is written to it. One that sends requests and reads no
/// answer would keep its connection for ever. It lies below TLS, whose records it sees as well; a stream of
/// events with nothing to tell writes nothing, and stays.
fn while_read(stream: TcpStream, stalled: Duration) -> Pin<Box<TimeoutStream<TcpStream>>> {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(stalled));
    Box::pin(stream)
}

fn ended_well(ended: Result<(), hyper::Error>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection was broken off");
    }
}

type Served<S> = http1::Connection<TokioIo<S>, Asked>;

fn connection<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    asked: Asked,
) -> Served<S> {
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), asked)
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::mpsc;
    use tokio_stream::StreamExt as _;
    use tokio_stream::wrappers::ReceiverStream;

    use super::*;

    const BOUNDS: Bounds = Bounds { connections: 1, stalled: Duration::from_secs(30) };
    /// More than the system keeps of what nobody reads.
    const MUCH: usize = 64 << 20;

    /// The clock of these tests stands still but for what is waited for, so nothing here takes its time.
    async fn serving(router: Router, bounds: Bounds) -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let until = (std::future::pending(), Duration::ZERO);
        tokio::spawn(serve(listener, None, (router, bounds), until));
        addr
    }

    fn router() -> Router {
        let much = || async { vec![b'x'; MUCH] };
        Router::new().route("/", get(|| async { "here" })).route("/much", get(much))
    }

    async fn sends(addr: std::net::SocketAddr, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    async fn asks(addr: std::net::SocketAddr, path: &str) -> TcpStream {
        sends(addr, &format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")).await
    }

    async fn text(mut stream: TcpStream) -> String {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn in_time<T>(work: impl Future<Output = T>) -> T {
        tokio::time::timeout(Duration::from_secs(3_600), work).await.expect("it is kept out")
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_reads_no_answer_is_cut_off_and_keeps_nobody_out() {
        let addr = serving(router(), BOUNDS).await;
        let began = tokio::time::Instant::now();
        let one = asks(addr, "/much").await;
        let next = in_time(text(asks(addr, "/").await)).await;
        assert!(next.ends_with("here"), "{next}");
        assert!(began.elapsed() >= BOUNDS.stalled && began.elapsed() < BOUNDS.stalled * 2);
        // The same with many requests for little each.
        let many = "GET / HTTP/1.1\r\nHost: h\r\n\r\n".repeat(1_000);
        let mut other = TcpStream::connect(addr).await.unwrap();
        let sending = async move { while other.write_all(many.as_bytes()).await.is_ok() {} };
        let sending = tokio::spawn(sending);
        let next = in_time(text(asks(addr, "/").await)).await;
        assert!(next.ends_with("here"), "{next}");
        in_time(sending).await.unwrap();
        drop(one);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_reads_slowly_gets_all_of_it() {
        let addr = serving(router(), BOUNDS).await;
        let mut stream = asks(addr, "/much").await;
        let began = tokio::time::Instant::now();
        // The clock goes on by itself where nobody has work, and a system that carries bytes is nobody.
        let busy = tokio::spawn(async {
            loop {
                tokio::task::yield_now().await;
            }
        });
        // More than the system keeps on the way, so that the server has to write for each part.
        let (mut part, mut n) = (vec![0; 16 << 20], 0);
        loop {
            let mut filled = 0;
            while filled < part.len() {
                match stream.read(&mut part[filled..]).await.unwrap() {
                    0 => break,
                    read => filled += read,
                }
            }
            n += filled;
            if filled < part.len() {
                break;
            }
            tokio::time::advance(BOUNDS.stalled * 9 / 10).await;
        }
        busy.abort();
        assert!(n > MUCH && began.elapsed() >= BOUNDS.stalled * 3, "{n}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_with_nothing_to_tell_stays() {
        let (tell, told) = mpsc::channel::<&str>(1);
        let body = Body::from_stream(ReceiverStream::new(told).map(Ok::<_, Infallible>));
        let body = Arc::new(std::sync::Mutex::new(Some(body)));
        let events = move || std::future::ready(body.lock().unwrap().take().unwrap());
        let addr = serving(Router::new().route("/", get(events)), BOUNDS).await;
        let stream = asks(addr, "/").await;
        tokio::time::sleep(BOUNDS.stalled * 100).await;
        tell.send("at last").await.unwrap();
        drop(tell);
        let all = text(stream).await;
        assert!(all.contains("at last"), "{all}");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_sends_too_slowly_is_cut_off_and_keeps_nobody_out() {
        const HALF: &str = "GET / HTTP/1.1\r\nHost: h\r\nX-Slow: ";
        let addr = serving(router(), Bounds::of(64)).await;
        let mut slow = sends(addr, HALF).await;
        let mut rest = Vec::new();
        let began = tokio::time::Instant::now();
        // Whatever it is told, it is not kept.
        let _reset = slow.read_to_end(&mut rest).await;
        assert!(began.elapsed() >= HEAD && began.elapsed() < 2 * HEAD);
        let mut idle = Vec::new();
        for _ in 0..200 {
            idle.push(sends(addr, HALF).await);
        }
        let began = tokio::time::Instant::now();
        assert!(text(asks(addr, "/").await).await.ends_with("here"));
        assert!(began.elapsed() < HEAD / 2, "it waits for those who only stand in the door");
        drop(idle);
    }

    /// Whoever is refused stands in the door like those who ask nothing; whoever was served stays.
    #[tokio::test(start_paused = true)]
    async fn only_who_was_served_keeps_the_place() {
        let keep = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
        let addr = serving(router(), Bounds::of(2)).await;
        let mut served = sends(addr, keep).await;
        let mut answer = [0; 16];
        served.read_exact(&mut answer).await.unwrap();
        let mut refused = sends(addr, &keep.replace("/ HTTP", "/nothing HTTP")).await;
        refused.read_exact(&mut answer).await.unwrap();
        assert!(text(asks(addr, "/").await).await.ends_with("here"));
        served.write_all(keep.as_bytes()).await.unwrap();
        let mut rest = [0; 64];
        assert!(served.read(&mut rest).await.unwrap() > 0);
    }
}
