//! Metrics for Prometheus.

use bimetal::prelude::{native_handler, RequestParts, Response};

/// What the server and its plugins count, in the text format of Prometheus.
#[native_handler]
fn metrics(request: RequestParts<'_>) -> Response {
    let text = bimetal::metrics::text(&request);
    Response::text(200, text).content_type("text/plain; version=0.0.4; charset=utf-8")
}
