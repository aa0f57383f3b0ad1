//! From the application to the client.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_http::ws::{self, CloseCode, CloseReason, OpCode};
use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use tokio::sync::mpsc;
use tokio::time::{sleep, Sleep};
use tokio_util::codec::Encoder;

use super::deflate::Deflater;
use super::frame_head::COMPRESSED;
use super::keepalive::{Beat, Keepalive, UNANSWERED};
use super::link::{Link, Order};
use super::{Message, BROKEN, INTERNAL_ERROR, NORMAL, NO_CODE};
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
pub(super) fn channel(
    link: Arc<Link>,
    keepalive: Option<Keepalive>,
    deflater: Option<Deflater>,
) -> (Sender, Frames) {
    let (sender, queue) = mpsc::channel(QUEUE);
    let codec = ws::Codec::new();
    let frames = Frames { link, queue, codec, keepalive, deflater, deflating: None, closing: None };
    (Sender { queue: sender }, frames)
}

/// A part of the body of the 101 response, when there is one.
type Part = Poll<Option<Result<Bytes, Error>>>;

/// The body of the 101 response.
pub(super) struct Frames {
    link: Arc<Link>,
    queue: mpsc::Receiver<Message>,
    codec: ws::Codec,
    /// Where pings are sent.
    keepalive: Option<Keepalive>,
    /// Where compression was agreed on.
    deflater: Option<Deflater>,
    /// The kind of the message that is being compressed.
    deflating: Option<OpCode>,
    /// Once our close frame is out: how much longer the client's is waited for.
    closing: Option<Pin<Box<Sleep>>>,
}

impl Frames {
    fn encode(&mut self, message: ws::Message) -> Part {
        let mut frame = BytesMut::new();
        Poll::Ready(Some(match self.codec.encode(message, &mut frame) {
            Ok(()) => Ok(frame.freeze()),
            Err(error) => {
                Err(Error::new(ErrorKind::Server, "a WebSocket frame could not be encoded").with_cause(error))
            }
        }))
    }

    /// Sends a message, or begins to compress it.
    fn message(&mut self, opcode: OpCode, bytes: Bytes) -> Option<Part> {
        if let Some(deflater) = self.deflater.as_mut().filter(|deflater| deflater.takes(bytes.len())) {
            deflater.begin(bytes);
            self.deflating = Some(opcode);
            return None;
        }
        Some(self.data(opcode, bytes, false))
    }

    fn data(&mut self, opcode: OpCode, bytes: Bytes, is_compressed: bool) -> Part {
        let mut frame = BytesMut::new();
        ws::Parser::write_message(&mut frame, bytes, opcode, true, false);
        if is_compressed {
            frame[0] |= COMPRESSED;
        }
        Poll::Ready(Some(Ok(frame.freeze())))
    }

    fn close(&mut self, code: u16, reason: &str) -> Part {
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
        if let Some(Poll::Ready(beat)) =
            this.keepalive.as_mut().map(|keepalive| keepalive.poll(&this.link, cx))
        {
            match beat {
                Beat::Ping => return this.encode(ws::Message::Ping(Bytes::new())),
                Beat::Lost => {
                    this.link.lose();
                    return this.close(INTERNAL_ERROR, UNANSWERED);
                }
            }
        }
        loop {
            if let (Some(opcode), Some(deflater)) = (this.deflating, &mut this.deflater) {
                let Some((bytes, is_compressed)) = deflater.step() else {
                    // Others have their turn.
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                };
                this.deflating = None;
                return this.data(opcode, bytes, is_compressed);
            }
            let sent = match this.queue.poll_recv(cx) {
                Poll::Ready(Some(Message::Text(text))) => this.message(OpCode::Text, text.into()),
                Poll::Ready(Some(Message::Binary(bytes))) => this.message(OpCode::Binary, bytes),
                Poll::Ready(Some(Message::Close(code, reason))) => return this.close(code, &reason),
                // Nobody holds either end any more.
                Poll::Ready(None) if abandoned => return this.close(NORMAL, ""),
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            };
            if let Some(sent) = sent {
                return sent;
            }
        }
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        self.link.set_closed();
    }
}
