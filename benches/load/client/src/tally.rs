//! What became of the requests.

use std::io;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// What the histogram reaches to, in microseconds: an hour. It does not grow by itself where it saturates.
const LONGEST: u64 = 3_600_000_000;

/// Counts and latencies.
pub struct Tally {
    latencies: Histogram<u64>,
    refusals: Histogram<u64>,
    timeout: Duration,
    sent: u64,
    timeouts: u64,
    errors: u64,
    unfinished: u64,
    /// Refusals that do not say when to come again.
    without_retry_after: u64,
    late: Duration,
    /// When the first request left and the last answer came.
    begin: Option<Instant>,
    end: Option<Instant>,
}

impl Tally {
    pub fn new(timeout: Duration) -> Tally {
        let latencies = Histogram::new_with_bounds(1, LONGEST, 3).expect("the bounds are apart");
        Tally {
            refusals: latencies.clone(),
            latencies,
            timeout,
            sent: 0,
            timeouts: 0,
            errors: 0,
            unfinished: 0,
            without_retry_after: 0,
            late: Duration::ZERO,
            begin: None,
            end: None,
        }
    }

    /// A request left, so much after it was due.
    pub fn sent(&mut self, late: Duration) {
        self.sent += 1;
        self.begin.get_or_insert_with(Instant::now);
        self.late = self.late.max(late);
    }

    pub fn answered(&mut self, latency: Duration) {
        self.latencies.saturating_record(microseconds(latency));
        self.end = Some(Instant::now());
    }

    pub fn refused(&mut self, latency: Duration, retry_after: bool) {
        self.refusals.saturating_record(microseconds(latency));
        self.without_retry_after += u64::from(!retry_after);
    }

    pub fn timed_out(&mut self) {
        self.timeouts += 1;
    }

    /// A request failed. The first error is told on stderr.
    pub fn failed(&mut self, error: &io::Error) {
        if self.errors == 0 {
            eprintln!("the first request that failed: {error}");
        }
        self.errors += 1;
    }

    /// So many were on their way at the end.
    pub fn unfinished(&mut self, count: u64) {
        self.unfinished = count;
    }

    /// One line of JSON. Percentiles and maximum have what failed or was refused as if it had been answered at the timeout; the mean
    /// and what begins with `answered` or `refused` are of these alone.
    pub fn report(&self) -> String {
        let mut all = self.latencies.clone();
        let failed = self.timeouts + self.errors + self.refusals.len();
        if failed > 0 {
            all.saturating_record_n(microseconds(self.timeout), failed);
        }
        let seconds = match (self.begin, self.end) {
            (Some(begin), Some(end)) => end.saturating_duration_since(begin).as_secs_f64(),
            _ => 0.0,
        };
        let percentile = |percent| all.value_at_percentile(percent) as f64 / 1e3;
        format!(
            "{{\"sent\": {}, \"answered\": {}, \"timeouts\": {}, \"errors\": {}, \"unfinished\": {}, \"mean_ms\": {:.3}, \
             \"p50_ms\": {:.3}, \"p99_ms\": {:.3}, \"p999_ms\": {:.3}, \"max_ms\": {:.3}, \"late_ms\": {:.3}, \
             \"seconds\": {seconds:.3}, \"refused\": {}, \"refused_p99_ms\": {:.3}, \"refused_max_ms\": {:.3}, \
             \"without_retry_after\": {}, \"answered_p99_ms\": {:.3}}}",
            self.sent,
            self.latencies.len(),
            self.timeouts,
            self.errors,
            self.unfinished,
            self.latencies.mean() / 1e3,
            percentile(50.0),
            percentile(99.0),
            percentile(99.9),
            all.max() as f64 / 1e3,
            self.late.as_secs_f64() * 1e3,
            self.refusals.len(),
            self.refusals.value_at_percentile(99.0) as f64 / 1e3,
            self.refusals.max() as f64 / 1e3,
            self.without_retry_after,
            self.latencies.value_at_percentile(99.0) as f64 / 1e3,
        )
    }
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX).max(1)
}
