//! The reads that a run decided on before its present board was read: in an earlier segment, or
//! before the set was saved. A value that a script kept in a variable counts as much as one that it
//! reads again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use crate::change::read::ReadValue;
use crate::change::{Change, ChangeSet, EntityId, Field, Op, Read, ReadSet};
use crate::host::apply::drift::Elsewhere;
use crate::host::session::refresh::Reread;
use crate::model::PlanId;
use crate::model::snapshot::Snapshot;

/// Reads with the answers that they had.
#[derive(Debug, Clone)]
pub(super) struct Grounds {
    answers: BTreeMap<Read, ReadAnswer>,
    /// The board that they were answered on; `None` for a saved set.
    board: Option<Arc<Snapshot>>,
    /// The ids of what the run itself has changed since: nobody else's doing.
    own: BTreeSet<String>,
}

/// The answer to a read at the time of the decision.
#[derive(Debug, Clone)]
enum ReadAnswer {
    Whole(ReadValue),
    Digest(String),
}

impl Grounds {
    /// Returns the grounds of a segment.
    pub(super) fn of_segment(reads: &ReadSet, board: &Snapshot) -> Self {
        let answers = answers(reads, board)
            .into_iter()
            .map(|(read, answer)| (read, ReadAnswer::Whole(answer)))
            .collect();
        Self { answers, board: Some(Arc::new(board.clone())), own: BTreeSet::new() }
    }

    /// Leaves out what the run itself has changed by applying a set. `ids` are those that
    /// provisional ones have become.
    pub(super) fn without(&mut self, set: &ChangeSet, ids: &BTreeMap<String, String>) {
        let real = |id: &str| ids.get(id).map_or_else(|| id.to_owned(), Clone::clone);
        for change in set.changes() {
            // Tasks that a deleted bucket or plan took along are the run's doing, too.
            self.own.extend(change.takes_along.iter().map(ToString::to_string));
            self.own.insert(real(change.id().as_str()));
        }
        let by_id: BTreeMap<EntityId, &Change> =
            set.changes().iter().map(|change| (change.id(), change)).collect();
        self.answers.retain(|read, _| match (&read, read.entity().and_then(|id| by_id.get(id))) {
            (_, None) => true,
            // A deletion by the run itself would look like one by somebody else.
            (_, Some(change)) if change.op() != Op::Update => false,
            (Read::Field(_, field), Some(change)) => {
                !change.sets(*field) && !follows_others(*field)
            }
            // The entity as a whole differs already by what the run itself has written.
            (Read::Entity(_), Some(_)) => false,
            _ => true,
        });
    }

    /// Returns the grounds of a set in the form that is saved with it.
    pub(super) fn to_save(reads: &ReadSet, board: &Snapshot) -> Vec<(Read, String)> {
        let digest = |(read, answer): (Read, ReadValue)| Some((read, answer.digest()?));
        answers(reads, board).into_iter().filter_map(digest).collect()
    }

    /// Loads the grounds of a saved set.
    pub(super) fn of_saved(reads: Vec<(Read, String)>) -> Self {
        // The file holds digests only: they show that an answer has moved, not what it was.
        let answers = reads.into_iter().map(|(read, digest)| (read, ReadAnswer::Digest(digest)));
        Self { answers: answers.collect(), board: None, own: BTreeSet::new() }
    }

    /// Returns the reads to repeat.
    pub(super) fn rereads(&self) -> impl Iterator<Item = Reread> {
        self.answers.keys().map(|read| Reread { read: read.clone(), board: self.board.clone() })
    }

    /// Returns the reads whose answer somebody else has changed.
    pub(super) fn moved(&self, now: &Snapshot) -> impl Iterator<Item = Elsewhere> {
        let empty = Snapshot::default();
        let moved = self.answers.iter().filter(|(read, answer)| {
            let now = read.answer(now);
            match answer {
                ReadAnswer::Digest(digest) => now.digest().as_ref() != Some(digest),
                // Both sides without the run's own entities: lists it has added to have not moved.
                ReadAnswer::Whole(answer) => {
                    self.not_own(read, now) != self.not_own(read, answer.clone())
                }
            }
        });
        moved.map(move |(read, _)| Elsewhere {
            read: read.clone(),
            message: read.describe(self.board.as_deref().unwrap_or(&empty), now),
            fields: Vec::new(),
        })
    }

    /// Returns an answer without what the run itself has changed.
    fn not_own(&self, read: &Read, mut answer: ReadValue) -> ReadValue {
        match (read, &mut answer) {
            (_, ReadValue::Ids(ids)) => ids.retain(|id| !self.own.contains(id)),
            // Comments are compared with their texts, because others edit theirs.
            (Read::Comments(_), ReadValue::Value(Value::Array(comments))) => {
                let is_own = |id: &str| self.own.contains(id);
                comments.retain(|comment| !comment["id"].as_str().is_some_and(is_own));
            }
            _ => {}
        }
        answer
    }
}

/// Returns whether the service changes a field by itself along with others of its entity.
const fn follows_others(field: Field) -> bool {
    field.board().is_some()
        || matches!(
            field,
            Field::CompletedDateTime
                | Field::CompletedBy
                | Field::LastModifiedDateTime
                | Field::LastModifiedBy
                | Field::OrderHint
                | Field::PreviewType
        )
}

fn answers(reads: &ReadSet, board: &Snapshot) -> BTreeMap<Read, ReadValue> {
    let mut answers = BTreeMap::new();
    for read in reads {
        match (read, read.answer(board)) {
            // The plan was there: its title says so, and costs less to read again than the list of
            // all plans.
            (Read::PlansNamed(_), ReadValue::Ids(ids)) if !ids.is_empty() => {
                for plan in ids.iter().filter_map(|id| PlanId::parse(id).ok()) {
                    let read = Read::Field(EntityId::Plan(plan), Field::Title);
                    let answer = read.answer(board);
                    answers.insert(read, answer);
                }
            }
            // An answer that this board does not hold cannot be compared later.
            (_, ReadValue::Absent) => {}
            (_, answer) => _ = answers.insert(read.clone(), answer),
        }
    }
    answers
}

impl crate::host::run::Run<'_> {
    /// Keeps the grounds of the present segment, which has been applied.
    pub(super) fn keep_grounds(&mut self, set: &ChangeSet) {
        let grounds = Grounds::of_segment(&self.drafted_on, &self.session.state().snapshot);
        self.grounds.push(grounds);
        for grounds in &mut self.grounds {
            grounds.without(set, &self.made);
        }
    }
}
