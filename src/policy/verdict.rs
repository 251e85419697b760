//! What is said of a change.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A verdict; the worst of all that were given counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing against it.
    Allow,
    /// Goes through, with a remark.
    Warn,
    /// A person must approve.
    Hold,
    /// Does not go through.
    Deny,
}

impl Verdict {
    /// Returns its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Warn => "warn",
            Self::Hold => "hold",
            Self::Deny => "deny",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One verdict, by one rule, with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruling {
    /// Who says so: `host R1`, or the file name of a policy.
    pub source: String,
    /// What is said.
    pub verdict: Verdict,
    /// The number of the change meant; `None` for the set as a whole.
    pub change: Option<usize>,
    /// Why.
    pub reason: String,
    /// The line of the policy that says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<RuleLine>,
    /// What the policy had looked at by then: `task.percentComplete` with the entity's id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub saw: Vec<Saw>,
}

/// A line of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleLine {
    /// The file, as messages name it.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What stands there.
    pub source: String,
}

/// A field that a policy looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saw {
    /// The id of the entity.
    pub id: String,
    /// The field, by Graph's name.
    pub field: String,
}

impl Ruling {
    /// Refuses, in the name of `source`.
    #[must_use]
    pub fn deny(source: &str, change: Option<usize>, reason: String) -> Self {
        Self {
            source: source.to_owned(),
            verdict: Verdict::Deny,
            change,
            reason,
            at: None,
            saw: Vec::new(),
        }
    }
}
