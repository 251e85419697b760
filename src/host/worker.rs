//! The thread that a program runs on.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::sync::oneshot;

use crate::host::Failure;

/// A script may nest values deeply, and dropping them recurses: the stack is sized for the
/// memory budget (scripting.md 0.2, P3 and P4). It is reserved, not committed.
const STACK: usize = 256 << 20;

/// Why there is no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Crash {
    /// The system gives no thread.
    NoThread(String),
    /// The program panicked: a bug of ours.
    Panic(String),
}

/// Runs `work` on a thread of its own and waits for it. Everything that the work made and did
/// not return is dropped there.
pub(crate) async fn run<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Crash> {
    let (done, result) = oneshot::channel();
    let spawned =
        std::thread::Builder::new().name(name.to_owned()).stack_size(STACK).spawn(move || {
            let outcome = catch_unwind(AssertUnwindSafe(work));
            drop(done.send(outcome.map_err(|panic| {
                let text = panic.downcast_ref::<&str>().map(|it| (*it).to_owned());
                text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
            })));
        });
    if let Err(error) = spawned {
        return Err(Crash::NoThread(error.to_string()));
    }
    match result.await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(text)) => Err(Crash::Panic(text)),
        Err(_) => Err(Crash::Panic("the thread ended without a result".to_owned())),
    }
}

/// Runs `work` on a thread with a large stack, and waits.
///
/// # Errors
/// The system gives no thread, or `work` panicked.
pub fn on_large_stack<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    let failed = |code: &str, message: String| Failure {
        code: code.to_owned(),
        message,
        ..Failure::default()
    };
    let spawned = std::thread::Builder::new().name(name.to_owned()).stack_size(STACK).spawn(work);
    let thread = spawned
        .map_err(|error| failed("service", format!("the system gives no thread: {error}")))?;
    thread.join().map_err(|_| failed("bug", "planwright itself failed".to_owned()))
}
