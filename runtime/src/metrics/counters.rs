//! Counters by lane.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::lane::LaneKind;

/// What a server has done so far.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Requests answered, by lane, in the order of [`LaneKind::ALL`].
    pub requests: [u64; LaneKind::ALL.len()],
    /// Requests that no route answered: 404, 405, or refused because of their body.
    pub unrouted: u64,
    /// Requests being answered now.
    pub in_flight: u64,
    /// Connections open now.
    pub connections: u64,
}

/// The counters of one I/O worker. Only that worker writes them, so counting needs no atomic
/// read-modify-write; each worker has its own cache lines.
#[derive(Default)]
#[repr(align(128))]
pub(crate) struct Counters {
    requests: [AtomicU64; LaneKind::ALL.len()],
    unrouted: AtomicU64,
    in_flight: AtomicU64,
    connections: AtomicU64,
}

/// Adds without an atomic read-modify-write: the counter has one writer.
pub(super) fn add(counter: &AtomicU64, delta: i64) {
    counter.store(counter.load(Relaxed).wrapping_add_signed(delta), Relaxed);
}

impl Counters {
    pub(crate) fn request_began(&self) {
        add(&self.in_flight, 1);
    }

    pub(crate) fn request_ended(&self, lane: Option<LaneKind>) {
        add(&self.in_flight, -1);
        add(lane.map_or(&self.unrouted, |lane| &self.requests[lane as usize]), 1);
    }

    pub(crate) fn connection_opened(&self) {
        add(&self.connections, 1);
    }

    pub(crate) fn connection_closed(&self) {
        add(&self.connections, -1);
    }

    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Relaxed)
    }

    pub(crate) fn add_to(&self, stats: &mut Stats) {
        for (total, counter) in stats.requests.iter_mut().zip(&self.requests) {
            *total += counter.load(Relaxed);
        }
        stats.unrouted += self.unrouted.load(Relaxed);
        stats.in_flight += self.in_flight.load(Relaxed);
        stats.connections += self.connections.load(Relaxed);
    }
}
