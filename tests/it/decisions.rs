//! Decisions and recoveries that a tester from outside broke: facts that went stale between a commit
//! and what followed, a deletion and what was written before it, a file and the day it was applied.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use planwright::emulator::{Emulator, Exchange};
use serde_json::{Value, json};

use crate::support::{PLAN, Place, Planner, edit, edit_beta, get, is_write, send};

const TASK: &str = "Book the room for the customer day";
const OTHER: &str = "Check the fire extinguishers";
const MEI: &str = "mei@bos.example";
const FREE: &str = "[policies]\nalways = []\n";

fn started() -> (Planner, Place) {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", FREE);
    (planner, place)
}

fn id_of(planner: &Planner, title: &str) -> String {
    planner.task(title)["id"].as_str().unwrap().to_owned()
}

/// Lets somebody act once, at the first request that is `when`.
fn once(
    planner: &Planner,
    when: impl Fn(&Exchange) -> bool + Send + 'static,
    act: impl Fn(&Emulator) + Send + 'static,
) {
    let done = AtomicBool::new(false);
    planner.on_request(move |emulator, exchange| {
        if when(exchange) && !done.swap(true, Ordering::SeqCst) {
            act(emulator);
        }
    });
}

fn is_titled(planner: &Planner, title: &str) -> usize {
    let tasks = planner.get(&format!("/planner/plans/{}/tasks", planner.plan_id()));
    tasks["value"].as_array().unwrap().iter().filter(|task| task["title"] == title).count()
}

#[test]
fn what_went_out_of_an_agents_reach_is_gone_for_it() {
    let (planner, place) = started();
    place.file(
        "planwright.toml",
        "beta = true\n[policies]\nalways = []\n[agents.bot]\nplans = [\"BOS Operations\"]\n",
    );
    let id = id_of(&planner, TASK);
    let elsewhere = planner.plan_named("Website Relaunch");
    let script =
        format!("let t = task(\"{id}\"); if t.plan.title == \"{PLAN}\" {{ t.priority = 1; }}");
    planner.requests();
    place.script(&script, &["--as", "bot", "--dry-run"]).code(0);
    let (drafting, sent) = (planner.requests().len(), AtomicUsize::new(0));
    let moved = id.clone();
    planner.on_request(move |emulator, _| {
        if sent.fetch_add(1, Ordering::SeqCst) == drafting {
            let path = format!("/planner/tasks/{moved}");
            edit_beta(emulator, MEI, &path, &json!({ "planId": elsewhere }));
        }
    });
    let report = place.script(&script, &["--as", "bot", "--json"]).json();
    planner.on_request(|_, _| {});
    let task = planner.get(&format!("/planner/tasks/{id}"));
    assert_ne!(task["planId"], planner.plan_id().as_str(), "it was moved");
    assert_ne!(task["priority"], 1, "{report:#}");
    assert_ne!(report["status"], "applied", "{report:#}");
}

#[test]
fn a_resume_leaves_alone_what_somebody_else_has_put_there() {
    let (planner, place) = started();
    let plan = planner.plan_id();
    let edited = AtomicBool::new(false);
    planner.on_request(move |emulator, exchange| {
        let is_details = |part: &Value| {
            part["method"] == "PATCH" && part["url"].as_str().unwrap().ends_with("/details")
        };
        let parts = exchange.body.as_ref().and_then(|body| body.get("requests")?.as_array());
        let in_batch = parts.is_some_and(|parts| parts.iter().any(is_details));
        let alone = exchange.method == "PATCH" && exchange.path.ends_with("/details");
        if (in_batch || alone) && !edited.swap(true, Ordering::SeqCst) {
            let tasks = get(emulator, MEI, &format!("/planner/plans/{plan}/tasks"));
            let ink = tasks["value"].as_array().unwrap().iter().find(|it| it["title"] == "Ink");
            let path = format!("/planner/tasks/{}/details", ink.unwrap()["id"].as_str().unwrap());
            edit(emulator, MEI, &path, &json!({ "description": "mei wrote" }));
        }
    });
    let script =
        format!("plan(\"{PLAN}\").create_task(#{{ title: \"Ink\", description: \"about\" }});");
    let report = place.script(&script, &["--json"]).code(8).json();
    planner.on_request(|_, _| {});
    place.run(&["resume", report["run_id"].as_str().unwrap()]).code(4);
    let details = planner.get(&format!("/planner/tasks/{}/details", id_of(&planner, "Ink")));
    assert_eq!(details["description"], "mei wrote");
}

#[test]
fn what_was_read_before_a_commit_counts_after_it() {
    for fact in ["t.description == \"\"", "p.tasks.filter(|it| it.title == \"New\").len() == 0"] {
        let (planner, place) = started();
        let id = id_of(&planner, TASK);
        let script = format!(
            "let p = plan(\"{PLAN}\"); let t = task(\"{id}\"); let is_so = {fact};
            p.create_task(#{{ title: \"log\" }}); commit(); if is_so {{ t.delete(); }}"
        );
        let (task, plan) = (id.clone(), planner.plan_id());
        let is_create = |exchange: &Exchange| is_write(exchange);
        once(&planner, is_create, move |emulator| {
            let path = format!("/planner/tasks/{task}/details");
            edit(emulator, MEI, &path, &json!({ "description": "keep me" }));
            let body = json!({ "planId": plan, "title": "New" });
            send(emulator, MEI, "POST", "/planner/tasks", &body);
        });
        let report = place.script(&script, &["--json", "--force"]).code(8).json();
        planner.on_request(|_, _| {});
        assert_eq!(report["status"], "partial", "{fact}: {report:#}");
        assert_eq!(is_titled(&planner, TASK), 1, "{fact}");
    }
}

#[test]
fn a_script_that_commits_is_not_in_its_own_way() {
    let (planner, place) = started();
    let script = format!(
        "let p = plan(\"{PLAN}\"); let n = p.tasks.len(); let t = p.task(\"{TASK}\");
        if n > 3 && t.title != \"\" {{ p.create_task(#{{ title: \"one\" }}); t.title += \"!\"; }}
        commit();
        if p.tasks.len() > n {{ p.create_task(#{{ title: \"two\" }}); t.description = \"more\"; }}
        commit();
        p.task(\"one\").delete(); t.priority = 1;"
    );
    let report = place.script(&script, &["--json", "--force"]).code(0).json();
    assert_eq!(report["status"], "applied", "{report:#}");
    let counts = ["one", "two", TASK].map(|title| is_titled(&planner, title));
    assert_eq!(counts, [0, 1, 0]);
}

#[test]
fn a_deletion_is_validated_after_what_was_written_before_it() {
    let (planner, place) = started();
    let (read, changed, deleted) = (
        id_of(&planner, TASK),
        id_of(&planner, OTHER),
        id_of(&planner, "Sign the cleaning contract"),
    );
    let script = format!(
        "let t = task(\"{read}\"); let o = task(\"{changed}\"); let q = task(\"{deleted}\");
        if t.description == \"\" {{ o.priority = 9; q.delete(); }}"
    );
    let task = read;
    once(&planner, is_write, move |emulator| {
        let path = format!("/planner/tasks/{task}/details");
        edit(emulator, MEI, &path, &json!({ "description": "not so" }));
    });
    let report = place.script(&script, &["--json", "--force"]).json();
    planner.on_request(|_, _| {});
    assert_eq!(is_titled(&planner, "Sign the cleaning contract"), 1, "{report:#}");
}

#[test]
fn a_saved_set_rests_on_everything_that_was_read_for_it() {
    let unless = format!(
        "let p = plan(\"{PLAN}\"); if p.tasks.filter(|t| t.title == \"KK\").len() == 0 {{ p.create_task(#{{ title: \"KK\" }}); }}"
    );
    let keyed = format!("plan(\"{PLAN}\").create_task(#{{ title: \"KK\", key: \"kk\" }});");
    for script in [unless, keyed] {
        let (planner, place) = started();
        place.script(&script, &["--dry-run", "--out", "set.json"]).code(0);
        place.script(&script, &[]).code(0);
        let report = place.run(&["apply", "set.json", "--json"]).code(4).json();
        assert_eq!(report["status"], "conflict", "{script}\n{report:#}");
        assert_eq!(is_titled(&planner, "KK"), 1, "{script}");
    }
}

#[test]
fn a_saved_set_is_applied_where_only_others_have_moved() {
    let (planner, place) = started();
    let script = format!("let t = plan(\"{PLAN}\").task(\"{TASK}\"); t.priority = 1;");
    place.script(&script, &["--dry-run", "--out", "set.json"]).code(0);
    let path = format!("/planner/tasks/{}", id_of(&planner, OTHER));
    planner.edit(MEI, &path, &json!({ "percentComplete": 50 }));
    place.run(&["apply", "set.json"]).code(0);
    assert_eq!(planner.task(TASK)["priority"], 1);
}

#[test]
fn an_undo_takes_back_what_a_resume_has_written_too() {
    let (planner, place) = started();
    let expired = json!([{ "method": "PATCH", "action": { "status": 401 } }]);
    planner.faults(&expired);
    let script = format!(
        "for n in 0..2 {{ plan(\"{PLAN}\").create_task(#{{ title: `Again ${{n}}`, description: \"x\" }}); }}"
    );
    let report = place.script(&script, &["--json"]).code(5).json();
    planner.faults(&json!([]));
    place.run(&["resume"]).code(0);
    let run = report["run_id"].as_str().unwrap();
    let undone = place.run(&["undo", run, "--force", "--json"]).code(0).json();
    assert_eq!(undone["status"], "applied", "{undone:#}");
    assert_eq!((is_titled(&planner, "Again 0"), is_titled(&planner, "Again 1")), (0, 0));
}
