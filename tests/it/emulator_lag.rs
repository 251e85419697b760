//! Replicas that lag behind a write (planner-api.md 15.1, item 18). Time is the test's clock.

use planwright::emulator::Lag;
use serde_json::{Value, json};

use crate::emulator_support::{BOS, Bench, ROOK_ID, id_of};

#[test]
fn what_was_just_created_is_not_found_at_first() {
    let bench = Bench::new();
    bench.emulator.set_lag(Lag { create_ms: 1500, ..Lag::default() }).unwrap();
    let container = json!({ "containerId": BOS, "type": "group" });
    let plan = bench.post("/planner/plans", &json!({ "title": "New", "container": container }));
    let plan = id_of(&plan.expect(201));
    let path = format!("/planner/plans/{plan}");
    let plans = |bench: &Bench| {
        let plans = bench.items(&format!("/groups/{BOS}/planner/plans"));
        plans.iter().filter(|it| it["id"] == json!(plan)).count()
    };
    for path in [path.clone(), format!("{path}/details"), format!("{path}/tasks")] {
        let answer = bench.send("GET", &path, &[], None).error(404);
        assert_eq!(answer.1, "The requested item is not found.");
    }
    assert_eq!(plans(&bench), 0);
    let task = json!({ "planId": plan, "title": "t" });
    let _ = bench.post("/planner/tasks", &task).error(403);
    bench.clock.advance(1);
    let _ = bench.send("GET", &path, &[], None).error(404);
    bench.clock.advance(1);
    let _ = bench.get(&path);
    assert_eq!(plans(&bench), 1);

    let task = bench.post("/planner/tasks", &task).expect(201);
    let tag = task["@odata.etag"].as_str().unwrap();
    let path = format!("/planner/tasks/{}", id_of(&task));
    let _ = bench.patch(&path, tag, &json!({ "title": "x" })).error(404);
    let tasks = format!("/planner/plans/{plan}/tasks");
    assert!(bench.items(&tasks).is_empty());
    bench.clock.advance(2);
    let _ = bench.patch(&path, tag, &json!({ "title": "x" })).expect(200);
    assert_eq!(bench.items(&tasks).len(), 1);
}

#[test]
fn board_formats_come_after_their_task() {
    let bench = Bench::new();
    let plan = bench.new_plan();
    let lag = json!({ "board_formats_ms": 2000 });
    let shown = bench.control("POST", "lag", Some(&lag)).expect(200);
    assert_eq!(shown, json!({ "create_ms": 0, "board_formats_ms": 2000, "group_ms": 0 }));
    let task = bench.new_task_in(&plan, &json!({}));
    let board = format!("{task}/bucketTaskBoardFormat");
    let _ = bench.get(&task);
    let _ = bench.get(&format!("{task}/details"));
    let _ = bench.send("GET", &board, &[], None).error(404);
    let expanded = bench.get(&format!("{task}?$expand=bucketTaskBoardFormat"));
    assert_eq!(expanded["bucketTaskBoardFormat"], Value::Null);
    bench.clock.advance(2);
    let _ = bench.get(&board);
}

#[test]
fn planner_learns_of_a_new_group_later() {
    let bench = Bench::new();
    bench.emulator.set_lag(Lag { group_ms: 50_000, ..Lag::default() }).unwrap();
    let body = json!({
        "displayName": "New", "mailNickname": "new", "mailEnabled": true,
        "securityEnabled": false, "groupTypes": ["Unified"],
    });
    let group = id_of(&bench.post("/groups", &body).expect(201));
    let user = format!("https://graph.microsoft.com/v1.0/directoryObjects/{ROOK_ID}");
    let member = json!({ "@odata.id": user });
    let _ = bench.post(&format!("/groups/{group}/members/$ref"), &member).expect(204);
    let body = json!({ "title": "x", "container": { "containerId": group, "type": "group" } });
    let _ = bench.post("/planner/plans", &body).error(403);
    let _ = bench.send("GET", &format!("/groups/{group}/planner/plans"), &[], None).error(403);
    bench.clock.advance(49);
    let _ = bench.post("/planner/plans", &body).error(403);
    bench.clock.advance(1);
    let _ = bench.post("/planner/plans", &body).expect(201);
}

#[test]
fn lag_ends_when_it_is_told_to_and_is_refused_when_it_makes_no_sense() {
    let bench = Bench::with(|options| options.lag.create_ms = 60_000);
    let plan = bench.post(
        "/planner/plans",
        &json!({ "title": "x", "container": { "containerId": BOS, "type": "group" } }),
    );
    let path = format!("/planner/plans/{}", id_of(&plan.expect(201)));
    let _ = bench.send("GET", &path, &[], None).error(404);
    for bad in [json!({ "create_ms": -1 }), json!({ "craete_ms": 1 }), json!({ "group_ms": 1e12 })]
    {
        let _ = bench.control("POST", "lag", Some(&bad)).error(400);
    }
    let _ = bench.control("DELETE", "lag", None).expect(200);
    let _ = bench.get(&path);
}
