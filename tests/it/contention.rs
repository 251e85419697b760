//! Many runs and someone else on the same tasks, with trouble on the way: nothing that was
//! acknowledged is lost, nothing happens twice, nothing of anyone else's is overwritten.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{PLAN, Place, Planner, times};

const EDITS: usize = 40;
const TASKS: usize = 30;
/// How many edits a second someone else makes.
const RATE: u32 = 20;
const MEI: &str = "mei@bos.example";

/// Each edit appends a line to the description, raises the counter in the title, and adds the
/// run's label.
const SKILL: &str = r#"//! Edits tasks.
//!
//! ```toml
//! [params]
//! me = { type = "int", description = "Which run this is" }
//! edits = { type = "int", description = "How many edits" }
//! tasks = { type = "int", description = "How many tasks there are" }
//! round = { type = "int", description = "Which round this is" }
//! ```
let all = plan("BOS Operations").bucket("Contended").tasks;
all += plan("BOS Operations").bucket("Elsewhere").tasks;
for k in 0..params.edits {
    let n = (params.me + k) % params.tasks;
    let mark = `Task ${n} #`;
    let t = all.find(|it| it.title.starts_with(mark));
    let rest = t.title.sub_string(mark.len());
    let end = rest.index_of(" ");
    let count = if end < 0 { rest } else { rest.sub_string(0, end) };
    let tail = if end < 0 { "" } else { rest.sub_string(end) };
    t.title = mark + (parse_int(count) + 1).to_string() + tail;
    t.description += `<${params.round}.${params.me}.${k}>`;
    t.add_label(`category${params.me + 1}`);
}
"#;

/// One request as it goes over the wire; `None` if no answer came.
fn request(
    url: &str,
    method: &str,
    path: &str,
    tag: Option<&str>,
    body: Option<&Value>,
) -> Option<(u16, Value)> {
    let host = url.strip_prefix("http://").unwrap().strip_suffix("/v1.0").unwrap();
    let mut stream = TcpStream::connect(host).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let body = body.map(Value::to_string).unwrap_or_default();
    let tag = tag.map(|it| format!("If-Match: {it}\r\n")).unwrap_or_default();
    let head = format!(
        "{method} /v1.0{path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer emulator:{MEI}\r\n\
         {tag}Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, serde_json::from_str(body).unwrap_or_default()))
}

/// What someone else did: the last acknowledged edit of each task.
#[derive(Debug, Default)]
struct Theirs {
    edits: BTreeMap<String, String>,
    buckets: BTreeMap<String, String>,
    n: usize,
}

/// What runs did to a task: lines and labels that must be there, those that may, and how many.
#[derive(Debug, Default)]
struct Edits {
    known: BTreeSet<String>,
    maybe: BTreeSet<String>,
    n_known: usize,
    n_maybe: usize,
}

/// Renames and moves tasks until told to stop, each time on what is there then.
fn someone_else(url: &str, tasks: &[String], buckets: &[String], stop: &AtomicBool) -> Theirs {
    let mut theirs = Theirs::default();
    let began = Instant::now();
    while !stop.load(Ordering::SeqCst) {
        let n = theirs.n;
        theirs.n += 1;
        let id = &tasks[(n * 7) % tasks.len()];
        let path = format!("/planner/tasks/{id}");
        // Until it is known to be there.
        loop {
            let Some((200, task)) = request(url, "GET", &path, None, None) else { continue };
            let title = task["title"].as_str().unwrap();
            let (base, _) = title.split_once(" ~").unwrap_or((title, ""));
            let (edit, bucket) = (format!(" ~{n}"), &buckets[n % buckets.len()]);
            let is_there =
                if n % 2 == 0 { title.ends_with(&edit) } else { task["bucketId"] == json!(bucket) };
            if is_there {
                break;
            }
            let body = if n % 2 == 0 {
                json!({ "title": format!("{base}{edit}") })
            } else {
                json!({ "bucketId": bucket })
            };
            let tag = task["@odata.etag"].as_str().unwrap();
            if let Some((204 | 200, _)) = request(url, "PATCH", &path, Some(tag), Some(&body)) {
                break;
            }
        }
        if n % 2 == 0 {
            theirs.edits.insert(id.clone(), format!(" ~{n}"));
        } else {
            theirs.buckets.insert(id.clone(), buckets[n % buckets.len()].clone());
        }
        // At a steady rate, however long the requests took.
        let due = Duration::from_secs(1) / RATE * u32::try_from(theirs.n).unwrap();
        while began.elapsed() < due && !stop.load(Ordering::SeqCst) {
            std::thread::park_timeout(due.saturating_sub(began.elapsed()));
        }
    }
    theirs
}

fn prepare(place: &Place, planner: &Planner) -> Vec<String> {
    let script = format!(
        r#"let p = plan("{PLAN}"); let b = p.create_bucket("Contended"); p.create_bucket("Elsewhere");
        for n in 0..{TASKS} {{ b.create_task(#{{ title: `Task ${{n}} #0`, description: "-" }}); }}"#
    );
    place.script(&script, &[]).code(0);
    (0..TASKS)
        .map(|n| planner.task(&format!("Task {n} #0"))["id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn no_edit_is_lost_or_made_twice() {
    for round in 0..times("ROUNDS", 1) {
        contend(round);
    }
}

#[expect(clippy::print_stdout, reason = "how much it was worth")]
fn contend(round: usize) {
    let planner = Arc::new(Planner::demo());
    let place = Arc::new(Place::against(&planner));
    place.file("planwright.toml", "[policies]\nalways = []\n[limits]\nmax_changes = 1000\n");
    place.file("scripts/skills/contend.rhai", SKILL);
    let tasks = prepare(&place, &planner);
    let buckets = ["Contended", "Elsewhere"].map(|it| planner.bucket_id(it)).to_vec();
    let seed = round * 3;
    planner.faults(&json!([
        { "rate": 0.05, "seed": seed, "action": { "status": 503 } },
        { "rate": 0.05, "seed": seed + 1, "action": { "drop_after": true } },
        { "rate": 0.02, "seed": seed + 2, "action": { "drop_before": true } },
    ]));
    let stop = Arc::new(AtomicBool::new(false));
    let other = {
        let (url, tasks, stop) = (planner.url.clone(), tasks.clone(), Arc::clone(&stop));
        std::thread::spawn(move || someone_else(&url, &tasks, &buckets, &stop))
    };
    let n_runs = times("CONTENDERS", 8);
    let runs: Vec<_> = (0..n_runs)
        .map(|me| {
            let place = Arc::clone(&place);
            std::thread::spawn(move || {
                let param = |name: &str, value: usize| format!("{name}={value}");
                let (me, edits) = (param("me", me), param("edits", EDITS));
                let (tasks, round) = (param("tasks", TASKS), param("round", round));
                let args = [
                    "run", "contend", "-p", &me, "-p", &edits, "-p", &tasks, "-p", &round, "--json",
                ];
                place.run(&args)
            })
        })
        .collect();
    let reports: Vec<Value> = runs.into_iter().map(|it| it.join().unwrap().json()).collect();
    stop.store(true, Ordering::SeqCst);
    other.thread().unpark();
    let theirs = other.join().unwrap();
    planner.faults(&json!([]));

    // What each task should show: what was acknowledged, and what is not known may.
    let mut edits: BTreeMap<usize, Edits> = BTreeMap::new();
    for (me, report) in reports.iter().enumerate() {
        let changes = report["changes"].as_array().unwrap();
        assert_eq!(changes.len(), TASKS, "{report:#}");
        for k in 0..EDITS {
            let n = (me + k) % TASKS;
            let change = changes.iter().find(|it| it["id"] == tasks[n]).unwrap();
            let of_task = edits.entry(n).or_default();
            let line = format!("<{round}.{me}.{k}>");
            let label = format!("category{}", me + 1);
            if change["status"] == "applied" {
                of_task.known.extend([line, label]);
                of_task.n_known += 1;
            } else {
                // The retry budget is spent now and then, which is said.
                assert_ne!(change["error"], Value::Null, "{change:#}");
                of_task.maybe.extend([line, label]);
                of_task.n_maybe += 1;
            }
        }
    }
    let n_known: usize = edits.values().map(|it| it.n_known).sum();
    assert!(n_known * 100 >= n_runs * EDITS * 95, "only {n_known} were acknowledged");
    let total =
        |name: &str| reports.iter().map(|it| it["stats"][name].as_u64().unwrap()).sum::<u64>();
    println!(
        "{} edits by {n_runs} runs beside {} of someone else: {} requests, {} conflicts, {} replays, {} retries",
        n_runs * EDITS,
        theirs.n,
        total("requests"),
        total("conflicts"),
        total("replays"),
        total("retries"),
    );
    assert!(
        total("conflicts") > 0 && total("replays") > 0 && total("retries") > 0,
        "no contention"
    );
    for (n, id) in tasks.iter().enumerate() {
        let task = planner.get(&format!("/planner/tasks/{id}"));
        let details = planner.get(&format!("/planner/tasks/{id}/details"));
        let text = details["description"].as_str().unwrap().trim_start_matches('-');
        let lines: Vec<String> = text.split_inclusive('>').map(str::to_owned).collect();
        let labels = task["appliedCategories"].as_object().unwrap().keys().cloned();
        let unique: BTreeSet<String> = lines.iter().cloned().chain(labels).collect();
        let of_task = &edits[&n];
        assert_eq!(
            unique.iter().filter(|it| it.starts_with('<')).count(),
            lines.len(),
            "none twice: {text}"
        );
        assert!(of_task.known.is_subset(&unique), "none lost: {text}");
        assert!(unique.iter().all(|it| of_task.known.contains(it) || of_task.maybe.contains(it)));
        // Every raise once, and their edit.
        let tail = theirs.edits.get(id).map_or("", String::as_str);
        let could_be: Vec<String> = (of_task.n_known..=of_task.n_known + of_task.n_maybe)
            .map(|count| format!("Task {n} #{count}{tail}"))
            .collect();
        assert!(
            could_be.iter().any(|it| task["title"] == **it),
            "{}, not {could_be:?}",
            task["title"]
        );
        if let Some(bucket) = theirs.buckets.get(id) {
            assert_eq!(task["bucketId"], json!(bucket), "where they put it");
        }
    }
    place.run(&["audit", "verify"]).code(0);
}
