//! The checks of a script that need no run: `planwright skill check`.
//!
//! The script is compiled with all it imports. Then its syntax tree is walked with what is known of
//! the types: `plan("…").tasks` is an array of tasks, so in `.filter(|t| t.dew)` there is no such
//! property. What is not known is let through: a check that cries wolf is switched off.

mod call;
mod compare;
mod fields;
pub(crate) mod kind;
pub(crate) mod policy_slips;
mod tree;
mod walk;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use rhai::{Position, Scope};
use walk::Walk;

use crate::host::Failure;
use crate::script::finding::{Finding, Role, Severity};
use crate::script::lint::kind::ValueKind;
use crate::script::lint::policy_slips::wrong_hooks;
use crate::script::lint::tree::Script;
use crate::script::sandbox::compiled::Compiled;
use crate::script::sandbox::engine::for_compiling;
use crate::script::sandbox::habits::{escapes_in_backticks, values_in_quotes};
use crate::script::source::Source;
use crate::script::syntax::location::locate;
use crate::script::syntax::sugar::plain_text;
use crate::script::worker::pool::{give_back, take};
use crate::script::workspace::manifest::{Manifest, stray_table};

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
    // It ends a comment, and in a text that is shown nobody sees a line begin there.
    if let Some(line) = stray_return(text) {
        let at = u16::try_from(line).map_or(Position::NONE, |line| Position::new(line, 1));
        return vec![Finding {
            severity: Severity::Error,
            message: "a carriage return stands in the middle of this line".to_owned(),
            hint: Some("lines end with `\\n` or `\\r\\n`: save the file again".to_owned()),
            at: locate(file, at, &BTreeMap::new()),
        }];
    }
    let mut scope = Scope::new();
    let mut manifest = None;
    if role == Role::Skill {
        match Manifest::parse(text) {
            Ok(parsed) => manifest = Some(parsed),
            Err(failure) => return failed(failure),
        }
        scope.push_constant("params", rhai::Map::new());
    }
    let compiled = match Compiled::new(role.kind(), file, text, libraries, &scope) {
        Ok(compiled) => compiled,
        Err(failure) => return failed(failure),
    };
    if role == Role::Policy
        && let Some(failure) = wrong_hooks(&compiled.ast, &compiled.file, &compiled.sources)
    {
        return failed(failure);
    }
    let script = Script::from_ast(&compiled.ast);
    let declared = manifest.as_ref().map(|manifest| declared(manifest, text)).unwrap_or_default();
    let has_params = manifest.is_some_and(|manifest| manifest.params.is_some());
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
    let mut remark = |line: usize, message: &str, hint: &str| {
        let at = u16::try_from(line).map_or(Position::NONE, |line| Position::new(line, 1));
        findings.push(Finding {
            severity: Severity::Warning,
            message: message.to_owned(),
            hint: Some(hint.to_owned()),
            at: locate(file, at, &compiled.sources),
        });
    };
    for line in escapes_in_backticks(text) {
        let hint = "break the line there, or write `\"\\n\"` and add it";
        remark(line, "in backticks `\\n` is a backslash and an n", hint);
    }
    if let Some((line, table)) = stray_table(text).filter(|_| role == Role::Skill) {
        let message = format!("`{table}` stands outside the ```toml block, where nobody reads it");
        let hint = "put `//! ```toml` on the line before it, and `//! ```` after the last of it";
        remark(line, &message, hint);
    }
    for line in values_in_quotes(text) {
        let hint = "a text with values in it is written in backticks: `Due ${task.due}`";
        remark(line, "in quotes `${…}` stands for itself", hint);
    }
    findings.sort_by_key(|finding| finding.at.as_ref().map(|at| (at.line, at.column)));
    findings.dedup();
    findings
}

/// Returns the first line, from 1, in which a carriage return stands that does not end it.
fn stray_return(text: &str) -> Option<usize> {
    text.split('\n')
        .position(|line| line.strip_suffix('\r').unwrap_or(line).contains('\r'))
        .map(|n| n + 1)
}

/// Returns the type of an expression, from what is known of its variables.
pub(crate) fn kind_of(expression: &str, variables: &BTreeMap<String, ValueKind>) -> ValueKind {
    // Built once: completion asks at every key press.
    static ENGINE: OnceLock<rhai::Engine> = OnceLock::new();
    let engine = ENGINE.get_or_init(|| {
        let mut engine = for_compiling(crate::script::source::ScriptKind::Skill);
        engine.set_strict_variables(false);
        engine
    });
    let Ok(ast) = engine.compile(expression) else { return ValueKind::Any };
    let script = Script::from_ast(&ast);
    let mut walk = Walk::new(&script, Role::Skill, None, BTreeMap::new());
    for (name, kind) in variables {
        walk.declare(name, kind.clone(), Position::NONE, false);
    }
    walk.block(&script.main)
}

/// Returns the parameters with the places where they are declared.
fn declared(manifest: &Manifest, text: &str) -> BTreeMap<String, Position> {
    let names = manifest.params.iter().flatten().map(|(name, _)| name);
    let line_of = |name: &String| {
        let declares = |line: &str| {
            let rest = line.trim_start().strip_prefix("//!").map(str::trim_start);
            let rest =
                rest.and_then(|rest| rest.trim_start_matches('"').strip_prefix(name.as_str()));
            rest.is_some_and(|rest| rest.trim_start_matches('"').trim_start().starts_with('='))
        };
        let at = text.lines().position(declares).and_then(|at| u16::try_from(at + 1).ok());
        at.map_or(Position::NONE, |line| Position::new(line, 1))
    };
    names.map(|name| (name.clone(), line_of(name))).collect()
}

/// Returns the functions of each library: names with their numbers of parameters.
fn exports(
    libraries: &BTreeMap<String, String>,
    role: Role,
) -> BTreeMap<String, Vec<(String, usize)>> {
    let mut engine = for_compiling(role.kind());
    // Faults of a library are reported where it is compiled.
    engine.set_strict_variables(false);
    let of = |text: &String| {
        let ast = engine.compile(plain_text(text)).unwrap_or_default();
        let functions: Vec<_> = ast
            .iter_functions()
            .filter(|function| function.access.is_public())
            .map(|function| (function.name.to_owned(), function.params.len()))
            .collect();
        functions
    };
    libraries.iter().map(|(path, text)| (path.clone(), of(text))).collect()
}
