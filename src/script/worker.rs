//! Scripts in a process of their own: the second wall, for scripts that nobody has read.
//!
//! The same program is started again with nothing in its environment, no files and no network as
//! far as the system can forbid them, and a limit on memory; its time is kept here. It compiles and
//! runs the script as this process would; its reads are answered over a pipe, and what the script
//! wants comes back as data. What would end a process (a stack that runs over, memory that runs
//! out) ends that one. A frame is its length, four bytes, the lowest first, and JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rhai::Scope;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::host::broker::Query;
use crate::host::session::remote::{self, Answer, RemoteDraft, relay, session_of};
use crate::host::{Failure, Program, Session, Stop, StopReason, on_large_stack};
use crate::script::budget::Budget;
use crate::script::confine::confine;
use crate::script::engine::Kind;
use crate::script::manifest::Manifest;
use crate::script::skill::{Compiled, digest, run};

/// The command that starts the other end; not for people.
pub const COMMAND: &str = "worker";

/// The largest frame: a list of a plan as full as it can be takes a tenth.
const MAX_FRAME: usize = 16 << 20;
/// What a script may remark beside its output, in bytes.
const MAX_REMARKS: usize = 1 << 20;
/// How long compiling may take; nothing interrupts it but the end of its process.
const COMPILING: Duration = Duration::from_secs(10);
/// What the process may take beyond its budget of computing before it is ended from here.
const GRACE: Duration = Duration::from_secs(1);
/// How often the parent looks up while it waits.
const LOOK: Duration = Duration::from_millis(20);

/// What the parent says.
#[derive(Debug, Serialize, Deserialize)]
enum Order {
    Compile(Job),
    Run { start: remote::Start, params: Value, budget: Budget },
    Answer(Answer),
}

/// What the worker says.
#[derive(Debug, Serialize, Deserialize)]
enum Word {
    /// With the libraries that it imports.
    Compiled(Result<BTreeSet<String>, Failure>),
    Query(Query),
    Done {
        result: Result<Value, Failure>,
        wanted: Box<RemoteDraft>,
    },
}

/// A script to compile.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Job {
    file: String,
    text: String,
    libraries: BTreeMap<String, String>,
}

/// A skill that runs in a process of its own.
#[derive(Debug)]
pub struct Isolated {
    /// Its name in reports.
    pub name: String,
    /// What it says of itself.
    pub manifest: Manifest,
    digest: String,
    job: Job,
    worker: Mutex<Option<Worker>>,
}

/// The parent's end of a worker.
#[derive(Debug)]
struct Worker {
    child: Child,
    /// To the thread that writes: the worker need not read, and nobody here waits for it.
    orders: SyncSender<Vec<u8>>,
    words: Receiver<Word>,
}

impl Isolated {
    /// Compiles a skill from its text, there; `file` is its name in messages.
    ///
    /// # Errors
    /// The manifest or the script is wrong, or the system gives no process.
    pub fn compile(
        name: &str,
        file: &str,
        text: &str,
        libraries: &BTreeMap<String, String>,
    ) -> Result<Self, Failure> {
        // The manifest is data, read by nothing that a script could reach.
        let manifest = Manifest::parse(text).map_err(|mut failure| {
            failure.message = format!("{file}: {}", failure.message);
            failure
        })?;
        let (file, text) = (file.to_owned(), text.to_owned());
        let job = Job { file, text, libraries: libraries.clone() };
        // Compiling has run no line of it: what it imports can be believed.
        let (worker, imports) = Worker::compiled(&job)?;
        let digest = digest(&job.text, &imports, &job.libraries);
        let worker = Mutex::new(Some(worker));
        Ok(Self { name: name.to_owned(), manifest, digest, job, worker })
    }

    /// Returns `sha256:…` over its text and all it imports.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Makes it a program.
    #[must_use]
    pub fn program(self, params: Map<String, Value>, budget: Budget) -> Arc<dyn Program> {
        let params = Value::Object(params);
        Arc::new(move |session: &Session| self.run(session, &params, budget))
    }

    fn run(&self, session: &Session, params: &Value, budget: Budget) -> Result<Value, Failure> {
        let kept = self.worker.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut worker = match kept {
            Some(worker) => worker,
            None => Worker::compiled(&self.job)?.0,
        };
        let outcome = worker.run(session, params, budget);
        // One that is fine can run again, should the host ask for it.
        if outcome.is_ok() {
            *self.worker.lock().unwrap_or_else(PoisonError::into_inner) = Some(worker);
        }
        outcome
    }
}

impl Worker {
    fn start() -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure {
            code: "service".into(),
            message: format!("the system gives no process for the script: {error}"),
            ..Failure::default()
        };
        let program = std::env::current_exe().map_err(failed)?;
        let mut command = Command::new(program);
        command.arg(COMMAND).env_clear();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        #[cfg(unix)]
        {
            use std::os::unix::process::CommandExt as _;
            // Ctrl-C at a terminal is for the parent, which ends the worker and says why.
            command.current_dir("/").process_group(0);
        }
        let mut child = command.spawn().map_err(failed)?;
        let (Some(mut stdin), Some(mut out)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed(io::ErrorKind::BrokenPipe.into()));
        };
        let (tell, words) = sync_channel(1);
        let reader = std::thread::Builder::new().name("planwright-worker".to_owned());
        let reader = reader.spawn(move || {
            while let Ok(Some(word)) = receive::<Word>(&mut out) {
                if tell.send(word).is_err() {
                    return;
                }
            }
        });
        reader.map_err(failed)?;
        let (orders, to_write) = sync_channel::<Vec<u8>>(1);
        let writer = std::thread::Builder::new().name("planwright-orders".to_owned());
        let writer = writer.spawn(move || {
            while let Ok(frame) = to_write.recv() {
                if stdin.write_all(&frame).and_then(|()| stdin.flush()).is_err() {
                    return;
                }
            }
        });
        writer.map_err(failed)?;
        Ok(Self { child, orders, words })
    }

    fn compiled(job: &Job) -> Result<(Self, BTreeSet<String>), Failure> {
        let mut worker = Self::start()?;
        worker.order(&Order::Compile(job.clone()), None)?;
        match worker.words.recv_timeout(COMPILING) {
            Ok(Word::Compiled(imports)) => Ok((worker, imports?)),
            Err(RecvTimeoutError::Timeout) => Err(Failure {
                code: "budget".into(),
                message: format!("stopped: compiling takes longer than {} s", COMPILING.as_secs()),
                ..Failure::default()
            }),
            Ok(_) | Err(RecvTimeoutError::Disconnected) => Err(worker.ended()),
        }
    }

    /// Tells the worker something, as soon as it has read what it was told before.
    fn order(&mut self, order: &Order, stop: Option<&Stop>) -> Result<(), Failure> {
        let mut frame = frame(order).map_err(|_| self.ended())?;
        loop {
            match self.orders.try_send(frame) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Disconnected(_)) => return Err(self.ended()),
                Err(TrySendError::Full(unsent)) => frame = unsent,
            }
            if let Some(reason) = stop.and_then(Stop::reason) {
                return Err(stopped(&reason));
            }
            std::thread::sleep(LOOK);
        }
    }

    fn run(&mut self, session: &Session, params: &Value, budget: Budget) -> Result<Value, Failure> {
        let stop = Arc::clone(session.stop());
        let start = session.remote_start();
        self.order(&Order::Run { start, params: params.clone(), budget }, Some(&stop))?;
        let (mut computing, mut said) = (Duration::ZERO, 0);
        loop {
            let began = Instant::now();
            let word = self.words.recv_timeout(LOOK);
            computing += began.elapsed();
            match word {
                Ok(Word::Query(Query::Commit(wanted))) => {
                    if let Some(wanted) = wanted {
                        within(&mut said, &wanted, budget)?;
                        session.take_over(*wanted)?;
                    }
                    let answer = session.answer_remote(&Query::Commit(None));
                    self.order(&Order::Answer(answer), Some(&stop))?;
                }
                Ok(Word::Query(ask)) => {
                    let answer = session.answer_remote(&ask);
                    self.order(&Order::Answer(answer), Some(&stop))?;
                }
                Ok(Word::Done { result, wanted }) => {
                    within(&mut said, &wanted, budget)?;
                    session.take_over(*wanted)?;
                    return result;
                }
                Ok(Word::Compiled(_)) | Err(RecvTimeoutError::Disconnected) => {
                    return Err(self.ended());
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Some(reason) = stop.reason() {
                return Err(stopped(&reason));
            }
            if computing > budget.computing + GRACE {
                return Err(Failure {
                    code: "budget".into(),
                    message: format!(
                        "stopped: over its computing time budget of {} s",
                        budget.computing.as_secs()
                    ),
                    ..Failure::default()
                });
            }
        }
    }

    /// Says that the worker is not there any more.
    fn ended(&mut self) -> Failure {
        let _gone = self.child.kill();
        let status = self.child.wait().map_or_else(|it| it.to_string(), |it| it.to_string());
        Failure {
            code: "budget".into(),
            message: "stopped: the script's process came to its end, out of memory or stack".into(),
            causes: vec![status],
            ..Failure::default()
        }
    }
}

fn stopped(reason: &StopReason) -> Failure {
    let (code, message) = (reason.code().into(), reason.to_string());
    Failure { code, message, ..Failure::default() }
}

/// Counts what the script has said: the worker's word that it was little is not taken.
fn within(said: &mut usize, wanted: &RemoteDraft, budget: Budget) -> Result<(), Failure> {
    *said += wanted.said();
    // Its remarks are not counted there.
    if *said <= budget.output.saturating_add(MAX_REMARKS) {
        return Ok(());
    }
    Err(stopped(&StopReason::Budget("output", format!("{} KiB", budget.output >> 10))))
}

impl Drop for Worker {
    fn drop(&mut self) {
        // With all that it may have started: it has a process group of its own.
        #[cfg(unix)]
        if let Some(group) =
            rustix::process::Pid::from_raw(i32::try_from(self.child.id()).unwrap_or(0))
        {
            let _gone = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn frame(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, value)?;
    let length = u32::try_from(frame.len() - 4).ok().filter(|it| *it as usize <= MAX_FRAME);
    let length = length.ok_or(io::ErrorKind::InvalidData)?;
    frame.splice(..4, length.to_le_bytes());
    Ok(frame)
}

fn send(to: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    to.write_all(&frame(value)?)?;
    to.flush()
}

/// Reads a frame; `None` at the end.
fn receive<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    if let Err(error) = from.read_exact(&mut length) {
        let is_end = error.kind() == io::ErrorKind::UnexpectedEof;
        return if is_end { Ok(None) } else { Err(error) };
    }
    let length = u32::from_le_bytes(length);
    if length as usize > MAX_FRAME {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = Vec::new();
    from.take(u64::from(length)).read_to_end(&mut bytes)?;
    Ok(Some(serde_json::from_slice(&bytes)?))
}

/// The worker itself: does what it is told on standard input until that ends.
#[must_use]
pub fn serve() -> ExitCode {
    confine();
    let (mut orders, mut words) = (io::stdin().lock(), io::stdout());
    let mut compiled: Option<Compiled> = None;
    while let Ok(Some(order)) = receive::<Order>(&mut orders) {
        let word = match order {
            Order::Compile(Job { file, text, libraries }) => {
                let mut scope = Scope::new();
                scope.push_constant("params", rhai::Map::new());
                let libraries = Arc::new(libraries);
                match Compiled::new(Kind::Skill, &file, &text, &libraries, &scope) {
                    Ok(it) => {
                        let imports = it.imports.clone();
                        compiled = Some(it);
                        Word::Compiled(Ok(imports))
                    }
                    Err(failure) => Word::Compiled(Err(failure)),
                }
            }
            Order::Run { start, params, budget } => {
                let Some(skill) = compiled.clone() else { return ExitCode::FAILURE };
                let (session, questions) = session_of(start);
                let running = std::thread::spawn(move || {
                    on_large_stack("planwright-run", move || {
                        let result = run(&skill, &params, budget, &session, None);
                        let wanted = Box::new(session.wanted());
                        Word::Done { result, wanted }
                    })
                });
                relay(questions, |ask| {
                    send(&mut words, &Word::Query(ask.clone())).ok()?;
                    match receive::<Order>(&mut orders) {
                        Ok(Some(Order::Answer(answer))) => Some(answer),
                        _ => None,
                    }
                });
                match running.join() {
                    Ok(Ok(word)) => word,
                    // A panic is the end of this process, which is what it is for.
                    _ => return ExitCode::FAILURE,
                }
            }
            Order::Answer(_) => return ExitCode::FAILURE,
        };
        if send(&mut words, &word).is_err() {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
