//! The audit log for other programs: JSON Lines, which can be verified, and rows for a spreadsheet.

use std::io::Write;
use std::path::Path;

use serde_json::Value;

use crate::journal::Journal;
use crate::journal::anchor::Anchor;
use crate::journal::audit::{last, row_of};
use crate::journal::canonical::canonical;
use crate::journal::error::Error;
use crate::journal::error::Fault;
use crate::journal::row::json_of;
use crate::journal::store::snapshot;
use crate::journal::verify::end_line;

/// The columns of a row.
pub const COLUMNS: [&str; 19] = [
    "seq",
    "at",
    "kind",
    "run",
    "actor",
    "agent",
    "skill",
    "skill_digest",
    "policies",
    "op",
    "entity",
    "entity_id",
    "title",
    "fields",
    "outcome",
    "status",
    "request_id",
    "service_request_id",
    "hash",
];

/// Characters that start a formula at the beginning of a cell.
const FORMULA: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'];

impl Journal {
    /// Copies the journal at `from` to a file that does not exist yet. Returns the end of the copy's audit
    /// log, for its anchor.
    ///
    /// # Errors
    /// It cannot be read, or the copy not be written.
    pub fn copy(from: &Path, to: &Path) -> Result<Anchor, Error> {
        // It is one, and of this version.
        drop(Self::open_to_read(from)?);
        snapshot::copy(from, to)?;
        Self::open_to_read(to)?.store.read(last)
    }

    /// Writes the audit log as JSON Lines: every record unchanged, then a line that names the last
    /// one, so that a missing end is noticed. Returns the number of records.
    ///
    /// # Errors
    /// The journal cannot be read, or `out` cannot be written.
    pub fn export_lines(&self, out: &mut dyn Write) -> Result<i64, Error> {
        self.store.read(|on| {
            let failed = |error| Fault::Told(Error::Export(error));
            let mut statement = on.prepare("SELECT seq, record FROM audit ORDER BY seq")?;
            let mut rows = statement.query([])?;
            let mut count = 0;
            while let Some(row) = rows.next()? {
                let (_, mut record) = row_of(row)?;
                record.push(b'\n');
                out.write_all(&record).map_err(failed)?;
                count += 1;
            }
            writeln!(out, "{}", end_line(&last(on)?)).map_err(failed)?;
            out.flush().map_err(failed)?;
            Ok(count)
        })
    }

    /// Passes the audit log to `each` as rows of cells, none of which is a formula.
    ///
    /// # Errors
    /// The journal cannot be read, a record is damaged, or `each` failed.
    pub fn export_rows(
        &self,
        each: &mut dyn FnMut([String; COLUMNS.len()]) -> std::io::Result<()>,
    ) -> Result<(), Error> {
        self.store.read(|on| {
            let mut statement = on.prepare("SELECT record FROM audit ORDER BY seq")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let text: String = row.get(0)?;
                let record = json_of(&text, "audit record")?;
                each(cells(&record)).map_err(|error| Fault::Told(Error::Export(error)))?;
            }
            Ok(())
        })
    }
}

fn cells(record: &Value) -> [String; COLUMNS.len()] {
    COLUMNS.map(|column| {
        let change = &record["change"];
        let value = match column {
            "actor" if record["actor"].is_null() => &record["by"]["name"],
            "actor" => &record["actor"]["upn"],
            "op" | "entity" | "title" | "fields" => &change[column],
            "entity_id" if record["entity_id"].is_null() => &change["id"],
            _ => &record[column],
        };
        guarded(match value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => canonical(other),
        })
    })
}

fn guarded(cell: String) -> String {
    if cell.trim_start_matches('\'').starts_with(FORMULA) { format!("'{cell}") } else { cell }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        let record = json!({ "seq": 1, "agent": "=1+1", "change": { "title": "'@x", "id": "+1" } });
        let cells = cells(&record);
        let at = |name: &str| &cells[COLUMNS.iter().position(|column| *column == name).unwrap()];
        assert_eq!(at("seq"), "1");
        assert_eq!(at("agent"), "'=1+1");
        assert_eq!(at("title"), "''@x");
        assert_eq!(at("entity_id"), "'+1");
        assert_eq!(at("outcome"), "");
    }
}
