//! Stopping a program for good.
//!
//! An error can be caught by a script, more easily than its language admits; a stop can not.
//! It is a flag of the host: set once, looked at by everything the program can call, and
//! decisive for the outcome whatever the program returns.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// Why a program was stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopReason {
    /// A person asked (Ctrl-C).
    Cancelled,
    /// It used up a budget: its name and size.
    Budget(&'static str, String),
    /// What it committed was not applied: the run is over.
    Ended,
    /// It gave up by itself, with this text.
    Fail(String),
}

impl StopReason {
    /// Returns the code that reports give it: only a person's asking is `stopped`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Cancelled => "stopped",
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
    /// Whether there is a reason, for whoever asks all the time.
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

    /// Returns why the program was stopped, if it was.
    #[must_use]
    pub fn reason(&self) -> Option<StopReason> {
        if !self.is_set() {
            return None;
        }
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells whether the program was stopped.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.is_set.load(Ordering::SeqCst)
    }

    /// Makes ready for another program: the next line of a person, who has stopped the one
    /// before. Nothing that was stopped may still be at work.
    pub fn clear(&self) {
        let mut current = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        *current = None;
        self.is_set.store(false, Ordering::SeqCst);
    }

    /// Waits until it is set.
    pub async fn wait(&self) {
        let changed = self.changed.notified();
        if !self.is_set() {
            changed.await;
        }
    }
}
