//! The verdicts of a policy, kept out of its reach.

use std::sync::{Arc, Mutex, PoisonError};

use crate::policy::{RuleLine, Ruling, Saw, Verdict};
use crate::script::syntax::location::Sources;

/// The verdicts of a policy so far.
#[derive(Debug, Default)]
pub(crate) struct Verdicts {
    source: String,
    /// The policy's file and the texts it is made of, to show the line that gave a verdict.
    pub(crate) file: String,
    pub(crate) sources: Arc<Sources>,
    state: Mutex<Given>,
}

impl Verdicts {
    pub(crate) fn new(source: String, file: String, sources: Arc<Sources>) -> Self {
        Self { source, file, sources, ..Self::default() }
    }

    /// Sets which change is judged next, and whether in the run as a whole, of which remarks were
    /// made before.
    pub(crate) fn judge(&self, change: Option<usize>, of_whole: bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state.change, state.of_whole) = (change, of_whole);
    }

    pub(crate) fn give(&self, verdict: Verdict, reason: &str, at: Option<RuleLine>, saw: Vec<Saw>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let reason = if reason.trim().is_empty() { "it gives no reason" } else { reason };
        let reason: String = reason.chars().take(1000).collect();
        let source = self.source.clone();
        if state.of_whole && verdict < Verdict::Hold {
            return;
        }
        let ruling = Ruling { source, verdict, change: state.change, reason, at, saw };
        let same = |other: &Ruling| {
            (other.verdict, other.change, &other.reason)
                == (ruling.verdict, ruling.change, &ruling.reason)
        };
        if state.rulings.len() < MAX_RULINGS && !state.rulings.iter().any(same) {
            state.rulings.push(ruling);
            if state.rulings.len() == MAX_RULINGS {
                // No further verdict is kept; this one is as strict as any of them could be.
                let reason = format!("it gives more than {MAX_RULINGS} verdicts");
                state.rulings.push(Ruling::deny(&self.source, None, reason));
            }
        }
    }

    pub(crate) fn take(&self) -> Vec<Ruling> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut state.rulings)
    }
}

/// The verdicts given, and what is being judged.
#[derive(Debug, Default)]
pub(crate) struct Given {
    /// The number of the change that is being judged; `None` for the set.
    change: Option<usize>,
    /// True while the run is judged as a whole, where only what stops it counts.
    of_whole: bool,
    rulings: Vec<Ruling>,
}

/// The most verdicts a policy gives: more than one for each edit of a run at the default limits.
pub(crate) const MAX_RULINGS: usize = 5_000;
