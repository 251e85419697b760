//! Names for the ids in a report.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::change::{Change, ChangeSet, Field, Write};
use crate::host::session::core::Session;
use crate::model::{PlanId, UserId};

/// The most people who are looked up for the sake of a report.
const MAX_PEOPLE: usize = 20;

/// Collects names for the ids that a set mentions, as far as the run has read them.
pub(crate) fn names(session: &Session, set: &ChangeSet) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    let state = session.state();
    let mut user = |id: &UserId| {
        if let Some(user) = state.snapshot.user(id) {
            names.insert(id.to_string(), user.label().to_owned());
        }
    };
    for change in set.changes() {
        match &change.write {
            Write::Task(edit) => {
                for side in [edit.before(), edit.after()].into_iter().flatten() {
                    side.task.assignments.keys().for_each(&mut user);
                }
            }
            Write::PlanDetails { edit, .. } => {
                for side in [edit.before(), edit.after()].into_iter().flatten() {
                    side.shared_with.iter().for_each(&mut user);
                }
            }
            Write::Plan(edit) => {
                let members = edit.after().map(|plan| &plan.new_members);
                members.into_iter().flatten().for_each(&mut user);
            }
            Write::Bucket(_) | Write::Comment(_) => {}
        }
    }
    let me = &session.facts().me;
    names.insert(me.id.to_string(), me.label().to_owned());
    for change in set.changes() {
        let plan = change.plan();
        for plan in [Some(plan), change.moves_to()].into_iter().flatten() {
            let drafted = state.draft.plan(plan).flatten();
            if let Some(known) = state.snapshot.plan(plan).map(|plan| &plan.value).or(drafted) {
                names.insert(plan.to_string(), known.title.clone());
            }
        }
        let read = state.snapshot.plan_details(plan).map(|details| &details.value);
        if let Some(details) = state.draft.plan_details(plan).or(read) {
            for (category, name) in &details.labels {
                names.insert(format!("{plan}/{category}"), name.clone());
            }
        }
        let Write::Task(edit) = &change.write else { continue };
        for side in [edit.before(), edit.after()].into_iter().flatten() {
            let Some(id) = &side.task.bucket else { continue };
            let drafted = state.draft.bucket(id).flatten().map(|bucket| bucket.name.clone());
            let read = || state.snapshot.bucket(id).map(|bucket| bucket.value.name.clone());
            if let Some(name) = drafted.or_else(read) {
                names.insert(id.to_string(), name);
            }
        }
    }
    names
}

impl Session {
    /// Reads the names that are missing from those of a set: of people, buckets and labels that the
    /// program has passed on by their ids. Where they cannot be read, ids are shown.
    pub(crate) fn learn_missing(&self, set: &ChangeSet, names: &BTreeMap<String, String>) {
        let mut people = BTreeSet::new();
        for change in set.changes() {
            let plan = change.plan();
            for (field, values) in change.fields() {
                let sides = [&values.before, &values.after];
                let keys = sides.into_iter().filter_map(Value::as_object).flat_map(Map::keys);
                let is_new = |key: &&String| values.before.get(*key) != values.after.get(*key);
                match field {
                    Field::Assignments | Field::SharedWith | Field::Members => {
                        let unknown = keys.filter(is_new).filter(|key| !names.contains_key(*key));
                        people.extend(unknown.cloned());
                    }
                    Field::AppliedCategories if !plan.is_provisional() => {
                        let mut keys = keys.filter(is_new);
                        if keys.any(|key| !names.contains_key(&format!("{plan}/{key}"))) {
                            let _shown_as_id = self.peek_plan_details(plan);
                        }
                    }
                    Field::BucketId if !plan.is_provisional() => {
                        let mut ids = sides.into_iter().filter_map(Value::as_str);
                        if ids.any(|id| !names.contains_key(id)) {
                            let _shown_as_id = self.peek_buckets(plan);
                        }
                    }
                    _ => {}
                }
            }
        }
        for id in people.iter().take(MAX_PEOPLE).filter_map(|id| UserId::parse(id).ok()) {
            let _shown_as_id = self.user_by_id(&id);
        }
    }

    /// Reads the names that a report of a change shows; it is now about this plan. Where they
    /// cannot be read, ids are shown.
    pub(crate) fn learn_names(&self, change: &Change, plan: &PlanId) {
        let _shown_as_id = self.peek_plan(plan);
        if matches!(change.write, Write::Bucket(_)) {
            let _shown_as_id = self.peek_buckets(plan);
        }
        let Write::Task(edit) = &change.write else { return };
        let _shown_as_id = (self.peek_buckets(plan), self.peek_plan_details(plan));
        for state in [edit.before(), edit.after()].into_iter().flatten() {
            state.task.assignments.keys().for_each(|user| drop(self.user_by_id(user)));
        }
    }
}
