//! ETags, conditional requests and collisions (planner-api.md section 3).

use serde_json::json;

use crate::emulator_support::{ASSIGNMENT, Bench, CHECKLIST_ITEM, MEI_ID, ROOK_ID, id_of, tag_of};

const MISSING: &str = "The If-Match header must be specified for this kind of request.";
const INVALID: &str = "The If-Match header contains an invalid value.";

#[test]
fn a_first_tag_and_its_successor_are_those_of_the_reference() {
    let bench = Bench::new();
    let task = bench.new_task();
    assert_eq!(bench.tag(&task), "W/\"JzEtVGFzayAgQEBAQEBAQEBAQEBAQEBARCc=\"");
    let _ = bench.change(&task, &json!({ "title": "New" })).expect(200);
    assert_eq!(bench.tag(&task), "W/\"JzEtVGFzayAgQEBAQEBAQEBAQEBAQEBASCc=\"");
}

#[test]
fn if_match_decides_as_table_3_3_says() {
    // Traps 1, 4 and 5.
    let bench = Bench::new();
    let task = bench.new_task();
    let (tag, details) = (bench.tag(&task), bench.tag(&format!("{task}/details")));
    let escaped = tag.replace('"', "\\\"");
    let bare = tag.replace("W/", "").replace('"', "");
    let two = format!("{tag}, {tag}");
    let cases = [
        ("*", 400, INVALID),
        (details.as_str(), 412, INVALID),
        (escaped.as_str(), 412, INVALID),
        (bare.as_str(), 412, INVALID),
        (two.as_str(), 412, INVALID),
        ("", 412, INVALID),
        ("W/\"JzEtVGFzayAgQEBAQEBAQEBAQEBAQEBASCc=\"", 412, INVALID),
    ];
    for (header, status, message) in cases {
        let body = json!({ "title": "New" });
        let refused = bench.patch(&task, header, &body).error(status);
        assert_eq!(refused, (String::new(), message.to_owned()), "{header}");
        let refused = bench.delete(&task, header).error(status);
        assert_eq!(refused.1, message, "{header}");
    }
    for method in ["PATCH", "DELETE"] {
        let (code, message) =
            bench.send(method, &task, &[], Some(&json!({ "title": "New" }))).error(412);
        assert_eq!((code.as_str(), message.as_str()), ("", MISSING));
    }
    let strong = tag.replace("W/", "");
    let _ = bench.patch(&task, &strong, &json!({ "title": "New" })).expect(200);
}

#[test]
fn every_kind_of_object_refuses_the_tags_of_the_others() {
    // Trap 1.
    let bench = Bench::new();
    let plan = bench.new_plan();
    let bucket = format!("/planner/buckets/{}", bench.new_bucket(&plan));
    let task = bench.new_task_in(&plan, &json!({}));
    let part = |name: &str| format!("{task}/{name}");
    let plan = format!("/planner/plans/{plan}");
    let details = format!("{plan}/details");
    let objects = [
        (plan, json!({ "title": "x" })),
        (details, json!({ "categoryDescriptions": { "category1": "x" } })),
        (bucket, json!({ "name": "x" })),
        (task.clone(), json!({ "title": "x" })),
        (part("details"), json!({ "description": "x" })),
        (part("assignedToTaskBoardFormat"), json!({ "unassignedOrderHint": " !" })),
        (part("bucketTaskBoardFormat"), json!({ "orderHint": " !" })),
        (part("progressTaskBoardFormat"), json!({ "orderHint": " !" })),
    ];
    for (at, (path, body)) in objects.iter().enumerate() {
        for (other, (other_path, _)) in objects.iter().enumerate() {
            if other != at {
                let tag = bench.tag(other_path);
                let (_, message) = bench.patch(path, &tag, body).error(412);
                assert_eq!(message, INVALID, "{other_path} on {path}");
            }
        }
        let before = bench.tag(path);
        let after = tag_of(&bench.patch(path, &before, body).expect(200));
        assert!(after > before, "{path}");
    }
}

#[test]
fn a_stale_tag_is_accepted_unless_the_changes_collide() {
    // Trap 49. Each case: what was changed meanwhile, what the stale client sends, the answer.
    let assign = |user: &str| json!({ "assignments": { user: { "@odata.type": ASSIGNMENT, "orderHint": " !" } } });
    let unassign = |user: &str| json!({ "assignments": { user: null } });
    let label = |name: &str, on: bool| json!({ "appliedCategories": { name: on } });
    let cases = [
        (json!({ "title": "a" }), json!({ "priority": 1 }), 200),
        (json!({ "title": "a" }), json!({ "title": "b" }), 409),
        // Equal values are no agreement.
        (json!({ "title": "a" }), json!({ "title": "a" }), 409),
        (json!({ "title": "a" }), json!({ "title": "b", "priority": 1 }), 409),
        (label("category1", true), label("category2", true), 200),
        (label("category1", true), label("category1", false), 409),
        (assign(MEI_ID), assign(ROOK_ID), 200),
        (assign(MEI_ID), unassign(MEI_ID), 409),
        (assign(MEI_ID), assign(&MEI_ID.to_uppercase()), 409),
        (assign("me"), unassign(ROOK_ID), 409),
        (json!({ "percentComplete": 100 }), json!({ "percentComplete": 50 }), 409),
        (json!({ "percentComplete": 100 }), json!({ "dueDateTime": null }), 200),
        // A conflict is reported before a mistake in the body.
        (json!({ "title": "a" }), json!({ "title": "" }), 409),
    ];
    for (meanwhile, stale, status) in cases {
        let bench = Bench::new();
        let task = bench.new_task();
        let tag = bench.tag(&task);
        let _ = bench.patch(&task, &tag, &meanwhile).expect(200);
        let answer = bench.patch(&task, &tag, &stale);
        assert_eq!(answer.status, status, "{meanwhile} then {stale}: {}", answer.body);
        if status == 409 {
            let (code, message) = answer.error(409);
            assert_eq!(code, "");
            let begin = "The attempted changes conflicted with already accepted changes.";
            assert!(message.starts_with(begin), "{message}");
        }
    }
}

#[test]
fn removing_an_entry_collides_with_changes_below_it_and_the_reverse() {
    let item = |more: serde_json::Value| {
        let mut item = json!({ "@odata.type": CHECKLIST_ITEM });
        item.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "checklist": { "1": item } })
    };
    let removed = json!({ "checklist": { "1": null } });
    let cases = [
        (item(json!({ "isChecked": true })), removed.clone(), 409),
        (removed, item(json!({ "isChecked": true })), 409),
        (item(json!({ "isChecked": true })), item(json!({ "title": "b" })), 200),
        (item(json!({ "isChecked": true })), item(json!({ "isChecked": true })), 409),
    ];
    for (meanwhile, stale, status) in cases {
        let bench = Bench::new();
        let details = format!("{}/details", bench.new_task());
        let _ = bench.change(&details, &item(json!({ "title": "a" }))).expect(200);
        let tag = bench.tag(&details);
        let _ = bench.patch(&details, &tag, &meanwhile).expect(200);
        let answer = bench.patch(&details, &tag, &stale);
        assert_eq!(answer.status, status, "{meanwhile} then {stale}: {}", answer.body);
    }
}

#[test]
fn a_change_of_nothing_leaves_the_version() {
    let bench = Bench::new();
    let task = bench.new_task();
    let tag = bench.tag(&task);
    for body in [
        json!({}),
        json!({ "title": "Task" }),
        json!({ "appliedCategories": { "category1": false } }),
        json!({ "assignments": { MEI_ID: null } }),
        json!({ "@odata.type": "#microsoft.graph.plannerTask" }),
    ] {
        assert_eq!(tag_of(&bench.patch(&task, &tag, &body).expect(200)), tag, "{body}");
    }
}

#[test]
fn a_delete_needs_the_present_tag() {
    // Trap 2.
    let bench = Bench::new();
    let task = bench.new_task();
    let tag = bench.tag(&task);
    let details = format!("{task}/details");
    let _ = bench.change(&details, &json!({ "description": "Text" })).expect(200);
    let _ = bench.delete(&task, &tag).error(409);
    let _ = bench.delete(&task, &bench.tag(&task)).expect(204);
    // Existence comes before the header.
    for method in ["GET", "PATCH", "DELETE"] {
        let (code, message) = bench.send(method, &task, &[], None).error(404);
        assert_eq!((code.as_str(), message.as_str()), ("", "The requested item is not found."));
    }
}

#[test]
fn changes_move_the_tags_of_section_3_5_and_no_others() {
    let parts = [
        "",
        "/details",
        "/assignedToTaskBoardFormat",
        "/bucketTaskBoardFormat",
        "/progressTaskBoardFormat",
    ];
    let item = json!({ "@odata.type": CHECKLIST_ITEM, "title": "x" });
    let assignment = json!({ "@odata.type": ASSIGNMENT, "orderHint": " !" });
    let cases = [
        ("", json!({ "title": "x" }), vec![""]),
        (
            "",
            json!({ "assignments": { MEI_ID: assignment } }),
            vec!["", "/assignedToTaskBoardFormat"],
        ),
        ("/details", json!({ "description": "x" }), vec!["", "/details"]),
        ("/details", json!({ "checklist": { "1": item } }), vec!["", "/details"]),
        ("/details", json!({ "previewType": "noPreview" }), vec!["", "/details"]),
        ("/bucketTaskBoardFormat", json!({ "orderHint": " !" }), vec!["/bucketTaskBoardFormat"]),
        (
            "/progressTaskBoardFormat",
            json!({ "orderHint": " !" }),
            vec!["/progressTaskBoardFormat"],
        ),
    ];
    for (part, body, expected) in cases {
        let bench = Bench::new();
        let plan = bench.new_plan();
        let task = bench.new_task_in(&plan, &json!({}));
        let tags = || parts.map(|part| bench.tag(&format!("{task}{part}")));
        let plan_tag = bench.tag(&format!("/planner/plans/{plan}"));
        let before = tags();
        let _ = bench.change(&format!("{task}{part}"), &body).expect(200);
        let after = tags();
        let moved: Vec<&str> =
            (0..parts.len()).filter(|at| before[*at] != after[*at]).map(|at| parts[at]).collect();
        assert_eq!(moved, expected, "{part} {body}");
        assert_eq!(bench.tag(&format!("/planner/plans/{plan}")), plan_tag);
    }
    // A second text of a description changes no property of the task, but its version.
    let bench = Bench::new();
    let task = bench.new_task();
    let details = format!("{task}/details");
    let _ = bench.change(&details, &json!({ "description": "x" })).expect(200);
    let tag = bench.tag(&task);
    let _ = bench.change(&details, &json!({ "description": "y" })).expect(200);
    assert!(bench.tag(&task) > tag);
}

#[test]
fn patch_answers_nothing_unless_the_representation_is_preferred() {
    // Trap 3.
    let bench = Bench::new();
    let task = bench.new_task();
    let tag = bench.tag(&task);
    let body = json!({ "title": "x" });
    let answer = bench.send("PATCH", &task, &[("if-match", &tag)], Some(&body));
    assert_eq!((answer.status, answer.header("preference-applied")), (204, ""));
    assert!(answer.body.is_null());

    for prefer in ["return=representation", "include-unknown-enum-members, Return=Representation"] {
        let tag = bench.tag(&task);
        let headers = [("if-match", tag.as_str()), ("prefer", prefer)];
        let answer = bench.send("PATCH", &task, &headers, Some(&json!({ "title": prefer })));
        assert_eq!(answer.header("preference-applied"), "return=representation");
        assert_eq!(answer.header("etag"), answer.body["@odata.etag"]);
        assert_eq!(answer.expect(200)["title"], prefer);
    }
}

#[test]
fn a_read_of_the_known_version_is_not_modified() {
    let bench = Bench::new();
    let task = bench.new_task();
    let tag = bench.tag(&task);
    for (header, status) in
        [(tag.as_str(), 304), ("*", 304), ("W/\"x\"", 200), (&format!("\"a\", {tag}"), 304)]
    {
        let answer = bench.send("GET", &task, &[("if-none-match", header)], None);
        assert_eq!(answer.status, status, "{header}");
        assert_eq!(answer.body.is_null(), status == 304);
    }
}

#[test]
fn a_list_carries_the_same_tags_as_its_objects() {
    let bench = Bench::new();
    let plan = bench.new_plan();
    let task = bench.new_task_in(&plan, &json!({}));
    let listed = bench.items(&format!("/planner/plans/{plan}/tasks"));
    assert_eq!(format!("/planner/tasks/{}", id_of(&listed[0])), task);
    assert_eq!(tag_of(&listed[0]), bench.tag(&task));
}
