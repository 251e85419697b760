//! Admission at the socket, decided before any other part of a request is read.
//!
//! Anyone can sign in as anyone, so only those who are meant to may get that far. A port of this
//! machine is open to its other users, and to every page in a browser: a page can point a name of
//! its own at loopback (DNS rebinding), and then only the `Host` header reveals it.

use std::fmt;
use std::net::IpAddr;

use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue};
use uuid::Uuid;

use crate::emulator::state::graph_error::GraphError;

/// The requests that are admitted.
#[derive(Debug, Clone)]
pub enum Access {
    /// Those that address this machine: by a loopback name or address, by the address that the
    /// connection came to, or by one of these names.
    ByName(Vec<String>),
    /// Those that have the pass, which come from the process that made it.
    ByPass(Pass),
}

impl Default for Access {
    fn default() -> Self {
        Self::ByName(Vec::new())
    }
}

/// A secret that admits its holder, whoever they sign in as. Its debug form is `[redacted]`.
#[derive(Clone)]
pub struct Pass(String);

impl Pass {
    /// Makes a new pass.
    #[must_use]
    pub fn random() -> Self {
        Self(format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple()))
    }

    /// Returns the bearer token that signs in as the user with a principal name.
    #[must_use]
    pub fn token(&self, upn: &str) -> String {
        format!("{}:{upn}", self.0)
    }

    /// Returns the principal name in a bearer token that holds this pass.
    fn user_in<'t>(&self, token: &'t str) -> Option<&'t str> {
        let (pass, upn) = token.split_once(':')?;
        // Every byte is compared, so that the time does not reveal how many are right.
        let differences = pass.bytes().zip(self.0.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
        (pass.len() == self.0.len() && differences == 0).then_some(upn)
    }
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Access {
    /// Returns whether others than this process are admitted.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(self, Self::ByName(_))
    }

    /// Checks the head of a request that came to the address `local` of this machine. A request
    /// admitted by pass continues with the token that everything behind the socket understands.
    ///
    /// # Errors
    ///
    /// 401 without the pass, 421 for a name that is not ours.
    pub(crate) fn admit(&self, head: &mut Parts, local: Option<IpAddr>) -> Result<(), GraphError> {
        match self {
            Self::ByName(names) => {
                // Each of several `Host` headers must be ours: a proxy may have used any of them.
                let mut asked = head.headers.get_all(HOST).iter().peekable();
                let is_named = asked.peek().is_some()
                    && asked
                        .all(|host| host.to_str().is_ok_and(|host| is_ours(host, local, names)));
                let target = head.uri.authority();
                if is_named && target.is_none_or(|host| is_ours(host.as_str(), local, names)) {
                    return Ok(());
                }
                let message = "The request is for another host; allow its name with \
                              `planwright emulator --host NAME`.";
                Err(GraphError::new(421, "MisdirectedRequest", message))
            }
            Self::ByPass(pass) => {
                let user = bearer(&head.headers).and_then(|token| pass.user_in(token));
                let own = user
                    .and_then(|upn| HeaderValue::try_from(format!("Bearer emulator:{upn}")).ok());
                let own = own.ok_or_else(GraphError::bad_token)?;
                head.headers.insert(AUTHORIZATION, own);
                Ok(())
            }
        }
    }
}

/// Returns the only bearer token among the headers.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let only = all.next().filter(|_| all.next().is_none())?;
    let (scheme, token) = only.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim())
}

/// Returns whether an authority names this machine.
fn is_ours(authority: &str, local: Option<IpAddr>, names: &[String]) -> bool {
    let authority = authority.parse::<Authority>().ok();
    let Some(authority) = authority.filter(|parsed| !parsed.as_str().contains('@')) else {
        return false;
    };
    let host = authority.host();
    // A dual-stack socket reports an IPv4 address as one of IPv6.
    match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        Ok(address) => {
            let address = address.to_canonical();
            address.is_loopback() || local.is_some_and(|local| local.to_canonical() == address)
        }
        Err(_) => {
            let is = |name: &str| host.eq_ignore_ascii_case(name);
            is("localhost") || names.iter().any(|name| is(name))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_asked_for_by_its_own_address_or_by_loopback() {
        let names = ["graph.test".to_owned()];
        let asked = |host: &str, local: &str| is_ours(host, local.parse().ok(), &names);
        for (host, local) in [
            ("10.0.0.5", "10.0.0.5"),
            ("10.0.0.5:8080", "::ffff:10.0.0.5"),
            ("[fd00::5]:80", "fd00::5"),
            ("[::ffff:127.0.0.1]", "10.0.0.5"),
            ("127.0.0.1", "fd00::5"),
            ("GRAPH.test:443", "10.0.0.5"),
        ] {
            assert!(asked(host, local), "{host} at {local}");
        }
        for (host, local) in
            [("10.0.0.6", "10.0.0.5"), ("[fd00::6]", "fd00::5"), ("test", "10.0.0.5"), ("", "")]
        {
            assert!(!asked(host, local), "{host} at {local}");
        }
    }

    #[test]
    fn the_scheme_of_a_token_is_told_in_any_case() {
        let sent = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_static(value));
            bearer(&headers).map(str::to_owned)
        };
        for value in ["Bearer A:b", "bearer A:b", "BEARER A:b"] {
            assert_eq!(sent(value).as_deref(), Some("A:b"), "{value}");
        }
        assert_eq!(sent("Basic A:b"), None);
    }

    #[test]
    fn a_pass_is_nobody_elses_and_does_not_show() {
        let (pass, other) = (Pass::random(), Pass::random());
        assert_eq!(pass.user_in(&pass.token("rook@bos.example")), Some("rook@bos.example"));
        let short = pass.token("").replace(':', "");
        for token in [other.token("rook"), String::new(), ":rook".to_owned(), short] {
            assert_eq!(pass.user_in(&token), None, "{token}");
        }
        assert_eq!(format!("{:?}", Access::ByPass(pass)), "ByPass([redacted])");
    }
}
