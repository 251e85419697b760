//! Workers that wait: one is started while the host still reads the workspace, and one that has
//! only compiled can compile or run what comes next.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::host::Failure;
use crate::script::source::ScriptKind;
use crate::script::source::Source;
use crate::script::worker::confine::Walls;
use crate::script::worker::process::Worker;

/// The most workers that wait.
const MAX_IDLE: usize = 4;

static IDLE: Mutex<Vec<Worker>> = Mutex::new(Vec::new());
static REQUIRED: AtomicBool = AtomicBool::new(false);
static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Sets which program is started as a worker, in place of this one: for whoever uses the library
/// without being the program. The first that is set stays.
pub fn set_program(program: PathBuf) {
    let _set_before = PROGRAM.set(program);
}

/// Refuses to run scripts where not all walls stand, from now on.
pub fn require_walls() {
    REQUIRED.store(true, Ordering::Relaxed);
}

/// Returns whether all walls are required.
pub(super) fn are_walls_required() -> bool {
    REQUIRED.load(Ordering::Relaxed)
}

/// Returns the walls that stand around scripts on this system.
///
/// # Errors
/// No process can be started.
pub fn walls() -> Result<Walls, Failure> {
    let mut worker = Worker::start()?;
    let walls = worker.walls();
    give_back(worker);
    walls
}

/// Returns the program to start: the very one that runs here, even if a newer one has replaced its
/// file, since that may speak another protocol.
pub(super) fn program() -> std::io::Result<PathBuf> {
    if let Some(program) = PROGRAM.get() {
        return Ok(program.clone());
    }
    let running = std::path::Path::new("/proc/self/exe");
    if cfg!(target_os = "linux") && running.exists() {
        return Ok(running.to_owned());
    }
    std::env::current_exe()
}

/// Starts workers before they are needed; a failure is reported when they are.
pub fn prestart(n: usize) {
    for _ in 0..n {
        if let Ok(worker) = Worker::start() {
            give_back(worker);
        }
    }
}

/// Returns a worker in which a script may be compiled and run.
///
/// # Errors
/// No process can be started.
pub(crate) fn take(source: &Arc<Source>) -> Result<Worker, Failure> {
    let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
    // A worker that has compiled the script comes before one that has not.
    let mut fitting: Vec<usize> = (0..idle.len()).filter(|at| idle[*at].may_take(source)).collect();
    fitting.sort_by_key(|at| !idle[*at].knows(source));
    match fitting.first() {
        Some(at) => Ok(idle.swap_remove(*at)),
        None => {
            // Starting a process takes long: others need not wait for it to get one that is idle.
            drop(idle);
            Worker::start()
        }
    }
}

/// Returns a worker that has seen no script yet.
///
/// # Errors
/// No process can be started.
pub(crate) fn take_fresh(kind: ScriptKind) -> Result<Worker, Failure> {
    let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
    let fresh = idle.iter().position(Worker::is_fresh);
    let mut worker = match fresh {
        Some(at) => idle.swap_remove(at),
        None => {
            drop(idle);
            Worker::start()?
        }
    };
    worker.keep_for(kind);
    Ok(worker)
}

/// Gives a worker back, unless it has ended.
pub(crate) fn give_back(worker: Worker) {
    if !worker.is_alive() {
        return;
    }
    let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
    idle.push(worker);
    if idle.len() > MAX_IDLE {
        idle.remove(0);
    }
}
