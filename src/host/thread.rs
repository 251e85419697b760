//! The thread of a program, with a stack large enough for deeply nested values.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::sync::oneshot;

use crate::host::failure::Failure;

/// A script may nest values deeply, and dropping them recurses: the stack is sized for the memory
/// budget. It is reserved, not committed.
const STACK: usize = 256 << 20;

/// The reason that there is no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Crash {
    /// The system gives no thread.
    NoThread(String),
    /// A panic of the program: a bug of ours.
    Panic(String),
}

/// Runs `work` on a thread of its own and waits for it. Everything that the work created and did
/// not return is dropped there, on the large stack.
pub(crate) async fn run<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Crash> {
    let (done, result) = oneshot::channel();
    let spawned =
        std::thread::Builder::new().name(name.to_owned()).stack_size(STACK).spawn(move || {
            let outcome = catch_unwind(AssertUnwindSafe(work));
            drop(done.send(outcome.map_err(|panic| {
                let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
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

thread_local! {
    /// True on a thread of [`on_large_stack`].
    static IS_LARGE: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` on a thread with a large stack, and waits. On such a thread it runs in place, so
/// that nested work takes one thread, not one for each level.
///
/// # Errors
/// The system gives no thread, or `work` panicked.
pub fn on_large_stack<T: Send>(name: &str, work: impl FnOnce() -> T + Send) -> Result<T, Failure> {
    let failed = |code: &str, message: String| Failure {
        code: code.to_owned(),
        message,
        ..Failure::default()
    };
    let panicked = |_| failed("bug", "planwright itself failed".to_owned());
    if IS_LARGE.get() {
        return catch_unwind(AssertUnwindSafe(work)).map_err(panicked);
    }
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().name(name.to_owned()).stack_size(STACK);
        let spawned = builder.spawn_scoped(scope, || {
            IS_LARGE.set(true);
            work()
        });
        let thread = spawned
            .map_err(|error| failed("service", format!("no thread could be started: {error}")))?;
        thread.join().map_err(panicked)
    })
}

#[cfg(test)]
mod tests {
    use crate::host::thread::on_large_stack;

    #[test]
    fn work_within_work_takes_no_further_thread() {
        let id = || std::thread::current().id();
        let ids = on_large_stack("outer", || (id(), on_large_stack("inner", id))).unwrap();
        assert_eq!(Ok(ids.0), ids.1);
        assert_ne!(ids.0, id());
        // A panic inside fails the inner work only.
        let inner = on_large_stack("outer", || on_large_stack("inner", || panic!("once"))).unwrap();
        assert_eq!(inner.unwrap_err().code, "bug");
    }
}
