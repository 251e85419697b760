//! Recovery: carrying a run on, taking it back, and the record that both rest on.

pub mod inverse;
pub(crate) mod resume;
pub(crate) mod undo;

pub use resume::{Decisions, candidates};
