//! What applying costs, against the floor of the best schedule that the rules allow.
//!
//! Only ratios count: floor and run are measured in one process, on one machine, in one go.
//! `cargo bench --bench apply`

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use planwright::change::apply::{Answer, Effect, Look, Machine, Rules, Seen};
use planwright::change::{ChangeSet, Draft};
use planwright::emulator::{Emulator, Exchange, Options, Storage};
use planwright::graph::{BaseUrl, Client, Order, Secret};
use planwright::host::{
    Host, Judge, Ledger, Report, Session, Start, Status, Stop, SystemClock, Watch,
};
use planwright::journal::Purpose;
use planwright::model::{ETag, Limits, Plan, PlanId, Task, TaskDetails, Versioned};
use planwright::policy::{Caps, Ruling};
use planwright::wire::{Request, request};
use serde_json::{Value, json};

const ROOK: &str = "rook@bos.example";
/// Independent updates of tasks of one plan.
const UPDATES: usize = 500;
const LATENCY: Duration = Duration::from_millis(50);
const WRITES_PER_SECOND: usize = 20;

struct NoPolicies;

impl Judge for NoPolicies {
    fn judge(&self, _: &Session, _: &ChangeSet, _: &Start) -> Vec<Ruling> {
        Vec::new()
    }
}

/// A served Planner with a large plan, and what arrived there.
struct Service {
    emulator: Emulator,
    url: String,
    plan: PlanId,
    seen: Arc<Counted>,
}

#[derive(Default)]
struct Counted {
    pages: AtomicUsize,
    batches: AtomicUsize,
}

fn service(runtime: &tokio::runtime::Runtime) -> Service {
    let seen: Arc<Counted> = Arc::default();
    let mut options = Options::new(Storage::Memory, Arc::new(SystemClock));
    let noted = Arc::clone(&seen);
    options.observer = Some(Arc::new(move |exchange: &Exchange| noted.note(exchange)));
    let emulator = Emulator::open(options).unwrap();
    emulator.seed_demo().unwrap();
    let tasks: Vec<Value> =
        (0..UPDATES).map(|n| json!({ "title": format!("T{n}"), "bucket": "B" })).collect();
    let plan = json!({ "title": "Large", "group": "BOS", "buckets": ["B"], "tasks": tasks });
    emulator.seed(&json!({ "plans": [plan] }).to_string()).unwrap();
    let (url, listening) = runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        (format!("http://{}/v1.0", listener.local_addr().unwrap()), listener)
    });
    let served = emulator.clone();
    runtime.spawn(async move { served.serve(listening, std::future::pending()).await });
    let client = client(&url);
    let plans = runtime
        .block_on(async { client.list::<Versioned<Plan>>(&request::my_plans()).await.unwrap() });
    let plan = plans.into_iter().find(|it| it.value.title == "Large").unwrap().value.id;
    Service { emulator, url, plan, seen }
}

impl Counted {
    fn forget(&self) {
        self.pages.store(0, Ordering::Relaxed);
        self.batches.store(0, Ordering::Relaxed);
    }

    fn note(&self, exchange: &Exchange) {
        let is_list = exchange.path.ends_with("/tasks") || exchange.path.contains("skiptoken");
        if exchange.status.is_some() {
            return;
        }
        if exchange.path.ends_with("/$batch") {
            self.batches.fetch_add(1, Ordering::Relaxed);
        } else if exchange.method == "GET" && is_list {
            self.pages.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn client(url: &str) -> Client {
    Client::new(BaseUrl::parse(url).unwrap(), &Secret::new(format!("emulator:{ROOK}"))).unwrap()
}

/// Updates every task of the plan once.
fn update_all(runtime: &tokio::runtime::Runtime, service: &Service) -> (Report, Duration) {
    let folder = tempfile::TempDir::new().unwrap();
    let host = Host {
        client: client(&service.url),
        service: service.url.clone(),
        clock: Arc::new(SystemClock),
        zone: TimeZone::UTC,
        caps: Caps { max_changes: UPDATES, max_deletes: 0 },
        limits: Limits::default(),
        time_limit: Duration::from_secs(600),
        judge: Arc::new(NoPolicies),
        max_reads: 100_000,
        max_wishes: 100_000,
        quarantine: Duration::from_secs(60),
        writes_per_second: None,
        watch: Watch::default(),
        ledger: Some(Ledger::new(folder.path().to_owned())),
        interrupt: Arc::new(Stop::default()),
    };
    let start = Start {
        purpose: Purpose::Run,
        skill: "bench".into(),
        skill_digest: None,
        params: Value::Null,
        agent: None,
        force: false,
        dry_run: false,
    };
    let plan = service.plan.clone();
    let program = move |session: &Session| {
        for id in session.tasks(&plan)? {
            session.edit_task(&id, |it| it.percent_complete = 50)?;
        }
        Ok(Value::Null)
    };
    let began = Instant::now();
    let finished = runtime.block_on(host.run(start, Arc::new(program)));
    let took = began.elapsed();
    assert_eq!(finished.report.status, Status::Applied, "{:?}", finished.report.error);
    (finished.report, took)
}

fn main() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    growth();
    round_trips(&runtime);
    throttled(&runtime);
}

/// What the machine itself takes for a set four times as large, every answer coming at once.
fn growth() {
    let took = |n: usize| {
        let plan = PlanId::parse("plan").unwrap();
        let mut draft = Draft::new("n".into());
        for at in 0..n {
            let id = draft.create_task(|id| Task::new(id, plan.clone(), format!("T{at}")));
            draft.edit_task(None, None, &id, |it| {
                it.details.get_or_insert_default().description = format!("About {id}");
            });
        }
        let set = draft.finish();
        let rules =
            Rules { quarantine: LATENCY, writes_per_second: None, learned: None, spread: 0.5 };
        let began = Instant::now();
        let mut machine = Machine::new(set.changes(), BTreeMap::new(), rules);
        while !machine.is_done() {
            for effect in machine.next(Duration::ZERO) {
                let Effect::Send { steps, .. } = effect else {
                    let Effect::Look(steps) = effect else { unreachable!() };
                    let tag = ETag::new("tag".into());
                    let bare = Versioned::new(TaskDetails::default(), tag);
                    let there =
                        |no| (no, Look::There(Box::new(Seen::Details(Box::new(bare.clone())))));
                    machine.looked(Duration::ZERO, steps.into_iter().map(there).collect());
                    continue;
                };
                let done = |no: usize| {
                    assert!(machine.job(no).is_some());
                    (no, Answer::Done { id: Some(format!("made{no}")), tag: None })
                };
                let answers = steps.into_iter().map(done).collect();
                machine.answered(Duration::ZERO, answers);
            }
        }
        began.elapsed()
    };
    let (small, large) = (took(2000), took(8000));
    let ratio = large.as_secs_f64() / small.as_secs_f64();
    println!("8000 creates with details against 2000, without a service:");
    println!("  time        {ratio:.1} (4 if it grew with the set alone, 16 if with its square)");
}

fn round_trips(runtime: &tokio::runtime::Runtime) {
    let service = service(runtime);
    let ms = LATENCY.as_millis();
    let rules = json!([
        { "method": "GET", "action": { "latency_ms": ms } },
        { "method": "POST", "path": "$batch", "action": { "latency_ms": ms } },
    ]);
    service.emulator.set_faults(serde_json::from_value(rules).unwrap()).unwrap();
    let floor = bare(runtime, &service);
    service.seen.forget();
    let (report, took) = update_all(runtime, &service);
    let requests = report.stats.requests;
    let batches = service.seen.batches.load(Ordering::Relaxed);
    let pages = service.seen.pages.load(Ordering::Relaxed);
    println!("{UPDATES} independent updates at {ms} ms of latency:");
    println!(
        "  requests    {requests}: {batches} batches (at most 35), {pages} pages, {} more (at most 4)",
        requests as usize - batches - pages
    );
    let ratio = took.as_secs_f64() / floor.as_secs_f64();
    println!("  wall time   {ratio:.2} of the floor (at most 1.30)");
}

/// The floor: the same requests with nothing around them. One after another who is signed in, the
/// plan, its pages twice (read, validate); then the batches of twenty, in lanes that begin at four
/// and grow by one for each round trip, as the rules allow.
fn bare(runtime: &tokio::runtime::Runtime, service: &Service) -> Duration {
    let client = client(&service.url);
    let plan = &service.plan;
    let began = Instant::now();
    runtime.block_on(async {
        client.read::<planwright::model::User>(&request::me()).await.unwrap();
        client.read::<Versioned<Plan>>(&request::plan(plan)).await.unwrap();
        let list = request::plan_tasks(plan);
        client.list::<Versioned<Task>>(&list).await.unwrap();
        let tasks = client.list::<Versioned<Task>>(&list).await.unwrap();
        let writes: Vec<Request> = tasks
            .into_iter()
            .map(|it| request::update_task(&it.value.id, json!({ "priority": 3 }), it.etag))
            .collect();
        let (mut batches, mut lanes) = (writes.chunks(20), 4);
        loop {
            let mut wave = tokio::task::JoinSet::new();
            for batch in batches.by_ref().take(lanes) {
                let (client, batch) = (client.clone(), batch.to_vec());
                wave.spawn(async move {
                    let batch: Vec<&Request> = batch.iter().collect();
                    client.attempt_many(&batch, Order::Any, "bench").await
                });
            }
            if wave.is_empty() {
                break;
            }
            for attempts in wave.join_all().await {
                assert!(attempts.iter().all(|it| it.result.is_ok()));
            }
            lanes += 1;
        }
    });
    began.elapsed()
}

fn throttled(runtime: &tokio::runtime::Runtime) {
    let service = service(runtime);
    let throttle = json!({ "writes_per_s": WRITES_PER_SECOND });
    service.emulator.set_throttle(serde_json::from_value(throttle).unwrap());
    let (report, took) = update_all(runtime, &service);
    // A second's worth is there at once, the rest comes at its rate.
    let floor =
        Duration::from_secs_f64((UPDATES - WRITES_PER_SECOND) as f64 / WRITES_PER_SECOND as f64);
    println!("{UPDATES} independent updates at {WRITES_PER_SECOND} writes a second:");
    println!("  requests    {}: {} sent again", report.stats.requests, report.stats.retries);
    println!(
        "  wall time   {:.2} of the floor (at most 1.15)",
        took.as_secs_f64() / floor.as_secs_f64()
    );
}
