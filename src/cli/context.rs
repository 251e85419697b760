//! What a command gets: the interface, the workspace, a host on the service.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde_json::Value;

use crate::cli::args::{Cli, Global, ProgressWhen, WriteArgs};
use crate::cli::embedded::Embedded;
use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::files::{self, Access};
use crate::cli::progress;
use crate::cli::render::report;
use crate::cli::seal;
use crate::cli::settings::{self, Service};
use crate::cli::ui::{self, Ui};
use crate::emulator::{Options, Storage};
use crate::graph::Client;
use crate::host::{
    Agent, Failure, Finished, Host, Judge, Program, Session, Start, StateFolder, Status, Stop,
    StopReason, SystemClock,
};
use crate::journal::Purpose;
use crate::script::worker::{prestart, require_walls};
use crate::script::{Policies, Workspace};

/// What commands work with.
pub(crate) struct Context<'a> {
    pub(crate) ui: &'a Ui,
    pub(crate) global: &'a Global,
    pub(crate) workspace: Workspace,
    progress: ProgressWhen,
    runtime: tokio::runtime::Runtime,
    interrupt: Arc<Stop>,
}

/// The way to a service.
pub(crate) struct Way {
    pub(crate) client: Client,
    /// What it is called.
    pub(crate) service: String,
}

/// Where the embedded Planner is served, as long as this lives.
pub(crate) struct Serving {
    _embedded: Option<Embedded>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(cli: &'a Cli, ui: &'a Ui) -> Result<Self, CommandError> {
        // A process takes as long to start as the workspace takes to be read.
        prestart(cli.command.scripts());
        let workspace = settings::workspace(&cli.global)?;
        if workspace.config.sandbox.required {
            require_walls();
        }
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let (global, progress) = (&cli.global, cli.command.progress());
        Ok(Self { ui, global, workspace, progress, runtime, interrupt: Arc::default() })
    }

    /// Runs a program through review and apply, and shows what came of it.
    pub(crate) fn write(
        &self,
        write: &WriteArgs,
        skill: (String, Option<String>),
        params: Value,
        program: Arc<dyn Program>,
    ) -> Result<Exit, CommandError> {
        let (name, digest) = skill;
        let start = Start {
            purpose: Purpose::Run,
            skill: name,
            skill_digest: digest,
            params,
            agent: self.agent(write.agent.as_deref())?,
            force: write.force,
            dry_run: write.dry_run || write.out.is_some(),
        };
        let agent = write.agent.as_deref();
        let finished = self.with_host(agent, async |host| host.run(start, program).await)?;
        self.show_or_save(&finished, write)
    }

    /// Shows a finished run, and saves its change set if that was asked for.
    pub(crate) fn show_or_save(
        &self,
        finished: &Finished,
        write: &WriteArgs,
    ) -> Result<Exit, CommandError> {
        // What was refused is not saved: there is nothing to apply.
        let saved = write.out.as_deref().filter(|_| finished.report.status == Status::Previewed);
        if let Some(file) = saved {
            self.save(finished, file)?;
        } else if let Some(file) = &write.out {
            self.ui.note(&format!("Nothing saved to {}.", file.display()));
        }
        Ok(self.show(finished, saved))
    }

    fn save(&self, finished: &Finished, file: &Path) -> Result<(), CommandError> {
        let Some(saved) = &finished.saved else { return Ok(()) };
        let sealed = saved.clone().sealed(&seal::key(self.global)?);
        files::write(file, &sealed.to_text(), Access::Owner)
    }

    /// Runs the body of a command through review and apply; the command is its name.
    pub(crate) fn edit(
        &self,
        write: &WriteArgs,
        command: &str,
        body: impl FnOnce(&Session) -> Result<Value, Failure> + Clone + Send + Sync + 'static,
    ) -> Result<Exit, CommandError> {
        // It may have to run more than once.
        let again = move |session: &Session| body.clone()(session);
        self.write(write, (command.to_owned(), None), Value::Null, Arc::new(again))
    }

    /// Reads the board.
    pub(crate) fn look<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Session) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, CommandError> {
        Ok(self.with_host(None, async |host| host.look(None, work).await)??)
    }

    /// Shows a finished run; returns how it ends the program.
    pub(crate) fn show(&self, finished: &Finished, saved: Option<&Path>) -> Exit {
        if self.ui.json() {
            self.ui.json_report(&finished.report);
        } else {
            let zone = settings::time_zone(&self.workspace).unwrap_or(TimeZone::UTC);
            report::show(self.ui, &finished.report, saved, &zone);
        }
        Exit::of_report(&finished.report)
    }

    /// Runs `work` with a host for `agent` on the chosen service.
    pub(crate) fn with_host<T>(
        &self,
        agent: Option<&str>,
        work: impl AsyncFnOnce(&Host) -> T,
    ) -> Result<T, CommandError> {
        settings::time_zone(&self.workspace)?;
        let (way, _serving) = self.connect()?;
        let judge = Arc::new(Policies::in_force(&self.workspace, agent));
        let host = self.host(&way, &self.workspace, agent, judge)?;
        self.runtime.block_on(async {
            self.watch_interrupt();
            Ok(work(&host).await)
        })
    }

    /// Finds the chosen service; the embedded one is there as long as what is returned.
    pub(crate) fn connect(&self) -> Result<(Way, Serving), CommandError> {
        let service = settings::service(self.global)?;
        let name = service.name();
        let (client, serving) = self.runtime.block_on(self.client(service))?;
        Ok((Way { client, service: name }, serving))
    }

    /// Makes a host for `agent`, as a version of the workspace has it.
    pub(crate) fn host(
        &self,
        way: &Way,
        workspace: &Workspace,
        agent: Option<&str>,
        judge: Arc<dyn Judge>,
    ) -> Result<Host, CommandError> {
        let limits = workspace.config.limits_of(agent);
        Ok(Host {
            client: way.client.clone(),
            service: way.service.clone(),
            clock: Arc::new(SystemClock),
            zone: settings::time_zone(workspace)?,
            caps: limits.caps(),
            limits: workspace.config.planner,
            max_reads: limits.max_reads(),
            max_wishes: limits.max_wishes(),
            max_edit_bytes: limits.max_edit_bytes(),
            time_limit: Duration::from_secs(limits.seconds.unwrap_or(60)),
            judge,
            quarantine: Duration::from_secs(limits.quarantine_seconds.unwrap_or(60)),
            writes_per_second: limits.writes_per_second,
            watch: progress::watch(self.progress, self.ui.json()),
            state_folder: Some(self.state_folder()?),
            interrupt: Arc::clone(&self.interrupt),
        })
    }

    /// Returns the journal's place in the state folder.
    pub(crate) fn state_folder(&self) -> Result<StateFolder, CommandError> {
        Ok(StateFolder::new(settings::state_dir(self.global)?))
    }

    /// Runs something asynchronous to its end.
    pub(crate) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Turns Ctrl-C into an orderly stop: what is in flight ends, the rest is not sent.
    fn watch_interrupt(&self) {
        let interrupt = Arc::clone(&self.interrupt);
        self.runtime.spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                interrupt.set(StopReason::Cancelled);
            }
            // Asked twice: leave at once, whatever is in flight.
            if tokio::signal::ctrl_c().await.is_ok() {
                ui::leave();
            }
        });
    }

    /// Tells whether Graph's beta is to be used.
    fn beta(&self) -> bool {
        self.global.beta || self.workspace.config.beta
    }

    async fn client(&self, service: Service) -> Result<(Client, Serving), CommandError> {
        match service {
            Service::Graph { base, token, proxy } => {
                let base = if self.beta() { base.beta() } else { base };
                let client = Client::through(base, &token, proxy.as_ref())?;
                Ok((client, Serving { _embedded: None }))
            }
            Service::Embedded { data, user } => {
                if let Some(folder) = data.parent() {
                    settings::make_private_dir(folder)?;
                }
                let mut options = Options::new(Storage::File(data), Arc::new(SystemClock));
                // A bad zone is reported where it decides anything.
                options.zone = settings::time_zone(&self.workspace).unwrap_or(TimeZone::UTC);
                let embedded = Embedded::serve(options, |error| {
                    CommandError::new("io", "can not open the embedded Planner")
                        .caused_by(error)
                        .hint("name another folder with `--state-dir DIR`")
                })
                .await?;
                if embedded.emulator.is_empty().unwrap_or(false) {
                    embedded.emulator.seed_demo().map_err(|error| {
                        CommandError::new("io", "can not set up the demo board").caused_by(&error)
                    })?;
                    self.ui.note("Set up a demo board: the plan \"BOS Operations\", signed in as rook@bos.example.");
                }
                let client = embedded.client(&user, self.beta())?;
                Ok((client, Serving { _embedded: Some(embedded) }))
            }
        }
    }

    /// Returns what configuration grants an agent. Where agents are configured, an unknown name
    /// is an error: a typo must not grant everything.
    pub(crate) fn agent(&self, name: Option<&str>) -> Result<Option<Agent>, CommandError> {
        agent_of(&self.workspace, name)
    }

    /// Returns the runtime's handle.
    pub(crate) fn handle(&self) -> tokio::runtime::Handle {
        self.runtime.handle().clone()
    }

    /// Returns what stops whatever runs; nobody watches for Ctrl-C yet.
    pub(crate) fn interrupt_flag(&self) -> Arc<Stop> {
        Arc::clone(&self.interrupt)
    }

    /// Returns what Ctrl-C sets, once somebody watches for it.
    pub(crate) fn interrupt(&self) -> Arc<Stop> {
        self.runtime.block_on(async { self.watch_interrupt() });
        Arc::clone(&self.interrupt)
    }
}

/// Returns what a workspace grants an agent.
pub(crate) fn agent_of(
    workspace: &Workspace,
    name: Option<&str>,
) -> Result<Option<Agent>, CommandError> {
    let Some(name) = name else { return Ok(None) };
    if name.trim().is_empty() {
        return Err(CommandError::usage("the name of the agent is empty"));
    }
    let agents = &workspace.config.agents;
    let Some(config) = agents.get(name) else {
        if agents.is_empty() {
            return Ok(Some(Agent {
                name: name.into(),
                plans: None,
                may_apply: true,
                force: false,
            }));
        }
        let known: Vec<_> = agents.keys().map(|it| format!("`{it}`")).collect();
        return Err(CommandError::new("agent", format!("there is no agent `{name}`"))
            .hint(format!("planwright.toml knows {}", known.join(", "))));
    };
    Ok(Some(Agent {
        name: name.to_owned(),
        plans: config.plans.as_ref().map(|plans| plans.iter().cloned().collect()),
        may_apply: config.may_apply,
        force: config.force,
    }))
}

#[cfg(test)]
mod tests;
