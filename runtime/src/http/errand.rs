//! A request made inside the process: what it asks for, and how it becomes a request like those from a socket.

use std::net::SocketAddr;
use std::time::Instant;

use actix_http::{ConnectionType, HttpMessage, Payload, Uri};
use bytes::{Bytes, BytesMut};

use super::header::{self, HeaderMap};
use super::{Address, HeaderName, HeaderValue, Method};

/// Header fields that belong to a connection, of which there is none, or are written by the server: not passed on.
const DROPPED: [HeaderName; 7] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    HeaderName::from_static("keep-alive"),
];

/// A request to a route of the same server, without a connection.
#[derive(Clone, Debug)]
pub struct Errand {
    /// The method.
    pub method: Method,
    /// Path and query as they would be sent, percent-encoded: `/users/7?verbose=yes`.
    pub target: String,
    /// Header fields. Those that belong to a connection or say how long the body is are left out; `host` is the server's
    /// address where it is not given (`localhost` where that is a Unix socket).
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body.
    pub body: Bytes,
    /// The client on whose behalf it is: the route's peer. None where nobody's.
    pub client: Option<SocketAddr>,
    /// Whether the route takes it for one over an encrypted connection.
    pub secure: bool,
    /// How many errands deep it is: 1 for one on behalf of a request from outside.
    pub depth: u32,
    /// When its answer is no longer wanted.
    pub deadline: Option<Instant>,
    /// Whether it is to renew what is [cached](crate::cache) of the route: the answer is made anew.
    pub renews: bool,
}

/// What tells an errand from a request that came by a connection.
pub(crate) struct Origin {
    pub(crate) depth: u32,
    pub(crate) secure: bool,
    /// The address the server listens on.
    pub(crate) local: Address,
    pub(crate) renews: bool,
}

/// Why an errand cannot be a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// The target is not path and query; why.
    Target(String),
    /// It asks for another protocol.
    Upgrade,
}

impl Errand {
    /// The request, addressed to the server that listens on `local`.
    pub(crate) fn into_request(self, local: Address) -> Result<actix_http::Request, Unfit> {
        if self.method == Method::CONNECT || self.headers.iter().any(|(name, _)| *name == header::UPGRADE) {
            return Err(Unfit::Upgrade);
        }
        let uri = self.target.parse::<Uri>().map_err(|error| Unfit::Target(error.to_string()))?;
        if !self.target.starts_with('/') || uri.authority().is_some() {
            return Err(Unfit::Target("it has to begin with `/`".to_owned()));
        }
        let mut headers = self.headers;
        headers.retain(|(name, _)| !DROPPED.contains(name));
        if !headers.iter().any(|(name, _)| *name == header::HOST) {
            let host = match &local {
                Address::Inet(address) => HeaderValue::from_str(&address.to_string()),
                Address::Unix(_) => Ok(HeaderValue::from_static("localhost")),
            };
            if let Ok(host) = host {
                headers.insert(0, (header::HOST, host));
            }
        }
        let mut inner = actix_http::Request::new();
        if !self.body.is_empty() {
            headers.push((header::CONTENT_LENGTH, HeaderValue::from(self.body.len())));
            inner = inner.replace_payload(Payload::from(self.body)).0;
        }
        let head = inner.head_mut();
        head.method = self.method;
        head.uri = uri;
        head.peer_addr = self.client;
        lay_out(headers, &mut head.headers);
        let (depth, secure, renews) = (self.depth, self.secure, self.renews);
        inner.extensions_mut().insert(Origin { depth, secure, local, renews });
        Ok(inner)
    }
}

/// Puts header fields into the map, their values in one buffer as if parsed from the wire: their order is told by their
/// addresses.
pub(crate) fn lay_out(fields: Vec<(HeaderName, HeaderValue)>, map: &mut HeaderMap) {
    let mut wire = BytesMut::new();
    fields.iter().for_each(|(_, value)| wire.extend_from_slice(value.as_bytes()));
    let mut wire = wire.freeze();
    for (name, value) in fields {
        // The same bytes, so they are valid.
        let value = HeaderValue::from_maybe_shared(wire.split_to(value.len())).unwrap_or(value);
        map.append(name, value);
    }
}

/// Whether the connection is to become one of another protocol.
pub(crate) fn note_upgrade(head: &mut actix_http::RequestHead) {
    let asks = head.headers.get(header::CONNECTION);
    if asks.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"upgrade")) {
        head.set_connection_type(ConnectionType::Upgrade);
    }
}
