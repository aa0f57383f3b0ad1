//! Limits and deadlines, attacked over raw sockets: the status arrives, on the first request of a connection and on later ones,
//! and no handler hears of it.

mod common;

use std::io::{ErrorKind as Io, Read, Write};
use std::net::Shutdown;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bimetal_runtime::http::{Method, StatusCode};
use bimetal_runtime::{Answer, BodyMode, Config, ErrorKind, Response, Running, Server};
use common::{get, route, serve_with, until, Client};

const GET: &str = "GET / HTTP/1.1\r\nhost: t\r\n\r\n";

/// Answers with the number of requests that came to a handler so far.
fn counting(config: Config) -> (Running, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let handler = move |_| {
        let call = count.fetch_add(1, Ordering::Relaxed) + 1;
        Answer::Now(Response::new(StatusCode::OK).with_body(call.to_string()))
    };
    let server = serve_with(config, vec![route(&[], "/{x:path}", BodyMode::Buffered, handler)]);
    (server, calls)
}

fn soon() -> Duration {
    Duration::from_millis(300)
}

/// Says that nothing more comes, which the server waits for a moment when it has refused something.
fn assert_refused_for_good(client: &mut Client) {
    let _ = client.stream.shutdown(Shutdown::Write);
    client.assert_ended();
}

/// Sends as much of `bytes` as the server takes.
fn push(client: &mut Client, bytes: &[u8]) {
    if let Err(error) = client.stream.write_all(bytes) {
        assert!(matches!(error.kind(), Io::BrokenPipe | Io::ConnectionReset), "{error}");
    }
}

#[test]
fn a_head_beyond_the_limits_is_refused_before_any_handler() {
    let config =
        Config { max_request_line: 100, max_head_size: 1000, max_header_fields: 10, ..Config::default() };
    let (server, calls) = counting(config);
    let line = |length: usize| format!("GET /{} HTTP/1.1\r\nhost: t\r\n\r\n", "a".repeat(length - 14));
    let head = |size: usize| format!("GET / HTTP/1.1\r\nhost: t\r\nx: {}\r\n\r\n", "b".repeat(size - 32));
    let fields = |count: usize| format!("GET / HTTP/1.1\r\nhost: t\r\n{}\r\n", "a: b\r\n".repeat(count - 1));
    let cases = [
        (line(100), line(101), 414),
        (head(1000), head(1001), 431),
        (fields(10), fields(11), 431),
        (line(100), line(1_000_000), 414),
        (head(1000), head(1_000_000), 431),
        (fields(10), fields(100_000), 431),
    ];
    for (right, wrong, status) in cases {
        for earlier in [0, 1, 3] {
            let mut client = Client::connect(server.local_addr());
            for _ in 0..earlier {
                client.send(&right);
                assert_eq!(client.reply().status, 200, "{right}");
            }
            let before = calls.load(Ordering::Relaxed);
            push(&mut client, wrong.as_bytes());
            push(&mut client, GET.as_bytes());
            let reply = client.reply();
            assert_eq!((reply.status, reply.header("connection")), (status, Some("close")));
            assert!(reply.text().starts_with("{\"detail\":\"The request "), "{}", reply.text());
            assert_refused_for_good(&mut client);
            assert_eq!(calls.load(Ordering::Relaxed), before);
        }
    }
}

#[test]
fn the_limits_hold_behind_bodies_of_every_framing() {
    let (server, calls) = counting(Config { max_request_line: 100, ..Config::default() });
    let long = format!("GET /{} HTTP/1.1\r\nhost: t\r\n\r\n", "a".repeat(100));
    for body in ["content-length: 3\r\n\r\nabc", "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"] {
        let mut client = Client::connect(server.local_addr());
        let before = calls.load(Ordering::Relaxed);
        // In one go, so that the second head is there before the first request has been answered.
        client.send(format!("POST / HTTP/1.1\r\nhost: t\r\n{body}{long}{GET}"));
        assert_eq!(client.reply().status, 200);
        assert_eq!(client.reply().status, 414, "{body:?}");
        assert_refused_for_good(&mut client);
        assert_eq!(calls.load(Ordering::Relaxed), before + 1);
    }
}

/// Whether the server reads on while `body` comes, until the client has said that this was all; the answer has `status`.
fn ends_in_order(server: &Running, head: &str, body: &[u8], status: u16) -> bool {
    let mut client = Client::connect(server.local_addr());
    push(&mut client, head.as_bytes());
    push(&mut client, body);
    assert_eq!(client.reply().status, status, "{head:?}");
    let _ = client.stream.shutdown(Shutdown::Write);
    client.fill().is_ok_and(|more| !more)
}

#[test]
fn the_status_arrives_while_the_client_still_sends() {
    let (server, _) = counting(Config::default());
    let megabyte = vec![b'x'; 1 << 20];
    for (head, status) in [
        ("POST / HTTP/1.1\r\nhost: t\r\nbad name: x\r\ncontent-length: 1048576\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nhost: t\ncontent-length: 1048576\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", 400),
        ("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 99999999\r\n\r\n", 413),
    ] {
        // Within the second for which the server reads on, which on a busy machine may be over before.
        assert!((0..10).any(|_| ends_in_order(&server, head, &megabyte, status)), "{head:?}");
    }
}

#[test]
fn a_chunk_size_that_overflows_is_refused() {
    let (server, calls) = counting(Config::default());
    for size in ["10000000000000000", "fffffffffffffffff", "00000000000000003", "10000000000000003"] {
        let mut client = Client::connect(server.local_addr());
        client.send(format!(
            "POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n{size}\r\nabc\r\n0\r\n\r\n{GET}"
        ));
        assert_eq!(client.reply().status, 400, "{size}");
        assert_refused_for_good(&mut client);
    }
    assert_eq!(calls.load(Ordering::Relaxed), 0);
}

/// A head that comes byte by byte is late all the same.
fn drip(client: &mut Client) {
    client.stream.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
    push(client, b"GET / HTTP/1.1\r\nx: ");
    loop {
        push(client, b"y");
        match client.stream.peek(&mut [0]) {
            Ok(_) => break,
            Err(error) if matches!(error.kind(), Io::WouldBlock | Io::TimedOut) => {}
            Err(error) => panic!("{error}"),
        }
    }
    client.stream.set_read_timeout(Some(common::HANG)).unwrap();
}

#[test]
fn a_slow_head_is_answered_with_408_whichever_of_a_connection_it_is() {
    let (server, _) = counting(Config { head_timeout: soon(), ..Config::default() });
    let mut first = Client::connect(server.local_addr());
    drip(&mut first);
    assert_eq!(first.reply().status, 408);
    first.assert_ended();
    let mut later = loop {
        let mut client = Client::connect(server.local_addr());
        client.send(GET);
        let reply = client.reply();
        if reply.status == 200 {
            break client;
        }
        // On a busy machine this thread can be late with its own head.
        assert_eq!(reply.status, 408);
    };
    drip(&mut later);
    let reply = later.reply();
    assert_eq!((reply.status, reply.header("connection")), (408, Some("close")));
    later.assert_ended();
}

#[test]
fn a_slow_body_is_answered_with_408_before_any_handler() {
    let (server, calls) = counting(Config { body_timeout: soon(), ..Config::default() });
    for start in ["content-length: 5\r\n\r\nab", "transfer-encoding: chunked\r\n\r\n5\r\nab"] {
        let mut client = Client::connect(server.local_addr());
        client.send(format!("POST / HTTP/1.1\r\nhost: t\r\n{start}"));
        let reply = client.reply();
        assert_eq!(reply.status, 408, "{start:?}");
        client.assert_ended();
    }
    assert_eq!(calls.load(Ordering::Relaxed), 0);
}

#[test]
fn a_handler_that_reads_a_slow_body_hears_of_it() {
    let read = route(&[Method::POST], "/", BodyMode::Stream, |mut request| {
        let mut body = request.take_body();
        Answer::Later(Box::pin(async move {
            let kind = loop {
                match body.chunk().await {
                    Some(Ok(_)) => {}
                    Some(Err(error)) => break Some(error.kind()),
                    None => break None,
                }
            };
            assert_eq!(kind, Some(ErrorKind::SlowBody));
            Response::new(StatusCode::IM_A_TEAPOT)
        }))
    });
    let server = serve_with(Config { body_timeout: soon(), ..Config::default() }, vec![read]);
    let mut client = Client::connect(server.local_addr());
    client.send("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 5\r\n\r\nab");
    assert_eq!(client.reply().status, 418);
    client.assert_ended();
}

#[test]
fn a_client_that_takes_nothing_of_a_response_is_closed() {
    let large = bytes::Bytes::from(vec![b'x'; 64 << 20]);
    let server = serve_with(
        Config { body_timeout: soon(), ..Config::default() },
        vec![get("/", move |_| Response::new(StatusCode::OK).with_body(large.clone()))],
    );
    let mut client = Client::connect(server.local_addr());
    client.send(GET);
    assert!(client.stream.read(&mut [0]).unwrap() > 0);
    until(|| server.stats().connections == 0);
    assert!(client.rest().len() < 64 << 20);
}

#[test]
fn limits_that_cannot_be_kept_are_refused() {
    for config in [
        Config { max_head_size: 131_073, ..Config::default() },
        Config { max_request_line: 65_536, ..Config::default() },
        Config { max_header_fields: 97, ..Config::default() },
        Config { max_header_fields: 0, ..Config::default() },
    ] {
        let Err(error) = Server::bind(config) else { panic!("it is taken") };
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("at most"), "{error}");
    }
}

#[test]
fn the_largest_limits_are_kept() {
    let config = Config {
        max_head_size: 131_072,
        max_request_line: 65_535,
        max_header_fields: 96,
        ..Config::default()
    };
    let (server, _) = counting(config);
    let mut client = Client::connect(server.local_addr());
    client.send(format!("GET /{} HTTP/1.1\r\nhost: t\r\n\r\n", "a".repeat(65_535 - 14)));
    assert_eq!(client.reply().status, 200);
    client.send(format!("GET / HTTP/1.1\r\nhost: t\r\nx: {}\r\n\r\n", "b".repeat(131_072 - 32)));
    assert_eq!(client.reply().status, 200);
    client.send(format!("GET / HTTP/1.1\r\nhost: t\r\n{}\r\n", "a: b\r\n".repeat(95)));
    assert_eq!(client.reply().status, 200);
}

#[test]
fn an_idle_connection_is_closed_when_its_time_is_over_and_not_before() {
    // One that may rest before, and one that may not.
    for keep_alive in [Duration::from_millis(400), Duration::from_millis(120)] {
        let (server, _) = counting(Config { keep_alive, ..Config::default() });
        let mut client = Client::connect(server.local_addr());
        for _ in 0..3 {
            client.send(GET);
            assert_eq!(client.reply().status, 200);
            std::thread::sleep(keep_alive / 4);
        }
        let since = Instant::now();
        client.send(GET);
        assert_eq!(client.reply().header("connection"), None);
        client.assert_ended();
        assert!(since.elapsed() >= keep_alive, "closed after {:?}", since.elapsed());
    }
}

#[test]
fn without_keep_alive_each_response_ends_its_connection() {
    let (server, _) = counting(Config { keep_alive: Duration::ZERO, ..Config::default() });
    let mut client = Client::connect(server.local_addr());
    client.send(GET);
    assert_eq!(client.reply().header("connection"), Some("close"));
    client.assert_ended();
}
