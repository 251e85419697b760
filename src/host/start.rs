//! The host of runs, with the start and the end of a run.

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
use crate::host::run::approver::Approver;
use crate::host::session::core::Session;
use crate::host::stop::Stop;
use crate::journal::Purpose;
use crate::model::{Clock, Limits};
use crate::policy::{Caps, Ruling};

/// A program that drafts: a script, or the body of a command.
pub trait Program: Send + Sync {
    /// Reads through the session, records edits there, and returns a result as data. It runs again
    /// if someone else has moved what it read, and must then record the same edits for the same
    /// reads.
    ///
    /// # Errors
    /// The failure for the report; then nothing is applied.
    fn run(&self, session: &Session) -> Result<Value, Failure>;
}

/// A judge beside the host rules: the policies. It must fail closed (rule R7): anything that goes
/// wrong in it is a [`Verdict::Deny`].
pub trait Judge: Send + Sync {
    /// Judges a set; reads the board through the session, which cannot write.
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
    /// Plans that policies of their own guard.
    pub guarded: BTreeSet<String>,
    /// Plans that agents are confined to.
    pub granted: BTreeSet<String>,
}

/// The grants of an agent, from the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// The agent's name.
    pub name: String,
    /// Titles or ids of the plans that it may see; `None` for all.
    pub plans: Option<BTreeSet<String>>,
    /// True if it may apply.
    pub may_apply: bool,
    /// True if it may delete without `--force`.
    pub force: bool,
    /// True if a person must approve each of its sets.
    pub approved_only: bool,
    /// The most changes that it may make in a day, over all its runs; `None` for any number.
    pub changes_per_day: Option<u64>,
    /// The most runs that it may begin in an hour; `None` for any number.
    pub runs_per_hour: Option<u64>,
}

/// The start of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Start {
    /// The purpose of the run. The host always sets it, since policies rely on it.
    pub purpose: Purpose,
    /// The skill's name, or the command's.
    pub skill: String,
    /// The digest of the skill with all it imports.
    pub skill_digest: Option<String>,
    /// The parameters, as data.
    pub params: Value,
    /// The agent, if one acts.
    pub agent: Option<Agent>,
    /// True if deletions are granted.
    pub force: bool,
    /// True if the last step is left out.
    pub dry_run: bool,
}

/// A run that has ended.
#[derive(Debug)]
pub struct Finished {
    /// Its report.
    pub report: Report,
    /// Its change set, to be saved: of a dry run that no rule or policy denies.
    pub saved: Option<Saved>,
    /// The ids that provisional ones have become.
    pub made: BTreeMap<String, String>,
}

/// The host of runs against one service in the name of one identity.
pub struct Host {
    /// The client of the service.
    pub client: Client,
    /// The service's name in saved change sets: its address, or a fixed name where the address
    /// differs from run to run.
    pub service: String,
    /// The clock; each run asks it once.
    pub clock: Arc<dyn Clock>,
    /// The zone that decides what day it is.
    pub zone: TimeZone,
    /// The most that a run may write.
    pub caps: Caps,
    /// The limits of Planner.
    pub limits: Limits,
    /// The time that a program may draft, waiting included.
    pub time_limit: Duration,
    /// The most requests that a program may make of the service.
    pub max_reads: u64,
    /// The most entities that a program may edit; what is applied has caps of its own.
    pub max_edits: usize,
    /// The most bytes of text that the edits of a run may add.
    pub max_edit_bytes: usize,
    /// The policies.
    pub judge: Arc<dyn Judge>,
    /// The time after a create by which it would have shown, if it was carried out.
    pub quarantine: Duration,
    /// The most writes in a second; `None` for as many as the service takes.
    pub writes_per_second: Option<u32>,
    /// The person who decides on what is held.
    pub approver: Arc<dyn Approver>,
    /// The time that a held set waits for a person.
    pub approval_time: Duration,
    /// The listener for progress.
    pub watch: Watch,
    /// The place where runs are recorded; without one, nothing is.
    pub state_folder: Option<StateFolder>,
    /// The switch that stops whatever runs (Ctrl-C).
    pub interrupt: Arc<Stop>,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("client", &self.client).finish_non_exhaustive()
    }
}
