//! The host of runs, and what a run starts from and ends with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::change::{ChangeSet, Saved};
use crate::graph::Client;
use crate::host::failure::Failure;
use crate::host::progress::Watch;
use crate::host::record::StateFolder;
use crate::host::report::Report;
use crate::host::session::core::Session;
use crate::host::stop::Stop;
use crate::journal::Purpose;
use crate::model::{Clock, Limits};
use crate::policy::{Caps, Ruling};

/// What drafts: a script, or the body of a command.
pub trait Program: Send + Sync {
    /// Reads through the session, records wishes there, returns a result as data. It runs again
    /// where someone else has moved what it read, and must then want the same of the same.
    ///
    /// # Errors
    /// What went wrong, for the report; then nothing is applied.
    fn run(&self, session: &Session) -> Result<Value, Failure>;
}

/// What judges beside the host rules: the policies. It must fail closed (rule R7): whatever
/// goes wrong in there is a [`Verdict::Deny`].
pub trait Judge: Send + Sync {
    /// Judges a set; reads the board through the session, which can not write.
    fn judge(&self, session: &Session, set: &ChangeSet, start: &Start) -> Vec<Ruling>;

    /// Returns the plans that the configuration names.
    fn plan_names(&self) -> PlanNames {
        PlanNames::default()
    }

    /// Returns the digest of each policy in force, by name.
    fn digests(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }
}

/// The plans that the configuration names, by title or id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlanNames {
    /// Those that policies of their own guard.
    pub guarded: BTreeSet<String>,
    /// Those that agents are confined to.
    pub granted: BTreeSet<String>,
}

/// What configuration grants an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// The agent's name.
    pub name: String,
    /// Titles or ids of the plans that it may see; `None` for all.
    pub plans: Option<BTreeSet<String>>,
    /// Whether it may apply.
    pub may_apply: bool,
    /// Whether it may delete without `--force`.
    pub force: bool,
}

/// What a run starts from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Start {
    /// What the run is for. The host sets it, whatever is given: policies rely on it.
    pub purpose: Purpose,
    /// The skill's name, or the command's.
    pub skill: String,
    /// The digest of the skill with all it imports.
    pub skill_digest: Option<String>,
    /// The parameters, as data.
    pub params: Value,
    /// The agent, if one acts.
    pub agent: Option<Agent>,
    /// Whether deletions are granted.
    pub force: bool,
    /// Whether to leave out the last step.
    pub dry_run: bool,
}

/// A run that has ended.
#[derive(Debug)]
pub struct Finished {
    /// What came of it.
    pub report: Report,
    /// Its change set, to be saved; only of a dry run that nothing stands against.
    pub saved: Option<Saved>,
    /// What the markers of new things have become, by marker.
    pub made: BTreeMap<String, String>,
}

/// The host of runs against one service in the name of one identity.
pub struct Host {
    /// The way to the service.
    pub client: Client,
    /// What the service is called in saved change sets: its address, or a name where the
    /// address differs from run to run.
    pub service: String,
    /// The clock; each run asks it once.
    pub clock: Arc<dyn Clock>,
    /// The zone that decides what today is.
    pub zone: TimeZone,
    /// How much a run may write.
    pub caps: Caps,
    /// What Planner accepts.
    pub limits: Limits,
    /// How long a program may draft, waiting included.
    pub time_limit: Duration,
    /// How often a program may ask the service.
    pub max_reads: u64,
    /// How many things a program may want to change; what is applied is capped apart.
    pub max_wishes: usize,
    /// How many bytes of text the edits of a run may add.
    pub max_edit_bytes: usize,
    /// The policies.
    pub judge: Arc<dyn Judge>,
    /// How long after a create it would have shown, if it was made.
    pub quarantine: Duration,
    /// How many writes may go out in a second; `None` for as many as the service takes.
    pub writes_per_second: Option<u32>,
    /// Is told how far a run is.
    pub watch: Watch,
    /// Where runs are recorded; without one nothing is.
    pub state_folder: Option<StateFolder>,
    /// Stops whatever runs (Ctrl-C).
    pub interrupt: Arc<Stop>,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("client", &self.client).finish_non_exhaustive()
    }
}
