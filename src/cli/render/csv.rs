//! Plans as CSV, written for spreadsheets and read back from them.
//!
//! A spreadsheet runs a cell that begins with `=` as a formula, whoever wrote it. So such a cell
//! gets an apostrophe in front, which is removed again on reading. A list is one cell with one
//! entry per line.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::cli::render::text::visible_lines;
use crate::cli::resolve::{parse_priority, parse_progress};
use crate::host::Failure;
use crate::host::similar::nearest;
use crate::model::document::FORMAT;
use crate::model::time::{day_of_date, moment_of_day};
use crate::model::{
    BucketDocument, ItemDocument, LinkDocument, PlanDocument, Priority, Progress, TaskDocument,
};

const COLUMNS: [&str; 12] = [
    "title",
    "bucket",
    "progress",
    "priority",
    "start",
    "due",
    "assignees",
    "labels",
    "description",
    "checklist",
    "references",
    "key",
];

/// Returns a plan as CSV; dates are those of `zone`.
pub(crate) fn write(document: &PlanDocument, zone: &TimeZone) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut record = |cells: [String; 12]| {
        // Writing to memory does not fail.
        let _infallible = writer.write_record(cells.map(|cell| guarded(&visible_lines(&cell))));
    };
    record(COLUMNS.map(str::to_owned));
    for (bucket, task) in document.all_tasks() {
        record(cells(document, bucket, task, zone));
    }
    String::from_utf8(writer.into_inner().unwrap_or_default()).unwrap_or_default()
}

fn cells(
    document: &PlanDocument,
    bucket: Option<&str>,
    task: &TaskDocument,
    zone: &TimeZone,
) -> [String; 12] {
    let day = |moment: Option<Timestamp>| {
        moment.map(|moment| day_of_date(moment, zone).to_string()).unwrap_or_default()
    };
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    // A value without a word of its own is written as a number, or reading it back would change it.
    let of_percent = Progress::of_percent(task.percent_complete);
    let progress = if of_percent.percent() == task.percent_complete {
        of_percent.name().to_owned()
    } else {
        task.percent_complete.to_string()
    };
    let level = task.priority.and_then(Priority::new).unwrap_or(Priority::DEFAULT);
    let priority = if Priority::parse(level.name()) == Some(level) {
        level.name().to_owned()
    } else {
        level.level().to_string()
    };
    // A name with a separator in it would be read back as two, so the slot is written instead.
    let label = |name: &String| {
        let slot = document.labels.iter().find(|(_, other)| *other == name).map(|(slot, _)| slot);
        match slot {
            Some(slot) if name.contains([';', '\n']) => slot.clone(),
            _ => name.clone(),
        }
    };
    let item = |item: &ItemDocument| {
        format!("[{}] {}", if item.checked { "x" } else { " " }, one_line(&item.title))
    };
    let link = |link: &LinkDocument| {
        let url = link.url.split_whitespace().collect::<Vec<_>>().join("%20");
        format!("{url} {}", one_line(link.alias.as_deref().unwrap_or_default()))
            .trim_end()
            .to_owned()
    };
    [
        task.title.clone(),
        bucket.unwrap_or_default().to_owned(),
        progress,
        priority,
        day(task.start),
        day(task.due),
        task.assignees.join("\n"),
        task.labels.iter().map(label).collect::<Vec<_>>().join("\n"),
        task.description.replace("\r\n", "\n"),
        task.checklist.iter().map(item).collect::<Vec<_>>().join("\n"),
        task.references.iter().map(link).collect::<Vec<_>>().join("\n"),
        task.key.clone().unwrap_or_default(),
    ]
}

/// Characters that start a formula at the beginning of a cell.
const FORMULA: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'];

fn is_formula(cell: &str) -> bool {
    cell.trim_start_matches('\'').starts_with(FORMULA)
}

fn guarded(cell: &str) -> String {
    if is_formula(cell) { format!("'{cell}") } else { cell.to_owned() }
}

fn unguarded(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|_| is_formula(cell)).unwrap_or(cell)
}

fn wrong(place: &str, message: impl std::fmt::Display, hint: Option<String>) -> Failure {
    let message = format!("{place}: {message}");
    Failure { code: "invalid".into(), message, hint, ..Failure::default() }
}

/// The most lines of a sheet that is read, line breaks in cells included.
const MAX_LINES: usize = 100_000;

/// Reads a plan from CSV with a header; columns may be in any order, and all but the title may be
/// missing.
///
/// # Errors
/// The text is not such a CSV; the message names the line.
pub(crate) fn read(text: &str) -> Result<PlanDocument, Failure> {
    // Some spreadsheets put a byte order mark in front.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let n_lines = text.bytes().filter(|byte| *byte == b'\n').count();
    if n_lines > MAX_LINES {
        let message = format!("it has {n_lines} lines, but at most {MAX_LINES} are read");
        return Err(wrong("the file", message, Some("split it into several files".to_owned())));
    }
    let header = text.lines().next().unwrap_or_default();
    // Spreadsheets write semicolons where the comma is the decimal separator.
    let delimiter = if header.contains(';') && !header.contains(',') { b';' } else { b',' };
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(text.as_bytes());
    let broken = |error: &csv::Error| {
        let line = error.position().map(|position| format!("line {}", position.line()));
        let place = line.unwrap_or_else(|| "the file".to_owned());
        wrong(&place, "it is not CSV, or has more or fewer cells than the first line", None)
    };
    let header = reader.headers().map_err(|error| broken(&error))?;
    let mut columns = Vec::new();
    for name in header {
        let name = name.trim().to_lowercase();
        let known = COLUMNS.iter().find(|column| **column == name);
        if known.is_some_and(|column| columns.contains(column)) {
            return Err(wrong("line 1", format!("the column `{name}` appears twice"), None));
        }
        columns.push(*known.ok_or_else(|| {
            let near = nearest(&name, COLUMNS).first().cloned();
            let hint = near.map_or_else(
                || format!("the columns are {}", COLUMNS.join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            wrong("line 1", format!("there is no column `{name}`"), Some(hint))
        })?);
    }
    if !columns.contains(&"title") {
        let hint = "the first line names the columns, `title` at least".to_owned();
        return Err(wrong("line 1", "there is no column `title`", Some(hint)));
    }
    let mut document = PlanDocument { format: FORMAT, ..PlanDocument::default() };
    let odd_quotes = text.matches('"').count() % 2 == 1;
    for record in reader.records() {
        let record = record.map_err(|error| broken(&error))?;
        let line = record.position().map_or(0, csv::Position::line);
        // The library reads a quote that is not closed to the end of the file, without an error.
        if odd_quotes && reader_ends_in(&record, text) {
            let hint = "write a quote inside a quoted cell twice".to_owned();
            return Err(wrong(&format!("line {line}"), "a quote is not closed", Some(hint)));
        }
        let mut task = TaskDocument::default();
        let mut bucket = String::new();
        for (column, cell) in columns.iter().zip(&record) {
            let cell = unguarded(cell);
            if *column == "bucket" {
                cell.trim().clone_into(&mut bucket);
            } else {
                set(&mut task, column, cell).map_err(|failure| {
                    wrong(&format!("line {line}, {column}"), failure.message, failure.hint)
                })?;
            }
        }
        if task.title.trim().is_empty() {
            return Err(wrong(&format!("line {line}"), "the task has no title", None));
        }
        if bucket.is_empty() {
            document.tasks.push(task);
        } else if let Some(known) = document.buckets.iter_mut().find(|known| known.name == bucket) {
            known.tasks.push(task);
        } else {
            document.buckets.push(BucketDocument { name: bucket, tasks: vec![task] });
        }
    }
    Ok(document)
}

/// Returns whether a record spans several lines up to the end of the file.
fn reader_ends_in(record: &csv::StringRecord, text: &str) -> bool {
    let last = record.iter().next_back().unwrap_or_default();
    last.contains('\n') && text.ends_with(last)
}

fn set(task: &mut TaskDocument, column: &str, cell: &str) -> Result<(), Failure> {
    let lines = || cell.lines().map(str::trim).filter(|line| !line.is_empty());
    let entries = |marks: &'static [char]| {
        cell.split(marks)
            .map(|entry| entry.trim().to_owned())
            .filter(|entry| !entry.is_empty())
            .collect()
    };
    match column {
        "title" => cell.clone_into(&mut task.title),
        "progress" if cell.trim().is_empty() => {}
        "progress" => task.percent_complete = parse_progress(cell.trim())?,
        "priority" if cell.trim().is_empty() => {}
        "priority" => task.priority = Some(parse_priority(cell.trim())?.level()),
        "start" => task.start = moment(cell)?,
        "due" => task.due = moment(cell)?,
        "assignees" => task.assignees = entries(&['\n', ';', ',']),
        "labels" => task.labels = entries(&['\n', ';']),
        "description" => cell.clone_into(&mut task.description),
        "checklist" => task.checklist = lines().map(item).collect(),
        "references" => task.references = lines().map(link).collect(),
        _ => task.key = Some(cell.trim().to_owned()).filter(|key| !key.is_empty()),
    }
    Ok(())
}

fn moment(cell: &str) -> Result<Option<Timestamp>, Failure> {
    let cell = cell.trim();
    if cell.is_empty() {
        return Ok(None);
    }
    let of_day = || cell.parse::<Date>().ok().filter(|_| cell.len() == 10).and_then(moment_of_day);
    cell.parse().ok().or_else(of_day).map(Some).ok_or_else(|| Failure {
        message: format!("`{cell}` is not a date"),
        hint: Some("a date is written 2026-12-24".into()),
        ..Failure::default()
    })
}

fn item(line: &str) -> ItemDocument {
    let marked = [("[x]", true), ("[X]", true), ("[ ]", false), ("[]", false)]
        .into_iter()
        .find_map(|(mark, checked)| Some((line.strip_prefix(mark)?, checked)));
    let (title, checked) = marked.unwrap_or((line, false));
    ItemDocument { title: title.trim().to_owned(), checked }
}

fn link(line: &str) -> LinkDocument {
    let (url, alias) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let alias = Some(alias.trim().to_owned()).filter(|alias| !alias.is_empty());
    LinkDocument { url: url.to_owned(), alias, kind: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of_one(task: TaskDocument) -> PlanDocument {
        PlanDocument { format: FORMAT, tasks: vec![task], ..PlanDocument::default() }
    }

    #[test]
    fn no_cell_is_a_formula() {
        let evil = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "'=1", "''=1", "＝1"];
        for text in evil {
            let title = format!("{text} title");
            let sheet =
                write(&of_one(TaskDocument { title, ..TaskDocument::default() }), &TimeZone::UTC);
            let mut reader = csv::Reader::from_reader(sheet.as_bytes());
            for record in reader.records() {
                for cell in &record.unwrap() {
                    assert!(!cell.starts_with(FORMULA), "{text:?}: {cell:?}");
                }
            }
        }
    }

    #[test]
    fn a_sheet_of_a_person_is_read() {
        let sheet = "\u{feff}Title;Bucket;due;assignees;labels;checklist;references\n\
            Order toner;Inbox;2026-12-24;ana@bos.example, mei@bos.example;Legal;\"[x] Ask\nBuy\";https://a.example The shop\n\
            Rest;;;;;;\n";
        let document = read(sheet).unwrap();
        let (bucket, task) = document.all_tasks().next().unwrap();
        assert_eq!((bucket, task.title.as_str()), (Some("Inbox"), "Order toner"));
        assert_eq!(task.due.unwrap().to_string(), "2026-12-24T10:00:00Z");
        assert_eq!(task.assignees, ["ana@bos.example", "mei@bos.example"]);
        let checked: Vec<_> =
            task.checklist.iter().map(|item| (item.title.as_str(), item.checked)).collect();
        assert_eq!(checked, [("Ask", true), ("Buy", false)]);
        assert_eq!(task.references[0].alias.as_deref(), Some("The shop"));
        assert_eq!(document.tasks[0].title, "Rest");
    }

    #[test]
    fn what_is_wrong_says_where() {
        for (sheet, says) in [
            ("", "there is no column `title`"),
            ("name\nx\n", "there is no column `name`"),
            ("title,due\nx,soon\n", "line 2, due: `soon` is not a date"),
            ("title,due\nx\n", "line 2: it is not CSV"),
            ("title,progress\nx,\ny,110\n", "line 3, progress"),
            ("title,bucket\n,Inbox\n", "line 2: the task has no title"),
            ("title,title\nx,y\n", "line 1: the column `title` appears twice"),
            ("title,description\nx,\"fine\ny,z\nw,v\n", "line 2: a quote is not closed"),
        ] {
            let message = read(sheet).unwrap_err().message;
            assert!(message.contains(says), "{sheet:?}: {message}");
        }
    }

    proptest! {
        #[test]
        fn titles_and_descriptions_come_back(title in "[ -~äß'=+@-]{1,30}[a-z]", description in "[ -~\n'=-]{0,60}") {
            let task = TaskDocument { title, description, priority: Some(5), ..TaskDocument::default() };
            let document = of_one(task);
            let read = read(&write(&document, &TimeZone::UTC)).unwrap();
            prop_assert_eq!(read, document);
        }

        #[test]
        fn no_sheet_makes_it_panic(text in any::<String>()) {
            drop(read(&text));
        }
    }
}
