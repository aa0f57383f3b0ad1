//! Responses that are sent while they are made.

use std::error::Error;
use std::ffi::c_void;
use std::pin::Pin;
use std::task::{Context, Poll};

use bimetal_abi::{BmChunk, BmSlice, BmWaker, RESULT_ABSENT, RESULT_FAILED, RESULT_OK, RESULT_PENDING};
use bytes::Bytes;
use futures_core::Stream;

use super::writer::Owner;
use super::{IntoResponse, ResponseWriter};
use crate::describe::Operation;
use crate::entry::guard;
use crate::{runtime, waker};

/// A body that is sent in chunks, as they come: for answers that are large, or not known yet.
///
/// ```
/// use std::convert::Infallible;
/// use std::pin::Pin;
/// use std::task::{Context, Poll};
///
/// use bimetal::prelude::*;
/// use futures_core::Stream;
///
/// /// Counts to `last`.
/// struct Count {
///     last: u64,
///     number: u64,
/// }
///
/// impl Stream for Count {
///     type Item = Result<String, Infallible>;
///
///     fn poll_next(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
///         self.number += 1;
///         let number = self.number;
///         Poll::Ready((number <= self.last).then(|| Ok(format!("{number}\n"))))
///     }
/// }
///
/// #[native_handler]
/// fn count(Path(last): Path<u64>) -> Result<Body, HttpError> {
///     if last > 1_000_000 {
///         return Err(HttpError::bad_request("that is too far"));
///     }
///     Ok(Body::from_stream(Count { last, number: 0 }).content_type("text/plain; charset=utf-8"))
/// }
/// ```
///
/// Status and header fields come with a tuple, as around any response: `(206, Body)`, `([("x-parts", "3")], Body)`.
///
/// - A chunk is asked for when the connection has room for it. When the client goes away, the stream is dropped.
/// - An `Err` or a panic ends the connection in the middle of the body, so that the client does not take it for whole, and
///   is counted and logged. The status has been sent by then.
/// - The handler's deadline does not count from here on: a stream may take as long as it likes.
/// - For `HEAD` the stream is dropped without being asked.
pub struct Body {
    chunks: ChunkStream,
    content_type: Option<String>,
}

/// A stream of any kind, as the host asks for its chunks.
pub(crate) type ChunkStream = Pin<Box<dyn Chunks + Send>>;

/// A stream whose items are bytes or errors.
pub(crate) trait Chunks {
    fn poll_chunk(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Box<dyn Error + Send + Sync>>>>;
}

impl<S, T, E> Chunks for S
where
    S: Stream<Item = Result<T, E>>,
    T: Into<Bytes>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    fn poll_chunk(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Box<dyn Error + Send + Sync>>>> {
        self.poll_next(cx).map(|item| item.map(|chunk| chunk.map(Into::into).map_err(Into::into)))
    }
}

impl Body {
    /// The chunks of `stream`, which is polled on an I/O worker and must not block. Without a content type, that of
    /// `#[native_handler(content_type = "...")]` is sent, or none.
    ///
    /// A chunk is `Bytes`, `Vec<u8>`, `String` or static text; an error is any error, or text.
    ///
    /// ```
    /// # use std::pin::Pin;
    /// # use std::task::{Context, Poll};
    /// # use bimetal::Body;
    /// # struct Once(Option<&'static str>);
    /// # impl futures_core::Stream for Once {
    /// #     type Item = Result<&'static str, std::io::Error>;
    /// #     fn poll_next(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
    /// #         Poll::Ready(self.0.take().map(Ok))
    /// #     }
    /// # }
    /// # let lines = Once(Some("a,b\n"));
    /// let body = Body::from_stream(lines);
    /// ```
    pub fn from_stream<S, T, E>(stream: S) -> Body
    where
        S: Stream<Item = Result<T, E>> + Send + 'static,
        T: Into<Bytes>,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        Body { chunks: Box::pin(stream), content_type: None }
    }

    /// Sets the content type.
    ///
    /// ```
    /// # use bimetal::Body;
    /// fn as_csv(body: Body) -> Body {
    ///     body.content_type("text/csv")
    /// }
    /// ```
    pub fn content_type(mut self, content_type: impl Into<String>) -> Body {
        self.content_type = Some(content_type.into());
        self
    }
}

impl IntoResponse for Body {
    fn describe(operation: &mut Operation) {
        operation.stream_response();
    }

    fn into_response(self, response: &mut ResponseWriter<'_>) {
        response.write_stream(self.chunks, self.content_type);
    }
}

/// `BmResponse::next`.
///
/// # Safety
///
/// Called by the host with what the ABI says, and with an [`Owner`].
pub(super) unsafe extern "C" fn next(owner: *mut c_void, words: *const BmWaker, chunk: *mut BmChunk) -> u32 {
    guard(|| {
        // SAFETY: made by `ResponseWriter::own`, not released yet; the host makes one call at a time.
        let Some(stream) = (unsafe { &mut (*owner.cast::<Owner>()).stream }) else { return RESULT_ABSENT };
        let polled = waker::with_borrowed(words, |waker| {
            runtime::within(|| stream.as_mut().poll_chunk(&mut Context::from_waker(waker)))
        });
        let (result, bytes) = match polled {
            Poll::Pending => return RESULT_PENDING,
            Poll::Ready(None) => return RESULT_ABSENT,
            Poll::Ready(Some(Ok(bytes))) => (RESULT_OK, bytes),
            Poll::Ready(Some(Err(error))) => (RESULT_FAILED, error.to_string().into()),
        };
        let bytes = Box::new(bytes);
        // SAFETY: the host's place for the chunk. The bytes stay where they are until `release_chunk`.
        unsafe {
            (*chunk).bytes = BmSlice::borrow(&bytes);
            (*chunk).owner = Box::into_raw(bytes).cast();
            (*chunk).release = Some(release_chunk);
        }
        result
    })
}

unsafe extern "C" fn release_chunk(owner: *mut c_void) {
    // Memory that the handler made may have drop code of its own, which must not panic into the host.
    guard(|| {
        // SAFETY: made by `next`; the host calls this once.
        drop(unsafe { Box::from_raw(owner.cast::<Bytes>()) });
        RESULT_OK
    });
}
