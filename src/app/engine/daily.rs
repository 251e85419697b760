//! Daily upkeep: the deletion of old runs, once a day among all processes.

use jiff::Timestamp;

use crate::app::upkeep;
use crate::coordinate::{Coordinate, Error};
use crate::journal::Pruned;

/// Deletes what runs have left that ended so many days ago, once a day. The day is claimed when that is
/// done: one that failed is tried again, and two processes that begin at once find the less to delete.
pub(crate) fn prune(
    shared: &dyn Coordinate,
    days: u32,
    owner: &str,
    now: Timestamp,
) -> Result<Pruned, Error> {
    let name = format!("prune@{}", now.strftime("%Y-%m-%d"));
    if shared.claimed(&name)?.is_some() {
        return Ok(Pruned::default());
    }
    let pruned = shared.prune(upkeep::days_ago(days, now), &upkeep::note(now))?;
    shared.claim(&name, owner, now)?;
    Ok(pruned)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::journal::{Journal, NewRun, Purpose, RunId, RunStatus};
    use crate::model::UserId;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// Enters a run that was over at once, and has written nothing.
    fn ran(journal: &Journal, n: u32, at: Timestamp) {
        let run = NewRun {
            id: RunId::parse(&format!("0199f3c2-7a51-7cc3-98b1-{n:012x}")).unwrap(),
            at,
            service: "embedded".into(),
            actor: UserId::parse("6e7b768e-07e2-4810-8459-485f84f8f204").unwrap(),
            upn: "rook@bos.example".into(),
            agent: None,
            purpose: Purpose::Run,
            parent: None,
            takes_up: None,
            skill: "greet".into(),
            skill_digest: None,
            params: Value::Null,
            policies: std::collections::BTreeMap::new(),
        };
        journal.begin(&run).unwrap();
        journal.finish(&run.id, at, RunStatus::NoChanges, &json!({})).unwrap();
    }

    #[test]
    fn old_runs_are_deleted_once_a_day_when_their_time_has_come() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(&dir.path().join("journal.db")).unwrap();
        let left = || journal.runs(usize::MAX, None).unwrap().len();
        ran(&journal, 1, at("2026-03-01T12:00:00Z"));
        ran(&journal, 2, at("2026-03-20T12:00:00Z"));
        let prune = |owner: &str, now: &str| prune(&journal, 30, owner, at(now)).unwrap().runs;
        assert_eq!(prune("one", "2026-03-30T23:59:00Z"), 0);
        assert_eq!(prune("one", "2026-04-02T00:01:00Z"), 1);
        assert_eq!(left(), 1);
        // One more that is old: the day is done, for every process, until the next one.
        ran(&journal, 3, at("2026-02-01T12:00:00Z"));
        assert_eq!(prune("one", "2026-04-02T12:00:00Z"), 0);
        assert_eq!(prune("two", "2026-04-02T23:59:00Z"), 0);
        assert_eq!(prune("two", "2026-04-03T00:01:00Z"), 1);
        assert_eq!(left(), 1);
        assert_eq!(prune("one", "2026-04-20T00:00:00Z"), 1);
        assert_eq!(left(), 0);
        assert!(journal.verify().is_ok());
    }
}
