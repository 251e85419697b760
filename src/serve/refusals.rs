//! The record of what was refused to whoever has a token: an agent that is not at `/mcp`, or a person whose
//! role does not reach so far.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::app::agent::{Refused, refusal};
use crate::app::error::AppError;
use crate::host::SystemClock;
use crate::model::Clock as _;
use crate::serve::access::Caller;
use crate::serve::desk::Desk;
use crate::serve::unpoisoned::unpoisoned;

/// The time in which one of each kind is recorded, so that a flood of them does not fill the disk.
const STRETCH: Duration = Duration::from_secs(60);
/// The most kinds that are told apart: each token has one for each route.
const MAX_KINDS: usize = 10_000;

/// The refusals of late: of whom, and what they asked for.
#[derive(Default)]
pub(crate) struct Refusals(Mutex<BTreeMap<(String, String), Count>>);

/// When one was recorded, and how many were left out since.
struct Count {
    at: Instant,
    left_out: u64,
}

impl Refusals {
    /// Returns how many were left out before this one, if it is to be recorded.
    fn take(&self, who: &str, what: &str, now: Instant) -> Option<u64> {
        let mut counts = unpoisoned(&self.0);
        let key = (who.to_owned(), what.to_owned());
        if let Some(count) = counts.get_mut(&key) {
            if now.duration_since(count.at) < STRETCH {
                count.left_out += 1;
                return None;
            }
            count.at = now;
            return Some(std::mem::take(&mut count.left_out));
        }
        if counts.len() >= MAX_KINDS {
            counts.retain(|_, count| now.duration_since(count.at) < STRETCH);
            if counts.len() >= MAX_KINDS {
                return None;
            }
        }
        counts.insert(key, Count { at: now, left_out: 0 });
        Some(0)
    }
}

/// Records that somebody who is known was refused a route. Of strangers nothing is recorded: they are many,
/// and the log is not theirs to fill.
pub(crate) async fn record(desk: &Arc<Desk>, caller: &Caller, what: &str, error: &AppError) {
    let (is_agent, name) = match caller {
        Caller::Nobody => return,
        Caller::Agent(name) => (true, name.clone()),
        Caller::Person(who) => (false, who.name.clone()),
    };
    // An agent and a person may have the same name.
    let who = format!("{} {name}", if is_agent { "agent" } else { "person" });
    let Some(left_out) = desk.refusals.take(&who, what, Instant::now()) else { return };
    let by = if is_agent { Refused::Agent(&name) } else { Refused::Person(&name) };
    let note = refusal(by, (what, &error.failure, left_out), SystemClock.now());
    let journal = Arc::clone(&desk.journal);
    // Writing waits for the disk, and perhaps for others.
    let noted = tokio::task::spawn_blocking(move || journal.note(&note)).await;
    if !matches!(noted, Ok(Ok(()))) {
        tracing::error!(?noted, "a refusal could not be recorded");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refusals_leaves_one_record_a_minute_for_each_route_and_token() {
        let (refusals, now) = (Refusals::default(), Instant::now());
        assert_eq!(refusals.take("vic", "POST /api/v1/runs", now), Some(0));
        for _ in 0..1_000 {
            assert_eq!(refusals.take("vic", "POST /api/v1/runs", now), None);
        }
        assert_eq!(refusals.take("vic", "POST /api/v1/inbox", now), Some(0));
        assert_eq!(refusals.take("ben", "POST /api/v1/runs", now), Some(0));
        assert_eq!(refusals.take("vic", "POST /api/v1/runs", now + STRETCH), Some(1_000));
        assert_eq!(refusals.take("vic", "POST /api/v1/runs", now + STRETCH), None);
    }

    #[test]
    fn what_is_remembered_of_them_is_bounded() {
        let (refusals, now) = (Refusals::default(), Instant::now());
        for n in 0..MAX_KINDS {
            assert_eq!(refusals.take(&n.to_string(), "GET /", now), Some(0));
        }
        assert_eq!(refusals.take("one more", "GET /", now), None);
        assert_eq!(refusals.take("one more", "GET /", now + STRETCH), Some(0));
        assert_eq!(unpoisoned(&refusals.0).len(), 1);
    }
}
