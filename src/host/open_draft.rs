//! A draft that stays open: a person adds to it line by line, and applies it by a word of their
//! own.
//!
//! A person's lines cannot run again: they have seen the answers and typed accordingly. So where
//! someone else has changed the same thing, nothing is written, and the person decides about each
//! field.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use crate::change::{
    Change, ChangeSet, Edit, EntityId, FieldConflict, Fields, Op, TaskBasis, TaskState, Write,
};
use crate::host::error::Error;
use crate::host::failure::Failure;
use crate::host::record::Origin;
use crate::host::report::ChangeReport;
use crate::host::report::{Report, Status};
use crate::host::session::core::{Session, View};
use crate::host::session::names::names;
use crate::host::start::{Agent, Finished, Host, Start};
use crate::journal::Purpose;
use crate::policy::Verdict;

/// A session whose draft stays open from line to line.
#[derive(Debug)]
pub struct OpenDraft {
    session: Session,
    numbers: Mutex<Numbers>,
}

/// The numbers by which a person knows the changes. They stay the same while others come and go.
#[derive(Debug, Default)]
struct Numbers {
    of: BTreeMap<EntityId, usize>,
    last: usize,
}

impl Numbers {
    /// Numbers the changes of a set that have none, and forgets those that are not in it.
    fn keep_up(&mut self, set: &ChangeSet) -> &BTreeMap<EntityId, usize> {
        let there: BTreeSet<EntityId> = set.changes().iter().map(Change::id).collect();
        self.of.retain(|id, _| there.contains(id));
        if self.of.is_empty() {
            self.last = 0;
        }
        for change in set.changes() {
            let last = &mut self.last;
            self.of.entry(change.id()).or_insert_with(|| {
                *last += 1;
                *last
            });
        }
        &self.of
    }
}

/// A decision about a change where someone else has changed the same.
#[derive(Debug, Clone, PartialEq)]
pub enum Choice {
    /// Keep the change, but leave some of the fields as they are now.
    But {
        /// The fields that the person was shown; if one has moved again since, it is asked about
        /// again.
        shown: Vec<FieldConflict>,
        /// The fields to leave as they are now.
        theirs: Vec<FieldConflict>,
    },
    /// Drop the change.
    Drop,
}

impl Host {
    /// Opens a draft in the name of the signed-in user, or of an agent of theirs.
    ///
    /// # Errors
    /// Nobody is signed in, or the service cannot be reached.
    pub async fn open_draft(&self, agent: Option<Agent>) -> Result<OpenDraft, Failure> {
        let session = self.session(agent).await?.seen(View::Drafting);
        Ok(OpenDraft { session, numbers: Mutex::default() })
    }

    /// Runs one line. Its edits join the draft if it ends well; if not, the draft is as it was
    /// before.
    ///
    /// # Errors
    /// The error of the line, or that it was stopped: by a person, or at the time limit.
    pub async fn line<T: Send + 'static>(
        &self,
        draft: &OpenDraft,
        work: impl FnOnce(&Session) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let session = &draft.session;
        // A stop of the line before must not stop this one.
        session.stop().clear();
        let savepoint = session.savepoint();
        session.set_clock(self.clock.now(), self.zone.clone());
        let before = session.change_set();
        let outcome = self.on_thread(session, work).await;
        // A line without edits decides nothing, so its reads do not count.
        if outcome.is_err() || session.change_set() == before {
            session.back_to(savepoint);
        }
        outcome
    }

    /// Reads in order to show: none of these reads counts as a reason for an edit.
    ///
    /// # Errors
    /// As [`Host::line`].
    pub async fn peek<T: Send + 'static>(
        &self,
        draft: &OpenDraft,
        work: impl FnOnce(&Session) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        self.line(draft, |session| work(&session.seen(View::After))).await
    }

    /// Reviews the draft, and applies it unless a rule or policy refuses or `start` is a dry run. A
    /// refused draft stays as it is; what a run has begun is that run's to carry on.
    pub async fn apply_open(&self, draft: &OpenDraft, mut start: Start) -> Finished {
        start.purpose = Purpose::Run;
        let dry_run = start.dry_run;
        let set = draft.pending();
        let finished = self.apply_set(Origin::default(), start, set, Some(&draft.session)).await;
        if !dry_run {
            draft.take_off(&finished);
        }
        finished
    }

    /// Decides about changes where someone else has changed the same: each is then rebased on the
    /// present state.
    ///
    /// # Errors
    /// The present state cannot be read; then nothing is decided.
    pub async fn decide(
        &self,
        draft: &OpenDraft,
        choices: BTreeMap<EntityId, Choice>,
    ) -> Result<(), Failure> {
        // The person knows of everything else that moved.
        draft.refresh();
        self.line(draft, move |session| {
            let mut decided = Vec::new();
            for change in session.change_set().changes() {
                match choices.get(&change.id()) {
                    None => decided.push(change.clone()),
                    Some(choice) => decided.extend(on_now(session, change, choice)?),
                }
            }
            session.rest_on(&ChangeSet::numbered(decided));
            Ok(())
        })
        .await
    }
}

/// Returns a set as the report of a run that has not been reviewed; asks the service for the names
/// of what it mentions.
#[must_use]
pub fn preview_of(session: &Session, set: &ChangeSet) -> Report {
    set.changes().iter().for_each(|change| session.learn_names(change, change.plan()));
    drawn(session, set)
}

fn drawn(session: &Session, set: &ChangeSet) -> Report {
    let facts = session.facts();
    let mut report = Report::new(String::new(), String::new(), None);
    report.set_actor(&facts.me, facts.agent.as_deref());
    report.status = if set.is_empty() { Status::NoChanges } else { Status::Previewed };
    report.names = names(session, set);
    let planned = |change: &Change| ChangeReport::planned(change, Verdict::Allow);
    report.changes = set.changes().iter().map(planned).collect();
    report
}

impl OpenDraft {
    /// Returns the draft so far, in the order in which it would be applied.
    #[must_use]
    pub fn pending(&self) -> ChangeSet {
        self.session.change_set()
    }

    /// Returns the draft so far as the report of a run that has not been reviewed.
    #[must_use]
    pub fn preview(&self) -> Report {
        let set = self.pending();
        let mut report = drawn(&self.session, &set);
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        let numbers = numbers.keep_up(&set);
        for (shown, change) in report.changes.iter_mut().zip(set.changes()) {
            shown.n = numbers.get(&change.id()).copied().unwrap_or(shown.n);
        }
        report.changes.sort_by_key(|change| change.n);
        report
    }

    /// Returns the session, for what is known without asking the service.
    #[must_use]
    pub const fn session(&self) -> &Session {
        &self.session
    }

    /// Takes changes out of the draft, given by the numbers of the preview, with those that depend
    /// on what they would create. Returns what was removed.
    ///
    /// # Errors
    /// There is no such change; then none is removed.
    pub fn discard(&self, chosen: &[usize]) -> Result<Vec<ChangeReport>, Failure> {
        let before = self.preview().changes;
        if let Some(n) = chosen.iter().find(|n| !before.iter().any(|change| change.n == **n)) {
            let there: Vec<String> = before.iter().map(|change| change.n.to_string()).collect();
            return Err(Failure {
                code: "not_found".into(),
                message: format!("there is no change {n}"),
                hint: Some(match there.len() {
                    0 => "nothing is pending".into(),
                    1..=20 => format!("pending: {}", there.join(", ")),
                    _ => "`:changes` shows them".into(),
                }),
                ..Failure::default()
            });
        }
        let set = self.pending();
        let numbers = {
            let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
            numbers.keep_up(&set).clone()
        };
        let is_chosen =
            |change: &Change| numbers.get(&change.id()).is_some_and(|n| chosen.contains(n));
        let made: Vec<EntityId> = set
            .changes()
            .iter()
            .filter(|change| is_chosen(change) && change.op() == Op::Create)
            .map(Change::id)
            .collect();
        let needs = |other: &Change| {
            let text = serde_json::to_string(other).unwrap_or_default();
            made.iter().any(|id| text.contains(id.as_str()))
        };
        let (gone, kept): (Vec<_>, Vec<_>) =
            set.changes().iter().cloned().partition(|other| is_chosen(other) || needs(other));
        self.session.rest_on(&ChangeSet::numbered(kept));
        let gone: BTreeSet<usize> =
            gone.iter().filter_map(|change| numbers.get(&change.id()).copied()).collect();
        Ok(before.into_iter().filter(|change| gone.contains(&change.n)).collect())
    }

    /// Empties the draft.
    pub fn discard_all(&self) {
        self.session.drop_edits();
    }

    /// Forgets what was read of the board, so that it is read again. The draft stays, and its
    /// changes still rest on what they were decided on.
    pub fn refresh(&self) {
        // The reads of entities that the draft changes are dropped as well.
        let set = self.pending();
        self.session.rest_on(&set);
        self.session.drop_snapshot();
        self.session.count_reads_of(&set);
    }

    /// Takes what was applied off the draft. What a run has begun is that run's to carry on:
    /// keeping it here could write it twice.
    fn take_off(&self, finished: &Finished) {
        match finished.report.status {
            Status::Applied | Status::NoChanges | Status::Partial => {
                self.session.begin_segment(finished.made.clone());
            }
            Status::Previewed
            | Status::Denied
            | Status::Held
            | Status::Conflict
            | Status::Failed => {}
        }
    }
}

/// Rebases a change on the present state, as far as the person was shown it: where the entity has
/// moved again since, the change stays as it is and will be asked about again. `None` if there is
/// nothing left to change.
fn on_now(session: &Session, change: &Change, choice: &Choice) -> Result<Option<Change>, Error> {
    let Choice::But { shown, theirs } = choice else { return Ok(None) };
    let write = match &change.write {
        Write::Plan(edit) => session.read_plan(&edit.known().id).map(|read| {
            Write::Plan(Box::new(settled(edit, &read.value, read.etag, shown, theirs)))
        }),
        Write::PlanDetails { plan, title, edit } => session.read_plan_details(plan).map(|read| {
            let edit = settled(edit, &read.value, read.etag, shown, theirs);
            Write::PlanDetails { plan: plan.clone(), title: title.clone(), edit }
        }),
        Write::Bucket(edit) => session
            .read_bucket(&edit.known().id)
            .map(|read| Write::Bucket(settled(edit, &read.value, read.etag, shown, theirs))),
        Write::Task(edit) => task_now(session, edit.known())
            .map(|(now, basis)| Write::Task(Box::new(settled(edit, &now, basis, shown, theirs)))),
        Write::Comment(_) => Ok(change.write.clone()),
    };
    let write = match write {
        _ if change.op() == Op::Create => change.write.clone(),
        Err(error) if error.is_not_found() => return Ok(None),
        other => other?,
    };
    let takes_along = match &write {
        Write::Bucket(Edit::Delete { before, .. }) => {
            session.peek_tasks_in(&before.id)?.into_iter().collect()
        }
        Write::Plan(edit) if edit.after().is_none() => {
            session.peek_tasks(&edit.known().id)?.into_iter().collect()
        }
        _ => change.takes_along.clone(),
    };
    Ok(Some(Change { write, takes_along, ..change.clone() }))
}

/// Reads a task as it is now, with the parts that were read before.
fn task_now(session: &Session, read: &TaskState) -> Result<(TaskState, TaskBasis), Error> {
    let id = &read.task.id;
    let task = session.read_task(id)?;
    let mut now = TaskState { task: task.value, details: None, places: BTreeMap::new() };
    let mut basis = TaskBasis { task: task.etag, details: None, places: BTreeMap::new() };
    if read.details.is_some() {
        let details = session.read_details(id)?;
        (now.details, basis.details) = (Some(details.value), Some(details.etag));
    }
    for board in read.places.keys() {
        let place = session.read_place(id, *board)?;
        now.places.insert(*board, place.value);
        basis.places.insert(*board, place.etag);
    }
    Ok((now, basis))
}

fn settled<T: Fields + Clone, B: Clone>(
    edit: &Edit<T, B>,
    now: &T,
    tag: B,
    shown: &[FieldConflict],
    theirs: &[FieldConflict],
) -> Edit<T, B> {
    let is_as_shown = |conflict: &&FieldConflict| now.value(conflict.field) == conflict.theirs;
    match edit {
        Edit::Create { after } => Edit::Create { after: after.clone() },
        Edit::Update { before, after, basis } => {
            let seen: Vec<FieldConflict> = shown.iter().filter(is_as_shown).cloned().collect();
            let (theirs, mine): (Vec<_>, Vec<_>) = seen
                .iter()
                .cloned()
                .partition(|conflict| theirs.iter().any(|other| other.field == conflict.field));
            // Of a map only an entry is edited, not the whole.
            let mut merged = now.clone();
            merged.graft(before, after);
            let (mut base, mut wanted) = (before.clone(), after.clone());
            base.copy_fields(now, &seen);
            wanted.copy_fields(&merged, &mine);
            wanted.copy_fields(now, &theirs);
            // Other fields that moved are compared when it is applied.
            Edit::Update { before: base, after: wanted, basis: basis.clone() }
        }
        Edit::Delete { .. } if shown.iter().all(|conflict| is_as_shown(&conflict)) => {
            Edit::Delete { before: now.clone(), basis: tag }
        }
        Edit::Delete { before, basis } => {
            Edit::Delete { before: before.clone(), basis: basis.clone() }
        }
    }
}
