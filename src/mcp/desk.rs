//! What all calls of a connection share: the workspace as it is now, the service, and the switches
//! that stop what is under way.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rmcp::model::ProgressNotificationParam;
use rmcp::service::RequestContext;
use rmcp::{Peer, RoleServer};
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::{OnceCell, Semaphore, mpsc, watch};

use crate::app::App;
use crate::app::agent::refusals::Refusals;
use crate::app::connection::ServiceConnection;
use crate::app::error::AppError;
use crate::app::pending::failed;
use crate::app::workspace::{log_problems, watched};
use crate::host::{
    Failure, Host, Judge, Nobody, RunProgress, Session, Start, Stop, StopReason, SystemClock, Watch,
};
use crate::journal::{Error, Journal, Purpose, RunId};
use crate::mcp::elicit::Shown;
use crate::mcp::turned_away;
use crate::model::Clock as _;
use crate::script::reload::Watcher;
use crate::script::{Bundle, Config};

/// The most calls at work at once; others wait.
const MAX_CALLS: usize = 8;

/// Whom the server tells of changes, at most.
const MAX_PEERS: usize = 64;

/// The state of a server.
pub(crate) struct Desk {
    agent: String,
    app: App,
    /// The workspace, watched from the start on. Its scripts are compiled beside the first answer, for
    /// which nobody should have to wait until they are.
    watcher: OnceCell<Watcher>,
    /// Opened by the first call: a client waits for the first answer before it does anything.
    connection: OnceCell<ServiceConnection>,
    runtime: Handle,
    room: Arc<Semaphore>,
    /// The switches of the calls at work, by number.
    calls: Mutex<BTreeMap<u64, Arc<Stop>>>,
    n_calls: AtomicU64,
    peers: Arc<Mutex<Vec<Peer<RoleServer>>>>,
    /// True while the server is open; ticks whenever the list of tools is another.
    tools: watch::Sender<bool>,
    /// What is shown to the person at the other end.
    pub(crate) shown: Shown,
    /// What was refused.
    pub(crate) refusals: Refusals,
}

fn unpoisoned<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Desk {
    /// Watches the workspace.
    ///
    /// # Errors
    /// No service is chosen, or the workspace cannot be read.
    pub(crate) fn open(app: App, agent: String, runtime: Handle) -> Result<Self, AppError> {
        app.settings_for(Some(&agent))?.service()?;
        Ok(Self {
            app,
            agent,
            watcher: OnceCell::new(),
            connection: OnceCell::new(),
            runtime,
            room: Arc::new(Semaphore::new(MAX_CALLS)),
            calls: Mutex::default(),
            n_calls: AtomicU64::new(0),
            peers: Arc::default(),
            tools: watch::Sender::new(true),
            shown: Shown::default(),
            refusals: Refusals::at_most(turned_away::MOST),
        })
    }

    /// Returns the agent's name.
    pub(crate) fn agent(&self) -> &str {
        &self.agent
    }

    /// Returns the version of the workspace in force.
    ///
    /// # Errors
    /// Its files cannot be read any more.
    pub(crate) async fn bundle(&self) -> Result<Arc<Bundle>, AppError> {
        Ok(self.watcher().await?.current())
    }

    /// Returns the watcher of the workspace, and starts it the first time.
    async fn watcher(&self) -> Result<&Watcher, AppError> {
        let start = || async {
            let workspace = self.app.workspace.clone();
            let started = tokio::task::spawn_blocking(move || watched(&workspace));
            let watcher =
                started.await.map_err(|_| AppError::new("stopped", "the server ends"))??;
            self.tell_of_reloads(&watcher);
            Ok(watcher)
        };
        self.watcher.get_or_try_init(start).await
    }

    /// Compiles the workspace in the background, in the processes that the first run then finds.
    pub(crate) fn warm_up(self: &Arc<Self>) {
        let desk = Arc::clone(self);
        self.runtime.spawn(async move {
            // Whoever needs it tries again, and is told.
            if let Err(error) = desk.watcher().await {
                tracing::warn!(error = %error.failure.message, "the workspace cannot be read");
            }
        });
    }

    /// Remembers a client, to tell it when the list of tools is another.
    pub(crate) fn remember(&self, peer: Peer<RoleServer>) {
        let mut peers = unpoisoned(&self.peers);
        if peers.len() >= MAX_PEERS {
            peers.remove(0);
        }
        peers.push(peer);
    }

    /// Returns what is true while the server is open, and ticks whenever the list of tools is another.
    pub(crate) fn tool_changes(&self) -> watch::Receiver<bool> {
        self.tools.subscribe()
    }

    /// Tells clients whenever skills or their grants change.
    fn tell_of_reloads(&self, watcher: &Watcher) {
        // Not the desk itself: the watcher keeps its listeners, and belongs to the desk.
        let (peers, runtime) = (Arc::clone(&self.peers), self.runtime.clone());
        let tools = self.tools.clone();
        log_problems(watcher);
        watcher.subscribe(move |reloaded| {
            let is_ours = |file: &String| file.starts_with("skills/") || file.ends_with(".toml");
            if !reloaded.changed.iter().any(is_ours) {
                return;
            }
            tools.send_modify(|_open| ());
            let peers = unpoisoned(&peers).clone();
            runtime.spawn(async move {
                for peer in peers {
                    // A client that has left is not told.
                    let _left = peer.notify_tool_list_changed().await;
                }
            });
        });
    }

    /// Stops everything at work, and waits until it has ended, or for so long.
    pub(crate) async fn stop_all(&self, at_most: Duration) {
        let deadline = tokio::time::Instant::now() + at_most;
        self.tools.send_replace(false);
        loop {
            let left = {
                let calls = unpoisoned(&self.calls);
                calls.values().for_each(|stop| stop.set(StopReason::Cancelled));
                calls.len()
            };
            if left == 0 || tokio::time::Instant::now() > deadline {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Does the work of a call on a thread where it may block. If the call is cancelled, or its
    /// client leaves, the work is stopped: it writes nothing more, and what it wrote is recorded.
    pub(crate) async fn work<T: Send + 'static>(
        self: &Arc<Self>,
        context: &RequestContext<RoleServer>,
        work: impl FnOnce(&Work) -> Result<T, AppError> + Send + 'static,
    ) -> Result<T, AppError> {
        let closed = |_| AppError::new("stopped", "the server ends");
        let permit = Arc::clone(&self.room).acquire_owned().await.map_err(closed)?;
        let stop = Arc::new(Stop::default());
        let no = self.n_calls.fetch_add(1, Ordering::SeqCst);
        unpoisoned(&self.calls).insert(no, Arc::clone(&stop));
        let at_work = AtWork { desk: Arc::clone(self), no };
        let _left = Left(Arc::clone(&stop));
        let watcher = self.watcher().await?;
        let (bundle, judge) = (watcher.current(), watcher.judge(Some(&self.agent)));
        let app = App {
            settings: self.app.settings.clone(),
            workspace: bundle.workspace.clone(),
            interrupt: Arc::clone(&stop),
        };
        let watch = self.watch(context);
        let mut task = tokio::task::spawn_blocking(move || {
            let of_call = Work { desk: Arc::clone(&at_work.desk), app, bundle, judge, watch };
            let done = work(&of_call);
            drop((at_work, permit));
            done
        });
        let joined = tokio::select! {
            joined = &mut task => joined,
            () = context.ct.cancelled() => {
                stop.set(StopReason::Withdrawn);
                task.await
            }
        };
        joined.unwrap_or_else(|error| {
            Err(AppError::new("bug", format!("planwright itself failed: {error}")))
        })
    }

    /// Returns a listener that passes progress on, if the client asked for it.
    fn watch(&self, context: &RequestContext<RoleServer>) -> Watch {
        let Some(token) = context.meta.get_progress_token() else { return Watch::default() };
        let peer = context.peer.clone();
        // One task, so that they arrive in their order; it ends with the run.
        let (sender, mut told) = mpsc::unbounded_channel::<(usize, usize)>();
        self.runtime.spawn(async move {
            let number = |n: usize| u32::try_from(n).map_or(f64::MAX, f64::from);
            while let Some((done, total)) = told.recv().await {
                let told = ProgressNotificationParam::new(token.clone(), number(done));
                let _left = peer.notify_progress(told.with_total(number(total))).await;
            }
        });
        let counted = Mutex::new(Counted::default());
        Watch::new(move |progress| {
            let RunProgress::Applying { done, total } = progress else { return };
            if let Some(grown) = unpoisoned(&counted).grown(done, total) {
                let _left = sender.send(grown);
            }
        })
    }
}

/// The progress of a run as its client was told it. It must grow, and a run counts from zero after each
/// `commit()`.
#[derive(Debug, Default)]
struct Counted {
    before: usize,
    last: usize,
}

impl Counted {
    /// Returns what has grown since the last time, with its total.
    fn grown(&mut self, done: usize, total: usize) -> Option<(usize, usize)> {
        if done < self.last {
            self.before += self.last;
        } else if done == self.last {
            return None;
        }
        self.last = done;
        (done > 0).then_some((self.before + done, self.before + total))
    }
}

/// The entry of a call at work, which goes when it ends.
struct AtWork {
    desk: Arc<Desk>,
    no: u64,
}

impl Drop for AtWork {
    fn drop(&mut self) {
        unpoisoned(&self.desk.calls).remove(&self.no);
    }
}

/// Stops a call when nobody waits for it any more.
struct Left(Arc<Stop>);

impl Drop for Left {
    fn drop(&mut self) {
        // It belongs to this call alone: if that has ended, this stops nothing.
        self.0.set(StopReason::Cancelled);
    }
}

/// The surroundings of one call: everything of one version of the workspace.
pub(crate) struct Work {
    desk: Arc<Desk>,
    pub(crate) app: App,
    pub(crate) bundle: Arc<Bundle>,
    judge: Arc<dyn Judge>,
    watch: Watch,
}

impl Work {
    /// Returns the agent's name.
    pub(crate) fn agent(&self) -> &str {
        self.desk.agent()
    }

    /// Returns the configuration.
    pub(crate) fn config(&self) -> &Config {
        &self.app.workspace.config
    }

    /// Returns the moment.
    #[expect(clippy::unused_self, reason = "a call takes all it needs from here")]
    pub(crate) fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    /// Returns the handle of the runtime.
    pub(crate) fn runtime(&self) -> Handle {
        self.desk.runtime.clone()
    }

    /// Finds a run of this agent by its id, or by the beginning of one that is unique among its own.
    ///
    /// # Errors
    /// It has none, or several.
    pub(crate) fn own_run(&self, journal: &Journal, id: &str) -> Result<RunId, AppError> {
        journal.run_of_agent(id, self.agent()).map_err(|error| match error {
            Error::NoRun(_) => {
                AppError::new("not_found", format!("this agent has nothing under `{id}`"))
            }
            error => failed(&error),
        })
    }

    /// Waits for something asynchronous.
    pub(crate) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.desk.runtime.block_on(work)
    }

    /// Makes a host for the agent. What is held there waits for a person.
    ///
    /// # Errors
    /// The configuration is wrong, or there is no state folder.
    pub(crate) fn host(&self) -> Result<Host, AppError> {
        let agent = Some(self.agent());
        let judge = Arc::clone(&self.judge);
        let nobody = Arc::new(Nobody);
        let desk = &self.desk;
        let connection =
            self.wait(desk.connection.get_or_try_init(|| desk.app.connect(Some(&desk.agent))))?;
        let workspace = &self.app.workspace;
        self.app.host(connection, workspace, agent, judge, nobody, self.watch.clone())
    }

    /// Reads the board as the agent sees it.
    ///
    /// # Errors
    /// The error of the work, or of the service.
    pub(crate) fn look<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Session) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, AppError> {
        let granted = self.app.agent(Some(self.agent()))?;
        let host = self.host()?;
        Ok(self.wait(host.look(granted, work))?)
    }

    /// Makes the start of a run of the agent.
    ///
    /// # Errors
    /// The agent is not configured any more.
    pub(crate) fn start(
        &self,
        purpose: Purpose,
        (skill, digest): (&str, Option<&str>),
        params: Value,
        apply: bool,
    ) -> Result<Start, AppError> {
        Ok(Start {
            purpose,
            skill: skill.to_owned(),
            skill_digest: digest.map(str::to_owned),
            params,
            agent: self.app.agent(Some(self.agent()))?,
            force: false,
            dry_run: !apply,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_grows_over_every_part_of_a_run() {
        let mut counted = Counted::default();
        let told: Vec<_> = [(0, 3), (1, 3), (1, 3), (3, 3), (0, 2), (1, 2), (2, 2)]
            .into_iter()
            .filter_map(|(done, total)| counted.grown(done, total))
            .collect();
        assert_eq!(told, [(1, 3), (3, 3), (4, 5), (5, 5)]);
    }
}
