//! The workspace inside the program: its own tests, and what they can not show.

use serde_json::Value;

use crate::support::{PLAN, Place, Planner};

#[test]
fn the_shipped_tests_pass() {
    let report = Place::embedded().run(&["test", "--json"]).code(0).json();
    assert_eq!((&report["ok"], &report["failed"]), (&Value::Bool(true), &Value::from(0)));
    assert!(report["passed"].as_u64().unwrap() > 80, "{}", report["passed"]);
}

#[test]
fn nothing_is_to_be_said_against_the_shipped_scripts() {
    Place::embedded().run(&["skill", "check", "--strict"]).code(0);
}

#[test]
fn every_shipped_skill_runs_on_the_demo_board_as_it_is() {
    let place = Place::embedded();
    let skills = place.run(&["skill", "list", "--json"]).code(0).json();
    for skill in skills.as_array().unwrap() {
        let name = skill["name"].as_str().unwrap();
        // These two need to be told what to put on the board.
        if name != "capture_action_item" && name != "import_trello" {
            place.run(&["run", name, "--dry-run"]).code(0);
        }
    }
    assert_eq!(skills.as_array().unwrap().len(), 9);
}

#[test]
fn a_person_may_take_something_back_out_of_done_and_an_agent_may_not() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", "[policies]\nalways = [\"protect_done\"]\n");
    let policy = include_str!("../../scripts/policies/protect_done.rhai");
    place.file("scripts/policies/protect_done.rhai", policy);
    let title = "Check the fire extinguishers";
    let script = format!("plan(\"{PLAN}\").task(\"{title}\").move_to(\"Done\")");
    place.script(&script, &["--as", "victor"]).code(0);
    let done = planner.bucket_id("Done");
    assert_eq!(planner.task(title)["bucketId"], Value::from(done.clone()));
    let runs = place.run(&["runs", "--json"]).code(0).json();
    let runs = runs.as_array().unwrap();
    let first = runs.iter().find(|it| it["status"] == "applied").unwrap();
    let first = first["run_id"].as_str().unwrap();
    place.run(&["undo", first, "--as", "victor"]).code(3).says(&["is in Done"]);
    place.run(&["undo", first]).code(0);
    assert_ne!(planner.task(title)["bucketId"], Value::from(done));
}
