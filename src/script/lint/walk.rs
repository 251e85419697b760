//! The walk through a script's syntax tree.

use std::collections::{BTreeMap, BTreeSet};

use rhai::{ASTFlags, BinaryExpr, Expr, FnPtr, Position, Stmt};

use crate::script::catalog::catalog;
use crate::script::finding::{Role, Severity};
use crate::script::lint::kind::{ValueKind, functions, property};
use crate::script::lint::tree::{Function, Script, is_known_function};
use crate::script::sandbox::habits::did_you_mean;
use crate::script::syntax::RETURNS_ONLY;

/// A variable that was declared.
#[derive(Debug)]
pub(super) struct Variable {
    pub(super) name: String,
    kind: ValueKind,
    at: Position,
    used: bool,
    /// True if it is reported when nothing uses it.
    counts: bool,
}

/// One walk through one script.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    pub(super) script: &'a Script,
    pub(super) role: Role,
    /// The parameters of a skill that declares them, and where.
    declared: Option<&'a BTreeMap<String, Position>>,
    /// The functions of libraries, by path.
    pub(super) exports: BTreeMap<String, Vec<(String, usize)>>,
    /// The imports, by alias: the path, the place, and whether it is used.
    imports: BTreeMap<String, (String, Position, bool)>,
    /// The variables in scope, innermost last.
    pub(super) variables: Vec<Variable>,
    /// The constants of the file, which its functions see.
    constants: BTreeMap<String, ValueKind>,
    /// The functions that something calls.
    pub(super) called: BTreeSet<String>,
    /// Closures that were walked with what they are given.
    pub(super) walked: BTreeSet<String>,
    params_used: BTreeSet<String>,
    pub(crate) found: Vec<(Position, Severity, String, Option<String>)>,
    /// The places of those by which a rule would judge nothing.
    pub(crate) slips: Vec<Position>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(
        script: &'a Script,
        role: Role,
        declared: Option<&'a BTreeMap<String, Position>>,
        exports: BTreeMap<String, Vec<(String, usize)>>,
    ) -> Self {
        Self {
            script,
            role,
            declared,
            exports,
            imports: BTreeMap::new(),
            variables: Vec::new(),
            constants: BTreeMap::new(),
            called: BTreeSet::new(),
            walked: BTreeSet::new(),
            params_used: BTreeSet::new(),
            slips: Vec::new(),
            found: Vec::new(),
        }
    }

    /// Walks everything, then reports what nothing uses.
    pub(crate) fn whole(&mut self) {
        let script = self.script;
        self.block(&script.main);
        for function in script.functions.iter().filter(|function| !is_closure(&function.name)) {
            if is_known_function(&function.name) {
                let name = &function.name;
                self.warn(
                    function.start,
                    format!("the function `{name}` hides one of the host's or the language's"),
                    Some("give it a name of its own".to_owned()),
                );
            }
            let kinds = self.given_to(function);
            self.function(function, &kinds);
        }
        for function in script.functions.iter().filter(|function| is_closure(&function.name)) {
            if !self.walked.contains(&function.name) {
                self.function(function, &[]);
            }
        }
        self.left_over();
    }

    /// Returns the types that the host passes to a function that it calls.
    fn given_to(&self, function: &Function) -> Vec<ValueKind> {
        let of = |name: &str| ValueKind::Of(name.to_owned());
        match (self.role, function.name.as_str()) {
            (Role::Policy, "review") => vec![of("Changes"), of("Run")],
            (Role::Policy, "review_change") => vec![of("Change"), of("Run")],
            _ => Vec::new(),
        }
    }

    fn left_over(&mut self) {
        let is_entry = |name: &str| match self.role {
            Role::Policy => name == "review" || name == "review_change",
            Role::Test => name.starts_with("test_"),
            Role::Library => true,
            Role::Skill => false,
        };
        let unused: Vec<_> = self
            .script
            .functions
            .iter()
            .filter(|function| !is_closure(&function.name) && !is_entry(&function.name))
            .filter(|function| !self.called.contains(&function.name))
            .map(|function| (function.start, function.name.clone()))
            .collect();
        for (at, name) in unused {
            self.warn(at, format!("the function `{name}` is not called"), None);
        }
        let imports = std::mem::take(&mut self.imports);
        for (alias, (path, at, used)) in imports {
            if !used {
                let message = format!("nothing of the library `{path}` is used (as `{alias}`)");
                self.warn(at, message, None);
            }
        }
        for (name, at) in self.declared.into_iter().flatten() {
            if !self.params_used.contains(name) {
                self.warn(
                    *at,
                    format!("the parameter `{name}` is declared and not used"),
                    Some(format!("use `params.{name}`, or remove it from the doc comment")),
                );
            }
        }
    }

    fn warn(&mut self, at: Position, message: String, hint: Option<String>) {
        self.found.push((at, Severity::Warning, message, hint));
    }

    pub(super) fn error(&mut self, at: Position, message: String, hint: Option<String>) {
        self.found.push((at, Severity::Error, message, hint));
    }

    /// Reports an error for which a policy is refused.
    pub(super) fn slip(&mut self, at: Position, message: String, hint: Option<String>) {
        self.slips.push(at);
        self.error(at, message, hint);
    }

    // Scopes

    pub(super) fn function(&mut self, function: &Function, kinds: &[ValueKind]) {
        let outside = std::mem::take(&mut self.variables);
        for (n, name) in function.params.iter().enumerate() {
            let kind = kinds.get(n).cloned().unwrap_or(ValueKind::Any);
            self.declare(name, kind, function.start, false);
        }
        self.block(&function.body);
        self.leave(0);
        self.variables = outside;
    }

    pub(super) fn block(&mut self, statements: &[Stmt]) -> ValueKind {
        let outer = self.variables.len();
        let mut kind = ValueKind::Any;
        for (n, statement) in statements.iter().enumerate() {
            // The last one of a block is its value.
            if n + 1 < statements.len() {
                self.thrown_away(statement);
            }
            kind = self.statement(statement);
        }
        self.leave(outer);
        kind
    }

    /// Reports a call that only returns a new value, which nobody takes: `title.trim();`.
    fn thrown_away(&mut self, statement: &Stmt) {
        let Stmt::Expr(expression) = statement else { return };
        let (mut rest, mut variable) = (&**expression, None);
        if let Expr::Dot(dot, ..) = rest
            && let Expr::Variable(of, ..) = &dot.lhs
        {
            variable = Some(of.1.to_string());
        }
        while let Expr::Dot(dot, ..) | Expr::Index(dot, ..) = rest {
            rest = &dot.rhs;
        }
        let Expr::MethodCall(call, at) = rest else { return };
        let name = call.name.as_str();
        if !RETURNS_ONLY.contains(&name) {
            return;
        }
        let whole =
            matches!(&**expression, Expr::Dot(dot, ..) if matches!(dot.rhs, Expr::MethodCall(..)));
        let hint = match variable.filter(|_| whole) {
            Some(of) => format!("write `{of} = {of}.{name}(…)`, or use the result"),
            None => "use the result, for example `let new = …;`".to_owned(),
        };
        let message = format!("`{name}` returns a new value, and nothing is done with it");
        self.error(*at, message, Some(hint));
    }

    pub(super) fn declare(&mut self, name: &str, kind: ValueKind, at: Position, counts: bool) {
        let counts = counts && !name.starts_with('_');
        self.variables.push(Variable { name: name.to_owned(), kind, at, used: false, counts });
    }

    fn leave(&mut self, outer: usize) {
        for variable in self.variables.split_off(outer.min(self.variables.len())) {
            if variable.counts && !variable.used {
                let name = variable.name;
                self.warn(
                    variable.at,
                    format!("the variable `{name}` is not used"),
                    Some(format!("remove it, or call it `_{name}`")),
                );
            }
        }
    }

    fn look_up(&mut self, name: &str) -> ValueKind {
        match self.variables.iter_mut().rev().find(|variable| variable.name == name) {
            Some(variable) => {
                variable.used = true;
                variable.kind.clone()
            }
            None => self.constants.get(name).cloned().unwrap_or(ValueKind::Any),
        }
    }

    // Statements

    fn statement(&mut self, statement: &Stmt) -> ValueKind {
        match statement {
            Stmt::Var(variable, flags, at) => {
                let (name, value, _) = &**variable;
                let mut kind = self.expression(value);
                if let (true, Expr::StringConstant(text, _)) =
                    (flags.contains(ASTFlags::CONSTANT), value)
                {
                    kind = ValueKind::Constant(vec![text.to_string()]);
                }
                if self.variables.iter().any(|variable| variable.name == name.name.as_str()) {
                    let message = format!("`{}` is already declared and hidden here", name.name);
                    self.warn(*at, message, Some("give it a name of its own".to_owned()));
                }
                if flags.contains(ASTFlags::CONSTANT) {
                    self.constants.insert(name.name.to_string(), kind.clone());
                }
                let counts = !flags.intersects(ASTFlags::CONSTANT | ASTFlags::EXPORTED);
                self.declare(&name.name, kind, *at, counts);
            }
            Stmt::Assignment(assignment) => {
                self.assignment(&assignment.1, assignment.0.is_op_assignment());
            }
            Stmt::Expr(expression) => return self.expression(expression),
            Stmt::FnCall(call, at) => return self.call(call, *at),
            Stmt::If(flow, _) => {
                self.expression(&flow.expr);
                let one = self.block(flow.body.statements());
                let other = self.block(flow.branch.statements());
                return one.or(&other);
            }
            Stmt::While(flow, _) | Stmt::Do(flow, ..) => {
                self.expression(&flow.expr);
                self.block(flow.body.statements());
            }
            Stmt::For(parts, at) => {
                let (name, counter, flow) = &**parts;
                let item = self.expression(&flow.expr).item();
                let outer = self.variables.len();
                self.declare(&name.name, item, *at, false);
                if let Some(counter) = counter {
                    self.declare(&counter.name, ValueKind::Of("int".to_owned()), *at, false);
                }
                self.block(flow.body.statements());
                self.leave(outer);
            }
            Stmt::Switch(switch, at) => {
                let kind = self.expression(&switch.0);
                self.switched(&kind, &switch.1, *at);
                for case in &switch.1.expressions {
                    self.expression(&case.lhs);
                    self.expression(&case.rhs);
                }
            }
            Stmt::Block(block) => return self.block(block.statements()),
            Stmt::TryCatch(flow, at) => {
                self.block(flow.body.statements());
                let outer = self.variables.len();
                if let Expr::Variable(error, ..) = &flow.expr {
                    self.declare(&error.1, ValueKind::Any, *at, false);
                }
                self.block(flow.branch.statements());
                self.leave(outer);
            }
            Stmt::BreakLoop(value, ..) | Stmt::Return(value, ..) => {
                if let Some(value) = value {
                    self.expression(value);
                }
            }
            Stmt::Import(import, at) => self.import(&import.0, &import.1.name, *at),
            Stmt::Export(export, _) => {
                self.look_up(&export.0.name);
            }
            Stmt::Share(captured) => {
                for (name, _) in &**captured {
                    self.look_up(&name.name);
                }
            }
            Stmt::Noop(_) => {}
            _ => {}
        }
        ValueKind::Any
    }

    fn import(&mut self, path: &Expr, alias: &str, at: Position) {
        let Expr::StringConstant(path, _) = path else { return };
        if is_known_function(alias) {
            let message = format!("the import `{alias}` has the name of a function of the host");
            self.warn(at, message, Some("import it under another name".to_owned()));
        }
        self.imports.insert(alias.to_owned(), (path.to_string(), at, false));
    }

    fn assignment(&mut self, sides: &BinaryExpr, with_operator: bool) {
        let given = self.expression(&sides.rhs);
        match &sides.lhs {
            // A variable that is only written to is not used.
            Expr::Variable(written, ..) if !with_operator => {
                if let Some(variable) =
                    self.variables.iter_mut().rev().find(|other| other.name == written.1.as_str())
                {
                    variable.kind = variable.kind.clone().or(&given);
                }
            }
            Expr::Dot(dot, ..) => {
                let on = self.expression(&dot.lhs);
                self.chain(on, &dot.rhs, true);
            }
            other => {
                self.expression(other);
            }
        }
    }

    // Expressions

    pub(super) fn expression(&mut self, expression: &Expr) -> ValueKind {
        let of = |name: &str| ValueKind::Of(name.to_owned());
        match expression {
            Expr::DynamicConstant(value, _) => {
                if let Some(function) = value.read_lock::<FnPtr>() {
                    let name = function.fn_name().to_owned();
                    self.closure(&name, &[]);
                }
                texts_of(expression).map_or(ValueKind::Any, ValueKind::Written)
            }
            Expr::BoolConstant(..) => of("true or false"),
            Expr::IntegerConstant(..) => of("int"),
            Expr::FloatConstant(..) => of("float"),
            Expr::CharConstant(..) | Expr::StringConstant(..) => of("text"),
            Expr::InterpolatedString(parts, _) => {
                for part in parts {
                    self.expression(part);
                }
                of("text")
            }
            Expr::Array(items, _) => {
                for item in items {
                    self.expression(item);
                }
                // Anything may be pushed to it later.
                let any = || ValueKind::List(Box::new(ValueKind::Any));
                texts_of(expression).map_or_else(any, ValueKind::Written)
            }
            Expr::Map(map, _) => {
                for (_, value) in &map.0 {
                    self.expression(value);
                }
                of("map")
            }
            Expr::Variable(variable, ..) => {
                if !variable.2.is_empty() {
                    self.use_import(variable.2.root());
                    return ValueKind::Any;
                }
                self.look_up(&variable.1)
            }
            Expr::FnCall(call, at) | Expr::MethodCall(call, at) => self.call(call, *at),
            Expr::Dot(dot, ..) => {
                if let (Expr::Variable(variable, ..), Expr::Property(property, at)) =
                    (&dot.lhs, &dot.rhs)
                    && variable.1.as_str() == "params"
                {
                    self.parameter(&property.2, *at);
                }
                if let (Expr::Variable(variable, ..), Expr::Dot(rest, ..)) = (&dot.lhs, &dot.rhs)
                    && let (Expr::Property(property, at), "params") =
                        (&rest.lhs, variable.1.as_str())
                {
                    self.parameter(&property.2, *at);
                }
                let on = self.expression(&dot.lhs);
                self.chain(on, &dot.rhs, false)
            }
            Expr::Index(index, ..) => {
                let on = self.expression(&index.lhs);
                self.chain_index(&on, &index.rhs)
            }
            Expr::And(parts, _) | Expr::Or(parts, _) => {
                for part in parts.iter() {
                    self.expression(part);
                }
                of("true or false")
            }
            Expr::Coalesce(parts, _) => {
                let kinds: Vec<ValueKind> =
                    parts.iter().map(|part| self.expression(part)).collect();
                let first = kinds.first().cloned().unwrap_or(ValueKind::Any);
                kinds.iter().fold(first, ValueKind::or)
            }
            Expr::Stmt(block) => self.block(block.statements()),
            _ => ValueKind::Any,
        }
    }

    fn chain_index(&mut self, on: &ValueKind, index: &Expr) -> ValueKind {
        // `a[0].title`: the rest of the chain hangs on the index.
        match index {
            Expr::Dot(dot, ..) => {
                self.expression(&dot.lhs);
                self.chain(on.item(), &dot.rhs, false)
            }
            Expr::Index(inner, ..) => {
                self.expression(&inner.lhs);
                self.chain_index(&on.item(), &inner.rhs)
            }
            other => {
                self.expression(other);
                on.item()
            }
        }
    }

    /// Walks what follows a dot.
    fn chain(&mut self, on: ValueKind, rest: &Expr, is_set: bool) -> ValueKind {
        match rest {
            Expr::Property(property, at) => self.property(&on, &property.2, *at, is_set),
            Expr::MethodCall(call, at) => self.method(&on, call, *at),
            Expr::Dot(dot, ..) => {
                let is_of_board = on.host().is_some();
                let next = self.chain(on, &dot.lhs, false);
                if let (true, ValueKind::List(_)) = (is_of_board, &next)
                    && let (Expr::Property(property, _), Expr::MethodCall(call, at)) =
                        (&dot.lhs, &dot.rhs)
                {
                    self.change_of_board(&property.2, call, *at);
                }
                self.chain(next, &dot.rhs, is_set)
            }
            Expr::Index(index, ..) => {
                let next = self.chain(on, &index.lhs, false);
                self.chain_index(&next, &index.rhs)
            }
            other => self.expression(other),
        }
    }

    fn property(&mut self, on: &ValueKind, name: &str, at: Position, is_set: bool) -> ValueKind {
        let Some(host) = on.host() else {
            if *on == ValueKind::Any {
                return self.by_name(name);
            }
            self.property_of_nobody(on, name, at);
            return ValueKind::Any;
        };
        let Some(found) = property(host, name) else {
            let names = catalog().of(Some(host)).map(|member| member.name.as_str());
            let hint = match functions(Some(host), name).next() {
                Some(function) => Some(format!("it is a function: `{}`", function.signature())),
                None => did_you_mean(name, names),
            };
            self.error(at, format!("a {host} has no property `{name}`"), hint);
            return ValueKind::Any;
        };
        if is_set && found.settable.is_none() {
            self.error(at, format!("`{name}` of a {host} cannot be set"), None);
        }
        ValueKind::of_property(found)
    }

    /// Reports a property that neither lists nor texts have.
    fn property_of_nobody(&mut self, on: &ValueKind, name: &str, at: Position) {
        let (what, of) = match on {
            ValueKind::List(_) | ValueKind::Written(_) => ("a list", "List"),
            _ if on.name() == Some("text") => ("a text", "text"),
            _ => return,
        };
        let mut members = catalog().of(Some(of));
        if catalog().is_of_language(name) || members.any(|member| member.name == name) {
            return;
        }
        let hint = did_you_mean(name, catalog().language_functions());
        self.error(at, format!("{what} has no property `{name}`"), hint);
    }

    fn parameter(&mut self, name: &str, at: Position) {
        self.params_used.insert(name.to_owned());
        let Some(declared) = self.declared else { return };
        if !declared.contains_key(name) {
            let hint = did_you_mean(name, declared.keys().map(String::as_str))
                .or_else(|| Some("declare it in the doc comment's [params]".to_owned()));
            self.error(at, format!("there is no parameter `{name}`"), hint);
        }
    }

    pub(super) fn use_import(&mut self, alias: &str) -> Option<String> {
        if let Some((path, _, used)) = self.imports.get_mut(alias) {
            *used = true;
            return Some(path.clone());
        }
        None
    }
}

/// Returns the texts of an array that is written as nothing but texts.
fn texts_of(expression: &Expr) -> Option<Vec<String>> {
    let items = expression.get_literal_value(None)?.into_array().ok()?;
    items.into_iter().map(|item| item.into_string().ok()).collect()
}

pub(super) fn is_closure(name: &str) -> bool {
    name.starts_with("anon$")
}
