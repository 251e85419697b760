//! Habits from other languages, each with how it is written here.

use crate::script::syntax::tokens::{Piece, Token, tokens};

/// Names of functions, properties and values that other languages have.
const NAMES: &[(&str, &str)] = &[
    ("None", "nothing is `()`"),
    ("nil", "nothing is `()`"),
    ("null", "nothing is `()`"),
    ("undefined", "nothing is `()`"),
    ("True", "it is `true`"),
    ("False", "it is `false`"),
    ("and", "it is `&&`"),
    ("or", "it is `||`"),
    ("not", "it is `!`"),
    ("console", "it is `print(…)`"),
    ("Date", "a date is `date(\"2026-12-24\")`, today is `today()`"),
    ("Math", "numbers have their own: `x.floor()`, `x.abs()`, `max(a, b)`"),
    ("Object", "a map has `keys()` and `values()`, and `for (key, value) in map`"),
    ("str", "it is `x.to_string()`"),
    ("String", "it is `x.to_string()`"),
    ("length", "it is `len`"),
    ("size", "it is `len`"),
    ("count", "it is `len`, or `count(|x| …)`"),
    ("isEmpty", "it is `is_empty()`"),
    ("toLowerCase", "it is `to_lower()`"),
    ("lower", "it is `to_lower()`"),
    ("toUpperCase", "it is `to_upper()`"),
    ("upper", "it is `to_upper()`"),
    ("strip", "it is `trim()`"),
    ("startsWith", "it is `starts_with(…)`"),
    ("startswith", "it is `starts_with(…)`"),
    ("endsWith", "it is `ends_with(…)`"),
    ("endswith", "it is `ends_with(…)`"),
    ("indexOf", "it is `index_of(…)`"),
    ("substring", "it is `slice(from, to)`"),
    ("substr", "it is `slice(from, to)`"),
    ("padStart", "it is `pad_start(len, text)`"),
    ("padEnd", "it is `pad_end(len, text)`"),
    ("toString", "it is `to_string()`"),
    ("toFixed", "it is `to_fixed(places)`"),
    ("forEach", "it is `for_each(|x| …)`, or `for x in list { … }`"),
    ("sortBy", "it is `sort_by(|x| …)`"),
    ("groupBy", "it is `group_by(|x| …)`"),
    ("sorted", "it is `list.sort_by(|x| …)`"),
    ("findIndex", "it is `index_of(|x| …)`"),
    ("every", "it is `all(|x| …)`"),
    ("items", "it is `for (key, value) in map { … }`"),
    ("entries", "it is `for (key, value) in map { … }`"),
    ("enumerate", "it is `for (item, index) in list { … }`"),
    ("lambda", "a function is `|x| …`"),
];

/// Returns how a name of another language is written here.
pub(crate) fn of_name(name: &str) -> Option<String> {
    NAMES.iter().find(|(theirs, _)| *theirs == name).map(|(_, ours)| (*ours).to_owned())
}

/// Returns how what a line has from another language is written here.
pub(crate) fn of_line(line: &str) -> Option<String> {
    let all: Vec<Token> = tokens(line);
    let of = |n: usize| all.get(n).map_or("", |token: &Token| token.of(line));
    let touches = |n: usize| all.get(n).zip(all.get(n + 1)).is_some_and(|(a, b)| a.end == b.start);
    for (n, token) in all.iter().enumerate() {
        let (here, next) = (token.of(line), of(n + 1));
        let ours = match (token.piece, here) {
            (Piece::Sign, "==" | "!=") if next == "=" && touches(n) => {
                Some(format!("it is `{here}`; there is no `{here}=`"))
            }
            (Piece::Sign, "=>") if !line.contains("switch") => {
                Some("a function is `|x| …`, not `x => …`".to_owned())
            }
            (Piece::Sign, "+" | "-") if next == here && touches(n) => {
                Some(format!("it is `{here}= 1`"))
            }
            (Piece::Word, "f") if touches(n) && all.get(n + 1).is_some_and(is_text) => Some(
                "a text with values in it is written in backticks: `Due ${task.due}`".to_owned(),
            ),
            (Piece::Word, "def" | "function" | "func") => {
                Some(format!("a function is `fn name(a, b) {{ … }}`, not `{here}`"))
            }
            (Piece::Word, "elif") => Some("it is `else if`".to_owned()),
            (Piece::Word, "var") => Some("a variable is `let name = …;`".to_owned()),
            (Piece::Word, "mut") => {
                Some("every variable can be changed: `let name = …;`".to_owned())
            }
            (Piece::Word, "async" | "await") => {
                Some("calls wait by themselves: leave it out".to_owned())
            }
            (Piece::Word, "of") if line.contains("for") => {
                Some("it is `for x in list { … }`".to_owned())
            }
            (
                Piece::Word,
                "and" | "or" | "not" | "null" | "None" | "undefined" | "True" | "False" | "lambda",
            ) => of_name(here),
            _ => None,
        };
        if ours.is_some() {
            return ours;
        }
    }
    None
}

fn is_text(token: &Token) -> bool {
    matches!(token.piece, Piece::Text(_))
}

/// Returns the lines, from 1, on which a text in backticks has an escape, which is none there.
pub(crate) fn escapes_in_backticks(text: &str) -> Vec<usize> {
    let is_escaped = |token: &&Token| {
        let of = token.of(text);
        matches!(token.piece, Piece::Template(_)) && (of.contains("\\n") || of.contains("\\t"))
    };
    let line_of =
        |token: Token| text.get(..token.start).unwrap_or_default().matches('\n').count() + 1;
    let all = tokens(text);
    all.iter().filter(is_escaped).copied().map(line_of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn habits_are_answered() {
        for (line, says) in [
            ("if a === b { }", "there is no `===`"),
            ("tasks.filter(t => t.due)", "`|x| …`"),
            ("i++;", "`+= 1`"),
            ("print(f\"{x}\")", "backticks"),
            ("def f(a):", "`fn name"),
            ("if x and y {}", "`&&`"),
            ("let mut a = 1;", "every variable"),
        ] {
            let said = of_line(line).unwrap_or_default();
            assert!(said.contains(says), "{line}: {said}");
        }
        assert_eq!(of_line("switch x { 1 => 2 }"), None);
        assert_eq!(of_line("let a = \"x === y\"; // i++"), None);
        assert_eq!(escapes_in_backticks("a\n`x\\n`; \"y\\n\""), [2]);
    }
}
