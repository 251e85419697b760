//! Sets that wait: held ones for a person's word, and previews that can be applied as shown.
//!
//! Where a set stands changes; every step of it is a record of the audit log as well, in the same
//! transaction.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde_json::{Value, json};

use crate::change::{ChangeSet, Saved};
use crate::journal::Journal;
use crate::journal::canonical::{canonical, digest};
use crate::journal::entry::{Note, NoteKind, Purpose, RunId, RunStatus, words};
use crate::journal::error::{Error, Fault};
use crate::journal::read::find_run;
use crate::journal::row::{RunRow, core_of_note, json_of, moment, run_id, summary, word};

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
        /// Another set has taken its place.
        Failed = "failed",
    }
);

/// A step of a kept set.
#[derive(Debug, Clone, Copy)]
pub struct KeptStep<'a> {
    /// The state and the digest from which it goes.
    pub from: (KeptState, &'a str),
    /// The set as it stands then.
    pub to: &'a KeptSet,
    /// Its record.
    pub note: &'a Note,
}

/// The runs that carry a kept set out: the one that applies it, and those that carry that one on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carrying {
    /// The first of them.
    pub first: RunId,
    /// The last of them.
    pub last: RunId,
    /// The status of the last one; `None` if it has not ended, or its end was not recorded.
    pub status: Option<RunStatus>,
    /// True if the last one was cut off.
    pub is_unfinished: bool,
    /// True if anything was written, or may have been.
    pub wrote: bool,
}

/// A kept set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptSet {
    /// The run that drafted it, whose id it has.
    pub run: RunId,
    /// When it was kept.
    pub at: Timestamp,
    /// When a held one expires.
    pub expires_at: Option<Timestamp>,
    /// The digest of what a person is shown; see [`digest_as_shown`].
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
    /// The run that applied it, or whose set has taken its place.
    pub applied_by: Option<RunId>,
    /// The number of the record of its last step.
    pub moved_seq: Option<i64>,
}

/// Returns the changes of a set as a person sees them: the same for the same values, whatever tags and
/// reads they rest on, and whatever numbers a run that carries another on has kept for them.
fn writes(set: &ChangeSet) -> Vec<Value> {
    let numbered = set.changes().iter().enumerate().map(|(at, change)| {
        let mut change = summary(change);
        change["n"] = (at + 1).into();
        change
    });
    numbered.collect()
}

/// Returns the digest of a set as it is shown to a person: of what it writes, and of the reasons for which
/// it is held, each with the number of its change or for the set as a whole. Whoever has approved one for
/// some reasons has not approved it for others.
#[must_use]
pub fn digest_as_shown<'a>(
    set: &ChangeSet,
    reasons: impl IntoIterator<Item = (Option<usize>, &'a str)>,
) -> String {
    let place = |n: usize| set.changes().iter().position(|change| change.n == n);
    let mut reasons: Vec<_> =
        reasons.into_iter().map(|(change, reason)| (change.and_then(place), reason)).collect();
    reasons.sort_unstable();
    digest(&canonical(&json!({ "changes": writes(set), "reasons": reasons })))
}

/// Returns what a set writes, change by change, without what is random: the provisional ids of what it
/// creates. Two drafts of the same script on the same board have the same.
fn wish_of(set: &ChangeSet) -> Vec<String> {
    writes(set).iter().map(|change| without_nonces(&canonical(change))).collect()
}

/// Leaves the random part of provisional ids out of a text.
fn without_nonces(text: &str) -> String {
    let mut parts = text.split("⟦new:");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str("⟦new:");
        match part.split_once('⟧') {
            Some((id, rest)) => {
                out.push_str(id.split(':').next().unwrap_or_default());
                out.push('⟧');
                out.push_str(rest);
            }
            None => out.push_str(part),
        }
    }
    out
}

const COLUMNS: &str = "run_id, at, expires_at, digest, changes, saved, state, decided_by, reason, \
    applied_by, moved_seq";

/// A row as text.
struct KeptRow([Option<String>; 9], u32, Option<i64>);

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
        row.get("moved_seq")?,
    ))
}

fn kept(row: KeptRow) -> Result<KeptSet, Fault> {
    let KeptRow(texts, changes, moved_seq) = row;
    let [run, at, expires_at, digest, saved, state, decided_by, reason, by] = texts;
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
        moved_seq,
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
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11,
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
                set.moved_seq,
            ])?;
            let sql = "DELETE FROM kept_set WHERE state = 'previewed' AND run_id NOT IN
                (SELECT run_id FROM kept_set WHERE state = 'previewed' ORDER BY seq DESC LIMIT ?1)";
            to.on.prepare_cached(sql)?.execute([KEPT_PREVIEWS])?;
            Ok(())
        })
    }

    /// Returns the sets that wait for a person or are being carried out, the oldest first; with `all`,
    /// also those that were decided on.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn held_sets(&self, all: bool) -> Result<Vec<KeptSet>, Error> {
        self.store.read(|on| {
            let sql = format!(
                "SELECT {COLUMNS} FROM kept_set
                WHERE state IN ('pending', 'approved') OR (?1 AND state <> 'previewed')
                ORDER BY seq"
            );
            let mut statement = on.prepare_cached(&sql)?;
            let rows = statement.query_map([all], read)?;
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

    /// Returns the state of the kept set of a run, which costs little.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn kept_state(&self, run: &RunId) -> Result<Option<KeptState>, Error> {
        self.store.read(|on| {
            let sql = "SELECT state FROM kept_set WHERE run_id = ?1";
            let found: Option<String> =
                on.prepare_cached(sql)?.query_row([run.as_str()], |row| row.get(0)).optional()?;
            found.map(|state| word(KeptState::parse(&state), &state)).transpose()
        })
    }

    /// Returns the report of the run that held a set last: the one that drafted it, or that was to carry it
    /// out and had its own held in its place. It is null if that run has none.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn held_report(&self, set: &RunId) -> Result<Value, Error> {
        self.store.read(|on| {
            let sql = "SELECT report FROM finish WHERE run_id IN
                    (SELECT run_id FROM kept_set WHERE run_id = ?1 OR applied_by = ?1)
                ORDER BY seq DESC LIMIT 1";
            let found: Option<String> =
                on.prepare_cached(sql)?.query_row([set.as_str()], |row| row.get(0)).optional()?;
            found.map_or(Ok(Value::Null), |text| json_of(&text, "report"))
        })
    }

    /// Returns the record of what a run was begun for, if that was submitted.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn submission_of(&self, run: &RunId) -> Result<Option<Value>, Error> {
        self.store.read(|on| {
            let sql = "SELECT id FROM inbox WHERE run_id = ?1 OR (queue = 'runs' AND id = ?1)";
            let entry: Option<String> =
                on.prepare_cached(sql)?.query_row([run.as_str()], |row| row.get(0)).optional()?;
            let Some(entry) = entry else { return Ok(None) };
            // Records are in canonical form, so their fields can be searched as text. Parameters, which
            // may look the same, come after the id.
            let sign = format!("\"entry\":{}", canonical(&entry.as_str().into()));
            let sql = "SELECT record FROM audit WHERE instr(record, ?1) > 0 ORDER BY seq";
            let mut statement = on.prepare_cached(sql)?;
            let mut rows = statement.query([sign])?;
            while let Some(row) = rows.next()? {
                let record = json_of(&row.get::<_, String>(0)?, "audit record")?;
                if record["kind"] == "submitted" && record["detail"]["entry"] == entry {
                    return Ok(Some(record));
                }
            }
            Ok(None)
        })
    }

    /// Enters that a run has written what sets that wait would write: sets of the same sign-in, for the
    /// same agent, that were drafted by a command which was then given again. Returns how many there are.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn supersede(&self, by: &RunId, wrote: &ChangeSet, at: Timestamp) -> Result<usize, Error> {
        // Next to always nothing waits, and then nobody has to wait for the file.
        let anything = self.store.read(|on| {
            let sql = "SELECT 1 FROM kept_set WHERE state = 'pending'";
            Ok(on.prepare_cached(sql)?.exists([])?)
        });
        if !anything? {
            return Ok(0);
        }
        let wrote = wish_of(wrote);
        self.add(|to| {
            let sql = format!(
                "SELECT {COLUMNS} FROM kept_set
                WHERE state = 'pending' AND run_id <> ?1 AND changes = ?2 AND run_id IN (
                    SELECT theirs.id FROM run AS theirs JOIN run AS own
                        ON theirs.service = own.service AND theirs.actor_id = own.actor_id
                        AND theirs.agent IS own.agent
                    WHERE own.id = ?1)"
            );
            let found: Vec<KeptSet> = {
                let mut statement = to.on.prepare_cached(&sql)?;
                let rows = statement.query_map(
                    params![by.as_str(), i64::try_from(wrote.len()).unwrap_or(-1)],
                    read,
                )?;
                rows.map(|row| kept(row?)).collect::<Result<_, Fault>>()?
            };
            let mut n = 0;
            for set in found {
                let same =
                    Saved::parse(&set.saved).is_ok_and(|saved| wish_of(&saved.change_set) == wrote);
                if !same {
                    continue;
                }
                let note = Note {
                    kind: NoteKind::Replaced,
                    at,
                    run: Some(set.run.clone()),
                    actor: None,
                    name: "planwright".to_owned(),
                    detail: json!({ "digest": set.digest, "by": by.as_str() }),
                };
                let row = to.run(&set.run)?;
                let seq = to.record(core_of_note(&note, Some(&row))?)?;
                let sql = "UPDATE kept_set SET state = ?2, applied_by = ?3, moved_seq = ?4
                    WHERE run_id = ?1";
                let values = params![set.run.as_str(), KeptState::Failed.name(), by.as_str(), seq];
                to.on.prepare_cached(sql)?.execute(values)?;
                n += 1;
            }
            Ok(n)
        })
    }

    /// Takes steps of kept sets, all of them or none, each with its record. Returns false, and does
    /// nothing, if one of the sets does not stand any more where it stood: each step is taken once.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn move_kept(&self, steps: &[KeptStep<'_>]) -> Result<bool, Error> {
        self.add(|to| {
            // Looked at first: a transaction that returns is kept whole.
            for step in steps {
                let sql = "SELECT 1 FROM kept_set WHERE run_id = ?1 AND state = ?2 AND digest = ?3";
                let (state, digest) = step.from;
                let stands = params![step.to.run.as_str(), state.name(), digest];
                if !to.on.prepare_cached(sql)?.exists(stands)? {
                    return Ok(false);
                }
            }
            for step in steps {
                let set = step.to;
                let run = step.note.run.as_ref().map(|run| to.run(run)).transpose()?;
                let seq = to.record(core_of_note(step.note, run.as_ref())?)?;
                let sql = "UPDATE kept_set SET state = ?2, decided_by = ?3, reason = ?4,
                        applied_by = ?5, digest = ?6, changes = ?7, saved = ?8, moved_seq = ?9,
                        expires_at = ?10
                    WHERE run_id = ?1";
                to.on.prepare_cached(sql)?.execute(params![
                    set.run.as_str(),
                    set.state.name(),
                    set.decided_by,
                    set.reason,
                    set.applied_by.as_ref().map(RunId::as_str),
                    set.digest,
                    set.changes,
                    set.saved,
                    seq,
                    set.expires_at.map(|at| at.to_string()),
                ])?;
            }
            Ok(true)
        })
    }

    /// Returns the run that a run carries on, if that is what it does.
    ///
    /// # Errors
    /// The journal cannot be read, or has no such run.
    pub fn carries_on(&self, run: &RunId) -> Result<Option<RunId>, Error> {
        self.store.read(|on| carries_on(on, run))
    }

    /// Returns the run that a run owes itself to, if another asked for what it does: the one that it
    /// carries on, or the one that drafted the held set which it carries out.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn goes_back_to(&self, run: &RunId) -> Result<Option<RunId>, Error> {
        self.store.read(|on| {
            // A set that was only previewed is asked for by whoever applies it.
            let sql = "SELECT parent FROM run WHERE id = ?1 AND parent IS NOT NULL
                AND (purpose = 'resume' OR (purpose = 'apply' AND EXISTS (SELECT 1 FROM kept_set
                    WHERE kept_set.run_id = run.parent AND state <> 'previewed')))";
            let parent: Option<String> =
                on.prepare_cached(sql)?.query_row([run.as_str()], |row| row.get(0)).optional()?;
            parent.as_deref().map(run_id).transpose()
        })
    }

    /// Returns the runs that carry a kept set out, begun since its last step; `None` if there are
    /// none. The set of a run that carries on another is carried out by carrying that one on again.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn carrying(&self, set: &KeptSet) -> Result<Option<Carrying>, Error> {
        self.store.read(|on| {
            let root = carries_on(on, &set.run)?;
            let (purpose, parent) = match &root {
                Some(root) => (Purpose::Resume, root),
                None => (Purpose::Apply, &set.run),
            };
            let order = if root.is_some() { "ASC" } else { "DESC" };
            let sql = format!(
                "SELECT id FROM run WHERE purpose = ?1 AND parent = ?2
                    AND seq > max(coalesce(?3, 0), (SELECT seq FROM run WHERE id = ?4))
                    AND {IN_EARNEST}
                ORDER BY seq {order} LIMIT 1"
            );
            let values = params![purpose.name(), parent.as_str(), set.moved_seq, set.run.as_str()];
            let first: Option<String> =
                on.prepare_cached(&sql)?.query_row(values, |row| row.get(0)).optional()?;
            let Some(first) = first else { return Ok(None) };
            // Whatever carries a run on has its root for a parent.
            let parent = root.as_ref().map_or(first.as_str(), RunId::as_str);
            let chain = format!(
                "SELECT id FROM run WHERE (id = ?1 OR (purpose = 'resume' AND parent = ?2))
                    AND seq >= (SELECT seq FROM run WHERE id = ?1) AND {IN_EARNEST}"
            );
            let sql = format!("{chain} ORDER BY seq DESC LIMIT 1");
            let last: String =
                on.prepare_cached(&sql)?.query_row([&first, parent], |row| row.get(0))?;
            let sql = format!(
                "SELECT 1 FROM intent WHERE run_id IN ({chain})
                    AND attempt = (SELECT max(attempt) FROM intent AS other
                        WHERE other.run_id = intent.run_id AND other.round = intent.round
                            AND other.n = intent.n AND other.step = intent.step)
                    AND coalesce((SELECT outcome FROM outcome WHERE intent_seq = intent.seq
                        ORDER BY outcome.seq DESC LIMIT 1), 'unknown') IN ('applied', 'unknown')"
            );
            let wrote = on.prepare_cached(&sql)?.exists([&first, parent])?;
            let sql = "SELECT status, coalesce(json_extract(report, '$.unfinished'), 0)
                FROM finish WHERE run_id = ?1";
            let end: Option<(String, bool)> = on
                .prepare_cached(sql)?
                .query_row([&last], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let status = end.as_ref().map(|(status, _)| word(RunStatus::parse(status), status));
            Ok(Some(Carrying {
                first: run_id(&first)?,
                last: run_id(&last)?,
                status: status.transpose()?,
                is_unfinished: end.is_none_or(|(_, unfinished)| unfinished),
                wrote,
            }))
        })
    }

    /// Returns whether a run that took up the saved set of a digest has written anything, or may have:
    /// the last such run.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn taken_up_by(&self, digest: &str) -> Result<Option<RunId>, Error> {
        self.store.read(|on| {
            let sql = "SELECT id FROM run WHERE takes_up = ?1
                    AND EXISTS (SELECT 1 FROM intent WHERE run_id = run.id)
                    AND coalesce((SELECT status FROM finish WHERE run_id = run.id), '')
                        NOT IN ('failed', 'conflict', 'denied', 'held')
                ORDER BY seq DESC LIMIT 1";
            let found: Option<String> =
                on.prepare_cached(sql)?.query_row([digest], |row| row.get(0)).optional()?;
            found.as_deref().map(run_id).transpose()
        })
    }
}

/// True of a run that was not just a look: a dry run ends as a preview, or is held without a set that
/// waits.
const IN_EARNEST: &str = "NOT EXISTS (SELECT 1 FROM finish WHERE finish.run_id = run.id
    AND (status = 'previewed' OR (status = 'held'
        AND NOT EXISTS (SELECT 1 FROM kept_set WHERE kept_set.run_id = run.id))))";

/// Returns the run that a run carries on.
fn carries_on(on: &Connection, run: &RunId) -> Result<Option<RunId>, Fault> {
    let row = RunRow::find(on, run.as_str())?
        .ok_or_else(|| Fault::Told(Error::NoRun(run.to_string())))?;
    let start = row.into_run()?;
    Ok(start.parent.filter(|_| start.purpose == Purpose::Resume))
}
