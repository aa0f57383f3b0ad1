//! The header fields by which a client learns how it stands.

use std::time::Duration;

use super::{Rate, Standing};
use crate::http::{HeaderName, HeaderValue, Response};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const X_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// Which fields are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields {
    /// `RateLimit-Policy` and `RateLimit`, as draft-ietf-httpapi-ratelimit-headers-10 has them.
    pub ietf: bool,
    /// `X-RateLimit-Limit`, `-Remaining` and `-Reset`, the last in seconds from now.
    pub x: bool,
}

/// What is the same in all responses under a limit.
pub(super) struct Labels {
    fields: Fields,
    name: String,
    policy: Option<HeaderValue>,
    limit: HeaderValue,
}

impl Labels {
    /// `name` is printable ASCII without quotes and backslashes.
    pub(super) fn new(fields: Fields, name: &str, rate: &Rate) -> Labels {
        // Rounded up, but for what intervals have been rounded up by.
        let window = rate.window().saturating_sub(Duration::from_millis(1)).as_secs() + 1;
        let policy = format!("\"{name}\";q={};w={window}", rate.burst());
        Labels {
            fields,
            name: name.to_owned(),
            policy: HeaderValue::try_from(policy).ok(),
            limit: HeaderValue::from(rate.burst()),
        }
    }

    /// Says in `response` how the client stands. What the application says itself goes.
    pub(super) fn add(&self, response: &mut Response, rate: &Rate, standing: Standing) {
        let (remaining, reset) = (rate.remaining(standing), rate.reset(standing));
        let mut add = |name: HeaderName, value: HeaderValue| {
            if response.headers.iter().all(|(known, _)| *known != name) {
                response.headers.push((name, value));
            }
        };
        if self.fields.ietf {
            if let Some(policy) = &self.policy {
                add(POLICY, policy.clone());
            }
            if let Ok(value) = HeaderValue::try_from(format!("\"{}\";r={remaining};t={reset}", self.name)) {
                add(RATE_LIMIT, value);
            }
        }
        if self.fields.x {
            add(X_LIMIT, self.limit.clone());
            add(X_REMAINING, HeaderValue::from(remaining));
            add(X_RESET, HeaderValue::from(reset));
        }
    }
}
