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
