//! The walls around a worker, put up before it sees a script: no files, network or processes, and a
//! limit on memory.
//!
//! Each wall stands only where the system has it, and none is relied on alone: the script engine
//! reaches nothing of all this by itself. What is refused is an error to whoever tries, not the end
//! of the process: that it ended without being told to would tell the host nothing.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::script::sandbox::memory;

/// The most memory a worker may hold: the program itself, the largest budget of memory and what a
/// single operation of the engine adds before it is noticed.
const MEMORY: usize = 256 << 20;

/// A wall around a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wall {
    /// It opens no file (Landlock).
    Files,
    /// It makes no connection (Landlock, from Linux 6.7 on; seccomp before).
    Network,
    /// The kernel does for it only what a computation needs: no further process or thread, no
    /// signal to others (seccomp).
    SystemCalls,
    /// Its memory has a limit of its own.
    Memory,
}

/// The walls that stand around a worker.
pub type Walls = BTreeSet<Wall>;

impl Wall {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Files, Self::Network, Self::SystemCalls, Self::Memory];

    /// Returns what it keeps a script from.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Network => "the network",
            Self::SystemCalls => "system calls",
            Self::Memory => "more memory than their limit",
        }
    }
}

/// Gives up what threads made later inherit: files and the network.
pub(crate) fn confine_files() -> Walls {
    close_inherited();
    forbid_files()
}

/// Gives up the rest, once all needed threads exist.
pub(crate) fn confine_rest(mut walls: Walls) -> Walls {
    memory::set_limit(MEMORY);
    walls.insert(Wall::Memory);
    limits();
    // Last, since `setrlimit` above is not among the calls that remain.
    if forbid_system_calls() {
        walls.extend([Wall::SystemCalls, Wall::Network]);
    }
    walls
}

/// The address space of a worker, in bytes: its stack of 256 MiB, all it may hold, and what the
/// system's allocator sets aside. (Cores are off in every process of the program.)
#[cfg(unix)]
const ADDRESS_SPACE: u64 = 2 << 30;

#[cfg(unix)]
fn limits() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let set = |what: Resource, most: u64| {
        // A lower limit that is already in force stays.
        let _kept = setrlimit(what, Rlimit { current: Some(most), maximum: Some(most) });
    };
    set(Resource::As, ADDRESS_SPACE);
    // This limit is for files only: the worker can still write to its pipe.
    set(Resource::Fsize, 0);
    // Linux exempts root from this one: there only the filter of system calls holds.
    set(Resource::Nproc, 0);
    // Open files stay open; no other can be opened, not even in the place of one that is closed.
    set(Resource::Nofile, 0);
}

#[cfg(not(unix))]
fn limits() {}

/// Closes the descriptors that the host inherited and passes on without knowing.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the system call has no safe form")]
fn close_inherited() {
    // SAFETY: nothing in this process has opened anything yet but the three that stay.
    let _older_kernel = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
}

#[cfg(not(target_os = "linux"))]
fn close_inherited() {}

#[cfg(target_os = "linux")]
fn forbid_files() -> Walls {
    use landlock::{
        ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset,
        RulesetAttr as _, RulesetStatus, Scope,
    };
    let abi = ABI::V6;
    // Nothing is allowed: no rule follows. An older kernel forbids what it can.
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))
        .and_then(|ruleset| ruleset.handle_access(AccessNet::from_all(abi)))
        .and_then(|ruleset| ruleset.scope(Scope::from_all(abi)))
        .and_then(Ruleset::create);
    let status = ruleset.and_then(landlock::RulesetCreated::restrict_self);
    match status.map(|status| status.ruleset) {
        Ok(RulesetStatus::FullyEnforced) => Walls::from([Wall::Files, Wall::Network]),
        // A kernel that knows Landlock at all keeps files from being opened; rules for connections
        // came later, so they are not claimed.
        Ok(RulesetStatus::PartiallyEnforced) => Walls::from([Wall::Files]),
        _ => Walls::new(),
    }
}

#[cfg(not(target_os = "linux"))]
fn forbid_files() -> Walls {
    Walls::default()
}

/// The system calls of a computation: memory, locks, the two pipes, and its own end.
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
const ALLOWED: &[libc::c_long] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigprocmask,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
fn forbid_system_calls() -> bool {
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};
    let arch = if cfg!(target_arch = "x86_64") { TargetArch::x86_64 } else { TargetArch::aarch64 };
    // No conditions: the call is allowed with any arguments.
    let rules = ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
    let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let filter = SeccompFilter::new(rules, refused, SeccompAction::Allow, arch);
    let program = filter.and_then(BpfProgram::try_from);
    // The thread that runs scripts exists already, so a filter of this one would not bind it.
    program.is_ok_and(|program| seccompiler::apply_filter_all_threads(&program).is_ok())
}

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
fn forbid_system_calls() -> bool {
    false
}
