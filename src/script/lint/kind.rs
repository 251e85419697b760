//! Types of values, as far as they are known.

use serde::{Deserialize, Serialize};

use crate::change::Field;
use crate::script::catalog::{Form, Member, TYPES, catalog};

/// The type of a value, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ValueKind {
    /// Anything.
    Any,
    /// A type of the host, such as `Task`; or `text`, `int`, `map`.
    Of(String),
    /// A text that is one of these.
    Words(Vec<String>),
    /// A text that the script itself has written: one of these.
    Constant(Vec<String>),
    /// An array.
    List(Box<Self>),
    /// An array written with these texts; anything may be pushed to it later.
    Written(Vec<String>),
}

impl ValueKind {
    /// Reads a type as the catalogue writes it. What may be nothing is taken for something.
    pub(crate) fn from_signature(told: &str) -> Self {
        let told = told.trim().trim_end_matches('?');
        if let Some(inner) = told.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            return Self::List(Box::new(Self::from_signature(inner)));
        }
        if let Some(words) = words_of(told) {
            return Self::Words(words);
        }
        if told == "any" || told == "()" || told.contains('|') {
            return Self::Any;
        }
        Self::Of(told.to_owned())
    }

    /// Returns the type of a host's property.
    pub(crate) fn of_property(member: &Member) -> Self {
        if (member.on.as_deref(), member.name.as_str()) == (Some("Change"), "fields") {
            let names = Field::all().map(|field| field.script_name().to_owned());
            return Self::List(Box::new(Self::Words(names.collect())));
        }
        Self::from_signature(&member.returns)
    }

    /// Returns the host's type, if it is one whose members are all known.
    pub(crate) fn host(&self) -> Option<&str> {
        match self {
            Self::Of(name) if name != "text" && TYPES.contains(&name.as_str()) => Some(name),
            _ => None,
        }
    }

    /// Returns what a loop over it gives.
    pub(crate) fn item(&self) -> Self {
        match self {
            Self::List(item) => (**item).clone(),
            Self::Of(name) if name == "Changes" => Self::Of("Change".to_owned()),
            Self::Written(texts) => Self::Constant(texts.clone()),
            Self::Of(_) | Self::Words(_) | Self::Constant(_) | Self::Any => Self::Any,
        }
    }

    /// Returns the name of the type, but for an array.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::Of(name) => Some(name),
            Self::Words(_) | Self::Constant(_) => Some("text"),
            Self::List(_) | Self::Written(_) | Self::Any => None,
        }
    }

    /// Returns the type of both, if it is the same.
    pub(crate) fn or(self, other: &Self) -> Self {
        if self == *other { self } else { Self::Any }
    }
}

/// Reads `"create" | "update"`, as the catalogue writes a text that is one of a few words.
fn words_of(told: &str) -> Option<Vec<String>> {
    let word = |text: &str| Some(text.trim().strip_prefix('"')?.strip_suffix('"')?.to_owned());
    told.split('|').map(word).collect()
}

/// Returns a property of a host type.
pub(crate) fn property(on: &str, name: &str) -> Option<&'static Member> {
    let mut members = catalog().members().iter();
    members.find(|member| {
        member.form == Form::Property && member.name == name && member.on.as_deref() == Some(on)
    })
}

/// Returns the functions of a name on a host type; of none, those that stand by themselves.
pub(crate) fn functions<'a>(
    on: Option<&'a str>,
    name: &'a str,
) -> impl Iterator<Item = &'static Member> + 'a {
    catalog().members().iter().filter(move |member| {
        member.form == Form::Function && member.name == name && member.on.as_deref() == on
    })
}

/// Returns the type that one of the language's own functions gives, called on something.
pub(crate) fn of_language(on: &ValueKind, name: &str) -> ValueKind {
    let of = |name: &str| ValueKind::Of(name.to_owned());
    match (name, on) {
        (
            "filter" | "extract" | "slice" | "splice" | "retain" | "drain" | "take" | "skip"
            | "chop" | "truncate" | "sort" | "sort_by" | "sort_desc" | "order" | "order_by"
            | "order_desc" | "reverse" | "dedup" | "unique_by" | "where",
            ValueKind::List(_),
        ) => on.clone(),
        (
            "find" | "pop" | "shift" | "get" | "first" | "last" | "min_by" | "max_by",
            ValueKind::List(item),
        ) => (**item).clone(),
        ("len" | "index_of" | "count", _) => of("int"),
        ("any" | "all" | "some" | "includes", ValueKind::List(_)) => of("true or false"),
        ("group_by" | "count_by", ValueKind::List(_)) => of("map"),
        (
            "to_upper" | "to_lower" | "sub_string" | "to_string" | "trim" | "trim_start"
            | "trim_end" | "replace" | "pad" | "pad_start" | "pad_end" | "join" | "to_fixed",
            _,
        ) => of("text"),
        _ => ValueKind::Any,
    }
}
