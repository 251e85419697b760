//! Decisions of people: on sets that wait, on agents, on schedules.

use std::sync::Arc;

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::app::error::AppError;
use crate::app::pending::approve::{Approvable, reason_of};
use crate::app::pending::{check_digest, check_waits, failed};
use crate::app::report_size::report_text;
use crate::app::shown::pending::{listed, saved};
use crate::host::{Failure, Nobody, SystemClock, Watch, preview_of};
use crate::journal::RunId;
use crate::model::{Clock as _, User};
use crate::serve::api::proposals;
use crate::serve::call::{Call, JSON, Reply, status_of};
use crate::serve::desk::Work;

/// Returns the one who decides, for records: the person who came in, under the sign-in of the server.
fn decider(work: &Work, call: &Call) -> Result<User, AppError> {
    Ok(User { upn: call.name().to_owned(), ..work.me()? })
}

/// Returns all of a set: its changes as a report shows them, and why it is held.
///
/// # Errors
/// There is none, or the board cannot be read.
pub(crate) fn set(work: &Work, id: &str) -> Result<Value, AppError> {
    let set = work.app.kept_set(id, None, SystemClock.now())?;
    let saved = saved(&set)?;
    let run = work.desk.journal.run(set.run.as_str()).ok();
    let actor = run.as_ref().map(|run| (run.start.actor.to_string(), run.start.upn.clone()));
    let mut shown = listed(&set, &saved, &actor.unwrap_or_default());
    let report = work.desk.journal.held_report(&set.run).map_err(|error| failed(&error))?;
    shown["verdicts"] = report["verdicts"].clone();
    let drafted = saved.change_set;
    let changes = work.look(move |session| {
        let preview = preview_of(session, &drafted);
        Ok((serde_json::to_value(&preview.changes).unwrap_or_default(), preview.names))
    })?;
    shown["changes"] = changes.0;
    shown["names"] = json!(changes.1);
    Ok(shown)
}

/// Returns the id that is asked for, a whole one: a part of one may be of something else a minute later.
fn whole_id(call: &Call) -> Result<&str, AppError> {
    let id = call.part("id");
    match RunId::parse(id) {
        Ok(_) => Ok(id),
        Err(_) => Err(AppError::new("not_found", format!("nothing waits under `{id}`"))
            .hint("`GET /api/v1/pending` lists what does, by whole ids")),
    }
}

/// Answers `GET pending/{id}`.
pub(crate) fn show(work: &Work, call: &Call) -> Result<Reply, AppError> {
    let id = whole_id(call)?;
    if let Some(proposal) = proposals::find(work, id)? {
        return proposals::show(work, &proposal).map(Reply::Data);
    }
    Ok(Reply::Data(set(work, id)?))
}

/// Answers `POST pending/{id}/approve`: approves a set, and applies it.
pub(crate) fn approve(work: &Work, call: &Call) -> Result<Reply, AppError> {
    let mut arguments = call.arguments();
    let (digest, note) = (arguments.text("digest")?, arguments.text("note")?);
    arguments.end()?;
    approve_set(work, call, digest.as_deref(), note.as_deref()).map(of_report)
}

/// Returns the answer that tells what came of an approval. A set of which not all was written is an error
/// like any other, beside the report.
fn of_report(mut report: Value) -> Reply {
    let id = report["run_id"].as_str().unwrap_or_default().to_owned();
    let looked_at = format!("`GET /api/v1/runs/{id}` has all of it");
    let (status, code, message, hint) = match report["status"].as_str() {
        Some("held") => {
            let set = report["pending"].as_str().unwrap_or_default();
            let message = "it is another set by now, or held for another reason: it waits again";
            let hint =
                format!("look at it with `GET /api/v1/pending/{set}`, and approve its digest");
            (StatusCode::CONFLICT, "held", message, hint)
        }
        Some("conflict") => {
            let message = "somebody else has changed the same, and nothing was written";
            (StatusCode::CONFLICT, "conflict", message, looked_at)
        }
        Some("denied") => {
            (StatusCode::FORBIDDEN, "denied", "a rule or policy refuses it by now", looked_at)
        }
        Some("partial") => {
            (StatusCode::BAD_GATEWAY, "partial", "some of it was written, and some not", looked_at)
        }
        Some("failed") => {
            (StatusCode::BAD_GATEWAY, "service", "it failed, and nothing was written", looked_at)
        }
        // All was written, or it waits for whoever drafted it.
        _ => return Reply::Data(report),
    };
    let told: Result<Failure, _> = serde_json::from_value(report["error"].clone());
    let status = match &told {
        // What the server lacks is told as everywhere.
        Ok(failure) if status_of(failure).is_server_error() => status_of(failure),
        // An entity that is gone, or an agent that is paused.
        Ok(failure)
            if status.is_server_error()
                && matches!(status_of(failure), StatusCode::CONFLICT | StatusCode::NOT_FOUND) =>
        {
            StatusCode::CONFLICT
        }
        _ => status,
    };
    if told.is_err() {
        report["error"] = json!({ "code": code, "message": message, "hint": hint });
    }
    Reply::Status(status, JSON, report_text(&report))
}

/// Approves a set, and applies it if it was drafted under the sign-in of this server; returns the report,
/// or where the set stands.
///
/// # Errors
/// It does not wait, it is another set by now, or it could not be begun.
pub(crate) fn approve_set(
    work: &Work,
    call: &Call,
    digest: Option<&str>,
    note: Option<&str>,
) -> Result<Value, AppError> {
    let note = note.map(str::trim).filter(|note| !note.is_empty());
    let note = note.map(reason_of).transpose()?;
    let (id, now) = (whole_id(call)?, SystemClock.now());
    let by = decider(work, call)?;
    if let Some(proposal) = proposals::find(work, id)? {
        return proposals::approve(work, proposal, (&by, note), digest);
    }
    let set = work.app.kept_set(id, None, now)?;
    check_waits(&set)?;
    let me = work.me()?;
    let who = (&me, Some(&call.visitor()));
    let Approvable { mut set, saved, start, is_own } = work.app.to_approve(set, who, digest)?;
    // Without a digest it is the set that was held at first. Somebody may have seen just that, and
    // nobody can have seen both.
    if digest.is_none() && saved.run_id != set.run.as_str() {
        let message = "another set than was held at first waits under this id";
        return Err(AppError::new("not_pending", message)
            .hint(format!("look at it again, and approve it by its digest, `{}`", set.digest)));
    }
    if !is_own {
        // It is applied under the sign-in of whoever drafted it, and this is another.
        work.app.decide(&mut set, (&by, true, note), now)?;
        return Ok(json!({ "id": set.run.as_str(), "state": set.state.name() }));
    }
    let applying = work.app.begin_approved(set, &saved, Some((&by, note)), now)?;
    let approver = applying.approver(digest, Arc::new(Nobody));
    let agent = saved.agent.clone();
    let applied = work.host(agent.as_deref(), approver, Watch::default());
    let applied = applied.map(|host| work.wait(applying.apply(&host, saved, start)));
    let applied = applied.and_then(|applied| applied.map_err(AppError::from));
    let finished = work.app.end_approved(applying, applied, SystemClock.now())?;
    Ok(serde_json::to_value(&finished.report).unwrap_or_default())
}

/// Answers `POST pending/{id}/reject`.
pub(crate) fn reject(work: &Work, call: &Call) -> Result<Reply, AppError> {
    let mut arguments = call.arguments();
    let (digest, note) = (arguments.text("digest")?, arguments.needed("note")?);
    arguments.end()?;
    reject_set(work, call, digest.as_deref(), &note).map(Reply::Data)
}

/// Rejects a set; returns where it stands.
///
/// # Errors
/// It does not wait, it is another than the one that was seen, or the reason is none.
pub(crate) fn reject_set(
    work: &Work,
    call: &Call,
    digest: Option<&str>,
    reason: &str,
) -> Result<Value, AppError> {
    let reason = reason_of(reason)?;
    let (id, now) = (whole_id(call)?, SystemClock.now());
    let by = decider(work, call)?;
    if let Some(proposal) = proposals::find(work, id)? {
        return proposals::reject(work, proposal, (&by, reason), digest);
    }
    let mut set = work.app.kept_set(id, None, now)?;
    check_waits(&set)?;
    check_digest(&set, digest)?;
    work.app.decide(&mut set, (&by, false, Some(reason)), now)?;
    Ok(json!({ "id": set.run.as_str(), "state": set.state.name() }))
}

/// Returns the reason in the body, if there is one and nothing else.
fn reason(call: &Call) -> Result<Option<String>, AppError> {
    let mut arguments = call.arguments();
    let reason = arguments.text("reason")?;
    arguments.end()?;
    Ok(reason.map(|reason| reason.trim().to_owned()).filter(|reason| !reason.is_empty()))
}

fn paused(name: &str, is_paused: bool) -> Reply {
    Reply::Data(json!({ "agent": name, "all": false, "paused": is_paused }))
}

/// Answers `POST agents/{name}/pause`.
pub(crate) fn pause_agent(work: &Work, call: &Call) -> Result<Reply, AppError> {
    let (name, reason) = (call.part("name"), reason(call)?);
    let by = Some(call.name());
    work.app.pause(Some(name), (by, reason.as_deref()), SystemClock.now())?;
    Ok(paused(name, true))
}

/// Answers `POST agents/{name}/resume`.
pub(crate) fn resume_agent(work: &Work, call: &Call) -> Result<Reply, AppError> {
    let name = call.part("name");
    call.arguments().end()?;
    work.app.agent(Some(name))?;
    work.app.unpause(Some(name), Some(call.name()), SystemClock.now())?;
    let all = work.app.paused()?;
    let still = all.iter().any(|pause| pause.agent.as_deref().is_none_or(|agent| agent == name));
    Ok(paused(name, still))
}

/// Answers `POST schedules/{name}/run`.
pub(crate) fn run_schedule(work: &Work, call: &Call) -> Result<Reply, AppError> {
    call.arguments().end()?;
    let entry = work.app.run_schedule(&decider(work, call)?, call.part("name"))?;
    Ok(Reply::Data(json!({ "id": entry.id, "state": entry.state.name() })))
}

/// Answers `POST schedules/{name}/pause`.
pub(crate) fn pause_schedule(work: &Work, call: &Call) -> Result<Reply, AppError> {
    let (name, reason) = (call.part("name"), reason(call)?);
    work.app.pause_schedule(&decider(work, call)?, name, reason.as_deref())?;
    Ok(Reply::Data(json!({ "schedule": name, "paused": true })))
}

/// Answers `POST schedules/{name}/resume`.
pub(crate) fn resume_schedule(work: &Work, call: &Call) -> Result<Reply, AppError> {
    let name = call.part("name");
    call.arguments().end()?;
    work.app.resume_schedule(&decider(work, call)?, name)?;
    Ok(Reply::Data(json!({ "schedule": name, "paused": false })))
}
