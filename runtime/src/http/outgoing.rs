//! A response on its way out: framed for the wire, its end noticed.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{ready, Context, Poll};

use actix_http::body::{BodySize, MessageBody};
use actix_http::ConnectionType;
use bytes::Bytes;

use super::incoming::Incoming;
use super::{header, Body, ByteStream, HeaderValue, Method, Request, Response, StatusCode, Version};
use crate::{Error, ErrorKind};

/// What the framing of a response depends on, besides the response.
#[derive(Clone, Copy)]
pub(crate) struct Framing {
    head_only: bool,
    /// HTTP/1.0 knows no chunks: a body of unknown length ends with the connection.
    until_close: bool,
    /// The client wanted another protocol. Whatever is not a switch to it ends the connection, because what
    /// the client sends next may be of that protocol.
    upgrade: bool,
}

impl Framing {
    pub(crate) fn of(request: &mut Request) -> Framing {
        let upgrade = request.wants_upgrade() || request.is_connect() || request.is_unframed();
        Framing {
            head_only: *request.method() == Method::HEAD,
            until_close: request.version() < Version::HTTP_11 || upgrade,
            upgrade,
        }
    }
}

/// What is told of a response, and dropped when it has ended.
pub(crate) trait Guard {
    /// The connection ends with the response.
    fn connection_ends(&self);
}

/// The body actix sends.
pub(crate) struct Outgoing<G> {
    size: BodySize,
    part: Part,
    /// Dropped when the response has ended.
    guard: Option<G>,
    /// A body nobody wants to read any more; held so that the connection is closed instead of read to its
    /// end. In a box, as few responses have one and all are moved.
    _unread: Option<Box<Incoming>>,
}

enum Part {
    Nothing,
    Bytes(Bytes),
    Stream(Streamed),
    /// What was produced so far is being written; then the connection is cut.
    Cut(Error),
}

/// The stream of a response.
struct Streamed {
    stream: ByteStream,
    /// The route, for the log.
    pattern: Arc<str>,
    /// Bytes that `content-length` promises and that have not come yet.
    left: Option<u64>,
    /// The answer to `HEAD`: produced, as the application may want to finish, and not sent.
    discard: bool,
}

impl<G: Guard> Outgoing<G> {
    /// Frames `response`. `guard` is dropped when it has been handed to the connection or has been given up.
    pub(crate) fn frame(
        response: Response,
        framing: Framing,
        guard: G,
        pattern: impl FnOnce() -> Arc<str>,
        unread: Option<Incoming>,
    ) -> actix_http::Response<Outgoing<G>> {
        let Response { status, headers, body, .. } = response;
        let mut head = actix_http::Response::with_body(status, ());
        if status.canonical_reason().is_none() {
            head.head_mut().reason = Some("");
        }
        let mut declared: Option<HeaderValue> = None;
        let mut close = framing.upgrade || unread.is_some();
        for (name, value) in headers {
            match name {
                // Framing is decided here, whatever the handler said.
                header::TRANSFER_ENCODING => {}
                header::CONTENT_LENGTH => declared = Some(value),
                header::CONNECTION => {
                    close |= value.to_str().is_ok_and(|value| {
                        value.split(',').any(|option| option.trim().eq_ignore_ascii_case("close"))
                    });
                }
                _ => head.headers_mut().append(name, value),
            }
        }
        let length = declared.as_ref().and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok());
        let streamed =
            |stream, left, discard| Part::Stream(Streamed { stream, pattern: pattern(), left, discard });
        let (size, part) = if status == StatusCode::SWITCHING_PROTOCOLS {
            close = false;
            head.head_mut().set_connection_type(ConnectionType::Upgrade);
            head.head_mut().no_chunking(true);
            match body {
                Body::Stream(stream) => (BodySize::Stream, streamed(stream, None, false)),
                Body::Full(_) => (BodySize::None, Part::Nothing),
            }
        } else if status.is_informational()
            || status == StatusCode::NO_CONTENT
            || status == StatusCode::NOT_MODIFIED
        {
            if status == StatusCode::NOT_MODIFIED {
                // The length the body would have: allowed here, and sent only if the handler says it.
                if let Some(value) = declared {
                    head.headers_mut().insert(header::CONTENT_LENGTH, value);
                }
            }
            (BodySize::None, Part::Nothing)
        } else {
            match body {
                Body::Full(bytes) if framing.head_only => {
                    (BodySize::Sized(length.unwrap_or(bytes.len() as u64)), Part::Nothing)
                }
                Body::Full(bytes) if bytes.is_empty() => (BodySize::Sized(0), Part::Nothing),
                Body::Full(bytes) => (BodySize::Sized(bytes.len() as u64), Part::Bytes(bytes)),
                Body::Stream(stream) => {
                    let size = length.map_or(BodySize::Stream, BodySize::Sized);
                    if length.is_none() && framing.until_close {
                        head.head_mut().no_chunking(true);
                        close = true;
                    }
                    (size, streamed(stream, length, framing.head_only))
                }
            }
        };
        if close {
            guard.connection_ends();
            head.head_mut().set_connection_type(ConnectionType::Close);
        }
        head.set_body(Outgoing { size, part, guard: Some(guard), _unread: unread.map(Box::new) })
    }
}

impl<G> Outgoing<G> {
    fn finish(&mut self) -> Poll<Option<Result<Bytes, Error>>> {
        self.part = Part::Nothing;
        self.guard = None;
        Poll::Ready(None)
    }
}

impl Streamed {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        loop {
            let polled = catch_unwind(AssertUnwindSafe(|| self.stream.as_mut().poll_next(cx)));
            let next = match polled {
                Ok(poll) => ready!(poll),
                Err(panic) => {
                    let what = crate::error::panic_message(&*panic);
                    let message = format!("the response stream of route {} panicked: {what}", self.pattern);
                    Some(Err(Error::new(ErrorKind::Handler, message)))
                }
            };
            match next {
                // An empty chunk would read as the end of a chunked body.
                Some(Ok(chunk)) if chunk.is_empty() => {}
                Some(Ok(_)) if self.discard => {}
                Some(Ok(chunk)) => {
                    if let Some(left) = &mut self.left {
                        let Some(after) = left.checked_sub(chunk.len() as u64) else {
                            return Poll::Ready(Some(Err(self.length_error("more"))));
                        };
                        *left = after;
                    }
                    return Poll::Ready(Some(Ok(chunk)));
                }
                None if self.left.is_some_and(|left| left > 0) && !self.discard => {
                    return Poll::Ready(Some(Err(self.length_error("less"))));
                }
                other => return Poll::Ready(other),
            }
        }
    }

    fn length_error(&self, what: &str) -> Error {
        Error::new(
            ErrorKind::Handler,
            format!("the response of route {} has {what} bytes than its content-length says", self.pattern),
        )
    }
}

impl<G: Unpin> MessageBody for Outgoing<G> {
    type Error = Error;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        let this = self.get_mut();
        match std::mem::replace(&mut this.part, Part::Nothing) {
            Part::Nothing => this.finish(),
            Part::Bytes(bytes) => Poll::Ready(Some(Ok(bytes))),
            Part::Stream(mut streamed) => match streamed.poll(cx) {
                Poll::Ready(None) => this.finish(),
                Poll::Ready(Some(Err(error))) => {
                    tracing::error!(route = %streamed.pattern, %error, "response cut short");
                    // What came before the error still goes out: cut only after the dispatcher has flushed.
                    this.part = Part::Cut(error);
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                Poll::Ready(chunk) => {
                    this.part = Part::Stream(streamed);
                    Poll::Ready(chunk)
                }
                Poll::Pending => {
                    this.part = Part::Stream(streamed);
                    Poll::Pending
                }
            },
            Part::Cut(error) => Poll::Ready(Some(Err(error))),
        }
    }
}
