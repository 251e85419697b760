//! A worker: it takes entries of the inbox one by one, and carries each out as a run of the agent that
//! it is for, under that agent's grants, limits and policies.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::app::App;
use crate::app::agent::{check_may_run, check_sender, known_agent};
use crate::app::connection::{OwnConnections, ServiceConnection};
use crate::app::error::AppError;
use crate::app::inbox::attempt::{Earlier, End, earlier};
use crate::app::inbox::{failed, is_for, note_on};
use crate::app::params::kept;
use crate::app::settings::Settings;
use crate::app::workspace::{place, time_zone};
use crate::host::{Decisions, Finished, Host, Nobody, Start, Stop, SystemClock, Watch};
use crate::journal::inbox::{EntryState, InboxEntry, Queue};
use crate::journal::paused::Paused;
use crate::journal::{Guard, Journal, NoteKind, PlanLocks, Purpose, RunId, RunStatus};
use crate::model::time::Calendar;
use crate::model::{Clock as _, User};
use crate::script::Skill;
use crate::script::reload::Watcher;

/// The attempts at an entry.
const ATTEMPTS: u32 = 3;
/// The time that a worker has an entry for, and the interval at which it says that it is still at
/// work. A worker on this machine is known to have ended by its lock; the lease says the same to
/// people, and to whoever cannot see locks.
const LEASE: Duration = Duration::from_secs(30);
const BEAT: Duration = Duration::from_secs(10);
/// The waits before the second attempt and the third, for a worker that stays.
const WAITS: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(60)];

/// The workers that this process has had.
static N_WORKERS: AtomicU64 = AtomicU64::new(0);

/// The entries that are read at once.
const PAGE: u32 = 20;

/// The one who hears of the runs that were asked for.
pub(crate) trait Asking: Send + Sync {
    /// Returns what listens to the progress of a run.
    fn watch(&self, run: &RunId) -> Watch;
    /// Hears that an entry is over, with the report of its run if this process has carried it out.
    fn over(&self, entry: &InboxEntry, report: Option<Value>);
}

/// A worker on the inbox of a state folder.
pub(crate) struct Worker {
    settings: Settings,
    interrupt: Arc<Stop>,
    watcher: Arc<Watcher>,
    connection: ServiceConnection,
    /// The folder of the workspace whose entries it takes.
    workspace: String,
    others: OwnConnections,
    journal: Arc<Journal>,
    locks: PlanLocks,
    /// The person who is signed in: only they get what they have submitted to themselves.
    me: User,
    /// The agent for which it works; `None` for all of them.
    agent: Option<String>,
    /// The queue that it works on; `None` for all of them.
    queue: Option<Queue>,
    asking: Option<Arc<dyn Asking>>,
    watch: Watch,
    name: String,
}

/// Returns the moment so long from now.
fn after(now: Timestamp, time: Duration) -> Timestamp {
    now.checked_add(time).unwrap_or(now)
}

impl Worker {
    /// Opens the inbox of an application; with an agent, only what is for it.
    ///
    /// # Errors
    /// The agent is not configured, the service cannot be reached, or the journal not be written.
    pub(crate) async fn open(
        app: &App,
        (connection, watcher): (ServiceConnection, Arc<Watcher>),
        agent: Option<&str>,
        watch: Watch,
    ) -> Result<Self, AppError> {
        app.agent(agent)?;
        let others = OwnConnections::beside(&connection);
        let (nobody, judge) = (Arc::new(Nobody), watcher.judge(agent));
        let host = app.host(&connection, &app.workspace, agent, judge, nobody, watch.clone())?;
        let me = host.me().await?;
        let state_folder = app.state_folder()?;
        Ok(Self {
            settings: app.settings.clone(),
            interrupt: Arc::clone(&app.interrupt),
            watcher,
            journal: Arc::new(state_folder.open()?),
            locks: state_folder.locks()?,
            connection,
            workspace: place(&app.workspace),
            others,
            me,
            agent: agent.map(str::to_owned),
            queue: None,
            asking: None,
            watch,
            // Each its own: one that has lost an entry must not pass for the one that has it now.
            name: format!(
                "process {} worker {}",
                std::process::id(),
                N_WORKERS.fetch_add(1, Ordering::Relaxed) + 1
            ),
        })
    }

    /// Has it work on what was submitted, and on nothing else.
    pub(crate) fn on_inbox(self) -> Self {
        Self { queue: Some(Queue::Inbox), ..self }
    }

    /// Has it work on the runs that were asked for, and tell of them.
    pub(crate) fn on_runs(self, asking: Arc<dyn Asking>) -> Self {
        Self { queue: Some(Queue::Runs), asking: Some(asking), ..self }
    }

    /// Carries out the next entry; returns what became of it, or `None` if nothing waits that can be
    /// taken. A patient worker leaves an entry alone until its next attempt is due.
    ///
    /// # Errors
    /// The journal cannot be read or written. What the run of an entry meets is no error here.
    pub(crate) async fn step(&self, is_patient: bool) -> Result<Option<InboxEntry>, AppError> {
        loop {
            let found = blocking(|| self.next(is_patient))?;
            let Some((entry, _guard)) = found else { return Ok(None) };
            // Somebody has cancelled it at the same moment, if there is nothing to return.
            if let Some(done) = self.carry_out(entry).await? {
                return Ok(Some(done));
            }
        }
    }

    /// Finds the next entry for this worker, and locks it.
    fn next(&self, is_patient: bool) -> Result<Option<(InboxEntry, Guard)>, AppError> {
        let now = SystemClock.now();
        let paused = self.journal.paused().map_err(|error| failed(&error))?;
        let of = (self.connection.service.as_str(), self.workspace.as_str(), self.queue);
        let mut last: Option<InboxEntry> = None;
        loop {
            let page = self.journal.open_entries(of, last.as_ref(), PAGE);
            let page = page.map_err(|error| failed(&error))?;
            for entry in &page {
                let is_early = is_patient && entry.not_before.is_some_and(|at| at > now);
                if is_early || !self.is_ours(entry) || is_paused(&paused, entry) {
                    continue;
                }
                let guard = self.locks.try_lock_entry(&entry.id).map_err(|error| failed(&error))?;
                let Some(guard) = guard else { continue };
                // As it is now that nobody else can take it.
                let found = self.journal.inbox_entry(&entry.id).map_err(|error| failed(&error))?;
                if let Some(entry) = found.filter(|entry| !entry.state.is_over()) {
                    return Ok(Some((entry, guard)));
                }
            }
            last = page.into_iter().next_back();
            if last.is_none() {
                return Ok(None);
            }
        }
    }

    fn is_ours(&self, entry: &InboxEntry) -> bool {
        match (&self.agent, &entry.to_agent) {
            (Some(_), _) => is_for(entry, self.agent.as_deref()),
            (None, Some(_)) => true,
            (None, None) => entry.from_upn == self.me.upn,
        }
    }

    /// Makes one attempt at an entry whose lock is held.
    #[tracing::instrument(name = "entry", skip_all, fields(id = entry.id, skill = entry.skill))]
    async fn carry_out(&self, mut entry: InboxEntry) -> Result<Option<InboxEntry>, AppError> {
        let stood = entry.clone();
        let (run, is_cut_off) = match blocking(|| earlier(&self.journal, &entry))? {
            Earlier::Ended(end) => return self.settle(&stood, entry, (end, None)),
            Earlier::CutOff(run) => (run, true),
            Earlier::Nothing => (self.new_run(&entry)?, false),
        };
        if entry.attempts >= ATTEMPTS {
            let reason = "its worker was ended in the middle of it".to_owned();
            let reason = entry.reason.clone().unwrap_or(reason);
            let end =
                End { state: EntryState::Queued, outcome: None, code: None, reason: Some(reason) };
            return self.settle(&stood, entry, (end, None));
        }
        let now = SystemClock.now();
        entry.state = EntryState::Running;
        entry.attempts += 1;
        entry.leased_by = Some(self.name.clone());
        entry.lease_until = Some(after(now, LEASE));
        (entry.not_before, entry.outcome, entry.code) = (None, None, None);
        // Before it begins: see `earlier`.
        entry.run = Some(run.clone());
        let mut note = note_on(&entry, NoteKind::Taken, now);
        note.name.clone_from(&self.name);
        let taken = blocking(|| self.journal.move_entry(&stood, &entry, &note));
        if !taken.map_err(|error| failed(&error))? {
            return Ok(None);
        }
        let id = (entry.id.clone(), self.name.clone());
        let beat = tokio::spawn(keep_lease(Arc::clone(&self.journal), id));
        let finished = Box::pin(self.run(&entry, run, is_cut_off)).await;
        beat.abort();
        // A lease that is being extended must not come after the end.
        let _aborted = beat.await;
        let (end, report) = match finished {
            Ok(finished) => {
                let report = serde_json::to_value(&finished.report).unwrap_or_default();
                let status = report["status"].as_str().and_then(RunStatus::parse);
                (End::of_report(status.unwrap_or(RunStatus::Failed), &report), Some(report))
            }
            Err(error) => (End::of_failure(&error.failure), None),
        };
        let end = if entry.asked.is_some() { end.of_asked() } else { end };
        let stood = entry.clone();
        self.settle(&stood, entry, (end, report))
    }

    /// Returns the id of a run that begins: for one that was asked for, that of its entry, unless one
    /// was begun under it.
    fn new_run(&self, entry: &InboxEntry) -> Result<RunId, AppError> {
        if entry.asked.is_some() {
            let promised = RunId::parse(&entry.id).map_err(|error| failed(&error))?;
            if !blocking(|| self.journal.has_run(&promised)).map_err(|error| failed(&error))? {
                return Ok(promised);
            }
        }
        RunId::parse(&uuid::Uuid::now_v7().to_string()).map_err(|error| failed(&error))
    }

    /// Notes what an attempt came to.
    fn settle(
        &self,
        stood: &InboxEntry,
        mut entry: InboxEntry,
        (end, report): (End, Option<Value>),
    ) -> Result<Option<InboxEntry>, AppError> {
        let now = SystemClock.now();
        if stood.state == EntryState::Running && !end.counts() {
            entry.attempts = entry.attempts.saturating_sub(1);
        }
        entry.state = end.state;
        (entry.outcome, entry.code, entry.reason) = (end.outcome, end.code, end.reason);
        (entry.leased_by, entry.lease_until, entry.not_before) = (None, None, None);
        if entry.state == EntryState::Queued {
            if entry.attempts >= ATTEMPTS {
                entry.state = EntryState::Dead;
                let reason = entry.reason.unwrap_or_default();
                entry.reason = Some(format!("given up after {ATTEMPTS} attempts: {reason}"));
            } else if let Some(before) = entry.attempts.checked_sub(1) {
                let wait = WAITS.get(before as usize).or(WAITS.last());
                entry.not_before = wait.map(|wait| after(now, *wait));
            }
        }
        entry.ended_at = Some(now).filter(|_| entry.state.is_over());
        let mut note = note_on(&entry, NoteKind::Settled, now);
        note.name.clone_from(&self.name);
        let moved = blocking(|| self.journal.move_entry(stood, &entry, &note));
        let moved = moved.map_err(|error| failed(&error))?;
        if let Some(asking) = self.asking.as_ref().filter(|_| moved && entry.state.is_over()) {
            asking.over(&entry, report);
        }
        Ok(moved.then_some(entry))
    }

    /// Runs the skill of an entry, or carries on the run that was cut off, as the agent that it is for.
    async fn run(
        &self,
        entry: &InboxEntry,
        run: RunId,
        is_cut_off: bool,
    ) -> Result<Finished, AppError> {
        let bundle = self.watcher.current();
        let app = App {
            settings: self.settings.clone(),
            workspace: bundle.workspace.clone(),
            interrupt: Arc::clone(&self.interrupt),
        };
        let (config, agent) = (&app.workspace.config, entry.to_agent.as_deref());
        // With the grants of today, not with those of the day it was submitted.
        let granted = known_agent(&app.workspace, agent)?;
        check_sender(&app.workspace, entry)?;
        let script = entry.asked.as_ref().and_then(|asked| asked.script.as_deref());
        check_may_run(config, agent, Some(entry.skill.as_str()).filter(|_| script.is_none()))?;
        // A worker for one agent is connected as that one.
        let own = match self.agent {
            Some(_) => None,
            None => self.others.of(&app, agent).await?,
        };
        let watch = match &self.asking {
            Some(asking) => asking.watch(&run),
            None => self.watch.clone(),
        };
        let host = self.host(&app, own.as_deref(), (agent, watch))?;
        let start = |purpose| Start {
            purpose,
            skill: entry.skill.clone(),
            skill_digest: None,
            params: Value::Null,
            agent: granted.clone(),
            force: false,
            dry_run: entry.asked.as_ref().is_some_and(|asked| asked.dry_run),
        };
        if is_cut_off {
            let start = start(Purpose::Resume);
            return Ok(host.resume(run.as_str(), Decisions::default(), start).await?);
        }
        let skill = match script {
            Some(text) => {
                let libraries = &app.workspace.libraries;
                Arc::new(Skill::compile(&entry.skill, &entry.skill, text, libraries)?)
            }
            None => bundle.skill(&entry.skill)?,
        };
        let calendar = Calendar::at(SystemClock.now(), time_zone(&app.workspace)?);
        let given = entry.params.as_object().cloned().unwrap_or_default();
        let params = skill.manifest.checked(&given, &calendar)?;
        let start = Start {
            skill_digest: Some(skill.digest().to_owned()),
            params: Value::Object(kept(&params)),
            ..start(Purpose::Run)
        };
        let program = skill.program(params, config.limits_of(agent).budget());
        Ok(host.run_as(run, start, program).await)
    }

    fn host(
        &self,
        app: &App,
        own: Option<&ServiceConnection>,
        (agent, watch): (Option<&str>, Watch),
    ) -> Result<Host, AppError> {
        let (nobody, judge) = (Arc::new(Nobody), self.watcher.judge(agent));
        let connection = own.unwrap_or(&self.connection);
        app.host(connection, &app.workspace, agent, judge, nobody, watch)
    }
}

/// Runs what may wait for a disk or for another process, out of the way of other tasks where there are
/// several threads.
fn blocking<T>(job: impl FnOnce() -> T) -> T {
    if Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread {
        return tokio::task::block_in_place(job);
    }
    job()
}

/// Returns whether the agent that an entry is for is paused: the entry waits until that is lifted.
fn is_paused(paused: &[Paused], entry: &InboxEntry) -> bool {
    // Whoever has asked for a run hears at once that it cannot write.
    if entry.asked.is_some() {
        return false;
    }
    let Some(agent) = entry.to_agent.as_deref() else { return false };
    paused.iter().any(|pause| pause.agent.as_deref().is_none_or(|name| name == agent))
}

/// Extends the lease on an entry for as long as this is not aborted.
async fn keep_lease(journal: Arc<Journal>, (entry, worker): (String, String)) {
    loop {
        tokio::time::sleep(BEAT).await;
        let (journal, entry, worker) = (Arc::clone(&journal), entry.clone(), worker.clone());
        let until = after(SystemClock.now(), LEASE);
        let renewing =
            tokio::task::spawn_blocking(move || journal.renew_lease(&entry, &worker, until));
        match renewing.await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => return,
            // The lock goes on holding others off.
            Ok(Err(error)) => tracing::warn!(%error, "the lease on an entry was not extended"),
            Err(_) => return,
        }
    }
}
