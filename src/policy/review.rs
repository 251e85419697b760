//! The way from a drafted set to one that may be applied, as types: a set that was not reviewed
//! cannot be applied.

use crate::change::ChangeSet;
use crate::policy::rules::Grants;
use crate::policy::rules::host_rules;
use crate::policy::verdict::{Ruling, Verdict};

/// A set with all verdicts on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reviewed {
    set: ChangeSet,
    rulings: Vec<Ruling>,
}

/// A set that no rule or policy refuses. The only thing that can be applied.
///
/// ```compile_fail
/// use planwright::{change::ChangeSet, policy::Cleared};
/// let cleared = Cleared { set: ChangeSet::default() };
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cleared {
    set: ChangeSet,
}

/// Judges a set by the host rules and adds the verdicts of the policies.
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

    /// Returns all verdicts, the worst first.
    #[must_use]
    pub fn rulings(&self) -> &[Ruling] {
        &self.rulings
    }

    /// Returns the worst verdict.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.rulings.iter().map(|ruling| ruling.verdict).max().unwrap_or(Verdict::Allow)
    }

    /// Returns the worst verdict on one change.
    #[must_use]
    pub fn verdict_of(&self, n: usize) -> Verdict {
        self.rulings
            .iter()
            .filter(|ruling| ruling.change == Some(n))
            .map(|ruling| ruling.verdict)
            .max()
            .unwrap_or(Verdict::Allow)
    }

    /// Clears a set that is held, with a person's word; none that is denied (rule R8).
    #[must_use]
    pub fn approve(&self) -> Option<Cleared> {
        (self.verdict() != Verdict::Deny).then(|| Cleared { set: self.set.clone() })
    }

    /// Clears the set for applying, unless a rule or policy holds or denies it.
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

    /// Replaces the set by one with newer tags and fuller before-images, if its changes write the
    /// same to the same entities; any other set would have to be reviewed.
    pub fn advance(&mut self, set: ChangeSet) {
        let (old, new) = (self.set.changes(), set.changes());
        if old.len() == new.len() && old.iter().zip(new).all(|(a, b)| a.wants_same(b)) {
            self.set = set;
        }
    }
}
