//! The commands for plans, buckets, tasks and skills, through the program.

use serde_json::{Value, json};

use crate::docs::words;
use crate::support::{PLAN, Place, Planner};

fn titles(value: &Value, field: &str) -> Vec<String> {
    value.as_array().unwrap().iter().map(|it| it[field].as_str().unwrap().to_owned()).collect()
}

#[test]
fn lists_come_as_tables_json_and_tab_separated_values() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let json = place.run(&["plan", "list", "--json"]).code(0).json();
    assert_eq!(titles(&json, "title"), [PLAN, "Website Relaunch"]);
    let plain = place.run(&["plan", "list", "--plain"]).code(0).stdout;
    let id = planner.plan_id();
    assert_eq!(plain.lines().next().unwrap(), format!("{PLAN}\tBOS\t{id}"));
    let table = place.run(&["plan", "list"]).code(0).stdout;
    assert!(table.starts_with("TITLE"), "{table}");
    let buckets = place.run(&["bucket", "list", "--plan", PLAN, "--json"]).code(0).json();
    assert_eq!(titles(&buckets, "name"), ["Inbox", "This Week", "In Progress", "Done"]);
    let all = place.run(&["task", "list", "--json"]).code(0).json();
    let of_plan = place.run(&["task", "list", "--plan", PLAN, "--json"]).code(0).json();
    assert!(all.as_array().unwrap().len() > of_plan.as_array().unwrap().len());
    let overdue = ["task", "list", "--plan", PLAN, "--bucket", "Inbox", "--overdue", "--json"];
    assert_eq!(place.run(&overdue).code(0).json().as_array().unwrap().len(), 6);
    let mine = place.run(&["task", "list", "--mine", "--open", "--json"]).code(0).json();
    let me = planner.get("/me")["id"].clone();
    for task in mine.as_array().unwrap() {
        assert!(task["assignments"].as_array().unwrap().contains(&me), "{task}");
        assert_ne!(task["percentComplete"], 100);
    }
}

#[test]
fn a_task_lives_from_create_to_delete() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let create = [
        "task",
        "create",
        "Order toner",
        "--plan",
        PLAN,
        "--bucket",
        "inbox",
        "--assign",
        "me",
        "--due",
        "2031-12-24",
        "--priority",
        "urgent",
        "--label",
        "Finance",
        "--description",
        "Two boxes",
    ];
    let created = place.run(&create).code(0).says(&["+ task Order toner", "Applied 1 change"]);
    let task = planner.task("Order toner");
    assert_eq!(created.stdout.trim(), task["id"].as_str().unwrap());
    let shown = place.run(&["task", "get", "Order toner", "--json"]).code(0).json();
    assert_eq!(shown["description"], "Two boxes");
    assert_eq!(shown["dueDateTime"], "2031-12-24T10:00:00Z");
    let card = place.run(&["task", "get", task["id"].as_str().unwrap()]).code(0).stdout;
    assert!(card.contains("Two boxes") && card.contains("Finance"), "{card}");
    place
        .run(&[
            "task",
            "update",
            "Order toner",
            "--title",
            "Order ink",
            "--due",
            "none",
            "--progress",
            "in_progress",
            "--unlabel",
            "Finance",
            "--bucket",
            "This Week",
        ])
        .code(0);
    let task = planner.task("Order ink");
    assert_eq!(task["dueDateTime"], Value::Null);
    assert_eq!(task["appliedCategories"], json!({}));
    assert_eq!(task["bucketId"], json!(planner.bucket_id("This Week")));
    let again = ["task", "update", "Order ink", "--progress", "in_progress"];
    place.run(&again).code(0).says(&["Nothing to change."]);
    place.run(&["task", "complete", "Order ink"]).code(0).says(&["in progress → completed"]);
    assert_eq!(planner.task("Order ink")["percentComplete"], 100);
    place.run(&["task", "delete", "Order ink", "--dry-run", "--force"]).code(0);
    planner.task("Order ink");
    place.run(&["task", "delete", "Order ink", "--force"]).code(0);
    place.run(&["task", "get", "Order ink"]).code(1).says(&["there is no task `Order ink`"]);
}

#[test]
fn a_plan_and_its_buckets_live_from_create_to_delete() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let id = place.run(&["plan", "create", "Move", "--group", "BOS"]).code(0).stdout;
    for name in ["Plan", "Pack", "Unpack"] {
        place.run(&["bucket", "create", name, "--plan", "Move"]).code(0);
    }
    let buckets = place.run(&["bucket", "list", "--plan", id.trim(), "--json"]).code(0).json();
    assert_eq!(titles(&buckets, "name"), ["Plan", "Pack", "Unpack"]);
    place.run(&["bucket", "update", "Pack", "--name", "Box", "--plan", "Move"]).code(0);
    place.run(&["task", "create", "Boxes", "--plan", "Move", "--bucket", "Box"]).code(0);
    place.run(&["bucket", "get", "Box", "--plan", "Move"]).code(0);
    place
        .run(&["bucket", "delete", "Box", "--plan", "Move", "--force"])
        .code(0)
        .says(&["- bucket Box with 1 task"]);
    place.run(&["plan", "update", "Move", "--title", "Moved"]).code(0);
    place.run(&["plan", "delete", "Moved"]).code(3).says(&["a deletion needs --force"]);
    place.run(&["plan", "delete", "Moved", "--force"]).code(0);
    place.run(&["plan", "get", "Moved"]).code(1).says(&["there is no plan `Moved`"]);
}

#[test]
fn several_new_buckets_keep_the_order_of_the_script() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let script = r#"let p = create_plan("BOS", "Ordered");
        for name in ["One", "Two", "Three", "Four"] { p.create_bucket(name); }
        p.bucket("Three").create_task(#{ title: "In three" });"#;
    place.script(script, &[]).code(0).says(&["Applied 6 changes"]);
    let buckets = place.run(&["bucket", "list", "--plan", "Ordered", "--json"]).code(0).json();
    assert_eq!(titles(&buckets, "name"), ["One", "Two", "Three", "Four"]);
    let task = place.run(&["task", "get", "In three", "--json"]).code(0).json();
    assert_eq!(task["bucketId"], buckets[2]["id"]);
}

#[test]
fn a_plan_is_created_only_in_a_group_one_is_a_member_of() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place
        .run(&["plan", "create", "X", "--group", "Leadership"])
        .code(1)
        .says(&["there is no group `Leadership` in the groups you are a member of"]);
    place
        .run(&["plan", "create", "X", "--group", "90e4b7c3-1f5d-4a28-b6e9-4d3c2b1a0f98"])
        .code(1)
        .says(&["you are not a member of the group"]);
    assert!(planner.requests().iter().all(|it| it.starts_with("GET ")));
}

#[test]
fn the_parts_of_a_task_have_commands_of_their_own() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    const TASK: &str = "Book the room for the customer day";
    let ok = |args: &[&str]| place.run(args).code(0).says(&["Applied 1 change"]);
    ok(&["task", "assign", TASK, "me", "Mei Tanaka", "--plan", PLAN]);
    ok(&["task", "assign", TASK, "mei@bos.example", "--remove"]);
    ok(&["task", "move", TASK, "this week"]);
    ok(&["task", "label", TASK, "Finance", "IT"]);
    ok(&["task", "label", TASK, "IT", "--remove"]);
    ok(&["task", "checklist", TASK, "add", "Ask for a quote"]);
    ok(&["task", "checklist", TASK, "check", "ask for a quote"]);
    ok(&["task", "checklist", TASK, "add", "Second"]);
    ok(&["task", "checklist", TASK, "remove", "Second"]);
    ok(&["task", "reference", TASK, "add", "https://example.org/a.b", "--alias", "Room"]);
    let none = ["task", "checklist", TASK, "uncheck", "Ask for quote"];
    place.run(&none).code(1).says(&["did you mean `Ask for a quote`?"]);
    let task = place.run(&["task", "get", TASK, "--json"]).code(0).json();
    assert_eq!(task["assignments"].as_array().unwrap().len(), 1);
    let labels = task["appliedCategories"].as_array().unwrap();
    assert!(labels.contains(&json!("category2")) && !labels.contains(&json!("category5")));
    assert_eq!(task["bucketId"], json!(planner.bucket_id("This Week")));
    let items: Vec<_> = task["checklist"].as_object().unwrap().values().collect();
    assert_eq!(items, [&json!({ "title": "Ask for a quote", "isChecked": true })]);
    assert_eq!(task["references"]["https%3A//example%2Eorg/a%2Eb"]["alias"], "Room");
    ok(&["task", "reference", TASK, "remove", "https://example.org/a.b"]);
    let gone = ["task", "reference", TASK, "remove", "https://example.org/a.b"];
    place.run(&gone).code(1).says(&["there is no reference"]);
    ok(&["plan", "label", PLAN, "9", "Legal"]);
    ok(&["plan", "share", PLAN, "me", "--remove"]);
    let plan = place.run(&["plan", "get", PLAN, "--json"]).code(0).json();
    assert_eq!(plan["categoryDescriptions"]["category9"], "Legal");
}

#[test]
fn people_and_groups_are_looked_up() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let me = place.run(&["user", "get", "me", "--json"]).code(0).json();
    assert_eq!(me["userPrincipalName"], "rook@bos.example");
    let mei = place.run(&["user", "get", "mei@bos.example", "--json"]).code(0).json();
    assert_eq!(mei["displayName"], "Mei Tanaka");
    assert_eq!(place.run(&["user", "list", "--json"]).code(0).json().as_array().unwrap().len(), 6);
    let groups = place.run(&["group", "list", "--json"]).code(0).json();
    assert_eq!(titles(&groups, "displayName"), ["BOS", "Website"]);
    let one = place.run(&["group", "get", "website", "--json"]).code(0).json();
    assert_eq!(one["id"], groups[1]["id"]);
    let members = place.run(&["group", "members", "Website", "--json"]).code(0).json();
    assert_eq!(members.as_array().unwrap().len(), 3);
    place.run(&["user", "get", "nobody@bos.example"]).code(1).says(&["there is no user"]);
}

#[test]
fn skills_are_listed_and_shown_with_their_parameters() {
    let place = Place::embedded();
    let skills = place.run(&["skill", "list", "--json"]).code(0).json();
    let names = titles(&skills, "name");
    assert_eq!(names.len(), 9, "{names:?}");
    assert!(names.iter().any(|it| *it == "morning_triage"));
    let shown = place.run(&["skill", "show", "morning_triage"]).code(0).stdout;
    assert!(shown.contains("days") && shown.contains("Days overdue at least"), "{shown}");
    place.run(&["skill", "show", "morning"]).code(1).says(&["did you mean `morning_triage`?"]);
}

/// Typed one after the other, as whoever reads the help does.
#[test]
fn the_examples_in_the_help_work_on_the_demo_board() {
    let place = Place::embedded();
    for command in [
        &["task", "create"][..],
        &["task", "update"],
        &["task", "complete"],
        &["task", "label"],
        &["task", "assign"],
        &["task", "move"],
        &["task", "checklist"],
        &["plan", "create"],
        &["bucket", "list"],
        &["bucket", "get"],
        &["bucket", "create"],
        &["bucket", "update"],
        &["bucket", "move"],
        &["bucket", "delete"],
    ] {
        let help = place.run(&[command, &["--help"]].concat()).code(0).stdout;
        let examples = help.lines().filter_map(|line| line.strip_prefix("  planwright "));
        let examples: Vec<&str> = examples.collect();
        assert!(!examples.is_empty(), "{command:?}: {help}");
        for example in examples {
            let words = words(example);
            let output = place.run(&words.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(output.code, 0, "{example}: {output:?}");
        }
    }
    for command in
        [&["task", "comment"][..], &["reject"], &["schedule", "run"], &["serve", "token", "create"]]
    {
        let help = place.run(&[command, &["--help"]].concat()).code(0).stdout;
        assert!(help.contains(&format!("\n  planwright {} ", command.join(" "))), "{help}");
    }
}

#[test]
fn completions_and_help_need_no_board() {
    let place = Place::embedded();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(place.run(&["completions", shell]).code(0).stdout.contains("planwright"));
    }
    for args in [&["--help"][..], &["run", "--help"], &["task", "update", "--help"], &["--version"]]
    {
        let output = place.run(args).code(0);
        assert!(output.stdout.contains("planwright"), "{}", output.stdout);
    }
    // Nothing was set up for that.
    assert!(!place.path().join("home/.local/share/planwright").exists());
}

#[test]
fn colour_is_off_without_a_terminal_and_on_when_asked_for() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let run = |more: &[&str]| place.run(&[&["run", "morning_triage", "-n"][..], more].concat());
    assert!(!run(&[]).code(0).stderr.contains('\u{1b}'));
    assert!(run(&["--color", "always"]).code(0).stderr.contains('\u{1b}'));
    assert!(!run(&["--color", "never"]).code(0).stderr.contains('\u{1b}'));
    let mistaken = |color: &str| place.run(&["tsk", color]).code(2).stderr;
    assert!(mistaken("--color=always").contains('\u{1b}'));
    assert!(!mistaken("--color=never").contains('\u{1b}'));
}

#[test]
fn a_title_can_not_speak_to_the_terminal() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let title = "Evil \u{1b}[31m\u{202e}title\nApplied 99 changes.";
    let id = planner.task("Label the spare laptops")["id"].as_str().unwrap().to_owned();
    planner.edit("rook@bos.example", &format!("/planner/tasks/{id}"), &json!({ "title": title }));
    for args in [
        &["task", "list", "--plan", PLAN][..],
        &["task", "list", "--plan", PLAN, "--plain"],
        &["task", "get", &id],
        &["task", "complete", &id],
        &["bucket", "get", "Inbox", "--plan", PLAN],
    ] {
        let output = place.run(args);
        for text in [&output.stdout, &output.stderr] {
            let hidden =
                |ch: char| (ch.is_control() && ch != '\n' && ch != '\t') || ch == '\u{202e}';
            assert!(!text.contains(hidden), "{args:?}: {text:?}");
            assert!(!text.lines().any(|it| it.starts_with("Applied 99")), "{args:?}: {text}");
        }
    }
    // What a script wants is foreign text as well: in the diff of something new above all.
    let script = format!(
        r#"let b = plan("{PLAN}");
        let made = b.create_bucket("x\x1b[2J\nApplied 99");
        b.create_task(#{{ title: "t\nApplied 99", bucket: made, description: "d\x1b[31m\nApplied 99\r",
            checklist: ["c\nApplied 99"] }});"#
    );
    for more in [&["-n"][..], &["-n", "--color", "always"]] {
        let output = place.script(&script, more).code(0);
        assert!(!output.stderr.lines().any(|it| it.starts_with("Applied 99")), "{}", output.stderr);
        for escape in ["\u{1b}[2J", "\u{1b}[31m\n", "\r"] {
            assert!(!output.stderr.contains(escape), "{:?}", output.stderr);
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_answer_that_can_not_be_written_is_an_error() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    for args in [&["plan", "list"][..], &["plan", "list", "--json"], &["skill", "list"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = place.command(args).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("cannot write the answer"));
    }
}

/// Starts the emulator command; returns it and the address it announces.
fn emulator(place: &Place, args: &[&str]) -> (std::process::Child, String) {
    use std::io::{BufRead as _, BufReader};
    use std::process::Stdio;
    let mut child = place
        .command(&[&["emulator"], args].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    (child, first.trim().to_owned())
}

#[test]
fn the_emulator_command_serves_a_tenant_of_ones_own() {
    let place = Place::embedded();
    place.file(
        "lab.json",
        r#"{ "users": [{ "upn": "kim@lab.example", "name": "Kim Park" }],
             "groups": [{ "name": "Lab", "members": ["kim"] }],
             "plans": [{ "title": "Samples", "group": "Lab", "buckets": ["Todo"],
                         "tasks": [{ "title": "Freeze", "bucket": "Todo", "due": "-3d" }] }] }"#,
    );
    // Twice on one file: the second time there is data already.
    for _ in 0..2 {
        let (mut child, url) = emulator(&place, &["--seed", "lab.json", "--data", "lab.db"]);
        let client = Place::against_url(&url, "emulator:kim@lab.example");
        let tasks = client.run(&["task", "list", "--overdue", "--json"]).code(0).json();
        assert_eq!(titles(&tasks, "title"), ["Freeze"]);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    place.file("lab.yaml", "users:\n  - { upn: kim@lab.example, name: Kim Park }\n");
    let (mut child, url) = emulator(&place, &["--seed", "lab.yaml"]);
    let client = Place::against_url(&url, "emulator:kim@lab.example");
    assert_eq!(client.run(&["plan", "list", "--json"]).code(0).stdout.trim(), "[]");
    child.kill().unwrap();
    child.wait().unwrap();
    place.file("bad.yml", "users:\n  - upn: [\n");
    place.run(&["emulator", "--seed", "bad.yml"]).code(1).says(&[
        "`bad.yml` does not describe a tenant",
        "not valid YAML",
        "at line 2, column 10",
    ]);
    place.file("bad.json", r#"{ "plans": [{ "title": "X", "group": "Nobody" }] }"#);
    place
        .run(&["emulator", "--seed", "bad.json"])
        .code(1)
        .says(&["`bad.json` does not describe a tenant", "plans[0]"]);
    place.run(&["emulator", "--seed", "none.json"]).code(1).says(&["cannot read `none.json`"]);
}

#[test]
fn the_emulator_command_serves_what_it_announces() {
    let place = Place::embedded();
    let data = place.path().join("planner.db");
    let (mut child, url) = emulator(&place, &["--demo", "--data", "planner.db"]);
    assert!(url.starts_with("http://127.0.0.1:") && url.ends_with("/v1.0"), "{url}");
    let client = Place::against_url(&url, "emulator:mei@bos.example");
    let plans = client.run(&["plan", "list", "--json"]).code(0).json();
    assert_eq!(titles(&plans, "title"), [PLAN, "Website Relaunch"]);
    client.run(&["task", "create", "Kept", "--plan", PLAN]).code(0);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(data.exists());
}

#[test]
fn a_skill_is_exported_for_agents_that_read_skills() {
    let place = Place::embedded();
    let written = place.run(&["skill", "export", "weekly_report", "--json"]).code(0).json();
    assert_eq!(written["files"], json!(["weekly-report/SKILL.md"]));
    let text = std::fs::read_to_string(place.path().join("weekly-report/SKILL.md")).unwrap();
    assert!(text.starts_with("---\nname: weekly-report\ndescription: \""), "{text}");
    assert!(text.contains("planwright run weekly_report"), "{text}");
    place.run(&["skill", "export", "weekly_report"]).code(1).says(&["already exists"]);
    place.run(&["skill", "export", "--writing", "--out", "there"]).code(0);
    assert!(place.path().join("there/write-planwright-skills/SKILL.md").exists());
    place.run(&["skill", "export", "weekly_reprt"]).code(1).says(&["did you mean"]);
    place.run(&["skill", "export"]).code(2);
}

#[test]
fn a_limit_below_one_is_refused_by_what_is_shipped() {
    let place = Place::embedded();
    for skill in ["morning_triage", "overdue_escalation", "progress_sync"] {
        for limit in ["limit=0", "limit=-1"] {
            let output = place.run(&["run", skill, "-p", limit]);
            assert_eq!(output.code, 1, "{skill}: {}", output.stderr);
            let _ = output.says(&["at least 1"]);
        }
    }
    place.run(&["run", "weekly_report", "-p", "days=-3"]).code(1).says(&["at least 0"]);
}

#[test]
fn what_is_not_created_yet_has_no_id_to_print() {
    let place = Place::embedded();
    let script = format!("plan(\"{PLAN}\").create_task(#{{ title: \"New\", bucket: \"Inbox\" }})");
    let preview = place.script(&script, &["--dry-run"]).code(0);
    assert!(!preview.stdout.contains("new:"), "{}", preview.stdout);
    assert!(!place.script(&script, &[]).code(0).stdout.contains("new:"));
}

#[test]
fn items_of_a_checklist_are_shown_in_their_order() {
    let place = Place::embedded();
    let script = format!(
        "plan(\"{PLAN}\").create_task(#{{ title: \"New\", checklist: [\"Agenda\", \"Invite\", \"Slides\", \"Food\"] }});"
    );
    let shown = place.script(&script, &["--dry-run"]).code(0).stderr;
    let at = |item: &str| shown.find(item).unwrap_or_else(|| panic!("{item}: {shown}"));
    assert!(
        at("Agenda") < at("Invite") && at("Invite") < at("Slides") && at("Slides") < at("Food")
    );
}
