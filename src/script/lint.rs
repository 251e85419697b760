//! What can be told of a script without running it: `planwright skill check`.
//!
//! The script is compiled with all it imports. Then its syntax tree is walked with what is known
//! of the types: `plan("…").tasks` is an array of tasks, so in `.filter(|t| t.dew)` there is no such
//! property. What is not known is let through: a check that cries wolf is switched off.

mod call;
mod compare;
mod kind;
mod walk;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use rhai::{AST, Position, Scope, Stmt};
use serde::{Deserialize, Serialize};

use crate::host::Failure;
use crate::host::report::Place;
use crate::script::catalog::catalog;
use crate::script::code::Source;
use crate::script::policy::wrong_hooks;
use crate::script::sandbox::compiled::Compiled;
use crate::script::sandbox::diagnose::locate;
use crate::script::sandbox::engine::{self, for_compiling};
use crate::script::worker::{give_back, take};
use crate::script::workspace::manifest::Manifest;

pub(crate) use kind::Kind;
use walk::Walk;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It would fail when it runs.
    Error,
    /// It is not what one would write on purpose.
    Warning,
}

/// Something about a script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// What it is.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// Where.
    pub at: Option<Place>,
}

/// What a script is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// It is run.
    Skill,
    /// It judges.
    Policy,
    /// It is imported by others.
    Library,
    /// It tests.
    Test,
}

impl Role {
    const fn kind(self) -> engine::Kind {
        match self {
            Self::Skill | Self::Library => engine::Kind::Skill,
            Self::Policy => engine::Kind::Policy,
            Self::Test => engine::Kind::Test,
        }
    }
}

/// A function of a script, a closure too.
#[derive(Debug)]
struct Function {
    name: String,
    params: Vec<String>,
    start: Position,
    end: Position,
    body: Vec<Stmt>,
}

/// The parts of a script that are walked.
#[derive(Debug)]
pub(crate) struct Script {
    main: Vec<Stmt>,
    functions: Vec<Function>,
}

fn failed(failure: Failure) -> Vec<Finding> {
    let Failure { message, hint, at, .. } = failure;
    vec![Finding { severity: Severity::Error, message, hint, at }]
}

/// Checks a script, in a process for scripts of its kind; `file` is its name in messages.
#[must_use]
pub fn check(
    role: Role,
    file: &str,
    text: &str,
    libraries: &BTreeMap<String, String>,
) -> Vec<Finding> {
    let (kind, file, text) = (role.kind(), file.to_owned(), text.to_owned());
    let source = Arc::new(Source { kind, file, text, libraries: libraries.clone() });
    let checked = take(&source).and_then(|mut worker| {
        let findings = worker.check(role, &source);
        give_back(worker);
        findings
    });
    checked.unwrap_or_else(failed)
}

/// Checks a script in this process, which is that of a worker.
pub(crate) fn check_here(
    role: Role,
    file: &str,
    text: &str,
    libraries: &Arc<BTreeMap<String, String>>,
) -> Vec<Finding> {
    let mut scope = Scope::new();
    let mut manifest = None;
    if role == Role::Skill {
        match Manifest::parse(text) {
            Ok(it) => manifest = Some(it),
            Err(failure) => return failed(failure),
        }
        scope.push_constant("params", rhai::Map::new());
    }
    let compiled = match Compiled::new(role.kind(), file, text, libraries, &scope) {
        Ok(compiled) => compiled,
        Err(failure) => return failed(failure),
    };
    if role == Role::Policy
        && let Some(failure) = wrong_hooks(&compiled)
    {
        return failed(failure);
    }
    let script = Script::of(&compiled.ast);
    let declared = manifest.as_ref().map(|it| declared(it, text)).unwrap_or_default();
    let has_params = manifest.is_some_and(|it| it.params.is_some());
    let declared = has_params.then_some(declared);
    let mut walk = Walk::new(&script, role, declared.as_ref(), exports(libraries, role));
    walk.whole();
    let mut findings: Vec<Finding> = walk
        .found
        .into_iter()
        .map(|(at, severity, message, hint)| {
            let at = locate(file, at, &compiled.sources);
            Finding { severity, message, hint, at }
        })
        .collect();
    findings.sort_by_key(|it| it.at.as_ref().map(|at| (at.line, at.column)));
    findings.dedup();
    findings
}

/// Finds what would let a policy judge nothing: comparisons that never hold or cannot be made.
pub(crate) fn first_slip(policy: &Compiled) -> Option<Failure> {
    let script = Script::of(&policy.ast);
    let mut walk = Walk::new(&script, Role::Policy, None, BTreeMap::new());
    walk.whole();
    let first = *walk.slips.iter().min()?;
    let found = walk
        .found
        .into_iter()
        .find(|finding| finding.0 == first && finding.1 == Severity::Error)?;
    let (at, _, message, hint) = found;
    Some(Failure {
        code: "policy".into(),
        message,
        hint,
        at: locate(&policy.file, at, &policy.sources),
        ..Failure::default()
    })
}

/// Tells what an expression comes to, from what is known of its variables.
pub(crate) fn kind_of(expression: &str, variables: &BTreeMap<String, Kind>) -> Kind {
    // It is asked at every key.
    static ENGINE: OnceLock<rhai::Engine> = OnceLock::new();
    let engine = ENGINE.get_or_init(|| {
        let mut engine = for_compiling(engine::Kind::Skill);
        engine.set_strict_variables(false);
        engine
    });
    let Ok(ast) = engine.compile(expression) else { return Kind::Any };
    let script = Script::of(&ast);
    let mut walk = Walk::new(&script, Role::Skill, None, BTreeMap::new());
    for (name, kind) in variables {
        walk.declare(name, kind.clone(), Position::NONE, false);
    }
    walk.block(&script.main)
}

/// The parameters with where they are declared.
fn declared(manifest: &Manifest, text: &str) -> BTreeMap<String, Position> {
    let names = manifest.params.iter().flatten().map(|(name, _)| name);
    let line_of = |name: &String| {
        let declares = |line: &str| {
            let rest = line.trim_start().strip_prefix("//!").map(str::trim_start);
            let rest = rest.and_then(|it| it.trim_start_matches('"').strip_prefix(name.as_str()));
            rest.is_some_and(|it| it.trim_start_matches('"').trim_start().starts_with('='))
        };
        let at = text.lines().position(declares).and_then(|at| u16::try_from(at + 1).ok());
        at.map_or(Position::NONE, |line| Position::new(line, 1))
    };
    names.map(|name| (name.clone(), line_of(name))).collect()
}

/// What each library offers: names with their numbers of parameters.
fn exports(
    libraries: &BTreeMap<String, String>,
    role: Role,
) -> BTreeMap<String, Vec<(String, usize)>> {
    let mut engine = for_compiling(role.kind());
    // What is wrong with a library is said where it is compiled.
    engine.set_strict_variables(false);
    let of = |text: &String| {
        let ast = engine.compile(text).unwrap_or_default();
        let functions: Vec<_> = ast
            .iter_functions()
            .filter(|it| it.access.is_public())
            .map(|it| (it.name.to_owned(), it.params.len()))
            .collect();
        functions
    };
    libraries.iter().map(|(path, text)| (path.clone(), of(text))).collect()
}

impl Script {
    pub(crate) fn of(ast: &AST) -> Self {
        let library = ast.shared_lib();
        let mut functions: Vec<Function> = ast
            .iter_functions()
            .filter_map(|it| library.get_script_fn(it.name, it.params.len()))
            .map(|it| Function {
                name: it.name.to_string(),
                params: it.params.iter().map(ToString::to_string).collect(),
                start: it.body.start_position(),
                end: it.body.end_position(),
                body: Vec::new(),
            })
            .collect();
        // The engine shows the statements of functions, but not whose they are: that is told by
        // where they stand.
        let mut main = Vec::new();
        ast.walk(&mut |path: &[rhai::ASTNode<'_>]| {
            if let [rhai::ASTNode::Stmt(statement)] = path {
                let at = statement.position();
                // A closure without braces has no end.
                let holds = |it: &&mut Function| it.start == at || (it.start < at && at <= it.end);
                match functions.iter_mut().filter(holds).max_by_key(|it| it.start) {
                    Some(function) => function.body.push((*statement).clone()),
                    None => main.push((*statement).clone()),
                }
            }
            true
        });
        Self { main, functions }
    }

    fn named(&self, name: &str) -> impl Iterator<Item = &Function> {
        self.functions.iter().filter(move |it| it.name == name)
    }
}

/// Tells whether the host or the language has a function of a name.
fn is_known_function(name: &str) -> bool {
    catalog().is_of_language(name) || catalog().members().iter().any(|it| it.name == name)
}
