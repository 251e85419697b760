//! The verification of the audit log: its chain of hashes, its anchor, and the rows of the journal
//! that it must agree with.

use std::collections::BTreeSet;
use std::io::{BufRead, Read as _};

use rusqlite::{Connection, OptionalExtension as _};
use serde_json::Value;

use crate::journal::Journal;
use crate::journal::anchor::{Anchor, Reading};
use crate::journal::audit::{Chain, Link, row_of};
use crate::journal::entry::NoteKind;
use crate::journal::error::Error;
use crate::journal::error::Fault;
use crate::journal::row::{
    Core, FinishRow, IntentRow, OutcomeRow, RoundRow, RunRow, is_core, summary, summary_of,
};

/// Most problems that are reported.
const MAX_PROBLEMS: usize = 100;
/// Longest line of an export that is read, in bytes; a change set is far below.
const MAX_LINE: u64 = 256 << 20;

/// The result of a verification.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verification {
    /// The number of records.
    pub records: i64,
    /// The record up to which the anchor proves that nothing was cut off; `None` without an anchor.
    pub anchored: Option<i64>,
    /// The problems in order, at most a hundred.
    pub problems: Vec<Problem>,
    /// Findings that are worth knowing but are no problems.
    pub notes: Vec<Problem>,
}

/// Something found by a verification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The number of the record; `None` if it is not about one.
    pub seq: Option<i64>,
    /// The finding, as a sentence without a full stop.
    pub what: String,
}

impl Verification {
    /// Returns whether there are no problems.
    #[must_use]
    pub const fn is_ok(&self) -> bool {
        self.problems.is_empty()
    }

    fn problem(&mut self, seq: Option<i64>, what: impl Into<String>) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(Problem { seq, what: what.into() });
        }
    }

    /// Follows a chain to its next record.
    fn follow(&mut self, chain: &mut Chain, line: &[u8]) -> Option<Link> {
        let mut problems = Vec::new();
        let link = chain.follow(line, &mut problems);
        for (seq, what) in problems {
            self.problem(Some(seq), what);
        }
        if let Some(link) = link.as_ref().filter(|link| link.anchor_lost) {
            let seq = link.place.seq;
            let what = format!(
                "the anchor was missing when record {seq} was written: nothing shows whether \
                 records before it were cut off"
            );
            self.notes.push(Problem { seq: Some(seq), what });
        }
        link
    }

    /// Compares the end of a chain with an anchor for its present record.
    fn compare(&mut self, chain: &Chain, anchor: &Anchor) {
        if chain.hash().is_some_and(|hash| hash != anchor.hash) {
            let seq = anchor.seq;
            self.problem(Some(seq), format!("record {seq} is not the one that its anchor names"));
        }
    }
}

impl Journal {
    /// Verifies that the chain of the audit log is unbroken and complete, that the journal agrees
    /// with it, and that the database is sound.
    ///
    /// # Errors
    /// The journal cannot be read at all.
    pub fn verify(&self) -> Result<Verification, Error> {
        // The anchor is read before the log: a writer adds to the log first, so in the other order
        // a record written in between would look cut off.
        let reading = self.anchor.read();
        self.store.read(|on| {
            let mut found = Verification::default();
            check_pages(on, &mut found)?;
            let anchor = match &reading {
                Reading::At(anchor) => Some(anchor),
                _ => None,
            };
            let mut chain = Chain::new();
            let mut rows = Rows { pruned: pruned(on)?, ..Rows::default() };
            let mut statement = on.prepare("SELECT seq, record FROM audit ORDER BY seq")?;
            let mut records = statement.query([])?;
            while let Some(row) = records.next()? {
                let (seq, record) = row_of(row)?;
                found.records += 1;
                let link = found.follow(&mut chain, &record);
                if chain.seq() != seq {
                    found.problem(Some(seq), format!("record {seq} says it is {}", chain.seq()));
                }
                if let Some(anchor) = anchor.filter(|anchor| anchor.seq == seq) {
                    found.compare(&chain, anchor);
                }
                if let Some(link) = link {
                    rows.compare(on, seq, &link.core, &mut found)?;
                }
            }
            rows.rest(on, &mut found)?;
            match reading {
                Reading::At(anchor) => {
                    let last = chain.seq();
                    if anchor.seq > last {
                        let what = format!(
                            "the log ends at record {last}, but its anchor is at record {}",
                            anchor.seq
                        );
                        found.problem(Some(last + 1), what);
                    }
                    found.anchored = Some(anchor.seq.min(last));
                }
                Reading::Missing if found.records == 0 => {}
                Reading::Missing => found.problem(
                    None,
                    "there is no anchor: nothing shows whether the end of the log was cut off",
                ),
                Reading::Unreadable => found.problem(None, "the anchor cannot be read"),
            }
            Ok(found)
        })
    }
}

/// Verifies that the chain of a log exported as JSON Lines is unbroken and complete. `anchor` is
/// one that was kept elsewhere, if any.
///
/// # Errors
/// The export cannot be read.
pub fn verify_export(
    mut export: impl BufRead,
    anchor: Option<&Anchor>,
) -> Result<Verification, Error> {
    let mut check = ExportCheck::new(anchor.cloned());
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut limited = export.by_ref().take(MAX_LINE);
        if limited.read_until(b'\n', &mut line).map_err(Error::Export)? == 0 {
            return Ok(check.finish());
        }
        check.line(&line);
    }
}

/// The verification of an export, line by line, as it arrives.
#[derive(Debug, Clone)]
pub struct ExportCheck {
    anchor: Option<Anchor>,
    chain: Chain,
    end: Option<Anchor>,
    found: Verification,
}

impl ExportCheck {
    /// Starts before the first line. `anchor` is one that was kept elsewhere, if any.
    #[must_use]
    pub fn new(anchor: Option<Anchor>) -> Self {
        Self { anchor, chain: Chain::new(), end: None, found: Verification::default() }
    }

    /// Checks the next line, with its line end; returns whether there are no problems so far.
    pub fn line(&mut self, line: &[u8]) -> bool {
        let next = self.chain.seq() + 1;
        if self.end.is_some() {
            self.found.problem(Some(next), "something follows the last line");
            return false;
        }
        let line = line.strip_suffix(b"\n").unwrap_or_else(|| {
            self.found.problem(Some(next), "the last line has no line end");
            line
        });
        if let Some(mark) = end_of(line) {
            if mark.seq == self.chain.seq() {
                self.found.compare(&self.chain, &mark);
            } else {
                let what =
                    format!("the export ends at record {}, but had {}", self.chain.seq(), mark.seq);
                self.found.problem(Some(next), what);
            }
            self.end = Some(mark);
        } else {
            self.found.records += 1;
            self.found.follow(&mut self.chain, line);
            if let Some(anchor) =
                self.anchor.as_ref().filter(|anchor| anchor.seq == self.chain.seq())
            {
                self.found.compare(&self.chain, anchor);
            }
        }
        self.found.is_ok()
    }

    /// Ends the check after the last line; returns its result.
    #[must_use]
    pub fn finish(mut self) -> Verification {
        let last = self.chain.seq();
        if self.end.is_none() {
            let what = "the last line is missing: the end was cut off";
            self.found.problem(Some(last + 1), what);
        }
        self.found.anchored = self.end.map(|mark| mark.seq);
        if let Some(anchor) = self.anchor.filter(|anchor| anchor.seq > last) {
            let what = format!("the export ends at record {last}, before its anchor");
            self.found.problem(Some(anchor.seq), what);
        }
        self.found
    }
}

/// Parses the last line of an export; `None` if it is another line.
fn end_of(line: &[u8]) -> Option<Anchor> {
    let text = std::str::from_utf8(line).ok()?;
    let inner = text.strip_prefix("{\"end\":")?.strip_suffix('}')?;
    Anchor::parse(inner)
}

/// Returns the last line of an export.
pub(crate) fn end_line(anchor: &Anchor) -> String {
    format!("{{\"end\":{}}}", anchor.to_text())
}

fn check_pages(on: &Connection, found: &mut Verification) -> Result<(), Fault> {
    let mut statement = on.prepare("PRAGMA integrity_check(10)")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let said: String = row.get(0)?;
        if said != "ok" {
            found.problem(None, format!("the database is damaged: {said}"));
        }
    }
    // `integrity_check` does not check foreign keys.
    let mut statement = on.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (table, to): (String, String) = (row.get(0)?, row.get(2)?);
        found.problem(None, format!("a row of `{table}` refers to one of `{to}` that is missing"));
    }
    Ok(())
}

/// The tables whose rows have records.
const TABLES: [&str; 5] = ["run", "round", "intent", "outcome", "finish"];

/// The rows that have a record.
#[derive(Default)]
struct Rows {
    agreed: BTreeSet<i64>,
    /// The runs that the log says were deleted for their age.
    pruned: BTreeSet<String>,
}

/// Finds the runs that the log says were deleted. That it says so itself is checked like any record.
fn pruned(on: &Connection) -> Result<BTreeSet<String>, Fault> {
    let sql = "SELECT seq, record FROM audit WHERE record LIKE '%\"kind\":\"pruned\"%'";
    let mut statement = on.prepare(sql)?;
    let mut records = statement.query([])?;
    let mut runs = BTreeSet::new();
    while let Some(row) = records.next()? {
        let (_, record) = row_of(row)?;
        let Ok(record) = serde_json::from_slice::<Value>(&record) else { continue };
        if record["kind"] == NoteKind::Pruned.name() {
            let named = record["detail"]["runs"].as_array().into_iter().flatten();
            runs.extend(named.filter_map(|run| run.as_str().map(str::to_owned)));
        }
    }
    Ok(runs)
}

impl Rows {
    /// Compares a record with its row.
    fn compare(
        &mut self,
        on: &Connection,
        seq: i64,
        record: &Core,
        found: &mut Verification,
    ) -> Result<(), Fault> {
        let kind = record.get("kind").and_then(|kind| kind.as_str()).unwrap_or_default();
        if NoteKind::parse(kind).is_some() {
            return Ok(());
        }
        match wanted(on, seq, kind) {
            Ok(Some(wanted)) if is_core(record, &wanted) => {
                self.agreed.insert(seq);
            }
            Ok(Some(_)) => {
                // Reported here, so not again as a row without a record.
                self.agreed.insert(seq);
                found.problem(Some(seq), format!("record {seq} and the journal differ"));
            }
            Ok(None)
                if record
                    .get("run")
                    .and_then(Value::as_str)
                    .is_some_and(|run| self.pruned.contains(run)) => {}
            Ok(None) => {
                found.problem(Some(seq), format!("the journal has nothing for record {seq}"));
            }
            Err(Fault::Damaged(what)) => {
                self.agreed.insert(seq);
                found.problem(Some(seq), format!("the journal is damaged at record {seq}: {what}"));
            }
            Err(Fault::Sql(
                error @ (rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::FromSqlConversionFailure(..)),
            )) => {
                self.agreed.insert(seq);
                found
                    .problem(Some(seq), format!("the journal is damaged at record {seq}: {error}"));
            }
            Err(other) => return Err(other),
        }
        Ok(())
    }

    /// Finds rows without a record.
    fn rest(&self, on: &Connection, found: &mut Verification) -> Result<(), Fault> {
        for table in TABLES {
            let mut statement = on.prepare(&format!("SELECT seq FROM {table} ORDER BY seq"))?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let seq: i64 = row.get(0)?;
                if !self.agreed.contains(&seq) {
                    let what = format!(
                        "the journal has a row of `{table}` for record {seq}, which does not mention it"
                    );
                    found.problem(Some(seq), what);
                }
            }
        }
        Ok(())
    }
}

/// Returns the record that the row of number `seq` calls for.
fn wanted(on: &Connection, seq: i64, kind: &str) -> Result<Option<Core>, Fault> {
    let missing = || Fault::Damaged("it refers to something that is missing".to_owned());
    let run = |id: &str| RunRow::find(on, id)?.ok_or_else(missing);
    let intent_sql = format!("SELECT {} FROM intent WHERE seq = ?1", IntentRow::COLUMNS);
    let intent =
        |seq: i64| on.prepare_cached(&intent_sql)?.query_row([seq], IntentRow::read).optional();
    match kind {
        "run_started" => {
            let sql = format!("SELECT {} FROM run WHERE seq = ?1", RunRow::COLUMNS);
            let row = on.prepare_cached(&sql)?.query_row([seq], RunRow::read).optional()?;
            row.map(|row| row.core()).transpose()
        }
        "judged" | "refused" | "held" => {
            let sql = format!("SELECT {} FROM round WHERE seq = ?1", RoundRow::COLUMNS);
            let row = on.prepare_cached(&sql)?.query_row([seq], RoundRow::read).optional()?;
            let Some(row) = row else { return Ok(None) };
            for change in row.set()?.changes() {
                let n = u32::try_from(change.n).unwrap_or_default();
                if summary_of(on, &row.run, (row.round, n))? != Some(summary(change)) {
                    return Err(Fault::Damaged(format!("its change {n} is not in its set")));
                }
            }
            row.core(&run(&row.run)?).map(Some)
        }
        "intent" => {
            let Some(row) = intent(seq)? else { return Ok(None) };
            let change = summary_of(on, &row.run, (row.round, row.n))?.ok_or_else(missing)?;
            row.core(&run(&row.run)?, change).map(Some)
        }
        "outcome" | "conflict" => {
            let sql = format!("SELECT {} FROM outcome WHERE seq = ?1", OutcomeRow::COLUMNS);
            let row = on.prepare_cached(&sql)?.query_row([seq], OutcomeRow::read).optional()?;
            let Some(row) = row else { return Ok(None) };
            let of = intent(row.intent_seq)?.ok_or_else(missing)?;
            let change = summary_of(on, &of.run, (of.round, of.n))?.ok_or_else(missing)?;
            row.core(&run(&of.run)?, &of, &change).map(Some)
        }
        "finished" => {
            let sql = format!("SELECT {} FROM finish WHERE seq = ?1", FinishRow::COLUMNS);
            let row = on.prepare_cached(&sql)?.query_row([seq], FinishRow::read).optional()?;
            row.map(|row| row.core(&run(&row.run)?)).transpose()
        }
        other => Err(Fault::Damaged(format!("`{other}` is not a kind of record"))),
    }
}
