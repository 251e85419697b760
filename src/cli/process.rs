//! What the process gives up before it does anything.

/// Sees to it that no core is dumped, by a crash or on request: the access token would be in it.
///
/// On Linux that keeps other processes of the same user from reading its memory and environment, too.
#[cfg(unix)]
pub(crate) fn keep_memory_private() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    // What cannot be had is done without: neither call fails for want of a permission.
    let _without = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    // Where cores go to a program, a limit on their size says nothing.
    #[cfg(target_os = "linux")]
    let _without =
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

/// Sees to nothing where the system has no cores.
#[cfg(not(unix))]
pub(crate) fn keep_memory_private() {}
