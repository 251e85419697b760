//! What may be written and what follows from it: schema rules, open types, hints, computed fields,
//! limits (planner-api.md sections 2.4, 4, 5, 6 and 7).

use serde_json::{Value, json};

use crate::emulator_support::{
    ASSIGNMENT, Bench, CHECKLIST_ITEM, MEI, MEI_ID, REFERENCE, ROOK_ID, id_of, names,
};

const WIKI: &str = "https%3A//wiki%2Eexample%2Eorg/a%2Eb?x=1%23top";

#[test]
fn a_body_that_breaks_a_rule_of_the_schema_is_refused() {
    // Traps 17, 18, 51.
    let bench = Bench::new();
    let plan = bench.new_plan();
    let other_bucket = bench.new_bucket(&bench.new_plan());
    let bucket = format!("/planner/buckets/{}", bench.new_bucket(&plan));
    let task = bench.new_task_in(&plan, &json!({}));
    let details = format!("{task}/details");
    let plan = format!("/planner/plans/{plan}");
    let plan_details = format!("{plan}/details");
    let null = |field: &str, entity: &str| {
        format!(
            "Schema validation has failed. Validation for field '{field}', on entity '{entity}' \
             has failed: A non-null value must be specified for this field."
        )
    };
    let read_only = |field: &str, entity: &str| {
        format!(
            "Schema validation has failed. Validation for field '{field}', on entity '{entity}' \
             has failed: This field is read only and cannot be changed."
        )
    };
    let other = "B".repeat(28);
    let cases = [
        (&task, json!({ "title": null }), null("Title", "Task")),
        (&task, json!({ "title": "" }), "Schema validation".to_owned()),
        (&task, json!({ "title": 1 }), "Invalid value".to_owned()),
        (
            &task,
            json!({ "titel": "x" }),
            "The property 'titel' does not exist on type 'microsoft.graph.plannerTask'".to_owned(),
        ),
        (&task, json!({ "hasDescription": true }), read_only("HasDescription", "Task")),
        // Trap 30.
        (&task, json!({ "previewType": "checklist" }), read_only("PreviewType", "Task")),
        (&task, json!({ "id": other }), read_only("Id", "Task")),
        (&task, json!({ "percentComplete": 101 }), "Schema validation".to_owned()),
        (&task, json!({ "percentComplete": -1 }), "Schema validation".to_owned()),
        (&task, json!({ "percentComplete": 0.5 }), "Invalid value".to_owned()),
        (&task, json!({ "percentComplete": null }), null("PercentComplete", "Task")),
        (&task, json!({ "priority": 11 }), "Schema validation".to_owned()),
        (&task, json!({ "dueDateTime": "2026-03-31" }), "Invalid value".to_owned()),
        (&task, json!({ "dueDateTime": 5 }), "Invalid value".to_owned()),
        (
            &task,
            json!({ "startDateTime": "2026-03-02T00:00:00.5Z", "dueDateTime": "2026-03-02T00:00:00Z" }),
            "Schema validation has failed. Validation for field 'StartDateTime'".to_owned(),
        ),
        (
            &task,
            json!({ "bucketId": other_bucket }),
            "Schema validation has failed. Validation for field 'BucketId', on entity 'Task'"
                .to_owned(),
        ),
        (
            &task,
            json!({ "bucketId": other }),
            "Schema validation has failed. Validation for field 'BucketId'".to_owned(),
        ),
        (&task, json!({ "bucketId": "short" }), "The request is invalid".to_owned()),
        (&task, json!({ "assignments": null }), "Invalid value".to_owned()),
        (&details, json!({ "previewType": "picture" }), "Invalid value".to_owned()),
        (&details, json!({ "notes": {} }), "The property 'notes'".to_owned()),
        (&bucket, json!({ "planId": other }), read_only("PlanId", "Bucket")),
        (&bucket, json!({ "name": null }), null("Name", "Bucket")),
        (&plan, json!({ "owner": MEI_ID }), read_only("Owner", "Plan")),
        (&plan, json!({ "container": {} }), read_only("Container", "Plan")),
        (
            &plan_details,
            json!({ "categoryDescriptions": { "category26": "x" } }),
            "The category 'category26'".to_owned(),
        ),
        (
            &plan_details,
            json!({ "categoryDescriptions": { "category1": 1 } }),
            "Invalid value".to_owned(),
        ),
        (
            &plan_details,
            json!({ "sharedWith": { "someone": true } }),
            "The user id 'someone'".to_owned(),
        ),
    ];
    for (path, body, message) in cases {
        let before = bench.get(path);
        let (_, actual) = bench.change(path, &body).error(400);
        assert!(actual.starts_with(&message), "{body}: {actual}");
        assert_eq!(bench.get(path), before);
    }
    // Moving between plans is not part of v1.0.
    let (code, message) = bench.change(&task, &json!({ "planId": other })).error(403);
    assert!(code.is_empty() && message.ends_with("or the item may not exist."));
    // What is equal may be echoed.
    let whole = bench.get(&task);
    for name in ["planId", "id", "createdBy", "hasDescription", "previewType", "createdDateTime"] {
        let _ = bench.change(&task, &json!({ name: whole[name] })).expect(200);
    }
}

#[test]
fn a_new_object_needs_what_the_tables_require() {
    let bench = Bench::new();
    let plan = bench.new_plan();
    let cases = [
        ("/planner/tasks", json!({ "title": "x" }), "'PlanId', on entity 'Task'"),
        ("/planner/tasks", json!({ "planId": plan }), "'Title', on entity 'Task'"),
        ("/planner/tasks", json!({ "planId": plan, "title": "" }), "'Title', on entity 'Task'"),
        ("/planner/tasks", json!({ "planId": "short", "title": "x" }), "identifier 'short'"),
        (
            "/planner/tasks",
            json!({ "planId": plan, "title": "x", "hasDescription": true }),
            "'HasDescription', on entity 'Task' has failed: This field is read only",
        ),
        ("/planner/tasks", json!({ "planId": plan, "title": "x", "a": 1 }), "The property 'a'"),
        ("/planner/buckets", json!({ "name": "x" }), "'PlanId', on entity 'Bucket'"),
        ("/planner/buckets", json!({ "planId": plan, "name": null }), "'Name', on entity 'Bucket'"),
        (
            "/planner/buckets",
            json!({ "planId": plan, "name": "x", "orderHint": "x" }),
            "order hint",
        ),
        ("/planner/plans", json!({ "owner": MEI_ID }), "'Title', on entity 'Plan'"),
    ];
    for (path, body, message) in cases {
        let (_, actual) = bench.post(path, &body).error(400);
        assert!(actual.contains(message), "{body}: {actual}");
    }
    let task = json!({ "planId": plan, "title": "x", "hasDescription": false,
        "assignments": { MEI_ID: null }, "@odata.type": "#microsoft.graph.plannerTask" });
    let _ = bench.post("/planner/tasks", &task).expect(201);
}

#[test]
fn a_body_must_be_a_json_object_and_say_so() {
    let bench = Bench::new();
    let task = bench.new_task();
    let tag = bench.tag(&task);
    let send = |media: &str, body: &[u8]| {
        let request = axum::http::Request::builder()
            .method("PATCH")
            .uri(format!("/v1.0{task}"))
            .header("authorization", "Bearer emulator:rook@bos.example")
            .header("content-type", media)
            .header("if-match", &tag);
        bench.emulator.dispatch(request.body(body.to_vec()).unwrap()).status().as_u16()
    };
    let deep = "[".repeat(100_000);
    for (media, body, status) in [
        ("text/plain", &b"{}"[..], 415),
        ("", b"{}", 415),
        ("application/json; charset=utf-8", b"{}", 204),
        ("Application/JSON", b"{}", 204),
        ("application/json", b"", 400),
        ("application/json", b"{\"title\":", 400),
        ("application/json", b"[]", 400),
        ("application/json", b"{\"title\":\"\xff\"}", 400),
        ("application/json", deep.as_bytes(), 400),
    ] {
        assert_eq!(
            send(media, body),
            status,
            "{media} {:?}",
            String::from_utf8_lossy(body).get(..20)
        );
    }
}

#[test]
fn order_hints_are_resolved_and_never_echoed() {
    // Traps 7 and 8.
    let bench = Bench::new();
    let task = bench.new_task();
    let echoed = bench.get(&task)["orderHint"].as_str().unwrap().to_owned();
    let (code, message) = bench.change(&task, &json!({ "orderHint": echoed })).error(400);
    assert_eq!(code, "");
    assert_eq!(
        message,
        format!(
            "The request is invalid:\r\nSpecified order hint is in an invalid format: The input \
             ({echoed}) does not contain spaces or exclamation points."
        )
    );
    let (first, second) = (bench.change(&task, &json!({ "orderHint": " !" })).expect(200), "g");
    let first = first["orderHint"].as_str().unwrap();
    assert!(first.starts_with('P') && !first.contains([' ', '!']), "{first}");
    let between = format!("{first} {second}!");
    let moved = bench.change(&task, &json!({ "orderHint": between })).expect(200);
    let hint = moved["orderHint"].as_str().unwrap();
    assert!(first < hint && hint < second, "{hint}");

    let details = format!("{task}/details");
    for (path, body) in [
        (&task, json!({ "assigneePriority": "x" })),
        (&task, json!({ "assigneePriority": null })),
        (
            &task,
            json!({ "assignments": { MEI_ID: { "@odata.type": ASSIGNMENT, "orderHint": "x" } } }),
        ),
        (
            &details,
            json!({ "checklist": { "1": { "@odata.type": CHECKLIST_ITEM, "title": "x", "orderHint": "x" } } }),
        ),
        (
            &details,
            json!({ "references": { WIKI: { "@odata.type": REFERENCE, "previewPriority": "x" } } }),
        ),
        (&format!("{task}/bucketTaskBoardFormat"), json!({ "orderHint": "x" })),
        (&format!("{task}/assignedToTaskBoardFormat"), json!({ "unassignedOrderHint": null })),
        (
            &format!("{task}/assignedToTaskBoardFormat"),
            json!({ "orderHintsByAssignee": { MEI_ID: "x" } }),
        ),
        (
            &format!("{task}/assignedToTaskBoardFormat"),
            json!({ "orderHintsByAssignee": { MEI_ID: null } }),
        ),
    ] {
        let _ = bench.change(path, &body).error(400);
    }
    // Trap 9: a card moves on its board, not in the flat list.
    let board = format!("{task}/bucketTaskBoardFormat");
    let moved = bench.change(&board, &json!({ "orderHint": " !" })).expect(200);
    assert!(moved["orderHint"].as_str().unwrap().starts_with('P'));
    assert_eq!(bench.get(&task)["orderHint"], hint);
}

#[test]
fn values_of_open_types_name_their_type_and_say_something() {
    // Traps 12, 19, 20.
    let bench = Bench::new();
    let task = bench.new_task();
    let details = format!("{task}/details");
    let reference =
        |key: &str| json!({ "references": { key: { "@odata.type": REFERENCE, "alias": "x" } } });
    let cases = [
        (&task, json!({ "assignments": { MEI_ID: { "orderHint": " !" } } }), 400),
        (&task, json!({ "assignments": { MEI_ID: { "@odata.type": ASSIGNMENT } } }), 400),
        (
            &task,
            json!({ "assignments": { MEI_ID: { "@odata.type": CHECKLIST_ITEM, "orderHint": " !" } } }),
            400,
        ),
        (&task, json!({ "assignments": { MEI_ID: true } }), 400),
        (
            &task,
            json!({ "assignments": { "mei": { "@odata.type": ASSIGNMENT, "orderHint": " !" } } }),
            400,
        ),
        (
            &task,
            json!({ "assignments": { MEI_ID: { "@odata.type": ASSIGNMENT, "orderHint": " !", "role": "x" } } }),
            400,
        ),
        (
            &task,
            json!({ "assignments": { "@odata.type": "#microsoft.graph.plannerAssignments",
            MEI_ID: { "orderHint": " !", "@odata.type": "microsoft.graph.plannerAssignment" } } }),
            200,
        ),
        (&task, json!({ "appliedCategories": { "category25": true } }), 200),
        (&task, json!({ "appliedCategories": { "category26": true } }), 400),
        (&task, json!({ "appliedCategories": { "category1": "yes" } }), 400),
        (&task, json!({ "appliedCategories": { "label": true } }), 400),
        (
            &details,
            json!({ "checklist": { "1": { "@odata.type": CHECKLIST_ITEM, "isChecked": true } } }),
            400,
        ),
        (
            &details,
            json!({ "checklist": { "1": { "@odata.type": CHECKLIST_ITEM, "title": null } } }),
            400,
        ),
        (
            &details,
            json!({ "checklist": { "1": { "@odata.type": CHECKLIST_ITEM, "title": "x", "isChecked": "no" } } }),
            400,
        ),
        (
            &details,
            json!({ "checklist": { "": { "@odata.type": CHECKLIST_ITEM, "title": "x" } } }),
            400,
        ),
        (
            &details,
            json!({ "checklist": { "a/b é": { "@odata.type": CHECKLIST_ITEM, "title": "x" } } }),
            200,
        ),
        (
            &details,
            json!({ "references": { WIKI: { "@odata.type": "#microsoft.graph.externalReference", "alias": "x" } } }),
            400,
        ),
        (&details, reference("https://wiki.example.org"), 400),
        (&details, reference("https%3A//wiki.example%2Eorg"), 400),
        (&details, reference("https%3A//wiki%2Eexample%2Eorg/#top"), 400),
        (&details, reference("https%3A//me@wiki%2Eexample%2Eorg"), 400),
        (&details, reference("ftp%3A//wiki%2Eexample%2Eorg"), 400),
        (&details, reference(WIKI), 200),
        // A key in another encoding is another key: this removes nothing.
        (&details, json!({ "references": { "https%3A%2F%2Fwiki%2Eexample%2Eorg": null } }), 200),
    ];
    for (path, body, status) in cases {
        let answer = bench.change(path, &body);
        assert_eq!(answer.status, status, "{body}: {}", answer.body);
    }
    assert_eq!(names(&bench.get(&details)["references"]), [WIKI]);
}

#[test]
fn patches_of_open_types_merge() {
    // Traps 11, 50, 56.
    let bench = Bench::new();
    let task = bench.new_task();
    let assignment = json!({ "@odata.type": ASSIGNMENT, "orderHint": " !" });
    let by_rook = bench.change(&task, &json!({ "assignments": { "me": assignment } })).expect(200);
    assert_eq!(names(&by_rook["assignments"]), [ROOK_ID]);
    assert_ne!(by_rook["assigneePriority"], "");
    bench.clock.advance(60);
    let both = json!({ "assignments": { MEI_ID.to_uppercase(): assignment, ROOK_ID:
        { "@odata.type": ASSIGNMENT, "orderHint": "P !" } } });
    let both = bench.caller(MEI).change(&task, &both).expect(200);
    assert_eq!(names(&both["assignments"]), [ROOK_ID, MEI_ID]);
    // Who assigned first stays; only the hint changes.
    assert_eq!(both["assignments"][ROOK_ID]["assignedBy"]["user"]["id"], ROOK_ID);
    assert_eq!(both["assignments"][ROOK_ID]["assignedDateTime"], "2026-03-02T09:14:58.3370416Z");
    assert_eq!(both["assignments"][ROOK_ID]["orderHint"], "g");
    assert_eq!(both["assignments"][MEI_ID]["assignedBy"]["user"]["id"], MEI_ID);
    let board = format!("{task}/assignedToTaskBoardFormat");
    assert_eq!(names(&bench.get(&board)["orderHintsByAssignee"]), [ROOK_ID, MEI_ID]);
    let body = json!({ "assignments": { ROOK_ID: null } });
    assert_eq!(names(&bench.change(&task, &body).expect(200)["assignments"]), [MEI_ID]);
    assert_eq!(names(&bench.get(&board)["orderHintsByAssignee"]), [MEI_ID]);
    let body = json!({ "assignments": { MEI_ID: null } });
    assert_eq!(bench.change(&task, &body).expect(200)["assigneePriority"], "");

    let body = json!({ "appliedCategories": { "category1": true, "category2": true } });
    let _ = bench.change(&task, &body).expect(200);
    let body = json!({ "appliedCategories": { "category1": false, "category3": true } });
    let labels = bench.change(&task, &body).expect(200)["appliedCategories"].clone();
    assert_eq!(labels, json!({ "category2": true, "category3": true }));
}

#[test]
fn plan_details_merge_and_always_show_25_labels() {
    // Traps 52 and 58.
    let bench = Bench::new();
    let plan = bench.new_plan();
    let details = format!("/planner/plans/{plan}/details");
    let body = json!({ "sharedWith": { "@odata.type": "#microsoft.graph.plannerUserIds", MEI_ID: true },
        "categoryDescriptions": { "category1": "Hull", "category3": "Blocked" } });
    let _ = bench.change(&details, &body).expect(200);
    // Trap 21: the list of a user is what is shared with that user.
    let titles = |bench: &Bench| {
        bench.items("/me/planner/plans").iter().filter(|it| it["id"] == plan.as_str()).count()
    };
    assert_eq!((titles(&bench), titles(&bench.caller(MEI))), (1, 1));
    let body =
        json!({ "sharedWith": { "me": false }, "categoryDescriptions": { "category1": null } });
    let after = bench.change(&details, &body).expect(200);
    assert_eq!(after["sharedWith"], json!({ MEI_ID: true }));
    let labels = after["categoryDescriptions"].as_object().unwrap();
    assert_eq!(labels.len(), 25);
    assert_eq!((&labels["category1"], &labels["category3"]), (&Value::Null, &json!("Blocked")));
    assert_eq!((titles(&bench), titles(&bench.caller(MEI))), (0, 1));
}

#[test]
fn the_task_shows_what_its_details_contain() {
    let bench = Bench::new();
    let task = bench.new_task();
    let details = format!("{task}/details");
    let body = json!({
        "description": "Zinc, size M24.\r\nAsk for two quotes.",
        "previewType": "checklist",
        "checklist": {
            "a": { "@odata.type": CHECKLIST_ITEM, "title": "Quote", "isChecked": false, "orderHint": " !" },
            "20886": { "@odata.type": CHECKLIST_ITEM, "title": "Measure", "isChecked": true },
        },
        "references": { WIKI: { "@odata.type": REFERENCE, "alias": "Sheet", "type": "Other", "previewPriority": " !" } },
    });
    let written = bench.change(&details, &body).expect(200);
    assert_eq!(
        names(&written["checklist"]["a"]),
        [
            "@odata.type",
            "isChecked",
            "title",
            "orderHint",
            "lastModifiedDateTime",
            "lastModifiedBy"
        ]
    );
    assert_eq!(
        names(&written["references"][WIKI]),
        [
            "@odata.type",
            "alias",
            "type",
            "previewPriority",
            "lastModifiedDateTime",
            "lastModifiedBy"
        ]
    );
    assert_eq!(
        written["checklist"]["a"]["lastModifiedBy"],
        json!({ "user": { "displayName": null, "id": ROOK_ID } })
    );
    let shown = |bench: &Bench| {
        let task = bench.get(&task);
        [
            "hasDescription",
            "previewType",
            "checklistItemCount",
            "activeChecklistItemCount",
            "referenceCount",
        ]
        .map(|name| task[name].clone())
    };
    assert_eq!(shown(&bench), [json!(true), json!("checklist"), json!(2), json!(1), json!(1)]);

    bench.clock.advance(60);
    let body = json!({ "description": null, "references": { WIKI: null }, "checklist": {
        "a": { "@odata.type": CHECKLIST_ITEM, "isChecked": true }, "20886": null, "gone": null } });
    let after = bench.caller(MEI).change(&details, &body).expect(200);
    assert_eq!(after["description"], "");
    let item = &after["checklist"]["a"];
    assert_eq!((item["title"].as_str(), item["isChecked"].as_bool()), (Some("Quote"), Some(true)));
    assert_eq!(item["lastModifiedDateTime"], "2026-03-02T09:15:58.3370416Z");
    assert_eq!(item["lastModifiedBy"]["user"]["id"], MEI_ID);
    assert_eq!(shown(&bench), [json!(false), json!("checklist"), json!(1), json!(0), json!(0)]);
}

#[test]
fn completion_is_signed_and_reopening_clears_it() {
    // Traps 37 and 39.
    let bench = Bench::new();
    let task = bench.new_task();
    let complete = |percent: i64| {
        let task =
            bench.caller(MEI).change(&task, &json!({ "percentComplete": percent })).expect(200);
        (task["completedDateTime"].clone(), task["completedBy"]["user"]["id"].clone())
    };
    let done = (json!("2026-03-02T09:14:58.3370416Z"), json!(MEI_ID));
    let open = (Value::Null, Value::Null);
    for (percent, expected) in [(50, &open), (100, &done), (99, &open), (100, &done), (0, &open)] {
        assert_eq!(complete(percent), *expected, "{percent}");
    }
    let plan = bench.new_plan();
    let born_done = bench.get(&bench.new_task_in(&plan, &json!({ "percentComplete": 100 })));
    assert_eq!(born_done["completedBy"]["user"]["id"], ROOK_ID);
}

#[test]
fn nullable_fields_are_cleared_and_offsets_become_utc() {
    // Trap 36.
    let bench = Bench::new();
    let task = bench.new_task();
    let body = json!({ "dueDateTime": "2026-03-31T12:00:00+02:00", "priority": 0, "conversationThreadId": "AAQk" });
    let set = bench.change(&task, &body).expect(200);
    assert_eq!(
        (&set["dueDateTime"], &set["priority"]),
        (&json!("2026-03-31T10:00:00Z"), &json!(0))
    );
    let body = json!({ "dueDateTime": null, "conversationThreadId": null, "bucketId": null });
    let cleared = bench.change(&task, &body).expect(200);
    assert!(
        ["dueDateTime", "conversationThreadId", "bucketId"]
            .iter()
            .all(|name| cleared[*name].is_null())
    );
}

#[test]
fn inline_details_of_a_new_task_are_applied() {
    let bench = Bench::new();
    let plan = bench.new_plan();
    let task = bench.new_task_in(&plan, &json!({ "details": { "description": "x" } }));
    assert_eq!(bench.get(&task)["hasDescription"], true);
    let body = json!({ "planId": plan, "title": "x", "details": { "notes": "x" } });
    let _ = bench.post("/planner/tasks", &body).error(400);
    // A refused request leaves nothing behind.
    assert_eq!(bench.items(&format!("/planner/plans/{plan}/tasks")).len(), 1);
}

#[test]
fn every_limit_has_its_code() {
    // Traps 24 and 25.
    let bench = Bench::with(|options| {
        let limits = &mut options.limits;
        limits.active_tasks_in_plan = 31;
        limits.tasks_in_plan = 33;
        limits.assignees_of_task = 2;
        limits.checklist_items_of_task = 3;
        limits.references_of_task = 1;
        limits.users_shared_with_plan = 6;
    });
    let plan = bench.new_plan();
    let task = bench.new_task_in(&plan, &json!({ "percentComplete": 100 }));
    let details = format!("{task}/details");
    let item = json!({ "@odata.type": CHECKLIST_ITEM, "title": "x" });
    let reference = json!({ "@odata.type": REFERENCE, "alias": "x" });
    let assignment = json!({ "@odata.type": ASSIGNMENT, "orderHint": " !" });
    let user = |at: u8| format!("00000000-0000-4000-8000-0000000000{at:02}");
    let shared: serde_json::Map<String, Value> = (0..7).map(|at| (user(at), true.into())).collect();
    for (path, body, code) in [
        (
            &details,
            json!({ "checklist": { "1": item, "2": item, "3": item, "4": item } }),
            "MaximumChecklistItemsOnTask",
        ),
        (
            &details,
            json!({ "references": { WIKI: reference, "http%3A//x": reference } }),
            "MaximumReferencesOnTask",
        ),
        (
            &task,
            json!({ "assignments": { user(1): assignment, user(2): assignment, user(3): assignment } }),
            "MaximumAssigneesInTasks",
        ),
        (
            &format!("/planner/plans/{plan}/details"),
            json!({ "sharedWith": shared }),
            "MaximumUsersSharedWithProject",
        ),
    ] {
        let refused = bench.change(path, &body).error(403);
        assert_eq!(refused, (code.to_owned(), "The request exceeded allowed limits.".to_owned()));
    }
    let add = |more: Value| {
        let mut body = json!({ "planId": plan, "title": "x" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        bench.post("/planner/tasks", &body)
    };
    for _ in 0..31 {
        let _ = add(json!({})).expect(201);
    }
    assert_eq!(add(json!({})).error(403).0, "MaximumActiveTasksInProject");
    assert_eq!(
        bench.change(&task, &json!({ "percentComplete": 0 })).error(403).0,
        "MaximumActiveTasksInProject"
    );
    let _ = add(json!({ "percentComplete": 100 })).expect(201);
    assert_eq!(add(json!({ "percentComplete": 100 })).error(403).0, "MaximumTasksInProject");
    let one = id_of(&bench.items(&format!("/planner/plans/{plan}/tasks"))[5]);
    let _ = bench
        .change(&format!("/planner/tasks/{one}"), &json!({ "percentComplete": 100 }))
        .expect(200);
    let _ = bench.change(&task, &json!({ "percentComplete": 0 })).expect(200);
}

#[test]
fn limits_of_plans_buckets_and_people_have_their_codes() {
    let bench = Bench::with(|options| {
        let limits = &mut options.limits;
        limits.buckets_in_plan = 4;
        limits.plans_of_group = 2;
        limits.plans_shared_with_user = 2;
        limits.tasks_assigned_to_user = 13;
        limits.tasks_created_by_user = 30;
    });
    let plan = bench.new_plan();
    for _ in 0..4 {
        bench.new_bucket(&plan);
    }
    let code = |answer: crate::emulator_support::Answer| answer.error(403).0;
    assert_eq!(
        code(bench.post("/planner/buckets", &json!({ "name": "x", "planId": plan }))),
        "MaximumBucketsInProject"
    );
    let body = json!({ "title": "x", "owner": crate::emulator_support::BOS });
    assert_eq!(code(bench.post("/planner/plans", &body)), "MaximumProjectsOwnedByUser");
    let details = format!("/planner/plans/{plan}/details");
    assert_eq!(
        code(bench.change(&details, &json!({ "sharedWith": { MEI_ID: true } }))),
        "MaximumProjectsSharedWithUser"
    );
    let create = |more: Value| {
        let mut body = json!({ "planId": plan, "title": "x" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        bench.post("/planner/tasks", &body)
    };
    let mine = json!({ "assignments": { "me": { "@odata.type": ASSIGNMENT, "orderHint": " !" } } });
    let assigned = bench.items("/me/planner/tasks").len();
    for _ in assigned..13 {
        let _ = create(mine.clone()).expect(201);
    }
    assert_eq!(code(create(mine)), "MaximumTasksAssignedToUser");
    let refused = std::iter::repeat_with(|| create(json!({}))).find(|answer| answer.status != 201);
    assert_eq!(code(refused.unwrap()), "MaximumTasksCreatedByUser");
}

/// Bodies made of the words that mean something here, in any arrangement.
fn arbitrary_body() -> impl proptest::strategy::Strategy<Value = Value> {
    use proptest::prelude::{Just, Strategy as _, any, prop};
    let word = prop::sample::select(vec![
        "title",
        "planId",
        "bucketId",
        "assignments",
        "checklist",
        "references",
        "orderHint",
        "appliedCategories",
        "category1",
        "sharedWith",
        "categoryDescriptions",
        "@odata.type",
        "details",
        "container",
        "owner",
        "url",
        "requests",
        "id",
        "method",
        "dependsOn",
        "me",
        "percentComplete",
        "dueDateTime",
        "description",
        "\u{1f}",
        "",
        " !",
        ASSIGNMENT,
        CHECKLIST_ITEM,
        REFERENCE,
        WIKI,
        ROOK_ID,
        "2026-03-31T10:00:00Z",
        "\u{e9}'\u{0}",
    ]);
    let leaf = proptest::prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, move |inner| {
        let members = prop::collection::vec((word.clone(), inner.clone()), 0..5);
        proptest::prop_oneof![
            prop::collection::vec(inner, 0..3).prop_map(Value::from),
            members.prop_map(|members| {
                Value::Object(members.into_iter().map(|(name, it)| (name.to_owned(), it)).collect())
            }),
        ]
    })
}

#[test]
fn no_request_makes_the_emulator_panic_or_fail() {
    use proptest::prelude::{ProptestConfig, prop};
    let bench = Bench::new();
    let plan = bench.new_plan();
    let task = bench.new_task_in(&plan, &json!({}));
    let paths: Vec<String> = [
        "/me",
        "/users",
        "/groups",
        "/planner/plans",
        "/planner/buckets",
        "/planner/tasks",
        "/$batch",
    ]
    .into_iter()
    .map(str::to_owned)
    .chain(["", "/details", "/assignedToTaskBoardFormat"].map(|part| format!("{task}{part}")))
    .chain(["/details", "/tasks"].map(|part| format!("/planner/plans/{plan}{part}")))
    .collect();
    let methods = prop::sample::select(vec!["GET", "POST", "PATCH"]);
    let queries = "(\\?\\$(filter|select|expand|skiptoken|top)=[a-z('),%0-9+]{0,12})?";
    let config = ProptestConfig { cases: 600, failure_persistence: None, ..Default::default() };
    proptest::proptest!(config, |(
        method in methods,
        path in prop::sample::select(paths),
        query in queries,
        body in arbitrary_body(),
    )| {
        let bare = path.as_str();
        let has_tag = bare.starts_with(&task) || bare.ends_with("/details");
        let tag = if has_tag { bench.tag(bare) } else { String::new() };
        let headers = [("if-match", tag.as_str())];
        let answer = bench.send(method, &format!("{path}{query}"), &headers, Some(&body));
        proptest::prop_assert!(answer.status < 500, "{} {path}{query} {body}: {}", method, answer.body);
    });
}
