//! Routes called from inside the process: the same answers as over a connection, and the bounds.

mod common;

use std::future::pending;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bimetal_runtime::http::{HeaderName, HeaderValue, Method, StatusCode};
use bimetal_runtime::server::{ErrandError, ErrandReply};
use bimetal_runtime::{Answer, Body, BodyMode, Config, Errand, Response, Server, ServerHandle};
use bytes::Bytes;
use common::{get, get_later, route, table, HANG};

fn errand(method: Method, target: &str, body: impl Into<Bytes>) -> Errand {
    Errand {
        method,
        target: target.to_owned(),
        headers: Vec::new(),
        body: body.into(),
        client: None,
        secure: false,
        depth: 1,
        deadline: None,
        renews: false,
    }
}

fn ask(handle: &ServerHandle, errand: Errand) -> Result<ErrandReply, ErrandError> {
    handle.call(errand).wait()
}

#[test]
fn an_errand_is_answered_like_a_request() {
    let config = Config { max_body_size: 100, io_threads: 2, ..Config::default() };
    let server = Server::bind(config).unwrap();
    let (handle, address) = (server.handle(), server.local_addr());
    let running = server
        .serve(table(vec![
            get("/hello/{name}", |request| {
                let head = request.to_head();
                let names: Vec<_> = head.headers.iter().map(|(name, _)| name.as_str().to_owned()).collect();
                let (path, query, depth) = (head.path, head.query, request.errand_depth());
                let body =
                    format!("{path} {query} {depth} {:?} {:?} {}", head.peer, head.local, names.join(","));
                Response::new(StatusCode::OK).with_body(body)
            }),
            route(&[Method::POST], "/body", BodyMode::Buffered, |request| {
                Answer::Now(Response::new(StatusCode::CREATED).with_body(Body::Full(request.body().clone())))
            }),
            get("/caller", |request| {
                let head = request.to_head();
                Response::new(StatusCode::OK).with_body(format!("{:?} {}", head.peer, head.secure))
            }),
            get("/panics", |_| panic!("on purpose")),
        ]))
        .unwrap();

    let headers = ["x-b", "connection", "x-a", "transfer-encoding"];
    let headers = headers.map(|name| (HeaderName::from_static(name), HeaderValue::from_static("1")));
    let greeting = Errand { headers: headers.to_vec(), ..errand(Method::GET, "/hello/a%20b?c=%20", "") };
    let reply = ask(&handle, greeting).unwrap();
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(
        std::str::from_utf8(&reply.body).unwrap(),
        format!("/hello/a b c=%20 1 None Some(Inet({address})) host,x-b,x-a")
    );
    let client = "192.0.2.7:80".parse().ok();
    let on_behalf = Errand { client, secure: true, ..errand(Method::GET, "/caller", "") };
    assert_eq!(ask(&handle, on_behalf).unwrap().body, "Some(192.0.2.7:80) true");
    assert_eq!(ask(&handle, errand(Method::GET, "/caller", "")).unwrap().body, "None false");
    let reply = ask(&handle, errand(Method::POST, "/body", "x".repeat(100))).unwrap();
    assert_eq!((reply.status, reply.body.len()), (StatusCode::CREATED, 100));
    for (asked, status) in [
        (errand(Method::POST, "/body", "x".repeat(101)), 413),
        (errand(Method::GET, "/body", ""), 405),
        (errand(Method::GET, "/nowhere", ""), 404),
        (errand(Method::GET, "/panics", ""), 500),
    ] {
        let target = asked.target.clone();
        assert_eq!(ask(&handle, asked).unwrap().status.as_u16(), status, "{target}");
    }
    // The body that was refused counts for no route, like the two that found none.
    let stats = handle.stats();
    assert_eq!((stats.requests[0], stats.unrouted, stats.in_flight), (5, 3, 0));
    running.stop();
    assert_eq!(ask(&handle, errand(Method::GET, "/hello/x", "")).unwrap_err(), ErrandError::Stopped);
}

#[test]
fn what_an_errand_may_not_ask_for() {
    let server = Server::bind(Config { max_body_size: 100, ..Config::default() }).unwrap();
    let handle = server.handle();
    let large =
        |size: usize| get("/large", move |_| Response::new(StatusCode::OK).with_body("x".repeat(size)));
    let _running = server
        .serve(table(vec![
            large(401),
            get_later("/never", |_| pending()),
            get("/cut", |_| {
                let response = Response::new(StatusCode::OK);
                let body = "x".repeat(10);
                response
                    .with_header(HeaderName::from_static("content-length"), HeaderValue::from_static("9"))
                    .with_body(Body::Stream(Box::pin(common::Chunks([Ok(body.into())].into()))))
            }),
        ]))
        .unwrap();
    let upgrade = vec![(HeaderName::from_static("upgrade"), HeaderValue::from_static("websocket"))];
    let soon = Some(Instant::now() + Duration::from_millis(20));
    for (asked, says) in [
        (Errand { headers: upgrade, ..errand(Method::GET, "/large", "") }, "cannot become a WebSocket"),
        (errand(Method::CONNECT, "/large", ""), "cannot become a WebSocket"),
        (errand(Method::GET, "large", ""), "is not path and query"),
        (errand(Method::GET, "http://x/large", ""), "is not path and query"),
        (errand(Method::GET, "/\u{e4}", ""), "is not path and query"),
        (Errand { depth: 9, ..errand(Method::GET, "/large", "") }, "look for routes that call each other"),
        (errand(Method::GET, "/large", ""), "larger than 400 bytes"),
        (errand(Method::GET, "/cut", ""), "ended before it was whole"),
        (Errand { deadline: soon, ..errand(Method::GET, "/never", "") }, "no answer by the deadline"),
    ] {
        let error = ask(&handle, asked).unwrap_err().to_string();
        assert!(error.contains(says), "{error} / {says}");
    }
}

#[test]
fn an_errand_that_is_given_up_drops_its_handlers_future() {
    struct Dropped(mpsc::Sender<&'static str>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            let _ = self.0.send("dropped");
        }
    }
    let (sender, events) = mpsc::channel();
    let server = Server::bind(Config::default()).unwrap();
    let handle = server.handle();
    let sender = std::sync::Mutex::new(sender);
    let running = server
        .serve(table(vec![get_later("/never", move |_| {
            let dropped = Dropped(sender.lock().unwrap().clone());
            let _ = dropped.0.send("called");
            async move {
                let _dropped = dropped;
                pending().await
            }
        })]))
        .unwrap();
    let reply = handle.call(errand(Method::GET, "/never", ""));
    assert_eq!(events.recv_timeout(HANG), Ok("called"));
    drop(reply);
    assert_eq!(events.recv_timeout(HANG), Ok("dropped"));
    // One that nobody gives up ends with the server.
    let reply = handle.call(errand(Method::GET, "/never", ""));
    assert_eq!(events.recv_timeout(HANG), Ok("called"));
    running.stop();
    assert_eq!(reply.wait().unwrap_err(), ErrandError::Stopped);
}
