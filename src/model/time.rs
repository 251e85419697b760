//! Where time comes from.
//!
//! The core never asks for the time itself: whoever needs it takes a [`Clock`], so that tests
//! pin it and a run keeps one moment from beginning to end.

use jiff::Timestamp;

/// A source of the current time.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Returns the current moment, UTC.
    fn now(&self) -> Timestamp;
}
