//! The memory meter: the bytes that the current thread has allocated and not freed.
//!
//! The script language limits single values, never all of them together, so the budget of a run
//! is kept by counting what its thread allocates and frees. A program runs on one thread and
//! drops everything there, so the count is its own. The process of a worker has a limit besides.

#![expect(
    unsafe_code,
    reason = "an allocator cannot be written without; it only counts, passes on, and ends a worker"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicI64, Ordering};

/// The exit code of a process that has met its limit of memory.
pub(crate) const OUT_OF_MEMORY: i32 = 86;

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The limit of the whole process, in bytes; none by default.
static LIMIT: AtomicI64 = AtomicI64::new(i64::MAX);
/// The bytes it has allocated and not freed since the limit was set.
static TOTAL: AtomicI64 = AtomicI64::new(0);

thread_local! {
    static HELD: Cell<i64> = const { Cell::new(0) };
}

fn count(bytes: usize, sign: i64) {
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX).saturating_mul(sign);
    // A thread that is being torn down has no counter any more; then nobody asks.
    let _torn_down = HELD.try_with(|held| held.set(held.get().saturating_add(bytes)));
    let limit = LIMIT.load(Ordering::Relaxed);
    if limit < i64::MAX && TOTAL.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) > limit {
        give_up();
    }
}

/// Ends the process at once: a single operation of the engine can allocate any amount before the
/// budget is checked again. The host knows the exit code.
fn give_up() {
    #[cfg(unix)]
    // SAFETY: it only ends the process, without running anything more in it.
    unsafe {
        libc::_exit(OUT_OF_MEMORY)
    }
    #[cfg(not(unix))]
    std::process::abort()
}

/// Ends the process as soon as it holds more than so many bytes.
pub(crate) fn set_limit(bytes: usize) {
    LIMIT.store(i64::try_from(bytes).unwrap_or(i64::MAX), Ordering::Relaxed);
}

// SAFETY: every method does exactly what the system's allocator does, with the same arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(layout.size(), -1);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Off before on: the other way round, a block that grows would count twice for a moment,
        // and could end a worker that is within its limit.
        count(layout.size(), -1);
        count(size, 1);
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(at, layout, size) }
    }
}

/// Returns the bytes that the current thread has allocated and not freed. May be negative: a
/// thread can free what another allocated.
pub(crate) fn held_by_this_thread() -> i64 {
    HELD.try_with(Cell::get).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_goes_up_and_down() {
        let before = held_by_this_thread();
        let block = vec![1u8; 1 << 20];
        assert!(held_by_this_thread() - before >= 1 << 20);
        drop(block);
        assert!(held_by_this_thread() - before < 1 << 10);
    }
}
