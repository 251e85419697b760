//! What all requests share: the workspace as it is now, the service, the journal, and the switches that
//! stop what is under way.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::app::App;
use crate::app::agent::refusals::Refusals;
use crate::app::connection::{OwnConnections, ServiceConnection};
use crate::app::error::AppError;
use crate::app::settings::Settings;
use crate::app::workspace::{place, watched};
use crate::host::{Approver, Failure, Host, Nobody, Session, Stop, StopReason, Watch};
use crate::journal::Journal;
use crate::model::User;
use crate::script::reload::Watcher;
use crate::script::{Bundle, Config};
use crate::serve::access::Access;
use crate::serve::metrics::Metrics;
use crate::serve::news::News;
use crate::serve::refusals;
use crate::serve::running::Running;
use crate::serve::unpoisoned::unpoisoned;

/// Requests at work at once; others wait.
const MAX_WORK: usize = 16;
/// The time for which a board that was read is shown again.
const FRESH: Duration = Duration::from_secs(2);
/// The time for which it is taken for known whether the service answers, and the longest wait for it.
const REACHED_FOR: Duration = Duration::from_secs(30);
const REACH_WITHIN: Duration = Duration::from_secs(5);
/// The most boards that are remembered.
const MAX_BOARDS: usize = 64;
/// The most names that are remembered.
const MAX_NAMES: usize = 20_000;

/// The state of a server.
pub(crate) struct Desk {
    settings: Settings,
    watcher: Watcher,
    connection: ServiceConnection,
    others: OwnConnections,
    /// What stands for the workspace in records.
    place: String,
    runtime: Handle,
    pub(crate) journal: Arc<Journal>,
    pub(crate) access: Access,
    pub(crate) metrics: Metrics,
    pub(crate) news: News,
    pub(crate) running: Running,
    pub(crate) refusals: Refusals,
    /// The OpenAPI document.
    pub(crate) document: String,
    me: OnceLock<User>,
    /// Whether the service was within reach, and when that was asked.
    reach: Mutex<Option<(Instant, bool)>>,
    room: Arc<Semaphore>,
    stops: Mutex<BTreeMap<u64, Arc<Stop>>>,
    n_stops: AtomicU64,
    is_ending: AtomicBool,
    boards: Mutex<BTreeMap<String, (Instant, Value)>>,
    /// Names of plans, buckets and people that were read, by id.
    names: Mutex<BTreeMap<String, String>>,
}

impl Desk {
    /// Connects to the service, opens the journal and watches the workspace.
    ///
    /// # Errors
    /// The service cannot be reached, or the workspace or the journal not be read.
    pub(crate) async fn open(app: App, access: Access, document: String) -> Result<Self, AppError> {
        let connection = app.connect(None).await?;
        let journal = Arc::new(app.state_folder()?.open()?);
        let App { settings, workspace, .. } = app;
        let at = place(&workspace);
        let watcher = watched(&workspace)?;
        let metrics = Metrics::new();
        Ok(Self {
            settings,
            watcher,
            others: OwnConnections::beside(&connection),
            place: at,
            connection,
            runtime: Handle::current(),
            journal,
            access,
            metrics,
            news: News::new(),
            running: Running::default(),
            refusals: Refusals::at_most(refusals::MOST),
            document,
            me: OnceLock::new(),
            reach: Mutex::default(),
            room: Arc::new(Semaphore::new(MAX_WORK)),
            stops: Mutex::default(),
            n_stops: AtomicU64::new(0),
            is_ending: AtomicBool::new(false),
            boards: Mutex::default(),
            names: Mutex::default(),
        })
    }

    /// Returns the workspace watcher, to tell of reloads.
    pub(crate) const fn watcher(&self) -> &Watcher {
        &self.watcher
    }

    /// Returns the service and the workspace, as entries of the inbox name them.
    pub(crate) fn of(&self) -> (String, String) {
        (self.connection.service.clone(), self.place.clone())
    }

    /// Returns an application of its own on the workspace as it is now, with a switch.
    pub(crate) fn app(&self, interrupt: Arc<Stop>) -> (App, Arc<Bundle>) {
        let bundle = self.watcher.current();
        let workspace = bundle.workspace.clone();
        (App { settings: self.settings.clone(), workspace, interrupt }, bundle)
    }

    /// Returns whether the server is about to end: nothing new begins.
    pub(crate) fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::SeqCst)
    }

    /// Lets nothing new begin, stops what is under way, and waits until it has ended or for so long.
    pub(crate) async fn end(&self, at_most: Duration) {
        self.is_ending.store(true, Ordering::SeqCst);
        let deadline = Instant::now() + at_most;
        loop {
            let left = {
                let stops = unpoisoned(&self.stops);
                stops.values().for_each(|stop| stop.set(StopReason::Cancelled));
                stops.len()
            };
            if left == 0 || Instant::now() > deadline {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Notes a switch for as long as what is returned lives.
    pub(crate) fn note_stop(self: &Arc<Self>, stop: &Arc<Stop>) -> Noted {
        let no = self.n_stops.fetch_add(1, Ordering::SeqCst);
        unpoisoned(&self.stops).insert(no, Arc::clone(stop));
        Noted { desk: Arc::clone(self), no }
    }

    /// Does the work of a request on a thread where it may block.
    ///
    /// # Errors
    /// Those of the work; or the server ends.
    pub(crate) async fn work<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Work) -> Result<T, AppError> + Send + 'static,
    ) -> Result<T, AppError> {
        let ends = || AppError::new("stopped", "the server is shutting down");
        let permit = Arc::clone(&self.room).acquire_owned().await.map_err(|_| ends())?;
        if self.is_ending() {
            return Err(ends());
        }
        let stop = Arc::new(Stop::default());
        let noted = self.note_stop(&stop);
        let (app, bundle) = self.app(stop);
        let of_request = Work { desk: Arc::clone(self), app, bundle };
        let task = tokio::task::spawn_blocking(move || {
            let done = work(&of_request);
            drop((noted, permit));
            done
        });
        task.await.unwrap_or_else(|error| {
            Err(AppError::new("bug", format!("planwright itself failed: {error}")))
        })
    }

    /// Returns a board that was read a moment ago.
    pub(crate) fn fresh_board(&self, plan: &str) -> Option<Value> {
        let boards = unpoisoned(&self.boards);
        let (at, board) = boards.get(plan)?;
        (at.elapsed() < FRESH).then(|| board.clone())
    }

    /// Remembers a board for a moment.
    pub(crate) fn keep_board(&self, plan: &str, board: &Value) {
        let mut boards = unpoisoned(&self.boards);
        boards.retain(|_, (at, _)| at.elapsed() < FRESH);
        if boards.len() < MAX_BOARDS {
            boards.insert(plan.to_owned(), (Instant::now(), board.clone()));
        }
    }

    /// Remembers names, so that what was changed can be told without asking the service again.
    pub(crate) fn learn(&self, names: impl Iterator<Item = (String, String)>) {
        let mut known = unpoisoned(&self.names);
        for (id, name) in names {
            if known.len() < MAX_NAMES || known.contains_key(&id) {
                known.insert(id, name);
            }
        }
    }

    /// Returns the name of an id, if it was read before.
    pub(crate) fn name_of(&self, id: &str) -> Option<String> {
        unpoisoned(&self.names).get(id).cloned()
    }

    /// Forgets the boards: something was written.
    pub(crate) fn forget_boards(&self) {
        unpoisoned(&self.boards).clear();
    }
}

fn told_late() -> Failure {
    let message = format!("no answer within {} seconds", REACH_WITHIN.as_secs());
    Failure { code: "unavailable".into(), message, ..Failure::default() }
}

/// The entry of a switch, which goes when this does.
pub(crate) struct Noted {
    desk: Arc<Desk>,
    no: u64,
}

impl Drop for Noted {
    fn drop(&mut self) {
        unpoisoned(&self.desk.stops).remove(&self.no);
    }
}

/// The surroundings of one request: everything of one version of the workspace.
pub(crate) struct Work {
    pub(crate) desk: Arc<Desk>,
    pub(crate) app: App,
    pub(crate) bundle: Arc<Bundle>,
}

impl Work {
    /// Returns the configuration.
    pub(crate) fn config(&self) -> &Config {
        &self.app.workspace.config
    }

    /// Returns what is wrong with the newest text of a skill: an earlier one, if any, is in force.
    pub(crate) fn problem_of(&self, skill: &str) -> Option<String> {
        let file = format!("skills/{skill}.rhai");
        let found = self.bundle.problems.iter().find(|problem| problem.file == file);
        found.map(ToString::to_string)
    }

    /// Waits for something asynchronous.
    pub(crate) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.desk.runtime.block_on(work)
    }

    /// Returns the runtime, for what waits by itself.
    pub(crate) fn handle(&self) -> &Handle {
        &self.desk.runtime
    }

    /// Makes a host for an agent, or for a person.
    ///
    /// # Errors
    /// The configuration is wrong, or there is no state folder.
    pub(crate) fn host(
        &self,
        agent: Option<&str>,
        approver: Arc<dyn Approver>,
        watch: Watch,
    ) -> Result<Host, AppError> {
        let judge = self.desk.watcher.judge(agent);
        let workspace = &self.app.workspace;
        let own = self.wait(self.desk.others.of(&self.app, agent))?;
        let connection = own.as_deref().unwrap_or(&self.desk.connection);
        self.app.host(connection, workspace, agent, judge, approver, watch)
    }

    /// Reads the board as a person sees it.
    ///
    /// # Errors
    /// The error of the work, or of the service.
    pub(crate) fn look<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Session) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, AppError> {
        let host = self.host(None, Arc::new(Nobody), Watch::default())?;
        Ok(self.wait(host.look(None, work))?)
    }

    /// Returns whether the service answers as it should, as it was found a moment ago: anybody may ask this, so
    /// it is not asked each time.
    pub(crate) fn is_within_reach(&self) -> bool {
        {
            let mut reach = unpoisoned(&self.desk.reach);
            match &mut *reach {
                Some((at, was)) if at.elapsed() < REACHED_FOR => return *was,
                // Whoever comes meanwhile gets what was found before.
                Some((at, _)) => *at = Instant::now(),
                None => {}
            }
        }
        let asked = self.host(None, Arc::new(Nobody), Watch::default()).and_then(|host| {
            let asking = async { tokio::time::timeout(REACH_WITHIN, host.greet()).await };
            self.wait(asking).unwrap_or_else(|_| Err(told_late())).map_err(AppError::from)
        });
        if let Err(error) = &asked {
            let failure = &error.failure;
            let (code, message) = (&failure.code, &failure.message);
            tracing::warn!(code, "the service does not answer as it should: {message}");
        }
        let is = asked.is_ok();
        *unpoisoned(&self.desk.reach) = Some((Instant::now(), is));
        is
    }

    /// Returns the person who is signed in at the service.
    ///
    /// # Errors
    /// The service does not tell.
    pub(crate) fn me(&self) -> Result<User, AppError> {
        if let Some(me) = self.desk.me.get() {
            return Ok(me.clone());
        }
        let host = self.host(None, Arc::new(Nobody), Watch::default())?;
        let me = self.wait(host.me())?;
        Ok(self.desk.me.get_or_init(|| me).clone())
    }
}
