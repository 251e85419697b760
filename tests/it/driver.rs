//! Runs of the host without a process of their own: wishes as closures, against a served Planner.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use planwright::change::ChangeSet;
use planwright::graph::{BaseUrl, Client, Secret};
use planwright::host::{
    Decisions, Failure, Finished, Host, Judge, Nobody, Program, Report, Session, Start,
    StateFolder, Status, Stop, SystemClock, Watch,
};
use planwright::journal::Purpose;
use planwright::model::{Limits, PlanId};
use planwright::policy::{Caps, Ruling};
use serde_json::Value;
use tokio::sync::Notify;

use crate::support::{Planner, ROOK};

/// Nobody objects.
struct NoPolicies;

impl Judge for NoPolicies {
    fn judge(&self, _session: &Session, _set: &ChangeSet, _start: &Start) -> Vec<Ruling> {
        Vec::new()
    }
}

/// A host on a served Planner, signed in as rook.
pub(crate) struct Driver {
    runtime: tokio::runtime::Runtime,
    pub(crate) host: Host,
}

impl Driver {
    pub(crate) fn new(planner: &Planner) -> Self {
        let runtime = new_runtime();
        let host = Host {
            client: new_client(&planner.url),
            service: planner.url.clone(),
            clock: Arc::new(SystemClock),
            zone: TimeZone::UTC,
            caps: Caps { max_changes: 100_000, max_deletes: 100_000 },
            limits: Limits::default(),
            max_reads: 5_000,
            max_edits: 2_000,
            max_edit_bytes: 2 << 20,
            time_limit: Duration::from_secs(600),
            judge: Arc::new(NoPolicies),
            quarantine: Duration::from_secs(60),
            writes_per_second: None,
            watch: Watch::default(),
            state_folder: None,
            approver: Arc::new(Nobody),
            approval_time: Duration::from_hours(72),
            interrupt: Arc::new(Stop::default()),
        };
        Self { runtime, host }
    }

    /// Runs wishes through review and apply, deletions granted.
    pub(crate) fn run(
        &self,
        wishes: impl FnOnce(&Session) -> Result<Value, Failure> + Clone + Send + Sync + 'static,
    ) -> Finished {
        let again = move |session: &Session| wishes.clone()(session);
        self.runtime.block_on(self.host.run(forced("test"), Arc::new(again)))
    }

    /// Runs a program up to the last step, and leaves that out.
    pub(crate) fn dry_run(&self, program: Arc<dyn Program>) -> Finished {
        let start = Start { dry_run: true, ..forced("test") };
        self.runtime.block_on(self.host.run(start, program))
    }

    /// Records runs in a state folder from now on.
    pub(crate) fn recording_in(mut self, folder: &std::path::Path) -> Self {
        self.host.state_folder = Some(StateFolder::new(folder.to_owned()));
        self
    }

    /// Ends what is under way and begins again, as another process would: what is being written to
    /// the disk is on it by then, connections are gone.
    fn restart(&mut self) {
        drop(std::mem::replace(&mut self.runtime, new_runtime()));
        self.host.client = new_client(&self.host.service);
    }

    /// Runs wishes until they are done, or until the bell rings: then the run ends where it is.
    pub(crate) fn run_until(
        &mut self,
        bell: &Notify,
        wishes: impl FnOnce(&Session) -> Result<Value, Failure> + Clone + Send + Sync + 'static,
    ) -> Option<Finished> {
        let again = move |session: &Session| wishes.clone()(session);
        let finished = self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = bell.notified() => None,
                finished = self.host.run(forced("test"), Arc::new(again)) => Some(finished),
            }
        });
        if finished.is_none() {
            self.restart();
        }
        finished
    }

    /// Returns how many runs are to be carried on.
    pub(crate) fn unfinished(&self) -> usize {
        self.runtime.block_on(self.host.unfinished()).unwrap().len()
    }

    /// Carries on the run that was cut off, if there is one, until the bell rings.
    pub(crate) fn resume_until(&mut self, bell: &Notify) -> Option<Finished> {
        let finished = self.runtime.block_on(async {
            let runs = self.host.unfinished().await.unwrap();
            let resume = async {
                let id = runs.last()?;
                Some(
                    self.host
                        .resume(id.as_str(), Decisions::default(), forced("resume"))
                        .await
                        .unwrap(),
                )
            };
            tokio::select! {
                biased;
                () = bell.notified() => None,
                finished = resume => finished,
            }
        });
        if finished.is_none() {
            self.restart();
        }
        finished
    }

    /// Carries on whatever was cut off, to its end.
    #[track_caller]
    pub(crate) fn resume_all(&self, label: &str) {
        loop {
            let runs = self.runtime.block_on(self.host.unfinished()).unwrap();
            let Some(id) = runs.first() else { return };
            let resume = self.host.resume(id.as_str(), Decisions::default(), forced("resume"));
            let report = self.runtime.block_on(resume).unwrap().report;
            let well = matches!(report.status, Status::Applied | Status::NoChanges);
            assert!(well, "{label}: {:?} {:#?} {:#?}", report.status, report.error, report.changes);
        }
    }

    /// Takes a run back, deletions granted.
    pub(crate) fn undo(&self, run: &str) -> Report {
        self.runtime.block_on(self.host.undo(run, forced("undo"))).unwrap().report
    }

    /// The same, where all of it must be written, if there is anything.
    #[track_caller]
    pub(crate) fn apply(
        &self,
        wishes: impl FnOnce(&Session) -> Result<Value, Failure> + Clone + Send + Sync + 'static,
    ) -> Report {
        let report = self.run(wishes).report;
        let well = matches!(report.status, Status::Applied | Status::NoChanges);
        let troubled = report.changes.iter().filter(|it| it.error.is_some());
        let troubled: Vec<_> = troubled.map(|it| serde_json::to_string(it).unwrap()).collect();
        assert!(well, "{:?} {:#?}\n{troubled:#?}", report.status, report.error);
        report
    }

    /// Reads the board afresh.
    #[track_caller]
    pub(crate) fn look<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Session) -> Result<T, Failure> + Send + 'static,
    ) -> T {
        self.runtime.block_on(self.host.look(None, work)).unwrap()
    }

    /// Makes a plan in the group BOS.
    pub(crate) fn new_plan(&self, title: &str) -> PlanId {
        let title = title.to_owned();
        let report = self.apply(move |session| {
            Ok(Value::from(session.editor()?.create_plan("BOS", &title)?.to_string()))
        });
        PlanId::parse(report.result.as_str().unwrap()).unwrap()
    }
}

fn new_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn new_client(url: &str) -> Client {
    Client::new(BaseUrl::parse(url).unwrap(), &Secret::new(format!("emulator:{ROOK}"))).unwrap()
}

/// The start of a run to which deletions are granted.
fn forced(skill: &str) -> Start {
    Start {
        purpose: Purpose::Run,
        skill: skill.into(),
        skill_digest: None,
        params: Value::Null,
        agent: None,
        force: true,
        dry_run: false,
    }
}

/// Numbers that look random and are the same every time.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns a number below `n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        const FACTOR: u64 = 6_364_136_223_846_793_005;
        self.0 = self.0.wrapping_mul(FACTOR).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % n
    }

    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}
