//! What a layer may see of a request.

use std::borrow::Cow;

use memchr::memmem;

use super::accept_encoding::Accepted;
use super::conditional::Conditions;
use crate::http::{HeaderValue, Request};

/// The head of a request, wherever it is kept.
pub trait RequestHead {
    /// The method as sent.
    fn method(&self) -> &str;

    /// The first value of the header `name`, which is in lower case.
    fn header(&self, name: &str) -> Option<&[u8]>;

    /// Every value of the header `name`, which is in lower case, in their order.
    fn values(&self, name: &str) -> Vec<&[u8]>;

    /// Whether the request asks to become a WebSocket.
    fn is_websocket(&self) -> bool;

    /// Whether the connection is encrypted.
    fn is_secure(&self) -> bool;

    /// The decoded path, as the application sees it.
    fn path(&self) -> Cow<'_, str>;

    /// The query string as sent, without the question mark.
    fn query(&self) -> &str;

    /// The address the client connected to: host and port, where it has them.
    fn server(&self) -> Option<(Cow<'_, str>, u16)>;

    /// `http`, `https`, `ws` or `wss`.
    fn scheme(&self) -> &'static str {
        match (self.is_websocket(), self.is_secure()) {
            (false, false) => "http",
            (false, true) => "https",
            (true, false) => "ws",
            (true, true) => "wss",
        }
    }
}

/// What a response depends on, noted before the request is handed on. What only some layers ask for, they note themselves: see
/// [`Layer::note`](super::Layer::note).
#[derive(Clone, Debug, Default)]
pub struct Noted {
    pub(super) origin: Option<HeaderValue>,
    pub(super) accepts_gzip: bool,
    pub(super) accepted: Accepted,
    /// Whether it is the answer to `HEAD`.
    pub(super) head_only: bool,
    /// Whether the client's connection is encrypted.
    pub(super) secure: bool,
    /// Only of `GET` and `HEAD`, and only where there are any.
    pub(super) conditions: Option<Box<Conditions>>,
    /// Whether it is the answer to `GET` or `HEAD`.
    pub(super) reads: bool,
}

impl Noted {
    /// Of a request; `None` for a WebSocket, whose responses pass untouched.
    pub fn of(head: &impl RequestHead) -> Option<Noted> {
        if head.is_websocket() {
            return None;
        }
        let accepted = head.header("accept-encoding").unwrap_or_default();
        Some(Noted {
            origin: head.header("origin").and_then(|origin| HeaderValue::from_bytes(origin).ok()),
            accepts_gzip: memmem::find(accepted, b"gzip").is_some(),
            ..Noted::default()
        })
    }
}

/// A request on its I/O worker. The application may stand under a path that a proxy takes away.
pub(crate) struct Arriving<'a> {
    pub(crate) request: &'a Request,
    pub(crate) root_path: &'a str,
}

impl RequestHead for Arriving<'_> {
    fn method(&self) -> &str {
        self.request.method().as_str()
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        self.request.header(name).map(HeaderValue::as_bytes)
    }

    fn values(&self, name: &str) -> Vec<&[u8]> {
        self.request.headers().get_all(name).map(HeaderValue::as_bytes).collect()
    }

    fn is_websocket(&self) -> bool {
        self.request.is_websocket()
    }

    fn is_secure(&self) -> bool {
        self.request.is_secure()
    }

    fn path(&self) -> Cow<'_, str> {
        match self.root_path {
            "" => self.request.path().into(),
            root => format!("{root}{}", self.request.path()).into(),
        }
    }

    fn query(&self) -> &str {
        self.request.query()
    }

    fn server(&self) -> Option<(Cow<'_, str>, u16)> {
        let local = self.request.local()?.inet()?;
        Some((local.ip().to_string().into(), local.port()))
    }
}
