//! How long the interpreter computes for a request, measured for one in a few: what tells a handler that works from one that waits.
//!
//! The clock of a thread is a system call, where the wall's is none: reading it for each request would show in all of them.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// One request in so many on each thread. Odd, so that clients that take turns among a few routes do not always hit the same one.
const ONE_IN: u32 = 17;

/// Stands for a request that is not measured.
const OFF: u64 = u64::MAX;

/// The part of a measured request that is running on a thread.
#[derive(Clone, Copy)]
struct Stretch {
    /// Nanoseconds of the stretches before.
    before: u64,
    /// Where the thread's clock stood at its beginning.
    since: u64,
}

thread_local! {
    static COUNTED: Cell<u32> = const { Cell::new(0) };
    static RUNNING: Cell<Option<Stretch>> = const { Cell::new(None) };
}

/// What one request has computed so far, if it is one of those that are measured.
pub(crate) struct Meter {
    /// Written by the thread that runs the request, one at a time.
    nanos: AtomicU64,
}

impl Meter {
    /// For a request that begins on this thread.
    pub(crate) fn sampled() -> Meter {
        let counted = COUNTED.get();
        COUNTED.set((counted + 1) % ONE_IN);
        Meter { nanos: AtomicU64::new(if counted == 0 { 0 } else { OFF }) }
    }

    /// For what is no request, or one that has begun elsewhere.
    pub(crate) fn off() -> Meter {
        Meter { nanos: AtomicU64::new(OFF) }
    }

    /// Runs a part of the request: from its beginning, or from where it waited, to where it waits next.
    pub(crate) fn during<R>(&self, run: impl FnOnce() -> R) -> R {
        let before = self.nanos.load(Relaxed);
        if before == OFF {
            return run();
        }
        let since = thread_nanos();
        let outer = RUNNING.replace(Some(Stretch { before, since }));
        let result = run();
        RUNNING.set(outer);
        self.nanos.store(before + thread_nanos().saturating_sub(since), Relaxed);
        result
    }
}

/// What the request that is running on this thread has computed so far, if it is measured.
pub(crate) fn so_far() -> Option<Duration> {
    let Stretch { before, since } = RUNNING.get()?;
    Some(Duration::from_nanos(before + thread_nanos().saturating_sub(since)))
}

/// For how long this thread has been on a core, in nanoseconds.
fn thread_nanos() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the place is for writing. Every system with the clock in its headers has it for the calling thread.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut now) };
    (now.tv_sec as u64).saturating_mul(1_000_000_000).saturating_add(now.tv_nsec as u64)
}
