//! Everything typed or answered wrong: one clear sentence, a hint, the right code, no panic.

use serde_json::json;

use crate::support::{PLAN, Place, Planner};

#[test]
fn wrong_scripts_and_parameters_say_what_and_where() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let cases: [(&str, &[&str]); 17] = [
        (
            "plan(\"BOS Operation\")",
            &["there is no plan `BOS Operation`", "did you mean `BOS Operations`?"],
        ),
        (
            "plan(\"BOS Operations\").bucket(\"Inbx\")",
            &["no bucket `Inbx`", "did you mean `Inbox`?"],
        ),
        ("task(\"x\")", &["there is no task `x`"]),
        (
            "plan(\"BOS Operations\").task(\"Label the spare laptop\")",
            &["did you mean `Label the spare laptops`?"],
        ),
        ("date(\"2026-02-30\")", &["`2026-02-30` is not a date like 2026-12-24"]),
        ("date(\"tomorrow\")", &["`tomorrow` is not a date"]),
        ("user(\"nobody@bos.example\")", &["there is no user `nobody@bos.example`"]),
        ("today().next(\"someday\")", &["`someday` is not the name of a weekday"]),
        (
            "let t = my_tasks()[0]; t.progress = \"done\"",
            &["`done` is not a progress", "in_progress"],
        ),
        ("let t = my_tasks()[0]; t.priority = 11", &["a priority is 0 to 10 or one of urgent"]),
        ("my_tasks()[0].duedate", &["a Task has no property `duedate`", "did you mean `due`?"]),
        ("my_tasks()[0].labels.push(\"x\")", &["would change a value that is read-only"]),
        (
            "my_tasks()[0].priority = 1",
            &["cannot be assigned to", "`let it = …; it.priority = 1;`"],
        ),
        (
            "let t = my_tasks()[0]; t.percent_complete = 20.5",
            &["`percent_complete` of a Task takes int"],
        ),
        (
            "let t = my_tasks()[0]; t.labels = []",
            &["`labels` of a Task cannot be set", "use add_label"],
        ),
        ("params.days", &["there is no parameter `days`"]),
        ("let x = today() + 3", &["does not take", "Date"]),
    ];
    for (script, says) in cases {
        place.script(script, &[]).code(1).says(says).says(&["stdin:1:"]);
    }
    let requests = planner.requests();
    assert!(requests.iter().all(|it| it.starts_with("GET ")), "{requests:?}");
}

#[test]
fn an_error_on_line_12_points_at_line_12() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let mut script = "let x = 1;\n".repeat(11);
    script.push_str("  let y = plan(\"Nowhere\");\n");
    let output = place
        .script(&script, &[])
        .code(1)
        .says(&["--> stdin:12:11", "12 |   let y = plan(\"Nowhere\");"]);
    let caret = output.stderr.lines().find(|it| it.trim_end().ends_with('^')).unwrap();
    let line = output.stderr.lines().find(|it| it.starts_with("12 |")).unwrap();
    assert_eq!(line.find("plan"), caret.find('^'), "{}", output.stderr);
    let report = place.script(&script, &["--json"]).code(1).json();
    let at = &report["error"]["at"];
    assert_eq!(
        (at["file"].as_str(), at["line"].as_u64(), at["column"].as_u64()),
        (Some("stdin"), Some(12), Some(11))
    );
    // Syntax too, and in a file by its name alone.
    place.file("deep/broken.rhai", &format!("{}let y = ;\n", "let x = 1;\n".repeat(11)));
    let output = place.run(&["run", "deep/broken.rhai"]).code(1).says(&["--> broken.rhai:12:9"]);
    assert!(!output.stderr.contains(place.path().to_str().unwrap()));
}

#[test]
fn an_error_in_a_library_points_into_the_library() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", "");
    place.file("scripts/lib/deep.rhai", "fn f() {\n    plan(\"Nowhere\")\n}\n");
    let script = "import \"deep\" as d;\nlet x = [1].map(|x| d::f());\n";
    place.script(script, &[]).code(1).says(&[
        "there is no plan `Nowhere`",
        "--> lib/deep.rhai:2:5",
        "closure at stdin:2",
    ]);
}

#[test]
fn wrong_arguments_are_usage_errors() {
    let place = Place::embedded();
    for args in [
        &["bogus"][..],
        &["run"],
        &["run", "morning_triage", "-p", "days"],
        &["task", "create"],
        &["plan", "list", "--json", "--plain"],
        &["--profile", "nope", "plan", "list"],
        &["--graph-url", "http://graph.example.org/v1.0", "plan", "list"],
        &["--graph-url", "nonsense", "plan", "list"],
        &["emulator", "--addr", "nonsense"],
    ] {
        let output = place.run_with(args, "", &[("PLANWRIGHT_TOKEN", "x")]).code(2);
        let as_text = output.stderr.contains("error:") && output.stdout.is_empty();
        let as_data = args.contains(&"--json") && output.json()["error"]["code"] == "usage";
        assert!(as_text || as_data, "{args:?}: {output:?}");
    }
    let wrong = place.run(&["task", "create", "--json"]).code(2).json();
    assert!(wrong["error"]["message"].to_string().contains("<TITLE>"), "{wrong}");
    let wrong = place.run(&["taks", "--json"]).code(2).json();
    assert_eq!(wrong["error"]["code"], "usage");
    place
        .run_with(&["plan", "list"], "", &[("PLANWRIGHT_TOKEN", "ey.x.y")])
        .code(2)
        .says(&["PLANWRIGHT_TOKEN is set, but no service is named"]);
}

#[test]
fn a_slip_in_a_command_or_parameter_is_put_right() {
    let place = Place::embedded();
    for (args, says) in [
        (&["rn", "morning_triage"][..], "a similar subcommand exists: 'run'"),
        (&["tsak"], "a similar subcommand exists: 'task'"),
        (&["bucket", "updat"], "a similar subcommand exists: 'update'"),
        (&["run", "morning_triage", "limit=3"], "given as `-p limit=3`"),
        (&["run", "morning_triage", "--limit", "3"], "given as `-p limit=3`"),
    ] {
        place.run(args).code(2).says(&[says]);
    }
    let json = place.run(&["run", "morning_triage", "limit=3", "--json"]).code(2).json();
    assert!(json["error"]["hint"].as_str().unwrap().contains("-p limit=3"), "{json}");
    for help in [&["help", "--help"][..], &["help", "-h"]] {
        assert!(place.run(help).code(0).stdout.contains("Usage: planwright"), "{help:?}");
    }
    place
        .run(&["task", "update", "Label the spare laptops"])
        .code(2)
        .says(&["nothing is said that would change the task", "`--due`"]);
}

#[test]
fn a_person_nobody_knows_is_told_from_one_misspelt() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    for (name, says) in [
        ("meii", "did you mean `Mei Tanaka`?"),
        ("Ana Fereira", "did you mean `Ana Ferreira`?"),
        ("mey@bos.example", "did you mean `mei@bos.example`?"),
        ("bob", "`planwright user list` lists the people"),
        ("nobody@bos.example", "`planwright user list` lists the people"),
    ] {
        let says = [&format!("there is no user `{name}`"), says];
        place.run(&["task", "assign", "Label the spare laptops", name]).code(1).says(&says);
        place.run(&["task", "list", "--assigned-to", name]).code(1).says(&says);
    }
    assert_eq!(planner.writes().len(), 0);
}

#[test]
fn a_missing_semicolon_is_shown_where_it_belongs() {
    let place = Place::embedded();
    for (script, at, column) in [
        ("let x = 1\nlet y = 2;\n", "stdin:1:10", 10),
        ("let x = \"ä\" // why\n\n  /* and\n */\nlet y = 2;\n", "stdin:1:12", 12),
        ("fn f() {\r\n  let x = 1\r\n  x\r\n}\r\nf();", "stdin:2:12", 12),
        // On one line it stays where the engine has it.
        ("let x = 1 let y = 2;", "stdin:1:11", 11),
    ] {
        let output = place.script(script, &[]).code(1).says(&["`;` is missing here", at]);
        let caret = output.stderr.lines().find(|line| line.trim_end().ends_with('^')).unwrap();
        assert_eq!(caret.chars().count(), "1 | ".len() + column, "{}", output.stderr);
    }
}

#[test]
fn wrong_skills_and_parameters_are_input_errors() {
    let place = Place::embedded();
    let cases: [(&[&str], &[&str]); 8] = [
        (&["apply", "999"], &["`999` is neither a file nor a run", "planwright pending"]),
        (&["apply", "99999999"], &["`99999999` is neither a file nor a run", "planwright runs"]),
        (
            &["run", "mornin_triage"],
            &["there is no skill `mornin_triage`", "planwright run morning_triage"],
        ),
        (&["run", "nowhere.rhai"], &["cannot read `nowhere.rhai`"]),
        (
            &["run", "capture_action_item"],
            &["the parameter `title` (What is to be done) is missing", "-p title="],
        ),
        (
            &["run", "morning_triage", "-p", "days=two"],
            &["`days` is of type int, and `two` is not"],
        ),
        (&["run", "morning_triage", "-p", "dyas=2"], &["there is no parameter `dyas`", "days"]),
        (&["apply", "nowhere.json"], &["cannot read `nowhere.json`"]),
    ];
    for (args, says) in cases {
        place.run(args).code(1).says(says);
    }
    place.file("bad.json", "{}").file("new.json", "{\"format\": 99}");
    place.run(&["apply", "bad.json"]).code(1).says(&["`bad.json`: not a saved change set"]);
    place.run(&["apply", "new.json"]).code(1).says(&["saved in format 99"]);
}

#[test]
fn a_wrong_workspace_says_which_line() {
    let place = Place::embedded();
    place.run(&["plan", "list", "--workspace", "."]).code(1).says(&["is not a workspace"]);
    place.file("planwright.toml", "[limits]\nmax_change = 3\n");
    place.run(&["plan", "list"]).code(1).says(&[
        "there is no `max_change` here",
        "planwright.toml:2:1",
        "did you mean `max_changes`?",
    ]);
    place.file("planwright.toml", "time_zone = \"Pacific/Atlantis\"\n");
    place.run(&["plan", "list"]).code(1).says(&["`Pacific/Atlantis` is not a time zone"]);
}

#[test]
fn what_parsers_say_is_put_into_words() {
    let place = Place::embedded();
    let says = |args: &[&str], texts: &[&str]| {
        let output = place.run(args).says(texts);
        for raw in ["invalid digit", "invalid type", "missing field", "expected struct"] {
            assert!(!output.stderr.contains(raw), "{}", output.stderr);
        }
    };
    says(&["runs", "--limit", "many"], &["it is not a whole number"]);
    place.file("no.json", "{\n\"title\": 3}");
    says(
        &["plan", "import", "no.json", "--title", "x", "--group", "BOS"],
        &["`no.json`: line 2: the number 3 stands where a text belongs"],
    );
    says(&["apply", "no.json"], &["not a saved change set: line 2: "]);
    place.file("planwright.toml", "[limits]\nmax_changes = \"ten\"\n");
    says(&["plan", "list"], &["the text \"ten\" stands where a whole number belongs"]);
}

#[test]
fn a_broken_skill_does_not_hide_the_others() {
    let place = Place::embedded();
    place.file("planwright.toml", "").file("scripts/skills/good.rhai", "//! Good.");
    place.file("scripts/skills/bad.rhai", "//! ```toml\n//! [params]\n//! x = 3\n//! ```");
    let list = place.run(&["skill", "list"]).code(0).stdout;
    assert!(list.contains("broken: the TOML in the doc comment is wrong"), "{list}");
    assert!(list.contains("Good."), "{list}");
    place.run(&["run", "bad"]).code(1).says(&["skills/bad.rhai: the TOML in the doc comment"]);
}

#[cfg(unix)]
#[test]
fn a_link_out_of_the_workspace_is_refused() {
    let place = Place::embedded();
    place.file("outside.rhai", "let secret = 1;").file("ws/planwright.toml", "");
    place.file("ws/scripts/lib/keep.rhai", "");
    let link = place.path().join("ws/scripts/lib/out.rhai");
    std::os::unix::fs::symlink(place.path().join("outside.rhai"), link).unwrap();
    place
        .run(&["skill", "list", "--workspace", "ws"])
        .code(1)
        .says(&["leads out of the workspace"]);
}

#[test]
fn a_plan_with_a_name_twice_asks_which() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.run(&["plan", "create", PLAN, "--group", "Website"]).code(0);
    let output = place.script(&format!("plan(\"{PLAN}\")"), &[]).code(1);
    let says =
        output.says(&["`BOS Operations` is the name of 2 plans", "(group BOS)", "(group Website)"]);
    let id = says.stderr.split("by its id: ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    place.script(&format!("plan(\"{id}\").title"), &[]).code(0);
}

#[test]
fn no_service_no_token_and_a_wrong_token() {
    let place = Place::against_url("http://127.0.0.1:1/v1.0", "secret-canary-token");
    let output = place.run(&["plan", "list"]).code(6);
    assert!(output.stderr.contains("cannot reach http://127.0.0.1:1"), "{}", output.stderr);
    let output = place.run(&["run", "morning_triage", "--json"]).code(6);
    assert_eq!(output.json()["error"]["code"], "unavailable");
    assert_eq!(output.json()["status"], "failed");
    let planner = Planner::demo();
    let wrong = Place::against_url(&planner.url, "secret-canary-token");
    wrong.run(&["plan", "list"]).code(5).says(&["the service answered 401", "PLANWRIGHT_TOKEN"]);
    let none = Place::embedded();
    let report = none.run_with(
        &["run", "morning_triage", "--json"],
        "",
        &[("PLANWRIGHT_GRAPH_URL", planner.url.as_str())],
    );
    assert_eq!(
        (report.code, &report.json()["error"]["code"]),
        (5, &serde_json::json!("not_signed_in"))
    );
    let url = [("PLANWRIGHT_GRAPH_URL", planner.url.as_str())];
    none.run_with(&["plan", "list"], "", &url).code(5).says(&["not signed in"]);
}

#[test]
fn a_plan_of_others_is_not_permitted() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    // An id that is well formed and nobody's.
    place
        .script("plan(\"AAAAAAAAAAAAAAAAAAAAAAAAAAAA\")", &[])
        .code(1)
        .says(&["there is no plan `AAAAAAAAAAAAAAAAAAAAAAAAAAAA`"]);
}

/// Answers every request with the same bytes.
fn answering(answer: &'static [u8]) -> String {
    crate::support::answering(move |_, _| answer.to_vec())
}

#[test]
fn answers_that_are_not_graphs_are_told_as_such() {
    let cases: [(&[u8], i32, &str); 8] = [
        (b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 13\r\n\r\n<html></html>", 1, "does not answer like Microsoft Graph: got text/html"),
        (b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n", 1, "got a redirect (302)"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 1, "got an empty answer"),
        (b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n[]", 1, "cannot understand the answer to GET /me"),
        (b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 15\r\n\r\n{\"id\":\"../../\"}", 1, "cannot understand the answer"),
        (b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\n{}", 5, "the service answered 403"),
        (b"HTTP/1.1 503 Gone\r\nretry-after: 0\r\ncontent-length: 5\r\n\r\n<html", 6, "the service answered 503"),
        (b"HTTP/1.1 429 Slow\r\nretry-after: 9999\r\ncontent-length: 2\r\n\r\n{}", 6, "the service answered 429"),
    ];
    for (answer, code, says) in cases {
        let place = Place::against_url(&answering(answer), "secret-canary-token");
        place.run(&["plan", "list"]).code(code).says(&[says]);
    }
}

#[test]
fn a_truncated_answer_is_an_outage() {
    let url = answering(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{\"id\":",
    );
    let place = Place::against_url(&url, "secret-canary-token");
    place.run(&["plan", "list"]).code(6).says(&["did not arrive"]);
}

#[cfg(unix)]
#[test]
fn links_in_circles_and_workspaces_without_end_are_errors() {
    use std::os::unix::fs::symlink;
    let place = Place::embedded();
    place.file("planwright.toml", "");
    place.file("scripts/skills/one.rhai", "1");
    let skills = place.path().join("scripts/skills");
    // Two links to here are two to the power of the depth of ways to every file.
    for name in ["b", "c"] {
        symlink(".", skills.join(name)).unwrap();
    }
    place.run(&["skill", "list"]).code(1).says(&["leads in a circle"]);
    for name in ["b", "c"] {
        std::fs::remove_file(skills.join(name)).unwrap();
    }
    // Round over several folders, out of the folder of scripts.
    symlink("../..", skills.join("up")).unwrap();
    place.run(&["skill", "list"]).code(1).says(&["leads in a circle"]);
    std::fs::remove_file(skills.join("up")).unwrap();
    // One folder under two names is no circle.
    std::fs::create_dir(place.path().join("scripts/shared")).unwrap();
    place.file("scripts/shared/two.rhai", "2");
    symlink("../shared", skills.join("x")).unwrap();
    symlink("../shared", skills.join("y")).unwrap();
    let list = place.run(&["skill", "list", "--json"]).code(0).stdout;
    assert!(list.contains("x/two") && list.contains("y/two"), "{list}");
    // Links that fan out make of twelve folders more than any list holds.
    for level in 0..11 {
        let folder = place.path().join(format!("scripts/fan{level}"));
        std::fs::create_dir(&folder).unwrap();
        for n in 0..4 {
            symlink(format!("../fan{}", level + 1), folder.join(format!("l{n}"))).unwrap();
        }
    }
    place.file("scripts/fan11/end.rhai", "1");
    symlink("../fan0", skills.join("fan")).unwrap();
    place.run(&["skill", "list"]).code(1).says(&["the workspace has more than", "left out"]);
    std::fs::remove_file(skills.join("fan")).unwrap();
    // Too deep.
    place.file("scripts/skills/a/b/c/d/e/f/g/h/i/j/k/l/deep.rhai", "1");
    place.run(&["skill", "list"]).code(1).says(&["more than 12 folders in each other", "left out"]);
    std::fs::remove_dir_all(skills.join("a")).unwrap();
    // Too much in it.
    let full = "// a comment\n".repeat(5_000);
    for n in 0..270 {
        place.file(&format!("scripts/lib/full{n}.rhai"), &full);
    }
    place.run(&["skill", "list"]).code(1).says(&["more than 16777216 bytes", "scripts/lib/full"]);
}

#[cfg(unix)]
#[test]
fn a_workspace_that_somebody_else_can_write_is_used_only_if_it_is_trusted() {
    use std::os::unix::fs::{PermissionsExt as _, chown};
    let place = Place::embedded();
    let mode = |file: &str, mode: u32| {
        let path = place.path().join(file);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    place.file("planwright.toml", "[policies]\nalways = []\n");
    place.file("scripts/skills/morning_triage.rhai", "print(\"planted\");");
    place.file("scripts/policies/own.rhai", "fn review(changes, run) { }");
    place.run(&["run", "morning_triage"]).code(0);
    for (file, open, own) in [
        (".", 0o777, 0o700),
        (".", 0o1777, 0o700),
        ("planwright.toml", 0o666, 0o600),
        ("scripts", 0o777, 0o755),
        ("scripts/skills", 0o757, 0o755),
        ("scripts/skills/morning_triage.rhai", 0o606, 0o644),
    ] {
        mode(file, open);
        for ways in [&[][..], &["--workspace", "."]] {
            let run = place.run(&[&["run", "morning_triage"], ways].concat()).code(1);
            let run = run.says(&["is not used", "can be written by every user"]);
            let run = run.says(&["planwright config trust /"]);
            assert!(!run.stdout.contains("planted"), "{file}");
        }
        place.run(&["task", "list"]).code(1).says(&["is not used"]);
        mode(file, own);
    }
    mode(".", 0o777);
    place.run(&["config", "trust", "."]).code(0).says(&["Trusted: /"]);
    assert_eq!(place.run(&["run", "morning_triage"]).code(0).stdout, "planted\n");
    let list = place.run(&["config", "trust"]).code(0).stdout;
    let here = place.path().canonicalize().unwrap();
    assert_eq!(list.trim(), here.to_str().unwrap());
    place.run(&["config", "trust", "--forget", "."]).code(0);
    place.run(&["run", "morning_triage"]).code(1).says(&["is not used"]);
    assert_eq!(place.run(&["config", "trust", "--json"]).code(0).json()["trusted"], json!([]));
    mode(".", 0o700);
    // Only the administrator can give files away, as the tests here are run by now and then.
    let config = place.path().join("planwright.toml");
    if chown(&config, Some(12_345), None).is_ok() {
        place.run(&["run", "morning_triage"]).code(1).says(&["belongs to another user"]);
    }
}

#[test]
fn the_old_name_of_a_limit_is_read_with_a_warning() {
    let place = Place::embedded();
    place.file("planwright.toml", "[policies]\nalways = []\n[limits]\nwishes = 2\n");
    let script = |n: usize| {
        format!(
            "let tasks = plan(\"{PLAN}\").tasks; for n in 0..{n} {{ tasks[n].title += \"!\"; }}"
        )
    };
    let warning = "`wishes` in [limits] is called `max_edits` now";
    place.script(&script(2), &["--dry-run"]).code(0).says(&[warning]);
    place.script(&script(3), &["--dry-run"]).code(1).says(&["changes", "2"]);
    place.file("planwright.toml", "[policies]\nalways = []\n[limits]\nmax_edits = 2\n");
    let said = place.script(&script(2), &["--dry-run"]).code(0);
    assert!(!said.stderr.contains("wishes"), "{}", said.stderr);
    place.script(&script(3), &["--dry-run"]).code(1);
}
