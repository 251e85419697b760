//! Plans as sheets: CSV and XLSX, a task a row.
//!
//! A spreadsheet runs a cell of a CSV file that begins with `=` as a formula, whoever wrote it. So
//! such a cell gets an apostrophe in front, which is removed again on reading. A workbook gets it
//! too: somebody may save it as CSV. A list is one cell with one entry per line.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rust_xlsxwriter::{ExcelDateTime, Format, FormatAlign, Workbook, XlsxError};

use crate::cli::render::text::visible_lines;
use crate::model::time::day_of_date;
use crate::model::{ItemDocument, LinkDocument, PlanDocument, Priority, Progress, TaskDocument};

/// The number of columns.
const N: usize = 13;

/// The columns, each with its width in a workbook, in characters.
const COLUMNS: [(&str, u8); N] = [
    ("title", 40),
    ("bucket", 16),
    ("progress", 12),
    ("priority", 12),
    ("start", 12),
    ("due", 12),
    ("assignees", 28),
    ("labels", 20),
    ("description", 50),
    ("checklist", 40),
    ("references", 40),
    ("key", 16),
    ("Task ID", 30),
];

/// Returns a plan as CSV; dates are those of `zone`.
pub(crate) fn csv(document: &PlanDocument, zone: &TimeZone) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut record = |cells: [String; N]| {
        // Writing to memory does not fail.
        let _infallible = writer.write_record(cells);
    };
    record(COLUMNS.map(|(name, _)| name.to_owned()));
    for (bucket, task) in document.all_tasks() {
        record(cells(document, bucket, task, zone));
    }
    String::from_utf8(writer.into_inner().unwrap_or_default()).unwrap_or_default()
}

/// Returns a plan as an XLSX workbook; dates are those of `zone`.
///
/// # Errors
/// A cell would hold more than a workbook can.
pub(crate) fn xlsx(document: &PlanDocument, zone: &TimeZone) -> Result<Vec<u8>, XlsxError> {
    let mut workbook = Workbook::new();
    let heading = Format::new().set_bold();
    let text = Format::new().set_text_wrap().set_align(FormatAlign::Top);
    let day = Format::new().set_num_format("yyyy-mm-dd").set_align(FormatAlign::Top);
    let sheet = workbook.add_worksheet();
    sheet.set_name("Tasks")?;
    sheet.set_freeze_panes(1, 0)?;
    for (column, (name, width)) in (0_u16..).zip(COLUMNS) {
        sheet.write_string_with_format(0, column, name, &heading)?;
        sheet.set_column_width(column, width)?;
    }
    for (row, (bucket, task)) in (1_u32..).zip(document.all_tasks()) {
        let cells = cells(document, bucket, task, zone);
        for (column, (cell, (name, _))) in (0_u16..).zip(cells.iter().zip(COLUMNS)) {
            let date = Some(cell).filter(|_| matches!(name, "start" | "due"));
            let date = date.and_then(|cell| excel_day(cell));
            if let Some(date) = date {
                sheet.write_datetime_with_format(row, column, &date, &day)?;
            } else if !cell.is_empty() {
                sheet.write_string_with_format(row, column, cell.as_str(), &text)?;
            }
        }
    }
    workbook.save_to_buffer()
}

/// Returns a day as workbooks have it; `None` for one that they cannot have.
fn excel_day(cell: &str) -> Option<ExcelDateTime> {
    let day: Date = cell.parse().ok()?;
    let year = u16::try_from(day.year()).ok()?;
    let (month, day) = (u8::try_from(day.month()).ok()?, u8::try_from(day.day()).ok()?);
    ExcelDateTime::from_ymd(year, month, day).ok()
}

fn cells(
    document: &PlanDocument,
    bucket: Option<&str>,
    task: &TaskDocument,
    zone: &TimeZone,
) -> [String; N] {
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
    let cells = [
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
        task.id.clone().unwrap_or_default(),
    ];
    cells.map(|cell| guarded(&visible_lines(&cell)))
}

/// Characters that start a formula at the beginning of a cell.
pub(crate) const FORMULA: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'];

fn is_formula(cell: &str) -> bool {
    cell.trim_start_matches('\'').starts_with(FORMULA)
}

fn guarded(cell: &str) -> String {
    if is_formula(cell) { format!("'{cell}") } else { cell.to_owned() }
}

/// Takes away the apostrophe in front of what could be a formula.
pub(crate) fn unguarded(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|_| is_formula(cell)).unwrap_or(cell)
}
