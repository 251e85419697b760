//! Comparing in scripts: what cannot be compared is an error with its place, never silently false.

use serde_json::json;

use crate::support::{PLAN, Place, Planner};

const TASK: &str = "Book the room for the customer day";

fn on_task(expression: &str) -> String {
    format!("let b = plan(\"{PLAN}\"); let t = b.task(\"{TASK}\");\n{expression}")
}

#[test]
fn what_has_no_order_or_equality_is_an_error_with_its_place() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    for (expression, says) in [
        ("t.percent_complete < \"50\"", "`<` cannot compare a whole number with text"),
        ("t.percent_complete == \"50\"", "`==` cannot compare a whole number with text"),
        ("\"50\" != t.percent_complete", "`!=` cannot compare text with a whole number"),
        ("t.is_completed == 1", "`==` cannot compare true or false with a whole number"),
        ("t.due > 3", "`>` cannot compare a Date with a whole number"),
        ("t.due < \"soon\"", "a Date is compared with a text like \"2026-12-24\", not \"soon\""),
        ("t.start < today()", "`<` cannot compare nothing with a Date"),
        ("t == \"Book\"", "a title is `task.title`"),
        ("t.bucket == 3", "`==` cannot compare a Bucket with a whole number"),
        ("t.bucket < \"Inbox\"", "`<` cannot compare a Bucket with text"),
        ("t.bucket == b", "`==` cannot compare a Bucket with a Plan"),
        ("me() == \"rook\"", "a User is compared with another User or an e-mail"),
        ("days(3) == 3", "`==` cannot compare a number of days with a whole number"),
        ("[1] == 1", "`==` cannot compare an array with a whole number"),
        ("#{} < #{}", "`<` cannot compare a map with a map"),
        // Inside of lists and maps, and where a list is asked for something.
        ("[1, \"2\"] == [1, 2]", "`==` cannot compare text with a whole number"),
        ("#{ a: 1 } == #{ a: \"1\" }", "`==` cannot compare a whole number with text"),
        ("t.priority in [\"5\"]", "`==` cannot compare text with a whole number"),
        ("[t].contains(\"Book\")", "`==` cannot compare a Task with text"),
        ("[t].index_of(\"Book\")", "`==` cannot compare a Task with text"),
        // A closure, what it captures, and a function.
        ("let n = \"9\"; b.tasks.filter(|it| it.priority < n)", "cannot compare a whole number"),
        ("let n = 9; let f = || n; n == \"9\"", "`==` cannot compare a whole number with text"),
    ] {
        let failed = place.script(&on_task(expression), &["--dry-run", "--json"]).code(1).json();
        let message = failed["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains(says), "{expression}: {message}");
        assert_eq!(failed["error"]["at"]["line"], 2, "{expression}: {failed:#}");
    }
}

#[test]
fn what_can_be_compared_is() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    for expression in [
        // Anything with nothing, for equality only.
        "() == () && 1 != () && () != \"a\" && t != () && t.bucket != () && t.due != () && [] != ()",
        "t.start == () && !(t.start != ()) && #{} != () && days(1) != () && me() != () && true != ()",
        "1 < 2 && 2 >= 2 && 1 == 1.0 && 0.1 + 0.2 == 0.3 && 1.5 > 1 && -1 < 0 && 2 != 3",
        "\"a\" < \"b\" && \"a\" == 'a' && 'a' <= \"b\" && \"ab\" != 'a' && true > false && 'a' != 'b'",
        "[1, [2]] == [1, [2]] && [1] != [1, 2] && #{ a: [1] } == #{ a: [1] } && #{} != #{ a: 1 }",
        "t.due > \"2020-01-01\" && \"2020-01-01\" < t.due && t.due == t.due.format(\"%Y-%m-%d\")",
        "today() <= today() && today() != today() + days(1) && days(2) > days(1) && days(2) == days(2)",
        "me() == \"rook@bos.example\" && \"ROOK@bos.example\" == me() && me() != \"mei@bos.example\"",
        "me() == me().id && user(\"mei@bos.example\") != me()",
        "t.bucket == \"Inbox\" && t.bucket == \" inbox \" && t.bucket != \"Done\" && t.bucket == t.bucket.id",
        "t.bucket in [\"Done\", \"Inbox\"] && !(t.bucket in [\"Done\"]) && t.bucket == b.bucket(\"Inbox\")",
        "t.plan == \"BOS Operations\" && t.plan == b && t.plan == b.id && t.plan != \"Website Relaunch\"",
        "t == task(t.id) && b.tasks.contains(t) && t in b.tasks && b.tasks.index_of(t) >= 0",
        "me() in b.members && \"rook@bos.example\" in b.members.map(|it| it.upn) && b.group == b.group",
        "let n = 1; let f = || n; n == 1 && f.call() == n",
        "t.checklist == t.checklist",
        // As tightly bound as ever.
        "1 + 1 == 2 && 2 > 1 == true && !(1 == 2) && 1 < 2 + 1 && (1 == 1) != (1 == 2)",
        "let x = 5; x == -5 * -1 && switch x { 5 if x > 4 => true, _ => false }",
    ] {
        let ran = place.script(&on_task(expression), &["--dry-run", "--json"]).code(0).json();
        assert_eq!(ran["result"], json!(true), "{expression}");
    }
}

#[test]
fn a_comparison_that_says_nothing_denies() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", "[policies]\nalways = [\"house\"]\n");
    let change = on_task("t.due = \"2029-12-24\"; t.priority = 1;");
    let judged = |policy: &str| {
        place.file("scripts/policies/house.rhai", policy);
        place.script(&change, &["--dry-run", "--json"]).json()
    };
    for (condition, says) in [
        ("change.after.percent_complete < \"50\"", "cannot compare a whole number with text"),
        ("change.after.due < 2030", "cannot compare a Date with a whole number"),
        ("run.actor == \"rook\"", "a User is compared with another User or an e-mail"),
        ("change.before.start < \"2030-01-01\"", "cannot compare nothing with text"),
    ] {
        let policy =
            format!("fn review_change(change, run) {{ if {condition} {{ warn(\"x\"); }} }}");
        let report = judged(&policy);
        assert_eq!(report["status"], "denied", "{condition}: {report:#}");
        let reason = report["verdicts"][0]["reason"].as_str().unwrap();
        assert!(reason.contains(says), "{condition}: {reason}");
    }
    for condition in [
        "change.after.due < \"2030-01-01\"",
        "change.before.bucket == \"Inbox\"",
        "run.actor == \"rook@bos.example\"",
        "change.plan == \"BOS Operations\"",
    ] {
        let policy =
            format!("fn review_change(change, run) {{ if {condition} {{ deny(\"x\"); }} }}");
        let report = judged(&policy);
        assert_eq!(report["verdicts"][0]["reason"], "x", "{condition}: {report:#}");
    }
}

#[test]
fn the_constants_of_a_file_are_seen_by_its_functions() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let constants = "const LIMIT = 2;\nconst WORDS = [\"due\", \"priority\"];\n";
    place.file("planwright.toml", "[policies]\nalways = [\"house\"]\n");
    place.file(
        "scripts/policies/house.rhai",
        &format!(
            "{constants}fn review(changes, run) {{ let n = changes.tasks.filter(|it| it.fields.len() >= LIMIT && WORDS.all(|word| it.sets(word))).len(); warn(`${{n}} of ${{LIMIT + inner()}}`); }}\nprivate fn inner() {{ let LIMIT_2 = LIMIT; LIMIT_2 + global::LIMIT }}"
        ),
    );
    let report = place
        .script(&on_task("t.due = \"2029-12-24\"; t.priority = 1;"), &["--dry-run", "--json"])
        .code(0)
        .json();
    assert_eq!(report["verdicts"][0]["reason"], "1 of 6", "{report:#}");
    // The same for skills and libraries; each file has its own, and what is nearer wins.
    place.file("planwright.toml", "[policies]\nalways = []\n");
    place.file(
        "scripts/lib/own.rhai",
        "const LIMIT = 10;\nfn limit() { [1, 20].filter(|n| n > LIMIT).len() + LIMIT }",
    );
    let script = "import \"own\" as own;\nconst LIMIT = 3;\nfn mine() { LIMIT }\nfn given(LIMIT) { LIMIT }\nfn inner() { let LIMIT = 5; LIMIT }\n[mine(), own::limit(), given(4), inner()]";
    let report = place.script(script, &["--dry-run", "--json"]).code(0).json();
    assert_eq!(report["result"], json!([3, 11, 4, 5]), "{report:#}");
    // A variable stays outside, and the hint can be followed.
    place
        .script("let limit = 3;\nfn mine() { limit }\nmine()", &["--dry-run"])
        .code(1)
        .says(&["there is no variable `limit`", "make it a `const`"]);
}

#[test]
fn a_slip_of_a_policy_is_an_error_of_check_and_of_loading() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", "[policies]\nalways = [\"house\"]\n");
    let change = on_task("t.priority = 1;");
    let on_change = |condition: &str| {
        format!("fn review_change(change, run) {{\n  if {condition} {{ deny(\"x\"); }}\n}}")
    };
    let cases = [
        (on_change("change.op == \"delte\""), "it is never `delte`", "delete"),
        (on_change("\"tasks\" != change.entity"), "it is never `tasks`", "task"),
        (on_change("change.op in [\"update\", \"remove\"]"), "it is never `remove`", "create"),
        (on_change("switch change.op { \"delte\" => true, _ => false }"), "never matches", "delete"),
        (on_change("run.purpose == \"redo\""), "it is never `redo`", "undo"),
        (on_change("change.sets(\"deu\")"), "there is no field `deu`", ""),
        (on_change("change.task.progress == \"done\""), "it is never `done`", "completed"),
        (on_change("today().weekday == \"Monday\""), "it is never `Monday`", "monday"),
        (on_change("change.n == \"1\""), "`==` cannot compare an int with text", ""),
        (on_change("today() < \"24.12.2029\""), "`24.12.2029` is not a date", "2026-12-24"),
        (on_change("change.task < change.task"), "cannot compare a Task with a Task", "no order"),
        (on_change("switch run.actor { \"rook\" => true, _ => false }"), "is ever a User", "name"),
        // A list of words, and the list of fields.
        (on_change("change.fields.contains(\"dueDateTime\")"), "it is never `dueDateTime`", "due"),
        (on_change("\"deu\" in change.fields"), "it is never `deu`", "due"),
        (on_change("[\"update\", \"remove\"].contains(change.op)"), "it is never `remove`", ""),
        (
            "const GONE = [\"delte\"];\nfn review_change(change, run) { if change.op in GONE { deny(\"x\"); } }".to_owned(),
            "it is never `delte`",
            "delete",
        ),
        (
            "const GONE = \"delte\";\nfn review_change(change, run) { if change.op == GONE { deny(\"x\"); } }".to_owned(),
            "it is never `delte`",
            "delete",
        ),
        (
            "fn review_change(change, run) { let gone = [\"delte\"]; if gone.contains(change.op) { deny(\"x\"); } }".to_owned(),
            "it is never `delte`",
            "delete",
        ),
        (
            on_change("[\"delte\", \"update\"].some(|op| op == change.op)"),
            "it is never `delte`",
            "delete",
        ),
        (
            "fn review_change(change, run) { for op in [\"delte\"] { if op == change.op { deny(\"x\"); } } }".to_owned(),
            "it is never `delte`",
            "delete",
        ),
        (on_change("[\"creat\"].includes(change.op)"), "it is never `creat`", "create"),
        (on_change("as_read(change.task.title) == \"Inbox\""), "is never `Inbox`", "as_read("),
        (on_change("change.after.due.weekday == \"Wednesday\""), "it is never `Wednesday`", "wednesday"),
        // What is handed on is known by its name.
        (
            "fn review_change(change, run) { judge(change); }\nprivate fn judge(it) { if it.op == \"delte\" { deny(\"x\"); } if it.after.progress == \"done\" { deny(\"y\"); } }".to_owned(),
            "it is never `delte`",
            "delete",
        ),
        (
            "fn review(changes, run) { for it in changes { if it.entity == \"buckets\" { deny(\"x\"); } } }".to_owned(),
            "it is never `buckets`",
            "bucket",
        ),
        // A misspelt hook beside a good one.
        (
            "fn review(changes, run) { }\nfn review_chagne(change, run) { deny(\"x\"); }".to_owned(),
            "nothing calls `review_chagne`",
            "review_change",
        ),
        (
            "fn review(changes, run) { is_bad(); }\nfn is_bad() { false }".to_owned(),
            "nothing calls `is_bad`",
            "private fn is_bad",
        ),
    ];
    for (policy, says, hint) in &cases {
        place.file("scripts/policies/house.rhai", policy);
        let check = place.run(&["policy", "check", "house"]);
        assert_eq!(check.code, 1, "{policy}: {}", check.stdout);
        let check = check.says(&[says, hint]);
        assert!(check.stderr.contains("policies/house.rhai:"), "{}", check.stderr);
        let report = place.script(&change, &["--dry-run", "--json"]).code(3).json();
        let reason = report["verdicts"][0]["reason"].as_str().unwrap();
        assert!(reason.contains(says), "{policy}: {reason}");
    }
    // What is right, or cannot be known, is let through.
    for policy in [
        "const MODE = \"strict\"; const DONE = \"completed\";\nfn review_change(change, run) { if MODE == \"mild\" || change.task.progress == DONE { warn(\"x\"); } }",
        "fn review_change(change, run) { if change.op == \"delete\" || change.entity in [\"plan\", \"task\"] { warn(\"x\"); } }",
        "fn review_change(change, run) { let mine = #{ op: \"x\" }; if mine.op == \"delte\" || run.params.op == \"go\" { warn(\"x\"); } }",
        "fn review_change(change, run) { switch change.op { \"create\" | \"update\" => warn(\"x\"), _ => () } }",
        "fn review_change(change, run) { if change.fields.contains(\"due\") || [\"a\"].contains(change.task.title) { warn(\"x\"); } }",
        "fn review_change(change, run) { let seen = [\"update\"]; seen.push(\"x\"); for it in seen { if it == \"y\" { warn(it); } } if change.op in seen { warn(\"x\"); } }",
        "fn review_change(change, run) { if change.after.due < \"2030-01-01\" { warn(\"x\"); } if `${change.op} ${change.n}` == \"go\" { warn(\"y\"); } }",
        "fn review(changes, run) { if changes.all(|it| it.op == \"create\") { warn(\"x\"); } helps(1); }\nprivate fn helps(n) { n }",
    ] {
        place.file("scripts/policies/house.rhai", policy);
        place.run(&["policy", "check", "house"]).code(0);
    }
}

#[test]
fn a_list_is_sorted_by_what_has_an_order_or_not_at_all() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let many = "let a = []; for n in 0..200 { a.push(n * 7919 % 101); }";
    for (expression, says) in [
        // Rust's own sorting panics at these.
        ("a = a.sort(|a, b| 1); a", "contradicts itself"),
        ("a = a.sort(|a, b| if a % 2 == 0 { 1 } else { b - a }); a", "contradicts itself"),
        ("a.push(0.0 / 0.0); let f = a.map(|n| n * 1.0); f = f.sort(); f", "have no order"),
        // What the engine's passes over.
        ("a = a.sort(|a, b| a < \"5\"); a", "cannot compare a whole number with text"),
        ("a = a.sort(|a, b| throw \"oops\"); a", "oops"),
        ("a = a.sort(|a, b| ()); a", "returns a number"),
        ("a.order_by(|a, b| nope(a)); a", "nope"),
        ("a.push(\"x\"); a = a.sort(); a", "have no order"),
        ("[t, t].sort()", "a Task and a Task have no order"),
        ("[1, \"1\"].dedup()", "cannot compare a whole number with text"),
        ("[1, 2].dedup(|a, b| a)", "true or false"),
    ] {
        let script = on_task(&format!("{many} {expression}"));
        let failed = place.script(&script, &["--dry-run", "--json"]).code(1).json();
        let message = failed["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains(says), "{expression}: {message}");
        assert_eq!(failed["error"]["at"]["line"], 2, "{expression}: {failed:#}");
    }
    for expression in [
        "a = a.sort(); let ok = true; for n in 1..a.len() { ok = ok && a[n - 1] <= a[n]; } ok",
        "a = a.sort(|a, b| b - a); a[0] == 100 && a[199] == 0",
        "a = a.sort(|a, b| a < b); a[0] == 0 && a[199] == 100",
        "a = a.sort(|a, b| a <= b); a[0] == 0 && a[199] == 100",
        "a = a.sort_desc(); a[0] == 100 && a.order() != a && a[0] == 100",
        "let was = a; a.order_desc(); a == was",
        "let x = [\"b\", \"a\"]; x = x.sort(); x == [\"a\", \"b\"] && [true, false].order() == [false, true]",
        "let x = [today(), today() - days(1)]; x = x.sort(); x[1] == today()",
        "let x = [2, 1.5, 1]; x = x.sort(); x == [1, 1.5, 2]",
        // Like ones stay as they stand.
        "let x = []; for n in 0..60 { x.push([n % 3, n]); } x = x.sort(|a, b| a[0] - b[0]); x[0][1] == 0 && x[19][1] == 57 && x[20][1] == 1",
        "let x = [1, 1, 2, 2, 1]; x = x.dedup(); x == [1, 2, 1] && [].order() == []",
        "let x = [1, 3, 4]; x = x.dedup(|a, b| (a - b) % 2 == 0); x == [1, 4]",
        "b.tasks.order_by(|x, y| x.priority - y.priority).len() == b.tasks.len()",
        // One that fails leaves the list as it was.
        "let was = a; try { a = a.sort(|a, b| throw 1); } catch { } a == was",
    ] {
        let script = on_task(&format!("{many} {expression}"));
        let ran = place.script(&script, &["--dry-run", "--json"]).code(0).json();
        assert_eq!(ran["result"], json!(true), "{expression}");
    }
}
