//! The way of a request: from the socket to the rule that answers it, and back.
//!
//! In that order: `serve` and `connection` hold the socket, `access` decides who is let in,
//! `request` takes a request apart, `batch` splits a `$batch`, `route` says what an address names,
//! `handle` decides in the service's order, `graph_error` and `response` make the answer, and
//! `delivery` brings it out.

pub(super) mod access;
pub(super) mod batch;
pub(super) mod connection;
pub(super) mod delivery;
pub(super) mod filter;
pub(super) mod graph_error;
pub(super) mod handle;
pub(super) mod request;
pub(super) mod response;
pub(super) mod route;
pub(super) mod serve;
