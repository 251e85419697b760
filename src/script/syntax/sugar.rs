//! What scripts may write beyond the language: `for (key, value) in map`, and `list[0..3]`.
//!
//! Both are rewritten before the text is compiled, within their line, so that lines stay what they
//! are. Columns behind such a place are counted back when a place is shown.

use crate::script::syntax::RETURNS_ONLY;
use crate::script::syntax::tokens::{Piece, Token, tokens};

/// A text put into another.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Insertion {
    /// The byte of the original text before which it stands.
    at: usize,
    /// The bytes of the original text that it replaces.
    replaces: usize,
    text: String,
}

/// Returns a script in the engine's own language.
pub(crate) fn plain_text(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut done = 0;
    for insertion in insertions(text) {
        plain.push_str(text.get(done..insertion.at).unwrap_or_default());
        plain.push_str(&insertion.text);
        done = insertion.at + insertion.replaces;
    }
    plain.push_str(text.get(done..).unwrap_or_default());
    plain
}

/// Returns the column of the original text that a column of the plain one stands for, both from 1.
pub(crate) fn original_column(text: &str, line: usize, column: usize) -> usize {
    let Some(start) = start_of_line(text, line) else { return column };
    let mut shift: isize = 0;
    for insertion in insertions(text).iter().filter(|insertion| insertion.at >= start) {
        let Some(before) = text.get(start..insertion.at).filter(|before| !before.contains('\n'))
        else {
            break;
        };
        let here = before.chars().count().saturating_add_signed(shift);
        let length = insertion.text.chars().count();
        if column <= here + 1 {
            break;
        }
        let grows = length.cast_signed() - insertion.replaces.cast_signed();
        if column <= here + length {
            // Within what was put in: its place is where it was put.
            return before.chars().count() + 1;
        }
        shift += grows;
    }
    column.saturating_add_signed(-shift).max(1)
}

fn start_of_line(text: &str, line: usize) -> Option<usize> {
    if line <= 1 {
        return Some(0);
    }
    text.match_indices('\n').nth(line - 2).map(|(at, _)| at + 1)
}

/// Finds what has to be put in, in order.
fn insertions(text: &str) -> Vec<Insertion> {
    // Most scripts have neither, and need not be split.
    if !text.contains("..") && !text.contains("for") && !text.contains('|') {
        return Vec::new();
    }
    let code = Code::new(text);
    let mut found = Vec::new();
    for (n, token) in code.all.iter().enumerate() {
        match token.piece {
            Piece::Word if token.of(text) == "for" => code.loop_over_pairs(n, &mut found),
            Piece::Word => code.chain_with_itself(n, &mut found),
            Piece::Open if token.of(text) == "[" => code.range_index(n, &mut found),
            _ => {}
        }
    }
    found.sort_by_key(|insertion| insertion.at);
    found
}

/// The deepest brackets that are looked into: the engine takes none that are deeper, and each is
/// looked through once for every one around it.
const DEEPEST: usize = 64;

/// The tokens of a script but for comments, and which brackets belong together.
struct Code<'a> {
    text: &'a str,
    all: Vec<Token>,
    /// For each opening bracket the place of the one that closes it.
    close: Vec<Option<usize>>,
    /// The number of brackets around each token.
    depth: Vec<usize>,
}

impl<'a> Code<'a> {
    fn new(text: &'a str) -> Self {
        let all: Vec<Token> = tokens(text)
            .into_iter()
            .filter(|token| !matches!(token.piece, Piece::Comment(_)))
            .collect();
        let (mut close, mut depth) = (vec![None; all.len()], Vec::with_capacity(all.len()));
        let mut open = Vec::new();
        for (n, token) in all.iter().enumerate() {
            if token.piece == Piece::Close
                && let Some(start) = open.pop()
            {
                let start: usize = start;
                close[start] = Some(n);
            }
            depth.push(open.len());
            if token.piece == Piece::Open {
                open.push(n);
            }
        }
        Self { text, all, close, depth }
    }

    /// Returns whether there is a token at a place, and it is this word or sign.
    fn is(&self, at: usize, word: &str) -> bool {
        self.all.get(at).is_some_and(|token| token.of(self.text) == word)
    }

    /// `for (key, value) in of {` becomes a loop over what `_entries(of)` gives.
    fn loop_over_pairs(&self, n: usize, found: &mut Vec<Insertion>) {
        let (text, all) = (self.text, &self.all);
        let Some([open, key, comma, value, close, within]) = all.get(n + 1..n + 7) else { return };
        let is = |token: &Token, word: &str| token.of(text) == word;
        let is_word = |token: &Token| token.piece == Piece::Word;
        let fits = is(open, "(") && is_word(key) && is(comma, ",") && is_word(value);
        if !fits || !is(close, ")") || !is(within, "in") {
            return;
        }
        let Some(first) = all.get(n + 7) else { return };
        // The body begins at the first brace outside any bracket; that of a map is `#{`.
        let mut at = n + 7;
        while let Some(token) = all.get(at) {
            if token.piece == Piece::Open {
                if is(token, "{") {
                    break;
                }
                let Some(close) = self.close[at] else { return };
                at = close;
            }
            at += 1;
        }
        let (Some(body), Some(last)) = (all.get(at), all.get(at - 1)) else { return };
        if at <= n + 7 {
            return;
        }
        // Names of their own, since a policy may not hide one variable behind another.
        let (pair, place) = (format!("_pair{n}"), format!("_place{n}"));
        let put = |token: &Token, text: String| Insertion {
            at: token.start,
            replaces: token.end - token.start,
            text,
        };
        found.push(put(key, pair.clone()));
        found.push(put(value, place.clone()));
        let before = |at: usize, text: String| Insertion { at, replaces: 0, text };
        found.push(before(first.start, "_entries(".to_owned()));
        found.push(before(last.end, ")".to_owned()));
        let (key, value) = (key.of(text), value.of(text));
        let names =
            format!(" let {key} = _key({pair}, {place}); let {value} = _value({pair}, {place});");
        found.push(before(body.end, names));
    }

    /// `list[0..3]` becomes `list.extract(0..3)`.
    fn range_index(&self, n: usize, found: &mut Vec<Insertion>) {
        let (text, all) = (self.text, &self.all);
        if self.depth[n] > DEEPEST {
            return;
        }
        let Some(before) = n.checked_sub(1).and_then(|before| all.get(before)) else { return };
        let is_value = match before.piece {
            Piece::Word => !is_keyword(before.of(text)),
            Piece::Close => before.of(text) != "}",
            Piece::Text(_) | Piece::Template(_) | Piece::Raw(_) => true,
            _ => false,
        };
        let gap = text.get(before.end..all[n].start).unwrap_or_default();
        if !is_value || gap.contains('\n') {
            return;
        }
        let Some(close) = self.close[n] else { return };
        let mut depth = 0;
        let has_range = all[n + 1..close].iter().any(|token| {
            match token.piece {
                Piece::Open => depth += 1,
                Piece::Close => depth -= 1,
                Piece::Sign => return depth == 0 && token.of(text) == "..",
                // `0..3` begins with a number, to which the first point does not belong.
                _ => {}
            }
            false
        });
        if has_range {
            let put = |token: &Token, text: &str| Insertion {
                at: token.start,
                replaces: 1,
                text: text.to_owned(),
            };
            found.push(put(&all[n], ".extract("));
            found.push(put(&all[close], ")"));
        }
    }

    /// `map.keys().map(|key| map[key])` becomes `_own(map).keys().map(…)`: while a call on a variable
    /// goes on, the engine lets nobody else have it, a function in the same chain included.
    fn chain_with_itself(&self, n: usize, found: &mut Vec<Insertion>) {
        let (text, all) = (self.text, &self.all);
        let is = |at: usize, word: &str| self.is(at, word);
        let is_member =
            n.checked_sub(1).is_some_and(|at| is(at, ".") || is(at, "?.") || is(at, "::"));
        if is_member || self.depth[n] > DEEPEST || !is(n + 1, ".") || !is(n + 3, "(") {
            return;
        }
        let first = all.get(n + 2).map_or("", |token| token.of(text));
        if !READS.contains(&first) && !RETURNS_ONLY.contains(&first) {
            return;
        }
        let name = all[n].of(text);
        let (mut at, mut uses_itself) = (n + 3, false);
        // From bracket to bracket, as long as the chain goes on.
        while let Some(close) = self.close.get(at).copied().flatten() {
            let within = &all[at..close];
            let has_function = within.iter().any(|token| token.of(text).starts_with('|'));
            uses_itself |= has_function
                && within
                    .windows(2)
                    .any(|pair| pair[0].of(text) != "." && pair[1].of(text) == name);
            at = close + 1;
            if is(at, ".") || is(at, "?.") {
                at += 2;
            }
            if !is(at, "(") && !is(at, "[") {
                break;
            }
        }
        if uses_itself {
            let before =
                |at: usize, text: &str| Insertion { at, replaces: 0, text: text.to_owned() };
            found.push(before(all[n].start, "_own("));
            found.push(before(all[n].end, ")"));
        }
    }
}

/// Further functions that leave what they are called on as it is.
const READS: [&str; 8] = ["for_each", "keys", "map", "reduce", "some", "split", "sum_by", "values"];

fn is_keyword(word: &str) -> bool {
    matches!(word, "in" | "return" | "if" | "else" | "let" | "const" | "throw" | "while" | "switch")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_and_ranges_are_written_in_the_language() {
        for (text, plain) in [
            ("let a = list[0..3];", "let a = list.extract(0..3);"),
            ("f(x)[1..=n].len()", "f(x).extract(1..=n).len()"),
            ("for i in 0..3 { a[i] = [0..3]; }", "for i in 0..3 { a[i] = [0..3]; }"),
            ("// list[0..3]\n\"x[0..3]\"", "// list[0..3]\n\"x[0..3]\""),
            (
                "for (k, v) in #{ a: 1 } { print(k); }",
                "for (_pair0, _place0) in _entries(#{ a: 1 }) { let k = _key(_pair0, _place0); let v = _value(_pair0, _place0); print(k); }",
            ),
            ("m.keys().map(|k| m[k])", "_own(m).keys().map(|k| m[k])"),
            ("m.keys().map(|k| k)[0..2]", "m.keys().map(|k| k).extract(0..2)"),
            ("for (k v) in m {}", "for (k v) in m {}"),
            ("for (k, v) in", "for (k, v) in"),
        ] {
            assert_eq!(plain_text(text), plain);
        }
    }

    #[test]
    fn columns_are_those_of_the_text() {
        let text = "1;\nlet a = list[0..3]; oops();";
        let plain = plain_text(text);
        let at = plain.lines().nth(1).unwrap().find("oops").unwrap() + 1;
        assert_eq!(original_column(text, 2, at), 21);
        assert_eq!(original_column(text, 2, 3), 3);
        assert_eq!(original_column(text, 1, 2), 2);
        let text = "for (k, v) in m { oops(); }";
        let at = plain_text(text).find("oops").unwrap() + 1;
        assert_eq!(original_column(text, 1, at), 19);
        assert_eq!(original_column(text, 9, 4), 4);
    }
}
