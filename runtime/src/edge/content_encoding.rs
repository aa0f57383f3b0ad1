//! zstd, br and gzip for responses, as the client wants it (RFC 9110).

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;

use super::accept_encoding::Accepted;
use super::coding::{Coding, Encoder};
use super::compression::AT_ONCE;
use super::encoded_stream::EncodedStream;
use super::excluded::{Excluded, EXCLUDED_CONTENT_TYPES};
use super::fields::{first, lists, remove, set, vary_on, weaken_etag, Fields};
use super::{Noted, RequestHead};
use crate::http::{header, Body, HeaderName, HeaderValue, Response, StatusCode};
use crate::Error;

const ACCEPT_ENCODING: &str = "Accept-Encoding";

/// Says what the bytes of a body are to give; another body would make it wrong.
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");

/// Compresses responses with the coding that the client wants most.
#[derive(Clone, Debug)]
pub struct ContentEncoding {
    minimum_size: usize,
    /// With its level; the first that a client wants as much as any other is taken.
    codings: Vec<(Coding, u32)>,
    excluded: Excluded,
}

impl Default for ContentEncoding {
    fn default() -> Self {
        let codings = Coding::ALL.map(|coding| (coding, coding.levels().2));
        ContentEncoding {
            minimum_size: 500,
            codings: codings.into(),
            excluded: Excluded::new(&EXCLUDED_CONTENT_TYPES),
        }
    }
}

impl ContentEncoding {
    /// Compresses bodies of `minimum_size` bytes and more, and streams of unknown size, unless their type of content is one of
    /// `excluded`. `codings` are those there are, with their levels, the most wanted first where a client wants several as
    /// much.
    ///
    /// An error of kind `Config` names a level that does not exist.
    pub fn new(
        minimum_size: usize,
        codings: &[(Coding, u32)],
        excluded: &[impl AsRef<str>],
    ) -> Result<ContentEncoding, Error> {
        codings.iter().try_for_each(|(coding, level)| coding.check(*level))?;
        Ok(ContentEncoding { minimum_size, codings: codings.to_vec(), excluded: Excluded::new(excluded) })
    }

    pub(super) fn note(&self, head: &impl RequestHead, noted: &mut Noted) {
        noted.accepted = Accepted::read(head.values("accept-encoding"));
        noted.head_only = head.method() == "HEAD";
    }

    /// Completes a response. A body that is there is compressed at once up to 64 KiB, a larger one while it is sent.
    pub fn after(&self, noted: &Noted, response: Response) -> Response {
        self.apply(noted, response, AT_ONCE)
    }

    pub(super) fn after_at_once(&self, noted: &Noted, response: Response) -> Response {
        self.apply(noted, response, usize::MAX)
    }

    /// Completes the head of a response whose body comes in parts; gives what has to compress them, if anything has.
    pub(super) fn after_head(
        &self,
        noted: &Noted,
        status: StatusCode,
        headers: &mut Fields,
    ) -> Option<Encoder> {
        let (coding, level) = self.decide(noted, status, headers, declared(headers))?;
        remove(headers, &header::CONTENT_LENGTH);
        (!noted.head_only).then(|| Encoder::new(coding, level, None))
    }

    /// Whether a response is left as it is, whatever the client takes.
    pub(super) fn passes(&self, status: StatusCode, headers: &[(HeaderName, HeaderValue)]) -> bool {
        let has = |name| first(headers, name).is_some();
        status.is_informational()
            || matches!(
                status,
                StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::PARTIAL_CONTENT
            )
            || has(&header::CONTENT_ENCODING)
            || has(&header::CONTENT_RANGE)
            || has(&CONTENT_DIGEST)
            || lists(headers, &header::CACHE_CONTROL, "no-transform")
            || self.excluded.covers(headers)
    }

    fn apply(&self, noted: &Noted, mut response: Response, at_once: usize) -> Response {
        let headers = &mut response.headers;
        let size = match &response.body {
            // The answer to HEAD need not have the body that it tells of.
            Body::Full(bytes) if !(bytes.is_empty() && noted.head_only) => Some(bytes.len()),
            Body::Full(_) => Some(declared(headers).unwrap_or(0)),
            Body::Stream(_) => declared(headers),
        };
        let Some((coding, level)) = self.decide(noted, response.status, headers, size) else {
            return response;
        };
        response.body = match response.body {
            Body::Full(bytes) if !bytes.is_empty() && bytes.len() <= at_once => {
                let compressed = Encoder::new(coding, level, Some(bytes.len())).finished(&bytes);
                set(headers, &header::CONTENT_LENGTH, compressed.len().into());
                compressed.into()
            }
            body => {
                remove(headers, &header::CONTENT_LENGTH);
                Body::Stream(match body {
                    Body::Full(_) if noted.head_only => Box::pin(Nothing),
                    Body::Full(bytes) => {
                        let encoder = Encoder::new(coding, level, Some(bytes.len()));
                        Box::pin(EncodedStream::of_bytes(encoder, bytes))
                    }
                    Body::Stream(stream) if noted.head_only => stream,
                    Body::Stream(stream) => {
                        Box::pin(EncodedStream::of_stream(Encoder::new(coding, level, None), stream))
                    }
                })
            }
        };
        response
    }

    /// The coding of a response whose body has `size` bytes, where that is known; its head is completed but for the length.
    fn decide(
        &self,
        noted: &Noted,
        status: StatusCode,
        headers: &mut Fields,
        size: Option<usize>,
    ) -> Option<(Coding, u32)> {
        if self.passes(status, headers) {
            return None;
        }
        let coding = noted.accepted.choose(self.codings.iter().map(|(coding, _)| *coding));
        let chosen = self.codings.iter().copied().find(|(found, _)| Some(*found) == coding);
        if status == StatusCode::NOT_MODIFIED {
            // It has the fields of the answer that the client has, and that may have been compressed.
            vary_on(headers, ACCEPT_ENCODING);
            if chosen.is_some() {
                weaken_etag(headers);
            }
            return None;
        }
        let least = if noted.accepted.refuses_identity() && chosen.is_some() { 1 } else { self.minimum_size };
        if size.is_some_and(|size| size < least.max(1)) {
            return None;
        }
        vary_on(headers, ACCEPT_ENCODING);
        let (coding, level) = chosen?;
        set(headers, &header::CONTENT_ENCODING, HeaderValue::from_static(coding.token()));
        weaken_etag(headers);
        // Ranges would be of bytes that are never the same again.
        remove(headers, &header::ACCEPT_RANGES);
        Some((coding, level))
    }
}

/// The length that a response says its body has.
fn declared(headers: &[(HeaderName, HeaderValue)]) -> Option<usize> {
    first(headers, &header::CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

/// A stream of no bytes: the answer to HEAD where the length of the body is not known.
struct Nothing;

impl Stream for Nothing {
    type Item = Result<Bytes, Error>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(None)
    }
}

#[cfg(test)]
#[path = "content_encoding_tests.rs"]
mod tests;
