//! A sheet as tasks. What is wrong is collected with its place, so that all of it is said at once.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::cli::render::text::count;
use crate::cli::resolve::{parse_priority, parse_progress};
use crate::cli::sheet::columns::{self, Columns, Field, Mapping};
use crate::cli::sheet::dates::{Ambiguous, DateFormat, Order, Way};
use crate::cli::sheet::table::{Cell, Row, Sheet, Unit, invalid};
use crate::cli::sheet::write::unguarded;
use crate::host::Failure;
use crate::model::document::FORMAT;
use crate::model::time::moment_of_day;
use crate::model::{
    BucketDocument, ItemDocument, Limits, LinkDocument, PlanDocument, TaskDocument, link,
};
use crate::policy::limits::title_over;

/// The most problems that are shown.
const SHOWN: usize = 20;
/// The most hints that are given for them.
const MAX_HINTS: usize = 6;

/// The most places that a warning names.
const LISTED: usize = 5;

/// The ways in which a sheet is to be read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    /// The columns that a person has given a meaning.
    pub(crate) maps: Vec<Mapping>,
    /// The format of dates, if a person has said it.
    pub(crate) dates: Option<DateFormat>,
    /// The limits of Planner.
    pub(crate) limits: Limits,
}

/// A task of a sheet.
#[derive(Debug, Clone)]
pub(crate) struct TaskRow {
    /// The line or row on which it begins.
    pub(crate) line: u64,
    /// The name of its bucket; empty for none.
    bucket: String,
    /// The task itself.
    pub(crate) task: TaskDocument,
}

/// A cell or row that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The line or row.
    pub(crate) line: u64,
    /// The heading of its column, if one cell is wrong.
    pub(crate) column: Option<String>,
    /// One sentence about it.
    pub(crate) message: String,
    /// The remedy.
    pub(crate) hint: Option<String>,
}

/// The tasks of a sheet, as far as they can be read.
#[derive(Debug, Clone)]
pub(crate) struct SheetTasks {
    /// The name of the places in it.
    unit: Unit,
    /// The heading of the column of people.
    pub(crate) assignees: String,
    /// The tasks.
    pub(crate) rows: Vec<TaskRow>,
    /// What is wrong with it.
    pub(crate) problems: Vec<Problem>,
    /// Remarks on what was left out.
    pub(crate) warnings: Vec<String>,
}

/// Reads the tasks of a sheet.
///
/// # Errors
/// The sheet as a whole has no meaning: no column holds the title. What is wrong with single cells is in the
/// answer, and so is the first date that can be read in two ways.
pub(crate) fn read(sheet: &Sheet, options: &Options) -> Result<SheetTasks, Failure> {
    let (at, columns) = columns::find(&sheet.rows, &options.maps)?;
    let rows: Vec<&Row> = sheet.rows.iter().skip(at + 1).filter(|row| !row.is_blank()).collect();
    let dates = dates(&rows, &columns);
    let (way, two_ways) = way(&dates, options);
    let mut reader = Reader {
        unit: sheet.unit,
        way,
        dates: &dates,
        has_fractions: has_fractions(&rows, &columns),
        limits: options.limits,
        columns: &columns,
        unclear: Vec::new(),
        unlike: Vec::new(),
        problems: two_ways.into_iter().collect(),
    };
    let tasks: Vec<TaskRow> = rows.iter().map(|row| reader.task(row)).collect();
    reader.same_keys(&tasks);
    let mut warnings = reader.warnings();
    warnings.extend(columns.warnings.iter().cloned());
    let assignees = column_of(&columns, Field::Assignees);
    Ok(SheetTasks {
        unit: sheet.unit,
        assignees: assignees.map(|(_, heading)| heading).unwrap_or_default().to_owned(),
        rows: tasks,
        problems: reader.problems,
        warnings,
    })
}

impl SheetTasks {
    /// Returns the tasks as a document, those of a bucket together.
    pub(crate) fn document(&self) -> PlanDocument {
        let mut document = PlanDocument { format: FORMAT, ..PlanDocument::default() };
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        for TaskRow { bucket, task, .. } in &self.rows {
            if bucket.is_empty() {
                document.tasks.push(task.clone());
                continue;
            }
            let n = document.buckets.len();
            let at = *places.entry(bucket).or_insert(n);
            if at == n {
                let bucket = BucketDocument { name: bucket.clone(), tasks: Vec::new() };
                document.buckets.push(bucket);
            }
            if let Some(bucket) = document.buckets.get_mut(at) {
                bucket.tasks.push(task.clone());
            }
        }
        document
    }

    /// Makes one failure of everything that is wrong; the places are those of `file`.
    pub(crate) fn failure(&self, file: &Path, mut problems: Vec<Problem>) -> Failure {
        problems.sort_by_key(|problem| problem.line);
        let file = file.display();
        let said = |problem: &Problem| {
            let column = problem.column.as_ref().map(|column| format!(", {column}"));
            let (unit, line) = (self.unit.name(), problem.line);
            format!("{unit} {line}{}: {}", column.unwrap_or_default(), problem.message)
        };
        // One for each kind of problem.
        let mut hints: Vec<&str> = Vec::new();
        for hint in problems.iter().filter_map(|problem| problem.hint.as_deref()) {
            if !hints.contains(&hint) && hints.len() < MAX_HINTS {
                hints.push(hint);
            }
        }
        let hint = (!hints.is_empty()).then(|| hints.join("; "));
        if let [only] = problems.as_slice() {
            return invalid(format!("`{file}`: {}", said(only)), hint);
        }
        let n = count(problems.len(), "problem");
        let mut lines: Vec<String> = problems.iter().take(SHOWN).map(said).collect();
        if let Some(more) = problems.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            lines.push(format!("and {more} more"));
        }
        let message = format!("`{file}`: {n}, so nothing was imported");
        Failure { problems: lines, ..invalid(message, hint) }
    }
}

/// Returns the place and the heading of a field's column.
fn column_of(columns: &Columns, field: Field) -> Option<(usize, &str)> {
    let at = columns.fields.iter().position(|other| *other == Some(field))?;
    Some((at, columns.headings.get(at)?.as_str()))
}

/// A date as it is written, with its line and the heading of its column.
type Written<'a> = (u64, &'a str, &'a str);

/// Returns the dates of a sheet that are texts.
fn dates<'a>(rows: &[&'a Row], columns: &'a Columns) -> Vec<Written<'a>> {
    let dates =
        [Field::Start, Field::Due].into_iter().filter_map(|field| column_of(columns, field));
    let mut texts: Vec<Written<'a>> = Vec::new();
    for (at, heading) in dates {
        texts.extend(rows.iter().filter_map(|row| match row.cells.get(at) {
            Some(Cell::Text(text)) => Some((row.line, heading, unguarded(text))),
            _ => None,
        }));
    }
    texts
}

/// Finds the way in which the dates are read: one for the whole sheet, since whoever wrote one
/// column wrote the other.
fn way(texts: &[Written<'_>], options: &Options) -> (Way, Option<Problem>) {
    if let Some(format) = &options.dates {
        return (Way::Given(format.clone()), None);
    }
    match Way::of(texts.iter().map(|(.., text)| *text)) {
        Ok(way) => (way, None),
        // Nothing is imported; no date contradicts either order, so the rest can be looked at.
        Err(ambiguous) => (Way::Found(Order::DayFirst), Some(two_ways(&ambiguous, texts))),
    }
}

fn two_ways(ambiguous: &Ambiguous, texts: &[Written<'_>]) -> Problem {
    let Ambiguous { at, day_first, month_first } = ambiguous;
    let (line, heading, text) = texts.get(*at).copied().unwrap_or_default();
    let text = text.trim();
    let hint = "say the format: `--date-format DD/MM/YYYY` or `--date-format MM/DD/YYYY`";
    Problem {
        line,
        column: Some(heading.to_owned()),
        message: format!("`{text}` may be {day_first} or {month_first}"),
        hint: Some(hint.to_owned()),
    }
}

/// Returns whether the numbers of the column of progress are fractions, as workbooks have percent.
fn has_fractions(rows: &[&Row], columns: &Columns) -> bool {
    let Some((at, _)) = column_of(columns, Field::Progress) else { return false };
    let mut numbers = rows.iter().filter_map(|row| match row.cells.get(at) {
        Some(Cell::Number(number)) => Some(*number),
        _ => None,
    });
    numbers.all(|number| (0.0..=1.0).contains(&number))
}

/// Reads rows, and keeps what is to be said of them.
struct Reader<'a> {
    unit: Unit,
    way: Way,
    dates: &'a [Written<'a>],
    has_fractions: bool,
    limits: Limits,
    columns: &'a Columns,
    /// The lines of checklists of which not all items are checked, nor none.
    unclear: Vec<u64>,
    /// The lines of checklists with another number of items than the sheet says.
    unlike: Vec<u64>,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn task(&mut self, row: &Row) -> TaskRow {
        let columns = self.columns;
        let mut read =
            TaskRow { line: row.line, bucket: String::new(), task: TaskDocument::default() };
        let (n_cells, n_columns) = (row.width(), columns.headings.len());
        // A text file in which a separator or quote is missing would shift the cells.
        let is_short = self.unit == Unit::Line && row.cells.len() < n_columns;
        if n_cells > n_columns || is_short {
            let message = format!(
                "it has {} for {}",
                count(row.cells.len(), "cell"),
                count(n_columns, "heading")
            );
            self.problem(row.line, None, message, Some("is a separator or a quote missing?"));
            return read;
        }
        let mut checked = None;
        for ((field, heading), cell) in columns.fields.iter().zip(&columns.headings).zip(&row.cells)
        {
            let Some(field) = field else { continue };
            let text = cell.text();
            let text = unguarded(&text);
            if *field == Field::Checked {
                checked = Some((heading, text.trim().to_owned()));
            } else if let Err(failure) = self.set(&mut read, *field, cell, text) {
                let problem = Problem {
                    line: row.line,
                    column: Some(heading.clone()),
                    message: failure.message,
                    hint: failure.hint,
                };
                self.problems.push(problem);
            }
        }
        if let Some((heading, text)) = checked.filter(|(_, text)| !text.is_empty()) {
            self.check(&mut read, heading, &text);
        }
        if read.task.key.is_none() {
            read.task.key.clone_from(&read.task.id);
        }
        if read.task.title.trim().is_empty() {
            self.problem(row.line, None, "the task has no title".to_owned(), None);
        }
        self.limits(&read);
        read
    }

    fn problem(&mut self, line: u64, column: Option<&str>, message: String, hint: Option<&str>) {
        let (column, hint) = (column.map(str::to_owned), hint.map(str::to_owned));
        self.problems.push(Problem { line, column, message, hint });
    }

    fn set(
        &self,
        read: &mut TaskRow,
        field: Field,
        cell: &Cell,
        text: &str,
    ) -> Result<(), Failure> {
        let task = &mut read.task;
        let trimmed = text.trim();
        match field {
            Field::Title => text.clone_into(&mut task.title),
            Field::Bucket => trimmed.clone_into(&mut read.bucket),
            Field::Progress if trimmed.is_empty() => {}
            Field::Progress => match cell {
                Cell::Number(number) if self.has_fractions => {
                    let percent = Cell::Number((number * 100.0).round());
                    task.percent_complete = parse_progress(&percent.text())?;
                }
                _ => task.percent_complete = parse_progress(trimmed)?,
            },
            Field::Priority if trimmed.is_empty() => {}
            Field::Priority => task.priority = Some(parse_priority(trimmed)?.level()),
            Field::Start => task.start = self.moment(cell, trimmed)?,
            Field::Due => task.due = self.moment(cell, trimmed)?,
            Field::Assignees => task.assignees = people(text),
            Field::Labels => task.labels = entries(text, &['\n', ';']),
            Field::Description => text.clone_into(&mut task.description),
            Field::Checklist => task.checklist = items(text),
            Field::References => task.references = links(text)?,
            Field::Key => task.key = Some(trimmed.to_owned()).filter(|key| !key.is_empty()),
            Field::TaskId => task.id = Some(trimmed.to_owned()).filter(|id| !id.is_empty()),
            Field::Checked | Field::Ignored => {}
        }
        Ok(())
    }

    /// Reads a date, in the way of the sheet.
    fn moment(&self, cell: &Cell, text: &str) -> Result<Option<Timestamp>, Failure> {
        let day: Option<Date> = match cell {
            Cell::Day(day) => Some(*day),
            Cell::Moment(moment) => Some(moment.date()),
            _ if text.is_empty() => return Ok(None),
            Cell::Text(_) => {
                if let Ok(moment) = text.parse() {
                    return Ok(Some(moment));
                }
                self.way.read(text)
            }
            Cell::Number(_) | Cell::Bool(_) => None,
        };
        if let (None, Some(failure)) = (day, self.contradiction(text)) {
            return Err(failure);
        }
        let hint = "a date is written 2026-12-24, or as `--date-format` says";
        day.and_then(moment_of_day)
            .map(Some)
            .ok_or_else(|| invalid(format!("`{text}` is not a date"), Some(hint.to_owned())))
    }

    /// Returns what is wrong with a date whose day and month are in another order than elsewhere.
    fn contradiction(&self, text: &str) -> Option<Failure> {
        let order = self.way.contradicts(text)?;
        let (line, ..) = self.dates.iter().find(|(.., text)| order.is_only_one_of(text))?;
        let (format, unit) = (order.format(), self.unit.name());
        let message = format!("`{text}` is not {format}, which {unit} {line} is");
        let hint = "the dates of a sheet have one format, which `--date-format` sets";
        Some(invalid(message, Some(hint.to_owned())))
    }

    /// Checks the items of a checklist of which a sheet says how many are done.
    fn check(&mut self, read: &mut TaskRow, heading: &str, text: &str) {
        let numbers = text.split_once('/').and_then(|(done, all)| {
            Some((done.trim().parse::<usize>().ok()?, all.trim().parse::<usize>().ok()?))
        });
        let Some((done, all)) = numbers.filter(|(done, all)| done <= all) else {
            let message = format!("`{text}` is not a count of done items, such as 2/5");
            return self.problem(read.line, Some(heading), message, None);
        };
        let list = &mut read.task.checklist;
        // The separator may be part of the only item.
        if all == 1 && list.len() > 1 {
            let title = list.iter().map(|item| item.title.as_str()).collect::<Vec<_>>().join("; ");
            *list = vec![ItemDocument { title, checked: false }];
        }
        if all != list.len() {
            self.unlike.push(read.line);
        }
        if all > 0 && done == all {
            list.iter_mut().for_each(|item| item.checked = true);
        } else if done > 0 {
            self.unclear.push(read.line);
        }
    }

    /// Finds what Planner would refuse, so that it is said with everything else.
    fn limits(&mut self, read: &TaskRow) {
        let (task, limits) = (&read.task, self.limits);
        let long = |item: &&ItemDocument| item.title.chars().count() > limits.checklist_title_chars;
        let n_chars = task.description.chars().count();
        let most = |field, n: usize, limit: usize, what: &str| {
            (n > limit).then(|| (field, format!("{n} {what}; Planner allows {limit}")))
        };
        let is_late = matches!((task.start, task.due), (Some(start), Some(due)) if start > due);
        let found = [
            is_late.then(|| (Field::Start, "the task begins after it is due".to_owned())),
            title_over("title", "", &task.title, &limits).map(|over| (Field::Title, over)),
            most(Field::Description, n_chars, limits.description_chars, "characters"),
            most(Field::Checklist, task.checklist.len(), limits.checklist_items, "items"),
            most(Field::References, task.references.len(), limits.references, "links"),
            task.checklist.iter().find(long).map(|item| {
                let begin: String = item.title.chars().take(20).collect();
                let limit = limits.checklist_title_chars;
                (Field::Checklist, format!("the item `{begin}…` has more than {limit} characters"))
            }),
        ];
        for (field, message) in found.into_iter().flatten() {
            let column = column_of(self.columns, field).map(|(_, heading)| heading);
            self.problem(read.line, column, message, None);
        }
    }

    /// Finds tasks with the same key, which would become one.
    fn same_keys(&mut self, tasks: &[TaskRow]) {
        let columns = self.columns;
        let column = column_of(columns, Field::Key).or_else(|| column_of(columns, Field::TaskId));
        let column = column.map(|(_, heading)| heading);
        let mut seen: BTreeMap<&str, &TaskRow> = BTreeMap::new();
        for row in tasks {
            let Some(key) = &row.task.key else { continue };
            if let Some(first) = seen.insert(key, row) {
                let (other, title) = (&first.task.title, &row.task.title);
                let message =
                    format!("the tasks `{other}` and `{title}` have the same key `{key}`");
                self.problem(row.line, column, message, None);
            }
        }
    }

    fn warnings(&self) -> Vec<String> {
        let places = |lines: &[u64]| {
            let named: Vec<String> = lines.iter().take(LISTED).map(u64::to_string).collect();
            let more = if lines.len() > LISTED { " …" } else { "" };
            let unit = self.unit.name();
            format!("{unit}{} {}{more}", if lines.len() > 1 { "s" } else { "" }, named.join(", "))
        };
        let mut warnings = Vec::new();
        if !self.unclear.is_empty() {
            let n = count(self.unclear.len(), "checklist");
            let places = places(&self.unclear);
            warnings.push(format!(
                "for {n} the sheet does not say which items are done, so none is checked ({places})"
            ));
        }
        if !self.unlike.is_empty() {
            let n = count(self.unlike.len(), "checklist");
            let places = places(&self.unlike);
            warnings.push(format!(
                "{n} came to another number of items than the sheet says: a `;` separates items ({places})"
            ));
        }
        warnings
    }
}

fn entries(text: &str, separators: &[char]) -> Vec<String> {
    let entries = text.split(separators).map(str::trim).filter(|entry| !entry.is_empty());
    entries.map(str::to_owned).collect()
}

/// Splits a list of people. A comma may be part of a name, but not of an address.
fn people(text: &str) -> Vec<String> {
    let is_address = |entry: &String| entry.contains('@') || entry == "me";
    let split = |entry: String| {
        let parts = entries(&entry, &[',']);
        if parts.iter().all(is_address) { parts } else { vec![entry] }
    };
    entries(text, &['\n', ';']).into_iter().flat_map(split).collect()
}

const MARKS: [(&str, bool); 4] = [("[x]", true), ("[X]", true), ("[ ]", false), ("[]", false)];

fn mark_of(text: &str) -> Option<(&str, bool)> {
    MARKS.iter().find_map(|(mark, checked)| Some((text.strip_prefix(mark)?, *checked)))
}

/// Splits a checklist: an item a line, or else separated by semicolons. An item with a mark in front
/// goes on to the next one, so that it may have a semicolon in it.
fn items(text: &str) -> Vec<ItemDocument> {
    let text = text.trim();
    let is_of_lines = text.contains(['\n', '\r']);
    let mut parts: Vec<String> = Vec::new();
    if is_of_lines {
        parts = text.lines().map(|line| line.trim().to_owned()).collect();
    } else {
        let is_marked = mark_of(text).is_some();
        for part in text.split(';') {
            match parts.last_mut().filter(|_| is_marked && mark_of(part.trim()).is_none()) {
                Some(before) => {
                    before.push(';');
                    before.push_str(part);
                }
                None => parts.push(part.to_owned()),
            }
        }
    }
    let parts = parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty());
    parts.map(item).collect()
}

fn item(text: &str) -> ItemDocument {
    let (title, checked) = mark_of(text).unwrap_or((text, false));
    ItemDocument { title: title.trim().to_owned(), checked }
}

/// Reads links, each on a line of its own: an address, and its text after a blank.
fn links(text: &str) -> Result<Vec<LinkDocument>, Failure> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let read = |line: &str| -> Result<LinkDocument, Failure> {
        let (url, alias) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let alias = Some(alias.trim().to_owned()).filter(|alias| !alias.is_empty());
        link::encode_new(url, alias.as_deref())
            .map_err(|error| invalid(error.to_string(), None))?;
        Ok(LinkDocument { url: url.to_owned(), alias, kind: None })
    };
    lines.map(read).collect()
}

#[cfg(test)]
mod tests;
