//! A file as the body of a response.

use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::Arc;

use super::body::{FileBody, Part};
use super::disk::{read, Disk};
use super::range::Multipart;
use super::root::{Miss, Node, Patience};
use crate::edge::fields::set;
use crate::http::{header, Body, HeaderFields, HeaderValue, Response, StatusCode};

/// Bodies up to this size are read before the response begins.
///
/// Starlette sends smaller ones in one message and others in several, which decides how its gzip takes them.
const SMALL: u64 = 64 * 1024;

/// What is sent of a file.
pub(super) enum Extent {
    /// All of it, with this status.
    Whole(StatusCode),
    /// A part, or several parts.
    Range(Range<u64>),
    Ranges(Vec<Range<u64>>),
}

/// How a file is read for one request.
pub(super) struct Source<'a> {
    pub(super) disk: &'a Arc<Disk>,
    pub(super) patience: Patience,
    /// Whether only the head is sent: nothing is read then.
    pub(super) head_only: bool,
}

impl Source<'_> {
    /// The response of this extent of `node`. `headers` are those of all of it, with `Content-Length` and `Content-Type`.
    pub(super) fn respond(
        &self,
        node: &Node,
        mut headers: HeaderFields,
        extent: Extent,
    ) -> Result<Response, Miss> {
        let (status, body) = match extent {
            Extent::Whole(status) => (status, self.span(node, 0..node.size, SMALL - 1)?),
            Extent::Range(range) => {
                let content_range = format!("bytes {}-{}/{}", range.start, range.end - 1, node.size);
                set(&mut headers, &header::CONTENT_LENGTH, (range.end - range.start).into());
                set(&mut headers, &header::CONTENT_RANGE, value(content_range));
                (StatusCode::PARTIAL_CONTENT, self.span(node, range, SMALL)?)
            }
            Extent::Ranges(ranges) => {
                let kind = headers.iter().find(|(name, _)| *name == header::CONTENT_TYPE);
                let kind = kind.map_or(&b""[..], |(_, kind)| kind.as_bytes());
                let multipart = Multipart::new(ranges, node.size, kind);
                let kind = format!("multipart/byteranges; boundary={}", multipart.boundary);
                set(&mut headers, &header::CONTENT_TYPE, value(kind));
                set(&mut headers, &header::CONTENT_LENGTH, multipart.length.into());
                let body = if self.head_only { Body::EMPTY } else { self.stream(node, multipart.parts)? };
                (StatusCode::PARTIAL_CONTENT, body)
            }
        };
        Ok(Response::new(status).with_headers(headers).with_body(body))
    }

    fn span(&self, node: &Node, range: Range<u64>, at_once: u64) -> Result<Body, Miss> {
        let length = range.end - range.start;
        if self.head_only {
            return Ok(Body::EMPTY);
        }
        if length > at_once {
            return self.stream(node, vec![Part::Span(range)]);
        }
        let file = node.open(self.patience)?;
        Ok(read(file.as_fd(), range.start, length as usize, self.patience)?.into())
    }

    fn stream(&self, node: &Node, parts: Vec<Part>) -> Result<Body, Miss> {
        let file = self.disk.keep(node.open(self.patience)?)?;
        Ok(Body::Stream(FileBody::stream(file, parts, node.name.display().to_string())))
    }
}

/// A header value from text that is ASCII.
pub(super) fn value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("digits and plain ASCII are a valid header value")
}
