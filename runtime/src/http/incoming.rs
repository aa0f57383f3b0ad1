//! The body of a request on its way in: counted, bounded, its errors named.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{ready, Context, Poll};

use actix_http::Payload;
use bytes::Bytes;
use futures_core::Stream;

use super::{Connection, Refusal};
use crate::{Error, ErrorKind};

/// An unread request body.
pub(crate) struct Incoming {
    payload: Payload,
    connection: Option<Rc<Connection>>,
    limit: usize,
    /// Bytes the client declared and has not sent yet, where nobody below frames the body: actix takes every
    /// request with `Upgrade: websocket` for the start of a stream without an end.
    unframed: Option<u64>,
    received: usize,
    ended: bool,
}

impl Incoming {
    pub(crate) fn new(
        payload: Payload,
        connection: Option<Rc<Connection>>,
        limit: usize,
        unframed: Option<u64>,
    ) -> Self {
        Incoming { payload, connection, limit, unframed, received: 0, ended: false }
    }

    pub(crate) fn too_large(limit: usize) -> Error {
        Error::new(ErrorKind::BodyTooLarge, format!("Request body is larger than {limit} bytes"))
    }

    /// The next chunk; `None` at the end.
    pub(crate) async fn chunk(&mut self) -> Option<Result<Bytes, Error>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// Keeps what is left of the body unread until the connection has ended.
    pub(crate) fn abandon(self) {
        if let Some(connection) = self.connection {
            connection.keep_unread(self.payload);
        }
    }

    fn accept(&mut self, mut chunk: Bytes) -> Result<Bytes, Error> {
        if let Some(connection) = &self.connection {
            connection.set_busy();
        }
        if let Some(left) = &mut self.unframed {
            chunk.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= chunk.len() as u64;
        }
        self.received += chunk.len();
        if self.received > self.limit {
            self.ended = true;
            return Err(Incoming::too_large(self.limit));
        }
        Ok(chunk)
    }
}

impl Stream for Incoming {
    type Item = Result<Bytes, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.ended || this.unframed == Some(0) {
            return Poll::Ready(None);
        }
        let polled = Pin::new(&mut this.payload).poll_next(cx);
        if polled.is_pending() {
            if let Some(connection) = &this.connection {
                connection.set_awaiting_body();
            }
        }
        Poll::Ready(match ready!(polled) {
            Some(Ok(chunk)) => Some(this.accept(chunk)),
            None if this.unframed.is_none() => {
                this.ended = true;
                None
            }
            Some(Err(_)) | None => {
                this.ended = true;
                let error = match this.connection.as_ref().and_then(|connection| connection.refusal()) {
                    Some(Refusal::SlowBody) => Error::new(ErrorKind::SlowBody, Refusal::SlowBody.detail()),
                    _ => Error::new(ErrorKind::BadBody, "Request body is cut short or wrongly framed"),
                };
                Some(Err(error))
            }
        })
    }
}
