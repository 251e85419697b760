//! The shipped policy and the host rules, each at its edges, through the program.

use serde_json::json;

use crate::support::{PLAN, Place, Planner};

const MINE: &str = "Book the room for the customer day";
const MEIS: &str = "Translate the brochure for Besançon";

fn board(script: &str) -> String {
    format!("let board = plan(\"{PLAN}\");\n{script}")
}

#[track_caller]
fn denied(place: &Place, planner: &Planner, script: &str, more: &[&str], reason: &str) {
    refused(place, planner, script, more, (3, reason));
}

/// An agent is refused, and a person is asked.
fn asked(place: &Place, planner: &Planner, script: &str, more: &[&str], reason: &str) {
    denied(place, planner, script, &[more, &["--as", "victor"]].concat(), reason);
    refused(place, planner, script, more, (7, reason));
}

fn refused(
    place: &Place,
    planner: &Planner,
    script: &str,
    more: &[&str],
    (code, reason): (i32, &str),
) {
    let before = planner.board();
    let _ = planner.requests();
    let output = place.script(&board(script), more).code(code);
    assert!(output.stderr.contains(reason), "no `{reason}` in:\n{}", output.stderr);
    let requests = planner.requests();
    assert!(requests.iter().all(|it| it.starts_with("GET ")), "{requests:?}");
    assert_eq!(planner.board(), before);
}

#[test]
fn each_rule_of_the_shipped_policy_refuses_an_agent_and_asks_a_person() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let done = planner.get(&format!("/planner/buckets/{}/tasks", planner.bucket_id("Done")));
    let in_done = done["value"][0]["id"].as_str().unwrap().to_owned();
    let cases = [
        (format!("let t = board.task(\"{MEIS}\"); t.priority = 1"), "assigned to someone else (Mei Tanaka)"),
        (format!("board.task(\"{MEIS}\").delete()"), "assigned to someone else"),
        (
            "let t = board.task(\"Prepare the quarterly stock count\"); t.progress = \"not_started\"".into(),
            "progress would go back from 50 % to 0 %",
        ),
        (
            "board.create_task(#{ title: \"  book the ROOM for  the customer day\" })".into(),
            "an open task has the title \"Book the room for the customer day\" already",
        ),
        (
            format!("let t = board.task(\"Update the emergency contact list\"); t.title = \"{MINE}\""),
            "an open task has the title",
        ),
        (
            "board.create_task(#{ title: \"Twin\" }); board.create_task(#{ title: \"twin\" })"
                .into(),
            "an open task has the title",
        ),
        (format!("task(\"{in_done}\").delete()"), "nothing is deleted from the bucket Done"),
        ("board.bucket(\"Done\").delete()".into(), "nothing is deleted from the bucket Done"),
        ("board.bucket(\"In Progress\").delete()".into(), "assigned to someone else"),
        ("board.delete()".into(), "assigned to someone else"),
    ];
    for (script, reason) in cases {
        asked(&place, &planner, &script, &["--force"], reason);
    }
}

#[test]
fn what_an_agent_could_do_to_a_board_without_force_is_denied() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let shared = "Book the room for the customer day";
    let cases = [
        (
            "for n in 0..50 { create_plan(\"BOS\", \"Same\"); }".to_owned(),
            "touches 50 buckets, plans, labels, shares or comments",
        ),
        ("create_plan(board.group.name, board.title);".to_owned(), "makes a plan"),
        (
            "for n in 0..190 { board.create_bucket(`B${n}`); }".to_owned(),
            "touches 190 buckets, plans, labels, shares or comments",
        ),
        (
            "for n in 1..=25 { board.set_label(n, `L${n}`); }".to_owned(),
            "touches 25 buckets, plans, labels, shares or comments",
        ),
        (
            "for user in board.members { board.unshare_with(user); board.share_with(user); } board.share_with(\"victor@bos.example\"); board.unshare_with(\"mei@bos.example\");".to_owned(),
            "shares a plan",
        ),
        ("board.title = \"Other\";".to_owned(), "changes a plan"),
        (
            "let t = board.task(\"Ask the landlord about the loading ramp\"); t.assign(\"mei@bos.example\"); t.complete();".to_owned(),
            "gives the task to Mei Tanaka with progress that they have not made",
        ),
        (
            format!("board.create_task(#{{ title: \"Bo\\u200bok the room for the customer day\" }}); board.task(\"{shared}\").priority"),
            "an open task has the title \"Book the room for the customer day\" already",
        ),
        (
            "board.create_task(#{ title: \"Translate the brochure for Besanc\\u0327on\" });".to_owned(),
            "an open task has the title",
        ),
        (
            "board.create_task(#{ title: \"Воok the rооm for the customer day\" });".to_owned(),
            "an open task has the title",
        ),
    ];
    for (script, reason) in cases {
        denied(&place, &planner, &script, &["--as", "victor"], reason);
    }
    // Somebody else on a task of one's own stays there.
    place.script(&board("let t = my_tasks().find(|it| !it.is_completed && it.plan == board); t.title = \"Shared\"; t.assign(\"mei@bos.example\");"), &[]).code(0);
    let script = "board.task(\"Shared\").unassign(\"mei@bos.example\");";
    denied(&place, &planner, script, &["--as", "victor"], "takes Mei Tanaka off a shared task");
    // A person answers for that.
    place.script(&board(script), &[]).code(0);
}

#[test]
fn a_deletion_needs_force_whoever_asks() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let script = format!("board.task(\"{MINE}\").delete()");
    denied(&place, &planner, &script, &[], "a deletion needs --force");
    place.run(&["task", "delete", MINE]).code(3).says(&["a deletion needs --force", "host R1"]);
    place.script(&board(&script), &["--force"]).code(0).says(&["Applied 1 change"]);
}

#[test]
fn what_the_rules_allow_goes_through() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let cases = [
        // Unassigned, and one's own.
        "let t = board.task(\"Ask the landlord about the loading ramp\"); t.priority = 1",
        "let t = board.task(\"Prepare the quarterly stock count\"); t.priority = 2",
        // Staying where it is.
        "let t = board.task(\"Prepare the quarterly stock count\"); t.progress = \"in_progress\"",
        // The title of a completed task may come again.
        "let t = board.bucket(\"Done\").tasks[0]; board.create_task(#{ title: t.title })",
        // A task may keep its title while something else changes.
        "let t = board.task(\"Book the room for the customer day\"); t.due = \"2199-01-01\"",
        // Another person's name on a new task is no change to their task.
        "board.create_task(#{ title: \"For Mei\", assign: \"mei@bos.example\" })",
    ];
    for script in cases {
        place.script(&board(script), &[]).code(0);
    }
}

#[test]
fn caps_are_a_host_rule_that_no_policy_setting_switches_off() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", "[policies]\nalways = []\n[limits]\nmax_changes = 3\n");
    let create =
        |n: usize| format!("for n in 0..{n} {{ board.create_task(#{{ title: `T${{n}}` }}); }}");
    asked(&place, &planner, &create(4), &[], "makes 4 changes; the limit is 3");
    place.script(&board(&create(3)), &[]).code(0);
    // What a deletion takes along is deleted too.
    place.file("planwright.toml", "[policies]\nalways = []\n[limits]\nmax_deletes = 3\n");
    let delete = "board.bucket(\"In Progress\").delete()";
    asked(&place, &planner, delete, &["--force"], "makes 6 deletions; the limit is 3");
    // Without policies, someone else's task can be changed; a deletion still needs --force.
    place.script(&board(&format!("let t = board.task(\"{MEIS}\"); t.priority = 1")), &[]).code(0);
    denied(&place, &planner, &format!("board.task(\"{MEIS}\").delete()"), &[], "needs --force");
}

#[test]
fn a_broken_or_missing_policy_denies() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let change = format!("let t = board.task(\"{MINE}\"); t.priority = 1");
    place.file("planwright.toml", "[policies]\nalways = [\"house\"]\n");
    denied(&place, &planner, &change, &[], "the policy `house` is in force but missing");
    let cases = [
        ("fn review(changes, run) { let x = ; }", "the policy cannot be used"),
        ("const NOTHING = 1;", "neither `review(changes, run)`"),
        ("fn reviews(changes, run) { }", "nothing calls `reviews`"),
        (
            "fn review(changes) { deny(\"no\"); } fn review_change(change, run) { }",
            "`review` must take two parameters",
        ),
        ("fn review(changes, run) { throw \"oops\"; }", "the policy failed: oops"),
        ("fn review(changes, run) { loop { } }", "budget"),
        ("fn review(changes, run) { nope(); }", "there is no function `nope`"),
        // Nothing is caught: neither an error of the host nor one of the script.
        (
            "fn review(changes, run) { try { plan(\"No such plan\"); } catch { } }",
            "a policy cannot catch errors",
        ),
        (
            "fn review_change(change, run) { try { if change.after.nope { } } catch { } }",
            "a policy cannot catch errors",
        ),
        (
            "import \"mild\" as mild; fn review(changes, run) { mild::ask(); }",
            "a policy cannot catch errors",
        ),
        // Who returns a verdict means it.
        ("fn review_change(change, run) { return \"deny\"; }", "returns a value (string)"),
        ("fn review(changes, run) { #{ verdict: \"deny\" } }", "returns a value (map)"),
        // A policy reads; it can not write.
        (
            "fn review_change(change, run) { change.task.priority = 9; }",
            "the board is read only here",
        ),
    ];
    place.file("scripts/lib/mild.rhai", "fn ask() { try { nope(); } catch { } }");
    for (policy, reason) in cases {
        place.file("scripts/policies/house.rhai", policy);
        denied(&place, &planner, &change, &[], reason);
    }
    place.file("scripts/policies/house.rhai", "fn review(changes, run) { }");
    place.script(&board(&change), &[]).code(0);
}

#[test]
fn a_policy_sees_the_change_before_and_after_and_can_hold_or_warn() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", "[policies]\nalways = [\"house\"]\n");
    place.file(
        "scripts/policies/house.rhai",
        r#"
        fn review_change(change, run) {
            if change.sets("due") && change.before.due != change.after.due {
                warn(`due ${change.after.due}, ${change.fields}, ${run.skill}, ${run.agent}, ${run.dry_run}`);
            }
            if change.op == "create" && change.before == () && change.bucket != () && change.bucket.name == "Done" {
                hold(`new in ${change.after.bucket.name}: ${change.task.title}`);
            }
        }
        fn review(changes, run) {
            if changes.len() == 2 && changes.creates.len() == 2 { deny("two at once"); }
        }
        "#,
    );
    let script = format!("let t = board.task(\"{MINE}\"); t.due = \"2199-02-03\"");
    let report = place.script(&board(&script), &["--json", "--as", "victor"]).code(0).json();
    assert_eq!(
        report["verdicts"],
        json!([{ "source": "house.rhai", "verdict": "warn", "change": 1,
                 "reason": "due 2199-02-03, [\"due\"], -, victor, false" }])
    );
    assert_eq!(report["changes"][0]["verdict"], "warn");
    let script = "board.create_task(#{ title: \"Held\", bucket: \"Done\" })";
    let report = place.script(&board(script), &["--json"]).code(7).json();
    assert_eq!(report["status"], "held");
    assert_eq!(report["verdicts"][0]["reason"], "new in Done: Held");
    let script = "board.create_task(#{ title: \"A\" }); board.create_task(#{ title: \"B\" })";
    denied(&place, &planner, script, &[], "two at once");
}

#[test]
fn a_skill_can_not_reach_the_policy_that_judges_it() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let script = format!(
        r#"
        fn deny(reason) {{ }}
        fn review_change(change, run) {{ }}
        fn open_tasks_titled(title) {{ [] }}
        const MAX_TASKS = 1000;
        board.create_task(#{{ title: "{MINE}" }});
        "#
    );
    asked(&place, &planner, &script, &[], "an open task has the title");
    // What a skill is given to judge with, it has not.
    place.script(&board("allow(\"all\")"), &[]).code(1).says(&["there is no function `allow`"]);
}

#[test]
fn an_agent_sees_and_touches_only_its_plans() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file(
        "planwright.toml",
        "[policies]\nalways = []\n[agents.victor]\nplans = [\"Website Relaunch\"]\n[agents.mei]\nmay_apply = false\n",
    );
    let script = board(&format!("let t = board.task(\"{MINE}\"); t.priority = 1"));
    place.script(&script, &["--as", "victor"]).code(1).says(&["there is no plan `BOS Operations`"]);
    place.script("print(plans().len())", &["--as", "victor"]).code(0);
    let id = planner.task(MINE)["id"].as_str().unwrap().to_owned();
    let by_id = format!("let t = task(\"{id}\"); t.priority = 1");
    place.script(&by_id, &["--as", "victor"]).code(1).says(&["there is no task"]);
    place.script(&script, &["--as", "mei"]).code(3).says(&["agent `mei` may preview only"]);
    place.script(&script, &["--as", "mei", "--dry-run"]).code(0);
    place
        .script(&script, &["--as", "vicotr"])
        .code(1)
        .says(&["there is no agent `vicotr`", "`victor`"]);
}

#[test]
fn a_policy_without_a_reason_says_that_it_gives_none() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", "[policies]\nalways = [\"curt\"]\n");
    place.file("scripts/policies/curt.rhai", "fn review(changes, run) { deny(\" \"); }");
    denied(&place, &planner, "board.create_bucket(\"new\")", &[], "it gives no reason");
}

#[test]
fn a_plan_does_not_shed_its_policies_with_its_title() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file(
        "scripts/policies/quiet.rhai",
        "fn review_change(change, run) { if change.entity != \"plan\" { deny(\"hands off\"); } }",
    );
    place.file(
        "planwright.toml",
        &format!("[policies]\nalways = []\n[plans.\"{PLAN}\"]\npolicies = [\"quiet\"]\n"),
    );
    place.script(&board("board.title = \"Other\""), &[]).code(0);
    let task = "create_task(#{ title: \"x\" })";
    let other = format!("plan(\"Other\").{task}");
    place.script(&other, &[]).code(3).says(&["hands off"]);
    // Whoever has the title now is guarded, too, and so is the first when it is gone again.
    place.script("let p = plan(\"Website Relaunch\"); p.title = \"bos operations\"", &[]).code(0);
    place.script(&format!("plan(\"{PLAN}\").{task}"), &[]).code(3).says(&["hands off"]);
    place.script(&format!("let p = plan(\"{PLAN}\"); p.title = \"Third\""), &[]).code(0);
    place.script(&format!("plan(\"Third\").{task}"), &[]).code(3).says(&["hands off"]);
    place.script(&other, &[]).code(3).says(&["hands off"]);
    // Another state folder has never seen it.
    let elsewhere = place.path().join("elsewhere");
    let args = ["--state-dir", elsewhere.to_str().unwrap()];
    let run = place.script(&other, &args).code(0);
    run.says(&[&format!(
        "planwright.toml names a plan that is not there, or that Rook Tamatea cannot see: `{PLAN}`"
    )]);
}

#[test]
fn an_agent_keeps_the_plans_it_was_given_whatever_their_titles() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file(
        "planwright.toml",
        &format!("[policies]\nalways = []\n[limits]\nmax_deletes = 100\n[agents.victor]\nplans = [\"{PLAN}\"]\n"),
    );
    let agent = ["--as", "victor", "--json"];
    let titles = |place: &Place| {
        place.script("plans().map(|it| it.title)", &agent).code(0).json()["result"].clone()
    };
    assert_eq!(titles(&place), json!([PLAN]));
    // A person names the plans anew: what was granted stays what it was.
    place.script(&board("board.title = \"Other\""), &[]).code(0);
    let swap = format!("let p = plan(\"Website Relaunch\"); p.title = \"{PLAN}\"");
    place.script(&swap, &[]).code(0);
    assert_eq!(titles(&place), json!(["Other"]));
    let write = |plan: &str| {
        format!("let t = plan(\"{plan}\").create_task(#{{ title: \"by victor {plan}\" }});")
    };
    place.script(&write("Other"), &["--as", "victor"]).code(0);
    place.script(&write(PLAN), &["--as", "victor"]).code(1).says(&["there is no plan"]);
    // When it is gone for good, the title stands for the plan that has it.
    place.script("plan(\"Other\").delete()", &["--force"]).code(0);
    assert_eq!(titles(&place), json!([PLAN]));
}

#[test]
fn an_agent_does_not_touch_the_titles_that_the_configuration_names() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file(
        "planwright.toml",
        &format!(
            "[policies]\nalways = []\n[agents.victor]\n[agents.mei]\nplans = [\"{PLAN}\", \"Secret\"]\n[plans.\"Website Relaunch\"]\npolicies = []\n"
        ),
    );
    let agent = ["--as", "victor"];
    for (script, reason) in [
        (
            "board.title = \"Mine\"".to_owned(),
            "planwright.toml names this plan; agent `victor` may not rename it",
        ),
        ("let p = plan(\"Website Relaunch\"); p.title = \"Mine\"".to_owned(), "may not rename it"),
        (
            format!("create_plan(\"BOS\", \"{PLAN}\")"),
            "names the plan `BOS Operations`; agent `victor` may not create another with that title",
        ),
        (
            "create_plan(\"BOS\", \"ВOS  operаtions\")".to_owned(),
            "may not create another with that title",
        ),
        ("create_plan(\"BOS\", \"secret\")".to_owned(), "names the plan `Secret`"),
        (
            "let p = create_plan(\"BOS\", \"Fine\"); p.title = \"Web\\u200bsite Relaunch\""
                .to_owned(),
            "may not create another",
        ),
    ] {
        denied(&place, &planner, &script, &agent, reason);
    }
    // In steps it comes to the same; the first of them is applied.
    let script = board("let p = create_plan(\"BOS\", \"Fine\"); commit(); p.title = \"Secret\"");
    place.script(&script, &agent).code(8).says(&["names the plan `Secret`"]);
    // A plan that a person has renamed is still the one that was named.
    place.script(&board("board.title = \"Other\""), &[]).code(0);
    let rename = "let p = plan(\"Other\"); p.title = \"Mine\"";
    place.script(rename, &agent).code(3).says(&["may not rename it"]);
    // All else is an agent's to do, and a person does what they like.
    place.script("let p = plan(\"Fine\"); p.title = \"Finer\"", &agent).code(0);
    place.script("let p = plan(\"Finer\"); p.title = \"Secret\"", &[]).code(0);
}

#[test]
fn a_name_of_a_plan_that_stands_for_nothing_is_said() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("scripts/policies/quiet.rhai", "fn review(changes, run) { deny(\"hands off\"); }");
    place.file("planwright.toml", "[policies]\nalways = []\n[plans.\"BOS Operation\"]\npolicies = [\"quiet\"]\n[agents.victor]\nplans = [\"Web Relaunch\"]\n");
    let guard = "names a plan that is not there, or that Rook Tamatea cannot see: `BOS Operation`; did you mean `BOS Operations`?";
    let task = board("board.create_task(#{ title: \"x\" })");
    let report = place.script(&task, &["--json"]).code(0).json();
    assert_eq!(report["warnings"].as_array().unwrap().len(), 1, "{report:#}");
    assert!(report["warnings"][0].as_str().unwrap().contains(guard), "{report:#}");
    place.script("1", &["-n"]).code(0).says(&[guard]);
    // An agent is told of its own, and not what there is that is called nearly the same.
    let told = place.script("plans().len()", &["--as", "victor"]).code(0).says(&["`Web Relaunch`"]);
    assert!(!told.stderr.contains("Website") && !told.stderr.contains("BOS"), "{}", told.stderr);
    place.file(
        "planwright.toml",
        "[policies]\nalways = []\n[plans.\"bos operations\"]\npolicies = []\n",
    );
    let report = place.script(&task, &["--json"]).code(0).json();
    assert_eq!(report["warnings"], json!([]), "{report:#}");
}
