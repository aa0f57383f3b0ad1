//! Bodies: a response's (may cross threads) and a request's (stays on its I/O worker).

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
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
        poll_fn(|cx| self.inner.as_mut().poll_next(cx)).await
    }

    /// What came of the body together with the head: all of it, usually, where it is small. Whether it is all, too.
    ///
    /// It does not wait for the client, and stops once it has `enough` bytes.
    pub async fn arrived(&mut self, enough: usize) -> Result<(Bytes, bool), Error> {
        let mut body = Collected::default();
        let mut looks = 0;
        poll_fn(|cx| {
            while body.len() < enough {
                match self.inner.as_mut().poll_next(cx) {
                    Poll::Ready(Some(Ok(chunk))) => body.push(chunk),
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                    Poll::Ready(None) => return Poll::Ready(Ok(true)),
                    // The connection's task looks after the handler twice before it comes to the bytes behind the head.
                    Poll::Pending if looks < 2 => {
                        looks += 1;
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    Poll::Pending => break,
                }
            }
            Poll::Ready(Ok(false))
        })
        .await
        .map(|is_whole| (body.finish(), is_whole))
    }
}

/// A body so far. One chunk, the usual case, is not copied.
#[derive(Default)]
pub(crate) enum Collected {
    #[default]
    Nothing,
    One(Bytes),
    Many(BytesMut),
}

impl Collected {
    pub(crate) fn push(&mut self, chunk: Bytes) {
        *self = match std::mem::take(self) {
            Collected::Nothing => Collected::One(chunk),
            Collected::One(first) => {
                let mut all = BytesMut::with_capacity((first.len() + chunk.len()) * 2);
                all.extend_from_slice(&first);
                all.extend_from_slice(&chunk);
                Collected::Many(all)
            }
            Collected::Many(mut all) => {
                all.extend_from_slice(&chunk);
                Collected::Many(all)
            }
        };
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Collected::Nothing => 0,
            Collected::One(bytes) => bytes.len(),
            Collected::Many(bytes) => bytes.len(),
        }
    }

    pub(crate) fn finish(self) -> Bytes {
        match self {
            Collected::Nothing => Bytes::new(),
            Collected::One(bytes) => bytes,
            Collected::Many(bytes) => bytes.freeze(),
        }
    }
}
