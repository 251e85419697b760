//! The audit log, read on as it grows, so that whatever happens goes out as an event.
//!
//! Every process of the state folder writes to that log, so a page sees the runs of a command line as
//! well as those of its own server.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::serve::desk::Desk;

/// The interval at which the log is read on.
const LOOK: Duration = Duration::from_millis(300);
/// The most records that are read at once.
const MAX_RECORDS: usize = 500;

/// Returns the events that a record of the audit log is.
fn events(record: &Value) -> Vec<(&'static str, Value)> {
    let is_over = record["kind"] == "finished";
    let status = record.get("outcome").filter(|_| is_over);
    let run = || {
        json!({
            "run_id": record["run"], "skill": record["skill"], "agent": record["agent"],
            "kind": record["kind"], "status": status,
        })
    };
    let kind = record["kind"].as_str().unwrap_or_default();
    match kind {
        "run_started" | "judged" | "refused" => vec![("run", run())],
        "held" => vec![("run", run()), ("pending", json!({ "id": record["run"], "kind": kind }))],
        "finished" => {
            // What is held waits once its run is over.
            let held = json!({ "id": record["run"], "kind": kind });
            vec![("run", run()), ("pending", held), ("board", json!({ "run_id": record["run"] }))]
        }
        "approved" | "rejected" | "expired" | "proposed" | "reopened" | "replaced"
        | "carried_out" => {
            let id = record.get("run").filter(|id| id.is_string());
            let id = id.unwrap_or(&record["detail"]["proposal"]);
            vec![("pending", json!({ "id": id, "kind": kind }))]
        }
        "paused" | "unpaused" if record["detail"]["schedule"].is_string() => {
            vec![("agent", json!({ "schedule": record["detail"]["schedule"], "kind": kind }))]
        }
        "paused" | "unpaused" => {
            vec![("agent", json!({ "agent": record["detail"]["agent"], "kind": kind }))]
        }
        "submitted" | "taken" | "settled" | "cancelled" => {
            vec![("agent", json!({ "entry": record["detail"]["entry"], "kind": kind }))]
        }
        "intent" | "recovered" | "config" | "turned_away" | "pruned" | "restored"
        | "token_created" | "token_revoked" => Vec::new(),
        // The outcome of a request: something on a board may be another.
        _ => vec![("board", json!({ "run_id": record["run"] }))],
    }
}

/// Reads the log on until the server ends.
pub(crate) async fn follow(desk: Arc<Desk>) {
    let mut last: Option<i64> = None;
    while !desk.is_ending() {
        let (journal, from) = (Arc::clone(&desk.journal), last);
        let read = tokio::task::spawn_blocking(move || match from {
            None => journal.last_record().map(|seq| (seq, Vec::new())),
            Some(from) => journal.records(None, from, MAX_RECORDS).map(|records| {
                let seq = records.last().and_then(|record| record["seq"].as_i64());
                (seq.unwrap_or(from), records)
            }),
        });
        match read.await {
            Ok(Ok((seq, records))) => {
                last = Some(seq);
                let mut told: Vec<(&'static str, Value)> = Vec::new();
                for event in records.iter().flat_map(events) {
                    // Of a batch of requests, readers need to hear once.
                    if told.last() != Some(&event) {
                        told.push(event);
                    }
                }
                if told.iter().any(|(kind, _)| *kind == "board") {
                    desk.forget_boards();
                }
                for (kind, data) in told {
                    if kind == "run" && data["kind"] == "finished" {
                        desk.metrics.count_run(data["status"].as_str().unwrap_or("unknown"));
                    }
                    desk.news.tell(kind, data);
                }
                if records.len() == MAX_RECORDS {
                    continue;
                }
            }
            Ok(Err(error)) => tracing::warn!(%error, "the audit log cannot be read on"),
            Err(_) => return,
        }
        tokio::time::sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_says_what_it_is_about() {
        let record = |kind: &str, run: Value, detail: Value| {
            events(&json!({ "kind": kind, "run": run, "detail": detail }))
        };
        for kind in
            ["approved", "rejected", "expired", "proposed", "reopened", "replaced", "carried_out"]
        {
            let set = json!({ "id": "a run", "kind": kind });
            assert_eq!(record(kind, json!("a run"), json!({})), [("pending", set)]);
            let proposal = json!({ "id": "a proposal", "kind": kind });
            let told = record(kind, Value::Null, json!({ "proposal": "a proposal" }));
            assert_eq!(told, [("pending", proposal)]);
        }
        for kind in ["paused", "unpaused"] {
            let schedule = json!({ "schedule": "weekly", "kind": kind });
            let told = record(kind, Value::Null, json!({ "schedule": "weekly" }));
            assert_eq!(told, [("agent", schedule)]);
            let agent = json!({ "agent": "rook", "kind": kind });
            let told = record(kind, Value::Null, json!({ "agent": "rook" }));
            assert_eq!(told, [("agent", agent)]);
        }
        for kind in ["turned_away", "config", "token_created", "token_revoked"] {
            assert_eq!(record(kind, Value::Null, json!({})), [], "{kind}");
        }
    }
}
