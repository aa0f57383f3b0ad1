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
//!         Answer::Now(match websocket::accept(request, None, Vec::new()) {
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

mod deflate;
mod extension;
mod frame_head;
mod keepalive;
mod link;
mod partial;
mod receiver;
mod sender;

use std::sync::Arc;
use std::time::Duration;

use actix_http::ws;
use bytes::Bytes;

use deflate::{Deflater, Inflater};
use extension::Agreement;
use keepalive::Keepalive;

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

/// What the WebSockets of a server may do; part of its [`Config`](crate::Config).
///
/// ```
/// use bimetal_runtime::{http::websocket, Config};
///
/// let settings = websocket::Settings { max_message_size: 64 * 1024, ..Default::default() };
/// let config = Config { websocket: settings, ..Config::default() };
/// assert!(config.websocket.deflate);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Largest message in bytes, frames joined and inflated; beyond it the connection ends with code 1009.
    pub max_message_size: usize,
    /// Whether messages are compressed (permessage-deflate, RFC 7692) for clients that offer it.
    pub deflate: bool,
    /// How often the client is pinged; not at all without.
    pub ping_interval: Option<Duration>,
    /// How long nothing may come from the client after a ping; beyond it the connection ends with code 1011. Without, there is
    /// no such bound.
    pub ping_timeout: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            max_message_size: 16 * 1024 * 1024,
            deflate: true,
            ping_interval: Some(Duration::from_secs(20)),
            ping_timeout: Some(Duration::from_secs(20)),
        }
    }
}

/// Close codes that are never sent: they report what was not there.
const NO_CODE: u16 = 1005;
const BROKEN: u16 = 1006;
const NORMAL: u16 = 1000;
const PROTOCOL_ERROR: u16 = 1002;
const NOT_UTF8: u16 = 1007;
const TOO_BIG: u16 = 1009;
const INTERNAL_ERROR: u16 = 1011;
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
/// Compression, pings and the limit of messages are those of the server's [`Settings`]. When the
/// server stops it closes every WebSocket with code 1012, and its [`Receiver`] reports the same.
///
/// An error of kind `BadBody` when the handshake is not a valid one (`From<&Error> for Response` answers it).
pub fn accept(
    mut request: Request,
    subprotocol: Option<&str>,
    headers: Vec<(HeaderName, HeaderValue)>,
) -> Result<(Response, Sender, Receiver), Error> {
    let refuse = |why: String| Error::new(ErrorKind::BadBody, format!("WebSocket handshake: {why}"));
    ws::verify_handshake(request.inner().head()).map_err(|error| refuse(error.to_string()))?;
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes).unwrap_or_default();
    let accepted = HeaderValue::from_bytes(&ws::hash_key(key)).map_err(|error| refuse(error.to_string()))?;
    let connection = request.connection().cloned();
    let settings = connection.as_ref().map_or_else(Settings::default, |connection| connection.websockets());
    let agreement = if settings.deflate {
        Agreement::on(&request).map_err(|_| refuse("Sec-WebSocket-Extensions is malformed".to_owned()))?
    } else {
        None
    };
    let mut response = Response::new(StatusCode::SWITCHING_PROTOCOLS)
        .with_header(header::UPGRADE, HeaderValue::from_static("websocket"))
        .with_header(header::SEC_WEBSOCKET_ACCEPT, accepted);
    if let Some(agreement) = &agreement {
        let value =
            HeaderValue::from_str(&agreement.to_string()).map_err(|error| refuse(error.to_string()))?;
        response = response.with_header(header::SEC_WEBSOCKET_EXTENSIONS, value);
    }
    if let Some(name) = subprotocol {
        let value = HeaderValue::from_str(name)
            .map_err(|_| refuse(format!("the subprotocol {name:?} cannot be sent in a header")))?;
        response = response.with_header(header::SEC_WEBSOCKET_PROTOCOL, value);
    }
    response.headers.extend(headers);

    let link = Arc::new(Link::default());
    if let Some(connection) = &connection {
        connection.set_websocket(link.clone());
    }
    let keepalive = settings.ping_interval.map(|interval| Keepalive::new(interval, settings.ping_timeout));
    let (sender, frames) = sender::channel(link.clone(), keepalive, agreement.as_ref().map(Deflater::new));
    response.body = Body::Stream(Box::pin(frames));
    let inflater = agreement.as_ref().map(Inflater::new);
    let receiver =
        Receiver::new(request.take_payload(), connection, link, settings.max_message_size, inflater);
    Ok((response, sender, receiver))
}
