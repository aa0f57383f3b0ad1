//! Requests and responses of HTTP/2, from and to the types of the service.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{ready, Context, Poll};
use std::time::SystemTime;

use actix_http::error::PayloadError;
use actix_http::{Payload, Uri};
use bytes::Bytes;
use futures_core::Stream;
use h2::RecvStream;

use super::errand::lay_out;
use super::{header, strict, Connection, HeaderName, HeaderValue, Method, StatusCode, Version};

/// A request as it comes from the client.
pub(crate) type Received = http::Request<RecvStream>;

/// Fields that HTTP/2 has no use for, or that are made here.
const DROPPED: [HeaderName; 6] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::DATE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

/// The request as the service takes it, on a connection of its own; or the status of its refusal.
pub(crate) fn into_request(
    received: Received,
    connection: &Rc<Connection>,
    peer: Option<SocketAddr>,
) -> Result<(actix_http::Request, Unread), StatusCode> {
    let (parts, body) = received.into_parts();
    let has_body = !body.is_end_stream();
    let body = Unread(Rc::new(RefCell::new(Some(body))));
    let method = Method::from_bytes(parts.method.as_str().as_bytes()).map_err(|_| StatusCode::BAD_REQUEST)?;
    if method == Method::CONNECT {
        return Err(StatusCode::NOT_IMPLEMENTED);
    }
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let uri = target.parse::<Uri>().map_err(|_| StatusCode::BAD_REQUEST)?;
    let mut fields = Vec::with_capacity(parts.headers.len() + 1);
    // Who is asked, as HTTP/1 says it.
    let host = match parts.uri.authority() {
        Some(authority) => HeaderValue::from_str(authority.as_str()).ok(),
        None => parts.headers.get("host").and_then(|host| HeaderValue::from_bytes(host.as_bytes()).ok()),
    };
    let host = host.filter(|host| strict::is_host(host.as_bytes())).ok_or(StatusCode::BAD_REQUEST)?;
    fields.push((header::HOST, host));
    // One cookie may be a field of its own.
    let mut cookies = Vec::new();
    for (name, value) in &parts.headers {
        if name == "host" {
            continue;
        }
        if name == "cookie" {
            if !cookies.is_empty() {
                cookies.extend_from_slice(b"; ");
            }
            cookies.extend_from_slice(value.as_bytes());
            continue;
        }
        let name = HeaderName::from_bytes(name.as_str().as_bytes());
        let value = HeaderValue::from_bytes(value.as_bytes());
        let (Ok(name), Ok(value)) = (name, value) else { return Err(StatusCode::BAD_REQUEST) };
        fields.push((name, value));
    }
    if !cookies.is_empty() {
        let cookies = HeaderValue::from_bytes(&cookies).map_err(|_| StatusCode::BAD_REQUEST)?;
        fields.push((header::COOKIE, cookies));
    }
    let mut request = actix_http::Request::new();
    if has_body {
        let coming = Coming { body: body.0.clone(), connection: connection.clone() };
        let coming: Pin<Box<dyn Stream<Item = _>>> = Box::pin(coming);
        request = request.replace_payload(Payload::from(coming)).0;
    }
    let head = request.head_mut();
    head.method = method;
    head.uri = uri;
    head.version = Version::HTTP_2;
    head.peer_addr = peer;
    lay_out(fields, &mut head.headers);
    Ok((request, body))
}

/// The body of a request, as far as nobody has read it. When this is dropped, the client is told that it need not send the rest,
/// whoever still holds the request.
pub(crate) struct Unread(Rc<RefCell<Option<RecvStream>>>);

impl Drop for Unread {
    fn drop(&mut self) {
        self.0.borrow_mut().take();
    }
}

/// The head of a response.
pub(crate) fn head(
    status: StatusCode,
    fields: &[(&HeaderName, &HeaderValue)],
    length: Option<u64>,
) -> http::Response<()> {
    let mut response = http::Response::new(());
    *response.status_mut() = http::StatusCode::from_u16(status.as_u16()).unwrap_or_default();
    let headers = response.headers_mut();
    for (name, value) in fields {
        if DROPPED.contains(name) && !(**name == header::CONTENT_LENGTH && length.is_none()) {
            continue;
        }
        let name = http::HeaderName::from_bytes(name.as_str().as_bytes());
        let value = http::HeaderValue::from_bytes(value.as_bytes());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    if let Some(length) = length {
        headers.insert(http::header::CONTENT_LENGTH, length.into());
    }
    if let Ok(now) = http::HeaderValue::try_from(httpdate::fmt_http_date(SystemTime::now())) {
        headers.insert(http::header::DATE, now);
    }
    response
}

/// A body on its way in; the client gets room for more as it is read.
struct Coming {
    body: Rc<RefCell<Option<RecvStream>>>,
    connection: Rc<Connection>,
}

impl Stream for Coming {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.connection.has_timed_out() {
            return Poll::Ready(Some(Err(PayloadError::Io(io::ErrorKind::TimedOut.into()))));
        }
        if this.connection.refusal().is_some() {
            return Poll::Ready(Some(Err(PayloadError::Incomplete(None))));
        }
        this.connection.remember_task(cx.waker());
        let mut body = this.body.borrow_mut();
        let Some(body) = &mut *body else {
            return Poll::Ready(Some(Err(PayloadError::Incomplete(None))));
        };
        Poll::Ready(match ready!(body.poll_data(cx)) {
            Some(Ok(chunk)) => {
                let _ = body.flow_control().release_capacity(chunk.len());
                Some(Ok(chunk))
            }
            Some(Err(_)) => Some(Err(PayloadError::Incomplete(None))),
            None => None,
        })
    }
}
