//! The engine: what `serve` keeps running besides its HTTP face, and `work --schedules` without one.
//!
//! Schedules and triggers put entries into the inbox, and workers carry them out. Each of them may be
//! killed at any moment, and there may be several processes: what holds it all together is in
//! [`Coordinate`].

mod daily;
mod events;
mod triggers;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::app::App;
use crate::app::agent::known_agent;
use crate::app::connection::{OwnConnections, ServiceConnection};
use crate::app::error::AppError;
use crate::app::inbox::failed;
use crate::app::inbox::worker::{Asking, Worker};
use crate::app::schedules::entry::Sender;
use crate::app::schedules::{automation, firing};
use crate::app::settings::Settings;
use crate::app::workspace::{place, time_zone, watched};
use crate::coordinate::{Coordinate, Error};
use crate::host::{Decisions, Host, Nobody, Start, Status, Stop, StopReason, SystemClock, Watch};
use crate::journal::{Journal, Pruned, Purpose, RunId};
use crate::model::{Clock as _, PlanId, Task, Versioned};
use crate::script::Bundle;
use crate::script::reload::Watcher;
use crate::script::workspace::automation::{Automation, Trigger};

/// The workers of an engine, and those for runs that are asked for where people ask.
const WORKERS: usize = 2;
const RUN_WORKERS: usize = 4;
/// The interval at which the queue and the clock are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// The entries of the inbox that are read at once.
const ENTRIES: u32 = 200;
/// The interval at which it is looked whether another day has begun.
const LOOK_AT_DAY: Duration = Duration::from_secs(600);
/// The time after which it is asked again whether an agent may see a plan.
const RESOLVED_FOR: Duration = Duration::from_secs(600);
/// The days for which it is known that a time has fired; what it became is known for longer.
const CLAIMS_DAYS: i64 = 90;

/// The runs that people and programs ask for, where an engine carries them out as well.
pub(crate) struct AskedFor {
    /// The one who hears of them.
    pub(crate) asking: Arc<dyn Asking>,
    /// Wakes a worker: something was accepted.
    pub(crate) wake: Arc<Notify>,
}

/// The tasks of a process that keeps automations running: schedules, triggers, the workers of the
/// inbox. Unfinished runs are resumed when it starts (design.md 2.4).
pub(crate) struct Engine {
    interrupt: Arc<Stop>,
    tasks: JoinSet<()>,
}

impl Engine {
    /// Starts everything, on the runtime of the caller. Where nobody asks for runs here, what was
    /// accepted elsewhere is carried out with what was submitted.
    ///
    /// # Errors
    /// The service cannot be reached, the journal not be written, or the configuration names what
    /// does not exist.
    pub(crate) async fn start(
        app: Arc<App>,
        watch: Watch,
        asked: Option<AskedFor>,
    ) -> Result<Self, AppError> {
        // Compiled once, for all of them.
        let watcher = Arc::new(watched(&app.workspace)?);
        let clockwork = Arc::new(Clockwork::open(&app, Arc::clone(&watcher), watch.clone()).await?);
        let interrupt = Arc::clone(&app.interrupt);
        let mut tasks = JoinSet::new();
        for _ in 0..WORKERS {
            let connection = app.connect(None).await?;
            let worker =
                Worker::open(&app, (connection, Arc::clone(&watcher)), None, watch.clone()).await?;
            let worker = if asked.is_some() { worker.on_inbox() } else { worker };
            let nobody = Arc::new(Notify::new());
            tasks.spawn(work(Arc::new(worker), Arc::clone(&interrupt), nobody));
        }
        if let Some(AskedFor { asking, wake }) = asked {
            let connection = app.connect(None).await?;
            let worker =
                Worker::open(&app, (connection, Arc::clone(&watcher)), None, watch.clone()).await?;
            let worker = Arc::new(worker.on_runs(asking));
            for _ in 0..RUN_WORKERS {
                let working = work(Arc::clone(&worker), Arc::clone(&interrupt), Arc::clone(&wake));
                // They block now and then, and requests are answered on the threads of the runtime.
                let runtime = Handle::current();
                tasks.spawn_blocking(move || runtime.block_on(working));
            }
        }
        tasks.spawn({
            let clockwork = Arc::clone(&clockwork);
            async move { clockwork.resume_unfinished().await }
        });
        tasks.spawn({
            let clockwork = Arc::clone(&clockwork);
            async move { clockwork.fire_schedules().await }
        });
        tasks.spawn(async move { clockwork.fire_triggers().await });
        Ok(Self { interrupt, tasks })
    }

    /// Stops: nothing new begins, and what is under way ends at its next boundary. After `within`,
    /// whatever is left is cut off; the next start carries it on.
    pub(crate) async fn stop(mut self, within: Duration) {
        self.interrupt.set(StopReason::Cancelled);
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        // What has not ended by then is aborted when the set is dropped.
        let _in_time = tokio::time::timeout(within, ended).await;
    }
}

/// Waits for the time of the next look. Returns false if everything stops.
async fn pause(interrupt: &Stop) -> bool {
    tokio::select! {
        () = tokio::time::sleep(LOOK) => {}
        () = interrupt.wait() => {}
    }
    !interrupt.is_set()
}

/// Carries out one entry of the inbox after another.
async fn work(worker: Arc<Worker>, interrupt: Arc<Stop>, wake: Arc<Notify>) {
    while !interrupt.is_set() {
        match worker.step(true).await {
            Ok(Some(_)) => continue,
            Ok(None) => {}
            // The disk may have room again, the service be back.
            Err(error) => warn("the inbox cannot be worked on", &error),
        }
        tokio::select! {
            goes_on = pause(&interrupt) => if !goes_on {
                return;
            },
            () = wake.notified() => {}
        }
    }
}

fn warn(what: &str, error: &AppError) {
    let failure = &error.failure;
    tracing::warn!(code = %failure.code, error = %failure.message, "{what}");
}

/// Returns the runs that workers carry on: those of entries that are not over.
fn runs_of_inbox(shared: &dyn Coordinate, by: &Sender) -> Result<BTreeSet<RunId>, Error> {
    let (mut runs, mut last) = (BTreeSet::new(), None);
    loop {
        let of = (by.service.as_str(), by.workspace.as_str(), None);
        let page = shared.open_entries(of, last.as_ref(), ENTRIES)?;
        runs.extend(page.iter().filter_map(|entry| entry.run.clone()));
        last = page.into_iter().next_back();
        if last.is_none() {
            return Ok(runs);
        }
    }
}

/// A plan that is looked at, and when it is again.
struct Watched {
    triggers: BTreeMap<String, Trigger>,
    next: Option<Instant>,
}

/// The plans that triggers name, as far as they were resolved.
#[derive(Default)]
struct Resolved {
    generation: u64,
    /// By the agent and what it calls the plan.
    plans: BTreeMap<(String, String), (PlanId, Instant)>,
    /// Those that their agent does not see, and when it is asked again.
    unseen: BTreeMap<(String, String), Instant>,
    next: BTreeMap<PlanId, Instant>,
}

impl Resolved {
    /// Returns whether a plan is to be looked at, or to be found, for these triggers.
    fn has_work(&self, generation: u64, triggers: &BTreeMap<String, Trigger>) -> bool {
        let now = Instant::now();
        let is_new = self.generation != generation && !triggers.is_empty();
        is_new
            || triggers.values().any(|trigger| {
                let key = (trigger.agent.clone(), trigger.plan.clone());
                match (self.plans.get(&key), self.unseen.get(&key)) {
                    (Some((plan, at)), _) => {
                        let next = self.next.get(plan);
                        at.elapsed() >= RESOLVED_FOR || next.is_none_or(|next| *next <= now)
                    }
                    (None, Some(again)) => *again <= now,
                    (None, None) => true,
                }
            })
    }
}

/// The schedules and triggers of a workspace, as its files have them now.
pub(crate) struct Clockwork {
    settings: Settings,
    interrupt: Arc<Stop>,
    watcher: Arc<Watcher>,
    connection: ServiceConnection,
    others: OwnConnections,
    journal: Arc<Journal>,
    by: Sender,
    watch: Watch,
    owner: String,
    /// The declarations of the version of this number.
    declared: Mutex<Option<(u64, Arc<Automation>)>>,
}

impl Clockwork {
    /// Opens the workspace and connects to the service.
    ///
    /// # Errors
    /// The service cannot be reached, the journal not be written, or the configuration names what
    /// does not exist.
    pub(crate) async fn open(
        app: &App,
        watcher: Arc<Watcher>,
        watch: Watch,
    ) -> Result<Self, AppError> {
        if let Some(mistake) = app.automation()?.mistakes.first() {
            return Err(mistake.failure().into());
        }
        let connection = app.connect(None).await?;
        let (nobody, judge) = (Arc::new(Nobody), watcher.judge(None));
        let host = app.host(&connection, &app.workspace, None, judge, nobody, watch.clone())?;
        let by = Sender {
            service: connection.service.clone(),
            workspace: place(&app.workspace),
            upn: host.me().await?.upn,
        };
        Ok(Self {
            settings: app.settings.clone(),
            interrupt: Arc::clone(&app.interrupt),
            watcher,
            journal: Arc::new(app.state_folder()?.open()?),
            others: OwnConnections::beside(&connection),
            connection,
            by,
            watch,
            owner: format!("process {}", std::process::id()),
            declared: Mutex::default(),
        })
    }

    /// Returns what a version of the workspace declares. It is asked for every second, and read once.
    fn automation(&self, bundle: &Bundle) -> Result<Arc<Automation>, AppError> {
        let mut declared = self.declared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((generation, known)) = &*declared
            && *generation == bundle.generation
        {
            return Ok(Arc::clone(known));
        }
        let read = Arc::new(automation(&bundle.workspace, &self.settings.service()?));
        *declared = Some((bundle.generation, Arc::clone(&read)));
        Ok(read)
    }

    fn app(&self, bundle: &Bundle) -> App {
        App {
            settings: self.settings.clone(),
            workspace: bundle.workspace.clone(),
            interrupt: Arc::clone(&self.interrupt),
        }
    }

    /// Makes a host for an agent, under its own sign-in if it has one.
    async fn host(&self, app: &App, agent: Option<&str>) -> Result<Host, AppError> {
        let own = self.others.of(app, agent).await?;
        let connection = own.as_deref().unwrap_or(&self.connection);
        let (nobody, judge) = (Arc::new(Nobody), self.watcher.judge(agent));
        app.host(connection, &app.workspace, agent, judge, nobody, self.watch.clone())
    }

    /// Runs `job` on the shared state, on a thread where it may block.
    async fn shared<T: Send + 'static>(
        &self,
        job: impl FnOnce(&dyn Coordinate) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, AppError> {
        let journal = Arc::clone(&self.journal);
        let done = tokio::task::spawn_blocking(move || job(&*journal)).await;
        match done {
            Ok(result) => result.map_err(|error| failed(&error)),
            Err(_) => Err(AppError::new("stopped", "the process ends")),
        }
    }

    /// Fires the schedules until everything stops.
    async fn fire_schedules(&self) {
        let mut told = u64::MAX;
        let (mut swept, mut pruned): (Option<Instant>, Option<Instant>) = (None, None);
        loop {
            let bundle = self.watcher.current();
            if told != bundle.generation {
                told = bundle.generation;
                self.tell_mistakes(&bundle);
            }
            if let Err(error) = self.tick(SystemClock.now()).await {
                warn("schedules could not fire", &error);
            }
            if swept.is_none_or(|at| at.elapsed() > Duration::from_secs(86_400)) {
                swept = Some(Instant::now());
                let old = SignedDuration::from_hours(24 * CLAIMS_DAYS);
                let before = SystemClock.now().checked_sub(old).unwrap_or(Timestamp::MIN);
                if let Err(error) = self.shared(move |shared| shared.forget_claims(before)).await {
                    warn("old claims could not be forgotten", &error);
                }
            }
            if pruned.is_none_or(|at| at.elapsed() > LOOK_AT_DAY) {
                pruned = Some(Instant::now());
                if let Err(error) = self.prune(&bundle, SystemClock.now()).await {
                    warn("old runs could not be deleted", &error);
                }
            }
            if !pause(&self.interrupt).await {
                return;
            }
        }
    }

    /// Deletes what old runs have left, once a day, if the configuration says so.
    async fn prune(&self, bundle: &Bundle, now: Timestamp) -> Result<(), AppError> {
        let Some(days) = bundle.workspace.config.state.keep_runs_days else { return Ok(()) };
        let owner = self.owner.clone();
        let pruned = self.shared(move |shared| daily::prune(shared, days, &owner, now)).await?;
        if pruned != Pruned::default() {
            tracing::info!(runs = pruned.runs, entries = pruned.entries, "old runs were deleted");
        }
        Ok(())
    }

    fn tell_mistakes(&self, bundle: &Bundle) {
        for mistake in self.automation(bundle).iter().flat_map(|all| &all.mistakes) {
            tracing::warn!(%mistake, "it does not fire");
        }
    }

    /// Fires the schedules that are due; returns how many entries were added.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub(crate) async fn tick(&self, now: Timestamp) -> Result<usize, AppError> {
        let declared = self.automation(&self.watcher.current())?;
        let by = self.by.clone();
        let fired =
            self.shared(move |shared| firing::tick(shared, &declared.schedules, &by, now)).await?;
        for entry in &fired {
            let key = entry.key.as_deref().unwrap_or_default();
            tracing::info!(key, entry = %entry.id, skill = %entry.skill, "a schedule has fired");
        }
        Ok(fired.len())
    }

    /// Fires the triggers until everything stops.
    async fn fire_triggers(&self) {
        let mut resolved = Resolved::default();
        loop {
            if let Err(error) = self.look(&mut resolved).await {
                warn("triggers could not fire", &error);
            }
            if !pause(&self.interrupt).await {
                return;
            }
        }
    }

    /// Looks once at each plan that a trigger waits for; returns how many entries were added.
    ///
    /// # Errors
    /// The service cannot be reached, or the journal not be written.
    pub(crate) async fn look_once(&self) -> Result<usize, AppError> {
        self.look(&mut Resolved::default()).await
    }

    /// Looks at the plans whose time has come.
    async fn look(&self, resolved: &mut Resolved) -> Result<usize, AppError> {
        let bundle = self.watcher.current();
        let declared = self.automation(&bundle)?;
        if !resolved.has_work(bundle.generation, &declared.triggers) {
            return Ok(0);
        }
        let triggers = declared.triggers.clone();
        let app = self.app(&bundle);
        let watched = self.watched(&app, triggers, (bundle.generation, &mut *resolved)).await;
        let (mut n_fired, mut wrong) = (0, None);
        for (plan, watched) in watched {
            if self.interrupt.is_set() || watched.next.is_some_and(|next| next > Instant::now()) {
                continue;
            }
            let every = watched.triggers.values().map(|one| one.every).min();
            match self.look_at(&app, &plan, watched.triggers).await {
                Ok(n) => n_fired += n,
                Err(error) => {
                    // The plan may be gone, or not for this agent any more.
                    resolved.plans.retain(|_, (id, _)| *id != plan);
                    wrong = Some(error);
                }
            }
            let next = Instant::now() + every.unwrap_or(RESOLVED_FOR);
            resolved.next.insert(plan, next);
        }
        wrong.map_or(Ok(n_fired), Err)
    }

    /// Sorts triggers by the plan that they wait for. One whose agent cannot see its plan waits for
    /// none.
    async fn watched(
        &self,
        app: &App,
        triggers: BTreeMap<String, Trigger>,
        (generation, resolved): (u64, &mut Resolved),
    ) -> BTreeMap<PlanId, Watched> {
        // Another version of the configuration may grant less.
        if resolved.generation != generation {
            *resolved = Resolved { generation, ..Resolved::default() };
        }
        resolved.plans.retain(|_, (_, at)| at.elapsed() < RESOLVED_FOR);
        resolved.unseen.retain(|_, again| *again > Instant::now());
        let mut watched: BTreeMap<PlanId, Watched> = BTreeMap::new();
        for (name, trigger) in triggers {
            let key = (trigger.agent.clone(), trigger.plan.clone());
            let known = resolved.plans.get(&key).map(|(plan, _)| plan.clone());
            let plan = match known {
                Some(plan) => plan,
                None if resolved.unseen.contains_key(&key) => continue,
                None => match self.find_plan(app, &trigger).await {
                    Ok(plan) => {
                        resolved.plans.insert(key, (plan.clone(), Instant::now()));
                        plan
                    }
                    Err(error) => {
                        warn(&format!("the trigger `{name}` cannot see its plan"), &error);
                        resolved.unseen.insert(key, Instant::now() + trigger.every);
                        continue;
                    }
                },
            };
            let next = resolved.next.get(&plan).copied();
            let place = watched.entry(plan).or_insert(Watched { triggers: BTreeMap::new(), next });
            place.triggers.insert(name, trigger);
        }
        watched
    }

    /// Finds a plan as an agent sees it: what is out of its scope does not exist.
    async fn find_plan(&self, app: &App, trigger: &Trigger) -> Result<PlanId, AppError> {
        let agent = Some(trigger.agent.as_str());
        let granted = known_agent(&app.workspace, agent)?;
        let text = trigger.plan.clone();
        let host = self.host(app, agent).await?;
        let found = host.look(granted, move |session| Ok(session.find_plan(&text)?));
        Ok(Box::pin(found).await?)
    }

    async fn look_at(
        &self,
        app: &App,
        plan: &PlanId,
        triggers: BTreeMap<String, Trigger>,
    ) -> Result<usize, AppError> {
        let (by, zone) = (self.by.clone(), time_zone(&app.workspace)?);
        let (id, owner, now) = (plan.clone(), self.owner.clone(), SystemClock.now());
        let scope = by.scope();
        let begun = self.shared(move |shared| triggers::begin(shared, (&scope, &id), &owner, now));
        // Another process looks at it.
        let Some(look) = begun.await? else { return Ok(0) };
        let listed = self.list_tasks(app, plan, &triggers).await;
        let fired = self
            .shared(move |shared| {
                let fired = listed.map(|tasks| {
                    let time = (SystemClock.now(), &zone);
                    look.settle(shared, &triggers, &tasks, &by, time)
                });
                look.end(shared)?;
                Ok(fired)
            })
            .await?;
        let fired = fired?.map_err(|error| failed(&error))?;
        for entry in &fired {
            let key = entry.key.as_deref().unwrap_or_default();
            tracing::info!(key, entry = %entry.id, skill = %entry.skill, "a trigger has fired");
        }
        Ok(fired.len())
    }

    /// Lists the tasks of a plan under the sign-in of an agent that waits for something on it.
    async fn list_tasks(
        &self,
        app: &App,
        plan: &PlanId,
        triggers: &BTreeMap<String, Trigger>,
    ) -> Result<Vec<Versioned<Task>>, AppError> {
        let agents: BTreeSet<&str> = triggers.values().map(|one| one.agent.as_str()).collect();
        let mut refused = None;
        for agent in agents {
            let host = self.host(app, Some(agent)).await?;
            match host.list_tasks(plan).await {
                Ok(tasks) => return Ok(tasks),
                Err(error) => refused = Some(error.into()),
            }
        }
        Err(refused.unwrap_or_else(|| AppError::new("bug", "a plan is looked at for nobody")))
    }

    /// Carries on every run that was cut off, each by itself. Those of the inbox are their workers'.
    async fn resume_unfinished(&self) {
        let app = self.app(&self.watcher.current());
        let mut found = self.unfinished(&app, None).await;
        // Agents that sign in as themselves have left runs that only they can carry on.
        let agents = app.workspace.config.agents.keys().map(String::as_str).map(Some);
        for agent in agents.filter(|agent| app.own_profile(*agent).is_some()) {
            match (&mut found, self.unfinished(&app, agent).await) {
                (Ok(found), Ok(own)) => found.extend(own),
                (_, Err(error)) => warn("runs of an agent could not be looked for", &error),
                (Err(_), Ok(_)) => {}
            }
        }
        let by = self.by.clone();
        let of_inbox = self.shared(move |shared| runs_of_inbox(shared, &by)).await;
        let (found, of_inbox) = match (found, of_inbox) {
            (Ok(found), Ok(of_inbox)) => (found, of_inbox),
            (Err(error), _) | (_, Err(error)) => {
                return warn("runs that were cut off could not be found", &error);
            }
        };
        // Of one that two identities could carry on, one does.
        let found: BTreeSet<RunId> = found.into_iter().collect();
        for id in found.into_iter().filter(|id| !of_inbox.contains(id)) {
            if self.interrupt.is_set() {
                return;
            }
            // One that cannot be carried on holds up no other.
            match self.resume(&app, &id).await {
                Ok(status) => tracing::info!(run = %id, ?status, "a run was carried on"),
                Err(error) => warn(&format!("run {id} could not be carried on"), &error),
            }
        }
    }

    async fn unfinished(&self, app: &App, agent: Option<&str>) -> Result<Vec<RunId>, AppError> {
        let host = self.host(app, agent).await?;
        Ok(Box::pin(host.unfinished()).await?)
    }

    async fn resume(&self, app: &App, id: &RunId) -> Result<Status, AppError> {
        let journal = Arc::clone(&self.journal);
        let run = id.clone();
        let found = tokio::task::spawn_blocking(move || journal.run(run.as_str())).await;
        let found = found.map_err(|_| AppError::new("stopped", "the process ends"))?;
        let agent = found.map_err(|error| failed(&error))?.start.agent;
        let start = Start {
            purpose: Purpose::Resume,
            skill: "resume".into(),
            skill_digest: None,
            params: Value::Null,
            agent: known_agent(&app.workspace, agent.as_deref())?,
            force: false,
            dry_run: false,
        };
        let host = self.host(app, agent.as_deref()).await?;
        let finished = Box::pin(host.resume(id.as_str(), Decisions::default(), start)).await?;
        Ok(finished.report.status)
    }
}
