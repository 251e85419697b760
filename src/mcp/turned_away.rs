//! The record of what an agent asked for and may not have. A run that is refused is on record by itself;
//! this is about calls that never come to one.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::app::agent::note_refusal;
use crate::app::error::AppError;
use crate::host::Failure;
use crate::mcp::desk::Work;

/// The most records in a stretch of time: an agent must not fill the disk with what it is refused.
const MOST: u32 = 30;
const STRETCH: Duration = Duration::from_secs(60);

/// The number of records in the present stretch of time, and of what was left out since.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<Count>);

#[derive(Debug, Default)]
struct Count {
    since: Option<Instant>,
    written: u32,
    left_out: u64,
}

impl Refusals {
    /// Returns how many were left out before this one, if it is to be written.
    fn take(&self, now: Instant) -> Option<u64> {
        let mut count = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if count.since.is_none_or(|since| now.duration_since(since) >= STRETCH) {
            (count.since, count.written) = (Some(now), 0);
        }
        if count.written >= MOST {
            count.left_out += 1;
            return None;
        }
        count.written += 1;
        Some(std::mem::take(&mut count.left_out))
    }
}

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
    let Some(left_out) = refusals.take(Instant::now()) else { return Ok(()) };
    let state = work.app.state_folder()?;
    note_refusal(&state, work.agent(), (tool, failure, left_out), work.now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refusals_leaves_few_records_and_their_number() {
        let (refusals, now) = (Refusals::default(), Instant::now());
        for _ in 0..MOST {
            assert_eq!(refusals.take(now), Some(0));
        }
        for _ in 0..5 {
            assert_eq!(refusals.take(now), None);
        }
        assert_eq!(refusals.take(now + STRETCH), Some(5));
    }
}
