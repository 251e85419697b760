//! Sets that are carried out by processes that are killed, held again on the way, or overtaken: each is
//! applied once, and says what became of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::mcp::{Client, code, text};
use crate::serve::{Server, token};
use crate::support::{Place, Planner, is_write, until};

const MEIS: &str = "Translate the brochure for Besançon";
const OURS: &str = "Book the room for the customer day";
const OPEN: &str = "[policies]\nalways = []\n[limits]\nquarantine_seconds = 0\n";
const ASK: &str = "[policies]\nalways = [\"ask\"]\n[limits]\nquarantine_seconds = 0\n";

fn place(planner: &Planner, config: &str) -> Place {
    let place = Place::against(planner);
    place.file("planwright.toml", config);
    place.file(
        "scripts/policies/ask.rhai",
        "fn review(changes, run) { hold(\"a person looks at it\"); }",
    );
    place
}

/// Runs the program and kills it at the first request that is meant.
fn killed(
    planner: &Planner,
    place: &Place,
    args: &[&str],
    stdin: &str,
    is_meant: impl Fn(&planwright::emulator::Exchange) -> bool + Send + 'static,
) {
    let (pid, fired) = (Arc::new(AtomicU32::new(0)), AtomicBool::new(false));
    let victim = Arc::clone(&pid);
    planner.on_request(move |_, exchange| {
        if !is_meant(exchange) || fired.swap(true, Ordering::SeqCst) {
            return;
        }
        until(|| victim.load(Ordering::SeqCst) != 0);
        let id = victim.load(Ordering::SeqCst).to_string();
        assert!(std::process::Command::new("kill").args(["-9", &id]).status().unwrap().success());
    });
    let mut child = place.start(args, stdin);
    pid.store(child.id(), Ordering::SeqCst);
    assert!(!child.wait().unwrap().success(), "it was to be killed");
    planner.on_request(|_, _| {});
}

fn all(place: &Place) -> Vec<Value> {
    let list = place.run(&["pending", "--all", "--json"]).code(0).json();
    list.as_array().unwrap().clone()
}

fn state(place: &Place, id: &str) -> Value {
    let all = all(place);
    all.iter().find(|one| one["id"] == id).unwrap_or_else(|| panic!("{id}: {all:?}")).clone()
}

fn held(place: &Place) -> String {
    let held = place.run(&["task", "complete", MEIS, "--json"]).code(7).json();
    held["pending"].as_str().unwrap().to_owned()
}

fn kinds(place: &Place) -> Vec<String> {
    let audit = place.run(&["audit", "export"]).code(0).stdout;
    let kind = |line: &str| {
        let record: Value = serde_json::from_str(line).unwrap();
        record["kind"].as_str().map(str::to_owned)
    };
    audit.lines().filter_map(kind).collect()
}

#[test]
fn an_approved_set_whose_process_is_killed_is_carried_on_and_says_so() {
    let planner = Planner::demo();
    let place = place(&planner, "[limits]\nquarantine_seconds = 0\n");
    let id = held(&place);
    killed(&planner, &place, &["approve", &id], "", is_write);
    assert_eq!(state(&place, &id)["state"], "approved");
    // It is not begun a second time beside the run that was cut off.
    place.run(&["apply", &id]).code(1).says(&["planwright resume"]);
    place.run(&["resume"]).code(0);
    assert_eq!(planner.task(MEIS)["percentComplete"], 100);
    let one = state(&place, &id);
    assert_eq!(one["state"], "applied", "{one}");
    assert!(one["applied_by"].is_string(), "{one}");
    place.run(&["approve", &id]).code(1).says(&["it was applied"]);
    assert!(kinds(&place).contains(&"carried_out".to_owned()));
    place.run(&["audit", "verify"]).code(0);
}

#[test]
fn an_approval_that_came_to_no_write_is_not_lost() {
    let planner = Planner::demo();
    let place = place(&planner, "[limits]\nquarantine_seconds = 0\n");
    let id = held(&place);
    killed(&planner, &place, &["approve", &id], "", |exchange| {
        exchange.path.contains("/planner/") || exchange.path.ends_with("$batch")
    });
    assert_eq!(planner.task(MEIS)["percentComplete"], 0);
    assert_eq!(state(&place, &id)["state"], "approved");
    place.run(&["approve", &id]).code(1).says(&["has approved it", "planwright apply"]);
    place.run(&["apply", &id]).code(0);
    assert_eq!(planner.task(MEIS)["percentComplete"], 100);
    assert_eq!(state(&place, &id)["state"], "applied");
    place.run(&["apply", &id]).code(1);
}

/// Cuts a run off after its first write, and has the rest of it held when it is resumed; returns the
/// run and the set that waits.
fn held_resume(planner: &Planner, place: &Place) -> (String, String) {
    let script = "let b = plan(\"BOS Operations\").create_bucket(\"Cut\"); for n in 0..3 { b.create_task(#{ title: `Cut ${n}` }); }";
    killed(planner, place, &["run", "-"], script, is_write);
    let runs = place.run(&["runs", "--json"]).code(0).json();
    let run = runs[0]["id"].as_str().or(runs[0]["run_id"].as_str()).unwrap().to_owned();
    place.file("planwright.toml", ASK);
    let held = place.run(&["resume", &run, "--json"]).code(7).json();
    (run, held["pending"].as_str().unwrap().to_owned())
}

fn cut(planner: &Planner) -> usize {
    let tasks = planner.get(&format!("/planner/plans/{}/tasks", planner.plan_id()));
    let titled = |task: &&Value| task["title"].as_str().unwrap().starts_with("Cut ");
    tasks["value"].as_array().unwrap().iter().filter(titled).count()
}

#[test]
fn the_rest_of_a_run_that_is_held_is_approved_by_carrying_the_run_on() {
    let planner = Planner::demo();
    let place = place(&planner, OPEN);
    let (run, rest) = held_resume(&planner, &place);
    assert_eq!(cut(&planner), 0);
    place.run(&["approve", &rest]).code(0);
    assert_eq!(cut(&planner), 3);
    assert_eq!(state(&place, &rest)["state"], "applied");
    place.file("planwright.toml", OPEN);
    place.run(&["resume"]).code(0).says(&["No run was cut off"]);
    let _nothing_left = place.run(&["resume", &run]);
    place.run(&["approve", &rest]).code(1);
    assert_eq!(cut(&planner), 3);
    place.run(&["audit", "verify"]).code(0);
}

#[test]
fn the_rest_of_a_run_that_is_carried_on_otherwise_cannot_be_approved_as_well() {
    let planner = Planner::demo();
    let place = place(&planner, OPEN);
    let (run, rest) = held_resume(&planner, &place);
    place.file("planwright.toml", OPEN);
    place.run(&["resume", &run]).code(0);
    assert_eq!(cut(&planner), 3);
    place.run(&["approve", &rest]).code(1).says(&["taken its place"]);
    assert_eq!(cut(&planner), 3);
    assert_eq!(state(&place, &rest)["state"], "failed");
    assert!(kinds(&place).contains(&"replaced".to_owned()));
}

/// A preview that is held when it is applied waits once: the preview itself cannot be applied beside it.
#[test]
fn a_preview_that_is_held_gives_way_to_what_waits() {
    let planner = Planner::demo();
    let place = place(&planner, OPEN);
    let preview = place.run(&["task", "complete", OURS, "-n", "--json"]).code(0).json();
    let run = preview["run_id"].as_str().unwrap();
    place.file("planwright.toml", ASK);
    let waits = place.run(&["apply", run, "--json"]).code(7).json();
    place.run(&["apply", run]).code(1).says(&["taken its place"]);
    place.run(&["approve", waits["pending"].as_str().unwrap()]).code(0);
    assert_eq!(planner.task(OURS)["percentComplete"], 100);
}

#[test]
fn an_agent_learns_what_became_of_a_preview_and_of_a_killed_run() {
    let planner = Planner::demo();
    let place = place(&planner, OPEN);
    let mut client = Client::start(&place, "rook");
    let script = format!("plan(\"BOS Operations\").task(\"{OURS}\").update(#{{ priority: 1 }});");
    let preview = client.call("run_script", &json!({ "script": script }));
    let id = preview["structuredContent"]["run_id"].clone();
    let look = |client: &mut Client, id: &Value| {
        let known = client.call("change_set", &json!({ "id": id }));
        assert_eq!(known["isError"], false, "{known}");
        known["structuredContent"]["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(look(&mut client, &id), "previewed");
    let applied = client.call("apply_change_set", &json!({ "id": id }));
    assert_eq!(applied["structuredContent"]["status"], "applied");
    assert_eq!(look(&mut client, &id), "applied");
    killed(&planner, &place, &["task", "complete", OURS, "--as", "rook"], "", is_write);
    let runs = place.run(&["runs", "--json", "--as", "rook"]).code(0).json();
    let id = runs[0]["id"].as_str().or(runs[0]["run_id"].as_str()).unwrap();
    let known = client.call("change_set", &json!({ "id": id }));
    assert_eq!(known["structuredContent"]["state"], "failed", "{known}");
    assert!(text(&known).contains("cut off"), "{known}");
    place.run(&["resume", id]).code(0);
    assert_eq!(look(&mut client, &json!(id)), "applied");
}

/// The beginning of an id is looked for among an agent's own runs: an answer shows nothing of others.
#[test]
fn an_ambiguous_id_shows_nothing_of_what_is_another_s() {
    let planner = Planner::demo();
    let place = place(&planner, OPEN);
    for _ in 0..2 {
        place.run(&["task", "complete", OURS, "-n", "--as", "fern"]).code(0);
    }
    let mut client = Client::start(&place, "rook");
    for (tool, name) in [("change_set", "id"), ("apply_change_set", "id"), ("undo_run", "run_id")] {
        // Every id of a version 7 begins with a zero, and none with `f`.
        let answers = ["0", "f"].map(|id| {
            let refused = client.call(tool, &json!({ name: id }));
            assert_eq!(code(&refused), "not_found", "{refused}");
            text(&refused).replace(&format!("`{id}`"), "`ID`")
        });
        let error =
            |text: &str| text.lines().find(|line| line.starts_with("error")).map(str::to_owned);
        assert!(error(&answers[0]).is_some());
        assert_eq!(error(&answers[0]), error(&answers[1]));
    }
    for command in [&["pending", "show", "0"][..], &["apply", "0000"], &["runs", "show", "0"]] {
        let said = place.run(&[command, &["--as", "rook"]].concat()).code(1).stderr;
        assert!(!said.contains('2'), "{said}");
    }
    // Of its own it learns that there are several.
    place.run(&["task", "complete", OURS, "-n", "--as", "rook"]).code(0);
    place.run(&["task", "complete", OURS, "-n", "--as", "rook"]).code(0);
    assert_eq!(code(&client.call("change_set", &json!({ "id": "0" }))), "ambiguous");
}

/// What was approved and could not be written waits for another approval, and the audit says so.
#[test]
fn a_set_that_the_service_refuses_waits_again() {
    let planner = Planner::demo();
    let place = place(&planner, "");
    let id = held(&place);
    planner.faults(&json!([
        { "method": "PATCH", "path": "/planner/tasks", "action": { "status": 403 } },
    ]));
    assert_ne!(place.run(&["approve", &id]).code, 0);
    assert_eq!(state(&place, &id)["state"], "pending");
    assert!(kinds(&place).contains(&"reopened".to_owned()));
    planner.faults(&json!([]));
    // The approval before is used up: it is not carried out without another.
    place.run(&["apply", &id]).code(1).says(&["is held"]);
    assert_eq!(planner.task(MEIS)["percentComplete"], 0);
    place.run(&["approve", &id]).code(0);
    assert_eq!(planner.task(MEIS)["percentComplete"], 100);
    place.run(&["audit", "verify"]).code(0);
}

/// Does something once, at the first request that comes after a set was approved; returns what says
/// that it was done.
fn once_approved(
    planner: &Planner,
    place: &Place,
    mut act: impl FnMut() + Send + 'static,
) -> Arc<AtomicBool> {
    let done = Arc::new(AtomicBool::new(false));
    let (path, is_done) = (journal(place), Arc::clone(&done));
    planner.on_request(move |_, _| {
        let on = rusqlite::Connection::open(&path).unwrap();
        let approved = "SELECT 1 FROM kept_set WHERE state = 'approved'";
        if on.prepare(approved).unwrap().exists([]).unwrap()
            && !is_done.swap(true, Ordering::SeqCst)
        {
            act();
        }
    });
    done
}

fn journal(place: &Place) -> std::path::PathBuf {
    place.path().join("home/.local/share/planwright/journal.db")
}

/// Whoever approves for somebody else does not apply it: it would be theirs, in every record and for
/// every policy.
#[test]
fn an_approved_set_is_applied_under_no_other_sign_in() {
    let planner = Planner::demo();
    let place = place(&planner, "[approvals]\nfour_eyes = true\n");
    let id = held(&place);
    let ana = [("PLANWRIGHT_TOKEN", "emulator:ana@bos.example")];
    place.run_with(&["approve", &id], "", &ana).code(0);
    let refused = place.run_with(&["apply", &id, "--json"], "", &ana).code(5);
    assert!(refused.stdout.contains("not_permitted"), "{}", refused.stdout);
    assert_eq!(planner.task(MEIS)["percentComplete"], 0);
    assert_eq!(state(&place, &id)["state"], "approved");
    let applied = place.run(&["apply", &id, "--json"]).code(0).json();
    assert_eq!(applied["actor"]["upn"], "rook@bos.example");
    assert_eq!(planner.task(MEIS)["percentComplete"], 100);
}

/// A second process that would carry out what another carries out takes nothing away from it.
#[test]
fn an_approval_that_is_being_carried_out_stays_with_whoever_does() {
    let planner = Planner::demo();
    let place = place(&planner, OPEN);
    let (_, rest) = held_resume(&planner, &place);
    let mut second = place.command(&["apply", &rest]);
    let was_second = once_approved(&planner, &place, move || {
        let refused = second.output().unwrap();
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(!refused.status.success() && said.contains("another process"), "{said}");
    });
    place.run(&["approve", &rest]).code(0);
    planner.on_request(|_, _| {});
    assert!(was_second.load(Ordering::SeqCst), "nobody came in between");
    assert_eq!(cut(&planner), 3);
    assert_eq!(state(&place, &rest)["state"], "applied");
    assert!(!kinds(&place).contains(&"reopened".to_owned()));
}

/// Between the approval and the first record of its run, a set whose time is over is no less approved.
#[test]
fn a_set_does_not_expire_while_it_is_being_applied() {
    let planner = Planner::demo();
    let place = place(&planner, "[limits]\nquarantine_seconds = 0\n");
    let id = held(&place);
    let (path, mut look) = (journal(&place), place.command(&["pending", "--all", "--json"]));
    let was_looked_at = once_approved(&planner, &place, move || {
        let on = rusqlite::Connection::open(&path).unwrap();
        on.execute("UPDATE kept_set SET expires_at = '2000-01-01T00:00:00Z'", []).unwrap();
        let seen = look.output().unwrap();
        let seen: Value = serde_json::from_slice(&seen.stdout).unwrap();
        assert_eq!(seen[0]["state"], "approved", "{seen}");
    });
    place.run(&["approve", &id]).code(0);
    planner.on_request(|_, _| {});
    assert!(was_looked_at.load(Ordering::SeqCst), "nobody came in between");
    assert_eq!(planner.task(MEIS)["percentComplete"], 100);
    assert_eq!(state(&place, &id)["state"], "applied");
}

/// What was held, and then done with `--yes`, does not wait to be done a second time.
#[test]
fn a_command_that_is_given_again_leaves_nothing_waiting() {
    let planner = Planner::demo();
    let place = place(&planner, "");
    let id = held(&place);
    let create = "let p = plan(`BOS Operations`); for n in 0..12 { p.bucket(`Inbox`).create_task(#{ title: `Row ${n}` }); }";
    let other = place.script(create, &["--json"]).code(7).json()["pending"].clone();
    let done = place.script(create, &["--yes", "--json"]).code(0).json();
    assert!(done["warnings"].to_string().contains("waited for approval"), "{}", done["warnings"]);
    let other = state(&place, other.as_str().unwrap());
    assert_eq!(
        (&other["state"], state(&place, &id)["state"].as_str()),
        (&json!("failed"), Some("pending"))
    );
    let id = other["id"].as_str().unwrap();
    place.run(&["approve", id]).code(1).says(&["another set has taken its place"]);
    assert!(kinds(&place).contains(&"replaced".to_owned()));
    place.run(&["audit", "verify"]).code(0);
}

/// A reason that nobody has seen is asked about, although what would be written is the same.
#[test]
fn what_is_held_for_a_new_reason_is_asked_about_again() {
    let planner = Planner::demo();
    let place = place(&planner, "");
    let create = "let p = plan(`BOS Operations`); for n in 0..12 { p.bucket(`Inbox`).create_task(#{ title: `Row ${n}` }); }";
    let held = place.script(create, &["--json"]).code(7).json();
    let id = held["pending"].as_str().unwrap();
    let before = state(&place, id);
    // Somebody has made one of them since.
    place
        .run(&["task", "create", "Row 3", "--plan", "BOS Operations", "--bucket", "Inbox"])
        .code(0);
    place.run(&["approve", id]).code(7).says(&["already"]);
    let tasks = planner.get(&format!("/planner/plans/{}/tasks", planner.plan_id()));
    let rows = |tasks: &Value| {
        let all = tasks["value"].as_array().unwrap().iter();
        all.filter(|task| task["title"].as_str().unwrap().starts_with("Row ")).count()
    };
    assert_eq!(rows(&tasks), 1);
    let now = state(&place, id);
    assert_eq!(now["state"], "pending");
    // Whoever has seen the reasons of before approves nothing, and who looks sees those of now.
    assert_ne!(now["digest"], before["digest"]);
    place.run(&["approve", id, "--digest", before["digest"].as_str().unwrap()]).code(1);
    let shown = place.run(&["pending", "show", id, "--json"]).code(0).json();
    assert!(shown["verdicts"].to_string().contains("already"), "{}", shown["verdicts"]);
    place.run(&["approve", id, "--digest", now["digest"].as_str().unwrap()]).code(0);
    let tasks = planner.get(&format!("/planner/plans/{}/tasks", planner.plan_id()));
    assert_eq!(rows(&tasks), 13);
}

/// Makes a task that nobody has thought of.
fn add(planner: &Planner, title: &str) {
    let body = json!({ "planId": planner.plan_id(), "title": title });
    planner.create("mei@bos.example", "/planner/tasks", &body);
}

fn on_a_list(priority: &str) -> String {
    format!(
        "for t in plan(`BOS Operations`).tasks.filter(|t| t.title == `{OURS}`) {{
            t.update(#{{ priority: \"{priority}\" }});
        }}"
    )
}

/// A list that was read has changed as soon as anything on the plan has.
#[test]
fn a_set_that_rests_on_a_list_that_has_changed_says_what_helps() {
    let planner = Planner::demo();
    let place = place(&planner, ASK);
    let script = on_a_list("urgent");
    let held = place.script(&script, &["--json"]).code(7).json();
    let id = held["pending"].as_str().unwrap();
    add(&planner, "Another");
    let way_out = format!("`planwright reject {id} --reason TEXT`");
    for _ in 0..2 {
        let approved = place.run(&["approve", id, "--json"]).code(4).json();
        let hint = approved["error"]["hint"].as_str().unwrap();
        assert!(hint.contains("again, which starts from") && hint.contains(&way_out), "{hint}");
    }
    let told = place.run(&["approve", id]).code(4);
    let told = format!("{}{}", told.stdout, told.stderr);
    let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("starts from what is there now") && told.contains(&way_out), "{told}");
    assert_eq!(state(&place, id)["state"], "pending");
    // What it says is so.
    place.script(&script, &["--yes"]).code(0);
    assert_eq!(state(&place, id)["state"], "failed");
    assert_eq!(planner.task(OURS)["priority"], 1);
}

#[test]
fn an_approval_over_the_api_of_which_not_all_was_written_is_an_error() {
    let planner = Planner::demo();
    let place = place(&planner, ASK);
    let ana = token(&place, "ana", "admin");
    let server = Server::start(&place);
    let hold = |script: &str| {
        let held = place.script(script, &["--json"]).code(7).json();
        held["pending"].as_str().unwrap().to_owned()
    };
    let approve = |server: &Server, id: &str, status: u16| {
        let path = format!("/api/v1/pending/{id}/approve");
        let answer = server.post(&ana, &path, &json!({})).is(status).json();
        if status != 200 {
            let error = &answer["error"];
            assert!(error["message"].is_string() && error["hint"].is_string(), "{answer}");
        }
        (answer["status"].clone(), answer["error"]["code"].clone())
    };
    let told = |status: &str, code: &str| (json!(status), json!(code));
    let create = |title: &str, n: usize| {
        format!(
            "for n in 0..{n} {{
                plan(`BOS Operations`).bucket(`Inbox`).create_task(#{{ title: `{title} ${{n}}` }});
            }}"
        )
    };
    let refuse = |nth: Option<u64>| {
        let (method, path) = ("POST", "/planner/tasks");
        let rule = json!({
            "method": method, "path": path, "nth": nth, "action": { "status": 403 },
        });
        planner.faults(&json!([rule]));
    };

    let id = hold(&on_a_list("urgent"));
    add(&planner, "Another");
    assert_eq!(approve(&server, &id, 409), told("conflict", "conflict"));
    assert_eq!(state(&place, &id)["state"], "pending");

    let id = hold(&create("Alone", 1));
    refuse(None);
    assert_eq!(approve(&server, &id, 502).0, json!("failed"));
    planner.faults(&json!([]));
    assert_eq!(approve(&server, &id, 200).0, json!("applied"));
    let id = hold(&create("Both", 2));
    refuse(Some(2));
    assert_eq!(approve(&server, &id, 502).0, json!("partial"));
    planner.faults(&json!([]));
    // What was decided is decided.
    assert_eq!(approve(&server, &id, 409).1, json!("not_pending"));

    // Held for a reason that nobody has seen.
    let id = hold(&create("Seen", 1));
    drop(server);
    let other = "fn review(changes, run) { hold(\"a new reason\"); }";
    place.file("scripts/policies/ask.rhai", other);
    let server = Server::start(&place);
    assert_eq!(approve(&server, &id, 409), told("held", "held"));
    assert_eq!(state(&place, &id)["state"], "pending");
    place.file("scripts/policies/ask.rhai", "fn review(changes, run) { deny(\"never\"); }");
    let before = state(&place, &id);
    drop(server);
    let server = Server::start(&place);
    let path = format!("/api/v1/pending/{id}/approve");
    let seen = json!({ "digest": before["digest"] });
    let denied = server.post(&ana, &path, &seen).is(403).json();
    assert_eq!((&denied["status"], &denied["error"]["code"]), (&json!("denied"), &json!("denied")));
}
