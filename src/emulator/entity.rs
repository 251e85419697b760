//! The kinds of objects and their rules: how each of them is created, changed and deleted.

pub(super) mod archive;
pub(super) mod buckets;
pub(super) mod chat;
pub(super) mod delta;
pub(super) mod directory;
pub(super) mod groups;
pub(super) mod listing;
pub(super) mod personal_plans;
pub(super) mod plans;
pub(super) mod recurrence;
pub(super) mod rosters;
pub(super) mod tasks;
