//! The answer to a request that no lane could take.

use bimetal_runtime::http::{header, HeaderValue, StatusCode};
use bimetal_runtime::lane::Refusal;
use bimetal_runtime::Response;

/// 503, with the reason and when to come again.
pub(crate) fn response(why: Refusal) -> Response {
    let detail = match why {
        Refusal::Full => "Too many requests are waiting",
        Refusal::TooOld => "The request waited too long for its turn",
        Refusal::Closed => "The server is shutting down",
    };
    Response::detail(StatusCode::SERVICE_UNAVAILABLE, detail)
        .with_header(header::RETRY_AFTER, HeaderValue::from_static("1"))
}
