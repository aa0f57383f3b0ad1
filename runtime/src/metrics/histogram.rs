//! Histograms of durations, written by one thread each.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::counters::add;

/// The upper bounds of the buckets in nanoseconds: 50 us to 10 s.
const BOUNDS: [u64; 17] = [
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];
const BUCKETS: usize = BOUNDS.len() + 1;

/// One thread's part of a histogram. Nobody else writes it.
#[derive(Default)]
pub(super) struct Histogram {
    /// The last one is for what is longer than all bounds.
    counts: [AtomicU64; BUCKETS],
    nanos: AtomicU64,
}

impl Histogram {
    pub(super) fn observe(&self, nanos: u64) {
        let bucket = BOUNDS.iter().position(|bound| nanos <= *bound).unwrap_or(BOUNDS.len());
        add(&self.counts[bucket], 1);
        self.nanos.store(self.nanos.load(Relaxed).saturating_add(nanos), Relaxed);
    }

    pub(super) fn add_to(&self, total: &mut Observed) {
        for (total, count) in total.counts.iter_mut().zip(&self.counts) {
            *total += count.load(Relaxed);
        }
        total.nanos = total.nanos.saturating_add(self.nanos.load(Relaxed));
    }
}

/// What a histogram of durations has seen so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    counts: [u64; BUCKETS],
    nanos: u64,
}

impl Observed {
    /// How many durations.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All of them together.
    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.nanos)
    }

    /// For each bound how many were at most as long; the last, without a bound, is all of them.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<Duration>, u64)> + '_ {
        let bounds = BOUNDS.iter().map(|bound| Some(Duration::from_nanos(*bound))).chain([None]);
        bounds.zip(self.counts.iter().scan(0, |total, count| {
            *total += count;
            Some(*total)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Histogram, Observed, BOUNDS, BUCKETS};

    #[test]
    fn each_duration_is_in_the_first_bucket_that_holds_it() {
        let (histogram, mut observed) = (Histogram::default(), Observed::default());
        for nanos in [0, BOUNDS[0], BOUNDS[0] + 1, BOUNDS[16], BOUNDS[16] + 1] {
            histogram.observe(nanos);
        }
        histogram.add_to(&mut observed);
        assert_eq!(observed.count(), 5);
        assert_eq!(observed.sum(), Duration::from_nanos(2 * (BOUNDS[0] + BOUNDS[16] + 1)));
        let buckets: Vec<_> = observed.buckets().collect();
        assert_eq!(buckets.len(), BUCKETS);
        assert_eq!(buckets[0], (Some(Duration::from_micros(50)), 2));
        assert_eq!(buckets[1], (Some(Duration::from_micros(100)), 3));
        assert_eq!(buckets[16], (Some(Duration::from_secs(10)), 4));
        assert_eq!(buckets[17], (None, 5));
    }

    #[test]
    fn the_parts_of_all_threads_add_up() {
        let mut observed = Observed::default();
        for nanos in [1, 2] {
            let part = Histogram::default();
            part.observe(nanos);
            part.add_to(&mut observed);
        }
        assert_eq!((observed.count(), observed.sum()), (2, Duration::from_nanos(3)));
    }

    #[test]
    fn the_bounds_rise() {
        assert!(BOUNDS.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
