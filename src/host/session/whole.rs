//! The run as a whole: what judges it after a `commit()` sees the board as it was when the run
//! began, and what all steps together do to each entity (design.md 2.2).

use crate::change::whole::{Step, whole};
use crate::change::{ChangeSet, Draft};
use crate::host::error::Error;
use crate::host::session::core::State;
use crate::host::session::core::{Session, View};

impl Session {
    /// Returns the board as it was when the run began, under what the run does as a whole, with
    /// that; `None` where nothing was committed, and both are as they are.
    ///
    /// What is read there is not part of what the set rests on: that is, what the same judges read
    /// on the board of today.
    ///
    /// # Errors
    /// The lists that the earlier steps changed cannot be read.
    pub fn whole(&self, now: &ChangeSet) -> Result<Option<(Self, ChangeSet)>, Error> {
        let segments = self.segments();
        if segments.is_empty() {
            return Ok(None);
        }
        let made = self.state().made.clone();
        let steps: Vec<Step> = segments
            .iter()
            .map(|(_, set)| Step::new(set, &made))
            .collect::<Result<_, _>>()
            .map_err(|error| Error::Invalid(format!("an earlier step cannot be read: {error}")))?;
        let board = self.seen(View::Before);
        for plan in steps.iter().flat_map(Step::relisted) {
            // Only a list that is read here can be set back; one of a plan that is gone is empty.
            match board.peek_tasks(plan).and_then(|_| board.peek_buckets(plan)) {
                Err(error) if !error.is_not_found() => return Err(error),
                _ => {}
            }
        }
        let mut snapshot = self.state().snapshot.clone();
        // From the last step to the first: what is oldest stays.
        for (step, (then, _)) in steps.iter().zip(&segments).rev() {
            snapshot.without(step, &then.state().snapshot);
        }
        let set = whole(&steps, now);
        let state = self.state().clone();
        let draft = Draft::of_set(&set);
        let state = State { snapshot, draft, segments: Vec::new(), ..state };
        Ok(Some((self.apart(state), set)))
    }
}
