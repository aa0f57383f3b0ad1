//! An answer that is kept: whether one may be, how long, and what is sent of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::directives::Directives;
use super::policy::Policy;
use super::stamps::Marks;
use crate::http::{header, Body, HeaderFields, HeaderName, HeaderValue, Response, StatusCode};
use crate::metrics::nanos;

/// What an entry takes besides its bytes, about.
const OVERHEAD: usize = 320;

/// How long a key is remembered whose answers cannot be kept, so that its requests do not wait for each other: at most.
const REMEMBERED: Duration = Duration::from_secs(5);

/// How soon a renewal that has failed is tried again.
pub(super) const RETRY: Duration = Duration::from_secs(1);

/// Header fields that are made anew, or belong to one connection.
const LEFT_OUT: [HeaderName; 6] = [
    header::AGE,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::DATE,
    header::TRANSFER_ENCODING,
    HeaderName::from_static("keep-alive"),
];

/// What is known of a key.
pub(super) struct Kept {
    /// When its making began; see `stamps`.
    pub(super) stamp: u64,
    pub(super) marks: Marks,
    /// Nanoseconds of the store's clock.
    born: u64,
    fresh_until: u64,
    stale_until: u64,
    usable_until: u64,
    /// When a renewal may begin; moved on by whoever begins one.
    renewal: AtomicU64,
    /// None: answers to this key cannot be kept.
    answer: Option<Saved>,
}

struct Saved {
    status: StatusCode,
    headers: HeaderFields,
    body: Bytes,
    /// How old the handler said that it was.
    age: u64,
    has_ranges: bool,
}

/// Why an answer is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// The handler has failed: another one may succeed.
    Failed,
    /// The answer is for one client, or too large, or in parts.
    NotForAll(Why),
}

/// What makes an answer unfit for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// Its status, or what it says in `Cache-Control` or `Expires`: as its handler means it.
    Meant,
    /// Something that no answer of this handler may be without: whoever has given its route a cache should hear of it.
    Odd(&'static str),
}

/// How an answer is at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Fresh,
    /// It may be given while it is renewed.
    Stale,
    /// It may be given where the handler fails.
    LastResort,
    Over,
}

impl Kept {
    /// What is kept of an answer that is there `now`; the reason where it must not be.
    pub(super) fn of(
        response: &Response,
        policy: &Policy,
        limit: usize,
        stamp: u64,
        marks: Marks,
        now: u64,
    ) -> Result<Kept, Unfit> {
        if response.unhandled || response.status.is_server_error() {
            return Err(Unfit::Failed);
        }
        let has = |wanted: HeaderName| response.headers.iter().any(|(name, _)| *name == wanted);
        let directives = Directives::of(&response.headers);
        let lifetime = directives.max_age.or_else(|| expires_in(&response.headers));
        let fresh = lifetime.map_or(policy.ttl, |lifetime| lifetime.min(policy.ttl));
        if !policy.statuses.contains(&response.status) || directives.forbids || fresh.is_zero() {
            return Err(Unfit::NotForAll(Why::Meant));
        }
        let odd = |why| Err(Unfit::NotForAll(Why::Odd(why)));
        let Body::Full(body) = &response.body else { return odd("it comes in parts") };
        if has(header::SET_COOKIE) {
            return odd("it sets a cookie");
        }
        if body.len() > policy.max_size.min(limit) {
            return odd("its body is too large");
        }
        if !varies_by_known(response, policy) {
            return odd("its Vary names what the cache does not tell apart");
        }
        let age = response.headers.iter().find(|(name, _)| *name == header::AGE);
        let age = age.and_then(|(_, value)| value.to_str().ok()?.trim().parse().ok()).unwrap_or(0);
        let fresh_until = now.saturating_add(nanos(fresh));
        let stale = |time: Duration| match directives.never_stale {
            true => fresh_until,
            false => fresh_until.saturating_add(nanos(time)),
        };
        let stale_until = stale(policy.stale_while_revalidate);
        // A copy, as the handler's bytes may be a part of more, or memory of a library that is replaced some day.
        let copied = |value: &HeaderValue| HeaderValue::from_bytes(value.as_bytes()).ok();
        let headers = response.headers.iter().filter(|(name, _)| !LEFT_OUT.contains(name));
        let headers: HeaderFields =
            headers.filter_map(|(name, value)| Some((name.clone(), copied(value)?))).collect();
        let has_ranges = has(header::ACCEPT_RANGES);
        let answer =
            Saved { status: response.status, headers, body: Bytes::copy_from_slice(body), age, has_ranges };
        Ok(Kept {
            stamp,
            marks,
            born: now,
            fresh_until,
            stale_until,
            usable_until: stale_until.max(stale(policy.stale_if_error)),
            renewal: AtomicU64::new(0),
            answer: Some(answer),
        })
    }

    /// Says that answers to a key cannot be kept.
    pub(super) fn nothing(policy: &Policy, stamp: u64, marks: Marks, now: u64) -> Kept {
        let until = now.saturating_add(nanos(policy.ttl.min(REMEMBERED)));
        Kept {
            stamp,
            marks,
            born: now,
            fresh_until: until,
            stale_until: until,
            usable_until: until,
            renewal: AtomicU64::new(0),
            answer: None,
        }
    }

    /// Whether answers to this key cannot be kept.
    pub(super) fn is_nothing(&self) -> bool {
        self.answer.is_none()
    }

    pub(super) fn state(&self, now: u64) -> State {
        match now {
            _ if now < self.fresh_until => State::Fresh,
            _ if now < self.stale_until => State::Stale,
            _ if now < self.usable_until => State::LastResort,
            _ => State::Over,
        }
    }

    /// Whether a part of it can be asked for.
    pub(super) fn has_ranges(&self) -> bool {
        self.answer.as_ref().is_some_and(|answer| answer.has_ranges)
    }

    pub(super) fn age(&self, now: u64) -> Duration {
        let age = self.answer.as_ref().map_or(0, |answer| answer.age);
        Duration::from_nanos(now.saturating_sub(self.born)).saturating_add(Duration::from_secs(age))
    }

    /// For whom it is to begin a renewal, which may last until `lease` from `now`: once for all who ask meanwhile.
    pub(super) fn claim_renewal(&self, now: u64, lease: Duration) -> bool {
        let due = self.renewal.load(Ordering::Relaxed);
        let next = now.saturating_add(nanos(lease));
        due <= now && self.renewal.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// A renewal has ended `now`. Where this is still what is kept, another one may begin a little later.
    pub(super) fn renewal_ended(&self, now: u64) {
        self.renewal.store(now.saturating_add(nanos(RETRY)), Ordering::Relaxed);
    }

    /// The answer as it is sent; `None` where there is none. `says` is for `Cache-Status`.
    pub(super) fn response(&self, now: u64, status_header: bool, says: &str) -> Option<Response> {
        let saved = self.answer.as_ref()?;
        let mut response = Response::new(saved.status).with_headers(saved.headers.clone());
        response.headers.push((header::AGE, HeaderValue::from(self.age(now).as_secs())));
        if status_header {
            let left = (self.fresh_until as i128 - now as i128).div_euclid(1_000_000_000);
            let text = format!("bimetal; {says}; ttl={left}");
            if let Ok(value) = HeaderValue::try_from(text) {
                response.headers.push((CACHE_STATUS, value));
            }
        }
        response.body = Body::Full(saved.body.clone());
        Some(response)
    }

    /// The bytes it takes, with those of its key.
    pub(super) fn weight(&self, key: &[u8]) -> u64 {
        let answer = self.answer.as_ref().map_or(0, |answer| {
            let headers = answer.headers.iter();
            let fields: usize = headers.map(|(name, value)| name.as_str().len() + value.len() + 72).sum();
            answer.body.len() + fields
        });
        (OVERHEAD + key.len() + answer) as u64
    }
}

pub(super) const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// How long an answer is fresh by `Expires`; zero for a date that is none (RFC 9111, 5.3).
fn expires_in(headers: &HeaderFields) -> Option<Duration> {
    let (_, value) = headers.iter().find(|(name, _)| *name == header::EXPIRES)?;
    let date = value.to_str().ok().and_then(|text| httpdate::parse_http_date(text).ok());
    Some(date.and_then(|date| date.duration_since(SystemTime::now()).ok()).unwrap_or_default())
}

/// Whether the key holds all that the answer says it depends on.
fn varies_by_known(response: &Response, policy: &Policy) -> bool {
    let fields = response.headers.iter().filter(|(name, _)| *name == header::VARY);
    fields.map(|(_, value)| value.as_bytes()).all(|value| {
        value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|name| !name.is_empty()).all(
            |name| {
                HeaderName::from_bytes(name).is_ok_and(|name| {
                    policy.varies_by(&name) || (name == header::COOKIE && !policy.cookies.is_empty())
                })
            },
        )
    })
}

#[cfg(test)]
#[path = "kept_tests.rs"]
mod tests;
