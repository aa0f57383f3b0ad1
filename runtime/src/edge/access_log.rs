//! One event for each request that has been answered.

use std::net::SocketAddr;
use std::time::Instant;

use crate::http::{Method, StatusCode};
use crate::lane::LaneKind;

/// What the log says about one request. Exists only while the access log is on.
pub(crate) struct AccessEntry {
    method: Method,
    path: String,
    peer: Option<SocketAddr>,
    began: Instant,
}

impl AccessEntry {
    pub(crate) fn new(method: Method, path: String, peer: Option<SocketAddr>) -> Self {
        AccessEntry { method, path, peer, began: Instant::now() }
    }

    /// Logs the request. Without a status the client went away before there was one.
    pub(crate) fn write(&self, status: Option<StatusCode>, lane: Option<LaneKind>) {
        tracing::info!(
            target: "bimetal::access",
            method = %self.method,
            path = %self.path,
            status = status.map_or(499, |status| status.as_u16()),
            lane = lane.map_or("none", LaneKind::as_str),
            duration = self.began.elapsed().as_secs_f64() * 1000.0,
            peer = self.peer.map(tracing::field::display),
        );
    }
}
