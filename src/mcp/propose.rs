//! Skills that a model writes: checked, tested on a stage of their own, and kept for a person.

use serde_json::json;

use crate::app::error::AppError;
use crate::app::params::arguments::Arguments;
use crate::app::pending::checked::Proposed;
use crate::app::pending::proposal::{Difference, compare, proposed_by};
use crate::app::shown::{shortened, visible};
use crate::host::SystemClock;
use crate::journal::proposal::{Proposal, ProposalState};
use crate::mcp::answer::Answer;
use crate::mcp::desk::Work;
use crate::model::Clock as _;

/// The most characters of a difference that a model reads again: it has written it.
const MAX_DIFF: usize = 8_000;

/// Answers `propose_skill`.
///
/// # Errors
/// The skill does not pass, or its name is taken.
pub(crate) fn propose(work: &Work, mut arguments: Arguments) -> Result<Answer, AppError> {
    let name = arguments.needed("name")?;
    let source = arguments.needed("source")?;
    let tests = arguments.text("tests")?;
    let reason = arguments.needed("reason")?;
    arguments.end()?;
    let host = work.host()?;
    let me = work.wait(host.me())?;
    let proposed = Proposed { name, source, tests };
    let (proposal, difference) = work.app.propose(
        (&me, work.agent()),
        (proposed, &reason),
        (&work.runtime(), &work.app.interrupt),
        SystemClock.now(),
    )?;
    Ok(answer(&proposal, &difference))
}

/// Shows a proposal of this agent, if there is one under an id.
///
/// # Errors
/// Several begin so, or the journal cannot be read.
pub(crate) fn show(work: &Work, id: &str) -> Result<Option<Answer>, AppError> {
    let found = work.app.proposal(id, Some(work.agent()), SystemClock.now())?;
    let Some(proposal) = found else { return Ok(None) };
    let difference = compare(&work.app.there(&proposal.name)?, &proposed_by(&proposal));
    Ok(Some(answer(&proposal, &difference)))
}

/// Returns the state of a proposal, as `change_set` tells it.
pub(crate) const fn state_of(state: ProposalState) -> &'static str {
    match state {
        // Approved, it is being written.
        ProposalState::Pending | ProposalState::Approved => "pending",
        ProposalState::Rejected => "rejected",
        ProposalState::Expired => "expired",
        ProposalState::Applied => "applied",
    }
}

fn answer(proposal: &Proposal, difference: &Difference) -> Answer {
    let (id, state) = (&proposal.id, state_of(proposal.state));
    let data = json!({
        "id": id,
        "run_id": null,
        "state": state,
        "skill": proposal.name,
        "changes": [],
        "verdicts": [],
        "remarks": proposal.remarks,
        "reason": proposal.reason,
        "digest": proposal.digest,
        "expires_at": proposal.expires_at,
        "diff": shortened(&difference.diff, MAX_DIFF),
    });
    let mut lines = vec![format!("{state}: {id} (the skill {})", proposal.name)];
    if let Some(reason) = &proposal.reason {
        lines.push(format!("reason: {}", visible(reason)));
    }
    lines.extend(proposal.remarks.iter().map(|remark| format!("- {}", visible(remark))));
    if state == "pending" {
        lines.push(
            "A person must approve it; then it is a tool. Call change_set with this id to learn what came of it."
                .to_owned(),
        );
    }
    Answer::new(lines.join("\n"), data)
}
