//! The fault rules in force, with counters, so that a test can ask which of them took effect.

use std::sync::{Mutex, PoisonError};

use crate::emulator::control::log::Origin;
use crate::emulator::control::rule::{Action, FaultRule};
use crate::emulator::state::id;

/// A rule with its counters.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Fired {
    /// The rule.
    #[serde(flatten)]
    pub rule: FaultRule,
    /// The number of requests that it matched.
    pub matched: u64,
    /// The number of requests that it affected.
    pub fired: u64,
}

impl Fired {
    /// Counts a matching request and returns whether it is affected.
    fn fires(&mut self) -> bool {
        self.matched += 1;
        let rule = &self.rule;
        let times = rule.times.unwrap_or(if rule.nth.is_some() { 1 } else { u64::MAX });
        let is_hit = self.matched >= rule.nth.unwrap_or(1)
            && self.fired < times
            // Drawn by count and not by chance: the same requests are affected in every run.
            && rule.rate.is_none_or(|rate| id::draw(rule.seed, self.matched) < rate);
        self.fired += u64::from(is_hit);
        is_hit
    }
}

/// All rules.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<Vec<Fired>>);

impl Faults {
    pub(crate) fn new(rules: Vec<FaultRule>) -> Self {
        let faults = Self::default();
        faults.replace(rules);
        faults
    }

    /// Replaces the rules.
    pub(crate) fn replace(&self, rules: Vec<FaultRule>) {
        let fresh = rules.into_iter().map(|rule| Fired { rule, matched: 0, fired: 0 });
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = fresh.collect();
    }

    pub(crate) fn list(&self) -> Vec<Fired> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the actions that apply to a request: any number of delays and edits, and at most
    /// one action that decides the answer, which comes last. Later rules do not count the request.
    pub(crate) fn decide(&self, method: &str, path: &str, origin: Origin) -> Vec<Action> {
        let mut actions = Vec::new();
        let mut rules = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for fired in rules.iter_mut() {
            let rule = &fired.rule;
            let matches = rule.method.as_ref().is_none_or(|verb| verb.eq_ignore_ascii_case(method))
                && rule.path.as_ref().is_none_or(|part| path.contains(part.as_str()))
                // The parts of a batch share its connection and its body.
                && !(origin == Origin::Batch && rule.action.cuts());
            if matches && fired.fires() {
                let decides = fired.rule.action.decides();
                actions.push(fired.rule.action.clone());
                if decides {
                    break;
                }
            }
        }
        actions
    }
}

#[cfg(test)]
mod tests {
    use super::Faults;
    use crate::emulator::control::log::Origin;
    use crate::emulator::control::rule::{Action, FaultRule};

    fn hits(rule: FaultRule, requests: usize) -> Vec<usize> {
        let faults = Faults::new(vec![rule]);
        let hit = |_: &usize| !faults.decide("GET", "/v1.0/me", Origin::Client).is_empty();
        (1..=requests).filter(hit).collect()
    }

    #[test]
    fn a_rule_begins_at_its_nth_match_and_ends_after_its_times() {
        let rule = FaultRule::new(Action::LatencyMs(1));
        assert_eq!(hits(rule.clone(), 3), [1, 2, 3]);
        assert_eq!(hits(rule.clone().nth(2), 4), [2]);
        assert_eq!(hits(rule.clone().times(2), 4), [1, 2]);
        assert_eq!(hits(rule.clone().nth(2).times(2), 4), [2, 3]);
        assert!(hits(rule.on("PATCH", "/me"), 2).is_empty());
    }

    #[test]
    fn a_rate_hits_the_same_places_for_the_same_seed() {
        let rule =
            |seed| FaultRule { rate: Some(0.25), seed, ..FaultRule::new(Action::LatencyMs(1)) };
        let first = hits(rule(1), 400);
        assert!((60..140).contains(&first.len()), "{}", first.len());
        assert_eq!(first, hits(rule(1), 400));
        assert_ne!(first, hits(rule(2), 400));
        assert!(hits(FaultRule { rate: Some(0.0), ..rule(1) }, 50).is_empty());
        assert_eq!(hits(FaultRule { rate: Some(1.0), ..rule(1) }, 50).len(), 50);
    }

    #[test]
    fn delays_add_up_until_a_rule_decides() {
        let faults = Faults::new(vec![
            FaultRule::new(Action::LatencyMs(1)),
            FaultRule::new(Action::DropBefore),
            FaultRule::new(Action::Truncate),
        ]);
        let actions = faults.decide("GET", "/v1.0/me", Origin::Client);
        assert_eq!(actions, [Action::LatencyMs(1), Action::DropBefore]);
        assert_eq!(faults.decide("GET", "/v1.0/me", Origin::Batch), [Action::LatencyMs(1)]);
        let counts: Vec<u64> = faults.list().iter().map(|fired| fired.matched).collect();
        assert_eq!(counts, [2, 1, 0]);
    }
}
