//! The clock that plugins compare deadlines with.

use std::time::{Duration, Instant};

/// The time now, in nanoseconds of `CLOCK_MONOTONIC`.
pub(super) fn now_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the place is for writing. The clock exists on every system that has it in its headers, so the call cannot fail.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    (now.tv_sec as u64).saturating_mul(1_000_000_000).saturating_add(now.tv_nsec as u64)
}

/// When something that begins now and may take `limit` has to end.
pub(super) fn deadline_ns(limit: Duration) -> u64 {
    now_ns().saturating_add(u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX))
}

/// How long it is until then.
pub(super) fn until(deadline_ns: u64) -> Duration {
    Duration::from_nanos(deadline_ns.saturating_sub(now_ns()))
}

/// The same point in time for Rust; `None` where it is too far away to matter.
pub(super) fn instant(deadline_ns: u64) -> Option<Instant> {
    Instant::now().checked_add(until(deadline_ns))
}

pub(super) unsafe extern "C" fn now() -> u64 {
    now_ns()
}
