//! Runs, read back from the journal: for lists, for undo, and for resuming one that was cut off.

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::Value;

use crate::change::ChangeSet;
use crate::journal::Journal;
use crate::journal::canonical::canonical;
use crate::journal::entry::{
    Intent, Judgement, NewRun, Outcome, Purpose, RunId, RunStatus, Settled,
};
use crate::journal::error::Error;
use crate::journal::error::Fault;
use crate::journal::row::{
    FinishRow, IntentRow, OutcomeRow, RoundRow, RunRow, json_of, moment, run_id, word,
};

/// Finds an entity among those that changes are known to have created.
pub(crate) const CLAIMED: &str = "SELECT 1 FROM outcome JOIN intent ON intent.seq = intent_seq
    WHERE entity_id = ?1 AND outcome = 'applied' AND method = 'POST'
    UNION ALL SELECT 1 FROM pruned_entity WHERE id = ?1";

/// Finds tasks that runs have created with links, a key among them, and whose details were never written.
pub(crate) const WITHOUT_DETAILS: &str = "FROM intent
    JOIN outcome ON outcome.intent_seq = intent.seq AND outcome = 'applied'
    JOIN run ON run.id = intent.run_id
    JOIN change ON change.run_id = run.id AND change.round = intent.round AND change.n = intent.n
    WHERE method = 'POST' AND step = 'itself' AND entity_id IS NOT NULL
        AND json_extract(summary, '$.fields.references') IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM intent AS later
            JOIN outcome AS done ON done.intent_seq = later.seq AND done.outcome = 'applied'
            WHERE later.step = 'details' AND later.path = '/planner/tasks/' || outcome.entity_id || '/details')";

/// A run in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSummary {
    /// Its id.
    pub id: RunId,
    /// The moment it began.
    pub at: Timestamp,
    /// The sign-in name of the user who ran it.
    pub upn: String,
    /// The agent that it ran for.
    pub agent: Option<String>,
    /// Its purpose.
    pub purpose: Purpose,
    /// The run that it belongs to.
    pub parent: Option<RunId>,
    /// The skill or command.
    pub skill: String,
    /// Its status; `None` if it has not ended, or its end was not recorded.
    pub status: Option<RunStatus>,
    /// True if it was cut off: it has no end, or its report says so.
    pub is_unfinished: bool,
    /// The number of changes in its last round.
    pub changes: u32,
    /// The number of attempts to write.
    pub attempts: u32,
}

/// Everything of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Its beginning.
    pub start: NewRun,
    /// The judged sets, in order.
    pub rounds: Vec<Round>,
    /// Its end, if it has ended.
    pub finish: Option<Finish>,
}

/// A judged set and its outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct Round {
    /// Its number in the run, from 1.
    pub number: u32,
    /// The moment it was judged.
    pub at: Timestamp,
    /// The outcome of the review.
    pub outcome: Judgement,
    /// The digest of the set.
    pub digest: String,
    /// The set.
    pub change_set: ChangeSet,
    /// The rulings on it.
    pub rulings: Value,
    /// The trail of each change, in the order of the set.
    pub trails: Vec<Trail>,
}

/// The history of a change: all attempts to write it.
#[derive(Debug, Clone, PartialEq)]
pub struct Trail {
    /// The number of the change in its round.
    pub n: usize,
    /// The attempts to write it, in the order in which they were recorded.
    pub attempts: Vec<Attempt>,
}

/// An attempt to write.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// The moment before it was sent.
    pub at: Timestamp,
    /// The request.
    pub intent: Intent,
    /// Its outcomes, in the order in which they were found out.
    pub settled: Vec<(Timestamp, Settled)>,
}

/// The end of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Finish {
    /// The moment.
    pub at: Timestamp,
    /// The status of the run.
    pub status: RunStatus,
    /// The report.
    pub report: Value,
}

/// The progress of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Nothing of it was sent.
    Untouched,
    /// The outcome of everything that was sent is known. Steps may be left.
    Settled,
    /// Something may have been sent whose outcome is not known.
    InDoubt,
}

impl Attempt {
    /// Returns its last outcome; `None` if none was recorded.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.settled.last().map(|(_, settled)| settled.outcome)
    }

    /// Returns whether its outcome is not known.
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        self.outcome().is_none_or(|outcome| !outcome.is_final())
    }
}

impl Trail {
    /// Returns the last attempt at each step, in the order of the steps.
    #[must_use]
    pub fn last_attempts(&self) -> Vec<&Attempt> {
        let later = |at: usize, attempt: &Attempt| {
            self.attempts.iter().skip(at + 1).any(|other| other.intent.step == attempt.intent.step)
        };
        let all = self.attempts.iter().enumerate();
        all.filter(|(at, attempt)| !later(*at, attempt)).map(|(_, attempt)| attempt).collect()
    }

    /// Returns whether the step of this name is on the board.
    #[must_use]
    pub fn has_written(&self, step: &str) -> bool {
        let mut of_step = self.attempts.iter().filter(|attempt| attempt.intent.step.step == step);
        of_step.any(|attempt| attempt.outcome() == Some(Outcome::Applied))
    }

    /// Returns the progress of the change: only the last attempt at each step counts.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let last = self.last_attempts();
        if last.is_empty() {
            Standing::Untouched
        } else if last.iter().any(|attempt| attempt.is_in_doubt()) {
            Standing::InDoubt
        } else {
            Standing::Settled
        }
    }
}

impl Run {
    /// Returns whether it began to write.
    #[must_use]
    pub fn wrote(&self) -> bool {
        self.rounds.iter().flat_map(|round| &round.trails).any(|trail| !trail.attempts.is_empty())
    }
}

impl Journal {
    /// Returns how long the last runs took that have come to their end, the newest first, each with when it
    /// began: at most `limit`. Those that were cut off and carried on are not among them.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn times_of_runs(&self, limit: usize) -> Result<Vec<(Timestamp, SignedDuration)>, Error> {
        self.store.read(|on| {
            // Only the short report of one that was carried on is read, and no long one.
            let sql = "SELECT run.at, finish.at FROM run JOIN finish ON finish.run_id = run.id
                WHERE octet_length(finish.report) > 200
                    OR json_extract(finish.report, '$.resumed_by') IS NULL
                ORDER BY run.seq DESC LIMIT ?1";
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let mut statement = on.prepare_cached(sql)?;
            let mut rows = statement.query([limit])?;
            let mut times = Vec::new();
            while let Some(row) = rows.next()? {
                let begun = moment(&row.get::<_, String>(0)?)?;
                let ended = moment(&row.get::<_, String>(1)?)?;
                times.push((begun, ended.duration_since(begun)));
            }
            Ok(times)
        })
    }

    /// Lists runs, the newest first: at most `limit`, and those before `before` if that is set.
    ///
    /// # Errors
    /// The journal cannot be read, or has no run `before`.
    pub fn runs(&self, limit: usize, before: Option<&RunId>) -> Result<Vec<RunSummary>, Error> {
        self.store.read(|on| {
            let sql = "SELECT seq FROM run WHERE id = ?1";
            let from: i64 = match before {
                None => i64::MAX,
                Some(id) => on
                    .prepare_cached(sql)?
                    .query_row([id.as_str()], |row| row.get(0))
                    .optional()?
                    .ok_or_else(|| Fault::Told(Error::NoRun(id.to_string())))?,
            };
            let sql = "SELECT run.id, run.at, actor_upn, agent, purpose, parent, skill,
                    (SELECT status FROM finish WHERE run_id = run.id) AS status,
                    coalesce((SELECT json_extract(report, '$.unfinished') FROM finish
                        WHERE run_id = run.id), 0) AS unfinished,
                    (SELECT count(*) FROM change WHERE run_id = run.id AND round =
                        (SELECT max(round) FROM round WHERE run_id = run.id)) AS changes,
                    (SELECT count(*) FROM intent WHERE run_id = run.id) AS attempts
                FROM run WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2";
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let mut statement = on.prepare_cached(sql)?;
            let mut rows = statement.query([from, limit])?;
            let mut runs = Vec::new();
            while let Some(row) = rows.next()? {
                let text = |name: &str| row.get::<_, String>(name);
                let status: Option<String> = row.get("status")?;
                let parent: Option<String> = row.get("parent")?;
                runs.push(RunSummary {
                    id: run_id(&text("id")?)?,
                    at: moment(&text("at")?)?,
                    upn: text("actor_upn")?,
                    agent: row.get("agent")?,
                    purpose: word(Purpose::parse(&text("purpose")?), &text("purpose")?)?,
                    parent: parent.as_deref().map(run_id).transpose()?,
                    skill: text("skill")?,
                    status: status
                        .map(|status| word(RunStatus::parse(&status), &status))
                        .transpose()?,
                    is_unfinished: row.get::<_, Option<String>>("status")?.is_none()
                        || row.get("unfinished")?,
                    changes: row.get("changes")?,
                    attempts: row.get("attempts")?,
                });
            }
            Ok(runs)
        })
    }

    /// Returns everything of a run, by its id, by a unique beginning or end of it, or by `last`: the
    /// latest that began to write.
    ///
    /// # Errors
    /// The journal cannot be read, or `id` is that of no run or of several.
    pub fn run(&self, id: &str) -> Result<Run, Error> {
        self.store.read(|on| whole(on, &find_run(on, id)?))
    }

    /// Returns the id of a run of an agent, by a beginning that is unique among its own, or by `last`:
    /// its latest that began to write. Of the runs of others nothing shows, not even their number.
    ///
    /// # Errors
    /// The journal cannot be read, or no run of the agent or several begin with `id`.
    pub fn run_of_agent(&self, id: &str, agent: &str) -> Result<RunId, Error> {
        self.store.read(|on| run_id(&find_own(on, id, agent)?))
    }

    /// Returns the last run that began to write a set with this digest: the set as it was judged,
    /// or the saved one that the run applied.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn applied_by(&self, digest: &str) -> Result<Option<RunId>, Error> {
        self.store.read(|on| {
            let sql = "SELECT id FROM run
                WHERE (takes_up = ?1 AND EXISTS (SELECT 1 FROM intent WHERE run_id = run.id))
                    OR id IN (SELECT round.run_id FROM round
                        WHERE digest = ?1 AND EXISTS (SELECT 1 FROM intent
                            WHERE intent.run_id = round.run_id AND intent.round = round.round))
                ORDER BY seq DESC LIMIT 1";
            let id: Option<String> =
                on.prepare_cached(sql)?.query_row([digest], |row| row.get(0)).optional()?;
            id.as_deref().map(run_id).transpose()
        })
    }

    /// Returns whether an entity is known to have been created by a run.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn is_claimed(&self, entity_id: &str) -> Result<bool, Error> {
        self.store.read(|on| Ok(on.prepare_cached(CLAIMED)?.exists([entity_id])?))
    }

    /// Returns the agent for which an entity of a service was created: `Some(None)` for a person.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn made_by(&self, service: &str, entity_id: &str) -> Result<Option<Option<String>>, Error> {
        let sql = "SELECT agent FROM (SELECT agent, outcome.seq FROM outcome
                JOIN intent ON intent.seq = intent_seq JOIN run ON run.id = intent.run_id
                WHERE entity_id = ?1 AND outcome = 'applied' AND method = 'POST' AND service = ?2
            UNION ALL SELECT agent, 0 AS seq FROM pruned_entity WHERE id = ?1 AND service = ?2)
            ORDER BY seq LIMIT 1";
        self.store.read(|on| {
            let mut statement = on.prepare_cached(sql)?;
            Ok(statement.query_row([entity_id, service], |row| row.get(0)).optional()?)
        })
    }

    /// Returns the tasks that runs have created in a plan of a service without ever writing their
    /// details: each id with the summary of its change.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn made_without_details(
        &self,
        service: &str,
        plan: &str,
    ) -> Result<Vec<(String, Value)>, Error> {
        let sql = format!(
            "SELECT entity_id, summary {WITHOUT_DETAILS} AND service = ?1
                AND json_extract(summary, '$.plan') = ?2"
        );
        self.store.read(|on| {
            let mut statement = on.prepare_cached(&sql)?;
            let mut rows = statement.query([service, plan])?;
            let mut made = Vec::new();
            while let Some(row) = rows.next()? {
                made.push((
                    row.get(0)?,
                    json_of(&row.get::<_, String>(1)?, "summary of a change")?,
                ));
            }
            Ok(made)
        })
    }

    /// Counts the changes of a kind (`task`, `create`) that an actor has made on a service since a
    /// moment, except those of the run `but`.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn count_made(
        &self,
        (service, but): (&str, &str),
        (actor, agent): (&str, Option<&str>),
        since: Timestamp,
        (entity, op): (&str, &str),
    ) -> Result<u64, Error> {
        let sql = "SELECT count(DISTINCT run.id || ' ' || json_extract(summary, '$.id')) FROM run
            JOIN intent ON intent.run_id = run.id
            JOIN outcome ON outcome.intent_seq = intent.seq AND outcome.outcome = 'applied'
            JOIN change ON change.run_id = run.id AND change.round = intent.round
                AND change.n = intent.n
            WHERE service = ?1 AND actor_id = ?2 AND agent IS ?3 AND outcome.at >= ?4
                AND json_extract(summary, '$.entity') = ?5 AND json_extract(summary, '$.op') = ?6
                AND run.id <> ?7";
        self.store.read(|on| {
            let values = params![service, actor, agent, since.to_string(), entity, op, but];
            let n: i64 = on.prepare_cached(sql)?.query_row(values, |row| row.get(0))?;
            Ok(u64::try_from(n).unwrap_or(0))
        })
    }

    /// Counts what an agent has done: the changes that it has made since a moment, except those of
    /// the run `but`, and the runs that it has begun since another.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn count_of_agent(
        &self,
        (agent, but): (&str, &RunId),
        changes_since: Timestamp,
        runs_since: Timestamp,
    ) -> Result<(u64, u64), Error> {
        let changes = "SELECT count(DISTINCT run.id || ' ' || json_extract(summary, '$.id'))
            FROM run
            JOIN intent ON intent.run_id = run.id
            JOIN outcome ON outcome.intent_seq = intent.seq AND outcome.outcome = 'applied'
            JOIN change ON change.run_id = run.id AND change.round = intent.round
                AND change.n = intent.n
            WHERE agent = ?1 AND run.id <> ?2 AND outcome.at >= ?3";
        let runs = "SELECT count(*) FROM run WHERE agent = ?1 AND at >= ?2";
        self.store.read(|on| {
            let values = params![agent, but.as_str(), changes_since.to_string()];
            let n_changes: i64 = on.prepare_cached(changes)?.query_row(values, |row| row.get(0))?;
            let values = params![agent, runs_since.to_string()];
            let n_runs: i64 = on.prepare_cached(runs)?.query_row(values, |row| row.get(0))?;
            Ok((u64::try_from(n_changes).unwrap_or(0), u64::try_from(n_runs).unwrap_or(0)))
        })
    }

    /// Returns records of the audit log, in order: those after the number `after`, at most `limit`,
    /// and only those of `run` if that is set.
    ///
    /// # Errors
    /// The journal cannot be read, or a record is damaged.
    pub fn records(
        &self,
        run: Option<&RunId>,
        after: i64,
        limit: usize,
    ) -> Result<Vec<Value>, Error> {
        self.store.read(|on| {
            // Records are in canonical form, so their fields can be searched as text.
            let sign = run.map(|run| format!("\"run\":{}", canonical(&run.as_str().into())));
            let sql = "SELECT record FROM audit
                WHERE seq > ?1 AND (?2 IS NULL OR instr(record, ?2) > 0)
                ORDER BY seq LIMIT ?3";
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let mut statement = on.prepare_cached(sql)?;
            let mut rows = statement.query(params![after, sign, limit])?;
            let mut records = Vec::new();
            while let Some(row) = rows.next()? {
                let text: String = row.get(0)?;
                records.push(json_of(&text, "audit record")?);
            }
            Ok(records)
        })
    }
}

impl Journal {
    /// Returns records of the audit log, the last first: those before the number `before`, at most
    /// `limit`, and only those that contain `text`, whatever its case.
    ///
    /// # Errors
    /// The journal cannot be read, or a record is damaged.
    pub fn last_records(
        &self,
        text: Option<&str>,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Value>, Error> {
        self.store.read(|on| {
            let sql = "SELECT record FROM audit
                WHERE seq < ?1 AND (?2 IS NULL OR instr(lower(record), lower(?2)) > 0)
                ORDER BY seq DESC LIMIT ?3";
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let mut statement = on.prepare_cached(sql)?;
            let mut rows = statement.query(params![before.unwrap_or(i64::MAX), text, limit])?;
            let mut records = Vec::new();
            while let Some(row) = rows.next()? {
                let text: String = row.get(0)?;
                records.push(json_of(&text, "audit record")?);
            }
            Ok(records)
        })
    }

    /// Returns the number of the last record of the audit log; 0 if there is none.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn last_record(&self) -> Result<i64, Error> {
        self.store.read(|on| {
            let sql = "SELECT coalesce(max(seq), 0) FROM audit";
            Ok(on.query_row(sql, [], |row| row.get(0))?)
        })
    }
}

/// Finds a run by its id, by a unique beginning or end of it, or by `last`. Runs of one minute begin
/// alike, so it is the end that people are shown.
pub(crate) fn find_run(on: &Connection, id: &str) -> Result<String, Fault> {
    let sql = if id == "last" {
        "SELECT id FROM run WHERE ?1 = 'last' AND
            EXISTS (SELECT 1 FROM intent WHERE run_id = run.id)
            ORDER BY seq DESC LIMIT 1"
    } else {
        "SELECT id FROM run WHERE substr(id, 1, length(?1)) = ?1 OR substr(id, -length(?1)) = ?1
            ORDER BY seq DESC"
    };
    let mut statement = on.prepare_cached(sql)?;
    let found = statement.query_map([id], |row| row.get(0))?.collect::<Result<_, _>>()?;
    only_one(id, found)
}

/// Finds a run of an agent in the same way, among its own.
pub(crate) fn find_own(on: &Connection, id: &str, agent: &str) -> Result<String, Fault> {
    let sql = if id == "last" {
        "SELECT id FROM run WHERE ?1 = 'last' AND agent = ?2 AND
            EXISTS (SELECT 1 FROM intent WHERE run_id = run.id)
            ORDER BY seq DESC LIMIT 1"
    } else {
        "SELECT id FROM run
            WHERE (substr(id, 1, length(?1)) = ?1 OR substr(id, -length(?1)) = ?1) AND agent = ?2
            ORDER BY seq DESC"
    };
    let mut statement = on.prepare_cached(sql)?;
    let found = statement.query_map([id, agent], |row| row.get(0))?.collect::<Result<_, _>>()?;
    only_one(id, found)
}

fn only_one(id: &str, mut found: Vec<String>) -> Result<String, Fault> {
    match found.len() {
        1 if !id.is_empty() => Ok(found.remove(0)),
        0 | 1 => Err(Fault::Told(Error::NoRun(id.to_owned()))),
        _ => Err(Fault::Told(Error::ambiguous(id, &found))),
    }
}

fn whole(on: &Connection, id: &str) -> Result<Run, Fault> {
    let start = RunRow::find(on, id)?.ok_or_else(|| Fault::Told(Error::NoRun(id.to_owned())))?;
    let sql = format!("SELECT {} FROM round WHERE run_id = ?1 ORDER BY round", RoundRow::COLUMNS);
    let mut rounds = Vec::new();
    for row in on.prepare_cached(&sql)?.query_map([id], RoundRow::read)? {
        rounds.push(round(row?)?);
    }
    let sql =
        format!("SELECT seq, {} FROM intent WHERE run_id = ?1 ORDER BY seq", IntentRow::COLUMNS);
    for row in
        on.prepare_cached(&sql)?.query_map([id], |row| Ok((row.get(0)?, IntentRow::read(row)?)))?
    {
        let (seq, row) = row?;
        let attempt = attempt(on, seq, row)?;
        let step = &attempt.intent.step;
        let trail = rounds
            .iter_mut()
            .find(|round| round.number == step.round)
            .and_then(|round| round.trails.iter_mut().find(|trail| trail.n == step.n));
        match trail {
            Some(trail) => trail.attempts.push(attempt),
            None => return Err(Fault::Damaged(format!("record {seq} belongs to no change"))),
        }
    }
    let sql = format!("SELECT {} FROM finish WHERE run_id = ?1", FinishRow::COLUMNS);
    let finish = on.prepare_cached(&sql)?.query_row([id], FinishRow::read).optional()?;
    let finish = finish.map(|row| -> Result<Finish, Fault> {
        Ok(Finish {
            at: moment(&row.at)?,
            status: word(RunStatus::parse(&row.status), &row.status)?,
            report: json_of(&row.report, "report")?,
        })
    });
    Ok(Run { start: start.into_run()?, rounds, finish: finish.transpose()? })
}

fn round(row: RoundRow) -> Result<Round, Fault> {
    let change_set = row.set()?;
    let trail = |n| Trail { n, attempts: Vec::new() };
    Ok(Round {
        number: row.round,
        at: moment(&row.at)?,
        outcome: word(Judgement::parse(&row.outcome), &row.outcome)?,
        rulings: json_of(&row.rulings, "list of rulings")?,
        digest: row.digest,
        trails: change_set.changes().iter().map(|change| trail(change.n)).collect(),
        change_set,
    })
}

fn attempt(on: &Connection, seq: i64, row: IntentRow) -> Result<Attempt, Fault> {
    let at = moment(&row.at)?;
    let intent = row.into_intent()?;
    let sql =
        format!("SELECT {} FROM outcome WHERE intent_seq = ?1 ORDER BY seq", OutcomeRow::COLUMNS);
    let mut settled = Vec::new();
    for row in on.prepare_cached(&sql)?.query_map([seq], OutcomeRow::read)? {
        let row = row?;
        settled.push((moment(&row.at)?, row.into_settled(&intent)?));
    }
    Ok(Attempt { at, intent, settled })
}
