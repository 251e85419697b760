//! The check of a proposed skill: it compiles, calls what there is, and its tests pass on a stage of
//! their own. It runs nothing on a board.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::app::error::AppError;
use crate::app::test_stage::EmulatorStage;
use crate::host::{Failure, Stop, StopReason};
use crate::script::finding::{Finding, Role, Severity};
use crate::script::source::MAX_SOURCE;
use crate::script::testing::TestFile;
use crate::script::{Skill, Workspace, lint};

/// The most tests of a proposal.
const MAX_TESTS: usize = 40;
/// The longest time that they may take, all together.
const MAX_TIME: Duration = Duration::from_secs(60);
/// The most characters of a name: with `skill_` before it, it is the name of a tool.
const MAX_NAME: usize = 48;

/// A skill with its tests, as an agent writes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proposed {
    /// The name of the skill.
    pub(crate) name: String,
    /// Its text.
    pub(crate) source: String,
    /// The text of its tests.
    pub(crate) tests: Option<String>,
}

/// Checks that a skill of a name may be proposed.
///
/// # Errors
/// The name is no plain one, or it belongs to a policy or to a skill that is shipped.
pub(crate) fn check_name(workspace: &Workspace, name: &str) -> Result<(), AppError> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let is_name = name.len() <= MAX_NAME
        && name.bytes().all(is_plain)
        && name.bytes().next().is_some_and(|first| first.is_ascii_lowercase());
    if !is_name {
        let message = format!(
            "the name of a skill has small letters, digits and `_`, at most {MAX_NAME}, and begins with a letter"
        );
        return Err(AppError::new("parameter", message));
    }
    let shipped = Workspace::shipped();
    let policies: BTreeSet<&String> =
        workspace.policies.keys().chain(shipped.policies.keys()).collect();
    let what = if policies.iter().any(|policy| *policy == name) {
        "a policy"
    } else if shipped.skills.contains_key(name) {
        "a skill that is shipped"
    } else {
        return Ok(());
    };
    let message = format!("`{name}` is the name of {what}: nothing may take its place");
    Err(AppError::new("denied", message).hint("give the skill another name"))
}

impl Proposed {
    /// Checks it in a workspace, and runs its tests; returns remarks for the person who decides. The tests
    /// of an agent find in the configuration what is the agent's own.
    ///
    /// # Errors
    /// It is too large, does not compile, calls what there is not, or one of its tests fails.
    pub(crate) fn check(
        &self,
        (workspace, agent): (&Workspace, &str),
        runtime: &Handle,
        interrupt: &Arc<Stop>,
    ) -> Result<Vec<String>, AppError> {
        check_name(workspace, &self.name)?;
        for (what, text) in [("skill", Some(&self.source)), ("file of tests", self.tests.as_ref())]
        {
            if text.is_some_and(|text| text.len() > MAX_SOURCE) {
                let message = format!("the {what} is larger than {} KiB", MAX_SOURCE >> 10);
                return Err(AppError::new("too_large", message));
            }
        }
        let (name, libraries) = (&self.name, &workspace.libraries);
        let file = format!("skills/{name}.rhai");
        let skill = Skill::compile(name, &file, &self.source, libraries)?;
        let mut remarks = Vec::new();
        if skill.manifest.description.trim().is_empty() {
            remarks.push("it does not say what it does".to_owned());
        }
        if skill.manifest.schedule.is_some() {
            let whose = "as `schedule`, not as the agent that proposes it";
            remarks.push(format!("it has times of its own: `serve` would run it {whose}"));
        }
        remarks.extend(without_errors(lint::check(Role::Skill, &file, &self.source, libraries))?);
        let Some(tests) = &self.tests else {
            remarks.push("it has no tests: nothing shows that it does what it says".to_owned());
            return Ok(remarks);
        };
        let file = format!("tests/{name}.rhai");
        remarks.extend(without_errors(lint::check(Role::Test, &file, tests, libraries))?);
        let compiled = TestFile::compile(name, tests, libraries)?;
        let n_tests = compiled.tests.len();
        if n_tests > MAX_TESTS {
            let message = format!("there are more than {MAX_TESTS} tests");
            return Err(AppError::new("too_large", message));
        }
        if !tests.contains(name.as_str()) {
            remarks.push(format!("its tests do not mention `{name}`"));
        }
        let mut with_it = workspace.clone();
        let config = &mut with_it.config;
        config.agents.retain(|name, _| name == agent);
        if let Some(plans) = config.agents.get(agent).and_then(|own| own.plans.clone()) {
            config.plans.retain(|plan, _| plans.contains(plan));
        }
        (config.schedules, config.triggers) = Default::default();
        with_it.skills.insert(name.clone(), self.source.clone());
        with_it.tests.insert(name.clone(), tests.clone());
        play(&compiled, with_it, runtime, interrupt)?;
        remarks.push(match n_tests {
            1 => "its test passes".to_owned(),
            n => format!("its {n} tests pass"),
        });
        Ok(remarks)
    }
}

/// Returns findings as remarks.
///
/// # Errors
/// One of them is an error.
fn without_errors(findings: Vec<Finding>) -> Result<Vec<String>, AppError> {
    let mut remarks = Vec::new();
    for Finding { severity, message, hint, at } in findings {
        if severity == Severity::Error {
            let code = "script".to_owned();
            return Err(Failure { code, message, hint, at, ..Failure::default() }.into());
        }
        let at = at.map(|at| format!(" ({}:{})", at.file, at.line)).unwrap_or_default();
        remarks.push(format!("{message}{at}"));
    }
    Ok(remarks)
}

/// Runs every test, each on a stage of its own.
fn play(
    file: &TestFile,
    workspace: Workspace,
    runtime: &Handle,
    interrupt: &Arc<Stop>,
) -> Result<(), AppError> {
    let workspace = Arc::new(workspace);
    let stop = Arc::new(Stop::default());
    let watch = runtime.spawn({
        let (stop, interrupt) = (Arc::clone(&stop), Arc::clone(interrupt));
        async move {
            tokio::select! {
                () = interrupt.wait() => {}
                () = tokio::time::sleep(MAX_TIME) => {}
            }
            stop.set(StopReason::Cancelled);
        }
    });
    let mut failures = Vec::new();
    for test in &file.tests {
        if stop.is_set() {
            break;
        }
        let stage = EmulatorStage::new(Arc::clone(&workspace), runtime, Arc::clone(&stop), None)?;
        if let (_, Err(failure)) = Arc::new(stage).play(file, test) {
            failures.push((test, failure));
        }
    }
    let is_cut_off = stop.is_set();
    watch.abort();
    if interrupt.is_set() {
        return Err(AppError::new("stopped", "stopped before the tests were over"));
    }
    if is_cut_off {
        let message = format!("the tests take longer than {} s", MAX_TIME.as_secs());
        return Err(AppError::new("budget", message));
    }
    let n_failed = failures.len();
    let Some((test, failure)) = failures.into_iter().next() else { return Ok(()) };
    let message = format!("{n_failed} of {} tests failed", file.tests.len());
    let first = format!("{test}: {}", failure.message);
    let failed = Failure {
        code: "tests_failed".into(),
        message,
        causes: vec![first],
        at: failure.at,
        hint: failure.hint,
        ..Failure::default()
    };
    Err(failed.into())
}
