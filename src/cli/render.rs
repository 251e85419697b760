//! Rendering of values as text. Pure, so that it can be tested without a terminal.
//!
//! Everything that comes from a board, a script or a service goes through [`text::visible`]:
//! a title is attacker input that reaches a terminal.

pub(crate) mod card;
pub(crate) mod failure;
pub(crate) mod junit;
pub(crate) mod markdown;
pub(crate) mod reference;
pub(crate) mod report;
pub(crate) mod table;
pub(crate) mod task_list;
pub(crate) mod tests_played;
pub(crate) mod text;
