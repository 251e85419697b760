//! The variables, functions and imports that live on from line to line, in the process that runs
//! the lines.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use rhai::{AST, Dynamic, Engine, Expr, Position, Scope, Stmt, Token as EngineToken};

use crate::host::{Failure, Session, StopReason};
use crate::script::api::convert::to_json;
use crate::script::api::handles::{Bucket, Plan, Task, User};
use crate::script::api::value::Run;
use crate::script::api::value::from_json;
use crate::script::budget::{Budget, Meter};
use crate::script::line_order::Known;
use crate::script::line_order::{FILE, LAST, Shown, uses_of_last};
use crate::script::line_order::{LineOrder, Lined};
use crate::script::sandbox::diagnose::explain;
use crate::script::sandbox::engine::{for_compiling, for_running};
use crate::script::sandbox::imports::{Library, file_of};
use crate::script::sandbox::in_place::{InPlace, in_place_call, nesting};
use crate::script::sandbox::memory::held_by_this_thread;
use crate::script::source::{MAX_SOURCE, ScriptKind};
use crate::script::syntax::location::Sources;
use crate::script::syntax::sugar::plain_text;

/// The variables and functions of all lines so far.
#[derive(Debug)]
pub(crate) struct Variables {
    scope: Scope<'static>,
    functions: AST,
    /// The memory that variables and functions hold, in bytes.
    held: i64,
}

impl Variables {
    /// Begins with nothing.
    pub(crate) fn new() -> Self {
        let mut scope = Scope::new();
        scope.push_dynamic(LAST, Dynamic::UNIT);
        Self { scope, functions: AST::empty(), held: 0 }
    }

    /// Runs a line, on the thread that holds the variables.
    pub(crate) fn run(&mut self, order: LineOrder, session: &Session, budget: Budget) -> Lined {
        let LineOrder { text, libraries, imports, plans, last } = order;
        for (name, id) in plans {
            self.scope.set_or_push(&name, Dynamic::from(Plan { session: session.clone(), id }));
        }
        if let Some(last) = last {
            self.scope.set_or_push(LAST, from_json(&last));
        }
        let (before, held) = (self.scope.len(), held_by_this_thread());
        let mut new = (BTreeMap::new(), BTreeSet::new());
        let outcome = self.evaluate((&text, &Arc::new(libraries), &imports), session, budget);
        let has_value = outcome.as_ref().is_ok_and(|(value, ..)| !value.is_unit());
        let result = outcome.map(|(value, imports, used)| {
            new = (imports, used);
            let shown = shown(&value);
            if !value.is_unit() {
                self.scope.set_or_push(LAST, value);
            }
            shown
        });
        if result.is_err() {
            // Variables that the failed line declared are dropped.
            self.scope.rewind(before);
        }
        self.tidy_up();
        // Memory that stays held counts for the lines to come.
        self.held += held_by_this_thread() - held;
        let known =
            |(name, _, value): (&str, bool, &Dynamic)| (name.to_owned(), Known::from_value(value));
        let named = self.functions.iter_functions().map(|function| function.name.to_owned());
        Lined {
            result,
            kinds: self.scope.iter_raw().map(known).collect(),
            functions: named.filter(|name| !name.starts_with("anon$")).collect(),
            imports: new.0,
            used: new.1,
            has_value,
        }
    }

    fn evaluate(
        &mut self,
        (line, texts, imports): (&str, &Arc<BTreeMap<String, String>>, &BTreeMap<String, String>),
        session: &Session,
        budget: Budget,
    ) -> Result<Evaluated, Failure> {
        let imported = compile(texts, &prefix(imports), FILE)?;
        let compiled = compile(texts, line, FILE)?;
        let deepest = nesting(&compiled.ast);
        if deepest > budget.expression_depth {
            return Err(Failure {
                code: "budget".into(),
                message: format!(
                    "the line nests its expressions {deepest} deep: over its expression depth budget of {}",
                    budget.expression_depth
                ),
                ..Failure::default()
            });
        }
        // A merge replaces functions of the same name and parameters: the newest line wins.
        let ast = self.functions.merge(&imported.ast).merge(&compiled.ast);
        let meter = Meter::new(budget, session);
        let tag = Dynamic::from(Run {
            session: session.clone(),
            verdicts: None,
            play: None,
            asking: Arc::default(),
        });
        let engine = for_running(ScriptKind::Skill, session, &meter, tag);
        meter.start_holding(self.held);
        let result = engine.eval_ast_with_scope::<Dynamic>(&mut self.scope, &ast);
        let failed = |error: &rhai::EvalAltResult, stop: Option<&StopReason>| {
            explain(error, stop, FILE, &compiled.sources)
        };
        let value = match (result, session.stop().reason()) {
            (Ok(value), None) => value,
            (Ok(_), Some(reason)) => {
                let error =
                    rhai::EvalAltResult::ErrorTerminated(Dynamic::UNIT, rhai::Position::NONE);
                return Err(failed(&error, Some(&reason)));
            }
            (Err(error), reason) => return Err(failed(&error, reason.as_ref())),
        };
        self.functions = self.functions.merge(&compiled.ast.clone_functions_only());
        Ok((value, imports_of(&compiled.ast), compiled.used))
    }

    /// Keeps the newest variable of each name only: each `let` of a known name adds one to the
    /// scope.
    fn tidy_up(&mut self) {
        let names: BTreeSet<&str> = self.scope.iter_raw().map(|variable| variable.0).collect();
        if names.len() < self.scope.len() {
            let mut kept: Vec<(String, Dynamic)> = Vec::new();
            let all: Vec<_> = std::mem::take(&mut self.scope).into_iter().collect();
            for (name, value, _) in all.into_iter().rev() {
                if !kept.iter().any(|variable| variable.0 == name) {
                    kept.push((name, value));
                }
            }
            for (name, value) in kept.into_iter().rev() {
                if value.is_read_only() {
                    self.scope.push_constant_dynamic(name, value);
                } else {
                    self.scope.push_dynamic(name, value);
                }
            }
        }
    }
}

/// A value, the imports of its line, and the libraries that those use.
type Evaluated = (Dynamic, BTreeMap<String, String>, BTreeSet<String>);

/// Checks that a line compiles with what it may import.
pub(crate) fn compiles(
    line: &str,
    libraries: &Arc<BTreeMap<String, String>>,
) -> Result<(), Failure> {
    compile(libraries, line, FILE).map(drop)
}

/// Returns the imports of earlier lines, as statements.
pub(crate) fn prefix(imports: &BTreeMap<String, String>) -> String {
    imports.iter().map(|(alias, path)| format!("import \"{path}\" as {alias};\n")).collect()
}

struct Compiled {
    ast: AST,
    used: BTreeSet<String>,
    sources: Sources,
}

/// Compiles a line with what it imports.
fn compile(
    texts: &Arc<BTreeMap<String, String>>,
    line: &str,
    file: &str,
) -> Result<Compiled, Failure> {
    if line.len() > MAX_SOURCE {
        return Err(Failure {
            code: "budget".into(),
            message: format!("the line is larger than {MAX_SOURCE} bytes"),
            ..Failure::default()
        });
    }
    let mut sources: Sources =
        texts.iter().map(|(path, text)| (file_of(path), text.clone())).collect();
    sources.insert(file.to_owned(), line.to_owned());
    let library = Library::new(Arc::clone(texts));
    let used = library.used();
    let mut engine = engine_for(line);
    engine.set_module_resolver(library);
    let mut ast = engine
        .compile_into_self_contained(&Scope::new(), plain_text(line))
        .map_err(|error| explain(&error, None, file, &sources))?;
    ast.set_source(file);
    if let Some(InPlace { property, function, at }) = in_place_call(&ast) {
        let error = rhai::EvalAltResult::ErrorNonPureMethodCallOnConstant(function, at);
        let mut failure = explain(&error, None, file, &sources);
        failure.hint = Some(format!("copy it first: `let copy = it.{property};`"));
        return Err(failure);
    }
    let used = used.lock().unwrap_or_else(PoisonError::into_inner).names.clone();
    Ok(Compiled { ast, used, sources })
}

/// Builds an engine that compiles a line: variables of earlier lines are known only when it runs,
/// and `_` is one of them.
fn engine_for(line: &str) -> Engine {
    let mut engine = for_compiling(ScriptKind::Skill);
    engine.set_strict_variables(false);
    let places: BTreeSet<Position> =
        uses_of_last(line).into_iter().filter_map(|at| position(line, at)).collect();
    if !places.is_empty() {
        // To the engine `_` is a sign of its own and no name, so it is replaced where it means the
        // last result.
        #[expect(deprecated, reason = "that is how the engine marks what may change")]
        engine.on_parse_token(move |token, at, _| match token {
            EngineToken::Underscore if places.contains(&at) => {
                EngineToken::Identifier(Box::new(LAST.into()))
            }
            token => token,
        });
    }
    engine
}

fn position(line: &str, at: usize) -> Option<Position> {
    let before = line.get(..at)?;
    let n = u16::try_from(before.matches('\n').count() + 1).ok()?;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Some(Position::new(n, u16::try_from(column).ok()?))
}

fn imports_of(ast: &AST) -> BTreeMap<String, String> {
    let import = |statement: &Stmt| match statement {
        Stmt::Import(import, _) => match &import.0 {
            Expr::StringConstant(path, _) if !import.1.name.is_empty() => {
                Some((import.1.name.to_string(), path.to_string()))
            }
            _ => None,
        },
        _ => None,
    };
    ast.statements().iter().filter_map(import).collect()
}

/// Turns a value into what is shown of it, with nothing of the engine in it.
fn shown(value: &Dynamic) -> Shown {
    if value.is_unit() {
        return Shown::Nothing;
    }
    if let Some(task) = value.read_lock::<Task>() {
        return Shown::Task(task.session.real(&task.id).into_owned());
    }
    if let Some(bucket) = value.read_lock::<Bucket>() {
        return Shown::Bucket(bucket.session.real(&bucket.id).into_owned());
    }
    if let Some(plan) = value.read_lock::<Plan>() {
        return Shown::Plan(plan.session.real(&plan.id).into_owned());
    }
    if let Some(user) = value.read_lock::<User>() {
        return Shown::User(user.id.clone());
    }
    if let Ok(text) = value.as_immutable_string_ref() {
        return Shown::Text(text.to_string());
    }
    if let Ok(items) = value.as_array_ref()
        && !items.is_empty()
    {
        if let Some(all) = each(&items, |task: &Task| task.session.real(&task.id).into_owned()) {
            return Shown::Tasks(all);
        }
        if let Some(all) =
            each(&items, |bucket: &Bucket| bucket.session.real(&bucket.id).into_owned())
        {
            return Shown::Buckets(all);
        }
        if let Some(all) = each(&items, |plan: &Plan| plan.session.real(&plan.id).into_owned()) {
            return Shown::Plans(all);
        }
        if let Some(all) = each(&items, |user: &User| user.id.clone()) {
            return Shown::Users(all);
        }
    }
    match to_json(value) {
        Ok(data) => Shown::Data(data),
        Err(_) if value.is_fnptr() => Shown::Other("a function".to_owned()),
        Err(why) => Shown::Other(why),
    }
}

fn each<T: Clone + Send + Sync + 'static, R>(
    items: &[Dynamic],
    of: impl Fn(&T) -> R,
) -> Option<Vec<R>> {
    items.iter().map(|item| item.read_lock::<T>().map(|value| of(&value))).collect()
}
