use std::time::Duration;

use super::{Kept, State, Unfit, Why};
use crate::cache::stamps::Marks;
use crate::cache::Policy;
use crate::http::{header, Body, HeaderName, HeaderValue, Response, StatusCode};

const SECOND: u64 = 1_000_000_000;

fn policy() -> Policy {
    Policy {
        stale_while_revalidate: Duration::from_secs(20),
        stale_if_error: Duration::from_secs(60),
        ..Policy::new(Duration::from_secs(10))
    }
}

fn kept(policy: &Policy, response: &Response) -> Result<Kept, Unfit> {
    Kept::of(response, policy, usize::MAX, 0, Marks::new(), 0)
}

fn with(name: HeaderName, value: &'static str) -> Response {
    Response::json(StatusCode::OK, "{}").with_header(name, HeaderValue::from_static(value))
}

#[test]
fn an_answer_ages() {
    let kept = kept(&policy(), &with(header::ETAG, "\"a\"")).unwrap();
    let states = [0, 9, 10, 29, 30, 69, 70].map(|second| kept.state(second * SECOND));
    use State::{Fresh, LastResort, Over, Stale};
    assert_eq!(states, [Fresh, Fresh, Stale, Stale, LastResort, LastResort, Over]);
    let response = kept.response(7 * SECOND, true, "hit").unwrap();
    let fields: Vec<_> =
        response.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    let expected = [
        ("content-type", "application/json"),
        ("etag", "\"a\""),
        ("age", "7"),
        ("cache-status", "bimetal; hit; ttl=3"),
    ];
    assert_eq!(fields, expected);
    let stale = kept.response(12 * SECOND + 1, true, "hit").unwrap();
    assert_eq!(stale.headers.last().unwrap().1, "bimetal; hit; ttl=-3");
}

#[test]
fn the_handler_may_say_less_than_the_route() {
    let policy = policy();
    let shorter = kept(&policy, &with(header::CACHE_CONTROL, "public, max-age=3")).unwrap();
    assert_eq!([2, 3].map(|second| shorter.state(second * SECOND)), [State::Fresh, State::Stale]);
    let longer = kept(&policy, &with(header::CACHE_CONTROL, "max-age=3600")).unwrap();
    assert_eq!([9, 10].map(|second| longer.state(second * SECOND)), [State::Fresh, State::Stale]);
    let strict = kept(&policy, &with(header::CACHE_CONTROL, "max-age=3, must-revalidate")).unwrap();
    assert_eq!(strict.state(3 * SECOND), State::Over);
    let aged = kept(&policy, &with(header::AGE, "5")).unwrap();
    let response = aged.response(2 * SECOND, false, "hit").unwrap();
    assert_eq!(response.headers.last().unwrap(), &(header::AGE, HeaderValue::from_static("7")));
}

#[test]
fn what_is_not_for_all_is_not_kept() {
    let policy = policy();
    for response in [
        with(header::CACHE_CONTROL, "private"),
        with(header::CACHE_CONTROL, "no-store"),
        with(header::CACHE_CONTROL, "no-cache"),
        with(header::CACHE_CONTROL, "max-age=0"),
        with(header::EXPIRES, "0"),
        with(header::EXPIRES, "Sun, 06 Nov 1994 08:49:37 GMT"),
        Response::new(StatusCode::NOT_FOUND),
    ] {
        let fields: Vec<_> = response.headers.iter().collect();
        assert_eq!(kept(&policy, &response).err(), Some(Unfit::NotForAll(Why::Meant)), "{fields:?}");
    }
    for (response, said) in [
        (with(header::SET_COOKIE, "a=1"), "sets a cookie"),
        (with(header::VARY, "accept-language"), "Vary"),
        (with(header::VARY, "*"), "Vary"),
        (Response::new(StatusCode::OK).with_body(vec![0; policy.max_size + 1]), "too large"),
        (Response { body: Body::Stream(Box::pin(Nothing)), ..Response::new(StatusCode::OK) }, "in parts"),
    ] {
        let unfit = kept(&policy, &response).err();
        assert!(
            matches!(unfit, Some(Unfit::NotForAll(Why::Odd(why))) if why.contains(said)),
            "{said}: {unfit:?}"
        );
    }
    let failed = Response::new(StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(kept(&policy, &failed).err(), Some(Unfit::Failed));
    let known = Policy { vary: vec![header::ACCEPT_LANGUAGE], ..policy.clone() };
    assert!(kept(&known, &with(header::VARY, "Accept-Language")).is_ok());
    let more = Policy { statuses: vec![StatusCode::OK, StatusCode::NOT_FOUND], ..policy };
    assert!(kept(&more, &Response::new(StatusCode::NOT_FOUND)).is_ok());
}

struct Nothing;

impl futures_core::Stream for Nothing {
    type Item = Result<bytes::Bytes, crate::Error>;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(None)
    }
}

#[test]
fn a_renewal_is_begun_once() {
    let kept = kept(&policy(), &Response::new(StatusCode::OK)).unwrap();
    let lease = Duration::from_secs(60);
    assert!(kept.claim_renewal(11 * SECOND, lease));
    assert!(!kept.claim_renewal(12 * SECOND, lease));
    // One that has failed is tried again, not at once.
    kept.renewal_ended(13 * SECOND);
    assert!(!kept.claim_renewal(13 * SECOND, lease));
    assert!(kept.claim_renewal(14 * SECOND, lease));
    // One that nobody has heard of again as well.
    assert!(kept.claim_renewal(74 * SECOND, lease));
}
