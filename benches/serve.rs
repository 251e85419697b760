//! `planwright serve` under load: many clients ask for runs at once, and each waits for its own.
//!
//! None may be lost, none may have two effects, and the memory of the server must be steady once it is
//! warm; that fails the benchmark. Times are against a floor measured in the same run: `/healthz` of the
//! same server, asked by as many clients, and a bare handler of the same library.
//! `cargo bench --bench serve`; `PLANWRIGHT_TEST_RUNS=10000` asks for more.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark, whose size is up to who runs it"
)]

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::http::Request;
use planwright::emulator::{Emulator, Options, Storage};
use planwright::host::SystemClock;
use serde_json::{Value, json};

const ROOK: &str = "rook@bos.example";
const PLAN: &str = "BOS Operations";
const CLIENTS: usize = 50;
const RUNS: usize = 1_000;
/// Runs after which the memory is looked at, and what it may grow by in the second half of them.
const WARM: usize = 200;
const GROWTH: u64 = 32 << 20;
/// Of so many runs, one writes.
const WRITES: usize = 20;
/// Requests of the floor.
const FLOOR: usize = 5_000;
/// The time between two looks at a run.
const LOOK: Duration = Duration::from_millis(20);

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(load());
}

/// How long requests took.
#[derive(Default)]
struct Times(Mutex<Vec<Duration>>);

impl Times {
    fn add(&self, time: Duration) {
        self.0.lock().unwrap().push(time);
    }

    /// Returns the time that so many of a hundred requests stay below.
    fn below(&self, percent: usize) -> Duration {
        let mut all = self.0.lock().unwrap().clone();
        all.sort();
        all[(all.len() - 1) * percent / 100]
    }

    fn tell(&self, what: &str, floor: &Self) {
        let times = |percent| (self.below(percent), floor.below(percent));
        let ratio = |(own, floor): (Duration, Duration)| own.as_secs_f64() / floor.as_secs_f64();
        let (half, most) = (times(50), times(99));
        println!(
            "  {what:<28} p50 {:>9.2?} ({:.1} × floor)   p99 {:>9.2?} ({:.1} × floor)",
            half.0,
            ratio(half),
            most.0,
            ratio(most),
        );
    }
}

async fn load() {
    let n: usize =
        std::env::var("PLANWRIGHT_TEST_RUNS").ok().and_then(|it| it.parse().ok()).unwrap_or(RUNS);
    let emulator = emulator(n.div_ceil(WRITES));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let graph = format!("http://{}/v1.0", listener.local_addr().unwrap());
    tokio::spawn(emulator.clone().serve(listener, std::future::pending()));
    let dir = tempfile::tempdir().unwrap();
    let config = "[policies]\nalways = []\n[limits]\nquarantine_seconds = 0\n";
    std::fs::write(dir.path().join("planwright.toml"), config).unwrap();
    let token = token(dir.path(), &graph);
    let (mut server, url) = serve(dir.path(), &graph);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();

    let bare = floor(&client, &format!("{}/", bare().await)).await;
    let health = floor(&client, &format!("{url}/healthz")).await;
    println!("{CLIENTS} clients ask for {n} runs");
    bare.tell("a bare handler", &bare);
    health.tell("/healthz", &bare);

    let (next, ids) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(BTreeSet::new())));
    let (asking, looking) = (Arc::new(Times::default()), Arc::new(Times::default()));
    let held = Arc::new(Mutex::new(Vec::new()));
    let begun = Instant::now();
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..CLIENTS {
        let (client, url, token) = (client.clone(), url.clone(), token.clone());
        let (next, ids, held) = (Arc::clone(&next), Arc::clone(&ids), Arc::clone(&held));
        let (asking, looking, id) = (Arc::clone(&asking), Arc::clone(&looking), server.id());
        clients.spawn(async move {
            loop {
                let at = next.fetch_add(1, Ordering::SeqCst);
                if at >= n {
                    return;
                }
                if at % WARM == 0 {
                    held.lock().unwrap().push(memory(id));
                }
                let body = json!({ "script": script(at) }).to_string();
                let sent = Instant::now();
                let asked = client
                    .post(format!("{url}/api/v1/runs"))
                    .bearer_auth(&token)
                    .header("content-type", "application/json")
                    .body(body);
                let answer = asked.send().await.unwrap();
                assert_eq!(answer.status(), 202);
                let accepted: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
                asking.add(sent.elapsed());
                let run = accepted["run_id"].as_str().unwrap().to_owned();
                loop {
                    let sent = Instant::now();
                    let asked = client.get(format!("{url}/api/v1/runs/{run}")).bearer_auth(&token);
                    let text = asked.send().await.unwrap().text().await.unwrap();
                    looking.add(sent.elapsed());
                    let shown: Value = serde_json::from_str(&text).unwrap();
                    if !shown["report"].is_null() {
                        assert_eq!(shown["report"]["result"], at, "{shown}");
                        break;
                    }
                    tokio::time::sleep(LOOK).await;
                }
                assert!(ids.lock().unwrap().insert(run), "a run came twice");
            }
        });
    }
    while let Some(done) = clients.join_next().await {
        done.unwrap();
    }
    let took = begun.elapsed();
    let now = memory(server.id());
    asking.tell("POST runs, under load", &health);
    looking.tell("GET runs/{id}, under load", &health);
    println!("  {:.0} runs a second", n as f64 / took.as_secs_f64());
    let mut held = held.lock().unwrap().clone();
    held.push(now);
    let shown: Vec<String> = held.iter().map(|bytes| (bytes >> 20).to_string()).collect();
    println!("  memory every {WARM} runs, in MiB: {}", shown.join(" "));
    let warm = held[held.len() / 2];
    assert_eq!(ids.lock().unwrap().len(), n, "a run was lost");
    let written = emulator_writes(&emulator);
    assert_eq!(written, n.div_ceil(WRITES), "a run was lost, or had two effects");
    assert!(now <= warm + GROWTH, "the memory grows");
    server.kill().unwrap();
    server.wait().unwrap();
}

/// Returns a script that gives a number back, and now and then writes as well.
fn script(at: usize) -> String {
    if at.is_multiple_of(WRITES) {
        let title = at / WRITES;
        format!("let it = plan(\"{PLAN}\").task(\"Asked for {title}\"); it.priority = 1; {at}")
    } else {
        format!("{at}")
    }
}

fn send(emulator: &Emulator, method: &str, path: &str, body: &Value) -> Value {
    let request = Request::builder()
        .method(method)
        .uri(format!("/v1.0{path}"))
        .header("authorization", format!("Bearer emulator:{ROOK}"))
        .header("host", "127.0.0.1")
        .header("content-type", "application/json")
        .body(if method == "GET" { Vec::new() } else { body.to_string().into_bytes() })
        .unwrap();
    serde_json::from_slice(emulator.dispatch(request).body()).unwrap()
}

fn id_of(list: &Value, field: &str, value: &str) -> String {
    let found = list["value"].as_array().unwrap().iter().find(|it| it[field] == value).unwrap();
    found["id"].as_str().unwrap().to_owned()
}

/// Makes a board with tasks to write.
fn emulator(n: usize) -> Emulator {
    let emulator = Emulator::open(Options::new(Storage::Memory, Arc::new(SystemClock))).unwrap();
    emulator.seed_demo().unwrap();
    let get = |path: &str| send(&emulator, "GET", path, &Value::Null);
    let plan = id_of(&get("/me/planner/plans"), "title", PLAN);
    let bucket = id_of(&get(&format!("/planner/plans/{plan}/buckets")), "name", "Inbox");
    for n in 0..n {
        let task = json!({ "planId": plan, "bucketId": bucket, "title": format!("Asked for {n}") });
        send(&emulator, "POST", "/planner/tasks", &task);
    }
    emulator
}

/// Counts the tasks that were written.
fn emulator_writes(emulator: &Emulator) -> usize {
    let plan = id_of(&send(emulator, "GET", "/me/planner/plans", &Value::Null), "title", PLAN);
    let mut next = Some(format!("/planner/plans/{plan}/tasks"));
    let mut n = 0;
    while let Some(path) = next {
        let page = send(emulator, "GET", &path, &Value::Null);
        let tasks = page["value"].as_array().unwrap().iter();
        let is_written = |task: &&Value| {
            task["priority"] == 1 && task["title"].as_str().unwrap().starts_with("Asked for ")
        };
        n += tasks.filter(is_written).count();
        let link = page["@odata.nextLink"].as_str();
        next = link.map(|link| link.split_once("/v1.0").unwrap().1.to_owned());
    }
    n
}

fn planwright(dir: &Path, graph: &str) -> Command {
    let home = dir.join("home");
    std::fs::create_dir_all(&home).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_planwright"));
    command.env_clear().env("HOME", home).env("TZ", "UTC").env("PLANWRIGHT_KEYRING", "off");
    command.env("PLANWRIGHT_GRAPH_URL", graph).env("PLANWRIGHT_TOKEN", format!("emulator:{ROOK}"));
    command.current_dir(dir).stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

fn token(dir: &Path, graph: &str) -> String {
    let args = ["serve", "token", "create", "--name", "load", "--role", "admin", "--json"];
    let made = planwright(dir, graph).args(args).output().unwrap();
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    made["token"].as_str().unwrap().to_owned()
}

fn serve(dir: &Path, graph: &str) -> (Child, String) {
    let mut child =
        planwright(dir, graph).args(["serve", "--addr", "127.0.0.1:0"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let url = lines.next().unwrap().unwrap();
    lines.next().unwrap().unwrap();
    (child, url)
}

/// Returns the memory that a process holds, in bytes; 0 where the system does not tell.
fn memory(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:"));
    line.and_then(|it| it.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) << 10
}

/// Serves a handler that does nothing; returns its address.
async fn bare() -> String {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = axum::Router::new().route("/", axum::routing::get(|| async { "ok\n" }));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

/// Asks an address again and again, with as many clients as the load has.
async fn floor(client: &reqwest::Client, url: &str) -> Times {
    let times = Arc::new(Times::default());
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..CLIENTS {
        let (client, url, times) = (client.clone(), url.to_owned(), Arc::clone(&times));
        clients.spawn(async move {
            for _ in 0..FLOOR / CLIENTS {
                let sent = Instant::now();
                client.get(&url).send().await.unwrap().text().await.unwrap();
                times.add(sent.elapsed());
            }
        });
    }
    while let Some(done) = clients.join_next().await {
        done.unwrap();
    }
    Arc::into_inner(times).unwrap()
}
