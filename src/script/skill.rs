//! Skills: compiled once, run on a session.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use rhai::{AST, Dynamic, EvalAltResult, Scope};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::host::{Failure, Program, Session, on_large_stack};
use crate::script::api::Run;
use crate::script::budget::{Budget, Meter};
use crate::script::check::{InPlace, in_place_call, nesting};
use crate::script::convert::{from_json, to_json};
use crate::script::coverage::Coverage;
use crate::script::diagnose::{Sources, explain};
use crate::script::engine::{Kind, MAX_SOURCE, for_compiling, for_running, with_own_constants};
use crate::script::library::{Library, file_of};
use crate::script::manifest::Manifest;

/// A script that was compiled with everything it imports.
#[derive(Debug, Clone)]
pub(crate) struct Compiled {
    pub(crate) ast: Arc<AST>,
    /// `sha256:…` over its own text and all it imports.
    pub(crate) digest: String,
    /// The libraries that it imports, directly or not.
    pub(crate) imports: BTreeSet<String>,
    /// How deep statements and expressions nest in all of it.
    nesting: usize,
    /// Its file, for messages.
    pub(crate) file: String,
    pub(crate) sources: Arc<Sources>,
}

impl Compiled {
    /// Compiles a script. Runs no line of it, but the top level of what it imports, which can
    /// reach nothing yet.
    ///
    /// Compiles on a thread of its own: deep source needs a large stack.
    pub(crate) fn new(
        kind: Kind,
        file: &str,
        text: &str,
        libraries: &Arc<BTreeMap<String, String>>,
        constants: &Scope<'static>,
    ) -> Result<Self, Failure> {
        let (file, text) = (file.to_owned(), text.to_owned());
        let (libraries, constants) = (Arc::clone(libraries), constants.clone());
        let compile = move || Self::here(kind, &file, &text, &libraries, &constants);
        on_large_stack("planwright-compile", compile)?
    }

    fn here(
        kind: Kind,
        file: &str,
        text: &str,
        libraries: &Arc<BTreeMap<String, String>>,
        constants: &Scope<'static>,
    ) -> Result<Self, Failure> {
        let mut sources: Sources =
            libraries.iter().map(|(path, text)| (file_of(path), text.clone())).collect();
        sources.insert(file.to_owned(), text.to_owned());
        if text.len() > MAX_SOURCE {
            return Err(Failure {
                code: "budget".into(),
                message: format!("{file} is larger than {MAX_SOURCE} bytes"),
                ..Failure::default()
            });
        }
        let library = Library::new(Arc::clone(libraries));
        let used = library.used();
        let mut engine = for_compiling(kind);
        engine.set_module_resolver(library);
        let constants = with_own_constants(text, constants)
            .map_err(|error| explain(&error.into(), None, file, &sources))?;
        let compiled = engine.compile_into_self_contained(&constants, text);
        let mut ast = compiled.map_err(|error| explain(&error, None, file, &sources))?;
        ast.set_source(file);
        if let Some(InPlace { property, function, at }) = in_place_call(&ast) {
            let error = EvalAltResult::ErrorNonPureMethodCallOnConstant(function, at);
            let mut failure = explain(&error, None, file, &sources);
            failure.hint = Some(format!("copy it first: `let copy = it.{property};`"));
            return Err(failure);
        }
        let used = used.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (imports, nesting) = (used.names, used.nesting.max(nesting(&ast)));
        let digest = digest(text, &imports, libraries);
        let (ast, file, sources) = (Arc::new(ast), file.to_owned(), Arc::new(sources));
        Ok(Self { ast, digest, imports, nesting, file, sources })
    }

    /// Tells whether compiling these texts would come to the same.
    pub(crate) fn is_of(&self, text: &str, libraries: &BTreeMap<String, String>) -> bool {
        self.imports.iter().all(|it| libraries.contains_key(it))
            && self.digest == digest(text, &self.imports, libraries)
    }
}

pub(crate) fn digest(
    text: &str,
    imports: &BTreeSet<String>,
    libraries: &BTreeMap<String, String>,
) -> String {
    let mut hash = Sha256::new();
    hash.update(text.as_bytes());
    for path in imports {
        let text = libraries.get(path).map(String::as_str).unwrap_or_default();
        hash.update(format!("\0{path}\0{text}").as_bytes());
    }
    format!("sha256:{:x}", hash.finalize())
}

/// A skill, ready to run.
#[derive(Debug, Clone)]
pub struct Skill {
    /// Its name in reports.
    pub name: String,
    /// What it says of itself.
    pub manifest: Manifest,
    compiled: Compiled,
}

impl Skill {
    /// Compiles a skill from its text; `file` is its name in messages.
    ///
    /// # Errors
    /// The manifest or the script is wrong; says where.
    pub fn compile(
        name: &str,
        file: &str,
        text: &str,
        libraries: &Arc<BTreeMap<String, String>>,
    ) -> Result<Self, Failure> {
        let manifest = Manifest::parse(text).map_err(|mut failure| {
            failure.message = format!("{file}: {}", failure.message);
            failure
        })?;
        let mut scope = Scope::new();
        scope.push_constant("params", rhai::Map::new());
        let compiled = Compiled::new(Kind::Skill, file, text, libraries, &scope)?;
        Ok(Self { name: name.to_owned(), manifest, compiled })
    }

    /// Returns `sha256:…` over its text and all it imports.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.compiled.digest
    }

    /// Tells whether compiling these texts would come to the same.
    pub(crate) fn is_of(&self, text: &str, libraries: &BTreeMap<String, String>) -> bool {
        self.compiled.is_of(text, libraries)
    }

    /// Makes it a program.
    #[must_use]
    pub fn program(&self, params: Map<String, Value>, budget: Budget) -> Arc<dyn Program> {
        let skill = self.compiled.clone();
        let params = Value::Object(params);
        Arc::new(move |session: &Session| run(&skill, &params, budget, session, None))
    }

    /// The same, and has the lines noted that are run.
    #[must_use]
    pub fn covered(
        &self,
        params: Map<String, Value>,
        budget: Budget,
        coverage: Arc<Coverage>,
    ) -> Arc<dyn Program> {
        let skill = self.compiled.clone();
        let params = Value::Object(params);
        Arc::new(move |session: &Session| run(&skill, &params, budget, session, Some(&coverage)))
    }
}

/// Runs a compiled skill on a session; on the thread that is to hold all it makes.
pub(crate) fn run(
    skill: &Compiled,
    params: &Value,
    budget: Budget,
    session: &Session,
    coverage: Option<&Arc<Coverage>>,
) -> Result<Value, Failure> {
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
    let meter = Meter::new(budget, session);
    let tag = Dynamic::from(Run { session: session.clone(), verdicts: None, play: None });
    let mut engine = for_running(Kind::Skill, session, &meter, tag);
    if let Some(coverage) = coverage {
        coverage.watch(&mut engine, &skill.file);
    }
    let mut scope = Scope::new();
    scope.push_constant_dynamic("params", from_json(params));
    meter.start();
    let result = engine.eval_ast_with_scope::<Dynamic>(&mut scope, &skill.ast);
    let outcome = match (result, session.stop().reason()) {
        // A script that swallowed a stop is stopped all the same.
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
    drop(scope);
    drop(engine);
    outcome
}
