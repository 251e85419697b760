//! Signing in and out.

use std::sync::Arc;

use askama::Template;
use axum::http::StatusCode;
use serde_json::Value;

use crate::app::error::AppError;
use crate::serve::call::{Call, HTML, Reply};
use crate::serve::desk::{Desk, Work};
use crate::serve::page::layout::{Frame, page};

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    frame: Frame,
    problem: &'static str,
}

fn with(problem: &'static str) -> Result<Reply, AppError> {
    let shown = LoginPage { frame: Frame::of(None, "Sign in", ""), problem };
    Ok(match page(&shown)? {
        Reply::Text(_, text) if !problem.is_empty() => {
            Reply::Status(StatusCode::UNAUTHORIZED, HTML, text)
        }
        reply => reply,
    })
}

/// Answers `GET /login`: the form, or with the code of the link the way in.
pub(crate) fn show(desk: &Arc<Desk>, call: &Call) -> Result<Reply, AppError> {
    // Link previewers send HEAD, which must not use the link up.
    let Some(code) = call.asked("code").filter(|_| !call.is_head) else { return with("") };
    match desk.access.sign_in_once(code)? {
        Some(cookie) => Ok(Reply::Go("/".to_owned(), Some(cookie))),
        // The link was followed a second time, by somebody who is in already.
        None if call.who.is_some() => Ok(Reply::Go("/".to_owned(), None)),
        None => with("This link was used already. Sign in with a token."),
    }
}

/// Answers `POST /login`.
pub(crate) fn enter(desk: &Arc<Desk>, call: &Call) -> Result<Reply, AppError> {
    let token = call.body.get("token").and_then(Value::as_str).unwrap_or_default();
    match desk.access.sign_in(token)? {
        Some(cookie) => Ok(Reply::Go("/".to_owned(), Some(cookie))),
        None => with("That token opens nothing here."),
    }
}

/// Answers `POST /logout`.
pub(crate) fn leave(work: &Work, call: &Call) -> Result<Reply, AppError> {
    let cookie = call.who.as_ref().map(|who| work.desk.access.sign_out(who));
    Ok(Reply::Go("/login".to_owned(), cookie))
}
