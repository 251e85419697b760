//! Files of tests: compiled like skills, each test run on a stage of its own.
//!
//! A test is a function without parameters whose name begins with `test_`. What it plays on (a
//! Planner with nothing on it, a clock that stands, people to act as) is a [`Stage`], which a face
//! of the program provides: nothing in here knows the emulator.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rhai::{CallFnOptions, Dynamic, EvalAltResult, Scope};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::change::ChangeSet;
use crate::host::{Failure, Session, View};
use crate::model::TaskId;
use crate::script::api::Run;
use crate::script::code::Code;
use crate::script::sandbox::budget::{Budget, CALL_LIMIT, Meter};
use crate::script::sandbox::compiled::Compiled;
use crate::script::sandbox::diagnose::explain;
use crate::script::sandbox::engine::{Kind, for_running};
use crate::script::worker::give_back;

/// What a test begins with in the name of its function.
pub const PREFIX: &str = "test_";

/// What is to be run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// A skill of the workspace.
    Skill(String),
    /// The text of a script.
    Text(String),
}

/// A run that a test asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Wanted {
    /// What is run.
    pub what: What,
    /// Its parameters.
    pub params: Map<String, Value>,
    /// The agent that acts, if one does.
    pub agent: Option<String>,
    /// Who is signed in, by sign-in name.
    pub user: String,
    /// The policies that judge it, in place of those for every run in the workspace.
    pub policies: Option<Vec<String>>,
    /// Whether deletions are granted.
    pub force: bool,
    /// Whether the last step is left out.
    pub dry_run: bool,
}

/// Where a test plays.
pub trait Stage: Send + Sync + fmt::Debug {
    /// Adds what a seed of the emulator describes.
    ///
    /// # Errors
    /// It describes something that can not be.
    fn seed(&self, tenant: &Value) -> Result<(), Failure>;

    /// Adds the demo tenant.
    ///
    /// # Errors
    /// It is there already.
    fn demo(&self) -> Result<(), Failure>;

    /// Sets the clock and the time zone of everything.
    fn set_clock(&self, now: Timestamp, zone: TimeZone);

    /// Runs something with its policies in force; returns the report.
    ///
    /// # Errors
    /// It could not even be begun.
    fn run(&self, wanted: &Wanted) -> Result<Value, Failure>;

    /// Applies what the test itself wants, in the name of `user`, past the policies.
    ///
    /// # Errors
    /// It was not applied.
    fn apply(&self, user: &str, set: ChangeSet) -> Result<(), Failure>;

    /// Has somebody else change a task during the next run; `body` is that of a PATCH of the task or
    /// its details.
    ///
    /// # Errors
    /// It cannot be arranged.
    fn meddle(
        &self,
        task: &TaskId,
        details: bool,
        body: Value,
        when: Meddling,
    ) -> Result<(), Failure>;
}

/// The moment of somebody else's edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Meddling {
    /// After the run was drafted and judged, before it validates.
    BeforeValidation,
    /// After validation, right before the write.
    AtWrite,
}

/// What a running test knows beside the board.
#[derive(Debug)]
pub(crate) struct Play {
    pub(crate) stage: Arc<dyn Stage>,
    state: Mutex<Scene>,
}

/// Who acts, and what came of the last run.
#[derive(Debug, Clone)]
pub(crate) struct Scene {
    pub(crate) user: String,
    pub(crate) agent: Option<String>,
    pub(crate) policies: Option<Vec<String>>,
    pub(crate) last: Option<Value>,
}

impl Play {
    pub(crate) fn scene(&self) -> MutexGuard<'_, Scene> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who is signed in unless a test says otherwise.
pub const USER: &str = "rook@bos.example";

/// A file of tests.
#[derive(Debug, Clone)]
pub struct TestFile {
    /// Its name without folder and ending.
    pub name: String,
    code: Code,
    /// The names of its tests, in their order.
    pub tests: Vec<String>,
}

impl TestFile {
    /// Compiles a file of tests.
    ///
    /// # Errors
    /// It does not compile, has no test, or one that takes parameters.
    pub fn compile(
        name: &str,
        text: &str,
        libraries: &Arc<BTreeMap<String, String>>,
    ) -> Result<Self, Failure> {
        let file = format!("tests/{name}.rhai");
        let code = Code::compile(Kind::Test, &file, text, libraries)?;
        let mut tests = Vec::new();
        for function in code.functions().iter().filter(|it| it.name.starts_with(PREFIX)) {
            if function.n_params > 0 {
                return Err(Failure {
                    code: "script".into(),
                    message: format!("{file}: the test `{}` takes parameters", function.name),
                    hint: Some("a test takes none; a helper is named otherwise".into()),
                    ..Failure::default()
                });
            }
            tests.push(function.name.clone());
        }
        if tests.is_empty() {
            return Err(Failure {
                code: "script".into(),
                message: format!("{file} has no test"),
                hint: Some("a test is a function such as `fn test_nothing_is_late() { … }`".into()),
                ..Failure::default()
            });
        }
        let at = |name: &String| text.find(&format!("fn {name}")).unwrap_or(usize::MAX);
        tests.sort_by_key(at);
        Ok(Self { name: name.to_owned(), code, tests })
    }

    /// Plays one test.
    ///
    /// # Errors
    /// What failed, and where.
    pub fn play(&self, test: &str, session: &Session, stage: &dyn Stage) -> Result<(), Failure> {
        let (mut worker, at) = self.code.worker()?;
        let outcome = worker.play(at, test, session, stage, BUDGET);
        give_back(worker);
        outcome
    }
}

/// What a test may use up; what it runs on its stage has budgets of its own.
const BUDGET: Budget = Budget {
    operations: 50_000_000,
    memory: 64 << 20,
    output: 256 << 10,
    computing: Duration::from_secs(120),
    calls: CALL_LIMIT,
    expression_depth: usize::MAX,
};

/// Plays a test of a compiled file, in the process of a worker.
pub(crate) fn play(
    file: &Compiled,
    test: &str,
    session: &Session,
    stage: Arc<dyn Stage>,
) -> Result<(), Failure> {
    let session = session.seen(View::Drafting);
    let meter = Meter::new(BUDGET, &session);
    let scene = Scene { user: USER.to_owned(), agent: None, policies: None, last: None };
    let play = Arc::new(Play { stage, state: Mutex::new(scene) });
    let tag = Run { session: session.clone(), verdicts: None, play: Some(play) };
    let engine = for_running(Kind::Test, &session, &meter, Dynamic::from(tag));
    meter.start();
    let mut scope = Scope::new();
    let options = CallFnOptions::new().eval_ast(true).rewind_scope(true);
    let ast = &file.ast;
    let result =
        engine.call_fn_with_options::<Dynamic>(options, &mut scope, ast, test, ()).map(drop);
    let stop = session.stop().reason();
    let stopped = || EvalAltResult::ErrorTerminated(Dynamic::UNIT, rhai::Position::NONE);
    let (file, sources) = (&file.file, &file.sources);
    match (result, &stop) {
        (Ok(()), None) => Ok(()),
        (Ok(()), Some(_)) => Err(explain(&stopped(), stop.as_ref(), file, sources)),
        (Err(error), _) => {
            let mut failure = explain(&error, stop.as_ref(), file, sources);
            // The frames of the test itself tell nothing that its name does not.
            failure.trace.retain(|it| !it.starts_with(&format!("{test} ")));
            Err(failure)
        }
    }
}
