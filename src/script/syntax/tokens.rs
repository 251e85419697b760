//! The tokens of a line, as far as an editor needs them: where texts and comments are, what is
//! still open, which word is where. Splitting never fails, since a line is split while it is typed.

/// The kind of a piece of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// A name or a word of the language.
    Word,
    /// A number.
    Number,
    /// A text or a character; whether it is closed.
    Text(bool),
    /// A text in backticks, or a part of one before or after `${…}`; whether it is closed.
    Template(bool),
    /// A text between `#"` and `"#`, with any number of `#`, taken as it stands; whether it is closed.
    Raw(bool),
    /// A comment; whether it is closed.
    Comment(bool),
    /// `(`, `[` or `{`, also of `#{` and `${`.
    Open,
    /// `)`, `]` or `}`.
    Close,
    /// Anything else: one character, or two that belong together.
    Sign,
}

/// A piece of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// Its kind.
    pub piece: Piece,
    /// Its start, in bytes.
    pub start: usize,
    /// Its end, in bytes.
    pub end: usize,
}

impl Token {
    /// Returns its text.
    #[must_use]
    pub fn of<'a>(&self, line: &'a str) -> &'a str {
        line.get(self.start..self.end).unwrap_or_default()
    }
}

/// A bracket that encloses a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    Bracket,
    /// `${`: what follows its end is text again.
    Template,
}

/// Splits a line (or several) into pieces; blanks are left out.
#[must_use]
pub fn tokens(line: &str) -> Vec<Token> {
    let mut scan = Scan { line, at: 0, found: Vec::new(), within: Vec::new() };
    while let Some(ch) = scan.peek() {
        scan.next(ch);
    }
    scan.found
}

/// Returns whether more must follow: a bracket, a text in backticks or a comment is open.
#[must_use]
pub fn is_open(line: &str) -> bool {
    Lines::default().add(line)
}

/// Returns the bracket that belongs to the one at a place, in bytes.
#[must_use]
pub fn partner(line: &str, at: usize) -> Option<usize> {
    let brackets: Vec<Token> = tokens(line)
        .into_iter()
        .filter(|token| matches!(token.piece, Piece::Open | Piece::Close))
        .collect();
    let here = brackets.iter().position(|token| token.start <= at && at < token.end)?;
    let mut depth = 0;
    let is_open = |token: &&Token| token.piece == Piece::Open;
    if is_open(&&brackets[here]) {
        brackets[here..]
            .iter()
            .find(|token| closes(&mut depth, is_open(token)))
            .map(|token| token.start)
    } else {
        let mut back = brackets[..=here].iter().rev();
        back.find(|token| closes(&mut depth, !is_open(token))).map(|token| token.end - 1)
    }
}

fn closes(depth: &mut i32, deeper: bool) -> bool {
    *depth += if deeper { 1 } else { -1 };
    *depth == 0
}

struct Scan<'a> {
    line: &'a str,
    at: usize,
    found: Vec<Token>,
    within: Vec<Within>,
}

impl Scan<'_> {
    fn rest(&self) -> &str {
        self.line.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn push(&mut self, piece: Piece, length: usize) {
        let start = self.at;
        self.at = (start + length).min(self.line.len());
        self.found.push(Token { piece, start, end: self.at });
    }

    fn while_in(&self, keep: impl Fn(char) -> bool) -> usize {
        self.rest().find(|ch| !keep(ch)).unwrap_or(self.rest().len())
    }

    fn next(&mut self, ch: char) {
        let rest = self.rest();
        if ch.is_whitespace() {
            self.at += ch.len_utf8();
        } else if rest.starts_with("//") {
            self.push(Piece::Comment(true), self.while_in(|ch| ch != '\n'));
        } else if rest.starts_with("/*") {
            self.comment();
        } else if ch == '"' || ch == '\'' {
            self.text(ch);
        } else if ch == '`' {
            self.template(1);
        } else if ch.is_ascii_alphabetic() || ch == '_' {
            self.push(Piece::Word, self.while_in(|ch| ch.is_ascii_alphanumeric() || ch == '_'));
        } else if ch.is_ascii_digit() {
            self.push(Piece::Number, self.while_in(|ch| ch.is_ascii_alphanumeric() || ch == '_'));
        } else if let Some(hashes) = raw_text(rest) {
            self.raw(hashes);
        } else if rest.starts_with("#{") {
            self.within.push(Within::Bracket);
            self.push(Piece::Open, 2);
        } else if matches!(ch, '(' | '[' | '{') {
            self.within.push(Within::Bracket);
            self.push(Piece::Open, 1);
        } else if matches!(ch, ')' | ']' | '}') {
            let was = self.within.pop();
            self.push(Piece::Close, 1);
            if was == Some(Within::Template) && ch == '}' {
                // The rest of the text around it.
                self.template(0);
            }
        } else {
            let two =
                ["=>", "::", "?.", "==", "!=", "<=", ">=", "&&", "||", "??", "..", "+=", "-="];
            let length =
                if two.iter().any(|sign| rest.starts_with(sign)) { 2 } else { ch.len_utf8() };
            self.push(Piece::Sign, length);
        }
    }

    fn comment(&mut self) {
        // Comments of Rhai nest.
        let (mut depth, mut length) = (0, 0);
        let rest = self.rest();
        while length < rest.len() {
            let here = rest.get(length..).unwrap_or_default();
            if here.starts_with("/*") {
                (depth, length) = (depth + 1, length + 2);
            } else if here.starts_with("*/") {
                (depth, length) = (depth - 1, length + 2);
                if depth == 0 {
                    break;
                }
            } else {
                length += here.chars().next().map_or(1, char::len_utf8);
            }
        }
        self.push(Piece::Comment(depth == 0), length);
    }

    fn text(&mut self, quote: char) {
        let (mut escaped, mut end) = (false, None);
        for (at, ch) in self.rest().char_indices().skip(1) {
            match ch {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '\n' => {
                    end = Some((at, false));
                    break;
                }
                _ if ch == quote => {
                    end = Some((at + 1, true));
                    break;
                }
                _ => {}
            }
        }
        let (length, closed) = end.unwrap_or((self.rest().len(), false));
        self.push(Piece::Text(closed), length);
    }

    /// Reads a text between as many `#` on both sides.
    fn raw(&mut self, hashes: usize) {
        let end = format!("\"{}", "#".repeat(hashes));
        let rest = self.rest();
        let found = rest.get(hashes + 1..).and_then(|text| text.find(&end));
        let length = found.map_or(rest.len(), |at| hashes + 1 + at + end.len());
        self.push(Piece::Raw(found.is_some()), length);
    }

    /// Reads a text in backticks up to its end, or up to a `${` in it; it begins with so many
    /// ticks.
    fn template(&mut self, ticks: usize) {
        let rest = self.rest();
        let end = rest.get(ticks..).and_then(|text| {
            let tick = text.find('`').map(|at| (at + ticks + 1, false));
            let code = text.find("${").map(|at| (at + ticks, true));
            tick.into_iter().chain(code).min()
        });
        match end {
            Some((length, false)) => self.push(Piece::Template(true), length),
            Some((length, true)) => {
                if length > 0 {
                    self.push(Piece::Template(true), length);
                }
                self.within.push(Within::Template);
                self.push(Piece::Open, 2);
            }
            None => self.push(Piece::Template(false), rest.len()),
        }
    }
}

/// Returns the number of `#` before the quote, where a text begins that is taken as it stands.
fn raw_text(rest: &str) -> Option<usize> {
    let after = rest.trim_start_matches('#');
    let hashes = rest.len() - after.len();
    (hashes > 0 && after.starts_with('"')).then_some(hashes)
}

/// Returns where a comment begins that is never closed, as its line and column, both from 1.
///
/// The engine takes the whole rest of the script for the comment, and runs what is before it.
#[must_use]
pub fn unclosed_comment(text: &str) -> Option<(usize, usize)> {
    // Most scripts have none like that, and need not be split.
    if !text.contains("/*") {
        return None;
    }
    let last = tokens(text).pop().filter(|token| token.piece == Piece::Comment(false))?;
    let before = text.get(..last.start)?;
    let line = before.rsplit('\n').next().unwrap_or_default();
    Some((before.matches('\n').count() + 1, line.chars().count() + 1))
}

/// Lines that come one after another, each split once.
#[derive(Debug, Default)]
pub struct Lines {
    text: String,
    /// The end of what was split, and the number of brackets open there.
    seen: usize,
    depth: i32,
}

impl Lines {
    /// Adds a line with its line break; returns whether more must follow.
    pub fn add(&mut self, line: &str) -> bool {
        self.text.push_str(line);
        let rest = self.text.get(self.seen..).unwrap_or_default();
        let mut depth = self.depth;
        for token in tokens(rest) {
            match token.piece {
                Piece::Open => depth += 1,
                Piece::Close => depth -= 1,
                // It is split again with the next line, from where only brackets were open.
                Piece::Template(false) | Piece::Raw(false) | Piece::Comment(false) => return true,
                _ => {}
            }
        }
        (self.seen, self.depth) = (self.text.len(), depth);
        depth > 0
    }

    /// Returns what was added, and starts over.
    pub fn take(&mut self) -> String {
        std::mem::take(self).text
    }

    /// Returns what was added so far.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Splits a text into lines, or groups of lines, that can each stand alone.
#[must_use]
pub fn apart(text: &str) -> Vec<String> {
    let (mut lines, mut found) = (Lines::default(), Vec::new());
    for line in text.split_inclusive('\n') {
        let is_command = lines.text().is_empty() && line.trim_start().starts_with(':');
        if !lines.add(line) || is_command {
            found.push(lines.take());
        }
    }
    found.push(lines.take());
    found.retain(|line| !line.trim().is_empty());
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(line: &str) -> Vec<&str> {
        tokens(line).iter().map(|token| token.of(line)).collect()
    }

    #[test]
    fn a_line_is_taken_apart() {
        let line = r#"let t = board.task("a \" b"); // x"#;
        let expected =
            ["let", "t", "=", "board", ".", "task", "(", r#""a \" b""#, ")", ";", "// x"];
        assert_eq!(texts(line), expected);
        assert_eq!(texts("`a ${b + `c`} d` e"), ["`a ", "${", "b", "+", "`c`", "}", " d`", "e"]);
        assert_eq!(texts("#{ a: 1_0 }"), ["#{", "a", ":", "1_0", "}"]);
        assert_eq!(
            texts(r###"a(#"b "c" /* "#)##"d"# e"##"###),
            ["a", "(", r##"#"b "c" /* "#"##, ")", r###"##"d"# e"##"###]
        );
    }

    #[test]
    fn what_is_open_wants_more() {
        for line in ["if x {", "f(1,", "`a\nb", "/* a", "`a ${b", "`a ${b} c", "[1, #{", "#\"a"] {
            assert!(is_open(line), "{line}");
        }
        for line in ["1 + 1", "f(1) }", "\"a(", "// {", "'('", "`a ${b} {`", "/* { */", ""] {
            assert!(!is_open(line), "{line}");
        }
    }

    #[test]
    fn a_comment_without_an_end_is_found() {
        assert_eq!(unclosed_comment("1;\n é /* a\n/* b */"), Some((2, 4)));
        assert_eq!(unclosed_comment("/* /* a */ */ \"/*\" // /*\n#\"/*\"#"), None);
    }

    #[test]
    fn lines_are_taken_together_that_belong_together() {
        let text = "let a = 1\nif a {\n  2\n}\n:doc x {\n`b\n${a}\n`\n\nlast";
        let expected = ["let a = 1\n", "if a {\n  2\n}\n", ":doc x {\n", "`b\n${a}\n`\n", "last"];
        assert_eq!(apart(text), expected);
    }

    #[test]
    fn brackets_know_each_other() {
        assert_eq!(partner("a(b[0])", 1), Some(6));
        assert_eq!(partner("a(b[0])", 6), Some(1));
        assert_eq!(partner("a(b[0])", 5), Some(3));
        assert_eq!(partner("a(\"(\"", 1), None);
        assert_eq!(partner("abc", 1), None);
    }

    proptest! {
        #[test]
        fn any_line_can_be_taken_apart(line in any::<String>(), at in 0..40_usize) {
            let mut last = 0;
            for token in tokens(&line) {
                prop_assert!(token.start <= token.end && line.is_char_boundary(token.start));
                prop_assert!(token.start >= last && line.is_char_boundary(token.end));
                last = token.end;
            }
            let _any = (is_open(&line), partner(&line, at));
        }
    }
}
