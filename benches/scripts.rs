//! The cost of running a script in a process of its own, against the same script in this one; and
//! of the lists of scripts, against plain Rust on the same board.
//!
//! Only ratios count: both sides are measured in one process, on one machine, in turn. A figure
//! that misses its bound fails the benchmark, after all of them are printed.
//! `cargo bench --bench scripts`

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use planwright::change::{ChangeSet, TaskField};
use planwright::emulator::{Emulator, Options, Storage};
use planwright::graph::{BaseUrl, Client, Secret};
use planwright::host::{
    Failure, Host, Judge, Nobody, Program, Session, Start, Status, Stop, SystemClock, Watch,
    on_large_stack,
};
use planwright::journal::Purpose;
use planwright::model::{Limits, TaskId};
use planwright::policy::{Caps, Ruling};
use planwright::script::worker::{prestart, set_program};
use planwright::script::{Budget, Skill};
use rhai::packages::{BasicArrayPackage, Package as _};
use rhai::{Array, Dynamic, Engine};
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;

const ROOK: &str = "rook@bos.example";
const TASKS: usize = 5_000;
/// The tasks of the two plans whose lists are measured.
const MANY: usize = 10_000;
/// Measurements of each; the median counts.
const TIMES: usize = 15;

struct NoPolicies;

impl Judge for NoPolicies {
    fn judge(&self, _: &Session, _: &ChangeSet, _: &Start) -> Vec<Ruling> {
        Vec::new()
    }
}

fn main() {
    set_program(env!("CARGO_BIN_EXE_planwright").into());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let host = host(&runtime);
    let mut broken = Vec::new();
    println!("a script in a process of its own, against the same script in this one:");
    let short = |n: usize| format!("let n = {n}; n + 1");
    let more = difference(&runtime, &host, short);
    let line =
        format!("a script that does nothing: {:.1} ms more (at most 8)", more.as_secs_f64() * 1e3);
    check(more <= Duration::from_millis(8), line, &mut broken);
    let long = |n: usize| {
        format!(
            "let n = {n}; for t in plan(\"Large\").tasks {{ n += t.title.len(); if t.percent_complete == 0 {{ n += 1; }} }} n"
        )
    };
    let ratio = ratio(&runtime, &host, long);
    let line = format!("a script over {TASKS} tasks: {ratio:.2} times as long (at most 1.3)");
    check(ratio <= 1.3, line, &mut broken);
    println!("lists of {MANY} tasks, against plain Rust on the same board:");
    for (name, script, plain) in LISTS {
        let ratio = inside(&runtime, &host, script, *plain);
        check(ratio <= 3.0, format!("{name}: {ratio:.2} times as long (at most 3)"), &mut broken);
    }
    let ratio = inside(&runtime, &host, FILTER, bare_filter);
    let line =
        format!("a closure in filter: {ratio:.2} times as long as on bare handles (at most 1.1)");
    check(ratio <= 1.1, line, &mut broken);
    assert!(broken.is_empty(), "{broken:#?}");
}

/// What plain Rust does with a session.
type Plain = fn(&Session);

/// A name, a script, and the same in Rust.
const LISTS: &[(&str, &str, Plain)] = &[
    (
        "sort_by",
        "(plan(\"Many\").tasks + plan(\"More\").tasks).sort_by(|t| t.due)[0].id.len()",
        sort,
    ),
    (
        "group_by",
        "(plan(\"Many\").tasks + plan(\"More\").tasks).group_by(|t| t.progress).len()",
        group,
    ),
    (
        "where",
        "(plan(\"Many\").tasks + plan(\"More\").tasks).where(#{ bucket: \"B\", is_completed: false }).len()",
        select,
    ),
];
const FILTER: &str =
    "(plan(\"Many\").tasks + plan(\"More\").tasks).filter(|t| t.percent_complete == 100).len()";

fn tasks_of(session: &Session, title: &str) -> Vec<TaskId> {
    session.tasks(&session.find_plan(title).unwrap()).unwrap()
}

fn tasks(session: &Session) -> Vec<TaskId> {
    [tasks_of(session, "Many"), tasks_of(session, "More")].concat()
}

fn sort(session: &Session) {
    let mut keyed: Vec<_> = tasks(session)
        .into_iter()
        .map(|id| (session.task_field(&id, TaskField::DUE).unwrap(), id))
        .collect();
    keyed.sort_by(|(a, _), (b, _)| (a.is_none(), a).cmp(&(b.is_none(), b)));
    black_box(keyed.into_iter().map(|(_, id)| id).collect::<Vec<_>>());
}

fn group(session: &Session) {
    let mut groups: BTreeMap<&str, Vec<TaskId>> = BTreeMap::new();
    for id in tasks(session) {
        let progress = session.task_field(&id, TaskField::PROGRESS).unwrap();
        groups.entry(progress.name()).or_default().push(id);
    }
    black_box(groups);
}

fn select(session: &Session) {
    let bucket = |plan| session.find_bucket(&session.find_plan(plan).unwrap(), "B").unwrap();
    let buckets = [bucket("Many"), bucket("More")];
    let meets = |id: &TaskId| {
        let bucket = session.task_field(id, TaskField::BUCKET).unwrap();
        bucket.is_some_and(|bucket| buckets.contains(&bucket))
            && session.task_field(id, TaskField::PERCENT).unwrap() < 100
    };
    black_box(tasks(session).into_iter().filter(meets).collect::<Vec<_>>());
}

/// A handle without anything else that the host does.
#[derive(Clone)]
struct Bare {
    session: Session,
    id: TaskId,
}

fn bare_filter(session: &Session) {
    let mut engine = Engine::new_raw();
    engine.register_global_module(BasicArrayPackage::new().as_shared_module());
    engine.register_get("percent_complete", |task: &mut Bare| {
        i64::from(task.session.task_field(&task.id, TaskField::PERCENT).unwrap())
    });
    let mut scope = rhai::Scope::new();
    for (name, title) in [("a", "Many"), ("b", "More")] {
        let handle = |id| Dynamic::from(Bare { session: session.clone(), id });
        let list: Array = tasks_of(session, title).into_iter().map(handle).collect();
        scope.push(name, list);
    }
    let script = "(a + b).filter(|t| t.percent_complete == 100).len()";
    black_box(engine.eval_with_scope::<i64>(&mut scope, script).unwrap());
}

/// A script and the same in Rust, on a board that is read already.
struct Both {
    script: Arc<dyn Program>,
    plain: Plain,
    times: Mutex<(Vec<Duration>, Vec<Duration>)>,
}

impl Program for Both {
    fn run(&self, session: &Session) -> Result<Value, Failure> {
        (self.plain)(session);
        self.script.run(session)?;
        let mut times = self.times.lock().unwrap();
        for _ in 0..TIMES {
            let began = Instant::now();
            self.script.run(session)?;
            times.0.push(began.elapsed());
            let began = Instant::now();
            (self.plain)(session);
            times.1.push(began.elapsed());
        }
        Ok(Value::Null)
    }
}

/// Returns how many times as long a script takes.
fn inside(runtime: &Runtime, host: &Host, script: &str, plain: Plain) -> f64 {
    let program = on_large_stack("compile", || {
        Skill::in_this_process("s", script, Map::new(), Budget::default()).unwrap()
    });
    let both = Arc::new(Both { script: program.unwrap(), plain, times: Mutex::default() });
    run(runtime, host, Arc::clone(&both) as Arc<dyn Program>);
    let (script, plain) = std::mem::take(&mut *both.times.lock().unwrap());
    middle(script).as_secs_f64() / middle(plain).as_secs_f64()
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

/// Measures both ways in turn, each time with another text, as nobody runs a script twice in one
/// process.
fn measured(
    runtime: &Runtime,
    host: &Host,
    text: impl Fn(usize) -> String,
) -> (Vec<Duration>, Vec<Duration>) {
    let (mut there, mut here) = (Vec::new(), Vec::new());
    for n in 0..TIMES {
        // In real use the worker starts while the workspace is read.
        prestart(1);
        std::thread::sleep(Duration::from_millis(50));
        let text = text(n);
        let began = Instant::now();
        let skill = Skill::compile("s", "s", &text, &Arc::default()).unwrap();
        run(runtime, host, skill.program(Map::new(), Budget::default()));
        there.push(began.elapsed());
        let began = Instant::now();
        let program = on_large_stack("compile", || {
            Skill::in_this_process("s", &text, Map::new(), Budget::default()).unwrap()
        });
        run(runtime, host, program.unwrap());
        here.push(began.elapsed());
    }
    (there, here)
}

fn difference(runtime: &Runtime, host: &Host, text: impl Fn(usize) -> String) -> Duration {
    let (there, here) = measured(runtime, host, text);
    middle(there).saturating_sub(middle(here))
}

fn ratio(runtime: &Runtime, host: &Host, text: impl Fn(usize) -> String) -> f64 {
    let (there, here) = measured(runtime, host, text);
    middle(there).as_secs_f64() / middle(here).as_secs_f64()
}

fn run(runtime: &Runtime, host: &Host, program: Arc<dyn Program>) {
    let start = Start {
        purpose: Purpose::Run,
        skill: "s".to_owned(),
        skill_digest: None,
        params: Value::Null,
        agent: None,
        force: false,
        dry_run: true,
    };
    let report = runtime.block_on(host.run(start, program)).report;
    assert_eq!(report.status, Status::NoChanges, "{:?}", report.error);
}

fn host(runtime: &Runtime) -> Host {
    let options = Options::new(Storage::Memory, Arc::new(SystemClock));
    let emulator = Emulator::open(options).unwrap();
    emulator.seed_demo().unwrap();
    let tasks: Vec<Value> = (0..TASKS)
        .map(|n| json!({ "title": format!("T{n}"), "bucket": "B", "percent": (n % 2) * 100 }))
        .collect();
    let plan = json!({ "title": "Large", "group": "BOS", "buckets": ["B"], "tasks": tasks });
    // Planner has at most 3,000 open tasks in a plan, and 9,000 in all.
    let many = |title: &str| {
        let tasks = (0..MANY / 2).map(|n| {
            let due = format!("+{}d", (n * 7919) % 400);
            json!({ "title": format!("T{n}"), "bucket": "B", "percent": (n % 2) * 100, "due": due })
        });
        let tasks: Vec<Value> = tasks.collect();
        json!({ "title": title, "group": "BOS", "buckets": ["B"], "tasks": tasks })
    };
    let plans = [plan, many("Many"), many("More")];
    emulator.seed(&json!({ "plans": plans }).to_string()).unwrap();
    let url = runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/v1.0", listener.local_addr().unwrap());
        tokio::spawn(emulator.serve(listener, std::future::pending()));
        url
    });
    let secret = Secret::new(format!("emulator:{ROOK}"));
    Host {
        client: Client::new(BaseUrl::parse(&url).unwrap(), &secret).unwrap(),
        service: url,
        clock: Arc::new(SystemClock),
        zone: TimeZone::UTC,
        caps: Caps::default(),
        limits: Limits::default(),
        max_reads: 5_000,
        max_edits: 2_000,
        max_edit_bytes: 2 << 20,
        time_limit: Duration::from_secs(60),
        judge: Arc::new(NoPolicies),
        quarantine: Duration::from_secs(60),
        writes_per_second: None,
        watch: Watch::default(),
        state_folder: None,
        interrupt: Arc::new(Stop::default()),
        approver: Arc::new(Nobody),
        approval_time: Duration::from_hours(72),
    }
}
