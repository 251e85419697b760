//! The script API as Markdown for people and as definitions for editors, both from the catalog, so
//! that neither can be out of date.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::script::catalog::{Form, Member, TYPES};

const HEAD: &str = "\
# What scripts can call

Printed by `planwright api`; `planwright api Task` shows one type, `planwright api assign` one name.

A `?` after a type means \"or nothing\", which is written `()`; `[Task]` is an array of tasks; *any* takes what the
description says. Properties marked *settable* can be set with `=`. Everything that is not marked *policies only* or
*tests only* is available to skills; policies can read all of it and change nothing.
";

const LANGUAGE: &str = "
## The language itself

Scripts are [Rhai](https://rhai.rs/book/). For those who know JavaScript: closures are `|x| x + 1`, maps `#{ a: 1 }`,
texts with values in them `` `${task.title} is late` ``, nothing is `()`, and the last value of a script is its result.
Texts have `len`, `contains`, `starts_with`, `ends_with`, `split`, `sub_string`, `to_upper`, `to_lower`, `index_of` and
others; `trim` and `replace` change a variable in place and return nothing. Arrays have `len`, `push`, `filter`, `map`,
`find`, `some`, `all`, `reduce`, `sort`, `contains` and others. There are no files, no network, no clock but `now()`,
and no `eval`.
";

/// Writes the whole reference.
pub(crate) fn whole(members: &[&Member]) -> String {
    format!("{HEAD}{}{LANGUAGE}", tables(members, 2))
}

/// Writes a table for each type.
pub(crate) fn tables(members: &[&Member], level: usize) -> String {
    let mut text = String::new();
    for on in [None].into_iter().chain(TYPES.map(Some)) {
        let of_type: Vec<_> = members.iter().filter(|member| member.on.as_deref() == on).collect();
        if of_type.is_empty() {
            continue;
        }
        let title = on.unwrap_or("Global");
        let _infallible = write!(text, "\n{} {title}\n\n| | |\n| --- | --- |\n", "#".repeat(level));
        for member in of_type {
            let mut description = member.description.replace('|', "\\|");
            for (is, mark) in [
                (member.settable.is_some(), " *Settable.*"),
                (member.policies && !member.skills, " *Policies only.*"),
                (member.tests && !member.skills && !member.policies, " *Tests only.*"),
            ] {
                if is {
                    description.push_str(mark);
                }
            }
            let typed = member.typed().replace('|', "\\|");
            let _infallible = writeln!(text, "| `{typed}` | {description} |");
        }
    }
    text
}

/// Writes definitions in the script language, for its language server.
pub(crate) fn definitions(members: &[&Member]) -> String {
    let mut text = "module static;\n".to_owned();
    let mut seen = BTreeSet::new();
    let kind = |name: &str| match name {
        "text" => "string".to_owned(),
        "true or false" => "bool".to_owned(),
        name if name.starts_with('[') => "array".to_owned(),
        name if name == "any" || name.contains('|') || name.ends_with('?') => "?".to_owned(),
        name => name.to_owned(),
    };
    for member in members {
        let on = member.on.iter().map(|name| format!("{}: {}", name.to_lowercase(), kind(name)));
        let params =
            member.params.iter().map(|param| format!("{}: {}", param.name, kind(&param.kind)));
        let params: Vec<_> = on.chain(params).collect();
        let (name, params) = match (member.form, member.on.is_some()) {
            (Form::Property, false) => continue,
            (Form::Property, true) => (format!("get {}", member.name), params.join(", ")),
            (Form::Function, _) => (member.name.clone(), params.join(", ")),
            (Form::Operator, _) => continue,
        };
        let line = format!("fn {name}({params}) -> {};", kind(&member.returns));
        if seen.insert(line.clone()) {
            let _infallible = write!(text, "\n/// {}\n{line}\n", member.description);
        }
    }
    text
}
