//! The script API as Markdown for people and as definitions for editors, both from the catalog, so
//! that neither can be out of date.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::script::catalog::{Form, Member, TYPES};

const HEAD: &str = "\
# What scripts can call

Printed by `planwright api --all`; `planwright api` shows what a skill needs, `planwright api Task` one type.

A `?` after a type means \"or nothing\", which is written `()`; `[Task]` is a list of tasks; *any* takes what the
description says. Properties marked *settable* can be set with `=`. Everything that is not marked *policies only* or
*tests only* is available to skills; policies can read all of it and change nothing.
";

const LANGUAGE: &str = "
## The language

Scripts are [Rhai](https://rhai.rs/book/). For those who know JavaScript: closures are `|x| x + 1`, maps `#{ a: 1 }`,
texts with values in them `` `${task.title} is late` `` (no escapes in backticks), nothing is `()`, and the last value of
a script is its result. `for x in list`, `for (x, index) in list`, `for (key, value) in map`; `list[0..3]`; a key that a
map has not is `()`, so `n[k] = (n[k] ?? 0) + 1` counts; `try { } catch (e) { e.message }`.

What trims, replaces, sorts, reverses, pads or cuts returns the new value and changes nothing: `title = title.trim();`.
`push`, `pop`, `insert`, `remove` and `clear` change a list or map of the script's own. A function to sort by takes one
item and gives what to sort by (nothing comes last, like ones keep their order; to sort by two keys, sort by the second
first), or two items and says whether the first comes before the second. Texts also have `len`, `contains`,
`starts_with`, `ends_with`, `split`, `to_upper`, `to_lower`, `index_of`; lists `len`, `filter`, `map`, `find`, `some`,
`all`, `reduce`, `contains`; maps `keys`, `values`, `contains`. There are no files, no network, no clock but `now()`.

A skill declares its parameters in its first lines, with types `string int float bool date list data`:

```rhai,ignore
//! Moves what is late.
//!
//! ```toml
//! [params]
//! plan = { type = \"string\", description = \"Plan title\" }
//! days = { type = \"int\", default = 0, description = \"Days overdue at least\" }
//! ```

let late = plan(params.plan).tasks.where(#{ overdue: params.days });
```

`progress` is `not_started`, `in_progress` or `completed`; a priority reads as 0 to 10 (`urgent` 1, `important` 3,
`medium` 5, `low` 9) and can be set by name. People are given as a User, an address, an id or a unique part of a name;
buckets and labels by name; days as a Date or \"2026-12-24\". `create_task` and `update` take one or a list for
`assign`, `labels`, `checklist` (texts) and `references` (links, or `#{ url, alias }`). A name that does not exist, or
is not unique, is an error.
";

/// Writes what a skill needs, shortly: for a reader that pays for every word.
pub(crate) fn short(members: &[&Member]) -> String {
    let mut text = "# What a skill can call\n\n`planwright api NAME` tells more of one name; a `?` means \"or `()`\".\n".to_owned();
    text.push_str(LANGUAGE);
    for on in [None].into_iter().chain(TYPES.map(Some)) {
        let mut seen = BTreeSet::new();
        let of_type = members.iter().filter(|member| {
            member.on.as_deref() == on && member.skills && member.form != Form::Operator
        });
        let lines: Vec<String> = of_type
            .filter(|member| seen.insert(member.name.as_str()))
            .map(|member| {
                let is = if member.settable.is_some() { " (settable)" } else { "" };
                let mut told = member.description.split(". ").next().unwrap_or_default();
                told = told.split(": `").next().unwrap_or_default().trim_end_matches('.');
                format!("- `{}`{is} {told}\n", member.typed())
            })
            .collect();
        if !lines.is_empty() {
            let _infallible = write!(text, "\n## {}\n\n{}", on.unwrap_or("Global"), lines.concat());
        }
    }
    text
}

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
