//! The place where events are told, and heard.

use serde_json::Value;
use tokio::sync::broadcast;

/// The events that a slow reader may be behind.
const MAX_BEHIND: usize = 512;

/// An event, as streams carry it.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    /// Its kind: `run`, `pending`, `board`, `reload` or `agent`.
    pub(crate) kind: &'static str,
    pub(crate) data: Value,
}

/// The place where events are told.
#[derive(Clone)]
pub(crate) struct News(broadcast::Sender<Event>);

impl News {
    pub(crate) fn new() -> Self {
        Self(broadcast::channel(MAX_BEHIND).0)
    }

    /// Sends an event to all who listen.
    pub(crate) fn tell(&self, kind: &'static str, data: Value) {
        let _nobody_listens = self.0.send(Event { kind, data });
    }

    /// Listens from now on.
    pub(crate) fn listen(&self) -> broadcast::Receiver<Event> {
        self.0.subscribe()
    }
}
