//! Telling a watcher how far a run is. What is told is for people's eyes: nothing rests on it.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Progress {
    /// The change set is being carried out.
    Applying {
        /// Requests that have ended, one way or another.
        done: usize,
        /// Requests in all.
        total: usize,
    },
    /// What the run rests on has moved: its program runs again.
    Replaying {
        /// The how manieth time.
        times: u64,
    },
}

/// Whoever wants to know.
#[derive(Clone, Default)]
pub struct Watch(Option<Arc<dyn Fn(Progress) + Send + Sync>>);

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watch").field(&self.0.is_some()).finish()
    }
}

impl Watch {
    /// Has a function told of everything.
    #[must_use]
    pub fn new(tell: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(tell)))
    }

    pub(crate) fn tell(&self, progress: Progress) {
        if let Some(tell) = &self.0 {
            tell(progress);
        }
    }

    pub(crate) fn applied(&self, done: usize, total: usize) {
        self.tell(Progress::Applying { done, total });
    }
}
