//! The check for comparisons that can only come out one way, or not at all: `change.op == "delte"`.
//!
//! A rule that never holds judges nothing, and nobody notices. So a policy with one is refused, and
//! `check` reports it in every script.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use rhai::{Engine, Expr, Position, Stmt, SwitchCasesCollection};

use crate::model::as_read::as_read;
use crate::script::api::date::day_of_text;
use crate::script::finding::Role;
use crate::script::lint::kind::{ValueKind, property};
use crate::script::lint::walk::Walk;
use crate::script::sandbox::habits::did_you_mean;

/// Properties whose name alone tells their type in a policy, whatever they are read from.
const KNOWN_BY_NAME: [(&str, &str); 5] = [
    ("Change", "op"),
    ("Change", "entity"),
    ("Change", "fields"),
    ("Task", "progress"),
    ("Date", "weekday"),
];

/// The host's types that are compared with a text.
const WITH_TEXT: [&str; 4] = ["Date", "User", "Plan", "Bucket"];

impl Walk<'_> {
    /// Checks a comparison: its two sides, and what is known of each.
    pub(super) fn compared(
        &mut self,
        sign: &str,
        sides: &[Expr],
        kinds: &[ValueKind],
        at: Position,
    ) {
        let ([left, right], [of_left, of_right]) = (sides, kinds) else { return };
        match sign {
            "==" | "!=" | "<" | "<=" | ">" | ">=" => {
                self.never_the_word(of_left, right, at);
                self.never_the_word(of_right, left, at);
                for (kind, other) in [(of_left, of_right), (of_right, of_left)] {
                    if let ValueKind::Constant(texts) = other {
                        texts.iter().for_each(|text| self.never_the_text(kind, text, at));
                    }
                }
                self.incomparable(sign, (left, of_left), (right, of_right), at);
                self.never_as_read(left, right, at);
                self.never_as_read(right, left, at);
            }
            // `item in list`: the list comes first.
            "contains" | "includes" => self.contained((left, of_left), (right, of_right), at),
            _ => {}
        }
    }

    /// Checks a search for an item in a list.
    pub(super) fn contained(
        &mut self,
        (list, of_list): (&Expr, &ValueKind),
        (item, of_item): (&Expr, &ValueKind),
        at: Position,
    ) {
        self.never_the_word(&of_list.item(), item, at);
        if let Expr::Array(items, _) = list {
            for other in items {
                self.never_the_word(of_item, other, at);
                let of_other = literal(other);
                self.incomparable("==", (item, of_item), (other, &of_other), at);
            }
        } else if let (ValueKind::Written(texts), ValueKind::Words(words)) = (of_list, of_item)
            && let Some(never) = texts.iter().find(|text| !words.contains(text))
        {
            let near = did_you_mean(never, words.iter().map(String::as_str));
            self.slip(at, format!("it is never `{never}`"), near.or_else(|| Some(one_of(words))));
        }
    }

    /// Checks a `switch`, whose cases match only equal values of the same type.
    pub(super) fn switched(
        &mut self,
        kind: &ValueKind,
        cases: &SwitchCasesCollection,
        at: Position,
    ) {
        if let ValueKind::Words(words) = kind {
            let known = hashes_of(words);
            if cases.cases.keys().any(|case| !known.contains(case)) {
                let message = "a case of the `switch` never matches".to_owned();
                self.slip(at, message, Some(one_of(words)));
            }
        } else if let Some(host) = kind.host()
            && !cases.cases.is_empty()
        {
            let message = format!("no case of a `switch` is ever a {host}");
            self.slip(at, message, Some("switch over its name, title or id".to_owned()));
        } else if *kind == ValueKind::Any && self.role == Role::Policy && !cases.cases.is_empty() {
            // The engine compares a case by its hash: a bucket with its name, or a date with a text, is
            // just no match, and the rule judges nothing.
            let message = "a `switch` may miss a value whose type is not known here".to_owned();
            let hint = "write `if … == …`, which compares as it reads";
            self.slip(at, message, Some(hint.to_owned()));
        }
    }

    /// Checks a text given to a function that takes the name of a field.
    pub(super) fn field_named(&mut self, given: &Expr, at: Position) {
        if let Expr::StringConstant(name, _) = given
            && crate::change::Field::parse(name).is_none()
        {
            let names = crate::change::Field::all().map(crate::change::Field::script_name);
            let hint = did_you_mean(name, names);
            self.slip(at, format!("there is no field `{name}`"), hint);
        }
    }

    /// Returns the kind of a property by its name alone, where its owner is not known.
    pub(super) fn by_name(&self, name: &str) -> ValueKind {
        let known =
            KNOWN_BY_NAME.iter().find(|(_, known)| *known == name && self.role == Role::Policy);
        let Some((on, _)) = known else { return ValueKind::Any };
        property(on, name).map_or(ValueKind::Any, ValueKind::of_property)
    }

    /// Checks a text that is compared with what `as_read(…)` gives, which has no capitals, for example.
    fn never_as_read(&mut self, call: &Expr, other: &Expr, at: Position) {
        if let (Expr::FnCall(call, _), Expr::StringConstant(text, _)) = (call, other)
            && call.name == "as_read"
            && as_read(text) != text.as_str()
        {
            let hint = format!("compare with as_read({text:?})");
            self.slip(at, format!("`as_read(…)` is never `{text}`"), Some(hint));
        }
    }

    fn never_the_word(&mut self, kind: &ValueKind, other: &Expr, at: Position) {
        if let Expr::StringConstant(text, _) = other {
            self.never_the_text(kind, text, at);
        }
    }

    fn never_the_text(&mut self, kind: &ValueKind, text: &str, at: Position) {
        let ValueKind::Words(words) = kind else { return };
        if !words.iter().any(|word| word == text) {
            let near = did_you_mean(text, words.iter().map(String::as_str));
            self.slip(at, format!("it is never `{text}`"), near.or_else(|| Some(one_of(words))));
        }
    }

    fn incomparable(
        &mut self,
        sign: &str,
        (left, of_left): (&Expr, &ValueKind),
        (right, of_right): (&Expr, &ValueKind),
        at: Position,
    ) {
        for (kind, other) in [(of_left, right), (of_right, left)] {
            if let (ValueKind::Of(name), Expr::StringConstant(text, _)) = (kind, other)
                && name == "Date"
                && day_of_text(text).is_none()
            {
                let hint = "a date is written as \"2026-12-24\"".to_owned();
                self.slip(at, format!("`{text}` is not a date"), Some(hint));
                return;
            }
        }
        let (Some(a), Some(b)) = (of_left.name(), of_right.name()) else { return };
        if !are_comparable(sign, a, b) {
            let hint = (sign != "==" && sign != "!=" && a == b)
                .then(|| "they have no order, only `==` and `!=`".to_owned());
            self.slip(at, format!("`{sign}` cannot compare {} with {}", one(a), one(b)), hint);
        }
    }
}

/// Returns whether two types can be compared; what is not known can.
fn are_comparable(sign: &str, a: &str, b: &str) -> bool {
    let is_order = sign != "==" && sign != "!=";
    let is_number = |kind: &str| kind == "int" || kind == "float";
    let ordered = |kind: &str| matches!(kind, "text" | "true or false" | "Date" | "Days");
    let is_known = |kind: &str| {
        is_number(kind)
            || ordered(kind)
            || kind == "map"
            || ValueKind::Of(kind.to_owned()).host().is_some()
    };
    if !is_known(a) || !is_known(b) || (is_number(a) && is_number(b)) {
        return true;
    }
    if a == b {
        return !is_order || ordered(a);
    }
    let (("text", other) | (other, "text")) = (a, b) else { return false };
    WITH_TEXT.contains(&other) && (!is_order || other == "Date")
}

/// Returns the kind of a literal.
fn literal(expression: &Expr) -> ValueKind {
    let name = match expression {
        Expr::BoolConstant(..) => "true or false",
        Expr::IntegerConstant(..) => "int",
        Expr::FloatConstant(..) => "float",
        Expr::CharConstant(..) | Expr::StringConstant(..) | Expr::InterpolatedString(..) => "text",
        _ => return ValueKind::Any,
    };
    ValueKind::Of(name.to_owned())
}

/// Returns a type with its article.
pub(super) fn one(kind: &str) -> String {
    match kind {
        "text" | "true or false" | "Changes" => kind.to_owned(),
        "int" => "an int".to_owned(),
        other => format!("a {other}"),
    }
}

fn one_of(words: &[String]) -> String {
    let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    format!("it is one of {}", words.join(", "))
}

/// Returns the hashes of words as cases of a `switch`: the engine keeps nothing else of them.
fn hashes_of(words: &[String]) -> BTreeSet<u64> {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    let cases: Vec<_> = words.iter().map(|word| format!("{word:?} => 0")).collect();
    let engine = ENGINE.get_or_init(|| {
        let mut engine = Engine::new_raw();
        engine.set_optimization_level(rhai::OptimizationLevel::None);
        engine
    });
    let ast = engine.compile(format!("switch 0 {{ {} }}", cases.join(", "))).unwrap_or_default();
    let hashes = ast.statements().iter().filter_map(|statement| match statement {
        Stmt::Switch(over, _) => Some(over.1.cases.keys().copied().collect::<Vec<_>>()),
        _ => None,
    });
    hashes.flatten().collect()
}
