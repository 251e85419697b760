//! What agents and people were refused, on record without filling the disk. A run that is refused is on record
//! by itself; this is about what never comes to one.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::json;

use crate::app::error::AppError;
use crate::app::shown::{shortened, visible};
use crate::host::{Failure, StateFolder};
use crate::journal::{Note, NoteKind};

/// The most characters of a message on record.
const MAX_MESSAGE: usize = 300;

/// The time in which a bounded number of each kind is recorded.
const STRETCH: Duration = Duration::from_secs(60);
/// The most kinds that are told apart.
const MAX_KINDS: usize = 10_000;

/// A bound on the records of refusals, so that a flood of them does not fill the disk.
#[derive(Debug)]
pub(crate) struct Refusals {
    /// The most records of a kind in a stretch of time.
    most: u32,
    counts: Mutex<BTreeMap<String, Count>>,
}

/// The number of records in the present stretch of time, and of what was left out since.
#[derive(Debug)]
struct Count {
    since: Instant,
    written: u32,
    left_out: u64,
}

impl Refusals {
    /// Makes a bound of so many records a minute for each kind.
    pub(crate) const fn at_most(most: u32) -> Self {
        Self { most, counts: Mutex::new(BTreeMap::new()) }
    }

    /// Returns how many of a kind were left out before this one, if it is to be recorded.
    pub(crate) fn take(&self, kind: &str, now: Instant) -> Option<u64> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= MAX_KINDS && !counts.contains_key(kind) {
            counts.retain(|_, count| now.duration_since(count.since) < STRETCH);
            if counts.len() >= MAX_KINDS {
                return None;
            }
        }
        let new = Count { since: now, written: 0, left_out: 0 };
        let count = counts.entry(kind.to_owned()).or_insert(new);
        if now.duration_since(count.since) >= STRETCH {
            (count.since, count.written) = (now, 0);
        }
        if count.written >= self.most {
            count.left_out += 1;
            return None;
        }
        count.written += 1;
        Some(std::mem::take(&mut count.left_out))
    }
}

/// Records that an agent was refused something.
///
/// # Errors
/// The journal cannot be written.
pub(crate) fn note_refusal(
    state: &StateFolder,
    agent: &str,
    refused: (&str, &Failure, u64),
    now: Timestamp,
) -> Result<(), AppError> {
    let note = refusal(Refused::Agent(agent), refused, now);
    let noted = state.open()?.note(&note);
    noted.map_err(|error| Failure::from_error(error.code(), &error, error.hint()).into())
}

/// The one who was refused something.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Refused<'a> {
    /// An agent, by its name.
    Agent(&'a str),
    /// A person, by the name of their token.
    Person(&'a str),
}

/// Makes the record of a refusal: what was asked for, why it was refused, and how many others were left out
/// of the record since the one before.
pub(crate) fn refusal(
    who: Refused<'_>,
    (what, failure, left_out): (&str, &Failure, u64),
    now: Timestamp,
) -> Note {
    let short = |text: &str| shortened(&visible(text), MAX_MESSAGE);
    let (name, agent, token) = match who {
        Refused::Agent(name) => (name, Some(short(name)), None),
        Refused::Person(name) => (name, None, Some(short(name))),
    };
    let mut detail = json!({
        "agent": agent,
        "tool": short(what),
        "code": failure.code,
        "message": short(&failure.message),
        "left_out_before": left_out,
    });
    if let Some(token) = token {
        detail["token"] = token.into();
    }
    Note { kind: NoteKind::TurnedAway, at: now, run: None, actor: None, name: short(name), detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refusals_leaves_few_records_of_each_kind_and_their_number() {
        for most in [1, 30] {
            let (refusals, now) = (Refusals::at_most(most), Instant::now());
            for _ in 0..most {
                assert_eq!(refusals.take("one", now), Some(0));
            }
            for _ in 0..1_000 {
                assert_eq!(refusals.take("one", now), None);
            }
            assert_eq!(refusals.take("other", now), Some(0));
            assert_eq!(refusals.take("one", now + STRETCH), Some(1_000));
        }
    }

    #[test]
    fn what_is_remembered_of_them_is_bounded() {
        let (refusals, now) = (Refusals::at_most(1), Instant::now());
        for n in 0..MAX_KINDS {
            assert_eq!(refusals.take(&n.to_string(), now), Some(0));
        }
        assert_eq!(refusals.take("one more", now), None);
        assert_eq!(refusals.take("one more", now + STRETCH), Some(0));
        assert_eq!(refusals.counts.lock().unwrap().len(), 1);
    }
}
