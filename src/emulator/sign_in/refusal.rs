//! Refusals of the token endpoint, which are not shaped like Graph's.
//!
//! planner-api.md section 10.7.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::emulator::message::request::Request;
use crate::emulator::message::response::Answer;
use crate::emulator::state::graph_error::Fault;
use crate::emulator::state::timestamp;

/// Why a sign-in did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) error: &'static str,
    pub(crate) code: u32,
    message: String,
}

impl Refusal {
    pub(crate) fn new(error: &'static str, code: u32, message: impl Into<String>) -> Self {
        Self { error, code, message: message.into() }
    }

    /// A parameter that is not there.
    pub(crate) fn missing(name: &str) -> Self {
        Self::new(
            "invalid_request",
            900_144,
            format!("The request body must contain the following parameter: '{name}'."),
        )
    }

    pub(crate) fn description(&self) -> String {
        format!("AADSTS{}: {}", self.code, self.message)
    }

    pub(crate) fn answer(&self, request: &Request, now: Timestamp) -> Answer {
        let timestamp = format!("{}Z", timestamp::seconds(now).replace('T', " "));
        let correlation = request.header("client-request-id").unwrap_or(&request.id);
        let description = self.description();
        let status = if self.error == "invalid_client" { 401 } else { 400 };
        let body: Value = json!({
            "error": self.error,
            "error_description": format!(
                "{description} Trace ID: {} Correlation ID: {correlation} Timestamp: {timestamp}",
                request.id,
            ),
            "error_codes": [self.code],
            "timestamp": timestamp,
            "trace_id": request.id,
            "correlation_id": correlation,
            "error_uri": format!("https://login.microsoftonline.com/error?code={}", self.code),
        });
        Answer::plain(status, body)
    }
}

/// What ends a sign-in early.
#[derive(Debug)]
pub(crate) enum Stop {
    /// An answer to the client; what was written before stays.
    Refused(Refusal),
    /// A failure of ours.
    Broken(Fault),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Broken(fault)
    }
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Self::Broken(error.into())
    }
}
