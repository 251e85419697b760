//! The prompt: lines of a script, one after another, on a board that is only changed on `:apply`.
//!
//! The same engine, host and rules as a run. What lines want is collected in one open draft; it is
//! reviewed and applied when the person says so, as a run of its own that can be undone.
//!
//! The line editor is in [`editor`] alone; everything here works without a terminal, too.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::tz::TimeZone;
use serde_json::Value;

use crate::app::connection::ServiceConnection;
use crate::app::error::AppError;
use crate::app::workspace::time_zone;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::options::Format;
use crate::cli::render::report;
use crate::cli::render::text::{BOLD, CYAN, DIM, YELLOW, paint, visible};
use crate::cli::repl::host::Desk;
use crate::cli::repl::reload_notices::News;
use crate::cli::ui::Ui;
use crate::graph::Sent;
use crate::host::report::ChangeReport;
use crate::host::{Failure, Host, Report, Start};
use crate::journal::Purpose;
use crate::model::PlanId;
use crate::script::console::Console;
use crate::script::console::tokens::apart;
use crate::script::reload::{Options, Watcher};
use crate::script::{Bundle, Config};

mod apply;
pub(crate) mod editor;
mod help;
mod history;
mod host;
mod meta;
pub(crate) mod piped;
mod reload_notices;
mod resolve_conflicts;
mod show;

/// What runs are called that a session applies.
const SKILL: &str = "repl";
/// What `:use` calls the plan.
pub(crate) const BOARD: &str = "board";
/// How long a line waits for a file that was just saved.
const SAVED: Duration = Duration::from_secs(1);

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Silence {
    /// Nobody is there.
    Nobody,
    /// They would rather not say.
    Interrupted,
}

/// Asks the person something.
pub(crate) trait Ask {
    /// Tells whether there is anyone to ask.
    fn is_anyone(&self) -> bool;

    /// Returns what they said.
    fn ask(&mut self, question: &str) -> Result<String, Silence>;
}

/// Nobody is there.
pub(crate) struct Nobody;

impl Ask for Nobody {
    fn is_anyone(&self) -> bool {
        false
    }

    fn ask(&mut self, _question: &str) -> Result<String, Silence> {
        Err(Silence::Nobody)
    }
}

/// How it goes on after a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// With the next line.
    Go,
    /// The same; but what was asked for did not come about, and that was said.
    Refused(Exit),
    /// Not at all.
    Leave,
}

/// How to apply.
#[derive(Debug, Clone, Copy)]
pub(crate) struct How {
    force: bool,
    dry_run: bool,
}

/// A session.
pub(crate) struct Repl<'a> {
    context: &'a Context<'a>,
    ui: Ui,
    connection: ServiceConnection,
    watcher: Arc<Watcher>,
    news: Arc<News>,
    /// What the host was made by.
    config: Config,
    console: Arc<Mutex<Console>>,
    desk: Arc<Desk>,
    agent: Option<String>,
    /// Whether the agent was given from outside: then it stays.
    is_bound: bool,
    /// What `board` is.
    plan: Option<(PlanId, String)>,
    /// The runs that were applied and not undone, the last one last.
    applied: Vec<String>,
    /// The run whose rest is to be carried on.
    left: Option<String>,
    /// What the last line has sent.
    log: Vec<Sent>,
    /// Whether answers are JSON, for whoever prints from elsewhere.
    json: Arc<AtomicBool>,
}

impl<'a> Repl<'a> {
    /// Opens a session on a service.
    pub(crate) fn open(
        context: &'a Context<'a>,
        connection: ServiceConnection,
        agent: Option<&str>,
    ) -> Result<Self, AppError> {
        let watcher = Arc::new(match &context.app.workspace.root {
            Some(root) => Watcher::start(root, Options::default())?,
            None => Watcher::still(Bundle::new(context.app.workspace.clone())),
        });
        let news = Arc::new(News::of(&watcher));
        let libraries = news.libraries.clone();
        let config = watcher.current().workspace.config.clone();
        let json = Arc::new(AtomicBool::new(context.ui.json()));
        let desk = Self::desk(context, &connection, &watcher, agent, &json)?;
        Ok(Self {
            context,
            ui: context.ui.with_format(context.ui.format),
            connection,
            watcher,
            news,
            config,
            console: Arc::new(Mutex::new(Console::new(libraries))),
            desk: Arc::new(desk),
            agent: agent.map(str::to_owned),
            is_bound: agent.is_some(),
            plan: None,
            applied: Vec::new(),
            left: None,
            log: Vec::new(),
            json,
        })
    }

    fn desk(
        context: &Context<'_>,
        connection: &ServiceConnection,
        watcher: &Watcher,
        agent: Option<&str>,
        json: &Arc<AtomicBool>,
    ) -> Result<Desk, AppError> {
        let host = Self::host(context, connection, watcher, agent)?;
        let workspace = &watcher.current().workspace;
        let granted = crate::app::agent::agent_of(workspace, agent)?;
        let draft = context.block_on(host.open_draft(granted))?;
        // What a line prints is seen while it runs.
        draft.session().listen(context.ui.printer(Arc::clone(json)));
        Ok(Desk::new(host, draft, context.handle()))
    }

    fn host(
        context: &Context<'_>,
        connection: &ServiceConnection,
        watcher: &Watcher,
        agent: Option<&str>,
    ) -> Result<Host, AppError> {
        let workspace = &watcher.current().workspace;
        context.host(connection, workspace, agent, watcher.judge(agent))
    }

    /// Takes back an interruption: the person has typed something new.
    pub(crate) fn begin(&self) {
        self.desk.host().interrupt.clear();
    }

    /// Handles what was typed: a line of script, or a command that begins with a colon.
    pub(crate) fn handle(&mut self, text: &str, ask: &mut dyn Ask) -> Result<Flow, AppError> {
        let line = text.trim();
        if line.is_empty() {
            return Ok(Flow::Go);
        }
        self.catch_up();
        // What was pasted may be several lines, each for itself.
        if line.contains('\n') && !self.is_one(text) {
            for part in apart(text) {
                match self.one(&part, ask)? {
                    Flow::Go => {}
                    other => return Ok(other),
                }
            }
            return Ok(Flow::Go);
        }
        self.one(text, ask)
    }

    fn one(&mut self, text: &str, ask: &mut dyn Ask) -> Result<Flow, AppError> {
        match text.trim().strip_prefix(':') {
            Some(command) => self.command(command, ask),
            None => self.script(text.trim_end()).map(|()| Flow::Go),
        }
    }

    fn is_one(&self, text: &str) -> bool {
        let console = self.console.lock().unwrap_or_else(PoisonError::into_inner);
        !text.lines().any(|it| it.starts_with(':')) && console.compiles(text)
    }

    /// Takes up what was saved meanwhile.
    pub(crate) fn catch_up(&mut self) {
        self.watcher.look_and_wait(SAVED);
        self.news.take().iter().for_each(|line| self.ui.note(line));
        let config = self.watcher.current().workspace.config.clone();
        if config != self.config {
            let agent = self.agent.as_deref();
            match Self::host(self.context, &self.connection, &self.watcher, agent) {
                Ok(host) => {
                    self.desk.set_host(host);
                    self.config = config;
                }
                Err(error) => self.ui.error(&error),
            }
        }
    }

    /// Refuses lines of an agent that may see something else by now: what is on the desk was read
    /// under what it was granted before.
    pub(crate) fn check_grants(&self) -> Result<(), AppError> {
        let Some(name) = &self.agent else { return Ok(()) };
        let workspace = &self.watcher.current().workspace;
        let now = crate::app::agent::agent_of(workspace, Some(name))?.and_then(|it| it.plans);
        if now == self.desk.draft.session().facts().scope {
            return Ok(());
        }
        Err(AppError::new("config", format!("what `{name}` may see has changed"))
            .hint(format!("`:discard`, then `:as {name}` begins anew")))
    }

    /// Runs a line of script.
    fn script(&mut self, line: &str) -> Result<(), AppError> {
        let shown = self.drafting(|console, budget| {
            let line = line.to_owned();
            Box::new(move |session: &crate::host::Session| {
                let mut console = console.lock().unwrap_or_else(PoisonError::into_inner);
                console.run(&line, session, budget)
            })
        })?;
        show::show(&self.ui, &self.desk, shown)?;
        Ok(())
    }

    /// Runs something that may want changes, and shows which it does.
    fn drafting<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(Arc<Mutex<Console>>, crate::script::Budget) -> Work<T>,
    ) -> Result<T, AppError> {
        self.check_grants()?;
        let before = self.desk.draft.preview();
        let budget = self.config.limits_of(self.agent.as_deref()).budget();
        let work = work(Arc::clone(&self.console), budget);
        drop(self.connection.client.take_log());
        let outcome = self.desk.wait(async |host, draft| host.line(draft, work).await);
        self.log = self.connection.client.take_log();
        let session = self.desk.draft.session();
        for warning in session.warnings() {
            self.ui.note(&format!("{} {}", paint(YELLOW.bold(), "warning:"), visible(&warning)));
        }
        let done = outcome.map_err(|failure| self.hinted(failure))?;
        self.show_difference(&before);
        Ok(done)
    }

    /// Says what a person at a prompt would do about it.
    fn hinted(&self, mut failure: Failure) -> Failure {
        let missing = |name: &str| failure.message == format!("there is no variable `{name}`");
        if self.plan.is_none() && missing(BOARD) {
            failure.hint = Some(format!("`:use PLAN` calls a plan `{BOARD}`; `:plans` lists them"));
        } else if let Some(name) = ["quit", "exit", "help"].into_iter().find(|it| missing(it)) {
            failure.hint = Some(format!("`:{name}`?"));
        }
        failure
    }

    /// Returns what is pending, with the names that are known.
    fn preview(&self) -> Report {
        let mut preview = self.desk.draft.preview();
        if let Some((id, title)) = &self.plan {
            preview.names.entry(id.to_string()).or_insert_with(|| title.clone());
        }
        preview
    }

    /// Shows what has joined the draft since.
    fn show_difference(&self, before: &Report) {
        let after = self.preview();
        let same = |a: &ChangeReport, b: &ChangeReport| (&a.id, a.entity) == (&b.id, b.entity);
        let is_new = |it: &ChangeReport| {
            let old = before.changes.iter().find(|other| same(it, other));
            old.is_none_or(|old| {
                (old.op, &old.fields, old.takes_along) != (it.op, &it.fields, it.takes_along)
            })
        };
        let mut lines = report::changes(&after, &self.zone(), false, is_new);
        let gone = before.changes.iter().filter(|it| !after.changes.iter().any(|b| same(it, b)));
        lines.extend(gone.map(|it| {
            format!("  {} {} {}", paint(DIM, "="), visible(&it.title), paint(DIM, "is as it was"))
        }));
        lines.iter().for_each(|line| self.ui.note(line));
    }

    fn zone(&self) -> TimeZone {
        time_zone(&self.watcher.current().workspace).unwrap_or(TimeZone::UTC)
    }

    /// Returns how many changes are pending.
    pub(crate) fn n_pending(&self) -> usize {
        self.desk.draft.pending().changes().len()
    }

    /// Returns what stands before a line: without styles, and with.
    pub(crate) fn prompt(&self) -> (String, String) {
        let plan = self.plan.as_ref().map_or("planwright", |(_, title)| title.as_str());
        let name: String =
            visible(plan).to_lowercase().chars().take_while(|it| *it != ' ').collect();
        let name: String = name.chars().take(16).collect();
        let who = self.agent.as_ref().map(|it| format!("{}:", visible(it))).unwrap_or_default();
        let (name, end) = (format!("{who}{name}"), paint(DIM, "›"));
        let styled = paint(BOLD, &name);
        match self.n_pending() {
            0 => (format!("{name} › "), format!("{styled} {end} ")),
            n => {
                let dot = paint(YELLOW, &format!("●{n}"));
                (format!("{name} ●{n} › "), format!("{styled} {dot} {end} "))
            }
        }
    }

    /// Takes a plan for `board`.
    pub(crate) fn use_plan(&mut self, name: &str) -> Result<(), AppError> {
        self.check_grants()?;
        let text = name.trim_matches(['"', '\'']).to_owned();
        let (id, title) = self.desk.peek(move |session| {
            let plan = session.plan(&session.find_plan(&text)?)?;
            // For names to complete with.
            session.buckets(&plan.id)?;
            Ok((plan.id, plan.title))
        })?;
        let mut console = self.console.lock().unwrap_or_else(PoisonError::into_inner);
        console.bind_plan(BOARD, id.clone());
        let quoted = serde_json::to_string(&title).unwrap_or_default();
        console.note(format!("let {BOARD} = plan({quoted});"));
        drop(console);
        self.ui.note(&format!(
            "{} {}",
            paint(CYAN, BOARD),
            paint(DIM, &format!("is the plan {title}"))
        ));
        self.plan = Some((id, title));
        Ok(())
    }

    fn start(&self, how: How) -> Result<Start, AppError> {
        let workspace = &self.watcher.current().workspace;
        Ok(Start {
            purpose: Purpose::Run,
            skill: SKILL.into(),
            skill_digest: None,
            params: Value::Null,
            agent: crate::app::agent::agent_of(workspace, self.agent.as_deref())?,
            force: how.force,
            dry_run: how.dry_run,
        })
    }

    /// Says whether to leave, if something is pending.
    pub(crate) fn may_leave(&self, ask: &mut dyn Ask) -> bool {
        let n = self.n_pending();
        if n == 0 {
            return true;
        }
        let text = crate::cli::render::text::count(n, "change");
        match ask.ask(&format!("{text} not applied. Leave all the same? [y/N] ")) {
            Ok(said) => said.trim().eq_ignore_ascii_case("y") || said.trim() == "yes",
            Err(Silence::Interrupted) => false,
            Err(Silence::Nobody) => {
                self.ui.say(&paint(YELLOW.bold(), &format!("{text} not applied.")));
                true
            }
        }
    }

    fn set_json(&mut self) {
        let format = if self.ui.json() { Format::Human } else { Format::Json };
        self.ui = self.ui.with_format(format);
        self.json.store(format == Format::Json, Ordering::SeqCst);
        let text =
            if format == Format::Json { "answers are JSON" } else { "answers are for people" };
        self.ui.say(&paint(DIM, text));
    }

    /// Notes what was done beside lines, for `:save`.
    fn note(&self, what: &str) {
        let mut console = self.console.lock().unwrap_or_else(PoisonError::into_inner);
        console.note(format!("// {}", what.replace('\n', " ")));
    }
}

/// Returns the file in which is kept what was typed on a service.
pub(crate) fn history_of(
    context: &Context<'_>,
    connection: &ServiceConnection,
) -> Result<PathBuf, AppError> {
    history::file(context, &connection.service)
}

/// What runs on the thread of a line.
type Work<T> = Box<dyn FnOnce(&crate::host::Session) -> Result<T, Failure> + Send>;
