//! Large boards: how many requests they cost.

use serde_json::{Value, json};

use crate::support::{Place, Planner, is_write};

const N_TASKS: usize = 3000;

/// Adds a plan with these tasks; returns its id.
fn large_plan(planner: &Planner, tasks: &[Value]) -> String {
    planner.seed(&json!({ "plans": [{ "title": "Large", "group": "BOS", "tasks": tasks }] }));
    let plans = planner.get("/me/planner/plans");
    let large =
        plans["value"].as_array().unwrap().iter().find(|it| it["title"] == "Large").unwrap();
    large["id"].as_str().unwrap().to_owned()
}

/// 3,000 tasks come in 8 pages of 400, their descriptions in 150 batches of 20.
#[test]
fn three_thousand_descriptions_cost_a_batch_for_twenty() {
    let planner = Planner::demo();
    let tasks: Vec<Value> = (0..N_TASKS)
        .map(|n| json!({ "title": format!("T{n}"), "description": format!("D{n}") }))
        .collect();
    let id = large_plan(&planner, &tasks);
    let place = Place::against(&planner);
    place.file("planwright.toml", "[limits]\nseconds = 600\n");
    let script = format!(
        "let all = plan(\"{id}\").tasks; let n = 0; for t in all {{ n += t.description.len; }} [all.len, n]"
    );
    let report = place.script(&script, &["--json"]).code(0).json();
    let expected: usize = (0..N_TASKS).map(|n| format!("D{n}").len()).sum();
    assert_eq!(report["result"], json!([N_TASKS, expected]));
    // What is inside a batch is no request of its own.
    let all = planner.exchanges();
    let count = |part: &str| all.iter().filter(|it| it.path.contains(part)).count();
    let (pages, batches) = (count(&format!("/plans/{id}/tasks")), count("/$batch"));
    assert_eq!(pages, 8);
    assert!(batches <= 150, "{batches} batches");
    // Beside them: who is signed in, and the plan itself.
    assert_eq!(report["stats"]["requests"], json!(pages + batches + 2));
}

/// 500 updates on a listed plan: the pages twice, a batch for twenty updates, and who is signed in
/// and the plan itself.
#[test]
fn five_hundred_updates_cost_a_batch_for_twenty() {
    let planner = Planner::demo();
    let tasks: Vec<Value> = (0..500).map(|n| json!({ "title": format!("T{n}") })).collect();
    let id = large_plan(&planner, &tasks);
    let place = Place::against(&planner);
    place.file("planwright.toml", "[policies]\nalways = []\n[limits]\nmax_changes = 500\n");
    let script = format!("for t in plan(\"{id}\").tasks {{ t.percent_complete = 50; }}");
    let report = place.script(&script, &["--json"]).code(0).json();
    assert_eq!(report["changes"].as_array().unwrap().len(), 500);
    let all = planner.exchanges();
    let batches = all.iter().filter(|it| it.path.ends_with("/$batch"));
    assert!(batches.clone().all(is_write));
    let (batches, pages) = (
        batches.count(),
        all.iter().filter(|it| it.path.contains(&format!("/plans/{id}/tasks"))).count(),
    );
    assert_eq!((batches, pages), (25, 4));
    // Who acts, the plan, and the plan again: that it is the one of that id counts as read.
    assert_eq!(report["stats"]["requests"], json!(batches + pages + 3));
}

/// Descriptions that are only written are read in batches too, for their tags.
#[test]
fn two_hundred_new_descriptions_cost_a_batch_for_twenty() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", "[policies]\nalways = []\n");
    let id = planner.plan_id();
    let make = format!(
        "let b = plan(\"{id}\").create_bucket(\"New\"); for n in 0..199 {{ b.create_task(#{{ title: `T${{n}}` }}); }}"
    );
    place.script(&make, &[]).code(0);
    planner.exchanges();
    let script =
        format!("for t in plan(\"{id}\").bucket(\"New\").tasks {{ t.description = \"x\"; }}");
    let report = place.script(&script, &["--json"]).code(0).json();
    assert_eq!(report["changes"].as_array().unwrap().len(), 199);
    // Read once for the tags, once to validate, written once: ten batches each, and a few more.
    let requests = report["stats"]["requests"].as_u64().unwrap();
    assert!(requests <= 40, "{requests}");
}
