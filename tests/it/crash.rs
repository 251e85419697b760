//! The program killed at every write of a run, and the run carried on: nothing is lost, nothing
//! is made twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use planwright::host::{NewTask, Status, StopReason};
use serde_json::{Value, json};

use crate::driver::Driver;
use crate::support::{PLAN, Place, Planner, is_write, times, until};

/// How many of everything; sixty changes in all.
const SIZE: usize = 28;

/// Creates with details, in a new bucket and in an old one; updates of tasks, details and places;
/// deletions.
fn script() -> String {
    format!(
        r#"let p = plan("{PLAN}");
        let b = p.create_bucket("Fresh");
        for n in 0..{SIZE} {{
            let t = b.create_task(#{{ title: `New ${{n}}`, description: `D ${{n}}`, checklist: ["A", "B"], assign: me() }});
            if n % 2 == 0 {{ p.bucket("Inbox").create_task(#{{ title: `Bare ${{n}}` }}); }}
        }}
        let n = 0;
        for t in p.bucket("This Week").tasks + p.bucket("Inbox").tasks {{
            if n < {SIZE} {{ t.title += " !"; t.description += " more"; t.priority = 1; }}
            n += 1;
        }}
        n = 0;
        for t in p.bucket("Done").tasks {{
            if n < {SIZE} {{ t.delete(); }}
            n += 1;
        }}
        let first = p.bucket("In Progress").tasks_in_order();
        first[0].move_after(first[1]);"#
    )
}

fn place(planner: &Planner) -> Place {
    let place = Place::against(planner);
    // The emulator shows at once what it has made: no need to wait before it is looked for.
    place.file(
        "planwright.toml",
        "[policies]\nalways = []\n[limits]\nmax_deletes = 100\nquarantine_seconds = 0\n",
    );
    place
}

/// The board as it should be in the end, without what differs from one copy of it to the next.
fn board(place: &Place) -> Value {
    serde_json::from_str(&place.run(&["plan", "export", PLAN]).code(0).stdout).unwrap()
}

/// What happens at the write at which the program is killed.
#[derive(Debug, Clone, Copy)]
enum Fate {
    /// It arrives and is carried out; nobody is there for the answer.
    Done,
    /// It never arrives.
    Lost,
}

#[test]
fn a_run_killed_at_any_write_is_carried_on() {
    let (expected, n_writes) = {
        let planner = Planner::demo();
        let place = place(&planner);
        let report = place.script(&script(), &["--force", "--json"]).code(0).json();
        let n_changes = report["changes"].as_array().unwrap().len();
        assert!(n_changes >= 60, "{n_changes}");
        let n_writes = planner.exchanges().iter().filter(|it| is_write(it)).count();
        (board(&place), n_writes)
    };
    let kills = times("CRASHES", 6).min(n_writes * 2);
    for kill in 0..kills {
        let at = kill * n_writes / kills + 1;
        let fate = if kill % 2 == 0 { Fate::Done } else { Fate::Lost };
        let planner = Planner::demo();
        let place = place(&planner);
        if matches!(fate, Fate::Lost) {
            // Reads are not counted: each write is one of these.
            let mut rules = Vec::new();
            for method in ["POST", "PATCH", "DELETE"] {
                rules.push(json!({ "method": method, "action": { "drop_before": true } }));
            }
            kill_at(&planner, &place, &script(), at, Some(json!(rules)));
        } else {
            kill_at(&planner, &place, &script(), at, None);
        }
        let label = format!("killed at write {at} of {n_writes}, {fate:?}");
        let unfinished = place.run(&["runs", "--json"]).code(0).json();
        assert_eq!(unfinished[0]["status"], Value::Null, "{label}");
        let resumed = place.run(&["resume", "--force", "--json"]);
        assert_eq!(resumed.code, 0, "{label}: {} {}", resumed.stdout, resumed.stderr);
        assert_eq!(board(&place), expected, "{label}");
        assert_eq!(place.run(&["resume", "--json"]).code(0).json(), json!([]), "{label}");
        place.run(&["audit", "verify"]).code(0);
    }
}

#[test]
fn a_run_killed_at_a_commit_is_not_taken_for_done() {
    let script = format!(
        "let b = plan(\"{PLAN}\").create_bucket(\"New\"); b.create_task(#{{ title: \"one\" }}); commit(); b.create_task(#{{ title: \"two\" }}); b.create_task(#{{ title: \"three\" }});"
    );
    // In the first segment, then in what follows the last commit.
    for (at, code) in [(1, 8), (2, 8), (3, 0)] {
        let planner = Planner::demo();
        let place = place(&planner);
        kill_at(&planner, &place, &script, at, None);
        let first = place.run(&["runs", "--json"]).code(0).json();
        let resumed = place.run(&["resume", "--json"]).code(code).json();
        let said = resumed[0]["error"]["message"].to_string();
        assert_eq!(said.contains("cut off after a commit()"), code == 8, "{at}: {resumed:#}");
        assert_eq!(resumed[0]["status"] == "partial", code == 8, "{at}: {resumed:#}");
        let tasks = board(&place).to_string();
        assert_eq!(tasks.matches("\"one\"").count(), 1, "{at}: {tasks}");
        assert_eq!(tasks.contains("\"two\""), code == 0, "{at}: {tasks}");
        // It stays so for whoever asks again, and nobody takes it up unasked.
        let id = &first[0]["run_id"];
        place.run(&["resume", id.as_str().unwrap(), "--json"]).code(code);
        assert_eq!(place.run(&["resume", "--json"]).code(0).json(), json!([]), "{at}");
    }
}

/// Runs the script until a write arrives, then kills the program; from then on the faults apply.
pub(crate) fn kill_at(
    planner: &Planner,
    place: &Place,
    script: &str,
    at: usize,
    faults: Option<Value>,
) {
    let pid = Arc::new(AtomicU32::new(0));
    let (victim, seen) = (pid.clone(), AtomicUsize::new(0));
    planner.on_request(move |emulator, exchange| {
        // A batch, and each write in it.
        if !is_write(exchange) || seen.fetch_add(1, Ordering::SeqCst) + 1 != at {
            return;
        }
        if let Some(rules) = &faults {
            emulator.set_faults(serde_json::from_value(rules.clone()).unwrap()).unwrap();
        }
        until(|| victim.load(Ordering::SeqCst) != 0);
        let id = victim.load(Ordering::SeqCst).to_string();
        let killed = std::process::Command::new("kill").args(["-9", &id]).status().unwrap();
        assert!(killed.success());
    });
    let mut child = place.start(&["run", "-", "--force"], script);
    pid.store(child.id(), Ordering::SeqCst);
    let status = child.wait().unwrap();
    assert!(!status.success(), "it was to be killed at write {at}");
    planner.on_request(|_, _| {});
    planner.faults(&json!([]));
}

/// A run that was interrupted is carried on by whoever resumes next; one whose caller took it back is not.
#[test]
fn what_its_caller_took_back_is_not_carried_on_by_itself() {
    for (reason, n) in [(StopReason::Cancelled, 1), (StopReason::Withdrawn, 0)] {
        let planner = Planner::demo();
        let dir = tempfile::tempdir().unwrap();
        let driver = Driver::new(&planner).recording_in(dir.path());
        let interrupt = Arc::clone(&driver.host.interrupt);
        planner.on_request(move |_, exchange| {
            if is_write(exchange) {
                interrupt.set(reason.clone());
            }
        });
        let report = driver
            .run(|session| {
                let plan = session.find_plan(PLAN)?;
                for n in 0..45 {
                    let new = NewTask { title: format!("Many {n}"), ..NewTask::default() };
                    session.editor()?.create_task(&plan, new)?;
                }
                Ok(Value::Null)
            })
            .report;
        assert_eq!(report.status, Status::Partial, "{report:?}");
        assert_eq!(driver.unfinished(), n, "{report:?}");
    }
}
