//! Refusals of the token endpoint, which are not shaped like Graph's.
//!
//! planner-api.md 10.7.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::emulator::message::request::Request;
use crate::emulator::message::response::Handled;
use crate::emulator::state::graph_error::GraphError;
use crate::emulator::state::timestamp;

/// The refusal of a sign-in.
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

    /// Returns the refusal of a request without a required parameter.
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

    pub(crate) fn answer(&self, request: &Request, now: Timestamp) -> Handled {
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
        Handled::plain(status, body)
    }
}

/// The early end of a sign-in.
#[derive(Debug)]
pub(crate) enum Stop {
    /// An answer to the client; earlier writes of the transaction stay.
    Refused(Refusal),
    /// A failure of the emulator.
    Broken(GraphError),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<GraphError> for Stop {
    fn from(fault: GraphError) -> Self {
        Self::Broken(fault)
    }
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Self::Broken(error.into())
    }
}
