//! Request bodies: buffered, streamed, ignored, bounded. Response bodies that are produced as they are sent.

mod common;

use std::net::Shutdown;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bimetal_runtime::http::{header, HeaderValue, Method, StatusCode};
use bimetal_runtime::{
    Answer, Body, BodyMode, Config, Error, ErrorKind, Response, RouteTable, Running, Server,
};
use bytes::Bytes;
use common::{get, route, serve, serve_with, Chunks, Client};
use tokio::sync::mpsc;

fn echo(mode: BodyMode) -> bimetal_runtime::Route {
    route(&[Method::POST], "/", mode, move |mut request| {
        if mode != BodyMode::Stream {
            return Answer::Now(Response::new(StatusCode::OK).with_body(request.body().clone()));
        }
        Answer::Later(Box::pin(async move {
            let mut body = request.take_body();
            let mut all = Vec::new();
            while let Some(chunk) = body.chunk().await {
                match chunk {
                    Ok(chunk) => all.extend_from_slice(&chunk),
                    Err(error) => return Response::from(&error),
                }
            }
            Response::new(StatusCode::OK).with_body(all)
        }))
    })
}

fn small() -> Config {
    Config { max_body_size: 1000, ..Config::default() }
}

#[test]
fn bodies_arrive_whole_however_they_are_cut() {
    for mode in [BodyMode::Buffered, BodyMode::Stream] {
        let server = serve(vec![echo(mode)]);
        let mut client = Client::connect(server.local_addr());
        for round in 0..3 {
            client.send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\n");
            client.send("01234");
            client.send("56789");
            assert_eq!(client.reply().text(), "0123456789", "{mode:?} {round}");
            client.send("POST / HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n");
            client.send("1;ext=1\r\nd\r\n");
            client.send("0\r\n\r\n");
            assert_eq!(client.reply().text(), "abcd", "{mode:?} {round}");
            client.send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 0\r\n\r\n");
            assert_eq!(client.reply().text(), "", "{mode:?} {round}");
        }
        let large = "x".repeat(3_000_000);
        client
            .send(format!("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n{large}", large.len()));
        assert!(client.reply().text() == large, "{mode:?}");
    }
}

#[test]
fn an_ignored_body_is_read_and_dropped() {
    let server = serve(vec![echo(BodyMode::Ignored)]);
    let mut client = Client::connect(server.local_addr());
    for _ in 0..3 {
        client.send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 5\r\n\r\n01234");
        assert_eq!(client.reply().text(), "");
    }
}

#[test]
fn a_body_over_the_limit_is_refused_before_it_is_read() {
    for mode in [BodyMode::Buffered, BodyMode::Stream, BodyMode::Ignored] {
        let server = serve_with(small(), vec![echo(mode)]);
        let mut client = Client::connect(server.local_addr());
        client.send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 1001\r\n\r\n");
        let reply = client.reply();
        assert_eq!((reply.status, reply.header("connection")), (413, Some("close")), "{mode:?}");
        assert_eq!(reply.text(), "{\"detail\":\"Request body is larger than 1000 bytes\"}");
        client.assert_ended();
    }
}

#[test]
fn a_chunked_body_over_the_limit_is_refused_when_it_gets_there() {
    for mode in [BodyMode::Buffered, BodyMode::Stream, BodyMode::Ignored] {
        let server = serve_with(small(), vec![echo(mode)]);
        let mut client = Client::connect(server.local_addr());
        client.send("POST / HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n");
        for _ in 0..3 {
            client.send(format!("190\r\n{}\r\n", "x".repeat(0x190)));
        }
        assert_eq!(client.reply().status, 413, "{mode:?}");
        if mode != BodyMode::Stream {
            client.assert_ended();
        }
    }
    // Exactly the limit is fine.
    let server = serve_with(small(), vec![echo(BodyMode::Buffered)]);
    let mut client = Client::connect(server.local_addr());
    client.send(format!("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 1000\r\n\r\n{}", "x".repeat(1000)));
    assert_eq!(client.reply().body.len(), 1000);
}

#[test]
fn a_body_that_is_cut_short_is_refused() {
    for mode in [BodyMode::Buffered, BodyMode::Ignored] {
        let server = serve(vec![echo(mode)]);
        let mut client = Client::connect(server.local_addr());
        client.send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\n01234");
        client.stream.shutdown(Shutdown::Write).unwrap();
        let reply = client.reply();
        assert_eq!(reply.status, 400, "{mode:?}");
        assert_eq!(reply.text(), "{\"detail\":\"Request body is cut short or wrongly framed\"}");
        client.assert_ended();
    }
}

#[test]
fn a_body_that_stalls_is_given_up() {
    let config = Config { body_timeout: Duration::from_millis(200), ..Config::default() };
    let server = serve_with(config, vec![echo(BodyMode::Buffered)]);
    let mut client = Client::connect(server.local_addr());
    client.send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\n01234");
    assert_eq!(client.reply().status, 408);
    client.assert_ended();
}

#[test]
fn continue_is_sent_when_the_body_is_wanted() {
    let server = serve_with(small(), vec![echo(BodyMode::Buffered)]);
    let ask = |path: &str, length: usize| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: test\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
        )
    };
    let mut client = Client::connect(server.local_addr());
    client.send(ask("/", 3));
    assert_eq!(client.head().status, 100);
    client.send("abc");
    assert_eq!(client.reply().text(), "abc");

    client.send(ask("/", 1001));
    let reply = client.reply();
    assert_eq!(reply.status, 413);
    assert!(reply.text().contains("larger than 1000"));
    client.assert_ended();

    let mut client = Client::connect(server.local_addr());
    client.send(ask("/nowhere", 3));
    let reply = client.reply();
    assert_eq!((reply.status, reply.text()), (404, "{\"detail\":\"Not Found\"}"));
    client.assert_ended();
}

#[test]
fn an_upgrade_that_is_none_does_not_hang_its_body() {
    for mode in [BodyMode::Buffered, BodyMode::Stream] {
        let server = serve(vec![echo(mode)]);
        let mut client = Client::connect(server.local_addr());
        client.send(
            "POST / HTTP/1.1\r\nhost: test\r\nconnection: upgrade\r\nupgrade: websocket\r\ncontent-length: 3\r\n\r\nabc",
        );
        assert_eq!(client.reply().text(), "abc", "{mode:?}");
        client.assert_ended();
    }
}

/// `/small` takes 10 bytes, `/large` 100,000, `/usual` what the server allows: 1,000.
fn with_limits_of_routes(mode: BodyMode) -> Running {
    let at = |pattern: &str| {
        let mut route = echo(mode);
        route.pattern = pattern.to_owned();
        route
    };
    let routes = vec![at("/small"), at("/usual"), at("/large")];
    let table = RouteTable::new(routes, None).unwrap().with_body_limits([(0, 10), (2, 100_000)]);
    // What a reload makes of it has the same limits.
    let table = table.with_handlers(|_, _| None);
    Server::bind(small()).unwrap().serve(Arc::new(table)).unwrap()
}

const LIMITS: [(&str, usize); 3] = [("/small", 10), ("/usual", 1000), ("/large", 100_000)];

#[test]
fn a_route_can_have_a_limit_of_its_own() {
    for mode in [BodyMode::Buffered, BodyMode::BufferedUpTo(500), BodyMode::Stream] {
        let server = with_limits_of_routes(mode);
        for (path, limit) in LIMITS {
            let head = format!("POST {path} HTTP/1.1\r\nhost: test\r\n");
            let mut client = Client::connect(server.local_addr());
            let body = "x".repeat(limit);
            client.send(format!("{head}content-length: {limit}\r\n\r\n{body}"));
            let echoed = client.reply();
            // A body beyond what is buffered is left to a handler that does not read it.
            let unread = matches!(mode, BodyMode::BufferedUpTo(most) if limit as u64 > most);
            assert!(echoed.text() == body || unread, "{mode:?} {path}");

            let mut client = Client::connect(server.local_addr());
            client.send(format!("{head}content-length: {}\r\n\r\n", limit + 1));
            let reply = client.reply();
            assert_eq!((reply.status, reply.header("connection")), (413, Some("close")), "{mode:?} {path}");
            assert_eq!(reply.text(), format!("{{\"detail\":\"Request body is larger than {limit} bytes\"}}"));
            client.assert_ended();
        }
    }
}

#[test]
fn a_chunked_body_ends_at_the_limit_of_its_route() {
    for mode in [BodyMode::Buffered, BodyMode::Stream, BodyMode::Ignored] {
        let server = with_limits_of_routes(mode);
        for (path, limit) in LIMITS {
            for (size, status) in [(limit, 200), (limit + 1, 413)] {
                let mut client = Client::connect(server.local_addr());
                client.send(format!(
                    "POST {path} HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n"
                ));
                client.send(format!("{size:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(size)));
                assert_eq!(client.reply().status, status, "{mode:?} {path} {size}");
            }
        }
    }
}

#[test]
fn whoever_asks_first_is_told_the_limit_of_the_route() {
    let server = with_limits_of_routes(BodyMode::Buffered);
    for (path, limit) in LIMITS {
        let ask = |length: usize| {
            format!("POST {path} HTTP/1.1\r\nhost: test\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n")
        };
        let mut client = Client::connect(server.local_addr());
        client.send(ask(limit));
        assert_eq!(client.head().status, 100, "{path}");
        client.send("x".repeat(limit));
        assert_eq!(client.reply().body.len(), limit);
        client.send(ask(limit + 1));
        let reply = client.reply();
        assert_eq!(reply.status, 413, "{path}");
        assert!(reply.text().contains(&format!("larger than {limit} bytes")));
        client.assert_ended();
    }
    // Where no route answers, the server's limit holds.
    for (target, length, status) in [("/nowhere", 1001, 413), ("/nowhere", 1000, 404), ("/large", 1001, 405)]
    {
        let method = if status == 405 { "PUT" } else { "POST" };
        let expected = if length > 1000 { 413 } else { status };
        for expect in ["", "expect: 100-continue\r\n"] {
            let mut client = Client::connect(server.local_addr());
            client.send(format!(
                "{method} {target} HTTP/1.1\r\nhost: test\r\n{expect}content-length: {length}\r\n\r\n"
            ));
            if expect.is_empty() && expected != 413 {
                client.send("x".repeat(length));
            }
            assert_eq!(client.reply().status, expected, "{target} {length} {expect:?}");
        }
    }
}

fn streaming(
    headers: &[(header::HeaderName, &'static str)],
    body: Vec<Result<Bytes, Error>>,
) -> bimetal_runtime::Route {
    let headers: Vec<_> =
        headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect();
    let body = Mutex::new(Some(body));
    get("/", move |_| {
        Response::new(StatusCode::OK)
            .with_headers(headers.clone())
            .with_body(Body::Stream(Box::pin(Chunks(body.lock().unwrap().take().unwrap_or_default().into()))))
    })
}

fn ok(text: &'static str) -> Result<Bytes, Error> {
    Ok(Bytes::from_static(text.as_bytes()))
}

#[test]
fn a_stream_is_chunked_or_has_its_length() {
    // An empty chunk must not read as the end.
    let server = serve(vec![streaming(&[], vec![ok("abc"), ok(""), ok("de")])]);
    let mut client = Client::connect(server.local_addr());
    let reply = client.get("/");
    assert_eq!((reply.header("transfer-encoding"), reply.text()), (Some("chunked"), "abcde"));
    assert_eq!(client.get("/").text(), "");

    let server = serve(vec![streaming(&[(header::CONTENT_LENGTH, "5")], vec![ok("abc"), ok("de")])]);
    let mut client = Client::connect(server.local_addr());
    let reply = client.get("/");
    assert_eq!(reply.all("content-length"), ["5"]);
    assert_eq!((reply.header("transfer-encoding"), reply.text()), (None, "abcde"));
    client.send("GET /nowhere HTTP/1.1\r\nhost: test\r\n\r\n");
    assert_eq!(client.reply().status, 404);
}

#[test]
fn http_1_0_gets_a_stream_that_ends_with_the_connection() {
    let server = serve(vec![streaming(&[], vec![ok("abc"), ok("de")])]);
    let mut client = Client::connect(server.local_addr());
    client.send("GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n");
    let head = client.head();
    assert_eq!((head.header("transfer-encoding"), head.header("content-length")), (None, None));
    assert_eq!(client.rest(), b"abcde");
}

#[test]
fn a_stream_goes_out_as_it_is_produced() {
    let (sender, receiver) = mpsc::channel::<Result<Bytes, Error>>(1);
    let receiver = Mutex::new(Some(receiver));
    let server = serve(vec![get("/", move |_| {
        Response::new(StatusCode::OK)
            .with_body(Body::Stream(Box::pin(Channel(receiver.lock().unwrap().take().unwrap()))))
    })]);
    let mut client = Client::connect(server.local_addr());
    client.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n");
    assert_eq!(client.head().status, 200);
    for text in ["one", "two", "three"] {
        sender.blocking_send(ok(text)).unwrap();
        assert_eq!(client.chunk().unwrap(), text.as_bytes());
    }
    assert_eq!(server.stats().in_flight, 1);
    drop(sender);
    assert_eq!(client.chunk(), None);
    common::until(|| server.stats().in_flight == 0);
}

struct Channel(mpsc::Receiver<Result<Bytes, Error>>);

impl futures_core::Stream for Channel {
    type Item = Result<Bytes, Error>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.poll_recv(cx)
    }
}

#[test]
fn a_stream_that_fails_ends_the_connection_without_an_end() {
    let failure = || Err(Error::new(ErrorKind::Handler, "it broke"));
    let server = serve(vec![streaming(&[], vec![ok("abc"), failure()])]);
    let mut client = Client::connect(server.local_addr());
    client.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n");
    assert_eq!(client.head().header("transfer-encoding"), Some("chunked"));
    assert_eq!(client.chunk().unwrap(), b"abc");
    client.assert_ended();

    // Fewer bytes than promised, and more.
    for chunks in [vec![ok("abc")], vec![ok("abc"), ok("def")]] {
        let server = serve(vec![streaming(&[(header::CONTENT_LENGTH, "5")], chunks)]);
        let mut client = Client::connect(server.local_addr());
        client.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n");
        client.head();
        assert_eq!(client.rest(), b"abc");
    }
}
