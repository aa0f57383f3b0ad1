//! A response, owned, as lanes of every kind hand it over.

use smallvec::SmallVec;

use super::{Body, HeaderName, HeaderValue, StatusCode};
use crate::metrics::Phases;
use crate::{Error, ErrorKind};

/// Header fields of a response. Most have one, the content type: that costs no allocation.
pub type HeaderFields = SmallVec<[(HeaderName, HeaderValue); 1]>;

/// Status, headers and body. It may cross threads.
pub struct Response {
    /// The status code.
    pub status: StatusCode,
    /// Header fields; several of one name are all sent. `content-length` is added where the body has one.
    pub headers: HeaderFields,
    /// The body.
    pub body: Body,
    /// Whether it stands for a failure that nobody handled: it passes none of the [`edge`](crate::edge)'s layers, as a
    /// response made outside all of an application's middleware.
    pub unhandled: bool,
    /// How long what led to it took, where its lane knows that. In a box, as most moves of a response are not about it.
    pub phases: Option<Box<Phases>>,
}

impl Response {
    /// A response with `status` and no body.
    pub fn new(status: StatusCode) -> Self {
        Response { status, headers: HeaderFields::new(), body: Body::EMPTY, unhandled: false, phases: None }
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

    /// The same response with these header fields, in place of those it had.
    pub fn with_headers(mut self, headers: impl Into<HeaderFields>) -> Self {
        self.headers = headers.into();
        self
    }

    /// The same response, as the answer to a failure that nobody handled.
    pub fn unhandled(mut self) -> Self {
        self.unhandled = true;
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
        let unhandled = matches!(error.kind(), ErrorKind::Handler | ErrorKind::Server);
        Response { unhandled, ..Response::detail(error.kind().status(), &detail) }
    }
}
