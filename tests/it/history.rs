//! The journal and the audit log, as the program keeps them.

use serde_json::{Value, json};

use crate::support::{PLAN, Place, Planner};

const TASK: &str = "Book the room for the customer day";

fn set(fields: &str) -> String {
    format!("let t = plan(\"{PLAN}\").task(\"{TASK}\"); {fields}")
}

#[test]
fn every_run_is_recorded_whatever_came_of_it() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    assert_eq!(place.run(&["runs", "--json"]).code(0).json(), json!([]));
    place.script(&set("t.priority = 1;"), &[]).code(0);
    place.script(&set("t.delete();"), &[]).code(3);
    place.script(&set("t.priority = 9;"), &["--dry-run", "--as", "rook"]).code(0);
    place.script(&set("t.title"), &[]).code(0);
    place.script(&set("t.nothing"), &[]).code(1);
    let runs = place.run(&["runs", "list", "--json"]).code(0).json();
    let status: Vec<&str> =
        runs.as_array().unwrap().iter().map(|it| it["status"].as_str().unwrap()).collect();
    assert_eq!(status, ["failed", "no_changes", "previewed", "denied", "applied"]);
    assert_eq!(runs[2]["actor"]["agent"], "rook");
    let id = runs[4]["run_id"].as_str().unwrap();
    let shown = place.run(&["runs", "show", id, "--json"]).code(0).json();
    let attempts = &shown["rounds"][0]["changes"][0]["attempts"];
    assert_eq!(
        (&attempts[0]["method"], &attempts[0]["outcome"]),
        (&json!("PATCH"), &json!("applied"))
    );
    assert_eq!(shown["report"]["status"], "applied");
    assert!(shown["policies"]["agent_rules.rhai"].as_str().unwrap().starts_with("sha256:"));
    place.run(&["runs", "show", id]).code(0);
    place.run(&["runs", "show", "ffffffff"]).code(1);
    assert_eq!(
        place.run(&["runs", "--limit", "2", "--json"]).code(0).json().as_array().unwrap().len(),
        2
    );
}

/// People see our words and names, and of ids the end, which tells runs of one minute apart.
#[test]
fn a_run_is_told_in_words_and_found_by_the_end_of_its_id() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.run(&["task", "move", TASK, "This Week"]).code(0);
    place.run(&["task", "assign", TASK, "Mei Tanaka"]).code(0);
    let runs = place.run(&["runs", "--json"]).code(0).json();
    let [second, first] = [0, 1].map(|n| runs[n]["run_id"].as_str().unwrap().to_owned());
    let [first_end, second_end] = [&first, &second].map(|id| id.get(28..).unwrap());
    let list = place.run(&["runs"]).code(0).stdout;
    assert!(list.contains(first_end) && !list.contains(&first), "{list}");
    let plain = place.run(&["runs", "--plain"]).code(0).stdout;
    assert!(plain.contains(&first) && plain.contains(&second), "{plain}");
    let shown = place.run(&["runs", "show", first_end]).code(0).stdout;
    // The list and the run tell the time alike.
    let row = list.lines().find(|line| line.starts_with(first_end)).unwrap();
    let when = row.split_whitespace().skip(1).take(2).collect::<Vec<_>>().join(" ");
    let line = shown.lines().find(|line| line.trim_start().starts_with("when ")).unwrap();
    assert_eq!(line.trim_start().trim_start_matches("when").trim(), when);
    assert!(shown.contains(&first) && shown.contains("Inbox → This Week"), "{shown}");
    let shown = place.run(&["runs", "show", second_end]).code(0).stdout;
    assert!(shown.contains("assigned     + Mei Tanaka"), "{shown}");
    // Both begin with the same minute.
    let ends = format!("{second_end}, {first_end}");
    place
        .run(&["runs", "show", first.get(..6).unwrap()])
        .code(1)
        .says(&["the ids of 2 runs begin or end", &ends]);
    place.run(&["undo", second_end, "--yes"]).code(0).says(&["Applied 1 change"]);
}

/// Reads of the program record nothing; a look at the board is no run.
#[test]
fn lists_are_no_runs() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.run(&["task", "list"]).code(0);
    place.run(&["plan", "get", PLAN]).code(0);
    assert_eq!(place.run(&["runs", "--json"]).code(0).json(), json!([]));
    place.run(&["audit", "verify"]).code(1).says(&["no run has been recorded yet"]);
}

#[test]
fn the_audit_log_shows_verifies_and_leaves() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.script(&set("t.title = \"=1+1\"; t.description = \"x\";"), &[]).code(0);
    let verified = place.run(&["audit", "verify", "--json"]).code(0).json();
    assert_eq!(verified["ok"], true);
    let shown = place.run(&["audit", "show", "--json"]).code(0).json();
    let kinds: Vec<&str> =
        shown.as_array().unwrap().iter().map(|it| it["kind"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        ["run_started", "judged", "intent", "outcome", "intent", "outcome", "finished"]
    );
    assert_eq!(verified["records"], kinds.len());
    place.run(&["audit", "export", "--to", "log.jsonl"]).code(0);
    place.run(&["audit", "verify", "log.jsonl"]).code(0);
    let text = std::fs::read_to_string(place.path().join("log.jsonl")).unwrap();
    place.file("bent.jsonl", &text.replacen("applied", "refused", 1));
    place.run(&["audit", "verify", "bent.jsonl"]).code(1).says(&["record"]);
    let short: Vec<&str> = text.lines().take(3).collect();
    place.file("short.jsonl", &short.join("\n"));
    place.run(&["audit", "verify", "short.jsonl"]).code(1);
    let sheet = place.run(&["audit", "export", "--format", "csv"]).code(0).stdout;
    assert!(sheet.starts_with("seq,at,kind,run,actor"));
    assert!(!sheet.contains("emulator:"), "the token is in the log");
}

/// Nothing leaves before it is on record: where nothing can be recorded, nothing is sent.
#[test]
fn without_a_record_nothing_is_written() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("state", "a file where a folder is wanted");
    let args = |more: &[&'static str]| [&["--state-dir", "state"], more].concat();
    let write = args(&["task", "complete", TASK]);
    place.run(&write).code(1).says(&["Failed: nothing was written"]);
    assert_eq!(planner.writes().len(), 0);
    // A preview writes nothing, so it goes on, and says that it is not recorded.
    let preview = args(&["task", "complete", TASK, "--dry-run", "--json"]);
    let report = place.run(&preview).code(0).json();
    assert!(report["warnings"][0].as_str().unwrap().contains("not recorded"), "{report}");
}

/// The intent of each write is on the disk when it arrives.
#[test]
fn the_intent_is_there_before_the_request() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let journal = place.path().join("state/journal.db");
    let seen: std::sync::Arc<std::sync::Mutex<Vec<Value>>> = std::sync::Arc::default();
    let (journal_there, noted) = (journal, seen.clone());
    planner.on_request(move |_, exchange| {
        if exchange.method == "PATCH" {
            let journal = planwright::journal::Journal::open_to_read(&journal_there).unwrap();
            let last = journal.records(None, 0, 1000).unwrap().pop().unwrap();
            noted.lock().unwrap().push(json!([last["kind"], exchange.path]));
        }
    });
    place
        .script(&set("t.title = \"New\"; t.description = \"x\";"), &["--state-dir", "state"])
        .code(0);
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|it| it[0] == "intent"), "{seen:?}");
}

/// An answer that was lost is recorded as what was found out about it.
#[test]
fn what_was_found_out_is_recorded() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", "[policies]\nalways = []\n[limits]\nquarantine_seconds = 0\n");
    let lose = |method: &str| {
        planner.faults(&json!([{ "method": method, "nth": 1, "action": { "drop_after": true } }]));
    };
    lose("PATCH");
    place.script(&set("t.priority = 1;"), &[]).code(0);
    lose("POST");
    place.run(&["task", "create", "Found", "--plan", PLAN]).code(0);
    // From the lost answer on nothing can be read: then nobody knows.
    planner.on_request(|emulator, exchange| {
        if exchange.method == "POST" {
            let rules = json!([
                { "method": "POST", "action": { "drop_after": true } },
                { "method": "GET", "action": { "status": 500, "retry_after": "0" } },
            ]);
            emulator.set_faults(serde_json::from_value(rules).unwrap()).unwrap();
        }
    });
    place.run(&["task", "create", "Lost", "--plan", PLAN]).code(8).says(&["planwright resume"]);
    planner.on_request(|_, _| {});
    planner.faults(&json!([]));
    let outcomes = |n: usize| -> Vec<Value> {
        let runs = place.run(&["runs", "--json"]).code(0).json();
        let id = runs[n]["run_id"].as_str().unwrap();
        let records = place.run(&["audit", "show", "--run", id, "--json"]).code(0).json();
        let records = records.as_array().unwrap().iter().filter(|it| it["kind"] == "outcome");
        records.map(|it| it["outcome"].clone()).collect()
    };
    assert_eq!(outcomes(0), ["unknown"]);
    assert_eq!(outcomes(1), ["unknown", "applied"]);
    assert_eq!(outcomes(2), ["unknown", "unknown", "applied"]);
    let runs = place.run(&["runs", "--json"]).code(0).json();
    let lost = runs[0]["run_id"].as_str().unwrap();
    // What is known is taken back; the rest is said.
    place.run(&["undo", lost, "--force"]).code(0).says(&["some of its changes are in doubt"]);
    // What was made is found and taken for ours: nothing is left to do.
    let resumed = place.run(&["resume", lost, "--json"]).code(0).json();
    assert_eq!(resumed["status"], "no_changes");
    assert_eq!(planner.board().to_string().matches("\"Lost\"").count(), 1);
    assert_eq!(outcomes(2), ["unknown", "applied"]);
    place.run(&["undo", lost, "--force"]).code(0).says(&["- task Lost"]);
    place.run(&["audit", "verify"]).code(0);
}

#[test]
fn a_run_is_carried_on_by_whoever_began_it() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    assert_eq!(place.run(&["resume", "--json"]).code(0).json(), json!([]));
    place.run(&["resume", "ffff"]).code(1);
    place.script(&set("t.priority = 1;"), &[]).code(0);
    let id = place.run(&["runs", "--json"]).code(0).json()[0]["run_id"].clone();
    let id = id.as_str().unwrap();
    // All of it is done.
    assert_eq!(place.run(&["resume", id, "--json"]).code(0).json()["status"], "no_changes");
    let as_mei = [("PLANWRIGHT_TOKEN", "emulator:mei@bos.example")];
    place.run_with(&["resume", id], "", &as_mei).code(5).says(&["rook@bos.example's"]);
}
/// What a run left over is carried on once: the second time it is there. No policy helps here.
#[test]
fn what_was_carried_on_is_not_made_twice() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", "[policies]\nalways = []\n");
    planner
        .faults(&json!([{ "method": "PATCH", "action": { "status": 503, "retry_after": "0" } }]));
    let script = set("t.priority = 1; t.plan.create_task(#{ title: \"Left over\" });");
    place.script(&script, &[]).code(6);
    planner.faults(&json!([]));
    let runs = place.run(&["runs", "--json"]).code(0).json();
    let id = runs[0]["run_id"].as_str().unwrap();
    place.run(&["resume", id]).code(0).says(&["+ task Left over"]);
    for _ in 0..2 {
        let again = place.run(&["resume", id, "--json"]).code(0).json();
        assert_eq!(again["status"], "no_changes");
    }
    assert_eq!(planner.board().to_string().matches("\"Left over\"").count(), 1);
    assert_eq!(planner.task(TASK)["priority"], 1);
    assert_eq!(place.run(&["resume", "--json"]).code(0).json(), json!([]));
}

/// An undo that was cut off is carried on, not drawn up again: what was deleted comes back once.
#[test]
fn what_was_taken_back_in_part_does_not_come_back_twice() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", "[policies]\nalways = []\n");
    let other = "Update the emergency contact list";
    let script = set(&format!("t.delete(); plan(\"{PLAN}\").task(\"{other}\").delete();"));
    place.script(&script, &["--force"]).code(0);
    let id = place.run(&["runs", "--json"]).code(0).json()[0]["run_id"].clone();
    let id = id.as_str().unwrap();
    planner.faults(&json!([
        { "method": "POST", "path": "/planner/tasks", "nth": 2, "action": { "status": 403 } }
    ]));
    place.run(&["undo", id]).code(8);
    planner.faults(&json!([]));
    let says = place.run(&["undo", id]).code(1).stderr;
    let by = says.split("planwright resume ").nth(1).unwrap();
    let by: String = by.chars().take(36).collect();
    place.run(&["resume", &by]).code(0);
    let board = planner.board().to_string();
    for title in [TASK, other] {
        assert_eq!(board.matches(&format!("\"{title}\"")).count(), 1, "{title}");
    }
}
