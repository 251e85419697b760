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
}

impl Ruling {
    /// Refuses, in the name of `source`.
    #[must_use]
    pub fn deny(source: &str, change: Option<usize>, reason: String) -> Self {
        Self { source: source.to_owned(), verdict: Verdict::Deny, change, reason }
    }
}
