//! A request as handlers see it, and what they answer.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, LINK, LOCATION, RETRY_AFTER, SET_COOKIE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value, json};

use crate::app::error::AppError;
use crate::app::params::arguments::Arguments;
use crate::app::pending::eyes::Visitor;
use crate::app::report_size::{report_text, short_failure};
use crate::host::Failure;
use crate::serve::access::Who;
use crate::serve::running::Waiting;

/// The items of a list, where nothing is said, and at most.
const LIMIT: usize = 50;
const MAX_LIMIT: usize = 200;

/// The seconds after which there may be room again for a run.
const RETRY_SECONDS: &str = "5";

/// A request whose sender is known and may ask it.
#[derive(Debug)]
pub(crate) struct Call {
    /// True if only the head of the answer is asked for: nothing may happen but that.
    pub(crate) is_head: bool,
    /// The person; `None` where anybody may ask.
    pub(crate) who: Option<Who>,
    pub(crate) path: BTreeMap<String, String>,
    pub(crate) query: Vec<(String, String)>,
    /// The body as data: a form's fields are texts.
    pub(crate) body: Map<String, Value>,
}

impl Call {
    /// Returns a part of the path.
    pub(crate) fn part(&self, name: &str) -> &str {
        self.path.get(name).map(String::as_str).unwrap_or_default()
    }

    /// Returns a text of the query; an empty one counts as none.
    pub(crate) fn asked(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    }

    /// Returns the one value of the query by a name.
    ///
    /// # Errors
    /// It is empty, or there are several.
    pub(crate) fn only(&self, name: &str) -> Result<Option<&str>, AppError> {
        let mut values = self.query.iter().filter(|(key, _)| key == name);
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some((_, value)), None) if !value.trim().is_empty() => Ok(Some(value.trim())),
            _ => Err(AppError::new("parameter", format!("`{name}` must have one value"))),
        }
    }

    /// Returns whether something of the query is true; what is absent is not.
    ///
    /// # Errors
    /// It is neither true nor false.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, AppError> {
        match self.only(name)? {
            Some("true") => Ok(true),
            Some("false") | None => Ok(false),
            Some(_) => {
                Err(AppError::new("parameter", format!("`{name}` must be `true` or `false`")))
            }
        }
    }

    /// Returns a whole number of the query.
    ///
    /// # Errors
    /// It is none, or above `most`.
    pub(crate) fn number(&self, name: &str, most: usize) -> Result<Option<usize>, AppError> {
        let Some(text) = self.only(name)? else { return Ok(None) };
        let number = text.parse().ok().filter(|number| *number <= most);
        number.map(Some).ok_or_else(|| {
            let message = format!("`{name}` must be a whole number up to {most}");
            AppError::new("parameter", message)
        })
    }

    /// Returns the size of the page of a list that is asked for.
    ///
    /// # Errors
    /// It is none.
    pub(crate) fn limit(&self) -> Result<usize, AppError> {
        Ok(self.number("limit", MAX_LIMIT)?.unwrap_or(LIMIT).max(1))
    }

    /// Returns the arguments in the body.
    pub(crate) fn arguments(&self) -> Arguments {
        Arguments::strict(self.body.clone())
    }

    /// Returns the one who asks, as far as it is known who that is.
    pub(crate) fn visitor(&self) -> Visitor {
        let user = self.who.as_ref().and_then(|who| who.user.clone());
        Visitor { name: self.name().to_owned(), user }
    }

    /// Returns the name of the one who asks, for records.
    pub(crate) fn name(&self) -> &str {
        self.who.as_ref().map_or("planwright", |who| who.name.as_str())
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) enum Reply {
    /// Data.
    Data(Value),
    /// A list, and the query of its next page.
    List(Vec<Value>, Option<String>),
    /// A run that was accepted, by its id.
    Accepted(String),
    /// A run that was accepted: its report if it is over in time, or then that page.
    WaitFor { run: String, waiting: Waiting, at_most: Duration, page: Option<String> },
    /// A text of a type.
    Text(&'static str, String),
    /// Another page, with a cookie to be set.
    Go(String, Option<String>),
    /// A text with a status of its own.
    Status(StatusCode, &'static str, String),
}

pub(crate) const JSON: &str = "application/json";
pub(crate) const HTML: &str = "text/html; charset=utf-8";

fn of_type(status: StatusCode, kind: &'static str, text: String) -> Response {
    (status, [(CONTENT_TYPE, HeaderValue::from_static(kind))], Body::from(text)).into_response()
}

fn with(mut response: Response, name: HeaderName, value: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
    response
}

impl Reply {
    /// Makes the response; `here` is the path that was asked for.
    pub(crate) fn response(self, here: &str) -> Response {
        match self {
            Self::Data(value) => of_type(StatusCode::OK, JSON, report_text(&value)),
            Self::List(items, next) => {
                let shown = of_type(StatusCode::OK, JSON, report_text(&Value::Array(items)));
                match next {
                    Some(next) => with(shown, LINK, &format!("<{here}?{next}>; rel=\"next\"")),
                    None => shown,
                }
            }
            // Whoever carries a call out has waited before.
            Self::WaitFor { run: id, .. } | Self::Accepted(id) => {
                let text = json!({ "run_id": id }).to_string();
                let shown = of_type(StatusCode::ACCEPTED, JSON, text);
                with(shown, LOCATION, &format!("/api/v1/runs/{id}"))
            }
            Self::Text(kind, text) => of_type(StatusCode::OK, kind, text),
            Self::Status(status, kind, text) => of_type(status, kind, text),
            Self::Go(to, cookie) => {
                let shown = of_type(StatusCode::SEE_OTHER, HTML, String::new());
                let shown = with(shown, LOCATION, &to);
                match cookie {
                    Some(cookie) => with(shown, SET_COOKIE, &cookie),
                    None => shown,
                }
            }
        }
    }
}

/// Returns the status that matches a failure.
pub(crate) fn status_of(failure: &Failure) -> StatusCode {
    match failure.code.as_str() {
        "unauthorized" => StatusCode::UNAUTHORIZED,
        "not_permitted" | "denied" | "foreign_request" | "four_eyes" | "agent" | "read_only" => {
            StatusCode::FORBIDDEN
        }
        "not_found" | "no_run" | "gone" => StatusCode::NOT_FOUND,
        "ambiguous" | "not_pending" | "not_queued" | "conflict" | "held" | "paused" | "ended"
        | "exists" | "undone" | "at_work" => StatusCode::CONFLICT,
        "too_large" => StatusCode::PAYLOAD_TOO_LARGE,
        "usage" | "parameter" | "invalid" => StatusCode::BAD_REQUEST,
        // What the server itself needs is missing: whoever asks can do nothing about it.
        "not_signed_in" | "no_key" | "service" => StatusCode::BAD_GATEWAY,
        "unavailable" | "queue_full" | "inbox_full" | "lost_lock" | "stopped" | "lock"
        | "journal_busy" | "journal_full" => StatusCode::SERVICE_UNAVAILABLE,
        "bug" | "io" => StatusCode::INTERNAL_SERVER_ERROR,
        code if code.starts_with("journal") => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

/// Makes the response of an error to a program.
pub(crate) fn refusal(error: &AppError) -> Response {
    refusal_with(status_of(&error.failure), error)
}

/// Makes the response of an error to a program, with a status of its own.
pub(crate) fn refusal_with(status: StatusCode, error: &AppError) -> Response {
    let text = report_text(&json!({ "error": short_failure(&error.failure) }));
    let mut response = of_type(status, JSON, text);
    if matches!(error.failure.code.as_str(), "queue_full" | "inbox_full") {
        response = with(response, RETRY_AFTER, RETRY_SECONDS);
    }
    if status == StatusCode::UNAUTHORIZED {
        let kind = HeaderValue::from_static("Bearer");
        response.headers_mut().insert(axum::http::header::WWW_AUTHENTICATE, kind);
    }
    response
}
