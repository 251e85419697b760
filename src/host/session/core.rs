//! The session itself: the state that its clones share, the source of its answers, and its reads.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use crate::change::{ChangeSet, Draft, EntityId, Field, Read, ReadSet};
use crate::host::error::Error;
use crate::host::known_plans::KnownPlans;
use crate::host::query::QueryResult;
use crate::host::query::{PendingQuery, Query, Response};
use crate::host::session::journaled::History;
use crate::host::stop::{Stop, StopReason};
use crate::model::snapshot::Snapshot;
use crate::model::{Limits, Plan, PlanId, TaskId, User, time};

/// The view that a session has of the board.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum View {
    /// As drafted so far; may record more edits.
    Drafting,
    /// As it was read, without the run's edits; read only.
    Before,
    /// As drafted; read only.
    After,
}

/// The facts that stay the same for a whole run.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The moment that counts as now, from beginning to end.
    pub now: Timestamp,
    /// The zone that decides what day it is.
    pub zone: TimeZone,
    /// The signed-in user.
    pub me: User,
    /// The agent's name, if one acts.
    pub agent: Option<String>,
    /// True if Graph's beta is in use.
    pub beta: bool,
    /// True if an application is signed in as itself, who has no chats.
    pub is_application: bool,
    /// The plans (titles or ids) that the agent may see; `None` for all (rule R4).
    pub scope: Option<BTreeSet<String>>,
    /// The plans that names in the configuration stand for.
    pub named: Arc<KnownPlans>,
    /// The most requests to the service while it drafts.
    pub reads: u64,
    /// The most entities that it may edit while it drafts.
    pub edits: usize,
    /// The most bytes of text that its edits may add.
    pub edit_bytes: usize,
    /// The limits of Planner (rule R10).
    pub limits: Limits,
    /// True if it is a session in another process.
    pub remote: bool,
}

/// The most bytes that a program may remark.
pub(crate) const MAX_REMARKS: usize = 64 << 10;
/// The most commits of a run.
pub(super) const MAX_COMMITS: usize = 50;

#[derive(Debug, Default, Clone)]
pub(crate) struct State {
    pub(crate) snapshot: Snapshot,
    pub(crate) draft: Draft,
    pub(crate) output: Vec<String>,
    pub(crate) warnings: Vec<String>,
    /// The reads that a decision may rest on: the read set.
    pub(crate) reads: ReadSet,
    /// The tasks of plans by the keys that only the journal has so far.
    pub(crate) keys: BTreeMap<PlanId, BTreeMap<String, TaskId>>,
    /// The bytes that a program has remarked.
    pub(super) remarked: usize,
    /// The bytes of text that edits have added.
    pub(crate) edit_bytes: usize,
    /// The tasks whose details edits have changed.
    pub(crate) edited: BTreeSet<TaskId>,
    /// Those of earlier segments.
    pub(crate) edited_earlier: BTreeSet<TaskId>,
    /// The bytes of those details before.
    pub(crate) before_bytes: usize,
    /// Keys given to new checklist items.
    pub(crate) n_keys: usize,
    /// Random numbers drawn.
    pub(crate) n_draws: u64,
    /// Segments that were committed, or attempted.
    pub(super) n_commits: usize,
    /// The ids that provisional ones of earlier segments have become.
    pub(crate) made: BTreeMap<String, String>,
    /// The sets applied in earlier segments, each with the board of its time.
    pub(crate) segments: Vec<(Session, Arc<ChangeSet>)>,
    /// The present moment and zone, where they replace those of the run's facts.
    pub(crate) clock: Option<(Timestamp, TimeZone)>,
    /// The number of details to fetch at the next miss: one batch at first, so that a single read
    /// costs no more than one request, then more, so that a loop over a long list gets all of them.
    pub(crate) readahead: usize,
    /// The same for details that are to be written: one write costs one read.
    pub(crate) writeahead: usize,
}

/// The draft and the reads of a session at one moment.
#[derive(Debug)]
pub(crate) struct Savepoint {
    pub(super) draft: Draft,
    pub(super) reads: ReadSet,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) facts: Facts,
    pub(super) state: Mutex<State>,
    /// Microseconds spent waiting for the broker.
    pub(super) waited: AtomicU64,
    /// The number of queries.
    pub(super) asked: AtomicU64,
    pub(super) asks: Asks,
    /// The history, if it is recorded.
    pub(super) history: Option<History>,
    /// The listener that gets at once what is printed.
    pub(super) listener: OnceLock<Listener>,
}

/// The source of what a session has not read.
#[derive(Clone)]
pub(crate) enum Asks {
    /// The broker.
    Broker(mpsc::Sender<PendingQuery>),
    /// The host of this worker: for the board of a segment, from 1, or for the present one.
    Host(usize, HostLink),
}

/// A worker's link to its host; it returns `None` if the host is gone.
pub(crate) type HostLink = Arc<dyn Fn(usize, Query) -> Option<QueryResult> + Send + Sync>;

impl std::fmt::Debug for Asks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Asks")
    }
}

/// A listener for what a program prints.
pub(super) struct Listener(Box<dyn Fn(&str) + Send + Sync>);

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Listener")
    }
}

/// A program's way to the board. Cheap to clone; clones share everything.
#[derive(Debug, Clone)]
pub struct Session {
    pub(super) shared: Arc<Shared>,
    pub(super) stop: Arc<Stop>,
    pub(super) view: View,
    /// The errors and reads of its user, if they are watched.
    pub(super) watched: Option<Arc<Watched>>,
}

/// The first error and the reads of a session's user.
#[derive(Debug, Default)]
pub(super) struct Watched {
    pub(super) first_error: OnceLock<String>,
    pub(super) seen: Mutex<BTreeSet<(EntityId, Field)>>,
}

impl Session {
    pub(crate) fn new(
        facts: Facts,
        nonce: String,
        questions: mpsc::Sender<PendingQuery>,
        history: Option<History>,
    ) -> Self {
        Self::asking(facts, nonce, Asks::Broker(questions), history)
    }

    /// Returns a session that asks a given source.
    pub(crate) fn asking(
        facts: Facts,
        nonce: String,
        asks: Asks,
        history: Option<History>,
    ) -> Self {
        let state =
            State { draft: Draft::new(nonce), readahead: 20, writeahead: 1, ..State::default() };
        let shared = Shared {
            facts,
            state: Mutex::new(state),
            waited: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            asks,
            history,
            listener: OnceLock::new(),
        };
        Self { shared: Arc::new(shared), stop: Arc::default(), view: View::Drafting, watched: None }
    }

    /// Returns a session on the same board with another view.
    #[must_use]
    pub fn seen(&self, view: View) -> Self {
        Self { view, ..self.clone() }
    }

    /// Returns a session that is stopped apart from this one.
    #[must_use]
    pub fn with_own_stop(&self) -> Self {
        Self { stop: Arc::default(), ..self.clone() }
    }

    /// Returns a session that remembers the first error its user meets, even one that is caught: a
    /// policy must not mistake an outage for consent.
    #[must_use]
    pub fn watched(&self) -> Self {
        Self { watched: Some(Arc::default()), ..self.clone() }
    }

    /// Remembers an error, if this session is watched.
    pub fn note_error(&self, error: &Error) {
        if let Some(watched) = &self.watched {
            watched.first_error.get_or_init(|| error.to_string());
        }
    }

    /// Returns the first error met, if this session is watched.
    #[must_use]
    pub fn first_error(&self) -> Option<&str> {
        self.watched.as_ref()?.first_error.get().map(String::as_str)
    }

    /// Returns the fields that were read since [`Session::forget_seen`], if this session is watched.
    #[must_use]
    pub fn seen_fields(&self) -> Vec<(EntityId, Field)> {
        let seen = self.watched.as_ref().map(|watched| watched.seen.lock());
        let seen = seen.map(|fields| fields.unwrap_or_else(PoisonError::into_inner).clone());
        seen.into_iter().flatten().collect()
    }

    /// Forgets which fields were read, if this session is watched.
    pub fn forget_seen(&self) {
        if let Some(watched) = &self.watched {
            watched.seen.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    /// Counts a read, on which a decision may rest from now on. Only functions that hand a value
    /// out do so.
    pub(in crate::host) fn count(&self, read: Read) {
        if let (Some(watched), Read::Field(entity, field)) = (&self.watched, &read) {
            let mut seen = watched.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.insert((entity.clone(), *field));
        }
        if !read.is_of_new() {
            self.state().reads.insert(read);
        }
    }

    /// Returns the flag that stops the program.
    #[must_use]
    pub const fn stop(&self) -> &Arc<Stop> {
        &self.stop
    }

    /// Returns the facts of the run.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.shared.facts
    }

    /// Returns the moment that counts as now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.state().clock.as_ref().map_or(self.facts().now, |clock| clock.0)
    }

    /// Returns the zone that decides what day it is.
    #[must_use]
    pub fn zone(&self) -> TimeZone {
        self.state()
            .clock
            .as_ref()
            .map_or_else(|| self.facts().zone.clone(), |clock| clock.1.clone())
    }

    /// Returns today's date, in the configured zone.
    #[must_use]
    pub fn today(&self) -> Date {
        time::day_of_moment(self.now(), &self.zone())
    }

    /// Sets another moment and zone for now, for a session that outlives a run.
    pub fn set_clock(&self, now: Timestamp, zone: TimeZone) {
        self.state().clock = Some((now, zone));
    }

    /// Forgets everything that was read and drafted, so that it is read again.
    pub fn forget(&self) {
        let (output, warnings) = {
            let mut state = self.state();
            (std::mem::take(&mut state.output), std::mem::take(&mut state.warnings))
        };
        self.begin_again();
        let mut state = self.state();
        (state.output, state.warnings) = (output, warnings);
        state.snapshot = Snapshot::default();
    }

    /// Returns the output so far.
    #[must_use]
    pub fn output(&self) -> Vec<String> {
        self.state().output.clone()
    }

    /// Returns this session's view of the board.
    #[must_use]
    pub const fn view(&self) -> View {
        self.view
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere ends that run; the state it left is only ever a snapshot and a draft.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line to the run's output.
    pub fn print(&self, line: &str) {
        self.state().output.push(line.to_owned());
        self.hear(line);
    }

    /// Passes a printed line on at once.
    pub(crate) fn hear(&self, line: &str) {
        if let Some(Listener(hear)) = self.shared.listener.get() {
            hear(line);
        }
    }

    /// Registers a listener for what is printed. The first one stays.
    pub fn listen(&self, hear: impl Fn(&str) + Send + Sync + 'static) {
        let _listens_already = self.shared.listener.set(Listener(Box::new(hear)));
    }

    /// Adds a warning for the reader of the report.
    pub fn warn(&self, text: &str) {
        self.state().warnings.push(text.to_owned());
    }

    /// Adds a warning by the program itself.
    ///
    /// # Errors
    /// It remarks too much.
    pub fn remark(&self, text: &str) -> Result<(), Error> {
        let n: usize = {
            let mut state = self.state();
            state.remarked = state.remarked.saturating_add(text.len() + 1);
            state.remarked
        };
        if n > MAX_REMARKS {
            let size = format!("{} KiB", MAX_REMARKS >> 10);
            self.stop.set(StopReason::Budget("remarks", size));
        }
        self.check_stop()?;
        self.warn(text);
        Ok(())
    }

    /// Returns the number of entities touched so far.
    #[must_use]
    pub fn touched(&self) -> usize {
        self.state().draft.touched()
    }

    /// Returns the draft so far, as it would be applied.
    #[must_use]
    pub fn change_set(&self) -> ChangeSet {
        let state = self.state();
        state.draft.clone().finish(&state.reads, &state.snapshot)
    }

    /// Returns a key for a new checklist item: a GUID, as Microsoft asks for. It is derived from the
    /// run and a count, so that a replay returns the same keys and adds no item twice.
    #[must_use]
    pub fn new_item_key(&self) -> String {
        use sha2::{Digest as _, Sha256};
        let mut state = self.state();
        state.n_keys += 1;
        let digest = Sha256::digest(format!("{}-{}", state.draft.nonce(), state.n_keys));
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
    }

    /// Returns the seed of the run's random numbers, and the number of the next draw.
    #[must_use]
    pub fn next_draw(&self) -> (String, u64) {
        let mut state = self.state();
        state.n_draws += 1;
        (state.draft.nonce().to_owned(), state.n_draws)
    }

    /// Returns the reads so far that a decision may rest on.
    pub(crate) fn reads(&self) -> ReadSet {
        self.state().reads.clone()
    }

    /// Prepares the program to run again, on the present snapshot. Its draft and output are
    /// forgotten; provisional ids and keys come out the same.
    pub fn begin_again(&self) {
        let mut state = self.state();
        state.draft = Draft::new(state.draft.nonce().to_owned());
        state.output.clear();
        state.warnings.clear();
        state.reads.clear();
        // Each redraft has the whole budget of reads again.
        self.shared.asked.store(0, Ordering::Relaxed);
        state.n_keys = 0;
        (state.edit_bytes, state.before_bytes, state.remarked) = (0, 0, 0);
        state.edited.clear();
        state.edited_earlier.clear();
        state.n_draws = 0;
    }

    pub(crate) fn ask(&self, ask: Query) -> Result<Response, Error> {
        let limit = self.facts().reads;
        if self.shared.asked.fetch_add(1, Ordering::Relaxed) >= limit {
            self.stop.set(StopReason::Budget("reads", limit.to_string()));
        }
        self.check_stop()?;
        let stopped = || {
            let reason = self.stop.reason();
            Error::Stopped(reason.unwrap_or(StopReason::Cancelled))
        };
        let began = Instant::now();
        let answer = match &self.shared.asks {
            Asks::Broker(broker) => {
                let (reply, answer) = oneshot::channel();
                let question = PendingQuery { ask, stop: Arc::clone(&self.stop), reply };
                broker.blocking_send(question).map_err(|_| stopped())?;
                // A stop drops the reply, so a dropped reply is a stop.
                answer.blocking_recv().map_err(|_| stopped())
            }
            Asks::Host(segment, host) => host(*segment, ask)
                .map(|answer| answer.map_err(|error| Error::Relayed(Box::new(error))))
                .ok_or_else(stopped),
        };
        let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        // A script's time budget does not include the waits for the service.
        self.shared.waited.fetch_add(micros, Ordering::Relaxed);
        answer?
    }

    pub(crate) fn history(&self) -> Option<&History> {
        self.shared.history.as_ref()
    }

    /// Returns the time that the run has waited for the service.
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
            Some(reason) => Err(Error::Stopped(reason)),
            None => Ok(()),
        }
    }

    /// Returns the real id of something from an earlier segment.
    #[must_use]
    pub fn real<'a, T>(&self, id: &'a T) -> Cow<'a, T>
    where
        T: Clone + ToString + FromStr,
    {
        let state = self.state();
        if state.made.is_empty() {
            return Cow::Borrowed(id);
        }
        let real = state.made.get(&id.to_string()).and_then(|id| id.parse().ok());
        real.map_or(Cow::Borrowed(id), Cow::Owned)
    }

    /// Returns whether something was created by an earlier segment.
    #[must_use]
    pub fn is_made_before(&self, id: &str) -> bool {
        self.state().made.values().any(|made| made == id)
    }

    /// Returns this session for the user of another: its errors and its stop are theirs.
    pub(crate) fn for_user_of(&self, other: &Self) -> Self {
        Self { stop: Arc::clone(&other.stop), watched: other.watched.clone(), ..self.clone() }
    }

    /// Returns the warnings of the line.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.state().warnings.clone()
    }

    pub(crate) fn overlaid(&self) -> bool {
        self.view != View::Before
    }

    pub(crate) fn check_writable(&self) -> Result<(), Error> {
        let limit = self.facts().edits;
        if self.touched() > limit {
            self.stop.set(StopReason::Budget("changes", limit.to_string()));
        }
        self.check_stop()?;
        if self.view == View::Drafting { Ok(()) } else { Err(Error::ReadOnly) }
    }

    /// Returns whether the run may see a plan (rule R4).
    pub(crate) fn in_scope(&self, plan: &Plan) -> bool {
        let Some(scope) = &self.facts().scope else { return true };
        plan.id.is_provisional() || self.facts().named.grant(scope, plan)
    }
}

pub(crate) fn not_found(what: &'static str, name: &str) -> Error {
    Error::NotFound { what, name: name.to_owned(), place: None, nearest: Vec::new() }
}
