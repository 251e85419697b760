//! Stopping a program for good.
//!
//! An error can be caught by a script, more easily than its language admits; a stop can not.
//! It is a flag of the host: set once, looked at by everything the program can call, and
//! decisive for the outcome whatever the program returns.

use std::fmt;
use std::sync::OnceLock;

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

/// A flag that is set at most once.
#[derive(Debug, Default)]
pub struct Stop {
    reason: OnceLock<StopReason>,
    changed: Notify,
}

impl Stop {
    /// Stops the program; the first reason stays.
    pub fn set(&self, reason: StopReason) {
        if self.reason.set(reason).is_ok() {
            self.changed.notify_waiters();
        }
    }

    /// Returns why the program was stopped, if it was.
    #[must_use]
    pub fn reason(&self) -> Option<&StopReason> {
        self.reason.get()
    }

    /// Waits until it is set.
    pub async fn wait(&self) {
        let changed = self.changed.notified();
        if self.reason.get().is_none() {
            changed.await;
        }
    }
}
