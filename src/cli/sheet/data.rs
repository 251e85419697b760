//! Files as data for skills: `-p rows=@tasks.csv` hands a skill lists and maps.

use std::path::Path;

use serde_json::{Value, json};

use crate::app::error::AppError;
use crate::cli::files;
use crate::cli::sheet::table::{Cell, Row, Sheet, invalid, utf8};
use crate::cli::sheet::{delimited, workbook};
use crate::host::Failure;
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
        "csv" | "tsv" => {
            utf8(bytes).and_then(|text| delimited::read(&text, &[])).map(|sheet| records(&sheet))
        }
        _ if workbook::is_zip(&bytes) => {
            workbook::read(bytes, |_| false).map(|sheet| records(&sheet))
        }
        _ => utf8(bytes).and_then(|text| json_of(&text)),
    };
    let value = value.map_err(|failure| {
        let message = format!("`{shown}`: {}", failure.message);
        AppError { failure: Failure { message, ..failure } }
    })?;
    let size = value.to_string().len();
    if size > MAX_DATA {
        let message =
            format!("`{shown}`: as data for a skill it is larger than {} MiB", MAX_DATA >> 20);
        return Err(
            AppError::new("invalid", message).hint("leave out what the skill does not need")
        );
    }
    Ok(value)
}

fn json_of(text: &str) -> Result<Value, Failure> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let hint = "data is a file of JSON, CSV or XLSX, by its name".to_owned();
    let value: Value = serde_json::from_str(text)
        .map_err(|error| invalid(format!("it is not JSON: {error}"), Some(hint)))?;
    match value {
        Value::Array(_) | Value::Object(_) => Ok(value),
        _ => Err(invalid("it is neither a list nor a map", None)),
    }
}

/// Returns the rows of a sheet as maps by heading. A heading that is empty, or there before, gets the
/// number of its column.
fn records(sheet: &Sheet) -> Value {
    let mut rows = sheet.rows.iter().filter(|row| !row.is_blank());
    let Some(first) = rows.next() else { return Value::Array(Vec::new()) };
    let mut headings: Vec<String> = Vec::new();
    for (at, cell) in first.cells.iter().enumerate() {
        let heading = cell.text().trim().to_owned();
        let is_free = !heading.is_empty() && !headings.contains(&heading);
        headings.push(if is_free {
            heading
        } else {
            format!("{heading} {}", at + 1).trim().to_owned()
        });
    }
    let record = |row: &Row| {
        let empty = Cell::Text(String::new());
        let cells = row.cells.iter().chain(std::iter::repeat(&empty));
        let fields = headings.iter().zip(cells).map(|(name, cell)| (name.clone(), value(cell)));
        Value::Object(fields.collect())
    };
    Value::Array(rows.map(record).collect())
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
        assert_eq!(records(&sheet), wanted);
        assert_eq!(value(&Cell::Number(7.0)), json!(7));
        assert_eq!(value(&Cell::Number(0.5)), json!(0.5));
    }
}
