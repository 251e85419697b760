//! What only Graph's beta can do, and what is said where there is none.

use serde_json::{Value, json};

use crate::support::{PLAN, Place, Planner, answering};

const TASK: &str = "Book the room for the customer day";

fn beta(place: &Place, script: &str) -> Value {
    place.script(script, &["--json", "--beta"]).code(0).json()
}

fn of_task(line: &str) -> String {
    format!("let p = plan(\"{PLAN}\"); let t = p.task(\"{TASK}\"); {line}")
}

#[test]
fn without_the_beta_it_is_said_what_needs_it() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    for line in [
        "t.recurrence = #{ type: \"daily\" };",
        "t.recurrence",
        "t.last_modified_at",
        "t.is_archived",
        "t.comments",
        "t.comment(\"x\");",
        "t.move_to_plan(plan(\"Website Relaunch\"));",
        "p.archive(\"over\");",
        "p.is_archived",
        "create_roster_plan(\"Ours\");",
        "p.add_member(me());",
    ] {
        place.script(&of_task(line), &[]).code(1).says(&["needs Graph's beta", "--beta"]);
    }
    place.run(&["delta"]).code(1).says(&["delta needs Graph's beta", "beta = true"]);
    assert_eq!(planner.writes().len(), 0);
}

#[test]
fn a_service_without_a_beta_says_so() {
    let url = answering(|path, _| {
        let body = "{\"error\":{\"code\":\"BadRequest\",\"message\":\"Invalid version\"}}";
        let status = if path.starts_with("/beta/") { "400 Bad Request" } else { "500 Oops" };
        format!(
            "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    });
    let place = Place::against_url(&url, "secret-token");
    place.run(&["plan", "list", "--beta"]).code(1).says(&["has no beta", "leave out `--beta`"]);
    place.run(&["delta", "--beta"]).code(1).says(&["has no beta"]);
}

#[test]
fn a_workspace_can_ask_for_the_beta() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", "beta = true\n[policies]\nalways = []\n");
    place.script(&of_task("t.is_archived"), &[]).code(0);
    let paths = planner.requests();
    assert!(paths.iter().all(|it| it.contains(" /beta/")), "{paths:?}");
}

#[test]
fn a_task_recurs_until_it_is_stopped() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let weekly = "t.recurrence = #{ type: \"weekly\", days_of_week: [\"monday\", \"Friday\"], start: \"2026-12-01\" };";
    let report = beta(&place, &of_task(weekly));
    let body = planner.writes().pop().unwrap().body.unwrap();
    let pattern = json!({
        "type": "weekly", "interval": 1, "month": 0, "dayOfMonth": 0,
        "daysOfWeek": ["monday", "friday"], "firstDayOfWeek": "sunday", "index": "first"
    });
    let schedule = json!({ "pattern": pattern, "patternStartDateTime": "2026-12-01T10:00:00Z" });
    assert_eq!(body, json!({ "recurrence": { "schedule": schedule } }));
    assert_eq!(report["changes"][0]["fields"]["recurrence"]["after"], schedule);
    // The same again is no change, what it says is what was set.
    let again = beta(&place, &of_task(&format!("{weekly} t.recurrence")));
    assert_eq!(again["status"], "no_changes");
    assert_eq!(again["result"]["days_of_week"], json!(["monday", "friday"]));
    assert!(again["result"]["next"].is_string(), "{again}");
    // Planner makes the next one.
    beta(&place, &of_task("t.complete();"));
    let next = of_task("t.recurrence = (); t.recurrence");
    assert_eq!(beta(&place, &next)["result"], Value::Null);
    let body = planner.writes().pop().unwrap().body.unwrap();
    assert_eq!(body, json!({ "recurrence": { "schedule": null } }));
    place
        .run(&["--beta", "task", "repeat", "Order desks for the two new colleagues", "monthly"])
        .code(0)
        .says(&["none → monthly on day"]);
    place.run(&["undo", "last"]).code(1).says(&["--beta"]);
    place.run(&["--beta", "undo", "last"]).code(0).says(&["monthly on day", "→ none"]);
    for (line, says) in [
        ("t.recurrence = #{ type: \"hourly\" };", "`hourly` is not a recurrence"),
        ("t.recurrence = #{ type: \"daily\", every: 2 };", "has no field `every`"),
        (
            "t.recurrence = #{ type: \"weekly\", days_of_week: \"someday\" };",
            "`someday` is not a day",
        ),
        ("t.recurrence = #{ type: \"daily\", interval: 0 };", "an interval is 1 to 99"),
        ("t.recurrence = \"daily\";", "a recurrence is a map"),
    ] {
        place.script(&of_task(line), &["--beta"]).code(1).says(&[says]);
    }
}

#[test]
fn a_task_moves_to_another_plan() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let script = of_task(
        "let site = plan(\"Website Relaunch\"); let there = site.buckets[0];
         let n = [p.tasks.len, site.tasks.len];
         t.move_to_plan(site, there.name);
         [n[0] - p.tasks.len, site.tasks.len - n[1], t.plan == site, t.bucket == there, t in there.tasks]",
    );
    let report = beta(&place, &script);
    assert_eq!(report["result"], json!([1, 1, true, true, true]));
    let task = beta(
        &place,
        &format!("task(\"{}\").plan.title", report["changes"][0]["id"].as_str().unwrap()),
    );
    assert_eq!(task["result"], "Website Relaunch");
    let move_it = ["task", "move", TASK, "--to-plan", PLAN, "--beta"];
    place.run(&move_it).code(0).says(&["Website Relaunch → BOS Operations"]);
    // Into a bucket of neither.
    let script = of_task("t.move_to_plan(plan(\"Website Relaunch\"), p.bucket(\"Done\"));");
    place.script(&script, &["--beta"]).code(1).says(&["belongs to a third plan"]);
}

/// Rule R4 looks at where a task goes as well.
#[test]
fn an_agent_moves_nothing_out_of_its_plans() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file(
        "planwright.toml",
        "[policies]\nalways = []\n[agents.rook]\nplans = [\"BOS Operations\"]\n[agents.both]\n",
    );
    let id = place.run(&["plan", "get", "Website Relaunch", "--json"]).code(0).json()["id"].clone();
    let script = of_task(&format!("t.move_to_plan(plan({id}));"));
    place.script(&script, &["--beta", "--as", "rook"]).code(1).says(&["there is no plan"]);
    place.script(&script, &["--beta", "--as", "both", "--out", "move.json"]).code(0);
    let text = std::fs::read_to_string(place.path().join("move.json")).unwrap();
    assert!(text.contains("\"agent\": \"both\""));
    assert_eq!(planner.writes().len(), 0);
}

#[test]
fn a_plan_is_put_away_and_taken_back() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let report =
        beta(&place, &of_task("p.title = \"Old\"; p.archive(\"Season finished\"); p.is_archived"));
    assert_eq!(report["result"], true);
    let sent: Vec<_> = planner.writes();
    let archive = sent.last().unwrap();
    assert!(archive.path.ends_with("/archive"), "{}", archive.path);
    assert_eq!(archive.body, Some(json!({ "justification": "Season finished" })));
    assert!(archive.if_match.is_some());
    // Read only now, and said to be.
    let script = "let p = plan(\"Old\"); p.unarchive(\"needed again\"); p.title = \"Back\";";
    beta(&place, script);
    assert_eq!(beta(&place, "let p = plan(\"Back\"); p.is_archived")["result"], false);
    place
        .run(&["--beta", "plan", "archive", "Back", "--reason", "x"])
        .code(0)
        .says(&["archived", "no → yes"]);
    place.run(&["--beta", "plan", "unarchive", "Back"]).code(0);
}

/// Sent again with the same tag, and found to have been done.
#[test]
fn a_lost_answer_to_archiving_is_no_conflict() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    planner.faults(&json!([{ "path": "/archive", "nth": 1, "action": { "drop_after": true } }]));
    beta(&place, &of_task("p.archive(\"\");"));
    assert_eq!(beta(&place, &of_task("p.is_archived"))["result"], true);
}

#[test]
fn a_plan_lives_in_a_roster() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let script = "let p = create_roster_plan(\"Ours\"); p.add_member(\"ana@bos.example\"); p.add_member(me()); p.create_bucket(\"To do\"); p.members.map(|u| u.name)";
    let report = beta(&place, script);
    assert_eq!(report["result"], json!(["Ana Ferreira", "Rook Tamatea"]), "{report}");
    let now = beta(
        &place,
        "let p = plan(\"Ours\"); p.add_member(\"mei@bos.example\"); [p.members.len, p.group, p.buckets.len]",
    );
    assert_eq!(now["result"], json!([3, null, 1]));
    assert_eq!(now["changes"][0]["fields"]["members"]["after"].as_object().unwrap().len(), 1);
    place
        .run(&["--beta", "plan", "add-member", PLAN, "ana@bos.example"])
        .code(1)
        .says(&["the plan is in a group"]);
}

#[test]
fn what_changed_since_last_time_is_shown_once() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let delta =
        |more: &[&str]| place.run(&[&["--beta", "delta", "--json"], more].concat()).code(0).json();
    assert_eq!(delta(&[]), json!({ "began": true, "too_old": false, "changes": [] }));
    assert_eq!(delta(&[])["changes"], json!([]));
    let script = of_task(
        "t.title = \"Renamed\"; p.task(\"Update the emergency contact list\").delete(); p.create_bucket(\"Later\");",
    );
    place.script(&script, &["--force"]).code(0);
    let seen = |changes: &Value| -> Vec<(String, String)> {
        let text = |it: &Value, name: &str| it[name].as_str().unwrap().to_owned();
        let mut all: Vec<_> = changes
            .as_array()
            .unwrap()
            .iter()
            .map(|it| (text(it, "type"), text(it, "change")))
            .collect();
        all.sort();
        all.dedup();
        all
    };
    let peeked = delta(&["--peek"]);
    let changes = delta(&[])["changes"].clone();
    assert_eq!(peeked["changes"], changes);
    let seen = seen(&changes);
    for expected in
        [("plannerBucket", "created"), ("plannerTask", "deleted"), ("plannerTask", "updated")]
    {
        assert!(seen.contains(&(expected.0.to_owned(), expected.1.to_owned())), "{seen:?}");
    }
    assert_eq!(delta(&[])["changes"], json!([]));
    assert_eq!(delta(&["--restart"])["began"], true);
    planner.faults(&json!([{ "path": "deltatoken", "nth": 1, "action": { "status": 410 } }]));
    place.run(&["--beta", "delta"]).code(0).says(&["too old"]);
    place.run(&["--beta", "delta"]).code(0).says(&["Nothing has changed."]);
}

#[test]
fn a_plan_is_guarded_of_what_is_moved_out_of_it_in_a_step_before() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("scripts/policies/kept.rhai", "fn review_change(change, run) { if change.op == \"delete\" { deny(\"nothing is deleted\"); } }");
    place.file(
        "planwright.toml",
        &format!("[policies]\nalways = []\n[plans.\"{PLAN}\"]\npolicies = [\"kept\"]\n"),
    );
    let script = of_task("t.move_to_plan(plan(\"Website Relaunch\")); commit(); t.delete();");
    place.script(&script, &["--beta", "--force"]).code(8).says(&["nothing is deleted"]);
    let there = "plan(\"Website Relaunch\").tasks[0].delete()";
    place.script(there, &["--beta", "--force"]).code(0);
}

#[test]
fn the_comments_on_a_task_are_listed() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.run(&["task", "comments", TASK]).code(1).says(&["--beta"]);
    place.run(&["--beta", "task", "comments", TASK]).code(0).says(&["No comments."]);
    let id = planner.task(TASK)["id"].as_str().unwrap().to_owned();
    for (user, text) in
        [("mei@bos.example", "Which room?"), ("rook@bos.example", "The large\none \u{1b}[2J")]
    {
        planner.say(user, &id, text);
    }
    let list = place.run(&["--beta", "task", "comments", TASK, "--json"]).code(0).json();
    assert_eq!(
        (&list[0]["content"], &list[0]["createdBy"]["upn"]),
        (&json!("Which room?"), &json!("mei@bos.example"))
    );
    let shown = place.run(&["--beta", "task", "comments", TASK]).code(0).stdout;
    assert!(shown.contains("Mei Tanaka") && shown.contains("  Which room?"), "{shown}");
    assert!(shown.contains("  The large\n  one \u{241b}[2J"), "{shown}");
    // An agent sees those of its plans only.
    place.file("planwright.toml", "[agents.fern]\nplans = [\"Website Relaunch\"]\n");
    place.run(&["--beta", "task", "comments", &id, "--as", "fern"]).code(1).says(&["no task"]);
}
