//! Plans, buckets, tasks: creation, reading, deletion, access and addresses.

use serde_json::{Value, json};

use crate::emulator_support::{
    ASSIGNMENT, BOS, Bench, LEADERSHIP, MEI, MEI_ID, ROOK_ID, VICTOR, id_of, names,
};

const ORIGIN: &str = "http://127.0.0.1:4321";
const PERMISSION: &str = "You do not have the required permissions to access this item.";
const MERGED: &str =
    "You do not have the required permissions to access this item, or the item may not exist.";

#[test]
fn a_new_plan_answers_as_the_reference_shows() {
    let bench = Bench::new();
    // Trap 31: the container is written, the owner is still returned.
    let url = format!("https://graph.microsoft.com/v1.0/groups/{BOS}");
    let body = json!({ "container": { "url": url }, "title": "Dry-dock schedule" });
    let answer = bench.post("/planner/plans", &body);
    let location = answer.header("location").to_owned();
    assert_eq!(answer.header("etag"), answer.body["@odata.etag"]);
    let plan = answer.expect(201);
    let id = id_of(&plan);
    assert_eq!(id.len(), 28);
    assert_eq!(location, format!("{ORIGIN}/v1.0/planner/plans('{id}')"));
    let expected = json!({
        "@odata.context": format!("{ORIGIN}/v1.0/$metadata#planner/plans/$entity"),
        "@odata.etag": "W/\"JzEtUGxhbiAgQEBAQEBAQEBAQEBAQEBARCc=\"",
        "createdDateTime": "2026-03-02T09:14:58.3370416Z",
        "owner": BOS,
        "title": "Dry-dock schedule",
        "id": id,
        // Trap 26: names are never filled in.
        "createdBy": {
            "user": { "displayName": null, "id": ROOK_ID },
            "application": {
                "displayName": null, "id": "0f9e8d7c-6b5a-4c3d-9e2f-1a0b9c8d7e6f"
            },
        },
        "container": { "containerId": BOS, "type": "group", "url": url },
    });
    assert_eq!(plan, expected);
    assert_eq!(names(&plan), names(&expected));

    let details = bench.get(&format!("/planner/plans/{id}/details"));
    assert_eq!(
        names(&details),
        ["@odata.context", "@odata.etag", "id", "sharedWith", "categoryDescriptions"]
    );
    assert_eq!(
        details["@odata.context"],
        format!("{ORIGIN}/v1.0/$metadata#planner/plans('{id}')/details/$entity")
    );
    assert_eq!(details["sharedWith"], json!({ ROOK_ID: true }));
    let labels = details["categoryDescriptions"].as_object().unwrap();
    assert!(labels.len() == 25 && labels.values().all(Value::is_null));
    // Trap 15: a plan made here has no buckets.
    assert!(bench.items(&format!("/planner/plans/{id}/buckets")).is_empty());
}

#[test]
fn containers_are_given_in_every_form_of_section_1_3() {
    let bench = Bench::new();
    let graph = format!("https://graph.microsoft.com/beta/groups/{}", BOS.to_uppercase());
    let own = format!("{ORIGIN}/v1.0/groups/{BOS}");
    let other = format!("https://graph.microsoft.com/v1.0/groups/{LEADERSHIP}");
    let security = bench
        .post(
            "/groups",
            &json!({ "displayName": "S", "mailNickname": "s", "mailEnabled": false,
                     "securityEnabled": true }),
        )
        .expect(201);
    let member = format!("https://graph.microsoft.com/v1.0/directoryObjects/{ROOK_ID}");
    let path = format!("/groups/{}/members/$ref", id_of(&security));
    let _ = bench.post(&path, &json!({ "@odata.id": member })).expect(204);
    let cases = [
        (json!({ "container": { "url": graph } }), 201),
        (json!({ "container": { "url": own } }), 201),
        (json!({ "container": { "containerId": BOS, "type": "group" } }), 201),
        (json!({ "container": { "containerId": BOS, "type": "group", "url": own } }), 201),
        (
            json!({ "container": { "@odata.type": "#microsoft.graph.plannerPlanContainer",
                                   "url": own } }),
            201,
        ),
        (json!({ "owner": BOS }), 201),
        (json!({ "container": { "containerId": BOS, "type": "group", "url": other } }), 400),
        (json!({ "container": { "url": own }, "owner": LEADERSHIP }), 400),
        (json!({ "container": { "containerId": BOS } }), 400),
        (json!({ "container": { "containerId": BOS, "type": "project" } }), 400),
        (json!({ "container": { "url": "https://example.com/groups/1" } }), 400),
        (json!({ "container": { "url": own, "colour": "red" } }), 400),
        (json!({ "container": 1 }), 400),
        (json!({}), 400),
        (json!({ "owner": id_of(&security) }), 400),
        // Not a member; no such group; a group is no roster.
        (json!({ "container": { "containerId": BOS, "type": "roster" } }), 403),
        (json!({ "owner": LEADERSHIP }), 403),
        (json!({ "owner": MEI_ID }), 403),
    ];
    for (mut body, status) in cases {
        body["title"] = "Plan".into();
        let answer = bench.post("/planner/plans", &body);
        assert_eq!(answer.status, status, "{body}: {}", answer.body);
        if status == 403 {
            assert_eq!(answer.error(403), (String::new(), MERGED.to_owned()));
        }
    }
}

#[test]
fn a_group_made_here_has_no_members_until_they_are_added() {
    // Trap 33.
    let bench = Bench::new();
    let group = json!({ "displayName": "New", "mailNickname": "new", "mailEnabled": true,
        "securityEnabled": false, "groupTypes": ["Unified"] });
    let group = bench.post("/groups", &group).expect(201);
    let plan = json!({ "title": "Plan", "owner": group["id"] });
    let _ = bench.post("/planner/plans", &plan).error(403);
    let members = format!("/groups/{}/members", id_of(&group));
    let reference = |user: &str| json!({ "@odata.id": format!("https://graph.microsoft.com/v1.0/directoryObjects/{user}") });
    let add = |user: &str| bench.post(&format!("{members}/$ref"), &reference(user));
    let _ = add(ROOK_ID).expect(204);
    let (code, _) = add(ROOK_ID).error(400);
    assert_eq!(code, "Request_BadRequest");
    let (code, _) = add(BOS).error(404);
    assert_eq!(code, "Request_ResourceNotFound");
    let id = id_of(&bench.post("/planner/plans", &plan).expect(201));
    let _ = bench.delete(&format!("{members}/{ROOK_ID}/$ref"), "").expect(204);
    let _ = bench.delete(&format!("{members}/{ROOK_ID}/$ref"), "").error(404);
    let (_, message) = bench.send("GET", &format!("/planner/plans/{id}"), &[], None).error(403);
    assert_eq!(message, PERMISSION);
}

#[test]
fn a_new_task_answers_as_the_reference_shows() {
    let bench = Bench::new();
    let plan = bench.new_plan();
    let bucket = bench.new_bucket(&plan);
    let body = json!({
        "planId": plan, "bucketId": bucket, "title": "Order anodes", "priority": 3,
        "dueDateTime": "2026-03-31T10:00:00Z", "appliedCategories": { "category3": true },
        "assignments": { MEI_ID: { "@odata.type": ASSIGNMENT, "orderHint": " !" } },
    });
    let task = bench.post("/planner/tasks", &body).expect(201);
    let rook = json!({
        "user": { "displayName": null, "id": ROOK_ID },
        "application": { "displayName": null, "id": "0f9e8d7c-6b5a-4c3d-9e2f-1a0b9c8d7e6f" },
    });
    let hint = "8584291703013621583".to_owned();
    let actual = task["orderHint"].as_str().unwrap();
    assert!(actual.len() == hint.len() && actual.parse::<i64>().is_ok(), "{actual}");
    let hint = task["assignments"][MEI_ID]["orderHint"].clone();
    assert!(hint.as_str().unwrap().starts_with('P'), "{hint}");
    let expected = json!({
        "@odata.context": format!("{ORIGIN}/v1.0/$metadata#planner/tasks/$entity"),
        "@odata.etag": "W/\"JzEtVGFzayAgQEBAQEBAQEBAQEBAQEBARCc=\"",
        "planId": plan,
        "bucketId": bucket,
        "title": "Order anodes",
        "orderHint": actual,
        "assigneePriority": actual,
        "percentComplete": 0,
        "startDateTime": null,
        "createdDateTime": "2026-03-02T09:14:58.3370416Z",
        "dueDateTime": "2026-03-31T10:00:00Z",
        "hasDescription": false,
        "previewType": "automatic",
        "completedDateTime": null,
        "completedBy": null,
        "referenceCount": 0,
        "checklistItemCount": 0,
        "activeChecklistItemCount": 0,
        "conversationThreadId": null,
        "priority": 3,
        "id": id_of(&task),
        "createdBy": rook,
        "appliedCategories": { "category3": true },
        "assignments": {
            MEI_ID: {
                "@odata.type": ASSIGNMENT,
                "assignedDateTime": "2026-03-02T09:14:58.3370416Z",
                "orderHint": hint,
                "assignedBy": rook,
            }
        },
    });
    assert_eq!(task, expected);
    assert_eq!(names(&task), names(&expected));
    let path = format!("/planner/tasks/{}", id_of(&task));
    assert_eq!(bench.get(&path), expected);
    let board = bench.get(&format!("{path}/assignedToTaskBoardFormat"));
    assert_eq!(names(&board)[2..], ["unassignedOrderHint", "id", "orderHintsByAssignee"]);
    assert_eq!(names(&board["orderHintsByAssignee"]), [MEI_ID]);
    let details = bench.get(&format!("{path}/details"));
    assert_eq!(
        names(&details)[2..],
        ["description", "previewType", "id", "references", "checklist"]
    );
    let bucket = bench.get(&format!("/planner/buckets/{bucket}"));
    assert_eq!(names(&bucket)[2..], ["name", "planId", "orderHint", "id"]);
}

#[test]
fn a_minimal_task_has_the_defaults_of_section_1_6() {
    // Traps 16, 27, 38, 42.
    let bench = Bench::new();
    let task = bench.get(&bench.new_task());
    for (name, value) in [
        ("bucketId", Value::Null),
        ("assigneePriority", "".into()),
        ("percentComplete", 0.into()),
        ("priority", 5.into()),
        ("conversationThreadId", Value::Null),
        ("assignments", json!({})),
        ("appliedCategories", json!({})),
    ] {
        assert_eq!(task[name], value, "{name}");
    }
}

#[test]
fn deleting_takes_everything_inside_along() {
    // Trap 48.
    let bench = Bench::new();
    let plan = bench.new_plan();
    let bucket = bench.new_bucket(&plan);
    let inside = bench.new_task_in(
        &plan,
        &json!({ "bucketId": bucket, "assignments":
        { "me": { "@odata.type": ASSIGNMENT, "orderHint": " !" } } }),
    );
    let outside = bench.new_task_in(&plan, &json!({}));
    let mine = bench.items("/me/planner/tasks").len();
    let bucket = format!("/planner/buckets/{bucket}");
    let _ = bench.delete(&bucket, &bench.tag(&bucket)).expect(204);
    for path in [&bucket, &inside, &format!("{inside}/details")] {
        let _ = bench.send("GET", path, &[], None).error(404);
    }
    assert_eq!(bench.items("/me/planner/tasks").len(), mine - 1);
    let plan = format!("/planner/plans/{plan}");
    let tag = bench.tag(&plan);
    let _ = bench.delete(&plan, &tag).expect(204);
    for path in [&plan, &outside, &format!("{plan}/details"), &format!("{plan}/tasks")] {
        let _ = bench.send("GET", path, &[], None).error(404);
    }
    let _ = bench.delete(&plan, &tag).error(404);
    assert!(bench.items("/me/planner/plans").iter().all(|it| it["title"] != "Plan"));
}

#[test]
fn access_is_decided_in_the_order_of_section_2_8() {
    let bench = Bench::new();
    let victor = bench.caller(VICTOR);
    let foreign = victor.items(&format!("/groups/{LEADERSHIP}/planner/plans"));
    let foreign = id_of(&foreign[0]);
    let task = id_of(&victor.items(&format!("/planner/plans/{foreign}/tasks"))[0]);
    let unknown = "A".repeat(28);
    let cases = [
        ("GET", "/planner/tasks/short".to_owned(), 400),
        ("GET", format!("/planner/tasks/{unknown}"), 404),
        ("GET", format!("/planner/tasks/{task}"), 403),
        ("GET", format!("/planner/plans/{foreign}/tasks"), 403),
        ("GET", format!("/planner/tasks/{task}/details"), 403),
        // Existence and access come before If-Match and the body.
        ("PATCH", format!("/planner/tasks/{unknown}"), 404),
        ("PATCH", format!("/planner/tasks/{task}"), 403),
        ("DELETE", format!("/planner/plans/{foreign}"), 403),
        ("GET", format!("/groups/{LEADERSHIP}/planner/plans"), 403),
        ("GET", "/groups/no-guid/planner/plans".to_owned(), 400),
        ("GET", format!("/groups/{MEI_ID}/planner/plans"), 404),
        // Trap 35.
        ("GET", format!("/users/{MEI_ID}/planner/tasks"), 403),
        ("GET", format!("/users/{MEI}/planner/plans"), 403),
        ("GET", format!("/users/{ROOK_ID}/planner/tasks"), 200),
        ("GET", "/users/ROOK@bos.example/planner/plans".to_owned(), 200),
        ("GET", "/users/nobody@bos.example/planner/plans".to_owned(), 404),
    ];
    for (method, path, status) in cases {
        let body = json!({ "title": "" });
        let body = (method == "PATCH").then_some(&body);
        assert_eq!(bench.send(method, &path, &[], body).status, status, "{method} {path}");
    }
    // Trap 29: ids are compared with case.
    let own = bench.new_task();
    let swapped: String = own
        .chars()
        .skip(15)
        .map(|it| {
            if it.is_ascii_lowercase() { it.to_ascii_uppercase() } else { it.to_ascii_lowercase() }
        })
        .collect();
    let _ = bench.send("GET", &format!("/planner/tasks/{swapped}"), &[], None).error(404);
    // On create, unknown and closed are not told apart.
    for plan in [foreign, unknown] {
        let body = json!({ "title": "x", "name": "x", "planId": plan });
        let (_, message) = bench.post("/planner/tasks", &body).error(403);
        assert_eq!(message, MERGED);
    }
}

#[test]
fn an_absent_or_unknown_token_is_unauthorized() {
    let bench = Bench::new();
    for (authorization, message) in [
        ("", "Access token is empty."),
        ("Bearer ", "Access token is empty."),
        ("Basic cm9vazp4", "Access token is empty."),
        ("Bearer eyJ", "CompactToken parsing failed with error code: 80049217"),
        (
            "Bearer emulator:nobody@bos.example",
            "CompactToken parsing failed with error code: 80049217",
        ),
    ] {
        let answer = bench.send("GET", "/nowhere", &[("authorization", authorization)], None);
        assert!(answer.header("www-authenticate").starts_with("Bearer realm=\"\""));
        let expected = ("InvalidAuthenticationToken".to_owned(), message.to_owned());
        assert_eq!(answer.error(401), expected, "{authorization}");
    }
    let headers = [("authorization", "bearer emulator:ROOK@BOS.example")];
    assert_eq!(bench.send("GET", "/me", &headers, None).expect(200)["id"], ROOK_ID);
}

#[test]
fn only_the_paths_and_verbs_of_section_2_exist() {
    // Trap 28.
    let bench = Bench::new();
    for path in [
        "/planner/buckets/b/tasks/t",
        "/groups/g/planner/plans/p/buckets",
        "/me/planner/plans/p/tasks",
        "/planner/rosters/r",
        "/me/planner",
        "/",
    ] {
        let body = bench.send("GET", path, &[], None).expect(404);
        let message = format!(
            "No HTTP resource was found that matches the request URI '{ORIGIN}/v1.0{path}'."
        );
        assert_eq!(body["error"]["code"], "");
        assert_eq!(body["error"]["message"], message);
        let inner = body["error"]["innerError"]["message"].as_str().unwrap();
        assert!(inner.starts_with("No routing convention was found"), "{inner}");
    }
    for (method, path, allow) in [
        ("POST", "/me", "GET"),
        ("PUT", "/planner/tasks/x", "GET, PATCH, DELETE"),
        ("DELETE", "/planner/tasks/x/details", "GET, PATCH"),
        ("POST", "/planner/plans/x/tasks", "GET"),
        ("PATCH", "/planner/tasks", "GET, POST"),
        ("GET", "/$batch", "POST"),
    ] {
        let answer = bench.send(method, path, &[], None);
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
        let _ = answer.error(405);
    }
}

#[test]
fn an_id_in_parentheses_is_the_same_as_one_in_a_segment() {
    let bench = Bench::new();
    let task = bench.new_task();
    let id = task.rsplit('/').next().unwrap();
    assert_eq!(bench.get(&format!("/planner/tasks('{id}')")), bench.get(&task));
    assert_eq!(
        bench.get(&format!("/Planner/TASKS('{id}')/buckettaskboardformat")),
        bench.get(&format!("{task}/bucketTaskBoardFormat"))
    );
}

#[test]
fn answers_carry_the_headers_and_ids_of_section_9() {
    let bench = Bench::new();
    let id = "3c1f6a40-52d7-4b0c-9a6e-84f2d0b7c911";
    let answer = bench.send("GET", "/planner/tasks/x", &[("client-request-id", id)], None);
    for (name, value) in [
        ("client-request-id", id),
        ("odata-version", "4.0"),
        ("cache-control", "no-cache"),
        ("date", "Mon, 02 Mar 2026 09:14:58 GMT"),
        (
            "content-type",
            "application/json;odata.metadata=minimal;odata.streaming=true;\
             IEEE754Compatible=false;charset=utf-8",
        ),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
    assert!(answer.header("x-ms-ags-diagnostic").starts_with("{\"ServerInfo\""));
    let request_id = answer.header("request-id").to_owned();
    let inner = &answer.expect(400)["error"]["innerError"];
    assert_eq!(
        *inner,
        json!({
            "date": "2026-03-02T09:14:58", "request-id": request_id, "client-request-id": id
        })
    );
    let answer = bench.send("GET", "/planner/tasks/x", &[], None);
    let request_id = answer.header("request-id").to_owned();
    assert_eq!(answer.expect(400)["error"]["innerError"]["client-request-id"], request_id);
}
