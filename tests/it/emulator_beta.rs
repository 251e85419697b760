//! The beta: deltas, moves between plans, archiving (planner-api.md 1.13, 2.9, 2.10).

use serde_json::{Value, json};

use crate::emulator_support::{
    Answer, BOS, Bench, LEADERSHIP, MEI, MEI_ID, ROOK_ID, VICTOR, id_of, tag_of,
};

const TYPE: &str = "#microsoft.graph.planner";
const ORIGIN: &str = "http://127.0.0.1:4321";

fn beta(bench: &Bench, method: &str, path: &str, tag: &str, body: Option<&Value>) -> Answer {
    let headers = [("if-match", tag), ("prefer", "return=representation")];
    let headers = if tag.is_empty() { &[][..] } else { &headers };
    bench.send_at(method, &format!("/beta{path}"), headers, body)
}

fn get(bench: &Bench, path: &str) -> Value {
    beta(bench, "GET", path, "", None).expect(200)
}

fn change(bench: &Bench, path: &str, body: &Value) -> Answer {
    let tag = tag_of(&get(bench, path));
    beta(bench, "PATCH", path, &tag, Some(body))
}

/// Begins a round and returns the link behind which its changes are.
fn begin(bench: &Bench, path: &str) -> String {
    let page = get(bench, path);
    assert_eq!(page["value"], json!([]));
    page["@odata.nextLink"].as_str().unwrap().to_owned()
}

/// Follows a round to its end; the changes, and the link for the next one.
fn follow(bench: &Bench, link: &str) -> (Vec<Value>, String) {
    let (mut link, mut items) = (link.to_owned(), Vec::new());
    loop {
        let path = link.strip_prefix(&format!("{ORIGIN}/beta")).unwrap().to_owned();
        let page = get(bench, &path);
        items.extend(page["value"].as_array().unwrap().iter().cloned());
        if let Some(next) = page["@odata.nextLink"].as_str() {
            link = next.to_owned();
            continue;
        }
        return (items, page["@odata.deltaLink"].as_str().unwrap().to_owned());
    }
}

fn archive(bench: &Bench, plan: &str, verb: &str, tag: &str) -> Answer {
    let path = format!("/planner/plans/{plan}/{verb}");
    beta(bench, "POST", &path, tag, Some(&json!({ "justification": "Season finished" })))
}

#[test]
fn the_beta_answers_like_v1_with_more_properties() {
    let bench = Bench::new();
    let task = bench.new_task();
    let (old, new) = (bench.get(&task), get(&bench, &task));
    assert_eq!(new["@odata.context"], format!("{ORIGIN}/beta/$metadata#planner/tasks/$entity"));
    assert_eq!(old["@odata.etag"], new["@odata.etag"]);
    assert!(old.get("isArchived").is_none());
    assert_eq!((&new["isArchived"], &new["recurrence"]), (&json!(false), &Value::Null));
    let plans = get(&bench, &format!("/groups/{BOS}/planner/plans"));
    assert_eq!(plans["value"][0]["archivalInfo"], Value::Null);
    let batch = json!({ "requests": [{ "id": "1", "method": "GET", "url": task }] });
    let batch = beta(&bench, "POST", "/$batch", "", Some(&batch)).expect(200);
    assert_eq!(batch["responses"][0]["body"]["isArchived"], false);
    let _ = beta(&bench, "POST", "/planner/tasks", "", Some(&json!({ "title": "x" }))).error(400);
}

#[test]
fn a_task_says_who_changed_it_last() {
    let bench = Bench::new();
    let task = bench.new_task();
    let last = |task: &Value| {
        (task["lastModifiedBy"]["user"]["id"].clone(), task["lastModifiedDateTime"].clone())
    };
    let before = get(&bench, &task);
    assert_eq!(last(&before), (json!(ROOK_ID), before["createdDateTime"].clone()));
    bench.clock.advance(60);
    let mei = bench.caller(MEI);
    let _ = mei.change(&format!("{task}/details"), &json!({ "description": "x" })).expect(200);
    let after = get(&bench, &task);
    assert_eq!(last(&after), (json!(MEI_ID), json!("2026-03-02T09:15:58.3370416Z")));
    assert!(bench.get(&task).get("lastModifiedBy").is_none());
}

#[test]
fn a_delta_tells_what_changed_and_nothing_else() {
    let bench = Bench::new();
    let plan = bench.new_plan();
    let (kept, gone) = (bench.new_task_in(&plan, &json!({})), bench.new_task_in(&plan, &json!({})));
    let _ = bench.change(&kept, &json!({ "percentComplete": 100 })).expect(200);
    let page = beta(&bench, "GET", "/me/planner/all/delta", "", None);
    assert_eq!(page.header("preference-applied"), "odata.track-changes");
    let context = format!("{ORIGIN}/beta/$metadata#Collection(microsoft.graph.plannerDelta)");
    assert_eq!(page.body["@odata.context"], context);
    let link = begin(&bench, "/me/planner/all/delta");
    let (items, link) = follow(&bench, &link);
    assert!(items.is_empty());

    let tag = bench.change(&kept, &json!({ "percentComplete": 0 })).expect(200);
    let _ = bench.delete(&gone, &bench.tag(&gone)).expect(204);
    let new = bench.new_task_in(&plan, &json!({ "title": "New" }));
    let _ = bench.change(&format!("{new}/details"), &json!({ "description": "x" })).expect(200);
    let (items, link) = follow(&bench, &link);
    let find = |path: &str, kind: &str| {
        let id = path.rsplit('/').next().unwrap();
        let kind = format!("#microsoft.graph.planner{kind}");
        items.iter().find(|it| it["id"] == id && it["@odata.type"] == kind).unwrap().clone()
    };
    let changed = find(&kept, "Task");
    assert_eq!(changed["@odata.etag"], tag["@odata.etag"]);
    let names = ["percentComplete", "completedBy", "completedDateTime"];
    assert!(names.iter().all(|name| changed.get(name).is_some()), "{changed}");
    assert_eq!((&changed["completedBy"], changed.get("title")), (&Value::Null, None));
    assert_eq!(find(&gone, "Task")["@removed"], json!({ "reason": "deleted" }));
    assert_eq!(find(&gone, "Task").get("@odata.etag"), None);
    let created = find(&new, "Task");
    assert_eq!((&created["title"], &created["hasDescription"]), (&json!("New"), &json!(true)));
    assert_eq!(created["createdBy"]["user"]["id"], ROOK_ID);
    assert_eq!(find(&new, "TaskDetails")["description"], "x");
    let (items, _) = follow(&bench, &link);
    assert!(items.is_empty());
}

#[test]
fn a_delta_has_pages_and_shows_only_what_one_may_see() {
    let bench = Bench::with(|options| options.page_size = 2);
    let (mine, victors) = (
        begin(&bench, "/me/planner/all/delta"),
        begin(&bench.caller(VICTOR), "/me/planner/all/delta"),
    );
    let plan = bench.items("/me/planner/plans");
    let website = plan.iter().find(|plan| plan["title"] == "Website Relaunch").unwrap();
    for _ in 0..3 {
        bench.new_task_in(&id_of(website), &json!({}));
    }
    let (items, _) = follow(&bench, &mine);
    let tasks = items.iter().filter(|it| it["@odata.type"] == "#microsoft.graph.plannerTask");
    assert_eq!(tasks.count(), 3);
    assert!(follow(&bench.caller(VICTOR), &victors).0.is_empty());
}

#[test]
fn single_collections_have_deltas_of_their_own() {
    let bench = Bench::new();
    let plan = bench.new_plan();
    let paths = [
        "/planner/tasks/delta".to_owned(),
        format!("/planner/plans/{plan}/buckets/delta"),
        format!("/groups/{BOS}/planner/plans/delta"),
    ];
    let links = paths.map(|path| begin(&bench, &path));
    bench.new_bucket(&plan);
    bench.new_task_in(&plan, &json!({}));
    let _ = bench.change(&format!("/planner/plans/{plan}"), &json!({ "title": "x" })).expect(200);
    bench.new_bucket(&bench.new_plan());
    let kinds = links.map(|link| -> Vec<String> {
        let (items, _) = follow(&bench, &link);
        items.iter().map(|it| it["@odata.type"].as_str().unwrap().replace(TYPE, "")).collect()
    });
    let expected: [&[&str]; 3] = [&["Task"], &["Bucket"], &["Plan", "Plan"]];
    for (kinds, expected) in kinds.iter().zip(expected) {
        assert_eq!(kinds, expected);
    }
}

#[test]
fn the_delta_of_ones_own_tasks_says_what_comes_and_goes() {
    let bench = Bench::new();
    let plan = bench.new_plan();
    let assigned = |who: &str| {
        json!({ "assignments": { who: { "@odata.type": format!("{TYPE}Assignment"),
                                        "orderHint": " !" } } })
    };
    let (mine, others) =
        (bench.new_task_in(&plan, &assigned(ROOK_ID)), bench.new_task_in(&plan, &assigned(MEI_ID)));
    let coming = bench.new_task_in(&plan, &json!({}));
    for path in
        ["/me/planner/tasks/delta".to_owned(), format!("/users/{ROOK_ID}/planner/tasks/delta")]
    {
        let link = begin(&bench, &path);
        let is = |item: &Value, path: &str| path.ends_with(item["id"].as_str().unwrap());
        let _ = bench.change(&mine, &json!({ "title": path })).expect(200);
        let _ = bench.change(&others, &json!({ "title": path })).expect(200);
        let _ = bench.change(&coming, &assigned(ROOK_ID)).expect(200);
        let (items, link) = follow(&bench, &link);
        assert_eq!(items.len(), 2, "{items:?}");
        assert!(is(&items[0], &mine) && items[0].get("createdBy").is_none());
        assert_eq!(items[0]["title"], json!(path));
        assert!(is(&items[1], &coming) && items[1]["createdBy"].is_object());
        let _ = bench.change(&coming, &json!({ "assignments": { ROOK_ID: null } })).expect(200);
        let (items, _) = follow(&bench, &link);
        assert_eq!(items.len(), 1);
        assert_eq!(items[0]["@removed"], json!({ "reason": "changed" }));
        assert!(is(&items[0], &coming));
    }
    let link = begin(&bench, "/me/planner/tasks/delta");
    let _ = bench.delete(&mine, &bench.tag(&mine)).expect(204);
    assert_eq!(follow(&bench, &link).0[0]["@removed"], json!({ "reason": "deleted" }));
    let foreign = format!("/users/{MEI_ID}/planner/tasks/delta");
    let _ = beta(&bench, "GET", &foreign, "", None).error(403);
}

#[test]
fn delta_tokens_that_are_broken_or_too_old_are_refused() {
    let bench = Bench::with(|options| options.kept_changes = 5);
    let path = "/me/planner/all/delta";
    let oldest = begin(&bench, path);
    for query in ["$deltatoken=x", "$deltatoken=ZGVsdGE6OTk5OTk5", "$select=id", "$top=1"] {
        let _ = beta(&bench, "GET", &format!("{path}?{query}"), "", None).error(400);
    }
    let _ = bench.send("GET", path, &[], None).error(404);
    let _ = beta(&bench, "GET", &format!("/users/{MEI}/planner/all/delta"), "", None).error(403);
    begin(&bench, &format!("/users/{ROOK_ID}/planner/all/delta"));
    // More changes than are remembered.
    let path = format!("/planner/plans/{}", bench.new_plan());
    for title in ["a", "b", "c", "d"] {
        let _ = bench.change(&path, &json!({ "title": title })).expect(200);
    }
    let path = oldest.strip_prefix(&format!("{ORIGIN}/beta")).unwrap();
    let _ = beta(&bench, "GET", path, "", None).error(410);
}

#[test]
fn a_task_moves_to_another_plan_in_the_beta_only() {
    let bench = Bench::new();
    let (from, to) = (bench.new_plan(), bench.new_plan());
    let (old, new) = (bench.new_bucket(&from), bench.new_bucket(&to));
    let task = bench.new_task_in(&from, &json!({ "bucketId": old }));
    let link = begin(&bench, "/planner/tasks/delta");
    let _ = bench.change(&task, &json!({ "planId": to })).error(403);
    let _ = change(&bench, &task, &json!({ "planId": "A".repeat(28) })).error(403);
    let _ = change(&bench, &task, &json!({ "planId": to, "bucketId": old })).error(400);
    assert_eq!(bench.get(&task)["planId"], json!(from));
    let moved = change(&bench, &task, &json!({ "planId": to })).expect(200);
    assert_eq!((&moved["planId"], &moved["bucketId"]), (&json!(to), &Value::Null));
    let _ = change(&bench, &task, &json!({ "bucketId": new })).expect(200);
    let count = |plan: &str| bench.items(&format!("/planner/plans/{plan}/tasks")).len();
    assert_eq!((count(&from), count(&to)), (0, 1));
    let (items, _) = follow(&bench, &link);
    assert_eq!(items.len(), 1);
    assert_eq!((&items[0]["planId"], &items[0]["bucketId"]), (&json!(to), &json!(new)));
    // The parts have come along.
    let _ = bench
        .delete(&format!("/planner/plans/{from}"), &bench.tag(&format!("/planner/plans/{from}")));
    let _ = bench.get(&format!("{task}/details"));
}

#[test]
fn an_archived_plan_is_read_only_until_it_is_taken_back() {
    let bench = Bench::new();
    let plan = bench.new_plan();
    let path = format!("/planner/plans/{plan}");
    let bucket = format!("/planner/buckets/{}", bench.new_bucket(&plan));
    let assignment =
        json!({ "@odata.type": "#microsoft.graph.plannerAssignment", "orderHint": " !" });
    let task = bench.new_task_in(&plan, &json!({ "assignments": { ROOK_ID: assignment } }));
    let spare = bench.new_task_in(&plan, &json!({}));
    let mine = || {
        let tasks = bench.items("/me/planner/tasks");
        tasks.iter().any(|it| task.ends_with(it["id"].as_str().unwrap()))
    };
    assert!(mine());
    let tag = bench.tag(&path);
    let _ = archive(&bench, &plan, "archive", "").error(412);
    let _ = archive(&bench, &plan, "unarchive", &tag).error(400);
    let nothing = json!({});
    let address = format!("{path}/archive");
    let _ = beta(&bench, "POST", &address, &tag, Some(&nothing)).error(400);
    let _ = archive(&bench.caller(VICTOR), &plan, "archive", &tag).expect(204);
    let _ = archive(&bench, &plan, "archive", &tag).error(409);

    for path in [&path, &bucket, &task] {
        let object = get(&bench, path);
        assert_eq!(object["isArchived"], true);
        assert_eq!(object["archivalInfo"]["justification"], "Season finished");
        assert!(object["archivalInfo"]["statusChangedBy"]["user"]["id"].is_string());
    }
    assert!(!mine());
    let title = json!({ "title": "x" });
    let _ = bench.change(&path, &title).error(403);
    let _ = bench.change(&bucket, &json!({ "name": "x" })).error(403);
    let _ = bench.change(&task, &title).error(403);
    let _ = bench.change(&format!("{task}/details"), &json!({ "description": "x" })).error(403);
    let _ = bench.post("/planner/tasks", &json!({ "planId": plan, "title": "x" })).error(403);
    let other = bench.new_task();
    let _ = change(&bench, &other, &json!({ "planId": plan })).error(403);
    let _ = bench.delete(&spare, &bench.tag(&spare)).expect(204);

    let _ = archive(&bench, &plan, "unarchive", &bench.tag(&path)).expect(204);
    assert!(mine());
    let _ = bench.change(&task, &title).expect(200);
    assert_eq!(get(&bench, &path)["isArchived"], false);
}

#[test]
fn notes_are_the_description_with_a_format() {
    let bench = Bench::new();
    let details = format!("{}/details", bench.new_task());
    let html = json!({ "contentType": "html", "content": "<p>One</p><p>Two</p>" });
    let start = get(&bench, &details);
    assert_eq!(start["notes"], json!({ "contentType": "text", "content": "" }));
    let link = begin(&bench, "/me/planner/all/delta");
    let written = change(&bench, &details, &json!({ "notes": html })).expect(200);
    assert_eq!((&written["notes"], &written["description"]), (&html, &json!("One\nTwo")));
    let (items, _) = follow(&bench, &link);
    let item = items.iter().find(|it| it["@odata.type"] == format!("{TYPE}TaskDetails")).unwrap();
    assert_eq!((&item["notes"], &item["description"]), (&html, &json!("One\nTwo")));

    // A stale tag collides with either name of the text; the same again changes nothing.
    let stale = tag_of(&start);
    for body in [json!({ "notes": html }), json!({ "description": "x" })] {
        let _ = beta(&bench, "PATCH", &details, &stale, Some(&body)).error(409);
    }
    let same = change(&bench, &details, &json!({ "notes": html })).expect(200);
    assert_eq!(tag_of(&same), tag_of(&written));
    // Another format of the same text is a change.
    let bold = json!({ "contentType": "html", "content": "<b>One</b><br>Two" });
    let other = change(&bench, &details, &json!({ "notes": bold })).expect(200);
    assert_ne!(tag_of(&other), tag_of(&written));
    assert_eq!((&other["notes"], &other["description"]), (&bold, &json!("One\nTwo")));
    let plain = bench.change(&details, &json!({ "description": "Three" })).expect(200);
    assert!(plain.get("notes").is_none());
    assert_eq!(get(&bench, &details)["notes"]["content"], "Three");
    let none = change(&bench, &details, &json!({ "notes": null })).expect(200);
    assert_eq!(none["description"], "");
    for wrong in [
        json!("x"),
        json!({}),
        json!({ "contentType": "rtf", "content": "x" }),
        json!({ "content": 1 }),
        json!({ "content": "x", "colour": 1 }),
    ] {
        let _ = change(&bench, &details, &json!({ "notes": wrong })).error(400);
    }
}

/// The schedule of a pattern that starts on the second of March.
fn schedule(pattern: &Value) -> Value {
    json!({ "recurrence": { "schedule": {
        "pattern": pattern, "patternStartDateTime": "2026-03-02T10:00:00Z" } } })
}

#[test]
fn completing_or_deleting_a_recurring_task_makes_the_next_one() {
    let bench = Bench::new();
    let plan = bench.new_plan();
    let item = json!({ "@odata.type": "#microsoft.graph.plannerChecklistItem", "title": "a",
                       "isChecked": true });
    let more = json!({ "title": "Backup", "priority": 1, "dueDateTime": "2026-03-02T10:00:00Z",
                       "details": { "checklist": { "a": item } } });
    let task = bench.new_task_in(&plan, &more);
    let weekly = json!({ "type": "weekly", "interval": 1, "daysOfWeek": ["monday"] });
    let _ = bench.change(&task, &schedule(&weekly)).error(400);
    let recurring = change(&bench, &task, &schedule(&weekly)).expect(200)["recurrence"].clone();
    let next = |recurrence: &Value| recurrence["schedule"]["nextOccurrenceDateTime"].clone();
    assert_eq!(next(&recurring), "2026-03-09T10:00:00Z");
    assert_eq!(recurring["schedule"]["pattern"]["firstDayOfWeek"], "sunday");
    assert_eq!(recurring["occurrenceId"], 1);
    assert!(bench.get(&task).get("recurrence").is_none());

    // v1.0 completes it, and the series goes on.
    let _ = bench.change(&task, &json!({ "percentComplete": 100 })).expect(200);
    let tasks = |bench: &Bench| bench.items(&format!("/planner/plans/{plan}/tasks"));
    let done = get(&bench, &task)["recurrence"].clone();
    assert_eq!(done["schedule"], Value::Null);
    let heir = format!("/planner/tasks/{}", done["nextInSeriesTaskId"].as_str().unwrap());
    assert_eq!(tasks(&bench).len(), 2);
    let second = get(&bench, &format!("{heir}?$expand=details"));
    assert_eq!((&second["title"], &second["priority"]), (&json!("Backup"), &json!(1)));
    assert_eq!(
        (&second["dueDateTime"], &second["percentComplete"]),
        (&next(&recurring), &json!(0))
    );
    assert_eq!(second["details"]["checklist"]["a"]["isChecked"], false);
    let inherited = &second["recurrence"];
    assert_eq!(inherited["seriesId"], recurring["seriesId"]);
    assert_eq!(
        (&inherited["occurrenceId"], &next(inherited)),
        (&json!(2), &json!("2026-03-16T10:00:00Z"))
    );
    assert!(task.ends_with(inherited["previousInSeriesTaskId"].as_str().unwrap()));

    // Reopening and completing the first again makes nothing.
    for percent in [0, 100] {
        let _ = bench.change(&task, &json!({ "percentComplete": percent })).expect(200);
    }
    assert_eq!(tasks(&bench).len(), 2);
    let _ = bench.delete(&heir, &bench.tag(&heir)).expect(204);
    assert_eq!(tasks(&bench).len(), 2);
    let third = tasks(&bench).pop().unwrap();
    assert_eq!(third["dueDateTime"], "2026-03-16T10:00:00Z");
    let third = format!("/planner/tasks/{}", id_of(&third));

    // Another due date moves the next occurrence; without a schedule there is none.
    let moved = change(&bench, &third, &json!({ "dueDateTime": "2026-03-25T10:00:00Z" }));
    assert_eq!(next(&moved.expect(200)["recurrence"]), "2026-03-30T10:00:00Z");
    let stopped = change(&bench, &third, &json!({ "recurrence": { "schedule": null } }));
    assert_eq!(stopped.expect(200)["recurrence"]["schedule"], Value::Null);
    let _ = bench.delete(&third, &bench.tag(&third)).expect(204);
    assert_eq!(tasks(&bench).len(), 1);
}

#[test]
fn only_a_whole_schedule_can_be_written() {
    let bench = Bench::new();
    let plan = bench.new_plan();
    let task = bench.new_task_in(&plan, &json!({}));
    let daily = json!({ "type": "daily", "interval": 1 });
    for bad in [
        json!({ "recurrence": [] }),
        json!({ "recurrence": { "schedule": {} } }),
        json!({ "recurrence": { "schedule": { "pattern": daily } } }),
        json!({ "recurrence": { "seriesId": "x" } }),
        json!({ "recurrence": { "colour": "x" } }),
        schedule(&json!({ "interval": 1 })),
        schedule(&json!({ "type": "weekly", "interval": 1 })),
    ] {
        let _ = change(&bench, &task, &bad).error(400);
    }
    let mut body = schedule(&daily);
    body["planId"] = json!(plan);
    body["title"] = json!("Water the plants");
    let made = beta(&bench, "POST", "/planner/tasks", "", Some(&body)).expect(201);
    assert_eq!(made["recurrence"]["recurrenceStartDateTime"], "2026-03-02T10:00:00Z");
    assert_eq!(made["recurrence"]["schedule"]["nextOccurrenceDateTime"], "2026-03-03T10:00:00Z");
    let _ = bench.post("/planner/tasks", &body).error(400);
    // A stale tag collides with a newer schedule.
    let tag = tag_of(&get(&bench, &task));
    let _ = change(&bench, &task, &schedule(&daily)).expect(200);
    let _ = beta(&bench, "PATCH", &task, &tag, Some(&schedule(&daily))).error(409);
}

#[test]
fn a_users_own_plan_moves_into_a_group() {
    let bench = Bench::new();
    let create = |container: &Value| {
        let body = json!({ "title": "My own", "container": container });
        beta(&bench, "POST", "/planner/plans", "", Some(&body))
    };
    let own = json!({ "containerId": ROOK_ID, "type": "user" });
    let _ = bench.post("/planner/plans", &json!({ "title": "x", "container": own })).error(400);
    let _ = create(&json!({ "containerId": MEI_ID, "type": "user" })).error(403);
    let first = id_of(&create(&own).expect(201));
    let url = format!("https://graph.microsoft.com/beta/users/{ROOK_ID}");
    let plan = create(&json!({ "url": url })).expect(201);
    assert_eq!(plan["container"]["url"], json!(url));
    let id = id_of(&plan);
    let path = format!("/planner/plans/{id}");
    let task = bench.new_task_in(&id, &json!({}));
    let mei = bench.caller(MEI);
    let _ = mei.send("GET", &task, &[], None).error(403);
    assert_eq!(bench.items("/me/memberOf").len(), 2);
    assert_eq!(get(&bench, "/me/planner/rosterPlans")["value"], json!([]));
    assert_eq!(bench.get(&path)["container"]["type"], "unknownFutureValue");

    let group = json!({ "container": { "@odata.type": format!("{TYPE}PlanContainer"),
                                       "containerId": BOS, "type": "group" } });
    let address = format!("{path}/moveToContainer");
    let tag = tag_of(&plan);
    let _ = beta(&bench, "POST", &address, "", Some(&group)).error(412);
    let closed = json!({ "container": { "containerId": LEADERSHIP, "type": "group" } });
    let _ = beta(&bench, "POST", &address, &tag, Some(&closed)).error(403);
    let _ = beta(&bench, "POST", &address, &tag, Some(&json!({ "container": own }))).error(400);
    let _ = beta(&mei, "POST", &address, &tag, Some(&group)).error(403);
    let _ = bench.send("POST", &address, &[("if-match", &tag)], Some(&group)).error(404);
    let moved = beta(&bench, "POST", &address, &tag, Some(&group)).expect(200);
    assert_eq!((&moved["owner"], &moved["container"]["type"]), (&json!(BOS), &json!("group")));
    let _ = beta(&bench, "POST", &address, &tag, Some(&group)).error(409);
    let _ = beta(&bench, "POST", &address, &tag_of(&moved), Some(&group)).error(400);
    assert_eq!(mei.get(&task)["title"], "Task");
    let listed = mei.items(&format!("/groups/{BOS}/planner/plans"));
    assert!(listed.iter().any(|it| it["id"] == json!(id)));
    let _ = mei.send("GET", &format!("/planner/plans/{first}"), &[], None).error(403);
}

#[test]
fn a_roster_holds_one_plan_that_its_members_see() {
    let bench = Bench::new();
    let body = json!({ "@odata.type": "#microsoft.graph.plannerRoster" });
    let roster = id_of(&beta(&bench, "POST", "/planner/rosters", "", Some(&body)).expect(201));
    let path = format!("/planner/rosters/{roster}");
    assert_eq!(get(&bench, &path)["id"], json!(roster));
    let container = json!({ "containerId": roster, "type": "roster" });
    let body = json!({ "title": "Ours", "container": container });
    let contradiction = json!({ "containerId": BOS, "type": "roster",
        "url": format!("https://graph.microsoft.com/v1.0/planner/rosters/{roster}") });
    let contradiction = json!({ "title": "Ours", "container": contradiction });
    let _ = bench.post("/planner/plans", &contradiction).error(400);
    // Through either version, and by address as well.
    let spare = json!({ "@odata.type": "#microsoft.graph.plannerRoster" });
    let spare = id_of(&beta(&bench, "POST", "/planner/rosters", "", Some(&spare)).expect(201));
    let url = format!("https://graph.microsoft.com/v1.0/planner/rosters/{spare}");
    let by_url = json!({ "title": "Spare", "container": { "url": url } });
    let _ = bench.post("/planner/plans", &by_url).expect(201);
    let _ = bench.post("/planner/plans", &by_url).error(403);
    let _ = beta(&bench, "DELETE", &format!("/planner/rosters/{spare}"), "", None).expect(204);
    let plan = bench.post("/planner/plans", &body).expect(201);
    let _ = beta(&bench, "POST", "/planner/plans", "", Some(&body)).error(403);
    let plan = format!("/planner/plans/{}", id_of(&plan));
    assert_eq!(bench.get(&plan)["container"]["type"], "unknownFutureValue");
    let headers = [("prefer", "include-unknown-enum-members")];
    let shown = bench.send("GET", &plan, &headers, None).expect(200);
    let url = format!("https://graph.microsoft.com/beta/planner/rosters/{roster}");
    assert_eq!(shown["container"]["url"], url);

    let mei = bench.caller(MEI);
    let _ = mei.send("GET", &plan, &[], None).error(403);
    let _ = beta(&mei, "GET", &path, "", None).error(403);
    let member = json!({ "@odata.type": "#microsoft.graph.plannerRosterMember", "userId": MEI_ID });
    let members = format!("{path}/members");
    let made = beta(&bench, "POST", &members, "", Some(&member)).expect(201);
    let _ = beta(&bench, "POST", &members, "", Some(&member)).error(400);
    assert_eq!(get(&mei, &members)["value"].as_array().unwrap().len(), 2);
    assert_eq!(get(&mei, &format!("{path}/plans"))["value"][0]["title"], "Ours");
    for (path, count) in [
        ("/me/planner/rosterPlans".to_owned(), 1),
        (format!("/users/{MEI_ID}/planner/rosterPlans"), 1),
    ] {
        assert_eq!(get(&mei, &path)["value"].as_array().unwrap().len(), count, "{path}");
    }
    let _ = mei.change(&plan, &json!({ "title": "All of ours" })).expect(200);
    let member = format!("{members}/{}", id_of(&made));
    assert_eq!(get(&bench, &member)["userId"], MEI_ID);
    let _ = beta(&bench, "DELETE", &member, "", None).expect(204);
    let (_, message) = beta(&bench, "DELETE", &member, "", None).error(404);
    assert_eq!(message, "The roster member cannot be found.");
    let _ = mei.send("GET", &plan, &[], None).error(403);

    let changes = begin(&bench, &format!("{path}/plans/delta"));
    let _ = bench.change(&plan, &json!({ "title": "Ours again" })).expect(200);
    let _ = bench.new_plan();
    let (items, _) = follow(&bench, &changes);
    assert_eq!((items.len(), &items[0]["title"]), (1, &json!("Ours again")));
    let _ = beta(&mei, "GET", &format!("{path}/plans/delta"), "", None).error(403);

    // The directory knows nothing of it.
    let _ = bench.send("GET", &format!("/groups/{roster}"), &[], None).error(404);
    assert_eq!(bench.items("/groups").len(), 3);
    assert_eq!(bench.items("/me/memberOf").len(), 2);
    let _ = beta(&bench, "DELETE", &path, "", None).expect(204);
    let _ = bench.send("GET", &plan, &[], None).error(404);
    let _ = beta(&bench, "GET", &path, "", None).error(404);
    let _ = beta(&bench, "GET", "/planner/rosters/x", "", None).error(400);
}

#[test]
fn a_task_has_a_chat_in_which_everybody_owns_their_messages() {
    let bench = Bench::with(|options| options.page_size = 2);
    let mei = bench.caller(MEI);
    let plan = get(&bench, &format!("/groups/{BOS}/planner/plans"))["value"][0]["id"].clone();
    let tasks = get(&bench, &format!("/planner/plans/{}/tasks", plan.as_str().unwrap()));
    let task = format!("/planner/tasks/{}", tasks["value"][0]["id"].as_str().unwrap());
    let path = format!("{task}/messages");
    assert_eq!(
        (&get(&bench, &task)["hasChat"], &get(&bench, &path)["value"]),
        (&json!(false), &json!([]))
    );
    let say = |who: &Bench, text: &str| {
        beta(who, "POST", &path, "", Some(&json!({ "content": text }))).expect(201)
    };
    let first = say(&bench, "Which room?");
    let second = say(&mei, "The large one");
    let _ = say(&bench, "Fine");
    assert_eq!(second["createdBy"]["user"]["id"], MEI_ID);
    assert_eq!(
        (&first["messageType"], &first["editedDateTime"]),
        (&json!("plainText"), &Value::Null)
    );
    assert_eq!(get(&bench, &task)["hasChat"], true);
    // In pages, the oldest first.
    let page = get(&bench, &path);
    let next = page["@odata.nextLink"].as_str().unwrap().split_once("/beta").unwrap().1;
    let texts: Vec<Value> = [page.clone(), get(&bench, next)]
        .iter()
        .flat_map(|page| page["value"].as_array().unwrap().clone())
        .map(|message| message["content"].clone())
        .collect();
    assert_eq!(texts, ["Which room?", "The large one", "Fine"]);
    // No tag is asked for, and nobody changes what another has said.
    let of = |message: &Value| format!("{path}/{}", message["id"].as_str().unwrap());
    let text = json!({ "content": "Which room is free?" });
    let _ = beta(&mei, "PATCH", &of(&first), "", Some(&text)).error(403);
    let edited = beta(&bench, "PATCH", &of(&first), "", Some(&text)).expect(200);
    assert!(
        edited["content"] == text["content"] && edited["editedDateTime"].is_string(),
        "{edited}"
    );
    let _ = beta(&bench, "DELETE", &of(&second), "", None).error(403);
    let _ = beta(&mei, "DELETE", &of(&second), "", None).expect(204);
    let _ = beta(&mei, "DELETE", &of(&second), "", None).error(404);
    for wrong in
        [json!({}), json!({ "content": " " }), json!({ "content": 1 }), json!({ "text": "x" })]
    {
        let _ = beta(&bench, "POST", &path, "", Some(&wrong)).error(400);
    }
    let _ = bench.send("GET", &path, &[], None).error(404);
}
