//! Explanations: the engine's errors turned into ones that a person, or an agent, can act on.

use rhai::{Dynamic, EvalAltResult, Position};

use crate::host::failure::Place;
use crate::host::{Failure, StopReason};
use crate::script::budget::{ARRAY_LIMIT, MAP_LIMIT, STRING_LIMIT};
use crate::script::catalog::plain;
use crate::script::sandbox::call_errors::{
    CHECK_FIRST, Explained, one, unknown_function, unknown_property,
};
use crate::script::sandbox::habits::{of_line, of_name};
use crate::script::sandbox::imports::is_limit;
use crate::script::sandbox::syntax_errors::{self, lower_first};
use crate::script::syntax::location::{Sources, locate};
use crate::script::syntax::sugar::original_column;

const MAX_TEXT: usize = 4096;

/// Explains an error of a script in `file`. A stop takes precedence over the error.
pub(crate) fn explain(
    error: &EvalAltResult,
    stop: Option<&StopReason>,
    file: &str,
    sources: &Sources,
) -> Failure {
    let mut frames = Vec::new();
    let mut place = (file.to_owned(), error.position());
    let mut inner = error;
    loop {
        match inner {
            EvalAltResult::ErrorInFunctionCall(name, source, deeper, at) => {
                // The engine gives the callee's file, but the position of the call, which is in the
                // caller's.
                frames.push(frame(name, &place.0, *at));
                let callee = if source.is_empty() { place.0.clone() } else { source.clone() };
                place = (callee, deeper.position());
                inner = deeper;
            }
            EvalAltResult::ErrorInModule(module, deeper, at) => {
                frames.push(frame(&format!("import of {module}"), &place.0, *at));
                place = (module.clone(), deeper.position());
                inner = deeper;
            }
            _ => break,
        }
    }
    frames.reverse();
    let (code, message, hint) = match stop {
        Some(reason @ StopReason::Budget(..)) => (
            reason.code(),
            format!("stopped: {reason}"),
            Some("a loop that never ends? budgets are set in planwright.toml, [limits]".to_owned()),
        ),
        Some(reason) => (reason.code(), reason.to_string(), None),
        None => what(inner, &place.0, place.1, sources),
    };
    // What another language would write there is said first.
    let hint = match place.1.line() {
        Some(line) if code == "syntax" => {
            let text = sources.get(&place.0).map_or("", String::as_str);
            let column = original_column(text, line, place.1.position().unwrap_or(1));
            text.lines().nth(line - 1).and_then(|line| of_line(line, column)).or(hint)
        }
        _ => hint,
    };
    // `fail("")`, `throw ""`.
    let message = if message.trim().is_empty() { "the script gave up".to_owned() } else { message };
    Failure {
        code: code.to_owned(),
        message: message.chars().take(MAX_TEXT).collect(),
        hint,
        // What a skill says when it gives up is for people; where it says so is not.
        at: if code == "fail" { None } else { locate_error(inner, &place.0, place.1, sources) },
        trace: if code == "fail" { Vec::new() } else { frames },
        ..Failure::default()
    }
}

/// Returns the place of an error. The engine misses a `;` where the next statement begins; it belongs
/// where the one before ends.
fn locate_error(
    error: &EvalAltResult,
    file: &str,
    at: Position,
    sources: &Sources,
) -> Option<Place> {
    let place = locate(file, at, sources)?;
    match error {
        EvalAltResult::ErrorParsing(kind, _) => {
            let text = sources.get(file).map_or("", String::as_str);
            Some(syntax_errors::place_of_missing(kind, text, &place).unwrap_or(place))
        }
        _ => Some(place),
    }
}

fn frame(name: &str, file: &str, at: Position) -> String {
    let name = if name.starts_with("anon$") { "closure" } else { name };
    match at.line() {
        Some(line) => format!("{name} at {file}:{line}"),
        None => format!("{name} in {file}"),
    }
}

fn what(error: &EvalAltResult, file: &str, at: Position, sources: &Sources) -> Explained {
    let text = sources.get(file).map_or("", String::as_str);
    match error {
        EvalAltResult::ErrorRuntime(value, _) => thrown(value),
        EvalAltResult::ErrorParsing(kind, _) => {
            let code = if is_limit(kind) { "budget" } else { "syntax" };
            // The engine's columns are those of the text it got.
            let column = at
                .line()
                .zip(at.position())
                .and_then(|(line, column)| u16::try_from(original_column(text, line, column)).ok());
            let line = at.line().and_then(|line| u16::try_from(line).ok());
            let at = line.zip(column).map_or(at, |(line, column)| Position::new(line, column));
            (code, syntax_errors::message(kind), syntax_errors::hint(kind, text, at))
        }
        EvalAltResult::ErrorFunctionNotFound(signature, _) => {
            unknown_function(signature, file, text)
        }
        EvalAltResult::ErrorDotExpr(text, _) => unknown_property(text),
        EvalAltResult::ErrorVariableNotFound(name, _) => {
            ("script", format!("there is no variable `{name}`"), of_name(name))
        }
        EvalAltResult::ErrorModuleNotFound(name, _) => (
            "script",
            format!("the library `{name}` was not compiled in"),
            Some(
                "an import names its library as a plain text: `import \"dates\" as dates;`".into(),
            ),
        ),
        EvalAltResult::ErrorNonPureMethodCallOnConstant(name, _) => (
            "script",
            format!("`{name}` would change a value that is read-only"),
            Some(
                "copy it first (`let copy = …;`), or use the object's own verbs, such as add_label"
                    .into(),
            ),
        ),
        EvalAltResult::ErrorDataRace(..) => (
            "script",
            "a variable is used in a function while a call on the same variable goes on".to_owned(),
            Some(
                "take it apart first: `let keys = map.keys();`, then `keys.map(|k| …)`".to_owned(),
            ),
        ),
        EvalAltResult::ErrorTerminated(why, _) => (
            "budget",
            format!("{why} while the library {file} was loaded"),
            Some("the top level of a library is for constants and functions".into()),
        ),
        other => of_value(other).or_else(|| of_budget(other)).unwrap_or_else(|| {
            ("script", plain(&lower_first(&other.clone_without_position())), None)
        }),
    }
}

/// Explains an error about a value.
fn of_value(error: &EvalAltResult) -> Option<Explained> {
    let (message, hint) = match error {
        EvalAltResult::ErrorPropertyNotFound(name, _) => (
            format!("there is no property `{name}` in this map"),
            Some("a parameter? it must be declared in the doc comment's [params]".to_owned()),
        ),
        EvalAltResult::ErrorMismatchDataType(wanted, got, _)
        | EvalAltResult::ErrorMismatchOutputType(wanted, got, _) => mismatch(wanted, got),
        EvalAltResult::ErrorArrayBounds(n, at, _) => {
            let hint = "items are counted from 0, or from -1 backwards; `list.get(n)` is `()` where there is none";
            let message = match n {
                0 => format!("there is no item {at}: the list is empty"),
                1 => format!("there is no item {at}: the list has one item"),
                n => format!("there is no item {at}: the list has {n} items"),
            };
            (message, Some(hint.to_owned()))
        }
        EvalAltResult::ErrorStringBounds(n, at, _) => (
            format!("there is no character {at} in a text of {n}"),
            Some("characters are counted from 0; `text.slice(0, 3)` takes what there is".to_owned()),
        ),
        EvalAltResult::ErrorIndexNotFound(..) => ("there is nothing at this index".to_owned(), None),
        EvalAltResult::ErrorIndexingType(kind, _) => {
            let kind = kind.split(" [").next().unwrap_or_default();
            let hint = "only lists, maps and texts have `[…]`; a property is written with a point: `task.title`";
            let kind = plain(kind);
            let hint = if kind == "()" { CHECK_FIRST } else { hint };
            (format!("`[…]` cannot be used on {}", one(&kind)), Some(hint.to_owned()))
        }
        EvalAltResult::ErrorFor(_) => (
            "`for` cannot go over this".to_owned(),
            Some(
                "it goes over a list, a range such as `0..10`, or, as `for (key, value) in map`, a map; the tasks of a plan are `plan.tasks`"
                    .to_owned(),
            ),
        ),
        EvalAltResult::ErrorAssignmentToConstant(name, _) if name.is_empty() => {
            ("a constant cannot be changed".to_owned(), Some("declare it with `let`".to_owned()))
        }
        EvalAltResult::ErrorAssignmentToConstant(name, _) => (
            format!("`{name}` cannot be changed: it is a constant, or belongs to one"),
            Some("declare it with `let`, or copy it first: `let copy = …;`".to_owned()),
        ),
        EvalAltResult::ErrorUnboundThis(_) => (
            "there is no `this` here".to_owned(),
            Some("a function gets what it works on as an argument: `fn f(task) { … }`".to_owned()),
        ),
        EvalAltResult::ErrorArithmetic(text, _) => {
            let hint = text.to_lowercase().contains("overflow").then(|| {
                "whole numbers go to 9,223,372,036,854,775,807; `x.to_float()` goes further".to_owned()
            });
            (lower_first(text), hint)
        }
        EvalAltResult::ErrorVariableExists(name, _)
        | EvalAltResult::ErrorForbiddenVariable(name, _) => {
            (format!("there is a `{name}` already"), Some("another name will do".to_owned()))
        }
        _ => return None,
    };
    Some(("script", message, hint))
}

/// Explains a value of the wrong kind.
fn mismatch(wanted: &str, got: &str) -> (String, Option<String>) {
    let (wanted, got) = (plain(wanted), plain(got));
    let hint = match (wanted.as_str(), got.as_str()) {
        ("true or false", "()" | "Date" | "User" | "Bucket" | "Task" | "Plan" | "Group") => {
            "say what is meant: `x != ()`"
        }
        ("true or false", "text") => "say what is meant: `x != \"\"`",
        ("true or false", "int" | "float") => "say what is meant: `x != 0`",
        ("true or false", "array" | "[any]" | "map") => "say what is meant: `!x.is_empty()`",
        ("int", "text") => {
            "a place in a list is a number; what stands under a name is in a map: `map[\"name\"]`"
        }
        ("character", "text") => "a character stands in single quotes: `'y'`",
        ("text", "int") => "a map has texts for keys: `map[x.to_string()]`",
        (_, "()") => CHECK_FIRST,
        _ => "",
    };
    let message = format!("{} was expected here, not {}", one(&wanted), one(&got));
    (message, (!hint.is_empty()).then(|| hint.to_owned()))
}

/// Explains an error about the engine's own limits.
fn of_budget(error: &EvalAltResult) -> Option<Explained> {
    let message = match error {
        EvalAltResult::ErrorStackOverflow(_) => {
            "functions call each other too deeply: over the calls budget (48 unless set lower)"
                .to_owned()
        }
        EvalAltResult::ErrorDataTooLarge(what, _) => match what.as_str() {
            "Size of object map" => format!("a map is over its limit of {MAP_LIMIT} keys"),
            "Size of array/BLOB" => format!("a list is over its limit of {ARRAY_LIMIT} items"),
            "Length of string" => format!("a text is over its limit of {} MiB", STRING_LIMIT >> 20),
            other => format!("{} over its limit", plain(other)),
        },
        EvalAltResult::ErrorTooManyOperations(_) => {
            "too many operations while the script was loaded".to_owned()
        }
        EvalAltResult::ErrorTooManyVariables(_) => "more than 256 variables".to_owned(),
        EvalAltResult::ErrorTooManyModules(_) => "more than 16 imports".to_owned(),
        _ => return None,
    };
    Some(("budget", message, None))
}

/// The text of an error without its position, which is shown by itself.
trait WithoutPosition {
    fn clone_without_position(&self) -> String;
}

impl WithoutPosition for EvalAltResult {
    fn clone_without_position(&self) -> String {
        let text = self.to_string();
        match text.rfind(" (line ") {
            Some(at) if text.ends_with(')') => {
                text.chars().take(text.get(..at).map_or(0, |start| start.chars().count())).collect()
            }
            _ => text,
        }
    }
}

/// Explains what a script threw, or an error of the host: a map with a message.
fn thrown(value: &Dynamic) -> (&'static str, String, Option<String>) {
    if let Ok(map) = value.as_map_ref() {
        let text = |name: &str| map.get(name).map(ToString::to_string);
        let code = match text("kind").as_deref() {
            Some("not_found") => "not_found",
            Some("ambiguous") => "ambiguous",
            Some("invalid") => "invalid",
            Some("not_yet_known") => "not_yet_known",
            Some("gone") => "gone",
            Some("read_only") => "read_only",
            Some("not_signed_in") => "not_signed_in",
            Some("app_only") => "app_only",
            Some("not_member") => "not_member",
            Some("not_permitted") => "not_permitted",
            Some("unavailable") => "unavailable",
            Some("service") => "service",
            _ => "script",
        };
        if let Some(message) = text("message") {
            return (code, message, text("hint"));
        }
    }
    // Only plain text is shown: printing a host object could reveal more than it should.
    let text = match value.as_immutable_string_ref() {
        Ok(text) => text.to_string(),
        Err(_)
            if value.is_int()
                || value.is_bool()
                || value.is_float()
                || value.is_array()
                || value.is_map() =>
        {
            value.to_string()
        }
        Err(_) => "an error".to_owned(),
    };
    ("script", text, None)
}
