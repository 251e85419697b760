//! Lines of a script that a person types, one after another.
//!
//! The same engine, the same limits and the same functions as a run; but variables, functions and
//! imports live on from line to line, and `_` is the last result. They live in a process of their
//! own, as every script does: here is what is known of them. A line that fails leaves nothing
//! behind but what it did to variables that were there before.
//!
//! Each line is compiled with what was imported before it, from the libraries that are in force
//! then. The libraries follow their files; an edit with which the imports do not compile changes
//! nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::host::{Failure, Session};
use crate::model::PlanId;
use crate::script::budget::Budget;
use crate::script::console::line::prefix;
use crate::script::line_order::{Known, LAST, LineOrder, Shown, uses_of_last};
use crate::script::sandbox::imports::file_of;
use crate::script::source::ScriptKind;
use crate::script::syntax::tokens::{Piece, tokens};
use crate::script::worker::pool::take_fresh;
use crate::script::worker::process::Worker;

pub mod complete;
pub(crate) mod line;

/// The libraries that lines can import, and those that they did. Shared with whoever follows the
/// files.
#[derive(Debug, Clone)]
pub struct Libraries(Arc<Mutex<State>>);

#[derive(Debug, Clone)]
struct State {
    /// By path.
    texts: Arc<BTreeMap<String, String>>,
    /// The imports: alias and path.
    imports: BTreeMap<String, String>,
    /// The libraries that those import in turn.
    used: BTreeSet<String>,
}

/// The effect of new texts of libraries.
#[derive(Debug, Clone, PartialEq)]
pub enum Update {
    /// Nothing that was imported has changed.
    Same,
    /// The files that are in force from the next line on.
    InForce(Vec<String>),
    /// The imports do not compile with them; what was in force stays.
    Broken(Box<Failure>),
}

/// A line that succeeded, to be saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// As it was typed.
    pub text: String,
    /// The places where it names the last result, in bytes.
    uses_last: Vec<usize>,
    /// True if it had a value.
    has_value: bool,
}

/// The state that lives on from line to line, as far as it is known here.
#[derive(Debug)]
pub struct Console {
    /// The process in which it lives; none before the first line, and after one that was its end.
    worker: Option<Worker>,
    libraries: Libraries,
    lines: Vec<Line>,
    /// The variables, for completion, by name.
    kinds: BTreeMap<String, Known>,
    functions: BTreeSet<String>,
    /// Plans by their names, and the last result: what the next line is told.
    plans: BTreeMap<String, PlanId>,
    last: Option<Value>,
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

    /// Replaces the texts, unless what was imported does not compile with them.
    pub fn update(&self, texts: &Arc<BTreeMap<String, String>>) -> Update {
        let now = self.lock().clone();
        let is_other = |path: &&String| now.texts.get(*path) != texts.get(*path);
        let other: Vec<String> =
            now.used.iter().filter(is_other).map(|path| file_of(path)).collect();
        if !other.is_empty()
            && let Err(failure) = compile_line(&prefix(&now.imports), texts)
        {
            return Update::Broken(Box::new(failure));
        }
        self.lock().texts = Arc::clone(texts);
        if other.is_empty() { Update::Same } else { Update::InForce(other) }
    }
}

/// Compiles a line with what it may import, in a process of its own.
fn compile_line(line: &str, texts: &BTreeMap<String, String>) -> Result<(), Failure> {
    take_fresh(ScriptKind::Skill)?.compile_line(line, texts)
}

impl Console {
    /// Begins with nothing but what can be imported.
    #[must_use]
    pub fn new(libraries: Libraries) -> Self {
        Self {
            worker: None,
            libraries,
            lines: Vec::new(),
            kinds: BTreeMap::new(),
            functions: BTreeSet::new(),
            plans: BTreeMap::new(),
            last: None,
        }
    }

    /// Gives a plan a name for the lines to come.
    pub fn bind_plan(&mut self, name: &str, plan: PlanId) {
        self.kinds.insert(name.to_owned(), Known::plan(plan.clone()));
        self.plans.insert(name.to_owned(), plan);
    }

    /// Returns whether lines can be run as one.
    #[must_use]
    pub fn compiles(&self, lines: &str) -> bool {
        let State { texts, .. } = self.libraries.lock().clone();
        compile_line(lines, &texts).is_ok()
    }

    /// Sets the last result.
    pub fn set_last(&mut self, value: &Value) {
        if !value.is_null() {
            self.last = Some(value.clone());
        }
    }

    /// Adds a note of what was done besides lines, to be saved with them.
    pub fn note(&mut self, text: String) {
        self.lines.push(Line { text, uses_last: Vec::new(), has_value: false });
    }

    /// Returns whether there is nothing to save.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Returns what is known of the variables, by name.
    #[must_use]
    pub const fn kinds(&self) -> &BTreeMap<String, Known> {
        &self.kinds
    }

    /// Returns the names of the functions that lines have made.
    #[must_use]
    pub fn functions(&self) -> BTreeSet<String> {
        self.functions.clone()
    }

    /// Runs a line.
    ///
    /// # Errors
    /// The line does not compile, fails, or was stopped. If its process ended with it, the
    /// variables are lost.
    pub fn run(&mut self, line: &str, session: &Session, budget: Budget) -> Result<Shown, Failure> {
        let mut worker = match self.worker.take() {
            Some(worker) => worker,
            None => take_fresh(ScriptKind::Skill)?,
        };
        let State { texts, imports, .. } = self.libraries.lock().clone();
        let order = LineOrder {
            text: line.to_owned(),
            libraries: (*texts).clone(),
            imports,
            plans: self.plans.clone(),
            last: self.last.take(),
        };
        let lined = match worker.line(order, session, budget) {
            Ok(lined) => lined,
            Err(mut failure) => {
                if !self.kinds.is_empty() {
                    failure.hint = Some("the variables of earlier lines are lost".to_owned());
                }
                // The variables lived in the process that has ended; plans are bound again by their
                // ids.
                let plans = self.plans.iter();
                let known = plans.map(|(name, id)| (name.clone(), Known::plan(id.clone())));
                (self.kinds, self.functions) = (known.collect(), BTreeSet::new());
                return Err(failure);
            }
        };
        self.worker = Some(worker);
        (self.kinds, self.functions) = (lined.kinds, lined.functions);
        let shown = lined.result?;
        let mut libraries = self.libraries.lock();
        libraries.imports.extend(lined.imports);
        libraries.used.extend(lined.used);
        drop(libraries);
        let (text, uses_last) = (line.to_owned(), uses_of_last(line));
        self.lines.push(Line { text, uses_last, has_value: lined.has_value });
        Ok(shown)
    }

    /// Returns the lines that succeeded, as the text of a skill.
    #[must_use]
    pub fn script(&self) -> String {
        let mut texts = vec!["//! Lines that were typed.".to_owned(), String::new()];
        // The line whose result is the last one for line `n`.
        let last_before = |n: usize| self.lines.iter().take(n).rposition(|line| line.has_value);
        let users = self.lines.iter().enumerate().filter(|(_, line)| !line.uses_last.is_empty());
        let named: BTreeSet<usize> = users.filter_map(|(n, _)| last_before(n)).collect();
        for (n, line) in self.lines.iter().enumerate() {
            let mut said = line.text.trim_end().trim_end_matches(';').to_owned();
            for at in line.uses_last.iter().rev() {
                let name =
                    last_before(n).map_or_else(|| "()".to_owned(), |nth| format!("last_{nth}"));
                said.replace_range(*at..at + LAST.len(), &name);
            }
            if named.contains(&n) {
                let at = last_statement(&said);
                said.insert_str(at, &format!("let last_{n} = "));
            }
            // A comment at the end would swallow the semicolon.
            let last = tokens(&said).last().map(|token| token.piece);
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
    let tokens: Vec<_> = tokens(line)
        .into_iter()
        .filter(|token| !matches!(token.piece, Piece::Comment(_)))
        .collect();
    for (n, token) in tokens.iter().enumerate() {
        let next = tokens.get(n + 1);
        match token.piece {
            Piece::Open => depth += 1,
            Piece::Close => {
                depth -= 1;
                // A block that another statement follows.
                let goes_on = |word: &str| ["else", "catch", "while", "until"].contains(&word);
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
                at = next.map_or(at, |next| next.start);
            }
            _ => {}
        }
    }
    at
}
