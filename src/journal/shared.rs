//! Claims, locks with a fence, values and counters of changes, which processes share beside what waits.
//!
//! None of it is history, so none of it is in the audit log, unless a value is written with a note.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use serde_json::Value;

use crate::journal::Journal;
use crate::journal::entry::Note;
use crate::journal::error::{Error, Fault};
use crate::journal::row::{core_of_note, json_of, moment};

/// A claim on something that is done once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Whoever made it, or what came of it.
    pub owner: String,
    /// The moment it was made.
    pub at: Timestamp,
}

/// A lock that is held: proof, as long as nobody has taken it since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// The name of the lock.
    pub name: String,
    /// Its number, which grows with each holder.
    pub number: i64,
}

/// A shared value as it stands.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Shared {
    /// The value; `None` if there is none.
    pub value: Option<Value>,
    /// The number of times that it was written; 0 if it never was.
    pub revision: i64,
}

/// A write of a shared value.
#[derive(Debug, Clone, Copy)]
pub struct SharedWrite<'a> {
    /// The key.
    pub key: &'a str,
    /// The revision that it rests on.
    pub expected: i64,
    /// The value; `None` removes it.
    pub value: Option<&'a Value>,
    /// The lock that the writer must still hold.
    pub fence: Option<&'a Fence>,
    /// The record of the audit log that goes with it.
    pub note: Option<&'a Note>,
}

/// The outcome of a write of a shared value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It stands at this revision now.
    At(i64),
    /// Somebody has written it since; nothing was done.
    Changed,
    /// Somebody else has taken the lock since; nothing was done.
    Fenced,
}

/// Returns whether a lock is still its holder's.
pub(super) fn holds(on: &Connection, fence: &Fence) -> Result<bool, Fault> {
    let sql = "SELECT 1 FROM lease WHERE name = ?1 AND fence = ?2 AND until IS NOT NULL";
    Ok(on.prepare_cached(sql)?.exists(params![fence.name, fence.number])?)
}

impl Journal {
    /// Claims a name. Returns false if it was claimed before, by whomever.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn claim(&self, name: &str, owner: &str, at: Timestamp) -> Result<bool, Error> {
        self.store.write(|on| {
            let sql = "INSERT OR IGNORE INTO claim (name, owner, at) VALUES (?1, ?2, ?3)";
            Ok(on.prepare_cached(sql)?.execute(params![name, owner, at.to_string()])? == 1)
        })
    }

    /// Returns the claim on a name.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn claimed(&self, name: &str) -> Result<Option<Claim>, Error> {
        self.store.read(|on| {
            let mut statement = on.prepare_cached("SELECT owner, at FROM claim WHERE name = ?1")?;
            let row: Option<(String, String)> =
                statement.query_row([name], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
            row.map(|(owner, at)| Ok(Claim { owner, at: moment(&at)? })).transpose()
        })
    }

    /// Forgets the claims made before a day, which nothing can ask for any more.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn forget_claims(&self, before: Timestamp) -> Result<usize, Error> {
        self.store.write(|on| {
            // Days compare as texts; moments do not, if one has a fraction of a second.
            let day = before.strftime("%Y-%m-%d").to_string();
            let sql = "DELETE FROM claim WHERE substr(at, 1, 10) < ?1";
            Ok(on.prepare_cached(sql)?.execute([day])?)
        })
    }

    /// Takes a lock until a moment, if nobody holds it `now`. Each holder gets a greater number.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn lock(
        &self,
        name: &str,
        owner: &str,
        (now, until): (Timestamp, Timestamp),
    ) -> Result<Option<Fence>, Error> {
        self.store.write(|on| {
            let mut statement =
                on.prepare_cached("SELECT fence, until FROM lease WHERE name = ?1")?;
            let held: Option<(i64, Option<String>)> =
                statement.query_row([name], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
            let (number, held_until) = held.unwrap_or_default();
            let held_until = held_until.as_deref().map(moment).transpose()?;
            if held_until.is_some_and(|until| until > now) {
                return Ok(None);
            }
            let number = number.saturating_add(1);
            let sql = "INSERT OR REPLACE INTO lease (name, fence, owner, until)
                VALUES (?1, ?2, ?3, ?4)";
            let row = params![name, number, owner, until.to_string()];
            on.prepare_cached(sql)?.execute(row)?;
            Ok(Some(Fence { name: name.to_owned(), number }))
        })
    }

    /// Holds a lock for longer. Returns false if it is somebody else's, or was given back.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn extend_lock(&self, fence: &Fence, until: Timestamp) -> Result<bool, Error> {
        self.store.write(|on| {
            let sql = "UPDATE lease SET until = ?3
                WHERE name = ?1 AND fence = ?2 AND until IS NOT NULL";
            let values = params![fence.name, fence.number, until.to_string()];
            Ok(on.prepare_cached(sql)?.execute(values)? == 1)
        })
    }

    /// Gives a lock back. Returns false if it is somebody else's, or was given back.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn unlock(&self, fence: &Fence) -> Result<bool, Error> {
        self.store.write(|on| {
            let sql = "UPDATE lease SET until = NULL
                WHERE name = ?1 AND fence = ?2 AND until IS NOT NULL";
            Ok(on.prepare_cached(sql)?.execute(params![fence.name, fence.number])? == 1)
        })
    }

    /// Returns a shared value.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn shared(&self, key: &str) -> Result<Shared, Error> {
        self.store.read(|on| {
            let mut statement =
                on.prepare_cached("SELECT value, revision FROM shared_value WHERE key = ?1")?;
            let row: Option<(Option<String>, i64)> =
                statement.query_row([key], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
            let Some((text, revision)) = row else { return Ok(Shared::default()) };
            let value = text.as_deref().map(|text| json_of(text, "shared value")).transpose()?;
            Ok(Shared { value, revision })
        })
    }

    /// Writes a shared value, if it stands where the writer has read it.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn write_shared(&self, write: &SharedWrite<'_>) -> Result<Written, Error> {
        let text = write.value.map(Value::to_string);
        let job = |on: &Transaction<'_>| -> Result<Written, Fault> {
            if let Some(fence) = write.fence
                && !holds(on, fence)?
            {
                return Ok(Written::Fenced);
            }
            let sql = "SELECT revision FROM shared_value WHERE key = ?1";
            let found: Option<i64> =
                on.prepare_cached(sql)?.query_row([write.key], |row| row.get(0)).optional()?;
            if found.unwrap_or_default() != write.expected {
                return Ok(Written::Changed);
            }
            let next = write.expected.saturating_add(1);
            let sql = "INSERT INTO shared_value (key, value, revision) VALUES (?1, ?2, ?3)
                ON CONFLICT (key) DO UPDATE SET value = ?2, revision = ?3";
            on.prepare_cached(sql)?.execute(params![write.key, text, next])?;
            Ok(Written::At(next))
        };
        match write.note {
            None => self.store.write(job),
            Some(note) => self.add(|to| {
                let written = job(to.on)?;
                if matches!(written, Written::At(_)) {
                    to.record(core_of_note(note, None)?)?;
                }
                Ok(written)
            }),
        }
    }

    /// Returns how often each topic has changed.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn change_counts(&self) -> Result<BTreeMap<String, i64>, Error> {
        self.store.read(changes)
    }
}

/// Returns how often each topic has changed.
pub(super) fn changes(on: &Connection) -> Result<BTreeMap<String, i64>, Fault> {
    let mut statement = on.prepare_cached("SELECT topic, n FROM changed")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
