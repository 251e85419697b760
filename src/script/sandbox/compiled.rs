//! A compiled script, in the process that runs it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use rhai::{AST, Dynamic, EvalAltResult, Position, Scope};
use serde_json::Value;

use crate::host::{Failure, Session};
use crate::script::api::convert::to_json;
use crate::script::api::value::Run;
use crate::script::api::value::from_json;
use crate::script::budget::{Budget, Meter};
use crate::script::sandbox::coverage::Coverage;
use crate::script::sandbox::diagnose::explain;
use crate::script::sandbox::engine::{for_compiling, for_running, with_own_constants};
use crate::script::sandbox::imports::{Library, UNCLOSED, file_of, place};
use crate::script::sandbox::in_place::{
    InPlace, closures_that_ask, in_place_call, nesting, read_params,
};
use crate::script::source::{Function, Outline, Source};
use crate::script::source::{MAX_SOURCE, ScriptKind};
use crate::script::syntax::location::{Sources, locate};
use crate::script::syntax::sugar::plain_text;
use crate::script::syntax::tokens::unclosed_comment;

/// A script that was compiled with everything it imports.
#[derive(Debug, Clone)]
pub(crate) struct Compiled {
    pub(crate) ast: Arc<AST>,
    /// The libraries that it imports, directly or not.
    pub(crate) imports: BTreeSet<String>,
    /// The depth to which statements and expressions nest in all of it.
    nesting: usize,
    /// The parameters that it reads.
    params: Vec<(String, Position)>,
    /// Its closures that only ask for a property.
    asking: Arc<BTreeMap<String, String>>,
    /// Its file, for messages.
    pub(crate) file: String,
    pub(crate) sources: Arc<Sources>,
}

impl Compiled {
    /// Compiles a script. Runs no line of it but the top level of its imports, which can reach
    /// nothing yet.
    pub(crate) fn from_source(source: &Source) -> Result<Self, Failure> {
        let Source { kind, file, text, libraries } = source;
        let mut constants = Scope::new();
        if *kind == ScriptKind::Skill {
            constants.push_constant("params", rhai::Map::new());
        }
        Self::new(*kind, file, text, &Arc::new(libraries.clone()), &constants)
    }

    /// Compiles a script in which these constants are known; on a thread with a large stack, which
    /// deep source needs.
    pub(crate) fn new(
        kind: ScriptKind,
        file: &str,
        text: &str,
        libraries: &Arc<BTreeMap<String, String>>,
        constants: &Scope<'static>,
    ) -> Result<Self, Failure> {
        let mut sources: Sources =
            libraries.iter().map(|(path, text)| (file_of(path), text.clone())).collect();
        sources.insert(file.to_owned(), text.to_owned());
        // The time to compile grows faster than the text, and nothing interrupts it.
        if text.len() > MAX_SOURCE {
            return Err(Failure {
                code: "budget".into(),
                message: format!("{file} is larger than {MAX_SOURCE} bytes"),
                ..Failure::default()
            });
        }
        if let Some((line, column)) = unclosed_comment(text) {
            return Err(Failure {
                code: "syntax".into(),
                message: UNCLOSED.into(),
                at: locate(file, place(line, column), &sources),
                ..Failure::default()
            });
        }
        let library = Library::new(Arc::clone(libraries));
        let used = library.used();
        let mut engine = for_compiling(kind);
        engine.set_module_resolver(library);
        let text = &plain_text(text);
        let constants = with_own_constants(text, constants)
            .map_err(|error| explain(&error.into(), None, file, &sources))?;
        let compiled = engine.compile_into_self_contained(&constants, text);
        let mut ast = compiled.map_err(|error| explain(&error, None, file, &sources))?;
        // A position has a line but no file: errors take that from the source of their code.
        ast.set_source(file);
        if let Some(InPlace { property, function, at }) = in_place_call(&ast) {
            let error = EvalAltResult::ErrorNonPureMethodCallOnConstant(function, at);
            let mut failure = explain(&error, None, file, &sources);
            failure.hint = Some(format!("copy it first: `let copy = it.{property};`"));
            return Err(failure);
        }
        let used = used.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (imports, nesting) = (used.names, used.nesting.max(nesting(&ast)));
        let params = if kind == ScriptKind::Skill { read_params(&ast) } else { Vec::new() };
        let asking = Arc::new(closures_that_ask(&ast));
        let (ast, file, sources) = (Arc::new(ast), file.to_owned(), Arc::new(sources));
        Ok(Self { ast, imports, nesting, params, asking, file, sources })
    }

    /// Returns its outline, for the host.
    pub(crate) fn outline(&self) -> Outline {
        let functions = self.ast.iter_functions().map(|function| Function {
            name: function.name.to_owned(),
            n_params: function.params.len(),
        });
        Outline { imports: self.imports.clone(), functions: functions.collect() }
    }
}

/// Runs a compiled skill on a session; on the thread that will hold all its values.
pub(crate) fn run(
    skill: &Compiled,
    params: &Value,
    budget: Budget,
    session: &Session,
    coverage: Option<&Arc<Coverage>>,
) -> Result<Value, Failure> {
    // Not when it is compiled: the budget is that of a run, and one compiled skill serves many.
    if skill.nesting > budget.expression_depth {
        return Err(Failure {
            code: "budget".into(),
            message: format!(
                "{} nests its expressions {} deep: over its expression depth budget of {}",
                skill.file, skill.nesting, budget.expression_depth
            ),
            ..Failure::default()
        });
    }
    // A key that a map has not is `()` to the engine; a parameter that nobody gave must not be.
    if let Some((name, at)) = skill.params.iter().find(|(name, _)| params.get(name).is_none()) {
        return Err(Failure {
            code: "script".into(),
            message: format!("there is no parameter `{name}`"),
            hint: Some("a parameter is declared in the doc comment's [params]".to_owned()),
            at: locate(&skill.file, *at, &skill.sources),
            ..Failure::default()
        });
    }
    let meter = Meter::new(budget, session);
    let tag = Dynamic::from(Run {
        session: session.clone(),
        verdicts: None,
        play: None,
        asking: Arc::clone(&skill.asking),
    });
    let mut engine = for_running(ScriptKind::Skill, session, &meter, tag);
    if let Some(coverage) = coverage {
        coverage.watch(&mut engine, &skill.file);
    }
    let mut scope = Scope::new();
    scope.push_constant_dynamic("params", from_json(params));
    // Only now: what the host has allocated for the script is not held against it.
    meter.start();
    let result = engine.eval_ast_with_scope::<Dynamic>(&mut scope, &skill.ast);
    let outcome = match (result, session.stop().reason()) {
        // A script that swallowed a stop still counts as stopped.
        (Ok(_), Some(reason)) => {
            let error = EvalAltResult::ErrorTerminated(Dynamic::UNIT, rhai::Position::NONE);
            Err(explain(&error, Some(&reason), &skill.file, &skill.sources))
        }
        (Ok(value), None) => to_json(&value).map_err(|message| Failure {
            code: "script".into(),
            message,
            hint: Some("the last value of a skill is its result: return data, or `()`".into()),
            ..Failure::default()
        }),
        (Err(error), reason) => Err(explain(&error, reason.as_ref(), &skill.file, &skill.sources)),
    };
    // A long chain of closures is dropped by recursion, which needs the large stack of this thread.
    drop(scope);
    drop(engine);
    outcome
}
