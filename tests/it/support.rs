//! What the tests of the program share: a Planner to run against, and a clean environment.
//!
//! The Planner is the emulator behind a real socket. It keeps a log of every request and can be
//! told to do something when a request arrives, which is how someone else's edit comes between
//! a run's read and its write.

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::http::Request;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use planwright::emulator::{Emulator, Exchange, Lag, Options, Storage, Throttle};
use planwright::host::SystemClock;
use planwright::model::time::{Clock as _, day_of_moment};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;

pub(crate) const ROOK: &str = "rook@bos.example";
pub(crate) const PLAN: &str = "BOS Operations";

thread_local! {
    /// Whether this thread does what a hook asks for.
    static IN_HOOK: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

type Hook = Box<dyn FnMut(&Emulator, &Exchange) + Send>;

/// A served Planner with the demo tenant.
pub(crate) struct Planner {
    pub(crate) url: String,
    emulator: Emulator,
    log: Arc<Mutex<Vec<Exchange>>>,
    hook: Arc<Mutex<Option<Hook>>>,
    /// Whether requests are the test's own, which are not logged.
    quiet: Arc<AtomicBool>,
    stop: Option<oneshot::Sender<()>>,
    server: Option<JoinHandle<()>>,
}

impl Planner {
    pub(crate) fn demo() -> Self {
        Self::demo_in_pages_of(400)
    }

    pub(crate) fn demo_in_pages_of(page_size: usize) -> Self {
        let log: Arc<Mutex<Vec<Exchange>>> = Arc::default();
        let hook: Arc<Mutex<Option<Hook>>> = Arc::default();
        let itself: Arc<Mutex<Option<Emulator>>> = Arc::default();
        let quiet = Arc::new(AtomicBool::new(true));
        let mut options = Options::new(Storage::Memory, Arc::new(SystemClock));
        options.zone = zone();
        options.page_size = page_size;
        options.observer = Some({
            let (log, hook, itself) = (log.clone(), hook.clone(), itself.clone());
            let quiet = quiet.clone();
            Arc::new(move |exchange: &Exchange| {
                if quiet.load(Ordering::SeqCst) {
                    return;
                }
                if exchange.status.is_some() {
                    log.lock().unwrap().push(exchange.clone());
                    return;
                }
                // What it does are requests too; those that arrive meanwhile wait for it.
                if IN_HOOK.replace(true) {
                    return;
                }
                if let Some(act) = hook.lock().unwrap().as_mut() {
                    let emulator = itself.lock().unwrap().clone().unwrap();
                    act(&emulator, exchange);
                }
                IN_HOOK.set(false);
            })
        });
        let emulator = Emulator::open(options).unwrap();
        emulator.seed_demo().unwrap();
        *itself.lock().unwrap() = Some(emulator.clone());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}/v1.0", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let served = emulator.clone();
        let server = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let end = async {
                    let _ = stopped.await;
                };
                served.serve(listener, end).await.unwrap();
            });
        });
        quiet.store(false, Ordering::SeqCst);
        Self { url, emulator, log, hook, quiet, stop: Some(stop), server: Some(server) }
    }

    /// Makes trouble, in the form of the emulator's `/control/faults`.
    pub(crate) fn faults(&self, rules: &Value) {
        let rules = serde_json::from_value(rules.clone()).unwrap();
        self.emulator.set_faults(rules).unwrap();
    }

    /// Waits until everything is done that clients have left behind which are dead.
    pub(crate) fn settle(&self) {
        let address = self.url.trim_start_matches("http://").trim_end_matches("/v1.0");
        self.quiet.store(true, Ordering::SeqCst);
        // Connections are accepted one after the other: by its answer, all before it have been.
        let mut last = std::net::TcpStream::connect(address).unwrap();
        let request =
            format!("GET /v1.0/me HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        last.write_all(request.as_bytes()).unwrap();
        let _ = last.read_to_end(&mut Vec::new());
        drop(last);
        until(|| self.emulator.is_idle());
        self.quiet.store(false, Ordering::SeqCst);
    }

    /// Limits writes to a rate and a burst.
    pub(crate) fn throttle(&self, writes_per_s: f64, burst: u32) {
        self.emulator.set_throttle(Some(Throttle { writes_per_s, burst: Some(burst) })).unwrap();
    }

    /// Lets what was just made be hidden for a while.
    pub(crate) fn lag(&self, lag: Lag) {
        self.emulator.set_lag(lag).unwrap();
    }

    /// Adds what a seed describes.
    pub(crate) fn seed(&self, tenant: &Value) {
        self.emulator.seed(&tenant.to_string()).unwrap();
    }

    /// Does something whenever a request arrives, before it is handled.
    pub(crate) fn on_request(&self, act: impl FnMut(&Emulator, &Exchange) + Send + 'static) {
        *self.hook.lock().unwrap() = Some(Box::new(act));
    }

    /// Returns the requests so far as `METHOD /path`, and forgets them.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.exchanges().iter().map(|it| format!("{} {}", it.method, it.path)).collect()
    }

    /// Returns the requests so far in full, and forgets them.
    pub(crate) fn exchanges(&self) -> Vec<Exchange> {
        std::mem::take(&mut self.log.lock().unwrap())
    }

    /// Returns the requests so far that change something, in full, and forgets them all.
    pub(crate) fn writes(&self) -> Vec<Exchange> {
        let mut all = self.exchanges();
        all.retain(|it| it.method != "GET" && !it.path.ends_with("/$batch"));
        all
    }

    /// Asks as a user, past the log.
    /// Creates something as a user, unseen by the log; returns it.
    pub(crate) fn create(&self, user: &str, path: &str, body: &Value) -> Value {
        self.quiet.store(true, Ordering::SeqCst);
        let created = send(&self.emulator, user, "POST", path, body);
        self.quiet.store(false, Ordering::SeqCst);
        created
    }

    /// Writes in the chat of a task, which only the beta has.
    pub(crate) fn say(&self, user: &str, task: &str, text: &str) {
        self.quiet.store(true, Ordering::SeqCst);
        say(&self.emulator, user, task, text);
        self.quiet.store(false, Ordering::SeqCst);
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        self.quiet.store(true, Ordering::SeqCst);
        let value = get(&self.emulator, ROOK, path);
        self.quiet.store(false, Ordering::SeqCst);
        value
    }

    /// Returns the id of the plan that the tests are about.
    pub(crate) fn plan_id(&self) -> String {
        self.plan_named(PLAN)
    }

    pub(crate) fn plan_named(&self, title: &str) -> String {
        id_where(&self.get("/me/planner/plans"), "title", title)
    }

    pub(crate) fn bucket_id(&self, name: &str) -> String {
        let buckets = self.get(&format!("/planner/plans/{}/buckets", self.plan_id()));
        id_where(&buckets, "name", name)
    }

    pub(crate) fn task(&self, title: &str) -> Value {
        let tasks = self.get(&format!("/planner/plans/{}/tasks", self.plan_id()));
        let found = tasks["value"].as_array().unwrap().iter().find(|it| it["title"] == title);
        found.unwrap_or_else(|| panic!("no task {title}")).clone()
    }

    /// Returns everything on the plan's board, tags included.
    pub(crate) fn board(&self) -> Value {
        let plan = self.plan_id();
        let tasks = self.get(&format!("/planner/plans/{plan}/tasks"));
        let buckets = self.get(&format!("/planner/plans/{plan}/buckets"));
        serde_json::json!([tasks, buckets])
    }

    /// Deletes as a user, past the log and the hook.
    pub(crate) fn delete(&self, user: &str, path: &str) {
        self.quiet.store(true, Ordering::SeqCst);
        let tag = get(&self.emulator, user, path)["@odata.etag"].as_str().unwrap().to_owned();
        let request = Request::delete(format!("/v1.0{path}"))
            .header("authorization", format!("Bearer emulator:{user}"))
            .header("host", "127.0.0.1")
            .header("if-match", tag)
            .body(Vec::new())
            .unwrap();
        assert_eq!(self.emulator.dispatch(request).status(), 204, "DELETE {path}");
        self.quiet.store(false, Ordering::SeqCst);
    }

    /// Writes as a user, past the log and the hook.
    pub(crate) fn edit(&self, user: &str, path: &str, body: &Value) {
        self.quiet.store(true, Ordering::SeqCst);
        edit(&self.emulator, user, path, body);
        self.quiet.store(false, Ordering::SeqCst);
    }
}

impl Drop for Planner {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(server) = self.server.take() {
            server.join().unwrap();
        }
    }
}

fn id_where(list: &Value, field: &str, value: &str) -> String {
    let found = list["value"].as_array().unwrap().iter().find(|it| it[field] == value);
    found.unwrap_or_else(|| panic!("no {field} {value}"))["id"].as_str().unwrap().to_owned()
}

pub(crate) fn get(emulator: &Emulator, user: &str, path: &str) -> Value {
    let request = Request::get(format!("/v1.0{path}"))
        .header("authorization", format!("Bearer emulator:{user}"))
        .header("host", "127.0.0.1")
        .body(Vec::new())
        .unwrap();
    let answer = emulator.dispatch(request);
    assert!(answer.status().is_success(), "GET {path}: {}", answer.status());
    serde_json::from_slice(answer.body()).unwrap()
}

/// Writes as a user, without a tag; returns what was made.
pub(crate) fn send(
    emulator: &Emulator,
    user: &str,
    method: &str,
    path: &str,
    body: &Value,
) -> Value {
    send_at("/v1.0", emulator, user, (method, path), body)
}

/// Writes in the chat of a task, which only the beta has.
pub(crate) fn say(emulator: &Emulator, user: &str, task: &str, text: &str) {
    let (path, body) = (format!("/planner/tasks/{task}/messages"), json!({ "content": text }));
    send_at("/beta", emulator, user, ("POST", &path), &body);
}

fn send_at(
    root: &str,
    emulator: &Emulator,
    user: &str,
    (method, path): (&str, &str),
    body: &Value,
) -> Value {
    let request = Request::builder()
        .method(method)
        .uri(format!("{root}{path}"))
        .header("authorization", format!("Bearer emulator:{user}"))
        .header("host", "127.0.0.1")
        .header("content-type", "application/json")
        .body(body.to_string().into_bytes())
        .unwrap();
    let answer = emulator.dispatch(request);
    assert!(answer.status().is_success(), "{method} {path}: {}", answer.status());
    serde_json::from_slice(answer.body()).unwrap()
}

/// Patches what is there now, on its present tag.
pub(crate) fn edit(emulator: &Emulator, user: &str, path: &str, body: &Value) {
    edit_at("/v1.0", emulator, user, path, body);
}

/// The same with Graph's beta.
pub(crate) fn edit_beta(emulator: &Emulator, user: &str, path: &str, body: &Value) {
    edit_at("/beta", emulator, user, path, body);
}

fn edit_at(root: &str, emulator: &Emulator, user: &str, path: &str, body: &Value) {
    let tag = get(emulator, user, path)["@odata.etag"].as_str().unwrap().to_owned();
    let request = Request::patch(format!("{root}{path}"))
        .header("authorization", format!("Bearer emulator:{user}"))
        .header("host", "127.0.0.1")
        .header("content-type", "application/json")
        .header("if-match", tag)
        .body(body.to_string().into_bytes())
        .unwrap();
    let answer = emulator.dispatch(request);
    assert_eq!(answer.status(), 204, "PATCH {path}");
}

/// Tells whether a request changes something, by itself or in a batch.
pub(crate) fn is_write(exchange: &Exchange) -> bool {
    let parts = exchange.body.as_ref().and_then(|it| it.get("requests")?.as_array());
    match parts {
        Some(parts) => parts.iter().any(|it| it["method"] != "GET"),
        None => exchange.method != "GET",
    }
}

/// Serves an answer, by path and base URL, to whoever asks.
pub(crate) fn answering(answer: impl Fn(&str, &str) -> Vec<u8> + Send + 'static) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1.0", listener.local_addr().unwrap());
    let base = url.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head);
            let path = head.split(' ').nth(1).unwrap_or_default();
            let _ = stream.write_all(&answer(path, &base));
        }
    });
    url
}

/// Runs a test that depends on the day staying the same, and runs it again if it failed and a day
/// began somewhere. In every zone midnight and clock changes fall on quarters of an hour.
pub(crate) fn on_one_day(test: impl Fn()) {
    let quarter = || SystemClock.now().as_second().div_euclid(15 * 60);
    let began = quarter();
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(&test));
    match result {
        Err(failure) if quarter() == began => std::panic::resume_unwind(failure),
        Err(_) => test(),
        Ok(()) => {}
    }
}

/// Returns what day it is for the program.
pub(crate) fn today() -> Date {
    day_of_moment(SystemClock.now(), &zone())
}

/// Returns the zone that the program runs in.
fn zone() -> TimeZone {
    if shifted_clock().is_empty() { TimeZone::UTC } else { TimeZone::system() }
}

/// Returns the environment that gives the program the clock and zone of the tests, where those run
/// under `faketime` (`.ci/other-clock`).
#[expect(clippy::disallowed_methods, reason = "the clock is shifted by whoever starts the tests")]
fn shifted_clock() -> Vec<(&'static str, OsString)> {
    if std::env::var_os("FAKETIME").is_none() {
        return Vec::new();
    }
    ["LD_PRELOAD", "FAKETIME", "FAKETIME_SHARED", "DONT_FAKE_MONOTONIC", "TZ"]
        .into_iter()
        .filter_map(|name| Some((name, std::env::var_os(name)?)))
        .collect()
}

/// Where the program runs: a home, a working folder, nothing else.
pub(crate) struct Place {
    dir: TempDir,
    pub(crate) graph_url: Option<String>,
    token: Option<String>,
}

/// What a run of the program left.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Place {
    /// With the embedded Planner.
    pub(crate) fn embedded() -> Self {
        Self { dir: TempDir::new().unwrap(), graph_url: None, token: None }
    }

    /// Against a served Planner, signed in as rook.
    pub(crate) fn against(planner: &Planner) -> Self {
        Self::against_url(&planner.url, &format!("emulator:{ROOK}"))
    }

    pub(crate) fn against_url(url: &str, token: &str) -> Self {
        Self {
            dir: TempDir::new().unwrap(),
            graph_url: Some(url.to_owned()),
            token: Some(token.to_owned()),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Returns the state folder of whoever runs the program here.
    pub(crate) fn state(&self) -> std::path::PathBuf {
        self.path().join("home/.local/share/planwright")
    }

    /// Writes a file below the working folder, which makes a workspace of it if it is a
    /// `planwright.toml`.
    pub(crate) fn file(&self, path: &str, text: &str) -> &Self {
        let path = self.dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    #[must_use]
    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.run_with(args, "", &[])
    }

    /// Runs the program and returns also the most memory that it or a process of its held, in bytes,
    /// as the system tells it while it runs; 0 where it does not.
    pub(crate) fn measured(&self, args: &[&str], stdin: &str) -> (Output, u64) {
        let path = |name: &str| self.path().join(name);
        let file = |name: &str| std::fs::File::create(path(name)).unwrap();
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(file("stdout.txt")).stderr(file("stderr.txt"));
        let mut child = command.spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        let mut peak = 0;
        while child.try_wait().unwrap().is_none() {
            peak = peak.max(most_memory(child.id(), std::process::id()));
            between_looks();
        }
        let text = |name: &str| std::fs::read_to_string(path(name)).unwrap();
        let code = child.wait().unwrap().code().unwrap_or(-1);
        (Output { code, stdout: text("stdout.txt"), stderr: text("stderr.txt") }, peak)
    }

    /// Runs a script given on standard input.
    #[must_use]
    #[track_caller]
    pub(crate) fn script(&self, text: &str, more: &[&str]) -> Output {
        self.run_with(&[&["run", "-"], more].concat(), text, &[])
    }

    /// Starts the program without waiting for it.
    pub(crate) fn start(&self, args: &[&str], stdin: &str) -> Child {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        child
    }

    /// Returns the program, with nothing in its environment but what a test is about.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let home = self.dir.path().join("home");
        std::fs::create_dir_all(&home).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_planwright"));
        command.env_clear().env("HOME", &home).current_dir(self.dir.path()).args(args);
        command.env("TZ", "UTC").envs(shifted_clock());
        // That of whoever runs the tests is none of their business.
        command.env("PLANWRIGHT_KEYRING", "off");
        if let Some(url) = &self.graph_url {
            command.env("PLANWRIGHT_GRAPH_URL", url);
        }
        if let Some(token) = &self.token {
            command.env("PLANWRIGHT_TOKEN", token);
        }
        command
    }

    #[must_use]
    #[track_caller]
    pub(crate) fn run_with(&self, args: &[&str], stdin: &str, env: &[(&str, &str)]) -> Output {
        let mut command = self.command(args);
        command.envs(env.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A program that ends before it reads leaves a broken pipe, which is its right.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let output = Output {
            code: output.status.code().unwrap_or(-1),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        };
        if let Some(token) = &self.token {
            assert!(!output.stdout.contains(token), "the token is in stdout");
            assert!(!output.stderr.contains(token), "the token is in stderr");
        }
        assert!(!output.stderr.contains("panicked"), "{}", output.stderr);
        output
    }
}

impl Output {
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "\nstdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}\n{}", self.stdout, self.stderr))
    }

    /// Checks that standard error has each of these texts.
    #[track_caller]
    pub(crate) fn says(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.stderr.contains(text), "no `{text}` in:\n{}", self.stderr);
        }
        self
    }
}

/// Waits until something is so.
pub(crate) fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        between_looks();
    }
}

/// Leaves the processor to what is waited for, between two looks at it. No test relies on its length.
pub(crate) fn between_looks() {
    std::thread::sleep(Duration::from_millis(1));
}

/// Returns the most memory that a process of a parent, or one that it has started, has held, as the system
/// tells it; 0 where it does not.
fn most_memory(id: u32, parent: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let field = |name: &str| status.lines().find_map(|it| it.strip_prefix(name)).map(str::trim);
    // In one text, since a process that has ended may have left its number to one of somebody else, which is
    // a copy of this process until it has become another program.
    let is_ours = field("PPid:") == Some(&parent.to_string())
        && field("Name:").is_some_and(|name| name == "planwright" || name == "exe");
    if !is_ours {
        return 0;
    }
    let kib = field("VmHWM:").and_then(|it| it.trim_end_matches(" kB").parse::<u64>().ok());
    let threads = std::fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
    let children = threads
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok())
        .collect::<String>();
    let children = children.split_whitespace().filter_map(|it| it.parse().ok());
    let of_children = children.map(|child| most_memory(child, id));
    of_children.max().unwrap_or(0).max(kib.unwrap_or(0) << 10)
}

/// Has scripts that the library runs here run in processes of the program: this is another one.
pub(crate) fn scripts_run_in_the_program() {
    planwright::script::worker::set_program(env!("CARGO_BIN_EXE_planwright").into());
}

/// Returns how much of something a test does: the number in a variable of the environment, or the
/// usual one. Few where someone waits, many in the gate (`.ci/run`).
#[expect(clippy::disallowed_methods, reason = "how long the test may take is up to who runs it")]
pub(crate) fn times<T: std::str::FromStr>(name: &str, usual: T) -> T {
    let name = format!("PLANWRIGHT_TEST_{name}");
    std::env::var(name).ok().and_then(|it| it.parse().ok()).unwrap_or(usual)
}
