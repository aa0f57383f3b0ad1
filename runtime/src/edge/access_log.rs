//! One event for each request that has been answered.

use std::time::Instant;

use crate::http::{Method, Request, StatusCode};
use crate::lane::LaneKind;

/// What the log says about one request. Exists only while the access log is on.
pub(crate) struct AccessEntry {
    method: Method,
    path: String,
    client: Option<String>,
    began: Instant,
}

impl AccessEntry {
    pub(crate) fn new(request: &Request) -> Self {
        // What a proxy passes on may be anything: no control character of it gets into the log.
        let told = request.forwarded().and_then(|forwarded| forwarded.client);
        let told = told.map(|(host, port)| (host.escape_debug().to_string(), port));
        let client = match told {
            Some((host, 0)) => Some(host),
            Some((host, port)) if host.contains(':') => Some(format!("[{host}]:{port}")),
            Some((host, port)) => Some(format!("{host}:{port}")),
            None => request.peer().map(|peer| peer.to_string()),
        };
        let (method, path) = (request.method().clone(), request.path().to_owned());
        AccessEntry { method, path, client, began: Instant::now() }
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
            peer = self.client.as_ref().map(tracing::field::display),
        );
    }
}
