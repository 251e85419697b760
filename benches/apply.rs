//! The cost of applying, against the floor of the best schedule that the rules allow.
//!
//! Only ratios count: floor and run are measured in one process, on one machine, in one go. A
//! figure that misses its bound fails the benchmark, after all of them are printed.
//! `cargo bench --bench apply`

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use planwright::change::apply::{Answer, Effect, Ledger, Look, Machine, Rules, Seen};
use planwright::change::{ChangeSet, Draft, ReadSet};
use planwright::emulator::{Emulator, Logged, Options, Origin, Storage};
use planwright::graph::{BaseUrl, Client, Order, Secret};
use planwright::host::{
    Error, Failure, Finished, Host, Judge, NewTask, Nobody, Report, Session, Start, StateFolder,
    Status, Stop, SystemClock, Watch,
};
use planwright::journal::Purpose;
use planwright::model::snapshot::Snapshot;
use planwright::model::{
    ETag, Limits, Plan, PlanId, Priority, Task, TaskDetails, TaskId, Versioned,
};
use planwright::policy::{Caps, Ruling};
use planwright::wire::{Request, request};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

const ROOK: &str = "rook@bos.example";
/// Independent updates of tasks of one plan.
const UPDATES: usize = 500;
const LATENCY: Duration = Duration::from_millis(50);
const WRITES_PER_SECOND: usize = 20;
/// The page size of Planner (planner-api.md 8.2).
const FULL_PAGE: usize = 400;

struct NoPolicies;

impl Judge for NoPolicies {
    fn judge(&self, _: &Session, _: &ChangeSet, _: &Start) -> Vec<Ruling> {
        Vec::new()
    }
}

/// Figures that miss their bounds.
#[derive(Default)]
struct Broken(Vec<String>);

impl Broken {
    /// Prints a figure, and notes it if it misses its bound. All are printed before one fails: a
    /// miss is read beside the others.
    fn check(&mut self, keeps: bool, line: &str) {
        println!("  {line}");
        if !keeps {
            self.0.push(line.to_owned());
        }
    }
}

/// A served Planner with a large plan.
struct Service {
    emulator: Emulator,
    url: String,
    plan: PlanId,
}

/// Serves a Planner with a plan of `n` tasks, listed in pages of a given size.
fn service(runtime: &Runtime, tasks: usize, page_size: usize) -> Service {
    let mut options = Options::new(Storage::Memory, Arc::new(SystemClock));
    options.page_size = page_size;
    let emulator = Emulator::open(options).unwrap();
    emulator.seed_demo().unwrap();
    let tasks: Vec<Value> =
        (0..tasks).map(|n| json!({ "title": title(n), "bucket": "B" })).collect();
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
    let plan = plans.into_iter().find(|plan| plan.value.title == "Large").unwrap().value.id;
    Service { emulator, url, plan }
}

/// Returns the title of a task of the plan.
fn title(n: usize) -> String {
    format!("T{n}")
}

impl Service {
    /// Counts requests that have arrived since the log was cleared.
    fn count(&self, which: impl Fn(&Logged) -> bool) -> usize {
        self.emulator.requests().iter().filter(|logged| which(logged)).count()
    }

    /// Makes requests fail from now on, and forgets those that have arrived.
    fn fail(&self, rules: Value) {
        self.emulator.set_faults(serde_json::from_value(rules).unwrap()).unwrap();
        self.emulator.clear_requests();
    }

    /// Reads the tasks of the plan.
    fn tasks(&self, runtime: &Runtime) -> Vec<Versioned<Task>> {
        let client = client(&self.url);
        runtime.block_on(async { client.list(&request::plan_tasks(&self.plan)).await.unwrap() })
    }
}

/// Returns whether a request is a batch.
fn is_batch(logged: &Logged) -> bool {
    logged.path.ends_with("/$batch")
}

/// Returns whether a request reads a page of tasks.
fn is_page(logged: &Logged) -> bool {
    logged.method == "GET" && (logged.path.ends_with("/tasks") || logged.path.contains("skiptoken"))
}

/// Returns whether a request writes, by itself or in a batch.
fn is_write(logged: &Logged) -> bool {
    logged.method != "GET" && !is_batch(logged)
}

/// Returns whether a request only reads; of a batch, whether all its parts do.
fn is_read(logged: &Logged) -> bool {
    let parts = logged.body.as_ref().and_then(|body| body["requests"].as_array());
    let reads = |parts: &Vec<Value>| parts.iter().all(|part| part["method"] == "GET");
    logged.by == Origin::Client
        && (logged.method == "GET" || is_batch(logged) && parts.is_some_and(reads))
}

/// Signs in as a user who may do everything here.
fn client(url: &str) -> Client {
    Client::new(BaseUrl::parse(url).unwrap(), &Secret::new(format!("emulator:{ROOK}"))).unwrap()
}

/// Builds a host without policies that keeps its journal in a folder.
fn host(service: &Service, folder: &Path) -> Host {
    Host {
        client: client(&service.url),
        service: service.url.clone(),
        clock: Arc::new(SystemClock),
        zone: TimeZone::UTC,
        caps: Caps { max_changes: 10_000, max_deletes: 0 },
        limits: Limits::default(),
        time_limit: Duration::from_secs(600),
        judge: Arc::new(NoPolicies),
        max_reads: 100_000,
        max_edits: 100_000,
        max_edit_bytes: usize::MAX,
        quarantine: Duration::from_secs(60),
        writes_per_second: None,
        watch: Watch::default(),
        state_folder: Some(StateFolder::new(folder.to_owned())),
        interrupt: Arc::new(Stop::default()),
        approver: Arc::new(Nobody),
        approval_time: Duration::from_hours(72),
    }
}

/// Returns the start of a run by the user, without an agent.
fn start() -> Start {
    Start {
        purpose: Purpose::Run,
        skill: "bench".into(),
        skill_digest: None,
        params: Value::Null,
        agent: None,
        force: false,
        dry_run: false,
    }
}

/// Runs a program, all of whose changes must be written.
fn apply(
    runtime: &Runtime,
    host: &Host,
    program: impl Fn(&Session) -> Result<Value, Failure> + Send + Sync + 'static,
) -> Finished {
    let finished = runtime.block_on(host.run(start(), Arc::new(program)));
    assert_eq!(finished.report.status, Status::Applied, "{:?}", finished.report.error);
    finished
}

/// Updates every task of the plan once.
fn update_all(runtime: &Runtime, service: &Service) -> (Report, Duration) {
    let folder = tempfile::TempDir::new().unwrap();
    let host = host(service, folder.path());
    let plan = service.plan.clone();
    let program = move |session: &Session| {
        for id in session.tasks(&plan)? {
            session.editor()?.edit_task(&id, |task| task.percent_complete = 50)?;
        }
        Ok(Value::Null)
    };
    let began = Instant::now();
    let finished = apply(runtime, &host, program);
    (finished.report, began.elapsed())
}

fn main() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut broken = Broken::default();
    growth();
    round_trips(&runtime);
    lost_batch(&runtime, &mut broken);
    lookups(&runtime, &mut broken);
    undo(&runtime, &mut broken);
    throttled(&runtime, &mut broken);
    assert!(broken.0.is_empty(), "bounds not kept: {:#?}", broken.0);
}

/// Measures the machine alone on a set four times as large, with every answer at once.
fn growth() {
    let took = |n: usize| {
        let plan = PlanId::parse("plan").unwrap();
        let mut draft = Draft::new("n".into());
        for at in 0..n {
            let id = draft.create_task(|id| Task::new(id, plan.clone(), format!("T{at}")));
            draft.edit_task(None, None, &id, |state| {
                state.details.get_or_insert_default().description = format!("About {id}");
            });
        }
        let set = draft.finish(&ReadSet::new(), &Snapshot::default());
        let rules =
            Rules { quarantine: LATENCY, writes_per_second: None, learned: None, spread: 0.5 };
        let began = Instant::now();
        let mut machine = Machine::new(set.changes(), Ledger::default(), rules);
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

/// Measures requests and time of independent updates, every round trip costing the same.
fn round_trips(runtime: &Runtime) {
    let service = service(runtime, UPDATES, FULL_PAGE);
    let ms = LATENCY.as_millis();
    let rules = json!([
        { "method": "GET", "action": { "latency_ms": ms } },
        { "method": "POST", "path": "$batch", "action": { "latency_ms": ms } },
    ]);
    service.fail(rules);
    let floor = bare(runtime, &service);
    service.emulator.clear_requests();
    let (report, took) = update_all(runtime, &service);
    let requests = report.stats.requests.unwrap_or_default();
    let (batches, pages) = (service.count(is_batch), service.count(is_page));
    println!("{UPDATES} independent updates at {ms} ms of latency:");
    println!(
        "  requests    {requests}: {batches} batches (at most 35), {pages} pages, {} more (at most 4)",
        requests as usize - batches - pages
    );
    let ratio = took.as_secs_f64() / floor.as_secs_f64();
    println!("  wall time   {ratio:.2} of the floor (at most 1.30)");
}

/// Measures the floor: the same requests with nothing around them. One after another the signed-in
/// user, the plan, its pages twice (read, validate); then the batches of twenty, in a window that
/// begins at four and grows by one for each round trip, as the rules allow.
fn bare(runtime: &Runtime, service: &Service) -> Duration {
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
            .map(|task| request::update_task(&task.value.id, json!({ "priority": 3 }), task.etag))
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
                assert!(attempts.iter().all(|attempt| attempt.result.is_ok()));
            }
            lanes += 1;
        }
    });
    began.elapsed()
}

/// Measures a batch of creates in a large plan, which the service carries out but whose answer is
/// lost.
fn lost_batch(runtime: &Runtime, broken: &mut Broken) {
    const TASKS: usize = 1000;
    const CREATES: usize = 20;
    const PAGE: usize = 50;
    let service = service(runtime, TASKS, PAGE);
    let lost = json!({ "path": "$batch", "nth": 1, "action": { "drop_after": true } });
    service.fail(json!([lost]));
    let folder = tempfile::TempDir::new().unwrap();
    // Nothing arrives late here: a create that the list does not show was not carried out.
    let host = Host { quarantine: Duration::ZERO, ..host(&service, folder.path()) };
    let plan = service.plan.clone();
    apply(runtime, &host, move |session| {
        for n in 0..CREATES {
            session
                .editor()?
                .create_task(&plan, NewTask { title: format!("New {n}"), ..NewTask::default() })?;
        }
        Ok(Value::Null)
    });
    let (pages, fired) = (service.count(is_page), service.emulator.faults()[0].fired);
    let tasks = service.tasks(runtime).len();
    assert_eq!(
        (fired, tasks),
        (1, TASKS + CREATES),
        "one batch was to be lost, no task made twice"
    );
    let sweep = tasks.div_ceil(PAGE);
    println!("{CREATES} creates in a plan of {TASKS} tasks, the answer to their batch lost:");
    broken.check(
        pages <= 3 * sweep,
        &format!("pages       {pages}, of which a sweep has {sweep} (at most 3 sweeps)"),
    );
}

/// Measures writing tasks that are looked up by title, one at a time, against a loop over their
/// list.
fn lookups(runtime: &Runtime, broken: &mut Broken) {
    const TASKS: usize = 1000;
    let service = service(runtime, TASKS, FULL_PAGE);
    let (mut by_title, mut in_turn) = (f64::MAX, f64::MAX);
    // Each takes a few milliseconds: the fastest of many is the one that nothing else disturbed.
    for _ in 0..20 {
        by_title = by_title.min(drafting(runtime, &service, |session, plan| {
            for n in 0..TASKS {
                make_urgent(session, &session.find_task(plan, &title(n))?)?;
            }
            Ok(())
        }));
        in_turn = in_turn.min(drafting(runtime, &service, |session, plan| {
            session.tasks(plan)?.iter().try_for_each(|id| make_urgent(session, id))
        }));
    }
    let ratio = by_title / in_turn;
    println!("{TASKS} tasks looked up by title and written:");
    broken
        .check(ratio <= 3.0, &format!("time        {ratio:.2} of a loop over them (at most 3.00)"));
}

/// Returns the seconds that a program takes for its edits, with the list of tasks read already:
/// beside that read, and the work of the host afterwards, they would not show.
fn drafting(
    runtime: &Runtime,
    service: &Service,
    edit: impl Fn(&Session, &PlanId) -> Result<(), Error> + Send + Sync + 'static,
) -> f64 {
    let folder = tempfile::TempDir::new().unwrap();
    let host = host(service, folder.path());
    let plan = service.plan.clone();
    let program = move |session: &Session| {
        session.tasks(&plan)?;
        let began = Instant::now();
        edit(session, &plan)?;
        Ok(json!(began.elapsed().as_secs_f64()))
    };
    let start = Start { dry_run: true, ..start() };
    let report = runtime.block_on(host.run(start, Arc::new(program))).report;
    assert_eq!(report.status, Status::Previewed, "{:?}", report.error);
    report.result.as_f64().unwrap()
}

/// Writes one field of a task.
fn make_urgent(session: &Session, id: &TaskId) -> Result<(), Error> {
    let urgent = Priority::new(1).unwrap();
    session.editor()?.edit_task(id, |task| task.priority = urgent)
}

/// Counts the reads of an undo of a large run.
fn undo(runtime: &Runtime, broken: &mut Broken) {
    const TASKS: usize = 2000;
    const DESCRIBED: usize = 200;
    let service = service(runtime, TASKS, FULL_PAGE);
    let before = service.tasks(runtime);
    let folder = tempfile::TempDir::new().unwrap();
    let host = host(&service, folder.path());
    let plan = service.plan.clone();
    let run = apply(runtime, &host, move |session| {
        for (n, id) in session.tasks(&plan)?.iter().enumerate() {
            make_urgent(session, id)?;
            if n < DESCRIBED {
                session
                    .editor()?
                    .edit_details(id, |details| details.description = "Soon".into())?;
            }
        }
        Ok(Value::Null)
    });
    assert_eq!(run.report.changes.len(), TASKS);
    service.emulator.clear_requests();
    let finished = runtime.block_on(host.undo(&run.report.run_id, start())).unwrap();
    assert_eq!(finished.report.status, Status::Applied, "{:?}", finished.report.error);
    let (reads, writes) = (service.count(is_read), service.count(is_write));
    assert_eq!(writes, TASKS + DESCRIBED);
    let is_back = |(now, before): (&Versioned<Task>, &Versioned<Task>)| now.value == before.value;
    assert!(service.tasks(runtime).iter().zip(&before).all(is_back));
    println!("{TASKS} changes taken back, {DESCRIBED} of them with a description:");
    broken.check(reads <= 150, &format!("reads       {reads} (at most 150)"));
}

/// Measures updates under a throttle whose rate is unknown to the client. A second's worth is
/// available at once, so that the result can be slightly above the rate.
fn throttled(runtime: &Runtime, broken: &mut Broken) {
    let service = service(runtime, UPDATES, FULL_PAGE);
    let throttle = json!({ "writes_per_s": WRITES_PER_SECOND });
    service.emulator.set_throttle(serde_json::from_value(throttle).unwrap()).unwrap();
    service.emulator.clear_requests();
    let (report, took) = update_all(runtime, &service);
    let again = (service.count(is_write) - UPDATES) as f64 / UPDATES as f64;
    let rate = UPDATES as f64 / took.as_secs_f64() / WRITES_PER_SECOND as f64;
    println!("{UPDATES} independent updates at {WRITES_PER_SECOND} writes a second:");
    println!(
        "  requests    {}: {} sent again",
        report.stats.requests.unwrap_or_default(),
        report.stats.retries
    );
    let (again_in_100, rate_in_100) = (100.0 * again, 100.0 * rate);
    broken.check(
        again <= 0.15,
        &format!("sent again  {again_in_100:.0} % of the writes (at most 15 %)"),
    );
    broken.check(
        rate >= 0.9,
        &format!("rate        {rate_in_100:.0} % of the allowed one (at least 90 %)"),
    );
}
