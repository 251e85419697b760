//! Recovery: carrying a run on, taking it back, and the record that both rest on.

pub(crate) mod history;
pub(crate) mod resume;
pub mod undo;

pub use resume::{Decisions, candidates};
