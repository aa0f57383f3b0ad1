//! The head of a request, owned: what a lane on another thread takes with it.

use std::net::SocketAddr;

use super::{Address, HeaderName, HeaderValue, Method, Version};

/// Everything a request says before its body. Unlike [`Request`](super::Request) it can leave the I/O worker.
#[derive(Clone, Debug)]
pub struct Head {
    /// The method as sent; unknown methods are kept.
    pub method: Method,
    /// HTTP/1.0, HTTP/1.1 or HTTP/2.
    pub version: Version,
    /// The path as sent, percent-encoded.
    pub raw_path: String,
    /// The path decoded: percent escapes resolved, bytes that are not UTF-8 replaced by U+FFFD.
    pub path: String,
    /// The query string as sent, without the question mark; empty where there is none.
    pub query: String,
    /// Header fields in the order in which they were sent; names are lower case.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The address at the other end of the connection; none on a Unix socket.
    pub peer: Option<SocketAddr>,
    /// The client and its port, where a trusted proxy names it.
    pub client: Option<(String, i64)>,
    /// The address the client connected to.
    pub local: Option<Address>,
    /// Whether the client's connection is encrypted (`https`, `wss`): the connection itself, or the one to a trusted proxy that
    /// says so.
    pub secure: bool,
}

impl Head {
    /// The first value of the header `name` (lower case), if the request has it.
    pub fn header(&self, name: &str) -> Option<&HeaderValue> {
        self.headers.iter().find(|(n, _)| n.as_str() == name).map(|(_, value)| value)
    }
}
