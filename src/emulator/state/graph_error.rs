//! Refusals: every way in which a request can fail, with the texts of the real service.
//!
//! planner-api.md 6 and 9. A refusal has a status, a code and a message; the envelope around it,
//! which needs a request id and a date, is added where the answer is finished.

use std::borrow::Cow;

use axum::http::Method;

/// One refusal.
#[derive(Debug, Clone)]
pub(crate) struct GraphError {
    pub(crate) status: u16,
    pub(crate) code: Cow<'static, str>,
    pub(crate) message: String,
    /// The text of `innerError.message`, if there is one.
    pub(crate) inner: Option<&'static str>,
    pub(crate) header: Option<(&'static str, String)>,
}

impl GraphError {
    pub(crate) fn new(
        status: u16,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self { status, code: code.into(), message: message.into(), inner: None, header: None }
    }

    /// Refuses a body that the OData reader cannot read: not JSON, an unknown name, a wrong type
    /// (planner-api.md 2.4).
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// Refuses a body that is well formed but breaks a rule of Planner (planner-api.md 6.3).
    pub(crate) fn invalid(message: impl std::fmt::Display) -> Self {
        Self::new(400, "", format!("The request is invalid:\r\n{message}"))
    }

    /// Refuses a field with the schema message of planner-api.md 6.3; `field` is the JSON name,
    /// which the service writes in PascalCase.
    pub(crate) fn schema(entity: &str, field: &str, reason: &str) -> Self {
        let field = pascal(field);
        Self::new(
            400,
            "",
            format!(
                "Schema validation has failed. Validation for field '{field}', on entity \
                 '{entity}' has failed: {reason}"
            ),
        )
    }

    pub(crate) fn null_field(entity: &str, field: &str) -> Self {
        Self::schema(entity, field, "A non-null value must be specified for this field.")
    }

    pub(crate) fn read_only(entity: &str, field: &str) -> Self {
        Self::schema(entity, field, "This field is read only and cannot be changed.")
    }

    /// Refuses a hint that describes no position, usually one echoed from an answer
    /// (planner-api.md 4.4).
    pub(crate) fn hint(input: &str) -> Self {
        Self::invalid(format_args!(
            "Specified order hint is in an invalid format: The input ({input}) does not contain \
             spaces or exclamation points."
        ))
    }

    /// Refuses an id of the wrong form (planner-api.md 1.2).
    pub(crate) fn malformed_id(id: &str) -> Self {
        Self::invalid(format_args!("The specified identifier '{id}' is not valid."))
    }

    pub(crate) fn not_found() -> Self {
        Self::new(404, "", "The requested item is not found.")
    }

    /// Refuses a directory object that does not exist (planner-api.md 6.6).
    pub(crate) fn no_resource(id: &str) -> Self {
        Self::new(
            404,
            "Request_ResourceNotFound",
            format!(
                "Resource '{id}' does not exist or one of its queried reference-property objects \
                 are not present."
            ),
        )
    }

    /// Refuses a path without a route (planner-api.md 2.3).
    pub(crate) fn unrouted(uri: &str) -> Self {
        Self {
            inner: Some("No routing convention was found to select an action for the request."),
            ..Self::new(
                404,
                "",
                format!("No HTTP resource was found that matches the request URI '{uri}'."),
            )
        }
    }

    pub(crate) fn forbidden() -> Self {
        Self::new(403, "", "You do not have the required permissions to access this item.")
    }

    /// Refuses a caller without the permission in the words of the directory (planner-api.md 6.6).
    pub(crate) fn insufficient() -> Self {
        Self::new(
            403,
            "Authorization_RequestDenied",
            "Insufficient privileges to complete the operation.",
        )
    }

    /// Refuses a create or move without telling whether the item is missing or inaccessible
    /// (planner-api.md 6.2).
    pub(crate) fn forbidden_or_missing() -> Self {
        Self::new(
            403,
            "",
            "You do not have the required permissions to access this item, or the item may not \
             exist.",
        )
    }

    /// Refuses to exceed a limit, the only Planner refusal with its own code (planner-api.md 6.4).
    pub(crate) fn limit(code: &'static str) -> Self {
        Self::new(403, code, "The request exceeded allowed limits.")
    }

    pub(crate) fn conflict() -> Self {
        Self::new(
            409,
            "",
            "The attempted changes conflicted with already accepted changes. Read the latest \
             state of the item and retry.",
        )
    }

    /// Refuses a missing or unusable token (planner-api.md 9.2).
    pub(crate) fn unauthorized(message: &str) -> Self {
        const CHALLENGE: &str = "Bearer realm=\"\", \
            authorization_uri=\"https://login.microsoftonline.com/common/oauth2/authorize\", \
            client_id=\"00000003-0000-0000-c000-000000000000\"";
        Self {
            header: Some(("www-authenticate", CHALLENGE.to_owned())),
            ..Self::new(401, "InvalidAuthenticationToken", message)
        }
    }

    /// Refuses a verb that an address does not take (planner-api.md 2.7).
    pub(crate) fn method_not_allowed(method: &Method, allowed: &str) -> Self {
        let message = format!("The method '{method}' is not allowed here.");
        Self {
            header: Some(("allow", allowed.to_owned())),
            ..Self::new(405, "MethodNotAllowed", message)
        }
    }

    /// Refuses a request for no fault of its own: throttling or an outage (planner-api.md 6.6 and
    /// 13.16).
    pub(crate) fn injected(status: u16, retry_after: Option<String>) -> Self {
        let (code, message) = match status {
            429 => ("TooManyRequests", "Please retry again later."),
            500 => ("InternalServerError", "An internal error occurred."),
            502 => ("BadGateway", "The gateway received an invalid response."),
            503 => ("ServiceNotAvailable", "The service is temporarily unavailable."),
            504 => ("GatewayTimeout", "The gateway did not receive a response in time."),
            _ => ("", "The request failed."),
        };
        Self {
            inner: (status == 429).then_some("Please retry after"),
            header: retry_after.map(|value| ("retry-after", value)),
            ..Self::new(status, code, message)
        }
    }

    /// Refuses a token that names nobody (planner-api.md 9.2).
    pub(crate) fn bad_token() -> Self {
        Self::unauthorized("CompactToken parsing failed with error code: 80049217")
    }

    pub(crate) fn internal() -> Self {
        Self::new(500, "InternalServerError", "An internal error occurred.")
    }
}

impl From<rusqlite::Error> for GraphError {
    /// Converts a database error: one that another process keeps busy is an outage, which a client
    /// may retry; anything else is a fault of the emulator.
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
        tracing::error!(%error, "the emulator's database failed");
        match error.sqlite_error_code() {
            Some(DatabaseBusy | DatabaseLocked) => Self {
                header: Some(("retry-after", "1".to_owned())),
                ..Self::new(503, "ServiceNotAvailable", "The service is temporarily unavailable.")
            },
            _ => Self::internal(),
        }
    }
}

fn pascal(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
