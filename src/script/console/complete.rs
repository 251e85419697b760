//! Completion: what could be typed next, found from the line up to the cursor, from what is known
//! of the variables, and from the catalogue. The service is not asked here: where names of the
//! board are wanted, the result says which.

use std::collections::BTreeMap;

use crate::script::catalog::{Form, Member, catalog};
use crate::script::line_order::{Known, Whose};
use crate::script::lint::kind::ValueKind;
use crate::script::lint::kind_of;
use crate::script::syntax::tokens::{Piece, Token, tokens};

/// The kind of names to offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// Titles of plans.
    Plans,
    /// Names of the buckets of a plan.
    Buckets,
    /// Titles of the tasks of a plan.
    Tasks,
    /// Sign-in names.
    Users,
    /// Names of the labels of a plan.
    Labels,
    /// Names of groups.
    Groups,
    /// Paths of libraries.
    Libraries,
    /// One of these words.
    Words(&'static [&'static str]),
}

/// The completions at a place.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// One of these.
    Members(Vec<Offer>),
    /// A name in a text.
    Names(Names, Whose),
}

/// A word that could be typed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Offer {
    /// The word.
    pub word: String,
    /// True if it is called as a function.
    pub is_call: bool,
    /// Its signature.
    pub told: String,
}

/// Words of the language that begin something.
const LANGUAGE: [&str; 16] = [
    "break", "catch", "const", "continue", "else", "false", "fn", "for", "if", "import", "let",
    "return", "switch", "true", "try", "while",
];
/// The fields of a new task.
const FIELDS: [&str; 12] = [
    "assign",
    "bucket",
    "checklist",
    "description",
    "due",
    "key",
    "labels",
    "priority",
    "progress",
    "references",
    "start",
    "title",
];
/// The language's most useful functions of arrays and texts.
const OF_LISTS: [&str; 16] = [
    "all", "contains", "dedup", "filter", "find", "for_each", "index_of", "is_empty", "len", "map",
    "pop", "push", "reduce", "reverse", "some", "sort",
];
const OF_TEXTS: [&str; 10] = [
    "contains",
    "ends_with",
    "index_of",
    "len",
    "replace",
    "split",
    "starts_with",
    "sub_string",
    "to_lower",
    "to_upper",
];
const PRIORITIES: &[&str] = &["urgent", "important", "medium", "low"];
const PROGRESS: &[&str] = &["not_started", "in_progress", "completed"];
const WEEKDAYS: &[&str] =
    &["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// The line up to the cursor.
struct Look<'a> {
    line: &'a str,
    tokens: Vec<Token>,
    variables: &'a BTreeMap<String, Known>,
}

/// Finds what could be typed at the end of `line`, and where it would begin, in bytes.
#[must_use]
pub fn next(line: &str, variables: &BTreeMap<String, Known>) -> Option<(usize, Next)> {
    let look = Look { line, tokens: tokens(line), variables };
    match look.tokens.last() {
        Some(last) if matches!(last.piece, Piece::Text(false) | Piece::Template(false)) => {
            let names = look.names(look.tokens.len() - 1)?;
            Some((last.start + 1, Next::Names(names.0, names.1)))
        }
        Some(last) if last.piece == Piece::Comment(false) || last.of(line).starts_with("//") => {
            None
        }
        Some(last) if last.piece == Piece::Word && last.end == line.len() => {
            let at = look.tokens.len() - 1;
            Some((last.start, Next::Members(look.words(at, last.of(line)))))
        }
        _ => Some((line.len(), Next::Members(look.words(look.tokens.len(), "")))),
    }
}

/// Returns the signature of the function in whose brackets `line` ends.
#[must_use]
pub fn signature(line: &str, variables: &BTreeMap<String, Known>) -> Option<String> {
    let look = Look { line, tokens: tokens(line), variables };
    let (open, _) = look.call(look.tokens.len())?;
    let name = look.text(open.checked_sub(1)?);
    let on = look.receiver(open - 1);
    let on = match &on {
        Some(kind) => Some(kind.host()?),
        None => None,
    };
    let is_it =
        |member: &&Member| member.form == Form::Function && member.name == name && member.skills;
    catalog().of(on).find(is_it).map(Member::typed)
}

impl Look<'_> {
    fn text(&self, at: usize) -> &str {
        self.tokens.get(at).map(|token| token.of(self.line)).unwrap_or_default()
    }

    fn is_dot(&self, at: usize) -> bool {
        matches!(self.text(at), "." | "?.")
    }

    /// Returns the offers that begin with `start`, at the token `at`.
    fn words(&self, at: usize, start: &str) -> Vec<Offer> {
        let mut offers: Vec<Offer> = Vec::new();
        let mut add = |word: &str, is_call: bool, told: String| {
            if word.starts_with(start) && !offers.iter().any(|offer| offer.word == word) {
                offers.push(Offer { word: word.to_owned(), is_call, told });
            }
        };
        let mut members = |on: Option<&str>| {
            for member in
                catalog().of(on).filter(|member| member.skills && member.form != Form::Operator)
            {
                add(&member.name, member.form == Form::Function, member.typed());
            }
        };
        if at > 0 && self.is_dot(at - 1) {
            match self.kind_before(at - 1) {
                ValueKind::List(_) | ValueKind::Written(_) => {
                    OF_LISTS.iter().for_each(|word| add(word, true, String::new()));
                }
                kind if kind.name() == Some("text") => {
                    OF_TEXTS.iter().for_each(|word| add(word, true, String::new()));
                }
                ValueKind::Of(name) => members(Some(&name)),
                ValueKind::Any | ValueKind::Words(_) | ValueKind::Constant(_) => {}
            }
        } else if self.is_field(at) {
            FIELDS.iter().for_each(|field| add(&format!("{field}: "), false, String::new()));
        } else {
            members(None);
            self.variables.keys().for_each(|name| add(name, false, String::new()));
            self.locals().keys().for_each(|name| add(name, false, String::new()));
            LANGUAGE.iter().for_each(|word| add(word, false, String::new()));
        }
        offers.sort();
        offers
    }

    /// Returns whether the token `at` would name a field of a new task: `create_task(#{ …, `.
    fn is_field(&self, at: usize) -> bool {
        let Some((open, _)) = self.call(at).filter(|call| self.text(call.0) == "#{") else {
            return false;
        };
        let first = at == open + 1 || (at > 0 && self.text(at - 1) == ",");
        first && open >= 2 && self.text(open - 2) == "create_task"
    }

    /// Returns the type of what ends before the token `at`.
    fn kind_before(&self, at: usize) -> ValueKind {
        let Some(last) = at.checked_sub(1) else { return ValueKind::Any };
        let Some((first, end)) = self
            .chain_start(last)
            .and_then(|first| Some((self.tokens.get(first)?, self.tokens.get(last)?)))
        else {
            return ValueKind::Any;
        };
        let text = self.line.get(first.start..end.end).unwrap_or_default();
        let mut kinds: BTreeMap<String, ValueKind> =
            self.variables.iter().map(|(name, known)| (name.clone(), known.kind.clone())).collect();
        kinds.extend(self.locals());
        kind_of(text, &kinds)
    }

    /// Returns the first token of the chain that ends with the token `at`:
    /// `board.bucket("a").tasks[0]`.
    fn chain_start(&self, mut at: usize) -> Option<usize> {
        loop {
            if self.tokens.get(at)?.piece == Piece::Close {
                at = self.open_of(at)?;
                let before = at.checked_sub(1).and_then(|before| self.tokens.get(before));
                // A call or an index belongs to what stands before it.
                let is_of =
                    before.is_some_and(|token| matches!(token.piece, Piece::Word | Piece::Close));
                if is_of && matches!(self.text(at), "(" | "[") {
                    at -= 1;
                    continue;
                }
            }
            match at.checked_sub(2) {
                Some(before) if self.is_dot(at - 1) || self.text(at - 1) == "::" => at = before,
                _ => return Some(at),
            }
        }
    }

    fn open_of(&self, close: usize) -> Option<usize> {
        let mut depth = 0_usize;
        for at in (0..=close).rev() {
            match self.tokens.get(at)?.piece {
                Piece::Close => depth += 1,
                Piece::Open => {
                    depth = depth.checked_sub(1)?;
                    if depth == 0 {
                        return Some(at);
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// Returns the bracket that is open before the token `at`, and the number of commas after it.
    fn call(&self, at: usize) -> Option<(usize, usize)> {
        let (mut depth, mut commas) = (0_usize, 0);
        for at in (0..at).rev() {
            match self.tokens.get(at)?.piece {
                Piece::Close => depth += 1,
                Piece::Open if depth == 0 => return Some((at, commas)),
                Piece::Open => depth -= 1,
                Piece::Sign if depth == 0 && self.text(at) == "," => commas += 1,
                _ => {}
            }
        }
        None
    }

    /// Returns the type of what the word `at` is called on; `None` if on nothing.
    fn receiver(&self, at: usize) -> Option<ValueKind> {
        let dot = at.checked_sub(1).filter(|dot| self.is_dot(*dot))?;
        Some(self.kind_before(dot))
    }

    /// Returns the names that closures and loops give their items, with their types.
    fn locals(&self) -> BTreeMap<String, ValueKind> {
        let mut found = BTreeMap::new();
        for at in 0..self.tokens.len() {
            let is_closure = self.text(at) == "|" && self.text(at + 2) == "|";
            if is_closure
                && let Some(open) = at.checked_sub(1).filter(|open| self.text(*open) == "(")
                && let Some(dot) = open.checked_sub(2).filter(|dot| self.is_dot(*dot))
            {
                let item = self.known_before(dot).item();
                found.insert(self.text(at + 1).to_owned(), item);
            }
            if self.text(at) == "for" && self.text(at + 2) == "in" {
                let end = (at + 3..self.tokens.len()).find(|brace| self.text(*brace) == "{");
                if let Some(end) = end.filter(|end| *end > at + 3) {
                    let item = self.known_before(end).item();
                    found.insert(self.text(at + 1).to_owned(), item);
                }
            }
        }
        found
    }

    /// Returns the same as [`Self::kind_before`] by the variables alone: closures in closures are
    /// not followed.
    fn known_before(&self, at: usize) -> ValueKind {
        let Some(last) = at.checked_sub(1) else { return ValueKind::Any };
        let Some(first) = self.chain_start(last) else { return ValueKind::Any };
        let (Some(first), Some(last)) = (self.tokens.get(first), self.tokens.get(last)) else {
            return ValueKind::Any;
        };
        let kinds = self.variables.iter().map(|(name, known)| (name.clone(), known.kind.clone()));
        kind_of(self.line.get(first.start..last.end).unwrap_or_default(), &kinds.collect())
    }

    /// Returns the kind of names that the text `at` would hold, and whose they are.
    fn names(&self, at: usize) -> Option<(Names, Whose)> {
        let before = at.checked_sub(1)?;
        if self.text(before) == "import" {
            return Some((Names::Libraries, Whose::Unknown));
        }
        // `task.priority = "`, `bucket: "`
        if matches!(self.text(before), "=" | "==" | "!=" | ":") {
            let word = before.checked_sub(1)?;
            let names = of_field(self.text(word))?;
            let is_property = word > 0 && self.is_dot(word - 1);
            let whose = if is_property { self.whose(word) } else { self.whose_call(at) };
            return Some((names, whose));
        }
        let (open, n) = self.call(at)?;
        let word = open.checked_sub(1)?;
        // `labels: ["`
        if self.text(open) == "[" && self.text(word) == ":" {
            let names = of_field(self.text(word.checked_sub(1)?))?;
            return Some((names, self.whose_call(open)));
        }
        let names = match (self.text(word), n) {
            ("plan", 0) => Names::Plans,
            ("bucket" | "move_to", 0) | ("move_to_plan", 1) => Names::Buckets,
            ("task" | "open_tasks_titled", 0) => Names::Tasks,
            (
                "assign" | "unassign" | "assigned_to" | "user" | "add_member" | "share_with"
                | "unshare_with",
                0,
            ) => Names::Users,
            ("add_label" | "remove_label" | "set_label", 0) => Names::Labels,
            ("create_plan" | "group", 0) => Names::Groups,
            ("next", 0) => Names::Words(WEEKDAYS),
            _ => return None,
        };
        Some((names, self.whose(word)))
    }

    /// Returns whose names a text in the brackets around the token `at` means:
    /// `board.create_task(#{ …`.
    fn whose_call(&self, at: usize) -> Whose {
        let mut at = at;
        while let Some((open, _)) = self.call(at) {
            if self.text(open) == "(" && open > 0 {
                return self.whose(open - 1);
            }
            at = open;
        }
        Whose::Unknown
    }

    /// Returns the plan to which the chain that ends with the word `at` belongs.
    fn whose(&self, at: usize) -> Whose {
        let Some(first) = self.chain_start(at).filter(|first| *first < at) else {
            return Whose::Unknown;
        };
        if self.text(first) == "plan" && self.text(first + 1) == "(" {
            let title = self.text(first + 2).trim_matches(['"', '`']);
            return Whose::Titled(title.to_owned());
        }
        self.variables.get(self.text(first)).map(|known| known.of.clone()).unwrap_or_default()
    }
}

/// Returns the kind of names that a field of a task takes.
fn of_field(name: &str) -> Option<Names> {
    Some(match name {
        "bucket" => Names::Buckets,
        "labels" => Names::Labels,
        "assign" => Names::Users,
        "priority" => Names::Words(PRIORITIES),
        "progress" => Names::Words(PROGRESS),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> BTreeMap<String, Known> {
        let of = |name: &str| ValueKind::Of(name.to_owned());
        let plan = Whose::Plan("xqQg5FS2LkCp935s-FIFm2QAFkHM".parse().unwrap());
        let known = |kind, of| Known { kind, of };
        [
            ("board", known(of("Plan"), plan)),
            ("t", known(of("Task"), Whose::Unknown)),
            ("late", Known::list(of("Task"), Whose::Unknown)),
            ("name", known(of("text"), Whose::Unknown)),
        ]
        .map(|(name, known)| (name.to_owned(), known))
        .into()
    }

    fn words(line: &str) -> Vec<String> {
        match next(line, &variables()) {
            Some((_, Next::Members(offers))) => {
                offers.into_iter().map(|offer| offer.word).collect()
            }
            other => panic!("{line}: {other:?}"),
        }
    }

    fn named(line: &str) -> (Names, Whose) {
        match next(line, &variables()) {
            Some((_, Next::Names(names, whose))) => (names, whose),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn members_are_offered_by_the_type_before_the_dot() {
        for line in [
            "t.",
            "let x = t.",
            "late[0].",
            "board.tasks[0].",
            "plan(\"a\").bucket(\"b\").tasks[1].",
            "late.filter(|x| x.",
            "for x in board.tasks { x.",
            "board.bucket(\"b\").create_task(#{ title: \"x\" }).",
        ] {
            let words = words(line);
            assert!(words.contains(&"assign".to_owned()), "{line}: {words:?}");
            assert!(!words.contains(&"create_bucket".to_owned()), "{line}: {words:?}");
        }
        assert_eq!(words("t.perc"), ["percent_complete"]);
        assert_eq!(words("board.create_"), ["create_bucket", "create_task"]);
        assert!(words("late.").contains(&"filter".to_owned()));
        assert!(words("name.").contains(&"to_upper".to_owned()));
        assert!(words("nothing.").is_empty());
    }

    #[test]
    fn what_stands_by_itself_is_offered_elsewhere() {
        assert_eq!(words("boa"), ["board"]);
        assert!(words("").contains(&"today".to_owned()) && words("").contains(&"let".to_owned()));
        assert_eq!(words("let y = la"), ["late"]);
    }

    #[test]
    fn a_text_tells_what_it_names() {
        let (names, whose) = named("board.bucket(\"In");
        assert_eq!((names, whose), (Names::Buckets, variables()["board"].of.clone()));
        assert_eq!(named("plan(\"").0, Names::Plans);
        assert_eq!(named("t.assign(\"an").0, Names::Users);
        assert_eq!(named("t.priority = \"").0, Names::Words(PRIORITIES));
        assert_eq!(named("import \"da").0, Names::Libraries);
        let titled = Whose::Titled("BOS".to_owned());
        assert_eq!(named("plan(\"BOS\").bucket(\"").1, titled);
        let line = "board.create_task(#{ title: name, bucket: \"";
        assert_eq!(named(line), (Names::Buckets, variables()["board"].of.clone()));
        let line = "plan(\"BOS\").create_task(#{ labels: [\"a\", \"";
        assert_eq!(named(line), (Names::Labels, titled));
        assert_eq!(next("print(\"a", &variables()), None);
        assert_eq!(next("// t.", &variables()), None);
    }

    #[test]
    fn a_call_tells_what_it_takes() {
        let told = |line: &str| signature(line, &variables());
        assert_eq!(told("t.assign(").as_deref(), Some("assign(user: any)"));
        assert_eq!(told("plan(\"a\"").as_deref(), Some("plan(title_or_id: text) → Plan"));
        assert_eq!(told("t.title"), None);
    }
}
