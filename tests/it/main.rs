//! The integration tests: one binary, one module a subject.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

// The source tree itself: layers, owners, sizes, comments.
mod tidy;
