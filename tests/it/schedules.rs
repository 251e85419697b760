//! Schedules and triggers from outside: what runs by itself does so once, as the agent that it is for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use jiff::Timestamp;
use planwright::coordinate::{Coordinate as _, SharedWrite, Written};
use planwright::graph::BaseUrl;
use planwright::journal::Journal;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::{Place, Planner, ROOK, between_looks, is_write, on_one_day, times, until};

const OPEN: &str =
    "time_zone = \"Europe/Berlin\"\n[policies]\nalways = []\n[limits]\nquarantine_seconds = 0\n";
const ADD: &str = "//! Adds a task to the Inbox.\n//!\n//! ```toml\n//! [params]\n//! title = { type = \"string\" }\n//! ```\nplan(\"BOS Operations\").create_task(#{ title: params.title, bucket: \"Inbox\" });\n";
const URGE: &str = "//! Makes a new task urgent.\n//!\n//! ```toml\n//! [params]\n//! task = { type = \"string\" }\n//! event = { type = \"string\" }\n//! ```\nlet found = task(params.task);\nfound.priority = 1;\n";
const NIGHTLY: &str = "[schedules.nightly]\nskill = \"add\"\ncron = \"0 0 * * *\"\nparams = { title = \"By night\" }\n";
const ON_NEW: &str =
    "[triggers.new]\non = \"task.created\"\nplan = \"BOS Operations\"\nskill = \"urge\"\n";

fn place(planner: &Planner, config: &str) -> Place {
    let place = Place::against(planner);
    place.file("planwright.toml", &format!("{OPEN}{config}"));
    place.file("scripts/skills/add.rhai", ADD).file("scripts/skills/urge.rhai", URGE);
    place
}

/// Fires what is due, and does what that comes to.
#[track_caller]
fn go(place: &Place) -> Vec<Value> {
    let done = place.run(&["work", "--once", "--schedules", "--json"]).code(0).json();
    done.as_array().unwrap().clone()
}

fn count(planner: &Planner, title: &str) -> usize {
    let tasks = planner.get(&format!("/planner/plans/{}/tasks", planner.plan_id()));
    tasks["value"].as_array().unwrap().iter().filter(|task| task["title"] == title).count()
}

fn journal(place: &Place) -> Journal {
    Journal::open(&place.path().join("home/.local/share/planwright/journal.db")).unwrap()
}

/// Lets a schedule have been seen to last some days ago.
fn let_days_pass(place: &Place, schedule: &str) {
    let journal = journal(place);
    // The key has a digest of the service and of the workspace, as two of them may share a folder.
    let service = BaseUrl::parse(place.graph_url.as_deref().unwrap()).unwrap();
    let workspace = place.path().canonicalize().unwrap().display().to_string();
    let digest = Sha256::digest(format!("{service}\n{workspace}").as_bytes());
    let scope: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let key = format!("schedule:{scope}:{schedule}");
    let found = journal.value(&key).unwrap();
    let mut value = found.value.unwrap();
    let after: Timestamp = value["after"].as_str().unwrap().parse().unwrap();
    value["after"] = json!(after - jiff::SignedDuration::from_hours(72));
    let (expected, value) = (found.revision, Some(&value));
    let write = SharedWrite { key: &key, expected, value, fence: None, note: None };
    assert!(matches!(journal.compare_and_set(&write).unwrap(), Written::At(_)));
}

#[test]
fn schedules_are_listed_with_their_next_times_and_can_be_paused() {
    let planner = Planner::demo();
    let place = place(&planner, NIGHTLY);
    let listed = place.run(&["schedule", "list", "--json"]).code(0).json();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    let one = &listed[0];
    assert_eq!(
        (&one["name"], &one["skill"], &one["as"], &one["time_zone"], &one["missed"]),
        (
            &json!("nightly"),
            &json!("add"),
            &json!("schedule"),
            &json!("Europe/Berlin"),
            &json!("run_once")
        )
    );
    assert_eq!((&one["paused"], &one["last"]), (&Value::Null, &Value::Null));
    let next = place.run(&["schedule", "next", "nightly", "--count", "3", "--json"]).code(0).json();
    let times: Vec<Timestamp> = next
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let text = one["at"].as_str().unwrap();
            assert!(text.ends_with("+01:00") || text.ends_with("+02:00"), "{text}");
            text.parse().unwrap()
        })
        .collect();
    assert!(times.len() == 3 && times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
    let shown = || place.run(&["schedule", "list"]).code(0).stdout;
    assert!(shown().contains("nightly") && shown().contains("Europe/Berlin"), "{}", shown());
    let pause = ["schedule", "pause", "nightly", "--reason", "The board is being moved"];
    place.run(&pause).code(0).says(&["nightly is paused"]);
    assert!(shown().contains("paused by rook@bos.example: The board"), "{}", shown());
    assert_eq!(place.run(&["schedule", "next", "--json"]).code(0).json(), json!([]));
    place.run(&["schedule", "resume", "nightly"]).code(0).says(&["fires again"]);
    place.run(&["schedule", "resume", "nightly"]).code(0).says(&["was not paused"]);
    place.run(&["schedule", "run", "nigtly"]).code(1).says(&["did you mean `nightly`?"]);
    place.run(&["schedule", "pause", "nightly", "--as", "rook"]).code(3).says(&["is for people"]);
    place.run(&["audit", "verify"]).code(0);
}

#[test]
fn a_schedule_runs_as_its_agent_whoever_else_there_is() {
    let planner = Planner::demo();
    // The agent of schedules is in no table: nobody can act as it, and it works all the same.
    let place = place(&planner, &format!("[agents.rook]\n{NIGHTLY}"));
    place
        .run(&["task", "list", "--as", "schedule"])
        .code(1)
        .says(&["there is no agent `schedule`"]);
    let entry = place.run(&["schedule", "run", "nightly", "--json"]).code(0).json();
    assert_eq!((&entry["from"], &entry["to"]), (&json!(ROOK), &json!("schedule")));
    let done = place.run(&["work", "--once", "--json"]).code(0).json();
    assert_eq!(done[0]["state"], "done", "{done}");
    let run = done[0]["run_id"].as_str().unwrap();
    let run = place.run(&["runs", "show", run, "--json"]).code(0).json();
    assert_eq!(run["actor"]["agent"], "schedule");
    assert_eq!(count(&planner, "By night"), 1);
}

#[test]
fn a_time_that_was_missed_fires_once() {
    on_one_day(|| {
        let planner = Planner::demo();
        let config = format!("[agents.rook]\n{NIGHTLY}time_zone = \"UTC\"\nas = \"rook\"\n");
        let place = place(&planner, &config);
        assert!(go(&place).is_empty());
        let_days_pass(&place, "nightly");
        let done = go(&place);
        assert_eq!(
            (done.len(), &done[0]["state"], &done[0]["to"]),
            (1, &json!("done"), &json!("rook"))
        );
        let key = done[0]["key"].as_str().unwrap();
        let due = key.strip_prefix("schedule:nightly@").unwrap();
        let due: Timestamp = due.parse().unwrap();
        assert_eq!(due.as_second() % 86_400, 0);
        assert!(go(&place).is_empty());
        // However often it is found to be due.
        let_days_pass(&place, "nightly");
        assert!(go(&place).is_empty());
        assert_eq!(count(&planner, "By night"), 1);
        let listed = place.run(&["schedule", "list", "--json"]).code(0).json();
        assert_eq!(listed[0]["last"]["state"], "done", "{listed}");
        let next: Timestamp = listed[0]["next"].as_str().unwrap().parse().unwrap();
        assert!(next > due);
    });
}

#[test]
fn a_change_of_the_board_fires_once_for_one_list_of_the_plan() {
    let planner = Planner::demo();
    let more = "[triggers.done]\non = \"task.completed\"\nplan = \"BOS Operations\"\nskill = \"urge\"\n[triggers.moved]\non = \"task.moved\"\nplan = \"BOS Operations\"\nskill = \"urge\"\n";
    let place = place(&planner, &format!("{ON_NEW}{more}"));
    assert!(go(&place).is_empty(), "what is there at first is no event");
    planner.requests();
    assert!(go(&place).is_empty());
    let lists = planner.requests().into_iter().filter(|request| request.ends_with("/tasks"));
    assert_eq!(lists.count(), 1);
    let (plan, bucket) = (planner.plan_id(), planner.bucket_id("Inbox"));
    let task = json!({ "planId": plan, "bucketId": bucket, "title": "Order toner" });
    let task = planner.create(ROOK, "/planner/tasks", &task);
    let done = go(&place);
    assert_eq!((done.len(), &done[0]["state"]), (1, &json!("done")), "{done:?}");
    let shown =
        place.run(&["inbox", "show", done[0]["id"].as_str().unwrap(), "--json"]).code(0).json();
    assert_eq!(shown["params"], json!({ "task": task["id"], "event": "task.created" }));
    assert_eq!(planner.task("Order toner")["priority"], 1);
    assert!(go(&place).is_empty(), "what a trigger has done is no new task");
}

#[test]
fn a_trigger_sees_no_more_than_its_agent() {
    let planner = Planner::demo();
    let place = place(&planner, &format!("[agents.rook]\nplans = []\n{ON_NEW}as = \"rook\"\n"));
    planner.requests();
    assert!(go(&place).is_empty());
    let lists = planner.requests().into_iter().filter(|request| request.ends_with("/tasks"));
    assert_eq!(lists.count(), 0);
}

#[test]
fn a_mistake_is_told_wherever_somebody_looks() {
    let planner = Planner::demo();
    let place = place(&planner, "[schedules.nightly]\nskill = \"ad\"\ncron = \"0 2 * * *\"\n");
    let warned =
        ["[schedules.nightly] in planwright.toml: there is no skill `ad`", "did you mean `add`"];
    place.run(&["task", "list"]).code(0).says(&warned);
    let doctor = place.run(&["doctor"]).code(1).stdout;
    assert!(warned.iter().all(|text| doctor.contains(text)), "{doctor}");
    place.run(&["work", "--once", "--schedules"]).code(1).says(&warned);
    place.run(&["schedule", "run", "nightly"]).code(1).says(&warned);
    place.file("planwright.toml", "[schedules.nightly]\nskill = \"add\"\ncron = \"0 2 * *\"\n");
    place.run(&["schedule", "list"]).code(1).says(&["it has 4 fields"]);
    place.file("planwright.toml", "[schedules.nightly]\nskill = \"add\"\ncron = \"0 25 * * *\"\n");
    place.run(&["schedule", "list"]).code(1).says(&["the hour 25 is not 0 to 23", "toml:3:"]);
}

/// Kills the process that keeps everything running, wherever it is.
#[test]
fn killed_anywhere_it_loses_no_time_and_fires_none_twice() {
    on_one_day(|| {
        const N: usize = 5;
        let planner = Planner::demo();
        let config: String = (0..N)
            .map(|n| {
                format!("[schedules.s{n}]\nskill = \"add\"\ncron = \"0 0 * * *\"\ntime_zone = \"UTC\"\nparams = {{ title = \"Number {n}\" }}\n")
            })
            .collect();
        let place = place(&planner, &config);
        assert!(go(&place).is_empty());
        (0..N).for_each(|n| let_days_pass(&place, &format!("s{n}")));
        for n in 0..times("SCHEDULE_KILLS", 3) {
            let (pid, seen) = (Arc::new(AtomicU32::new(0)), AtomicUsize::new(0));
            let victim = Arc::clone(&pid);
            planner.on_request(move |_, exchange| {
                // Each time at another request: before it writes, and while it does.
                let is_one = if n % 2 == 0 { is_write(exchange) } else { true };
                if !is_one || seen.fetch_add(1, Ordering::SeqCst) != n {
                    return;
                }
                until(|| victim.load(Ordering::SeqCst) != 0);
                let id = victim.load(Ordering::SeqCst).to_string();
                std::process::Command::new("kill").args(["-9", &id]).status().unwrap();
            });
            let mut engine = place.start(&["work", "--once", "--schedules"], "");
            pid.store(engine.id(), Ordering::SeqCst);
            engine.wait().unwrap();
            planner.on_request(|_, _| {});
        }
        go(&place);
        for n in 0..N {
            assert_eq!(count(&planner, &format!("Number {n}")), 1, "Number {n}");
        }
        place.run(&["audit", "verify"]).code(0);
    });
}

/// The engine by itself: it fires, and ends in order when it is asked to.
#[cfg(unix)]
#[test]
fn what_keeps_running_fires_and_stops_when_it_is_asked_to() {
    on_one_day(|| {
        let planner = Planner::demo();
        let place = place(&planner, NIGHTLY);
        assert!(go(&place).is_empty());
        let_days_pass(&place, "nightly");
        let mut engine = place.start(&["work", "--schedules"], "");
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while count(&planner, "By night") == 0 {
            assert!(std::time::Instant::now() < deadline, "it does not fire");
            between_looks();
        }
        let id = engine.id().to_string();
        assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        assert!(engine.wait().unwrap().success());
        assert!(go(&place).is_empty());
        assert_eq!(count(&planner, "By night"), 1);
    });
}
