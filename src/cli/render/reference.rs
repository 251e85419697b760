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
`starts_with`, `ends_with`, `split`, `to_upper`, `to_lower`, `index_of`, `parse_int`; lists `len`, `map`, `reduce`,
`contains`; maps `keys`, `values`, `contains`. There are no files, no network, no clock but `now()`.

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
buckets by name, labels by name or number (1 to 25); days as a Date or \"2026-12-24\". `create_task` and `update` take one or a list for
`assign`, `labels`, `checklist` (texts) and `references` (links, or `#{ url, alias }`). A name that does not exist, or
is not unique, is an error.
";

const SHORT_HEAD: &str = "\
# What a skill can call

`planwright api NAME` tells more of one name. `title*: text` is a property that can be set with `=`, one without the star
can only be read; `f(a: int, b?): text` is a function, whose `b` may be left out; a `?` behind a type means \"or `()`\",
and `[Task]` is a list. What stands without a type takes what its description says. The id of what is new is provisional.
";

/// Writes what a skill needs, shortly: for a reader that pays for every word.
pub(crate) fn short(members: &[&Member]) -> String {
    let mut text = format!("{SHORT_HEAD}{LANGUAGE}");
    for on in [None].into_iter().chain(TYPES.map(Some)) {
        let of_type: Vec<&Member> = members
            .iter()
            .copied()
            .filter(|member| {
                member.on.as_deref() == on && member.skills && member.form != Form::Operator
            })
            .collect();
        let (mut plain, mut told) = (Vec::new(), Vec::<(String, String, String)>::new());
        let mut seen = BTreeSet::new();
        for member in of_type.iter().filter(|member| seen.insert(member.name.as_str())) {
            let same: Vec<&Member> =
                of_type.iter().copied().filter(|other| other.name == member.name).collect();
            let (typed, description) = (typed_shortly(&same), told_shortly(&same));
            if description.is_empty() {
                plain.push(format!("{}{typed}", member.name));
            } else if let Some(other) = told
                .iter_mut()
                .find(|(_, of, description_of)| *of == typed && *description_of == description)
            {
                // One function by several names.
                other.0 = format!("{}, {}", other.0, member.name);
            } else {
                told.push((member.name.clone(), typed, description));
            }
        }
        if plain.is_empty() && told.is_empty() {
            continue;
        }
        let _infallible = write!(text, "\n## {}\n\n", on.unwrap_or("Global"));
        if !plain.is_empty() {
            let _infallible = writeln!(text, "{}", plain.join("; "));
        }
        for (names, typed, description) in told {
            let _infallible = writeln!(text, "{names}{typed}  {description}");
        }
    }
    text
}

/// Returns the one of several by a name that takes the least: of those that take texts, if there are
/// any, since what takes a character takes a text as well.
fn shortest<'a>(same: &[&'a Member]) -> Option<&'a Member> {
    let least = |member: &&&Member| {
        let takes_character = member.params.iter().any(|param| param.kind == "character");
        (takes_character, member.params.len())
    };
    same.iter().min_by_key(least).copied()
}

/// Writes what follows the name of a member, given everything that goes by the name.
fn typed_shortly(same: &[&Member]) -> String {
    let kind = |kind: &str| kind.replace("true or false", "bool");
    let Some(first) = shortest(same) else { return String::new() };
    if first.form == Form::Property {
        let star = if first.settable.is_some() { "*" } else { "" };
        return format!("{star}: {}", kind(&first.returns));
    }
    // What only some of the name take may be left out.
    let longer = same.iter().filter(|member| member.params.starts_with(&first.params));
    let longest = longer.max_by_key(|member| member.params.len()).unwrap_or(&first);
    let params = longest.params.iter().enumerate().map(|(n, param)| {
        let optional = if n < first.params.len() { "" } else { "?" };
        match param.kind.as_str() {
            "any" => format!("{}{optional}", param.name),
            given => format!("{}{optional}: {}", param.name, kind(given)),
        }
    });
    let params = params.collect::<Vec<_>>().join(", ");
    match first.returns.as_str() {
        "()" => format!("({params})"),
        returns => format!("({params}): {}", kind(returns)),
    }
}

/// Returns the first sentence about a name, as short as it can be; nothing if the name says it.
fn told_shortly(same: &[&Member]) -> String {
    const OPENINGS: [&str; 5] = ["Returns ", "Records ", "Its ", "The ", "True if "];
    // Words that say nothing beside a name and its type.
    const FILLERS: [&str; 18] = [
        "", "a", "an", "belong", "day", "ha", "i", "if", "in", "it", "item", "name", "of", "on",
        "that", "the", "to", "true",
    ];
    let Some(member) = shortest(same) else { return String::new() };
    let mut told = member.description.split(". ").next().unwrap_or_default().trim_end_matches('.');
    told = OPENINGS.iter().find_map(|opening| told.strip_prefix(opening)).unwrap_or(told);
    let is_id = member.name == "id" || told.starts_with("id; while");
    // What follows a colon is told by `api NAME`, unless it shows how.
    if let Some((start, rest)) = told.split_once(": ")
        && !rest.starts_with('`')
        && !rest.starts_with("a map")
        && !rest.starts_with("maps")
    {
        told = start;
    }
    // The `?` says it.
    if member.returns.ends_with('?')
        && let Some((start, _)) = told.split_once(", `()`").or_else(|| told.split_once("; `()`"))
    {
        told = start;
    }
    let words = |text: &str| -> BTreeSet<String> {
        let words = text.split(|ch: char| !ch.is_alphanumeric()).map(str::to_lowercase);
        words
            .map(|word| word.trim_end_matches('s').to_owned())
            .filter(|word| !FILLERS.contains(&word.as_str()))
            .collect()
    };
    let params = member.params.iter().map(|param| param.name.as_str()).collect::<Vec<_>>();
    let typed = format!("{} {} {}", member.name, params.join(" "), member.returns);
    let is_said = words(told).is_subset(&words(&typed));
    if is_id || is_said { String::new() } else { told.to_owned() }
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
