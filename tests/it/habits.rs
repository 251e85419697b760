//! What people write who know other languages: each mistake is answered with its place and with how
//! it is written here, well enough for the second try.

use crate::support::{Place, Planner};

/// Mistakes that are found when a script is compiled: what is said of them.
const IN_TEXT: &[(&str, &str)] = &[
    ("let s = \"a\"; s.foo();", "nothing has a function `foo`"),
    ("for t in my_tasks() { print(t.title.toUpperCase()); }", "to_upper"),
    ("let x = my_tasks(); print(x.length);", "len"),
    ("let x = [1]; print(x.length());", "len"),
    ("for t in my_tasks() { t.labels.push(\"IT\"); }", "add_label"),
    ("for t in my_tasks() { t.checklist.push(\"a\"); }", "add_checklist_item"),
    ("let a = 'abc';", "double quotes"),
    ("let a = true ? 1 : 2;", "if a { b } else { c }"),
    ("let a = 1; if (a == 1) print(\"x\");", "braces"),
    ("let a = 1;\n/* abc\nlet b = 2;", "is not closed"),
    ("for (let i = 0; i < 10; i++) { }", "for i in 0..10"),
    ("for t in my_tasks(): print(t.title)", "braces"),
    ("for t of my_tasks() { }", "for x in list"),
    ("const A = 1; A = 2;", "declare it with `let`"),
    ("print \"abc\";", "print(…)"),
    ("console.log(\"x\");", "print(…)"),
    ("my_tasks().map(t => t.title)", "`|x| …`"),
    ("my_tasks().map(function(t) { return t.title; })", "`|x| …`"),
    ("my_tasks().filter(lambda t: t.due)", "`|x| …`"),
    ("my_tasks().filter(t -> t.due)", "`|x| …`"),
    ("[t.title for t in my_tasks()]", "list.map(|x| …)"),
    ("let a = { \"b\": 1 };", "`#{ key: value }`"),
    ("let a = {b: 1};", "`#{ key: value }`"),
    ("let a = #{b = 1};", "`#{ key: value }`"),
    ("let a = None;", "`()`"),
    ("let a = null;", "`()`"),
    ("if 1 is 2 { }", "it is `==`"),
    ("if not true { }", "`!`"),
    ("if 1 === 2 { }", "no `===`"),
    ("if 1 <> 2 { }", "`!=`"),
    ("let a = f\"x {1}\";", "backticks"),
    ("let mut a = 1;", "every variable"),
    ("var a = 1;", "`let name"),
    ("a = 5;", "`let a = …;`"),
    ("a := 5", "`let x = …;`"),
    ("let a: int = 5;", "no types"),
    ("fn f(a: int) -> int { a }", "no types"),
    ("def f(a): return a", "`fn name"),
    ("function f(a) { return a; }", "`fn name"),
    ("let a = 1; a++;", "`+= 1`"),
    ("let (a, b) = [1, 2];", "one variable at a time"),
    ("let [a, b] = [1, 2];", "one variable at a time"),
    ("let a = [...[1], 2];", "joined with `+`"),
    ("if true { } elif false { }", "`else if`"),
    ("match 5 { 1 => 2 }", "`switch x"),
    ("switch 5 { case 1: print(1); }", "`switch x"),
    ("raise \"x\";", "`throw"),
    ("throw new Error(\"x\");", "`throw"),
    ("try { 1 } catch (e) { } finally { }", "no `finally`"),
    ("import dates;", "import \"dates\" as dates;"),
    ("from dates import f", "import \"dates\" as dates;"),
    ("import \"dates\" as d; d.f();", "`d::…(…)`"),
    ("let a = await plan(\"x\");", "leave it out"),
    ("plan(\"x\").create_task(title: \"a\");", "in a map"),
    ("plan(\"x\").create_task(title = \"a\");", "in a map"),
    ("let a = 1 if true else 2;", "has a value"),
    ("print(“a”)", "straight double quotes"),
    ("let a = 5 – 3;", "minus is `-`"),
    ("# a comment", "`//`"),
    ("let a = .5;", "`0.5`"),
    ("let a = \"abc;", "backticks"),
    ("let a = \"C:\\dir\";", "a backslash is written"),
    ("print(typeof 5);", "type_of(x)"),
    ("planner.plan(\"x\")", "stands by itself"),
    ("let total = 1; print(totl);", "did you mean `total`?"),
    ("fn f() { total } let total = 1; f()", "make it a `const`"),
    ("let let = 1;", "no words of the language"),
    ("if true { print(1);", "a bracket is not closed"),
    ("print(1));", "`;` is missing here"),
];

/// Mistakes that are found when a script runs: what is said of them.
const AT_WORK: &[(&str, &str)] = &[
    ("let a = [1, 2, 3]; a[9]", "there is no item 9: the list has 3 items"),
    ("foo(1, \"a\")", "there is no function `foo`"),
    ("let a = 5; a.foo", "a whole number has no property `foo`"),
    ("my_tasks().length", "it is `len`"),
    ("my_tasks().title", "`list.map(|x| x.title)`"),
    ("let t = my_tasks().find(|t| t.title == \"nope\"); t.title", "`title` is asked of nothing"),
    ("let t = my_tasks().find(|t| t.title == \"nope\"); t.complete();", "called on nothing"),
    ("if my_tasks() { }", "`!x.is_empty()`"),
    ("let t = (); if !t { }", "`x == ()`"),
    ("my_tasks().filter(|t| t.title)", "this function must return true or false, not text"),
    ("my_tasks().sort_by(\"due\")", "`sort_by(|x| x.due)`"),
    ("my_tasks().where(|t| t.is_completed)", "`filter(|x| …)`"),
    ("for k in #{ a: 1 } { }", "`for (key, value) in map`"),
    ("let m = #{ a: 1 }; for k in m { }", "`for (key, value) in map`"),
    ("my_tasks()[0][\"title\"]", "a property is written with a point"),
    ("my_tasks()[0].set_due(\"2026-12-24\")", "it is `due = …`"),
    ("my_tasks()[0].addLabel(\"IT\")", "it is `add_label(label)`"),
    ("plan(\"BOS Operations\").tasks()", "without brackets"),
    ("today().addDays(3)", "`date + days(3)`"),
    ("let f = |x| x + 1; f(1)", "`f.call(…)`"),
    ("fn f(x) { x } f(1, 2)", "the function `f` takes 1 argument, not 2"),
    ("let x = int(\"5\");", "`text.parse_int()`"),
    ("\"a\" * 3", "`text.repeat(3)`"),
    ("params[\"days\"]", "there is no parameter `days`"),
    ("1 / 0", "division by zero"),
    ("let x = [1]; x.append(2);", "`list.push(x)`"),
];

#[test]
fn what_other_languages_write_is_answered_with_what_is_written_here() {
    let place = Place::embedded();
    place.file("planwright.toml", "");
    for (n, (text, _)) in IN_TEXT.iter().enumerate() {
        place.file(&format!("scripts/skills/s{n:03}.rhai"), text);
    }
    let checked = place.run(&["skill", "check", "--json"]).json();
    let scripts = checked["scripts"].as_array().unwrap();
    assert_eq!(scripts.len(), IN_TEXT.len());
    let mut bad = Vec::new();
    for (script, (text, says)) in scripts.iter().zip(IN_TEXT) {
        let finding = &script["findings"][0];
        let said = format!("{} · {}", finding["message"], finding["hint"]);
        let has_place = finding["at"]["line"].is_u64() && finding["at"]["column"].is_u64();
        if !said.replace("\\\"", "\"").contains(says) || !has_place {
            bad.push(format!("{text}\n  {said} {}", finding["at"]));
        }
        // The engine's own way of putting things.
        for raw in ["Expecting", "Unexpected", "ImmutableString", "Invalid "] {
            assert!(!said.contains(raw), "{text}: {said}");
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

#[test]
fn what_fails_at_work_says_what_to_do() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    for (script, says) in AT_WORK {
        let output = place.script(script, &[]).code(1);
        let said = &output.stderr;
        assert!(said.contains(says) && said.contains("stdin:1:"), "{script}\n{said}");
        for raw in ["i64", "&str", "()))", "array", "out of bounds", "Data type"] {
            let is_ours = script.contains(raw);
            assert!(is_ours || !said.contains(raw), "{script}: {raw}\n{said}");
        }
    }
    assert!(planner.writes().is_empty());
}

#[test]
fn a_name_in_where_that_nothing_has_is_an_error() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    for (conditions, says) in [
        ("bucket: \"Inbx\"", &["there is no bucket `Inbx`", "`Inbox`"][..]),
        ("label: \"Finances\"", &["there is no label `Finances`", "`Finance`"]),
        ("plan: \"BOS Operatons\"", &["there is no plan `BOS Operatons`", "`BOS Operations`"]),
        ("assigned_to: \"nobody@bos.example\"", &["there is no user `nobody@bos.example`"]),
        ("priority: \"hihg\"", &["a priority is 0 to 10 or one of urgent"]),
        ("progress: \"done\"", &["`done` is not a progress value"]),
        ("buckt: \"Inbox\"", &["where knows no `buckt`; did you mean `bucket`?"]),
        // Whatever else is asked first.
        ("assigned_to: (), bucket: \"Inbx\", is_completed: true", &["no bucket `Inbx`"]),
    ] {
        let script = format!("plan(\"BOS Operations\").tasks.where(#{{ {conditions} }}).len()");
        place.script(&script, &[]).code(1).says(says).says(&["stdin:1:"]);
    }
    // A name that something has may still fit no task.
    let right = "let p = plan(\"BOS Operations\");
        let all = p.tasks;
        print(all.where(#{ bucket: \"inbox\" }).len() == p.bucket(\"Inbox\").tasks.len());
        print(all.where(#{ bucket: \"Inbox\", title: \"no such task\" }).len());
        print(all.where(#{ label: \"IT\", text: \"no such task\" }).len());
        print(all.where(#{ plan: \"Website Relaunch\" }).len());
        print(all.filter(|t| t.is_overdue()).len() == all.where(#{ overdue: true }).len());
        print(all.filter(|t| t.priority == 1).len() == all.where(#{ priority: \"urgent\" }).len());
        print([].where(#{ bucket: \"Inbx\" }).len());";
    let output = place.script(right, &[]).code(0);
    assert_eq!(output.stdout, "true\n0\n0\n0\ntrue\ntrue\n0\n");
}

#[test]
fn keys_are_the_same_however_they_are_asked_for() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    // A function with braces is called; one without is answered without entering the engine.
    let script = "let all = plan(\"BOS Operations\").tasks;
        let same = |a, b| if a.map(|t| t.id).join(\",\") != b.map(|t| t.id).join(\",\") { throw \"differs\" };
        same.call(all.sort_by(|t| t.due), all.sort_by(|t| { let d = t.due; d }));
        same.call(all.sort_by(|t| t.title), all.sort_by(|t| { let d = t.title; d }));
        same.call(all.sort_by(|t| t.priority), all.sort_by(|t| { let d = t.priority; d }));
        same.call(all.sort_by(|t| t.is_completed), all.sort_by(|t| { let d = t.is_completed; d }));
        same.call(all.sort_by(|t| t.created_at), all.sort_by(|t| { let d = t.created_at; d }));
        let by = all.group_by(|t| t.progress);
        if by.keys().join(\",\") != all.group_by(|t| { let p = t.progress; p }).keys().join(\",\") { throw \"differs\" }
        let rows = [#{ n: 2 }, #{ n: 1 }, #{ m: 0 }].sort_by(|r| r.n);
        if rows[0].n != 1 || rows[2].n != () { throw \"differs\" }
        if [\"b\", \"a\"].sort_by(|x| x).join(\"\") != \"ab\" { throw \"differs\" }
        all.sort_by(|t| t.tilte)";
    place.script(script, &[]).code(1).says(&["a Task has no property `tilte`", "`title`"]);
}

/// Maps that name fields: what is said of a wrong name or value in one.
const IN_MAPS: &[(&str, &str)] = &[
    ("my_tasks().where(#{ overdu: true });", "`where` knows no `overdu` · did you mean `overdue`?"),
    ("plan(\"x\").tasks.where(#{ completed: true }).len();", "`is_completed`"),
    ("my_tasks().where(#{ progress: \"done\" });", "`done` is not a progress value"),
    ("my_tasks().where(#{ priority: \"urgnt\" });", "did you mean `urgent`?"),
    ("plan(\"x\").create_task(#{ title: \"a\", descripton: \"b\" });", "`description`"),
    ("plan(\"x\").bucket(\"b\").create_task(#{ title: \"a\", asign: me() });", "`assign`"),
    ("plan(\"x\").create_task(#{ title: \"a\", progress: 50 });", "`50` is not a progress value"),
    ("plan(\"x\").task(\"a\").update(#{ duee: today() });", "`update` knows no `duee`"),
    ("plan(\"x\").task(\"a\").update(#{ priority: 11 });", "it is 0 to 10 or one of urgent"),
    ("plan(\"x\").update(#{ name: \"a\" });", "did you mean `title`?"),
    ("for b in plan(\"x\").buckets { b.update(#{ title: \"a\" }); }", "did you mean `name`?"),
    ("for i in task(\"x\").checklist { i.update(#{ cheked: true }); }", "`checked`"),
    ("fn f(x) { x.update(#{ wrong: 1 }); } f(1);", "`update` knows no `wrong`"),
];

#[test]
fn a_wrong_name_in_a_map_of_fields_is_found_without_a_run() {
    let place = Place::embedded();
    place.file("planwright.toml", "");
    let right = [
        "my_tasks().where(#{ overdue: 3, priority: \"low\", progress: \"completed\" });",
        "plan(\"x\").create_task(#{ title: \"a\", priority: (), key: \"k\" });",
        "let p = \"anything\"; plan(\"x\").task(\"a\").update(#{ priority: p, labels: [\"IT\"] });",
        "fn update(m) { m.x } update(#{ x: 1 }); fn of(x) { x.update(#{ y: 1 }) } of(1);",
        "let m = #{ anything: 1 }; m.remove(\"anything\");",
    ];
    let all = IN_MAPS.iter().map(|(text, _)| *text).chain(right);
    for (n, text) in all.enumerate() {
        place.file(&format!("scripts/skills/s{n:03}.rhai"), text);
    }
    let checked = place.run(&["skill", "check", "--json"]).json();
    let scripts = checked["scripts"].as_array().unwrap();
    for (script, (text, says)) in scripts.iter().zip(IN_MAPS) {
        let finding = &script["findings"][0];
        let said = format!(
            "{} · {}",
            finding["message"].as_str().unwrap_or_default(),
            finding["hint"].as_str().unwrap_or_default()
        );
        assert!(said.contains(says), "{text}\n{said}");
        // The place is that of the name, not of the call.
        let column = usize::try_from(finding["at"]["column"].as_u64().unwrap()).unwrap();
        let open = text.find("#{").unwrap();
        assert!(column > open + 2, "{text}: {column}");
    }
    for (script, text) in scripts[IN_MAPS.len()..].iter().zip(right) {
        let findings = script["findings"].as_array().unwrap();
        let errors: Vec<_> = findings.iter().filter(|it| it["severity"] == "error").collect();
        assert!(errors.is_empty(), "{text}: {errors:?}");
    }
}
