//! The stage of a test: its data, and the interface that the host offers to it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::change::ChangeSet;
use crate::host::Failure;
use crate::model::TaskId;

/// The script that a run is to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// A skill of the workspace.
    Skill(String),
    /// The text of a script.
    Text(String),
}

/// A run that a test asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRequest {
    /// The script.
    pub what: Target,
    /// Its parameters.
    pub params: Map<String, Value>,
    /// The agent that acts, if one does.
    pub agent: Option<String>,
    /// The signed-in person, by sign-in name.
    pub user: String,
    /// The policies that judge it, in place of those for every run in the workspace.
    pub policies: Option<Vec<String>>,
    /// True if deletions are granted.
    pub force: bool,
    /// True for a dry run.
    pub dry_run: bool,
}

/// The stage that a test plays on.
pub trait Stage: Send + Sync + fmt::Debug {
    /// Adds what a seed of the emulator describes.
    ///
    /// # Errors
    /// It describes something that cannot exist.
    fn seed(&self, tenant: &Value) -> Result<(), Failure>;

    /// Adds the demo tenant.
    ///
    /// # Errors
    /// It is there already.
    fn demo(&self) -> Result<(), Failure>;

    /// Sets the clock and the time zone of everything.
    fn set_clock(&self, now: Timestamp, zone: TimeZone);

    /// Runs something with its policies in force; returns the report.
    ///
    /// # Errors
    /// It could not even be begun.
    fn run(&self, wanted: &RunRequest) -> Result<Value, Failure>;

    /// Applies the test's own edits, in the name of `user`, past the policies.
    ///
    /// # Errors
    /// It was not applied.
    fn apply(&self, user: &str, set: ChangeSet) -> Result<(), Failure>;

    /// Has somebody else change a task during the next run; `body` is that of a PATCH of the task or
    /// its details.
    ///
    /// # Errors
    /// It cannot be arranged.
    fn meddle(
        &self,
        task: &TaskId,
        details: bool,
        body: Value,
        when: Meddling,
    ) -> Result<(), Failure>;
}

/// The moment of somebody else's edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Meddling {
    /// After the run was drafted and judged, before it validates.
    BeforeValidation,
    /// After validation, right before the write.
    AtWrite,
}

/// The context of a running test, beside the board.
#[derive(Debug)]
pub(crate) struct TestContext {
    pub(crate) stage: Arc<dyn Stage>,
    pub(crate) state: Mutex<TestState>,
}

impl TestContext {
    pub(crate) fn scene(&self) -> MutexGuard<'_, TestState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The person or agent that acts, and the report of the last run.
#[derive(Debug, Clone)]
pub(crate) struct TestState {
    pub(crate) user: String,
    pub(crate) agent: Option<String>,
    pub(crate) policies: Option<Vec<String>>,
    pub(crate) last: Option<Value>,
}
