//! Sets that wait: held ones for a person's word, and previews that can be applied as shown.
//!
//! Where a set stands is the only thing of the journal that changes; every decision is a record of
//! the audit log as well.

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Row, params};

use crate::change::ChangeSet;
use crate::journal::Journal;
use crate::journal::canonical::{canonical, digest};
use crate::journal::entry::{Note, RunId, words};
use crate::journal::error::{Error, Fault};
use crate::journal::row::{core_of_note, find_run, moment, run_id, summary, word};

/// Previews that are kept; older ones make room.
const KEPT_PREVIEWS: i64 = 50;

words!(
    /// Where a kept set stands.
    KeptState {
        /// A preview, which can be applied.
        Previewed = "previewed",
        /// Held: a person must decide.
        Pending = "pending",
        /// Approved: it is being applied, or waits for the sign-in of its actor.
        Approved = "approved",
        /// A person rejected it.
        Rejected = "rejected",
        /// Nobody decided in time.
        Expired = "expired",
        /// It was applied, at least in part.
        Applied = "applied",
        /// It was approved and could not be applied.
        Failed = "failed",
    }
);

/// A kept set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptSet {
    /// The run that drafted it, whose id it has.
    pub run: RunId,
    /// When it was kept.
    pub at: Timestamp,
    /// When a held one expires.
    pub expires_at: Option<Timestamp>,
    /// The digest of what it writes; see [`digest_of_writes`].
    pub digest: String,
    /// The number of its changes.
    pub changes: u32,
    /// The set with what it rests on, as it is saved.
    pub saved: String,
    /// Where it stands.
    pub state: KeptState,
    /// The sign-in name of whoever decided.
    pub decided_by: Option<String>,
    /// What they said.
    pub reason: Option<String>,
    /// The run that applied it.
    pub applied_by: Option<RunId>,
}

/// Returns the digest of what a set writes, as a person sees it: it is the same for the same
/// values, whatever tags and reads they rest on.
#[must_use]
pub fn digest_of_writes(set: &ChangeSet) -> String {
    let changes: Vec<_> = set.changes().iter().map(summary).collect();
    digest(&canonical(&serde_json::Value::Array(changes)))
}

const COLUMNS: &str = "run_id, at, expires_at, digest, changes, saved, state, decided_by, reason, \
    applied_by";

/// A row as text.
struct KeptRow([Option<String>; 9], u32);

fn read(row: &Row<'_>) -> rusqlite::Result<KeptRow> {
    let text = |name: &str| row.get::<_, Option<String>>(name);
    Ok(KeptRow(
        [
            text("run_id")?,
            text("at")?,
            text("expires_at")?,
            text("digest")?,
            text("saved")?,
            text("state")?,
            text("decided_by")?,
            text("reason")?,
            text("applied_by")?,
        ],
        row.get("changes")?,
    ))
}

fn kept(row: KeptRow) -> Result<KeptSet, Fault> {
    let KeptRow([run, at, expires_at, digest, saved, state, decided_by, reason, by], changes) = row;
    let state = state.unwrap_or_default();
    Ok(KeptSet {
        run: run_id(&run.unwrap_or_default())?,
        at: moment(&at.unwrap_or_default())?,
        expires_at: expires_at.as_deref().map(moment).transpose()?,
        digest: digest.unwrap_or_default(),
        changes,
        saved: saved.unwrap_or_default(),
        state: word(KeptState::parse(&state), &state)?,
        decided_by,
        reason,
        applied_by: by.as_deref().map(run_id).transpose()?,
    })
}

impl Journal {
    /// Keeps the set of a run, in the place of what was kept of it before.
    ///
    /// # Errors
    /// The journal cannot be written, or has no such run.
    pub fn keep(&self, set: &KeptSet) -> Result<(), Error> {
        self.add(|to| {
            let sql = format!(
                "INSERT OR REPLACE INTO kept_set ({COLUMNS}, seq)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10,
                    (SELECT seq FROM run WHERE id = ?1))"
            );
            to.on.prepare_cached(&sql)?.execute(params![
                set.run.as_str(),
                set.at.to_string(),
                set.expires_at.map(|at| at.to_string()),
                set.digest,
                set.changes,
                set.saved,
                set.state.name(),
                set.decided_by,
                set.reason,
                set.applied_by.as_ref().map(RunId::as_str),
            ])?;
            let sql = "DELETE FROM kept_set WHERE state = 'previewed' AND run_id NOT IN
                (SELECT run_id FROM kept_set WHERE state = 'previewed' ORDER BY seq DESC LIMIT ?1)";
            to.on.prepare_cached(sql)?.execute([KEPT_PREVIEWS])?;
            Ok(())
        })
    }

    /// Returns the sets that wait or waited for a person, the oldest first.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn held_sets(&self) -> Result<Vec<KeptSet>, Error> {
        self.store.read(|on| {
            let sql =
                format!("SELECT {COLUMNS} FROM kept_set WHERE state <> 'previewed' ORDER BY seq");
            let mut statement = on.prepare_cached(&sql)?;
            let rows = statement.query_map([], read)?;
            rows.map(|row| kept(row?)).collect()
        })
    }

    /// Returns the kept set of a run, given by its id or a unique beginning or end of it.
    ///
    /// # Errors
    /// The journal cannot be read, or there is no such run, or several.
    pub fn kept_set(&self, id: &str) -> Result<Option<KeptSet>, Error> {
        self.store.read(|on| {
            let run = find_run(on, id)?;
            let sql = format!("SELECT {COLUMNS} FROM kept_set WHERE run_id = ?1");
            let found = on.prepare_cached(&sql)?.query_row([run], read).optional()?;
            found.map(kept).transpose()
        })
    }

    /// Moves a kept set from one state to another, and records the decision, if it is one. Returns
    /// false, and does nothing, if it does not stand there any more: each decision is taken once.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn move_kept(
        &self,
        from: KeptState,
        set: &KeptSet,
        note: Option<&Note>,
    ) -> Result<bool, Error> {
        self.add(|to| {
            let sql = "UPDATE kept_set SET state = ?3, decided_by = ?4, reason = ?5,
                    applied_by = ?6
                WHERE run_id = ?1 AND state = ?2 AND digest = ?7";
            let moved = to.on.prepare_cached(sql)?.execute(params![
                set.run.as_str(),
                from.name(),
                set.state.name(),
                set.decided_by,
                set.reason,
                set.applied_by.as_ref().map(RunId::as_str),
                set.digest,
            ])?;
            if moved == 1
                && let Some(note) = note
            {
                let run = note.run.as_ref().map(|run| to.run(run)).transpose()?;
                to.record(core_of_note(note, run.as_ref())?)?;
            }
            Ok(moved == 1)
        })
    }
}
