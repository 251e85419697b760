//! `$batch` (planner-api.md section 8.4).

use std::sync::{Arc, Mutex, OnceLock};

use axum::http::Request;
use planwright::emulator::{Emulator, Exchange, Options, Storage};
use serde_json::{Value, json};

use crate::emulator_support::{Bench, ROOK_ID, TestClock};

/// Verb, path and status of an exchange.
type Row = (String, String, Option<u16>);

fn run(bench: &Bench, requests: &Value) -> Vec<Value> {
    let body = bench.post("/$batch", &json!({ "requests": requests })).expect(200);
    body["responses"].as_array().unwrap().clone()
}

fn response<'a>(responses: &'a [Value], id: &str) -> &'a Value {
    responses.iter().find(|response| response["id"] == id).unwrap()
}

#[test]
fn inner_requests_are_answered_one_by_one_and_in_another_order() {
    // Trap 44.
    let bench = Bench::new();
    let task = bench.new_task();
    let tag = bench.tag(&task);
    let responses = run(
        &bench,
        &json!([
            { "id": "a", "method": "GET", "url": "/me?$select=id" },
            { "id": "b", "method": "patch", "url": task.trim_start_matches('/'),
              "headers": { "content-type": "application/json", "If-Match": tag,
                           "Prefer": "return=representation" },
              "body": { "percentComplete": 50 } },
            { "id": "c", "method": "DELETE", "url": task, "headers": { "If-Match": tag } },
            { "id": "d", "method": "PATCH", "url": task,
              "headers": { "Content-Type": "application/json", "If-Match": tag },
              "body": { "title": "x" } },
        ]),
    );
    let order: Vec<&str> = responses.iter().map(|it| it["id"].as_str().unwrap()).collect();
    assert_ne!(order, ["a", "b", "c", "d"]);
    assert_eq!(response(&responses, "a")["body"]["id"], ROOK_ID);
    let b = response(&responses, "b");
    assert_eq!((&b["status"], &b["body"]["percentComplete"]), (&json!(200), &json!(50)));
    assert_eq!(b["headers"]["Preference-Applied"], "return=representation");
    assert_eq!(b["headers"]["ETag"], b["body"]["@odata.etag"]);
    assert_eq!(response(&responses, "c")["status"], 409);
    assert_eq!(response(&responses, "c")["body"]["error"]["code"], "");
    let d = response(&responses, "d");
    assert_eq!((&d["status"], d.get("body")), (&json!(204), None));
}

#[test]
fn dependents_of_a_failed_request_fail() {
    let bench = Bench::new();
    let get = |id: &str, url: &str, on: &[&str]| json!({ "id": id, "method": "GET", "url": url, "dependsOn": on });
    let gone = format!("/planner/tasks/{}", "A".repeat(28));
    let statuses = |requests: Value| -> Vec<i64> {
        let responses = run(&bench, &requests);
        let ids = requests.as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap());
        ids.map(|id| response(&responses, id)["status"].as_i64().unwrap()).collect()
    };
    let serial = json!([
        get("1", "/me", &[]),
        get("2", &gone, &["1"]),
        get("3", "/me", &["2"]),
        get("4", "/me", &["3"])
    ]);
    assert_eq!(statuses(serial), [200, 404, 424, 424]);
    let same = json!([
        get("X", &gone, &[]),
        get("2", "/me", &["x"]),
        get("3", "/me", &[]),
        get("4", "/me", &["X"])
    ]);
    assert_eq!(statuses(same), [404, 424, 200, 424]);
}

#[test]
fn a_malformed_batch_is_refused_as_a_whole() {
    let bench = Bench::new();
    let get = json!({ "id": "1", "method": "GET", "url": "/me" });
    let with = |name: &str, value: Value| {
        let mut request = get.clone();
        request[name] = value;
        json!([request])
    };
    let ids = |ids: &[&str]| -> Value {
        ids.iter().map(|id| json!({ "id": id, "method": "GET", "url": "/me" })).collect()
    };
    let on =
        |id: &str, on: &[&str]| json!({ "id": id, "method": "GET", "url": "/me", "dependsOn": on });
    let many: Vec<String> = (0..21).map(|at| at.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let cases = [
        json!(null),
        json!({}),
        json!([]),
        json!([1]),
        ids(&many),
        ids(&["a", "A"]),
        with("id", json!(1)),
        with("id", json!("")),
        with("id", Value::Null),
        with("method", Value::Null),
        with("method", json!("BREW")),
        with("url", Value::Null),
        with("url", json!("")),
        with("url", json!("https://graph.microsoft.com/v1.0/me")),
        with("url", json!("//host/me")),
        with("url", json!("/with space")),
        with("url", json!("/$batch")),
        with("url", json!("/%24BATCH")),
        with("headers", json!([])),
        with("headers", json!({ "a b": "x" })),
        with("headers", json!({ "prefer": 1 })),
        with("body", json!({})),
        with("dependsOn", json!("1")),
        with("dependsOn", json!(["1"])),
        with("dependsOn", json!([1])),
        json!([on("1", &["2"]), on("2", &[])]),
        json!([on("1", &[]), on("2", &[]), on("3", &["1"]), on("4", &["2"])]),
        json!([on("1", &[]), on("2", &[]), on("3", &["1", "2"])]),
    ];
    for requests in cases {
        let answer = bench.post("/$batch", &json!({ "requests": requests }));
        assert_eq!(answer.status, 400, "{requests}");
    }
    let most: Vec<&str> = many.iter().copied().take(20).collect();
    assert_eq!(run(&bench, &ids(&most)).len(), 20);
    let _ = bench
        .send("POST", "/$batch", &[("authorization", "Bearer x")], Some(&json!({})))
        .error(401);
}

#[test]
fn an_inner_request_cannot_sign_in_as_somebody_else() {
    let bench = Bench::new();
    let headers =
        json!({ "Authorization": "Bearer emulator:mei@bos.example", "Host": "evil.example" });
    let responses =
        run(&bench, &json!([{ "id": "1", "method": "GET", "url": "/me", "headers": headers }]));
    assert_eq!(responses[0]["body"]["id"], ROOK_ID);
    let context = responses[0]["body"]["@odata.context"].as_str().unwrap();
    assert!(context.starts_with("http://127.0.0.1:4321/v1.0/"), "{context}");
}

#[test]
fn a_body_of_another_type_comes_in_base64() {
    let bench = Bench::new();
    let request = |body: &str| {
        json!([{ "id": "1", "method": "POST", "url": "/planner/tasks",
                 "headers": { "Content-Type": "text/plain" }, "body": body }])
    };
    assert_eq!(run(&bench, &request("aGVsbG8="))[0]["status"], 415);
    let _ = bench.post("/$batch", &json!({ "requests": request("!") })).error(400);
}

#[test]
fn an_observer_sees_every_request_and_may_send_its_own() {
    let seen: Arc<Mutex<Vec<Row>>> = Arc::default();
    let emulator: Arc<OnceLock<Emulator>> = Arc::default();
    let mut options = Options::new(Storage::Memory, TestClock::new());
    let (log, inside) = (Arc::clone(&seen), Arc::clone(&emulator));
    options.observer = Some(Arc::new(move |exchange: &Exchange| {
        let row = (exchange.method.clone(), exchange.path.clone(), exchange.status);
        log.lock().unwrap().push(row);
        if exchange.path == "/v1.0/me" && exchange.status.is_none() {
            let request = Request::builder()
                .uri("/v1.0/users")
                .header("authorization", "Bearer emulator:rook@bos.example");
            let answer = inside.get().unwrap().dispatch(request.body(Vec::new()).unwrap());
            assert_eq!(answer.status(), 200);
        }
    }));
    let it = emulator.get_or_init(|| Emulator::open(options).unwrap());
    it.seed_demo().unwrap();
    let body = json!({ "requests": [{ "id": "1", "method": "GET", "url": "/me" }] });
    let request = Request::builder()
        .method("POST")
        .uri("/v1.0/$batch")
        .header("authorization", "Bearer emulator:rook@bos.example")
        .header("content-type", "application/json");
    let answer = it.dispatch(request.body(body.to_string().into_bytes()).unwrap());
    assert_eq!(answer.status(), 200);
    let row =
        |method: &str, path: &str, status| (method.to_owned(), format!("/v1.0{path}"), status);
    let expected = [
        row("POST", "/$batch", None),
        row("GET", "/me", None),
        row("GET", "/users", None),
        row("GET", "/users", Some(200)),
        row("GET", "/me", Some(200)),
        row("POST", "/$batch", Some(200)),
    ];
    assert_eq!(*seen.lock().unwrap(), expected);
}
