//! The stage of a test, as data and as what the host offers to it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::change::ChangeSet;
use crate::host::Failure;
use crate::model::TaskId;

/// What is to be run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// A skill of the workspace.
    Skill(String),
    /// The text of a script.
    Text(String),
}

/// A run that a test asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Wanted {
    /// What is run.
    pub what: What,
    /// Its parameters.
    pub params: Map<String, Value>,
    /// The agent that acts, if one does.
    pub agent: Option<String>,
    /// Who is signed in, by sign-in name.
    pub user: String,
    /// The policies that judge it, in place of those for every run in the workspace.
    pub policies: Option<Vec<String>>,
    /// Whether deletions are granted.
    pub force: bool,
    /// Whether the last step is left out.
    pub dry_run: bool,
}

/// Where a test plays.
pub trait Stage: Send + Sync + fmt::Debug {
    /// Adds what a seed of the emulator describes.
    ///
    /// # Errors
    /// It describes something that can not be.
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
    fn run(&self, wanted: &Wanted) -> Result<Value, Failure>;

    /// Applies what the test itself wants, in the name of `user`, past the policies.
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

/// What a running test knows beside the board.
#[derive(Debug)]
pub(crate) struct Play {
    pub(crate) stage: Arc<dyn Stage>,
    pub(crate) state: Mutex<Scene>,
}

impl Play {
    pub(crate) fn scene(&self) -> MutexGuard<'_, Scene> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who acts, and what came of the last run.
#[derive(Debug, Clone)]
pub(crate) struct Scene {
    pub(crate) user: String,
    pub(crate) agent: Option<String>,
    pub(crate) policies: Option<Vec<String>>,
    pub(crate) last: Option<Value>,
}
