//! The headings of a sheet, and the fields of a task that they stand for.

use crate::cli::sheet::table::{Row, invalid};
use crate::host::Failure;
use crate::host::similar::nearest;

/// The first rows of a sheet, among which its headings are looked for: Planner's own export begins
/// with the name of the plan, its id and a date.
pub(crate) const LOOKED_AT: usize = 20;

/// The most columns of a sheet of tasks.
pub(super) const MAX_COLUMNS: usize = 256;

/// The most headings that a message names.
const LISTED: usize = 30;

/// A field of a task that a column can stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    /// Its title.
    Title,
    /// The name of its bucket.
    Bucket,
    /// Its progress.
    Progress,
    /// Its priority.
    Priority,
    /// The day it begins.
    Start,
    /// The day it is due.
    Due,
    /// The people who work on it.
    Assignees,
    /// Its labels.
    Labels,
    /// Its description.
    Description,
    /// Its checklist.
    Checklist,
    /// The number of checklist items that are done: `1/3`.
    Checked,
    /// Its links.
    References,
    /// The key that makes it the same task each time.
    Key,
    /// The id of a task that is there already; where it is not, the key of the new one.
    TaskId,
    /// Nothing: what only the service sets, or nobody wants.
    Ignored,
}

/// The fields with their names, folded: the first is that of our own sheets, and where several
/// columns stand for a field, the one that comes first here is taken.
static NAMES: [(Field, &[&str]); 15] = [
    (Field::Title, &["title", "taskname", "name", "task", "summary", "subject"]),
    (Field::Bucket, &["bucket", "bucketname", "list", "column", "section", "section/column"]),
    (Field::Progress, &["progress", "%complete", "percentcomplete", "status"]),
    (Field::Priority, &["priority"]),
    (Field::Start, &["start", "startdate"]),
    (Field::Due, &["due", "duedate", "deadline", "enddate"]),
    (Field::Assignees, &["assignees", "assignedto", "assignee", "assigned", "assign", "owner"]),
    (Field::Labels, &["labels", "label", "tags", "categories"]),
    (Field::Description, &["description", "notes", "details"]),
    (Field::Checklist, &["checklist", "checklistitems", "subtasks"]),
    (Field::Checked, &["checked", "completedchecklistitems"]),
    (Field::References, &["references", "links"]),
    (Field::Key, &["key"]),
    (Field::TaskId, &["taskid"]),
    (
        Field::Ignored,
        &[
            "ignore",
            "createdby",
            "createddate",
            "isrecurring",
            "late",
            "completeddate",
            "completedby",
        ],
    ),
];

impl Field {
    /// Returns its name in our own sheets, and for `--map`.
    pub(crate) fn name(self) -> &'static str {
        let known = NAMES.iter().find(|(field, _)| *field == self);
        known.and_then(|(_, names)| names.first()).copied().unwrap_or_default()
    }

    /// Finds the field of a heading, and how far behind its name is among those of the field.
    fn of(heading: &str) -> Option<(Self, usize)> {
        let folded = folded(heading);
        NAMES.iter().find_map(|(field, names)| {
            Some((*field, names.iter().position(|name| *name == folded)?))
        })
    }
}

/// Leaves out of a heading what people write differently: case, blanks, underscores, hyphens.
fn folded(heading: &str) -> String {
    let kept = heading.chars().filter(|ch| !ch.is_whitespace() && !"_-\u{feff}".contains(*ch));
    kept.flat_map(char::to_lowercase).collect()
}

/// A column that a person has given a meaning: `--map COLUMN=FIELD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mapping {
    /// The heading.
    column: String,
    /// The meaning.
    field: Field,
}

impl Mapping {
    /// Reads `COLUMN=FIELD`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let names = || {
            let names = NAMES.iter().filter_map(|(_, names)| names.first()).copied();
            names.collect::<Vec<_>>().join(", ")
        };
        // A heading may have the sign in it, a field has not.
        let Some((column, name)) =
            text.rsplit_once('=').filter(|(column, _)| !folded(column).is_empty())
        else {
            return Err(format!(
                "a column is given as \"COLUMN=FIELD\"; the fields are {}",
                names()
            ));
        };
        match Field::of(name) {
            Some((field, _)) => Ok(Self { column: column.trim().to_owned(), field }),
            None => Err(format!("there is no field `{}`; the fields are {}", name.trim(), names())),
        }
    }

    fn is_of(&self, heading: &str) -> bool {
        folded(&self.column) == folded(heading)
    }
}

/// The columns of a sheet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Columns {
    /// The headings, as they are written.
    pub(crate) headings: Vec<String>,
    /// The field of each column; `None` for one that is left out.
    pub(crate) fields: Vec<Option<Field>>,
    /// Remarks on what is left out.
    pub(crate) warnings: Vec<String>,
}

fn meaning(heading: &str, maps: &[Mapping]) -> Option<(Field, usize)> {
    let given = maps.iter().find(|map| map.is_of(heading)).map(|map| (map.field, 0));
    given.or_else(|| Field::of(heading))
}

/// Counts the fields in a row of headings; none without a title.
fn n_fields(row: &Row, maps: &[Mapping]) -> usize {
    let found = row.cells.iter().filter_map(|cell| meaning(&cell.text(), maps));
    let fields: Vec<Field> = found.map(|(field, _)| field).collect();
    if fields.contains(&Field::Title) { fields.len() } else { 0 }
}

/// Returns how many columns the best row of headings has that are understood.
pub(crate) fn recognised(rows: &[Row], maps: &[Mapping]) -> usize {
    rows.iter().take(LOOKED_AT).map(|row| n_fields(row, maps)).max().unwrap_or(0)
}

/// Finds the row of headings, and the columns.
///
/// # Errors
/// No column holds the title, one is there twice, or a mapping names one that is not there.
pub(crate) fn find(rows: &[Row], maps: &[Mapping]) -> Result<(usize, Columns), Failure> {
    let mut best: Option<(usize, usize)> = None;
    for (at, row) in rows.iter().enumerate().take(LOOKED_AT) {
        let n = n_fields(row, maps);
        if n > 0 && best.is_none_or(|(_, most)| n > most) {
            best = Some((at, n));
        }
    }
    let Some((at, row)) = best.and_then(|(at, _)| Some((at, rows.get(at)?))) else {
        return Err(no_title(rows, maps));
    };
    let headings: Vec<String> = row.cells.iter().map(|cell| shown(&cell.text())).collect();
    if headings.len() > MAX_COLUMNS {
        let message = format!("it has more than {MAX_COLUMNS} columns");
        return Err(invalid(message, None));
    }
    for map in maps {
        if !headings.iter().any(|heading| map.is_of(heading)) {
            return Err(no_column(&map.column, &headings));
        }
    }
    Ok((at, columns(headings, maps)?))
}

fn columns(headings: Vec<String>, maps: &[Mapping]) -> Result<Columns, Failure> {
    let meanings: Vec<Option<(Field, usize)>> =
        headings.iter().map(|heading| meaning(heading, maps)).collect();
    let is_mapped = |at: usize| {
        headings.get(at).is_some_and(|heading| maps.iter().any(|map| map.is_of(heading)))
    };
    let (mut fields, mut warnings) = (Vec::new(), Vec::new());
    for (at, (heading, meaning)) in headings.iter().zip(&meanings).enumerate() {
        let Some((field, rank)) = meaning else {
            if !heading.is_empty() {
                warnings
                    .push(format!("the column `{heading}` is left out: tasks have no such field"));
            }
            fields.push(None);
            continue;
        };
        if *field == Field::Ignored {
            fields.push(None);
            continue;
        }
        let same = |other: &usize| {
            *other != at
                && meanings.get(*other).copied().flatten().is_some_and(|known| known.0 == *field)
        };
        let mut better = None;
        for other in (0..headings.len()).filter(same) {
            let theirs = meanings.get(other).copied().flatten().map_or(0, |(_, rank)| rank);
            let (mine, other_one) = ((!is_mapped(at), *rank), (!is_mapped(other), theirs));
            let Some(name) = headings.get(other) else { continue };
            if mine == other_one {
                let message = if folded(heading) == folded(name) {
                    format!("the column `{heading}` appears twice")
                } else {
                    let field = field.name();
                    format!("`{heading}` and `{name}` are both given as the {field}")
                };
                return Err(invalid(message, Some(map_hint(heading))));
            }
            if other_one < mine {
                better = Some(name);
            }
        }
        if let Some(other) = better {
            let name = field.name();
            warnings.push(format!(
                "the column `{heading}` is left out: `{other}` is taken for the {name}"
            ));
        }
        fields.push(Some(*field).filter(|_| better.is_none()));
    }
    Ok(Columns { headings, fields, warnings })
}

/// Returns a heading as it is shown: on one line, and not longer than anybody reads.
fn shown(heading: &str) -> String {
    let words: Vec<&str> = heading.split_whitespace().collect();
    words.join(" ").chars().filter(|ch| *ch != '\u{feff}').take(80).collect()
}

fn map_hint(heading: &str) -> String {
    format!("say what a column is: `--map \"{heading}=title\"`, or `=ignore`")
}

fn listed(headings: &[String]) -> String {
    let names = headings.iter().filter(|heading| !heading.is_empty());
    let names: Vec<String> = names.take(LISTED).map(|heading| format!("`{heading}`")).collect();
    names.join(", ")
}

fn no_column(name: &str, headings: &[String]) -> Failure {
    let near = nearest(name, headings.iter().map(String::as_str)).first().cloned();
    let hint = near.map_or_else(
        || format!("the columns are {}", listed(headings)),
        |near| format!("did you mean `{near}`?"),
    );
    invalid(format!("there is no column `{name}`"), Some(hint))
}

/// Returns the error for a sheet without titles, with what looks most like headings.
fn no_title(rows: &[Row], maps: &[Mapping]) -> Failure {
    let looked_at = rows.iter().take(LOOKED_AT).filter(|row| !row.is_blank());
    // The first of the widest rows: what stands before the headings is narrow.
    let headings = looked_at.fold(None::<&Row>, |best, row| match best {
        Some(best) if best.width() >= row.width() => Some(best),
        _ => Some(row),
    });
    let Some(headings) = headings else {
        let hint = "the first line names the columns, `title` at least".to_owned();
        return invalid("there is no column `title`: it is empty", Some(hint));
    };
    let headings: Vec<String> =
        headings.cells.iter().take(MAX_COLUMNS).map(|cell| shown(&cell.text())).collect();
    if let Some(map) = maps.iter().find(|map| !headings.iter().any(|heading| map.is_of(heading))) {
        return no_column(&map.column, &headings);
    }
    let first = headings.iter().find(|heading| !heading.is_empty());
    let message = format!("there is no column `title`; the columns are {}", listed(&headings));
    let hint = format!(
        "say which one holds the titles: `--map \"{}=title\"`",
        first.map_or("COLUMN", String::as_str)
    );
    invalid(message, Some(hint))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::sheet::table::Cell;

    fn row(headings: &[&str]) -> Row {
        let cells = headings.iter().map(|text| Cell::Text((*text).to_owned())).collect();
        Row { line: 1, cells }
    }

    fn found(headings: &[&str], maps: &[&str]) -> Result<Columns, Failure> {
        let maps: Vec<_> = maps.iter().map(|map| Mapping::parse(map).unwrap()).collect();
        find(&[row(headings)], &maps).map(|(_, columns)| columns)
    }

    #[test]
    fn headings_of_other_tools_are_understood() {
        for (heading, field) in [
            ("TITLE", Field::Title),
            ("Task_Name", Field::Title),
            ("Summary", Field::Title),
            ("Due Date", Field::Due),
            ("end-date", Field::Due),
            ("Assigned To", Field::Assignees),
            ("% Complete", Field::Progress),
            ("Checklist Items", Field::Checklist),
            ("Completed Checklist Items", Field::Checked),
            ("Task ID", Field::TaskId),
            ("Section/Column", Field::Bucket),
        ] {
            assert_eq!(Field::of(heading).map(|(field, _)| field), Some(field), "{heading}");
        }
        assert_eq!(Field::of("Colour"), None);
    }

    #[test]
    fn what_a_person_says_comes_before_what_a_name_says() {
        let columns = found(&["Name", "Title", "Status", "Effort"], &["Status=bucket"]).unwrap();
        assert_eq!(columns.fields, [None, Some(Field::Title), Some(Field::Bucket), None]);
        assert_eq!(
            columns.warnings,
            [
                "the column `Name` is left out: `Title` is taken for the title",
                "the column `Effort` is left out: tasks have no such field"
            ]
        );
        let columns = found(&["Name", "Title"], &["name=title"]).unwrap();
        assert_eq!(columns.fields, [Some(Field::Title), None]);
        let columns = found(&["Title", "Late"], &[]).unwrap();
        assert!(columns.warnings.is_empty());
    }

    #[test]
    fn the_row_with_the_most_headings_is_the_one() {
        let rows = [
            row(&["Plan name", "Task"]),
            row(&[]),
            row(&["Task Name", "Due date"]),
            row(&["Name"]),
        ];
        assert_eq!(find(&rows, &[]).unwrap().0, 2);
    }

    #[test]
    fn what_is_wrong_is_said_with_what_there_is() {
        let failure = found(&["Foo", "Bar"], &[]).unwrap_err();
        assert_eq!(failure.message, "there is no column `title`; the columns are `Foo`, `Bar`");
        assert!(failure.hint.unwrap().contains("--map \"Foo=title\""));
        let twice = found(&["title", "due", "Title"], &[]).unwrap_err();
        assert_eq!(twice.message, "the column `title` appears twice");
        let typo = found(&["Title", "Deadlin"], &["Deadline=due"]).unwrap_err();
        assert_eq!(typo.hint.as_deref(), Some("did you mean `Deadlin`?"));
        assert!(Mapping::parse("Due=when").unwrap_err().contains("the fields are title, bucket"));
        assert!(Mapping::parse("Due").unwrap_err().contains("COLUMN=FIELD"));
    }
}
