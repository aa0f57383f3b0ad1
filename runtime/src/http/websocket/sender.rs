//! From the application to the client.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_http::ws::{self, CloseCode, CloseReason};
use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use tokio::sync::mpsc;
use tokio::time::{sleep, Sleep};
use tokio_util::codec::Encoder;

use super::link::{Link, Order};
use super::{Message, BROKEN, NORMAL, NO_CODE};
use crate::{Error, ErrorKind};

/// Messages that may wait to be written, for each WebSocket.
const QUEUE: usize = 32;

/// How long the client may take to answer a close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest reason a close frame can carry, in bytes.
const MAX_REASON: usize = 123;

/// What goes to the client. May be used from any thread.
#[derive(Clone)]
pub struct Sender {
    queue: mpsc::Sender<Message>,
}

impl Sender {
    /// Queues a message; waits while the bounded queue is full. An error of kind `Disconnected` once closed.
    ///
    /// The codes 1005 and 1006 cannot be sent: closing with them sends a close frame without a code. A reason
    /// longer than 123 bytes is cut.
    pub async fn send(&self, message: Message) -> Result<(), Error> {
        self.queue.send(message).await.map_err(|_| disconnected())
    }

    /// Queues a message if there is room. Errors of kind `Disconnected` once closed, `Overloaded` while the
    /// queue is full.
    pub fn try_send(&self, message: Message) -> Result<(), Error> {
        self.queue.try_send(message).map_err(|error| match error {
            mpsc::error::TrySendError::Closed(_) => disconnected(),
            mpsc::error::TrySendError::Full(_) => Error::new(
                ErrorKind::Overloaded,
                format!("the WebSocket has {QUEUE} messages to write already"),
            ),
        })
    }
}

fn disconnected() -> Error {
    Error::new(ErrorKind::Disconnected, "the WebSocket is closed")
}

/// A sender, and the frames it makes.
pub(super) fn channel(link: Arc<Link>) -> (Sender, Frames) {
    let (sender, queue) = mpsc::channel(QUEUE);
    (Sender { queue: sender }, Frames { link, queue, codec: ws::Codec::new(), closing: None })
}

/// The body of the 101 response.
pub(super) struct Frames {
    link: Arc<Link>,
    queue: mpsc::Receiver<Message>,
    codec: ws::Codec,
    /// Once our close frame is out: how much longer the client's is waited for.
    closing: Option<Pin<Box<Sleep>>>,
}

impl Frames {
    fn encode(&mut self, message: ws::Message) -> Poll<Option<Result<Bytes, Error>>> {
        let mut frame = BytesMut::new();
        Poll::Ready(Some(match self.codec.encode(message, &mut frame) {
            Ok(()) => Ok(frame.freeze()),
            Err(error) => {
                Err(Error::new(ErrorKind::Server, "a WebSocket frame could not be encoded").with_cause(error))
            }
        }))
    }

    fn close(&mut self, code: u16, reason: &str) -> Poll<Option<Result<Bytes, Error>>> {
        self.link.set_closed();
        self.queue.close();
        self.closing = Some(Box::pin(sleep(CLOSE_TIMEOUT)));
        let mut end = reason.len().min(MAX_REASON);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        let reason = (code != NO_CODE && code != BROKEN).then(|| CloseReason {
            code: CloseCode::from(code),
            description: (end > 0).then(|| reason[..end].to_owned()),
        });
        self.encode(ws::Message::Close(reason))
    }
}

impl Stream for Frames {
    type Item = Result<Bytes, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Some(timeout) = &mut this.closing {
            // The receiver hangs up when the client's close frame is there.
            return if this.link.has_failed(cx.waker()) || timeout.as_mut().poll(cx).is_ready() {
                Poll::Ready(None)
            } else {
                Poll::Pending
            };
        }
        let abandoned = match this.link.order(cx.waker()) {
            Order::Pong(payload) => return this.encode(ws::Message::Pong(payload)),
            Order::Close(code, reason) => return this.close(code, &reason),
            Order::Nothing { abandoned } => abandoned,
        };
        match this.queue.poll_recv(cx) {
            Poll::Ready(Some(Message::Text(text))) => this.encode(ws::Message::Text(text.into())),
            Poll::Ready(Some(Message::Binary(bytes))) => this.encode(ws::Message::Binary(bytes)),
            Poll::Ready(Some(Message::Close(code, reason))) => this.close(code, &reason),
            // Nobody holds either end any more.
            Poll::Ready(None) if abandoned => this.close(NORMAL, ""),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        self.link.set_closed();
    }
}
