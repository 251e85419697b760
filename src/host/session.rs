//! What a program sees of the board.
//!
//! A session reads through the run's snapshot (each entity once, lazily) and records wishes in
//! the run's draft, which its own later reads see. It is synchronous: programs run on a thread
//! of their own and wait here for the broker. No lock is held while they wait.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use tokio::sync::{mpsc, oneshot};

use crate::change::{ChangeSet, Draft, EntityId, Field, TaskState};
use crate::host::broker::{Ask, Got, Question};
use crate::host::{Error, Stop, StopReason};
use crate::model::snapshot::Snapshot;
use crate::model::{
    Bucket, BucketId, Plan, PlanDetails, PlanId, Task, TaskDetails, TaskId, User, Versioned, time,
};

/// How a session sees the board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// As wanted so far; may record more.
    Drafting,
    /// As it was read, without the run's wishes; read only.
    Before,
    /// As wanted; read only.
    After,
}

/// What stays the same for a whole run.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The moment that the run takes for now, from beginning to end.
    pub now: Timestamp,
    /// The zone that decides what today is.
    pub zone: TimeZone,
    /// The signed-in user.
    pub me: User,
    /// The agent's name, if one acts.
    pub agent: Option<String>,
    /// The plans (titles or ids) that the agent may see; `None` for all (rule R4).
    pub scope: Option<BTreeSet<String>>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) snapshot: Snapshot,
    pub(crate) draft: Draft,
    pub(crate) output: Vec<String>,
    pub(crate) warnings: Vec<String>,
    /// Tasks whose details were taken for empty because the task said that there are none.
    pub(crate) seen_bare: BTreeSet<TaskId>,
    /// Keys given to new checklist items.
    n_keys: usize,
    /// How many details to fetch at the next miss: one batch at first, which costs a single look
    /// no more than one request, then more, so that a loop over a long list gets all of it.
    readahead: usize,
}

#[derive(Debug)]
struct Shared {
    facts: Facts,
    state: Mutex<State>,
    /// Microseconds spent waiting for the broker.
    waited: AtomicU64,
    questions: mpsc::Sender<Question>,
}

/// A program's way to the board. Cheap to clone; clones share everything.
#[derive(Debug, Clone)]
pub struct Session {
    shared: Arc<Shared>,
    stop: Arc<Stop>,
    view: View,
    /// The first error that whoever uses this session met, if that is watched.
    first_error: Option<Arc<OnceLock<String>>>,
}

impl Session {
    pub(crate) fn new(facts: Facts, nonce: String, questions: mpsc::Sender<Question>) -> Self {
        let state = State { draft: Draft::new(nonce), readahead: 20, ..State::default() };
        let shared =
            Shared { facts, state: Mutex::new(state), waited: AtomicU64::new(0), questions };
        Self {
            shared: Arc::new(shared),
            stop: Arc::default(),
            view: View::Drafting,
            first_error: None,
        }
    }

    /// Returns a session on the same board that sees it otherwise.
    #[must_use]
    pub fn seen(&self, view: View) -> Self {
        Self { view, ..self.clone() }
    }

    /// Returns a session that is stopped apart from this one.
    pub(crate) fn with_own_stop(&self) -> Self {
        Self { stop: Arc::default(), ..self.clone() }
    }

    /// Returns a session that remembers the first error its user meets, even one that is
    /// caught: what judges must not mistake an outage for consent.
    #[must_use]
    pub fn watched(&self) -> Self {
        Self { first_error: Some(Arc::default()), ..self.clone() }
    }

    /// Remembers an error, if this session is watched.
    pub fn note_error(&self, error: &Error) {
        if let Some(first) = &self.first_error {
            first.get_or_init(|| error.to_string());
        }
    }

    /// Returns the first error met, if this session is watched.
    #[must_use]
    pub fn first_error(&self) -> Option<&str> {
        self.first_error.as_ref()?.get().map(String::as_str)
    }

    /// Returns the flag that stops the program.
    #[must_use]
    pub const fn stop(&self) -> &Arc<Stop> {
        &self.stop
    }

    /// Returns what stays the same for the whole run.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.shared.facts
    }

    /// Returns the day that it is, in the configured zone.
    #[must_use]
    pub fn today(&self) -> Date {
        time::day_of_moment(self.facts().now, &self.facts().zone)
    }

    /// Returns how this session sees the board.
    #[must_use]
    pub const fn view(&self) -> View {
        self.view
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere ends that run; what it left is only ever a snapshot and a draft.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line to the run's output.
    pub fn print(&self, line: &str) {
        self.state().output.push(line.to_owned());
    }

    /// Adds a remark for whoever reads the report.
    pub fn warn(&self, text: &str) {
        self.state().warnings.push(text.to_owned());
    }

    /// Returns the number of entities touched so far.
    #[must_use]
    pub fn touched(&self) -> usize {
        self.state().draft.touched()
    }

    /// Returns what is wanted so far, as it would be applied.
    #[must_use]
    pub fn change_set(&self) -> ChangeSet {
        let state = self.state();
        let mut draft = state.draft.clone();
        draft.attach_seen_details(|id| {
            if state.seen_bare.contains(id) {
                return Some((TaskDetails::default(), None));
            }
            state.snapshot.details(id).map(|it| (it.value.clone(), Some(it.etag.clone())))
        });
        draft.finish()
    }

    /// Returns a key for a new checklist item, unlike any that another run would choose: any
    /// text is a key (planner-api.md 1.10).
    #[must_use]
    pub fn new_item_key(&self) -> String {
        let mut state = self.state();
        state.n_keys += 1;
        format!("{}-{:03}", state.draft.nonce(), state.n_keys)
    }

    pub(crate) fn ask(&self, ask: Ask) -> Result<Got, Error> {
        self.check_stop()?;
        let (reply, answer) = oneshot::channel();
        let question = Question { ask, stop: Arc::clone(&self.stop), reply };
        let stopped = || {
            let reason = self.stop.reason().cloned();
            Error::Stopped(reason.unwrap_or(StopReason::Cancelled))
        };
        let began = Instant::now();
        self.shared.questions.blocking_send(question).map_err(|_| stopped())?;
        let answer = answer.blocking_recv().map_err(|_| stopped());
        let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.shared.waited.fetch_add(micros, Ordering::Relaxed);
        answer?.map_err(Error::from)
    }

    /// Returns how long the run has waited for the service.
    #[must_use]
    pub fn waited(&self) -> Duration {
        Duration::from_micros(self.shared.waited.load(Ordering::Relaxed))
    }

    /// Fails if the program was stopped.
    ///
    /// # Errors
    /// [`Error::Stopped`], with the reason.
    pub fn check_stop(&self) -> Result<(), Error> {
        match self.stop.reason() {
            Some(reason) => Err(Error::Stopped(reason.clone())),
            None => Ok(()),
        }
    }

    fn overlaid(&self) -> bool {
        self.view != View::Before
    }

    pub(crate) fn check_writable(&self) -> Result<(), Error> {
        self.check_stop()?;
        if self.view == View::Drafting { Ok(()) } else { Err(Error::ReadOnly) }
    }

    /// Tells whether the run may see a plan (rule R4).
    pub(crate) fn in_scope(&self, plan: &Plan) -> bool {
        let Some(scope) = &self.facts().scope else { return true };
        plan.id.is_provisional() || scope.contains(plan.id.as_str()) || scope.contains(&plan.title)
    }

    // Plans

    /// Returns the ids of all plans within reach, by title.
    ///
    /// # Errors
    /// The service can not be asked.
    pub fn plans(&self) -> Result<Vec<PlanId>, Error> {
        if self.state().snapshot.all_plans().is_none()
            && let Got::AllPlans(plans) = self.ask(Ask::AllPlans)?
        {
            let visible = plans.into_iter().filter(|it| self.in_scope(&it.value)).collect();
            self.state().snapshot.set_all_plans(visible);
        }
        let state = self.state();
        let read = state.snapshot.all_plans().unwrap_or_default().to_vec();
        if !self.overlaid() {
            return Ok(read);
        }
        let kept = read.into_iter().filter(|id| state.draft.plan(id) != Some(None));
        Ok(kept.chain(state.draft.new_plans().map(|it| it.id.clone())).collect())
    }

    /// Returns a plan.
    ///
    /// # Errors
    /// It does not exist, is out of the agent's scope, or was deleted in this run.
    pub fn plan(&self, id: &PlanId) -> Result<Plan, Error> {
        if self.overlaid()
            && let Some(wanted) = self.state().draft.plan(id)
        {
            return wanted.cloned().ok_or(Error::Gone { what: "plan" });
        }
        Ok(self.read_plan(id)?.value)
    }

    pub(crate) fn read_plan(&self, id: &PlanId) -> Result<Versioned<Plan>, Error> {
        if let Some(plan) = self.state().snapshot.plan(id) {
            return Ok(plan.clone());
        }
        let missing = || not_found("plan", id.as_str());
        if id.is_provisional() {
            return Err(missing());
        }
        match self.ask(Ask::Plan(id.clone())) {
            Ok(Got::Plan(plan)) if self.in_scope(&plan.value) => {
                self.state().snapshot.add_plan(id.clone(), plan.clone());
                Ok(plan)
            }
            Ok(_) => Err(missing()),
            Err(Error::Graph(error)) if error.is_not_found() => Err(missing()),
            Err(error) => Err(error),
        }
    }

    /// Returns the details of a plan: its labels and with whom it is shared.
    ///
    /// # Errors
    /// The plan does not exist or the service can not be asked.
    pub fn plan_details(&self, id: &PlanId) -> Result<PlanDetails, Error> {
        if self.overlaid()
            && let Some(wanted) = self.state().draft.plan_details(id)
        {
            return Ok(wanted.clone());
        }
        if id.is_provisional() {
            return Ok(PlanDetails::default());
        }
        Ok(self.read_plan_details(id)?.value)
    }

    pub(crate) fn read_plan_details(&self, id: &PlanId) -> Result<Versioned<PlanDetails>, Error> {
        if self.state().snapshot.plan_details(id).is_none()
            && let Got::PlanDetails(details) = self.ask(Ask::PlanDetails(id.clone()))?
        {
            self.state().snapshot.add_plan_details(id.clone(), details);
        }
        let read = self.state().snapshot.plan_details(id).cloned();
        read.ok_or_else(|| not_found("plan", id.as_str()))
    }

    // Buckets

    /// Returns the ids of a plan's buckets in board order, new ones last.
    ///
    /// # Errors
    /// The plan does not exist or the service can not be asked.
    pub fn buckets(&self, plan: &PlanId) -> Result<Vec<BucketId>, Error> {
        self.plan(plan)?;
        let read = self.state().snapshot.buckets_of(plan).map(<[_]>::to_vec);
        let ids = match read {
            Some(ids) => ids,
            None if plan.is_provisional() => Vec::new(),
            None => {
                if let Got::Buckets(buckets) = self.ask(Ask::Buckets(plan.clone()))? {
                    self.state().snapshot.set_buckets(plan.clone(), buckets);
                }
                self.state().snapshot.buckets_of(plan).unwrap_or_default().to_vec()
            }
        };
        if !self.overlaid() {
            return Ok(ids);
        }
        let state = self.state();
        let kept = ids.into_iter().filter(|id| state.draft.bucket(id) != Some(None));
        let new = state.draft.new_buckets(plan).map(|it| it.id.clone());
        Ok(kept.chain(new).collect())
    }

    /// Returns a bucket.
    ///
    /// # Errors
    /// It does not exist, is out of scope, or was deleted in this run.
    pub fn bucket(&self, id: &BucketId) -> Result<Bucket, Error> {
        if self.overlaid()
            && let Some(wanted) = self.state().draft.bucket(id)
        {
            return wanted.cloned().ok_or(Error::Gone { what: "bucket" });
        }
        Ok(self.read_bucket(id)?.value)
    }

    pub(crate) fn read_bucket(&self, id: &BucketId) -> Result<Versioned<Bucket>, Error> {
        if let Some(bucket) = self.state().snapshot.bucket(id) {
            return Ok(bucket.clone());
        }
        let missing = || not_found("bucket", id.as_str());
        if id.is_provisional() {
            return Err(missing());
        }
        match self.ask(Ask::Bucket(id.clone())) {
            Ok(Got::Bucket(bucket)) => {
                self.plan(&bucket.value.plan).map_err(|_| missing())?;
                self.state().snapshot.add_bucket(id.clone(), bucket.clone());
                Ok(bucket)
            }
            Ok(_) => Err(missing()),
            Err(Error::Graph(error)) if error.is_not_found() => Err(missing()),
            Err(error) => Err(error),
        }
    }

    // Tasks

    /// Returns the ids of a plan's tasks in list order, new ones first as Planner shows them.
    ///
    /// # Errors
    /// The plan does not exist or the service can not be asked.
    pub fn tasks(&self, plan: &PlanId) -> Result<Vec<TaskId>, Error> {
        self.plan(plan)?;
        let read = self.state().snapshot.tasks_of(plan).map(<[_]>::to_vec);
        let ids = match read {
            Some(ids) => ids,
            None if plan.is_provisional() => Vec::new(),
            None => {
                if let Got::Tasks(tasks) = self.ask(Ask::Tasks(plan.clone()))? {
                    self.state().snapshot.set_tasks(plan.clone(), tasks);
                }
                self.state().snapshot.tasks_of(plan).unwrap_or_default().to_vec()
            }
        };
        if !self.overlaid() {
            return Ok(ids);
        }
        let state = self.state();
        let new = state.draft.new_tasks(plan).map(|it| it.id.clone());
        let kept = ids.into_iter().filter(|id| state.draft.task(id) != Some(None));
        Ok(new.chain(kept).collect())
    }

    /// Returns the ids of a bucket's tasks; that they are in it counts as read.
    ///
    /// # Errors
    /// The bucket does not exist or the service can not be asked.
    pub fn tasks_in(&self, bucket: &BucketId) -> Result<Vec<TaskId>, Error> {
        let plan = self.bucket(bucket)?.plan;
        let mut ids = Vec::new();
        for id in self.tasks(&plan)? {
            if self.task(&id)?.bucket.as_ref() == Some(bucket) {
                self.note_read(EntityId::Task(id.clone()), Field::BucketId);
                ids.push(id);
            }
        }
        Ok(ids)
    }

    /// Returns the ids of the tasks assigned to the signed-in user.
    ///
    /// # Errors
    /// The service can not be asked.
    pub fn my_tasks(&self) -> Result<Vec<TaskId>, Error> {
        if self.state().snapshot.my_tasks().is_none()
            && let Got::Tasks(tasks) = self.ask(Ask::MyTasks)?
        {
            let mut visible = Vec::new();
            for task in tasks {
                if self.facts().scope.is_none() || self.plan(&task.value.plan).is_ok() {
                    visible.push(task);
                }
            }
            self.state().snapshot.set_my_tasks(visible);
        }
        let ids = self.state().snapshot.my_tasks().unwrap_or_default().to_vec();
        if !self.overlaid() {
            return Ok(ids);
        }
        let state = self.state();
        let me = &self.facts().me.id;
        let is_mine = |id: &TaskId| match state.draft.task(id) {
            Some(wanted) => wanted.is_some_and(|it| it.task.assignments.contains_key(me)),
            None => true,
        };
        let mut mine: Vec<TaskId> = ids.into_iter().filter(is_mine).collect();
        for task in state.draft.touched_tasks() {
            if task.assignments.contains_key(me) && !mine.contains(&task.id) {
                mine.push(task.id.clone());
            }
        }
        Ok(mine)
    }

    /// Returns a task.
    ///
    /// # Errors
    /// It does not exist, is out of scope, or was deleted in this run.
    pub fn task(&self, id: &TaskId) -> Result<Task, Error> {
        if self.overlaid()
            && let Some(wanted) = self.state().draft.task(id)
        {
            return wanted.map(|it| it.task.clone()).ok_or(Error::Gone { what: "task" });
        }
        Ok(self.read_task(id)?.value)
    }

    /// Returns a task and notes which field of it is looked at.
    ///
    /// # Errors
    /// As [`Session::task`].
    pub fn look(&self, id: &TaskId, field: Field) -> Result<Task, Error> {
        self.check_stop()?;
        let task = self.task(id)?;
        self.note_read(EntityId::Task(id.clone()), field);
        Ok(task)
    }

    /// Notes that a decision may rest on a field.
    pub fn note_read(&self, entity: EntityId, field: Field) {
        self.state().draft.note_read(entity, field);
    }

    pub(crate) fn read_task(&self, id: &TaskId) -> Result<Versioned<Task>, Error> {
        if let Some(task) = self.state().snapshot.task(id) {
            return Ok(task.clone());
        }
        let missing = || not_found("task", id.as_str());
        if id.is_provisional() {
            return Err(missing());
        }
        match self.ask(Ask::Task(id.clone())) {
            Ok(Got::Task(task)) => {
                if self.facts().scope.is_some() {
                    self.plan(&task.value.plan).map_err(|_| missing())?;
                }
                self.state().snapshot.add_task(id.clone(), (*task).clone());
                Ok(*task)
            }
            Ok(_) => Err(missing()),
            Err(Error::Graph(error)) if error.is_not_found() => Err(missing()),
            Err(error) => Err(error),
        }
    }

    /// Returns the details of a task, and notes which field of them is looked at.
    ///
    /// # Errors
    /// As [`Session::task`].
    pub fn details(&self, id: &TaskId, field: Field) -> Result<TaskDetails, Error> {
        let task = self.look(id, field)?;
        if self.overlaid()
            && let Some(Some(TaskState { details: Some(details), .. })) =
                self.state().draft.task(id)
        {
            return Ok(details.clone());
        }
        let bare = !task.has_description && task.checklist_count == 0 && task.reference_count == 0;
        if bare {
            let mut state = self.state();
            if state.snapshot.details(id).is_none() {
                state.seen_bare.insert(id.clone());
            }
            if state.seen_bare.contains(id) {
                return Ok(TaskDetails::default());
            }
        }
        Ok(self.read_details_ahead(id)?.value)
    }

    /// Fetches the details of a task, for writing.
    pub(crate) fn read_details(&self, id: &TaskId) -> Result<Versioned<TaskDetails>, Error> {
        self.read_details_with(id, 1)
    }

    /// Fetches the details of a task and of those that follow it in the plan's list: a program
    /// that looks into one often looks into the next.
    fn read_details_ahead(&self, id: &TaskId) -> Result<Versioned<TaskDetails>, Error> {
        if let Some(details) = self.state().snapshot.details(id) {
            return Ok(details.clone());
        }
        let window = {
            let mut state = self.state();
            let window = state.readahead;
            state.readahead = (window * 3).min(1000);
            window
        };
        self.read_details_with(id, window)
    }

    fn read_details_with(
        &self,
        id: &TaskId,
        window: usize,
    ) -> Result<Versioned<TaskDetails>, Error> {
        if let Some(details) = self.state().snapshot.details(id) {
            return Ok(details.clone());
        }
        let wanted = {
            let state = self.state();
            let snapshot = &state.snapshot;
            let list = snapshot
                .task(id)
                .and_then(|task| snapshot.tasks_of(&task.value.plan))
                .unwrap_or_default();
            let following = list.iter().skip_while(|it| *it != id).skip(1).filter(|it| {
                snapshot.details(it).is_none()
                    && snapshot.task(it).is_some_and(|task| {
                        let task = &task.value;
                        task.has_description || task.checklist_count + task.reference_count > 0
                    })
            });
            std::iter::once(id).chain(following).take(window).cloned().collect()
        };
        if let Got::Details(list) = self.ask(Ask::Details(wanted))? {
            let mut state = self.state();
            for (id, details) in list {
                state.snapshot.add_details(id, details);
            }
        }
        let read = self.state().snapshot.details(id).cloned();
        read.ok_or_else(|| not_found("task", id.as_str()))
    }
}

pub(crate) fn not_found(what: &'static str, name: &str) -> Error {
    Error::NotFound { what, name: name.to_owned(), place: None, nearest: Vec::new() }
}
