//! RunProgress of a run, as told to a watcher. It is for people's eyes only: nothing rests on it.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// The progress of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum RunProgress {
    /// The change set is being carried out.
    Applying {
        /// Requests that have ended, one way or another.
        done: usize,
        /// Requests in all.
        total: usize,
    },
    /// The board has moved under the run, so its program runs again.
    Replaying {
        /// The number of times so far.
        times: u64,
    },
}

/// A listener for progress, if there is one.
#[derive(Clone, Default)]
pub struct Watch(Option<Arc<dyn Fn(RunProgress) + Send + Sync>>);

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watch").field(&self.0.is_some()).finish()
    }
}

impl Watch {
    /// Makes a watcher of a function that is called with all progress.
    #[must_use]
    pub fn new(tell: impl Fn(RunProgress) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(tell)))
    }

    pub(crate) fn tell(&self, progress: RunProgress) {
        if let Some(tell) = &self.0 {
            tell(progress);
        }
    }

    pub(crate) fn applied(&self, done: usize, total: usize) {
        self.tell(RunProgress::Applying { done, total });
    }
}
