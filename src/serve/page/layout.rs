//! The frame of every page: its title, its place in the navigation, who looks at it, and how times are
//! told.

use askama::Template;
use axum::http::StatusCode;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::app::error::AppError;
use crate::app::shown::{shortened, visible};
use crate::app::token::serve_tokens::Role;
use crate::app::workspace::time_zone;
use crate::host::{Failure, SystemClock};
use crate::journal::kept::KeptState;
use crate::model::Clock as _;
use crate::serve::access::Who;
use crate::serve::call::{Call, HTML, Reply};
use crate::serve::desk::Work;

/// The frame of a page.
#[derive(Debug, Default)]
pub(crate) struct Frame {
    pub(crate) title: String,
    /// The path of its entry in the navigation.
    pub(crate) active: &'static str,
    /// The events on which it is read again.
    pub(crate) live: &'static str,
    pub(crate) name: String,
    pub(crate) role: &'static str,
    pub(crate) csrf: String,
    pub(crate) may_decide: bool,
    pub(crate) is_admin: bool,
    /// Sets that wait for a person.
    pub(crate) n_pending: usize,
}

impl Frame {
    /// Makes the frame of a page for whoever looks at it.
    pub(crate) fn of(who: Option<&Who>, title: &str, active: &'static str) -> Self {
        let role = who.map(|who| who.role);
        Self {
            title: visible(title),
            active,
            name: who.map(|who| visible(&who.name)).unwrap_or_default(),
            role: role.map(Role::name).unwrap_or_default(),
            csrf: who.and_then(|who| who.csrf.clone()).unwrap_or_default(),
            may_decide: role.is_some_and(|role| role >= Role::Approver),
            is_admin: role.is_some_and(|role| role >= Role::Admin),
            ..Self::default()
        }
    }

    /// Makes the frame of a page that is read again on the events of these kinds.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub(crate) fn live(
        work: &Work,
        call: &Call,
        (title, active, live): (&str, &'static str, &'static str),
    ) -> Result<Self, AppError> {
        let held = work.app.held_sets(false, SystemClock.now())?;
        let n_sets = held.iter().filter(|set| set.state == KeptState::Pending).count();
        let n_pending = n_sets + work.app.proposals(None, false, SystemClock.now())?.len();
        work.desk.metrics.pending.set(i64::try_from(n_pending).unwrap_or(i64::MAX));
        Ok(Self { live, n_pending, ..Self::of(call.who.as_ref(), title, active) })
    }

    /// Returns the mark of an entry of the navigation.
    pub(crate) fn here(&self, path: &str) -> &'static str {
        if self.active == path { "page" } else { "false" }
    }
}

/// Makes the answer of a page.
///
/// # Errors
/// The template fails, which is a bug.
pub(crate) fn page(template: &impl Template) -> Result<Reply, AppError> {
    let text = template.render();
    text.map(|text| Reply::Text(HTML, text))
        .map_err(|error| AppError::new("bug", "a page cannot be made").caused_by(&error))
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    frame: Frame,
    message: String,
    hint: String,
    code: String,
}

/// Makes the page of an error.
pub(crate) fn refusal(who: Option<&Who>, status: StatusCode, failure: &Failure) -> Reply {
    let shown = ErrorPage {
        frame: Frame::of(who, "That did not work", ""),
        message: shortened(&visible(&failure.message), 1_000),
        hint: failure.hint.as_deref().map(visible).unwrap_or_default(),
        code: visible(&failure.code),
    };
    match shown.render() {
        Ok(text) => Reply::Status(status, HTML, text),
        Err(_) => Reply::Status(status, HTML, "<!doctype html><title>Error</title>".to_owned()),
    }
}

/// A moment as people read it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) iso: String,
    pub(crate) text: String,
}

/// The way times are told on a page.
#[derive(Debug, Clone)]
pub(crate) struct Times {
    pub(crate) zone: TimeZone,
    now: Timestamp,
}

impl Times {
    /// # Errors
    /// The time zone does not exist.
    pub(crate) fn of(work: &Work) -> Result<Self, AppError> {
        Ok(Self { zone: time_zone(&work.app.workspace)?, now: SystemClock.now() })
    }

    /// Returns today.
    pub(crate) fn today(&self) -> jiff::civil::Date {
        self.zone.to_datetime(self.now).date()
    }

    /// Returns a moment as people say it: the time of today, else the day with it.
    pub(crate) fn tell(&self, at: Timestamp) -> Moment {
        let then = self.zone.to_datetime(at);
        let form = match (self.today() - then.date()).get_days() {
            0 => "%H:%M",
            _ if then.date().year() == self.today().year() => "%-d %b %H:%M",
            _ => "%-d %b %Y",
        };
        Moment { iso: at.to_string(), text: then.strftime(form).to_string() }
    }

    /// Returns a moment in JSON as people say it; nothing if it is none.
    pub(crate) fn told(&self, value: &Value) -> Moment {
        let at = value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
        at.map(|at| self.tell(at)).unwrap_or_default()
    }
}

/// Returns a text of JSON as people see it.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => visible(text),
        Value::Null => String::new(),
        other => visible(&other.to_string()),
    }
}

/// Returns the name of what was run; a script from standard input has none.
pub(crate) fn skill_name(name: &str) -> String {
    if name == "-" { "script".to_owned() } else { visible(name) }
}

/// Returns the name of a status or state as people read it.
pub(crate) fn words(value: &Value) -> String {
    text(value).replace('_', " ")
}

/// Returns a path of parts that may hold any character.
pub(crate) fn path(parts: &[&str]) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let escaped = |part: &str| {
        let one = |byte: u8| match keep(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        };
        part.bytes().map(one).collect::<String>()
    };
    parts.iter().map(|part| format!("/{}", escaped(part))).collect()
}
