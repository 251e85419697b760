//! The first hour of a person, from an empty home to a redone undo, with nothing but the README and
//! `--help`.

use serde_json::{Value, json};

use crate::support::{PLAN, Place};

fn status(report: &Value) -> &str {
    report["status"].as_str().unwrap()
}

#[test]
fn from_the_first_command_to_a_redone_undo() {
    let place = Place::embedded();
    // The first command sets up the board, and shows it.
    place.run(&["plan", "list"]).code(0).says(&["Set up a demo board", PLAN]);
    place.run(&["doctor"]).code(0);
    // A skill from scratch, checked, tested and run.
    place.run(&["init"]).code(0);
    place.run(&["skill", "new", "tidy_up"]).code(0);
    place.run(&["skill", "check", "tidy_up"]).code(0);
    place.run(&["test", "tidy_up"]).code(0);
    place.run(&["skill", "new", "my_triage", "--from", "morning_triage"]).code(0);
    let preview = place.run(&["run", "my_triage", "--dry-run", "--json"]).code(0).json();
    assert_eq!(status(&preview), "previewed");
    let n = preview["changes"].as_array().unwrap().len();
    let run = preview["run_id"].as_str().unwrap();
    place.run(&["apply", run]).code(0).says(&[&format!("Applied {n} changes")]);
    // A policy of one's own.
    place.run(&["policy", "new", "small_steps"]).code(0);
    place.run(&["policy", "check", "small_steps"]).code(0);
    // A denial that says what would allow it.
    let task = ["task", "delete", "Label the spare laptops"];
    place.run(&task).code(3).says(&["a deletion needs --force"]);
    // What is held says how it is approved, and is.
    let foreign = ["task", "complete", "Translate the brochure for Besançon", "--json"];
    let held = place.run(&foreign).code(7).json();
    let id = held["pending"].as_str().unwrap();
    assert!(place.run(&["pending"]).code(0).stdout.contains(id.get(28..).unwrap()));
    place.run(&["approve", id]).code(0).says(&["Applied 1 change"]);
    // Fifteen moves by hand, in one go, and back.
    let tasks = place.run(&["task", "list", "--plan", PLAN, "--json"]).code(0).json();
    let elsewhere: Vec<&str> = tasks
        .as_array()
        .unwrap()
        .iter()
        .filter(|task| task["bucketName"] != "Inbox" && task["bucketName"] != "Done")
        .map(|task| task["id"].as_str().unwrap())
        .take(15)
        .collect();
    assert_eq!(elsewhere.len(), 15);
    let moves = [&["task", "move"][..], &elsewhere, &["Inbox", "--yes", "--json"]].concat();
    let moved = place.run(&moves).code(0).json();
    assert_eq!((status(&moved), moved["changes"].as_array().unwrap().len()), ("applied", 15));
    let in_inbox = |n: usize| {
        let list = ["task", "list", "--plan", PLAN, "--bucket", "Inbox", "--json"];
        assert_eq!(place.run(&list).code(0).json().as_array().unwrap().len(), n);
    };
    let before = tasks.as_array().unwrap().iter();
    let before = before.filter(|task| task["bucketName"] == "Inbox").count();
    in_inbox(before + 15);
    let undone = place.run(&["undo", "last", "--yes", "--json"]).code(0).json();
    assert_eq!(status(&undone), "applied");
    in_inbox(before);
    place.run(&["redo", "--yes"]).code(0);
    in_inbox(before + 15);
    let runs = place.run(&["runs", "--json"]).code(0).json();
    assert_eq!(runs[0]["skill"], json!("redo"));
    place.run(&["audit", "verify"]).code(0);
}
