//! Requests that are answered without having been parsed.

use super::{Response, StatusCode};

/// Why a request goes no further than the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A line of the head does not end in CR LF.
    LineEnd,
    /// The first line is no request line.
    RequestLine,
    /// The target has none of the forms that go with the method.
    Target,
    /// `Host` is no host.
    Host,
    /// The first line is too long.
    LineSize,
    /// The head is too large.
    HeadSize,
    /// The head has too many fields.
    Fields,
    /// The head did not come in time.
    SlowHead,
    /// The body did not go on in time.
    SlowBody,
    /// A chunk is framed wrongly, or its extensions or the trailer fields are too large.
    Chunk,
}

impl Refusal {
    fn status(self) -> StatusCode {
        match self {
            Refusal::LineEnd | Refusal::RequestLine | Refusal::Target | Refusal::Host | Refusal::Chunk => {
                StatusCode::BAD_REQUEST
            }
            Refusal::LineSize => StatusCode::URI_TOO_LONG,
            Refusal::HeadSize | Refusal::Fields => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Refusal::SlowHead | Refusal::SlowBody => StatusCode::REQUEST_TIMEOUT,
        }
    }

    pub(crate) fn detail(self) -> &'static str {
        match self {
            Refusal::LineEnd => "A line of the request head does not end in CR LF",
            Refusal::RequestLine => "The request line is malformed",
            Refusal::Target => "The request target is neither a path nor a URL",
            Refusal::Host => "The Host field is malformed",
            Refusal::LineSize => "The request line is too long",
            Refusal::HeadSize => "The request head is too large",
            Refusal::Fields => "The request head has too many fields",
            Refusal::SlowHead => "The request head did not come in time",
            Refusal::SlowBody => "The request body did not go on in time",
            Refusal::Chunk => "The request body is wrongly framed",
        }
    }
}

impl From<Refusal> for Response {
    fn from(refusal: Refusal) -> Self {
        Response::detail(refusal.status(), refusal.detail())
    }
}

/// What the dispatcher gets in place of a head that is refused. Everything behind it is its body, so that nothing of it can
/// become a request.
pub(super) const STAND_IN: &[u8] =
    b"POST / HTTP/1.1\r\nhost: refused\r\ncontent-length: 9223372036854775807\r\n\r\n";
