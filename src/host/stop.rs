//! The flag that stops a program for good.
//!
//! A script can catch an error, more easily than its language admits; it cannot catch a stop. The
//! flag belongs to the host: set once, checked by everything that the program can call, and
//! decisive for the outcome, whatever the program returns.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// The reason that a program was stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopReason {
    /// A person asked (Ctrl-C).
    Cancelled,
    /// Whoever asked for it has taken the request back: nothing of it is carried on by itself.
    Withdrawn,
    /// It used up a budget: its name and size.
    Budget(&'static str, String),
    /// The run is over: what it committed was not applied.
    Ended,
    /// It gave up by itself, with this text.
    Fail(String),
}

impl StopReason {
    /// Returns the code for reports: `stopped` is for a person's request only.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Cancelled | Self::Withdrawn => "stopped",
            Self::Budget(..) => "budget",
            Self::Ended => "ended",
            Self::Fail(_) => "fail",
        }
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => f.write_str("interrupted"),
            Self::Withdrawn => f.write_str("cancelled"),
            Self::Budget(name, size) => write!(f, "over its {name} budget of {size}"),
            Self::Ended => f.write_str("the run ended at commit()"),
            Self::Fail(text) => f.write_str(text),
        }
    }
}

/// A flag that is set at most once for a program.
#[derive(Debug, Default)]
pub struct Stop {
    reason: Mutex<Option<StopReason>>,
    /// True once there is a reason: a cheap check for busy callers.
    is_set: AtomicBool,
    changed: Notify,
}

impl Stop {
    /// Stops the program; the first reason stays.
    pub fn set(&self, reason: StopReason) {
        let mut current = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        if current.is_none() {
            *current = Some(reason);
            self.is_set.store(true, Ordering::SeqCst);
            drop(current);
            self.changed.notify_waiters();
        }
    }

    /// Returns the reason that the program was stopped for, if it was.
    #[must_use]
    pub fn reason(&self) -> Option<StopReason> {
        if !self.is_set() {
            return None;
        }
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns whether the program was stopped.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.is_set.load(Ordering::SeqCst)
    }

    /// Clears the flag for another program: the next line of a person who stopped the one before.
    /// Nothing that was stopped may still be at work.
    pub fn clear(&self) {
        let mut current = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        *current = None;
        self.is_set.store(false, Ordering::SeqCst);
    }

    /// Waits until it is set.
    pub async fn wait(&self) {
        // Before the check: a stop set between the two would be missed otherwise.
        let changed = self.changed.notified();
        if !self.is_set() {
            changed.await;
        }
    }
}
