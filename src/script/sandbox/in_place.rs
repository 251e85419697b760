//! What a syntax tree tells before it is run; above all, calls that would change a text of the board
//! in place.
//!
//! The texts of a board can be changed with `task.description += "…"`, so their getters return
//! plain texts. But many of the engine's text functions change a text in place, and after a call on
//! a property the engine writes the property back: `task.title.trim()` would rename the task and
//! return nothing. Which property a function is called on shows in the source, so the call is
//! refused there.

use std::collections::BTreeMap;

use rhai::{AST, ASTNode, Expr, Position, Stmt};

/// Properties with a setter that are texts.
const TEXTS: [&str; 3] = ["title", "description", "name"];
/// Functions that change a text in place.
const IN_PLACE: [&str; 8] =
    ["append", "clear", "insert", "make_lower", "make_upper", "pop", "set", "split_off"];

/// A function that would change a property in place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InPlace {
    pub(crate) property: String,
    pub(crate) function: String,
    pub(crate) at: Position,
}

/// Finds the first call that would change a text of the board in place.
pub(crate) fn in_place_call(ast: &AST) -> Option<InPlace> {
    let mut found = None;
    ast.walk(&mut |path: &[ASTNode<'_>]| {
        let Some(ASTNode::Expr(Expr::Dot(dot, ..))) = path.last() else { return true };
        let property = match &dot.lhs {
            Expr::Property(property, _) => Some(property.2.as_str()),
            _ => None,
        };
        let call = match &dot.rhs {
            Expr::MethodCall(call, at) => Some((call.name.as_str(), *at)),
            Expr::Dot(rest, ..) => match &rest.lhs {
                Expr::MethodCall(call, at) => Some((call.name.as_str(), *at)),
                _ => None,
            },
            _ => None,
        };
        if let (Some(property), Some((function, at))) = (property, call)
            && TEXTS.contains(&property)
            && IN_PLACE.contains(&function)
        {
            let (property, function) = (property.to_owned(), function.to_owned());
            found = Some(InPlace { property, function, at });
        }
        found.is_none()
    });
    found
}

/// Returns the parameters that a skill reads by name, with the place of the first time. None, if it
/// asks itself which there are (`"days" in params`).
pub(crate) fn read_params(ast: &AST) -> Vec<(String, Position)> {
    let mut read: Vec<(String, Position)> = Vec::new();
    let mut asks = false;
    ast.walk(&mut |path: &[ASTNode<'_>]| {
        let is_params = |expression: &Expr| matches!(expression, Expr::Variable(of, ..) if of.1.as_str() == "params");
        match path.last() {
            Some(ASTNode::Expr(Expr::Dot(dot, ..))) if is_params(&dot.lhs) => {
                let first = match &dot.rhs {
                    Expr::Dot(rest, ..) | Expr::Index(rest, ..) => &rest.lhs,
                    other => other,
                };
                match first {
                    Expr::Property(property, at) => {
                        let name = property.2.as_str();
                        if !read.iter().any(|(known, _)| known == name) {
                            read.push((name.to_owned(), *at));
                        }
                    }
                    _ => asks = true,
                }
            }
            Some(ASTNode::Expr(Expr::Index(index, ..))) if is_params(&index.lhs) => {
                let first = match &index.rhs {
                    Expr::Dot(rest, ..) | Expr::Index(rest, ..) => &rest.lhs,
                    other => other,
                };
                match first {
                    Expr::StringConstant(name, at) => {
                        if !read.iter().any(|(known, _)| known == name.as_str()) {
                            read.push((name.to_string(), *at));
                        }
                    }
                    _ => asks = true,
                }
            }
            Some(ASTNode::Expr(Expr::FnCall(call, _))) if call.args.iter().any(is_params) => {
                asks = true;
            }
            _ => {}
        }
        true
    });
    if asks { Vec::new() } else { read }
}

/// Returns the closures that only ask for a property of their argument, each with that: `|t| t.due`.
pub(crate) fn closures_that_ask(ast: &AST) -> BTreeMap<String, String> {
    // The engine shows the statements of functions, but not whose they are: their positions tell.
    let mut asks: BTreeMap<Position, (String, String)> = BTreeMap::new();
    ast.walk(&mut |path: &[ASTNode<'_>]| {
        if let [ASTNode::Stmt(Stmt::Expr(expression))] = path
            && let Expr::Dot(dot, ..) = &**expression
            && let (Expr::Variable(item, ..), Expr::Property(property, _)) = (&dot.lhs, &dot.rhs)
        {
            let at = expression.start_position();
            asks.insert(at, (item.1.to_string(), property.2.to_string()));
        }
        true
    });
    if asks.is_empty() {
        return BTreeMap::new();
    }
    let library = ast.shared_lib();
    let closures = ast.iter_functions().filter(|function| function.name.starts_with("anon$"));
    closures
        .filter_map(|function| {
            let [parameter] = function.params.as_slice() else { return None };
            let (item, property) =
                asks.get(&library.get_script_fn(function.name, 1)?.body.start_position())?;
            (item == parameter).then(|| (function.name.to_owned(), property.clone()))
        })
        .collect()
}

/// Returns how deep statements and expressions are nested in each other.
pub(crate) fn nesting(ast: &AST) -> usize {
    let mut deepest = 0;
    ast.walk(&mut |path: &[ASTNode<'_>]| {
        deepest = deepest.max(path.len());
        true
    });
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::sandbox::engine::for_compiling;
    use crate::script::source::ScriptKind;

    #[test]
    fn closures_that_only_ask_are_known() {
        let engine = for_compiling(ScriptKind::Skill);
        let asked = |text: &str| {
            let ast = engine.compile(text).unwrap();
            closures_that_ask(&ast).into_values().collect::<Vec<_>>()
        };
        assert_eq!(
            asked("[1].map(|t| t.due); [1].map(|t| t.due.day); [1].map(|t| t.f())"),
            ["due"]
        );
        assert_eq!(asked("let x = 1; [1].map(|t| x.due); x.title; fn f(t) { t.due }"), [""; 0]);
    }

    #[test]
    fn a_call_in_place_is_found_wherever_it_stands() {
        let engine = for_compiling(ScriptKind::Skill);
        let found = |text: &str| in_place_call(&engine.compile(text).unwrap());
        for text in [
            "let t = 1; t.title.clear();",
            "let t = [1]; t[0].title.make_lower();",
            "let t = 1; t.plan.title.append(\"b\");",
            "fn f(t) { if true { t.description.clear(); } }",
            "let f = |t| t.name.make_upper();",
            "let t = 1; t.title.clear().len();",
        ] {
            assert!(found(text).is_some(), "{text}");
        }
        for text in [
            "let t = 1; let title = t.title; title.clear();",
            "let t = 1; t.title.trim().replace(\"a\", \"b\");",
            "let t = 1; t.title.len(); t.title.to_upper(); t.title.split(\" \");",
            "let t = 1; t.title += \"x\";",
            "let t = 1; t.labels.remove(0);",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
    }
}
