//! The protocol of a program in another process.
//!
//! That process is not trusted. It gets a session whose every read is answered here, as far as the
//! actor may see it; its draft comes back as data, and is accepted only if it rests on what was
//! really read. It can draft what any script can draft, and is judged like one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use serde::{Deserialize, Serialize};

use crate::change::{Change, ChangeSet, Edit, EntityId, Op, ReadSet, TaskBasis, TaskState, Write};
use crate::host::error::{Error, Relayed};
use crate::host::failure::Failure;
use crate::host::query::{Counts, Query, QueryResult, RemoteDraft};
use crate::host::session::core::{Asks, Facts, HostLink, Session, State, View};
use crate::host::stop::StopReason;
use crate::model::snapshot::Snapshot;
use crate::model::{
    Bucket, BucketId, Limits, Plan, PlanId, Task, TaskDetails, TaskId, User, Versioned,
};
use crate::policy::limits::comment_over;

/// The start of a program in another process.
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
    is_application: bool,
    nonce: String,
    reads: u64,
    edits: usize,
    edit_bytes: usize,
    limits: Limits,
    view: View,
    /// The changes that are drafted already.
    drafted: ChangeSet,
    counts: Counts,
    /// The ids that provisional ones of earlier segments have become.
    made: BTreeMap<String, String>,
    /// The entities that were read already, and details that the program would take for empty.
    known: Known,
}

/// Entities that were read, each with its tag.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Known {
    plans: Vec<Versioned<Plan>>,
    buckets: Vec<Versioned<Bucket>>,
    tasks: Vec<Versioned<Task>>,
    details: Vec<(TaskId, Versioned<TaskDetails>)>,
}

/// A board with a set that is drafted on it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Scene {
    start: Start,
    set: ChangeSet,
}

/// The case for a judge in another process: the segments of the run with the boards of their times,
/// the present one last.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Case {
    scenes: Vec<Scene>,
    /// The run as a whole, on the board as it was when it began; only after a commit.
    whole: Option<Scene>,
}

/// A case, in the process of the judge.
pub(crate) struct Judged {
    /// The present board.
    pub(crate) session: Session,
    /// The set that is judged.
    pub(crate) set: Arc<ChangeSet>,
    /// The run as a whole, with its board.
    pub(crate) whole: Option<(Session, Arc<ChangeSet>)>,
}

/// The number of the board of the run as a whole, where those of segments are counted.
const WHOLE: usize = usize::MAX;

/// Returns the session of a program in this worker.
pub(crate) fn session_of(start: Start, host: &HostLink) -> Session {
    session_asking(start, 0, host)
}

/// Returns the case to judge in this worker: the present board with its set, after the segments
/// before it.
pub(crate) fn judged_of(case: Case, host: &HostLink) -> Option<Judged> {
    let Case { mut scenes, whole } = case;
    let present = scenes.pop()?;
    let session = session_asking(present.start, 0, host);
    session.rest_on(&present.set);
    let segments = scenes.into_iter().enumerate().map(|(n, scene)| {
        let then = session_asking(scene.start, n + 1, host);
        then.rest_on(&scene.set);
        (then, Arc::new(scene.set))
    });
    let segments = segments.collect();
    session.state().segments = segments;
    let whole = whole.map(|scene| {
        let board = session_asking(scene.start, WHOLE, host);
        board.rest_on(&scene.set);
        (board, Arc::new(scene.set))
    });
    Some(Judged { session, set: Arc::new(present.set), whole })
}

fn zone_of(start: &Start) -> TimeZone {
    let named = start.zone.as_deref().and_then(|name| TimeZone::get(name).ok());
    let fixed = || Offset::from_seconds(start.offset).map_or(TimeZone::UTC, TimeZone::fixed);
    named.unwrap_or_else(fixed)
}

fn session_asking(start: Start, segment: usize, host: &HostLink) -> Session {
    let facts = Facts {
        now: start.now,
        zone: zone_of(&start),
        me: start.me.clone(),
        agent: start.agent.clone(),
        beta: start.beta,
        is_application: start.is_application,
        // The host confines the answers, so this side needs no scope.
        scope: None,
        named: Arc::default(),
        reads: start.reads,
        edits: start.edits,
        edit_bytes: start.edit_bytes,
        limits: start.limits,
        remote: true,
    };
    let (nonce, view) = (start.nonce.clone(), start.view);
    let asks = Asks::Host(segment, Arc::clone(host));
    let session = Session::asking(facts, nonce, asks, None);
    session.begin_with(start);
    session.seen(view)
}

impl Session {
    /// Begins on the present board of the host, with its draft.
    pub(crate) fn begin_with(&self, start: Start) {
        self.begin_again();
        self.rest_on(&start.drafted);
        self.stop().clear();
        let zone = zone_of(&start);
        let mut state = self.state();
        state.clock = Some((start.now, zone));
        state.made = start.made;
        state.count_from(start.counts);
        state.snapshot = Snapshot::default();
        let Known { plans, buckets, tasks, details } = start.known;
        for plan in plans {
            state.snapshot.add_plan(plan.value.id.clone(), plan);
        }
        for bucket in buckets {
            state.snapshot.add_bucket(bucket.value.id.clone(), bucket);
        }
        for task in tasks {
            state.snapshot.add_task(task.value.id.clone(), task);
        }
        for (id, details) in details {
            state.snapshot.add_details(id, details);
        }
    }

    /// Returns the start of a program in another process.
    pub(crate) fn remote_start(&self) -> Start {
        let drafted = self.change_set();
        Start { drafted: drafted.clone(), ..self.start_with(&drafted) }
    }

    /// Returns the case for judges in another process.
    pub(crate) fn case_of(&self, set: &ChangeSet, whole: Option<&(Self, ChangeSet)>) -> Case {
        let scene = |session: &Self, set: &ChangeSet| Scene {
            start: session.start_with(set),
            set: set.clone(),
        };
        let mut scenes: Vec<Scene> =
            self.segments().iter().map(|(then, set)| scene(then, set)).collect();
        scenes.push(scene(self, set));
        Case { scenes, whole: whole.map(|(board, all)| scene(board, all)) }
    }

    /// Returns the known states of the entities that a set is about: the judges will read them.
    fn known_of(&self, set: &ChangeSet) -> Known {
        let state = self.state();
        let snapshot = &state.snapshot;
        let bare = snapshot.details_of_bare().map(|(id, details)| (id.clone(), details.clone()));
        let mut known = Known { details: bare.collect(), ..Known::default() };
        let (mut plans, mut buckets) = (BTreeSet::new(), BTreeSet::new());
        for change in set.changes() {
            plans.extend([Some(change.plan()), change.moves_to()].into_iter().flatten().cloned());
            match change.id() {
                EntityId::Bucket(id) => _ = buckets.insert(id),
                EntityId::Task(id) => {
                    let task = snapshot.task(&id);
                    buckets.extend(task.and_then(|task| task.value.bucket.clone()));
                    known.tasks.extend(task.cloned());
                    let details = snapshot.details(&id).cloned();
                    known.details.extend(details.map(|details| (id, details)));
                }
                EntityId::Plan(_) | EntityId::PlanDetails(_) | EntityId::Comment(_) => {}
            }
            if let Write::Comment(edit) = &change.write {
                known.tasks.extend(snapshot.task(&edit.known().task).cloned());
            }
        }
        known.plans.extend(plans.iter().filter_map(|id| snapshot.plan(id).cloned()));
        known.buckets.extend(buckets.iter().filter_map(|id| snapshot.bucket(id).cloned()));
        known
    }

    fn start_with(&self, set: &ChangeSet) -> Start {
        let facts = self.facts();
        let (now, zone) = (self.now(), self.zone());
        let (nonce, made, counts) = {
            let state = self.state();
            (state.draft.nonce().to_owned(), state.made.clone(), state.counts())
        };
        let known = self.known_of(set);
        Start {
            now,
            zone: zone.iana_name().map(str::to_owned),
            offset: zone.to_offset(now).seconds(),
            me: facts.me.clone(),
            agent: facts.agent.clone(),
            beta: facts.beta,
            is_application: facts.is_application,
            nonce,
            reads: facts.reads,
            edits: facts.edits,
            edit_bytes: facts.edit_bytes,
            limits: facts.limits,
            view: self.view(),
            drafted: ChangeSet::default(),
            counts,
            made,
            known,
        }
    }

    /// Answers a judge in another process.
    pub(crate) fn answer_judge(
        &self,
        segment: usize,
        whole: Option<&(Self, ChangeSet)>,
        ask: &Query,
    ) -> QueryResult {
        match (segment, whole) {
            (0, _) => return self.answer_remote(ask),
            (WHOLE, Some((board, _))) => return board.answer_remote(ask),
            _ => {}
        }
        match self.segments().get(segment - 1) {
            Some((then, _)) => then.answer_remote(ask),
            None => Err(Relayed::from_error(&Error::ReadOnly)),
        }
    }

    /// Counts the reads of a judge in another process.
    pub(crate) fn count_all(&self, reads: ReadSet) {
        self.state().reads.extend(reads.into_iter().filter(|read| !read.is_of_new()));
    }

    /// Answers a program in another process.
    pub(crate) fn answer_remote(&self, ask: &Query) -> QueryResult {
        self.answer(ask).map_err(|error| Relayed::from_error(&error))
    }

    /// Returns the draft of this session, to be accepted by its host.
    pub(crate) fn wanted(&self) -> RemoteDraft {
        let set = self.change_set();
        let state = self.state();
        RemoteDraft {
            set,
            counts: state.counts(),
            reads: state.reads.clone(),
            output: state.output.clone(),
            warnings: state.warnings.clone(),
        }
    }

    /// Accepts the draft of a program in another process.
    ///
    /// # Errors
    /// Something in it does not rest on what was read here.
    pub(crate) fn take_over(&self, wanted: RemoteDraft) -> Result<(), Failure> {
        let limit = self.facts().edits;
        if wanted.set.changes().len() > limit {
            self.stop().set(StopReason::Budget("changes", limit.to_string()));
        }
        for change in wanted.set.changes() {
            self.check_stop().map_err(Failure::from)?;
            self.vouch_for(change, &wanted.set)?;
        }
        // Numbers and order are the host's to decide.
        let set = ChangeSet::numbered(wanted.set.changes().to_vec());
        self.rest_on(&set);
        let mut state = self.state();
        state.count_from(wanted.counts);
        // The reads count as well: they are validated before the first write.
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
                    Ok(left_in(set, there, |task| task.plan == *plan))
                }
                Write::Bucket(edit) => {
                    let bucket = &edit.known().id;
                    let there = self.peek_tasks_in(bucket)?;
                    Ok(left_in(set, there, |task| task.bucket.as_ref() == Some(bucket)))
                }
                Write::PlanDetails { .. } | Write::Task(_) | Write::Comment(_) => {
                    Ok(BTreeSet::new())
                }
            }
        };
        // A plan is created only in a group of the actor's (rule R6), whoever drafted it.
        let group = match &change.write {
            Write::Plan(edit) if matches!(**edit, Edit::Create { .. }) => {
                edit.known().group.clone()
            }
            _ => None,
        };
        let rests = rests && self.may_comment(change, set);
        let rests = match group {
            Some(group) => {
                rests
                    && self.peek_groups().map_err(Failure::from)?.iter().any(|own| own.id == group)
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
                "the script's process drafted a change of `{}` that does not rest on what it has read",
                change.title()
            ),
            ..Failure::default()
        })
    }
}

impl Session {
    /// Checks that a comment is on a task that was read or is new, and says so: it is judged by its
    /// plan, and shown under its title.
    fn may_comment(&self, change: &Change, set: &ChangeSet) -> bool {
        let Write::Comment(edit) = &change.write else { return true };
        let comment = edit.known();
        let is_of = |task: &Task| task.plan == comment.plan && task.title == comment.title;
        let state = self.state();
        let is_known = match state.snapshot.task(&comment.task) {
            Some(read) => is_of(&read.value),
            None => set.changes().iter().any(|change| match &change.write {
                Write::Task(edit) => {
                    let task = &edit.known().task;
                    change.op() == Op::Create
                        && task.id == comment.task
                        && task.plan == comment.plan
                }
                _ => false,
            }),
        };
        let facts = self.facts();
        let may_chat = facts.beta && !facts.is_application;
        may_chat && is_known && comment_over(&comment.text, &facts.limits).is_none()
    }
}

/// Returns the tasks that are left in a container when a set is carried out, except for its
/// deletions of containers.
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

impl State {
    fn counts(&self) -> Counts {
        Counts { created: self.draft.n_created(), keys: self.n_keys, draws: self.n_draws }
    }

    fn count_from(&mut self, counts: Counts) {
        self.draft.count_from(counts.created);
        self.n_keys = self.n_keys.max(counts.keys);
        self.n_draws = self.n_draws.max(counts.draws);
    }

    fn vouches_for(&self, change: &Change) -> bool {
        let nonce = self.draft.nonce();
        // Only the run's own nonce makes a provisional id; an entity of the board cannot be passed
        // off as new.
        let is_new = |id: &str| id.contains(nonce);
        let snapshot = &self.snapshot;
        match &change.write {
            Write::Plan(edit) => match &**edit {
                Edit::Create { after } => is_new(after.id.as_str()),
                Edit::Update { before, basis, .. } | Edit::Delete { before, basis } => snapshot
                    .plan(&before.id)
                    .is_some_and(|read| read.value == *before && read.etag == *basis),
            },
            // People see the change under this title, so it must be the true one.
            Write::PlanDetails { plan, title, .. }
                if snapshot.plan(plan).is_some_and(|read| read.value.title != *title) =>
            {
                false
            }
            Write::PlanDetails { plan, edit, .. } => match edit {
                Edit::Create { .. } => is_new(plan.as_str()),
                Edit::Update { before, basis, .. } | Edit::Delete { before, basis } => snapshot
                    .plan_details(plan)
                    .is_some_and(|read| read.value == *before && read.etag == *basis),
            },
            Write::Bucket(edit) => match edit {
                Edit::Create { after } => is_new(after.id.as_str()) && self.reaches(&after.plan),
                Edit::Update { before, basis, .. } | Edit::Delete { before, basis } => snapshot
                    .bucket(&before.id)
                    .is_some_and(|read| read.value == *before && read.etag == *basis),
            },
            Write::Task(edit) => match &**edit {
                Edit::Create { after } => {
                    is_new(after.task.id.as_str())
                        && self.reaches(&after.task.plan)
                        && after.task.bucket.as_ref().is_none_or(|bucket| self.knows(bucket))
                }
                Edit::Update { before, basis, after } => {
                    self.was_read(before, basis)
                        && after.task.id == before.task.id
                        && (after.task.bucket == before.task.bucket
                            || after.task.bucket.as_ref().is_none_or(|bucket| self.knows(bucket)))
                        && (after.task.plan == before.task.plan || self.reaches(&after.task.plan))
                }
                Edit::Delete { before, basis } => self.was_read(before, basis),
            },
            Write::Comment(edit) => is_new(edit.known().id.as_str()),
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
        let task = task.is_some_and(|read| read.value == before.task && read.etag == basis.task);
        let details = match (&before.details, &basis.details) {
            (None, None) => true,
            (Some(details), Some(tag)) => {
                let read = self.snapshot.details(id);
                read.is_some_and(|read| read.value == *details && read.etag == *tag)
            }
            // Taken for empty, as the task says that it has no details.
            (Some(details), None) => {
                let bare = self.snapshot.task(id).is_some_and(|task| task.value.has_bare_details());
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
            && places.iter().all(|(board, place)| {
                before.places.get(board) == Some(&place.value)
                    && basis.places.get(board) == Some(&place.etag)
            });
        task && details && places
    }
}
