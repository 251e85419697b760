//! A run's set as a file, and a file's set as a run's.

use crate::change::{ChangeSet, Draft, Edit, Saved, Write, saved};
use crate::host::Session;
use crate::host::run::Run;
use crate::model::Versioned;

impl Run<'_> {
    /// Takes up a set that was drafted before, as if it had just been.
    pub(super) fn take_up(&self, set: &ChangeSet, drafted_in: Option<&Session>) {
        let seen = drafted_in.map(|it| (it.read_set(), it.state().snapshot.clone()));
        let mut state = self.session.state();
        state.draft = Draft::of_set(set);
        if let Some((reads, snapshot)) = seen {
            state.snapshot = snapshot;
            state.lists = reads.lists;
            for (id, fields) in reads.fields {
                fields.into_iter().for_each(|it| state.draft.note_read(id.clone(), it));
            }
        }
        for change in set.changes() {
            match &change.write {
                Write::Plan(edit) => {
                    let (Edit::Update { before, basis, .. } | Edit::Delete { before, basis }) =
                        &**edit
                    else {
                        continue;
                    };
                    let read = Versioned::new(before.clone(), basis.clone());
                    state.snapshot.add_plan(before.id.clone(), read);
                }
                Write::PlanDetails { plan, edit: Edit::Update { before, basis, .. }, .. } => {
                    let read = Versioned::new(before.clone(), basis.clone());
                    state.snapshot.add_plan_details(plan.clone(), read);
                }
                Write::Bucket(
                    Edit::Update { before, basis, .. } | Edit::Delete { before, basis },
                ) => {
                    let read = Versioned::new(before.clone(), basis.clone());
                    state.snapshot.add_bucket(before.id.clone(), read);
                }
                Write::Task(edit) => {
                    let (Edit::Update { before, basis, .. } | Edit::Delete { before, basis }) =
                        &**edit
                    else {
                        continue;
                    };
                    let id = before.task.id.clone();
                    let read = Versioned::new(before.task.clone(), basis.task.clone());
                    state.snapshot.add_task(id.clone(), read);
                    if let (Some(details), Some(tag)) = (&before.details, &basis.details) {
                        let read = Versioned::new(details.clone(), tag.clone());
                        state.snapshot.add_details(id.clone(), read);
                    }
                    for (board, tag) in &basis.places {
                        let place = before.places.get(board).cloned().unwrap_or_default();
                        let read = Versioned::new(place, tag.clone());
                        state.snapshot.add_place(id.clone(), *board, read);
                    }
                }
                Write::PlanDetails { .. } | Write::Bucket(_) => {}
            }
        }
    }

    pub(super) fn to_save(&self, set: &ChangeSet) -> Saved {
        Saved {
            format: saved::FORMAT,
            run_id: self.report.run_id.clone(),
            created_at: self.session.facts().now,
            service: self.host.service.clone(),
            actor: self.session.facts().me.id.clone(),
            agent: self.session.facts().agent.clone(),
            agent_plans: self.start.agent.as_ref().and_then(|it| it.plans.clone()),
            agent_may_apply: self.start.agent.as_ref().is_none_or(|it| it.may_apply),
            skill: self.start.skill.clone(),
            skill_digest: self.start.skill_digest.clone(),
            force: self.start.force,
            change_set: set.clone(),
            digest: String::new(),
            seal: String::new(),
        }
        .with_digest()
    }
}
