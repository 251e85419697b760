//! Recovery: carrying a run on, taking it back, and the record that both rest on.

pub(crate) mod history;
pub mod record;
mod resume;
pub mod undo;

pub use record::Ledger;
