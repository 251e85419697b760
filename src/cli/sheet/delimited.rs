//! CSV with any of the usual separators.

use crate::cli::sheet::columns::{self, Mapping};
use crate::cli::sheet::table::{Cell, MAX_CELLS, MAX_ROWS, Row, Sheet, Unit, invalid};
use crate::host::Failure;

/// The separators that are looked for, the usual one first.
const SEPARATORS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Reads a text as CSV; its headings decide the separator.
///
/// # Errors
/// It is too large, or a quote in it is not closed.
pub(crate) fn read(text: &str, maps: &[Mapping]) -> Result<Sheet, Failure> {
    // Some spreadsheets put a byte order mark in front.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let n_lines = text.bytes().filter(|byte| *byte == b'\n').count();
    if n_lines > MAX_ROWS {
        let message = format!("it has {n_lines} lines, but at most {MAX_ROWS} are read");
        return Err(invalid(message, Some("split it into several files".to_owned())));
    }
    let mut best: Option<((usize, usize), u8)> = None;
    for separator in SEPARATORS {
        let sample = rows(text, separator, columns::LOOKED_AT)?;
        let width = sample.iter().find(|row| !row.is_blank()).map_or(0, |row| row.cells.len());
        let score = (columns::recognised(&sample, maps), width);
        // Of equals the first one stays.
        if best.is_none_or(|(other, _)| score > other) {
            best = Some((score, separator));
        }
    }
    let separator = best.map_or(b',', |(_, separator)| separator);
    Ok(Sheet { unit: Unit::Line, rows: rows(text, separator, usize::MAX)? })
}

/// Reads the first rows.
fn rows(text: &str, separator: u8, limit: usize) -> Result<Vec<Row>, Failure> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(separator)
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let mut places = Places { bytes: text.as_bytes(), at: 0, line: 1 };
    let (mut rows, mut n_cells) = (Vec::new(), 0_usize);
    let mut record = csv::StringRecord::new();
    while rows.len() < limit
        && reader.read_record(&mut record).map_err(|_| invalid("it is not CSV", None))?
    {
        n_cells = n_cells.saturating_add(record.len());
        if n_cells > MAX_CELLS {
            let message = format!("it has more than {MAX_CELLS} cells");
            return Err(invalid(message, Some("split it into several files".to_owned())));
        }
        let offset = record.position().map_or(0, csv::Position::byte);
        let line = places.line_at(usize::try_from(offset).unwrap_or(usize::MAX));
        // The library reads a quote that is not closed into the lines behind it, without an error.
        let end = usize::try_from(reader.position().byte()).unwrap_or(usize::MAX);
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let raw = text.get(start..end.min(text.len())).unwrap_or_default();
        let spans = raw.trim_matches(['\r', '\n']).contains('\n');
        if limit == usize::MAX && spans && raw.matches('"').count() % 2 == 1 {
            let hint = "write a quote inside a quoted cell twice".to_owned();
            return Err(invalid(format!("line {line}: a quote is not closed"), Some(hint)));
        }
        let cells = record.iter().map(|cell| Cell::Text(cell.to_owned())).collect();
        rows.push(Row { line, cells });
        if rows.len() > MAX_ROWS {
            let message = format!("it has more lines, but at most {MAX_ROWS} are read");
            return Err(invalid(message, Some("split it into several files".to_owned())));
        }
    }
    Ok(rows)
}

/// The lines of a text, counted once from the beginning to the end. The library counts its own way,
/// which is one behind after `\r\n` and before empty lines.
struct Places<'a> {
    bytes: &'a [u8],
    at: usize,
    line: u64,
}

impl Places<'_> {
    /// Returns the line on which the text at an offset begins, or the next one behind line ends.
    fn line_at(&mut self, offset: usize) -> u64 {
        let is_end = |at: usize| matches!(self.bytes.get(at), Some(b'\r' | b'\n'));
        let mut end = offset.min(self.bytes.len());
        while is_end(end) {
            end += 1;
        }
        while self.at < end {
            let (byte, next) = (self.bytes.get(self.at), self.bytes.get(self.at + 1));
            let ends = match byte {
                Some(b'\n') => true,
                Some(b'\r') => next != Some(&b'\n'),
                _ => false,
            };
            self.line += u64::from(ends);
            self.at += 1;
        }
        self.line
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(text: &str) -> Vec<(u64, Vec<String>)> {
        let sheet = read(text, &[]).unwrap();
        let cells = |row: &Row| row.cells.iter().map(|cell| cell.text().into_owned()).collect();
        sheet.rows.iter().map(|row| (row.line, cells(row))).collect()
    }

    #[test]
    fn each_row_knows_its_line() {
        for end in ["\n", "\r\n", "\r"] {
            let text = ["title,due", "A,x", "", "\"B", "b\",y", "C,z", ""].join(end);
            let found: Vec<u64> = lines(&text).iter().map(|(line, _)| *line).collect();
            assert_eq!(found, [1, 2, 4, 6], "{end:?}");
        }
    }

    #[test]
    fn the_headings_decide_the_separator() {
        for separator in [",", ";", "\t", "|"] {
            let text = format!("\u{feff}Title{separator}Due\n\"a,b;c|d\te\"{separator}x\n");
            let rows = lines(&text);
            assert_eq!(rows[1].1, ["a,b;c|d\te", "x"], "{separator:?}");
        }
        // The first line is none of them.
        let rows = lines("Plan, the big one;\nTask Name;Due date\nA;\n");
        assert_eq!(rows[1].1, ["Task Name", "Due date"]);
        assert_eq!(lines("title\na;b\n")[1].1, ["a;b"]);
    }

    #[test]
    fn what_is_no_sheet_is_refused() {
        let message = |text: &str| read(text, &[]).unwrap_err().message;
        let open = message("title,description\nx,\"fine\ny,z\nw,v\n");
        assert_eq!(open, "line 2: a quote is not closed");
        assert!(message(&",".repeat(MAX_CELLS + 1)).contains("more than 2000000 cells"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            drop(read(&text, &[]));
        }
    }
}
