//! A lock that a panic does not close for good.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, whatever became of whoever held the lock before.
pub(crate) fn unpoisoned<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
