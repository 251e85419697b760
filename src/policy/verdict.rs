//! The verdicts on a change, ordered so that the worst one counts.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A verdict; the worst of all given counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It may be applied.
    Allow,
    /// It may be applied, with a warning.
    Warn,
    /// A person must approve it.
    Hold,
    /// It must not be applied.
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
    /// The rule that ruled: `host R1`, or the file name of a policy.
    pub source: String,
    /// The verdict.
    pub verdict: Verdict,
    /// The number of the change ruled on; `None` for the set as a whole.
    pub change: Option<usize>,
    /// The reason given.
    pub reason: String,
    /// The line of the policy that gave the verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<RuleLine>,
    /// The fields that the policy had read by then: `task.percentComplete` with the entity's id.
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
    /// The source text of the line.
    pub source: String,
}

/// A field that a policy read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saw {
    /// The id of the entity.
    pub id: String,
    /// The field, by Graph's name.
    pub field: String,
}

impl Ruling {
    /// Makes a refusal in the name of `source`.
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
