//! The API under `/control`: injected faults, and a log of the requests.
//!
//! It is for tests of programs that talk to Planner; the real service has nothing like it
//! (planner-api.md 15.1, item 18 lists the switches). Nothing here changes an answer until a test
//! asks for it. The state belongs to the process, not to the database.
//!
//! Start at [`Switches`], which holds the state, and `routes`, which lists the addresses.

mod faults;
pub(super) mod in_process;
pub(super) mod log;
pub(super) mod outside_edits;
pub(super) mod routes;
pub(super) mod rule;
pub(super) mod switches;
mod throttle;

pub use faults::Fired;
pub use log::{Logged, Origin};
pub use outside_edits::Edits;
pub use rule::{Action, Edit, FaultRule, InvalidRule};
pub use throttle::Throttle;
