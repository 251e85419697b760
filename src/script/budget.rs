//! The budget of one script.
//!
//! The engine's own counters restart inside callbacks, and its limits on size hold for single
//! values only, so the budget is kept here: a counter that only grows, a memory meter, a stop flag
//! that no `catch` can undo.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::host::{Session, Stop, StopReason};
use crate::script::sandbox::memory::held_by_this_thread;

/// The budgets of one script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Operations of the script engine.
    pub operations: u64,
    /// Memory of all values together, in bytes.
    pub memory: usize,
    /// Text printed, in bytes.
    pub output: usize,
    /// Time spent computing: not that spent waiting for the service.
    pub computing: Duration,
    /// Calls within calls; no more than the stack is sized for.
    pub calls: usize,
    /// The depth to which statements and expressions may nest. Compiling refuses what the stack
    /// could not bear, whatever is set here.
    pub expression_depth: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            operations: 5_000_000,
            memory: 64 << 20,
            output: 256 << 10,
            computing: Duration::from_secs(10),
            calls: CALL_LIMIT,
            expression_depth: usize::MAX,
        }
    }
}

// The engine's own limits on one value: bytes of a text, entries of an array and of a map, and
// calls within calls.
pub(crate) const STRING_LIMIT: usize = 1 << 20;
pub(crate) const ARRAY_LIMIT: usize = 50_000;
pub(crate) const MAP_LIMIT: usize = 5_000;
pub(crate) const CALL_LIMIT: usize = 48;
/// The depth to which expressions may nest when compiled; half of it in functions.
pub(crate) const EXPRESSION_DEPTH: usize = 64;

/// The meter of a running script; one for each run.
#[derive(Debug)]
pub(crate) struct Meter {
    pub(crate) budget: Budget,
    session: Session,
    stop: Arc<Stop>,
    began: Instant,
    /// The time that the run had waited before.
    waited_before: Duration,
    operations: AtomicU64,
    output: AtomicUsize,
    memory_at_start: AtomicI64,
}

impl Meter {
    pub(crate) fn new(budget: Budget, session: &Session) -> Arc<Self> {
        Arc::new(Self {
            budget,
            session: session.clone(),
            stop: Arc::clone(session.stop()),
            began: Instant::now(),
            waited_before: session.waited(),
            operations: AtomicU64::new(0),
            output: AtomicUsize::new(0),
            memory_at_start: AtomicI64::new(0),
        })
    }

    /// Starts counting memory; on the thread that will run the script.
    pub(crate) fn start(&self) {
        self.memory_at_start.store(held_by_this_thread(), Ordering::Relaxed);
    }

    /// Starts counting memory with so many bytes counted already: what earlier lines left behind.
    pub(crate) fn start_holding(&self, bytes: i64) {
        self.memory_at_start.store(held_by_this_thread() - bytes.max(0), Ordering::Relaxed);
    }

    /// Counts one operation; false when the script must end.
    pub(crate) fn tick(&self) -> bool {
        let n = self.operations.fetch_add(1, Ordering::Relaxed) + 1;
        if n > self.budget.operations {
            self.over("operations", self.budget.operations.to_string());
        } else if n.is_multiple_of(64) {
            // A clock is too slow to be read at every operation.
            let held = held_by_this_thread() - self.memory_at_start.load(Ordering::Relaxed);
            // Negative when the script has freed what was there before it: that is not too much.
            if usize::try_from(held).is_ok_and(|held| held > self.budget.memory) {
                self.over("memory", format!("{} MiB", self.budget.memory >> 20));
            }
            let computing = self
                .began
                .elapsed()
                .saturating_sub(self.session.waited().saturating_sub(self.waited_before));
            if computing > self.budget.computing {
                self.over("computing time", format!("{} s", self.budget.computing.as_secs()));
            }
        }
        // The stop stays set: a callback such as `map` turns the engine's error into one that a
        // script can catch, and then the next operation ends it.
        !self.stop.is_set()
    }

    /// Counts output; false when there was too much.
    pub(crate) fn print(&self, bytes: usize) -> bool {
        // One more for each line: otherwise a script could print empty lines without end.
        let n = self.output.fetch_add(bytes.saturating_add(1), Ordering::Relaxed) + bytes;
        if n > self.budget.output {
            self.over("output", format!("{} KiB", self.budget.output >> 10));
        }
        !self.stop.is_set()
    }

    fn over(&self, name: &'static str, size: String) {
        self.stop.set(StopReason::Budget(name, size));
    }
}
