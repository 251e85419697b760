//! What sets the program up and tells how it stands: what is shipped, new workspaces, the doctor,
//! settings, explanations, manual pages.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{PLAN, Place, Planner};

/// Finds the entry of a list whose field has a value.
fn entry<'a>(list: &'a Value, field: &str, value: &str) -> &'a Value {
    let found = list.as_array().unwrap().iter().find(|it| it[field] == value);
    found.unwrap_or_else(|| panic!("no {field} {value} in {list:#}"))
}

/// Splits a command as a shell does.
fn words(line: &str) -> Vec<String> {
    shlex::split(line).unwrap()
}

fn run_line(place: &Place, line: &str) -> crate::support::Output {
    let words = words(line.strip_prefix("planwright ").unwrap());
    place.run(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn what_is_shipped_is_in_every_workspace() {
    let place = Place::embedded();
    place.file("planwright.toml", "");
    // The skill with its library, and the policy, though nothing of it is in the folder.
    place.run(&["run", "morning_triage", "--dry-run"]).code(0);
    let foreign = ["task", "complete", "Translate the brochure for Besançon"];
    place.run(&foreign).code(7).says(&["agent_rules.rhai"]);
    // One's own libraries and skills can use it, and do not get in its way.
    place.file("scripts/lib/pick.rhai", "fn mine() { 7 }");
    place.file(
        "scripts/skills/own.rhai",
        "import \"pick\" as p;\nimport \"dates\" as d;\np::mine()",
    );
    place.run(&["run", "own"]).code(0);
    place.run(&["run", "morning_triage", "--dry-run"]).code(0);
    place.file("scripts/skills/morning_triage.rhai", "//! Ours.\nprint(\"ours\");");
    assert_eq!(place.run(&["run", "morning_triage"]).code(0).stdout, "ours\n");
    let skills = place.run(&["skill", "list", "--json"]).code(0).json();
    assert_eq!(entry(&skills, "name", "weekly_report")["source"], "shipped");
    let ours = entry(&skills, "name", "morning_triage")["source"].as_str().unwrap();
    assert!(Path::new(ours).is_file(), "{ours}");
    assert_eq!(skills[0]["name"], "morning_triage");
    let table = place.run(&["skill", "list"]).code(0).stdout;
    assert!(table.contains("scripts/skills/own.rhai") && table.contains("shipped"), "{table}");
    let policies = place.run(&["policy", "list", "--json"]).code(0).json();
    let rules = entry(&policies, "name", "agent_rules");
    assert_eq!((&rules["source"], &rules["error"]), (&json!("shipped"), &Value::Null));
    assert_eq!(rules["in_force_for"], json!(["every run"]));
    // One's own policy takes the place of a shipped one.
    place.file("scripts/policies/agent_rules.rhai", "fn review(changes, run) { deny(\"ours\"); }");
    place.run(&["task", "complete", "Check the fire extinguishers"]).code(3).says(&["ours"]);
}

#[test]
fn tests_and_checks_are_about_ones_own_files() {
    let place = Place::embedded();
    place.file("planwright.toml", "").file("scripts/skills/own.rhai", "//! Own.\n1");
    place.file(
        "scripts/tests/own.rhai",
        "fn test_it() { assert_eq(run_skill(\"own\").result, 1); }",
    );
    let played = place.run(&["test", "--coverage", "--json"]).code(0).json();
    assert_eq!(played["passed"], 1);
    let covered = played["coverage"].as_array().unwrap();
    assert_eq!(covered.len(), 1, "{covered:?}");
    let checked = place.run(&["skill", "check", "--json"]).code(0).json();
    assert_eq!(checked["scripts"].as_array().unwrap().len(), 2);
    let checked = place.run(&["policy", "check", "--json"]).code(0).json();
    assert_eq!(checked["scripts"], json!([]));
    place.run(&["policy", "check", "agent_rules"]).code(0);
}

#[test]
fn an_error_in_a_shipped_script_says_what_prints_it() {
    let place = Place::embedded();
    let wrong = ["run", "morning_triage", "-p", "plan=Nowhere", "--json"];
    let error = place.run(&wrong).code(1).json()["error"].clone();
    assert!(error["at"]["file"].as_str().unwrap().ends_with(".rhai"), "{error}");
    let hint = error["hint"].as_str().unwrap();
    let command = hint.split('`').find(|it| it.contains(" show ")).unwrap();
    let source = run_line(&place, command).code(0).stdout;
    let line = error["at"]["line"].as_u64().unwrap();
    let shown = source.lines().nth(usize::try_from(line).unwrap() - 1).unwrap();
    assert_eq!(json!(shown), error["at"]["source"]);
}

#[test]
fn the_source_of_what_is_shipped_is_printed_and_copied() {
    let place = Place::embedded();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    for (command, file) in [
        (["skill", "show", "capture_action_item"], "skills/capture_action_item.rhai"),
        (["skill", "show", "lib/dates"], "lib/dates.rhai"),
        (["policy", "show", "agent_rules"], "policies/agent_rules.rhai"),
    ] {
        let printed = place.run(&[&command[..], &["--source"]].concat()).code(0).stdout;
        assert_eq!(printed, std::fs::read_to_string(root.join(file)).unwrap(), "{file}");
    }
    let told = place.run(&["policy", "show", "agent_rules"]).code(0).stdout;
    assert!(told.contains("in force for every run"), "{told}");
    place.run(&["policy", "show", "agent_rule"]).code(1).says(&["did you mean `agent_rules`?"]);
    let copy = ["skill", "new", "our_triage", "--from", "morning_triage", "--json"];
    let made = place.run(&copy).code(0).json();
    assert_eq!(made["files"], json!(["planwright.toml", "scripts/skills/our_triage.rhai"]));
    place.run(&["skill", "check", "our_triage", "--strict"]).code(0);
    place.run(&["run", "our_triage", "--dry-run"]).code(0);
    place.run(&copy).code(1).says(&[]);
    place.run(&["skill", "new", "x", "--from", "morning_triag"]).code(1).says(&["did you mean"]);
}

#[test]
fn the_command_that_a_skill_suggests_works() {
    let place = Place::embedded();
    let skills = place.run(&["skill", "list", "--json"]).code(0).json();
    for skill in skills.as_array().unwrap() {
        let shown = place.run(&["skill", "show", skill["name"].as_str().unwrap()]).code(0).stdout;
        let command = shown.lines().last().unwrap();
        assert!(command.ends_with(" --dry-run"), "{command}");
        // Whatever comes of it, the line itself is complete.
        let output = run_line(&place, command);
        assert!(!output.stderr.contains("is missing"), "{command}: {}", output.stderr);
    }
    let shown = place.run(&["skill", "show", "capture_action_item"]).code(0).stdout;
    let command = shown.lines().last().unwrap();
    assert_eq!(command, "planwright run capture_action_item -p 'title=…' --dry-run");
    run_line(&place, command).code(0);
}

#[test]
fn a_new_policy_is_checked_and_tested_at_once() {
    let place = Place::embedded();
    let made = place.run(&["policy", "new", "small_steps"]).code(0).says(&["policy check"]);
    assert!(made.stdout.contains("scripts/policies/small_steps.rhai"), "{}", made.stdout);
    place.run(&["policy", "check", "--strict"]).code(0);
    place.run(&["skill", "check", "--strict"]).code(0);
    let played = place.run(&["test", "--json"]).code(0).json();
    assert_eq!((&played["ok"], &played["passed"]), (&json!(true), &json!(2)));
    place.run(&["policy", "new", "small_steps"]).code(1).says(&["already exists"]);
    place.run(&["policy", "new", "Small"]).code(2).says(&["lower-case letters"]);
    place.run(&["policy", "new", "other", "--as", "rook"]).code(3).says(&["for people"]);
}

#[test]
fn a_workspace_is_made_and_everything_in_it_works() {
    let place = Place::embedded();
    let made = place.run(&["init", "new place", "--json"]).code(0).json();
    assert_eq!(made["files"].as_array().unwrap().len(), 3);
    assert_eq!(made["next"][0], "cd 'new place'");
    for folder in ["skills", "policies", "lib", "tests"] {
        assert!(place.path().join("new place/scripts").join(folder).is_dir(), "{folder}");
    }
    let there = ["--workspace", "new place"];
    for line in made["next"].as_array().unwrap().iter().skip(1) {
        let words = words(line.as_str().unwrap().strip_prefix("planwright ").unwrap());
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        place.run(&[&words[..], &there].concat()).code(0);
    }
    place.run(&[&["skill", "check", "--strict"][..], &there].concat()).code(0);
    // Every setting that is shown can be taken as it stands.
    let text = std::fs::read_to_string(place.path().join("new place/planwright.toml")).unwrap();
    let setting = |line: &str| {
        let name = line.split(" = ").next().unwrap_or_default();
        line.starts_with('[') || name.chars().all(|it| it.is_ascii_lowercase() || it == '_')
    };
    let all: Vec<&str> = text
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(shown) if shown.starts_with('[') || shown.contains(" = ") && setting(shown) => {
                shown
            }
            _ => line,
        })
        .collect();
    assert!(all.len() > 20 && all.contains(&"[agents.rook]"), "{all:?}");
    place.file("new place/planwright.toml", &all.join("\n"));
    let agents = place.run(&[&["agent", "list", "--json"][..], &there].concat()).code(0).json();
    assert_eq!(agents[0]["name"], "rook");
    place.run(&["init", "new place"]).code(1).says(&["is a workspace already"]);
    place.file("half/scripts/skills/due_soon.rhai", "1");
    place.run(&["init", "half"]).code(1).says(&["already exists", "nothing was written"]);
    assert!(!place.path().join("half/planwright.toml").exists());
    place.run(&["init", "--as", "rook"]).code(3).says(&["for people"]);
}

#[test]
fn the_doctor_finds_nothing_wrong_where_all_is_well() {
    let place = Place::embedded();
    let told = place.run(&["doctor", "--json"]).code(0).json();
    assert_eq!(told["ok"], true);
    let service = entry(&told["findings"], "check", "service");
    assert_eq!((&service["status"], &service["remedy"]), (&json!("ok"), &Value::Null));
    // Nothing was set up for that.
    assert!(!place.path().join("home/.local/share/planwright").exists());
    place.run(&["run", "morning_triage"]).code(0);
    let told = place.run(&["doctor", "--json"]).code(0).json();
    for check in ["version", "workspace", "scripts", "policies", "sandbox", "state", "journal"] {
        entry(&told["findings"], "check", check);
    }
    let service = entry(&told["findings"], "check", "service");
    assert!(service["message"].as_str().unwrap().contains("rook@bos.example"), "{service}");
    assert_eq!(entry(&told["findings"], "check", "clock")["status"], "ok");
    let text = place.run(&["doctor"]).code(0).says(&["0 problems"]).stdout;
    assert!(text.contains("in force: agent_rules"), "{text}");
}

#[test]
fn the_doctor_names_what_will_fail_and_its_remedy() {
    let problem = |place: &Place, check: &str| {
        let told = place.run(&["doctor", "--json"]).code(1).json();
        assert_eq!(told["ok"], false);
        let findings = told["findings"].as_array().unwrap();
        let found = findings.iter().find(|it| it["check"] == check && it["status"] == "problem");
        let found = found.unwrap_or_else(|| panic!("no problem of {check} in {told:#}"));
        assert!(found["remedy"].is_string(), "{found}");
        format!("{} {}", found["message"], found["remedy"])
    };
    let place = Place::embedded();
    place.file("planwright.toml", "[limits]\nmax_change = 3\n");
    assert!(problem(&place, "workspace").contains("planwright.toml"));
    place.file("planwright.toml", "[policies]\nalways = [\"gone\"]\n");
    assert!(problem(&place, "policies").contains("planwright policy check"));
    place.file("planwright.toml", "");
    place.file("scripts/skills/odd.rhai", "let x = ;");
    assert!(problem(&place, "scripts").contains("skills/odd.rhai:1"));
    std::fs::remove_file(place.path().join("scripts/skills/odd.rhai")).unwrap();
    place.file("home/.local/share/planwright/journal.db", "no journal at all, but a text");
    assert!(problem(&place, "journal").contains("not a journal"));
    let planner = Planner::demo();
    let place = Place::against_url(&planner.url, "emulator:nobody@bos.example");
    assert!(problem(&place, "service").contains("PLANWRIGHT_TOKEN"));
    // Names that stand for nothing.
    let place = Place::against(&planner);
    place.file(
        "planwright.toml",
        "[agents.rook]\nplans = [\"Gone\", \"BOS Operations\"]\nskills = [\"ad\"]\nprofile = \"x\"\ninbox = [\"mei\"]\n",
    );
    let told = place.run(&["doctor"]).code(1).stdout;
    for text in [
        "no plan `Gone`",
        "no skill `ad`",
        "the profile `x`, which does not exist",
        "no agent `mei`",
    ] {
        assert!(told.contains(text), "{text}: {told}");
    }
    assert!(!told.contains("no plan `BOS"), "{told}");
    place.file("planwright.toml", "[agents.rook]\npolicies = [\"nope\"]\n");
    assert!(problem(&place, "agents").contains("no policy `nope`"));
    // A policy that is switched off is only a warning.
    let place = Place::against(&planner);
    place.file("planwright.toml", "[policies]\nalways = []\n");
    let told = place.run(&["doctor", "--json"]).code(0).json();
    assert_eq!(entry(&told["findings"], "check", "policies")["status"], "warning");
}

#[test]
fn settings_are_shown_with_where_they_come_from() {
    let place = Place::embedded();
    let config = "[limits]\nmax_changes = 3\n[agents.rook]\nplans = [\"A.B\"]\n";
    place.file("planwright.toml", config);
    let show = ["config", "show", "--json", "--beta"];
    let env = [("PLANWRIGHT_STATE_DIR", "kept")];
    let told = place.run_with(&show, "", &env).code(0).json();
    let of = |name: &str| {
        let setting = entry(&told, "setting", name);
        (setting["value"].clone(), setting["origin"].as_str().unwrap().to_owned())
    };
    let file = of("limits.max_changes");
    assert_eq!(file.0, 3);
    assert!(file.1.ends_with("planwright.toml"), "{}", file.1);
    assert_eq!(of("limits.max_deletes"), (json!(10), "default".to_owned()));
    assert_eq!(of("state_dir"), (json!("kept"), "environment".to_owned()));
    assert_eq!(of("beta"), (json!(true), "flag".to_owned()));
    assert_eq!(of("policies.always"), (json!(["agent_rules"]), "default".to_owned()));
    assert_eq!(of("agents.rook.plans").0, json!(["A.B"]));
    assert_eq!(of("planner.checklist_items").0, 20);
    assert_eq!(of("token").0, "not set");
    let text = place.run(&["config", "show"]).code(0).stdout;
    assert!(text.contains("limits.max_changes") && !text.contains("default\n"), "{text}");
    let text = place.run(&["config", "show", "--origin"]).code(0).stdout;
    assert!(text.contains("default\n"), "{text}");
    // The token itself is never shown, as every test of the program checks.
    let planner = Planner::demo();
    Place::against(&planner).run(&["config", "show"]).code(0);
    place.run(&["config", "show", "--as", "rook"]).code(3).says(&["for people"]);
}

/// Collects the texts that follow a mark, if they can be codes.
fn after(text: &str, mark: &str, found: &mut Vec<String>) {
    for tail in text.split(mark).skip(1) {
        let Some(tail) = tail.trim_start().strip_prefix('"') else { continue };
        let code = tail.split('"').next().unwrap_or_default();
        if !code.is_empty() && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
            found.push(code.to_owned());
        }
    }
}

/// Collects the error codes in the sources below a folder.
fn codes_in(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        // The emulator has the codes of Graph.
        if path.is_dir() && name != "emulator" && name != "tests" {
            codes_in(&path, found);
        } else if name.ends_with(".rs") && name != "tests.rs" {
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            for mark in
                ["AppError::new(", "code: ", "from_error(", "named(&error,", "failed(", "told("]
            {
                after(code, mark, found);
            }
            // A function that gives the codes of an error.
            for body in code.split("fn code(&self) -> &'static str {").skip(1) {
                after(body.split("\n    }\n").next().unwrap(), "=>", found);
            }
        }
    }
}

#[test]
fn every_error_code_is_explained() {
    let place = Place::embedded();
    let told = place.run(&["explain", "--json"]).code(0).json();
    let explained: Vec<&str> =
        told.as_array().unwrap().iter().map(|it| it["code"].as_str().unwrap()).collect();
    assert!(explained.is_sorted(), "{explained:?}");
    let mut found = Vec::new();
    codes_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.len() > 100, "{found:?}");
    found.extend(["script", "syntax"].map(str::to_owned));
    let missing: Vec<_> = found.iter().filter(|it| !explained.contains(&it.as_str())).collect();
    assert!(missing.is_empty(), "not explained in explain/codes.rs: {missing:?}");
    let idle: Vec<_> =
        explained.iter().filter(|it| !found.iter().any(|code| code == *it)).collect();
    assert!(idle.is_empty(), "explained, and never given: {idle:?}");
}

#[test]
fn codes_and_numbers_are_explained() {
    let place = Place::embedded();
    let text = place.run(&["explain", "not_signed_in"]).code(0).stdout;
    assert!(text.contains("Why: ") && text.contains("PLANWRIGHT_TOKEN"), "{text}");
    place.run(&["explain", "in-doubt"]).code(0);
    place
        .run(&["explain", "conflct"])
        .code(1)
        .says(&["did you mean `planwright explain conflict`?"]);
    let exit = place.run(&["explain", "3", "--json"]).code(0).json();
    assert_eq!((&exit["exit_code"], &exit["name"]), (&json!(3), &json!("denied")));
    assert!(place.run(&["explain", "412"]).code(0).stdout.contains("ETag"));
    place.run(&["explain", "99"]).code(1).says(&["exit-codes"]);
    // The same exit codes as the reference.
    let all = place.run(&["explain", "exit-codes", "--json"]).code(0).json();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/commands.md");
    let reference = std::fs::read_to_string(path).unwrap();
    let section = reference.split("## Exit codes").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let listed: Vec<u64> =
        section.lines().filter_map(|line| line.split('|').nth(1)?.trim().parse().ok()).collect();
    let told: Vec<u64> =
        all.as_array().unwrap().iter().map(|it| it["exit_code"].as_u64().unwrap()).collect();
    assert_eq!(told, listed);
}

#[test]
fn agents_are_listed_with_what_they_may_do() {
    let place = Place::embedded();
    place.run(&["agent", "list"]).code(0).says(&["any name acts under the shipped rules"]);
    assert_eq!(place.run(&["agent", "list", "--json"]).code(0).json(), json!([]));
    place.file(
        "planwright.toml",
        "[agents.rook]\nplans = [\"Team\"]\npolicies = [\"office_hours\"]\nmay_apply = false\n[agents.rook.limits]\nmax_changes = 5\n",
    );
    let rook = place.run(&["agent", "list", "--json"]).code(0).json()[0].clone();
    assert_eq!(rook["plans"], json!(["Team"]));
    assert_eq!(rook["policies"], json!(["agent_rules", "office_hours"]));
    assert_eq!((&rook["may_apply"], &rook["limits"]["max_changes"]), (&json!(false), &json!(5)));
    let table = place.run(&["agent", "list"]).code(0).stdout;
    assert!(table.contains("preview only") && table.contains("5 changes"), "{table}");
    place.run(&["agent", "list", "--as", "rook"]).code(3).says(&["for people"]);
}

#[test]
fn there_is_a_manual_page_for_each_command() {
    let place = Place::embedded();
    let page = place.run(&["man"]).code(0).stdout;
    assert!(page.contains(".TH planwright 1") && page.contains("PLANWRIGHT_STATE_DIR"), "{page}");
    let written = place.run(&["man", "--out", "pages", "--json"]).code(0).json();
    let files = written["files"].as_array().unwrap();
    for name in ["planwright.1", "planwright-run.1", "planwright-task-create.1"] {
        assert!(files.contains(&json!(name)), "{files:?}");
        assert!(place.path().join("pages").join(name).is_file(), "{name}");
    }
    assert!(!files.contains(&json!("planwright-worker.1")));
}

#[test]
fn the_short_help_leaves_out_what_is_rarely_needed() {
    let place = Place::embedded();
    let short = place.run(&["run", "-h"]).code(0).stdout;
    assert!(short.contains("Global options:") && short.contains("--as <AGENT>"), "{short}");
    assert!(!short.contains("--state-dir") && !short.contains("--color"), "{short}");
    let long = place.run(&["run", "--help"]).code(0).stdout;
    let global = long.split("Global options:").nth(1).unwrap();
    for option in ["--state-dir", "--color", "--graph-url", "--workspace", "--profile"] {
        assert!(global.contains(option), "{option}: {long}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_run_that_cannot_be_reported_keeps_its_code() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let into_nothing = |args: &[&str]| {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = place.command(args).stdout(full).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).contains("cannot write the answer");
        assert!(said, "{args:?}");
        output.status.code()
    };
    let create = ["task", "create", "Order toner", "--plan", PLAN, "--json"];
    assert_eq!(into_nothing(&create), Some(0));
    planner.task("Order toner");
    // What is held is held.
    assert_eq!(into_nothing(&create), Some(7));
    assert_eq!(into_nothing(&["undo", "last", "--force", "--json"]), Some(0));
    assert_eq!(into_nothing(&["task", "list", "--plan", PLAN]), Some(1));
    assert_eq!(into_nothing(&["doctor"]), Some(1));
    // What waits for a person, what is submitted and who is paused is no other matter.
    let pending = place.run(&["pending", "--json"]).code(0).json()[0]["id"].to_string();
    let pending = pending.trim_matches('"');
    assert_eq!(into_nothing(&["reject", pending, "--reason", "no", "--json"]), Some(0));
    assert_eq!(into_nothing(&["agent", "pause", "rook", "--json"]), Some(0));
    let submitted = ["submit", "capture_action_item", "-p", "title=x", "--json"];
    assert_eq!(into_nothing(&submitted), Some(0));
    assert_eq!(into_nothing(&["work", "--once", "--json"]), Some(0));
}
