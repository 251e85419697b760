//! The run as a whole, for judges after a `commit()`: the board as it was when the run began, and
//! what all steps together do to each entity (design.md 2.2).

use crate::change::whole::{Step, whole};
use crate::change::{ChangeSet, Draft};
use crate::host::error::Error;
use crate::host::session::core::State;
use crate::host::session::core::{Session, View};

impl Session {
    /// Returns the board as it was when the run began, under the changes of the whole run, with
    /// those; `None` if nothing was committed, as the present board and set are the whole then.
    ///
    /// Reads on that board are no grounds of the set: the same judges read the same on the present
    /// board, and that counts.
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
            // Only a list that was read here can be set back; that of a deleted plan is empty.
            match board.peek_tasks(plan).and_then(|_| board.peek_buckets(plan)) {
                Err(error) if !error.is_not_found() => return Err(error),
                _ => {}
            }
        }
        let mut snapshot = self.state().snapshot.clone();
        // From the last step to the first, so that the oldest state remains.
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
