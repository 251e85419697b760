//! Places in a seed, so that a message can say where something is wrong.

use std::fmt::{self, Display};

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::emulator::state::graph_error::GraphError;

/// An error in a seed. Nothing of its tenant exists then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SeedError {
    /// The text is not valid JSON.
    #[error("the seed is not valid JSON")]
    Syntax(#[source] serde_json::Error),
    /// The text does not begin like JSON and is not valid YAML either.
    #[error("the seed is not valid YAML")]
    Yaml(#[source] Box<serde_saphyr::Error>),
    /// It holds more values than are read.
    #[error("the seed has more than {0} values")]
    TooMany(usize),
    /// Something in it is wrong.
    #[error("`{path}` in the seed: {message}")]
    Invalid {
        /// The place, such as `plans[0].tasks[3].due`.
        path: String,
        /// The problem.
        message: String,
    },
    /// The database refused.
    #[error("the emulator's database failed")]
    Database(#[from] rusqlite::Error),
}

/// A place in the seed.
#[derive(Debug, Clone)]
pub(crate) struct Location(String);

impl Location {
    /// Returns the place of the seed as a whole.
    pub(crate) fn root() -> Self {
        Self(String::new())
    }

    pub(crate) fn member(&self, name: &str) -> Self {
        Self(if self.0.is_empty() { name.to_owned() } else { format!("{}.{name}", self.0) })
    }

    pub(crate) fn item(&self, at: usize) -> Self {
        Self(format!("{}[{at}]", self.0))
    }

    /// Returns an error about what is here.
    pub(crate) fn wrong(&self, message: impl Display) -> SeedError {
        SeedError::Invalid { path: self.to_string(), message: message.to_string() }
    }

    /// Turns a refusal of the emulator's own rules into an error about this place.
    pub(crate) fn refused<T>(&self, result: Result<T, GraphError>) -> Result<T, SeedError> {
        result.map_err(|fault| self.wrong(fault.message.replace("\r\n", " ")))
    }

    /// Reads an object whose members are known.
    pub(crate) fn read<T: DeserializeOwned>(&self, value: &Value) -> Result<T, SeedError> {
        serde_json::from_value(value.clone()).map_err(|error| {
            let message = error.to_string();
            let culprit = culprit::<T>(value, &message);
            culprit.map_or_else(|| self.clone(), |name| self.member(name)).wrong(message)
        })
    }

    /// Returns the items of a list, each with its place; none if there is no list.
    pub(crate) fn items<'v>(
        &self,
        name: &str,
        value: &'v Value,
    ) -> Result<Vec<(Self, &'v Value)>, SeedError> {
        let spot = self.member(name);
        match value {
            Value::Null => Ok(Vec::new()),
            Value::Array(items) => {
                Ok(items.iter().enumerate().map(|(at, item)| (spot.item(at), item)).collect())
            }
            _ => Err(spot.wrong("expected a list")),
        }
    }
}

impl Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "(root)" } else { &self.0 })
    }
}

/// Returns the member that a message is about: the one without which the message would differ.
fn culprit<'v, T: DeserializeOwned>(value: &'v Value, message: &str) -> Option<&'v str> {
    let members = value.as_object()?;
    let is_about = |name: &&String| {
        let mut rest = members.clone();
        rest.shift_remove(*name);
        match serde_json::from_value::<T>(Value::Object(rest)) {
            Ok(_) => true,
            Err(other) => other.to_string() != message,
        }
    };
    members.keys().find(is_about).map(String::as_str)
}
