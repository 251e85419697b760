//! The surroundings of a command: the terminal, the application and an asynchronous runtime, so
//! that a command is only its own few lines.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::app::agent::known_agent;
use crate::app::connection::ServiceConnection;
use crate::app::error::AppError;
use crate::app::workspace::time_zone;
use crate::app::{App, seal};
use crate::cli::approver::{Given, Terminal, ask};
use crate::cli::exit::Exit;
use crate::cli::files::{self, Access};
use crate::cli::options::{Global, ProgressWhen, WriteArgs};
use crate::cli::progress;
use crate::cli::render::text::{YELLOW, paint, visible};
use crate::cli::show;
use crate::cli::ui::{self, Ui};
use crate::host::{
    Agent, Approver, Failure, Finished, Host, Judge, Nobody, Program, Report, Session, Start,
    StateFolder, Status, Stop, StopReason, SystemClock, Watch,
};
use crate::journal::Purpose;
use crate::model::Clock as _;
use crate::script::workspace::automation::Automation;
use crate::script::{Policies, Workspace};

/// The name of an application that signs in as itself, where no other is given.
const APPLICATION: &str = "app";

/// The terminal, the application and the runtime of a command.
pub(crate) struct Context<'a> {
    pub(crate) ui: &'a Ui,
    pub(crate) app: App,
    agent: Option<String>,
    /// True if it is an agent only because an application is signed in.
    is_application: bool,
    /// True if what is held is approved in advance.
    yes: bool,
    /// True once a set was shown for approval, so that its report need not show it again.
    shown: Arc<AtomicBool>,
    progress: ProgressWhen,
    runtime: tokio::runtime::Runtime,
}

impl<'a> Context<'a> {
    /// Opens the application for a command that runs `n_scripts` kinds of scripts at once.
    pub(crate) fn new(
        global: &Global,
        n_scripts: usize,
        progress: ProgressWhen,
        ui: &'a Ui,
    ) -> Result<Self, AppError> {
        let app = App::open(global.settings(), n_scripts)?;
        let mut warnings = app.workspace.config.warnings();
        warnings.extend(Automation::of(&app.workspace).mistakes.iter().map(|mistake| {
            let hint = mistake.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
            format!("{mistake}{hint}")
        }));
        for warning in warnings {
            ui.note(&format!("{} {}", paint(YELLOW.bold(), "warning:"), visible(&warning)));
        }
        // Also where it only reads: an empty list would be taken for an answer.
        known_agent(&app.workspace, global.agent.as_deref())?;
        // An application that signs in as itself is an agent: there is nobody to ask.
        let is_application = global.agent.is_none() && app.settings.is_application();
        let agent = global.agent.clone().or_else(|| is_application.then(|| APPLICATION.to_owned()));
        if global.yes && agent.is_some() {
            return Err(AppError::usage("`--yes` is for people: an agent approves nothing"));
        }
        Ok(Self { yes: global.yes, is_application, ..Self::around(app, agent, progress, ui)? })
    }

    /// Surrounds a command with an application that is open already.
    pub(crate) fn around(
        app: App,
        agent: Option<String>,
        progress: ProgressWhen,
        ui: &'a Ui,
    ) -> Result<Self, AppError> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        Ok(Self {
            ui,
            app,
            agent,
            is_application: false,
            yes: false,
            shown: Arc::default(),
            progress,
            runtime,
        })
    }

    /// Runs a program through review and apply, and shows its report.
    pub(crate) fn write(
        &self,
        write: &WriteArgs,
        skill: (String, Option<String>),
        params: Value,
        program: Arc<dyn Program>,
    ) -> Result<Exit, AppError> {
        let (name, digest) = skill;
        let start = Start {
            purpose: Purpose::Run,
            skill: name,
            skill_digest: digest,
            params,
            agent: self.agent()?,
            force: write.force,
            // A set that is saved must not be applied as well.
            dry_run: write.dry_run || write.out.is_some(),
        };
        let agent = self.agent_name();
        let mut finished = self.with_host(agent, async |host| host.run(start, program).await)?;
        if let Some(error) = &mut finished.report.error {
            self.say_where_to_read(error);
        }
        self.show_or_save(&finished, write)
    }

    /// Adds to an error in a script that is shipped, and so in no file, what prints the script.
    fn say_where_to_read(&self, failure: &mut Failure) {
        let Some(at) = failure.at.as_ref().filter(|at| self.app.workspace.is_shipped(&at.file))
        else {
            return;
        };
        let script = at.file.trim_end_matches(".rhai");
        let command = match script.split_once('/') {
            Some(("skills", name)) => format!("planwright skill show {name} --source"),
            Some(("policies", name)) => format!("planwright policy show {name} --source"),
            _ => format!("planwright skill show {script} --source"),
        };
        failure.hint = Some(match failure.hint.take() {
            Some(hint) => format!("{hint} (`{command}` prints the script)"),
            None => format!("`{command}` prints the script"),
        });
    }

    /// Shows a finished run, and saves its change set if that was asked for.
    pub(crate) fn show_or_save(
        &self,
        finished: &Finished,
        write: &WriteArgs,
    ) -> Result<Exit, AppError> {
        // A denied set is not saved: there is nothing to apply.
        let is_kept = matches!(finished.report.status, Status::Previewed | Status::Held);
        let saved = write.out.as_deref().filter(|_| is_kept);
        if let Some(file) = saved {
            self.save(finished, file)?;
        } else if let Some(file) = &write.out {
            self.ui.note(&format!("Nothing saved to {}.", file.display()));
        }
        Ok(self.show(finished, saved))
    }

    fn save(&self, finished: &Finished, file: &Path) -> Result<(), AppError> {
        let Some(saved) = &finished.saved else { return Ok(()) };
        let sealed = saved.clone().sealed(&seal::key(&self.app.settings)?);
        files::write(file, &sealed.to_text(), Access::Owner)
    }

    /// Runs the body of a command through review and apply, as a run that is named after it.
    pub(crate) fn edit(
        &self,
        write: &WriteArgs,
        command: &str,
        body: impl FnOnce(&Session) -> Result<Value, Failure> + Clone + Send + Sync + 'static,
    ) -> Result<Exit, AppError> {
        // Redrafting runs the body again, so it must not be used up.
        let again = move |session: &Session| body.clone()(session);
        self.write(write, (command.to_owned(), None), Value::Null, Arc::new(again))
    }

    /// Reads the board.
    pub(crate) fn look<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Session) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, AppError> {
        let granted = self.agent()?;
        Ok(self.with_host(self.agent_name(), async |host| host.look(granted, work).await)??)
    }

    /// Shows a finished run; returns the exit code.
    pub(crate) fn show(&self, finished: &Finished, saved: Option<&Path>) -> Exit {
        self.ui.note_run();
        if self.ui.json() {
            self.ui.json_report(&finished.report);
        } else {
            let zone = time_zone(&self.app.workspace).unwrap_or(TimeZone::UTC);
            let is_shown = self.was_shown(&finished.report);
            show::report(self.ui, &finished.report, saved, &zone, is_shown);
        }
        Exit::of_report(&finished.report)
    }

    /// Returns whether a person has seen the changes of a report already, all of which came out as
    /// they were asked about.
    pub(crate) fn was_shown(&self, report: &Report) -> bool {
        self.shown.swap(false, Ordering::SeqCst)
            && matches!(report.status, Status::Applied | Status::Denied)
    }

    /// Returns the moment.
    #[expect(clippy::unused_self, reason = "a command takes all it needs from here")]
    pub(crate) fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    /// Returns the person at the terminal, if there is one and they may decide; `before` is said
    /// before a set is shown.
    pub(crate) fn asking(&self, before: Option<&'static str>) -> Arc<dyn Approver> {
        if !Terminal::is_there(self.ui) {
            return Arc::new(Nobody);
        }
        let zone = time_zone(&self.app.workspace).unwrap_or(TimeZone::UTC);
        let ui = self.ui.with_format(self.ui.format);
        Arc::new(Terminal::new(
            ui,
            zone,
            before,
            Arc::clone(&self.shown),
            Arc::clone(&self.app.interrupt),
        ))
    }

    /// Asks the person at the terminal, if there is one and they have not said yes in advance; without
    /// one, whoever typed the command means it.
    pub(crate) fn confirms(&self, question: &str) -> bool {
        self.yes || !Terminal::is_there(self.ui) || ask(question, &self.interrupt())
    }

    /// Returns whether there is a person at a terminal who has not said yes in advance.
    pub(crate) fn can_ask(&self) -> bool {
        !self.yes && Terminal::is_there(self.ui)
    }

    /// Returns who decides on what is held in a run of this command. An agent has nobody, and with
    /// four eyes neither has whoever drafts.
    fn approver(&self, agent: Option<&str>, workspace: &Workspace) -> Arc<dyn Approver> {
        if agent.is_some() || workspace.config.approvals.four_eyes {
            Arc::new(Nobody)
        } else if self.yes {
            Arc::new(Given)
        } else {
            self.asking(None)
        }
    }

    /// Runs `work` with a host for `agent` on the chosen service.
    pub(crate) fn with_host<T>(
        &self,
        agent: Option<&str>,
        work: impl AsyncFnOnce(&Host) -> T,
    ) -> Result<T, AppError> {
        let approver = self.approver(agent.or(self.agent_name()), &self.app.workspace);
        self.with_approver(agent, approver, work)
    }

    /// Runs `work` with a host for `agent` on the chosen service, and someone who decides on what
    /// is held.
    pub(crate) fn with_approver<T>(
        &self,
        agent: Option<&str>,
        approver: Arc<dyn Approver>,
        work: impl AsyncFnOnce(&Host) -> T,
    ) -> Result<T, AppError> {
        // A bad time zone is reported before anything is connected.
        time_zone(&self.app.workspace)?;
        let connection = self.connect_as(agent.or(self.agent_name()))?;
        let judge = Arc::new(Policies::in_force(&self.app.workspace, agent));
        let watch = progress::watch(self.progress, self.ui.json());
        let host =
            self.app.host(&connection, &self.app.workspace, agent, judge, approver, watch)?;
        self.runtime.block_on(async {
            self.watch_interrupt();
            Ok(work(&host).await)
        })
    }

    /// Connects to the chosen service, with the sign-in of whoever acts.
    pub(crate) fn connect(&self) -> Result<ServiceConnection, AppError> {
        self.connect_as(self.agent_name())
    }

    /// Connects to the chosen service, with the sign-in of an agent or of the person.
    pub(crate) fn connect_as(&self, agent: Option<&str>) -> Result<ServiceConnection, AppError> {
        let connection = self.runtime.block_on(self.app.connect(agent))?;
        if connection.is_new {
            self.ui.note(
                "Set up a demo board: the plan \"BOS Operations\", signed in as rook@bos.example.",
            );
        }
        Ok(connection)
    }

    /// Makes a host for `agent`, as a version of the workspace has it.
    pub(crate) fn host(
        &self,
        connection: &ServiceConnection,
        workspace: &Workspace,
        agent: Option<&str>,
        judge: Arc<dyn Judge>,
    ) -> Result<Host, AppError> {
        let watch = progress::watch(self.progress, self.ui.json());
        let approver = self.approver(agent, workspace);
        self.app.host(connection, workspace, agent, judge, approver, watch)
    }

    /// Returns the display of progress that was chosen.
    pub(crate) fn watch(&self) -> Watch {
        progress::watch(self.progress, self.ui.json())
    }

    /// Returns the journal's place in the state folder.
    pub(crate) fn state_folder(&self) -> Result<StateFolder, AppError> {
        self.app.state_folder()
    }

    /// Runs something asynchronous to its end.
    pub(crate) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Turns Ctrl-C into an orderly stop: what is in flight ends, the rest is not sent.
    fn watch_interrupt(&self) {
        let interrupt = Arc::clone(&self.app.interrupt);
        self.runtime.spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                interrupt.set(StopReason::Cancelled);
            }
            // Asked twice: end at once, whatever is in flight.
            if tokio::signal::ctrl_c().await.is_ok() {
                ui::leave();
            }
        });
    }

    /// Returns the name of the agent that acts; `None` for a person.
    pub(crate) fn agent_name(&self) -> Option<&str> {
        self.agent.as_deref()
    }

    /// Returns what the workspace grants the agent that acts; `None` for a person.
    pub(crate) fn agent(&self) -> Result<Option<Agent>, AppError> {
        self.app.agent(self.agent_name())
    }

    /// Refuses an agent a command that is for people.
    pub(crate) fn for_people(&self, command: &str) -> Result<(), AppError> {
        for_people(self.agent_name(), command).map_err(|error| {
            if !self.is_application {
                return error;
            }
            error.hint(
                "an application is signed in; `--profile NAME` acts as a person who has signed in",
            )
        })
    }

    /// Returns the runtime's handle.
    pub(crate) fn handle(&self) -> tokio::runtime::Handle {
        self.runtime.handle().clone()
    }

    /// Returns the flag that stops a run, without watching for Ctrl-C.
    pub(crate) fn interrupt_flag(&self) -> Arc<Stop> {
        Arc::clone(&self.app.interrupt)
    }

    /// Watches for Ctrl-C; returns the flag that it sets.
    pub(crate) fn interrupt(&self) -> Arc<Stop> {
        self.runtime.block_on(async { self.watch_interrupt() });
        Arc::clone(&self.app.interrupt)
    }
}

/// Refuses an agent a command that decides something, or shows more than it may see.
pub(crate) fn for_people(agent: Option<&str>, command: &str) -> Result<(), AppError> {
    let Some(agent) = agent else { return Ok(()) };
    let message = format!("`{command}` is for people, not for the agent `{agent}`");
    Err(AppError::new("denied", message))
}
