//! A draft that stays open: a person adds to it line by line, and has it applied when they say so.
//!
//! Nobody can run a person's lines again: they have seen the answers and typed accordingly. So
//! where someone else has changed the same meanwhile, nothing is written, and what becomes of each
//! field is the person's to decide.

use std::collections::BTreeMap;

use crate::change::{
    Change, ChangeSet, Edit, EntityId, FieldConflict, Op, TaskBasis, TaskState, Write,
};
use crate::host::history::with_ids;
use crate::host::names::names;
use crate::host::report::{ChangeReport, ChangeStatus};
use crate::host::{Agent, Error, Failure, Finished, Host, Report, Session, Start, Status, View};
use crate::journal::Purpose;
use crate::policy::Verdict;

/// A session whose draft stays open from line to line.
#[derive(Debug)]
pub struct OpenDraft {
    session: Session,
}

/// What to do about a change where someone else has changed the same.
#[derive(Debug, Clone, PartialEq)]
pub enum Choice {
    /// To want it all the same, but to leave these fields as they are now.
    But(Vec<FieldConflict>),
    /// Not to want it any more.
    Drop,
}

impl Host {
    /// Opens a draft in the name of the signed-in user, or of an agent of theirs.
    ///
    /// # Errors
    /// Nobody is signed in, or the service can not be asked.
    pub async fn open_draft(&self, agent: Option<Agent>) -> Result<OpenDraft, Failure> {
        let session = self.session(agent).await?.seen(View::Drafting);
        Ok(OpenDraft { session })
    }

    /// Runs one line. What it wants joins the draft if it ends well; if not, the draft is as it was
    /// before it.
    ///
    /// # Errors
    /// What went wrong, or that it was stopped: by a person, or at the limit of time.
    pub async fn line<T: Send + 'static>(
        &self,
        draft: &OpenDraft,
        work: impl FnOnce(&Session) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let session = &draft.session;
        // Whatever stopped the line before stops nothing now.
        session.stop().clear();
        let savepoint = session.savepoint();
        session.set_clock(self.clock.now(), self.zone.clone());
        let outcome = self.on_thread(session, work).await;
        if outcome.is_err() {
            session.back_to(savepoint);
        }
        outcome
    }

    /// Reads for the sake of showing: nothing that is looked at here counts as a reason of what
    /// is wanted.
    ///
    /// # Errors
    /// As [`Host::line`].
    pub async fn glance<T: Send + 'static>(
        &self,
        draft: &OpenDraft,
        work: impl FnOnce(&Session) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let look = |session: &Session| session.aside(|| work(&session.seen(View::After)));
        self.line(draft, look).await
    }

    /// Reviews what is wanted, and applies it unless something stands against it or `start` says
    /// not to. What was written is not wanted any more; what was not stays in the draft.
    pub async fn apply_open(&self, draft: &OpenDraft, mut start: Start) -> Finished {
        start.purpose = Purpose::Run;
        let set = draft.pending();
        let dry_run = start.dry_run;
        let mut finished = self.apply_drafted(start, set.clone()).await;
        if !dry_run {
            draft.take_off(&set, &mut finished);
        }
        finished
    }

    /// Decides what becomes of changes where someone else has changed the same: each then rests on
    /// what is there now.
    ///
    /// # Errors
    /// What is there now can not be read; then nothing is decided.
    pub async fn decide(
        &self,
        draft: &OpenDraft,
        choices: BTreeMap<EntityId, Choice>,
    ) -> Result<(), Failure> {
        draft.session.drop_snapshot();
        self.line(draft, move |session| {
            let mut decided = Vec::new();
            for change in session.change_set().changes() {
                match choices.get(&change.id()) {
                    None => decided.push(change.clone()),
                    Some(Choice::Drop) => {}
                    Some(Choice::But(theirs)) => decided.push(on_now(session, change, theirs)?),
                }
            }
            session.rest_on(&ChangeSet::numbered(decided));
            Ok(())
        })
        .await
    }
}

impl OpenDraft {
    /// Returns what is wanted so far, numbered as it would be applied.
    #[must_use]
    pub fn pending(&self) -> ChangeSet {
        self.session.change_set()
    }

    /// Returns what is wanted so far as the report of a run that has not been reviewed.
    #[must_use]
    pub fn preview(&self) -> Report {
        let set = self.pending();
        let facts = self.session.facts();
        let mut report = Report::new(String::new(), String::new(), None);
        report.set_actor(&facts.me, facts.agent.as_deref());
        report.status = if set.is_empty() { Status::NoChanges } else { Status::Previewed };
        report.names = names(&self.session, &set);
        let planned = |it: &Change| ChangeReport::planned(it, Verdict::Allow);
        report.changes = set.changes().iter().map(planned).collect();
        report
    }

    /// Returns the session, for what is known without asking the service.
    #[must_use]
    pub const fn session(&self) -> &Session {
        &self.session
    }

    /// Takes one change out of what is wanted, given by its number, with those that need what it
    /// would have made. Returns how many that were.
    ///
    /// # Errors
    /// There is no such change.
    pub fn discard(&self, n: usize) -> Result<usize, Failure> {
        let set = self.pending();
        let Some(change) = n.checked_sub(1).and_then(|at| set.changes().get(at)) else {
            let many = set.changes().len();
            return Err(Failure {
                code: "not_found".into(),
                message: format!("there is no change {n}: {many} are pending"),
                ..Failure::default()
            });
        };
        let (id, made) = (change.id(), change.op() == Op::Create);
        let needs = |it: &Change| {
            let text = serde_json::to_string(it).unwrap_or_default();
            made && text.contains(id.as_str())
        };
        let (gone, kept): (Vec<_>, Vec<_>) =
            set.changes().iter().cloned().partition(|it| it.id() == id || needs(it));
        self.session.rest_on(&ChangeSet::numbered(kept));
        Ok(gone.len())
    }

    /// Forgets all that is wanted.
    pub fn discard_all(&self) {
        self.session.drop_wishes();
    }

    /// Forgets what was read of the board: what is looked at next is read anew. What is wanted
    /// stays, and rests on what it was wanted of.
    pub fn refresh(&self) {
        self.session.drop_snapshot();
    }

    /// Takes what was written off the draft.
    fn take_off(&self, set: &ChangeSet, finished: &mut Finished) {
        let report = &mut finished.report;
        let mut left = Vec::new();
        match report.status {
            Status::Applied | Status::NoChanges => {}
            Status::Partial => {
                for change in set.changes() {
                    let made = finished.made.contains_key(change.id().as_str());
                    let Ok(real) = with_ids(change, &finished.made) else { continue };
                    let (id, entity) = (real.id().to_string(), real.entity());
                    let shown = |it: &&ChangeReport| it.id == id && it.entity == entity;
                    match report.changes.iter().find(shown).map(|it| it.status) {
                        // What was found there already is not shown.
                        None | Some(ChangeStatus::Applied) => {}
                        // To want it again could make it twice.
                        Some(status) if made || status == ChangeStatus::Unknown => {
                            report.warnings.push(format!(
                                "`{}` was written in part, or may have been: carry it on with `planwright resume {}`",
                                change.title(),
                                report.run_id
                            ));
                        }
                        Some(_) => left.push(real),
                    }
                }
            }
            Status::Previewed
            | Status::Denied
            | Status::Held
            | Status::Conflict
            | Status::Failed => return,
        }
        self.session.begin_segment(finished.made.clone());
        self.session.rest_on(&ChangeSet::numbered(left));
    }
}

/// Rests a change on what is there now, but for some fields, which it leaves as they are.
fn on_now(session: &Session, change: &Change, theirs: &[FieldConflict]) -> Result<Change, Error> {
    let write = match &change.write {
        Write::Plan(edit) => {
            let read = session.read_plan(&edit.known().id)?;
            Write::Plan(Box::new(edited(edit, &read.value, read.etag, theirs)))
        }
        Write::PlanDetails { plan, title, edit } => {
            let read = session.read_plan_details(plan)?;
            let edit = edited(edit, &read.value, read.etag, theirs);
            Write::PlanDetails { plan: plan.clone(), title: title.clone(), edit }
        }
        Write::Bucket(edit) => {
            let read = session.read_bucket(&edit.known().id)?;
            Write::Bucket(edited(edit, &read.value, read.etag, theirs))
        }
        Write::Task(edit) => {
            let (now, basis) = task_now(session, edit.known())?;
            Write::Task(Box::new(edited(edit, &now, basis, theirs)))
        }
    };
    Ok(Change { write, ..change.clone() })
}

/// A task as it is now, as far as it was read before.
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

fn edited<T: crate::change::Fields + Clone, B>(
    edit: &Edit<T, B>,
    now: &T,
    tag: B,
    theirs: &[FieldConflict],
) -> Edit<T, B> {
    match edit {
        Edit::Create { after } => Edit::Create { after: after.clone() },
        Edit::Update { before, after, .. } => {
            let mut wanted = now.clone();
            wanted.graft(before, after);
            wanted.copy_fields(now, theirs);
            Edit::Update { before: now.clone(), after: wanted, basis: tag }
        }
        Edit::Delete { .. } => Edit::Delete { before: now.clone(), basis: tag },
    }
}
