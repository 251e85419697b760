//! The memory of a process that holds tokens, which stays out of the swap where the system allows it.

/// Keeps the memory of this process out of the swap, now and in future, if the system lets it lock as
/// much as it likes (`LimitMEMLOCK=infinity` of systemd, `ulimit -l unlimited`); returns whether it
/// does. With a limit, memory that is needed later could not be had.
#[cfg(target_os = "linux")]
pub(crate) fn keep_out() -> bool {
    use rustix::mm::{MlockAllFlags, mlockall};
    use rustix::process::{Resource, getrlimit};
    // Pages are locked as they are used, so that a large reservation costs nothing.
    let flags = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    getrlimit(Resource::Memlock).current.is_none() && mlockall(flags).is_ok()
}

/// Elsewhere it is for the system to seal its swap.
#[cfg(not(target_os = "linux"))]
pub(crate) fn keep_out() -> bool {
    false
}
