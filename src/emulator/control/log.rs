//! The last requests, for a test that asks afterwards what was sent.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

/// How many requests are remembered.
const MAX_REQUESTS: usize = 10_000;
/// How many bytes of their bodies, and how many of one.
const MAX_BYTES: usize = 32 * 1024 * 1024;
const MAX_BODY: usize = 64 * 1024;

/// Where a request came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Sent by itself.
    Client,
    /// Part of a `$batch`.
    Batch,
    /// Made by an `edit` rule or by the background editor.
    Editor,
}

/// One request that was made.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Logged {
    /// Where it came from.
    pub by: Origin,
    /// When, by the emulator's clock.
    pub at: String,
    /// The verb.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// The `If-Match` header.
    pub if_match: Option<String>,
    /// The status of the answer; none if there was no answer.
    pub status: Option<u16>,
    /// The body, if it is JSON and not too large.
    pub body: Option<Value>,
}

/// All that is remembered. Bodies are kept as bytes and read when somebody asks.
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
        while kept.entries.len() > MAX_REQUESTS || kept.bytes > MAX_BYTES {
            let Some((_, body)) = kept.entries.pop_front() else { break };
            kept.bytes -= body.len();
        }
    }

    /// The requests in the order in which they were answered.
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
