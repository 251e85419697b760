//! A run's part in the journal: its set, what is about to be sent, and the outcomes.
//!
//! The journal blocks until its rows are on the disk, so it is called on threads for blocking work.
//! Nothing is sent before that: intent first, or a crash would leave a write that nobody knows of.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::change::apply::Candidate;
use crate::change::{Change, ChangeSet, EntityId, Saved};
use crate::host::failure::Failure;
use crate::host::report::{Report, Status};
use crate::host::stop::Stop;
use crate::journal::kept::{KeptSet, KeptState};
use crate::journal::{
    Guard, Intent, Journal, Judgement, Lockable, NamesFile, NewRun, Note, NoteKind, PlanLocks,
    RunId, RunStatus, Settled,
};
use crate::model::{Clock, User};

/// The runs that a run comes from, besides its start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The id of the run itself, if whoever asked for it has chosen it beforehand.
    pub(crate) id: Option<RunId>,
    pub(crate) parent: Option<RunId>,
    pub(crate) takes_up: Option<String>,
    /// True if the run that is carried on would have done more: then it ends as partial at best.
    pub(crate) cut_short: bool,
    /// The entities created by the run that is being undone: deleting them is an undo, and no
    /// deletion of anybody's work.
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
    /// It cannot be opened.
    pub fn open(&self) -> Result<Journal, Failure> {
        Journal::open(&self.folder.join("journal.db")).map_err(|error| failure(&error))
    }

    /// Opens the journal to read; `None` if there is none yet.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open_to_read(&self) -> Result<Option<Journal>, Failure> {
        let path = self.folder.join("journal.db");
        if !path.exists() {
            return Ok(None);
        }
        match Journal::open_to_read(&path) {
            // Another process is creating it.
            Err(crate::journal::Error::Older { found: 0, .. }) => Ok(None),
            opened => opened.map(Some).map_err(|error| failure(&error)),
        }
    }

    /// Fails if an agent is paused.
    ///
    /// # Errors
    /// It is, or the journal cannot be read.
    pub(crate) fn check_not_paused(&self, agent: &str) -> Result<(), Failure> {
        let path = self.folder.join("journal.db");
        let checked = if path.exists() {
            Journal::open_to_read(&path).and_then(|journal| journal.check_not_paused(agent))
        } else {
            Ok(())
        };
        match checked {
            // A journal of an older format has no pauses yet.
            Ok(()) | Err(crate::journal::Error::Older { .. }) => Ok(()),
            Err(error) => Err(failure(&error)),
        }
    }

    /// Returns the file with the plans that names in the configuration stand for.
    pub(crate) fn names(&self) -> NamesFile {
        NamesFile::new(&self.folder)
    }

    /// Returns the locks beside the journal.
    ///
    /// # Errors
    /// Their folder cannot be created.
    pub fn locks(&self) -> Result<PlanLocks, Failure> {
        PlanLocks::open(&self.folder).map_err(|error| failure(&error))
    }
}

pub(crate) fn failure(error: &crate::journal::Error) -> Failure {
    Failure::from_error(error.code(), error, error.hint())
}

/// Runs blocking work on a thread where it may block.
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
    /// The rulings on the set.
    pub(crate) rulings: Value,
    /// The lock that shows that this process works on the run.
    _run_lock: Option<Guard>,
}

/// The most bytes of a set that waits, with what it rests on.
const MAX_KEPT: usize = 2 << 20;
/// The bytes kept of a set that was not carried out.
const MAX_REFUSED: usize = 64 << 10;

/// Returns the first changes of a set, up to a total size.
fn first(set: &ChangeSet) -> ChangeSet {
    let mut left = MAX_REFUSED;
    let is_kept = |change: &Change| {
        let size = serde_json::to_string(change).map_or(usize::MAX, |text| text.len());
        left = left.saturating_sub(size);
        left > 0
    };
    ChangeSet::in_this_order(set.changes().iter().cloned().take_while(is_kept).collect())
}

/// Returns a report in the form that is kept: of a run that has written nothing, its first changes
/// and verdicts, with the number left out.
fn to_keep(report: &Report) -> Value {
    let mut value = serde_json::to_value(report).unwrap_or_default();
    // Whoever looks at the run later sees names, without asking the service.
    let mut room = MAX_REFUSED;
    let names = report.names.iter().take_while(|(id, name)| {
        room = room.saturating_sub(id.len() + name.len());
        room > 0
    });
    value["names"] = names.map(|(id, name)| (id.clone(), json!(name))).collect::<Value>();
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
            // Locked before it is on record: whoever finds the run there must not take it for one
            // cut off.
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

    /// Records the judgement on a set; returns its round.
    pub(crate) async fn judged(&self, set: ChangeSet, outcome: Judgement) -> Result<u32, Failure> {
        let (now, rulings) = (self.clock.now(), self.rulings.clone());
        // Refused runs cost nothing to make, so they must not fill the disk: only the part that
        // people look at is kept.
        let set = if outcome.is_clear() || outcome == Judgement::Held { set } else { first(&set) };
        self.tell(move |journal, run| journal.judged(run, now, &set, &rulings, outcome)).await
    }

    /// Records that a person approved a set of this run.
    pub(crate) async fn approved(&self, by: &User, digest: String) -> Result<(), Failure> {
        let note = Note {
            kind: NoteKind::Approved,
            at: self.clock.now(),
            run: Some(self.run.clone()),
            actor: Some(by.id.clone()),
            name: by.upn.clone(),
            detail: json!({ "digest": digest }),
        };
        self.tell(move |journal, _| journal.note(&note)).await
    }

    /// Keeps the set of this run; one that waits expires after a time.
    pub(crate) async fn keep(
        &self,
        saved: &Saved,
        (state, digest): (KeptState, String),
        expires: Option<Duration>,
    ) -> Result<(), Failure> {
        let text = serde_json::to_string(saved).unwrap_or_default();
        if text.len() > MAX_KEPT {
            return Err(Failure {
                code: "too_large".into(),
                message: format!(
                    "the set with what it rests on is larger than {} MiB",
                    MAX_KEPT >> 20
                ),
                hint: Some("save it with `--out FILE`".into()),
                ..Failure::default()
            });
        }
        let now = self.clock.now();
        let set = KeptSet {
            run: self.run.clone(),
            at: now,
            expires_at: expires.and_then(|time| now.checked_add(time).ok()),
            digest,
            changes: u32::try_from(saved.change_set.changes().len()).unwrap_or(u32::MAX),
            saved: text,
            state,
            decided_by: None,
            reason: None,
            applied_by: None,
            moved_seq: None,
        };
        self.tell(move |journal, _| journal.keep(&set)).await
    }

    /// Records the outcomes of what was sent, and what is about to be sent; the latter fails while
    /// the agent is paused. Nothing is sent that does not pass here.
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

    /// Counts the changes that an agent has made since a moment, except those of this run, and the
    /// runs that it has begun within an hour.
    pub(crate) async fn count_of_agent(
        &self,
        agent: String,
        since: Timestamp,
    ) -> Result<(u64, u64), Failure> {
        let now = self.clock.now();
        let an_hour_ago = now.checked_sub(Duration::from_hours(1)).unwrap_or(now);
        self.tell(move |journal, run| journal.count_of_agent((&agent, run), since, an_hour_ago))
            .await
    }

    /// Returns the register of what runs have created.
    pub(crate) fn claims(&self) -> Claims {
        Claims(Arc::clone(&self.journal))
    }

    /// Enters that what the run has written waits nowhere any more.
    pub(crate) async fn supersede(&self, wrote: ChangeSet) -> Result<usize, Failure> {
        let now = self.clock.now();
        self.tell(move |journal, run| journal.supersede(run, &wrote, now)).await
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

/// Locks several things, waiting for their holders. The order is one that all runs share, so that
/// two of them never wait for each other. `None` if the wait was stopped.
pub(crate) async fn lock_all(
    locks: &PlanLocks,
    what: &BTreeSet<Lockable>,
    stop: &Stop,
) -> Result<Option<Vec<Guard>>, Failure> {
    let mut guards = Vec::new();
    for lockable in what {
        let mut nap = NAPS.0;
        loop {
            if let Some(guard) = locks.try_lock(lockable).map_err(|error| failure(&error))? {
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

/// The register of what runs have created.
#[derive(Debug, Clone)]
pub(crate) struct Claims(Arc<Journal>);

impl Claims {
    pub(crate) const fn new(journal: Arc<Journal>) -> Self {
        Self(journal)
    }

    /// Leaves out what a change is known to have created.
    pub(crate) async fn unclaimed(&self, found: Vec<Candidate>) -> Result<Vec<Candidate>, Failure> {
        let journal = Arc::clone(&self.0);
        blocking(move || {
            let mut free = Vec::new();
            for candidate in found {
                if !journal.is_claimed(candidate.id()).map_err(|error| failure(&error))? {
                    free.push(candidate);
                }
            }
            Ok(free)
        })
        .await
    }

    /// Records the outcomes of attempts of other runs.
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

/// Returns the ids that provisional ones of a judged set have become, as the journal has them.
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
