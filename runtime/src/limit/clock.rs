//! Time as a number that several processes can compare.

use std::time::Instant;

/// Nanoseconds since some moment, of the monotonic clock. Clocks of several processes agree if they begin with what the machine's own clock says.
///
/// ```
/// use bimetal_runtime::limit::Clock;
///
/// let clock = Clock::starting_at(1_000_000_000);
/// assert!(clock.now() >= 1_000_000_000);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    base: u64,
    since: Instant,
}

impl Clock {
    /// A clock that says `nanos` now.
    pub fn starting_at(nanos: u64) -> Clock {
        Clock { base: nanos, since: Instant::now() }
    }

    /// What it says now, in nanoseconds.
    pub fn now(&self) -> u64 {
        self.base.saturating_add(u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}
