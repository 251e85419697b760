//! The outcome of tests, for the list and the report.

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::host::Failure;

/// A test that was played.
#[derive(Debug, Serialize)]
pub(crate) struct Played {
    /// The file, without folder and ending.
    pub(crate) file: String,
    /// The test; `None` where the file itself is broken.
    pub(crate) test: Option<String>,
    pub(crate) passed: bool,
    #[serde(rename = "duration_ms", serialize_with = "as_millis")]
    pub(crate) duration: Duration,
    /// What the test printed.
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
