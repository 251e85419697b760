//! The host's end of a worker.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::change::ChangeSet;
use crate::host::query::Query;
use crate::host::query::{QueryResult, RemoteDraft};
use crate::host::session::core::MAX_REMARKS;
use crate::host::{Failure, Session, Start, Stop, StopReason};
use crate::policy::Ruling;
use crate::script::budget::Budget;
use crate::script::finding::{Finding, Role};
use crate::script::line_order::{LineOrder, Lined};
use crate::script::sandbox::coverage::Coverage;
use crate::script::sandbox::memory::OUT_OF_MEMORY;
use crate::script::source::{Outline, ScriptKind, Source};
use crate::script::stage::Stage;
use crate::script::syntax::tokens::tokens;
use crate::script::worker::confine::{Wall, Walls};
use crate::script::worker::frame::{Order, Word, frame, receive};
use crate::script::worker::pool::{are_walls_required, program};
use crate::script::worker::stage::perform;

/// The time compiling may take; nothing interrupts it but the end of its process.
const COMPILING: Duration = Duration::from_secs(10);
/// The time the process may go on beyond its budget of computing before the host ends it.
const GRACE: Duration = Duration::from_secs(1);
/// The interval at which the host checks for a stop while it waits.
const LOOK: Duration = Duration::from_millis(20);

/// The host's end of a worker.
#[derive(Debug)]
pub(crate) struct Worker {
    /// `None` where a thread plays its part.
    child: Option<Child>,
    /// To the thread that writes: the worker need not read, and nobody here waits for it.
    orders: SyncSender<Vec<u8>>,
    words: Receiver<Word>,
    /// The scripts that it has compiled, in the order of their numbers.
    compiled: Vec<(Arc<Source>, Outline)>,
    walls: Option<Walls>,
    kind: Option<ScriptKind>,
    /// The skill or test that it has run.
    ran: Option<Arc<Source>>,
    is_alive: bool,
}

/// A worker's process, where it listens and where it speaks.
type Ends = (Option<Child>, Box<dyn Write + Send>, Box<dyn Read + Send>);

/// The host's reaction to a word.
enum Next<T> {
    /// It waits for this answer.
    Say(Box<Order>),
    /// It goes on by itself.
    Listen,
    /// That was all.
    Done(T),
}

impl<T> Next<T> {
    fn answer(answer: QueryResult) -> Self {
        Self::Say(Box::new(Order::QueryResult(answer)))
    }
}

fn no_process(error: &io::Error) -> Failure {
    Failure {
        code: "service".into(),
        message: format!("the system could not start a process for the script: {error}"),
        ..Failure::default()
    }
}

fn stopped(reason: &StopReason) -> Failure {
    let (code, message) = (reason.code().into(), reason.to_string());
    Failure { code, message, ..Failure::default() }
}

impl Worker {
    /// Starts one that has seen no script yet.
    ///
    /// # Errors
    /// No process can be started.
    pub(super) fn start() -> Result<Self, Failure> {
        let (child, orders, words) = Self::spawn().map_err(|error| no_process(&error))?;
        Self::over(child, words, orders).map_err(|error| no_process(&error))
    }

    #[cfg(not(test))]
    fn spawn() -> io::Result<Ends> {
        let mut command = Command::new(program()?);
        // The host's environment may hold the access token.
        command.arg(COMMAND).env_clear();
        // A panic in a worker would write to the person's terminal; the host says what happened.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        #[cfg(unix)]
        {
            use std::os::unix::process::CommandExt as _;
            // Ctrl-C at a terminal is for the host, which ends the worker and says why.
            command.current_dir("/").process_group(0);
        }
        let mut child = command.spawn()?;
        let (Some(orders), Some(words)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        Ok((Some(child), Box::new(orders), Box::new(words)))
    }

    /// In unit tests this is not the program: a thread plays the worker's part.
    #[cfg(test)]
    fn spawn() -> io::Result<Ends> {
        let _not_started = (program, Command::new::<&str>, Stdio::null, COMMAND);
        let ((there, orders), (words, back)) = (io::pipe()?, io::pipe()?);
        std::thread::spawn(move || {
            crate::script::serve::serve_on(Box::new(there), Box::new(back), Walls::new)
        });
        Ok((None, Box::new(orders), Box::new(words)))
    }

    fn over(
        child: Option<Child>,
        mut out: Box<dyn Read + Send>,
        mut stdin: Box<dyn Write + Send>,
    ) -> io::Result<Self> {
        // Bounded: a worker that floods the host with words fills its pipe and then waits, where a
        // queue without a limit would fill the host's memory.
        let (tell, words) = sync_channel(1);
        let reader = std::thread::Builder::new().name("planwright-worker".to_owned());
        reader.spawn(move || {
            while let Ok(Some(word)) = receive::<Word>(&mut out) {
                if tell.send(word).is_err() {
                    return;
                }
            }
        })?;
        let (orders, to_write) = sync_channel::<Vec<u8>>(1);
        let writer = std::thread::Builder::new().name("planwright-orders".to_owned());
        writer.spawn(move || {
            while let Ok(frame) = to_write.recv() {
                if stdin.write_all(&frame).and_then(|()| stdin.flush()).is_err() {
                    return;
                }
            }
        })?;
        let (compiled, walls, kind, ran) = (Vec::new(), None, None, None);
        Ok(Self { child, orders, words, compiled, walls, kind, ran, is_alive: true })
    }

    /// Returns whether a script may be compiled and run there: skills, policies and tests share no
    /// process, nor do two skills of which one was run.
    pub(super) fn may_take(&self, source: &Arc<Source>) -> bool {
        self.kind.is_none_or(|kind| kind == source.kind)
            && self.ran.as_ref().is_none_or(|ran| ran == source)
    }

    /// Returns whether it has seen no script yet.
    pub(super) const fn is_fresh(&self) -> bool {
        self.kind.is_none()
    }

    /// Keeps it for scripts of a kind.
    pub(super) const fn keep_for(&mut self, kind: ScriptKind) {
        self.kind = Some(kind);
    }

    /// Returns whether it has compiled a script.
    pub(super) fn knows(&self, source: &Arc<Source>) -> bool {
        self.compiled.iter().any(|(known, _)| known == source)
    }

    /// Returns whether it can still be given orders.
    pub(super) const fn is_alive(&self) -> bool {
        self.is_alive
    }

    /// Sends an order, as soon as the worker has read the one before.
    fn order(&mut self, order: &Order, stop: Option<&Stop>) -> Result<(), Failure> {
        let mut frame = frame(order).map_err(|_| self.ended(Budget::default()))?;
        loop {
            // A send that blocks could not be stopped, and the worker may never read again.
            match self.orders.try_send(frame) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Disconnected(_)) => return Err(self.ended(Budget::default())),
                Err(TrySendError::Full(unsent)) => frame = unsent,
            }
            if let Some(reason) = stop.and_then(Stop::reason) {
                return Err(stopped(&reason));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Gives an order, and answers the worker's queries until it is carried out.
    fn carry_out<T>(
        &mut self,
        order: &Order,
        stop: Option<&Stop>,
        budget: Budget,
        react: impl FnMut(Word) -> Result<Next<T>, Failure>,
    ) -> Result<T, Failure> {
        self.is_alive = false;
        let outcome = self.converse(order, stop, budget, react);
        // A worker that was left in the middle of something is of no further use.
        self.is_alive = outcome.is_ok();
        outcome
    }

    fn converse<T>(
        &mut self,
        order: &Order,
        stop: Option<&Stop>,
        budget: Budget,
        mut react: impl FnMut(Word) -> Result<Next<T>, Failure>,
    ) -> Result<T, Failure> {
        self.order(order, stop)?;
        let (mut computing, mut stopping) = (Duration::ZERO, Duration::ZERO);
        loop {
            let began = Instant::now();
            let word = self.words.recv_timeout(LOOK);
            // Only time spent waiting for the worker counts: while the host answers, the worker
            // does not compute.
            computing += began.elapsed();
            match word {
                // A worker says this first, before the answer to its first order.
                Ok(Word::Confined(walls)) => self.stand(walls)?,
                Ok(word) => match react(word)? {
                    Next::Say(order) => self.order(&order, stop)?,
                    Next::Listen => {}
                    Next::Done(result) => return Ok(result),
                },
                Err(RecvTimeoutError::Disconnected) => return Err(self.ended(budget)),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Some(reason) = stop.and_then(Stop::reason) {
                // A person's line is asked to stop, so that its variables live on.
                if !matches!(order, Order::Line { .. }) || stopping > GRACE {
                    return Err(stopped(&reason));
                }
                if stopping.is_zero() {
                    self.order(&Order::Stop, None)?;
                }
                stopping += began.elapsed().max(Duration::from_nanos(1));
            }
            // The worker keeps this budget itself, but looks only between operations of the engine:
            // one long operation is ended here.
            if computing > budget.computing + GRACE {
                let seconds = budget.computing.as_secs();
                let reason = StopReason::Budget("computing time", format!("{seconds} s"));
                return Err(over(&reason));
            }
        }
    }

    /// Records which walls stand around it; fails if a required one is missing.
    fn stand(&mut self, walls: Walls) -> Result<(), Failure> {
        tracing::debug!(?walls, "a process for scripts");
        let missing: Vec<&str> =
            Wall::ALL.into_iter().filter(|wall| !walls.contains(wall)).map(Wall::name).collect();
        self.walls = Some(walls);
        if !are_walls_required() || missing.is_empty() {
            return Ok(());
        }
        Err(Failure {
            code: "isolation".into(),
            message: format!(
                "this system does not keep a script's process from: {}",
                missing.join(", ")
            ),
            hint: Some("`[sandbox] required = true` in planwright.toml asks for every wall".into()),
            ..Failure::default()
        })
    }

    /// Returns the walls that stand around it, as soon as it says so.
    ///
    /// # Errors
    /// It does not say so.
    pub(super) fn walls(&mut self) -> Result<Walls, Failure> {
        if self.walls.is_none() {
            match self.words.recv_timeout(COMPILING) {
                Ok(Word::Confined(walls)) => self.stand(walls)?,
                _ => return Err(self.ended(Budget::default())),
            }
        }
        Ok(self.walls.clone().unwrap_or_default())
    }

    /// Ends the worker for good, and returns why it ended.
    fn ended(&mut self, budget: Budget) -> Failure {
        let Some(child) = &mut self.child else { return unexpected() };
        // One that has only closed its pipe would be waited for without end; one that has exited
        // keeps the code that tells why.
        let _gone = child.kill();
        let status = child.wait();
        if status.as_ref().is_ok_and(|status| status.code() == Some(OUT_OF_MEMORY)) {
            let size = format!("{} MiB", budget.memory >> 20);
            return over(&StopReason::Budget("memory", size));
        }
        let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        Failure {
            code: "budget".into(),
            message: "stopped: the script's process ended, out of memory or stack".into(),
            causes: vec![status],
            ..Failure::default()
        }
    }

    // Orders

    /// Has a script compiled; returns its number and outline.
    ///
    /// # Errors
    /// The script is wrong, or compiling it takes too much.
    pub(crate) fn compile(&mut self, source: &Arc<Source>) -> Result<(usize, Outline), Failure> {
        if let Some(at) = self.compiled.iter().position(|(known, _)| known == source) {
            return Ok((at, self.compiled[at].1.clone()));
        }
        // Before the order: the libraries of a script that fails to compile may have run already.
        self.kind = Some(source.kind);
        let budget = Budget { computing: COMPILING, ..Budget::default() };
        let order = Order::Compile((**source).clone());
        let outline = self.carry_out(&order, None, budget, |word| match word {
            Word::Compiled(outline) => Ok(Next::Done(outline)),
            _ => Err(unexpected()),
        });
        let outline = outline.map_err(|failure| compiling(failure, source))??;
        self.compiled.push((Arc::clone(source), outline.clone()));
        Ok((self.compiled.len() - 1, outline))
    }

    /// Has a script checked.
    ///
    /// # Errors
    /// Checking it takes too much.
    pub(crate) fn check(
        &mut self,
        role: Role,
        source: &Arc<Source>,
    ) -> Result<Vec<Finding>, Failure> {
        self.kind = Some(source.kind);
        let budget = Budget { computing: COMPILING, ..Budget::default() };
        let order = Order::Check(role, (**source).clone());
        let found = self.carry_out(&order, None, budget, |word| match word {
            Word::Checked(findings) => Ok(Next::Done(findings)),
            _ => Err(unexpected()),
        });
        found.map_err(|failure| compiling(failure, source))
    }

    /// Runs a skill on a session.
    ///
    /// # Errors
    /// The script failed, was stopped, or its process ended.
    pub(crate) fn run(
        &mut self,
        at: usize,
        session: &Session,
        params: &Value,
        budget: Budget,
        coverage: Option<&Coverage>,
    ) -> Result<Value, Failure> {
        // Before the order: whatever comes of it, no other skill may share the process now.
        self.ran = self.compiled.get(at).map(|(source, _)| Arc::clone(source));
        let stop = Arc::clone(session.stop());
        let (start, params, covered) = (session.remote_start(), params.clone(), coverage.is_some());
        let order = Order::Run { at, start, params, budget, covered };
        let mut said = 0;
        self.carry_out(&order, Some(&stop), budget, |word| match word {
            Word::Query(0, Query::Commit(wanted)) => {
                if let Some(wanted) = wanted {
                    within(&mut said, &wanted, budget)?;
                    session.take_over(*wanted)?;
                }
                Ok(Next::answer(session.answer_remote(&Query::Commit(None))))
            }
            Word::Query(0, ask) => Ok(Next::answer(session.answer_remote(&ask))),
            Word::Printed(line) => {
                session.hear(&line);
                Ok(Next::Listen)
            }
            Word::Done { result, wanted, covered } => {
                within(&mut said, &wanted, budget)?;
                session.take_over(*wanted)?;
                if let Some(coverage) = coverage {
                    coverage.add(covered);
                }
                Ok(Next::Done(result))
            }
            _ => Err(unexpected()),
        })?
    }

    /// Has a line compiled with what it may import.
    ///
    /// # Errors
    /// It does not compile, or compiling it takes too much.
    pub(crate) fn compile_line(
        &mut self,
        line: &str,
        libraries: &BTreeMap<String, String>,
    ) -> Result<(), Failure> {
        let budget = Budget { computing: COMPILING, ..Budget::default() };
        let order = Order::CompileLine(line.to_owned(), libraries.clone());
        let compiled = self.carry_out(&order, None, budget, |word| match word {
            Word::Compiled(outline) => Ok(Next::Done(outline)),
            _ => Err(unexpected()),
        });
        compiled?.map(drop)
    }

    /// Runs a line that a person typed; if it is stopped, the variables live on.
    ///
    /// # Errors
    /// Its process ended.
    pub(crate) fn line(
        &mut self,
        line: LineOrder,
        session: &Session,
        budget: Budget,
    ) -> Result<Lined, Failure> {
        let order = Order::Line { line, start: session.remote_start(), budget };
        let stop = Arc::clone(session.stop());
        let mut said = 0;
        self.carry_out(&order, Some(&stop), budget, |word| match word {
            Word::Query(0, Query::Commit(_)) => {
                Ok(Next::answer(session.answer_remote(&Query::Commit(None))))
            }
            Word::Query(0, ask) => Ok(Next::answer(session.answer_remote(&ask))),
            Word::Printed(line) => {
                session.hear(&line);
                Ok(Next::Listen)
            }
            Word::Lined(mut lined, wanted) => {
                within(&mut said, &wanted, budget)?;
                match (&mut lined.result, session.stop().reason()) {
                    // It knows that it was stopped, but not why; what it drafted is forgotten.
                    (Err(failure), Some(reason)) => {
                        (failure.code, failure.message) = (reason.code().into(), over_or(&reason));
                    }
                    _ => session.take_over(*wanted)?,
                }
                Ok(Next::Done(*lined))
            }
            _ => Err(unexpected()),
        })
    }

    /// Has policies judge a change set: their numbers and names. The rulings of each are passed to
    /// `hear`, in order.
    ///
    /// # Errors
    /// They were stopped, or their process ended: those not heard from have not judged.
    pub(crate) fn judge(
        &mut self,
        policies: &[(usize, String)],
        session: &Session,
        (set, start, whole): (&ChangeSet, &Start, Option<&(Session, ChangeSet)>),
        budget: Budget,
        mut hear: impl FnMut(Vec<Ruling>),
    ) -> Result<(), Failure> {
        let stop = Arc::clone(session.stop());
        let case = session.case_of(set, whole);
        let (run, policies) = (start.clone(), policies.to_vec());
        let mut n_left = policies.len();
        let order = Order::Judge { case, run, policies, budget };
        self.carry_out(&order, Some(&stop), budget, |word| match word {
            Word::Query(segment, ask) => {
                Ok(Next::answer(session.answer_judge(segment, whole, &ask)))
            }
            Word::Printed(line) => {
                session.print(&line);
                Ok(Next::Listen)
            }
            Word::Judged(rulings, reads) => {
                session.count_all(reads);
                hear(rulings);
                n_left = n_left.saturating_sub(1);
                Ok(if n_left == 0 { Next::Done(()) } else { Next::Listen })
            }
            _ => Err(unexpected()),
        })
    }

    /// Plays a test on a stage.
    ///
    /// # Errors
    /// It failed, was stopped, or its process ended.
    pub(crate) fn play(
        &mut self,
        at: usize,
        test: &str,
        session: &Session,
        stage: &dyn Stage,
        budget: Budget,
    ) -> Result<(), Failure> {
        self.ran = self.compiled.get(at).map(|(source, _)| Arc::clone(source));
        let stop = Arc::clone(session.stop());
        let order = Order::Play { at, test: test.to_owned(), start: session.remote_start() };
        self.carry_out(&order, Some(&stop), budget, |word| match word {
            Word::Query(0, ask) => Ok(Next::answer(session.answer_remote(&ask))),
            Word::Stage(call) => {
                let outcome = perform(stage, *call);
                // The next read sees the stage as it is then.
                session.forget();
                Ok(Next::Say(Box::new(Order::Staged(outcome))))
            }
            Word::Printed(line) => {
                session.print(&line);
                Ok(Next::Listen)
            }
            Word::Played(outcome) => Ok(Next::Done(outcome)),
            _ => Err(unexpected()),
        })?
    }
}

fn over(reason: &StopReason) -> Failure {
    Failure { code: "budget".into(), message: over_or(reason), ..Failure::default() }
}

/// Returns why something was stopped.
fn over_or(reason: &StopReason) -> String {
    match reason {
        StopReason::Budget(..) => format!("stopped: {reason}"),
        _ => reason.to_string(),
    }
}

/// Names in a failure the script that took too much to compile.
fn compiling(mut failure: Failure, source: &Source) -> Failure {
    failure.message = format!("{}: compiling {}", source.file, failure.message);
    let imported = imported(&source.text);
    if !imported.is_empty() {
        failure.hint = Some(format!(
            "it imports {}: the top level of a library is for constants and functions",
            imported.join(", ")
        ));
    }
    failure
}

/// Returns the libraries that a script imports, as it names them.
fn imported(text: &str) -> Vec<&str> {
    let tokens = tokens(text);
    let imports = tokens.windows(2).filter(|pair| pair[0].of(text) == "import");
    imports.map(|pair| pair[1].of(text).trim_matches('"')).collect()
}

fn unexpected() -> Failure {
    Failure {
        code: "isolation".into(),
        message: "the script's process sent a message that it must not send".into(),
        ..Failure::default()
    }
}

/// Counts what the script has said here, too: the worker's own count is not trusted.
fn within(said: &mut usize, wanted: &RemoteDraft, budget: Budget) -> Result<(), Failure> {
    *said += wanted.said();
    // The worker's budget of output does not count remarks.
    if *said <= budget.output.saturating_add(MAX_REMARKS) {
        return Ok(());
    }
    Err(stopped(&StopReason::Budget("output", format!("{} KiB", budget.output >> 10))))
}

impl Drop for Worker {
    fn drop(&mut self) {
        let Some(child) = &mut self.child else { return };
        // With anything it may have started: it has a process group of its own.
        #[cfg(unix)]
        if let Some(group) = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap_or(0))
        {
            let _gone = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _gone = child.kill();
        let _reaped = child.wait();
    }
}

/// The command that starts the other end; not for people.
pub(crate) const COMMAND: &str = "worker";
