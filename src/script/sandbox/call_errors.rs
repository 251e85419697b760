//! Errors about functions and properties, in a script writer's words, with what there is instead.

use crate::script::catalog::{Form, Member, catalog, plain};
use crate::script::sandbox::habits::{did_you_mean, of_call, of_name};
use crate::script::syntax::tokens::{Piece, tokens};

/// A code, a message and a hint.
pub(crate) type Explained = (&'static str, String, Option<String>);

/// The hint for a value that may be nothing.
pub(crate) const CHECK_FIRST: &str = "what gave it found nothing: check first (`if x != () { … }`), or give a value for it: `x ?? 0`";

/// Returns a kind of value with its article.
pub(crate) fn one(kind: &str) -> String {
    match kind {
        "()" => "nothing".to_owned(),
        "int" => "a whole number".to_owned(),
        "float" => "a number".to_owned(),
        "array" | "[any]" | "list" | "List" => "a list".to_owned(),
        "Fn" => "a function".to_owned(),
        "true or false" | "text" | "nothing" => kind.to_owned(),
        "Change" | "ChecklistItem" => format!("a {kind}"),
        other => format!("a {other}"),
    }
}

/// Returns the type of the catalogue that a kind of value belongs to.
fn type_of(kind: &str) -> &str {
    match kind {
        "list" | "[any]" | "array" => "List",
        other => other,
    }
}

/// Returns whether a member is for the scripts that lie where this one does.
fn is_offered(member: &Member, file: &str) -> bool {
    member.skills || member.policies || file.contains("tests/")
}

/// Explains a call of an unknown function, which the engine writes as `task_at (i64, &str |
/// ImmutableString | String, Task)`; the text is that of the file with the call.
pub(crate) fn unknown_function(signature: &str, file: &str, text: &str) -> Explained {
    let (name, arguments) = signature.split_once(" (").unwrap_or((signature, ")"));
    let arguments = arguments.strip_suffix(')').unwrap_or(arguments);
    let arguments: Vec<String> = arguments
        .split(", ")
        .filter(|argument| !argument.is_empty())
        .map(|argument| match plain(argument).as_str() {
            "()" => "nothing".to_owned(),
            "array" | "[any]" => "list".to_owned(),
            "Fn" => "function".to_owned(),
            other => other.to_owned(),
        })
        .collect();
    if let Some((library, function)) = name.rsplit_once("::") {
        let message =
            format!("the library `{library}` has no function `{function}` that takes this");
        return ("script", message, None);
    }
    let call = Call { name, arguments: &arguments, file };
    let is_operator = !name.bytes().any(|b| b.is_ascii_alphanumeric() || b == b'_');
    if is_operator {
        let message = format!("`{name}` does not take ({})", arguments.join(", "));
        return ("script", message, call.operator().map(str::to_owned));
    }
    if let Some(own) = call.own_function(text) {
        return own;
    }
    let all = catalog().members();
    let known: Vec<&Member> =
        all.iter().filter(|member| member.form == Form::Function && member.name == name).collect();
    // It would fit, and is not there: it is for other scripts.
    if let Some(member) = known.iter().copied().find(|member| call.fits(member)) {
        let whose = if member.skills {
            "skills"
        } else if member.policies {
            "policies"
        } else {
            "tests"
        };
        return ("script", format!("there is no function `{name}` here: it is for {whose}"), None);
    }
    let is_known = !known.is_empty() || catalog().is_of_language(name);
    let is_method = known.iter().any(|member| member.on.is_some()) || known.is_empty();
    if is_known && is_method && arguments.first().is_some_and(|first| first == "nothing") {
        let message = format!("`{name}` is called on nothing (`()`)");
        return ("script", message, Some(CHECK_FIRST.to_owned()));
    }
    if is_known {
        let message = format!("`{name}` does not take ({})", arguments.join(", "));
        return ("script", message, call.taken(&known));
    }
    ("script", format!("there is no function `{name}`"), call.instead(text))
}

/// A call that fits no function.
struct Call<'a> {
    name: &'a str,
    arguments: &'a [String],
    file: &'a str,
}

impl Call<'_> {
    fn is_given(&self, n: usize, kind: &str) -> bool {
        self.arguments.get(n).is_some_and(|given| given == kind)
    }

    fn fits(&self, member: &Member) -> bool {
        let taken = member.on.iter().chain(member.params.iter().map(|param| &param.kind));
        taken.clone().count() == self.arguments.len()
            && taken
                .zip(self.arguments)
                .all(|(taken, given)| taken == "any" || type_of(taken) == type_of(given))
    }

    fn operator(&self) -> Option<&'static str> {
        let given = |n: usize, kind: &str| self.is_given(n, kind);
        Some(match self.name {
            "!" if given(0, "nothing") => "say what is meant: `x == ()`",
            "!" if given(0, "text") => "say what is meant: `x == \"\"`",
            "!" if given(0, "list") || given(0, "map") => "say what is meant: `x.is_empty()`",
            "!" if given(0, "int") => "say what is meant: `x == 0`",
            "!" => "say what is meant: `x == ()`, or `x == 0`",
            "+" | "-" if given(0, "Date") && given(1, "text") => {
                "a date is read from a text with `date(\"2026-12-24\")`"
            }
            "+" | "-" if given(0, "Date") => "a number of days is `days(3)`",
            _ if given(0, "nothing") || given(1, "nothing") => CHECK_FIRST,
            "*" if given(0, "text") => "a text several times is `text.repeat(3)`",
            "%" if given(0, "text") => {
                "a text with values in it is written in backticks: `Due ${task.due}`"
            }
            _ if given(0, "text") || given(1, "text") => {
                "a number is read from a text with `text.parse_int()`, and put into one with `${x}` in backticks"
            }
            _ => return None,
        })
    }

    /// Explains it if the script itself has a function, or a variable, of the name.
    fn own_function(&self, text: &str) -> Option<Explained> {
        let name = self.name;
        let all: Vec<_> = tokens(text)
            .into_iter()
            .filter(|token| !matches!(token.piece, Piece::Comment(_)))
            .collect();
        let word = |n: usize| all.get(n).map_or("", |token| token.of(text));
        let (mut takes, mut is_variable) = (Vec::new(), false);
        for n in 0..all.len() {
            if word(n + 1) != name {
                continue;
            }
            match word(n) {
                "fn" => {
                    let close = (n + 2..all.len()).find(|n| word(*n) == ")")?;
                    let params = all[n + 2..close].iter();
                    takes.push(params.filter(|token| token.piece == Piece::Word).count());
                }
                "let" | "const" | "|" => is_variable = true,
                _ => {}
            }
        }
        if let Some(n) = takes.first() {
            let and = takes.iter().map(usize::to_string).collect::<Vec<_>>().join(" or ");
            let arguments = if *n == 1 && takes.len() == 1 { "argument" } else { "arguments" };
            let message = format!(
                "the function `{name}` takes {and} {arguments}, not {}",
                self.arguments.len()
            );
            return Some(("script", message, None));
        }
        is_variable.then(|| {
            let message = format!("there is no function `{name}`");
            let hint = format!("a function in a variable is called with `{name}.call(…)`");
            ("script", message, Some(hint))
        })
    }

    /// Returns what a known function takes.
    fn taken(&self, known: &[&Member]) -> Option<String> {
        let property = self.arguments.first().and_then(|on| {
            let mut of_type = catalog().of(Some(type_of(on)));
            of_type.find(|member| member.form == Form::Property && member.name == self.name)
        });
        if property.is_some() && self.arguments.len() == 1 {
            return Some(format!("it is a property, without brackets: `{}`", self.name));
        }
        if self.name == "where" && self.is_given(1, "function") {
            return Some("with a function it is `filter(|x| …)`".to_owned());
        }
        if self.name == "format" && self.is_given(0, "text") {
            return Some(
                "a text with values in it is written in backticks: `Due ${task.due}`".to_owned(),
            );
        }
        let wants_function = known
            .iter()
            .any(|member| member.params.first().is_some_and(|param| param.kind == "function"));
        if wants_function && self.is_given(1, "text") {
            return Some(format!("it takes a function: `{}(|x| x.due)`", self.name));
        }
        let offered = known.iter().filter(|member| is_offered(member, self.file));
        let told: Vec<_> =
            offered.take(4).map(|member| format!("`{}`", member.in_full())).collect();
        if told.is_empty() {
            return of_call(self.name).or_else(|| of_name(self.name));
        }
        Some(format!("it is {}", told.join(" or ")))
    }

    /// Returns what there is instead of an unknown function.
    fn instead(&self, text: &str) -> Option<String> {
        const NOT_HERE: [&str; 8] =
            ["eval", "sleep", "exit", "timestamp", "parse_json", "open", "fetch", "setTimeout"];
        if NOT_HERE.contains(&self.name) {
            return Some(
                "scripts have no access to files, processes, the network, the clock or other code"
                    .to_owned(),
            );
        }
        if let Some(habit) = of_name(self.name) {
            return Some(habit);
        }
        let on = self.arguments.first().map(|on| type_of(on));
        let of_type: Vec<&Member> = on
            .into_iter()
            .flat_map(|on| catalog().of(Some(on)))
            .filter(|member| member.form != Form::Operator && is_offered(member, self.file))
            .collect();
        let snake = snake_case(self.name);
        if let Some(found) = of_type.iter().find(|member| member.name == snake) {
            return Some(format!("it is `{}`", found.signature()));
        }
        let verb = snake.split_once('_').filter(|(verb, _)| matches!(*verb, "get" | "set" | "is"));
        if let Some((verb, rest)) = verb
            && let Some(found) = of_type.iter().find(|member| member.name == rest)
        {
            let value = if verb == "set" && found.settable.is_some() { " = …" } else { "" };
            return Some(format!("it is `{}{value}`", found.signature()));
        }
        let is_method = text.contains(&format!(".{}", self.name));
        if is_method && !of_type.is_empty() {
            let names = of_type.iter().map(|member| member.name.as_str());
            if let Some(near) = did_you_mean(&snake, names.chain(catalog().language_functions())) {
                return Some(near);
            }
        }
        let functions = catalog().members().iter().filter(|member| {
            member.form == Form::Function
                && is_offered(member, self.file)
                && member.on.is_some() == is_method
        });
        let names = functions.map(|member| member.name.as_str());
        did_you_mean(&snake, names.chain(catalog().language_functions()))
    }
}

/// Returns a name as it would be written here: `add_label` for `addLabel`.
fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for (at, ch) in name.chars().enumerate() {
        if ch.is_uppercase() && at > 0 {
            snake.push('_');
        }
        snake.extend(ch.to_lowercase());
    }
    snake
}

/// Explains an unknown property, which the engine writes as `Unknown property 'dew' - a getter is
/// not registered for type 'Task'`.
pub(crate) fn unknown_property(text: &str) -> Explained {
    let mut quoted = text.split('\'').skip(1).step_by(2);
    let (Some(name), Some(kind)) = (quoted.next(), quoted.next()) else {
        return ("script", plain(text), None);
    };
    let kind = plain(kind);
    if kind == "()" {
        let message = format!("`{name}` is asked of nothing (`()`)");
        let hint =
            "what gave it found nothing: check first (`if x != () { … }`), or write `x?.` for `x.`";
        return ("script", message, Some(hint.to_owned()));
    }
    let of_type = || catalog().of(Some(type_of(&kind)));
    let kind = one(&kind);
    let Some(property) =
        of_type().find(|member| member.form == Form::Property && member.name == name)
    else {
        return ("script", format!("{kind} has no property `{name}`"), instead_of(name, &of_type));
    };
    match &property.settable {
        Some(taken) => ("script", format!("`{name}` of {kind} takes {taken}"), None),
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
            ("script", format!("`{name}` of {kind} cannot be set"), hint)
        }
    }
}

/// Returns what a type has instead of a property.
fn instead_of<'a, I>(name: &str, of_type: &impl Fn() -> I) -> Option<String>
where
    I: Iterator<Item = &'a Member>,
{
    let function = of_type().find(|member| member.form == Form::Function && member.name == name);
    if let Some(function) = function {
        return Some(format!("it is a function: `{}`", function.signature()));
    }
    if let Some(habit) = of_name(name) {
        return Some(habit);
    }
    if of_type().next().is_some_and(|member| member.on.as_deref() == Some("List"))
        && catalog().members().iter().any(|of| of.name == name && of.form == Form::Property)
    {
        return Some(format!("its items may have one: `list.map(|x| x.{name})`"));
    }
    let properties = of_type().filter(|member| member.form == Form::Property);
    let near = did_you_mean(&snake_case(name), properties.map(|member| member.name.as_str()));
    near.or_else(|| {
        catalog().is_of_language(name).then(|| format!("it is a function: `{name}(…)`"))
    })
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

    #[test]
    fn a_call_is_explained_by_what_is_there() {
        for (signature, text, says, hint) in [
            ("foo (i64, &str | ImmutableString | String)", "", "no function `foo`", ""),
            ("f (i64, i64)", "fn f(x) { x }", "takes 1 argument, not 2", ""),
            ("f (i64)", "let f = |x| x;", "no function `f`", "`f.call(…)`"),
            ("tasks (Plan)", "p.tasks()", "does not take", "without brackets"),
            ("set_due (Task, &str)", "t.set_due(1)", "no function", "`due = …`"),
            ("addLabel (Task, &str)", "t.addLabel(1)", "no function", "`add_label(label)`"),
            ("get_tasks (Plan)", "p.get_tasks()", "no function", "`tasks`"),
            ("complete (())", "t.complete()", "on nothing", "check first"),
            ("! (())", "", "(nothing)", "`x == ()`"),
            ("where (array, Fn)", "", "(list, function)", "`filter"),
            ("sort_by (array, &str)", "", "(list, text)", "(|x| x.due)"),
            ("append (array, i64)", "", "(list, int)", "push"),
            ("Plan (&str)", "Plan(1)", "no function", "`plan`"),
        ] {
            let (_, message, said) = unknown_function(signature, "stdin", text);
            assert!(message.contains(says), "{signature}: {message}");
            assert!(said.unwrap_or_default().contains(hint), "{signature}: {message}");
        }
    }
}
