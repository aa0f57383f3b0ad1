//! HTTP/1.1 over raw sockets: connections, routing, framing of responses, malformed requests.

mod common;

use bimetal_runtime::http::{header, HeaderName, HeaderValue, Method, StatusCode};
use bimetal_runtime::{Answer, Body, BodyMode, Config, LaneKind, Response, RouteTable, Server};
use bytes::Bytes;
use common::{get, get_later, route, serve, serve_with, table, Client};
use std::sync::Arc;
use std::time::Duration;

fn text(text: &str) -> Response {
    Response::new(StatusCode::OK).with_body(text.to_owned())
}

#[test]
fn a_connection_is_kept_for_the_next_request() {
    let server = serve(vec![get("/n/{n}", |request| text(request.param(0).unwrap()))]);
    let mut client = Client::connect(server.local_addr());
    for n in 0..100 {
        let reply = client.get(&format!("/n/{n}"));
        assert_eq!((reply.status, reply.text()), (200, n.to_string().as_str()));
        assert!(reply.header("date").is_some());
    }
    assert_eq!(server.stats().connections, 1);
    assert_eq!(server.stats().requests, [100, 0, 0, 0]);
}

#[test]
fn the_client_may_ask_for_the_connection_to_end() {
    let server = serve(vec![get("/", |_| text("x"))]);
    let mut client = Client::connect(server.local_addr());
    client.send("GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
    let reply = client.reply();
    assert_eq!((reply.status, reply.header("connection")), (200, Some("close")));
    client.assert_ended();

    let mut old = Client::connect(server.local_addr());
    old.send("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(old.reply().text(), "x");
    old.assert_ended();
}

#[test]
fn a_handler_may_end_the_connection() {
    let server = serve(vec![get("/", |_| {
        text("x").with_header(header::CONNECTION, HeaderValue::from_static("close"))
    })]);
    let mut client = Client::connect(server.local_addr());
    assert_eq!(client.get("/").all("connection"), ["close"]);
    client.assert_ended();
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = serve(vec![
        get("/now/{n}", |request| text(request.param(0).unwrap())),
        get_later("/later/{n}", |request| async move {
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
            text(request.param(0).unwrap())
        }),
    ]);
    let mut client = Client::connect(server.local_addr());
    let requests: String = (0..12)
        .map(|n| {
            format!("GET /{}/{n} HTTP/1.1\r\nhost: test\r\n\r\n", if n % 2 == 0 { "later" } else { "now" })
        })
        .collect();
    client.send(requests);
    for n in 0..12 {
        assert_eq!(client.reply().text(), n.to_string());
    }
}

#[test]
fn a_pipelined_request_does_not_change_the_answer_to_the_one_before() {
    let slow = |methods: &[Method], pattern: &str| {
        route(methods, pattern, BodyMode::Buffered, |request| {
            Answer::Later(Box::pin(async move {
                for _ in 0..3 {
                    tokio::task::yield_now().await;
                }
                text(&format!("{}{}", request.method(), std::str::from_utf8(request.body()).unwrap()))
            }))
        })
    };
    let server = serve(vec![slow(&[], "/")]);
    let mut client = Client::connect(server.local_addr());
    let wire = "GET / HTTP/1.1\r\nhost: t\r\n\r\nHEAD / HTTP/1.1\r\nhost: t\r\n\r\n\
                POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 5\r\n\r\n\r\n\r\n!\
                HEAD / HTTP/1.1\r\nhost: t\r\n\r\nGET / HTTP/1.1\r\nhost: t\r\n\r\nGET / HTTP/1.0\r\n\r\n";
    client.send(wire);
    for expected in ["GET", "HEAD", "POST\r\n\r\n!", "HEAD", "GET", "GET"] {
        let mut reply = client.head();
        assert_eq!((reply.status, reply.header("content-length")), (200, Some(&*expected.len().to_string())));
        if expected != "HEAD" {
            reply.body = client.take(expected.len());
            assert_eq!(reply.text(), expected);
        }
    }
    client.assert_ended();
    // However the bytes are cut.
    let mut client = Client::connect(server.local_addr());
    for byte in wire.as_bytes() {
        client.send([*byte]);
    }
    assert_eq!(String::from_utf8(client.rest()).unwrap().matches("HTTP/1.").count(), 6);
}

#[test]
fn requests_that_end_with_the_connection_are_answered() {
    let server = serve(vec![get("/{n}", |request| text(request.param(0).unwrap()))]);
    for _ in 0..20 {
        let mut client = Client::connect(server.local_addr());
        client.send("GET /1 HTTP/1.1\r\nhost: t\r\n\r\nGET /2 HTTP/1.1\r\nhost: t\r\n\r\n");
        client.stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!((client.reply().text(), client.reply().text()), ("1", "2"));
        client.assert_ended();
    }
}

#[test]
fn head_gets_the_head_alone() {
    let both = [Method::GET, Method::HEAD];
    let server = serve(vec![
        route(&both, "/full", BodyMode::Ignored, |_| Answer::Now(text("12345"))),
        route(&both, "/declared", BodyMode::Ignored, |_| {
            Answer::Now(
                Response::new(StatusCode::OK)
                    .with_header(header::CONTENT_LENGTH, HeaderValue::from_static("1234")),
            )
        }),
        route(&both, "/stream", BodyMode::Ignored, |_| {
            Answer::Now(
                Response::new(StatusCode::OK)
                    .with_headers(vec![(header::CONTENT_LENGTH, HeaderValue::from_static("6"))])
                    .with_body(Body::Stream(Box::pin(chunks(vec![
                        Ok(Bytes::from("abc")),
                        Ok(Bytes::from("def")),
                    ])))),
            )
        }),
        route(&both, "/chunked", BodyMode::Ignored, |_| {
            Answer::Now(
                Response::new(StatusCode::OK)
                    .with_body(Body::Stream(Box::pin(chunks(vec![Ok(Bytes::from("abc"))])))),
            )
        }),
    ]);
    let mut client = Client::connect(server.local_addr());
    for (target, length) in
        [("/full", Some("5")), ("/declared", Some("1234")), ("/stream", Some("6")), ("/chunked", None)]
    {
        client.send(format!("HEAD {target} HTTP/1.1\r\nhost: test\r\n\r\n"));
        let head = client.head();
        assert_eq!((head.status, head.header("content-length")), (200, length), "{target}");
        // Whatever came of a body would be read as the next head.
        assert_eq!(client.get("/full").text(), "12345");
    }
}

fn chunks(
    chunks: Vec<Result<Bytes, bimetal_runtime::Error>>,
) -> impl futures_core::Stream<Item = Result<Bytes, bimetal_runtime::Error>> + Send {
    common::Chunks(chunks.into())
}

#[test]
fn what_no_route_answers() {
    let server = serve(vec![
        get("/a", |_| text("a")),
        route(&[Method::PUT, Method::GET], "/{x}", BodyMode::Ignored, |_| Answer::Now(text("x"))),
    ]);
    let mut client = Client::connect(server.local_addr());
    let missing = client.get("/a/b");
    assert_eq!((missing.status, missing.text()), (404, "{\"detail\":\"Not Found\"}"));
    assert_eq!(missing.header("content-type"), Some("application/json"));
    client.send("POST /a HTTP/1.1\r\nhost: test\r\ncontent-length: 3\r\n\r\nabc");
    let wrong = client.reply();
    assert_eq!((wrong.status, wrong.text()), (405, "{\"detail\":\"Method Not Allowed\"}"));
    assert_eq!(wrong.header("allow"), Some("GET, PUT"));
    // The body was read: the connection goes on.
    assert_eq!(client.get("/a").text(), "a");
    client.send("PUT /a HTTP/1.1\r\nhost: test\r\n\r\n");
    assert_eq!(client.reply().text(), "x");
    assert_eq!(server.stats().unrouted, 2);
}

#[test]
fn methods_that_http_does_not_define_are_routed_by_name() {
    let brew: Method = "BREW".parse().unwrap();
    let server = serve(vec![
        route(&[brew], "/{pot}", BodyMode::Ignored, |_| Answer::Now(text("brewed"))),
        route(&[], "/any", BodyMode::Ignored, |request| Answer::Now(text(request.method().as_str()))),
    ]);
    let mut client = Client::connect(server.local_addr());
    let mut ask = |request: &str| {
        client.send(format!("{request} HTTP/1.1\r\nhost: test\r\n\r\n"));
        let reply = client.reply();
        (reply.status, reply.text().to_owned(), reply.header("allow").map(str::to_owned))
    };
    assert_eq!(ask("BREW /pot"), (200, "brewed".to_owned(), None));
    let refused = (405, "{\"detail\":\"Method Not Allowed\"}".to_owned(), Some("BREW".to_owned()));
    assert_eq!(ask("STEEP /pot"), refused);
    assert_eq!(ask("GET /pot"), refused);
    assert_eq!(ask("STEEP /any"), (200, "STEEP".to_owned(), None));
    assert_eq!(ask("BREW /any"), (200, "brewed".to_owned(), None));
}

#[test]
fn the_fallback_answers_what_no_route_does() {
    let fallback = route(&[], "", BodyMode::Stream, |request| {
        let websocket = request.is_websocket();
        Answer::Now(text(&format!("{} {} {websocket}", request.method(), request.path())))
    });
    let fallback = bimetal_runtime::Route { lane: LaneKind::Asgi, ..fallback };
    let table = RouteTable::new(vec![get("/a", |_| text("a"))], Some(fallback)).unwrap();
    let server = Server::bind(Config::default()).unwrap().serve(Arc::new(table)).unwrap();
    let mut client = Client::connect(server.local_addr());
    assert_eq!(client.get("/a").text(), "a");
    assert_eq!(client.get("/b%20c").text(), "GET /b c false");
    client.send("BREW /a HTTP/1.1\r\nhost: test\r\n\r\n");
    assert_eq!(client.reply().text(), "BREW /a false");
    client.send(
        "GET /a HTTP/1.1\r\nhost: test\r\nconnection: keep-alive, Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
    );
    let denied = client.reply();
    assert_eq!((denied.text(), denied.header("connection")), ("GET /a true", Some("close")));
    client.assert_ended();
    assert_eq!(server.stats().requests, [1, 0, 0, 3]);
}

#[test]
fn malformed_requests_are_refused_once_and_the_server_goes_on() {
    let server = serve(vec![
        get("/", |_| text("x")),
        route(&[Method::POST], "/", BodyMode::Buffered, |request| {
            Answer::Now(text(std::str::from_utf8(request.body()).unwrap()))
        }),
    ]);
    let long = format!("GET / HTTP/1.1\r\nhost: t\r\nx: {}\r\n\r\n", "x".repeat(200_000));
    let many = format!("GET / HTTP/1.1\r\nhost: t\r\n{}\r\n", "a: b\r\n".repeat(200));
    let cases: &[(&str, u16)] = &[
        ("\0\0\0\r\n\r\n", 400),
        ("GET\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400), // no Host
        ("GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", 400),
        ("GET / HTTP/9.1\r\nhost: t\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: t\r\nbad header: x\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nhost : t\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: x\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: -1\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab", 400),
        (
            "POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        ("POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: gzip\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nab", 400),
        ("POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n2\r\nabcd\r\n", 400),
        (&long, 431),
        (&many, 431),
    ];
    for (request, status) in cases {
        let mut client = Client::connect(server.local_addr());
        // The server may have refused before it has read everything.
        let _ = std::io::Write::write_all(&mut client.stream, request.as_bytes());
        let shown: String = request.chars().take(60).collect();
        let all = String::from_utf8(client.rest()).unwrap();
        assert!(all.starts_with(&format!("HTTP/1.1 {status}")), "{shown:?}: {all:?}");
        assert_eq!(all.matches("HTTP/1.").count(), 1, "{shown:?}: {all:?}");
    }
    assert_eq!(Client::connect(server.local_addr()).get("/").text(), "x");
}

#[test]
fn statuses_without_a_body_have_none() {
    let server = serve(vec![get("/{status}", |request| {
        let status = StatusCode::from_bytes(request.param(0).unwrap().as_bytes()).unwrap();
        Response::new(status).with_body("not to be seen")
    })]);
    let mut client = Client::connect(server.local_addr());
    for status in [204, 304] {
        client.send(format!("GET /{status} HTTP/1.1\r\nhost: test\r\n\r\n"));
        let head = client.head();
        assert_eq!(head.status, status);
        assert_eq!((head.header("content-length"), head.header("transfer-encoding")), (None, None));
    }
    assert_eq!(client.get("/200").text(), "not to be seen");
    assert_eq!(client.get("/201").header("content-length"), Some("14"));
    // A status nobody has named has no reason phrase.
    client.send("GET /299 HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
    assert!(client.rest().starts_with(b"HTTP/1.1 299 \r\n"));
}

#[test]
fn headers_of_one_name_are_all_sent_and_framing_is_ours() {
    let server = serve(vec![get("/", |_| {
        Response::new(StatusCode::OK)
            .with_headers(vec![
                (header::SET_COOKIE, HeaderValue::from_static("a=1")),
                (HeaderName::from_static("x-own"), HeaderValue::from_static("1")),
                (header::SET_COOKIE, HeaderValue::from_static("b=2")),
                (header::CONTENT_LENGTH, HeaderValue::from_static("3")),
                (header::TRANSFER_ENCODING, HeaderValue::from_static("chunked")),
                (header::DATE, HeaderValue::from_static("yesterday")),
            ])
            .with_body("abc")
    })]);
    let reply = Client::connect(server.local_addr()).get("/");
    assert_eq!(reply.all("set-cookie"), ["a=1", "b=2"]);
    assert_eq!(reply.all("content-length"), ["3"]);
    assert_eq!(reply.all("transfer-encoding"), [""; 0]);
    assert_eq!(reply.all("date"), ["yesterday"]);
    assert_eq!((reply.header("x-own"), reply.text()), (Some("1"), "abc"));
}

#[test]
fn the_head_of_a_request_arrives_as_it_was_sent() {
    let server = serve(vec![route(&[], "/{x:path}", BodyMode::Ignored, |request| {
        let head = request.to_head();
        let headers: Vec<String> = head
            .headers
            .iter()
            .map(|(name, value)| format!("{name}={}", String::from_utf8_lossy(value.as_bytes())))
            .collect();
        assert_eq!(head.local, request.local());
        assert!(head.peer.unwrap().ip().is_loopback() && !head.secure);
        Answer::Now(text(&format!(
            "{} {:?} {} {} {} {}",
            head.method,
            head.version,
            head.raw_path,
            head.path,
            head.query,
            headers.join(",")
        )))
    })]);
    let mut client = Client::connect(server.local_addr());
    client.send(
        "PATCH /%C3%A4/%2F?q=%20 HTTP/1.1\r\nZ-Last: 1\r\nHost: test\r\nA: 2\r\nz-last: 3\r\nB: x y\r\n\r\n",
    );
    assert_eq!(
        client.reply().text(),
        "PATCH HTTP/1.1 /%C3%A4/%2F /ä// q=%20 z-last=1,host=test,a=2,z-last=3,b=x y"
    );
}

#[test]
fn a_slow_head_is_given_up() {
    let config = Config { head_timeout: Duration::from_millis(300), ..Config::default() };
    let server = serve_with(config, vec![get("/", |_| text("x"))]);
    let mut first = Client::connect(server.local_addr());
    first.send("GET / HT");
    assert_eq!(first.reply().status, 408);
    // A later head of a connection: actix-http has no deadline for it.
    let mut second = loop {
        let mut client = Client::connect(server.local_addr());
        let reply = client.get("/");
        if reply.status == 200 {
            break client;
        }
        // On a busy machine this thread can be late with its own head.
        assert_eq!(reply.status, 408);
    };
    second.send("GET / HT");
    assert_eq!(second.reply().status, 408);
    second.assert_ended();
}

#[test]
fn an_idle_connection_is_closed() {
    let config = Config { keep_alive: Duration::from_millis(300), ..Config::default() };
    let server = serve_with(config, vec![get("/", |_| text("x"))]);
    let mut client = Client::connect(server.local_addr());
    assert_eq!(client.get("/").text(), "x");
    client.assert_ended();
}

#[test]
fn routes_can_be_swapped_while_requests_are_in_flight() {
    let (release, gate) = tokio::sync::watch::channel(false);
    let server = serve(vec![get_later("/", move |_| {
        let mut gate = gate.clone();
        async move {
            gate.wait_for(|open| *open).await.unwrap();
            text("old")
        }
    })]);
    let mut waiting = Client::connect(server.local_addr());
    waiting.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n");
    common::until(|| server.stats().in_flight == 1);
    server.swap(table(vec![get("/", |_| text("new")), get("/more", |_| text("more"))]));
    let mut client = Client::connect(server.local_addr());
    assert_eq!(client.get("/").text(), "new");
    assert_eq!(client.get("/more").text(), "more");
    release.send(true).unwrap();
    assert_eq!(waiting.reply().text(), "old");
    assert_eq!(waiting.get("/").text(), "new");
}
