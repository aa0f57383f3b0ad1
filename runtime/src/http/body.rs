//! Bodies: a response's (may cross threads) and a request's (stays on its I/O worker).

use std::pin::Pin;

use bytes::Bytes;
use futures_core::Stream;

use crate::Error;

/// A stream of chunks that may be produced on another thread.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, Error>> + Send>>;

/// The body of a [`Response`](super::Response).
pub enum Body {
    /// The whole body. One of no bytes is none: `content-length: 0` where the status allows one.
    Full(Bytes),
    /// Chunks as they come. Framed by the response's `content-length` header where it has one, chunked
    /// otherwise.
    Stream(ByteStream),
}

impl Body {
    /// No body.
    pub const EMPTY: Body = Body::Full(Bytes::new());
}

impl Default for Body {
    fn default() -> Self {
        Body::EMPTY
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Body::Full(bytes)
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Body::Full(bytes.into())
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Body::Full(text.into())
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Body::Full(Bytes::from_static(text.as_bytes()))
    }
}

/// The body of a request, read on its I/O worker: at most
/// [`Config::max_body_size`](crate::Config::max_body_size) bytes, then an error of kind `BodyTooLarge`.
pub struct BodyReader {
    pub(crate) inner: Pin<Box<dyn Stream<Item = Result<Bytes, Error>>>>,
}

impl BodyReader {
    /// The next chunk; `None` at the end.
    pub async fn chunk(&mut self) -> Option<Result<Bytes, Error>> {
        std::future::poll_fn(|cx| self.inner.as_mut().poll_next(cx)).await
    }
}
