//! Whether what a set rests on is still so, before any of it is written (design.md 2.3): everything
//! that it read or writes is read again and compared by value.

use std::sync::Arc;

use crate::change::{Change, ChangeSet, FieldConflict};
use crate::host::Failure;
use crate::host::apply::before_images;
use crate::host::apply::current::{Needs, Now};
use crate::host::apply::drift::{Check, check};
use crate::host::apply::outcome::{Outcome, failure};
use crate::host::run::rounds::{MAX_REPLAYS, Next, Tally, key, whole};
use crate::host::run::{Program, Run, interrupted};
use crate::model::PlanId;
use crate::policy::{Cleared, ClearedRest};

/// How a validation goes on.
pub(super) enum Validation {
    /// Nothing that counts has moved.
    Unchanged(ClearedRest),
    /// It was drafted or judged anew, on what is there now.
    Redrafted(Box<Cleared>),
    /// It is over; the report says what has come of it.
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
    pub(super) async fn validate(
        &mut self,
        tally: &mut Tally,
        cleared: &Cleared,
        rest: ClearedRest,
        program: Option<&Arc<dyn Program>>,
    ) -> Validation {
        let reads = self.session.read_set();
        let needs = Needs::of(rest.set().changes(), &reads, &self.session.state().snapshot);
        let read = tokio::select! {
            biased;
            () = self.host.interrupt.wait() => {
                self.conclude(tally, Some(interrupted()));
                return Validation::Ended;
            }
            read = Now::fetch(&self.host.client, needs) => read,
        };
        let mut now = match read {
            Ok(now) => now,
            Err(error) => {
                self.conclude(tally, Some(failure(&error)));
                return Validation::Ended;
            }
        };
        let checked = {
            let old = &self.session.state().snapshot;
            if self.session.facts().scope.is_some() {
                let known =
                    |id: &PlanId| old.plan(id).is_some_and(|it| self.session.in_scope(&it.value));
                now.keep_in_scope(known);
            }
            now.no_older_than(old);
            check(rest.set(), &reads, old, &now, &tally.written)
        };
        if checked.moved.is_empty() && checked.elsewhere.is_empty() {
            return self.rest_on(tally, rest, checked, now).await;
        }
        tally.conflicts += u64::try_from(checked.moved.len().max(1)).unwrap_or(1);
        let id = |n: usize| whole(cleared.set(), &rest, n).map(Change::id);
        let mut too_often = tally.anew > MAX_REPLAYS;
        for id in checked.moved.keys().filter_map(|n| id(*n)) {
            too_often |= tally.moved(key(&id));
        }
        for it in &checked.elsewhere {
            too_often |= tally.moved(it.key.clone());
        }
        let may_replay = !too_often && checked.moved.values().all(|it| it.may_replay);
        let program = program.filter(|_| may_replay);
        let nothing_moved = checked.moved.is_empty();
        if nothing_moved && program.is_none() && !too_often && tally.written.is_nothing() {
            // What a set rests on that was drafted before stands in it; the rest is what policies
            // looked at, and they look again.
            self.session.renew(now, &tally.written);
            self.session.forget_other_reads(cleared.set());
            return self.review_again(tally).await.into();
        }
        let Some(program) = program else {
            for (n, moved) in checked.moved {
                if let Some(id) = id(n) {
                    tally.outcomes.insert(id, moved.outcome());
                }
            }
            if let (true, Some(it)) = (nothing_moved, checked.elsewhere.into_iter().next())
                && let Some(id) = id(1)
            {
                let mut outcome = Outcome::conflict(it.fields);
                if let Some(error) = outcome.error.as_mut() {
                    error.message = it.message;
                }
                tally.outcomes.insert(id, outcome);
            }
            self.conclude(tally, None);
            return Validation::Ended;
        };
        let conflicts: Vec<(Change, Vec<FieldConflict>)> = checked
            .moved
            .into_iter()
            .filter_map(|(n, it)| Some((whole(cleared.set(), &rest, n)?.clone(), it.fields)))
            .collect();
        self.session.renew(now, &tally.written);
        self.replay(tally, program, &conflicts).await.into()
    }

    /// Rests the set on what is there now, where nothing that counts has moved.
    async fn rest_on(
        &mut self,
        tally: &mut Tally,
        mut rest: ClearedRest,
        checked: Check,
        now: Now,
    ) -> Validation {
        // What no one looked at has moved: nothing is against it, but it is judged as it is now.
        if !checked.is_same && tally.written.is_nothing() && tally.anew <= MAX_REPLAYS {
            self.session.renew(now, &tally.written);
            self.session.rest_on(&checked.set);
            return self.review_again(tally).await.into();
        }
        // In the middle of writing it goes out on the tags that its parts rest on.
        let set = if checked.is_same { checked.set } else { rest.set().clone() };
        let mut changes = set.changes().to_vec();
        if self.record.is_some()
            && let Err(error) = before_images::keep(&self.host.client, &mut changes, &now).await
        {
            self.conclude(tally, Some(failure(&error)));
            return Validation::Ended;
        }
        rest.advance(ChangeSet::numbered(changes));
        Validation::Unchanged(rest)
    }

    /// Rests a set that was drafted a while ago on what is there now.
    ///
    /// # Errors
    /// What it read or writes has moved, or could not be read: what there is to say of it.
    pub(super) async fn refresh(
        &self,
        set: &ChangeSet,
    ) -> Result<ChangeSet, Box<(Tally, Option<Failure>)>> {
        let mut tally = Tally::default();
        // Of a set from a file only what stands in it is known.
        let reads = self.session.read_set();
        let needs = Needs::of(set.changes(), &reads, &self.session.state().snapshot);
        let read = tokio::select! {
            biased;
            () = self.host.interrupt.wait() => return Err(Box::new((tally, Some(interrupted())))),
            read = Now::fetch(&self.host.client, needs) => read,
        };
        let now = match read {
            Ok(now) => now,
            Err(error) => return Err(Box::new((tally, Some(failure(&error))))),
        };
        let checked = {
            let old = &self.session.state().snapshot;
            check(set, &reads, old, &now, &tally.written)
        };
        if checked.moved.is_empty() && checked.elsewhere.is_empty() {
            self.session.renew(now, &tally.written);
            return Ok(checked.set);
        }
        tally.conflicts = u64::try_from(checked.moved.len().max(1)).unwrap_or(u64::MAX);
        let elsewhere: Vec<String> = checked.elsewhere.into_iter().map(|it| it.message).collect();
        let nothing_moved = checked.moved.is_empty();
        if let (true, Some(first)) = (nothing_moved, set.changes().first()) {
            tally.outcomes.insert(first.id(), Outcome::conflict(Vec::new()));
        }
        for (n, moved) in checked.moved {
            if let Some(change) = set.changes().get(n.saturating_sub(1)) {
                tally.outcomes.insert(change.id(), moved.outcome());
            }
        }
        // Whoever decides is told of all that has moved, of what they only looked at, too.
        let told = tally.outcomes.values_mut().find_map(|it| it.error.as_mut());
        if let (Some(error), false) = (told, elsewhere.is_empty()) {
            let own = (!nothing_moved).then(|| error.message.clone());
            error.message = own.into_iter().chain(elsewhere).collect::<Vec<_>>().join("; ");
        }
        Err(Box::new((tally, None)))
    }
}
