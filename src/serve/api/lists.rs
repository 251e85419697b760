//! Lists: runs, sets, scripts, agents, schedules, the inbox, the audit log.

use serde_json::{Value, json};

use crate::app::error::AppError;
use crate::app::inbox::listed as entry;
use crate::app::pending::proposal::listed as proposal;
use crate::app::shown::agents::listed as agent;
use crate::app::shown::pending::{listed as set, saved};
use crate::app::shown::runs::{listed, whole};
use crate::app::shown::scripts;
use crate::host::{Failure, SystemClock};
use crate::journal::inbox::{EntryState, InboxEntry, Page};
use crate::journal::kept::KeptState;
use crate::journal::{Error, RunId, RunSummary};
use crate::model::Clock as _;
use crate::script::workspace::config::AgentConfig;
use crate::serve::call::{Call, Reply};
use crate::serve::desk::Work;
use crate::serve::running::report_of;

pub(crate) fn failed(error: &Error) -> AppError {
    Failure::from_error(error.code(), error, error.hint()).into()
}

fn cursor_is_wrong() -> AppError {
    AppError::new("parameter", "this server gave out no such cursor")
        .hint("the Link header of the page before has it")
}

/// Returns where a list is to go on.
///
/// # Errors
/// It is empty, or there are several.
fn cursor(call: &Call) -> Result<Option<&str>, AppError> {
    call.only("cursor").map_err(|_| cursor_is_wrong())
}

/// Returns where a list of what has ids is to go on: after the one of this id.
fn after(call: &Call) -> Result<Option<RunId>, AppError> {
    cursor(call)?.map(RunId::parse).transpose().map_err(|_| cursor_is_wrong())
}

/// Returns the query of the next page.
fn next(call: &Call, limit: usize, cursor: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    let kept = call.query.iter().filter(|(name, _)| name != "cursor" && name != "limit");
    query.extend_pairs(kept.map(|(name, value)| (name.as_str(), value.as_str())));
    query.append_pair("limit", &limit.to_string()).append_pair("cursor", cursor);
    query.finish()
}

/// Returns a page of a list that is small enough to be made whole.
fn paged(call: &Call, items: Vec<Value>) -> Result<Reply, AppError> {
    let limit = call.limit()?;
    let from = match cursor(call)? {
        None => 0,
        Some(text) => text.parse().map_err(|_| cursor_is_wrong())?,
    };
    let n = items.len();
    let shown: Vec<Value> = items.into_iter().skip(from).take(limit).collect();
    let to = from.saturating_add(shown.len());
    let more = to < n && !shown.is_empty();
    Ok(Reply::List(shown, more.then(|| next(call, limit, &to.to_string()))))
}

/// Reads a page of runs, the newest first, and the query of the next.
pub(crate) fn page_of_runs(
    work: &Work,
    call: &Call,
) -> Result<(Vec<RunSummary>, Option<String>), AppError> {
    let limit = call.limit()?;
    let before = after(call)?;
    let read = work.desk.journal.runs(limit + 1, before.as_ref());
    let mut runs = read.map_err(|error| failed(&error))?;
    let more = runs.len() > limit;
    runs.truncate(limit);
    let last = runs.last().filter(|_| more).map(|run| run.id.to_string());
    Ok((runs, last.map(|last| next(call, limit, &last))))
}

/// Answers `GET runs`.
pub(crate) fn runs(work: &Work, call: &Call) -> Result<Reply, AppError> {
    let (runs, next) = page_of_runs(work, call)?;
    Ok(Reply::List(runs.iter().map(listed).collect(), next))
}

/// The most runs that carried on one another and are followed.
const MAX_CHAIN: usize = 100;

/// Returns all of a run that was accepted, wherever it stands.
fn of_entry(work: &Work, entry: &InboxEntry) -> Result<Value, AppError> {
    let waits = |status: Value, report: Value| {
        json!({
            "run_id": entry.id, "at": entry.created_at, "skill": entry.skill,
            "actor": { "upn": entry.from_upn, "agent": entry.to_agent },
            "status": status, "rounds": [], "report": report,
        })
    };
    if entry.state == EntryState::Queued {
        return Ok(waits(json!("queued"), Value::Null));
    }
    let mut next = entry.run.clone();
    let mut found = None;
    for _ in 0..MAX_CHAIN {
        let Some(id) = next.take() else { break };
        if !work.desk.journal.has_run(&id).map_err(|error| failed(&error))? {
            break;
        }
        let run = work.desk.journal.run(id.as_str()).map_err(|error| failed(&error))?;
        // It was cut off, and another has carried it on.
        let by = run.finish.as_ref().and_then(|finish| finish.report["resumed_by"].as_str());
        next = by.and_then(|by| RunId::parse(by).ok());
        found = Some(run);
    }
    match found {
        Some(run) if run.finish.is_some() || !entry.state.is_over() => {
            let mut shown = whole(&run);
            if run.start.id.as_str() != entry.id {
                shown["accepted_as"] = json!(entry.id);
            }
            Ok(shown)
        }
        _ if entry.state.is_over() => Ok(waits(json!("failed"), report_of(entry))),
        _ => Ok(waits(Value::Null, Value::Null)),
    }
}

/// Returns all of a run: from the journal, or as it was accepted.
///
/// # Errors
/// There is none.
pub(crate) fn one_run(work: &Work, id: &str) -> Result<Value, AppError> {
    let none = |id: &str| AppError::new("not_found", format!("there is no run `{id}`"));
    let accepted = work.desk.journal.inbox_entry(id).map_err(|error| failed(&error))?;
    if let Some(entry) = accepted.filter(|entry| entry.asked.is_some()) {
        return of_entry(work, &entry);
    }
    match work.desk.journal.run(id) {
        Ok(run) => Ok(whole(&run)),
        Err(error @ (Error::NoRun(_) | Error::Ambiguous { .. })) => {
            tracing::debug!(%error, "a run that is not to be found");
            Err(none(id))
        }
        Err(error) => Err(failed(&error)),
    }
}

/// Answers `GET runs/{id}`.
pub(crate) fn run(work: &Work, call: &Call) -> Result<Reply, AppError> {
    Ok(Reply::Data(one_run(work, call.part("id"))?))
}

/// Returns the sets that wait, the newest first; with `all`, also those that were decided on.
///
/// # Errors
/// The journal cannot be read.
pub(crate) fn sets(work: &Work, all: bool) -> Result<Vec<Value>, AppError> {
    let mut shown = Vec::new();
    let mut held = work.app.held_sets(all, SystemClock.now())?;
    held.retain(|kept| all || kept.state == KeptState::Pending);
    for kept in held.iter().rev() {
        let run = work.desk.journal.run(kept.run.as_str()).ok();
        let actor = run.map(|run| (run.start.actor.to_string(), run.start.upn));
        shown.push(set(kept, &saved(kept)?, &actor.unwrap_or_default()));
    }
    Ok(shown)
}

/// Answers `GET pending`: sets, and skills that agents propose.
pub(crate) fn pending(work: &Work, call: &Call) -> Result<Reply, AppError> {
    let all = call.flag("all")?;
    let proposals = work.app.proposals(None, all, SystemClock.now())?;
    let mut shown = sets(work, all)?;
    shown.extend(proposals.iter().rev().map(proposal));
    paged(call, shown)
}

/// Answers `GET skills`.
pub(crate) fn skills(work: &Work, _: &Call) -> Result<Reply, AppError> {
    let workspace = &work.app.workspace;
    let names = scripts::own_first(workspace, "skills", workspace.skills.keys());
    let shown = names.into_iter().map(|name| {
        let mut shown = scripts::listed(workspace, name);
        if let Some(problem) = work.problem_of(name) {
            shown["problem"] = json!(problem);
        }
        shown
    });
    Ok(Reply::List(shown.collect(), None))
}

/// Answers `GET policies`.
pub(crate) fn policies(work: &Work, _: &Call) -> Result<Reply, AppError> {
    let workspace = &work.app.workspace;
    let all = scripts::in_force(workspace);
    let names = scripts::own_first(workspace, "policies", all.keys());
    let shown = names.into_iter().map(|name| {
        let whom = all.get(name).map(Vec::as_slice).unwrap_or_default();
        scripts::policy(workspace, name, whom)
    });
    Ok(Reply::List(shown.collect(), None))
}

/// Returns the agents, with what each has used of its budgets.
///
/// # Errors
/// The journal cannot be read.
pub(crate) fn all_agents(work: &Work) -> Result<Vec<Value>, AppError> {
    let (config, paused) = (work.config(), work.app.paused()?);
    let one = |name: &str, granted: &AgentConfig| -> Result<Value, AppError> {
        let mut shown = agent(config, name, granted, &paused);
        let now = SystemClock.now();
        let ago = |hours| now - jiff::SignedDuration::from_hours(hours);
        let nothing = RunId::parse(&uuid::Uuid::now_v7().to_string());
        if let Ok(nothing) = nothing {
            let used = work.desk.journal.count_of_agent((name, &nothing), ago(24), ago(1));
            let (changes, runs) = used.map_err(|error| failed(&error))?;
            shown["used"] = json!({ "changes_today": changes, "runs_this_hour": runs });
        }
        Ok(shown)
    };
    config.agents.iter().map(|(name, granted)| one(name, granted)).collect()
}

/// Answers `GET agents`.
pub(crate) fn agents(work: &Work, _: &Call) -> Result<Reply, AppError> {
    Ok(Reply::List(all_agents(work)?, None))
}

/// Answers `GET schedules`.
pub(crate) fn schedules(work: &Work, _: &Call) -> Result<Reply, AppError> {
    let all = work.app.schedules(SystemClock.now())?;
    Ok(Reply::List(all.iter().map(|schedule| schedule.listed()).collect(), None))
}

/// Answers `GET inbox`.
pub(crate) fn inbox(work: &Work, call: &Call) -> Result<Reply, AppError> {
    let limit = call.limit()?;
    let before = after(call)?;
    let before = before.as_ref().map(RunId::as_str);
    let page = Page { agent: None, open: false, before, limit };
    let (entries, is_more) = work.app.inbox(&page)?;
    let last = entries.last().filter(|_| is_more).map(|entry| next(call, limit, &entry.id));
    Ok(Reply::List(entries.iter().map(entry).collect(), last))
}

/// Reads a page of the audit log, the last record first, of the records that contain a text, and the query
/// of the next.
pub(crate) fn page_of_audit(
    work: &Work,
    call: &Call,
    text: Option<&str>,
) -> Result<(Vec<Value>, Option<String>), AppError> {
    let limit = call.limit()?;
    let before = match cursor(call)? {
        None => None,
        Some(text) => Some(text.parse::<i64>().map_err(|_| cursor_is_wrong())?),
    };
    if text.is_some_and(|text| text.chars().count() > 200) {
        return Err(AppError::new("parameter", "`text` is longer than 200 characters"));
    }
    let read = work.desk.journal.last_records(text, before, limit + 1);
    let mut records = read.map_err(|error| failed(&error))?;
    let more = records.len() > limit;
    records.truncate(limit);
    let last = records.last().filter(|_| more).and_then(|record| record["seq"].as_i64());
    Ok((records, last.map(|last| next(call, limit, &last.to_string()))))
}

/// Answers `GET audit`.
pub(crate) fn audit(work: &Work, call: &Call) -> Result<Reply, AppError> {
    let (records, next) = page_of_audit(work, call, call.only("text")?)?;
    Ok(Reply::List(records, next))
}
