//! Validation of a set before any of it is written (design.md 2.3): everything that it read or
//! writes is read again and compared by value.

use std::sync::Arc;

use crate::change::{Change, ChangeSet, FieldConflict};
use crate::host::apply::before_images;
use crate::host::apply::drift::{Drift, is_there};
use crate::host::apply::outcome::{Outcome, failure};
use crate::host::failure::Failure;
use crate::host::failure::interrupted;
use crate::host::run::Run;
use crate::host::run::grounds::Grounds;
use crate::host::run::rounds::{MAX_REPLAYS, Next, Tally, key};
use crate::host::session::refresh::{Refreshed, Reread};
use crate::host::start::Program;
use crate::policy::Cleared;

/// The result of a validation.
pub(super) enum Validation {
    /// Nothing that counts has moved.
    Unchanged,
    /// The set, redrafted or judged again on the present board.
    Redrafted(Box<Cleared>),
    /// The end; the report has the outcome.
    Ended,
}

impl From<Next> for Validation {
    fn from(next: Next) -> Self {
        match next {
            Next::Continue(cleared) => Self::Redrafted(cleared),
            Next::Done => Self::Ended,
        }
    }
}

impl Run<'_> {
    /// Reads again what a set rests on. What the run itself has written is set back in it.
    async fn refreshed(&self, tally: &Tally, set: &ChangeSet) -> Result<Refreshed, Failure> {
        let left: Vec<Change> =
            set.changes().iter().filter(|change| tally.ledger.leaves(change)).cloned().collect();
        let mut now = tokio::select! {
            biased;
            () = self.host.interrupt.wait() => return Err(interrupted()),
            read = self.session.refreshed(&self.host.client, &left, self.rereads()) => {
                read.map_err(|error| failure(&error))?
            }
        };
        // The run's own writes are no move by somebody else.
        now.snapshot.without(&tally.ledger, &self.session.state().snapshot);
        Ok(now)
    }

    fn drift(&self, tally: &Tally, set: &ChangeSet, now: &Refreshed) -> Drift {
        let mut drift = {
            let state = self.session.state();
            Drift::from_boards(set, &state.reads, &state.snapshot, &now.snapshot, &tally.ledger)
        };
        drift
            .elsewhere
            .extend(self.grounds.iter().flat_map(|grounds| grounds.moved(&now.snapshot)));
        drift
    }

    fn rereads(&self) -> Vec<Reread> {
        self.grounds.iter().flat_map(Grounds::rereads).collect()
    }

    pub(super) async fn validate(
        &mut self,
        tally: &mut Tally,
        cleared: &mut Cleared,
        program: Option<&Arc<dyn Program>>,
    ) -> Validation {
        let now = match self.refreshed(tally, cleared.set()).await {
            Ok(now) => now,
            Err(failure) => {
                self.conclude(tally, Some(failure));
                return Validation::Ended;
            }
        };
        let drift = self.drift(tally, cleared.set(), &now);
        if drift.is_none() {
            return self.rest_on(tally, cleared, drift, now).await;
        }
        tally.conflicts += u64::try_from(drift.moved.len().max(1)).unwrap_or(1);
        // A board that never rests must not keep the run going for ever.
        let mut too_often = tally.redrafts > MAX_REPLAYS;
        for change in drift.moved.keys().filter_map(|n| cleared.set().change(*n)) {
            too_often |= tally.moved(key(&change.id()));
        }
        for moved in &drift.elsewhere {
            too_often |= tally.moved(format!("{:?}", moved.read));
        }
        let may_replay = !too_often && drift.moved.values().all(|drifted| drifted.may_replay);
        let program = program.filter(|_| may_replay);
        let only_policies = drift.moved.is_empty()
            && self.grounds.iter().all(|grounds| grounds.moved(&now.snapshot).next().is_none())
            && drift.elsewhere.iter().all(|moved| !self.drafted_on.contains(&moved.read));
        if only_policies && program.is_none() && !too_often && tally.ledger.is_blank() {
            // Only reads of policies have moved: they judge again, and no program needs to decide
            // again.
            self.session.adopt(now, &tally.ledger);
            // Or else what a policy asked before, and now no longer asks, would go on to count.
            self.session.keep_reads(&self.drafted_on);
            return self.review_again(tally).await.into();
        }
        let Some(program) = program else {
            Self::tally_drift(tally, cleared.set(), drift);
            self.conclude(tally, None);
            return Validation::Ended;
        };
        let conflicts: Vec<(Change, Vec<FieldConflict>)> = drift
            .moved
            .into_iter()
            .filter_map(|(n, drifted)| Some((cleared.set().change(n)?.clone(), drifted.fields)))
            .collect();
        self.session.adopt(now, &tally.ledger);
        self.replay(tally, program, &conflicts).await.into()
    }

    /// Enters what has moved as the outcomes of the changes.
    fn tally_drift(tally: &mut Tally, set: &ChangeSet, drift: Drift) {
        // The report lists all that has moved, including what was only read.
        let elsewhere: Vec<String> =
            drift.elsewhere.iter().map(|moved| moved.message.clone()).collect();
        let mut outcomes: Vec<_> = drift
            .moved
            .into_iter()
            .filter_map(|(n, drifted)| Some((set.change(n)?.id(), drifted.outcome())))
            .collect();
        if outcomes.is_empty()
            && let Some(first) = set.changes().first()
        {
            let fields =
                drift.elsewhere.into_iter().next().map(|moved| moved.fields).unwrap_or_default();
            let mut outcome = Outcome::conflict(fields);
            if let Some(error) = outcome.error.as_mut() {
                error.message = elsewhere.join("; ");
            }
            outcomes.push((first.id(), outcome));
        } else if let Some(error) =
            outcomes.first_mut().and_then(|outcome| outcome.1.error.as_mut())
            && !elsewhere.is_empty()
        {
            error.message = format!("{}; {}", error.message, elsewhere.join("; "));
        }
        tally.outcomes.extend(outcomes);
    }

    /// Rebases the set on the present board, where nothing that counts has moved.
    async fn rest_on(
        &mut self,
        tally: &mut Tally,
        cleared: &mut Cleared,
        drift: Drift,
        now: Refreshed,
    ) -> Validation {
        // Something moved that nobody read. No conflict, but the set is judged as it is now.
        if !drift.is_same && tally.ledger.is_blank() && tally.redrafts <= MAX_REPLAYS {
            self.session.adopt(now, &tally.ledger);
            self.session.rest_on(&drift.set);
            return self.review_again(tally).await.into();
        }
        // In the middle of writing, it goes out on the tags that its parts rest on.
        let set = if drift.is_same { drift.set } else { cleared.set().clone() };
        let mut changes = set.changes().to_vec();
        // Only what is on record can be undone, so without a record no image is needed.
        if self.record.is_some() {
            let mut left: Vec<&mut Change> =
                changes.iter_mut().filter(|change| tally.ledger.leaves(change)).collect();
            let kept = before_images::keep(&self.host.client, &mut left, &now.snapshot).await;
            // A deletion without its before-image could not be taken back, so it is not sent.
            if let Err(error) = kept {
                self.conclude(tally, Some(failure(&error)));
                return Validation::Ended;
            }
        }
        // The clearance still holds: `advance` takes only a set that wants the same.
        cleared.advance(ChangeSet::in_this_order(changes));
        Validation::Unchanged
    }

    /// Rebases a set that was drafted some time ago on the present board. One that was saved, and
    /// all of which somebody has done since, comes back empty: whoever approved it has what they
    /// saw.
    ///
    /// # Errors
    /// Its reads or its entities have moved, or could not be read: the tally says which.
    pub(super) async fn refresh(
        &self,
        set: &ChangeSet,
    ) -> Result<ChangeSet, Box<(Tally, Option<Failure>)>> {
        let mut tally = Tally::default();
        let now = match self.refreshed(&tally, set).await {
            Ok(now) => now,
            Err(failure) => return Err(Box::new((tally, Some(failure)))),
        };
        let drift = self.drift(&tally, set, &now);
        if drift.is_none() {
            self.session.adopt(now, &tally.ledger);
            return Ok(drift.set);
        }
        if self.origin.takes_up.is_some() && is_there(set, &now.snapshot) {
            return Ok(ChangeSet::default());
        }
        tally.conflicts = u64::try_from(drift.moved.len().max(1)).unwrap_or(u64::MAX);
        Self::tally_drift(&mut tally, set, drift);
        Err(Box::new((tally, None)))
    }
}
