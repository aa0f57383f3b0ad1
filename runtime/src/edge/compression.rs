//! gzip for responses: Starlette's `GZipMiddleware`.

use super::encoded_stream::EncodedStream;
use super::excluded::{Excluded, EXCLUDED_CONTENT_TYPES};
use super::fields::{add_vary, first, remove, set, Fields};
use super::{Gzip, Noted};
use crate::http::{header, Body, HeaderName, HeaderValue, Response, StatusCode};

/// Largest body that is compressed before the response begins. A larger one is compressed while it is sent, without a
/// `content-length`.
pub(super) const AT_ONCE: usize = 64 * 1024;

/// Compresses responses for clients that take gzip.
#[derive(Clone, Debug)]
pub struct Compression {
    minimum_size: usize,
    level: u32,
    excluded: Excluded,
}

impl Default for Compression {
    fn default() -> Self {
        Compression::new(500, 9, &EXCLUDED_CONTENT_TYPES)
    }
}

impl Compression {
    /// Compresses bodies of `minimum_size` bytes and more, and all streams, with zlib's `level` (0 to 9), unless their type
    /// of content is one of `excluded`.
    pub fn new(minimum_size: usize, level: u32, excluded: &[impl AsRef<str>]) -> Compression {
        Compression { minimum_size, level, excluded: Excluded::new(excluded) }
    }

    /// Completes a response: compressed, if that is worth it and the client takes it.
    pub fn after(&self, noted: &Noted, response: Response) -> Response {
        self.apply(noted, response, AT_ONCE)
    }

    /// As [`Compression::after`], with a body that is there compressed before this returns, however large it is.
    pub fn after_at_once(&self, noted: &Noted, response: Response) -> Response {
        self.apply(noted, response, usize::MAX)
    }

    /// Completes the head of a response whose body comes in parts; gives what has to compress them, if anything has.
    pub fn after_head(&self, noted: &Noted, status: StatusCode, headers: &mut Fields) -> Option<Gzip> {
        self.streams(noted, status, headers).then(|| Gzip::new(self.level))
    }

    /// Whether the head of such a response is sent as it is and at once. The head of any other waits for the body's
    /// first part.
    pub fn passes(&self, status: StatusCode, headers: &[(HeaderName, HeaderValue)]) -> bool {
        status == StatusCode::PARTIAL_CONTENT
            || first(headers, &header::CONTENT_ENCODING).is_some()
            || self.excluded.covers(headers)
    }

    fn apply(&self, noted: &Noted, mut response: Response, at_once: usize) -> Response {
        let headers = &mut response.headers;
        let bytes = match response.body {
            Body::Stream(stream) => {
                let gzip = self.streams(noted, response.status, headers);
                let stream = if gzip {
                    Box::pin(EncodedStream::of_stream(Gzip::new(self.level), stream))
                } else {
                    stream
                };
                return Response { body: Body::Stream(stream), ..response };
            }
            Body::Full(ref bytes) => bytes.clone(),
        };
        if self.passes(response.status, headers) || bytes.len() < self.minimum_size {
            return response;
        }
        add_vary(headers, "Accept-Encoding");
        if !noted.accepts_gzip {
            return response;
        }
        set(headers, &header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        response.body = if bytes.len() <= at_once {
            let compressed = Gzip::new(self.level).finished(&bytes);
            set(headers, &header::CONTENT_LENGTH, compressed.len().into());
            compressed.into()
        } else {
            remove(headers, &header::CONTENT_LENGTH);
            Body::Stream(Box::pin(EncodedStream::of_bytes(Gzip::new(self.level), bytes)))
        };
        response
    }

    /// Completes the head of a streamed response; whether its body has to be compressed.
    fn streams(&self, noted: &Noted, status: StatusCode, headers: &mut Fields) -> bool {
        if self.passes(status, headers) {
            return false;
        }
        add_vary(headers, "Accept-Encoding");
        if noted.accepts_gzip {
            set(headers, &header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            remove(headers, &header::CONTENT_LENGTH);
        }
        noted.accepts_gzip
    }
}

#[cfg(test)]
#[path = "compression_tests.rs"]
mod tests;
