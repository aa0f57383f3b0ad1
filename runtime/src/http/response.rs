//! A response, owned, as lanes of every kind hand it over.

use super::{Body, HeaderName, HeaderValue, StatusCode};
use crate::{Error, ErrorKind};

/// Status, headers and body. It may cross threads.
pub struct Response {
    /// The status code.
    pub status: StatusCode,
    /// Header fields; several of one name are all sent. `content-length` is added where the body has one.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body.
    pub body: Body,
}

impl Response {
    /// A response with `status` and no body.
    pub fn new(status: StatusCode) -> Self {
        Response { status, headers: Vec::new(), body: Body::Empty }
    }

    /// The same response with a body.
    pub fn with_body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    /// The same response with one header field more.
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// A JSON response from bytes that are JSON already.
    pub fn json(status: StatusCode, body: impl Into<Body>) -> Self {
        Response::new(status)
            .with_header(super::header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .with_body(body)
    }

    /// FastAPI's shape of an error: `{"detail": ...}`. `detail` must need no JSON escapes.
    pub fn detail(status: StatusCode, detail: &str) -> Self {
        Response::json(status, format!("{{\"detail\":\"{detail}\"}}"))
    }
}

impl From<&Error> for Response {
    fn from(error: &Error) -> Self {
        let detail = match error.kind() {
            // What a handler or the server got wrong is for the log, not for the client.
            ErrorKind::Handler | ErrorKind::Server => "Internal Server Error".to_owned(),
            _ => error.to_string().replace(['"', '\\'], "'"),
        };
        Response::detail(error.kind().status(), &detail)
    }
}
