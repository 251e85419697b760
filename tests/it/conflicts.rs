//! Someone else's edit between a run's read and its write: rebased, decided anew, or a conflict
//! (design.md 2.3).

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::{PLAN, Place, Planner, edit, get};

const TASK: &str = "Book the room for the customer day";
const MEI: &str = "mei@bos.example";

/// Tells whether someone's moment has come, of a request in the order in which they arrive.
type When = fn(&str, &str, usize) -> bool;

/// Lets someone edit the task at the first `times` requests that `when` picks, each time
/// otherwise.
fn each_time(
    planner: &Planner,
    when: When,
    times: usize,
    body: impl Fn(usize) -> Value + Send + Sync + 'static,
) {
    let id = planner.task(TASK)["id"].as_str().unwrap().to_owned();
    let (lists, edits) = (AtomicUsize::new(0), AtomicUsize::new(0));
    planner.on_request(move |emulator, exchange| {
        let is_list = exchange.method == "GET" && exchange.path.ends_with("/tasks");
        let lists = lists.fetch_add(usize::from(is_list), Ordering::SeqCst) + usize::from(is_list);
        if !when(&exchange.method, &exchange.path, lists) {
            return;
        }
        let n = edits.fetch_add(1, Ordering::SeqCst);
        if n < times {
            let body = body(n);
            let details = body.get("description").is_some();
            let path = format!("/planner/tasks/{id}{}", if details { "/details" } else { "" });
            edit(emulator, MEI, &path, &body);
        }
    });
}

fn meanwhile(planner: &Planner, when: When, body: Value) {
    each_time(planner, when, 1, move |_| body.clone());
}

fn at_the_write(method: &str, _path: &str, _lists: usize) -> bool {
    method == "PATCH"
}

/// The first list of the plan's tasks is the run's, the second is compared with it.
fn before_the_comparison(method: &str, path: &str, lists: usize) -> bool {
    method == "GET" && path.ends_with("/tasks") && lists == 2
}

/// Details that the task says are empty are first read to be compared.
fn at_the_details(method: &str, path: &str, _lists: usize) -> bool {
    method == "GET" && path.ends_with("/details")
}

fn set(field: &str) -> String {
    format!("let t = plan(\"{PLAN}\").task(\"{TASK}\"); t.{field};")
}

fn description(planner: &Planner) -> Value {
    let id = planner.task(TASK)["id"].as_str().unwrap().to_owned();
    planner.get(&format!("/planner/tasks/{id}/details"))["description"].clone()
}

/// Nobody looked at what moved, so nothing is decided anew.
#[test]
fn an_edit_of_another_field_survives_and_the_run_succeeds() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", "[policies]\nalways = []\n");
    let id = planner.task(TASK)["id"].as_str().unwrap().to_owned();
    meanwhile(&planner, at_the_write, json!({ "startDateTime": "2026-01-01T00:00:00Z" }));
    let script = format!("let t = task(\"{id}\"); t.priority = 1;");
    let report = place.script(&script, &["--json"]).code(0).json();
    assert_eq!(report["stats"]["replays"], 0);
    let task = planner.task(TASK);
    assert_eq!(
        (&task["priority"], &task["startDateTime"]),
        (&json!(1), &json!("2026-01-01T00:00:00Z"))
    );
}

/// The tag of a field that collides protects it; then the script decides anew.
#[test]
fn a_script_adds_to_whatever_is_there_exactly_once() {
    let ways = [true, false].into_iter();
    for (in_host, when) in
        ways.flat_map(|it| [(it, at_the_write as When), (it, before_the_comparison)])
    {
        let planner = Planner::demo();
        let place = Place::against(&planner);
        meanwhile(&planner, when, json!({ "description": "Theirs" }));
        let script = set("description += \" and ours\"");
        place.file("adds.rhai", &script);
        let way = if in_host { "adds.rhai" } else { "-" };
        let report = place.run_with(&["run", way, "--json"], &script, &[]).code(0).json();
        assert_eq!(report["status"], "applied");
        let field = &report["changes"][0]["fields"]["description"];
        assert_eq!(field["before"], "Theirs", "what the change rests on in the end");
        assert_eq!(description(&planner), "Theirs and ours");
        assert_eq!(report["stats"]["replays"], 1);
    }
}

/// An item that was sent once may be there: a replay writes the same items, not others beside them.
#[test]
fn a_replay_keeps_the_keys_of_new_checklist_items_which_are_guids() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    meanwhile(&planner, at_the_write, json!({ "description": "Theirs" }));
    let script =
        set("description += \"!\"; t.add_checklist_item(\"A\"); t.add_checklist_item(\"B\")");
    let report = place.script(&script, &["--json"]).code(0).json();
    assert_eq!(report["stats"]["replays"], 1);
    let bodies = planner.writes().into_iter().filter_map(|it| it.body);
    let sent: Vec<Value> =
        bodies.map(|it| it["checklist"].clone()).filter(|it| !it.is_null()).collect();
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0], sent[1]);
    let keys = sent[0].as_object().unwrap();
    assert_eq!(keys.len(), 2);
    for key in keys.keys() {
        let guid = uuid::Uuid::parse_str(key).unwrap();
        assert_eq!((guid.get_version_num(), guid.to_string()), (4, key.clone()));
    }
}

#[test]
fn a_script_decides_anew_on_what_it_read_and_does_not_write() {
    for (when, body) in [
        (before_the_comparison as When, json!({ "percentComplete": 100 })),
        (at_the_details, json!({ "description": "STOP" })),
    ] {
        let planner = Planner::demo();
        let place = Place::against(&planner);
        meanwhile(&planner, when, body);
        let script = set(
            "priority = if t.is_completed || t.description.contains(\"STOP\") { 9 } else { 1 }",
        );
        let report = place.script(&script, &["--json"]).code(0).json();
        assert_eq!(report["stats"]["replays"], 1);
        assert_eq!(planner.task(TASK)["priority"], 9);
    }
}

/// What is drafted anew is judged anew: nothing goes out that the rules would not have let
/// through from the beginning.
#[test]
fn what_is_decided_anew_is_judged_anew() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let mei = get_id(&planner, MEI);
    let assignment =
        json!({ "@odata.type": "#microsoft.graph.plannerAssignment", "orderHint": " !" });
    let body = json!({ "assignments": { mei.as_str(): assignment } });
    meanwhile(&planner, before_the_comparison, body);
    // The script does not look at the assignees; agent_rules does.
    let report = place.script(&set("priority = 1"), &["--json"]).code(7).json();
    assert_eq!(report["status"], "held");
    assert!(report["verdicts"].to_string().contains("assigned to someone else"));
    assert_eq!(planner.task(TASK)["priority"], 5);
}

/// What the program said before it ran again is not said.
#[test]
fn the_output_is_that_of_the_last_time() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    meanwhile(&planner, before_the_comparison, json!({ "priority": 9 }));
    let script = set("priority; print(`it is ${t.priority}`); t.priority = 1; t.priority");
    let report = place.script(&script, &["--json"]).code(0).json();
    assert_eq!((&report["output"], &report["result"]), (&json!(["it is 9"]), &json!(1)));
}

/// Someone who never stops is not fought for ever.
#[test]
fn a_conflict_that_does_not_end_is_told_with_all_three_sides() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    each_time(&planner, at_the_write, usize::MAX, |n| json!({ "priority": 2 + n % 8 }));
    let script = set("priority = 1");
    let report = place.script(&script, &["--json"]).code(4).json();
    assert_eq!((&report["status"], &report["stats"]["replays"]), (&json!("conflict"), &json!(8)));
    let change = &report["changes"][0];
    assert_eq!((&change["status"], &change["attempts"]), (&json!("conflict"), &json!(9)));
    let side = &change["conflict"][0];
    assert_eq!((&side["field"], &side["ours"]), (&json!("priority"), &json!(1)));
    assert_ne!(side["base"], side["theirs"]);
    assert_ne!(planner.task(TASK)["priority"], 1, "nothing was overwritten");
    place
        .script(&script, &[])
        .code(4)
        .says(&["conflict priority: was ", "Conflict: nothing was written."]);
}

/// The others are not held up by the one in conflict, and it is sent once more by itself.
#[test]
fn only_what_is_in_conflict_is_sent_again() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", "[policies]\nalways = []\n");
    meanwhile(&planner, at_the_write, json!({ "priority": 9 }));
    let script = format!("for t in plan(\"{PLAN}\").tasks {{ t.priority = 1; }}");
    let report = place.script(&script, &["--json"]).code(0).json();
    let changes = report["changes"].as_array().unwrap();
    assert!(changes.len() > 5);
    for change in changes {
        let mine = change["title"] == TASK;
        assert_eq!(change["attempts"], if mine { 2 } else { 1 }, "{}", change["title"]);
        assert_eq!(change["status"], "applied");
    }
    assert_eq!(report["stats"]["replays"], 1);
    let board = planner.board();
    assert!(board[0]["value"].as_array().unwrap().iter().all(|it| it["priority"] == 1));
}

/// What was written must come out the same, or the run stops.
#[test]
fn a_program_that_wants_something_else_of_what_it_has_written_stops() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", "[policies]\nalways = []\n");
    meanwhile(&planner, at_the_write, json!({ "priority": 9 }));
    let other = "Answer the auditor's questions";
    let script = format!(
        "let p = plan(\"{PLAN}\"); let t = p.task(\"{TASK}\");
        let o = p.task(\"{other}\"); o.description = `was ${{t.priority}}`; t.priority = 1;"
    );
    let report = place.script(&script, &["--json"]).code(8).json();
    assert_eq!(report["status"], "partial");
    let of = |title: &str| {
        let changes = report["changes"].as_array().unwrap().iter();
        changes.clone().find(|it| it["title"] == title).unwrap()["status"].clone()
    };
    assert_eq!((of(other), of(TASK)), (json!("applied"), json!("conflict")));
    assert!(
        report["warnings"].to_string().contains("would change what it has already written"),
        "{report}"
    );
    assert_eq!(planner.task(TASK)["priority"], 9);
}

/// A task that came into the list, or left it, changes what a loop over it would do.
#[test]
fn a_list_that_was_read_is_compared_too() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let bucket = planner.bucket_id("This Week");
    let script = format!(
        "plan(\"{PLAN}\").create_task(#{{ title: `N ${{plan(\"{PLAN}\").bucket(\"This Week\").tasks.len()}}` }});"
    );
    let before = place.script(&script, &["--json", "--dry-run"]).code(0).json();
    meanwhile(&planner, before_the_comparison, json!({ "bucketId": bucket }));
    let report = place.script(&script, &["--json"]).code(0).json();
    assert_eq!(report["stats"]["replays"], 1);
    let n = |it: &Value| -> i64 {
        let title = it["changes"][0]["title"].as_str().unwrap();
        title.strip_prefix("N ").unwrap().parse().unwrap()
    };
    assert_eq!(n(&report), n(&before) + 1);
}

/// A saved set can not be drafted anew: it is a conflict, and nothing is written.
#[test]
fn one_conflict_among_several_changes_of_a_saved_set_writes_nothing() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let script = format!(
        "for t in plan(\"{PLAN}\").bucket(\"Inbox\").tasks {{ if t.is_overdue() {{ t.priority = 1; }} }}"
    );
    place.script(&script, &["--out", "set.json"]).code(0);
    let id = planner.task(TASK)["id"].as_str().unwrap().to_owned();
    let to_done = json!({ "bucketId": planner.bucket_id("Done") });
    planner.edit(MEI, &format!("/planner/tasks/{id}"), &to_done);
    let before = planner.board();
    let report = place.run(&["apply", "set.json", "--json"]).code(4).json();
    assert_eq!(report["status"], "conflict");
    let in_conflict =
        report["changes"].as_array().unwrap().iter().filter(|it| it["status"] == "conflict");
    assert_eq!(in_conflict.count(), 1);
    assert_eq!(planner.board(), before);
}

#[test]
fn a_task_edited_since_it_was_read_is_not_deleted() {
    let at_the_delete: When = |method, _, _| method == "DELETE";
    for when in [before_the_comparison, at_the_delete] {
        let planner = Planner::demo();
        let place = Place::against(&planner);
        meanwhile(&planner, when, json!({ "description": "Do not lose this" }));
        place.script(&set("delete()"), &["--force"]).code(4).says(&["changed or deleted it since"]);
        planner.task(TASK);
    }
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
    let body = json!({ "percentComplete": 50, "assignments": { mei.as_str(): assignment } });
    planner.edit("mei@bos.example", &format!("/planner/tasks/{id}"), &body);
    place.run(&["apply", "a.json"]).code(7).says(&["assigned to someone else (Mei Tanaka)"]);
    let body = json!({ "assignments": { mei.as_str(): null } });
    planner.edit("mei@bos.example", &format!("/planner/tasks/{id}"), &body);
    place.run(&["apply", "a.json"]).code(0).says(&["priority"]);
    assert_eq!(planner.task(TASK)["priority"], 1);
    // It was found by its title: another title is another decision.
    place.run(&["task", "update", TASK, "--priority", "low", "--out", "b.json"]).code(0);
    planner.edit(MEI, &format!("/planner/tasks/{id}"), &json!({ "title": "Renamed" }));
    place.run(&["apply", "b.json"]).code(4).says(&["someone else changed title"]);
}

#[test]
fn a_saved_set_is_applied_once_and_grants_no_deletion() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.run(&["bucket", "create", "Once", "--plan", PLAN, "--out", "b.json"]).code(0);
    place.run(&["apply", "b.json"]).code(0);
    place.run(&["apply", "b.json"]).code(1).says(&["`b.json` was already applied"]);
    let to_week = ["task", "move", TASK, "This Week", "--out", "m.json"];
    place.run(&to_week).code(0);
    place.run(&["apply", "m.json"]).code(0).says(&["Inbox → This Week"]);
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
fn a_part_that_was_written_is_not_sent_again() {
    // A task and its details in one change: the details collide, the task is written.
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
    let report = place.script(&script, &["--json"]).code(0).json();
    assert_eq!(report["changes"][0]["attempts"], 3);
    assert_eq!(planner.task(TASK)["priority"], 1);
    assert_eq!(description(&planner), "Ours");
    // Written in two rounds, taken back as one.
    let writes = planner.writes();
    place.run(&["undo", "last", "--json"]).code(0);
    assert_eq!(
        (&planner.task(TASK)["priority"], description(&planner)),
        (&json!(5), json!("Theirs"))
    );
    let of_the_task = writes.into_iter().filter(|it| !it.path.contains("details"));
    assert_eq!(of_the_task.count(), 1);
}

/// What is read again before a write shows an agent nothing that it may not see.
#[test]
fn an_agent_sees_its_own_plans_when_everything_is_read_again() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let config = "[policies]\nalways = []\n[agents.bot]\nplans = [\"BOS Operations\"]\n";
    place.file("planwright.toml", config);
    let mine = format!(
        "plan(\"Website Relaunch\").create_task(#{{ title: \"Secret\", assign: me() }});
         plan(\"{PLAN}\").task(\"{TASK}\").assign(me());"
    );
    place.script(&mine, &[]).code(0);
    let script = format!(
        "let all = my_tasks().map(|it| it.title); let t = plan(\"{PLAN}\").task(\"{TASK}\"); t.priority = 1; all"
    );
    let report = place.script(&script, &["--as", "bot", "--json"]).code(0).json();
    assert_eq!(report["stats"]["replays"], 0, "nobody changed anything");
    let seen = report["result"].clone();
    assert!(seen.to_string().contains(TASK) && !seen.to_string().contains("Secret"), "{seen}");
    // And when it does run again.
    meanwhile(&planner, at_the_write, json!({ "priority": 9 }));
    let script = script.replace("priority = 1", "priority = 2");
    let report = place.script(&script, &["--as", "bot", "--json"]).code(0).json();
    assert_eq!((&report["stats"]["replays"], &report["result"]), (&json!(1), &seen));
}

/// What a policy looked at may move while a saved set waits: it looks again.
#[test]
fn a_saved_set_does_not_rest_on_what_policies_looked_at() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.run(&["task", "update", TASK, "--title", "Renamed", "--out", "r.json"]).code(0);
    let id = planner.task("Answer the auditor's questions")["id"].as_str().unwrap().to_owned();
    let mut lists = 0;
    planner.on_request(move |emulator, exchange| {
        lists += usize::from(exchange.path.ends_with("/tasks"));
        if lists == 2 && exchange.path.ends_with("/tasks") {
            let path = format!("/planner/tasks/{id}");
            edit(emulator, MEI, &path, &json!({ "title": "Answer them" }));
        }
    });
    place.run(&["apply", "r.json"]).code(0).says(&["Applied 1 change"]);
}
