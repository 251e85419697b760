//! Runs that a server has accepted: none is lost and none has two effects, whether the server is killed,
//! full, or asked by many at once.

use std::collections::BTreeSet;
use std::sync::Mutex;

use planwright::journal::inbox::{Asked, EntryState, InboxEntry, Submission};
use planwright::journal::{Journal, Lockable, Note, NoteKind, PlanLocks};
use planwright::model::PlanId;
use serde_json::{Value, json};

use crate::serve::{Server, token};
use crate::support::{PLAN, Place, Planner, ROOK, between_looks, times};

const OPEN: &str = "[policies]\nalways = []\n[limits]\nquarantine_seconds = 0\n";

/// Makes so many tasks for runs to write, and a place beside them.
fn place(planner: &Planner, n: usize) -> Place {
    let (plan, bucket) = (planner.plan_id(), planner.bucket_id("Inbox"));
    for n in 0..n {
        let task = json!({ "planId": plan, "bucketId": bucket, "title": title(n) });
        planner.create(ROOK, "/planner/tasks", &task);
    }
    let place = Place::against(planner);
    place.file("planwright.toml", OPEN);
    place
}

fn title(n: usize) -> String {
    format!("Asked for {n}")
}

/// It writes on a tag, so that a write whose answer was lost is sent again at once.
fn ask(n: usize) -> Value {
    let title = title(n);
    json!({ "script": format!("let it = plan(\"{PLAN}\").task(\"{title}\"); it.priority = 1;") })
}

/// Waits until a run is over; returns all of it.
fn over(server: &Server, who: &str, id: &str) -> Value {
    loop {
        let run = server.get(who, &format!("/api/v1/runs/{id}")).is(200).json();
        assert!(run["run_id"] == id || run["accepted_as"] == id, "{run}");
        match run["status"].as_str() {
            None => assert_eq!(run["report"], Value::Null, "{run}"),
            Some("queued") => {}
            Some(_) => return run,
        }
        between_looks();
    }
}

/// Checks that each of so many tasks was written once; returns how many requests the service refused for
/// their tag. One whose answer was lost with its process may be sent again on the same tag, which is how
/// it is found out that it has arrived.
fn written_once(planner: &Planner, n: usize) -> usize {
    let writes = planner.writes();
    let (done, refused): (Vec<_>, Vec<_>) =
        writes.iter().partition(|it| it.status.is_some_and(|status| status < 300));
    let each: BTreeSet<&str> = done.iter().map(|it| it.path.as_str()).collect();
    assert_eq!((done.len(), each.len()), (n, n), "{writes:#?}");
    assert!(refused.iter().all(|it| matches!(it.status, Some(409 | 412))), "{writes:#?}");
    assert!((0..n).all(|n| planner.task(&title(n))["priority"] == 1));
    refused.len()
}

#[test]
fn runs_that_were_accepted_outlive_their_server() {
    let n = times("ACCEPTED", 8);
    let planner = Planner::demo();
    let place = place(&planner, n);
    let admin = token(&place, "ana", "admin");
    let server = Server::start(&place);
    let ids: Vec<String> = (0..n)
        .map(|n| {
            let accepted = server.post(&admin, "/api/v1/runs", &ask(n)).is(202).json();
            accepted["run_id"].as_str().unwrap().to_owned()
        })
        .collect();
    let shown = server.get(&admin, &format!("/api/v1/runs/{}", ids[n - 1])).is(200).json();
    assert_eq!((&shown["run_id"], &shown["skill"]), (&json!(ids[n - 1]), &json!("script")));
    server.kill();
    let server = Server::start(&place);
    for id in &ids {
        let run = over(&server, &admin, id);
        // One that was cut off after its write was carried on, and had nothing left to do.
        let status = run["status"].as_str().unwrap();
        assert!(["applied", "no_changes"].contains(&status), "{run}");
    }
    assert!(written_once(&planner, n) <= 4, "no more than were at work");
    // What was asked for is on record with the token's name, and stands among nothing submitted.
    let audit = place.run(&["audit", "export"]).code(0).stdout;
    let asked = audit.lines().filter(|it| it.contains("\"kind\":\"submitted\""));
    assert_eq!(asked.filter(|it| it.contains("\"ana\"")).count(), n);
    assert_eq!(place.run(&["inbox", "--json"]).code(0).json(), json!([]));
    place.run(&["audit", "verify"]).code(0);
}

#[test]
fn what_waits_when_a_server_ends_is_carried_out_by_whoever_works_next() {
    let n = 5;
    let planner = Planner::demo();
    let place = place(&planner, n);
    let admin = token(&place, "ana", "admin");
    let server = Server::start(&place);
    // Whatever writes waits for the plan, so that all who carry runs out are busy.
    let locks = PlanLocks::open(&place.state()).unwrap();
    let plan = PlanId::parse(&planner.plan_id()).unwrap();
    let held = locks.try_lock(&Lockable::Plan(plan)).unwrap().unwrap();
    let accept = |n| server.post(&admin, "/api/v1/runs", &ask(n)).is(202).json()["run_id"].clone();
    let ids: Vec<Value> = (0..n).map(accept).collect();
    let last = format!("/api/v1/runs/{}", ids[n - 1].as_str().unwrap());
    let shown = server.get(&admin, &last).is(200).json();
    assert_eq!((&shown["run_id"], &shown["status"]), (&ids[n - 1], &json!("queued")));
    drop(server);
    drop(held);
    assert!(planner.writes().is_empty());
    let done = place.run(&["work", "--once", "--json"]).code(0).json();
    let done = done.as_array().unwrap();
    let of = |name: &str| done.iter().map(|entry| entry[name].clone()).collect::<Vec<_>>();
    assert_eq!((of("id"), of("state")), (ids, vec![json!("done"); n]));
    assert_eq!(of("run_id")[n - 1], of("id")[n - 1]);
    assert_eq!(written_once(&planner, n), 0);
}

fn note() -> Note {
    let at = "2026-01-01T00:00:00Z".parse().unwrap();
    let (name, detail) = ("test".to_owned(), Value::Null);
    Note { kind: NoteKind::Submitted, at, run: None, actor: None, name, detail }
}

#[test]
fn a_full_queue_says_when_to_come_again() {
    let planner = Planner::demo();
    let place = place(&planner, 1);
    let admin = token(&place, "ana", "admin");
    let server = Server::start(&place);
    let first = server.post(&admin, "/api/v1/runs?wait=30", &ask(0)).is(200).json();
    let journal = Journal::open(&place.state().join("journal.db")).unwrap();
    let like = journal.inbox_entry(first["run_id"].as_str().unwrap()).unwrap().unwrap();
    // Those of somebody else, which nobody here carries out.
    for _ in 0..1_000 {
        let entry = InboxEntry {
            id: uuid::Uuid::now_v7().to_string(),
            from_upn: "ana@bos.example".into(),
            asked: Some(Asked { script: Some("1".into()), dry_run: true }),
            state: EntryState::Queued,
            run: None,
            outcome: None,
            ended_at: None,
            ..like.clone()
        };
        journal.submit(&Submission::new(&entry, &note())).unwrap();
    }
    let refused = server.post(&admin, "/api/v1/runs", &ask(0)).is(503);
    assert_eq!((refused.code().as_str(), refused.head("retry-after")), ("queue_full", "5"));
}

#[test]
fn many_clients_at_once_lose_no_run_and_double_none() {
    let (clients, n) = (10, times("ASKED", 60));
    let planner = Planner::demo();
    let place = place(&planner, n);
    let admin = token(&place, "ana", "admin");
    let server = Server::start(&place);
    let next = std::sync::atomic::AtomicUsize::new(0);
    let (ids, warm) = (Mutex::new(BTreeSet::new()), Mutex::new(0));
    std::thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    if at >= n {
                        return;
                    }
                    if at == n / 2 {
                        *warm.lock().unwrap() = server.memory();
                    }
                    let accepted = server.post(&admin, "/api/v1/runs", &ask(at)).is(202).json();
                    let id = accepted["run_id"].as_str().unwrap();
                    let run = over(&server, &admin, id);
                    assert_eq!(run["status"], "applied", "{run}");
                    assert!(ids.lock().unwrap().insert(id.to_owned()), "{id} came twice");
                }
            });
        }
    });
    assert_eq!(written_once(&planner, n), 0);
    let ids = ids.into_inner().unwrap();
    assert_eq!(ids.len(), n);
    let runs = server.get(&admin, "/api/v1/runs?limit=200").is(200).json();
    let known = |run: &&Value| ids.contains(run["run_id"].as_str().unwrap());
    assert_eq!(runs.as_array().unwrap().iter().filter(known).count(), n.min(200));
    // Of what half of the runs have used, the other half needs little more.
    let (warm, now) = (warm.into_inner().unwrap(), server.memory());
    assert!(now <= warm + (24 << 20), "{warm} bytes, then {now}");
}
