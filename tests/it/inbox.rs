//! The inbox: what is submitted has one effect, under the receiving agent's rules, whoever works on it
//! and however often a worker is killed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::support::{Place, Planner, is_write, until};

const OPEN: &str = "[policies]\nalways = []\n[limits]\nquarantine_seconds = 0\n";
const ADD: &str = "//! Adds a task to the Inbox.\n//!\n//! ```toml\n//! [params]\n//! title = { type = \"string\" }\n//! ```\nplan(\"BOS Operations\").create_task(#{ title: params.title, bucket: \"Inbox\" });\n";

/// It writes on a tag, so that a write whose answer was lost is sent again at once; a create would have
/// to wait until it must have shown.
const URGE: &str = "//! Makes a task urgent.\n//!\n//! ```toml\n//! [params]\n//! title = { type = \"string\" }\n//! ```\nlet task = plan(\"BOS Operations\").task(params.title);\ntask.priority = 1;\n";
const TASK: &str = "Book the room for the customer day";

fn place(planner: &Planner, config: &str) -> Place {
    let place = Place::against(planner);
    place.file("planwright.toml", &format!("{OPEN}{config}"));
    place.file("scripts/skills/add.rhai", ADD).file("scripts/skills/urge.rhai", URGE);
    place
}

/// Submits the skill that adds a task; returns the answer.
#[track_caller]
fn submit(place: &Place, title: &str, more: &[&str]) -> Value {
    let title = format!("title={title}");
    place.run(&[&["submit", "add", "-p", &title, "--json"], more].concat()).code(0).json()
}

#[track_caller]
fn work(place: &Place) -> Vec<Value> {
    let done = place.run(&["work", "--once", "--json"]).code(0).json();
    done.as_array().unwrap().clone()
}

fn show(place: &Place, entry: &Value) -> Value {
    let id = entry["id"].as_str().unwrap();
    place.run(&["inbox", "show", id, "--json"]).code(0).json()
}

/// Counts the tasks of a title.
fn count(planner: &Planner, title: &str) -> usize {
    let tasks = planner.get(&format!("/planner/plans/{}/tasks", planner.plan_id()));
    tasks["value"].as_array().unwrap().iter().filter(|task| task["title"] == title).count()
}

#[test]
fn what_is_submitted_runs_as_the_agent_that_it_is_for_once_for_each_key() {
    let planner = Planner::demo();
    let place = place(&planner, "[agents.rook]\n");
    assert_eq!(place.run(&["inbox", "--json"]).code(0).json(), json!([]));
    assert_eq!(work(&place), Vec::<Value>::new());
    let first = submit(&place, "Order toner", &["--to", "rook", "--key", "mail-1"]);
    assert_eq!(first["state"], "queued");
    assert_eq!(submit(&place, "Order ink", &["--to", "rook", "--key", "mail-1"]), first);
    // A key that stands for something else is not taken for an answer.
    let other = ["submit", "weekly_report", "--to", "rook", "--key", "mail-1"];
    place.run(&other).code(1).says(&["under the key `mail-1`, `add` was submitted to `rook`"]);
    assert_eq!(count(&planner, "Order toner"), 0);
    let listed = place.run(&["inbox", "list", "--json"]).code(0).json();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    let one = &listed[0];
    assert_eq!(
        (&one["id"], &one["key"], &one["skill"], &one["from"], &one["to"]),
        (&first["id"], &json!("mail-1"), &json!("add"), &json!("rook@bos.example"), &json!("rook"))
    );
    assert_eq!((&one["attempts"], &one["run_id"]), (&json!(0), &Value::Null));
    let done = work(&place);
    assert_eq!((done.len(), &done[0]["state"]), (1, &json!("done")));
    assert_eq!((count(&planner, "Order toner"), count(&planner, "Order ink")), (1, 0));
    let run = done[0]["run_id"].as_str().unwrap();
    let run = place.run(&["runs", "show", run, "--json"]).code(0).json();
    assert_eq!((&run["actor"]["agent"], &run["status"]), (&json!("rook"), &json!("applied")));
    let again = submit(&place, "Order toner", &["--to", "rook", "--key", "mail-1"]);
    assert_eq!((&again["id"], &again["state"]), (&first["id"], &json!("done")));
    assert_eq!(work(&place), Vec::<Value>::new());
    assert_eq!(count(&planner, "Order toner"), 1);
    // A person's own entry is run as theirs.
    let own = submit(&place, "Water the plants", &[]);
    assert_eq!(work(&place)[0]["to"], "rook@bos.example");
    assert_eq!(show(&place, &own)["outcome"], "applied");
    // The chain is on record: who asked, who did, what came of it.
    let audit = place.run(&["audit", "export"]).code(0).stdout;
    for kind in ["submitted", "taken", "settled"] {
        assert!(audit.contains(&format!("\"kind\":\"{kind}\"")), "{kind}: {audit}");
    }
    place.run(&["audit", "verify"]).code(0);
}

#[test]
fn only_what_nobody_has_begun_can_be_cancelled() {
    let planner = Planner::demo();
    let place = place(&planner, "");
    let entry = submit(&place, "Order toner", &["--to", "rook"]);
    let id = entry["id"].as_str().unwrap();
    let cancelled = place.run(&["inbox", "cancel", id, "--json"]).code(0).json();
    assert_eq!(cancelled["state"], "cancelled");
    assert_eq!(work(&place), Vec::<Value>::new());
    assert_eq!(count(&planner, "Order toner"), 0);
    place.run(&["inbox", "cancel", id]).code(1).says(&["it is cancelled"]);
    place.run(&["inbox", "show", "ffffffff"]).code(1).says(&["there is nothing in the inbox"]);
    let open = place.run(&["inbox", "list", "--open", "--json"]).code(0).json();
    assert_eq!(open, json!([]));
}

#[test]
fn an_agent_submits_to_those_whose_inbox_names_it() {
    let planner = Planner::demo();
    let config = "[agents.victor]\n[agents.rook]\ninbox = [\"victor\"]\nskills = [\"add\"]\n";
    let place = place(&planner, config);
    let entry = submit(&place, "From Victor", &["--as", "victor", "--to", "rook"]);
    place
        .run(&["submit", "add", "-p", "title=x", "--as", "rook", "--to", "victor"])
        .code(3)
        .says(&["may not submit to `victor`"]);
    place.run(&["submit", "standup_digest", "--to", "rook"]).code(3).says(&["may not run"]);
    place.run(&["submit", "add", "-p", "title=x", "--to", "fern"]).code(1);
    place.run(&["submit", "add", "-p", "titel=x", "--to", "rook"]).code(1);
    place.run(&["submit", "ad", "--to", "rook"]).code(1).says(&["did you mean `add`?"]);
    // What is another's, an agent neither sees nor works on.
    let own = submit(&place, "For Victor", &["--to", "victor"]);
    let seen = place.run(&["inbox", "--json", "--as", "rook"]).code(0).json();
    assert_eq!((seen.as_array().unwrap().len(), &seen[0]["id"]), (1, &entry["id"]));
    let id = entry["id"].as_str().unwrap();
    place.run(&["inbox", "cancel", id, "--as", "rook"]).code(3);
    place.run(&["work", "--once", "--as", "rook"]).code(0);
    assert_eq!((count(&planner, "From Victor"), count(&planner, "For Victor")), (1, 0));
    assert_eq!(show(&place, &own)["state"], "queued");
}

/// The way from a department to the board, and back: somebody asks Victor, who hands it on to Rook, and
/// learns from the inbox what became of it.
#[test]
fn a_request_goes_from_a_department_over_two_agents_to_the_board_and_back() {
    let planner = Planner::demo();
    let config = "[agents.victor]\nplans = []\n[agents.rook]\nplans = [\"BOS Operations\"]\nskills = [\"capture_action_item\"]\ninbox = [\"victor\"]\n";
    let place = place(&planner, config);
    let ask = [
        "submit",
        "capture_action_item",
        "-p",
        "title=Order toner",
        "-p",
        "department=Operations",
        "--as",
        "victor",
        "--to",
        "rook",
        "--key",
        "mail-4711",
        "--json",
    ];
    let asked = place.run(&ask).code(0).json();
    assert_eq!(asked["state"], "queued");
    assert_eq!(work(&place)[0]["state"], "done");
    assert_eq!(planner.task("Order toner")["title"], "Order toner");
    let back = place.run(&ask).code(0).json();
    assert_eq!((&back["id"], &back["state"]), (&asked["id"], &json!("done")));
    let whole = place
        .run(&["inbox", "show", asked["id"].as_str().unwrap(), "--json", "--as", "victor"])
        .code(0)
        .json();
    assert_eq!((&whole["from"], &whole["to"]), (&json!("victor"), &json!("rook")));
    assert_eq!(whole["outcome"], "applied");
}

#[test]
fn a_denial_is_final_and_what_is_held_is_done_for_the_worker() {
    let planner = Planner::demo();
    let config =
        "[agents.no]\nmay_apply = false\n[agents.ask]\nmay_apply = \"approved\"\n[agents.rook]\n";
    let place = place(&planner, config);
    let denied = submit(&place, "Denied", &["--to", "no"]);
    let held = submit(&place, "Held", &["--to", "ask"]);
    work(&place);
    let denied = show(&place, &denied);
    assert_eq!((&denied["state"], &denied["attempts"]), (&json!("failed"), &json!(1)));
    assert!(!denied["reason"].as_str().unwrap().is_empty());
    let held = show(&place, &held);
    assert_eq!((&held["state"], &held["outcome"]), (&json!("done"), &json!("held")));
    let pending = held["pending"].as_str().unwrap();
    assert!(held["reason"].as_str().unwrap().contains(pending), "{held}");
    assert_eq!((count(&planner, "Denied"), count(&planner, "Held")), (0, 0));
    place.run(&["approve", pending]).code(0);
    assert_eq!(count(&planner, "Held"), 1);
    // Whoever waits ends as the run did.
    let wait = |title: &str, to: &str| {
        let title = format!("title={title}");
        let mut worker = place.start(&["work"], "");
        let output = place.run(&["submit", "add", "-p", &title, "--to", to, "--wait", "--json"]);
        worker.kill().unwrap();
        worker.wait().unwrap();
        output
    };
    assert_eq!(wait("Now", "rook").code(0).json()["state"], "done");
    assert_eq!(wait("Never", "no").code(3).json()["state"], "failed");
    assert_eq!(wait("Later", "ask").code(7).json()["state"], "done");
}

#[test]
fn after_three_attempts_an_entry_is_dead_and_says_why() {
    let planner = Planner::demo();
    let place = place(&planner, "");
    planner.faults(&json!([
        { "method": "POST", "path": "/planner/tasks",
          "action": { "status": 429, "retry_after": "900" } },
    ]));
    let entry = submit(&place, "Order toner", &["--to", "rook"]);
    let steps = work(&place);
    let states: Vec<&Value> = steps.iter().map(|step| &step["state"]).collect();
    assert_eq!(states, [&json!("queued"), &json!("queued"), &json!("dead")]);
    let dead = show(&place, &entry);
    assert_eq!((&dead["attempts"], &dead["code"]), (&json!(3), &json!("unavailable")));
    assert!(dead["reason"].as_str().unwrap().contains("429"), "{dead}");
    planner.faults(&json!([]));
    assert_eq!(work(&place), Vec::<Value>::new());
    assert_eq!(count(&planner, "Order toner"), 0);
    // What is for a paused agent waits, without losing an attempt.
    place.run(&["agent", "pause", "rook"]).code(0);
    let entry = submit(&place, "Order ink", &["--to", "rook"]);
    assert_eq!(work(&place), Vec::<Value>::new());
    assert_eq!(show(&place, &entry)["attempts"], 0);
    place.run(&["agent", "resume", "rook"]).code(0);
    assert_eq!(work(&place)[0]["state"], "done");
    assert_eq!(count(&planner, "Order ink"), 1);
}

#[test]
fn two_workers_share_an_inbox_and_do_each_entry_once() {
    const N: usize = 6;
    let planner = Planner::demo();
    let place = place(&planner, "");
    let title = |n: usize| format!("Shared {n}");
    let entries: Vec<Value> =
        (0..N).map(|n| submit(&place, &title(n), &["--to", "rook"])).collect();
    let workers = [(); 3].map(|()| place.start(&["work", "--once"], ""));
    for mut worker in workers {
        assert!(worker.wait().unwrap().success());
    }
    for (n, entry) in entries.iter().enumerate() {
        let shown = show(&place, entry);
        assert_eq!((&shown["state"], &shown["attempts"]), (&json!("done"), &json!(1)), "{shown}");
        assert_eq!(count(&planner, &title(n)), 1, "{n}");
    }
    place.run(&["audit", "verify"]).code(0);
}

/// The request at which a worker is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// It reads the plans: its run is on no record yet.
    Read,
    /// It writes, and the write is carried out.
    Write,
    /// It writes, and the write never arrives.
    LostWrite,
}

/// Starts a worker and kills it at a request.
fn kill_worker(planner: &Planner, place: &Place, at: At) {
    let (pid, fired) = (Arc::new(AtomicU32::new(0)), AtomicBool::new(false));
    let victim = Arc::clone(&pid);
    planner.on_request(move |emulator, exchange| {
        let is_meant = match at {
            At::Read => exchange.path.contains("/planner/plans"),
            At::Write | At::LostWrite => is_write(exchange),
        };
        if !is_meant || fired.swap(true, Ordering::SeqCst) {
            return;
        }
        if at == At::LostWrite {
            let rules = ["POST", "PATCH"]
                .map(|method| json!({ "method": method, "action": { "drop_before": true } }));
            emulator.set_faults(serde_json::from_value(json!(rules)).unwrap()).unwrap();
        }
        until(|| victim.load(Ordering::SeqCst) != 0);
        let id = victim.load(Ordering::SeqCst).to_string();
        let killed = std::process::Command::new("kill").args(["-9", &id]).status().unwrap();
        assert!(killed.success());
    });
    let mut worker = place.start(&["work", "--once"], "");
    pid.store(worker.id(), Ordering::SeqCst);
    assert!(!worker.wait().unwrap().success(), "it was to be killed at {at:?}");
    planner.on_request(|_, _| {});
    planner.faults(&json!([]));
}

#[test]
fn a_killed_worker_loses_nothing_and_doubles_nothing() {
    for at in [At::Read, At::Write, At::LostWrite] {
        let planner = Planner::demo();
        let place = place(&planner, "");
        let (skill, title) =
            if at == At::LostWrite { ("urge", TASK) } else { ("add", "Order toner") };
        let title_is = format!("title={title}");
        let entry = ["submit", skill, "-p", &title_is, "--to", "rook", "--json"];
        let entry = place.run(&entry).code(0).json();
        kill_worker(&planner, &place, at);
        let shown = show(&place, &entry);
        assert_eq!((&shown["state"], &shown["attempts"]), (&json!("running"), &json!(1)), "{at:?}");
        place.run(&["inbox", "cancel", entry["id"].as_str().unwrap()]).code(1);
        let done = work(&place);
        assert_eq!((done.len(), &done[0]["state"]), (1, &json!("done")), "{at:?}: {done:?}");
        assert_eq!(count(&planner, title), 1, "{at:?}");
        assert_eq!(planner.task(title)["priority"] == 1, at == At::LostWrite, "{at:?}");
        assert_eq!(show(&place, &entry)["attempts"], 2, "{at:?}");
        place.run(&["audit", "verify"]).code(0);
    }
}

/// Killed three times, an entry is given up; what its run has written is not written again.
#[test]
fn an_entry_that_ends_its_worker_is_given_up() {
    let planner = Planner::demo();
    let place = place(&planner, "");
    let entry = submit(&place, "Order toner", &["--to", "rook"]);
    for _ in 0..3 {
        kill_worker(&planner, &place, At::Read);
    }
    assert_eq!(work(&place)[0]["state"], "dead");
    let dead = show(&place, &entry);
    assert!(dead["reason"].as_str().unwrap().contains("3 attempts"), "{dead}");
    assert_eq!(count(&planner, "Order toner"), 0);
}

/// How many processes submit at once, and how many workers run.
const SUBMITTERS: usize = 8;
const WORKERS: usize = 3;

/// Starts workers one after another until all is done, with their ids in a list from which some are
/// killed.
fn keep_working(place: &Place, pids: &std::sync::Mutex<Vec<u32>>, is_over: &AtomicBool) {
    use std::io::Read as _;
    while !is_over.load(Ordering::SeqCst) {
        let mut command = place.command(&["work", "--once"]);
        command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::piped());
        command.stderr(std::process::Stdio::null());
        let mut child = command.spawn().unwrap();
        pids.lock().unwrap().push(child.id());
        // At the end of its output it has ended; until it is waited for, its id is nobody else's.
        let _ended = child.stdout.take().unwrap().read_to_end(&mut Vec::new());
        pids.lock().unwrap().retain(|id| *id != child.id());
        child.wait().unwrap();
    }
}

/// Many submit at once, each of them twice, and workers are killed at random in the middle of their
/// writes: nothing is lost, and nothing is done twice.
#[test]
fn nothing_submitted_is_lost_or_doubled_however_many_workers_are_killed() {
    let n: usize = crate::support::times("SUBMISSIONS", 16);
    let seed: u64 = crate::support::times("FIRST_SEED", 1);
    let planner = Planner::demo();
    let limits = "[agents.rook.limits]\nruns_per_hour = 1000000\nchanges_per_day = 1000000\n";
    let place = place(&planner, &format!("[agents.rook]\n{limits}"));
    let (pids, is_over) = (Arc::new(std::sync::Mutex::new(Vec::new())), AtomicBool::new(false));
    let victims = Arc::clone(&pids);
    let kills = Arc::new(AtomicU32::new(0));
    let (killed, mut random) = (Arc::clone(&kills), seed);
    planner.on_request(move |_, exchange| {
        if !is_write(exchange) {
            return;
        }
        // Any generator will do, as long as the seed decides.
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let victims: std::sync::MutexGuard<'_, Vec<u32>> = victims.lock().unwrap();
        if (random >> 33) % 5 != 0 || victims.is_empty() {
            return;
        }
        let victim = victims[usize::try_from(random >> 40).unwrap() % victims.len()].to_string();
        let done = std::process::Command::new("kill").args(["-9", &victim]).status().unwrap();
        killed.fetch_add(u32::from(done.success()), Ordering::SeqCst);
    });
    let state = |entry: &Value| entry["state"].as_str().unwrap().to_owned();
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| keep_working(&place, &pids, &is_over));
        }
        let submitters: Vec<_> = (0..SUBMITTERS)
            .map(|at| {
                let place = &place;
                scope.spawn(move || {
                    for one in (at..n).step_by(SUBMITTERS) {
                        let (title, key) = (format!("Load {one}"), format!("load-{one}"));
                        let args = ["--to", "rook", "--key", &key];
                        let first = submit(place, &title, &args);
                        assert_eq!(submit(place, &title, &args)["id"], first["id"]);
                    }
                })
            })
            .collect();
        submitters.into_iter().for_each(|submitter| submitter.join().unwrap());
        loop {
            let open = place.run(&["inbox", "list", "--open", "--json"]).code(0).json();
            if open.as_array().unwrap().is_empty() {
                break;
            }
        }
        is_over.store(true, Ordering::SeqCst);
    });
    planner.on_request(|_, _| {});
    let limit = (2 * n).to_string();
    let all = place.run(&["inbox", "list", "--limit", &limit, "--json"]).code(0).json();
    let all = all.as_array().unwrap();
    assert_eq!(all.len(), n);
    let mut tasks = Vec::new();
    let mut next = Some(format!("/planner/plans/{}/tasks", planner.plan_id()));
    while let Some(path) = next {
        let page = planner.get(&path);
        tasks.extend_from_slice(page["value"].as_array().unwrap());
        let link = page["@odata.nextLink"].as_str();
        next = link.map(|link| link.split_once("/v1.0").unwrap().1.to_owned());
    }
    let made = |title: &str| tasks.iter().filter(|task| task["title"] == title).count();
    for entry in all {
        let title = entry["key"].as_str().unwrap().replace("load-", "Load ");
        match state(entry).as_str() {
            "done" => assert_eq!(made(&title), 1, "{entry}"),
            // Whoever meets three kills in a row is given up, with the reason, and made at most once.
            "dead" => assert!(made(&title) <= 1 && entry["reason"].is_string(), "{entry}"),
            _ => panic!("{entry}"),
        }
    }
    println!("{n} submitted, {} workers killed", kills.load(Ordering::SeqCst));
    place.run(&["audit", "verify"]).code(0);
}

/// A long inbox is listed in pages, the newest first.
#[test]
fn what_was_submitted_in_one_workspace_is_carried_out_in_that_one() {
    let planner = Planner::demo();
    let (here, there) = (place(&planner, "[agents.rook]\n"), place(&planner, "[agents.rook]\n"));
    let state = here.path().join("state").display().to_string();
    let in_one = ["--state-dir", &state];
    let submitted = |place: &Place, title: &str| {
        submit(place, title, &[&["--to", "rook", "--key", "k"], &in_one[..]].concat())
    };
    let work = |place: &Place| {
        let done = place.run(&[&["work", "--once", "--json"], &in_one[..]].concat()).code(0);
        done.json().as_array().unwrap().len()
    };
    let first = submitted(&here, "Order toner");
    // The same key in another workspace is another entry.
    let second = submitted(&there, "Order ink");
    assert_ne!(first["id"], second["id"]);
    assert_eq!((work(&there), work(&there)), (1, 0));
    assert_eq!((count(&planner, "Order toner"), count(&planner, "Order ink")), (0, 1));
    assert_eq!((work(&here), work(&here)), (1, 0));
    assert_eq!((count(&planner, "Order toner"), count(&planner, "Order ink")), (1, 1));
}

#[test]
fn an_agent_that_submits_in_a_loop_is_stopped() {
    let planner = Planner::demo();
    let config = "[agents.rook]\n[agents.rook.limits]\nruns_per_hour = 2\n";
    let place = place(&planner, config);
    let as_rook = ["--as", "rook"];
    for title in ["One", "Two"] {
        submit(&place, title, &as_rook);
    }
    let third = ["submit", "add", "-p", "title=Three", "--as", "rook", "--json"];
    let refused = place.run(&third).code(3);
    assert!(refused.stdout.contains("2 entries in an hour"), "{}", refused.stdout);
    // A person is not counted with it.
    submit(&place, "Four", &["--to", "rook"]);
}

#[test]
fn a_long_inbox_comes_in_pages() {
    let planner = Planner::demo();
    let place = place(&planner, "");
    for n in 0..5 {
        submit(&place, &format!("Page {n}"), &["--to", "rook", "--key", &n.to_string()]);
    }
    let keys = |more: &[&str]| -> Vec<String> {
        let list = place.run(&[&["inbox", "list", "--json"], more].concat()).code(0).json();
        let keys = list.as_array().unwrap().iter().map(|entry| entry["key"].as_str().unwrap());
        keys.map(str::to_owned).collect()
    };
    assert_eq!(keys(&["--limit", "2"]), ["3", "4"]);
    let list = place.run(&["inbox", "list", "--limit", "2", "--json"]).code(0).json();
    let first = list[0]["id"].as_str().unwrap().to_owned();
    let list = place.run(&["inbox", "list", "--limit", "2"]).code(0);
    assert!(list.stderr.contains(&format!("--before {first}")), "{}", list.stderr);
    assert_eq!(keys(&["--limit", "2", "--before", &first]), ["1", "2"]);
    assert_eq!(keys(&[]).len(), 5);
}
