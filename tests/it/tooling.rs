//! What people write scripts with: the reference, new skills, checks, tests, explanations.

use serde_json::{Value, json};

use crate::support::{PLAN, Place, Planner, on_one_day};

/// The most that a model reads of the API at once: about 3,500 tokens.
const SHORT: usize = 14_000;

#[test]
fn the_short_reference_is_short_and_names_every_member() {
    let place = Place::embedded();
    let short = place.run(&["api"]).code(0).stdout;
    assert!(short.len() < SHORT, "{} bytes", short.len());
    let all = place.run(&["api", "--json"]).code(0).json();
    for member in all["members"].as_array().unwrap() {
        let name = member["name"].as_str().unwrap();
        let is_shown = member["skills"] == true && member["form"] != "operator";
        if is_shown {
            let follows = |at: usize| {
                let rest = short.get(at + name.len()..).unwrap_or_default();
                rest.starts_with(['(', '*', ':', ','])
            };
            let found = short.match_indices(name).any(|(at, _)| follows(at));
            assert!(found, "{name} is missing");
        }
    }
    for says in [
        "title*: text",
        "create_task(#{ title, bucket, assign, due",
        "slice(from: int, to?: int): text",
        "replace(find: text, with: text): text",
        "is_overdue(days?: int): bool",
        "sort(by?: function)",
        "[params]",
    ] {
        assert!(short.contains(says), "{says} is missing:\n{short}");
    }
}

#[test]
fn the_reference_is_what_the_program_prints() {
    let place = Place::embedded();
    let printed = place.run(&["api", "--all"]).code(0).stdout;
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/api.md");
    let kept = std::fs::read_to_string(path).unwrap();
    assert!(kept == printed, "run `planwright api --all > docs/reference/api.md`");
}

#[test]
fn the_reference_tells_one_type_one_name_and_what_is_near() {
    let place = Place::embedded();
    let task = place.run(&["api", "task"]).code(0).stdout;
    assert!(task.contains("| `assign(user: any)` |") && !task.contains("## Plan"), "{task}");
    let data = place.run(&["api", "Task.due", "--json"]).code(0).json();
    assert_eq!(data["members"][0]["settable"], "any");
    assert_eq!(data["members"][0]["returns"], "Date?");
    let rhai = place.run(&["api", "--format", "rhai"]).code(0).stdout;
    assert!(rhai.contains("\nfn get title(task: Task) -> string;\n"), "{rhai}");
    place.run(&["api", "asign"]).code(1).says(&["scripts have no `asign`", "assign"]);
}

#[test]
fn a_new_skill_can_be_checked_tested_and_run_at_once() {
    let place = Place::embedded();
    let made = place.run(&["skill", "new", "due_soon"]).code(0);
    assert!(made.stdout.contains("scripts/skills/due_soon.rhai"), "{}", made.stdout);
    place.run(&["skill", "check", "--strict"]).code(0);
    let tests = place.run(&["test", "--json"]).code(0).json();
    assert_eq!((&tests["ok"], &tests["passed"]), (&json!(true), &json!(2)));
    place.run(&["run", "due_soon", "--dry-run"]).code(0);
    // What its page says.
    let page = std::fs::read_to_string(place.path().join("docs/skills/due_soon.md")).unwrap();
    for line in page.lines().filter_map(|it| it.strip_prefix("$ planwright ")) {
        let command = line.split('#').next().unwrap();
        if !command.contains("My plan") {
            let words: Vec<&str> = command.split_whitespace().collect();
            place.run(&words).code(0);
        }
    }
    place.run(&["skill", "new", "due_soon"]).code(1).says(&["already exists"]);
    place.run(&["skill", "new", "Due Soon"]).code(2).says(&["lower-case letters"]);
    // What the program has is there, too.
    place.run(&["run", "morning_triage", "--dry-run"]).code(0);
    place.run(&["run", "due_son"]).code(1).says(&["did you mean `planwright run due_soon`?"]);
    // In the workspace that is there now, nothing but the skill is made.
    let second = place.run(&["skill", "new", "other"]).code(0);
    assert_eq!(second.stdout.lines().count(), 3, "{}", second.stdout);
}

#[test]
fn a_folder_of_scripts_becomes_a_workspace_and_keeps_its_policy() {
    let place = Place::embedded();
    let policy = place.path().join("scripts/policies/agent_rules.rhai");
    std::fs::create_dir_all(policy.parent().unwrap()).unwrap();
    let own = "fn review(changes, run) { }";
    std::fs::write(&policy, own).unwrap();
    let made = place.run(&["skill", "new", "due_soon"]).code(0);
    assert!(!made.stdout.contains("agent_rules"), "{}", made.stdout);
    assert_eq!(std::fs::read_to_string(&policy).unwrap(), own);
    place.run(&["run", "due_soon", "--dry-run"]).code(0);
}

#[test]
fn the_parameters_of_a_skill_are_named_to_whoever_misspells_one() {
    let place = Place::embedded();
    let wrong = ["run", "capture_action_item", "-p", "title=x", "-p", "nope=1"];
    place.run(&wrong).code(1).says(&["no parameter `nope`", "department", "title"]);
}

#[test]
fn the_help_of_run_shows_what_the_skill_takes() {
    let place = Place::embedded();
    let help = place.run(&["run", "morning_triage", "--help"]).code(0).stdout;
    assert!(help.contains("Days overdue at least") && help.contains("--dry-run"), "{help}");
    let help = place.run(&["run", "--help"]).code(0).stdout;
    assert!(!help.contains("Days overdue"), "{help}");
}

/// The findings of a script as `line: message`.
fn findings(place: &Place, script: &str) -> Vec<String> {
    place.file("checked.rhai", script);
    let told = place.run(&["skill", "check", "checked.rhai", "--json"]).json();
    let all = told["scripts"][0]["findings"].as_array().unwrap();
    all.iter()
        .map(|it| format!("{}: {}", it["at"]["line"], it["message"].as_str().unwrap()))
        .collect()
}

#[test]
fn a_check_finds_what_would_fail() {
    let place = Place::embedded();
    for (script, finding) in [
        ("let b = plan(\"x\");\nprint(b.titel);", "2: a Plan has no property `titel`"),
        ("for t in plan(\"x\").tasks {\n  t.asign(me());\n}", "2: a Task has no function `asign`"),
        ("plan(\"x\").tasks.filter(|t| t.dew == ())", "1: a Task has no property `dew`"),
        (
            "let n = 3;\nplan(\"x\").tasks.filter(|t| t.priorty > n)",
            "2: a Task has no property `priorty`",
        ),
        ("plan(\"x\").bucket(\"y\").tasks[0].titl", "1: a Task has no property `titl`"),
        (
            "let t = plan(\"x\").task(\"y\");\nt.labels = [\"z\"];",
            "2: `labels` of a Task cannot be set",
        ),
        ("plan(3)", "1: `plan` takes text here, not an int"),
        ("plan(\"x\").bucket()", "1: `bucket` does not take 0 arguments"),
        ("plann(\"x\")", "1: there is no function `plann`"),
        ("deny(\"no\")", "1: a skill cannot call `deny`"),
        (
            "import \"markdown\" as md;\nmd::cel(1)",
            "2: the library `markdown` has no function `cel` with 1 parameter",
        ),
        ("import \"markdown\" as md;\n1", "1: nothing of the library `markdown` is used (as `md`)"),
        ("let x = 1;\n2", "1: the variable `x` is not used"),
        ("let x = 1;\nlet x = x + 1;\nprint(x);", "2: `x` is already declared and hidden here"),
        (
            "fn plans() { 1 }\nplans()",
            "1: the function `plans` hides one of the host's or the language's",
        ),
        ("fn f() { 1 }\n2", "1: the function `f` is not called"),
        (
            "//! X.\n//!\n//! ```toml\n//! [params]\n//! days = { type = \"int\", default = 1 }\n//! ```\nparams.dyas",
            "7: there is no parameter `dyas`",
        ),
        (
            "//! X.\n//!\n//! ```toml\n//! [params]\n//! days = { type = \"int\", default = 1 }\n//! ```\n1",
            "5: the parameter `days` is declared and not used",
        ),
        ("let x = ;", "1: `;` cannot stand here"),
    ] {
        let found = findings(&place, script);
        assert!(found.iter().any(|it| it.starts_with(finding)), "{script}\n{found:?}");
    }
}

#[test]
fn a_check_lets_through_what_is_right() {
    let place = Place::embedded();
    for script in [
        "let counts = #{ a: 1 }; counts.b = 2; counts.a += 1; print(counts.whatever);",
        "fn add(a, b) { a + b }\nadd(1, 2)",
        "let tasks = []; for p in plans() { for t in p.tasks { tasks.push(t); } } tasks[0].title",
        "let names = plan(\"x\").members.map(|u| u.name); names.len()",
        "let t = plan(\"x\").task(\"y\"); t.title += \"!\"; t.due = today() + days(3);",
        "try { plan(\"x\") } catch (e) { print(e.message); }",
        "let late = my_tasks().filter(|t| t.is_overdue(2)); late.sort(|a, b| a.priority - b.priority);",
        "let s = switch today().weekday { \"monday\" => 1, _ => 2 }; s",
        "let b = plan(\"x\"); assign(b.task(\"y\"), me());",
        "let d = date(\"2026-12-24\") - today(); print(d + 1);",
        "let d = plan(\"x\").task(\"y\").due ?? \"none\"; print(d.to_upper());",
        "let all = [plan(\"x\").task(\"y\")]; all.push(plan(\"x\").bucket(\"z\")); print(all[1].name);",
    ] {
        assert_eq!(findings(&place, script), Vec::<String>::new(), "{script}");
    }
}

const POLICY: &str = r#"//! New tasks are few, and agents keep to their own.
fn review(changes, run) {
    if count_today("task", "create") + changes.creates.len() > 2 {
        deny("two new tasks a day");
    }
}
fn review_change(change, run) {
    if change.op != "create" && change.entity == "task" && change.created_by_agent != run.agent {
        deny(`not made by ${run.agent}, but by ${change.created_by_agent}`);
    }
}
"#;

#[test]
fn policies_can_count_the_day_and_know_who_made_what() {
    on_one_day(|| {
        let planner = Planner::demo();
        let place = Place::against(&planner);
        place.file("scripts/policies/own.rhai", POLICY);
        place.file("planwright.toml", "[policies]\nalways = []\n[agents.rook]\npolicies = [\"own\"]\n[agents.mei]\npolicies = [\"own\"]\n");
        let create = |title: &str, agent: &str| {
            let script = format!("plan(\"{PLAN}\").create_task(#{{ title: \"{title}\" }})");
            place.script(&script, &["--as", agent, "--json"])
        };
        let rename = |title: &str, agent: &str| {
            let script = format!("let t = plan(\"{PLAN}\").task(\"{title}\"); t.title += \"!\";");
            place.script(&script, &["--as", agent, "--json"])
        };
        create("one", "rook").code(0);
        create("two", "rook").code(0);
        let third = create("three", "rook").code(3).json();
        assert_eq!(third["verdicts"][0]["reason"], "two new tasks a day");
        // Another agent has a day of its own.
        create("three", "mei").code(0);
        rename("one", "rook").code(0);
        let other = rename("three", "rook").code(3).json();
        assert_eq!(other["verdicts"][0]["reason"], "not made by rook, but by mei");
        let elsewhere = rename("Negotiate the parcel rates", "rook").code(3).json();
        assert_eq!(elsewhere["verdicts"][0]["reason"], "not made by rook, but by ");
        let explained = place.run(&["policy", "explain", "last", "--json"]).code(0).json();
        let verdict = &explained["rounds"][0]["verdicts"][0];
        assert_eq!(verdict["at"]["line"], 9);
        assert!(explained["policies"]["own.rhai"].as_str().unwrap().starts_with("sha256:"));
        place.run(&["policy", "explain", "last"]).code(0);
    });
}

#[test]
fn a_policy_of_a_plan_judges_what_touches_it() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("scripts/policies/quiet.rhai", "fn review(changes, run) { deny(\"hands off\"); }");
    let config = |plan: &str| {
        format!("[policies]\nalways = []\n[plans.\"{plan}\"]\npolicies = [\"quiet\"]\n")
    };
    let script = format!("plan(\"{PLAN}\").create_task(#{{ title: \"x\" }})");
    place.file("planwright.toml", &config(PLAN));
    place.script(&script, &[]).code(3).says(&["hands off"]);
    place.file("planwright.toml", &config(&planner.plan_id()));
    place.script(&script, &["-n"]).code(3).says(&["hands off"]);
    // It is known by the title that it has, whatever a run makes of that.
    let rename = format!("let p = plan(\"{PLAN}\"); p.title = \"Mine\";");
    place.file("planwright.toml", &config(PLAN));
    place.script(&rename, &["-n"]).code(3).says(&["hands off"]);
    // Titles are found whatever their case and the spaces around them.
    place.file("planwright.toml", &config(" bos operations "));
    place.script(&script, &["-n"]).code(3).says(&["hands off"]);
    place.file("planwright.toml", &config("Another"));
    place.script(&script, &[]).code(0);
    let listed = place.run(&["policy", "list", "--json"]).code(0).json();
    assert_eq!(listed[0]["in_force_for"], json!(["plan Another"]));
}

#[test]
fn policies_are_checked_and_listed_with_what_is_wrong() {
    let place = Place::embedded();
    place.file("planwright.toml", "[policies]\nalways = [\"good\", \"gone\"]\n");
    place.file(
        "scripts/policies/good.rhai",
        "fn review(changes, run) { if changes.len() > 3 { deny(\"x\"); } }",
    );
    place.file("scripts/policies/odd.rhai", "fn review(changes) { }");
    place.file(
        "scripts/policies/typo.rhai",
        "fn review_change(change, run) { if change.befor == () { deny(\"x\"); } }",
    );
    let list = place.run(&["policy", "list"]).code(0).stdout;
    assert!(list.contains("gone") && list.contains("in force but missing"), "{list}");
    place.run(&["policy", "check", "good"]).code(0);
    place.run(&["policy", "check", "odd"]).code(1).says(&["`review` must take two parameters"]);
    place
        .run(&["policy", "check", "typo"])
        .code(1)
        .says(&["a Change has no property `befor`", "before"]);
    place.run(&["policy", "check"]).code(1).says(&["in force but missing"]);
    place.run(&["policy", "check", "goof"]).code(1).says(&["there is no policy `goof`"]);
}

#[test]
fn a_test_that_fails_says_where_and_what_differs() {
    let place = Place::embedded();
    place.file("planwright.toml", "[policies]\nalways = []\n");
    place.file(
        "scripts/tests/odd.rhai",
        "fn test_differs() {\n  print(\"looking\");\n  assert_eq([1, 2], [1, 3]);\n}\nfn test_denied() {\n  board(#{ title: \"B\", tasks: [\"x\".len()] });\n}\nfn test_fine() {\n  let b = board(#{ title: \"B\", tasks: [#{ title: \"t\" }] });\n  run_script(\"plan(`B`).task(`t`).delete()\");\n  assert_denied(\"R1\");\n  run_script(\"plan(`B`).task(`t`).delete()\", #{ force: true });\n  assert_status(\"applied\");\n  assert_eq(b.tasks.len(), 0);\n}\n",
    );
    let output = place.run(&["test", "--junit", "report.xml"]).code(1);
    assert!(output.stdout.contains("1 test passed, 2 failed"), "{}", output.stdout);
    let output =
        output.says(&["tests/odd.rhai:3:3", "-   3", "+   2", "looking", "a task is a map"]);
    drop(output);
    let report = std::fs::read_to_string(place.path().join("report.xml")).unwrap();
    assert!(report.contains("tests=\"3\" failures=\"2\""), "{report}");
    let told = place.run(&["test", "odd::fine", "--json"]).code(0).json();
    assert_eq!(told["tests"].as_array().map(Vec::len), Some(1));
    place.run(&["test", "od"]).code(1).says(&["there is no test file `od`", "odd"]);
}

#[test]
fn coverage_tells_the_lines_that_no_test_has_run() {
    let place = Place::embedded();
    place.file("planwright.toml", "[policies]\nalways = []\n");
    place.file("scripts/lib/odd.rhai", "fn is_odd(n) {\n  let rest = n % 2;\n  rest == 1\n}\n");
    place.file(
        "scripts/skills/odd.rhai",
        "import \"odd\" as o;\nif o::is_odd(today().day) {\n  print(\"odd\");\n} else {\n  print(\"even\");\n}\n",
    );
    place.file("scripts/skills/idle.rhai", "print(1);\nprint(2);\n");
    place.file(
        "scripts/tests/odd.rhai",
        "fn test_odd() { at(\"2026-03-27 09:00\"); run_skill(\"odd\"); assert_output(\"odd\"); }",
    );
    let told = place.run(&["test", "--coverage", "--json"]).code(0).json();
    let missing = |file: &str| {
        let all = told["coverage"].as_array().unwrap();
        all.iter().find(|it| it["file"] == file).unwrap()["missing"].clone()
    };
    assert_eq!(missing("skills/odd.rhai"), json!([5]));
    assert_eq!(missing("lib/odd.rhai"), json!([]));
    assert_eq!(missing("skills/idle.rhai"), json!([1, 2]));
    let shown = place.run(&["test", "--coverage"]).code(0).stdout;
    assert!(shown.contains("0 %") && shown.contains("1-2"), "{shown}");
}

#[test]
fn a_test_can_have_somebody_else_come_between() {
    let place = Place::embedded();
    place.file("planwright.toml", "[policies]\nalways = []\n");
    place.file(
        "scripts/tests/between.rhai",
        r#"
fn test_replayed() {
    let b = board(#{ title: "B", tasks: [#{ title: "t", description: "a" }] });
    conflict_on(b.task("t"), #{ description: "b", priority: "urgent" });
    let run = run_script("let t = plan(`B`).task(`t`); t.description += `!`;");
    assert_status("applied");
    assert_eq(run.stats.replays, 1);
    assert_eq(b.task("t").description, "b!");
}
fn test_decided_anew_before_validation() {
    let b = board(#{ title: "B", tasks: [#{ title: "t", assignees: ["rook"] }] });
    let t = b.task("t");
    conflict_on(t, #{ title: "stop" });
    let run = run_script("let t = my_tasks()[0]; t.priority = if t.title == `stop` { 1 } else { 9 };");
    assert_status("applied");
    assert_eq(run.stats.replays, 1);
    assert_eq([t.title, t.priority], ["stop", 1]);
}
fn test_too_late_for_a_decision() {
    let b = board(#{ title: "B", tasks: [#{ title: "t", assignees: ["rook"] }] });
    let t = b.task("t");
    conflict_at_write(t, #{ title: "stop" });
    let script = "let t = my_tasks()[0]; t.priority = if t.title == `stop` { 1 } else { 9 };";
    let run = run_script(script);
    // Nobody wrote the title but somebody else: both edits stand.
    assert_eq(run.stats.replays, 0);
    assert_eq([t.title, t.priority], ["stop", 9]);
    // What is written itself is noticed at the last moment, too.
    conflict_at_write(t, #{ priority: "important" });
    let run = run_script("let t = my_tasks()[0]; if t.priority > 3 { t.priority = 5; t.description = `late` }");
    assert_eq(run.stats.replays, 1);
    assert_eq([t.priority, t.description], [3, ""]);
}
fn test_what_somebody_else_did_is_done_once() {
    let b = board(#{ title: "B", tasks: [#{ title: "t" }, #{ title: "u" }] });
    conflict_at_write(b.task("t"));
    run_script("let t = plan(`B`).task(`t`); t.priority = 1;");
    let t = b.task("t (changed by somebody else)");
    t.title = "t";
    conflict_at_write(b.task("u"));
    run_script("let t = plan(`B`).task(`t`); t.priority = 9;");
    assert_eq(b.task("t").priority, 9);
}
fn test_a_dry_run_is_left_alone() {
    let b = board(#{ title: "B", tasks: [#{ title: "t" }] });
    conflict_on(b.task("t"));
    run_script("let t = plan(`B`).task(`t`); t.priority = 1;", #{ dry_run: true });
    assert_eq(b.task("t").title, "t");
    let run = run_script("let t = plan(`B`).task(`t`); t.priority = 1;");
    assert_error("there is no task `t`");
}
fn test_a_commit_is_drafted_too() {
    let b = board(#{ title: "B", tasks: [#{ title: "t", assignees: ["rook"] }] });
    let t = b.task("t");
    conflict_on(t, #{ title: "theirs" });
    run_script("let t = my_tasks()[0]; t.priority = if t.title == `t` { 9 } else { 1 }; commit(); t.description = t.title;");
    // The script went on from there: it cannot be run again.
    assert_status("conflict");
    assert_eq([t.title, t.priority], ["theirs", 5]);
}
fn test_moves_with_the_clock() {
    at("2026-12-31 23:30", "Pacific/Auckland");
    assert_eq(today().format("%Y-%m-%d"), "2026-12-31");
    let b = board(#{ title: "B", tasks: [#{ title: "t", due: "2026-12-31" }] });
    assert(!b.task("t").is_overdue());
    at("2027-01-01 00:30", "Pacific/Auckland");
    assert(b.task("t").is_overdue());
    let run = run_script("today().format(`%Y`)");
    assert_eq(run.result, "2027");
}
fn test_writes_of_its_own() {
    let b = board(#{ title: "B", tasks: [#{ title: "t" }] });
    let t = b.task("t");
    t.title = "u";
    run_script("plan(`B`).task(`u`).complete()");
    assert_changes(["u"]);
    as_user("mei");
    run_script("me().upn");
}
"#,
    );
    place.run(&["test"]).code(0);
}

#[test]
fn random_numbers_are_the_same_when_a_run_is_run_again() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let task = planner.task("Negotiate the parcel rates")["id"].as_str().unwrap().to_owned();
    let mut edited = false;
    planner.on_request(move |emulator, exchange| {
        if !edited && crate::support::is_write(exchange) {
            edited = true;
            let path = format!("/planner/tasks/{task}");
            crate::support::edit(emulator, "mei@bos.example", &path, &json!({ "title": "Moved" }));
        }
    });
    let script = format!(
        "let n = [rand(1, 1000000), rand(1, 1000000)]; let t = plan(\"{PLAN}\").tasks.find(|t| t.title == \"Moved\" || t.title == \"Negotiate the parcel rates\"); t.title += \"!\"; print(n[0] == n[1]); n"
    );
    place.file("planwright.toml", "[policies]\nalways = []\n");
    let report = place.script(&script, &["--json"]).code(0).json();
    assert_eq!(report["stats"]["replays"], 1);
    let other = place.script("[rand(1, 1000000), rand(1, 1000000)]", &["--json"]).code(0).json();
    assert_ne!(report["result"], other["result"], "each run has a seed of its own");
    let fine = |it: &Value| it.as_i64().is_some_and(|it| (1..=1_000_000).contains(&it));
    assert!(report["result"].as_array().unwrap().iter().all(fine));
    place.script("rand(3, 2)", &[]).code(1).says(&["no number from 3 to 2"]);
    place.script("let x = rand(); x >= 0.0 && x < 1.0", &[]).code(0);
}

/// A program that goes on, whose output is read while it does.
#[cfg(unix)]
struct Going {
    child: std::process::Child,
    lines: std::io::Lines<std::io::BufReader<std::process::ChildStdout>>,
}

#[cfg(unix)]
impl Going {
    fn start(place: &Place, args: &[&str]) -> Self {
        use std::io::BufRead as _;
        use std::process::Stdio;
        let mut command = place.command(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Reads up to the summary of a run; returns it with what stood above it.
    fn run(&mut self) -> String {
        let mut told = String::new();
        for line in &mut self.lines {
            let line = line.unwrap();
            told.push_str(&line);
            told.push('\n');
            if line.contains(" passed") {
                return told;
            }
        }
        panic!("it has ended: {told}");
    }

    fn interrupt(mut self) -> i32 {
        let mut kill = std::process::Command::new("kill");
        assert!(kill.args(["-INT", &self.child.id().to_string()]).status().unwrap().success());
        self.child.wait().unwrap().code().unwrap()
    }
}

#[cfg(unix)]
impl Drop for Going {
    fn drop(&mut self) {
        // If the test has failed.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[cfg(unix)]
#[test]
fn tests_run_again_when_something_changes() {
    let place = Place::embedded();
    place.file("planwright.toml", "[policies]\nalways = []\n");
    place.file("scripts/skills/count.rhai", "plans().len()");
    let test = |n: usize| format!("fn test_n() {{ assert_eq(run_skill(\"count\").result, {n}); }}");
    place.file("scripts/tests/count.rhai", &test(0));
    let mut going = Going::start(&place, &["test", "--watch", "scripts/tests/count.rhai"]);
    assert!(going.run().contains("1 test passed"));
    // The skill, the test, a test of another file, a library that is broken.
    place.file("scripts/skills/count.rhai", "plans().len() + 1");
    let told = going.run();
    assert!(told.contains("changed: skills/count.rhai"), "{told}");
    assert!(told.contains("FAILED count::test_n") && told.contains("1 failed"), "{told}");
    place.file("scripts/tests/count.rhai", &test(1));
    let told = going.run();
    assert!(told.contains("changed: tests/count.rhai"), "{told}");
    assert!(told.contains("1 test passed"), "{told}");
    place.file("scripts/tests/count.rhai", "fn test_n() {\n  let x = ;\n}");
    assert!(going.run().contains("1 failed"));
    assert_eq!(going.interrupt(), 1, "as the last run");
}

#[test]
fn what_can_not_be_watched_is_refused() {
    let place = Place::embedded();
    place.run(&["test", "--watch"]).code(2).says(&["there is nothing to watch", "--workspace"]);
    place.file("planwright.toml", "");
    place.file("scripts/tests/a.rhai", "fn test_a() {}");
    let json = place.run(&["test", "--watch", "--json"]).code(2);
    assert_eq!(json.json()["error"]["code"], "usage");
    place.run(&["test", "--watch", "--junit", "x.xml"]).code(2).says(&["--junit"]);
    place.run(&["test", "--watch", "b"]).code(1).says(&["there is no test file `b`"]);
}
