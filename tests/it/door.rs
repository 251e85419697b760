//! The door of `planwright serve`: TLS, and what a service manager hears.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::serve::{Server, token};
use crate::support::{Place, Planner, between_looks};

/// A certificate with its key, as files of a place.
fn certificate(place: &Place, cert: &str, key: &str) -> reqwest::Certificate {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    place.file(cert, &made.cert.pem()).file(key, &made.signing_key.serialize_pem());
    reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).unwrap()
}

fn trusting(authority: reqwest::Certificate) -> reqwest::Client {
    let redirect = reqwest::redirect::Policy::none();
    let client = reqwest::Client::builder().no_proxy().redirect(redirect);
    client.tls_certs_only([authority]).build().unwrap()
}

#[test]
fn who_trusts_the_certificate_gets_in_and_nobody_without_tls() {
    let place = Place::embedded();
    let own = trusting(certificate(&place, "cert.pem", "key.pem"));
    let stranger = trusting(certificate(&place, "other.pem", "other-key.pem"));
    let admin = token(&place, "ana", "admin");
    let files = ["--tls-cert", "cert.pem", "--tls-key", "key.pem"];
    let server = Server::start_at(&place, &[&["--addr", "127.0.0.1:0"], &files[..]].concat(), &[]);
    let url = format!("https://{}", server.host());
    assert_eq!(server.url(), url);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let health = own.get(format!("{url}/healthz")).send().await.unwrap();
        assert_eq!(health.status(), 200);
        assert!(health.headers().contains_key("strict-transport-security"));
        let runs = own.get(format!("{url}/api/v1/runs")).header("authorization", &admin);
        assert_eq!(runs.send().await.unwrap().status(), 200);
        let named = url.replace("127.0.0.1", "localhost");
        assert_eq!(own.get(format!("{named}/healthz")).send().await.unwrap().status(), 200);
        let inside = own.get(format!("{url}{}", server.link())).send().await.unwrap();
        let cookie = inside.headers()["set-cookie"].to_str().unwrap();
        assert!(
            cookie.starts_with("__Host-planwright=") && cookie.contains("; Secure"),
            "{cookie}"
        );
        assert!(stranger.get(format!("{url}/healthz")).send().await.is_err());
    });
    // Whoever speaks plain HTTP gets no answer in it.
    let mut plain = TcpStream::connect(server.host()).unwrap();
    plain.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let asked = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", server.host());
    plain.write_all(asked.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _reset = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&answer));
    drop(server);

    let start = |more: &[&str]| place.run(&[&["serve"], more].concat());
    for addr in ["0.0.0.0:0", "[::]:0"] {
        start(&["--addr", addr])
            .code(2)
            .says(&["can be reached from other machines", "--tls-cert"]);
    }
    start(&["--addr", "127.0.0.1:0", "--tls-cert", "cert.pem"]).code(2);
    let other = ["--addr", "127.0.0.1:0", "--tls-cert", "cert.pem", "--tls-key", "other-key.pem"];
    start(&other).code(1).says(&["is not the certificate of the key"]);
    let none = ["--addr", "127.0.0.1:0", "--tls-cert", "key.pem", "--tls-key", "key.pem"];
    assert_ne!(start(&none).code, 0);
    // Behind a proxy it is told so.
    let proxied = ["--addr", "127.0.0.1:0", "--behind-proxy", "--name", "plans.example.org"];
    let server = Server::start_at(&place, &proxied, &[]);
    assert_eq!(server.url(), "https://plans.example.org");
}

#[test]
fn it_is_ready_while_its_journal_configuration_and_service_are() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", "beta = false\n");
    let server = Server::start(&place);
    let ready = || server.ask("GET", "/readyz", &[], "");
    assert_eq!(ready().is(200).text(), "ready\n");
    // It was asked a moment ago, and is not asked each time.
    planner.requests();
    ready().is(200);
    assert_eq!(planner.requests(), Vec::<String>::new());
    place.file("planwright.toml", "beta = maybe\n");
    let until = Instant::now() + Duration::from_secs(60);
    let unready = loop {
        assert!(Instant::now() < until, "the wrong configuration is not seen");
        let answer = ready();
        if answer.text() != "ready\n" {
            break answer.is(503);
        }
        between_looks();
    };
    assert_eq!(unready.text(), "the configuration is wrong\n");
    place.file("planwright.toml", "beta = false\n");
    let until = Instant::now() + Duration::from_secs(60);
    while ready().text() != "ready\n" {
        assert!(Instant::now() < until, "the configuration is whole again, and that is not seen");
        between_looks();
    }
}

/// What looks at a link before a person does asks for its head.
#[test]
fn a_look_at_the_head_does_not_use_up_the_link() {
    let place = Place::embedded();
    let server = Server::start(&place);
    for _ in 0..2 {
        let seen = server.ask("HEAD", server.link(), &[], "").is(200);
        assert_eq!((seen.head("set-cookie"), seen.text()), ("", ""));
    }
    server.sign_in();
    server.ask("GET", server.link(), &[], "").is(401);
}

#[test]
fn a_new_token_opens_at_once_and_its_scheme_is_told_in_any_case() {
    let place = Place::embedded();
    let ana = token(&place, "ana", "admin");
    let server = Server::start(&place);
    server.get(&ana, "/api/v1/skills").is(200);
    // The list of tokens was read this very moment.
    let ben = token(&place, "ben", "viewer");
    server.get(&ben, "/api/v1/skills").is(200);
    for scheme in ["bearer", "BEARER", "bEARER "] {
        server.get(&ben.replacen("Bearer", scheme, 1), "/api/v1/skills").is(200);
    }
    for wrong in ["Basic", "Bearer Bearer", "Bearer,"] {
        server.get(&ben.replacen("Bearer", wrong, 1), "/api/v1/skills").is(401);
    }
}

#[test]
fn whatever_is_refused_is_refused_as_data() {
    let place = Place::embedded();
    let ana = token(&place, "ana", "admin");
    let ben = token(&place, "ben", "approver");
    let server = Server::start(&place);
    let data = ("Content-Type", "application/json");
    let text = ("Content-Type", "text/plain");
    let large = format!("{{\"script\":\"{}\"}}", " ".repeat(1 << 20));
    for (status, method, path, kind, body) in [
        (400, "GET", "/api/v1/runs/%ff", data, ""),
        (400, "GET", "/api/v1/boards/a%80b", data, ""),
        (400, "POST", "/api/v1/agents/%c3%28/pause", data, "{}"),
        (400, "POST", "/api/v1/runs", data, "{"),
        (400, "POST", "/api/v1/runs", data, "[]"),
        (400, "POST", "/api/v1/runs", data, "{\"script\":\"\u{0}\"}"),
        (405, "PUT", "/api/v1/runs", data, ""),
        (405, "BREW", "/api/v1/runs", data, ""),
        (405, "POST", "/assets/app.css", data, ""),
        (404, "GET", "/api/v1/%ff", data, ""),
        (413, "POST", "/api/v1/runs", data, &large),
        (415, "POST", "/api/v1/runs", text, "{}"),
    ] {
        let answer = server.ask(method, path, &[("Authorization", &ana), kind], body).is(status);
        assert_eq!(answer.head("content-type"), "application/json", "{method} {path}");
        let error = &answer.json()["error"];
        assert!(error["code"].is_string() && error["message"].is_string(), "{method} {path}");
    }
    // Pages are for people.
    let page = server.get(&ana, "/runs/%ff").is(400);
    assert!(page.text().contains("<main"), "{page:?}");
    // Nobody learns anything about a path before they are known.
    assert_eq!(server.ask("GET", "/api/v1/runs/%ff", &[], "").is(401).code(), "unauthorized");
    let refused = server.post(&ben, "/api/v1/runs", &json!({ "script": "1" })).is(403).json();
    let message = &refused["error"]["message"];
    assert_eq!(*message, json!("`ben` is an approver; running a skill needs the role `admin`"));
    let hint = refused["error"]["hint"].as_str().unwrap();
    assert!(hint.contains("serve token create") && hint.contains("--role admin"), "{hint}");
}

#[test]
fn it_is_not_ready_where_the_service_does_not_answer_as_it_should() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let server = Server::start(&place);
    let fault = json!([{ "path": "/me", "action": { "status": 403 } }]);
    planner.faults(&fault);
    let answer = server.ask("GET", "/readyz", &[], "").is(503);
    assert_eq!(answer.text(), "the service does not answer as it should\n");
}

#[cfg(target_os = "linux")]
#[test]
fn a_service_manager_hears_when_it_is_ready_well_and_about_to_end() {
    let place = Place::embedded();
    let path = place.path().join("notify.sock");
    let manager = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let env = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "300000")];
    let server = Server::start_with(&place, &env);
    let hear = || {
        let mut text = [0; 256];
        let n = manager.recv(&mut text).unwrap();
        String::from_utf8(text[..n].to_vec()).unwrap()
    };
    assert_eq!(hear(), "READY=1\n");
    // It answers when it says so.
    server.ask("GET", "/readyz", &[], "").is(200);
    for _ in 0..3 {
        assert_eq!(hear(), "WATCHDOG=1\n");
    }
    drop(server);
    while hear() != "STOPPING=1\n" {}
}
