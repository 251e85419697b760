//! The lists people want, and what they type: filters, orders, dates, parts of names, many tasks.

use jiff::Span;
use jiff::civil::{Date, Weekday};
use serde_json::{Value, json};

use crate::support::{PLAN, Place, Planner, ROOK, on_one_day, today};

/// Somebody who is on a task and no longer in the directory.
const GONE: &str = "11111111-2222-4333-8444-555555555555";
const SPARE: &str = "Label the spare laptops";
const LANDLORD: &str = "Ask the landlord about the loading ramp";
const ROOM: &str = "Book the room for the customer day";

#[track_caller]
fn list(place: &Place, more: &[&str]) -> Vec<Value> {
    let list = place.run(&[&["task", "list", "--json"], more].concat()).code(0).json();
    list.as_array().unwrap().clone()
}

fn texts(tasks: &[Value], field: &str) -> Vec<String> {
    tasks.iter().map(|task| task[field].as_str().unwrap_or_default().to_owned()).collect()
}

fn id(planner: &Planner, title: &str) -> String {
    planner.task(title)["id"].as_str().unwrap().to_owned()
}

/// Returns the day of a date as the service has it.
fn day_of(date: &str) -> Date {
    date.split('T').next().unwrap().parse().unwrap()
}

/// Puts somebody on a task of whom the directory knows nothing.
fn assign_gone(planner: &Planner, title: &str) {
    let entry = json!({ "@odata.type": "#microsoft.graph.plannerAssignment", "orderHint": " !" });
    let path = format!("/planner/tasks/{}", id(planner, title));
    planner.edit(ROOK, &path, &json!({ "assignments": { GONE: entry } }));
}

#[test]
fn a_list_is_filtered_by_what_people_ask_for() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let all = list(&place, &[]);
    let inbox = list(&place, &["--bucket", "inbox"]);
    assert!(!inbox.is_empty() && inbox.len() < all.len());
    assert!(inbox.iter().all(|task| task["bucketName"] == "Inbox" && task["planTitle"] == PLAN));
    let none = ["task", "list", "--bucket", "Inbx"];
    place.run(&none).code(1).says(&["there is no bucket `Inbx`", "`Inbox`"]);
    let none = ["task", "list", "--label", "Finances"];
    place.run(&none).code(1).says(&["there is no label `Finances`", "`Finance`"]);
    for name in ["ana", "Ana Ferreira", "ana@bos.example", "ferreira"] {
        let hers = list(&place, &["--assigned-to", name]);
        assert_eq!(hers.len(), 5, "{name}");
        let is_hers = |person: &Value| person["displayName"] == "Ana Ferreira";
        assert!(hers.iter().all(|task| task["assignees"].as_array().unwrap().iter().any(is_hers)));
    }
    assert_eq!(list(&place, &["--assigned-to", "me"]), list(&place, &["--mine"]));
    let labelled = list(&place, &["--label", "it", "--open"]);
    assert!(!labelled.is_empty());
    let has_it = |task: &Value| task["labels"].as_array().unwrap().contains(&json!("IT"));
    assert!(labelled.iter().all(has_it));
    let begun = list(&place, &["--progress", "in_progress"]);
    assert!(!begun.is_empty() && begun.iter().all(|task| task["percentComplete"] == 50));
    place.run(&["task", "list", "--progress", "half"]).code(2).says(&["not_started, in_progress"]);
    let found = list(&place, &["--text", "LAPTOP"]);
    assert_eq!(texts(&found, "title"), [SPARE]);
    assert_eq!(list(&place, &["--limit", "3"]), all[..3]);
    let shown = place.run(&["task", "list", "--limit", "3"]).code(0);
    shown.says(&[&format!("3 of {} tasks shown.", all.len())]);
}

#[test]
fn a_list_is_filtered_by_due_dates() {
    on_one_day(|| {
        let planner = Planner::demo();
        let place = Place::against(&planner);
        let day = |task: &Value| day_of(task["dueDateTime"].as_str().unwrap());
        let late = list(&place, &["--due", "overdue"]);
        assert_eq!(late, list(&place, &["--overdue"]));
        assert!(!late.is_empty());
        let today = today();
        let soon = list(&place, &["--due", "today..+2w"]);
        assert!(!soon.is_empty());
        let last = today.checked_add(Span::new().days(14)).unwrap();
        for task in &soon {
            assert!(today <= day(task) && day(task) <= last, "{task}");
        }
        assert!(soon.len() < list(&place, &["--due", "today.."]).len());
        for task in list(&place, &["--due", "tomorrow"]) {
            assert_eq!(day(&task), today.tomorrow().unwrap());
        }
        list(&place, &["--due", "this-week"]);
        for wrong in ["soon", "..", "tomorrow..soon"] {
            let wrong = ["task", "list", "--due", wrong];
            place.run(&wrong).code(1).says(&["is not a date", "this-week", "friday"]);
        }
    });
}

#[test]
fn a_list_is_sorted_by_any_column_with_nothing_last() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let due = |order: &str| {
        let mut all = texts(&list(&place, &["--sort", order]), "dueDateTime");
        let n_dated = all.iter().filter(|day| !day.is_empty()).count();
        assert!(all[n_dated..].iter().all(String::is_empty), "{order}: {all:?}");
        all.truncate(n_dated);
        all
    };
    let up = due("due");
    assert!(up.len() > 10 && up.is_sorted());
    assert!(due("-due").iter().rev().is_sorted());
    let titles = texts(&list(&place, &["--sort=-title"]), "title");
    let folded: Vec<String> = titles.iter().map(|title| title.to_lowercase()).collect();
    assert!(folded.iter().rev().is_sorted(), "{titles:?}");
    let columns =
        "title,plan,bucket,progress,priority,start,due,assigned,labels,created,completed,id";
    for column in columns.split(',') {
        list(&place, &["--sort", column]);
        list(&place, &["--sort", &format!("-{column}")]);
    }
    let wrong = place.run(&["task", "list", "--sort", "size"]).code(2);
    wrong.says(&["there is no column `size`", "title, plan, bucket"]);
    let wrong = place.run(&["task", "list", "--columns", "title,size"]).code(2);
    wrong.says(&["possible values", "assigned"]);
}

#[test]
fn a_table_has_the_columns_asked_for_and_marks_what_is_overdue() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let plain = ["task", "list", "--plain", "--columns", "title,due,id", "--limit", "5"];
    let plain = place.run(&plain).code(0).stdout;
    assert_eq!(plain.lines().count(), 5);
    for line in plain.lines() {
        let cells: Vec<&str> = line.split('\t').collect();
        assert!(cells.len() == 3 && cells[2].len() == 28 && !cells[1].contains('!'), "{line}");
    }
    let table = ["task", "list", "--columns", "due,title,labels,priority", "--overdue"];
    let output = place.run(&table).code(0);
    assert!(output.stdout.starts_with("DUE "), "{}", output.stdout);
    assert!(output.stdout.contains(" !") && output.stdout.contains("Operations, Finance"));
    assert!(!output.stdout.contains('\u{1b}'));
    output.says(&["! overdue"]);
    let colored = place.run(&[&table[..], &["--color", "always"]].concat()).code(0).stdout;
    assert!(colored.contains(" !\u{1b}[0m"), "{colored:?}");
    let titles = ["task", "list", "--columns", "title", "--overdue"];
    assert!(!place.run(&titles).code(0).stderr.contains('!'));
}

#[test]
fn a_list_as_json_has_names_and_reads_each_of_them_once() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    assign_gone(&planner, SPARE);
    assign_gone(&planner, LANDLORD);
    planner.requests();
    let all = list(&place, &[]);
    let requests = planner.requests();
    let named = |part: &str| requests.iter().filter(|request| request.contains(part)).count();
    assert_eq!(named(GONE), 1, "{requests:?}");
    assert_eq!(named("/details"), 2, "{requests:?}");
    assert!(requests.len() < 25, "{requests:?}");
    let spare = all.iter().find(|task| task["title"] == SPARE).unwrap();
    assert_eq!(spare["planTitle"], PLAN);
    assert_eq!(spare["bucketName"], "Inbox");
    assert_eq!(spare["labels"], json!(["IT"]));
    let people = spare["assignees"].as_array().unwrap();
    assert!(people.contains(&json!({ "id": GONE, "displayName": null, "upn": null })), "{spare}");
    assert!(people.iter().any(|person| person["upn"] == "tomas@bos.example"), "{spare}");
    // What was there before is still there.
    assert!(spare["assignments"].as_array().unwrap().contains(&json!(GONE)));
    assert_eq!(spare["appliedCategories"], json!(["category5"]));
    let url = place.run(&["task", "open", SPARE]).code(0).stdout;
    assert_eq!(spare["url"], url.trim());
    assert!(url.trim().ends_with(&id(&planner, SPARE)), "{url}");
    let theirs = list(&place, &["--assigned-to", GONE]);
    assert_eq!(theirs.len(), 2);
}

#[test]
fn a_date_is_typed_as_people_say_it() {
    on_one_day(|| {
        let planner = Planner::demo();
        let place = Place::against(&planner);
        let after = |days: i64| {
            let day = today().checked_add(Span::new().days(days)).unwrap();
            format!("{day}T10:00:00Z")
        };
        let field = |name: &str| {
            let task = place.run(&["task", "get", ROOM, "--json"]).code(0).json();
            task[name].as_str().unwrap().to_owned()
        };
        for (typed, due) in [("+2w", after(14)), ("Tomorrow", after(1)), ("+3d", after(3))] {
            place.run(&["task", "update", ROOM, "--due", typed]).code(0);
            assert_eq!(field("dueDateTime"), due, "{typed}");
        }
        place.run(&["task", "update", ROOM, "--start", "2021-12-24T10:00:00Z"]).code(0);
        assert_eq!(field("startDateTime"), "2021-12-24T10:00:00Z");
        place.run(&["task", "update", ROOM, "--due", "next friday"]).code(0);
        let friday = day_of(&field("dueDateTime"));
        assert_eq!(friday.weekday(), Weekday::Friday);
        assert!(friday > today() && field("dueDateTime") <= after(7));
        let wrong = place.run(&["task", "update", ROOM, "--due", "someday"]).code(1);
        wrong.says(&["`someday` is not a date", "friday", "+2w", "none"]);
        let skill = "//! ```toml\n//! [params]\n//! due = { type = \"date\" }\n//! n = { type = \"int\", default = 0 }\n//! ```\nprint(`${params.due} ${params.n + 1}`);";
        place.file("when.rhai", skill);
        let run = ["run", "./when.rhai", "-p", "due=friday", "-p", "n=-1"];
        assert_eq!(place.run(&run).code(0).stdout.trim(), format!("{friday} 0"));
        let run = ["run", "./when.rhai", "-p", "due=someday"];
        place.run(&run).code(1).says(&["`someday` is not", "friday"]);
    });
}

#[test]
fn several_tasks_are_one_run() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let ok = |args: &[&str]| place.run(args).code(0).says(&["Applied 2 changes"]);
    ok(&["task", "move", ROOM, LANDLORD, "This Week"]);
    for title in [ROOM, LANDLORD] {
        assert_eq!(planner.task(title)["bucketId"], json!(planner.bucket_id("This Week")));
    }
    place.run(&["task", "move", ROOM]).code(2);
    ok(&["task", "label", ROOM, LANDLORD, "IT"]);
    ok(&["task", "label", ROOM, LANDLORD, "IT", "--remove"]);
    ok(&["task", "label", ROOM, LANDLORD, "--label", "IT", "--label", "Finance"]);
    assert_eq!(planner.task(LANDLORD)["appliedCategories"]["category2"], true);
    // What was always read as several labels or people still is.
    place.run(&["task", "label", SPARE, "Finance", "People"]).code(7).says(&["someone else"]);
    ok(&["task", "assign", ROOM, LANDLORD, "me"]);
    ok(&["task", "assign", ROOM, LANDLORD, "mei"]);
    let on_it = planner.task(LANDLORD)["assignments"].as_object().unwrap().len();
    assert_eq!(on_it, 2);
    ok(&["task", "assign", ROOM, LANDLORD, "--to", "ana", "--to", "priya"]);
    ok(&["task", "assign", ROOM, LANDLORD, "--to", "ana", "--remove"]);
    let one = place.run(&["task", "assign", ROOM, "Ana Ferreira", "victor"]).code(0);
    one.says(&["Applied 1 change"]);
    let on_it = planner.task(ROOM)["assignments"].as_object().unwrap().len();
    assert_eq!(on_it, 5);
    let none = place.run(&["task", "assign", ROOM, "No such task", "me"]).code(1);
    none.says(&["there is no task `No such task`"]);
}

#[test]
fn tasks_are_reopened() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    const DONE: &str = "Repair the loading dock door";
    // The shipped policy asks before progress is set back.
    place.run(&["task", "reopen", DONE]).code(7).says(&["progress would go back"]);
    place.file("planwright.toml", "[policies]\nalways = []\n");
    let begun = "Roll out the password manager";
    place.run(&["task", "reopen", DONE, begun]).code(0).says(&["Applied 1 change"]);
    assert_eq!(planner.task(DONE)["percentComplete"], 0);
    assert_eq!(planner.task(begun)["percentComplete"], 50);
}

#[test]
fn a_person_is_named_by_a_part_of_the_name() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let get = |name: &str| place.run(&["user", "get", name, "--json"]);
    // A word that begins so wins over one that has it inside: Tanaka.
    for name in ["ana", "ferr", "Ferreira", "errei"] {
        assert_eq!(get(name).code(0).json()["userPrincipalName"], "ana@bos.example", "{name}");
    }
    let several = place.run(&["user", "get", "ta"]).code(1);
    several.says(&["`ta` is part of the names of 2 people", "rook@bos.example", "mei@bos.example"]);
    get("nobody").code(1);
    let script = format!("task(\"{}\").assign(\"tanaka\");", id(&planner, ROOM));
    place.script(&script, &[]).code(0).says(&["Mei Tanaka"]);
    // Among the members of the plan's group there is only one.
    place.run(&["task", "assign", LANDLORD, "rook tam"]).code(0).says(&["Rook Tamatea"]);
}

#[test]
fn somebody_who_left_is_taken_off_a_task() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    const AUDITOR: &str = "Answer the auditor's questions";
    assign_gone(&planner, AUDITOR);
    place.run(&["task", "assign", AUDITOR, GONE, "--remove"]).code(0);
    assert_eq!(planner.task(AUDITOR)["assignments"].as_object().unwrap().len(), 1);
    assign_gone(&planner, AUDITOR);
    place.run(&["task", "update", AUDITOR, "--unassign", &GONE.to_uppercase()]).code(0);
    assert_eq!(planner.task(AUDITOR)["assignments"].as_object().unwrap().len(), 1);
    place.run(&["task", "assign", AUDITOR, GONE]).code(1).says(&["there is no user"]);
    // Nor does it become nobody's: a person is asked, as about any colleague's.
    planner.edit(
        ROOK,
        &format!("/planner/tasks/{}", id(&planner, AUDITOR)),
        &json!({ "assignments": planner.task(AUDITOR)["assignments"].as_object().unwrap().keys()
            .map(|user| (user.clone(), Value::Null)).collect::<serde_json::Map<_, _>>() }),
    );
    assign_gone(&planner, AUDITOR);
    place.run(&["task", "complete", AUDITOR]).code(7).says(&["assigned to someone else", GONE]);
    place.run(&["task", "complete", AUDITOR, "--yes"]).code(0);
    // One letter is a slip.
    place.run(&["task", "assign", LANDLORD, "a"]).code(1).says(&["there is no user `a`"]);
    // One task tells as much as a list of them.
    let one = place.run(&["task", "get", AUDITOR, "--json"]).code(0).json();
    let listed = list(&place, &[]);
    let same = listed.iter().find(|task| task["id"] == one["id"]).unwrap();
    for name in ["planTitle", "bucketName", "assignees", "labels", "url"] {
        assert!(!one[name].is_null() && one[name] == same[name], "{name}: {one} {same}");
    }
}

#[test]
fn whoever_is_not_known_is_shown_no_empty_list() {
    let place = Place::embedded();
    place.file("planwright.toml", "[agents.rook]\n");
    for command in [&["inbox", "list"][..], &["runs"], &["pending"], &["skill", "list"]] {
        place.run(&[command, &["--as", "rok"]].concat()).code(1).says(&["there is no agent `rok`"]);
        place.run(&[command, &["--as", "rook"]].concat()).code(0);
    }
}

#[test]
fn an_option_that_run_does_not_have_may_be_a_parameter() {
    let place = Place::embedded();
    let hint = "`-p limit=3`";
    place.run(&["run", "morning_triage", "--limit", "3"]).code(2).says(&[hint]);
    place.run(&["run", "morning_triage", "--limit=3"]).code(2).says(&[hint]);
    let json = place.run(&["run", "morning_triage", "--limit", "3", "--json"]).code(2).json();
    assert!(json["error"]["hint"].as_str().unwrap().contains(hint), "{json}");
    let other = place.run(&["task", "list", "--limits", "3"]).code(2);
    assert!(!other.stderr.contains("-p "), "{}", other.stderr);
}

#[test]
fn a_blank_in_a_link_is_encoded() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let url = "https://x.example/Shared Documents/Plan.docx";
    place.run(&["task", "reference", ROOM, "add", url]).code(0).says(&["Applied 1 change"]);
    let task = place.run(&["task", "get", ROOM, "--json"]).code(0).json();
    let keys: Vec<&String> = task["references"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["https%3A//x%2Eexample/Shared%2520Documents/Plan%2Edocx"]);
    place.run(&["task", "reference", ROOM, "add", url]).code(0).says(&["Nothing to change."]);
    place.run(&["task", "reference", ROOM, "remove", url]).code(0).says(&["Applied 1 change"]);
}

/// One of sixty-four ids of Planner begins with a hyphen, and is no option.
#[test]
fn an_id_that_begins_with_a_hyphen_is_an_id() {
    let place = Place::embedded();
    let id = "-cb7xZ1p0kWq3Yt5Rm8uLWQAJ2fh";
    let says = format!("there is no task `{id}`");
    place.run(&["task", "get", id]).code(1).says(&[&says]);
    place.run(&["task", "list", "--plan", id, "--json"]).code(1);
    place.run(&["task", "complete", id, "--dry-run", "--json"]).code(1);
    place.run(&["task", "get", "-x"]).code(2);
}
