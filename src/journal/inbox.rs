//! The inbox: skills that were submitted, for an agent or for whoever submitted them, each with where
//! it stands.
//!
//! Entries change while they are worked on; each step is a record of the audit log as well.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use serde_json::Value;

use crate::journal::Journal;
use crate::journal::entry::{Note, RunId, RunStatus, words};
use crate::journal::error::{Error, Fault};
use crate::journal::row::{RunRow, core_of_note, json_of, moment, run_id, word};

words!(
    /// The state of an entry.
    EntryState {
        /// It waits for a worker.
        Queued = "queued",
        /// A worker has it.
        Running = "running",
        /// It was carried out, or what it wants waits for a person's approval.
        Done = "done",
        /// It was refused, or went wrong in a way that another attempt would not mend.
        Failed = "failed",
        /// Every attempt was cut off.
        Dead = "dead",
        /// It was cancelled before anybody began it.
        Cancelled = "cancelled",
    }
);

impl EntryState {
    /// Returns whether nothing more happens to an entry.
    #[must_use]
    pub const fn is_over(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// An entry of the inbox.
#[derive(Debug, Clone, PartialEq)]
pub struct InboxEntry {
    /// Its id: a UUID, of version 7.
    pub id: String,
    /// The service that it is for.
    pub service: String,
    /// The key that its sender has given it.
    pub key: Option<String>,
    /// The skill.
    pub skill: String,
    /// The parameters of the skill.
    pub params: Value,
    /// The sign-in name of its sender.
    pub from_upn: String,
    /// The agent that its sender was; `None` for a person.
    pub from_agent: Option<String>,
    /// The agent that it is for; `None` for the person who sent it.
    pub to_agent: Option<String>,
    /// Its state.
    pub state: EntryState,
    /// The attempts so far.
    pub attempts: u32,
    /// The worker that has it.
    pub leased_by: Option<String>,
    /// The moment until which it has it, unless it says that it is still at work.
    pub lease_until: Option<Timestamp>,
    /// The moment before which it is not tried again.
    pub not_before: Option<Timestamp>,
    /// The run that was begun for it last.
    pub run: Option<RunId>,
    /// The status of that run, once it has ended.
    pub outcome: Option<RunStatus>,
    /// The code of the error that ended the run.
    pub code: Option<String>,
    /// The reason that it stands where it stands.
    pub reason: Option<String>,
    /// The moment it was submitted.
    pub created_at: Timestamp,
    /// The moment it was over.
    pub ended_at: Option<Timestamp>,
}

impl InboxEntry {
    /// Returns the sender: the agent's name, or the person's sign-in name.
    #[must_use]
    pub fn sender(&self) -> &str {
        self.from_agent.as_deref().unwrap_or(&self.from_upn)
    }

    /// Returns the receiver: the agent's name, or the person's sign-in name.
    #[must_use]
    pub fn receiver(&self) -> &str {
        self.to_agent.as_deref().unwrap_or(&self.from_upn)
    }
}

const COLUMNS: &str = "id, service, key, skill, params, from_upn, from_agent, to_agent, state, \
    attempts, leased_by, lease_until, not_before, run_id, outcome, code, reason, created_at, \
    ended_at";

fn entry(row: &Row<'_>) -> Result<InboxEntry, Fault> {
    let text = |name: &str| row.get::<_, String>(name);
    let maybe = |name: &str| row.get::<_, Option<String>>(name);
    let at = |name: &str| -> Result<Option<Timestamp>, Fault> {
        maybe(name)?.as_deref().map(moment).transpose()
    };
    let state = text("state")?;
    let outcome = maybe("outcome")?;
    Ok(InboxEntry {
        id: text("id")?,
        service: text("service")?,
        key: maybe("key")?,
        skill: text("skill")?,
        params: json_of(&text("params")?, "parameters of an entry")?,
        from_upn: text("from_upn")?,
        from_agent: maybe("from_agent")?,
        to_agent: maybe("to_agent")?,
        state: word(EntryState::parse(&state), &state)?,
        attempts: row.get("attempts")?,
        leased_by: maybe("leased_by")?,
        lease_until: at("lease_until")?,
        not_before: at("not_before")?,
        run: maybe("run_id")?.as_deref().map(run_id).transpose()?,
        outcome: outcome.map(|name| word(RunStatus::parse(&name), &name)).transpose()?,
        code: maybe("code")?,
        reason: maybe("reason")?,
        created_at: moment(&text("created_at")?)?,
        ended_at: at("ended_at")?,
    })
}

/// A part of the inbox.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    /// The agent that sent the entries or is to receive them; `None` for everybody's.
    pub agent: Option<&'a str>,
    /// True for only those that are not over.
    pub open: bool,
    /// The id of the entry before which they were submitted.
    pub before: Option<&'a str>,
    /// The most entries.
    pub limit: usize,
}

/// Returns the entries that a condition is true of.
fn entries(
    on: &Connection,
    condition: &str,
    order: &str,
    values: impl rusqlite::Params,
) -> Result<Vec<InboxEntry>, Fault> {
    let sql = format!("SELECT {COLUMNS} FROM inbox WHERE {condition} ORDER BY {order}");
    let mut statement = on.prepare_cached(&sql)?;
    let mut rows = statement.query(values)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(entry(row)?);
    }
    Ok(all)
}

impl Journal {
    /// Adds an entry; or returns the one that the same sender has submitted under the same key.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn submit(&self, new: &InboxEntry, note: &Note) -> Result<InboxEntry, Error> {
        self.add(|to| {
            let same = "key = ?1 AND service = ?2 AND from_agent IS ?3
                AND (from_agent IS NOT NULL OR from_upn = ?4)";
            let values = params![new.key, new.service, new.from_agent, new.from_upn];
            // A key that is null equals none.
            if let Some(before) = entries(to.on, same, "id", values)?.pop() {
                return Ok(before);
            }
            let sql = format!(
                "INSERT INTO inbox ({COLUMNS})
                VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19)"
            );
            to.on.prepare_cached(&sql)?.execute(params![
                new.id,
                new.service,
                new.key,
                new.skill,
                new.params.to_string(),
                new.from_upn,
                new.from_agent,
                new.to_agent,
                new.state.name(),
                new.attempts,
                new.leased_by,
                new.lease_until.map(|at| at.to_string()),
                new.not_before.map(|at| at.to_string()),
                new.run.as_ref().map(RunId::as_str),
                new.outcome.map(RunStatus::name),
                new.code,
                new.reason,
                new.created_at.to_string(),
                new.ended_at.map(|at| at.to_string()),
            ])?;
            to.record(core_of_note(note, None)?)?;
            Ok(new.clone())
        })
    }

    /// Returns entries of the inbox, the newest first.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn inbox(&self, page: &Page<'_>) -> Result<Vec<InboxEntry>, Error> {
        let condition = "(?1 IS NULL OR from_agent = ?1 OR to_agent = ?1)
            AND (NOT ?2 OR state IN ('queued', 'running'))
            AND (?3 IS NULL OR (created_at, id) <
                (SELECT created_at, id FROM inbox WHERE id = ?3))";
        let limit = i64::try_from(page.limit).unwrap_or(i64::MAX);
        let values = params![page.agent, page.open, page.before, limit];
        let order = "created_at DESC, id DESC LIMIT ?4";
        self.store.read(|on| entries(on, condition, order, values))
    }

    /// Returns entries whose ids begin or end with a text, five at most; for an agent, of what it has
    /// sent or is to receive.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn inbox_like(&self, id: &str, agent: Option<&str>) -> Result<Vec<InboxEntry>, Error> {
        let condition =
            "?1 <> '' AND (substr(id, 1, length(?1)) = ?1 OR substr(id, -length(?1)) = ?1)
            AND (?2 IS NULL OR from_agent = ?2 OR to_agent = ?2)";
        let order = "created_at, id LIMIT 5";
        self.store.read(|on| entries(on, condition, order, params![id, agent]))
    }

    /// Returns entries for a service that are not over, the oldest first: at most `limit` of those after
    /// the entry `after`, and of a large inbox no more at once.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn open_entries(
        &self,
        service: &str,
        after: Option<&InboxEntry>,
        limit: u32,
    ) -> Result<Vec<InboxEntry>, Error> {
        let condition = "state IN ('queued', 'running') AND service = ?1
            AND (?2 IS NULL OR (created_at, id) > (?2, ?3))";
        let (at, id) = (after.map(|entry| entry.created_at.to_string()), after.map(|e| &e.id));
        let order = "created_at, id LIMIT ?4";
        self.store.read(|on| entries(on, condition, order, params![service, at, id, limit]))
    }

    /// Returns an entry by its whole id.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn inbox_entry(&self, id: &str) -> Result<Option<InboxEntry>, Error> {
        self.store.read(|on| Ok(entries(on, "id = ?1", "id", [id])?.pop()))
    }

    /// Brings an entry to where it stands now, and records the step. Returns false, and does
    /// nothing, if it does not stand any more where it stood: each step is taken once.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn move_entry(
        &self,
        from: EntryState,
        entry: &InboxEntry,
        note: &Note,
    ) -> Result<bool, Error> {
        self.add(|to| {
            let sql = "UPDATE inbox SET state = ?3, attempts = ?4, leased_by = ?5,
                    lease_until = ?6, not_before = ?7, run_id = ?8, outcome = ?9, code = ?10,
                    reason = ?11, ended_at = ?12
                WHERE id = ?1 AND state = ?2";
            let moved = to.on.prepare_cached(sql)?.execute(params![
                entry.id,
                from.name(),
                entry.state.name(),
                entry.attempts,
                entry.leased_by,
                entry.lease_until.map(|at| at.to_string()),
                entry.not_before.map(|at| at.to_string()),
                entry.run.as_ref().map(RunId::as_str),
                entry.outcome.map(RunStatus::name),
                entry.code,
                entry.reason,
                entry.ended_at.map(|at| at.to_string()),
            ])?;
            if moved == 1 {
                // A run that could not even begin is in no table.
                let run = note.run.as_ref().map(|run| RunRow::find(to.on, run.as_str()));
                let run = run.transpose()?.flatten();
                let run_of_note = note.run.clone().filter(|_| run.is_some());
                let note = Note { run: run_of_note, ..note.clone() };
                to.record(core_of_note(&note, run.as_ref())?)?;
            }
            Ok(moved == 1)
        })
    }

    /// Extends the lease of a worker on an entry. Returns false if it has it no more.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn renew_lease(&self, id: &str, worker: &str, until: Timestamp) -> Result<bool, Error> {
        self.store.write(|on| {
            let sql = "UPDATE inbox SET lease_until = ?3
                WHERE id = ?1 AND leased_by = ?2 AND state = 'running'";
            let values = params![id, worker, until.to_string()];
            Ok(on.prepare_cached(sql)?.execute(values)? == 1)
        })
    }

    /// Returns whether a run was recorded under an id.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn has_run(&self, id: &RunId) -> Result<bool, Error> {
        self.store.read(|on| {
            let sql = "SELECT 1 FROM run WHERE id = ?1";
            Ok(on.prepare_cached(sql)?.exists([id.as_str()])?)
        })
    }
}
