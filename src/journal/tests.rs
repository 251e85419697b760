//! Tests of the journal from inside: refusals, a full disk, and runs read back.

mod prune;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::change::{ChangeSet, Draft};
use crate::journal::Journal;
use crate::journal::entry::{
    Intent, Judgement, NewRun, Outcome, Purpose, RunId, RunStatus, Settled, StepId,
};
use crate::journal::error::Error;
use crate::journal::read::Standing;
use crate::model::{ETag, PlanId, Task, TaskId, UserId, Versioned};

const RUN: &str = "0199f3c2-7a51-7cc3-98b1-4f0c3a5d2e11";
const OTHER: &str = "0199f3c2-7a51-7cc3-98b1-4f0c3a5d2e22";

fn at(second: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(1_780_000_000 + second).unwrap()
}

fn id(text: &str) -> RunId {
    RunId::parse(text).unwrap()
}

fn new_run(text: &str) -> NewRun {
    NewRun {
        id: id(text),
        at: at(0),
        service: "embedded".into(),
        actor: UserId::parse("6463a5ce-2119-4198-9f2a-628761df4a62").unwrap(),
        upn: "rook@bos.example".into(),
        agent: Some("victor".into()),
        purpose: Purpose::Run,
        parent: None,
        takes_up: None,
        skill: "triage".into(),
        skill_digest: Some("sha256:abc".into()),
        params: json!({ "limit": 3, "share": 0.1, "z": [], "a": null }),
        policies: [("agent_rules.rhai".to_owned(), "sha256:def".to_owned())].into(),
    }
}

/// A set of an update, a creation and a deletion.
fn set() -> ChangeSet {
    let plan = PlanId::parse("xqQg5FS2LkCp935s-FIFm2QAFkHM").unwrap();
    let mut draft = Draft::new("abc".into());
    let read = |id: &str| {
        let id = TaskId::parse(id).unwrap();
        let task = Task::new(id, plan.clone(), format!("Ünder {}", "x".repeat(9)));
        Versioned::new(task, ETag::new("W/\"JzEtVGFzay\"".into()))
    };
    let (one, two) = (read("01gzSlKkIUSUl6DF_EilrmQAKDhh"), read("02gzSlKkIUSUl6DF_EilrmQAKDhh"));
    draft.edit_task(Some(&one), None, &one.value.id, |edit| edit.task.percent_complete = 50);
    draft.delete_task(Some(&two), &two.value.id);
    draft.create_task(|id| Task::new(id, plan.clone(), "New".into()));
    draft.finish(&crate::change::ReadSet::new(), &crate::model::snapshot::Snapshot::default())
}

fn step(n: usize) -> StepId {
    StepId { round: 1, n, step: "task".into() }
}

fn intent(n: usize, attempt: u32) -> Intent {
    Intent {
        step: step(n),
        attempt,
        method: "PATCH".into(),
        path: "/planner/tasks/x".into(),
        if_match: Some("W/\"JzEtVGFzay\"".into()),
        body: Some(json!({ "percentComplete": 50 })),
        request_id: format!("request-{n}-{attempt}"),
    }
}

fn settled(n: usize, attempt: u32, outcome: Outcome) -> Settled {
    Settled {
        step: step(n),
        attempt,
        outcome,
        status: Some(204),
        entity_id: Some(format!("made-{n}")),
        etag: None,
        service_request_id: Some("theirs".into()),
        message: None,
    }
}

fn journal() -> (TempDir, Journal) {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(&dir.path().join("state/journal.db")).unwrap();
    (dir, journal)
}

/// A journal with a run whose set of three changes is cleared.
fn begun() -> (TempDir, Journal) {
    let (dir, journal) = journal();
    journal.begin(&new_run(RUN)).unwrap();
    let rulings = json!([{ "source": "host R1", "verdict": "warn" }]);
    assert_eq!(journal.judged(&id(RUN), at(1), &set(), &rulings, Judgement::Cleared).unwrap(), 1);
    (dir, journal)
}

#[track_caller]
fn assert_whole(journal: &Journal, records: i64) {
    let found = journal.verify().unwrap();
    assert!(found.is_ok(), "{found:#?}");
    assert_eq!((found.records, found.anchored), (records, Some(records)));
}

#[track_caller]
fn is_unfinished(journal: &Journal) -> bool {
    journal.runs(usize::MAX, None).unwrap().iter().any(|run| run.is_unfinished && run.attempts > 0)
}

fn assert_order(result: Result<(), Error>, says: &str) {
    let error = result.unwrap_err();
    assert!(matches!(error, Error::Order { .. }), "{error}");
    assert!(error.to_string().contains(says), "{error}");
}

/// A file that another process is just creating used to look like one that is not a journal.
#[test]
fn several_may_make_a_journal_at_once() {
    for _ in 0..20 {
        let dir = tempfile::tempdir().unwrap();
        let (path, all) = (dir.path().join("journal.db"), std::sync::Barrier::new(8));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    all.wait();
                    Journal::open(&path).unwrap();
                });
            }
        });
    }
}

#[test]
fn a_run_comes_back_as_it_was_recorded() {
    let (_dir, journal) = begun();
    let run = id(RUN);
    journal.intend(&run, at(2), &[intent(1, 1), intent(2, 1)]).unwrap();
    let results = [settled(1, 1, Outcome::Applied), settled(2, 1, Outcome::Unknown)];
    journal.settle(&run, at(3), &results).unwrap();

    assert!(is_unfinished(&journal));
    let unfinished = journal.run(RUN).unwrap();
    assert_eq!(unfinished.start, new_run(RUN));
    let round = &unfinished.rounds[0];
    assert_eq!((round.number, &round.change_set, &round.digest), (1, &set(), &set().digest()));
    let standings: Vec<_> =
        round.trails.iter().map(crate::journal::read::Trail::standing).collect();
    assert_eq!(standings, [Standing::Settled, Standing::InDoubt, Standing::Untouched]);
    assert_eq!(round.trails[0].attempts[0].intent, intent(1, 1));
    assert_eq!(round.trails[0].attempts[0].settled, [(at(3), results[0].clone())]);

    journal.settle(&run, at(4), &[settled(2, 1, Outcome::Refused)]).unwrap();
    journal.intend(&run, at(5), &[intent(2, 2)]).unwrap();
    assert_eq!(journal.run(RUN).unwrap().rounds[0].trails[1].standing(), Standing::InDoubt);
    journal.settle(&run, at(6), &[settled(2, 2, Outcome::Conflict)]).unwrap();
    assert_eq!(journal.run(RUN).unwrap().rounds[0].trails[1].standing(), Standing::Settled);
    let report = json!({ "status": "partial", "result": 1.5 });
    journal.finish(&run, at(7), RunStatus::Partial, &report).unwrap();
    assert!(!is_unfinished(&journal));
    let finish = journal.run("0199f3c2").unwrap().finish.unwrap();
    assert_eq!((finish.at, finish.status, finish.report), (at(7), RunStatus::Partial, report));
    assert_whole(&journal, 10);
}

#[test]
fn what_does_not_fit_is_refused_and_leaves_nothing() {
    let (_dir, journal) = begun();
    let run = id(RUN);
    assert_order(journal.begin(&new_run(RUN)), "has begun before");
    assert!(matches!(journal.intend(&id(OTHER), at(2), &[intent(1, 1)]), Err(Error::NoRun(_))));
    assert_order(journal.intend(&run, at(2), &[intent(1, 1), intent(4, 1)]), "no such change");
    assert_order(journal.intend(&run, at(2), &[intent(1, 2)]), "is not the next");
    assert_order(journal.intend(&run, at(2), &[intent(1, 0)]), "does not count from 1");
    let none = Intent { step: StepId { round: 2, ..step(1) }, ..intent(1, 1) };
    assert_order(journal.intend(&run, at(2), &[none]), "there is no round 2");
    assert_order(journal.settle(&run, at(2), &[settled(1, 1, Outcome::Applied)]), "not recorded");
    for if_match in [None, Some(String::new()), Some("*".to_owned())] {
        let blind = Intent { if_match, ..intent(1, 1) };
        assert!(matches!(journal.intend(&run, at(2), &[blind]), Err(Error::Database { .. })));
    }

    journal.intend(&run, at(2), &[intent(1, 1)]).unwrap();
    assert_order(journal.intend(&run, at(2), &[intent(1, 1)]), "was recorded before");
    assert_order(journal.intend(&run, at(2), &[intent(1, 2)]), "without an outcome");
    journal.settle(&run, at(2), &[settled(1, 1, Outcome::Unknown)]).unwrap();
    journal.settle(&run, at(2), &[settled(1, 1, Outcome::Applied)]).unwrap();
    assert_order(
        journal.settle(&run, at(2), &[settled(1, 1, Outcome::Refused)]),
        "is already applied",
    );
    assert_order(journal.intend(&run, at(2), &[intent(1, 2)]), "was applied");

    let round = journal.judged(&run, at(3), &set(), &Value::Null, Judgement::Held).unwrap();
    let held = Intent { step: StepId { round, ..step(1) }, ..intent(1, 1) };
    assert_order(journal.intend(&run, at(3), &[held]), "round 2 is held");

    journal.finish(&run, at(4), RunStatus::Held, &json!({})).unwrap();
    assert_order(journal.intend(&run, at(5), &[intent(2, 1)]), "has ended");
    assert_order(journal.finish(&run, at(5), RunStatus::Held, &json!({})), "has ended");
    assert_whole(&journal, 7);
}

#[test]
fn runs_are_listed_and_found() {
    let (_dir, journal) = begun();
    let mut second = new_run(OTHER);
    second.takes_up = Some("sha256:saved".into());
    second.purpose = Purpose::Apply;
    second.parent = Some(id(RUN));
    journal.begin(&second).unwrap();
    let digest = set().digest();
    assert_eq!(journal.applied_by(&digest).unwrap(), None);
    journal.intend(&id(RUN), at(2), &[intent(1, 1)]).unwrap();
    assert_eq!(journal.applied_by(&digest).unwrap(), Some(id(RUN)));
    assert_eq!(journal.applied_by("sha256:saved").unwrap(), None);
    journal.judged(&id(OTHER), at(1), &set(), &json!([]), Judgement::Cleared).unwrap();
    let create = Intent { method: "POST".into(), if_match: None, ..intent(3, 1) };
    journal.intend(&id(OTHER), at(2), &[create]).unwrap();
    assert_eq!(journal.applied_by("sha256:saved").unwrap(), Some(id(OTHER)));
    assert!(!journal.is_claimed("made-3").unwrap());
    journal.settle(&id(OTHER), at(2), &[settled(3, 1, Outcome::Applied)]).unwrap();
    assert!(journal.is_claimed("made-3").unwrap());

    let all = journal.runs(10, None).unwrap();
    assert_eq!(all.iter().map(|run| run.id.as_str()).collect::<Vec<_>>(), [OTHER, RUN]);
    assert_eq!((all[1].changes, all[1].attempts, all[1].status), (3, 1, None));
    assert_eq!(journal.runs(1, Some(&id(OTHER))).unwrap(), all[1..]);
    assert!(matches!(journal.run("0199f3c2"), Err(Error::Ambiguous { count: 2, .. })));
    for unknown in ["", "07", "%", "0199f3c2-7a51-7cc3-98b1-4f0c3a5d2e33"] {
        let missing = journal.run(unknown);
        assert!(unknown.is_empty() || matches!(missing, Err(Error::NoRun(_))), "{unknown}");
    }
    let of_run = journal.records(Some(&id(RUN)), 1, 10).unwrap();
    let kinds: Vec<_> = of_run.iter().map(|record| record["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["judged", "intent"]);
}

#[test]
fn a_record_says_who_did_what_under_which_rules() {
    let (_dir, journal) = begun();
    let run = id(RUN);
    journal.intend(&run, at(2), &[intent(1, 1)]).unwrap();
    journal.settle(&run, at(3), &[settled(1, 1, Outcome::Applied)]).unwrap();
    let records = journal.records(Some(&run), 0, 10).unwrap();
    assert_eq!(records[0]["params"]["share"], "0.1");
    let deleted = records[1]["changes"].as_array().unwrap().last().unwrap();
    assert_eq!(deleted["fields"]["title"], json!({ "before": "Ünder xxxxxxxxx", "after": null }));
    let record = &records[3];
    for (field, wanted) in [
        ("seq", json!(4)),
        ("kind", json!("outcome")),
        ("at", json!("2026-05-28T20:26:43Z")),
        ("run", json!(RUN)),
        ("actor", json!({ "id": new_run(RUN).actor, "upn": "rook@bos.example" })),
        ("agent", json!("victor")),
        ("skill_digest", json!("sha256:abc")),
        ("policies", json!({ "agent_rules.rhai": "sha256:def" })),
        ("request_id", json!("request-1-1")),
        ("service_request_id", json!("theirs")),
        ("outcome", json!("applied")),
        ("prev", records[2]["hash"].clone()),
    ] {
        assert_eq!(record[field], wanted, "{field}");
    }
    let change = &record["change"];
    assert_eq!((&change["op"], &change["entity"]), (&json!("update"), &json!("task")));
    assert_eq!(change["fields"], json!({ "percentComplete": { "before": 0, "after": 50 } }));
}

#[test]
fn a_full_disk_stops_before_anything_is_recorded_and_space_lets_it_go_on() {
    let (_dir, journal) = begun();
    let run = id(RUN);
    let limit = |pages: i64| {
        let connection = journal.store.connection();
        connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
    };
    let pages: i64 = journal
        .store
        .connection()
        .pragma_query_value(None, "page_count", |row| row.get(0))
        .unwrap();
    limit(pages);
    let large = Intent { body: Some("x".repeat(100_000).into()), ..intent(1, 1) };
    let error = journal.intend(&run, at(2), std::slice::from_ref(&large)).unwrap_err();
    assert!(matches!(error, Error::Full { .. }), "{error}");
    assert!(error.to_string().contains("state/journal.db"), "{error}");
    assert!(error.hint().unwrap().contains("free some space"));
    assert_whole(&journal, 2);
    assert!(!is_unfinished(&journal));

    limit(i64::from(u32::MAX - 1));
    journal.intend(&run, at(3), &[large]).unwrap();
    assert_whole(&journal, 3);
}

#[test]
fn nothing_is_changed_or_deleted() {
    let (_dir, journal) = begun();
    journal.intend(&id(RUN), at(2), &[intent(1, 1)]).unwrap();
    let connection = journal.store.connection();
    for (table, column) in [
        ("audit", "record"),
        ("run", "skill"),
        ("round", "digest"),
        ("change", "summary"),
        ("intent", "path"),
    ] {
        for sql in [
            format!("UPDATE {table} SET {column} = {column}"),
            format!("DELETE FROM {table}"),
            format!("INSERT OR REPLACE INTO {table} SELECT * FROM {table}"),
        ] {
            assert!(connection.execute(&sql, []).is_err(), "{sql}");
        }
    }
}

#[test]
fn threads_can_share_it() {
    fn shared<T: Send + Sync>() {}
    shared::<Journal>();
    shared::<crate::journal::lock::PlanLocks>();
}

/// Counts the commits in the write-ahead log: frames that say how large the database is now.
fn commits(journal: &Journal) -> usize {
    let mut log = journal.store.path().as_os_str().to_owned();
    log.push("-wal");
    let log = std::fs::read(log).unwrap();
    log[32..].chunks(24 + 4096).filter(|frame| frame[4..8] != [0; 4]).count()
}

#[test]
fn twenty_intents_are_one_commit() {
    let (_dir, journal) = journal();
    let run = id(RUN);
    journal.begin(&new_run(RUN)).unwrap();
    let plan = PlanId::parse("xqQg5FS2LkCp935s-FIFm2QAFkHM").unwrap();
    let mut draft = Draft::new("abc".into());
    for n in 0..20 {
        draft.create_task(|id| Task::new(id, plan.clone(), format!("Task {n}")));
    }
    journal
        .judged(
            &run,
            at(1),
            &draft.finish(
                &crate::change::ReadSet::new(),
                &crate::model::snapshot::Snapshot::default(),
            ),
            &json!([]),
            Judgement::Cleared,
        )
        .unwrap();
    let before = commits(&journal);
    let create = |n| Intent { method: "POST".into(), if_match: None, ..intent(n, 1) };
    journal.intend(&run, at(2), &(1..=20).map(create).collect::<Vec<_>>()).unwrap();
    assert_eq!(commits(&journal), before + 1);
    let results = |n| settled(n, 1, Outcome::Applied);
    journal.settle(&run, at(3), &(1..=20).map(results).collect::<Vec<_>>()).unwrap();
    assert_eq!(commits(&journal), before + 2);
    assert_whole(&journal, 42);
}

/// A run that carries another on keeps the numbers of its changes, and a person who approves the rest sees
/// the same changes whatever their numbers.
#[test]
fn the_digest_of_what_is_shown_takes_no_heed_of_numbers() {
    use crate::journal::kept::digest_as_shown;
    let digest_of_writes = |set: &ChangeSet| digest_as_shown(set, []);
    let numbered = |first: usize| {
        let numbers =
            set().changes().iter().map(|change| (change.id(), first + change.n)).collect();
        set().numbered_as(&numbers)
    };
    assert_ne!(numbered(4).changes()[0].n, set().changes()[0].n);
    assert_eq!(digest_of_writes(&numbered(4)), digest_of_writes(&set()));
    // Reasons are a part of it, by the change that they are for.
    let held = |first: usize, change: usize, reason| {
        digest_as_shown(&numbered(first), [(Some(first + change), reason)])
    };
    assert_eq!(held(4, 1, "why"), held(0, 1, "why"));
    assert_ne!(held(0, 1, "why"), held(0, 2, "why"));
    assert_ne!(held(0, 1, "why"), held(0, 1, "another"));
    assert_ne!(held(0, 1, "why"), digest_of_writes(&set()));
    let others: Vec<_> = set().changes().iter().skip(1).cloned().collect();
    assert_ne!(digest_of_writes(&ChangeSet::in_this_order(others)), digest_of_writes(&set()));
}
