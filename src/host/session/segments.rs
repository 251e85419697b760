//! The seam between segments: from one commit, or one line of a person, to the next.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use crate::change::ChangeSet;
use crate::host::error::Error;
use crate::host::query::{Query, Response};
use crate::host::session::core::Session;
use crate::host::session::core::{MAX_COMMITS, Shared};
use crate::host::session::core::{Savepoint, State};
use crate::host::stop::StopReason;

impl Session {
    /// Applies the draft so far, and goes on: what comes next is read again and is judged together
    /// with this.
    ///
    /// # Errors
    /// It was refused, or could not be applied: the run is over.
    pub fn commit(&self) -> Result<(), Error> {
        self.check_writable()?;
        self.count_commit()?;
        let is_remote = self.facts().remote;
        let wanted = is_remote.then(|| Box::new(self.wanted()));
        let got = self.ask_to_commit(Query::Commit(wanted))?;
        if is_remote {
            // The output so far went along with the draft.
            let mut state = self.state();
            state.output.clear();
            state.warnings.clear();
            drop(state);
            if let Response::Committed(Some(made)) = got {
                self.begin_segment(made);
            }
        }
        Ok(())
    }

    /// Asks the run to apply the draft so far.
    pub(crate) fn ask_to_commit(&self, commit: Query) -> Result<Response, Error> {
        self.ask(commit).map_err(|error| match error {
            Error::ReadOnly => Error::Invalid(
                "commit() is for runs: nothing is written here until you say so".into(),
            ),
            other => other,
        })
    }

    pub(crate) fn count_commit(&self) -> Result<(), Error> {
        let n = {
            let mut state = self.state();
            state.n_commits += 1;
            state.n_commits
        };
        if n > MAX_COMMITS {
            self.stop.set(StopReason::Budget("commits", MAX_COMMITS.to_string()));
        }
        self.check_stop()
    }

    /// Prepares for what comes after a commit.
    pub(crate) fn begin_segment(&self, made: BTreeMap<String, String>) {
        self.drop_edits();
        self.drop_snapshot();
        self.state().made.extend(made);
    }

    /// Returns the present board, separated: later changes of this session do not show there.
    pub(crate) fn frozen(&self) -> Self {
        let mut state = self.state().clone();
        state.segments.clear();
        self.apart(state)
    }

    /// Returns a session with a state of its own.
    pub(in crate::host::session) fn apart(&self, state: State) -> Self {
        let shared = Shared {
            facts: self.facts().clone(),
            state: Mutex::new(state),
            waited: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            asks: self.shared.asks.clone(),
            history: self.shared.history.clone(),
            listener: OnceLock::new(),
        };
        Self { shared: Arc::new(shared), ..self.clone() }
    }

    /// Returns the sets that the run has applied in earlier segments, each with the board of its
    /// time.
    #[must_use]
    pub fn segments(&self) -> Vec<(Self, Arc<ChangeSet>)> {
        self.state().segments.clone()
    }

    /// Saves the present draft, and starts counting queries and output from zero.
    pub(crate) fn savepoint(&self) -> Savepoint {
        self.shared.asked.store(0, Ordering::Relaxed);
        let mut state = self.state();
        (state.output, state.warnings) = Default::default();
        Savepoint { draft: state.draft.clone(), reads: state.reads.clone() }
    }

    /// Restores a saved draft; what was read and printed since stays.
    pub(crate) fn back_to(&self, savepoint: Savepoint) {
        let mut state = self.state();
        let Savepoint { draft, reads } = savepoint;
        // Provisional ids of what is forgotten are not given out again: a person may have seen
        // them.
        let n_created = state.draft.n_created();
        state.draft = draft;
        state.draft.count_from(n_created);
        state.reads = reads;
    }

    /// Empties the draft.
    pub(crate) fn drop_edits(&self) {
        let mut state = self.state();
        state.draft = state.draft.next_segment();
        state.reads.clear();
        let edited = std::mem::take(&mut state.edited);
        state.edited_earlier.extend(edited);
    }

    /// Forgets what was read of the board, except for people.
    pub(crate) fn drop_snapshot(&self) {
        let mut state = self.state();
        state.snapshot = state.snapshot.people();
        state.keys.clear();
        state.reads.clear();
    }
}
