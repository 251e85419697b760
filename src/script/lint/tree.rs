//! A syntax tree in a form that can be walked: the statements of each function, and those of none.

use rhai::{AST, Position, Stmt};

use crate::script::catalog::catalog;

/// A function of a script, a closure too.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) params: Vec<String>,
    pub(crate) start: Position,
    pub(crate) end: Position,
    pub(crate) body: Vec<Stmt>,
}

/// The parts of a script that are walked.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) main: Vec<Stmt>,
    pub(crate) functions: Vec<Function>,
}

impl Script {
    pub(crate) fn from_ast(ast: &AST) -> Self {
        let library = ast.shared_lib();
        let mut functions: Vec<Function> = ast
            .iter_functions()
            .filter_map(|function| library.get_script_fn(function.name, function.params.len()))
            .map(|function| Function {
                name: function.name.to_string(),
                params: function.params.iter().map(ToString::to_string).collect(),
                start: function.body.start_position(),
                end: function.body.end_position(),
                body: Vec::new(),
            })
            .collect();
        // The engine shows the statements of functions, but not which function they belong to:
        // their positions tell.
        let mut main = Vec::new();
        ast.walk(&mut |path: &[rhai::ASTNode<'_>]| {
            if let [rhai::ASTNode::Stmt(statement)] = path {
                let at = statement.position();
                // A closure without braces has no end.
                let holds = |function: &&mut Function| {
                    function.start == at || (function.start < at && at <= function.end)
                };
                match functions.iter_mut().filter(holds).max_by_key(|function| function.start) {
                    Some(function) => function.body.push((*statement).clone()),
                    None => main.push((*statement).clone()),
                }
            }
            true
        });
        Self { main, functions }
    }

    pub(crate) fn named(&self, name: &str) -> impl Iterator<Item = &Function> {
        self.functions.iter().filter(move |function| function.name == name)
    }
}

/// Returns whether the host or the language has a function of a name.
pub(crate) fn is_known_function(name: &str) -> bool {
    catalog().is_of_language(name) || catalog().members().iter().any(|member| member.name == name)
}
