//! WebSockets: the handshake, frames in and out, on the I/O worker.

use bytes::Bytes;

use super::{HeaderName, HeaderValue, Request, Response};
use crate::Error;

/// A message of a WebSocket, either way. Continuation frames are joined, pings are answered before you see them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Bytes),
    /// The end: status code and reason. Nothing follows.
    Close(u16, String),
}

/// What the client sends. Stays on the I/O worker.
pub struct Receiver {
    _todo: (),
}

impl Receiver {
    /// The next message; after the client's close (1005 without a code, 1006 when the connection broke) `None`.
    pub async fn next(&mut self) -> Option<Message> {
        unreachable!()
    }
}

/// What goes to the client. May be used from any thread.
#[derive(Clone)]
pub struct Sender {
    _todo: (),
}

impl Sender {
    /// Queues a message; waits while the bounded queue is full. An error of kind `Disconnected` once closed.
    pub async fn send(&self, message: Message) -> Result<(), Error> {
        let _ = message;
        unreachable!()
    }
}

/// The subprotocols the client offers, in its order.
pub fn subprotocols(request: &Request) -> Vec<String> {
    let _ = request;
    unreachable!()
}

/// Accepts: the 101 response to return from the handler, and both directions.
/// An error of kind `BadBody` when the handshake is not a valid one (`From<&Error> for Response` answers it).
pub fn accept(
    request: Request,
    subprotocol: Option<&str>,
    headers: Vec<(HeaderName, HeaderValue)>,
    max_message_size: usize,
) -> Result<(Response, Sender, Receiver), Error> {
    let _ = (request, subprotocol, headers, max_message_size);
    unreachable!()
}
