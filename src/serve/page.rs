//! The page: what people look at in a browser. It is made on the server and works without scripts; a small
//! script keeps it up to date and adds keys.

pub(crate) mod actions;
pub(crate) mod board;
pub(crate) mod browse;
pub(crate) mod changes;
pub(crate) mod charts;
pub(crate) mod decide;
pub(crate) mod layout;
pub(crate) mod login;
