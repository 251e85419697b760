//! Attacks by class, each through the program as a whole: no process larger than 512 MiB, none that
//! ends by a signal, no more than 4 MiB of output, no more than 3 MiB in the state folder.
//!
//! `docs/reference/attacks.md` is the table of them; `PLANWRIGHT_TEST_WRITE=1` writes it anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use crate::support::{Output, Place, Planner};

/// The most memory of any process, in bytes.
const MAX_MEMORY: u64 = 512 << 20;
/// The most output.
const MAX_OUTPUT: usize = 4 << 20;
/// The most that the state folder may grow by in a run.
const MAX_STATE: u64 = 3 << 20;

/// Where a script is put.
#[derive(Clone, Copy)]
enum Where {
    Skill,
    Stdin,
    /// At the top level of a policy in force.
    Policy,
    /// At the top level of a library that a skill imports.
    Library,
    /// In a test.
    Test,
    /// At the prompt.
    Line,
}

const EVERYWHERE: [Where; 6] =
    [Where::Skill, Where::Stdin, Where::Policy, Where::Library, Where::Test, Where::Line];

/// Memory that a single operation asks for, before anything can be asked whether to go on.
const AMPLIFIERS: &[&str] = &[
    "let a = []; a = a.pad(49000, 0); let f = Fn(\"x\").curry(a); let b = []; b = b.pad(50000, f); b.len()",
    "let f = Fn(\"x\"); for i in 0..100 { f = Fn(\"x\").curry(f, f, f, f, f, f, f, f); } 1",
    "let a = []; a = a.pad(4000, 0); let f = Fn(\"x\").curry(a); let m = #{ f: f }; let b = []; b = b.pad(40000, m); b.len()",
    "let a = []; a = a.pad(40000, 0); let f = Fn(\"x\").curry(a); let b = [f, f, f, f, f, f, f, f]; for i in 0..12 { b += b; } b.len()",
    "let s = \"x\"; s = s.pad(1000000, 'x'); let f = Fn(s.sub_string(0, 9)).curry(s.split(\"\")); let b = []; b = b.pad(50000, f); b.len()",
];

/// Edits that are too large, or too many.
const EDITS: &[&str] = &[
    "for n in 0..15 { let s = \"x\"; s = s.pad(300000, 'x'); plan(\"BOS Operations\").create_task(#{ title: s }); }",
    "let t = plan(\"BOS Operations\").tasks[0]; loop { t.add_checklist_item(\"another item\"); }",
    "let t = plan(\"BOS Operations\").tasks[0]; let s = \"x\"; s = s.pad(31000, 'x'); for n in 0..200000 { t.description = s + n; }",
    "let s = \"x\"; s = s.pad(31000, 'x'); for n in 0..1900 { plan(\"BOS Operations\").create_task(#{ title: `t${n}`, description: s }); }",
    "for n in 0..200000 { plan(\"BOS Operations\").tasks[0].priority = n % 10; }",
    "for n in 0..100000 { plan(\"BOS Operations\").create_bucket(`b${n}`); }",
];

/// Words that are too many.
const FLOODS: &[&str] = &[
    "loop { warn(\"flood flood flood flood flood flood flood flood flood flood\"); }",
    "loop { print(\"flood flood flood flood flood flood flood flood flood flood\"); }",
    "let s = \"x\"; s = s.pad(1000000, 'x'); let a = []; a = a.pad(500, s); a",
    "let s = \"x\"; s = s.pad(900000, 'x'); let m = #{}; for n in 0..300 { m[`k${n}`] = s; } m",
    "let s = \"x\"; s = s.pad(1000000, 'x'); throw s",
    "let s = \"x\"; s = s.pad(1000000, 'x'); fail(s)",
];

/// Verdicts that are too many, or too long.
const VERDICTS: &[&str] = &[
    "fn review(changes, run) { loop { deny(\"no\" + rand()); } }",
    "fn review(changes, run) { let s = \"x\"; s = s.pad(900000, 'x'); for n in 0..50 { deny(s + n); } }",
    "fn review_change(change, run) { loop { print(\"flood flood flood flood flood flood flood\"); } }",
];

/// What an attacker's afternoon found, and the tests that hold it since.
const FOUND: &[(&str, &[&str])] = &[
    (
        "A few lines that take gigabytes, in a skill, policy, library, test or line",
        &["no_operation_takes_more_memory_than_there_is", "scripts_of_any_kind_end_well"],
    ),
    (
        "Refused runs and dry runs that fill the disk or the terminal",
        &[
            "edits_words_and_verdicts_have_caps",
            "a_title_over_planners_limit_never_enters_a_draft",
            "a_run_of_a_person_adds_a_few_mib_to_the_journal_and_prints_no_more",
        ],
    ),
    (
        "The token on its way through a proxy",
        &[
            "a_proxy_never_sees_what_stays_on_this_machine",
            "a_proxy_that_is_not_https_is_refused_by_name",
        ],
    ),
    (
        "A workspace, or a skill of a shipped name, planted by another user",
        &["a_workspace_that_somebody_else_can_write_is_used_only_if_it_is_trusted"],
    ),
    ("Links in circles", &["links_in_circles_and_workspaces_without_end_are_errors"]),
    (
        "Floods of remarks, results, diffs, JSON and edits of one field",
        &["edits_words_and_verdicts_have_caps", "a_long_report_says_what_it_leaves_out"],
    ),
    (
        "A commit around a policy",
        &["a_commit_is_no_way_around_a_policy", "limits_and_policies_count_over_all_of_the_run"],
    ),
    (
        "A policy or a scope shed by renaming the plan",
        &[
            "a_plan_does_not_shed_its_policies_with_its_title",
            "an_agent_keeps_the_plans_it_was_given_whatever_their_titles",
        ],
    ),
    (
        "The embedded board, by another user of the machine or a page in a browser",
        &[
            "the_embedded_planner_is_open_to_its_own_process_only",
            "the_emulator_answers_only_to_its_own_names",
        ],
    ),
    (
        "Gaps in `agent_rules`: many buckets or labels, shares, look-alike titles, people taken off",
        &[
            "what_an_agent_could_do_to_a_board_without_force_is_denied",
            "each_rule_of_the_shipped_policy_refuses_an_agent_and_asks_a_person",
        ],
    ),
    (
        "Slips of type and spelling that switch a policy off",
        &[
            "a_slip_of_a_policy_is_an_error_of_check_and_of_loading",
            "a_comparison_that_says_nothing_denies",
            "the_constants_of_a_file_are_seen_by_its_functions",
            "a_name_of_a_plan_that_stands_for_nothing_is_said",
        ],
    ),
    (
        "Answers that amplify, never end, or never come",
        &[
            "an_answer_takes_little_more_memory_than_it_has_bytes",
            "a_list_that_never_ends_is_given_up",
            "a_read_gives_up_in_well_under_a_minute",
            "the_budget_ends_and_long_waits_are_not_sat_out",
        ],
    ),
    (
        "Planted links, pipes and devices; saved sets that others can read",
        &[
            "no_link_that_was_put_in_the_way_is_followed",
            "what_is_written_of_a_board_is_its_owners_alone",
            "neither_a_pipe_nor_a_device_is_waited_for",
        ],
    ),
    (
        "Characters that a terminal obeys, and lines that pass for ours",
        &[
            "json_on_a_terminal_does_nothing_whoever_prints_it",
            "a_description_can_not_pass_for_what_we_say",
            "a_link_that_is_added_is_one_line",
        ],
    ),
    ("A reader that has gone", &["a_reader_that_has_gone_is_no_panic"]),
    (
        "A comparer that contradicts itself",
        &["a_list_is_sorted_by_what_has_an_order_or_not_at_all"],
    ),
    (
        "A state folder that others can write to",
        &["a_state_folder_that_others_can_write_is_not_used"],
    ),
    (
        "Descriptors, processes and signals of a worker; core dumps",
        &["a_worker_has_nothing_but_its_pipes", "no_core_is_dumped_with_a_token_in_it"],
    ),
    (
        "A library whose top level never ends, or is slow",
        &["the_top_level_of_a_library_has_a_budget_too"],
    ),
    (
        "Maps that grow where the engine does not look",
        &["every_hostile_script_ends_within_its_budget"],
    ),
];

/// Returns the texts of all tests below a folder.
fn tests_below(folder: &Path, all: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            tests_below(&path, all);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn what_was_found_has_its_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = String::new();
    tests_below(&root.join("tests/it"), &mut all);
    tests_below(&root.join("src"), &mut all);
    for (what, tests) in FOUND {
        assert!(!tests.is_empty(), "{what}");
        for test in *tests {
            assert!(all.contains(&format!("fn {test}() {{")), "{what}: there is no test {test}");
        }
    }
}

fn size_of(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(it) if it.is_dir() => size_of(&entry.path()),
            Ok(it) => it.len(),
            Err(_) => 0,
        })
        .sum()
}

/// Runs the program and holds it to what is promised of every run.
fn held(place: &Place, args: &[&str], stdin: &str, what: &str) -> Output {
    let state = place.path().join("home");
    let before = size_of(&state);
    let (output, peak) = place.measured(args, stdin);
    let Output { code, stdout, stderr } = &output;
    let shown: String = stderr.chars().take(600).collect();
    assert!((0..=8).contains(code), "{what}: ended with {code}\n{shown}");
    assert!(!stderr.contains("panicked"), "{what}\n{shown}");
    assert!(peak < MAX_MEMORY, "{what}: {} MiB", peak >> 20);
    let said = stdout.len() + stderr.len();
    assert!(said < MAX_OUTPUT, "{what}: {} KiB of output", said >> 10);
    let grown = size_of(&state).saturating_sub(before);
    assert!(grown < MAX_STATE, "{what}: the state folder grew by {} KiB", grown >> 10);
    output
}

/// Puts a script where it would do harm, and runs it.
fn attack(planner: &Planner, script: &str, place_of: Where) -> Output {
    let place = Place::against(planner);
    place.file("planwright.toml", "[policies]\nalways = []\n[limits]\ncomputing_seconds = 3\n");
    let edit = "let t = plan(\"BOS Operations\").tasks[0]; t.priority = 1;";
    match place_of {
        Where::Skill => {
            place.file("it.rhai", script);
            held(&place, &["run", "it.rhai", "--dry-run", "--json"], "", script)
        }
        Where::Stdin => held(&place, &["run", "-", "--dry-run"], script, script),
        Where::Policy => {
            let always = "[policies]\nalways = [\"it\"]\n[limits]\ncomputing_seconds = 3\n";
            place.file("planwright.toml", always);
            let hook = format!("{script};\nfn review(changes, run) {{ }}\n");
            place.file("scripts/policies/it.rhai", &hook);
            held(&place, &["run", "-", "--dry-run"], edit, script)
        }
        Where::Library => {
            place.file("scripts/lib/it.rhai", &format!("{script};\nfn f() {{ 1 }}\n"));
            held(&place, &["run", "-", "--dry-run"], "import \"it\" as it; it::f()", script)
        }
        Where::Test => {
            let test = format!("fn test_it() {{ {script}; }}\n");
            place.file("scripts/tests/it.rhai", &test);
            held(&place, &["test"], "", script)
        }
        Where::Line => {
            held(&place, &["repl"], &format!("{}\n1 + 1\n", script.replace('\n', " ")), script)
        }
    }
}

#[test]
fn no_operation_takes_more_memory_than_there_is() {
    let planner = Planner::demo();
    for script in AMPLIFIERS {
        for place_of in EVERYWHERE {
            let output = attack(&planner, script, place_of);
            assert_ne!(output.code, 0, "{script}\n{}", output.stderr);
            let told = format!("{}{}", output.stdout, output.stderr);
            // What the meter catches is told where, what the wall catches only that.
            let is_told = ["over its", "too much memory"];
            assert!(is_told.iter().any(|it| told.contains(it)), "{script}\n{told}");
        }
    }
    assert!(planner.writes().is_empty());
}

#[test]
fn edits_words_and_verdicts_have_caps() {
    let planner = Planner::demo();
    for script in EDITS.iter().chain(FLOODS) {
        for place_of in [Where::Skill, Where::Stdin, Where::Line] {
            attack(&planner, script, place_of);
        }
    }
    for policy in VERDICTS {
        let place = Place::against(&planner);
        place.file("planwright.toml", "[policies]\nalways = [\"it\"]\n");
        place.file("scripts/policies/it.rhai", policy);
        let script = "for t in plan(\"BOS Operations\").tasks { t.priority = 1; }";
        for form in [&["--json"][..], &[]] {
            let output = held(&place, &[&["run", "-"][..], form].concat(), script, policy);
            assert_eq!(output.code, 3, "{policy}\n{}", output.stderr);
        }
    }
    assert!(planner.writes().is_empty());
}

#[test]
fn a_title_over_planners_limit_never_enters_a_draft() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let script = "let s = \"x\"; s = s.pad(300000, 'x'); plan(\"BOS Operations\").create_task(#{ title: s });";
    place
        .script(script, &[])
        .code(1)
        .says(&["the title has 300000 characters; Planner allows 255", "stdin:1:"]);
    let caught = "let s = \"x\"; s = s.pad(300, 'x'); let t = plan(\"BOS Operations\").tasks[0];
        try { t.title = s; } catch (e) { print(e.message); } print(t.title.len() < 256);";
    let output = place.script(caught, &[]).code(0);
    assert!(output.stdout.contains("300 characters") && output.stdout.contains("true"));
}

#[test]
fn a_long_report_says_what_it_leaves_out() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file(
        "planwright.toml",
        "[policies]\nalways = []\n[limits]\nmax_changes = 2000\nedits_kib = 8_000\n",
    );
    let script = "let s = \"x\"; s = s.pad(1000, 'é'); for n in 0..1600 { plan(\"BOS Operations\").create_task(#{ title: `t${n}`, description: s, checklist: [\"a\", \"b\", \"c\", \"d\", \"e\", \"f\", \"g\", \"h\"] }); }";
    let short = place.script(script, &["--dry-run", "--json"]).code(0);
    assert!(short.stdout.len() < MAX_OUTPUT, "{}", short.stdout.len());
    let short = short.json();
    let n_shown = short["changes"].as_array().unwrap().len();
    assert_eq!(short["changes_left_out"], 1600 - n_shown);
    let whole = place.script(script, &["--dry-run", "--json", "--full"]).code(0).json();
    assert_eq!(whole["changes"].as_array().unwrap().len(), 1600);
}

/// The rights and limits of a confined worker, as Linux reports them.
#[test]
#[cfg(target_os = "linux")]
fn a_worker_has_nothing_but_its_pipes() {
    use std::io::Read as _;
    use std::process::{Command, Stdio};
    // Whoever starts it has files open, and passes them on without knowing.
    let shell = "exec 7</dev/null 8>/dev/null; exec \"$0\" worker";
    let mut command = Command::new("sh");
    command.args(["-c", shell, env!("CARGO_BIN_EXE_planwright")]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut length = [0; 4];
    let mut out = child.stdout.take().unwrap();
    out.read_exact(&mut length).unwrap();
    let mut said = vec![0; u32::from_le_bytes(length) as usize];
    out.read_exact(&mut said).unwrap();
    let said: serde_json::Value = serde_json::from_slice(&said).unwrap();
    let walls = said["Confined"].as_array().unwrap();
    assert!(walls.iter().any(|wall| wall == "memory"), "{said}");
    let proc = format!("/proc/{}", child.id());
    let status = std::fs::read_to_string(format!("{proc}/status")).unwrap();
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.trim_start_matches(':').trim().to_owned()
    };
    if walls.iter().any(|wall| wall == "system_calls") {
        assert_eq!((of("Seccomp"), of("NoNewPrivs")), ("2".to_owned(), "1".to_owned()));
    }
    let limits = std::fs::read_to_string(format!("{proc}/limits"));
    if let Ok(limits) = limits {
        let zero =
            |what: &str| limits.lines().any(|line| line.starts_with(what) && line.contains(" 0 "));
        assert!(zero("Max core file size") && zero("Max open files"), "{limits}");
    }
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

/// A program that is replaced while it runs (an update, a build) still starts what it needs.
#[test]
#[cfg(target_os = "linux")]
fn a_program_that_was_replaced_still_runs_scripts() {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("planwright");
    std::fs::copy(env!("CARGO_BIN_EXE_planwright"), &program).unwrap();
    let mut command = Command::new(&program);
    command.env_clear().env("HOME", dir.path()).current_dir(dir.path()).args(["run", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    // It waits for its script; by then its file is gone.
    std::fs::remove_file(&program).unwrap();
    child.stdin.take().unwrap().write_all(b"print(6 * 7)").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "42\n");
}

#[test]
fn the_table_of_attacks_is_what_is_tried() {
    let classes: BTreeMap<&str, (usize, &str)> = BTreeMap::from([
        (
            "Memory in one operation: function pointers, curries, containers of containers",
            (AMPLIFIERS.len() * EVERYWHERE.len(), "a limit on the memory of the script's process"),
        ),
        (
            "Edits that are too large or too many",
            (EDITS.len() * 3, "Planner's limits at recording, `edits_kib`, `max_edits`"),
        ),
        (
            "Floods of output, remarks, results and errors",
            (FLOODS.len() * 3, "caps where they are made, and on reports"),
        ),
        (
            "Verdicts that are too many or too long",
            (VERDICTS.len() * 2, "caps on verdicts; whatever goes wrong denies"),
        ),
        (
            "Loops, recursion, memory, output, other code, panics",
            (crate::sandbox::n_hostile(), "budgets of the engine, and its sandbox"),
        ),
    ]);
    let mut table = "# Attacks

What the test suite tries, in debug and release builds, and what holds. Each attempt is held to the same: no process
larger than 512 MiB, none that ends by a signal that the host did not send, no more than 4 MiB of output, no more than 3 MiB
in the state folder, and nothing written to the board. [SECURITY.md](../../SECURITY.md) has the walls.

| attack | tried | what holds |
| --- | --- | --- |
"
    .to_owned();
    for (class, (tried, holds)) in classes {
        writeln!(table, "| {class} | {tried} | {holds} |").unwrap();
    }
    table.push_str(
        "\nAnd what was found by trying, each with the tests that failed before it was mended:\n\n| what was tried | tests |\n| --- | --- |\n",
    );
    for (what, tests) in FOUND {
        let tests = tests.iter().map(|test| format!("`{test}`")).collect::<Vec<_>>().join(", ");
        writeln!(table, "| {what} | {tests} |").unwrap();
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/attacks.md");
    #[expect(clippy::disallowed_methods, reason = "whoever changes the attacks asks for it")]
    if std::env::var_os("PLANWRIGHT_TEST_WRITE").is_some() {
        std::fs::write(&file, &table).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(written, table, "PLANWRIGHT_TEST_WRITE=1 writes it anew");
}
