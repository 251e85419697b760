//! The findings of a check, and the kinds of scripts that are checked.

use serde::{Deserialize, Serialize};

use crate::host::failure::Place;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It would fail when it runs.
    Error,
    /// It is not what one would write on purpose.
    Warning,
}

/// Something about a script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// What it is.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// Where.
    pub at: Option<Place>,
}

/// What a script is there for.
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
    pub(crate) const fn kind(self) -> crate::script::source::Kind {
        match self {
            Self::Skill | Self::Library => crate::script::source::Kind::Skill,
            Self::Policy => crate::script::source::Kind::Policy,
            Self::Test => crate::script::source::Kind::Test,
        }
    }
}
