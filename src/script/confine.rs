//! What a worker gives up before it sees a script: files, network, more memory than it needs.
//!
//! Each wall stands only where the system has it, and none is relied on alone: the script engine
//! reaches nothing of all this by itself.

/// Gives everything up that can be.
pub(crate) fn confine() {
    // A rule set is a file descriptor, of which there are to be no more.
    forbid();
    limits();
}

/// The address space of a worker, in bytes: a stack of 256 MiB, its budget of memory, the program
/// itself and what the system's allocator sets aside.
#[cfg(unix)]
const ADDRESS_SPACE: u64 = 2 << 30;

#[cfg(unix)]
fn limits() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let set = |what: Resource, most: u64| {
        // Where a lower limit is in force already, it stays.
        let _kept = setrlimit(what, Rlimit { current: Some(most), maximum: Some(most) });
    };
    set(Resource::As, ADDRESS_SPACE);
    set(Resource::Core, 0);
    set(Resource::Fsize, 0);
    // What is open stays so; nothing else can be opened, not even in the place of one that is closed.
    set(Resource::Nofile, 0);
}

#[cfg(not(unix))]
fn limits() {}

#[cfg(target_os = "linux")]
fn forbid() {
    use landlock::{
        ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset,
        RulesetAttr as _,
    };
    let abi = ABI::V5;
    // Nothing is allowed: no rule follows. An older kernel forbids what it can.
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))
        .and_then(|it| it.handle_access(AccessNet::from_all(abi)))
        .and_then(Ruleset::create);
    let _without = ruleset.and_then(landlock::RulesetCreated::restrict_self);
}

#[cfg(not(target_os = "linux"))]
fn forbid() {}
