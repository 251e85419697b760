//! The allowance of a session: the most memory that its answers may hold together.
//!
//! Single answers are bounded, but their number is not: a service may send a list without end, and
//! a program may ask for many lists.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::graph::error::Error;
use crate::wire::Json;

/// The allowance of one session, in bytes of weight: 20,000 tasks with their details. A run may
/// hold it three times (its reads, their refresh, and the comparison) within 512 MiB.
const WHOLE: usize = 128 << 20;

/// The unused part of an allowance.
#[derive(Debug, Clone)]
pub(crate) struct Allowance(Arc<AtomicUsize>);

impl Default for Allowance {
    fn default() -> Self {
        Self::from_bytes(WHOLE)
    }
}

impl Allowance {
    pub(crate) fn from_bytes(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    /// Takes the weight of an answer.
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
