//! The judgement of a draft by host rules and policies, on the board as it was read.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::change::{ChangeSet, Saved};
use crate::host::failure::{Failure, interrupted};
use crate::host::report::Status;
use crate::host::run::Run;
use crate::host::run::approver::Decision;
use crate::host::session::core::{Session, View};
use crate::host::session::names::names;
use crate::host::start::{Agent, Program};
use crate::journal::Judgement;
use crate::journal::kept::{KeptState, digest_as_shown};
use crate::model::PlanId;
use crate::policy::{
    AgentGrants, Cleared, Grants, Reviewed, Ruling, Spent, Verdict, keep_titles, review,
};

impl Run<'_> {
    pub(super) async fn review_and_apply(&mut self, program: Option<&Arc<dyn Program>>) {
        let set = self.change_set();
        self.report.names = names(&self.session, &set);
        if set.is_empty() {
            self.report.status = Status::NoChanges;
            self.judged(&set, Judgement::NoChanges).await;
            return;
        }
        let (named, known) = (set.clone(), self.report.names.clone());
        let learn = move |session: &Session| {
            session.learn_missing(&named, &known);
            Ok(())
        };
        // Where names cannot be read, ids are shown.
        let _shown_as_id = self.host.on_thread(&self.session, learn).await;
        self.report.names = names(&self.session, &set);
        // Before the policies judge: from then on their reads are among those of the session.
        self.drafted_on = self.session.reads();
        let drafted = set.clone();
        let reviewed = self.review(set).await;
        // A policy that was interrupted has denied (R7); a stop must not be reported as a refusal.
        if self.host.interrupt.is_set() {
            self.fail(interrupted());
            return;
        }
        self.show_reviewed(&reviewed);
        // Saved without the reads of the policies: they judge again before it is applied.
        let saved = self.to_save(&drafted);
        match reviewed.clear() {
            Some(_) if self.start.dry_run => {
                self.report.status = Status::Previewed;
                self.judged(reviewed.set(), Judgement::Previewed).await;
                self.keep(&saved, KeptState::Previewed).await;
                self.saved = Some(saved);
            }
            Some(cleared) => self.carry_out(Box::new(cleared), program).await,
            None => match self.decide(&reviewed) {
                Ok((cleared, decision)) => {
                    // Nothing is written on a word that is on no record.
                    match self.approved(decision, reviewed.set()).await {
                        Ok(()) => self.carry_out(Box::new(cleared), program).await,
                        Err(failure) => self.fail(failure),
                    }
                }
                Err(_) if self.host.interrupt.is_set() => self.fail(interrupted()),
                Err((status, judgement)) => {
                    self.report.status = status;
                    self.judged(reviewed.set(), judgement).await;
                    if judgement == Judgement::Held && !self.start.dry_run {
                        self.keep(&saved, KeptState::Pending).await;
                    }
                    self.saved = Some(saved).filter(|_| judgement == Judgement::Held);
                }
            },
        }
    }

    /// Returns a refused set cleared by a person's word; or else how the run ends.
    pub(super) fn decide(
        &self,
        reviewed: &Reviewed,
    ) -> Result<(Cleared, Decision), (Status, Judgement)> {
        let denied = (Status::Denied, Judgement::Denied);
        if reviewed.verdict() != Verdict::Hold {
            return Err(denied);
        }
        if self.start.dry_run {
            return Err((Status::Held, Judgement::Held));
        }
        // A person may take their time; the runtime must not wait for them on this thread.
        let digest = self.digest_as_shown(reviewed.set());
        let ask = || self.host.approver.decide(&self.report, &digest);
        match tokio::task::block_in_place(ask) {
            decision @ (Decision::Approved | Decision::Before) => {
                reviewed.approve().map(|cleared| (cleared, decision)).ok_or(denied)
            }
            Decision::Refused => Err(denied),
            Decision::Later => Err((Status::Held, Judgement::Held)),
        }
    }

    /// Records that a person approves a set now; an earlier word is on record already.
    pub(super) async fn approved(
        &self,
        decision: Decision,
        set: &ChangeSet,
    ) -> Result<(), Failure> {
        let Some(record) = self.record.as_ref().filter(|_| decision == Decision::Approved) else {
            return Ok(());
        };
        let by = self.session.facts().me.clone();
        record.approved(&by, self.digest_as_shown(set)).await
    }

    /// Returns the digest of a set with the reasons for which this run holds it.
    fn digest_as_shown(&self, set: &ChangeSet) -> String {
        let holds = self.report.verdicts.iter().filter(|ruling| ruling.verdict == Verdict::Hold);
        digest_as_shown(set, holds.map(|ruling| (ruling.change, ruling.reason.as_str())))
    }

    /// Keeps the set of this run: until a person decides, or it is applied as it was shown.
    pub(super) async fn keep(&mut self, saved: &Saved, state: KeptState) {
        let Some(record) = &self.record else { return };
        let expires = (state == KeptState::Pending).then_some(self.host.approval_time);
        let digest = self.digest_as_shown(&saved.change_set);
        match record.keep(saved, (state, digest), expires).await {
            Ok(()) if state == KeptState::Pending => {
                self.report.pending = Some(self.report.run_id.clone());
            }
            Ok(()) => {}
            Err(failure) if state == KeptState::Pending => {
                self.report.warnings.push(format!("it cannot wait: {}", failure.message));
            }
            // A preview can still be saved to a file.
            Err(_) => {}
        }
    }

    /// Judges a set by host rules and policies; the latter on their own thread, with their own
    /// stop.
    pub(super) async fn review(&self, set: ChangeSet) -> Reviewed {
        // A policy over its budget must end as a denial, not as a stop of the run.
        let session = self.session.with_own_stop().seen(View::Before);
        let (judge, start) = (Arc::clone(&self.host.judge), Arc::clone(&self.start));
        let outcome = self
            .host
            .on_thread(&session, move |session| {
                let rulings = judge.judge(session, &set, &start);
                let plans: BTreeSet<PlanId> = set
                    .changes()
                    .iter()
                    .flat_map(|change| [Some(change.plan()), change.moves_to()])
                    .flatten()
                    // Peeked: what the host looks up for itself is not part of the decision.
                    .filter(|id| session.peek_plan(id).is_ok_and(|plan| session.in_scope(&plan)))
                    .cloned()
                    .collect();
                Ok((rulings, plans))
            })
            .await;
        // Anything that goes wrong while judging denies (R7).
        let (rulings, plans) = outcome.unwrap_or_else(|failure| {
            let reason = format!("the policies could not judge: {}", failure.message);
            (vec![Ruling::deny("host R7", None, reason)], BTreeSet::new())
        });
        let agent = self.start.agent.as_ref();
        let mut rulings = rulings;
        if let Some(agent) = agent {
            let titles = self.session.facts().named.titles();
            rulings.extend(keep_titles(&self.change_set(), &agent.name, &titles));
        }
        let spent = match agent {
            Some(agent) => self.spent(agent).await.unwrap_or_else(|failure| {
                let what = failure.message;
                let reason = format!("what the agent has done today is not known: {what}");
                rulings.push(Ruling::deny("host R5", None, reason));
                Spent::default()
            }),
            None => Spent::default(),
        };
        let grants = Grants {
            force: self.start.force || agent.is_some_and(|agent| agent.force),
            dry_run: self.start.dry_run,
            agent: agent.map(|agent| AgentGrants {
                name: agent.name.clone(),
                plans: agent.plans.as_ref().map(|_| plans),
                may_apply: agent.may_apply,
                approved_only: agent.approved_only,
                spent,
            }),
            caps: self.host.caps,
            earlier: self.earlier,
            limits: self.host.limits,
            takes_back: self.origin.takes_back.clone(),
        };
        // The reads of the policies count as well: the set rests on them (design.md 2.1).
        review(self.change_set(), &grants, rulings)
    }

    /// Counts what an agent has done over all its runs.
    async fn spent(&self, agent: &Agent) -> Result<Spent, Failure> {
        let (per_day, per_hour) = (agent.changes_per_day, agent.runs_per_hour);
        let Some(record) = self.record.as_ref().filter(|_| per_day.or(per_hour).is_some()) else {
            return Ok(Spent::default());
        };
        let midnight = self.session.today().to_zoned(self.session.zone());
        let today = midnight.map_or(self.session.now(), |midnight| midnight.timestamp());
        let (changes_today, runs_last_hour) =
            record.count_of_agent(agent.name.clone(), today).await?;
        Ok(Spent {
            changes_today,
            changes_per_day: per_day,
            runs_last_hour,
            runs_per_hour: per_hour,
        })
    }
}
