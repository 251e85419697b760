//! The person's word on a set that a rule or policy holds.

use crate::host::report::Report;

/// A person's decision on a held set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It may be applied: a person says so now.
    Approved,
    /// It may be applied: a person has said so before, which is on record.
    Before,
    /// It is not applied, and it is not asked again.
    Refused,
    /// Nobody was there to decide: it waits.
    Later,
}

/// Someone who decides on held sets. An agent never does (rule R8).
pub trait Approver: Send + Sync {
    /// Decides on a set, shown as the report on it. `digest` is that of what it writes: it stays
    /// the same while nothing that a person sees of it is different.
    ///
    /// It may block until a person has answered.
    fn decide(&self, held: &Report, digest: &str) -> Decision;
}

/// Nobody is there: what is held becomes pending.
#[derive(Debug, Clone, Copy)]
pub struct Nobody;

impl Approver for Nobody {
    fn decide(&self, _: &Report, _: &str) -> Decision {
        Decision::Later
    }
}
