//! Coverage: the lines of skills and libraries that were run, for `planwright test --coverage`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use rhai::debugger::DebuggerCommand;
use rhai::{ASTNode, Engine, Expr, Stmt};
use serde::Serialize;

use crate::script::sandbox::engine::for_compiling;
use crate::script::source::ScriptKind;
use crate::script::syntax::sugar::plain_text;

/// The lines that were run, over any number of runs at once.
#[derive(Debug, Default)]
pub struct Coverage {
    /// By file, as messages name it.
    run: Mutex<BTreeMap<String, BTreeSet<usize>>>,
}

/// The coverage of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Covered {
    /// The file.
    pub file: String,
    /// The number of lines that begin a statement.
    pub lines: usize,
    /// The number of those that were run.
    pub covered: usize,
    /// The lines that were not.
    pub missing: Vec<usize>,
}

impl Coverage {
    /// Makes an engine record the lines it runs; `file` is that of the main script.
    #[expect(deprecated, reason = "may change with a version of the engine, which is pinned")]
    pub(crate) fn watch(self: &Arc<Self>, engine: &mut Engine, file: &str) {
        let (coverage, file) = (Arc::clone(self), file.to_owned());
        engine.register_debugger(
            |_, debugger| debugger,
            move |_, _, node, source, at| {
                if let Some(line) = node.position().line().or_else(|| at.line()) {
                    let mut run = coverage.run.lock().unwrap_or_else(PoisonError::into_inner);
                    let file = source.unwrap_or(&file);
                    match run.get_mut(file) {
                        Some(lines) => drop(lines.insert(line)),
                        None => drop(run.insert(file.to_owned(), BTreeSet::from([line]))),
                    }
                }
                Ok(DebuggerCommand::StepInto)
            },
        );
    }

    /// Adds lines that were run elsewhere, by file.
    pub(crate) fn add(&self, lines: BTreeMap<String, BTreeSet<usize>>) {
        let mut run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        for (file, lines) in lines {
            run.entry(file).or_default().extend(lines);
        }
    }

    /// Returns the lines that were run, by file, and starts over.
    pub(crate) fn take(&self) -> BTreeMap<String, BTreeSet<usize>> {
        std::mem::take(&mut *self.run.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Compares what was run of a file with what there is to run.
    #[must_use]
    pub fn of(&self, file: &str, text: &str) -> Covered {
        let there = lines(text);
        let run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        let none = BTreeSet::new();
        let run = run.get(file).unwrap_or(&none);
        let missing: Vec<usize> = there.difference(run).copied().collect();
        let covered = there.len() - missing.len();
        Covered { file: file.to_owned(), lines: there.len(), covered, missing }
    }
}

/// Returns the lines of a script on which a statement begins.
fn lines(text: &str) -> BTreeSet<usize> {
    let mut engine = for_compiling(ScriptKind::Skill);
    // Names do not matter here, only where statements begin.
    engine.set_strict_variables(false);
    let ast = engine.compile(plain_text(text)).unwrap_or_default();
    let mut lines = BTreeSet::new();
    ast.walk(&mut |path: &[ASTNode<'_>]| {
        if let Some(ASTNode::Stmt(statement)) = path.last() {
            // The engine takes a plain value, such as the last line of a function, without a step.
            let is_code = match statement {
                Stmt::Noop(_) | Stmt::Share(_) | Stmt::Block(_) => false,
                Stmt::Expr(value) => !value.is_constant() && !matches!(**value, Expr::Variable(..)),
                _ => true,
            };
            lines.extend(statement.position().line().filter(|_| is_code));
        }
        true
    });
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_statements_are_told() {
        let text = "let a = 1;\n// no\nif a > 1 {\n  print(a);\n}\n\nfn f() {\n  1\n}\n";
        assert_eq!(lines(text), BTreeSet::from([1, 3, 4]));
        assert_eq!(lines("let = ;"), BTreeSet::new());
    }
}
