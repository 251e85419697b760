//! Microsoft's JSON and requests, as values.
//!
//! Decoding is lenient, since unknown members and enum values appear without notice
//! (planner-api.md trap 53); encoding is strict: only changed, writable properties go into a body.
//! Nothing here sends.

// Requests.
pub mod batch;
pub mod body;
pub mod request;

// Answers.
pub mod delta;
pub mod entity;
pub mod error;
pub mod json;
pub mod page;

pub use entity::{DecodeError, Decoded};
pub use error::ApiError;
pub use json::Json;
pub use page::Page;
pub use request::{Method, Request};
