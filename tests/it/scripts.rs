//! The script API on a board, and the skills that we ship.

use serde_json::json;

use crate::support::{PLAN, Place, Planner, on_one_day, today};

/// Runs a script against the demo board and returns its result.
#[track_caller]
fn result_of(place: &Place, script: &str) -> serde_json::Value {
    let report = place.script(script, &["--json", "--dry-run"]).json();
    assert_eq!(report["error"], json!(null), "{report:#}");
    report["result"].clone()
}

#[test]
fn a_script_sees_its_own_wishes() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let script = format!(
        r#"
        let board = plan("{PLAN}");
        let t = board.task("Book the room for the customer day");
        t.move_to("This Week");
        t.assign(me());
        t.complete();
        let n = board.tasks.len();
        let added = board.bucket("Inbox").create_task(#{{ title: "New" }});
        let gone = board.task("Update the emergency contact list");
        gone.delete();
        let kinds = [];
        try {{ added.created_at; }} catch (e) {{ kinds.push(e.kind); }}
        try {{ gone.title; }} catch (e) {{ kinds.push(e.kind); }}
        #{{
            bucket: t.bucket.name,
            mine: t.assigned_to("rook@bos.example"),
            done: t.is_completed,
            in_week: board.bucket("This Week").tasks.filter(|x| x == t).len(),
            new_in_inbox: board.bucket("Inbox").tasks.filter(|x| x.title == "New").len(),
            same_number: board.tasks.len() == n,
            found: board.task("New") == added,
            default_priority: added.priority,
            kinds: kinds,
        }}
        "#
    );
    assert_eq!(
        result_of(&place, &script),
        json!({
            "bucket": "This Week", "mine": true, "done": true, "in_week": 1, "new_in_inbox": 1,
            "same_number": true, "found": true, "default_priority": 5,
            "kinds": ["not_yet_known", "gone"],
        })
    );
}

#[test]
fn days_are_calendar_days() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let script = r#"
        let d = date("2026-03-27");
        #{
            weekday: d.weekday,
            next_friday: d.next("friday"),
            next_saturday: d.next("sat"),
            week: d.start_of_week(),
            end: date("2028-02-03").end_of_month(),
            later: d + days(5),
            between: date("2026-04-01") - d,
            less: d < date("2026-03-28"),
            same: d == date("2026-03-27"),
            text: d.format("%d.%m.%Y"),
            parts: [d.year, d.month, d.day],
            now_is_today: now() == today(),
        }
    "#;
    assert_eq!(
        result_of(&place, script),
        json!({
            "weekday": "friday", "next_friday": "2026-04-03", "next_saturday": "2026-03-28",
            "week": "2026-03-23", "end": "2028-02-29", "later": "2026-04-01", "between": 5,
            "less": true, "same": true, "text": "27.03.2026", "parts": [2026, 3, 27],
            "now_is_today": true,
        })
    );
}

#[test]
fn people_are_known_by_name_address_and_id() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let id = planner.get("/users/mei@bos.example")["id"].clone();
    let script = format!(
        r#"
        let by_upn = user("mei@bos.example");
        #{{
            by_id: user({id}) == by_upn,
            by_name: user("Mei Tanaka") == by_upn,
            me: user("me") == me(),
            upn: by_upn.upn,
            name: by_upn.name,
            groups: groups().map(|g| g.name),
            members: plan("{PLAN}").members.len(),
        }}
        "#
    );
    assert_eq!(
        result_of(&place, &script),
        json!({
            "by_id": true, "by_name": true, "me": true, "upn": "mei@bos.example",
            "name": "Mei Tanaka", "groups": ["BOS", "Website"], "members": 6,
        })
    );
}

#[test]
fn checklists_and_labels_are_changed_by_verbs() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let script = format!(
        r#"
        let t = plan("{PLAN}").task("Answer the auditor's questions");
        for item in t.checklist {{ item.check(); }}
        let added = t.add_checklist_item("Send the answers");
        added.title = "Send all answers";
        t.checklist[0].remove();
        t.add_label("IT");
        t.remove_label("Finance");
        t.labels
        "#
    );
    place.script(&script, &[]).code(0);
    let task = planner.task("Answer the auditor's questions");
    let details = planner.get(&format!("/planner/tasks/{}/details", task["id"].as_str().unwrap()));
    let mut items: Vec<_> = details["checklist"]
        .as_object()
        .unwrap()
        .values()
        .map(|it| (it["title"].as_str().unwrap().to_owned(), it["isChecked"] == true))
        .collect();
    items.sort();
    assert_eq!(items.len(), 3, "{items:?}");
    assert!(items.contains(&("Send all answers".to_owned(), false)), "{items:?}");
    assert_eq!(items.iter().filter(|(_, checked)| *checked).count(), 2);
    assert_eq!(task["appliedCategories"], json!({ "category5": true }));
}

#[test]
fn buckets_and_checklist_items_stand_where_they_are_moved() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let script = format!(
        r#"
        let board = plan("{PLAN}");
        let done = board.bucket("Done");
        let inbox = board.bucket("Inbox");
        let week = board.bucket("This Week");
        done.move_before(inbox);
        let later = board.create_bucket("Later");
        inbox.move_after(later);
        later.move_before(week);
        week.move_before(later);
        let t = board.task("Answer the auditor's questions");
        let items = t.checklist;
        items[2].move_before(items[0]);
        t.add_checklist_item("Last");
        items[0].move_after(items[1]);
        let made = board.create_task(#{{ title: "Listed", checklist: ["A", "B", "C", "D"] }});
        [board.buckets.map(|b| b.name), t.checklist.map(|i| i.title), made.checklist.map(|i| i.title)]
        "#
    );
    let report = place.script(&script, &["--json"]).code(0).json();
    let script = format!(
        r#"let board = plan("{PLAN}");
        [board.buckets.map(|b| b.name),
         board.task("Answer the auditor's questions").checklist.map(|i| i.title),
         board.task("Listed").checklist.map(|i| i.title)]"#
    );
    // What the script saw is what the service made of it.
    assert_eq!(result_of(&place, &script), report["result"]);
    let buckets = ["Done", "This Week", "Later", "In Progress", "Inbox"];
    assert_eq!(report["result"][0], json!(buckets));
    assert_eq!(report["result"][1][3], "Last");
    assert_eq!(report["result"][2], json!(["A", "B", "C", "D"]));
}

#[test]
fn texts_can_be_added_to() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let script = format!(
        r#"
        let t = plan("{PLAN}").task("Book the room for the customer day");
        t.description += "First";
        t.description += " and second";
        t.title += "!";
        t.priority += 1;
        [t.title, t.description]
        "#
    );
    let report = place.script(&script, &["--json"]).code(0).json();
    let texts = ["Book the room for the customer day!", "First and second"];
    assert_eq!(report["result"], json!(texts));
    let task = planner.task("Book the room for the customer day!");
    assert_eq!((&task["priority"], &task["hasDescription"]), (&json!(6), &json!(true)));
}

#[test]
fn a_run_finds_what_it_has_just_made() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let script = format!(
        r#"
        let before = my_tasks().len();
        let made = create_plan("BOS", "Fresh");
        for n in 1..=12 {{ made.create_bucket(`B${{n}}`); }}
        plan("{PLAN}").task("Book the room for the customer day").assign("me");
        let b = made.create_bucket("Dropped");
        b.create_task(#{{ title: "Dropped too" }});
        b.delete();
        [plan("Fresh") == made, plans().len(), my_tasks().len() - before,
         made.buckets.map(|b| b.name).index_of("B10"), made.tasks.len()]
        "#
    );
    assert_eq!(result_of(&place, &script), json!([true, 3, 1, 9, 0]));
}

#[test]
fn an_id_in_a_text_of_an_older_task_becomes_real() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let script = format!(
        r#"
        let board = plan("{PLAN}");
        let made = board.create_task(#{{ title: "Made" }});
        let old = board.task("Book the room for the customer day");
        old.description = `see ${{made.id}}`;
        "#
    );
    place.script(&script, &[]).code(0);
    let (made, old) = (planner.task("Made"), planner.task("Book the room for the customer day"));
    let details = planner.get(&format!("/planner/tasks/{}/details", old["id"].as_str().unwrap()));
    assert_eq!(details["description"], format!("see {}", made["id"].as_str().unwrap()));
    // A title can not name what is made after it.
    let script = format!(
        "let b = plan(\"{PLAN}\"); let x = b.create_task(#{{ title: \"X\" }}); \
         let y = b.create_task(#{{ title: \"Y\" }}); x.title = y.id;"
    );
    place.script(&script, &[]).code(1).says(&["which does not exist yet"]);
}

#[test]
fn the_ends_of_the_calendar_are_errors() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    for script in
        ["today() + days(9000000)", "today() - days(9000000)", "date(\"9999-12-31\") + days(1)"]
    {
        place.script(script, &[]).code(1).says(&["outside the calendar"]);
    }
    let far = ["task", "update", "Label the spare laptops", "--due", "9999-12-31"];
    place.run(&far).code(1).says(&["out of range"]);
}

#[test]
fn references_are_found_under_the_services_own_key() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let script = format!(
        r##"
        let t = plan("{PLAN}").task("Book the room for the customer day");
        t.add_reference("https://wiki.example.org/a.b?x=1#top", "Wiki");
        t.add_reference("http://u@files.example.org/100%25.docx", "File");
        t.preview_type = "reference";
        let made = plan("{PLAN}").create_task(#{{ title: "Linked", references: [
            "https://example.org/plain", #{{ url: "https://example.org/x", alias: "X" }},
        ] }});
        [t.references.len(), made.references.map(|r| r.url), made.preview_type]
        "##
    );
    let report = place.script(&script, &["--json"]).code(0).json();
    let urls = ["https://example.org/plain", "https://example.org/x"];
    assert_eq!(report["result"], json!([2, urls, "automatic"]));
    let id = planner.task("Book the room for the customer day")["id"].as_str().unwrap().to_owned();
    let details = planner.get(&format!("/planner/tasks/{id}/details"));
    let keys: Vec<_> = details["references"].as_object().unwrap().keys().collect();
    assert!(
        keys.contains(&&"https%3A//wiki%2Eexample%2Eorg/a%2Eb?x=1%23top".to_owned()),
        "{keys:?}"
    );
    assert_eq!(details["previewType"], "reference");
    assert_eq!(planner.task("Linked")["referenceCount"], 2);
    let script = format!(
        "let t = plan(\"{PLAN}\").task(\"Book the room for the customer day\");
         t.remove_reference(\"https://wiki.example.org/a.b?x=1#top\"); t.references.map(|r| r.alias)"
    );
    let report = place.script(&script, &["--json"]).code(0).json();
    assert_eq!(report["result"], json!(["File"]));
    let details = planner.get(&format!("/planner/tasks/{id}/details"));
    assert_eq!(details["references"].as_object().unwrap().len(), 1);
    place
        .script(&format!("plan(\"{PLAN}\").tasks[0].add_reference(\"file:///etc\", \"x\")"), &[])
        .code(1)
        .says(&["is not a link"]);
}

#[test]
fn a_plan_is_labelled_and_shared_old_or_new() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let script = format!(
        r#"
        let old = plan("{PLAN}");
        old.set_label("Finance", "Money");
        old.set_label(6, "");
        old.set_label(9, "Legal");
        old.unshare_with("mei@bos.example");
        old.set_label(1, old.labels[0]);
        let made = create_plan("BOS", "Labelled");
        made.set_label(2, "Urgent");
        made.share_with("victor@bos.example");
        let t = made.create_task(#{{ title: "T", labels: ["Urgent"] }});
        [old.labels, t.labels]
        "#
    );
    let report = place.script(&script, &["--json"]).code(0).json();
    let labels = ["Operations", "Money", "Marketing", "People", "IT", "Legal"];
    assert_eq!(report["result"], json!([labels, ["Urgent"]]));
    let writes = planner.writes();
    let body = json!({
        "categoryDescriptions": { "category2": "Money", "category6": null, "category9": "Legal" },
        "sharedWith": { planner.get("/users/mei@bos.example")["id"].as_str().unwrap(): false }
    });
    assert_eq!(writes[0].body.as_ref(), Some(&body));
    assert!(writes[0].path.ends_with("/details"));
    let change = &report["changes"][0];
    assert_eq!((&change["op"], &change["entity"]), (&json!("update"), &json!("plan_details")));
    let made = report["changes"].as_array().unwrap().iter().find(|it| it["title"] == "Labelled");
    let id = made.unwrap()["id"].as_str().unwrap();
    let details = planner.get(&format!("/planner/plans/{id}/details"));
    assert_eq!(details["categoryDescriptions"]["category2"], "Urgent");
    assert_eq!(details["sharedWith"].as_object().unwrap().len(), 2);
}

#[test]
fn overdue_means_past_the_due_day_and_open() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let script = format!(
        r#"
        let board = plan("{PLAN}");
        let t = board.create_task(#{{ title: "T", due: today() }});
        let today_is = t.is_overdue();
        t.due = today() - days(1);
        let yesterday = [t.is_overdue(), t.is_overdue(0), t.is_overdue(1), t.is_overdue(2)];
        t.complete();
        [today_is, yesterday, t.is_overdue()]
        "#
    );
    assert_eq!(result_of(&place, &script), json!([false, [true, true, true, false], false]));
}

#[test]
fn the_zone_decides_what_day_it_is() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let day_in = |zone: &str| {
        place.file("planwright.toml", &format!("time_zone = \"{zone}\"\n"));
        result_of(&place, "today()")
    };
    // These two are a day and more apart at any moment.
    assert_ne!(day_in("Pacific/Kiritimati"), day_in("Pacific/Pago_Pago"));
}

/// Under `faketime` the tests would else shift no clock but their own.
#[test]
fn the_program_has_the_day_of_the_tests() {
    on_one_day(|| {
        let place = Place::embedded();
        assert_eq!(result_of(&place, "today()"), today().to_string());
    });
}

/// Of these zones one has another date than UTC at any moment.
#[test]
fn the_demo_board_counts_its_days_from_today_in_the_zone() {
    on_one_day(|| {
        for zone in ["Pacific/Kiritimati", "Pacific/Pago_Pago"] {
            let place = Place::embedded();
            place.file("planwright.toml", &format!("time_zone = \"{zone}\"\n"));
            let script =
                format!("plan(\"{PLAN}\").task(\"Label the spare laptops\").due - today()");
            assert_eq!(result_of(&place, &script), 9, "{zone}");
        }
    });
}

#[test]
fn descriptions_of_a_whole_list_are_read_in_growing_steps() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let script =
        format!("let n = 0; for t in plan(\"{PLAN}\").tasks {{ n += t.description.len(); }} n");
    place.script(&script, &["-n"]).code(0);
    let mut details = 0;
    let mut round_trips = 0;
    for exchange in planner.exchanges() {
        // Those inside a batch are seen by themselves too.
        details += usize::from(exchange.path.ends_with("/details"));
        round_trips += usize::from(exchange.path.ends_with("/$batch"));
    }
    let with_details = planner.get(&format!("/planner/plans/{}/tasks", planner.plan_id()));
    let expected = with_details["value"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| {
            it["hasDescription"] == true
                || it["checklistItemCount"] != 0
                || it["referenceCount"] != 0
        })
        .count();
    // One for each task that has details, and none for those that have not.
    assert_eq!(details, expected);
    assert!(round_trips <= expected.div_ceil(20) + 2, "{round_trips} for {expected}");
}

#[test]
fn morning_triage_takes_the_longest_overdue_first_and_leaves_others_alone() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let run = place.run(&["run", "morning_triage", "-p", "limit=2"]).code(0);
    assert!(run.stderr.contains("4 more are overdue"), "{}", run.stderr);
    place.run(&["run", "morning_triage", "-p", "days=1000"]).code(0).says(&["Nothing to change."]);
    let rest = place.run(&["run", "morning_triage", "--json"]).code(0).json();
    assert_eq!(rest["changes"].as_array().unwrap().len(), 4);
    place.run(&["run", "morning_triage"]).code(0).says(&["Nothing to change."]);
}

#[test]
fn capture_action_item_fills_in_everything_and_refuses_a_duplicate() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let capture = |title: &str| {
        let title = format!("title={title}");
        place.run(&[
            "run",
            "capture_action_item",
            "-p",
            &title,
            "-p",
            "department=Finance",
            "-p",
            "assignee=mei@bos.example",
            "-p",
            "due=2031-12-24",
            "-p",
            "notes=Ask twice",
            "--json",
        ])
    };
    let report = capture("Pay the insurance").code(0).json();
    let task = planner.task("Pay the insurance");
    assert_eq!(report["result"]["id"], task["id"]);
    assert_eq!(task["bucketId"], json!(planner.bucket_id("Inbox")));
    assert_eq!(task["appliedCategories"], json!({ "category2": true }));
    assert_eq!(task["dueDateTime"], "2031-12-24T10:00:00Z");
    assert_eq!(task["hasDescription"], true);
    let again = capture(" pay  THE insurance ").code(1).json();
    assert_eq!(
        again["error"]["message"],
        "\"Pay the insurance\" is on the board already, in Inbox"
    );
    let place = Place::against(&planner);
    place
        .run(&["run", "capture_action_item", "-p", "title=X", "-p", "department=Legal"])
        .code(1)
        .says(&["there is no label `Legal` in the plan `BOS Operations`", "`Finance`"]);
    place
        .run(&["run", "capture_action_item", "-p", "title=  "])
        .code(1)
        .says(&["the title is empty"]);
}

#[test]
fn weekly_report_is_a_markdown_table_and_writes_nothing() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let id = planner.task("Renew the liability insurance")["id"].as_str().unwrap().to_owned();
    let title = json!({ "title": "A | B <script> [x](y)" });
    planner.edit("rook@bos.example", &format!("/planner/tasks/{id}"), &title);
    let report = place.run(&["run", "weekly_report"]).code(0).says(&["Nothing to change."]).stdout;
    assert!(report.starts_with("# BOS Operations, week to "), "{report}");
    let inbox = report.lines().find(|it| it.starts_with("| Inbox |")).unwrap();
    assert_eq!(inbox.split('|').count(), 7, "{inbox}");
    assert!(report.contains("| A \\| B &lt;script> \\[x](y) |"), "{report}");
    let rows: Vec<_> = report.lines().filter(|it| it.starts_with('|')).collect();
    assert!(rows.len() > 8, "{report}");
    assert!(planner.requests().iter().all(|it| it.starts_with("GET ")));
}

#[test]
fn a_key_makes_it_the_same_task_each_time() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let script = format!(
        r#"let p = plan("{PLAN}");
        let a = p.create_task(#{{ title: "Pay the invoice", key: "inv 7/2026" }});
        let b = p.create_task(#{{ title: "Pay it again", key: "inv 7/2026" }});
        let other = p.create_task(#{{ title: "Another", key: "inv 8/2026" }});
        [a == b, a == other, b.title]"#
    );
    let first = place.script(&script, &["--json"]).code(0).json();
    assert_eq!(first["result"], json!([true, false, "Pay the invoice"]));
    assert_eq!(first["changes"].as_array().unwrap().len(), 2);
    // Whatever became of it meanwhile.
    place
        .run(&["task", "update", "Pay the invoice", "--title", "Paid", "--progress", "100"])
        .code(0);
    let second = place.script(&script, &["--json"]).code(0).json();
    assert_eq!(second["status"], "no_changes");
    assert_eq!(second["result"][2], "Paid");
    let made = ["task", "create", "Pay it", "--plan", PLAN, "--key", "inv 7/2026", "--json"];
    assert_eq!(place.run(&made).code(0).json()["status"], "no_changes");
    place
        .script(&format!("plan(\"{PLAN}\").create_task(#{{ title: \"x\", key: \" \" }})"), &[])
        .code(1)
        .says(&["the key of a task is empty"]);
}

#[test]
fn the_thread_of_comments_is_kept_with_the_task() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let title = "Book the room for the customer day";
    let set = |value: &str| {
        let script = format!(
            "let t = plan(\"{PLAN}\").task(\"{title}\"); t.conversation_thread_id = {value}; t.conversation_thread_id"
        );
        let report = place.script(&script, &["--json"]).code(0).json();
        assert_eq!(planner.task(title)["conversationThreadId"], report["result"]);
        report["result"].clone()
    };
    assert_eq!(set("\"AAQkADUuMTZjZGU=\""), "AAQkADUuMTZjZGU=");
    assert_eq!(set("()"), serde_json::Value::Null);
}

#[test]
fn the_tasks_of_a_person_are_shown_as_far_as_planner_tells() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    assert_eq!(result_of(&place, "me().tasks.len == my_tasks().len && me().tasks.len > 0"), true);
    place
        .script("user(\"ana@bos.example\").tasks", &[])
        .code(5)
        .says(&["Planner does not show you the tasks of `Ana Ferreira`", "plans that you share"]);
}
