//! The API: what programs ask for and get as data. What a list shows is what the command line shows with
//! `--json`.

pub(crate) mod boards;
pub(crate) mod changes;
pub(crate) mod events;
pub(crate) mod lists;
pub(crate) mod proposals;
pub(crate) mod runs;
pub(crate) mod status;
