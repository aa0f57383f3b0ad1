//! From the client to the application.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use actix_http::ws::{self, Frame, Item, OpCode, ProtocolError};
use actix_http::Payload;
use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use tokio::task::yield_now;
use tokio_util::codec::Decoder;

use super::deflate::{Inflater, Uninflatable};
use super::frame_head::{FrameHead, COMPRESSED};
use super::keepalive::UNANSWERED;
use super::link::{End, Link};
use super::partial::Partial;
use super::{Message, BROKEN, NOT_UTF8, NO_CODE, PROTOCOL_ERROR, SERVER_RESTARTS, TOO_BIG};
use crate::http::{spawn_local, Connection};

/// The longest payload of a ping, a pong or a close.
const MAX_CONTROL: u64 = 125;

/// What the client sends. Stays on the I/O worker.
///
/// Pings are answered and the client's close is noticed while [`Receiver::next`] is awaited. A dropped
/// receiver goes on doing both in the background and discards the messages.
pub struct Receiver {
    reader: Option<Reader>,
}

impl Receiver {
    pub(super) fn new(
        payload: Payload,
        connection: Option<Rc<Connection>>,
        link: Arc<Link>,
        max_message_size: usize,
        inflater: Option<Inflater>,
    ) -> Self {
        Receiver {
            reader: Some(Reader {
                payload,
                connection,
                link,
                codec: ws::Codec::new().max_size(max_message_size),
                buffer: BytesMut::new(),
                is_known: false,
                is_compressed: false,
                partial: None,
                inflater,
                max_message_size,
                ended: false,
                detached: false,
            }),
        }
    }

    /// The next message; after the client's close (1005 without a code, 1006 when the connection broke)
    /// `None`.
    ///
    /// What the client got wrong is reported as the close it was answered with: 1002 for a protocol error,
    /// 1007 for text that is not UTF-8, 1009 for a message that is too large. When the server stops: 1012. A client that
    /// does not answer pings has broken the connection.
    pub async fn next(&mut self) -> Option<Message> {
        let message = self.reader.as_mut()?.next().await;
        if let Message::Close(..) = message {
            self.detach();
        }
        Some(message)
    }

    /// Leaves what may still come to a task in the background: the client's answer to our close frame, at
    /// least.
    fn detach(&mut self) {
        let Some(mut reader) = self.reader.take() else { return };
        reader.link.receiver_dropped();
        if reader.ended || reader.connection.as_ref().is_none_or(|connection| connection.server_has_stopped())
        {
            return;
        }
        reader.detached = true;
        spawn_local(async move { while !matches!(reader.next().await, Message::Close(..)) {} });
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.detach();
    }
}

struct Reader {
    payload: Payload,
    connection: Option<Rc<Connection>>,
    link: Arc<Link>,
    codec: ws::Codec,
    buffer: BytesMut,
    /// The head of the frame that `buffer` begins with has been looked at.
    is_known: bool,
    /// It begins a compressed message.
    is_compressed: bool,
    /// The frames of an unfinished message.
    partial: Option<Partial>,
    /// Where compression was agreed on.
    inflater: Option<Inflater>,
    max_message_size: usize,
    /// The client's close, a failure or the end of the connection has been seen.
    ended: bool,
    /// The application does not listen: a stopping server is none of its concerns.
    detached: bool,
}

impl Reader {
    async fn next(&mut self) -> Message {
        loop {
            // First, as a call of this may have been given up in the middle of it.
            if self.inflater.as_ref().is_some_and(Inflater::is_busy) {
                return self.inflate().await;
            }
            if let Some(message) = self.look() {
                return message;
            }
            match self.codec.decode(&mut self.buffer) {
                Ok(Some(frame)) => {
                    self.is_known = false;
                    if let Some(message) = self.frame(frame) {
                        return message;
                    }
                }
                Ok(None) => match self.read().await {
                    Read::Some(chunk) => self.buffer.extend_from_slice(&chunk),
                    Read::End(End::GoingAway) => return Message::Close(SERVER_RESTARTS, String::new()),
                    Read::End(End::Lost) => {
                        self.ended = true;
                        self.leave();
                        return Message::Close(BROKEN, UNANSWERED.to_owned());
                    }
                    Read::Nothing => {
                        self.ended = true;
                        return Message::Close(BROKEN, String::new());
                    }
                },
                Err(ProtocolError::Overflow) => return self.too_big(),
                Err(error) => return self.fail(PROTOCOL_ERROR, &error.to_string()),
            }
        }
    }

    async fn read(&mut self) -> Read {
        let _listening = self.link.listen();
        poll_fn(|cx| {
            match self.link.end(cx.waker()) {
                // The application, if it listens, is all that is to be told.
                Some(End::GoingAway) if self.detached => {}
                Some(end) => return Poll::Ready(Read::End(end)),
                None => {}
            }
            Pin::new(&mut self.payload).poll_next(cx).map(|chunk| match chunk {
                Some(Ok(chunk)) => Read::Some(chunk),
                Some(Err(_)) | None => Read::Nothing,
            })
        })
        .await
    }

    /// Looks at the head of the next frame, once it is there: what would be refused when the frame is whole is refused now, and
    /// the bit that says that a message is compressed is one that the codec does not know.
    fn look(&mut self) -> Option<Message> {
        if self.is_known {
            return None;
        }
        let head = FrameHead::read(&self.buffer)?;
        self.is_known = true;
        if head.is_control() {
            let is_long = head.length > MAX_CONTROL;
            return is_long.then(|| self.fail(PROTOCOL_ERROR, "a control frame of more than 125 bytes"));
        }
        let begins = matches!(head.opcode, OpCode::Text | OpCode::Binary);
        if begins {
            self.is_compressed = head.compressed && self.inflater.is_some();
            if self.is_compressed {
                self.buffer[0] &= !COMPRESSED;
            }
        }
        let before = self.partial.as_ref().map_or(0, Partial::len) as u64;
        if before.saturating_add(head.length) > self.max_message_size as u64 {
            return Some(self.too_big());
        }
        None
    }

    /// The message a frame completes.
    fn frame(&mut self, frame: Frame) -> Option<Message> {
        match frame {
            Frame::Text(bytes) => self.message(true, bytes),
            Frame::Binary(bytes) => self.message(false, bytes),
            Frame::Continuation(Item::FirstText(bytes)) => self.begin(true, &bytes),
            Frame::Continuation(Item::FirstBinary(bytes)) => self.begin(false, &bytes),
            Frame::Continuation(Item::Continue(bytes)) => self.append(&bytes),
            Frame::Continuation(Item::Last(bytes)) => self.append(&bytes).or_else(|| {
                let partial = self.partial.take()?;
                self.message(partial.is_text(), partial.into_bytes())
            }),
            Frame::Ping(payload) => {
                self.link.pong(payload);
                None
            }
            Frame::Pong(_) => None,
            Frame::Close(reason) => {
                let (code, reason) = match reason {
                    Some(reason) => (reason.code.into(), reason.description.unwrap_or_default()),
                    None => (NO_CODE, String::new()),
                };
                self.ended = true;
                self.link.close(code, "", false);
                if let Some(connection) = &self.connection {
                    connection.hang_up();
                }
                Some(Message::Close(code, reason))
            }
        }
    }

    fn begin(&mut self, text: bool, bytes: &[u8]) -> Option<Message> {
        self.partial = Some(Partial::new(text, self.is_compressed));
        self.append(bytes)
    }

    fn append(&mut self, bytes: &[u8]) -> Option<Message> {
        let partial = self.partial.as_mut()?;
        if partial.append(bytes) {
            None
        } else {
            Some(self.not_utf8())
        }
    }

    /// The message, unless it is to be inflated first.
    fn message(&mut self, text: bool, bytes: Bytes) -> Option<Message> {
        match &mut self.inflater {
            Some(inflater) if self.is_compressed => {
                inflater.begin(text, bytes.into(), self.max_message_size);
                None
            }
            _ => Some(self.whole(text, bytes)),
        }
    }

    /// The message that is being inflated. Other tasks have their turn in between.
    async fn inflate(&mut self) -> Message {
        loop {
            let Some(inflater) = &mut self.inflater else { unreachable!("who inflates has an inflater") };
            match inflater.step() {
                Ok(None) => yield_now().await,
                Ok(Some((text, bytes))) => return self.whole(text, bytes.into()),
                Err(Uninflatable::TooBig) => return self.too_big(),
                Err(Uninflatable::Invalid) => {
                    return self.fail(PROTOCOL_ERROR, "data that cannot be inflated");
                }
            }
        }
    }

    fn whole(&mut self, text: bool, bytes: Bytes) -> Message {
        if !text {
            return Message::Binary(bytes);
        }
        match String::from_utf8(bytes.into()) {
            Ok(text) => Message::Text(text),
            Err(_) => self.not_utf8(),
        }
    }

    fn not_utf8(&mut self) -> Message {
        self.fail(NOT_UTF8, "text that is not UTF-8")
    }

    fn too_big(&mut self) -> Message {
        self.fail(TOO_BIG, &format!("a message larger than {} bytes", self.max_message_size))
    }

    fn fail(&mut self, code: u16, reason: &str) -> Message {
        self.ended = true;
        self.link.close(code, reason, true);
        self.leave();
        Message::Close(code, reason.to_owned())
    }

    /// The connection ends with the close frame, whatever the client still sends.
    fn leave(&self) {
        if let Some(connection) = &self.connection {
            connection.leave();
        }
    }
}

enum Read {
    Some(Bytes),
    /// The end of the connection.
    Nothing,
    End(End),
}
