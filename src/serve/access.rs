//! Access: who asks, and whether a request may be looked at. Tokens, sessions, and the headers that a
//! browser sends.
//!
//! A page in any browser can reach a port of this machine, so the name a server is called by and the
//! origin of a request are checked before anything else (design.md 8).

pub(crate) mod sessions;
mod tokens;

use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Instant;

use axum::http::header::{AUTHORIZATION, COOKIE, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName, Method, Uri};

use crate::app::error::AppError;
use crate::app::settings::Settings;
use crate::app::token;
use crate::app::token::serve_tokens::{self, KeptToken, OfUser, Role, digest};
use crate::serve::access::sessions::{Session, Sessions};
use crate::serve::access::tokens::Tokens;
use crate::serve::unpoisoned::unpoisoned;

/// A person, or a program that acts for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Who {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// The user of the service that they are, if that is known.
    pub(crate) user: Option<OfUser>,
    /// The secret that forms must bring, if a session is the way they came in.
    pub(crate) csrf: Option<String>,
    /// The digest of the session or token, to see later whether it still holds.
    pub(crate) by: String,
}

/// The one who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Caller {
    Nobody,
    Person(Who),
    /// An agent, which gets to `/mcp` and nowhere else.
    Agent(String),
}

/// The place where a server is to be found.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) addr: SocketAddr,
    pub(crate) tls: bool,
    pub(crate) behind_proxy: bool,
    pub(crate) names: Vec<String>,
}

impl Place {
    /// Returns whether only this machine can reach it.
    pub(crate) fn is_local(&self) -> bool {
        self.addr.ip().is_loopback() && !self.behind_proxy
    }

    /// Returns its address for people.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        match self.names.first() {
            Some(name) if self.behind_proxy => format!("https://{name}"),
            Some(name) if !self.addr.ip().is_loopback() => {
                format!("{scheme}://{name}:{}", self.addr.port())
            }
            _ => format!("{scheme}://{}", self.addr),
        }
    }

    /// Returns whether a browser speaks TLS to it, so that its cookie must never go out without.
    pub(crate) fn is_secure(&self) -> bool {
        self.tls || self.behind_proxy
    }

    fn is_called(&self, host: &str) -> bool {
        let port = self.addr.port();
        let host = host.to_ascii_lowercase();
        if !self.is_local() && self.names.is_empty() {
            return !host.is_empty();
        }
        let own = ["127.0.0.1", "localhost", "[::1]"].iter().map(|name| format!("{name}:{port}"));
        let named = self.names.iter().flat_map(|name| {
            let name = name.to_ascii_lowercase();
            [format!("{name}:{port}"), name]
        });
        // A default port is left out.
        own.chain(named).any(|name| name == host)
    }

    fn is_own(&self, origin: &str, host: &str) -> bool {
        let of = |scheme: &str| origin.eq_ignore_ascii_case(&format!("{scheme}://{host}"));
        if self.behind_proxy { of("https") || of("http") } else { of(self.scheme()) }
    }

    const fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }
}

/// The one value of a header; `Err` if it comes twice or is no text.
fn only(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, ()> {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(());
    }
    first.to_str().map(Some).map_err(|_| ())
}

/// The access to a server.
pub(crate) struct Access {
    settings: Settings,
    pub(crate) place: Place,
    tokens: Mutex<Tokens>,
    sessions: Sessions,
    /// The digest of the code that signs in once, and the person who gets in by it.
    once: Mutex<Option<(String, OfUser)>>,
}

fn foreign(message: &str) -> AppError {
    AppError::new("foreign_request", message)
}

impl Access {
    pub(crate) fn new(settings: Settings, place: Place) -> Self {
        Self {
            settings,
            place,
            tokens: Mutex::default(),
            sessions: Sessions::default(),
            once: Mutex::default(),
        }
    }

    /// Makes the code of the link that signs in once whoever has started the server.
    ///
    /// # Errors
    /// The system has no random bytes.
    pub(crate) fn make_code(&self, me: OfUser) -> Result<String, AppError> {
        let code = token::random()?;
        *unpoisoned(&self.once) = Some((digest(&code), me));
        Ok(code)
    }

    /// Refuses a request under a foreign name, or from a page that is not the server's own.
    ///
    /// # Errors
    /// It is one.
    pub(crate) fn check(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<(), AppError> {
        let host = only(headers, HOST).map_err(|()| foreign("the Host header comes twice"))?;
        let host = host.ok_or_else(|| foreign("there is no Host header"))?;
        let is_other = uri.authority().is_some_and(|named| named.as_str() != host);
        if is_other || !self.place.is_called(host) {
            return Err(foreign("this server does not go by that name"));
        }
        match only(headers, ORIGIN) {
            Ok(None) => {}
            Ok(Some(origin)) if self.place.is_own(origin, host) => {}
            _ => return Err(foreign("the request comes from a page of somebody else")),
        }
        let site = only(headers, HeaderName::from_static("sec-fetch-site"));
        let is_own = matches!(site, Ok(None | Some("same-origin" | "none")));
        if !is_own && !matches!(*method, Method::GET | Method::HEAD) {
            return Err(foreign("the request comes from a page of somebody else"));
        }
        Ok(())
    }

    /// Finds out who asks. A bearer token counts before a cookie.
    pub(crate) fn caller(&self, headers: &HeaderMap) -> Caller {
        match only(headers, AUTHORIZATION) {
            Err(()) => return Caller::Nobody,
            Ok(Some(value)) => {
                let caller = token::bearer(value).and_then(|token| self.by_token(token));
                return caller.unwrap_or(Caller::Nobody);
            }
            Ok(None) => {}
        }
        let Some(session) = self.session(headers) else { return Caller::Nobody };
        Caller::Person(Who {
            name: session.name,
            role: session.role,
            user: session.user,
            csrf: Some(session.csrf),
            by: session.digest,
        })
    }

    fn by_token(&self, token: &str) -> Option<Caller> {
        let kept = self.token(&digest(token))?;
        Some(match kept.role {
            Some(role) => {
                let KeptToken { name, user, digest: by, .. } = kept;
                Caller::Person(Who { name, role, user, csrf: None, by })
            }
            None => Caller::Agent(kept.name),
        })
    }

    /// Finds a token by its digest.
    fn token(&self, digest: &str) -> Option<KeptToken> {
        unpoisoned(&self.tokens).find(digest, Instant::now(), || serve_tokens::all(&self.settings))
    }

    /// Finds the session of a request, if the token by which it was opened still holds.
    fn session(&self, headers: &HeaderMap) -> Option<Session> {
        let wanted = self.cookie_name();
        let cookies = only(headers, COOKIE).ok()??;
        let pairs = cookies.split(';').filter_map(|pair| pair.trim().split_once('='));
        let mut values = pairs.filter(|(name, _)| *name == wanted).map(|(_, value)| value);
        let value = values.next().filter(|_| values.next().is_none())?;
        let session = self.sessions.find(&digest(value))?;
        match &session.token {
            Some(of) => self.token(of).is_some().then_some(session),
            None => Some(session),
        }
    }

    /// Returns whether whoever came in so may still be here.
    pub(crate) fn still_holds(&self, who: &Who) -> bool {
        // A page that is open is not a person who does something.
        match self.sessions.token_of(&who.by) {
            Some(token) => token.is_none_or(|of| self.token(&of).is_some()),
            None => self.token(&who.by).is_some(),
        }
    }

    fn cookie_name(&self) -> String {
        if self.place.is_secure() {
            // A name that a browser takes only over TLS, and for this host alone.
            "__Host-planwright".to_owned()
        } else {
            // Cookies know no ports, and two servers on one machine do.
            format!("planwright-{}", self.place.addr.port())
        }
    }

    fn cookie(&self, value: &str, more: &str) -> String {
        let secure = if self.place.is_secure() { "; Secure" } else { "" };
        let name = self.cookie_name();
        format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{more}")
    }

    /// Signs in by the code of the link, once; returns the cookie.
    ///
    /// # Errors
    /// The system has no random bytes.
    pub(crate) fn sign_in_once(&self, code: &str) -> Result<Option<String>, AppError> {
        let mut once = unpoisoned(&self.once);
        if once.as_ref().is_none_or(|(wanted, _)| *wanted != digest(code)) {
            return Ok(None);
        }
        let Some((_, me)) = once.take() else { return Ok(None) };
        let value = self.sessions.open(&me.upn.clone(), (Role::Admin, Some(me)), None)?;
        Ok(Some(self.cookie(&value, "")))
    }

    /// Signs in by a token; returns the cookie.
    ///
    /// # Errors
    /// The system has no random bytes.
    pub(crate) fn sign_in(&self, token: &str) -> Result<Option<String>, AppError> {
        let Some(kept) = self.token(&digest(token.trim())) else { return Ok(None) };
        let Some(role) = kept.role else { return Ok(None) };
        let value = self.sessions.open(&kept.name, (role, kept.user), Some(kept.digest))?;
        Ok(Some(self.cookie(&value, "")))
    }

    /// Signs out; returns the cookie that takes the other away.
    pub(crate) fn sign_out(&self, who: &Who) -> String {
        self.sessions.close(&who.by);
        self.cookie("", "; Max-Age=0")
    }
}

#[cfg(test)]
mod tests;
