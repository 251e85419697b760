//! The prompt: without a terminal, line by line, and in one, as a person would see it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{Output, PLAN, Place, Planner, on_one_day};

const FREE: &str = "[policies]\nalways = []\n";

fn lines(place: &Place, text: &str) -> Output {
    place.run_with(&["repl"], text, &[])
}

/// A place whose board anything may be done to.
fn free(planner: &Planner) -> Place {
    let place = Place::against(planner);
    place.file("planwright.toml", FREE);
    place
}

/// The board without tags, which every write renews.
fn content(planner: &Planner) -> Value {
    let mut board = planner.board();
    for list in board.as_array_mut().unwrap() {
        for it in list["value"].as_array_mut().unwrap() {
            it.as_object_mut().unwrap().remove("@odata.etag");
        }
    }
    board
}

#[test]
fn variables_functions_imports_and_the_last_result_live_on() {
    let place = Place::embedded();
    place.file("planwright.toml", FREE).file("scripts/lib/sums.rhai", "fn sum(a, b) { a + b }");
    let text = r#"
        let a = 2;
        fn twice(x) { x * 2 }
        twice(a)
        _ + 1
        import "sums" as sums
        sums::sum(_, 10)
        let f = |x| x + a;
        let g = |x| x * a;
        f.call(1) + g.call(10)
        if a == 2 {
            "over several lines"
        }
        switch 3 { 1 => "one", _ => `the rest ${_ + "!"}` }
        let a = "another"; a
        ()
        _
        let a = 7
        a
        const B = 1; let c = 3 // three
        let B = 2
        let c = B + c
        c
    "#;
    let said = lines(&place, text).code(0).stdout;
    let expected = ["4", "5", "15", "23", "over several lines", "the rest over several lines!"];
    let expected = expected.into_iter().chain(["another", "another", "7", "5"]);
    assert_eq!(said.lines().collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

#[test]
fn nothing_is_written_before_apply_and_undo_restores_the_board() {
    let planner = Planner::demo();
    let place = free(&planner);
    let before = content(&planner);
    planner.exchanges();
    let change = format!(
        ":use {PLAN}\nlet t = board.tasks;\nt[0].title = \"other\"\nt[1].due = today()\nlet n = board.create_task(#{{ title: \"new\" }});\n"
    );
    let only = lines(&place, &change).code(0);
    only.says(&["3 changes not applied"]);
    assert_eq!(content(&planner), before);
    assert!(planner.writes().is_empty());
    // What was made can be gone on with by its name.
    let more = "n.assign(\"me\")\n:apply\nn.id == board.task(\"new\").id\nn.priority = \"urgent\"\n:apply\n";
    let output =
        lines(&place, &format!("{change}:apply\n{more}:undo\n:undo\n:undo --force\n")).code(0);
    assert_eq!(output.stdout, "true\n");
    assert_eq!(content(&planner), before);
    lines(&place, &format!("{change}:apply\n:undo\n")).code(3).says(&[":undo --force"]);
    lines(&place, "1\n:undo\n").code(1).says(&["nothing is left to undo"]);
    let _whole = place.run(&["undo", "last", "--force"]).code(0);
    let output = lines(&place, &format!("{change}:apply\n:undo --force\n:undo\n"));
    output.code(1).says(&["nothing is left to undo"]);
    assert_eq!(content(&planner), before);
}

#[test]
fn a_line_that_fails_leaves_nothing_pending_and_is_named() {
    let planner = Planner::demo();
    let place = free(&planner);
    let text = format!(
        ":use {PLAN}\nlet all = board.tasks; all[0].title = \"first\"\n\nif true {{\n  all[1].title = \"second\";\n  board.bucket(\"Nowhere\")\n}}\nall[2].title = \"never\"\n"
    );
    let output = lines(&place, &text).code(1).says(&["stdin:6:", "Inbox"]);
    assert!(!output.stderr.contains("never"), "{}", output.stderr);
    for (text, place_of) in
        [(":fnord\n", "line 1"), ("1 +\n", "stdin:1"), ("\n\nnothing\n", "stdin:3")]
    {
        lines(&place, text).code(1 + i32::from(text.starts_with(':'))).says(&[place_of]);
    }
    lines(&place, "board\n").code(1).says(&[":use PLAN"]);
    assert!(planner.writes().is_empty());
}

#[test]
fn what_is_pending_can_be_looked_at_and_dropped() {
    let planner = Planner::demo();
    let place = free(&planner);
    let wishes = format!(
        ":use {PLAN}\nlet t = board.tasks[0]; t.title = \"other\"; let b = board.create_bucket(\"New\"); b.create_task(#{{ title: \"in it\" }}); ()\n"
    );
    let changes = |more: &str| -> Vec<String> {
        let text = format!("{wishes}{more}:json\n:changes\n");
        let all = lines(&place, &text).code(0).json();
        all.as_array().unwrap().iter().map(|it| it["title"].as_str().unwrap().to_owned()).collect()
    };
    let loading = "Ask the landlord about the loading ramp";
    assert_eq!(changes(""), [loading, "New", "in it"]);
    // What needs the bucket goes with it.
    assert_eq!(changes(":discard 2\n"), [loading]);
    assert_eq!(changes(":discard 3\n"), [loading, "New"]);
    assert_eq!(changes(":discard\n"), [""; 0]);
    // The numbers of the others stay as they are, and what goes is named.
    assert_eq!(changes(":discard 1\n:discard 3\n"), ["New"]);
    assert_eq!(changes(":discard 1 3\n"), ["New"]);
    let text = format!("{wishes}:discard 1, 3\n:changes\n");
    let output = lines(&place, &text).code(0).says(&["2 changes discarded", "task in it"]);
    assert!(output.stdout.contains("  2 + bucket New"), "{}", output.stdout);
    // A number is not given twice.
    let again = ":discard\nlet c = board.create_bucket(\"Newer\");\n";
    assert_eq!(changes(again), ["Newer"]);
    lines(&place, &format!("{wishes}:discard 9\n")).code(1).says(&["there is no change 9"]);
}

#[test]
fn rules_and_policies_judge_at_apply() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let text = format!(
        ":use {PLAN}\nfor n in 0..11 {{ board.create_task(#{{ title: `t${{n}}` }}); }}\n:policy\n:apply\n"
    );
    let output = lines(&place, &text).code(7).says(&["Held"]);
    assert!(output.stdout.contains("agent_rules.rhai holds"), "{}", output.stdout);
    let text = format!(":use {PLAN}\nboard.tasks[0].delete()\n:apply\n");
    lines(&place, &text).code(3).says(&["--force"]);
    place.file(
        "planwright.toml",
        "[policies]\nalways = []\n[agents.fern]\nplans = [\"Website Relaunch\"]\n",
    );
    lines(&place, &format!(":as fern\n:use {PLAN}\n")).code(1).says(&["line 2", "no plan"]);
    lines(&place, ":as fern\nplans().len()\n").code(0);
    lines(&place, ":as nobody\n").code(1).says(&["there is no agent"]);
    lines(&place, &format!(":use {PLAN}\ncommit()\n")).code(1).says(&["commit() is for runs"]);
}

#[test]
fn a_skill_joins_what_is_pending_and_lines_become_a_skill() {
    let planner = Planner::demo();
    let place = free(&planner);
    place.file(
        "scripts/skills/add.rhai",
        "//! Adds a task.\n//! [params]\n//! title = \"text\"\nplan(\"BOS Operations\").create_task(#{ title: params.title }).title",
    );
    let text = format!(
        ":use {PLAN}\nlet t = board.tasks[3]; t.title = \"other\"\n:run add title=\"made by it\"\n:json\n:changes\n"
    );
    let output = lines(&place, &text).code(0);
    assert!(output.stdout.contains("made by it") && output.stdout.contains("other"));
    on_one_day(|| {
        let place = free(&planner);
        let text = format!(
            ":use {PLAN}\nfn late(t) {{ t.is_overdue() }}\nlet all = board.tasks.filter(|t| late(t));\nall.len()\nlet n = board.create_task(#{{ title: `${{_}} late` }}); n.priority = \"urgent\"\n:save s.rhai\n:json\n:changes\n"
        );
        let typed = lines(&place, &text).code(0).stdout;
        let typed: Value = serde_json::from_str(typed.trim_start_matches("8\n")).unwrap();
        let saved = place.run(&["run", "s.rhai", "--dry-run", "--json"]).code(0).json();
        assert_eq!(typed[0]["title"], saved["changes"][0]["title"]);
        assert_eq!(typed[0]["fields"]["priority"], saved["changes"][0]["fields"]["priority"]);
        lines(&place, "1\n:save s.rhai\n").code(1).says(&["already exists"]);
        lines(&place, ":load s.rhai\n:json\n:changes\n").code(0);
    });
}

#[test]
fn someone_elses_edit_is_shown_from_both_sides_and_nothing_is_written() {
    let planner = Planner::demo();
    let place = free(&planner);
    let mut session = Session::start(&place);
    session.line(&format!(":use {PLAN}"));
    session.line("let t = board.task(\"Label the spare laptops\"); t.title = \"mine\"; t.title");
    session.answers("mine");
    let id = planner.task("Label the spare laptops")["id"].as_str().unwrap().to_owned();
    let path = format!("/planner/tasks/{id}");
    planner.edit("mei@bos.example", &path, &json!({ "title": "theirs" }));
    planner.exchanges();
    session.line(":apply");
    let output = session.end();
    output.code(4).says(&["was Label the spare laptops, is now theirs, edited to mine"]);
    assert!(planner.writes().is_empty());
    // What was not touched by both is merged.
    let mut session = Session::start(&place);
    session.line(&format!(":use {PLAN}"));
    session.line("let t = board.task(\"theirs\"); ()\nt.due = today(); 1");
    session.answers("1");
    planner.edit("mei@bos.example", &path, &json!({ "title": "theirs again" }));
    session.line(":apply");
    session.end().code(0);
    assert!(planner.task("theirs again")["dueDateTime"].is_string());
}

/// Types `lines`, has Mei edit, and types `more`; returns how it ends.
fn meanwhile(
    planner: &Planner,
    place: &Place,
    lines: &str,
    title: &str,
    edit: &Value,
    more: &str,
) -> Output {
    let id = planner.task(title)["id"].as_str().unwrap().to_owned();
    let mut session = Session::start(place);
    session.line(&format!(":use {PLAN}\nlet a = board.task(\"{title}\"); ()"));
    session.line(&format!("{lines}\n\"ready\""));
    session.answers("ready");
    let details = if edit.get("description").is_some() { "/details" } else { "" };
    planner.edit("mei@bos.example", &format!("/planner/tasks/{id}{details}"), edit);
    planner.exchanges();
    session.line(more);
    session.end()
}

#[test]
fn what_a_line_decided_on_is_compared_at_apply() {
    let task = "Label the spare laptops";
    let other = "let b = board.task(\"Collect ideas for the summer party\"); ";
    let done = json!({ "percentComplete": 100 });
    let described = json!({ "description": "other" });
    let open = format!("{other}if a.percent_complete == 0 {{ b.priority = \"urgent\" }}");
    let bare = "if a.description == \"\" { a.priority = \"urgent\" }";
    for (lines, edit, more, code) in [
        (open.as_str(), &done, ":apply", 4),
        (&format!("{open}; b.title = \"both\""), &done, ":apply", 4),
        // What a line looks at that wants nothing is nobody's reason.
        ("let p = a.percent_complete;\na.start = today()", &done, ":apply", 0),
        (bare, &described, ":apply", 4),
        (bare, &described, ":refresh\n:apply", 4),
    ] {
        let planner = Planner::demo();
        let place = free(&planner);
        let output = meanwhile(&planner, &place, lines, task, edit, more);
        let label = format!("{lines}: {}", output.stderr);
        assert_eq!(output.code, code, "{label}");
        assert_eq!(planner.writes().is_empty(), code == 4, "{label}");
    }
}

#[test]
fn an_agent_given_from_outside_stays() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let agents =
        "[policies]\nalways = []\n[agents.fern]\nplans = [\"BOS Operations\"]\n[agents.moss]\n";
    place.file("planwright.toml", agents);
    let as_fern = |text: &str| place.run_with(&["repl", "--as", "fern"], text, &[]);
    as_fern("plans().len()\n:as fern\nplans().len()\n").code(0);
    for other in [":as", ":as moss"] {
        as_fern(&format!("{other}\n")).code(3).says(&["this session belongs to `fern`"]);
    }
    lines(&place, ":as fern\n:as\nplans().len()\n").code(0);
    // What it may see is taken from it while it looks.
    let mut session = Session::start_with(&place, &["--as", "fern"]);
    session.line(&format!(":use {PLAN}\nboard.buckets.len()"));
    session.answers("4");
    place.file("planwright.toml", &agents.replace("BOS Operations", "Website Relaunch"));
    session.line("board.buckets.len()");
    session.end().code(1).says(&["what `fern` may see has changed"]);
}

#[test]
fn what_is_saved_does_what_was_typed() {
    let place = Place::embedded();
    place.file("planwright.toml", FREE);
    let text = ":use BOS Operations\nlet n = board.create_task(#{ title: \"one\" }); ()\nlet a = 1 // one\n-1;\nfn f() { a_text() } fn a_text() { \"two\" } f()\nlet b = `${_} ${a}`; ()\n:use Website Relaunch\nlet m = board.create_task(#{ title: b }); ()\n:discard 9\n";
    lines(&place, text).code(1);
    let text = text.replace(":discard 9\n", ":save s.rhai\n:json\n:changes\n");
    let output = lines(&place, &text).code(0);
    let at = output.stdout.find('[').unwrap();
    let typed: Value = serde_json::from_str(output.stdout.get(at..).unwrap()).unwrap();
    let saved = place.run(&["run", "s.rhai", "-n", "--json"]).code(0).json();
    for n in 0..2 {
        assert_eq!(typed[n]["title"], saved["changes"][n]["title"], "{saved:#}");
        assert_eq!(typed[n]["plan"], saved["changes"][n]["plan"]);
    }
    assert_eq!(typed[1]["title"], "two 1");
    // A file of lines is run like what was piped.
    place.file("lines.txt", "let x = 1\nlet y = 2\n:doc assign\nx + y\n");
    assert!(lines(&place, ":load lines.txt\n").code(0).stdout.ends_with("3\n"));
    place.file("bad.txt", "let x = 1\nlet y =\n:doc assign\n");
    lines(&place, ":load bad.txt\n").code(1).says(&["bad.txt:2"]);
    lines(&place, ":save t.rhai\n").code(1).says(&["no lines to save"]);
}

#[test]
fn json_is_all_that_is_printed_where_it_is_asked_for() {
    let place = Place::embedded();
    place.file("planwright.toml", FREE);
    let text = "print(\"a\\u009bb\")\n1 + 1\n:use BOS Operations\nlet t = board.tasks[0]; t.title = \"x\"\n";
    let output = place.run_with(&["repl", "--json"], text, &[]).code(0);
    let values: Vec<Value> = serde_json::Deserializer::from_str(&output.stdout)
        .into_iter()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(values[..2], [json!("a\u{9b}b"), json!(2)]);
    assert!(!output.stdout.contains('\u{9b}'));
    assert_eq!(output.stderr.matches("1 change not applied").count(), 1, "{}", output.stderr);
    let output = place.run_with(&["repl", "--json"], "nothing\n", &[]).code(1);
    assert_eq!(output.json()["error"]["at"]["line"], 1);
}

#[test]
fn a_library_that_is_edited_is_in_force_at_the_next_line() {
    let place = Place::embedded();
    place.file("planwright.toml", FREE).file("scripts/lib/dates.rhai", "fn number() { 1 }");
    let mut session = Session::start(&place);
    session.line("import \"dates\" as dates");
    session.line("dates::number()");
    session.answers("1");
    place.file("scripts/lib/dates.rhai", "fn number() { 20 }");
    session.line("dates::number()");
    session.answers("20");
    place.file("scripts/lib/dates.rhai", "fn number() { 300 ");
    session.line("dates::number()");
    session.answers("20");
    place.file("scripts/lib/dates.rhai", "fn number() { 4000 }");
    session.line("dates::number()");
    session.answers("4000");
    let said = session.end().code(0).stderr;
    assert!(said.contains("lib/dates.rhai is in force"), "{said}");
    assert!(said.contains("broken: lib/dates.rhai:1"), "{said}");
    assert_eq!(said.matches("broken:").count(), 1, "{said}");
}

#[test]
fn a_line_is_stopped_at_its_limits() {
    let place = Place::embedded();
    place.file(
        "planwright.toml",
        "[limits]\noperations = 9_000_000_000\ncomputing_seconds = 600\nseconds = 1\n",
    );
    lines(&place, "let x = 1;\nloop { }\n")
        .code(1)
        .says(&["over its time budget of 1 s", "stdin:2"]);
    place.file("planwright.toml", "[limits]\nmemory_mib = 8\n");
    lines(&place, "let x = []; loop { x.push(\"0123456789\" + x.len()); }\n")
        .code(1)
        .says(&["budget"]);
    // Values that nest deeply are dropped where the stack is large.
    let deep = "let x = []; for n in 0..100_000 { x = [x]; } 0\nlet y = x; 1\n";
    lines(&place, deep);
    let many = "let x = 1;\n".repeat(400);
    let output = lines(&place, &format!("{many}x\n")).code(0);
    assert_eq!(output.stdout.trim(), "1");
}

#[test]
fn what_was_read_is_not_read_again() {
    let planner = Planner::demo();
    let place = free(&planner);
    planner.requests();
    let look =
        format!(":use {PLAN}\nboard.tasks.len()\nboard.tasks\nboard.buckets\nboard.tasks[0]\n");
    lines(&place, &look).code(0);
    let once = planner.requests();
    assert!(once.len() <= 13, "{once:#?}");
    lines(&place, &format!("{look}{look}{look}")).code(0);
    assert_eq!(planner.requests().len(), once.len());
    lines(&place, &format!("{look}:refresh\nboard.tasks.len()\n:json\n:explain\n")).code(0);
    let more = planner.requests().len();
    assert!(more > once.len() && more <= once.len() + 3, "{more} after {}", once.len());
}

#[test]
fn a_title_is_shown_and_does_nothing() {
    let planner = Planner::demo();
    let place = free(&planner);
    let hostile = "\u{1b}[2J\u{1b}[31mred\u{7}\u{202e}evil\r\nApplied 9 changes.";
    let task = planner.task("Label the spare laptops")["id"].as_str().unwrap().to_owned();
    planner.edit(
        "mei@bos.example",
        &format!("/planner/tasks/{task}"),
        &json!({ "title": hostile }),
    );
    let text = format!(
        ":use {PLAN}\nlet t = task(\"{task}\");\nt\nt.title\nboard.tasks\nprint(t.title)\nwarn(t.title)\n#{{ a: t.title }}\nt.title += \"!\"\n:changes\n:apply\n"
    );
    let output = lines(&place, &text).code(0);
    for said in [&output.stdout, &output.stderr] {
        let is_raw =
            |ch: char| ch.is_control() && ch != '\n' || ('\u{202a}'..='\u{202e}').contains(&ch);
        assert!(!said.chars().any(is_raw), "{said:?}");
    }
}

/// A session that is talked to line by line.
struct Session {
    child: std::process::Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Session {
    fn start(place: &Place) -> Self {
        Self::start_with(place, &[])
    }

    fn start_with(place: &Place, more: &[&str]) -> Self {
        let mut command = place.command(&[&["repl"], more].concat());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self { child, answers }
    }

    fn line(&mut self, text: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(format!("{text}\n").as_bytes()).unwrap();
        stdin.flush().unwrap();
    }

    #[track_caller]
    fn answers(&mut self, expected: &str) {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        assert_eq!(line.trim_end(), expected);
    }

    fn end(mut self) -> Output {
        drop(self.child.stdin.take());
        let mut stdout = String::new();
        std::io::Read::read_to_string(&mut self.answers, &mut stdout).unwrap();
        let output = self.child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        Output { code: output.status.code().unwrap_or(-1), stdout, stderr }
    }
}

#[cfg(target_os = "linux")]
mod in_a_terminal {
    use super::*;
    use crate::terminal::Terminal;

    const TASKS: [&str; 3] = [
        "Label the spare laptops",
        "Collect ideas for the summer party",
        "Translate the brochure for Besançon",
    ];

    fn opened(place: &Place) -> Terminal {
        let mut terminal = Terminal::start(place, &["repl"]);
        terminal.prompt("planwright ›");
        terminal.does(&format!(":use {PLAN}"), "bos ›");
        terminal
    }

    #[test]
    fn explore_change_apply_and_undo() {
        let planner = Planner::demo();
        let place = free(&planner);
        let before = content(&planner);
        let mut terminal = opened(&place);
        assert!(terminal.does("board.buckets", "bos ›").contains("In Progress"));
        for (n, title) in TASKS.iter().enumerate() {
            let line = format!("let t = board.task(\"{title}\"); t.title += \" now\"");
            let seen = terminal.does(&line, &format!("bos ●{} ›", n + 1));
            assert!(seen.contains(&format!("{title} → {title} now")), "{seen}");
        }
        assert_eq!(content(&planner), before);
        let seen = terminal.does(":apply", "bos ›");
        assert!(seen.contains("Applied 3 changes as rook@bos.example."), "{seen}");
        for title in TASKS {
            planner.task(&format!("{title} now"));
        }
        let seen = terminal.does(":undo", "bos ›");
        assert_eq!(seen.matches("Applied 3 changes").count(), 2, "{seen}");
        assert_eq!(content(&planner), before);
        terminal
            .does("let t = board.task(\"Label the spare laptops\"); t.due = today()", "bos ●1 ›");
        terminal.line(":quit");
        terminal.sees("Quit and lose it? [y/N]");
        terminal.does("n", "bos ●1 ›");
        terminal.press("\u{4}");
        terminal.until(|it| it.matches("Quit and lose it? [y/N]").count() == 2);
        terminal.line("y");
        assert_eq!(terminal.end(), 0);
        assert_eq!(content(&planner), before);
    }

    #[test]
    fn a_conflict_is_decided_field_by_field() {
        let planner = Planner::demo();
        let place = free(&planner);
        let task = |title: &str| planner.task(title)["id"].as_str().unwrap().to_owned();
        let ids = TASKS.map(task);
        let mut terminal = opened(&place);
        for (n, wish) in [
            "t.title = \"my title\"; t.priority = \"urgent\"; t.percent_complete = 50",
            "t.title = \"my other\"",
            "t.title = \"dropped\"",
        ]
        .iter()
        .enumerate()
        {
            let line = format!("let t = board.task(\"{}\"); {wish}", TASKS[n]);
            terminal.does(&line, &format!("bos ●{} ›", n + 1));
        }
        let theirs =
            json!({ "title": "their title", "priority": 3, "dueDateTime": "2199-01-01T10:00:00Z" });
        planner.edit("mei@bos.example", &format!("/planner/tasks/{}", ids[0]), &theirs);
        let other = json!({ "title": "their third" });
        planner.edit("mei@bos.example", &format!("/planner/tasks/{}", ids[2]), &other);
        terminal.line(":apply");
        terminal.sees("theirs  their title");
        terminal.sees("mine    my title");
        terminal.sees("[m]ine, [t]heirs, or [d]rop the whole change?");
        terminal.line("m");
        terminal.sees("mine    urgent");
        terminal.line("nonsense");
        terminal.until(|it| it.matches("[m]ine, [t]heirs").count() == 3);
        terminal.line("theirs");
        terminal.sees("theirs  their third");
        let seen = terminal.does("d", "bos ›");
        assert!(seen.contains("Applied 2 changes"), "{seen}");
        let done = planner.get(&format!("/planner/tasks/{}", ids[0]));
        assert_eq!((&done["title"], &done["priority"]), (&json!("my title"), &json!(3)));
        assert_eq!(done["percentComplete"], 50);
        assert_eq!(done["dueDateTime"], "2199-01-01T10:00:00Z");
        planner.task("my other");
        planner.task("their third");
        terminal.line(":quit");
        assert_eq!(terminal.end(), 0);
    }

    #[test]
    fn what_moves_while_a_question_stands_is_asked_about_again() {
        let planner = Planner::demo();
        let place = free(&planner);
        let id = planner.task(TASKS[0])["id"].as_str().unwrap().to_owned();
        let edit = |body: Value| {
            planner.edit("mei@bos.example", &format!("/planner/tasks/{id}"), &body);
        };
        let mut terminal = opened(&place);
        let wish = "t.title = \"mine\"; t.priority = \"urgent\"";
        terminal.does(&format!("let t = board.task(\"{}\"); {wish}", TASKS[0]), "bos ●1 ›");
        edit(json!({ "title": "theirs A" }));
        terminal.line(":apply");
        terminal.sees("theirs  theirs A");
        terminal.sees("[m]ine, [t]heirs");
        edit(json!({ "title": "theirs B", "priority": 3 }));
        terminal.line("m");
        terminal.sees("theirs  theirs B");
        terminal.until(|it| it.matches("[m]ine, [t]heirs").count() == 2);
        // To ask for time is to decide nothing.
        let seen = terminal.press("\u{3}").prompt("bos ●1 ›");
        assert!(seen.contains("nothing was decided"), "{seen}");
        assert_eq!(planner.task("theirs B")["priority"], 3);
        terminal.line(":quit");
        terminal.sees("Quit and lose it?");
        terminal.press("\u{3}").prompt("bos ●1 ›");
    }

    #[test]
    fn what_was_applied_in_part_is_carried_on_and_made_once() {
        let planner = Planner::demo();
        let place = free(&planner);
        let mut terminal = opened(&place);
        let wish = "for n in 0..4 { board.create_task(#{ title: `made ${n}` }); }";
        terminal.does(wish, "bos ●4 ›");
        // Nothing more gets through after the second.
        planner.faults(&json!([{ "method": "POST", "path": "/planner/tasks", "nth": 3, "times": 9, "action": { "status": 403 } }]));
        let seen = terminal.does(":apply", "bos ›");
        assert!(seen.contains("Applied only in part: 2 of 4 changes."), "{seen}");
        assert!(seen.contains("`:resume` finishes it"), "{seen}");
        planner.faults(&json!([]));
        let seen = terminal.does(":apply", "bos ›");
        assert!(seen.contains("Nothing to change."), "{seen}");
        let seen = terminal.does(":resume", "bos ›");
        assert!(seen.contains("Applied 2 changes"), "{seen}");
        for n in 0..4 {
            let tasks = planner.board()[0].to_string();
            assert_eq!(tasks.matches(&format!("\"made {n}\"")).count(), 1, "{n}");
        }
        terminal.does(":undo --force", "bos ›");
        terminal.does(":undo --force", "bos ›");
        assert!(!planner.board()[0].to_string().contains("\"made "));
    }

    #[test]
    fn what_is_typed_ahead_is_not_lost() {
        let place = Place::embedded();
        let mut terminal = Terminal::start(&place, &["repl"]);
        terminal.prompt("planwright ›");
        terminal.press("let a = 20\rlet b = 22\ra + b\r");
        terminal.until(|it| it.lines().any(|it| it == "42"));
    }

    #[test]
    fn what_is_pasted_is_run_line_by_line() {
        let planner = Planner::demo();
        let place = free(&planner);
        let mut terminal = opened(&place);
        terminal.press("\u{1b}[200~let a = 20\nlet b = 22\n:doc assign\na + b\u{1b}[201~");
        terminal.sees("a + b");
        terminal.press("\r");
        terminal.until(|it| it.lines().any(|it| it == "42"));
        terminal.prompt("bos ›");
        terminal.press("let c = `item ${a} is`");
        terminal.until(|it| it.ends_with("bos › let c = `item ${a} is`"));
    }

    #[test]
    fn what_could_be_typed_is_offered() {
        let planner = Planner::demo();
        let place = free(&planner);
        place.file("scripts/skills/triage.rhai", "1").file("scripts/skills/weekly.rhai", "2");
        let add = "//! Adds a task.\n//!\n//! ```toml\n//! [params]\n//! title = { type = \"string\" }\n//! ```\nparams.title";
        place.file("scripts/skills/add.rhai", add);
        let mut terminal = opened(&place);
        terminal.does("let task = board.tasks[0]", "bos ›");
        terminal.press("task.");
        terminal.sees("› task.");
        terminal.press("\t\t");
        // What is offered comes line by line.
        let all = |seen: &str, names: &[&str]| names.iter().all(|name| seen.contains(name));
        let (seen, _) = terminal.until(|seen| all(seen, &["percent_complete", "assign("]));
        assert!(!seen.contains("create_bucket"), "{seen}");
        terminal.press("\u{15}");
        terminal.prompt("bos ›");
        terminal.press("board.bucket(\"\t\t");
        terminal.until(|seen| all(seen, &["In Progress", "This Week", "Done"]));
        terminal.press("This\t");
        terminal.sees("board.bucket(\"This Week\"");
        terminal.press(").name\r");
        terminal.until(|it| it.lines().any(|it| it == "This Week"));
        terminal.prompt("bos ›");
        terminal.press(":run \t\t");
        terminal.until(|seen| all(seen, &["weekly", "triage"]));
        terminal.press("tr\t");
        terminal.sees(":run triage");
        terminal.press("\r");
        terminal.prompt("bos ›");
        terminal.press("board.bucket(");
        terminal.sees("bucket(name_or_id: text) → Bucket");
        terminal.press("\u{15}").prompt("bos ›");
        terminal.press("board.create_task(#{ tit\t\"x\", lab\t");
        terminal.sees("board.create_task(#{ title: \"x\", labels:");
        terminal.press("\u{15}").prompt("bos ›");
        terminal.press(":run add ti\t");
        terminal.sees(":run add title=");
    }

    #[test]
    fn ctrl_c_stops_the_line_and_keeps_the_session() {
        let planner = Planner::demo();
        let place = free(&planner);
        place.file(
            "planwright.toml",
            "[policies]\nalways = []\n[limits]\noperations = 9_000_000_000_000\ncomputing_seconds = 600\nseconds = 600\n",
        );
        let mut terminal = opened(&place);
        let keep =
            "let kept = 41; let t = board.tasks[0]; let u = board.tasks[1]; t.title = \"kept\"";
        terminal.does(keep, "bos ●1 ›");
        let mut times = Vec::new();
        for n in 1..=5 {
            terminal.line("u.title = \"dropped\"; print(\"on\"); loop { }");
            terminal.until(|it| it.lines().filter(|it| *it == "on").count() == n);
            terminal.press("\u{3}");
            let (_, took) = terminal.until(|it| it.matches("interrupted").count() == n);
            times.push(took);
            terminal.prompt("bos ●1 ›");
        }
        times.sort();
        println!("stopped after {times:?}");
        assert!(terminal.does("kept + 1", "bos ●1 ›").lines().any(|it| it == "42"));
        assert!(terminal.does(":apply", "bos ›").contains("Applied 1 change"));
        planner.task("kept");
        // At the prompt it only takes back what is typed.
        terminal.press("half a li\u{3}");
        terminal.sees("Ctrl-D, to leave");
        terminal.prompt("bos ›");
    }

    #[test]
    fn what_is_saved_is_told_above_the_line_that_is_typed() {
        let place = Place::embedded();
        place.file("planwright.toml", FREE).file("scripts/lib/dates.rhai", "fn number() { 1 }");
        let mut terminal = Terminal::start(&place, &["repl"]);
        terminal.prompt("planwright ›");
        terminal.does("import \"dates\" as dates", "planwright ›");
        assert!(terminal.does("dates::number()", "planwright ›").lines().any(|it| it == "1"));
        terminal.press("dates::num");
        terminal.sees("› dates::num");
        place.file("scripts/lib/dates.rhai", "fn number() { 7 }");
        terminal.until(|it| {
            it.contains("lib/dates.rhai is in force")
                && it.lines().last().is_some_and(|it| it.starts_with("planwright › dates::num"))
        });
        let seen = terminal.does("ber()", "planwright ›");
        assert!(seen.lines().any(|it| it == "7"), "{seen}");
        place.file("scripts/lib/dates.rhai", "fn number( { 8 }");
        terminal.until(|it| {
            it.contains("broken: lib/dates.rhai:1")
                && it.lines().last().is_some_and(|it| it.trim_end() == "planwright ›")
        });
        let seen = terminal.does("dates::number() + 1", "planwright ›");
        assert!(seen.lines().any(|it| it == "8"), "{seen}");
    }

    #[test]
    fn a_hostile_title_moves_no_cursor_and_fakes_no_prompt() {
        let planner = Planner::demo();
        let place = free(&planner);
        let hostile =
            "\u{1b}[2J\u{1b}[H\u{1b}]0;owned\u{7}\u{1b}[31m\u{9b}5mred\u{202e}\r\nbos › done";
        let (task, bucket) = (planner.task(TASKS[0])["id"].clone(), planner.bucket_id("Inbox"));
        let rename = |path: &str, body: Value| planner.edit("mei@bos.example", path, &body);
        rename(&format!("/planner/tasks/{}", task.as_str().unwrap()), json!({ "title": hostile }));
        rename(&format!("/planner/buckets/{bucket}"), json!({ "name": hostile }));
        let mut terminal = opened(&place);
        let before = terminal.sent().len();
        let task = task.as_str().unwrap();
        for line in [
            format!("task(\"{task}\")"),
            format!("task(\"{task}\").title"),
            "board.buckets".to_owned(),
            "board.tasks.filter(|t| t.bucket != ())".to_owned(),
            format!("let t = task(\"{task}\"); t.title += \"!\""),
            ":changes".to_owned(),
            ":discard".to_owned(),
        ] {
            let is_pending = line.contains("+=") || line == ":changes";
            terminal.does(&line, if is_pending { "bos ●1 ›" } else { "bos ›" });
        }
        // The completion of names, too.
        terminal.press("board.bucket(\"\t\t");
        terminal.until(|it| {
            it.lines().last().is_some_and(|it| it.starts_with("bos › board.bucket("))
                && it.matches("This Week").count() > 1
        });
        let all = terminal.sent();
        let seen = terminal.seen();
        for raw in ["\u{1b}[2J", "\u{1b}]0;", "\u{9b}", "\u{202e}"] {
            assert!(!all.get(before..).unwrap().contains(raw), "{raw:?} in {all:?}");
        }
        assert!(!seen.lines().any(|it| it.trim() == "bos › done"), "{seen}");
        assert!(seen.contains("␛[2J"), "{seen}");
    }

    #[test]
    fn what_was_typed_is_kept_without_secrets() {
        let place = Place::embedded();
        let mut terminal = Terminal::start(&place, &["repl"]);
        terminal.prompt("planwright ›");
        terminal.does("1 + 41", "planwright ›");
        terminal.does("\"Bearer eyJ0eXAiOiJKV1Qi\".len()", "planwright ›");
        assert!(terminal.does(" 7 * 7", "planwright ›").lines().any(|it| it == "49"));
        terminal.press("\u{4}");
        assert_eq!(terminal.end(), 0);
        let mut terminal = Terminal::start(&place, &["repl"]);
        terminal.prompt("planwright ›");
        terminal.press("\u{1b}[A");
        terminal.prompt("planwright › 1 + 41");
        terminal.press("\r");
        terminal.until(|it| it.lines().any(|it| it == "42"));
        let mut kept = Vec::new();
        let mut folders = vec![place.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.to_string_lossy().contains("history") {
                    kept.push(path);
                }
            }
        }
        assert_eq!(kept.len(), 1, "{kept:?}");
        let text = std::fs::read_to_string(&kept[0]).unwrap();
        assert!(
            text.contains("1 + 41") && !text.contains("eyJ") && !text.contains("7 * 7"),
            "{text}"
        );
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&kept[0]).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{mode:o}");
    }
}
