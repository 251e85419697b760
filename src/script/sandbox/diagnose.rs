//! Explanations: the engine's errors turned into ones that a person, or an agent, can act on.

use rhai::{Dynamic, EvalAltResult, ParseErrorType, Position};

use crate::host::similar::nearest;
use crate::host::{Failure, StopReason};
use crate::script::catalog::{Form, catalog, plain};
use crate::script::sandbox::habits::{of_line, of_name};
use crate::script::sandbox::imports::is_limit;
use crate::script::syntax::location::{Sources, locate};

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
        None => what(inner),
    };
    // What another language would write there is said first.
    let line = place.1.line().and_then(|line| sources.get(&place.0)?.lines().nth(line - 1));
    let hint = match line {
        Some(line) if code == "syntax" => of_line(line).or(hint),
        _ => hint,
    };
    // `fail("")`, `throw ""`.
    let message = if message.trim().is_empty() { "the script gave up".to_owned() } else { message };
    Failure {
        code: code.to_owned(),
        message: message.chars().take(MAX_TEXT).collect(),
        hint,
        // What a skill says when it gives up is for people; where it says so is not.
        at: if code == "fail" { None } else { locate(&place.0, place.1, sources) },
        trace: if code == "fail" { Vec::new() } else { frames },
        ..Failure::default()
    }
}

fn frame(name: &str, file: &str, at: Position) -> String {
    let name = if name.starts_with("anon$") { "closure" } else { name };
    match at.line() {
        Some(line) => format!("{name} at {file}:{line}"),
        None => format!("{name} in {file}"),
    }
}

fn what(error: &EvalAltResult) -> (&'static str, String, Option<String>) {
    match error {
        EvalAltResult::ErrorRuntime(value, _) => thrown(value),
        EvalAltResult::ErrorParsing(kind, _) => {
            let code = if is_limit(kind) { "budget" } else { "syntax" };
            (code, syntax(kind), syntax_hint(kind))
        }
        EvalAltResult::ErrorFunctionNotFound(signature, _) => unknown_function(signature),
        EvalAltResult::ErrorDotExpr(text, _) => unknown_property(text),
        EvalAltResult::ErrorPropertyNotFound(name, _) => (
            "script",
            format!("there is no property `{name}` in this map"),
            Some("a parameter? it must be declared in the doc comment's [params]".to_owned()),
        ),
        EvalAltResult::ErrorVariableNotFound(name, _) => unknown_variable(name),
        EvalAltResult::ErrorStackOverflow(_) => (
            "budget",
            "functions call each other too deeply: over the calls budget (48 unless set lower)"
                .into(),
            None,
        ),
        EvalAltResult::ErrorDataTooLarge(what, _) => {
            ("budget", format!("{} over its limit", plain(what)), None)
        }
        EvalAltResult::ErrorTooManyOperations(_) => {
            ("budget", "too many operations while the script was loaded".into(), None)
        }
        EvalAltResult::ErrorModuleNotFound(name, _) => (
            "script",
            format!("the library `{name}` was not compiled in"),
            Some(
                "an import names its library as a plain text: `import \"dates\" as dates;`".into(),
            ),
        ),
        EvalAltResult::ErrorTooManyVariables(_) => {
            ("budget", "more than 256 variables".into(), None)
        }
        EvalAltResult::ErrorTooManyModules(_) => ("budget", "more than 16 imports".into(), None),
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
        EvalAltResult::ErrorMismatchDataType(wanted, got, _) => {
            ("script", format!("{} was expected here, not {}", plain(wanted), plain(got)), None)
        }
        EvalAltResult::ErrorTerminated(why, _) => (
            "budget",
            format!("{why} while the script was loaded"),
            Some("the top level of a library is for constants and functions".into()),
        ),
        other => {
            let mut text = other.clone_without_position();
            text = plain(&text);
            ("script", text, None)
        }
    }
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

fn syntax(kind: &ParseErrorType) -> String {
    match kind {
        ParseErrorType::VariableUndefined(name) => format!("there is no variable `{name}`"),
        ParseErrorType::Reserved(name) => format!("`{name}` is a reserved word"),
        ParseErrorType::BadInput(error) if error.to_string().contains("eval") => {
            "`eval` is not available".to_owned()
        }
        ParseErrorType::ExprTooDeep => "an expression is nested too deeply".to_owned(),
        ParseErrorType::LiteralTooLarge(what, limit) => {
            format!("{} over its limit of {limit}", plain(what))
        }
        other => other.to_string(),
    }
}

fn syntax_hint(kind: &ParseErrorType) -> Option<String> {
    match kind {
        ParseErrorType::VariableUndefined(name) if of_name(name).is_some() => of_name(name),
        ParseErrorType::VariableUndefined(_) => Some(
            "functions see the constants at the top of their file, but no variables: make it a `const` there, or pass it"
                .to_owned(),
        ),
        ParseErrorType::AssignmentToInvalidLHS(_) => Some(
            "give what a function returns a name first: `let it = …; it.priority = 1;`".to_owned(),
        ),
        ParseErrorType::Reserved(name) if name == "eval" => {
            Some("scripts cannot run text as code".to_owned())
        }
        _ => None,
    }
}

fn unknown_variable(name: &str) -> (&'static str, String, Option<String>) {
    ("script", format!("there is no variable `{name}`"), of_name(name))
}

/// Explains a call of an unknown function, which the engine writes as `task_at (i64, &str |
/// ImmutableString | String, Task)`.
fn unknown_function(signature: &str) -> (&'static str, String, Option<String>) {
    let (name, arguments) = signature.split_once(" (").unwrap_or((signature, ")"));
    let arguments: Vec<String> = arguments
        .trim_end_matches(')')
        .split(", ")
        .filter(|argument| !argument.is_empty())
        .map(plain)
        .collect();
    let all = catalog().members();
    let functions = || all.iter().filter(|member| member.form == Form::Function);
    let known: Vec<_> = functions().filter(|member| member.name == name).collect();
    let is_operator = !name.bytes().any(|b| b.is_ascii_alphanumeric() || b == b'_');
    let is_known = !known.is_empty() || catalog().is_of_language(name);
    // It would fit, and is not there: it is for other scripts.
    let fits = |member: &&crate::script::catalog::Member| {
        let taken = member.on.iter().chain(member.params.iter().map(|param| &param.kind));
        taken.clone().count() == arguments.len()
            && taken.zip(&arguments).all(|(taken, given)| taken == "any" || taken == given)
    };
    if let Some(member) = known.iter().copied().find(fits) {
        let whose = if member.skills {
            "skills"
        } else if member.policies {
            "policies"
        } else {
            "tests"
        };
        return ("script", format!("there is no function `{name}` here: it is for {whose}"), None);
    }
    let message = if is_operator || is_known {
        format!("`{name}` does not take ({})", arguments.join(", "))
    } else {
        format!("there is no function `{name}`")
    };
    let hint = match (is_known && !is_operator, name) {
        (false, "+" | "-") if arguments.first().is_some_and(|kind| kind == "Date") => {
            Some("a number of days is `days(3)`".to_owned())
        }
        (false, _) if is_operator => None,
        (true, _) if known.is_empty() => None,
        (true, _) => {
            let told: Vec<_> =
                known.iter().take(4).map(|member| format!("`{}`", member.in_full())).collect();
            Some(format!("it is {}", told.join(" or ")))
        }
        (false, "eval" | "sleep" | "exit" | "timestamp" | "parse_json" | "open") => {
            Some("scripts have no access to files, processes, the clock or other code".to_owned())
        }
        (false, _) => did_you_mean(name, functions().map(|member| member.name.as_str())),
    };
    ("script", message, hint)
}

/// Returns the name of a type with its article: `a Task`, `an array`.
fn with_article(kind: &str) -> String {
    let an = kind.starts_with(['a', 'e', 'i', 'o', 'A', 'E', 'I', 'O']);
    format!("{} {kind}", if an { "an" } else { "a" })
}

/// Explains an unknown property, which the engine writes as `Unknown property 'dew' - a getter is
/// not registered for type 'Task'`.
fn unknown_property(text: &str) -> (&'static str, String, Option<String>) {
    let mut quoted = text.split('\'').skip(1).step_by(2);
    let (Some(name), Some(kind)) = (quoted.next(), quoted.next()) else {
        return ("script", plain(text), None);
    };
    let kind = plain(kind);
    let of_type = || catalog().of(Some(&kind));
    let Some(property) =
        of_type().find(|member| member.form == Form::Property && member.name == name)
    else {
        let message = format!("{} has no property `{name}`", with_article(&kind));
        let properties = of_type().filter(|member| member.form == Form::Property);
        let properties = properties.map(|member| member.name.as_str());
        if let Some(function) =
            of_type().find(|member| member.form == Form::Function && member.name == name)
        {
            let hint = format!("it is a function: `{}`", function.signature());
            return ("script", message, Some(hint));
        }
        return ("script", message, did_you_mean(name, properties));
    };
    match &property.settable {
        Some(taken) => {
            ("script", format!("`{name}` of {} takes {taken}", with_article(&kind)), None)
        }
        None => {
            let verbs = match name {
                "labels" => "add_label and remove_label",
                "assignees" => "assign and unassign",
                "checklist" => "add_checklist_item",
                "references" => "add_reference and remove_reference",
                "is_completed" => "complete and reopen",
                "buckets" => "create_bucket",
                "tasks" => "create_task",
                _ => "",
            };
            let hint = (!verbs.is_empty()).then(|| format!("use {verbs}"));
            ("script", format!("`{name}` of {} cannot be set", with_article(&kind)), hint)
        }
    }
}

pub(crate) fn did_you_mean<'a>(
    name: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    if let Some(habit) = of_name(name) {
        return Some(habit);
    }
    let near = nearest(name, names);
    let near: Vec<_> = near.iter().map(|name| format!("`{name}`")).collect();
    (!near.is_empty()).then(|| format!("did you mean {}?", near.join(" or ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_comes_from_the_api_itself() {
        let (_, message, hint) = unknown_property(
            "Unknown property 'duedate' - a getter is not registered for type 'Task'",
        );
        assert_eq!(message, "a Task has no property `duedate`");
        assert_eq!(hint.as_deref(), Some("did you mean `due`?"));
    }
}
