//! The firing of triggers: one list of a plan, for all that wait for something on it.
//!
//! For each plan a value keeps how its tasks were seen last. What has happened since becomes entries of
//! the inbox, under keys that depend only on that value; then the value is written. Whoever is killed in
//! between leaves the same value, so the next one finds the same events and the queue keeps them once.
//! A plan is looked at by one process at a time: its lock has a fence, and the value is written behind it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::app::engine::events::{Seen, events};
use crate::app::schedules::entry::{Order, Sender, submit};
use crate::coordinate::{Coordinate, Error, Fence, SharedWrite, Written};
use crate::journal::inbox::InboxEntry;
use crate::model::{PlanId, Task, Versioned};
use crate::script::workspace::automation::Trigger;

/// The time for which a process has a plan to itself: a list takes seconds.
const HOLD: SignedDuration = SignedDuration::from_mins(2);

/// The tasks of a plan as they were seen last.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
struct Standing {
    /// The triggers that were there then. What was there before one is no event for it.
    triggers: BTreeSet<String>,
    tasks: BTreeMap<String, Seen>,
}

/// A plan that a process has to itself, and how it was seen before it is listed again.
#[derive(Debug)]
pub(crate) struct Look {
    fence: Fence,
    key: String,
    before: Option<Standing>,
    revision: i64,
}

/// Begins to look at a plan; `None` if another process does. What was seen last is read before the list
/// is, or events would be told from a list that is older.
///
/// # Errors
/// It cannot be read or written.
pub(crate) fn begin(
    shared: &dyn Coordinate,
    (scope, plan): (&str, &PlanId),
    owner: &str,
    now: Timestamp,
) -> Result<Option<Look>, Error> {
    let key = format!("triggers:{scope}:{plan}");
    let until = now.checked_add(HOLD).unwrap_or(now);
    let Some(fence) = shared.lock(&key, owner, (now, until))? else { return Ok(None) };
    let found = shared.value(&key)?;
    // What another version has written is as good as nothing: the plan is seen for the first time.
    let before = found.value.and_then(|value| serde_json::from_value(value).ok());
    Ok(Some(Look { fence, key, before, revision: found.revision }))
}

impl Look {
    /// Fires the triggers for what has happened to the tasks of the plan; returns the new entries.
    ///
    /// # Errors
    /// It cannot be written; then the next look finds the same.
    pub(crate) fn settle(
        &self,
        shared: &dyn Coordinate,
        triggers: &BTreeMap<String, Trigger>,
        tasks: &[Versioned<Task>],
        by: &Sender,
        (now, zone): (Timestamp, &TimeZone),
    ) -> Result<Vec<InboxEntry>, Error> {
        let is_first = self.before.is_none();
        let before = self.before.clone().unwrap_or_default();
        let (seen, happened) = events(&before.tasks, tasks, (now, zone));
        let mut fired = Vec::new();
        let known = |name: &String| !is_first && before.triggers.contains(name);
        for event in &happened {
            let waiting = triggers.iter().filter(|(name, one)| one.on == event.on && known(name));
            for (name, trigger) in waiting {
                let mut params = trigger.params.clone();
                params.insert("task".to_owned(), event.task.clone().into());
                params.insert("event".to_owned(), event.on.name().into());
                let order = Order {
                    skill: &trigger.skill,
                    params,
                    to: &trigger.agent,
                    key: Some(format!(
                        "trigger:{name}:{}:{}:{}",
                        event.task,
                        event.on.name(),
                        event.since
                    )),
                    not_before: None,
                    // A list that took too long may be older than what another process has seen.
                    fence: Some(&self.fence),
                };
                fired.push(submit(shared, by, order, now)?);
            }
        }
        let standing = Standing { triggers: triggers.keys().cloned().collect(), tasks: seen };
        if is_first || standing != before {
            let value = serde_json::to_value(&standing).unwrap_or(Value::Null);
            let write = SharedWrite {
                key: &self.key,
                expected: self.revision,
                value: Some(&value),
                fence: Some(&self.fence),
                note: None,
            };
            if !matches!(shared.compare_and_set(&write)?, Written::At(_)) {
                tracing::warn!(key = %self.key, "another process has looked at the plan since");
            }
        }
        Ok(fired)
    }

    /// Gives the plan back.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn end(&self, shared: &dyn Coordinate) -> Result<(), Error> {
        shared.unlock(&self.fence).map(drop)
    }
}

#[cfg(test)]
mod tests;
