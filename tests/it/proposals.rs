//! Skills that agents propose: checked, tested, shown to a person, and in force once they say so.

use serde_json::{Value, json};

use crate::mcp::{Client, code, place, status, text};
use crate::support::{Output, Place, Planner};

const OPEN: &str = "[policies]\nalways = []\n";
const COUNT: &str = "//! Counts the plans.\nplans().len()\n";
const TESTS: &str = "fn test_count_sees_the_plan() {\n    board(#{ title: \"Team\", tasks: [] });\n    let report = run_skill(\"count\");\n    assert_eq(report.result, 1);\n}\n";

fn propose(client: &mut Client, arguments: &Value) -> Value {
    client.call("propose_skill", arguments)
}

fn propose_at_the_command_line(place: &Place, more: &[&str]) -> Output {
    place.file("count.rhai", COUNT).file("count_test.rhai", TESTS);
    let args = ["skill", "propose", "count", "count.rhai", "--reason", "Asked every day", "--json"];
    place.run(&[&args, more].concat())
}

#[test]
fn a_proposed_skill_is_approved_by_a_person_and_is_a_tool() {
    let planner = Planner::demo();
    let place = place(&planner, &format!("{OPEN}[agents.rook]\nscripts = false\n"));
    let mut client = Client::start(&place, "rook");
    let skill = json!({
        "name": "count", "source": COUNT, "tests": TESTS, "reason": "Asked for every day",
    });
    let proposed = propose(&mut client, &skill);
    assert_eq!(proposed["isError"], false, "{proposed}");
    let data = &proposed["structuredContent"];
    let id = data["id"].as_str().unwrap();
    assert_eq!(data["state"], "pending");
    assert!(data["diff"].as_str().unwrap().contains("+plans().len()"), "{data}");
    assert!(text(&proposed).contains("its test passes"), "{proposed}");
    assert!(!client.tools().contains(&"skill_count".to_owned()));
    // What runs by itself does so with other grants than those of whoever proposes it.
    let timed = COUNT.replacen(
        "//!",
        "//! ```toml\n//! [skill]\n//! schedule = \"@daily\"\n//! ```\n//!",
        1,
    );
    let timed = json!({ "name": "timed", "source": timed, "reason": "Asked for every day" });
    let timed = propose(&mut client, &timed);
    assert!(text(&timed).contains("it has times of its own"), "{timed}");
    // By this name an agent asks for a preview.
    let taken =
        "//! ```toml\n//! [params]\n//! apply = { type = \"bool\", default = true }\n//! ```\n1\n";
    let taken = json!({ "name": "taken", "source": taken, "reason": "x" });
    let taken = propose(&mut client, &taken);
    assert!(text(&taken).contains("`apply` cannot be the name of a parameter"), "{taken}");
    let id_of_timed = timed["structuredContent"]["id"].as_str().unwrap();
    place.run(&["reject", id_of_timed, "--reason", "no"]).code(0);
    let listed = place.run(&["pending", "--json"]).code(0).json();
    assert_eq!((&listed[0]["id"], &listed[0]["kind"]), (&json!(id), &json!("skill")));
    place.run(&["pending", "show", id]).code(0).says(&["+plans().len()", "Asked for every day"]);
    for command in [&["approve", id][..], &["reject", id, "--reason", "x"]] {
        place.run(&[command, &["--as", "rook"]].concat()).code(3);
    }
    place.run(&["approve", id]).code(0).says(&["scripts/skills/count.rhai"]);
    assert_eq!(
        std::fs::read_to_string(place.path().join("scripts/skills/count.rhai")).unwrap(),
        COUNT
    );
    assert!(place.path().join("scripts/tests/count.rhai").exists());
    loop {
        if client.hear()["method"] == "notifications/tools/list_changed" {
            break;
        }
    }
    assert!(client.tools().contains(&"skill_count".to_owned()));
    assert_eq!(status(&client.call("skill_count", &json!({}))), "no_changes");
    let known = client.call("change_set", &json!({ "id": id, "wait_seconds": 5 }));
    assert_eq!(known["structuredContent"]["state"], "applied");
    place.run(&["approve", id]).code(1).says(&["is in force"]);
    let audit = place.run(&["audit", "export"]).code(0).stdout;
    for kind in ["proposed", "approved", "carried_out"] {
        assert!(audit.contains(&format!("\"kind\":\"{kind}\"")), "{kind}");
    }
    place.run(&["audit", "verify"]).code(0);
}

#[test]
fn what_does_not_pass_is_not_kept() {
    let planner = Planner::demo();
    let place = place(&planner, OPEN);
    let mut client = Client::start(&place, "rook");
    let of = |name: &str, source: &str, tests: Value| json!({ "name": name, "source": source, "tests": tests, "reason": "r" });
    let wrong = TESTS.replace("result, 1", "result, 7");
    for (arguments, expected) in [
        (of("count", "let x = ;", Value::Null), "syntax"),
        (of("count", "plan(\"x\").tasks.map(|t| t.dew)", Value::Null), "script"),
        (of("count", COUNT, json!(wrong)), "tests_failed"),
        (of("count", COUNT, json!("fn helper() {}")), "script"),
        (of("Count", COUNT, Value::Null), "parameter"),
        (of("../count", COUNT, Value::Null), "parameter"),
        (of("count", &" ".repeat(70_000), Value::Null), "too_large"),
        (of("agent_rules", COUNT, Value::Null), "denied"),
        (of("weekly_report", COUNT, Value::Null), "denied"),
    ] {
        let refused = propose(&mut client, &arguments);
        assert_eq!(code(&refused), expected, "{refused}");
    }
    assert_eq!(place.run(&["pending", "--json"]).code(0).json(), json!([]));
    // Without a test it is kept, with a remark.
    let kept = propose(&mut client, &of("count", COUNT, Value::Null));
    assert!(text(&kept).contains("it has no tests"), "{kept}");
    let id = kept["structuredContent"]["id"].as_str().unwrap();
    place.run(&["reject", id, "--reason", "Write a test"]).code(0);
    let known = client.call("change_set", &json!({ "id": id }));
    assert_eq!(known["structuredContent"]["state"], "rejected");
    assert!(text(&known).contains("Write a test"), "{known}");
    place.run(&["approve", id]).code(1).says(&["has rejected it"]);
    assert!(!place.path().join("scripts/skills/count.rhai").exists());
    // A paused agent proposes nothing, and nobody fills the list.
    for _ in 0..10 {
        assert_eq!(propose(&mut client, &of("count", COUNT, Value::Null))["isError"], false);
    }
    assert_eq!(code(&propose(&mut client, &of("count", COUNT, Value::Null))), "denied");
    place.run(&["agent", "pause", "rook"]).code(0);
    assert_eq!(code(&propose(&mut client, &of("count", COUNT, Value::Null))), "paused");
}

#[test]
fn a_person_approves_exactly_what_they_were_shown() {
    let planner = Planner::demo();
    let place = place(&planner, OPEN);
    propose_at_the_command_line(&place, &[]).code(2);
    let tests = ["--tests", "count_test.rhai", "--as", "rook"];
    let proposed = propose_at_the_command_line(&place, &tests).code(7).json();
    let id = proposed["id"].as_str().unwrap();
    // Another agent does not even find it.
    place.run(&["pending", "show", id, "--as", "fern"]).code(1);
    assert_eq!(place.run(&["pending", "--json", "--as", "fern"]).code(0).json(), json!([]));
    // What it would replace is now something else.
    place.file("scripts/skills/count.rhai", "//! Mine.\n42\n");
    place.run(&["approve", id]).code(7).says(&["has changed since", "-42"]);
    assert!(
        std::fs::read_to_string(place.path().join("scripts/skills/count.rhai"))
            .unwrap()
            .contains("Mine")
    );
    place.run(&["approve", id, "--digest", proposed["digest"].as_str().unwrap()]).code(1);
    let now = place.run(&["pending", "show", id, "--json"]).code(0).json();
    place.run(&["approve", id, "--digest", now["digest"].as_str().unwrap()]).code(0);
    assert_eq!(
        std::fs::read_to_string(place.path().join("scripts/skills/count.rhai")).unwrap(),
        COUNT
    );
}

fn written(place: &Place) -> String {
    std::fs::read_to_string(place.path().join("scripts/skills/count.rhai")).unwrap_or_default()
}

fn proposed(place: &Place) -> Value {
    let tests = ["--tests", "count_test.rhai", "--as", "rook"];
    propose_at_the_command_line(place, &tests).code(7).json()
}

fn state(place: &Place, id: &str) -> Value {
    let all = place.run(&["pending", "--all", "--json"]).code(0).json();
    let all = all.as_array().unwrap();
    all.iter().find(|one| one["id"] == id).unwrap()["state"].clone()
}

/// Leaves a proposal as a process does that is killed between the decision and the first file.
fn approved_and_killed(place: &Place, id: &str) {
    let path = place.path().join("home/.local/share/planwright/journal.db");
    let on = rusqlite::Connection::open(path).unwrap();
    let sql =
        "UPDATE proposal SET state = 'approved', decided_by = 'ana@bos.example' WHERE id = ?1";
    assert_eq!(on.execute(sql, [id]).unwrap(), 1);
}

/// Whoever saves the skill while another approves it loses nothing.
#[test]
fn what_is_saved_while_a_person_decides_is_not_overwritten() {
    let planner = Planner::demo();
    let place = place(&planner, OPEN);
    let proposed = proposed(&place);
    let id = proposed["id"].as_str().unwrap();
    let file = place.path().join("scripts/skills/count.rhai");
    planner.on_request(move |_, exchange| {
        if exchange.path.contains("/me") {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, "//! Mine.\n42\n").unwrap();
        }
    });
    place.run(&["approve", id]).code(7).says(&["has changed since", "-42", "--digest"]);
    planner.on_request(|_, _| {});
    assert!(written(&place).contains("Mine"));
    // To look at it changes nothing: another approver who saw the first diff is told, too.
    let now = place.run(&["pending", "show", id, "--json"]).code(0).json();
    assert_ne!(now["digest"], proposed["digest"]);
    place.run(&["approve", id]).code(7);
    place.run(&["approve", id, "--digest", now["digest"].as_str().unwrap()]).code(0);
    assert_eq!(written(&place), COUNT);
}

#[test]
fn an_approved_proposal_that_was_never_written_can_be_finished_rejected_or_looked_at_again() {
    let planner = Planner::demo();
    let place = place(&planner, OPEN);
    // As it was approved.
    let first = proposed(&place);
    let id = first["id"].as_str().unwrap();
    approved_and_killed(&place, id);
    place.run(&["approve", id, "--digest", "sha256:0"]).code(1).says(&["another digest"]);
    assert_eq!(written(&place), "");
    place.run(&["approve", id]).code(0);
    assert_eq!((written(&place).as_str(), state(&place, id)), (COUNT, json!("applied")));
    // Written, and killed before that was on record.
    approved_and_killed(&place, id);
    assert_eq!(state(&place, id), "applied");
    // What it would replace is somebody's work of today.
    std::fs::remove_file(place.path().join("scripts/skills/count.rhai")).unwrap();
    let second = proposed(&place);
    let id = second["id"].as_str().unwrap();
    approved_and_killed(&place, id);
    place.file("scripts/skills/count.rhai", "//! Mine.\n42\n");
    place.run(&["approve", id]).code(1).says(&["has changed in the meantime"]);
    assert_eq!(
        (written(&place).as_str(), state(&place, id)),
        ("//! Mine.\n42\n", json!("pending"))
    );
    approved_and_killed(&place, id);
    place.run(&["reject", id, "--reason", "Not any more"]).code(0);
    assert_eq!(state(&place, id), "rejected");
    assert!(written(&place).contains("Mine"));
    place.run(&["audit", "verify"]).code(0);
}

/// What cannot be written is not approved for ever.
#[test]
fn a_proposal_that_cannot_be_written_waits_again() {
    let planner = Planner::demo();
    let place = place(&planner, OPEN);
    let proposed = proposed(&place);
    let id = proposed["id"].as_str().unwrap();
    place.file("scripts/tests", "a file where a folder belongs");
    place.run(&["approve", id]).code(1);
    assert_eq!((written(&place).as_str(), state(&place, id)), ("", json!("pending")));
    std::fs::remove_file(place.path().join("scripts/tests")).unwrap();
    place.run(&["approve", id]).code(0);
    assert_eq!(written(&place), COUNT);
}

/// A part of an id that a set and a proposal share decides on neither.
#[test]
fn a_proposal_does_not_go_before_a_set_of_the_same_beginning() {
    let planner = Planner::demo();
    let config = "[policies]\nalways = []\n[agents.rook]\nmay_apply = \"approved\"\n";
    let place = place(&planner, config);
    let script = "let t = plan(\"BOS Operations\").tasks[0]; t.priority = 9;";
    let held = place.script(script, &["--as", "rook", "--json"]).code(7).json();
    let proposed = proposed(&place);
    let [set, proposal] = [&held["pending"], &proposed["id"]].map(|id| id.as_str().unwrap());
    let common = set.chars().zip(proposal.chars()).take_while(|(a, b)| a == b).count();
    // Both are of one minute, so their beginnings are the same.
    assert!(common >= 6, "{set} {proposal}");
    let part = set.get(..6).unwrap();
    let refused = place.run(&["reject", part, "--reason", "No", "--json"]).code(1);
    assert!(refused.stdout.contains("ambiguous"), "{}", refused.stdout);
    assert_eq!((state(&place, set), state(&place, proposal)), (json!("pending"), json!("pending")));
    // The end of an id tells them apart, as lists show it.
    place.run(&["reject", proposal.get(28..).unwrap(), "--reason", "No"]).code(0);
    assert_eq!(state(&place, proposal), "rejected");
}
