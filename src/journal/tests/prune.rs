//! What is pruned, and what never is.

use serde_json::{Value, json};

use crate::change::ReadSet;
use crate::change::draft::Draft;
use crate::journal::Journal;
use crate::journal::entry::{
    Intent, Judgement, NewRun, Note, NoteKind, Outcome, Pruned, Purpose, RunId, RunStatus, Settled,
    StepId,
};
use crate::journal::inbox::{EntryState, InboxEntry, Submission};
use crate::journal::kept::{KeptSet, KeptState};
use crate::journal::store::prune::LAST_OF_ACTOR;
use crate::journal::tests::{RUN, at, id, intent, journal, new_run, set, settled};
use crate::model::snapshot::Snapshot;
use crate::model::{PlanId, Reference, Task};

const NOTHING: Pruned = Pruned { runs: 0, entries: 0 };

fn note(second: i64) -> Note {
    let name = "planwright".to_owned();
    let kind = NoteKind::Pruned;
    Note { kind, at: at(second), run: None, actor: None, name, detail: Value::Null }
}

/// The id of a run that begins at a second.
fn nth(n: i64) -> RunId {
    id(&format!("0199f3c2-7a51-7cc3-98b1-{n:012x}"))
}

fn begin(journal: &Journal, n: i64, change: impl FnOnce(&mut NewRun)) -> RunId {
    let mut run = NewRun { id: nth(n), at: at(n), ..new_run(RUN) };
    change(&mut run);
    journal.begin(&run).unwrap();
    run.id
}

fn finish(journal: &Journal, run: &RunId, second: i64, report: &Value) {
    journal.finish(run, at(second), RunStatus::Applied, report).unwrap();
}

/// A run that has made a task, `made-N`.
fn wrote(journal: &Journal, n: i64, change: impl FnOnce(&mut NewRun)) -> RunId {
    let run = begin(journal, n, change);
    journal.judged(&run, at(n), &set(), &json!([]), Judgement::Cleared).unwrap();
    let post = Intent { method: "POST".into(), if_match: None, ..intent(3, 1) };
    journal.intend(&run, at(n), &[post]).unwrap();
    let made = Settled { entity_id: Some(format!("made-{n}")), ..settled(3, 1, Outcome::Applied) };
    journal.settle(&run, at(n), &[made]).unwrap();
    run
}

fn left(journal: &Journal) -> Vec<RunId> {
    journal.runs(usize::MAX, None).unwrap().into_iter().map(|run| run.id).collect()
}

#[test]
fn the_last_runs_of_an_actor_stay_and_what_was_made_stays_known() {
    let (_dir, journal) = journal();
    let n = i64::try_from(LAST_OF_ACTOR).unwrap() + 3;
    for n in 0..n {
        let run = wrote(&journal, n, |_| {});
        finish(&journal, &run, n, &json!({}));
    }
    assert_eq!(journal.prune(at(0), &note(100)).unwrap(), NOTHING);
    assert_eq!(journal.prunable(at(100)).unwrap().runs, 3);
    assert_eq!(left(&journal).len(), LAST_OF_ACTOR + 3);
    // Of those that are old enough, the oldest.
    assert_eq!(journal.prune(at(2), &note(100)).unwrap().runs, 2);
    assert_eq!(journal.prune(at(100), &note(100)).unwrap().runs, 1);
    assert_eq!(left(&journal), (3..n).rev().map(nth).collect::<Vec<_>>());
    assert!((0..n).all(|n| journal.is_claimed(&format!("made-{n}")).unwrap()));
    let found = journal.verify().unwrap();
    assert!(found.is_ok(), "{found:#?}");
    // What is not named in the log cannot be deleted, and the log not be shortened.
    let delete = |sql: &str| journal.store.connection().execute(sql, []).is_err();
    assert!(delete("DELETE FROM finish") && delete("DELETE FROM outcome"));
    assert!(delete("DELETE FROM audit WHERE seq = 1") && delete("DELETE FROM pruned"));
}

#[test]
fn a_run_that_somebody_deletes_is_missed_although_others_were_pruned() {
    let (_dir, journal) = journal();
    for n in 0..2 {
        let run = begin(&journal, n, |_| {});
        finish(&journal, &run, n, &json!({}));
    }
    assert_eq!(journal.prune(at(1), &note(9)).unwrap().runs, 1);
    assert!(journal.verify().unwrap().is_ok());
    {
        let on = journal.store.connection();
        let run = nth(1);
        let named = "INSERT INTO pruned (run_id, seq) VALUES (?1, 1)";
        on.execute(named, [run.as_str()]).unwrap();
        on.execute("DELETE FROM finish WHERE run_id = ?1", [run.as_str()]).unwrap();
        on.execute("DELETE FROM run WHERE id = ?1", [run.as_str()]).unwrap();
    }
    let found = journal.verify().unwrap();
    assert_eq!(found.problems.len(), 2, "{found:#?}");
}

#[test]
fn what_is_unfinished_keeps_all_that_belongs_to_it() {
    let (_dir, journal) = journal();
    // Cut off, and carried on by one that was cut off as well.
    let root = wrote(&journal, 0, |_| {});
    let resumed = begin(&journal, 1, |run| {
        (run.purpose, run.parent) = (Purpose::Resume, Some(nth(0)));
    });
    finish(&journal, &resumed, 1, &json!({ "unfinished": true }));
    // One that was begun and never ended, one that was refused, and one after a preview.
    begin(&journal, 2, |_| {});
    let over = begin(&journal, 3, |_| {});
    finish(&journal, &over, 3, &json!({}));
    assert_eq!(journal.prune(at(100), &note(100)).unwrap().runs, 1);
    assert_eq!(left(&journal), [nth(2), nth(1), nth(0)]);
    // Once it has come to its end, it is like any other; the last that wrote stays, and its family.
    let last = begin(&journal, 4, |run| {
        (run.purpose, run.parent) = (Purpose::Resume, Some(root.clone()));
    });
    finish(&journal, &last, 4, &json!({}));
    assert_eq!(journal.prune(at(100), &note(100)).unwrap(), NOTHING);
    for n in 0..i64::try_from(LAST_OF_ACTOR).unwrap() {
        let run = wrote(&journal, 10 + n, |_| {});
        finish(&journal, &run, 200, &json!({}));
    }
    assert_eq!(journal.prune(at(100), &note(100)).unwrap().runs, 3);
    assert!(journal.verify().unwrap().is_ok());
    assert_eq!(left(&journal).len(), 1 + LAST_OF_ACTOR);
}

#[test]
fn keys_of_what_was_submitted_and_what_still_waits_stay() {
    let (_dir, journal) = journal();
    let entry = |key: Option<&str>, state: EntryState| InboxEntry {
        key: key.map(str::to_owned),
        state,
        ended_at: state.is_over().then(|| at(1)),
        ..InboxEntry::queued(
            ("embedded".into(), String::new()),
            ("tidy".into(), json!({})),
            "rook@bos.example".into(),
            at(0),
        )
    };
    let mut waits = entry(None, EntryState::Queued);
    let run = begin(&journal, 0, |_| {});
    finish(&journal, &run, 0, &json!({}));
    waits.run = Some(run);
    let keyed = entry(Some("mail-1"), EntryState::Done);
    for entry in [&waits, &keyed, &entry(None, EntryState::Done)] {
        journal.submit(&Submission::new(entry, &note(0))).unwrap();
    }
    let later = at(3 * 86_400);
    assert_eq!(journal.prunable(later).unwrap(), Pruned { runs: 0, entries: 1 });
    assert_eq!(journal.prune(later, &note(9)).unwrap(), Pruned { runs: 0, entries: 1 });
    assert_eq!(journal.inbox_entry(&waits.id).unwrap(), Some(waits));
    assert_eq!(journal.inbox_entry(&keyed.id).unwrap(), Some(keyed));
}

/// Policies ask who made a task, and the key of one is nowhere else until its details are written.
#[test]
fn what_is_still_asked_about_a_task_outlives_its_run() {
    let (_dir, journal) = journal();
    let old = wrote(&journal, 0, |run| run.agent = Some("victor".into()));
    finish(&journal, &old, 0, &json!({}));
    for n in 0..i64::try_from(LAST_OF_ACTOR).unwrap() {
        let run = wrote(&journal, 10 + n, |run| run.agent = Some("victor".into()));
        finish(&journal, &run, 200, &json!({}));
    }
    let made_by = || journal.made_by("embedded", "made-0").unwrap();
    let before = made_by();
    assert_eq!(before, Some(Some("victor".to_owned())));
    assert_eq!(journal.prune(at(100), &note(100)).unwrap().runs, 1);
    assert_eq!(made_by(), before);
    assert_eq!(journal.made_by("elsewhere", "made-0").unwrap(), None);
}

/// A task that was made with a key and has no details yet is still looked for by it; once they are written,
/// its run goes like any other.
#[test]
fn a_task_that_is_looked_for_by_its_key_outlives_its_run() {
    let keyed = {
        let plan = PlanId::parse("xqQg5FS2LkCp935s-FIFm2QAFkHM").unwrap();
        let mut draft = Draft::new("abc".into());
        let id = draft.create_task(|id| Task::new(id, plan, "Keyed".into()));
        draft.edit_task(None, None, &id, |edit| {
            let details = edit.details.get_or_insert_default();
            let reference = Reference { alias: Some("key".into()), kind: None };
            details.references.insert("https://example.org/key".into(), reference);
        });
        draft.finish(&ReadSet::new(), &Snapshot::default())
    };
    for has_details in [false, true] {
        let (_dir, journal) = journal();
        let run = begin(&journal, 0, |_| {});
        journal.judged(&run, at(0), &keyed, &json!([]), Judgement::Cleared).unwrap();
        let mut parts =
            vec![("itself", "POST", "/planner/tasks".to_owned(), Some("made".to_owned()))];
        if has_details {
            parts.push(("details", "PATCH", "/planner/tasks/made/details".to_owned(), None));
        }
        for (part, method, path, entity_id) in parts {
            let step = StepId { round: 1, n: 1, step: part.into() };
            let sent = Intent { step: step.clone(), method: method.into(), path, ..intent(1, 1) };
            journal.intend(&run, at(0), &[sent]).unwrap();
            let answer = Settled { step, entity_id, ..settled(1, 1, Outcome::Applied) };
            journal.settle(&run, at(0), &[answer]).unwrap();
        }
        finish(&journal, &run, 0, &json!({}));
        for n in 0..i64::try_from(LAST_OF_ACTOR).unwrap() {
            let run = wrote(&journal, 10 + n, |_| {});
            finish(&journal, &run, 200, &json!({}));
        }
        let pruned = journal.prune(at(100), &note(100)).unwrap().runs;
        assert_eq!(pruned, usize::from(has_details), "details: {has_details}");
    }
}

/// The run that drafted a set and the one that applied it stay and go together.
#[test]
fn a_set_stays_with_the_run_that_applied_it() {
    let (_dir, journal) = journal();
    let drafted = begin(&journal, 0, |_| {});
    finish(&journal, &drafted, 0, &json!({}));
    let applied = begin(&journal, 1, |_| {});
    finish(&journal, &applied, 500, &json!({}));
    journal
        .keep(&KeptSet {
            run: drafted.clone(),
            at: at(0),
            expires_at: None,
            digest: "sha256:0".into(),
            changes: 1,
            saved: "{}".into(),
            state: KeptState::Applied,
            decided_by: None,
            reason: None,
            applied_by: Some(applied.clone()),
            moved_seq: None,
        })
        .unwrap();
    assert_eq!(journal.prune(at(100), &note(100)).unwrap(), NOTHING);
    assert_eq!(left(&journal), [applied, drafted]);
}

/// An entry says who asked for a set, and whoever asked must not approve it.
#[test]
fn who_asked_for_what_still_waits_stays_known() {
    let (_dir, journal) = journal();
    let submit = |run: &RunId| {
        let entry = InboxEntry {
            state: EntryState::Done,
            ended_at: Some(at(1)),
            run: Some(run.clone()),
            ..InboxEntry::queued(
                ("embedded".into(), String::new()),
                ("tidy".into(), json!({})),
                "rook@bos.example".into(),
                at(0),
            )
        };
        journal.submit(&Submission::new(&entry, &note(0))).unwrap();
        entry
    };
    let keep = |run: &RunId, state: KeptState| {
        journal
            .keep(&KeptSet {
                run: run.clone(),
                at: at(0),
                expires_at: None,
                digest: "sha256:0".into(),
                changes: 1,
                saved: "{}".into(),
                state,
                decided_by: None,
                reason: None,
                applied_by: None,
                moved_seq: None,
            })
            .unwrap();
    };
    let held = |n: i64, state: KeptState| {
        let run = begin(&journal, n, |_| {});
        finish(&journal, &run, n, &json!({}));
        keep(&run, state);
        submit(&run)
    };
    // Held, approved, and one of which the rest is held or may yet be; and two that are over.
    let mut kept = vec![held(0, KeptState::Pending), held(1, KeptState::Approved)];
    kept.push(held(2, KeptState::Applied));
    let applied = begin(&journal, 3, |run| {
        (run.purpose, run.parent) = (Purpose::Apply, Some(nth(2)));
    });
    finish(&journal, &applied, 3, &json!({ "unfinished": true }));
    // A run of which the service refused a part is no unfinished one, and can be carried on by its name.
    kept.push(held(7, KeptState::Applied));
    let in_part = wrote(&journal, 8, |run| {
        (run.purpose, run.parent) = (Purpose::Apply, Some(nth(7)));
    });
    journal.finish(&in_part, at(8), RunStatus::Partial, &json!({})).unwrap();
    let over = [held(4, KeptState::Rejected), held(5, KeptState::Applied)];
    let later = at(3 * 86_400);
    assert_eq!(journal.prunable(later).unwrap().entries, over.len());
    let rest = begin(&journal, 6, |run| {
        (run.purpose, run.parent) = (Purpose::Resume, Some(applied.clone()));
    });
    finish(&journal, &rest, 6, &json!({}));
    keep(&rest, KeptState::Pending);
    assert_eq!(journal.prune(later, &note(9)).unwrap().entries, over.len());
    for entry in kept {
        assert_eq!(journal.inbox_entry(&entry.id).unwrap(), Some(entry));
    }
    for entry in over {
        assert_eq!(journal.inbox_entry(&entry.id).unwrap(), None);
    }
}
