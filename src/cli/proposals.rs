//! Skills that agents propose: what `pending`, `approve` and `reject` do with them.

use serde_json::json;

use crate::app::error::AppError;
use crate::app::pending::proposal::{Difference, compare, digest_now, proposed_by, whole};
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
    let difference = if context.agent_name().is_some() {
        compare(&context.app.there(&proposal.name)?, &proposed_by(proposal))
    } else {
        context.app.compare_now(proposal)?
    };
    if context.ui.json() {
        context.ui.json_report(&whole(proposal, &difference));
        return Ok(Exit::Done);
    }
    tell(context, proposal, &difference);
    context.ui.note(proposal.state.name());
    context.ui.answer(digest_now(proposal, &difference));
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
    let (difference, is_shown) = context.app.to_approve_proposal(&proposal, digest)?;
    if !context.ui.json() {
        tell(context, &proposal, &difference);
    }
    if !is_shown {
        context.ui.note(
            "What it would replace has changed since it was proposed. This is what would be written now.",
        );
        if !context.can_ask() {
            let (id, digest) = (&proposal.id, &difference.digest);
            context.ui.note(&format!("`planwright approve {id} --digest {digest}` writes it."));
            if context.ui.json() {
                context.ui.json_report(&whole(&proposal, &difference));
            }
            return Ok(Exit::Held);
        }
    }
    // What somebody else has approved, and was killed before it was written, needs no second yes.
    let is_asked = digest.is_none() && proposal.state == ProposalState::Pending;
    if is_asked && !context.confirms("Write it to the workspace? [y/N] ") {
        context.ui.note("Not approved: it goes on waiting.");
        return Ok(Exit::Denied);
    }
    let interrupt = context.interrupt();
    let by = (me, note, &*difference.digest);
    let with = (&context.handle(), &interrupt);
    context.app.approve_proposal(&mut proposal, by, with, context.now())?;
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
