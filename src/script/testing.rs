//! Files of tests: compiled like skills, each test run on a stage of its own.
//!
//! A test is a function without parameters whose name begins with `test_`. It plays on a [`Stage`]
//! (an empty Planner, a frozen clock, people to act as), which a face of the program provides:
//! nothing in here knows the emulator.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rhai::{CallFnOptions, Dynamic, EvalAltResult, Scope};

use crate::host::{Failure, Session, View};
use crate::script::api::value::Run;
use crate::script::budget::{Budget, CALL_LIMIT, Meter};
use crate::script::code::Code;
use crate::script::sandbox::compiled::Compiled;
use crate::script::sandbox::diagnose::explain;
use crate::script::sandbox::engine::for_running;
use crate::script::source::ScriptKind;
use crate::script::stage::{Stage, TestContext, TestState};
use crate::script::worker::pool::give_back;

/// The prefix of the name of a test.
pub const PREFIX: &str = "test_";

/// The person signed in unless a test says otherwise.
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
        let code = Code::compile(ScriptKind::Test, &file, text, libraries)?;
        let mut tests = Vec::new();
        for function in code.functions().iter().filter(|function| function.name.starts_with(PREFIX))
        {
            if function.n_params > 0 {
                return Err(Failure {
                    code: "script".into(),
                    message: format!("{file}: the test `{}` takes parameters", function.name),
                    hint: Some(
                        "a test takes none; give a helper a name that does not begin with `test_`"
                            .into(),
                    ),
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
    /// The test failed; the failure says where.
    pub fn play(&self, test: &str, session: &Session, stage: &dyn Stage) -> Result<(), Failure> {
        let (mut worker, at) = self.code.worker()?;
        let outcome = worker.play(at, test, session, stage, BUDGET);
        give_back(worker);
        outcome
    }
}

/// The budget of a test; what it runs on its stage has budgets of its own.
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
    let scene = TestState { user: USER.to_owned(), agent: None, policies: None, last: None };
    let play = Arc::new(TestContext { stage, state: Mutex::new(scene) });
    let tag =
        Run { session: session.clone(), verdicts: None, play: Some(play), asking: Arc::default() };
    let engine = for_running(ScriptKind::Test, &session, &meter, Dynamic::from(tag));
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
            failure.trace.retain(|frame| !frame.starts_with(&format!("{test} ")));
            Err(failure)
        }
    }
}
