//! A program's view of the board.
//!
//! A session reads through the run's snapshot (each entity once, lazily) and records edits in the
//! run's draft, which its own later reads see. It is synchronous: programs run on a thread of their
//! own and wait here for the broker. No lock is held while they wait.

mod beta;
pub(crate) mod core;
mod document;
pub(crate) mod edits;
mod fetch;
pub(crate) mod journaled;
pub(crate) mod lookup;
mod moves;
pub(crate) mod names;
mod plans;
pub(crate) mod provenance;
pub(crate) mod refresh;
pub(crate) mod remote;
mod segments;
mod tasks;
mod whole;

pub use core::{Facts, Session, View};
pub use edits::{Editor, NewItem, NewTask};
pub use moves::Column;
