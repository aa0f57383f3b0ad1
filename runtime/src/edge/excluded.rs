//! Types of content that are not compressed.

use super::fields::{first, strip};
use crate::http::{header, HeaderName, HeaderValue};

/// Types of content that are compressed already, or must not wait; `audio/*` stands for all types of audio.
pub const EXCLUDED_CONTENT_TYPES: [&str; 14] = [
    "application/grpc",
    "application/gzip",
    "application/x-gzip",
    "application/zip",
    "audio/*",
    "font/woff",
    "font/woff2",
    "image/avif",
    "image/gif",
    "image/jpeg",
    "image/png",
    "image/webp",
    "text/event-stream",
    "video/*",
];

/// A list of such types, in lower case and without parameters.
#[derive(Clone, Debug)]
pub(super) struct Excluded(Vec<String>);

impl Excluded {
    pub(super) fn new(types: &[impl AsRef<str>]) -> Excluded {
        let kinds = types
            .iter()
            .map(|kind| String::from_utf8_lossy(&media_type(kind.as_ref().as_bytes())).into_owned());
        Excluded(kinds.collect())
    }

    /// Whether the content of a response is of one of them.
    pub(super) fn covers(&self, headers: &[(HeaderName, HeaderValue)]) -> bool {
        let content_type = first(headers, &header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        let kind = media_type(content_type);
        let main = kind.split(|&byte| byte == b'/').next().unwrap_or_default();
        self.0.iter().map(String::as_bytes).any(|excluded| {
            excluded == kind
                || excluded.strip_suffix(b"/*").is_some_and(|excluded| excluded == main)
                || (excluded == b"application/grpc" && kind.starts_with(b"application/grpc+"))
        })
    }
}

/// A type of content in lower case, without its parameters.
fn media_type(content_type: &[u8]) -> Vec<u8> {
    let kind = content_type.split(|&byte| byte == b';').next().unwrap_or_default();
    strip(kind).to_ascii_lowercase()
}
