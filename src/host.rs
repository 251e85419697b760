//! A run from end to end: draft, review, apply.
//!
//! The host owns everything that a script must not: the client, the tags, the clock, the
//! verdict. Programs (scripts, commands) see a [`Session`]: they read through it and record
//! what they want; nothing they do reaches the service.

// Where a program meets the board.
mod beta;
mod board_file;
pub(crate) mod broker;
mod document;
pub mod error;
mod fetch;
mod history;
mod lookup;
mod moves;
mod names;
mod plans;
mod reads;
mod register;
pub(crate) mod remote;
mod renew;
pub mod session;
pub mod stop;
mod tasks;
pub mod undo;
mod wishes;

// From wishes to outcomes.
pub mod apply;
mod open_draft;
pub mod progress;
pub mod record;
pub mod report;
mod resume;
pub mod run;
mod worker;

pub mod clock;

pub use clock::SystemClock;
pub use error::Error;
pub use moves::Column;
pub use open_draft::{Choice, OpenDraft};
pub use progress::{Progress, Watch};
pub use record::Ledger;
pub use report::{ChangeReport, Failure, Report, Status};
pub use run::{Agent, Finished, Host, Judge, Program, Start};
pub use session::{Session, View};
pub use stop::{Stop, StopReason};
pub use wishes::{NewItem, NewTask};
pub use worker::on_large_stack;
