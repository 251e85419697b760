//! The way of a request: from the socket to the rule that answers it, and back.
//!
//! In that order: `serve` and `connection` hold the socket, `access` decides who is let in, `batch`
//! splits a `$batch`, `route` says what an address names, `handle` decides in the service's order,
//! and `delivery` brings the answer out.

pub(super) mod access;
pub(super) mod batch;
pub(super) mod connection;
pub(super) mod delivery;
pub(super) mod handle;
pub(super) mod permission;
pub(super) mod route;
pub(super) mod serve;
