//! Runs as JSON, as every face shows them.

use serde_json::{Value, json};

use crate::journal::{Outcome, Run, RunStatus, RunSummary};

/// Returns a run as it is listed.
pub(crate) fn listed(run: &RunSummary) -> Value {
    json!({
        "run_id": run.id.to_string(),
        "at": run.at,
        "skill": run.skill,
        "actor": { "upn": run.upn, "agent": run.agent },
        "purpose": run.purpose.name(),
        "parent": run.parent.as_ref().map(ToString::to_string),
        "status": run.status.map(RunStatus::name),
        "changes": run.changes,
    })
}

/// Returns all of a run: its start, its rounds with every request, and its report.
pub(crate) fn whole(run: &Run) -> Value {
    let rounds: Vec<_> = run
        .rounds
        .iter()
        .map(|round| {
            let changes = round.change_set.changes().iter().zip(&round.trails);
            let changes: Vec<_> = changes
                .map(|(change, trail)| {
                    let attempts: Vec<_> = trail
                        .attempts
                        .iter()
                        .map(|attempt| {
                            json!({
                                "step": attempt.intent.step.step,
                                "attempt": attempt.intent.attempt,
                                "at": attempt.at,
                                "method": attempt.intent.method,
                                "path": attempt.intent.path,
                                "request_id": attempt.intent.request_id,
                                "outcome": attempt.outcome().map(Outcome::name),
                            })
                        })
                        .collect();
                    json!({
                        "n": change.n,
                        "op": change.op(),
                        "entity": change.entity(),
                        "id": change.id().to_string(),
                        "title": change.title(),
                        "plan": change.plan(),
                        "attempts": attempts,
                    })
                })
                .collect();
            json!({
                "round": round.number,
                "at": round.at,
                "outcome": round.outcome.name(),
                "digest": round.digest,
                "verdicts": round.rulings,
                "changes": changes,
            })
        })
        .collect();
    json!({
        "run_id": run.start.id.to_string(),
        "at": run.start.at,
        "service": run.start.service,
        "actor": { "id": run.start.actor, "upn": run.start.upn, "agent": run.start.agent },
        "purpose": run.start.purpose.name(),
        "parent": run.start.parent.as_ref().map(ToString::to_string),
        "skill": run.start.skill,
        "skill_digest": run.start.skill_digest,
        "params": run.start.params,
        "policies": run.start.policies,
        "status": run.finish.as_ref().map(|finish| finish.status.name()),
        "rounds": rounds,
        "report": run.finish.as_ref().map(|finish| &finish.report),
    })
}
