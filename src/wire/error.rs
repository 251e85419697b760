//! Graph's error answers.

use serde_json::Value;

/// What the service said when it refused (planner-api.md section 9).
///
/// It answers questions; nobody else compares status numbers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.describe())]
pub struct ApiError {
    /// The HTTP status.
    pub status: u16,
    /// Graph's code; empty for most Planner errors (6.3).
    pub code: String,
    /// Graph's text, for people only.
    pub message: String,
    /// The service's id of the request, for support.
    pub request_id: Option<String>,
}

const MAX_MESSAGE: usize = 500;

impl ApiError {
    /// Reads an error answer, JSON or not (9.1: gateways answer HTML).
    #[must_use]
    pub fn read(status: u16, request_id: Option<String>, body: &[u8]) -> Self {
        let value: Value = serde_json::from_slice(body).unwrap_or_default();
        let error = value.get("error").unwrap_or(&Value::Null);
        let text = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default();
        let inner = error.get("innerError").or_else(|| error.get("innererror"));
        let inner_id = inner.and_then(|it| it.get("request-id")).and_then(Value::as_str);
        Self {
            status,
            code: text("code").chars().take(100).collect(),
            message: text("message").chars().take(MAX_MESSAGE).collect(),
            request_id: request_id.or_else(|| inner_id.map(str::to_owned)),
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

    /// The entity moved on, or the tag was not accepted: 409, 412, and 400 about `If-Match`
    /// (3.3).
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self.status, 409 | 412)
            || (self.status == 400 && self.message.contains("If-Match"))
    }

    /// There is no such entity (any more).
    #[must_use]
    pub const fn is_not_found(&self) -> bool {
        matches!(self.status, 404 | 410)
    }

    /// The token is missing, expired or for something else.
    #[must_use]
    pub const fn is_unauthorized(&self) -> bool {
        self.status == 401
    }

    /// The actor may not do this; unless it is a limit, see [`Self::is_limit`].
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        matches!(self.status, 402 | 403) && !self.is_limit()
    }

    /// A limit of the service was hit: 403 with a code (6.4).
    #[must_use]
    pub fn is_limit(&self) -> bool {
        self.status == 403 && self.code.starts_with("Maximum")
    }

    /// The service asked for patience, and did nothing.
    #[must_use]
    pub const fn is_throttled(&self) -> bool {
        matches!(self.status, 423 | 429)
    }

    /// The service is in trouble; a write may or may not have happened.
    #[must_use]
    pub const fn is_unavailable(&self) -> bool {
        self.status >= 500
    }
}
