//! The layer that all faces share: settings, workspace, connection to the service, host of an
//! agent.
//!
//! A face is the command line, or whatever else lets people or programs work with Planwright. Each
//! translates its requests into calls of this layer, so that no face needs another.

pub(crate) mod agent;
pub(crate) mod applied_mark;
pub(crate) mod connection;
pub(crate) mod engine;
pub(crate) mod error;
pub(crate) mod faces;
pub(crate) mod inbox;
pub(crate) mod params;
pub(crate) mod pending;
pub(crate) mod report_size;
pub(crate) mod schedules;
pub(crate) mod seal;
pub(crate) mod settings;
pub(crate) mod shown;
pub(crate) mod sign_in;
pub(crate) mod state_dir;
pub(crate) mod test_stage;
pub(crate) mod token;
pub(crate) mod upkeep;
pub(crate) mod workspace;

use std::sync::Arc;
use std::time::Duration;

use crate::app::agent::agent_of;
use crate::app::connection::ServiceConnection;
use crate::app::error::AppError;
use crate::app::settings::Settings;
use crate::host::{Agent, Approver, Host, Judge, StateFolder, Stop, SystemClock, Watch};
use crate::script::Workspace;
use crate::script::worker::{prestart, require_walls};

/// The settings and the workspace of a process.
pub(crate) struct App {
    /// The settings that the face was given.
    pub(crate) settings: Settings,
    /// The workspace, as it was read at the start.
    pub(crate) workspace: Workspace,
    /// The flag that stops a run.
    pub(crate) interrupt: Arc<Stop>,
}

impl App {
    /// Reads the workspace, while `n_workers` processes for scripts are started.
    ///
    /// # Errors
    /// The workspace cannot be read, or is not trusted.
    pub(crate) fn open(settings: Settings, n_workers: usize) -> Result<Self, AppError> {
        // A process takes as long to start as the workspace takes to be read.
        prestart(n_workers);
        let workspace = workspace::load(&settings)?;
        if workspace.config.sandbox.required {
            require_walls();
        }
        Ok(Self { settings, workspace, interrupt: Arc::default() })
    }

    /// Connects to the chosen service, with the sign-in of an agent or of the person.
    ///
    /// # Errors
    /// None is chosen, the agent's own profile does not exist, or the embedded one cannot be opened.
    pub(crate) async fn connect(&self, agent: Option<&str>) -> Result<ServiceConnection, AppError> {
        ServiceConnection::open(&self.settings_for(agent)?, &self.workspace).await
    }

    /// Returns the profile that is an agent's own, if it has one.
    pub(crate) fn own_profile(&self, agent: Option<&str>) -> Option<&str> {
        self.workspace.config.agents.get(agent?)?.profile.as_deref()
    }

    /// Returns the settings with which an agent, or the person, signs in.
    ///
    /// # Errors
    /// Another profile was asked for than the agent's own.
    pub(crate) fn settings_for(&self, agent: Option<&str>) -> Result<Settings, AppError> {
        let Some(name) = agent else { return Ok(self.settings.clone()) };
        self.settings.for_agent(name, self.own_profile(agent))
    }

    /// Makes a host for `agent`, as a version of the workspace has it.
    ///
    /// # Errors
    /// The time zone does not exist, or there is no state folder.
    #[expect(clippy::too_many_arguments, reason = "each is one part of a host")]
    pub(crate) fn host(
        &self,
        connection: &ServiceConnection,
        workspace: &Workspace,
        agent: Option<&str>,
        judge: Arc<dyn Judge>,
        approver: Arc<dyn Approver>,
        watch: Watch,
    ) -> Result<Host, AppError> {
        let limits = workspace.config.limits_of(agent);
        Ok(Host {
            client: connection.client.clone(),
            service: connection.service.clone(),
            clock: Arc::new(SystemClock),
            zone: workspace::time_zone(workspace)?,
            caps: limits.caps(),
            limits: workspace.config.planner,
            max_reads: limits.max_reads(),
            max_edits: limits.max_edits(),
            max_edit_bytes: limits.max_edit_bytes(),
            time_limit: Duration::from_secs(limits.seconds.unwrap_or(60)),
            judge,
            quarantine: Duration::from_secs(limits.quarantine_seconds.unwrap_or(60)),
            writes_per_second: limits.writes_per_second,
            watch,
            state_folder: Some(self.state_folder()?),
            approver,
            approval_time: workspace.config.approvals.time(),
            interrupt: Arc::clone(&self.interrupt),
        })
    }

    /// Returns what the workspace grants an agent.
    ///
    /// # Errors
    /// Agents are configured, and this is none of them.
    pub(crate) fn agent(&self, name: Option<&str>) -> Result<Option<Agent>, AppError> {
        agent_of(&self.workspace, name)
    }

    /// Returns the journal's place in the state folder.
    ///
    /// # Errors
    /// There is no state folder, or others can write to it.
    pub(crate) fn state_folder(&self) -> Result<StateFolder, AppError> {
        Ok(StateFolder::new(self.settings.state_dir()?))
    }
}
