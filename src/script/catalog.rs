//! The catalogue: everything that scripts can call, read from the code's own metadata.
//!
//! One source for `planwright api`, for "did you mean", for `skill check` and for completion. The
//! type a member returns is in its signature, or, where that is any value, in the last line of its
//! comment: `→ Date?` (or nothing), `→ [Task]` (an array).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use rhai::FuncInfo;
use serde::Serialize;

use crate::script::sandbox::engine::for_compiling;
use crate::script::source::ScriptKind;

/// The form of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// `task.title`
    Property,
    /// `task.assign(user)`, or `plan("…")` where it belongs to no type.
    Function,
    /// `a < b`
    Operator,
}

/// A parameter of a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its type, in a script writer's words.
    #[serde(rename = "type")]
    pub kind: String,
}

/// Something a script can use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    /// The type that it belongs to; `None` for what stands by itself.
    pub on: Option<String>,
    /// Its name, or its sign.
    pub name: String,
    /// Its form.
    pub form: Form,
    /// Its parameters, without the object it is called on.
    pub params: Vec<Parameter>,
    /// The type of what it returns; `()` for nothing, a `?` behind it for "or nothing".
    pub returns: String,
    /// The type of what can be set, if it can.
    pub settable: Option<String>,
    /// Its description.
    pub description: String,
    /// True if skills can use it.
    pub skills: bool,
    /// True if policies can use it.
    pub policies: bool,
    /// True if test files can use it.
    pub tests: bool,
}

/// The types, in the order in which they are listed.
pub const TYPES: [&str; 14] = [
    "Plan",
    "Bucket",
    "Task",
    "ChecklistItem",
    "Comment",
    "User",
    "Group",
    "Date",
    "Days",
    "List",
    "text",
    "Change",
    "Changes",
    "Run",
];

/// Everything that scripts can use.
#[derive(Debug, Default)]
pub struct Catalog {
    members: Vec<Member>,
    /// Names of the language's own functions and properties.
    language: BTreeSet<String>,
}

/// Returns the catalogue, built once.
#[must_use]
pub fn catalog() -> &'static Catalog {
    static CATALOG: OnceLock<Catalog> = OnceLock::new();
    CATALOG.get_or_init(Catalog::build)
}

impl Member {
    /// Returns it as it is written: `assign(user)`, `title`.
    #[must_use]
    pub fn signature(&self) -> String {
        let names = || self.params.iter().map(|param| param.name.as_str()).collect::<Vec<_>>();
        match self.form {
            Form::Property => self.name.clone(),
            Form::Function => format!("{}({})", self.name, names().join(", ")),
            Form::Operator => {
                let left = self.on.as_deref().unwrap_or_default();
                let right = self.params.iter().map(|param| param.kind.as_str()).collect::<String>();
                format!("{left} {} {right}", self.name)
            }
        }
    }

    /// Returns it with types: `assign(user: any)`, `due: Date?`.
    #[must_use]
    pub fn typed(&self) -> String {
        let params: Vec<_> =
            self.params.iter().map(|param| format!("{}: {}", param.name, param.kind)).collect();
        match (self.form, self.returns.as_str()) {
            (Form::Property, returns) => format!("{}: {returns}", self.name),
            (Form::Operator, returns) => format!("{} → {returns}", self.signature()),
            (Form::Function, "()") => format!("{}({})", self.name, params.join(", ")),
            (Form::Function, returns) => {
                format!("{}({}) → {returns}", self.name, params.join(", "))
            }
        }
    }

    /// Returns it with the object it is called on, as errors show it.
    #[must_use]
    pub fn in_full(&self) -> String {
        match &self.on {
            Some(on) => format!("{}.{}", on.to_lowercase(), self.typed()),
            None => self.typed(),
        }
    }

    fn order(&self) -> (usize, Form, &str, usize, &str, &str) {
        let of_type =
            |on: &String| TYPES.iter().position(|known| known == on).map_or(99, |at| at + 1);
        let at = self.on.as_ref().map_or(0, of_type);
        let taken = self.params.first().map_or("", |param| param.kind.as_str());
        (at, self.form, &self.name, self.params.len(), taken, &self.description)
    }
}

impl Catalog {
    fn build() -> Self {
        let mut catalog = Self::default();
        for kind in [ScriptKind::Skill, ScriptKind::Policy, ScriptKind::Test] {
            let engine = for_compiling(kind);
            // Not by way of JSON, which the engine offers as well: every run asks for the catalogue.
            let mut functions = engine.collect_fn_metadata(None, Function::read, false);
            functions.sort();
            let (mut setters, mut members) = (BTreeMap::new(), Vec::new());
            for function in functions {
                read(function, &mut members, &mut setters);
            }
            for mut member in members {
                if member.form == Form::Property {
                    let on = member.on.clone().unwrap_or_default();
                    member.settable = setters.get(&(on, member.name.clone())).cloned();
                }
                catalog.add(member, kind);
            }
            let name = |info: FuncInfo<'_>| {
                let name = info.metadata.name.as_str();
                Some(name.trim_start_matches("get$").trim_start_matches("set$").to_owned())
            };
            catalog.language.extend(engine.collect_fn_metadata(None, name, true));
        }
        for (name, params, description) in BUILT_IN {
            let param =
                |name: &&str| Parameter { name: (*name).to_owned(), kind: "any".to_owned() };
            let is_value = *name == "params";
            catalog.members.push(Member {
                on: None,
                name: (*name).to_owned(),
                form: if is_value { Form::Property } else { Form::Function },
                params: params.iter().map(param).collect(),
                returns: if is_value { "map" } else { "()" }.to_owned(),
                settable: None,
                description: (*description).to_owned(),
                skills: true,
                policies: !is_value,
                tests: !is_value,
            });
        }
        catalog.members.sort_by(|a, b| a.order().cmp(&b.order()));
        catalog
    }

    /// Adds a member, or marks a known one as available to a further kind of script.
    fn add(&mut self, member: Member, kind: ScriptKind) {
        let same = |known: &&mut Member| {
            known.name == member.name
                && known.on == member.on
                && known.form == member.form
                && known.params == member.params
                && known.description == member.description
        };
        let at = match self.members.iter_mut().find(same) {
            Some(known) => known,
            None => {
                self.members.push(member);
                let Some(new) = self.members.last_mut() else { return };
                new
            }
        };
        match kind {
            ScriptKind::Skill => at.skills = true,
            ScriptKind::Policy => at.policies = true,
            ScriptKind::Test => at.tests = true,
        }
    }

    /// Returns every member: what stands by itself first, then type by type.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Returns the members of a type; of none, what stands by itself.
    pub fn of<'a>(&'a self, on: Option<&'a str>) -> impl Iterator<Item = &'a Member> {
        self.members.iter().filter(move |member| member.on.as_deref() == on)
    }

    /// Returns the members of a type, those with a name, or the one that is written `Type.name`,
    /// whatever the case; `global` is what stands by itself.
    #[must_use]
    pub fn find(&self, name: &str) -> Vec<&Member> {
        let same = |text: &str| text.eq_ignore_ascii_case(name);
        if same("global") {
            return self.of(None).collect();
        }
        let is_on = |member: &Member, on: &str| {
            member.on.as_deref().is_some_and(|type_name| type_name.eq_ignore_ascii_case(on))
        };
        let of_type: Vec<_> = self.members.iter().filter(|member| is_on(member, name)).collect();
        if !of_type.is_empty() {
            return of_type;
        }
        let (on, wanted) = name.split_once('.').map_or((None, name), |(on, rest)| (Some(on), rest));
        let wanted = wanted.trim_end_matches("()");
        let all = self.members.iter();
        all.filter(|member| member.name.eq_ignore_ascii_case(wanted))
            .filter(|member| on.is_none_or(|on| is_on(member, on)))
            .collect()
    }

    /// Returns the names of the language's own functions.
    pub(crate) fn language_functions(&self) -> impl Iterator<Item = &str> {
        let is_name = |name: &&str| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        };
        self.language.iter().map(String::as_str).filter(is_name)
    }

    /// Returns whether a name is one of the language's own functions or properties.
    #[must_use]
    pub fn is_of_language(&self, name: &str) -> bool {
        self.language.contains(name)
    }
}

/// The functions and values that the engine itself provides, of which it has no metadata.
const BUILT_IN: &[(&str, &[&str], &str)] = &[
    ("params", &[], "The parameters of the run, by name, as the skill declares them."),
    ("print", &["value"], "Adds a line to the run's output."),
    ("debug", &["value"], "Adds a line to the run's output, with texts in quotes."),
];

/// A function, as the engine describes it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Function {
    name: String,
    /// The names and types of what it takes.
    params: Vec<(String, String)>,
    returns: String,
    comments: Vec<String>,
}

impl Function {
    #[expect(clippy::needless_pass_by_value, reason = "the engine hands it over")]
    fn read(info: FuncInfo<'_>) -> Option<Self> {
        let data = info.metadata;
        let param = |text: &str| {
            let (name, kind) = text.split_once(':').unwrap_or((text, "_"));
            (name.trim().to_owned(), kind.trim().to_owned())
        };
        Some(Self {
            name: data.name.to_string(),
            params: data.params_info.iter().map(|it| param(it)).collect(),
            returns: data.return_type.to_string(),
            comments: data.comments.iter().map(ToString::to_string).collect(),
        })
    }
}

fn read(
    function: Function,
    members: &mut Vec<Member>,
    setters: &mut BTreeMap<(String, String), String>,
) {
    let full_name = function.name.as_str();
    // What the host puts into scripts itself.
    if full_name.starts_with('_') {
        return;
    }
    let mut taken = function.params.iter().map(|(_, kind)| kind.as_str());
    let is_native = taken.any(|kind| matches!(kind, "&mut ImmutableString" | "&mut Array"));
    let params = function.params.into_iter();
    let params = params.map(|(name, kind)| Parameter { name, kind: plain(&kind) });
    let mut params: Vec<_> = params.filter(|param| param.kind != "NativeCallContext").collect();
    let (mut description, mut returns) = (Vec::new(), None);
    for line in function.comments.iter().flat_map(|comment| comment.lines()) {
        let line = line.trim_start_matches("///").trim();
        match line.strip_prefix("→ ") {
            Some(kind) => returns = Some(kind.to_owned()),
            None => description.push(line.to_owned()),
        }
    }
    let written = function.returns.as_str();
    let inner = written.strip_prefix("Fallible<").and_then(|rest| rest.strip_suffix('>'));
    let returns = returns.unwrap_or_else(|| plain(inner.unwrap_or(written)));
    let own = |param: &Parameter| TYPES.contains(&param.kind.as_str()) && param.kind != "text";
    let is_name = full_name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if matches!(full_name, "to_string" | "to_debug") {
        return;
    }
    let (name, form) = if let Some(property) = full_name.strip_prefix("get$") {
        (property, Form::Property)
    } else if let Some(property) = full_name.strip_prefix("set$") {
        if let [on, taken] = params.as_slice() {
            setters.insert((on.kind.clone(), property.to_owned()), taken.kind.clone());
        }
        return;
    } else if is_name {
        (full_name, Form::Function)
    } else {
        (full_name, Form::Operator)
    };
    // A comparison of any two values belongs to no type; what replaces one of the language's own
    // functions is described with the language.
    let is_of_any =
        form == Form::Operator && params.first().is_some_and(|param| param.kind == "any");
    if is_of_any {
        return;
    }
    let is_method =
        params.first().is_some_and(|param| own(param) || (is_native && form == Form::Function));
    let on = (is_method || form != Form::Function).then(|| params.remove(0).kind);
    let on = on.map(|on| if on == "[any]" { "List".to_owned() } else { on });
    members.push(Member {
        on,
        name: name.to_owned(),
        form,
        params,
        returns,
        settable: None,
        description: description.join(" ").trim().to_owned(),
        skills: false,
        policies: false,
        tests: false,
    });
}

/// Replaces the engine's names of types by a script writer's.
pub(crate) fn plain(text: &str) -> String {
    let mut text = text.trim().trim_start_matches("&mut ").to_owned();
    if let Some((first, _)) = text.split_once(" | ") {
        text = first.to_owned();
    }
    if let Some((_, last)) = text.rsplit_once("::") {
        text = last.to_owned();
    }
    for (theirs, ours) in [
        ("&str", "text"),
        ("ImmutableString", "text"),
        ("String", "text"),
        ("string", "text"),
        ("char", "character"),
        ("i64", "int"),
        ("bool", "true or false"),
        ("f64", "float"),
        ("Dynamic", "any"),
        ("Map", "map"),
        ("Array", "[any]"),
        ("ExclusiveRange", "range"),
        ("Range<i64>", "range"),
        ("RangeInclusive<i64>", "range"),
        ("InclusiveRange", "range"),
        ("FnPtr", "function"),
        ("ChangeView", "Change"),
        ("RunView", "Run"),
    ] {
        if text == theirs {
            return ours.to_owned();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_documented() {
        let mut bad = Vec::new();
        for member in catalog().members() {
            let what = format!("{}.{}", member.on.as_deref().unwrap_or("global"), member.typed());
            if !member.description.ends_with(['.', ')', ':']) || member.description.len() < 8 {
                bad.push(format!("{what}: no description: {:?}", member.description));
            }
            if member.returns == "any" {
                bad.push(format!("{what}: does not say what it returns (`→ …`)"));
            }
            if member.params.iter().any(|param| param.name == "_" || param.name.is_empty()) {
                bad.push(format!("{what}: a parameter without a name"));
            }
            if let Some(on) = &member.on
                && !TYPES.contains(&on.as_str())
            {
                bad.push(format!("{what}: the type is not listed"));
            }
        }
        assert!(bad.is_empty(), "{}", bad.join("\n"));
        assert!(catalog().members().len() > 150, "{}", catalog().members().len());
    }

    #[test]
    fn members_are_told_as_they_are_used() {
        let find = |on: Option<&str>, name: &str| {
            let found = catalog().of(on).find(|member| member.name == name);
            found.unwrap_or_else(|| panic!("{name}")).clone()
        };
        let due = find(Some("Task"), "due");
        assert_eq!((due.typed().as_str(), due.settable.as_deref()), ("due: Date?", Some("any")));
        assert_eq!(find(Some("Task"), "assign").signature(), "assign(user)");
        assert_eq!(find(None, "plan").typed(), "plan(title_or_id: text) → Plan");
        assert!(!find(None, "fail").policies && find(None, "deny").policies);
        assert!(catalog().is_of_language("filter") && !catalog().is_of_language("sleep"));
    }
}
