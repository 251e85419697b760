//! Skills that agents propose, among what waits: shown, approved and rejected as from the command line.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::app::error::AppError;
use crate::app::pending::proposal::whole;
use crate::host::Stop;
use crate::host::SystemClock;
use crate::journal::proposal::{Proposal, ProposalState};
use crate::model::{Clock as _, User};
use crate::serve::desk::Work;

/// Returns a proposal by its id; `None` if something else waits under it, or nothing.
///
/// # Errors
/// The journal cannot be read.
pub(crate) fn find(work: &Work, id: &str) -> Result<Option<Proposal>, AppError> {
    work.app.proposal(id, None, SystemClock.now())
}

/// Returns all of a proposal, with what it would change now.
///
/// # Errors
/// It is for another workspace.
pub(crate) fn show(work: &Work, mut proposal: Proposal) -> Result<Value, AppError> {
    let difference = work.app.compare_now(&mut proposal, SystemClock.now())?;
    Ok(whole(&proposal, &difference))
}

fn told(proposal: &Proposal) -> Value {
    json!({ "id": proposal.id, "state": proposal.state.name() })
}

/// Approves a proposal, and writes it to the workspace.
///
/// # Errors
/// It does not wait, it would change something else by now, or it cannot be written.
pub(crate) fn approve(
    work: &Work,
    mut proposal: Proposal,
    (by, note): (&User, Option<String>),
    digest: Option<&str>,
) -> Result<Value, AppError> {
    let now = SystemClock.now();
    // Somebody has approved it, and was killed before it was written.
    if proposal.state == ProposalState::Approved {
        work.app.compare_now(&mut proposal, now)?;
        work.app.put_in_force(&mut proposal, now)?;
        return Ok(told(&proposal));
    }
    let (_, is_shown) = work.app.to_approve_proposal(&mut proposal, digest, now)?;
    if !is_shown {
        let message = "what it would replace has changed since it was proposed";
        return Err(AppError::new("not_pending", message)
            .hint("look at it again, and approve it by its digest"));
    }
    let with = (work.handle(), &Arc::new(Stop::default()));
    work.app.approve_proposal(&mut proposal, (by, note), with, now)?;
    Ok(told(&proposal))
}

/// Rejects a proposal.
///
/// # Errors
/// It does not wait.
pub(crate) fn reject(
    work: &Work,
    mut proposal: Proposal,
    by: &User,
    reason: String,
) -> Result<Value, AppError> {
    work.app.decide_proposal(&mut proposal, (by, false, Some(reason)), SystemClock.now())?;
    Ok(told(&proposal))
}
