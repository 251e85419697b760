//! The result of a run, as data (design.md 5). Faces render it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::change::{Change, Entity, FieldChange, FieldConflict, Op};
use crate::host::apply::Outcome;
use crate::host::apply::outcome::ChangeStatus;
use crate::host::failure::Failure;
use crate::model::User;
use crate::policy::{Ruling, Verdict};

/// The status of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Everything was written.
    Applied,
    /// Nothing was written, on purpose.
    Previewed,
    /// There was nothing to change.
    NoChanges,
    /// A rule or policy refused.
    Denied,
    /// A person must approve.
    Held,
    /// Someone else changed the same; nothing was written.
    Conflict,
    /// Some of it was written, some not.
    Partial,
    /// The program or the service failed; nothing was written.
    Failed,
}

/// One change in a report.
#[derive(Debug, Clone, Serialize)]
pub struct ChangeReport {
    /// Its number.
    pub n: usize,
    /// The operation.
    pub op: Op,
    /// The kind of entity.
    pub entity: Entity,
    /// The entity's id; for a new one, the real id once applied.
    pub id: String,
    /// Its title or name.
    pub title: String,
    /// The id of its plan.
    pub plan: String,
    /// The fields it sets, by Graph's names.
    pub fields: BTreeMap<&'static str, FieldChange>,
    /// The tasks that a deletion takes along.
    #[serde(skip_serializing_if = "is_zero")]
    pub takes_along: usize,
    /// The worst verdict on it.
    pub verdict: Verdict,
    /// Its status.
    pub status: ChangeStatus,
    /// The number of times it was sent.
    pub attempts: u32,
    /// Both sides of each field in conflict.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conflict: Vec<FieldConflict>,
    /// True if some of it was written, but not all.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub in_part: bool,
    /// The ids of candidates for what it created, if only a person can tell.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<String>,
    /// The reason that it was not written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(n: &usize) -> bool {
    *n == 0
}

/// The actor of a run.
#[derive(Debug, Clone, Serialize)]
pub struct ActorReport {
    /// The signed-in user's id; empty if it could not be found out.
    pub id: String,
    /// The sign-in name.
    pub upn: String,
    /// The agent's name.
    pub agent: Option<String>,
}

/// The effort of a run.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Stats {
    /// Requests sent. Of an agent that may see some plans only, none are told: one more would say that
    /// there is what it may not see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// Conflicts met.
    pub conflicts: u64,
    /// Requests repeated.
    pub retries: u64,
    /// Times that the program ran again.
    pub replays: u64,
    /// The duration of it all, in milliseconds.
    pub duration_ms: u64,
}

fn reasons<S: serde::Serializer>(rulings: &[Ruling], serializer: S) -> Result<S::Ok, S::Error> {
    let told = |ruling: &Ruling| Ruling { at: None, saw: Vec::new(), ..ruling.clone() };
    serializer.collect_seq(rulings.iter().map(told))
}

/// The full report of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The run's id.
    pub run_id: String,
    /// The name of the skill or command.
    pub skill: String,
    /// `sha256:…` of it and what it imports; `null` for a command.
    pub skill_digest: Option<String>,
    /// The actor.
    pub actor: ActorReport,
    /// The outcome.
    pub status: Status,
    /// The changes, in order.
    pub changes: Vec<ChangeReport>,
    /// The rulings of host rules and policies, the worst first. Their reasons are for whoever runs
    /// a script; the line of the policy, and what it read, only for those who can read the journal.
    #[serde(serialize_with = "reasons")]
    pub verdicts: Vec<Ruling>,
    /// The output of the program.
    pub output: Vec<String>,
    /// The warnings of the program and the host.
    pub warnings: Vec<String>,
    /// The result that the program returned.
    pub result: Value,
    /// The error that ended it.
    pub error: Option<Failure>,
    /// The id under which its set waits for a person.
    pub pending: Option<String>,
    /// The effort.
    pub stats: Stats,
    /// True if it was cut off, and `resume` carries it on.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unfinished: bool,
    /// True if it only shows what would be done.
    #[serde(skip)]
    pub is_dry_run: bool,
    /// Names of the ids that `changes` mentions, for rendering.
    #[serde(skip)]
    pub names: BTreeMap<String, String>,
}

impl Report {
    /// Starts the report of a run of which only the name is known.
    #[must_use]
    pub fn new(run_id: String, skill: String, skill_digest: Option<String>) -> Self {
        Self {
            run_id,
            skill,
            skill_digest,
            actor: ActorReport { id: String::new(), upn: String::new(), agent: None },
            status: Status::Failed,
            changes: Vec::new(),
            verdicts: Vec::new(),
            output: Vec::new(),
            warnings: Vec::new(),
            result: Value::Null,
            error: None,
            pending: None,
            stats: Stats::default(),
            unfinished: false,
            is_dry_run: false,
            names: BTreeMap::new(),
        }
    }

    pub(crate) fn set_actor(&mut self, user: &User, agent: Option<&str>) {
        self.actor = ActorReport {
            id: user.id.to_string(),
            upn: user.upn.clone(),
            agent: agent.map(str::to_owned),
        };
    }

    /// Returns whether a person was asked, and said no.
    #[must_use]
    pub fn is_refused_by_hand(&self) -> bool {
        let worst = self.verdicts.iter().map(|ruling| ruling.verdict).max();
        self.status == Status::Denied && worst == Some(Verdict::Hold)
    }

    /// Counts the changes with a status.
    #[must_use]
    pub fn count(&self, status: ChangeStatus) -> usize {
        self.changes.iter().filter(|change| change.status == status).count()
    }
}

impl ChangeReport {
    pub(crate) fn planned(change: &Change, verdict: Verdict) -> Self {
        Self {
            n: change.n,
            op: change.op(),
            entity: change.entity(),
            id: change.id().to_string(),
            title: change.title().to_owned(),
            plan: change.plan().to_string(),
            fields: change
                .fields()
                .into_iter()
                .map(|(field, values)| (field.name(), values))
                .collect(),
            takes_along: change.takes_along.len(),
            verdict,
            status: ChangeStatus::Planned,
            attempts: 0,
            conflict: Vec::new(),
            in_part: false,
            candidates: Vec::new(),
            error: None,
        }
    }

    /// Returns the failure of a creation that only a person can settle.
    pub(crate) fn parked(&self, run: &str) -> Failure {
        let (n, entity) = (self.n, self.entity);
        let may_be = match self.candidates.as_slice() {
            [] => String::new(),
            ids => format!(": it could be {}", ids.join(" or ")),
        };
        let id = self.candidates.first().map_or("ID", String::as_str);
        Failure {
            code: "in_doubt".into(),
            message: format!("nobody can tell whether the {entity} was created{may_be}"),
            hint: Some(format!(
                "look at the board, then `planwright resume {run} --made {n}={id}` or `planwright resume {run} --not-made {n}`"
            )),
            ..Failure::default()
        }
    }

    pub(crate) fn set_outcome(&mut self, outcome: Outcome) {
        self.status = outcome.status;
        self.attempts = outcome.attempts;
        self.conflict = outcome.conflict;
        self.in_part = outcome.wrote && outcome.status != ChangeStatus::Applied;
        self.candidates = outcome.candidates;
        self.error = outcome.error;
    }
}

impl From<&crate::host::error::Error> for Failure {
    fn from(error: &crate::host::error::Error) -> Self {
        Self::from_error(error.code(), error, error.hint())
    }
}
