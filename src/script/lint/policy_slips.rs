//! Slips by which a policy would judge nothing: hooks that nobody calls, comparisons that never
//! hold.

use std::collections::BTreeMap;

use rhai::AST;

use crate::host::Failure;
use crate::script::finding::{Role, Severity};
use crate::script::lint::tree::Script;
use crate::script::lint::walk::Walk;
use crate::script::sandbox::compiled::Compiled;
use crate::script::sandbox::habits::did_you_mean;
use crate::script::syntax::location::{Sources, locate};

/// Refuses a policy that would judge nothing, as far as that can be told without running it.
///
/// # Errors
/// A hook is misspelt or missing, or a comparison never holds.
pub(crate) fn refuse_slips(policy: Compiled) -> Result<Compiled, Failure> {
    let (ast, file, sources) = (&policy.ast, &policy.file, &policy.sources);
    let wrong = wrong_hooks(ast, file, sources).or_else(|| first_slip(ast, file, sources));
    wrong.map_or(Ok(policy), Err)
}

/// Finds the first slip by which a policy would judge nothing: comparisons that never hold or
/// cannot be made.
pub(crate) fn first_slip(ast: &AST, file: &str, sources: &Sources) -> Option<Failure> {
    let script = Script::from_ast(ast);
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
        at: locate(file, at, sources),
        ..Failure::default()
    })
}

/// Returns what is wrong with the functions that judge, if something is.
pub(crate) fn wrong_hooks(ast: &AST, file: &str, sources: &Sources) -> Option<Failure> {
    let functions = || ast.iter_functions().filter(|function| !function.name.starts_with("anon$"));
    let refuse = |function: Option<(&str, usize)>, message: String, hint: Option<String>| {
        let body = function.and_then(|(name, n)| {
            ast.shared_lib().get_script_fn(name, n).map(|function| function.body.start_position())
        });
        let at = body.and_then(|at| locate(file, at, sources));
        Some(Failure { code: "policy".into(), message, hint, at, ..Failure::default() })
    };
    if let Some(hook) =
        functions().find(|hook| HOOKS.contains(&hook.name) && hook.params.len() != 2)
    {
        let message =
            format!("{file}: `{}` must take two parameters, the second of them `run`", hook.name);
        return refuse(Some((hook.name, hook.params.len())), message, None);
    }
    // A hook whose name is misspelt would judge nothing, and nobody would know.
    if let Some(other) =
        functions().find(|other| !HOOKS.contains(&other.name) && other.access.is_public())
    {
        let name = other.name;
        let near = did_you_mean(name, HOOKS);
        let private = format!("if it is a helper, write `private fn {name}`");
        let hint = near.map_or_else(|| private.clone(), |near| format!("{near} {private}"));
        let message = format!(
            "{file}: nothing calls `{name}`: the functions of a policy are `review(changes, run)` and `review_change(change, run)`"
        );
        return refuse(Some((name, other.params.len())), message, Some(hint));
    }
    if !HOOKS.iter().any(|name| has(ast, name, 2)) {
        let message =
            format!("{file} has neither `review(changes, run)` nor `review_change(change, run)`");
        return refuse(None, message, None);
    }
    None
}

/// Returns whether a script has a function of that name and number of parameters.
pub(crate) fn has(ast: &AST, name: &str, n_params: usize) -> bool {
    ast.iter_functions().any(|function| function.name == name && function.params.len() == n_params)
}

/// The functions of a policy that the host calls.
pub(crate) const HOOKS: [&str; 2] = ["review", "review_change"];
