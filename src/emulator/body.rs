//! Bodies: what may be written, how it merges, and how objects are shown.

pub(super) mod json;
pub(super) mod known;
pub(super) mod notes;
pub(super) mod open_type;
pub(super) mod patch;
pub(super) mod schema;
pub(super) mod view;
