//! The `$filter` forms that directory lists understand.
//!
//! planner-api.md 2.5: `eq`, `in`, `startswith`, a collection's `any`, joined by `and` or `or`; in advanced
//! queries also `ne`, `not` and `endswith`.
//! Planner's own lists ignore filters and never come here, except for the owner of plans.

use serde_json::{Map, Value};

use crate::emulator::state::graph_error::GraphError;

/// A filter: alternatives, each a list of conditions that must all hold.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Filter(Vec<Vec<Condition>>);

#[derive(Debug, PartialEq, Eq)]
enum Condition {
    OneOf { property: String, values: Vec<String> },
    StartsWith { property: String, prefix: String },
    EndsWith { property: String, suffix: String },
    Not(Box<Self>),
}

/// The properties whose endings can be asked for.
const WITH_ENDINGS: [&str; 2] = ["mail", "userPrincipalName"];

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    ///
    /// 400 `Request_UnsupportedQuery` for what the directory does not evaluate, and
    /// `Request_BadRequest` for anything else that is not understood.
    pub(crate) fn parse(text: &str) -> Result<Self, GraphError> {
        let mut parser = Parser { rest: text };
        let mut alternatives = vec![vec![parser.condition()?]];
        loop {
            parser.skip_spaces();
            if parser.rest.is_empty() {
                return Ok(Self(alternatives));
            }
            match parser.word().to_ascii_lowercase().as_str() {
                // It binds tighter than `or`, so it adds to the last alternative.
                "and" => {
                    let condition = parser.condition()?;
                    if let Some(last) = alternatives.last_mut() {
                        last.push(condition);
                    }
                }
                "or" => alternatives.push(vec![parser.condition()?]),
                _ => return Err(invalid()),
            }
        }
    }

    /// Returns whether a document passes. Text is compared without case, as in the directory.
    pub(crate) fn passes(&self, doc: &Map<String, Value>) -> bool {
        self.0.iter().any(|all| all.iter().all(|condition| condition.holds(doc)))
    }

    /// Returns the properties that the filter names.
    pub(crate) fn properties(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flatten().map(Condition::property)
    }

    /// Returns whether only an advanced query may have it.
    pub(crate) fn is_advanced(&self) -> bool {
        let is = |it: &Condition| matches!(it, Condition::Not(_) | Condition::EndsWith { .. });
        self.0.iter().flatten().any(is)
    }

    /// Returns the single value that a property must equal, if every document that passes has it.
    pub(crate) fn only_value(&self, name: &str) -> Option<&str> {
        let [all] = self.0.as_slice() else { return None };
        all.iter().find_map(|condition| match condition {
            Condition::OneOf { property, values } if property == name => match values.as_slice() {
                [value] => Some(value.as_str()),
                _ => None,
            },
            _ => None,
        })
    }
}

impl Condition {
    fn property(&self) -> &str {
        match self {
            Self::OneOf { property, .. }
            | Self::StartsWith { property, .. }
            | Self::EndsWith { property, .. } => property,
            Self::Not(other) => other.property(),
        }
    }

    fn holds(&self, doc: &Map<String, Value>) -> bool {
        let (property, test): (_, &dyn Fn(&str) -> bool) = match self {
            Self::OneOf { property, values } => {
                (property, &|text| values.iter().any(|value| value.to_lowercase() == text))
            }
            Self::StartsWith { property, prefix } => {
                (property, &|text| text.starts_with(&prefix.to_lowercase()))
            }
            Self::EndsWith { property, suffix } => {
                (property, &|text| text.ends_with(&suffix.to_lowercase()))
            }
            Self::Not(other) => return !other.holds(doc),
        };
        let test = |text: &str| test(&text.to_lowercase());
        match doc.get(property) {
            Some(Value::String(text)) => test(text),
            Some(Value::Bool(flag)) => test(&flag.to_string()),
            Some(Value::Null) => test("null"),
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).any(test),
            _ => false,
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn word(&mut self) -> &'a str {
        self.skip_spaces();
        let is_word = |letter: char| letter.is_ascii_alphanumeric() || "_./".contains(letter);
        let end = self.rest.find(|letter| !is_word(letter)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn symbol(&mut self, symbol: char) -> Result<(), GraphError> {
        self.skip_spaces();
        self.rest = self.rest.strip_prefix(symbol).ok_or_else(invalid)?;
        Ok(())
    }

    /// Reads a quoted text, in which a quote is written twice, or a bare `true`, `false` or `null`.
    fn literal(&mut self) -> Result<String, GraphError> {
        self.skip_spaces();
        let Some(mut rest) = self.rest.strip_prefix('\'') else {
            let word = self.word();
            let is_literal = ["true", "false", "null"].contains(&word);
            return if is_literal { Ok(word.to_owned()) } else { Err(invalid()) };
        };
        let mut text = String::new();
        loop {
            let (part, tail) = rest.split_once('\'').ok_or_else(invalid)?;
            text.push_str(part);
            match tail.strip_prefix('\'') {
                Some(more) => {
                    text.push('\'');
                    rest = more;
                }
                None => {
                    self.rest = tail;
                    return Ok(text);
                }
            }
        }
    }

    fn condition(&mut self) -> Result<Condition, GraphError> {
        let first = self.word();
        match first.to_ascii_lowercase().as_str() {
            "" => return Err(invalid()),
            name @ ("startswith" | "endswith") => {
                self.symbol('(')?;
                let property = self.word().to_owned();
                self.symbol(',')?;
                let text = self.literal()?;
                self.symbol(')')?;
                if name == "startswith" {
                    return Ok(Condition::StartsWith { property, prefix: text });
                }
                return if WITH_ENDINGS.contains(&property.as_str()) {
                    Ok(Condition::EndsWith { property, suffix: text })
                } else {
                    Err(unsupported())
                };
            }
            "not" => {
                let is_bracketed = self.symbol('(').is_ok();
                // Of one condition: nothing nests, so that no filter is deep.
                if self.rest.trim_start().to_ascii_lowercase().starts_with("not") {
                    return Err(unsupported());
                }
                let condition = Box::new(self.condition()?);
                if is_bracketed {
                    self.symbol(')')?;
                }
                return Ok(Condition::Not(condition));
            }
            "contains" => return Err(unsupported()),
            _ => (),
        }
        // groupTypes/any(c:c eq 'Unified')
        if let Some(property) = first.strip_suffix("/any") {
            self.symbol('(')?;
            let name = self.word();
            self.symbol(':')?;
            let is_same = self.word() == name && self.word() == "eq";
            let value = self.literal()?;
            self.symbol(')')?;
            let condition = Condition::OneOf { property: property.to_owned(), values: vec![value] };
            return if is_same { Ok(condition) } else { Err(invalid()) };
        }
        let property = first.to_owned();
        match self.word().to_ascii_lowercase().as_str() {
            "eq" => Ok(Condition::OneOf { property, values: vec![self.literal()?] }),
            "in" => {
                self.symbol('(')?;
                let mut values = vec![self.literal()?];
                while self.symbol(',').is_ok() {
                    values.push(self.literal()?);
                }
                self.symbol(')')?;
                Ok(Condition::OneOf { property, values })
            }
            "ne" => {
                let condition = Condition::OneOf { property, values: vec![self.literal()?] };
                Ok(Condition::Not(Box::new(condition)))
            }
            "ge" | "le" | "gt" | "lt" => Err(unsupported()),
            _ => Err(invalid()),
        }
    }
}

fn invalid() -> GraphError {
    GraphError::new(400, "Request_BadRequest", "Invalid filter clause.")
}

/// Returns the refusal of an advanced query without its header, or of what the directory does not evaluate.
pub(crate) fn unsupported() -> GraphError {
    GraphError::new(
        400,
        "Request_UnsupportedQuery",
        "Unsupported Query. The request uses a filter that is only available as an advanced query.",
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::Filter;

    #[test]
    fn filters_pass_what_they_say() {
        let doc: Map<String, Value> = serde_json::from_value(json!({
            "id": "1", "displayName": "Ana O'Neil", "mail": null, "groupTypes": ["Unified"],
            "mailEnabled": true,
        }))
        .unwrap();
        for (text, expected) in [
            ("startswith(displayName,'an')", Some(true)),
            ("startsWith(displayName, 'bo')", Some(false)),
            ("displayName eq 'Ana O''Neil'", Some(true)),
            ("id in ('2', '1')", Some(true)),
            ("id in ('2')", Some(false)),
            ("groupTypes/any(c:c eq 'Unified')", Some(true)),
            ("groupTypes/any(c:c eq 'Other')", Some(false)),
            ("mail eq null and mailEnabled eq true", Some(true)),
            ("id eq '2' or id eq '1'", Some(true)),
            ("id eq '1' and displayName eq 'x' or id eq '2'", Some(false)),
            ("nothing eq 'x'", Some(false)),
            ("id ne '1'", Some(false)),
            ("mail ne null", Some(false)),
            ("displayName ne 'x' and id eq '1'", Some(true)),
            ("not startswith(displayName,'an')", Some(false)),
            ("not(displayName eq 'x')", Some(true)),
            ("not groupTypes/any(c:c eq 'Unified')", Some(false)),
            ("endswith(mail,'x')", Some(false)),
            ("endswith(displayName,'x')", None),
            ("not not id eq '1'", None),
            ("not(id eq '1'", None),
            ("contains(displayName,'x')", None),
            ("id eq '1", None),
            ("id eq '1' xor id eq '2'", None),
            ("", None),
            ("é eq 'x'", None),
            ("startswith(", None),
        ] {
            let passes = Filter::parse(text).ok().map(|filter| filter.passes(&doc));
            assert_eq!(passes, expected, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_filter_panics(text in ".{0,60}") {
            drop(Filter::parse(&text));
        }
    }
}
