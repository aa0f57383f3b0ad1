use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{Limit, Limits, Store};
use crate::http::{Body, Method, Request, Response, StatusCode};
use crate::lane::{Answer, BodyMode, Handler};
use crate::limit::{Fields, Key, Rate, Table};

struct Fine;

impl Handler for Fine {
    fn call(&self, _: Request) -> Answer {
        Answer::Now(Response::new(StatusCode::OK).with_body("fine"))
    }
}

fn limits() -> Arc<Limits> {
    let store = Store::Memory(Arc::new(Table::new(100)));
    Arc::new(Limits::new(
        store,
        Fields { ietf: true, x: true },
        &["/free".to_owned(), "/static/*".to_owned()],
    ))
}

fn guarded(limits: &Arc<Limits>, general: bool) -> Arc<dyn Handler> {
    let limit = Limit {
        name: "default".to_owned(),
        scope: "all".to_owned(),
        rate: Rate::new(2, Duration::from_secs(60), None).unwrap(),
        key: Key::Client,
        general,
    };
    limits.guard(limit, "/{path}", BodyMode::Buffered, Arc::new(Fine)).1
}

fn ask(handler: &Arc<dyn Handler>, method: Method, path: &str, headers: &[(&str, &str)]) -> Response {
    match handler.call(Request::synthetic(method, path, headers, Bytes::new())) {
        Answer::Now(response) => response,
        Answer::Later(_) => panic!("nothing here has to be waited for"),
    }
}

fn fields(response: &Response) -> Vec<String> {
    let text = |(name, value): &(crate::http::HeaderName, crate::http::HeaderValue)| {
        format!("{name}: {}", value.to_str().unwrap())
    };
    response.headers.iter().map(text).collect()
}

#[test]
fn clients_hear_how_they_stand() {
    let limits = limits();
    let handler = guarded(&limits, true);
    let expected = |remaining, reset| {
        vec![
            "ratelimit-policy: \"default\";q=2;w=60".to_owned(),
            format!("ratelimit: \"default\";r={remaining};t={reset}"),
            "x-ratelimit-limit: 2".to_owned(),
            format!("x-ratelimit-remaining: {remaining}"),
            format!("x-ratelimit-reset: {reset}"),
        ]
    };
    assert_eq!(fields(&ask(&handler, Method::GET, "/a", &[])), expected(1, 30));
    assert_eq!(fields(&ask(&handler, Method::GET, "/b", &[])), expected(0, 60));
    let refused = ask(&handler, Method::GET, "/b", &[]);
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(fields(&refused)[..2], ["content-type: application/json", "retry-after: 30"]);
    assert_eq!(fields(&refused)[2..], expected(0, 60));
    assert!(matches!(refused.body, Body::Full(body) if body == "{\"detail\":\"Too Many Requests\"}"));
    assert_eq!(limits.refused().iter().map(|refused| refused.count).collect::<Vec<_>>(), [1]);
}

#[test]
fn some_requests_are_not_counted() {
    let (limits, preflight) =
        (limits(), [("origin", "https://a.org"), ("access-control-request-method", "GET")]);
    let handler = guarded(&limits, true);
    for _ in 0..5 {
        for path in ["/free", "/static/a.css", "/static/"] {
            assert!(fields(&ask(&handler, Method::GET, path, &[])).is_empty());
        }
        assert!(fields(&ask(&handler, Method::OPTIONS, "/a", &preflight)).is_empty());
    }
    assert!(!fields(&ask(&handler, Method::OPTIONS, "/a", &preflight[..1])).is_empty());
    // Paths are exempt from the application's limit, not from a route's own.
    assert!(!fields(&ask(&guarded(&limits, false), Method::GET, "/free", &[])).is_empty());
}
