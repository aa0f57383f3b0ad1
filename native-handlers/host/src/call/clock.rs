//! The clock that plugins compare deadlines with.

use std::time::{Duration, Instant};

/// The same clock as of its last tick, 10 ms ago at most: read in a quarter of the time.
#[cfg(target_os = "linux")]
const COARSE: libc::clockid_t = libc::CLOCK_MONOTONIC_COARSE;
#[cfg(not(target_os = "linux"))]
const COARSE: libc::clockid_t = libc::CLOCK_MONOTONIC;

/// Of a limit from here on a tick is no part that matters.
const LONG: Duration = Duration::from_secs(1);

/// The time now, in nanoseconds of `CLOCK_MONOTONIC`.
pub(super) fn now_ns() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

fn read(clock: libc::clockid_t) -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the place is for writing. The clock exists on every system that has it in its headers, so the call cannot fail.
    unsafe { libc::clock_gettime(clock, &mut now) };
    (now.tv_sec as u64).saturating_mul(1_000_000_000).saturating_add(now.tv_nsec as u64)
}

/// When something that begins now and may take `limit` has to end.
pub(super) fn deadline_ns(limit: Duration) -> u64 {
    let now = read(if limit >= LONG { COARSE } else { libc::CLOCK_MONOTONIC });
    now.saturating_add(u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX))
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
