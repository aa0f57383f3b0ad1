//! Entity tags, and 304 for what a client has already (RFC 9110, 13).

use std::time::SystemTime;

use twox_hash::XxHash3_128;

use super::fields::{first, lists, remove, Fields};
use super::{Noted, RequestHead};
use crate::http::{header, Body, HeaderName, HeaderValue, Response, StatusCode};

/// Fields of a 200 that its 304 does not have: they are about a body that is not sent. What a client keeps its copy up to date
/// by stays.
const OF_THE_BODY: [HeaderName; 9] = [
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_RANGE,
    header::CONTENT_DISPOSITION,
    header::ACCEPT_RANGES,
    header::TRANSFER_ENCODING,
    HeaderName::from_static("content-digest"),
];

/// Gives whole answers with status 200 to `GET` and `HEAD` an entity tag, where they have none, and answers 304 where the client
/// has what they would send. Streams pass.
#[derive(Clone, Copy, Debug, Default)]
pub struct Conditional {
    weak: bool,
}

/// What a request says of the copy its client has.
#[derive(Clone, Debug)]
pub(super) enum Conditions {
    /// The values of `If-None-Match`.
    NoneOf(Vec<Vec<u8>>),
    /// `If-Modified-Since`.
    ModifiedSince(SystemTime),
}

impl Conditional {
    /// Tags are the hash of the body: strong, as the same tag means the same bytes. `weak` has them say less, for bodies that
    /// something behind the server transforms without changing the tag.
    pub fn new(weak: bool) -> Conditional {
        Conditional { weak }
    }

    pub(super) fn note(&self, head: &impl RequestHead, noted: &mut Noted) {
        noted.reads = matches!(head.method(), "GET" | "HEAD");
        if !noted.reads {
            return;
        }
        let tags = head.values("if-none-match");
        if !tags.is_empty() {
            // A date counts only where there are no tags.
            let tags = tags.into_iter().map(<[u8]>::to_vec).collect();
            noted.conditions = Some(Box::new(Conditions::NoneOf(tags)));
        } else if let Some(date) = head.header("if-modified-since").and_then(date) {
            noted.conditions = Some(Box::new(Conditions::ModifiedSince(date)));
        }
    }

    /// Completes a response.
    pub fn after(&self, noted: &Noted, mut response: Response) -> Response {
        let Body::Full(bytes) = &response.body else { return response };
        if !noted.reads || self.passes(response.status, &response.headers) {
            return response;
        }
        let headers = &mut response.headers;
        let is_untagged = first(headers, &header::ETAG).is_none();
        // Nobody keeps what must not be stored, and of an empty body there is nothing to save.
        if is_untagged && !bytes.is_empty() && !lists(headers, &header::CACHE_CONTROL, "no-store") {
            headers.push((header::ETAG, self.tag(bytes)));
        }
        match &noted.conditions {
            Some(conditions) if conditions.hold(headers) => {}
            _ => return response,
        }
        for name in &OF_THE_BODY {
            remove(headers, name);
        }
        if first(headers, &header::ETAG).is_some() {
            remove(headers, &header::LAST_MODIFIED);
        }
        Response { status: StatusCode::NOT_MODIFIED, body: Body::EMPTY, ..response }
    }

    /// Whether a response is left as it is, whatever the client has. Events are sent as they happen: nobody waits for their
    /// end.
    pub(super) fn passes(&self, status: StatusCode, headers: &[(HeaderName, HeaderValue)]) -> bool {
        let content_type = first(headers, &header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        status != StatusCode::OK || content_type.starts_with(b"text/event-stream")
    }

    fn tag(&self, bytes: &[u8]) -> HeaderValue {
        let weak = if self.weak { "W/" } else { "" };
        let text = format!("{weak}\"{:032x}\"", XxHash3_128::oneshot(bytes));
        HeaderValue::try_from(text).expect("digits in quotes are a valid header value")
    }
}

impl Conditions {
    /// Whether the client has what a response with `headers` would send.
    fn hold(&self, headers: &Fields) -> bool {
        match self {
            Conditions::NoneOf(fields) => {
                let Some(tag) = first(headers, &header::ETAG).and_then(|tag| opaque(tag.as_bytes())) else {
                    return false;
                };
                fields.iter().any(|field| names(field, tag))
            }
            Conditions::ModifiedSince(since) => {
                let changed = first(headers, &header::LAST_MODIFIED).and_then(|value| date(value.as_bytes()));
                changed.is_some_and(|changed| changed <= *since)
            }
        }
    }
}

/// What stands between the quotes of a tag, weak or strong; `None` for what is no tag.
fn opaque(tag: &[u8]) -> Option<&[u8]> {
    let quoted = tag.strip_prefix(b"W/").unwrap_or(tag).strip_prefix(b"\"")?;
    let end = memchr::memchr(b'"', quoted)?;
    (end + 1 == quoted.len()).then_some(&quoted[..end])
}

/// Whether a list of tags has `tag`, or is a `*`. From a member on that is no tag, nothing is read.
fn names(list: &[u8], tag: &[u8]) -> bool {
    let mut rest = list.trim_ascii();
    if rest == b"*" {
        return true;
    }
    loop {
        rest = rest.trim_ascii_start();
        if let Some(after) = rest.strip_prefix(b",") {
            rest = after;
            continue;
        }
        let Some(quoted) = rest.strip_prefix(b"W/").unwrap_or(rest).strip_prefix(b"\"") else {
            return false;
        };
        let Some(end) = memchr::memchr(b'"', quoted) else { return false };
        if &quoted[..end] == tag {
            return true;
        }
        rest = quoted[end + 1..].trim_ascii_start();
        if !rest.starts_with(b",") {
            return false;
        }
    }
}

fn date(value: &[u8]) -> Option<SystemTime> {
    httpdate::parse_http_date(std::str::from_utf8(value).ok()?.trim()).ok()
}

#[cfg(test)]
#[path = "conditional_tests.rs"]
mod tests;
