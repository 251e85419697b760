//! What a line is made of, as far as an editor needs to know: where texts and comments are, what
//! is still open, which word stands where. Never fails: a line is looked at while it is typed.

/// What a piece of a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// A name or a word of the language.
    Word,
    /// A number.
    Number,
    /// A text or a character, or a part of one around `${…}`; whether it is closed.
    Text(bool),
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
    /// What it is.
    pub piece: Piece,
    /// Where it begins, in bytes.
    pub start: usize,
    /// Where it ends, in bytes.
    pub end: usize,
}

impl Token {
    /// Returns its text.
    #[must_use]
    pub fn of<'a>(&self, line: &'a str) -> &'a str {
        line.get(self.start..self.end).unwrap_or_default()
    }
}

/// What encloses a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    Bracket,
    /// `${`: what follows its end is text again.
    Template,
}

/// Takes a line (or several) apart; blanks are left out.
#[must_use]
pub fn tokens(line: &str) -> Vec<Token> {
    let mut scan = Scan { line, at: 0, found: Vec::new(), within: Vec::new() };
    while let Some(ch) = scan.peek() {
        scan.next(ch);
    }
    scan.found
}

/// Tells whether more must follow: a bracket, a text in backticks or a comment is open.
#[must_use]
pub fn is_open(line: &str) -> bool {
    let mut depth = 0_i32;
    for token in tokens(line) {
        match token.piece {
            Piece::Open => depth += 1,
            Piece::Close => depth -= 1,
            Piece::Text(closed) if !closed && token.of(line).starts_with(['`', '}']) => {
                return true;
            }
            Piece::Comment(false) => return true,
            _ => {}
        }
    }
    depth > 0
}

/// Returns the bracket that belongs to the one at a place, in bytes.
#[must_use]
pub fn partner(line: &str, at: usize) -> Option<usize> {
    let brackets: Vec<Token> = tokens(line)
        .into_iter()
        .filter(|it| matches!(it.piece, Piece::Open | Piece::Close))
        .collect();
    let here = brackets.iter().position(|it| it.start <= at && at < it.end)?;
    let mut depth = 0;
    let is_open = |it: &&Token| it.piece == Piece::Open;
    if is_open(&&brackets[here]) {
        brackets[here..].iter().find(|it| closes(&mut depth, is_open(it))).map(|it| it.start)
    } else {
        let mut back = brackets[..=here].iter().rev();
        back.find(|it| closes(&mut depth, !is_open(it))).map(|it| it.end - 1)
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
            self.push(Piece::Comment(true), self.while_in(|it| it != '\n'));
        } else if rest.starts_with("/*") {
            self.comment();
        } else if ch == '"' || ch == '\'' {
            self.text(ch);
        } else if ch == '`' {
            self.template();
        } else if ch.is_ascii_alphabetic() || ch == '_' {
            self.push(Piece::Word, self.while_in(|it| it.is_ascii_alphanumeric() || it == '_'));
        } else if ch.is_ascii_digit() {
            self.push(Piece::Number, self.while_in(|it| it.is_ascii_alphanumeric() || it == '_'));
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
                self.at -= 1;
                self.template();
            }
        } else {
            let two =
                ["=>", "::", "?.", "==", "!=", "<=", ">=", "&&", "||", "??", "..", "+=", "-="];
            let length = if two.iter().any(|it| rest.starts_with(it)) { 2 } else { ch.len_utf8() };
            self.push(Piece::Sign, length);
        }
    }

    fn comment(&mut self) {
        // They nest.
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

    /// A text in backticks up to its end, or up to a `${` in it.
    fn template(&mut self) {
        let rest = self.rest();
        let end = rest.get(1..).and_then(|it| {
            let tick = it.find('`').map(|at| (at + 2, false));
            let code = it.find("${").map(|at| (at + 1, true));
            tick.into_iter().chain(code).min()
        });
        match end {
            Some((length, false)) => self.push(Piece::Text(true), length),
            Some((length, true)) => {
                self.push(Piece::Text(true), length);
                self.within.push(Within::Template);
                self.push(Piece::Open, 2);
            }
            None => self.push(Piece::Text(false), rest.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(line: &str) -> Vec<&str> {
        tokens(line).iter().map(|it| it.of(line)).collect()
    }

    #[test]
    fn a_line_is_taken_apart() {
        let line = r#"let t = board.task("a \" b"); // x"#;
        let expected =
            ["let", "t", "=", "board", ".", "task", "(", r#""a \" b""#, ")", ";", "// x"];
        assert_eq!(texts(line), expected);
        assert_eq!(texts("`a ${b + `c`} d` e"), ["`a ", "${", "b", "+", "`c`", "}", "} d`", "e"]);
        assert_eq!(texts("#{ a: 1_0 }"), ["#{", "a", ":", "1_0", "}"]);
    }

    #[test]
    fn what_is_open_wants_more() {
        for line in ["if x {", "f(1,", "`a\nb", "/* a", "`a ${b", "`a ${b} c", "[1, #{"] {
            assert!(is_open(line), "{line}");
        }
        for line in ["1 + 1", "f(1) }", "\"a(", "// {", "'('", "`a ${b} {`", "/* { */", ""] {
            assert!(!is_open(line), "{line}");
        }
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
                prop_assert!(token.end >= last && line.is_char_boundary(token.end));
                last = token.end;
            }
            let _any = (is_open(&line), partner(&line, at));
        }
    }
}
