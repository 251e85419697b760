//! The firing of schedules: each due time becomes one entry of the inbox, whatever is killed when.
//!
//! For each schedule a value keeps the moment up to which its times have been seen to. A time becomes an
//! entry under the key `schedule:NAME@TIME`, of which the queue keeps one; then it is claimed; then the
//! moment advances. Whoever is killed in between leaves something that the next one does again, to the
//! same effect.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::app::schedules::entry::{Order, Sender, submit};
use crate::coordinate::{Coordinate, Error, Note, SharedWrite, Written};
use crate::journal::inbox::InboxEntry;
use crate::script::workspace::automation::Schedule;

/// The most times that a write is tried while others write the same.
const TRIES: usize = 20;

/// The standing of a schedule, in all processes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Standing {
    /// Its times, as they were when this was written: those of another pattern were never waited for.
    times: String,
    /// The moment up to which its times have been seen to.
    after: Option<Timestamp>,
    /// The pause in force.
    pub(crate) paused: Option<SchedulePause>,
    /// Its last time.
    pub(crate) last: Option<Last>,
}

/// The pause of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SchedulePause {
    /// The moment it was set.
    pub(crate) at: Timestamp,
    /// The sign-in name of whoever set it.
    pub(crate) by: String,
    /// The reason that was given.
    pub(crate) reason: Option<String>,
}

/// A time that has become an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Last {
    /// The moment at which it was due.
    pub(crate) due: Timestamp,
    /// The entry.
    pub(crate) entry: String,
}

/// A schedule of a workspace at a service.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Which<'a> {
    /// What stands for the workspace and the service.
    pub(crate) scope: &'a str,
    /// The name of the schedule.
    pub(crate) name: &'a str,
}

impl Which<'_> {
    fn key(self) -> String {
        format!("schedule:{}:{}", self.scope, self.name)
    }
}

fn times_of(schedule: &Schedule) -> String {
    format!("{} in {}", schedule.cron.as_str(), schedule.zone_name())
}

/// Returns where a schedule stands, with the revision of that.
pub(crate) fn standing(
    shared: &dyn Coordinate,
    which: Which<'_>,
) -> Result<(Standing, i64), Error> {
    let found = shared.value(&which.key())?;
    // What cannot be read was written by another version: the schedule begins afresh.
    let standing = found.value.and_then(|value| serde_json::from_value(value).ok());
    Ok((standing.unwrap_or_default(), found.revision))
}

fn write(
    shared: &dyn Coordinate,
    which: Which<'_>,
    (standing, expected): (&Standing, i64),
    note: Option<&Note>,
) -> Result<bool, Error> {
    let value = serde_json::to_value(standing).unwrap_or(Value::Null);
    let (key, value) = (which.key(), Some(&value));
    let write = SharedWrite { key: &key, expected, value, fence: None, note };
    Ok(matches!(shared.compare_and_set(&write)?, Written::At(_)))
}

/// Changes whether a schedule is paused. Returns false if it is so already.
///
/// The times of a pause are over when it is lifted.
pub(crate) fn set_pause(
    shared: &dyn Coordinate,
    which: Which<'_>,
    (pause, now): (Option<&SchedulePause>, Timestamp),
    note: &Note,
) -> Result<bool, Error> {
    for _ in 0..TRIES {
        let (mut standing, revision) = standing(shared, which)?;
        if standing.paused.is_none() && pause.is_none() {
            return Ok(false);
        }
        standing.paused = pause.cloned();
        standing.after = standing.after.map(|after| after.max(now));
        if write(shared, which, (&standing, revision), Some(note))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Fires what is due, of all schedules; returns the new entries. One that cannot be written holds up no
/// other: the first error is returned at the end.
pub(crate) fn tick(
    shared: &dyn Coordinate,
    schedules: &BTreeMap<String, Schedule>,
    by: &Sender,
    now: Timestamp,
) -> Result<Vec<InboxEntry>, Error> {
    let (mut fired, mut failed) = (Vec::new(), None);
    for (name, schedule) in schedules {
        match tick_one(shared, (name.as_str(), schedule), by, now) {
            Ok(entries) => fired.extend(entries),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    failed.map_or(Ok(fired), Err)
}

fn tick_one(
    shared: &dyn Coordinate,
    (name, schedule): (&str, &Schedule),
    by: &Sender,
    now: Timestamp,
) -> Result<Vec<InboxEntry>, Error> {
    let mut fired = Vec::new();
    let scope = by.scope();
    let which = Which { scope: &scope, name };
    for _ in 0..TRIES {
        let (mut standing, revision) = standing(shared, which)?;
        let times = times_of(schedule);
        let Some(after) = standing.after.filter(|_| standing.times == times) else {
            // Seen for the first time: what was due before is none of its times.
            standing = Standing { times, after: Some(now), ..standing };
            if write(shared, which, (&standing, revision), None)? {
                return Ok(fired);
            }
            continue;
        };
        // A pause that is lifted advances the moment.
        if standing.paused.is_some() {
            return Ok(fired);
        }
        let due = schedule.cron.fires(&schedule.zone, schedule.missed, after, now);
        let Some(last) = due.last().copied() else { return Ok(fired) };
        for due in due {
            let (entry, is_new) = fire(shared, (name, schedule), due, &standing, by, now)?;
            if let Some(entry) = entry {
                standing.last = Some(Last { due, entry: entry.id.clone() });
                fired.extend(Some(entry).filter(|_| is_new));
            }
        }
        standing.after = Some(last);
        if write(shared, which, (&standing, revision), None)? {
            return Ok(fired);
        }
    }
    Ok(fired)
}

/// Makes an entry of a due time. Returns the one that there is, and whether it is of now.
fn fire(
    shared: &dyn Coordinate,
    (name, schedule): (&str, &Schedule),
    due: Timestamp,
    standing: &Standing,
    by: &Sender,
    now: Timestamp,
) -> Result<(Option<InboxEntry>, bool), Error> {
    let key = format!("schedule:{name}@{due}");
    let claim = format!("schedule:{}:{name}@{due}", by.scope());
    if let Some(claim) = shared.claimed(&claim)? {
        return Ok((shared.entry(&claim.owner)?, false));
    }
    if !schedule.overlap
        && let Some(last) = standing.last.as_ref().filter(|last| last.due != due)
        && shared.entry(&last.entry)?.is_some_and(|entry| !entry.state.is_over())
    {
        tracing::warn!(schedule = name, %due, "left out: the run before is not over");
        shared.claim(&claim, "left out", now)?;
        return Ok((None, false));
    }
    let order = Order {
        skill: &schedule.skill,
        params: schedule.params.clone(),
        to: &schedule.agent,
        not_before: jittered(&key, due, schedule.jitter_seconds),
        key: Some(key.clone()),
        fence: None,
    };
    let entry = submit(shared, by, order, now)?;
    // Of two that have come so far, one makes the claim; the entry is the same.
    let is_new = shared.claim(&claim, &entry.id, now)?;
    Ok((Some(entry), is_new))
}

/// Returns the moment at which a run begins, late by what its key decides: the same in every process.
fn jittered(key: &str, due: Timestamp, jitter_seconds: u32) -> Option<Timestamp> {
    if jitter_seconds == 0 {
        return None;
    }
    let digest = Sha256::digest(key.as_bytes());
    let number = digest.iter().take(4).fold(0_u32, |number, byte| (number << 8) | u32::from(*byte));
    let late = SignedDuration::from_secs(i64::from(number % (jitter_seconds + 1)));
    due.checked_add(late).ok()
}

#[cfg(test)]
mod tests;
