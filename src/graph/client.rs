//! The client: one method for each kind of request, with one place that sends.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, IF_MATCH, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use tokio::time::Instant;
use url::Url;

use crate::graph::address::BaseUrl;
use crate::graph::allowance::Allowance;
use crate::graph::client::signed::{Failure, authorization};
use crate::graph::error::Error;
use crate::graph::gate::Gate;
use crate::graph::proxy::Proxy;
use crate::graph::retry::{
    Failed, MAX_WAIT, Patience, Repeat, http_date, next_wait, parse_retry_after,
};
use crate::graph::secret::Secret;
use crate::graph::tokens::{Fixed, Refused, Tokens, claims_of};
use crate::graph::transport::{Outgoing, Transport};
use crate::wire::page::MAX_ITEMS;
use crate::wire::{ApiError, DecodeError, Decoded, Json, Method, Page, Request};

/// A plan has at most 9,000 tasks, about 23 pages of 400 (planner-api.md 6.5, 8.2).
pub(crate) const MAX_PAGES: usize = 1000;

/// A client of one Graph service in the name of one identity. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    transport: Transport,
    base: BaseUrl,
    tokens: Arc<dyn Tokens>,
    counts: Arc<Counters>,
    gate: Arc<Gate>,
    patience: Patience,
    /// The most memory that its reads may hold, where they belong together.
    allowance: Option<Allowance>,
    /// The last reading of the service's clock, and the moment of it here.
    clock: Arc<Mutex<Option<(Timestamp, Instant)>>>,
}

#[derive(Debug, Default)]
struct Counters {
    requests: AtomicU64,
    retries: AtomicU64,
    /// The requests sent, while a log is kept.
    log: Mutex<Option<Vec<Sent>>>,
}

/// A request that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The method.
    pub method: &'static str,
    /// The path, with the query.
    pub path: String,
    /// The status of the answer, if one came.
    pub status: Option<u16>,
    /// The time it took.
    pub took: Duration,
}

/// The most requests that are kept in the log.
const MAX_LOG: usize = 1000;
/// The text in the place of a token.
const REDACTED: &str = "[redacted]";

/// The numbers of requests so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Requests sent, repeats included.
    pub requests: u64,
    /// Repeats.
    pub retries: u64,
}

/// A write that did not end well.
#[derive(Debug)]
pub struct WriteError {
    /// The error that ended it.
    pub error: Error,
    /// True if it may have been carried out all the same, by the last attempt or one before
    /// (design.md 2.4).
    pub in_doubt: bool,
}

/// One answer of the service.
pub(crate) struct ServiceAnswer {
    pub(crate) body: Option<Json>,
    /// Its time by the service's clock.
    pub(crate) date: Option<String>,
    /// The token that it was asked for with.
    pub(crate) token: Secret,
}

impl Client {
    /// Makes a client that asks the service without a proxy; nothing is sent yet.
    ///
    /// # Errors
    /// The token cannot be a header, or the system offers no TLS.
    pub fn new(base: BaseUrl, token: &Secret) -> Result<Self, Error> {
        Self::through(base, token, None)
    }

    /// Makes a client that asks the service through a proxy, if one is given.
    ///
    /// # Errors
    /// The token cannot be a header, or the system offers no TLS.
    pub fn through(base: BaseUrl, token: &Secret, proxy: Option<&Proxy>) -> Result<Self, Error> {
        // A bad token is reported at once, not by the first request.
        authorization(token)?;
        Self::signed_in(base, Arc::new(Fixed(token.clone())), proxy)
    }

    /// Makes a client that asks for a token before each request.
    ///
    /// # Errors
    /// The system offers no TLS.
    pub fn signed_in(
        base: BaseUrl,
        tokens: Arc<dyn Tokens>,
        proxy: Option<&Proxy>,
    ) -> Result<Self, Error> {
        let transport = Transport::http(&base, proxy)?;
        Ok(Self::by(transport, base, tokens))
    }

    fn by(transport: Transport, base: BaseUrl, tokens: Arc<dyn Tokens>) -> Self {
        Self {
            transport,
            base,
            tokens,
            counts: Arc::default(),
            gate: Arc::default(),
            patience: Patience::Short,
            allowance: None,
            clock: Arc::default(),
        }
    }

    /// Makes a client of a model of the service.
    #[cfg(test)]
    pub(crate) fn of_model(
        base: BaseUrl,
        token: &Secret,
        model: Arc<dyn crate::graph::transport::Model>,
    ) -> Result<Self, Error> {
        authorization(token)?;
        Ok(Self::by(Transport::Model(model), base, Arc::new(Fixed(token.clone()))))
    }

    /// Makes a client of a model of the service, with a source of tokens.
    #[cfg(test)]
    pub(crate) fn of_model_with(
        base: BaseUrl,
        tokens: Arc<dyn Tokens>,
        model: Arc<dyn crate::graph::transport::Model>,
    ) -> Self {
        Self::by(Transport::Model(model), base, tokens)
    }

    /// Returns the same client for a run that has begun to write: it waits for its reads as long as
    /// for its writes.
    pub(crate) fn patient(&self) -> Self {
        Self { patience: Patience::Long, ..self.clone() }
    }

    /// Returns the same client for one session, whose reads share an allowance.
    pub(crate) fn for_session(&self) -> Self {
        self.with_allowance(Allowance::default())
    }

    pub(crate) fn with_allowance(&self, allowance: Allowance) -> Self {
        Self { allowance: Some(allowance), ..self.clone() }
    }

    /// Returns the same client with an allowance: that of its session, or else a new one for the
    /// reads at hand.
    pub(crate) fn rationed(&self) -> Self {
        if self.allowance.is_some() { self.clone() } else { self.for_session() }
    }

    pub(crate) const fn patience(&self) -> Patience {
        self.patience
    }

    /// Returns the deadline of a read that begins now.
    pub(crate) fn until(&self) -> Instant {
        Instant::now() + self.patience.of_one()
    }

    /// Returns the service's address.
    #[must_use]
    pub const fn base(&self) -> &BaseUrl {
        &self.base
    }

    /// Returns the numbers of requests so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            requests: self.counts.requests.load(Ordering::Relaxed),
            retries: self.counts.retries.load(Ordering::Relaxed),
        }
    }

    /// Returns the time by the service's clock, as its answers tell it: never later than the real
    /// one there. If no answer has told it yet, `here` is the best guess.
    #[must_use]
    pub fn service_time(&self, here: Timestamp) -> Timestamp {
        let clock = *self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        // A `Date` is cut to whole seconds and was sent before it arrived, so the sum is never
        // ahead.
        let then = clock.and_then(|(then, at)| then.checked_add(at.elapsed()).ok());
        then.unwrap_or(here)
    }

    /// Begins a log of the requests sent; returns the log since the last call.
    #[must_use]
    pub fn take_log(&self) -> Vec<Sent> {
        let mut log = self.counts.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.replace(Vec::new()).unwrap_or_default()
    }

    fn note(&self, request: &Request, url: &Url, began: Instant, status: Option<u16>) {
        let mut log = self.counts.log.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(log) = log.as_mut().filter(|log| log.len() < MAX_LOG) else { return };
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        let (method, path) = (request.method().as_str(), format!("{}{query}", url.path()));
        log.push(Sent { method, path, status, took: began.elapsed() });
    }

    /// Reads one object.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn read<T: Decoded>(&self, request: &Request) -> Result<T, Error> {
        self.read_before(request, &self.url(request)?, self.until()).await
    }

    /// Reads one object at an address, with a deadline that can only shorten the usual one.
    pub(crate) async fn read_before<T: Decoded>(
        &self,
        request: &Request,
        url: &Url,
        until: Instant,
    ) -> Result<T, Error> {
        let until = until.min(self.until());
        let answer = self.send_again(request, url, until).await.map_err(|failed| failed.error)?;
        self.decode(request, answer.body, T::decode)
    }

    pub(crate) fn count_retry(&self) {
        self.counts.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// Reads a list to its end, following every `@odata.nextLink` at this origin.
    ///
    /// # Errors
    /// See [`Error`]; also if the list leads to another origin, goes round in circles, or is larger
    /// than any of Planner's.
    pub async fn list<T: Decoded>(&self, request: &Request) -> Result<Vec<T>, Error> {
        let client = self.rationed();
        let until = Instant::now() + self.patience.of_list();
        let mut items = Vec::new();
        let mut url = self.url(request)?;
        let mut seen = BTreeSet::new();
        loop {
            // A link that comes again would be followed for ever.
            if seen.len() >= MAX_PAGES || !seen.insert(url.to_string()) {
                return Err(Error::EndlessList(MAX_PAGES));
            }
            // Each page has a deadline of its own, within that of the list.
            let until = until.min(self.until());
            let answer =
                client.send_again(request, &url, until).await.map_err(|failed| failed.error)?;
            let page = self.decode(request, answer.body, Page::<T>::decode)?;
            items.extend(page.items);
            if items.len() > MAX_ITEMS {
                return Err(Error::TooManyItems(MAX_ITEMS));
            }
            let Some(next) = page.next else { return Ok(items) };
            url = self.own(&next)?;
        }
    }

    /// Returns a link of the service without its origin, which may change: the embedded service has
    /// another port each time.
    pub(crate) fn relative(&self, link: &str) -> Result<String, Error> {
        let url = self.own(link)?;
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        Ok(format!("{}{query}", url.path()))
    }

    /// Returns the address of a link of the service, if it stays at its origin.
    pub(crate) fn own(&self, link: &str) -> Result<Url, Error> {
        self.base.own(link).ok_or_else(|| Error::ForeignLink {
            origin: self.base.origin(),
            link: link.chars().take(200).collect(),
        })
    }

    /// Sends a write. Returns the new state of the object, if the answer holds it.
    ///
    /// A conditional write in doubt is sent again with the *same* tag, so that the service decides;
    /// a create never is.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn write<T: Decoded>(&self, request: &Request) -> Result<Option<T>, WriteError> {
        self.write_as(request, &uuid::Uuid::now_v7().to_string()).await
    }

    /// Sends a write under a request id given by the caller, which the first attempt carries; each
    /// repeat has a new one.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn write_as<T: Decoded>(
        &self,
        request: &Request,
        id: &str,
    ) -> Result<Option<T>, WriteError> {
        let sure = |error| WriteError { error, in_doubt: false };
        let url = self.url(request).map_err(sure)?;
        let answer = self.send_again_as(request, &url, id.to_owned(), None).await?;
        match answer.body {
            None => Ok(None),
            some => self
                .decode(request, some, T::decode)
                .map(Some)
                .map_err(|error| WriteError { error, in_doubt: true }),
        }
    }

    pub(crate) fn url(&self, request: &Request) -> Result<Url, Error> {
        self.base.join(request.path()).map_err(|_| Error::NotGraph {
            origin: self.base.origin(),
            got: "an invalid address".to_owned(),
        })
    }

    pub(crate) fn decode<T>(
        &self,
        request: &Request,
        body: Option<Json>,
        decode: impl FnOnce(&str) -> Result<T, DecodeError>,
    ) -> Result<T, Error> {
        let Some(body) = body else {
            return Err(Error::NotGraph {
                origin: self.base.origin(),
                got: "an empty answer".into(),
            });
        };
        decode(body.as_str()).map_err(|source| Error::Decode {
            request: format!("{} {}", request.method().as_str(), request.path()),
            source,
        })
    }

    /// Sends a request until it is answered, or until a deadline.
    pub(crate) async fn send_again(
        &self,
        request: &Request,
        url: &Url,
        until: Instant,
    ) -> Result<ServiceAnswer, WriteError> {
        self.send_again_as(request, url, uuid::Uuid::now_v7().to_string(), Some(until)).await
    }

    async fn send_again_as(
        &self,
        request: &Request,
        url: &Url,
        mut id: String,
        until: Option<Instant>,
    ) -> Result<ServiceAnswer, WriteError> {
        let repeat = match request.method() {
            // A batch of reads is a POST, and harmless all the same.
            _ if request.is_read() => Repeat::Harmless,
            Method::Get | Method::Patch | Method::Delete => Repeat::Harmless,
            // Archiving is a POST under a tag (planner-api.md 2.9), which keeps it from happening
            // twice.
            Method::Post if request.if_match().is_some() => Repeat::Harmless,
            Method::Post => Repeat::OnlyIfNotDone,
        };
        let mut in_doubt = false;
        let mut attempt = 1;
        loop {
            let (error, retry_after) = match self.send(request, url, &id, until).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            // Once in doubt, always in doubt: a later refusal says nothing about an earlier
            // attempt.
            in_doubt |= error.leaves_doubt() && !request.is_read();
            let left = until
                .map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
            let failed = Failed { error: &error, repeat, attempt, retry_after, left };
            match next_wait(failed, spread()) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Err(WriteError { error, in_doubt }),
            }
            self.count_retry();
            attempt += 1;
            // A new id for each attempt tells them apart in the service's logs
            // (planner-api.md 9.3).
            id = uuid::Uuid::now_v7().to_string();
        }
    }

    /// Closes the gate for everybody as long as the service asks for, unless that is longer than
    /// anyone would wait.
    pub(crate) fn heed(&self, error: &Error, retry_after: Option<Duration>) {
        if let Some(wait) = retry_after.filter(|wait| *wait <= MAX_WAIT)
            && error.is_unavailable()
        {
            self.gate.close(wait);
        }
    }

    /// Sends a request once. Of its address only the path is told: a query may hold somebody's name.
    #[tracing::instrument(
        name = "request",
        skip_all,
        fields(
            otel.kind = "client",
            http.request.method = request.method().as_str(),
            url.path = url.path(),
            http.response.status_code,
        )
    )]
    async fn send_now(
        &self,
        request: &Request,
        url: &Url,
        id: &str,
        until: Option<Instant>,
        token: &Secret,
    ) -> Result<ServiceAnswer, Failure> {
        self.gate.pass(until).await.map_err(|wait| {
            let (origin, seconds) = (self.base.origin(), wait.as_secs().max(1));
            Error::AskedToWait { origin, seconds }
        })?;
        self.counts.requests.fetch_add(1, Ordering::Relaxed);
        let method = request.method().as_str();
        let verb = reqwest::Method::from_bytes(method.as_bytes()).unwrap_or_default();
        let headers = self.headers(request, id, token)?;
        let (origin, began) = (self.base.origin(), Instant::now());
        let body = request.body().map(ToString::to_string);
        let outgoing = Outgoing { method: verb, url: url.clone(), headers, body };
        let carry = self.transport.carry(&self.base, outgoing);
        let carried = match until {
            // Writes have no deadline: giving up early would only leave them in doubt. The
            // transport has a timeout of its own.
            None => carry.await,
            Some(until) => tokio::time::timeout_at(until, carry).await.unwrap_or_else(|_| {
                let seconds = self.patience.of_one().as_secs();
                Err(Error::NoAnswer { origin: origin.clone(), seconds })
            }),
        };
        self.note(request, url, began, carried.as_ref().ok().map(|incoming| incoming.status));
        let incoming = carried?;
        let status = incoming.status;
        tracing::Span::current().record("http.response.status_code", status);
        let text = |name: &str| {
            incoming.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        let (request_id, content_type) = (text("request-id"), text(CONTENT_TYPE.as_str()));
        let date = text(DATE.as_str());
        if let Some(then) = date.as_deref().and_then(http_date) {
            let clock = Some((then, Instant::now()));
            *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = clock;
        }
        let retry_after =
            text(RETRY_AFTER.as_str()).and_then(|text| parse_retry_after(&text, date.as_deref()));
        tracing::debug!(method, path = url.path(), status, id, request_id, "answered");
        let body = without(token, incoming.body);
        if !(200..300).contains(&status) {
            // Graph does not redirect, so this is a portal or a wrong address; following it would
            // carry the token there.
            let error = if (300..400).contains(&status) {
                Error::NotGraph { origin, got: format!("a redirect ({status})") }
            } else {
                Error::Refused(ApiError::read(status, request_id, &body))
            };
            let refused = error.is_unauthorized().then(|| Refused {
                token: token.clone(),
                claims: text(WWW_AUTHENTICATE.as_str()).as_deref().and_then(claims_of),
            });
            return Err(Failure { error, retry_after, refused });
        }
        if status == 204 || body.is_empty() {
            return Ok(ServiceAnswer { body: None, date, token: token.clone() });
        }
        let Some(body) = String::from_utf8(body).ok().and_then(|text| Json::parse(text).ok())
        else {
            let got = content_type.map(|text| text.replace(token.reveal(), REDACTED));
            let got = got.unwrap_or_else(|| "something".to_owned());
            // The header comes from an unknown server and is shown on a terminal.
            let got = got.chars().filter(|ch| !ch.is_control()).take(60).collect();
            let error = Error::NotGraph { origin, got };
            return Err(Failure { error, retry_after, refused: None });
        };
        // Only reads count: a write was carried out, and its answer must not be refused.
        if let Some(allowance) = self.allowance.as_ref().filter(|_| request.is_read()) {
            allowance.take(&body)?;
        }
        Ok(ServiceAnswer { body: Some(body), date, token: token.clone() })
    }

    /// Returns the `Prefer` header of reads: without it a roster container comes as
    /// `unknownFutureValue` (planner-api.md trap 32).
    pub(crate) fn prefers(&self) -> Option<&'static str> {
        self.base.is_beta().then_some("include-unknown-enum-members")
    }

    fn headers(&self, request: &Request, id: &str, token: &Secret) -> Result<HeaderMap, Error> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, authorization(token)?);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Ok(id) = HeaderValue::from_str(id) {
            headers.insert("client-request-id", id);
        }
        if request.body().is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(etag) = request.if_match() {
            let value = HeaderValue::from_str(etag.as_str()).map_err(|_| Error::Decode {
                request: format!("{} {}", request.method().as_str(), request.path()),
                source: DecodeError::NoETag,
            })?;
            headers.insert(IF_MATCH, value);
        }
        // Without it a PATCH answers 204, and the new tag stays unknown (planner-api.md 3.7).
        if request.method() == Method::Patch {
            headers.insert("Prefer", HeaderValue::from_static("return=representation"));
        } else if let Some(prefer) = self.prefers() {
            headers.insert("Prefer", HeaderValue::from_static(prefer));
        }
        Ok(headers)
    }
}

/// Returns a random number in 0..1, which differs between clients.
pub(crate) fn spread() -> f64 {
    f64::from(uuid::Uuid::new_v4().as_fields().0) / f64::from(u32::MAX)
}

/// Takes the token out of an answer: a service, or something before it, that repeats what it was sent would
/// put it into error texts, scripts and the journal.
fn without(token: &Secret, body: Vec<u8>) -> Vec<u8> {
    match str::from_utf8(&body) {
        Ok(text) if !token.reveal().is_empty() && text.contains(token.reveal()) => {
            text.replace(token.reveal(), REDACTED).into_bytes()
        }
        _ => body,
    }
}

mod signed;
#[cfg(test)]
mod tests;
