use std::collections::VecDeque;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::task::LocalSet;

use super::CachedHandler;
use crate::cache::{Policy, Store, TagPart, Target};
use crate::http::{header, Body, HeaderValue, Method, Request, Response, StatusCode};
use crate::lane::{Answer, Handler};
use crate::routing::Params;

const CAPACITY: u64 = 1 << 20;

type Script = Box<dyn Fn(&Request) -> Answer + Send + Sync>;

/// Counts its calls, and answers each with its number or by a script.
struct Scripted {
    calls: AtomicUsize,
    script: Option<Script>,
}

impl Handler for Scripted {
    fn call(&self, request: Request) -> Answer {
        let number = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        match &self.script {
            Some(script) => script(&request),
            None => Answer::Now(Response::json(StatusCode::OK, number.to_string())),
        }
    }
}

struct Route {
    inner: Arc<Scripted>,
    cached: CachedHandler,
    store: Arc<Store>,
}

impl Route {
    fn new(policy: Policy, script: Option<Script>) -> Route {
        let inner = Arc::new(Scripted { calls: AtomicUsize::new(0), script });
        let store = Store::new(CAPACITY);
        let cached = CachedHandler::new(inner.clone(), policy, &store, "/users/{id}", "user", None);
        Route { inner, cached, store }
    }

    fn calls(&self) -> usize {
        self.inner.calls.load(Ordering::SeqCst)
    }

    fn ask(&self, request: Request) -> impl Future<Output = Response> {
        self.cached.call(request).settled()
    }

    /// The text that a handler which answers at once gives.
    fn text(&self, target: &str) -> String {
        let Answer::Now(response) = self.cached.call(get(target)) else { panic!("not at once") };
        body(&response)
    }

    fn count(&self, name: &str) -> u64 {
        let stats = self.store.stats();
        stats.routes[0].all().find(|(known, _)| *known == name).unwrap().1
    }
}

fn policy() -> Policy {
    Policy::new(Duration::from_secs(60))
}

fn asking(method: Method, target: &str, headers: &[(&str, &str)]) -> Request {
    let mut request = Request::synthetic(method, target, headers, Bytes::new());
    if let Some(at) = target.find("/users/") {
        // As the router would say it.
        let start = at + "/users/".len();
        let end = target.find('?').unwrap_or(target.len());
        let mut params = Params::default();
        params.push(start..end);
        request.set_params(params);
    }
    request
}

fn get(target: &str) -> Request {
    asking(Method::GET, target, &[])
}

fn body(response: &Response) -> String {
    let Body::Full(bytes) = &response.body else { panic!("a stream") };
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn run(test: impl Future<Output = ()>) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    LocalSet::new().block_on(&runtime, test);
}

#[test]
fn a_hit_is_answered_at_once_with_its_age() {
    let route = Route::new(policy(), None);
    assert_eq!((route.text("/users/1"), route.text("/users/1"), route.calls()), ("1".into(), "1".into(), 1));
    assert_eq!(route.text("/users/2"), "2");
    let Answer::Now(response) = route.cached.call(get("/users/1")) else { panic!("not at once") };
    assert_eq!(response.headers.last().unwrap(), &(header::AGE, HeaderValue::from_static("0")));
    assert_eq!((route.count("hit"), route.count("miss"), route.count("stored")), (2, 2, 2));
}

#[test]
fn head_is_answered_by_what_get_has_brought() {
    let route = Route::new(policy(), None);
    let head = || asking(Method::HEAD, "/users/1", &[]);
    assert!(matches!(route.cached.call(head()), Answer::Now(_)));
    assert_eq!(route.text("/users/1"), "2");
    let Answer::Now(response) = route.cached.call(head()) else { panic!("not at once") };
    assert_eq!((body(&response), route.calls()), ("2".into(), 2));
}

#[test]
fn conditions_are_looked_at_afterwards() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    let script: Script = Box::new(move |request| {
        noted.lock().unwrap().push(request.header("if-none-match").is_some());
        Answer::Now(
            Response::json(StatusCode::OK, "{}").with_header(header::ETAG, HeaderValue::from_static("\"a\"")),
        )
    });
    let route = Route::new(policy(), Some(script));
    let with = |etag| asking(Method::GET, "/users/1", &[("if-none-match", etag)]);
    for (etag, status) in [("\"a\"", 304), ("W/\"a\"", 304), ("\"b\"", 200)] {
        let Answer::Now(response) = route.cached.call(with(etag)) else { panic!("not at once") };
        assert_eq!(response.status.as_u16(), status, "{etag}");
    }
    assert_eq!(*seen.lock().unwrap(), [false]);
}

#[test]
fn ranges_are_the_handlers_to_give() {
    let script: Script = Box::new(|_| {
        let ranges = HeaderValue::from_static("bytes");
        Answer::Now(Response::json(StatusCode::OK, "{}").with_header(header::ACCEPT_RANGES, ranges))
    });
    let range = || asking(Method::GET, "/users/1", &[("range", "bytes=0-1")]);
    let with_ranges = Route::new(policy(), Some(script));
    let _ = with_ranges.text("/users/1");
    drop(with_ranges.cached.call(range()));
    assert_eq!(with_ranges.calls(), 2);
    // One that knows none answers with all of it, and so does the cache.
    let without = Route::new(policy(), None);
    let _ = without.text("/users/1");
    drop(without.cached.call(range()));
    assert_eq!(without.calls(), 1);
}

#[test]
fn many_misses_are_one_call() {
    run(async {
        let (answer, waits) = oneshot::channel::<()>();
        let waits = Mutex::new(Some(waits));
        let script: Script = Box::new(move |_| {
            let waits = waits.lock().unwrap().take().expect("called once");
            Answer::Later(Box::pin(async move {
                let _ = waits.await;
                Response::json(StatusCode::OK, "7")
            }))
        });
        let route = Route::new(policy(), Some(script));
        let asking: Vec<_> =
            (0..1000).map(|_| tokio::task::spawn_local(route.ask(get("/users/1")))).collect();
        tokio::task::yield_now().await;
        answer.send(()).unwrap();
        for asked in asking {
            assert_eq!(body(&asked.await.unwrap()), "7");
        }
        assert_eq!((route.calls(), route.count("collapsed")), (1, 999));
    });
}

/// A handler that gives these answers, each a second after its call.
fn late(answers: Vec<Response>) -> Script {
    let answers = Mutex::new(VecDeque::from(answers));
    Box::new(move |_| {
        let answer = answers.lock().unwrap().pop_front().expect("one answer for each call");
        Answer::Later(Box::pin(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            answer
        }))
    })
}

fn ok(text: &'static str) -> Response {
    Response::json(StatusCode::OK, text)
}

fn failed() -> Response {
    Response::detail(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
}

#[test]
fn the_next_takes_over_where_the_handler_fails() {
    run(async {
        let route = Route::new(policy(), Some(late(vec![failed(), ok("2")])));
        let asking: Vec<_> = (0..5).map(|_| tokio::task::spawn_local(route.ask(get("/users/1")))).collect();
        let mut texts = Vec::new();
        for asked in asking {
            texts.push(body(&asked.await.unwrap()));
        }
        assert_eq!(texts[1..], ["2", "2", "2", "2"]);
        assert!(texts[0].contains("Internal"));
        assert_eq!((route.calls(), route.count("failed")), (2, 1));
    });
}

#[test]
fn the_next_takes_over_where_the_client_goes_away() {
    run(async {
        let route = Route::new(policy(), Some(late(vec![ok("1"), ok("2")])));
        let leader = tokio::task::spawn_local(route.ask(get("/users/1")));
        let other = tokio::task::spawn_local(route.ask(get("/users/1")));
        tokio::task::yield_now().await;
        leader.abort();
        assert_eq!(body(&other.await.unwrap()), "2");
        assert_eq!(route.calls(), 2);
    });
}

#[test]
fn who_has_waited_long_enough_calls_the_handler() {
    run(async {
        let policy = Policy { wait: Duration::from_millis(100), ..policy() };
        let route = Route::new(policy, Some(late(vec![ok("1"), ok("2")])));
        let asking: Vec<_> = (0..2).map(|_| tokio::task::spawn_local(route.ask(get("/users/1")))).collect();
        for asked in asking {
            let _ = asked.await.unwrap();
        }
        assert_eq!(route.calls(), 2);
    });
}

#[test]
fn nobody_waits_where_answers_are_not_for_all() {
    run(async {
        let private = || ok("x").with_header(header::SET_COOKIE, HeaderValue::from_static("a=1"));
        let route = Route::new(policy(), Some(late((0..6).map(|_| private()).collect())));
        let began = tokio::time::Instant::now();
        let ask = || tokio::task::spawn_local(route.ask(get("/users/1")));
        let first: Vec<_> = (0..3).map(|_| ask()).collect();
        for asked in first {
            let _ = asked.await.unwrap();
        }
        // One call, then the two that had waited for it, together.
        assert_eq!((began.elapsed().as_secs(), route.calls()), (2, 3));
        let more: Vec<_> = (0..3).map(|_| ask()).collect();
        for asked in more {
            let _ = asked.await.unwrap();
        }
        assert_eq!((began.elapsed().as_secs(), route.calls()), (3, 6));
    });
}

#[test]
fn what_is_kept_stands_in_for_a_handler_that_fails() {
    let policy = Policy { stale_if_error: Duration::from_secs(60), ..Policy::new(Duration::from_nanos(1)) };
    let calls = AtomicUsize::new(0);
    let script: Script = Box::new(move |_| {
        Answer::Now(if calls.fetch_add(1, Ordering::SeqCst) == 0 { ok("kept") } else { failed() })
    });
    let route = Route::new(policy, Some(script));
    assert_eq!((route.text("/users/1"), route.text("/users/1")), ("kept".into(), "kept".into()));
    assert_eq!((route.calls(), route.count("stale"), route.count("failed")), (2, 1, 1));
}

#[test]
fn invalid_answers_are_made_anew() {
    let tag = vec![TagPart::Text("user:".to_owned()), TagPart::Param(0)];
    let policy = Policy { tags: vec![tag, vec![TagPart::Text("users".to_owned())]], ..policy() };
    let route = Route::new(policy, None);
    let texts = || (route.text("/users/1"), route.text("/users/1?full"), route.text("/users/2"));
    assert_eq!(texts(), ("1".into(), "2".into(), "3".into()));
    route.store.invalidate(Target::Path("/users/1"));
    assert_eq!(texts(), ("4".into(), "5".into(), "3".into()));
    route.store.invalidate(Target::Tag("user:2"));
    assert_eq!(texts(), ("4".into(), "5".into(), "6".into()));
    for target in [Target::Pattern("/users/{id}"), Target::Name("user"), Target::Tag("users"), Target::All] {
        let before = route.calls();
        route.store.invalidate(target);
        let _ = texts();
        assert_eq!(route.calls(), before + 3, "{target:?}");
    }
    let before = route.calls();
    route.store.invalidate(Target::Name("another"));
    let _ = texts();
    assert_eq!(route.calls(), before);
}

#[test]
fn what_was_begun_before_an_invalidation_is_not_kept() {
    run(async {
        let route = Route::new(policy(), Some(late(vec![ok("old"), ok("new")])));
        let old = tokio::task::spawn_local(route.ask(get("/users/1")));
        tokio::task::yield_now().await;
        route.store.invalidate(Target::Path("/users/1"));
        let new = tokio::task::spawn_local(route.ask(get("/users/1")));
        assert_eq!((body(&old.await.unwrap()), body(&new.await.unwrap())), ("old".into(), "new".into()));
        assert_eq!((route.text("/users/1"), route.calls()), ("new".into(), 2));
    });
}

#[test]
fn the_store_keeps_its_bound() {
    let script: Script =
        Box::new(|_| Answer::Now(Response::new(StatusCode::OK).with_body(vec![b'x'; 50_000])));
    let route = Route::new(policy(), Some(script));
    for user in 0..500 {
        let _ = route.text(&format!("/users/{user}"));
        let stats = route.store.stats();
        assert!(stats.bytes <= CAPACITY, "{stats:?}");
    }
    let stats = route.store.stats();
    assert!(stats.entries >= 15 && stats.evicted >= 480, "{stats:?}");
    route.store.forget(route.cached.number());
    assert_eq!(route.store.stats().entries, 0);
}

#[test]
fn what_clients_wish_counts_where_the_route_says_so() {
    let wishing = |wish| asking(Method::GET, "/users/1", &[("cache-control", wish)]);
    let route = Route::new(policy(), None);
    for _ in 0..2 {
        drop(route.cached.call(wishing("no-cache")));
    }
    assert_eq!(route.calls(), 1);
    let route = Route::new(Policy { honour_requests: true, ..policy() }, None);
    let ask = |wish| match route.cached.call(wishing(wish)) {
        Answer::Now(response) => response,
        Answer::Later(_) => panic!("not at once"),
    };
    assert_eq!(ask("only-if-cached").status, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!((body(&ask("no-store")), route.count("stored")), ("1".into(), 0));
    assert_eq!((body(&ask("max-age=9")), body(&ask("max-age=9"))), ("2".into(), "2".into()));
    assert_eq!((body(&ask("no-cache")), body(&ask("only-if-cached"))), ("3".into(), "3".into()));
}
