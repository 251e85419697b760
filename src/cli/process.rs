//! The protection of the memory of the process, which holds the access token.

/// Prevents core dumps, by a crash or on request: the access token would be in one.
///
/// On Linux this also keeps other processes of the same user from reading its memory and
/// environment.
#[cfg(unix)]
pub(crate) fn keep_memory_private() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    // Neither call needs a permission; where one fails anyway, the program runs without it.
    let _without = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    // The size limit does not apply where the kernel pipes core dumps to a program.
    #[cfg(target_os = "linux")]
    let _without =
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

/// Does nothing where the system has no core dumps.
#[cfg(not(unix))]
pub(crate) fn keep_memory_private() {}
