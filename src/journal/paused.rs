//! Pause switches: agents that write nothing more until a person lifts the pause.
//!
//! Which switches are set is a table that changes; each change is a record of the audit log as well.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::journal::Journal;
use crate::journal::entry::Note;
use crate::journal::error::{Error, Fault};
use crate::journal::row::{core_of_note, moment};

/// The name under which all agents are paused.
const ALL: &str = "*";

/// A switch that is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paused {
    /// The agent; `None` for all of them.
    pub agent: Option<String>,
    /// The moment it was set.
    pub at: Timestamp,
    /// The reason that was given.
    pub reason: Option<String>,
}

impl Journal {
    /// Pauses an agent, or all of them, in the place of an earlier pause.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn pause(&self, paused: &Paused, note: &Note) -> Result<(), Error> {
        self.add(|to| {
            let sql = "INSERT OR REPLACE INTO paused (agent, at, reason) VALUES (?1, ?2, ?3)";
            let name = paused.agent.as_deref().unwrap_or(ALL);
            let row = params![name, paused.at.to_string(), paused.reason];
            to.on.prepare_cached(sql)?.execute(row)?;
            to.record(core_of_note(note, None)?)?;
            Ok(())
        })
    }

    /// Lifts the pause of an agent, or the one of all agents. Returns false, and does nothing, if
    /// there is none.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn unpause(&self, agent: Option<&str>, note: &Note) -> Result<bool, Error> {
        self.add(|to| {
            let sql = "DELETE FROM paused WHERE agent = ?1";
            let n = to.on.prepare_cached(sql)?.execute([agent.unwrap_or(ALL)])?;
            if n > 0 {
                to.record(core_of_note(note, None)?)?;
            }
            Ok(n > 0)
        })
    }

    /// Returns the switches that are set, by name.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn paused(&self) -> Result<Vec<Paused>, Error> {
        self.store.read(|on| {
            let sql = "SELECT agent, at, reason FROM paused ORDER BY agent";
            let mut statement = on.prepare_cached(sql)?;
            let mut rows = statement.query([])?;
            let mut all = Vec::new();
            while let Some(row) = rows.next()? {
                let name: String = row.get(0)?;
                all.push(Paused {
                    agent: Some(name).filter(|name| name != ALL),
                    at: moment(&row.get::<_, String>(1)?)?,
                    reason: row.get(2)?,
                });
            }
            Ok(all)
        })
    }

    /// Fails if an agent is paused, by its name or with all others.
    ///
    /// # Errors
    /// It is, or the journal cannot be read.
    pub fn check_not_paused(&self, agent: &str) -> Result<(), Error> {
        self.store.read(|on| not_paused(on, agent))
    }
}

/// Fails if an agent is paused, by its name or with all others.
pub(crate) fn not_paused(on: &Connection, agent: &str) -> Result<(), Fault> {
    let sql = "SELECT reason FROM paused WHERE agent IN (?1, ?2) LIMIT 1";
    let mut statement = on.prepare_cached(sql)?;
    let found: Option<Option<String>> =
        statement.query_row([agent, ALL], |row| row.get(0)).optional()?;
    match found {
        None => Ok(()),
        Some(reason) => Err(Error::Paused { agent: agent.to_owned(), reason }.into()),
    }
}
