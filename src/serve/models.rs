//! The servers for models, one for each agent that has come in, opened when it first does.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use tokio::sync::Mutex;

use crate::app::error::AppError;
use crate::app::faces::{Mount, Mounted};
use crate::host::Stop;
use crate::serve::desk::Desk;

/// The most agents that are served.
const MAX_AGENTS: usize = 32;

/// The servers for models.
pub(crate) struct Models {
    mount: Mount,
    open: Mutex<BTreeMap<String, Mounted>>,
}

impl Models {
    pub(crate) fn new(mount: Mount) -> Self {
        Self { mount, open: Mutex::default() }
    }

    /// Returns the way in to the server of an agent.
    ///
    /// # Errors
    /// The agent is not configured, or too many are served.
    pub(crate) async fn of(&self, desk: &Arc<Desk>, agent: &str) -> Result<Router, AppError> {
        let mut open = self.open.lock().await;
        if let Some(mounted) = open.get(agent) {
            return Ok(mounted.router.clone());
        }
        if desk.is_ending() {
            return Err(AppError::new("stopped", "the server is shutting down"));
        }
        if open.len() >= MAX_AGENTS {
            let message = format!("{MAX_AGENTS} agents are served already");
            return Err(AppError::new("unavailable", message));
        }
        let (app, _) = desk.app(Arc::new(Stop::default()));
        let mounted = (self.mount)(app, agent.to_owned()).await?;
        let router = mounted.router.clone();
        open.insert(agent.to_owned(), mounted);
        Ok(router)
    }

    /// Stops what is under way in all of them.
    pub(crate) async fn end(&self) {
        let open = std::mem::take(&mut *self.open.lock().await);
        for mounted in open.into_values() {
            (mounted.stop)().await;
        }
    }
}
