//! The transport of requests and answers. Apart from the client, so that tests can put a model of
//! the service in its place.

use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Method, Url};

use crate::graph::address::BaseUrl;
use crate::graph::error::Error;
use crate::graph::proxy::Proxy;

/// The largest answer that is read, above any that Planner gives: a page of 400 tasks is below one
/// MiB, and twenty descriptions of the greatest length are below four.
const MAX_ANSWER: usize = 16 << 20;
/// The longest wait for an answer.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// A request on its way.
#[derive(Clone)]
pub(crate) struct Outgoing {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<String>,
}

/// An answer that has arrived in full.
pub(crate) struct Incoming {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// The way to a service.
#[derive(Clone)]
pub(crate) enum Transport {
    Http(reqwest::Client),
    /// A model of the service in the same process, in virtual time.
    #[cfg(test)]
    Model(std::sync::Arc<dyn Model>),
}

/// A model of the service and of the way to it.
#[cfg(test)]
pub(crate) trait Model: Send + Sync {
    /// Carries a request there and its answer back; `None` if no answer comes.
    fn carry(
        &self,
        request: Outgoing,
    ) -> std::pin::Pin<Box<dyn Future<Output = Option<Incoming>> + Send>>;
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Transport")
    }
}

impl Transport {
    /// Makes the way over HTTP, through a proxy if one is given.
    pub(crate) fn http(base: &BaseUrl, proxy: Option<&Proxy>) -> Result<Self, Error> {
        let failed = |source| Error::Unreachable { origin: base.origin(), source };
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("planwright/", env!("CARGO_PKG_VERSION")))
            // Graph does not redirect; following would carry the token elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            // `retry` and the apply machine decide about repeats, since they know what a repeat may
            // do.
            .retry(reqwest::retry::never())
            .connect_timeout(Duration::from_secs(10))
            .timeout(TIMEOUT)
            // No proxy of the environment or system by default: `Proxy` decides which may be used.
            .no_proxy();
        if let Some(proxy) = proxy.filter(|_| !base.is_loopback()) {
            builder = builder.proxy(reqwest::Proxy::all(proxy.url().clone()).map_err(failed)?);
        }
        if base.is_plain() {
            // Reading the certificates of the system takes longer than the first requests.
            builder = builder.tls_certs_only([]);
        }
        builder.build().map(Self::Http).map_err(failed)
    }

    /// Sends a request once and waits for the whole answer.
    pub(crate) async fn carry(&self, base: &BaseUrl, request: Outgoing) -> Result<Incoming, Error> {
        match self {
            Self::Http(http) => {
                let mut outgoing =
                    http.request(request.method, request.url).headers(request.headers);
                if let Some(body) = request.body {
                    outgoing = outgoing.body(body);
                }
                let incoming = outgoing.send().await.map_err(|error| lost(base, error))?;
                whole(base, incoming).await
            }
            #[cfg(test)]
            Self::Model(model) => {
                let answer = tokio::time::timeout(TIMEOUT, model.carry(request)).await;
                answer.ok().flatten().ok_or_else(|| {
                    static NOBODY: std::sync::LazyLock<reqwest::Client> =
                        std::sync::LazyLock::new(reqwest::Client::new);
                    let nowhere = NOBODY.get("no address").build();
                    lost(base, nowhere.expect_err("it is none"))
                })
            }
        }
    }
}

/// Makes a client for a collector of OpenTelemetry. It follows nobody elsewhere, and asks no proxy: the headers
/// that the environment has for the collector are for nobody else.
#[cfg(feature = "otlp")]
pub(crate) fn for_collector(
    patience: Duration,
) -> Result<reqwest::blocking::Client, reqwest::Error> {
    reqwest::blocking::Client::builder()
        .timeout(patience)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
}

fn lost(base: &BaseUrl, source: reqwest::Error) -> Error {
    let (origin, source) = (base.origin(), source.without_url());
    if source.is_connect() {
        Error::Unreachable { origin, source }
    } else {
        Error::Interrupted { origin, source }
    }
}

async fn whole(base: &BaseUrl, mut incoming: reqwest::Response) -> Result<Incoming, Error> {
    let mut body = Vec::new();
    while let Some(chunk) = incoming.chunk().await.map_err(|error| lost(base, error))? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(Error::TooLarge(MAX_ANSWER));
        }
        body.extend_from_slice(&chunk);
    }
    let (status, headers) = (incoming.status().as_u16(), std::mem::take(incoming.headers_mut()));
    Ok(Incoming { status, headers, body })
}
