//! Errors of syntax in a script writer's words, each with what to write where that can be told from
//! the text around it.

use rhai::{LexError, ParseErrorType, Position};

use crate::host::failure::Place;
use crate::host::similar::similar;
use crate::script::catalog::{Form, catalog, plain};
use crate::script::sandbox::habits::of_name;
use crate::script::syntax::tokens::{Piece, Token, tokens};

const BRACES: &str =
    "a block stands in braces, a single statement too: `if x { … }`, `for x in list { … }`";

/// Returns what is wrong.
pub(crate) fn message(kind: &ParseErrorType) -> String {
    match kind {
        ParseErrorType::UnexpectedEOF => "the script ends in the middle of something".to_owned(),
        ParseErrorType::BadInput(error) => unreadable(error),
        ParseErrorType::UnknownOperator(sign) => format!("there is no operator `{sign}`"),
        ParseErrorType::MissingToken(token, what_for) => {
            let what_for = what_for.replace(" statement block", " block").replace(" literal", "");
            format!("`{token}` is missing here, {}", what_for.trim())
        }
        ParseErrorType::MissingSymbol(what) | ParseErrorType::ExprExpected(what) => {
            format!("something is missing here: {}", lower_first(what))
        }
        ParseErrorType::DuplicatedProperty(key) => {
            format!("the key `{key}` stands twice in this map")
        }
        ParseErrorType::DuplicatedVariable(name) => format!("`{name}` is named twice"),
        ParseErrorType::PropertyExpected => {
            "the name of a property or function is missing here".to_owned()
        }
        ParseErrorType::VariableExpected => "a name is missing here".to_owned(),
        ParseErrorType::VariableUndefined(name) => format!("there is no variable `{name}`"),
        ParseErrorType::VariableExists(name) => format!("there is a variable `{name}` already"),
        ParseErrorType::ModuleUndefined(name) => format!("there is no library `{name}` here"),
        // Skills may: only the engine of policies has no `try`.
        ParseErrorType::Reserved(name) if name == "try" => {
            "a policy cannot catch errors: whatever goes wrong in one denies".to_owned()
        }
        ParseErrorType::Reserved(name) => format!("`{name}` is a reserved word"),
        ParseErrorType::MismatchedType(wanted, got) => {
            format!("{} is expected here, not {}", value(wanted), value(got))
        }
        ParseErrorType::WrongFnDefinition => {
            "functions are defined at the top of a file, not inside of something".to_owned()
        }
        ParseErrorType::WrongDocComment => {
            "a comment with `///` stands only before a function".to_owned()
        }
        ParseErrorType::FnDuplicatedDefinition(name, n) => {
            format!("there are two functions `{name}` with {}", parameters(*n))
        }
        ParseErrorType::FnMissingName => "the name of the function is missing here".to_owned(),
        ParseErrorType::FnMissingParams(name) => {
            format!("the brackets of the function are missing: `fn {name}() {{ … }}`")
        }
        ParseErrorType::FnMissingBody(name) => {
            format!("the function `{name}` has no body: `fn {name}(…) {{ … }}`")
        }
        ParseErrorType::FnDuplicatedParam(_, parameter) => {
            format!("the function has two parameters `{parameter}`")
        }
        ParseErrorType::AssignmentToConstant(name) if name.is_empty() => {
            "a constant cannot be changed".to_owned()
        }
        ParseErrorType::AssignmentToConstant(name) => {
            format!("`{name}` is a constant and cannot be changed")
        }
        ParseErrorType::AssignmentToInvalidLHS(_) => "this cannot be assigned to".to_owned(),
        ParseErrorType::LoopBreak => "`break` and `continue` stand only in a loop".to_owned(),
        ParseErrorType::ExprTooDeep => "an expression is nested too deeply".to_owned(),
        ParseErrorType::TooManyFunctions => "more than 256 functions".to_owned(),
        ParseErrorType::LiteralTooLarge(what, limit) => {
            format!("{} over its limit of {limit}", plain(what))
        }
        other => lower_first(&other.to_string()),
    }
}

fn unreadable(error: &LexError) -> String {
    match error {
        LexError::UnexpectedInput(text) => format!("`{text}` cannot stand here"),
        LexError::UnterminatedString => "a text is not closed".to_owned(),
        LexError::MalformedEscapeSequence(text) => format!("`{text}` is no escape"),
        LexError::MalformedNumber(text) if text.is_empty() => "this is no number".to_owned(),
        LexError::MalformedNumber(text) => format!("`{text}` is no number"),
        LexError::MalformedChar(text) => {
            format!("`'{text}'` is no character: single quotes are for one character")
        }
        LexError::MalformedIdentifier(text) => format!("`{text}` is no name"),
        other if other.to_string().contains("eval") => "`eval` is not available".to_owned(),
        other => lower_first(&other.to_string()),
    }
}

/// Returns a kind of value as the engine writes it, in a script writer's words.
fn value(text: &str) -> &str {
    match text {
        "a boolean expression" => "true or false",
        "a string" => "text",
        "a floating-point number" => "a number",
        "an array" => "a list",
        "an object map" => "a map",
        "an iterable value" => "what `for` can go over",
        other => other,
    }
}

fn parameters(n: usize) -> String {
    match n {
        0 => "no parameters".to_owned(),
        1 => "one parameter".to_owned(),
        n => format!("{n} parameters"),
    }
}

/// Returns a sentence of the engine as the rest of one of ours.
pub(crate) fn lower_first(text: &str) -> String {
    let mut rest = text.trim_end_matches('.').chars();
    rest.next().map(|first| first.to_lowercase().chain(rest).collect()).unwrap_or_default()
}

/// Returns what to write instead, given the text of the file and the place of the error in it.
pub(crate) fn hint(kind: &ParseErrorType, text: &str, at: Position) -> Option<String> {
    let hint = match kind {
        ParseErrorType::VariableUndefined(name) => return undefined(name, text, at),
        ParseErrorType::ModuleUndefined(name) => {
            return Some(format!("import it first: `import \"{name}\" as {name};`"));
        }
        ParseErrorType::BadInput(LexError::UnterminatedString) => {
            "a text ends on its line; one of several lines stands in backticks"
        }
        ParseErrorType::BadInput(LexError::MalformedEscapeSequence(_)) => {
            "a backslash is written `\\\\`; in backticks it stands for itself"
        }
        ParseErrorType::BadInput(LexError::MalformedChar(_)) => {
            "texts stand in double quotes: `\"…\"`"
        }
        ParseErrorType::BadInput(LexError::UnexpectedInput(sign)) => match sign.as_str() {
            ")" | "]" | "}" => "this bracket closes none that is open",
            "else" => "`else` follows the block of an `if`: `if a { … } else { … }`",
            "." => "a number begins with a digit: `0.5`",
            sign if sign.is_ascii() => return None,
            _ => "names have letters from a to z, digits and `_`; other letters stand in texts",
        },
        ParseErrorType::MissingToken(token, _) => match token.as_str() {
            "{" => BRACES,
            ";" => "a statement ends with `;`",
            ")" | "]" | "}" => "a bracket is not closed",
            ":" => "a map is `#{ key: value }`",
            "," => "the parts are separated by commas",
            _ => return None,
        },
        ParseErrorType::VariableExpected => {
            "names have letters from a to z, digits and `_`, and are no words of the language"
        }
        ParseErrorType::PropertyExpected => {
            "a key that is no name stands in brackets: `map[\"two words\"]`; texts are joined with `+`"
        }
        ParseErrorType::MismatchedType(wanted, _) if wanted == "an iterable value" => {
            "a list, a range such as `0..10`, or, as `for (key, value) in map`, a map"
        }
        ParseErrorType::AssignmentToConstant(_) => "declare it with `let`",
        ParseErrorType::AssignmentToInvalidLHS(_) => {
            "give what a function returns a name first: `let it = …; it.priority = 1;`"
        }
        ParseErrorType::LoopBreak => "in a function that is called for each item, `return` ends it",
        ParseErrorType::Reserved(name) if name == "eval" => "scripts cannot run text as code",
        ParseErrorType::Reserved(name) if name == "try" => {
            "ask first: `change.after != ()`, `\"name\" in run.params`"
        }
        ParseErrorType::Reserved(_) => "another name will do",
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Returns the end of the statement before a place where the engine misses a `;`, if that is on an
/// earlier line.
pub(crate) fn place_of_missing(kind: &ParseErrorType, text: &str, place: &Place) -> Option<Place> {
    if !matches!(kind, ParseErrorType::MissingToken(token, _) if token == ";") {
        return None;
    }
    let missed = offset(text, place.line, place.column);
    let is_code = |token: &Token| !matches!(token.piece, Piece::Comment(_));
    let before = tokens(text).into_iter().filter(is_code).take_while(|token| token.end <= missed);
    let end = before.last()?.end;
    let up_to = text.get(..end)?;
    let start = up_to.rfind('\n').map_or(0, |at| at + 1);
    let line = up_to.matches('\n').count() + 1;
    let source = text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
    (line < place.line).then(|| Place {
        file: place.file.clone(),
        line,
        column: text.get(start..end).map_or(0, |line| line.chars().count()) + 1,
        source: source.chars().take(300).collect(),
    })
}

/// Returns where a line and column, both from 1, are in a text, in bytes.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let start = match line {
        0 | 1 => 0,
        _ => text.match_indices('\n').nth(line - 2).map_or(text.len(), |(at, _)| at + 1),
    };
    let rest = text.get(start..).unwrap_or_default();
    rest.char_indices().nth(column.saturating_sub(1)).map_or(text.len(), |(at, _)| start + at)
}

/// The tokens of a text without its comments, and where one of them is.
struct Around<'a> {
    text: &'a str,
    all: Vec<Token>,
    here: Option<usize>,
}

impl<'a> Around<'a> {
    fn new(text: &'a str, at: Position) -> Self {
        let all: Vec<Token> = tokens(text)
            .into_iter()
            .filter(|token| !matches!(token.piece, Piece::Comment(_)))
            .collect();
        let at = offset(text, at.line().unwrap_or(1), at.position().unwrap_or(1));
        let here = all.iter().position(|token| token.start <= at && at < token.end);
        Self { text, all, here }
    }

    fn word(&self, n: Option<usize>) -> &'a str {
        n.and_then(|n| self.all.get(n)).map_or("", |token| token.of(self.text))
    }

    /// Returns the names that the file declares.
    fn declared(&self) -> Vec<&'a str> {
        let mut found = Vec::new();
        let mut is_in_bars = false;
        for (n, token) in self.all.iter().enumerate() {
            let before = self.word(n.checked_sub(1));
            match token.piece {
                Piece::Sign if token.of(self.text) == "|" => is_in_bars = !is_in_bars,
                Piece::Word
                    if matches!(before, "let" | "const" | "for" | "as")
                        || (is_in_bars && matches!(before, "|" | ",")) =>
                {
                    found.push(token.of(self.text));
                }
                _ => {}
            }
        }
        found
    }

    /// Returns the parameters of the function that the place is in.
    fn function(&self) -> Option<Vec<&'a str>> {
        let here = self.here?;
        let start = (0..here).rev().find(|n| self.word(Some(*n)) == "fn")?;
        let mut depth = 0_usize;
        let mut params = Vec::new();
        for (n, token) in self.all.iter().enumerate().take(here).skip(start) {
            match token.piece {
                Piece::Open => depth += 1,
                // The last bracket but one may be that of the parameters.
                Piece::Close => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 && token.of(self.text) == "}" {
                        return None;
                    }
                }
                Piece::Word if n > start + 1 && depth == 1 && params.len() < 20 => {
                    params.push(token.of(self.text));
                }
                _ => {}
            }
        }
        Some(params)
    }
}

/// Returns what a name may stand for that nothing declares.
fn undefined(name: &str, text: &str, at: Position) -> Option<String> {
    if let Some(habit) = of_name(name) {
        return Some(habit);
    }
    let around = Around::new(text, at);
    let next = around.here.map(|here| here + 1);
    let after = around.here.map(|here| here + 2);
    let (declared, function) = (around.declared(), around.function());
    if declared.contains(&name) {
        let is_library = around
            .all
            .iter()
            .enumerate()
            .any(|(n, token)| token.of(text) == name && around.word(n.checked_sub(1)) == "as");
        if is_library {
            return Some(format!("functions of a library are called with `::`: `{name}::…(…)`"));
        }
        return Some(if function.is_some() {
            "functions see the constants at the top of their file, but no variables: make it a `const` there, or pass it"
                .to_owned()
        } else {
            format!("`{name}` is declared later, or in a block or function that has ended")
        });
    }
    let is_argument =
        matches!(around.word(around.here.and_then(|here| here.checked_sub(1))), "(" | ",");
    if is_argument && around.word(next) == "=" {
        return Some(
            "arguments have no names; what has names goes in a map: `f(#{ title: \"…\" })`"
                .to_owned(),
        );
    }
    if let Some(known) = catalog()
        .of(None)
        .find(|member| member.name.eq_ignore_ascii_case(name) && member.form == Form::Function)
    {
        return Some(format!("it is a function: `{}`", known.signature()));
    }
    let params = function.iter().flatten().copied();
    let near = similar(name, declared.iter().copied().chain(params));
    if let [near, ..] = near.as_slice() {
        return Some(format!("did you mean `{near}`?"));
    }
    if around.word(next) == "=" && around.word(after) != "=" {
        return Some(format!("declare it first: `let {name} = …;`"));
    }
    if around.word(next) == "."
        && let Some(known) = catalog().of(None).find(|member| member.name == around.word(after))
    {
        return Some(format!("it stands by itself: `{}`", known.signature()));
    }
    Some(if function.is_some() {
        "functions see their parameters and the constants at the top of their file".to_owned()
    } else {
        format!("declare it first: `let {name} = …;`; a text stands in quotes: `\"{name}\"`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_nothing_declares_is_explained() {
        for (text, column, says) in [
            ("let count = 1; cuont", 16, "`count`"),
            ("fn f(x) { x + total } let total = 1;", 15, "a `const`"),
            ("fn f(item) { iten } f(1)", 14, "`item`"),
            ("fn f(x) { x } zzz", 15, "`let zzz"),
            ("zzz = 5", 1, "`let zzz"),
            ("f(title = 5)", 3, "in a map"),
            ("import \"a\" as lib; lib.f()", 20, "`lib::"),
            ("planner.plan(1)", 1, "by itself"),
            ("let a = Today;", 9, "`today()`"),
        ] {
            let name = tokens(text).into_iter().find(|token| token.start == column - 1).unwrap();
            let at = Position::new(1, u16::try_from(column).unwrap());
            let said = undefined(name.of(text), text, at).unwrap_or_default();
            assert!(said.contains(says), "{text}: {said}");
        }
    }
}
