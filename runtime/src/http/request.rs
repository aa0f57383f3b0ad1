//! A request on its I/O worker.

use std::net::SocketAddr;

use bytes::Bytes;

use super::{BodyReader, Head, HeaderValue, Method};

/// A request as a [`Handler`](crate::Handler) gets it: routed, its body buffered where the route asked for that.
///
/// It belongs to its I/O worker (it is not `Send`): a lane on another thread takes a [`Head`] with it.
pub struct Request {
    _todo: (),
}

impl Request {
    /// A request made by hand, for tests of handlers: `target` is path and query as sent.
    pub fn synthetic(method: Method, target: &str, headers: &[(&str, &str)], body: Bytes) -> Request {
        let _ = (method, target, headers, body);
        unreachable!()
    }
    /// The method.
    pub fn method(&self) -> &Method {
        unreachable!()
    }
    /// The decoded path (see [`Head::path`]).
    pub fn path(&self) -> &str {
        unreachable!()
    }
    /// The query string as sent, without the question mark.
    pub fn query(&self) -> &str {
        unreachable!()
    }
    /// The first value of a header; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&HeaderValue> {
        let _ = name;
        unreachable!()
    }
    /// Calls `each` with every header field.
    pub fn for_each_header(&self, each: impl FnMut(&str, &[u8])) {
        let _ = each;
        unreachable!()
    }
    /// How many path parameters the route has.
    pub fn param_count(&self) -> usize {
        unreachable!()
    }
    /// The value of path parameter `index`, in the order in which the pattern names them.
    pub fn param(&self, index: usize) -> Option<&str> {
        let _ = index;
        unreachable!()
    }
    /// The buffered body: empty unless the route's [`BodyMode`](crate::BodyMode) is `Buffered`.
    pub fn body(&self) -> &Bytes {
        unreachable!()
    }
    /// Takes the unread body (or the buffered one as a single chunk).
    pub fn take_body(&mut self) -> BodyReader {
        unreachable!()
    }
    /// The client's address.
    pub fn peer(&self) -> Option<SocketAddr> {
        unreachable!()
    }
    /// Whether this request asks to become a WebSocket.
    pub fn is_websocket(&self) -> bool {
        unreachable!()
    }
    /// An owned copy of the head, headers in the order in which they were sent.
    pub fn to_head(&self) -> Head {
        unreachable!()
    }
}
