//! Trouble on request: injected faults, throttling, other people's edits, the log of requests.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use axum::http::Request;
use planwright::emulator::{
    Action, DroppedAnswer, Edit, Edits, Exchange, FaultRule, Origin, Throttle,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::emulator_support::{Bench, MEI, id_of};

const TIME_LIMIT: Duration = Duration::from_secs(10);

fn status(status: u16, retry_after: Option<&str>) -> Action {
    Action::Status { status, retry_after: retry_after.map(str::to_owned) }
}

fn rules(bench: &Bench, rules: Vec<FaultRule>) {
    bench.emulator.set_faults(rules).unwrap();
}

/// The titles of a plan's tasks.
fn titles(bench: &Bench, plan: &str) -> Vec<Value> {
    let tasks = bench.items(&format!("/planner/plans/{plan}/tasks"));
    tasks.iter().map(|task| task["title"].clone()).collect()
}

#[test]
fn an_outage_is_answered_and_nothing_is_done() {
    let bench = Bench::new();
    let plan = bench.new_plan();
    let body = json!({ "planId": plan, "title": "x" });
    for (code, name, retry_after) in [
        (429, "TooManyRequests", Some("2.128")),
        (503, "ServiceNotAvailable", Some("Mon, 02 Mar 2026 09:15:30 GMT")),
        (500, "InternalServerError", None),
        (504, "GatewayTimeout", Some("0")),
    ] {
        let rule = FaultRule::new(status(code, retry_after)).on("post", "/planner/tasks");
        rules(&bench, vec![rule.times(1)]);
        let answer = bench.post("/planner/tasks", &body);
        assert_eq!(answer.header("retry-after"), retry_after.unwrap_or_default());
        assert_eq!(answer.error(code).0, name);
    }
    assert!(titles(&bench, &plan).is_empty());
    let _ = bench.post("/planner/tasks", &body).expect(201);
}

#[test]
fn a_throttled_answer_looks_like_planners() {
    let bench = Bench::new();
    rules(&bench, vec![FaultRule::new(status(429, Some("2.128")))]);
    let body = bench.send("GET", "/me", &[], None).expect(429);
    let error = &body["error"];
    assert_eq!(error["message"], "Please retry again later.");
    assert_eq!(error["innerError"]["code"], "429");
    assert_eq!(error["innerError"]["status"], "429");
    assert_eq!(error["innerError"]["message"], "Please retry after");
}

#[test]
fn a_failure_after_the_commit_leaves_the_change() {
    let bench = Bench::new();
    let plan = bench.new_plan();
    let after = Action::StatusAfter { status: 500, retry_after: None };
    rules(&bench, vec![FaultRule::new(after).nth(1)]);
    let body = json!({ "planId": plan, "title": "x" });
    let _ = bench.post("/planner/tasks", &body).error(500);
    assert_eq!(titles(&bench, &plan), ["x"]);
}

#[test]
fn an_answer_that_is_lost_in_process_is_marked() {
    let bench = Bench::new();
    let plan = bench.new_plan();
    let send = |action: Action| {
        rules(&bench, vec![FaultRule::new(action).times(1)]);
        let body = json!({ "planId": plan, "title": "x" });
        let request = Request::post("/v1.0/planner/tasks")
            .header("authorization", "Bearer emulator:rook@bos.example")
            .header("content-type", "application/json");
        bench.emulator.dispatch(request.body(body.to_string().into_bytes()).unwrap())
    };
    let answer = send(Action::DropBefore);
    assert!(answer.extensions().get::<DroppedAnswer>().is_some());
    assert!(titles(&bench, &plan).is_empty());
    let answer = send(Action::DropAfter);
    assert_eq!((answer.status().as_u16(), answer.body().len()), (502, 0));
    assert!(answer.extensions().get::<DroppedAnswer>().is_some());
    assert_eq!(titles(&bench, &plan).len(), 1);
    let answer = send(Action::Truncate);
    assert_eq!(answer.status(), 201);
    assert!(serde_json::from_slice::<Value>(answer.body()).is_err());
    assert!(!answer.body().is_empty());
    assert_eq!(titles(&bench, &plan).len(), 2);
}

/// Sends one request over a socket and returns all that comes back.
async fn talk(address: std::net::SocketAddr, method: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "{method} /v1.0/me HTTP/1.1\r\nHost: {address}\r\n\
         Authorization: Bearer emulator:rook@bos.example\r\n\r\n"
    );
    let talk = async {
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A connection that is reset has said all it will say.
        let _reset = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    };
    tokio::time::timeout(TIME_LIMIT, talk).await.expect("the connection is closed")
}

#[tokio::test]
async fn on_a_socket_the_connection_is_closed() {
    let bench = Bench::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(bench.emulator.clone().serve(listener, std::future::pending()));
    for action in [Action::DropBefore, Action::DropAfter] {
        rules(&bench, vec![FaultRule::new(action)]);
        assert_eq!(talk(address, "GET").await, "");
    }
    rules(&bench, vec![FaultRule::new(Action::Truncate)]);
    let answer = talk(address, "GET").await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let announced: usize = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .unwrap()
        .parse()
        .unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    assert_eq!(body.len(), announced / 2);
    server.abort();
}

#[test]
fn latency_delays_the_answer_and_not_the_change() {
    let bench = Bench::new();
    rules(&bench, vec![FaultRule::new(Action::LatencyMs(30)).times(2)]);
    let before = std::time::Instant::now();
    let _ = bench.get("/me");
    assert!(before.elapsed() >= Duration::from_millis(30));
    let body = json!({ "requests": [{ "id": "1", "method": "GET", "url": "/me" }] });
    let _ = bench.post("/$batch", &body).expect(200);
    assert_eq!(bench.emulator.faults()[0].matched, 3);
}

#[test]
fn somebody_else_is_faster_by_one_request() {
    let bench = Bench::new();
    let task = bench.new_task();
    let tag = bench.tag(&task);
    let edit = Edit { user: MEI.to_owned(), path: None, body: json!({ "title": "theirs" }) };
    rules(&bench, vec![FaultRule::new(Action::Edit(edit.clone())).on("PATCH", &task).nth(1)]);
    let _ = bench.patch(&task, &tag, &json!({ "title": "mine" })).error(409);
    assert_eq!(bench.get(&task)["title"], "theirs");

    // Elsewhere, and followed by a rule that decides.
    let other = bench.new_task();
    let elsewhere = Edit { path: Some(other.clone()), ..edit };
    let lost = FaultRule::new(status(503, None)).times(1);
    rules(&bench, vec![FaultRule::new(Action::Edit(elsewhere)).times(1), lost]);
    let _ = bench.send("GET", "/me", &[], None).error(503);
    assert_eq!(bench.get(&other)["title"], "theirs");
}

#[test]
fn parts_of_a_batch_fail_on_their_own_and_keep_their_connection() {
    let bench = Bench::new();
    rules(
        &bench,
        vec![
            FaultRule::new(Action::DropBefore).on("GET", "/v1.0/me"),
            FaultRule::new(status(429, Some("6"))).on("GET", "/v1.0/me").nth(2),
        ],
    );
    let part = |id: &str| json!({ "id": id, "method": "GET", "url": "/me" });
    let body = json!({ "requests": [part("a"), part("b"), part("c")] });
    let body = bench.post("/$batch", &body).expect(200);
    let statuses: Vec<&Value> =
        body["responses"].as_array().unwrap().iter().map(|it| &it["status"]).collect();
    assert_eq!(statuses, [200, 429, 200]);
    assert_eq!(body["responses"][1]["headers"]["Retry-After"], "6");
}

#[test]
fn writes_are_throttled_by_the_clock_and_reads_are_not() {
    let bench = Bench::new();
    let task = bench.new_task();
    bench.emulator.set_throttle(Some(Throttle { writes_per_s: 0.5, burst: Some(2) })).unwrap();
    for title in ["a", "b"] {
        let _ = bench.change(&task, &json!({ "title": title })).expect(200);
    }
    let answer = bench.change(&task, &json!({ "title": "c" }));
    assert_eq!(answer.header("retry-after"), "2");
    let _ = answer.error(429);
    // Whoever is not signed in is told that first, however busy the service is.
    let nobody = [("authorization", "Bearer emulator:nobody@bos.example")];
    let _ = bench.send("POST", "/planner/tasks", &nobody, Some(&json!({}))).error(401);
    assert_eq!(bench.get(&task)["title"], "b");
    bench.clock.advance(2);
    let _ = bench.change(&task, &json!({ "title": "c" })).expect(200);
    let answer = bench.control("GET", "throttle", None).expect(200);
    assert_eq!(answer, json!({ "writes_per_s": 0.5, "burst": 2 }));
    assert_eq!(bench.control("DELETE", "throttle", None).expect(200), Value::Null);
    for title in ["d", "e", "f"] {
        let _ = bench.change(&task, &json!({ "title": title })).expect(200);
    }
}

#[test]
fn rules_are_set_shown_and_cleared_over_http_without_signing_in() {
    let bench = Bench::new();
    let rule = json!({ "method": "GET", "path": "/me", "nth": 2,
                       "action": { "status": 503, "retry_after": "1.5" } });
    let _ = bench.control("POST", "faults", Some(&json!([rule]))).expect(200);
    let _ = bench.get("/me");
    let _ = bench.send("GET", "/me", &[], None).error(503);
    let _ = bench.get("/me");
    let shown = bench.control("GET", "faults", None).expect(200);
    let fields = ["method", "path", "nth", "action"];
    assert!(fields.iter().all(|name| shown[0][name] == rule[name]), "{shown}");
    assert_eq!((&shown[0]["matched"], &shown[0]["fired"]), (&json!(3), &json!(1)));
    assert_eq!(bench.control("DELETE", "faults", None).expect(200), json!([]));
}

#[test]
fn rules_that_make_no_sense_are_refused_and_change_nothing() {
    let bench = Bench::new();
    let good = json!([{ "action": { "latency_ms": 0 } }]);
    let _ = bench.control("POST", "faults", Some(&good)).expect(200);
    for bad in [
        json!({}),
        json!([{}]),
        json!([{ "action": {} }]),
        json!([{ "action": { "latency_ms": 1 }, "paht": "/me" }]),
        json!([{ "action": { "latency_ms": 1 }, "rate": 1.5 }]),
        json!([{ "action": { "latency_ms": 1 }, "nth": 0 }]),
        json!([{ "action": { "status": 429, "retry_after": "é" } }]),
        json!([{ "action": { "latency_ms": 86_400_000 } }]),
    ] {
        let (_, message) = bench.control("POST", "faults", Some(&bad)).error(400);
        assert!(!message.is_empty(), "{bad}");
    }
    assert_eq!(bench.emulator.faults().len(), 1);
    for (name, bad) in [
        ("throttle", json!({ "writes_per_s": 0 })),
        ("throttle", json!({ "writes_per_s": 1, "burst": 0 })),
        ("edits", json!({ "rate_per_s": 1, "user": "nobody", "plan": "A".repeat(28) })),
        ("edits", json!({ "rate_per_s": 0, "user": MEI, "plan": "A".repeat(28) })),
        ("edits", json!({ "rate_per_s": 1, "user": MEI, "plan": "x" })),
    ] {
        let _ = bench.control("POST", name, Some(&bad)).error(400);
    }
    let headers = [("content-type", "text/plain")];
    let _ = bench.send_at("POST", "/control/faults", &headers, Some(&good)).error(415);
    let _ = bench.control("PUT", "faults", None).error(405);
    let _ = bench.control("GET", "nothing", None).error(404);
}

#[test]
fn the_log_tells_what_was_sent_and_how_it_ended() {
    let bench = Bench::new();
    let task = bench.new_task();
    let tag = bench.tag(&task);
    let _ = bench.control("DELETE", "requests", None).expect(204);
    let edit = Edit { user: MEI.to_owned(), path: None, body: json!({ "priority": 1 }) };
    rules(
        &bench,
        vec![
            FaultRule::new(Action::Edit(edit)).on("PATCH", &task),
            FaultRule::new(Action::DropAfter).on("PATCH", &task),
        ],
    );
    let request = Request::patch(format!("/v1.0{task}"))
        .header("authorization", "Bearer emulator:rook@bos.example")
        .header("content-type", "application/json")
        .header("if-match", tag.clone());
    drop(bench.emulator.dispatch(request.body(br#"{"title":"x"}"#.to_vec()).unwrap()));
    let body = json!({ "requests": [{ "id": "1", "method": "GET", "url": "/me" }] });
    let _ = bench.post("/$batch", &body).expect(200);

    let log = bench.control("GET", "requests", None).expect(200);
    let row = |at: usize| (log[at]["by"].as_str().unwrap(), log[at]["status"].as_u64());
    let rows: Vec<_> = (0..log.as_array().unwrap().len()).map(row).collect();
    let expected =
        [("editor", Some(204)), ("client", None), ("batch", Some(200)), ("client", Some(200))];
    assert_eq!(rows, expected);
    assert_eq!(log[1]["path"], format!("/v1.0{task}"));
    assert_eq!((&log[1]["method"], &log[1]["if_match"]), (&json!("PATCH"), &json!(tag)));
    assert_eq!(log[1]["body"], json!({ "title": "x" }));
    assert_eq!(bench.emulator.requests()[2].by, Origin::Batch);
}

#[test]
fn somebody_edits_in_the_background_until_told_to_stop() {
    // Each change is reported by the observer: the test waits for changes and not for time.
    let (tell, told) = mpsc::channel();
    let bench = Bench::with(|options| {
        options.observer = Some(Arc::new(move |exchange: &Exchange| {
            if exchange.method == "PATCH" && exchange.status.is_some() {
                let _nobody_listens = tell.send(exchange.clone());
            }
        }));
    });
    let plan = bench.new_plan();
    for name in ["One", "Two"] {
        let body = json!({ "planId": plan, "name": name });
        let _ = bench.post("/planner/buckets", &body).expect(201);
    }
    for _ in 0..3 {
        bench.new_task_in(&plan, &json!({}));
    }
    let edits = json!({ "rate_per_s": 500, "user": MEI, "seed": 3, "plan": plan });
    let _ = bench.control("POST", "edits", Some(&edits)).expect(200);
    let seen: Vec<Exchange> = (0..12).map(|_| told.recv_timeout(TIME_LIMIT).unwrap()).collect();
    assert!(seen.iter().all(|it| it.status == Some(204)), "{seen:?}");
    let has = |name: &str| seen.iter().any(|it| it.body.as_ref().unwrap().get(name).is_some());
    assert!(has("title") && has("bucketId"), "{seen:?}");
    let state = bench.control("GET", "edits", None).expect(200);
    assert_eq!(state["running"]["seed"], 3);
    let state = bench.control("DELETE", "edits", None).expect(200);
    assert_eq!(state, json!({ "running": null }));
    // The editor's side of the channel goes with the emulator, and the editor does not keep it.
    drop(bench);
    while told.recv_timeout(TIME_LIMIT).is_ok() {}
}

#[test]
fn the_same_seed_makes_the_same_edits() {
    let run = || {
        let (tell, told) = mpsc::channel();
        let bench = Bench::with(|options| {
            options.observer = Some(Arc::new(move |exchange: &Exchange| {
                if exchange.method == "PATCH" && exchange.status.is_some() {
                    let _nobody_listens = tell.send(exchange.clone());
                }
            }));
        });
        let plans = bench.items("/me/planner/plans");
        let plan = plans.iter().find(|plan| plan["title"] == "BOS Operations").unwrap();
        let (user, plan) = (MEI.to_owned(), id_of(plan));
        bench.emulator.start_edits(Edits { rate_per_s: 1000.0, user, seed: 9, plan }).unwrap();
        let seen: Vec<Exchange> = (0..6).map(|_| told.recv_timeout(TIME_LIMIT).unwrap()).collect();
        bench.emulator.stop_edits();
        seen
    };
    assert_eq!(run(), run());
}
