//! Graph's error answers, with the one place that interprets their status.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::wire::json::text;

/// The refusal of a request (planner-api.md 9).
///
/// Its methods interpret the status; nobody else compares status numbers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.describe())]
pub struct ApiError {
    /// The HTTP status.
    pub status: u16,
    /// Graph's code; empty for most Planner errors (planner-api.md 6.3).
    pub code: String,
    /// Graph's text, for people only: it changes without notice.
    pub message: String,
    /// The service's id of the request, for support.
    pub request_id: Option<String>,
}

const MAX_MESSAGE: usize = 500;
/// The largest error answer that is read, in bytes.
const MAX_BODY: usize = 64 << 10;

#[derive(Deserialize)]
struct AnswerJson<'a> {
    #[serde(borrow)]
    error: ErrorJson<'a>,
}

/// The parts of an error. Gateways put anything in them, so each is decoded by itself.
#[derive(Deserialize, Default)]
struct ErrorJson<'a> {
    #[serde(borrow)]
    code: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow, rename = "innerError")]
    inner: Option<&'a RawValue>,
    #[serde(borrow, rename = "innererror")]
    inner_too: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct InnerJson {
    #[serde(rename = "request-id")]
    request_id: Option<String>,
}

impl ApiError {
    /// Reads an error answer, JSON or not: gateways answer in HTML (planner-api.md 9.1).
    #[must_use]
    pub fn read(status: u16, request_id: Option<String>, body: &[u8]) -> Self {
        // The status says enough; a larger body is not Graph's.
        let body = if body.len() > MAX_BODY { &[] } else { body };
        let answer = serde_json::from_slice::<AnswerJson<'_>>(body);
        let error = answer.map(|answer| answer.error).unwrap_or_default();
        let start = |part: Option<&RawValue>, length| {
            part.and_then(text).unwrap_or_default().chars().take(length).collect()
        };
        // Services spell it either way (planner-api.md trap 54).
        let inner = error.inner.or(error.inner_too);
        let inner = inner.and_then(|inner| serde_json::from_str::<InnerJson>(inner.get()).ok());
        Self {
            status,
            code: start(error.code, 100),
            message: start(error.message, MAX_MESSAGE),
            request_id: request_id.or_else(|| inner?.request_id),
        }
    }

    fn describe(&self) -> String {
        let said = self.message.trim();
        let code = if self.code.is_empty() { String::new() } else { format!(" {}", self.code) };
        if said.is_empty() {
            format!("the service answered {}{code}", self.status)
        } else {
            let said = said.replace("\r\n", " ").replace('\n', " ");
            format!("the service answered {}{code}: {said}", self.status)
        }
    }

    /// Returns whether the entity has changed, or the tag was not accepted: 409, 412, and 400 about
    /// `If-Match` (planner-api.md 3.3).
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self.status, 409 | 412)
            || (self.status == 400 && self.message.contains("If-Match"))
    }

    /// Returns whether the entity does not exist (any more).
    #[must_use]
    pub const fn is_not_found(&self) -> bool {
        matches!(self.status, 404 | 410)
    }

    /// Returns whether the token is missing, expired or for another service.
    #[must_use]
    pub const fn is_unauthorized(&self) -> bool {
        self.status == 401
    }

    /// Returns whether an application asked for what only a signed-in user has
    /// (planner-api.md 10.8).
    #[must_use]
    pub fn needs_user(&self) -> bool {
        self.status == 400 && self.message.contains("delegated authentication flow")
    }

    /// Returns whether the actor lacks the permission or the licence; a limit is another case, see
    /// [`Self::is_limit`].
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        matches!(self.status, 402 | 403) && !self.is_limit()
    }

    /// Returns whether a limit of the service was hit: 403 with a code (planner-api.md 6.4).
    #[must_use]
    pub fn is_limit(&self) -> bool {
        self.status == 403 && self.code.starts_with("Maximum")
    }

    /// Returns whether the service throttled the request; it was not carried out.
    #[must_use]
    pub const fn is_throttled(&self) -> bool {
        matches!(self.status, 423 | 429)
    }

    /// Returns whether the service failed; a write may or may not have been carried out.
    #[must_use]
    pub const fn is_unavailable(&self) -> bool {
        self.status >= 500
    }
}
