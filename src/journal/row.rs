//! The rows of the tables, and the audit record that belongs to each.
//!
//! A record is always made from the stored row, by the same function when the row is written and
//! when the log is verified. So the two agree to the letter, or something was altered.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde_json::{Map, Value, json};

use crate::change::{Change, ChangeSet, Edit, Fields, Write};
use crate::journal::canonical::{canonical, digest};
use crate::journal::entry::{
    Intent, Judgement, NewRun, Note, Outcome, Purpose, RunId, Settled, StepId,
};
use crate::journal::error::Fault;
use crate::model::UserId;

/// The part of a record that is not about its place in the log.
pub(crate) type Core = Map<String, Value>;

fn core(kind: &str, at: &str, run: Option<&str>, who: Core, event: Value) -> Core {
    let mut core = who;
    core.insert("kind".into(), kind.into());
    core.insert("at".into(), at.into());
    core.insert("run".into(), run.into());
    if let Value::Object(event) = event {
        core.extend(event);
    }
    core
}

/// Parses JSON from a row.
pub(crate) fn json_of(text: &str, what: &str) -> Result<Value, Fault> {
    serde_json::from_str(text).map_err(|_| Fault::Damaged(format!("the {what} is not JSON")))
}

/// Parses a moment from a row.
pub(crate) fn moment(text: &str) -> Result<Timestamp, Fault> {
    text.parse().map_err(|_| Fault::Damaged(format!("`{text}` is not a moment")))
}

pub(crate) fn word<T>(found: Option<T>, text: &str) -> Result<T, Fault> {
    found.ok_or_else(|| Fault::Damaged(format!("`{text}` is not a word of the journal")))
}

pub(crate) fn run_id(text: &str) -> Result<RunId, Fault> {
    RunId::parse(text).map_err(|error| Fault::Damaged(error.to_string()))
}

/// A row of `run`.
pub(crate) struct RunRow {
    pub(crate) id: String,
    pub(crate) at: String,
    service: String,
    actor_id: String,
    actor_upn: String,
    pub(crate) agent: Option<String>,
    purpose: String,
    parent: Option<String>,
    takes_up: Option<String>,
    skill: String,
    skill_digest: Option<String>,
    params: String,
    policies: String,
}

impl RunRow {
    pub(crate) const COLUMNS: &str = "id, at, service, actor_id, actor_upn, agent, purpose, \
        parent, takes_up, skill, skill_digest, params, policies";

    pub(crate) fn from_new_run(run: &NewRun) -> Self {
        Self {
            id: run.id.to_string(),
            at: run.at.to_string(),
            service: run.service.clone(),
            actor_id: run.actor.to_string(),
            actor_upn: run.upn.clone(),
            agent: run.agent.clone(),
            purpose: run.purpose.name().to_owned(),
            parent: run.parent.as_ref().map(ToString::to_string),
            takes_up: run.takes_up.clone(),
            skill: run.skill.clone(),
            skill_digest: run.skill_digest.clone(),
            params: run.params.to_string(),
            policies: json!(run.policies).to_string(),
        }
    }

    pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            at: row.get("at")?,
            service: row.get("service")?,
            actor_id: row.get("actor_id")?,
            actor_upn: row.get("actor_upn")?,
            agent: row.get("agent")?,
            purpose: row.get("purpose")?,
            parent: row.get("parent")?,
            takes_up: row.get("takes_up")?,
            skill: row.get("skill")?,
            skill_digest: row.get("skill_digest")?,
            params: row.get("params")?,
            policies: row.get("policies")?,
        })
    }

    /// Finds the row of a run.
    pub(crate) fn find(on: &Connection, id: &str) -> Result<Option<Self>, Fault> {
        let sql = format!("SELECT {} FROM run WHERE id = ?1", Self::COLUMNS);
        Ok(on.prepare_cached(&sql)?.query_row([id], Self::read).optional()?)
    }

    pub(crate) fn insert(&self, seq: i64, on: &Connection) -> Result<(), Fault> {
        let sql = format!(
            "INSERT INTO run (seq, {}) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14)",
            Self::COLUMNS
        );
        on.prepare_cached(&sql)?.execute(params![
            seq,
            self.id,
            self.at,
            self.service,
            self.actor_id,
            self.actor_upn,
            self.agent,
            self.purpose,
            self.parent,
            self.takes_up,
            self.skill,
            self.skill_digest,
            self.params,
            self.policies
        ])?;
        Ok(())
    }

    /// Returns the part of a record about the actor, the skill and the policies.
    fn who(&self) -> Result<Core, Fault> {
        let mut who = Core::new();
        who.insert("actor".into(), json!({ "id": self.actor_id, "upn": self.actor_upn }));
        who.insert("agent".into(), json!(self.agent));
        who.insert("skill".into(), json!(self.skill));
        who.insert("skill_digest".into(), json!(self.skill_digest));
        who.insert("policies".into(), json_of(&self.policies, "list of policies")?);
        Ok(who)
    }

    pub(crate) fn core(&self) -> Result<Core, Fault> {
        let event = json!({
            "service": self.service,
            "purpose": self.purpose,
            "parent": self.parent,
            "takes_up": self.takes_up,
            "params": json_of(&self.params, "list of parameters")?,
        });
        Ok(core("run_started", &self.at, Some(&self.id), self.who()?, event))
    }

    pub(crate) fn into_run(self) -> Result<NewRun, Fault> {
        let actor = UserId::parse(&self.actor_id)
            .map_err(|error| Fault::Damaged(format!("the actor: {error}")))?;
        let policies = serde_json::from_str(&self.policies)
            .map_err(|_| Fault::Damaged("the list of policies cannot be read".into()))?;
        Ok(NewRun {
            id: run_id(&self.id)?,
            at: moment(&self.at)?,
            purpose: word(Purpose::parse(&self.purpose), &self.purpose)?,
            parent: self.parent.as_deref().map(run_id).transpose()?,
            params: json_of(&self.params, "list of parameters")?,
            policies,
            actor,
            service: self.service,
            upn: self.actor_upn,
            agent: self.agent,
            takes_up: self.takes_up,
            skill: self.skill,
            skill_digest: self.skill_digest,
        })
    }
}

/// A row of `round`.
pub(crate) struct RoundRow {
    pub(crate) run: String,
    pub(crate) round: u32,
    pub(crate) at: String,
    pub(crate) outcome: String,
    pub(crate) digest: String,
    pub(crate) change_set: String,
    pub(crate) rulings: String,
}

impl RoundRow {
    pub(crate) const COLUMNS: &str =
        "run_id, round, at, outcome, digest, change_set, rulings, goes_on";

    pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        // A segment is stored as cleared with `goes_on`, a column that was added later.
        let segment = Judgement::Segment.name().to_owned();
        let outcome = if row.get("goes_on")? { segment } else { row.get("outcome")? };
        Ok(Self {
            run: row.get("run_id")?,
            round: row.get("round")?,
            at: row.get("at")?,
            outcome,
            digest: row.get("digest")?,
            change_set: row.get("change_set")?,
            rulings: row.get("rulings")?,
        })
    }

    pub(crate) fn insert(&self, seq: i64, on: &Connection) -> Result<(), Fault> {
        let columns = Self::COLUMNS;
        let sql = format!("INSERT INTO round (seq, {columns}) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9)");
        let goes_on = self.outcome == Judgement::Segment.name();
        let row = params![
            seq,
            self.run,
            self.round,
            self.at,
            if goes_on { Judgement::Cleared.name() } else { &self.outcome },
            self.digest,
            self.change_set,
            self.rulings,
            goes_on
        ];
        on.prepare_cached(&sql)?.execute(row)?;
        Ok(())
    }

    /// Returns the set; checks it against the digest.
    pub(crate) fn set(&self) -> Result<ChangeSet, Fault> {
        let damaged = |what: &str| {
            Fault::Damaged(format!(
                "the change set of run {}, round {} {what}",
                self.run, self.round
            ))
        };
        if digest(&self.change_set) != self.digest {
            return Err(damaged("has another digest"));
        }
        serde_json::from_str(&self.change_set).map_err(|_| damaged("cannot be read"))
    }

    pub(crate) fn core(&self, run: &RunRow) -> Result<Core, Fault> {
        let changes: Vec<Value> = self.set()?.changes().iter().map(summary).collect();
        let kind = match Judgement::parse(&self.outcome) {
            Some(Judgement::Denied) => "refused",
            Some(Judgement::Held) => "held",
            _ => "judged",
        };
        let event = json!({
            "round": self.round,
            "outcome": self.outcome,
            "digest": self.digest,
            "rulings": json_of(&self.rulings, "list of rulings")?,
            "changes": changes,
        });
        Ok(core(kind, &self.at, Some(&self.run), run.who()?, event))
    }
}

/// Returns the summary of a change, with every value before and after.
pub(crate) fn summary(change: &Change) -> Value {
    fn deleted<T: Fields, B>(edit: &Edit<T, B>) -> Option<Value> {
        let Edit::Delete { before, .. } = edit else { return None };
        let values = T::FIELDS.iter().map(|field| (field, before.value(*field)));
        let fields = values.filter(|(_, value)| !value.is_null()).map(|(field, value)| {
            (field.name().to_owned(), json!({ "before": value, "after": null }))
        });
        Some(Value::Object(fields.collect()))
    }
    let deleted = match &change.write {
        Write::Plan(edit) => deleted(edit),
        Write::PlanDetails { edit, .. } => deleted(edit),
        Write::Bucket(edit) => deleted(edit),
        Write::Task(edit) => deleted(edit),
        Write::Comment(edit) => deleted(edit),
    };
    let fields = deleted.unwrap_or_else(|| {
        let fields = change.fields().into_iter();
        Value::Object(
            fields.map(|(field, values)| (field.name().to_owned(), json!(values))).collect(),
        )
    });
    let mut summary = json!({
        "n": change.n,
        "op": change.op().name(),
        "entity": change.entity(),
        "id": change.id().as_str(),
        "plan": change.plan().as_str(),
        "title": change.title(),
        "fields": fields,
    });
    if !change.takes_along.is_empty() {
        summary["takes_along"] = json!(change.takes_along);
    }
    summary
}

/// Finds the summary of a change.
pub(crate) fn summary_of(
    on: &Connection,
    run: &str,
    (round, n): (u32, u32),
) -> Result<Option<Value>, Fault> {
    let sql = "SELECT summary FROM change WHERE run_id = ?1 AND round = ?2 AND n = ?3";
    let text: Option<String> =
        on.prepare_cached(sql)?.query_row(params![run, round, n], |row| row.get(0)).optional()?;
    text.map(|text| json_of(&text, "summary of a change")).transpose()
}

/// A row of `intent`.
pub(crate) struct IntentRow {
    pub(crate) run: String,
    pub(crate) round: u32,
    pub(crate) n: u32,
    pub(crate) step: String,
    pub(crate) attempt: u32,
    pub(crate) at: String,
    method: String,
    path: String,
    if_match: Option<String>,
    body: Option<String>,
    request_id: String,
}

impl IntentRow {
    pub(crate) const COLUMNS: &str =
        "run_id, round, n, step, attempt, at, method, path, if_match, body, request_id";

    pub(crate) fn from_intent(run: &RunId, at: Timestamp, intent: &Intent) -> Result<Self, Fault> {
        Ok(Self {
            run: run.to_string(),
            round: intent.step.round,
            n: small(run, intent.step.n)?,
            step: intent.step.step.clone(),
            attempt: intent.attempt,
            at: at.to_string(),
            method: intent.method.clone(),
            path: intent.path.clone(),
            if_match: intent.if_match.clone(),
            body: intent.body.as_ref().map(ToString::to_string),
            request_id: intent.request_id.clone(),
        })
    }

    pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            run: row.get("run_id")?,
            round: row.get("round")?,
            n: row.get("n")?,
            step: row.get("step")?,
            attempt: row.get("attempt")?,
            at: row.get("at")?,
            method: row.get("method")?,
            path: row.get("path")?,
            if_match: row.get("if_match")?,
            body: row.get("body")?,
            request_id: row.get("request_id")?,
        })
    }

    pub(crate) fn is_create(&self) -> bool {
        self.method == "POST"
    }

    pub(crate) fn insert(&self, seq: i64, on: &Connection) -> Result<(), Fault> {
        let sql = format!(
            "INSERT INTO intent (seq, {}) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)",
            Self::COLUMNS
        );
        on.prepare_cached(&sql)?.execute(params![
            seq,
            self.run,
            self.round,
            self.n,
            self.step,
            self.attempt,
            self.at,
            self.method,
            self.path,
            self.if_match,
            self.body,
            self.request_id
        ])?;
        Ok(())
    }

    /// Returns the record, with the summary `change` but without its values: those are in the body.
    pub(crate) fn core(&self, run: &RunRow, mut change: Value) -> Result<Core, Fault> {
        if let Some(change) = change.as_object_mut() {
            change.shift_remove("fields");
        }
        let body =
            self.body.as_deref().map(|text| json_of(text, "body of a request")).transpose()?;
        let event = json!({
            "round": self.round,
            "change": change,
            "step": self.step,
            "attempt": self.attempt,
            "method": self.method,
            "path": self.path,
            "if_match": self.if_match,
            "body": body,
            "request_id": self.request_id,
        });
        Ok(core("intent", &self.at, Some(&self.run), run.who()?, event))
    }

    pub(crate) fn into_intent(self) -> Result<Intent, Fault> {
        let body =
            self.body.as_deref().map(|text| json_of(text, "body of a request")).transpose()?;
        let n = usize::try_from(self.n).unwrap_or_default();
        Ok(Intent {
            step: StepId { round: self.round, n, step: self.step },
            attempt: self.attempt,
            method: self.method,
            path: self.path,
            if_match: self.if_match,
            body,
            request_id: self.request_id,
        })
    }
}

/// Returns the number of a change in the size of the journal.
pub(crate) fn small(run: &RunId, n: usize) -> Result<u32, Fault> {
    u32::try_from(n).map_err(|_| Fault::order(run, format!("there is no change {n}")))
}

/// A row of `outcome`.
pub(crate) struct OutcomeRow {
    pub(crate) intent_seq: i64,
    pub(crate) at: String,
    outcome: String,
    status: Option<u16>,
    entity_id: Option<String>,
    etag: Option<String>,
    service_request_id: Option<String>,
    message: Option<String>,
}

impl OutcomeRow {
    pub(crate) const COLUMNS: &str =
        "intent_seq, at, outcome, status, entity_id, etag, service_request_id, message";

    pub(crate) fn from_settled(intent_seq: i64, at: Timestamp, settled: &Settled) -> Self {
        Self {
            intent_seq,
            at: at.to_string(),
            outcome: settled.outcome.name().to_owned(),
            status: settled.status,
            entity_id: settled.entity_id.clone(),
            etag: settled.etag.clone(),
            service_request_id: settled.service_request_id.clone(),
            message: settled.message.clone(),
        }
    }

    pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            intent_seq: row.get("intent_seq")?,
            at: row.get("at")?,
            outcome: row.get("outcome")?,
            status: row.get("status")?,
            entity_id: row.get("entity_id")?,
            etag: row.get("etag")?,
            service_request_id: row.get("service_request_id")?,
            message: row.get("message")?,
        })
    }

    pub(crate) fn insert(&self, seq: i64, on: &Connection) -> Result<(), Fault> {
        let sql = format!(
            "INSERT INTO outcome (seq, {}) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9)",
            Self::COLUMNS
        );
        on.prepare_cached(&sql)?.execute(params![
            seq,
            self.intent_seq,
            self.at,
            self.outcome,
            self.status,
            self.entity_id,
            self.etag,
            self.service_request_id,
            self.message
        ])?;
        Ok(())
    }

    pub(crate) fn core(
        &self,
        run: &RunRow,
        intent: &IntentRow,
        change: &Value,
    ) -> Result<Core, Fault> {
        let kind = if self.outcome == Outcome::Conflict.name() { "conflict" } else { "outcome" };
        let event = json!({
            "round": intent.round,
            "change": change,
            "step": intent.step,
            "attempt": intent.attempt,
            "outcome": self.outcome,
            "status": self.status,
            "entity_id": self.entity_id,
            "etag": self.etag,
            "request_id": intent.request_id,
            "service_request_id": self.service_request_id,
            "message": self.message,
        });
        Ok(core(kind, &self.at, Some(&run.id), run.who()?, event))
    }

    pub(crate) fn into_settled(self, of: &Intent) -> Result<Settled, Fault> {
        Ok(Settled {
            step: of.step.clone(),
            attempt: of.attempt,
            outcome: word(Outcome::parse(&self.outcome), &self.outcome)?,
            status: self.status,
            entity_id: self.entity_id,
            etag: self.etag,
            service_request_id: self.service_request_id,
            message: self.message,
        })
    }
}

/// A row of `finish`.
pub(crate) struct FinishRow {
    pub(crate) run: String,
    pub(crate) at: String,
    pub(crate) status: String,
    pub(crate) report: String,
}

impl FinishRow {
    pub(crate) const COLUMNS: &str = "run_id, at, status, report";

    pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            run: row.get("run_id")?,
            at: row.get("at")?,
            status: row.get("status")?,
            report: row.get("report")?,
        })
    }

    pub(crate) fn insert(&self, seq: i64, on: &Connection) -> Result<(), Fault> {
        let sql = format!("INSERT INTO finish (seq, {}) VALUES (?1,?2,?3,?4,?5)", Self::COLUMNS);
        let row = params![seq, self.run, self.at, self.status, self.report];
        on.prepare_cached(&sql)?.execute(row)?;
        Ok(())
    }

    /// Returns the record, with only a digest of the report: it may hold anything the program
    /// printed, which must not be exported with the log.
    pub(crate) fn core(&self, run: &RunRow) -> Result<Core, Fault> {
        let event = json!({ "outcome": self.status, "report_digest": digest(&self.report) });
        Ok(core("finished", &self.at, Some(&self.run), run.who()?, event))
    }
}

/// Returns the record of something that has no row.
pub(crate) fn core_of_note(note: &Note, run: Option<&RunRow>) -> Result<Core, Fault> {
    let who = run.map(RunRow::who).transpose()?.unwrap_or_default();
    let by = json!({ "id": note.actor.as_ref().map(UserId::as_str), "name": note.name });
    let event = json!({ "by": by, "detail": note.detail });
    let run = note.run.as_ref().map(RunId::as_str);
    Ok(core(note.kind.name(), &note.at.to_string(), run, who, event))
}

/// Returns whether a record, without its place in the log, is the one that its row calls for.
pub(crate) fn is_core(record: &Core, wanted: &Core) -> bool {
    canonical(&Value::Object(record.clone())) == canonical(&Value::Object(wanted.clone()))
}
