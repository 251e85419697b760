//! Whole plans: copied, exported, imported.

use serde_json::{Value, json};

use crate::support::{PLAN, Place, Planner};

/// A place whose workspace has no policy, so that more than ten tasks may be made.
fn place(planner: &Planner) -> Place {
    let place = Place::against(planner);
    place.file("planwright.toml", "[policies]\nalways = []\n");
    place
}

fn exported(place: &Place, plan: &str) -> Value {
    serde_json::from_str(&place.run(&["plan", "export", plan]).code(0).stdout).unwrap()
}

#[test]
fn a_copy_is_the_same_plan_over_again() {
    let planner = Planner::demo();
    let place = place(&planner);
    let keep = "--keep=assignees,dates,progress";
    place
        .run(&["plan", "copy", PLAN, "--title", "Copy", keep])
        .code(0)
        .says(&["Applied 36 changes"]);
    let (mut original, mut copy) = (exported(&place, PLAN), exported(&place, "Copy"));
    assert_eq!(original["title"].take(), PLAN);
    assert_eq!(copy["title"].take(), "Copy");
    assert_eq!(copy, original);
}

#[test]
fn a_copy_begins_afresh_unless_told_otherwise() {
    let planner = Planner::demo();
    let place = place(&planner);
    place.run(&["plan", "copy", PLAN, "--title", "Fresh", "--group", "Website"]).code(0);
    let copy = exported(&place, "Fresh");
    let tasks: Vec<&Value> = copy["buckets"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|it| it["tasks"].as_array().unwrap())
        .collect();
    assert_eq!(tasks.len(), 30);
    let checked = |it: &&&Value| it["checklist"].to_string().contains("true");
    assert_eq!(tasks.iter().filter(checked).count(), 0);
    assert!(tasks.iter().all(|it| it["assignees"] == json!([]) && it["percentComplete"] == 0));
    assert!(tasks.iter().all(|it| it["dueDateTime"].is_null()));
    let got = place.run(&["plan", "get", "Fresh", "--json"]).code(0).json();
    let website = place.run(&["group", "get", "Website", "--json"]).code(0).json();
    assert_eq!(got["owner"], website["id"]);
}

/// The policy in force by default lets nobody make thirty tasks at once.
#[test]
fn a_copy_is_judged_like_any_run() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let copy = ["plan", "copy", PLAN, "--title", "Copy"];
    place.run(&copy).code(7).says(&["touches 30 tasks"]);
    assert_eq!(planner.writes().len(), 0);
}

#[test]
fn json_and_csv_come_back() {
    let planner = Planner::demo();
    let place = place(&planner);
    let edit = format!(
        "let p = plan(\"{PLAN}\"); let t = p.task(\"Label the spare laptops\"); t.title = \"=HYPERLINK(1)\"; p.create_task(#{{ title: \"Keyed\", key: \"k 1\", checklist: [\"-1\", \"b\"] }});"
    );
    place.script(&edit, &[]).code(0);
    for format in ["json", "csv"] {
        let file = format!("plan.{format}");
        let to = ["plan", "export", PLAN, "--format", format, "--to", &file];
        place.run(&to).code(0).says(&["Wrote 31 tasks to plan."]);
        let title = format!("From {format}");
        place.run(&["plan", "import", &file, "--title", &title, "--group", "BOS"]).code(0);
        let (original, made) = (exported(&place, PLAN), exported(&place, &title));
        let titles = |it: &Value| -> Vec<Value> {
            let tasks = |it: &Value| it["tasks"].as_array().unwrap().clone();
            let buckets = it["buckets"].as_array().unwrap();
            let all = buckets.iter().flat_map(tasks).chain(tasks(it));
            all.map(|it| {
                // Of a sheet, the id becomes the key of a task that has none.
                let key = Some(&it["key"]).filter(|key| format == "json" || **key == "k 1");
                json!([it["title"], it["assignees"], it["dueDateTime"], it["checklist"], key])
            })
            .collect()
        };
        assert_eq!(titles(&made), titles(&original), "{format}");
        assert!(titles(&made).iter().any(|it| it[0] == "=HYPERLINK(1)"));
    }
    let sheet = std::fs::read_to_string(place.path().join("plan.csv")).unwrap();
    assert!(sheet.contains("\n'=HYPERLINK(1),"), "{sheet}");
}

/// Buckets and labels of the same name are used; nothing that is there is changed; what has a
/// key is made once.
#[test]
fn an_import_adds_to_what_is_there() {
    let planner = Planner::demo();
    let place = place(&planner);
    let before = exported(&place, PLAN);
    place.file(
        "more.csv",
        "title,bucket,labels,assignees,key\nOne,Inbox,Finance;Legal,ana@bos.example,k1\nTwo,Later,category9,,k2\nThree,,,,k3\n",
    );
    let import = ["plan", "import", "more.csv", "--plan", PLAN, "--json"];
    let report = place.run(&import).code(0).json();
    let made: Vec<&str> = report["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["entity"].as_str().unwrap())
        .collect();
    assert_eq!(made, ["plan_details", "bucket", "task", "task", "task"]);
    assert_eq!(
        report["changes"][0]["fields"]["categoryDescriptions"]["after"]["category7"],
        "Legal"
    );
    let task = planner.task("One");
    assert_eq!(task["appliedCategories"], json!({ "category2": true, "category7": true }));
    assert_eq!(planner.task("Two")["appliedCategories"], json!({ "category9": true }));
    assert_eq!(planner.task("Three")["bucketId"], Value::Null);
    let again = place.run(&import).code(0).json();
    assert_eq!(again["status"], "no_changes");
    assert!(again["warnings"].to_string().contains("3 tasks were left as they are"), "{again}");
    let mut after = exported(&place, PLAN);
    after["labels"].as_object_mut().unwrap().remove("category7");
    assert_eq!(after["labels"], before["labels"]);
    assert_eq!(after["buckets"][1], before["buckets"][1]);
}

#[test]
fn what_can_not_be_imported_says_what_and_where() {
    let planner = Planner::demo();
    let place = place(&planner);
    place.file("who.csv", "title,assignees\nA,me\nB,nobody@bos.example\n");
    let who = ["plan", "import", "who.csv", "--plan", PLAN];
    place
        .run(&who)
        .code(1)
        .says(&["`who.csv`: line 3, assignees: there is no user `nobody@bos.example`"]);
    place.run(&[&who[..], &["--no-assignees", "--dry-run"]].concat()).code(0);
    place.file("day.csv", "title,due\nA,tomorrow\n");
    place
        .run(&["plan", "import", "day.csv", "--plan", PLAN])
        .code(1)
        .says(&["`day.csv`: line 2, due: `tomorrow` is not a date"]);
    place.file("new.json", "{ \"format\": 2, \"title\": \"x\" }");
    place.run(&["plan", "import", "new.json", "--plan", PLAN]).code(1).says(&["its format is 2"]);
    place.file("odd.json", "{ \"format\": 1, \"title\": \"x\", \"taskz\": [] }");
    place.run(&["plan", "import", "odd.json", "--plan", PLAN]).code(1).says(&["`taskz`"]);
    for (file, text, says) in [
        ("keys.csv", "title,key\nA,k\nB,k\n", "`A` and `B` have the same key `k`"),
        ("twice.csv", "title,due,title\nA,,B\n", "`title` appears twice"),
        ("quote.csv", "title,description\nA,\"never closed\nB,lost\n", "quote"),
    ] {
        place.file(file, text);
        place.run(&["plan", "import", file, "--plan", PLAN]).code(1).says(&[says]);
    }
    place.run(&["plan", "import", "new.txt", "--plan", PLAN]).code(2).says(&["--format csv"]);
    place.run(&["plan", "import", "x.csv"]).code(2);
    assert_eq!(planner.writes().len(), 0);
}

/// People do not write names the same way twice; two that differ in nothing else stay two.
#[test]
fn names_are_matched_whatever_their_case() {
    let planner = Planner::demo();
    let place = place(&planner);
    place.file("case.csv", "title,bucket,labels\nA,INBOX,finance\n");
    let report =
        place.run(&["plan", "import", "case.csv", "--plan", PLAN, "--json"]).code(0).json();
    assert_eq!(report["changes"].as_array().unwrap().len(), 1, "{report}");
    assert_eq!(planner.task("A")["appliedCategories"], json!({ "category2": true }));
    let source = exported(&place, PLAN);
    let mut twins = source;
    let bucket = json!({ "name": "Twin", "tasks": [{ "title": "One" }] });
    let other = json!({ "name": "Twin", "tasks": [{ "title": "Two" }] });
    twins["labels"] = json!({});
    twins["buckets"] = json!([bucket, other]);
    place.file("twins.json", &twins.to_string());
    let new = ["plan", "import", "twins.json", "--title", "Twins", "--group", "BOS"];
    place.run(&new).code(0);
    let after = exported(&place, "Twins");
    let titles: Vec<&Value> = (0..2).map(|at| &after["buckets"][at]["tasks"][0]["title"]).collect();
    assert_eq!(titles, [&json!("One"), &json!("Two")]);
}

#[test]
fn a_plan_is_written_down_for_people() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let text = place.run(&["plan", "export", PLAN, "--format", "md"]).code(0).stdout;
    assert!(text.starts_with("# BOS Operations\n\n## Inbox\n"), "{text}");
    assert!(text.contains("\n- [x] **Sign the cleaning contract** — _Operations_\n"), "{text}");
    let details = place.run(&["plan", "details", PLAN, "--json"]).code(0).json();
    let labels = details["categoryDescriptions"].as_object().unwrap();
    assert_eq!((labels.len(), &labels["category1"]), (25, &json!("Operations")));
    assert!(labels["category25"].is_null());
    assert!(details["sharedWith"].as_object().unwrap().values().all(|it| it == &json!(true)));
    place.run(&["plan", "details", PLAN]).code(0);
}
