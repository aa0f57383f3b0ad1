//! A response put together by hand.

use bytes::Bytes;
use serde::Serialize;

use super::{IntoResponse, ResponseWriter, BYTES, JSON, TEXT};
use crate::describe::Operation;

/// A response with status, headers and body.
///
/// ```
/// use bimetal::prelude::*;
///
/// #[native_handler]
/// fn old_page() -> Response {
///     Response::new(308).header("location", "/new").header("cache-control", "max-age=3600")
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Response {
    status: u16,
    content_type: Option<String>,
    headers: Vec<(String, String)>,
    body: Bytes,
    failure: Option<String>,
}

impl Response {
    /// A response with this status code, without a body.
    ///
    /// ```
    /// let deleted = bimetal::Response::new(204);
    /// ```
    pub fn new(status: u16) -> Response {
        Response { status, content_type: None, headers: Vec::new(), body: Bytes::new(), failure: None }
    }

    /// A response of plain text.
    ///
    /// ```
    /// let answer = bimetal::Response::text(404, "nobody here");
    /// ```
    pub fn text(status: u16, text: impl Into<String>) -> Response {
        Response::new(status).body(text.into().into_bytes()).content_type(TEXT)
    }

    /// A response of JSON. A value that cannot be serialized is answered with 500 and logged.
    ///
    /// ```
    /// let answer = bimetal::Response::json(202, &["queued"]);
    /// ```
    pub fn json(status: u16, value: &impl Serialize) -> Response {
        let response = Response::new(status);
        match sonic_rs::to_vec(value) {
            Ok(body) => response.body(body).content_type(JSON),
            Err(error) => Response { failure: Some(error.to_string()), ..response },
        }
    }

    /// Sets the body; its content type is `application/octet-stream` unless set.
    ///
    /// ```
    /// let answer = bimetal::Response::new(200).body(vec![0x89, b'P', b'N', b'G']).content_type("image/png");
    /// ```
    pub fn body(mut self, body: impl Into<Bytes>) -> Response {
        self.body = body.into();
        self.content_type.get_or_insert_with(|| BYTES.to_owned());
        self
    }

    /// Sets the content type.
    ///
    /// ```
    /// let answer = bimetal::Response::text(200, "a,b\n1,2\n").content_type("text/csv");
    /// ```
    pub fn content_type(mut self, content_type: impl Into<String>) -> Response {
        self.content_type = Some(content_type.into());
        self
    }

    /// Adds a header field; one of the same name stays. `content-type` replaces the body's.
    ///
    /// ```
    /// let answer = bimetal::Response::new(304).header("etag", "\"7\"");
    /// ```
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Response {
        let (name, value) = (name.into(), value.into());
        if name.eq_ignore_ascii_case("content-type") {
            return self.content_type(value);
        }
        self.headers.push((name, value));
        self
    }
}

impl IntoResponse for Response {
    fn describe(_operation: &mut Operation) {}

    fn into_response(self, response: &mut ResponseWriter<'_>) {
        if let Some(reason) = self.failure {
            return response.fail(&reason);
        }
        response.set_status(self.status);
        response.set_headers(self.headers, self.content_type);
        response.write_owned(self.body);
    }
}
