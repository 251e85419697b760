//! Requests and answers as values, with the refusals in the words of the real service.

pub(super) mod filter;
pub(super) mod request;
pub(super) mod response;
