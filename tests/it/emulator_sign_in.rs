//! Signing in: the OAuth endpoints, their tokens, and what those allow (planner-api.md 10, 11).

use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use planwright::emulator::{App, DeviceCodes};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::{Url, form_urlencoded};

use crate::emulator_support::{Answer, BOS, Bench, LEADERSHIP, MEI, MEI_ID, ROOK_ID, id_of};

const CLIENT: &str = "11111111-2222-4333-8444-555555555555";
const APP: &str = "0f9e8d7c-6b5a-4c3d-9e2f-1a0b9c8d7e6f";
const TENANT: &str = "/bos.example";
const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// Sends a form, or a query if there is no body.
fn visit(bench: &Bench, path: &str, form: Option<&[(&str, &str)]>) -> Answer {
    let mut request = Request::builder().uri(path).header("host", "127.0.0.1:4321");
    let mut body = String::new();
    if let Some(form) = form {
        body = form_urlencoded::Serializer::new(body).extend_pairs(form).finish();
        request =
            request.method("POST").header("content-type", "application/x-www-form-urlencoded");
    }
    let (parts, body) =
        bench.emulator.dispatch(request.body(body.into_bytes()).unwrap()).into_parts();
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
    Answer { status: parts.status.as_u16(), headers: parts.headers, body }
}

fn token(bench: &Bench, form: &[(&str, &str)]) -> Answer {
    visit(bench, &format!("{TENANT}/oauth2/v2.0/token"), Some(form))
}

/// The `error` and number of a refusal by the token endpoint.
#[track_caller]
fn refused(answer: Answer, status: u16) -> (String, u64) {
    let body = answer.expect(status);
    let error = body["error"].as_str().unwrap().to_owned();
    let code = body["error_codes"][0].as_u64().unwrap();
    let description = body["error_description"].as_str().unwrap();
    assert!(description.starts_with(&format!("AADSTS{code}: ")), "{description}");
    (error, code)
}

fn device_code(bench: &Bench, scope: &str) -> Value {
    let form = [("client_id", CLIENT), ("scope", scope)];
    visit(bench, &format!("{TENANT}/oauth2/v2.0/devicecode"), Some(&form)).expect(200)
}

fn poll(bench: &Bench, code: &Value) -> Answer {
    let code = code["device_code"].as_str().unwrap();
    token(bench, &[("grant_type", DEVICE_CODE), ("client_id", CLIENT), ("device_code", code)])
}

/// The address that authorization leads back to.
fn authorize(bench: &Bench, more: &[(&str, &str)]) -> Url {
    let mut form = vec![
        ("client_id", CLIENT),
        ("response_type", "code"),
        ("redirect_uri", "http://localhost:7000"),
        ("scope", "https://graph.microsoft.com/Tasks.ReadWrite offline_access openid"),
        ("state", "s&1"),
    ];
    form.retain(|(name, _)| !more.iter().any(|(other, _)| name == other));
    form.extend(more);
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let answer = visit(bench, &format!("{TENANT}/oauth2/v2.0/authorize?{query}"), None);
    assert_eq!(answer.status, 302, "{:#}", answer.body);
    Url::parse(answer.header("location")).unwrap()
}

fn query(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

fn redeem(bench: &Bench, code: &str, more: &[(&str, &str)]) -> Answer {
    let mut form = vec![
        ("grant_type", "authorization_code"),
        ("client_id", CLIENT),
        ("redirect_uri", "http://localhost:7000"),
        ("code", code),
    ];
    form.retain(|(name, _)| !more.iter().any(|(other, _)| name == other));
    form.extend(more);
    token(bench, &form)
}

fn claims(token: &Value) -> Value {
    let body = token.as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).unwrap()).unwrap()
}

/// Asks Graph with a token of an answer.
fn graph(bench: &Bench, tokens: &Value, method: &str, path: &str, body: Option<&Value>) -> Answer {
    let bearer = format!("Bearer {}", tokens["access_token"].as_str().unwrap());
    bench.send(method, path, &[("authorization", &bearer)], body)
}

/// Signs Mei in with scopes.
fn mei(bench: &Bench, scope: &str) -> Value {
    let back = authorize(bench, &[("login_hint", MEI), ("scope", scope)]);
    redeem(bench, &query(&back, "code").unwrap(), &[]).expect(200)
}

fn app(bench: &Bench) -> Value {
    token(
        bench,
        &[
            ("grant_type", "client_credentials"),
            ("client_id", APP),
            ("client_secret", "emulator-secret"),
            ("scope", "https://graph.microsoft.com/.default"),
        ],
    )
    .expect(200)
}

#[test]
fn a_device_code_is_pending_until_somebody_approves_it() {
    let bench = Bench::new();
    bench.emulator.set_device_codes(DeviceCodes::Manual);
    let code = device_code(&bench, "Tasks.ReadWrite User.Read offline_access openid");
    assert_eq!((&code["expires_in"], &code["interval"]), (&json!(900), &json!(5)));
    assert!(code.get("verification_uri_complete").is_none());
    let user_code = code["user_code"].as_str().unwrap();
    assert!(code["message"].as_str().unwrap().contains(user_code));
    let pending = ("authorization_pending".to_owned(), 70016);
    assert_eq!(refused(poll(&bench, &code), 400), pending);
    assert_eq!(refused(poll(&bench, &code), 400).0, "slow_down");
    // From now on the interval is ten seconds.
    bench.clock.advance(6);
    assert_eq!(refused(poll(&bench, &code), 400).0, "slow_down");
    bench.clock.advance(15);
    assert_eq!(refused(poll(&bench, &code), 400), pending);
    let shown = bench.control("GET", "devicecode", None).expect(200);
    assert_eq!(
        (&shown["automatic"], &shown["pending"][0]["user_code"]),
        (&json!(false), &json!(user_code))
    );
    let nobody = json!({ "user_code": user_code, "upn": "nobody@bos.example" });
    let _ = bench.control("POST", "devicecode/approve", Some(&nobody)).error(400);
    let body = json!({ "user_code": user_code.to_lowercase(), "upn": MEI });
    let _ = bench.control("POST", "devicecode/approve", Some(&body)).expect(204);
    let _ = bench.control("POST", "devicecode/approve", Some(&body)).error(400);
    let tokens = poll(&bench, &code).expect(200);
    assert_eq!(tokens["token_type"], "Bearer");
    assert_eq!(tokens["scope"], "Tasks.ReadWrite User.Read openid");
    assert_eq!(graph(&bench, &tokens, "GET", "/me", None).expect(200)["id"], MEI_ID);
    assert_eq!(refused(poll(&bench, &code), 400).0, "bad_verification_code");
}

#[test]
fn a_device_code_can_be_declined_expire_and_approve_itself() {
    let bench = Bench::new();
    let automatic = device_code(&bench, "User.Read");
    let tokens = poll(&bench, &automatic).expect(200);
    assert_eq!(graph(&bench, &tokens, "GET", "/me", None).expect(200)["id"], ROOK_ID);
    // Microsoft's libraries name the grant so.
    let again = device_code(&bench, "User.Read");
    let code = again["device_code"].as_str().unwrap();
    let form = [("grant_type", "device_code"), ("client_id", CLIENT), ("device_code", code)];
    let _ = token(&bench, &form).expect(200);
    assert!(tokens.get("refresh_token").is_none() && tokens.get("id_token").is_none());

    let _ = bench.control("POST", "devicecode", Some(&json!({ "automatic": false }))).expect(200);
    let declined = device_code(&bench, "User.Read");
    let body = json!({ "user_code": declined["user_code"] });
    let _ = bench.control("POST", "devicecode/decline", Some(&body)).expect(204);
    assert_eq!(refused(poll(&bench, &declined), 400).0, "authorization_declined");

    let late = device_code(&bench, "User.Read");
    bench.clock.advance(900);
    assert_eq!(refused(poll(&bench, &late), 400), ("expired_token".to_owned(), 70020));
    let body = late["user_code"].as_str().unwrap();
    assert!(!bench.emulator.approve_device_code(body, MEI).unwrap());
    let unknown = json!({ "device_code": "x" });
    assert_eq!(refused(poll(&bench, &unknown), 400).0, "bad_verification_code");
}

#[test]
fn an_authorization_code_is_redeemed_once_by_whoever_has_the_verifier() {
    let bench = Bench::new();
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
    assert_eq!(challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    let pkce = [
        ("login_hint", MEI),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
        ("nonce", "n1"),
    ];
    let back = authorize(&bench, &pkce);
    assert_eq!(back.path(), "/");
    assert_eq!(query(&back, "state").unwrap(), "s&1");
    let code = query(&back, "code").unwrap();
    let missing = ("invalid_request".to_owned(), 900_144);
    assert_eq!(refused(redeem(&bench, &code, &[]), 400), missing);
    let wrong = VERIFIER.replace('d', "e");
    let with = |verifier: &str| redeem(&bench, &code, &[("code_verifier", verifier)]);
    assert_eq!(refused(with(&wrong), 400).0, "invalid_grant");
    let elsewhere = [("code_verifier", VERIFIER), ("redirect_uri", "http://localhost:7001")];
    assert_eq!(refused(redeem(&bench, &code, &elsewhere), 400).1, 50011);
    let other = [("code_verifier", VERIFIER), ("client_id", "another")];
    assert_eq!(refused(redeem(&bench, &code, &other), 400).0, "invalid_grant");
    let tokens = with(VERIFIER).expect(200);
    assert_eq!(refused(with(VERIFIER), 400), ("invalid_grant".to_owned(), 54005));

    let access = claims(&tokens["access_token"]);
    assert_eq!((&access["oid"], &access["upn"]), (&json!(MEI_ID), &json!(MEI)));
    assert_eq!(
        (&access["scp"], &access["name"]),
        (&json!("Tasks.ReadWrite"), &json!("Mei Tanaka"))
    );
    assert_eq!(
        (&access["appid"], &access["aud"]),
        (&json!(CLIENT), &json!("https://graph.microsoft.com"))
    );
    let identity = claims(&tokens["id_token"]);
    assert_eq!((&identity["aud"], &identity["nonce"]), (&json!(CLIENT), &json!("n1")));

    let plan = json!({ "title": "x", "container": { "containerId": BOS, "type": "group" } });
    let plan = graph(&bench, &tokens, "POST", "/planner/plans", Some(&plan)).expect(201);
    assert_eq!(plan["createdBy"]["application"]["id"], CLIENT);
    assert_eq!(plan["createdBy"]["user"]["id"], MEI_ID);

    let late = query(&authorize(&bench, &[]), "code").unwrap();
    bench.clock.advance(600);
    assert_eq!(refused(redeem(&bench, &late, &[]), 400), ("invalid_grant".to_owned(), 70008));
}

#[test]
fn authorization_that_fails_leads_back_with_the_reason() {
    let bench = Bench::new();
    for (more, error) in [
        (("login_hint", "nobody@bos.example"), "login_required"),
        (("response_type", "token"), "unsupported_response_type"),
        (("scope", "https://vault.example/user_impersonation"), "invalid_scope"),
        (("scope", "https://graph.microsoft.com/.default Tasks.Read"), "invalid_scope"),
        (("code_challenge", "x"), "invalid_request"),
        (("response_mode", "form_post"), "invalid_request"),
    ] {
        let back = authorize(&bench, &[more]);
        assert_eq!(query(&back, "error").as_deref(), Some(error), "{more:?}");
        assert_eq!(query(&back, "state").unwrap(), "s&1");
        assert_eq!(query(&back, "code"), None);
    }
    let back = authorize(&bench, &[("response_mode", "fragment")]);
    assert!(back.fragment().unwrap().starts_with("code="), "{back}");
    for redirect in ["http://evil.example/", "nowhere", "javascript:alert(1)"] {
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("client_id", CLIENT), ("redirect_uri", redirect)])
            .finish();
        let answer = visit(&bench, &format!("{TENANT}/oauth2/v2.0/authorize?{query}"), None);
        assert_eq!(refused(answer, 400).1, 50011, "{redirect}");
    }
}

#[test]
fn refreshing_gives_a_new_refresh_token_and_leaves_the_old_one() {
    let bench = Bench::new();
    let tokens = mei(&bench, "Tasks.Read User.Read offline_access");
    let old = tokens["refresh_token"].as_str().unwrap();
    let refresh = |code: &str, more: &[(&str, &str)]| {
        let mut form =
            vec![("grant_type", "refresh_token"), ("client_id", CLIENT), ("refresh_token", code)];
        form.extend(more);
        token(&bench, &form)
    };
    bench.clock.advance(5000);
    let _ = graph(&bench, &tokens, "GET", "/me", None).error(401);
    let fresh = refresh(old, &[]).expect(200);
    assert_ne!(fresh["refresh_token"], tokens["refresh_token"]);
    assert_eq!(fresh["scope"], "Tasks.Read User.Read");
    let _ = graph(&bench, &fresh, "GET", "/me", None).expect(200);
    // What was consented to stays, whatever part of it is asked for, in the form that is asked for.
    let less = refresh(old, &[("scope", "https://graph.microsoft.com/User.Read")]).expect(200);
    let both = "https://graph.microsoft.com/Tasks.Read https://graph.microsoft.com/User.Read";
    assert_eq!(less["scope"], both);
    let _ = graph(&bench, &less, "GET", "/me/planner/tasks", None).expect(200);
    let openid = refresh(old, &[("scope", "openid profile offline_access")]).expect(200);
    assert!(openid["refresh_token"].is_string());
    let all = refresh(old, &[("scope", "https://graph.microsoft.com/.default")]).expect(200);
    assert_eq!(all["scope"], format!("{both} https://graph.microsoft.com/.default"));
    let more = refresh(old, &[("scope", "Tasks.ReadWrite")]);
    assert_eq!(refused(more, 400), ("invalid_grant".to_owned(), 65001));
    assert_eq!(refused(refresh("x", &[]), 400).0, "invalid_grant");
    bench.clock.advance(91 * 24 * 3600);
    assert_eq!(refused(refresh(old, &[]), 400).0, "invalid_grant");
}

#[test]
fn an_application_signs_in_with_its_secret() {
    let bench = Bench::new();
    let form = |client: &str, secret: Option<&str>, scope: &str| {
        let mut form =
            vec![("grant_type", "client_credentials"), ("client_id", client), ("scope", scope)];
        form.extend(secret.map(|secret| ("client_secret", secret)));
        token(&bench, &form)
    };
    let all = "https://graph.microsoft.com/.default";
    let tokens = form(APP, Some("emulator-secret"), all).expect(200);
    assert_eq!(tokens["expires_in"], 3599);
    assert!(tokens.get("refresh_token").is_none());
    let access = claims(&tokens["access_token"]);
    assert_eq!(access["roles"][0], "Tasks.ReadWrite.All");
    assert!(access.get("scp").is_none() && access.get("upn").is_none());
    assert_eq!(access["oid"], access["sub"]);
    assert_ne!(access["oid"], APP);
    assert_eq!(
        refused(form(APP, Some("wrong"), all), 401),
        ("invalid_client".to_owned(), 7_000_215)
    );
    assert_eq!(refused(form(APP, None, all), 401), ("invalid_client".to_owned(), 7_000_218));
    assert_eq!(refused(form(CLIENT, Some("x"), all), 401).1, 700_025);
    assert_eq!(refused(form(CLIENT, None, all), 400).0, "unauthorized_client");
    let scope = form(APP, Some("emulator-secret"), "Tasks.ReadWrite");
    assert_eq!(refused(scope, 400).0, "invalid_scope");
    let common = visit(
        &bench,
        "/organizations/oauth2/v2.0/token",
        Some(&[
            ("grant_type", "client_credentials"),
            ("client_id", APP),
            ("client_secret", "emulator-secret"),
            ("scope", all),
        ]),
    );
    assert_eq!(refused(common, 400).0, "invalid_request");
}

#[test]
fn an_application_has_no_me_and_needs_no_membership() {
    let bench = Bench::new();
    let app = app(&bench);
    let get = |path: &str| graph(&bench, &app, "GET", path, None);
    for path in ["/me", "/me/memberOf", "/me/planner/tasks", "/me/planner/plans"] {
        let (code, message) = get(path).error(400);
        assert_eq!(code, "BadRequest");
        assert_eq!(message, "/me request is only valid with delegated authentication flow.");
    }
    let _ = get(&format!("/users/{MEI}/planner/plans")).error(403);
    let tasks = get(&format!("/users/{MEI}/planner/tasks")).expect(200);
    assert!(!tasks["value"].as_array().unwrap().is_empty());
    let _ = get(&format!("/users/{MEI}")).expect(200);
    let plans = get(&format!("/groups/{LEADERSHIP}/planner/plans")).expect(200);
    let _ = get(&format!("/planner/plans/{}", id_of(&plans["value"][0]))).expect(200);

    let body = json!({ "title": "x", "container": { "containerId": LEADERSHIP, "type": "group" } });
    let plan = graph(&bench, &app, "POST", "/planner/plans", Some(&body)).expect(201);
    assert_eq!(plan["createdBy"]["application"]["id"], APP);
    assert!(plan["createdBy"].get("user").is_none());
    let details = get(&format!("/planner/plans/{}/details", id_of(&plan))).expect(200);
    assert_eq!(details["sharedWith"], json!({}));
    let assignment =
        json!({ "@odata.type": "#microsoft.graph.plannerAssignment", "orderHint": " !" });
    let body = json!({ "planId": plan["id"], "title": "t", "assignments": { MEI_ID: assignment } });
    let task = graph(&bench, &app, "POST", "/planner/tasks", Some(&body)).expect(201);
    let by = &task["assignments"][MEI_ID]["assignedBy"];
    assert_eq!((&by["application"]["id"], by.get("user")), (&json!(APP), None));
    let body = json!({ "planId": plan["id"], "title": "t", "assignments": { "me": assignment } });
    let _ = graph(&bench, &app, "POST", "/planner/tasks", Some(&body)).error(400);
    let body = json!({ "planId": "A".repeat(28), "title": "t" });
    let _ = graph(&bench, &app, "POST", "/planner/tasks", Some(&body)).error(403);
}

#[test]
fn a_token_allows_what_its_scopes_say() {
    let try_all = |scope: &str| -> Vec<u16> {
        // Each in a tenant of its own: what was consented to before would stay.
        let bench = Bench::new();
        let task = bench.new_task();
        let tag = bench.tag(&task);
        let tokens = mei(&bench, scope);
        let bearer = format!("Bearer {}", tokens["access_token"].as_str().unwrap());
        let get = |path: &str| graph(&bench, &tokens, "GET", path, None).status;
        let headers = [("authorization", bearer.as_str()), ("if-match", &tag)];
        let body = json!({ "title": "Task" });
        vec![
            get("/me"),
            get(&format!("/users/{ROOK_ID}")),
            get("/groups"),
            get(&task),
            bench.send("PATCH", &task, &headers, Some(&body)).status,
        ]
    };
    for (scope, expected) in [
        ("User.Read", [200, 403, 403, 403, 403]),
        ("User.ReadBasic.All", [200, 200, 403, 403, 403]),
        ("GroupMember.Read.All", [403, 403, 200, 403, 403]),
        ("Tasks.Read", [403, 403, 403, 200, 403]),
        ("Tasks.ReadWrite", [403, 403, 403, 200, 204]),
        ("Group.Read.All", [403, 403, 200, 200, 403]),
        ("Group.ReadWrite.All", [403, 403, 200, 200, 204]),
        ("https://graph.microsoft.com/.default", [200, 200, 200, 200, 204]),
    ] {
        assert_eq!(try_all(scope), expected, "{scope}");
    }
    let bench = Bench::new();
    let task = bench.new_task();
    let reader = mei(&bench, "Tasks.Read");
    let (code, message) = graph(&bench, &reader, "GET", "/me", None).error(403);
    assert_eq!(code, "Authorization_RequestDenied");
    assert_eq!(message, "Insufficient privileges to complete the operation.");
    let body = json!({ "planId": "x", "title": "t" });
    let (code, message) = graph(&bench, &reader, "POST", "/planner/tasks", Some(&body)).error(403);
    assert_eq!(code, "");
    assert_eq!(message, "You do not have the required permissions to access this item.");
    let batch = json!({ "requests": [
        { "id": "1", "method": "GET", "url": "/me" },
        { "id": "2", "method": "GET", "url": task },
    ] });
    let body = graph(&bench, &reader, "POST", "/$batch", Some(&batch)).expect(200);
    let statuses = [&body["responses"][0]["status"], &body["responses"][1]["status"]];
    assert_eq!(statuses, [&json!(200), &json!(403)]);
}

#[test]
fn an_application_makes_no_plan_in_a_group_that_does_not_exist() {
    let bench = Bench::new();
    let app = app(&bench);
    let url = "https://graph.microsoft.com/v1.0/groups/00000000-0000-4000-8000-000000000000";
    let body = json!({ "container": { "url": url }, "title": "Nowhere" });
    let _ = graph(&bench, &app, "POST", "/planner/plans", Some(&body)).error(403);
}

#[test]
fn an_application_allows_what_its_roles_say() {
    let bench = Bench::with(|options| {
        options.sign_in.apps = vec![App {
            client_id: APP.to_owned(),
            secret: "emulator-secret".to_owned(),
            roles: vec!["Tasks.Read.All".to_owned()],
        }];
    });
    let app = app(&bench);
    let tasks = format!("/users/{MEI}/planner/tasks");
    let _ = graph(&bench, &app, "GET", &tasks, None).expect(200);
    let body = json!({ "planId": "x", "title": "t" });
    let _ = graph(&bench, &app, "POST", "/planner/tasks", Some(&body)).error(403);
    let _ = graph(&bench, &app, "GET", "/users", None).error(403);
}

#[test]
fn tokens_that_are_expired_foreign_or_broken_are_refused_with_the_reason() {
    let bench = Bench::new();
    let good = claims(&mei(&bench, "User.Read")["access_token"]);
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let unsigned = encode(r#"{"typ":"JWT","alg":"none"}"#);
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        format!("{unsigned}.{}.", encode(&claims.to_string()))
    };
    let signed =
        format!("{}.{}.c2ln", encode(r#"{"typ":"JWT","alg":"RS256"}"#), encode(&good.to_string()));
    let broken = "CompactToken parsing failed with error code: 80049217";
    let now = good["iat"].as_i64().unwrap();
    for (token, expected) in [
        (with("exp", json!(now)), "Lifetime validation failed, the token is expired."),
        (with("exp", json!("x")), "Lifetime validation failed, the token is expired."),
        (with("nbf", json!(now + 1)), "Access token has expired or is not yet valid."),
        (
            with("aud", json!("https://outlook.example")),
            "Access token validation failure. Invalid audience.",
        ),
        (with("oid", json!("a2d91b34-0c6e-4f17-8e25-000000000000")), broken),
        (with("scp", Value::Null), broken),
        (signed, broken),
        (format!("{unsigned}.e30"), broken),
        (format!("{unsigned}.!."), broken),
        ("....".to_owned(), broken),
        ("é".to_owned(), "Access token is empty."),
    ] {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str())];
        let answer = bench.send("GET", "/me", &headers, None);
        assert!(answer.header("www-authenticate").starts_with("Bearer "));
        assert_eq!(
            answer.error(401),
            ("InvalidAuthenticationToken".to_owned(), expected.to_owned())
        );
    }
    let bearer = format!("Bearer {}", with("aud", json!("http://127.0.0.1:4321")));
    let _ = bench.send("GET", "/me", &[("authorization", &bearer)], None).expect(200);
}

#[test]
fn the_endpoints_describe_themselves_and_refuse_what_makes_no_sense() {
    let bench = Bench::new();
    let path = "/organizations/v2.0/.well-known/openid-configuration";
    let metadata = visit(&bench, path, None).expect(200);
    let tenant = "5d0f3c52-8a1e-4f0b-9a77-2c9f1b7d4e10";
    let base = format!("http://127.0.0.1:4321/{tenant}/oauth2/v2.0");
    assert_eq!(metadata["issuer"], format!("http://127.0.0.1:4321/{tenant}/v2.0"));
    for other in ["common", "bos.example", tenant] {
        let path = format!("/{other}/v2.0/.well-known/openid-configuration");
        assert_eq!(visit(&bench, &path, None).expect(200), metadata);
    }
    assert_eq!(metadata["token_endpoint"], format!("{base}/token"));
    assert_eq!(metadata["device_authorization_endpoint"], format!("{base}/devicecode"));
    assert_eq!(metadata["authorization_endpoint"], format!("{base}/authorize"));
    let _ = visit(&bench, "/organizations/discovery/v2.0/keys", None).expect(200);

    assert_eq!(refused(token(&bench, &[]), 400).1, 900_144);
    let form = [("grant_type", "password"), ("client_id", CLIENT)];
    assert_eq!(refused(token(&bench, &form), 400).0, "unsupported_grant_type");
    let assertion =
        [("grant_type", "client_credentials"), ("client_id", APP), ("client_assertion", "x")];
    assert_eq!(refused(token(&bench, &assertion), 401).0, "invalid_client");
    for (tenant, code) in [("consumers", 9_002_346), ("nobody", 90002)] {
        let path = format!("/{tenant}/oauth2/v2.0/token");
        assert_eq!(refused(visit(&bench, &path, Some(&form)), 400).1, code);
    }
    let path = format!("{TENANT}/oauth2/v2.0/token");
    let _ = visit(&bench, &path, None).error(405);
    let headers = [("content-type", "application/json")];
    let json = bench.send_at("POST", &path, &headers, Some(&json!({ "grant_type": "x" })));
    assert_eq!(refused(json, 400).0, "invalid_request");
}

#[test]
fn any_scope_of_graph_is_granted_and_stays_granted() {
    let bench = Bench::new();
    let tokens = mei(&bench, "Mail.Read tasks.read openid offline_access");
    assert_eq!(tokens["scope"], "Mail.Read Tasks.Read openid");
    assert_eq!(claims(&tokens["access_token"])["scp"], "Mail.Read Tasks.Read");
    let _ = graph(&bench, &tokens, "GET", "/me/planner/tasks", None).expect(200);
    let _ = graph(&bench, &tokens, "GET", "/me", None).error(403);
    let more = mei(&bench, "https://graph.microsoft.com/User.Read profile");
    let addresses = ["Mail.Read", "Tasks.Read", "User.Read"]
        .map(|name| format!("https://graph.microsoft.com/{name}"));
    assert_eq!(more["scope"], format!("{} profile", addresses.join(" ")));
    let _ = graph(&bench, &more, "GET", "/me", None).expect(200);
    let _ = graph(&bench, &more, "GET", "/me/planner/tasks", None).expect(200);
    // The token that was issued before allows what it allowed.
    let _ = graph(&bench, &tokens, "GET", "/me", None).error(403);
    // Another user of the same client has consented to nothing.
    let code = device_code(&bench, "Chat.Read");
    assert_eq!(poll(&bench, &code).expect(200)["scope"], "Chat.Read");
}

#[test]
fn libraries_learn_which_host_is_an_authority_and_who_signed_in() {
    let bench = Bench::new();
    let ask = |endpoint: &str| {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("api-version", "1.1")
            .append_pair("authorization_endpoint", endpoint)
            .finish();
        visit(&bench, &format!("/common/discovery/instance?{query}"), None)
    };
    let found = ask("http://127.0.0.1:4321/bos.example/oauth2/v2.0/authorize").expect(200);
    let discovery = "http://127.0.0.1:4321/bos.example/v2.0/.well-known/openid-configuration";
    assert_eq!(found["tenant_discovery_endpoint"], discovery);
    assert_eq!(found["metadata"][0]["aliases"], json!(["127.0.0.1:4321"]));
    let stranger = ask("https://login.evil.example/common/oauth2/v2.0/authorize");
    assert_eq!(refused(stranger, 400), ("invalid_instance".to_owned(), 50049));
    assert_eq!(refused(ask(""), 400).0, "invalid_request");

    let back = authorize(&bench, &[("login_hint", MEI), ("client_info", "1")]);
    let tokens = redeem(&bench, &query(&back, "code").unwrap(), &[("client_info", "1")]);
    let info = tokens.expect(200)["client_info"].as_str().unwrap().to_owned();
    assert_eq!(query(&back, "client_info").as_deref(), Some(info.as_str()));
    let info: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(info).unwrap()).unwrap();
    let tenant = "5d0f3c52-8a1e-4f0b-9a77-2c9f1b7d4e10";
    assert_eq!(info, json!({ "uid": MEI_ID, "utid": tenant }));
    assert!(mei(&bench, "User.Read").get("client_info").is_none());
}
