//! How much of a service's answers one session or list may hold.
//!
//! Single answers are bounded, but their number is for the service to say: a list may go on for
//! ever, and a program may ask for many of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::graph::error::Error;
use crate::wire::Json;

/// What one session may hold, in bytes of weight: 20,000 tasks with their details. A run holds it up to
/// three times (what it has read, what it reads again, what it compares) within 512 MiB.
const WHOLE: usize = 128 << 20;

/// What is left of it.
#[derive(Debug, Clone)]
pub(crate) struct Allowance(Arc<AtomicUsize>);

impl Default for Allowance {
    fn default() -> Self {
        Self::of(WHOLE)
    }
}

impl Allowance {
    pub(crate) fn of(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    /// Takes what an answer weighs.
    ///
    /// # Errors
    /// There is not enough left.
    pub(crate) fn take(&self, answer: &Json) -> Result<(), Error> {
        let weight = answer.weight();
        let less = |left: usize| left.checked_sub(weight);
        let taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        taken.map(|_| ()).map_err(|_| Error::TooMuch)
    }
}
