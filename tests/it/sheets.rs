//! Sheets: Planner's own export, what other tools write, what is wrong with them, and the way back.

use rust_xlsxwriter::{ExcelDateTime, Format, Workbook};
use serde_json::{Value, json};

use crate::support::{PLAN, Place, Planner, ROOK};

const HEADINGS: [&str; 18] = [
    "Task ID",
    "Task Name",
    "Bucket Name",
    "Progress",
    "Priority",
    "Assigned To",
    "Created By",
    "Created Date",
    "Start date",
    "Due date",
    "Is Recurring",
    "Late",
    "Completed Date",
    "Completed By",
    "Completed Checklist Items",
    "Checklist Items",
    "Labels",
    "Description",
];

/// A place without policies, with room for large runs.
fn place(planner: &Planner) -> Place {
    let place = Place::against(planner);
    place.file(
        "planwright.toml",
        "[policies]\nalways = []\n[limits]\nmax_changes = 2000\nmax_edits = 5000\nedits_kib = 8192\nseconds = 600\n",
    );
    place
}

fn exported(place: &Place, plan: &str) -> Value {
    serde_json::from_str(&place.run(&["plan", "export", plan]).code(0).stdout).unwrap()
}

/// The tasks of an exported plan with their buckets, in an order that does not depend on slots.
fn tasks(document: &Value) -> Vec<Value> {
    let of = |list: &Value, bucket: &Value| -> Vec<Value> {
        let tasks = list["tasks"].as_array().unwrap().iter().cloned();
        tasks
            .map(|mut task| {
                let mut labels = task["labels"].as_array().unwrap().clone();
                labels.sort_by_key(Value::to_string);
                task["labels"] = labels.into();
                task["bucket"] = bucket.clone();
                // A sheet has line ends of its own, and no icons.
                let text = task["description"].as_str().unwrap().replace("\r\n", "\n");
                task["description"] = text.into();
                for link in task["references"].as_array_mut().unwrap() {
                    link["type"] = Value::Null;
                }
                task
            })
            .collect()
    };
    let buckets = document["buckets"].as_array().unwrap();
    let mut all: Vec<Value> = buckets.iter().flat_map(|it| of(it, &it["name"])).collect();
    all.extend(of(document, &Value::Null));
    all.sort_by_key(|it| it["key"].to_string());
    all
}

/// Writes a workbook as Planner does: lines about the plan, an empty one, headings, tasks.
fn workbook(place: &Place, file: &str, rows: &[Vec<String>]) {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    let about =
        [["Plan name", "Big"], ["Plan ID", "k2A_example"], ["Date of export", "04/21/2026"]];
    for (row, cells) in (0..).zip(about) {
        sheet.write_string(row, 0, cells[0]).unwrap();
        sheet.write_string(row, 1, cells[1]).unwrap();
    }
    for (column, heading) in (0..).zip(HEADINGS) {
        sheet.write_string(4, column, heading).unwrap();
    }
    for (row, cells) in (5..).zip(rows) {
        for (column, cell) in (0..).zip(cells) {
            if !cell.is_empty() {
                sheet.write_string(row, column, cell.as_str()).unwrap();
            }
        }
    }
    std::fs::write(place.path().join(file), workbook.save_to_buffer().unwrap()).unwrap();
}

/// Returns 600 tasks as Planner exports them, two of each title.
fn six_hundred(day: impl Fn(usize, usize) -> String) -> Vec<Vec<String>> {
    let people = ["Victor Lindgren", "Mei Tanaka", "Ana Ferreira", "Tomás Herrera", "Priya Raman"];
    let row = |n: usize| {
        let checklist: Vec<String> = (0..n % 4).map(|item| format!("Step {item} of {n}")).collect();
        let done = if n.is_multiple_of(2) { checklist.len() } else { 0 };
        let count = format!("{done}/{}", checklist.len());
        let mut who = vec![people[n % 5]];
        if n.is_multiple_of(4) {
            who.push(people[(n + 1) % 5]);
        }
        let labels = format!("Label {};Label {}", n % 25 + 1, (n + 7) % 25 + 1);
        let text =
            if n.is_multiple_of(5) { format!("About {n}\nin two lines") } else { String::new() };
        [
            format!("Task{n:024}"),
            format!("Task {}", n / 2),
            ["Ideas", "Doing", "Done"][n % 3].to_owned(),
            ["Not started", "In progress", "Completed"][n % 3].to_owned(),
            ["Urgent", "Important", "Medium", "Low"][n % 4].to_owned(),
            who.join(";"),
            "Rook Tamatea".to_owned(),
            day(1, 1),
            day(n % 12 + 1, n % 14 + 1),
            day(n % 12 + 1, n % 14 + 15),
            "false".to_owned(),
            "false".to_owned(),
            String::new(),
            String::new(),
            if checklist.is_empty() { String::new() } else { count },
            checklist.join(";"),
            labels,
            text,
        ]
        .to_vec()
    };
    (0..600).map(row).collect()
}

#[test]
fn planners_own_export_comes_in_once_and_goes_out_again() {
    let planner = Planner::demo();
    let place = place(&planner);
    let us = six_hundred(|month, day| format!("{month:02}/{day:02}/2026"));
    let german = six_hundred(|month, day| format!("{day:02}.{month:02}.2026"));
    workbook(&place, "us.xlsx", &us);
    workbook(&place, "german.xlsx", &german);
    let new = ["plan", "import", "us.xlsx", "--title", "Big", "--group", "BOS", "--json"];
    assert_eq!(place.run(&new).code(0).json()["status"], "applied");
    let big = exported(&place, "Big");
    let all = tasks(&big);
    assert_eq!(all.len(), 600);
    assert_eq!(big["labels"].as_object().unwrap().len(), 25);
    let seventh = &all[7];
    assert_eq!(seventh["title"], "Task 3");
    assert_eq!(seventh["bucket"], "Doing");
    assert_eq!(seventh["percentComplete"], 50);
    assert_eq!(seventh["priority"], 9);
    assert_eq!(seventh["assignees"], json!(["ana@bos.example"]));
    assert_eq!(seventh["startDateTime"], "2026-08-08T10:00:00Z");
    assert_eq!(seventh["dueDateTime"], "2026-08-22T10:00:00Z");
    assert_eq!(seventh["labels"], json!(["Label 15", "Label 8"]));
    assert_eq!(seventh["checklist"][2], json!({ "title": "Step 2 of 7", "isChecked": false }));
    assert_eq!(all[6]["checklist"][1]["isChecked"], true);
    assert_eq!(all[5]["description"], "About 5\nin two lines");
    // The same tasks, written down somewhere else: nothing changes.
    let again = ["plan", "import", "german.xlsx", "--plan", "Big", "--json"];
    let report = place.run(&again).code(0).json();
    assert_eq!(report["status"], "no_changes", "{report}");
    place.run(&["plan", "export", "Big", "--out", "out.xlsx"]).code(0).says(&["600 tasks"]);
    let same = ["plan", "import", "out.xlsx", "--plan", "Big", "--json"];
    assert_eq!(place.run(&same).code(0).json()["status"], "no_changes");
    place.run(&["plan", "import", "out.xlsx", "--title", "Again", "--group", "BOS"]).code(0);
    assert_eq!(tasks(&exported(&place, "Again")), all);
}

/// A plan that came from a workbook and goes back into the plan it came from is that plan.
#[test]
fn the_export_of_a_plan_changes_nothing_in_that_plan() {
    let planner = Planner::demo();
    let place = place(&planner);
    let task = planner.task("Approve the trade fair banner");
    let mut row = vec![String::new(); 18];
    row[0] = task["id"].as_str().unwrap().to_owned();
    row[1] = "Approve the trade fair banner".to_owned();
    workbook(&place, "own.xlsx", &[row]);
    let report =
        place.run(&["plan", "import", "own.xlsx", "--plan", PLAN, "--json"]).code(0).json();
    assert_eq!(report["status"], "no_changes", "{report}");
}

#[test]
fn csv_and_xlsx_come_back_as_they_were() {
    let planner = Planner::demo();
    let place = place(&planner);
    let edit = format!(
        "let p = plan(\"{PLAN}\"); let t = p.task(\"Label the spare laptops\"); t.title = \"=HYPERLINK(1)\"; t.percent_complete = 75; t.priority = 7; p.create_task(#{{ title: \"Keyed\", key: \"k 1\", checklist: [\"-1\", \"b; c\"], references: [#{{ url: \"https://example.org/x\", alias: \"A b\" }}] }});"
    );
    place.script(&edit, &[]).code(0);
    let wanted = |plan: &str| {
        let mut all = tasks(&exported(&place, plan));
        all.sort_by_key(|it| it["title"].to_string());
        for task in all.iter_mut().filter(|task| task["title"] != "Keyed") {
            // Elsewhere, the id becomes the key of a task that has none.
            task.as_object_mut().unwrap().remove("key");
        }
        all
    };
    for format in ["csv", "xlsx"] {
        let file = format!("plan.{format}");
        place.run(&["plan", "export", PLAN, "--out", &file]).code(0);
        let title = format!("From {format}");
        let same = ["plan", "import", &file, "--plan", PLAN, "--json"];
        assert_eq!(place.run(&same).code(0).json()["status"], "no_changes", "{format}");
        place.run(&["plan", "import", &file, "--title", &title, "--group", "BOS"]).code(0);
        assert_eq!(wanted(&title), wanted(PLAN), "{format}");
    }
    // Excel needs the mark to read a file as UTF-8; a pipe does without.
    assert!(
        std::fs::read(place.path().join("plan.csv")).unwrap().starts_with("\u{feff}".as_bytes())
    );
    let piped = place.run(&["plan", "export", PLAN, "--format", "csv"]).code(0).stdout;
    assert!(piped.starts_with("title,"), "{piped}");
    place.run(&["plan", "export", PLAN, "--format", "xlsx"]).code(2).says(&["--out plan.xlsx"]);
}

/// Imports a file into the plan of the demo board without writing.
fn preview(place: &Place, file: &str, more: &[&str]) -> crate::support::Output {
    place.run(&[&["plan", "import", file, "--plan", PLAN, "-n", "--json"], more].concat())
}

#[test]
fn columns_of_other_tools_are_understood_or_named() {
    let planner = Planner::demo();
    let place = place(&planner);
    place.file(
        "other.csv",
        "Name|Section|Deadline|Owner|Tags|Effort\r\nA|Later|2026-12-24|Mei Tanaka|IT|3\r\n",
    );
    let report = preview(&place, "other.csv", &[]).code(0).json();
    let warnings = report["warnings"].to_string();
    assert!(warnings.contains("the column `Effort` is left out"), "{warnings}");
    let task = &report["changes"][1]["fields"];
    assert_eq!(task["title"]["after"], "A");
    assert_eq!(task["dueDateTime"]["after"], "2026-12-24T10:00:00Z");
    place.file("mine.csv", "Was;Status\nA;Later\n");
    let plain = |more: &[&str]| {
        place.run(&[&["plan", "import", "mine.csv", "--plan", PLAN, "-n"], more].concat())
    };
    plain(&[]).code(1).says(&["the columns are `Was`, `Status`", "--map \"Was=title\""]);
    plain(&["--map", "Was=title"]).code(1).says(&["line 2, Status: `Later` is not a progress"]);
    plain(&["--map", "Was=title", "--map", "Status=bucket"]).code(0);
    plain(&["--map", "Was=title", "--map", "Status=ignore"]).code(0);
    plain(&["--map", "Was"]).code(2).says(&["COLUMN=FIELD"]);
    plain(&["--map", "Wass=title"]).code(1).says(&["did you mean `Was`?"]);
}

#[test]
fn dates_that_can_be_read_in_two_ways_are_asked_about() {
    let planner = Planner::demo();
    let place = place(&planner);
    place.file("dates.csv", "title,due\nA,04/05/2026\n");
    let import = ["plan", "import", "dates.csv", "--plan", PLAN];
    place.run(&import).code(1).says(&["2026-05-04 or 2026-04-05", "--date-format"]);
    place.run(&[&import[..], &["--date-format", "YYYY"]].concat()).code(2);
    // With everything else that is wrong.
    place.file("wrong.csv", "title,due,progress\nA,04/05/2026,bogus\nB,2026-13-01,\n");
    let wrong = ["plan", "import", "wrong.csv", "--plan", PLAN];
    place.run(&wrong).code(1).says(&[
        "3 problems",
        "2026-05-04 or 2026-04-05",
        "`bogus`",
        "2026-13-01",
    ]);
    // One column can say how the other is meant.
    place.file("both.csv", "title,start,due\nA,04/05/2026,04/21/2026\n");
    let task = preview(&place, "both.csv", &[]).code(0).json()["changes"][0]["fields"].clone();
    assert_eq!(task["startDateTime"]["after"], "2026-04-05T10:00:00Z");
    place.file("blanks.csv", "title,due\nA,4. 5. 2026\n");
    let task = preview(&place, "blanks.csv", &["--date-format", "D. M. YYYY"]).code(0).json();
    assert_eq!(task["changes"][0]["fields"]["dueDateTime"]["after"], "2026-05-04T10:00:00Z");
    place.run(&[&import[..], &["--date-format", "%d/%m/%Y"]].concat()).code(0);
    assert_eq!(planner.task("A")["dueDateTime"], "2026-05-04T10:00:00Z");
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    sheet.write_string(0, 0, "Title").unwrap();
    sheet.write_string(0, 1, "Due").unwrap();
    sheet.write_string(1, 0, "Of a workbook").unwrap();
    let format = Format::new().set_num_format("dd/mm/yyyy");
    let day = ExcelDateTime::from_ymd(2026, 5, 4).unwrap();
    sheet.write_datetime_with_format(1, 1, &day, &format).unwrap();
    std::fs::write(place.path().join("days.xlsx"), workbook.save_to_buffer().unwrap()).unwrap();
    place.run(&["plan", "import", "days.xlsx", "--plan", PLAN]).code(0);
    assert_eq!(planner.task("Of a workbook")["dueDateTime"], "2026-05-04T10:00:00Z");
}

#[test]
fn everything_wrong_is_said_with_its_place_and_nothing_is_imported() {
    let planner = Planner::demo();
    let place = place(&planner);
    place.file(
        "bad.csv",
        "title,progress,assignees\r\nA,bogus,\r\n\"B\r\nb\",75%,Nobody Atall\r\n\r\nC,101,rook@bos.example\r\n",
    );
    let import = ["plan", "import", "bad.csv", "--plan", PLAN];
    place.run(&import).code(1).says(&[
        "`bad.csv`: 3 problems, so nothing was imported",
        "line 2, progress: `bogus` is not a progress value",
        "line 3, assignees: there is no user `Nobody Atall`",
        "line 6, progress: `101` is not a progress value",
    ]);
    place.file("many.csv", &format!("title,priority\n{}", "A,bogus\n".repeat(25)));
    place.run(&["plan", "import", "many.csv", "--plan", PLAN]).code(1).says(&["and 5 more"]);
    place.file("mixed.csv", "title,due\nA,13/04/2021\nB,04/21/2021\n");
    place
        .run(&["plan", "import", "mixed.csv", "--plan", PLAN])
        .code(1)
        .says(&["line 3, due: `04/21/2021` is not DD/MM/YYYY, which line 2 is", "`--date-format`"]);
    place.file(
        "kinds.csv",
        "title,due,priority,assignees\nA,soon,bogus,meii\nB,late,x,Nobody Atall\n",
    );
    let kinds = place.run(&["plan", "import", "kinds.csv", "--plan", PLAN]).code(1);
    let kinds = kinds.says(&[
        "`kinds.csv`: 6 problems, so nothing was imported",
        "line 2, assignees: there is no user `meii`; did you mean `Mei Tanaka`?",
        "a date is written",
        "a priority is one of",
        "`planwright user list`",
    ]);
    assert!(!kinds.stderr.contains("caused by"), "{}", kinds.stderr);
    assert_eq!(kinds.stderr.matches("a date is written").count(), 1);
    let kinds = place.run(&["plan", "import", "kinds.csv", "--plan", PLAN, "--json"]).code(1);
    let problems = kinds.json()["error"]["problems"].as_array().unwrap().len();
    assert_eq!(problems, 6);
    let mut row = vec![String::new(); 18];
    (row[0], row[1], row[4]) = ("T1".into(), "A".into(), "Soon".into());
    workbook(&place, "bad.xlsx", &[row]);
    let bad = ["plan", "import", "bad.xlsx", "--plan", PLAN];
    place.run(&bad).code(1).says(&["`bad.xlsx`: row 6, Priority: `Soon` is not a priority"]);
    assert_eq!(planner.writes().len(), 0);
}

#[test]
fn people_have_any_of_their_names_and_percent_stay() {
    let planner = Planner::demo();
    let place = place(&planner);
    let mei = "c8e07f52-3a1b-4d69-b7f4-0a9b8c7d6e53";
    let gone = "00000000-1111-2222-3333-444444444444";
    place.file(
        "who.csv",
        &format!("title;progress;assignees\nA;75%;Tomás Herrera\nB;Completed;\"{mei};ana@bos.example;{gone}\"\n"),
    );
    let report = place.run(&["plan", "import", "who.csv", "--plan", PLAN, "--json"]).code(0).json();
    assert!(report["warnings"].to_string().contains(gone), "{report}");
    assert_eq!(planner.task("A")["percentComplete"], 75);
    assert_eq!(planner.task("A")["assignments"].as_object().unwrap().len(), 1);
    let assigned = planner.task("B")["assignments"].as_object().unwrap().len();
    assert_eq!((assigned, &planner.task("B")["percentComplete"]), (2, &json!(100)));
}

#[test]
fn who_is_gone_is_kept_out_of_a_copy_and_of_an_import() {
    let planner = Planner::demo();
    let place = place(&planner);
    let gone = "00000000-1111-2222-3333-444444444444";
    let id = planner.task("Label the spare laptops")["id"].as_str().unwrap().to_owned();
    let assignment =
        json!({ "@odata.type": "#microsoft.graph.plannerAssignment", "orderHint": " !" });
    planner.edit(
        ROOK,
        &format!("/planner/tasks/{id}"),
        &json!({ "assignments": { gone: assignment } }),
    );
    let copy = ["plan", "copy", PLAN, "--title", "Copy", "--keep", "assignees", "--json"];
    let report = place.run(&copy).code(0).json();
    assert!(report["warnings"].to_string().contains("is not in the directory"), "{report}");
    for file in ["plan.json", "plan.csv", "plan.xlsx"] {
        place.run(&["plan", "export", PLAN, "--out", file]).code(0);
        let import = ["plan", "import", file, "--title", file, "--group", "BOS", "--json"];
        let report = place.run(&import).code(0).json();
        assert!(report["warnings"].to_string().contains(gone), "{file}: {report}");
    }
}

#[test]
fn a_blank_in_a_link_is_encoded() {
    let planner = Planner::demo();
    let place = place(&planner);
    let task =
        json!({ "title": "A", "references": [{ "url": "https://example.org/my file.pdf" }] });
    place.file("link.json", &json!({ "format": 1, "title": "x", "tasks": [task] }).to_string());
    place.run(&["plan", "import", "link.json", "--title", "Links", "--group", "BOS"]).code(0);
    let after = exported(&place, "Links");
    assert_eq!(after["tasks"][0]["references"][0]["url"], "https://example.org/my%20file.pdf");
}

#[test]
fn a_workbook_that_would_fill_the_memory_is_refused() {
    use std::io::Write as _;
    let planner = Planner::demo();
    let place = place(&planner);
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    zip.start_file("xl/worksheets/sheet1.xml", options).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..65 {
        zip.write_all(&zeros).unwrap();
    }
    let bytes = zip.finish().unwrap().into_inner();
    std::fs::write(place.path().join("bomb.xlsx"), bytes).unwrap();
    let import = ["plan", "import", "bomb.xlsx", "--plan", PLAN];
    place.run(&import).code(1).says(&["more content than can be read"]);
    std::fs::write(place.path().join("old.csv"), b"title\nCaf\xe9\n").unwrap();
    let old = ["plan", "import", "old.csv", "--plan", PLAN];
    place.run(&old).code(1).says(&["`old.csv`: not UTF-8 text", "CSV UTF-8"]);
    place.file("none.xlsx", "no zip at all");
    let none = ["plan", "import", "none.xlsx", "--plan", PLAN];
    place.run(&none).code(1).says(&["cannot be read as an XLSX workbook"]);
}

#[test]
fn skills_take_lists_and_the_data_of_files() {
    let planner = Planner::demo();
    let place = place(&planner);
    place.file(
        "scripts/skills/rows.rhai",
        "//! Shows rows.\n//!\n//! ```toml\n//! [params]\n//! rows = { type = \"data\", description = \"Rows\" }\n//! names = { type = \"list\", default = [\"x\"], description = \"Names\" }\n//! ```\n\nprint(params.names);\nfor row in params.rows { print(`${row.Title}: ${row.Due}`); }\n",
    );
    place.file("rows.csv", "\u{feff}Title;Due\r\nA;24.12.2026\r\n");
    let run = |args: &[&str]| place.run(&[&["run", "rows"], args].concat());
    let output = run(&["-p", "rows=@rows.csv", "-p", "names=Ana, Mei"]).code(0).stdout;
    assert!(output.contains("A: 24.12.2026") && output.contains("\"Mei\""), "{output}");
    place.file("rows.json", "[{ \"Title\": \"B\", \"Due\": 1 }]");
    assert!(run(&["-p", "rows=@rows.json"]).code(0).stdout.contains("B: 1"));
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    sheet.write_string(0, 0, "Title").unwrap();
    sheet.write_string(0, 1, "Due").unwrap();
    sheet.write_string(1, 0, "C").unwrap();
    sheet.write_number(1, 1, 7.0).unwrap();
    std::fs::write(place.path().join("rows.xlsx"), workbook.save_to_buffer().unwrap()).unwrap();
    assert!(run(&["-p", "rows=@rows.xlsx"]).code(0).stdout.contains("C: 7"));
    run(&["-p", "rows=rows.csv"]).code(1).says(&["is of type data", "@tasks.csv"]);
    run(&["-p", "rows=@none.csv"]).code(1).says(&["cannot read `none.csv`"]);
    run(&[]).code(1).says(&["-p rows=@FILE"]);
    let shown = place.run(&["skill", "show", "rows"]).code(0).stdout;
    assert!(shown.contains("data is a file") && shown.contains("a list is"), "{shown}");
}
