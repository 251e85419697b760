//! A replica that lags: new objects are not found yet, as in the real service.
//!
//! planner-api.md 1.12, 11 and 15.1, item 18. Time is the emulator's clock, so that a test decides
//! when the service has caught up.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::emulator::state::object::ObjectKind;

/// The longest lag, in milliseconds.
const MAX_MS: u64 = 24 * 3600 * 1000;

/// The time for which new objects stay hidden, in milliseconds of the emulator's clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Lag {
    /// The lag of a plan, bucket or task with everything in it: 404, and absent from lists.
    pub create_ms: u64,
    /// The lag of the board formats of a task: 404.
    pub board_formats_ms: u64,
    /// The time for which Planner does not know a group: 403.
    pub group_ms: u64,
}

impl Lag {
    /// Returns whether the values are in range.
    pub(crate) fn is_valid(&self) -> bool {
        [self.create_ms, self.board_formats_ms, self.group_ms].iter().all(|ms| *ms <= MAX_MS)
    }

    fn of(&self, kind: ObjectKind) -> u64 {
        match kind {
            ObjectKind::AssignedBoard | ObjectKind::BucketBoard | ObjectKind::ProgressBoard => {
                self.create_ms.max(self.board_formats_ms)
            }
            _ => self.create_ms,
        }
    }
}

/// The lag, and the creation times of the objects made under it.
#[derive(Debug, Default)]
pub(crate) struct Replica(Mutex<(Lag, HashMap<String, Timestamp>)>);

impl Replica {
    pub(crate) fn set(&self, lag: Lag) {
        self.lock().0 = lag;
    }

    pub(crate) fn get(&self) -> Lag {
        self.lock().0
    }

    /// Records that an object was created.
    pub(crate) fn born(&self, id: &str, now: Timestamp) {
        // Without any lag, nothing is kept: the map would grow with every object. That of board
        // formats is never shorter than that of their task.
        let mut state = self.lock();
        if state.0.of(ObjectKind::BucketBoard) > 0 {
            state.1.insert(id.to_owned(), now);
        }
    }

    /// Returns whether an object is still hidden.
    pub(crate) fn hides(&self, kind: ObjectKind, id: &str, now: Timestamp) -> bool {
        let state = self.lock();
        state.1.get(id).is_some_and(|born| is_within(*born, state.0.of(kind), now))
    }

    /// Returns whether Planner does not know a group yet.
    pub(crate) fn hides_group(&self, created: Timestamp, now: Timestamp) -> bool {
        is_within(created, self.lock().0.group_ms, now)
    }

    fn lock(&self) -> MutexGuard<'_, (Lag, HashMap<String, Timestamp>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_within(begin: Timestamp, ms: u64, now: Timestamp) -> bool {
    now.duration_since(begin) < SignedDuration::from_millis(ms.cast_signed())
}
