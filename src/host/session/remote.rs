//! A program in another process: what goes there and what comes back.
//!
//! The process there is not trusted. It gets a session whose every read is answered here, as far as
//! the actor may see it; what it wants comes back as data, and is taken over only if it rests on
//! what was really read. It can want what any script can want, and is judged like one.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::change::{Change, ChangeSet, Edit, ReadSet, TaskBasis, TaskState, Write};
use crate::host::broker::{PendingQuery, Query, Response};
use crate::host::error::Relayed;
use crate::host::session::{Facts, State};
use crate::host::{Error, Failure, Session, StopReason};
use crate::model::{BucketId, PlanId, Task, TaskDetails, TaskId, User, Versioned};

/// What a program there starts from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Start {
    now: Timestamp,
    /// The zone's name, if it has one.
    zone: Option<String>,
    /// Seconds ahead of UTC, at that moment, where it has none.
    offset: i32,
    me: User,
    agent: Option<String>,
    beta: bool,
    nonce: String,
    reads: u64,
    wishes: usize,
    /// What was read of details that a program there would take for empty.
    details: Vec<(TaskId, Versioned<TaskDetails>)>,
}

/// What it has come to want, and what it has looked at.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RemoteDraft {
    set: ChangeSet,
    reads: ReadSet,
    output: Vec<String>,
    warnings: Vec<String>,
}

/// A read that is asked for from there, with its answer.
pub(crate) type Answer = Result<Response, Relayed>;

/// What answers there: it is given each question in turn, and `None` ends it.
pub(crate) fn session_of(start: Start) -> (Session, mpsc::Receiver<PendingQuery>) {
    let named = start.zone.as_deref().and_then(|it| TimeZone::get(it).ok());
    let fixed = || Offset::from_seconds(start.offset).map_or(TimeZone::UTC, TimeZone::fixed);
    let facts = Facts {
        now: start.now,
        zone: named.unwrap_or_else(fixed),
        me: start.me,
        agent: start.agent,
        beta: start.beta,
        // What may not be seen does not arrive there.
        scope: None,
        named: std::sync::Arc::default(),
        reads: start.reads,
        wishes: start.wishes,
        remote: true,
    };
    let (questions, incoming) = mpsc::channel(1);
    let session = Session::new(facts, start.nonce, questions, None);
    for (id, details) in start.details {
        session.state().snapshot.add_details(id, details);
    }
    (session, incoming)
}

/// Answers the questions of a session there, until its program has ended.
pub(crate) fn relay(
    mut questions: mpsc::Receiver<PendingQuery>,
    mut exchange: impl FnMut(&Query) -> Option<Answer>,
) {
    while let Some(PendingQuery { ask, reply, .. }) = questions.blocking_recv() {
        match exchange(&ask) {
            Some(answer) => {
                let answer = answer.map_err(|it| Error::Relayed(Box::new(it)));
                drop(reply.send(answer));
            }
            None => drop(reply),
        }
    }
}

impl Session {
    /// Returns what a program in another process starts from.
    pub(crate) fn remote_start(&self) -> Start {
        let facts = self.facts();
        let (now, zone) = (self.now(), self.zone());
        let details = {
            let state = self.state();
            let known = state.snapshot.details_of_bare();
            known.map(|(id, it)| (id.clone(), it.clone())).collect()
        };
        Start {
            now,
            zone: zone.iana_name().map(str::to_owned),
            offset: zone.to_offset(now).seconds(),
            me: facts.me.clone(),
            agent: facts.agent.clone(),
            beta: facts.beta,
            nonce: self.state().draft.nonce().to_owned(),
            reads: facts.reads,
            wishes: facts.wishes,
            details,
        }
    }

    /// Answers a program in another process.
    pub(crate) fn answer_remote(&self, ask: &Query) -> Answer {
        self.answer(ask).map_err(|error| Relayed::of(&error))
    }

    /// Returns what this session wants, to be taken over elsewhere.
    pub(crate) fn wanted(&self) -> RemoteDraft {
        let set = self.change_set();
        let state = self.state();
        RemoteDraft {
            set,
            reads: state.reads.clone(),
            output: state.output.clone(),
            warnings: state.warnings.clone(),
        }
    }

    /// Takes over what a program in another process wants.
    ///
    /// # Errors
    /// Something in it does not rest on what was read here.
    pub(crate) fn take_over(&self, wanted: RemoteDraft) -> Result<(), Failure> {
        let limit = self.facts().wishes;
        if wanted.set.changes().len() > limit {
            self.stop().set(StopReason::Budget("changes", limit.to_string()));
        }
        for change in wanted.set.changes() {
            self.check_stop().map_err(Failure::from)?;
            self.vouch_for(change, &wanted.set)?;
        }
        // Numbers and order are the host's business.
        let set = ChangeSet::numbered(wanted.set.changes().to_vec());
        self.rest_on(&set);
        let mut state = self.state();
        state.reads.extend(wanted.reads.into_iter().filter(|read| !read.is_of_new()));
        state.output.extend(wanted.output);
        state.warnings.extend(wanted.warnings);
        Ok(())
    }

    /// Checks that a change rests on what was read here, and takes along what it really would.
    fn vouch_for(&self, change: &Change, set: &ChangeSet) -> Result<(), Failure> {
        let (rests, along) = {
            let state = self.state();
            (state.vouches_for(change), change.op() == crate::change::Op::Delete)
        };
        let takes_along = || -> Result<BTreeSet<TaskId>, Error> {
            match &change.write {
                Write::Plan(edit) => {
                    let plan = &edit.known().id;
                    let there = self.peek_tasks(plan)?;
                    Ok(left_in(set, there, |it| it.plan == *plan))
                }
                Write::Bucket(edit) => {
                    let bucket = &edit.known().id;
                    let there = self.peek_tasks_in(bucket)?;
                    Ok(left_in(set, there, |it| it.bucket.as_ref() == Some(bucket)))
                }
                Write::PlanDetails { .. } | Write::Task(_) => Ok(BTreeSet::new()),
            }
        };
        // A plan is made only in a group of the actor's (rule R6), whoever drafted it.
        let group = match &change.write {
            Write::Plan(edit) if matches!(**edit, Edit::Create { .. }) => {
                edit.known().group.clone()
            }
            _ => None,
        };
        let rests = match group {
            Some(group) => {
                rests && self.peek_groups().map_err(Failure::from)?.iter().any(|it| it.id == group)
            }
            None => rests,
        };
        let whole = !along || takes_along().map_err(Failure::from)? == change.takes_along;
        if rests && whole {
            return Ok(());
        }
        Err(Failure {
            code: "isolation".into(),
            message: format!(
                "the script's process wants a change of `{}` that does not rest on what it was shown",
                change.title()
            ),
            ..Failure::default()
        })
    }
}

/// The tasks that are left somewhere when a set is carried out but for its deletions of places.
fn left_in(set: &ChangeSet, there: Vec<TaskId>, is_in: impl Fn(&Task) -> bool) -> BTreeSet<TaskId> {
    let mut left: BTreeSet<TaskId> = there.into_iter().collect();
    for change in set.changes() {
        let Write::Task(edit) = &change.write else { continue };
        match &**edit {
            Edit::Delete { before, .. } => {
                left.remove(&before.task.id);
            }
            Edit::Update { after, .. } if is_in(&after.task) => {
                left.insert(after.task.id.clone());
            }
            Edit::Update { after, .. } => {
                left.remove(&after.task.id);
            }
            Edit::Create { .. } => {}
        }
    }
    left
}

impl RemoteDraft {
    /// Returns how much was said, in bytes.
    pub(crate) fn said(&self) -> usize {
        self.output.iter().chain(&self.warnings).map(|it| it.len() + 1).sum()
    }
}

impl State {
    fn vouches_for(&self, change: &Change) -> bool {
        let nonce = self.draft.nonce();
        let is_new = |id: &str| id.contains(nonce);
        let snapshot = &self.snapshot;
        match &change.write {
            Write::Plan(edit) => match &**edit {
                Edit::Create { after } => is_new(after.id.as_str()),
                Edit::Update { before, basis, .. } | Edit::Delete { before, basis } => snapshot
                    .plan(&before.id)
                    .is_some_and(|it| it.value == *before && it.etag == *basis),
            },
            // The title is what a person is shown of it.
            Write::PlanDetails { plan, title, .. }
                if snapshot.plan(plan).is_some_and(|it| it.value.title != *title) =>
            {
                false
            }
            Write::PlanDetails { plan, edit, .. } => match edit {
                Edit::Create { .. } => is_new(plan.as_str()),
                Edit::Update { before, basis, .. } | Edit::Delete { before, basis } => snapshot
                    .plan_details(plan)
                    .is_some_and(|it| it.value == *before && it.etag == *basis),
            },
            Write::Bucket(edit) => match edit {
                Edit::Create { after } => is_new(after.id.as_str()) && self.reaches(&after.plan),
                Edit::Update { before, basis, .. } | Edit::Delete { before, basis } => snapshot
                    .bucket(&before.id)
                    .is_some_and(|it| it.value == *before && it.etag == *basis),
            },
            Write::Task(edit) => match &**edit {
                Edit::Create { after } => {
                    is_new(after.task.id.as_str())
                        && self.reaches(&after.task.plan)
                        && after.task.bucket.as_ref().is_none_or(|it| self.knows(it))
                }
                Edit::Update { before, basis, after } => {
                    self.was_read(before, basis)
                        && after.task.id == before.task.id
                        && (after.task.bucket == before.task.bucket
                            || after.task.bucket.as_ref().is_none_or(|it| self.knows(it)))
                        && (after.task.plan == before.task.plan || self.reaches(&after.task.plan))
                }
                Edit::Delete { before, basis } => self.was_read(before, basis),
            },
        }
    }

    fn reaches(&self, plan: &PlanId) -> bool {
        plan.as_str().contains(self.draft.nonce()) || self.snapshot.plan(plan).is_some()
    }

    fn knows(&self, bucket: &BucketId) -> bool {
        bucket.as_str().contains(self.draft.nonce()) || self.snapshot.bucket(bucket).is_some()
    }

    fn was_read(&self, before: &TaskState, basis: &TaskBasis) -> bool {
        let id = &before.task.id;
        let task = self.snapshot.task(id);
        let task = task.is_some_and(|it| it.value == before.task && it.etag == basis.task);
        let details = match (&before.details, &basis.details) {
            (None, None) => true,
            (Some(details), Some(tag)) => {
                let read = self.snapshot.details(id);
                read.is_some_and(|it| it.value == *details && it.etag == *tag)
            }
            // Taken for empty because the task says that there are none.
            (Some(details), None) => {
                let bare = self.snapshot.task(id).is_some_and(|it| it.value.has_bare_details());
                bare && *details == TaskDetails::default()
            }
            (None, Some(_)) => false,
        };
        let places: BTreeMap<_, _> = before
            .places
            .keys()
            .filter_map(|board| Some((*board, self.snapshot.place(id, *board)?)))
            .collect();
        let places = places.len() == before.places.len()
            && basis.places.len() == before.places.len()
            && places.iter().all(|(board, it)| {
                before.places.get(board) == Some(&it.value)
                    && basis.places.get(board) == Some(&it.etag)
            });
        task && details && places
    }
}
