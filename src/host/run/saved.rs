//! Runs of sets that were drafted before: saved in a file, pending at a prompt, or left over from a
//! run that was cut off.

use crate::change::{Change, ChangeSet, Draft, Edit, Saved, Write, saved};
use crate::host::apply::outcome::failure as from_graph;
use crate::host::error::Error;
use crate::host::failure::Failure;
use crate::host::record::Origin;
use crate::host::recover::resume::Restored;
use crate::host::report::Status;
use crate::host::run::Run;
use crate::host::run::grounds::Grounds;
use crate::host::session::core::Session;
use crate::host::start::{Finished, Host, Start};
use crate::journal::{Purpose, RunId};
use crate::model::snapshot::Snapshot;
use crate::model::{ETag, Versioned};

impl Host {
    /// Applies a saved set: rebases it on the present board, judges it by the policies in force
    /// now, then applies it. Deletions must be granted again: a file grants nothing.
    #[tracing::instrument(name = "run", skip_all, fields(run_id, skill, agent, status))]
    pub async fn apply_saved(&self, saved: Saved, mut start: Start) -> Finished {
        start.purpose = Purpose::Apply;
        let (here, there) = (&self.service, &saved.service);
        // The ids and tags of one service mean nothing on another.
        if here != there {
            let mut run = match self.open(start).await {
                Ok(run) => run,
                Err(finished) => return *finished,
            };
            run.fail(Failure {
                code: "other_service".into(),
                message: format!("the change set was drafted against {there}, but this is {here}"),
                hint: Some(
                    "name the service it was drafted against: --graph-url or --profile".into(),
                ),
                ..Failure::default()
            });
            return run.finish().await;
        }
        let takes_up = Some(saved.digest.clone());
        // What is only looked at is carried out by nobody.
        let parent = RunId::parse(&saved.run_id).ok().filter(|_| !start.dry_run);
        let origin = Origin { parent, takes_up, ..Origin::default() };
        let grounds = Grounds::of_saved(saved.reads);
        self.apply_on(origin, start, saved.change_set, None, Some(grounds)).await
    }

    /// Applies a set that was drafted outside a run, as `start` says.
    #[tracing::instrument(name = "run", skip_all, fields(run_id, skill, agent, status))]
    pub async fn apply_drafted(&self, start: Start, set: ChangeSet) -> Finished {
        self.apply_on(Origin::default(), start, set, None, None).await
    }

    /// Applies a set that was drafted before: rebases it on the present board, judges it, applies
    /// it. The reads of the session that drafted it count as in a run.
    #[tracing::instrument(name = "run", skip_all, fields(run_id, skill, agent, status))]
    pub(crate) async fn apply_set(
        &self,
        origin: Origin,
        start: Start,
        set: ChangeSet,
        drafted_in: Option<&Session>,
    ) -> Finished {
        self.apply_on(origin, start, set, drafted_in, None).await
    }

    /// Applies a set that was drafted in a session, or decided on saved grounds.
    async fn apply_on(
        &self,
        origin: Origin,
        start: Start,
        set: ChangeSet,
        drafted_in: Option<&Session>,
        grounds: Option<Grounds>,
    ) -> Finished {
        let mut run = match self.open(start).await {
            Ok(run) => run,
            Err(finished) => return *finished,
        };
        run.origin = origin;
        // Before anything is compared, so that a set which no longer fits the board is on record.
        if let Err(failure) = run.begin_record(!set.is_empty()).await {
            run.fail(failure);
            return run.finish().await;
        }
        // Drafted where the beta was in use: elsewhere the service would refuse it halfway.
        if !run.session.facts().beta && set.changes().iter().any(Change::needs_beta) {
            run.fail(Failure::from(Error::NeedsBeta("this change set")));
            return run.finish().await;
        }
        // The same goes for a chat, which is for users only (planner-api.md 2.9).
        let has_comments = set.changes().iter().any(|it| matches!(it.write, Write::Comment(_)));
        if run.session.facts().is_application && has_comments {
            run.fail(Failure::from(Error::NeedsUser("a comment on a task")));
            return run.finish().await;
        }
        run.grounds.extend(grounds);
        run.apply_loaded(set, drafted_in).await;
        run.finish().await
    }

    /// Carries on a run from the journal: settles the requests in doubt, then applies the rest.
    #[tracing::instrument(name = "run", skip_all, fields(run_id, skill, agent, status))]
    pub(crate) async fn resume_restored(
        &self,
        origin: Origin,
        start: Start,
        mut restored: Restored,
    ) -> Finished {
        let mut run = match self.open(start).await {
            Ok(run) => run,
            Err(finished) => return *finished,
        };
        run.origin = origin;
        let recorded = run.begin_record(true).await;
        // Settled first: what is left depends on what proves to be written already.
        let settled = match recorded {
            Ok(()) => run.settle(&mut restored).await,
            Err(failure) => Err(failure),
        };
        let left = match settled {
            Ok(()) => restored.left(&self.client).await.map_err(|error| from_graph(&error)),
            Err(failure) => Err(failure),
        };
        match left {
            Ok(left) => {
                // By these numbers a later resume finds the changes in the journal again.
                run.numbers = left.changes().iter().map(|change| (change.id(), change.n)).collect();
                run.made = restored.ledger.ids().clone();
                run.apply_loaded(left, None).await;
            }
            Err(failure) => run.fail(failure),
        }
        run.report_in_doubt(&restored);
        // All of it is on the board, though the process that wrote the last of it could not say so.
        let is_whole = run.report.status == Status::NoChanges && run.report.changes.is_empty();
        if is_whole && restored.cut_off && !run.start.dry_run {
            run.report.status = Status::Applied;
        }
        run.stay_unfinished();
        run.finish().await
    }
}

impl Run<'_> {
    /// Loads a set that was drafted before, rebases it on the present board, and applies it.
    async fn apply_loaded(&mut self, set: ChangeSet, drafted_in: Option<&Session>) {
        self.take_up(&set, drafted_in);
        let named = set.clone();
        let learn = move |session: &Session| {
            named.changes().iter().for_each(|change| session.learn_names(change, change.plan()));
            Ok(())
        };
        // Where names cannot be read, ids are shown.
        let _shown_as_id = self.host.on_thread(&self.session, learn).await;
        match self.refresh(&set).await {
            Err(tally) => {
                self.show(&set, None);
                self.conclude(&tally.0, tally.1);
            }
            Ok(left) if left.is_empty() && !set.is_empty() => {
                self.session.state().draft = Draft::default();
                self.review_and_apply(None).await;
            }
            Ok(set) => {
                self.session.rest_on(&set);
                self.review_and_apply(None).await;
            }
        }
    }

    /// Loads a set that was drafted before, as if the session had just drafted it.
    pub(super) fn take_up(&self, set: &ChangeSet, drafted_in: Option<&Session>) {
        let drafted_on =
            drafted_in.map(|session| (session.reads(), session.state().snapshot.clone()));
        let mut state = self.session.state();
        state.draft = Draft::of_set(set);
        if let Some((reads, snapshot)) = drafted_on {
            (state.reads, state.snapshot) = (reads, snapshot);
        }
        let mut rests_on = Snapshot::default();
        for change in set.changes() {
            match &change.write {
                Write::Plan(edit) => {
                    let (Edit::Update { before, basis, .. } | Edit::Delete { before, basis }) =
                        &**edit
                    else {
                        continue;
                    };
                    let read = Versioned::new(before.clone(), basis.clone());
                    rests_on.add_plan(before.id.clone(), read);
                }
                Write::PlanDetails { plan, edit: Edit::Update { before, basis, .. }, .. } => {
                    let read = Versioned::new(before.clone(), basis.clone());
                    rests_on.add_plan_details(plan.clone(), read);
                }
                Write::Bucket(
                    Edit::Update { before, basis, .. } | Edit::Delete { before, basis },
                ) => {
                    let read = Versioned::new(before.clone(), basis.clone());
                    rests_on.add_bucket(before.id.clone(), read);
                }
                Write::Task(edit) => {
                    let (Edit::Update { before, basis, .. } | Edit::Delete { before, basis }) =
                        &**edit
                    else {
                        continue;
                    };
                    let id = before.task.id.clone();
                    let read = Versioned::new(before.task.clone(), basis.task.clone());
                    rests_on.add_task(id.clone(), read);
                    if let Some(details) = &before.details {
                        // Details known to be empty have no tag of their own: theirs is older than
                        // any.
                        let none = || ETag::new(String::new());
                        let tag = basis.details.clone().unwrap_or_else(none);
                        let read = Versioned::new(details.clone(), tag);
                        rests_on.add_details(id.clone(), read);
                    }
                    for (board, tag) in &basis.places {
                        let place = before.places.get(board).cloned().unwrap_or_default();
                        let read = Versioned::new(place, tag.clone());
                        rests_on.add_place(id.clone(), *board, read);
                    }
                }
                Write::PlanDetails { .. } | Write::Bucket(_) | Write::Comment(_) => {}
            }
        }
        // Whatever the session has read since: the changes rest on these states.
        state.snapshot.adopt(rests_on);
        // Counting a read takes the same lock.
        drop(state);
        self.session.count_reads_of(set);
    }

    pub(super) fn to_save(&self, set: &ChangeSet) -> Saved {
        Saved {
            format: saved::FORMAT,
            run_id: self.report.run_id.clone(),
            created_at: self.session.facts().now,
            service: self.host.service.clone(),
            actor: self.session.facts().me.id.clone(),
            agent: self.session.facts().agent.clone(),
            agent_plans: self.start.agent.as_ref().and_then(|agent| agent.plans.clone()),
            agent_may_apply: self.start.agent.as_ref().is_none_or(|agent| agent.may_apply),
            skill: self.start.skill.clone(),
            skill_digest: self.start.skill_digest.clone(),
            force: self.start.force,
            change_set: set.clone(),
            reads: Grounds::to_save(&self.drafted_on, &self.session.state().snapshot),
            digest: String::new(),
            seal: String::new(),
        }
        .with_digest()
    }
}
