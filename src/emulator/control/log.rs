//! The log of the last requests, for a test that asks afterwards which ones were sent.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

/// The number of requests that are kept.
const MAX_REQUESTS: usize = 10_000;
/// The bytes that are kept of all bodies, and of one.
const MAX_BYTES: usize = 32 * 1024 * 1024;
const MAX_BODY: usize = 64 * 1024;

/// The origin of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// A client that sent it by itself.
    Client,
    /// A `$batch` of which it is a part.
    Batch,
    /// An `edit` rule or the background editor.
    Editor,
}

/// One request that was made.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Logged {
    /// The origin of the request.
    pub by: Origin,
    /// The time, by the emulator's clock.
    pub at: String,
    /// The verb.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// The `If-Match` header.
    pub if_match: Option<String>,
    /// The status of the answer; `None` if there was no answer.
    pub status: Option<u16>,
    /// The body, if it is JSON and not too large.
    pub body: Option<Value>,
}

/// The requests that are kept. Bodies stay bytes until somebody asks, since most are never read.
#[derive(Debug, Default)]
pub(crate) struct Log(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    entries: VecDeque<(Logged, Vec<u8>)>,
    bytes: usize,
}

impl Log {
    pub(crate) fn add(&self, entry: Logged, body: &[u8]) {
        let body = if body.len() > MAX_BODY { Vec::new() } else { body.to_vec() };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += body.len();
        kept.entries.push_back((entry, body));
        // Both bounds: neither many small requests nor a few large ones may fill the memory.
        while kept.entries.len() > MAX_REQUESTS || kept.bytes > MAX_BYTES {
            let Some((_, body)) = kept.entries.pop_front() else { break };
            kept.bytes -= body.len();
        }
    }

    /// Returns the requests in the order in which they were answered.
    pub(crate) fn list(&self) -> Vec<Logged> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let read = |(entry, body): &(Logged, Vec<u8>)| Logged {
            body: serde_json::from_slice(body).ok(),
            ..entry.clone()
        };
        kept.entries.iter().map(read).collect()
    }

    pub(crate) fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Kept::default();
    }
}
