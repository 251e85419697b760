//! Lines of a script, one after another: what a person types.
//!
//! The same engine, the same limits and the same functions as a run; but variables, functions and
//! imports live on from line to line, and `_` is the last result. A line that fails leaves
//! nothing behind but what it did to variables that were there before.
//!
//! Each line is compiled with what was imported before it, from the libraries that are in force
//! then. Those follow their files; an edit with which the imports do not compile changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rhai::{AST, Dynamic, Engine, Expr, Position, Scope, Stmt, Token as EngineToken};
use serde_json::Value;

use crate::host::{Failure, Session, StopReason};
use crate::model::{BucketId, PlanId, TaskId, UserId};
use crate::script::Budget;
use crate::script::api::{Bucket, Plan, Run, Task, User};
use crate::script::budget::Meter;
use crate::script::check::{InPlace, in_place_call, nesting};
use crate::script::convert::{from_json, to_json};
use crate::script::diagnose::{Sources, explain};
use crate::script::engine::{Kind, MAX_SOURCE, for_compiling, for_running};
use crate::script::library::{Library, file_of};
use crate::script::memory::held_by_this_thread;

pub mod complete;
pub mod tokens;

use tokens::{Piece, tokens};

/// What messages call a line.
const FILE: &str = "line";
/// The last result.
const LAST: &str = "_";

/// What a line came to, for whoever shows it: no value of a script in it.
#[derive(Debug, Clone, PartialEq)]
pub enum Shown {
    /// Nothing.
    Nothing,
    /// A task.
    Task(TaskId),
    /// Tasks.
    Tasks(Vec<TaskId>),
    /// A bucket.
    Bucket(BucketId),
    /// Buckets.
    Buckets(Vec<BucketId>),
    /// A plan.
    Plan(PlanId),
    /// Plans.
    Plans(Vec<PlanId>),
    /// A person.
    User(UserId),
    /// People.
    Users(Vec<UserId>),
    /// A text.
    Text(String),
    /// Other data.
    Data(Value),
    /// What is no data, in words.
    Other(String),
}

/// The libraries that lines can import, and those that they did. Shared with whoever follows the
/// files.
#[derive(Debug, Clone)]
pub struct Libraries(Arc<Mutex<State>>);

#[derive(Debug, Clone)]
struct State {
    /// By path.
    texts: Arc<BTreeMap<String, String>>,
    /// What was imported: alias and path.
    imports: BTreeMap<String, String>,
    /// What that leads to.
    used: BTreeSet<String>,
}

/// What came of other texts of libraries.
#[derive(Debug, Clone, PartialEq)]
pub enum Update {
    /// Nothing that was imported is another.
    Same,
    /// The files that are in force from the next line on.
    InForce(Vec<String>),
    /// What was imported does not compile with them; what was in force stays.
    Broken(Box<Failure>),
}

/// A line that did what it said, to be saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// As it was typed.
    pub text: String,
    /// Where it names the last result, in bytes.
    uses_last: Vec<usize>,
    /// Whether it came to something.
    has_value: bool,
}

/// What lives on from line to line.
#[derive(Debug)]
pub struct Console {
    scope: Scope<'static>,
    functions: AST,
    libraries: Libraries,
    /// The memory that variables and functions hold, in bytes.
    held: i64,
    lines: Vec<Line>,
    /// What there is to complete, by name.
    kinds: BTreeMap<String, complete::Known>,
}

impl Libraries {
    /// Begins with these texts, by path.
    #[must_use]
    pub fn new(texts: Arc<BTreeMap<String, String>>) -> Self {
        let (imports, used) = (BTreeMap::new(), BTreeSet::new());
        Self(Arc::new(Mutex::new(State { texts, imports, used })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the paths that can be imported.
    #[must_use]
    pub fn paths(&self) -> Vec<String> {
        self.lock().texts.keys().cloned().collect()
    }

    /// Takes other texts, unless what was imported does not compile with them.
    pub fn update(&self, texts: &Arc<BTreeMap<String, String>>) -> Update {
        let now = self.lock().clone();
        let is_other = |path: &&String| now.texts.get(*path) != texts.get(*path);
        let other: Vec<String> = now.used.iter().filter(is_other).map(|it| file_of(it)).collect();
        if !other.is_empty()
            && let Err(failure) = compile(texts, &prefix(&now.imports), "import")
        {
            return Update::Broken(Box::new(failure));
        }
        self.lock().texts = Arc::clone(texts);
        if other.is_empty() { Update::Same } else { Update::InForce(other) }
    }
}

impl Console {
    /// Begins with nothing but what can be imported.
    #[must_use]
    pub fn new(libraries: Libraries) -> Self {
        let mut scope = Scope::new();
        scope.push_dynamic(LAST, Dynamic::UNIT);
        Self {
            scope,
            functions: AST::empty(),
            libraries,
            held: 0,
            lines: Vec::new(),
            kinds: BTreeMap::new(),
        }
    }

    /// Gives a plan a name for the lines to come.
    pub fn bind_plan(&mut self, name: &str, session: &Session, plan: PlanId) {
        let plan = Dynamic::from(Plan { session: session.clone(), id: plan });
        self.bind(name, plan);
    }

    fn bind(&mut self, name: &str, value: Dynamic) {
        self.kinds.insert(name.to_owned(), complete::Known::of(&value));
        self.scope.set_or_push(name, value);
    }

    /// Tells whether lines can be run as one.
    #[must_use]
    pub fn compiles(&self, lines: &str) -> bool {
        let State { texts, .. } = self.libraries.lock().clone();
        compile(&texts, lines, FILE).is_ok()
    }

    /// Takes something for the last result.
    pub fn set_last(&mut self, value: &Value) {
        if !value.is_null() {
            self.scope.set_or_push(LAST, from_json(value));
        }
    }

    /// Notes what was done beside lines, for whoever saves them.
    pub fn note(&mut self, text: String) {
        self.lines.push(Line { text, uses_last: Vec::new(), has_value: false });
    }

    /// Tells whether there is nothing to save.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Returns what is known of the variables, by name.
    #[must_use]
    pub const fn kinds(&self) -> &BTreeMap<String, complete::Known> {
        &self.kinds
    }

    /// Returns the names of the functions that lines have made.
    #[must_use]
    pub fn functions(&self) -> BTreeSet<String> {
        let named = self.functions.iter_functions().map(|it| it.name.to_owned());
        named.filter(|it| !it.starts_with("anon$")).collect()
    }

    /// Runs a line on the thread it is called on, which is to have a large stack.
    ///
    /// # Errors
    /// The line does not compile, fails, or was stopped.
    pub fn run(&mut self, line: &str, session: &Session, budget: Budget) -> Result<Shown, Failure> {
        let (before, held) = (self.scope.len(), held_by_this_thread());
        let outcome = self.evaluate(line, session, budget).map(|value| {
            let shown = shown(&value);
            if !value.is_unit() {
                self.scope.set_or_push(LAST, value);
            }
            shown
        });
        if outcome.is_err() {
            self.scope.rewind(before);
        }
        self.tidy_up();
        // What lives on counts for the lines to come.
        self.held += held_by_this_thread() - held;
        outcome
    }

    fn evaluate(
        &mut self,
        line: &str,
        session: &Session,
        budget: Budget,
    ) -> Result<Dynamic, Failure> {
        let State { texts, imports, .. } = self.libraries.lock().clone();
        let imported = compile(&texts, &prefix(&imports), FILE)?;
        let compiled = compile(&texts, line, FILE)?;
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
        let ast = self.functions.merge(&imported.ast).merge(&compiled.ast);
        let meter = Meter::new(budget, session);
        let tag = Dynamic::from(Run { session: session.clone(), verdicts: None, play: None });
        let engine = for_running(Kind::Skill, session, &meter, tag);
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
        let mut libraries = self.libraries.lock();
        libraries.imports.extend(imports_of(&compiled.ast));
        libraries.used.extend(compiled.used);
        drop(libraries);
        let uses_last = uses_of_last(line);
        let has_value = !value.is_unit();
        self.lines.push(Line { text: line.to_owned(), uses_last, has_value });
        Ok(value)
    }

    /// Leaves one variable of each name, the newest, and notes what they are.
    fn tidy_up(&mut self) {
        let names: BTreeSet<&str> = self.scope.iter_raw().map(|it| it.0).collect();
        if names.len() < self.scope.len() {
            let mut kept: Vec<(String, Dynamic)> = Vec::new();
            let all: Vec<_> = std::mem::take(&mut self.scope).into_iter().collect();
            for (name, value, _) in all.into_iter().rev() {
                if !kept.iter().any(|it| it.0 == name) {
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
        let known = |(name, _, value): (&str, bool, &Dynamic)| {
            (name.to_owned(), complete::Known::of(value))
        };
        self.kinds = self.scope.iter_raw().map(known).collect();
    }

    /// Returns the lines that did what they said, as the text of a skill.
    #[must_use]
    pub fn script(&self) -> String {
        let mut texts = vec!["//! Lines that were typed.".to_owned(), String::new()];
        // Which line the last result of each line is the result of.
        let last_before = |n: usize| self.lines.iter().take(n).rposition(|it| it.has_value);
        let users = self.lines.iter().enumerate().filter(|(_, it)| !it.uses_last.is_empty());
        let named: BTreeSet<usize> = users.filter_map(|(n, _)| last_before(n)).collect();
        for (n, line) in self.lines.iter().enumerate() {
            let mut said = line.text.trim_end().trim_end_matches(';').to_owned();
            for at in line.uses_last.iter().rev() {
                let name =
                    last_before(n).map_or_else(|| "()".to_owned(), |it| format!("last_{it}"));
                said.replace_range(*at..at + LAST.len(), &name);
            }
            if named.contains(&n) {
                let at = last_statement(&said);
                said.insert_str(at, &format!("let last_{n} = "));
            }
            // What ends with a comment ends before it.
            let last = tokens(&said).last().map(|it| it.piece);
            let end = if matches!(last, Some(Piece::Comment(_))) { "\n;" } else { ";" };
            let is_note = said.starts_with("//") && !said.contains('\n');
            texts.push(if is_note { said } else { said + end });
        }
        texts.join("\n") + "\n"
    }
}

/// Returns where the last statement of a line begins, in bytes.
fn last_statement(line: &str) -> usize {
    let (mut depth, mut at) = (0_i32, 0);
    let tokens: Vec<_> =
        tokens(line).into_iter().filter(|it| !matches!(it.piece, Piece::Comment(_))).collect();
    for (n, token) in tokens.iter().enumerate() {
        let next = tokens.get(n + 1);
        match token.piece {
            Piece::Open => depth += 1,
            Piece::Close => {
                depth -= 1;
                // A block that another statement follows.
                let goes_on = |it: &str| ["else", "catch", "while", "until"].contains(&it);
                if let Some(next) = next
                    && depth == 0
                    && token.of(line) == "}"
                    && !matches!(next.piece, Piece::Sign | Piece::Close)
                    && !goes_on(next.of(line))
                {
                    at = next.start;
                }
            }
            Piece::Sign if depth == 0 && token.of(line) == ";" => {
                at = next.map_or(at, |it| it.start);
            }
            _ => {}
        }
    }
    at
}

/// The imports of earlier lines.
fn prefix(imports: &BTreeMap<String, String>) -> String {
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
        .compile_into_self_contained(&Scope::new(), line)
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

/// Builds an engine that compiles a line: variables of earlier lines are known when it runs, and
/// `_` is one of them.
fn engine_for(line: &str) -> Engine {
    let mut engine = for_compiling(Kind::Skill);
    engine.set_strict_variables(false);
    let places: BTreeSet<Position> =
        uses_of_last(line).into_iter().filter_map(|at| position(line, at)).collect();
    if !places.is_empty() {
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

/// Where a line names the last result: not where `_` is the rest of a `switch`.
fn uses_of_last(line: &str) -> Vec<usize> {
    let tokens = tokens(line);
    let next = |n: usize| tokens.get(n + 1).map(|it| it.of(line));
    let is_use = |(n, it): (usize, &tokens::Token)| {
        let is = it.piece == Piece::Word && it.of(line) == LAST && next(n) != Some("=>");
        is.then_some(it.start)
    };
    tokens.iter().enumerate().filter_map(is_use).collect()
}

fn imports_of(ast: &AST) -> BTreeMap<String, String> {
    let import = |it: &Stmt| match it {
        Stmt::Import(it, _) => match &it.0 {
            Expr::StringConstant(path, _) if !it.1.name.is_empty() => {
                Some((it.1.name.to_string(), path.to_string()))
            }
            _ => None,
        },
        _ => None,
    };
    ast.statements().iter().filter_map(import).collect()
}

/// Takes the value of a script apart.
fn shown(value: &Dynamic) -> Shown {
    if value.is_unit() {
        return Shown::Nothing;
    }
    if let Some(it) = value.read_lock::<Task>() {
        return Shown::Task(it.session.real(&it.id).into_owned());
    }
    if let Some(it) = value.read_lock::<Bucket>() {
        return Shown::Bucket(it.session.real(&it.id).into_owned());
    }
    if let Some(it) = value.read_lock::<Plan>() {
        return Shown::Plan(it.session.real(&it.id).into_owned());
    }
    if let Some(it) = value.read_lock::<User>() {
        return Shown::User(it.id.clone());
    }
    if let Ok(text) = value.as_immutable_string_ref() {
        return Shown::Text(text.to_string());
    }
    if let Ok(items) = value.as_array_ref()
        && !items.is_empty()
    {
        if let Some(all) = each(&items, |it: &Task| it.session.real(&it.id).into_owned()) {
            return Shown::Tasks(all);
        }
        if let Some(all) = each(&items, |it: &Bucket| it.session.real(&it.id).into_owned()) {
            return Shown::Buckets(all);
        }
        if let Some(all) = each(&items, |it: &Plan| it.session.real(&it.id).into_owned()) {
            return Shown::Plans(all);
        }
        if let Some(all) = each(&items, |it: &User| it.id.clone()) {
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
    items.iter().map(|it| it.read_lock::<T>().map(|it| of(&it))).collect()
}
