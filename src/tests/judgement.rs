//! What is wrong with a world that was played: the journal, the reports and the board must agree.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::change::{Entity, Op};
use crate::host::apply::outcome::ChangeStatus;
use crate::tests::Played;
use crate::tests::truth::{By, Commit};
use crate::tests::world::traced;

/// Returns the broken invariants, in words.
pub(super) fn judge(played: &Played) -> Vec<String> {
    if traced() {
        for (run, report) in &played.reports {
            println!("run {run}: {:?} {:?} {:#?}", report.status, report.error, report.changes);
        }
        for run in &played.runs {
            println!(
                "{} {} {:?}",
                run.start.id,
                run.start.skill,
                run.finish.as_ref().map(|finish| finish.status)
            );
            for round in &run.rounds {
                println!("  round {} {:?}", round.number, round.outcome);
                for attempt in round.trails.iter().flat_map(|trail| &trail.attempts) {
                    println!("    {attempt:?}");
                }
            }
        }
    }
    let truth = played.world.truth();
    let mut wrong = truth.violations.clone();
    // Nobody's entity is adopted, and none counts as the creation of two changes.
    let mut made: BTreeSet<&str> = BTreeSet::new();
    type Signature<'a> = (&'a str, &'a str, String);
    let mut applied: BTreeMap<Signature<'_>, (usize, usize)> = BTreeMap::new();
    for run in &played.runs {
        for (change, trail) in
            run.rounds.iter().flat_map(|round| round.change_set.changes().iter().zip(&round.trails))
        {
            for attempt in trail.last_attempts() {
                let intent = &attempt.intent;
                let body = intent.body.clone().unwrap_or_default().to_string();
                let count = applied.entry((&intent.method, &intent.path, body)).or_default();
                match attempt.outcome() {
                    Some(crate::journal::Outcome::Applied) => count.0 += 1,
                    Some(crate::journal::Outcome::Refused | crate::journal::Outcome::Conflict) => {}
                    _ => count.1 += 1,
                }
                let ids =
                    attempt.settled.iter().filter_map(|settled| settled.1.entity_id.as_deref());
                for id in ids.filter(|_| change.op() == Op::Create && intent.method == "POST") {
                    if !made.insert(id) {
                        wrong.push(format!("adopted: two changes call {id} theirs"));
                    }
                    if truth.tasks.get(id).is_none_or(|kept| kept.maker == By::Person) {
                        wrong.push(format!("adopted: {id} is somebody else's"));
                    }
                }
            }
        }
    }
    // Journal and board agree.
    let by_runs = || truth.commits.iter().filter(|commit| commit.by != By::Person);
    let signature = |commit: &Commit| {
        let body = if commit.body.is_null() { Value::Null } else { commit.body.clone() };
        (commit.method.clone(), commit.path.clone(), body.to_string())
    };
    let mut done: BTreeMap<(String, String, String), usize> = BTreeMap::new();
    by_runs().for_each(|commit| *done.entry(signature(commit)).or_default() += 1);
    for ((method, path, body), (sure, doubtful)) in &applied {
        let key = ((*method).to_owned(), (*path).to_owned(), body.clone());
        let n = done.remove(&key).unwrap_or_default();
        // Equal writes may be one on the board, and a value that somebody else has set to the same
        // counts as written. Of a value that was overwritten since, nobody can tell whether it was
        // ever there.
        let value: &Value = &serde_json::from_str(body).unwrap_or_default();
        let of_path = || truth.commits.iter().filter(|commit| commit.path == *path);
        let likewise = of_path().any(|commit| commit.body == *value);
        let is_over = of_path().next_back().is_some_and(|commit| commit.body != *value);
        // Nor can anybody tell whose deletion it was, if the answers to ours were lost.
        if (*method == "PATCH" && (likewise && *sure > 0 || is_over))
            || (*method == "DELETE" && likewise && *sure > 0)
        {
            continue;
        }
        // An entity that somebody renamed or deleted before it was looked for cannot be found.
        let hidden = by_runs()
            .filter(|commit| signature(commit) == key && !made.contains(commit.id.as_str()));
        let hidden = hidden.filter(|commit| {
            let kept = &truth.tasks[&commit.id];
            kept.titled == By::Person || !kept.is_there
        });
        let (n, hidden) = (n, hidden.count());
        if n >= *sure && n - hidden <= sure + doubtful {
            continue;
        }
        if n > sure + doubtful && *method == "POST" {
            wrong.push(format!(
                "doubled: {body} was made {n} times, by {sure} changes, {doubtful} in doubt"
            ));
        } else if !(*sure..=sure + doubtful).contains(&n) {
            wrong.push(format!(
                "journal: {method} {path} {body} was done {n} times; {sure} applied, {doubtful} in doubt"
            ));
        }
    }
    for ((method, path, body), n) in done {
        wrong.push(format!("journal: {method} {path} {body} was done {n} times, and is not there"));
    }
    // The reports agree with the board.
    for (run, report) in &played.reports {
        if report.error.as_ref().is_some_and(|error| error.code.contains("journal")) {
            wrong.push(format!("journal: {:?}", report.error));
        }
        for change in report.changes.iter().filter(|change| change.entity == Entity::Task) {
            let likewise = |commit: &Commit| match change.op {
                Op::Update => commit.method == "PATCH",
                Op::Delete => commit.method == "DELETE",
                Op::Create => false,
            };
            let touched = truth.commits.iter().any(|commit| {
                commit.id == change.id && (commit.by == By::Run(*run) || likewise(commit))
            });
            let is_there = truth.tasks.get(&change.id);
            match (change.status, change.op) {
                (ChangeStatus::Applied, _) if !touched => {
                    wrong.push(format!("report: run {run} has not written {change:?}"));
                }
                (ChangeStatus::Applied, Op::Delete)
                    if is_there.is_some_and(|kept| kept.is_there) =>
                {
                    wrong.push(format!("report: run {run} has not deleted {change:?}"));
                }
                _ => {}
            }
        }
    }
    wrong
}
