//! Files as data for skills: `-p rows=@tasks.csv` hands a skill lists and maps.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::app::error::AppError;
use crate::cli::files;
use crate::cli::sheet::columns::MAX_COLUMNS;
use crate::cli::sheet::table::{Cell, Row, Sheet, invalid, utf8};
use crate::cli::sheet::{delimited, workbook};
use crate::host::Failure;
use crate::model::in_words;
use crate::script::workspace::manifest::{Given, Manifest, ParamKind};

/// The most bytes of data that a skill is handed, as JSON: its process takes no more at once.
const MAX_DATA: usize = 8 << 20;

/// Reads the files that parameters of the type `data` name.
///
/// # Errors
/// A file cannot be read, has no meaning, or is too large.
pub(crate) fn given(
    manifest: &Manifest,
    texts: &[(String, String)],
) -> Result<Vec<(String, Given)>, AppError> {
    let read = |(name, text): &(String, String)| -> Result<(String, Given), AppError> {
        let param = manifest.params.as_ref().and_then(|params| params.get(name));
        let is_data = param.is_some_and(|param| param.kind == ParamKind::Data);
        let value = match text.strip_prefix('@').filter(|_| is_data) {
            Some(file) => Given::Data(decoded(Path::new(file))?),
            None => Given::Text(text.clone()),
        };
        Ok((name.clone(), value))
    };
    texts.iter().map(read).collect()
}

fn decoded(file: &Path) -> Result<Value, AppError> {
    let shown = file.display();
    let bytes = files::read_bytes_or_stdin(file)?;
    let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let value = match extension.to_lowercase().as_str() {
        "csv" | "tsv" => utf8(bytes)
            .and_then(|text| delimited::read(&text, &[]))
            .and_then(|sheet| records(&sheet)),
        _ if workbook::is_zip(&bytes) => {
            workbook::read(bytes, |_| false).and_then(|sheet| records(&sheet))
        }
        _ => utf8(bytes).and_then(|text| json_of(&text)),
    };
    let is_small = |value: &Value| value.to_string().len() <= MAX_DATA;
    value.and_then(|value| if is_small(&value) { Ok(value) } else { Err(too_large()) }).map_err(
        |failure| {
            let message = format!("`{shown}`: {}", failure.message);
            AppError { failure: Failure { message, ..failure } }
        },
    )
}

fn json_of(text: &str) -> Result<Value, Failure> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let hint = "data is a file of JSON, CSV or XLSX, by its name".to_owned();
    let value: Value = serde_json::from_str(text).map_err(|error| {
        invalid(
            format!("it is not JSON: line {}: {}", error.line(), in_words(&error.to_string())),
            Some(hint),
        )
    })?;
    match value {
        Value::Array(_) | Value::Object(_) => Ok(value),
        _ => Err(invalid("it is neither a list nor a map", None)),
    }
}

/// Returns the rows of a sheet as maps by heading. A heading that is empty, or there before, gets the
/// number of its column.
fn records(sheet: &Sheet) -> Result<Value, Failure> {
    let mut rows = sheet.rows.iter().filter(|row| !row.is_blank());
    let Some(first) = rows.next() else { return Ok(Value::Array(Vec::new())) };
    if first.cells.len() > MAX_COLUMNS {
        return Err(invalid(format!("it has more than {MAX_COLUMNS} columns"), None));
    }
    let given: Vec<String> = first.cells.iter().map(|cell| cell.text().trim().to_owned()).collect();
    let mut taken: BTreeSet<String> = given.iter().cloned().collect();
    let mut headings: Vec<String> = Vec::new();
    for (at, heading) in given.into_iter().enumerate() {
        if !heading.is_empty() && !headings.contains(&heading) {
            headings.push(heading);
            continue;
        }
        let mut name = format!("{heading} {}", at + 1).trim().to_owned();
        while !taken.insert(name.clone()) {
            name.push('\'');
        }
        headings.push(name);
    }
    // Counted before it is made: a blank cell costs its heading, too.
    let in_headings: usize = headings.iter().map(|name| name.len() + 6).sum();
    let mut left = MAX_DATA;
    let record = |row: &Row| {
        let in_cells: usize = row.cells.iter().map(|cell| cell.text().len()).sum();
        left = left.checked_sub(in_headings + in_cells).ok_or_else(too_large)?;
        let empty = Cell::Text(String::new());
        let cells = row.cells.iter().chain(std::iter::repeat(&empty));
        let fields = headings.iter().zip(cells).map(|(name, cell)| (name.clone(), value(cell)));
        Ok(Value::Object(fields.collect()))
    };
    rows.map(record).collect()
}

fn too_large() -> Failure {
    let message = format!("as data for a skill it is larger than {} MiB", MAX_DATA >> 20);
    invalid(message, Some("leave out what the skill does not need".to_owned()))
}

fn value(cell: &Cell) -> Value {
    match cell {
        // Whole numbers are whole numbers in a script, too.
        Cell::Number(number) if number.fract() == 0.0 => {
            cell.text().parse::<i64>().map_or_else(|_| json!(number), Value::from)
        }
        Cell::Number(number) => json!(number),
        Cell::Bool(flag) => json!(flag),
        Cell::Text(_) | Cell::Day(_) | Cell::Moment(_) => json!(cell.text()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sheet_becomes_a_list_of_maps() {
        let sheet = delimited::read("Name;Name;\r\nA;B;C\r\n\r\nD;E\r\n", &[]).unwrap();
        let wanted = json!([
            { "Name": "A", "Name 2": "B", "3": "C" },
            { "Name": "D", "Name 2": "E", "3": "" }
        ]);
        assert_eq!(records(&sheet).unwrap(), wanted);
        assert_eq!(value(&Cell::Number(7.0)), json!(7));
        assert_eq!(value(&Cell::Number(0.5)), json!(0.5));
    }
}
