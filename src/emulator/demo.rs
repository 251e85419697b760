//! The demo tenant: a small company with a board that needs attention. It is only data, a seed.
//!
//! Dates are relative to the day of seeding. In "BOS Operations", exactly six tasks of the Inbox
//! are overdue, each of them open and either unassigned or Rook's: the guides triage them.

/// The tenant `bos.example`.
pub const TENANT: &str = include_str!("demo/tenant.json");
