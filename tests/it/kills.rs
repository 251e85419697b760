//! Runs that end at any moment, in the middle of whatever they were doing, and are carried on:
//! nothing is lost, nothing is made twice. Here the run is dropped within this process, over
//! random sets; `crash` kills the program itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use planwright::host::{Failure, Session};
use planwright::journal::RunStatus;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::driver::{Dice, Driver};
use crate::model::{Board, Chance, Ids};
use crate::support::{Planner, is_write, times};

/// What happens to the request at which the run ends, and to all that are on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is carried out; nobody is there for the answer.
    Done,
    /// It never arrives.
    Lost,
}

/// Rings when the n-th write arrives.
fn ring_at(planner: &Planner, n: usize, fate: Fate) -> (Arc<Notify>, Arc<AtomicUsize>) {
    let (bell, seen) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
    let (ring, count) = (Arc::clone(&bell), Arc::clone(&seen));
    planner.on_request(move |emulator, exchange| {
        // A batch, and each write in it: the run may end before and after any of them.
        if !is_write(exchange) || count.fetch_add(1, Ordering::SeqCst) + 1 != n {
            return;
        }
        if fate == Fate::Lost {
            let rules = ["POST", "PATCH", "DELETE"]
                .map(|it| json!({ "method": it, "action": { "drop_before": true } }));
            emulator.set_faults(serde_json::from_value(json!(rules)).unwrap()).unwrap();
        }
        ring.notify_one();
    });
    (bell, seen)
}

fn calm(planner: &Planner) {
    planner.on_request(|_, _| {});
    planner.faults(&json!([]));
}

#[test]
fn a_run_that_ends_anywhere_is_carried_on() {
    let planner = Planner::demo();
    let state = tempfile::tempdir().unwrap();
    let mut driver = Driver::new(&planner).recording_in(state.path());
    // The emulator shows at once what it has made.
    driver.host.quarantine = std::time::Duration::ZERO;
    let plan = driver.new_plan("Killed");
    let mut ids = Ids::of(&driver, plan);
    let mut board = Board { title: "Killed".to_owned(), ..Board::default() };
    let mut chance = Chance { dice: Dice::new(11), made: 0 };
    let (mut kills, mut n_sets, mut twice) = (0, 0, 0);
    let n_kills = times("KILLS", 12);
    while kills < n_kills {
        n_sets += 1;
        if n_sets % 50 == 0 {
            check_journal(&driver);
            // Each run opens and checks the whole journal: a small one, for the speed of the test.
            driver = driver.recording_in(&state.path().join(n_sets.to_string()));
        }
        let size = if n_sets == 1 { 40 } else { 1 + chance.dice.below(12) };
        let (after, steps) = chance.steps(&board, size);
        let in_run = ids.clone();
        let wishes = move |session: &Session| -> Result<Value, Failure> {
            let mut in_run = in_run;
            steps.iter().try_for_each(|it| in_run.carry_out(session, it))?;
            Ok(in_run.to_json())
        };
        let at = 1 + chance.dice.below(14);
        let fate = if chance.dice.chance(50) { Fate::Done } else { Fate::Lost };
        let label = format!("set {n_sets}, killed at write {at}, {fate:?}");
        let (bell, _) = ring_at(&planner, at, fate);
        let finished = driver.run_until(&bell, wishes);
        if finished.is_none() {
            planner.settle();
        }
        calm(&planner);
        if finished.is_none() {
            kills += 1;
            // Now and then what carries it on ends as well.
            if chance.dice.chance(30) {
                let (bell, _) = ring_at(&planner, 1 + chance.dice.below(4), fate);
                let carried_on = driver.resume_until(&bell);
                if carried_on.is_none() {
                    planner.settle();
                }
                calm(&planner);
                if carried_on.is_none() {
                    (kills, twice) = (kills + 1, twice + 1);
                }
            }
            driver.resume_all(&label);
        }
        let expected = after.clone();
        let mut found = ids.clone();
        let (now, found) = driver.look(move |session| {
            found.find(session, &expected)?;
            Ok((found.read(session)?, found))
        });
        let unlike = now.differences(&after);
        assert!(unlike.is_empty(), "{label}: {unlike:#?}");
        (ids, board) = (found, after);
    }
    println!("{kills} kills over {n_sets} sets, {twice} of them while carrying on");
    check_journal(&driver);
}

/// Every run has ended, and the audit log is whole.
fn check_journal(driver: &Driver) {
    let journal = driver.host.state_folder.as_ref().unwrap().open().unwrap();
    let runs = journal.runs(usize::MAX, None).unwrap();
    assert!(runs.iter().all(|it| it.status.is_some()), "all have ended");
    assert!(runs.iter().any(|it| it.status == Some(RunStatus::Applied)));
    let verified = journal.verify().unwrap();
    assert!(verified.problems.is_empty(), "{:?}", verified.problems);
}
