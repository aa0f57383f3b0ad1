//! WebSockets: the handshake, frames in and out, on the I/O worker.
//!
//! A handler looks at the request, may take its time, and then either returns any [`Response`] (which denies
//! the handshake) or calls [`accept`], starts a task for the [`Receiver`] with
//! [`spawn_local`](super::spawn_local), and returns the response it got:
//!
//! ```
//! use bimetal_runtime::http::{spawn_local, websocket};
//! use bimetal_runtime::{Answer, Handler, Request, Response};
//!
//! struct Echo;
//!
//! impl Handler for Echo {
//!     fn call(&self, request: Request) -> Answer {
//!         Answer::Now(match websocket::accept(request, None, Vec::new(), 1 << 20) {
//!             Ok((response, sender, mut receiver)) => {
//!                 spawn_local(async move {
//!                     while let Some(message) = receiver.next().await {
//!                         if sender.send(message).await.is_err() {
//!                             break;
//!                         }
//!                     }
//!                 });
//!                 response
//!             }
//!             Err(error) => Response::from(&error),
//!         })
//!     }
//! }
//! ```

mod link;
mod receiver;
mod sender;

use std::sync::Arc;

use actix_http::ws;
use bytes::Bytes;

use super::{header, Body, HeaderName, HeaderValue, Request, Response, StatusCode};
use crate::{Error, ErrorKind};

pub use receiver::Receiver;
pub use sender::Sender;

pub(crate) use link::Link;

/// A message of a WebSocket, either way. Continuation frames are joined, pings are answered before you see
/// them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Bytes),
    /// The end: status code and reason. Nothing follows.
    Close(u16, String),
}

/// Close codes that are never sent: they report what was not there.
const NO_CODE: u16 = 1005;
const BROKEN: u16 = 1006;
const NORMAL: u16 = 1000;
const PROTOCOL_ERROR: u16 = 1002;
const NOT_UTF8: u16 = 1007;
const TOO_BIG: u16 = 1009;
/// What uvicorn tells clients when it stops, and applications with them.
const SERVER_RESTARTS: u16 = 1012;

/// The subprotocols the client offers, in its order.
pub fn subprotocols(request: &Request) -> Vec<String> {
    request
        .headers()
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .collect()
}

/// Accepts: the 101 response to return from the handler, and both directions.
///
/// Messages larger than `max_message_size` bytes, frames joined, end the connection with code 1009. When the
/// server stops it closes every WebSocket with code 1012, and its [`Receiver`] reports the same.
///
/// An error of kind `BadBody` when the handshake is not a valid one (`From<&Error> for Response` answers it).
pub fn accept(
    mut request: Request,
    subprotocol: Option<&str>,
    headers: Vec<(HeaderName, HeaderValue)>,
    max_message_size: usize,
) -> Result<(Response, Sender, Receiver), Error> {
    let refuse = |why: String| Error::new(ErrorKind::BadBody, format!("WebSocket handshake: {why}"));
    ws::verify_handshake(request.inner().head()).map_err(|error| refuse(error.to_string()))?;
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes).unwrap_or_default();
    let accepted = HeaderValue::from_bytes(&ws::hash_key(key)).map_err(|error| refuse(error.to_string()))?;
    let mut response = Response::new(StatusCode::SWITCHING_PROTOCOLS)
        .with_header(header::UPGRADE, HeaderValue::from_static("websocket"))
        .with_header(header::SEC_WEBSOCKET_ACCEPT, accepted);
    if let Some(name) = subprotocol {
        let value = HeaderValue::from_str(name)
            .map_err(|_| refuse(format!("the subprotocol {name:?} cannot be sent in a header")))?;
        response = response.with_header(header::SEC_WEBSOCKET_PROTOCOL, value);
    }
    response.headers.extend(headers);

    let link = Arc::new(Link::default());
    let connection = request.connection().cloned();
    if let Some(connection) = &connection {
        connection.set_websocket(link.clone());
    }
    let (sender, frames) = sender::channel(link.clone());
    response.body = Body::Stream(Box::pin(frames));
    let receiver = Receiver::new(request.take_payload(), connection, link, max_message_size);
    Ok((response, sender, receiver))
}
