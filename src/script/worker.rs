//! Scripts in processes of their own: the second wall. The first is the engine's sandbox.
//!
//! The same program is started again with nothing in its environment, and gives up files, network
//! and processes as far as the system can forbid them. It compiles and runs scripts; their reads
//! are answered over a pipe, and what a script wants comes back as data. Whatever a script does to
//! its process (memory, stack, time), the host lives on and says so.
//!
//! Skills, policies and tests share no process, nor do two skills that were run.

mod confine;
mod frame;
mod pool;
mod process;
mod serve;
mod stage;

pub use confine::{Wall, Walls};
pub(crate) use pool::{give_back, take, take_fresh};
pub use pool::{prestart, require_walls, set_program, walls};
pub(crate) use process::Worker;
pub use serve::serve;

/// The command that starts the other end; not for people.
pub const COMMAND: &str = "worker";

/// The exit code of a process that has met its limit of memory.
pub(crate) const OUT_OF_MEMORY: i32 = 86;
