//! The judgement of a draft by host rules and policies, on the board as it was read.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::change::ChangeSet;
use crate::host::failure::interrupted;
use crate::host::report::Status;
use crate::host::run::Run;
use crate::host::session::core::View;
use crate::host::session::names::names;
use crate::host::start::Program;
use crate::journal::Judgement;
use crate::model::PlanId;
use crate::policy::{AgentGrants, Grants, Reviewed, Ruling, Verdict, keep_titles, review};

impl Run<'_> {
    pub(super) async fn review_and_apply(&mut self, program: Option<&Arc<dyn Program>>) {
        let set = self.change_set();
        self.report.names = names(&self.session, &set);
        if set.is_empty() {
            self.report.status = Status::NoChanges;
            self.judged(&set, Judgement::NoChanges).await;
            return;
        }
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
        let (status, judgement) = match reviewed.clear() {
            Some(_) if self.start.dry_run => {
                // Saved without the reads of the policies: they judge again before it is applied.
                self.saved = Some(self.to_save(&drafted));
                (Status::Previewed, Judgement::Previewed)
            }
            Some(cleared) => return self.carry_out(Box::new(cleared), program).await,
            None if reviewed.verdict() == Verdict::Hold => (Status::Held, Judgement::Held),
            None => (Status::Denied, Judgement::Denied),
        };
        self.report.status = status;
        self.judged(reviewed.set(), judgement).await;
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
        let grants = Grants {
            force: self.start.force || agent.is_some_and(|agent| agent.force),
            dry_run: self.start.dry_run,
            agent: agent.map(|agent| AgentGrants {
                name: agent.name.clone(),
                plans: agent.plans.as_ref().map(|_| plans),
                may_apply: agent.may_apply,
            }),
            caps: self.host.caps,
            earlier: self.earlier,
            limits: self.host.limits,
            takes_back: self.origin.takes_back.clone(),
        };
        // The reads of the policies count as well: the set rests on them (design.md 2.1).
        review(self.change_set(), &grants, rulings)
    }
}
