//! Scripts that go wrong: each ends in a clear error within its limits, and the host goes on.

use crate::support::{PLAN, Place, Planner, until};

/// Scripts that would do harm, with what they are told.
const HOSTILE: &[(&str, &str)] = &[
    ("loop { }", "over its operations budget"),
    ("while true { [1].map(|x| x) }", "over its operations budget"),
    ("loop { try { loop { } } catch { } }", "over its operations budget"),
    ("loop { try { [1].map(|x| { loop { } }) } catch { } }", "over its operations budget"),
    ("fn f(n) { f(n + 1) } f(0)", "too deeply"),
    ("fn f(n) { abs(abs(abs(abs(abs(abs(f(n - 1))))))) } f(0)", "too deeply"),
    ("let s = \"xxxxxxxxxx\"; loop { s += s; }", "over its limit"),
    ("let a = [1]; loop { a += a; }", "over its limit"),
    ("let a = []; loop { a.push(\"x\".len()); }", "over its"),
    ("let a = []; a = a.pad(1_000_000_000, 0)", "over its limit"),
    ("let s = \"a\"; s = s.pad(1_000_000_000, 'x')", "over its limit"),
    ("let s = \"a\"; for i in 0..16 { s += s; } s.replace(\"a\", s)", "over its limit"),
    (
        "let m = #{}; for i in 0..1_000_000 { m[`k${i}`] = i; }",
        "a map is over its limit of 5000 keys",
    ),
    ("let m = #{ a: [#{}] }; for i in 0..6000 { m.a[0][`k${i}`] = i; }", "a map is over its limit"),
    (
        "let m = #{}; fn f(n) { for i in 0..6000 { this[`k${i}`] = n; } } m.f(1); m",
        "a map is over its limit",
    ),
    (
        "let a = []; for i in 0..40000 { let s = \"y\"; s = s.pad(99000, 'z'); a.push(|| s.len()); }",
        "over its",
    ),
    ("let a = (); for i in 0..2000000 { let p = a; a = || p; }", "over its"),
    ("let a = []; for i in 0..100000 { a = [a]; }", "over its"),
    (
        "loop { print(\"flood flood flood flood flood flood flood flood flood\"); }",
        "over its output budget",
    ),
    ("eval(\"1\")", "`eval` is not available"),
    ("let k = \"eval(k)\"; eval(k)", "`eval` is not available"),
    ("sleep(1000)", "there is no function `sleep`"),
    ("exit(0)", "there is no function `exit`"),
    ("timestamp()", "there is no function `timestamp`"),
    ("open(\"/etc/passwd\")", "there is no function `open`"),
    ("import \"../../etc/passwd\" as x;", "cannot be imported"),
    ("import \"/etc/passwd\" as x;", "cannot be imported"),
    ("import \"nothing\" as x;", "there is no library `nothing`"),
    ("let p = \"mark\" + \"down\"; import p as x;", "was not compiled in"),
    ("const C = #{ x: 1 }; C.x = 5;", "constant"),
    (
        "let s = \"y\"; for j in 0..19 { s += s; } let a = []; for i in 0..1000 { let c = s + i; a.push(|| c.len()); }",
        "over its memory budget of 64 MiB",
    ),
    ("throw #{ message: \"made up\" }", "made up"),
    ("let f = |x| x; #{ f: f }", "is a function, not data"),
    ("0.0 / 0.0", "is not a finite number"),
    ("try { fail(\"for good\") } catch { } print(\"went on\")", "for good"),
    ("try { [1].map(|x| fail(\"for good\")) } catch { } 1", "for good"),
    ("today() + days(9223372036854775807)", "outside the calendar"),
    // Loops and recursion.
    ("do { } while true", "over its operations budget"),
    ("let x = 0; while x >= 0 { x = 1 - x; }", "over its operations budget"),
    ("for i in 0..9_223_372_036_854_775_807 { }", "over its operations budget"),
    ("fn a(n) { b(n) } fn b(n) { a(n) } a(0)", "too deeply"),
    ("let f = |g| g.call(g); f.call(f)", "too deeply"),
    ("loop { try { throw 1 } catch { continue } }", "over its operations budget"),
    ("loop { [3, 1, 2].sort(|a, b| a - b); }", "over its operations budget"),
    ("let a = []; a = a.pad(40000, 1); loop { a.reduce(|s, x| s + x, 0); }", "over its"),
    ("loop { try { [1].for_each(|| { loop { } }) } catch { } }", "over its operations budget"),
    ("loop { try { [1].filter(|x| { loop { } }) } catch { } }", "over its operations budget"),
    // Memory, in many shapes.
    ("let m = #{}; let i = 0; loop { m[`k${i % 4000}`] = `${m}`; i += 1; }", "over its"),
    ("let s = \"x\"; loop { s = `${s}${s}`; }", "over its limit"),
    ("let a = [0]; loop { a = a + a; }", "over its limit"),
    (
        "let a = []; loop { a.insert(0, \"0123456789012345678901234567890123456789\" + a.len()); }",
        "over its",
    ),
    (
        "let s = \"y\"; for j in 0..19 { s += s; } let a = []; loop { a.push(s.to_upper()); }",
        "over its",
    ),
    (
        "let s = \"y\"; for j in 0..19 { s += s; } let a = []; loop { a.push(s.split(\"\")); }",
        "over its",
    ),
    (
        "let s = \"y\"; for j in 0..19 { s += s; } let a = []; loop { a.push(s.to_chars()); }",
        "over its",
    ),
    (
        "let f = |x| x; for i in 0..100000 { let s = \"z\"; s = s.pad(9000, 'z'); f = f.curry(s); }",
        "",
    ),
    // Output.
    ("let s = \"f\"; s = s.pad(300000, 'f'); print(s);", "over its output budget"),
    (
        "loop { debug(\"flood flood flood flood flood flood flood flood flood\"); }",
        "over its output budget",
    ),
    (
        "loop { try { print(\"flood flood flood flood flood flood flood flood flood\"); } catch { } }",
        "over its output budget",
    ),
    // Other code, files, clocks, the host.
    ("Fn(\"eval\").call(\"1\")", "`eval` is a reserved word"),
    ("\"1\".eval()", ""),
    ("import \"lib/../../x\" as x;", "cannot be imported"),
    ("import \"C:\\\\x\" as x;", "cannot be imported"),
    ("import \"file:///etc/passwd\" as x;", "cannot be imported"),
    ("read_file(\"/etc/passwd\")", "there is no function `read_file`"),
    ("env(\"PLANWRIGHT_TOKEN\")", "there is no function `env`"),
    ("http_get(\"http://127.0.0.1\")", "there is no function `http_get`"),
    ("parse_json(\"{}\")", "there is no function `parse_json`"),
    ("get_fn_metadata_list()", "there is no function `get_fn_metadata_list`"),
    ("back_trace()", "there is no function `back_trace`"),
    ("blob(100)", "there is no function `blob`"),
    // Names of the host, policies, what is read only.
    ("deny(\"x\")", "there is no function `deny`"),
    ("review([], #{})", "there is no function `review`"),
    ("params = 1;", "constant"),
    ("count_today(\"task\", \"create\")", "there is no function `count_today`"),
    ("run_skill(\"morning_triage\")", "there is no function `run_skill`"),
    ("me().upn = \"x\";", ""),
    ("let p = plan(\"BOS Operations\"); p.id = \"x\";", "cannot be set"),
    ("plan(\"BOS Operations\").labels.clear()", "read-only"),
    ("today().shift(3)", ""),
    // Panics through the API.
    ("today() - days(-9223372036854775808)", "outside the calendar"),
    ("today().add_months(9223372036854775807)", "outside the calendar"),
    ("today().format(\"%\")", "is not a pattern for dates"),
    ("today().format(\"%Q%9999999999d\")", ""),
    ("today().at(\"25:61\")", "is not a time"),
    ("now().in_zone(\"../../etc/passwd\")", "is not a time zone"),
    ("rand(9, 1)", "no number from 9 to 1"),
    ("-9223372036854775808 / -1", ""),
    ("9223372036854775807 + 1", "overflow"),
    ("1 / 0", "zero"),
    ("abs(-9223372036854775808 - 0)", ""),
    ("let a = [1]; a[9223372036854775807]", ""),
    ("\"x\".sub_string(-9223372036854775808, 9223372036854775807).len() / 0", "zero"),
    ("plan(\"\\u0000\")", "there is no plan"),
    ("task(\"../../me\")", ""),
    // What generated scripts have found.
    ("fail(\"\")", "the script gave up"),
    ("throw \" \"", "the script gave up"),
    (
        "let s = \"x\"; for i in 0..19 { s += s; } for i in 0..30 { try { plan(s) } catch { } } plan(s)",
        "there is no plan",
    ),
    ("user(\"a'b/../$batch@x\")", ""),
];

/// Returns how many of them there are.
pub(crate) const fn n_hostile() -> usize {
    HOSTILE.len()
}

#[test]
fn every_hostile_script_ends_within_its_budget() {
    assert!(HOSTILE.len() >= 60);
    let planner = Planner::demo();
    let place = Place::against(&planner);
    // That there are budgets is what is tested, not that they are large.
    place.file("planwright.toml", "[limits]\noperations = 300_000\ncomputing_seconds = 3\n");
    place.file("hostile.rhai", "1");
    let (_, idle) = place.measured(&["run", "hostile.rhai"], "");
    assert!(!cfg!(target_os = "linux") || idle > 1 << 20, "{idle}");
    for (script, says) in HOSTILE {
        let (output, peak) = place.measured(&["run", "-"], script);
        assert_eq!(output.code, 1, "{script}\n{}", output.stderr);
        let _ = output.says(&["error:", says]);
        let more = peak.saturating_sub(idle) >> 20;
        assert!(more <= 400, "{more} MiB above idle: {script}");
    }
    // The host is alive, and the board as it was.
    place.script(&format!("plan(\"{PLAN}\").tasks.len()"), &[]).code(0);
    assert!(planner.requests().iter().all(|it| it.starts_with("GET ")));
}

#[test]
fn libraries_that_import_each_other_are_refused() {
    let place = Place::embedded();
    place.file("planwright.toml", "");
    place.file("scripts/lib/a.rhai", "import \"b\" as b;\nfn f() { 1 }");
    place.file("scripts/lib/b.rhai", "import \"a\" as a;\nfn g() { 2 }");
    place.file("scripts/lib/me.rhai", "import \"me\" as me;");
    place
        .script("import \"a\" as a; a::f()", &[])
        .code(1)
        .says(&["libraries import each other: a → b → a"]);
    place
        .script("import \"me\" as me;", &[])
        .code(1)
        .says(&["libraries import each other: me → me"]);
}

#[test]
fn source_that_is_too_large_or_too_deep_is_refused() {
    let place = Place::embedded();
    let large = "let x = 1;\n".repeat(7000);
    place.script(&large, &[]).code(1).says(&["larger than 65536 bytes"]);
    let deep = format!("{}1{}", "(".repeat(500), ")".repeat(500));
    place.script(&deep, &[]).code(1).says(&["nested too deeply"]);
    let nested = format!("{}1{}", "[".repeat(500), "]".repeat(500));
    place.script(&nested, &[]).code(1).says(&["nested too deeply"]);
    place.file("binary.rhai", "");
    std::fs::write(place.path().join("binary.rhai"), [0xff, 0xfe, 0x00]).unwrap();
    place.run(&["run", "binary.rhai"]).code(1).says(&["is not UTF-8 text"]);
}

/// The engine writes a property back after a method on its value; in a policy, too, that is no edit, and
/// anywhere it counts as none.
#[test]
fn a_method_on_a_property_is_no_edit() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", "[policies]\nalways = [\"it\"]\n[limits]\nmax_edits = 3\n");
    let reads = "due.format(\"%Y\") title.crop(0,2) due.next(\"friday\") due.end_of_month() \
        bucket.name.crop(0,2) plan.title.crop(0,2) priority.to_string() description.crop(0,2)";
    let reads = reads.split(' ').filter(|it| !it.is_empty()).enumerate();
    let lines: String = reads.map(|(n, it)| format!("let x{n} = it.{it};\n")).collect();
    let policy = format!(
        "fn review_change(change, run) {{ let it = change.after;\n{lines}if it.title.crop(0, 1) == \"\" {{ deny(\"no\"); }} }}"
    );
    place.file("scripts/policies/it.rhai", &policy);
    let script = format!(
        "let tasks = plan(\"{PLAN}\").tasks.filter(|t| t.due != ()); for it in tasks {{\n{lines}}}\ntasks[0].due = tasks[0].due + days(2); tasks[0].priority = tasks[0].priority;"
    );
    let report = place.script(&script, &["--dry-run", "--json"]).code(0).json();
    assert_eq!(report["changes"].as_array().unwrap().len(), 1, "{report}");
    // What does change something is still refused there.
    place.file(
        "scripts/policies/it.rhai",
        "fn review_change(change, run) { change.after.title = \"other\"; }",
    );
    let denied = place.script(&script, &["--dry-run"]).code(3);
    denied.says(&["read only here"]);
}

#[test]
fn reading_never_writes() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    // Methods that write back through a setter, or change a value in place, after a getter.
    for tail in [
        "title.split(\" \")",
        "title.len()",
        "title.to_upper()",
        "description.split(\" \")",
        "labels.len()",
        "labels.contains(\"x\")",
        "assignees.filter(|x| true)",
        "checklist.len()",
        "due.weekday",
        "bucket.name.len()",
        "plan.title.contains(\"x\")",
        "description.truncate(3)",
        "plan.title.pad(300, 'x')",
        "title.trim()",
        "title.replace(\"a\", \"b\")",
        "title.crop(0, 2)",
        "due.format(\"%Y\")",
        "due.next(\"friday\")",
        "due.add_months(1)",
        "due.start_of_week()",
        "bucket.name.crop(0, 2)",
        "plan.title.crop(0, 2)",
        "priority.to_string()",
        "description.crop(0, 2)",
        "checklist[0].title.crop(0, 2)",
        "preview_type.crop(0, 2)",
        "progress.crop(0, 2)",
    ] {
        let script = format!("plan(\"{PLAN}\").task(\"Answer the auditor's questions\").{tail}");
        let report = place.script(&script, &["--json", "-n"]);
        assert_eq!(report.code, 0, "{tail}: {}", report.stdout);
        assert_eq!(report.json()["status"], "no_changes", "{tail}");
    }
    for tail in [
        "title.clear()",
        "bucket.name.make_upper()",
        "title.make_upper()",
        "labels.push(\"x\")",
        "labels.clear()",
    ] {
        let script = format!("plan(\"{PLAN}\").task(\"Answer the auditor's questions\").{tail}");
        place.script(&script, &["-n"]).code(1).says(&["read-only"]);
    }
}

#[test]
fn an_error_of_a_script_shows_nothing_of_the_host() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    for script in [
        "throw me()",
        "throw plan(\"BOS Operations\")",
        "throw params",
        "debug(me()); throw 1",
        "print(me()); print(today())",
    ] {
        let output = place.script(script, &["--json"]);
        for secret in ["emulator:", "127.0.0.1", "Session", "Mutex", place.path().to_str().unwrap()]
        {
            assert!(!output.stdout.contains(secret), "{script}: {}", output.stdout);
        }
    }
}

#[test]
fn what_is_read_from_a_process_of_its_own_is_read_in_lists_and_batches() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("many.rhai", "let n = 0; for t in plan(\"BOS Operations\").tasks { n += t.description.len(); t.assignees; } n");
    let report = place.run(&["run", "many.rhai", "-n", "--json"]).code(0).json();
    // Me, the plans and groups, the list of tasks, and their details in batches.
    assert!(report["stats"]["requests"].as_u64().unwrap() <= 10, "{report:#}");
}

#[test]
#[cfg(unix)]
fn ctrl_c_at_a_terminal_stops_a_script_in_a_process_of_its_own() {
    use std::os::unix::process::CommandExt as _;
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file(
        "planwright.toml",
        "[limits]\noperations = 9_000_000_000\ncomputing_seconds = 600\nseconds = 600\n",
    );
    let mut command = place.command(&["run", "-"]);
    // A terminal tells everyone in the foreground.
    command.process_group(0);
    command.stdin(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let script = format!("plan(\"{PLAN}\").tasks; loop {{ }}");
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), script.as_bytes()).unwrap();
    // It has begun once it has read the tasks.
    until(|| planner.requests().iter().any(|it| it.contains("/tasks")));
    let group = format!("-{}", child.id());
    let mut kill = std::process::Command::new("kill");
    assert!(kill.args(["-INT", "--", &group]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("interrupted"), "{said}");
}

#[test]
fn a_script_in_a_process_of_its_own_ends_with_the_time() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file(
        "planwright.toml",
        "[limits]\noperations = 9_000_000_000\ncomputing_seconds = 600\nseconds = 1\n",
    );
    place.script("loop { }", &[]).code(1).says(&["over its time budget of 1 s"]);
}

#[test]
fn each_budget_has_a_name_of_its_own_and_can_be_set_for_an_agent() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file(
        "planwright.toml",
        "[policies]\nalways = []\n[limits]\nreads = 2\nmax_edits = 3\ncalls = 10\nexpression_depth = 10\noutput_kib = 1\noperations = 10_000\n[agents.rook.limits]\nreads = 100\nmax_edits = 100\ncalls = 40\nexpression_depth = 60\noutput_kib = 10\noperations = 100_000\n",
    );
    for (script, says) in [
        (
            "for t in plan(\"BOS Operations\").buckets { t.tasks; } for p in plans() { p.tasks; }",
            "over its reads budget of 2",
        ),
        (
            "for n in 0..9 { plan(\"BOS Operations\").create_bucket(`b${n}`); }",
            "over its changes budget of 3",
        ),
        ("fn f(n) { if n > 0 { f(n - 1) } } f(20)", "over the calls budget"),
        (
            "let a = [[[[[[[[[[[[[[[[1 + params.len()]]]]]]]]]]]]]]]];",
            "over its expression depth budget of 10",
        ),
        ("for n in 0..200 { print(\"0123456789\"); }", "over its output budget of 1 KiB"),
        ("for n in 0..20_000 { }", "over its operations budget of 10000"),
    ] {
        place.script(script, &["-n"]).code(1).says(&[says]);
        place.script(script, &["-n", "--as", "rook"]).code(0);
    }
}

#[test]
fn the_top_level_of_a_library_has_a_budget_too() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", "[policies]\nalways = []\n");
    for (library, says) in [
        ("loop { }", "too many operations while the library lib/slow.rhai was loaded"),
        // The engine's own count begins again in every callback, and what it ends can be caught.
        ("loop { try { [1].map(|x| { loop { } }) } catch { } }", "too many operations"),
        ("fn f() { 1 }\nwhile true { [1].map(|x| x); }", "too many operations"),
        // A few operations that take long each.
        (
            "let s = \"x\"; s = s.pad(49_000, 'x'); loop { s.split(\"\"); }",
            "too much time while the library lib/slow.rhai was loaded",
        ),
        (
            "let s = \"y\"; for j in 0..17 { s += s; } let a = []; for i in 0..2000 { let c = s + i; a.push(|| c.len()); }",
            "too much memory while the library lib/slow.rhai was loaded",
        ),
    ] {
        place.file("scripts/lib/slow.rhai", library);
        place.file("slow.rhai", "import \"slow\" as slow; 1");
        let output = place.run(&["run", "slow.rhai", "--json"]).code(1);
        let message = output.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(says), "{library}: {message}");
    }
    // What a library may do is done.
    place.file(
        "scripts/lib/slow.rhai",
        "let all = []; for n in 0..1000 { all.push(n * n); }\nconst ALL = all;\nfn of(n) { ALL[n] }",
    );
    place.script("import \"slow\" as slow; if slow::of(9) != 81 { throw 1 }", &[]).code(0);
}
