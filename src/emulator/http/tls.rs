//! TLS with a certificate that is made at the start, for clients that speak nothing else.
//!
//! The key of the authority signs one certificate and is forgotten: whoever trusts the authority
//! trusts this process and nobody later.

use std::fmt;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

/// The names that a certificate is always for.
const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// The time for which a certificate is valid: browsers refuse a longer one.
const LIFE: SignedDuration = SignedDuration::from_hours(365 * 24);

/// A certificate for this machine, with the authority that signed it.
pub struct Tls {
    pub(crate) acceptor: TlsAcceptor,
    authority: String,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl Tls {
    /// Makes an authority and a certificate for `localhost`, the loopback addresses, and more names
    /// or addresses.
    ///
    /// # Errors
    ///
    /// If a name cannot be in a certificate.
    pub fn new(names: &[String], now: Timestamp) -> io::Result<Self> {
        Self::make(names, now).map_err(io::Error::other)
    }

    /// Returns the certificate of the authority as PEM, for clients to trust.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    fn make(
        names: &[String],
        now: Timestamp,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let mut params = valid(CertificateParams::default(), now);
        params.distinguished_name.push(DnType::CommonName, "Planwright emulator, test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let authority = params.self_signed(&key)?;
        let issuer = Issuer::from_params(&params, &key);

        let mut all: Vec<String> = LOCAL.map(str::to_owned).to_vec();
        all.extend(names.iter().filter(|name| !LOCAL.contains(&name.as_str())).cloned());
        let mut params = valid(CertificateParams::new(all)?, now);
        params.distinguished_name.push(DnType::CommonName, "Planwright emulator");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &issuer)?;

        // The provider is named, since a program may have compiled several.
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()?
                .with_no_client_auth()
                .with_single_cert(
                    vec![certificate.der().clone()],
                    PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der())),
                )?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), authority: authority.pem() })
    }
}

/// Limits what a certificate says to a year from yesterday, for clocks that differ.
fn valid(mut params: CertificateParams, now: Timestamp) -> CertificateParams {
    let day = |moment: Timestamp| {
        let date = moment.to_zoned(TimeZone::UTC).date();
        // Months and days are positive.
        let (month, day) = (date.month().unsigned_abs(), date.day().unsigned_abs());
        rcgen::date_time_ymd(i32::from(date.year()), month, day)
    };
    params.not_before = day(now - SignedDuration::from_hours(24));
    params.not_after = day(now + LIFE);
    params
}

/// The bytes of a connection, in plain text or through TLS.
pub(crate) enum Stream {
    Plain(TcpStream),
    /// The handshake is not over. It goes on when the connection is read, so that a client that
    /// is slow at it holds up nobody else.
    Opening(Box<Accept<TcpStream>>),
    Open(Box<TlsStream<TcpStream>>),
    /// The handshake failed.
    Failed,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Opening(_) => "Opening",
            Self::Open(_) => "Open",
            Self::Failed => "Failed",
        })
    }
}

impl Stream {
    /// Carries the handshake on, if it is not over.
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self::Opening(accept) = self else { return Poll::Ready(Ok(())) };
        let opened = ready!(Pin::new(&mut **accept).poll(cx));
        match opened {
            Ok(stream) => {
                *self = Self::Open(Box::new(stream));
                Poll::Ready(Ok(()))
            }
            Err(error) => {
                tracing::debug!(%error, "a TLS handshake failed");
                *self = Self::Failed;
                Poll::Ready(Err(error))
            }
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_open(cx))?;
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Open(stream) => Pin::new(&mut **stream).poll_read(cx, buf),
            Self::Opening(_) | Self::Failed => Poll::Ready(Err(ErrorKind::NotConnected.into())),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_open(cx))?;
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Open(stream) => Pin::new(&mut **stream).poll_write(cx, buf),
            Self::Opening(_) | Self::Failed => Poll::Ready(Err(ErrorKind::NotConnected.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Open(stream) => Pin::new(&mut **stream).poll_flush(cx),
            // Nothing was written yet.
            Self::Opening(_) | Self::Failed => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Open(stream) => Pin::new(&mut **stream).poll_shutdown(cx),
            // A server that stops does not wait for a handshake.
            Self::Opening(_) | Self::Failed => Poll::Ready(Ok(())),
        }
    }
}
