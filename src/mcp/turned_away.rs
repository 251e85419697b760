//! The record of what an agent asked for and may not have.

use std::time::Instant;

use crate::app::agent::refusals::{Refusals, note_refusal};
use crate::app::error::AppError;
use crate::host::Failure;
use crate::mcp::desk::Work;

/// The most records of a connection in a minute.
pub(crate) const MOST: u32 = 30;

/// Records that a call was refused.
///
/// # Errors
/// The journal cannot be written.
pub(crate) fn record(
    work: &Work,
    refusals: &Refusals,
    tool: &str,
    failure: &Failure,
) -> Result<(), AppError> {
    let Some(left_out) = refusals.take("", Instant::now()) else { return Ok(()) };
    let state = work.app.state_folder()?;
    note_refusal(&state, work.agent(), (tool, failure, left_out), work.now())
}
