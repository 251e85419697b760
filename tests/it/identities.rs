//! Whose identity a run has: that of an agent of its own, of an application, or one that the platform
//! lends; and what is told of a token that is ready.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::serve;
use crate::sign_in::{APP, CLIENT, KEY, SECRET, Stage, leak};
use crate::support::{Output, PLAN, Place};

/// A server that answers each request with what a function makes of its head and body, and notes both.
struct Server {
    origin: String,
    asked: Arc<Mutex<Vec<(String, String)>>>,
}

/// The header of a refusal that asks for `{"a":1}`.
const CHALLENGE: &str =
    "WWW-Authenticate: Bearer error=\"insufficient_claims\", claims=\"eyJhIjoxfQ==\"\r\n";

impl Server {
    fn start(answer: impl Fn(usize, &str) -> (u16, Value) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let mut reader = BufReader::new(stream);
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap_or(0) > 0 {}
                let length = head.lines().find_map(|line| {
                    let (name, value) = line.split_once(": ")?;
                    name.eq_ignore_ascii_case("content-length").then(|| value.parse().unwrap())
                });
                let mut body = vec![0; length.unwrap_or(0)];
                let _cut_off = reader.read_exact(&mut body);
                let mut log = log.lock().unwrap();
                log.push((head.clone(), String::from_utf8(body).unwrap()));
                let (status, json) = answer(log.len(), &head);
                drop(log);
                let text = json.to_string();
                // Asks for claims as well, where it refuses a token.
                let challenge = if status == 401 { CHALLENGE } else { "" };
                let answer = format!(
                    "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{challenge}Connection: close\r\nContent-Length: {}\r\n\r\n{text}",
                    text.len()
                );
                let _gone = reader.get_mut().write_all(answer.as_bytes());
            }
        });
        Self { origin, asked }
    }

    fn asked(&self) -> Vec<(String, String)> {
        self.asked.lock().unwrap().clone()
    }
}

/// A skill that adds a task.
const ADD: &str = "//! Adds a task to the Inbox.\n//!\n//! ```toml\n//! [params]\n//! title = { type = \"string\" }\n//! ```\nplan(\"BOS Operations\").create_task(#{ title: params.title, bucket: \"Inbox\" });\n";

fn add(stage: &Stage, title: &str, more: &[&str]) -> Output {
    let title = format!("title={title}");
    stage.run(&[&["run", "add", "-p", &title, "--json"], more].concat())
}

/// Returns the application that has made a task; null if a user has.
fn made_by(stage: &Stage, title: &str) -> Value {
    let user = stage.planner.task(title)["createdBy"]["user"]["id"].clone();
    let by = stage.planner.task(title)["createdBy"]["application"]["id"].clone();
    if by == APP { by } else { user }
}

#[test]
fn an_agent_with_a_profile_of_its_own_always_signs_in_with_that() {
    let stage = Stage::new();
    stage.by_device("work").code(0);
    stage.by_secret().code(0);
    stage.place.file("scripts/skills/add.rhai", ADD);
    stage.place.file(
        "planwright.toml",
        "[policies]\nalways = []\n[agents.rook]\nprofile = \"app\"\n[agents.mei]\n[agents.kay]\nprofile = \"gone\"\n[agents.slow]\nprofile = \"app\"\nmay_apply = \"approved\"\n",
    );
    let of = |report: &Value| {
        let actor = &report["actor"];
        (actor["upn"].as_str().unwrap().to_owned(), actor["agent"].as_str().unwrap().to_owned())
    };
    let own = add(&stage, "By rook", &["--as", "rook"]).code(0).json();
    assert_eq!(of(&own), (APP.to_owned(), "rook".to_owned()));
    assert_eq!(made_by(&stage, "By rook"), APP);
    let other = add(&stage, "By mei", &["--as", "mei"]).code(0).json();
    assert_eq!(of(&other), ("rook@bos.example".to_owned(), "mei".to_owned()));
    // Neither a ready token nor another profile goes before it.
    let token = [KEY[0], ("PLANWRIGHT_TOKEN", "emulator:mei@bos.example")];
    let args = ["run", "add", "-p", "title=With a token", "--as", "rook", "--json"];
    let report = stage.place.run_with(&args, "", &token).code(0).json();
    assert_eq!(report["actor"]["upn"], APP);
    let told = stage.run(&["plan", "list", "--as", "rook", "--profile", "work"]).code(2);
    assert!(told.stderr.contains("its own profile `app`"), "{}", told.stderr);
    let told = stage.run(&["plan", "list", "--as", "kay"]).code(1);
    assert!(told.stderr.contains("`gone`, which does not exist"), "{}", told.stderr);
    // It is told of.
    let list = stage.run(&["agent", "list"]).code(0).stdout;
    assert!(list.contains("PROFILE") && list.contains("(default)"), "{list}");
    let shown = stage.run(&["agent", "show", "rook"]).code(0).stdout;
    assert!(shown.contains("app, signed in as"), "{shown}");
    let shown = stage.run(&["agent", "show", "kay"]).code(0).stdout;
    assert!(shown.contains("which does not exist"), "{shown}");
    let doctor = stage.run(&["doctor", "--json"]).code(1).json();
    let findings = doctor["findings"].as_array().unwrap();
    assert!(
        findings.iter().any(|found| found["check"] == "agents" && found["status"] == "problem"),
        "{doctor}"
    );
    // What was submitted to it is done by it, whoever works.
    let submit = ["submit", "add", "-p", "title=Submitted", "--to", "rook", "--json"];
    stage.run(&submit).code(0);
    let done = stage.run(&["work", "--once", "--json"]).code(0).json();
    assert_eq!(done[0]["state"], "done", "{done}");
    assert_eq!(made_by(&stage, "Submitted"), APP);
    // The same through `serve`.
    let admin = serve::token(&stage.place, "ana", "admin");
    {
        let server = serve::Server::start_with(&stage.place, &KEY);
        let wish = json!({ "skill": "add", "params": { "title": "Served" }, "agent": "rook" });
        let report = server.post(&admin, "/api/v1/runs?wait=30", &wish).is(200).json();
        assert_eq!(of(&report), (APP.to_owned(), "rook".to_owned()), "{report}");
    }
    assert_eq!(made_by(&stage, "Served"), APP);
    // A person approves it, and it is applied under its sign-in.
    let held = add(&stage, "Approved", &["--as", "slow"]).code(7).json();
    stage.run(&["approve", held["pending"].as_str().unwrap()]).code(0);
    assert_eq!(made_by(&stage, "Approved"), APP);
    stage.is_tight();
}

/// An application has no `/me` to ask for: it is ready only once the service has answered something else.
#[test]
fn a_server_of_an_application_is_not_ready_while_the_service_refuses() {
    let ready = |fault: &Value| {
        let stage = Stage::new();
        stage.by_secret().code(0);
        let server = serve::Server::start_with(&stage.place, &KEY);
        stage.planner.faults(fault);
        server.ask("GET", "/readyz", &[], "").text().to_owned()
    };
    let of_groups = |status: u16| json!([{ "path": "/groups", "action": { "status": status } }]);
    assert_eq!(ready(&of_groups(404)), "the service does not answer as it should\n");
    // It works without the right to look for groups.
    assert_eq!(ready(&of_groups(403)), "ready\n");
    assert_eq!(ready(&json!([])), "ready\n");
}

#[test]
fn an_application_is_an_agent_whom_nobody_can_ask() {
    let stage = Stage::new();
    stage.by_secret().code(0);
    stage.place.file("scripts/skills/add.rhai", ADD);
    stage.place.file("scripts/policies/ask.rhai", "fn review(changes, run) { hold(\"ask\"); }");
    stage.place.file("planwright.toml", "[policies]\nalways = []\n");
    let report = add(&stage, "By the application", &[]).code(0).json();
    assert_eq!(report["actor"]["agent"], "app");
    let told = stage.run(&["run", "add", "-p", "title=x", "--yes"]).code(2);
    assert!(told.stderr.contains("`--yes` is for people"), "{}", told.stderr);
    // Another name is as good.
    let named = add(&stage, "By night", &["--as", "night"]).code(0).json();
    assert_eq!(named["actor"]["agent"], "night");
    stage.place.file("planwright.toml", "[policies]\nalways = [\"ask\"]\n");
    let held = add(&stage, "Asked", &[]).code(7).json();
    let id = held["pending"].as_str().unwrap();
    stage.run(&["approve", id]).code(3).says(&["is for people", "an application is signed in"]);
    // Who it is does not depend on how it is known.
    let token = stage.app_token();
    let env = [("PLANWRIGHT_TOKEN", token.as_str()), ("PLANWRIGHT_GRAPH_URL", &stage.planner.url)];
    let told = stage.place.run_with(&["task", "list", "--yes"], "", &env).code(2);
    assert!(told.stderr.contains("`--yes` is for people"), "{}", told.stderr);
    let status = stage.run(&["auth", "status", "--json"]).code(0).json();
    assert_eq!(status["application"], true);
}

#[test]
fn a_ready_token_tells_whose_it_is_what_it_allows_and_until_when() {
    let stage = Stage::new();
    let place = Place::against_url(&stage.planner.url, &stage.app_token());
    let status = place.run(&["auth", "status", "--json"]).code(0).json();
    assert_eq!((&status["by"], &status["signed_in"]), (&json!("PLANWRIGHT_TOKEN"), &json!(true)));
    assert_eq!((&status["account"]["upn"], &status["application"]), (&json!(APP), &json!(true)));
    assert!(status["scopes"].as_array().is_some_and(|scopes| !scopes.is_empty()), "{status}");
    let text = place.run(&["auth", "status"]).code(0).stdout;
    assert!(
        text.contains("takes precedence over every profile") && text.contains("good for"),
        "{text}"
    );
    let claims = json!({ "upn": "mei@bos.example", "scp": "Tasks.Read User.Read", "exp": 1 });
    let over = format!("e30.{}.", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let place = Place::against_url(&stage.planner.url, &over);
    let told = place.run(&["auth", "status"]).code(5);
    for text in ["mei@bos.example", "it has expired"] {
        assert!(told.stdout.contains(text), "{}", told.stdout);
    }
    told.says(&["without Tasks.ReadWrite this does not work"]);
    let doctor = place.run(&["doctor", "--json"]).code(1).json();
    assert!(doctor.to_string().contains("it has expired"), "{doctor}");
}

/// A token that has ended when it is granted: each process must renew it, and one of them does.
#[test]
fn processes_that_renew_at_once_end_with_one_valid_sign_in() {
    let stage = Stage::new();
    let authority = Server::start(|n, _| {
        let life = if n == 1 { 0 } else { 3600 };
        let access = "emulator:rook@bos.example";
        (200, json!({ "token_type": "Bearer", "access_token": access, "expires_in": life }))
    });
    let args = ["auth", "login", "--client-id", APP, "--profile", "app", "--secret-file", "-"];
    let more = ["--tenant", "bos.example", "--authority", &authority.origin];
    let args = [&args[..], &more, &["--graph-url", &stage.planner.url]].concat();
    stage.fed(&args, SECRET).code(0);
    let children: Vec<_> = (0..4)
        .map(|_| {
            let mut command = stage.place.command(&["plan", "list"]);
            command.envs(KEY).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{told}");
    }
    assert_eq!(authority.asked().len(), 2);
    let status = stage.run(&["auth", "status", "--json"]).code(0).json();
    assert_eq!(status["sealed_with"], "a key file");
    assert_eq!(authority.asked().len(), 2);
    stage.is_tight();
}

/// Logs in without a key: nothing is kept of what the platform lends.
fn lent(stage: &Stage, way: &[&str], env: &[(&str, &str)]) -> Output {
    let args = ["auth", "login", "--profile", "lent", "--graph-url", &stage.planner.url];
    let output = stage.place.run_with(&[&args[..], way].concat(), "", env);
    for text in [&output.stdout, &output.stderr] {
        assert_eq!(leak(text.as_bytes()), None, "{text}");
    }
    output
}

#[test]
fn a_machine_signs_in_with_the_identity_that_its_platform_lends() {
    let stage = Stage::new();
    let token = stage.app_token();
    let platform = Server::start(move |_, head| {
        if head.contains("client_id=") {
            return (
                400,
                json!({ "error": "invalid_request", "error_description": "Identity not found" }),
            );
        }
        (200, json!({ "access_token": token, "expires_on": "4102444800", "token_type": "Bearer" }))
    });
    let elsewhere = Server::start(|_, _| (500, Value::Null));
    let imds = [
        ("AZURE_POD_IDENTITY_AUTHORITY_HOST", platform.origin.as_str()),
        ("http_proxy", &elsewhere.origin),
        ("HTTP_PROXY", &elsewhere.origin),
    ];
    lent(&stage, &["--managed-identity"], &imds).code(0);
    let (head, _) = platform.asked().remove(0);
    assert!(head.contains("GET /metadata/identity/oauth2/token?api-version=2018-02-01&"), "{head}");
    assert!(head.to_lowercase().contains("\r\nmetadata: true\r\n"), "{head}");
    let status = stage.place.run_with(&["auth", "status", "--json"], "", &imds).code(0).json();
    assert_eq!(
        (&status["flow"], &status["sealed_with"]),
        (&json!("managed_identity"), &Value::Null)
    );
    assert_eq!((&status["account"]["upn"], &status["application"]), (&json!(APP), &json!(true)));
    let plans = stage.place.run_with(&["plan", "list", "-vvv"], "", &imds).code(0);
    assert!(plans.stdout.contains(PLAN) && leak(plans.stderr.as_bytes()).is_none());
    assert!(elsewhere.asked().is_empty());
    // A hosted app has another address, and must show something there.
    let endpoint = format!("{}/msi/token", platform.origin);
    let hosted = [("IDENTITY_ENDPOINT", endpoint.as_str()), ("IDENTITY_HEADER", "header-canary")];
    stage.place.run_with(&["plan", "list"], "", &hosted).code(0);
    let (head, _) = platform.asked().pop().unwrap();
    assert!(head.contains("GET /msi/token?api-version=2019-08-01&resource="), "{head}");
    assert!(head.to_lowercase().contains("\r\nx-identity-header: header-canary\r\n"), "{head}");
    let told = lent(&stage, &["--managed-identity", "--client-id", APP], &imds).code(5);
    assert!(told.stderr.contains("Identity not found"), "{}", told.stderr);
    // Only this machine lends an identity.
    for far in ["http://10.0.0.1", "https://metadata.example"] {
        let env = [("AZURE_POD_IDENTITY_AUTHORITY_HOST", far)];
        let told = lent(&stage, &["--managed-identity", "--client-id", APP], &env).code(2);
        assert!(told.stderr.contains("is another machine"), "{}", told.stderr);
    }
    stage.is_tight();
    assert!(!stage.place.path().join("home/.local/share/planwright/sign-in/lent.sealed").exists());
}

#[test]
fn a_workload_signs_in_with_what_its_platform_says_of_it() {
    let stage = Stage::new();
    let claims =
        json!({ "aud": "api://AzureADTokenExchange", "sub": "job", "exp": 4_102_444_800_i64 });
    let assertion = format!("e30.{}.assertion-canary", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, &assertion).unwrap();
    let origin = stage.origin();
    let env = [
        ("AZURE_FEDERATED_TOKEN_FILE", file.to_str().unwrap()),
        ("AZURE_CLIENT_ID", APP),
        ("AZURE_TENANT_ID", "bos.example"),
        ("AZURE_AUTHORITY_HOST", &origin),
    ];
    lent(&stage, &["--workload"], &env).code(0);
    let plans = stage.place.run_with(&["plan", "list", "-vvv"], "", &env).code(0);
    assert!(plans.stdout.contains(PLAN) && !plans.stderr.contains("canary"), "{}", plans.stderr);
    std::fs::write(&file, "e30.e30.assertion-canary").unwrap();
    let told = stage.place.run_with(&["plan", "list"], "", &env).code(5);
    assert!(
        told.stderr.contains("AADSTS700024") && !told.stderr.contains("canary"),
        "{}",
        told.stderr
    );
    let told = stage.place.run_with(&["plan", "list"], "", &env[1..]).code(5);
    assert!(told.stderr.contains("AZURE_FEDERATED_TOKEN_FILE"), "{}", told.stderr);
    stage.is_tight();
}

#[cfg(unix)]
#[test]
fn the_azure_cli_is_asked_by_its_command() {
    use std::os::unix::fs::PermissionsExt as _;
    let stage = Stage::new();
    let folder = tempfile::TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    let answer = json!({ "accessToken": stage.app_token(), "expires_on": 4_102_444_800_i64 });
    std::fs::write(path("answer"), answer.to_string()).unwrap();
    let script = |text: &str| {
        std::fs::write(
            path("az"),
            format!("#!/bin/sh\ncd \"{}\"\n{text}\n", folder.path().display()),
        )
        .unwrap();
        std::fs::set_permissions(path("az"), std::fs::Permissions::from_mode(0o700)).unwrap();
    };
    script("echo \"$@\" > asked; env > environment; cat answer");
    let search = format!("{}:/usr/bin:/bin", folder.path().display());
    let env = [("PATH", search.as_str()), ("PLANWRIGHT_PASSPHRASE", "passphrase-canary")];
    lent(&stage, &["--azure-cli"], &env).code(0);
    let plans = stage.place.run_with(&["plan", "list", "-vvv"], "", &env).code(0);
    assert!(plans.stdout.contains(PLAN) && leak(plans.stderr.as_bytes()).is_none());
    let text = |name: &str| std::fs::read_to_string(path(name)).unwrap();
    let expected =
        format!("account get-access-token --resource {} --output json\n", stage.origin());
    assert_eq!(text("asked"), expected);
    assert!(!text("environment").contains("canary"), "{}", text("environment"));
    script("echo \"ERROR: Please run 'az login' to setup account.\" >&2; exit 1");
    let told = stage.place.run_with(&["plan", "list"], "", &env).code(5);
    assert!(told.stderr.contains("Please run 'az login'"), "{}", told.stderr);
    script("echo '{\"accessToken\": canary'");
    let told = stage.place.run_with(&["plan", "list"], "", &env).code(5);
    assert!(!told.stderr.contains("canary"), "{}", told.stderr);
    let nowhere = [("PATH", "/nonexistent")];
    let told = stage.place.run_with(&["plan", "list"], "", &nowhere).code(5);
    assert!(told.stderr.contains("there is no program `az`"), "{}", told.stderr);
    stage.is_tight();
}

#[cfg(unix)]
#[test]
fn a_key_file_that_others_can_read_seals_nothing() {
    use std::os::unix::fs::PermissionsExt as _;
    let stage = Stage::new();
    let key = stage.place.path().join("key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    stage.by_device("work").code(5).says(&["is open to other users", "chmod 600"]);
    assert!(stage.planner.requests().is_empty());
}

/// Ctrl-C at a question for a passphrase ends the program, and leaves a terminal that shows what is typed.
#[cfg(target_os = "linux")]
#[test]
fn a_hidden_question_can_be_left() {
    let stage = Stage::new();
    let args = ["auth", "login", "--device", "--client-id", crate::sign_in::CLIENT];
    let origin = stage.origin();
    let more = ["--authority", &origin, "--graph-url", &stage.planner.url];
    let start = || crate::terminal::Terminal::start(&stage.place, &[&args[..], &more].concat());
    let mut terminal = start();
    terminal.sees("New passphrase");
    assert!(!terminal.shows_keys());
    terminal.press("open\u{3}");
    terminal.until_end();
    assert!(terminal.shows_keys());
    assert!(!terminal.seen().contains("open"), "{}", terminal.seen());
    assert_eq!(terminal.end(), 130);
    assert!(stage.planner.requests().is_empty());
    // Typed and mended, it seals the sign-in.
    let mut terminal = start();
    terminal.sees("New passphrase");
    terminal.line("open sez\u{7f}same");
    terminal.sees("The same again");
    terminal.line("open sesame");
    terminal.sees("Signed in as");
    terminal.until_end();
    assert!(terminal.shows_keys() && !terminal.sent().contains("sesame"));
    assert_eq!(terminal.end(), 0);
    let env = [("PLANWRIGHT_PASSPHRASE", "open sesame")];
    stage.place.run_with(&["auth", "status"], "", &env).code(0);
}

/// Makes a certificate of an application with its key, as one PEM text.
fn certificate(ends: i32) -> String {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
    params.not_before = rcgen::date_time_ymd(2000, 1, 1);
    params.not_after = rcgen::date_time_ymd(ends, 1, 1);
    params.self_signed(&key).unwrap().pem() + key.serialize_pem().as_str()
}

const BY_CERTIFICATE: [&str; 5] = ["--client-id", APP, "--profile", "app", "--certificate"];

#[test]
fn an_application_signs_in_with_its_certificate() {
    let stage = Stage::new();
    stage.place.file("app.pem", &certificate(2200));
    stage.login(&[&BY_CERTIFICATE[..], &["app.pem"]].concat(), "").code(0);
    // It is sealed, so that the file can go.
    std::fs::remove_file(stage.place.path().join("app.pem")).unwrap();
    let plans = stage.run(&["plan", "list", "-vvv"]).code(0);
    assert!(plans.stdout.contains(PLAN), "{}", plans.stdout);
    let status = stage.run(&["auth", "status", "--json"]).code(0).json();
    assert_eq!((&status["flow"], &status["application"]), (&json!("certificate"), &json!(true)));
    assert_eq!(status["certificate_expires_at"], "2200-01-01T00:00:00Z");
    let shown = stage.run(&["auth", "status"]).code(0).stdout;
    assert!(shown.contains("certificate  valid until 2200-01-01"), "{shown}");
    stage.is_tight();
}

#[test]
fn a_certificate_that_has_expired_is_told_before_anybody_is_asked() {
    let stage = Stage::new();
    stage.place.file("app.pem", &certificate(2001));
    let old = stage.login(&[&BY_CERTIFICATE[..], &["app.pem"]].concat(), "").code(5);
    old.says(&["the certificate expired on 2001-01-01"]);
    assert!(stage.planner.requests().is_empty());
}

/// PFX files as OpenSSL writes them, today's way and that of Windows Server before 2019.
#[test]
fn a_pfx_file_needs_its_password() {
    let stage = Stage::new();
    for (name, file) in [
        ("modern.pfx", &include_bytes!("identities/modern.pfx")[..]),
        ("legacy.pfx", &include_bytes!("identities/legacy.pfx")[..]),
    ] {
        std::fs::write(stage.place.path().join(name), file).unwrap();
        let origin = stage.origin();
        let more = [&BY_CERTIFICATE[..], &[name]].concat();
        let args = ["auth", "login", "--authority", &origin, "--graph-url", &stage.planner.url];
        let args = [&args[..], &["--tenant", "bos.example"], &more].concat();
        let with = |password| [KEY[0], ("PLANWRIGHT_CERTIFICATE_PASSWORD", password)];
        let wrong = stage.place.run_with(&args, "", &with("close-sesame")).code(2);
        assert!(wrong.stderr.contains("password"), "{}", wrong.stderr);
        let none = stage.place.run_with(&args, "", &KEY).code(2);
        assert!(none.stderr.contains("PLANWRIGHT_CERTIFICATE_PASSWORD"), "{}", none.stderr);
        stage.place.run_with(&args, "", &with("open-sesame")).code(0);
        let plans = stage.run(&["plan", "list"]).code(0);
        assert!(plans.stdout.contains(PLAN), "{}", plans.stdout);
    }
    stage.is_tight();
}

#[cfg(target_os = "linux")]
#[test]
fn the_password_of_a_pfx_file_is_asked_for() {
    let stage = Stage::new();
    let file = include_bytes!("identities/modern.pfx");
    std::fs::write(stage.place.path().join("app.pfx"), file).unwrap();
    let origin = stage.origin();
    let args = ["auth", "login", "--authority", &origin, "--graph-url", &stage.planner.url];
    let args = [&args[..], &["--tenant", "bos.example"], &BY_CERTIFICATE, &["app.pfx"]].concat();
    let mut terminal = crate::terminal::Terminal::start(&stage.place, &args);
    terminal.sees("Password of app.pfx:");
    terminal.line("open-sesame");
    terminal.sees("New passphrase");
    terminal.line("another");
    terminal.sees("The same again");
    terminal.line("another");
    terminal.sees("Signed in as");
    terminal.until_end();
    assert!(!terminal.sent().contains("sesame"));
    assert_eq!(terminal.end(), 0);
}

#[test]
fn a_profile_that_becomes_somebody_elses_says_so() {
    let stage = Stage::new();
    stage.by_device("work").code(0);
    let again = stage.by_device("work").code(0);
    assert!(!again.stderr.contains("before"), "{}", again.stderr);
    let more = ["--client-id", APP, "--profile", "work", "--secret-file", "-", "--json"];
    let told = stage.login(&more, SECRET).code(0).json();
    assert_eq!(told["replaced"]["upn"], "rook@bos.example", "{told}");
    let told = stage.by_device("work").code(0);
    told.says(&["the profile work was application", "keeps both"]);
}

/// A token that Graph has refused, and that could not be renewed, is good for nobody: whoever looks is
/// told, and the next sign-in carries what the service has asked for.
#[test]
fn a_sign_in_that_was_revoked_is_told_by_status_until_the_next_one() {
    let stage = Stage::new();
    let is_revoked = Arc::new(AtomicBool::new(false));
    let revoked = Arc::clone(&is_revoked);
    let server = Server::start(move |n, head| {
        let refused = json!({ "error": { "code": "InvalidAuthenticationToken", "message": "no" } });
        let code = json!({
            "device_code": "d", "user_code": "u", "verification_uri": "https://login.example/device",
            "expires_in": 900, "interval": 5,
        });
        let tokens = json!({
            "token_type": "Bearer", "expires_in": 3600, "access_token": format!("access-{n}"),
            "refresh_token": format!("refresh-{n}"),
        });
        match head {
            head if head.contains("/devicecode ") => (200, code),
            head if !head.contains("/token ") => (401, refused),
            _ if revoked.load(Ordering::SeqCst) => {
                (400, json!({ "error": "interaction_required" }))
            }
            _ => (200, tokens),
        }
    });
    let graph = format!("{}/v1.0", server.origin);
    let args = ["auth", "login", "--device", "--client-id", CLIENT, "--tenant", "bos.example"];
    let args = [&args[..], &["--authority", &server.origin, "--graph-url", &graph]].concat();
    stage.run(&args).code(0);
    stage.run(&["auth", "status"]).code(0);
    is_revoked.store(true, Ordering::SeqCst);
    stage.run(&["plan", "list"]).code(5).says(&["interaction_required", "planwright auth login"]);
    // It is told with the profile that is to sign in again.
    stage.run(&["auth", "status"]).code(5).says(&["auth login --profile default"]);
    is_revoked.store(false, Ordering::SeqCst);
    let before = server.asked().len();
    stage.run(&["auth", "login"]).code(0);
    let asked = server.asked().split_off(before);
    assert!(asked.iter().all(|(_, form)| form.contains("claims=%7B%22a%22%3A1%7D")), "{asked:?}");
    assert_eq!(asked.len(), 2);
    // It is met, so that the one after that does not.
    stage.run(&["auth", "login"]).code(0);
    assert!(!server.asked().last().unwrap().1.contains("claims"));
}

/// The service that renews a sign-in in the middle of a run fails for a moment: nothing is cut off.
#[test]
fn a_renewal_that_meets_a_hiccup_goes_on() {
    let stage = Stage::new();
    stage.by_device("work").code(0);
    stage.place.file("planwright.toml", "[policies]\nalways = []\n");
    for (n, action) in [
        json!({ "status": 503 }),
        json!({ "status": 429 }),
        json!({ "status": 500 }),
        json!({ "drop_before": true }),
    ]
    .into_iter()
    .enumerate()
    {
        stage.planner.faults(&json!([
            { "method": "POST", "path": "/planner/tasks", "nth": 3, "action": { "status": 401 } },
            { "method": "POST", "path": "/token", "nth": 1, "action": action },
        ]));
        let script = format!(
            "for n in 0..6 {{ plan(\"{PLAN}\").bucket(\"Inbox\").create_task(#{{ title: `H{n} ${{n}}` }}); }}"
        );
        let report = stage.fed(&["run", "-", "--json"], &script).json();
        assert_eq!(report["status"], "applied", "{action}: {report}");
    }
}

#[test]
fn the_demo_board_can_be_chosen_while_somebody_is_signed_in() {
    let stage = Stage::new();
    stage.by_device("work").code(0);
    stage.run(&["auth", "use", "embedded"]).code(0);
    let status = stage.run(&["auth", "status"]).code(5);
    assert!(status.stdout.contains("the demo board on this machine is used"), "{}", status.stdout);
    let _before = stage.planner.requests();
    stage.run(&["plan", "list"]).code(0);
    assert_eq!(stage.planner.requests(), Vec::<String>::new());
    // Another sign-in does not undo the choice.
    let told = stage.by_device("other").code(0);
    told.says(&["planwright auth use other"]);
    stage.run(&["plan", "list"]).code(0);
    stage.run(&["auth", "use", "work"]).code(0);
    let status = stage.run(&["auth", "status", "--json"]).code(0).json();
    assert_eq!((&status["profile"], &status["default"]), (&json!("work"), &json!(true)));
}

/// Whoever is told to sign in again is told as whom.
#[test]
fn an_agent_whose_sign_in_has_ended_names_its_profile() {
    let stage = Stage::new();
    stage.by_device("work").code(0);
    stage.by_device("mei").code(0);
    stage.place.file("planwright.toml", "[agents.mei]\nprofile = \"mei\"\n[agents.rook]\n");
    let doctor = stage.run(&["doctor", "--profile", "work"]).code(0);
    assert!(!doctor.stdout.contains("its own profile"), "{}", doctor.stdout);
    stage.planner.faults(&json!([
        { "method": "GET", "path": "/me", "times": 9, "action": { "status": 401 } },
        { "method": "POST", "path": "/token", "times": 9, "action": { "status": 400 } },
    ]));
    let told = stage.run(&["plan", "list", "--as", "mei"]);
    assert!(told.stderr.contains("(profile `mei`)"), "{}", told.stderr);
}
