//! Skills that agents propose: what `pending`, `approve` and `reject` do with them.

use serde_json::json;

use crate::app::error::AppError;
use crate::app::pending::proposal::{Difference, compare, proposed_by, whole};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::render::text::visible;
use crate::journal::proposal::{Proposal, ProposalState};
use crate::model::User;

/// Tells a person what a proposal would change.
pub(crate) fn tell(context: &Context<'_>, proposal: &Proposal, difference: &Difference) {
    let head = format!("The agent {} proposes the skill {}:", proposal.agent, proposal.name);
    context.ui.note(&visible(&head));
    context.ui.note(&format!("  {}", visible(&proposal.purpose)));
    for remark in &proposal.remarks {
        context.ui.note(&format!("  - {}", visible(remark)));
    }
    difference.diff.lines().for_each(|line| context.ui.note(&visible(line)));
}

/// Shows a proposal.
pub(crate) fn show_one(context: &Context<'_>, proposal: &Proposal) -> Result<Exit, AppError> {
    let mut proposal = proposal.clone();
    let difference = if context.agent_name().is_some() {
        compare(&context.app.workspace, &proposed_by(&proposal))
    } else {
        context.app.compare_now(&mut proposal, context.now())?
    };
    if context.ui.json() {
        context.ui.json_report(&whole(&proposal, &difference));
        return Ok(Exit::Done);
    }
    tell(context, &proposal, &difference);
    context.ui.note(proposal.state.name());
    context.ui.answer(&proposal.digest);
    Ok(Exit::Done)
}

/// Approves a proposal and writes it to the workspace.
pub(crate) fn approve(
    context: &Context<'_>,
    mut proposal: Proposal,
    me: &User,
    note: Option<String>,
    digest: Option<&str>,
) -> Result<Exit, AppError> {
    let now = context.now();
    // Somebody has approved it, and was killed before it was written.
    if proposal.state == ProposalState::Approved {
        context.app.compare_now(&mut proposal, now)?;
        context.app.put_in_force(&mut proposal, now)?;
        return Ok(told(context, &proposal));
    }
    let (difference, is_shown) = context.app.to_approve_proposal(&mut proposal, digest, now)?;
    if !context.ui.json() {
        tell(context, &proposal, &difference);
    }
    if !is_shown {
        context.ui.note(
            "What it would replace has changed since it was proposed. This is what would be written now: approve it again, or by its digest.",
        );
        if context.ui.json() {
            context.ui.json_report(&whole(&proposal, &difference));
        }
        return Ok(Exit::Held);
    }
    if digest.is_none() && !context.confirms("Write it to the workspace? [y/N] ") {
        context.ui.note("Not approved: it goes on waiting.");
        return Ok(Exit::Denied);
    }
    let interrupt = context.interrupt();
    let by = (me, note);
    context.app.approve_proposal(&mut proposal, by, (&context.handle(), &interrupt), now)?;
    Ok(told(context, &proposal))
}

fn told(context: &Context<'_>, proposal: &Proposal) -> Exit {
    let text = format!("Approved: scripts/skills/{}.rhai is in force.", proposal.name);
    context.ui.note(&visible(&text));
    if context.ui.json() {
        context.ui.json_value(&json!({ "id": proposal.id, "state": proposal.state.name() }));
    }
    Exit::Done
}

/// Rejects a proposal.
pub(crate) fn reject(
    context: &Context<'_>,
    mut proposal: Proposal,
    me: &User,
    reason: String,
) -> Result<Exit, AppError> {
    context.app.decide_proposal(&mut proposal, (me, false, Some(reason)), context.now())?;
    context.ui.note("Rejected: nothing was written.");
    if context.ui.json() {
        context.ui.json_value(&json!({ "id": proposal.id, "state": proposal.state.name() }));
    }
    Ok(Exit::Done)
}
