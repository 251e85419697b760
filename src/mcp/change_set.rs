//! What became of a set: one that waits for a person, a preview, or that of any run.

use serde_json::{Value, json};

use crate::app::error::AppError;
use crate::app::shown::visible;
use crate::change::Saved;
use crate::host::preview_of;
use crate::journal::kept::{KeptSet, KeptState};
use crate::journal::{Run, RunStatus};
use crate::mcp::answer::Answer;
use crate::mcp::desk::Work;
use crate::mcp::report;
use crate::mcp::run::{not_found, own_set};

/// Returns whether a set still waits for a person.
///
/// # Errors
/// There is none of this agent.
pub(crate) fn waits(work: &Work, id: &str) -> Result<bool, AppError> {
    // A run without a set waits for nobody.
    match own_set(work, id) {
        Ok(set) => Ok(matches!(set.state, KeptState::Pending | KeptState::Approved)),
        Err(error) if error.failure.code == "not_found" => Ok(false),
        Err(error) => Err(error),
    }
}

/// Shows a set, and where it stands.
///
/// # Errors
/// There is none of this agent, or the board cannot be read.
pub(crate) fn show(work: &Work, id: &str) -> Result<Answer, AppError> {
    let run = run_of(work, id)?;
    match own_set(work, id) {
        Ok(set) => of_set(work, &set, &run),
        Err(error) if error.failure.code == "not_found" => Ok(of_run(&run)),
        Err(error) => Err(error),
    }
}

/// Returns a run of this agent.
fn run_of(work: &Work, id: &str) -> Result<Run, AppError> {
    let journal = work.app.state_folder()?.open_to_read()?.ok_or_else(|| not_found(id))?;
    let run = journal.run(id).map_err(|_| not_found(id))?;
    if run.start.agent.as_deref() == Some(work.agent()) { Ok(run) } else { Err(not_found(id)) }
}

const fn state_of(state: KeptState) -> &'static str {
    match state {
        // Approved, it waits for whoever applies it.
        KeptState::Pending | KeptState::Approved => "pending",
        KeptState::Previewed => "previewed",
        KeptState::Rejected => "rejected",
        KeptState::Expired => "expired",
        KeptState::Applied => "applied",
        KeptState::Failed => "failed",
    }
}

fn of_set(work: &Work, set: &KeptSet, run: &Run) -> Result<Answer, AppError> {
    let saved = Saved::parse(&set.saved).map_err(|_| not_found(set.run.as_str()))?;
    let drafted = saved.change_set;
    let changes = work.look(move |session| {
        let shown = preview_of(session, &drafted);
        Ok(serde_json::to_value(&shown.changes).unwrap_or_default())
    })?;
    let report = run.finish.as_ref().map(|finish| &finish.report);
    let verdicts = report.map(|report| report["verdicts"].clone()).unwrap_or_default();
    let applied_by = set.applied_by.as_ref().map(|run| run.as_str());
    Ok(answer(
        state_of(set.state),
        set.run.as_str(),
        &[
            ("changes", changes),
            ("verdicts", verdicts),
            ("reason", json!(set.reason)),
            ("digest", json!(set.digest)),
            ("expires_at", json!(set.expires_at)),
            ("applied_by", json!(applied_by)),
        ],
    ))
}

fn of_run(run: &Run) -> Answer {
    let state = match run.finish.as_ref().map(|finish| finish.status) {
        Some(RunStatus::Applied | RunStatus::NoChanges) => "applied",
        Some(RunStatus::Previewed) => "previewed",
        Some(RunStatus::Held) | None => "pending",
        Some(RunStatus::Denied | RunStatus::Conflict | RunStatus::Partial | RunStatus::Failed) => {
            "failed"
        }
    };
    let report = run.finish.as_ref().map(|finish| finish.report.clone()).unwrap_or_default();
    let message = report["error"]["message"].clone();
    answer(
        state,
        run.start.id.as_str(),
        &[
            ("changes", report["changes"].clone()),
            ("verdicts", report["verdicts"].clone()),
            ("reason", message),
            ("digest", Value::Null),
            ("expires_at", Value::Null),
            ("applied_by", Value::Null),
        ],
    )
}

fn answer(state: &str, id: &str, parts: &[(&str, Value)]) -> Answer {
    let mut data = json!({ "id": id, "run_id": id, "state": state });
    for (name, value) in parts {
        data[*name] = value.clone();
    }
    for list in ["changes", "verdicts"] {
        if data[list].is_null() {
            data[list] = json!([]);
        }
    }
    let mut lines = vec![format!("{state}: {id}")];
    if let Some(reason) = data["reason"].as_str() {
        lines.push(format!("reason: {}", visible(reason)));
    }
    if let Some(run) = data["applied_by"].as_str() {
        lines.push(format!("applied by run {run}"));
    }
    lines.extend(report::changes(&data["changes"]));
    lines.extend(report::verdicts(&data["verdicts"]));
    Answer::new(lines.join("\n"), data)
}
