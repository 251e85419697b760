//! One run: draft → review → apply → report.
//!
//! The stages are types: a program fills a draft, a review makes it a judged set, and only a
//! cleared set is carried out. A dry run is the same without the last step.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use tokio::sync::mpsc;
use tracing::{Instrument as _, Span};

use crate::change::apply::Learned;
use crate::change::{ChangeSet, EntityId, ReadSet, Saved};
use crate::host::broker;
use crate::host::failure::{Failure, interrupted};
use crate::host::known_plans::Resolved;
use crate::host::query::PendingQuery;
use crate::host::record::{self, Origin, Record};
use crate::host::report::{ChangeReport, Report, Status};
use crate::host::run::grounds::Grounds;
use crate::host::session::core::{Facts, Session, View};
use crate::host::session::journaled::History;
use crate::host::session::names::names;
use crate::host::start::{Agent, Finished, Host, PlanNames, Program, Start};
use crate::host::stop::StopReason;
use crate::host::thread::{self, Crash};
use crate::journal::{Judgement, NewRun, Purpose, RunId};
use crate::model::{PlanId, Task, User, Versioned};
use crate::policy::{Earlier, Reviewed, Ruling, Verdict};
use crate::wire::entity::Any;
use crate::wire::request;

pub mod approver;
mod commit;
mod grounds;
mod outcome;
mod review;
mod rounds;
mod saved;
mod settle;
mod validate;

/// The most rulings that the journal keeps of a run.
const KEPT_RULINGS: usize = 200;

impl<F> Program for F
where
    F: Fn(&Session) -> Result<Value, Failure> + Send + Sync,
{
    fn run(&self, session: &Session) -> Result<Value, Failure> {
        self(session)
    }
}

/// A run between its stages.
struct Run<'a> {
    host: &'a Host,
    start: Arc<Start>,
    session: Session,
    report: Report,
    began: Instant,
    saved: Option<Saved>,
    requests_before: crate::graph::Counts,
    record: Option<Record>,
    /// The set whose changes the report shows.
    shown: ChangeSet,
    /// The runs that it comes from.
    origin: Origin,
    /// The reads that its set rests on, without those of the policies.
    drafted_on: ReadSet,
    /// The reads of earlier boards that it was decided on.
    grounds: Vec<Grounds>,
    /// The numbers of its changes, if it carries on another run.
    numbers: BTreeMap<EntityId, usize>,
    /// The commits that its program asks for.
    commits: mpsc::Receiver<PendingQuery>,
    /// The changes applied in earlier segments, with the rulings on them.
    done: (Vec<ChangeReport>, Vec<Ruling>),
    earlier: Earlier,
    /// The warnings of the host about earlier segments.
    remarks: Vec<String>,
    /// The warnings about the configuration, reported whatever the outcome.
    notices: Vec<String>,
    /// The ids that provisional ones have become.
    made: BTreeMap<String, String>,
    /// The rate of writes that the service is known to take.
    learned: Option<Learned>,
    /// True if its program goes on after the present apply.
    committing: bool,
    /// True if it is over, whatever its program still does.
    ended: bool,
}

impl Host {
    /// Runs a program: drafts, reviews, and applies unless a rule or policy refuses.
    pub async fn run(&self, mut start: Start, program: Arc<dyn Program>) -> Finished {
        start.purpose = Purpose::Run;
        self.run_for(Origin::default(), start, program).await
    }

    /// Runs a program as the run of an id that is known beforehand: whoever has noted the id finds
    /// out from the journal, whatever happens, how far the run has come. An id is used once.
    pub async fn run_as(&self, id: RunId, mut start: Start, program: Arc<dyn Program>) -> Finished {
        start.purpose = Purpose::Run;
        self.run_for(Origin { id: Some(id), ..Origin::default() }, start, program).await
    }

    /// Runs a program on behalf of another run.
    #[tracing::instrument(name = "run", skip_all, fields(run_id, skill, agent, status))]
    pub(crate) async fn run_for(
        &self,
        origin: Origin,
        start: Start,
        program: Arc<dyn Program>,
    ) -> Finished {
        let mut run = match self.open_for(start, true, origin.id.as_ref()).await {
            Ok(run) => run,
            Err(finished) => return *finished,
        };
        run.origin = origin;
        let drafted = run.draft(&program).await;
        if run.ended {
            return run.finish().await;
        }
        // Before the program's own failure is looked at: a run that fails is on record as well.
        let writes = !run.session.change_set().is_empty();
        let recorded = run.begin_record(writes).await;
        // A committed edit cannot be drafted again, so the program does not run a second time.
        let again = Some(&program).filter(|_| run.done.0.is_empty());
        match (drafted, recorded) {
            (Err(failure), _) | (Ok(()), Err(failure)) => run.fail(failure),
            (Ok(()), Ok(())) => run.review_and_apply(again).await,
        }
        run.finish().await
    }

    /// Reads the board only.
    ///
    /// # Errors
    /// The error of the work, or of opening the session.
    pub async fn look<T: Send + 'static>(
        &self,
        agent: Option<Agent>,
        work: impl FnOnce(&Session) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        self.on_thread(&self.session(agent).await?, work).await
    }

    /// Lists the tasks of a plan once more, for whoever watches it. Whether an agent may see the plan
    /// is asked of a session, which reads no plan twice; this is for those it has let through.
    ///
    /// # Errors
    /// The plan is not there any more, or the service cannot be reached.
    pub(crate) async fn list_tasks(&self, plan: &PlanId) -> Result<Vec<Versioned<Task>>, Failure> {
        let listed = self.client.list(&request::plan_tasks(plan)).await;
        listed.map_err(|error| Failure::from(crate::host::error::Error::from(error)))
    }

    /// Opens a session outside any run.
    pub(crate) async fn session(&self, agent: Option<Agent>) -> Result<Session, Failure> {
        let start = Start {
            purpose: Purpose::Run,
            skill: "read".into(),
            skill_digest: None,
            params: Value::Null,
            agent,
            force: false,
            dry_run: true,
        };
        match self.open_for(start, false, None).await {
            // The receiver of commits is dropped with the run: this session cannot commit.
            Ok(run) => Ok(run.session.seen(View::Before)),
            Err(finished) => Err(finished.report.error.unwrap_or_default()),
        }
    }

    /// Finds out who acts and opens a session for them, whose changes will be judged.
    async fn open(&self, start: Start) -> Result<Run<'_>, Box<Finished>> {
        self.open_for(start, true, None).await
    }

    async fn open_for(
        &self,
        start: Start,
        judged: bool,
        id: Option<&RunId>,
    ) -> Result<Run<'_>, Box<Finished>> {
        let began = Instant::now();
        // The client counts the requests of all runs of this host; the report shows the difference.
        let requests_before = self.client.counts();
        let run_id = id.map_or_else(|| uuid::Uuid::now_v7().to_string(), ToString::to_string);
        let mut report = Report::new(run_id, start.skill.clone(), start.skill_digest.clone());
        report.is_dry_run = start.dry_run;
        let span = Span::current();
        span.record("run_id", &report.run_id).record("skill", &start.skill);
        if let Some(agent) = &start.agent {
            span.record("agent", &agent.name);
        }
        let begun = async {
            if judged {
                self.check_not_paused(start.agent.as_ref()).await?;
            }
            let me = self.me().await?;
            let resolved = self.plans_named(&me, start.agent.as_ref(), judged).await?;
            Ok((me, resolved))
        };
        let begun = tokio::select! {
            begun = begun => begun,
            // There is no session yet whose stop could end these requests.
            () = self.interrupt.wait() => Err(interrupted()),
        };
        let (me, resolved) = match begun {
            Ok(begun) => begun,
            Err(failure) => {
                report.error = Some(failure);
                let made = BTreeMap::new();
                return Err(Box::new(Finished { report, saved: None, made }));
            }
        };
        let agent = start.agent.as_ref();
        report.set_actor(&me, agent.map(|agent| agent.name.as_str()));
        let facts = Facts {
            now: self.clock.now(),
            zone: self.zone.clone(),
            me,
            agent: agent.map(|agent| agent.name.clone()),
            beta: self.client.base().is_beta(),
            is_application: self.client.application().is_some(),
            scope: agent.and_then(|agent| agent.plans.clone()),
            named: Arc::new(resolved.known),
            reads: self.max_reads,
            edits: self.max_edits,
            edit_bytes: self.max_edit_bytes,
            limits: self.limits,
            remote: false,
        };
        let (questions, incoming) = mpsc::channel(4);
        let (to_commit, commits) = mpsc::channel(1);
        let broker = broker::serve(self.client.for_session(), incoming, to_commit);
        tokio::spawn(broker.in_current_span());
        let history = self.state_folder.clone().map(|state_folder| History {
            state_folder,
            service: self.service.clone(),
            run: report.run_id.clone(),
            opened: Arc::default(),
        });
        let nonce: String = uuid::Uuid::new_v4().simple().to_string().chars().take(12).collect();
        let session = Session::new(facts, nonce, questions, history);
        if let Some(listed) = resolved.listed {
            session.keep_plans(listed);
        }
        Ok(Run {
            host: self,
            start: Arc::new(start),
            session,
            report,
            began,
            saved: None,
            requests_before,
            record: None,
            shown: ChangeSet::default(),
            drafted_on: ReadSet::new(),
            grounds: Vec::new(),
            origin: Origin::default(),
            numbers: BTreeMap::new(),
            commits,
            done: Default::default(),
            earlier: Earlier::default(),
            remarks: Vec::new(),
            notices: resolved.warnings,
            made: BTreeMap::new(),
            learned: None,
            committing: false,
            ended: false,
        })
    }

    /// Fails if a person has paused the agent.
    async fn check_not_paused(&self, agent: Option<&Agent>) -> Result<(), Failure> {
        let (Some(agent), Some(folder)) = (agent, self.state_folder.clone()) else {
            return Ok(());
        };
        let name = agent.name.clone();
        record::blocking(move || folder.check_not_paused(&name)).await
    }

    /// Resolves the plans that the configuration names, as far as they matter to the actor: those
    /// that confine an agent, and, if changes will be judged, those that policies guard.
    async fn plans_named(
        &self,
        me: &User,
        agent: Option<&Agent>,
        judged: bool,
    ) -> Result<Resolved, Failure> {
        let mut names = if judged { self.judge.plan_names() } else { PlanNames::default() };
        if agent.is_none() {
            names.granted.clear();
        }
        let own = agent.and_then(|agent| agent.plans.as_ref());
        let is_unnamed = names.guarded.is_empty() && names.granted.is_empty();
        if is_unnamed && own.is_none_or(BTreeSet::is_empty) {
            return Ok(Resolved::default());
        }
        self.resolve_plans(me, names, own).await
    }

    /// Asks the service for a little, to see that it answers.
    ///
    /// # Errors
    /// It does not as it should.
    pub(crate) async fn greet(&self) -> Result<(), Failure> {
        if self.client.application().is_none() {
            return self.me().await.map(drop);
        }
        match self.client.read::<Any>(&request::any_group()).await {
            // An application works without the right to look for groups.
            Err(error) if !error.refusal().is_some_and(|refusal| refusal.is_forbidden()) => {
                Err(Failure::from(crate::host::error::Error::from(error)))
            }
            _ => Ok(()),
        }
    }

    /// Returns the signed-in user, or the application that is signed in as itself.
    ///
    /// # Errors
    /// Nobody is signed in, the service has no beta, or it cannot be reached.
    pub async fn me(&self) -> Result<User, Failure> {
        if let Some(application) = self.client.application() {
            return Ok(application);
        }
        let base = self.client.base();
        self.client.read::<User>(&request::me()).await.map_err(|error| {
            let refused =
                error.refusal().is_some_and(|refusal| matches!(refusal.status, 400 | 404 | 405));
            if base.is_beta() && refused && !error.needs_user() {
                return Failure {
                    code: "no_beta".into(),
                    message: format!("{} has no beta", base.origin()),
                    hint: Some("leave out `--beta`, or `beta = true` in planwright.toml".into()),
                    ..Failure::default()
                };
            }
            Failure::from(crate::host::error::Error::from(error))
        })
    }

    /// Runs `work` on a thread of its own, within the time limit, until it ends or is stopped.
    pub(crate) async fn on_thread<T: Send + 'static>(
        &self,
        session: &Session,
        work: impl FnOnce(&Session) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let stop = Arc::clone(session.stop());
        let (limit, interrupt) = (self.time_limit, Arc::clone(&self.interrupt));
        let watch = tokio::spawn({
            let stop = Arc::clone(&stop);
            async move {
                tokio::select! {
                    () = interrupt.wait() => stop.set(StopReason::Cancelled),
                    () = tokio::time::sleep(limit) => {
                        stop.set(StopReason::Budget("time", format!("{} s", limit.as_secs())));
                    }
                }
            }
        });
        let on_thread = session.clone();
        let outcome = thread::run("planwright-run", move || work(&on_thread)).await;
        watch.abort();
        // A stop set late must not hit the next piece of work on this session.
        let _aborted = watch.await;
        match (outcome, stop.reason()) {
            // A program may catch the error of a stop; it is stopped all the same.
            (Ok(Err(failure)), _) => Err(failure),
            (Ok(Ok(_)), Some(reason)) => Err(Failure {
                code: reason.code().into(),
                message: reason.to_string(),
                ..Failure::default()
            }),
            (Ok(Ok(result)), None) => Ok(result),
            (Err(Crash::NoThread(text)), _) => Err(Failure {
                code: "service".into(),
                message: format!("no thread could be started: {text}"),
                ..Failure::default()
            }),
            (Err(Crash::Panic(text)), _) => Err(Failure {
                code: "bug".into(),
                message: format!("planwright itself failed: {text}"),
                hint: Some("this is a bug: please report it, with what you ran".into()),
                ..Failure::default()
            }),
        }
    }
}

impl Run<'_> {
    /// Returns what is drafted so far, as it would be applied.
    fn change_set(&self) -> ChangeSet {
        self.session.change_set().numbered_as(&self.numbers)
    }

    /// Records that the run begins. A run that writes nothing goes on without a record, with a
    /// warning.
    async fn begin_record(&mut self, writes: bool) -> Result<(), Failure> {
        // A run that commits was put on record by its first segment.
        let Some(state_folder) = self.host.state_folder.clone().filter(|_| self.record.is_none())
        else {
            return Ok(());
        };
        let origin = self.origin.clone();
        let facts = self.session.facts();
        let new = NewRun {
            id: RunId::parse(&self.report.run_id).map_err(|error| record::failure(&error))?,
            at: facts.now,
            service: self.host.service.clone(),
            actor: facts.me.id.clone(),
            upn: facts.me.upn.clone(),
            agent: facts.agent.clone(),
            purpose: self.start.purpose,
            parent: origin.parent,
            takes_up: origin.takes_up,
            skill: self.start.skill.clone(),
            skill_digest: self.start.skill_digest.clone(),
            params: self.start.params.clone(),
            policies: self.host.judge.digests(),
        };
        match Record::begin(state_folder, new, Arc::clone(&self.host.clock)).await {
            Ok(record) => self.record = Some(record),
            Err(failure) if self.start.dry_run || !writes => {
                self.report.warnings.push(format!("not recorded: {}", failure.message));
            }
            // A write that is on no record could be neither resumed nor undone, so none is begun.
            Err(failure) => return Err(failure),
        }
        Ok(())
    }

    /// Records the judgement on a set that is not applied.
    async fn judged(&mut self, set: &ChangeSet, outcome: Judgement) {
        let Some(record) = &self.record else { return };
        if let Err(failure) = record.judged(set.clone(), outcome).await {
            self.report.warnings.push(format!("not recorded: {}", failure.message));
        }
    }

    /// Runs the program, for the first time or again.
    async fn draft(&mut self, program: &Arc<dyn Program>) -> Result<(), Failure> {
        let (session, program, host) = (self.session.clone(), Arc::clone(program), self.host);
        let work = host.on_thread(&session, move |session| program.run(session));
        let mut work = Box::pin(work);
        let drafted = loop {
            tokio::select! {
                biased;
                drafted = &mut work => break drafted,
                Some(question) = self.commits.recv() => Box::pin(self.commit(question)).await,
            }
        };
        // The report of a run that is over is drawn up already.
        if !self.ended {
            self.take_output();
        }
        // Only now: the output of a program that failed is reported all the same.
        self.report.result = drafted?;
        Ok(())
    }

    fn take_output(&mut self) {
        let state = self.session.state();
        self.report.output.clone_from(&state.output);
        self.report.warnings.clone_from(&state.warnings);
    }

    fn fail(&mut self, failure: Failure) {
        self.report.status = Status::Failed;
        self.report.error = Some(failure);
        self.show(&self.change_set(), None);
    }

    /// Shows a set in the report, as not carried out yet.
    fn show(&mut self, set: &ChangeSet, reviewed: Option<&Reviewed>) {
        self.report.names = names(&self.session, set);
        let verdict = |n| reviewed.map_or(Verdict::Allow, |reviewed| reviewed.verdict_of(n));
        let changes = set.changes().iter();
        self.report.changes =
            changes.map(|change| ChangeReport::planned(change, verdict(change.n))).collect();
        self.shown = set.clone();
    }

    /// Shows a set in the report, with its verdicts.
    fn show_reviewed(&mut self, reviewed: &Reviewed) {
        self.report.verdicts = reviewed.rulings().to_vec();
        self.show(reviewed.set(), Some(reviewed));
        if let Some(record) = self.record.as_mut() {
            // A review sorts its rulings, the worst first, so what is cut off here matters least.
            let kept: Vec<_> = self.report.verdicts.iter().take(KEPT_RULINGS).collect();
            record.rulings = serde_json::to_value(kept).unwrap_or_default();
        }
    }

    async fn finish(mut self) -> Finished {
        self.join_segments();
        self.tell_cut_short();
        // Last, since a redraft starts the warnings afresh.
        self.report.warnings.append(&mut self.notices);
        let counts = self.host.client.counts();
        let stats = &mut self.report.stats;
        let is_confined = self.session.facts().scope.is_some();
        stats.requests = (!is_confined).then(|| counts.requests - self.requests_before.requests);
        stats.retries += counts.retries - self.requests_before.retries;
        stats.duration_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        if let Some(record) = self.record.take() {
            // What a person did not wait for and had done is not there to be approved later on.
            let is_anew = matches!(self.start.purpose, Purpose::Run | Purpose::Undo);
            if is_anew && self.report.status == Status::Applied {
                match record.supersede(std::mem::take(&mut self.shown)).await {
                    Ok(0) => {}
                    Ok(_) => self
                        .report
                        .warnings
                        .push("the same set waited for approval, and does not any more".to_owned()),
                    Err(failure) => self.report.warnings.push(failure.message),
                }
            }
            if let Err(failure) = record.finish(&self.report).await {
                // The writes have happened all the same, so this is no failure of the run.
                let warning = format!("the end of the run is not recorded: {}", failure.message);
                self.report.warnings.push(warning);
            }
        }
        Span::current().record("status", tracing::field::debug(self.report.status));
        Finished { report: self.report, saved: self.saved, made: self.made }
    }
}
