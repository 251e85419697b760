//! Sheets as tasks: what comes back, what is read, what is said.

use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::cli::sheet::{delimited, write};

fn of_one(task: TaskDocument) -> PlanDocument {
    PlanDocument { format: FORMAT, tasks: vec![task], ..PlanDocument::default() }
}

fn read_csv(text: &str, maps: &[&str], dates: Option<&str>) -> Result<SheetTasks, Failure> {
    let maps: Vec<Mapping> = maps.iter().map(|map| Mapping::parse(map).unwrap()).collect();
    let dates = dates.map(|format| DateFormat::parse(format).unwrap());
    let sheet = delimited::read(text, &maps)?;
    read(&sheet, &Options { maps, dates, limits: Limits::default() })
}

fn failed(text: &str) -> Failure {
    match read_csv(text, &[], None) {
        Ok(sheet) => sheet.failure(Path::new("x.csv"), sheet.problems.clone()),
        Err(failure) => failure,
    }
}

fn first(text: &str) -> TaskDocument {
    let sheet = read_csv(text, &[], None).unwrap();
    assert!(sheet.problems.is_empty(), "{:?}", sheet.problems);
    sheet.rows[0].task.clone()
}

fn checks(task: &TaskDocument) -> Vec<(&str, bool)> {
    task.checklist.iter().map(|item| (item.title.as_str(), item.checked)).collect()
}

#[test]
fn no_cell_is_a_formula() {
    let evil = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "'=1", "''=1", "＝1"];
    for text in evil {
        let title = format!("{text} title");
        let document = of_one(TaskDocument { title, ..TaskDocument::default() });
        let sheet = write::csv(&document, &TimeZone::UTC);
        let mut reader = csv::Reader::from_reader(sheet.as_bytes());
        for record in reader.records() {
            for cell in &record.unwrap() {
                assert!(!cell.starts_with(write::FORMULA), "{text:?}: {cell:?}");
            }
        }
    }
}

#[test]
fn a_sheet_of_a_person_is_read() {
    let text = "\u{feff}Title;Bucket;due;assignees;labels;checklist;references\n\
        Order toner;Inbox;2026-12-24;ana@bos.example, mei@bos.example;Legal;\"[x] Ask\nBuy\";https://a.example The shop\n\
        Rest;;;;;;\n";
    let document = read_csv(text, &[], None).unwrap().document();
    let (bucket, task) = document.all_tasks().next().unwrap();
    assert_eq!((bucket, task.title.as_str()), (Some("Inbox"), "Order toner"));
    assert_eq!(task.due.unwrap().to_string(), "2026-12-24T10:00:00Z");
    assert_eq!(task.assignees, ["ana@bos.example", "mei@bos.example"]);
    assert_eq!(checks(task), [("Ask", true), ("Buy", false)]);
    assert_eq!(task.references[0].alias.as_deref(), Some("The shop"));
    assert_eq!(document.tasks[0].title, "Rest");
}

#[test]
fn lists_stand_in_one_cell() {
    let task = first(
        "title,checklist,labels,assignees\nA,book room;invite;agenda,IT;HR,\"Ana Ferreira;Tanaka, Mei\"\n",
    );
    assert_eq!(checks(&task), [("book room", false), ("invite", false), ("agenda", false)]);
    assert_eq!(task.labels, ["IT", "HR"]);
    assert_eq!(task.assignees, ["Ana Ferreira", "Tanaka, Mei"]);
    let marked = first("title,checklist\nA,[x] a; b;[ ] c\n");
    assert_eq!(checks(&marked), [("a; b", true), ("c", false)]);
}

#[test]
fn what_is_wrong_says_where() {
    for (sheet, says) in [
        ("", "there is no column `title`"),
        ("nom\nx\n", "there is no column `title`; the columns are `nom`"),
        ("title,due\nx,soon\n", "`x.csv`: line 2, due: `soon` is not a date"),
        ("title,due\nx\n", "line 2: it has 1 cell for 2 headings"),
        ("title,due\nx,,y\n", "line 2: it has 3 cells for 2 headings"),
        ("title,progress\r\nA,bogus\r\n", "`x.csv`: line 2, progress: `bogus` is not a progress"),
        ("title,progress\nx,\ny,110\n", "line 3, progress"),
        ("title,note_s\n\"a\nb\",\n\nc\n", "line 5: it has 1 cell"),
        ("title,bucket\n,Inbox\n", "line 2: the task has no title"),
        ("title,title\nx,y\n", "the column `title` appears twice"),
        ("title,description\nx,\"fine\ny,z\nw,v\n", "line 2: a quote is not closed"),
        ("title,description\nx,\"open\ny,\"x\"\nw,z\n", "line 2: a quote is not closed"),
        ("title,description\nx,\"open\ny,\"\"x\"\"\nw,z\n", "line 2: a quote is not closed"),
        ("title,references\nx,nowhere\n", "line 2, references: `nowhere` is not a link"),
        ("Title,Task ID\nx,1\ny,1\n", "line 3, Task ID: the tasks `x` and `y` have the same key"),
        ("title,due\nx,04/05/2026\n", "line 2, due: `04/05/2026` may be 2026-05-04 or 2026-04-05"),
        (
            "title,due\nx,21/05/2026\ny,05/21/2026\n",
            "line 3, due: `05/21/2026` is not DD/MM/YYYY, which line 2 is",
        ),
        (
            "title,checklist items,completed checklist items\nx,a,some\n",
            "completed checklist items: `some` is not a count",
        ),
    ] {
        let message = failed(sheet).message;
        assert!(message.contains(says), "{sheet:?}: {message}");
    }
    let long = format!("title\n{}\n", "x".repeat(300));
    assert!(failed(&long).message.contains("line 2, title: the title has 300 characters"));
}

#[test]
fn everything_wrong_is_said_at_once_up_to_twenty() {
    let rows = "A,bogus\n".repeat(25);
    let failure = failed(&format!("title,progress\n{rows}"));
    assert_eq!(failure.message, "`x.csv`: 25 problems, so nothing was imported");
    assert_eq!(failure.problems.len(), 21);
    assert!(failure.problems[19].starts_with("line 21, progress: "), "{}", failure.problems[19]);
    assert_eq!(failure.problems[20], "and 5 more");
}

#[test]
fn dates_are_read_as_the_column_or_a_person_says() {
    let due = |text: &str, format: Option<&str>| {
        let sheet = read_csv(text, &[], format).unwrap();
        sheet.rows.iter().map(|row| row.task.due.unwrap().to_string()).collect::<Vec<_>>()
    };
    let us = "title,due\nA,04/05/2026\nB,04/21/2026\nC,2026-07-01\n";
    let days = ["2026-04-05T10:00:00Z", "2026-04-21T10:00:00Z", "2026-07-01T10:00:00Z"];
    assert_eq!(due(us, None), days);
    assert_eq!(due("title,due\nA,04/05/2026\n", Some("DD/MM/YYYY")), ["2026-05-04T10:00:00Z"]);
}

#[test]
fn a_checklist_knows_how_many_items_are_done() {
    let text = "title,Checklist Items,Completed Checklist Items\n\
        A,a;b,2/2\nB,a;b,0/2\nC,a;b,1/2\nD,a;b,0/1\nE,,0/0\nF,a,0/2\n";
    let sheet = read_csv(text, &[], None).unwrap();
    let all: Vec<_> = sheet.rows.iter().map(|row| checks(&row.task)).collect();
    assert_eq!(all[0], [("a", true), ("b", true)]);
    assert_eq!(all[1], [("a", false), ("b", false)]);
    assert_eq!(all[2], all[1]);
    assert_eq!(all[3], [("a; b", false)]);
    assert!(all[4].is_empty());
    assert!(sheet.warnings[0].contains("(line 4)"), "{:?}", sheet.warnings);
    assert!(sheet.warnings[1].contains("(line 7)"), "{:?}", sheet.warnings);
}

#[test]
fn percent_of_a_workbook_is_percent() {
    let cells = |progress: f64| vec![Cell::Text("A".into()), Cell::Number(progress)];
    let headings = vec![Cell::Text("Title".into()), Cell::Text("% Complete".into())];
    let percent = |values: &[f64]| {
        let mut rows = vec![Row { line: 1, cells: headings.clone() }];
        rows.extend(values.iter().map(|value| Row { line: 2, cells: cells(*value) }));
        let sheet = read(&Sheet { unit: Unit::Row, rows }, &Options::default()).unwrap();
        assert!(sheet.problems.is_empty(), "{:?}", sheet.problems);
        sheet.rows.iter().map(|row| row.task.percent_complete).collect::<Vec<_>>()
    };
    assert_eq!(percent(&[0.0, 0.75, 1.0]), [0, 75, 100]);
    assert_eq!(percent(&[1.0, 75.0, 100.0]), [1, 75, 100]);
}

proptest! {
    #[test]
    fn titles_and_descriptions_come_back(title in "[ -~äß'=+@-]{1,30}[a-z]", description in "[ -~\n'=-]{0,60}") {
        let task = TaskDocument { title, description, priority: Some(5), ..TaskDocument::default() };
        let document = of_one(task);
        let sheet = read_csv(&write::csv(&document, &TimeZone::UTC), &[], None).unwrap();
        prop_assert_eq!(sheet.document(), document);
    }

    #[test]
    fn no_sheet_makes_it_panic(text in any::<String>()) {
        drop(read_csv(&text, &[], None));
        drop(read_csv(&format!("title,due,progress,checklist,checked,references\n{text}"), &[], None));
    }
}
