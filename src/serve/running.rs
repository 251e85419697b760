//! The runs that were accepted here: each has an id before it begins, and its report for a while after it
//! has ended, also if it never got as far as the journal.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;

use crate::app::error::AppError;
use crate::serve::lock::unpoisoned;

/// The most runs that wait or are at work, and the reports that are remembered.
const MAX_OPEN: usize = 1_000;
const MAX_REPORTS: usize = 200;

/// A run that was accepted.
#[derive(Debug, Clone)]
struct Accepted {
    id: String,
    skill: String,
    report: watch::Receiver<Option<Arc<Value>>>,
}

/// The runs that were accepted.
#[derive(Debug, Default)]
pub(crate) struct Running {
    runs: Mutex<VecDeque<Accepted>>,
}

/// The end at which a report is handed in.
#[derive(Debug)]
pub(crate) struct HandIn(watch::Sender<Option<Arc<Value>>>);

impl HandIn {
    /// Hands the report in, once.
    pub(crate) fn report(self, report: Value) {
        self.0.send_replace(Some(Arc::new(report)));
    }
}

impl Running {
    /// Accepts a run.
    ///
    /// # Errors
    /// Too many wait already.
    pub(crate) fn accept(&self, id: &str, skill: &str) -> Result<HandIn, AppError> {
        let mut runs = unpoisoned(&self.runs);
        // One whose work is gone without a report is over as well.
        let is_open =
            |run: &&Accepted| run.report.borrow().is_none() && run.report.has_changed().is_ok();
        let n_open = runs.iter().filter(is_open).count();
        if n_open >= MAX_OPEN {
            let message = format!("{MAX_OPEN} runs wait already");
            return Err(AppError::new("unavailable", message).hint("try again in a while"));
        }
        while runs.len() >= MAX_REPORTS + n_open {
            let Some(at) = runs.iter().position(|run| !is_open(&run)) else { break };
            runs.remove(at);
        }
        let (hand_in, report) = watch::channel(None);
        runs.push_back(Accepted { id: id.to_owned(), skill: skill.to_owned(), report });
        Ok(HandIn(hand_in))
    }

    /// Returns the skill of a run that was accepted here, and its report if it has ended.
    pub(crate) fn find(&self, id: &str) -> Option<(String, Option<Arc<Value>>)> {
        let runs = unpoisoned(&self.runs);
        let run = runs.iter().find(|run| run.id == id)?;
        let report = run.report.borrow().clone();
        Some((run.skill.clone(), report))
    }

    /// Waits for the report of a run, at most so long.
    pub(crate) async fn wait(&self, id: &str, at_most: Duration) -> Option<Arc<Value>> {
        let mut report = {
            let runs = unpoisoned(&self.runs);
            runs.iter().find(|run| run.id == id)?.report.clone()
        };
        let ended = tokio::time::timeout(at_most, report.wait_for(Option::is_some)).await;
        ended.ok()?.ok()?.clone()
    }
}
