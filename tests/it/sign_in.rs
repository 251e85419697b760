//! Signing in with the program, against the sign-in service of the emulator: each flow, the
//! profiles, and that nothing of a sign-in is found where it should not be.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use planwright::emulator::DeviceCodes;
use serde_json::{Value, json};
use url::{Url, form_urlencoded};

use crate::support::{Output, PLAN, Place, Planner, answering};

pub(crate) const CLIENT: &str = "11111111-2222-4333-8444-555555555555";
pub(crate) const APP: &str = "0f9e8d7c-6b5a-4c3d-9e2f-1a0b9c8d7e6f";
pub(crate) const SECRET: &str = "emulator-secret";
/// Seals what is kept.
pub(crate) const KEY: [(&str, &str); 1] = [("PLANWRIGHT_KEY_FILE", "key")];

/// A Planner with its sign-in service, and a place without a token.
pub(crate) struct Stage {
    pub(crate) planner: Planner,
    pub(crate) place: Place,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let place = Place::embedded();
        place.file("key", &"k".repeat(40));
        close(&place.path().join("key"));
        Self { planner: Planner::demo(), place }
    }

    pub(crate) fn origin(&self) -> String {
        self.planner.url.trim_end_matches("/v1.0").to_owned()
    }

    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.fed(args, "")
    }

    #[track_caller]
    pub(crate) fn fed(&self, args: &[&str], stdin: &str) -> Output {
        let output = self.place.run_with(args, stdin, &KEY);
        for text in [&output.stdout, &output.stderr] {
            assert_eq!(leak(text.as_bytes()), None, "{args:?}: {text}");
        }
        output
    }

    #[track_caller]
    pub(crate) fn login(&self, more: &[&str], stdin: &str) -> Output {
        let origin = self.origin();
        let args = ["auth", "login", "--authority", &origin, "--graph-url", &self.planner.url];
        let args = [&args[..], &["--tenant", "bos.example"], more].concat();
        self.fed(&args, stdin)
    }

    pub(crate) fn by_device(&self, name: &str) -> Output {
        self.login(&["--device", "--client-id", CLIENT, "--profile", name], "")
    }

    pub(crate) fn by_secret(&self) -> Output {
        let more = ["--client-id", APP, "--profile", "app", "--secret-file", "-"];
        self.login(&more, &format!("{SECRET}\n"))
    }

    /// Returns an access token of the application.
    pub(crate) fn app_token(&self) -> String {
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([
                ("grant_type", "client_credentials"),
                ("client_id", APP),
                ("client_secret", SECRET),
                ("scope", "https://graph.microsoft.com/.default"),
            ])
            .finish();
        let url = Url::parse(&format!("{}/bos.example/oauth2/v2.0/token", self.origin())).unwrap();
        let (status, _, body) = http("POST", &url, &form);
        assert_eq!(status, 200, "{body}");
        let (from, to) = (body.find('{').unwrap(), body.rfind('}').unwrap());
        let answer: Value = serde_json::from_str(body.get(from..=to).unwrap()).unwrap();
        answer["access_token"].as_str().unwrap().to_owned()
    }

    /// Checks that no file of the place holds anything of a sign-in in clear text.
    #[track_caller]
    pub(crate) fn is_tight(&self) {
        let mut n_files = 0;
        let mut open = vec![self.place.path().to_owned()];
        while let Some(path) = open.pop() {
            if path.is_dir() {
                open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            } else {
                n_files += 1;
                assert_eq!(leak(&std::fs::read(&path).unwrap()), None, "{}", path.display());
            }
        }
        assert!(n_files > 0, "{n_files}");
    }
}

/// Keeps others from reading a file, where the system can.
pub(crate) fn close(file: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    #[cfg(not(unix))]
    let _ = file;
}

/// Returns what of a sign-in is in a text: an access token of the emulator, a refresh token or
/// another code, or the secret of the application.
pub(crate) fn leak(text: &[u8]) -> Option<&'static str> {
    let head = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"none"}"#);
    let has = |part: &[u8]| text.windows(part.len()).any(|window| window == part);
    let is_code = |window: &[u8]| {
        let is_fine = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
        window.starts_with(b"1.") && window[2..].iter().all(is_fine)
    };
    // Neither the `v1.` of a seal nor the second of a time, `…:21.123456789Z`, before the text of the
    // next column of a database begins a code.
    let begins = |byte: u8| byte != b'v' && !byte.is_ascii_digit();
    if has(head.as_bytes()) {
        Some("an access token")
    } else if has(SECRET.as_bytes()) {
        Some("the secret")
    } else if text.windows(43).any(|window| begins(window[0]) && is_code(&window[1..])) {
        Some("a code")
    } else {
        None
    }
}

/// Sends one request; returns the status, the headers and the body.
pub(crate) fn http(method: &str, url: &Url, form: &str) -> (u16, String, String) {
    let port = url.port().unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let (path, length) = (url.path(), form.len());
    let head = format!(
        "{method} {path}{query} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{form}"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_owned(), body.to_owned())
}

#[test]
fn a_device_code_signs_in_and_every_command_goes_on_with_it() {
    let stage = Stage::new();
    let status = stage.run(&["auth", "status"]).code(5);
    assert!(status.stdout.contains("demo board"), "{}", status.stdout);
    let told = stage.by_device("work");
    assert!(told.stderr.contains("To sign in, open "), "{}", told.stderr);
    told.code(0);
    let status = stage.run(&["auth", "status", "--json"]).code(0).json();
    assert_eq!((&status["profile"], &status["default"]), (&json!("work"), &json!(true)));
    assert_eq!(status["account"]["upn"], "rook@bos.example");
    assert_eq!((&status["signed_in"], &status["missing"]), (&json!(true), &json!([])));
    assert_eq!(status["renews_itself"], true);
    let text = stage.run(&["auth", "status"]).code(0).stdout;
    assert!(text.contains("rook@bos.example") && text.contains("renews itself"), "{text}");
    let plans = stage.run(&["plan", "list", "-vvv"]).code(0);
    assert!(plans.stdout.contains(PLAN), "{}", plans.stdout);
    let script =
        format!("plan(\"{PLAN}\").bucket(\"Inbox\").create_task(#{{ title: \"Signed in\" }});");
    let report = stage.fed(&["run", "-", "--json", "-vvv"], &script).code(0).json();
    assert_eq!(report["actor"]["upn"], "rook@bos.example");
    assert!(stage.planner.task("Signed in")["id"].is_string());
    let told = stage.run(&["doctor", "--json"]).code(0).json();
    let findings = told["findings"].as_array().unwrap();
    let finding = findings.iter().find(|finding| finding["check"] == "sign-in").unwrap();
    assert!(finding["message"].as_str().unwrap().contains("work"), "{finding}");
    stage.is_tight();
}

#[test]
fn a_code_is_waited_for_until_a_person_decides() {
    for declines in [false, true] {
        let stage = Stage::new();
        let polls = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&polls);
        let (sender, codes) = mpsc::channel::<String>();
        stage.planner.on_request(move |emulator, exchange| {
            if exchange.path.ends_with("/devicecode") {
                emulator.set_device_codes(DeviceCodes::Manual);
            }
            // The first poll finds it pending, the second one decided.
            if exchange.path.ends_with("/token") && seen.fetch_add(1, Ordering::SeqCst) == 1 {
                let code = codes.recv().unwrap();
                let done = if declines {
                    emulator.decline_device_code(&code)
                } else {
                    emulator.approve_device_code(&code, "mei@bos.example")
                };
                assert!(done.unwrap());
            }
        });
        let origin = stage.origin();
        let mut command = stage.place.command(&[
            "auth",
            "login",
            "--device",
            "--client-id",
            CLIENT,
            "--authority",
            &origin,
            "--graph-url",
            &stage.planner.url,
        ]);
        command.envs(KEY).stderr(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        sender.send(line.trim().rsplit(' ').next().unwrap().to_owned()).unwrap();
        let mut rest = String::new();
        stderr.read_to_string(&mut rest).unwrap();
        let code = child.wait().unwrap().code();
        assert_eq!(code, Some(if declines { 5 } else { 0 }), "{line}{rest}");
        let expected = if declines { "authorization_declined" } else { "mei@bos.example" };
        assert!(rest.contains(expected), "{rest}");
        let remedy = "nobody has signed in: ";
        assert_eq!(rest.contains(remedy) && rest.contains("begin again with"), declines, "{rest}");
        assert_eq!(polls.load(Ordering::SeqCst), 2);
        stage.is_tight();
    }
}

#[test]
fn a_browser_comes_back_once_with_the_right_state() {
    let stage = Stage::new();
    let origin = stage.origin();
    let mut command = stage.place.command(&[
        "auth",
        "login",
        "--browser",
        "--client-id",
        CLIENT,
        "--authority",
        &origin,
        "--graph-url",
        &stage.planner.url,
    ]);
    command.envs(KEY).stderr(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let address = loop {
        let mut line = String::new();
        assert!(stderr.read_line(&mut line).unwrap() > 0, "no address");
        if line.starts_with("http") {
            break Url::parse(line.trim()).unwrap();
        }
    };
    let value = |url: &Url, name: &str| {
        url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    };
    assert_eq!(value(&address, "code_challenge_method").as_deref(), Some("S256"));
    for name in ["state", "nonce", "code_challenge"] {
        assert!(value(&address, name).unwrap().len() > 20, "{name}");
    }
    let (status, head, _) = http("GET", &address, "");
    assert_eq!(status, 302);
    let location = head
        .lines()
        .find_map(|line| {
            line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("location"))
        })
        .unwrap();
    let back = Url::parse(location.1).unwrap();
    assert_eq!(back.host_str(), Some("localhost"));
    let mut wrong = back.clone();
    wrong.set_query(Some("code=1.canary&state=another"));
    assert_eq!(http("GET", &wrong, "").0, 400);
    let mut elsewhere = back.clone();
    elsewhere.set_path("/elsewhere");
    assert_eq!(http("GET", &elsewhere, "").0, 404);
    let (status, _, page) = http("GET", &back, "");
    assert_eq!(status, 200);
    assert!(page.contains("You can close this window"), "{page}");
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{rest}");
    assert!(rest.contains("rook@bos.example"), "{rest}");
    stage.run(&["plan", "list"]).code(0);
    stage.is_tight();
}

#[test]
fn an_application_signs_in_as_itself_and_works_without_a_me() {
    let stage = Stage::new();
    let more = ["--client-id", APP, "--profile", "app", "--secret-file", "-"];
    let wrong = stage.login(&more, "not the secret");
    assert!(wrong.stderr.contains("AADSTS7000215"), "{}", wrong.stderr);
    assert!(wrong.stderr.contains("check the client id"), "{}", wrong.stderr);
    assert!(!wrong.stderr.contains("resume"), "{}", wrong.stderr);
    wrong.code(5);
    stage.by_secret().code(0);
    let status = stage.run(&["auth", "status", "--json"]).code(0).json();
    assert_eq!((&status["account"]["upn"], &status["missing"]), (&json!(APP), &json!([])));
    let plans = stage.run(&["plan", "list"]).code(0).stdout;
    assert!(plans.contains(PLAN), "{plans}");
    let script =
        format!("plan(\"{PLAN}\").bucket(\"Inbox\").create_task(#{{ title: \"By an app\" }});");
    let report = stage.fed(&["run", "-", "--json"], &script).code(0).json();
    let actor = &report["actor"];
    assert_eq!((&actor["id"], &actor["upn"]), (&json!(APP), &json!(APP)));
    assert_eq!(actor["agent"], "app");
    assert_eq!(stage.planner.task("By an app")["createdBy"]["application"]["id"], APP);
    let mine = stage.fed(&["run", "-", "--json"], "print(my_tasks().len());").code(5).json();
    assert_eq!(mine["error"]["code"], "app_only", "{mine}");
    let message = mine["error"]["message"].as_str().unwrap();
    assert!(message.contains("`my_tasks()` needs a user"), "{mine}");
    stage.is_tight();
}

#[test]
fn a_ready_token_of_an_application_works_without_a_me() {
    let stage = Stage::new();
    let place = Place::against_url(&stage.planner.url, &stage.app_token());
    let plans = place.run(&["plan", "list"]).code(0).stdout;
    assert!(plans.contains(PLAN), "{plans}");
    // What needs one says so, and writes nothing.
    let assign = ["task", "assign", "Book the room for the customer day", "me"];
    for command in [&["run", "morning_triage"][..], &["task", "list", "--mine"], &assign] {
        let told = place.run(&[command, &["--json"]].concat()).code(5).json();
        assert_eq!(told["error"]["code"], "app_only", "{told}");
    }
    let told = place.script("me().name", &["--json"]).code(5).json();
    assert!(told["error"]["message"].as_str().unwrap().contains("`me` needs a user"), "{told}");
}

#[test]
fn a_token_that_ends_in_the_middle_of_a_run_is_renewed() {
    let stage = Stage::new();
    stage.by_device("work").code(0);
    // In the middle of five hundred changes, once the first of them are written.
    stage.planner.faults(&json!([
        { "method": "POST", "path": "/$batch", "nth": 5, "action": { "status": 401 } },
    ]));
    let _ = stage.planner.exchanges();
    let script = format!(
        "for n in 0..500 {{ plan(\"{PLAN}\").bucket(\"Inbox\").create_task(#{{ title: `Late ${{n}}` }}); }}"
    );
    let config = "[policies]\nalways = []\n[limits]\nmax_changes = 500\n";
    stage.place.file("planwright.toml", config);
    let report = stage.fed(&["run", "-", "--json"], &script).code(0).json();
    assert_eq!(report["status"], "applied", "{report}");
    let exchanges = stage.planner.exchanges();
    let refused = exchanges.iter().filter(|exchange| exchange.status == Some(401)).count();
    let renewed = exchanges.iter().filter(|exchange| exchange.path.ends_with("/token")).count();
    assert_eq!((refused, renewed), (1, 1));
    assert_eq!(late(&stage), 500);
    stage.is_tight();
}

/// Counts the tasks that a run has made, of which each title is there once.
fn late(stage: &Stage) -> usize {
    let mut late = Vec::new();
    let mut path = Some(format!("/planner/plans/{}/tasks", stage.planner.plan_id()));
    while let Some(page) = path.map(|path| stage.planner.get(&path)) {
        let titles = page["value"].as_array().unwrap().iter();
        let titles = titles.map(|task| task["title"].as_str().unwrap().to_owned());
        late.extend(titles.filter(|title| title.starts_with("Late ")));
        let next = page["@odata.nextLink"].as_str();
        path = next.map(|link| link.split_once("/v1.0").unwrap().1.to_owned());
    }
    let different: std::collections::BTreeSet<&String> = late.iter().collect();
    assert_eq!(different.len(), late.len());
    late.len()
}

/// A part of a batch whose token has ended on the way is sent again, once another one is there.
#[test]
fn a_part_of_a_batch_that_comes_too_late_goes_out_again() {
    let stage = Stage::new();
    stage.by_device("work").code(0);
    stage.place.file("planwright.toml", "[policies]\nalways = []\n");
    stage.planner.faults(&json!([
        { "method": "POST", "path": "/planner/tasks", "nth": 3, "action": { "status": 401 } },
    ]));
    let script = format!(
        "for n in 0..8 {{ plan(\"{PLAN}\").bucket(\"Inbox\").create_task(#{{ title: `Late ${{n}}` }}); }}"
    );
    let _ = stage.planner.exchanges();
    let report = stage.fed(&["run", "-", "--json"], &script).code(0).json();
    assert_eq!(report["status"], "applied", "{report}");
    assert_eq!(late(&stage), 8);
    let exchanges = stage.planner.exchanges();
    let renewed = exchanges.iter().filter(|exchange| exchange.path.ends_with("/token")).count();
    assert_eq!(renewed, 1);
    stage.is_tight();
}

/// Profiles that come and go at once: none is lost, and none comes back.
#[test]
fn sign_ins_and_sign_outs_at_once_lose_nothing() {
    let stage = Stage::new();
    stage.by_device("first").code(0);
    let origin = stage.origin();
    let children: Vec<_> = ["a", "b", "c", "d"]
        .into_iter()
        .map(|name| {
            let url = stage.planner.url.as_str();
            let args = ["auth", "login", "--device", "--client-id", CLIENT, "--profile", name];
            let more = ["--authority", &origin, "--graph-url", url];
            let mut command = stage.place.command(&[&args[..], &more].concat());
            command.envs(KEY).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.spawn().unwrap()
        })
        .collect();
    stage.run(&["auth", "logout", "--profile", "first"]).code(0);
    for mut child in children {
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
    let list = stage.run(&["auth", "list", "--json"]).code(0).json();
    let names: Vec<&str> =
        list.as_array().unwrap().iter().map(|one| one["profile"].as_str().unwrap()).collect();
    assert_eq!(names, ["a", "b", "c", "d"]);
    stage.is_tight();
}

#[test]
fn without_a_key_nobody_is_asked_to_sign_in() {
    let stage = Stage::new();
    let origin = stage.origin();
    let args = [
        "auth",
        "login",
        "--device",
        "--client-id",
        CLIENT,
        "--authority",
        &origin,
        "--graph-url",
        &stage.planner.url,
        "--json",
    ];
    let told = stage.place.run(&args).code(5).json();
    assert_eq!(told["error"]["code"], "no_key");
    let hint = told["error"]["hint"].as_str().unwrap();
    assert!(hint.contains("PLANWRIGHT_PASSPHRASE") && hint.contains("PLANWRIGHT_KEY_FILE"));
    assert!(stage.planner.requests().is_empty());
    // A passphrase does as well, and another one opens nothing.
    let right = [("PLANWRIGHT_PASSPHRASE", "open sesame")];
    let wrong = [("PLANWRIGHT_PASSPHRASE", "open barley")];
    stage.place.run_with(&args, "", &right).code(0);
    stage.place.run_with(&["plan", "list"], "", &right).code(0);
    for env in [&wrong[..], &[]] {
        let told = stage.place.run_with(&["plan", "list", "--json"], "", env).code(5).json();
        assert_eq!(told["error"]["code"], "no_key", "{told}");
        let status = stage.place.run_with(&["auth", "status", "--json"], "", env).code(5).json();
        assert_eq!(status["signed_in"], false);
    }
    stage.is_tight();
}

#[test]
fn profiles_are_listed_chosen_and_forgotten() {
    let stage = Stage::new();
    assert_eq!(stage.run(&["auth", "list", "--json"]).code(0).json(), json!([]));
    stage.by_device("work").code(0);
    stage.by_secret().code(0);
    let names = |stage: &Stage| -> Vec<(String, bool)> {
        let list = stage.run(&["auth", "list", "--json"]).code(0).json();
        let one = |it: &Value| (it["profile"].as_str().unwrap().to_owned(), it["default"] == true);
        list.as_array().unwrap().iter().map(one).collect()
    };
    assert_eq!(names(&stage), [("app".to_owned(), false), ("work".to_owned(), true)]);
    stage.run(&["auth", "use", "app"]).code(0);
    assert_eq!(names(&stage), [("app".to_owned(), true), ("work".to_owned(), false)]);
    stage.run(&["auth", "use", "nobody"]).code(2).says(&["embedded, app, work"]);
    let of_work = ["auth", "status", "--profile", "work", "--json"];
    assert_eq!(stage.run(&of_work).code(0).json()["account"]["upn"], "rook@bos.example");
    // The demo board stays within reach, and a ready token goes before every profile.
    stage.run(&["--profile", "embedded", "plan", "list"]).code(0);
    let token = [("PLANWRIGHT_TOKEN", "emulator:mei@bos.example")];
    let url = stage.planner.url.clone();
    let args = ["run", "-", "--json", "--graph-url", &url];
    let report = stage.place.run_with(&args, "print(me().upn);", &token).code(0).json();
    assert_eq!(report["output"][0], "mei@bos.example");
    stage.run(&["auth", "logout"]).code(0);
    assert_eq!(names(&stage), [("work".to_owned(), false)]);
    stage.run(&["auth", "status"]).code(5);
    stage.run(&["auth", "logout", "--profile", "app"]).code(5);
    stage.run(&["auth", "logout", "--profile", "work"]).code(0);
    assert!(!stage.place.path().join("home/.local/share/planwright/sign-in/work.sealed").exists());
    stage.run(&["--as", "rook", "auth", "list"]).code(3).says(&["for people"]);
}

#[test]
fn a_sign_in_again_needs_only_what_has_changed() {
    let stage = Stage::new();
    let few = ["--device", "--client-id", CLIENT, "--profile", "work", "--scopes"];
    stage.login(&[&few[..], &["Tasks.Read User.Read"]].concat(), "").code(0);
    stage
        .run(&["auth", "login"])
        .code(0)
        .says(&["without Tasks.ReadWrite this does not work", "without User.ReadBasic.All"]);
    let status = stage.run(&["auth", "status", "--json"]).code(0).json();
    let missing: Vec<&str> = status["missing"]
        .as_array()
        .unwrap()
        .iter()
        .map(|missing| missing["scope"].as_str().unwrap())
        .collect();
    assert_eq!(missing, ["Tasks.ReadWrite", "User.ReadBasic.All", "GroupMember.Read.All"]);
    let cases: [(&[&str], &str); 8] = [
        (&["auth", "login", "--profile", "new"], "`--client-id` is missing"),
        (&["auth", "login", "--profile", "a/b", "--client-id", CLIENT], "name of a profile"),
        (&["auth", "login", "--profile", "embedded", "--client-id", CLIENT], "demo board"),
        (&["auth", "login", "--profile", "new", "--client-id", "x"], "not the id"),
        (&["auth", "login", "--tenant", "a/b"], "is no tenant"),
        (&["auth", "login", "--authority", "http://login.example"], "plain http is refused"),
        (&["auth", "login", "--device", "--browser"], "cannot be used with"),
        (
            &["auth", "login", "--profile", "new", "--client-id", CLIENT, "--cloud", "china"],
            "has no Planner",
        ),
    ];
    for (args, text) in cases {
        stage.run(args).code(2).says(&[text]);
    }
}

/// The token of a profile goes to the service that it was signed in for.
#[test]
fn another_service_gets_no_token() {
    let stage = Stage::new();
    stage.by_device("work").code(0);
    let (sender, arrived) = mpsc::channel();
    let url = answering(move |path, _| {
        sender.send(path.to_owned()).unwrap();
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}".to_vec()
    });
    stage.run(&["plan", "list", "--graph-url", &url]).code(5).says(&["not signed in"]);
    let named = ["plan", "list", "--profile", "work", "--graph-url", &url];
    stage.run(&named).code(2).says(&["is signed in for"]);
    assert!(arrived.try_recv().is_err());
}

/// A sign-in service that redirects gets nothing more.
#[test]
fn a_redirect_of_the_sign_in_service_is_not_followed() {
    let stage = Stage::new();
    let (sender, arrived) = mpsc::channel();
    let other = answering(move |path, _| {
        sender.send(path.to_owned()).unwrap();
        Vec::new()
    });
    let url = answering(move |_, _| {
        format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: {other}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .into_bytes()
    });
    let authority = url.trim_end_matches("/v1.0");
    let args = [
        "auth",
        "login",
        "--profile",
        "app",
        "--client-id",
        APP,
        "--tenant",
        "bos.example",
        "--authority",
        authority,
        "--secret-file",
        "-",
    ];
    stage.fed(&args, SECRET).code(6);
    assert!(arrived.try_recv().is_err());
}

#[test]
fn a_sign_in_that_is_killed_leaves_the_old_one_or_the_new_one() {
    let stage = Stage::new();
    stage.by_device("work").code(0);
    for n in 0..8_u32 {
        let (sender, asked) = mpsc::channel();
        stage.planner.on_request(move |_, exchange| {
            if exchange.path.ends_with("/token") {
                let _late = sender.send(());
            }
        });
        let origin = stage.origin();
        let mut command = stage.place.command(&["auth", "login", "--authority", &origin]);
        command.envs(KEY).stderr(Stdio::null()).stdout(Stdio::null());
        let mut child = command.spawn().unwrap();
        asked.recv().unwrap();
        // A little later each time, by what the machine does meanwhile and not by a clock.
        for _ in 0..n * 2_000 {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        stage.planner.on_request(|_, _| {});
        stage.run(&["auth", "status"]).code(0);
    }
    stage.is_tight();
    assert!(is_private(&stage.place.path().join("home/.local/share/planwright/sign-in")));
}

#[cfg(unix)]
fn is_private(folder: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o077;
    let mut entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    mode(folder) == 0 && entries.all(|path| mode(&path) == 0)
}

#[cfg(not(unix))]
fn is_private(folder: &Path) -> bool {
    folder.is_dir()
}
