use std::time::Duration;

use bytes::Bytes;

use super::{Aside, Asked};
use crate::cache::Policy;
use crate::http::{header, HeaderName, Method, Request};

fn policy() -> Policy {
    Policy::new(Duration::from_secs(1))
}

fn asked(policy: &Policy, target: &str, headers: &[(&str, &str)]) -> Result<Vec<u8>, Aside> {
    let mut request = Request::synthetic(Method::GET, target, headers, Bytes::new());
    Asked::of(policy, 1, &mut request).map(|asked| asked.key.to_vec())
}

#[test]
fn path_query_and_host_tell_answers_apart() {
    let policy = policy();
    let one = asked(&policy, "/a?x=1", &[]).unwrap();
    assert_eq!(asked(&policy, "/a?x=1", &[("accept", "text/html")]).unwrap(), one);
    for (target, headers) in
        [("/a?x=2", [].as_slice()), ("/b?x=1", &[]), ("/a", &[]), ("/a?x=1", &[("host", "evil")])]
    {
        assert_ne!(asked(&policy, target, headers).unwrap(), one, "{target}");
    }
}

#[test]
fn chosen_query_parameters_alone() {
    let policy = Policy { query: Some(vec!["page".to_owned(), "q".to_owned()]), ..policy() };
    let one = asked(&policy, "/a?page=1&q=x+y&utm=7", &[]).unwrap();
    assert_eq!(asked(&policy, "/a?utm=8&q=x%20y&page=1", &[]).unwrap(), one);
    assert_ne!(asked(&policy, "/a?page=1&page=2&q=x+y", &[]).unwrap(), one);
    assert_ne!(asked(&policy, "/a?page=1", &[]).unwrap(), one);
    // The values of one are not those of another.
    assert_ne!(asked(&policy, "/a?page=7", &[]).unwrap(), asked(&policy, "/a?q=7", &[]).unwrap());
}

#[test]
fn headers_and_cookies_that_count() {
    let language = HeaderName::from_static("accept-language");
    let policy = Policy { vary: vec![language], cookies: vec!["theme".to_owned()], ..policy() };
    let dark = asked(&policy, "/", &[("accept-language", "de"), ("cookie", "sid=1; theme=dark")]).unwrap();
    assert_eq!(
        asked(&policy, "/", &[("accept-language", "de"), ("cookie", "theme = dark;sid=2")]).unwrap(),
        dark
    );
    assert_ne!(asked(&policy, "/", &[("accept-language", "de"), ("cookie", "theme=light")]).unwrap(), dark);
    assert_ne!(asked(&policy, "/", &[("accept-language", "en"), ("cookie", "theme=dark")]).unwrap(), dark);
    assert_ne!(asked(&policy, "/", &[("accept-language", "")]).unwrap(), asked(&policy, "/", &[]).unwrap());
}

#[test]
fn what_stays_aside() {
    let policy = policy();
    assert_eq!(asked(&policy, "/", &[("authorization", "x")]), Err(Aside::Authorization));
    assert_eq!(asked(&policy, "/", &[("cookie", "a=1")]), Err(Aside::Cookies));
    let mut post = Request::synthetic(Method::POST, "/", &[], Bytes::new());
    assert_eq!(Asked::of(&policy, 1, &mut post).unwrap_err(), Aside::Method);
    let mut body = Request::synthetic(Method::GET, "/", &[], Bytes::from_static(b"x"));
    assert_eq!(Asked::of(&policy, 1, &mut body).unwrap_err(), Aside::Body);
    // Ignored unless the route honours it.
    assert!(asked(&policy, "/", &[("cache-control", "no-store")]).is_ok());
    let honouring = Policy { honour_requests: true, ..policy.clone() };
    assert_eq!(asked(&honouring, "/", &[("cache-control", "no-store")]), Err(Aside::NoStore));
    let ignoring = Policy { ignore_authorization: true, ignore_cookies: true, ..policy.clone() };
    assert_eq!(
        asked(&ignoring, "/", &[("authorization", "x"), ("cookie", "a=1")]),
        asked(&ignoring, "/", &[])
    );
    let keyed = Policy { vary: vec![header::AUTHORIZATION], ..policy };
    assert_ne!(asked(&keyed, "/", &[("authorization", "x")]), asked(&keyed, "/", &[("authorization", "y")]));
}
