//! The plans that the configuration names, by title or id: what each name stands for (rule R4).
//!
//! Titles change, and changing a title must not change which rules apply to the plan. So a name
//! stands for the plans that had it when it was first seen, as the state folder keeps it. A name
//! that guards holds for every plan that ever had the title; a name that grants something to an
//! agent holds only for the first ones, as long as they exist.

use std::collections::{BTreeMap, BTreeSet};

use crate::change::read::pick;
use crate::host::broker::fetch;
use crate::host::failure::Failure;
use crate::host::known_plans::{KnownPlans, Resolved};
use crate::host::query::{Query, Response};
use crate::host::record::blocking;
use crate::host::similar::similar;
use crate::host::start::{Host, PlanNames};
use crate::journal::NamedPlans;
use crate::model::id::looks_like_planner_id;
use crate::model::{Plan, PlanId, User};

impl Host {
    /// Resolves names to plans; `own` are those that confine the acting agent, if any do.
    pub(crate) async fn resolve_plans(
        &self,
        me: &User,
        names: PlanNames,
        own: Option<&BTreeSet<String>>,
    ) -> Result<Resolved, Failure> {
        let confined = own.is_some();
        let own = own.into_iter().flatten();
        let all: BTreeSet<String> =
            names.guarded.iter().chain(&names.granted).chain(own.clone()).cloned().collect();
        let listed = match fetch(&self.client, Query::AllPlans).await {
            Ok(Response::AllPlans(plans)) => plans,
            Ok(_) => Vec::new(),
            Err(error) => return Err(Failure::from(crate::host::error::Error::from(error))),
        };
        let plans: Vec<&Plan> = listed.iter().map(|plan| &plan.value).collect();
        let mut now: BTreeMap<String, BTreeSet<PlanId>> = BTreeMap::new();
        for name in &all {
            let mut found = standing_for(name, &plans);
            if found.is_empty()
                && looks_like_planner_id(name)
                && let Ok(id) = PlanId::parse(name)
                && fetch(&self.client, Query::Plan(id.clone())).await.is_ok()
            {
                found.insert(id);
            }
            now.insert(name.clone(), found);
        }
        let there: BTreeSet<PlanId> = plans.iter().map(|plan| plan.id.clone()).collect();
        let learn = move |named: &mut NamedPlans| {
            for (name, found) in now {
                let kept = named.entry(name).or_default();
                // The granted plans no longer exist, and another has their title: the name stands
                // for that from now on.
                if kept.granted.is_disjoint(&there) && !found.is_empty() {
                    kept.granted.clone_from(&found);
                }
                kept.guarded.extend(found);
            }
        };
        let named = match self.state_folder.clone() {
            None => {
                let mut named = NamedPlans::new();
                learn(&mut named);
                named
            }
            Some(folder) => {
                let whose = format!("{} {}", self.service, me.id);
                blocking(move || {
                    let file = folder.names();
                    file.update(&whose, learn).map_err(|error| Failure {
                        code: "io".into(),
                        message: format!("`{}` cannot be used: {error}", file.path().display()),
                        hint: Some("it records which plans the titles in planwright.toml stand for; without it they stand for the plans that have them now".into()),
                        ..Failure::default()
                    })
                })
                .await?
            }
        };
        // An agent is told of its own plans only, and not what else is called nearly the same.
        let guarded = names.guarded.iter().filter(|_| !confined);
        let unknown = guarded.chain(own).collect::<BTreeSet<_>>().into_iter();
        let unknown =
            unknown.filter(|name| named.get(*name).is_none_or(|found| found.guarded.is_empty()));
        let near = if confined { &[] } else { plans.as_slice() };
        let warnings = unknown.map(|name| nothing_of(name, near, me)).collect();
        // Names of an earlier configuration stay in the file, and mean nothing here.
        let named = named.into_iter().filter(|(name, _)| all.contains(name)).collect();
        Ok(Resolved { known: KnownPlans { named }, listed: Some(listed), warnings })
    }
}

/// Returns the plans that a name stands for on a board: by id, or by title as plans are found.
fn standing_for(name: &str, plans: &[&Plan]) -> BTreeSet<PlanId> {
    let name = name.trim();
    let by_id: BTreeSet<PlanId> =
        plans.iter().filter(|plan| plan.id.as_str() == name).map(|plan| plan.id.clone()).collect();
    if !by_id.is_empty() {
        return by_id;
    }
    pick(plans, name, |plan| &plan.title).into_iter().map(|plan| plan.id.clone()).collect()
}

fn nothing_of(name: &str, plans: &[&Plan], me: &User) -> String {
    let near = similar(name, plans.iter().map(|plan| plan.title.as_str()));
    let near: Vec<_> = near.iter().map(|title| format!("`{title}`")).collect();
    let hint = if near.is_empty() {
        String::new()
    } else {
        format!("; did you mean {}?", near.join(" or "))
    };
    format!(
        "planwright.toml names a plan that is not there, or that {} cannot see: `{name}`{hint}",
        me.label()
    )
}
