//! Scripts that nobody would write: from what the catalogue knows of the API, the language's own
//! grammar, and damage to both. The same seed makes the same script.

use std::fmt::Write as _;

use planwright::script::catalog::{Form, Member, catalog};

use crate::driver::Dice;
use crate::fuzz::words::{CLOSURES, DATES, FLOATS, GIVEN, KEYS, LANGUAGE, NUMBERS, TEXTS, WORDS};

/// Whom a script is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum For {
    Skills,
    Policies,
    Tests,
}

/// Makes parts of scripts.
pub(crate) struct Maker {
    pub(crate) dice: Dice,
    whom: For,
}

impl Maker {
    pub(crate) fn new(seed: u64, whom: For) -> Self {
        // Neighbouring seeds must not make similar scripts.
        Self { dice: Dice::new(seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15)), whom }
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.dice.below(of.len())]
    }

    fn text(&mut self) -> String {
        match self.dice.below(12) {
            0 => "h_long".to_owned(),
            1 => format!("`${{{}}}`", self.value(1)),
            _ => format!("\"{}\"", self.pick(&TEXTS)),
        }
    }

    fn map(&mut self, depth: usize) -> String {
        let n = self.dice.below(5);
        let mut keys: Vec<&str> = (0..n).map(|_| self.pick(&KEYS)).collect();
        if self.dice.chance(50) {
            keys.push("title");
        }
        keys.sort_unstable();
        keys.dedup();
        let entries: Vec<_> =
            keys.into_iter().map(|key| format!("{key}: {}", self.value(depth + 1))).collect();
        format!("#{{ {} }}", entries.join(", "))
    }

    fn list(&mut self, depth: usize) -> String {
        let n = self.dice.below(4);
        let items: Vec<_> = (0..n).map(|_| self.value(depth + 1)).collect();
        format!("[{}]", items.join(", "))
    }

    /// A value of a type, in the catalogue's words; of any if it is unknown.
    fn of_kind(&mut self, kind: &str, depth: usize) -> String {
        let judged = self.whom == For::Policies;
        match kind {
            "text" => self.text(),
            "character" => self.pick(&["'x'", "' '", "'\\x00'", "'👧'"]).to_owned(),
            "int" => self.pick(&NUMBERS).to_owned(),
            "float" => self.pick(&FLOATS).to_owned(),
            "true or false" => self.pick(&["true", "false"]).to_owned(),
            "map" if self.dice.chance(8) => "h_wide".to_owned(),
            "map" => self.map(depth),
            "[any]" => self.list(depth),
            "function" => self.pick(&CLOSURES).to_owned(),
            "Date" => self.pick(&DATES).to_owned(),
            "Days" => format!("days({})", self.pick(&NUMBERS)),
            "Plan" if judged => self.pick(&["h_plan", "changes.plans[0].before"]).to_owned(),
            "Plan" => self.pick(&["h_plan", "h_plan", "h_empty"]).to_owned(),
            "Bucket" => self.pick(&["h_bucket", "h_other"]).to_owned(),
            "Task" if judged => {
                self.pick(&["h_task", "h_own", "changes.tasks[0].task", "changes.tasks[-1].after"])
            }
            .to_owned(),
            "Task" => self.pick(&["h_task", "h_last", "h_own", "h_new", "h_gone"]).to_owned(),
            "ChecklistItem" if judged => "h_old".to_owned(),
            "ChecklistItem" => self.pick(&["h_item", "h_old"]).to_owned(),
            "User" => self.pick(&["me()", "user(\"mei@bos.example\")"]).to_owned(),
            "Group" => "h_group".to_owned(),
            "Change" => format!("changes[{}]", self.pick(&NUMBERS)),
            "Changes" => "changes".to_owned(),
            "Run" => "run".to_owned(),
            _ => self.value(depth),
        }
    }

    /// Any value.
    fn value(&mut self, depth: usize) -> String {
        const KINDS: [&str; 18] = [
            "text",
            "text",
            "int",
            "int",
            "float",
            "true or false",
            "character",
            "function",
            "Date",
            "Days",
            "Plan",
            "Bucket",
            "Task",
            "ChecklistItem",
            "User",
            "Group",
            "map",
            "[any]",
        ];
        let at = self.dice.below(if depth < 3 { 22 } else { 16 });
        match at {
            0 => "()".to_owned(),
            1 => self.pick(&["0..5", "h_nest", "h_list", "5..=0"]).to_owned(),
            2 if self.whom == For::Policies => {
                self.pick(&["changes", "changes[0]", "run"]).to_owned()
            }
            3 if depth < 3 => self.call(depth + 1),
            _ => self.of_kind(KINDS[at % KINDS.len()], depth),
        }
    }

    /// A member that is there for whom this is, mostly.
    fn member(&mut self) -> &'static Member {
        let all = catalog().members();
        loop {
            let it = &all[self.dice.below(all.len())];
            let is_theirs = match self.whom {
                For::Skills => it.skills,
                For::Policies => it.policies,
                For::Tests => it.tests,
            };
            if is_theirs || self.dice.chance(2) {
                return it;
            }
        }
    }

    /// A use of a member of the API, with arguments of its types or of any others.
    pub(crate) fn call(&mut self, depth: usize) -> String {
        let member = self.member();
        self.call_of(member, depth)
    }

    fn call_of(&mut self, member: &Member, depth: usize) -> String {
        let mut n_args = member.params.len();
        if member.form == Form::Function && self.dice.chance(6) {
            n_args = self.dice.below(4);
        }
        let args: Vec<String> = (0..n_args)
            .map(|at| match member.params.get(at) {
                Some(param) if self.dice.chance(70) => self.of_kind(&param.kind, depth + 1),
                _ => self.value(depth + 1),
            })
            .collect();
        let on = match &member.on {
            Some(on) if self.dice.chance(92) => Some(self.of_kind(on, depth + 1)),
            Some(_) => Some(self.value(depth + 1)),
            None => None,
        };
        let (name, args) = (&member.name, args.join(", "));
        match (on, member.form) {
            (None, Form::Function) if name == "print" || name == "debug" => {
                // They take one value, in this form only.
                format!("{name}([{args}])")
            }
            (None, Form::Function) => format!("{name}({args})"),
            (None, _) => name.clone(),
            (Some(on), Form::Operator) if name.contains('$') => format!("({on})[{args}]"),
            (Some(on), Form::Operator) => format!("(({on}) {name} ({args}))"),
            (Some(on), Form::Property) if self.dice.chance(60) || depth > 0 => {
                format!("({on}).{name}")
            }
            (Some(on), Form::Property) => {
                let taken = member.settable.clone().filter(|_| self.dice.chance(70));
                let value = self.of_kind(taken.as_deref().unwrap_or_default(), depth + 1);
                let sign = self.pick(&["=", "=", "=", "+=", "-="]);
                format!("{{ let it = {on}; it.{name} {sign} {value}; it.{name} }}")
            }
            (Some(on), Form::Function) if self.dice.chance(15) => {
                let comma = if args.is_empty() { "" } else { ", " };
                format!("{name}({on}{comma}{args})")
            }
            (Some(on), Form::Function) => format!("({on}).{name}({args})"),
        }
    }

    /// Does something with what a call has returned.
    fn look_at(&mut self, it: &str) -> String {
        match self.dice.below(14) {
            0 => format!("print({it}); debug({it});"),
            1 => format!("`${{{it}}}`"),
            2 => format!("[{it}, #{{ a: {it} }}]"),
            3 => format!("{it} == {it}"),
            4 => format!("for other in {it} {{ debug(other); }}"),
            5 => format!("{it}[{}]", self.value(1)),
            6 => format!("type_of({it})"),
            7 => {
                let function = self.pick(&LANGUAGE);
                let args = self.list(1);
                format!("{it}.{function}({})", args.trim_matches(['[', ']']))
            }
            8 => format!("throw {it};"),
            9 => format!("{it}.{}", self.name()),
            10 => format!("{} in {it}", self.value(1)),
            _ => it.to_owned(),
        }
    }

    /// Calls of the API with random arguments; the errors of all but the last are caught.
    pub(crate) fn calls(&mut self) -> String {
        let mut text = String::new();
        let n = if self.dice.chance(50) { 0 } else { 1 + self.dice.below(3) };
        for _ in 0..n {
            let call = self.call(0);
            writeln!(text, "try {{ {call}; }} catch (e) {{ debug(e); }}").unwrap();
        }
        let call = self.call(0);
        let look = self.look_at("r");
        writeln!(text, "let r = {call};\n{look}").unwrap();
        self.whole(&text)
    }

    /// Puts what it needs above it.
    fn with_given(body: &str) -> String {
        let mut needed = body.to_owned();
        let mut given = Vec::new();
        for (name, value) in GIVEN.iter().rev() {
            if needed.contains(name) {
                given.push(format!("let {name} = {value};\n"));
                needed += value;
            }
        }
        given.reverse();
        // What the later ones are made of stands above them.
        given.sort_by_key(|it| it.contains("h_new.") || it.contains("h_own."));
        format!("{}{body}", given.concat())
    }

    /// Makes it a script: what it needs, and where it stands.
    fn whole(&mut self, body: &str) -> String {
        let body = Self::with_given(body);
        match self.whom {
            For::Skills => body,
            For::Policies if self.dice.chance(30) => {
                let body = body.replace("changes[", "[change][").replace("changes", "[change]");
                format!("fn review_change(change, run) {{\n{body}}}\n")
            }
            For::Policies => format!("fn review(changes, run) {{\n{body}}}\n"),
            For::Tests => format!("fn test_it() {{\n{body}}}\n"),
        }
    }

    fn expression(&mut self, depth: usize) -> String {
        if depth > 4 {
            return self.value(2);
        }
        match self.dice.below(19) {
            0 | 1 => {
                self.pick(&["a", "b", "x", "a", "b", "x", "h_task", "h_plan", "h_new"]).to_owned()
            }
            2..=4 => self.value(1),
            5 | 6 => self.call(1),
            7 | 8 => {
                const SIGNS: [&str; 16] = [
                    "+", "-", "*", "/", "%", "**", "<<", ">>", "==", "<", "&&", "||", "??", "in",
                    "..", "^",
                ];
                let (left, right) = (self.expression(depth + 1), self.expression(depth + 1));
                format!("({left} {} {right})", self.pick(&SIGNS))
            }
            9 => format!("{}[{}]", self.expression(depth + 1), self.expression(depth + 1)),
            10 => format!("{}.{}", self.expression(depth + 1), self.name()),
            11 => {
                let (on, name) = (self.expression(depth + 1), self.pick(&LANGUAGE));
                format!("{on}.{name}({})", self.expression(depth + 1))
            }
            12 => format!("|x| {}", self.expression(depth + 1)),
            13 => {
                format!(
                    "if {} {{ {} }} else {{ {} }}",
                    self.condition(),
                    self.value(1),
                    self.value(1)
                )
            }
            14 => {
                let name = if depth == 1 {
                    self.pick(&["helper", "helper", "md::cell"])
                } else {
                    "helper"
                };
                format!("{name}({})", self.expression(depth + 1))
            }
            15 => self.pointer(depth),
            16 => {
                let (inner, n) = (self.expression(depth + 1), self.pick(&["9", "400", "49_000"]));
                format!("{{ let c = []; c = c.pad({n}, {inner}); c }}")
            }
            17 => {
                let (one, two) = (self.expression(depth + 1), self.expression(depth + 1));
                format!("[#{{ a: [{one}, #{{ b: {two} }}] }}, [[{one}]]]")
            }
            _ => format!(
                "switch {} {{ {} => {}, _ => {} }}",
                self.expression(depth + 1),
                self.pick(&["1", "\"x\"", "0..5", "1 | 2 if true", "()"]),
                self.expression(depth + 1),
                self.value(1)
            ),
        }
    }

    /// A pointer to a function, with what it keeps.
    fn pointer(&mut self, depth: usize) -> String {
        let of = self.pick(&["Fn(\"helper\")", "Fn(\"abs\")", "|x| x", "|| a"]);
        match self.dice.below(4) {
            0 => of.to_owned(),
            1 => format!("({of}).curry({})", self.expression(depth + 1)),
            2 => {
                let kept = self.expression(depth + 1);
                format!("({of}).curry({kept}, {kept}, {kept}, {kept})")
            }
            _ => {
                let kept = self.expression(depth + 1);
                format!(
                    "{{ let f = {of}; for i in 0..{} {{ f = f.curry(f, {kept}); }} f }}",
                    self.pick(&["3", "20", "200"])
                )
            }
        }
    }

    fn condition(&mut self) -> String {
        let (left, right) = (self.expression(3), self.expression(3));
        format!("{left} {} {right}", self.pick(&["==", "!=", "<", ">=", "in"]))
    }

    /// The name of a property or function of the API.
    fn name(&mut self) -> &'static str {
        loop {
            let member = self.member();
            if member.form != Form::Operator && !matches!(member.name.as_str(), "print" | "debug") {
                return &member.name;
            }
        }
    }

    fn block(&mut self, depth: usize) -> String {
        let n = 1 + self.dice.below(3);
        (0..n).map(|_| self.statement(depth + 1)).collect()
    }

    fn statement(&mut self, depth: usize) -> String {
        let it = self.expression(1);
        if depth > 3 {
            return format!("{it};\n");
        }
        match self.dice.below(16) {
            0..=3 => format!("let {} = {it};\n", self.pick(&["a", "b", "x"])),
            4 => format!("const K{} = {it};\n", self.dice.below(3)),
            5 => {
                let sign = self.pick(&["=", "+=", "-=", "*=", "%=", "<<="]);
                format!("{} {sign} {it};\n", self.pick(&["a", "b", "a.title", "a[0]", "b.x.y"]))
            }
            6 => format!(
                "if {} {{ {} }} else {{ {} }}\n",
                self.condition(),
                self.block(depth),
                self.block(depth)
            ),
            7 => format!("for x in ({it}) {{ {} }}\n", self.block(depth)),
            8 => format!("for (x, i) in [{it}] {{ {} }}\n", self.block(depth)),
            9 => format!("while {} {{ {} break; }}\n", self.condition(), self.block(depth)),
            10 => format!("loop {{ {} }}\n", self.block(depth)),
            11 => {
                format!("try {{ {} }} catch (e) {{ {} }}\n", self.block(depth), self.block(depth))
            }
            12 => format!("{} {it};\n", self.pick(&["throw", "return", "throw"])),
            13 => format!("do {{ {} }} until {};\n", self.block(depth), self.condition()),
            _ => format!("{it};\n"),
        }
    }

    /// A script by the grammar of the language.
    pub(crate) fn script(&mut self) -> String {
        let mut text = String::new();
        if self.dice.chance(20) {
            text += &self.manifest();
        }
        if self.dice.chance(80) {
            text += "import \"tiny\" as md;\n";
        }
        let mut body = format!("let a = {};\n", self.value(1));
        body += "let b = #{ x: #{ y: 2 } };\nlet x = [1, 2];\n";
        for _ in 0..=self.dice.below(5) {
            body += &self.statement(0);
        }
        text += &self.whole(&body);
        if text.contains("helper(") {
            let param = self.pick(&["x", "a", "b", "c"]);
            let block = self.block(2).replace("md::cell(", "helper(");
            let body = Self::with_given(&block);
            writeln!(text, "fn helper({param}) {{ let a = 1; let b = []; let x = a; {body} }}")
                .unwrap();
        }
        if self.dice.chance(25) { self.damaged(&text) } else { text }
    }

    /// A doc comment with the parameters of a skill, some of them wrong.
    pub(crate) fn manifest(&mut self) -> String {
        let mut toml = "[params]\n".to_owned();
        for _ in 0..self.dice.below(4) {
            let name = self.pick(&["days", "x", "let", "a-b", "\"\"", "days", "title"]);
            let kind = self.pick(&["int", "string", "float", "bool", "date", "map", ""]);
            let default =
                self.pick(&["1", "\"x\"", "nan", "1e999", "2026-02-28", "true", "[]", "{}"]);
            writeln!(toml, "{name} = {{ type = \"{kind}\", default = {default} }}").unwrap();
        }
        if self.dice.chance(30) {
            toml = self.damaged(&toml);
        }
        let lines: String = toml.lines().map(|it| format!("//! {it}\n")).collect();
        format!("//! What it does.\n//!\n//! ```toml\n{lines}//! ```\n")
    }

    /// A text with tokens gone, doubled, exchanged or nested, and noise in it.
    pub(crate) fn damaged(&mut self, text: &str) -> String {
        let mut tokens: Vec<String> = tokens(text);
        for _ in 0..=self.dice.below(4) {
            let at = self.dice.below(tokens.len().max(1));
            if at >= tokens.len() {
                return "}".to_owned();
            }
            match self.dice.below(10) {
                0 | 1 => drop(tokens.remove(at)),
                2 => {
                    let n = 1 + self.dice.below(3);
                    let twice = tokens[at..tokens.len().min(at + n)].to_vec();
                    tokens.splice(at..at, twice);
                }
                3 => {
                    let other = self.dice.below(tokens.len());
                    tokens.swap(at, other);
                }
                4 | 5 => tokens[at] = self.pick(&WORDS).to_owned(),
                6 => {
                    const ODD: [&str; 12] = [
                        "0x",
                        "0b2",
                        "1_",
                        "1e",
                        "99999999999999999999",
                        "0xffffffffffffffff",
                        "1.2.3",
                        "\"\\u{110000}\"",
                        "'ab'",
                        "`${`${1}`}`",
                        "\"\\x\"",
                        "0o777777777777777777777777",
                    ];
                    tokens.insert(at, self.pick(&ODD).to_owned());
                }
                7 => {
                    let n = self.dice.below(600);
                    const OPEN: [&str; 14] = [
                        "(", "[", "{", "#{a:", "|x|", "-", "!", "if x {", "fn f() {", "a.b(",
                        "`${", "/*", "a?.", "\\",
                    ];
                    let open = self.pick(&OPEN).repeat(n);
                    tokens.insert(at, open);
                }
                8 => {
                    let noise: String = (0..1 + self.dice.below(20))
                        .map(|_| {
                            let most = if self.dice.chance(70) { 0x7f } else { 0x2_ffff };
                            char::from_u32(u32::try_from(self.dice.below(most)).unwrap())
                                .unwrap_or('\u{fffd}')
                        })
                        .collect();
                    tokens.insert(at, noise);
                }
                _ => tokens.truncate(at),
            }
        }
        tokens.concat()
    }
}

/// Splits a text where words, numbers, blanks and signs meet.
fn tokens(text: &str) -> Vec<String> {
    let class = |it: char| {
        if it.is_alphanumeric() || it == '_' { 0 } else { 1 + u32::from(!it.is_whitespace()) }
    };
    let mut tokens: Vec<String> = Vec::new();
    let mut last = 9;
    for it in text.chars() {
        let now = class(it);
        match tokens.last_mut() {
            Some(token) if now == last && now != 2 => token.push(it),
            _ => tokens.push(it.to_string()),
        }
        last = now;
    }
    tokens
}
