//! The findings of a check, and the kinds of scripts that are checked.

use serde::{Deserialize, Serialize};

use crate::host::failure::Place;

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It would fail when it runs.
    Error,
    /// It is hardly what was meant.
    Warning,
}

/// A finding about a script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Its severity.
    pub severity: Severity,
    /// Its text.
    pub message: String,
    /// Advice on what to do.
    pub hint: Option<String>,
    /// Its place.
    pub at: Option<Place>,
}

/// The purpose of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// It is run.
    Skill,
    /// It judges.
    Policy,
    /// It is imported by others.
    Library,
    /// It tests.
    Test,
}

impl Role {
    pub(crate) const fn kind(self) -> crate::script::source::ScriptKind {
        match self {
            Self::Skill | Self::Library => crate::script::source::ScriptKind::Skill,
            Self::Policy => crate::script::source::ScriptKind::Policy,
            Self::Test => crate::script::source::ScriptKind::Test,
        }
    }
}
