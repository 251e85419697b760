//! The stage of a test: its own emulator, a clock that stands still and a temporary journal, so
//! that tests neither meet nor leave anything.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::app::agent::agent_of;
use crate::app::connection::embedded::Embedded;
use crate::app::error::AppError;
use crate::change::ChangeSet;
use crate::emulator::{Action, DEMO_TENANT, Edit, Emulator, FaultRule, Options, Storage};
use crate::host::{Failure, Host, Judge, Nobody, Session, Start, StateFolder, Status, Stop, Watch};
use crate::journal::Purpose;
use crate::model::time::Calendar;
use crate::model::{Clock, TaskId};
use crate::policy::Ruling;
use crate::script::sandbox::coverage::Coverage;
use crate::script::stage::{Meddling, RunRequest, Stage, Target};
use crate::script::testing::{TestFile, USER};
use crate::script::{Policies, Skill, Workspace};

/// Time of a test that does not set its own: a Friday morning.
const BEGIN: &str = "2026-03-27T09:00:00Z";

/// The most bytes of edits by others that a test may arrange, and the bytes that each takes besides
/// its body.
const MAX_MEDDLED: usize = 1 << 20;
const MEDDLING_BYTES: usize = 500;

fn demo() -> Value {
    serde_json::from_str(DEMO_TENANT).unwrap_or_default()
}

/// A clock that stands still where it was set.
#[derive(Debug)]
struct StageClock(Mutex<Timestamp>);

impl Clock for StageClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Edits that somebody else makes before the next run validates, and those that failed.
#[derive(Debug, Default)]
struct Between {
    edits: Mutex<Vec<Edit>>,
    failed: Mutex<Vec<Edit>>,
}

/// The policies, followed by somebody else's edits. When the policies have judged, the run has
/// drafted on the board as it was, and has yet to validate that it still is so.
struct Meddled {
    policies: Policies,
    emulator: Emulator,
    between: Arc<Between>,
}

impl Judge for Meddled {
    fn judge(&self, session: &Session, set: &ChangeSet, start: &Start) -> Vec<Ruling> {
        let rulings = self.policies.judge(session, set, start);
        // A dry run writes nothing that could conflict.
        if !start.dry_run {
            for edit in std::mem::take(&mut *unpoisoned(&self.between.edits)) {
                if !self.emulator.edit(&edit) {
                    unpoisoned(&self.between.failed).push(edit);
                }
            }
        }
        rulings
    }

    fn digests(&self) -> BTreeMap<String, String> {
        self.policies.digests()
    }
}

fn unpoisoned<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The stage of one test.
#[derive(Debug)]
pub(crate) struct EmulatorStage {
    planner: Embedded,
    clock: Arc<StageClock>,
    zone: Mutex<TimeZone>,
    workspace: Arc<Workspace>,
    runtime: Handle,
    interrupt: Arc<Stop>,
    between: Arc<Between>,
    /// The bytes of edits by others that the test has arranged.
    meddled: AtomicUsize,
    coverage: Option<Arc<Coverage>>,
    folder: PathBuf,
}

impl EmulatorStage {
    /// Sets up a stage with nothing on it but people.
    pub(crate) fn new(
        workspace: Arc<Workspace>,
        runtime: &Handle,
        interrupt: Arc<Stop>,
        coverage: Option<Arc<Coverage>>,
    ) -> Result<Self, AppError> {
        let begin = BEGIN.parse().unwrap_or_default();
        let clock = Arc::new(StageClock(Mutex::new(begin)));
        let options = Options::new(Storage::Memory, Arc::clone(&clock) as Arc<dyn Clock>);
        let failed = |error: &dyn std::error::Error| {
            AppError::new("io", "cannot set up a Planner to test against").caused_by(error)
        };
        let planner = runtime.block_on(Embedded::serve(options, failed))?;
        let people = json!({ "users": demo()["users"] });
        planner.emulator.seed(&people.to_string()).map_err(|error| failed(&error))?;
        let folder =
            std::env::temp_dir().join(format!("planwright-test-{}", uuid::Uuid::new_v4().simple()));
        Ok(Self {
            planner,
            clock,
            zone: Mutex::new(TimeZone::UTC),
            workspace,
            runtime: runtime.clone(),
            interrupt,
            between: Arc::default(),
            meddled: AtomicUsize::new(0),
            coverage,
            folder,
        })
    }

    /// Runs one test; returns its output and its outcome.
    pub(crate) fn play(
        self: Arc<Self>,
        file: &TestFile,
        test: &str,
    ) -> (Vec<String>, Result<(), Failure>) {
        let host = match self.host(USER, None, Arc::new(Policies::none())) {
            Ok(host) => host,
            Err(error) => return (Vec::new(), Err(error.failure)),
        };
        let (file, test) = (file.clone(), test.to_owned());
        let stage = Arc::clone(&self);
        let playing = host.look(None, move |session| {
            session.set_clock(stage.clock.now(), TimeZone::UTC);
            let result = file.play(&test, session, &*stage);
            Ok((session.output(), result))
        });
        match self.runtime.block_on(playing) {
            Ok(played) => played,
            Err(failure) => (Vec::new(), Err(failure)),
        }
    }

    /// Returns the policies that judge a run.
    fn judge(&self, wanted: &RunRequest) -> Policies {
        let mut workspace = (*self.workspace).clone();
        if let Some(names) = &wanted.policies {
            workspace.config.policies.always.clone_from(names);
        }
        Policies::in_force(&workspace, wanted.agent.as_deref())
    }

    fn host(
        &self,
        user: &str,
        agent: Option<&str>,
        judge: Arc<dyn Judge>,
    ) -> Result<Host, AppError> {
        let limits = self.workspace.config.limits_of(agent);
        Ok(Host {
            client: self.planner.client(user, self.workspace.config.beta)?,
            service: "test".to_owned(),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            zone: self.zone.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            caps: limits.caps(),
            limits: self.workspace.config.planner,
            max_reads: limits.max_reads(),
            max_edits: limits.max_edits(),
            max_edit_bytes: limits.max_edit_bytes(),
            time_limit: Duration::from_secs(limits.seconds.unwrap_or(60)),
            judge,
            quarantine: Duration::from_secs(1),
            writes_per_second: None,
            watch: Watch::default(),
            state_folder: Some(StateFolder::new(self.folder.clone())),
            approver: Arc::new(Nobody),
            approval_time: Duration::from_hours(72),
            interrupt: Arc::clone(&self.interrupt),
        })
    }

    fn wanted(&self, wanted: &RunRequest) -> Result<Value, AppError> {
        let libraries = &self.workspace.libraries;
        let skill = match &wanted.what {
            Target::Text(text) => Skill::compile("-", "script", text, libraries)?,
            Target::Skill(name) => match self.workspace.skills.get(name) {
                Some(text) => {
                    let file = format!("skills/{name}.rhai");
                    Skill::compile(name, &file, text, self.workspace.libraries_of(&file))?
                }
                None => {
                    let message = format!("there is no skill `{name}`");
                    return Err(AppError::new("not_found", message));
                }
            },
        };
        let zone = self.zone.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let calendar = Calendar::at(self.clock.now(), zone);
        let params = skill.manifest.checked(&wanted.params, &calendar)?;
        let budget = self.workspace.config.limits_of(wanted.agent.as_deref()).budget();
        let program = skill.covered(params.clone(), budget, self.coverage.clone());
        let start = Start {
            purpose: Purpose::Run,
            skill: skill.name.clone(),
            skill_digest: Some(skill.digest().to_owned()),
            params: Value::Object(params),
            agent: agent_of(&self.workspace, wanted.agent.as_deref())?,
            force: wanted.force,
            dry_run: wanted.dry_run,
        };
        let judge = Meddled {
            policies: self.judge(wanted),
            emulator: self.planner.emulator.clone(),
            between: Arc::clone(&self.between),
        };
        let host = self.host(&wanted.user, wanted.agent.as_deref(), Arc::new(judge))?;
        let finished = self.runtime.block_on(host.run(start, program));
        if let Some(edit) = unpoisoned(&self.between.failed).pop() {
            let message = format!("{} could not make the edit {}", edit.user, edit.body);
            return Err(AppError::new("invalid", message));
        }
        Ok(serde_json::to_value(&finished.report).unwrap_or_default())
    }

    fn applied(&self, user: &str, set: ChangeSet) -> Result<(), AppError> {
        let host = self.host(user, None, Arc::new(Policies::none()))?;
        let start = Start {
            purpose: Purpose::Apply,
            skill: "test".to_owned(),
            skill_digest: None,
            params: Value::Null,
            agent: None,
            force: true,
            dry_run: false,
        };
        let finished = self.runtime.block_on(host.apply_drafted(start, set));
        let report = finished.report;
        if matches!(report.status, Status::Applied | Status::NoChanges) {
            return Ok(());
        }
        let reason = report.error.map(|failure| failure.message);
        let verdict = report.verdicts.first().map(|ruling| ruling.reason.clone());
        let message = reason.or(verdict).unwrap_or_else(|| "it was not applied".to_owned());
        Err(AppError::new("invalid", format!("the changes of the test itself failed: {message}")))
    }
}

impl Drop for EmulatorStage {
    fn drop(&mut self) {
        // The system cleans up whatever cannot be removed.
        let _left_behind = std::fs::remove_dir_all(&self.folder);
    }
}

impl Stage for EmulatorStage {
    fn seed(&self, tenant: &Value) -> Result<(), Failure> {
        self.planner.emulator.seed(&tenant.to_string()).map_err(|error| Failure {
            code: "invalid".into(),
            message: format!("the board cannot be set up: {error}"),
            ..Failure::default()
        })
    }

    fn demo(&self) -> Result<(), Failure> {
        let demo = demo();
        self.seed(&json!({ "groups": demo["groups"], "plans": demo["plans"] }))
    }

    fn set_clock(&self, now: Timestamp, zone: TimeZone) {
        *self.clock.0.lock().unwrap_or_else(PoisonError::into_inner) = now;
        *self.zone.lock().unwrap_or_else(PoisonError::into_inner) = zone;
    }

    fn run(&self, wanted: &RunRequest) -> Result<Value, Failure> {
        self.wanted(wanted).map_err(|error| error.failure)
    }

    fn apply(&self, user: &str, set: ChangeSet) -> Result<(), Failure> {
        self.applied(user, set).map_err(|error| error.failure)
    }

    fn meddle(
        &self,
        task: &TaskId,
        details: bool,
        body: Value,
        when: Meddling,
    ) -> Result<(), Failure> {
        let bytes = body.to_string().len();
        if self.meddled.fetch_add(bytes + MEDDLING_BYTES, Ordering::SeqCst) > MAX_MEDDLED {
            let message = "a test arranges more than 1 MiB of edits by others";
            return Err(Failure {
                code: "budget".into(),
                message: message.into(),
                ..Failure::default()
            });
        }
        let path = format!("/planner/tasks/{task}{}", if details { "/details" } else { "" });
        let edit = Edit { user: "mei@bos.example".to_owned(), path: Some(path), body };
        if when == Meddling::BeforeValidation {
            unpoisoned(&self.between.edits).push(edit);
            return Ok(());
        }
        let rule = FaultRule::new(Action::Edit(edit)).on("PATCH", task.as_str()).nth(1);
        // Setting rules resets their counts, so those that have fired are left out.
        let waiting = self.planner.emulator.faults().into_iter().filter(|fired| fired.fired == 0);
        let rules = waiting.map(|fired| fired.rule).chain([rule]).collect();
        self.planner.emulator.set_faults(rules).map_err(|error| Failure {
            code: "invalid".into(),
            message: error.to_string(),
            ..Failure::default()
        })
    }
}
