//! The record of what was refused to whoever has a token: an agent that is not at `/mcp`, or a person whose
//! role does not reach so far.

use std::sync::Arc;
use std::time::Instant;

use crate::app::agent::refusals::{Refused, refusal};
use crate::app::error::AppError;
use crate::host::SystemClock;
use crate::model::Clock as _;
use crate::serve::access::Caller;
use crate::serve::desk::Desk;

/// The most records of one token at one route in a minute.
pub(crate) const MOST: u32 = 1;

/// Records that somebody who is known was refused a route. Of strangers nothing is recorded: they are many,
/// and the log is not theirs to fill.
pub(crate) async fn record(desk: &Arc<Desk>, caller: &Caller, what: &str, error: &AppError) {
    let (is_agent, name) = match caller {
        Caller::Nobody => return,
        Caller::Agent(name) => (true, name.clone()),
        Caller::Person(who) => (false, who.name.clone()),
    };
    // An agent and a person may have the same name.
    let kind = format!("{} {name} {what}", if is_agent { "agent" } else { "person" });
    let Some(left_out) = desk.refusals.take(&kind, Instant::now()) else { return };
    let by = if is_agent { Refused::Agent(&name) } else { Refused::Person(&name) };
    let note = refusal(by, (what, &error.failure, left_out), SystemClock.now());
    let journal = Arc::clone(&desk.journal);
    // Writing waits for the disk, and perhaps for others.
    let noted = tokio::task::spawn_blocking(move || journal.note(&note)).await;
    if !matches!(noted, Ok(Ok(()))) {
        tracing::error!(?noted, "a refusal could not be recorded");
    }
}
