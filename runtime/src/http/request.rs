//! A request on its I/O worker.

use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_http::{ConnectionType, HttpMessage, Payload, Uri};
use bytes::Bytes;
use futures_core::Stream;
use percent_encoding::percent_decode_str;

use super::errand::{self, Origin};
use super::header::{self, HeaderMap};
use super::incoming::Incoming;
use super::request_id::{is_sane, RequestIds, X_REQUEST_ID};
use super::{
    Address, Announced, BodyReader, Connection, Forwarded, Head, HeaderName, HeaderValue, Method, Version,
};
use crate::routing::Params;
use crate::Error;

/// A request as a [`Handler`](crate::Handler) gets it: routed, its body buffered where the route asked for
/// that.
///
/// It belongs to its I/O worker (it is not `Send`): a lane on another thread takes a [`Head`] with it.
/// Nothing of the head is copied until somebody asks for a copy.
pub struct Request {
    inner: actix_http::Request,
    /// The decoded path where it differs from the path as sent.
    decoded: Option<Box<str>>,
    params: Params,
    body: Bytes,
    body_limit: usize,
    /// What the head says of the body.
    announced: Announced,
    connection: Option<Rc<Connection>>,
}

impl Request {
    pub(crate) fn new(
        mut inner: actix_http::Request,
        connection: Option<Rc<Connection>>,
        body_limit: usize,
    ) -> Request {
        let raw = inner.path();
        // Bytes that are not UTF-8 become U+FFFD, as they do in an ASGI scope.
        let decoded = memchr::memchr(b'%', raw.as_bytes())
            .map(|_| percent_decode_str(raw).decode_utf8_lossy().into_owned().into_boxed_str());
        let announced = announced(&mut inner);
        Request {
            inner,
            decoded,
            params: Params::default(),
            body: Bytes::new(),
            body_limit,
            announced,
            connection,
        }
    }

    /// A request made by hand, for tests of handlers: `target` is path and query as sent.
    ///
    /// # Panics
    ///
    /// If `target`, a header name or a header value is not valid in HTTP.
    pub fn synthetic(method: Method, target: &str, headers: &[(&str, &str)], body: Bytes) -> Request {
        let mut inner = actix_http::Request::new();
        let head = inner.head_mut();
        head.method = method;
        head.uri = target.parse::<Uri>().expect("the target of a synthetic request is a valid URI");
        let fields = headers.iter().map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a valid header name");
            (name, HeaderValue::from_str(value).expect("a valid header value"))
        });
        errand::lay_out(fields.collect(), &mut head.headers);
        errand::note_upgrade(head);
        let mut request = Request::new(inner, None, usize::MAX);
        request.body = body;
        request
    }

    /// The method.
    pub fn method(&self) -> &Method {
        self.inner.method()
    }

    /// HTTP/1.0 or HTTP/1.1.
    pub fn version(&self) -> Version {
        self.inner.version()
    }

    /// The decoded path (see [`Head::path`]).
    pub fn path(&self) -> &str {
        self.decoded.as_deref().unwrap_or_else(|| self.inner.path())
    }

    /// The path as sent, percent-encoded.
    pub fn raw_path(&self) -> &str {
        self.inner.path()
    }

    /// The query string as sent, without the question mark.
    pub fn query(&self) -> &str {
        self.inner.uri().query().unwrap_or("")
    }

    /// The first value of a header; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&HeaderValue> {
        match name {
            // Every JSON body is asked for it: a name that is known need not be looked up by its letters.
            "content-type" => self.headers().get(header::CONTENT_TYPE),
            _ => self.headers().get(name),
        }
    }

    /// Calls `each` with every header field: names in lower case, in no certain order, but those of one name
    /// in theirs.
    pub fn for_each_header(&self, mut each: impl FnMut(&str, &[u8])) {
        for (name, value) in self.headers() {
            each(name.as_str(), value.as_bytes());
        }
    }

    /// How many path parameters the route has.
    pub fn param_count(&self) -> usize {
        self.params.len()
    }

    /// Where the path parameters lie in [`Request::path`], in the order in which the pattern names them.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// The value of path parameter `index`, in the order in which the pattern names them.
    pub fn param(&self, index: usize) -> Option<&str> {
        self.params.get(index).map(|range| &self.path()[range])
    }

    /// The buffered body: empty unless the route's [`BodyMode`](crate::BodyMode) is `Buffered`.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Takes the unread body (or the buffered one as a single chunk).
    pub fn take_body(&mut self) -> BodyReader {
        if !self.body.is_empty() {
            return BodyReader { inner: Box::pin(Once(Some(std::mem::take(&mut self.body)))) };
        }
        BodyReader { inner: Box::pin(self.take_incoming()) }
    }

    /// Whether a body is still to be read with [`Request::take_body`].
    pub fn has_unread_body(&mut self) -> bool {
        self.has_payload()
    }

    /// The client's address; none on a Unix socket.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.inner.peer_addr()
    }

    /// What a proxy that is trusted says of where the request came from.
    pub fn forwarded(&self) -> Option<Forwarded> {
        let peer = self.peer().map(|peer| peer.ip());
        self.connection.as_ref()?.trusted_proxies().read(peer, self.headers())
    }

    /// Whether the client's connection is encrypted (`https`, `wss`): the connection itself, or the one to a trusted proxy that
    /// says so.
    pub fn is_secure(&self) -> bool {
        let told = self.forwarded().and_then(|forwarded| forwarded.secure);
        told.unwrap_or_else(|| self.has_secure_connection())
    }

    fn has_secure_connection(&self) -> bool {
        match &self.connection {
            Some(connection) => connection.is_secure(),
            None => self.inner.extensions().get::<Origin>().is_some_and(|origin| origin.secure),
        }
    }

    /// The address the client connected to.
    pub fn local(&self) -> Option<Address> {
        match &self.connection {
            Some(connection) => connection.local_addr().cloned(),
            None => self.inner.extensions().get::<Origin>().map(|origin| origin.local.clone()),
        }
    }

    /// How many [errands](super::Errand) deep this request is: 0 for one from outside.
    pub fn errand_depth(&self) -> u32 {
        self.inner.extensions().get::<Origin>().map_or(0, |origin| origin.depth)
    }

    /// Whether it is an errand that renews what is [cached](crate::cache).
    pub fn renews(&self) -> bool {
        self.connection.is_none()
            && self.inner.extensions().get::<Origin>().is_some_and(|origin| origin.renews)
    }

    /// Takes the conditions away, so that the answer is a whole one.
    pub(crate) fn remove_conditions(&mut self) {
        let headers = &mut self.inner.head_mut().headers;
        headers.remove(header::IF_NONE_MATCH);
        headers.remove(header::IF_MODIFIED_SINCE);
    }

    /// Whether this request asks to become a WebSocket.
    pub fn is_websocket(&self) -> bool {
        self.wants_upgrade()
            && *self.method() == Method::GET
            && self.headers().get(header::UPGRADE).is_some_and(|value| {
                value.to_str().is_ok_and(|value| value.to_ascii_lowercase().contains("websocket"))
            })
    }

    /// An owned copy of the head, headers in the order in which they were sent.
    ///
    /// actix keeps headers in a hash map, but their values are slices of the one buffer they were read into,
    /// so their addresses tell the order. Fields with an empty value have no address there: they come last.
    pub fn to_head(&self) -> Head {
        let mut headers: Vec<(HeaderName, HeaderValue)> =
            self.headers().iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        headers.sort_by_key(|(_, value)| match value.as_bytes() {
            [] => usize::MAX,
            bytes => bytes.as_ptr() as usize,
        });
        let forwarded = self.forwarded().unwrap_or_default();
        Head {
            method: self.method().clone(),
            version: self.version(),
            raw_path: self.raw_path().to_owned(),
            path: self.path().to_owned(),
            query: self.query().to_owned(),
            headers,
            peer: self.peer(),
            client: forwarded.client,
            local: self.local(),
            secure: forwarded.secure.unwrap_or_else(|| self.has_secure_connection()),
        }
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.inner.head().headers
    }

    pub(crate) fn inner(&self) -> &actix_http::Request {
        &self.inner
    }

    pub(crate) fn into_inner(self) -> actix_http::Request {
        self.inner
    }

    pub(crate) fn connection(&self) -> Option<&Rc<Connection>> {
        self.connection.as_ref()
    }

    /// Its name in logs: the client's where that may go into one, or another one in its place.
    pub(crate) fn identify(&mut self, ids: &RequestIds) -> HeaderValue {
        let given = self.headers().get(X_REQUEST_ID).filter(|value| is_sane(value.as_bytes()));
        if let Some(given) = given {
            return given.clone();
        }
        let made = ids.make();
        self.inner.head_mut().headers.insert(X_REQUEST_ID, made.clone());
        made
    }

    /// Whether `Connection: upgrade` was sent.
    pub(crate) fn wants_upgrade(&self) -> bool {
        self.inner.head().connection_type() == ConnectionType::Upgrade
    }

    /// Sets the path parameters: what a [`RouteTable`](crate::RouteTable) gives with the route.
    pub fn set_params(&mut self, params: Params) {
        self.params = params;
    }

    /// The limit of its route, in place of the server's.
    pub(crate) fn set_body_limit(&mut self, limit: usize) {
        self.body_limit = limit;
    }

    pub(crate) fn set_body(&mut self, body: Bytes) {
        self.body = body;
    }

    pub(crate) fn has_payload(&mut self) -> bool {
        !matches!(self.inner.payload(), Payload::None)
    }

    pub(crate) fn take_payload(&mut self) -> Payload {
        self.inner.take_payload()
    }

    /// The body size the client declared, of a request with a body.
    pub(crate) fn declared_length(&self) -> Option<u64> {
        match self.announced {
            Announced::Length(length) => Some(length),
            Announced::Unknown => content_length(self.headers()),
            Announced::Nothing | Announced::Chunked => None,
        }
    }

    /// Whether actix reads the body as a stream without an end, though no protocol switch may follow.
    pub(crate) fn is_unframed(&self) -> bool {
        self.announced == Announced::Unknown
    }

    /// What the head says of the body, as the dispatcher understands it.
    pub(crate) fn announced(&self) -> Announced {
        self.announced
    }

    /// Whether no other request may follow this one: the client has said so, or what follows may not be HTTP.
    pub(crate) fn is_last(&self) -> bool {
        self.inner.head().connection_type() != ConnectionType::KeepAlive || self.is_connect()
    }

    /// Whether this request asks for a tunnel, which nothing here gives.
    pub(crate) fn is_connect(&self) -> bool {
        *self.method() == Method::CONNECT
    }

    /// Has the body unread until the connection has ended, which has to be with the response.
    pub(crate) fn abandon_body(&mut self) {
        self.take_incoming().abandon();
    }

    pub(crate) fn take_incoming(&mut self) -> Incoming {
        let unframed =
            (self.is_unframed() && self.has_payload()).then(|| self.declared_length().unwrap_or(0));
        Incoming::new(self.take_payload(), self.connection.clone(), self.body_limit, unframed)
    }
}

/// What a head says of the body, as the dispatcher understands it.
fn announced(request: &mut actix_http::Request) -> Announced {
    if matches!(request.payload(), Payload::None) {
        return Announced::Nothing;
    }
    let is_connect = *request.method() == Method::CONNECT;
    let headers = &request.head().headers;
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return Announced::Chunked;
    }
    let is_upgrade = headers
        .get_all(header::UPGRADE)
        .any(|value| value.to_str().is_ok_and(|value| value.trim().eq_ignore_ascii_case("websocket")));
    match content_length(headers) {
        _ if is_upgrade => Announced::Unknown,
        None | Some(0) if is_connect => Announced::Unknown,
        None => Announced::Nothing,
        Some(length) => Announced::Length(length),
    }
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    std::str::from_utf8(headers.get(header::CONTENT_LENGTH)?.as_bytes().trim_ascii()).ok()?.parse().ok()
}

/// A body that is there already.
struct Once(Option<Bytes>);

impl Stream for Once {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.take().map(Ok))
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
