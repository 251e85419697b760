//! XLSX workbooks.
//!
//! A workbook is a zip: what is small on disk may be large in memory. So all of it is unpacked once
//! to be measured, before the library that keeps it in memory sees it.

use std::io::{self, Cursor, Read as _};

use calamine::{DataRef, ExcelDateTime, Reader as _, Xlsx, XlsxError};
use jiff::civil::{Date, DateTime};
use zip::ZipArchive;

use crate::cli::sheet::table::{Cell, MAX_CELLS, MAX_ROWS, Row, Sheet, Unit, invalid};
use crate::host::Failure;

/// The most bytes of sheets and texts, unpacked.
const MAX_UNPACKED: u64 = 64 << 20;
/// The most bytes of any other part that is read, such as the styles, whose entries are large in
/// memory.
const MAX_PART: u64 = 1 << 20;
/// The most parts of a workbook.
const MAX_PARTS: usize = 1_000;
/// The most sheets that are looked at.
const MAX_SHEETS: usize = 20;
/// The most columns of a sheet.
const MAX_COLUMNS: u32 = 256;
/// The most bytes of text in the cells of a sheet: many cells may share one text.
const MAX_TEXT: usize = 64 << 20;

/// Returns whether these are the bytes of a zip.
pub(crate) fn is_zip(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04")
}

/// Reads the first sheet of a workbook that is the one wanted, or else the first one with anything
/// in it.
///
/// # Errors
/// It is not a workbook, or too large.
pub(crate) fn read(bytes: Vec<u8>, is_wanted: impl Fn(&[Row]) -> bool) -> Result<Sheet, Failure> {
    measure(&bytes)?;
    let mut workbook = Xlsx::new(Cursor::new(bytes)).map_err(|error| broken(&error))?;
    let mut first: Option<Vec<Row>> = None;
    for name in workbook.sheet_names().into_iter().take(MAX_SHEETS) {
        let rows = rows(&mut workbook, &name)?;
        if is_wanted(&rows) {
            return Ok(Sheet { unit: Unit::Row, rows });
        }
        if first.is_none() && !rows.is_empty() {
            first = Some(rows);
        }
    }
    Ok(Sheet { unit: Unit::Row, rows: first.unwrap_or_default() })
}

fn broken(error: &dyn std::error::Error) -> Failure {
    let hint = "save it as an Excel workbook (.xlsx), without a password, or as CSV".to_owned();
    invalid(format!("it cannot be read as an XLSX workbook: {error}"), Some(hint))
}

fn too_large(what: &str) -> Failure {
    let message = format!("the workbook has more {what} than can be read");
    invalid(message, Some("split it into several files".to_owned()))
}

/// Unpacks every part to see how large it is.
fn measure(bytes: &[u8]) -> Result<(), Failure> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| broken(&error))?;
    if archive.len() > MAX_PARTS {
        return Err(too_large("parts"));
    }
    let mut left = MAX_UNPACKED;
    for at in 0..archive.len() {
        let mut part = archive.by_index(at).map_err(|error| broken(&error))?;
        let name = String::from_utf8_lossy(part.name_raw()).to_lowercase();
        let file = name.rsplit('/').next().unwrap_or_default();
        let is_texts = file == "sharedstrings.xml";
        // A sheet may have any name, so all that is not one of the small parts counts as one.
        let is_small = file.ends_with(".xml") || file.ends_with(".rels");
        let is_large =
            is_texts || !is_small || (name.contains("worksheets/") && file != "styles.xml");
        let most = if is_large { left } else { MAX_PART };
        let mut kept = Vec::new();
        let unpacked = if is_texts {
            part.take(most + 1).read_to_end(&mut kept).map(|n| n as u64)
        } else {
            io::copy(&mut part.by_ref().take(most + 1), &mut io::sink())
        };
        let n = unpacked.map_err(|error| broken(&error))?;
        if n > most || !counts_are_sane(&kept) {
            return Err(too_large("content"));
        }
        if is_large {
            left -= n;
        }
    }
    Ok(())
}

/// Returns whether a list of texts claims no more of them than a sheet can have: the library makes
/// room for as many as it is told.
fn counts_are_sane(texts: &[u8]) -> bool {
    let name = b"uniqueCount";
    let mut rest = texts;
    while let Some(at) = rest.windows(name.len()).position(|window| window == name) {
        rest = rest.get(at + name.len()..).unwrap_or_default();
        let value = rest.iter().skip_while(|byte| b" \t\r\n='\"".contains(byte));
        let digits = value.take_while(|byte| byte.is_ascii_digit());
        let digits: String = digits.take(20).map(|byte| char::from(*byte)).collect();
        let is_sane = digits.parse::<usize>().is_ok_and(|n| n <= MAX_CELLS);
        if !digits.is_empty() && !is_sane {
            return false;
        }
    }
    true
}

fn rows(workbook: &mut Xlsx<Cursor<Vec<u8>>>, name: &str) -> Result<Vec<Row>, Failure> {
    let mut reader = match workbook.worksheet_cells_reader(name) {
        Ok(reader) => reader,
        // A chart has no cells.
        Err(XlsxError::NotAWorksheet(_)) => return Ok(Vec::new()),
        Err(error) => return Err(broken(&error)),
    };
    let mut found: Vec<(u32, u32, Cell)> = Vec::new();
    let mut n_bytes = 0_usize;
    while let Some(cell) = reader.next_cell().map_err(|error| broken(&error))? {
        let (row, column) = cell.get_position();
        let Some(value) = value(cell.get_value()) else { continue };
        if column >= MAX_COLUMNS {
            return Err(too_large("columns"));
        }
        if let Cell::Text(text) = &value {
            n_bytes = n_bytes.saturating_add(text.len());
        }
        found.push((row, column, value));
        if found.len() > MAX_CELLS || n_bytes > MAX_TEXT {
            return Err(too_large("content"));
        }
    }
    found.sort_by_key(|(row, column, _)| (*row, *column));
    let mut rows: Vec<Row> = Vec::new();
    let mut n_cells = 0_usize;
    for (row, column, cell) in found {
        let line = u64::from(row) + 1;
        if rows.last().is_none_or(|last| last.line != line) {
            rows.push(Row { line, cells: Vec::new() });
        }
        let Some(last) = rows.last_mut() else { continue };
        let column = usize::try_from(column).unwrap_or(usize::MAX);
        // The same place may come twice; the first one counts.
        if column < last.cells.len() {
            continue;
        }
        n_cells += column + 1 - last.cells.len();
        if n_cells > MAX_CELLS {
            return Err(too_large("content"));
        }
        last.cells.resize(column, Cell::Text(String::new()));
        last.cells.push(cell);
    }
    if rows.len() > MAX_ROWS {
        return Err(too_large("rows"));
    }
    Ok(rows)
}

/// Returns a value as a cell; `None` for an empty one.
fn value(value: &DataRef<'_>) -> Option<Cell> {
    Some(match value {
        DataRef::Empty => return None,
        // Beyond this there is no whole number in a workbook either.
        DataRef::Int(number) => i32::try_from(*number)
            .map_or_else(|_| Cell::Text(number.to_string()), |number| Cell::Number(number.into())),
        DataRef::Float(number) => Cell::Number(*number),
        DataRef::String(text) => Cell::Text(text.clone()),
        DataRef::SharedString(text) => Cell::Text((*text).to_owned()),
        DataRef::Bool(flag) => Cell::Bool(*flag),
        DataRef::DateTime(moment) => date(moment),
        DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => iso(text),
        DataRef::Error(error) => Cell::Text(error.to_string()),
    })
    .filter(|cell| !matches!(cell, Cell::Text(text) if text.is_empty()))
}

/// Returns a date as a cell; a time without a day is a number.
fn date(moment: &ExcelDateTime) -> Cell {
    let number = Cell::Number(moment.as_f64());
    if moment.is_duration() || moment.as_f64() < 1.0 {
        return number;
    }
    let (year, month, day, hour, minute, second, _) = moment.to_ymd_hms_milli();
    let small = |n: u8| i8::try_from(n).unwrap_or_default();
    let year = i16::try_from(year).unwrap_or_default();
    let Ok(day) = Date::new(year, small(month), small(day)) else { return number };
    if (hour, minute, second) == (0, 0, 0) {
        return Cell::Day(day);
    }
    let (hour, minute, second) = (small(hour), small(minute), small(second));
    DateTime::new(day.year(), day.month(), day.day(), hour, minute, second, 0)
        .map_or(Cell::Day(day), Cell::Moment)
}

fn iso(text: &str) -> Cell {
    let day = || text.parse::<Date>().ok().filter(|_| text.len() == 10).map(Cell::Day);
    let moment = || text.parse::<DateTime>().ok().map(Cell::Moment);
    day().or_else(moment).unwrap_or_else(|| Cell::Text(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use rust_xlsxwriter::{ExcelDateTime as Moment, Format, Workbook};

    use super::*;

    fn made(fill: impl FnOnce(&mut Workbook)) -> Vec<u8> {
        let mut workbook = Workbook::new();
        fill(&mut workbook);
        workbook.save_to_buffer().unwrap()
    }

    #[test]
    fn cells_keep_their_kind_and_rows_their_number() {
        let bytes = made(|workbook| {
            let _empty = workbook.add_worksheet();
            let sheet = workbook.add_worksheet();
            sheet.write_string(2, 0, "title").unwrap();
            sheet.write_number(4, 0, 7.0).unwrap();
            sheet.write_number(4, 1, 0.75).unwrap();
            sheet.write_boolean(4, 2, true).unwrap();
            let format = Format::new().set_num_format("dd/mm/yyyy");
            let day = Moment::from_ymd(2026, 12, 24).unwrap();
            sheet.write_datetime_with_format(4, 4, &day, &format).unwrap();
        });
        let sheet = read(bytes, |_| false).unwrap();
        let lines: Vec<u64> = sheet.rows.iter().map(|row| row.line).collect();
        assert_eq!(lines, [3, 5]);
        let texts: Vec<_> = sheet.rows[1].cells.iter().map(Cell::text).collect();
        assert_eq!(texts, ["7", "0.75", "true", "", "2026-12-24"]);
        assert!(matches!(sheet.rows[1].cells[4], Cell::Day(_)));
    }

    #[test]
    fn the_sheet_that_is_wanted_is_read() {
        let bytes = made(|workbook| {
            workbook.add_worksheet().write_string(0, 0, "other").unwrap();
            workbook.add_worksheet().write_string(0, 0, "title").unwrap();
        });
        let is_wanted = |rows: &[Row]| rows.iter().any(|row| row.cells[0].text() == "title");
        assert_eq!(read(bytes.clone(), is_wanted).unwrap().rows[0].cells[0].text(), "title");
        assert_eq!(read(bytes, |_| false).unwrap().rows[0].cells[0].text(), "other");
    }

    #[test]
    fn what_is_no_workbook_or_too_large_is_refused() {
        let refused = |bytes: Vec<u8>| read(bytes, |_| true).unwrap_err().message;
        assert!(refused(b"PK\x03\x04 and nothing".to_vec()).contains("XLSX workbook"));
        let far = made(|workbook| {
            workbook.add_worksheet().write_string(0, 300, "x").unwrap();
        });
        assert!(refused(far).contains("more columns"));
        assert!(counts_are_sane(b"<sst count='3' uniqueCount='3'>"));
        assert!(!counts_are_sane(b"<sst uniqueCount = \"99999999999999999999999\">"));
    }
}
