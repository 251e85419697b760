//! An error as data, which every layer above can show.

use serde::{Deserialize, Serialize};

use crate::host::stop::StopReason;

/// An error as data: one sentence, its place, and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Failure {
    /// A stable name.
    pub code: String,
    /// One sentence, without its full stop.
    pub message: String,
    /// The remedy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The causes, outermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// The single problems, where there are several; none causes another.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    /// The place in a script.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Place>,
    /// The calls that led there, innermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trace: Vec<String>,
}

impl Failure {
    /// Makes a failure of an error and its sources, with a hint.
    #[must_use]
    pub fn from_error(code: &str, error: &dyn std::error::Error, hint: Option<String>) -> Self {
        let mut causes = Vec::new();
        let mut source = error.source();
        while let Some(cause) = source {
            causes.push(cause.to_string());
            source = cause.source();
        }
        causes.dedup();
        Self { code: code.to_owned(), message: error.to_string(), hint, causes, ..Self::default() }
    }
}

impl From<crate::host::error::Error> for Failure {
    fn from(error: crate::host::error::Error) -> Self {
        Self::from(&error)
    }
}

/// A place in a script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The script.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The text of the line.
    pub source: String,
}

pub(crate) fn interrupted() -> Failure {
    Failure {
        code: StopReason::Cancelled.code().into(),
        message: StopReason::Cancelled.to_string(),
        ..Failure::default()
    }
}
