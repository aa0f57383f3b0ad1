//! Futures at their first poll: the memory of those that are ready is used again, that of those that wait is not.

use std::cell::{Cell, RefCell};
use std::future::{poll_fn, Future};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bimetal::prelude::*;
use bimetal_host::{Host, Readiness};
use bimetal_runtime::http::Method;
use bimetal_runtime::routing::Lookup;
use bimetal_runtime::{Answer, Body, LaneKind, Request, Route, RouteTable};

bimetal::plugin! { name: "here" }

thread_local! {
    static OPEN: Cell<bool> = const { Cell::new(false) };
    static INNER: RefCell<Option<Bound>> = const { RefCell::new(None) };
    static DROPPED: Cell<u32> = const { Cell::new(0) };
}

struct CountsDrops;

impl Drop for CountsDrops {
    fn drop(&mut self) {
        DROPPED.set(DROPPED.get() + 1);
    }
}

#[native_handler]
async fn ready(Path(text): Path<String>) -> Json<String> {
    let _counted = CountsDrops;
    Json(text)
}

/// Waits until it is polled with `OPEN` set.
#[native_handler]
async fn waits(Path(text): Path<String>) -> Json<String> {
    let _counted = CountsDrops;
    poll_fn(|_| if OPEN.get() { Poll::Ready(()) } else { Poll::Pending }).await;
    Json(text)
}

/// Has `INNER` called while it is itself at its first poll.
#[native_handler]
async fn nested(Path(text): Path<String>) -> Json<String> {
    let inner = INNER.with_borrow(|inner| body(inner.as_ref().unwrap().call("inner")));
    Json(format!("{inner} in {text}"))
}

#[native_handler]
async fn panics(Path(text): Path<String>) -> Json<String> {
    let _counted = CountsDrops;
    assert!(text.is_empty(), "that is what it is for");
    Json(text)
}

/// A handler with a text in its path.
struct Bound(RouteTable);

impl Bound {
    fn new(name: &str) -> Bound {
        let host = Host::new();
        for plugin in bimetal::registry::plugins().unwrap() {
            host.register_static(plugin).unwrap();
        }
        let handler = host.bind(name, &["text".to_owned()], &Readiness::default()).unwrap();
        let route = Route {
            pattern: "/{text}".to_owned(),
            methods: vec![Method::GET],
            lane: LaneKind::Native,
            body: handler.body_mode(),
            handler: Arc::new(handler),
        };
        Bound(RouteTable::new(vec![route], None).unwrap())
    }

    fn call(&self, text: &str) -> Answer {
        let mut request = Request::synthetic(Method::GET, &format!("/{text}"), &[], Bytes::new());
        let Lookup::Route(index, params) = self.0.lookup(request.method(), request.path()) else {
            panic!("there is a route")
        };
        request.set_params(params);
        self.0.routes()[index].handler.call(request)
    }

    fn waiting(&self, text: &str) -> Pin<Box<dyn Future<Output = bimetal_runtime::Response>>> {
        match self.call(text) {
            Answer::Later(future) => future,
            Answer::Now(_) => panic!("it has nothing to answer yet"),
        }
    }
}

fn body(answer: Answer) -> String {
    let Answer::Now(response) = answer else { panic!("it has to wait for nothing") };
    let Body::Full(body) = response.body else { panic!("there is a body") };
    String::from_utf8(body.to_vec()).unwrap()
}

fn finished(mut future: Pin<Box<dyn Future<Output = bimetal_runtime::Response>>>) -> String {
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(response) => body(Answer::Now(response)),
        Poll::Pending => panic!("it may go on"),
    }
}

#[test]
fn calls_that_wait_are_left_alone_by_those_that_come_and_go() {
    let (waits, ready) = (Bound::new("here.waits"), Bound::new("here.ready"));
    let mut waiting = Vec::new();
    for number in 0..10 {
        assert_eq!(body(ready.call(&format!("before-{number}"))), format!("\"before-{number}\""));
        waiting.push(waits.waiting(&format!("waiting-{number}")));
        assert_eq!(body(ready.call("after")), "\"after\"");
    }
    assert_eq!(DROPPED.get(), 20, "those that were ready are gone, and only those");
    drop(waiting.remove(3));
    assert_eq!(DROPPED.get(), 21);
    OPEN.set(true);
    let answers: Vec<String> = waiting.into_iter().map(finished).collect();
    let expected: Vec<String> =
        (0..10).filter(|number| *number != 3).map(|number| format!("\"waiting-{number}\"")).collect();
    assert_eq!(answers, expected);
    assert_eq!(DROPPED.get(), 30);
}

#[test]
fn a_call_within_a_call_has_memory_of_its_own() {
    INNER.set(Some(Bound::new("here.ready")));
    let nested = Bound::new("here.nested");
    for text in ["one", "two", "three"] {
        assert_eq!(body(nested.call(text)), format!("\"\\\"inner\\\" in {text}\""));
    }
    // The one within may have to wait as well as panic: the outer one goes on with what is its own.
    INNER.set(Some(Bound::new("here.panics")));
    assert_eq!(body(nested.call("four")), r#""{\"detail\":\"Internal Server Error\"} in four""#);
}

#[test]
fn after_a_panic_at_the_first_poll_the_next_call_is_whole() {
    let (panics, ready) = (Bound::new("here.panics"), Bound::new("here.ready"));
    for _ in 0..3 {
        assert_eq!(body(panics.call("text")), r#"{"detail":"Internal Server Error"}"#);
        assert_eq!(body(ready.call("next")), "\"next\"");
    }
    assert_eq!(DROPPED.get(), 6);
}
