//! One event for each request that has been answered.

use std::time::Instant;

use crate::http::{HeaderValue, Method, Request, StatusCode};
use crate::lane::LaneKind;

/// What the log says about one request. Exists only while the access log is on.
pub(crate) struct AccessEntry {
    method: Method,
    path: String,
    client: Option<String>,
    request_id: Option<String>,
    trace: Option<(String, String)>,
    began: Instant,
}

impl AccessEntry {
    pub(crate) fn new(request: &Request, request_id: Option<&HeaderValue>) -> Self {
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
        let request_id = request_id.and_then(|id| id.to_str().ok()).map(str::to_owned);
        let trace = request.header("traceparent").and_then(|value| traced(value.as_bytes()));
        AccessEntry { method, path, client, request_id, trace, began: Instant::now() }
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
            request_id = self.request_id.as_ref().map(tracing::field::display),
            trace_id = self.trace.as_ref().map(|(trace, _)| tracing::field::display(trace)),
            span_id = self.trace.as_ref().map(|(_, span)| tracing::field::display(span)),
        );
    }
}

/// The trace and the caller's span in a `traceparent` field, as the W3C has it; none where it is malformed.
fn traced(value: &[u8]) -> Option<(String, String)> {
    let mut parts = std::str::from_utf8(value).ok()?.split('-');
    let mut part = |length: usize| {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        parts.next().filter(|part| part.len() == length && part.bytes().all(is_hex))
    };
    let (version, trace, span, _flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
    let is_zero = |part: &str| part.bytes().all(|byte| byte == b'0');
    // Later versions may have more parts.
    let is_whole = version != "00" || parts.next().is_none();
    let is_valid = is_whole && version != "ff" && !is_zero(trace) && !is_zero(span);
    is_valid.then(|| (trace.to_owned(), span.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::traced;

    #[test]
    fn a_trace_is_read_as_the_w3c_has_it() {
        let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        for good in [format!("00-{trace}-{span}-01"), format!("cc-{trace}-{span}-00-later")] {
            assert_eq!(traced(good.as_bytes()), Some((trace.to_owned(), span.to_owned())), "{good}");
        }
        for bad in [
            String::new(),
            trace.to_owned(),
            format!("00-{trace}-{span}"),
            format!("00-{trace}-{span}-01-more"),
            format!("ff-{trace}-{span}-01"),
            format!("00-{}-{span}-01", trace.to_uppercase()),
            format!("00-{}-{span}-01", "0".repeat(32)),
            format!("00-{trace}-{}-01", "0".repeat(16)),
            format!("00-{span}-{trace}-01"),
        ] {
            assert_eq!(traced(bad.as_bytes()), None, "{bad}");
        }
    }
}
