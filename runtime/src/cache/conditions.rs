//! Conditional requests: answered by what the handler would send to one without conditions.
//!
//! The conditions are taken from a request before the handler sees it, since an answer that is kept has to be a whole one, and
//! are looked at once the answer is there (RFC 9111, 4.3.2). A handler that looks at them itself gives the same result.

use std::borrow::Cow;
use std::time::SystemTime;

use crate::http::{header, Body, HeaderName, HeaderValue, Request, Response, StatusCode};

/// Header fields of an answer with a body that one without has no use for.
const ABOUT_THE_BODY: [HeaderName; 5] = [
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
];

/// What the client has already.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    if_none_match: Option<Vec<u8>>,
    if_modified_since: Option<SystemTime>,
}

impl Conditions {
    /// Those of this request.
    pub(super) fn of(request: &Request) -> Conditions {
        let all = |name| request.headers().get_all(name).map(HeaderValue::as_bytes);
        if request.headers().contains_key(header::IF_NONE_MATCH) {
            let if_none_match = joined(all(header::IF_NONE_MATCH)).into_owned();
            return Conditions { if_none_match: Some(if_none_match), if_modified_since: None };
        }
        Conditions {
            if_none_match: None,
            if_modified_since: date(request.headers().get(header::IF_MODIFIED_SINCE)),
        }
    }

    /// The answer to a request with these conditions, of the one to a request without: the same, or 304.
    pub(super) fn apply(&self, mut response: Response) -> Response {
        if response.status == StatusCode::OK && self.are_met(&response) {
            response.status = StatusCode::NOT_MODIFIED;
            response.headers.retain(|(name, _)| !ABOUT_THE_BODY.contains(name));
            response.body = Body::EMPTY;
        }
        response
    }

    fn are_met(&self, response: &Response) -> bool {
        let get = |wanted| response.headers.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value);
        if let Some(listed) = &self.if_none_match {
            return get(header::ETAG).is_some_and(|etag| names(listed, etag.as_bytes()));
        }
        match (self.if_modified_since, date(get(header::LAST_MODIFIED))) {
            (Some(since), Some(modified)) => modified <= since,
            _ => false,
        }
    }
}

fn date(value: Option<&HeaderValue>) -> Option<SystemTime> {
    httpdate::parse_http_date(value?.to_str().ok()?).ok()
}

/// Whether `etag` is in a list as of `If-None-Match`. Weak and strong ones are the same here (RFC 9110, 13.1.2).
fn names(listed: &[u8], etag: &[u8]) -> bool {
    if listed.trim_ascii() == b"*" {
        return true;
    }
    let wanted = etag.strip_prefix(b"W/").unwrap_or(etag);
    let mut rest = listed;
    loop {
        rest = rest.trim_ascii_start();
        rest = rest.strip_prefix(b",").unwrap_or(rest).trim_ascii_start();
        rest = rest.strip_prefix(b"W/").unwrap_or(rest);
        // A comma may stand between the quotes.
        let end = match rest.first() {
            None => return false,
            Some(b'"') => rest[1..].iter().position(|&byte| byte == b'"').map_or(rest.len(), |at| at + 2),
            Some(_) => rest.iter().position(|&byte| byte == b',').unwrap_or(rest.len()),
        };
        let (one, after) = rest.split_at(end);
        if one.trim_ascii_end() == wanted {
            return true;
        }
        rest = after.strip_prefix(b",").unwrap_or(after);
    }
}

/// The value of a header with all its fields.
fn joined<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Cow<'a, [u8]> {
    let Some(first) = values.next() else { return Cow::Borrowed(b"") };
    values.fold(Cow::Borrowed(first), |mut all, value| {
        all.to_mut().extend_from_slice(b", ");
        all.to_mut().extend_from_slice(value);
        all
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{names, Conditions};
    use crate::http::{header, HeaderValue, Method, Request, Response, StatusCode};

    #[test]
    fn etags_in_lists() {
        for listed in
            [r#""a""#, r#"W/"a""#, r#""b", "a""#, r#""b,c","a""#, r#" "x,y" , W/"a" , "c""#, "*", r#", ,"a""#]
        {
            assert!(names(listed.as_bytes(), br#""a""#), "{listed}");
            assert!(names(listed.as_bytes(), br#"W/"a""#), "{listed}");
        }
        for listed in ["", ",", r#""b""#, "a", r#""x,"a",y""#, r#""a"#, r#""aa""#] {
            assert!(!names(listed.as_bytes(), br#""a""#), "{listed}");
        }
        assert!(names(b"b, abc ,d", b"abc"));
    }

    fn status(headers: &[(&str, &str)], response: Response) -> StatusCode {
        let request = Request::synthetic(Method::GET, "/", headers, Bytes::new());
        Conditions::of(&request).apply(response).status
    }

    fn answer(code: StatusCode) -> Response {
        Response::json(code, "{}")
            .with_header(header::ETAG, HeaderValue::from_static("\"v1\""))
            .with_header(header::LAST_MODIFIED, HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT"))
    }

    #[test]
    fn what_the_client_has_is_not_sent_again() {
        let ok = StatusCode::OK;
        assert_eq!(status(&[("if-none-match", "\"v1\"")], answer(ok)), StatusCode::NOT_MODIFIED);
        assert_eq!(status(&[("if-none-match", "\"v2\"")], answer(ok)), ok);
        let since = ("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(status(&[since], answer(ok)), StatusCode::NOT_MODIFIED);
        // The other condition does not count beside it.
        assert_eq!(status(&[since, ("if-none-match", "\"v2\"")], answer(ok)), ok);
        assert_eq!(status(&[("if-modified-since", "Sun, 06 Nov 1994 08:49:36 GMT")], answer(ok)), ok);
        assert_eq!(status(&[("if-none-match", "*")], answer(StatusCode::NOT_FOUND)), StatusCode::NOT_FOUND);
        let request = Request::synthetic(Method::GET, "/", &[("if-none-match", "\"v1\"")], Bytes::new());
        let response = Conditions::of(&request).apply(answer(ok));
        let names: Vec<_> = response.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["etag", "last-modified"]);
    }
}
