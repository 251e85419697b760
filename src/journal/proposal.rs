//! Skills that agents propose, each waiting for a person's word.
//!
//! Where a proposal stands changes; every step of it is a record of the audit log as well, in the same
//! transaction.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::journal::Journal;
use crate::journal::entry::{Note, words};
use crate::journal::error::{Error, Fault};
use crate::journal::row::{core_of_note, json_of, moment, word};

/// Proposals that were decided on and are kept; older ones make room.
const KEPT_DECIDED: i64 = 200;

words!(
    /// The state of a proposal.
    ProposalState {
        /// A person must decide.
        Pending = "pending",
        /// Approved: it is being written.
        Approved = "approved",
        /// A person rejected it.
        Rejected = "rejected",
        /// Nobody decided in time.
        Expired = "expired",
        /// It was written to the workspace.
        Applied = "applied",
    }
);

/// A proposed skill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// Its id: a UUID, of version 7.
    pub id: String,
    /// The moment it was proposed.
    pub at: Timestamp,
    /// The moment when it expires.
    pub expires_at: Timestamp,
    /// The agent that proposes it.
    pub agent: String,
    /// The id of the user who is signed in for the agent.
    pub actor_id: String,
    /// Their sign-in name.
    pub actor_upn: String,
    /// The folder of the workspace that it is for.
    pub workspace: String,
    /// The name of the skill.
    pub name: String,
    /// Its text.
    pub source: String,
    /// The text of its tests.
    pub tests: Option<String>,
    /// The reason that the agent gives.
    pub purpose: String,
    /// What checking and testing it came to.
    pub remarks: Vec<String>,
    /// The digest of what would be written, and of what that would replace.
    pub digest: String,
    /// Its state.
    pub state: ProposalState,
    /// The sign-in name of whoever decided.
    pub decided_by: Option<String>,
    /// What they said.
    pub reason: Option<String>,
}

const COLUMNS: &str = "id, at, expires_at, agent, actor_id, actor_upn, workspace, name, source, \
    tests, purpose, remarks, digest, state, decided_by, reason";

fn proposal(row: &Row<'_>) -> Result<Proposal, Fault> {
    let text = |name: &str| row.get::<_, String>(name);
    let state = text("state")?;
    let remarks = json_of(&text("remarks")?, "list of remarks")?;
    let remarks = remarks.as_array().into_iter().flatten();
    Ok(Proposal {
        id: text("id")?,
        at: moment(&text("at")?)?,
        expires_at: moment(&text("expires_at")?)?,
        agent: text("agent")?,
        actor_id: text("actor_id")?,
        actor_upn: text("actor_upn")?,
        workspace: text("workspace")?,
        name: text("name")?,
        source: text("source")?,
        tests: row.get("tests")?,
        purpose: text("purpose")?,
        remarks: remarks.filter_map(|line| line.as_str()).map(str::to_owned).collect(),
        digest: text("digest")?,
        state: word(ProposalState::parse(&state), &state)?,
        decided_by: row.get("decided_by")?,
        reason: row.get("reason")?,
    })
}

fn proposals(
    on: &Connection,
    condition: &str,
    values: impl rusqlite::Params,
) -> Result<Vec<Proposal>, Fault> {
    let sql = format!("SELECT {COLUMNS} FROM proposal WHERE {condition} ORDER BY at, id");
    let mut statement = on.prepare_cached(&sql)?;
    let mut rows = statement.query(values)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(proposal(row)?);
    }
    Ok(all)
}

impl Journal {
    /// Adds a proposal, unless `most` of the same agent wait already; then it returns false.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn propose(&self, new: &Proposal, most: u32, note: &Note) -> Result<bool, Error> {
        self.add(|to| {
            let sql = "SELECT count(*) FROM proposal WHERE agent = ?1 AND state = 'pending'";
            let waiting: u32 =
                to.on.prepare_cached(sql)?.query_row([&new.agent], |row| row.get(0))?;
            if waiting >= most {
                return Ok(false);
            }
            let sql = format!(
                "INSERT INTO proposal ({COLUMNS})
                VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16)"
            );
            to.on.prepare_cached(&sql)?.execute(params![
                new.id,
                new.at.to_string(),
                new.expires_at.to_string(),
                new.agent,
                new.actor_id,
                new.actor_upn,
                new.workspace,
                new.name,
                new.source,
                new.tests,
                new.purpose,
                serde_json::Value::from(new.remarks.clone()).to_string(),
                new.digest,
                new.state.name(),
                new.decided_by,
                new.reason,
            ])?;
            let sql =
                "DELETE FROM proposal WHERE state NOT IN ('pending', 'approved') AND id NOT IN
                (SELECT id FROM proposal WHERE state NOT IN ('pending', 'approved')
                    ORDER BY at DESC LIMIT ?1)";
            to.on.prepare_cached(sql)?.execute([KEPT_DECIDED])?;
            to.record(core_of_note(note, None)?)?;
            Ok(true)
        })
    }

    /// Returns the proposals for a workspace that wait, the oldest first; with `all`, also those that
    /// were decided on.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn proposals(&self, workspace: &str, all: bool) -> Result<Vec<Proposal>, Error> {
        let condition = "workspace = ?1 AND (?2 OR state IN ('pending', 'approved'))";
        self.store.read(|on| proposals(on, condition, params![workspace, all]))
    }

    /// Returns the proposals whose ids begin with a text; for an agent, of its own.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn proposals_like(&self, id: &str, agent: Option<&str>) -> Result<Vec<Proposal>, Error> {
        let condition = "(substr(id, 1, length(?1)) = ?1 OR substr(id, -length(?1)) = ?1)
            AND (?2 IS NULL OR agent = ?2)";
        self.store.read(|on| proposals(on, condition, params![id, agent]))
    }

    /// Returns the state of a proposal, which costs little.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn proposal_state(&self, id: &str) -> Result<Option<ProposalState>, Error> {
        self.store.read(|on| {
            let sql = "SELECT state FROM proposal WHERE id = ?1";
            let found: Option<String> =
                on.prepare_cached(sql)?.query_row([id], |row| row.get(0)).optional()?;
            found.map(|state| word(ProposalState::parse(&state), &state)).transpose()
        })
    }

    /// Brings a proposal to where it stands now, and records the step. Returns false, and does
    /// nothing, if it does not stand any more where it stood, or is for another digest.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn move_proposal(
        &self,
        (from, digest): (ProposalState, &str),
        to_be: &Proposal,
        note: &Note,
    ) -> Result<bool, Error> {
        self.add(|to| {
            let sql = "UPDATE proposal SET state = ?4, decided_by = ?5, reason = ?6, digest = ?7
                WHERE id = ?1 AND state = ?2 AND digest = ?3";
            let moved = to.on.prepare_cached(sql)?.execute(params![
                to_be.id,
                from.name(),
                digest,
                to_be.state.name(),
                to_be.decided_by,
                to_be.reason,
                to_be.digest,
            ])?;
            if moved == 1 {
                to.record(core_of_note(note, None)?)?;
            }
            Ok(moved == 1)
        })
    }
}
