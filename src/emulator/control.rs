//! Trouble on request, and a look at what happened: the API under `/control`.
//!
//! It is for tests of programs that talk to Planner, and the real service has nothing like it:
//! planner-api.md asks for its switches in 15.1, item 18. Nothing here changes an answer until
//! it is asked to. Its state belongs to the process, not to the database.
//!
//! Start at [`Panel`], which holds the state, and `routes`, which lists the addresses.

mod editor;
mod faults;
mod lag;
mod log;
mod panel;
mod routes;
mod rule;
mod throttle;

pub use editor::Edits;
pub(crate) use editor::change;
pub use faults::Fired;
pub use lag::Lag;
pub use log::{Logged, Origin};
pub use rule::{Action, Edit, FaultRule, InvalidRule};
pub use throttle::Throttle;

pub(crate) use editor::carry_out;
pub(crate) use lag::Replica;
pub(crate) use panel::Panel;
pub(crate) use routes::{answer, is_control};
