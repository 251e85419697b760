//! Connections that can be broken on request: before an answer, or in the middle of one.
//!
//! Bytes pass through untouched until a handler breaks its own connection. The client then sees a
//! real loss, which no status could imitate.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;

use crate::emulator::http::tls::Stream;

/// A listener whose connections can break.
pub(crate) struct Listener {
    listener: TcpListener,
    /// The acceptor of TLS; plain text without one.
    tls: Option<TlsAcceptor>,
    /// The room for further connections. Who comes when there is none waits to be accepted.
    room: Arc<Semaphore>,
    /// Held by each connection, and not by the listener itself.
    under_way: Weak<()>,
}

/// The most connections at a time: each of them costs memory, whether or not it asks anything.
const MAX_CONNECTIONS: usize = 1_024;

impl Listener {
    pub(crate) fn new(
        listener: TcpListener,
        tls: Option<TlsAcceptor>,
        under_way: &Arc<()>,
    ) -> Self {
        let under_way = Arc::downgrade(under_way);
        Self { listener, tls, room: Arc::new(Semaphore::new(MAX_CONNECTIONS)), under_way }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("listener", &self.listener).finish_non_exhaustive()
    }
}

impl axum::serve::Listener for Listener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        // The semaphore is never closed.
        let place = Arc::clone(&self.room).acquire_owned().await.ok();
        let (stream, addr) = axum::serve::Listener::accept(&mut self.listener).await;
        // Answers are small and awaited one by one; to collect them would only add delay.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        let local = stream.local_addr().ok().map(|address| address.ip());
        let secure = self.tls.is_some();
        let stream = match &self.tls {
            Some(tls) => Stream::Opening(Box::new(tls.accept(stream))),
            None => Stream::Plain(stream),
        };
        let held = (place, self.under_way.upgrade());
        (Connection { stream, switch: KillSwitch::default(), local, secure, _held: held }, addr)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Stream,
    switch: KillSwitch,
    local: Option<IpAddr>,
    secure: bool,
    /// Its place among those that may be open, and the sign that it is, given back with it.
    _held: (Option<OwnedSemaphorePermit>, Option<Arc<()>>),
}

/// A switch that breaks the connection it belongs to.
#[derive(Debug, Clone, Default)]
pub(crate) struct KillSwitch(Arc<Mutex<State>>);

#[derive(Debug, Clone, Copy, Default)]
enum State {
    #[default]
    Whole,
    /// The head of an answer passes, then this many bytes of its body.
    Head(usize),
    /// This many bytes pass.
    Body(usize),
}

impl KillSwitch {
    /// Lets no more bytes through.
    pub(crate) fn close(&self) {
        *self.lock() = State::Body(0);
    }

    /// Lets the head of the next answer through, then this many bytes of its body.
    pub(crate) fn cut_body(&self, bytes: usize) {
        *self.lock() = State::Head(bytes);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connection of a request, as far as its handler knows it.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    pub(crate) switch: KillSwitch,
    /// The address of this machine that it came to.
    pub(crate) local: Option<IpAddr>,
    /// True for a connection through TLS.
    pub(crate) secure: bool,
}

impl Connected<IncomingStream<'_, Listener>> for Arrival {
    fn connect_info(stream: IncomingStream<'_, Listener>) -> Self {
        let connection = stream.io();
        let Connection { switch, local, secure, .. } = connection;
        Self { switch: switch.clone(), local: *local, secure: *secure }
    }
}

impl State {
    /// Returns how many of these bytes may pass; `None` if all of them and all that follow may.
    fn allowance(self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Whole => None,
            Self::Head(body) => {
                let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
                Some(end.map_or(bytes.len(), |end| end + 4 + body))
            }
            Self::Body(left) => Some(left),
        }
    }

    /// Returns the state after this many of these bytes have passed.
    fn after(self, bytes: &[u8], written: usize) -> Self {
        match self {
            Self::Whole => Self::Whole,
            Self::Head(body) => match bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                Some(end) if written >= end + 4 => Self::Body(body + end + 4 - written),
                _ => Self::Head(body),
            },
            Self::Body(left) => Self::Body(left - written),
        }
    }
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
        let state = *self.switch.lock();
        let Some(allowance) = state.allowance(buf) else {
            return Pin::new(&mut self.stream).poll_write(cx, buf);
        };
        let part = buf.get(..allowance.min(buf.len())).unwrap_or_default();
        if part.is_empty() {
            return Poll::Ready(Err(ErrorKind::ConnectionAborted.into()));
        }
        let result = Pin::new(&mut self.stream).poll_write(cx, part);
        // The stream may take only some of them: the rest is written, and counted, later.
        if let Poll::Ready(Ok(written)) = result {
            *self.switch.lock() = state.after(buf, written);
        }
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use axum::serve::Listener as _;
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn who_comes_when_there_is_no_room_waits() {
        let inner = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = inner.local_addr().unwrap();
        let mut listener = Listener {
            room: Arc::new(Semaphore::new(1)),
            ..Listener::new(inner, None, &Arc::default())
        };
        let _clients = [
            TcpStream::connect(address).await.unwrap(),
            TcpStream::connect(address).await.unwrap(),
        ];
        let (first, _) = listener.accept().await;
        tokio::select! {
            biased;
            _ = listener.accept() => panic!("there was no room"),
            () = std::future::ready(()) => {}
        }
        drop(first);
        let (_second, _) = listener.accept().await;
    }
}
