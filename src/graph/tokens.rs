//! The source of access tokens, as the client asks it: one that never changes, or a sign-in that
//! renews itself.

use std::fmt;
use std::pin::Pin;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::graph::secret::Secret;
use crate::model::User;

/// The largest claims that are passed on, in bytes.
const MAX_CLAIMS: usize = 8 << 10;

/// A token on its way.
pub type TokenFuture<'a> = Pin<Box<dyn Future<Output = Result<Secret, SignInError>> + Send + 'a>>;

/// A source of access tokens for one service.
pub trait Tokens: fmt::Debug + Send + Sync {
    /// Returns a token that should be valid for some minutes, and is not the one that the service
    /// has refused.
    fn token<'a>(&'a self, refused: Option<&'a Refused>) -> TokenFuture<'a>;

    /// Takes note that the service refuses even a renewed token, and asks for claims that only a person can
    /// meet.
    fn unmet<'a>(&'a self, _refused: &'a Refused) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(std::future::ready(()))
    }

    /// Returns the application that is signed in as itself, which has no `/me`
    /// (planner-api.md 10.8); `None` if a user is signed in, or nobody knows.
    fn application(&self) -> Option<User> {
        None
    }
}

/// A token that the service has refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The token.
    pub token: Secret,
    /// The claims that the service asks for, as JSON.
    pub claims: Option<String>,
}

/// The reason why there is no token. Nothing was sent with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignInError {
    /// The sign-in has ended: a person must sign in again.
    #[error("the sign-in has ended: {0}")]
    Ended(String),
    /// The sign-in service refuses the application or its secret.
    #[error("the sign-in is refused: {0}")]
    Refused(String),
    /// The person who was to sign in has not: declined, or let the time pass.
    #[error("nobody has signed in: {0}")]
    Declined(String),
    /// The sign-in service cannot be reached, or has failed.
    #[error("signing in is not possible now: {0}")]
    Unavailable(String),
    /// What is kept of the sign-in cannot be read.
    #[error("the sign-in cannot be read: {0}")]
    Unreadable(String),
    /// One of these, of a profile.
    #[error("{error} (profile `{profile}`)")]
    OfProfile {
        /// The name of the profile.
        profile: String,
        /// The error.
        error: Box<Self>,
    },
}

impl SignInError {
    /// Returns whether trying again later can help.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(self.itself(), Self::Unavailable(_))
    }

    /// Returns the error without its profile.
    #[must_use]
    pub fn itself(&self) -> &Self {
        match self {
            Self::OfProfile { error, .. } => error.itself(),
            other => other,
        }
    }

    /// Returns the remedy.
    #[must_use]
    pub fn hint(&self) -> String {
        // Another profile may be in use where the next command is typed.
        let of = match self {
            Self::OfProfile { profile, .. } => format!(" --profile {profile}"),
            _ => String::new(),
        };
        let resume = "then `planwright resume` if something was written";
        match self.itself() {
            Self::Ended(_) => format!("sign in again with `planwright auth login{of}`, {resume}"),
            Self::Refused(_) => format!(
                "check the application, its secret or certificate and the tenant, then `planwright auth login{of}`, {resume}"
            ),
            Self::Declined(_) => format!("begin again with `planwright auth login{of}`"),
            Self::Unavailable(_) => {
                "try again later; `planwright resume` if something was written".to_owned()
            }
            Self::Unreadable(_) | Self::OfProfile { .. } => format!(
                "`planwright auth status{of}` says more; `planwright auth login{of}` signs in again"
            ),
        }
    }
}

/// A token that does not change.
#[derive(Debug)]
pub(crate) struct Fixed(pub(crate) Secret);

impl Tokens for Fixed {
    fn token<'a>(&'a self, _: Option<&'a Refused>) -> TokenFuture<'a> {
        Box::pin(std::future::ready(Ok(self.0.clone())))
    }
}

/// Reads the claims that a `WWW-Authenticate` header asks for, if it does: base64 of a JSON object,
/// beside `error="insufficient_claims"`.
pub(crate) fn claims_of(header: &str) -> Option<String> {
    let value = |name: &str| {
        let (_, tail) = header.split_once(&format!("{name}=\""))?;
        tail.split_once('"').map(|(value, _)| value)
    };
    if value("error")? != "insufficient_claims" {
        return None;
    }
    let text = value("claims").filter(|text| text.len() <= MAX_CLAIMS)?;
    let bytes = STANDARD
        .decode(text)
        .or_else(|_| URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')))
        .ok()?;
    claims_in(&bytes)
}

/// Reads claims that are asked for: a JSON object that is not too large.
pub(crate) fn claims_in(bytes: &[u8]) -> Option<String> {
    let bytes = Some(bytes).filter(|bytes| bytes.len() <= MAX_CLAIMS)?;
    let json: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    json.is_object().then(|| json.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_read_only_where_they_are_asked_for() {
        let claims = r#"{"access_token":{"nbf":{"essential":true,"value":"1"}}}"#;
        let coded = STANDARD.encode(claims);
        let header = format!(
            "Bearer realm=\"\", authorization_uri=\"https://login.example/authorize\", error=\"insufficient_claims\", claims=\"{coded}\""
        );
        assert_eq!(claims_of(&header).as_deref(), Some(claims));
        let bare = header.replace(&coded, coded.trim_end_matches('='));
        assert_eq!(claims_of(&bare).as_deref(), Some(claims));
        for other in [
            "Bearer realm=\"\"".to_owned(),
            header.replace("insufficient_claims", "invalid_token"),
            header.replace(&coded, "!"),
            header.replace(&coded, &STANDARD.encode("[1]")),
            header.replace(&coded, &STANDARD.encode("x".repeat(MAX_CLAIMS))),
        ] {
            assert_eq!(claims_of(&other), None, "{other}");
        }
    }
}
