//! `commit()`: what a script applies on its way, and what that counts for.

use serde_json::json;

use crate::support::{PLAN, Place, Planner, edit, is_write, on_one_day};

const FREE: &str = "[policies]\nalways = []\n";

fn run(place: &Place, script: &str, more: &[&str]) -> crate::support::Output {
    place.file("commits.rhai", script);
    place.run(&[&["run", "commits.rhai", "--json"], more].concat())
}

#[test]
fn what_was_committed_is_there_and_can_be_gone_on_with() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", FREE);
    let script = format!(
        "let b = plan(\"{PLAN}\"); let n = b.create_bucket(\"New\"); let t = n.create_task(#{{ title: \"first\" }}); let before = t.id; commit(); t.title += \"!\"; t.description = `made as ${{before}}`; let u = n.create_task(#{{ title: \"second\", description: `after ${{before}}` }}); print(t.id); print(before); print(t.created_by.upn); print(n.tasks.len()); t == task(t.id)"
    );
    let report = run(&place, &script, &[]).code(0).json();
    let first = planner.task("first!");
    let id = first["id"].as_str().unwrap();
    assert_eq!(report["status"], "applied");
    assert_eq!(report["output"], json!([id, id, "rook@bos.example", "2"]));
    assert_eq!(report["result"], json!(true));
    let numbers: Vec<_> =
        report["changes"].as_array().unwrap().iter().map(|it| it["n"].clone()).collect();
    assert_eq!(numbers, [1, 2, 3, 4].map(|n| json!(n)), "{report:#}");
    let details = planner.get(&format!("/planner/tasks/{id}/details"));
    assert_eq!(details["description"], format!("made as {id}"));
    let second = planner.task("second");
    let details =
        planner.get(&format!("/planner/tasks/{}/details", second["id"].as_str().unwrap()));
    assert_eq!(details["description"], format!("after {id}"));
    assert_eq!(second["bucketId"], first["bucketId"]);
    // It is one run to whoever takes it back.
    place.run(&["undo", "last", "--force"]).code(0);
    let left = planner.get(&format!("/planner/plans/{}/tasks", planner.plan_id()));
    assert!(!left.to_string().contains("first!") && !left.to_string().contains("second"));
}

#[test]
fn limits_and_policies_count_over_all_of_the_run() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let script = format!(
        "let b = plan(\"{PLAN}\"); for n in 0..12 {{ b.create_task(#{{ title: `t${{n}}` }}); commit(); }}"
    );
    // The policy in force by default: ten tasks a run.
    let report = run(&place, &script, &[]).code(8).json();
    assert_eq!(report["status"], "partial", "{report:#}");
    let status = |status: &str| {
        report["changes"].as_array().unwrap().iter().filter(|it| it["status"] == status).count()
    };
    assert_eq!((status("applied"), status("planned")), (10, 1));
    assert_eq!(report["verdicts"][0]["reason"], "touches 11 tasks; the limit is 10");
    // A task that is changed in several segments is one.
    let again = format!(
        "let t = plan(\"{PLAN}\").task(\"t1\"); for n in 0..12 {{ t.title += \"x\"; commit(); }} t.title"
    );
    let report = run(&place, &again, &[]).code(0).json();
    assert_eq!(report["result"], "t1xxxxxxxxxxxx");
    // Host rule R5 counts in the same way.
    place.file("planwright.toml", "[policies]\nalways = []\n[limits]\nmax_changes = 3\n");
    let report = run(&place, &script, &[]).code(8).json();
    assert_eq!(report["verdicts"][0]["source"], "host R5", "{report:#}");
}

#[test]
fn a_policy_sees_earlier_changes_as_they_were() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", "[policies]\nalways = [\"seen\"]\n");
    place.file("scripts/policies/seen.rhai", "fn review(changes, run) { let told = \"\"; for c in changes { told += `${if c.before == () { \"-\" } else { c.before.title }}>${c.after.title} `; } warn(told); }");
    let script = format!(
        "let t = plan(\"{PLAN}\").create_task(#{{ title: \"a\" }}); commit(); t.title = \"b\"; commit(); t.title = \"c\";"
    );
    let report = run(&place, &script, &[]).code(0).json();
    let reasons: Vec<_> = report["verdicts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["reason"].as_str().unwrap().trim().to_owned())
        .collect();
    assert_eq!(reasons, ["->a", "->a a>b", "->a a>b b>c"]);
}

#[test]
fn what_is_refused_ends_the_run_whatever_it_catches() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", FREE);
    let script = format!(
        "let b = plan(\"{PLAN}\"); b.task(\"Negotiate the parcel rates\").delete(); try {{ commit(); }} catch {{ }} b.create_task(#{{ title: \"after\" }}); print(\"went on\");"
    );
    let report = run(&place, &script, &[]).code(3).json();
    assert_eq!(report["status"], "denied");
    assert!(planner.writes().is_empty());
    assert_eq!(report["output"], json!([]));
    // An error after a commit leaves what was committed, and says so.
    let script =
        format!("plan(\"{PLAN}\").create_task(#{{ title: \"kept\" }}); commit(); throw \"oops\"");
    let report = run(&place, &script, &[]).code(8).json();
    assert_eq!(report["status"], "partial");
    assert_eq!(report["error"]["message"], "oops");
    assert_eq!(report["changes"][0]["status"], "applied");
    let _ = planner.task("kept");
}

#[test]
fn a_dry_run_of_a_script_that_commits_sends_nothing_but_reads() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let script = format!(
        "let t = plan(\"{PLAN}\").create_task(#{{ title: \"a\" }}); print(1); commit(); t.title = \"b\"; commit(); print(t.title);"
    );
    let report = run(&place, &script, &["-n"]).code(0).json();
    assert_eq!(report["status"], "previewed");
    assert_eq!(report["changes"].as_array().map(Vec::len), Some(1));
    assert_eq!(report["output"], json!(["1", "b"]));
    assert!(report["warnings"][0].as_str().unwrap().contains("dry run"), "{report:#}");
    assert!(planner.exchanges().iter().all(|it| !is_write(it)));
}

#[test]
fn a_conflict_at_a_commit_stops_there_and_outside_edits_stay() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", FREE);
    let task = planner.task("Negotiate the parcel rates")["id"].as_str().unwrap().to_owned();
    let mut edited = false;
    planner.on_request(move |emulator, exchange| {
        if !edited && exchange.method == "PATCH" {
            edited = true;
            let path = format!("/planner/tasks/{task}");
            edit(emulator, "mei@bos.example", &path, &json!({ "title": "Hers" }));
        }
    });
    let script = format!(
        "let t = plan(\"{PLAN}\").task(\"Negotiate the parcel rates\"); t.title += \" soon\"; commit(); t.priority = 1;"
    );
    let report = run(&place, &script, &[]).code(4).json();
    assert_eq!(report["status"], "conflict");
    assert_eq!(report["changes"][0]["conflict"][0]["theirs"], "Hers", "{report:#}");
    let _ = planner.task("Hers");
}

#[test]
fn commits_are_no_loop_without_end_and_not_for_policies() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", FREE);
    run(&place, "loop { commit(); }", &[]).code(1);
    place.file("planwright.toml", "[policies]\nalways = [\"commits\"]\n");
    place.file("scripts/policies/commits.rhai", "fn review(changes, run) { commit(); }");
    let script = format!("plan(\"{PLAN}\").create_task(#{{ title: \"a\" }});");
    run(&place, &script, &[]).code(3);
}

#[test]
fn what_a_run_made_changed_and_deleted_is_taken_back_as_one() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", FREE);
    let before = planner.task("Negotiate the parcel rates");
    // What it made and deleted was never there.
    let script = format!(
        "let t = plan(\"{PLAN}\").create_task(#{{ title: \"brief\" }}); commit(); t.title = \"briefer\"; commit(); t.delete();"
    );
    run(&place, &script, &["--force"]).code(0);
    place.run(&["undo", "last", "--force"]).code(0);
    let tasks = planner.get(&format!("/planner/plans/{}/tasks", planner.plan_id()));
    assert!(!tasks.to_string().contains("brief"), "{tasks}");
    // What it changed and deleted comes back as it was before.
    let script = format!(
        "let t = plan(\"{PLAN}\").task(\"Negotiate the parcel rates\"); t.priority = 1; t.description += \"a\"; commit(); t.priority = 9; t.description += \"b\"; commit(); t.delete();"
    );
    run(&place, &script, &["--force"]).code(0);
    let undone = place.run(&["undo", "last", "--force", "--json"]).code(0).json();
    assert_eq!(undone["warnings"], json!([]), "{undone:#}");
    let after = planner.task("Negotiate the parcel rates");
    assert_eq!(after["priority"], before["priority"]);
    let id = after["id"].as_str().unwrap();
    let details = planner.get(&format!("/planner/tasks/{id}/details"));
    assert!(!details["description"].as_str().unwrap_or_default().ends_with("ab"), "{details}");
}

#[test]
fn a_policy_fails_closed_on_earlier_segments_too() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", "[policies]\nalways = [\"curious\"]\n");
    place.file("scripts/policies/curious.rhai", "fn review(changes, run) { if changes.len() > 1 { for c in changes { if c.n == 1 && c.op == \"create\" && c.after.title == \"a\" { c.plan.bucket(\"Nothing of the kind\"); } } } }");
    let script = format!(
        "plan(\"{PLAN}\").create_task(#{{ title: \"a\" }}); commit(); plan(\"{PLAN}\").create_task(#{{ title: \"b\" }});"
    );
    let report = run(&place, &script, &[]).code(8).json();
    assert!(
        report["verdicts"][0]["reason"]
            .as_str()
            .unwrap()
            .contains("the policy failed: there is no bucket"),
        "{report:#}"
    );
}

#[test]
fn what_is_counted_is_counted_once() {
    on_one_day(|| {
        let planner = Planner::demo();
        let place = Place::against(&planner);
        place.file("planwright.toml", "[policies]\nalways = [\"counting\"]\n");
        place.file("scripts/policies/counting.rhai", "fn review(changes, run) { warn(`${count_today(\"task\", \"create\")} ${changes.creates.len()} ${changes.task_count}`); }");
        let script = format!(
            "let made = []; for n in 0..3 {{ made.push(plan(\"{PLAN}\").create_task(#{{ title: `t${{n}}` }})); }} commit(); for t in made {{ t.title += \"!\"; }} plan(\"{PLAN}\").create_task(#{{ title: \"last\" }});"
        );
        let report = run(&place, &script, &[]).code(0).json();
        let reasons: Vec<_> =
            report["verdicts"].as_array().unwrap().iter().map(|it| it["reason"].clone()).collect();
        assert_eq!(reasons, [json!("0 3 3"), json!("0 4 4")]);
        let report = run(&place, "let t = my_tasks()[0]; t.title += \"?\";", &[]).code(0).json();
        assert_eq!(report["verdicts"][0]["reason"], "4 0 1");
    });
}

/// A script that deletes a task of the bucket Done in two steps, by one of several ways.
const AROUND: [&str; 4] = [
    "t.move_to(\"Inbox\"); commit(); t.delete();",
    "let d = b.bucket(\"Done\"); d.name = \"Old\"; commit(); t.delete(); d.name = \"Done\";",
    "let d = b.bucket(\"Done\"); d.name = \"Old\"; commit(); t.priority = 9; commit(); t.delete();",
    "let n = b.create_bucket(\"New\"); commit(); t.move_to(n); commit(); n.name = \"Newer\"; commit(); t.delete();",
];

#[test]
fn a_commit_is_no_way_around_a_policy() {
    let policies = [
        // Both kinds of hooks, and one that asks for the bucket by name.
        "fn review_change(change, run) { if change.op == \"delete\" && change.before.bucket.name == \"Done\" { deny(\"from Done\"); } }",
        "fn review(changes, run) { for it in changes.deletes { if it.before.bucket == \"Done\" { deny(\"from Done\"); } } }",
        "fn review_change(change, run) { if change.op == \"delete\" && change.original.bucket == \"Done\" { deny(\"from Done\"); } }",
    ];
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", "[policies]\nalways = [\"done\"]\n");
    for policy in policies {
        place.file("scripts/policies/done.rhai", policy);
        for around in AROUND {
            let script = format!(
                "let b = plan(\"{PLAN}\"); let t = b.create_task(#{{ title: \"kept\", bucket: \"Done\" }});"
            );
            run(&place, &script, &[]).code(0);
            let script = format!("let b = plan(\"{PLAN}\"); let t = b.task(\"kept\"); {around}");
            let report = run(&place, &script, &["--force"]).code(8).json();
            assert_eq!(report["verdicts"][0]["reason"], "from Done", "{around}: {report:#}");
            let _still_there = planner.task("kept");
            // For the next one: what is left of it may go from elsewhere.
            place.file("scripts/policies/done.rhai", "fn review(changes, run) { }");
            let rest = format!(
                "let b = plan(\"{PLAN}\"); b.task(\"kept\").delete(); for it in b.buckets {{ if it.name == \"Old\" {{ it.name = \"Done\"; }} if it.name.starts_with(\"New\") {{ it.delete(); }} }}"
            );
            run(&place, &rest, &["--force"]).code(0);
            place.file("scripts/policies/done.rhai", policy);
        }
    }
}

#[test]
fn the_original_is_the_entity_as_it_was_when_the_run_began() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", "[policies]\nalways = [\"seen\"]\n");
    place.file(
        "scripts/policies/seen.rhai",
        "private fn told(it) { if it == () { \"-\" } else { `${it.title} in ${it.bucket.name}` } }\nfn review_change(change, run) { warn(`${told(change.original)} > ${told(change.before)} > ${told(change.after)}`); }",
    );
    let script = format!(
        "let t = plan(\"{PLAN}\").task(\"Negotiate the parcel rates\"); let was = t.title; t.title = \"b\"; t.move_to(\"Done\"); commit(); t.title = \"c\"; let n = t.plan.create_task(#{{ title: \"n\", bucket: \"Inbox\" }}); commit(); t.title = was; n.title = \"m\";"
    );
    let bucket = |id: &str| {
        planner.get(&format!("/planner/buckets/{id}"))["name"].as_str().unwrap().to_owned()
    };
    let was = bucket(planner.task("Negotiate the parcel rates")["bucketId"].as_str().unwrap());
    let report = run(&place, &script, &[]).code(0).json();
    let verdicts = report["verdicts"].as_array().unwrap();
    let mut reasons: Vec<_> = verdicts.iter().map(|it| it["reason"].as_str().unwrap()).collect();
    // What is new has an id of its own, which puts it here or there.
    reasons[3..].sort_unstable();
    let title = "Negotiate the parcel rates";
    let first = format!("{title} in {was}");
    assert_eq!(
        reasons,
        [
            format!("{first} > {first} > b in Done"),
            format!("{first} > b in Done > c in Done"),
            "- > - > n in Inbox".to_owned(),
            "- > n in Inbox > m in Inbox".to_owned(),
            format!("{first} > c in Done > {title} in Done"),
        ],
        "{report:#}"
    );
}

#[test]
fn what_comes_to_nothing_as_a_whole_is_judged_step_by_step_only() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", "[policies]\nalways = [\"twice\"]\n");
    // A duplicate of what the run has made itself would be one, however it is looked at.
    place.file(
        "scripts/policies/twice.rhai",
        "fn review_change(change, run) { if change.op == \"create\" && change.after.plan.open_tasks_titled(change.after.title).len() > 1 { deny(\"twice\"); } if change.op == \"delete\" && change.original != () { deny(\"was there\"); } }",
    );
    let script = format!(
        "let b = plan(\"{PLAN}\"); let t = b.create_task(#{{ title: \"once\" }}); commit(); let u = b.create_task(#{{ title: \"other\" }}); t.priority = 1; commit(); t.delete(); u.title = \"last\"; commit(); b.tasks.len()"
    );
    let report = run(&place, &script, &["--force"]).code(0).json();
    assert_eq!(report["status"], "applied", "{report:#}");
    let script = format!(
        "let b = plan(\"{PLAN}\"); b.create_task(#{{ title: \"two\" }}); commit(); b.create_task(#{{ title: \"two\" }});"
    );
    let report = run(&place, &script, &[]).code(8).json();
    assert_eq!(report["verdicts"][0]["reason"], "twice", "{report:#}");
}

/// A bucket is no way around the rules about deletions: a task that is moved into it, and taken along
/// when it is deleted, was deleted from where it was at first.
#[test]
fn a_task_that_a_bucket_takes_along_is_judged_where_it_was_at_first() {
    for moves in [
        "let n = b.create_bucket(\"New\"); t.move_to(n); commit(); n.delete();",
        "let n = b.create_bucket(\"New\"); commit(); t.move_to(n); commit(); n.delete();",
        "t.move_to(\"Waiting\"); commit(); b.bucket(\"Waiting\").delete();",
    ] {
        let planner = Planner::demo();
        let place = Place::against(&planner);
        place.script(&format!("plan(\"{PLAN}\").create_bucket(\"Waiting\");"), &[]).code(0);
        let make =
            format!("plan(\"{PLAN}\").create_task(#{{ title: \"kept\", bucket: \"Done\" }});");
        place.script(&make, &[]).code(0);
        let script = format!("let b = plan(\"{PLAN}\"); let t = b.task(\"kept\"); {moves}");
        for more in [&["--force"][..], &["--force", "--as", "victor"]] {
            let report = run(&place, &script, more).json();
            let reason = &report["verdicts"][0]["reason"];
            assert_eq!(reason, "nothing is deleted from the bucket Done", "{moves}: {report:#}");
            place
                .script(&format!("plan(\"{PLAN}\").task(\"kept\").move_to(\"Done\");"), &[])
                .code(0);
            let rest = format!(
                "for b in plan(\"{PLAN}\").buckets {{ if b.name == \"New\" {{ b.delete(); }} }}"
            );
            drop(place.script(&rest, &["--force"]));
        }
    }
}
