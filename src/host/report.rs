//! What came of a run, as data (design.md section 5). Faces render it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::change::{Change, Entity, FieldChange, FieldConflict, Op};
use crate::host::apply::Outcome;
use crate::host::apply::outcome::ChangeStatus;
use crate::host::failure::Failure;
use crate::model::User;
use crate::policy::{Ruling, Verdict};

/// What a run came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Everything wanted was written.
    Applied,
    /// Nothing was written, on purpose.
    Previewed,
    /// Nothing was wanted.
    NoChanges,
    /// A rule or policy refused.
    Denied,
    /// A person must approve.
    Held,
    /// Someone else changed the same; nothing was written.
    Conflict,
    /// Some was written, some not.
    Partial,
    /// The program or the service failed; nothing was written.
    Failed,
}

/// One change in a report.
#[derive(Debug, Clone, Serialize)]
pub struct ChangeReport {
    /// Its number.
    pub n: usize,
    /// What it does.
    pub op: Op,
    /// To what.
    pub entity: Entity,
    /// The entity's id; for a new one, the real id once applied.
    pub id: String,
    /// Its title or name.
    pub title: String,
    /// The id of its plan.
    pub plan: String,
    /// What it sets, by Graph's names.
    pub fields: BTreeMap<&'static str, FieldChange>,
    /// Tasks that a deletion takes along.
    #[serde(skip_serializing_if = "is_zero")]
    pub takes_along: usize,
    /// The worst that was said of it.
    pub verdict: Verdict,
    /// What became of it.
    pub status: ChangeStatus,
    /// How often it was sent.
    pub attempts: u32,
    /// Both sides of each field in conflict.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conflict: Vec<FieldConflict>,
    /// True if some of it was written, and not all.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub in_part: bool,
    /// The ids of what it may have created, where only a person can tell.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<String>,
    /// Why it was not written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(n: &usize) -> bool {
    *n == 0
}

/// Who acted.
#[derive(Debug, Clone, Serialize)]
pub struct ActorReport {
    /// The signed-in user's id; empty if it could not be found out.
    pub id: String,
    /// The sign-in name.
    pub upn: String,
    /// The agent's name.
    pub agent: Option<String>,
}

/// What it took.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Stats {
    /// Requests sent.
    pub requests: u64,
    /// Conflicts met.
    pub conflicts: u64,
    /// Requests repeated.
    pub retries: u64,
    /// Times the program ran again.
    pub replays: u64,
    /// How long it all took, in milliseconds.
    pub duration_ms: u64,
}

fn reasons<S: serde::Serializer>(rulings: &[Ruling], serializer: S) -> Result<S::Ok, S::Error> {
    let told = |ruling: &Ruling| Ruling { at: None, saw: Vec::new(), ..ruling.clone() };
    serializer.collect_seq(rulings.iter().map(told))
}

/// Everything about a run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The run's id.
    pub run_id: String,
    /// What ran.
    pub skill: String,
    /// `sha256:…` of it and what it imports; `null` for a command.
    pub skill_digest: Option<String>,
    /// Who acted.
    pub actor: ActorReport,
    /// What came of it.
    pub status: Status,
    /// The changes, in order.
    pub changes: Vec<ChangeReport>,
    /// What rules and policies said, the worst first. Whoever runs a script is told the reason; the
    /// line of the policy, and what it looked at, is for those who can read the journal.
    #[serde(serialize_with = "reasons")]
    pub verdicts: Vec<Ruling>,
    /// What the program printed.
    pub output: Vec<String>,
    /// What the program remarked.
    pub warnings: Vec<String>,
    /// What the program returned.
    pub result: Value,
    /// What went wrong.
    pub error: Option<Failure>,
    /// What it took.
    pub stats: Stats,
    /// True if it was cut off, and `resume` carries it on.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unfinished: bool,
    /// Names of the ids that `changes` mentions, for rendering.
    #[serde(skip)]
    pub names: BTreeMap<String, String>,
}

impl Report {
    /// Starts the report of a run about which nothing is known yet but who runs what.
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
            stats: Stats::default(),
            unfinished: false,
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
            fields: change.fields().into_iter().map(|(field, values)| (field.name(), values)).collect(),
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

    /// Returns what to say of a creation of which only a person can tell whether it happened.
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
        Self::of(error.code(), error, error.hint())
    }
}
