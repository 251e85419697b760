//! What became of a set: one that waits for a person, a preview, or that of any run.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::app::error::AppError;
use crate::app::pending::failed;
use crate::app::shown::visible;
use crate::change::Saved;
use crate::host::preview_of;
use crate::journal::kept::{KeptSet, KeptState};
use crate::journal::proposal::ProposalState;
use crate::journal::{Journal, Run, RunId, RunStatus};
use crate::mcp::answer::Answer;
use crate::mcp::desk::Work;
use crate::mcp::run::{not_found, own_set};
use crate::mcp::{propose, report};

/// The most runs and sets that have taken each other's place, and are followed.
const MAX_CHAIN: usize = 20;

/// Something that is waited for, looked at with one small query at a time.
pub(crate) struct Waiting {
    journal: Journal,
    what: What,
}

enum What {
    Set(RunId),
    Proposal(String),
}

impl Waiting {
    /// Returns whether it still waits for a person.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub(crate) fn waits(&self) -> Result<bool, AppError> {
        let waits = match &self.what {
            What::Set(run) => self
                .journal
                .kept_state(run)
                .map(|state| matches!(state, Some(KeptState::Pending | KeptState::Approved))),
            What::Proposal(id) => self.journal.proposal_state(id).map(|state| {
                matches!(state, Some(ProposalState::Pending | ProposalState::Approved))
            }),
        };
        waits.map_err(|error| failed(&error))
    }
}

/// Returns what is to be waited for; `None` if nothing under the id waits for anybody.
///
/// # Errors
/// There is none of this agent.
pub(crate) fn waiting(work: &Work, id: &str) -> Result<Option<Arc<Waiting>>, AppError> {
    let Some(journal) = work.app.state_folder()?.open_to_read()? else { return Ok(None) };
    let now = work.now();
    if let Some(proposal) = work.app.proposal(id, Some(work.agent()), now)? {
        return Ok(Some(Arc::new(Waiting { journal, what: What::Proposal(proposal.id) })));
    }
    // A run without a set waits for nobody.
    match own_set(work, id) {
        Ok(set) => Ok(Some(Arc::new(Waiting { journal, what: What::Set(set.run) }))),
        Err(error) if error.failure.code == "not_found" => Ok(None),
        Err(error) => Err(error),
    }
}

/// Shows a set or a proposal, and where it stands.
///
/// # Errors
/// There is none of this agent, or the board cannot be read.
pub(crate) fn show(work: &Work, id: &str) -> Result<Answer, AppError> {
    if let Some(answer) = propose::show(work, id)? {
        return Ok(answer);
    }
    let mut run = run_of(work, id)?;
    for _ in 0..MAX_CHAIN {
        let id = run.start.id.clone();
        let next = match own_set(work, id.as_str()) {
            Ok(set) => match &set.applied_by {
                // What has taken its place is what it has become.
                Some(by) if set.state == KeptState::Failed => by.clone(),
                _ => return of_set(work, &set, &run),
            },
            Err(error) if error.failure.code == "not_found" => {
                let report = run.finish.as_ref().map(|finish| &finish.report);
                let by = report.and_then(|report| report["resumed_by"].as_str());
                match by.and_then(|by| RunId::parse(by).ok()) {
                    Some(by) => by,
                    None => return of_run(work, &run),
                }
            }
            Err(error) => return Err(error),
        };
        run = run_of(work, next.as_str())?;
    }
    of_run(work, &run)
}

/// Returns a run of this agent.
fn run_of(work: &Work, id: &str) -> Result<Run, AppError> {
    let journal = work.app.state_folder()?.open_to_read()?.ok_or_else(|| not_found(id))?;
    let own = work.own_run(&journal, id)?;
    journal.run(own.as_str()).map_err(|_| not_found(id))
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

fn of_run(work: &Work, run: &Run) -> Result<Answer, AppError> {
    let state = match run.finish.as_ref().map(|finish| finish.status) {
        Some(RunStatus::Applied | RunStatus::NoChanges) => "applied",
        Some(RunStatus::Previewed) => "previewed",
        Some(RunStatus::Held) => "pending",
        Some(RunStatus::Denied | RunStatus::Conflict | RunStatus::Partial | RunStatus::Failed) => {
            "failed"
        }
        None => {
            // Whoever works on a run holds its lock; if nobody does, it was killed.
            let locks = work.app.state_folder()?.locks()?;
            let lock = locks.try_lock_run(&run.start.id).map_err(|error| failed(&error))?;
            if lock.is_some() { "failed" } else { "pending" }
        }
    };
    let report = run.finish.as_ref().map(|finish| finish.report.clone()).unwrap_or_default();
    let message = match &run.finish {
        None if state == "failed" => json!("it was cut off before its end"),
        _ => report["error"]["message"].clone(),
    };
    Ok(answer(
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
    ))
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
