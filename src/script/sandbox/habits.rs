//! Habits from other languages, each with how it is written here.

use crate::host::similar::nearest;
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
    ("lenght", "it is `len`"),
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
    ("parseInt", "a number is read from a text with `text.parse_int()`"),
    ("parseFloat", "a number is read from a text with `text.parse_float()`"),
    ("Number", "a number is read from a text with `text.parse_int()`"),
    ("concat", "lists are joined with `+`: `a + b`"),
    ("extend", "lists are joined with `+`: `a + b`"),
    ("add", "an item is added with `list.push(x)`"),
    ("addDays", "it is `date + days(3)`"),
    ("add_days", "it is `date + days(3)`"),
    ("plusDays", "it is `date + days(3)`"),
    ("timedelta", "it is `date + days(3)`"),
    ("strftime", "it is `date.format(\"…\")`"),
    ("type", "it is `type_of(x)`"),
    ("typeof", "it is `type_of(x)`"),
    ("isinstance", "it is `type_of(x) == \"…\"`"),
    ("require", "a library is imported with `import \"dates\" as dates;`"),
    ("println", "it is `print(…)`"),
    ("printf", "it is `print(…)`"),
    ("echo", "it is `print(…)`"),
    ("log", "it is `print(…)`"),
    ("then", "calls wait by themselves: leave it out"),
    ("collect", "a list is a list at once: leave it out"),
    ("iter", "a list is gone over as it is: leave it out"),
    ("unwrap", "what may be nothing is `()`: `x ?? 0` gives a value for it"),
    ("clone", "`let copy = x;` is a copy"),
    ("has", "it is `contains(…)`, or `\"key\" in map`"),
    ("hasOwnProperty", "it is `\"key\" in map`"),
    ("has_key", "it is `\"key\" in map`"),
    ("contains_key", "it is `\"key\" in map`"),
    ("isArray", "it is `type_of(x) == \"array\"`"),
    ("flatMap", "it is `map(|x| …).flatten()`"),
    ("flat_map", "it is `map(|x| …).flatten()`"),
    ("toISOString", "it is `date.to_string()`"),
    ("getDay", "it is `date.weekday`, a name such as \"monday\""),
    ("getFullYear", "it is `date.year`"),
    ("status", "a task has `progress`, a name such as \"completed\""),
    ("state", "a task has `progress`, a name such as \"completed\""),
    ("completed", "a task has `is_completed`"),
    ("isCompleted", "a task has `is_completed`"),
    ("isDone", "a task has `is_completed`"),
    ("dueDate", "a task has `due`"),
    ("dueDateTime", "a task has `due`"),
    ("startDate", "a task has `start`"),
    ("assignedTo", "a task has `assignees`, and `assigned_to(user)`"),
    ("bucketId", "a task has `bucket`"),
    ("percentComplete", "a task has `percent_complete`"),
    ("getMonth", "it is `date.month`, from 1"),
];

/// Returns how a name of another language is written here.
pub(crate) fn of_name(name: &str) -> Option<String> {
    known(name).map(str::to_owned)
}

/// Functions of the language that are often given something else: the name, and the way it is
/// written here.
const CALLS: &[(&str, &str)] = &[
    ("append", "an item is added with `list.push(x)`, a list with `a + b`"),
    ("float", "a number is read from a text with `text.parse_float()`"),
    ("int", "a number is read from a text with `text.parse_int()`"),
    ("max", "the largest of a list is `list.max_by(|x| x)`"),
    ("min", "the smallest of a list is `list.min_by(|x| x)`"),
    ("range", "numbers from 0 to 9 are `0..10`"),
    ("to_float", "a number is read from a text with `text.parse_float()`"),
    ("to_int", "a number is read from a text with `text.parse_int()`"),
];

/// Returns how a function of the language is called, if it is often called otherwise.
pub(crate) fn of_call(name: &str) -> Option<String> {
    CALLS.iter().find(|(known, _)| *known == name).map(|(_, ours)| (*ours).to_owned())
}

const BRACES: &str =
    "a block stands in braces, a single statement too: `if x { … }`, `for x in list { … }`";
const CLOSURE: &str = "a function is `|x| …`";
const CONDITIONAL: &str =
    "it is `if a { b } else { c }`, which has a value: `let x = if a { b } else { c };`";
const IMPORT: &str = "a library is imported with `import \"dates\" as dates;`, and its functions are `dates::name(…)`";
const NO_TYPES: &str = "variables, parameters and results have no types: leave it out";
const SWITCH: &str = "it is `switch x { 1 => …, \"a\" => …, _ => … }`";
const THROW: &str = "an error is raised with `throw \"…\"`; `fail(\"…\")` ends the run";

/// The tokens of a line in which something of another language may stand.
struct Line<'a> {
    line: &'a str,
    all: Vec<Token>,
}

impl Line<'_> {
    fn of(&self, n: usize) -> &str {
        self.all.get(n).map_or("", |token| token.of(self.line))
    }

    fn before(&self, n: usize) -> &str {
        n.checked_sub(1).map_or("", |before| self.of(before))
    }

    fn piece(&self, n: usize) -> Option<Piece> {
        self.all.get(n).map(|token| token.piece)
    }

    fn is_text(&self, n: usize) -> bool {
        matches!(self.piece(n), Some(Piece::Text(_)))
    }

    /// Returns whether nothing stands between a token and the next.
    fn touches(&self, n: usize) -> bool {
        self.all.get(n).zip(self.all.get(n + 1)).is_some_and(|(a, b)| a.end == b.start)
    }

    /// Returns whether a word stands in the line before a token.
    fn has_before(&self, n: usize, word: &str) -> bool {
        (0..n).any(|at| self.of(at) == word)
    }

    /// Returns how the token at a place is written here.
    fn habit(&self, n: usize) -> Option<&'static str> {
        match self.piece(n)? {
            Piece::Sign => self.sign(n),
            Piece::Word => self.word(n),
            Piece::Text(_) => {
                let text = self.of(n);
                let is_long = text.starts_with('\'') && text.chars().count() > 3;
                (is_long && !text.starts_with("'\\"))
                    .then_some("texts stand in double quotes: `\"…\"`")
            }
            Piece::Open => {
                let is_map = self.of(n) == "{"
                    && matches!(self.before(n), "=" | "(" | "," | ":" | "return")
                    && (matches!(self.piece(n + 1), Some(Piece::Word)) || self.is_text(n + 1))
                    && self.of(n + 2) == ":";
                let is_pattern = matches!(self.before(n), "let" | "const");
                let is_signature =
                    self.of(n) == "(" && self.before(n) == "for" && self.of(n + 1) == "let";
                if is_map {
                    Some("a map is `#{ key: value }`")
                } else if is_signature {
                    Some("it is `for i in 0..10 { … }`")
                } else if is_pattern {
                    Some("one variable at a time: `let a = list[0]; let b = map.b;`")
                } else {
                    None
                }
            }
            _ => None,
        }
    }

    fn sign(&self, n: usize) -> Option<&'static str> {
        let (here, next) = (self.of(n), self.of(n + 1));
        let touches = self.touches(n);
        match here {
            "==" if next == "=" && touches => Some("it is `==`; there is no `===`"),
            "!=" if next == "=" && touches => Some("it is `!=`; there is no `!==`"),
            "=>" if !self.has_before(n, "switch") && !self.has_before(n, "match") => {
                Some("a function is `|x| …`, not `x => …`")
            }
            "-" if n == 0 && next == "-" => Some("a comment begins with `//`"),
            "#" => Some("a comment begins with `//`"),
            "+" if next == "+" && touches => Some("it is `+= 1`"),
            "-" if next == "-" && touches => Some("it is `-= 1`"),
            "-" if next == ">" && touches => {
                Some(if self.has_before(n, "fn") { NO_TYPES } else { CLOSURE })
            }
            "?" => Some(CONDITIONAL),
            "<" if next == ">" && touches => Some("it is `!=`"),
            ":" if next == "=" && touches => Some("a variable is declared with `let x = …;`"),
            ":" => self.colon(n),
            ".." if next == "." && touches => {
                Some("lists are joined with `+`: `[0] + list`; maps too")
            }
            "." if self.piece(n + 1) == Some(Piece::Number) => {
                Some("a number begins with a digit: `0.5`")
            }
            "“" | "”" | "„" | "«" | "»" | "‘" | "’" | "‚" => {
                Some("texts stand in straight double quotes: `\"…\"`")
            }
            "–" | "—" | "−" => Some("minus is `-`"),
            _ => None,
        }
    }

    fn colon(&self, n: usize) -> Option<&'static str> {
        let begins = ["if", "for", "while", "else", "def", "elif", "try", "except"];
        let is_last = n + 1 == self.all.len();
        let begins_block = begins.iter().any(|word| self.has_before(n, word));
        if self.of(n.wrapping_sub(2)) == "let" || self.of(n.wrapping_sub(2)) == "const" {
            return Some(NO_TYPES);
        }
        let depth_of = |open: &str| {
            let mut depth = 0_i32;
            for token in &self.all[..n] {
                match token.piece {
                    Piece::Open if token.of(self.line) == open => depth += 1,
                    Piece::Close if token.of(self.line) == ")" && open == "(" => depth -= 1,
                    Piece::Close if token.of(self.line) == "}" && open == "#{" => depth -= 1,
                    _ => {}
                }
            }
            depth
        };
        if self.has_before(n, "fn") && depth_of("(") > 0 {
            return Some(NO_TYPES);
        }
        if begins_block && depth_of("(") <= 0 && (is_last || depth_of("#{") <= 0) {
            return Some(BRACES);
        }
        if depth_of("(") > 0 && depth_of("#{") <= 0 {
            return Some(
                "arguments have no names; what has names goes in a map: `f(#{ title: \"…\" })`",
            );
        }
        None
    }

    fn word(&self, n: usize) -> Option<&'static str> {
        let (here, next, before) = (self.of(n), self.of(n + 1), self.before(n));
        if matches!(before, "." | "?." | "::") {
            return None;
        }
        let begins = n == 0 || matches!(before, ";" | "{" | "}");
        match here {
            "f" if self.touches(n) && self.is_text(n + 1) => {
                Some("a text with values in it is written in backticks: `Due ${task.due}`")
            }
            "def" | "function" | "func" if next == "(" => Some(CLOSURE),
            "def" | "function" | "func" => Some("a function is `fn name(a, b) { … }`"),
            "elif" | "elsif" | "elseif" => Some("it is `else if`"),
            "var" => Some("a variable is `let name = …;`"),
            "mut" => Some("every variable can be changed: `let name = …;`"),
            "async" | "await" => Some("calls wait by themselves: leave it out"),
            "of" if self.has_before(n, "for") => Some("it is `for x in list { … }`"),
            "for" if !begins && self.has_before(n, "[") => {
                Some("a list made of another is `list.map(|x| …)`")
            }
            "if" if n > 0
                && !begins
                && self.all[n..].iter().any(|token| token.of(self.line) == "else")
                && !matches!(
                    before,
                    "=" | "(" | "," | "else" | "return" | "|" | "=>" | "{" | "["
                ) =>
            {
                Some("it is `if c { a } else { b }`, which has a value")
            }
            "raise" => Some(THROW),
            "new" if self.has_before(n, "throw") => Some(THROW),
            "new" => {
                Some("there are no classes: a value is made by a function, or is a map `#{ … }`")
            }
            "class" | "struct" | "interface" => {
                Some("there are no classes; a map `#{ … }` holds values")
            }
            "finally" => {
                Some("there is no `finally`: write it after the `try { … } catch (e) { … }`")
            }
            "except" => Some("it is `try { … } catch (e) { … }`"),
            "match" | "case" | "default" => Some(SWITCH),
            "from" | "require" if begins || before == "=" => Some(IMPORT),
            "import" if !self.is_text(n + 1) => Some(IMPORT),
            "typeof" => Some("it is `type_of(x)`"),
            "is" => Some("it is `==`"),
            "pass" if begins => Some("an empty block is `{ }`"),
            "print" | "debug" if next != "(" => {
                Some("a function is called with brackets: `print(…)`")
            }
            "this" => Some("a function gets what it works on as an argument: `fn f(task) { … }`"),
            "and" | "or" | "not" | "null" | "nil" | "None" | "undefined" | "True" | "False"
            | "lambda" => known(here),
            _ => None,
        }
    }
}

fn known(name: &str) -> Option<&'static str> {
    NAMES.iter().find(|(theirs, _)| *theirs == name).map(|(_, ours)| *ours)
}

/// Returns how what a line has from another language is written here: what stands nearest to a
/// column, from 1.
pub(crate) fn of_line(line: &str, column: usize) -> Option<String> {
    let at = line.char_indices().nth(column.saturating_sub(1)).map_or(line.len(), |(at, _)| at);
    let line = Line { line, all: tokens(line) };
    let found = (0..line.all.len()).filter_map(|n| Some((line.all[n].start, line.habit(n)?)));
    found.min_by_key(|(start, _)| start.abs_diff(at)).map(|(_, ours)| ours.to_owned())
}

/// Returns names that are near a wrong one, as a question; or how its habit is written here.
pub(crate) fn did_you_mean<'a>(
    name: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    if let Some(habit) = of_name(name) {
        return Some(habit);
    }
    let names = names.into_iter();
    // One or two letters are in the name of nearly everything.
    let near = if name.chars().count() < 3 {
        let near: Vec<&str> = names.filter(|other| other.chars().count() <= 3).collect();
        nearest(name, near)
    } else {
        nearest(name, names)
    };
    let near: Vec<_> = near.iter().map(|name| format!("`{name}`")).collect();
    (!near.is_empty()).then(|| format!("did you mean {}?", near.join(" or ")))
}

/// Returns the lines, from 1, on which a text in quotes has `${…}`, which stands for itself there.
pub(crate) fn values_in_quotes(text: &str) -> Vec<usize> {
    let line_of =
        |token: &Token| text.get(..token.start).unwrap_or_default().matches('\n').count() + 1;
    let has_value = |token: &&Token| {
        let rest = token.of(text).split_once("${").map(|(_, rest)| rest);
        // A text with backticks is a script of its own, for a test to run.
        let is_script = token.of(text).contains('`');
        matches!(token.piece, Piece::Text(true))
            && !is_script
            && rest.is_some_and(|rest| rest.contains('}'))
    };
    tokens(text).iter().filter(has_value).map(line_of).collect()
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
            ("let a = 'abc';", "double quotes"),
            ("let a = b ? 1 : 2;", "if a { b } else { c }"),
            ("for (let i = 0; i < 9; i++) {", "for i in 0..10"),
            ("for x in list: print(x)", "braces"),
            ("match x { 1 => 2 }", "switch x"),
            ("switch x { case 1: f(); }", "switch x"),
            ("plan.create_task(title: \"a\")", "in a map"),
            ("let a: int = 5;", "no types"),
            ("fn f(x: int) -> int { x }", "no types"),
            ("let a = {a: 1};", "`#{ key: value }`"),
            ("let (a, b) = c;", "at a time"),
            ("[f(x) for x in list]", "`list.map(|x| …)`"),
            ("let a = 1 if b else 2;", "which has a value"),
            ("print(“a”)", "straight"),
            ("# note", "`//`"),
            ("x := 5", "`let x"),
            ("throw new Error(\"x\");", "`throw"),
            ("import dates;", "import \"dates\""),
            ("list.filter(x -> x.due)", "`|x| …`"),
        ] {
            let said = of_line(line, 1).unwrap_or_default();
            assert!(said.contains(says), "{line}: {said}");
        }
        for line in [
            "switch x { 1 => 2, \"a\" => 'b', _ => '\\n' }",
            "let a = \"x === y\"; // i++",
            "let a = if b { #{ c: 1, \"d\": 2 } } else { |x| x?.y ?? [0, 1][0..2] };",
            "for (key, value) in #{ a: 1 } { print(`${key}: ${value}`); }",
            "import \"dates\" as dates; dates::f(-1, x - 1, x.is, x.new)",
        ] {
            assert_eq!(of_line(line, 1), None, "{line}");
        }
        // Of two, the one where the fault is.
        assert!(of_line("i++; a === b", 6).is_some_and(|said| said.contains("===")));
        assert_eq!(values_in_quotes("a\n`${x}`; \"${y}\"; \"$z {\"; \"`${a}`\" // \"${\""), [2]);
        assert_eq!(escapes_in_backticks("a\n`x\\n`; \"y\\n\""), [2]);
    }
}
