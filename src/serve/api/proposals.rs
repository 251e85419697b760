//! Skills that agents propose, among what waits: shown, approved and rejected as from the command line.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::app::error::AppError;
use crate::app::pending::proposal::whole;
use crate::host::Stop;
use crate::host::SystemClock;
use crate::journal::proposal::Proposal;
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
pub(crate) fn show(work: &Work, proposal: &Proposal) -> Result<Value, AppError> {
    let difference = work.app.compare_now(proposal)?;
    Ok(whole(proposal, &difference))
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
    let (difference, is_shown) = work.app.to_approve_proposal(&proposal, digest)?;
    if !is_shown {
        let message = "what it would replace has changed since it was proposed";
        return Err(AppError::new("not_pending", message).hint(format!(
            "look at it again, and approve it by its digest, `{}`",
            difference.digest
        )));
    }
    let (with, by) = ((work.handle(), &Arc::new(Stop::default())), (by, note, &*difference.digest));
    work.app.approve_proposal(&mut proposal, by, with, SystemClock.now())?;
    Ok(told(&proposal))
}

/// Rejects a proposal.
///
/// # Errors
/// It does not wait, or has another digest.
pub(crate) fn reject(
    work: &Work,
    mut proposal: Proposal,
    (by, reason): (&User, String),
    digest: Option<&str>,
) -> Result<Value, AppError> {
    if digest.is_some() {
        let _what_it_would_write = work.app.to_approve_proposal(&proposal, digest)?;
    }
    work.app.decide_proposal(&mut proposal, (by, false, Some(reason)), SystemClock.now())?;
    Ok(told(&proposal))
}
