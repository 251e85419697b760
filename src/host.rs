//! A run from end to end: draft, review, apply.
//!
//! The host owns everything that a script must not: the client, the tags, the clock, the verdict.
//! Programs (scripts, commands) see a [`Session`]: they read through it and record edits; nothing
//! they do reaches the service.

// The board as programs see it.
mod board_file;
pub(crate) mod broker;
pub mod error;
pub mod session;
pub mod similar;
pub mod stop;

// From edits to outcomes.
pub mod apply;

pub(crate) mod failure;
mod known_plans;
mod named_plans;
mod open_draft;
pub mod progress;
pub(crate) mod query;
pub mod recover;
pub mod report;
pub mod run;
pub(crate) mod start;
mod thread;

pub mod clock;
pub mod record;

pub use clock::SystemClock;
pub use error::Error;
pub use failure::Failure;
pub use known_plans::KnownPlans;
pub use open_draft::{Choice, OpenDraft, preview_of};
pub use progress::{RunProgress, Watch};
pub use record::StateFolder;
pub use recover::{Decisions, candidates};
pub use report::{ChangeReport, Report, Status};
pub use run::approver::{Approver, Decision, Nobody};
pub use session::{Column, Editor, NewItem, NewTask, Session, View};
pub use start::{Agent, Finished, Host, Judge, PlanNames, Program, Start};
pub use stop::{Stop, StopReason};
pub use thread::on_large_stack;
