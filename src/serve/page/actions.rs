//! The forms: each does what the API does, and leads to where its outcome is seen.

use std::time::Duration;

use serde_json::Value;

use crate::app::error::AppError;
use crate::script::workspace::manifest::Given;
use crate::serve::api::{changes, runs};
use crate::serve::call::{Call, Reply};
use crate::serve::desk::Work;
use crate::serve::page::layout::path;

/// The beginning of the names of a skill's parameters, in its form.
const PARAM: &str = "p.";
/// The wait for a run: most are over in a moment, and their page is whole at once.
const A_MOMENT: Duration = Duration::from_secs(3);

fn field<'a>(call: &'a Call, name: &str) -> Option<&'a str> {
    let text = call.body.get(name).and_then(Value::as_str).map(str::trim);
    text.filter(|text| !text.is_empty())
}

fn to(place: &str) -> Reply {
    Reply::Go(place.to_owned(), None)
}

/// Approves a set: exactly the one that was seen.
pub(crate) fn approve(work: &Work, call: &Call) -> Result<Reply, AppError> {
    let Some(digest) = field(call, "digest") else {
        return Err(AppError::new("parameter", "the form has no digest").hint("reload the page"));
    };
    let report = changes::approve_set(work, call, Some(digest), field(call, "note"))?;
    let run = report["run_id"].as_str().map(|run| path(&["runs", run]));
    Ok(to(&run.unwrap_or_else(|| "/pending".to_owned())))
}

/// Rejects a set.
pub(crate) fn reject(work: &Work, call: &Call) -> Result<Reply, AppError> {
    let note = field(call, "note").unwrap_or_default();
    changes::reject_set(work, call, field(call, "digest"), note)?;
    Ok(to("/pending"))
}

/// Begins a run of a skill, or a preview of one.
pub(crate) fn run_skill(work: &Work, call: &Call) -> Result<Reply, AppError> {
    let mut given = Vec::new();
    for (name, value) in &call.body {
        let Some(name) = name.strip_prefix(PARAM) else { continue };
        let text = value.as_str().unwrap_or_default();
        // A field that is left empty is not given.
        if !text.trim().is_empty() {
            given.push((name.to_owned(), Given::Text(text.to_owned())));
        }
    }
    let dry_run = field(call, "action") != Some("apply");
    let who = (call.part("name"), field(call, "agent"));
    let begun = runs::begin_skill((work, call), who, (dry_run, A_MOMENT), |manifest, calendar| {
        Ok(manifest.taken(&given, calendar)?)
    })?;
    Ok(match begun {
        Reply::WaitFor { run, waiting, at_most, .. } => {
            let page = Some(path(&["runs", &run]));
            Reply::WaitFor { run, waiting, at_most, page }
        }
        other => other,
    })
}

/// Returns a call with nothing in its body but a reason, if one was given.
fn bare(call: &Call) -> Call {
    let mut body = call.body.clone();
    body.retain(|name, value| name == "reason" && *value != "");
    Call { is_head: false, who: call.who.clone(), path: call.path.clone(), query: Vec::new(), body }
}

/// Pauses an agent.
pub(crate) fn pause_agent(work: &Work, call: &Call) -> Result<Reply, AppError> {
    changes::pause_agent(work, &bare(call)).map(|_| to("/agents"))
}

/// Lifts the pause of an agent.
pub(crate) fn resume_agent(work: &Work, call: &Call) -> Result<Reply, AppError> {
    changes::resume_agent(work, &bare(call)).map(|_| to("/agents"))
}

/// Runs the skill of a schedule now.
pub(crate) fn run_schedule(work: &Work, call: &Call) -> Result<Reply, AppError> {
    changes::run_schedule(work, &bare(call)).map(|_| to("/inbox"))
}

/// Pauses a schedule.
pub(crate) fn pause_schedule(work: &Work, call: &Call) -> Result<Reply, AppError> {
    changes::pause_schedule(work, &bare(call)).map(|_| to("/schedules"))
}

/// Lifts the pause of a schedule.
pub(crate) fn resume_schedule(work: &Work, call: &Call) -> Result<Reply, AppError> {
    changes::resume_schedule(work, &bare(call)).map(|_| to("/schedules"))
}
