//! From `http` to `https`: Starlette's `HTTPSRedirectMiddleware`.

use super::answer::{invalid_host, redirect};
use super::{RequestHead, Url};
use crate::http::Response;

/// Sends every request that came unencrypted to the same URL with `https`, or `wss`.
#[derive(Clone, Copy, Debug, Default)]
pub struct HttpsRedirect;

impl HttpsRedirect {
    /// Answers a request that came unencrypted.
    pub fn before(&self, head: &impl RequestHead) -> Option<Response> {
        let scheme = match head.scheme() {
            "http" => "https",
            "ws" => "wss",
            _ => return None,
        };
        let url = Url::of(head);
        if url.netloc.is_none() {
            return Some(invalid_host());
        }
        // The ports that the schemes stand for go away.
        let netloc = if matches!(url.port(), Some(80 | 443)) { url.hostname() } else { url.netloc.clone() };
        Some(redirect(&Url { scheme, netloc, ..url }.to_string()))
    }
}

#[cfg(test)]
#[path = "https_tests.rs"]
mod tests;
