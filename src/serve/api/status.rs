//! Health and figures, for those who watch over the server.

use std::sync::Arc;

use crate::app::error::AppError;
use crate::app::inbox::failed;
use crate::journal::inbox::Queue;
use crate::script::workspace::CONFIG_FILE;
use crate::serve::access::Caller;
use crate::serve::call::{Call, Reply};
use crate::serve::desk::{Desk, Work};
use crate::serve::metrics::CONTENT_TYPE;
use axum::http::StatusCode;

const PLAIN: &str = "text/plain; charset=utf-8";

/// Answers `/healthz`: the process is alive.
pub(crate) fn health(_: &Arc<Desk>, _: &Call) -> Result<Reply, AppError> {
    Ok(Reply::Text(PLAIN, "ok\n".to_owned()))
}

/// Answers `/readyz`: the journal can be read, the configuration is whole, the service answers, and
/// the server does not end.
pub(crate) fn ready(work: &Work, _: &Call) -> Result<Reply, AppError> {
    Ok(match unready(work) {
        None => Reply::Text(PLAIN, "ready\n".to_owned()),
        Some(what) => Reply::Status(StatusCode::SERVICE_UNAVAILABLE, PLAIN, format!("{what}\n")),
    })
}

/// Returns what is wrong. Whoever asks is not told why: that stands in the log.
fn unready(work: &Work) -> Option<&'static str> {
    if let Err(error) = work.desk.journal.last_record() {
        tracing::error!(%error, "the journal cannot be read");
        return Some("the journal cannot be read");
    }
    let mut problems = work.bundle.problems.iter();
    if let Some(problem) = problems.find(|problem| problem.file == CONFIG_FILE) {
        tracing::error!(%problem, "the configuration in force is an earlier one");
        return Some("the configuration is wrong");
    }
    (!work.is_within_reach()).then_some("the service does not answer as it should")
}

/// Answers `/metrics`. What is open is counted when somebody asks: other processes work on it as well.
pub(crate) fn metrics(work: &Work, _: &Call) -> Result<Reply, AppError> {
    let desk = &work.desk;
    let (service, workspace) = desk.of();
    let of = (service.as_str(), workspace.as_str(), Some(Queue::Runs));
    let open = desk.journal.count_open(of).map_err(|error| failed(&error))?;
    desk.metrics.runs_open.set(open.into());
    Ok(Reply::Text(CONTENT_TYPE, desk.metrics.text()))
}

/// Answers `/openapi.json`.
pub(crate) fn document(desk: &Arc<Desk>, _: &Call) -> Result<Reply, AppError> {
    Ok(Reply::Text("application/json", desk.document.clone()))
}

/// Returns whether somebody whom nobody knows may see the figures: on this machine only.
pub(crate) fn shows_metrics(desk: &Desk, caller: &Caller) -> bool {
    desk.access.place.is_local() || matches!(caller, Caller::Person(_))
}
