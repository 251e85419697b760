//! The outcomes of tests, for the list on the terminal and for the report of a build server.

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::host::Failure;

/// A test that was run.
#[derive(Debug, Serialize)]
pub(crate) struct Played {
    /// The name of the file, without folder and extension.
    pub(crate) file: String,
    /// The name of the test; `None` if the file itself is broken.
    pub(crate) test: Option<String>,
    pub(crate) passed: bool,
    #[serde(rename = "duration_ms", serialize_with = "as_millis")]
    pub(crate) duration: Duration,
    /// The lines that the test printed.
    pub(crate) output: Vec<String>,
    pub(crate) error: Option<Failure>,
}

impl Played {
    pub(crate) fn name(&self) -> String {
        match &self.test {
            Some(test) => format!("{}::{test}", self.file),
            None => self.file.clone(),
        }
    }
}

fn as_millis<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
