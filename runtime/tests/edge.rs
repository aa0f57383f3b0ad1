//! The layers in front of routing: what passes them, and what does not.

mod common;

use std::io::Read;
use std::sync::Arc;

use bimetal_runtime::edge::{Compression, Cors, CorsOptions, Edge, Hosts, HttpsRedirect, Layer};
use bimetal_runtime::http::{Method, StatusCode};
use bimetal_runtime::{Answer, Body, BodyMode, Config, Response, Route, RouteTable, Running, Server};
use common::{get, get_later, route, Chunks, Client, Reply};

fn cors() -> Layer {
    let options =
        CorsOptions { allow_origins: vec!["https://a.example".to_owned()], ..CorsOptions::default() };
    Layer::Cors(Cors::new(options).unwrap().into())
}

fn hosts() -> Layer {
    Layer::Hosts(Hosts::new(&["test".to_owned()], true).unwrap())
}

fn gzip() -> Layer {
    Layer::Compression(Compression::new(100, 6, &["text/event-stream"]))
}

fn table(layers: Vec<Layer>) -> Arc<RouteTable> {
    let stream = || {
        let chunks = (0..3).map(|_| Ok("x".repeat(1000).into())).collect();
        Response::new(StatusCode::OK).with_body(Body::Stream(Box::pin(Chunks(chunks))))
    };
    let routes: Vec<Route> = vec![
        get("/", |_| Response::new(StatusCode::OK).with_body("y".repeat(200))),
        get("/large", |_| Response::new(StatusCode::OK).with_body("z".repeat(1_000_000))),
        get("/stream", move |_| stream()),
        get_later("/later", |_| async {
            tokio::task::yield_now().await;
            Response::new(StatusCode::CREATED).with_body("later")
        }),
        get("/panic", |_| panic!("nobody handles this")),
        get("/unhandled", |_| Response::new(StatusCode::INTERNAL_SERVER_ERROR).unhandled()),
        route(&[Method::POST], "/echo", BodyMode::Buffered, |request| {
            Answer::Now(Response::new(StatusCode::OK).with_body(request.body().clone()))
        }),
    ];
    let edge = Edge::new(layers.into_iter().map(Arc::new).collect(), "");
    Arc::new(RouteTable::new(routes, None).unwrap().with_edge(edge))
}

fn serve(layers: Vec<Layer>) -> Running {
    let config = Config { max_body_size: 10_000, ..Config::default() };
    Server::bind(config).unwrap().serve(table(layers)).unwrap()
}

fn send(server: &Running, head: &str, body: &str) -> Reply {
    let mut client = Client::connect(server.local_addr());
    client.send(format!("{head}\r\norigin: https://a.example\r\naccept-encoding: gzip\r\n\r\n{body}"));
    client.reply()
}

fn plain(reply: &Reply) -> String {
    let mut text = String::new();
    flate2::read::GzDecoder::new(&reply.body[..]).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn every_response_passes_every_layer() {
    let server = serve(vec![cors(), gzip()]);
    for (head, body, status) in [
        ("GET / HTTP/1.1\r\nhost: test", "", 200),
        ("GET /later HTTP/1.1\r\nhost: test", "", 201),
        ("GET /nowhere HTTP/1.1\r\nhost: test", "", 404),
        ("PUT / HTTP/1.1\r\nhost: test", "", 405),
        ("PUT / HTTP/1.1\r\nhost: test\r\ncontent-length: 3", "abc", 405),
        ("POST /echo HTTP/1.1\r\nhost: test\r\ncontent-length: 3", "abc", 200),
        ("POST /echo HTTP/1.1\r\nhost: test\r\ncontent-length: 10001", "", 413),
        ("POST /echo HTTP/1.1\r\nhost: test\r\ncontent-length: 10001\r\nexpect: 100-continue", "", 413),
        ("POST /nowhere HTTP/1.1\r\nhost: test\r\ncontent-length: 3\r\nexpect: 100-continue", "", 404),
    ] {
        let reply = send(&server, head, body);
        assert_eq!(reply.status, status, "{head}");
        assert_eq!(reply.header("access-control-allow-origin"), Some("https://a.example"), "{head}");
    }
    let reply = send(&server, "GET / HTTP/1.1\r\nhost: test", "");
    assert_eq!((reply.header("content-encoding"), plain(&reply)), (Some("gzip"), "y".repeat(200)));
    assert_eq!(reply.header("vary"), Some("Accept-Encoding, Origin"));
    assert_eq!(reply.all("content-length").len(), 1);
}

#[test]
fn streams_and_large_bodies_are_compressed_on_their_way() {
    let server = serve(vec![gzip()]);
    for (path, text) in [("/stream", "x".repeat(3000)), ("/large", "z".repeat(1_000_000))] {
        let reply = send(&server, &format!("GET {path} HTTP/1.1\r\nhost: test"), "");
        assert_eq!((reply.header("content-encoding"), plain(&reply)), (Some("gzip"), text), "{path}");
        assert_eq!(
            (reply.header("transfer-encoding"), reply.all("content-length").len()),
            (Some("chunked"), 0)
        );
    }
    // HTTP/1.0 knows no chunks.
    let mut client = Client::connect(server.local_addr());
    client.send("GET /large HTTP/1.0\r\naccept-encoding: gzip\r\n\r\n");
    let mut reply = client.head();
    reply.body = client.rest();
    assert_eq!(plain(&reply), "z".repeat(1_000_000));
}

#[test]
fn what_nobody_handled_passes_no_layer() {
    let server = serve(vec![cors(), gzip()]);
    for path in ["/panic", "/unhandled"] {
        let reply = send(&server, &format!("GET {path} HTTP/1.1\r\nhost: test"), "");
        assert_eq!((reply.status, reply.header("access-control-allow-origin")), (500, None), "{path}");
        assert_eq!(reply.header("vary"), None, "{path}");
    }
}

#[test]
fn an_answer_of_the_edge_reaches_no_route() {
    let server = serve(vec![cors(), hosts()]);
    for (head, body) in [
        ("GET / HTTP/1.1\r\nhost: other", ""),
        ("POST /echo HTTP/1.1\r\nhost: other\r\ncontent-length: 3", "abc"),
        ("POST /echo HTTP/1.1\r\nhost: other\r\ncontent-length: 10001", ""),
        ("POST /echo HTTP/1.1\r\nhost: other\r\ncontent-length: 3\r\nexpect: 100-continue", ""),
        ("GET / HTTP/1.1\r\nhost: other\r\nconnection: upgrade\r\nupgrade: websocket", ""),
        ("GET / HTTP/1.0", ""),
    ] {
        let reply = send(&server, head, body);
        assert_eq!((reply.status, reply.text()), (400, "Invalid host header"), "{head}");
        assert_eq!(reply.header("vary").is_none(), head.contains("websocket"), "{head}");
        assert_eq!(reply.all("content-length"), ["19"], "{head}");
    }
    assert_eq!(server.stats().requests.iter().sum::<u64>(), 0);
    // Once answered, the connection goes on where the next request can be told from the body.
    let mut client = Client::connect(server.local_addr());
    client.send("POST /echo HTTP/1.1\r\nhost: other\r\ncontent-length: 3\r\n\r\nabc");
    assert_eq!(client.reply().status, 400);
    client.send("POST /echo HTTP/1.1\r\nhost: test\r\ncontent-length: 3\r\n\r\nabc");
    assert_eq!(client.reply().text(), "abc");
}

#[test]
fn a_refused_expectation_leaves_the_connection_to_the_next_request() {
    let server = serve(vec![hosts()]);
    let chunks = "3\r\nabc\r\n0\r\n\r\n";
    for (path, host, status) in [("/echo", "other", 400), ("/nowhere", "test", 404)] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\ntransfer-encoding: chunked\r\nexpect: 100-continue\r\n\r\n"
        );
        let mut client = Client::connect(server.local_addr());
        for sent_at_once in [true, false, true] {
            client.send(&head);
            if sent_at_once {
                client.send(chunks);
            }
            assert_eq!(client.reply().status, status, "{path}");
            if !sent_at_once {
                client.send(chunks);
            }
            client.send("POST /echo HTTP/1.1\r\nhost: test\r\ncontent-length: 3\r\n\r\nabc");
            assert_eq!(client.reply().text(), "abc", "{path}");
        }
    }
}

#[test]
fn the_edge_is_swapped_with_the_routes() {
    let server = serve(vec![]);
    let status = || Client::connect(server.local_addr()).get("/").status;
    assert_eq!(status(), 200);
    server.swap(table(vec![Layer::HttpsRedirect(HttpsRedirect)]));
    assert_eq!(status(), 307);
    server.swap(table(vec![]));
    assert_eq!(status(), 200);
}
