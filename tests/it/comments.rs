//! Comments on tasks (beta): read, written once and last, judged, and never taken back.

use planwright::model::snapshot::Snapshot;
use planwright::model::{Comment, CommentId, TaskId};
use serde_json::{Value, json};

use crate::crash::kill_at;
use crate::sign_in::Stage;
use crate::support::{PLAN, Place, Planner, ROOK};

const TASK: &str = "Book the room for the customer day";
const MEI: &str = "mei@bos.example";

/// The emulator shows at once what it has made: no need to wait before it is looked for.
const BETA: &str = "beta = true\n[policies]\nalways = []\n[limits]\nquarantine_seconds = 0\n";

fn place(planner: &Planner) -> Place {
    let place = Place::against(planner);
    place.file("planwright.toml", BETA);
    place
}

fn of_task(line: &str) -> String {
    format!("let p = plan(\"{PLAN}\"); let t = p.task(\"{TASK}\"); {line}")
}

/// The comments on a task, as they are read.
fn comments(place: &Place, task: &str) -> Vec<String> {
    let all = place.run(&["task", "comments", task, "--json"]).code(0).json();
    let text = |comment: &Value| comment["content"].as_str().unwrap().to_owned();
    all.as_array().unwrap().iter().map(text).collect()
}

#[test]
fn a_comment_is_written_after_everything_else() {
    let planner = Planner::demo();
    let place = place(&planner);
    planner.say(MEI, planner.task(TASK)["id"].as_str().unwrap(), "Which <i>room</i>?");
    let script = of_task(
        r#"t.comment("  1 < 2 & <b>bold</b>\n");
        t.priority = 1;
        let fresh = p.create_task(#{ title: "Fresh", description: "more" });
        fresh.comment("made: " + fresh.id);
        fresh.comment("again");
        fresh.title += "!";
        [t.comments.map(|c| c.text), t.comments.map(|c| c.by.name), t.comments[1].at, fresh.comments.len]"#,
    );
    let report = place.script(&script, &["--json"]).code(0).json();
    let told = json!(["Which <i>room</i>?", "1 < 2 & <b>bold</b>"]);
    assert_eq!(report["result"][0], told, "{report:#}");
    assert_eq!(report["result"][1], json!(["Mei Tanaka", "Rook Tamatea"]), "{report:#}");
    assert_eq!((&report["result"][2], &report["result"][3]), (&Value::Null, &json!(2)));
    let changes = report["changes"].as_array().unwrap();
    let kinds: Vec<_> = changes
        .iter()
        .map(|change| (change["op"].as_str().unwrap(), change["entity"].as_str().unwrap()))
        .collect();
    let comment = ("create", "comment");
    assert_eq!(kinds, [("update", "task"), ("create", "task"), comment, comment, comment]);
    assert_eq!(changes[2]["title"], TASK);
    let content = json!({ "content": { "before": null, "after": "1 < 2 & <b>bold</b>" } });
    assert_eq!(changes[2]["fields"], content);
    let writes = planner.writes();
    let is_comment = |path: &str| path.ends_with("/messages");
    let first = writes.iter().position(|write| is_comment(&write.path)).unwrap();
    assert!(writes[first..].iter().all(|write| is_comment(&write.path)), "{writes:?}");
    let body = writes[first].body.clone().unwrap();
    assert_eq!(body, json!({ "content": "1 &lt; 2 &amp; &lt;b&gt;bold&lt;/b&gt;" }));
    assert_eq!(comments(&place, TASK), ["Which <i>room</i>?", "1 < 2 & <b>bold</b>"]);
    let id = planner.task("Fresh!")["id"].as_str().unwrap().to_owned();
    assert_eq!(comments(&place, "Fresh!"), [format!("made: {id}"), "again".to_owned()]);
    place.run(&["audit", "verify"]).code(0);
}

#[test]
fn the_command_line_comments() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.run(&["task", "comment", TASK, "Done?"]).code(1).says(&["needs Graph's beta", "--beta"]);
    let dry = ["task", "comment", TASK, "Done?", "--beta", "--dry-run"];
    place.run(&dry).code(0).says(&["+ comment", TASK, "text         Done?"]);
    assert_eq!(planner.writes().len(), 0);
    place.run(&["task", "comment", TASK, "Done?", "--beta"]).code(0).says(&["Applied 1 change"]);
    place.run(&["task", "comments", TASK, "--beta"]).code(0);
    place.file("planwright.toml", "beta = true\n[limits]\n");
    assert_eq!(comments(&place, TASK), ["Done?"]);
}

#[test]
fn a_comment_says_something_and_not_too_much() {
    let planner = Planner::demo();
    let place = place(&planner);
    for (text, says) in [
        ("\" \"", "the comment is empty"),
        ("\"x\".repeat(28001)", "the comment has 28001 characters; Planner allows 28000"),
    ] {
        place.script(&of_task(&format!("t.comment({text});")), &[]).code(1).says(&[says]);
    }
    // On a task that is deleted in the end it would say nothing to anybody.
    let script = of_task("t.comment(\"bye\"); t.delete();");
    let report = place.script(&script, &["--json", "--force"]).code(0).json();
    assert_eq!(report["changes"].as_array().unwrap().len(), 1, "{report:#}");
    let script = format!(
        "let t = plan(\"{PLAN}\").create_task(#{{ title: \"x\" }}); t.delete(); t.comment(\"y\");"
    );
    place.script(&script, &[]).code(1).says(&["deleted"]);
}

#[test]
fn a_lost_answer_does_not_comment_twice() {
    for (action, sent) in [("drop_after", 1), ("truncate", 1), ("drop_before", 2)] {
        let planner = Planner::demo();
        let place = place(&planner);
        // The same words of before, and those of somebody else, are no proof.
        place.script(&of_task("t.comment(\"a  <b>\");"), &[]).code(0);
        planner.say(MEI, planner.task(TASK)["id"].as_str().unwrap(), "a &lt;b&gt;");
        let rule =
            json!({ "method": "POST", "path": "/messages", "nth": 1, "action": { action: true } });
        planner.faults(&json!([rule]));
        let report = place.script(&of_task("t.comment(\"a  <b>\");"), &["--json"]).code(0).json();
        assert_eq!(report["status"], "applied", "{action}");
        assert_eq!(report["changes"][0]["attempts"], sent, "{action}");
        assert_eq!(comments(&place, TASK).len(), 3, "{action}");
    }
}

#[test]
fn a_run_killed_while_it_comments_is_carried_on() {
    let script =
        of_task("t.priority = 1; t.comment(\"one\"); t.comment(\"two\"); t.comment(\"one\");");
    let n_writes = {
        let planner = Planner::demo();
        let place = place(&planner);
        place.script(&script, &[]).code(0);
        planner.exchanges().iter().filter(|it| crate::support::is_write(it)).count()
    };
    for at in 1..=n_writes {
        for is_lost in [false, true] {
            let planner = Planner::demo();
            let place = place(&planner);
            let lost = ["POST", "PATCH"]
                .map(|method| json!({ "method": method, "action": { "drop_before": true } }));
            kill_at(&planner, &place, &script, at, is_lost.then(|| json!(lost)));
            let label = format!("killed at write {at} of {n_writes}, lost: {is_lost}");
            if at == 1 {
                place.file("planwright.toml", &BETA.replace("beta = true", "beta = false"));
                place.run(&["resume"]).says(&["needs Graph's beta"]);
                place.file("planwright.toml", BETA);
            }
            let resumed = place.run(&["resume", "--json"]);
            assert_eq!(resumed.code, 0, "{label}: {} {}", resumed.stdout, resumed.stderr);
            assert_eq!(comments(&place, TASK), ["one", "two", "one"], "{label}");
            assert_eq!(place.run(&["resume", "--json"]).code(0).json(), json!([]), "{label}");
            place.run(&["audit", "verify"]).code(0);
        }
    }
}

#[test]
fn a_comment_that_two_may_be_is_settled_by_a_person() {
    for is_ours in [true, false] {
        let planner = Planner::demo();
        let place = place(&planner);
        let id = planner.task(TASK)["id"].as_str().unwrap().to_owned();
        let mut is_first = true;
        planner.on_request(move |emulator, exchange| {
            if exchange.method == "POST" && exchange.path.ends_with("/messages") && is_first {
                is_first = false;
                // The same words twice, under the same name, and the request itself is lost.
                crate::support::say(emulator, ROOK, &id, "same");
                crate::support::say(emulator, ROOK, &id, "same");
                let rules =
                    json!([{ "method": "POST", "nth": 1, "action": { "drop_before": true } }]);
                emulator.set_faults(serde_json::from_value(rules).unwrap()).unwrap();
            }
        });
        let report = place.script(&of_task("t.comment(\"same\");"), &["--json"]).code(8).json();
        planner.on_request(|_, _| {});
        planner.faults(&json!([]));
        let candidates = report["changes"][0]["candidates"].as_array().unwrap().clone();
        assert_eq!(candidates.len(), 2, "{report:#}");
        let run = report["run_id"].as_str().unwrap();
        place
            .run(&["resume", run, "--made=1=nope"])
            .code(1)
            .says(&["no comment `nope` on the task"]);
        let made = format!("--made=1={}", candidates[0].as_str().unwrap());
        let how = if is_ours { made.as_str() } else { "--not-made=1" };
        place.run(&["resume", run, how]).code(0);
        assert_eq!(comments(&place, TASK).len(), if is_ours { 2 } else { 3 });
    }
}

#[test]
fn a_decision_on_comments_is_taken_again_when_somebody_comments() {
    let planner = Planner::demo();
    let place = place(&planner);
    let id = planner.task(TASK)["id"].as_str().unwrap().to_owned();
    let mut n_reads = 0;
    planner.on_request(move |emulator, exchange| {
        n_reads += u32::from(exchange.method == "GET" && exchange.path.ends_with("/messages"));
        // Read a second time before the first write.
        if n_reads == 2 {
            n_reads += 1;
            crate::support::say(emulator, MEI, &id, "me too");
        }
    });
    let script = of_task("t.title = `${t.comments.len} comments`; t.comment(\"counted\");");
    let report = place.script(&script, &["--json"]).code(0).json();
    assert_eq!(report["changes"][0]["fields"]["title"]["after"], "1 comments", "{report:#}");
    assert_eq!(comments(&place, "1 comments"), ["me too", "counted"]);
}

#[test]
fn an_undo_leaves_comments_and_says_so() {
    let planner = Planner::demo();
    let place = place(&planner);
    place.script(&of_task("t.priority = 9;"), &[]).code(0);
    place.script(&of_task("t.priority = 1; t.comment(\"urgent\");"), &[]).code(0);
    let left = format!("left as it is: the comment on `{TASK}`, which cannot be taken back");
    place.run(&["undo", "last"]).code(0).says(&[&left]);
    assert_eq!(planner.task(TASK)["priority"], 9);
    assert_eq!(comments(&place, TASK), ["urgent"]);
    // With nothing but comments in it, the run is not passed over in favour of the one before.
    place.script(&of_task("t.comment(\"more\");"), &[]).code(0);
    place.run(&["undo", "last"]).code(1).says(&["wrote only comments, which cannot be taken back"]);
    assert_eq!(planner.task(TASK)["priority"], 9);
    // With a task that the run made, its comments go.
    let script = format!("plan(\"{PLAN}\").create_task(#{{ title: \"new\" }}).comment(\"x\");");
    place.script(&script, &[]).code(0);
    let undone = place.run(&["undo", "last", "--force", "--json"]).code(0).json();
    assert_eq!(undone["warnings"], json!([]), "{undone:#}");
}

#[test]
fn policies_judge_comments_by_themselves() {
    let planner = Planner::demo();
    let place = place(&planner);
    let policy = r#"fn review_change(change, run) {
        if change.entity == "comment" && change.op == "create" && change.task.priority > 0 {
            if change.after.text.contains("secret") && change.before == () && change.sets("text") {
                deny(`no secrets on ${change.task.title}, ${change.after.by.name}`);
            }
        }
    }"#;
    place.file("scripts/policies/quiet.rhai", policy);
    place.file("planwright.toml", &BETA.replace("always = []", "always = [\"quiet\"]"));
    let script = of_task("t.priority = 1; t.comment(\"a secret\");");
    place.script(&script, &[]).code(3).says(&[&format!("no secrets on {TASK}, Rook")]);
    assert_eq!(planner.writes().len(), 0);
    place.script(&of_task("t.priority = 1; t.comment(\"fine\");"), &[]).code(0);
    // A misspelt kind would judge nothing.
    place.file("scripts/policies/quiet.rhai", &policy.replace("\"comment\"", "\"coment\""));
    place.run(&["policy", "check"]).code(1).says(&["it is never `coment`", "`comment`"]);
}

#[test]
fn an_agent_may_comment_on_what_others_do_but_not_without_end() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", "beta = true\n");
    let meis = "Translate the brochure for Besançon";
    let comment = |n: usize| {
        format!(
            "let t = plan(\"{PLAN}\").task(\"{meis}\"); for n in 0..{n} {{ t.comment(`no. ${{n}}`); }}"
        )
    };
    let victor = ["--as", "victor"];
    place
        .script(&comment(11), &victor)
        .code(3)
        .says(&["touches 11 buckets, plans, labels, shares or comments"]);
    place.script(&comment(10), &victor).code(0);
    let all: Vec<String> = (0..10).map(|n| format!("no. {n}")).collect();
    assert_eq!(comments(&place, meis), all);
}

#[test]
fn a_comment_can_be_saved_and_applied() {
    let planner = Planner::demo();
    let place = place(&planner);
    let out = ["--dry-run", "--out", "set.json"];
    place.script(&of_task("t.comment(\"later\");"), &out).code(0);
    place.file("planwright.toml", &BETA.replace("beta = true", "beta = false"));
    place.run(&["apply", "set.json"]).code(1).says(&["needs Graph's beta", "--beta"]);
    assert_eq!(planner.writes().len(), 0);
    place.file("planwright.toml", BETA);
    place.run(&["apply", "set.json"]).code(0).says(&["Applied 1 change"]);
    assert_eq!(comments(&place, TASK), ["later"]);
}

/// Asks a person about every comment.
const ASK: &str =
    r#"fn review_change(change, run) { if change.entity == "comment" { hold("a comment"); } }"#;

fn move_away(place: &Place) {
    place.run(&["task", "move", TASK, "--to-plan", "Website Relaunch"]).code(0);
}

#[test]
fn a_held_comment_is_not_written_once_its_task_is_in_another_plan() {
    for is_moved in [false, true] {
        let planner = Planner::demo();
        let place = Place::against(&planner);
        place.file("scripts/policies/ask.rhai", ASK);
        let config = BETA.replace("always = []", "always = [\"ask\"]");
        place.file("planwright.toml", &format!("{config}[agents.bot]\nplans = [\"{PLAN}\"]\n"));
        let id = planner.task(TASK)["id"].as_str().unwrap().to_owned();
        let script = format!(
            "let t = task(\"{id}\"); t.priority = 9; commit(); t.comment(\"segment two\");"
        );
        let held = place.script(&script, &["--as", "bot", "--json"]).code(8).json();
        let pending = held["pending"].as_str().unwrap();
        if is_moved {
            move_away(&place);
            let told = place.run(&["approve", pending, "--json"]).code(4).stdout;
            assert!(told.contains("moved it to another plan"), "{told}");
            assert!(comments(&place, TASK).is_empty());
        } else {
            place.run(&["approve", pending]).code(0);
            assert_eq!(comments(&place, TASK), ["segment two"]);
        }
    }
}

#[test]
fn a_resumed_comment_is_not_written_once_its_task_is_in_another_plan() {
    let refused = json!([{ "method": "POST", "path": "/messages", "action": { "status": 403 } }]);
    // Moved by somebody else; by the run itself; by nobody, since the run has made it.
    for (script, is_moved, task, is_written) in [
        ("t.priority = 1; t.comment(\"x\");", true, TASK, false),
        ("t.move_to_plan(plan(\"Website Relaunch\")); t.comment(\"x\");", false, TASK, true),
        ("p.create_task(#{ title: \"Fresh\" }).comment(\"x\");", false, "Fresh", true),
    ] {
        let planner = Planner::demo();
        let place = place(&planner);
        planner.faults(&refused);
        let report = place.script(&of_task(script), &["--json"]);
        assert_ne!(report.code, 0, "{}", report.stdout);
        let run = report.json()["run_id"].as_str().unwrap().to_owned();
        planner.faults(&json!([]));
        if is_moved {
            move_away(&place);
        }
        let resumed = place.run(&["resume", &run]);
        assert_eq!(resumed.code == 0, is_written, "{script}: {}{}", resumed.stdout, resumed.stderr);
        assert_eq!(comments(&place, task).len(), usize::from(is_written), "{script}");
    }
}

#[test]
fn what_a_run_has_commented_itself_is_nobody_elses_doing() {
    let script = of_task(
        "print(t.comments.len); t.comment(\"B\"); commit(); t.priority = 4; print(t.comments.len);",
    );
    for is_alone in [true, false] {
        let planner = Planner::demo();
        let place = place(&planner);
        let id = planner.task(TASK)["id"].as_str().unwrap().to_owned();
        planner.say(MEI, &id, "A");
        let mut n_writes = 0;
        planner.on_request(move |emulator, exchange| {
            n_writes +=
                u32::from(exchange.method == "POST" && exchange.path.ends_with("/messages"));
            if n_writes == 1 && !is_alone {
                n_writes += 1;
                crate::support::say(emulator, MEI, &id, "C");
            }
        });
        let done = place.script(&script, &["--json"]);
        assert_eq!(done.code, if is_alone { 0 } else { 8 }, "{}{}", done.stdout, done.stderr);
        let priority = planner.task(TASK)["priority"].clone();
        assert_eq!(priority == 4, is_alone, "{}", done.stdout);
    }
}

#[test]
fn an_application_has_no_chat() {
    let stage = Stage::new();
    stage.by_secret().code(0);
    stage.place.file("planwright.toml", BETA);
    // Those of the sign-in.
    let _forgotten = stage.planner.writes();
    for line in ["t.priority = 9; t.comment(\"hi\");", "t.priority = 9; t.comments.len"] {
        let told = stage.fed(&["run", "-", "--json"], &of_task(line)).code(5).json();
        assert_eq!(told["error"]["code"], "app_only", "{told}");
        assert!(told["error"]["hint"].as_str().unwrap().contains("sign in as a user"), "{told}");
    }
    assert_eq!(stage.planner.writes().len(), 0);
}

#[test]
fn comments_are_in_the_order_in_which_they_were_written() {
    let of = |id: &str, at: &str| Comment {
        id: CommentId::parse(id).unwrap(),
        content: String::new(),
        is_html: false,
        by: None,
        at: Some(at.parse().unwrap()),
        edited_at: None,
        is_deleted: false,
    };
    let (early, late) = ("2026-03-01T10:00:00Z", "2026-03-01T11:00:00Z");
    let task = TaskId::parse("AAAAAAAAAAAAAAAAAAAAAAAAAAAA").unwrap();
    let mut board = Snapshot::default();
    board.set_comments(task.clone(), vec![of("c", late), of("b", late), of("z", early)]);
    let ids: Vec<&str> =
        board.comments_on(&task).unwrap().iter().map(|comment| comment.id.as_str()).collect();
    assert_eq!(ids, ["z", "b", "c"]);
}
