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
use crate::journal::shared::{Fence, holds};

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

words!(
    /// A queue of entries.
    Queue {
        /// What was submitted.
        Inbox = "inbox",
        /// Runs that were asked for and accepted, each under the id that was promised.
        Runs = "runs",
    }
);

/// A run that was asked for, and begins under the id of its entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The text of a script; `None` if a skill is to run.
    pub script: Option<String>,
    /// True if it shows what would change, and stops.
    pub dry_run: bool,
}

/// An entry of the inbox.
#[derive(Debug, Clone, PartialEq)]
pub struct InboxEntry {
    /// Its id: a UUID, of version 7.
    pub id: String,
    /// The service that it is for.
    pub service: String,
    /// The folder of the workspace whose skill it names; empty for the shipped skills alone. `None` in
    /// an entry of before this was noted, which any workspace may carry out.
    pub workspace: Option<String>,
    /// The key that its sender has given it.
    pub key: Option<String>,
    /// The skill.
    pub skill: String,
    /// The parameters of the skill.
    pub params: Value,
    /// The run that was asked for; `None` for what was submitted.
    pub asked: Option<Asked>,
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
    /// Returns the queue that it is in.
    #[must_use]
    pub const fn queue(&self) -> Queue {
        if self.asked.is_some() { Queue::Runs } else { Queue::Inbox }
    }

    /// Makes an entry that waits: for the person who sends it, without a key.
    #[must_use]
    pub fn queued(
        (service, workspace): (String, String),
        (skill, params): (String, Value),
        from_upn: String,
        created_at: Timestamp,
    ) -> Self {
        Self {
            id: uuid::Uuid::now_v7().to_string(),
            service,
            workspace: Some(workspace),
            key: None,
            skill,
            params,
            asked: None,
            from_upn,
            from_agent: None,
            to_agent: None,
            state: EntryState::Queued,
            attempts: 0,
            leased_by: None,
            lease_until: None,
            not_before: None,
            run: None,
            outcome: None,
            code: None,
            reason: None,
            created_at,
            ended_at: None,
        }
    }

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

/// A new entry, with what is checked in the moment it is added.
#[derive(Debug, Clone, Copy)]
pub struct Submission<'a> {
    /// The entry.
    pub entry: &'a InboxEntry,
    /// The record of it.
    pub note: &'a Note,
    /// The most entries of its sender from a moment on; `None` for any number.
    pub rate: Option<(Timestamp, u64)>,
    /// The most entries of its queue and service that may wait; `None` for any number.
    pub room: Option<u32>,
    /// The lock that its sender must still hold.
    pub fence: Option<&'a Fence>,
}

impl<'a> Submission<'a> {
    /// Makes a submission without a rate, a limit of its queue, or a lock.
    #[must_use]
    pub const fn new(entry: &'a InboxEntry, note: &'a Note) -> Self {
        Self { entry, note, rate: None, room: None, fence: None }
    }
}

/// The most entries of a sender that are not over.
const MAX_OPEN: i64 = 5_000;
/// The most bytes of their parameters.
const MAX_OPEN_BYTES: i64 = 64 << 20;

const COLUMNS: &str = "id, service, workspace, key, skill, params, from_upn, from_agent, to_agent, state, \
    attempts, leased_by, lease_until, not_before, run_id, outcome, code, reason, created_at, \
    ended_at, queue, script, dry_run";

fn entry(row: &Row<'_>) -> Result<InboxEntry, Fault> {
    let text = |name: &str| row.get::<_, String>(name);
    let maybe = |name: &str| row.get::<_, Option<String>>(name);
    let at = |name: &str| -> Result<Option<Timestamp>, Fault> {
        maybe(name)?.as_deref().map(moment).transpose()
    };
    let state = text("state")?;
    let outcome = maybe("outcome")?;
    let queue = text("queue")?;
    let asked = match word(Queue::parse(&queue), &queue)? {
        Queue::Inbox => None,
        Queue::Runs => Some(Asked { script: maybe("script")?, dry_run: row.get("dry_run")? }),
    };
    Ok(InboxEntry {
        id: text("id")?,
        service: text("service")?,
        workspace: maybe("workspace")?,
        key: maybe("key")?,
        skill: text("skill")?,
        params: json_of(&text("params")?, "parameters of an entry")?,
        asked,
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

/// Returns the entries that a condition is true of, whole.
fn entries(
    on: &Connection,
    condition: &str,
    order: &str,
    values: impl rusqlite::Params,
) -> Result<Vec<InboxEntry>, Fault> {
    select(on, COLUMNS, (condition, order), values)
}

/// Returns the condition of entries that are not over: of a service (`?1`), in a workspace (`?2`).
fn open_in(queue: Option<Queue>) -> String {
    let of_queue = match queue {
        Some(Queue::Inbox) => "queue = 'inbox'",
        Some(Queue::Runs) => "queue = 'runs'",
        None => "queue IN ('inbox', 'runs')",
    };
    format!(
        "{of_queue} AND state IN ('queued', 'running') AND service = ?1
        AND (workspace IS NULL OR workspace = ?2)"
    )
}

/// Returns the entries that a condition is true of, without their parameters and scripts, which may be
/// large.
fn listed(
    on: &Connection,
    condition: &str,
    order: &str,
    values: impl rusqlite::Params,
) -> Result<Vec<InboxEntry>, Fault> {
    let columns = COLUMNS.replace("params", "'null' AS params").replace("script", "NULL AS script");
    select(on, &columns, (condition, order), values)
}

fn select(
    on: &Connection,
    columns: &str,
    (condition, order): (&str, &str),
    values: impl rusqlite::Params,
) -> Result<Vec<InboxEntry>, Fault> {
    let sql = format!("SELECT {columns} FROM inbox WHERE {condition} ORDER BY {order}");
    let mut statement = on.prepare_cached(&sql)?;
    let mut rows = statement.query(values)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(entry(row)?);
    }
    Ok(all)
}

/// Checks that a sender may have one more entry that waits.
fn check_room(on: &Connection, sender: &str, new: &InboxEntry) -> Result<(), Fault> {
    let sql = format!(
        "SELECT count(*), coalesce(sum(length(params) + coalesce(length(script), 0)), 0) FROM inbox
        WHERE {sender} AND queue = ?4 AND state IN ('queued', 'running')"
    );
    let values = params![new.service, new.from_agent, new.from_upn, new.queue().name()];
    let (n, bytes): (i64, i64) =
        on.prepare_cached(&sql)?.query_row(values, |row| Ok((row.get(0)?, row.get(1)?)))?;
    if n >= MAX_OPEN || bytes >= MAX_OPEN_BYTES {
        return Err(Error::InboxFull { waiting: n }.into());
    }
    Ok(())
}

impl Journal {
    /// Adds an entry; or returns the one that the same sender has submitted under the same key.
    ///
    /// # Errors
    /// Too much of the sender or in the queue waits, or it has submitted too much, or the lock that it
    /// names is somebody else's, or the journal cannot be written.
    pub fn submit(&self, submission: &Submission<'_>) -> Result<InboxEntry, Error> {
        let (new, note) = (submission.entry, submission.note);
        self.add(|to| {
            if let Some(fence) = submission.fence
                && !holds(to.on, fence)?
            {
                return Err(Error::LostLock.into());
            }
            let sender = "service = ?1 AND from_agent IS ?2
                AND (from_agent IS NOT NULL OR from_upn = ?3)";
            let of_sender = (&new.service, &new.from_agent, &new.from_upn);
            let same = format!("{sender} AND workspace IS ?4 AND key = ?5");
            let values = params![of_sender.0, of_sender.1, of_sender.2, new.workspace, new.key];
            // A key that is null equals none.
            if let Some(before) = entries(to.on, &same, "id", values)?.pop() {
                return Ok(before);
            }
            check_room(to.on, sender, new)?;
            if let Some(most) = submission.room {
                let sql = "SELECT count(*) FROM inbox
                    WHERE state IN ('queued', 'running') AND queue = ?1 AND service = ?2";
                let values = params![new.queue().name(), new.service];
                let open: u32 = to.on.prepare_cached(sql)?.query_row(values, |row| row.get(0))?;
                if open >= most {
                    return Err(Error::QueueFull { most }.into());
                }
            }
            if let Some((since, most)) = submission.rate {
                let sql = format!("SELECT count(*) FROM inbox WHERE {sender} AND created_at >= ?4");
                let values = params![of_sender.0, of_sender.1, of_sender.2, since.to_string()];
                let n: i64 = to.on.prepare_cached(&sql)?.query_row(values, |row| row.get(0))?;
                if u64::try_from(n).unwrap_or(0) >= most {
                    return Err(Error::TooOften { most }.into());
                }
            }
            let sql = format!(
                "INSERT INTO inbox ({COLUMNS})
                VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,
                    ?21,?22,?23)"
            );
            to.on.prepare_cached(&sql)?.execute(params![
                new.id,
                new.service,
                new.workspace,
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
                new.queue().name(),
                new.asked.as_ref().and_then(|asked| asked.script.as_deref()),
                new.asked.as_ref().is_some_and(|asked| asked.dry_run),
            ])?;
            to.record(core_of_note(note, None)?)?;
            Ok(new.clone())
        })
    }

    /// Returns entries of the inbox, the newest first, without their parameters.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn inbox(&self, page: &Page<'_>) -> Result<Vec<InboxEntry>, Error> {
        let condition = "queue = 'inbox' AND (?1 IS NULL OR from_agent = ?1 OR to_agent = ?1)
            AND (NOT ?2 OR state IN ('queued', 'running'))
            AND (?3 IS NULL OR (created_at, id) <
                (SELECT created_at, id FROM inbox WHERE id = ?3))";
        let limit = i64::try_from(page.limit).unwrap_or(i64::MAX);
        let values = params![page.agent, page.open, page.before, limit];
        let order = "created_at DESC, id DESC LIMIT ?4";
        self.store.read(|on| listed(on, condition, order, values))
    }

    /// Returns entries whose ids begin or end with a text, five at most; for an agent, of what it has
    /// sent or is to receive.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn inbox_like(&self, id: &str, agent: Option<&str>) -> Result<Vec<InboxEntry>, Error> {
        let condition =
            "queue = 'inbox' AND ?1 <> '' AND (substr(id, 1, length(?1)) = ?1 OR substr(id, -length(?1)) = ?1)
            AND (?2 IS NULL OR from_agent = ?2 OR to_agent = ?2)";
        let order = "created_at, id LIMIT 5";
        self.store.read(|on| entries(on, condition, order, params![id, agent]))
    }

    /// Returns entries for a workspace at a service that are not over, of one queue or of both, the oldest
    /// first, without their parameters: at most `limit` of those after the entry `after`, and of a large
    /// inbox no more at once.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn open_entries(
        &self,
        (service, workspace, queue): (&str, &str, Option<Queue>),
        after: Option<&InboxEntry>,
        limit: u32,
    ) -> Result<Vec<InboxEntry>, Error> {
        let open = open_in(queue);
        let condition = format!("{open} AND (?3 IS NULL OR (created_at, id) > (?3, ?4))");
        let (at, id) = (after.map(|entry| entry.created_at.to_string()), after.map(|e| &e.id));
        let order = "created_at, id LIMIT ?5";
        let values = params![service, workspace, at, id, limit];
        self.store.read(|on| listed(on, &condition, order, values))
    }

    /// Returns the number of entries of a workspace that are not over.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn count_open(
        &self,
        (service, workspace, queue): (&str, &str, Option<Queue>),
    ) -> Result<u32, Error> {
        let query = format!("SELECT COUNT(*) FROM inbox WHERE {}", open_in(queue));
        self.store.read(|on| Ok(on.query_row(&query, [service, workspace], |row| row.get(0))?))
    }

    /// Returns an entry by its whole id.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn inbox_entry(&self, id: &str) -> Result<Option<InboxEntry>, Error> {
        self.store.read(|on| Ok(entries(on, "id = ?1", "id", [id])?.pop()))
    }

    /// Brings an entry to where it stands now, and records the step. Returns false, and does
    /// nothing, if it does not stand any more where it stood, at the same attempt and with the same
    /// worker: each step is taken once, and a worker that has lost an entry settles nothing.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn move_entry(
        &self,
        from: &InboxEntry,
        entry: &InboxEntry,
        note: &Note,
    ) -> Result<bool, Error> {
        self.add(|to| {
            let sql = "UPDATE inbox SET state = ?3, attempts = ?4, leased_by = ?5,
                    lease_until = ?6, not_before = ?7, run_id = ?8, outcome = ?9, code = ?10,
                    reason = ?11, ended_at = ?12
                WHERE id = ?1 AND state = ?2 AND attempts = ?13 AND leased_by IS ?14";
            let moved = to.on.prepare_cached(sql)?.execute(params![
                entry.id,
                from.state.name(),
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
                from.attempts,
                from.leased_by,
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::journal::NoteKind;

    fn entry(from_agent: Option<&str>) -> InboxEntry {
        InboxEntry {
            from_agent: from_agent.map(str::to_owned),
            to_agent: Some("rook".into()),
            ..InboxEntry::queued(
                ("embedded".into(), String::new()),
                ("tidy".into(), json!({})),
                "rook@bos.example".into(),
                "2026-03-27T12:00:00Z".parse().unwrap(),
            )
        }
    }

    fn submit(journal: &Journal, entry: &InboxEntry) -> Result<InboxEntry, Error> {
        let (kind, at, name) = (NoteKind::Submitted, entry.created_at, "test".to_owned());
        let note = Note { kind, at, run: None, actor: None, name, detail: Value::Null };
        journal.submit(&Submission::new(entry, &note))
    }

    #[test]
    fn one_sender_does_not_fill_the_inbox_of_all() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(&dir.path().join("journal.db")).unwrap();
        let first = submit(&journal, &entry(Some("victor"))).unwrap();
        let copies = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
            INSERT INTO inbox (id, service, workspace, skill, params, from_upn, from_agent,
                to_agent, state, attempts, created_at)
            SELECT printf('%036d', i), service, workspace, skill, params, from_upn, from_agent,
                to_agent, state, attempts, created_at
            FROM inbox, n WHERE id = ?2";
        let copied = journal.store.write(|on| {
            let one_less = MAX_OPEN - 2;
            Ok(on.execute(copies, params![one_less, first.id])?)
        });
        assert_eq!(i64::try_from(copied.unwrap()).unwrap(), MAX_OPEN - 2);
        submit(&journal, &entry(Some("victor"))).unwrap();
        let full = submit(&journal, &entry(Some("victor")));
        assert!(matches!(full, Err(Error::InboxFull { waiting: MAX_OPEN })), "{full:?}");
        submit(&journal, &entry(Some("chief"))).unwrap();
        submit(&journal, &entry(None)).unwrap();
        // What is over takes no room.
        let over = "UPDATE inbox SET state = 'done' WHERE id = ?1";
        journal.store.write(|on| Ok(on.execute(over, [&first.id])?)).unwrap();
        submit(&journal, &entry(Some("victor"))).unwrap();
    }

    #[test]
    fn large_parameters_fill_it_sooner() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(&dir.path().join("journal.db")).unwrap();
        let text = "x".repeat(usize::try_from(MAX_OPEN_BYTES / 4).unwrap());
        let large = || InboxEntry { params: json!({ "text": text }), ..entry(Some("victor")) };
        for _ in 0..4 {
            submit(&journal, &large()).unwrap();
        }
        let full = submit(&journal, &large());
        assert!(matches!(full, Err(Error::InboxFull { waiting: 4 })), "{full:?}");
    }
}
