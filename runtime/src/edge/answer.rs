//! The answers that layers give, in the form of Starlette's response classes.

use percent_encoding::{utf8_percent_encode, AsciiSet, NON_ALPHANUMERIC};

use super::fields::Fields;
use crate::http::{header, HeaderValue, Response, StatusCode};

/// What `RedirectResponse` leaves as it is in a URL.
const IN_LOCATION: AsciiSet = except(*b"_.-~:/%#?=@[]!$&'()*+,;");

const fn except<const N: usize>(kept: [u8; N]) -> AsciiSet {
    let mut set = NON_ALPHANUMERIC.remove(kept[0]);
    let mut index = 1;
    while index < N {
        set = set.remove(kept[index]);
        index += 1;
    }
    set
}

/// `PlainTextResponse`: these header fields, then its own.
pub(crate) fn plain_text(status: StatusCode, mut headers: Fields, text: String) -> Response {
    headers.push((header::CONTENT_LENGTH, text.len().into()));
    headers.push((header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")));
    Response::new(status).with_headers(headers).with_body(text)
}

/// What a request gets whose host is not served.
pub(super) fn invalid_host() -> Response {
    plain_text(StatusCode::BAD_REQUEST, Fields::new(), "Invalid host header".to_owned())
}

/// `RedirectResponse` with status 307.
pub(crate) fn redirect(url: &str) -> Response {
    let location = utf8_percent_encode(url, &IN_LOCATION).to_string();
    // Everything but visible ASCII is escaped.
    let location = HeaderValue::try_from(location).expect("a percent-encoded URL is a valid header value");
    Response::new(StatusCode::TEMPORARY_REDIRECT)
        .with_header(header::CONTENT_LENGTH, HeaderValue::from_static("0"))
        .with_header(header::LOCATION, location)
}
