//! What a route asks of the cache.

use std::time::Duration;

use crate::http::{HeaderName, StatusCode};

/// A part of a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagPart {
    /// This text.
    Text(String),
    /// The value of the path parameter of this index.
    Param(usize),
}

/// What a route asks of the cache.
#[derive(Clone, Debug)]
pub struct Policy {
    /// How long an answer is fresh.
    pub ttl: Duration,
    /// How long it may be given after that, while a request in the background renews it.
    pub stale_while_revalidate: Duration,
    /// How long it may be given after it was fresh where the handler fails.
    pub stale_if_error: Duration,
    /// Request headers that the answer depends on.
    pub vary: Vec<HeaderName>,
    /// Cookies that it depends on.
    pub cookies: Vec<String>,
    /// Query parameters that it depends on; `None`: the whole query, as it was sent.
    pub query: Option<Vec<String>>,
    /// Requests with `Authorization` are like those without it.
    pub ignore_authorization: bool,
    /// Requests with cookies are like those without.
    pub ignore_cookies: bool,
    /// `Cache-Control` of requests counts.
    pub honour_requests: bool,
    /// The status codes of answers that are kept.
    pub statuses: Vec<StatusCode>,
    /// The largest body that is kept, in bytes.
    pub max_size: usize,
    /// How long a request waits for one that calls the handler already.
    pub wait: Duration,
    /// Names by which answers are made invalid.
    pub tags: Vec<Vec<TagPart>>,
    /// Say in `Cache-Status` (RFC 9211) what became of a request.
    pub status_header: bool,
}

impl Policy {
    /// Answers that are fresh for `ttl`; nothing else asked for.
    pub fn new(ttl: Duration) -> Policy {
        Policy {
            ttl,
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            vary: Vec::new(),
            cookies: Vec::new(),
            query: None,
            ignore_authorization: false,
            ignore_cookies: false,
            honour_requests: false,
            statuses: vec![StatusCode::OK],
            max_size: 1 << 20,
            wait: Duration::from_secs(5),
            tags: Vec::new(),
            status_header: false,
        }
    }

    pub(super) fn varies_by(&self, name: &HeaderName) -> bool {
        self.vary.contains(name)
    }
}
