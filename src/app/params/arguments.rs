//! The arguments of a call, taken out one by one, so that what is left over is a mistake.

use serde_json::{Map, Value};

use crate::host::Failure;
use crate::host::similar::similar;

/// The arguments of a call.
#[derive(Debug)]
pub(crate) struct Arguments {
    given: Map<String, Value>,
    known: Vec<&'static str>,
}

fn wrong(message: String) -> Failure {
    Failure { code: "parameter".into(), message, ..Failure::default() }
}

impl Arguments {
    /// Takes what a client sent; `null` counts as not given.
    pub(crate) fn new(given: Option<Map<String, Value>>) -> Self {
        let mut given = given.unwrap_or_default();
        given.retain(|_, value| !value.is_null());
        Self { given, known: Vec::new() }
    }

    /// Takes what a client sent whose arguments are written by hand: of what there is not, `null` is a
    /// mistake as well.
    pub(crate) const fn strict(given: Map<String, Value>) -> Self {
        Self { given, known: Vec::new() }
    }

    fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.given.remove(name).filter(|value| !value.is_null())
    }

    pub(crate) fn text(&mut self, name: &'static str) -> Result<Option<String>, Failure> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(wrong(format!("`{name}` must be a text"))),
        }
    }

    pub(crate) fn needed(&mut self, name: &'static str) -> Result<String, Failure> {
        self.text(name)?.ok_or_else(|| wrong(format!("`{name}` is missing")))
    }

    pub(crate) fn flag(&mut self, name: &'static str) -> Result<Option<bool>, Failure> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(_) => Err(wrong(format!("`{name}` must be true or false"))),
        }
    }

    /// Takes a whole number from 0 to `most`.
    pub(crate) fn number(&mut self, name: &'static str, most: u64) -> Result<Option<u64>, Failure> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let number = value.as_u64().filter(|number| *number <= most);
        let number =
            number.ok_or_else(|| wrong(format!("`{name}` must be a whole number up to {most}")))?;
        Ok(Some(number))
    }

    pub(crate) fn map(&mut self, name: &'static str) -> Result<Map<String, Value>, Failure> {
        match self.take(name) {
            None => Ok(Map::new()),
            Some(Value::Object(map)) => Ok(map),
            Some(_) => Err(wrong(format!("`{name}` must be an object"))),
        }
    }

    /// Returns what is left: the parameters of a skill.
    pub(crate) fn rest(self) -> Map<String, Value> {
        self.given
    }

    /// Refuses what is left: a misspelt argument must not go unnoticed.
    pub(crate) fn end(&self) -> Result<(), Failure> {
        let Some(name) = self.given.keys().next() else { return Ok(()) };
        let near = similar(name, self.known.iter().copied());
        let hint = if near.is_empty() {
            format!("there is {}", self.known.join(", "))
        } else {
            format!("did you mean {}?", near.join(" or "))
        };
        Err(Failure { hint: Some(hint), ..wrong(format!("there is no argument `{name}`")) })
    }
}
