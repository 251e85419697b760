//! Requests and answers as values, so that no rule ever deals with a socket.

pub(super) mod filter;
pub(super) mod request;
pub(super) mod response;
pub(super) mod search;
