//! The check of calls: whether the function exists, what it takes, and what it returns.

use rhai::{Expr, FnCallExpr, FnPtr, Position, Stmt};

use crate::script::catalog::{Form, Member, catalog};
use crate::script::finding::Role;
use crate::script::lint::compare::one;
use crate::script::lint::kind::{ValueKind, functions, of_language, property};
use crate::script::lint::walk::{Walk, is_closure};
use crate::script::sandbox::habits::{did_you_mean, of_name};

impl Walk<'_> {
    pub(super) fn method(&mut self, on: &ValueKind, call: &FnCallExpr, at: Position) -> ValueKind {
        let name = call.name.as_str();
        self.called.insert(name.to_owned());
        let arguments: Vec<ValueKind> =
            call.args.iter().map(|argument| self.argument(on, argument)).collect();
        if let ("contains" | "includes", [item], [of_item]) =
            (name, call.args.as_ref(), arguments.as_slice())
        {
            self.contained((&Expr::Unit(at), on), (item, of_item), at);
        }
        self.fields_given(on, call);
        let is_own = self.script.named(name).next().is_some();
        let Some(host) = on.host() else {
            if !is_own {
                self.method_of_nobody(on, name, at);
            }
            return of_language(on, name);
        };
        let mut members = functions(Some(host), name).peekable();
        if members.peek().is_none() {
            let everywhere = matches!(name, "to_string" | "to_debug" | "type_of" | "is_shared");
            let is_loop = host == "Changes" && catalog().is_of_language(name);
            if !is_own && !everywhere && !is_loop {
                let names = catalog().of(Some(host)).map(|member| member.name.as_str());
                let hint = match property(host, name) {
                    Some(_) => Some(format!("it is a property: `{name}`, without the brackets")),
                    None => did_you_mean(name, names),
                };
                self.error(at, format!("a {host} has no function `{name}`"), hint);
            }
            return ValueKind::Any;
        }
        let told: Vec<_> = members.collect();
        match told.iter().find(|member| member.params.len() == arguments.len()) {
            Some(member) => {
                for (given, param) in arguments.iter().zip(&member.params) {
                    self.fits(name, given, &param.kind, at);
                }
                if (host, name) == ("Change", "sets")
                    && let [field] = call.args.as_ref()
                {
                    self.field_named(field, at);
                }
                ValueKind::from_signature(&member.returns)
            }
            None if is_own => ValueKind::Any,
            None => {
                let told: Vec<_> =
                    told.iter().map(|member| format!("`{}`", member.in_full())).collect();
                let message =
                    format!("`{name}` does not take {}", counted(arguments.len(), "argument"));
                self.error(at, message, Some(format!("it is {}", told.join(" or "))));
                ValueKind::Any
            }
        }
    }

    /// Reports a function that nothing has. A map may hold one of any name, and so may a value of unknown type;
    /// of the latter, only the habits of other languages are reported.
    fn method_of_nobody(&mut self, on: &ValueKind, name: &str, at: Position) {
        const EVERYWHERE: [&str; 6] =
            ["call", "curry", "to_string", "to_debug", "type_of", "is_shared"];
        let all = catalog();
        let mut functions = all.members().iter().filter(|member| member.form == Form::Function);
        let is_map = on.name() == Some("map");
        let is_known = all.is_of_language(name) || functions.any(|member| member.name == name);
        if is_map || is_known || EVERYWHERE.contains(&name) {
            return;
        }
        let habit = of_name(name);
        if *on == ValueKind::Any && habit.is_none() {
            return;
        }
        let names = all.language_functions();
        let hint = habit.or_else(|| did_you_mean(name, names));
        self.error(at, format!("nothing has a function `{name}`"), hint);
    }

    /// Reports a change of a list of the board, which its properties hand out as it is.
    pub(super) fn change_of_board(&mut self, property: &str, call: &FnCallExpr, at: Position) {
        const CHANGES: [&str; 8] =
            ["push", "pop", "insert", "remove", "clear", "append", "shift", "truncate"];
        if !CHANGES.contains(&call.name.as_str()) {
            return;
        }
        let verb = match property {
            "labels" => "`add_label(…)` and `remove_label(…)`",
            "checklist" => "`add_checklist_item(…)`, and `delete()` of an item",
            "assignees" => "`assign(…)` and `unassign(…)`",
            "references" => "`add_reference(…)` and `remove_reference(…)`",
            "tasks" => "`create_task(#{ … })`, and `delete()` of a task",
            "buckets" => "`create_bucket(…)`, and `delete()` of a bucket",
            _ => "the functions of what it belongs to",
        };
        let message = format!("`{property}` is what the board has: its list cannot be changed");
        self.error(at, message, Some(format!("the board is changed with {verb}")));
    }

    /// Reports an argument that cannot be of the type taken.
    fn fits(&mut self, name: &str, given: &ValueKind, taken: &str, at: Position) {
        let scalar = ["text", "int", "float", "true or false", "map"];
        let Some(given) = given.name() else { return };
        let known =
            |kind: &str| scalar.contains(&kind) || ValueKind::Of(kind.to_owned()).host().is_some();
        if known(given) && known(taken) && given != taken {
            let message = format!("`{name}` takes {} here, not {}", one(taken), one(given));
            self.error(at, message, None);
        }
    }

    /// Walks an argument; a closure is given the items of what it is called on.
    fn argument(&mut self, on: &ValueKind, argument: &Expr) -> ValueKind {
        let item = on.item();
        match argument {
            Expr::DynamicConstant(value, _) => {
                if let Some(function) = value.read_lock::<FnPtr>() {
                    let name = function.fn_name().to_owned();
                    self.closure(&name, &[item.clone(), item]);
                    return ValueKind::Any;
                }
                self.expression(argument)
            }
            // What a closure captures is shared first.
            Expr::Stmt(block) => match block.statements() {
                [Stmt::Share(_), Stmt::Expr(inner)] => self.argument(on, inner),
                [Stmt::Share(_), Stmt::FnCall(call, at)] => {
                    self.argument(on, &Expr::FnCall(call.clone(), *at))
                }
                _ => self.expression(argument),
            },
            Expr::FnCall(call, _) if call.name == "curry" => {
                let mut kinds = Vec::new();
                for captured in call.args.iter().skip(1) {
                    kinds.push(self.expression(captured));
                }
                kinds.extend([item.clone(), item]);
                if let Some(Expr::DynamicConstant(value, _)) = call.args.first()
                    && let Some(function) = value.read_lock::<FnPtr>()
                {
                    let name = function.fn_name().to_owned();
                    self.closure(&name, &kinds);
                }
                ValueKind::Any
            }
            other => self.expression(other),
        }
    }

    pub(super) fn closure(&mut self, name: &str, kinds: &[ValueKind]) {
        self.called.insert(name.to_owned());
        let script = self.script;
        if is_closure(name) && self.walked.insert(name.to_owned()) {
            for function in script.named(name) {
                self.function(function, kinds);
            }
        }
    }

    /// Walks a call of a function by itself: `plan("…")`, `md::row([…])`.
    pub(super) fn call(&mut self, call: &FnCallExpr, at: Position) -> ValueKind {
        let name = call.name.as_str();
        let n = call.args.len();
        // The engine compiles a closure that captures variables to a call of `curry`.
        if name == "curry" {
            return self.argument(&ValueKind::Any, &Expr::FnCall(Box::new(call.clone()), at));
        }
        let arguments: Vec<ValueKind> =
            call.args.iter().map(|argument| self.expression(argument)).collect();
        // `item in list` is a call of `contains`, but no operator to the engine.
        if call.op_token.is_some() || matches!(name, "contains" | "includes") {
            self.compared(name, &call.args, &arguments, at);
        }
        if call.op_token.is_some() {
            return operator(name, &arguments);
        }
        if !call.namespace.is_empty() {
            let alias = call.namespace.root().to_owned();
            let path = self.use_import(&alias);
            let offered = path.as_ref().and_then(|path| self.exports.get(path));
            if let (Some(path), Some(offered)) = (&path, offered)
                && !offered.iter().any(|function| function.0 == name && function.1 == n)
            {
                let hint = match offered.iter().find(|function| function.0 == name) {
                    Some((_, takes)) => Some(format!("it takes {}", counted(*takes, "argument"))),
                    None => did_you_mean(name, offered.iter().map(|function| function.0.as_str())),
                };
                let message = format!(
                    "the library `{path}` has no function `{name}` with {}",
                    counted(n, "parameter")
                );
                self.error(at, message, hint);
            }
            return ValueKind::Any;
        }
        self.called.insert(name.to_owned());
        let own: Vec<usize> =
            self.script.named(name).map(|function| function.params.len()).collect();
        if own.contains(&n)
            || matches!(name, "Fn" | "call" | "type_of" | "is_def_var" | "is_def_fn")
        {
            return ValueKind::Any;
        }
        let all: Vec<_> = catalog()
            .members()
            .iter()
            .filter(|member| member.form == Form::Function && member.name == name)
            .collect();
        let takes = |member: &&&Member| member.params.len() + usize::from(member.on.is_some()) == n;
        // Skills and policies have some names in common, such as `warn`.
        let is_own = |member: &&&Member| match self.role {
            Role::Policy => member.policies,
            Role::Test => member.tests,
            Role::Skill | Role::Library => member.skills,
        };
        let fitting = all.iter().filter(takes).find(is_own).or_else(|| all.iter().find(takes));
        match fitting {
            Some(member) => {
                if self.role == Role::Policy && !member.policies {
                    let message =
                        format!("a policy cannot call `{name}`: it judges, and changes nothing");
                    self.error(at, message, None);
                } else if matches!(self.role, Role::Skill) && !member.skills {
                    self.error(at, format!("a skill cannot call `{name}`"), None);
                }
                if member.on.is_none() {
                    for (given, param) in arguments.iter().zip(&member.params) {
                        self.fits(name, given, &param.kind, at);
                    }
                }
                ValueKind::from_signature(&member.returns)
            }
            None if catalog().is_of_language(name) => {
                of_language(arguments.first().unwrap_or(&ValueKind::Any), name)
            }
            None if !own.is_empty() => {
                let message = format!("`{name}` does not take {}", counted(n, "argument"));
                self.error(at, message, Some(format!("it takes {}", counted(own[0], "argument"))));
                ValueKind::Any
            }
            None if !all.is_empty() => {
                let told: Vec<_> =
                    all.iter().take(3).map(|member| format!("`{}`", member.in_full())).collect();
                let message = format!("`{name}` does not take {}", counted(n, "argument"));
                self.error(at, message, Some(format!("it is {}", told.join(" or "))));
                ValueKind::Any
            }
            None if self.variables.iter().any(|variable| variable.name == name) => ValueKind::Any,
            None => {
                let own = self.script.functions.iter().map(|function| function.name.as_str());
                let hosts =
                    catalog().members().iter().filter(|member| member.form == Form::Function);
                let names: Vec<&str> = own
                    .filter(|name| !is_closure(name))
                    .chain(hosts.map(|member| member.name.as_str()))
                    .collect();
                let hint = did_you_mean(name, names);
                self.error(at, format!("there is no function `{name}`"), hint);
                ValueKind::Any
            }
        }
    }
}

/// Returns a number with its noun: `1 argument`, `2 arguments`.
fn counted(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

/// Returns the type that an operator gives.
fn operator(sign: &str, sides: &[ValueKind]) -> ValueKind {
    let of = |name: &str| ValueKind::Of(name.to_owned());
    match (sign, sides) {
        ("==" | "!=" | "<" | "<=" | ">" | ">=" | "!" | "in", _) => of("true or false"),
        ("+", [ValueKind::Words(_) | ValueKind::Constant(_), _]) => of("text"),
        ("+" | "-", [ValueKind::Of(a), ValueKind::Of(b)]) if a == "Date" && b == "Days" => {
            of("Date")
        }
        ("-", [ValueKind::Of(a), ValueKind::Of(b)]) if a == "Date" && b == "Date" => of("int"),
        (_, [a, b])
            if a == b
                && matches!(a, ValueKind::Of(kind) if kind == "int" || kind == "float" || kind == "text") =>
        {
            a.clone()
        }
        ("+", [ValueKind::Of(a), _]) if a == "text" => of("text"),
        _ => ValueKind::Any,
    }
}
