//! The demo tenant: a small company with a board that needs attention. Only data, a seed.
//!
//! Days count from the day of seeding. In "BOS Operations", exactly six tasks of the Inbox are
//! overdue, each of them open and either nobody's or Rook's: the guides triage them.

/// The tenant `bos.example`.
pub const TENANT: &str = include_str!("demo/tenant.json");
