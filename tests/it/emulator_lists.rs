//! Lists, pages, `$select`, `$expand` and the directory (planner-api.md sections 2.5 and 8).

use serde_json::{Value, json};

use crate::emulator_support::{BOS, Bench, MEI, MEI_ID, ROOK_ID, id_of, names};

const ROOT: &str = "http://127.0.0.1:4321/v1.0";

fn bos_plan(bench: &Bench) -> String {
    id_of(&bench.items(&format!("/groups/{BOS}/planner/plans"))[0])
}

#[test]
fn a_list_has_the_envelope_of_section_8_2() {
    let bench = Bench::new();
    let plan = bos_plan(&bench);
    for (path, kind) in [
        (format!("/groups/{BOS}/planner/plans"), "plannerPlan"),
        (format!("/planner/plans?$filter=owner%20eq%20'{BOS}'"), "plannerPlan"),
        (format!("/planner/plans?$filter=owner+eq+'{BOS}'+and+title+eq+'x'"), "plannerPlan"),
        ("/me/planner/plans".to_owned(), "plannerPlan"),
        (format!("/planner/plans/{plan}/buckets"), "plannerBucket"),
        (format!("/planner/plans/{plan}/tasks"), "plannerTask"),
        ("/me/planner/tasks".to_owned(), "plannerTask"),
    ] {
        let list = bench.get(&path);
        assert_eq!(names(&list), ["@odata.context", "@odata.count", "value"], "{path}");
        assert_eq!(
            list["@odata.context"],
            format!("{ROOT}/$metadata#Collection(microsoft.graph.{kind})")
        );
        let items = list["value"].as_array().unwrap();
        assert_eq!(list["@odata.count"], items.len());
        assert!(!items.is_empty() && items.iter().all(|item| names(item)[0] == "@odata.etag"));
    }
}

#[test]
fn collections_that_need_a_filter_are_refused_without_one() {
    // Trap 22.
    let bench = Bench::new();
    for path in [
        "/planner/plans",
        "/planner/plans?$filter=title+eq+'x'",
        "/planner/plans?$filter=owner",
        "/planner/buckets",
        "/planner/tasks",
    ] {
        let (code, message) = bench.send("GET", path, &[], None).error(400);
        assert_eq!(code, "");
        assert!(message.starts_with("This entity set must be queried with a filter on owner"));
    }
}

#[test]
fn filters_orders_and_sizes_are_ignored_silently() {
    // Trap 23.
    let bench = Bench::new();
    let path = format!("/planner/plans/{}/tasks", bos_plan(&bench));
    let all = bench.get(&path);
    for options in ["$top=1", "$filter=title+eq+'x'", "$orderby=title", "$skip=3&$search=x", "foo"]
    {
        assert_eq!(bench.get(&format!("{path}?{options}")), all, "{options}");
    }
}

#[test]
fn pages_follow_each_other_until_the_list_ends() {
    // Trap 43: the count is the page's.
    let bench = Bench::with(|options| options.page_size = 7);
    let path = format!("/planner/plans/{}/tasks", bos_plan(&bench));
    let page = bench.get(&format!("{path}?$select=id,title"));
    assert_eq!(page["@odata.count"], 7);
    let link = page["@odata.nextLink"].as_str().unwrap();
    assert!(
        link.starts_with(&format!("{ROOT}{path}?%24select=id%2Ctitle&%24skiptoken=")),
        "{link}"
    );
    let items = bench.items(&format!("{path}?$select=id,title"));
    let mut ids: Vec<String> = items.iter().map(id_of).collect();
    assert!(items.iter().all(|item| names(item) == ["@odata.etag", "id", "title"]));
    assert_eq!(ids.len(), 30);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 30);
    let _ = bench.send("GET", &format!("{path}?$skiptoken=x"), &[], None).error(400);

    // A list that ends with a full page has no further one.
    let exact = Bench::with(|options| options.page_size = 15);
    let first = exact.get(&path);
    let next = first["@odata.nextLink"].as_str().unwrap().strip_prefix(ROOT).unwrap();
    let last = exact.get(next);
    assert_eq!((&last["@odata.count"], last.get("@odata.nextLink")), (&json!(15), None));
}

#[test]
fn select_keeps_the_tag_and_states_itself() {
    let bench = Bench::new();
    let task = bench.new_task();
    let one = bench.get(&format!("{task}?$select=title,id"));
    assert_eq!(names(&one), ["@odata.context", "@odata.etag", "title", "id"]);
    let list = bench.get("/me/planner/tasks?%24select=id,title,planId,percentComplete");
    assert_eq!(
        list["@odata.context"],
        format!(
            "{ROOT}/$metadata#Collection(microsoft.graph.plannerTask)(id,title,planId,percentComplete)"
        )
    );
    assert_eq!(
        names(&list["value"][0]),
        ["@odata.etag", "id", "title", "planId", "percentComplete"]
    );
}

#[test]
fn a_selection_is_matched_without_case() {
    let bench = Bench::new();
    let me = bench.get("/me?$select=Id,DISPLAYNAME");
    assert_eq!((me["id"].is_string(), me["displayName"].is_string()), (true, true));
    let group = bench.get(&format!("/groups/{BOS}?$select=id,createdDateTime"));
    assert!(group["createdDateTime"].is_string() && group.get("displayName").is_none());
    let task = bench.get(&format!("{}?$select=Title", bench.new_task()));
    assert_eq!((&task["title"], task.get("id")), (&json!("Task"), None));
}

#[test]
fn links_lead_back_through_a_proxy_that_ends_tls() {
    let bench = Bench::with(|options| options.page_size = 1);
    let plan = bench.new_plan();
    for _ in 0..2 {
        bench.new_task_in(&plan, &json!({}));
    }
    let next = |headers: &[(&str, &str)]| {
        let path = format!("/planner/plans/{plan}/tasks");
        let page = bench.send("GET", &path, headers, None).expect(200);
        page["@odata.nextLink"].as_str().unwrap().to_owned()
    };
    assert!(next(&[]).starts_with("http://127.0.0.1:4321/v1.0/"));
    assert!(next(&[("x-forwarded-proto", "https")]).starts_with("https://127.0.0.1:4321/v1.0/"));
    assert!(next(&[("x-forwarded-proto", "gopher")]).starts_with("http://127.0.0.1:4321/v1.0/"));
}

#[test]
fn expand_inlines_what_the_navigation_leads_to() {
    let bench = Bench::new();
    let plan = bos_plan(&bench);
    let buckets = bench.items(&format!("/planner/plans/{plan}/buckets"));
    let whole = bench.get(&format!("/planner/plans/{plan}?$expand=details,buckets,tasks"));
    assert_eq!(whole["buckets"], json!(buckets));
    assert_eq!(whole["tasks"].as_array().unwrap().len(), 30);
    assert_eq!(whole["details"]["id"], plan.as_str());

    let expand = "$expand=details($select=description),bucketTaskBoardFormat,\
                  assignedToTaskBoardFormat,ProgressTaskBoardFormat&$select=title";
    let tasks = bench.items(&format!("/planner/plans/{plan}/tasks?{expand}"));
    for (task, title) in tasks.iter().zip(whole["tasks"].as_array().unwrap()) {
        assert_eq!(task["title"], title["title"]);
        let id = id_of(title);
        for part in [
            "details",
            "bucketTaskBoardFormat",
            "assignedToTaskBoardFormat",
            "progressTaskBoardFormat",
        ] {
            let mut single = bench.get(&format!("/planner/tasks/{id}/{part}"));
            single.as_object_mut().unwrap().shift_remove("@odata.context");
            assert_eq!(task[part], single);
        }
    }
    let bucket = id_of(&buckets[0]);
    let bucket = bench.get(&format!("/planner/buckets/{bucket}?$expand=tasks"));
    assert_eq!(bucket["tasks"].as_array().unwrap().len(), 11);
    let path = format!("/planner/plans/{plan}/tasks?$expand=comments");
    let (_, message) = bench.send("GET", &path, &[], None).error(400);
    assert!(message.contains("'comments'"), "{message}");
}

#[test]
fn without_metadata_there_are_no_tags() {
    // Trap 6.
    let bench = Bench::with(|options| options.page_size = 2);
    let headers = [("accept", "application/json;odata.metadata=none")];
    let answer = bench.send("GET", "/me/planner/tasks?$expand=details", &headers, None);
    assert!(answer.header("content-type").contains("odata.metadata=none"));
    let list = answer.expect(200);
    assert_eq!(names(&list), ["@odata.count", "@odata.nextLink", "value"]);
    assert!(!list["value"].to_string().contains("@odata"), "{list:#}");
}

#[test]
fn users_are_found_by_id_and_by_name() {
    let bench = Bench::new();
    let me = bench.get("/me");
    assert_eq!(
        names(&me),
        [
            "@odata.context",
            "businessPhones",
            "displayName",
            "givenName",
            "jobTitle",
            "mail",
            "mobilePhone",
            "officeLocation",
            "preferredLanguage",
            "surname",
            "userPrincipalName",
            "id"
        ]
    );
    assert_eq!(me["@odata.context"], format!("{ROOT}/$metadata#users/$entity"));
    for key in [ROOK_ID, &ROOK_ID.to_uppercase(), "Rook@BOS.example"] {
        assert_eq!(bench.get(&format!("/users/{key}")), me);
        assert_eq!(bench.get(&format!("/users('{key}')")), me);
    }
    let (code, message) = bench.send("GET", "/users/x@y", &[], None).error(404);
    assert_eq!(code, "Request_ResourceNotFound");
    assert!(message.starts_with("Resource 'x@y' does not exist"), "{message}");
    let some = bench.get("/me?$select=id,displayName");
    assert_eq!(
        some,
        json!({
            "@odata.context": format!("{ROOT}/$metadata#users(id,displayName)/$entity"),
            "id": ROOK_ID, "displayName": "Rook Tamatea",
        })
    );
}

#[test]
fn directory_lists_filter_and_page() {
    let bench = Bench::new();
    let upns = |path: &str| -> Vec<String> {
        let users = bench.items(path);
        users.iter().map(|user| user["userPrincipalName"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(upns("/users").len(), 6);
    assert_eq!(upns("/users?$top=4").len(), 6);
    assert_eq!(upns("/users?$filter=startswith(displayName,'an')"), ["ana@bos.example"]);
    assert_eq!(upns("/users?$filter=mail+eq+'MEI@bos.example'"), [MEI]);
    assert_eq!(upns(&format!("/users?$filter=id+in+('{MEI_ID}','{ROOK_ID}')")).len(), 2);
    assert_eq!(upns(&format!("/groups/{BOS}/members?$top=1")).len(), 6);
    let groups = "/groups?$filter=groupTypes/any(c:c+eq+'Unified')";
    assert_eq!(bench.items(groups).len(), 3);
    for (path, code) in [
        ("/users?$filter=mail+ne+'x'", "Request_UnsupportedQuery"),
        ("/users?$search=x", "Request_UnsupportedQuery"),
        ("/users?$count=true", "Request_UnsupportedQuery"),
        ("/users?$filter=mail", "Request_BadRequest"),
        ("/users?$top=0", "Request_BadRequest"),
        ("/users?$top=1000", "Request_BadRequest"),
    ] {
        assert_eq!(bench.send("GET", path, &[], None).error(400).0, code, "{path}");
    }
    let headers = [("consistencylevel", "eventual")];
    let counted = bench.send("GET", "/users?$count=true&$top=2", &headers, None).expect(200);
    assert_eq!(counted["@odata.count"], 6);
    // Only the first page tells how many there are in all.
    let link = counted["@odata.nextLink"].as_str().unwrap().strip_prefix(ROOT).unwrap();
    let second = bench.send("GET", link, &headers, None).expect(200);
    assert_eq!((second.get("@odata.count"), second["value"].as_array().unwrap().len()), (None, 2));
}

#[test]
fn memberships_are_directory_objects() {
    let bench = Bench::new();
    let path = "/me/memberOf?$select=id,displayName,groupTypes";
    let mine = bench.get(path);
    assert_eq!(
        mine["@odata.context"],
        format!("{ROOT}/$metadata#directoryObjects(id,displayName,groupTypes)")
    );
    assert_eq!(
        mine["value"][0],
        json!({ "@odata.type": "#microsoft.graph.group", "id": BOS, "displayName": "BOS",
                "groupTypes": ["Unified"] })
    );
    assert_eq!(
        bench.get(&format!("/users/{ROOK_ID}/memberOf"))["value"].as_array().unwrap().len(),
        2
    );
    let members = bench.get(&format!("/groups/{BOS}/members?$select=displayName"));
    assert_eq!(
        members["value"][0],
        json!({ "@odata.type": "#microsoft.graph.user", "displayName": "Rook Tamatea" })
    );
    let group = bench.get(&format!("/groups/{BOS}"));
    assert_eq!((&group["mailEnabled"], &group["groupTypes"]), (&json!(true), &json!(["Unified"])));
}

#[test]
fn three_thousand_tasks_are_listed_page_by_page() {
    let bench = Bench::new();
    let plan = bench.new_plan();
    let body = json!({ "planId": plan, "title": "x" });
    for _ in 0..3000 {
        let _ = bench.post("/planner/tasks", &body).expect(201);
    }
    let tasks: Vec<Value> = bench.items(&format!("/planner/plans/{plan}/tasks?$expand=details"));
    assert_eq!(tasks.len(), 3000);
    assert_eq!(bench.post("/planner/tasks", &body).error(403).0, "MaximumActiveTasksInProject");
}
