//! `planwright run` from end to end, over real HTTP.

use serde_json::{Value, json};

use crate::support::{PLAN, Place, Planner};

/// A script that touches `n` open tasks that rook may touch.
fn touching(n: usize) -> String {
    format!(
        r#"
        let board = plan("{PLAN}");
        for n in 1..={n} {{
            board.create_task(#{{ title: `Task ${{n}}`, bucket: "Inbox" }});
        }}
        "#
    )
}

#[test]
fn the_first_run_changes_the_demo_board_and_the_second_has_nothing_to_do() {
    let place = Place::embedded();
    let first = place.run(&["run", "morning_triage"]).code(0);
    assert!(first.stderr.contains("Applied 6 changes as rook@bos.example."), "{}", first.stderr);
    assert!(first.stderr.contains("Inbox → This Week"), "{}", first.stderr);
    assert_eq!(first.stdout, "Moving 6 overdue tasks to This Week.\n");
    let second = place.run(&["run", "morning_triage"]).code(0).says(&["Nothing to change."]);
    assert_eq!(second.stdout, "Nothing is overdue in Inbox.\n");
}

#[test]
fn eleven_tasks_are_held_before_anything_is_written_and_ten_apply() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let before = planner.board();
    place
        .script(&touching(11), &[])
        .code(7)
        .says(&["touches 11 tasks; the limit is 10", "agent_rules.rhai"]);
    let requests = planner.requests();
    assert!(requests.iter().all(|it| it.starts_with("GET ")), "{requests:?}");
    assert_eq!(planner.board(), before);
    place.script(&touching(10), &[]).code(0).says(&["Applied 10 changes"]);
}

#[test]
fn a_dry_run_lists_what_the_real_run_does_and_sends_only_gets() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let before = planner.board();
    let dry = place.run(&["run", "morning_triage", "--dry-run", "--json"]).code(0).json();
    let requests = planner.requests();
    assert!(requests.iter().all(|it| it.starts_with("GET ")), "{requests:?}");
    assert_eq!(planner.board(), before);
    let real = place.run(&["run", "morning_triage", "--json"]).code(0).json();
    assert_eq!((&dry["status"], &real["status"]), (&json!("previewed"), &json!("applied")));
    let core = |report: &Value| {
        let mut changes = report["changes"].clone();
        for change in changes.as_array_mut().unwrap() {
            let change = change.as_object_mut().unwrap();
            change.retain(|key, _| key != "status" && key != "attempts");
        }
        changes
    };
    assert_eq!(core(&dry), core(&real));
    assert_eq!(dry["changes"].as_array().unwrap().len(), 6);
}

#[test]
fn the_report_has_the_fields_of_the_contract() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let script = format!(
        r#"let t = plan("{PLAN}").task("Book the room for the customer day");
        t.progress = "in_progress"; print("one"); warn("careful"); #{{ id: t.id, n: 1 }}"#
    );
    let report = place.script(&script, &["--json", "--as", "victor"]).code(0).json();
    let keys: Vec<_> = report.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "run_id",
            "skill",
            "skill_digest",
            "actor",
            "status",
            "changes",
            "verdicts",
            "output",
            "warnings",
            "result",
            "error",
            "pending",
            "stats"
        ]
    );
    assert_eq!(report["skill"], "-");
    assert!(report["skill_digest"].as_str().unwrap().starts_with("sha256:"));
    assert_eq!(report["actor"]["upn"], "rook@bos.example");
    assert_eq!(report["actor"]["agent"], "victor");
    assert_eq!(report["output"], json!(["one"]));
    let task = planner.task("Book the room for the customer day");
    assert_eq!(report["result"], json!({ "id": task["id"], "n": 1 }));
    assert_eq!(
        report["changes"],
        json!([{
            "n": 1, "op": "update", "entity": "task", "id": task["id"],
            "title": "Book the room for the customer day", "plan": task["planId"],
            "fields": { "percentComplete": { "before": 0, "after": 50 } },
            "verdict": "allow", "status": "applied", "attempts": 1
        }])
    );
    for key in ["requests", "conflicts", "retries", "replays", "duration_ms"] {
        assert!(report["stats"][key].is_u64(), "{key}");
    }
}

#[test]
fn two_settings_of_one_task_are_one_patch_with_only_what_changed() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let script = format!(
        r#"
        let t = plan("{PLAN}").task("Book the room for the customer day");
        t.title = "First";
        t.title = "Book a room";
        t.priority = "urgent";
        t.bucket = t.bucket;
        t.due = t.due;
        t.description = t.description;
        for a in t.assignees {{ t.assign(a); }}
        "#
    );
    place.script(&script, &[]).code(0);
    let writes = planner.writes();
    assert_eq!(writes.len(), 1, "{writes:?}");
    assert_eq!(writes[0].body, Some(json!({ "title": "Book a room", "priority": 1 })));
    assert!(writes[0].if_match.is_some());
}

#[test]
fn every_patch_and_delete_carries_a_tag_and_no_body_a_computed_property() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let script = format!(
        r#"
        let board = plan("{PLAN}");
        let later = board.create_bucket("Later");
        let t = board.task("Book the room for the customer day");
        t.move_to(later);
        t.description = "Ask for a projector";
        t.assign("mei@bos.example");
        let added = board.create_task(#{{
            title: "Order anodes", bucket: later, assign: ["me", "mei@bos.example"], due: "2030-12-24",
            start: "2030-12-01", priority: "important", labels: ["Finance"], description: "Zinc",
            checklist: ["Quote", "Order"],
        }});
        board.task("Update the emergency contact list").delete();
        "#
    );
    place.script(&script, &["--force"]).code(0).says(&["Applied 4 changes"]);
    const WRITABLE: [&str; 16] = [
        "title",
        "name",
        "planId",
        "bucketId",
        "percentComplete",
        "priority",
        "startDateTime",
        "dueDateTime",
        "assignments",
        "appliedCategories",
        "description",
        "checklist",
        "references",
        "previewType",
        "orderHint",
        "container",
    ];
    let writes = planner.writes();
    for write in &writes {
        assert_eq!(write.if_match.is_some(), write.method != "POST", "{write:?}");
        assert_ne!(write.if_match.as_deref(), Some("*"));
        for key in write.body.iter().filter_map(Value::as_object).flat_map(|it| it.keys()) {
            assert!(WRITABLE.contains(&key.as_str()), "{key} in {write:?}");
        }
    }
    let methods: Vec<_> = writes.iter().map(|it| it.method.as_str()).collect();
    // The bucket is new, so what goes into it comes after it; deletions come last.
    assert_eq!(methods, ["POST", "POST", "PATCH", "PATCH", "PATCH", "DELETE"], "{writes:?}");
    let new = planner.task("Order anodes");
    assert_eq!(new["bucketId"], json!(planner.bucket_id("Later")));
    assert_eq!(new["assignments"].as_object().unwrap().len(), 2);
    assert_eq!(new["checklistItemCount"], 2);
    assert_eq!(new["hasDescription"], true);
    assert_eq!(new["appliedCategories"], json!({ "category2": true }));
    assert_eq!(new["dueDateTime"], "2030-12-24T10:00:00Z");
}

#[test]
fn provisional_ids_become_real_wherever_they_went() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let script = format!(
        r#"
        let board = plan("{PLAN}");
        let a = board.create_task(#{{ title: "First of two" }});
        let b = board.create_task(#{{ title: "Second of two", description: `after ${{a.id}}` }});
        print(a.id);
        #{{ a: a.id, list: [b.id] }}
        "#
    );
    let report = place.script(&script, &["--json"]).code(0).json();
    let (a, b) = (planner.task("First of two"), planner.task("Second of two"));
    assert_eq!(report["result"], json!({ "a": a["id"], "list": [b["id"]] }));
    assert_eq!(report["output"], json!([a["id"]]));
    assert_eq!(report["changes"][0]["id"], a["id"]);
    let details = planner.get(&format!("/planner/tasks/{}/details", b["id"].as_str().unwrap()));
    assert_eq!(details["description"], format!("after {}", a["id"].as_str().unwrap()));
}

#[test]
fn a_saved_set_is_applied_later_and_only_as_it_was_saved() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let before = planner.board();
    place
        .run(&["run", "morning_triage", "--out", "triage.json"])
        .code(0)
        .says(&["Saved 6 changes", "planwright apply triage.json"]);
    assert_eq!(planner.board(), before);
    let path = place.path().join("triage.json");
    let saved = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, saved.replace("Renew the liability", "Review the liability")).unwrap();
    place
        .run(&["apply", "triage.json"])
        .code(1)
        .says(&["changed since it was saved", "--unsealed"]);
    std::fs::write(&path, &saved).unwrap();
    let report = place.run(&["apply", "triage.json", "--json"]).code(0).json();
    assert_eq!(report["status"], "applied");
    assert_eq!(report["skill"], "morning_triage");
    place.run(&["apply", "triage.json"]).code(1).says(&["`triage.json` was already applied"]);
}

#[test]
fn a_saved_set_is_applied_on_the_embedded_board_by_another_process() {
    let place = Place::embedded();
    place.run(&["run", "morning_triage", "--out", "t.json"]).code(0);
    place.run(&["apply", "t.json"]).code(0).says(&["Applied 6 changes"]);
    let planner = Planner::demo();
    let elsewhere = Place::against(&planner);
    let saved = std::fs::read_to_string(place.path().join("t.json")).unwrap();
    elsewhere.file("t.json", &saved);
    elsewhere.run(&["apply", "t.json", "--unsealed"]).code(1).says(&["drafted against embedded"]);
}

#[test]
fn what_is_refused_is_not_saved() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let agent = ["--out", "no.json", "--as", "victor"];
    place.script(&touching(11), &agent).code(3).says(&["Nothing saved to no.json."]);
    assert!(!place.path().join("no.json").exists());
    // What is held is, and is asked about when it is applied.
    place.script(&touching(11), &["--out", "held.json"]).code(7).says(&["Saved to held.json"]);
    place.run(&["apply", "held.json"]).code(7).says(&["touches 11 tasks"]);
    place.run(&["apply", "held.json", "--yes"]).code(0).says(&["Applied 11 changes"]);
}

#[test]
fn a_saved_set_keeps_its_agent_within_bounds_wherever_it_is_applied() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file(
        "ws/planwright.toml",
        "[policies]\nalways = []\n[agents.viewer]\nmay_apply = false\n",
    );
    let script = touching(1);
    place.file("one.rhai", &script);
    place
        .run(&["run", "./one.rhai", "--workspace", "ws", "--as", "viewer", "--out", "v.json"])
        .code(0);
    place.run(&["apply", "v.json", "--workspace", "ws"]).code(3);
    place.run(&["apply", "v.json"]).code(3).says(&["agent `viewer` may preview only"]);
    place.script(&script, &["--as", ""]).code(2).says(&["the name of the agent is empty"]);
}

#[test]
fn a_script_reads_each_list_once() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let script = format!(
        r#"
        let n = 0;
        for round in 0..5 {{
            for t in plan("{PLAN}").tasks {{ if t.description.contains("a") {{ n += 1; }} }}
            for b in plan("{PLAN}").buckets {{ n += b.tasks.len(); }}
        }}
        n
        "#
    );
    place.script(&script, &["--dry-run"]).code(0);
    // What is inside a batch is seen by itself.
    let mut requests = planner.requests();
    requests.retain(|it| !it.ends_with("/$batch"));
    let n = requests.len();
    requests.sort();
    requests.dedup();
    assert_eq!(requests.len(), n, "something was read twice: {requests:?}");
}
