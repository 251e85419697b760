//! From a drafted set to one that may be applied.

use crate::change::ChangeSet;
use crate::policy::rules::Grants;
use crate::policy::rules::host_rules;
use crate::policy::verdict::{Ruling, Verdict};

/// A set with everything that was said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reviewed {
    set: ChangeSet,
    rulings: Vec<Ruling>,
}

/// A set that nothing stands against. The only thing that can be applied.
///
/// ```compile_fail
/// use planwright::{change::ChangeSet, policy::Cleared};
/// let cleared = Cleared { set: ChangeSet::default() };
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cleared {
    set: ChangeSet,
}

/// Judges a set by the host rules and joins what the policies said.
#[must_use]
pub fn review(set: ChangeSet, grants: &Grants, by_policies: Vec<Ruling>) -> Reviewed {
    let mut rulings = host_rules(&set, grants);
    rulings.extend(by_policies);
    rulings.sort_by(|a, b| b.verdict.cmp(&a.verdict).then(a.change.cmp(&b.change)));
    Reviewed { set, rulings }
}

impl Reviewed {
    /// Returns the set.
    #[must_use]
    pub const fn set(&self) -> &ChangeSet {
        &self.set
    }

    /// Returns everything that was said, the worst first.
    #[must_use]
    pub fn rulings(&self) -> &[Ruling] {
        &self.rulings
    }

    /// Returns the worst verdict of all.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.rulings.iter().map(|it| it.verdict).max().unwrap_or(Verdict::Allow)
    }

    /// Returns the worst verdict that names one change.
    #[must_use]
    pub fn verdict_of(&self, n: usize) -> Verdict {
        self.rulings
            .iter()
            .filter(|it| it.change == Some(n))
            .map(|it| it.verdict)
            .max()
            .unwrap_or(Verdict::Allow)
    }

    /// Clears the set for applying, unless something stands against it.
    #[must_use]
    pub fn clear(&self) -> Option<Cleared> {
        match self.verdict() {
            Verdict::Allow | Verdict::Warn => Some(Cleared { set: self.set.clone() }),
            Verdict::Hold | Verdict::Deny => None,
        }
    }
}

impl Cleared {
    /// Returns the set.
    #[must_use]
    pub const fn set(&self) -> &ChangeSet {
        &self.set
    }

    /// Puts newer tags and fuller images in, if the changes want the same of the same entities;
    /// others would have to be judged.
    pub fn advance(&mut self, set: ChangeSet) {
        let (old, new) = (self.set.changes(), set.changes());
        if old.len() == new.len() && old.iter().zip(new).all(|(a, b)| a.wants_same(b)) {
            self.set = set;
        }
    }
}
