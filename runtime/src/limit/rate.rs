//! The generic cell rate algorithm (GCRA), in whole nanoseconds.

use std::time::Duration;

use crate::{Error, ErrorKind};

/// The longest period of a rate.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// The most requests at once.
const LARGEST_BURST: u32 = 1_000_000;

/// What intervals are whole multiples of, in nanoseconds: an eighth of a microsecond, which a Redis can add up exactly.
pub(super) const GRAIN: u64 = 125;

const SECOND: u64 = 1_000_000_000;

/// How often is often enough: so many requests at once, and one more whenever an interval has passed.
///
/// ```
/// use std::time::Duration;
/// use bimetal_runtime::limit::Rate;
///
/// let rate = Rate::new(10, Duration::from_secs(60), None).unwrap();
/// assert_eq!((rate.burst(), rate.interval()), (10, Duration::from_secs(6)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    burst: u32,
    /// What one request costs, in nanoseconds.
    interval: u64,
    /// What a client may owe, in nanoseconds.
    tolerance: u64,
}

/// How a client stands after a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether the request is answered.
    pub allowed: bool,
    /// How long until the whole quota is there again, in nanoseconds.
    pub owed: u64,
}

impl Rate {
    /// `requests` in a `period`, `burst` of them at once; as many as in a period where that is `None`.
    ///
    /// # Errors
    ///
    /// Of kind `Config`, for a rate that cannot be kept.
    pub fn new(requests: u32, period: Duration, burst: Option<u32>) -> Result<Rate, Error> {
        let wrong = |what: String| Err(Error::new(ErrorKind::Config, format!("rate limit: {what}")));
        let burst = burst.unwrap_or(requests);
        if requests == 0 {
            return wrong("0 requests are no rate; use at least 1".to_owned());
        }
        if period.is_zero() || period > LONGEST {
            return wrong(format!("a period of {} s is not between 0 s and 366 days", period.as_secs_f64()));
        }
        if !(1..=LARGEST_BURST).contains(&burst) {
            return wrong(format!("{burst} requests at once are not between 1 and {LARGEST_BURST}"));
        }
        // Rounded up: never more than was asked for.
        let interval = period.as_nanos().div_ceil(u128::from(requests)).next_multiple_of(GRAIN.into());
        let interval = u64::try_from(interval).unwrap_or(u64::MAX);
        match interval.checked_mul(u64::from(burst)) {
            Some(tolerance) if Duration::from_nanos(tolerance) <= 10 * LONGEST => {
                Ok(Rate { burst, interval, tolerance })
            }
            _ => wrong(format!("{burst} requests at once take more than ten years to be earned again")),
        }
    }

    /// The most requests at once.
    pub fn burst(&self) -> u32 {
        self.burst
    }

    /// The time that earns one more request.
    pub fn interval(&self) -> Duration {
        Duration::from_nanos(self.interval)
    }

    /// The time that earns all of them.
    pub fn window(&self) -> Duration {
        Duration::from_nanos(self.tolerance)
    }

    /// Decides on a request at `now` of a client whose quota is whole at `whole`, and gives when it will be after that.
    #[inline]
    pub fn take(&self, whole: u64, now: u64) -> (Standing, u64) {
        let whole = whole.max(now);
        let after = whole.saturating_add(self.interval);
        if after - now > self.tolerance {
            return (Standing { allowed: false, owed: whole - now }, whole);
        }
        (Standing { allowed: true, owed: after - now }, after)
    }

    /// How many requests the client has left at once.
    pub fn remaining(&self, standing: Standing) -> u64 {
        self.tolerance.saturating_sub(standing.owed) / self.interval
    }

    /// Seconds until its quota is whole, rounded up, but for a millisecond: intervals are rounded up as well.
    pub fn reset(&self, standing: Standing) -> u64 {
        standing.owed.saturating_sub(SECOND / 1000).div_ceil(SECOND)
    }

    /// Seconds after which a client that was refused is answered again, rounded up.
    pub fn retry_after(&self, standing: Standing) -> u64 {
        (standing.owed + self.interval).saturating_sub(self.tolerance).div_ceil(SECOND).max(1)
    }
}

#[cfg(test)]
#[path = "rate_tests.rs"]
mod tests;
