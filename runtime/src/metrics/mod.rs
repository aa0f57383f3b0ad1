//! Counters by lane.

use crate::lane::LaneKind;

/// What a server has done so far.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Requests answered, by lane, in the order of [`LaneKind::ALL`].
    pub requests: [u64; LaneKind::ALL.len()],
    /// Requests being answered now.
    pub in_flight: u64,
    /// Connections open now.
    pub connections: u64,
}
