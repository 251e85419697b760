//! The path of a request: from the socket to the rule that answers it, and back.
//!
//! In this order: `serve`, `connection` and `tls` hold the socket, `access` admits the request, `batch`
//! splits a `$batch`, `route` interprets the address, `permission` checks the scopes, `handle`
//! decides in the service's order, and `delivery` sends the answer. `cors` lets pages of a browser ask,
//! `encoding` compresses.

pub(super) mod access;
pub(super) mod batch;
pub(super) mod connection;
pub(super) mod cors;
pub(super) mod delivery;
pub(super) mod encoding;
pub(super) mod handle;
pub(super) mod permission;
pub(super) mod route;
pub(super) mod serve;
pub(super) mod tls;
