//! What clients that no one here wrote need: Entra ID as MSAL asks for it, browsers, the directory.

use planwright::emulator::{Action, FaultRule, Lag, Throttle, Tls};
use planwright::host::SystemClock;
use planwright::model::time::Clock as _;
use serde_json::{Value, json};

use crate::emulator_support::{ASSIGNMENT, BOS, Bench, CHECKLIST_ITEM, MEI, MEI_ID, ROOK_ID};
use crate::support::Place;

#[test]
fn two_places_without_neighbours_are_not_the_same() {
    let bench = Bench::new();
    let plan = bench.new_plan();
    let (first, second) =
        (bench.new_task_in(&plan, &json!({})), bench.new_task_in(&plan, &json!({})));
    let anywhere = json!({ "orderHint": " !" });
    let hints: Vec<Value> = [&first, &second, &first]
        .into_iter()
        .map(|task| bench.change(task, &anywhere).expect(200)["orderHint"].clone())
        .collect();
    assert!(hints[0] != hints[1] && hints[1] != hints[2] && hints[0] != hints[2], "{hints:?}");
    let item = json!({ "@odata.type": CHECKLIST_ITEM, "title": "x", "orderHint": " !" });
    let body = json!({ "checklist": { "1": item, "2": item } });
    let items = bench.change(&format!("{first}/details"), &body).expect(200)["checklist"].clone();
    assert_ne!(items["1"]["orderHint"], items["2"]["orderHint"]);
}

#[test]
fn a_preference_may_have_parameters() {
    let bench = Bench::new();
    let task = bench.new_task();
    let tag = bench.tag(&task);
    let headers =
        [("if-match", tag.as_str()), ("prefer", r#"respond-async, return="representation"; x=y"#)];
    let answer = bench.send("PATCH", &task, &headers, Some(&json!({ "title": "x" })));
    assert_eq!(answer.header("preference-applied"), "return=representation");
    assert_eq!(answer.expect(200)["title"], "x");
}

#[test]
fn a_key_that_is_no_user_or_category_is_refused_with_what_it_must_be() {
    let bench = Bench::new();
    let task = bench.new_task();
    for (body, name, reason) in [
        (json!({ "appliedCategories": { "category26": true } }), "'category26'", "'category25'"),
        (
            json!({ "assignments": { MEI: { "@odata.type": ASSIGNMENT, "orderHint": " !" } } }),
            MEI,
            "GUID",
        ),
    ] {
        let (code, message) = bench.change(&task, &body).error(400);
        assert_eq!(code, "BadRequest");
        assert!(message.contains(name) && message.contains(reason), "{message}");
    }
}

#[test]
fn settings_out_of_range_are_refused_and_change_nothing() {
    let bench = Bench::new();
    let throttle = Throttle { writes_per_s: 2.0, burst: None };
    let lag = Lag { create_ms: 5, ..Lag::default() };
    bench.emulator.set_throttle(Some(throttle)).unwrap();
    bench.emulator.set_lag(lag).unwrap();
    for writes_per_s in [0.0, -1.0, f64::NAN, 1e9] {
        let wrong = Throttle { writes_per_s, burst: None };
        assert!(bench.emulator.set_throttle(Some(wrong)).is_err(), "{writes_per_s}");
    }
    assert!(bench.emulator.set_lag(Lag { group_ms: u64::MAX, ..lag }).is_err());
    for (name, body) in [
        ("throttle", json!({ "writes_per_s": 0 })),
        ("throttle", json!({ "writes_per_s": 2, "burst": 0 })),
        ("throttle", json!({ "writes_per_s": 2, "burst": -1 })),
        ("throttle", json!({ "writes_per_s": 2, "burst": 1e12 })),
        ("lag", json!({ "create_ms": 86_400_001 })),
        ("lag", json!({ "board_formats_ms": -1 })),
    ] {
        let (code, message) = bench.control("POST", name, Some(&body)).error(400);
        assert!(code == "BadRequest" && !message.is_empty(), "{name} {body}");
    }
    assert_eq!((bench.emulator.throttle(), bench.emulator.lag()), (Some(throttle), lag));
}

/// Asks as advanced queries do.
fn advanced(bench: &Bench, path: &str) -> Value {
    bench.send("GET", path, &[("consistencylevel", "eventual")], None).expect(200)
}

fn texts(list: &Value, name: &str) -> Vec<String> {
    let items = list["value"].as_array().unwrap();
    items.iter().map(|item| item[name].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_name_that_the_type_does_not_have_is_refused_in_graphs_words() {
    let bench = Bench::new();
    let task = bench.new_task();
    let parsing = "Parsing OData Select and Expand failed";
    for (path, what, of) in [
        (format!("{task}?$select=id,nmae"), parsing, "plannerTask"),
        (format!("{task}/details?$select=nmae"), parsing, "plannerTaskDetails"),
        ("/me/planner/plans?$select=nmae".to_owned(), parsing, "plannerPlan"),
        ("/me?$select=nmae".to_owned(), parsing, "user"),
        ("/users?$select=nmae".to_owned(), parsing, "user"),
        (format!("/groups/{BOS}?$select=nmae"), parsing, "group"),
        (format!("/groups/{BOS}/members?$select=nmae"), parsing, "directoryObject"),
        ("/users?$filter=nmae eq 'x'".replace(' ', "+"), "Invalid filter clause", "user"),
        ("/groups?$filter=startswith(nmae,'x')".to_owned(), "Invalid filter clause", "group"),
        ("/users?$orderby=nmae".to_owned(), "Invalid OrderBy clause", "user"),
    ] {
        let (code, message) = bench.send("GET", &path, &[], None).error(400);
        let reason =
            format!("Could not find a property named 'nmae' on type 'microsoft.graph.{of}'.");
        assert_eq!((code.as_str(), message), ("BadRequest", format!("{what}: {reason}")), "{path}");
    }
    // Properties that exist, though nothing is stored of them.
    for path in [
        format!("{task}?$select=Id,TITLE,details"),
        "/me?$select=id,department,onPremisesSyncEnabled".to_owned(),
        "/me/memberOf?$select=id,groupTypes,userPrincipalName".to_owned(),
        "/users?$filter=department+eq+'x'".to_owned(),
    ] {
        bench.get(&path);
    }
    // The beta has more of them.
    let beta = bench.send_at("GET", &format!("/beta{task}?$select=recurrence"), &[], None);
    assert!(beta.expect(200).get("recurrence").is_some());
    let _ = bench.send("GET", &format!("{task}?$select=recurrence"), &[], None).error(400);
}

#[test]
fn people_and_groups_are_searched_sorted_and_counted() {
    let bench = Bench::new();
    let search = |path: &str, text: &str| {
        let query = url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        format!("{path}?$search={query}")
    };
    let ana = search("/users", r#""displayName:an" OR "mail:mei@""#);
    let (code, message) = bench.send("GET", &ana, &[], None).error(400);
    assert_eq!(code, "Request_UnsupportedQuery");
    assert!(message.contains("ConsistencyLevel: eventual"), "{message}");
    assert_eq!(texts(&advanced(&bench, &ana), "userPrincipalName"), [MEI, "ana@bos.example"]);
    let groups = advanced(&bench, &search("/groups", r#""displayName:lead""#));
    assert_eq!(texts(&groups, "displayName"), ["Leadership"]);
    let unquoted = search("/users", "displayName:an");
    let headers = [("consistencylevel", "eventual")];
    let _ = bench.send("GET", &unquoted, &headers, None).error(400);

    let names = |path: &str| -> Vec<String> {
        let users = bench.items(path);
        users.iter().map(|user| user["displayName"].as_str().unwrap().to_lowercase()).collect()
    };
    let mut sorted = names("/users");
    sorted.sort();
    assert_eq!(names("/users?$orderby=displayName"), sorted);
    assert_eq!(names("/users?$orderby=displayName&$top=4"), sorted);
    sorted.reverse();
    assert_eq!(names("/users?$orderby=displayName+desc&$top=1"), sorted);
    for order in ["mail", "displayName+up", "displayName&$filter=mail+eq+'x'"] {
        let path = format!("/users?$orderby={order}");
        let (code, _) = bench.send("GET", &path, &[], None).error(400);
        assert_eq!(code, "Request_UnsupportedQuery", "{order}");
    }
    let path = "/users?$orderby=displayName&$count=true&$filter=startswith(displayName,'an')";
    assert_eq!(advanced(&bench, path)["@odata.count"], 1);

    let users = advanced(&bench, "/users/$count").as_u64().unwrap();
    for (filter, n) in [
        ("endswith(mail,'@bos.example')", users),
        ("not startswith(displayName,'an')", users - 1),
        ("displayName ne 'Ana Ferreira'", users - 1),
        ("not(endswith(userPrincipalName,'@bos.example')) or id ne 'x'", users),
    ] {
        let query = url::form_urlencoded::byte_serialize(filter.as_bytes()).collect::<String>();
        let path = format!("/users?$count=true&$filter={query}");
        assert_eq!(advanced(&bench, &path)["@odata.count"], n, "{filter}");
        // Both are needed, the header and the count.
        let uncounted = format!("/users?$filter={query}");
        for (path, headers) in [(&path, &[][..]), (&uncounted, &headers[..])] {
            let (code, _) = bench.send("GET", path, headers, None).error(400);
            assert_eq!(code, "Request_UnsupportedQuery", "{path}");
        }
    }

    let answer = bench.send("GET", "/users/$count", &headers, None);
    assert_eq!(answer.header("content-type"), "text/plain");
    assert_eq!(answer.expect(200), 6);
    assert_eq!(advanced(&bench, "/users/$count?$filter=startswith(displayName,'an')"), 1);
    assert_eq!(advanced(&bench, "/groups/$count"), 3);
    let (code, message) = bench.send("GET", "/users/$count", &[], None).error(400);
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("Request_BadRequest", "$count is not currently supported.")
    );
}

#[test]
fn users_and_groups_are_asked_for_by_id_together() {
    let bench = Bench::new();
    let nobody = "00000000-0000-4000-8000-000000000000";
    let ids = json!([MEI_ID, BOS, nobody, ROOK_ID.to_uppercase(), MEI_ID]);
    let all = bench.post("/directoryObjects/getByIds", &json!({ "ids": ids })).expect(200);
    assert_eq!(texts(&all, "id"), [MEI_ID, BOS, ROOK_ID]);
    let types = ["#microsoft.graph.user", "#microsoft.graph.group", "#microsoft.graph.user"];
    assert_eq!(texts(&all, "@odata.type"), types);
    let path = "/users/getByIds?$select=id";
    let users = bench.post(path, &json!({ "ids": ids, "types": ["user"] })).expect(200);
    assert_eq!(texts(&users, "id"), [MEI_ID, ROOK_ID]);
    assert!(users["value"][0].get("displayName").is_none());
    let many = vec![nobody; 1001];
    for body in [
        json!({}),
        json!({ "ids": [] }),
        json!({ "ids": [1] }),
        json!({ "ids": ["x"] }),
        json!({ "ids": many }),
        json!({ "ids": [MEI_ID], "types": "user" }),
    ] {
        let _ = bench.post("/directoryObjects/getByIds", &body).error(400);
    }
}

#[test]
fn a_group_is_changed_and_deleted_by_its_owner_alone() {
    let bench = Bench::new();
    let group = json!({ "displayName": "Night shift", "mailNickname": "night", "mailEnabled": true,
        "securityEnabled": false, "groupTypes": ["Unified"] });
    let group = bench.post("/groups", &group).expect(201);
    let path = format!("/groups/{}", group["id"].as_str().unwrap());
    assert_eq!(texts(&bench.get(&format!("{path}/owners")), "id"), [ROOK_ID]);
    assert_eq!(bench.get(&format!("{path}/members"))["value"], json!([]));

    let change =
        json!({ "displayName": "Late shift", "description": null, "visibility": "Private" });
    let mei = bench.caller(MEI);
    let (code, _) = mei.send("PATCH", &path, &[], Some(&change)).error(403);
    assert_eq!(code, "Authorization_RequestDenied");
    let _ = bench.send("PATCH", &path, &[], Some(&change)).expect(204);
    assert_eq!(bench.get(&path)["displayName"], "Late shift");
    for body in [
        json!({ "displayName": "" }),
        json!({ "displayName": "x".repeat(257) }),
        json!({ "visibility": "Secret" }),
        json!({ "createdDateTime": "2026-03-02T10:00:00Z" }),
        json!({ "nmae": "x" }),
    ] {
        let (code, _) = bench.send("PATCH", &path, &[], Some(&body)).error(400);
        assert_eq!(code, "Request_BadRequest", "{body}");
    }

    let member = json!({ "@odata.id": format!("http://127.0.0.1:4321/v1.0/users/{ROOK_ID}") });
    let _ = bench.post(&format!("{path}/members/$ref"), &member).expect(204);
    let container = json!({ "containerId": group["id"], "type": "group" });
    let plan = json!({ "title": "Rota", "container": container });
    let plan = bench.post("/planner/plans", &plan).expect(201);
    let _ = mei.send("DELETE", &path, &[], None).error(403);
    let _ = bench.send("DELETE", &path, &[], None).expect(204);
    let _ = bench.send("GET", &path, &[], None).error(404);
    let plan = format!("/planner/plans/{}", plan["id"].as_str().unwrap());
    let _ = bench.send("GET", &plan, &[], None).error(404);
    // Those of a seed have owners too: the first member where none is named.
    assert_eq!(bench.get(&format!("/groups/{BOS}/owners"))["value"].as_array().unwrap().len(), 1);
}

#[test]
fn pages_in_a_browser_may_ask_graph_and_for_tokens_and_nothing_else() {
    let bench = Bench::new();
    let task = bench.new_task();
    let origin = ("origin", "https://app.example");
    let preflight = |path: &str| {
        let asks = [
            origin,
            ("access-control-request-method", "PATCH"),
            ("access-control-request-headers", "authorization,if-match"),
            ("authorization", ""),
        ];
        bench.send_at("OPTIONS", path, &asks, None)
    };
    for (path, verbs) in [
        (format!("/v1.0{task}"), "GET, POST, PATCH, PUT, DELETE, OPTIONS"),
        ("/common/oauth2/v2.0/token".to_owned(), "POST, OPTIONS"),
        ("/common/v2.0/.well-known/openid-configuration".to_owned(), "GET, OPTIONS"),
    ] {
        let answer = preflight(&path);
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{path}");
        // No page gets to use what a browser keeps for somebody.
        assert_eq!(answer.header("access-control-allow-credentials"), "", "{path}");
        assert_eq!(answer.header("access-control-allow-methods"), verbs);
        assert_eq!(answer.header("access-control-allow-headers"), "authorization,if-match");
        let _ = answer.expect(200);
    }
    for path in ["/control/faults", "/common/oauth2/v2.0/devicecode", "/"] {
        let answer = preflight(path);
        assert!(answer.status >= 400, "{path}");
        assert!(!answer.headers.contains_key("access-control-allow-origin"), "{path}");
    }
    let answer = bench.send("GET", &task, &[origin], None);
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert!(answer.header("access-control-expose-headers").contains("Retry-After"));
    let _ = answer.expect(200);
    // Refusals too, or a page would not learn the reason.
    let refused = bench.send("GET", "/planner/plans", &[origin], None);
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (400, "*"));
    let control = bench.send_at("GET", "/control/faults", &[origin], None);
    assert!(!control.headers.contains_key("access-control-allow-origin"));
    let plain = bench.send("GET", &task, &[], None);
    assert!(!plain.headers.contains_key("access-control-allow-origin"));
    // Questions of a browser are not among the requests.
    let questions = bench.emulator.requests();
    let mut questions = questions.iter().filter(|request| request.method == "OPTIONS");
    assert!(questions.all(|request| !request.path.starts_with("/v1.0")));
}

#[test]
fn answers_are_compressed_for_those_who_ask() {
    let bench = Bench::new();
    let get = |path: &str, accepted: &str| {
        let request = axum::http::Request::get(format!("/v1.0{path}"))
            .header("host", "127.0.0.1:4321")
            .header("authorization", "Bearer emulator:rook@bos.example")
            .header("accept-encoding", accepted);
        bench.emulator.dispatch(request.body(Vec::new()).unwrap())
    };
    let plain = get("/me/planner/tasks", "br, gzip;q=0");
    assert!(!plain.headers().contains_key("content-encoding"));
    let packed = get("/me/planner/tasks", "br, gzip;q=0.5");
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    assert_eq!(packed.headers()["vary"], "Accept-Encoding");
    assert!(packed.body().len() * 2 < plain.body().len());
    let mut text = String::new();
    let mut decoder = flate2::read::GzDecoder::new(packed.body().as_slice());
    std::io::Read::read_to_string(&mut decoder, &mut text).unwrap();
    assert_eq!(text.as_bytes(), plain.body().as_slice());
    assert!(!get("/me?$select=id", "gzip").headers().contains_key("content-encoding"));
}

#[tokio::test]
async fn tls_is_served_with_a_certificate_that_its_authority_signed() {
    let now = SystemClock.now();
    let tls = Tls::new(&["graph.test".to_owned()], now).unwrap();
    let other = Tls::new(&[], now).unwrap();
    assert!(Tls::new(&["gräph".to_owned()], now).is_err());
    let trusting = |tls: &Tls| {
        let authority = reqwest::Certificate::from_pem(tls.authority().as_bytes()).unwrap();
        reqwest::Client::builder().no_proxy().tls_certs_only([authority]).build().unwrap()
    };
    let (client, stranger) = (trusting(&tls), trusting(&other));

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let emulator = Bench::new().emulator;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let served = emulator.clone();
    let server = tokio::spawn(async move {
        let end = async {
            drop(stopped.await);
        };
        served.serve_tls(listener, &tls, end).await
    });
    // Whoever does not get on with the handshake holds up nobody.
    let silent = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let ask = |client: &reqwest::Client, host: &str| {
        client
            .get(format!("https://{host}:{port}/v1.0/me/planner/tasks"))
            .bearer_auth("emulator:rook@bos.example")
            .send()
    };
    for host in ["localhost", "127.0.0.1"] {
        let answer = ask(&client, host).await.unwrap();
        assert_eq!(answer.status(), 200);
        let text = answer.text().await.unwrap();
        let context = format!("https://{host}:{port}/v1.0/$metadata#Collection");
        assert!(text.contains(&context), "{text}");
    }
    assert!(ask(&stranger, "localhost").await.is_err());
    // A lost answer is lost here, too.
    emulator.set_faults(vec![FaultRule::new(Action::DropAfter)]).unwrap();
    assert!(ask(&client, "localhost").await.is_err());

    drop(silent);
    stop.send(()).unwrap();
    let ended = tokio::time::timeout(std::time::Duration::from_secs(10), server).await;
    ended.expect("the server stops when told").unwrap().unwrap();
}

#[test]
fn the_emulator_command_announces_tls_and_writes_its_authority() {
    use std::io::{BufRead as _, BufReader};
    use std::process::Stdio;
    let place = Place::embedded();
    let mut child = place
        .command(&["emulator", "--demo", "--tls", "--ca-out", "ca.pem"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let written = std::fs::read_to_string(place.path().join("ca.pem"));
    child.kill().unwrap();
    child.wait().unwrap();
    let port = first.trim().strip_prefix("https://localhost:").unwrap();
    assert!(port.strip_suffix("/v1.0").unwrap().parse::<u16>().is_ok(), "{first}");
    let written = written.unwrap();
    assert!(written.starts_with("-----BEGIN CERTIFICATE-----") && !written.contains("PRIVATE"));
}
