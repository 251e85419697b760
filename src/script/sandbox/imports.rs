//! Imports: from the workspace's `lib`, in memory, without cycles.
//!
//! A script is compiled together with everything it imports, so that a script does not change while
//! it runs and no path is ever opened at run time. A cycle must be found before it is compiled: the
//! engine itself would recurse until the process aborts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use rhai::{
    Engine, EvalAltResult, Module, ModuleResolver, ParseError, ParseErrorType, Position, Scope,
    Shared,
};

use crate::script::sandbox::engine::with_own_constants;
use crate::script::sandbox::in_place::nesting;
use crate::script::syntax::sugar::plain_text;
use crate::script::syntax::tokens::unclosed_comment;

/// Resolves imports among given texts.
#[derive(Debug)]
pub(crate) struct Library {
    /// Texts by name: `dates`, `text/markdown`.
    sources: Arc<BTreeMap<String, String>>,
    /// The libraries that are being compiled, outermost first.
    stack: Mutex<Vec<String>>,
    used: Arc<Mutex<Used>>,
}

/// The libraries that were imported.
#[derive(Debug, Clone, Default)]
pub(crate) struct Used {
    /// By name.
    pub(crate) names: BTreeSet<String>,
    /// The depth to which their expressions nest.
    pub(crate) nesting: usize,
}

impl Library {
    pub(crate) fn new(sources: Arc<BTreeMap<String, String>>) -> Self {
        Self { sources, stack: Mutex::default(), used: Arc::default() }
    }

    /// Returns the record of what is imported, which grows while compiling.
    pub(crate) fn used(&self) -> Arc<Mutex<Used>> {
        Arc::clone(&self.used)
    }
}

fn refuse(message: String, pos: Position) -> Box<EvalAltResult> {
    EvalAltResult::ErrorRuntime(message.into(), pos).into()
}

/// The message about a comment without an end.
pub(crate) const UNCLOSED: &str = "the comment that begins here is not closed: `*/` is missing";

/// Returns a place of the engine's, as far as it can count.
pub(crate) fn place(line: usize, column: usize) -> Position {
    match (u16::try_from(line), u16::try_from(column)) {
        (Ok(line), Ok(column)) => Position::new(line, column),
        (Ok(line), Err(_)) => Position::new(line, 1),
        _ => Position::NONE,
    }
}

fn is_name(path: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    path.split('/').all(part)
}

impl ModuleResolver for Library {
    fn resolve(
        &self,
        engine: &Engine,
        _importer: Option<&str>,
        path: &str,
        pos: Position,
    ) -> Result<Shared<Module>, Box<EvalAltResult>> {
        if !is_name(path) {
            let shown: String = path.chars().take(60).collect();
            return Err(refuse(
                format!(
                    "`{shown}` cannot be imported: the name of a library has lower-case letters, digits, `_` and `/`, and its file is in scripts/lib"
                ),
                pos,
            ));
        }
        let Some(text) = self.sources.get(path) else {
            let near = crate::host::similar::nearest(path, self.sources.keys().map(String::as_str));
            let hint = if near.is_empty() {
                String::new()
            } else {
                format!("; there is {}", near.join(", "))
            };
            return Err(refuse(format!("there is no library `{path}` in scripts/lib{hint}"), pos));
        };
        let lock = || self.stack.lock().unwrap_or_else(PoisonError::into_inner);
        if lock().iter().any(|outer| outer == path) {
            let chain = lock().join(" → ");
            return Err(refuse(format!("libraries import each other: {chain} → {path}"), pos));
        }
        // The lock is not held while this compiles: each import of the library comes back here.
        lock().push(path.to_owned());
        let module = self.compile(engine, path, text, pos);
        lock().pop();
        module
    }
}

impl Library {
    fn compile(
        &self,
        engine: &Engine,
        path: &str,
        text: &str,
        pos: Position,
    ) -> Result<Shared<Module>, Box<EvalAltResult>> {
        let used = || self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used().names.insert(path.to_owned());
        let in_module =
            |error: Box<EvalAltResult>| EvalAltResult::ErrorInModule(file_of(path), error, pos);
        let wrong = |error: ParseError| in_module(error.into());
        if let Some((line, column)) = unclosed_comment(text) {
            return Err(in_module(refuse(UNCLOSED.to_owned(), place(line, column))).into());
        }
        let text = &plain_text(text);
        let constants = with_own_constants(text, &Scope::new()).map_err(wrong)?;
        let mut ast = engine.compile_with_scope(&constants, text).map_err(wrong)?;
        ast.set_source(file_of(path));
        // In one statement with the next, the lock would be taken again while it is still held.
        let deepest = used().nesting.max(nesting(&ast));
        used().nesting = deepest;
        let module = Module::eval_ast_as_new(Scope::new(), &ast, engine).map_err(in_module)?;
        Ok(module.into())
    }
}

/// Returns the file that a library lies in, for messages.
pub(crate) fn file_of(path: &str) -> String {
    format!("lib/{path}.rhai")
}

/// Returns whether a syntax error only means "too big or too deep".
pub(crate) fn is_limit(kind: &ParseErrorType) -> bool {
    matches!(
        kind,
        ParseErrorType::ExprTooDeep
            | ParseErrorType::LiteralTooLarge(..)
            | ParseErrorType::TooManyFunctions
    )
}
