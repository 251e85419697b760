//! A run's part in the journal: what it wanted, what it is about to send, what came of it.
//!
//! The journal blocks until what it is told is on the disk, so it is told on a thread for such
//! work. Nothing is sent before that (reliability: intent first).

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::change::apply::Candidate;
use crate::change::{Change, ChangeSet, EntityId};
use crate::host::failure::Failure;
use crate::host::report::{Report, Status};
use crate::host::stop::Stop;
use crate::journal::{
    Guard, Intent, Journal, Judgement, Lockable, NamesFile, NewRun, PlanLocks, RunId, RunStatus,
    Settled,
};
use crate::model::Clock;

/// What a run comes from, besides its start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) parent: Option<RunId>,
    pub(crate) takes_up: Option<String>,
    /// True if more was to come than what is carried on: then it ends as partial at best.
    pub(crate) cut_short: bool,
    /// The entities that the run has created which is taken back: to delete that is to undo, and no deletion of
    /// anybody's work.
    pub(crate) takes_back: BTreeSet<EntityId>,
}

/// The journal and the locks of a state folder.
#[derive(Debug, Clone)]
pub struct StateFolder {
    folder: PathBuf,
}

impl StateFolder {
    /// Names the state folder; nothing is opened yet.
    #[must_use]
    pub const fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Opens the journal to write.
    ///
    /// # Errors
    /// It can not be, and why.
    pub fn open(&self) -> Result<Journal, Failure> {
        Journal::open(&self.folder.join("journal.db")).map_err(|error| failure(&error))
    }

    /// Opens the journal to read; `None` if there is none yet.
    ///
    /// # Errors
    /// It can not be read, and why.
    pub fn open_to_read(&self) -> Result<Option<Journal>, Failure> {
        let path = self.folder.join("journal.db");
        if !path.exists() {
            return Ok(None);
        }
        match Journal::open_to_read(&path) {
            // Another process is making it.
            Err(crate::journal::Error::Older { found: 0, .. }) => Ok(None),
            opened => opened.map(Some).map_err(|error| failure(&error)),
        }
    }

    /// Returns the file with the plans that names in the configuration stand for.
    pub(crate) fn names(&self) -> NamesFile {
        NamesFile::new(&self.folder)
    }

    /// Returns the locks beside the journal.
    ///
    /// # Errors
    /// Their folder can not be made.
    pub fn locks(&self) -> Result<PlanLocks, Failure> {
        PlanLocks::open(&self.folder).map_err(|error| failure(&error))
    }
}

pub(crate) fn failure(error: &crate::journal::Error) -> Failure {
    Failure::of(error.code(), error, error.hint())
}

/// Does blocking work where it may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    }
}

/// The record of one run.
#[derive(Debug)]
pub(crate) struct Record {
    journal: Arc<Journal>,
    locks: PlanLocks,
    clock: Arc<dyn Clock>,
    run: RunId,
    /// What was said of the set.
    pub(crate) rulings: Value,
    /// Says that this process works on the run.
    _run_lock: Option<Guard>,
}

/// How much is kept of a set that was not carried out, in bytes.
const MAX_REFUSED: usize = 64 << 10;

/// Returns the first changes of a set, as far as they are small.
fn first(set: &ChangeSet) -> ChangeSet {
    let mut left = MAX_REFUSED;
    let is_kept = |change: &Change| {
        let size = serde_json::to_string(change).map_or(usize::MAX, |text| text.len());
        left = left.saturating_sub(size);
        left > 0
    };
    ChangeSet::in_this_order(set.changes().iter().cloned().take_while(is_kept).collect())
}

/// Returns a report as it is kept: of a run that has written nothing, its first changes and
/// verdicts, with the number of all.
fn to_keep(report: &Report) -> Value {
    let mut value = serde_json::to_value(report).unwrap_or_default();
    let wrote = matches!(report.status, Status::Applied | Status::Partial | Status::Held);
    if wrote {
        return value;
    }
    for list in ["changes", "verdicts", "output", "warnings"] {
        let Some(items) = value[list].as_array_mut() else { continue };
        let n_all = items.len();
        let mut left = MAX_REFUSED;
        let n_kept = items.iter().take_while(|item| {
            left = left.saturating_sub(item.to_string().len());
            left > 0
        });
        let n_kept = n_kept.count();
        items.truncate(n_kept);
        if n_kept < n_all {
            value[format!("{list}_left_out")] = (n_all - n_kept).into();
        }
    }
    if value["result"].to_string().len() > MAX_REFUSED {
        value["result"] = Value::Null;
    }
    value
}

impl Record {
    /// Records that a run begins.
    pub(crate) async fn begin(
        state_folder: StateFolder,
        new: NewRun,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Failure> {
        blocking(move || {
            let (journal, locks) = (state_folder.open()?, state_folder.locks()?);
            let run = new.id.clone();
            let run_lock = locks.try_lock_run(&run).map_err(|error| failure(&error))?;
            journal.begin(&new).map_err(|error| failure(&error))?;
            let (journal, rulings) = (Arc::new(journal), Value::Array(Vec::new()));
            Ok(Self { journal, locks, clock, run, rulings, _run_lock: run_lock })
        })
        .await
    }

    async fn tell<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Journal, &RunId) -> Result<T, crate::journal::Error> + Send + 'static,
    ) -> Result<T, Failure> {
        let (journal, run) = (Arc::clone(&self.journal), self.run.clone());
        blocking(move || work(&journal, &run).map_err(|error| failure(&error))).await
    }

    /// Records what a set was judged to be; returns its round.
    pub(crate) async fn judged(&self, set: ChangeSet, outcome: Judgement) -> Result<u32, Failure> {
        let (now, rulings) = (self.clock.now(), self.rulings.clone());
        // What is not carried out is kept as far as people look at it: refused runs are cheap to
        // make.
        let set = if outcome.is_clear() || outcome == Judgement::Held { set } else { first(&set) };
        self.tell(move |journal, run| journal.judged(run, now, &set, &rulings, outcome)).await
    }

    /// Records what came of what was sent, and what is about to be sent.
    pub(crate) async fn go_on(
        &self,
        settled: Vec<Settled>,
        intents: Vec<Intent>,
    ) -> Result<(), Failure> {
        if settled.is_empty() && intents.is_empty() {
            return Ok(());
        }
        let now = self.clock.now();
        self.tell(move |journal, run| journal.go_on(run, now, &settled, &intents)).await
    }

    /// Returns the register of what runs have made.
    pub(crate) fn claims(&self) -> Claims {
        Claims(Arc::clone(&self.journal))
    }

    /// Records how the run ended.
    pub(crate) async fn finish(&self, report: &Report) -> Result<(), Failure> {
        let now = self.clock.now();
        let value = to_keep(report);
        let status = run_status(report.status);
        self.tell(move |journal, run| journal.finish(run, now, status, &value)).await
    }

    /// Waits until no other run of this host is at work on the plans: they commit one after
    /// another (design.md 2.3). `None` if the wait was stopped.
    pub(crate) async fn lock(
        &self,
        what: &BTreeSet<Lockable>,
        stop: &Stop,
    ) -> Result<Option<Vec<Guard>>, Failure> {
        lock_all(&self.locks, what, stop).await
    }
}

/// The wait before a lock is tried again, at first and at most.
const NAPS: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(50));

/// Locks several things, and waits for whoever has them; in an order that all share, so that two
/// that want the same never wait for each other. `None` if the wait was stopped.
pub(crate) async fn lock_all(
    locks: &PlanLocks,
    what: &BTreeSet<Lockable>,
    stop: &Stop,
) -> Result<Option<Vec<Guard>>, Failure> {
    let mut guards = Vec::new();
    for it in what {
        let mut nap = NAPS.0;
        loop {
            if let Some(guard) = locks.try_lock(it).map_err(|error| failure(&error))? {
                guards.push(guard);
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(nap) => nap = (nap * 2).min(NAPS.1),
                () = stop.wait() => return Ok(None),
            }
        }
    }
    Ok(Some(guards))
}

/// The register of what runs have made.
#[derive(Debug, Clone)]
pub(crate) struct Claims(Arc<Journal>);

impl Claims {
    pub(crate) const fn new(journal: Arc<Journal>) -> Self {
        Self(journal)
    }

    /// Leaves those that no change is known to have made.
    pub(crate) async fn unclaimed(&self, found: Vec<Candidate>) -> Result<Vec<Candidate>, Failure> {
        let journal = Arc::clone(&self.0);
        blocking(move || {
            let mut free = Vec::new();
            for it in found {
                if !journal.is_claimed(it.id()).map_err(|error| failure(&error))? {
                    free.push(it);
                }
            }
            Ok(free)
        })
        .await
    }

    /// Records what became of attempts of other runs.
    pub(crate) async fn settle(
        &self,
        settled: Vec<(RunId, Settled)>,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let journal = Arc::clone(&self.0);
        blocking(move || {
            settled.into_iter().try_for_each(|(run, settled)| {
                journal.settle(&run, now, &[settled]).map_err(|error| failure(&error))
            })
        })
        .await
    }
}

const fn run_status(status: Status) -> RunStatus {
    match status {
        Status::Applied => RunStatus::Applied,
        Status::Previewed => RunStatus::Previewed,
        Status::NoChanges => RunStatus::NoChanges,
        Status::Denied => RunStatus::Denied,
        Status::Held => RunStatus::Held,
        Status::Conflict => RunStatus::Conflict,
        Status::Partial => RunStatus::Partial,
        Status::Failed => RunStatus::Failed,
    }
}

/// The markers of what a judged set makes, and the ids they became, as the journal has them.
pub(crate) fn real_ids(round: &crate::journal::Round) -> BTreeMap<String, String> {
    let mut ids = BTreeMap::new();
    for (change, trail) in round.change_set.changes().iter().zip(&round.trails) {
        if change.op() != crate::change::Op::Create {
            continue;
        }
        let itself = crate::change::apply::Part::Itself.to_string();
        let made = trail.attempts.iter().filter(|attempt| attempt.intent.step.step == itself);
        for (_, settled) in made.flat_map(|attempt| &attempt.settled) {
            if let (crate::journal::Outcome::Applied, Some(id)) =
                (settled.outcome, &settled.entity_id)
            {
                ids.insert(change.id().to_string(), id.clone());
            }
        }
    }
    ids
}
