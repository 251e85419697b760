//! The manifest of a skill: the doc comment at its top, with parameters as TOML.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::host::Failure;
use crate::model::time::{Calendar, DATE_FORMS, is_date_only};
use crate::model::{Cron, in_words};

/// The most parameters a hint names.
const LISTED: usize = 20;

/// The most characters of a value that a message shows.
const SHOWN: usize = 200;

/// The manifest of a skill (design.md 4).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Manifest {
    /// Its description: the text of the doc comment.
    pub description: String,
    /// Its parameters; `None` if it declares none, then any is taken as text.
    pub params: Option<BTreeMap<String, Param>>,
    /// The times at which it runs by itself (design.md 8).
    pub schedule: Option<Cron>,
}

/// A parameter.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Param {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: ParamKind,
    /// Its description.
    #[serde(default)]
    pub description: String,
    /// Its value if none is given; without a default, one must be given.
    pub default: Option<toml::Value>,
}

/// The type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParamKind {
    /// Text.
    String,
    /// A whole number.
    Int,
    /// A number.
    Float,
    /// `true` or `false`.
    Bool,
    /// A day, `2026-12-24`.
    Date,
    /// A list: texts separated by commas, or a JSON array.
    List,
    /// Maps and lists: JSON, or a file that the command line reads.
    Data,
}

/// A value as it was given.
#[derive(Debug, Clone, PartialEq)]
pub enum Given {
    /// As a text, such as an argument.
    Text(String),
    /// As data.
    Data(Value),
}

impl Given {
    fn text(&self) -> String {
        match self {
            Self::Text(text) | Self::Data(Value::String(text)) => text.clone(),
            Self::Data(other) => other.to_string(),
        }
    }
}

impl ParamKind {
    /// Returns its name in manifests.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Int => "int",
            Self::Float => "float",
            Self::Bool => "bool",
            Self::Date => "date",
            Self::List => "list",
            Self::Data => "data",
        }
    }

    /// Returns what is to be said beside its name of how it is given, if anything is.
    #[must_use]
    pub const fn remark(self) -> Option<&'static str> {
        match self {
            Self::List => Some("a list is `a, b, c` or a JSON array"),
            Self::Data => {
                Some("data is a file, `@board.json`, `@tasks.csv` or `@tasks.xlsx`, or JSON")
            }
            Self::Date => Some(DATE_FORMS),
            Self::Bool => Some("it is `true` or `false`"),
            Self::String | Self::Int | Self::Float => None,
        }
    }

    fn take(self, given: &Given, calendar: &Calendar) -> Option<Value> {
        match (self, given) {
            (Self::Data, Given::Data(value @ (Value::Array(_) | Value::Object(_))))
            | (Self::List, Given::Data(value @ Value::Array(_)))
            | (Self::String, Given::Data(value @ Value::String(_))) => Some(value.clone()),
            // A number or a map is no text, however it would look as one.
            (Self::String, Given::Data(_)) => None,
            _ => self.read(&given.text(), Some(calendar)),
        }
    }

    /// Reads a value; without a calendar, a date only in its full form.
    fn read(self, text: &str, calendar: Option<&Calendar>) -> Option<Value> {
        match (self, calendar) {
            (Self::String, _) => Some(json!(text)),
            (Self::Int, _) => text.trim().parse::<i64>().ok().map(Value::from),
            (Self::Float, _) => {
                let number = text.trim().parse::<f64>().ok()?;
                serde_json::Number::from_f64(number).map(Value::Number)
            }
            (Self::Bool, _) => text.trim().parse::<bool>().ok().map(Value::from),
            (Self::Date, Some(calendar)) => {
                calendar.day(text).ok().map(|day| json!(day.to_string()))
            }
            (Self::Date, None) => {
                let day: jiff::civil::Date = text.trim().parse().ok()?;
                is_date_only(text.trim()).then(|| json!(day.to_string()))
            }
            (Self::List, _) if text.trim_start().starts_with('[') => {
                serde_json::from_str(text).ok().filter(Value::is_array)
            }
            (Self::List, _) => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                Some(items.map(|item| json!(item)).collect())
            }
            (Self::Data, _) => {
                let value: Value = serde_json::from_str(text).ok()?;
                (value.is_array() || value.is_object()).then_some(value)
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Toml {
    #[serde(default)]
    params: Option<BTreeMap<String, Param>>,
    /// The times at which the host runs a skill by itself.
    #[serde(default)]
    skill: Skill,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Skill {
    schedule: Option<Cron>,
}

/// Returns the first line, from 1, with the head of a table that stands outside the block of TOML: a
/// schedule there never fires, and parameters are not checked.
pub(crate) fn stray_table(source: &str) -> Option<(usize, &str)> {
    let mut in_toml = false;
    for (n, line) in source.lines().enumerate() {
        let line = match line.trim_start().strip_prefix("//!") {
            Some(line) => line.trim(),
            None if line.trim().is_empty() => continue,
            None => return None,
        };
        match line {
            "```toml" => in_toml = true,
            "```" => in_toml = false,
            table if !in_toml && is_table(table) => return Some((n + 1, table)),
            _ => {}
        }
    }
    None
}

/// Returns whether a line is the head of a table that belongs into a manifest.
fn is_table(line: &str) -> bool {
    let name = line.strip_prefix('[').and_then(|line| line.strip_suffix(']'));
    name.is_some_and(|name| matches!(name, "skill" | "params") || name.starts_with("params."))
}

impl Manifest {
    /// Reads the manifest of a script's text.
    ///
    /// # Errors
    /// The TOML in it is not valid, or names an unknown type or a parameter that no script could
    /// use.
    pub fn parse(source: &str) -> Result<Self, Failure> {
        let lines = source.trim_start_matches('\u{feff}').lines();
        let comment: Vec<(usize, &str)> = lines
            .map(str::trim_start)
            .zip(1..)
            .skip_while(|(line, _)| line.is_empty())
            .map_while(|(line, at)| Some((at, line.strip_prefix("//!")?)))
            .map(|(at, line)| (at, line.strip_prefix(' ').unwrap_or(line)))
            .collect();
        let mut description = Vec::new();
        let (mut toml, mut places) = (String::new(), Vec::new());
        let mut in_toml = false;
        for (at, line) in comment {
            match line.trim() {
                "```toml" if !in_toml => in_toml = true,
                "```" if in_toml => in_toml = false,
                _ if in_toml => {
                    toml.push_str(line);
                    toml.push('\n');
                    places.push(at);
                }
                _ => description.push(line),
            }
        }
        let bad = |message: String| {
            let hint = match message.contains("cron") {
                true => {
                    "the times of a skill are declared as `schedule = \"0 9 * * MON-FRI\"` below `[skill]`"
                }
                false => {
                    "parameters are declared as `days = { type = \"int\", default = 0, description = \"…\" }`"
                }
            };
            let hint = Some(hint.into());
            Failure { code: "manifest".into(), message, hint, ..Failure::default() }
        };
        let read: Toml = toml::from_str(&toml).map_err(|error| {
            let before = error.span().and_then(|span| toml.get(..span.start)).unwrap_or_default();
            let line = places.get(before.matches('\n').count());
            let place = line.map(|line| format!(", line {line}")).unwrap_or_default();
            let what = in_words(error.message());
            bad(format!("the TOML in the doc comment is wrong{place}: {what}"))
        })?;
        for (name, param) in read.params.iter().flatten() {
            if !is_usable(name) {
                return Err(bad(format!("`{name}` cannot be the name of a parameter")));
            }
            // Agents ask for a preview by that name, and must not find that they have written.
            if name == "apply" {
                let message = "`apply` cannot be the name of a parameter: with it, agents say whether to write or to preview";
                return Err(bad(message.to_owned()));
            }
            if let Some(default) = &param.default
                && default_value(param.kind, default).is_none()
            {
                let article = if param.kind == ParamKind::Int { "an" } else { "a" };
                let kind = param.kind.name();
                return Err(bad(format!("the default of `{name}` is not {article} {kind}")));
            }
        }
        Ok(Self {
            description: description.join("\n").trim().to_owned(),
            params: read.params,
            schedule: read.skill.schedule,
        })
    }

    /// Returns the first sentence or line of the description.
    #[must_use]
    pub fn summary(&self) -> &str {
        self.description.lines().next().unwrap_or_default()
    }

    /// Reads the parameters given as data; fills in defaults. A `null` counts as not given.
    ///
    /// # Errors
    /// One is unknown, missing, or not of its type.
    pub fn checked(
        &self,
        given: &Map<String, Value>,
        calendar: &Calendar,
    ) -> Result<Map<String, Value>, Failure> {
        if self.params.is_none() {
            return Ok(given.clone());
        }
        let given = given.iter().filter(|(_, value)| !value.is_null());
        let given = given.map(|(name, value)| (name.clone(), Given::Data(value.clone())));
        self.taken(&given.collect::<Vec<_>>(), calendar)
    }

    /// Reads the parameters given as texts, dates as people type them; fills in defaults.
    ///
    /// # Errors
    /// One is unknown, missing, or not of its type.
    pub fn arguments(
        &self,
        given: &[(String, String)],
        calendar: &Calendar,
    ) -> Result<Map<String, Value>, Failure> {
        let given = given.iter().map(|(name, text)| (name.clone(), Given::Text(text.clone())));
        self.taken(&given.collect::<Vec<_>>(), calendar)
    }

    /// Reads the parameters given as texts or as data; fills in defaults.
    ///
    /// # Errors
    /// One is unknown, missing, or not of its type.
    pub fn taken(
        &self,
        given: &[(String, Given)],
        calendar: &Calendar,
    ) -> Result<Map<String, Value>, Failure> {
        let mut values = Map::new();
        let twice = given
            .iter()
            .enumerate()
            .find(|(at, (name, _))| given.iter().skip(at + 1).any(|(other, _)| other == name));
        if let Some((_, (name, _))) = twice {
            return Err(Failure {
                code: "parameter".into(),
                message: format!("the parameter `{name}` is given twice"),
                ..Failure::default()
            });
        }
        let Some(params) = &self.params else {
            values.extend(given.iter().map(|(name, given)| (name.clone(), json!(given.text()))));
            return Ok(values);
        };
        let bad = |message: String, hint: Option<String>| Failure {
            code: "parameter".into(),
            message,
            hint,
            ..Failure::default()
        };
        for (name, given) in given {
            let Some(param) = params.get(name) else {
                let known = params.keys().map(String::as_str).take(LISTED);
                let hint = match known.collect::<Vec<_>>().as_slice() {
                    [] => "it has no parameters".to_owned(),
                    known => format!("it has: {}", known.join(", ")),
                };
                return Err(bad(format!("there is no parameter `{name}`"), Some(hint)));
            };
            let Some(value) = param.kind.take(given, calendar) else {
                let kind = param.kind.name();
                let shown: String = given.text().chars().take(SHOWN).collect();
                return Err(bad(
                    format!("`{name}` is of type {kind}, and `{shown}` is not"),
                    param.kind.remark().map(str::to_owned),
                ));
            };
            values.insert(name.clone(), value);
        }
        for (name, param) in params {
            if values.contains_key(name) {
                continue;
            }
            let Some(default) = &param.default else {
                let what = &param.description;
                let what = if what.is_empty() { String::new() } else { format!(" ({what})") };
                let value = if param.kind == ParamKind::Data { "@FILE" } else { "…" };
                return Err(bad(
                    format!("the parameter `{name}`{what} is missing"),
                    Some(format!("add `-p {name}={value}`")),
                ));
            };
            values.insert(name.clone(), default_value(param.kind, default).unwrap_or_default());
        }
        Ok(values)
    }
}

fn default_value(kind: ParamKind, default: &toml::Value) -> Option<Value> {
    match (kind, default) {
        (ParamKind::String, toml::Value::String(text)) => Some(json!(text)),
        (ParamKind::Int, toml::Value::Integer(number)) => Some(json!(number)),
        (ParamKind::Float, toml::Value::Integer(number)) => {
            ParamKind::Float.read(&number.to_string(), None)
        }
        (ParamKind::Float, toml::Value::Float(number)) => {
            ParamKind::Float.read(&number.to_string(), None)
        }
        (ParamKind::Bool, toml::Value::Boolean(flag)) => Some(json!(flag)),
        // An empty text stands for "no date".
        (ParamKind::Date, toml::Value::String(text)) if text.is_empty() => Some(Value::Null),
        (ParamKind::Date, toml::Value::String(text)) => ParamKind::Date.read(text, None),
        (ParamKind::Date, toml::Value::Datetime(date)) => {
            ParamKind::Date.read(&date.to_string(), None)
        }
        (ParamKind::List, toml::Value::String(text)) => ParamKind::List.read(text, None),
        // An empty text stands for "no data".
        (ParamKind::Data, toml::Value::String(text)) if text.is_empty() => Some(Value::Null),
        (ParamKind::Data, toml::Value::String(text)) => ParamKind::Data.read(text, None),
        (ParamKind::List | ParamKind::Data, toml::Value::Array(_))
        | (ParamKind::Data, toml::Value::Table(_)) => serde_json::to_value(default).ok(),
        _ => None,
    }
}

/// Returns whether `params.name` can be written in a script.
fn is_usable(name: &str) -> bool {
    const RESERVED: [&str; 49] = [
        "var",
        "static",
        "shared",
        "goto",
        "match",
        "case",
        "public",
        "protected",
        "new",
        "use",
        "with",
        "is",
        "module",
        "package",
        "super",
        "thread",
        "spawn",
        "go",
        "await",
        "async",
        "sync",
        "yield",
        "default",
        "void",
        "null",
        "nil",
        "let",
        "const",
        "if",
        "else",
        "switch",
        "do",
        "while",
        "until",
        "loop",
        "for",
        "in",
        "continue",
        "break",
        "return",
        "throw",
        "try",
        "catch",
        "fn",
        "private",
        "import",
        "export",
        "as",
        "this",
    ];
    let mut chars = name.chars();
    chars.next().is_some_and(|ch| ch.is_ascii_alphabetic() || ch == '_')
        && chars.all(|ch| ch.is_ascii_alphanumeric() || ch == '_')
        && !RESERVED.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = r#"//! Does a thing.
//!
//! More of it.
//!
//! ```toml
//! [params]
//! plan = { type = "string", description = "Plan title or id" }
//! days = { type = "int", default = 0 }
//! by = { type = "date", default = "" }
//!
//! [skill]
//! schedule = "0 9 * * MON-FRI"
//! ```

let x = 1;
"#;

    fn calendar() -> Calendar {
        Calendar::at("2026-03-27T12:00:00Z".parse().unwrap(), jiff::tz::TimeZone::UTC)
    }

    fn given(pairs: &[(&str, &str)]) -> Result<Map<String, Value>, String> {
        let pairs: Vec<_> = pairs.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect();
        let manifest = Manifest::parse(SOURCE).unwrap();
        manifest.arguments(&pairs, &calendar()).map_err(|failure| failure.message)
    }

    #[test]
    fn parameters_are_typed_and_have_defaults() {
        assert_eq!(Manifest::parse(SOURCE).unwrap().summary(), "Does a thing.");
        let values = given(&[("plan", "BOS"), ("days", "3")]).unwrap();
        assert_eq!(Value::Object(values), json!({ "plan": "BOS", "days": 3, "by": null }));
        let values = given(&[("plan", "BOS"), ("days", "-1"), ("by", "friday")]).unwrap();
        assert_eq!(Value::Object(values), json!({ "plan": "BOS", "days": -1, "by": "2026-04-03" }));
    }

    #[test]
    fn wrong_parameters_say_what_is_wrong() {
        assert_eq!(given(&[]).unwrap_err(), "the parameter `plan` (Plan title or id) is missing");
        assert_eq!(
            given(&[("plan", "x"), ("days", "two")]).unwrap_err(),
            "`days` is of type int, and `two` is not"
        );
        assert_eq!(given(&[("pln", "x")]).unwrap_err(), "there is no parameter `pln`");
        assert_eq!(
            given(&[("plan", "x"), ("by", "2026-02-30")]).unwrap_err(),
            "`by` is of type date, and `2026-02-30` is not"
        );
    }

    #[test]
    fn lists_and_data_are_taken_as_such() {
        let source = "//! X.\n//! ```toml\n//! [params]\n//! names = { type = \"list\", default = [\"a\"] }\n//! rows = { type = \"data\", default = \"\" }\n//! ```";
        let manifest = Manifest::parse(source).unwrap();
        let taken = |name: &str, given: Given| {
            let values = manifest.taken(&[(name.to_owned(), given)], &calendar());
            values.map(|values| values[name].clone()).map_err(|failure| failure.message)
        };
        let text = |text: &str| Given::Text(text.to_owned());
        assert_eq!(taken("names", text("Ana, Mei,")), Ok(json!(["Ana", "Mei"])));
        assert_eq!(taken("names", text("[1, \"b\"]")), Ok(json!([1, "b"])));
        assert_eq!(taken("names", Given::Data(json!([1]))), Ok(json!([1])));
        assert_eq!(taken("rows", text("{\"a\": [1]}")), Ok(json!({ "a": [1] })));
        assert_eq!(taken("rows", Given::Data(json!([{ "a": 1 }]))), Ok(json!([{ "a": 1 }])));
        let wrong = taken("rows", text("tasks.csv")).unwrap_err();
        assert_eq!(wrong, "`rows` is of type data, and `tasks.csv` is not");
        let defaults = Value::Object(manifest.taken(&[], &calendar()).unwrap());
        assert_eq!(defaults, json!({ "names": ["a"], "rows": null }));
    }

    #[test]
    fn bad_manifests_are_errors() {
        for toml in [
            "[params]\nx = { type = \"integer\" }",
            "[params]\nx = 3",
            "[parms]",
            "[params",
            "[skill]\nschedule = \"0 9 * *\"",
            "[skill]\nshedule = \"@daily\"",
        ] {
            let source: String = ["//! ```toml"]
                .into_iter()
                .map(str::to_owned)
                .chain(toml.lines().map(|line| format!("//! {line}")))
                .chain(["//! ```".to_owned()])
                .collect::<Vec<_>>()
                .join("\n");
            assert!(Manifest::parse(&source).is_err(), "{toml}");
        }
        let outside = "//! Tidies.\n//! [skill]\n//! schedule = \"@daily\"";
        assert_eq!(stray_table(outside), Some((2, "[skill]")));
        assert_eq!(stray_table("//! ```toml\n//! [skill]\n//! ```\n\"[skill]\""), None);
        let reserved = "//! ```toml\n//! [params]\n//! default = { type = \"int\" }\n//! ```";
        assert!(Manifest::parse(reserved).is_err());
    }
}
