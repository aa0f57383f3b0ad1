//! Which requests get the same answer.

use smallvec::SmallVec;

use super::directives::Wishes;
use super::policy::{Policy, TagPart};
use super::stamps::{Mark, Marks, Target};
use crate::http::{header, Method, Request};

/// A key in the making: most fit in here.
pub(super) type KeyBytes = SmallVec<[u8; 256]>;

/// Why a request has nothing to do with the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aside {
    Method,
    Body,
    Authorization,
    Cookies,
    NoStore,
}

/// What the cache has to know of a request.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) key: KeyBytes,
    pub(super) wishes: Wishes,
    pub(super) head_only: bool,
    /// It wants a part of the answer.
    pub(super) range: bool,
}

impl Asked {
    pub(super) fn of(policy: &Policy, route: u64, request: &mut Request) -> Result<Asked, Aside> {
        let head_only = *request.method() == Method::HEAD;
        if !head_only && *request.method() != Method::GET {
            return Err(Aside::Method);
        }
        if request.has_unread_body() || !request.body().is_empty() {
            return Err(Aside::Body);
        }
        let has = |name| request.headers().contains_key(name);
        if has(header::AUTHORIZATION)
            && !policy.ignore_authorization
            && !policy.varies_by(&header::AUTHORIZATION)
        {
            return Err(Aside::Authorization);
        }
        let says_of_cookies =
            policy.ignore_cookies || !policy.cookies.is_empty() || policy.varies_by(&header::COOKIE);
        if !says_of_cookies && has(header::COOKIE) {
            return Err(Aside::Cookies);
        }
        let mut wishes = Wishes::default();
        if policy.honour_requests {
            for value in request.headers().get_all(header::CACHE_CONTROL) {
                wishes.read(value.as_bytes());
            }
            // As HTTP/1.0 says it, where nothing else is said.
            if !has(header::CACHE_CONTROL) {
                for value in request.headers().get_all(header::PRAGMA) {
                    wishes.read(value.as_bytes());
                }
            }
            if wishes.no_store {
                return Err(Aside::NoStore);
            }
        }
        let range = has(header::RANGE);
        Ok(Asked { key: key(policy, route, request), wishes, head_only, range })
    }
}

/// All that tells the answer to this request from another one's.
fn key(policy: &Policy, route: u64, request: &Request) -> KeyBytes {
    let mut key = KeyBytes::new();
    key.extend_from_slice(&route.to_be_bytes());
    key.push(u8::from(request.is_secure()));
    // The host is part of what is asked for (RFC 9110, 7.1); without it one client could choose what others see of it.
    part(&mut key, request.header("host").map_or(b"", |host| host.as_bytes()));
    part(&mut key, request.raw_path().as_bytes());
    match &policy.query {
        None => part(&mut key, request.query().as_bytes()),
        Some(names) => {
            for name in names {
                let values = form_urlencoded::parse(request.query().as_bytes());
                values
                    .filter(|(given, _)| given == name)
                    .for_each(|(_, value)| part(&mut key, value.as_bytes()));
                end(&mut key);
            }
        }
    }
    for name in &policy.vary {
        request.headers().get_all(name).for_each(|value| part(&mut key, value.as_bytes()));
        end(&mut key);
    }
    for name in &policy.cookies {
        for value in request.headers().get_all(header::COOKIE) {
            cookies(value.as_bytes(), name.as_bytes()).for_each(|value| part(&mut key, value));
        }
        end(&mut key);
    }
    key
}

/// A part with its length before it: no two lists of parts make the same bytes.
fn part(key: &mut KeyBytes, bytes: &[u8]) {
    key.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    key.extend_from_slice(bytes);
}

/// What no part begins with: none is that long.
fn end(key: &mut KeyBytes) {
    key.extend_from_slice(&u32::MAX.to_be_bytes());
}

fn cookies<'a>(field: &'a [u8], name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    field.split(|&byte| byte == b';').filter_map(move |pair| {
        let at = memchr::memchr(b'=', pair)?;
        (pair[..at].trim_ascii() == name).then(|| pair[at + 1..].trim_ascii())
    })
}

/// What the answer to this request can be invalidated by; `fixed` is what all answers of the route have.
pub(super) fn marks(policy: &Policy, fixed: &[Mark], request: &Request) -> Marks {
    let mut marks = Marks::from_slice(fixed);
    marks.push(Mark::of(Target::Path(request.path())));
    for tag in &policy.tags {
        let mut text = String::new();
        for part in tag {
            text.push_str(match part {
                TagPart::Text(part) => part,
                TagPart::Param(index) => request.param(*index).unwrap_or_default(),
            });
        }
        marks.push(Mark::of(Target::Tag(&text)));
    }
    marks
}

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;
