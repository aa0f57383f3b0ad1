//! Handlers that panic, clients that go away.

mod common;

use std::future::pending;
use std::sync::mpsc;
use std::sync::Mutex;

use bimetal_runtime::http::{Method, StatusCode};
use bimetal_runtime::{Answer, Body, BodyMode, Response};
use common::{get, get_later, route, serve, Client, HANG};

fn text(text: &str) -> Response {
    Response::new(StatusCode::OK).with_body(text.to_owned())
}

#[test]
fn a_panic_answers_500_names_the_route_and_the_server_goes_on() {
    let log = common::Log::default();
    let _guard = tracing::subscriber::set_global_default(log.clone());
    let server = serve(vec![
        get("/now/{x}", |_| panic!("at once")),
        get_later("/later", |_| async {
            tokio::task::yield_now().await;
            panic!("later {}", 1)
        }),
        get("/stream", |_| Response::new(StatusCode::OK).with_body(Body::Stream(Box::pin(PanickingStream)))),
        get("/fine", |_| text("fine")),
    ]);
    let mut client = Client::connect(server.local_addr());
    for _ in 0..5 {
        for target in ["/now/1", "/later"] {
            let reply = client.get(target);
            assert_eq!((reply.status, reply.text()), (500, "{\"detail\":\"Internal Server Error\"}"));
        }
        assert_eq!(client.get("/fine").text(), "fine");
    }
    client.send("GET /stream HTTP/1.1\r\nhost: test\r\n\r\n");
    client.head();
    client.assert_ended();
    assert_eq!(Client::connect(server.local_addr()).get("/fine").text(), "fine");
    let log = log.lines().join("\n");
    for part in ["/now/{x}", "at once", "/later", "later 1", "route /stream panicked"] {
        assert!(log.contains(part), "{part} is not in {log}");
    }
}

struct PanickingStream;

impl futures_core::Stream for PanickingStream {
    type Item = Result<bytes::Bytes, bimetal_runtime::Error>;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        panic!("midway")
    }
}

/// Says when it is dropped.
struct Dropped(mpsc::Sender<()>);

impl Drop for Dropped {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

#[test]
fn the_work_for_a_client_that_went_away_is_dropped() {
    let (began, beginnings) = mpsc::channel();
    let (dropped, drops) = mpsc::channel();
    let handler = move |_| {
        let guard = Dropped(dropped.clone());
        let began = began.clone();
        Answer::Later(Box::pin(async move {
            began.send(()).unwrap();
            let _guard = guard;
            pending().await
        }))
    };
    let server = serve(vec![route(&[Method::POST], "/", BodyMode::Buffered, handler)]);
    for request in [
        "POST / HTTP/1.1\r\nhost: test\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 3\r\n\r\nabc",
        "POST / HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    ] {
        let mut client = Client::connect(server.local_addr());
        client.send(request);
        beginnings.recv_timeout(HANG).expect("the handler was called");
        assert!(drops.try_recv().is_err());
        drop(client);
        drops.recv_timeout(HANG).expect("the handler's future was dropped");
    }
    common::until(|| server.stats().in_flight == 0 && server.stats().connections == 0);
}

#[test]
fn the_stream_for_a_client_that_went_away_is_dropped() {
    let (dropped, drops) = mpsc::channel();
    let dropped = Mutex::new(Some(dropped));
    let server = serve(vec![get("/", move |_| {
        Response::new(StatusCode::OK).with_body(Body::Stream(Box::pin(Endless(
            Dropped(dropped.lock().unwrap().take().unwrap()),
            true,
        ))))
    })]);
    let mut client = Client::connect(server.local_addr());
    client.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n");
    client.head();
    assert_eq!(client.chunk().unwrap(), b"first");
    drop(client);
    drops.recv_timeout(HANG).expect("the stream was dropped");
}

struct Endless(#[allow(dead_code)] Dropped, bool);

impl futures_core::Stream for Endless {
    type Item = Result<bytes::Bytes, bimetal_runtime::Error>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.1) {
            std::task::Poll::Ready(Some(Ok(bytes::Bytes::from_static(b"first"))))
        } else {
            std::task::Poll::Pending
        }
    }
}
