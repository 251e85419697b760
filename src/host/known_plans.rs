//! The plans that names in the configuration stand for.

use std::collections::{BTreeMap, BTreeSet};

use crate::change::read::pick;
use crate::journal::{Named, NamedPlans};
use crate::model::{Plan, PlanId, Versioned};

/// The plans that names in the configuration stand for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownPlans {
    pub(crate) named: NamedPlans,
}

impl KnownPlans {
    /// Returns whether names that grant something include this plan.
    pub(crate) fn grant(&self, names: &BTreeSet<String>, plan: &Plan) -> bool {
        names.contains(plan.id.as_str())
            || names.iter().any(|name| match self.named.get(name) {
                Some(named) if !named.granted.is_empty() => named.granted.contains(&plan.id),
                _ => !pick(&[plan], name.trim(), |plan| &plan.title).is_empty(),
            })
    }

    /// Returns the plans that a name guards.
    #[must_use]
    pub fn guarded(&self, name: &str) -> Option<&BTreeSet<PlanId>> {
        self.named.get(name).map(|named| &named.guarded)
    }

    /// Returns the names that are titles, with the plans that have or had them.
    pub(crate) fn titles(&self) -> BTreeMap<&str, &BTreeSet<PlanId>> {
        let is_title =
            |name: &str, named: &Named| !named.guarded.iter().any(|id| id.as_str() == name);
        let titles = self.named.iter().filter(|(name, named)| is_title(name, named));
        titles.map(|(name, named)| (name.as_str(), &named.guarded)).collect()
    }
}

/// The plans resolved at the start of a run, if the configuration names any.
#[derive(Default)]
pub(crate) struct Resolved {
    pub(crate) known: KnownPlans,
    /// All plans that the signed-in user can see, if they were listed for it.
    pub(crate) listed: Option<Vec<Versioned<Plan>>>,
    /// Warnings about names that stand for nothing.
    pub(crate) warnings: Vec<String>,
}
