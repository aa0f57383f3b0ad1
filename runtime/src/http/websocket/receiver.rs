//! From the client to the application.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use actix_http::ws::{self, Frame, Item, ProtocolError};
use actix_http::Payload;
use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use tokio_util::codec::Decoder;

use super::link::Link;
use super::{Message, BROKEN, NOT_UTF8, NO_CODE, PROTOCOL_ERROR, SERVER_RESTARTS, TOO_BIG};
use crate::http::{spawn_local, Connection};

/// The longest head of a frame: two bytes, eight of length, four of mask.
const FRAME_HEAD: usize = 14;

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
    ) -> Self {
        Receiver {
            reader: Some(Reader {
                payload,
                connection,
                link,
                codec: ws::Codec::new().max_size(max_message_size),
                buffer: BytesMut::new(),
                partial: None,
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
    /// 1007 for text that is not UTF-8, 1009 for a message that is too large. When the server stops: 1012.
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
    /// The frames of an unfinished message.
    partial: Option<Partial>,
    max_message_size: usize,
    /// The client's close, a failure or the end of the connection has been seen.
    ended: bool,
    /// The application does not listen: a stopping server is none of its concerns.
    detached: bool,
}

struct Partial {
    text: bool,
    bytes: BytesMut,
}

impl Reader {
    async fn next(&mut self) -> Message {
        loop {
            match self.codec.decode(&mut self.buffer) {
                Ok(Some(frame)) => {
                    if let Some(message) = self.frame(frame) {
                        return message;
                    }
                }
                // The codec wants the whole frame, however long it claims to be.
                Ok(None) if self.buffer.len() > self.max_message_size.saturating_add(FRAME_HEAD) => {
                    return self.too_big();
                }
                Ok(None) => match self.read().await {
                    Read::Some(chunk) => self.buffer.extend_from_slice(&chunk),
                    Read::GoingAway => return Message::Close(SERVER_RESTARTS, String::new()),
                    Read::End => {
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
        poll_fn(|cx| {
            if !self.detached && self.link.is_going_away(cx.waker()) {
                return Poll::Ready(Read::GoingAway);
            }
            Pin::new(&mut self.payload).poll_next(cx).map(|chunk| match chunk {
                Some(Ok(chunk)) => Read::Some(chunk),
                Some(Err(_)) | None => Read::End,
            })
        })
        .await
    }

    /// The message a frame completes.
    fn frame(&mut self, frame: Frame) -> Option<Message> {
        match frame {
            Frame::Text(bytes) => Some(self.message(true, bytes)),
            Frame::Binary(bytes) => Some(self.message(false, bytes)),
            Frame::Continuation(Item::FirstText(bytes)) => self.begin(true, &bytes),
            Frame::Continuation(Item::FirstBinary(bytes)) => self.begin(false, &bytes),
            Frame::Continuation(Item::Continue(bytes)) => self.append(&bytes),
            Frame::Continuation(Item::Last(bytes)) => self.append(&bytes).or_else(|| {
                let partial = self.partial.take()?;
                Some(self.message(partial.text, partial.bytes.freeze()))
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
        self.partial = Some(Partial { text, bytes: BytesMut::new() });
        self.append(bytes)
    }

    fn append(&mut self, bytes: &[u8]) -> Option<Message> {
        let partial = self.partial.as_mut()?;
        if partial.bytes.len() + bytes.len() > self.max_message_size {
            return Some(self.too_big());
        }
        partial.bytes.extend_from_slice(bytes);
        None
    }

    fn message(&mut self, text: bool, bytes: Bytes) -> Message {
        if !text {
            return Message::Binary(bytes);
        }
        match String::from_utf8(bytes.into()) {
            Ok(text) => Message::Text(text),
            Err(_) => self.fail(NOT_UTF8, "text that is not UTF-8"),
        }
    }

    fn too_big(&mut self) -> Message {
        self.fail(TOO_BIG, &format!("a message larger than {} bytes", self.max_message_size))
    }

    fn fail(&mut self, code: u16, reason: &str) -> Message {
        self.ended = true;
        self.link.close(code, reason, true);
        Message::Close(code, reason.to_owned())
    }
}

enum Read {
    Some(Bytes),
    GoingAway,
    End,
}
