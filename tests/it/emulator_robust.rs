//! No input makes the emulator panic or fail: the beta, signing in, seeds, the control API.

use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop};
use serde_json::{Value, json};

use crate::emulator_support::{Bench, ROOK_ID};

/// Any arrangement of some words.
fn arbitrary(words: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let word = prop::sample::select(words);
    let leaf = proptest::prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..40).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 6, move |inner| {
        let members = prop::collection::vec((word.clone(), inner.clone()), 0..6);
        proptest::prop_oneof![
            prop::collection::vec(inner, 0..3).prop_map(Value::from),
            members.prop_map(|members| {
                Value::Object(members.into_iter().map(|(name, it)| (name.to_owned(), it)).collect())
            }),
        ]
    })
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..Default::default() }
}

#[test]
fn no_request_to_the_beta_makes_it_fail() {
    let bench = Bench::new();
    let plan = bench.new_plan();
    let task = bench.new_task_in(&plan, &json!({}));
    let roster = bench.send_at("POST", "/beta/planner/rosters", &[], Some(&json!({})));
    let roster = format!("/planner/rosters/{}", roster.expect(201)["id"].as_str().unwrap());
    let paths: Vec<String> = [
        task.clone(),
        "/planner/plans".to_owned(),
        "/planner/tasks".to_owned(),
        "/planner/tasks/delta".to_owned(),
        "/me/planner/all/delta".to_owned(),
        "/me/planner/rosterPlans".to_owned(),
        format!("/planner/plans/{plan}/archive"),
        format!("/planner/plans/{plan}/unarchive"),
        roster.clone(),
        format!("{roster}/members"),
        format!("{roster}/members/{ROOK_ID}"),
    ]
    .into();
    let words = &[
        "title",
        "planId",
        "recurrence",
        "schedule",
        "pattern",
        "type",
        "interval",
        "weekly",
        "daily",
        "relativeYearly",
        "daysOfWeek",
        "monday",
        "dayOfMonth",
        "month",
        "index",
        "last",
        "patternStartDateTime",
        "2026-03-02T10:00:00Z",
        "9999-12-31T10:00:00Z",
        "dueDateTime",
        "percentComplete",
        "justification",
        "container",
        "containerId",
        "roster",
        "url",
        "userId",
        "-000001-01-01T00:00:00Z",
        "",
        ROOK_ID,
    ];
    let methods = prop::sample::select(vec!["GET", "POST", "PATCH"]);
    let tokens = "(\\?\\$(deltatoken|skiptoken|select)=[a-zA-Z0-9-]{0,12})?";
    proptest::proptest!(cases(400), |(
        method in methods,
        path in prop::sample::select(paths),
        query in tokens,
        body in arbitrary(words),
    )| {
        let tag = bench.tag(&task);
        let path = format!("/beta{path}{query}");
        let answer = bench.send_at(method, &path, &[("if-match", &tag)], Some(&body));
        proptest::prop_assert!(answer.status < 500, "{} {path} {body}: {}", method, answer.body);
    });
}

#[test]
fn no_pattern_of_recurrence_makes_it_fail() {
    let bench = Bench::new();
    let task = bench.new_task();
    let kinds = prop::sample::select(vec![
        "daily",
        "weekly",
        "absoluteMonthly",
        "relativeMonthly",
        "absoluteYearly",
        "relativeYearly",
    ]);
    let years = prop::sample::select(vec!["0001", "2026", "9999"]);
    proptest::proptest!(cases(60), |(
        kind in kinds,
        interval in 0_i64..101,
        day in 0_i64..33,
        month in 0_i64..14,
        start in years.clone(),
        due in years,
    )| {
        let pattern = json!({ "type": kind, "interval": interval, "dayOfMonth": day,
            "month": month, "daysOfWeek": ["sunday"], "index": "last" });
        let start = format!("{start}-12-31T23:59:59Z");
        let body = json!({ "dueDateTime": format!("{due}-12-31T23:59:59Z"),
            "percentComplete": day * 100 / 32,
            "recurrence": { "schedule": { "pattern": pattern, "patternStartDateTime": start } } });
        let path = format!("/beta{task}");
        let tag = bench.tag(&task);
        let answer = bench.send_at("PATCH", &path, &[("if-match", &tag)], Some(&body));
        proptest::prop_assert!([204, 400].contains(&answer.status), "{body}: {}", answer.body);
    });
}

#[test]
fn no_form_and_no_token_makes_it_fail() {
    let bench = Bench::new();
    let words = vec![
        "client_id",
        "scope",
        "grant_type",
        "device_code",
        "authorization_code",
        "refresh_token",
        "client_credentials",
        "code",
        "redirect_uri",
        "http://localhost",
        "Tasks.Read",
        "offline_access",
        "code_verifier",
        "code_challenge",
        "response_type",
        "login_hint",
        "urn:ietf:params:oauth:grant-type:device_code",
        "client_secret",
        "x",
        "",
        "https://graph.microsoft.com/.default",
        "openid",
        "http://localhost:99999/",
    ];
    let word = prop::sample::select(words);
    let form = prop::collection::vec((word.clone(), word), 0..8);
    let endpoints = prop::sample::select(vec!["devicecode", "authorize", "token"]);
    let claims = arbitrary(&[
        "aud",
        "https://graph.microsoft.com",
        "exp",
        "nbf",
        "oid",
        "scp",
        "roles",
        "upn",
        "appid",
        ROOK_ID,
        "Tasks.Read",
    ]);
    proptest::proptest!(cases(400), |(endpoint in endpoints, form in form, claims in claims)| {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = Request::post(format!("/common/oauth2/v2.0/{endpoint}"))
            .header("host", "h")
            .header("content-type", "application/x-www-form-urlencoded");
        let answer = bench.emulator.dispatch(request.body(body.clone().into_bytes()).unwrap());
        proptest::prop_assert!(answer.status().as_u16() < 500, "{endpoint} {body}");
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let token = format!("{}.{}.", encode(r#"{"alg":"none"}"#), encode(&claims.to_string()));
        let bearer = format!("Bearer {token}");
        let answer = bench.send("GET", "/me", &[("authorization", &bearer)], None);
        proptest::prop_assert!(answer.status < 500, "{claims}");
    });
}

#[test]
fn no_seed_makes_it_panic() {
    let bench = Bench::new();
    let seeds = arbitrary(&[
        "users",
        "groups",
        "plans",
        "upn",
        "a@b",
        "name",
        "members",
        "title",
        "group",
        "BOS",
        "tasks",
        "labels",
        "due",
        "+3d",
        "buckets",
        "checklist",
        "references",
        "url",
        "created",
        "-99999d",
        "completed",
        "id",
        "",
    ]);
    proptest::proptest!(cases(400), |(seed in seeds)| {
        drop(bench.emulator.seed(&seed.to_string()));
    });
}

#[test]
fn no_request_to_the_control_api_makes_it_fail() {
    let bench = Bench::new();
    let names = prop::sample::select(vec![
        "faults",
        "requests",
        "throttle",
        "edits",
        "lag",
        "devicecode",
        "devicecode/approve",
        "devicecode/decline",
        "x",
        "",
    ]);
    let methods = prop::sample::select(vec!["GET", "POST", "DELETE", "PUT"]);
    let bodies = arbitrary(&[
        "action",
        "latency_ms",
        "status",
        "rate",
        "nth",
        "times",
        "seed",
        "edit",
        "user",
        "path",
        "body",
        "plan",
        "rate_per_s",
        "writes_per_s",
        "burst",
        "create_ms",
        "automatic",
        "user_code",
        "upn",
        "rook@bos.example",
        "retry_after",
    ]);
    proptest::proptest!(cases(400), |(method in methods, name in names, body in bodies)| {
        let answer = bench.control(method, name, Some(&body));
        proptest::prop_assert!(answer.status < 500, "{method} {name} {body}: {}", answer.body);
    });
}
