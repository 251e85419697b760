//! Scripts in processes of their own: the second wall. The first is the engine's sandbox.
//!
//! The same program is started again with nothing in its environment, and gives up files, network
//! and processes as far as the system can forbid them. It compiles and runs scripts; their reads
//! are answered over a pipe, and their edits come back as data. Whatever a script does to its
//! process (memory, stack, time), the host goes on and reports it.
//!
//! Skills, policies and tests never share a process, nor do two skills that were run.

pub(super) mod confine;
pub(super) mod frame;
pub(crate) mod pool;
pub(crate) mod process;
mod stage;

pub use confine::{Wall, Walls};
pub use pool::{prestart, require_walls, set_program, walls};
