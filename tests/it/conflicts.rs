//! Someone else's edit between a run's read and its write.

use std::sync::Mutex;

use serde_json::{Value, json};

use crate::support::{PLAN, Place, Planner, edit, get};

const TASK: &str = "Book the room for the customer day";

/// Lets someone edit the task once: when the first request that `when` picks arrives.
fn meanwhile(planner: &Planner, when: fn(&str, &str) -> bool, body: Value) {
    let id = planner.task(TASK)["id"].as_str().unwrap().to_owned();
    let once = Mutex::new(Some(body));
    planner.on_request(move |emulator, exchange| {
        if when(&exchange.method, &exchange.path)
            && let Some(body) = once.lock().unwrap().take()
        {
            let details = body.get("description").is_some();
            let path = format!("/planner/tasks/{id}{}", if details { "/details" } else { "" });
            edit(emulator, "mei@bos.example", &path, &body);
        }
    });
}

fn at_the_write(method: &str, _path: &str) -> bool {
    method == "PATCH"
}

/// The first single read of a task is the comparison before the write.
fn before_the_comparison(method: &str, path: &str) -> bool {
    method == "GET" && path.contains("/planner/tasks/")
}

fn set(field: &str) -> String {
    format!("let t = plan(\"{PLAN}\").task(\"{TASK}\"); t.{field};")
}

#[test]
fn an_edit_of_another_field_survives_and_the_run_succeeds() {
    for when in [at_the_write, before_the_comparison] {
        let planner = Planner::demo();
        let place = Place::against(&planner);
        meanwhile(&planner, when, json!({ "title": "Book a bigger room" }));
        place.script(&set("priority = 1"), &[]).code(0).says(&["Applied 1 change"]);
        let task = planner.task("Book a bigger room");
        assert_eq!(task["priority"], 1);
    }
}

#[test]
fn an_edit_of_the_same_field_is_never_overwritten() {
    for when in [at_the_write, before_the_comparison] {
        let planner = Planner::demo();
        let place = Place::against(&planner);
        meanwhile(&planner, when, json!({ "priority": 9 }));
        let report = place.script(&set("priority = 1"), &["--json"]).code(4).json();
        assert_eq!(report["status"], "conflict");
        let change = &report["changes"][0];
        assert_eq!(change["status"], "conflict");
        let sides = json!([{ "field": "priority", "base": 5, "theirs": 9, "ours": 1 }]);
        assert_eq!(change["conflict"], sides);
        assert_eq!(planner.task(TASK)["priority"], 9);
    }
}

#[test]
fn a_conflict_is_told_to_a_person_with_all_three_sides() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    meanwhile(&planner, at_the_write, json!({ "priority": 9 }));
    place.script(&set("priority = 1"), &[]).code(4).says(&[
        "conflict priority: was medium, is now low, wanted urgent",
        "Conflict: nothing was written.",
    ]);
}

#[test]
fn an_edit_of_a_field_that_the_script_read_stops_it() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    meanwhile(&planner, before_the_comparison, json!({ "percentComplete": 100 }));
    let script = set("priority = if t.is_completed { 9 } else { 1 }");
    let report = place.script(&script, &["--json"]).code(4).json();
    assert_eq!(report["changes"][0]["conflict"][0]["field"], "percentComplete");
    assert_eq!(planner.task(TASK)["priority"], 5);
}

#[test]
fn one_conflict_among_several_changes_writes_nothing() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    meanwhile(
        &planner,
        |method, path| method == "GET" && path.ends_with("/details"),
        json!({ "bucketId": planner.bucket_id("Done") }),
    );
    // The comparison lists the plan for many tasks: the edit comes before it, at the details.
    let before = planner.board();
    let script = format!(
        "let t = plan(\"{PLAN}\").task(\"Answer the auditor's questions\"); t.checklist; {}",
        "for t in plan(\"BOS Operations\").bucket(\"Inbox\").tasks { if t.is_overdue() { t.priority = 1; } }"
    );
    let report = place.script(&script, &["--json"]).code(4).json();
    assert_eq!(report["status"], "conflict");
    let moved = planner.task(TASK);
    assert_eq!(moved["bucketId"], json!(planner.bucket_id("Done")));
    let untouched = |title: &str| {
        let was = before[0]["value"].as_array().unwrap().iter().find(|it| it["title"] == title);
        assert_eq!(&planner.task(title), was.unwrap(), "{title}");
    };
    untouched("Renew the liability insurance");
    untouched("Update the emergency contact list");
}

#[test]
fn a_description_edited_by_someone_else_is_not_overwritten() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    meanwhile(&planner, at_the_write, json!({ "description": "Theirs" }));
    let script = set("description = \"Ours\"");
    let report = place.script(&script, &["--json"]).code(4).json();
    assert_eq!(report["changes"][0]["conflict"][0]["field"], "description");
    let id = planner.task(TASK)["id"].as_str().unwrap().to_owned();
    let details = planner.get(&format!("/planner/tasks/{id}/details"));
    assert_eq!(details["description"], "Theirs");
}

#[test]
fn a_task_edited_since_it_was_read_is_not_deleted() {
    for when in [before_the_comparison, |method: &str, _: &str| method == "DELETE"] {
        let planner = Planner::demo();
        let place = Place::against(&planner);
        meanwhile(&planner, when, json!({ "description": "Do not lose this" }));
        place.script(&set("delete()"), &["--force"]).code(4).says(&["changed or deleted it since"]);
        planner.task(TASK);
    }
}

/// A program that looks at empty details rests on their being empty.
#[test]
fn a_description_that_appeared_since_is_not_overwritten() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    // The details are fetched only when they are to be written: the edit comes right before.
    meanwhile(
        &planner,
        |method, path| method == "GET" && path.ends_with("/details"),
        json!({ "description": "Theirs" }),
    );
    let script = set("description += \" and ours\"");
    place.script(&script, &["--json"]).code(4);
    let id = planner.task(TASK)["id"].as_str().unwrap().to_owned();
    let details = planner.get(&format!("/planner/tasks/{id}/details"));
    assert_eq!(details["description"], "Theirs");
}

#[test]
fn a_description_that_was_only_read_is_compared_too() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    meanwhile(&planner, before_the_comparison, json!({ "description": "STOP" }));
    let script = set("priority = if t.description.contains(\"STOP\") { 9 } else { 1 }");
    let report = place.script(&script, &["--json"]).code(4).json();
    assert_eq!(report["changes"][0]["conflict"][0]["field"], "description");
    assert_eq!(planner.task(TASK)["priority"], 5);
}

#[test]
fn what_a_policy_looked_at_is_compared_too() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let mei = get_id(&planner, "mei@bos.example");
    let assignment =
        json!({ "@odata.type": "#microsoft.graph.plannerAssignment", "orderHint": " !" });
    let body = json!({ "assignments": { mei.as_str(): assignment } });
    meanwhile(&planner, before_the_comparison, body);
    // The script does not look at the assignees; agent_rules does.
    let report = place.script(&set("priority = 1"), &["--json"]).code(4).json();
    assert_eq!(report["changes"][0]["conflict"][0]["field"], "assignments");
}

#[test]
fn a_saved_set_is_judged_on_what_is_there_now() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.run(&["task", "update", TASK, "--priority", "urgent", "--out", "a.json"]).code(0);
    let id = planner.task(TASK)["id"].as_str().unwrap().to_owned();
    let mei = get_id(&planner, "mei@bos.example");
    let assignment =
        json!({ "@odata.type": "#microsoft.graph.plannerAssignment", "orderHint": " !" });
    let body = json!({ "title": "Renamed", "assignments": { mei.as_str(): assignment } });
    planner.edit("mei@bos.example", &format!("/planner/tasks/{id}"), &body);
    place.run(&["apply", "a.json"]).code(3).says(&["assigned to someone else (Mei Tanaka)"]);
    let body = json!({ "assignments": { mei.as_str(): null } });
    planner.edit("mei@bos.example", &format!("/planner/tasks/{id}"), &body);
    place.run(&["apply", "a.json"]).code(0).says(&["~ task Renamed"]);
    assert_eq!(planner.task("Renamed")["priority"], 1);
}

#[test]
fn a_saved_set_is_applied_once_and_grants_no_deletion() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.run(&["bucket", "create", "Once", "--plan", PLAN, "--out", "b.json"]).code(0);
    place.run(&["apply", "b.json"]).code(0);
    place.run(&["apply", "b.json"]).code(1).says(&["`b.json` was applied already"]);
    place.run(&["task", "delete", TASK, "--force", "--out", "d.json"]).code(0);
    place.run(&["apply", "d.json"]).code(3).says(&["a deletion needs --force"]);
    place.run(&["apply", "d.json", "--force"]).code(0);
}

#[test]
fn what_others_put_into_a_new_task_stays() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let once = Mutex::new(true);
    planner.on_request(move |emulator, exchange| {
        // The first look at the details of the new task.
        if exchange.method == "GET"
            && exchange.path.ends_with("/details")
            && std::mem::take(&mut *once.lock().unwrap())
        {
            let path = exchange.path.strip_prefix("/v1.0").unwrap();
            let item = json!({ "@odata.type": "#microsoft.graph.plannerChecklistItem", "title": "Theirs" });
            edit(emulator, "mei@bos.example", path, &json!({ "checklist": { "theirs": item } }));
        }
    });
    let script = format!(
        "plan(\"{PLAN}\").create_task(#{{ title: \"New\", description: \"Ours\", checklist: [\"Ours\"] }});"
    );
    place.script(&script, &[]).code(0);
    let id = planner.task("New")["id"].as_str().unwrap().to_owned();
    let details = planner.get(&format!("/planner/tasks/{id}/details"));
    assert_eq!(details["description"], "Ours");
    assert_eq!(details["checklist"].as_object().unwrap().len(), 2);
}

#[test]
fn a_bucket_is_not_deleted_with_tasks_that_came_since() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.run(&["bucket", "create", "Empty", "--plan", PLAN]).code(0);
    let bucket = planner.bucket_id("Empty");
    let task = planner.task(TASK)["id"].as_str().unwrap().to_owned();
    let mut lists = 0;
    planner.on_request(move |emulator, exchange| {
        // The first list is the run's, the second the comparison's.
        lists += usize::from(exchange.path.ends_with("/tasks"));
        if lists == 2 && exchange.path.ends_with("/tasks") {
            let path = format!("/planner/tasks/{task}");
            edit(emulator, "mei@bos.example", &path, &json!({ "bucketId": bucket }));
        }
    });
    let id = planner.bucket_id("Empty");
    let delete = ["bucket", "delete", "Empty", "--plan", PLAN, "--force"];
    place.run(&delete).code(4).says(&["someone else has put tasks into it"]);
    assert_eq!(planner.task(TASK)["bucketId"], json!(id));
}

#[test]
fn two_people_are_assigned_at_once() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let victor = get_id(&planner, "victor@bos.example");
    let assignment =
        json!({ "@odata.type": "#microsoft.graph.plannerAssignment", "orderHint": " !" });
    meanwhile(&planner, at_the_write, json!({ "assignments": { victor.as_str(): assignment } }));
    place.script(&set("assign(me())"), &[]).code(0);
    let assignments = planner.task(TASK)["assignments"].as_object().unwrap().len();
    assert_eq!(assignments, 2);
}

fn get_id(planner: &Planner, upn: &str) -> String {
    planner.get(&format!("/users/{upn}"))["id"].as_str().unwrap().to_owned()
}

#[test]
fn an_earlier_patch_is_not_sent_twice_when_its_answer_says_conflict() {
    // A task and its details in one change: the details collide, the task is written. That is
    // reported as what it is.
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let id = planner.task(TASK)["id"].as_str().unwrap().to_owned();
    let once = Mutex::new(true);
    planner.on_request(move |emulator, exchange| {
        let mine = exchange.method == "PATCH" && exchange.path.ends_with("/details");
        if mine && std::mem::take(&mut *once.lock().unwrap()) {
            let path = format!("/planner/tasks/{id}/details");
            edit(emulator, "mei@bos.example", &path, &json!({ "description": "Theirs" }));
            assert_eq!(get(emulator, "mei@bos.example", &path)["description"], "Theirs");
        }
    });
    let script = format!(
        "let t = plan(\"{PLAN}\").task(\"{TASK}\"); t.priority = 1; t.description = \"Ours\";"
    );
    let report = place.script(&script, &["--json"]).code(8).json();
    assert_eq!(report["status"], "partial");
    assert_eq!(report["changes"][0]["status"], "conflict");
    assert_eq!(planner.task(TASK)["priority"], 1);
}
