//! The board as a file: pulled, edited, compared, carried out.

use std::fmt::Write as _;

use jiff::ToSpan as _;
use jiff::civil::Date;
use serde_json::{Value, json};

use crate::support::{PLAN, Place, Planner};

/// A place whose workspace has no policy, with the board pulled to `board.yaml`.
fn pulled(planner: &Planner) -> Place {
    let place = Place::against(planner);
    place.file("planwright.toml", "[policies]\nalways = []\n");
    place
        .run(&["pull", PLAN, "--to", "board.yaml"])
        .code(0)
        .says(&["Wrote 30 tasks to board.yaml"]);
    place
}

fn text(place: &Place) -> String {
    std::fs::read_to_string(place.path().join("board.yaml")).unwrap()
}

/// Edits the pulled file: each text is there once.
#[track_caller]
fn edit(place: &Place, edits: &[(&str, &str)]) {
    let mut yaml = text(place);
    for (old, new) in edits {
        assert_eq!(yaml.matches(old).count(), 1, "{old}");
        yaml = yaml.replace(old, new);
    }
    place.file("board.yaml", &yaml);
}

/// The lines of a task in the file.
fn lines_of(yaml: &str, title: &str) -> String {
    let start = format!("- title: {title}\n");
    let (_, rest) = yaml.split_once(&start).unwrap();
    start + rest.split("\n\n").next().unwrap()
}

/// Returns the day that a line of a task has.
fn day_in(task: &str, field: &str) -> Date {
    let prefix = format!("{field}: ");
    let day = task.lines().find_map(|line| line.trim().strip_prefix(&prefix));
    day.unwrap_or_else(|| panic!("no {field} in {task}")).parse().unwrap()
}

fn without_base(yaml: &str) -> String {
    yaml.split("\n# The state of the board").next().unwrap().to_owned()
}

const RUN: [&str; 3] = ["run", "--from", "board.yaml"];

fn report(place: &Place, args: &[&str], code: i32) -> Value {
    place.run(&[args, &["--json"]].concat()).code(code).json()
}

/// The titles of what a report wants, with what it does to them.
fn wanted(report: &Value) -> Vec<(String, String)> {
    let text = |it: &Value| it.as_str().unwrap().to_owned();
    let changes = report["changes"].as_array().unwrap();
    changes.iter().map(|it| (text(&it["op"]), text(&it["title"]))).collect()
}

#[test]
fn a_board_that_nobody_edited_changes_nothing() {
    let planner = Planner::demo();
    let place = pulled(&planner);
    let yaml = text(&place);
    assert_eq!(place.run(&["pull", PLAN]).code(0).stdout, yaml);
    assert_eq!(report(&place, &RUN, 0)["status"], "no_changes");
    assert_eq!(report(&place, &["diff", "board.yaml", "--prune"], 0)["status"], "no_changes");
    place.file("plain.yaml", &without_base(&yaml));
    let plain = ["run", "--from", "plain.yaml", "--prune"];
    assert_eq!(report(&place, &plain, 0)["status"], "no_changes");
    let json = place.run(&["pull", PLAN, "--json"]).code(0).stdout;
    let from_stdin = place.run_with(&["run", "--from", "-", "--json"], &json, &[]).code(0).json();
    assert_eq!(from_stdin["status"], "no_changes");
    assert_eq!(planner.writes().len(), 0);
}

#[test]
fn every_kind_of_edit_is_carried_out_once() {
    let planner = Planner::demo();
    let place = pulled(&planner);
    let yaml = text(&place);
    let task = lines_of(&yaml, "Compare offers for the coffee machine lease");
    let id = task.lines().nth(1).unwrap().trim().to_owned();
    let edited = format!(
        "- title: \"Compare: three offers\"\n        {id}\n        progress: in_progress\n        priority: important\n        start: 2026-12-01\n        due: ~\n        assignees: [ana@bos.example]\n        labels: [Operations, Legal]\n        description: |\n          One\n          Two\n        checklist:\n          - title: Offer from the present supplier\n            checked: false\n          - Offer from Kaffe & Co.\n          - A third one\n        references:\n          - url: https://example.com/offers\n            alias: Offers"
    );
    let bucket = "  - name: Later\n    tasks:\n      - title: A new task\n        key: new 1\n        due: 2027-01-15\n        checklist: [One, Two]\n\n      - title: Another\n        progress: completed\n\n  - name: Inbox\n";
    edit(
        &place,
        &[
            (&task, &edited),
            ("  category6: Customers\n", "  category6: Clients\n  category7: Legal\n"),
            ("  - name: Inbox\n", bucket),
            ("  - name: This Week\n", "  - name: Now\n"),
        ],
    );
    let preview = report(&place, &["diff", "board.yaml"], 0);
    assert_eq!(preview["status"], "previewed");
    assert_eq!(planner.writes().len(), 0);
    let applied = report(&place, &RUN, 0);
    assert_eq!(wanted(&applied), wanted(&preview));
    assert_eq!(applied["changes"].as_array().unwrap().len(), 6, "{applied}");
    let task = planner.task("Compare: three offers");
    assert_eq!((&task["percentComplete"], &task["priority"]), (&json!(50), &json!(3)));
    assert_eq!(task["dueDateTime"], Value::Null);
    assert_eq!(task["startDateTime"], "2026-12-01T10:00:00Z");
    assert_eq!(task["appliedCategories"], json!({ "category1": true, "category7": true }));
    assert_eq!(task["assignments"].as_object().unwrap().len(), 1);
    let path = format!("/planner/tasks/{}/details", task["id"].as_str().unwrap());
    let details = planner.get(&path);
    assert_eq!(details["description"], "One\nTwo\n");
    let items = details["checklist"].as_object().unwrap();
    assert_eq!(items.len(), 3);
    assert!(items.values().all(|it| it["isChecked"] == false));
    assert_eq!(details["references"]["https%3A//example%2Ecom/offers"]["alias"], "Offers");
    assert_eq!(planner.task("A new task")["bucketId"], planner.bucket_id("Later"));
    planner.bucket_id("Now");
    // Tasks that still say Customers mean the label that was called so.
    assert_eq!(applied["status"], "applied");
    // The same file again: nothing, also for what it has made.
    assert_eq!(report(&place, &RUN, 0)["status"], "no_changes");
    assert_eq!(report(&place, &["diff", "board.yaml"], 0)["status"], "no_changes");
    // The plan goes by its id, so its title can be edited too.
    edit(&place, &[("plan: BOS Operations\n", "plan: BOS Operations 2027\n")]);
    report(&place, &RUN, 0);
    place.run(&["plan", "get", "BOS Operations 2027"]).code(0);
}

#[test]
fn a_task_goes_to_the_bucket_it_stands_in() {
    let planner = Planner::demo();
    let place = pulled(&planner);
    let task = lines_of(&text(&place), "Label the spare laptops");
    edit(&place, &[(&format!("      {task}\n\n"), "")]);
    let yaml = text(&place);
    let (before, done) = yaml.split_once("  - name: Done\n").unwrap();
    let (head, tasks) = done.split_once("    tasks:\n").unwrap();
    let moved = format!("{before}  - name: Done\n{head}    tasks:\n      {task}\n\n{tasks}");
    place.file("board.yaml", &moved);
    let report = report(&place, &RUN, 0);
    assert_eq!(wanted(&report), [("update".to_owned(), "Label the spare laptops".to_owned())]);
    assert_eq!(planner.task("Label the spare laptops")["bucketId"], planner.bucket_id("Done"));
}

/// What others have changed since the pull stays; what both have changed is told.
#[test]
fn a_stale_file_sets_nothing_back() {
    let planner = Planner::demo();
    let place = pulled(&planner);
    let title = "Label the spare laptops";
    // The demo board moves with the calendar: a day that is typed would be the board's own one day.
    let theirs = day_in(&lines_of(&text(&place), title), "due") + 60.days();
    let script = format!(
        "let t = plan(\"{PLAN}\").task(\"{title}\"); t.due = \"{theirs}\"; t.assign(\"ana@bos.example\"); t.unassign(\"tomas@bos.example\"); t.add_checklist_item(\"Theirs\"); plan(\"{PLAN}\").create_task(#{{ title: \"Newer\", bucket: \"Inbox\" }}); plan(\"{PLAN}\").task(\"Collect ideas for the summer party\").delete();"
    );
    place.script(&script, &["--force"]).code(0);
    let task = lines_of(&text(&place), title);
    let edited = task.replace("priority: low", "priority: urgent");
    edit(&place, &[(&task, &edited)]);
    let stale = report(&place, &["diff", "board.yaml", "--prune", "--force"], 0);
    assert_eq!(wanted(&stale), [("update".to_owned(), title.to_owned())], "{stale}");
    let fields = stale["changes"][0]["fields"].as_object().unwrap();
    assert_eq!(fields.keys().collect::<Vec<_>>(), ["priority"]);
    let warnings = stale["warnings"].to_string();
    for said in [
        "2 changes on the board",
        "2 items were added to the board",
        "deleted on the board",
        "summer party",
    ] {
        assert!(warnings.contains(said), "{said}: {warnings}");
    }
    // Now the file wants another day than the board has got since, and edits what is gone.
    let pulled = day_in(&edited, "due");
    let wanted = pulled.tomorrow().unwrap();
    let due = edited.replace(&format!("due: {pulled}"), &format!("due: {wanted}"));
    edit(&place, &[(&edited, &due)]);
    let gone = lines_of(&text(&place), "Collect ideas for the summer party");
    edit(&place, &[(&gone, &format!("{gone}\n        due: 2026-12-24"))]);
    place.run(&RUN).code(4).says(&[
        "several things were changed both in the file and on the board",
        &format!("the task `{title}`, due: `{wanted}` in the file, `{theirs}` on the board"),
        "the task `Collect ideas for the summer party`, due: changed in the file, deleted",
        "delete the line",
    ]);
    assert_eq!(report(&place, &RUN, 4)["error"]["code"], "conflict");
    assert_eq!(planner.task(title)["priority"], 9);
    // To insist: without its line in the base, the task is as the file says.
    let id = planner.task(title)["id"].as_str().unwrap().to_owned();
    let yaml = text(&place);
    let insists = |line: &&str| !line.trim_start().trim_start_matches('"').starts_with(&id);
    let yaml: Vec<&str> = yaml.lines().filter(insists).collect();
    place.file("board.yaml", &yaml.join("\n"));
    edit(&place, &[(&format!("{gone}\n        due: 2026-12-24"), &gone)]);
    report(&place, &RUN, 0);
    assert_eq!(planner.task(title)["dueDateTime"], format!("{wanted}T10:00:00Z"));
}

#[test]
fn only_prune_takes_away() {
    let planner = Planner::demo();
    let place = pulled(&planner);
    let title = "Label the spare laptops";
    let task = lines_of(&text(&place), title);
    let desks = lines_of(&text(&place), "Order desks for the two new colleagues");
    let fewer = desks.replace("[Operations, People]", "[People]");
    edit(&place, &[(&format!("      {task}\n\n"), ""), (&desks, &fewer)]);
    let kept = report(&place, &RUN, 0);
    assert_eq!(kept["status"], "no_changes");
    assert!(kept["warnings"].to_string().contains(
        "2 items were removed from the file but are still on the board; `--prune` deletes them"
    ));
    let prune = [&RUN[..], &["--prune"]].concat();
    place.run(&prune).code(3).says(&["--force"]);
    assert_eq!(planner.writes().len(), 0);
    report(&place, &[&prune[..], &["--force"]].concat(), 0);
    assert!(!place.run(&["pull", PLAN]).stdout.contains(title));
    let desks = planner.task("Order desks for the two new colleagues");
    assert_eq!(desks["appliedCategories"], json!({ "category4": true }));
    // What was changed since it was taken out of the file is not deleted.
    let task = lines_of(&text(&place), "Translate the brochure for Besançon");
    edit(&place, &[(&format!("      {task}\n\n"), "")]);
    let script = format!(
        "let t = plan(\"{PLAN}\").task(\"Translate the brochure for Besançon\"); t.priority = 1;"
    );
    place.script(&script, &[]).code(0);
    let prune = [&prune[..], &["--force"]].concat();
    place.run(&prune).code(4).says(&["removed from the file, but changed on the board"]);
}

#[test]
fn a_bucket_goes_with_prune_once_nothing_is_left_in_it() {
    let planner = Planner::demo();
    let place = pulled(&planner);
    let script = format!(
        "let b = plan(\"{PLAN}\").create_bucket(\"Old\"); b.create_task(#{{ title: \"Of old\" }});"
    );
    place.script(&script, &[]).code(0);
    place.run(&["pull", PLAN, "--to", "board.yaml"]).code(0);
    let yaml = text(&place);
    let (before, rest) = yaml.split_once("\n  - name: Old\n").unwrap();
    let (section, base) = rest.split_once("\n# The state of the board").unwrap();
    let without = format!("{before}\n# The state of the board{base}");
    place.file("board.yaml", &without);
    let prune = ["run", "--from", "board.yaml", "--prune", "--force"];
    let gone = ["delete task", "delete bucket"];
    let report_of = |args: &[&str]| {
        let report = report(&place, args, 0);
        let changes = report["changes"].as_array().unwrap().clone();
        changes.iter().map(|it| format!("{} {}", it["op"], it["entity"]).replace('"', "")).collect()
    };
    let preview: Vec<String> = report_of(&[&prune[..], &["-n"]].concat());
    assert_eq!(preview, gone);
    // A task that is kept in another bucket is moved out of it first.
    let (_, task) = section.split_once("    tasks:\n").unwrap();
    let (before, after) = without.split_once("    tasks:\n").unwrap();
    place.file("board.yaml", &format!("{before}    tasks:\n{task}\n{after}"));
    let applied: Vec<String> = report_of(&prune);
    assert_eq!(applied, ["update task", "delete bucket"]);
    assert_eq!(planner.task("Of old")["bucketId"], planner.bucket_id("Inbox"));
    assert_eq!(report(&place, &prune, 0)["status"], "no_changes");
}

/// A file written by hand says what it says, no more.
#[test]
fn a_file_by_hand_is_plain_desired_state() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let yaml = format!(
        "format: 1\nplan: {PLAN}\nbuckets:\n  - name: inbox\n    tasks:\n      - title: Label the spare laptops\n        due: 2199-03-01\n        assignees: []\n      - title: By hand\n      - {{ title: With a key, key: k1 }}\n"
    );
    place.file("planwright.toml", "[policies]\nalways = []\n");
    place.file("board.yaml", &yaml);
    let first = report(&place, &RUN, 0);
    let (new, old) = ("create".to_owned(), "update".to_owned());
    assert_eq!(
        wanted(&first),
        [
            (old, "Label the spare laptops".to_owned()),
            (new.clone(), "With a key".to_owned()),
            (new, "By hand".to_owned()),
        ]
    );
    assert_eq!(
        planner.task("Label the spare laptops")["assignments"].as_object().unwrap().len(),
        1
    );
    assert_eq!(report(&place, &RUN, 0)["status"], "no_changes");
    // Completed or renamed by others: still the same tasks.
    let script = format!(
        "let p = plan(\"{PLAN}\"); let t = p.task(\"By hand\"); t.complete(); let t = p.task(\"With a key\"); t.title = \"Renamed\";"
    );
    place.script(&script, &[]).code(0);
    let again = report(&place, &RUN, 0);
    assert_eq!(wanted(&again), [("update".to_owned(), "Renamed".to_owned())]);
    // With --prune, an empty list means nobody.
    place.file("one.yaml", "format: 1\nplan: BOS Operations\ntasks:\n  - title: Label the spare laptops\n    assignees: []\n");
    let one = report(&place, &["diff", "one.yaml", "--prune", "--force"], 7);
    let laptops = one["changes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["title"] == "Label the spare laptops");
    assert_eq!(laptops.unwrap()["fields"]["assignments"]["after"], json!({}));
    assert!(one["verdicts"].to_string().contains("deletions"), "{}", one["verdicts"]);
}

#[test]
fn what_can_not_be_meant_is_refused_before_anything_is_asked() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    for (tasks, says) in [
        (
            "- title: A\n  assignee: x",
            &[
                "there is no `assignee` here",
                "did you mean `assignees`?",
                "--> board.yaml:4:3",
                "; there are `",
            ][..],
        ),
        ("- title: A\n  due: soon", &["`soon` is not a date like 2026-12-24", "--> board.yaml:4:"]),
        ("- title: A\n- title: A", &["two entries have the task title `A`", "a `key` of its own"]),
        ("- {", &["--> board.yaml:"]),
    ] {
        place.file("board.yaml", &format!("format: 1\nplan: {PLAN}\ntasks:\n{tasks}\n"));
        // The tasks begin in line 4; a field stands in the next.
        let says: Vec<String> = says.iter().map(|it| it.replace(":4:", ":5:")).collect();
        let says: Vec<&str> = says.iter().map(String::as_str).collect();
        place.run(&["diff", "board.yaml"]).code(1).says(&says);
    }
    place.file("board.yaml", "format: 2\nplan: x\n");
    place
        .run(&RUN)
        .code(1)
        .says(&["`board.yaml`: the file has format 2; this version reads format 1"]);
    assert_eq!(report(&place, &RUN, 1)["error"]["code"], "invalid");
    place.run(&["run", "--from", "nowhere.yaml"]).code(1).says(&["cannot read `nowhere.yaml`"]);
    place.run(&["run"]).code(2).says(&["nothing to run", "--from FILE"]);
    place.run(&["run", "morning_triage", "--from", "board.yaml"]).code(2);
    place.run(&["run", "morning_triage", "--prune"]).code(2);
    assert_eq!(planner.requests(), [""; 0]);
}

#[test]
fn what_is_not_on_the_board_is_said_by_name() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let twins = format!(
        "let p = plan(\"{PLAN}\"); p.create_task(#{{ title: \"Twin\" }}); p.create_task(#{{ title: \"Twin\", key: \"t\" }});"
    );
    place.file("planwright.toml", "[policies]\nalways = []\n");
    place.script(&twins, &[]).code(0);
    let id = planner.plan_id();
    planner.exchanges();
    for (tasks, says) in [
        ("- title: Twin", &["the name of 2 tasks", "name one by its id"][..]),
        (
            "- { title: A, id: nowhere }",
            &["no task with the id `nowhere` (`A` in the file)", "to create the task again"],
        ),
        ("- { title: A, assignees: [nobody@bos.example] }", &["the task `A`: there is no user"]),
        (
            "- { title: A, labels: [Finanze] }",
            &["the task `A`: the plan has no label `Finanze`", "did you mean `Finance`"],
        ),
        ("- { title: A, references: [ftp://x] }", &["the task `A`: `ftp://x` is not a link"]),
    ] {
        place.file("board.yaml", &format!("format: 1\nplan: x\nid: \"{id}\"\ntasks:\n{tasks}\n"));
        place.run(&["diff", "board.yaml"]).code(1).says(says);
    }
    place.file("board.yaml", "format: 1\nplan: BOS Operation\n");
    place.run(&RUN).code(1).says(&["there is no plan `BOS Operation`", "did you mean"]);
    assert_eq!(planner.writes().len(), 0);
}

/// The policy in force by default lets nobody touch eleven tasks at once.
#[test]
fn policies_judge_it() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let mut yaml = format!("format: 1\nplan: {PLAN}\ntasks:\n");
    for n in 1..=11 {
        writeln!(yaml, "- title: New {n}").unwrap();
    }
    place.file("board.yaml", &yaml);
    place.run(&RUN).code(7).says(&["touches 11 tasks; the limit is 10"]);
    place.run(&["diff", "board.yaml"]).code(7);
    assert_eq!(planner.writes().len(), 0);
    place.file("board.yaml", yaml.rsplit_once("- title").unwrap().0);
    place.run(&[&RUN[..], &["--out", "set.json"]].concat()).code(0);
    place.run(&["apply", "set.json"]).code(0).says(&["Applied 10 changes"]);
    place.run(&["undo", "last", "--force", "-n"]).code(0);
}

#[test]
fn a_percentage_is_written_as_it_stands_and_a_state_leaves_any_of_its_own_alone() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", "[policies]\nalways = []\n");
    let board = |progress: &str| {
        let yaml = format!(
            "format: 1\nplan: {PLAN}\ntasks:\n- {{ title: By hand, progress: {progress} }}\n"
        );
        place.file("board.yaml", &yaml);
        let status = report(&place, &RUN, 0)["status"].as_str().unwrap().to_owned();
        (status, planner.task("By hand")["percentComplete"].as_u64().unwrap())
    };
    assert_eq!(board("75"), ("applied".to_owned(), 75));
    assert_eq!(board("75"), ("no_changes".to_owned(), 75));
    assert_eq!(board("in_progress"), ("no_changes".to_owned(), 75));
    assert_eq!(board("40"), ("applied".to_owned(), 40));
    assert_eq!(board("completed"), ("applied".to_owned(), 100));
}
