//! Retention: what old runs have left is deleted, but for what anything can still rest on.
//!
//! The audit log stays whole, with the digest of each set and every request; what goes is the runs
//! themselves. Each is named in a record of the log, so that `verify` tells it from one that somebody
//! has deleted.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use rusqlite::{Connection, params};
use serde_json::json;

use crate::journal::Journal;
use crate::journal::entry::{Note, Pruned, RunId};
use crate::journal::error::{Error, Fault};
use crate::journal::read::WITHOUT_DETAILS;
use crate::journal::row::{core_of_note, moment, run_id};
use crate::journal::shared::changes;

/// The runs that are deleted in one transaction, during which others wait.
const BATCH: usize = 200;
/// The runs that wrote and are kept of each actor, however old: the last of them can be undone.
pub(crate) const LAST_OF_ACTOR: usize = 20;

/// A run, as far as it matters whether it can go.
struct Row {
    id: String,
    at: Timestamp,
    actor: (String, String, Option<String>),
    is_resume: bool,
    is_unfinished: bool,
    ended: Option<Timestamp>,
    wrote: bool,
}

/// Families of runs: one that belongs to another stays or goes with it.
#[derive(Default)]
struct Families(BTreeMap<String, String>);

impl Families {
    fn of(&self, id: &str) -> String {
        let mut id = id.to_owned();
        while let Some(next) = self.0.get(&id).filter(|next| **next != id) {
            id.clone_from(next);
        }
        id
    }

    fn join(&mut self, one: &str, other: &str) {
        let (one, other) = (self.of(one), self.of(other));
        let (older, newer) = if one < other { (one, other) } else { (other, one) };
        if older != newer {
            self.0.insert(newer, older);
        }
    }
}

fn rows(on: &Connection) -> Result<Vec<Row>, Fault> {
    let sql = "SELECT run.id, run.at, run.service, run.actor_id, run.agent,
            run.purpose = 'resume', finish.at,
            finish.at IS NULL OR coalesce(json_extract(finish.report, '$.unfinished'), 0),
            EXISTS (SELECT 1 FROM intent WHERE intent.run_id = run.id)
        FROM run LEFT JOIN finish ON finish.run_id = run.id
        ORDER BY run.seq";
    let mut statement = on.prepare_cached(sql)?;
    let mut found = statement.query([])?;
    let mut all = Vec::new();
    while let Some(row) = found.next()? {
        let ended: Option<String> = row.get(6)?;
        all.push(Row {
            id: row.get(0)?,
            at: moment(&row.get::<_, String>(1)?)?,
            actor: (row.get(2)?, row.get(3)?, row.get(4)?),
            is_resume: row.get(5)?,
            ended: ended.as_deref().map(moment).transpose()?,
            is_unfinished: row.get(7)?,
            wrote: row.get(8)?,
        });
    }
    Ok(all)
}

fn texts(on: &Connection, sql: &str) -> Result<Vec<(String, String)>, Fault> {
    let mut statement = on.prepare_cached(sql)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Returns the runs that can go, whole families of them.
fn candidates(on: &Connection, before: Timestamp) -> Result<Vec<RunId>, Fault> {
    let all = rows(on)?;
    let mut families = Families::default();
    let known: BTreeSet<&str> = all.iter().map(|run| run.id.as_str()).collect();
    for sql in [
        "SELECT id, parent FROM run WHERE parent IS NOT NULL",
        "SELECT run.id, round.run_id FROM run JOIN round ON round.digest = run.takes_up",
        "SELECT run_id, applied_by FROM kept_set WHERE applied_by IS NOT NULL",
    ] {
        for (one, other) in texts(on, sql)? {
            if known.contains(one.as_str()) && known.contains(other.as_str()) {
                families.join(&one, &other);
            }
        }
    }
    let mut kept: BTreeSet<String> = BTreeSet::new();
    // Runs that an entry that is not over still asks after, those whose set waits for a person, and those
    // that made a task whose key is on no other record.
    let keys = format!("SELECT run.id, entity_id {WITHOUT_DETAILS}");
    for sql in [
        keys.as_str(),
        "SELECT run_id, id FROM inbox WHERE state IN ('queued', 'running') AND run_id IS NOT NULL",
        "SELECT run_id, state FROM kept_set WHERE state IN ('pending', 'approved')",
    ] {
        kept.extend(texts(on, sql)?.iter().map(|(run, _)| families.of(run)));
    }
    let mut resumed: BTreeMap<String, Timestamp> = BTreeMap::new();
    for run in all.iter().filter(|run| run.is_resume && !run.is_unfinished) {
        resumed.insert(families.of(&run.id), run.at);
    }
    let mut wrote: BTreeMap<_, usize> = BTreeMap::new();
    for run in all.iter().rev() {
        let family = families.of(&run.id);
        let is_recent = run.ended.is_none_or(|at| at >= before);
        // One that was carried on to its end needs nothing any more.
        let is_open = run.is_unfinished && resumed.get(&family).is_none_or(|at| *at < run.at);
        let is_last = run.wrote && {
            let n = wrote.entry(&run.actor).or_default();
            *n += 1;
            *n <= LAST_OF_ACTOR
        };
        // A run that was killed has no end, also after it was carried on.
        let is_recent = is_recent && (run.ended.is_some() || is_open || run.at >= before);
        if is_recent || is_open || is_last {
            kept.insert(family);
        }
    }
    let free = all.iter().filter(|run| !kept.contains(&families.of(&run.id)));
    // A family stays together: those that run into the next batch only if they are too many.
    let mut by_family: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for run in free {
        by_family.entry(families.of(&run.id)).or_default().push(&run.id);
    }
    by_family.into_values().flatten().map(run_id).collect()
}

/// The entries that can go: those that are over, but for those with a key, which must stay known, and
/// those that say who asked for what still waits for a person, or may yet be carried on and then wait.
const ENTRIES: &str = "state NOT IN ('queued', 'running') AND key IS NULL
    AND substr(ended_at, 1, 10) < ?1
    AND NOT EXISTS (
        WITH RECURSIVE open (id) AS (
            SELECT run_id FROM kept_set WHERE state IN ('pending', 'approved')
            UNION SELECT run.id FROM run LEFT JOIN finish ON finish.run_id = run.id
                WHERE finish.at IS NULL OR finish.status = 'partial' OR coalesce(json_extract(finish.report, '$.unfinished'), 0)
            UNION SELECT run.parent FROM run JOIN open ON run.id = open.id
                WHERE run.parent IS NOT NULL
        )
        SELECT 1 FROM open WHERE open.id IN (inbox.run_id, inbox.id))";

fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

impl Journal {
    /// Returns what [`Journal::prune`] would delete.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn prunable(&self, before: Timestamp) -> Result<Pruned, Error> {
        self.store.read(|on| {
            let runs = candidates(on, before)?.len();
            let sql = format!("SELECT count(*) FROM inbox WHERE {ENTRIES}");
            let entries: u32 =
                on.prepare_cached(&sql)?.query_row([day(before)], |row| row.get(0))?;
            Ok(Pruned { runs, entries: entries as usize })
        })
    }

    /// Deletes the runs that ended before a moment, and what was submitted and is over. What is
    /// unfinished, waits, or belongs to a run that does stays; so do the last runs of each actor, the
    /// keys of what was submitted, and the ids of everything that was created. `note` is the record of
    /// the audit log, which gets the ids.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn prune(&self, before: Timestamp, note: &Note) -> Result<Pruned, Error> {
        let mut pruned = Pruned::default();
        // Chosen again whenever the journal has changed: a run may be undone at any moment.
        let (mut left, mut chosen_at) = (Vec::new(), None);
        loop {
            let batch = self.add(|to| {
                let now = changes(to.on)?;
                if chosen_at.as_ref() != Some(&now) {
                    (left, chosen_at) = (candidates(to.on, before)?, Some(now));
                    // The oldest go first, from the end.
                    left.reverse();
                }
                let runs = left.split_off(left.len().saturating_sub(BATCH));
                let sql = format!(
                    "DELETE FROM inbox WHERE id IN (SELECT id FROM inbox WHERE {ENTRIES} LIMIT {BATCH})"
                );
                let entries = to.on.prepare_cached(&sql)?.execute([day(before)])?;
                if runs.is_empty() && entries == 0 {
                    return Ok(Pruned::default());
                }
                let mut note = note.clone();
                let ids: Vec<&str> = runs.iter().map(RunId::as_str).collect();
                note.detail = json!({ "before": before, "entries": entries, "runs": ids });
                let seq = to.record(core_of_note(&note, None)?)?;
                for run in &runs {
                    delete(to.on, run, seq)?;
                }
                Ok(Pruned { runs: runs.len(), entries })
            })?;
            if batch == Pruned::default() {
                return Ok(pruned);
            }
            pruned.runs += batch.runs;
            pruned.entries += batch.entries;
        }
    }
}

/// Deletes a run with all that it has left, but for the ids of what it has created.
fn delete(on: &Connection, run: &RunId, seq: i64) -> Result<(), Fault> {
    let sql = "INSERT INTO pruned (run_id, seq) VALUES (?1, ?2)";
    on.prepare_cached(sql)?.execute(params![run.as_str(), seq])?;
    for sql in [
        "INSERT OR IGNORE INTO pruned_entity (id, service, agent)
            SELECT entity_id, service, agent FROM outcome JOIN intent ON intent.seq = intent_seq
            JOIN run ON run.id = intent.run_id
            WHERE run_id = ?1 AND outcome = 'applied' AND method = 'POST' AND entity_id IS NOT NULL",
        "DELETE FROM outcome WHERE intent_seq IN (SELECT seq FROM intent WHERE run_id = ?1)",
        "DELETE FROM intent WHERE run_id = ?1",
        "DELETE FROM change WHERE run_id = ?1",
        "DELETE FROM round WHERE run_id = ?1",
        "DELETE FROM finish WHERE run_id = ?1",
        "DELETE FROM kept_set WHERE run_id = ?1",
        "DELETE FROM run WHERE id = ?1",
    ] {
        on.prepare_cached(sql)?.execute([run.as_str()])?;
    }
    Ok(())
}
