//! The prompt: lines of a script, one after another, on a board that is only changed on `:apply`.
//!
//! The engine, host and rules are those of a run. The changes of all lines are collected in one
//! open draft, which is reviewed and applied on request, as a run of its own that can be undone.
//!
//! Only [`editor`] knows the line editor, so that everything here works without a terminal, too.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::tz::TimeZone;
use serde_json::Value;

use crate::app::connection::ServiceConnection;
use crate::app::error::AppError;
use crate::app::workspace::{time_zone, watched};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::options::Format;
use crate::cli::render::report;
use crate::cli::render::text::{BOLD, CYAN, DIM, YELLOW, paint, visible};
use crate::cli::repl::host::ReplHost;
use crate::cli::repl::reload_notices::ReloadNotices;
use crate::cli::ui::Ui;
use crate::graph::Sent;
use crate::host::report::ChangeReport;
use crate::host::{Failure, Host, Report, Start};
use crate::journal::Purpose;
use crate::model::PlanId;
use crate::script::Config;
use crate::script::console::Console;
use crate::script::reload::Watcher;
use crate::script::syntax::tokens::apart;

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

/// Name of the runs that a session applies.
const SKILL: &str = "repl";
/// Name of the variable for the plan of `:use`.
pub(crate) const BOARD: &str = "board";
/// Longest wait of a line for a file that was just saved.
const SAVED: Duration = Duration::from_secs(1);

/// The reason that there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Silence {
    /// Nobody is there.
    Nobody,
    /// The person does not want to answer.
    Interrupted,
}

/// A way to ask the person something.
pub(crate) trait Ask {
    /// Returns whether there is anyone to ask.
    fn is_anyone(&self) -> bool;

    /// Asks a question; returns the answer.
    fn ask(&mut self, question: &str) -> Result<String, Silence>;
}

/// The absence of a person to ask.
pub(crate) struct Nobody;

impl Ask for Nobody {
    fn is_anyone(&self) -> bool {
        false
    }

    fn ask(&mut self, _question: &str) -> Result<String, Silence> {
        Err(Silence::Nobody)
    }
}

/// The continuation after a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// The next line.
    Go,
    /// The next line, although this one was refused, as was reported.
    Refused(Exit),
    /// The end of the session.
    Leave,
}

/// The options of an apply.
#[derive(Debug, Clone, Copy)]
pub(crate) struct How {
    force: bool,
    dry_run: bool,
}

/// A session at the prompt.
pub(crate) struct Repl<'a> {
    context: &'a Context<'a>,
    ui: Ui,
    connection: ServiceConnection,
    watcher: Arc<Watcher>,
    news: Arc<ReloadNotices>,
    /// The configuration that the host was made with.
    config: Config,
    console: Arc<Mutex<Console>>,
    desk: Arc<ReplHost>,
    agent: Option<String>,
    /// True if the agent was named on the command line: the session cannot leave it then.
    is_bound: bool,
    /// The plan that `board` stands for, with its title.
    plan: Option<(PlanId, String)>,
    /// The runs that were applied and not undone, in order.
    applied: Vec<String>,
    /// The run that was applied only in part.
    left: Option<String>,
    /// The requests that the last line sent.
    log: Vec<Sent>,
    /// True while answers are JSON; shared with the threads that print.
    json: Arc<AtomicBool>,
}

impl<'a> Repl<'a> {
    /// Opens a session on a service.
    pub(crate) fn open(
        context: &'a Context<'a>,
        connection: ServiceConnection,
        agent: Option<&str>,
    ) -> Result<Self, AppError> {
        let watcher = Arc::new(watched(&context.app.workspace)?);
        let news = Arc::new(ReloadNotices::from_watcher(&watcher));
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
    ) -> Result<ReplHost, AppError> {
        let host = Self::host(context, connection, watcher, agent)?;
        let workspace = &watcher.current().workspace;
        let granted = crate::app::agent::agent_of(workspace, agent)?;
        let draft = context.block_on(host.open_draft(granted))?;
        // A line prints while it runs, not when it has ended.
        draft.session().listen(context.ui.printer(Arc::clone(json)));
        Ok(ReplHost::new(host, draft, context.handle()))
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

    /// Clears an interruption: the person has typed something new.
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
        // Pasted text may be several lines that only compile one by one.
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
        !text.lines().any(|line| line.starts_with(':')) && console.compiles(text)
    }

    /// Loads what was saved in the meantime.
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

    /// Refuses to continue for an agent whose grants have changed: the draft was read under the
    /// old ones.
    pub(crate) fn check_grants(&self) -> Result<(), AppError> {
        let Some(name) = &self.agent else { return Ok(()) };
        let workspace = &self.watcher.current().workspace;
        let now = crate::app::agent::agent_of(workspace, Some(name))?.and_then(|agent| agent.plans);
        if now == self.desk.draft.session().facts().scope {
            return Ok(());
        }
        Err(AppError::new("config", format!("what `{name}` may see has changed"))
            .hint(format!("`:discard`, then start again with `:as {name}`")))
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

    /// Runs something that may draft changes, and shows the new ones.
    fn drafting<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(Arc<Mutex<Console>>, crate::script::Budget) -> Work<T>,
    ) -> Result<T, AppError> {
        self.check_grants()?;
        let before = self.desk.draft.preview();
        let budget = self.config.limits_of(self.agent.as_deref()).budget();
        let work = work(Arc::clone(&self.console), budget);
        // Empties the log, so that `:explain` shows only the requests of this line.
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

    /// Replaces the hint of a failure by one for a person at a prompt.
    fn hinted(&self, mut failure: Failure) -> Failure {
        let missing = |name: &str| failure.message == format!("there is no variable `{name}`");
        if self.plan.is_none() && missing(BOARD) {
            failure.hint = Some(format!(
                "`:use PLAN` makes a plan available as `{BOARD}`; `:plans` lists them"
            ));
        } else if let Some(name) = ["quit", "exit", "help"].into_iter().find(|name| missing(name)) {
            failure.hint = Some(format!("`:{name}`?"));
        }
        failure
    }

    /// Returns the pending changes, with the names that are known.
    fn preview(&self) -> Report {
        let mut preview = self.desk.draft.preview();
        if let Some((id, title)) = &self.plan {
            preview.names.entry(id.to_string()).or_insert_with(|| title.clone());
        }
        preview
    }

    /// Shows the changes that the draft has gained or lost.
    fn show_difference(&self, before: &Report) {
        let after = self.preview();
        let same = |a: &ChangeReport, b: &ChangeReport| (&a.id, a.entity) == (&b.id, b.entity);
        let is_new = |change: &ChangeReport| {
            let old = before.changes.iter().find(|other| same(change, other));
            old.is_none_or(|old| {
                (old.op, &old.fields, old.takes_along)
                    != (change.op, &change.fields, change.takes_along)
            })
        };
        let mut lines = report::changes(&after, &self.zone(), false, is_new);
        let withdrawn =
            before.changes.iter().filter(|change| !after.changes.iter().any(|b| same(change, b)));
        lines.extend(withdrawn.map(|change| {
            format!(
                "  {} {} {}",
                paint(DIM, "="),
                visible(&change.title),
                paint(DIM, "is unchanged again")
            )
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

    /// Returns the prompt, without and with styles: the editor measures the first and prints the
    /// second.
    pub(crate) fn prompt(&self) -> (String, String) {
        let plan = self.plan.as_ref().map_or("planwright", |(_, title)| title.as_str());
        let name: String =
            visible(plan).to_lowercase().chars().take_while(|ch| *ch != ' ').collect();
        let name: String = name.chars().take(16).collect();
        let who =
            self.agent.as_ref().map(|agent| format!("{}:", visible(agent))).unwrap_or_default();
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

    /// Makes a plan available as `board`.
    pub(crate) fn use_plan(&mut self, name: &str) -> Result<(), AppError> {
        self.check_grants()?;
        let text = name.trim_matches(['"', '\'']).to_owned();
        let (id, title) = self.desk.peek(move |session| {
            let plan = session.plan(&session.find_plan(&text)?)?;
            // Reads the buckets now, so that their names can be completed.
            session.buckets(&plan.id)?;
            Ok((plan.id, plan.title))
        })?;
        let mut console = self.console.lock().unwrap_or_else(PoisonError::into_inner);
        console.bind_plan(BOARD, id.clone());
        // The script of `:save` needs the variable, too.
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

    /// Returns whether the session may end; asks if something is pending.
    pub(crate) fn may_leave(&self, ask: &mut dyn Ask) -> bool {
        let n = self.n_pending();
        if n == 0 {
            return true;
        }
        let text = crate::cli::render::text::count(n, "change");
        let lost = if n == 1 { "it" } else { "them" };
        match ask.ask(&format!("{text} not applied. Quit and lose {lost}? [y/N] ")) {
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

    /// Records a command as a comment, for `:save`.
    fn note(&self, what: &str) {
        let mut console = self.console.lock().unwrap_or_else(PoisonError::into_inner);
        console.note(format!("// {}", what.replace('\n', " ")));
    }
}

/// Returns the file that keeps the lines typed on a service.
pub(crate) fn history_of(
    context: &Context<'_>,
    connection: &ServiceConnection,
) -> Result<PathBuf, AppError> {
    history::file(context, &connection.service)
}

/// The work of a line, run on a thread of its own.
type Work<T> = Box<dyn FnOnce(&crate::host::Session) -> Result<T, Failure> + Send>;
