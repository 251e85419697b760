//! Every trap of planner-api.md section 12, by its number.
//!
//! What the service does is tested on the emulator, what protects from it on the program; where
//! both can go wrong, both are.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use planwright::emulator::{Emulator, Exchange};
use planwright::wire::ApiError;
use serde_json::{Value, json};

use crate::between::{Between, each_object, edit_body};
use crate::emulator_support::{
    ASSIGNMENT, Answer, BOS, Bench, CHECKLIST_ITEM, LEADERSHIP, MEI, MEI_ID, REFERENCE, ROOK_ID,
    TestClock, VICTOR, id_of, tag_of,
};
use crate::support::{PLAN, Place, Planner, ROOK};

const TASK: &str = "Book the room for the customer day";
const INVALID_TAG: &str = "The If-Match header contains an invalid value.";

fn script(fields: &str) -> String {
    format!("let t = plan(\"{PLAN}\").task(\"{TASK}\"); {fields}")
}

/// Runs a script that succeeds and returns its result.
#[track_caller]
fn result_of(place: &Place, script: &str) -> Value {
    place.script(script, &["--json"]).code(0).json()["result"].clone()
}

/// Asks an emulator behind a socket, past the socket.
fn direct(emulator: &Emulator) -> Bench {
    Bench { emulator: emulator.clone(), clock: TestClock::new(), caller: ROOK }
}

/// A place without policies: it is the service that is tried here.
fn against(planner: &Planner) -> Place {
    let place = Place::against(planner);
    place.file("planwright.toml", "[policies]\nalways = []\n");
    place
}

fn through(between: &Between) -> Place {
    let place = Place::against_url(&between.url, &format!("emulator:{ROOK}"));
    place.file("planwright.toml", "[policies]\nalways = []\n");
    place
}

/// The path of the task that the scripts are about.
fn path_of_task(bench: &Bench) -> String {
    let plans = bench.items(&format!("/groups/{BOS}/planner/plans"));
    let tasks = bench.items(&format!("/planner/plans/{}/tasks", id_of(&plans[0])));
    let task = tasks.iter().find(|it| it["title"] == TASK).unwrap();
    format!("/planner/tasks/{}", id_of(task))
}

fn beta(bench: &Bench, method: &str, path: &str, tag: &str, body: Option<&Value>) -> Answer {
    let headers = [("if-match", tag), ("prefer", "return=representation")];
    let headers = if tag.is_empty() { &[][..] } else { &headers };
    bench.send_at(method, &format!("/beta{path}"), headers, body)
}

fn assignment() -> Value {
    json!({ "@odata.type": ASSIGNMENT, "orderHint": " !" })
}

/// Every value of every member with a name, however deep.
fn members<'v>(value: &'v Value, name: &str, found: &mut Vec<&'v Value>) {
    match value {
        Value::Object(object) => {
            for (key, member) in object {
                if key == name {
                    found.push(member);
                }
                members(member, name, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| members(item, name, found)),
        _ => (),
    }
}

/// The bodies of writes.
fn bodies(writes: Vec<Exchange>) -> Vec<Value> {
    writes.into_iter().filter_map(|it| it.body).collect()
}

#[test]
fn every_trap_has_its_test() {
    let source = include_str!("traps.rs");
    let mut lines = source.lines().rev().peekable();
    let mut numbers = Vec::new();
    while let Some(line) = lines.next() {
        let Some(name) = line.strip_prefix("fn trap_") else { continue };
        let number: u32 = name.split('_').next().unwrap().parse().unwrap();
        numbers.push(number);
        assert_eq!(lines.next(), Some("#[test]"), "trap {number}");
        assert!(lines.peek().unwrap().starts_with("/// "), "trap {number} does not say what it is");
    }
    numbers.reverse();
    assert_eq!(numbers, (1..=58).collect::<Vec<u32>>());
}

/// Details have their own tag: the task's is refused on them, and theirs on the task.
#[test]
fn trap_01_details_have_their_own_tag() {
    let bench = Bench::new();
    let task = bench.new_task();
    let parts = ["details", "bucketTaskBoardFormat", "progressTaskBoardFormat"];
    let parts = parts.iter().chain(&["assignedToTaskBoardFormat"]);
    for part in parts.map(|part| format!("{task}/{part}")) {
        let own = bench.tag(&part);
        assert_ne!(own, bench.tag(&task));
        for (path, foreign) in [(&part, bench.tag(&task)), (&task, own)] {
            let (code, message) = bench.patch(path, &foreign, &json!({ "title": "x" })).error(412);
            assert_eq!((code.as_str(), message.as_str()), ("", INVALID_TAG), "{path}");
        }
    }
    let plan = format!("/planner/plans/{}", bench.new_plan());
    let of_plan = bench.tag(&plan);
    let body = json!({ "categoryDescriptions": { "category1": "x" } });
    let _ = bench.patch(&format!("{plan}/details"), &of_plan, &body).error(412);

    // The program sends each object's own.
    let planner = Planner::demo();
    let place = against(&planner);
    place.script(&script("t.priority = 1; t.description = \"x\";"), &[]).code(0);
    let writes = planner.writes();
    let tags: BTreeSet<_> = writes.iter().map(|it| it.if_match.clone().unwrap()).collect();
    assert_eq!((writes.len(), tags.len()), (2, 2));
    assert!(writes.iter().all(|it| it.status == Some(200)), "{writes:?}");
}

/// Edits of details change the task's tag.
#[test]
fn trap_02_an_edit_of_details_moves_the_tasks_tag() {
    let bench = Bench::new();
    let task = bench.new_task();
    let before = bench.tag(&task);
    let _ = bench.change(&format!("{task}/details"), &json!({ "description": "x" })).expect(200);
    assert_ne!(bench.tag(&task), before);
    let _ = bench.delete(&task, &before).error(409);

    let planner = Planner::demo();
    let place = against(&planner);
    let all = "t.description = \"x\"; t.add_checklist_item(\"y\"); t.title = \"z\"; t.complete();";
    place.script(&script(all), &[]).code(0).says(&["Applied 1 change"]);
    assert!(planner.writes().iter().all(|it| it.status == Some(200)));
    let task = planner.task("z");
    assert_eq!((&task["hasDescription"], &task["percentComplete"]), (&json!(true), &json!(100)));
    let gone = format!(
        "let t = plan(\"{PLAN}\").task(\"z\"); t.description = \"gone\"; t.title = \"gone\"; t.delete();"
    );
    place.script(&gone, &["--force"]).code(0);
    let left = result_of(&place, &format!("plan(\"{PLAN}\").tasks.map(|t| t.title)"));
    assert!(!left.as_array().unwrap().contains(&json!("z")));
}

/// A PATCH is answered with 204 and nothing, unless the representation is preferred.
#[test]
fn trap_03_a_patch_answers_204_or_200() {
    let bench = Bench::new();
    let task = bench.new_task();
    let tag = bench.tag(&task);
    let headers = [("if-match", tag.as_str())];
    let answer = bench.send("PATCH", &task, &headers, Some(&json!({ "priority": 1 })));
    assert_eq!((answer.status, &answer.body), (204, &Value::Null));
    let answer = bench.change(&task, &json!({ "priority": 2 }));
    assert_eq!(answer.header("preference-applied"), "return=representation");
    assert_eq!(answer.expect(200)["priority"], 2);

    // A service that ignores the preference does not confuse the program.
    let mute = Between::new(
        |_| (),
        |request| {
            request.headers_mut().remove("prefer");
        },
        |_, _, _| (),
    );
    let place = through(&mute);
    let both = "t.priority = 1; t.description = \"x\"; t.add_checklist_item(\"y\"); ()";
    let report = place.script(&script(both), &["--json"]).code(0).json();
    assert_eq!(report["status"], "applied");
    let bench = direct(&mute.emulator);
    let task = bench.get(&path_of_task(&bench));
    assert_eq!((&task["priority"], &task["checklistItemCount"]), (&json!(1), &json!(1)));
}

/// If-Match is mandatory, missing is 412, and `*` does not work.
#[test]
fn trap_04_if_match_is_mandatory_and_a_star_is_none() {
    let bench = Bench::new();
    let task = bench.new_task();
    let body = json!({ "title": "x" });
    for method in ["PATCH", "DELETE"] {
        let sent = (method == "PATCH").then_some(&body);
        let (code, message) = bench.send(method, &task, &[], sent).error(412);
        assert_eq!(code, "");
        assert_eq!(message, "The If-Match header must be specified for this kind of request.");
        let _ = bench.send(method, &task, &[("if-match", "*")], sent).error(400);
    }
    assert_eq!(bench.get(&task)["title"], "Task");

    let planner = Planner::demo();
    let place = against(&planner);
    let all = format!(
        "{} let b = plan(\"{PLAN}\").bucket(\"Done\"); b.name = \"Finished\"; \
         plan(\"{PLAN}\").set_label(1, \"x\"); plan(\"{PLAN}\").task(\"Negotiate the parcel rates\").delete();",
        script("t.priority = 1; t.description = \"x\";")
    );
    place.script(&all, &["--force"]).code(0);
    let writes = planner.writes();
    assert_eq!(writes.len(), 5, "{writes:?}");
    assert!(writes.iter().all(|it| it.if_match.as_ref().unwrap().starts_with("W/\"")));
}

/// A tag copied from raw JSON, with its backslashes, is none.
#[test]
fn trap_05_a_tag_is_unescaped_before_it_is_sent() {
    let bench = Bench::new();
    let task = bench.new_task();
    let raw = json!(bench.tag(&task)).to_string();
    assert!(raw.contains("\\\""));
    for escaped in [raw.as_str(), raw.trim_matches('"')] {
        let (_, message) = bench.patch(&task, escaped, &json!({ "title": "x" })).error(412);
        assert_eq!(message, INVALID_TAG);
    }
    let planner = Planner::demo();
    let place = against(&planner);
    let tag = tag_of(&planner.task(TASK));
    place.script(&script("t.priority = 1;"), &[]).code(0);
    assert_eq!(planner.writes()[0].if_match.as_ref(), Some(&tag));
}

/// `odata.metadata=none` removes the tags.
#[test]
fn trap_06_without_metadata_there_are_no_tags() {
    let bench = Bench::new();
    let task = bench.new_task();
    let headers = [("accept", "application/json;odata.metadata=none")];
    let bare = bench.send("GET", &task, &headers, None).expect(200);
    assert!(bare.get("@odata.etag").is_none() && bare["title"] == "Task");

    // The program never asks for that; if it gets such an answer all the same, it writes nothing.
    let bare = Between::new(
        |_| (),
        |request| {
            let accept = request.headers().get("accept").unwrap();
            assert!(!accept.to_str().unwrap().contains("metadata"));
            let none = "application/json;odata.metadata=none".parse().unwrap();
            request.headers_mut().insert("accept", none);
        },
        |method, _, _| assert_eq!(method, "GET"),
    );
    let place = through(&bare);
    place.script(&script("t.priority = 1;"), &[]).code(1).says(&["cannot understand the answer"]);
}

/// Order hints cannot be echoed.
#[test]
fn trap_07_order_hints_are_never_echoed() {
    let bench = Bench::new();
    let task = bench.new_task();
    let whole = bench.get(&task);
    let (_, message) = bench.change(&task, &json!({ "orderHint": whole["orderHint"] })).error(400);
    assert!(message.ends_with("does not contain spaces or exclamation points."), "{message}");
    let _ = bench.change(&task, &whole).error(400);

    let planner = Planner::demo();
    let place = against(&planner);
    let all = format!(
        r#"let board = plan("{PLAN}");
        board.bucket("Done").move_before(board.bucket("Inbox"));
        let b = board.bucket("This Week"); b.name = "Soon";
        let t = board.task("Answer the auditor's questions");
        t.title = "Answer them"; t.assign("mei@bos.example"); t.add_checklist_item("Last");
        let items = t.checklist; items[0].title = "First of all"; items[1].check();
        t.add_reference("https://example.org", "x");"#
    );
    place.script(&all, &[]).code(0);
    let bodies = bodies(planner.writes());
    let mut hints = Vec::new();
    for body in &bodies {
        for name in ["orderHint", "previewPriority", "assigneePriority"] {
            members(body, name, &mut hints);
        }
    }
    assert!(hints.len() == 3, "{bodies:?}");
    for hint in hints.iter().map(|it| it.as_str().unwrap()) {
        assert!(hint.contains(' ') && hint.ends_with('!'), "{hint}");
    }
}

/// The service rewrites hints, so that they have to be read again.
#[test]
fn trap_08_the_service_rewrites_hints() {
    let bench = Bench::new();
    let plan = bench.new_plan();
    let first = format!("/planner/buckets/{}", bench.new_bucket(&plan));
    let hint = |path: &str| bench.get(path)["orderHint"].as_str().unwrap().to_owned();
    let before = format!(" {}!", hint(&first));
    let body = json!({ "name": "B", "planId": plan, "orderHint": before });
    let second = bench.post("/planner/buckets", &body).expect(201);
    let given = second["orderHint"].as_str().unwrap();
    assert_ne!(given, before);
    assert!(given < hint(&first).as_str() && !given.contains(' '));

    // What a run leaves is the order that the next one reads.
    let planner = Planner::demo();
    let place = against(&planner);
    let names = format!("plan(\"{PLAN}\").buckets.map(|b| b.name)");
    let moves = format!(
        "let b = plan(\"{PLAN}\"); b.bucket(\"Done\").move_before(b.bucket(\"Inbox\")); {names}"
    );
    let seen = result_of(&place, &moves);
    assert_eq!(seen[0], "Done");
    assert_eq!(result_of(&place, &names), seen);
}

/// The order on the web board is in `bucketTaskBoardFormat`, not in the task's hint.
#[test]
fn trap_09_the_board_has_hints_of_its_own() {
    let bench = Bench::new();
    let plan = bench.new_plan();
    let bucket = bench.new_bucket(&plan);
    let task = bench.new_task_in(&plan, &json!({ "bucketId": bucket }));
    let board = format!("{task}/bucketTaskBoardFormat");
    let (of_task, on_board) = (bench.get(&task), bench.get(&board));
    let top = format!(" {}!", on_board["orderHint"].as_str().unwrap());
    let moved = bench.change(&board, &json!({ "orderHint": top })).expect(200);
    assert!(moved["orderHint"].as_str() < on_board["orderHint"].as_str());
    assert_eq!(bench.get(&task), of_task);
    let top = format!(" {}!", of_task["orderHint"].as_str().unwrap());
    let _ = bench.change(&task, &json!({ "orderHint": top })).expect(200);
    assert_eq!(bench.get(&board), moved);
}

/// The checklist is shown in descending order of its hints.
#[test]
fn trap_10_checklists_are_shown_in_descending_order() {
    let planner = Planner::demo();
    let place = against(&planner);
    let add = "t.add_checklist_item(\"One\"); t.add_checklist_item(\"Two\"); t.add_checklist_item(\"Three\"); ()";
    place.script(&script(add), &[]).code(0);
    let task = id_of(&planner.task(TASK));
    let details = planner.get(&format!("/planner/tasks/{task}/details"));
    let mut items: Vec<_> = details["checklist"].as_object().unwrap().values().collect();
    items.sort_by_key(|it| std::cmp::Reverse(it["orderHint"].as_str().unwrap()));
    let shown: Vec<_> = items.iter().map(|it| it["title"].as_str().unwrap()).collect();
    assert_eq!(shown, ["One", "Two", "Three"]);
    let read = result_of(&place, &script("t.checklist.map(|i| i.title)"));
    assert_eq!(read, json!(["One", "Two", "Three"]));
}

/// A PATCH merges open maps: what is to go is named, with null or with false.
#[test]
fn trap_11_a_patch_merges_and_removal_is_explicit() {
    let bench = Bench::new();
    let plan = bench.new_plan();
    let first = json!({ "assignments": { ROOK_ID: assignment() },
                        "appliedCategories": { "category3": true } });
    let task = bench.new_task_in(&plan, &first);
    let second = json!({ "assignments": { MEI_ID: assignment() },
                         "appliedCategories": { "category7": true } });
    let merged = bench.change(&task, &second).expect(200);
    assert_eq!(merged["assignments"].as_object().unwrap().len(), 2);
    assert_eq!(merged["appliedCategories"], json!({ "category3": true, "category7": true }));
    let less =
        json!({ "assignments": { ROOK_ID: null }, "appliedCategories": { "category3": false } });
    let less = bench.change(&task, &less).expect(200);
    assert_eq!(less["appliedCategories"], json!({ "category7": true }));
    assert_eq!(less["assignments"].as_object().unwrap().keys().collect::<Vec<_>>(), [MEI_ID]);
    let details = format!("/planner/plans/{plan}/details");
    let _ = bench.change(&details, &json!({ "sharedWith": { MEI_ID: true } })).expect(200);
    let less = bench.change(&details, &json!({ "sharedWith": { MEI_ID: false } })).expect(200);
    assert_eq!(less["sharedWith"], json!({ ROOK_ID: true }));

    let planner = Planner::demo();
    let place = against(&planner);
    place.script(&script("t.assign(me()); t.add_label(\"Finance\");"), &[]).code(0);
    let _ = planner.writes();
    let instead = "t.unassign(me()); t.assign(\"mei@bos.example\"); t.remove_label(\"Finance\");";
    place.script(&script(instead), &[]).code(0);
    let writes = bodies(planner.writes());
    assert_eq!(writes[0]["assignments"][ROOK_ID], Value::Null);
    assert!(writes[0]["assignments"].as_object().unwrap().contains_key(ROOK_ID));
    let flags = writes[0]["appliedCategories"].as_object().unwrap();
    assert_eq!(flags.values().collect::<Vec<_>>(), [&json!(false)]);
    let task = planner.task(TASK);
    assert_eq!(task["assignments"].as_object().unwrap().keys().collect::<Vec<_>>(), [MEI_ID]);
}

/// Each value of an open type names its type, and says something besides.
#[test]
fn trap_12_values_of_open_types_name_their_type() {
    let bench = Bench::new();
    let task = bench.new_task();
    let details = format!("{task}/details");
    for (path, name, key, kind, value) in [
        (&task, "assignments", MEI_ID, ASSIGNMENT, json!({ "orderHint": " !" })),
        (&details, "checklist", "a", CHECKLIST_ITEM, json!({ "title": "x" })),
        (&details, "references", "https%3A//a%2Eb", REFERENCE, json!({ "alias": "x" })),
    ] {
        let body = |value: &Value| json!({ name: { key: value } });
        let _ = bench.change(path, &body(&value)).error(400);
        let _ = bench.change(path, &body(&json!({ "@odata.type": kind }))).error(400);
        let mut typed = value.clone();
        typed["@odata.type"] = json!(kind);
        let _ = bench.change(path, &body(&typed)).expect(200);
    }
    let planner = Planner::demo();
    let place = against(&planner);
    let all = "t.assign(\"mei@bos.example\"); t.add_checklist_item(\"x\"); t.add_reference(\"https://a.b\", \"x\");";
    place.script(&script(all), &[]).code(0);
    let bodies = bodies(planner.writes());
    for (name, kind) in
        [("assignments", ASSIGNMENT), ("checklist", CHECKLIST_ITEM), ("references", REFERENCE)]
    {
        let mut found = Vec::new();
        bodies.iter().for_each(|body| members(body, name, &mut found));
        let entry = found[0].as_object().unwrap().values().next().unwrap().as_object().unwrap();
        // Readers of OData want it first.
        assert_eq!(entry.iter().next(), Some((&"@odata.type".to_owned(), &json!(kind))));
        assert!(entry.len() > 1, "{name}");
    }
}

/// A create is not idempotent, so one that may have happened is looked for, not sent again.
#[test]
fn trap_13_a_create_is_not_repeated_in_doubt() {
    for action in [json!({ "drop_after": true }), json!({ "status_after": 504 })] {
        let planner = Planner::demo();
        let place = against(&planner);
        planner.faults(&json!([{ "method": "POST", "path": "/planner/tasks", "action": action }]));
        let create = format!("plan(\"{PLAN}\").create_task(#{{ title: \"Once\" }});");
        let report = place.script(&create, &["--json"]).code(0).json();
        assert_eq!(report["changes"][0]["status"], "applied");
        assert_eq!(planner.writes().len(), 1);
        let tasks = planner.get(&format!("/planner/plans/{}/tasks", planner.plan_id()));
        let tasks = tasks["value"].as_array().unwrap();
        assert_eq!(tasks.iter().filter(|it| it["title"] == "Once").count(), 1);
    }
}

/// What was just created may not be found yet.
#[test]
fn trap_14_a_read_after_a_create_may_be_too_early() {
    let planner = Planner::demo();
    let place = against(&planner);
    planner.faults(&json!([
        { "method": "GET", "path": "/details", "nth": 1, "times": 2, "action": { "status": 404 } },
    ]));
    let create = format!(
        "plan(\"{PLAN}\").create_task(#{{ title: \"New\", description: \"x\", checklist: [\"y\"] }});"
    );
    place.script(&create, &[]).code(0).says(&["Applied 1 change"]);
    let task = planner.task("New");
    assert_eq!((&task["hasDescription"], &task["checklistItemCount"]), (&json!(true), &json!(1)));
    // What nobody has just made is looked for once.
    let _ = planner.requests();
    place.script("task(\"AAAAAAAAAAAAAAAAAAAAAAAAAAAA\")", &[]).code(1);
    let asked = planner.requests();
    assert_eq!(asked.iter().filter(|it| it.contains("AAAAAAAA")).count(), 1, "{asked:?}");
}

/// A new plan has no buckets.
#[test]
fn trap_15_a_new_plan_has_no_buckets() {
    let bench = Bench::new();
    let plan = bench.new_plan();
    assert_eq!(bench.items(&format!("/planner/plans/{plan}/buckets")), [] as [Value; 0]);
    let place = Place::embedded();
    let made = result_of(
        &place,
        "let p = create_plan(\"BOS\", \"New\"); p.create_task(#{ title: \"First\" }); p.buckets.len()",
    );
    assert_eq!(made, 0);
    assert_eq!(
        result_of(&place, "let p = plan(\"New\"); [p.buckets.len(), p.tasks.len()]"),
        json!([0, 1])
    );
}

/// A task needs no bucket, and is then in none.
#[test]
fn trap_16_a_task_without_a_bucket_is_in_none() {
    let bench = Bench::new();
    let plan = bench.new_plan();
    let bucket = bench.new_bucket(&plan);
    let task = bench.new_task_in(&plan, &json!({}));
    assert_eq!(bench.get(&task)["bucketId"], Value::Null);
    assert_eq!(bench.items(&format!("/planner/buckets/{bucket}/tasks")), [] as [Value; 0]);
    assert_eq!(bench.items(&format!("/planner/plans/{plan}/tasks")).len(), 1);

    let place = Place::embedded();
    let create = format!("plan(\"{PLAN}\").create_task(#{{ title: \"Loose\" }});");
    place.script(&create, &[]).code(0);
    let loose = format!("let t = plan(\"{PLAN}\").task(\"Loose\"); t.bucket == ()");
    assert_eq!(result_of(&place, &loose), true);
    let into =
        format!("let t = plan(\"{PLAN}\").task(\"Loose\"); t.bucket = \"Inbox\"; t.bucket.name");
    assert_eq!(result_of(&place, &into), "Inbox");
}

/// The bucket belongs to the task's plan.
#[test]
fn trap_17_a_bucket_is_of_the_tasks_plan() {
    let bench = Bench::new();
    let foreign = bench.new_bucket(&bench.new_plan());
    let plan = bench.new_plan();
    let task = bench.new_task_in(&plan, &json!({}));
    let (_, message) = bench.change(&task, &json!({ "bucketId": foreign })).error(400);
    assert!(message.contains("'BucketId', on entity 'Task'"), "{message}");
    let body = json!({ "planId": plan, "title": "x", "bucketId": foreign });
    let _ = bench.post("/planner/tasks", &body).error(400);

    let planner = Planner::demo();
    let place = against(&planner);
    place.script(&script("t.bucket = plan(\"Website Relaunch\").buckets[0];"), &[]).code(1);
    assert_eq!(planner.writes(), []);
}

/// A bucket stays in its plan whatever the documents say; a task moves in the beta only.
#[test]
fn trap_18_plan_ids_are_read_only() {
    let bench = Bench::new();
    let (plan, other) = (bench.new_plan(), bench.new_plan());
    let bucket = format!("/planner/buckets/{}", bench.new_bucket(&plan));
    let (_, message) = bench.change(&bucket, &json!({ "planId": other })).error(400);
    assert_eq!(
        message,
        "Schema validation has failed. Validation for field 'PlanId', on entity 'Bucket' has \
         failed: This field is read only and cannot be changed."
    );
    let task = bench.new_task_in(&plan, &json!({}));
    let _ = bench.change(&task, &json!({ "planId": other })).error(403);
    let body = json!({ "planId": other });
    let moved = beta(&bench, "PATCH", &task, &bench.tag(&task), Some(&body)).expect(200);
    assert_eq!(moved["planId"], json!(other));
}

/// Keys of references are partly encoded addresses, and only the service's own key removes one.
#[test]
fn trap_19_reference_keys_are_encoded_in_part() {
    let bench = Bench::new();
    let details = format!("{}/details", bench.new_task());
    let change =
        |key: &str, value: &Value| bench.change(&details, &json!({ "references": { key: value } }));
    let link = json!({ "@odata.type": REFERENCE, "alias": "x" });
    for raw in ["https://a%2Eb", "https%3A//a.b", "https%3A//a@b", "https%3A//a%2Eb/#c"] {
        let _ = change(raw, &link).error(400);
    }
    let key = "https%3A//u%40a%2Eb/100%2525%2Edocx?x=1%23c";
    let _ = change(key, &link).expect(200);
    // Encoded in full it is another key, and removes nothing.
    let other = "https%3A%2F%2Fu%40a%2Eb%2F100%2525%2Edocx%3Fx%3D1%23c";
    let left = change(other, &Value::Null);
    assert!(matches!(left.status, 200 | 400), "{left:?}");
    assert_eq!(bench.get(&details)["references"].as_object().unwrap().len(), 1);
    let gone = change(key, &Value::Null).expect(200);
    assert_eq!(gone["references"], json!({}));

    // The program makes that key of an address, and removes by the key that is there.
    let planner = Planner::demo();
    let place = against(&planner);
    let add = "t.add_reference(\"https://u@a.b/100%25.docx?x=1#c\", \"x\");";
    place.script(&script(add), &[]).code(0);
    let path = format!("/planner/tasks/{}/details", id_of(&planner.task(TASK)));
    let keys = |planner: &Planner| -> Vec<String> {
        planner.get(&path)["references"].as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(keys(&planner), [key]);
    let by_others = json!({ "references": { "https%3a//w%2eexample%2eorg": link } });
    planner.edit("mei@bos.example", &path, &by_others);
    let remove = "t.remove_reference(\"https://w.example.org\"); t.references.map(|r| r.url)";
    let urls = result_of(&place, &script(remove));
    assert_eq!(urls, json!(["https://u@a.b/100%25.docx?x=1#c"]));
    assert_eq!(keys(&planner), [key]);
}

/// The sample that calls a reference `externalReference` is a mistake.
#[test]
fn trap_20_the_type_of_a_reference_has_planner_in_it() {
    let bench = Bench::new();
    let details = format!("{}/details", bench.new_task());
    let body = |kind: &str| json!({ "references": { "https%3A//a%2Eb": { "@odata.type": kind, "alias": "x" } } });
    let _ = bench.change(&details, &body("#microsoft.graph.externalReference")).error(400);
    let _ = bench.change(&details, &body("microsoft.graph.externalReference")).error(400);
    let made = bench.change(&details, &body("microsoft.graph.plannerExternalReference"));
    let made = made.expect(200);
    assert_eq!(made["references"]["https%3A//a%2Eb"]["@odata.type"], REFERENCE);
}

/// `/me/planner/plans` is not "all my plans".
#[test]
fn trap_21_my_plans_are_those_shared_with_me() {
    let bench = Bench::new();
    let plan = bench.caller(MEI).new_plan();
    let has = |path: &str| bench.items(path).iter().any(|it| it["id"] == json!(plan));
    assert!(!has("/me/planner/plans"));
    assert!(has(&format!("/groups/{BOS}/planner/plans")));

    // The program lists those of all groups as well, each once.
    let between = Between::answering(|_, _, _| ());
    let plan = direct(&between.emulator).caller(MEI).new_plan();
    let listed = through(&between).run(&["plan", "list", "--json"]).code(0).json();
    let ids: Vec<_> = listed.as_array().unwrap().iter().map(|it| it["id"].clone()).collect();
    assert_eq!(ids.iter().filter(|id| **id == json!(plan)).count(), 1);
    assert_eq!(ids.len(), ids.iter().map(Value::to_string).collect::<BTreeSet<_>>().len());
}

/// `/planner/plans` needs a filter on the owner.
#[test]
fn trap_22_plans_are_listed_by_owner_only() {
    let bench = Bench::new();
    for query in ["", "?$filter=title%20eq%20'x'", "?$top=5"] {
        let (code, message) =
            bench.send("GET", &format!("/planner/plans{query}"), &[], None).error(400);
        assert_eq!(code, "");
        assert!(message.starts_with("This entity set must be queried with a filter on owner"));
    }
    let plans = bench.items(&format!("/planner/plans?$filter=owner%20eq%20'{BOS}'"));
    assert_eq!(plans, bench.items(&format!("/groups/{BOS}/planner/plans")));

    let planner = Planner::demo();
    against(&planner).run(&["plan", "list"]).code(0);
    let asked = planner.requests();
    assert!(asked.iter().all(|it| !it.contains(" /v1.0/planner/plans?")), "{asked:?}");
}

/// Other options of OData are ignored silently.
#[test]
fn trap_23_options_are_ignored_silently() {
    let bench = Bench::new();
    let plan = id_of(&bench.items(&format!("/groups/{BOS}/planner/plans"))[0]);
    let path = format!("/planner/plans/{plan}/tasks");
    let all = bench.get(&path)["value"].clone();
    let options = "$top=1&$skip=3&$orderby=title&$filter=percentComplete%20eq%20100&$search=x";
    assert_eq!(bench.get(&format!("{path}?{options}"))["value"], all);

    // The program filters for itself.
    let planner = Planner::demo();
    let place = against(&planner);
    let listed = place.run(&["task", "list", "--plan", PLAN, "--mine", "--json"]).code(0).json();
    let listed = listed.as_array().unwrap();
    assert!((1..30).contains(&listed.len()));
    assert!(listed.iter().all(|it| it["assignments"].to_string().contains(ROOK_ID)), "{listed:?}");
    assert!(planner.requests().iter().all(|it| !it.contains("/tasks?")));
}

/// Only limits have a code, which tells a 403 for a limit from one for permission.
#[test]
fn trap_24_a_limit_is_no_lack_of_permission() {
    let body = |code: &str| json!({ "error": { "code": code, "message": "x" } }).to_string();
    let limit = ApiError::read(403, None, body("MaximumTasksInProject").as_bytes());
    assert!(limit.is_limit() && !limit.is_forbidden());
    let closed = ApiError::read(403, None, body("").as_bytes());
    assert!(closed.is_forbidden() && !closed.is_limit());

    let between = Between::new(|it| it.limits.assignees_of_task = 1, |_| (), |_, _, _| ());
    let place = through(&between);
    let two = script("t.assign(\"mei@bos.example\"); t.assign(\"ana@bos.example\");");
    place
        .script(&two, &[])
        .code(1)
        .says(&["MaximumAssigneesInTasks", "The request exceeded allowed limits."]);
    let planner = Planner::demo();
    planner.faults(&json!([{ "method": "PATCH", "action": { "status": 403 } }]));
    let place = against(&planner);
    place.script(&two, &[]).code(5).says(&["lacks the permission"]);
}

/// "Project" in a code is a plan, and "owned by user" means by a group.
#[test]
fn trap_25_the_codes_of_limits_mix_their_words() {
    let bench = Bench::with(|options| {
        options.limits.plans_of_group = 1;
        options.limits.users_shared_with_plan = 1;
        options.limits.tasks_in_plan = 1;
    });
    let plan = id_of(&bench.items("/me/planner/plans")[0]);
    let container = json!({ "containerId": BOS, "type": "group" });
    let (code, message) =
        bench.post("/planner/plans", &json!({ "title": "x", "container": container })).error(403);
    assert_eq!(code, "MaximumProjectsOwnedByUser");
    assert_eq!(message, "The request exceeded allowed limits.");
    let body = json!({ "planId": plan, "title": "x" });
    assert_eq!(bench.post("/planner/tasks", &body).error(403).0, "MaximumTasksInProject");
    let stranger = "11111111-2222-4333-8444-555555555555";
    let share = json!({ "sharedWith": { stranger: true } });
    let (code, _) = bench.change(&format!("/planner/plans/{plan}/details"), &share).error(403);
    assert_eq!(code, "MaximumUsersSharedWithProject");
}

/// No identity has a name; names are looked up.
#[test]
fn trap_26_names_are_resolved_separately() {
    let bench = Bench::new();
    let plan = bench.new_plan();
    let task = bench.new_task_in(&plan, &json!({ "assignments": { MEI_ID: assignment() } }));
    let task = bench.get(&task);
    let mut names = Vec::new();
    members(&task, "displayName", &mut names);
    assert!(names.len() >= 4 && names.iter().all(|it| it.is_null()), "{task}");

    let planner = Planner::demo();
    let place = against(&planner);
    let name = planner.get(&format!("/users/{MEI_ID}"))["displayName"].clone();
    let who = script("t.assign(\"mei@bos.example\"); t.assignees.map(|u| u.name)");
    assert_eq!(result_of(&place, &who), json!([name]));
    let _ = planner.requests();
    let all =
        format!("plan(\"{PLAN}\").tasks.map(|t| [t.created_by.name, t.assignees.map(|u| u.name)])");
    let all = result_of(&place, &all);
    assert!(!all.to_string().contains("null"), "{all}");
    // Each person is asked for at most once.
    let asked: Vec<_> =
        planner.requests().into_iter().filter(|it| it.contains("/users/")).collect();
    let distinct: BTreeSet<_> = asked.iter().collect();
    assert_eq!(asked.len(), distinct.len(), "{asked:?}");
}

/// The priority among "my tasks" is an empty text while nobody has the task.
#[test]
fn trap_27_the_assignee_priority_of_nobody_is_empty() {
    let bench = Bench::new();
    let task = bench.new_task();
    assert_eq!(bench.get(&task)["assigneePriority"], "");
    let assigned = bench.change(&task, &json!({ "assignments": { "me": assignment() } }));
    assert_ne!(assigned.expect(200)["assigneePriority"], "");
    let nobody = bench.change(&task, &json!({ "assignments": { "me": null } })).expect(200);
    assert_eq!(nobody["assigneePriority"], "");
}

/// Nested addresses lead nowhere.
#[test]
fn trap_28_nested_addresses_are_not_routed() {
    let bench = Bench::new();
    let plan = bench.new_plan();
    let bucket = bench.new_bucket(&plan);
    let task = bench.new_task_in(&plan, &json!({ "bucketId": bucket }));
    let task = task.rsplit('/').next().unwrap();
    for path in [
        format!("/planner/buckets/{bucket}/tasks/{task}"),
        format!("/planner/plans/{plan}/tasks/{task}"),
        format!("/groups/{BOS}/planner/plans/{plan}/tasks"),
        format!("/groups/{BOS}/planner/plans/{plan}/buckets"),
        format!("/me/planner/plans/{plan}/tasks"),
    ] {
        let body = bench.send("GET", &path, &[], None).expect(404);
        let message = body["error"]["message"].as_str().unwrap();
        assert!(message.starts_with("No HTTP resource was found that matches"), "{message}");
        assert!(body["error"]["innerError"]["message"].is_string());
    }
}

/// Ids are case-sensitive.
#[test]
fn trap_29_ids_differ_in_case() {
    let swap = |id: &str| -> String {
        let swap = |ch: char| {
            if ch.is_lowercase() { ch.to_ascii_uppercase() } else { ch.to_ascii_lowercase() }
        };
        id.chars().map(swap).collect()
    };
    let bench = Bench::new();
    let task = bench.new_task();
    let id = task.rsplit('/').next().unwrap();
    let _ = bench.send("GET", &format!("/planner/tasks/{}", swap(id)), &[], None).error(404);

    let planner = Planner::demo();
    let place = against(&planner);
    let id = id_of(&planner.task(TASK));
    place.run(&["task", "get", &id]).code(0);
    place.run(&["task", "get", &swap(&id)]).code(1).says(&["there is no task"]);
}

/// The preview is set on the details, though it is seen on the task.
#[test]
fn trap_30_the_preview_is_set_on_the_details() {
    let bench = Bench::new();
    let task = bench.new_task();
    let body = json!({ "previewType": "checklist" });
    let (_, message) = bench.change(&task, &body).error(400);
    assert!(message.contains("'PreviewType', on entity 'Task'"), "{message}");
    let _ = bench.change(&format!("{task}/details"), &body).expect(200);
    assert_eq!(bench.get(&task)["previewType"], "checklist");

    let planner = Planner::demo();
    let place = against(&planner);
    place.script(&script("t.preview_type = \"checklist\";"), &[]).code(0);
    let writes = planner.writes();
    assert_eq!(writes.len(), 1);
    assert!(writes[0].path.ends_with("/details"), "{writes:?}");
    assert_eq!(planner.task(TASK)["previewType"], "checklist");
}

/// `owner` is still there, and deprecated: `container` is what is written.
#[test]
fn trap_31_owner_is_read_and_container_written() {
    let bench = Bench::new();
    let old = bench.post("/planner/plans", &json!({ "title": "x", "owner": BOS })).expect(201);
    assert_eq!((&old["owner"], &old["container"]["containerId"]), (&json!(BOS), &json!(BOS)));

    let planner = Planner::demo();
    let place = against(&planner);
    place.run(&["plan", "create", "New", "--group", "BOS"]).code(0);
    let bodies = bodies(planner.writes());
    assert_eq!(bodies[0]["container"], json!({ "containerId": BOS, "type": "group" }));
    assert!(bodies[0].get("owner").is_none());
}

/// A container of a kind that v1.0 does not know is `unknownFutureValue`, unless asked for.
#[test]
fn trap_32_a_roster_is_an_unknown_future_value() {
    let between = Between::answering(|_, _, _| ());
    let bench = direct(&between.emulator);
    let roster = id_of(&beta(&bench, "POST", "/planner/rosters", "", Some(&json!({}))).expect(201));
    let container = json!({ "containerId": roster, "type": "roster" });
    let body = json!({ "title": "Ours", "container": container });
    let plan = id_of(&beta(&bench, "POST", "/planner/plans", "", Some(&body)).expect(201));
    let path = format!("/planner/plans/{plan}");
    assert_eq!(bench.get(&path)["container"]["type"], "unknownFutureValue");
    let headers = [("prefer", "include-unknown-enum-members")];
    let known = bench.send("GET", &path, &headers, None).expect(200);
    assert_eq!(known["container"]["type"], "roster");

    // The program reads and writes such a plan, and takes the roster for no group.
    let place = through(&between);
    let read = format!(
        "let p = plan(\"{plan}\"); p.create_task(#{{ title: \"In it\" }}); [p.title, p.group == ()]"
    );
    assert_eq!(result_of(&place, &read), json!(["Ours", true]));
    assert_eq!(bench.items(&format!("{path}/tasks"))[0]["title"], "In it");
}

/// Who owns a group is not a member of it.
#[test]
fn trap_33_an_owner_is_no_member() {
    let bench = Bench::new();
    let me = format!("https://graph.microsoft.com/v1.0/users/{ROOK_ID}");
    let group = json!({
        "displayName": "Mine", "mailNickname": "mine", "mailEnabled": true,
        "securityEnabled": false, "groupTypes": ["Unified"], "owners@odata.bind": [me],
    });
    let group = id_of(&bench.post("/groups", &group).expect(201));
    let container = json!({ "containerId": group, "type": "group" });
    let plan = json!({ "title": "x", "container": container });
    let (code, message) = bench.post("/planner/plans", &plan).error(403);
    assert_eq!(code, "");
    assert!(message.ends_with("or the item may not exist."), "{message}");
    let member = json!({ "@odata.id": me });
    let _ = bench.post(&format!("/groups/{group}/members/$ref"), &member).expect(204);
    let _ = bench.post("/planner/plans", &plan).expect(201);

    let place = Place::embedded();
    place
        .run(&["plan", "create", "X", "--group", LEADERSHIP])
        .code(1)
        .says(&["you are not a member of the group", "owners are not members"]);
}

/// An application has no `/me`, and no list of somebody's plans.
#[test]
fn trap_34_an_application_has_no_me() {
    let bench = Bench::new();
    let form = "grant_type=client_credentials&client_id=0f9e8d7c-6b5a-4c3d-9e2f-1a0b9c8d7e6f\
                &client_secret=emulator-secret&scope=https%3A%2F%2Fgraph.microsoft.com%2F.default";
    let request = axum::http::Request::post("/bos.example/oauth2/v2.0/token")
        .header("host", "127.0.0.1:4321")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form.as_bytes().to_vec())
        .unwrap();
    let answer = bench.emulator.dispatch(request);
    assert_eq!(answer.status(), 200);
    let tokens: Value = serde_json::from_slice(answer.body()).unwrap();
    let bearer = format!("Bearer {}", tokens["access_token"].as_str().unwrap());
    let get = |path: &str| bench.send("GET", path, &[("authorization", &bearer)], None);
    for path in ["/me", "/me/planner/tasks", "/me/planner/plans", "/me/memberOf"] {
        let (code, message) = get(path).error(400);
        assert_eq!(code, "BadRequest");
        assert_eq!(message, "/me request is only valid with delegated authentication flow.");
    }
    let _ = get(&format!("/users/{MEI_ID}/planner/plans")).error(403);
    let _ = get(&format!("/users/{MEI_ID}/planner/tasks")).expect(200);
}

/// Other people's tasks are closed to a signed-in user.
#[test]
fn trap_35_the_tasks_of_others_are_closed() {
    let bench = Bench::new();
    let (code, message) =
        bench.send("GET", &format!("/users/{MEI_ID}/planner/tasks"), &[], None).error(403);
    assert_eq!(code, "");
    assert_eq!(message, "You do not have the required permissions to access this item.");
    let own = bench.items(&format!("/users/{ROOK_ID}/planner/tasks"));
    assert_eq!(own, bench.items("/me/planner/tasks"));
}

/// Dates are in UTC; a day is written at an hour that is the same day nearly everywhere.
#[test]
fn trap_36_a_day_is_written_at_ten_utc() {
    let bench = Bench::new();
    let task = bench.new_task();
    let due = |text: &str| bench.change(&task, &json!({ "dueDateTime": text }));
    assert_eq!(due("2026-12-24T23:30:00-05:00").expect(200)["dueDateTime"], "2026-12-25T04:30:00Z");
    for text in ["2026-12-24", "2026-12-24T10:00:00", "tomorrow"] {
        let _ = due(text).error(400);
    }
    for zone in ["Pacific/Kiritimati", "Pacific/Auckland", "America/Los_Angeles", "UTC"] {
        let planner = Planner::demo();
        let place = against(&planner);
        place
            .file("planwright.toml", &format!("time_zone = \"{zone}\"\n[policies]\nalways = []\n"));
        let set = script("t.due = \"2026-12-24\"; `${t.due}`");
        assert_eq!(result_of(&place, &set), "2026-12-24", "{zone}");
        assert_eq!(planner.task(TASK)["dueDateTime"], "2026-12-24T10:00:00Z", "{zone}");
    }
}

/// Fifty per cent means "in progress", and so does everything between 0 and 100.
#[test]
fn trap_37_between_0_and_100_all_is_in_progress() {
    let bench = Bench::new();
    let task = bench.new_task();
    let set = |percent: i64| bench.change(&task, &json!({ "percentComplete": percent }));
    for percent in [1, 50, 99] {
        assert_eq!(set(percent).expect(200)["percentComplete"], percent);
    }
    let _ = set(101).error(400);
    let _ = set(-1).error(400);

    let planner = Planner::demo();
    let place = against(&planner);
    place.script(&script("t.progress = \"in_progress\";"), &[]).code(0);
    assert_eq!(planner.task(TASK)["percentComplete"], 50);
    // What is in progress already keeps its share.
    place.script(&script("t.percent_complete = 30;"), &[]).code(0);
    let _ = planner.writes();
    let same = script("t.progress = \"in_progress\"; t.progress");
    assert_eq!(result_of(&place, &same), "in_progress");
    assert_eq!(planner.writes(), []);
}

/// Priority 0 is the highest, and none is 5.
#[test]
fn trap_38_priority_0_is_the_highest() {
    let bench = Bench::new();
    assert_eq!(bench.get(&bench.new_task())["priority"], 5);
    let without = Between::answering(|_, _, answer| {
        edit_body(answer, |body| {
            each_object(body, &|object| {
                if object.get("priority").is_some_and(|it| *it == 5) {
                    object.shift_remove("priority");
                }
            });
        });
    });
    let place = through(&without);
    assert_eq!(result_of(&place, &script("t.priority")), 5);
    place.script(&script("t.priority = 0;"), &[]).code(0);
    assert_eq!(result_of(&place, &script("t.priority")), 0);
    let shown = place.run(&["task", "get", TASK]).code(0).stdout;
    assert!(shown.contains("urgent"), "{shown}");
}

/// Reopening a task clears its completion.
#[test]
fn trap_39_reopening_clears_the_completion() {
    let planner = Planner::demo();
    let place = against(&planner);
    place.script(&script("t.complete();"), &[]).code(0);
    let done = planner.task(TASK);
    assert!(done["completedDateTime"].is_string());
    assert_eq!(done["completedBy"]["user"]["id"], ROOK_ID);
    place.script(&script("t.reopen();"), &[]).code(0);
    let open = planner.task(TASK);
    assert_eq!(open["percentComplete"], 0);
    assert_eq!((&open["completedDateTime"], &open["completedBy"]), (&Value::Null, &Value::Null));
    assert_eq!(
        result_of(&place, &script("[t.is_completed, t.completed_at == ()]")),
        json!([false, true])
    );
}

/// Completing or deleting a recurring task creates another one, for clients of v1.0 too.
#[test]
fn trap_40_a_recurring_task_has_a_successor() {
    let bench = Bench::new();
    let plan = bench.new_plan();
    let task = bench.new_task_in(&plan, &json!({ "dueDateTime": "2026-03-02T10:00:00Z" }));
    let pattern = json!({ "type": "daily", "interval": 1 });
    let schedule = json!({ "pattern": pattern, "patternStartDateTime": "2026-03-02T10:00:00Z" });
    let body = json!({ "recurrence": { "schedule": schedule } });
    let _ = beta(&bench, "PATCH", &task, &bench.tag(&task), Some(&body)).expect(200);
    let path = format!("/planner/plans/{plan}/tasks");
    let open = || -> Vec<(String, Value)> {
        let mut open = bench.items(&path);
        open.retain(|it| it["percentComplete"] == 0);
        open.iter().map(|it| (id_of(it), it["dueDateTime"].clone())).collect::<Vec<_>>()
    };
    assert!(bench.get(&task).get("recurrence").is_none());
    let _ = bench.change(&task, &json!({ "percentComplete": 100 })).expect(200);
    let [(second, due)] = open().try_into().unwrap();
    assert_eq!(due, "2026-03-03T10:00:00Z");
    let second = format!("/planner/tasks/{second}");
    let _ = bench.delete(&second, &bench.tag(&second)).expect(204);
    let [(_, due)] = open().try_into().unwrap();
    assert_eq!(due, "2026-03-04T10:00:00Z");
}

/// Premium plans are not there for this API: 403 or 404, told in plain words.
#[test]
fn trap_41_a_premium_plan_is_told_as_out_of_reach() {
    const PREMIUM: &str = "PremiumPremiumPremiumPremium";
    let planner = Planner::demo();
    let place = against(&planner);
    let ask = |what: &str| place.script(&format!("{what}(\"{PREMIUM}\").title"), &[]);
    ask("plan").code(1).says(&["there is no plan `PremiumPremiumPremiumPremium`"]);
    ask("task").code(1).says(&["there is no task `PremiumPremiumPremiumPremium`"]);
    planner.faults(&json!([{ "path": PREMIUM, "action": { "status": 403 } }]));
    ask("plan").code(5).says(&["the service answered 403", "lacks the permission"]);
    ask("task").code(5).says(&["the service answered 403"]);
    assert_eq!(planner.writes(), []);
}

/// The thread of comments is null until there is one, and not this program's to touch.
#[test]
fn trap_42_the_thread_of_comments_is_null_at_first() {
    let bench = Bench::new();
    let task = bench.new_task();
    assert_eq!(bench.get(&task)["conversationThreadId"], Value::Null);
    let set = bench.change(&task, &json!({ "conversationThreadId": "AAQkAD" })).expect(200);
    assert_eq!(set["conversationThreadId"], "AAQkAD");

    let planner = Planner::demo();
    let place = against(&planner);
    let path = format!("/planner/tasks/{}", id_of(&planner.task(TASK)));
    planner.edit(ROOK, &path, &json!({ "conversationThreadId": "AAQkAD" }));
    place.script(&script("t.priority = 1; t.description = \"x\";"), &[]).code(0);
    assert_eq!(planner.task(TASK)["conversationThreadId"], "AAQkAD");
}

/// `@odata.count` counts the page.
#[test]
fn trap_43_the_count_is_the_pages() {
    let bench = Bench::with(|options| options.page_size = 7);
    let plan = id_of(&bench.items(&format!("/groups/{BOS}/planner/plans"))[0]);
    let path = format!("/planner/plans/{plan}/tasks");
    assert_eq!(bench.get(&path)["@odata.count"], 7);
    assert_eq!(bench.items(&path).len(), 30);

    let planner = Planner::demo_in_pages_of(7);
    let place = against(&planner);
    assert_eq!(result_of(&place, &format!("plan(\"{PLAN}\").tasks.len()")), 30);
    let pages = planner.requests().iter().filter(|it| it.contains("/tasks")).count();
    assert_eq!(pages, 5);
}

/// A batch comes in any order, at most twenty at once, with failures inside a success.
#[test]
fn trap_44_a_batch_has_no_order_and_hides_failures() {
    let bench = Bench::new();
    let batch = |n: usize| {
        let one = |id: usize| json!({ "id": id.to_string(), "method": "GET", "url": "/me" });
        bench.post("/$batch", &json!({ "requests": (0..n).map(one).collect::<Vec<_>>() }))
    };
    let answers = batch(20).expect(200)["responses"].clone();
    assert_eq!((answers.as_array().unwrap().len(), &answers[0]["id"]), (20, &json!("19")));
    let _ = batch(21).error(400);

    // The program reads details in batches; throttled parts are asked for again.
    let planner = Planner::demo();
    let place = against(&planner);
    let all = format!("plan(\"{PLAN}\").tasks.map(|t| [t.id, t.description])");
    planner.faults(&json!([
        { "path": "/details", "nth": 4, "times": 3,
          "action": { "status": 429, "retry_after": "0.02" } },
    ]));
    let read = result_of(&place, &all);
    for pair in read.as_array().unwrap() {
        let path = format!("/planner/tasks/{}/details", pair[0].as_str().unwrap());
        assert_eq!(planner.get(&path)["description"], pair[1], "{path}");
    }
    let asked = planner.exchanges();
    let batches = asked.iter().filter(|it| it.path.ends_with("/$batch"));
    let sizes: Vec<usize> =
        batches.map(|it| it.body.as_ref().unwrap()["requests"].as_array().unwrap().len()).collect();
    assert!(sizes.len() >= 2 && sizes.iter().all(|size| *size <= 20), "{sizes:?}");
    assert_eq!(asked.iter().filter(|it| it.status == Some(429)).count(), 3);
}

/// Retry-After may be fractional.
#[test]
fn trap_45_retry_after_may_be_fractional() {
    let planner = Planner::demo();
    let place = against(&planner);
    // Without the fraction understood, the answer would be too long a wait or none.
    planner.faults(&json!([
        { "method": "PATCH", "nth": 1, "times": 2, "action": { "status": 429, "retry_after": "0.125" } },
    ]));
    let report = place.script(&script("t.priority = 1;"), &["--json"]).code(0).json();
    assert_eq!((&report["status"], &report["stats"]["retries"]), (&json!("applied"), &json!(2)));
    planner.faults(&json!([
        { "method": "PATCH", "action": { "status": 429, "retry_after": "61.5" } },
    ]));
    let _ = planner.writes();
    place.script(&script("t.priority = 2;"), &[]).code(6).says(&["the service answered 429"]);
    assert_eq!(planner.writes().len(), 1);
}

/// Bad JSON may be answered with 500, so that a 500 does not always pass.
#[test]
fn trap_46_a_500_on_a_write_is_not_tried_for_ever() {
    let bench = Bench::new();
    let task = bench.new_task();
    let tag = bench.tag(&task);
    let request = axum::http::Request::patch(format!("/v1.0{task}"))
        .header("host", "127.0.0.1:4321")
        .header("authorization", format!("Bearer emulator:{ROOK}"))
        .header("content-type", "application/json")
        .header("if-match", tag)
        .body(b"{\"title\": ".to_vec())
        .unwrap();
    assert_eq!(bench.emulator.dispatch(request).status(), 400);

    let planner = Planner::demo();
    let place = against(&planner);
    let action = json!({ "status": 500, "retry_after": "0" });
    planner.faults(&json!([{ "method": "PATCH", "action": action }]));
    let report = place.script(&script("t.priority = 1;"), &["--json"]).code(6).json();
    assert_eq!(report["error"]["code"], "unavailable");
    assert_eq!(planner.writes().len(), 5);
    planner.faults(&json!([{ "method": "POST", "path": "/planner/tasks", "action": action }]));
    place.file("planwright.toml", "[policies]\nalways = []\n[limits]\nquarantine_seconds = 0\n");
    let create = format!("plan(\"{PLAN}\").create_task(#{{ title: \"Once\" }});");
    let before = planner.writes().len();
    place.script(&create, &[]).code(6);
    assert_eq!(planner.writes().len() - before, 5);
}

/// A limit may be answered although the change was applied.
#[test]
fn trap_47_a_limit_may_be_told_after_the_fact() {
    let told = Arc::new(AtomicUsize::new(0));
    let between = Between::answering({
        let told = told.clone();
        move |method, _, answer| {
            if method == "PATCH" && told.fetch_add(1, Ordering::SeqCst) == 0 {
                *answer.status_mut() = axum::http::StatusCode::FORBIDDEN;
                let error = json!({ "code": "MaximumFavoritePlansForUser",
                                    "message": "The request exceeded allowed limits." });
                *answer.body_mut() = json!({ "error": error }).to_string().into_bytes();
            }
        }
    });
    let place = through(&between);
    let set = script("t.priority = 1;");
    let report = place.script(&set, &["--json"]).code(1).json();
    assert!(report["error"]["message"].as_str().unwrap().contains("MaximumFavoritePlansForUser"));
    // Nothing was sent a second time, and the next run sees what is there.
    assert_eq!(told.load(Ordering::SeqCst), 1);
    assert_eq!(place.script(&set, &["--json"]).code(0).json()["status"], "no_changes");
    assert_eq!(told.load(Ordering::SeqCst), 1);
}

/// Deleting a plan twice is answered with 404, which means that it is gone.
#[test]
fn trap_48_what_is_gone_is_deleted() {
    let bench = Bench::new();
    let plan = format!("/planner/plans/{}", bench.new_plan());
    let tag = bench.tag(&plan);
    let _ = bench.delete(&plan, &tag).expect(204);
    let (_, message) = bench.delete(&plan, &tag).error(404);
    assert_eq!(message, "The requested item is not found.");

    let planner = Planner::demo();
    let place = against(&planner);
    place.run(&["plan", "create", "Spare", "--group", "BOS"]).code(0);
    planner.faults(&json!([{ "method": "DELETE", "nth": 1, "action": { "drop_after": true } }]));
    let _ = planner.writes();
    place.run(&["plan", "delete", "Spare", "--force"]).code(0);
    let answers: Vec<_> = planner.writes().iter().map(|it| it.status).collect();
    assert_eq!(answers.last(), Some(&Some(404)), "{answers:?}");
}

/// A stale tag is accepted as long as nothing collides.
#[test]
fn trap_49_a_stale_tag_is_often_accepted() {
    let bench = Bench::new();
    let task = bench.new_task();
    let stale = bench.tag(&task);
    let _ = bench.change(&task, &json!({ "priority": 1 })).expect(200);
    let merged = bench.patch(&task, &stale, &json!({ "title": "Renamed" })).expect(200);
    assert_eq!((&merged["priority"], &merged["title"]), (&json!(1), &json!("Renamed")));
    let (_, message) = bench.patch(&task, &stale, &json!({ "priority": 3 })).error(409);
    assert!(message.starts_with("The attempted changes conflicted with already accepted changes."));
    let _ = bench.delete(&task, &stale).error(409);
    assert_eq!(bench.get(&task)["priority"], 1);
}

/// `me` is accepted as a key and replaced.
#[test]
fn trap_50_me_becomes_the_real_id() {
    let bench = Bench::new();
    let plan = bench.caller(MEI).new_plan();
    let task = bench.new_task_in(&plan, &json!({ "assignments": { "me": assignment() } }));
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&bench.get(&task)["assignments"]), [ROOK_ID]);
    let details = format!("/planner/plans/{plan}/details");
    let shared = bench.change(&details, &json!({ "sharedWith": { "me": true } })).expect(200);
    assert_eq!(shared["sharedWith"], json!({ MEI_ID: true, ROOK_ID: true }));

    let planner = Planner::demo();
    let place = against(&planner);
    place.script(&script("t.assign(me());"), &[]).code(0);
    assert_eq!(keys(&bodies(planner.writes())[0]["assignments"]), [ROOK_ID]);
    // Whose it is already is not assigned again.
    place.script(&script("t.assign(me());"), &[]).code(0);
    assert_eq!(planner.writes(), []);
}

/// Titles and names are never null, and messages spell fields in their own way.
#[test]
fn trap_51_titles_are_never_null() {
    let bench = Bench::new();
    let plan = bench.new_plan();
    let bucket = format!("/planner/buckets/{}", bench.new_bucket(&plan));
    let task = bench.new_task_in(&plan, &json!({}));
    let null = |entity: &str, field: &str| {
        format!(
            "Schema validation has failed. Validation for field '{field}', on entity '{entity}' \
             has failed: A non-null value must be specified for this field."
        )
    };
    let plan = format!("/planner/plans/{plan}");
    for (path, field, entity, name) in [
        (&task, "title", "Task", "Title"),
        (&bucket, "name", "Bucket", "Name"),
        (&plan, "title", "Plan", "Title"),
    ] {
        let answer = bench.change(path, &json!({ field: null }));
        assert_eq!(answer.error(400), (String::new(), null(entity, name)));
    }
    let answer = bench.post("/planner/buckets", &json!({ "name": "x" }));
    assert_eq!(answer.error(400).1, null("Bucket", "PlanId"));

    let place = Place::embedded();
    place.script(&script("t.title = \"\";"), &[]).code(3).says(&["the title is empty"]);
}

/// Labels are named in each plan for itself, and one without a name can be applied.
#[test]
fn trap_52_labels_are_the_plans_own() {
    let bench = Bench::new();
    let (one, two) = (bench.new_plan(), bench.new_plan());
    let names = json!({ "categoryDescriptions": { "category9": "Paint" } });
    let _ = bench.change(&format!("/planner/plans/{one}/details"), &names).expect(200);
    let other = bench.get(&format!("/planner/plans/{two}/details"));
    assert_eq!(other["categoryDescriptions"].as_object().unwrap().len(), 25);
    assert_eq!(other["categoryDescriptions"]["category9"], Value::Null);
    let applied = json!({ "appliedCategories": { "category9": true } });
    let task = bench.new_task_in(&two, &applied);
    assert_eq!(bench.get(&task)["appliedCategories"], applied["appliedCategories"]);

    let planner = Planner::demo();
    let place = against(&planner);
    let path = format!("/planner/tasks/{}", id_of(&planner.task(TASK)));
    planner.edit(ROOK, &path, &json!({ "appliedCategories": { "category25": true } }));
    assert_eq!(result_of(&place, &script("t.labels[2]")), "category25");
    place.script(&script("t.remove_label(\"category25\");"), &[]).code(0);
    assert_eq!(planner.task(TASK)["appliedCategories"].get("category25"), None);
}

/// Unknown members and new values of enumerations appear over time.
#[test]
fn trap_53_what_is_unknown_is_no_error() {
    let between = Between::answering(|_, _, answer| {
        edit_body(answer, |body| {
            each_object(body, &|object| {
                if object.get("previewType").is_some_and(|it| *it == "automatic") {
                    object.insert("previewType".into(), json!("hologram"));
                }
                if object.contains_key("containerId") {
                    object.insert("type".into(), json!("spaceship"));
                }
                if object.contains_key("@odata.etag") || object.contains_key("orderHint") {
                    object.insert("newInGraph".into(), json!({ "deep": [1, { "x": null }] }));
                }
            });
        });
    });
    let place = through(&between);
    let bench = direct(&between.emulator);
    let path = path_of_task(&bench);
    let read = "t.add_checklist_item(\"x\"); t.assign(\"mei@bos.example\"); [t.preview_type, t.plan.group == ()]";
    let id = path.rsplit('/').next().unwrap();
    let read = result_of(&place, &format!("let t = task(\"{id}\"); {read}"));
    assert_eq!(read, json!(["hologram", true]));
    let again = format!("let t = task(\"{id}\"); t.description = \"y\"; t.title = \"z\";");
    place.script(&again, &[]).code(0).says(&["Applied 1 change"]);
    let task = bench.get(&format!("{path}?$expand=details"));
    assert_eq!((&task["title"], &task["details"]["description"]), (&json!("z"), &json!("y")));
    // What the program did not understand it did not write.
    assert_eq!(task["details"]["previewType"], "automatic");
}

/// Services spell `innerError` differently.
#[test]
fn trap_54_the_inner_error_has_two_spellings() {
    for name in ["innerError", "innererror"] {
        let body =
            json!({ "error": { "code": "", "message": "m", name: { "request-id": "r-1" } } });
        let error = ApiError::read(404, None, body.to_string().as_bytes());
        assert_eq!(error.request_id.as_deref(), Some("r-1"), "{name}");
        assert_eq!((error.code.as_str(), error.message.as_str()), ("", "m"));
    }
    for body in ["", "{}", "<html>", "{\"error\":\"x\"}", "{\"error\":{\"innerError\":[]}}", "[]"] {
        let error = ApiError::read(404, None, body.as_bytes());
        assert!(error.is_not_found() && error.request_id.is_none(), "{body}");
    }
    // The emulator spells it as Planner does.
    let bench = Bench::new();
    let path = format!("/planner/tasks/{}", "A".repeat(28));
    let answer = bench.send("GET", &path, &[("client-request-id", "c-1")], None);
    let id = answer.header("request-id").to_owned();
    let inner = answer.expect(404)["error"]["innerError"].clone();
    assert_eq!((&inner["request-id"], &inner["client-request-id"]), (&json!(id), &json!("c-1")));
}

/// The cloud in China has no Planner API.
#[test]
fn trap_55_the_cloud_in_china_has_no_planner() {
    const CHINA: &str = "https://microsoftgraph.chinacloudapi.cn/v1.0";
    let place = Place::embedded();
    let token = [("PLANWRIGHT_TOKEN", "secret-canary-token")];
    let output = place.run_with(&["--graph-url", CHINA, "plan", "list"], "", &token).code(2);
    assert!(output.stderr.contains("has no Planner API"), "{}", output.stderr);
    let output =
        output.says(&["https://graph.microsoft.com/v1.0", "microsoftgraph.chinacloudapi.cn"]);
    assert!(!output.stderr.contains("secret-canary-token"));
}

/// Taking a person off a task takes the person's place on the board along.
#[test]
fn trap_56_unassigning_removes_the_hint_of_the_board() {
    let bench = Bench::new();
    let task = bench.new_task();
    let board = format!("{task}/assignedToTaskBoardFormat");
    let _ = bench.change(&task, &json!({ "assignments": { MEI_ID: assignment() } })).expect(200);
    assert!(bench.get(&board)["orderHintsByAssignee"][MEI_ID].is_string());
    let _ = bench.change(&board, &json!({ "orderHintsByAssignee": { MEI_ID: null } })).error(400);
    let _ = bench.change(&task, &json!({ "assignments": { MEI_ID: null } })).expect(200);
    assert_eq!(bench.get(&board)["orderHintsByAssignee"], json!({}));

    let planner = Planner::demo();
    let place = against(&planner);
    place.script(&script("t.assign(\"mei@bos.example\");"), &[]).code(0);
    let _ = planner.writes();
    place.script(&script("t.unassign(\"mei@bos.example\");"), &[]).code(0);
    let writes = bodies(planner.writes());
    assert_eq!(writes, [json!({ "assignments": { MEI_ID: null } })]);
}

/// Setting both the description and the notes of the beta is an error.
#[test]
fn trap_57_description_and_notes_exclude_each_other() {
    let bench = Bench::new();
    let details = format!("{}/details", bench.new_task());
    let change = |body: &Value| {
        let tag = bench.tag(&details);
        beta(&bench, "PATCH", &details, &tag, Some(body))
    };
    let notes = |kind: &str, text: &str| json!({ "contentType": kind, "content": text });
    let both = json!({ "description": "a", "notes": notes("text", "b") });
    let _ = change(&both).error(400);
    assert_eq!(bench.get(&details)["description"], "");
    let _ = change(&json!({ "notes": notes("html", "<p>Call <b>Bo</b></p>") })).expect(200);
    assert_eq!(bench.get(&details)["description"], "Call Bo");
    assert!(bench.get(&details).get("notes").is_none());
    let plain = change(&json!({ "description": "Call Ana" })).expect(200);
    assert_eq!(plain["notes"], notes("text", "Call Ana"));
    // In v1.0 there is no such property.
    let _ = bench.change(&details, &json!({ "notes": notes("text", "b") })).error(400);
}

/// Whom a plan is shared with is not thereby a member, and may not be able to open it.
#[test]
fn trap_58_sharing_makes_no_member() {
    let between = Between::answering(|_, _, _| ());
    let bench = direct(&between.emulator);
    let victor = bench.caller(VICTOR);
    let plan = id_of(&victor.items(&format!("/groups/{LEADERSHIP}/planner/plans"))[0]);
    let path = format!("/planner/plans/{plan}");
    let _ = victor.change(&format!("{path}/details"), &json!({ "sharedWith": { ROOK_ID: true } }));
    assert!(bench.items("/me/planner/plans").iter().any(|it| it["id"] == json!(plan)));
    let _ = bench.send("GET", &path, &[], None).error(403);
    let members = victor.items(&format!("/groups/{LEADERSHIP}/members"));
    assert!(members.iter().all(|it| it["id"] != ROOK_ID));

    // The program lists the plan, and says why it does not open.
    let place = through(&between);
    let listed = place.run(&["plan", "list", "--json"]).code(0).json();
    assert!(listed.as_array().unwrap().iter().any(|it| it["id"] == json!(plan)));
    place.run(&["task", "list", "--plan", &plan]).code(5).says(&["lacks the permission"]);
}
