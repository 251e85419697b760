//! The cost of an agent's work: what a model reads for one everyday request, and what a call takes, against
//! a bare server of the same library.
//!
//! "Move my five overdue tasks to this week and tell me" is played to its end, and all that a model reads
//! and writes on the way is counted. Beside it stand a server with a tool for each endpoint, whose list of
//! tools is known (about 1 MB, 156 KB with a preset), and whose calls are the requests that the same job
//! takes, with the answers as the service gives them. Times are against floors measured in the same run. A
//! figure that misses its bound fails the benchmark, after all of them are printed.
//! `cargo bench --bench agents`

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::Request;
use planwright::emulator::{Emulator, Options, Storage};
use planwright::host::SystemClock;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ServerCapabilities,
    ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler, ServiceExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const ROOK: &str = "rook@bos.example";
/// The list of tools of the most used server with a tool for each endpoint, in bytes: all of it, and with
/// its smallest preset for tasks.
const ENDPOINT_TOOLS: [(&str, usize); 2] = [("all tools", 1_000_000), ("a preset", 156_000)];
/// Calls that are measured, and those before them that are not.
const CALLS: usize = 300;
const WARM: usize = 30;
/// Starts that are measured.
const STARTS: usize = 15;
/// The argument with which this program is the bare server.
const BARE: &str = "--bare-server";

fn main() {
    if std::env::args().any(|argument| argument == BARE) {
        bare();
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let emulator = emulator();
    let url = runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/v1.0", listener.local_addr().unwrap());
        tokio::spawn(emulator.clone().serve(listener, std::future::pending()));
        url
    });
    let dir = tempfile::tempdir().unwrap();
    let mut broken = Vec::new();
    what_a_model_reads(&url, dir.path(), &emulator, &mut broken);
    what_a_call_takes(&url, dir.path(), &mut broken);
    what_a_start_takes(&url, dir.path(), &mut broken);
    assert!(broken.is_empty(), "{broken:#?}");
}

fn check(keeps: bool, line: String, broken: &mut Vec<String>) {
    println!("  {line}");
    if !keeps {
        broken.push(line);
    }
}

fn middle(mut all: Vec<Duration>) -> Duration {
    all.sort();
    all[all.len() / 2]
}

/// Makes a board with five overdue tasks of rook's, among those of others.
fn emulator() -> Emulator {
    let emulator = Emulator::open(Options::new(Storage::Memory, Arc::new(SystemClock))).unwrap();
    emulator.seed_demo().unwrap();
    let task = |n: usize| {
        json!({
            "title": format!("Overdue {n}"), "bucket": "Inbox", "assignees": [ROOK],
            "due": "2020-03-02",
        })
    };
    let tasks: Vec<Value> = (1..=5).map(task).collect();
    let plan = json!({
        "title": "Late", "group": "BOS", "buckets": ["Inbox", "This Week"], "tasks": tasks,
    });
    emulator.seed(&json!({ "plans": [plan] }).to_string()).unwrap();
    emulator
}

/// Asks the service as a client with a tool for each endpoint would; returns the answer's text.
fn get(emulator: &Emulator, path: &str) -> String {
    let request = Request::get(format!("/v1.0{path}"))
        .header("authorization", format!("Bearer emulator:{ROOK}"))
        .header("host", "127.0.0.1")
        .body(Vec::new())
        .unwrap();
    let answer = emulator.dispatch(request);
    assert!(answer.status().is_success(), "GET {path}: {}", answer.status());
    String::from_utf8(answer.body().clone()).unwrap()
}

/// A client over pipes.
struct Client {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    n: u64,
    /// The bytes that a model has read and written.
    read: usize,
    written: usize,
}

impl Client {
    fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { input: child.stdin.take(), child, output, n: 0, read: 0, written: 0 }
    }

    fn say(&mut self, message: &Value) {
        let input = self.input.as_mut().unwrap();
        writeln!(input, "{message}").unwrap();
        input.flush().unwrap();
    }

    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.n += 1;
        let id = self.n;
        self.say(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        loop {
            let mut line = String::new();
            self.output.read_line(&mut line).unwrap();
            let message: Value = serde_json::from_str(&line).unwrap();
            if message["id"] == id {
                return message["result"].clone();
            }
        }
    }

    fn hello(&mut self) -> Value {
        let hello = self.ask(
            "initialize",
            &json!({
                "protocolVersion": "2025-11-25",
                "capabilities": {},
                "clientInfo": { "name": "bench", "version": "1" },
            }),
        );
        self.say(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        hello
    }

    /// Calls a tool as a model does, which writes the arguments and reads the text.
    fn call(&mut self, name: &str, arguments: &Value) -> Value {
        self.written += name.len() + arguments.to_string().len();
        let result = self.ask("tools/call", &json!({ "name": name, "arguments": arguments }));
        self.read += result["content"][0]["text"].as_str().unwrap().len();
        result
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ended = self.child.wait();
    }
}

fn planwright(url: &str, dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_planwright"));
    command.env_clear().env("HOME", dir).env("TZ", "UTC").current_dir(dir);
    command.env("PLANWRIGHT_GRAPH_URL", url).env("PLANWRIGHT_TOKEN", format!("emulator:{ROOK}"));
    command.args(["mcp", "--as", "rook"]);
    command
}

fn what_a_model_reads(url: &str, dir: &Path, emulator: &Emulator, broken: &mut Vec<String>) {
    println!(
        "\"move my five overdue tasks to this week and tell me\", a token taken as four bytes:"
    );
    // Before anything is moved: the answers that the other server's model reads.
    let tasks = get(emulator, "/me/planner/tasks");
    let listed: Value = serde_json::from_str(&tasks).unwrap();
    let late = listed["value"].as_array().unwrap().iter();
    let late: Vec<&Value> = late
        .filter(|task| task["title"].as_str().is_some_and(|title| title.starts_with("Overdue ")))
        .collect();
    assert_eq!(late.len(), 5);
    let plan = late[0]["planId"].as_str().unwrap();
    let buckets = get(emulator, &format!("/planner/plans/{plan}/buckets"));
    let each: usize = late
        .iter()
        .map(|task| {
            get(emulator, &format!("/planner/tasks/{}", task["id"].as_str().unwrap())).len()
        })
        .sum();
    // One for the tasks, one for the buckets; each task is read for its tag and then written.
    let (calls, answers) = (2 + 5 + 5, tasks.len() + buckets.len() + each);
    let arguments = calls * 160;

    let mut client = Client::start(planwright(url, dir));
    let hello = client.hello();
    let tools = client.ask("tools/list", &json!({}))["tools"].to_string().len();
    let before = tools + hello["instructions"].as_str().unwrap().len();
    let found = client
        .call("find_tasks", &json!({ "assigned_to": "me", "due": "overdue", "plan": "Late" }));
    assert_eq!(found["structuredContent"]["tasks"].as_array().unwrap().len(), 5, "{found}");
    let script = "let late = plan(\"Late\").tasks.filter(|t| t.assigned_to(me()) && t.is_overdue()); for t in late { t.move_to(\"This Week\"); t.due = today().next(\"friday\"); } late.len()";
    let preview = client.call("run_script", &json!({ "script": script }));
    let run = preview["structuredContent"]["run_id"].clone();
    let applied = client.call("apply_change_set", &json!({ "id": run }));
    assert_eq!(applied["structuredContent"]["status"], "applied", "{applied}");
    let all = before + client.read + client.written;
    println!(
        "  Planwright: 3 calls, {all} bytes, some {} tokens ({tools} of them the list of tools)",
        all / 4
    );
    for (what, list) in ENDPOINT_TOOLS {
        let theirs = list + answers + arguments;
        println!(
            "  a tool for each endpoint, {what}: {calls} calls, {theirs} bytes, some {} tokens: {:.1} times as much",
            theirs / 4,
            ratio(theirs, all)
        );
    }
    let line = format!("tools/list: {tools} bytes (at most {})", 16 << 10);
    check(tools <= 16 << 10, line, broken);
    let line = format!(
        "after the lists: {} bytes against {} ({:.1} times)",
        client.read + client.written,
        answers + arguments,
        ratio(answers + arguments, client.read + client.written)
    );
    check(client.read + client.written < answers + arguments, line, broken);
}

fn ratio(a: usize, b: usize) -> f64 {
    let number = |n: usize| f64::from(u32::try_from(n).unwrap());
    number(a) / number(b)
}

/// Measures calls one by one.
fn calls(client: &mut Client, tool: &str, arguments: &Value) -> Duration {
    let mut all = Vec::new();
    for n in 0..WARM + CALLS {
        let began = Instant::now();
        client.call(tool, arguments);
        if n >= WARM {
            all.push(began.elapsed());
        }
    }
    middle(all)
}

fn what_a_call_takes(url: &str, dir: &Path, broken: &mut Vec<String>) {
    println!("a call over pipes, the median of {CALLS}:");
    let mut floor = Client::start(bare_command());
    floor.hello();
    let floor = calls(&mut floor, "same", &json!({ "topic": "assign" }));
    let mut client = Client::start(planwright(url, dir));
    client.hello();
    let ours = calls(&mut client, "api", &json!({ "topic": "assign" }));
    let times = ours.as_secs_f64() / floor.as_secs_f64();
    let line = format!(
        "{} µs against {} µs of a bare server: {times:.2} times (at most 2)",
        ours.as_micros(),
        floor.as_micros()
    );
    check(times <= 2.0, line, broken);
}

fn bare_command() -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg(BARE);
    command
}

fn what_a_start_takes(url: &str, dir: &Path, broken: &mut Vec<String>) {
    println!("from the start of the process to its first answer, the median of {STARTS}:");
    let measured = |command: &dyn Fn() -> Command| {
        let mut all = Vec::new();
        for _ in 0..STARTS {
            let began = Instant::now();
            let mut client = Client::start(command());
            client.hello();
            all.push(began.elapsed());
        }
        middle(all)
    };
    let floor = measured(&bare_command);
    let ours = measured(&|| planwright(url, dir));
    let more = ours.saturating_sub(floor);
    let line = format!(
        "{:.1} ms against {:.1} ms of a bare server: {:.1} ms more (at most 10)",
        ours.as_secs_f64() * 1e3,
        floor.as_secs_f64() * 1e3,
        more.as_secs_f64() * 1e3
    );
    check(more <= Duration::from_millis(10), line, broken);
}

/// A server of the same library that does nothing.
#[derive(Clone)]
struct Bare;

impl ServerHandler for Bare {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn call_tool(
        &self,
        _request: CallToolRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let text = "Task.assign(user: User) — Assigns the task to a person.";
        let mut result = CallToolResult::structured(json!({ "topic": "assign", "text": text }));
        result.content = vec![ContentBlock::text(text)];
        Ok(result.into())
    }
}

/// Serves on standard input and output, as plainly as the library allows.
fn bare() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let (server, client) = tokio::io::duplex(64 << 10);
        let (mut output, mut input) = tokio::io::split(client);
        let handle = tokio::runtime::Handle::current();
        std::thread::spawn(move || {
            let mut buffer = [0; 16 << 10];
            let mut stdin = std::io::stdin().lock();
            loop {
                match stdin.read(&mut buffer) {
                    Ok(0) | Err(_) => break,
                    Ok(n) => handle.block_on(input.write_all(&buffer[..n])).unwrap(),
                }
            }
            let _closed = handle.block_on(input.shutdown());
        });
        tokio::spawn(async move {
            let mut buffer = vec![0; 16 << 10];
            while let Ok(n) = output.read(&mut buffer).await {
                if n == 0 {
                    break;
                }
                let mut stdout = std::io::stdout().lock();
                if stdout.write_all(&buffer[..n]).and_then(|()| stdout.flush()).is_err() {
                    break;
                }
            }
        });
        if let Ok(running) = Bare.serve(tokio::io::split(server)).await {
            let _why = running.waiting().await;
        }
    });
    runtime.shutdown_background();
}
