//! The face for programs and the browser, over plain HTTP as a client without manners would speak it.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{PLAN, Place, Planner, between_looks, until};

const TASK: &str = "Book the room for the customer day";

/// A server, which must end with 0 when it is asked to.
pub(crate) struct Server {
    child: Child,
    url: String,
    host: String,
    link: String,
    killed: bool,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:?}\n{}", self.head, self.body);
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    #[track_caller]
    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn text(&self) -> &str {
        &self.body
    }

    pub(crate) fn head(&self, name: &str) -> &str {
        self.head.get(name).map(String::as_str).unwrap_or_default()
    }
}

impl Server {
    pub(crate) fn start(place: &Place) -> Self {
        Self::start_with(place, &[])
    }

    pub(crate) fn start_with(place: &Place, env: &[(&str, &str)]) -> Self {
        Self::start_at(place, &["--addr", "127.0.0.1:0"], env)
    }

    /// Starts it with arguments of its own.
    pub(crate) fn start_at(place: &Place, args: &[&str], env: &[(&str, &str)]) -> Self {
        let mut command = place.command(&[&["serve"], args].concat());
        command.envs(env.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (url, link) = (lines.next().unwrap().unwrap(), lines.next().unwrap().unwrap());
        let host = url.split_once("://").unwrap().1.to_owned();
        let link = link.strip_prefix(&url).unwrap().to_owned();
        assert!(link.starts_with("/login?code="), "{link}");
        Self { child, url, host, link, killed: false }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.host).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    /// Sends a request to the letter.
    fn raw(&self, text: &str) -> Answer {
        let mut stream = self.connect();
        stream.write_all(text.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let mut lines = head.lines();
        let status = lines.next().unwrap_or_default();
        let status = status.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        let head = lines.filter_map(|line| line.split_once(": "));
        let head = head.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        Answer { status, head, body: body.to_owned() }
    }

    pub(crate) fn ask(
        &self,
        method: &str,
        path: &str,
        heads: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let length = body.len().to_string();
        let mut all = vec![("Connection", "close")];
        if !heads.iter().any(|(name, _)| *name == "Host") {
            all.push(("Host", &self.host));
        }
        all.extend(heads);
        if method == "POST" {
            all.push(("Content-Length", &length));
        }
        let head: String = all.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        self.raw(&format!("{method} {path} HTTP/1.1\r\n{head}\r\n{body}"))
    }

    pub(crate) fn get(&self, who: &str, path: &str) -> Answer {
        self.ask("GET", path, &[("Authorization", who)], "")
    }

    pub(crate) fn post(&self, who: &str, path: &str, body: &Value) -> Answer {
        let heads = [("Authorization", who), ("Content-Type", "application/json")];
        self.ask("POST", path, &heads, &body.to_string())
    }

    /// Returns its address, as it is announced.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Returns its host, with the port.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Returns the path of the link that signs in.
    pub(crate) fn link(&self) -> &str {
        &self.link
    }

    /// Ends it in the middle of whatever it does.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.killed = true;
    }

    /// Returns the memory that it holds, in bytes; 0 where the system does not tell.
    pub(crate) fn memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap_or_default();
        let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:"));
        line.and_then(|it| it.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) << 10
    }

    /// Signs in by the printed link; returns the cookie.
    pub(crate) fn sign_in(&self) -> String {
        let answer = self.ask("GET", &self.link, &[], "").is(303);
        assert_eq!(answer.head("location"), "/");
        let cookie = answer.head("set-cookie");
        assert!(cookie.contains("; HttpOnly; SameSite=Strict"), "{cookie}");
        cookie.split(';').next().unwrap().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.killed {
            return;
        }
        #[cfg(unix)]
        {
            let id = rustix::process::Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
            rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        }
        #[cfg(not(unix))]
        self.child.kill().unwrap();
        let code = self.child.wait().unwrap();
        if !std::thread::panicking() && cfg!(unix) {
            assert!(code.success(), "{code}");
        }
    }
}

/// Makes a token; returns the header that brings it.
pub(crate) fn token(place: &Place, name: &str, role: &str) -> String {
    let args = ["serve", "token", "create", "--name", name, "--role", role, "--json"];
    let made = place.run(&args).code(0).json();
    assert_eq!((&made["name"], &made["role"]), (&json!(name), &json!(role)));
    format!("Bearer {}", made["token"].as_str().unwrap())
}

fn script(progress: &str) -> String {
    format!("plan(\"{PLAN}\").task(\"{TASK}\").update(#{{ progress: \"{progress}\" }}); 7")
}

#[test]
fn the_link_signs_in_once_and_the_page_shows_titles_as_text() {
    let planner = Planner::demo();
    let title = "<script>alert(1)</script> \u{202e}gnp.exe";
    let change = json!({ "title": title });
    let task = planner.task(TASK);
    planner.edit(
        "rook@bos.example",
        &format!("/planner/tasks/{}", task["id"].as_str().unwrap()),
        &change,
    );
    let place = Place::against(&planner);
    let server = Server::start(&place);
    server.ask("GET", "/", &[], "").is(303);
    let cookie = server.sign_in();
    server.ask("GET", &server.link, &[], "").is(401);
    let heads = [("Cookie", cookie.as_str())];
    let board = server.ask("GET", "/", &heads, "").is(200);
    assert!(board.body.contains("&#60;script&#62;alert(1)"), "{}", board.body);
    assert!(!board.body.contains("<script>alert") && !board.body.contains('\u{202e}'));
    let policy = board.head("content-security-policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!(board.head("x-content-type-options"), "nosniff");
    // With `no-referrer`, browsers send forms with the origin `null`, which is refused.
    assert_eq!(board.head("referrer-policy"), "same-origin");
    // Neither a script nor a style stands in a page itself.
    for path in ["/runs", "/pending", "/skills", "/agents", "/schedules", "/inbox", "/audit"] {
        let page = server.ask("GET", path, &heads, "").is(200);
        assert!(page.body.contains("<main") && !page.body.contains(" style="), "{path}");
        assert!(!page.body.contains("<style") && !page.body.contains(" onclick"), "{path}");
    }
    let form = [heads[0], ("Content-Type", "application/x-www-form-urlencoded")];
    // A form without the secret of the session.
    server.ask("POST", "/skills/morning_triage/run", &form, "action=preview").is(403);
    let csrf = board.body.split("name=\"csrf\" value=\"").nth(1).unwrap();
    let csrf = csrf.split('"').next().unwrap();
    let preview = format!("csrf={csrf}&action=preview");
    let begun = server.ask("POST", "/skills/morning_triage/run", &form, &preview).is(303);
    let run = server.ask("GET", begun.head("location"), &heads, "").is(200);
    assert!([">previewed<", ">held<"].iter().any(|text| run.body.contains(text)), "{}", run.body);
    assert!(planner.writes().is_empty(), "a preview writes nothing");
    server.ask("POST", "/logout", &form, &format!("csrf={csrf}")).is(303);
    server.ask("GET", "/", &heads, "").is(303);
}

#[test]
fn runs_are_begun_and_read_as_the_command_line_shows_them() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let admin = token(&place, "ana", "admin");
    let server = Server::start(&place);
    let mut events = server.connect();
    let head = format!(
        "GET /api/v1/events HTTP/1.1\r\nHost: {}\r\nAuthorization: {admin}\r\n\r\n",
        server.host
    );
    events.write_all(head.as_bytes()).unwrap();
    let mut events = BufReader::new(events).lines();
    assert!(events.next().unwrap().unwrap().contains(" 200 "));

    let report = server
        .post(&admin, "/api/v1/runs?wait=30", &json!({ "script": script("in_progress") }))
        .is(200)
        .json();
    assert_eq!((&report["status"], &report["result"]), (&json!("applied"), &json!(7)), "{report}");
    assert_eq!(planner.task(TASK)["percentComplete"], 50);
    let told = |kind: &str| format!("event: {kind}");
    let mut wanted = vec![told("run"), told("board")];
    while let Some(Ok(line)) = events.next() {
        wanted.retain(|event| *event != line);
        if wanted.is_empty() {
            break;
        }
    }
    assert!(wanted.is_empty(), "{wanted:?}");

    let accepted = server.post(
        &admin,
        "/api/v1/runs",
        &json!({ "script": script("completed"), "dry_run": true }),
    );
    let accepted = accepted.is(202);
    let id = accepted.json()["run_id"].as_str().unwrap().to_owned();
    assert_eq!(accepted.head("location"), format!("/api/v1/runs/{id}"));
    let mut run = Value::Null;
    while run["status"].is_null() || run["status"] == "queued" {
        between_looks();
        run = server.get(&admin, accepted.head("location")).is(200).json();
    }
    assert_eq!((&run["run_id"], &run["status"]), (&json!(id), &json!("previewed")));
    let shown = place.run(&["runs", "--json"]).code(0).json();
    assert_eq!(server.get(&admin, "/api/v1/runs").is(200).json(), shown);
    let first = server.get(&admin, "/api/v1/runs?limit=1").is(200);
    assert_eq!(first.json()[0], shown[0]);
    let next = first.head("link").split(['<', '>']).nth(1).unwrap().to_owned();
    assert_eq!(server.get(&admin, &next).is(200).json()[0], shown[1]);
    let whole = place.run(&["runs", "show", &id, "--json"]).code(0).json();
    assert_eq!(server.get(&admin, &format!("/api/v1/runs/{id}")).is(200).json(), whole);
    let list = |args: &[&str]| place.run(args).code(0).json();
    assert_eq!(server.get(&admin, "/api/v1/skills").json(), list(&["skill", "list", "--json"]));
    let policies = list(&["policy", "list", "--json"]);
    assert_eq!(server.get(&admin, "/api/v1/policies").json(), policies);
    let board = server.get(&admin, "/api/v1/boards/BOS%20Operations").is(200).json();
    let titles = board["buckets"].as_array().unwrap().iter();
    let titles = titles.flat_map(|bucket| bucket["tasks"].as_array().unwrap());
    assert!(titles.into_iter().any(|task| task["title"] == TASK), "{board}");

    for (body, status, code) in [
        (json!({ "skill": "no_such_skill" }), 404, "not_found"),
        (json!({ "skil": "x" }), 400, "parameter"),
        (json!({ "skill": 7 }), 400, "parameter"),
        (json!({}), 400, "parameter"),
        (json!([]), 400, "invalid"),
    ] {
        let refused = server.post(&admin, "/api/v1/runs", &body).is(status);
        assert_eq!(refused.code(), code, "{body}");
    }
    let slip = server.post(&admin, "/api/v1/runs", &json!({ "skill": "mornin_triage" })).is(404);
    assert_eq!(slip.json()["error"]["hint"], "did you mean `morning_triage`?");
    assert_eq!(server.get(&admin, "/api/v1/runs/ffff").is(404).code(), "not_found");
    let paths = [
        "runs?cursor=",
        "inbox?cursor=7",
        "audit?cursor=x",
        "runs?limit=",
        "runs?limit=x",
        "runs?bogus=1",
    ];
    for path in paths.into_iter().chain([
        "runs?limit=1&limit=2",
        "pending?all=1",
        "audit?text=",
        "audit?text=a&text=b",
    ]) {
        let refused = server.get(&admin, &format!("/api/v1/{path}")).is(400);
        assert_eq!(refused.code(), "parameter", "{path}");
    }
    server.post(&admin, "/api/v1/inbox", &json!({ "skill": "x", "unknown": null })).is(400);
    let cookie = server.sign_in();
    let page = server.ask("GET", "/runs", &[("Cookie", &cookie)], "").is(200).body;
    let chart = page.split("<figure").find(|figure| figure.contains("Median run")).unwrap();
    assert!(chart.contains(" ms</title>") || chart.contains(" s</title>"), "{chart}");
    let figures = server.ask("GET", "/metrics", &[], "").is(200).body;
    assert!(figures.contains("planwright_runs_total{status=\"applied\"} 1"), "{figures}");
}

#[test]
fn a_held_set_is_approved_once_by_whoever_may() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", "[agents.rook]\nmay_apply = \"approved\"\n");
    let admin = token(&place, "ana", "admin");
    let approver = token(&place, "ben", "approver");
    let viewer = token(&place, "vic", "viewer");
    let server = Server::start(&place);
    let wish = json!({ "script": script("completed"), "agent": "rook" });
    let report = server.post(&admin, "/api/v1/runs?wait=30", &wish).is(200).json();
    assert_eq!(report["status"], "held", "{report}");
    let pending = server.get(&viewer, "/api/v1/pending").is(200).json();
    assert_eq!(pending, place.run(&["pending", "--json"]).code(0).json());
    let (id, digest) = (pending[0]["id"].as_str().unwrap(), &pending[0]["digest"]);
    let path = format!("/api/v1/pending/{id}");
    let set = server.get(&viewer, &path).is(200).json();
    assert_eq!(set["changes"][0]["fields"]["percentComplete"]["after"], 100);
    let (approve, reject) = (format!("{path}/approve"), format!("{path}/reject"));
    assert_eq!(server.post(&viewer, &approve, &json!({})).is(403).code(), "not_permitted");
    let other = json!({ "digest": "sha256:00" });
    assert_eq!(server.post(&approver, &approve, &other).is(409).code(), "not_pending");
    server.post(&approver, &reject, &json!({})).is(400);
    assert_eq!(planner.task(TASK)["percentComplete"], 0);
    let seen = json!({ "digest": digest, "note": "as agreed" });
    let applied = server.post(&approver, &approve, &seen).is(200).json();
    assert_eq!(applied["status"], "applied", "{applied}");
    assert_eq!(planner.task(TASK)["percentComplete"], 100);
    server.post(&approver, &approve, &json!({})).is(409);
    let all = server.get(&viewer, "/api/v1/pending?all=true").is(200).json();
    assert_eq!((&all[0]["state"], &all[0]["decided_by"]), (&json!("applied"), &json!("ben")));
    // What the next one wants can be seen on its card, and is rejected.
    let urgent = script("completed").replace("progress: \"completed\"", "priority: \"urgent\"");
    let wish = json!({ "script": urgent, "agent": "rook" });
    let report = server.post(&admin, "/api/v1/runs?wait=30", &wish).is(200).json();
    let cookie = server.sign_in();
    let board = server.ask("GET", "/", &[("Cookie", &cookie)], "").is(200).body;
    assert!(board.contains("<ins>urgent</ins>"), "{board}");
    let reject = format!("/api/v1/pending/{}/reject", report["pending"].as_str().unwrap());
    let other = json!({ "digest": "sha256:00", "note": "it is done" });
    assert_eq!(server.post(&approver, &reject, &other).is(409).code(), "not_pending");
    server.post(&approver, &reject, &json!({ "note": "it is done" })).is(200);
    assert_eq!(server.get(&viewer, "/api/v1/pending").json(), json!([]));
    // A pause keeps the agent from writing.
    server.post(&approver, "/api/v1/agents/rook/pause", &json!({ "reason": "a look" })).is(200);
    let agents = server.get(&viewer, "/api/v1/agents").is(200).json();
    assert_eq!(
        (&agents[0]["paused"], &agents[0]["paused_reason"]),
        (&json!(true), &json!("a look"))
    );

    let report = server.post(&admin, "/api/v1/runs?wait=30", &wish).is(200).json();
    assert_eq!(report["error"]["code"], "paused", "{report}");
    server.post(&approver, "/api/v1/agents/rook/resume", &json!({})).is(200);
    assert_eq!(server.post(&admin, "/api/v1/agents/no/pause", &json!({})).is(403).code(), "agent");
}

#[test]
fn a_skill_that_does_not_compile_any_more_is_told_of() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", "");
    place.file("scripts/skills/tick.rhai", "//! Ticks.\n1\n");
    let admin = token(&place, "ana", "admin");
    let server = Server::start(&place);
    let listed = |server: &Server| {
        let skills = server.get(&admin, "/api/v1/skills").is(200).json();
        skills.as_array().unwrap().iter().find(|skill| skill["name"] == "tick").unwrap().clone()
    };
    assert_eq!(listed(&server)["problem"], Value::Null);
    place.file("scripts/skills/tick.rhai", "//! Ticks.\nlet x = ;\n");
    // It is noticed when the file system tells, or at the next look.
    let problem = loop {
        let problem = listed(&server)["problem"].clone();
        if !problem.is_null() {
            break problem;
        }
        between_looks();
    };
    assert!(problem.as_str().unwrap().starts_with("skills/tick.rhai:2: "), "{problem}");
    let report =
        server.post(&admin, "/api/v1/runs?wait=30", &json!({ "skill": "tick" })).is(200).json();
    assert_eq!(report["result"], 1, "the last good version: {report}");
    let figures = server.get(&admin, "/metrics").is(200).body;
    assert!(figures.contains("planwright_runs_open 0"), "{figures}");
    drop(server);
    // Nobody sits at what serves, so it is in the log as well.
    let logged = "the last good version stays in force: skills/tick.rhai:2: ";
    place.run(&["work", "--once"]).code(0).says(&[logged]);
}

#[test]
fn a_skill_that_an_agent_proposes_waits_on_the_page_as_well() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", "[agents.rook]\n");
    place.file("count.rhai", "//! Counts <b>plans</b>.\nplans().len()\n");
    let args = ["skill", "propose", "count", "count.rhai", "--reason", "Asked", "--json"];
    let proposed = place.run(&[&args[..], &["--as", "rook"]].concat()).code(7).json();
    let (viewer, approver) = (token(&place, "vic", "viewer"), token(&place, "ben", "approver"));
    let server = Server::start(&place);
    let pending = server.get(&viewer, "/api/v1/pending").is(200).json();
    assert_eq!(pending, place.run(&["pending", "--json"]).code(0).json());
    let path = format!("/api/v1/pending/{}", proposed["id"].as_str().unwrap());
    let whole = server.get(&viewer, &path).is(200).json();
    assert!(whole["diff"].as_str().unwrap().contains("+plans().len()"), "{whole}");
    let cookie = server.sign_in();
    let page = server.ask("GET", "/pending", &[("Cookie", &cookie)], "").is(200).body;
    assert!(page.contains("+plans().len()") && !page.contains("<b>plans</b>"), "{page}");
    let approve = format!("{path}/approve");
    assert_eq!(server.post(&viewer, &approve, &json!({})).is(403).code(), "not_permitted");
    let other = json!({ "digest": "sha256:00" });
    assert_eq!(server.post(&approver, &approve, &other).is(409).code(), "not_pending");
    let seen = json!({ "digest": whole["digest"] });
    assert_eq!(server.post(&approver, &approve, &seen).is(200).json()["state"], "applied");
    assert_eq!(place.run(&["run", "count", "--json"]).code(0).json()["result"], 2);
    server.post(&approver, &approve, &seen).is(409);
}

#[test]
fn nobody_and_no_viewer_changes_anything_on_any_route() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", "[agents.rook]\n");
    let viewer = token(&place, "vic", "viewer");
    let agent = place.run(&["serve", "token", "create", "--agent", "rook", "--json"]);
    let agent = format!("Bearer {}", agent.code(0).json()["token"].as_str().unwrap());
    let server = Server::start(&place);
    // All but what was refused to whom.
    let written = || {
        let all = place.run(&["audit", "export"]).code(0).stdout;
        let records = all.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let (refused, others): (Vec<Value>, Vec<Value>) =
            records.partition(|record| record["kind"] == "turned_away");
        (refused, others.len())
    };
    let before = written().1;
    let document = server.ask("GET", "/openapi.json", &[], "").is(200).json();
    let mut n = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        let path =
            path.replace("{id}", "0199f3c2").replace("{name}", "rook").replace("{plan}", PLAN);
        let path = path.replace(' ', "%20");
        for (method, operation) in methods.as_object().unwrap() {
            let is_open = operation["security"] == json!([]) || path == "/metrics";
            let ask = |who: &[(&str, &str)]| {
                let heads = [who, &[("Content-Type", "application/json")]].concat();
                server.ask(&method.to_uppercase(), &path, &heads, "{}")
            };
            n += 1;
            let mut cut = viewer.clone();
            cut.pop();
            let strangers = [
                vec![],
                vec![("Authorization", "Bearer x")],
                vec![("Authorization", cut.as_str())],
            ];
            for stranger in strangers {
                let answer = ask(&stranger);
                assert_eq!(answer.status == 401, !is_open, "{method} {path}: {answer:?}");
            }
            if !is_open {
                ask(&[("Authorization", &agent)]).is(403);
            }
            if method == "post" {
                ask(&[("Authorization", &viewer)]).is(403);
            }
        }
    }
    assert!(n > 20, "{n} routes");
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    for path in ["/skills/morning_triage/run", "/pending/0199f3c2/approve", "/agents/rook/pause"] {
        let answer = server.ask("POST", path, &form, "reason=x").is(303);
        assert_eq!(answer.head("location"), "/login");
    }
    let (refused, after) = written();
    assert_eq!(after, before);
    // Each route once for each token, however often it was asked; of strangers, nothing.
    let of = |name: &str, route: &str| {
        let is =
            |record: &&Value| record["by"]["name"] == name && record["detail"]["tool"] == route;
        refused.iter().filter(is).count()
    };
    for route in ["POST /api/v1/runs", "POST /api/v1/pending/{id}/approve"] {
        assert_eq!((of("vic", route), of("rook", route)), (1, 1), "{route}: {refused:?}");
    }
    assert_eq!((of("vic", "GET /api/v1/runs"), of("rook", "GET /api/v1/runs")), (0, 1));
    for record in &refused {
        let detail = &record["detail"];
        let (is_agent, is_person) = (detail["agent"] == "rook", detail["token"] == "vic");
        assert!(is_agent != is_person && detail["code"] == "not_permitted", "{record}");
    }
    place.run(&["audit", "verify"]).code(0);
    assert!(planner.writes().is_empty());
    // A token that is taken away opens nothing, a second later.
    server.get(&viewer, "/api/v1/runs").is(200);
    place.run(&["serve", "token", "revoke", "--name", "vic"]).code(0).says(&["opens nothing"]);
    until(|| server.get(&viewer, "/api/v1/runs").status != 200);
    // The agent gets to its own server for models, and nobody else does.
    let hello = json!({
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" },
        },
    });
    let to_models = |who: &str| {
        let heads = [
            ("Authorization", who),
            ("Content-Type", "application/json"),
            ("Accept", "application/json, text/event-stream"),
        ];
        server.ask("POST", "/mcp", &heads, &hello.to_string())
    };
    assert!(to_models(&agent).is(200).body.contains("\"serverInfo\""));
    to_models("Bearer x").is(401);
}

#[test]
fn a_page_of_somebody_else_reaches_nothing() {
    let place = Place::embedded();
    let admin = token(&place, "ana", "admin");
    let server = Server::start(&place);
    let port = server.host.rsplit(':').next().unwrap();
    let own = format!("http://{}", server.host);
    let of = |host: &str, origin: &str, method: &str| {
        let mut heads = vec![("Host", host), ("Authorization", &admin)];
        if !origin.is_empty() {
            heads.push(("Origin", origin));
        }
        server.ask(method, "/api/v1/runs", &heads, "").status
    };
    let local = format!("localhost:{port}");
    assert_eq!(of(&server.host, &own, "GET"), 200);
    assert_eq!(of(&local, &format!("http://{local}"), "GET"), 200);
    for host in ["evil.example", "127.0.0.1", "0.0.0.0:80", &format!("127.1:{port}")] {
        assert_eq!(of(host, "", "GET"), 403, "{host}");
    }
    for origin in ["null", "https://evil.example", &format!("http://{local}"), "http://127.0.0.1"] {
        for method in ["GET", "POST", "DELETE", "OPTIONS"] {
            assert_eq!(of(&server.host, origin, method), 403, "{origin} {method}");
        }
    }
    // A form, or JSON that a page can send without being asked first.
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
        let heads = [("Authorization", admin.as_str()), ("Content-Type", kind)];
        server.ask("POST", "/api/v1/runs", &heads, "{\"script\":\"1\"}").is(415);
    }
    let heads = [("Authorization", admin.as_str()), ("Content-Type", "application/json")];
    let large = format!("{{\"script\":\"{}\"}}", " ".repeat(1 << 20));
    server.ask("POST", "/api/v1/runs", &heads, &large).is(413);
    server.ask("DELETE", "/api/v1/runs", &heads, "").is(405);
    server.ask("GET", "/assets/../../etc/passwd", &heads, "").is(404);
    server.ask("GET", "/nothing", &heads, "").is(404);
    let twice = format!(
        "GET / HTTP/1.1\r\nHost: {0}\r\nHost: {0}\r\nConnection: close\r\n\r\n",
        server.host
    );
    assert!([400, 403].contains(&server.raw(&twice).status));
    server.ask("GET", "/healthz", &[], "").is(200);
    server.ask("GET", "/readyz", &[], "").is(200);
    let beyond = place.run(&["serve", "--addr", "0.0.0.0:0"]).code(2);
    beyond.says(&["can be reached from other machines", "--tls-cert"]);
    let list = place.run(&["serve", "token", "list", "--json"]).code(0).json();
    assert_eq!((list.as_array().unwrap().len(), &list[0]["name"]), (1, &json!("ana")));
    place.run(&["serve", "token", "create", "--name", "ana", "--role", "viewer"]).code(2);
    place.run_with(&["serve", "token", "list"], "", &[("PLANWRIGHT_AGENT", "rook")]).code(3);
}
