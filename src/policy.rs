//! The review of a change set: host rules, verdicts, and the proof that a set was judged.
//!
//! Host rules are here and cannot be switched off; the verdicts of policy scripts come in as
//! [`Ruling`]s and can only tighten. Only [`Reviewed::clear`] makes a [`Cleared`], and only a
//! `Cleared` can be applied.

pub mod limits;
pub mod review;
pub mod rules;
pub mod verdict;

pub use review::{Cleared, Reviewed, review};
pub use rules::{AgentGrants, Caps, Earlier, Grants, Spent, keep_titles};
pub use verdict::{RuleLine, Ruling, Saw, Verdict};
